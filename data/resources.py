"""Resources: people, teams, vehicles and facilities, from their coming in to their withdrawal."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from sqlalchemy import Connection, Row, RowMapping, text

from data import events, locating, reports
from data.catalogue import Known
from data.deployment_people import deployed
from data.errors import InputError
from data.resource_homes import Settler
from data.resource_store import ONE_ROW, store
from data.schema.dispatch import ACTIVE, IN_ACTIVE
from data.schema.resources import STATUSES
from data.settings import settings
from data.words import Words

MODE_WORDS = Words(
    "way of moving",
    [
        ("foot", ("步行", "on foot", "walk", "walking")),
        ("bicycle", ("自行车", "单车", "bike")),
        ("moped", ("电动车", "摩托车", "电动自行车", "motorcycle", "scooter")),
        ("car", ("汽车", "轿车", "巡逻车", "机动车", "vehicle")),
    ],
)
MOST_CAPACITY = 10_000


class ResourceError(InputError):
    """Something that cannot be done with a resource; the sentence says why and what to do.

    `reason` is unknown_resource, invalid_resource, no_home, unknown_leave, busy_resource,
    withdrawn_resource, outside_areas, or a datum's.
    """

    def __init__(self, message: str, where: str, reason: str = "invalid_resource") -> None:
        super().__init__(message, where, reason)


@dataclass(frozen=True)
class NewResource:
    """A resource as it comes in; names may be titles, areas are codes, as `data.areas_named` says.

    The home is x and y in `datum` (else the source's default), or the address, or the area.
    """

    source: str
    external_id: str
    kind: str
    name: str
    organisation: str | None = None
    skills: Sequence[str] = ()
    x: float | None = None
    y: float | None = None
    datum: str | None = None
    address: str | None = None
    area: str | None = None
    areas: Sequence[str] = ()
    mode: str = "foot"
    shift: str | None = None
    capacity: int = 1
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Outcome(StrEnum):
    """What became of a resource that was given."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


# --- coming in ------------------------------------------------------------------------------------


def save(connection: Connection, given: NewResource) -> tuple[int, Outcome]:
    """Take a resource in, or bring the one with its source and external_id up to date.

    Returns its id and what became of it.

    Raises
    ------
    ResourceError
        A kind, skill, shift, organisation, area or way of moving is not known, or it has no home.
    ReportError
        Its coordinates cannot be right.
    """
    row = _checked(connection, given)
    given_row = json.dumps([row], ensure_ascii=False)
    new, changed = store(connection, given.source, ONE_ROW, {"given": given_row})
    number = connection.execute(
        text("SELECT id FROM resource WHERE source = :source AND external_id = :external_id"),
        {"source": given.source, "external_id": given.external_id},
    ).scalar()
    if number is None:  # it is there, and not for whoever asks
        raise ResourceError(
            f"resource {given.external_id} of {given.source} is at home in an area for which this "
            "account or token is not permitted to change it",
            "external_id",
            "outside_areas",
        )
    if not new and not changed:
        return number, Outcome.UNCHANGED
    outcome = Outcome.CREATED if new else Outcome.CHANGED
    _tell(connection, number, outcome, row["home_area_id"], name=given.name, kind=row["kind"])
    return number, outcome


def _checked(connection: Connection, given: NewResource) -> dict[str, Any]:
    """The row that `store` takes."""
    known = Known.read(connection)
    organisation = found(known.organisations, given.organisation, "organisation")
    if not 1 <= given.capacity <= MOST_CAPACITY:
        raise ResourceError(
            f"the capacity is {given.capacity}; give a number of tasks from 1 to {MOST_CAPACITY:,}",
            "capacity",
        )
    row = {
        "external_id": given.external_id,
        "kind": found(known.kinds, given.kind, "kind"),
        "name": given.name,
        "organisation_id": known.organisation_ids[organisation] if organisation else None,
        "skills": sorted({str(found(known.skills, each, "skills")) for each in given.skills}),
        "mode": found(MODE_WORDS, given.mode, "mode"),
        "shift": found(known.shifts, given.shift, "shift"),
        "capacity": given.capacity,
        "attributes": dict(given.attributes),
    }
    return row | _home(connection, given)


def found(words: Words, spelt: str | None, where: str) -> str | None:
    """The name of what is spelt; raises `ResourceError` with what there is if it is not known."""
    if spelt is None:
        return None
    name = words.find(spelt)
    if name is None:
        raise ResourceError(words.fault(spelt), where)
    return name


def _home(connection: Connection, given: NewResource) -> dict[str, Any]:
    lon = lat = np.array([np.nan])
    if given.x is not None and given.y is not None:
        defaults = locating.source(connection, given.source)
        usual = defaults["datum"] if defaults else None
        point = reports.normalise(given.x, given.y, given.datum, None, default=usual)
        lon, lat = np.array([point.lon]), np.array([point.lat])
    address, area = np.array([[given.address], [given.area]], object)
    areas = np.empty(1, object)
    areas[0] = tuple(given.areas)
    homes = Settler(connection).settle(lon, lat, address, area, areas)
    if homes.faults:
        fault = homes.faults[0][1]
        lacking = np.isnan(homes.lon[0]) and not given.area
        raise ResourceError(
            fault, "home" if lacking else "area", "no_home" if lacking else "invalid_resource"
        )
    return {
        "lon": float(homes.lon[0]),
        "lat": float(homes.lat[0]),
        "home_area_id": homes.area_id[0],
        "areas": homes.areas[0],
    }


# --- what happens to them -------------------------------------------------------------------------

_LOCK = text(
    "SELECT status, load, home_area_id, withdrawn FROM resource WHERE id = :id FOR NO KEY UPDATE"
)
_SET_STATUS = text("UPDATE resource SET status = :status WHERE id = :id")
_WITHDRAW = text("UPDATE resource SET withdrawn = now() WHERE id = :id")

# Said again, it is the same leave.
_ADD_LEAVE = text("""
WITH there AS (
    SELECT id FROM leave WHERE resource_id = :id AND during = tstzrange(:from_, :until)
), added AS (
    INSERT INTO leave (resource_id, during, reason)
    SELECT :id, tstzrange(:from_, :until), :reason WHERE NOT EXISTS (SELECT FROM there)
    RETURNING id
)
SELECT id, true AS is_new FROM added UNION ALL SELECT id, false FROM there
""")

_END_LEAVE = text("""
WITH chosen AS (
    SELECT id, during FROM leave WHERE id = :leave AND resource_id = :id FOR UPDATE
), cut AS (
    UPDATE leave l SET during = c.during * tstzrange(NULL, :at)
    FROM chosen c
    WHERE l.id = c.id AND lower(c.during) < :at AND c.during @> CAST(:at AS timestamptz)
), dropped AS (
    DELETE FROM leave l USING chosen c WHERE l.id = c.id AND lower(c.during) >= :at
)
SELECT id FROM chosen
""")


def set_status(connection: Connection, number: int, status: str, *, actor: str) -> bool:
    """Say that a resource is available, busy or off; whether that is news.

    Raises
    ------
    ResourceError
        There is no such resource or status, or it was withdrawn.
    """
    if status not in STATUSES:
        raise ResourceError(
            f"there is no status {status!r}; there are {', '.join(STATUSES)}", "status"
        )
    row = _in_service(connection, number)
    if row.status == status:
        return False
    connection.execute(_SET_STATUS, {"id": number, "status": status})
    _tell(connection, number, "status", row.home_area_id, status=status, actor=actor)
    return True


def add_leave(
    connection: Connection, number: int, from_: datetime, until: datetime | None, *,
    actor: str, reason: str = "",
) -> int:  # fmt: skip
    """Note that a resource is away from one moment until another (None: until it is ended).

    Returns the leave's id; the same leave given again is the one that there is.

    Raises
    ------
    ResourceError
        There is no such resource, it was withdrawn, or the leave would end before it begins.
    """
    if until is not None and until <= from_:
        raise ResourceError("the leave ends before it begins; exchange from and until", "until")
    row = _in_service(connection, number)
    asked = {"id": number, "from_": from_, "until": until, "reason": reason}
    leave = connection.execute(_ADD_LEAVE, asked).one()
    if leave.is_new:
        said = {"from": from_, "until": until, "actor": actor}
        _tell(connection, number, "leave", row.home_area_id, **said)
    return int(leave.id)


def end_leave(connection: Connection, number: int, leave: int, at: datetime, *, actor: str) -> None:
    """End a leave at a moment; one that has not begun by then is taken back.

    Raises
    ------
    ResourceError
        The resource has no such leave.
    """
    row = _locked(connection, number)
    asked = {"id": number, "leave": leave, "at": at}
    if connection.execute(_END_LEAVE, asked).first() is None:
        raise ResourceError(
            f"resource {number} has no leave {leave}; GET /api/v1/resources/{number} lists them",
            "leave",
            "unknown_leave",
        )
    _tell(connection, number, "back", row.home_area_id, at=at, actor=actor)


def withdraw(connection: Connection, number: int, *, actor: str) -> bool:
    """Take a resource out of service for good; whether that is news. Its history stays.

    Raises
    ------
    ResourceError
        There is no such resource, or it has tasks under way.
    """
    row = _locked(connection, number)
    if row.withdrawn:
        return False
    if row.load:
        raise ResourceError(
            f"resource {number} has {row.load} task{'s' * (row.load > 1)} under way; recall or end "
            "them, then withdraw it",
            "id",
            "busy_resource",
        )
    connection.execute(_WITHDRAW, {"id": number})
    _tell(connection, number, "withdrawn", row.home_area_id, actor=actor)
    return True


def _locked(connection: Connection, number: int) -> Row[Any]:
    row = connection.execute(_LOCK, {"id": number}).one_or_none()
    if row is None:
        raise unknown(number)
    return row


def _in_service(connection: Connection, number: int) -> Row[Any]:
    row = _locked(connection, number)
    if row.withdrawn:
        raise ResourceError(
            f"resource {number} was withdrawn; give it again with its source and external_id to "
            "bring it back",
            "id",
            "withdrawn_resource",
        )
    return row


def unknown(number: int) -> ResourceError:
    """There is no such resource."""
    return ResourceError(f"there is no resource {number}", "id", "unknown_resource")


def _tell(connection: Connection, number: int, what: str, area: int | None, **data: Any) -> None:
    events.record(connection, f"resource.{what}", data, resource_id=number, area_id=area)


# --- looking at one -------------------------------------------------------------------------------

# What somebody is doing: what was set, else the task that is furthest, else a deployment.
STATE = f"""
CASE WHEN r.status <> 'available' THEN r.status WHEN r.load = 0
    THEN CASE WHEN {deployed("m.now")} THEN 'deployed' ELSE 'free' END ELSE coalesce((
    SELECT a.state FROM assignment a
    WHERE a.resource_id = r.id AND a.state IN {IN_ACTIVE}
    ORDER BY array_position(ARRAY{list(reversed(ACTIVE))}, a.state) LIMIT 1
), 'free') END
"""

COLUMNS = f"""
r.id, r.source, r.external_id, r.kind, k.title AS kind_title, k.title_en AS kind_title_en, k.form,
r.name, o.code AS organisation, o.name AS organisation_name, r.skills,
ST_X(r.home) AS home_lon, ST_Y(r.home) AS home_lat, ha.layer AS area_layer, ha.code AS area,
hv.name AS area_name, r.mode, r.shift, r.status, {STATE} AS state, r.capacity, r.load, r.created,
r.withdrawn, p.at AS seen, extract(epoch FROM m.now - p.at)::double precision AS age_s,
p.accuracy_m, ST_X(p.geom) AS lon, ST_Y(p.geom) AS lat
"""

JOINS = """
CROSS JOIN (SELECT coalesce(CAST(:now AS timestamptz), now()) AS now) m
JOIN resource_kind k ON k.name = r.kind
LEFT JOIN organisation o ON o.id = r.organisation_id
LEFT JOIN position p ON p.resource_id = r.id
LEFT JOIN area ha ON ha.id = r.home_area_id
LEFT JOIN LATERAL (
    SELECT v.name FROM area_version v
    WHERE v.area_id = r.home_area_id AND v.valid @> m.now AND upper_inf(v.recorded)
) hv ON true
"""

_GET = text(f"""
SELECT {COLUMNS}, r.attributes, r.shift IS NULL OR EXISTS (
    SELECT FROM shift s WHERE s.name = r.shift AND on_duty(s, m.now, :timezone)
) AS on_duty, (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', l.id, 'from', lower(l.during), 'until', upper(l.during), 'reason', l.reason)
        ORDER BY l.during), '[]')
    FROM leave l WHERE l.resource_id = r.id AND l.during && tstzrange(m.now, NULL)
) AS leaves, (
    SELECT coalesce(jsonb_agg(jsonb_build_object('layer', a.layer, 'code', a.code)
                              ORDER BY a.layer, a.code), '[]')
    FROM resource_area ra JOIN area a ON a.id = ra.area_id WHERE ra.resource_id = r.id
) AS answers_for, (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
        'id', a.id, 'incident', a.incident_id, 'state', a.state, 'since', a.since)
        ORDER BY a.since), '[]')
    FROM assignment a
    WHERE a.resource_id = r.id AND a.state IN {IN_ACTIVE}
) AS tasks
FROM resource r {JOINS}
WHERE r.id = :id
""")


def get(connection: Connection, number: int, now: datetime | None = None) -> RowMapping:
    """A resource with its state, tasks, leave, areas and last position (its track is not shown).

    Raises
    ------
    ResourceError
        There is no such resource.
    """
    asked = {"id": number, "now": now, "timezone": settings().timezone}
    row = connection.execute(_GET, asked).mappings().first()
    if row is None:
        raise unknown(number)
    return row
