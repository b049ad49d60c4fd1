"""Hotspots that come, stay and go: each cell's history over a series of periods, named.

Gi* is computed for each period apart (`gis.local_statistics`), with the false discovery rate
controlled in each; then the series of a cell's calls and the trend of its z name a pattern.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from gis.lattice import Guard
from gis.local_statistics import getis_ord
from gis.multiple_testing import Correction

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Bools = NDArray[np.bool_]

MOSTLY = 0.9  # of the periods
TREND_LEVEL = 0.05


class Pattern(IntEnum):
    """What became of a hotspot, over T periods; each excludes the others.

    NONE: not hot in the last period, and hot in less than 90 % of them; or never hot.
    NEW: hot in the last period and never before.
    CONSECUTIVE: hot in the last two or more without a break, never before that, and in less than
        90 % of all.
    GROWING (intensifying): hot in the last and in at least 90 % of all, and z rises.
    PERSISTENT: hot in the last and in at least 90 % of all, and z has no trend.
    FADING (diminishing): hot in the last and in at least 90 % of all, and z falls.
    SPORADIC: hot in the last, in less than 90 % of all, with breaks, and never cold.
    OSCILLATING: as SPORADIC, but cold in some.
    HISTORICAL: not hot in the last, but in at least 90 % of all.

    Rises and falls are those of the Mann-Kendall test at p ≤ 0.05, two-sided. Cold spots have the
    same patterns with a minus, hot and cold changed about.
    """

    NONE = 0
    NEW = 1
    CONSECUTIVE = 2
    GROWING = 3
    PERSISTENT = 4
    FADING = 5
    SPORADIC = 6
    OSCILLATING = 7
    HISTORICAL = 8


@dataclass(frozen=True, eq=False)
class Emerging:
    """The histories of n cells over T periods.

    Attributes
    ----------
    pattern : (n,) int8, a `Pattern`; of a cold spot its negative
    band, reason : (n, T) int8, and z, q : (n, T), as in `gis.local_statistics.GetisOrd`
    hot, cold : (n,) in how many periods
    tau, trend_p : (n,) of z over the periods that were tested, see `mann_kendall`
    """

    pattern: Codes
    band: Codes
    reason: Codes
    z: Floats
    q: Floats
    hot: NDArray[np.int64]
    cold: NDArray[np.int64]
    tau: Floats
    trend_p: Floats


def emerging(
    values: ArrayLike,
    neighbours: Any,
    *,
    events: ArrayLike | None = None,
    residents: ArrayLike | None = None,
    guard: Guard = Guard(),
    least_band: int = 2,
    correction: Correction = "bh",
    permutations: int | None = None,
    seed: int = 0,
) -> Emerging:
    """The pattern of each cell over a series of periods.

    Parameters
    ----------
    values : (n, T) a count or rate of each cell in each period, the earliest first; at least two,
        and eight or more for the trend to show
    events : (n, T) events behind the values; by default the values, as counts
    neighbours, residents, guard, correction, permutations, seed : as for `getis_ord`. A period
        with fewer events than `guard.in_all` is not tested: nothing is hot or cold in it
    least_band : 1, 2, 3: hot or cold is what is called so at q ≤ 0.10, 0.05, 0.01

    Raises
    ------
    ValueError
        Other shapes, fewer than two periods, and as for `getis_ord`.

    Notes
    -----
    After the emerging hot spot analysis of ArcGIS (Esri, *How Emerging Hot Spot Analysis works*),
    with a last period that belongs to no hot spot always HISTORICAL or NONE, and each period
    compared with itself alone: a neighbourhood does not reach back in time.

    Examples
    --------
    >>> quiet, trouble = [1] * 60, [1] * 28 + [30] * 4 + [1] * 28
    >>> beside = sum(np.eye(60, k=k) for k in (-2, -1, 1, 2))
    >>> found = emerging(np.column_stack([quiet, quiet, trouble, trouble]), beside)
    >>> [Pattern(p).name for p in found.pattern[27:33].tolist()]
    ['NONE', 'CONSECUTIVE', 'CONSECUTIVE', 'CONSECUTIVE', 'CONSECUTIVE', 'NONE']
    """
    series = np.asarray(values, dtype=float)
    if series.ndim != 2 or series.shape[1] < 2:
        raise ValueError(
            f"Values must be cells × periods with at least 2 periods, not {series.shape}."
        )
    behind = None if events is None else np.asarray(events, dtype=float)
    if behind is not None and behind.shape != series.shape:
        raise ValueError(f"events must be {series.shape} as the values are, not {behind.shape}.")
    if least_band not in (1, 2, 3):
        raise ValueError(f"least_band must be 1, 2 or 3, not {least_band}.")
    periods = [
        getis_ord(
            series[:, t], neighbours, events=None if behind is None else behind[:, t],
            residents=residents, guard=guard, correction=correction,
            permutations=permutations, seed=seed,
        )
        for t in range(series.shape[1])
    ]  # fmt: skip
    band, reason, z, q = (
        np.stack([getattr(period, name) for period in periods], axis=1)
        for name in ("band", "reason", "z", "q")
    )
    hot, cold = band >= least_band, band <= -least_band
    tau, trend_p = mann_kendall(z)
    trend = np.where(trend_p <= TREND_LEVEL, np.sign(tau), 0)
    pattern = patterns(hot, cold, trend) - patterns(cold, hot, -trend)
    return Emerging(
        pattern, band, reason, z, q, hot.sum(axis=1), cold.sum(axis=1), tau, trend_p
    )  # fmt: skip


def patterns(hot: Bools, cold: Bools, trend: ArrayLike) -> Codes:
    """Name the histories of hotspots; `Pattern` says which is which.

    Parameters
    ----------
    hot, cold : (n, T) bool, whether a cell was in each period, the earliest first
    trend : (n,) 1 where it grows hotter, -1 cooler, 0 neither

    Examples
    --------
    >>> patterns(np.array([[0, 1, 0, 1, 1]], bool), np.zeros((1, 5), bool), [0]).tolist()
    [6]
    """
    way, periods = np.asarray(trend), hot.shape[1]
    count = hot.sum(axis=1)
    last, mostly = hot[:, -1], count >= MOSTLY * periods
    run = np.cumprod(hot[:, ::-1], axis=1).sum(axis=1)  # without a break, up to the last
    named = np.select(
        [
            last & (count == 1),
            last & mostly & (way > 0),
            last & mostly & (way < 0),
            last & mostly,
            last & (run == count),
            last & cold.any(axis=1),
            last,
            mostly & (count > 0),
        ],
        [
            Pattern.NEW, Pattern.GROWING, Pattern.FADING, Pattern.PERSISTENT, Pattern.CONSECUTIVE,
            Pattern.OSCILLATING, Pattern.SPORADIC, Pattern.HISTORICAL,
        ],
        Pattern.NONE,
    )  # fmt: skip
    return named.astype(np.int8)


def mann_kendall(series: ArrayLike) -> tuple[Floats, Floats]:
    """Whether each of n series rises or falls: Kendall's S over its greatest, and a p-value.

    Parameters
    ----------
    series : (n, T), NaN for what is missing, which is passed over

    Returns
    -------
    tau : (n,) from -1, always falling, to 1, always rising; NaN where fewer than two are known
    p : (n,) two-sided, by the normal approximation with correction for ties and continuity; good
        from eight values on, and above 0.05 for fewer than five whatever they are

    Notes
    -----
    Mann, *Econometrica* 13, 1945; Kendall, *Rank Correlation Methods*, 1975.

    Examples
    --------
    >>> tau, p = mann_kendall([[1, 2, 3, 4, 5, 6, 7, 8], [1, 5, 2, 4, 3, 5, 1, 4]])
    >>> tau.round(2).tolist(), (p <= 0.05).tolist()
    ([1.0, 0.11], [True, False])
    """
    given = np.asarray(series, dtype=float)
    if given.ndim != 2:
        raise ValueError(f"Series must be (n, periods), not an array of {given.ndim} dimensions.")
    score, same = np.zeros(len(given)), np.zeros(given.shape)
    for lag in range(1, given.shape[1]):
        step = given[:, lag:] - given[:, :-lag]
        score += np.nansum(np.sign(step), axis=1)
        same[:, lag:] += step == 0
        same[:, :-lag] += step == 0
    known = (~np.isnan(given)).sum(axis=1).astype(float)
    # Each of t equal values is equal to t - 1 others: Σ t (t - 1) (2 t + 5) over groups.
    ties = np.where(same > 0, same * (2 * same + 7), 0).sum(axis=1)
    variance = (known * (known - 1) * (2 * known + 5) - ties) / 18
    beyond = np.sign(score) * np.maximum(np.abs(score) - 1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        tau = np.where(known > 1, score / (known * (known - 1) / 2), np.nan)
        z = np.where(variance > 0, beyond / np.sqrt(variance), 0.0)
    p = np.where(known > 1, 2 * norm.sf(np.abs(z)), np.nan)
    return tau, p
