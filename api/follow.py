"""A reporter's side: their case by a link, without an account, and their answer in the end."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from api import examples
from api.answers import Json
from api.deps import Db
from api.incidents import Language
from api.once import Once
from api.problems import Problem, documented
from api.schemas_return_visits import Followed, Replied, Said
from data import following, questions, return_visits
from data.return_visits import REPORTER, Answer
from data.settings import settings
from layers.follow import follow as draw
from layers.follow import nothing

router = APIRouter(tags=["return visits"])
Token = Annotated[str, Path(description="the last part of the link that came with the report")]
# The address is the key: no other site is told it, and nothing keeps what it shows.
PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "none"}


@router.get(
    "/api/v1/follow/{token}",
    summary="Follow a report",
    responses={
        200: {"model": Followed, **examples.ok(examples.of("followed"))},
        **documented("validation", "follow-unknown"),
    },
)
async def read(token: Token, db: Db) -> Response:
    """Where the case stands in plain words, since when, and how it was solved; no names."""
    return Json(await db.read(_state, _report(token)), headers=PRIVATE)


@router.post(
    "/api/v1/follow/{token}/answer",
    summary="Say whether it is solved",
    responses={
        200: {"model": Followed, **examples.ok(examples.of("followed"))},
        **documented(
            "validation", "key-reused", "not-json", "wrong-content-type", "too-large",
            "follow-unknown", "not-asked",
        ),
    },
)  # fmt: skip
async def answer(
    token: Token,
    said: Annotated[Said, Body(openapi_examples=examples.of("answer_request"))],
    once: Once,
) -> Response:
    """Not solved opens the case again at the level above; once all say solved it is closed."""
    report = _report(token)

    def work(connection: Connection) -> Response:
        at = datetime.now(UTC)
        what = Answer(said.solved, said.satisfaction, said.comment)
        return_visits.answer(connection, report, what, actor=REPORTER, at=at)
        return Json(_state(connection, report), headers=PRIVATE)

    return await once(work)


@router.post(
    "/api/v1/follow/{token}/reply",
    summary="Answer what is asked",
    responses={
        200: {"model": Followed, **examples.ok(examples.of("followed"))},
        **documented(
            "validation", "key-reused", "not-json", "wrong-content-type", "too-large",
            "follow-unknown", "no-question", "reason-missing",
        ),
    },
)  # fmt: skip
async def reply(
    token: Token,
    said: Annotated[Replied, Body(openapi_examples=examples.of("reply_request"))],
    once: Once,
) -> Response:
    """The case goes on with it, and so does the time in which it is to be handled."""
    report = _report(token)

    def work(connection: Connection) -> Response:
        questions.reply(connection, report, said.answer, at=datetime.now(UTC))
        return Json(_state(connection, report), headers=PRIVATE)

    return await once(work)


@router.get(
    "/follow/{token}",
    summary="The page on which a report is followed",
    response_class=HTMLResponse,
    responses={**documented("validation"), **documented("follow-unknown", page=True)},
)
async def page(token: Token, db: Db, lang: Language = "zh") -> Response:
    """For a telephone: the way of the case, and the question whether it is solved."""
    report = following.report_of(token)
    state = None
    if report is not None:
        state = await db.read(following.state, report, datetime.now(UTC))
    if state is None:
        return HTMLResponse(nothing(lang), 404, PRIVATE)
    drawn = draw(state, address=f"/api/v1/follow/{token}", timezone=settings().timezone, lang=lang)
    return HTMLResponse(drawn, headers=PRIVATE)


def _report(token: str) -> int:
    report = following.report_of(token)
    if report is None:
        raise Problem("follow-unknown")
    return report


def _state(connection: Connection, report: int) -> dict[str, object]:
    state = following.state(connection, report, datetime.now(UTC))
    if state is None:
        raise Problem("follow-unknown")
    return state
