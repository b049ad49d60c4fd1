"""Rivers as water, edges as roads: bridges over rivers, embankment roads along them."""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from data.foshan import facts
from data.foshan.facts import Ints
from data.foshan.names import street_names
from data.foshan.network import DEGREE_GRID, Geometries, Network, degrees, metres, segments
from data.foshan.tiling import Tiling

CLASS_OF = {
    "motorway": "motorway", "trunk": "trunk", "primary": "primary", "district": "secondary",
    "town": "secondary", "village": "tertiary", "grid": "residential", "lane": "residential",
}  # fmt: skip
WIDE_M = 130.0
"""Wider rivers (half-width) are crossed by main roads only, the others by village roads too."""
LONG_M = 1100.0
"""A grid street longer than this is a road of the village."""


@dataclass(frozen=True)
class Roads:
    """Road segments and water in degrees; ``source`` is a segment's number in `Network.sources`."""

    segments: gpd.GeoDataFrame
    water: gpd.GeoDataFrame


def build(tiling: Tiling, net: Network) -> Roads:
    """The road graph, split at junctions and in one piece, and the rivers."""
    city = shapely.coverage_union_all(np.array(list(tiling.districts.values())))
    water = _water(tiling, city)
    kind = np.array([s.kind for s in net.sources])[net.source]
    keep = np.isin(kind, list(CLASS_OF))
    lines, source = metres(net.edges[keep]), net.source[keep]
    lines, source = _over_water(lines, source, kind[keep], water, net)
    banks = _banks(water, city)
    lines, source, bank = _joined(lines, source, banks)
    table = _table(lines, source, bank, water, net)
    return Roads(_largest(table), _water_table(water))


def _water(tiling: Tiling, city: BaseGeometry) -> pd.DataFrame:
    rows: dict[str, list[BaseGeometry]] = {}
    half: dict[str, float] = {}
    for course, line in zip(facts.courses(), tiling.lines, strict=True):
        if course.kind == "river":
            body = shapely.LineString(line).buffer(course.half_width, quad_segs=6)
            rows.setdefault(course.name, []).append(body)
            half[course.name] = max(half.get(course.name, 0.0), course.half_width)
    out, taken = [], shapely.Polygon()
    for name in sorted(rows, key=lambda n: -half[n]):
        body = shapely.intersection(shapely.unary_union(rows[name]).simplify(3.0), city)
        body = shapely.difference(body, taken)
        taken = shapely.union(taken, body)
        parts = [g for g in shapely.get_parts(body) if g.geom_type == "Polygon" and g.area > 4000]
        if parts:
            out.append((name, half[name], shapely.MultiPolygon(parts)))
    return pd.DataFrame(out, columns=["name", "half_width", "shape"])


def _water_table(water: pd.DataFrame) -> gpd.GeoDataFrame:
    shape = shapely.transform(
        water["shape"].to_numpy(), lambda xy: np.round(facts.to_lonlat(xy), 7)
    )
    shape = shapely.make_valid(shape)
    table = gpd.GeoDataFrame({"name": water.name}, geometry=shape, crs=4326)
    table = table.explode(index_parts=False, ignore_index=True)
    return table[table.geom_type == "Polygon"].reset_index(drop=True)


def _over_water(
    lines: Geometries, source: Ints, kind: np.ndarray, water: pd.DataFrame, net: Network
) -> tuple[Geometries, Ints]:
    """Lines that may cross water stay whole, the others end at the bank."""
    bodies = water["shape"].to_numpy()
    body, edge = STRtree(lines).query(bodies, predicate="intersects")
    wet = np.zeros(len(lines), dtype=bool)
    wet[edge] = True
    widest = np.zeros(len(lines))
    np.maximum.at(widest, edge, water.half_width.to_numpy()[body])
    fit = np.isin(kind, ["motorway", "trunk", "primary"])
    fit |= np.isin(kind, ["district", "town", "village"]) & (widest < WIDE_M)
    everything = shapely.union_all(bodies)
    shapely.prepare(everything)
    inside = np.zeros(len(lines))
    inside[wet] = shapely.length(shapely.intersection(lines[wet], everything))
    bridge = wet & fit & (inside < 3.5 * widest + 60)
    bridge = _through(lines, bridge, everything)
    rest = wet & ~bridge
    dry = shapely.difference(lines[rest], everything)
    parts, at = shapely.get_parts(dry, return_index=True)
    long = shapely.length(parts) > 1.0
    new = np.concatenate([lines[~rest], parts[long]])
    return new, np.concatenate([source[~rest], source[rest][at[long]]])


