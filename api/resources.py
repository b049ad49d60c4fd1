"""People, teams, vehicles and facilities: given, listed, their status and leave, withdrawn."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import Field, field_validator, model_validator
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import SignedIn, may
from api.answers import NO_STORE, Json
from api.areas import corners
from api.deps import Db
from api.once import Once
from api.problems import documented
from api.schemas import BIGGEST, Actor, Attributes, Incoming, Line, Moment, Number, Prose, Word
from api.schemas_resources import Catalogue, Resource, ResourcePage
from data import catalogue, resource_lists, resources
from data.access import actor as acted
from data.resources import MOST_CAPACITY, NewResource
from data.schema.resources import MODES, STATUSES

router = APIRouter(prefix="/api/v1", tags=["resources"])
Id = Annotated[int, Path(ge=1, le=BIGGEST, description="the resource's number", examples=[1])]
LeaveId = Annotated[int, Path(ge=1, le=BIGGEST, description="the leave's number", examples=[1])]
_BODY = ("validation", "key-reused", "not-json", "wrong-content-type", "too-large")
_DATUM = (
    "datum-unsupported", "datum-unknown", "not-a-number", "null-island", "swapped", "metres",
    "degrees", "out-of-range", "wrong-datum",
)  # fmt: skip
_ONE: dict[int | str, dict[str, Any]] = {200: {"model": Resource, **examples.ok(examples.RESOURCE)}}


def _sees_positions(who: SignedIn) -> bool:
    """Whether the caller dispatches, and so may see where people are."""
    return who.may("position.read")


SeesPositions = Annotated[bool, Depends(_sees_positions)]


class Given(Incoming):
    """A resource as another system or a form gives it."""

    source: Word = Field(description="who keeps it; its default datum counts")
    external_id: Word = Field(description="its number there: the same is one resource")
    kind: Word = Field(description="by name or title: grid_lead, 调解员 …")
    name: Line
    organisation: Word | None = Field(None, description="by code or name")
    skills: list[Word] = Field(default_factory=list, max_length=100, description="names or titles")
    lon: Number | None = Field(None, description="home: longitude, or easting, in the datum")
    lat: Number | None = Field(None, description="home: latitude, or northing, in the datum")
    datum: Word | None = Field(None, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…")
    address: Line | None = Field(None, description="home as people write it")
    area: Word | None = Field(None, description="that it is at home in: a code, or layer:code")
    areas: list[Word] = Field(
        default_factory=list, max_length=1000, description="that it answers for: codes"
    )
    mode: Word = Field("foot", description=f"way of moving: {', '.join(MODES)}")
    shift: Word | None = Field(None, description="by name or title; without one at any hour")
    capacity: int = Field(1, ge=1, le=MOST_CAPACITY, description="tasks at once")
    attributes: Attributes = Field(default_factory=dict, description="whatever else belongs to it")

    @model_validator(mode="after")
    def _both(self) -> "Given":
        if (self.lon is None) != (self.lat is None):
            raise ValueError("give both lon and lat, or neither")
        return self


class StatusSaid(Incoming):
    """Whether somebody can be sent."""

    status: Literal[STATUSES]  # type: ignore[valid-type]
    actor: Actor = None


class LeaveSaid(Incoming):
    """Time away."""

    from_: Moment = Field(alias="from", description="the first moment of it")
    until: Moment | None = Field(None, description="the first moment after it; open without")
    reason: Prose = ""
    actor: Actor = None


class Listing(Incoming):
    """Which resources."""

    area: Word | None = Field(None, description="at home in it or below it, or answering for it")
    layer: Word | None = Field(None, description="of the area; needed if several have the code")
    kind: Word | None = Field(None, description="by name or title")
    state: Literal[resource_lists.STATES] | None = None  # type: ignore[valid-type]
    skill: Word | None = Field(None, description="by name or title")
    organisation: Word | None = Field(None, description="by code or name")
    bbox: str | None = Field(
        None,
        description="west,south,east,north in degrees WGS 84: at home or last seen there",
        examples=["113.0,22.9,113.2,23.1"],
    )
    withdrawn: bool = Field(False, description="those out of service, too")
    after: int = Field(0, ge=0, le=BIGGEST, description="the last number seen")
    limit: int = Field(100, ge=1, le=1000)

    @field_validator("bbox")
    @classmethod
    def _is_box(cls, value: str | None) -> str | None:
        if value is not None:
            corners(value)
        return value


@router.get(
    "/catalogue",
    dependencies=[may("area.read")],
    summary="List kinds, skills, shifts and organisations",
    responses={200: {"model": Catalogue, **examples.ok(examples.CATALOGUE)}, **documented()},
)
async def read_catalogue(db: Db) -> Response:
    """What resources are described by, with titles in Chinese and English."""
    return Json(await db.read(catalogue.listing))


@router.get(
    "/resources",
    dependencies=[may("resource.read")],
    summary="List resources",
    responses={
        200: {"model": ResourcePage, **examples.ok(examples.RESOURCES)},
        **documented("validation", "resource-invalid"),
    },
)
async def listing(asked: Annotated[Listing, Query()], db: Db, seen: SeesPositions) -> Response:
    """Resources by number, page by page, with state and last position."""
    async with db.snapshot() as run:
        rows = await run(_page, asked)
    next_ = None
    if len(rows) == asked.limit:
        query = asked.model_dump(exclude_defaults=True) | {"after": rows[-1]["id"]}
        query = {k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()}
        next_ = f"{router.prefix}/resources?{urlencode(query)}"
    return _fresh({"resources": [_listed(row, seen) for row in rows], "next": next_})


@router.post(
    "/resources",
    dependencies=[may("resource.write")],
    status_code=201,
    summary="Give a resource, or bring it up to date",
    responses={
        201: {"model": Resource, "description": "Taken in", **examples.ok(examples.RESOURCE)},
        200: {
            "model": Resource,
            "description": "It was there, and is now as given",
            **examples.ok({**examples.RESOURCE, "outcome": "changed"}),
        },
        **documented(*_BODY, *_DATUM, "resource-invalid", "home-missing"),
    },
)
async def give(
    given: Annotated[Given, Body(openapi_examples=examples.RESOURCE_REQUEST)], once: Once,
    seen: SeesPositions,
) -> Response:  # fmt: skip
    """The same source and external_id is the same resource: all of it is then as given.

    What it does is left alone: its status, its leave and its tasks, below whose number the
    capacity does not fall. One that was withdrawn is back in service.
    """

    def work(connection: Connection) -> Response:
        row, outcome = _give(connection, given)
        shown = {**_shown(row, seen), "outcome": outcome}
        headers = {"Location": shown["href"], **NO_STORE}
        return Json(shown, 201 if outcome == resources.Outcome.CREATED else 200, headers)

    return await once(work)


@router.get(
    "/resources/{number}",
    dependencies=[may("resource.read")],
    summary="Read a resource",
    responses={**_ONE, **documented("validation", "resource-unknown")},
)
async def read(number: Id, db: Db, seen: SeesPositions) -> Response:
    """A resource with its state, tasks, leave and last position."""
    return _fresh(_shown(await db.read(resources.get, number), seen))


@router.patch(
    "/resources/{number}",
    dependencies=[may("resource.write")],
    summary="Say whether a resource is available, busy or off",
    responses={
        **_ONE,
        **documented(*_BODY, "resource-unknown", "resource-withdrawn"),
    },
)
async def set_status(
    number: Id, said: Annotated[StatusSaid, Body(openapi_examples=examples.STATUS_REQUEST)],
    once: Once, seen: SeesPositions,
) -> Response:  # fmt: skip
    """What was said counts until something else is said; tasks under way go on."""

    def work(connection: Connection) -> Response:
        resources.set_status(connection, number, said.status, actor=acted(said.actor))
        return _fresh(_shown(resources.get(connection, number), seen))

    return await once(work)


@router.post(
    "/resources/{number}/leave",
    dependencies=[may("resource.write")],
    status_code=201,
    summary="Note that a resource is away",
    responses={
        201: {"model": Resource, **examples.ok(examples.RESOURCE)},
        **documented(*_BODY, "resource-unknown", "resource-withdrawn", "resource-invalid"),
    },
)
async def add_leave(
    number: Id, said: Annotated[LeaveSaid, Body(openapi_examples=examples.LEAVE_REQUEST)],
    once: Once, seen: SeesPositions,
) -> Response:  # fmt: skip
    """While it is away it is not proposed, whatever its shift says; the same leave is one."""

    def work(connection: Connection) -> Response:
        resources.add_leave(
            connection, number, said.from_, said.until, actor=acted(said.actor), reason=said.reason
        )
        shown = _shown(resources.get(connection, number), seen)
        return Json(shown, 201, NO_STORE)

    return await once(work)


@router.delete(
    "/resources/{number}/leave/{leave}",
    dependencies=[may("resource.write")],
    summary="End a leave now, or take it back",
    responses={
        **_ONE,
        **documented("validation", "resource-unknown", "leave-unknown", "key-reused"),
    },
)
async def end_leave(
    number: Id, leave: LeaveId, once: Once, seen: SeesPositions,
    actor: Annotated[Actor, Query()] = None,
) -> Response:  # fmt: skip
    """One that has begun ends now; one that has not is taken back."""

    def work(connection: Connection) -> Response:
        resources.end_leave(connection, number, leave, datetime.now(UTC), actor=acted(actor))
        return _fresh(_shown(resources.get(connection, number), seen))

    return await once(work)


@router.delete(
    "/resources/{number}",
    dependencies=[may("resource.write")],
    summary="Withdraw a resource",
    responses={
        **_ONE,
        **documented("validation", "resource-unknown", "resource-busy", "key-reused"),
    },
)
async def withdraw(
    number: Id, once: Once, seen: SeesPositions,
    actor: Annotated[Actor, Query()] = None,
) -> Response:  # fmt: skip
    """It is out of service, and what it did stays known; given again, it is back."""

    def work(connection: Connection) -> Response:
        resources.withdraw(connection, number, actor=acted(actor))
        return _fresh(_shown(resources.get(connection, number), seen))

    return await once(work)


def _give(connection: Connection, given: Given) -> tuple[RowMapping, resources.Outcome]:
    values = given.model_dump(exclude={"lon", "lat"})
    number, outcome = resources.save(connection, NewResource(x=given.lon, y=given.lat, **values))
    return resources.get(connection, number), outcome


def _page(connection: Connection, asked: Listing) -> list[Any]:
    return resource_lists.page(
        connection,
        resource_lists.named(
            connection, area=asked.area, layer=asked.layer, kind=asked.kind, state=asked.state,
            skill=asked.skill, organisation=asked.organisation,
            box=corners(asked.bbox) if asked.bbox else None, withdrawn=asked.withdrawn,
        ),
        after=asked.after,
        limit=asked.limit,
    )  # fmt: skip


def _fresh(content: dict[str, Any]) -> Json:
    return Json(content, headers=NO_STORE)


_PLAIN = (
    "id", "source", "external_id", "name", "skills", "mode", "shift", "status", "state", "capacity",
    "load", "created", "withdrawn",
)  # fmt: skip


def _listed(row: RowMapping, seen: bool) -> dict[str, Any]:
    """A row of `data.resource_lists` as it goes out."""
    kind = {"name": row["kind"], "title": row["kind_title"], "title_en": row["kind_title_en"],
            "form": row["form"]}  # fmt: skip
    body = {"code": row["organisation"], "name": row["organisation_name"]}
    area = {"layer": row["area_layer"], "code": row["area"]}
    home = {"lon": row["home_lon"], "lat": row["home_lat"], "area": area if row["area"] else None,
            "area_name": row["area_name"]}  # fmt: skip
    last = {"lon": row["lon"], "lat": row["lat"], "accuracy_m": row["accuracy_m"],
            "at": row["seen"], "age_s": row["age_s"]}  # fmt: skip
    return {
        **{name: row[name] for name in _PLAIN},
        "kind": kind,
        "organisation": body if row["organisation"] else None,
        "home": home,
        "position": last if seen and row["seen"] else None,
        "href": f"{router.prefix}/resources/{row['id']}",
    }


def _shown(row: RowMapping, seen: bool) -> dict[str, Any]:
    """A row of `data.resources` as it goes out."""
    more = ("attributes", "on_duty", "answers_for", "tasks")
    return {**_listed(row, seen), **{name: row[name] for name in more}, "leave": row["leaves"]}
