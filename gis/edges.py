"""What part of a small disc lies in each area, told from the few edges that are near it.

An intersection of polygons looks at all edges of both. Here the edges are sorted into tiles, so
that a point meets those around it only, and a disc's share is summed up over them: along an edge
that lies in the disc the area between it and the centre, and along the disc's own outline, from
where the area's border leaves it to where it comes in again, the sector. The sum is the share but
for whole turns, for it does not matter what the border does farther away.
"""

from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from gis.discs import conformal, metres_per_degree, shares_beside
from gis.raster import ranges, segments

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EDGE_DEG = 0.01  # straight edges bend in the conformal plane: short ones by less than 0.1 m
REACH_M = 25.0  # the tiles are made for radii up to this, up to twice this, and so on
_AT_ONCE = 1 << 16  # pairs of points and edges, so that what is in work fits in the cache
_MOST_TILES = 10_000_000
_BEYOND = 1.05  # radii; what is nearest in the conformal plane may not be so in degrees


class Pairs(NamedTuple):
    """Points and the areas whose border is near them, ordered by point, then by area.

    `turns` is the share of the point's disc that lies in the area, or it less a whole number: 0
    also stands for the whole disc. `border_m` is the distance to the border.
    """

    point: Ints
    area: Ints
    turns: Floats
    border_m: Floats


@dataclass(frozen=True)
class _Tiles:
    """Which edges are within reach of some point of each tile: `edge[starts[i]:starts[i + 1]]`."""

    origin: Floats
    step: Floats
    shape: Ints
    starts: Ints
    edge: Ints

    def at(self, lon: Floats, lat: Floats) -> Ints:
        """The tile of each point, -1 where no edge is within reach."""
        ij = (np.column_stack([lon, lat]) - self.origin) / self.step
        within = np.asarray(((ij >= 0) & (ij < self.shape)).all(axis=1))
        i, j = np.where(within[:, None], ij, 0).astype(np.int64).T
        return np.where(within, i * self.shape[1] + j, -1)


