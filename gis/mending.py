"""Mending a coverage: valid polygons, narrow gaps and overlaps closed, borders matched.

Nothing else is touched: a polygon that needs no change comes back as the same coordinates, and
every change is told. `gis.coverage` finds what is wrong and is the public door to both.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from gis import flaws
from gis.plane import Geometries, Plane, areas_m2, narrower, widths_m

_ROUNDS = 4  # closing a gap can leave a narrower one; this many passes are enough in practice


def repair(
    codes: npt.ArrayLike,
    polygons: npt.ArrayLike,
    *,
    gap_width_m: float = 2.0,
    overlap_width_m: float | None = None,
    min_area_m2: float = 1.0,
) -> tuple[Geometries, gpd.GeoDataFrame]:
    """Mend a coverage: make polygons valid, close narrow gaps and overlaps, match borders.

    Parameters
    ----------
    codes : array_like of str, shape (n,)
        The areas' codes, for the report.
    polygons : array_like of Polygon or MultiPolygon, shape (n,)
        Longitude and latitude in degrees (EPSG:4326). None and empty ones come back as they are.
    gap_width_m : float
        A gap that no circle of this diameter (m) fits into goes to the neighbour with the
        longest border along it, and so does an inlet that narrow between two polygons. 0: none.
    overlap_width_m : float, optional
        An overlap that narrow goes to one of its owners (the one with the longest border round
        it). A wider one is a matter for people and is left. Default: `gap_width_m`.
    min_area_m2 : float
        Inlets (open to the outside) below this area (m²) are left.

    Returns
    -------
    polygons : ndarray of Polygon or MultiPolygon, shape (n,)
        The mended polygons; those that needed nothing are the same objects as before.
    moved : GeoDataFrame
        One row per polygon and kind of change, in EPSG:4326: ``code``, ``row`` (position in the
        input), ``kind`` (``made_valid``, ``gap_closed``: ground gained that nobody had;
        ``overlap_gained`` and ``overlap_lost``: ground that two had; ``border_matched``: vertices
        only; ``vanished``: nothing is left), ``area_m2`` of the ground, ``displacement_m`` (how
        far the border moved at most), ``geometry`` of the ground or, of vertices, None.

    Raises
    ------
    ValueError
        The arrays differ in length, a width is negative or NaN, or a geometry is no polygon.

    Examples
    --------
    >>> left, right = shapely.box(113, 23, 113.01, 23.01), shapely.box(113.01001, 23, 113.02, 23.01)
    >>> mended, moved = repair(["a", "b"], [left, right], gap_width_m=5)
    >>> shapely.coverage_is_valid(mended), moved.kind.tolist()
    (True, ['gap_closed'])
    """
    before = np.array(polygons, dtype=object).ravel()
    names = np.asarray(codes, dtype=object).ravel()
    limit = gap_width_m if overlap_width_m is None else overlap_width_m
    _refuse_bad_input(names, before, gap_width_m, limit)
    plane = Plane.around(before)
    raw = plane.to_xy_m(shapely.force_2d(before))
    xy_m = flaws.make_valid(raw)
    here = np.flatnonzero(~(shapely.is_missing(xy_m) | shapely.is_empty(xy_m)))
    xy_m[here] = _mend(xy_m[here], gap_width_m, limit, min_area_m2)
    after = _back(plane, xy_m, raw, before)
    return after, _moves(names, before, after, raw, xy_m)


def _refuse_bad_input(names: Geometries, before: Geometries, *widths: float) -> None:
    if len(names) != len(before):
        raise ValueError(f"{len(names)} codes for {len(before)} polygons; give one code for each")
    if not all(0 <= width < np.inf for width in widths):
        raise ValueError("a width must be 0 m or more")
    flat = np.isin(shapely.get_type_id(before), (-1, 3, 6))
    if not flat.all():
        row = int(np.argmin(flat))
        raise ValueError(
            f"{names[row]} (row {row + 1}) is a {before[row].geom_type}; "
            "only Polygon and MultiPolygon can be mended"
        )


def _mend(xy_m: Geometries, gap_m: float, overlap_m: float, min_area_m2: float) -> Geometries:
    """Valid polygons in metres to a coverage; the same array if it is one already."""
    owners, drawn = None, xy_m
    for _ in range(_ROUNDS):
        valid = shapely.coverage_is_valid(xy_m)
        found, opened = flaws.gaps(xy_m, gap_m, 0.0)
        found = found[~opened | (shapely.area(found) >= min_area_m2)]
        # What is left overlapping on purpose cannot be valid: one pass has to do for it.
        left = owners is not None and len(owners.first) > 0
        if (valid or left) and not found.size:
            break
        pieces, owners = _split_wide_overlaps(xy_m, overlap_m)
        pieces = _fill(pieces, found, gap_m)
        cleaned = flaws.polygonal(shapely.coverage_clean(pieces, gap_width=gap_m))
        pieces = _rehome(cleaned, drawn, max(gap_m, overlap_m))
        xy_m = _join(pieces, owners, len(xy_m))
    return xy_m


@dataclass(frozen=True, slots=True)
class _Owners:
    """Whose ground each extra piece is: it is cut out of both owners and given back to both."""

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]


def _split_wide_overlaps(xy_m: Geometries, width_m: float) -> tuple[Geometries, _Owners]:
    """Overlaps too wide to be decided here become pieces of their own: nobody loses them."""
    a, b, shared = flaws.overlaps(xy_m, 0.0)
    wide = widths_m(shared) >= width_m
    a, b, shared = a[wide], b[wide], shared[wide]
    base = xy_m.copy()
    for i, j, both in zip(a, b, shared, strict=True):
        base[[i, j]] = flaws.polygonal(shapely.difference(base[[i, j]], both))
    return np.concatenate([base, shared]), _Owners(a, b)


def _join(pieces: Geometries, owners: _Owners, count: int) -> Geometries:
    xy_m, extra = pieces[:count].copy(), pieces[count:]
    for i, j, both in zip(owners.first, owners.second, extra, strict=True):
        for row in (i, j):
            xy_m[row] = shapely.union(xy_m[row], both)
    return flaws.polygonal(xy_m)


def _fill(pieces: Geometries, gaps: Geometries, width_m: float) -> Geometries:
    """Give each gap to the polygon with the longest border along it.

    A gap between three or more (where borders meet) would reach from its new owner far in
    between two others. It is cut into triangles, and each goes to the polygon with the longest
    border along the whole gap out of those that run along the triangle: only own borders move.
    """
    gap, polygon, shared = flaws.borders(gaps, pieces)
    rank = np.zeros(len(gap), dtype=np.intp)
    rank[np.lexsort((polygon, -shared, gap))] = np.arange(len(gap))
    ranks = pd.Series(rank, index=pd.MultiIndex.from_arrays([gap, polygon]))
    grains, source = _grains(gaps, np.bincount(gap, minlength=len(gaps)) > 2)
    grain, heir = shapely.STRtree(pieces).query(grains, predicate="dwithin", distance=flaws.TOUCH_M)
    far = np.maximum(_reach(grains[grain], pieces[heir]), 2 * width_m)
    table = pd.DataFrame({"grain": grain, "heir": heir, "far": far})
    table["rank"] = ranks.reindex([source[grain], heir]).to_numpy()
    best = table.sort_values(["far", "rank"]).drop_duplicates("grain")
    filled = pieces.copy()
    for row, won in best.groupby("heir")["grain"]:
        filled[row] = shapely.union_all([filled[row], *grains[won.to_numpy()]])
    return flaws.polygonal(filled)


def _grains(
    gaps: Geometries, cut: npt.NDArray[np.bool_]
) -> tuple[Geometries, npt.NDArray[np.intp]]:
    """The gaps, some cut into triangles, and which gap each piece is from."""
    triangles = shapely.constrained_delaunay_triangles(gaps[cut])
    grains, index = shapely.get_parts(triangles, return_index=True)
    source = np.concatenate([np.flatnonzero(~cut), np.flatnonzero(cut)[index]])
    return np.concatenate([gaps[~cut], grains]), source


def _reach(grains: Geometries, polygons: Geometries) -> npt.NDArray[np.float64]:
    """How far the farthest vertex of each grain is from the polygon beside it (m)."""
    coords, pair = shapely.get_coordinates(grains, return_index=True)
    shapely.prepare(polygons)
    far = np.zeros(len(grains))
    np.maximum.at(far, pair, shapely.distance(shapely.points(coords), polygons[pair]))
    return far


def _rehome(pieces: Geometries, drawn: Geometries, width_m: float) -> Geometries:
    """Give narrow scraps that cleaning has cut off to the neighbour along which they lie.

    Cleaning hands each overlap to one owner even if only a corner ties it to the rest. A piece
    that was drawn with as many narrow parts is left as it is.
    """
    result = pieces.copy()
    parts, owner = shapely.get_parts(result, return_index=True)
    multiple = shapely.get_num_geometries(result)[owner] > 1
    scrap = multiple & (shapely.area(parts) < _largest(parts, owner)[owner])
    scrap[scrap] = narrower(parts[scrap], width_m)
    for row in np.unique(owner[scrap]):
        mine = (owner == row) & scrap
        before = shapely.get_parts(drawn[row : row + 1])  # none for an overlap kept apart
        if len(before) > 1 and narrower(before, width_m).sum() >= mine.sum():
            continue
        for part in parts[mine]:
            _hand_over(result, int(row), part)
    return flaws.polygonal(result)


def _largest(parts: Geometries, owner: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    largest = np.zeros(owner.max(initial=-1) + 1)
    np.maximum.at(largest, owner, shapely.area(parts))
    return largest


def _hand_over(pieces: Geometries, row: int, part: shapely.Geometry) -> None:
    """Move a part to the piece with the longest border along it, in place; alone it stays."""
    near = np.flatnonzero(shapely.intersects(pieces, part))
    near = near[near != row]
    shared = shapely.length(shapely.intersection(shapely.boundary(pieces[near]), part.boundary))
    if not len(near) or shared.max() == 0:
        return
    heir = near[shared.argmax()]
    kept = [other for other in shapely.get_parts(pieces[row]) if not other.equals(part)]
    pieces[row] = shapely.multipolygons(kept)
    pieces[heir] = shapely.coverage_union(pieces[heir], part)


def _back(plane: Plane, xy_m: Geometries, raw: Geometries, before: Geometries) -> Geometries:
    """To degrees: vertices that were there before get the very coordinates that they had."""
    old_xy, old_lonlat = _complex(raw), _complex(before)
    order = np.argsort(old_xy)
    old_xy, old_lonlat = old_xy[order], old_lonlat[order]

    def to_degrees(coords: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        fresh = coords / plane.scale + (plane.lon0, plane.lat0)
        key = coords[:, 0] + 1j * coords[:, 1]
        at = np.minimum(np.searchsorted(old_xy, key), max(len(old_xy) - 1, 0))
        known = old_xy[at] == key if len(old_xy) else np.zeros(len(key), dtype=bool)
        fresh[known] = np.column_stack([old_lonlat.real, old_lonlat.imag])[at[known]]
        return fresh

    after = shapely.transform(xy_m, to_degrees)
    there = ~(shapely.is_missing(after) | shapely.is_empty(after))
    if shapely.coverage_is_valid(xy_m) and not shapely.coverage_is_valid(after):
        # Rounding to degrees has moved a vertex over a border that it lies on.
        after[there] = shapely.coverage_clean(after[there])
    after = shapely.orient_polygons(flaws.polygonal(after))
    same = shapely.equals_identical(
        shapely.normalize(after), shapely.normalize(shapely.force_2d(before))
    )
    same |= shapely.is_missing(before) | shapely.is_empty(before)
    after[same] = before[same]
    return np.asarray(after, dtype=object)


def _complex(geometries: Geometries) -> npt.NDArray[np.complex128]:
    coords = shapely.get_coordinates(geometries)
    return np.asarray(coords[:, 0] + 1j * coords[:, 1])


def _moves(
    names: Geometries, before: Geometries, after: Geometries, raw: Geometries, xy_m: Geometries
) -> gpd.GeoDataFrame:
    """The report: for every polygon that changed, what ground it won and lost, and from whom."""
    changed = np.flatnonzero([a is not b for a, b in zip(before, after, strict=True)])
    old = flaws.make_valid(shapely.force_2d(before))
    tree = shapely.STRtree(old)
    rows = []
    for row in changed.tolist():
        displacement = _displacement(raw[row], xy_m[row])
        changes = _changes(row, before, after, old, tree)
        rows += [(str(names[row]), row, kind, displacement, ground) for kind, ground in changes]
    columns = list(zip(*rows, strict=True)) or [()] * 5
    grounds = np.array(columns[4], dtype=object)
    return gpd.GeoDataFrame(
        {
            "code": pd.Series(columns[0], dtype="str"),
            "row": pd.Series(columns[1], dtype="int64"),
            "kind": pd.Series(columns[2], dtype="str"),
            "area_m2": areas_m2(grounds),
            "displacement_m": pd.Series(columns[3], dtype=float),
        },
        geometry=grounds,
        crs=4326,
    )


def _displacement(old: shapely.Geometry, new: shapely.Geometry) -> float:
    if shapely.is_empty(new):
        return float("nan")
    return float(shapely.hausdorff_distance(shapely.boundary(old), shapely.boundary(new)))


def _changes(
    row: int, before: Geometries, after: Geometries, old: Geometries, tree: shapely.STRtree
) -> list[tuple[str, shapely.Geometry | None]]:
    """Kinds of change of one polygon with the ground of each."""
    if shapely.is_empty(after[row]):
        return [("vanished", old[row])]
    gained = shapely.difference(after[row], old[row])
    lost = shapely.difference(old[row], after[row])
    near = tree.query(gained, predicate="intersects")
    others = shapely.union_all(old[near[near != row]])
    grounds = {
        "gap_closed": shapely.difference(gained, others),
        "overlap_gained": shapely.intersection(gained, others),
        "overlap_lost": lost,
    }
    found: list[tuple[str, shapely.Geometry | None]] = []
    if not shapely.is_valid(before[row]):
        found.append(("made_valid", None))
    for kind, ground in grounds.items():
        shape = flaws.polygonal(np.array([ground], dtype=object))
        if areas_m2(shape)[0] >= 1e-2:  # less is the rounding of a vertex, not ground
            found.append((kind, shape[0]))
    return found or [("border_matched", None)]
