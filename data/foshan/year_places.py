"""Places where things happen in a simulated year: on the map, placed by the placement of intakes.

Homes and shops are where most things happen again and again, so that a year has a few places for
each grid, each placed once.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import shapely
from sqlalchemy import Connection, text

from data import areas
from data.bulk_placement import Map
from gis.datum import from_wgs84

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PER_GRID = 24
ON_EDGES = 4000
OUTSIDE = 500
ACCURACY_M = 10.0
FAR = 2.0  # degrees east of the city

_GRIDS = text("""
SELECT p.area_id, p.path[4] AS village_id, p.path[3] AS town_id, d.code AS district
FROM area_path p LEFT JOIN area d ON d.id = p.path[2]
WHERE p.level = 4 AND p.valid @> CAST(:at AS timestamptz)
""")


@dataclass(frozen=True)
class Grids:
    """The n grids of the city: where they are in the tree, and how much happens in each.

    `weight` sums to 1.
    """

    area_id: Ints
    village_id: Ints
    town_id: Ints
    district: npt.NDArray[np.object_]
    weight: Floats

    def __len__(self) -> int:
        return len(self.area_id)


@dataclass(frozen=True)
class Places:
    """Places with their placement, as columns of one length; see `report` and `record`.

    Attributes
    ----------
    table : lon, lat, x, y (GCJ-02), geom (EWKB), area_id, version_id, method, ambiguous, border_m,
        alternatives
    sure : numbers of the places whose grid is certain, grid by grid
    starts : where each grid's begin in `sure`, and the end; shape (grids + 1,)
    edge, outside : numbers of the places on edges, and beyond the city
    """

    table: pa.Table
    sure: Ints
    starts: Ints
    edge: Ints
    outside: Ints

    def within(self, grid: Ints, rng: np.random.Generator) -> Ints:
        """A sure place in each of these grids."""
        count = np.diff(self.starts)[grid]
        return self.sure[self.starts[grid] + (rng.random(len(grid)) * count).astype(np.int64)]


def make(
    connection: Connection, at: datetime, known: datetime, rng: np.random.Generator
) -> tuple[Grids, Places]:
    """The grids of a moment, and places in them, on their edges and outside.

    Raises
    ------
    ValueError
        The city has no grids.
    """
    frame = areas.read(connection, "grid", at=at)
    if frame.empty:
        raise ValueError("there are no grids yet; load the city first, as `make demo` does")
    shapes = frame.geometry.to_numpy()
    lonlat = np.concatenate(
        [_inside(shapes, rng), _on_edges(shapes, rng), _outside(frame.total_bounds, rng)]
    )
    table = _placed(Map(connection, "grid", known, memory=False), lonlat, at)
    grids = _in_tree(connection, frame, at, rng)
    return grids, _sorted(table, grids)


def _inside(shapes: npt.NDArray[np.object_], rng: np.random.Generator) -> Floats:
    """`PER_GRID` points in each shape: in its bounding box, those outside tried again."""
    of = np.repeat(np.arange(len(shapes)), PER_GRID)
    box = shapely.bounds(shapes)[of]
    points = np.empty((len(of), 2))
    shapely.prepare(shapes)
    todo = np.arange(len(of))
    while len(todo):
        low, high = box[todo, :2], box[todo, 2:]
        points[todo] = low + rng.random((len(todo), 2)) * (high - low)
        todo = todo[~shapely.contains_xy(shapes[of[todo]], *points[todo].T)]
    return points


def _on_edges(shapes: npt.NDArray[np.object_], rng: np.random.Generator) -> Floats:
    lines = shapely.boundary(rng.choice(shapes, ON_EDGES))
    points = shapely.line_interpolate_point(lines, rng.random(ON_EDGES), normalized=True)
    lonlat: Floats = shapely.get_coordinates(points)
    return lonlat


def _outside(bounds: Floats, rng: np.random.Generator) -> Floats:
    return bounds[2:] + [FAR, 0] + rng.random((OUTSIDE, 2)) * 0.1


def _placed(city: Map, lonlat: Floats, at: datetime) -> pa.Table:
    lon, lat = np.ascontiguousarray(lonlat.T)
    x, y = from_wgs84(lon, lat, "gcj02")
    n = len(lon)
    nothing = np.full(n, None, object)
    placed = city.place(
        lon, lat, np.full(n, ACCURACY_M), pd.DatetimeIndex([at] * n), nothing, nothing
    )
    wkb = shapely.to_wkb(shapely.set_srid(shapely.points(lon, lat), 4326), include_srid=True)
    return pa.table({
        "x": x, "y": y, "geom": pa.array(wkb, pa.binary()),
        "area_id": pa.array(placed.area_id, mask=placed.area_id < 0),
        "version_id": pa.array(placed.version_id, mask=placed.version_id < 0),
        "method": pa.array(placed.method, pa.string()), "ambiguous": placed.ambiguous,
        "border_m": pa.array(placed.border_m, mask=np.isnan(placed.border_m)),
        "alternatives": placed.alternatives,
    })  # fmt: skip


def _in_tree(
    connection: Connection, frame: pd.DataFrame, at: datetime, rng: np.random.Generator
) -> Grids:
    rows = connection.execute(_GRIDS, {"at": at}).mappings().all()
    tree = pd.DataFrame(rows).set_index("area_id").loc[frame.area_id]
    weight = rng.lognormal(0, 0.5, len(frame))
    return Grids(
        frame.area_id.to_numpy(np.int64), tree.village_id.to_numpy(np.int64),
        tree.town_id.to_numpy(np.int64), tree.district.to_numpy(object), weight / weight.sum(),
    )  # fmt: skip


def _sorted(table: pa.Table, grids: Grids) -> Places:
    """The places by what they are good for."""
    area = table["area_id"].fill_null(-1).to_numpy()
    edge = table["ambiguous"].to_numpy() & (table["method"].to_numpy() == "on_border")
    order = np.argsort(grids.area_id)
    at = np.searchsorted(grids.area_id[order], area)
    grid = np.where(area >= 0, order[np.minimum(at, len(order) - 1)], -1)
    sure = np.flatnonzero((area >= 0) & ~edge)
    sure = sure[np.argsort(grid[sure], kind="stable")]
    starts = np.searchsorted(grid[sure], np.arange(len(grids) + 1))
    return Places(table, sure, starts, np.flatnonzero(edge), np.flatnonzero(area < 0))
