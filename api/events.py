"""What happens, as it happens: a stream that can be resumed, and pages for those who ask."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.deps import Database, Db
from api.hub import MOST_BEHIND, Hub
from api.problems import Problem, documented
from api.schemas import BIGGEST, Incoming, Word
from api.schemas_events import EventPage
from data import events
from data.events import Filter

router = APIRouter(prefix="/api/v1/events", tags=["events"])
_STREAM = "text/event-stream"
_WIRE = (
    "id: 42\nevent: report.received\n"
    'data: {"seq":42,"kind":"report.received","at":"2026-03-02T00:15:01Z","incident":null,…}\n\n'
)
# One message of the stream, as OpenAPI 3.2 describes them.
_SENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "number of the event"},
        "event": {"type": "string", "description": "its kind, or position, or reload"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}


class Listening(Incoming):
    """Which events, and from where on."""

    after: int | None = Field(
        None, ge=0, le=BIGGEST, description="number of the last one had; else from now on"
    )
    kinds: Word | None = Field(
        None,
        description="kinds of events, with commas between",
        examples=["report.received,assignment.accepted"],
    )
    area: Word | None = Field(
        None,
        description="layer/code: in that area or one below it",
        examples=["village/440604010001"],
    )
    incident: int | None = Field(None, ge=1, le=BIGGEST)
    resource: int | None = Field(None, ge=1, le=BIGGEST)
    limit: int = Field(100, ge=1, le=1000, description="of a page; a stream has none")


@router.get(
    "",
    summary="Follow what happens",
    responses={
        200: {
            "model": EventPage,
            "content": {
                **examples.ok(examples.EVENTS)["content"],
                _STREAM: {"itemSchema": _SENT, "example": _WIRE},
            },
        },
        **documented("validation", "area-unknown", "events-gone"),
    },
)
async def follow(
    request: Request,
    asked: Annotated[Listening, Query()],
    db: Db,
    who: Who = may("incident.read", everywhere=True),
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
    last_event_id: Annotated[str | None, Header(description="where a stream broke off")] = None,
) -> Response:
    """Server-sent events; one page of them for a client that accepts JSON alone.

    `id` is the event's number. A browser that was cut off sends the last one as `Last-Event-ID` and
    misses nothing. Without it, and without `after`, the first message is `position`. The event
    `reload` ends a stream that cannot be resumed: look at everything anew, then listen from now on.
    """
    granted = who.grants["incident.read"]
    within = None if granted is None else frozenset(granted)
    chosen = replace(await _filter(db, asked), within=within)
    after = asked.after if last_event_id is None else _number(last_event_id)
    if "application/json" in accept and _STREAM not in accept:
        return await _page(db, asked, after, chosen)
    hub: Hub = request.app.state.hub
    await hub.ready()
    bounds = await db.read(events.bounds)
    headers = {**NO_STORE, "X-Accel-Buffering": "no"}
    return StreamingResponse(hub.stream(bounds, after, chosen), headers=headers, media_type=_STREAM)


async def _page(db: Database, asked: Listening, after: int | None, chosen: Filter) -> Response:
    """The next events of those asked for; what is not among them is passed over."""
    async with db.snapshot() as run:
        bounds = await run(events.bounds)
        at = bounds.newest if after is None else after
        if not bounds.can_resume(at):
            raise Problem("events-gone", newest=bounds.newest)
        found: list[events.Event] = []
        for _ in range(MOST_BEHIND // events.BATCH):
            page = await run(events.after, at)
            for event in page:
                at = event.seq
                if chosen.takes(event):
                    found.append(event)
                if len(found) == asked.limit:
                    break
            if len(page) < events.BATCH or len(found) == asked.limit:
                break
    shown = {"events": [event.shown() for event in found], "after": at, "newest": bounds.newest}
    return Json(shown, headers=NO_STORE)


async def _filter(db: Database, asked: Listening) -> Filter:
    area_id = None
    if asked.area is not None:
        area_id = await db.read(events.area_named, asked.area)
        if area_id is None:
            raise Problem(
                "area-unknown",
                f"There is no area {asked.area!r}; write it as layer/code, such as "
                "village/440604010001 of /api/v1/areas.",
                field="area",
            )
    kinds = frozenset(part.strip() for part in (asked.kinds or "").split(",") if part.strip())
    return Filter(kinds, area_id, asked.incident, asked.resource)


def _number(given: str) -> int:
    if not (given.isascii() and given.isdigit() and int(given) <= BIGGEST):
        raise Problem(
            "validation",
            f"Last-Event-ID: {given[:40]!r} is no number of an event; leave the header out to "
            "listen from now on.",
            field="Last-Event-ID",
        )
    return int(given)
