"""The drawn city as people find it: grids with titles and houses, towns with their seats."""

from typing import Any, Protocol

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely import STRtree

from data.foshan import facts, governance
from data.foshan.facts import Ints
from data.foshan.names import stem
from data.foshan.network import metres

COLUMNS = ("external_id", "name", "kind", "organisation", "skills", "area", "areas", "lon", "lat",
           "mode", "shift", "capacity")  # fmt: skip
"""Of a roster."""


class Drawn(Protocol):
    """What has to be drawn before people can live in it; see `data.foshan.city.City`."""

    @property
    def towns(self) -> gpd.GeoDataFrame:
        """Towns with code, name."""

    @property
    def villages(self) -> gpd.GeoDataFrame:
        """Villages with code, name and the code of their town."""

    @property
    def grids(self) -> gpd.GeoDataFrame:
        """Basic and dedicated grids with residents."""

    @property
    def beats(self) -> gpd.GeoDataFrame:
        """Police beats with station and town."""

    @property
    def sub_centres(self) -> gpd.GeoDataFrame:
        """Service areas of the sub-centres with specialty and seat."""

    @property
    def addresses(self) -> pd.DataFrame:
        """Addresses with lon and lat."""


def short(town: str) -> str:
    """A town's name without its kind."""
    return town.removesuffix("街道").removesuffix("镇")


class Ground:
    """Grids with their titles, middles and houses; towns with the houses around their seats."""

    def __init__(self, drawn: Drawn, seed: int) -> None:
        rng = np.random.default_rng([seed, 22])
        self._near: dict[str, Ints] = {}
        self.grids = _grids(drawn)
        self.basic = self.grids[self.grids.kind == "basic"]
        self.codes = self.basic.code.to_numpy(object)
        self.middle: facts.Array = self.basic[["lon", "lat"]].to_numpy()
        self.share = len(self.basic) / facts.GRIDS
        self.villages = drawn.villages.sort_values("code", ignore_index=True)
        self.towns = _towns(drawn)
        point = shapely.points(drawn.addresses.lon, drawn.addresses.lat)
        shapes = drawn.grids.sort_values("code").geometry.to_numpy()[self.basic.index]
        house, grid = STRtree(shapes).query(point, predicate="within")
        order = np.lexsort((rng.random(len(house)), grid))
        self.lonlat = shapely.get_coordinates(point[house[order]])
        self.grid_of = grid[order]
        self.count = np.bincount(grid, minlength=len(self.basic))
        self.start = np.cumsum(self.count) - self.count

    def homes(self, grid: Ints, turn: Ints) -> facts.Array:
        """A house in each of these basic grids, another at every turn; else the grid's middle."""
        count = self.count[grid]
        at = self.start[grid] + turn % np.maximum(count, 1)
        some: facts.Array = self.middle[grid]
        some[count > 0] = self.lonlat[at[count > 0]]
        return some

    def total(self, whole_city: int) -> int:
        """A figure of the whole city as this part's share."""
        return round(whole_city * self.share)

    def in_grid(self, grid: int, turn: int) -> dict[str, Any]:
        """A house in a basic grid, as part of a row of a roster."""
        lon, lat = self.homes(np.array([grid]), np.array([turn]))[0]
        return {"area": f"grid:{self.codes[grid]}", "lon": lon, "lat": lat}

    def near_seat(self, town: str, number: int) -> dict[str, Any]:
        """One of the houses around a town's seat, for somebody who answers for the town."""
        nearest = self._nearest(town)
        at = nearest[number * 3 % len(nearest)]
        lon, lat = self.lonlat[at]
        code = self.codes[self.grid_of[at]]
        return {"area": f"grid:{code}", "areas": f"town:{town}000", "lon": lon, "lat": lat}

    def _nearest(self, town: str) -> Ints:
        """The houses of a town, those nearest to its seat first."""
        if town not in self._near:
            mine = np.flatnonzero(self.basic.town.to_numpy()[self.grid_of] == town)
            if not len(mine):
                raise ValueError(f"the town {town} has no addresses, so nobody can be at home")
            seat = facts.to_xy(self.towns.loc[[town], ["lon", "lat"]].to_numpy())
            away = np.hypot(*(facts.to_xy(self.lonlat[mine]) - seat).T)
            self._near[town] = mine[np.argsort(away, kind="stable")]
        return self._near[town]


def _grids(drawn: Drawn) -> pd.DataFrame:
    """The grids by code: which town, what they are called, their middle and whether large."""
    grids = drawn.grids.sort_values("code")
    shapes = grids.geometry.to_numpy()
    villages = drawn.villages.set_index("code")
    town = villages.parent.loc[grids.parent].str[:9].to_numpy()
    names = drawn.towns.set_index(drawn.towns.code.str[:9]).name
    village = villages.name.loc[grids.parent].map(stem).to_numpy()
    middle = shapely.get_coordinates(shapely.point_on_surface(shapes))
    place = grids.place.fillna("").to_numpy() if "place" in grids else ""
    return pd.DataFrame(
        {
            "code": grids.code.to_numpy(), "village": grids.parent.to_numpy(), "town": town,
            "kind": grids.kind.to_numpy(), "place": place, "name": grids.name.to_numpy(),
            "residents": grids.residents.to_numpy(float), "lon": middle[:, 0], "lat": middle[:, 1],
            "large": shapely.area(metres(shapes)) > governance.LARGE_GRID_M2,
            "title": names.loc[town].to_numpy() + " " + village + " " + grids.name.to_numpy(),
        }
    )  # fmt: skip


def _towns(drawn: Drawn) -> pd.DataFrame:
    """The towns by their 9 digits, with name, seat and residents."""
    known = facts.towns().set_index("code")[["name", "lon", "lat", "residents"]]
    return known.loc[sorted(drawn.towns.code.str[:9])]
