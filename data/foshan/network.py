"""Nodes all linework together once, so that every level of the tree shares the same vertices."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from shapely import STRtree

from data.foshan import facts
from data.foshan.facts import Ints
from data.foshan.tiling import Tiling

DEGREE_GRID = 1e-7
"""Coordinates are whole multiples of this, about a centimetre."""

Geometries = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Source:
    """Where an edge comes from: a line with its kind, its owner's code, its course's number."""

    line: object
    kind: str
    owner: str
    course: int


@dataclass(frozen=True)
class Network:
    """Faces between all lines with the leaf that each belongs to; edges with their source's number.

    Coordinates are degrees on a fixed grid; ``sources`` are in metres.
    """

    faces: Geometries
    leaf: Ints
    edges: Geometries
    source: Ints
    sources: list[Source]


RANKS = {
    "river": 9, "motorway": 8, "trunk": 7, "primary": 6, "district": 5, "town": 4,
    "village": 3, "grid": 2, "lane": 1, "outer": 10,
}  # fmt: skip
"""Which source an edge shows that several lines share."""


def node(tiling: Tiling) -> Network:
    """Node the cuts, the districts' outlines and the courses inside the city."""
    sources = _sources(tiling)
    lines = np.array([s.line for s in sources])
    # unrounded: a cut's end lies on its border only as exactly as both are given
    lonlat = shapely.transform(lines, facts.to_lonlat)
    noded = shapely.unary_union(lonlat, grid_size=DEGREE_GRID)
    edges = shapely.get_parts(shapely.line_merge(noded))
    faces = shapely.get_parts(shapely.polygonize([noded]))
    leaf = _leaves(faces, tiling)
    inside = leaf >= 0
    return Network(faces[inside], leaf[inside], edges, _origin(edges, sources), sources)


def degrees(metres: Geometries) -> Geometries:
    """Geometries in metres as longitude and latitude on the fixed grid."""
    return np.asarray(shapely.transform(metres, lambda xy: np.round(facts.to_lonlat(xy), 7)))


def metres(lonlat: Geometries) -> Geometries:
    """Geometries in degrees as metres."""
    return np.asarray(shapely.transform(lonlat, facts.to_xy))


def _sources(tiling: Tiling) -> list[Source]:
    shapes = np.array(list(tiling.districts.values()))
    city = shapely.coverage_union_all(shapes)
    rim = shapely.boundary(city)
    inner = shapely.difference(shapely.unary_union(shapely.boundary(shapes)), rim)
    out = [Source(g, "outer", "", -1) for g in shapely.get_parts(rim)]
    out += [Source(g, "district", "", -1) for g in shapely.get_parts(shapely.line_merge(inner))]
    for cut in tiling.cuts:
        if cut.course < 0:
            out.append(Source(shapely.LineString(cut.line), cut.rank, cut.owner, -1))
    for i, (course, line) in enumerate(zip(facts.courses(), tiling.lines, strict=True)):
        clipped = shapely.intersection(shapely.LineString(line), city)
        inside = shapely.get_parts(shapely.line_merge(clipped))
        out += [Source(g, course.kind, "", i) for g in inside if g.geom_type == "LineString"]
    forced = [c for c in tiling.cuts if c.course >= 0]
    out += [
        Source(shapely.LineString(c.line), facts.courses()[c.course].kind, "", c.course)
        for c in forced
    ]
    return out


def _leaves(faces: Geometries, tiling: Tiling) -> Ints:
    """The leaf around each face's inner point; -1 for faces outside the city."""
    polygons = degrees(np.array([r.polygon for r in tiling.regions]))
    centre = shapely.point_on_surface(faces)
    tree = STRtree(polygons)
    leaf = np.full(len(faces), -1, dtype=np.int64)
    face, found = tree.query(centre, predicate="intersects")
    leaf[face] = found
    for k in np.flatnonzero(leaf < 0):
        near = tree.query_nearest(centre[k])
        if shapely.distance(centre[k], polygons[near[0]]) < 10 * DEGREE_GRID:
            leaf[k] = near[0]
    return leaf


def _origin(edges: Geometries, sources: list[Source]) -> Ints:
    """The most important source on which an edge lies, by a point in its middle."""
    middle = shapely.line_interpolate_point(metres(edges), 0.5, normalized=True)
    pieces, owner = segments(np.array([s.line for s in sources]))
    edge, piece = STRtree(pieces).query(middle, predicate="dwithin", distance=0.3)
    source = owner[piece]
    rank = np.array([RANKS[s.kind] for s in sources])[source]
    order = np.lexsort((source, rank))
    out = np.full(len(edges), -1, dtype=np.int64)
    out[edge[order]] = source[order]
    return out


def segments(lines: Geometries) -> tuple[Geometries, Ints]:
    """The straight pieces of lines and the line of each: small boxes make a tree of them quick."""
    xy, owner = shapely.get_coordinates(lines, return_index=True)
    same = owner[:-1] == owner[1:]
    pairs = np.stack([xy[:-1], xy[1:]], axis=1)[same]
    return np.asarray(shapely.linestrings(pairs)), owner[:-1][same].astype(np.int64)
