"""How many warnings a week has in which nothing is going on, by simulation of the same series.

A correction for many tests promises what p-values let it promise, and those of a regression are
estimates. So the promise is put to the test: each series is simulated with its own level, trend,
season and dispersion, without surges, and watched by the same method.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gis import loglinear, reference
from gis.multiple_testing import q_values
from gis.surges import CAUTIOUS, Method, surges

Floats = NDArray[np.float64]

HARMONICS = 2


@dataclass(frozen=True)
class Quiet:
    """What happened in simulated quiet weeks.

    Attributes
    ----------
    warnings : float
        False warnings per week: surges with q of at most the rate.
    weeks_with_any : float
        Share of weeks that have one.
    simulated : int
    """

    warnings: float
    weeks_with_any: float
    simulated: int


def quiet_weeks(
    counts: ArrayLike,
    weeks: ArrayLike,
    *,
    method: Method = CAUTIOUS,
    rate: float = 0.05,
    rounds: int = 20,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Quiet:
    """Simulate weeks without surges and count the warnings.

    Parameters
    ----------
    counts, weeks, method : as for `gis.surges.surges`
    rate : of false discoveries, that warnings are held to
    rounds : how many weeks; each costs as much as judging one

    Raises
    ------
    ValueError
        As `gis.surges.surges`.

    Examples
    --------
    >>> weeks = np.arange("2019-01-07", "2026-01-05", 7, dtype="datetime64[D]")
    >>> quiet_weeks(np.ones((5, len(weeks))), weeks, rounds=2).warnings
    0.0
    """
    known = np.asarray(counts, dtype=float)
    mean, dispersion = usual_course(known, reference.as_weeks(weeks))
    rng = np.random.default_rng(seed)
    numbers = []
    for number in range(rounds):
        found = surges(simulate(rng, mean, dispersion), weeks, method=method)
        numbers.append(int((found.surge & (q_values(found.p) <= rate)).sum()))
        if progress is not None:
            progress(number + 1, rounds)
    return Quiet(float(np.mean(numbers)), float(np.mean(np.array(numbers) > 0)), rounds)


def usual_course(counts: Floats, weeks: NDArray[np.datetime64]) -> tuple[Floats, Floats]:
    """Means (s, t) by level, trend and season of each series, and dispersions (s,), at least 1."""
    year = (weeks - weeks[0]).astype(int) / 365.25
    waves = [
        wave(2 * np.pi * k * year) for k in range(1, HARMONICS + 1) for wave in (np.sin, np.cos)
    ]
    design = np.column_stack([np.ones(len(year)), year - year.mean(), *waves])
    fits = loglinear.fit(counts, design)
    known = ~np.isnan(counts)
    # A series without events, or with a few in one season, has no course that could be fitted.
    few = (np.nansum(counts, axis=1) < 2 * design.shape[1]) | ~fits.converged
    flat = np.nansum(counts, axis=1) / np.maximum(known.sum(axis=1), 1)
    mean = np.where(few[:, None], flat[:, None], fits.fitted)
    return mean, np.where(few, 1.0, np.fmax(fits.dispersion, 1.0))


def simulate(rng: np.random.Generator, mean: Floats, dispersion: Floats) -> Floats:
    """Counts (s, t) of these means, with so many times their variance."""
    extra = dispersion[:, None] - 1
    wide = extra > 1e-9
    shape = mean / np.where(wide, extra, 1.0)
    # A negative binomial is a Poisson whose mean is gamma distributed.
    drawn = np.where(wide, rng.gamma(shape) * extra, mean)
    return rng.poisson(drawn).astype(float)
