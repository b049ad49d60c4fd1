"""What is known of Foshan: codes, names, outlines, towns' seats, courses of rivers and roads."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd

FOLDER = Path(__file__).resolve().parent
CITY = "440600000000"
CITY_NAME = "佛山市"
GRIDS = 6602
RED_TOWN = "440605125"
RED_GRIDS = 309
"""Dali's red grids are its basic grids."""
HOSTS = {
    "440607400": "440607001",
    "440607401": "440607004",
    "440607402": "440607004",
    "440607403": "440607001",
    "440607404": "440607106",
    "440608400": "440608107",
    "440608401": "440608107",
    "440608402": "440608106",
    "440608403": "440608108",
}
"""Town in which a special unit (a prison, a state farm) lies; it has a code beside the towns'."""

Array = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
ORIGIN = np.array([113.0, 23.0])
METRES = np.array([102_470.0, 110_740.0])
"""Metres per degree of longitude and latitude in the city's middle (an affine plane, 0.5 % off)."""


def to_xy(lonlat: Array) -> Array:
    """Longitude and latitude in degrees, shape (n, 2), as metres east and north of 113° E 23° N."""
    xy: Array = (np.asarray(lonlat, dtype=float) - ORIGIN) * METRES
    return xy


def to_lonlat(xy: Array) -> Array:
    """Inverse of `to_xy`: the map is affine, so straight lines stay straight."""
    lonlat: Array = np.asarray(xy, dtype=float) / METRES + ORIGIN
    return lonlat


@dataclass(frozen=True)
class Course:
    """The rough course of a river or main road: ``points`` (n, 2) in metres."""

    name: str
    kind: str
    half_width: float
    along_border: bool
    points: Array


@cache
def villages() -> pd.DataFrame:
    """The 818 villages and communities; ``host`` is the 9-digit code of the town around each."""
    table = pd.read_csv(FOLDER / "villages.csv", dtype=str)
    return table.assign(host=table.town_code.map(HOSTS).fillna(table.town_code))


@cache
def towns() -> pd.DataFrame:
    """The 32 towns with approximate seat, area and residents, and how many grids each gets."""
    table = pd.read_csv(FOLDER / "towns.csv", dtype={"code": str}).sort_values("code")
    table = table.reset_index(drop=True)
    table["villages"] = table.code.map(villages().groupby("host").size()).astype(int)
    red = table.code == RED_TOWN
    weight = np.where(red, 0.0, table.residents.to_numpy() ** 0.95)
    least = np.where(red, 0, table.villages)
    table["grids"] = shares(weight, GRIDS - RED_GRIDS, least)
    table.loc[red, "grids"] = RED_GRIDS
    return table


@cache
def districts() -> gpd.GeoDataFrame:
    """The outlines as published: not a coverage, see `outline.mended`."""
    return gpd.read_file(FOLDER / "districts.geojson").sort_values("code", ignore_index=True)


@cache
def courses() -> tuple[Course, ...]:
    """Rivers and main roads, in the order of the file."""
    table = pd.read_csv(FOLDER / "courses.csv")
    return tuple(
        Course(
            row["name"],
            row["class"],
            float(row["half_width_m"]),
            row["follows"] == "border",
            to_xy(np.array([p.split() for p in row["points"].split(";")], dtype=float)),
        )
        for _, row in table.iterrows()
    )


def shares(weight: Array, total: int, least: Ints | int = 0) -> Ints:
    """Split ``total`` into whole numbers in proportion to ``weight``, none below ``least``.

    Largest remainders; exact sum.

    >>> shares(np.array([1.0, 1.0, 2.0]), 5).tolist()
    [1, 1, 3]
    """
    least = np.broadcast_to(np.asarray(least, dtype=np.int64), weight.shape)
    free = total - int(least.sum())
    if free < 0:
        raise ValueError(f"{total} cannot be shared: the parts' minima add up to {least.sum()}")
    excess = np.maximum(weight / weight.sum() * total - least, 0)
    if not excess.any():
        excess = np.ones(weight.shape)
    ideal = excess / excess.sum() * free
    out: Ints = np.floor(ideal).astype(np.int64) + least
    order = np.argsort(np.floor(ideal) - ideal, kind="stable")
    out[order[: total - int(out.sum())]] += 1
    return out
