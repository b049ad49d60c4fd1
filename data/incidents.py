"""Incidents: what people are sent to. A report opens one; see `data.reports`."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, text

from data.schema.dispatch import IN_ACTIVE

_COLUMNS = f"""
i.id, i.opened, i.closed, i.outcome, i.kind, i.urgency, ST_X(i.geom) AS lon, ST_Y(i.geom) AS lat,
i.area_id, a.layer, a.code, r.address, r.description, r.source, r.triage, r.accuracy_m,
(SELECT v.name FROM area_version v WHERE v.area_id = i.area_id AND upper_inf(v.recorded)
 ORDER BY v.valid @> now() DESC, lower(v.valid) DESC LIMIT 1) AS area_name,
(SELECT count(*) FROM assignment s WHERE s.incident_id = i.id
 AND s.state IN {IN_ACTIVE}) AS under_way
"""

_GET = text(f"""
SELECT {_COLUMNS} FROM incident i JOIN report r ON r.id = i.id LEFT JOIN area a ON a.id = i.area_id
WHERE i.id = :id
""")

# The most urgent first, the longest open of those; one page after another by that order.
_OPEN = text(f"""
SELECT {_COLUMNS} FROM incident i JOIN report r ON r.id = i.id LEFT JOIN area a ON a.id = i.area_id
WHERE i.closed IS NULL AND (CAST(:kind AS text) IS NULL OR i.kind = :kind)
  AND (CAST(:under AS bigint[]) IS NULL OR i.area_id = ANY (:under))
  AND (NOT CAST(:unsent AS boolean) OR NOT EXISTS (
       SELECT FROM assignment s WHERE s.incident_id = i.id
       AND s.state IN {IN_ACTIVE}))
  AND (CAST(:after AS bigint) IS NULL OR (i.urgency, i.opened, i.id) > (
       SELECT l.urgency, l.opened, l.id FROM incident l WHERE l.id = :after))
ORDER BY i.urgency, i.opened, i.id LIMIT :limit
""")

_COUNT = text(f"""
SELECT count(*) AS open,
       count(*) FILTER (WHERE NOT EXISTS (
           SELECT FROM assignment s WHERE s.incident_id = i.id
           AND s.state IN {IN_ACTIVE})) AS unsent
FROM incident i
WHERE i.closed IS NULL AND (CAST(:kind AS text) IS NULL OR i.kind = :kind)
  AND (CAST(:under AS bigint[]) IS NULL OR i.area_id = ANY (:under))
""")

_KINDS = text("""
SELECT kind FROM incident WHERE closed IS NULL AND kind IS NOT NULL
GROUP BY kind ORDER BY count(*) DESC, kind LIMIT :most
""")

# An area with all that lie in it now, down to the grids.
_UNDER = text("""
WITH RECURSIVE under AS (
    SELECT a.id FROM area a WHERE a.layer = :layer AND a.code = :code
    UNION
    SELECT v.area_id FROM under u JOIN area_version v ON v.parent_id = u.id
    WHERE upper_inf(v.recorded) AND v.valid @> now()
)
SELECT id FROM under
""")


def get(connection: Connection, number: int) -> RowMapping | None:
    """An incident with its area and how many are on their way, or None."""
    return connection.execute(_GET, {"id": number}).mappings().first()


def open_ones(
    connection: Connection,
    *,
    kind: str | None = None,
    under: Sequence[int] | None = None,
    unsent: bool = False,
    after: int | None = None,
    limit: int = 100,
) -> list[RowMapping]:
    """Open incidents, the most urgent and longest open first.

    Parameters
    ----------
    under : only those of these areas
    unsent : only those that nobody is under way to
    after : number of the last one seen, to go on from
    """
    asked = {
        "kind": kind, "under": None if under is None else list(under), "after": after,
        "limit": limit, "unsent": unsent,
    }  # fmt: skip
    return list(connection.execute(_OPEN, asked).mappings())


def how_many(
    connection: Connection, *, kind: str | None = None, under: Sequence[int] | None = None
) -> RowMapping:
    """Of those that `open_ones` lists, how many are `open`, and to how many nobody is under way."""
    asked = {"kind": kind, "under": None if under is None else list(under)}
    return connection.execute(_COUNT, asked).mappings().one()


def open_kinds(connection: Connection, most: int = 50) -> list[str]:
    """What the open incidents are about, the most frequent first."""
    return list(connection.execute(_KINDS, {"most": most}).scalars())


def under(connection: Connection, layer: str, code: str) -> list[int]:
    """An area and all that lie in it now, as ids; empty if there is none of that code."""
    return list(connection.execute(_UNDER, {"layer": layer, "code": code}).scalars())
