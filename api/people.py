"""One person over all cases, and how long people stay known. Every look leaves its proof."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.problems import documented
from api.schemas import Word
from api.schemas_people import Erased, Exported, Found, RetentionGiven, Retentions, Wanted
from data import people

router = APIRouter(prefix="/api/v1/people", tags=["people"])
_BODY = ("validation", "not-json", "wrong-content-type", "too-large")
_ASKED = (*_BODY, "person-invalid", "reason-missing")
_WANTED = Body(openapi_examples=examples.of("person_request"))


@router.post(
    "/find",
    summary="Look somebody up",
    responses={
        200: {"model": Found, **examples.ok(examples.of("person_found"))},
        **documented(*_ASKED),
    },
)
async def find(
    wanted: Annotated[Wanted, _WANTED], db: Db, who: Who = may("person.reveal")
) -> Response:
    """By a telephone number or that of a document: in which cases they are, masked."""
    found = await db.write(_with_them, people.find, wanted, who)
    return Json({"parties": found}, headers=NO_STORE)


@router.post(
    "/export",
    summary="Everything about somebody",
    responses={
        200: {"model": Exported, **examples.ok(examples.of("person_exported"))},
        **documented(*_ASKED),
    },
)
async def export(
    wanted: Annotated[Wanted, _WANTED], db: Db, who: Who = may("person.reveal")
) -> Response:
    """What is kept about one person, to be handed to them."""
    return Json(await db.write(_with_them, people.export, wanted, who), headers=NO_STORE)


@router.post(
    "/erase",
    summary="Erase somebody",
    responses={
        200: {"model": Erased, **examples.ok(examples.of("person_erased"))},
        **documented(*_ASKED),
    },
)
async def erase(
    wanted: Annotated[Wanted, _WANTED], db: Db, who: Who = may("person.reveal")
) -> Response:
    """Who they are goes, their cases stay; an open case holds them until it is closed."""
    return Json(await db.write(_with_them, people.erase, wanted, who), headers=NO_STORE)


def _with_them(connection: Connection, deed: Any, wanted: Wanted, who: Who) -> Any:
    person = people.fingerprint(wanted.phone, wanted.identity)
    return deed(connection, person, actor=who.name, reason=wanted.reason, at=datetime.now(UTC))


@router.get(
    "/retention",
    summary="How long people stay known",
    responses={
        200: {"model": Retentions, **examples.ok(examples.of("retentions"))},
        **documented(),
    },
)
async def retentions(db: Db, who: Who = may("person.reveal")) -> Response:
    """After their case was closed, by kind of case; without a period for ever."""
    return Json(await db.read(_periods), headers=NO_STORE)


@router.put(
    "/retention",
    summary="Say how long people stay known",
    responses={
        200: {"model": Retentions, **examples.ok(examples.of("retentions"))},
        **documented(*_BODY, "kind-unknown", "reason-missing"),
    },
)
async def retain(
    given: Annotated[RetentionGiven, Body(openapi_examples=examples.of("retention_request"))],
    db: Db,
    who: Who = may("person.reveal"),
) -> Response:
    """Of a kind with those below it, or of every other. Whose time is up is forgotten each hour."""

    def work(connection: Connection) -> dict[str, Any]:
        people.retain(connection, given.kind, given.days, actor=who.name, reason=given.reason)
        return _periods(connection)

    return Json(await db.write(work), headers=NO_STORE)


@router.delete(
    "/retention",
    summary="Take a period away",
    responses={
        200: {"model": Retentions, **examples.ok(examples.of("retentions"))},
        **documented("validation", "retention-unknown"),
    },
)
async def keep(
    db: Db,
    kind: Annotated[Word | None, Query(description="else the one of every other")] = None,
    who: Who = may("person.reveal"),
) -> Response:
    """The period of the kind above holds, or of every other; without one they are kept."""

    def work(connection: Connection) -> dict[str, Any]:
        people.keep_for_ever(connection, kind, actor=who.name)
        return _periods(connection)

    return Json(await db.write(work), headers=NO_STORE)


def _periods(connection: Connection) -> dict[str, Any]:
    return {"periods": [dict(row) for row in people.retentions(connection)]}
