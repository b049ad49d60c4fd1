"""Who asks, and what they may: a route demands a permission, and names it."""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from api.deps import Database, Db
from api.problems import Problem
from data import accounts
from data.access import Who, acting

__all__ = ["COOKIE", "SignInFirst", "SignedIn", "Who", "install", "may", "shown"]
COOKIE = "wangge_session"
_SAFE = ("GET", "HEAD", "OPTIONS")


class SignInFirst(Exception):  # noqa: N818 (an answer, not an error)
    """A browser asks for a page and nobody is signed in; `target` is where to go."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target


def install(app: FastAPI) -> None:
    """Lead browsers to the page on which people sign in."""
    app.add_exception_handler(SignInFirst, _to_sign_in)


async def _to_sign_in(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInFirst)
    return RedirectResponse(error.target, 303, {"Cache-Control": "no-store"})


def shown(request: Request) -> tuple[str | None, bool]:
    """The secret that a request shows, and whether it is a browser's cookie."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip(), False
    return request.cookies.get(COOKIE), True


async def _who(request: Request, db: Db) -> Who:
    """Whoever is signed in, or the system whose token it is."""
    acting.set(None)
    secret, by_cookie = shown(request)
    who = None
    if secret is not None:
        who = await db.read(accounts.of_session, secret)
        if who is None and not by_cookie:
            who = await db.read(accounts.of_token, secret)
    if who is None:
        raise _nobody(request)
    route = request.scope["route"].path
    who = replace(who, deed=f"{request.method} {route}", subject=request.url.path)
    acting.set(who)
    if by_cookie and request.method not in _SAFE and not _is_ours(request):
        await _refuse(who, db, "refused (cross-site)")
        raise Problem("cross-site")
    return who


def _nobody(request: Request) -> Exception:
    page = request.method == "GET" and not request.url.path.startswith("/api/")
    if page and "text/html" in request.headers.get("accept", ""):
        query = f"?{request.url.query}" if request.url.query else ""
        return SignInFirst(f"/sign-in?next={quote(request.url.path + query)}")
    return Problem("not-signed-in", headers={"WWW-Authenticate": "Bearer"})


def _is_ours(request: Request) -> bool:
    """Whether a page of this service asks: another's must not act through somebody's browser."""
    site = request.headers.get("sec-fetch-site")
    origin = urlsplit(request.headers.get("origin", ""))
    same = origin.netloc == request.headers.get("host") if origin.netloc else False
    return site in (None, "same-origin", "none") and bool(site or same)


SignedIn = Annotated[Who, Depends(_who)]


def may(permission: str, *, everywhere: bool = False) -> Any:
    """What a route demands of its caller, as a parameter `who: Who = may("case.write")`.

    It sees the areas for which the caller is permitted that; `everywhere`: all of them, for the
    route itself chooses what it shows.
    """

    async def permitted(who: SignedIn, db: Db) -> Who:
        if not who.may(permission):
            await _refuse(who, db)
            raise Problem("not-permitted", permission=permission)
        who = replace(who, areas=None if everywhere else who.grants[permission])
        acting.set(who)
        return who

    permitted.permission = permission  # type: ignore[attr-defined]
    return Depends(permitted)


async def _refuse(who: Who, db: Database, how: str = "refused") -> None:
    """Write down that somebody was refused what they asked for."""
    acting.set(replace(who, deed=f"{who.deed} {how}"))
    await db.write(_nothing)


def _nothing(_: Connection) -> None:
    """What is written is only that it was asked for."""
