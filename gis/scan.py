"""Clusters in space and time that are under way today: the space-time permutation scan statistic.

Kulldorff, Heffernan, Hartman, Assunção & Mostashari, "A space-time permutation scan statistic for
disease outbreak detection", *PLoS Medicine* 2 (2005), e59. Circles round each area's centroid,
times the last 1 to so many days, make cylinders. A cylinder expects its areas' share of its days'
cases: nothing but the cases themselves has to be known, and neither places nor days with many cases
as such make a cluster. The likeliest cylinder is tested by permuting the days among the cases,
which corrects for all the cylinders that were looked at.

What makes it fast: margins are kept by a permutation, so a cylinder's expectation is the same in
each, and the count that it needs to beat a given ratio is an integer known beforehand. All circles
grow by one neighbour at a time, which costs a replicate one gather, one sum and one comparison of
small integers; a logarithm is taken where the comparison succeeds.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PILOTS = 19
"""Replicates that are computed in full to learn how high a ratio gets by chance."""
MARGIN = 0.8
"""Of the lowest pilot's ratio: a replicate that stays under it is computed in full too."""
FEWEST = 2  # cases of a cluster: one case is none
MOST_CYLINDERS = 50_000_000  # some 500 MB


@dataclass(frozen=True, eq=False)
class Cluster:
    """A cylinder that has more cases than its share.

    Attributes
    ----------
    centre : int
        The area round whose centroid the circle lies.
    areas : (k,) ndarray of int
        By distance, the centre first.
    radius_m : float
        Distance to the farthest centroid.
    first_day, days : int
        From when on (an index of days), and how many days, today included.
    observed : int
    expected, ratio : float
        Cases by shares, and observed by expected.
    llr : float
        Logarithm of the likelihood ratio.
    p : float
        Chance that any cylinder reaches this ratio if there is no interaction of space and time; no
        smaller than 1 / (replications + 1).
    """

    centre: int
    areas: Ints
    radius_m: float
    first_day: int
    days: int
    observed: int
    expected: float
    llr: float
    p: float

    @property
    def ratio(self) -> float:
        """Observed by expected."""
        return self.observed / self.expected

    @property
    def recurrence_days(self) -> float:
        """A cluster like this comes by chance once in so many daily scans."""
        return 1 / self.p


@dataclass(frozen=True, eq=False)
class Scan:
    """Clusters, the likeliest first, none sharing an area with one before; and the test behind.

    Attributes
    ----------
    clusters : tuple of Cluster
    maxima : (replications,) ndarray
        The highest ratios (logarithms) by chance.
    cylinders : int
        How many were looked at.
    """

    clusters: tuple[Cluster, ...]
    maxima: Floats
    cylinders: int


