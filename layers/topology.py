"""Polygons and lines as TopoJSON: borders that neighbours share are written once.

The format is that of the TopoJSON specification 1.0 (quantised, delta-encoded), which the package
topojson-client reads in the browser. Made for arrays of thousands of polygons that already share
their vertices, as the pieces of a coverage do; it does no overlay of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

Array = Any
"""Array-like of geometries."""
Ints = npt.NDArray[np.int64]
DECIMALS = 5
SCALE = 10.0**-DECIMALS
"""One step in degrees: about one metre."""


@dataclass
class _Rings:
    """Open rings, laid end to end: integer vertices, and the first vertex and length of each."""

    xy: Ints
    first: Ints
    size: Ints


def topology(
    areas: Mapping[str, Array], lines: Mapping[str, Array] | None = None
) -> dict[str, Any]:
    """TopoJSON of arrays of polygons and of lines in degrees.

    Parameters
    ----------
    areas : mapping of name to array of (multi)polygons
        Objects whose rings are cut into arcs where more than two borders meet; an arc is written
        once, whichever objects use it. ``None`` and empty geometries become ``null``.
    lines : mapping of name to array of (multi)lines
        Written as they are.

    Returns
    -------
    dict
        ``{"type": "Topology", "transform", "objects", "arcs"}``; the geometries of an object stand
        in the order of its array, so that a position is enough to find a feature's properties.

    Examples
    --------
    >>> left, right = shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)
    >>> len(topology({"grids": [left, right]})["arcs"])
    3
    """
    arcs: list[list[list[int]]] = []
    objects: dict[str, Any] = {}
    names = list(areas)
    arrays = [np.asarray(areas[name], dtype=object) for name in names]
    everything = np.concatenate([*arrays, np.empty(0, dtype=object)])
    polygons = _polygons(everything, arcs)
    begin = 0
    for name, array in zip(names, arrays, strict=True):
        objects[name] = _collection(polygons[begin : begin + len(array)])
        begin += len(array)
    for name, array in (lines or {}).items():
        objects[name] = _collection(_lines(np.asarray(array, dtype=object), arcs))
    transform = {"scale": [SCALE, SCALE], "translate": [0, 0]}
    return {"type": "Topology", "transform": transform, "objects": objects, "arcs": arcs}


def _collection(geometries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "GeometryCollection", "geometries": geometries}


def _lines(array: npt.NDArray[Any], arcs: list[list[list[int]]]) -> list[dict[str, Any]]:
    parts, owner = shapely.get_parts(array, return_index=True)
    mine: list[list[list[int]]] = [[] for _ in array]
    for part, geometry in zip(parts, owner.tolist(), strict=True):
        xy = _whole(shapely.get_coordinates(part))
        keep = np.r_[True, np.any(np.diff(xy, axis=0) != 0, axis=1)] if len(xy) else []
        if np.count_nonzero(keep) > 1:
            mine[geometry].append([len(arcs)])
            arcs.append(_deltas(xy[keep]))
    return [{"type": "MultiLineString", "arcs": m} if m else {"type": None} for m in mine]


def _polygons(array: npt.NDArray[Any], arcs: list[list[list[int]]]) -> list[dict[str, Any]]:
    parts, owner = shapely.get_parts(array, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    pieces, kept = _open_rings(rings)
    chains = _chains(pieces, arcs)
    outer = np.r_[True, np.diff(part) != 0] if len(part) else np.empty(0, dtype=bool)
    mine: list[list[list[list[int]]]] = [[] for _ in array]
    lost = -1  # a part whose outer ring vanished takes its holes with it
    for ring, chain in zip(kept.tolist(), chains, strict=True):
        if outer[ring]:
            mine[owner[part[ring]]].append([chain])
            lost = part[ring]
        elif lost == part[ring]:
            mine[owner[part[ring]]][-1].append(chain)
    return [{"type": "MultiPolygon", "arcs": m} if m else {"type": None} for m in mine]


def _open_rings(rings: npt.NDArray[Any]) -> tuple[_Rings, Ints]:
    """Rings in whole steps without repeated vertices: those with an area, and which these are."""
    lonlat, ring = shapely.get_coordinates(rings, return_index=True)
    xy = _whole(lonlat)
    # The closing vertex equals the first one: a vertex stays if it differs from the one before,
    # which for a ring's first vertex is the one before the closing vertex, hence never itself.
    stays = 1 + np.flatnonzero((np.diff(ring) == 0) & np.any(np.diff(xy, axis=0) != 0, axis=1))
    xy, ring = xy[stays], ring[stays]
    size = np.bincount(ring, minlength=len(rings))
    solid = size >= 3
    xy, size = xy[solid[ring]], size[solid]
    return _Rings(xy, np.cumsum(size) - size, size), np.flatnonzero(solid)


def _chains(rings: _Rings, arcs: list[list[list[int]]]) -> list[list[int]]:
    """For each ring its arcs' numbers (``~n``: backwards); new arcs are appended to ``arcs``."""
    if not len(rings.size):
        return []
    node = np.unique(rings.xy @ np.array([2**32, 1]), return_inverse=True)[1]
    edge, junction = _edges(node, _following(rings))
    order = _rotated(rings, node, junction)
    node, edge, xy = node[order], edge[order], rings.xy[order]
    opens = junction[node]
    opens[rings.first] = True
    start = np.flatnonzero(opens)
    stop = np.r_[start[1:], len(node)]
    head, tail = edge[start], edge[stop - 1]
    pair = np.minimum(head, tail) * (edge.max() + 1) + np.maximum(head, tail)
    _, model, number = np.unique(pair, return_index=True, return_inverse=True)
    forward = (head == head[model][number]) & (node[start] == node[start[model]][number])
    after = _following(rings)
    steps, begin = (xy[after] - xy).tolist(), xy.tolist()
    for a, b in zip(start[model].tolist(), stop[model].tolist(), strict=True):
        arcs.append([begin[a], *steps[a:b]])
    number = number + len(arcs) - len(model)
    signed = np.where(forward, number, ~number)
    cuts = np.searchsorted(start, rings.first)[1:]
    return [part.tolist() for part in np.split(signed, cuts)]


