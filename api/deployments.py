"""Deployments: many people to many places, planned, followed and filled up."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.deps import Db, Way
from api.once import Once
from api.problems import POSITION, Problem, documented
from api.schemas import BIGGEST, Actor, Prose
from api.schemas_deployments import (
    AttendancePage,
    AttendanceShown,
    Cancelled,
    DeploymentGiven,
    Deployments,
    DeploymentShown,
    Filling,
    Marked,
    SiteGiven,
    State,
)
from data import attendance, candidates, deployments, reports
from data.access import actor as acted
from data.deployments import Shift, Site, Wanted
from data.reports import ReportError
from gis.travel import Travel
from layers.i18n import Lang
from layers.plans import Plans

router = APIRouter(prefix="/api/v1/deployments", tags=["deployments"])
_WRITE = ("validation", "key-reused", "not-json", "wrong-content-type", "too-large")
Id = Annotated[int, Path(ge=1, le=BIGGEST, description="the deployment's number", examples=[1])]
Part = Annotated[int | None, Query(ge=1, le=BIGGEST, description="only of this one")]
Language = Annotated[Lang, Query(description="of the words in the answer")]


@router.post(
    "",
    dependencies=[may("deployment.write")],
    status_code=201,
    summary="Plan many people to many places",
    responses={
        201: {"model": DeploymentShown, "description": "Planned", **examples.ok(examples.PLANNED)},
        **documented(*_WRITE, "deployment-refused", "rule-refused", "area-unknown", *POSITION),
    },
)
async def plan(
    given: Annotated[DeploymentGiven, Body(openapi_examples=examples.DEPLOYMENT_REQUEST)],
    once: Once,
    way: Way,
    lang: Language = "zh",
) -> Response:
    """Every quota that can be met is met, minima first, with the least travel; gaps say why.

    Nobody is planned who is on leave, off duty by their shift pattern, or in another deployment at
    that time. The people are told by events `attendance.planned`.
    """
    return await once(_plan, given, way, lang)


def _plan(connection: Connection, given: DeploymentGiven, way: Travel, lang: Lang) -> Response:
    people = given.people
    wanted = Wanted(
        given.name,
        [_site(connection, site, n) for n, site in enumerate(given.sites)],
        people.kinds,
        people.skills,
        people.modes,
        people.organisation,
        (people.layer, people.code) if people.code is not None else None,
        given.within_s,
        given.shifts_each,
    )
    number = deployments.plan(connection, wanted, way, actor=acted(given.actor))
    where = {"Location": f"{router.prefix}/{number}", **NO_STORE}
    return Json(_shown(connection, number, lang), 201, where)


def _site(connection: Connection, given: SiteGiven, n: int) -> Site:
    shifts = [Shift(s.from_, s.until, s.quota, s.minimum, s.skills) for s in given.shifts]
    if given.code is not None:
        area = deployments.place_of(connection, given.layer, given.code)
        if area is None:
            detail = f"The layer {given.layer} has no area {given.code} in force."
            raise Problem("area-unknown", detail, field=f"sites.{n}.code")
        return Site(given.name or area["name"], area["lon"], area["lat"], shifts, area["id"])
    assert given.lon is not None and given.lat is not None and given.name is not None
    try:
        point = reports.normalise(given.lon, given.lat, given.datum, 1.0)
    except ReportError as error:
        error.field = f"sites.{n}.{error.field}"
        raise
    return Site(given.name, point.lon, point.lat, shifts)


@router.get(
    "",
    dependencies=[may("incident.read")],
    summary="List deployments",
    responses={
        200: {"model": Deployments, **examples.ok(examples.DEPLOYMENTS)},
        **documented("validation"),
    },
)
async def listed(
    db: Db,
    before: Annotated[int | None, Query(ge=1, le=BIGGEST, description="the last one seen")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The newest first, with how many people they want and have."""
    rows = await db.read(attendance.listed, before=before, limit=limit)
    more = urlencode({"before": rows[-1]["id"], "limit": limit}) if len(rows) == limit else None
    told = {
        "deployments": [_listed(row) for row in rows],
        "next": f"{router.prefix}?{more}" if more else None,
    }
    return Json(told, headers=NO_STORE)


