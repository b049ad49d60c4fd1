"""Phones: positions in the shapes that OwnTracks and Traccar Client send.

An app keeps what was not answered with 200 and sends it again before anything newer, OwnTracks on
Android even after a 4xx. So whatever a phone sends is answered with 200, and what became of it is
in the answer, or (OwnTracks would not understand it) in the header X-Verdict; a device that nobody
knows is also in the log.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Header, Query, Request, Response
from sqlalchemy import Connection

from api import examples, phone_messages
from api.answers import NO_STORE, Json
from api.deps import Db
from api.phone_messages import Message
from api.positions import shown
from api.problems import Problem, documented
from api.schemas_positions import Verdicts
from data import devices, positions
from data.fixes import Verdict

log = logging.getLogger("wangge.phones")
router = APIRouter(prefix="/api/v1", tags=["positions"])


@router.post(
    "/owntracks",
    summary="Take in what OwnTracks sends",
    responses={
        200: {"model": list[dict[str, Any]], **examples.ok([])},
        **documented("validation", "too-large"),
    },
    openapi_extra=examples.body(examples.OWNTRACKS_REQUEST),
)
async def owntracks(
    request: Request,
    db: Db,
    u: Annotated[str | None, Query(description="user")] = None,
    d: Annotated[str | None, Query(description="device")] = None,
    x_limit_u: Annotated[str | None, Header()] = None,
    x_limit_d: Annotated[str | None, Header()] = None,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response:
    """One message in HTTP mode. A location moves the resource whose device it is.

    The device is registered as `user/device` or as the user alone; both come from the address
    (u, d), the headers X-Limit-U and X-Limit-D, the user name of Basic authentication, or the
    topic. Other messages (transitions, waypoints, status …) are accepted and not used. Positions
    are WGS 84. The answer is always an empty list, as the app expects one.
    """
    message = _json(await request.body())
    user = u or x_limit_u or phone_messages.basic_user(authorization)
    found = phone_messages.owntracks(message, user, d or x_limit_d)
    headers = dict(NO_STORE)
    if found is not None:
        (verdict,) = await db.write(_take, [found], "owntracks", datetime.now(UTC))
        headers["X-Verdict"] = verdict.reason or verdict.verdict
    return Json([], headers=headers)


_OSMAND: dict[str, Any] = {
    "responses": {
        200: {"model": Verdicts, **examples.ok(examples.VERDICTS)},
        **documented("validation", "too-large"),
    },
}


@router.get("/osmand", summary="Take in a position by the OsmAnd protocol", **_OSMAND)
async def osmand_address(
    request: Request,
    db: Db,
    id: Annotated[str, Query(description="the device's name", examples=["patrol/car-7"])] = "",
) -> Response:
    """A position in the address: id, lat, lon, timestamp, accuracy (Traccar Client before 9).

    The time is in seconds or milliseconds since 1970, or ISO 8601 (without a zone: UTC); none is
    now. Positions are WGS 84.
    """
    return await _osmand(db, [phone_messages.osmand_query(request.query_params)])


@router.post(
    "/osmand",
    summary="Take in positions by Traccar's OsmAnd protocol",
    openapi_extra=examples.body(examples.OSMAND_REQUEST),
    **_OSMAND,
)
async def osmand(request: Request, db: Db) -> Response:
    """As JSON (Traccar Client from 9 on), or as a form, or in the address as with GET."""
    body = await request.body()
    if "json" in request.headers.get("content-type", ""):
        return await _osmand(db, phone_messages.osmand_json(_json(body)))
    form = dict(parse_qsl(body.decode(errors="replace")))
    return await _osmand(db, [phone_messages.osmand_query({**form, **request.query_params})])


async def _osmand(db: Db, messages: Sequence[Message]) -> Response:
    if any(not message.names for message in messages):
        raise Problem("validation", "The message names no device: give its id.", field="id")
    verdicts = await db.write(_take, messages, "osmand", datetime.now(UTC))
    return Json(shown(verdicts), headers=NO_STORE)


def _json(body: bytes) -> Mapping[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _take(
    connection: Connection, messages: Sequence[Message], source: str, now: datetime
) -> list[Verdict]:
    """A verdict for each message; those without a position are refused as incomplete."""
    fixes = {}
    for n, message in enumerate(messages):
        name = devices.first_known(connection, message.names)
        if name is None:
            log.warning(
                "%s sends positions of a device that is not known: %r", source, message.names
            )
        fixes[n] = message.fix(name or "".join(message.names[:1]), source, now)
    whole = {n: fix for n, fix in fixes.items() if fix is not None}
    verdicts = dict(zip(whole, positions.take(connection, list(whole.values()), now), strict=True))
    return [verdicts.get(n, Verdict("refused", "incomplete")) for n in fixes]
