"""The pages of dispatch, and what they read again when something happens."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection

from api import dispatches, incidents, reports
from api.access import SignedIn, may
from api.answers import NO_STORE, Json
from api.deps import Db, Way
from api.incidents import Id, Language
from api.maps import Grounds
from api.problems import Problem, documented
from api.schemas import Prose
from data import assignments, events, surroundings
from data import incidents as stored
from data import reports as stored_reports
from data.settings import settings
from gis.travel import Travel
from layers.i18n import Lang
from layers.incident import incident as draw_incident
from layers.queue import queue as draw_queue

router = APIRouter(prefix="/maps", tags=["pages"])
MOST = 500  # incidents in the queue
TEXT = 80  # characters of what an incident is about
PROPOSED = 5
Kind = Annotated[Prose | None, Query(max_length=200, description="only what is about this")]
Area = Annotated[
    Prose | None,
    Query(
        max_length=200, description="layer/code: only in that area", examples=["town/440604010000"]
    ),
]


@router.get(
    "/dispatch",
    dependencies=[may("incident.read")],
    summary="The queue of open incidents",
    response_class=HTMLResponse,
    responses=documented("validation", "area-unknown", page=True),
)
async def queue(
    request: Request, db: Db, kind: Kind = None, area: Area = None, lang: Language = "zh"
) -> Response:
    """Open incidents by urgency and age, in a list and on a map that keep themselves current."""
    grounds: Grounds = request.app.state.grounds
    under = await grounds.newest(db, ("districts", "towns"))
    asked = {"kind": kind or None, "area": area or None}
    query = urlencode({name: value for name, value in asked.items() if value})

    def draw(connection: Connection) -> str:
        return draw_queue(
            under,
            _queue(connection, **asked),
            address=f"{router.prefix}/dispatch/now?{query}",
            **asked,
            timezone=settings().timezone,
            lang=lang,
        )

    return HTMLResponse(await db.apart(draw), headers=NO_STORE)


@router.get("/dispatch/now", dependencies=[may("incident.read")], include_in_schema=False)
async def queue_now(db: Db, kind: Kind = None, area: Area = None) -> Response:
    """What the queue shows, as JSON."""
    return Json(await db.apart(_queue, kind or None, area or None), headers=NO_STORE)


@router.get(
    "/incident/{number}",
    dependencies=[may("incident.read")],
    summary="The page of an incident",
    response_class=HTMLResponse,
    responses=documented("validation", "incident-unknown", page=True),
)
async def incident(number: Id, db: Db, way: Way, who: SignedIn, lang: Language = "zh") -> Response:
    """Where it is, who could go and why, who is under way; people are sent from here."""

    def draw(connection: Connection) -> str:
        row = _known(connection, number)
        state, around = _incident(connection, row, way, lang), None
        if row["lon"] is not None:
            around = surroundings.around(connection, row["lon"], row["lat"], row["area_id"])
        me = who.name if who.account_id is not None else None
        return draw_incident(state, around, me=me, timezone=settings().timezone, lang=lang)

    return HTMLResponse(await db.apart(draw), headers=NO_STORE)


@router.get("/incident/{number}/now", dependencies=[may("incident.read")], include_in_schema=False)
async def incident_now(number: Id, db: Db, way: Way, lang: Language = "zh") -> Response:
    """What the page of an incident shows, as JSON."""

    def look(connection: Connection) -> dict[str, Any]:
        return _incident(connection, _known(connection, number), way, lang)

    return Json(await db.apart(look), headers=NO_STORE)


def _known(connection: Connection, number: int) -> Mapping[str, Any]:
    row = stored.get(connection, number)
    if row is None:
        raise Problem("incident-unknown", f"There is no incident {number}.", field="number")
    return dict(row)


def _incident(
    connection: Connection, row: Mapping[str, Any], way: Travel, lang: Lang
) -> dict[str, Any]:
    since = _since(connection)
    number = row["id"]
    report = stored_reports.get(connection, number)
    assert report is not None  # it opened the incident
    who: dict[str, Any] = {"candidates": [], "shortfalls": []}
    if row["closed"] is None:
        who = incidents.for_incident(connection, row, way, limit=PROPOSED, lang=lang)
    return {
        **since,
        "incident": incidents.shown(row),
        "report": reports.shown(dict(report)),
        "candidates": who["candidates"],
        "shortfalls": who["shortfalls"],
        "dispatches": [dispatches.shown(d) for d in assignments.of_incident(connection, number)],
        "sent": surroundings.sent(connection, number),
    }


def _queue(connection: Connection, kind: str | None, area: str | None) -> dict[str, Any]:
    since, within = _since(connection), None
    if area is not None:
        layer, _, code = area.partition("/")
        within = stored.under(connection, layer, code)
        if not within:
            raise Problem(
                "area-unknown",
                f"There is no area {area!r}; write it as layer/code, such as town/440604010000.",
                field="area",
            )
    rows = stored.open_ones(connection, kind=kind, under=within, limit=MOST)
    # Of the equally urgent, those come first whom nobody is under way to.
    rows = sorted(rows, key=lambda row: (row["urgency"], row["under_way"] > 0))
    return {
        **since,
        **stored.how_many(connection, kind=kind, under=within),
        "kinds": stored.open_kinds(connection),
        "incidents": [_line(dict(row)) for row in rows],
    }


def _since(connection: Connection) -> dict[str, Any]:
    """The last event, asked before all else: what happens from then on is read again."""
    newest = events.bounds(connection).newest
    return {"seq": newest, "now": round(datetime.now(UTC).timestamp() * 1000)}


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    about = row["address"] or row["description"] or ""
    return {
        "id": row["id"],
        "urgency": row["urgency"],
        "kind": row["kind"] and row["kind"][:TEXT],
        "about": about[:TEXT],
        "area": row["area_name"],
        "opened": round(row["opened"].timestamp() * 1000),
        "point": None if row["lon"] is None else [round(row["lat"], 6), round(row["lon"], 6)],
        "going": row["under_way"],
    }
