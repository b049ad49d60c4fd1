"""Surges of weekly counts: which series are higher this week than is usual for them.

The usual is estimated for each series by quasi-Poisson regression on past weeks, with seasons and a
trend, in which weeks of past outbreaks weigh less: Farrington, Andrews, Beale & Catchpole, *Journal
of the Royal Statistical Society A* 159 (1996), 547-563, as improved by Noufaily et al., *Statistics
in Medicine* 32 (2013), 1206-1222. R's `surveillance::farringtonFlexible` does the same one by one.

A series with very few events has no dispersion that could be estimated. It is held to an exact test
instead (Przyborowski & Wilenski, *Biometrika* 31, 1940): if a week were like the others, how often
would so many of all the events fall into this one?
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from gis import loglinear, reference
from gis.loglinear import Bools, Fits, Floats

Threshold = Literal["plug-in", "predictive", "quantile", "power"]
REGRESSION, FEW, NONE = "regression", "few", "none"
SHARE = 4096
"""So many series are regressed together: their arrays stay in the processor's cache."""
TREND_YEARS = 3
"""A trend is told from no fewer years (Farrington et al. 1996)."""


@dataclass(frozen=True)
class Method:
    """How the usual is estimated; as it stands, what Noufaily et al. recommend.

    Attributes
    ----------
    years, half_window, periods, left_out : see `gis.reference.seasons`
    alpha : chance of a count over the threshold in a usual week
    trend : whether there may be a trend; it is left out of fewer than three years, and where it
        would predict more than was ever seen
    trend_p : a trend is left out too if its p-value is not below; 1: never for that (2013), 0.05:
        as in 1996
    reweight_from : Anscombe residual from which a past week weighs less; inf: never
    threshold : ``plug-in``: quantile of a negative binomial about the mean; ``predictive``: of a
        wider one, as the mean is only estimated; ``quantile``: about the upper bound of the mean;
        ``power``: normal after the power 2/3 (1996)
    recent, recent_weeks : a surge needs so many events in so many weeks up to now
    errors : ``surveillance`` takes the mean's standard error as R's package (1.20.3) computes it,
        for comparisons: see docs/decisions/0034
    """

    years: int = 5
    half_window: int = 3
    periods: int = 10
    left_out: int = 26
    alpha: float = 0.005
    trend: bool = True
    trend_p: float = 1.0
    reweight_from: float = 2.58
    threshold: Threshold = "plug-in"
    recent: int = 5
    recent_weeks: int = 4
    errors: Literal["pearson", "surveillance"] = "pearson"

    def __post_init__(self) -> None:
        """Raise ValueError with a sentence if it can mean nothing."""
        if min(self.years, self.periods, self.recent_weeks) < 1 or self.half_window < 0:
            raise ValueError("years, periods and recent_weeks are at least 1, half_window 0")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha is a chance between 0 and 0.5, not {self.alpha:g}")
        if self.left_out < self.half_window:
            raise ValueError("leave out at least half_window weeks: they are being judged")


CAUTIOUS = Method(threshold="predictive", reweight_from=4.0)
"""For thousands of series at once: p-values that stay right where they are small. Noufaily's limit
takes one usual week in two hundred for an outbreak, and so the dispersion for less than it is."""


@dataclass(frozen=True, eq=False)
class Surges:
    """What s series are held to in one week.

    Attributes
    ----------
    observed, expected : (s,) ndarray
    threshold : (s,) ndarray
        A count over it comes once in 1/alpha usual weeks.
    p : (s,) ndarray
        Chance of such a count or a higher one in a usual week. It is given for series with too few
        recent events too: corrections for many tests have to count them.
    score : (s,) ndarray
        (observed - expected) / (threshold - expected); over 1 is exceedance. A threshold counts as
        1 at least.
    surge : (s,) ndarray of bool
        Over the threshold, with enough events lately.
    dispersion : (s,) ndarray
        Variance by mean, at least 1.
    trend : (s,) ndarray
        Factor of growth per year; NaN without a trend.
    basis : (s,) ndarray of str
        ``regression``; ``few``: the exact test, as the past has too few events; ``none``: nothing
        can be said, as the count or all of the past is not known or the regression failed.
    """

    observed: Floats
    expected: Floats
    threshold: Floats
    p: Floats
    score: Floats
    surge: Bools
    dispersion: Floats
    trend: Floats
    basis: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.observed)


