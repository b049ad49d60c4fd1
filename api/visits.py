"""Patrols and visits: planned, due near somebody, proven by place and time, missed."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import Field
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.once import Once
from api.problems import POSITION, Problem, documented
from api.schemas import BIGGEST, Accuracy, Incoming, Line, Moment, Number, Prose, Word
from api.schemas_visits import (
    VisitCounts,
    VisitPage,
    VisitPlans,
    VisitPlanShown,
    VisitsDue,
    VisitShown,
)
from data import record_lists, reports, territory, visit_plans, visits
from data.schema.visits import UNITS, VISIT_STATES
from data.visit_plans import NewPlan
from data.visits import Proof

router = APIRouter(prefix="/api/v1/visits", tags=["visits"])
Id = Annotated[int, Path(ge=1, le=BIGGEST, description="the visit's number", examples=[1])]
PlanId = Annotated[int, Path(ge=1, le=BIGGEST, description="the plan's number", examples=[1])]
Area = Annotated[Word | None, Query(description="code of an area; another layer's as beats:B12")]
Plan = Annotated[int | None, Query(ge=1, le=BIGGEST, description="number of a plan")]
_BODY = ("validation", "key-reused", "not-json", "wrong-content-type", "too-large")
_PLAN: dict[int | str, dict[str, Any]] = {
    200: {"model": VisitPlanShown, **examples.ok(examples.of("visit_plan"))}
}
# What a proof lacks, and what whoever made it can do.
DOUBTS = {
    "too_far": "The position is too far from the place: go there, and send another proof.",
    "too_vague": "The position is too vague to prove it: wait for a better fix and try again.",
    "in_the_future": "It was taken in the future: set the phone's clock, and send another proof.",
    "before_due": "It was taken before the visit was due: send one of this period.",
    "after_due": "It was taken after the visit was due: what was missed stays missed.",
}


class PlanSaid(Incoming):
    """A plan: what is visited how often, and by whom."""

    name: Line
    area: Word = Field(description="code of the area; another layer's as beats:B12")
    record_kind: Word | None = Field(
        None, description="visit records of this kind, by name or title; null: the grids themselves"
    )
    resource_kind: Word = Field(description="who visits, by name or title: grid_helper, 网格员 …")
    every: int = Field(ge=1, le=3660, description="so many days or working days a period")
    unit: Literal[UNITS] = "days"  # type: ignore[valid-type]
    begins: date | None = Field(
        None, ge=date(2000, 1, 1), lt=date(2200, 1, 1),
        description="first day of the first period, in the city's time; else today",
    )  # fmt: skip
    reach_m: float = Field(
        100, gt=0, le=10_000, description="a proof within this distance counts, metres"
    )


class ProofSaid(Incoming):
    """Where and when somebody was."""

    lon: Number = Field(description="longitude, or easting, in the datum")
    lat: Number = Field(description="latitude, or northing, in the datum")
    datum: Word = Field(description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…")
    accuracy_m: Accuracy = Field(description="radius of the uncertainty, metres")
    taken: Moment = Field(description="when the phone was there")
    resource: int | None = Field(None, ge=1, le=BIGGEST, description="number of who was there")
    note: Prose = ""


# --- plans ----------------------------------------------------------------------------------------


@router.get(
    "/plans",
    summary="The visit plans in force",
    responses={
        200: {"model": VisitPlans, **examples.ok(examples.of("visit_plans"))},
        **documented(),
    },
)
async def plans(db: Db, who: Who = may("record.read")) -> Response:
    """Which records or grids are visited how often, and by whom."""
    rows = await db.read(visit_plans.in_force)
    return Json({"plans": [_plan(row) for row in rows]}, headers=NO_STORE)


@router.post(
    "/plans",
    status_code=201,
    summary="Put a visit plan in force",
    responses={
        201: {"model": VisitPlanShown, **examples.ok(examples.of("visit_plan"))},
        **documented(*_BODY, "area-unknown", "plan-refused"),
    },
)
async def add_plan(
    said: Annotated[PlanSaid, Body(openapi_examples=examples.of("visit_plan_request"))],
    once: Once, who: Who = may("visit.write"),
) -> Response:  # fmt: skip
    """The visits of a period are due from its first day on, one for each record or grid."""

    def work(connection: Connection) -> Response:
        now = datetime.now(UTC)
        new = NewPlan(
            area_id=territory.named(connection, said.area).id,
            record_kind=said.record_kind and record_lists.kind_named(said.record_kind),
            begins=said.begins or visit_plans.today(now),
            **said.model_dump(exclude={"area", "record_kind", "begins"}),
        )
        number = visit_plans.add(connection, new, actor=who.name, now=now)
        headers = {**NO_STORE, "Location": f"{router.prefix}/plans/{number}"}
        return Json(_plan(visit_plans.get(connection, number)), 201, headers)

    return await once(work)


@router.get(
    "/plans/{number}",
    summary="Read a visit plan",
    responses={**_PLAN, **documented("validation", "plan-unknown")},
)
async def read_plan(number: PlanId, db: Db, who: Who = may("record.read")) -> Response:
    """A plan, also one that has ended."""
    return Json(_plan(await db.read(visit_plans.get, number)), headers=NO_STORE)


@router.delete(
    "/plans/{number}",
    summary="End a visit plan",
    responses={**_PLAN, **documented("validation", "plan-unknown", "key-reused")},
)
async def end_plan(number: PlanId, once: Once, who: Who = may("visit.write")) -> Response:
    """Visits that nobody was at yet are called off; those that were made or missed stay known."""

    def work(connection: Connection) -> Response:
        visit_plans.end(connection, number, actor=who.name, now=datetime.now(UTC))
        return Json(_plan(visit_plans.get(connection, number)), headers=NO_STORE)

    return await once(work)


# --- visits ---------------------------------------------------------------------------------------


@router.get(
    "/due",
    summary="The visits to be made now, the nearest first",
    responses={
        200: {"model": VisitsDue, **examples.ok(examples.of("visits_due"))},
        **documented(
            "validation", *POSITION, "datum-unknown", "area-unknown", "resource-unknown",
            "visits-unbounded",
        ),
    },
)  # fmt: skip
async def due(
    db: Db,
    resource: Annotated[int | None, Query(ge=1, le=BIGGEST, description="whose visits")] = None,
    area: Area = None,
    plan: Plan = None,
    near: Annotated[
        str | None, Query(description="lon,lat in the datum", examples=["113.1,23.0"])
    ] = None,
    datum: Annotated[Word, Query(description="of near")] = "wgs84",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    who: Who = may("record.read"),
) -> Response:
    """For a phone: those of a resource, or of an area, or within 2 km of a place.

    Without `near`, those that are soonest over come first.
    """
    at = _near(near, datum) if near else None

    def look(connection: Connection) -> list[dict[str, Any]]:
        rows = visits.due(
            connection, datetime.now(UTC), resource=resource, plan=plan, near=at, limit=limit,
            area_id=territory.named(connection, area).id if area else None,
        )  # fmt: skip
        return [_listed(row) for row in rows]

    return Json({"visits": await db.apart(look)}, headers=NO_STORE)


def _near(spelt: str, datum: str) -> tuple[float, float]:
    try:
        x, y = (float(part) for part in spelt.split(","))
    except ValueError:
        raise Problem(
            "validation", "near: It is two numbers lon,lat, such as 113.1,23.0.", field="near"
        ) from None
    point = reports.normalise(x, y, datum, 1.0)
    return point.lon, point.lat


@router.get(
    "/counts",
    summary="Count visits by area and plan: due, done, unproven, missed",
    responses={
        200: {"model": VisitCounts, **examples.ok(examples.of("visit_counts"))},
        **documented("validation", "area-unknown"),
    },
)
async def count(
    db: Db,
    area: Area = None,
    plan: Plan = None,
    since: Annotated[Moment | None, Query(description="else 30 days ago")] = None,
    until: Annotated[Moment | None, Query(description="else now")] = None,
    who: Who = may("record.read"),
) -> Response:
    """Visits of the periods that touch the span of time, by the areas directly below one."""
    end = until or datetime.now(UTC)
    begin = since or end - timedelta(days=30)

    def look(connection: Connection) -> Sequence[RowMapping]:
        chosen = territory.named(connection, area).id if area else None
        return visits.counts(connection, begin, end, area_id=chosen, plan=plan)

    rows = await db.apart(look)
    by_plan = _grouped(rows, lambda row: (row["plan_id"], row["plan_name"]))
    by_area = _grouped(rows, lambda row: (row["layer"], row["code"]))
    return Json(
        {
            "since": begin,
            "until": end,
            **_tally(rows),
            "plans": [{"plan": {"id": k[0], "name": k[1]}, **t} for k, t in by_plan],
            "areas": [{"area": {"layer": k[0], "code": k[1]}, **t} for k, t in by_area],
        },
        headers=NO_STORE,
    )


@router.get(
    "",
    summary="List visits",
    responses={
        200: {"model": VisitPage, **examples.ok(examples.of("visits"))},
        **documented("validation", "area-unknown"),
    },
)
async def listing(
    db: Db,
    area: Area = None,
    plan: Plan = None,
    state: Annotated[
        Literal[VISIT_STATES] | None,  # type: ignore[valid-type]
        Query(description="missed lists what nobody made"),
    ] = None,
    after: Annotated[int, Query(ge=0, le=BIGGEST, description="the last number seen")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    who: Who = may("record.read"),
) -> Response:
    """Visits of any period by number, page by page."""

    def look(connection: Connection) -> list[RowMapping]:
        chosen = territory.named(connection, area).id if area else None
        asked = visits.Filter(chosen, plan, state)
        return visits.page(connection, asked, after=after, limit=limit)

    rows = await db.apart(look)
    more = {"area": area, "plan": plan, "state": state, "limit": limit}
    query = {name: value for name, value in more.items() if value is not None}
    next_ = None
    if len(rows) == limit:
        next_ = f"{router.prefix}?{urlencode({**query, 'after': rows[-1]['id']})}"
    return Json({"visits": [_listed(row) for row in rows], "next": next_}, headers=NO_STORE)


@router.get(
    "/{number}",
    summary="Read a visit with its proofs",
    responses={
        200: {"model": VisitShown, **examples.ok(examples.of("visit"))},
        **documented("validation", "visit-unknown"),
    },
)
async def read(number: Id, db: Db, who: Who = may("record.read")) -> Response:
    """A visit, and everything that was sent to prove it."""
    return Json(_shown(await db.read(visits.get, number)), headers=NO_STORE)


@router.post(
    "/{number}",
    summary="Prove a visit by place and time",
    responses={
        200: {"model": VisitShown, **examples.ok(examples.of("visit"))},
        **documented(
            *_BODY, *POSITION, "datum-unknown", "visit-unknown", "resource-unknown"
        ),
    },
)  # fmt: skip
async def prove(
    number: Id, said: Annotated[ProofSaid, Body(openapi_examples=examples.of("proof_request"))],
    once: Once, who: Who = may("visit.write"),
) -> Response:  # fmt: skip
    """A proof is kept whatever it proves: one too far, too vague or at the wrong time leaves the
    visit unproven, and the answer says why."""

    def work(connection: Connection) -> Response:
        point = reports.normalise(said.lon, said.lat, said.datum, said.accuracy_m)
        proof = Proof(said.lon, said.lat, point.datum, point, said.taken, said.note, said.resource)
        visits.prove(connection, number, proof, actor=who.name, now=datetime.now(UTC))
        return Json(_shown(visits.get(connection, number)), headers=NO_STORE)

    return await once(work)


# --- as they go out -------------------------------------------------------------------------------


def _plan(row: RowMapping) -> dict[str, Any]:
    plain = {name: row[name] for name in VisitPlanShown.model_fields if name != "area"}
    return {**plain, "area": {"layer": row["layer"], "code": row["code"]}}


def _listed(row: RowMapping | dict[str, Any]) -> dict[str, Any]:
    record = {"id": row["record_id"], "kind": row["record_kind"], "title": row["title"],
              "address": row["address"], "href": f"/api/v1/records/{row['record_id']}"}  # fmt: skip
    distance = row.get("distance_m")
    return {
        **{n: row[n] for n in ("id", "resource_kind", "area_name", "since", "until", "state")},
        "plan": {"id": row["plan_id"], "name": row["plan_name"]},
        "record": record if row["record_id"] else None,
        "area": {"layer": row["layer"], "code": row["code"]} if row["code"] else None,
        "point": None if row["lon"] is None else {"lon": row["lon"], "lat": row["lat"]},
        "distance_m": None if distance is None else round(distance, 1),
        "href": f"{router.prefix}/{row['id']}",
    }


def _shown(visit: dict[str, Any]) -> dict[str, Any]:
    proofs = [
        {
            **{n: v for n, v in proof.items() if n != "resource_id"},
            "distance_m": round(proof["distance_m"], 1),
            "resource": proof["resource_id"],
            "what_to_do": DOUBTS.get(proof["verdict"]),
        }
        for proof in visit["proofs"]
    ]
    return {**_listed(visit), "proofs": proofs}


def _grouped(
    rows: Sequence[RowMapping], key: Callable[[RowMapping], tuple[Any, Any]]
) -> list[tuple[tuple[Any, Any], dict[str, Any]]]:
    groups: dict[tuple[Any, Any], list[RowMapping]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return [(name, _tally(mine)) for name, mine in groups.items()]


def _tally(rows: Sequence[RowMapping]) -> dict[str, Any]:
    of: Counter[str] = Counter()
    for row in rows:
        of[row["state"]] += row["visits"]
    over = of.total() - of["due"]
    rate = of["done"] / over if over else None
    return {"visits": of.total(), **{name: of[name] for name in VISIT_STATES}, "rate": rate}
