"""What has become of those who were sent: dispatches with their tasks, every step, and times."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data.schema.dispatch import ENDED

# Whoever is on the way has seen the task, even if they never said so.
_SEEN = ("accepted", "on_the_way", "on_scene")


@dataclass(frozen=True)
class Step:
    """Who moved a task on, when and why."""

    state: str
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True)
class Response:
    """Seconds from being sent to the first word, to the place and to the end; None: not yet."""

    accepted_s: float | None = None
    on_scene_s: float | None = None
    ended_s: float | None = None


@dataclass(frozen=True)
class Assignment:
    """One resource's task; `steps` in the order in which they were made, the first is `sent`."""

    id: int
    dispatch_id: int
    incident_id: int
    resource_id: int
    resource_name: str
    resource_kind: str
    state: str
    since: datetime
    override: str | None
    evidence: dict[str, Any]
    steps: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Dispatch:
    """One decision to send somebody, with the tasks that it made, by the resources' numbers."""

    id: int
    incident_id: int
    at: datetime
    actor: str
    note: str
    assignments: list[Assignment] = field(default_factory=list)


_DISPATCHES = """
SELECT d.id, d.incident_id, d.at, d.actor, d.note FROM dispatch d WHERE {} ORDER BY d.id
"""
_ASSIGNMENTS = """
SELECT a.id, a.dispatch_id, a.incident_id, a.resource_id, r.name AS resource_name,
       r.kind AS resource_kind, a.state, a.since, a.override, a.evidence
FROM assignment a JOIN resource r ON r.id = a.resource_id WHERE {} ORDER BY a.resource_id, a.id
"""
_DISPATCH = text(_DISPATCHES.format("d.id = :id"))
_DISPATCHES_OF_INCIDENT = text(_DISPATCHES.format("d.incident_id = :id"))
_ASSIGNMENT = text(_ASSIGNMENTS.format("a.id = :id"))
_ASSIGNMENTS_OF_DISPATCH = text(_ASSIGNMENTS.format("a.dispatch_id = :id"))
_ASSIGNMENTS_OF_INCIDENT = text(_ASSIGNMENTS.format("a.incident_id = :id"))
_STEPS = text("""
SELECT assignment_id, state, at, actor, reason FROM assignment_step
WHERE assignment_id = ANY (:ids) ORDER BY id
""")


def get(connection: Connection, assignment_id: int) -> Assignment | None:
    """A task with its steps, or None; in one snapshot to be of one moment."""
    row = connection.execute(_ASSIGNMENT, {"id": assignment_id}).mappings().first()
    return _with_steps(connection, [row])[0] if row else None


def dispatch(connection: Connection, dispatch_id: int) -> Dispatch:
    """A dispatch that is known to be there."""
    row = connection.execute(_DISPATCH, {"id": dispatch_id}).mappings().one()
    tasks = connection.execute(_ASSIGNMENTS_OF_DISPATCH, {"id": dispatch_id}).mappings().all()
    return Dispatch(**row, assignments=_with_steps(connection, tasks))


def has_incident(connection: Connection, incident_id: int) -> bool:
    """Whether there is such an incident."""
    asked = text("SELECT EXISTS (SELECT FROM incident WHERE id = :id)")
    return bool(connection.execute(asked, {"id": incident_id}).scalar())


def of_incident(connection: Connection, incident_id: int) -> list[Dispatch]:
    """An incident's dispatches, the first one first; in one snapshot to be of one moment."""
    rows = connection.execute(_DISPATCHES_OF_INCIDENT, {"id": incident_id}).mappings().all()
    tasks = connection.execute(_ASSIGNMENTS_OF_INCIDENT, {"id": incident_id}).mappings().all()
    made: dict[int, list[Assignment]] = defaultdict(list)
    for task in _with_steps(connection, tasks):
        made[task.dispatch_id].append(task)
    return [Dispatch(**row, assignments=made[row["id"]]) for row in rows]


def response(steps: Sequence[Step]) -> Response:
    """How long it took, from a task's steps, which begin with `sent`.

    Somebody who forgot to accept and was next heard of on the way or on scene accepted then; a
    time on scene is never supposed.
    """
    begun = steps[0].at

    def after(*states: str) -> float | None:
        at = next((step.at for step in steps if step.state in states), None)
        return None if at is None else (at - begun).total_seconds()

    return Response(after(*_SEEN), after("on_scene"), after(*ENDED))


def _with_steps(connection: Connection, rows: Sequence[RowMapping]) -> list[Assignment]:
    steps: dict[int, list[Step]] = defaultdict(list)
    for row in connection.execute(_STEPS, {"ids": [row["id"] for row in rows]}):
        steps[row.assignment_id].append(Step(row.state, row.at, row.actor, row.reason))
    return [Assignment(**row, steps=steps[row["id"]]) for row in rows]
