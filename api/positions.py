"""Positions: batches in, the phones that send them, and the tracks that they make."""

import base64
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import Field
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.once import Once
from api.problems import documented
from api.schemas import BIGGEST, Incoming, Moment
from api.schemas_positions import (
    Batch,
    Device,
    DeviceName,
    DeviceOwner,
    Devices,
    Track,
    Verdicts,
)
from data import devices, positions
from data.fixes import REFUSALS, Verdict

router = APIRouter(prefix="/api/v1", tags=["positions"])

Resource = Annotated[int, Path(ge=1, le=BIGGEST, description="its number", examples=[1])]
Name = Annotated[DeviceName, Path(description="the device's name", examples=["patrol/car-7"])]


@router.post(
    "/positions",
    dependencies=[may("position.write")],
    summary="Take positions in",
    responses={
        200: {"model": Verdicts, **examples.ok(examples.VERDICTS)},
        **documented("validation", "key-reused", "not-json", "wrong-content-type", "too-large"),
    },
)
async def take(
    sent: Annotated[Batch, Body(openapi_examples=examples.POSITIONS_REQUEST)], once: Once
) -> Response:
    """Each fix gets a verdict; one that is wrong does not keep the others out.

    The same fix again changes nothing, so a batch whose answer was lost can be sent again.
    """
    fixes = [one.fix() for one in sent]
    now = datetime.now(UTC)
    return await once(lambda c: Json(shown(positions.take(c, fixes, now)), headers=NO_STORE))


def shown(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Verdicts as they go out."""
    counts = Counter(verdict.verdict for verdict in verdicts)
    reasons = sorted({verdict.reason for verdict in verdicts if verdict.reason})
    return {
        "counts": {word: counts[word] for word in ("taken", "late", "known", "refused")},
        "what_to_do": {reason: REFUSALS[reason] for reason in reasons},
        "verdicts": [
            {"verdict": v.verdict, "reason": v.reason, "resource_id": v.resource_id}
            for v in verdicts
        ],
    }


# --- devices --------------------------------------------------------------------------------------


@router.post(
    "/resources/{resource}/devices",
    dependencies=[may("position.write")],
    status_code=201,
    summary="Give a resource a phone",
    responses={
        201: {"model": Device, "description": "Made", **examples.ok(examples.DEVICE)},
        **documented("validation", "resource-unknown", "key-reused"),
    },
)
async def mint(resource: Resource, request: Request, once: Once) -> Response:
    """A device under a name that nobody can guess, with what to type into the two apps.

    The name is a key: whoever has it can say where the resource is.
    """
    return await once(lambda c: Json(_device(devices.mint(c, resource), request), 201, NO_STORE))


@router.get(
    "/resources/{resource}/devices",
    dependencies=[may("position.write")],
    summary="List the phones of a resource",
    responses={
        200: {"model": Devices, **examples.ok({"devices": [examples.DEVICE]})},
        **documented("validation", "resource-unknown"),
    },
)
async def listing(resource: Resource, request: Request, db: Db) -> Response:
    """With what to type into the two apps, for a phone that has to be set up again."""
    rows = await db.read(devices.of_resource, resource)
    return Json({"devices": [_device(row, request) for row in rows]}, headers=NO_STORE)


@router.put(
    "/devices/{name:path}",
    dependencies=[may("position.write")],
    summary="Say whose a device is",
    responses={
        200: {"model": Device, **examples.ok(examples.DEVICE)},
        **documented(
            "validation",
            "resource-unknown",
            "key-reused",
            "not-json",
            "wrong-content-type",
            "too-large",
        ),
    },
)
async def register(
    name: Name,
    owner: Annotated[DeviceOwner, Body(openapi_examples=examples.DEVICE_REQUEST)],
    request: Request,
    once: Once,
) -> Response:
    """For a device that has a name already, such as a car's unit or `user/device` of OwnTracks.

    From now on its positions are this resource's.
    """

    def work(connection: Connection) -> Response:
        row = devices.register(connection, name, owner.resource_id)
        return Json(_device(row, request), headers=NO_STORE)

    return await once(work)


@router.delete(
    "/devices/{name:path}",
    dependencies=[may("position.write")],
    status_code=204,
    summary="Take a device away",
    responses=documented("validation", "device-unknown", "key-reused"),
)
async def remove(name: Name, once: Once) -> Response:
    """What it sends from now on is refused; the track stays for as long as tracks are kept."""

    def work(connection: Connection) -> Response:
        devices.remove(connection, name)
        return Response(status_code=204)

    return await once(work)


def _device(row: RowMapping, request: Request) -> dict[str, Any]:
    name, base = str(row["name"]), str(request.base_url).rstrip("/")
    owntracks, traccar = f"{base}/api/v1/owntracks", f"{base}/api/v1/osmand"
    setup = {
        "_type": "configuration", "mode": 3, "url": owntracks, "auth": True, "username": name,
        "deviceId": "phone", "monitoring": 1,
    }  # fmt: skip
    inline = base64.b64encode(json.dumps(setup).encode()).decode()
    return {
        **row,
        "owntracks": {
            "url": owntracks,
            "username": name,
            "link": f"owntracks:///config?inline={quote(inline, safe='')}",
        },
        "traccar": {"url": traccar, "id": name, "link": f"{traccar}?{urlencode({'id': name})}"},
    }


# --- tracks ---------------------------------------------------------------------------------------


class Stretch(Incoming):
    """Which part of a track."""

    since: Moment | None = Field(None, description="from this instant on")
    until: Moment | None = Field(None, description="before this instant")
    after: Moment | None = Field(None, description="the last instant seen")
    limit: int = Field(1000, ge=1, le=10_000)


@router.get(
    "/resources/{resource}/track",
    dependencies=[may("position.read")],
    summary="Read where a resource was",
    responses={
        200: {"model": Track, **examples.ok(examples.TRACK)},
        **documented("validation", "resource-unknown"),
    },
)
async def track(resource: Resource, asked: Annotated[Stretch, Query()], db: Db) -> Response:
    """Fixes by time, page by page; tracks are personal data and kept for a set time only."""
    rows = await db.read(_track, resource, asked)
    next_ = None
    if len(rows) == asked.limit:
        query = asked.model_dump(exclude_defaults=True, mode="json")
        query["after"] = rows[-1]["at"].astimezone(UTC).isoformat()
        next_ = f"/api/v1/resources/{resource}/track?{urlencode(query)}"
    fixes = [_fix(row) for row in rows]
    return Json({"resource_id": resource, "fixes": fixes, "next": next_}, headers=NO_STORE)


def _track(connection: Connection, resource: int, asked: Stretch) -> list[RowMapping]:
    devices.check_resource(connection, resource)
    return positions.track(connection, resource, **asked.model_dump())


_AS_STORED = ("at", "received", "source", "lon", "lat", "accuracy_m", "refused")


def _fix(row: RowMapping) -> dict[str, Any]:
    received = {"lon": row["x"], "lat": row["y"], "datum": row["datum"]}
    return {**{name: row[name] for name in _AS_STORED}, "position": received}
