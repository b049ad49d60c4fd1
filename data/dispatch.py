"""Sending people: one transaction, nobody twice, and every step with who and when.

Locks are taken in one order everywhere: the incident, then resources by their number, then tasks.
Whoever keeps to it cannot be in a deadlock. Times are the clock's after the locks are held, so that
the history of a resource never runs backwards.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import Connection, RowMapping, TextClause, text
from sqlalchemy.exc import IntegrityError

from data import assignments, cases, events, refusals
from data.assignments import Assignment, Dispatch
from data.deployment_people import deployed
from data.refusals import DispatchError
from data.schema.dispatch import ACTIVE, ENDED
from data.settings import settings

# What a task may become. People in the street forget to press a button, so that a stage may be
# passed over on the way to the place; but only who has taken a task on can be done with it (a
# matter may be settled by telephone), and whoever has arrived does not decline any more.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "sent": ("accepted", "on_the_way", "on_scene", "declined", "recalled"),
    "accepted": ("on_the_way", "on_scene", "done", "declined", "recalled"),
    "on_the_way": ("on_scene", "done", "declined", "recalled"),
    "on_scene": ("done", "recalled"),
    **dict.fromkeys(ENDED, ()),
}
STEPS = (*ACTIVE[1:], *ENDED)  # what a task is moved to; it is sent by `send`
NEED_REASON = ("declined", "recalled")


@dataclass(frozen=True)
class Choice:
    """Somebody to send; `override`: why although full or not available; `evidence`: what was known.

    The evidence is JSON and kept with the task.
    """

    resource_id: int
    override: str | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


# --- sending --------------------------------------------------------------------------------------

_INCIDENT = "SELECT id, area_id, closed, outcome FROM incident WHERE id = :id FOR {}"
_INCIDENT_SHARED = text(_INCIDENT.format("SHARE"))  # others may send there meanwhile, none close it
_INCIDENT_LOCKED = text(_INCIDENT.format("NO KEY UPDATE"))

# First the locks: a second statement then sees what others did while they were waited for.
_LOCK_RESOURCES = text("""
SELECT id FROM resource WHERE id = ANY (:ids) ORDER BY id FOR NO KEY UPDATE
""")
_RESOURCES = text(f"""
WITH asked AS MATERIALIZED (SELECT clock_timestamp() AS at)
SELECT r.id, r.name, t.form, r.withdrawn,
       CASE WHEN r.status <> 'available' THEN r.status
            WHEN EXISTS (SELECT FROM leave l WHERE l.resource_id = r.id AND l.during @> asked.at)
            THEN 'on_leave'
            WHEN {deployed("asked.at")} THEN 'deployed'
            WHEN NOT on_duty(s, asked.at, :timezone) THEN 'off_duty' END AS unavailable
FROM asked CROSS JOIN resource r JOIN resource_kind t ON t.name = r.kind
LEFT JOIN shift s ON s.name = r.shift
WHERE r.id = ANY (:ids) ORDER BY r.id
""")

# Whether there is room is not asked: the trigger raises `load`, and the check on the row decides.
_SEND = text("""
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS at
), made AS (
    INSERT INTO dispatch (incident_id, at, actor, note)
    SELECT :incident_id, at, :actor, :note FROM clock RETURNING id, at
), assigned AS (
    INSERT INTO assignment (dispatch_id, incident_id, resource_id, since, override, evidence)
    SELECT made.id, :incident_id, c.resource_id, made.at, c.override, c.evidence
    FROM made CROSS JOIN jsonb_to_recordset(CAST(:choices AS jsonb))
         AS c (resource_id bigint, override text, evidence jsonb)
    RETURNING id, dispatch_id, resource_id, override
)
SELECT a.id, a.resource_id, r.name AS resource_name, a.dispatch_id, i.id AS incident_id, i.area_id,
       coalesce(a.override, '') AS reason
FROM assigned a JOIN resource r ON r.id = a.resource_id JOIN incident i ON i.id = :incident_id
ORDER BY a.resource_id
""")
# Apart: a step is written by whoever sees its task, and within its statement a new row is unseen.
_SENT = text("""
INSERT INTO assignment_step (assignment_id, state, at, actor, reason)
SELECT id, 'sent', since, :actor, coalesce(override, '') FROM assignment
WHERE dispatch_id = :dispatch_id ORDER BY id
""")

_TASKS_OF_RESOURCES = text("""
SELECT r.id, r.name, r.capacity, r.load, a.id AS assignment_id, a.incident_id, a.state,
       d.actor, d.at
