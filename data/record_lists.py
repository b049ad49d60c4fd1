"""Records as they are listed and counted: by area, kind, box, and why they have no grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import territory
from data.record_mapping import KINDS
from data.records import COLUMNS, JOINS
from data.settings import settings
from data.territory import CHILDREN

Box = tuple[float, float, float, float]
MOST_AREAS = 3000  # of more, nearly every record is one: they are met by walking the numbers
SHORTEST_DEGREE_M = 78_000.0  # of longitude up to 45 degrees north or south: a margin errs outwards


@dataclass(frozen=True)
class Filter:
    """Which records; None leaves a question open.

    Attributes
    ----------
    area_id : in it or below it in the tree; of those without a grid, said to be there
    kind : a name
    box : west, south, east, north in degrees WGS 84
    unplaced : without a grid for this reason, or for any (`any`)
    """

    area_id: int | None = None
    kind: str | None = None
    source: str | None = None
    box: Box | None = None
    unplaced: str | None = None


def kind_named(spelt: str) -> str:
    """The name of a kind of record by name or title; other words stand for themselves."""
    return KINDS.find(spelt) or spelt


def page(
    connection: Connection, asked: Filter, *, after: int = 0, limit: int = 100
) -> list[RowMapping]:
    """Records in use by number; go on with `after` the last one."""
    below = None if asked.area_id is None else territory.below(connection, asked.area_id)
    values: dict[str, Any] = {
        "kind": asked.kind, "source": asked.source, "after": after, "limit": limit, "below": below,
        "reason": None if asked.unplaced == "any" else asked.unplaced,
    }  # fmt: skip
    values |= zip(("west", "south", "east", "north"), asked.box or (None,) * 4, strict=True)
    if asked.unplaced:
        return _rows(connection, _WAITING, values)
    areas: Sequence[int] | None = below
    if asked.box:
        margin = settings().snap_m / SHORTEST_DEGREE_M
        near = territory.around(connection, asked.box, margin_deg=margin)
        areas = near if below is None else sorted({*near} & {*below})
    if areas is None:
        return _rows(connection, _ALL, values)
    values["areas"] = list(areas)
    if below is not None and not asked.box and len(below) > MOST_AREAS:
        return _rows(connection, _IN_MOST, values)
    parts = [_IN_AREAS]
    if asked.box:
        parts.append(_ELSEWHERE)  # of those that are where no area says
    elif below is not None:
        parts.append(_SAID_TO_BE)
    return _rows(connection, " UNION ".join(parts), values)


_FITS = """
r.withdrawn IS NULL AND r.id > :after
AND (CAST(:kind AS text) IS NULL OR r.kind = :kind)
AND (CAST(:source AS text) IS NULL OR r.source = :source)
"""
_IN_BOX = """
(CAST(:west AS double precision) IS NULL
 OR r.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326))
"""
_BELOW = "(CAST(:below AS bigint[]) IS NULL OR {} = ANY (CAST(:below AS bigint[])))"
_IN_AREAS = f"""
(SELECT n.id FROM unnest(CAST(:areas AS bigint[])) u (area_id) CROSS JOIN LATERAL (
    SELECT r.id FROM record r WHERE r.area_id = u.area_id AND {_FITS} AND {_IN_BOX}
    ORDER BY r.id LIMIT :limit) n)
"""
_ELSEWHERE = f"""
(SELECT r.id FROM record r
 WHERE r.method IN ('none', 'confirmed')
   AND r.geom && ST_MakeEnvelope(:west, :south, :east, :north, 4326)
   AND {_FITS} AND {_BELOW.format("coalesce(r.area_id, r.stated_area_id)")}
 ORDER BY r.id LIMIT :limit)
"""
_SAID_TO_BE = f"""
(SELECT r.id FROM record r
 WHERE r.unplaced IS NOT NULL AND r.stated_area_id = ANY (CAST(:below AS bigint[])) AND {_FITS}
 ORDER BY r.id LIMIT :limit)