def _through(lines: Geometries, bridge: np.ndarray, water: BaseGeometry) -> np.ndarray:
    """Of the bridges, those that lead across: an end in the water meets another bridge."""
    bridge = bridge.copy()
    while True:
        index = np.flatnonzero(bridge)
        ends = np.stack([shapely.get_point(lines[index], 0), shapely.get_point(lines[index], -1)])
        wet = shapely.contains(water, ends)
        key = np.round(shapely.get_coordinates(ends.ravel()), 2)
        _, ids, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
        lone = (count[ids.ravel()].reshape(2, -1) < 2) & wet
        if not lone.any():
            return bridge
        bridge[index[lone.any(axis=0)]] = False


def _banks(water: pd.DataFrame, city: BaseGeometry) -> Geometries:
    """The rivers' banks inside the city: the embankment roads."""
    edge = shapely.boundary(shapely.union_all(water["shape"].to_numpy()))
    inner = shapely.difference(edge, shapely.boundary(city).buffer(25.0))
    merged = shapely.line_merge(inner) if inner.geom_type != "LineString" else inner
    parts = shapely.get_parts(merged)
    return np.asarray(parts[shapely.length(parts) > 60])


def _joined(
    lines: Geometries, source: Ints, banks: Geometries
) -> tuple[Geometries, Ints, np.ndarray]:
    """Node the banks with the roads that reach them; the rest is noded already."""
    tree = STRtree(segments(banks)[0])
    near = np.unique(tree.query(lines, predicate="dwithin", distance=0.5)[0])
    apart = np.ones(len(lines), dtype=bool)
    apart[near] = False
    mixed = shapely.unary_union(np.concatenate([lines[near], banks]), grid_size=0.01)
    parts = shapely.get_parts(mixed)
    middle = shapely.line_interpolate_point(parts, 0.5, normalized=True)
    part, found = STRtree(lines[near]).query(middle, predicate="dwithin", distance=0.05)
    origin = np.full(len(parts), -1, dtype=np.int64)
    origin[part] = source[near][found]
    all_lines = np.concatenate([lines[apart], parts])
    all_source = np.concatenate([source[apart], origin])
    return all_lines, all_source, all_source < 0


def _table(
    lines: Geometries, source: Ints, bank: np.ndarray, water: pd.DataFrame, net: Network
) -> gpd.GeoDataFrame:
    kinds = np.array([s.kind for s in net.sources])
    whole = shapely.length(np.array([s.line for s in net.sources]))
    kind = np.where(bank, "bank", kinds[source])
    cls = np.array([CLASS_OF.get(k, "residential") for k in kind], dtype=object)
    cls[(kind == "grid") & (whole[source] > LONG_M)] = "tertiary"
    middle = shapely.line_interpolate_point(lines, 0.5, normalized=True)
    bodies = shapely.union_all(water["shape"].to_numpy())
    shapely.prepare(bodies)
    table = gpd.GeoDataFrame(
        {
            "name": street_names(net, source, bank, middle, water),
            "class": cls,
            "bridge": shapely.contains(bodies, middle) & ~bank,
            "length_m": shapely.length(lines),
            "source": np.where(bank, -1, source),
        },
        geometry=degrees(lines),
        crs=4326,
    )
    return table[table.length_m > 0.02].reset_index(drop=True)


def _largest(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The segments of the graph's largest connected part, which is all but a few field tracks."""
    lines = table.geometry.to_numpy()
    ends = np.concatenate([shapely.get_point(lines, 0), shapely.get_point(lines, -1)])
    key = np.round(shapely.get_coordinates(ends) / DEGREE_GRID).astype(np.int64)
    ids = np.unique(key, axis=0, return_inverse=True)[1].ravel()
    a, b = ids[: len(lines)], ids[len(lines) :]
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(ids.max() + 1, ids.max() + 1))
    part = connected_components(graph, directed=False)[1][a]
    return table[part == np.bincount(part).argmax()].reset_index(drop=True)
