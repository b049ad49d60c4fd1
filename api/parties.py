"""The people of a case: listed masked, added, withdrawn, and revealed for a reason."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.cases import Number
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas_people import BIGGEST, Parties, Party, PartyGiven, Why
from data import case_lists, parties

router = APIRouter(prefix="/api/v1/cases", tags=["people"])
PartyId = Annotated[int, Path(ge=1, le=BIGGEST, description="the party's number", examples=[1])]
_WRITE = ("validation", "not-json", "wrong-content-type", "too-large", "case-unknown")


@router.get(
    "/{number}/parties",
    summary="The people of a case",
    responses={
        200: {"model": Parties, **examples.ok(examples.of("parties"))},
        **documented("validation", "case-unknown"),
    },
)
async def listed(number: Number, db: Db, who: Who = may("case.read")) -> Response:
    """Who reported it, who is party to it and who saw it, masked."""
    return Json(await db.read(_all, number), headers=NO_STORE)


def _all(connection: Connection, number: int) -> dict[str, object]:
    if case_lists.get(connection, number) is None:
        raise Problem("case-unknown", f"There is no case {number}.", field="number")
    return {"case": number, "parties": parties.of_case(connection, number)}


@router.post(
    "/{number}/parties",
    status_code=201,
    summary="Add somebody to a case",
    responses={
        201: {"model": Parties, "description": "Added", **examples.ok(examples.of("parties"))},
        **documented(*_WRITE, "key-reused", "person-invalid", "party-unknown"),
    },
)
async def add(
    number: Number,
    given: Annotated[PartyGiven, Body(openapi_examples=examples.of("party_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """A reporter is asked before the case is closed."""

    def work(connection: Connection) -> Response:
        parties.add(
            connection, number, given.person(), role=given.role, report=given.report,
            actor=who.name, acting=who.organisation_id,
        )  # fmt: skip
        return Json(_all(connection, number), 201, NO_STORE)

    return await once(work)


@router.post(
    "/{number}/parties/{party}/withdraw",
    summary="Somebody does not belong to a case",
    responses={
        200: {"model": Parties, **examples.ok(examples.of("parties"))},
        **documented(*_WRITE, "key-reused", "party-unknown", "reason-missing"),
    },
)
async def withdraw(
    number: Number,
    party: PartyId,
    said: Annotated[Why, Body(openapi_examples=examples.of("withdraw_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """They stay on the list as withdrawn, and are not asked any more."""

    def work(connection: Connection) -> Response:
        parties.withdraw(
            connection, number, party, actor=who.name, reason=said.reason,
            acting=who.organisation_id,
        )  # fmt: skip
        return Json(_all(connection, number), headers=NO_STORE)

    return await once(work)


@router.post(
    "/{number}/parties/{party}/reveal",
    summary="See who somebody is",
    responses={
        200: {"model": Party, **examples.ok(examples.of("party_revealed"))},
        **documented(*_WRITE, "party-unknown", "reason-missing"),
    },
)
async def reveal(
    number: Number,
    party: PartyId,
    said: Annotated[Why, Body(openapi_examples=examples.of("reveal_request"))],
    db: Db,
    who: Who = may("person.reveal"),
) -> Response:
    """For a reason, which stays in the timeline of the case with who looked and when.

    It takes no Idempotency-Key: an answer that is kept to be given again would be kept plain.
    """
    seen = await db.write(
        parties.reveal, number, party, actor=who.name, reason=said.reason, at=datetime.now(UTC),
        acting=who.organisation_id,
    )  # fmt: skip
    return Json(seen, headers=NO_STORE)
