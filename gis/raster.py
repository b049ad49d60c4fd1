"""A raster over a coverage: in a cell that no border crosses, a point needs no geometry at all."""

from collections.abc import Callable
from threading import Lock

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import label, maximum_filter1d

from gis.discs import metres_per_degree

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MARGIN_M = 500.0
MIXED = -2  # a border crosses the cell, or areas overlap there


class Raster:
    """Which area each cell of a raster lies in, and which borders may be near.

    Parameters
    ----------
    polygons : (m,) polygons or multipolygons, degrees
    containing : the area that contains each point (lon, lat), -1 for none, and whether there are
        others like it; asked once for each patch of cells that no border crosses
    cells : int
        Upper limit of the raster's size.
    """

    def __init__(
        self,
        polygons: NDArray[np.object_],
        containing: Callable[[Floats, Floats], tuple[Ints, NDArray[np.bool_]]],
        cells: int,
    ) -> None:
        bounds = shapely.total_bounds(polygons) if len(polygons) else (0, 0, 1, 1)
        west, south, east, north = bounds
        # As narrow as a cell gets anywhere, so that a reach in cells is never too short.
        kx, ky = (float(v.min()) for v in metres_per_degree([south, north]))
        edges = segments(polygons)[0]
        length_m = np.hypot(
            (edges[:, 2] - edges[:, 0]) * kx, (edges[:, 3] - edges[:, 1]) * ky
        ).sum()
        width_m, height_m = max((east - west) * kx, 1), max((north - south) * ky, 1)
        # A small part of the mean width of an area, so that few points fall into a border's cell.
        mean_width_m = 4 * width_m * height_m / max(length_m, 1)
        self.cell_m = max(mean_width_m / 120, np.sqrt(width_m * height_m / cells), 0.5)
        self._step = np.array([self.cell_m / kx, self.cell_m / ky])
        # Room around the areas, so that what is within MARGIN_M of them has a cell of its own.
        margin = int(np.ceil(MARGIN_M / self.cell_m)) + 2
        self._origin = np.array([west, south]) - margin * self._step
        self._shape = tuple(
            int(n) + margin for n in np.ceil((np.array([east, north]) - self._origin) / self._step)
        )
        self._border = np.zeros(self._shape, np.uint8)
        ij = _crossed_cells((edges - np.tile(self._origin, 2)) / np.tile(self._step, 2))
        self._border[ij[:, 0], ij[:, 1]] = 1
        self._masks: dict[int, NDArray[np.uint8]] = {}
        self._lock = Lock()
        self._owner = self._owners(containing)

    def _owners(
        self, containing: Callable[[Floats, Floats], tuple[Ints, NDArray[np.bool_]]]
    ) -> NDArray[np.integer]:
        """Each patch of cells without a border lies in one area as a whole: ask once per patch."""
        patches, count = label(self._border == 0)
        flat = patches.ravel()
        first = np.full(count + 1, -1, np.int64)
        first[flat[::-1]] = np.arange(flat.size)[::-1]
        i, j = np.unravel_index(first[1:], self._shape)
        centre = self._origin + (np.column_stack([i, j]) + 0.5) * self._step
        area, several = containing(centre[:, 0], centre[:, 1])
        owner = np.concatenate([[MIXED], np.where(several, MIXED, area)])
        kind = np.int16 if owner.max() < 32_000 else np.int32
        return np.asarray(owner.astype(kind)[patches])

    def cell(self, lon: Floats, lat: Floats) -> Ints:
        """The cell of each point; points outside (or NaN) get cell 0, which is empty."""
        i = (lon - self._origin[0]) / self._step[0]
        j = (lat - self._origin[1]) / self._step[1]
        within = (i >= 0) & (j >= 0) & (i < self._shape[0]) & (j < self._shape[1])
        flat = np.where(within, i, 0).astype(np.int64)
        flat *= self._shape[1]
        flat += np.where(within, j, 0).astype(np.int64)
        return flat

    def owner(self, cell: Ints) -> Ints:
        """The area that each cell lies in as a whole; -1 outside all, or `MIXED`."""
        return np.asarray(self._owner.ravel()[cell], np.int64)

    def near_border(self, cell: Ints, reach_m: float) -> NDArray[np.bool_]:
        """Whether a border may be within reach of some point of the cell."""
        if reach_m > MARGIN_M:
            return np.ones(len(cell), bool)
        reach = int(np.ceil(reach_m / self.cell_m * 1.001))
        with self._lock:  # workers that come together need the same
            if reach not in self._masks:
                mask = maximum_filter1d(self._border, 2 * reach + 1, axis=0)
                self._masks[reach] = maximum_filter1d(mask, 2 * reach + 1, axis=1)
        return np.asarray(self._masks[reach].ravel()[cell] != 0)


def segments(polygons: NDArray[np.object_]) -> tuple[Floats, Ints]:
    """Every edge of the polygons as (x0, y0, x1, y1), and the index of its polygon."""
    parts, owner = shapely.get_parts(polygons, return_index=True)
    rings, of = shapely.get_rings(parts, return_index=True)  # of multipolygons it gives none
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[1:] == ring[:-1]
    return np.hstack([xy[:-1][same], xy[1:][same]]), owner[of][ring[1:][same]]


def ranges(starts: Ints, counts: Ints) -> Ints:
    """start, start + 1, … (count of them) for each pair, one after the other."""
    ends = np.cumsum(counts)
    return np.repeat(starts - (ends - counts), counts) + np.arange(ends[-1] if len(ends) else 0)


def _crossed_cells(edges: Floats) -> Ints:
    """The unit cells that any of the edges (in cell units, all positive) passes through.

    Each edge is cut where it crosses the lines of the raster; the middle of each part lies in a
    cell that the edge passes. Cells touched within rounding error are taken too; a cell may come
    more than once.
    """
    parts = []
    index = np.arange(len(edges))
    t, owner = [np.zeros(len(edges)), np.ones(len(edges))], [index, index]
    for axis in (0, 1):
        a, b = edges[:, axis], edges[:, axis + 2]
        low, high = np.minimum(a, b), np.maximum(a, b)
        first = np.floor(low).astype(np.int64) + 1
        count = np.maximum(np.ceil(high).astype(np.int64) - first, 0)
        who = np.repeat(index, count)
        line = ranges(first, count)
        t.append((line - a[who]) / (b - a)[who])
        owner.append(who)
    times, who = np.concatenate(t), np.concatenate(owner)
    order = np.lexsort((times, who))
    times, who = times[order], who[order]
    same = who[1:] == who[:-1]
    middle, who = ((times[1:] + times[:-1]) / 2)[same], who[1:][same]
    xy = edges[who, :2] + middle[:, None] * (edges[who, 2:] - edges[who, :2])
    for dx in (-1e-7, 1e-7):
        for dy in (-1e-7, 1e-7):
            parts.append(np.floor(xy + np.array([dx, dy])).astype(np.int64))
    return np.concatenate(parts)
