"""Calendars: when organisations work, day by day, and the days that a city decides itself."""

import datetime as dt
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas_clocks import (
    CalendarChanged,
    CalendarPut,
    Calendars,
    DayPut,
    Days,
    Name,
    minutes,
    spoken,
)
from data import calendars

router = APIRouter(prefix="/api/v1/calendars", tags=["clocks"])
WRITE = ("validation", "key-reused", "not-json", "wrong-content-type", "too-large")
Called = Annotated[Name, Path(description="its name")]
TheDay = Annotated[dt.date, Path(examples=["2026-03-08"])]


@router.get(
    "",
    summary="The calendars",
    responses={200: {"model": Calendars, **examples.ok(examples.of("calendars"))}, **documented()},
)
async def listed(db: Db, who: Who = may("incident.read")) -> Response:
    """With their hours by weekday, and what whoever runs the city should know of them."""
    today = dt.datetime.now(dt.UTC).date()
    async with db.snapshot() as run:
        found = await run(calendars.all_of_them)
        warnings = await run(calendars.warnings, today)
    shown = [{**each, "hours": [spoken(day) for day in each["hours"]]} for each in found]
    return Json({"calendars": shown, "warnings": warnings}, headers=NO_STORE)


@router.put(
    "/{name}",
    summary="Add or change a calendar",
    responses={
        200: {"model": CalendarChanged, **examples.ok(examples.of("calendar_changed"))},
        **documented(*WRITE, "calendar-refused"),
    },
)
async def put(
    name: Called,
    wanted: Annotated[CalendarPut, Body(openapi_examples=examples.of("calendar_request"))],
    once: Once,
    who: Who = may("catalogue.write"),
) -> Response:
    """Clocks that run by it are reckoned anew. One that never opens is refused."""

    def work(connection: Connection) -> Response:
        moved = calendars.put(
            connection, name, [minutes(day) for day in wanted.hours], title=wanted.title,
            title_en=wanted.title_en, timezone=wanted.timezone, public=wanted.holidays,
            actor=who.name,
        )  # fmt: skip
        return Json({"calendar": name, "clocks": moved}, headers=NO_STORE)

    return await once(work)


@router.get(
    "/{name}/days",
    summary="The days of a year",
    responses={
        200: {"model": Days, **examples.ok(examples.of("calendar_days"))},
        **documented("validation", "calendar-unknown"),
    },
)
async def days(
    name: Called,
    db: Db,
    year: Annotated[int, Query(ge=1900, le=2199, examples=[2025])],
    who: Who = may("incident.read"),
) -> Response:
    """Each with its hours and why: the weekday, a holiday, a make-up day, the city's own word."""
    async with db.snapshot() as run:
        found = await run(calendars.days, name, year)
    return Json(
        {"calendar": name, "year": year, "days": [_day(day) for day in found]}, headers=NO_STORE
    )


def _day(day: calendars.Day) -> dict[str, Any]:
    return {"day": day.day, "hours": spoken(day.hours), "why": day.why, "about": day.about}


@router.put(
    "/{name}/days/{day}",
    summary="Give a day hours of its own",
    responses={
        200: {"model": CalendarChanged, **examples.ok(examples.of("calendar_changed"))},
        **documented(*WRITE, "calendar-unknown", "calendar-refused"),
    },
)
async def put_day(
    name: Called,
    day: TheDay,
    wanted: Annotated[DayPut, Body(openapi_examples=examples.of("calendar_day_request"))],
    once: Once,
    who: Who = may("catalogue.write"),
) -> Response:
    """A holiday, a day that is made up, a typhoon; clocks that run by it are reckoned anew."""

    def work(connection: Connection) -> Response:
        moved = calendars.put_day(
            connection, name, day, minutes(wanted.hours), reason=wanted.reason, actor=who.name
        )
        return Json({"calendar": name, "clocks": moved}, headers=NO_STORE)

    return await once(work)


@router.delete(
    "/{name}/days/{day}",
    status_code=204,
    summary="Let a day be as it is by itself",
    responses=documented("validation", "key-reused", "calendar-unknown", "calendar-day-unknown"),
)
async def remove_day(
    name: Called, day: TheDay, once: Once, who: Who = may("catalogue.write")
) -> Response:
    """By its weekday and the public holidays; clocks that run by it are reckoned anew."""

    def work(connection: Connection) -> Response:
        if not calendars.remove_day(connection, name, day, actor=who.name):
            raise Problem(
                "calendar-day-unknown", f"The {day} has no hours of its own.", field="day"
            )
        return Response(status_code=204)

    return await once(work)
