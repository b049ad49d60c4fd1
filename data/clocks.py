"""Clocks: times that run for an incident, by the service times of its day or by a time allowed.

A clock counts the working time of a calendar: the rule's, or that of the organisation that it runs
for. It rests while the reporter is waited for. What happens when it warns, is up, or has been up
for too long is in `data.timers`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import calendars, service_times
from data.calendars import CalendarRefusedError
from data.service_times import Case
from gis.calendars import Allowed, CalendarError, Unit, elapsed
from gis.deadlines import Terms, Times, schedule

__all__ = [
    "HANDLE", "Allowed", "Clock", "hand_over", "judge_anew", "of_incident", "pause", "resume",
    "start", "start_handling", "stop",
]  # fmt: skip


@dataclass(frozen=True)
class Clock:
    """A clock as it stands at a moment.

    Attributes
    ----------
    subject : what of the incident it is for, where it has several of the name
    organisation : code of who is timed
    state : running, paused, stopped
    left_s : working seconds until it is due, below 0 when it is late; of a stopped one, as it was
    """

    id: int
    incident_id: int
    name: str
    subject: str
    organisation_id: int | None
    organisation: str | None
    calendar: str
    service_time_id: int | None
    started: datetime
    amount: float
    unit: Unit
    due: datetime
    warn_at: datetime
    order_at: datetime | None
    paused: datetime | None
    stopped: datetime | None
    warned: datetime | None
    late: datetime | None
    ordered: datetime | None
    state: str
    left_s: float


HANDLE = "case.handle"  # from the report to the end: runs while the incident is open
_INCIDENT = text("""
SELECT i.kind, i.opened, (SELECT c.id FROM clock c WHERE c.incident_id = i.id AND c.name = :name
                          AND c.subject = :subject AND c.stopped IS NULL) AS running
FROM incident i WHERE i.id = :incident_id
""")
_CALENDAR = text("SELECT calendar_of(CAST(:id AS bigint))")
_RUNNING = text("""
SELECT id FROM clock
WHERE incident_id = :incident_id AND name = :name AND subject = :subject AND stopped IS NULL
""")
_START = text("""
INSERT INTO clock (incident_id, name, subject, organisation_id, calendar, service_time_id, started,
                   amount, unit, warn_share, order_after_h, due, warn_at, order_at)
VALUES (:incident_id, :name, :subject, :organisation_id, :calendar, :service_time_id, :started,
        :amount, :unit, :warn_share, :order_after_h, :due, :warn_at, :order_at)
