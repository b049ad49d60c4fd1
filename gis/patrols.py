"""Where to be: the cells with the most to be expected, singly or in groups for one patrol each."""

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gis.plane import Floats
from gis.squares import Ints, Squares

_SEEDS_EACH = 20


@dataclass(frozen=True, eq=False)
class Patrol:
    """A group of cells that hangs together by their sides.

    Attributes
    ----------
    cells : (k,) ndarray of int
        In the order in which they were taken, the seed first.
    expected : float
        Events to be expected in them.
    area_m2 : float
        Their area.
    """

    cells: Ints
    expected: float
    area_m2: float


def best_cells(expected: npt.ArrayLike, area_m2: npt.ArrayLike, total_m2: float) -> Ints:
    """Squares by expected events per square metre, whole ones while they fit into an area.

    Of cells that are alike the one of the lower number comes first: a plan has to choose, and has
    nothing better to choose by. (A score does not choose, see `gis.scoring`.)

    Examples
    --------
    >>> best_cells([1, 3, 2], [1, 1, 1], total_m2=2.5).tolist()
    [1, 2]
    """
    area = np.asarray(area_m2, float)
    order = np.argsort(-(np.asarray(expected, float) / area), kind="stable")
    return order[np.cumsum(area[order]) <= total_m2 * (1 + 1e-12)]


def patrols(
    expected: npt.ArrayLike,
    cells: Squares,
    count: int,
    *,
    each_m2: float = 225_000.0,
    reach_m: float = 450.0,
) -> list[Patrol]:
    """Groups of cells for so many patrols, no cell in two of them.

    Parameters
    ----------
    expected : (c,) float
        Events to be expected in each cell; see `gis.forecasting.forecast`.
    count : int
        How many patrols there are.
    each_m2 : float
        How much area one covers at most; ten cells of 150 m by default.
    reach_m : float
        How far the middle of a cell may be from the middle of the seed: a walk of some six minutes
        by default.

    Returns
    -------
    list of Patrol
        The one with the most expected first; fewer than `count` where all cells are taken. The
        same input gives the same plan.

    Notes
    -----
    Greedy twice: a group grows from its seed by the neighbour with the most expected per square
    metre, and the group with the most expected is taken before the next is sought. Seeds are the
    densest cells, twenty for each patrol. Choosing connected groups for the greatest sum is
    NP-hard; what is lost is little where what is expected falls off around hot places.

    Raises
    ------
    ValueError
        Numbers that are negative or no numbers, or an area that no cell fits into.
    """
    wanted = np.asarray(expected, float)
    if wanted.shape != (len(cells),) or not (np.isfinite(wanted) & (wanted >= 0)).all():
        raise ValueError("expected must be a number not below 0 for each cell.")
    if count < 0 or not each_m2 >= cells.area_m2.min() or not reach_m >= 0:
        raise ValueError(
            f"{count} patrols of {each_m2:g} m² within {reach_m:g} m cannot be: give a count, an "
            f"area of at least a cell ({cells.side_m**2:g} m²) and a reach."
        )
    growth = _Growth(wanted, cells, each_m2, reach_m)
    seeds = best_cells(wanted, cells.area_m2, np.inf)[: count * _SEEDS_EACH]
    heap = [
        (-group.expected, int(group.cells[0]), group) for group in map(growth.grow, seeds) if group
    ]
    heapq.heapify(heap)
    chosen: list[Patrol] = []
    while heap and len(chosen) < count:
        _, seed, group = heapq.heappop(heap)
        if growth.free[group.cells].all():
            growth.free[group.cells] = False
            chosen.append(group)
        elif again := growth.grow(seed):
            heapq.heappush(heap, (-again.expected, seed, again))
    return chosen


class _Growth:
    """Grows groups on the cells that are still free."""

    def __init__(self, expected: Floats, cells: Squares, each_m2: float, reach_m: float) -> None:
        self.expected, self.area_m2 = expected, cells.area_m2
        self.density = expected / cells.area_m2
        self.beside = cells.neighbours()
        self.centres_xy_m = cells.centres_xy_m
        self.each_m2, self.reach_m = each_m2, reach_m
        self.free = np.ones(len(cells), bool)

    def grow(self, seed: int) -> Patrol | None:
        """The group around a seed; None if the seed is taken or too large."""
        edge = [(-float(self.density[seed]), int(seed))] if self.free[seed] else []
        seen, group, area = {int(seed)}, [], 0.0
        while edge:
            _, cell = heapq.heappop(edge)
            if area + self.area_m2[cell] > self.each_m2 * (1 + 1e-12):
                continue
            group.append(cell)
            area += float(self.area_m2[cell])
            for other in self.beside[cell].tolist():
                if (
                    other >= 0
                    and other not in seen
                    and self.free[other]
                    and self._near(seed, other)
                ):
                    seen.add(other)
                    heapq.heappush(edge, (-float(self.density[other]), other))
        if not group:
            return None
        taken = np.array(group)
        return Patrol(taken, float(self.expected[taken].sum()), area)

    def _near(self, seed: int, other: int) -> bool:
        away = self.centres_xy_m[other] - self.centres_xy_m[seed]
        return bool(np.hypot(*away) <= self.reach_m)
