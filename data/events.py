"""Events: what happened, written in the transaction in which it did, and told in one order.

A transaction pays for one insert (`record`). Once it is committed, `data.sequencer` gives the event
its number, by which it is read.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, text

BATCH = 1000

_RECORD = text("""
INSERT INTO event (kind, incident_id, resource_id, area_id, data)
VALUES (:kind, :incident_id, :resource_id, :area_id, CAST(:data AS jsonb))
""")


def record(
    connection: Connection,
    kind: str,
    data: dict[str, Any] | None = None,
    *,
    incident_id: int | None = None,
    resource_id: int | None = None,
    area_id: int | None = None,
) -> None:
    """Write down that something happened; it is told to others once the transaction is committed.

    Parameters
    ----------
    kind : as `report.received`, `assignment.accepted`
    data : what a listener needs without asking again; JSON
    area_id : of the area that it happened in, by which listeners choose
    """
    values = {
        "kind": kind,
        "incident_id": incident_id,
        "resource_id": resource_id,
        "area_id": area_id,
        "data": json.dumps(data or {}, ensure_ascii=False, default=str),
    }
    connection.execute(_RECORD, values)


_RECORD_MANY = text("""
INSERT INTO event (kind, resource_id, area_id, data)
SELECT :kind, resource_id, area_id, data
FROM unnest(CAST(:resource_ids AS bigint[]), CAST(:area_ids AS bigint[]), CAST(:data AS jsonb[]))
     WITH ORDINALITY e (resource_id, area_id, data, n) ORDER BY n
""")


def record_of_resources(
    connection: Connection,
    kind: str,
    happened: Sequence[tuple[int, int | None, dict[str, Any]]],
) -> None:
    """As `record`, for many resources in one statement: (resource_id, area_id, data) of each."""
    if not happened:
        return
    resource_ids, area_ids, data = zip(*happened, strict=True)
    texts = [json.dumps(facts, ensure_ascii=False, default=str) for facts in data]
    values = {"resource_ids": list(resource_ids), "area_ids": list(area_ids), "data": texts}
    connection.execute(_RECORD_MANY, {"kind": kind, **values})


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """Something that happened, as listeners hear of it."""

    seq: int
    kind: str
    at: datetime
    incident: int | None
    resource: int | None
    area: dict[str, str] | None  # its layer and code
    data: dict[str, Any]
    areas: tuple[int, ...] = ()  # ids of that area and of those above it

    def shown(self) -> dict[str, Any]:
        """As it leaves the house, on every way."""
        names = ("seq", "kind", "at", "incident", "resource", "area", "data")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Filter:
    """Which events somebody listens to; what is not named does not matter."""

    kinds: frozenset[str] = field(default_factory=frozenset)
    area_id: int | None = None  # in it or in an area below
    incident: int | None = None
    resource: int | None = None
    within: frozenset[int] | None = None  # ids: in one of these or below it, whatever is asked

    def takes(self, event: Event) -> bool:
        """Whether the event is listened to."""
        return (
            (not self.kinds or event.kind in self.kinds)
            and (self.area_id is None or self.area_id in event.areas)
            and (self.incident is None or self.incident == event.incident)
            and (self.resource is None or self.resource == event.resource)
            and (self.within is None or not self.within.isdisjoint(event.areas))
        )


COLUMNS = """
e.seq, e.kind, e.at, e.incident_id AS incident, e.resource_id AS resource,
CASE WHEN a.id IS NOT NULL THEN jsonb_build_object('layer', a.layer, 'code', a.code) END AS area,
e.data, e.areas
"""
_AFTER = text(f"""
SELECT {COLUMNS} FROM event e LEFT JOIN area a ON a.id = e.area_id
WHERE e.seq > :after ORDER BY e.seq LIMIT :limit
""")


def after(connection: Connection, seq: int, limit: int = BATCH) -> list[Event]:
    """The next events after number `seq`, in order."""
    rows = connection.execute(_AFTER, {"after": seq, "limit": limit}).mappings()
    return [of_row(row) for row in rows]


def of_row(row: RowMapping) -> Event:
    """The event in a row that has `COLUMNS`."""
    return Event(
        row["seq"], row["kind"], row["at"], row["incident"], row["resource"], row["area"],
        row["data"], tuple(row["areas"]),
    )  # fmt: skip


@dataclass(frozen=True)
class Bounds:
    """From where to where events can be read: all numbers after `gone`, up to `newest`."""

    gone: int
    newest: int

    def can_resume(self, after: int) -> bool:
        """Whether everything after this number is still there, and the number is one of ours."""
        return self.gone <= after <= self.newest


_BOUNDS = text("""
SELECT g.last_value AS gone, greatest(g.last_value, (SELECT max(seq) FROM event)) AS newest
FROM event_gone g
""")


def bounds(connection: Connection) -> Bounds:
    """What can be read now."""
    return Bounds(*connection.execute(_BOUNDS).one())


def area_named(connection: Connection, name: str) -> int | None:
    """The id of the area that is written `layer/code`, as in /areas; None if there is none."""
    layer, _, code = name.partition("/")
    found = connection.execute(
        text("SELECT id FROM area WHERE layer = :layer AND code = :code"),
        {"layer": layer, "code": code},
    )
    return found.scalar()


# --- keeping house --------------------------------------------------------------------------------

# First the mark, which is no part of the transaction: a reader is rather sent to reload in vain
# than told that nothing is missing.
_MARK = text("""
SELECT setval('event_gone', greatest(g.last_value, coalesce(
    (SELECT max(seq) FROM event WHERE at < :until), 0)))
FROM event_gone g
""")
_CLEAN_MESSAGES = text("""
DELETE FROM message m USING event e, subscription s
WHERE e.id = m.event_id AND s.id = m.subscription_id AND e.seq <= :gone
  AND (m.delivered IS NOT NULL OR s.withdrawn IS NOT NULL)
""")
_CLEAN_EVENTS = text("""
DELETE FROM event e
WHERE e.seq <= :gone AND NOT EXISTS (SELECT FROM message m WHERE m.event_id = e.id)
""")


def clean(connection: Connection, now: datetime, days: float) -> int:
    """Delete events older than so many days with their messages, except undelivered ones.

    A dead message is undelivered too, for a person may try it again, unless its subscription has
    ended. Returns how many events went.
    """
    until = now - timedelta(days=days)
    gone = connection.execute(_MARK, {"until": until}).scalar_one()
    connection.execute(_CLEAN_MESSAGES, {"gone": gone})
    return int(connection.execute(_CLEAN_EVENTS, {"gone": gone}).rowcount)
