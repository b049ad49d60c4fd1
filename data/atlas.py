"""Areas as they are looked at: lists page by page, one area, its versions and its history.

Geometry comes as GeoJSON text, so that it is not taken apart on its way out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

# least() passes over null: no more is known than now.
_MOMENTS = """
WITH moment AS MATERIALIZED (
    SELECT coalesce(CAST(:at AS timestamptz), now()) AS at,
           least(CAST(:known AS timestamptz), now()) AS known
), believed AS MATERIALIZED (
    SELECT m.at, m.known, (SELECT max(h.id) FROM change h WHERE h.recorded <= m.known) AS change
    FROM moment m
)
"""

_COLUMNS = """
v.id AS version_id, a.layer, a.code, v.name, v.kind, p.layer AS parent_layer, p.code AS parent,
v.party_branch, v.attributes, v.area_m2, lower(v.valid) AS valid_from, upper(v.valid) AS valid_until
"""

# :digits after the point of a degree; null: no geometry.
_GEOMETRY = """
CASE WHEN CAST(:digits AS integer) IS NOT NULL
     THEN ST_AsGeoJSON(v.geom, CAST(:digits AS integer), 0) END AS geometry
"""

_LIST = text(f"""
{_MOMENTS}
SELECT {_COLUMNS}, {_GEOMETRY}
FROM believed b
JOIN area a ON a.layer = :layer AND (CAST(:after AS text) IS NULL OR a.code > :after)
JOIN area_version v ON v.area_id = a.id AND v.valid @> b.at AND v.recorded @> b.change
LEFT JOIN area p ON p.id = v.parent_id
WHERE (CAST(:parent AS text) IS NULL OR p.code = :parent)
  AND (CAST(:kind AS text) IS NULL OR v.kind = :kind)
  AND (CAST(:name AS text) IS NULL OR strpos(lower(v.name), lower(:name)) > 0)
  AND (CAST(:west AS double precision) IS NULL OR ST_Intersects(
       v.geom, ST_MakeEnvelope(:west, :south, :east, :north, 4326)))
ORDER BY a.code LIMIT :limit
""")

_ONE = text(f"""
{_MOMENTS}
SELECT {_COLUMNS}, {_GEOMETRY}, b.at, b.known
FROM believed b JOIN area a ON a.layer = :layer AND a.code = :code
JOIN area_version v ON v.area_id = a.id AND v.valid @> b.at AND v.recorded @> b.change
LEFT JOIN area p ON p.id = v.parent_id
""")

_CHAIN = text(f"""
{_MOMENTS},
up AS (
    SELECT * FROM (WITH RECURSIVE above AS (
        SELECT v.parent_id AS area_id, 0 AS step FROM area_version v WHERE v.id = :version
        UNION ALL
        SELECT v.parent_id, above.step + 1 FROM above
        JOIN area_version v ON v.area_id = above.area_id, believed b
        WHERE v.valid @> b.at AND v.recorded @> b.change
    ) SELECT * FROM above) s
)
SELECT a.layer, a.code, v.name FROM up JOIN area a ON a.id = up.area_id
JOIN area_version v ON v.area_id = a.id, believed b
WHERE v.valid @> b.at AND v.recorded @> b.change
ORDER BY up.step
""")

# A change that ended a belief names the moment when it did.
_VERSIONS = text(f"""
SELECT {_COLUMNS}, {_GEOMETRY}, made.recorded AS recorded_from, made.kind AS change,
       made.reason, made.actor, ended.recorded AS recorded_until
FROM area a JOIN area_version v ON v.area_id = a.id
JOIN change made ON made.id = lower(v.recorded)
LEFT JOIN change ended ON ended.id = upper(v.recorded)
LEFT JOIN area p ON p.id = v.parent_id
WHERE a.layer = :layer AND a.code = :code
  AND (CAST(:version AS bigint) IS NULL OR v.id = :version)