ON CONFLICT DO NOTHING RETURNING id
""")


def start(
    connection: Connection,
    incident_id: int,
    name: str,
    *,
    organisation_id: int | None,
    at: datetime | None = None,
    kind: str | None = None,
    level: int | None = None,
    allowed: Allowed | None = None,
    subject: str | None = None,
) -> int | None:
    """Start a clock; if it runs already, it goes on as it is. Returns its number.

    Parameters
    ----------
    name : of the clock, for which service times are sought: `case.handle`, `whistle.sign` …
    at : from when; None: from when the incident was opened
    kind : of the matter; None: the incident's
    level : that works on it, as `layer.tree_level`
    allowed : a time of its own, instead of a service time; it warns when 80 % are over
    subject : what of the incident it is for, so that several of a name run side by side

    Without `allowed` it runs by the service time that held when the incident was opened; None is
    returned, and nothing started, where there was none. When the incident is closed, the database
    stops its clocks, whoever closes it, except those of supervision orders.

    Raises
    ------
    CalendarRefusedError
        The calendar opens too seldom for it.
    """
    key = {"incident_id": incident_id, "name": name, "subject": subject or ""}
    incident = connection.execute(_INCIDENT, key).one()
    if incident.running is not None:
        return int(incident.running)
    case = Case(name, kind or incident.kind, level, organisation_id)
    runs_by: dict[str, Any] | None = (
        _by_rule(connection, case, incident.opened)
        if allowed is None
        else _by_itself(connection, organisation_id, allowed)
    )
    if runs_by is None:
        return None
    started = at or incident.opened
    terms = Terms(
        started, Allowed(runs_by["amount"], runs_by["unit"]), runs_by["warn_share"],
        runs_by["order_after_h"],
    )  # fmt: skip
    times = _schedule(connection, runs_by["calendar"], terms)
    values = {
        **key,
        **runs_by,
        **vars(times),
        "organisation_id": organisation_id,
        "started": started,
    }
    made = connection.execute(_START, values).scalar()
    # Somebody was faster: theirs is committed, or ours would still wait.
    return int(made or connection.execute(_RUNNING, key).scalar_one())


def _schedule(connection: Connection, name: str, terms: Terms) -> Times:
    calendar = calendars.get(connection, name, held=True)
    try:
        return schedule(calendar, [terms])[0]
    except CalendarError as error:
        raise CalendarRefusedError(f"calendar {name}: {error}", "calendar") from error


def _by_rule(connection: Connection, case: Case, at: datetime) -> dict[str, Any] | None:
    rule = service_times.of(connection, case, at)
    if rule is None:
        return None
    names = ("amount", "unit", "warn_share", "order_after_h")
    chosen = {name: rule[name] for name in names}
    return {**chosen, "calendar": rule["by_calendar"], "service_time_id": rule["id"]}


def _by_itself(
    connection: Connection, organisation_id: int | None, allowed: Allowed
) -> dict[str, Any]:
    calendar = connection.execute(_CALENDAR, {"id": organisation_id}).scalar_one()
    return {**vars(allowed), "warn_share": 0.8, "order_after_h": None, "calendar": calendar,
            "service_time_id": None}  # fmt: skip


_CASE = text("SELECT organisation_id, level, kind, opened FROM incident WHERE id = :id")
_HAND_OVER = text("""
UPDATE clock SET organisation_id = :organisation_id
WHERE incident_id = :incident_id AND name = :name AND stopped IS NULL
""")


def start_handling(
    connection: Connection, incident_id: int, *, at: datetime | None = None
) -> int | None:
    """Start the time of a case to be handled in, for who answers for it; as `start`."""
    case = connection.execute(_CASE, {"id": incident_id}).one()
    return start(
        connection, incident_id, HANDLE, organisation_id=case.organisation_id, level=case.level,
        at=at,
    )  # fmt: skip


def hand_over(connection: Connection, incident_id: int, organisation_id: int) -> None:
    """Let the time of a case run on for who answers for it now: it is the reporter's time."""
    values = {"incident_id": incident_id, "name": HANDLE, "organisation_id": organisation_id}
    connection.execute(_HAND_OVER, values)


_TERMS = """
id, calendar, started, amount, unit, warn_share, order_after_h, paused,
ARRAY(SELECT lower(p) FROM unnest(pauses) p ORDER BY p) AS rests,
ARRAY(SELECT upper(p) FROM unnest(pauses) p ORDER BY p) AS goes_on
"""
_HANDLING = text(f"""
SELECT {_TERMS} FROM clock WHERE incident_id = :id AND name = :name AND stopped IS NULL
FOR NO KEY UPDATE
""")
# A lateness by the wrong rule was none.
_JUDGE = text("""
UPDATE clock SET organisation_id = :organisation_id, service_time_id = :service_time_id,
    calendar = :calendar, amount = :amount, unit = :unit, warn_share = :warn_share,
    order_after_h = :order_after_h, due = :due, warn_at = :warn_at, order_at = :order_at,
    warned = CASE WHEN :warn_at <= clock_timestamp() THEN warned END,
    late = CASE WHEN :due <= clock_timestamp() THEN late END
WHERE id = :id
""")


def judge_anew(connection: Connection, incident_id: int) -> None:
    """Let a case whose kind was corrected run by the time of that kind, from when it began.

    Raises as `start`; where the kind has no service time it runs on as it did.
    """
    case = connection.execute(_CASE, {"id": incident_id}).one()
    asked = {"id": incident_id, "name": HANDLE}
    clock = connection.execute(_HANDLING, asked).mappings().first()
    if clock is None:
        start_handling(connection, incident_id)
        return
    sought = Case(HANDLE, case.kind, case.level, case.organisation_id)
    runs_by = _by_rule(connection, sought, case.opened)
    if runs_by is not None:
        times = _schedule(connection, runs_by["calendar"], calendars.terms({**clock, **runs_by}))
        values = {**runs_by, **vars(times), "organisation_id": case.organisation_id}
        connection.execute(_JUDGE, {**values, "id": clock["id"]})


