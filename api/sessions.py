"""Signing in and out."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Body, Request, Response
from pydantic import SecretStr
from sqlalchemy import Connection

from api import examples
from api.access import COOKIE, SignedIn, Who, shown
from api.answers import NO_STORE, Json
from api.deps import Database, Db
from api.problems import Problem, documented
from api.schemas_accounts import Password, SigningIn
from api.schemas_accounts import SignedIn as Shown
from data import accounts
from data.accounts import SignInError

router = APIRouter(prefix="/api/v1/sessions", tags=["accounts"])
_BODY = ("validation", "not-json", "wrong-content-type", "too-large")


@router.post(
    "",
    status_code=201,
    summary="Sign in",
    responses={
        201: {"model": Shown, "description": "Signed in", **examples.ok(examples.of("signed_in"))},
        **documented(*_BODY, "sign-in-refused", "account-locked"),
    },
)
async def sign_in(
    given: Annotated[SigningIn, Body(openapi_examples=examples.of("sign_in_request"))],
    request: Request,
    db: Db,
) -> Response:
    """For a while; a browser gets a cookie that no script can read, a program the token."""
    proof, right = await _proved(db, given.login, given.password)
    secret = await db.write(_try, given.login, proof, right, given.code)
    if isinstance(secret, SignInError):
        raise _refused(secret)
    who = await db.read(accounts.of_session, secret)
    assert who is not None
    answer = Json({**_shown(who), "token": secret}, 201, NO_STORE)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="lax", secure=secure)
    return answer


# Passwords take long to prove, by intent: so many at once, and whoever floods waits for themselves.
_PROVING = anyio.CapacityLimiter(2)


async def _proved(db: Database, login: str, password: SecretStr) -> tuple[str | None, bool]:
    """The proof of an account's password, and whether this is the password; on no connection."""
    proof = await db.read(accounts.password_of, login)
    told = password.get_secret_value()
    right = await anyio.to_thread.run_sync(accounts.is_right, proof, told, limiter=_PROVING)
    return proof, right


def _try(
    connection: Connection, login: str, proof: str | None, right: bool, code: str | None
) -> str | SignInError:
    """The secret, or why not: what is counted of a wrong try is to be committed, too."""
    try:
        return accounts.sign_in(connection, login, proof, right, code)
    except SignInError as error:
        return error


def _refused(error: SignInError) -> Problem:
    if error.reason == "locked":
        headers = {"Retry-After": str(error.facts["retry_after_s"])}
        return Problem("account-locked", str(error), headers=headers)
    return Problem("sign-in-refused", str(error), reason=error.reason)


def _shown(who: Who) -> dict[str, object]:
    return {
        "name": who.name, "organisation": who.organisation_id, "permissions": sorted(who.grants),
        "token": None,
    }  # fmt: skip


@router.get(
    "/current",
    summary="Who is signed in",
    responses={
        200: {"model": Shown, **examples.ok({**examples.of("signed_in"), "token": None})},
        **documented("not-signed-in"),
    },
)
async def current(who: SignedIn) -> Response:
    """By which name they act, and what they may."""
    return Json(_shown(who), headers=NO_STORE)


@router.delete("/current", status_code=204, summary="Sign out", responses=documented())
async def sign_out(request: Request, db: Db) -> Response:
    """The session ends at once, everywhere."""
    secret, _ = shown(request)
    if secret is not None:
        await db.write(accounts.sign_out, secret)
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE)
    return answer


@router.put(
    "/current/password",
    status_code=204,
    summary="Change one's own password",
    responses=documented(
        *_BODY, "not-signed-in", "not-permitted", "account-refused", "sign-in-refused"
    ),
)
async def change(
    given: Annotated[Password, Body(openapi_examples=examples.of("password_request"))],
    who: SignedIn,
    db: Db,
) -> Response:
    """Every session of the account ends; sign in with the new one."""
    if who.account_id is None:
        raise Problem("not-permitted", "A token has no password; make another token.")
    proof, right = await _proved(db, who.name, given.old)
    new = given.new.get_secret_value()
    refused = await db.write(accounts.change_password, who.name, proof, right, new)
    if refused is not None:
        raise _refused(refused)
    return Response(status_code=204)