class Edges:
    """The edges of m polygons or multipolygons in degrees."""

    def __init__(self, polygons: NDArray[np.object_]) -> None:
        fine = shapely.segmentize(shapely.orient_polygons(polygons), EDGE_DEG)
        ends, area = segments(fine)  # the area is on their left
        long = (ends[:, :2] != ends[:, 2:]).any(axis=1)
        self._ends, self._area = ends[long], area[long]
        self._flat = conformal(self._ends.reshape(-1, 2)).reshape(-1, 4)
        self._tiles: dict[int, _Tiles] = {}
        self._lock = Lock()

    def around(self, lon: Floats, lat: Floats, radius_m: Floats) -> Pairs:
        """The areas whose border comes into the disc of each of n points, or close to it."""
        points = _Points.of(lon, lat, radius_m)
        none = np.empty(0, np.int64)
        found = [Pairs(none, none, none.astype(float), none.astype(float))]
        level = np.maximum(np.ceil(np.log2(radius_m / REACH_M)), 0).astype(np.int64)
        for each in np.unique(level) if len(self._ends) else ():
            tiles = self._tiles_for(int(each))
            tile = np.where(level == each, tiles.at(lon, lat), -1)
            rows = np.flatnonzero(tile >= 0)
            first = tiles.starts[tile[rows]]
            count = tiles.starts[tile[rows] + 1] - first
            total = np.cumsum(count)
            cuts = np.searchsorted(total, np.arange(_AT_ONCE, total[-1:].sum(), _AT_ONCE))
            for some in np.split(np.arange(len(rows)), cuts):
                edge = tiles.edge[ranges(first[some], count[some])]
                found.append(self._sum_up(points, np.repeat(rows[some], count[some]), edge))
        point, area, turns, border_m = map(np.concatenate, zip(*found, strict=True))
        order = np.argsort(point, kind="stable")
        return Pairs(point[order], area[order], turns[order], border_m[order])

    def _tiles_for(self, level: int) -> _Tiles:
        with self._lock:
            if level not in self._tiles:
                self._tiles[level] = self._sorted(REACH_M * 2**level * _BEYOND)
            return self._tiles[level]

    def _sorted(self, reach_m: float) -> _Tiles:
        """Sort the edges into tiles at least as wide as the reach: more, and they are many."""
        x, y = self._ends[:, ::2], self._ends[:, 1::2]
        low = np.column_stack([x.min(axis=1), y.min(axis=1)])
        high = np.column_stack([x.max(axis=1), y.max(axis=1)])
        # As short as a degree gets anywhere, so that the reach in degrees is never too short.
        south, north = low[:, 1].min() - reach_m / 1e5, high[:, 1].max() + reach_m / 1e5
        scale = np.array(
            [v.min() for v in metres_per_degree(np.clip([south, north], -89.99, 89.99))]
        )
        length_m = np.hypot(*((high - low) * scale).T)
        width_m, height_m = (high.max(axis=0) - low.min(axis=0)) * scale
        fewest_m = np.sqrt(width_m * height_m / _MOST_TILES)
        step = max(reach_m, float(length_m.mean()), fewest_m) / scale
        origin = low.min(axis=0) - reach_m / scale
        first = np.floor((low - reach_m / scale - origin) / step).astype(np.int64)
        count = np.floor((high + reach_m / scale - origin) / step).astype(np.int64) - first + 1
        shape = (first + count).max(axis=0)
        column, edge = ranges(first[:, 0], count[:, 0]), np.repeat(np.arange(len(low)), count[:, 0])
        tile = np.repeat(column, count[edge, 1]) * shape[1] + ranges(first[edge, 1], count[edge, 1])
        edge = np.repeat(edge, count[edge, 1])
        starts = np.concatenate([[0], np.cumsum(np.bincount(tile, minlength=int(shape.prod())))])
        return _Tiles(origin, step, shape, starts, edge[np.argsort(tile, kind="stable")])

    def _sum_up(self, points: "_Points", point: Ints, edge: Ints) -> Pairs:
        """Pairs of points and edges (ordered by point) as pairs of points and areas."""
        centre, unit = points.lonlat[point], points.unit[point]
        a = (self._ends[edge, :2] - centre) * unit
        b = (self._ends[edge, 2:] - centre) * unit
        near = np.flatnonzero(_from_origin(a, b) < _BEYOND)
        near = near[np.lexsort((self._area[edge[near]], point[near]))]
        point, edge = point[near], edge[near]
        area, flat = self._area[edge], points.flat[point]
        away = _from_origin(self._flat[edge, :2] - flat, self._flat[edge, 2:] - flat)
        first = np.flatnonzero((np.diff(point, prepend=-1) != 0) | (np.diff(area, prepend=-1) != 0))
        return Pairs(
            point[first],
            area[first],
            np.add.reduceat(shares_beside(a[near], b[near]), first),
            np.minimum.reduceat(away * points.scale[point], first),
        )


class _Points(NamedTuple):
    """Positions in degrees and in the conformal plane, and what makes degrees radii and metres."""

    lonlat: Floats
    flat: Floats
    unit: Floats  # radii of its disc that a degree of longitude and of latitude has
    scale: Floats  # metres that a degree of the conformal plane has

    @classmethod
    def of(cls, lon: Floats, lat: Floats, radius_m: Floats) -> "_Points":
        mx, my = metres_per_degree(lat)
        lonlat = np.column_stack([lon, lat])
        return cls(lonlat, conformal(lonlat), np.column_stack([mx, my]) / radius_m[:, None], mx)


def _from_origin(a: Floats, b: Floats) -> Floats:
    """Distance of each segment from the origin."""
    d = b - a
    t = np.clip(-(a * d).sum(axis=1) / (d * d).sum(axis=1), 0, 1)
    near = a + t[:, None] * d
    return np.asarray(np.hypot(near[:, 0], near[:, 1]))
