"""What lies inside a drawn area: grids, residents, records, incidents, facilities …"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import shapely
from sqlalchemy import Connection, RowMapping, text

from data import territory
from data.record_lists import SHORTEST_DEGREE_M
from data.settings import settings

MOST_NAMED = 100  # facilities of a kind, and open cases, that are named and not only counted

_DRAWN = "drawn AS MATERIALIZED (SELECT ST_SetSRID(ST_GeomFromWKB(:shape), 4326) AS geom)"

# What an area shares with the drawing only by a line is nothing.
_GRIDS = text(f"""
WITH {_DRAWN}, touched AS (
    SELECT v.area_id, a.code, v.name, v.kind, v.area_m2, ST_Covers(d.geom, v.geom) AS whole,
           CASE WHEN jsonb_typeof(v.attributes -> 'residents') = 'number'
                THEN CAST(v.attributes ->> 'residents' AS double precision) END AS residents,
           CASE WHEN ST_Covers(d.geom, v.geom) THEN v.area_m2
                ELSE ST_Area(ST_Intersection(v.geom, d.geom)::geography) END AS inside_m2
    FROM drawn d JOIN area_version v ON v.geom && d.geom AND ST_Intersects(v.geom, d.geom)
    JOIN area a ON a.id = v.area_id
    WHERE a.layer = 'grid' AND upper_inf(v.recorded) AND v.valid @> CAST(:now AS timestamptz)
)
SELECT area_id, code, name, kind, whole, residents, inside_m2,
       least(1, inside_m2 / area_m2) AS share
FROM touched WHERE inside_m2 > 1 ORDER BY code
""")

# A record of a grid that lies whole inside counts without a look at its position.
_RECORDS = text(f"""
WITH {_DRAWN}, inside AS (
    SELECT r.kind, count(*) AS records FROM record r
    WHERE r.withdrawn IS NULL AND r.area_id = ANY (CAST(:whole AS bigint[])) GROUP BY 1
    UNION ALL
    SELECT r.kind, count(*) FROM drawn d, record r
    WHERE r.withdrawn IS NULL AND r.area_id = ANY (CAST(:part AS bigint[]))
      AND r.geom && d.geom AND ST_Intersects(d.geom, r.geom) GROUP BY 1
    UNION ALL
    SELECT r.kind, count(*) FROM drawn d, record r
    WHERE r.withdrawn IS NULL AND r.method IN ('none', 'confirmed')
      AND (r.area_id IS NULL OR r.area_id <> ALL (CAST(:whole AS bigint[]) || :part))
      AND r.geom && d.geom AND ST_Intersects(d.geom, r.geom) GROUP BY 1
)
SELECT kind, CAST(sum(records) AS bigint) AS records FROM inside GROUP BY 1 ORDER BY 2 DESC, 1
""")

_INCIDENTS = f"""
WITH {_DRAWN}, inside AS (
    SELECT i.id, i.kind, i.opened, i.closed FROM drawn d, incident i
    WHERE i.area_id = ANY (CAST(:near AS bigint[]))
      AND i.geom && d.geom AND ST_Intersects(d.geom, i.geom)
      AND (i.closed IS NULL OR i.opened > CAST(:now AS timestamptz) - interval '2 years')
)"""
_YEAR = "opened > CAST(:now AS timestamptz) - interval '1 year'"
_BY_KIND = text(f"""{_INCIDENTS}
SELECT kind, count(*) FILTER (WHERE {_YEAR}) AS last_year,
       count(*) FILTER (WHERE NOT {_YEAR}
                        AND opened > CAST(:now AS timestamptz) - interval '2 years') AS year_before,
       count(*) FILTER (WHERE closed IS NULL) AS open
FROM inside GROUP BY 1 ORDER BY 2 DESC, 1
""")
_BY_MONTH = text(f"""{_INCIDENTS}
SELECT to_char(opened AT TIME ZONE :timezone, 'YYYY-MM') AS month, count(*) AS incidents
FROM inside WHERE {_YEAR} GROUP BY 1 ORDER BY 1
""")
_OPEN = text(f"""{_INCIDENTS}
SELECT id FROM inside WHERE closed IS NULL ORDER BY opened DESC, id DESC LIMIT :most
""")

_FACILITIES = text(f"""
WITH {_DRAWN}
SELECT k.name AS kind, k.title, count(*) AS facilities,
       (array_agg(r.name ORDER BY r.name))[1:CAST(:most AS integer)] AS names