"""
_WAITING = f"""
(SELECT r.id FROM record r
 WHERE r.unplaced IS NOT NULL AND (CAST(:reason AS text) IS NULL OR r.unplaced = :reason)
   AND {_FITS} AND {_IN_BOX} AND {_BELOW.format("r.stated_area_id")}
 ORDER BY r.id LIMIT :limit)
"""
# The sums keep the planner from the index of areas, which would read and sort the whole city.
_IN_MOST = f"""
(SELECT r.id FROM record r
 WHERE (r.area_id + 0 = ANY (CAST(:below AS bigint[]))
        OR r.stated_area_id + 0 = ANY (CAST(:below AS bigint[])) AND r.area_id IS NULL) AND {_FITS}
 ORDER BY r.id LIMIT :limit)
"""
_ALL = f"(SELECT r.id FROM record r WHERE {_FITS} ORDER BY r.id LIMIT :limit)"


def _rows(connection: Connection, found: str, values: dict[str, Any]) -> list[RowMapping]:
    statement = text(f"""
        WITH found AS MATERIALIZED (
            SELECT id FROM ({found}) f ORDER BY id LIMIT :limit
        )
        SELECT {COLUMNS} FROM found JOIN record r USING (id) {JOINS} ORDER BY r.id
    """)
    used = {name: value for name, value in values.items() if f":{name}" in statement.text}
    return list(connection.execute(statement, used).mappings())


# --- counts ---------------------------------------------------------------------------------------

# Nowhere is area 0 in the join, for which a hash can be used.
# By the areas directly below one (or the whole trees'), and by what is said to lie in it itself.
_COUNT = text(f"""
WITH RECURSIVE {CHILDREN}, counted AS (
    SELECT r.area_id, r.kind, count(*) AS records, count(*) AS in_grid
    FROM record r
    WHERE r.withdrawn IS NULL AND r.area_id = ANY (ARRAY(SELECT area_id FROM place))
      AND (CAST(:kind AS text) IS NULL OR r.kind = :kind)
    GROUP BY 1, 2
    UNION ALL
    SELECT r.stated_area_id, r.kind, count(*), 0
    FROM record r
    WHERE r.withdrawn IS NULL AND r.unplaced IS NOT NULL
      AND (CAST(:kind AS text) IS NULL OR r.kind = :kind)
    GROUP BY 1, 2
)
SELECT p.root AS area_id, a.layer, a.code,
       (SELECT v.name FROM area_version v WHERE v.area_id = a.id AND upper_inf(v.recorded)
        ORDER BY v.valid @> now() DESC, lower(v.valid) DESC LIMIT 1) AS name,
       c.kind, CAST(sum(c.records) AS bigint) AS records, CAST(sum(c.in_grid) AS bigint) AS in_grid
FROM counted c JOIN place p ON coalesce(p.area_id, 0) = coalesce(c.area_id, 0)
LEFT JOIN area a ON a.id = p.root
GROUP BY 1, 2, 3, a.id, c.kind ORDER BY a.code NULLS LAST, c.kind
""")

_REASONS = text("""
SELECT r.unplaced, count(*) AS records FROM record r
WHERE r.withdrawn IS NULL AND r.unplaced IS NOT NULL
  AND (CAST(:kind AS text) IS NULL OR r.kind = :kind)
  AND (CAST(:below AS bigint[]) IS NULL OR r.stated_area_id = ANY (CAST(:below AS bigint[])))
GROUP BY 1 ORDER BY 1
""")


def counts(
    connection: Connection, area_id: int | None = None, kind: str | None = None
) -> list[RowMapping]:
    """Records and how many of them are in a grid, by kind and the areas directly below one.

    Without an area, by the trees' roots. A record without a grid counts where its collector says
    that it is; what is said to be in the area itself, or nowhere, has a row of its own.
    """
    return list(connection.execute(_COUNT, {"area_id": area_id, "kind": kind}).mappings())


def reasons(
    connection: Connection, area_id: int | None = None, kind: str | None = None
) -> dict[str, int]:
    """How many records have no grid, by reason."""
    below = None if area_id is None else territory.below(connection, area_id)
    rows = connection.execute(_REASONS, {"below": below, "kind": kind})
    return {row.unplaced: row.records for row in rows}