def surges(
    counts: ArrayLike,
    weeks: ArrayLike,
    *,
    week: ArrayLike | None = None,
    method: Method | None = None,
    exposure: ArrayLike | None = None,
    covariates: ArrayLike | None = None,
) -> Surges:
    """Hold one week of many series to their past.

    Parameters
    ----------
    counts : array_like, shape (s, t)
        Events by series and week, not negative; NaN where it is not known.
    weeks : array_like of date, shape (t,)
        The first day of each week, without a gap.
    week : date, optional
        The week to judge, one of `weeks`; None: the last.
    exposure : array_like, shape (t,) or (s, t), optional
        What a mean is proportional to: people, patrols, a week's days by how much is reported on
        such days (`gis.reporting.day_rates`), and for weeks that are not fully reported yet their
        completeness (`gis.reporting.completeness`).
    covariates : array_like, shape (t, c), optional
        Of weeks, whose effect on each series is estimated: how many days of Spring Festival it has.

    Raises
    ------
    ValueError
        With a sentence: shapes that do not fit, negative counts, a week that is not there, series
        that are too short, an exposure that is not positive, a covariate that never changed.

    Examples
    --------
    >>> weeks = np.arange("2019-01-07", "2026-01-05", 7, dtype="datetime64[D]")
    >>> counts = np.random.default_rng(4).poisson(6, (1, len(weeks)))
    >>> counts[0, -1] = 25
    >>> found = surges(counts, weeks)
    >>> found.surge.tolist(), found.expected.round().tolist(), found.threshold.tolist()
    ([True], [6.0], [14.0])
    """
    task = _task(counts, weeks, week, method or Method(), exposure, covariates)
    parts = [
        _judge(task, slice(start, start + SHARE))
        for start in range(0, max(len(task.counts), 1), SHARE)
    ]
    return Surges(*(np.concatenate([getattr(p, f) for p in parts]) for f in Surges.__annotations__))


@dataclass(frozen=True, eq=False)
class _Task:
    counts: Floats  # (s, t)
    exposure: Floats  # (s, t)
    at: int
    season: NDArray[np.int64]  # (t,)
    design: Floats  # (n, p) of the weeks used: constant, trend, seasons, covariates
    method: Method

    @property
    def used(self) -> Bools:
        return np.asarray(self.season != reference.UNUSED)


def _task(
    counts: ArrayLike,
    weeks: ArrayLike,
    week: ArrayLike | None,
    method: Method,
    exposure: ArrayLike | None,
    covariates: ArrayLike | None,
) -> _Task:
    days = reference.as_weeks(weeks)
    at = reference.position(days, week)
    known = np.asarray(counts, dtype=float)
    if known.ndim != 2 or known.shape[1] != len(days):
        raise ValueError(f"counts are a row per series with {len(days)} weeks, not {known.shape}")
    if (known < 0).any() or np.isinf(known).any():
        raise ValueError("a count is 0 or more; NaN where it is not known")
    open_to = np.asarray(1.0 if exposure is None else exposure, dtype=float)
    if not (open_to > 0).all() or np.isinf(open_to).any():
        raise ValueError("an exposure is over 0 in every week; leave out weeks without one as NaN")
    season = reference.seasons(
        days, at, years=method.years, half_window=method.half_window, periods=method.periods,
        left_out=method.left_out,
    )  # fmt: skip
    used = np.flatnonzero(season != reference.UNUSED)
    columns = [np.ones(len(used)), (used - at) / reference.YEAR_WEEKS]
    columns += [(season[used] == number).astype(float) for number in range(1, method.periods)]
    if covariates is not None:
        columns += _centred(np.asarray(covariates, dtype=float), used, at, len(days))
    design = np.column_stack(columns)
    if np.linalg.matrix_rank(design) < design.shape[1] or len(design) <= design.shape[1]:
        raise ValueError(
            "the past does not tell trend, seasons and covariates apart: take fewer periods or "
            "covariates, or more years"
        )
    return _Task(known, np.broadcast_to(open_to, known.shape), at, season, design, method)


def _centred(covariates: Floats, used: NDArray[np.int64], at: int, count: int) -> list[Floats]:
    """Columns that are 0 in the week judged, so that the constant is its linear predictor."""
    if covariates.ndim != 2 or len(covariates) != count or not np.isfinite(covariates).all():
        raise ValueError(f"covariates are {count} rows, one per week, of finite numbers")
    return list((covariates[used] - covariates[at]).T)


def _judge(task: _Task, share: slice) -> Surges:
    counts, exposure = task.counts[share], task.exposure[share]
    method, at, used = task.method, task.at, task.used
    observed = counts[:, at]
    usual = _usual(counts[:, used], exposure[:, used], task)
    expected = np.exp(usual.eta) * exposure[:, at]
    threshold, p = _bounds(observed, usual.eta + np.log(exposure[:, at]), usual, method)
    threshold, p, expected = _exact(task, share, usual, threshold, p, expected)
    first = max(at - method.recent_weeks + 1, 0)
    enough = np.nansum(counts[:, first : at + 1], axis=1) >= method.recent
    with np.errstate(divide="ignore", invalid="ignore"):
        score = (observed - expected) / (np.maximum(threshold, 1.0) - expected)
    unknown = (usual.basis == NONE) | np.isnan(observed)
    basis = np.where(unknown, NONE, usual.basis)
    for values in (expected, threshold, p, score):
        values[unknown] = np.nan
    surge = (observed > threshold) & enough
    return Surges(
        observed, expected, threshold, p, score, surge, usual.dispersion, usual.trend, basis
    )


