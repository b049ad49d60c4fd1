"""Rates of small populations, which jump about: smoothed to look at, standardised to test.

Of two cells with a rate of 0 the one with ten residents says nothing. Empirical Bayes draws each
rate towards the mean, the farther the fewer people it rests on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gis.lattice import adjacency
from gis.links import numbers

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rates:
    """Events per resident of n cells (times `per`); all arrays (n,), NaN where `populated` is not.

    Attributes
    ----------
    raw : events / residents
    smoothed : the empirical Bayes estimate, between the raw rate and the mean
    standardised : less the mean, in standard deviations of a cell of its size: for `getis_ord` and
        `local_moran`, which take all values to be equally sure
    populated : whether enough people live there for a rate
    left_out : events in cells that are not, which are in no rate
    """

    raw: Floats
    smoothed: Floats
    standardised: Floats
    populated: Bools
    left_out: float


def per_resident(
    events: ArrayLike,
    residents: ArrayLike,
    *,
    neighbours: Any = None,
    per: float = 1.0,
    at_least: float = 1.0,
) -> Rates:
    """Raw, smoothed and standardised rates per resident.

    Parameters
    ----------
    events, residents : (n,) at least 0
    neighbours : (n, n) sparse or dense, or a Graph
        Smooth towards the mean of each cell and its neighbours; by default towards that of all.
        What is standardised refers to all in either case.
    per : the rate is given per so many residents
    at_least : residents without whom a cell has no rate; more than 0

    Raises
    ------
    ValueError
        Other shapes, negative numbers or NaN.

    Notes
    -----
    Marshall, *Applied Statistics* 40, 1991 (moment estimates, global and local); Assunção & Reis,
    *Statistics in Medicine* 18, 1999 (standardised).

    Examples
    --------
    >>> rates = per_resident([0, 8, 0, 90], [10, 1000, 0, 9000], per=1000)
    >>> rates.raw.tolist()
    [0.0, 8.0, nan, 10.0]
    >>> rates.smoothed.round(1).tolist(), rates.left_out
    ([9.8, 9.8, nan, 9.8], 0.0)
    """
    happened, people = _amounts(events, "events"), _amounts(residents, "residents")
    if happened.shape != people.shape or happened.ndim != 1:
        raise ValueError(
            f"events and residents must be one number for each cell, not of shapes "
            f"{happened.shape} and {people.shape}."
        )
    if not at_least > 0:
        raise ValueError(f"at_least must be more than 0 residents, not {at_least:g}.")
    populated = people >= at_least
    count, pop = happened[populated], people[populated]
    raw = count / pop
    smoothed, standard = raw, np.zeros(len(raw))
    if len(raw):
        mean, between = _moments(count, pop, np.ones((1, len(raw))))
        standard = _standardised(raw, pop, float(mean[0]), float(between[0]))
        if neighbours is not None:
            among = adjacency(neighbours, len(people))[populated][:, populated]
            among.setdiag(1)
            mean, between = _moments(count, pop, among)
        smoothed = _smoothed(raw, pop, mean, np.maximum(between, 0))
    out = [np.full(len(people), np.nan) for _ in range(3)]
    for array, value in zip(out, (raw * per, smoothed * per, standard), strict=True):
        array[populated] = value
    return Rates(out[0], out[1], out[2], populated, float(happened[~populated].sum()))


def per_km2(events: ArrayLike, inside_m2: ArrayLike) -> Floats:
    """Events per km² of n cells, of the part of each that lies in the area; NaN where none does.

    >>> per_km2([3, 0], [1.5e6, 0]).tolist()
    [2.0, nan]
    """
    happened, ground = _amounts(events, "events"), _amounts(inside_m2, "inside_m2")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(ground > 0, happened / ground * 1e6, np.nan)


def _moments(count: Floats, pop: Floats, groups: Any) -> tuple[Floats, Floats]:
    """Mean rate of each group (a row of weights), and the variance between its cells' true rates.

    The variance is Marshall's moment estimate, which is negative where there is less than chance.
    """
    people = groups @ pop
    mean = (groups @ count) / people
    raw = count / pop
    # Σ P (r - mean)² over the group, expanded so that each group may have a mean of its own
    squares = groups @ (pop * raw**2) - people * mean**2
    members = groups @ np.ones(len(pop))
    return mean, np.maximum(squares, 0) / people - mean * members / people


def _smoothed(raw: Floats, pop: Floats, mean: Floats, between: Floats) -> Floats:
    within = mean / pop
    with np.errstate(invalid="ignore", divide="ignore"):
        trust = np.where(between + within > 0, between / (between + within), 0.0)
    return np.asarray(mean + trust * (raw - mean))


def _standardised(raw: Floats, pop: Floats, mean: float, between: float) -> Floats:
    variance = between + mean / pop
    variance = np.where(variance > 0, variance, mean / pop)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(variance > 0, (raw - mean) / np.sqrt(variance), 0.0)


def _amounts(values: ArrayLike, name: str) -> Floats:
    given = numbers(values, name)
    if ((given < 0) | np.isinf(given)).any():
        raise ValueError(f"{name} must be at least 0 and finite.")
    return given
