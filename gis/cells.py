"""H3 cells over an area: which, how much of each lies inside, what happened in each, who is next.

Cells are numbered as H3 numbers them, as int64. One resolution at a time; areas that cross the
180th meridian are not for this module.
"""

from dataclasses import dataclass

import h3  # type: ignore[import-untyped]
import h3.api.numpy_int as h3_int  # type: ignore[import-untyped]
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from gis.links import whole
from gis.plane import Geometries, Plane, areas_m2

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FINEST = 15
NOWHERE = -1
DEGREE_M = 111_320.0  # of a meridian, and at most of a parallel


@dataclass(frozen=True, eq=False)
class Cells:
    """The n cells that share ground with an area, in order of their numbers.

    Attributes
    ----------
    number : (n,) int64, H3's
    resolution : 0 to 15
    polygons : (n,) the cells, degrees (WGS 84)
    inside : (n,) the parts of them in the area, polygons or multipolygons
    area_m2, inside_m2 : (n,) ground of the cells and of those parts. A cell at the border has room
        for a part of the events only: hold its count against `inside_m2` (`gis.rates.per_km2`) or
        leave out those with a small `share_inside`
    """

    number: Ints
    resolution: int
    polygons: Geometries
    inside: Geometries
    area_m2: Floats
    inside_m2: Floats

    def __len__(self) -> int:
        return len(self.number)

    @property
    def share_inside(self) -> Floats:
        """The part of each cell's ground that lies in the area, above 0 to 1."""
        return np.minimum(self.inside_m2 / self.area_m2, 1)

    def find(self, number: ArrayLike) -> Ints:
        """Which of the cells has each number, 0 to n - 1; -1 for numbers that none has."""
        wanted = np.asarray(number, np.int64)
        if not len(self):
            return np.full(wanted.shape, NOWHERE)
        at = np.minimum(np.searchsorted(self.number, wanted), len(self) - 1)
        return np.where(self.number[at] == wanted, at, NOWHERE)

    def neighbours(self, rings: int = 1) -> csr_array:
        """Which cells lie within so many steps of each, (n, n), 1 where; no cell is its own.

        What `gis.local_statistics` and `libpysal.graph.Graph.from_sparse` take.
        """
        if rings < 1:
            raise ValueError(f"Neighbours lie at least 1 ring away, not {rings}.")
        disks = [h3_int.grid_disk(cell, rings) for cell in self.number.tolist()]
        row = np.repeat(np.arange(len(self)), [len(disk) for disk in disks])
        column = self.find(np.concatenate([*disks, np.zeros(0, np.uint64)]))
        pair = (column != NOWHERE) & (column != row)
        row, column = row[pair], column[pair]
        return csr_array((np.ones(len(row)), (row, column)), (len(self), len(self)))


@dataclass(frozen=True, eq=False)
class Counts:
    """Events in each cell.

    Attributes
    ----------
    events : (n,) or (n, periods) int64
    elsewhere : events in none of the cells, or without a position
    over : events left out because their place has as many as one place may count
    """

    events: Ints
    elsewhere: int
    over: int


def cover(area: Geometries | shapely.Geometry, resolution: int, *, at_most: int = 50_000) -> Cells:
    """The cells that share ground with an area.

    Parameters
    ----------
    area : a polygon or multipolygon, or an array of them, degrees (WGS 84)
    resolution : 0 (4,360,000 km² a cell) to 15 (1 m²); 8 is 0.74 km², 9 is 0.11 km²
    at_most : int
        How many cells there may be. They are estimated before any is made.

    Raises
    ------
    ValueError
        No ground, no degrees, an invalid polygon; too many cells, with the resolution that fits.

    Examples
    --------
    >>> cells = cover(shapely.box(113.1, 23.0, 113.12, 23.02), 8)
    >>> len(cells), float(cells.share_inside.max()), float(cells.inside_m2.sum().round(-4))
    (12, 1.0, 4540000.0)
    """
    ground = one_ground(area)
    if resolution not in range(FINEST + 1):
        raise ValueError(f"There is no resolution {resolution}; H3 has 0 to {FINEST}.")
    _check_number(ground, resolution, at_most)
    shapely.prepare(ground)
    number = _near(ground, resolution)
    polygons = outlines(number)
    inside = polygons.copy()
    cut = ~shapely.contains_properly(ground, polygons)
    inside[cut] = shapely.intersection(polygons[cut], ground)
    inside_m2 = areas_m2(inside)
    keep = inside_m2 > 0  # some only touch it, and some lie beside it
    return Cells(
        number[keep], resolution, polygons[keep], inside[keep],
        areas_m2(polygons[keep]), inside_m2[keep],
    )  # fmt: skip


