"""The page on which people sign in, and their way to the provider of OpenID Connect and back."""

import re
import secrets
from datetime import UTC, datetime
from typing import Annotated, Literal
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.answers import NO_STORE
from api.deps import Db
from api.problems import Problem, documented
from api.provider import Provider, ProviderError
from api.sessions import FLOW_COOKIE, provider_of, signed_in, tried
from api.throttle import Tried, TriedBefore
from data import identities
from data.sign_in import SignInError
from layers.i18n import Lang
from layers.sign_in import sign_in as draw

router = APIRouter(tags=["pages"])
Next = Annotated[str, Query(max_length=2000, description="where to go then, on this service")]
HOME = "/maps/dispatch"


@router.get(
    "/sign-in",
    summary="Sign in",
    response_class=HTMLResponse,
    responses=documented("validation"),
)
async def page(
    request: Request,
    next: Next = HOME,
    lang: Annotated[Lang | None, Query(description="else that of next, else Chinese")] = None,
    step: Annotated[
        Literal["second_factor"] | None, Query(description="what is missing after the provider")
    ] = None,
) -> HTMLResponse:
    """With login and password, and for some a second factor; or with the provider, if any."""
    return _page(request, _here(next), lang, digits=step is not None)


@router.get(
    "/sign-in/provider",
    status_code=303,
    summary="Sign in with the provider",
    response_class=Response,
    responses=documented("validation", "no-provider", "too-many-tries"),
)
async def leave(request: Request, db: Db, trying: Tried, next: Next = HOME) -> Response:
    """Leads to the provider of OpenID Connect, which leads back to `/sign-in/provider/back`."""
    provider, target = _provider(request), _here(next)
    flow = await db.write(identities.begin, target)
    try:
        address = await provider.leave(flow, _back(request))
    except ProviderError as error:
        return _page(request, target, None, told=error.reason, status=503)
    answer = RedirectResponse(address, 303, NO_STORE)
    answer.set_cookie(
        FLOW_COOKIE, flow.secret, max_age=60 * identities.FLOW_MIN, httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


_STATUS = {
    "away": 503, "refused": 401, "no_flow": 400, "no_account": 403, "ended": 403, "enrol": 403,
    "locked": 429,
}  # fmt: skip


@router.get(
    "/sign-in/provider/back",
    status_code=303,
    summary="Come back from the provider",
    response_class=Response,
    responses=documented("validation", "no-provider"),
)
async def back(
    request: Request,
    db: Db,
    trying: TriedBefore,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4000)] = "",
    iss: Annotated[str | None, Query(max_length=2000)] = None,
    error: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Signed in and where they wanted to go; or the page to sign in, which says why not."""
    provider = _provider(request)
    secret = request.cookies.get(FLOW_COOKIE, "")
    ours = secrets.compare_digest(identities.state_of(secret).encode(), state.encode())
    flow = await db.write(identities.back, secret) if ours else None
    if flow is None:
        return _page(request, HOME, None, told="no_flow", status=400)
    try:
        if error is not None or not code:
            raise ProviderError("refused", f"The provider says {error or 'nothing'}.")
        now = datetime.now(UTC)
        vouched = await provider.vouches(flow, code, _back(request), iss, now)
    except ProviderError as why:
        await db.write(identities.refuse, "provider", str(why), provider.issuer)
        return _page(request, flow.target, None, told=why.reason, status=_STATUS[why.reason])
    session = await db.write(
        tried(identities.arrive), secret, provider.issuer, vouched.subject,
        strong=vouched.strong, login=vouched.login,
    )  # fmt: skip
    if isinstance(session, str):
        trying.give_back()
        return signed_in(request, RedirectResponse(flow.target, 303, NO_STORE), session)
    return _not_yet(request, flow.target, session, vouched.subject)


def _not_yet(request: Request, target: str, error: SignInError, subject: str) -> Response:
    if error.reason == "second_factor":
        asked = f"/sign-in?step=second_factor&next={quote(target, safe='')}"
        return RedirectResponse(asked, 303, NO_STORE)
    status = _STATUS[error.reason]
    return _page(request, target, None, told=error.reason, subject=subject, status=status)


def _page(
    request: Request,
    target: str,
    lang: Lang | None,
    *,
    digits: bool = False,
    told: str | None = None,
    subject: str = "",
    status: int = 200,
) -> HTMLResponse:
    provider = provider_of(request)
    label = provider.label if provider else None
    html = draw(
        target, lang or _lang(target), provider=label, told=told, subject=subject, digits=digits
    )
    return HTMLResponse(html, status, NO_STORE)


def _provider(request: Request) -> Provider:
    provider = provider_of(request)
    if provider is None:
        raise Problem("no-provider")
    return provider


def _back(request: Request) -> str:
    return f"{request.base_url}sign-in/provider/back"


def _here(target: str) -> str:
    """An address that another page gave must not lead to another host.

    Browsers drop control characters and take a backslash for a slash.
    """
    return target if re.fullmatch(r"/(?![/\\])[^\x00-\x20\\]*", target) else HOME


def _lang(target: str) -> Lang:
    """The language of the page to which it leads."""
    asked = parse_qs(urlsplit(target).query).get("lang")
    return "en" if asked == ["en"] else "zh"
