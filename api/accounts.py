"""Accounts, the tokens of other systems, and the audit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query, Request, Response
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import Who, may
from api.account_deeds import WAITS
from api.answers import NO_STORE, Json
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas import BIGGEST, Moment, Word
from api.schemas_accounts import (
    AccountShown,
    AccountsShown,
    Changed,
    Deeds,
    Enrolment,
    Given,
    Identity,
    NewAccount,
    NewToken,
    TokenMade,
    TokensShown,
)
from api.sessions import provider_of
from data import account_deeds, accounts, audit, territory
from data.access import POWERS, acting
from data.account_deeds import Asked, Deed

router = APIRouter(prefix="/api/v1", tags=["accounts"])
Number = Annotated[int, Path(ge=1, le=BIGGEST, examples=[1])]
_WRITE = (
    "validation", "not-json", "wrong-content-type", "too-large", "account-refused",
    "area-unknown",
)  # fmt: skip
_ONE = {"model": AccountShown, **examples.ok(examples.of("account"))}


@router.get(
    "/accounts",
    summary="List accounts",
    responses={
        200: {"model": AccountsShown, **examples.ok({"accounts": [examples.of("account")]})},
        **documented(),
    },
)
async def listed(db: Db, who: Who = may("account.manage")) -> Response:
    """With their roles, by login; passwords are not kept, only what proves them."""
    rows = await db.read(accounts.listed)
    return Json({"accounts": [dict(row) for row in rows]}, headers=NO_STORE)


@router.post(
    "/accounts",
    status_code=201,
    summary="Make an account",
    responses={201: {"description": "Made", **_ONE}, 202: WAITS, **documented(*_WRITE)},
)
async def make(
    given: Annotated[NewAccount, Body(openapi_examples=examples.of("account_request"))],
    db: Db,
    who: Who = may("account.manage"),
) -> Response:
    """With roles in areas. A role with power asks for a second factor: set it up, too."""

    def work(connection: Connection) -> Response:
        password = given.password and given.password.get_secret_value()
        wanted = {
            "login": given.login, "roles": _roles(connection, given.roles),
            "password": password and accounts.proved(given.login, password),
            "organisation": given.organisation, "resource": given.resource,
        }  # fmt: skip
        return _answer(connection, Deed("make", given=wanted), who, 201)

    return await db.write(work)


@router.patch(
    "/accounts/{number}",
    summary="Change an account's roles or password",
    responses={200: _ONE, 202: WAITS, **documented(*_WRITE, "account-unknown")},
)
async def change(
    number: Number,
    given: Annotated[Changed, Body(openapi_examples=examples.of("account_change_request"))],
    db: Db,
    who: Who = may("account.manage"),
) -> Response:
    """Its sessions end at once."""

    def work(connection: Connection) -> Response:
        wanted: dict[str, Any] = {}
        if given.password is not None:
            login = _known(connection, number)["login"]
            wanted["password"] = accounts.proved(login, given.password.get_secret_value())
        if given.roles is not None:
            wanted["roles"] = _roles(connection, given.roles)
        return _answer(connection, Deed("change", number, wanted), who)

    return await db.write(work)


@router.post(
    "/accounts/{number}/second-factor",
    status_code=201,
    summary="Set a second factor up",
    responses={
        201: {"model": Enrolment, "description": "Made", **examples.ok(examples.of("enrolment"))},
        202: WAITS,
        **documented("validation", "account-unknown", "account-refused"),
    },
)
async def enrol(number: Number, db: Db, who: Who = may("account.manage")) -> Response:
    """The one before holds no more; the address is shown this once."""
    return await db.write(_answer, Deed("second_factor", number), who, 201)


@router.put(
    "/accounts/{number}/identity",
    summary="Link an account with whom the provider knows",
    responses={200: _ONE, 202: WAITS, **documented(*_WRITE, "account-unknown", "no-provider")},
)
async def link(
    number: Number,
    given: Annotated[Identity, Body(openapi_examples=examples.of("identity_request"))],
    request: Request,
    db: Db,
    who: Who = may("account.manage"),
) -> Response:
    """They sign in with the provider of OpenID Connect; who was linked before does no more."""
    wanted = {"issuer": _issuer(request), "subject": given.subject}
    return await db.write(_answer, Deed("link", number, wanted), who)


@router.delete(
    "/accounts/{number}/identity",
    summary="Take the provider's way in from an account",
    responses={
        200: _ONE, 202: WAITS,
        **documented("validation", "account-unknown", "account-refused", "no-provider"),
    },
)  # fmt: skip
async def unlink(
    number: Number, request: Request, db: Db, who: Who = may("account.manage")
) -> Response:
    """Sessions that came by it end at once."""
    wanted = {"issuer": _issuer(request)}
    return await db.write(_answer, Deed("unlink", number, wanted), who)


@router.delete(
    "/accounts/{number}",
    status_code=204,
    summary="End an account",
    responses={
        202: WAITS, **documented("validation", "key-reused", "account-unknown", "account-refused"),
    },
)  # fmt: skip
async def end(number: Number, once: Once, who: Who = may("account.manage")) -> Response:
    """Whoever is signed in with it is so no more."""
    return await once(_answer, Deed("end", number), who, 204)


@router.post(
    "/accounts/{number}/reopening",
    summary="Reopen an account that has ended",
    responses={
        200: _ONE, 202: WAITS,
        **documented("validation", "key-reused", "account-unknown", "account-refused"),
    },
)  # fmt: skip
async def reopen(number: Number, once: Once, who: Who = may("account.manage")) -> Response:
    """With the roles that it had; its password and second factor are given anew."""
    return await once(_answer, Deed("reopen", number), who)


@router.get(
    "/tokens",
    summary="List the tokens that hold",
    responses={
        200: {"model": TokensShown, **examples.ok(examples.of("tokens"))}, **documented(),
    },
)  # fmt: skip
async def tokens(db: Db, who: Who = may("account.manage")) -> Response:
    """What each may and until when; what it is, is kept nowhere."""
    rows = await db.read(accounts.tokens)
    return Json({"tokens": [dict(row) for row in rows]}, headers=NO_STORE)


@router.post(
    "/tokens",
    status_code=201,
    summary="Make a token for another system",
    responses={
        201: {"model": TokenMade, "description": "Made", **examples.ok(examples.of("token_made"))},
        **documented(*_WRITE),
    },
)
async def make_token(
    given: Annotated[NewToken, Body(openapi_examples=examples.of("token_request"))],
    db: Db,
    who: Who = may("account.manage"),
) -> Response:
    """It is shown this once; for what it does its name stands, or whom it asks for.

    A token with power over the system, or over what is sealed, is only made on the command line:
    who gives accounts would otherwise open with it what is kept from them.
    """
    if powers := sorted(set(POWERS) & set(given.permissions)):
        raise Problem(
            "account-refused",
            f"{powers[0]} is only given to a token on the command line.",
            field="permissions",
        )

    def work(connection: Connection) -> Response:
        number, secret = accounts.add_token(
            connection,
            given.name,
            given.permissions,
            actor=who.name,
            area_id=territory.id_of(connection, given.area),
            organisation=given.organisation,
            expires=given.expires,
        )
        return Json({"id": number, "token": secret}, 201, NO_STORE)

    return await db.write(work)


@router.delete(
    "/tokens/{number}",
    status_code=204,
    summary="End a token",
    responses=documented("validation", "key-reused", "token-unknown"),
)
async def end_token(number: Number, once: Once, who: Who = may("account.manage")) -> Response:
    """The system that has it may do nothing any more."""

    def work(connection: Connection) -> Response:
        if not accounts.withdraw_token(connection, number):
            raise Problem("token-unknown", f"No token {number} holds.", field="number")
        return Response(status_code=204)

    return await once(work)


@router.get(
    "/audit",
    summary="What was done and by whom",
    responses={200: {"model": Deeds, **examples.ok(examples.of("audit"))},
               **documented("validation")},
)  # fmt: skip
async def deeds(
    db: Db,
    actor: Annotated[Word | None, Query(description="who did it")] = None,
    action: Annotated[Word | None, Query(description="how it begins: POST /api/v1/cases")] = None,
    since: Annotated[Moment | None, Query()] = None,
    until: Annotated[Moment | None, Query()] = None,
    before: Annotated[
        int | None, Query(ge=1, le=BIGGEST, description="number of the last one seen")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    who: Who = may("audit.read"),
) -> Response:
    """The newest first. `python main.py audit verify` proves that nothing of it was changed."""
    chosen = {"actor": actor, "action": action}
    rows = await db.read(
        audit.listed, actor=actor, action=action, since=since, until=until, before=before,
        limit=limit,
    )  # fmt: skip
    asked = {**chosen, "since": since and since.isoformat(), "until": until and until.isoformat()}
    query = urlencode({k: v for k, v in {**asked, "limit": limit}.items() if v is not None})
    onward = (
        f"{router.prefix}/audit?{query}&before={rows[-1]['id']}" if len(rows) == limit else None
    )
    return Json({"audit": [dict(row) for row in rows], "next": onward}, headers=NO_STORE)


def _roles(connection: Connection, given: Sequence[Given]) -> list[dict[str, Any]]:
    return [
        {"role": each.role, "area_id": territory.id_of(connection, each.area)} for each in given
    ]


def _answer(connection: Connection, deed: Deed, who: Who, status: int = 200) -> Response:
    """What came of a deed: done, with this status, or waiting for a second person."""
    came = account_deeds.want(connection, deed, who)
    if isinstance(came, Asked):  # and the audit does not say that it was done
        acting.set(replace(who, deed=f"{who.deed} asked"))
        [row] = account_deeds.waiting(connection, came.deed)
        return Json(dict(row), 202, NO_STORE)
    if status == 204:
        return Response(status_code=204)
    if came.address is not None:
        return Json({"address": came.address}, status, NO_STORE)
    return Json(dict(_known(connection, came.account)), status, NO_STORE)


def _known(connection: Connection, number: int) -> RowMapping:
    rows = accounts.listed(connection, number)
    if not rows:
        raise Problem("account-unknown", f"There is no account {number}.", field="number")
    return rows[0]


def _issuer(request: Request) -> str:
    provider = provider_of(request)
    if provider is None:
        raise Problem("no-provider")
    return provider.issuer
