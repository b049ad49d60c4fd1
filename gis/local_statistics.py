"""Where on a map high values lie together: Gi* and local Moran's I, tested by permutation.

Both take one value for each cell and who neighbours whom, and give arrays of one entry per cell.
A neighbourhood's sum is held against sums of as many cells drawn at random (`gis.permutations`);
two-sided p-values go through the false discovery rate (`gis.multiple_testing`), and what is left
at q ≤ 0.10, 0.05, 0.01 is a call. A call is withdrawn, with the reason, where too little stands
behind it (`gis.lattice.Guard`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gis.lattice import LEVELS, Guard, Lattice, Reason
from gis.multiple_testing import Correction, q_values

__all__ = ["LEVELS", "GetisOrd", "Guard", "LocalMoran", "Reason", "getis_ord", "local_moran"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Tested:
    """What the statistics share; all arrays (n,).

    Attributes
    ----------
    z : the statistic in standard deviations from its mean under permutation, exact moments
    p, q : two-sided pseudo p-value, and with the false discovery rate controlled
    band : int8, 3, 2, 1 where q ≤ 0.01, 0.05, 0.10; 0 where nothing is called
    reason : int8, a `Reason`. All but TESTED, FEW_EVENTS and FEW_RESIDENTS have NaN for numbers
    events : events in the neighbourhood, the cell included
    size : cells in the neighbourhood that have a value, the cell included
    permutations : how many draws the p-values rest on
    """

    z: Floats
    p: Floats
    q: Floats
    band: Codes
    reason: Codes
    events: Floats
    size: Ints
    permutations: int


@dataclass(frozen=True, eq=False)
class GetisOrd(Tested):
    """Gi*, with cold bands negative (-3 where q ≤ 0.01).

    Attributes
    ----------
    G : Σ_j w_ij x_j / Σ_j x_j with w_ii = 1 (Getis & Ord 1992); NaN where the values sum to ≤ 0.
        Ord & Getis (1995) call z by this name
    """

    G: Floats


@dataclass(frozen=True, eq=False)
class LocalMoran(Tested):
    """Local Moran's I.

    Attributes
    ----------
    I : z_i Σ_j w_ij z_j (n - 1) / Σ_j z_j², w row-standardised, z the values less their mean
    quadrant : int8, 1 high among high, 2 low among high, 3 low among low, 4 high among low; of
        all that were tested, whether called or not; else 0
    """

    I: Floats  # noqa: E741  the paper's name
    quadrant: Codes


def getis_ord(
    values: ArrayLike,
    neighbours: Any,
    *,
    events: ArrayLike | None = None,
    residents: ArrayLike | None = None,
    guard: Guard = Guard(),
    conditional: bool = False,
    correction: Correction = "bh",
    permutations: int | None = None,
    seed: int = 0,
) -> GetisOrd:
    """Getis and Ord's Gi*: hot and cold spots.

    Parameters
    ----------
    values : (n,) a count or rate of each cell; NaN where there is none, which is left out
    neighbours : (n, n) sparse or dense, or a `libpysal.graph.Graph`
        Not 0 where column neighbours row. The diagonal does not matter; within a row all
        neighbours weigh the same.
    events : (n,) events behind the values, for the guard; by default the values, as counts
    residents : (n,) residents, for the guard
    conditional : bool
        Hold each cell's own value back from the draws, as esda does: that tests its neighbours
        alone. By default the cell is drawn like them, which is what z refers to.
    permutations : int
        By default 40 for each cell (9,999 to 999,999), so that one neighbourhood alone can be a
        discovery: among n cells that takes a two-sided p of 0.05 / n.

    Raises
    ------
    ValueError
        Arrays that do not fit, infinite or negative numbers where none can be, unequal weights.

    Notes
    -----
    Getis & Ord, *Geographical Analysis* 24, 1992; Ord & Getis, 27, 1995. One value out of all
    proportion makes z huge all round it, but not p: under permutation some neighbourhoods meet
    it every time.

    Examples
    --------
    >>> row = np.r_[[0] * 98, 9, 9, 9, 9, [0] * 98]
    >>> beside = sum(np.eye(200, k=k) for k in (-2, -1, 1, 2))
    >>> getis_ord(row, beside).band[96:104].tolist()
    [0, 0, 3, 3, 3, 3, 0, 0]
    """
    of = Lattice.of(values, neighbours, events, residents, guard)
    draws = _draws(permutations, len(of.x))
    p, high = of.two_sided(with_own=not conditional, permutations=draws, seed=seed)
    q = q_values(p, correction)
    called, reason = of.calls(q, high)
    band = np.where(high, called, -called).astype(np.int8)
    share, z = _gi(of) if of.tested.any() else (of.x, of.x)
    return GetisOrd(
        of.wide(z), p, q, band, reason, of.events, of.size, draws, of.wide(share)
    )  # fmt: skip


def local_moran(
    values: ArrayLike,
    neighbours: Any,
    *,
    events: ArrayLike | None = None,
    residents: ArrayLike | None = None,
    guard: Guard = Guard(),
    correction: Correction = "bh",
    permutations: int | None = None,
    seed: int = 0,
) -> LocalMoran:
    """Anselin's local Moran's I: clusters of high or low values, and cells unlike those round them.

    Parameters, errors and defaults as for `getis_ord`; each cell keeps its value while the others
    are drawn (conditional permutation). The guard of events holds for all but low among low.

    Notes
    -----
    Anselin, *Geographical Analysis* 27, 1995; z is conditional as in Sokal, Oden & Thomson, 30,
    1998, by the exact variance of a draw without replacement. A cell whose value is the mean has
    I = 0 whatever lies round it, and p = 1.

    Examples
    --------
    >>> row = np.r_[[0] * 97, 9, 9, 9, 9, 9, 9, [0] * 97]
    >>> beside = sum(np.eye(200, k=k) for k in (-2, -1, 1, 2))
    >>> found = local_moran(row, beside)
    >>> found.quadrant[95:100].tolist(), found.band[95:100].tolist()
    ([2, 2, 1, 1, 1], [0, 0, 0, 2, 2])
    """
    of = Lattice.of(values, neighbours, events, residents, guard)
    draws = _draws(permutations, len(of.x))
    p, _ = of.two_sided(with_own=False, permutations=draws, seed=seed)
    moran = z = np.full(len(of.x), np.nan)
    quadrant = np.zeros(len(p), np.int8)
    if of.tested.any():
        x, beside = _deviations(of)
        p[of.cells[of.tested & (x == 0)]] = 1.0
        moran, z = _i(of, x, beside)
        kind = np.where(x > 0, np.where(beside > 0, 1, 4), np.where(beside > 0, 2, 3))
        quadrant[of.cells] = np.where(of.tested, kind, 0)
    q = q_values(p, correction)
    band, reason = of.calls(q, quadrant != 3)
    return LocalMoran(
        of.wide(z), p, q, band, reason, of.events, of.size, draws, of.wide(moran), quadrant
    )  # fmt: skip


def _gi(of: Lattice) -> tuple[Floats, Floats]:
    """Gi* of 1992 and of 1995."""
    n, size, sums = len(of.x), of.degree + 1, of.lag + of.x
    spread = of.x.std() * np.sqrt(size * (n - size) / (n - 1))
    total = float(of.x.sum())
    share = sums / total if total > 0 else np.full(n, np.nan)
    return share, _ratio(sums - size * of.x.mean(), spread)


def _deviations(of: Lattice) -> tuple[Floats, Floats]:
    """The values, and the means of the neighbours, less the mean; 0 where they equal it."""
    mean = of.x.mean()
    noise = 1e-12 * np.abs(of.x).max()
    x = of.x - mean
    x[np.abs(x) <= noise] = 0
    return x, _ratio(of.lag - of.degree * mean, of.degree)


def _i(of: Lattice, x: Floats, beside: Floats) -> tuple[Floats, Floats]:
    """Local Moran's I, and its z among draws of the others."""
    n, degree = len(x), of.degree
    squares = float((x**2).sum())
    mean = -x / (n - 1)  # of all the others
    variance = (squares - x**2) / (n - 1) - mean**2
    variance[variance < 1e-9 * squares / n] = 0  # the others are all the same
    variance = _ratio(variance, degree)
    spread = np.sqrt(np.maximum(variance * (n - 1 - degree), 0) / max(n - 2, 1))
    return x * beside * (n - 1) / squares, np.sign(x) * _ratio(beside - mean, spread)


def _ratio(a: Floats, b: Floats | Ints) -> Floats:
    """a / b, NaN where b is 0."""
    ratio: Floats = np.divide(a, b, out=np.full(len(a), np.nan), where=b != 0)
    return ratio


def _draws(permutations: int | None, cells: int) -> int:
    if permutations is None:
        return min(max(40 * cells, 9_999), 999_999)
    if permutations < 99:
        raise ValueError(f"{permutations} permutations are too few for a p-value; take 99 or more.")
    return permutations