def cell_of(lon: ArrayLike, lat: ArrayLike, resolution: int) -> Ints:
    """The cell of each of n points (degrees, WGS 84) as int64; -1 for NaN and what is no place.

    H3 is asked once for each place, some 600,000 a second, so 1.2 million reports take 2 s at most
    and less where addresses repeat. Numbers of a coarser resolution follow from those of a finer
    one (`h3.cell_to_parent`); whoever asks often keeps them with the points.

    >>> cell_of([113.12, np.nan], [23.02, 23.02], 8).tolist()
    [613635066498646015, -1]
    """
    x, y = (np.atleast_1d(np.asarray(a, dtype=float)) for a in (lon, lat))
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"lon and lat must be one number each a point, not {x.shape}, {y.shape}.")
    if resolution not in range(FINEST + 1):
        raise ValueError(f"There is no resolution {resolution}; H3 has 0 to {FINEST}.")
    number = np.full(len(x), NOWHERE, np.int64)
    place = np.flatnonzero((np.abs(x) <= 180) & (np.abs(y) <= 90))
    once, which = np.unique(x[place] + 1j * y[place], return_inverse=True)
    of = h3_int.latlng_to_cell
    cells = [
        of(b, a, resolution) for a, b in zip(once.real.tolist(), once.imag.tolist(), strict=True)
    ]
    number[place] = np.array(cells, np.int64)[which]
    return number


def count(
    cells: Cells,
    number: ArrayLike,
    *,
    period: ArrayLike | None = None,
    periods: int = 1,
    place: ArrayLike | None = None,
    most_per_place: int | None = None,
) -> Counts:
    """How many events lie in each cell, and in each period.

    Parameters
    ----------
    cells : Cells
    number : (k,) the cell of each event, from `cell_of` at the cells' resolution
    period : (k,) which period each event is in, 0 to periods - 1; the counts are then (n, periods)
    place : (k,) what tells one address from another, as numbers or text
    most_per_place : int
        How many events of one place count in a cell (and period). One household that reports
        every day is one trouble, not a neighbourhood's; without it all count.

    Raises
    ------
    ValueError
        Arrays of different lengths, a period out of range, a cap without places.

    Examples
    --------
    >>> cells = cover(shapely.box(113.1, 23.0, 113.12, 23.02), 8)
    >>> here = np.repeat(cells.number[:2], [4, 1])
    >>> count(cells, here, place=list("aaab") + ["c"], most_per_place=2).events[:3].tolist()
    [3, 1, 0]
    """
    at = cells.find(number)
    when = np.zeros(len(at), np.int64) if period is None else whole(period, "period", at.shape)
    if len(when) and when.max() >= periods:
        raise ValueError(f"There is no period {when.max()}; there are 0 to {periods - 1}.")
    slot = (at * periods + when)[at != NOWHERE]
    weight = None
    if most_per_place is not None:
        if place is None or most_per_place < 1:
            raise ValueError("most_per_place must be at least 1 and needs the events' places.")
        where = np.asarray(place)
        if where.shape != at.shape:
            raise ValueError(f"place must tell where each of the {len(at)} events was.")
        where = where[at != NOWHERE]
        slot, weight = _capped(slot, where, most_per_place)
    events = np.bincount(slot, weight, len(cells) * periods).astype(np.int64)
    elsewhere = int((at == NOWHERE).sum())
    over = len(at) - elsewhere - int(events.sum())
    shape = (len(cells),) if period is None else (len(cells), periods)
    return Counts(events.reshape(shape), elsewhere, over)