FROM resource r
JOIN assignment a ON a.resource_id = r.id AND a.state = ANY (:active)
JOIN dispatch d ON d.id = a.dispatch_id
WHERE r.id = ANY (:ids) ORDER BY r.id, d.at DESC
""")


def send(
    connection: Connection,
    incident_id: int,
    choices: Sequence[Choice],
    *,
    actor: str,
    note: str = "",
) -> Dispatch:
    """Send one or several resources to an incident, all or none of them.

    An override is a reason to send somebody who is full, busy, off, on leave, deployed or off duty.
    Nobody is sent who has been withdrawn, nor a facility, nor anybody twice to the same incident.

    Raises
    ------
    DispatchError
        Somebody cannot be sent; if others were faster, `facts` say who, when and to what. The
        transaction is as it was before.
    """
    ids = [choice.resource_id for choice in choices]
    if not ids or len(set(ids)) < len(ids):
        raise ValueError("name at least one resource, and each of them once")
    insisted = {choice.resource_id for choice in choices if choice.override is not None}
    for choice in choices:
        if choice.override is not None:
            refusals.need(choice.override, "override", "An override")
    _open_incident(connection, incident_id, _INCIDENT_SHARED)
    asked = {"ids": ids, "timezone": settings().timezone}
    connection.execute(_LOCK_RESOURCES, {"ids": ids})
    resources = connection.execute(_RESOURCES, asked).mappings().all()
    refusals.check_resources(resources, ids, insisted)
    values = {
        "incident_id": incident_id,
        "actor": actor,
        "note": note,
        "choices": json.dumps([vars(choice) for choice in choices], default=str),
    }
    try:
        with connection.begin_nested():
            made = connection.execute(_SEND, values).mappings().all()
    except IntegrityError as error:
        raise _too_late(connection, error, incident_id, ids, insisted) from error
    number = made[0]["dispatch_id"]
    connection.execute(_SENT, {"dispatch_id": number, "actor": actor})
    for task in made:
        _tell(connection, task, "sent", actor, task["reason"], note=note)
    return assignments.dispatch(connection, number)


def _open_incident(connection: Connection, incident_id: int, locked: TextClause) -> RowMapping:
    """The incident, which must not be closed, under a lock."""
    row = connection.execute(locked, {"id": incident_id}).mappings().first()
    if row is None:
        raise DispatchError("unknown_incident", f"There is no incident {incident_id}.")
    if row["closed"] is not None:
        raise refusals.closed(row)
    return row


def _too_late(
    connection: Connection,
    error: IntegrityError,
    incident_id: int,
    ids: Sequence[int],
    insisted: set[int],
) -> Exception:
    """Who was faster. The resources are locked until we are done, so that it is still true."""
    broken = error.orig.diag.constraint_name if isinstance(error.orig, psycopg.Error) else None
    if broken not in ("capacity_kept", "sent_once"):
        return error
    asked = {"ids": list(ids), "active": list(ACTIVE)}
    tasks = connection.execute(_TASKS_OF_RESOURCES, asked).mappings().all()
    if broken == "sent_once":
        return refusals.already_sent([t for t in tasks if t["incident_id"] == incident_id])
    full = [t for t in tasks if t["load"] >= t["capacity"] and t["id"] not in insisted]
    return refusals.taken(full)


# --- from step to step ----------------------------------------------------------------------------

# Their resources are locked before the tasks: the trigger will write to them, and `send` comes from
# that side too.
_TASKS = """
SELECT a.id, a.resource_id, r.name AS resource_name, a.dispatch_id, a.incident_id, i.area_id
FROM assignment a JOIN resource r ON r.id = a.resource_id JOIN incident i ON i.id = a.incident_id
WHERE {} ORDER BY r.id FOR NO KEY UPDATE OF r
"""
_TASK = text(_TASKS.format("a.id = :id"))
_TASKS_UNDER_WAY = text(_TASKS.format("a.incident_id = :id AND a.state = ANY (:active)"))
_UNDER_WAY = text("SELECT id FROM assignment WHERE incident_id = :id AND state = ANY (:active)")

_MOVE = text("""
WITH moved AS (
    UPDATE assignment SET state = :state, since = clock_timestamp()
    WHERE id = ANY (:ids) AND state = ANY (:before) RETURNING id, since
), stepped AS (
    INSERT INTO assignment_step (assignment_id, state, at, actor, reason)
    SELECT id, :state, since, :actor, :reason FROM moved
)
SELECT id FROM moved
""")


def step(
    connection: Connection, assignment_id: int, state: str, *, actor: str, reason: str = ""
) -> Assignment:
    """Move a task on to one of `STEPS`; to move it to where it is already changes nothing.

    Raises
    ------
    DispatchError
        There is no such task, it cannot go there from where it is (`facts` say where it is, who
        moved it there and what is allowed), or a reason is missing.
    """
    if state not in STEPS:
        raise ValueError(f"a task is not moved to {state!r}; there are {', '.join(STEPS)}")
    if state in NEED_REASON:
        refusals.need(reason, "reason", f"That a task is {state}")
    task = connection.execute(_TASK, {"id": assignment_id}).mappings().first()
    if task is None:
        raise DispatchError("unknown_assignment", f"There is no assignment {assignment_id}.")
    moved = _move(connection, [task], state, actor, reason)
    now = assignments.get(connection, assignment_id)
    assert now is not None
    if not moved and now.state != state:
        last, allowed = now.steps[-1], TRANSITIONS[now.state]
        raise refusals.step_not_allowed(
            assignment_id, state, now.state, last.actor, last.at, allowed
        )
    return now


def recall(connection: Connection, incident_id: int, *, actor: str, reason: str) -> list[int]:
    """Call everybody back who is under way to an open incident; the numbers of their tasks.

    Raises
    ------
    DispatchError
        There is no such incident, it is closed, or the reason is missing.
    """
    refusals.need(reason, "reason", "To call people back")
    _open_incident(connection, incident_id, _INCIDENT_LOCKED)
    return _move(connection, _under_way(connection, incident_id), "recalled", actor, reason)


def close_incident(
    connection: Connection,
    incident_id: int,
    *,
    actor: str,
    outcome: str,
    recall_reason: str | None = None,
) -> list[int]:
    """Close an incident; who is still under way is called back if a reason for that is given.

    Returns the numbers of the tasks that were called back.

    Raises
    ------
    DispatchError
        There is no such incident, it is closed, or somebody is under way (`facts` say who).
    """
    _open_incident(connection, incident_id, _INCIDENT_LOCKED)
    tasks = _under_way(connection, incident_id)
    if tasks and recall_reason is None:
        raise refusals.still_under_way(incident_id, tasks)
    if recall_reason is not None:
        refusals.need(recall_reason, "recall_reason", "To call people back")
    recalled = _move(connection, tasks, "recalled", actor, recall_reason or "")
    cases.settle(connection, incident_id, actor=actor, outcome=outcome)
    return recalled


def _under_way(connection: Connection, incident_id: int) -> Sequence[RowMapping]:
    """The tasks under way of a locked incident, to which none can be added."""
    asked = {"id": incident_id, "active": list(ACTIVE)}
    locked = connection.execute(_TASKS_UNDER_WAY, asked).mappings().all()
    # Some may have ended while we waited for their resources.
    left = set(connection.execute(_UNDER_WAY, asked).scalars())
    return [task for task in locked if task["id"] in left]


def _move(
    connection: Connection, tasks: Sequence[RowMapping], state: str, actor: str, reason: str
) -> list[int]:
    """Move those of the tasks, whose resources are locked, that may go to the state."""
    if not tasks:
        return []
    values = {
        "ids": [task["id"] for task in tasks],
        "before": [before for before, after in TRANSITIONS.items() if state in after],
        "state": state,
        "actor": actor,
        "reason": reason,
    }
    moved = set(connection.execute(_MOVE, values).scalars())
    for task in tasks:
        if task["id"] in moved:
            _tell(connection, task, state, actor, reason)
    return sorted(moved)


def _tell(
    connection: Connection,
    task: RowMapping,
    state: str,
    actor: str,
    reason: str,
    **more: Any,
) -> None:
    """Write the event of a task's step."""
    said = {
        "assignment": task["id"],
        "dispatch": task["dispatch_id"],
        "resource_name": task["resource_name"],
        "actor": actor,
        "reason": reason,
        **more,
    }
    events.record(
        connection,
        f"assignment.{state}",
        said,
        incident_id=task["incident_id"],
        resource_id=task["resource_id"],
        area_id=task["area_id"],
    )
