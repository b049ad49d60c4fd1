"""Resources as they are listed: by area, kind, state, box, skill and organisation, page by page."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data.resources import COLUMNS, JOINS
from data.schema.dispatch import ACTIVE

STATES = ("free", *ACTIVE, "busy", "off")


@dataclass(frozen=True)
class Filter:
    """Which resources; None leaves a question open.

    Attributes
    ----------
    area_id : those at home in the area or below it in the tree, or answering for it
    box : west, south, east, north in degrees WGS 84: at home or last seen there
    skill, kind : names; organisation : a code
    withdrawn : those out of service, too
    """

    area_id: int | None = None
    kind: str | None = None
    state: str | None = None
    skill: str | None = None
    organisation: str | None = None
    box: tuple[float, float, float, float] | None = None
    withdrawn: bool = False


_BELOW = """
WITH RECURSIVE below AS (
    SELECT CAST(:area_id AS bigint) AS id
    UNION ALL
    SELECT v.area_id FROM below b JOIN area_version v ON v.parent_id = b.id
    WHERE v.valid @> now() AND upper_inf(v.recorded)
)
"""

# Each question by itself, so that its index is used: one statement that leaves them open is
# planned once for all, and reads everybody.
_WHERE = {
    "area_id": """(r.home_area_id = ANY (ARRAY(SELECT id FROM below))
                   OR r.id IN (SELECT resource_id FROM resource_area WHERE area_id = :area_id))""",
    "kind": "r.kind = :kind",
    "skill": "r.skills @> ARRAY[CAST(:skill AS text)]",
    "organisation": "r.organisation_id = (SELECT id FROM organisation WHERE code = :organisation)",
    # The plane's axes are the degrees', so a box of degrees is a box there.
    "box": """(r.home_xy && box.geom
               OR r.id IN (SELECT resource_id FROM position WHERE xy && box.geom))""",
}
_BOX = """CROSS JOIN (SELECT ST_Transform(ST_MakeEnvelope(:west, :south, :east, :north, 4326), 3395)
                      AS geom) box"""


def page(
    connection: Connection,
    chosen: Filter,
    *,
    after: int = 0,
    limit: int = 100,
    now: datetime | None = None,
) -> list[RowMapping]:
    """Resources by id, with their state and last position; go on with `after` the last one.

    Raises ValueError for a state that there is not.
    """
    values: dict[str, Any] = {"after": after, "limit": limit, "now": now}
    values |= {f.name: getattr(chosen, f.name) for f in fields(chosen)}
    given = {name for name, value in values.items() if value is not None}
    if chosen.box:
        values |= dict(zip(("west", "south", "east", "north"), chosen.box, strict=True))
    where = ["r.id > :after", *(clause for name, clause in _WHERE.items() if name in given)]
    if not chosen.withdrawn:
        where.append("r.withdrawn IS NULL")
    if chosen.state:
        where.append(_in_state(chosen.state))
    query = f"""
    {_BELOW if chosen.area_id is not None else ""}
    SELECT {COLUMNS}
    FROM (
        SELECT r.* FROM resource r {_BOX if chosen.box else ""}
        WHERE {" AND ".join(where)} ORDER BY r.id LIMIT :limit
    ) r {JOINS} ORDER BY r.id
    """
    return list(connection.execute(text(query), values).mappings())


def _in_state(state: str) -> str:
    if state not in STATES:
        raise ValueError(f"there is no state {state!r}; there are {', '.join(STATES)}")
    if state == "free":
        return "r.status = 'available' AND r.load = 0"
    if state in ACTIVE:  # somebody's furthest task is in it, and so none is further
        further = "', '".join(ACTIVE[ACTIVE.index(state) + 1 :])
        none_further = f"""AND r.id NOT IN (SELECT resource_id FROM assignment
                                            WHERE state IN ('{further}'))"""
        return f"""r.status = 'available'
            AND r.id IN (SELECT resource_id FROM assignment WHERE state = '{state}')
            {none_further if further else ""}"""
    return f"r.status = '{state}'"
