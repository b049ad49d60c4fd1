"""Service times: read as of a moment, tried on a case, put in force; and the clocks they start."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.calendars import WRITE
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas import BIGGEST, Moment
from api.schemas_clocks import (
    Clocks,
    ForCase,
    Name,
    ServiceTimePut,
    ServiceTimes,
    ServiceTimeShown,
    ServiceTimeTrial,
    Tried,
)
from data import cases, clocks, incidents, service_times
from data.service_times import Case, ServiceTime

router = APIRouter(prefix="/api/v1", tags=["clocks"])


@router.get(
    "/service-times",
    summary="The service times of a moment",
    responses={
        200: {"model": ServiceTimes, **examples.ok(examples.of("service_times"))},
        **documented("validation"),
    },
)
async def listed(
    db: Db,
    at: Annotated[Moment | None, Query(description="as they are then; else now")] = None,
    clock: Annotated[Name | None, Query(description="only of this clock")] = None,
    who: Who = may("incident.read"),
) -> Response:
    """By clock, in the order in which they win: who names a kind before who does not, and so on."""
    moment = at or datetime.now(UTC)
    rows = await db.read(service_times.as_of, moment, clock)
    return Json({"at": moment, "service_times": [dict(row) for row in rows]}, headers=NO_STORE)


@router.put(
    "/service-times",
    summary="Put a service time in force",
    responses={
        200: {"model": ServiceTimeShown, **examples.ok(examples.of("service_time"))},
        **documented(
            *WRITE, "service-time-refused", "calendar-unknown", "organisation-unknown"
        ),
    },
)  # fmt: skip
async def put(
    wanted: Annotated[ServiceTimePut, Body(openapi_examples=examples.of("service_time_request"))],
    once: Once,
    who: Who = may("rule.write"),
) -> Response:
    """The one for the same ends then. Cases are judged by what held when they were opened."""

    def work(connection: Connection) -> Response:
        now = datetime.now(UTC)
        rule = ServiceTime(
            _case(connection, wanted), wanted.amount, wanted.unit, wanted.calendar,
            wanted.warn_share, wanted.order_after_h,
        )  # fmt: skip
        made = service_times.put(
            connection, rule, since=wanted.since or now, now=now, actor=who.name,
            reason=wanted.reason,
        )  # fmt: skip
        return Json(dict(made), headers=NO_STORE)

    return await once(work)


@router.delete(
    "/service-times/{number}",
    status_code=204,
    summary="End a service time",
    responses=documented("validation", "key-reused", "service-time-unknown"),
)
async def end(
    number: Annotated[int, Path(ge=1, le=BIGGEST)], once: Once, who: Who = may("rule.write")
) -> Response:
    """Those that name less hold for its cases from now on; clocks that run go on as they are."""

    def work(connection: Connection) -> Response:
        service_times.end(connection, number, datetime.now(UTC))
        return Response(status_code=204)

    return await once(work)


@router.post(
    "/service-times/trial",
    summary="Try the service times on a case",
    responses={
        200: {"model": Tried, **examples.ok(examples.of("service_time_tried"))},
        **documented(
            "validation", "not-json", "wrong-content-type", "too-large", "organisation-unknown",
            "service-time-refused",
        ),
    },
)  # fmt: skip
async def try_out(
    wanted: Annotated[
        ServiceTimeTrial, Body(openapi_examples=examples.of("service_time_trial_request"))
    ],
    db: Db,
    who: Who = may("incident.read"),
) -> Response:
    """Which one a case that starts then would run by, why, and when it would warn and be due."""

    def ask(connection: Connection) -> dict[str, Any]:
        start = wanted.start or datetime.now(UTC)
        tried = service_times.try_out(connection, _case(connection, wanted), start)
        if tried is None:
            nothing = dict.fromkeys(("rule", "calendar", "due", "warn_at", "order_at"))
            why = "No service time fits: such a clock does not run."
            return {**nothing, "why": why, "beaten": [], "start": start}
        return {
            "rule": _shown(tried.rule),
            "why": tried.why,
            "beaten": [_shown(row) for row in tried.beaten],
            "calendar": tried.rule["by_calendar"],
            "start": start,
            **vars(tried.times),
        }

    return Json(await db.apart(ask), headers=NO_STORE)


def _case(connection: Connection, wanted: ForCase) -> Case:
    code = wanted.organisation
    who = None if code is None else cases.organisation(connection, code)["id"]
    return Case(wanted.clock, wanted.kind, wanted.level, who)


def _shown(row: RowMapping) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "by_calendar"}


@router.get(
    "/incidents/{number}/clocks",
    summary="Read how much time an incident has left",
    responses={
        200: {"model": Clocks, **examples.ok(examples.of("clocks"))},
        **documented("validation", "incident-unknown"),
    },
)
async def of_incident(
    number: Annotated[int, Path(ge=1, le=BIGGEST, description="its number", examples=[1])],
    db: Db,
    who: Who = may("incident.read"),
) -> Response:
    """Each clock with when it is due and what is left of it in working time."""
    now = datetime.now(UTC)
    async with db.snapshot() as run:
        if await run(incidents.get, number) is None:
            raise Problem("incident-unknown", f"There is no incident {number}.", field="number")
        found = await run(clocks.of_incident, number, at=now)
    shown = [_clock(clock) for clock in found]
    return Json({"incident": number, "at": now, "clocks": shown}, headers=NO_STORE)


def _clock(clock: clocks.Clock) -> dict[str, Any]:
    kept = {name: value for name, value in vars(clock).items() if name in _CLOCK}
    return {**kept, "service_time": clock.service_time_id}


_CLOCK = (
    "id", "name", "subject", "organisation", "calendar", "state", "started", "amount", "unit",
    "due", "warn_at", "left_s", "paused", "stopped", "warned", "late",
)  # fmt: skip
