"""Signing in and out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import anyio
from fastapi import APIRouter, Body, Request, Response
from pydantic import SecretStr
from sqlalchemy import Connection

from api import examples
from api.access import COOKIE, SignedIn, Who, shown
from api.answers import NO_STORE, Json
from api.deps import Database, Db
from api.problems import Problem, documented
from api.provider import Provider
from api.schemas_accounts import Digits, Leaving, Password, SigningIn
from api.schemas_accounts import SignedIn as Shown
from api.throttle import Tried, Try
from data import accounts, identities, sign_in
from data.access import acting
from data.sign_in import SignInError

router = APIRouter(prefix="/api/v1/sessions", tags=["accounts"])
FLOW_COOKIE = "wangge_sign_in"
_BODY = ("validation", "not-json", "wrong-content-type", "too-large")
_REFUSED = ("sign-in-refused", "account-locked", "too-many-tries")
_DONE: dict[str, Any] = {
    "model": Shown, "description": "Signed in", **examples.ok(examples.of("signed_in")),
}  # fmt: skip
P = ParamSpec("P")
R = TypeVar("R", bound=Response)


@router.post(
    "",
    status_code=201,
    summary="Sign in",
    responses={201: _DONE, **documented(*_BODY, *_REFUSED)},
)
async def enter(
    given: Annotated[SigningIn, Body(openapi_examples=examples.of("sign_in_request"))],
    request: Request,
    db: Db,
    trying: Tried,
) -> Response:
    """For a while; a browser gets a cookie that no script can read, a program the token."""
    proof, right = await _proved(db, given.login, given.password)
    secret = await db.write(tried(sign_in.sign_in), given.login, proof, right, given.code)
    return await _let_in(request, db, trying, secret)


@router.post(
    "/second-factor",
    status_code=201,
    summary="Give the second factor after the provider",
    responses={201: _DONE, **documented(*_BODY, *_REFUSED, "no-provider")},
)
async def add_factor(
    given: Annotated[Digits, Body(openapi_examples=examples.of("digits_request"))],
    request: Request,
    db: Db,
    trying: Tried,
) -> Response:
    """For whom the provider vouched without asking for one itself; by the cookie of their way."""
    provider = provider_of(request)
    if provider is None:
        raise Problem("no-provider")
    flow = request.cookies.get(FLOW_COOKIE, "")
    secret = await db.write(tried(identities.finish), flow, provider.issuer, given.code)
    return await _let_in(request, db, trying, secret)


async def _let_in(
    request: Request, db: Database, trying: Try, secret: str | SignInError
) -> Response:
    if isinstance(secret, SignInError):
        if secret.reason not in ("wrong", "locked"):
            trying.give_back()
        raise _refused(secret)
    trying.give_back()
    who = await db.read(accounts.of_session, secret)
    assert who is not None
    return signed_in(request, Json({**_shown(who), "token": secret}, 201, NO_STORE), secret)


def signed_in(request: Request, answer: R, secret: str) -> R:
    """An answer that also gives a browser its session."""
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, secret, httponly=True, samesite="lax", secure=secure)
    if FLOW_COOKIE in request.cookies:
        answer.delete_cookie(FLOW_COOKIE)
    return answer


def provider_of(request: Request) -> Provider | None:
    """The provider of OpenID Connect with which people sign in; None: there is none."""
    found: Provider | None = request.app.state.provider
    return found


# Passwords take long to prove, by intent: so many at once, and whoever floods waits for themselves.
_PROVING = anyio.CapacityLimiter(2)


async def _proved(db: Database, login: str, password: SecretStr) -> tuple[str | None, bool]:
    """The proof of an account's password, and whether this is the password; on no connection."""
    proof = await db.read(sign_in.password_of, login)
    told = password.get_secret_value()
    right = await anyio.to_thread.run_sync(sign_in.is_right, proof, told, limiter=_PROVING)
    return proof, right


def tried(
    opens: Callable[Concatenate[Connection, P], str],
) -> Callable[Concatenate[Connection, P], str | SignInError]:
    """What opens a session, or why it did not: what a wrong try counts is to be committed."""

    def trying(connection: Connection, /, *args: P.args, **kwargs: P.kwargs) -> str | SignInError:
        try:
            return opens(connection, *args, **kwargs)
        except SignInError as error:
            return error

    return trying


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


@router.delete(
    "/current",
    status_code=204,
    summary="Sign out",
    responses={
        200: {"model": Leaving, "description": "Signed out here; the provider is asked at `leave`",
              **examples.ok(examples.of("leaving"))},
        **documented(),
    },
)  # fmt: skip
async def sign_out(request: Request, db: Db) -> Response:
    """The session ends at once, everywhere; where the provider ends its own, the answer says."""
    secret, _ = shown(request)
    issuer = await db.write(sign_in.sign_out, secret) if secret is not None else None
    provider, leave = provider_of(request), None
    if provider is not None and provider.issuer == issuer:
        leave = await provider.farewell(f"{request.base_url}sign-in")
    answer = Json({"leave": leave}, headers=NO_STORE) if leave else Response(status_code=204)
    answer.delete_cookie(COOKIE)
    return answer


@router.put(
    "/current/password",
    status_code=204,
    summary="Change one's own password",
    responses=documented(
        *_BODY, "not-signed-in", "not-permitted", "account-refused", "sign-in-refused",
        "account-locked",
    ),
)  # fmt: skip
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

    def work(connection: Connection) -> SignInError | None:
        refused = sign_in.change_password(connection, who.name, proof, right, new)
        if refused is not None:  # and the audit says so, not that it was done
            acting.set(replace(who, deed=f"{who.deed} refused"))
        return refused

    if refused := await db.write(work):
        raise _refused(refused)
    return Response(status_code=204)
