"""Cases: listed, read, moved from stage to stage, merged and taken apart."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas import BIGGEST, Word
from api.schemas_cases import (
    Case,
    Cases,
    Duplicates,
    Level,
    Merging,
    Stage,
    Step,
    Timeline,
    Unmerging,
)
from data import case_lists, case_merging, cases, incidents
from data.cases import Move
from data.stages import allowed

router = APIRouter(prefix="/api/v1/cases", tags=["cases"])
Number = Annotated[int, Path(ge=1, le=BIGGEST, description="the case's number", examples=[1])]
_WRITE = ("validation", "key-reused", "not-json", "wrong-content-type", "too-large")
# Why a case is not answered yet.
UNFINISHED = ("still-under-way", "whistle-open", "referral-open")
MOVE = (
    *_WRITE, "case-unknown", "case-not-allowed", "case-moved-on", "case-not-accountable",
    "reason-missing",
)  # fmt: skip


@router.get(
    "",
    summary="List cases",
    responses={
        200: {"model": Cases, **examples.ok(examples.of("cases"))},
        **documented("validation", "area-unknown"),
    },
)
async def listed(
    db: Db,
    who: Who = may("case.read"),
    stage: Annotated[list[Stage] | None, Query(max_length=10)] = None,
    open_: Annotated[bool, Query(alias="open", description="only those not closed")] = False,
    organisation: Annotated[Word | None, Query(description="code of who answers")] = None,
    kind: Annotated[Word | None, Query(description="what it is about")] = None,
    level: Annotated[Level | None, Query()] = None,
    layer: Annotated[Word, Query(description="of the code")] = "grid",
    code: Annotated[Word | None, Query(description="only in this area and those below it")] = None,
    before: Annotated[
        int | None, Query(ge=1, le=BIGGEST, description="number of the last one seen")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The newest first."""
    chosen: dict[str, Any] = {
        "stages": stage, "open_only": open_, "organisation": organisation, "kind": kind,
        "level": level,
    }  # fmt: skip
    async with db.snapshot() as run:
        within = None if code is None else await run(incidents.under, layer, code)
        if within == []:
            raise Problem("area-unknown", f"The layer {layer} has no area {code}.", field="code")
        rows = await run(case_lists.listed, under=within, before=before, limit=limit, **chosen)
    asked = {
        "stage": stage, "open": "true" if open_ else None, "organisation": organisation,
        "kind": kind, "level": level, "layer": layer if code else None, "code": code,
        "limit": limit,
    }  # fmt: skip
    query = urlencode({k: v for k, v in asked.items() if v is not None}, doseq=True)
    onward = f"{router.prefix}?{query}&before={rows[-1]['id']}" if len(rows) == limit else None
    return Json({"cases": [shown(row) for row in rows], "next": onward}, headers=NO_STORE)


@router.get(
    "/{number}",
    summary="Read a case",
    responses={
        200: {"model": Case, **examples.ok(examples.of("case"))},
        **documented("validation", "case-unknown"),
    },
)
async def read(number: Number, db: Db, who: Who = may("case.read")) -> Response:
    """Where it stands, who answers for it, and what can be done with it."""
    return Json(await db.read(_case, number), headers=NO_STORE)


@router.get(
    "/{number}/timeline",
    summary="Read every step of a case",
    responses={
        200: {"model": Timeline, **examples.ok(examples.of("timeline"))},
        **documented("validation", "case-unknown"),
    },
)
async def timeline(number: Number, db: Db, who: Who = may("case.read")) -> Response:
    """Who did what, when and why, oldest first; nothing of it is ever changed."""
    async with db.snapshot() as run:
        await run(_case, number)
        rows = await run(case_lists.timeline, number)
    return Json({"case": number, "entries": [dict(row) for row in rows]}, headers=NO_STORE)


