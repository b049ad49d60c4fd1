"""A map as local statistics see it: cells with values, who lies round each, and what can be tested.

What a cell is not tested for, or why a call on it is withdrawn, is a `Reason`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from gis.permutations import tails

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int8]
Bools = NDArray[np.bool_]

LEVELS = (0.10, 0.05, 0.01)  # of q, for bands 1, 2 and 3


class Reason(IntEnum):
    """Why a cell has no p-value, or is not called although its q is small."""

    TESTED = 0
    NO_VALUE = 1  # its value is NaN: nobody lives there, say
    ISLAND = 2  # no neighbour has a value
    FEW_EVENTS = 3  # q is small, but its neighbourhood has too few events for a call
    FEW_RESIDENTS = 4  # q is small, but too few people live in its neighbourhood
    FEW_IN_ALL = 5  # too few events on the whole map to test anything
    FLAT = 6  # all values are the same


@dataclass(frozen=True)
class Guard:
    """What must stand behind a call.

    Attributes
    ----------
    events : events in a neighbourhood (the cell included) that is called high
    residents : residents of a neighbourhood that is called at all
    in_all : events on the whole map; with fewer nothing is tested

    Notes
    -----
    `events` and `residents` are looked at after the correction: all cells with neighbours count as
    tests. To leave out those with few events first would leave those whose sums are high, and so
    break the promise about false discoveries.
    """

    events: float = 5
    residents: float = 0
    in_all: float = 20


@dataclass(frozen=True, eq=False)
class Lattice:
    """n cells, of which m have a value.

    Attributes
    ----------
    cells : (m,) which
    x, lag : (m,) their values, and the sums of their neighbours' values
    degree : (m,) how many neighbours have a value
    tested : (m,) bool
    reason : (n,) a `Reason`
    size, events, residents : (n,) cells, events, residents of the neighbourhood, as far as they
        have a value, the cell included
    guard : what a call needs
    """

    cells: Ints
    x: Floats
    lag: Floats
    degree: Ints
    tested: Bools
    reason: Codes
    size: Ints
    events: Floats
    residents: Floats
    guard: Guard

    @classmethod
    def of(
        cls,
        values: ArrayLike,
        neighbours: Any,
        events: ArrayLike | None,
        residents: ArrayLike | None,
        guard: Guard,
    ) -> "Lattice":
        """From what `getis_ord` takes; ValueError says what is wrong with it."""
        value = _flat(values, "values")
        beside = adjacency(neighbours, len(value))
        behind = _counts(value) if events is None else _amounts(events, "events", len(value))
        if residents is None and guard.residents > 0:
            raise ValueError("A guard of residents needs the residents of each cell.")
        people = _amounts(0 if residents is None else residents, "residents", len(value))
        has = ~np.isnan(value)
        cells = np.flatnonzero(has)
        size, around, living = (
            np.where(has, a + beside @ a, 0.0) for a in (has * 1.0, behind * has, people * has)
        )
        reason = np.full(len(value), Reason.NO_VALUE, np.int8)
        reason[cells] = np.where(size[cells] > 1, Reason.TESTED, Reason.ISLAND)
        if behind[cells].sum() < guard.in_all:
            reason[cells] = Reason.FEW_IN_ALL
        elif len(cells) and np.ptp(value[cells]) == 0:
            reason[cells] = Reason.FLAT
        lag = (beside @ np.where(has, value, 0.0))[cells]
        return cls(
            cells, value[cells], lag, size[cells].astype(np.int64) - 1,
            reason[cells] == Reason.TESTED, reason, size.astype(np.int64), around, living, guard,
        )  # fmt: skip

    def wide(self, of_tested: ArrayLike) -> Floats:
        """Values of the m cells as values of the n, NaN where nothing was tested."""
        out = np.full(len(self.reason), np.nan)
        out[self.cells] = np.where(self.tested, of_tested, np.nan)
        return out

    def two_sided(
        self, *, with_own: bool, permutations: int, seed: int
    ) -> tuple[Floats, Bools]:  # fmt: skip
        """P-values (n,) of the neighbourhoods' sums, and whether they are of the upper tail.

        `with_own`: whether the cell belongs to the sum and is drawn like the others, or is held.
        """
        if not self.tested.any():
            return self.wide(np.nan), np.zeros(len(self.reason), bool)
        sums, sizes = (self.lag, self.degree)
        if with_own:
            sums, sizes = sums + self.x, sizes + 1
        upper, lower = tails(
            self.x, sums, np.maximum(sizes, 1),
            held=not with_own, permutations=permutations, seed=seed,
        )  # fmt: skip
        p = self.wide(np.minimum(2 * np.minimum(upper, lower), 1))
        return p, self.wide(upper < lower) == 1

    def calls(self, q: Floats, guarded: Bools) -> tuple[Codes, Codes]:
        """Bands from 0 to 3, and reasons, without the calls that too little stands behind.

        `guarded`: where a call needs events.
        """
        band = sum((q <= level).astype(np.int8) for level in LEVELS)
        reason = self.reason.copy()
        few = (band > 0) & guarded & (self.events < self.guard.events)
        empty = (band > 0) & (self.residents < self.guard.residents)
        reason[few] = Reason.FEW_EVENTS
        reason[empty] = Reason.FEW_RESIDENTS
        return np.where(few | empty, 0, band).astype(np.int8), reason


def adjacency(neighbours: Any, n: int) -> csr_array:
    """Who neighbours whom as 0 and 1 without the diagonal; from what `getis_ord` takes.

    Raises
    ------
    ValueError
        Another shape than (n, n), or neighbours that do not weigh the same within a row.
    """
    beside = csr_array(getattr(neighbours, "sparse", neighbours), dtype=float, copy=True)
    if beside.shape != (n, n):
        raise ValueError(f"{n} cells need neighbours of shape ({n}, {n}), not {beside.shape}.")
    beside.setdiag(0)
    beside.eliminate_zeros()
    starts = beside.indptr[:-1][np.diff(beside.indptr) > 0]
    if len(starts):
        least, most = (of.reduceat(beside.data, starts) for of in (np.minimum, np.maximum))
        if not ((least > 0).all() and np.allclose(least, most)):
            raise ValueError(
                "Neighbours must weigh the same within a row; weights that fall with distance "
                "are not for these statistics."
            )
    beside.data[:] = 1
    return beside


def _counts(values: Floats) -> Floats:
    """Values as events, which they are if they are whole."""
    counts = np.nan_to_num(values)
    if ((counts < 0) | (counts % 1 != 0)).any():
        raise ValueError("The values are no counts; give the events behind each as `events`.")
    return counts


def _flat(values: ArrayLike, name: str) -> Floats:
    given = np.asarray(values, dtype=float)
    if given.ndim != 1 or np.isinf(given).any():
        raise ValueError(f"{name} must be a flat array of finite numbers, NaN where there is none.")
    return given


def _amounts(values: ArrayLike, name: str, n: int) -> Floats:
    """Finite numbers of at least 0 for n cells; NaN is 0."""
    given = np.asarray(values, dtype=float)
    if given.shape not in ((n,), ()):
        raise ValueError(f"{name} must be {n} numbers, one for each cell, not {given.shape}.")
    amounts = np.broadcast_to(np.nan_to_num(given, posinf=-1), n)
    if (amounts < 0).any():
        raise ValueError(f"{name} must be finite and not negative.")
    return amounts
