"""An area cut into square cells, as forecasts of places are made and scored for."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial import cKDTree

from gis.plane import Floats, Geometries

Ints = npt.NDArray[np.int64]

NIJ_CELL_M2 = (62_500 * 0.3048**2, 360_000 * 0.3048**2)
"""The least and greatest area of a cell in NIJ's Real-Time Crime Forecasting Challenge."""
SIDE_M = 150.0
_EDGE_M = 1.0  # published coordinates are rounded; a point so near the area is in it
_MOST_SQUARES = 20_000_000


@dataclass(frozen=True, eq=False)
class Squares:
    """Squares of a plane in metres, clipped to an area; c cells, from south-west to north-east.

    Attributes
    ----------
    area : shapely geometry
        The area that is covered, in metres (xy of a `gis.plane.Plane`).
    side_m, west_m, south_m : float
        Side of a square, and the corner of the raster that the squares are taken from.
    shape : (int, int)
        Rows and columns of that raster.
    square : (c,) ndarray of int
        Where each cell is in the raster, row by row from the south.
    area_m2 : (c,) ndarray of float
        What of each square lies in the area; they add up to the area.
    """

    area: shapely.Geometry
    side_m: float
    west_m: float
    south_m: float
    shape: tuple[int, int]
    square: Ints
    area_m2: Floats

    @classmethod
    def over(cls, areas_xy_m: Geometries, side_m: float = SIDE_M) -> "Squares":
        """The squares that have a part in the union of polygons (metres).

        Where polygons overlap their common part counts once. The raster stands on whole multiples
        of `side_m`, so the same plane gives the same squares whatever the polygons are.

        Raises
        ------
        ValueError
            There is no area, `side_m` is not above 0, or the squares would be too many.

        Examples
        --------
        >>> cells = Squares.over(np.array([shapely.box(0, 0, 300, 225)]))
        >>> cells.area_m2.tolist(), cells.of([[160, 10], [10, 160], [-5, 0]]).tolist()
        ([22500.0, 22500.0, 11250.0, 11250.0], [1, 2, -1])
        """
        if not (np.isfinite(side_m) and side_m > 0):
            raise ValueError(f"the side of a cell is {side_m} m; it must be above 0.")
        area = shapely.union_all(areas_xy_m)
        if not area.area > 0:
            raise ValueError("the area has no extent: give polygons.")
        first = np.floor(np.array(area.bounds[:2]) / side_m)
        columns, rows = (np.ceil(np.array(area.bounds[2:]) / side_m) - first).astype(int)
        if rows * columns > _MOST_SQUARES:
            raise ValueError(
                f"squares of {side_m:g} m would be {rows} rows of {columns}; take larger ones."
            )
        west, south = first * side_m
        square, inside = _touched(area, west, south, side_m, int(rows), int(columns))
        area_m2 = np.full(len(square), side_m**2)
        low = _corners(square[~inside], int(columns), west, south, side_m)
        area_m2[~inside] = shapely.area(shapely.intersection(area, _boxes(low, side_m)))
        some = area_m2 > 0
        shape = int(rows), int(columns)
        return cls(area, side_m, west, south, shape, square[some], area_m2[some])

    def __len__(self) -> int:
        return len(self.square)

    @property
    def centres_xy_m(self) -> Floats:
        """(c, 2): the middles of the squares."""
        return self._low + self.side_m / 2

    def boxes(self, chosen: Ints | slice = slice(None)) -> Geometries:
        """The squares (metres), not clipped; all of them or those chosen."""
        return _boxes(self._low[chosen], self.side_m)

    def of(self, xy_m: npt.ArrayLike) -> Ints:
        """The cell of each point (n, 2); -1 outside of the area, and for NaN.

        A square has its west and south side, not the others. A point up to 1 m outside of the
        area belongs to the nearest cell, for coordinates are rounded.
        """
        points = np.asarray(xy_m, float).reshape(-1, 2)
        cell = np.full(len(points), -1)
        near = np.isfinite(points).all(axis=1)
        place = np.zeros(points.shape, int)
        place[near] = np.floor((points[near] - (self.west_m, self.south_m)) / self.side_m)
        within = near & (place >= 0).all(axis=1) & (place < self.shape[::-1]).all(axis=1)
        cell[within] = self._number[place[within, 1] * self.shape[1] + place[within, 0]]
        doubtful = np.flatnonzero(near & ((cell < 0) | self._clipped[cell]))
        shapely.prepare(self.area)
        close = shapely.dwithin(self.area, shapely.points(points[doubtful]), _EDGE_M)
        cell[doubtful[~close]] = -1
        homeless = doubtful[close & (cell[doubtful] < 0)]
        if len(homeless):
            cell[homeless] = cKDTree(self.centres_xy_m).query(points[homeless])[1]
        return cell

    def raster(self, values: npt.ArrayLike) -> Floats:
        """Values of the cells (c,) in the raster (rows, columns); 0 where there is no cell."""
        out = np.zeros(self.shape[0] * self.shape[1])
        out[self.square] = values
        return out.reshape(self.shape)

    def neighbours(self) -> Ints:
        """(c, 4): the cells that share a side to the west, east, south and north; -1 for none."""
        row, column = np.divmod(self.square, self.shape[1])
        beside = []
        for down, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):
            r, c = row + down, column + right
            there = (r >= 0) & (r < self.shape[0]) & (c >= 0) & (c < self.shape[1])
            beside.append(
                np.where(there, self._number[np.where(there, r * self.shape[1] + c, 0)], -1)
            )
        return np.column_stack(beside)

    @cached_property
    def _low(self) -> Floats:
        return _corners(self.square, self.shape[1], self.west_m, self.south_m, self.side_m)

    @cached_property
    def _number(self) -> Ints:
        number = np.full(self.shape[0] * self.shape[1], -1)
        number[self.square] = np.arange(len(self.square))
        return number

    @cached_property
    def _clipped(self) -> npt.NDArray[np.bool_]:
        return np.asarray(self.area_m2 < self.side_m**2)


def _touched(
    area: shapely.Geometry, west: float, south: float, side: float, rows: int, columns: int
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The squares that meet the area, and which of them lie in it wholly."""
    shapely.prepare(area)
    met, whole = [], []
    for first in range(0, rows, max(1, 200_000 // columns)):  # in memory bounded by the block
        last = min(rows, first + max(1, 200_000 // columns))
        square = np.arange(first * columns, last * columns)
        boxes = _boxes(_corners(square, columns, west, south, side), side)
        some = shapely.intersects(area, boxes)
        met.append(square[some])
        whole.append(shapely.contains_properly(area, boxes[some]))
    return np.concatenate(met), np.concatenate(whole)


def _corners(square: Ints, columns: int, west: float, south: float, side: float) -> Floats:
    row, column = np.divmod(square, columns)
    return np.column_stack([west + column * side, south + row * side])


def _boxes(low: Floats, side: float) -> Geometries:
    x, y = low.T
    boxes: Geometries = shapely.box(x, y, x + side, y + side)
    return boxes
