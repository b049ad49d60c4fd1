"""District outlines mended into one coverage, and lines drawn with the irregularity of nature."""

from itertools import pairwise

import numpy as np
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree
from shapely.geometry.base import BaseGeometry

from data.foshan.facts import Array, Course, districts, to_xy

ROUGH_M = 160.0
"""The published outlines stand on a raster of about 100 m: finer detail is not theirs."""


def smoothed(line: Array, rounds: int = 2) -> Array:
    """Cut the corners of a polyline (Chaikin); its ends stay where they are."""
    for _ in range(rounds):
        a, b = line[:-1], line[1:]
        inner = np.stack([0.75 * a + 0.25 * b, 0.25 * a + 0.75 * b], axis=1).reshape(-1, 2)
        line = np.concatenate([line[:1], inner[1:-1], line[-1:]])
    return line


def wavy(start: Array, end: Array, rng: np.random.Generator, size: float, step: float) -> Array:
    """A line from ``start`` to ``end`` that strays by about ``size`` times its length.

    Smoothed noise, zero at both ends; a vertex every ``step`` metres.
    """
    along = end - start
    length = float(np.hypot(*along))
    n = int(np.clip(length / step, 3, 400))
    u = np.linspace(0.0, 1.0, n + 1)
    k = np.arange(1, int(np.clip(length / step / 3, 2, 24)) + 1)
    waves = rng.normal(size=k.size) / k**1.35
    offset = size * np.sin(np.pi * np.outer(u, k)) @ waves
    normal = np.array([-along[1], along[0]])
    line: Array = start + np.outer(u, along) + np.outer(offset, normal)
    line[0], line[-1] = start, end
    return line


def mended() -> tuple[list[str], list[BaseGeometry]]:
    """The five districts in metres, one polygon each, borders shared vertex for vertex.

    Slivers and gaps between neighbours go to the neighbour with the longest shared border, islands
    and inlets below the outlines' own accuracy vanish, and corners are rounded.
    """
    table = districts()
    raw = shapely.transform(table.geometry.to_numpy(), to_xy)
    raw = shapely.make_valid(raw, method="structure", keep_collapsed=False)
    faces = shapely.get_parts(shapely.polygonize([shapely.unary_union(shapely.boundary(raw))]))
    centre = shapely.point_on_surface(faces)
    inside = np.stack([shapely.contains(g, centre) for g in raw])
    owner = np.where(inside.any(axis=0), inside.argmax(axis=0), -1)
    _adopt(faces, owner)
    parts = [shapely.coverage_union_all(faces[owner == i]) for i in range(len(raw))]
    largest = [max(shapely.get_parts(p), key=lambda g: g.area) for p in parts]
    solid = shapely.coverage_simplify([shapely.Polygon(p.exterior) for p in largest], ROUGH_M)
    return table.code.tolist(), _rounded(np.asarray(solid))


def _adopt(faces: np.ndarray, owner: np.ndarray) -> None:
    """Give faces that belong to no district (in place) to the neighbour with the longest border."""
    for i in np.flatnonzero(owner < 0):
        shared = shapely.length(shapely.intersection(faces[i], faces)) * (owner >= 0)
        if shared.max() > 0:
            owner[i] = owner[int(shared.argmax())]


def _rounded(polygons: np.ndarray) -> list[BaseGeometry]:
    edges = shapely.line_merge(shapely.unary_union(shapely.boundary(polygons)))
    arcs = [shapely.LineString(smoothed(shapely.get_coordinates(a))) for a in edges.geoms]
    faces = shapely.get_parts(shapely.polygonize([shapely.unary_union(arcs)]))
    centre = shapely.point_on_surface(faces)
    out = []
    for polygon in polygons:
        mine = faces[shapely.contains(polygon, centre)]
        out.append(max(mine, key=lambda g: g.area))
    return out


def drawn(course: Course, borders: BaseGeometry, rng: np.random.Generator) -> Array:
    """The course in detail: along the borders' own vertices, or meandering between its points."""
    if course.along_border:
        return _along(course.points, borders)
    line = smoothed(course.points, 3)
    size, step = (0.02, 70.0) if course.kind == "river" else (0.004, 90.0)
    legs = [wavy(a, b, rng, size, step)[:-1] for a, b in pairwise(line)]
    return smoothed(np.concatenate([*legs, line[-1:]]), 1)


def _along(points: Array, borders: BaseGeometry) -> Array:
    """The shortest way along ``borders`` that passes near all ``points``."""
    lines = [shapely.get_coordinates(g) for g in shapely.get_parts(borders)]
    xy, ids = np.unique(np.concatenate(lines), axis=0, return_inverse=True)
    cut = np.cumsum([len(line) for line in lines])[:-1]
    pairs = np.concatenate([np.stack([i[:-1], i[1:]]) for i in np.split(ids, cut)], axis=1)
    cost = np.hypot(*(xy[pairs[0]] - xy[pairs[1]]).T)
    graph = coo_matrix((cost, pairs), shape=(len(xy), len(xy))).tocsr()
    stops = cKDTree(xy).query(points)[1]
    path: list[int] = [int(stops[0])]
    for a, b in pairwise(stops):
        before = dijkstra(graph, directed=False, indices=int(a), return_predecessors=True)[1]
        leg = [int(b)]
        while leg[-1] != a:
            leg.append(int(before[leg[-1]]))
        path += leg[::-1][1:]
    return np.asarray(xy[path])