def outlines(number: ArrayLike) -> Geometries:
    """The polygons of n cells, degrees (WGS 84), counter-clockwise.

    >>> outlines([613635066498646015])[0].contains(shapely.Point(113.12, 23.02))
    True
    """
    rings = [h3_int.cell_to_boundary(cell) for cell in np.asarray(number, np.int64).tolist()]
    latlon = np.array([at for ring in rings for at in ring]).reshape(-1, 2)
    ring_of = np.repeat(np.arange(len(rings)), [len(ring) for ring in rings])
    drawn = shapely.linearrings(latlon[:, ::-1], indices=ring_of)
    return np.asarray(shapely.polygons(drawn), dtype=object)


def _near(ground: shapely.Geometry, resolution: int) -> Ints:
    """The cells that ground may touch, and some beside them.

    H3 looks at every vertex for every cell of the border, so it is given a rough outline round the
    ground: widened by twice what simplifying may take away.
    """
    edge_deg = h3.average_hexagon_edge_length(resolution, unit="m") / DEGREE_M
    rough = shapely.simplify(shapely.buffer(ground, 2 * edge_deg, quad_segs=2), edge_deg)
    shape = h3_int.geo_to_h3shape(rough)
    found = h3_int.h3shape_to_cells_experimental(shape, resolution, contain="overlap")
    return np.unique(np.asarray(found, np.uint64)).astype(np.int64)


def _capped(slot: Ints, place: NDArray, most: int) -> tuple[Ints, Floats]:
    """Each slot and place once, with what it counts."""
    who = np.unique(place, return_inverse=True)[1]
    pair, times = np.unique(slot * (who.max(initial=0) + 1) + who, return_counts=True)
    return pair // (who.max(initial=0) + 1), np.minimum(times, most).astype(float)


def one_ground(area: Geometries | shapely.Geometry) -> shapely.Geometry:
    """An area (see `cover`) as one polygon or multipolygon; ValueError if it has no ground."""
    given = np.atleast_1d(np.asarray(area, dtype=object))
    wrong = ~np.isin(shapely.get_type_id(given), (3, 6))
    if wrong.any():
        raise ValueError(f"An area is a polygon or multipolygon, not {given[wrong][0]!r}.")
    if not shapely.is_valid(given).all():
        reason = shapely.is_valid_reason(given[~shapely.is_valid(given)][0])
        raise ValueError(f"The area's outline is no valid polygon: {reason}.")
    ground = shapely.union_all(given)
    if not ground.area > 0:
        raise ValueError("The area has no ground to be covered.")
    west, south, east, north = ground.bounds
    if west < -180 or east > 180 or south < -90 or north > 90:
        raise ValueError(f"The area must be in degrees of WGS 84; its bounds are {ground.bounds}.")
    return ground


def _check_number(ground: shapely.Geometry, resolution: int, at_most: int) -> None:
    as_array = np.array([ground], dtype=object)
    area_m2 = float(areas_m2(as_array)[0])
    length_m = float(shapely.length(Plane.around(as_array).to_xy_m(as_array))[0])
    fits = [r for r in range(FINEST + 1) if _estimate(area_m2, length_m, r) <= at_most]
    if resolution in fits:
        return
    cells = _estimate(area_m2, length_m, resolution)
    advice = f"resolution {max(fits)} would fit" if fits else "no resolution would fit"
    raise ValueError(
        f"At resolution {resolution} an area of {area_m2 / 1e6:,.1f} km² takes about "
        f"{cells:,} cells; {at_most:,} are the most, and {advice}."
    )


def _estimate(area_m2: float, length_m: float, resolution: int) -> int:
    """How many cells share ground with an area: its own measure, and what its border adds.

    The mean over all positions for a convex area (Santaló, *Integral Geometry*, 1976).
    """
    cell_m2 = h3.average_hexagon_area(resolution, unit="m^2")
    around_m = 6 * h3.average_hexagon_edge_length(resolution, unit="m")
    return int((area_m2 + cell_m2 + length_m * around_m / (2 * np.pi)) / cell_m2)
