"""What lies around an incident: grids, water, roads and the nearest facilities."""

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import pandas as pd
from sqlalchemy import Connection, text

from data import freshness
from data.freshness import FRESH
from data.schema.dispatch import IN_ACTIVE

NEAR_M = 2_000.0
WIDE_M = 8_000.0
MOST_GRIDS = 400
MOST_ROADS = 1_500
MOST_FACILITIES = 8  # of a kind

# A box that reaches so many metres from the place on each side, in degrees.
_BOX = """
box AS MATERIALIZED (
    SELECT ST_Envelope(ST_Buffer(ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)::geography, :reach_m,
                                 'quad_segs=1')::geometry) AS geom,
           ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) AS pt
)"""

_GRIDS = text(f"""
WITH {_BOX}, own AS (
    SELECT v.geom FROM area_version v
    WHERE v.area_id = CAST(:area_id AS bigint) AND upper_inf(v.recorded) AND v.valid @> now()
)
SELECT a.code, v.name, a.id = CAST(:area_id AS bigint) IS TRUE AS own,
       EXISTS (SELECT FROM own WHERE ST_DWithin(own.geom, v.geom, 0.00003)) AS beside,
       ST_SimplifyPreserveTopology(v.geom, 0.00001) AS geom
FROM box, area_version v JOIN area a ON a.id = v.area_id
WHERE a.layer = 'grid' AND v.geom && box.geom AND upper_inf(v.recorded) AND v.valid @> now()
ORDER BY v.geom <-> box.pt LIMIT :most
""")

_NATURE = text(f"""
WITH {_BOX}
SELECT g.kind, g.class, g.name,
       ST_Simplify(ST_ClipByBox2D(g.geom, box.geom::box2d), 0.00002) AS geom
FROM box, ground g
WHERE g.geom && box.geom AND (g.kind = 'water' OR g.class <> 'footway')
ORDER BY g.kind = 'water' DESC, ST_Length(g.geom) DESC LIMIT :most
""")

_FACILITIES = text("""
WITH place AS MATERIALIZED (
    SELECT ST_Transform(ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), 3395) AS xy
)
SELECT k.title, k.title_en, f.name, ST_X(f.home) AS lon, ST_Y(f.home) AS lat
FROM place, resource_kind k
CROSS JOIN LATERAL (
    SELECT r.name, r.home FROM resource r WHERE r.kind = k.name AND r.withdrawn IS NULL
    ORDER BY r.home_xy <-> place.xy LIMIT :most
) f
WHERE k.form = 'facility' ORDER BY k.name
""")

# Where those are who are under way, by a position that can be relied on, or else at home.
_SENT = text(f"""
WITH asked AS MATERIALIZED (SELECT now() AS at)
SELECT r.id, r.name, ST_X(p.geom) AS lon, ST_Y(p.geom) AS lat
FROM asked CROSS JOIN assignment a JOIN resource r ON r.id = a.resource_id
LEFT JOIN position f ON f.resource_id = r.id AND {FRESH}
CROSS JOIN LATERAL (SELECT coalesce(f.geom, r.home) AS geom) p
WHERE a.incident_id = :incident_id AND a.state IN {IN_ACTIVE}
ORDER BY r.id
""")


@dataclass(frozen=True)
class Surroundings:
    """What a map of one place shows under it, WGS 84.

    Attributes
    ----------
    grids : code, name, own (the place's), beside (touches the own), geometry
    nature : kind (`water` or `road`), class, name, geometry, cut off at `WIDE_M`
    facilities : title and title_en of the kind, name, lon, lat
    """

    grids: gpd.GeoDataFrame
    nature: gpd.GeoDataFrame
    facilities: pd.DataFrame


def around(connection: Connection, lon: float, lat: float, area_id: int | None) -> Surroundings:
    """What lies around a place (degrees WGS 84) whose grid has that id."""
    asked: dict[str, Any] = {"lon": lon, "lat": lat, "area_id": area_id}

    def shapes(statement: Any, reach_m: float, most: int) -> gpd.GeoDataFrame:
        found = gpd.read_postgis(
            statement, connection, params={**asked, "reach_m": reach_m, "most": most}
        )
        return found[~(found.geometry.is_empty | found.geometry.isna())]

    rows = connection.execute(_FACILITIES, {**asked, "most": MOST_FACILITIES}).mappings()
    return Surroundings(
        shapes(_GRIDS, NEAR_M, MOST_GRIDS),
        shapes(_NATURE, WIDE_M, MOST_ROADS),
        pd.DataFrame(rows.all(), columns=["title", "title_en", "name", "lon", "lat"]),
    )


def sent(connection: Connection, incident_id: int) -> list[dict[str, Any]]:
    """Who is under way to an incident: id, name and point (lon, lat)."""
    asked = {"incident_id": incident_id, **freshness.limits()}
    return [
        {"id": row.id, "name": row.name, "point": {"lon": row.lon, "lat": row.lat}}
        for row in connection.execute(_SENT, asked)
    ]