@router.post(
    "/{number}/steps",
    status_code=201,
    summary="Do something with a case",
    responses={
        201: {"model": Case, "description": "Done", **examples.ok(examples.of("case"))},
        **documented(
            *MOVE, "organisation-unknown", "kind-unknown", "case-circular", "case-highest",
            "case-not-lower", "same-organisation", *UNFINISHED,
        ),
    },
)  # fmt: skip
async def step(
    number: Number,
    asked: Annotated[Step, Body(openapi_examples=examples.of("case_step_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """From where it stands to where the action leads; what cannot be done is told what can."""
    move = Move(actor=who.name, acting=who.organisation_id, **asked.model_dump())
    return await once(_step, number, move)


def _step(connection: Connection, number: int, asked: Move) -> Response:
    cases.move(connection, number, asked)
    return Json(_case(connection, number), 201, NO_STORE)


@router.get(
    "/{number}/duplicates",
    summary="Open cases that may be the same trouble",
    responses={
        200: {"model": Duplicates, **examples.ok(examples.of("duplicates"))},
        **documented("validation", "case-unknown"),
    },
)
async def duplicates(
    number: Number,
    db: Db,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    who: Who = may("case.read"),
) -> Response:
    """By place, time, kind and words, the likeliest first. A person decides."""
    async with db.snapshot() as run:
        await run(_case, number)
        rows = await run(case_merging.likely, number, limit)
    found = [{"number": row["id"], **{k: v for k, v in row.items() if k != "id"}} for row in rows]
    return Json({"case": number, "duplicates": found}, headers=NO_STORE)


@router.post(
    "/{number}/merge",
    summary="Make a case part of another",
    responses={
        200: {"model": Case, **examples.ok(examples.of("case"))},
        **documented(*MOVE, "same-case", *UNFINISHED),
    },
)
async def merge(
    number: Number,
    asked: Annotated[Merging, Body(openapi_examples=examples.of("merge_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """Its reports go to the other, which is the answer; nothing is lost, and it can be undone."""

    def work(connection: Connection) -> Response:
        move = Move("merge", who.name, who.organisation_id, asked.reason)
        case_merging.merge(connection, number, asked.into, move)
        return Json(_case(connection, asked.into), headers=NO_STORE)

    return await once(work)


@router.post(
    "/{number}/unmerge",
    summary="Take a case out of the one it was merged into",
    responses={
        200: {"model": Case, **examples.ok(examples.of("case"))},
        **documented(*MOVE, "not-merged"),
    },
)
async def unmerge(
    number: Number,
    asked: Annotated[Unmerging, Body(openapi_examples=examples.of("unmerge_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """It stands where it stood before, with its own reports."""

    def work(connection: Connection) -> Response:
        move = Move("unmerge", who.name, who.organisation_id, asked.reason)
        case_merging.unmerge(connection, number, move)
        return Json(_case(connection, number), headers=NO_STORE)

    return await once(work)


def _case(connection: Connection, number: int) -> dict[str, Any]:
    row = case_lists.get(connection, number)
    if row is None:
        raise Problem("case-unknown", f"There is no case {number}.", field="number")
    return shown(row)


_AS_THEY_ARE = (
    "stage", "since", "level", "kind", "kind_title", "urgency", "lon", "lat", "address",
    "description", "opened", "solved", "solved_level", "closed", "outcome", "bounces", "reopened",
    "reports", "merged_into", "step",
)  # fmt: skip


def shown(row: RowMapping) -> dict[str, Any]:
    """A case as it goes out."""
    area = {"layer": row["layer"], "code": row["code"], "name": row["area_name"]}
    answers = {
        "code": row["organisation"], "name": row["organisation_name"],
        "role": row["organisation_role"],
    }  # fmt: skip
    return {
        "number": row["id"],
        **{name: row[name] for name in _AS_THEY_ARE},
        "organisation": answers,
        "area": area if row["code"] else None,
        "allowed": allowed(row["stage"]) if row["merged_into"] is None else ["unmerge"],
    }
