"""Sending people to incidents, and how far they are."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Response
from sqlalchemy import Connection

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.cases import UNFINISHED
from api.deps import Db, Way
from api.incidents import Language, for_incident
from api.once import Once
from api.problems import Problem, documented
from api.schemas import BIGGEST
from api.schemas_dispatches import (
    AssignmentShown,
    Closed,
    Closing,
    Dispatches,
    DispatchShown,
    NewStep,
    Recall,
    Recalled,
    Sending,
)
from data import assignments, dispatch, incidents
from data.access import actor as acted
from data.assignments import Assignment, Dispatch
from data.dispatch import TRANSITIONS, Choice
from gis.travel import Travel
from layers.i18n import Lang

router = APIRouter(prefix="/api/v1", tags=["dispatches"])
Incident = Annotated[int, Path(ge=1, le=BIGGEST, description="its number", examples=[1])]
Task = Annotated[int, Path(ge=1, le=BIGGEST, description="the assignment's number", examples=[1])]
_WRITE = ("validation", "key-reused", "not-json", "wrong-content-type", "too-large")


@router.post(
    "/incidents/{number}/dispatches",
    dependencies=[may("dispatch.write")],
    status_code=201,
    summary="Send one or several resources to an incident",
    responses={
        201: {"model": DispatchShown, "description": "Sent", **examples.ok(examples.DISPATCH)},
        **documented(
            *_WRITE, "incident-unknown", "resource-unknown", "incident-closed", "resource-taken",
            "already-sent", "resource-not-available", "resource-withdrawn", "resource-is-a-place",
            "reason-missing",
        ),
    },
)  # fmt: skip
async def send(
    number: Incident,
    sent: Annotated[Sending, Body(openapi_examples=examples.DISPATCH_REQUEST)],
    once: Once,
) -> Response:
    """All of them or none: who is full is not sent twice, and it is said who was faster.

    With a reason as `override`, somebody is sent although full, busy, off, on leave or off duty.
    """
    return await once(_send, number, sent)


def _send(connection: Connection, number: int, sent: Sending) -> Response:
    choices = [Choice(c.resource, c.override, c.evidence) for c in sent.send]
    made = dispatch.send(connection, number, choices, actor=acted(sent.actor), note=sent.note)
    where = f"{router.prefix}/incidents/{number}/dispatches"
    return Json(shown(made), 201, {"Location": where, **NO_STORE})


@router.get(
    "/incidents/{number}/dispatches",
    dependencies=[may("incident.read")],
    summary="Read who was sent to an incident",
    responses={
        200: {"model": Dispatches, **examples.ok(examples.DISPATCHES)},
        **documented("validation", "incident-unknown"),
    },
)
async def of_incident(number: Incident, db: Db) -> Response:
    """Every dispatch with its assignments, their steps and times."""
    async with db.snapshot() as run:
        if not await run(assignments.has_incident, number):
            raise Problem("incident-unknown", f"There is no incident {number}.", field="number")
        found = await run(assignments.of_incident, number)
    return Json({"incident": number, "dispatches": [shown(d) for d in found]}, headers=NO_STORE)


@router.get(
    "/assignments/{number}",
    dependencies=[may("incident.read")],
    summary="Read an assignment",
    responses={
        200: {"model": AssignmentShown, **examples.ok(examples.ASSIGNMENT)},
        **documented("validation", "assignment-unknown"),
    },
)
async def read(number: Task, db: Db) -> Response:
    """One resource's task with every step, and what it may become."""
    async with db.snapshot() as run:
        found = await run(assignments.get, number)
    if found is None:
        raise Problem("assignment-unknown", f"There is no assignment {number}.", field="number")
    return Json(_assignment(found), headers=NO_STORE)


@router.post(
    "/assignments/{number}/steps",
    dependencies=[may("task.write")],
    summary="Accept, decline, move on, finish or recall an assignment",
    responses={
        200: {"model": AssignmentShown, **examples.ok(examples.ASSIGNMENT)},
        **documented(*_WRITE, "assignment-unknown", "step-not-allowed", "reason-missing"),
    },
)
async def step(
    number: Task,
    said: Annotated[NewStep, Body(openapi_examples=examples.STEP_REQUEST)],
    once: Once,
    way: Way,
    lang: Language = "zh",
) -> Response:
    """The same step again changes nothing; one that is not allowed is told which are.

    Stages may be passed over on the way to the place. To decline and to recall needs a reason; who
    could go instead of somebody who declined is in the answer.
    """
    return await once(_step, number, said, way, lang)


def _step(connection: Connection, number: int, said: NewStep, way: Travel, lang: Lang) -> Response:
    now = dispatch.step(connection, number, said.state, actor=acted(said.actor), reason=said.reason)
    shown = _assignment(now)
    if now.state == "declined":
        incident = incidents.get(connection, now.incident_id)
        assert incident is not None
        shown["next"] = for_incident(connection, dict(incident), way, limit=1, lang=lang)
    return Json(shown, headers=NO_STORE)


@router.post(
    "/incidents/{number}/recall",
    dependencies=[may("dispatch.write")],
    summary="Call everybody back from an incident",
    responses={
        200: {"model": Recalled, **examples.ok(examples.RECALLED)},
        **documented(*_WRITE, "incident-unknown", "incident-closed", "reason-missing"),
    },
)
async def recall(
    number: Incident,
    said: Annotated[Recall, Body(openapi_examples=examples.RECALL_REQUEST)],
    once: Once,
) -> Response:
    """Every assignment that is under way ends as recalled, with the reason."""
    return await once(_recall, number, said)


def _recall(connection: Connection, number: int, said: Recall) -> Response:
    recalled = dispatch.recall(connection, number, actor=acted(said.actor), reason=said.reason)
    return Json({"incident": number, "recalled": recalled}, headers=NO_STORE)


@router.post(
    "/incidents/{number}/close",
    dependencies=[may("dispatch.write")],
    summary="Close an incident",
    responses={
        200: {"model": Closed, **examples.ok(examples.CLOSED)},
        **documented(
            *_WRITE,
            "incident-unknown",
            "incident-closed",
            *UNFINISHED,
            "reason-missing",
        ),
    },
)
async def close(
    number: Incident,
    said: Annotated[Closing, Body(openapi_examples=examples.CLOSE_REQUEST)],
    once: Once,
) -> Response:
    """Refused while somebody is under way, unless there is a reason to call them back."""
    return await once(_close, number, said)


def _close(connection: Connection, number: int, said: Closing) -> Response:
    recalled = dispatch.close_incident(
        connection,
        number,
        actor=acted(said.actor),
        outcome=said.outcome,
        recall_reason=said.recall_reason,
    )
    told = {"incident": number, "recalled": recalled, "outcome": said.outcome}
    return Json(told, headers=NO_STORE)


def shown(made: Dispatch) -> dict[str, Any]:
    """A dispatch as it goes out."""
    return {
        "id": made.id,
        "incident": made.incident_id,
        "at": made.at,
        "actor": made.actor,
        "note": made.note,
        "assignments": [_assignment(task) for task in made.assignments],
    }


def _assignment(task: Assignment) -> dict[str, Any]:
    return {
        "id": task.id,
        "dispatch": task.dispatch_id,
        "incident": task.incident_id,
        "resource": {
            "id": task.resource_id,
            "name": task.resource_name,
            "kind": task.resource_kind,
        },
        "state": task.state,
        "since": task.since,
        "allowed": TRANSITIONS[task.state],
        "override": task.override,
        "evidence": task.evidence,
        "steps": task.steps,
        "response": assignments.response(task.steps),
    }
