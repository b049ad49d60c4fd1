"""What the overview page shows: the ground under it, and the reports of a period."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import geopandas as gpd
import pandas as pd
from sqlalchemy import Connection, text

from data import areas

MOST_REPORTS = 200_000

# An archive that is loaded today is no news of today: it is left out by when it happened.
_REPORTS = text("""
SELECT ST_X(r.geom) AS lon, ST_Y(r.geom) AS lat, r.kind, r.received, a.code AS grid, r.triage,
       r.ambiguous
FROM report r LEFT JOIN area a ON a.id = r.area_id AND a.layer = 'grid'
WHERE r.received >= :start AND r.received < :until
  AND (r.occurred IS NULL OR r.occurred >= CAST(:start AS timestamptz) - interval '7 days')
ORDER BY r.received DESC LIMIT :most
""")

_GROUND = 'SELECT name, "class", geom AS geometry FROM ground WHERE kind = :kind ORDER BY id'
_LAYERS = {
    "districts": "district", "towns": "town", "villages": "village", "grids": "grid",
    "beats": "beats",
}  # fmt: skip
LEVELS = tuple(_LAYERS)
_NO_LAYER = ""


def reports(connection: Connection, start: datetime, until: datetime) -> pd.DataFrame:
    """Reports received in a period (aware), newest first, at most `MOST_REPORTS`.

    Returns columns lon, lat (WGS 84, NaN: none), kind, received, grid (code or null), triage
    (reason or null) and ambiguous.
    """
    rows = connection.execute(_REPORTS, {"start": start, "until": until, "most": MOST_REPORTS})
    return pd.DataFrame(rows.mappings().all(), columns=list(rows.keys()))


# Borders that were planned come into force on their day, without any change of the map then.
_STATE = text("""
SELECT (SELECT max(id) FROM change WHERE recorded <= now()) AS change,
       greatest(max(lower(valid)) FILTER (WHERE lower(valid) <= now()),
                max(upper(valid)) FILTER (WHERE upper(valid) <= now())) AS since
FROM area_version WHERE upper_inf(recorded)
""")


def state(connection: Connection) -> tuple[Any, ...]:
    """What tells the map of now from that of another moment: its change and its last border."""
    return tuple(connection.execute(_STATE).one())


def ground(connection: Connection, levels: Collection[str] = LEVELS) -> dict[str, Any]:
    """The tables and names that `layers.ground.ground` takes, as they are in force now.

    Tables that are not among `levels` are empty.
    """
    city = connection.execute(
        text(
            "SELECT v.name, l.source FROM layer l JOIN area a ON a.layer = l.name"
            " JOIN area_version v ON v.area_id = a.id AND upper_inf(v.recorded)"
            " AND v.valid @> now() WHERE l.name = 'city' ORDER BY a.code LIMIT 1"
        )
    ).first()
    tables = {
        name: areas.read(connection, layer if name in levels else _NO_LAYER)
        for name, layer in _LAYERS.items()
    }
    return {
        **tables,
        "water": _nature(connection, "water"),
        "roads": _nature(connection, "road"),
        "city": city.name if city else "",
        "source": city.source if city else "",
    }


def _nature(connection: Connection, kind: str) -> gpd.GeoDataFrame:
    return gpd.read_postgis(text(_GROUND), connection, geom_col="geometry", params={"kind": kind})
