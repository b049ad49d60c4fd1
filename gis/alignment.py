"""Which beat borders to bring into line with the grids: each split grid whole to one of its beats.

The clearest cases go first, each to the beat that has most of the grid's residents, incidents and
ground, as long as every beat stays in one piece and none drifts out of balance. What stands in the
way of one may have moved once others are done, so that the rest is gone through again until nothing
moves any more. That is a greedy search: its answer can be done step by step and each step stands
alone, which a planner asks for rather than the last per cent.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely

from gis import flaws
from gis.integration import NONE, ONE, Overlay
from gis.plane import Floats, Geometries

Ints = npt.NDArray[np.intp]
Words = npt.NDArray[np.str_]

TOLERANCE = 0.25
"""By how much a beat's workload may be off the mean, or off its own of before, as a share of it."""
BORDER_M = 1.0
"""Two grids that share less of a border than this only meet at a corner."""
FEW = 5.0
"""Incidents of a grid that say nothing yet of where they happen."""
PIECES, BALANCE = "pieces", "balance"


@dataclass(frozen=True, eq=False)
class Proposal:
    """Grids to be given whole to one beat, in the order in which it can be done.

    Attributes
    ----------
    grid, beat : (k,) ndarray of int
        Which grid goes to which of the beats that it lies in.
    score : (k,) ndarray of float
        Mean share of the grid's residents, incidents and ground that this beat has already, see
        `_scores`.
    residents, incidents, area_m2 : (k,) ndarray of float
        What changes hands: what of the grid lay elsewhere.
    left : (l,) ndarray of int
        Split grids that stay as they are.
    reason : (l,) ndarray of str
        Why: a beat would fall into ``pieces``, or its workload out of ``balance``.
    load_before, load_after : (b,) ndarray of float
        Each beat's part of the workload of all; they sum to 1.
    """

    grid: Ints
    beat: Ints
    score: Floats
    residents: Floats
    incidents: Floats
    area_m2: Floats
    left: Ints
    reason: Words
    load_before: Floats
    load_after: Floats


def neighbours(grids: Geometries, border_m: float = BORDER_M) -> Ints:
    """Pairs ``i < j`` of grids (metres) that share that much of a border, as (n, 2).

    >>> neighbours(shapely.box([0, 10, 10], [0, 0, 10], [10, 20, 20], [10, 10, 20])).tolist()
    [[0, 1], [1, 2]]
    """
    grids = flaws.make_valid(grids)
    a, b = shapely.STRtree(grids).query(grids, predicate="intersects")
    pairs = np.column_stack([a, b])[a < b]
    shared = shapely.length(shapely.intersection(grids[pairs[:, 0]], grids[pairs[:, 1]]))
    found: Ints = pairs[shared >= border_m]
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def propose(
    over: Overlay,
    residents: npt.ArrayLike,
    incidents: npt.ArrayLike,
    borders: npt.ArrayLike,
    *,
    tolerance: float = TOLERANCE,
) -> Proposal:
    """Which beat should have each grid that is split for real, or lies partly in none.

    Parameters
    ----------
    over : Overlay
    residents, incidents : array_like of float, (e,)
        Of each piece; NaN counts as none.
    borders : array_like of int, (n, 2)
        Which grids are neighbours, see `neighbours`: by them a beat hangs together or does not.
    tolerance : float
        A beat's workload (half its share of the residents, half of the incidents) must stay within
        this of the mean, or, if it lies outside, no farther from where it was.

    Raises
    ------
    ValueError
        The tolerance is negative.
    """
    if not tolerance >= 0:
        raise ValueError(f"the tolerance is a share of the workload, at least 0, not {tolerance}")
    work = _Work(over, _filled(residents), _filled(incidents), np.asarray(borders, dtype=np.intp))
    return work.run(tolerance)


def _filled(values: npt.ArrayLike) -> Floats:
    return np.asarray(np.nan_to_num(np.asarray(values, dtype=float)))


