"""Where events are to be expected next: per cell, from where they were.

The rate of events in cell i is in proportion to

    (1 - B_i) sum_m w_m F_im  +  B_i sum_k v_k n_ik / T,     B_i = M_i / (kappa + M_i)

- F_im are smoothed densities of the earlier events: Gaussian kernels of 150, 300 and 600 m, one of
  150 m that forgets with an e-folding of 14 days (near repeats: Townsley, Homel and Chaseling 2003;
  Johnson et al. 2007), and the same everywhere;
- n_ik are the cell's own events of kind k in T days (repeats at the very place), and once more
  those of the last two weeks;
- B_i weighs one against the other as the Gamma-Poisson shrinkage of Clayton and Kaldor (1987)
  does. M_i are the events to be expected there from the neighbourhood: one event in a quiet street
  says little, ten in a busy one say much, and the longer is looked at, the more a cell speaks for
  itself.

It is a self-exciting point process in the manner of Mohler et al. (2011, 2015) whose kernels are a
fixed dictionary: only weights are estimated, none negative, so that the likelihood has one maximum
and no luck of a start. The weights and kappa are those under which forecasts from rolling origins
*within the known period* were likeliest: each is made of what came before its origin and judged on
what came after. Nothing after the last origin is ever looked at.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array

from gis.plane import Floats
from gis.squares import Ints, Squares

SCALES_M = (150.0, 300.0, 600.0)
MEMORY_DAYS = 14.0
_LEVEL_DAYS = 56.0  # how many there are in all forgets more slowly than where they are
_KAPPAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
_FINE = 3  # parts of a cell's side, so that a kernel knows where in a cell an event was
_MOST_KINDS = 12  # the commonest have weights of their own, the others one in common
_MOST_ORIGINS = 4
_LEAST_DAYS = 7.0  # a shorter trial period has too few events to learn from
_FIXED = len(SCALES_M) + 3  # how many features do not depend on the kind
_PRIOR = 20.0  # events' worth of belief that kinds are alike
_MOST_STEPS = 100
_SETTLED = 1e-6  # the climb ends where no step promises more log-likelihood


@dataclass(frozen=True, eq=False)
class Events:
    """e events in cells.

    Attributes
    ----------
    cell : (e,) ndarray of int
        The cell of each.
    fine : (e,) ndarray of int
        Its place in the raster of the cells' ninths.
    day : (e,) ndarray of float
        Time in days from any instant.
    kind : (e,) ndarray of int
        Codes from 0.
    outside : int
        How many others were outside of all cells, and are not among these.
    """

    cell: Ints
    fine: Ints
    day: Floats
    kind: Ints
    outside: int

    @classmethod
    def of(
        cls, cells: Squares, xy_m: npt.ArrayLike, day: npt.ArrayLike, kind: npt.ArrayLike = 0
    ) -> "Events":
        """Events at points (n, 2), metres in the plane of the cells, at times (n,), days.

        Raises
        ------
        ValueError
            Shapes that do not fit, times that are no numbers, or negative kinds.
        """
        points, times = np.asarray(xy_m, float).reshape(-1, 2), np.asarray(day, float)
        if times.shape != (len(points),) or not np.isfinite(times).all():
            raise ValueError("every event needs a place (x, y) and a time in days.")
        kinds = np.broadcast_to(np.asarray(kind, int), times.shape)
        if (kinds < 0).any():
            raise ValueError("kinds are codes from 0.")
        cell = cells.of(points)
        inside = cell >= 0
        points, cell = points[inside], cell[inside]
        row, column = np.divmod(cells.square[cell], cells.shape[1])
        low = np.column_stack([column, row]) * cells.side_m + (cells.west_m, cells.south_m)
        part = np.clip(((points - low) / cells.side_m * _FINE).astype(int), 0, _FINE - 1)
        fine = (row * _FINE + part[:, 1]) * cells.shape[1] * _FINE + column * _FINE + part[:, 0]
        return cls(cell, fine, times[inside], kinds[inside], int((~inside).sum()))

    def __len__(self) -> int:
        return len(self.cell)

    def between(self, start: float, end: float) -> "Events":
        """Those with start <= day < end."""
        some = (self.day >= start) & (self.day < end)
        return Events(
            self.cell[some], self.fine[some], self.day[some], self.kind[some], self.outside
        )

    def counts(self, cells: Squares) -> Floats:
        """(c,): how many are in each cell."""
        return np.bincount(self.cell, minlength=len(cells)).astype(float)


@dataclass(frozen=True, eq=False)
class Parameters:
    """What `fit` found.

    Attributes
    ----------
    weights : (f,) ndarray of float
        Of the features in the order of the module's docstring: everywhere, the kernels from
        narrow to wide, the one that forgets, own recent events, own events by kind.
    kappa : float
        At how many events expected from the neighbourhood a cell's own are half believed.
    kinds : (g,) ndarray of int
        Kinds with a weight of their own; the last weight is that of all others.
    origins : tuple of float
        From which days the trial forecasts were made.
    """

    weights: Floats
    kappa: float
    kinds: Ints
    origins: tuple[float, ...]


def forecast(
    events: Events, cells: Squares, origin: float, ahead_days: float, parameters: Parameters
) -> Floats:
    """Events to be expected in each cell in the days after an origin.

    Parameters
    ----------
    events : Events
        What is known; those from `origin` on are not looked at.
    origin, ahead_days : float
        When the period begins (in the events' days), and how long it is.

    Returns
    -------
    (c,) ndarray of float
        Above 0 everywhere. The sum is what there was per day, of late more than of old.

    Raises
    ------
    ValueError
        Nothing is known before the origin, or the period is not above 0.
    """
    if not ahead_days > 0:
        raise ValueError(f"the period ahead is {ahead_days} days; it must be above 0.")
    features = _Features(events, cells, origin, parameters.kinds)
    rate = features.at(parameters.kappa) @ parameters.weights
    return np.asarray(rate * (ahead_days * features.level / rate.sum()))


def fit(events: Events, cells: Squares, origin: float, ahead_days: float) -> Parameters:
    """The parameters by trial forecasts within what is known at an origin.

    Up to four trial periods that do not overlap end at the origin, each as long as the period
    ahead but at most a quarter of the known time. Where little happened the weights stay near
    those of a plain mean.

    Raises
    ------
    ValueError
        Nothing is known before the origin.
    """
    known = _known(events, origin)
    trials = _Trials(known, cells, *_origins(float(known.day.min()), origin, ahead_days))
    plain, doubt = np.full(_FIXED + 1, 1 / (_FIXED + 1)), np.ones(_FIXED + 1)
    alike = trials.features(np.empty(0, int))
    found = [trials.climb(alike, kappa, plain, doubt) for kappa in _KAPPAS]
    best = int(np.argmax([each.likelihood for each in found]))
    common = found[best].weights
    kinds = np.argsort(-np.bincount(known.kind), kind="stable")[:_MOST_KINDS]
    prior = np.append(common[:_FIXED], np.full(len(kinds) + 1, common[_FIXED]))
    strength = np.append(doubt[:_FIXED], np.full(len(kinds) + 1, _PRIOR))
    weights = trials.climb(trials.features(kinds), _KAPPAS[best], prior, strength).weights
    return Parameters(weights, _KAPPAS[best], kinds, tuple(trials.origins))


def kernel_density(events: Events, cells: Squares, origin: float, bandwidth_m: float) -> Floats:
    """(c,): events before the origin, spread by a Gaussian kernel (standard deviation in m).

    The kernel is summed over the ninths of each cell, from the ninth that the event was in; what
    it spreads beyond the area is lost.

    Raises
    ------
    ValueError
        Nothing is known before the origin, or the bandwidth is not above 0.
    """
    if not bandwidth_m > 0:
        raise ValueError(f"the bandwidth is {bandwidth_m:g} m; it must be above 0.")
    known = _known(events, origin)
    return _spread(known, cells, np.ones(len(known)), bandwidth_m)


class _Features:
    """The features of all cells at an origin, each as events a day."""

    def __init__(self, events: Events, cells: Squares, origin: float, kinds: Ints) -> None:
        known = _known(events, origin)
        days = max(origin - float(known.day.min()), 1.0)
        fading, recent = _fading(known, origin, days, MEMORY_DAYS)
        slowly, lately = _fading(known, origin, days, _LEVEL_DAYS)
        self.level = float(slowly.sum() / lately)  # events a day in all
        one = np.ones(len(known))
        spread = [_spread(known, cells, one, scale) for scale in SCALES_M]
        self.near = spread[0]  # events to be expected from the neighbourhood
        everywhere = cells.area_m2 / cells.area_m2.sum() * len(known)
        near_recent = _spread(known, cells, fading, SCALES_M[0])
        rates = [each / days for each in (everywhere, *spread)]
        self.kernels = np.column_stack([*rates, near_recent / recent])
        group = np.full(int(known.kind.max()) + 1, len(kinds))
        group[kinds[kinds < len(group)]] = np.flatnonzero(kinds < len(group))
        size = (len(cells), len(kinds) + 1)
        by_kind = coo_array((one, (known.cell, group[known.kind])), size).toarray()
        own_recent = np.bincount(known.cell, fading, minlength=len(cells))
        self.own = np.column_stack([own_recent / recent, by_kind / days])

    def at(self, kappa: float) -> Floats:
        """(c, f): the kernels' and the own, each by how far it is believed."""
        trust = (self.near / (kappa + self.near))[:, None]
        return np.hstack([self.kernels * (1 - trust), self.own * trust])


class _Trials:
    """Trial forecasts from origins in the known time, and what came in the days after each."""

    def __init__(self, known: Events, cells: Squares, origins: list[float], days: float) -> None:
        self.known, self.cells, self.origins, self.days = known, cells, origins, days
        came = [known.between(at, at + days).counts(cells) for at in origins]
        self.counts = np.concatenate(came)

    def features(self, kinds: Ints) -> list[_Features]:
        return [_Features(self.known, self.cells, at, kinds) for at in self.origins]

    def climb(
        self, features: list[_Features], kappa: float, prior: Floats, strength: Floats
    ) -> "_Climb":
        rows = self.days * np.concatenate([each.at(kappa) for each in features])
        hit = self.counts > 0
        return _climbed(rows[hit], self.counts[hit], rows.sum(axis=0), prior, strength)


class _Climb(NamedTuple):
    weights: Floats
    likelihood: float  # its logarithm, but for a constant


def _climbed(
    rows: Floats, counts: Floats, total: Floats, prior: Floats, strength: Floats
) -> _Climb:
    """Weights of the greatest posterior of Poisson counts, by Newton's method.

    `rows` are the features where `counts` are above 0, `total` their sums over all cells. The prior
    of each weight is a Gamma worth `strength` events around `prior`: it keeps weights above 0, and
    one whose feature is nowhere above 0 as it was.
    """
    weights = np.maximum(prior, 1e-6)
    pull = strength / weights

    def likelihood(at: Floats) -> float:
        return float(counts @ np.log(rows @ at) - total @ at)

    def height(at: Floats) -> float:
        return likelihood(at) + float(strength @ np.log(at) - pull @ at)

    here = height(weights)
    for _ in range(_MOST_STEPS):
        rate = rows @ weights
        slope = rows.T @ (counts / rate) - total + strength / weights - pull
        bent = rows * (np.sqrt(counts) / rate)[:, None]
        step = np.linalg.solve(bent.T @ bent + np.diag(strength / weights**2), slope)
        if slope @ step < 2 * _SETTLED:
            break
        length = min(1.0, 0.9 / max(float((-step / weights).max()), 1e-9))
        while (there := height(weights + length * step)) < here and length > 1e-6:
            length /= 2
        weights, here = weights + length * step, there
    return _Climb(weights, likelihood(weights))


def _known(events: Events, origin: float) -> Events:
    known = events.between(-np.inf, origin)
    if not len(known):
        raise ValueError("no event is known in the area before the origin; nothing can be learnt.")
    return known


def _origins(first: float, origin: float, ahead_days: float) -> tuple[list[float], float]:
    """Where trial forecasts begin, and how long each is."""
    length = min(max(ahead_days, _LEAST_DAYS), max(origin - first, 1e-9) / 4)
    count = min(_MOST_ORIGINS, int((origin - first) / length + 1e-9) - 1)
    return [origin - length * back for back in range(count, 0, -1)], length


def _fading(known: Events, origin: float, days: float, memory_days: float) -> tuple[Floats, float]:
    """The weight of each event by its age, and what it would add up to at one event a day."""
    weight = np.exp((known.day - origin) / memory_days)
    return weight, float(memory_days * -np.expm1(-days / memory_days))


def _spread(events: Events, cells: Squares, weight: Floats, scale_m: float) -> Floats:
    shape = (cells.shape[0] * _FINE, cells.shape[1] * _FINE)
    fine = np.bincount(events.fine, weight, minlength=shape[0] * shape[1]).reshape(shape)
    smooth = gaussian_filter(fine, scale_m * _FINE / cells.side_m, mode="constant")
    summed = smooth.reshape(cells.shape[0], _FINE, cells.shape[1], _FINE).sum(axis=(1, 3))
    return np.asarray(summed.ravel()[cells.square] * (cells.area_m2 / cells.side_m**2))
