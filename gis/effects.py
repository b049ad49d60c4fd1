"""What a measure did: before and after in the areas treated, beside areas like them.

What was counted less afterwards might have been counted less anyway, the more so in areas that were
chosen because they stood out. So each area treated is matched with areas that ran alike before, and
the change beyond theirs is the effect: a difference in differences of log rates. Areas also change
for reasons of their own; by how much, the controls tell, and the interval allows for it (few
treated areas leave cluster-robust errors without ground: Conley & Taber, *Review of Economics and
Statistics* 93, 2011). As a check that assumes nothing, every other area is treated in turn as if it
had been meant (placebo: Abadie, Diamond & Hainmueller, *Journal of the American Statistical
Association* 105, 2010).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from gis import loglinear

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FEWEST_CONTROLS = 5
FEWEST_BEFORE = 6
FEWEST_EVENTS = 10
BLOCKS = 8
"""Periods before are compared in so many stretches, over which chance evens out."""


class EffectError(ValueError):
    """The effect cannot be told; the sentence says why and what would help."""


@dataclass(frozen=True, eq=False)
class Effect:
    """The change beyond that of the controls. Changes are fractions: -0.789 is 78.9 % less.

    Attributes
    ----------
    treated_before, treated_after : float
        Events per period in all areas treated.
    treated_change, control_change : float
    effect, low, high : float
        What the measure did, with its 95 % interval.
    p : float
        Chance of an effect as far from none, either way, if there is none.
    placebo_p : float
        Share of areas, those treated included, whose own effect is as far from none.
    controls, distances : (k,) ndarray
        The areas compared with, nearest first, and how unlike the nearest treated area they were.
    pre_fit : float
        How far treated and controls were apart before, per period, by the treated areas' mean.
    drift, drift_p : float
        Growth of treated by controls per period before, as a fraction, and its p-value.
    parallel : bool
        Whether they ran alike before as far as can be told; if not, the effect is not to be relied
        on.
    dispersion, between_areas : float
        Variance of a period's count by its mean; standard deviation of areas' own log changes.
    """

    treated_before: float
    treated_after: float
    treated_change: float
    control_change: float
    effect: float
    low: float
    high: float
    p: float
    placebo_p: float
    controls: Ints
    distances: Floats
    pre_fit: float
    drift: float
    drift_p: float
    dispersion: float
    between_areas: float

    @property
    def parallel(self) -> bool:
        """See `Effect`."""
        return self.drift_p >= 0.05


def effect(
    counts: ArrayLike,
    treated: ArrayLike,
    start: int,
    *,
    level: ArrayLike | None = None,
    adjacent: ArrayLike | None = None,
    each: int = 10,
) -> Effect:
    """Compare areas treated with matched areas, before and after.

    Parameters
    ----------
    counts : array_like, shape (a, t)
        Events by area and period, all known.
    treated : array_like of bool, shape (a,)
    start : int
        The first period after the measure began; leave out periods in which it was being set up.
    level : array_like, shape (a,), optional
        Kinds of areas; one is only compared with its like.
    adjacent : array_like of int, shape (e, 2), optional
        Pairs of areas side by side. Areas beside a treated one are not controls then, as what was
        driven out may have gone there.
    each : int
        How many controls an area treated asks for; those of several may be the same.

    Raises
    ------
    EffectError
        Too few controls, periods or events, or input that does not fit, in a sentence.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> mean = np.full((30, 20), 40.0)
    >>> mean[:3, 12:] *= 0.4
    >>> found = effect(rng.poisson(mean), np.arange(30) < 3, 12)
    >>> found.low < -0.6 < found.high, found.high < 0, found.parallel
    (True, True, True)
    """
    known, chosen = _checked(counts, treated, start)
    pool = _pool(chosen, level, adjacent)
    controls, distances = _match(known[:, :start], chosen, pool, level, each)
    if len(controls) < FEWEST_CONTROLS:
        raise EffectError(
            f"there are {len(controls)} areas to compare with and {FEWEST_CONTROLS} are needed: "
            "of the same level, not treated, and not beside a treated one if that was asked"
        )
    before, after = known[:, :start].sum(axis=1), known[:, start:].sum(axis=1)
    _enough(before, after, chosen, controls)
    noise = _Noise.of(known, start, chosen, controls)
    group = np.flatnonzero(chosen)
    log_ratio, error = noise.compare(before, after, group, controls)
    freedom = len(controls) - 1
    reach = stats.t.ppf(0.975, freedom) * error
    drift, drift_p = _drift(known[:, :start], group, controls)
    periods = start, known.shape[1] - start
    levels = before[group].sum() / periods[0], after[group].sum() / periods[1]
    others = before[controls].sum() / periods[0], after[controls].sum() / periods[1]
    changes = levels[1] / levels[0] - 1, others[1] / others[0] - 1
    return Effect(
        *levels, *changes,
        effect=(1 + changes[0]) / (1 + changes[1]) - 1,
        low=float(np.expm1(log_ratio - reach)), high=float(np.expm1(log_ratio + reach)),
        p=float(2 * stats.t.sf(abs(log_ratio) / error, freedom)),
        placebo_p=_placebo_p(noise, before, after, log_ratio / error, pool, controls),
        controls=controls, distances=distances,
        pre_fit=_pre_fit(known[:, :start], group, controls), drift=drift, drift_p=drift_p,
        dispersion=noise.dispersion, between_areas=float(np.sqrt(noise.between)),
    )  # fmt: skip


def _checked(counts: ArrayLike, treated: ArrayLike, start: int) -> tuple[Floats, Bools]:
    known, chosen = np.asarray(counts, dtype=float), np.asarray(treated, dtype=bool)
    if known.ndim != 2 or chosen.shape != known.shape[:1]:
        raise EffectError("counts are a row per area, and treated is one yes or no for each")
    if not np.isfinite(known).all() or (known < 0).any():
        raise EffectError("every count has to be known and 0 or more; leave out other periods")
    if not chosen.any():
        raise EffectError("no area is treated: name those in which the measure was taken")
    if not 0 <= start < known.shape[1]:
        raise EffectError(
            f"there is no period after the measure yet: it begins with period {start} of "
            f"{known.shape[1]}, counted from 0"
        )
    if start < FEWEST_BEFORE:
        raise EffectError(
            f"{start} periods before the measure are too few to see how areas ran without it: "
            f"{FEWEST_BEFORE} are needed"
        )
    return known, chosen


def _pool(treated: Bools, level: ArrayLike | None, adjacent: ArrayLike | None) -> Ints:
    """Areas that may be controls."""
    barred = treated.copy()
    if adjacent is not None:
        pairs = np.asarray(adjacent, dtype=int).reshape(-1, 2)
        for one, other in (pairs.T, pairs.T[::-1]):
            barred[other[treated[one]]] = True
    if level is not None:
        kinds = np.asarray(level)
        if kinds.shape != treated.shape:
            raise EffectError("level is one value for each area")
        barred |= ~np.isin(kinds, kinds[treated])
    return np.flatnonzero(~barred)


def _match(
    before: Floats, treated: Bools, pool: Ints, level: ArrayLike | None, each: int
) -> tuple[Ints, Floats]:
    """The areas that ran most like the treated ones, in volume and course."""
    blocks = np.array_split(np.arange(before.shape[1]), min(BLOCKS, before.shape[1]))
    # The square root evens out the variance of counts (Anscombe 1948).
    course = np.column_stack([np.sqrt(before[:, b].sum(axis=1) + 3 / 8) for b in blocks])
    spread = course.std(axis=0)
    course /= np.where(spread > 0, spread, 1.0)
    kinds = np.zeros(len(before)) if level is None else np.asarray(level)
    nearest: dict[int, float] = {}
    for area in np.flatnonzero(treated):
        alike = pool[kinds[pool] == kinds[area]]
        distance = np.sqrt(((course[alike] - course[area]) ** 2).mean(axis=1))
        for i in np.argsort(distance, kind="stable")[:each]:
            control = int(alike[i])
            nearest[control] = min(nearest.get(control, np.inf), float(distance[i]))
    order = sorted(nearest, key=lambda control: (nearest[control], control))
    return np.array(order, dtype=int), np.array([nearest[control] for control in order])


def _enough(before: Floats, after: Floats, treated: Bools, controls: Ints) -> None:
    for name, events in (
        ("in the areas treated before the measure", before[treated].sum()),
        ("in the control areas before the measure", before[controls].sum()),
        ("in the control areas after it", after[controls].sum()),
    ):
        if events < FEWEST_EVENTS:
            raise EffectError(
                f"{events:.0f} events {name} are too few to tell a change: {FEWEST_EVENTS} are "
                "needed; take more areas or a longer time"
            )


@dataclass(frozen=True)
class _Noise:
    """How much log changes of areas vary without a measure."""

    dispersion: float  # of counts about an area's own level
    between: float  # variance of areas' own log changes

    @classmethod
    def of(cls, counts: Floats, start: int, treated: Bools, controls: Ints) -> "_Noise":
        rows = counts[np.concatenate([np.flatnonzero(treated), controls])]
        chi2, freedom = 0.0, 0
        for part in (rows[:, :start], rows[:, start:]):
            mean = part.sum(axis=1, keepdims=True) * part.sum(axis=0) / max(part.sum(), 1)
            chi2 += float(((part - mean) ** 2 / np.where(mean > 0, mean, 1.0)).sum())
            freedom += ((mean.sum(axis=1) > 0).sum() - 1) * ((mean.sum(axis=0) > 0).sum() - 1)
        dispersion = max(chi2 / max(freedom, 1), 1.0)
        after, both = counts[controls, start:].sum(axis=1), counts[controls].sum(axis=1)
        share, total = after.sum() / both.sum(), both.sum()
        spread = share * (1 - share)
        seen = float(((after - both * share) ** 2 / np.where(both > 0, both * spread, 1.0)).sum())
        chance = dispersion * (len(controls) - 1)
        room = spread * (total - (both**2).sum() / total)
        return cls(dispersion, max((seen - chance) / room, 0.0) if room > 0 else 0.0)

    def compare(
        self, before: Floats, after: Floats, group: Ints, controls: Ints
    ) -> tuple[float, float]:
        """Log ratio of ratios of a group to controls, and its standard error."""
        ratio, variance = 0.0, 0.0
        for sign, areas in ((1, group), (-1, controls)):
            # Nothing at all is taken as half an event, so that its logarithm has an interval.
            b, a = max(before[areas].sum(), 0.5), max(after[areas].sum(), 0.5)
            share = (before + after)[areas] / max((before + after)[areas].sum(), 1.0)
            ratio += sign * float(np.log(a / b))
            variance += self.dispersion * (1 / a + 1 / b) + self.between * float((share**2).sum())
        return ratio, float(np.sqrt(variance))


def _placebo_p(
    noise: _Noise, before: Floats, after: Floats, z: float, pool: Ints, controls: Ints
) -> float:
    """Rank of the effect, by its error, among those of areas in which nothing was done.

    The constant of unequal numbers of periods before and after cancels in ratios of ratios.
    """
    able = pool[before[pool] >= FEWEST_EVENTS]
    found = []
    for area in able:
        rest = controls[controls != area]
        ratio, error = noise.compare(before, after, np.array([area]), rest)
        found.append(abs(ratio) / error)
    return (1 + int((np.array(found) >= abs(z)).sum())) / (1 + len(found))


def _drift(before: Floats, group: Ints, controls: Ints) -> tuple[float, float]:
    """Growth of treated by controls per period, with a level of its own for every period."""
    n = before.shape[1]
    seen = (before[group].sum(axis=0) + before[controls].sum(axis=0)) > 0
    time = np.arange(n)[seen] - np.arange(n)[seen].mean()
    m = len(time)
    if m < FEWEST_BEFORE:
        raise EffectError("there are events in too few of the periods before the measure")
    design = np.zeros((2 * m, m + 2))
    design[:m, :m] = design[m:, :m] = np.eye(m)
    design[:m, m], design[:m, m + 1] = 1, time
    both = np.concatenate([before[group].sum(axis=0)[seen], before[controls].sum(axis=0)[seen]])
    fits = loglinear.fit(both[None, :], design)
    slope = float(fits.coefficients[0, -1])
    error = float(np.sqrt(max(fits.dispersion[0], 1.0) * fits.covariance[0, -1, -1]))
    return float(np.expm1(slope)), float(2 * stats.t.sf(abs(slope) / error, m - 2))


def _pre_fit(before: Floats, group: Ints, controls: Ints) -> float:
    ours, theirs = before[group].sum(axis=0), before[controls].sum(axis=0)
    scaled = theirs * ours.sum() / theirs.sum()
    return float(np.sqrt(((ours - scaled) ** 2).mean()) / ours.mean())
