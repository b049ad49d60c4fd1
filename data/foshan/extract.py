"""The demonstration city's roads as an OpenStreetMap extract, so that people travel along them.

Rivers are crossed on bridges only: the roads were cut at the banks when they were drawn
(`data.foshan.roads`), and only main roads lead across wide water.
"""

from pathlib import Path

import geopandas as gpd
import numpy as np
import osmium
import shapely
from osmium.osm.mutable import Node, Way

from data.foshan.network import DEGREE_GRID

SPEED_KMH = {
    "motorway": 100, "trunk": 80, "primary": 60, "secondary": 50, "tertiary": 40,
    "residential": 30,
}  # fmt: skip
"""Speed limits by class: the design speeds of CJJ 37-2012 for streets, common ones for the rest."""


def write(roads: gpd.GeoDataFrame, file: Path) -> None:
    """Write roads (``City.roads``: ``class``, ``name``, ``bridge``) as an extract in PBF.

    A vertex is one node wherever it occurs, so that roads which meet are joined. Nothing is known
    of one-way streets: all roads lead both ways. The same roads give the same bytes.
    """
    lonlat, road = shapely.get_coordinates(roads.geometry.to_numpy(), return_index=True)
    grid = np.round(lonlat / DEGREE_GRID).astype(np.int64)
    places, node = np.unique(grid, axis=0, return_inverse=True)
    refs = np.split(node.ravel() + 1, np.flatnonzero(np.diff(road)) + 1)
    rows = zip(refs, roads["class"], roads["name"], roads["bridge"], strict=True)
    with osmium.SimpleWriter(str(file), overwrite=True) as writer:
        for number, (lon, lat) in enumerate((places * DEGREE_GRID).tolist(), 1):
            writer.add_node(Node(id=number, version=1, location=(lon, lat)))
        for number, (nodes, kind, name, bridge) in enumerate(rows, 1):
            tags = _tags(kind, name or "", bool(bridge))
            writer.add_way(Way(id=number, version=1, nodes=nodes.tolist(), tags=tags))


def _tags(kind: str, name: str, bridge: bool) -> dict[str, str]:
    tags = {"highway": kind, "maxspeed": str(SPEED_KMH[kind]), "oneway": "no"}
    if name:
        tags["name"] = name
    if bridge:
        tags |= {"bridge": "yes", "layer": "1"}
    return tags
