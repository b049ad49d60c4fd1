"""How good a forecast of places was, held against what happened next.

The measures are those of the Real-Time Crime Forecasting Challenge of the National Institute of
Justice (2016). Of an area A in which N events happened, a forecast names a part a in which n did:

- PAI = (n / N) / (a / A), the prediction accuracy index (Chainey, Tompson and Uhlig 2008);
- PAI* is the greatest PAI that any choice of cells of the same total area a could have had;
- PEI* = PAI / PAI*, the prediction efficiency index, from 0 to 1.

Cells are taken by expected events per square metre until a is exactly the share of A that was asked
for. So that it is exact, a part of the last cell is taken with the same part of its events; cells
that are expected alike are all taken by the same part, which is what a draw among them gives on
average. No order among ties, and so no knowledge of the future, gets into a score. PAI* is the same
with what happened in the place of what was expected: no choice of that area, of whole cells or of
parts, has more. At a few hundred small cells n* is close to N, and a low PEI* means little:
compare methods on the same cells, share and period only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gis.plane import Floats

_DRAWS = 2000


@dataclass(frozen=True)
class Score:
    """What a share of the area caught.

    Attributes
    ----------
    share : float
        a / A.
    a_m2, A_m2 : float
        The area named, and all of it.
    n, n_best, N : float
        Events in the area named (parts of cells count in part), in the best choice of the same
        area, and in all.
    """

    share: float
    a_m2: float
    A_m2: float
    n: float
    n_best: float
    N: float

    @property
    def pai(self) -> float:
        """(n / N) / (a / A)."""
        return self.n / self.N / self.share

    @property
    def pai_best(self) -> float:
        """PAI*: of the best choice of the same area."""
        return self.n_best / self.N / self.share

    @property
    def pei(self) -> float:
        """PEI* = PAI / PAI*."""
        return min(self.n / self.n_best, 1.0)  # never above but by rounding


def score(
    expected: npt.ArrayLike, happened: npt.ArrayLike, area_m2: npt.ArrayLike, share: float
) -> Score:
    """Score expected events of c cells on what happened in them.

    Parameters
    ----------
    expected : (c,) float
        By any measure that is 0 for nothing; only the order per square metre counts.
    happened : (c,) int or float
        Events of the period that was forecast.
    area_m2 : (c,) float
        Areas of the cells, above 0.
    share : float
        Of the whole area, above 0 and at most 1.

    Raises
    ------
    ValueError
        Wrong shapes, NaN or negative numbers, a share out of range, or nothing happened at all.

    Examples
    --------
    >>> found = score([3, 2, 0, 0], [4, 1, 5, 0], [1, 1, 1, 1], share=0.25)
    >>> found.pai, found.pai_best, found.pei
    (1.6, 2.0, 0.8)
    """
    forecast, events, area = _checked(expected, happened, area_m2, share)
    part = taken(forecast, area, share)
    best = taken(events, area, share)
    whole = float(area.sum())
    return Score(
        share, share * whole, whole, float(part @ events), float(best @ events),
        float(events.sum()),
    )  # fmt: skip


def taken(expected: npt.ArrayLike, area_m2: npt.ArrayLike, share: float) -> Floats:
    """(c,): what part of each cell (0 to 1) is among the best `share` of the area.

    Examples
    --------
    >>> taken([9, 4, 4, 0], [1, 1, 1, 1], share=0.5).tolist()
    [1.0, 0.5, 0.5, 0.0]
    """
    area = np.asarray(area_m2, float)
    level, tie = np.unique(-np.asarray(expected, float) / area, return_inverse=True)
    size = np.bincount(tie, area, minlength=len(level))
    before = np.cumsum(size) - size
    part = np.clip((share * area.sum() - before) / size, 0, 1)
    return np.asarray(part[tie], float)


def intervals(
    parts: Floats, cell: npt.NDArray[np.int64], day: npt.ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """The spread of n / N, and of the lead of the first method, over days drawn with replacement.

    Days are drawn, not events, for what happens on a day belongs together.

    Parameters
    ----------
    parts : (m, c) float
        What m methods took, from `taken`.
    cell, day : (e,) int, (e,) float
        Cell and time (in days) of the events that were forecast.

    Returns
    -------
    (m, 2) and (m, 2) ndarray
        Bounds of the caught share of each method, and of that of the first minus that of each.
        The same numbers for the same events: the draw is seeded.
    """
    of_day = np.unique(np.floor(np.asarray(day, float)), return_inverse=True)[1]
    days = int(of_day.max()) + 1
    caught = np.array([np.bincount(of_day, part[cell], minlength=days) for part in parts])
    draws = np.random.default_rng(2019).multinomial(days, np.full(days, 1 / days), _DRAWS)
    share = caught @ draws.T / (np.bincount(of_day, minlength=days) @ draws.T)
    ends = ((1 - level) / 2, (1 + level) / 2)
    return (
        np.asarray(np.quantile(share, ends, axis=1).T),
        np.asarray(np.quantile(share[0] - share, ends, axis=1).T),
    )


def _checked(
    expected: npt.ArrayLike, happened: npt.ArrayLike, area_m2: npt.ArrayLike, share: float
) -> tuple[Floats, Floats, Floats]:
    arrays = [np.asarray(each, float) for each in (expected, happened, area_m2)]
    if len({each.shape for each in arrays}) > 1 or arrays[0].ndim != 1:
        raise ValueError("expected, happened and area_m2 must be of one length.")
    for name, each in zip(("expected", "happened", "area_m2"), arrays, strict=True):
        if not (np.isfinite(each) & (each >= 0)).all():
            raise ValueError(f"{name} must be finite and not negative.")
    forecast, events, area = arrays
    if not (area > 0).all():
        raise ValueError("area_m2 must be above 0.")
    if not 0 < share <= 1:
        raise ValueError(f"the share of the area is {share}; it must be above 0 and at most 1.")
    if not events.sum() > 0:
        raise ValueError("nothing happened in the period, so a forecast of it cannot be scored.")
    return forecast, events, area