FROM drawn d, resource_kind k JOIN resource r ON r.kind = k.name
WHERE k.form = 'facility' AND r.withdrawn IS NULL
  AND r.home_xy && ST_Transform(d.geom, 3395) AND ST_Intersects(d.geom, r.home)
GROUP BY 1, 2 ORDER BY 3 DESC, 1
""")
_WATCHED = text(f"""
WITH {_DRAWN}
SELECT w.kind, count(*) AS places, count(*) FILTER (WHERE EXISTS (
           SELECT FROM watch_episode e WHERE e.place_id = w.id AND e.ended IS NULL)) AS in_trouble
FROM drawn d, watched_place w
WHERE w.withdrawn IS NULL AND w.geom && d.geom AND ST_Intersects(d.geom, w.geom)
GROUP BY 1 ORDER BY 2 DESC, 1
""")

_OF_THE_CITY = text(f"""
WITH {_DRAWN}
SELECT ST_Area(d.geom::geography) AS area_m2, coalesce(sum(ST_Area(CASE
           WHEN ST_Covers(v.geom, d.geom) THEN d.geom
           ELSE ST_Intersection(v.geom, d.geom) END::geography)), 0) AS inside_m2
FROM drawn d LEFT JOIN (
    SELECT v.geom FROM area_version v JOIN area a ON a.id = v.area_id
    JOIN layer l ON l.name = a.layer
    WHERE l.tree_level = 0 AND upper_inf(v.recorded) AND v.valid @> CAST(:now AS timestamptz)
) v ON v.geom && d.geom
GROUP BY d.geom
""")


def extent(connection: Connection, shape: shapely.Geometry, now: datetime) -> tuple[float, float]:
    """Area of a shape (degrees WGS 84) in m², and how much of it lies in the city."""
    row = connection.execute(_OF_THE_CITY, {"shape": shapely.to_wkb(shape), "now": now}).one()
    return float(row.area_m2), float(row.inside_m2)


def profile(connection: Connection, shape: shapely.Geometry, now: datetime) -> dict[str, Any]:
    """What is inside a shape (degrees WGS 84), as plain data.

    Residents are those of the grids by the share of each that is inside; incidents are those of
    the last twelve months beside the twelve before, and all that are open.
    """
    drawn = {"shape": shapely.to_wkb(shape), "now": now}
    grids = connection.execute(_GRIDS, drawn).mappings().all()
    whole = [row["area_id"] for row in grids if row["whole"]]
    west, south, east, north = shape.bounds
    margin = settings().snap_m / SHORTEST_DEGREE_M
    near = territory.around(connection, (west, south, east, north), margin_deg=margin)
    asked = {"shape": drawn["shape"], "whole": whole, "part": sorted({*near} - {*whole})}
    records = connection.execute(_RECORDS, asked).mappings()
    other = {"shape": drawn["shape"], "most": MOST_NAMED}
    return {
        "grids": [_grid(row) for row in grids],
        "residents": _residents(grids),
        "records": {row["kind"]: row["records"] for row in records},
        "incidents": _incidents(connection, {**drawn, "near": near}),
        "facilities": [dict(row) for row in connection.execute(_FACILITIES, other).mappings()],
        "watched": [
            dict(row) for row in connection.execute(_WATCHED, {"shape": drawn["shape"]}).mappings()
        ],
    }


def _grid(row: RowMapping) -> dict[str, Any]:
    kept = {name: row[name] for name in ("code", "name", "kind")}
    return {**kept, "share": round(row["share"], 4), "inside_m2": round(row["inside_m2"], 1)}


def _residents(grids: Sequence[RowMapping]) -> int | None:
    """Of basic grids, which tile the city; null where no grid says how many it has."""
    counted = [
        row["residents"] * row["share"]
        for row in grids
        if row["kind"] == "basic" and row["residents"] is not None
    ]
    return round(sum(counted)) if counted else None


def _incidents(connection: Connection, asked: dict[str, Any]) -> dict[str, Any]:
    kinds = [dict(row) for row in connection.execute(_BY_KIND, asked).mappings()]
    months = connection.execute(_BY_MONTH, {**asked, "timezone": settings().timezone})
    last, before = (sum(row[name] for row in kinds) for name in ("last_year", "year_before"))
    return {
        "last_year": last,
        "year_before": before,
        "trend": last / before - 1 if before else None,
        "open": sum(row["open"] for row in kinds),
        "open_ones": list(connection.execute(_OPEN, {**asked, "most": MOST_NAMED}).scalars()),
        "kinds": kinds,
        "months": {row.month: row.incidents for row in months},
    }
