"""Whether polygons tile their area, and what exactly is wrong where they do not.

`check` tells, `repair` mends what it is asked to. Both take arrays of codes and polygons in
longitude and latitude (EPSG:4326) and measure in metres, on a plane round the data's centre
(`gis.plane`); they are made for a city or a province, not for the globe.

A *valid* coverage in the sense of GEOS may contain holes: it only says that no polygons overlap
and that shared borders share their vertices. So a gap is found by its width, and where the
outline of the parent area is known, by holding the children's union against it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gis import flaws
from gis.mending import repair
from gis.plane import Geometries, Plane, areas_m2, narrower, widths_m

__all__ = ["ERROR", "KINDS", "WARNING", "check", "repair"]

ERROR, WARNING = "error", "warning"

KINDS: dict[str, str] = {
    "empty": "no polygon at all, or one without area",
    "not_polygon": "a point or line where a polygon is wanted",
    "self_crossing": "a polygon whose border crosses or touches itself",
    "multipart": "one area in several pieces",
    "sliver": "a polygon, or a piece of one, too narrow to be meant",
    "bad_code": "a code that is missing or breaks its rule",
    "duplicate_code": "one code on several polygons",
    "two_parents": "one code in several parent areas",
    "duplicate_shape": "the same polygon twice",
    "overlap": "ground that belongs to two polygons",
    "gap": "ground that belongs to no polygon",
    "unmatched_border": "neighbours whose common border has different vertices",
    "spill": "ground of a polygon outside its parent",
    "wrong_parent": "a polygon that lies in another parent than it names",
    "unknown_parent": "a parent that is missing or not among the outlines",
}

CodeRule = Callable[[npt.NDArray[np.object_]], Sequence[str] | npt.NDArray[np.object_]]


@dataclass(slots=True)
class Fault:
    """One finding: what, how bad, whom it concerns (rows of the input), and where."""

    kind: str
    severity: str
    rows: Sequence[int]
    message: str
    geometry: shapely.Geometry | None  # degrees
    width_m: float = float("nan")


@dataclass(frozen=True, slots=True)
class _Input:
    """The polygons as they came, and as valid polygons in metres."""

    codes: list[str]
    lonlat: Geometries
    xy_m: Geometries
    plane: Plane
    min_area_m2: float

    def name(self, row: int) -> str:
        return self.codes[row] or f"(row {row + 1}, without a code)"

    def where(self, geometry: shapely.Geometry) -> str:
        point = shapely.point_on_surface(geometry)
        return f"near {point.x:.5f}, {point.y:.5f}" if not point.is_empty else "nowhere"


def check(
    codes: npt.ArrayLike,
    polygons: npt.ArrayLike,
    *,
    parents: npt.ArrayLike | None = None,
    outlines: Mapping[str, shapely.Geometry] | None = None,
    code_rule: CodeRule | None = None,
    unique: bool = True,
    gap_width_m: float = 2.0,
    min_area_m2: float = 1.0,
    sliver_width_m: float = 2.0,
) -> gpd.GeoDataFrame:
    """Find everything that is wrong with a coverage; an empty table means that nothing is.

    Parameters
    ----------
    codes : array_like of str, shape (n,)
        The areas' codes; None counts as missing.
    polygons : array_like of Polygon or MultiPolygon, shape (n,)
        Longitude and latitude in degrees (EPSG:4326).
    parents : array_like of str, shape (n,), optional
        The code of each area's parent. Without it one code twice is only a `duplicate_code`.
    outlines : mapping of str to Polygon or MultiPolygon, optional
        The parents' polygons by code, in degrees; needs `parents`. The children of each must
        cover it exactly: every gap is found, however wide, and all that spills over. An outline
        without any child is a gap, so give only the outlines that are meant.
    code_rule : callable, optional
        Takes the codes (array of object) and returns for each what is wrong with it, ``''`` if
        nothing; see `gis.codes.check`. Without it any text that is not empty is a code.
    unique : bool
        Whether a code may stand on one polygon only. If False, the polygons of one code are the
        pieces of one area (police beats are published so) and may not lie in two parents.
    gap_width_m : float
        A hole between polygons that no circle of this diameter (m) fits into is a gap, unless
        outlines say better. Wider holes are taken for enclaves. An inlet that is open to the
        outside and that narrow gives a warning.
    min_area_m2 : float
        Overlaps, gaps and spills under this area (m²) are passed over; the borders that cause
        them are still reported as `unmatched_border`.
    sliver_width_m : float
        A polygon that no circle of this diameter (m) fits into is a sliver.

    Returns
    -------
    GeoDataFrame
        One row per fault, in EPSG:4326: ``kind`` (see `KINDS`), ``severity`` (``error`` or
        ``warning``), ``codes`` (list of str), ``rows`` (list of int, positions in the input),
        ``message``, ``area_m2`` (of the fault, on the ellipsoid; 0 for lines and points),
        ``width_m`` (NaN where it means nothing), ``geometry`` (where it is; may be None).

    Raises
    ------
    ValueError
        The arrays differ in length, or `outlines` comes without `parents`.

    Examples
    --------
    >>> faults = check(["a", "b"], [shapely.box(113, 23, 113.01, 23.01)] * 2)
    >>> faults[["kind", "severity"]].values.tolist()
    [['duplicate_shape', 'error']]
    """
    data = _input(codes, polygons, min_area_m2)
    kin = _parents(parents, len(data.codes))
    if outlines is not None and kin is None:
        raise ValueError("outlines need parents: the code of each polygon's parent")
    found = [
        *_shape_faults(data),
        *_sliver_faults(data, sliver_width_m),
        *_code_faults(data, code_rule),
        *_repeated_codes(data, kin, unique),
        *_border_faults(data, gap_width_m, with_gaps=outlines is None),
    ]
    if outlines is not None and kin is not None:
        found += _parent_faults(data, kin, outlines)
    return _table(found, data)


def _input(codes: npt.ArrayLike, polygons: npt.ArrayLike, min_area_m2: float) -> _Input:
    lonlat = np.array(polygons, dtype=object).ravel()
    names = ["" if pd.isna(code) else str(code).strip() for code in np.ravel(_objects(codes))]
    if len(names) != len(lonlat):
        raise ValueError(f"{len(names)} codes for {len(lonlat)} polygons; give one code for each")
    plane = Plane.around(lonlat)
    xy_m = flaws.make_valid(plane.to_xy_m(shapely.force_2d(lonlat)))
    xy_m[shapely.get_dimensions(xy_m) != 2] = shapely.Polygon()
    return _Input(names, lonlat, xy_m, plane, min_area_m2)


def _objects(values: npt.ArrayLike) -> npt.NDArray[np.object_]:
    return np.asarray(values, dtype=object)


def _parents(parents: npt.ArrayLike | None, count: int) -> list[str] | None:
    if parents is None:
        return None
    kin = ["" if pd.isna(p) else str(p).strip() for p in np.ravel(_objects(parents))]
    if len(kin) != count:
        raise ValueError(f"{len(kin)} parents for {count} polygons; give one parent for each")
    return kin


def _shape_faults(data: _Input) -> list[Fault]:
    """Each polygon by itself: empty, of another type, crossing itself, in several pieces."""
    found = []
    kinds = shapely.get_type_id(data.lonlat)
    void = shapely.is_missing(data.lonlat) | shapely.is_empty(data.lonlat)
    flat = np.isin(kinds, (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON))
    valid = shapely.is_valid(data.lonlat)
    count = shapely.get_num_geometries(data.lonlat)
    for row in np.flatnonzero(void | ~flat | ~valid | (count > 1)).tolist():
        shape, name = data.lonlat[row], data.name(row)
        if void[row]:
            text = f"{name} has no polygon; draw one or leave the row out."
            found.append(Fault("empty", ERROR, [row], text, None))
        elif not flat[row]:
            text = f"{name} is a {shape.geom_type}; an area needs a Polygon or MultiPolygon."
            found.append(Fault("not_polygon", ERROR, [row], text, shape))
        elif not valid[row]:
            found.append(_crossing(data, row))
        elif count[row] > 1:
            text = (
                f"{name} is in {count[row]} pieces; check that each is meant, or give the pieces "
                "codes of their own."
            )
            found.append(Fault("multipart", WARNING, [row], text, shape))
    return found


def _crossing(data: _Input, row: int) -> Fault:
    shape = data.lonlat[row]
    reason = shapely.is_valid_reason(shape)
    place = re.search(r"\[(\S+) (\S+?)\]", reason)
    point = shapely.Point(float(place[1]), float(place[2])) if place else None
    what = reason.split("[")[0].strip().lower()
    if shapely.is_empty(data.xy_m[row]):
        text = f"{data.name(row)} encloses no area ({what}); draw it again."
        return Fault("empty", ERROR, [row], text, point)
    where = data.where(point) if point else ""
    text = f"The border of {data.name(row)} is not simple ({what}) {where}; redraw it or repair."
    return Fault("self_crossing", ERROR, [row], text, point if point else shape)


def _sliver_faults(data: _Input, width_m: float) -> list[Fault]:
    parts, owner = shapely.get_parts(data.xy_m, return_index=True)
    thin = narrower(parts, width_m)
    parts, owner = parts[thin], owner[thin]
    shapes = data.plane.to_lonlat(parts)
    return [
        Fault(
            "sliver", WARNING, [row],
            f"{data.name(row)} has a piece only {width:.2g} m wide {data.where(shape)}; "
            "join it to its neighbour.",
            shape, width,
        )
        for row, shape, width in zip(owner.tolist(), shapes, widths_m(parts), strict=True)
    ]  # fmt: skip


def _code_faults(data: _Input, rule: CodeRule | None) -> list[Fault]:
    wrong = ["" if code else "the code is missing; give it one" for code in data.codes]
    if rule is not None:
        reasons = rule(np.array(data.codes, dtype=object))
        wrong = [own or str(reason or "") for own, reason in zip(wrong, reasons, strict=True)]
    return [
        Fault("bad_code", ERROR, [row], f"Row {row + 1}: {text}.", data.lonlat[row])
        for row, text in enumerate(wrong)
        if text
    ]


def _repeated_codes(data: _Input, kin: list[str] | None, unique: bool) -> list[Fault]:
    found = []
    rows = pd.Series(data.codes).groupby(np.array(data.codes, dtype=object)).indices
    for code, at in rows.items():
        if not code or len(at) == 1:
            continue
        homes = sorted({kin[i] for i in at}) if kin else []
        if len(homes) > 1:
            kind, text = "two_parents", f"in {', '.join(home or '(none)' for home in homes)}"
        elif not unique:
            continue
        else:
            kind, text = "duplicate_code", "on rows " + ", ".join(str(i + 1) for i in at)
        message = f"Code {code} stands {text}; keep it on one polygon and give the others theirs."
        shape = shapely.geometrycollections([g for g in data.lonlat[at] if g is not None])
        found.append(Fault(kind, ERROR, at.tolist(), message, shape))
    return found


def _border_faults(data: _Input, gap_width_m: float, *, with_gaps: bool) -> list[Fault]:
    """Polygons against each other: the same twice, overlaps, gaps, borders that do not match."""
    if shapely.coverage_is_valid(data.xy_m):
        edges = np.full(len(data.xy_m), shapely.LineString())
        found = []
    else:
        edges = flaws.invalid_edges(data.xy_m)
        found = _overlap_faults(data)
    if with_gaps:
        found += _gap_faults(data, gap_width_m)
    explained = set(chain.from_iterable(fault.rows for fault in found))
    for row in np.flatnonzero(~shapely.is_empty(edges)).tolist():
        if row not in explained:
            line = data.plane.to_lonlat(edges[row : row + 1])[0]
            text = (
                f"The border of {data.name(row)} {data.where(line)} does not have the vertices of "
                "its neighbour's; repair to match them."
            )
            found.append(Fault("unmatched_border", WARNING, [row], text, line))
    return found


def _overlap_faults(data: _Input) -> list[Fault]:
    a, b, shared = flaws.overlaps(data.xy_m, data.min_area_m2)
    same = shapely.equals(data.xy_m[a], data.xy_m[b])
    shapes, widths, areas = data.plane.to_lonlat(shared), widths_m(shared), shapely.area(shared)
    found = []
    for k, (i, j) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        one, two, where = data.name(i), data.name(j), data.where(shapes[k])
        if same[k]:
            text = f"{one} and {two} are the same polygon {where}; delete one."
            found.append(Fault("duplicate_shape", ERROR, [i, j], text, shapes[k], widths[k]))
            continue
        text = (
            f"{one} and {two} overlap by {areas[k]:,.0f} m², up to {widths[k]:.3g} m wide, "
            f"{where}; decide whose it is, or repair if it is a drawing error."
        )
        found.append(Fault("overlap", ERROR, [i, j], text, shapes[k], widths[k]))
    return found


def _gap_faults(data: _Input, width_m: float) -> list[Fault]:
    holes, opened = flaws.gaps(data.xy_m, width_m, data.min_area_m2)
    gap, polygon, _ = flaws.borders(holes, data.xy_m)
    shapes, widths, areas = data.plane.to_lonlat(holes), widths_m(holes), shapely.area(holes)
    found = []
    for k, shape in enumerate(shapes):
        rows = sorted(polygon[gap == k].tolist())
        names = _listed([data.name(row) for row in rows])
        what = "An inlet" if opened[k] else "A gap"
        text = (
            f"{what} of {areas[k]:,.0f} m², up to {widths[k]:.3g} m wide, lies between {names} "
            f"{data.where(shape)}; give it to one of them, or repair."
        )
        severity = WARNING if opened[k] else ERROR
        found.append(Fault("gap", severity, rows, text, shape, widths[k]))
    return found


def _listed(names: Sequence[str], most: int = 5) -> str:
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _parent_faults(
    data: _Input, kin: list[str], outlines: Mapping[str, shapely.Geometry]
) -> list[Fault]:
    """The children's union against their parent's outline, parent by parent."""
    keys = list(outlines)
    frames = flaws.make_valid(data.plane.to_xy_m(np.array(list(outlines.values()), dtype=object)))
    rows_of = pd.Series(kin, dtype=object).groupby(np.array(kin, dtype=object)).indices
    found = [
        Fault(
            "unknown_parent", ERROR, [row],
            f"{data.name(row)} names the parent {kin[row] or '(none)'}, which is not known; "
            "correct it or load the parent first.",
            data.lonlat[row],
        )
        for row, parent in enumerate(kin)
        if parent not in outlines
    ]  # fmt: skip
    none = np.empty(0, dtype=np.intp)
    covered = np.array([flaws.union(data.xy_m[rows_of.get(key, none)]) for key in keys])
    missing = flaws.polygonal(shapely.difference(frames, covered))
    spilt = flaws.polygonal(shapely.difference(covered, frames))
    found += _uncovered(data, keys, missing, rows_of)
    for k in np.flatnonzero(shapely.area(spilt) >= data.min_area_m2).tolist():
        found += _spills(data, rows_of[keys[k]], k, keys, frames)
    return found


def _uncovered(
    data: _Input, keys: list[str], missing: Geometries, rows_of: Mapping[Any, Any]
) -> list[Fault]:
    parts, owner = shapely.get_parts(missing, return_index=True)
    big = shapely.area(parts) >= data.min_area_m2
    parts, owner = parts[big], owner[big]
    widths, shapes, areas = widths_m(parts), data.plane.to_lonlat(parts), shapely.area(parts)
    gap, polygon, _ = flaws.borders(parts, data.xy_m)
    found = []
    for k, parent in enumerate(owner.tolist()):
        rows = sorted(polygon[gap == k].tolist())
        between = _listed([data.name(row) for row in rows]) or "nothing"
        text = (
            f"{areas[k]:,.0f} m² of {keys[parent]}, up to {widths[k]:.3g} m wide, belong to none "
            f"of its {len(rows_of.get(keys[parent], ()))} areas {data.where(shapes[k])} (next to "
            f"{between}); give them to one."
        )
        found.append(Fault("gap", ERROR, rows, text, shapes[k], widths[k]))
    return found


def _spills(
    data: _Input, rows: npt.NDArray[np.intp], home: int, keys: list[str], frames: Geometries
) -> list[Fault]:
    """Children of one parent that reach beyond it, or lie in another one altogether."""
    outside = flaws.polygonal(shapely.difference(data.xy_m[rows], frames[home]))
    found = []
    for row, out in zip(rows.tolist(), outside, strict=True):
        if out.area < data.min_area_m2:
            continue
        shape = data.plane.to_lonlat(np.array([out]))[0]
        name, where, width = data.name(row), data.where(shape), widths_m(np.array([out]))[0]
        inside = shapely.area(shapely.intersection(frames, data.xy_m[row]))
        best = int(np.argmax(inside))
        if best != home and inside[best] > data.xy_m[row].area / 2:
            text = f"{name} names the parent {keys[home]} but lies in {keys[best]}; correct it."
            found.append(Fault("wrong_parent", ERROR, [row], text, data.lonlat[row]))
            continue
        text = (
            f"{name} reaches {out.area:,.0f} m², up to {width:.3g} m wide, beyond its parent "
            f"{keys[home]} {where}; cut it back to the parent's border."
        )
        found.append(Fault("spill", ERROR, [row], text, shape, width))
    return found


def _table(found: list[Fault], data: _Input) -> gpd.GeoDataFrame:
    shapes = np.array([fault.geometry for fault in found], dtype=object)
    codes = [[data.codes[row] for row in dict.fromkeys(fault.rows)] for fault in found]
    return gpd.GeoDataFrame(
        {
            "kind": pd.Series([fault.kind for fault in found], dtype="str"),
            "severity": pd.Series([fault.severity for fault in found], dtype="str"),
            "codes": pd.Series(codes, dtype=object),
            "rows": pd.Series([list(fault.rows) for fault in found], dtype=object),
            "message": pd.Series([fault.message for fault in found], dtype="str"),
            "area_m2": areas_m2(shapes),
            "width_m": pd.Series([fault.width_m for fault in found], dtype=float),
        },
        geometry=shapes,
        crs=4326,
    )
