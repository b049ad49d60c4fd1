"""Checked resources into their tables: one in an answer's time, or a city's roster at once."""

from typing import Any

from sqlalchemy import Connection, text

# The columns of the rows that `store` takes, in a table or in a query.
ROW = """external_id text, kind text, organisation_id bigint, name text, skills text[],
lon double precision, lat double precision, home_area_id bigint, mode text, shift text,
capacity integer, attributes jsonb, areas bigint[]"""

ONE_ROW = f"jsonb_to_recordset(CAST(:given AS jsonb)) AS s ({ROW})"

# In the order in which their index keeps them (places along a curve), which fills it twice as fast.
_INSERT = """
INSERT INTO resource (source, external_id, kind, organisation_id, name, skills, home, home_area_id,
                      mode, shift, capacity, attributes)
SELECT :source, s.external_id, s.kind, s.organisation_id, s.name, s.skills,
       ST_SetSRID(ST_MakePoint(s.lon, s.lat), 4326), s.home_area_id, s.mode, s.shift, s.capacity,
       s.attributes
FROM {rows}
WHERE NOT EXISTS (SELECT FROM resource r
                  WHERE r.source = :source AND r.external_id = s.external_id)
ORDER BY s.kind, ST_SetSRID(ST_MakePoint(s.lon, s.lat), 4326)
ON CONFLICT (source, external_id) DO NOTHING
RETURNING id
"""

# Only what differs is touched, and locked in one order: nobody who is being sent waits for a
# roster. A capacity never falls below the tasks under way.
_UPDATE = """
WITH changed AS MATERIALIZED (
    SELECT r.id, s.*
    FROM {rows} JOIN resource r ON r.source = :source AND r.external_id = s.external_id
    WHERE (r.kind, r.organisation_id, r.name, r.skills, r.home_area_id, r.mode, r.shift,
           r.attributes)
          IS DISTINCT FROM (s.kind, s.organisation_id, s.name, s.skills, s.home_area_id, s.mode,
                            s.shift, s.attributes)
       OR r.capacity <> greatest(s.capacity, r.load - r.overridden)
       OR ST_X(r.home) <> s.lon OR ST_Y(r.home) <> s.lat OR r.withdrawn IS NOT NULL
    ORDER BY r.id FOR NO KEY UPDATE OF r
)
UPDATE resource r
SET kind = c.kind, organisation_id = c.organisation_id, name = c.name, skills = c.skills,
    home = ST_SetSRID(ST_MakePoint(c.lon, c.lat), 4326), home_area_id = c.home_area_id,
    mode = c.mode, shift = c.shift, capacity = greatest(c.capacity, r.load - r.overridden),
    attributes = c.attributes, withdrawn = NULL
FROM changed c WHERE r.id = c.id
RETURNING r.id
"""

_DROP_AREAS = """
DELETE FROM resource_area ra
USING {rows} JOIN resource r ON r.source = :source AND r.external_id = s.external_id
WHERE ra.resource_id = r.id AND ra.area_id <> ALL (s.areas)
RETURNING ra.resource_id
"""

_ADD_AREAS = """
INSERT INTO resource_area (resource_id, area_id)
SELECT r.id, a.id
FROM {rows} JOIN resource r ON r.source = :source AND r.external_id = s.external_id
CROSS JOIN LATERAL unnest(s.areas) a (id)
ON CONFLICT DO NOTHING
RETURNING resource_id
"""


def store(
    connection: Connection, source: str, rows: str, values: dict[str, Any] | None = None
) -> tuple[set[int], set[int]]:
    """Store checked rows of a source by their number there.

    Parameters
    ----------
    rows : a table or a query with the columns `ROW`, under the alias ``s``; SQL of ours
    values : the query's parameters, if it has any

    Returns
    -------
    (set of int, set of int)
        The ids that are new, and those of the others that were changed.
    """
    asked = {"source": source, **(values or {})}

    def ids(statement: str) -> set[int]:
        return set(connection.execute(text(statement.format(rows=rows)), asked).scalars())

    # New ones first: what somebody else added meanwhile is then there to be compared.
    new = ids(_INSERT)
    changed = ids(_UPDATE) | ids(_DROP_AREAS) | ids(_ADD_AREAS)
    return new, changed - new