def _edges(node: Ints, after: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The number of the edge that leaves each vertex (either way), and which nodes join more."""
    a, b = node, node[after]
    low, high = np.minimum(a, b), np.maximum(a, b)
    pairs, edge = np.unique(low * (node.max() + 1) + high, return_inverse=True)
    ends = np.concatenate([pairs // (node.max() + 1), pairs % (node.max() + 1)])
    return edge, np.bincount(ends, minlength=node.max() + 1) != 2


def _following(rings: _Rings) -> Ints:
    after = np.arange(len(rings.xy)) + 1
    after[rings.first + rings.size - 1] = rings.first
    return after


def _rotated(rings: _Rings, node: Ints, junction: npt.NDArray[np.bool_]) -> Ints:
    """An order of the vertices in which every ring starts at a junction, or at its least node.

    Two rings round the same hole then start at the same vertex and share their one arc.
    """
    rank: Ints = node + ~junction[node] * (node.max() + 1)
    least: Ints = np.minimum.reduceat(rank, rings.first)
    ring = np.repeat(np.arange(len(rings.size)), rings.size)
    found = np.flatnonzero(rank == least[ring])
    begin = found[np.unique(ring[found], return_index=True)[1]] - rings.first
    place = np.arange(len(rings.xy)) - rings.first[ring]
    turned = (place + begin[ring]) % rings.size[ring]
    return (rings.first[ring] + turned).astype(np.int64)


def _whole(lonlat: npt.NDArray[np.float64]) -> Ints:
    return np.rint(lonlat / SCALE).astype(np.int64)


def _deltas(xy: Ints) -> list[list[int]]:
    steps: list[list[int]] = np.diff(xy, axis=0, prepend=np.zeros((1, 2), dtype=np.int64)).tolist()
    return steps
