"""Agreements of a case, and a court's confirmation of them."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.calendars import WRITE
from api.cases import Number
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas_referrals import (
    AgreementPut,
    AgreementReword,
    Agreements,
    ConfirmationAsk,
    ConfirmationDecide,
)
from data import agreements, case_lists
from data.agreements import Decision, Wording

router = APIRouter(prefix="/api/v1/cases/{number}/agreements", tags=["referrals"])
Which = Annotated[int, Path(ge=1, le=2**31 - 1, description="number of it in the case")]
_LIST = {"model": Agreements, **examples.ok(examples.of("agreements"))}
_DONE = (*WRITE, "case-unknown", "reason-missing")


@router.get(
    "",
    summary="The agreements of a case",
    responses={200: _LIST, **documented("validation", "case-unknown")},
)
async def listed(number: Number, db: Db, who: Who = may("case.read")) -> Response:
    """Every version of each; the highest holds."""

    async with db.snapshot() as run:
        if await run(case_lists.get, number) is None:
            raise Problem("case-unknown", f"There is no case {number}.", field="number")
        return await run(_all, number)


@router.post(
    "",
    status_code=201,
    summary="Write down what the parties agreed",
    responses={201: {"description": "Kept", **_LIST}, **documented(*_DONE, "parties-missing")},
)
async def agree(
    number: Number,
    asked: Annotated[AgreementPut, Body(openapi_examples=examples.of("agreement_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """The parties are named by their roles, never by their names."""

    def work(connection: Connection) -> Response:
        agreements.agree(connection, number, _wording(asked), actor=who.name)
        return _all(connection, number, 201)

    return await once(work)


@router.put(
    "/{agreement}",
    summary="Word an agreement anew",
    responses={200: _LIST, **documented(*_DONE, "agreement-unknown", "parties-missing")},
)
async def reword(
    number: Number,
    agreement: Which,
    asked: Annotated[AgreementReword, Body(openapi_examples=examples.of("reword_request"))],
    once: Once,
    who: Who = may("case.write"),
) -> Response:
    """A new version; what a court said of the one before does not hold for it."""

    def work(connection: Connection) -> Response:
        agreements.reword(
            connection, number, agreement, _wording(asked), reason=asked.reason, actor=who.name
        )
        return _all(connection, number)

    return await once(work)


@router.post(
    "/{agreement}/confirmation",
    status_code=201,
    summary="Ask a court to confirm an agreement",
    responses={
        201: {"description": "Asked", **_LIST},
        **documented(*_DONE, "agreement-unknown", "agreement-decided", "organisation-unknown"),
    },
)
async def apply(
    number: Number,
    agreement: Which,
    asked: Annotated[ConfirmationAsk, Body(openapi_examples=examples.of("confirmation_request"))],
    once: Once,
    who: Who = may("referral.write"),
) -> Response:
    """司法确认, of the wording that holds."""

    def work(connection: Connection) -> Response:
        agreements.apply(connection, number, agreement, court=asked.court, actor=who.name)
        return _all(connection, number, 201)

    return await once(work)


@router.put(
    "/{agreement}/confirmation",
    summary="Write down what the court decided",
    responses={200: _LIST, **documented(*_DONE, "agreement-unknown", "agreement-not-applied")},
)
async def decide(
    number: Number,
    agreement: Which,
    asked: Annotated[
        ConfirmationDecide, Body(openapi_examples=examples.of("confirmation_decision_request"))
    ],
    once: Once,
    who: Who = may("referral.write"),
) -> Response:
    """Confirmed, or refused with the reason, under the court's docket number."""
    decision = Decision(asked.decision, asked.at, asked.reason)

    def work(connection: Connection) -> Response:
        agreements.decide(
            connection, number, agreement, decision, docket=asked.docket, actor=who.name
        )
        return _all(connection, number)

    return await once(work)


def _wording(asked: AgreementPut) -> Wording:
    return Wording(asked.text, asked.parties, asked.signed)


def _all(connection: Connection, number: int, status: int = 200) -> Response:
    found = [dict(row) for row in agreements.versions(connection, number)]
    return Json({"case": number, "agreements": found}, status, NO_STORE)