class _Work:
    """The beats as sets of grids, while grids change hands."""

    def __init__(self, over: Overlay, residents: Floats, incidents: Floats, borders: Ints) -> None:
        self.over, self.residents, self.incidents = over, residents, incidents
        known = [each for each in (residents, incidents) if each.sum() > 0] or [over.area_m2]
        self.load = np.mean([each / each.sum() for each in known], axis=0)
        self.score = _scores(over, residents, incidents)
        self.beats: list[set[int]] = [set() for _ in over.beat_m2]
        self.rows: dict[int, list[int]] = {}
        for row, (grid, beat) in enumerate(
            zip(over.grid.tolist(), over.beat.tolist(), strict=True)
        ):
            self.rows.setdefault(grid, []).append(row)
            if not over.hair[row]:
                self.beats[beat].add(grid)
        self.beside: dict[int, set[int]] = {}
        for i, j in borders.tolist():
            self.beside.setdefault(i, set()).add(j)
            self.beside.setdefault(j, set()).add(i)

    def run(self, tolerance: float) -> Proposal:
        size = len(self.over.beat_m2)
        before: Floats = np.bincount(self.over.beat, self.load, minlength=size).astype(float)
        # Beats that share nothing with the grids have no workload to be balanced.
        mean = before[before > 0].mean() if (before > 0).any() else 0.0
        self.least = np.minimum((1 - tolerance) * mean, (1 - tolerance) * before)
        self.most = np.maximum((1 + tolerance) * mean, (1 + tolerance) * before)
        self.now = before.copy()
        open_, moves = self._split(), list[tuple[int, int]]()
        while True:
            why: dict[int, str] = {}
            for grid in open_:
                row, why[grid] = self._choose(grid)
                if row >= 0:
                    moves.append((grid, row))
                    del why[grid]
            if len(why) == len(open_):
                return self._proposal(moves, why, before)
            open_ = list(why)

    def _split(self) -> list[int]:
        """Grids that need a decision, the clearest first."""
        classes = self.over.classes
        split = np.flatnonzero((classes != ONE) & (classes != NONE))
        best = np.zeros(len(classes))
        np.maximum.at(best, self.over.grid, self.score)
        return [int(grid) for grid in split[np.lexsort((split, -best[split]))]]

    def _choose(self, grid: int) -> tuple[int, str]:
        """The row of the best beat that may have the grid, and give it to it; -1 and why not."""
        real = [row for row in self.rows[grid] if not self.over.hair[row]]
        why = ""
        for to in sorted(real, key=lambda row: (-self.score[row], row)):
            losing = [row for row in self.rows[grid] if row != to]
            if not all(self._stays_whole(int(self.over.beat[row]), grid) for row in losing):
                why = why or PIECES
            elif not self._balanced(to, losing):
                why = why or BALANCE
            else:
                self._move(grid, to, losing)
                return to, ""
        return -1, why

    def _stays_whole(self, beat: int, grid: int) -> bool:
        """Whether the beat without the grid is in no more pieces than with it, and is left."""
        own = self.beats[beat]
        if grid not in own:
            return True
        near = self.beside.get(grid, set()) & own
        return len(own) > 1 and (len(near) < 2 or self._joined(near, own - {grid}))

    def _joined(self, some: Iterable[int], within: set[int]) -> bool:
        """Whether those grids hang together within a set."""
        missing = set(some)
        seen = {missing.pop()}
        queue = list(seen)
        while queue and missing:
            fresh = (self.beside[queue.pop()] & within) - seen
            seen |= fresh
            missing -= fresh
            queue.extend(fresh)
        return not missing

    def _balanced(self, to: int, losing: list[int]) -> bool:
        after = self._after(to, losing)
        touched = self.over.beat[[to, *losing]]
        eps = 1e-12
        return bool(
            (after[touched] <= self.most[touched] + eps).all()
            and (after[touched] >= self.least[touched] - eps).all()
        )

    def _after(self, to: int, losing: list[int]) -> Floats:
        after = self.now.copy()
        np.subtract.at(after, self.over.beat[losing], self.load[losing])
        after[self.over.beat[to]] += self.load[losing].sum()
        return after

    def _move(self, grid: int, to: int, losing: list[int]) -> None:
        self.now = self._after(to, losing)
        for row in losing:
            self.beats[self.over.beat[row]].discard(grid)

    def _proposal(
        self, moves: list[tuple[int, int]], why: dict[int, str], before: Floats
    ) -> Proposal:
        grid, row = np.array(moves, dtype=np.intp).reshape(-1, 2).T

        def moved(values: Floats) -> Floats:
            total = np.bincount(self.over.grid, values, minlength=len(self.over.grid_m2))
            return np.asarray(total[grid] - values[row])

        area = self.over.grid_m2[grid] - self.over.area_m2[row]
        return Proposal(
            grid=grid,
            beat=self.over.beat[row],
            score=self.score[row],
            residents=moved(self.residents),
            incidents=moved(self.incidents),
            area_m2=area,
            left=np.array(list(why), dtype=np.intp),
            reason=np.array(list(why.values()), dtype=np.str_),
            load_before=before,
            load_after=self.now,
        )


def _scores(over: Overlay, residents: Floats, incidents: Floats) -> Floats:
    """(e,) mean share of the grid's residents, incidents and ground; of the ground if it has none.

    One incident is no reason to move a border: to those of each grid `FEW` are added, shared out
    as its ground is.
    """

    def share(values: Floats) -> Floats:
        of = np.bincount(over.grid, values, minlength=len(over.grid_m2))[over.grid]
        return np.where(of > 0, values / np.where(of > 0, of, 1.0), over.portion)

    ground = over.portion
    return np.asarray((share(residents) + share(incidents + FEW * ground) + ground) / 3)


def redrawn(beats: Geometries, grids: Geometries, proposal: Proposal) -> Geometries:
    """(b,) the beats with the proposal's borders; hairs in other grids are left as they are."""
    result = np.array(beats, dtype=object)
    if not len(proposal.grid):
        return result
    moved = grids[proposal.grid]
    tree = shapely.STRtree(moved)
    for beat in np.unique(tree.query(result, predicate="intersects")[0]):
        near = tree.query(result[beat], predicate="intersects")
        mine = proposal.beat[near] == beat
        kept = shapely.difference(result[beat], shapely.union_all(moved[near[~mine]]))
        result[beat] = shapely.union_all([kept, *moved[near[mine]]])
    return flaws.polygonal(result)
