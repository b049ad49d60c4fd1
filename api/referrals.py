"""Referrals (六调对接): offered, accepted or declined, concluded; and who could mediate."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection

from api import acting, examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.calendars import WRITE
from api.cases import UNFINISHED
from api.deps import Db, Way
from api.incidents import Language, Most, for_incident
from api.once import Once
from api.problems import POSITION, Problem, documented
from api.reports import taken_in
from api.schemas import BIGGEST, Word
from api.schemas_incidents import Candidates
from api.schemas_referrals import (
    Direction,
    Kind,
    Referral,
    ReferralMove,
    ReferralOffer,
    Referrals,
)
from data import incidents, referral_lists, referrals
from data.referrals import Offer

router = APIRouter(prefix="/api/v1", tags=["referrals"])
Of = Annotated[int, Path(ge=1, le=BIGGEST)]
_ONE = {"model": Referral, **examples.ok(examples.of("referral"))}
_DONE = (
    *WRITE, *acting.REFUSED, "reason-missing", "case-not-allowed", "case-unknown",
    "case-not-accountable",
)  # fmt: skip


@router.get(
    "/referrals",
    summary="List referrals",
    responses={
        200: {"model": Referrals, **examples.ok(examples.of("referrals"))},
        **documented("validation"),
    },
)
async def listed(
    db: Db,
    open_: Annotated[bool, Query(alias="open", description="only those not ended")] = False,
    kind: Kind | None = None,
    direction: Direction | None = None,
    case: Annotated[int | None, Query(ge=1, le=BIGGEST)] = None,
    giver: Annotated[Word | None, Query(description="code of who offered it")] = None,
    receiver: Annotated[Word | None, Query(description="code of who received it")] = None,
    before: Annotated[
        int | None, Query(ge=1, le=BIGGEST, description="number of the last one seen")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    who: Who = may("case.read"),
) -> Response:
    """The newest first; a body that offered cases finds their outcomes here."""
    chosen: dict[str, Any] = {
        "kind": kind, "direction": direction, "case": case, "giver": giver, "receiver": receiver,
        "limit": limit,
    }  # fmt: skip
    found = await db.read(referral_lists.listed, open_only=open_, before=before, **chosen)
    asked = {**chosen, "open": "true" if open_ else None}
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    more = len(found) == limit
    onward = f"{router.prefix}/referrals?{query}&before={found[-1]['number']}" if more else None
    return Json({"referrals": found, "next": onward}, headers=NO_STORE)


@router.get(
    "/referrals/{number}",
    summary="Read a referral",
    responses={200: _ONE, **documented("validation", "referral-unknown")},
)
async def read(number: Of, db: Db, who: Who = may("case.read")) -> Response:
    """How it stands, and every step of it."""
    async with db.snapshot() as run:
        return Json(await run(referral_lists.get, number), headers=NO_STORE)


@router.post(
    "/referrals",
    status_code=201,
    summary="Offer a case to another body, or to a centre",
    responses={
        201: {"description": "Offered", **_ONE},
        **documented(
            *_DONE,
            "referral-open",
            "referral-refused",
            "team-unknown",
            "layer-unknown",
            "calendar-refused",
            "person-invalid",
            *POSITION,
        ),
    },
)
async def offer(
    asked: Annotated[ReferralOffer, Body(openapi_examples=examples.of("referral_request"))],
    once: Once,
    who: Who = may("referral.write"),
) -> Response:
    """Out: by who answers for the case, which is referred until it comes back.

    In: by another body, such as 110 with what is not the police's (`police_call`); what is no case
    yet opens one. The receiver has its time to say yes or no.
    """

    def work(connection: Connection) -> Response:
        number = asked.case or _opened(connection, asked)
        new = Offer(number, asked.kind, asked.direction, asked.what, asked.receiver, asked.team)
        made = referrals.offer(connection, new, acting.by(connection, who, asked))
        headers = {"Location": f"{router.prefix}/referrals/{made}", **NO_STORE}
        return Json(referral_lists.get(connection, made), 201, headers)

    return await once(work)


def _opened(connection: Connection, asked: ReferralOffer) -> int:
    """The case of the report that comes with it."""
    assert asked.report is not None  # the schema asks for one or the other
    number, _ = taken_in(connection, asked.report, asked.report.external_id or str(uuid4()))
    return referrals.case_of(connection, number)


@router.post(
    "/referrals/{number}/steps",
    status_code=201,
    summary="Accept, decline, withdraw, return or conclude a referral",
    responses={
        201: {"description": "Done", **_ONE},
        **documented(
            *_DONE, "referral-unknown", "referral-not-allowed", "not-giver", "not-receiver",
            *UNFINISHED,
        ),
    },
)  # fmt: skip
async def step(
    number: Of,
    asked: Annotated[ReferralMove, Body(openapi_examples=examples.of("referral_step_request"))],
    once: Once,
    who: Who = may("referral.write"),
) -> Response:
    """Of two who decide at once the first wins, and the other is told who it was."""

    def work(connection: Connection) -> Response:
        referrals.move(
            connection, number, asked.action, acting.by(connection, who, asked),
            words=asked.words, docket=asked.docket, resolves=asked.resolves,
        )  # fmt: skip
        return Json(referral_lists.get(connection, number), 201, NO_STORE)

    return await once(work)


@router.get(
    "/cases/{number}/mediators",
    summary="Who could mediate, best first, with reasons",
    responses={
        200: {"model": Candidates, **examples.ok(examples.CANDIDATES)},
        **documented("validation", "case-unknown"),
    },
)
async def mediators(
    number: Of,
    db: Db,
    way: Way,
    limit: Most = 5,
    lang: Language = "zh",
    who: Who = may("case.read"),
) -> Response:
    """Mediators, committees, studios and joint teams, by what the dispute is about, by the way to
    them and by how much they have to do.
    """

    def look(connection: Connection) -> dict[str, Any]:
        case = incidents.get(connection, number)
        if case is None:
            raise Problem("case-unknown", f"There is no case {number}.", field="number")
        return for_incident(
            connection, dict(case), way, limit=limit, lang=lang, kinds=referrals.MEDIATORS
        )

    return Json(await db.apart(look), headers=NO_STORE)
