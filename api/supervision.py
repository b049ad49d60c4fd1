"""Supervision orders (督办): issued, answered by the supervised, closed by who issued them."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection

from api import acting, examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.calendars import WRITE
from api.deps import Db
from api.once import Once
from api.problems import documented
from api.schemas import BIGGEST, Word
from api.schemas_clocks import OrderAnswer, OrderClose, OrderIssue, Orders, OrderShown
from data import cases, supervision
from data.supervision import Order

router = APIRouter(prefix="/api/v1/supervision", tags=["supervision"])
Number = Annotated[int, Path(ge=1, le=BIGGEST, description="the order's number", examples=[1])]
_ORDER = {"model": OrderShown, **examples.ok(examples.of("order"))}


@router.get(
    "",
    summary="List supervision orders",
    responses={
        200: {"model": Orders, **examples.ok(examples.of("orders"))},
        **documented("validation", "organisation-unknown"),
    },
)
async def listed(
    db: Db,
    open_: Annotated[bool, Query(alias="open", description="only those not closed")] = True,
    late: Annotated[bool, Query(description="only those not answered in time")] = False,
    organisation: Annotated[Word | None, Query(description="code of the supervised")] = None,
    incident: Annotated[int | None, Query(ge=1, le=BIGGEST)] = None,
    before: Annotated[int | None, Query(ge=1, le=BIGGEST, description="go on from here")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    who: Who = may("case.read"),
) -> Response:
    """The newest first."""
    async with db.snapshot() as run:
        supervised = await run(_number, organisation) if organisation else None
        found = await run(
            supervision.listed, open_=open_, late=late, organisation_id=supervised,
            incident_id=incident, before=before, limit=limit,
        )  # fmt: skip
    onward = str(found[-1].id) if len(found) == limit else None
    return Json({"orders": [_shown(order) for order in found], "next": onward}, headers=NO_STORE)


@router.post(
    "",
    status_code=201,
    summary="Issue a supervision order",
    responses={
        201: {"description": "Issued", **_ORDER},
        **documented(
            *WRITE, "incident-unknown", "organisation-unknown", "supervision-of-itself",
            "reason-missing", "acting-unknown", "acting-for-another",
        ),
    },
)  # fmt: skip
async def issue(
    asked: Annotated[OrderIssue, Body(openapi_examples=examples.of("order_request"))],
    once: Once,
    who: Who = may("supervision.write"),
) -> Response:
    """The organisation has the service time of the clock `supervision` to answer it."""

    def work(connection: Connection) -> Response:
        order = supervision.issue(
            connection, asked.incident,
            organisation_id=_number(connection, asked.organisation),
            issuer_id=acting.number(connection, who, asked), reason=asked.reason, actor=who.name,
            at=datetime.now(UTC),
        )  # fmt: skip
        return Json(_shown(order), 201, {"Location": f"{router.prefix}/{order.id}", **NO_STORE})

    return await once(work)


@router.get(
    "/{number}",
    summary="Read a supervision order",
    responses={200: _ORDER, **documented("validation", "supervision-unknown")},
)
async def read(number: Number, db: Db, who: Who = may("case.read")) -> Response:
    """With its answers, and until when one is due."""
    return Json(_shown(await db.read(supervision.get, number)), headers=NO_STORE)


_ANSWERING = (
    *WRITE, "supervision-unknown", "supervision-closed", "organisation-unknown", "reason-missing",
    "acting-unknown", "acting-for-another",
)  # fmt: skip


@router.post(
    "/{number}/answers",
    status_code=201,
    summary="Answer a supervision order",
    responses={
        201: {"description": "Answered", **_ORDER},
        **documented(*_ANSWERING, "not-supervised"),
    },
)
async def answer(
    number: Number,
    said: Annotated[OrderAnswer, Body(openapi_examples=examples.of("order_answer_request"))],
    once: Once,
    who: Who = may("supervision.write"),
) -> Response:
    """By the organisation that it was issued to. It stays open until its issuer closes it."""

    def work(connection: Connection) -> Response:
        order = supervision.answer(
            connection, number, said.answer, organisation_id=acting.number(connection, who, said),
            actor=who.name, at=datetime.now(UTC),
        )  # fmt: skip
        return Json(_shown(order), 201, NO_STORE)

    return await once(work)


@router.post(
    "/{number}/close",
    summary="Close a supervision order",
    responses={200: _ORDER, **documented(*_ANSWERING, "not-issuer")},
)
async def close(
    number: Number,
    said: Annotated[OrderClose, Body(openapi_examples=examples.of("order_close_request"))],
    once: Once,
    who: Who = may("supervision.write"),
) -> Response:
    """By the organisation that issued it; the supervised can by no means close it."""

    def work(connection: Connection) -> Response:
        order = supervision.close(
            connection, number, organisation_id=acting.number(connection, who, said),
            actor=who.name, outcome=said.outcome, at=datetime.now(UTC),
        )  # fmt: skip
        return Json(_shown(order), headers=NO_STORE)

    return await once(work)


def _number(connection: Connection, code: str) -> int:
    return int(cases.organisation(connection, code)["id"])


def _shown(order: Order) -> dict[str, Any]:
    kept = {name: value for name, value in vars(order).items() if name in OrderShown.model_fields}
    return {**kept, "incident": order.incident_id, "clock": order.clock_id}
