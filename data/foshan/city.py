"""The demonstration city: Foshan's real names and codes inside made-up borders.

>>> city = generate(districts=["440604"])  # doctest: +SKIP
>>> len(city.districts), len(city.towns)  # doctest: +SKIP
(1, 4)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from data.foshan import addresses, facts, overlays, roads
from data.foshan.network import Geometries, Network, node
from data.foshan.tiling import Tiling, tile
from gis.codes import mint

Progress = Callable[[str, float], None]
RESIDENTS_PER_HOME = 3.1
ESTATES = 2000


@dataclass(frozen=True)
class City:
    """Everything that is drawn of the city; longitude and latitude, EPSG:4326.

    ``city``, ``districts``, ``towns``, ``villages`` (``code``, ``name``, ``parent``) and the basic
    ``grids`` tile each other from above to below, vertex for vertex. The parent of a special unit's
    village (a prison, a farm) is the town around it, though its code has a number of its own.
    Dedicated grids lie in ``grids`` too, over basic ones of the same village (``kind``).
    """

    city: gpd.GeoDataFrame
    districts: gpd.GeoDataFrame
    towns: gpd.GeoDataFrame
    villages: gpd.GeoDataFrame
    grids: gpd.GeoDataFrame
    beats: gpd.GeoDataFrame
    red_grids: gpd.GeoDataFrame
    sub_centres: gpd.GeoDataFrame
    hotline_areas: gpd.GeoDataFrame
    roads: gpd.GeoDataFrame
    water: gpd.GeoDataFrame
    addresses: pd.DataFrame
    estates: gpd.GeoDataFrame


def generate(
    seed: int = 4406, progress: Progress | None = None, districts: Sequence[str] | None = None
) -> City:
    """Draw the city; the same seed gives the same city, byte for byte.

    Parameters
    ----------
    seed : int
        Any whole number from 0.
    progress : callable, optional
        Called with what is being done and the share done (0 to 1).
    districts : sequence of str, optional
        6-digit codes, to draw a part only; without it all five.

    Raises
    ------
    ValueError
        A code in ``districts`` is none of Foshan's.
    """
    unknown = sorted(set(districts or ()) - set(facts.districts().code))
    if unknown:
        known = ", ".join(facts.districts().code)
        raise ValueError(f"no district of Foshan has the code {unknown[0]!r}; there are {known}")
    tell = progress or (lambda _what, _share: None)
    tiling = tile(seed, districts, lambda what, share: tell(what, 0.5 * share))
    tell("noding the lines", 0.5)
    net = node(tiling)
    tell("naming the areas", 0.65)
    return _assemble(seed, tiling, net, tell)


def _assemble(seed: int, tiling: Tiling, net: Network, tell: Progress) -> City:
    rng = np.random.default_rng([seed, 12345])
    grids = _grids(tiling, net, rng)
    villages, towns, districts, city = _levels(tiling, grids)
    tell("paving the roads", 0.7)
    ways = roads.build(tiling, net)
    tell("numbering the houses", 0.8)
    share = len(grids) / facts.GRIDS
    houses = addresses.gazetteer(
        ways.segments, net, grids, rng, max(1, int(addresses.ADDRESSES * share))
    )
    homes = addresses.estates(grids, rng, max(1, int(ESTATES * share)))
    tell("drawing beats and service areas", 0.9)
    town, village = np.array(tiling.town)[net.leaf], np.array(tiling.village)[net.leaf]
    beats = overlays.beats(net.faces, net.leaf, town, village, seed)
    special = overlays.dedicated(grids, ways.water, rng)
    out = City(
        city, districts, towns, villages,
        pd.concat([grids, special[grids.columns]], ignore_index=True),
        beats, overlays.red_grids(grids), overlays.sub_centres(villages, houses),
        overlays.hotline_areas(towns), ways.segments.drop(columns="source"), ways.water,
        houses, homes,
    )  # fmt: skip
    tell("done", 1.0)
    return out


def _grids(tiling: Tiling, net: Network, rng: np.random.Generator) -> gpd.GeoDataFrame:
    """The basic grids in the order of their codes."""
    shapes = overlays.union_by(net.faces, net.leaf).to_numpy()
    village = np.array(tiling.village)
    centre = shapely.get_coordinates(shapely.centroid(shapes))
    codes = np.empty(len(shapes), dtype=object)
    for each in np.unique(village):
        rows = np.flatnonzero(village == each)
        codes[rows] = mint(str(each), centre[rows])
    table = pd.DataFrame({"code": codes, "parent": village})
    table["place"] = ""
    table["kind"] = "basic"
    title = table.parent.map(facts.villages().set_index("village_code").village_name)
    table["name"] = "第" + table.code.str[-3:] + "网格"
    table["party_branch"] = title.map(_short) + table.name + "党支部"
    table["residents"] = _residents(tiling, rng)
    table["households"] = np.maximum(1, (table.residents / RESIDENTS_PER_HOME).astype(int))
    columns = ["code", "name", "parent", "kind", "place", "party_branch", "households", "residents"]
    grids = gpd.GeoDataFrame(table[columns], geometry=shapes, crs=4326)
    return grids.sort_values("code", ignore_index=True)


def _short(village: str) -> str:
    for tail in ("居民委员会", "居委会", "民委员会", "委会"):
        village = village.removesuffix(tail)
    return village


def _residents(tiling: Tiling, rng: np.random.Generator) -> np.ndarray:
    """The town's residents shared out among its grids, by the people sampled in each."""
    town = np.array(tiling.town)
    sampled = np.array([len(r.people) + 2.0 for r in tiling.regions])
    weight = sampled * rng.lognormal(0, 0.15, len(town))
    total = pd.Series(weight).groupby(town).transform("sum").to_numpy()
    residents = facts.towns().set_index("code").residents.loc[town].to_numpy()
    share: np.ndarray = np.round(residents * weight / total).astype(int)
    return share


def _levels(tiling: Tiling, grids: gpd.GeoDataFrame) -> tuple[gpd.GeoDataFrame, ...]:
    """Villages, towns, districts and the city, each the exact union of its children."""
    known = facts.villages()
    by_code = known.set_index("village_code")
    village = _union(grids.geometry.to_numpy(), grids.parent.to_numpy())
    village["name"] = by_code.village_name.loc[village.code].to_numpy()
    village["parent"] = (by_code.host.loc[village.code] + "000").to_numpy()
    town = _union(village.geometry.to_numpy(), village.parent.to_numpy())
    town["name"] = facts.towns().set_index("code").name.loc[town.code.str[:9]].to_numpy()
    town["parent"] = town.code.str[:6] + "000000"
    district = _union(town.geometry.to_numpy(), town.parent.to_numpy())
    names = facts.districts().set_index("code").name
    district["name"] = names.loc[district.code.str[:6]].to_numpy()
    district["parent"] = facts.CITY
    city = _union(district.geometry.to_numpy(), district.parent.to_numpy())
    city["name"], city["parent"] = facts.CITY_NAME, None
    columns = ["code", "name", "parent", "geometry"]
    return village[columns], town[columns], district[columns], city[columns]


def _union(shapes: Geometries, parent: np.ndarray) -> gpd.GeoDataFrame:
    union = overlays.union_by(shapes, parent)
    return gpd.GeoDataFrame({"code": union.index.astype(str)}, geometry=union.to_numpy(), crs=4326)