ORDER BY lower(v.recorded) DESC, lower(v.valid) DESC NULLS LAST, v.id DESC
""")

_LINEAGE = text("""
SELECT l.to_id = a.id AS came_from, o.code, l.share, h.recorded, h.kind AS change, h.reason
FROM area a JOIN area_lineage l ON a.id IN (l.from_id, l.to_id)
JOIN area o ON o.id = CASE WHEN l.to_id = a.id THEN l.from_id ELSE l.to_id END
JOIN change h ON h.id = l.change_id
WHERE a.layer = :layer AND a.code = :code AND l.from_id <> l.to_id
ORDER BY h.id DESC, l.share DESC, o.code
""")


@dataclass(frozen=True)
class Filter:
    """Which areas of a layer, at which moments (aware; None: now).

    bbox is west, south, east, north in degrees; `name` a part of the name; `after` a code to go on
    from.
    """

    layer: str
    at: datetime | None = None
    known: datetime | None = None
    parent: str | None = None
    kind: str | None = None
    name: str | None = None
    bbox: Sequence[float] | None = None
    after: str | None = None


def page(
    connection: Connection, asked: Filter, *, limit: int = 100, digits: int | None = None
) -> list[dict[str, Any]]:
    """Areas by code; with `digits` each has its geometry, rounded to so many of a degree."""
    corners = asked.bbox or (None,) * 4
    values = {name: value for name, value in vars(asked).items() if name != "bbox"}
    values |= dict(zip(("west", "south", "east", "north"), corners, strict=True))
    values |= {"limit": limit, "digits": digits}
    return [dict(row) for row in connection.execute(_LIST, values).mappings()]


def area(
    connection: Connection,
    layer: str,
    code: str,
    *,
    at: datetime | None = None,
    known: datetime | None = None,
    digits: int | None = None,
) -> dict[str, Any] | None:
    """An area at a moment, with its chain upwards; None if there is none then."""
    values = {"layer": layer, "code": code, "at": at, "known": known, "digits": digits}
    row = connection.execute(_ONE, values).mappings().first()
    if row is None:
        return None
    return {**row, "chain": _chain(connection, row["version_id"], row["at"], row["known"])}


def _chain(
    connection: Connection, version: int, at: datetime | None, known: datetime | None
) -> list[dict[str, Any]]:
    asked = {"version": version, "at": at, "known": known}
    return [dict(row) for row in connection.execute(_CHAIN, asked).mappings()]


def versions(
    connection: Connection,
    layer: str,
    code: str,
    *,
    version: int | None = None,
    digits: int | None = None,
) -> list[dict[str, Any]]:
    """Every version of an area, or the one asked for; what was believed last comes first."""
    values = {"layer": layer, "code": code, "version": version, "digits": digits}
    return [dict(row) for row in connection.execute(_VERSIONS, values).mappings()]


def lineage(connection: Connection, layer: str, code: str) -> dict[str, list[dict[str, Any]]]:
    """From whom an area came and to whom it went; `share` is the part of the predecessor's area."""
    rows = connection.execute(_LINEAGE, {"layer": layer, "code": code}).mappings().all()
    plain = [{k: v for k, v in row.items() if k != "came_from"} for row in rows]
    came = [row["came_from"] for row in rows]
    return {
        "from": [row for row, is_from in zip(plain, came, strict=True) if is_from],
        "to": [row for row, is_from in zip(plain, came, strict=True) if not is_from],
    }


def history(
    connection: Connection, layer: str, code: str, *, digits: int | None = None
) -> dict[str, Any] | None:
    """An area with everything that it was: current state, chain, versions, lineage; None: never.

    `current` is None where the area is no longer in force.
    """
    every = versions(connection, layer, code, digits=digits)
    if not every:
        return None
    return {
        "current": area(connection, layer, code, digits=digits),
        "versions": every,
        "lineage": lineage(connection, layer, code),
    }
