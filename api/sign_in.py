"""The page on which people sign in."""

import re
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from api.answers import NO_STORE
from api.incidents import Language
from api.problems import documented
from layers.sign_in import sign_in as draw

router = APIRouter(tags=["pages"])
Next = Annotated[str, Query(max_length=2000, description="where to go then, on this service")]


@router.get(
    "/sign-in",
    summary="Sign in",
    response_class=HTMLResponse,
    responses=documented("validation"),
)
async def page(next: Next = "/maps/dispatch", lang: Language = "zh") -> HTMLResponse:
    """With login and password, and for some a second factor."""
    # An address that another page gave must not lead to another host; browsers drop control
    # characters and take a backslash for a slash.
    here = re.fullmatch(r"/(?![/\\])[^\x00-\x20\\]*", next)
    return HTMLResponse(draw(next if here else "/maps/dispatch", lang),
                        headers=NO_STORE)  # fmt: skip
