"""Tracks: which fixes of something that moves can be believed, on arrays."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import numpy.typing as npt
from pyproj import Geod

Floats = npt.NDArray[np.float64]

FASTEST_M_S = 300 / 3.6  # faster than that moves nobody who is sent anywhere
NEAR_M = 1000.0  # a leap this small does no harm, and receivers make it between tall buildings
DOUBTED, OPEN, BELIEVED = -1, 0, 1


def distance_m(
    lon: npt.ArrayLike, lat: npt.ArrayLike, lon2: npt.ArrayLike, lat2: npt.ArrayLike
) -> Floats:
    """Metres on the ellipsoid between positions in WGS 84, in one dimension.

    Examples
    --------
    >>> distance_m([113.0], [23.0], [113.0], [23.01]).round(1).tolist()
    [1107.4]
    """
    ends = (np.array(value, dtype=float, ndmin=1) for value in (lon, lat, lon2, lat2))
    return np.asarray(_geod().inv(*np.broadcast_arrays(*ends))[2], dtype=float)


@cache
def _geod() -> Geod:
    return Geod(ellps="WGS84")


def believed(
    track: npt.ArrayLike,
    at_s: npt.ArrayLike,
    lon: npt.ArrayLike,
    lat: npt.ArrayLike,
    accuracy_m: npt.ArrayLike,
    settled: npt.ArrayLike = OPEN,
) -> npt.NDArray[np.bool_]:
    """Which fixes can be believed: those that could be reached from one that came before.

    A fix is believed if it is the first of its track, or if somebody could have come to it from
    the fix before it, or from the last one that was believed. So one fix far away is doubted and
    the next one at home is believed again; two far away that agree are believed from the second
    on, and a receiver that began with a wrong place recovers with its second right one.

    Parameters
    ----------
    track : (n,) array_like of int
        Whose fix it is. Rows of one track stand together.
    at_s : (n,) array_like of float
        Seconds since any moment, increasing within a track.
    lon, lat : (n,) array_like of float
        Degrees, WGS 84.
    accuracy_m : (n,) array_like of float
        Radius of the uncertainty, metres; a leap counts from the edge of one disc to the other.
    settled : (n,) array_like of int, optional
        `BELIEVED` or `DOUBTED` where that has been decided, else `OPEN`.

    Returns
    -------
    (n,) ndarray of bool

    Examples
    --------
    >>> fixes = [113.10, 113.11, 116.40, 113.12, 116.41, 116.42]
    >>> believed([1] * 6, np.arange(6) * 60.0, fixes, [23.0] * 6, [10.0] * 6).tolist()
    [True, True, False, True, False, True]
    """
    names = np.asarray(track)
    columns = (at_s, lon, lat, accuracy_m)
    rows = np.array([np.broadcast_to(np.asarray(c, float), names.shape) for c in columns])
    fixed = np.broadcast_to(np.asarray(settled), names.shape)
    if names.size == 0:
        return np.zeros(0, dtype=bool)
    first = np.append(True, names[1:] != names[:-1])
    reached = first | np.append(True, _reachable(rows[:, :-1], rows[:, 1:]))
    found = np.where(fixed == OPEN, reached, fixed == BELIEVED)
    for here, anchor in _doubtful(first, reached, fixed, found):
        found[here] = _reachable(rows[:, [anchor]], rows[:, [here]])[0]
    return np.asarray(found, dtype=bool)


def _doubtful(
    first: npt.NDArray[np.bool_],
    reached: npt.NDArray[np.bool_],
    fixed: npt.NDArray[np.int_],
    found: npt.NDArray[np.bool_],
) -> Iterator[tuple[int, int]]:
    """Rows that the one before does not vouch for, each with the last one believed before it."""
    starts = np.maximum.accumulate(np.where(first, np.arange(first.size), 0))
    for here in np.flatnonzero(~reached & (fixed == OPEN)):
        earlier = np.flatnonzero(found[starts[here] : here])
        if earlier.size:
            yield int(here), int(starts[here] + earlier[-1])


def _reachable(start: Floats, end: Floats) -> npt.NDArray[np.bool_]:
    """Whether one can come from each start to its end; rows are at_s, lon, lat, accuracy_m."""
    apart = distance_m(start[1], start[2], end[1], end[2]) - start[3] - end[3]
    elapsed = np.maximum(end[0] - start[0], 1.0)  # whole seconds: two fixes of one may differ by 1
    near: npt.NDArray[np.bool_] = apart <= np.maximum(NEAR_M, FASTEST_M_S * elapsed)
    return near
