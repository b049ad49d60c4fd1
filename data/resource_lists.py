"""Resources as they are listed: by area, kind, state, box, skill and organisation, page by page."""

from dataclasses import dataclass, fields
from datetime import datetime
from itertools import product
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import areas_named
from data.catalogue import Known
from data.deployment_people import deployed
from data.resources import COLUMNS, JOINS, ResourceError, found
from data.schema.dispatch import ACTIVE

STATES = ("free", *ACTIVE, "deployed", "busy", "off")


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


def named(
    connection: Connection,
    *,
    area: str | None = None,
    layer: str | None = None,
    kind: str | None = None,
    skill: str | None = None,
    organisation: str | None = None,
    **more: Any,
) -> Filter:
    """The filter that people's words mean: names or titles, the code of an area.

    Raises
    ------
    ResourceError
        One of them is not known; the sentence says what there is.
    """
    known = Known.read(connection) if kind or skill or organisation else None
    if known:
        kind = found(known.kinds, kind, "kind")
        skill = found(known.skills, skill, "skill")
        organisation = found(known.organisations, organisation, "organisation")
    area_id = None
    if area:
        spelt = f"{layer}:{area}" if layer else area
        there = areas_named.find(connection, [spelt])[spelt]
        if isinstance(there, str):
            raise ResourceError(there, "area")
        area_id = there.id
    return Filter(area_id=area_id, kind=kind, skill=skill, organisation=organisation, **more)


_BELOW = """
WITH RECURSIVE below AS (
    SELECT CAST(:area_id AS bigint) AS id
    UNION ALL
    SELECT v.area_id FROM below b JOIN area_version v ON v.parent_id = b.id
    WHERE v.valid @> now() AND upper_inf(v.recorded)
)
"""

# The plane's axes are the degrees', so a box of degrees is a box there.
_BOX = "ST_Transform(ST_MakeEnvelope(:west, :south, :east, :north, 4326), 3395)"

# Only what is asked stands in the statement, so that its index is used. Where there are two ways
# in, each is a search of its own: with an OR between them everybody would be read.
_WHERE: dict[str, tuple[str, ...]] = {
    "area_id": (
        "r.home_area_id = ANY (ARRAY(SELECT id FROM below))",
        "r.id IN (SELECT resource_id FROM resource_area WHERE area_id = :area_id)",
    ),
    "kind": ("r.kind = :kind",),
    "skill": ("r.skills @> ARRAY[CAST(:skill AS text)]",),
    "organisation": (
        "r.organisation_id = (SELECT id FROM organisation WHERE code = :organisation)",
    ),
    "box": (
        f"r.home_xy && {_BOX}",
        f"r.id IN (SELECT resource_id FROM position WHERE xy && {_BOX})",
    ),
}
_NARROW = {"area_id", "skill", "organisation", "box"}


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
    query = f"""
    {_BELOW}
    SELECT {COLUMNS}
    FROM ({_chosen(chosen, given)}) chosen JOIN resource r ON r.id = chosen.id {JOINS}
    ORDER BY r.id
    """
    return list(connection.execute(text(query), values).mappings())


def _chosen(chosen: Filter, given: set[str]) -> str:
    """The ids of a page."""
    always = ["r.id > :after"]
    if not chosen.withdrawn:
        always.append("r.withdrawn IS NULL")
    if chosen.state:
        always.append(_in_state(chosen.state))
    # Whoever is looked for stands anywhere among the ids, often at the end: to read them in their
    # order until enough are found, as the planner likes it, would read nearly all.
    order = "r.id + 0" if given & _NARROW else "r.id"
    searches = " UNION ".join(
        f"(SELECT r.id FROM resource r WHERE {' AND '.join([*always, *ways])}"
        f" ORDER BY {order} LIMIT :limit)"
        for ways in product(*(ways for name, ways in _WHERE.items() if name in given))
    )
    return f"SELECT id FROM ({searches}) found ORDER BY id LIMIT :limit"


def _in_state(state: str) -> str:
    if state not in STATES:
        raise ValueError(f"there is no state {state!r}; there are {', '.join(STATES)}")
    if state == "free":
        return f"r.status = 'available' AND r.load = 0 AND NOT {deployed('now()')}"
    if state == "deployed":
        return f"r.status = 'available' AND r.load = 0 AND {deployed('now()')}"
    if state in ACTIVE:  # somebody's furthest task is in it, and so none is further
        further = "', '".join(ACTIVE[ACTIVE.index(state) + 1 :])
        none_further = f"""AND r.id NOT IN (SELECT resource_id FROM assignment
                                            WHERE state IN ('{further}'))"""
        return f"""r.status = 'available'
            AND r.id IN (SELECT resource_id FROM assignment WHERE state = '{state}')
            {none_further if further else ""}"""
    return f"r.status = '{state}'"