def scan(
    area: ArrayLike,
    day: ArrayLike,
    xy_m: ArrayLike,
    days: int,
    *,
    max_radius_m: float = 3000.0,
    max_share: float = 0.5,
    max_days: int = 14,
    replications: int = 999,
    most: int = 10,
    strata: ArrayLike | None = None,
    seed: int = 0,
    threads: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """Look for clusters that are under way on the last day.

    Parameters
    ----------
    area, day : array_like of int, shape (n,)
        Of each case, as indices of `xy_m` and of days; the last day is `days` - 1.
    xy_m : array_like, shape (a, 2)
        Centroids of the areas, metres in a plane.
    days : int
        How many days the cases are of, at least two times `max_days`.
    max_radius_m : float
        Of a circle, metres.
    max_share : float
        Of all cases, the most that a circle has; an area with more is still a circle of its own.
    max_days : int
        Of a cylinder.
    replications : int
        One less than a multiple of 20 makes 0.05 a possible p-value.
    most : int
        Clusters to return.
    strata : array_like of int, shape (days,), optional
        Kinds of days, as working days and holidays. Days are permuted within them, so that an area
        which is only busier on holidays makes no cluster.
    seed : int
        Gives the same answer again, whatever the number of threads.
    progress : callable, optional
        Told how many replicates of how many are done.

    Raises
    ------
    ValueError
        With a sentence: no cases, an area or a day that is not there (in the future), too few days,
        centroids that are not numbers, more cylinders than there is room for.

    Examples
    --------
    Two cases a day at each of three places, and ten today at the last:

    >>> day, area = np.divmod(np.arange(360), 6)
    >>> day, area = np.append(day, [59] * 10), np.append(area // 2, [2] * 10)
    >>> found = scan(area, day, [[0, 0], [500, 0], [9000, 0]], 60, replications=99)
    >>> [(c.areas.tolist(), c.days, c.observed, c.p) for c in found.clusters[:1]]
    [([2], 1, 12, 0.02)]
    """
    cases = _cases(area, day, xy_m, days, max_days, strata)
    circles = _circles(np.asarray(xy_m, dtype=float), cases, max_radius_m, max_share)
    observed = cases.observed()
    ratios, lengths = _ratios(observed, circles, cases)
    seeds = np.random.SeedSequence(seed).spawn(replications)
    maxima = _maxima(cases, circles, seeds, threads, progress)
    chosen = _separate(ratios, circles, most)
    clusters = tuple(
        _cluster(k, z, int(lengths[k, z]), observed, circles, cases, maxima) for k, z in chosen
    )
    return Scan(clusters, maxima, int(circles.size.sum()) * cases.length)


@dataclass(frozen=True, eq=False)
class _Cases:
    """Cases by area and by age in days, which is 0 today."""

    area: list[Ints]  # of every case, by stratum
    ages: list[Ints]  # of the recent cases of each stratum
    recent: tuple[Ints, Ints]  # area and age of the recent cases
    expected: Floats  # (a + 1, length), cases by shares in the last 1, 2, ... days
    areas: int
    length: int
    days: int

    @property
    def total(self) -> int:
        return sum(len(area) for area in self.area)

    def observed(self) -> NDArray[np.integer]:
        return self._count(*self.recent)

    def permuted(self, seed: np.random.SeedSequence) -> NDArray[np.integer]:
        """The same after days are permuted among cases: only recent days have to be dealt out."""
        rng = np.random.default_rng(seed)
        drawn = [
            rng.choice(area, len(ages), replace=False)
            for area, ages in zip(self.area, self.ages, strict=True)
        ]
        return self._count(np.concatenate(drawn), np.concatenate(self.ages))

    def _count(self, area: Ints, age: Ints) -> NDArray[np.integer]:
        """(a + 1, length) cases in the last 1, 2, ... days; the last row is of no area."""
        size = (self.areas + 1) * self.length
        counts = np.bincount(area * self.length + age, minlength=size)
        small = np.int16 if len(area) < np.iinfo(np.int16).max else np.int32
        return np.cumsum(counts.reshape(-1, self.length), axis=1).astype(small)


def _cases(
    area: ArrayLike, day: ArrayLike, xy_m: ArrayLike, days: int, max_days: int,
    strata: ArrayLike | None,
) -> _Cases:  # fmt: skip
    where, when = np.asarray(area, dtype=int), np.asarray(day, dtype=int)
    areas = len(np.asarray(xy_m))
    if where.shape != when.shape or where.ndim != 1:
        raise ValueError("area and day are one number each per case")
    if not len(where):
        raise ValueError("there are no cases to scan")
    if ((where < 0) | (where >= areas)).any():
        raise ValueError(f"an area of a case is none of the {areas} that have a centroid")
    if ((when < 0) | (when >= days)).any():
        raise ValueError(f"a case lies outside of the {days} days, perhaps in the future")
    if not 1 <= max_days <= days // 2:
        raise ValueError(
            f"clusters of up to {max_days} days need cases of {2 * max(max_days, 1)} days or more "
            f"to be held to, and there are {days}"
        )
    kind = np.zeros(days, dtype=int) if strata is None else np.asarray(strata, dtype=int)
    if kind.shape != (days,):
        raise ValueError(f"strata are one number for each of the {days} days")
    age = days - 1 - when
    expected = np.zeros((areas + 1, max_days))
    by_stratum, ages = [], []
    for stratum in np.unique(kind):
        inside = kind[when] == stratum
        margin = np.bincount(where[inside], minlength=areas + 1)
        recent = np.bincount(age[inside], minlength=max_days)[:max_days]
        if inside.any():
            expected += margin[:, None] * recent / inside.sum()
        by_stratum.append(where[inside])
        ages.append(np.repeat(np.arange(max_days), recent))
    now = age < max_days
    return _Cases(
        by_stratum, ages, (where[now], age[now]), np.cumsum(expected, axis=1), areas, max_days, days
    )


@dataclass(frozen=True, eq=False)
class _Circles:
    """Circles that grow by a neighbour a step; those with most steps first.

    At step k the first `size[k]` of the centres grow by the areas `neighbour[k, :size[k]]`.
    """

    centre: Ints  # (z,)
    neighbour: Ints  # (k, z); the number of areas where a circle grows no more
    distance_m: Floats  # (k, z)
    size: Ints  # (k,)


def _circles(xy_m: Floats, cases: _Cases, max_radius_m: float, max_share: float) -> _Circles:
    if xy_m.ndim != 2 or xy_m.shape[1] != 2 or not np.isfinite(xy_m).all():
        raise ValueError("centroids are two numbers of metres each")
    if not max_radius_m >= 0 or not 0 < max_share <= 1:
        raise ValueError("the radius is 0 m or more, the share over 0 and at most 1")
    tree = cKDTree(xy_m)
    reach = max_radius_m * (1 + 1e-9) + 1e-9  # of equally far areas all or none
    steps = int(tree.query_ball_point(xy_m, reach, return_length=True).max())
    if steps * len(xy_m) * cases.length > MOST_CYLINDERS:
        raise ValueError(
            f"circles of {max_radius_m:g} m would have up to {steps} of {len(xy_m)} areas each: "
            "that is too much to look at; take a smaller radius, fewer days or larger areas"
        )
    distance, neighbour = tree.query(xy_m, k=np.arange(1, steps + 1), distance_upper_bound=reach)
    # Of centroids in one place the own one comes first.
    neighbour[:, 0] = np.arange(len(xy_m))
    margin = np.bincount(np.concatenate(cases.area), minlength=cases.areas + 1)
    share = np.cumsum(margin[neighbour], axis=1) / cases.total
    inside = (share <= max_share) & (neighbour < cases.areas)
    inside[:, 0] = True
    count = inside.sum(axis=1)  # shares rise: what is inside comes first
    order = np.argsort(-count, kind="stable")
    inside, steps = inside[order], int(count.max())
    return _Circles(
        order,
        np.where(inside, neighbour[order], cases.areas).T[:steps].copy(),
        distance[order].T[:steps],
        inside.sum(axis=0)[:steps],
    )


def _llr(count: NDArray[np.integer] | Ints, expected: Floats, total: int) -> Floats:
    """Logarithm of the likelihood ratio; 0 where there are not more cases than expected."""
    c, e = count.astype(float), np.asarray(expected, dtype=float)
    above = (c > e) & (c >= FEWEST)
    c, e = np.where(above, c, 1.0), np.where(above, e, 1.0)
    rest = total - c
    outside = rest * np.log(np.where(rest > 0, rest, 1.0) / np.maximum(total - e, 1e-300))
    return np.asarray(np.where(above, c * np.log(c / e) + outside, 0.0))


def _ratios(counts: NDArray[np.integer], circles: _Circles, cases: _Cases) -> tuple[Floats, Ints]:
    """The highest ratio of each circle (k, z) over its days, and which number of days that is."""
    shape = circles.neighbour.shape
    ratios, lengths = np.zeros(shape), np.ones(shape, dtype=int)
    inside = np.zeros((shape[1], cases.length), dtype=int)
    expected = np.zeros((shape[1], cases.length))
    for k, grown in enumerate(circles.size):
        inside[:grown] += counts[circles.neighbour[k, :grown]]
        expected[:grown] += cases.expected[circles.neighbour[k, :grown]]
        llr = _llr(inside[:grown], expected[:grown], cases.total)
        best = llr.argmax(axis=1)
        ratios[k, :grown], lengths[k, :grown] = llr[np.arange(grown), best], best + 1
    return ratios, lengths


def _maxima(
    cases: _Cases,
    circles: _Circles,
    seeds: list[np.random.SeedSequence],
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> Floats:
    """The highest ratio over all cylinders of each replicate."""
    pilots = [_full_maximum(cases.permuted(seed), circles, cases) for seed in seeds[:PILOTS]]
    needed = _needed(MARGIN * min(pilots, default=0.0), circles, cases)

    def maximum(seed: np.random.SeedSequence) -> float:
        counts = cases.permuted(seed)
        found = _maximum(counts, needed, circles, cases)
        return _full_maximum(counts, circles, cases) if found is None else found

    maxima = list(pilots)
    with ThreadPoolExecutor(threads) as pool:
        for value in pool.map(maximum, seeds[PILOTS:]):
            maxima.append(value)
            if progress is not None:
                progress(len(maxima), len(seeds))
    return np.array(maxima)


def _full_maximum(counts: NDArray[np.integer], circles: _Circles, cases: _Cases) -> float:
    return float(_ratios(counts, circles, cases)[0].max())


@dataclass(frozen=True, eq=False)
class _Needed:
    """What cylinders need to reach a ratio, by step: arrays (size[k], length)."""

    counts: list[NDArray[np.integer]]
    expected: list[Floats]


def _needed(llr: float, circles: _Circles, cases: _Cases) -> _Needed:
    """For each cylinder the least count whose ratio is `llr` or more.

    The ratio of a count falls as the expectation rises, so each count has a greatest expectation
    that it still suffices for; these rise with the count, and a search among them answers it.
    """
    most = sum(len(ages) for ages in cases.ages)
    counts = np.arange(1, most + 1)
    low, high = np.zeros(most), counts.astype(float)
    for _ in range(60):
        middle = (low + high) / 2
        enough = _llr(counts, middle, cases.total) >= llr
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    small = cases.observed().dtype
    needed, expectations = [], []
    expected = np.zeros((circles.neighbour.shape[1], cases.length))
    for k, grown in enumerate(circles.size):
        expected[:grown] += cases.expected[circles.neighbour[k, :grown]]
        # One count too low costs a logarithm, one too high an answer.
        least = np.searchsorted(high * (1 + 1e-9), expected[:grown]) + 1
        needed.append(np.minimum(least, np.iinfo(small).max).astype(small))
        expectations.append(expected[:grown].copy())
    return _Needed(needed, expectations)


def _maximum(
    counts: NDArray[np.integer], needed: _Needed, circles: _Circles, cases: _Cases
) -> float | None:
    """The highest ratio if one is reached as `needed`, else None."""
    shape = (circles.neighbour.shape[1], cases.length)
    inside = np.zeros(shape, dtype=counts.dtype)
    grow, hit = np.empty_like(inside), np.empty(shape, dtype=bool)
    best = None
    for k, grown in enumerate(circles.size):
        part = grow[:grown]
        np.take(counts, circles.neighbour[k, :grown], axis=0, out=part, mode="clip")
        inside[:grown] += part
        np.greater_equal(inside[:grown], needed.counts[k], out=hit[:grown])
        if hit[:grown].any():
            at = hit[:grown]
            llr = _llr(inside[:grown][at], needed.expected[k][at], cases.total).max()
            best = max(best or 0.0, float(llr))
    return best


def _separate(ratios: Floats, circles: _Circles, most: int) -> list[tuple[int, int]]:
    """The likeliest circles of which none shares an area with a likelier one."""
    taken = np.zeros(circles.centre.max() + 2, dtype=bool)
    chosen: list[tuple[int, int]] = []
    left = ratios.copy()
    while len(chosen) < most and left.max() > 0:
        k, z = np.unravel_index(int(left.argmax()), left.shape)
        taken[circles.neighbour[: k + 1, z]] = True
        chosen.append((int(k), int(z)))
        # A circle that has met a taken area has met it ever after.
        left[np.logical_or.accumulate(taken[circles.neighbour], axis=0)] = 0
    return chosen


def _cluster(
    k: int, z: int, length: int, observed: NDArray[np.integer], circles: _Circles,
    cases: _Cases, maxima: Floats,
) -> Cluster:  # fmt: skip
    areas = circles.neighbour[: k + 1, z]
    count = int(observed[areas, length - 1].sum())
    # Summed up area by area, as everywhere: equal cylinders have equal ratios to the last bit.
    expected = float(np.cumsum(cases.expected[areas, length - 1])[-1])
    llr = float(_llr(np.array([count]), np.array([expected]), cases.total)[0])
    return Cluster(
        centre=int(circles.centre[z]), areas=areas.copy(),
        radius_m=float(circles.distance_m[k, z]), first_day=cases.days - length, days=length,
        observed=count, expected=expected, llr=llr,
        p=(1 + int((maxima >= llr).sum())) / (1 + len(maxima)),
    )  # fmt: skip
