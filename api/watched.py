"""Watched places: given, read, ruled. A reading that is trouble becomes a report."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
import shapely
from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import Field, model_validator
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.once import Once
from api.problems import POSITION, documented
from api.schemas import BIGGEST, Attributes, Incoming, Line, Moment, Number, Word
from api.schemas_watched import (
    Readings,
    ReadingsStored,
    WatchedPage,
    WatchedShown,
    WatchRules,
    WatchRuleShown,
)
from data import drawings, reports, territory, watched, watching
from data.watched import NewPlace, Reading
from data.watching import WatchRule
from gis.thresholds import COMPARISONS, MISSING

router = APIRouter(prefix="/api/v1/watched", tags=["watched"])
Id = Annotated[int, Path(ge=1, le=BIGGEST, description="the place's number", examples=[1])]
RuleId = Annotated[int, Path(ge=1, le=BIGGEST, description="the rule's number", examples=[1])]
MOST_READINGS = 10_000  # in a batch
_BODY = ("validation", "key-reused", "not-json", "wrong-content-type", "too-large")
_ONE: dict[int | str, dict[str, Any]] = {
    200: {"model": WatchedShown, **examples.ok(examples.of("watched"))}
}


class PlaceGiven(Incoming):
    """A place as its keeper gives it: a point, or a drawn area."""

    source: Word = Field(description="who keeps it")
    external_id: Word = Field(description="its number there: the same is one place")
    kind: Word = Field(description="building_site, wage_account …: what rules are about")
    name: Line
    lon: Number | None = Field(None, description="longitude, or easting, in the datum")
    lat: Number | None = Field(None, description="latitude, or northing, in the datum")
    geometry: dict[str, Any] | None = Field(None, description="GeoJSON Polygon or MultiPolygon")
    datum: Word = Field(description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…")
    organisation: Word | None = Field(None, description="code of the one that answers for it")
    attributes: Attributes = Field(default_factory=dict, description="whatever else belongs to it")

    @model_validator(mode="after")
    def _one_shape(self) -> "PlaceGiven":
        if (self.lon is None) != (self.lat is None) or (self.lon is None) == (
            self.geometry is None
        ):
            raise ValueError("give either lon and lat, or a geometry")
        return self

    def shape(self) -> shapely.Geometry:
        """Where it is, in WGS 84."""
        if self.geometry is not None:
            return drawings.polygon(self.geometry, self.datum).shape
        assert self.lon is not None and self.lat is not None
        point = reports.normalise(self.lon, self.lat, self.datum, 1.0)
        return shapely.Point(point.lon, point.lat)


class ReadingGiven(Incoming):
    """One value of one metric at one instant."""

    metric: Word
    at: Moment
    value: Number


class BatchGiven(Incoming):
    """Readings in any order."""

    readings: list[ReadingGiven] = Field(min_length=1, max_length=MOST_READINGS)


class ConditionGiven(Incoming):
    """What is asked of a metric."""

    metric: Word
    comparison: Literal[(*COMPARISONS, MISSING)]  # type: ignore[valid-type]
    value: Number | None = Field(None, description="the limit; without meaning for missing")
    clear: Number | None = Field(None, description="ends it, on the good side of the limit")
    for_s: float = Field(
        0, ge=0, le=31_622_400, description="for how long without a break, or missing, seconds"
    )


class RuleGiven(Incoming):
    """When places of a kind are in trouble: all conditions at once."""

    place_kind: Word
    name: Line
    conditions: list[ConditionGiven] = Field(min_length=1, max_length=20)
    report_kind: Word = Field(description="what the report is about: its rules say who is asked")
    urgency: int = Field(3, ge=1, le=5, description="1 at once … 5 some day")

    def rule(self) -> WatchRule:
        """The rule of the domain."""
        asked = [watching.condition(**each.model_dump()) for each in self.conditions]
        return WatchRule(self.place_kind, self.name, asked, self.report_kind, self.urgency)


# --- rules ----------------------------------------------------------------------------------------


@router.get(
    "/rules",
    summary="The rules that turn readings into reports",
    responses={
        200: {"model": WatchRules, **examples.ok(examples.of("watch_rules"))},
        **documented(),
    },
)
async def rules(db: Db, who: Who = may("record.read")) -> Response:
    """Those in force."""
    return Json(
        {"rules": [dict(row) for row in await db.read(watching.in_force)]}, headers=NO_STORE
    )


@router.post(
    "/rules",
    status_code=201,
    summary="Put a rule in force",
    responses={
        201: {"model": WatchRuleShown, **examples.ok(examples.of("watch_rule"))},
        **documented(*_BODY, "watch-refused"),
    },
)
async def add_rule(
    given: Annotated[RuleGiven, Body(openapi_examples=examples.of("watch_rule_request"))],
    once: Once, who: Who = may("rule.write"),
) -> Response:  # fmt: skip
    """Places whose readings are so already are in trouble at once: one report each."""

    def work(connection: Connection) -> Response:
        number = watching.add(connection, given.rule(), actor=who.name, now=datetime.now(UTC))
        [row] = [row for row in watching.in_force(connection) if row["id"] == number]
        return Json(dict(row), 201, NO_STORE)

    return await once(work)


@router.delete(
    "/rules/{number}",
    status_code=204,
    summary="End a rule",
    responses=documented("validation", "key-reused", "watch-unknown"),
)
async def end_rule(number: RuleId, once: Once, who: Who = may("rule.write")) -> Response:
    """Its episodes are over; the reports that came of them go on."""

    def work(connection: Connection) -> Response:
        watching.end(connection, number, actor=who.name, now=datetime.now(UTC))
        return Response(status_code=204)

    return await once(work)


# --- places ---------------------------------------------------------------------------------------


@router.get(
    "",
    summary="List watched places",
    responses={
        200: {"model": WatchedPage, **examples.ok(examples.of("watched_page"))},
        **documented("validation", "area-unknown"),
    },
)
async def listing(
    db: Db,
    kind: Annotated[Word | None, Query(description="of place")] = None,
    area: Annotated[Word | None, Query(description="code of an area")] = None,
    in_trouble: Annotated[bool, Query(description="only those with an open episode")] = False,
    after: Annotated[int, Query(ge=0, le=BIGGEST, description="the last number seen")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    who: Who = may("record.read"),
) -> Response:
    """Places by number, each with its newest readings and what is wrong there."""

    def look(connection: Connection) -> Sequence[RowMapping]:
        chosen = territory.named(connection, area).id if area else None
        return watched.page(
            connection, kind=kind, area_id=chosen, in_trouble=in_trouble, after=after, limit=limit
        )

    rows = await db.apart(look)
    next_ = None
    if len(rows) == limit:
        said = {"kind": kind, "area": area, "in_trouble": "true" if in_trouble else None}
        query = {name: value for name, value in said.items() if value is not None}
        next_ = f"{router.prefix}?{urlencode({**query, 'limit': limit, 'after': rows[-1]['id']})}"
    return Json({"places": [_shown(row) for row in rows], "next": next_}, headers=NO_STORE)


@router.post(
    "",
    status_code=201,
    summary="Give a watched place, or bring it up to date",
    responses={
        201: {"model": WatchedShown, "description": "New", **examples.ok(examples.of("watched"))},
        200: {
            "model": WatchedShown,
            "description": "It was there, and is now as given",
            **examples.ok(examples.of("watched")),
        },
        **documented(*_BODY, *POSITION, "drawing-refused", "watched-invalid"),
    },
)
async def give(
    given: Annotated[PlaceGiven, Body(openapi_examples=examples.of("watched_request"))],
    once: Once, who: Who = may("record.write"),
) -> Response:  # fmt: skip
    """The same source and external_id is the same place; one that was withdrawn is back."""

    def work(connection: Connection) -> Response:
        plain = given.model_dump(exclude={"lon", "lat", "geometry", "datum"})
        new = NewPlace(**plain, shape=given.shape())
        number, fresh = watched.save(connection, new, actor=who.name)
        shown = _shown(watched.get(connection, number))
        return Json(shown, 201 if fresh else 200, {**NO_STORE, "Location": shown["href"]})

    return await once(work)


@router.get(
    "/{number}",
    summary="Read a watched place",
    responses={**_ONE, **documented("validation", "watched-unknown")},
)
async def read(number: Id, db: Db, who: Who = may("record.read")) -> Response:
    """With its newest readings and what is wrong there."""
    return Json(_shown(await db.read(watched.get, number)), headers=NO_STORE)


@router.delete(
    "/{number}",
    summary="Watch a place no longer",
    responses={**_ONE, **documented("validation", "key-reused", "watched-unknown")},
)
async def withdraw(number: Id, once: Once, who: Who = may("record.write")) -> Response:
    """Its readings stay; given again, it is back."""

    def work(connection: Connection) -> Response:
        watched.withdraw(connection, number, actor=who.name)
        return Json(_shown(watched.get(connection, number)), headers=NO_STORE)

    return await once(work)


@router.post(
    "/{number}/readings",
    summary="Send readings of a place",
    responses={
        200: {"model": ReadingsStored, **examples.ok(examples.of("readings_stored"))},
        **documented(*_BODY, "watched-unknown", "reading-to-come"),
    },
)
async def send(
    number: Id,
    given: Annotated[BatchGiven, Body(openapi_examples=examples.of("readings_request"))],
    once: Once, who: Who = may("record.write"),
) -> Response:  # fmt: skip
    """Each (metric, at) is stored once, however often it comes.

    Where a rule holds now, a report is made, placed and told like any other: one an episode, until
    the readings are good again.
    """

    def work(connection: Connection) -> Response:
        now = datetime.now(UTC)
        batch = [Reading(each.metric, each.at, each.value) for each in given.readings]
        stored = watched.store(connection, number, batch, now)
        changed = watching.look(connection, now, place=number)
        open_ones = watched.get(connection, number)["episodes"]
        return Json({**vars(stored), "changed": changed, "episodes": open_ones}, headers=NO_STORE)

    return await once(work)


@router.get(
    "/{number}/readings",
    summary="Read a metric's readings",
    responses={
        200: {"model": Readings, **examples.ok(examples.of("readings"))},
        **documented("validation", "watched-unknown"),
    },
)
async def readings(
    number: Id,
    db: Db,
    metric: Annotated[Word, Query(examples=["wage_overdue_days"])],
    since: Annotated[Moment | None, Query(description="else 30 days ago")] = None,
    until: Annotated[Moment | None, Query(description="else now")] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    who: Who = may("record.read"),
) -> Response:
    """The newest first."""
    end = until or datetime.now(UTC) + watched.AHEAD
    begin = since or end - timedelta(days=30)
    rows = await db.read(watched.series, number, metric, begin, end, limit)
    return Json({"readings": [dict(row) for row in rows]}, headers=NO_STORE)


def _shown(row: RowMapping) -> dict[str, Any]:
    derived = ("geometry", "area", "organisation", "href")
    plain = {name: row[name] for name in WatchedShown.model_fields if name not in derived}
    body = {"code": row["organisation"], "name": row["organisation_name"]}
    return {
        **plain,
        "geometry": orjson.Fragment(row["geometry"]),
        "area": {"layer": row["layer"], "code": row["code"]} if row["code"] else None,
        "organisation": body if row["organisation"] else None,
        "href": f"{router.prefix}/{row['id']}",
    }
