"""Which area does a point belong to, which others could it be, and how sure is that?

Everything is WGS 84 longitude and latitude in degrees; distances and accuracies are metres. A
position with accuracy *r* may lie anywhere in the disc of radius *r* around it, so its candidates
are the areas that the disc meets, each with its `share` of the disc. What people confirmed about
the same place before (`Memory`) reorders the candidates; it never adds one.

`data/placement.sql` says the same for a single point inside the database.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from gis.discs import conformal, discs, metres_per_degree
from gis.edges import EDGE_DEG, Edges, Pairs
from gis.raster import MIXED, Raster, ranges

__all__ = [
    "WEIGHTS", "Clues", "Coverage", "Memory", "Method", "Placement", "discs", "metres_per_degree",
]  # fmt: skip

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MEMORY_RADIUS_M = 300.0
STREET_SCALE_M = 100.0
FINEST_M = 0.001  # no position is known better
LEAST_SHARE = 1e-9  # of a disc; less is rounding

# What a point's candidates are scored by: share of the disc, then what was confirmed at the same
# point, in the same block, along the same side of the street at the same kind of place. The
# evidence weights are a conditional logit fitted on one month of reports and scored on another
# (docs/decisions/0004-address-memory.md).
WEIGHTS = (1.5, 1.5, 0.2, 0.55)


class Method(IntEnum):
    """How a place was found; the names are those of the API."""

    NONE = 0
    INSIDE = 1
    ON_BORDER = 2
    SNAPPED = 3


@dataclass(frozen=True)
class Memory:
    """What was confirmed before: n places and the area (an index of the coverage) of each.

    `street`, `block` and `premises` are labels (any text, '' unknown), `side` is 0 for even and
    1 for odd house numbers, -1 unknown.
    """

    lon: Floats
    lat: Floats
    area: Ints
    street: NDArray[np.object_]
    block: NDArray[np.object_]
    side: Ints
    premises: NDArray[np.object_]

    @cached_property
    def tree(self) -> cKDTree:
        """Index over the places in the conformal plane."""
        return cKDTree(conformal(np.column_stack([self.lon, self.lat])))


@dataclass(frozen=True)
class Clues:
    """What is known of n points beside their position; the labels of `Memory`."""

    street: NDArray[np.object_]
    block: NDArray[np.object_]
    side: Ints
    premises: NDArray[np.object_]

    def take(self, rows: Ints) -> "Clues":
        """The clues of some of the points."""
        return Clues(self.street[rows], self.block[rows], self.side[rows], self.premises[rows])


@dataclass(frozen=True)
class Placement:
    """The answer for n points.

    `area` is the index of the first choice or -1, `border_m` the distance to its border (for a
    snapped point: to the area). The candidates of all points follow each other, best first:
    those of point i are `candidate[starts[i]:starts[i + 1]]`, with `share` and `score` alike.
    """

    area: Ints
    method: NDArray[np.int8]
    border_m: Floats
    starts: Ints
    candidate: Ints
    share: Floats
    score: Floats = field(repr=False)

    @property
    def ambiguous(self) -> Bools:
        """Whether a point has more than one candidate."""
        return np.diff(self.starts) > 1


class Coverage:
    """Areas prepared for placing many points.

    Parameters
    ----------
    polygons : (m,) polygons or multipolygons, degrees
    dedicated : (m,) bool, optional
        Areas that win inside their own polygon over those they overlap.
    cells : int
        Upper limit of the raster's size. A cell that no border crosses belongs to one area, so a
        point in it needs no geometry at all; only those near a border are tested exactly.
    """

    def __init__(
        self, polygons: ArrayLike, dedicated: ArrayLike | None = None, *, cells: int = 25_000_000
    ) -> None:
        self.polygons = np.asarray(polygons, dtype=object)
        shapely.prepare(self.polygons)
        self.dedicated = (
            np.zeros(len(self.polygons), bool) if dedicated is None else np.asarray(dedicated, bool)
        )
        self.tree = shapely.STRtree(self.polygons)
        # Straight edges bend in the conformal plane: short ones by less than 0.1 m.
        self._flat = shapely.transform(shapely.segmentize(self.polygons, EDGE_DEG), conformal)
        self._flat_borders = shapely.boundary(self._flat)
        shapely.prepare(self._flat_borders)
        self._flat_tree = shapely.STRtree(self._flat)
        self._edges = Edges(self.polygons)
        self._raster = Raster(self.polygons, self._containing, cells)

    def _containing(self, lon: Floats, lat: Floats) -> tuple[Ints, Bools]:
        """The area that contains each point by exact test, and whether others of its kind do too.

        It is a dedicated one before others, then the lowest index; -1 for none.
        """
        point, area = self.tree.query(shapely.points(lon, lat), predicate="intersects")
        best = np.full(len(lon), -1, np.int64)
        order = np.lexsort((-area, self.dedicated[area]))
        best[point[order]] = area[order]
        alike = self.dedicated[area] == self.dedicated[best[point]]
        return best, np.bincount(point[alike], minlength=len(lon)) > 1

    # --- questions ------------------------------------------------------------------------------

    def locate(self, lon: ArrayLike, lat: ArrayLike) -> Ints:
        """Index of the area that contains each point, -1 outside all. Exact; the fast path.

        A point on a border goes to the lowest index, inside a dedicated area to that.
        """
        lon, lat = np.asarray(lon, float), np.asarray(lat, float)
        area = self._raster.owner(self._raster.cell(lon, lat))
        mixed = np.flatnonzero(area == MIXED)
        area[mixed] = self._containing(lon[mixed], lat[mixed])[0]
        return area

    def place(
        self,
        lon: ArrayLike,
        lat: ArrayLike,
        accuracy_m: ArrayLike,
        *,
        border_m: float = 1.0,
        snap_m: float = 200.0,
        memory: Memory | None = None,
        clues: Clues | None = None,
        weights: Sequence[float] = WEIGHTS,
        far_borders: bool = True,
    ) -> Placement:
        """Place n points, with every alternative within their accuracy.

        Parameters
        ----------
        lon, lat : (n,) degrees; NaN gives no area
        accuracy_m : (n,) or scalar, radius in metres, finite; below a millimetre counts as one
        border_m : a point this close to the border between candidates lies on it
        snap_m : a point outside every area goes to the nearest one within this
        memory, clues : what was confirmed before, and what is known of the points
        far_borders : also measure the border of points that are farther from it than their
            accuracy; if not, their `border_m` is NaN, which saves most of the time

        Raises
        ------
        ValueError
            An accuracy is NaN, infinite or negative; what is supposed where none is known is the
            caller's to say.
        """
        lon, lat = np.asarray(lon, float), np.asarray(lat, float)
        radius = np.broadcast_to(_radius(accuracy_m), lon.shape)
        n = len(lon)
        cell = self._raster.cell(lon, lat)
        area = self._raster.owner(cell)
        reach = float(radius.max()) if n else 0.0
        close = self._raster.near_border(cell, reach) | (area < 0)
        close &= np.isfinite(lon) & np.isfinite(lat)
        area[~np.isfinite(lon) | ~np.isfinite(lat)] = -1

        rows = np.flatnonzero(close)
        near = self._weigh(lon[rows], lat[rows], radius[rows], border_m)
        if memory is not None and clues is not None and len(memory.area):
            near.remember(memory, clues.take(rows), lon[rows], lat[rows], weights)
        near.finish(weights)

        method = np.where(area >= 0, Method.INSIDE, Method.NONE).astype(np.int8)
        distance = np.full(n, np.nan)
        if far_borders:
            clear = np.flatnonzero(~close & (area >= 0))
            distance[clear] = self._border_distance(lon[clear], lat[clear], area[clear])
        found = near.first >= 0
        area[rows] = -1
        area[rows[near.point[near.first[found]]]] = near.area[near.first[found]]
        distance[rows[found]] = near.border_m[near.first[found]]
        method[rows] = np.where(found, near.method(border_m)[: len(rows)], Method.NONE)
        counts = (area >= 0).astype(np.int64)
        counts[rows] = near.counts
        placement = Placement(
            area,
            method,
            distance,
            np.concatenate([[0], np.cumsum(counts)]),
            np.repeat(area, counts),
            np.ones(counts.sum()),
            np.repeat(weights[0] * 2.0, counts.sum()),
        )
        at = ranges(placement.starts[rows], near.counts)
        placement.candidate[at] = near.area
        placement.share[at] = near.share
        placement.score[at] = near.score
        self._snap(placement, lon, lat, snap_m)
        return placement

    def _border_distance(self, lon: Floats, lat: Floats, area: Ints) -> Floats:
        """Metres from each point to the border of the area given for it."""
        flat = conformal(np.column_stack([lon, lat]))
        scale = metres_per_degree(lat)[0]
        return np.asarray(shapely.distance(self._flat_borders[area], shapely.points(flat))) * scale

    def _weigh(self, lon: Floats, lat: Floats, radius: Floats, border_m: float) -> "_Candidates":
        """All (point, area) pairs whose disc and area meet, with share and distance."""
        near = self._edges.around(lon, lat, radius)
        n = len(self.polygons)
        bordering, holding = near.point * n + near.area, self._holding(lon, lat, near)
        pair = np.sort(np.concatenate([bordering, holding]))
        pair = pair[np.diff(pair, prepend=-1) > 0]
        point, area = pair // n, pair % n
        inside = np.zeros(len(pair), bool)
        inside[np.searchsorted(pair, holding)] = True
        turns, border, at = (
            inside * 0.0,
            np.full(len(pair), np.nan),
            np.searchsorted(pair, bordering),
        )
        turns[at], border[at] = near.turns, near.border_m
        far = np.flatnonzero(np.isnan(border))
        border[far] = self._border_distance(lon[point[far]], lat[point[far]], area[far])
        whole = np.abs(turns - np.rint(turns)) < LEAST_SHARE
        share = np.where(whole, inside, turns - np.floor(turns))
        self._let_dedicated_win(point, area, inside, share, lon, lat, radius)
        keep = share > LEAST_SHARE
        return _Candidates(
            len(lon), point[keep], area[keep], inside[keep], share[keep], border[keep], border_m
        )

    def _holding(self, lon: Floats, lat: Floats, near: Pairs) -> Ints:
        """The pairs of a point and an area that holds it, as point * m + area.

        The raster knows them but on borders and where a dedicated area lies over others.
        """
        n = len(self.polygons)
        owner = self._raster.owner(self._raster.cell(lon, lat))
        asked = owner == MIXED
        asked[owner >= 0] = self.dedicated[owner[owner >= 0]]
        asked[near.point[self.dedicated[near.area]]] = True
        rows, told = np.flatnonzero(asked), np.flatnonzero(~asked & (owner >= 0))
        point, area = self.tree.query(shapely.points(lon[rows], lat[rows]), predicate="intersects")
        return np.concatenate([rows[point] * n + area, told * n + owner[told]])

    def _let_dedicated_win(
        self,
        point: Ints,
        area: Ints,
        inside: Bools,
        share: Floats,
        lon: Floats,
        lat: Floats,
        radius: Floats,
    ) -> None:
        """Take from the basic areas' shares what a dedicated one covers (in place)."""
        winning = self.dedicated[area]
        if not winning.any():
            return
        at, first = np.unique(point[winning], return_index=True)
        own = np.array(
            [shapely.union_all(each) for each in np.split(self.polygons[area[winning]], first[1:])]
        )
        basic = np.flatnonzero(~winning & np.isin(point, at))
        of = np.searchsorted(at, point[basic])
        disc = discs(lon[at], lat[at], radius[at])[of]
        left = shapely.difference(shapely.intersection(disc, self.polygons[area[basic]]), own[of])
        share[basic] = shapely.area(left) / shapely.area(disc)
        inside[basic] &= ~shapely.intersects_xy(own, lon[at], lat[at])[of]

    def _snap(self, placement: Placement, lon: Floats, lat: Floats, snap_m: float) -> None:
        """Give points without any candidate to the nearest area within `snap_m` (in place).

        A snapped point has no candidates in `starts`: its only one is `area`.
        """
        if snap_m <= 0 or not len(self.polygons):
            return
        lost = np.flatnonzero((placement.area < 0) & np.isfinite(lon) & np.isfinite(lat))
        reachable = self._raster.near_border(self._raster.cell(lon[lost], lat[lost]), snap_m)
        lost = lost[reachable]
        if not len(lost):
            return
        flat = shapely.points(conformal(np.column_stack([lon[lost], lat[lost]])))
        scale = metres_per_degree(lat[lost])[0]
        (point, area), far = self._flat_tree.query_nearest(
            flat, max_distance=snap_m / scale.min(), return_distance=True
        )
        metres = far * scale[point]
        order = np.lexsort((area, point))  # of several at one distance the lowest index
        point, area, metres = point[order], area[order], metres[order]
        ok = (metres <= snap_m) & (np.diff(point, prepend=-1) > 0)
        rows = lost[point[ok]]
        placement.area[rows] = area[ok]
        placement.method[rows] = Method.SNAPPED
        placement.border_m[rows] = metres[ok]


