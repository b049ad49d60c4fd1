"""The page of the warnings."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from api.access import Who, may
from api.answers import NO_STORE
from api.deps import Db
from api.incidents import Language
from api.maps import Grounds
from api.problems import documented
from data import early_warning_lists
from data.settings import settings
from layers.early_warnings import early_warnings as draw_warnings

router = APIRouter(prefix="/maps", tags=["pages"])
LEVELS = ("districts", "towns", "villages")


@router.get(
    "/warnings",
    summary="Warnings by urgency",
    response_class=HTMLResponse,
    responses=documented("validation"),
)
async def warnings(
    request: Request, db: Db, lang: Language = "zh", who: Who = may("analysis.read")
) -> Response:
    """What is open or under way, with what is usual beside what is, in a list and on a map."""
    grounds: Grounds = request.app.state.grounds
    ground = await grounds.newest(db, LEVELS)

    def draw(connection: Connection) -> str:
        now = datetime.now(UTC)
        rows = early_warning_lists.urgent(connection, now=now)
        looks = early_warning_lists.looks(connection, limit=2)
        return draw_warnings(ground, rows, looks, now=now, lang=lang, timezone=settings().timezone)

    return HTMLResponse(await db.apart(draw), headers=NO_STORE)
