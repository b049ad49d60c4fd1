"""Return visits: whom the call desk calls, one caller each, and what came of it."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.cases import Number
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas_people import BIGGEST
from api.schemas_return_visits import AllDue, Due, Stands, Tried, Visits
from data import case_lists, return_visits
from data.return_visits import Answer

router = APIRouter(prefix="/api/v1", tags=["return visits"])
VisitId = Annotated[int, Path(ge=1, le=BIGGEST, description="its number", examples=[1])]
_TAKEN = ("validation", "return-visit-unknown", "visit-ended", "visit-claimed")


@router.get(
    "/visits/return/due",
    summary="Whom to call now",
    responses={
        200: {"model": AllDue, **examples.ok(examples.of("return_visits_due"))},
        **documented("validation"),
    },
)
async def due(
    db: Db,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    who: Who = may("visit.write"),
) -> Response:
    """The reporters of solved cases, the longest due first; not those whom others are calling."""
    rows = await db.read(return_visits.due, actor=who.name, at=datetime.now(UTC), limit=limit)
    return Json({"visits": rows}, headers=NO_STORE)


@router.post(
    "/visits/return/{visit}/claim",
    summary="Take a call",
    responses={
        200: {"model": Due, **examples.ok(examples.of("return_visit_claimed"))},
        **documented(*_TAKEN),
    },
)
async def claim(visit: VisitId, db: Db, who: Who = may("visit.write")) -> Response:
    """The reporter with their number, for half an hour this caller's alone; the look is recorded.

    It takes no Idempotency-Key: an answer that is kept to be given again would be kept plain.
    """
    told = await db.write(return_visits.claim, visit, actor=who.name, at=datetime.now(UTC))
    return Json(told, headers=NO_STORE)


@router.post(
    "/visits/return/{visit}/tries",
    status_code=201,
    summary="Say what came of a call",
    responses={
        201: {"model": Stands, "description": "Kept", **examples.ok(examples.of("stands"))},
        **documented(
            *_TAKEN, "key-reused", "not-json", "wrong-content-type", "too-large", "answer-missing"
        ),
    },
)
async def tried(
    visit: VisitId,
    sent: Annotated[Tried, Body(openapi_examples=examples.of("return_try_request"))],
    once: Once,
    who: Who = may("visit.write"),
) -> Response:
    """Not solved opens the case again above; solved, refused or tried often enough closes it."""
    said = None
    if sent.solved is not None:
        said = Answer(sent.solved, sent.satisfaction, sent.comment)

    def work(connection: Connection) -> Response:
        number, stage = return_visits.tried(
            connection, visit, sent.outcome, actor=who.name, at=datetime.now(UTC),
            note=sent.note, said=said,
        )  # fmt: skip
        return Json({"case": number, "stage": stage}, 201, NO_STORE)

    return await once(work)


@router.get(
    "/cases/{number}/visits",
    summary="The return visits of a case",
    responses={
        200: {"model": Visits, **examples.ok(examples.of("return_visits"))},
        **documented("validation", "case-unknown"),
    },
)
async def of_case(number: Number, db: Db, who: Who = may("case.read")) -> Response:
    """Who was asked and how, every call, and what they said."""

    def look(connection: Connection) -> dict[str, object]:
        if case_lists.get(connection, number) is None:
            raise Problem("case-unknown", f"There is no case {number}.", field="number")
        rows = return_visits.of_case(connection, number)
        return {"case": number, "visits": [dict(row) for row in rows]}

    return Json(await db.read(look), headers=NO_STORE)
