"""Where more is reported than chance explains, and what became of it over the period."""

import base64
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import h3  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image
from sqlalchemy import Connection, text

from data import areas, areas_named, territory
from data.analyses import observations
from data.analyses.kept import Question, Say
from data.analyses.observations import Observations
from data.analyses.selection import Selection
from data.analyses.work import Analysis
from data.errors import InputError
from data.settings import settings
from gis import alignment, cells, density, emerging, flaws, local_statistics, rates
from gis.cells import Cells
from gis.lattice import Guard, Reason
from gis.plane import Plane

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_CELLS = 15_000  # that a page can carry
FINEST, COARSEST = 11, 5
EDGE = 0.1  # of a cell has to lie in the area, or its rate says nothing
GUARD = Guard()
PERIODS = 8  # so many are needed for a trend to show
TOP = 10  # hot spots that are named
HEAT = ((253, 236, 203, 0), (253, 201, 138, 130), (252, 141, 89, 180), (215, 67, 46, 215),
        (140, 21, 21, 235))  # fmt: skip


@dataclass(frozen=True)
class Wanted:
    """What is tested.

    Attributes
    ----------
    by : `cell` or `grid`
    resolution : of the cells, as H3 counts; None: as fine as the page can carry, 9 at most
    measure : `km2`, or `resident`: of grids, whose residents are known
    """

    by: str = "cell"
    resolution: int | None = None
    measure: str = "km2"

    def __post_init__(self) -> None:
        if self.measure == "resident" and self.by != "grid":
            raise InputError(
                "residents are counted by grid: ask for by=grid, or leave the measure out",
                "measure", "breakdown_wrong",
            )  # fmt: skip


def question(selection: Selection, area_id: int | None, wanted: Wanted) -> Question:
    """Which hot spots are asked for."""
    asked = {"selection": selection.said(), "area_id": area_id, "wanted": asdict(wanted)}
    return Question(
        ANALYSIS.name, ANALYSIS.version, asked, selection.first, selection.last, area_id
    )


@dataclass(frozen=True, eq=False)
class Units:
    """What is tested: n cells or grids, with their ground and who borders whom.

    Attributes
    ----------
    shape : (n,) degrees WGS 84
    code : (n,) of grids; of cells their H3 index
    inside_m2, share_inside : (n,) ground in the area, and the part of the cell's that it is
    residents : (n,) NaN where nobody counted them
    at : (k,) the unit of each observation; -1: none
    """

    shape: npt.NDArray[np.object_]
    code: list[str]
    inside_m2: Floats
    share_inside: Floats
    residents: Floats
    neighbours: Any
    at: Ints


