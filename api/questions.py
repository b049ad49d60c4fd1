"""Questions to who reported a case: asked by who answers for it, whose time rests meanwhile."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.cases import MOVE, Number
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas import BIGGEST
from api.schemas_questions import Noted, QuestionPut, Questions
from data import case_lists, questions

router = APIRouter(prefix="/api/v1/cases/{number}/questions", tags=["cases"])
Which = Annotated[int, Path(ge=1, le=BIGGEST, description="its number", examples=[1])]
_LIST = {"model": Questions, **examples.ok(examples.of("questions"))}


@router.get(
    "",
    summary="What its reporter was asked",
    responses={200: _LIST, **documented("validation", "case-unknown")},
)
async def listed(number: Number, db: Db, who: Who = may("case.read")) -> Response:
    """Every question and what came of it, oldest first."""

    def look(connection: Connection) -> Response:
        if case_lists.get(connection, number) is None:
            raise Problem("case-unknown", f"There is no case {number}.", field="number")
        return _all(connection, number, 200)

    return await db.read(look)


@router.post(
    "",
    status_code=201,
    summary="Ask its reporter something",
    responses={
        201: {"description": "Asked", **_LIST},
        **documented(*MOVE, "nobody-to-ask", "question-open"),
    },
)
async def ask(
    number: Number,
    asked: Annotated[QuestionPut, Body(openapi_examples=examples.of("question_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """The time to handle it rests until they answer, `WANGGE_REPLY_DAYS` at most.

    They read and answer it on the page that they follow; who left a number can be called.
    """

    def work(connection: Connection) -> Response:
        questions.ask(
            connection, number, asked.question, actor=who.name, at=datetime.now(UTC),
            acting=who.organisation_id,
        )  # fmt: skip
        return _all(connection, number, 201)

    return await once(work)


@router.post(
    "/{question}/answer",
    status_code=201,
    summary="Note what they answered",
    responses={
        201: {"description": "Noted", **_LIST},
        **documented(*MOVE, "question-unknown", "question-ended"),
    },
)
async def note(
    number: Number,
    question: Which,
    said: Annotated[Noted, Body(openapi_examples=examples.of("reply_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """Who answered on the telephone or at the counter; the time of the case goes on."""

    def work(connection: Connection) -> Response:
        questions.note(
            connection, number, question, said.answer, actor=who.name, at=datetime.now(UTC),
            acting=who.organisation_id,
        )  # fmt: skip
        return _all(connection, number, 201)

    return await once(work)


def _all(connection: Connection, number: int, status: int) -> Response:
    rows = [dict(row) for row in questions.of_case(connection, number)]
    return Json({"case": number, "questions": rows}, status, NO_STORE)
