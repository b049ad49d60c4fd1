"""What cases are about and who answers for what: read as of a day, put in force, checked."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas import BIGGEST, Moment, Word
from api.schemas_cases import (
    Answers,
    Check,
    Dissolved,
    Dissolving,
    KindPut,
    Kinds,
    Level,
    RulePut,
    Rules,
)
from data import case_catalogue, territory
from data.case_catalogue import Answering, Kind

router = APIRouter(prefix="/api/v1", tags=["catalogue"])
_WRITE = (
    "validation", "key-reused", "not-json", "wrong-content-type", "too-large", "catalogue-refused",
)  # fmt: skip
At = Annotated[Moment | None, Query(description="as it was or will be then; else now")]
Code = Annotated[Word, Path(description="the kind's code", examples=["0501"])]


@router.get(
    "/case-kinds",
    summary="The catalogue of a moment",
    responses={200: {"model": Kinds, **examples.ok(examples.of("case_kinds"))},
               **documented("validation")},
)  # fmt: skip
async def kinds(db: Db, at: At = None, who: Who = may("case.read")) -> Response:
    """What cases are about, by class and code."""
    rows = await db.read(case_catalogue.kinds, at)
    return Json({"kinds": [dict(row) for row in rows]}, headers=NO_STORE)


@router.put(
    "/case-kinds/{code}",
    summary="Put a kind in force",
    responses={
        200: {"model": Kinds, **examples.ok(examples.of("case_kinds"))},
        **documented(*_WRITE),
    },
)
async def put_kind(
    code: Code,
    asked: Annotated[KindPut, Body(openapi_examples=examples.of("case_kind_request"))],
    once: Once,
    who: Who = may("catalogue.write"),
) -> Response:
    """From now or a moment to come; cases of before keep what they were judged by."""

    def work(connection: Connection) -> Response:
        given = asked.model_dump(exclude={"since", "reason"})
        kind, since = Kind(code=code, **given), asked.since
        case_catalogue.put_kind(connection, kind, actor=who.name, reason=asked.reason, since=since)
        rows = [r for r in case_catalogue.kinds(connection, since) if r["code"] == code]
        return Json({"kinds": [dict(row) for row in rows]}, headers=NO_STORE)

    return await once(work)


@router.delete(
    "/case-kinds/{code}",
    status_code=204,
    summary="Take a kind out of the catalogue",
    responses=documented("validation", "key-reused", "catalogue-refused", "kind-unknown"),
)
async def end_kind(code: Code, once: Once, who: Who = may("catalogue.write")) -> Response:
    """From now on no case is about it; those that are keep it."""

    def work(connection: Connection) -> Response:
        if not case_catalogue.end_kind(connection, code):
            raise Problem("kind-unknown", f"The catalogue has no kind {code}.", field="code")
        return Response(status_code=204)

    return await once(work)


@router.get(
    "/responsibilities",
    summary="Who answers for what at a moment",
    responses={200: {"model": Rules, **examples.ok(examples.of("responsibilities"))},
               **documented("validation")},
)  # fmt: skip
async def rules(
    db: Db,
    at: At = None,
    kind: Annotated[Word | None, Query(description="only of this kind")] = None,
    who: Who = may("case.read"),
) -> Response:
    """The general rules first. The more specific wins: by kind, then area, then level."""
    rows = await db.read(case_catalogue.rules, at, kind)
    return Json({"rules": [dict(row) for row in rows]}, headers=NO_STORE)


@router.put(
    "/responsibilities",
    summary="Make an organisation answer",
    responses={
        200: {"model": Rules, **examples.ok(examples.of("responsibilities"))},
        **documented(*_WRITE, "organisation-unknown", "area-unknown"),
    },
)
async def put_rule(
    asked: Annotated[RulePut, Body(openapi_examples=examples.of("responsibility_request"))],
    once: Once,
    who: Who = may("catalogue.write"),
) -> Response:
    """For a kind with all below it, in an area, at a level; an equal rule gives way to it."""

    def work(connection: Connection) -> Response:
        area_id = territory.id_of(connection, asked.area)
        rule = Answering(asked.organisation, asked.kind, area_id, asked.level)
        case_catalogue.put_rule(
            connection, rule, actor=who.name, reason=asked.reason, since=asked.since
        )
        rows = case_catalogue.rules(connection, asked.since, asked.kind)
        return Json({"rules": [dict(row) for row in rows]}, headers=NO_STORE)

    return await once(work)


@router.delete(
    "/responsibilities/{number}",
    status_code=204,
    summary="End a rule",
    responses=documented("validation", "key-reused", "responsibility-unknown"),
)
async def end_rule(
    number: Annotated[int, Path(ge=1, le=BIGGEST)],
    once: Once,
    who: Who = may("catalogue.write"),
) -> Response:
    """Whoever answers by a more general rule, or the centre of the place, does so from now on."""

    def work(connection: Connection) -> Response:
        if not case_catalogue.end_rule(connection, number):
            raise Problem(
                "responsibility-unknown", f"No rule {number} is in force.", field="number"
            )
        return Response(status_code=204)

    return await once(work)


@router.get(
    "/responsibilities/answer",
    summary="Who answers for a kind in an area at a level",
    responses={
        200: {"model": Answers, **examples.ok(examples.of("who_answers"))},
        **documented("validation", "area-unknown"),
    },
)
async def answer(
    db: Db,
    kind: Annotated[Word | None, Query()] = None,
    area: Annotated[Word | None, Query(description="a code, or layer:code")] = None,
    level: Annotated[Level, Query()] = 4,
    at: At = None,
    who: Who = may("case.read"),
) -> Response:
    """And by which rule; without one the centre of the place answers, at last the desk."""
    async with db.snapshot() as run:
        area_id = await run(territory.id_of, area)
        row = await run(case_catalogue.who_answers, kind, area_id, level, at)
    return Json(dict(row), headers=NO_STORE)


@router.get(
    "/responsibilities/check",
    summary="Kinds and grids that nobody answers for",
    responses={200: {"model": Check, **examples.ok(examples.of("unanswered"))}, **documented()},
)
async def check(db: Db, who: Who = may("case.read")) -> Response:
    """Kinds that no rule reaches, and grids around which there is no centre."""
    rows = await db.apart(case_catalogue.unanswered)
    return Json({"unanswered": [dict(row) for row in rows]}, headers=NO_STORE)


@router.post(
    "/organisations/{code}/dissolve",
    summary="End an organisation",
    responses={
        200: {"model": Dissolved, **examples.ok(examples.of("dissolved"))},
        **documented(*_WRITE, "organisation-unknown"),
    },
)
async def dissolve(
    code: Annotated[Word, Path(description="the organisation's code", examples=["centre-old"])],
    asked: Annotated[Dissolving, Body(openapi_examples=examples.of("dissolve_request"))],
    once: Once,
    who: Who = may("catalogue.write"),
) -> Response:
    """Its open cases and what it answers for go to its successor, clocks and numbers unchanged."""

    def work(connection: Connection) -> Response:
        numbers = case_catalogue.dissolve(
            connection, code, asked.successor, actor=who.name, reason=asked.reason
        )
        told = {"organisation": code, "successor": asked.successor, "cases": list(numbers)}
        return Json(told, headers=NO_STORE)

    return await once(work)
