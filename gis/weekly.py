"""The last week of many series held to as much past as there is of them.

A city that has begun to collect has no five years. With at least one year the week is held to the
same season of the years that there are (`gis.surges`); with less, to all weeks before it, without
seasons, by the exact test for whose events come in bursts.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gis import reference
from gis.loglinear import Floats
from gis.surges import (
    CAUTIOUS,
    FEW,
    NONE,
    Method,
    Surges,
    conditional_p,
    conditional_threshold,
    surges,
)

FEWEST_WEEKS = 8
LEFT_OUT = 4
"""So many weeks before, but no more than a quarter of all, are not used where there are no seasons:
a surge that has begun is not taken for usual."""


def longest(weeks: NDArray[np.datetime64]) -> Method | None:
    """The cautious method with as many years as there are, up to its own; None without one."""
    last = len(weeks) - 1
    years = reference.anniversaries(weeks, last, CAUTIOUS.years)[1:] >= CAUTIOUS.half_window
    count = int(years.sum())
    if not count:
        return None
    # Of a single year half would be too much to leave out.
    return replace(CAUTIOUS, years=count, left_out=CAUTIOUS.left_out if count > 1 else 4)


def judge(
    counts: ArrayLike,
    weeks: ArrayLike,
    *,
    method: Method | None = None,
    exposure: ArrayLike | None = None,
) -> Surges:
    """Hold the last week to the past, however long it is.

    Parameters
    ----------
    counts : array_like, shape (s, t)
        Events by series and week; NaN where it is not known.
    weeks : array_like of date, shape (t,)
        First days of the weeks, without a gap; at least eight.
    method : Method, optional
        By default `longest`.
    exposure : array_like, shape (t,), optional
        As for `gis.surges.surges`.

    Raises
    ------
    ValueError
        Fewer than eight weeks, or as `gis.surges.surges`.

    Examples
    --------
    >>> weeks = np.arange("2026-01-05", "2026-03-30", 7, dtype="datetime64[D]")
    >>> found = judge([[4, 6, 5, 4, 6, 5, 4, 6, 5, 4, 6, 25]], weeks)
    >>> found.surge.tolist(), found.expected.tolist(), found.threshold.tolist()
    ([True], [5.0], [12.0])
    """
    days = reference.as_weeks(weeks)
    if len(days) < FEWEST_WEEKS:
        raise ValueError(
            f"{len(days)} weeks are too few to know what is usual; give {FEWEST_WEEKS} or more"
        )
    chosen = method or longest(days)
    if chosen is not None:
        return surges(counts, days, method=chosen, exposure=exposure)
    known = np.asarray(counts, dtype=float)
    if known.ndim != 2 or known.shape[1] != len(days) or (known < 0).any():
        raise ValueError(f"counts are a row per series with {len(days)} weeks, none below 0")
    return _without_seasons(known, np.ones(len(days)) if exposure is None else exposure)


def _without_seasons(counts: Floats, exposure: ArrayLike) -> Surges:
    open_to = np.broadcast_to(np.asarray(exposure, dtype=float), counts.shape)
    until = counts.shape[1] - 1 - min(LEFT_OUT, counts.shape[1] // 4)
    told = ~np.isnan(counts[:, :until])
    past = np.where(told, counts[:, :until], 0.0)
    before, weeks = past.sum(axis=1), np.maximum(told.sum(axis=1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = open_to[:, -1] / np.where(told, open_to[:, :until], 0.0).sum(axis=1)
        # Reports of one matter come in bursts: beyond a series' own variance it is no surge.
        mean = before / weeks
        spread = np.where(told, (past - mean[:, None]) ** 2, 0.0).sum(axis=1)
        burst = np.fmax(spread / np.maximum(weeks - 1, 1) / np.where(before > 0, mean, 1.0), 1.0)
        now, expected = counts[:, -1], before * ratio
        p = conditional_p(np.floor(now / burst), before / burst, ratio)
        highest = conditional_threshold(before / burst, ratio, CAUTIOUS.alpha)
        threshold = np.ceil(burst * (highest + 1)) - 1
        score = (now - expected) / (np.maximum(threshold, 1.0) - expected)
    unknown = np.isnan(now) | ~told.any(axis=1)
    for values in (expected, threshold, p, score):
        values[unknown] = np.nan
    lately = np.nansum(counts[:, -CAUTIOUS.recent_weeks :], axis=1)
    return Surges(
        observed=now, expected=expected, threshold=threshold, p=p, score=score,
        surge=(now > threshold) & (lately >= CAUTIOUS.recent), dispersion=burst,
        trend=np.full(len(now), np.nan), basis=np.where(unknown, NONE, FEW),
    )  # fmt: skip
