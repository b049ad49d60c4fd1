"""How soon the nearest of many is at each of many places, and whom that covers within some minutes.

Of each place those are asked for their travel time who would be there first if they went straight;
all pairs of a city would be a hundred million. Who is that close that no detour matters is taken by
the straight line.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from gis.placement import metres_per_degree
from gis.travel import MODES, Floats, StraightLine, Travel, great_circle_m

Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

CANDIDATES = 2
OUTRUN = 1.5
"""Who needs that many times as long as the first, straight, is not asked: nobody makes up for it,
and the long ways are what takes the time to find."""
CLOSE_M = 200.0
"""Who is that near, straight, is there in three minutes on foot whatever the streets do."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """Of each of m places, who is there first.

    Attributes
    ----------
    seconds : (m,) ndarray of float
        NaN where nobody can be.
    who : (m,) ndarray of int
        Position among the origins, -1 for nobody.
    by_road : (m,) ndarray of bool
        Whether the roads say so, and not the straight line.
    """

    seconds: Floats
    who: Ints
    by_road: Bools


def nearest(
    origins: npt.ArrayLike,
    modes: Sequence[str] | npt.NDArray[np.object_],
    targets: npt.ArrayLike,
    travel: Travel,
    *,
    candidates: int = CANDIDATES,
    close_m: float = CLOSE_M,
) -> Nearest:
    """Who of n origins is at each of m targets first.

    Parameters
    ----------
    origins, targets : array_like of float, (n, 2) and (m, 2)
        Longitude and latitude, WGS 84, without NaN.
    modes : array_like of str, (n,)
        How each moves, a key of `gis.travel.MODES`.
    candidates : int
        So many are asked for each target.
    close_m : float
        Nearer than this, straight, nobody is asked along the roads.

    Examples
    --------
    >>> found = nearest([[113.1, 23.0], [113.2, 23.0]], ["foot", "car"], [[113.12, 23.0]],
    ...                 StraightLine())
    >>> found.who.tolist(), found.seconds.round().tolist()
    ([1], [1376.0])
    """
    start = np.asarray(origins, dtype=float).reshape(-1, 2)
    end = np.asarray(targets, dtype=float).reshape(-1, 2)
    moves = np.asarray(modes, dtype=object)
    target, who = _candidates(start, moves, end, candidates)
    seconds, by_road = _asked(start, moves, end, target, who, travel, close_m)
    order = np.lexsort((who, seconds, target))  # NaN comes last
    first = order[np.unique(target[order], return_index=True)[1]]
    reached = first[np.isfinite(seconds[first])]
    found = Nearest(np.full(len(end), np.nan), np.full(len(end), -1), np.zeros(len(end), bool))
    found.seconds[target[reached]] = seconds[reached]
    found.who[target[reached]] = who[reached]
    found.by_road[target[first]] = by_road[first]
    return found


def _candidates(start: Floats, modes: np.ndarray, end: Floats, count: int) -> tuple[Ints, Ints]:
    """Pairs of a target and one of the origins that are there first by the straight line."""
    if not len(start) or not len(end):
        return np.empty(0, np.intp), np.empty(0, np.intp)
    scale = np.array(metres_per_degree(float(end[:, 1].mean())))
    who, seconds = [], []
    for mode in np.unique(modes):
        rows = np.flatnonzero(modes == mode)
        k = np.arange(1, min(count, len(rows)) + 1)
        metres, near = cKDTree(start[rows] * scale).query(end * scale, k=k)
        who.append(rows[near])
        seconds.append(metres * MODES[mode].detour / MODES[mode].speed_m_s)
    every, straight = np.concatenate(who, axis=1), np.concatenate(seconds, axis=1)
    order = np.argsort(straight, axis=1, kind="stable")[:, :count]
    straight = np.take_along_axis(straight, order, axis=1)
    target, rank = np.nonzero(straight <= OUTRUN * straight[:, :1])
    return target, every[target, order[target, rank]]


def _asked(
    start: Floats, modes: np.ndarray, end: Floats, target: Ints, who: Ints,
    travel: Travel, close_m: float,
) -> tuple[Floats, Bools]:  # fmt: skip
    """Travel seconds of each pair, and whether by road: one origin outwards to all its targets."""
    seconds, by_road = np.full(len(who), np.nan), np.zeros(len(who), dtype=bool)

    def ask(rows: Ints, by: Travel) -> None:
        origin = who[rows[0]]
        legs = by.legs(start[origin][None], end[target[rows]], modes[origin])
        seconds[rows], by_road[rows] = legs.seconds[0], legs.by_road[0]

    far = great_circle_m(start[who], end[target]) >= close_m
    tasks: list[tuple[Ints, Travel]] = [(rows, StraightLine()) for rows in _groups(who, ~far)]
    tasks += [(rows, travel) for rows in _groups(who, far)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda task: ask(*task), tasks))
    return seconds, by_road


def _groups(key: Ints, some: Bools) -> list[Ints]:
    """The rows among some, those with the same key together."""
    rows = np.flatnonzero(some)
    rows = rows[np.argsort(key[rows], kind="stable")]
    cuts = np.flatnonzero(np.diff(key[rows])) + 1
    return [group for group in np.split(rows, cuts) if len(group)]


def covered(
    seconds: npt.ArrayLike, weight: npt.ArrayLike, minutes: Sequence[float]
) -> npt.NDArray[np.float64]:
    """The share of a weight (m,) that is reached within each of so many minutes.

    NaN seconds are never in time, NaN weights count nothing; NaN where there is no weight at all.

    >>> covered([200, 700, np.nan], [6, 3, 1], [5, 10, 15]).tolist()
    [0.6, 0.6, 0.9]
    """
    times = np.asarray(seconds, dtype=float)
    heavy = np.nan_to_num(np.asarray(weight, dtype=float))
    if not heavy.sum() > 0:
        return np.full(len(minutes), np.nan)
    within = times[None] <= np.asarray(minutes, dtype=float)[:, None] * 60
    return np.asarray((within * heavy).sum(axis=1) / heavy.sum())