@router.get(
    "/{number}",
    dependencies=[may("incident.read")],
    summary="Read a deployment as it stands",
    responses={
        200: {"model": DeploymentShown, **examples.ok(examples.DEPLOYMENT)},
        **documented("validation", "deployment-unknown"),
    },
)
async def read(number: Id, db: Db, lang: Language = "zh") -> Response:
    """Site by site and shift by shift: planned, checked in, absent, and what is missing now."""
    async with db.snapshot() as run:
        told = await run(_shown, number, lang)
    return Json(told, headers=NO_STORE)


@router.get(
    "/{number}/people",
    dependencies=[may("position.read")],
    summary="List who goes where",
    responses={
        200: {"model": AttendancePage, **examples.ok(examples.ATTENDANCES)},
        **documented("validation", "deployment-unknown"),
    },
)
async def people(
    number: Id,
    db: Db,
    site: Part = None,
    shift: Part = None,
    state: Annotated[State | None, Query(description="only who is that")] = None,
    after: Annotated[
        str, Query(pattern=r"^\d{1,18}-\d{1,18}$", description="shift and resource last seen")
    ] = "0-0",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """By shift and number, page by page."""
    seen_shift, seen_resource = (int(part) for part in after.split("-"))
    async with db.snapshot() as run:
        if await run(attendance.get, number) is None:
            raise _unknown(number)
        rows = await run(
            attendance.people,
            number,
            site=site,
            shift=shift,
            state=state,
            after=(seen_shift, seen_resource),
            limit=limit,
        )
    onward = None
    if len(rows) == limit:
        asked = {"site": site, "shift": shift, "state": state, "limit": limit}
        asked["after"] = f"{rows[-1]['shift_id']}-{rows[-1]['id']}"
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        onward = f"{router.prefix}/{number}/people?{query}"
    return Json({"people": [_attendance(row) for row in rows], "next": onward}, headers=NO_STORE)


@router.post(
    "/{number}/attendance",
    dependencies=[may("deployment.write")],
    summary="Check somebody in or out, or mark them absent",
    responses={
        200: {"model": AttendanceShown, **examples.ok(examples.ATTENDANCE)},
        **documented(*_WRITE, "attendance-unknown", "attendance-refused"),
    },
)
async def mark(
    number: Id,
    said: Annotated[Marked, Body(openapi_examples=examples.ATTENDANCE_REQUEST)],
    once: Once,
) -> Response:
    """The same said again changes nothing."""
    return await once(_mark, number, said)


def _mark(connection: Connection, number: int, said: Marked) -> Response:
    now = attendance.mark(
        connection,
        number,
        said.resource,
        said.state,
        actor=acted(said.actor),
        shift=said.shift,
        at=said.at,
    )
    return Json(_attendance(now), headers=NO_STORE)


@router.post(
    "/{number}/fill",
    dependencies=[may("deployment.write")],
    summary="Plan others for what is missing",
    responses={
        200: {"model": DeploymentShown, **examples.ok(examples.PLANNED)},
        **documented(*_WRITE, "deployment-unknown", "deployment-cancelled", "deployment-refused"),
    },
)
async def fill(
    number: Id,
    given: Annotated[Filling, Body(openapi_examples=examples.FILL_REQUEST)],
    once: Once,
    way: Way,
    lang: Language = "zh",
) -> Response:
    """Those who are planned stay; others come for who is absent and for gaps that were left."""
    return await once(_fill, number, given, way, lang)


def _fill(connection: Connection, number: int, given: Filling, way: Travel, lang: Lang) -> Response:
    added = deployments.fill(connection, number, way, actor=acted(given.actor))
    return Json({**_shown(connection, number, lang), "added": added}, headers=NO_STORE)


@router.delete(
    "/{number}",
    dependencies=[may("deployment.write")],
    summary="Call a deployment off",
    responses={
        200: {"model": Cancelled, **examples.ok(examples.DEPLOYMENT_CANCELLED)},
        **documented("validation", "key-reused", "deployment-unknown", "deployment-cancelled"),
    },
)
async def cancel(
    number: Id,
    once: Once,
    actor: Annotated[Actor, Query()] = None,
    reason: Annotated[Prose, Query(description="why; the people are told")] = "",
) -> Response:
    """Its people are free for something else; whoever is at work is checked out."""
    return await once(_cancel, number, actor, reason)


def _cancel(connection: Connection, number: int, actor: str | None, reason: str) -> Response:
    freed = deployments.cancel(connection, number, actor=acted(actor), reason=reason)
    return Json({"id": number, "freed": freed}, headers=NO_STORE)


# --- as they go out -------------------------------------------------------------------------------


def _unknown(number: int) -> Problem:
    return Problem("deployment-unknown", f"There is no deployment {number}.", field="number")


def _shown(connection: Connection, number: int, lang: Lang) -> dict[str, Any]:
    found = attendance.get(connection, number)
    if found is None:
        raise _unknown(number)
    shifts = [shift for site in found["sites"] for shift in site["shifts"]]
    skills = {skill for shift in shifts for skill in shift["skills"]}
    words = Plans(lang, candidates.skill_titles(connection, sorted(skills)))
    totals = _totals(
        sum(shift["quota"] for shift in shifts),
        sum(_present(shift) for shift in shifts),
        sum(shift["absent"] for shift in shifts),
    )
    return {
        **{name: found[name] for name in ("id", "name", "created", "actor", "cancelled", "asked")},
        "considered": found["result"]["considered"],
        "travel": found["result"]["travel"],
        "totals": totals,
        "travel_s": round(sum(shift["travel_s"] for shift in shifts)),
        "text": words.totals(totals),
        "sites": [_site_shown(site, found, words) for site in found["sites"]],
        "people": f"{router.prefix}/{number}/people",
    }


def _present(shift: Mapping[str, Any]) -> int:
    return int(shift["planned"] + shift["checked_in"] + shift["checked_out"])


def _totals(quota: int, present: int, absent: int) -> dict[str, int]:
    return {"quota": quota, "present": present, "absent": absent, "missing": quota - present}


def _site_shown(site: Mapping[str, Any], found: Mapping[str, Any], words: Plans) -> dict[str, Any]:
    return {
        "id": site["id"],
        "name": site["name"],
        "point": {"lon": site["lon"], "lat": site["lat"]},
        "area": {"layer": site["layer"], "code": site["code"]} if site["code"] else None,
        "shifts": [_shift_shown(shift, found, words) for shift in site["shifts"]],
        "people": f"{router.prefix}/{found['id']}/people?site={site['id']}",
    }


def _shift_shown(
    shift: Mapping[str, Any], found: Mapping[str, Any], words: Plans
) -> dict[str, Any]:
    kept = (
        "id", "until", "quota", "minimum", "skills", "planned", "checked_in", "checked_out",
        "absent",
    )  # fmt: skip
    longest_s = shift["longest_s"]
    return {
        **{name: shift[name] for name in kept},
        "from": shift["start"],
        "missing": shift["quota"] - _present(shift),
        "travel_s": round(shift["travel_s"]),
        "longest_s": None if longest_s is None else round(longest_s),
        "gap": _gap(shift, found, words),
    }


def _gap(shift: Mapping[str, Any], found: Mapping[str, Any], words: Plans) -> dict[str, Any] | None:
    missing = shift["quota"] - _present(shift)
    if not missing or found["cancelled"]:
        return None
    here = shift["skilled"] or []
    lacking = {skill: wanted - here.count(skill) for skill, wanted in shift["skills"].items()}
    below = _present(shift) < shift["minimum"]
    gap = {
        "missing": missing,
        "below_minimum": below,
        "parts": found["result"]["gaps"].get(str(shift["id"]), {}).get("parts", {}),
        "skills": {skill: number for skill, number in lacking.items() if number > 0},
    }
    least = shift["minimum"] if below else None
    return {**gap, "text": words.gap(gap, found["asked"]["within_s"], shift["absent"], least)}


def _listed(row: RowMapping) -> dict[str, Any]:
    kept = ("id", "name", "created", "actor", "cancelled", "sites", "until")
    return {
        **{name: row[name] for name in kept},
        "from": row["start"],
        "totals": _totals(row["quota"], row["present"], row["absent"]),
        "href": f"{router.prefix}/{row['id']}",
    }


def _attendance(row: RowMapping) -> dict[str, Any]:
    return {
        "resource": {name: row[name] for name in ("id", "name", "kind", "mode", "organisation")},
        "site": row["site_id"],
        "site_name": row["site"],
        "shift": row["shift_id"],
        "from": row["start"],
        "until": row["until"],
        "state": row["state"],
        "since": row["since"],
        "skill": row["skill"],
        "travel_s": round(row["travel_s"] or 0),
    }