_STOP = text("""
UPDATE clock SET stopped = :at,
    pauses = pauses + CASE WHEN paused IS NULL THEN '{}'::tstzmultirange
        ELSE tstzmultirange(tstzrange(paused, greatest(paused, :at))) END
WHERE incident_id = :incident_id AND stopped IS NULL
  AND (CAST(:name AS text) IS NULL OR name = :name)
  AND (CAST(:subject AS text) IS NULL OR subject = :subject)
RETURNING id
""")


def stop(
    connection: Connection,
    incident_id: int,
    name: str | None = None,
    *,
    subject: str | None = None,
    at: datetime,
) -> list[int]:
    """Stop the incident's running clocks of a name and a subject; None: of any.

    Returns the numbers of those that were running. A stopped one fires no more.
    """
    asked = {"incident_id": incident_id, "name": name, "subject": subject, "at": at}
    return sorted(connection.execute(_STOP, asked).scalars())


_PAUSE = text("""
UPDATE clock SET paused = :at
WHERE incident_id = :incident_id AND stopped IS NULL AND paused IS NULL AND due > :at
  AND (CAST(:name AS text) IS NULL OR name = :name)
RETURNING id
""")
_PAUSED = text(f"""
SELECT {_TERMS} FROM clock
WHERE incident_id = :incident_id AND stopped IS NULL AND paused IS NOT NULL
  AND (CAST(:name AS text) IS NULL OR name = :name)
ORDER BY id FOR NO KEY UPDATE
""")
_RESUME = text("""
UPDATE clock SET paused = NULL, due = :due, warn_at = :warn_at, order_at = :order_at,
    pauses = pauses + tstzmultirange(tstzrange(paused, :until))
WHERE id = :id
""")


def pause(
    connection: Connection, incident_id: int, name: str | None = None, *, at: datetime
) -> list[int]:
    """Let the incident's clocks of a name rest (None: all), while the reporter is waited for.

    Returns the numbers of those that rest now. They do not fire; what is due already does not rest.
    """
    asked = {"incident_id": incident_id, "name": name, "at": at}
    return sorted(connection.execute(_PAUSE, asked).scalars())


def resume(
    connection: Connection, incident_id: int, name: str | None = None, *, at: datetime
) -> list[int]:
    """Let them go on: each is due later by the working time, or the days, that it rested.

    Returns the numbers of those that rested.
    """
    asked = {"incident_id": incident_id, "name": name}
    rows = connection.execute(_PAUSED, asked).mappings().all()
    for row in rows:
        until = max(row["paused"], at)  # a clock may have been set back meanwhile
        times = _schedule(connection, row["calendar"], _terms(row, until))
        connection.execute(_RESUME, {"id": row["id"], "until": until, **vars(times)})
    return [row["id"] for row in rows]


def _terms(row: RowMapping, until: datetime) -> Terms:
    """What the clock runs by once it has rested until then."""
    rested = {**row, "rests": [*row["rests"], row["paused"]], "goes_on": [*row["goes_on"], until]}
    return calendars.terms(rested)


# --- looking at them ------------------------------------------------------------------------------

_OF_INCIDENT = text("""
SELECT c.id, c.incident_id, c.name, c.subject, c.organisation_id, o.code AS organisation,
       c.calendar, c.service_time_id, c.started, c.amount, c.unit, c.due, c.warn_at, c.order_at,
       c.paused, c.stopped, c.warned, c.late, c.ordered
FROM clock c LEFT JOIN organisation o ON o.id = c.organisation_id
WHERE c.incident_id = :incident_id
ORDER BY c.stopped IS NOT NULL, c.due, c.id
""")


def of_incident(connection: Connection, incident_id: int, *, at: datetime) -> list[Clock]:
    """The incident's clocks with what is left of each; those that run first, the next due first."""
    rows = connection.execute(_OF_INCIDENT, {"incident_id": incident_id}).mappings()
    return [_clock(connection, row, at) for row in rows]


def _clock(connection: Connection, row: RowMapping, at: datetime) -> Clock:
    # At rest nothing passes, and of a stopped one nothing passes any more.
    until = row["paused"] or row["stopped"] or at
    left_s, _ = elapsed(calendars.get(connection, row["calendar"]), until, row["due"])
    state = "stopped" if row["stopped"] else "paused" if row["paused"] else "running"
    return Clock(**row, state=state, left_s=left_s)
