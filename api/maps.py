"""The pages: maps drawn from the database, and what a problem's type means."""

import asyncio
import logging
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from html import escape
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import Connection

from api.access import may
from api.answers import NO_STORE
from api.deps import Db
from api.problem_kinds import KINDS
from api.problems import Problem, documented
from data import events
from data import overview as reading
from data.settings import settings
from layers.ground import Ground, ground
from layers.i18n import Lang
from layers.overview import overview as drawing
from layers.page import VENDOR

router = APIRouter(tags=["pages"])
log = logging.getLogger("wangge.maps")


class Grounds:
    """The ground of the newest map, kept, for it takes seconds to make."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, ...], asyncio.Lock] = defaultdict(asyncio.Lock)
        self.kept: dict[tuple[str, ...], tuple[Any, Ground]] = {}

    async def newest(self, db: Db, levels: tuple[str, ...] = reading.LEVELS) -> Ground:
        """The ground as the areas are now; whoever comes while it is made waits for the same."""
        async with self._locks[levels]:
            state = await db.read(reading.state)
            if levels not in self.kept or self.kept[levels][0] != state:
                self.kept[levels] = state, await db.apart(make_ground, levels)
            return self.kept[levels][1]

    async def warm(self, db: Db) -> None:
        """Make the ground before somebody asks; if that fails now, it is made for who asks."""
        try:
            await self.newest(db)
        except Exception as error:
            log.warning("The map's ground is made later: %s", error)


def make_ground(connection: Connection, levels: tuple[str, ...] = reading.LEVELS) -> Ground:
    """The ground as the areas are now, which takes seconds."""
    return ground(**reading.ground(connection, levels))


def install(app: FastAPI) -> None:
    """Serve the browser's libraries; nothing else of their packages."""
    app.state.grounds = Grounds()
    for prefix, folder in VENDOR.items():
        app.mount(prefix, StaticFiles(directory=folder, check_dir=False), name=prefix)


@router.get("/", include_in_schema=False)
async def home() -> Response:
    """To the overview."""
    return RedirectResponse("/maps/overview")


@router.get(
    "/maps/overview",
    dependencies=[may("page.read")],
    summary="The overview page of a day",
    response_class=HTMLResponse,
    responses=documented("validation", page=True),
)
async def overview(
    request: Request,
    db: Db,
    day: Annotated[date | None, Query(description="local date; else today")] = None,
    lang: Annotated[Lang, Query(description="language of the screen")] = "zh",
) -> Response:
    """Grids, the reports of the day, and what waits for a person, on a map without other hosts."""
    zone = ZoneInfo(settings().timezone)
    now = datetime.now(UTC)
    start, until = _day(day or now.astimezone(zone).date(), zone)
    grounds: Grounds = request.app.state.grounds
    under = await grounds.newest(db)

    def draw(connection: Connection) -> str:
        since = events.bounds(connection).newest if start <= now < until else None
        return draw_overview(connection, under, (start, until), now=now, lang=lang, since=since)

    return HTMLResponse(await db.apart(draw), headers=NO_STORE)


def draw_overview(
    connection: Connection, under: Ground, period: tuple[datetime, datetime], *, now: datetime,
    lang: Lang, since: int | None = None, self_contained: bool = False,
) -> str:  # fmt: skip
    """The overview of a period (aware), as far as it is over; see `layers.overview.overview`."""
    start, until = period
    return drawing(
        under,
        reading.reports(connection, start, until),
        period=(start, min(until, max(now, start))),
        now=now,
        timezone=settings().timezone,
        lang=lang,
        since=since,
        self_contained=self_contained,
    )


def _day(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    if not 1900 <= day.year < 2200:
        raise Problem("validation", "day: the years run from 1900 to 2199.", field="day")
    return (
        datetime.combine(day, time(), zone),
        datetime.combine(day + timedelta(days=1), time(), zone),
    )


@router.get(
    "/problems/{name}",
    summary="What a type of problem means",
    response_class=HTMLResponse,
    responses=documented("not-found", "validation", page=True),
)
async def problem(
    name: Annotated[str, Path(description="the type's last part", examples=["swapped"])],
) -> Response:
    """The page that the member `type` of an error leads to."""
    kind = KINDS.get(name)
    if kind is None:
        names = ", ".join(KINDS)
        raise Problem("not-found", f"There is no problem of that name; there are {names}.")
    page = (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{escape(kind.title)}</title>'
        "<style>body{font:1rem/1.6 sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}"
        f"</style><h1>{escape(kind.title)}</h1><p><code>/problems/{name}</code> · HTTP "
        f"{kind.status}</p><p>{escape(kind.explanation)}</p></html>"
    )
    return HTMLResponse(page)