@dataclass(frozen=True, eq=False)
class _Usual:
    eta: Floats  # linear predictor of the week judged, for an exposure of 1
    error: Floats  # its standard error
    dispersion: Floats
    trend: Floats
    basis: NDArray[np.str_]


def _usual(counts: Floats, exposure: Floats, task: _Task) -> _Usual:
    """Regress the past, with the trend where it is to be kept and without it elsewhere."""
    method, design, offset = task.method, task.design, np.log(exposure)
    flat = np.delete(design, 1, axis=1)
    few = _few(counts, task)
    able = np.flatnonzero(few == REGRESSION)
    s = len(counts)
    eta, error, trend, converged = np.zeros(s), np.zeros(s), np.full(s, np.nan), np.zeros(s, bool)
    dispersion = np.ones(s)
    rest = able
    if method.trend and method.years >= TREND_YEARS and len(able):
        fits, phi, scale, sound = _regress(counts[able], design, offset[able], method)
        kept = sound & _keeps_trend(fits, scale, counts[able], exposure[able], task)
        rows = able[kept]
        eta[rows] = fits.coefficients[kept, 0]
        error[rows] = np.sqrt(scale * fits.covariance[:, 0, 0])[kept]
        trend[rows] = np.exp(fits.coefficients[kept, 1])
        dispersion[rows], converged[rows] = phi[kept], True
        rest = able[~kept]
    if len(rest):
        fits, phi, scale, sound = _regress(counts[rest], flat, offset[rest], method)
        eta[rest], dispersion[rest], converged[rest] = fits.coefficients[:, 0], phi, sound
        error[rest] = np.sqrt(scale * fits.covariance[:, 0, 0])
    basis = np.where((few == REGRESSION) & ~converged, NONE, few)
    return _Usual(eta, error, dispersion, trend, basis)


def _few(counts: Floats, task: _Task) -> NDArray[np.str_]:
    """Which series have a past to regress: as many events as the design has columns, and some in
    the season that is judged."""
    now = task.season[task.used] == 0
    known = ~np.isnan(counts)
    enough = (np.nansum(counts, axis=1) >= task.design.shape[1]) & (
        np.nansum(counts[:, now], axis=1) > 0
    )
    # The weeks that are not known must leave more than the regression has to estimate.
    told = (known.sum(axis=1) > task.design.shape[1]) & known[:, now].any(axis=1)
    return np.where(enough & told, REGRESSION, np.where(known[:, now].any(axis=1), FEW, NONE))


def _regress(
    counts: Floats, design: Floats, offset: Floats, method: Method
) -> tuple[Fits, Floats, Floats, Bools]:
    """Fit, give weeks that stand out less weight by their Anscombe residuals, and fit again.

    Returns the fits, the dispersions, those by which errors are scaled, and which are sound.
    """
    first = loglinear.fit(counts, design, offset=offset)
    weights = _weights(counts, first, method.reweight_from)
    again = loglinear.fit(counts, design, weights=weights, offset=offset)
    phi = np.fmax(again.dispersion, 1.0)
    scale = phi
    if method.errors == "surveillance":
        relative = np.nan_to_num(counts / again.fitted - 1)
        freedom = (~np.isnan(counts)).sum(axis=1) - design.shape[1]
        scale = (weights * relative**2).sum(axis=1) / np.maximum(freedom, 1)
    sound = first.converged & np.isfinite(again.coefficients).all(axis=1)
    return again, phi, scale, sound


def _weights(counts: Floats, fits: Fits, reweight_from: float) -> Floats:
    """Residuals over the limit weigh by their inverse square; the weights add up to the weeks."""
    phi = np.fmax(fits.dispersion, 1.0)[:, None]
    mu = fits.fitted
    spread = np.sqrt(phi * np.maximum(1 - fits.leverage, 1e-8))
    residual = 1.5 * (np.nan_to_num(counts) ** (2 / 3) * mu ** (-1 / 6) - np.sqrt(mu)) / spread
    known = ~np.isnan(counts)
    raw = known * np.where(residual > reweight_from, np.maximum(residual, 1e-8) ** -2.0, 1.0)
    return np.asarray(raw * (known.sum(axis=1) / raw.sum(axis=1))[:, None])


