"""Made-up house numbers along the roads and made-up housing estates: places, no people."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely import STRtree

from data.foshan import facts
from data.foshan.names import estate_names
from data.foshan.network import Geometries, Network, metres

ADDRESSES = 80_000
STEP_M, LONG_STEP_M = 8.0, 20.0
"""Metres of road for one pair of numbers: streets of a town, roads across the city."""


def gazetteer(
    roads: gpd.GeoDataFrame, net: Network, grids: gpd.GeoDataFrame, rng: np.random.Generator, n: int
) -> pd.DataFrame:
    """About ``n`` addresses: odd numbers left of the road, even ones right, rising along it.

    Columns ``address``, ``lon``, ``lat`` (WGS 84), ``grid`` (code of the basic grid around it),
    ``road``.
    """
    usable = roads[(roads["class"] != "motorway") & ~roads.bridge & (roads.source >= 0)]
    line = metres(usable.geometry.to_numpy())
    length = shapely.length(line)
    shape = grids.geometry.to_numpy()
    tree = STRtree(shape)
    where = tree.query_nearest(
        shapely.line_interpolate_point(usable.geometry.to_numpy(), 0.5, normalized=True),
        all_matches=False,
    )[1]
    size = np.sqrt(shapely.area(metres(shape)))[where]
    count = facts.shares(length / size, n)
    row = np.repeat(np.arange(len(line)), count)
    along = length[row] * (0.02 + 0.96 * rng.random(len(row)))
    left = rng.random(len(row)) < 0.5
    xy, place = _beside(line[row], along, left, net, usable.source.to_numpy()[row], rng)
    lonlat = np.round(facts.to_lonlat(xy), 7)
    point = shapely.points(lonlat)
    hit, grid = tree.query(point, predicate="within")
    far = np.array([s.course >= 0 for s in net.sources])[usable.source.to_numpy()[row[hit]]]
    name = usable.name.to_numpy()[row[hit]]
    start = pd.Series(place[hit]).groupby(name).transform("min").to_numpy()
    from_start = np.where(far, (place[hit] - start) // LONG_STEP_M, place[hit] // STEP_M)
    number = 2 * from_start.astype(int) + np.where(left[hit], 1, 2)
    out = pd.DataFrame(
        {
            "address": _prefix(grids)[grid] + name,
            "lon": lonlat[hit, 0],
            "lat": lonlat[hit, 1],
            "grid": grids.code.to_numpy()[grid],
            "road": name,
        }
    )
    out["address"] += pd.Series(number).astype(str) + "号"
    return out.drop_duplicates("address").sort_values("address", ignore_index=True)


def _prefix(grids: gpd.GeoDataFrame) -> np.ndarray:
    towns = facts.towns().set_index("code").name
    villages = facts.villages().set_index("village_code")
    mine = villages.loc[grids.parent]
    return np.asarray(
        facts.CITY_NAME + mine.district_name.to_numpy() + towns.loc[mine.host].to_numpy(),
        dtype=object,
    )


def _beside(
    line: Geometries,
    along: facts.Array,
    left: np.ndarray,
    net: Network,
    source: np.ndarray,
    rng: np.random.Generator,
) -> tuple[facts.Array, facts.Array]:
    """Points a few metres beside the lines, and how far along their whole road they stand."""
    at = shapely.line_interpolate_point(line, along)
    whole = np.array([s.line for s in net.sources])[source]
    place = shapely.line_locate_point(whole, at)
    total = shapely.length(whole)
    back = shapely.line_interpolate_point(whole, np.maximum(place - 1.0, 0))
    ahead = shapely.line_interpolate_point(whole, np.minimum(place + 1.0, total))
    way = shapely.get_coordinates(ahead) - shapely.get_coordinates(back)
    way /= np.maximum(np.hypot(way[:, 0], way[:, 1]), 1e-9)[:, None]
    normal = np.stack([-way[:, 1], way[:, 0]], axis=1)
    away = rng.uniform(7.0, 16.0, len(line)) * np.where(left, 1, -1)
    return shapely.get_coordinates(at) + normal * away[:, None], place


def estates(grids: gpd.GeoDataFrame, rng: np.random.Generator, n: int) -> gpd.GeoDataFrame:
    """``n`` housing estates (小区), more where grids are small, with their village and grid."""
    metre = metres(grids.geometry.to_numpy())
    weight = 1 / shapely.area(metre)
    row = rng.choice(len(grids), size=min(n, len(grids)), replace=False, p=weight / weight.sum())
    row.sort()
    mine = grids.iloc[row]
    villages = facts.villages().set_index("village_code").village_name
    table = pd.DataFrame(
        {
            "name": estate_names(villages.loc[mine.parent].tolist(), rng),
            "village": mine.parent.to_numpy(),
            "grid": mine.code.to_numpy(),
            "homes": rng.integers(120, 2400, len(row)),
        }
    )
    centre = shapely.point_on_surface(mine.geometry.to_numpy())
    return gpd.GeoDataFrame(table, geometry=centre, crs=4326)
