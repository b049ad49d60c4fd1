"""Finding what is wrong between the polygons of a coverage: overlaps, gaps, unmatched borders.

All functions take an array of valid polygons in metres of one plane (`gis.plane`); None and empty
polygons are allowed and take no part. Which rule calls a finding a fault, and in which words, is
up to `gis.coverage`; what is done about it, to `gis.mending`.
"""

import numpy as np
import numpy.typing as npt
import shapely

from gis.plane import Floats, Geometries, narrower

Indices = npt.NDArray[np.intp]

TOUCH_M = 1e-3  # two borders this close touch: below what any survey tells apart


def polygonal(geometries: Geometries) -> Geometries:
    """The polygons in what an overlay left behind: lines and points are dropped.

    A MultiPolygon is kept only if it has several parts; nothing left gives an empty polygon.
    """
    result = np.array(geometries, dtype=object)
    mixed = shapely.get_type_id(result) == shapely.GeometryType.GEOMETRYCOLLECTION
    for i in np.flatnonzero(mixed):
        parts = shapely.get_parts(shapely.get_parts(result[i]))
        result[i] = shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
    result[shapely.get_dimensions(result) < 2] = shapely.Polygon()
    single = (shapely.get_type_id(result) == shapely.GeometryType.MULTIPOLYGON) & (
        shapely.get_num_geometries(result) == 1
    )
    result[single] = shapely.get_geometry(result[single], 0)
    return result


def make_valid(polygons: Geometries) -> Geometries:
    """Valid polygons that cover what the rings enclose; those that were valid are untouched."""
    result = np.array(polygons, dtype=object)
    bad = ~(shapely.is_valid(result) | shapely.is_missing(result))
    result[bad] = polygonal(shapely.make_valid(result[bad], method="structure"))
    return result


def union(xy_m: Geometries) -> shapely.Geometry:
    """The area covered; fast if the coverage is valid, right in any case."""
    if shapely.coverage_is_valid(xy_m):
        return shapely.coverage_union_all(xy_m)
    return shapely.union_all(xy_m)


def invalid_edges(xy_m: Geometries) -> Geometries:
    """The stretches of each polygon's border that do not match the neighbours' borders."""
    edges: Geometries = shapely.coverage_invalid_edges(xy_m)
    return edges


def overlaps(xy_m: Geometries, min_area_m2: float) -> tuple[Indices, Indices, Geometries]:
    """Pairs ``i < j`` of polygons that overlap by at least an area, and what they share."""
    suspects = np.flatnonzero(~shapely.is_empty(invalid_edges(xy_m)) & ~shapely.is_empty(xy_m))
    a, b = shapely.STRtree(xy_m).query(xy_m[suspects], predicate="intersects")
    pairs = np.sort(np.column_stack([suspects[a], b]), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    shared = polygonal(shapely.intersection(xy_m[pairs[:, 0]], xy_m[pairs[:, 1]]))
    big = (shapely.area(shared) >= min_area_m2) & ~shapely.is_empty(shared)
    return pairs[big, 0], pairs[big, 1], shared[big]


def enclosed_gaps(covered: shapely.Geometry, width_m: float, min_area_m2: float) -> Geometries:
    """Holes of the covered area (oriented: shells to the left) narrower than a width."""
    rings = shapely.get_parts(shapely.get_rings(shapely.get_parts(covered)))
    holes = shapely.polygons(rings[~shapely.is_ccw(rings)])  # shells turn left, holes right
    holes = holes[shapely.area(holes) >= min_area_m2]
    found: Geometries = holes[narrower(holes, width_m)]
    return found


def open_gaps(
    xy_m: Geometries, covered: shapely.Geometry, width_m: float, min_area_m2: float
) -> Geometries:
    """Narrow inlets between two polygons that are open towards the outside.

    The covered area is grown and shrunk by half the width; what that fills is an inlet if it is
    at least three times as long as wide, two polygons (not one with a notch) line it, and it is
    open over no more than twice the width. What lies open all along is no inlet: GEOS leaves out
    vertices of what it grows that are shallower than 1 % of the distance, and so fills flat bends.
    """
    if width_m <= 0:
        return np.empty(0, dtype=object)
    half = width_m / 2
    closed = shapely.buffer(
        shapely.buffer(covered, half, join_style="mitre"), -half, join_style="mitre"
    )
    filled = shapely.get_parts(polygonal(np.array([shapely.difference(closed, covered)])))
    # Rounding joins them by hairs along the border, which would count as length.
    solid, source = shapely.get_parts(
        polygonal(shapely.set_precision(filled, TOUCH_M)), return_index=True
    )
    around_m = shapely.length(solid)
    long = (shapely.area(solid) >= min_area_m2) & (around_m / 2 >= 3 * width_m)
    solid, source, around_m = solid[long], source[long], around_m[long]
    gap, _, shared = borders(solid, xy_m)
    lining = np.bincount(gap[shared >= width_m], minlength=len(solid))
    mouth = around_m - np.bincount(gap, shared, minlength=len(solid))
    found: Geometries = filled[np.unique(source[(lining >= 2) & (mouth <= 2 * width_m)])]
    return found


def borders(gaps: Geometries, xy_m: Geometries) -> tuple[Indices, Indices, Floats]:
    """Which polygons line which gaps, and over how many metres: ``gap, polygon, length``."""
    gap, polygon = shapely.STRtree(xy_m).query(gaps, predicate="dwithin", distance=TOUCH_M)
    near = shapely.buffer(gaps[gap], TOUCH_M, quad_segs=1)
    shared = shapely.length(shapely.intersection(shapely.boundary(xy_m[polygon]), near))
    return gap, polygon, np.asarray(shared, dtype=float)


def gaps(
    xy_m: Geometries, width_m: float, min_area_m2: float
) -> tuple[Geometries, npt.NDArray[np.bool_]]:
    """Gaps narrower than a width, and which of them are open towards the outside."""
    covered = shapely.orient_polygons(union(xy_m))
    closed = enclosed_gaps(covered, width_m, min_area_m2)
    opened = open_gaps(xy_m, shapely.union_all([covered, *closed]), width_m, min_area_m2)
    return np.concatenate([closed, opened]), np.arange(len(closed) + len(opened)) >= len(closed)


__all__ = [
    "borders", "gaps", "invalid_edges", "make_valid", "overlaps", "polygonal",
    "union",
]  # fmt: skip
