"""Beats over grids and minutes to everybody, for a whole city, beside GeoPandas' overlay."""

from datetime import UTC, datetime, timedelta

import geopandas as gpd
import numpy as np
from sqlalchemy import Connection

from data import areas, integration, roads
from data.foshan import load
from data.integration import Asked
from gis.integration import overlay
from gis.plane import Plane
from gis.travel import StraightLine, Travel
from layers import console
from tests.bench.setting import city, home, timed

ROUNDS = 3


def run(_rows: int) -> None:
    """Print seconds of the matrix and of all figures, and the ratio to GeoPandas."""
    _, engine = city()
    with console.share("roads") as progress:
        load.pave(engine, home(), progress)
    with engine.connect() as connection:
        beats, grids = (areas.read(connection, name) for name in ("beats", "grid"))
        grids = grids[grids["kind"] == "basic"]
        plane = Plane.around(grids.geometry.to_numpy())
        xy = [plane.to_xy_m(each.geometry.to_numpy()) for each in (beats, grids)]
        frames = [
            gpd.GeoDataFrame({f"of_{n}": range(len(g))}, geometry=g) for n, g in enumerate(xy)
        ]
        ours, theirs = [], []
        for _ in range(ROUNDS):
            with timed() as a:
                found = overlay(*xy)
            with timed() as b:
                expected = gpd.overlay(*frames, keep_geom_type=True)
            ours.append(a())
            theirs.append(b())
        straight = _all(connection, StraightLine())
        by_road = _all(connection, roads.travel(home()))
    console.pairs(
        "Beats and grids (the matrix at least 1; all figures within 20 s)",
        [
            ("beats, grids, rows", f"{len(beats)}, {len(grids):,}, {len(found.grid):,}"),
            ("overlay and classes", f"{np.median(ours):.2f} s"),
            ("geopandas.overlay", f"{np.median(theirs):.2f} s"),
            ("ratio, median", f"{np.median(np.array(theirs) / ours):.2f}"),
            ("area against GeoPandas'", f"{found.area_m2.sum() / expected.area.sum() - 1:.1e}"),
            ("all figures, straight lines", f"{straight:.1f} s"),
            ("all figures, by road", f"{by_road:.1f} s"),
        ],
    )


def _all(connection: Connection, travel: Travel) -> float:
    now = datetime.now(UTC)
    with timed() as read:
        integration.read(connection, travel, Asked(now, now - timedelta(days=30), now))
    return read()