def _keeps_trend(fits: Fits, scale: Floats, counts: Floats, exposure: Floats, task: _Task) -> Bools:
    """Whether a trend is significant, if asked, and predicts no more than was ever seen."""
    seen = np.nanmax(counts / exposure, axis=1)
    kept = np.exp(fits.coefficients[:, 0]) <= seen
    if task.method.trend_p < 1:
        error = np.sqrt(scale * fits.covariance[:, 1, 1])
        freedom = (~np.isnan(counts)).sum(axis=1) - task.design.shape[1]
        p = 2 * stats.t.sf(np.abs(fits.coefficients[:, 1] / error), freedom)
        kept &= p < task.method.trend_p
    return np.asarray(kept)


def _bounds(observed: Floats, eta: Floats, usual: _Usual, method: Method) -> tuple[Floats, Floats]:
    """Threshold and p-value by the regression."""
    mu, phi = np.exp(eta), usual.dispersion
    if method.threshold == "power":
        spread = np.sqrt(4 / 9 * np.cbrt(mu) * (phi + mu * usual.error**2))
        z = stats.norm.isf(method.alpha)
        p = stats.norm.sf((observed ** (2 / 3) - mu ** (2 / 3)) / spread)
        return (mu ** (2 / 3) + z * spread) ** 1.5, p
    if method.threshold == "predictive":
        phi = phi + mu * usual.error**2
    if method.threshold == "quantile":
        mu = np.exp(eta + stats.norm.isf(method.alpha) * usual.error)
    return count_bounds(observed, mu, phi, method.alpha)


def count_bounds(observed: Floats, mu: Floats, phi: Floats, alpha: float) -> tuple[Floats, Floats]:
    """Upper quantile and p-value of counts with mean mu and variance phi mu.

    Negative binomial where phi is over 1, else Poisson; all arrays (s,).

    >>> one = np.ones(1)
    >>> threshold, p = count_bounds(9 * one, 4 * one, one, 0.05)
    >>> threshold.tolist(), p.round(4).tolist()
    ([8.0], [0.0214])
    """
    threshold, p = stats.poisson.isf(alpha, mu), stats.poisson.sf(observed - 1, mu)
    wide = phi > 1
    size, chance = mu[wide] / (phi[wide] - 1), 1 / phi[wide]
    threshold[wide] = stats.nbinom.isf(alpha, size, chance)
    p[wide] = stats.nbinom.sf(observed[wide] - 1, size, chance)
    return threshold, p


def _exact(
    task: _Task, share: slice, usual: _Usual, threshold: Floats, p: Floats, expected: Floats
) -> tuple[Floats, Floats, Floats]:
    """Where the past has few events: in this week's season if there are none, else in all weeks."""
    few = np.flatnonzero(usual.basis == FEW)
    if not len(few):
        return threshold, p, expected
    counts, exposure = task.counts[share][few], task.exposure[share][few]
    season = (task.season == 0) & ~np.isnan(counts)
    every = task.used & ~np.isnan(counts)
    alone = (np.where(season, counts, 0).sum(axis=1) == 0) & (
        np.where(every, counts, 0).sum(axis=1) >= task.design.shape[1]
    )
    past = np.where(alone[:, None], season, every)
    known = np.where(past, np.nan_to_num(counts), 0).sum(axis=1)
    weeks = np.where(past, exposure, 0).sum(axis=1)
    now = exposure[:, task.at]
    expected[few] = known * now / weeks
    p[few] = conditional_p(counts[:, task.at], known, now / weeks)
    threshold[few] = conditional_threshold(known, now / weeks, task.method.alpha)
    return threshold, p, expected


def conditional_p(now: ArrayLike, before: ArrayLike, ratio: ArrayLike) -> Floats:
    """Chance that so many of all the events, or more, fall into now, if rates are alike.

    Parameters
    ----------
    now, before : array_like
        Events now and before.
    ratio : array_like
        Exposure now by exposure before: 1/52 for a week against a year.

    Examples
    --------
    >>> conditional_p([1, 3], [0, 2], [0.25, 0.25]).round(4).tolist()
    [0.2, 0.0579]
    """
    now, ratio = np.asarray(now, float), np.asarray(ratio, float)
    before = np.asarray(before, float)
    # The binomial's tail by the beta function: events divided by a dispersion are no whole numbers.
    tail = special.betainc(np.maximum(now, 1.0), before + 1, ratio / (1 + ratio))
    return np.asarray(
        np.where(now > 0, tail, np.where(np.isnan(now + before + ratio), np.nan, 1.0))
    )


def conditional_threshold(before: Floats, ratio: Floats, alpha: float) -> Floats:
    """The highest count whose `conditional_p` is not below alpha."""
    # Given the events before, the count now is negative binomial up to one event: P(X >= x) of
    # x of x + before successes equals P(Y >= x) for Y failures before success before + 1.
    return np.asarray(stats.nbinom.isf(alpha, before + 1, 1 / (1 + ratio)))
