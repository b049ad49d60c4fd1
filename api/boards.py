"""The page of the indicators."""

from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from api.access import Who, may
from api.answers import NO_STORE
from api.deps import Db
from api.incidents import Language
from api.indicators import board_of, place_of
from api.problems import documented
from api.schemas_indicators import AskedBoard
from data.indicators import names
from data.indicators.registry import DEFINITIONS
from data.settings import settings
from layers.board import Column
from layers.board import board as draw
from layers.i18n import Lang

router = APIRouter(tags=["pages"])
COLUMNS = [Column(each.name, each.unit, each.title, each.top, each.bottom) for each in DEFINITIONS]


class AskedPage(AskedBoard):
    """Which board, in which language."""

    lang: Language = "zh"


@router.get(
    "/board",
    summary="The board of the indicators",
    response_class=HTMLResponse,
    responses=documented("validation", "area-unknown", "period-wrong", "breakdown-wrong"),
)
async def board(
    asked: Annotated[AskedPage, Query()], db: Db, who: Who = may("indicator.read")
) -> Response:
    """How well it goes in a period, in all and by area, with what each figure is made of."""
    return HTMLResponse(await db.apart(_page, asked, who), headers=NO_STORE)


def _page(connection: Connection, asked: AskedPage, who: Who) -> str:
    state = board_of(connection, asked, who)
    lang: Lang = asked.lang
    name = None
    place = place_of(connection, asked, who)
    if place:
        name = names.of(connection, place.layer, [place.id])[place.id]["name"]
    first, last = asked.days()
    said = {"from": first.isoformat(), "to": last.isoformat(), "area": place.code if place else "",
            "by": asked.by, "kind": asked.kind or "", "organisation": asked.organisation or "",
            "areas": asked.areas}  # fmt: skip
    refreshed = state["refreshed"]
    local = refreshed and refreshed.astimezone(ZoneInfo(settings().timezone))
    kept = {key: value for key, value in said.items() if value}
    return draw(state, COLUMNS, asked=kept, name=name, as_of=local, lang=lang)