class _Candidates:
    """Pairs of points and areas while they are weighed; `finish` orders them."""

    def __init__(
        self,
        n: int,
        point: Ints,
        area: Ints,
        inside: Bools,
        share: Floats,
        border_m: Floats,
        border_at_m: float,
    ) -> None:
        self.point, self.area, self.inside = point, area, inside
        self.share, self.border_m = share, border_m
        self.certain = inside & (border_m > border_at_m)
        self.votes = np.zeros(len(point))
        self.score = np.zeros(len(point))
        self.counts = np.bincount(point, minlength=n).astype(np.int64)
        self.first = np.full(n, -1, np.int64)

    def remember(
        self, memory: Memory, clues: Clues, lon: Floats, lat: Floats, weights: Sequence[float]
    ) -> None:
        """Let what was confirmed around ambiguous points vote: ln(1 + for) - ln(1 + against)."""
        asked = np.flatnonzero(self.counts > 1)
        if not len(asked):
            return
        mx, my = metres_per_degree(lat[asked])
        flat = conformal(np.column_stack([lon[asked], lat[asked]]))
        found = memory.tree.query_ball_point(flat, MEMORY_RADIUS_M * 1.001 / mx)
        sizes = np.array([len(f) for f in found])
        m = np.concatenate([np.asarray(f, np.int64) for f in found]) if sizes.sum() else asked[:0]
        who = np.repeat(np.arange(len(asked)), sizes)
        p = asked[who]
        metres = np.hypot((memory.lon[m] - lon[p]) * mx[who], (memory.lat[m] - lat[p]) * my[who])
        near = metres <= MEMORY_RADIUS_M
        street = (clues.street[p] != "") & (clues.street[p] == memory.street[m])
        sides = (clues.side[p] < 0) | (memory.side[m] < 0) | (clues.side[p] == memory.side[m])
        alike = clues.premises[p] == memory.premises[m]
        evidence = (
            (metres <= 1).astype(float),
            (near & (clues.block[p] != "") & (clues.block[p] == memory.block[m])).astype(float),
            (near & street & sides & alike) * np.exp(-metres / STREET_SCALE_M),
        )
        start = np.concatenate([[0], np.cumsum(self.counts)])
        pair = ranges(start[p], self.counts[p])
        each = np.repeat(np.arange(len(m)), self.counts[p])
        agrees = self.area[pair] == memory.area[m[each]]
        for weight, amount in zip(weights[1:], evidence, strict=True):
            favour = np.bincount(pair, amount[each] * agrees, len(self.area))
            against = np.bincount(pair, amount[each] * ~agrees, len(self.area))
            self.votes += weight * (np.log1p(favour) - np.log1p(against))

    def finish(self, weights: Sequence[float]) -> None:
        """Order every point's candidates, best first."""
        self.score = weights[0] * (self.share + self.certain) + self.votes
        order = np.lexsort((self.area, -self.share, -self.score, self.point))
        for name in ("point", "area", "inside", "share", "border_m", "certain", "score"):
            setattr(self, name, getattr(self, name)[order])
        start = np.concatenate([[0], np.cumsum(self.counts)])[:-1]
        self.first = np.where(self.counts > 0, start, -1)

    def method(self, border_m: float) -> NDArray[np.int8]:
        """How each point was found, by its candidates."""
        n = len(self.counts)
        nearest = np.full(n, np.inf)
        np.minimum.at(nearest, self.point, self.border_m)
        within = np.bincount(self.point, self.inside, n) > 0
        method = np.where(within, Method.INSIDE, Method.SNAPPED)
        on_border = (self.counts > 1) & (nearest <= border_m)
        return np.where(on_border, Method.ON_BORDER, method).astype(np.int8)


def _radius(accuracy_m: ArrayLike) -> Floats:
    """Accuracies as radii of discs; raises ValueError where they cannot be."""
    given = np.asarray(accuracy_m, float)
    wrong = np.flatnonzero(~(np.isfinite(given) & (given >= 0)))
    if len(wrong):
        raise ValueError(
            f"accuracy {given.flat[wrong[0]]:g} of point {wrong[0]} is no radius; give metres, 0 "
            "or more, and a default where none is known"
        )
    return np.asarray(np.maximum(given, FINEST_M))