def work(connection: Connection, asked: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The tests of each unit, its pattern over the period, the density, and what stands beside."""
    selection, wanted = Selection.of(asked["selection"]), Wanted(**asked["wanted"])
    say("reports", 0.0)
    found = observations.read(connection, selection, settings().timezone)
    ground = outline(connection, asked["area_id"])
    answer = {
        "selection": selection.said(), "wanted": asked["wanted"], "reports": len(found),
        "unplaced": found.unplaced, "note": None, "units": None, "heat": None,
        "newest": None if len(found) else observations.newest(connection),
        **_beside(found, selection),
    }  # fmt: skip
    if ground is None:
        return {**answer, "note": _NO_GROUND}
    say("cells", 0.3)
    resolution = _resolution(ground, wanted) if wanted.by == "cell" else None
    if resolution is not None and (n := _estimate(ground, resolution)) > MOST_CELLS:
        return {**answer, "note": _too_many(n, resolution, ground)}
    units = (
        _grids(connection, asked["area_id"], found)
        if resolution is None
        else _cells(ground, resolution, found)
    )
    say("tests", 0.5)
    answer["resolution"] = resolution
    answer["units"] = _tested(connection, units, found, selection, wanted)
    answer["note"] = _note(answer["units"], found)
    say("density", 0.9)
    answer["heat"] = _heat(found, ground, selection)
    return answer


# --- the units ------------------------------------------------------------------------------------


_CITY = text("""
SELECT ST_AsBinary(ST_Union(v.geom)) FROM area_version v JOIN area a ON a.id = v.area_id
JOIN layer l ON l.name = a.layer
WHERE upper_inf(v.recorded) AND v.valid @> now()
  AND CASE WHEN CAST(:area_id AS bigint) IS NULL THEN l.tree_level = 0 ELSE a.id = :area_id END
""")


def outline(connection: Connection, area_id: int | None) -> shapely.Geometry | None:
    """The area that is asked about, or the city; None: there is no border of it."""
    found = connection.execute(_CITY, {"area_id": area_id}).scalar()
    return None if found is None else flaws.make_valid(np.array([shapely.from_wkb(found)]))[0]


def _estimate(ground: shapely.Geometry, resolution: int) -> int:
    """About how many cells cover an area."""
    plane = Plane.around(np.array([ground]))
    size = float(shapely.area(plane.to_xy_m(np.array([ground])))[0])
    return int(size / h3.average_hexagon_area(resolution, unit="m^2")) + 1


def _resolution(ground: shapely.Geometry, wanted: Wanted) -> int:
    if wanted.resolution is not None:
        return wanted.resolution
    fits = [r for r in range(COARSEST, 10) if _estimate(ground, r) <= MOST_CELLS * 0.9]
    return max(fits, default=COARSEST)


@lru_cache(maxsize=4)
def _cover(ground: bytes, resolution: int) -> tuple[Cells, Any]:
    """The cells over an area, kept, for the city's take seconds."""
    over = cells.cover(shapely.from_wkb(ground), resolution, at_most=2 * MOST_CELLS)
    return over, over.neighbours()


def _cells(ground: shapely.Geometry, resolution: int, found: Observations) -> Units:
    over, neighbours = _cover(shapely.to_wkb(ground), resolution)
    at = over.find(cells.cell_of(found.lonlat[:, 0], found.lonlat[:, 1], resolution))
    return Units(
        over.polygons, [h3.int_to_str(n) for n in over.number.tolist()], over.inside_m2,
        over.share_inside, np.full(len(over), np.nan), neighbours, at,
    )  # fmt: skip


def _grids(connection: Connection, area_id: int | None, found: Observations) -> Units:
    frame = areas.read(connection, "grid")
    frame = frame[frame["kind"] == "basic"]
    if area_id is not None:
        frame = frame[frame["area_id"].isin(territory.below(connection, area_id))]
    frame = frame.reset_index(drop=True)
    shapes = frame.geometry.to_numpy()
    pairs = alignment.neighbours(Plane.around(shapes).to_xy_m(shapes)) if len(frame) else None
    residents = [_number(each.get("residents")) for each in frame["attributes"]]
    order = np.argsort(frame["area_id"].to_numpy())
    ids = frame["area_id"].to_numpy()[order]
    place = np.searchsorted(ids, found.area_id)
    known = np.zeros(len(found), bool)
    within = place < len(ids)
    known[within] = ids[place[within]] == found.area_id[within]
    at = np.full(len(found), -1)
    at[known] = order[place[known]]
    size = frame["area_m2"].to_numpy(float)
    return Units(
        shapes, frame["code"].tolist(), size, np.ones(len(frame)), np.array(residents, float),
        _matrix(pairs, len(frame)), at,
    )  # fmt: skip


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")


def _matrix(pairs: Ints | None, n: int) -> Any:
    from scipy.sparse import csr_array

    if pairs is None or not len(pairs):
        return csr_array((n, n))
    row, column = np.concatenate([pairs, pairs[:, ::-1]]).T
    return csr_array((np.ones(len(row)), (row, column)), (n, n))


# --- the tests ------------------------------------------------------------------------------------


def _tested(
    connection: Connection, units: Units, found: Observations, selection: Selection, wanted: Wanted
) -> dict[str, Any]:
    """The tables of the units: counts, rates, tests, patterns, and when it happened in each."""
    n = len(units.code)
    counts = np.bincount(units.at[units.at >= 0], minlength=n)
    per_km2 = np.where(units.share_inside >= EDGE, rates.per_km2(counts, units.inside_m2), np.nan)
    rate = None
    values = per_km2
    if wanted.measure == "resident":
        people = np.nan_to_num(units.residents)
        rate = rates.per_resident(counts, people, neighbours=units.neighbours, per=1000)
        values = rate.standardised
    gi = local_statistics.getis_ord(values, units.neighbours, events=counts, guard=GUARD)
    moran = local_statistics.local_moran(values, units.neighbours, events=counts, guard=GUARD)
    starts, bins = _bins(selection)
    slots = _slots(units.at, found, n, bins)
    table: dict[str, Any] = {
        "code": units.code, "count": counts.tolist(), "per_km2": _said(per_km2),
        "residents": _said(units.residents, 0),
        "rate": _said(rate.smoothed) if rate else None,
        "z": _said(gi.z), "p": _said(gi.p, 5), "q": _said(gi.q, 5), "band": gi.band.tolist(),
        "reason": gi.reason.tolist(), "share_inside": _said(units.share_inside, 3),
        "quadrant": np.where(moran.band > 0, moran.quadrant, 0).tolist(),
        "moran_q": _said(moran.q, 5), "permutations": gi.permutations,
        "starts": starts, **slots,
        "pattern": _patterns(slots["bins"], units.neighbours),
        "top": _named(connection, units, gi.z, gi.band, counts),
    }  # fmt: skip
    if wanted.by == "cell":
        table["ring"] = [ring(each) for each in units.shape]
    return table


def _said(values: Floats, digits: int = 2) -> list[float | None]:
    return [None if np.isnan(v) else round(v, digits) for v in values.tolist()]


def ring(polygon: shapely.Geometry) -> list[int]:
    """A polygon's outline as the page reads it; see `layers.analysis.analysis`."""
    at = np.rint(shapely.get_coordinates(polygon)[:-1] * 1e5).astype(np.int64)
    steps = np.diff(at, axis=0, prepend=np.zeros((1, 2), np.int64))
    found: list[int] = steps.ravel().tolist()
    return found


def _bins(selection: Selection) -> tuple[list[str], Ints]:
    """The period in eight equal parts of whole days (fewer if it is shorter): starts, edges."""
    days = (selection.last - selection.first).days + 1
    parts = min(PERIODS, days)
    first = (selection.first - type(selection.first)(1970, 1, 1)).days
    edges = first + np.floor(np.linspace(0, days, parts + 1)).astype(np.int64)
    return [str(np.datetime64(int(day), "D")) for day in edges[:-1]], edges


def _slots(at: Ints, found: Observations, n: int, edges: Ints) -> dict[str, Any]:
    """How many in each unit by part of the period, hour of the day and weekday: (slots, n)."""
    parts = {
        "bins": (np.searchsorted(edges, found.day, side="right") - 1, len(edges) - 1),
        "hours": (found.hour, 24),
        "weekdays": (found.weekday - 1, 7),
    }
    inside = at >= 0
    return {
        name: np.bincount(slot[inside] * n + at[inside], minlength=size * n)
        .reshape(size, n)
        .tolist()
        for name, (slot, size) in parts.items()
    }


def _patterns(bins: list[list[int]], neighbours: Any) -> list[int] | None:
    """What became of each unit; None: the period has too few parts."""
    series = np.array(bins, float).T
    if series.ndim != 2 or series.shape[1] < 3 or not len(series):
        return None
    found: list[int] = emerging.emerging(series, neighbours, guard=GUARD).pattern.tolist()
    return found


def _named(
    connection: Connection, units: Units, z: Floats, band: npt.NDArray[np.int8], counts: Ints
) -> list[dict[str, Any]]:
    """The hottest units that are called, with the village around each."""
    hot = np.flatnonzero(band >= 1)
    hot = hot[np.argsort(-np.nan_to_num(z[hot]), kind="stable")][:TOP]
    points = shapely.get_coordinates(shapely.point_on_surface(units.shape[hot]))
    where = areas_named.at(connection, points[:, 0].tolist(), points[:, 1].tolist(), "village")
    asked = {"ids": sorted(where.values())}
    names: dict[int, str] = {row[0]: row[1] for row in connection.execute(NAMES, asked)}
    return [
        {"unit": int(unit), "code": units.code[unit], "village": names.get(where.get(i, -1), ""),
         "z": round(float(z[unit]), 1), "count": int(counts[unit]), "band": int(band[unit])}
        for i, unit in enumerate(hot)
    ]  # fmt: skip


NAMES = text("""
SELECT v.area_id, coalesce(u.name || ' ', '') || v.name FROM area_version v
LEFT JOIN area_version u ON u.area_id = v.parent_id AND upper_inf(u.recorded) AND u.valid @> now()
WHERE v.area_id = ANY (:ids) AND upper_inf(v.recorded) AND v.valid @> now()
""")


# --- beside the map -------------------------------------------------------------------------------


def _beside(found: Observations, selection: Selection) -> dict[str, Any]:
    first = (selection.first - type(selection.first)(1970, 1, 1)).days
    days = (selection.last - selection.first).days + 1
    kinds = np.bincount(found.kind[found.kind >= 0], minlength=len(found.kinds))
    order = np.argsort(-kinds, kind="stable")
    return {
        "days": np.bincount(found.day - first, minlength=days).tolist(),
        "hour_totals": np.bincount(found.hour, minlength=24).tolist(),
        "weekday_totals": np.bincount(found.weekday - 1, minlength=7).tolist(),
        "kinds": [[found.kinds[i], int(kinds[i])] for i in order if kinds[i]],
        "no_kind": int((found.kind < 0).sum()),
        "channels": sorted(found.channels),
    }


def _heat(
    found: Observations, ground: shapely.Geometry, selection: Selection
) -> dict[str, Any] | None:
    """The kernel density as a picture between bounds; None: there is nothing to spread."""
    if not len(found):
        return None
    plane = Plane.around(np.array([ground]))
    size = float(shapely.area(plane.to_xy_m(np.array([ground])))[0])
    bandwidth = float(np.clip(np.sqrt(size) / 60, 100, 1000))
    days = (selection.last - selection.first).days + 1
    surface = density.kernel_density(
        found.lonlat[:, 0], found.lonlat[:, 1], ground, bandwidth, periods=days
    )
    top = float(np.nanquantile(surface.density, 0.999)) or None
    image = Image.fromarray(density.picture(surface, HEAT, top=top), "RGBA")
    out = io.BytesIO()
    image.quantize(64, Image.Quantize.FASTOCTREE).save(out, "PNG", optimize=True)
    west, south, east, north = surface.bounds
    return {
        "png": base64.b64encode(out.getvalue()).decode(), "bounds": [[south, west], [north, east]],
        "bandwidth_m": round(bandwidth), "top": top,
    }  # fmt: skip


# --- what the reader has to know ------------------------------------------------------------------

_NO_GROUND = {
    "zh": "还没有导入城市边界，无法计算热点",
    "en": "There is no border of the city yet: import areas first",
}


def _too_many(n: int, resolution: int, ground: shapely.Geometry) -> dict[str, str]:
    fits = max(
        (r for r in range(COARSEST, FINEST + 1) if _estimate(ground, r) <= MOST_CELLS),
        default=COARSEST,
    )
    return {
        "zh": f"这样细的六边形（H3 {resolution} 级）约有 {n:,} 个，一页最多 {MOST_CELLS:,} 个；"
        f"请选 {fits} 级或更粗，或选一个较小的区域",
        "en": f"Cells of H3 resolution {resolution} are about {n:,} here; a page has "
        f"{MOST_CELLS:,} at most: take {fits} or coarser, or a smaller area",
    }


def _note(units: Mapping[str, Any], found: Observations) -> dict[str, str] | None:
    reasons = set(units["reason"])
    if len(found) and reasons <= {int(Reason.FEW_IN_ALL), int(Reason.NO_VALUE)}:
        least = int(GUARD.in_all)
        return {
            "zh": f"只有 {len(found)} 件上报，少于 {least} 件不做显著性检验；图上只显示件数",
            "en": f"Only {len(found)} reports: fewer than {least} are not tested, only counted",
        }
    if len(found) and Reason.FLAT in reasons:
        return {
            "zh": "各处件数相同，没有热点可言",
            "en": "All counts are the same: there is nothing to tell apart",
        }
    return None


ANALYSIS = Analysis("hotspots", 1, work)
