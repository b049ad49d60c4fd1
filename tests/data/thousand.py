"""A schematic city of a thousand square grids, with bodies that answer: quick to load."""

import geopandas as gpd
import numpy as np
import shapely
from sqlalchemy import Connection, Engine, text

from data import areas
from data.foshan import answering

WEST, SOUTH, STEP = 113.0, 22.9, 0.004
DISTRICTS = ("440604", "440605")
TOWNS = ("440604010", "440604011", "440605121", "440605122")
VILLAGES = [f"{town}{serial:03}" for town in TOWNS for serial in range(1, 6)]
PER_VILLAGE = 50


def build(engine: Engine) -> None:
    """Load the areas, the organisations, and who answers for what."""
    with areas.change(engine, "import", "test") as change:
        for layer, (codes, parents, count) in _levels().items():
            areas.record(change, layer, _frame(codes, parents, count))
    with engine.begin() as connection:
        _organise(connection)
        answering.load(connection, [f"{town}000" for town in TOWNS])


def _levels() -> dict[str, tuple[list[str], list[str | None], int]]:
    """Codes, parents, and how many grids each has."""
    grids = [f"{village}{n:03}" for village in VILLAGES for n in range(1, PER_VILLAGE + 1)]
    return {
        "city": (["440600000000"], [None], 1000),
        "district": ([f"{d}000000" for d in DISTRICTS], ["440600000000"] * 2, 500),
        "town": ([f"{t}000" for t in TOWNS], [f"{t[:6]}000000" for t in TOWNS], 250),
        "village": (VILLAGES, [f"{v[:9]}000" for v in VILLAGES], PER_VILLAGE),
        "grid": (grids, [g[:12] for g in grids], 1),
    }


def _frame(codes: list[str], parents: list[str | None], grids: int) -> gpd.GeoDataFrame:
    """Areas of so many grids each; a column of 50 grids is a village."""
    cell = np.arange(len(codes) * grids)
    x, y = WEST + cell // PER_VILLAGE * STEP, SOUTH + cell % PER_VILLAGE * STEP
    boxes = shapely.box(x, y, x + STEP, y + STEP).reshape(len(codes), grids)
    shapes = shapely.union_all(boxes, axis=1)
    columns = {"code": codes, "name": codes, "parent": parents}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=4326)


_BODY = text("""
INSERT INTO organisation (code, name, role, area_id)
SELECT :code, :code, :role, id FROM area WHERE layer = :layer AND code = :area
""")


def _organise(connection: Connection) -> None:
    bodies = sorted({matter.body for matter in (*answering.CLASSES, *answering.MATTERS)})
    for layer, places in (("district", DISTRICTS), ("town", TOWNS)):
        for place in places:
            for body in bodies:
                role = "centre" if body == "centre" else "other"
                asked = {"code": f"{body}-{place}", "role": role, "layer": layer}
                connection.execute(_BODY, {**asked, "area": f"{place:0<12}"})
