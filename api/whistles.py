"""Whistles (吹哨报到): blown, answered, worked on together, rated and ended."""

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection

from api import acting, examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.calendars import WRITE
from api.deps import Db
from api.once import Once, Write
from api.problems import POSITION, documented
from api.schemas import BIGGEST, Word
from api.schemas_whistles import (
    CallRating,
    CallStep,
    MemberJoin,
    MemberLeave,
    PlanAdd,
    PlanFinish,
    SiteVisit,
    Whistle,
    WhistleBlow,
    WhistleBring,
    WhistleEnd,
    Whistles,
)
from data import reports, whistle_end, whistle_lists, whistle_work, whistles
from data.whistle_work import Visit
from data.whistles import NewWhistle

router = APIRouter(prefix="/api/v1/whistles", tags=["whistles"])
Of = Annotated[int, Path(ge=1, le=BIGGEST)]
_ONE = {"model": Whistle, **examples.ok(examples.of("whistle"))}
_DONE = (*WRITE, *acting.REFUSED, "whistle-unknown", "whistle-ended", "reason-missing")


def _responses(status: int, *problems: str) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": "Done", **_ONE}, **documented(*_DONE, *problems)}


@router.get(
    "",
    summary="List whistles",
    responses={
        200: {"model": Whistles, **examples.ok(examples.of("whistles"))},
        **documented("validation"),
    },
)
async def listed(
    db: Db,
    open_: Annotated[bool, Query(alias="open", description="only those not ended")] = False,
    late: Annotated[bool, Query(description="only those to which somebody is late")] = False,
    case: Annotated[int | None, Query(ge=1, le=BIGGEST)] = None,
    caller: Annotated[Word | None, Query(description="code of who called")] = None,
    called: Annotated[Word | None, Query(description="code of who was called")] = None,
    before: Annotated[
        int | None, Query(ge=1, le=BIGGEST, description="number of the last one seen")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    who: Who = may("case.read"),
) -> Response:
    """The newest first."""
    chosen = {"late": late, "case": case, "caller": caller, "called": called, "limit": limit}
    rows = await db.read(whistle_lists.listed, open_only=open_, before=before, **chosen)  # type: ignore[arg-type]
    asked = {**chosen, "late": "true" if late else None, "open": "true" if open_ else None}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    onward = f"{router.prefix}?{query}&before={rows[-1]['number']}" if len(rows) == limit else None
    return Json({"whistles": [dict(row) for row in rows], "next": onward}, headers=NO_STORE)


@router.get(
    "/{number}",
    summary="Read a whistle",
    responses={200: _ONE, **documented("validation", "whistle-unknown")},
)
async def read(number: Of, db: Db, who: Who = may("case.read")) -> Response:
    """Who was called, who came and when, who is late, the team, its visits and its plan."""
    async with db.snapshot() as run:
        return Json(await run(whistle_lists.get, number), headers=NO_STORE)


async def _do(
    once: Write, number: int, act: Callable[[Connection], object], status: int = 200
) -> Response:
    """Do something with a whistle and answer with how it stands then."""

    def work(connection: Connection) -> Response:
        act(connection)
        return Json(whistle_lists.get(connection, number), status, NO_STORE)

    return await once(work)


@router.post(
    "",
    status_code=201,
    summary="Call organisations to a case",
    responses=_responses(
        201, "case-unknown", "case-not-accountable", "may-not-call", "whistle-open",
        "already-called", "calendar-refused",
    ),
)  # fmt: skip
async def blow(
    asked: Annotated[WhistleBlow, Body(openapi_examples=examples.of("whistle_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """By a centre that is responsible for the case, or by the red grid that it lies in.

    Each of them has its times to sign, to get in touch and to come; who is late is told to the
    caller and to whoever is above. A case that is worked on is in consultation until the end.
    """
    new = NewWhistle(asked.case, asked.organisations, asked.what, asked.hard, asked.grid)

    def work(connection: Connection) -> Response:
        number = whistles.blow(connection, new, acting.by(connection, who, asked))
        headers = {"Location": f"{router.prefix}/{number}", **NO_STORE}
        return Json(whistle_lists.get(connection, number), 201, headers)

    return await once(work)


@router.post(
    "/{number}/calls",
    status_code=201,
    summary="Bring one more organisation",
    responses=_responses(201, "not-called", "already-called", "calendar-refused"),
)
async def bring(
    number: Of,
    asked: Annotated[WhistleBring, Body(openapi_examples=examples.of("whistle_bring_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """By the caller, or by whoever was called."""

    def act(connection: Connection) -> None:
        by = acting.by(connection, who, asked)
        whistles.bring(connection, number, asked.organisation, by)

    return await _do(once, number, act, 201)


@router.post(
    "/{number}/calls/{call}/steps",
    status_code=201,
    summary="Answer a call, or decide on a wish not to come",
    responses=_responses(
        201, "call-unknown", "call-not-allowed", "not-called", "not-caller-of-whistle"
    ),
)
async def step(
    number: Of,
    call: Of,
    asked: Annotated[CallStep, Body(openapi_examples=examples.of("whistle_step_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """Sign, get in touch, arrive; who declines stays called until the caller lets them off."""

    def act(connection: Connection) -> None:
        by = acting.by(connection, who, asked)
        whistles.answer(connection, number, call, asked.action, by, asked.reason)

    return await _do(once, number, act, 201)


@router.post(
    "/{number}/calls/{call}/rating",
    status_code=201,
    summary="Rate how an organisation answered",
    responses=_responses(
        201, "call-unknown", "not-caller-of-whistle", "whistle-not-ended", "already-rated"
    ),
)
async def rate(
    number: Of,
    call: Of,
    asked: Annotated[CallRating, Body(openapi_examples=examples.of("whistle_rating_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """By the caller, once, after the end."""

    def act(connection: Connection) -> None:
        by = acting.by(connection, who, asked)
        whistle_end.rate(connection, number, call, by, asked.rating, asked.words)

    return await _do(once, number, act, 201)


@router.post(
    "/{number}/team",
    status_code=201,
    summary="Take somebody into the special team",
    responses=_responses(201, "not-caller-of-whistle", "not-taking-part"),
)
async def join(
    number: Of,
    asked: Annotated[MemberJoin, Body(openapi_examples=examples.of("whistle_member_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """From the caller, or from an organisation that came."""

    def act(connection: Connection) -> None:
        by = acting.by(connection, who, asked)
        whistle_work.join(
            connection, number, by, organisation=asked.organisation, role=asked.role,
            resource=asked.resource,
        )  # fmt: skip

    return await _do(once, number, act, 201)


@router.post(
    "/{number}/team/{member}/leave",
    summary="Let somebody leave the special team",
    responses=_responses(200, "not-caller-of-whistle", "member-unknown"),
)
async def leave(
    number: Of,
    member: Of,
    asked: Annotated[MemberLeave, Body(openapi_examples=examples.of("whistle_leave_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """They stay listed, with until when they were there."""

    def act(connection: Connection) -> None:
        by = acting.by(connection, who, asked)
        whistle_work.leave(connection, number, member, by, asked.reason)

    return await _do(once, number, act)


@router.post(
    "/{number}/visits",
    status_code=201,
    summary="Write down a visit to the site",
    responses=_responses(201, "not-taking-part", "datum-unsupported", *POSITION),
)
async def visit(
    number: Of,
    asked: Annotated[SiteVisit, Body(openapi_examples=examples.of("whistle_visit_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """When, where, who was there and what they found; it is not changed any more."""

    def act(connection: Connection) -> None:
        lonlat = None
        if asked.lon is not None and asked.lat is not None:
            point = reports.normalise(asked.lon, asked.lat, asked.datum, 1.0)
            lonlat = point.lon, point.lat
        made = Visit(asked.at, asked.place, asked.present, asked.finding, lonlat)
        whistle_work.visit(connection, number, made, acting.by(connection, who, asked))

    return await _do(once, number, act, 201)


@router.post(
    "/{number}/plan",
    status_code=201,
    summary="Add a step to the plan",
    responses=_responses(201, "not-taking-part"),
)
async def plan(
    number: Of,
    asked: Annotated[PlanAdd, Body(openapi_examples=examples.of("whistle_plan_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """What is to be done, by whom and until when."""

    def act(connection: Connection) -> None:
        by = acting.by(connection, who, asked)
        whistle_work.plan(connection, number, by, what=asked.what, owner=asked.owner, due=asked.due)

    return await _do(once, number, act, 201)


@router.post(
    "/{number}/plan/{step}/finish",
    summary="Say what came of a step of the plan",
    responses=_responses(200, "plan-step-unknown", "plan-step-done", "not-caller-of-whistle"),
)
async def finish(
    number: Of,
    step: Of,
    asked: Annotated[PlanFinish, Body(openapi_examples=examples.of("whistle_finish_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """By its owner, or by the caller."""

    def act(connection: Connection) -> None:
        by = acting.by(connection, who, asked)
        whistle_work.finish(connection, number, step, by, asked.result)

    return await _do(once, number, act)


@router.post(
    "/{number}/end",
    summary="End a whistle",
    responses=_responses(200, "not-caller-of-whistle", "plan-open"),
)
async def end(
    number: Of,
    asked: Annotated[WhistleEnd, Body(openapi_examples=examples.of("whistle_end_request"))],
    once: Once,
    who: Who = may("whistle.write"),
) -> Response:
    """By the caller; over open steps of the plan only with a reason."""

    def act(connection: Connection) -> None:
        by = acting.by(connection, who, asked)
        whistle_end.end(connection, number, by, asked.outcome, asked.reason)

    return await _do(once, number, act)
