"""Collected records: listed, counted, placed by hand, withdrawn."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import Field, field_validator, model_validator
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.areas import corners
from api.deps import Db
from api.once import Once
from api.problems import POSITION, documented
from api.schemas import BIGGEST, Incoming, Number, Prose, Word
from api.schemas_records import RecordCounts, RecordPage, RecordShown, Revealed
from data import record_lists, records, reports, territory
from data.record_mapping import KINDS
from data.records import UNPLACED

router = APIRouter(prefix="/api/v1/records", tags=["records"])
Id = Annotated[int, Path(ge=1, le=BIGGEST, description="the record's number", examples=[1])]
Reason = StrEnum("Reason", ["any", *UNPLACED])  # type: ignore[misc]
Area = Annotated[Word | None, Query(description="code of an area; another layer's as beats:B12")]
Kind = Annotated[Word | None, Query(description="by name or title: rental, 出租屋 …")]
_BODY = ("validation", "key-reused", "not-json", "wrong-content-type", "too-large")
_ONE: dict[int | str, dict[str, Any]] = {
    200: {"model": RecordShown, **examples.ok(examples.of("record"))}
}


class Listing(Incoming):
    """Which records."""

    area: Word | None = Field(None, description="code of an area; another layer's as beats:B12")
    kind: Word | None = Field(None, description="by name or title: rental, 出租屋 …")
    source: Word | None = Field(None, description="who collected it")
    bbox: str | None = Field(
        None,
        description="west,south,east,north in degrees WGS 84",
        examples=["113.0,22.9,113.2,23.1"],
    )
    unplaced: Reason | None = Field(None, description="the work-list: without a grid, and why")
    after: int = Field(0, ge=0, le=BIGGEST, description="the last number seen")
    limit: int = Field(100, ge=1, le=1000)

    @field_validator("bbox")
    @classmethod
    def _is_box(cls, value: str | None) -> str | None:
        if value is not None:
            corners(value)
        return value


class PlaceSaid(Incoming):
    """A person's word about where a record is: the area, the pin, or both."""

    code: Word | None = Field(None, description="of an area in force, in the record's layer")
    lon: Number | None = Field(None, description="the pin: longitude, or easting, in the datum")
    lat: Number | None = None
    datum: Word | None = Field(None, description="of the pin")
    reason: Prose = Field("", description="why, for those who ask later")

    @model_validator(mode="after")
    def _something(self) -> "PlaceSaid":
        if (self.lon is None) != (self.lat is None):
            raise ValueError("give both lon and lat of the pin, or neither")
        if self.code is None and self.lon is None:
            raise ValueError("give the code of the area, or the pin's lon and lat")
        return self


class ReasonSaid(Incoming):
    """Why."""

    reason: Annotated[Prose, Field(min_length=1, description="for those who ask later")]


@router.get(
    "",
    summary="List records",
    responses={
        200: {"model": RecordPage, **examples.ok(examples.of("records"))},
        **documented("validation", "area-unknown"),
    },
)
async def listing(
    asked: Annotated[Listing, Query()], db: Db, who: Who = may("record.read")
) -> Response:
    """Records in use by number, page by page; `unplaced` lists those that wait for a person."""
    rows = await db.apart(_page, asked)
    next_ = None
    if len(rows) == asked.limit:
        query = asked.model_dump(exclude_defaults=True, mode="json") | {"after": rows[-1]["id"]}
        next_ = f"{router.prefix}?{urlencode(query)}"
    return Json({"records": [_listed(row) for row in rows], "next": next_}, headers=NO_STORE)


def _page(connection: Connection, asked: Listing) -> list[Any]:
    chosen = record_lists.Filter(
        area_id=territory.named(connection, asked.area).id if asked.area else None,
        kind=record_lists.kind_named(asked.kind) if asked.kind else None,
        source=asked.source,
        box=corners(asked.bbox) if asked.bbox else None,
        unplaced=asked.unplaced,
    )
    return record_lists.page(connection, chosen, after=asked.after, limit=asked.limit)


@router.get(
    "/counts",
    summary="Count records by area and kind, with the in-grid rate",
    responses={
        200: {"model": RecordCounts, **examples.ok(examples.of("record_counts"))},
        **documented("validation", "area-unknown"),
    },
)
async def count(
    db: Db, area: Area = None, kind: Kind = None, who: Who = may("record.read")
) -> Response:
    """入格率 by the areas directly below one: each rate with its numerator and denominator.

    A record that has no grid counts in the area where its collector says that it is.
    """

    def look(connection: Connection) -> dict[str, Any]:
        chosen = territory.named(connection, area).id if area else None
        of_kind = record_lists.kind_named(kind) if kind else None
        rows = record_lists.counts(connection, chosen, of_kind)
        reasons = record_lists.reasons(connection, chosen, of_kind)
        return {
            "area": area,
            **_rate(rows),
            "unplaced": reasons,
            "what_to_do": {name: UNPLACED.get(name, "") for name in reasons},
            "kinds": _by_kind(rows),
            "areas": _by_area(rows, chosen),
        }

    return Json(await db.apart(look), headers=NO_STORE)


@router.get(
    "/{number}",
    summary="Read a record",
    responses={**_ONE, **documented("validation", "record-unknown")},
)
async def read(number: Id, db: Db, who: Who = may("record.read")) -> Response:
    """A record with what it said before; what is about a person is masked."""
    return Json(await db.apart(_shown, number), headers=NO_STORE)


@router.post(
    "/{number}/place",
    summary="Say where a record is",
    responses={
        **_ONE,
        **documented(
            *_BODY, *POSITION, "datum-unknown", "record-unknown", "record-withdrawn",
            "code-not-in-force", "pin-outside",
        ),
    },
)  # fmt: skip
async def place(
    number: Id, said: Annotated[PlaceSaid, Body(openapi_examples=examples.of("place_request"))],
    once: Once, who: Who = may("record.write"),
) -> Response:  # fmt: skip
    """It leaves the work-list, and the place is remembered for what comes later."""

    def work(connection: Connection) -> Response:
        pin = None
        if said.lon is not None and said.lat is not None:
            point = reports.normalise(said.lon, said.lat, said.datum, 1.0)
            pin = point.lon, point.lat
        records.place(
            connection, number, code=said.code, pin=pin, actor=who.name, reason=said.reason
        )
        return Json(_shown(connection, number), headers=NO_STORE)

    return await once(work)


@router.post(
    "/{number}/withdraw",
    summary="Take a record out",
    responses={**_ONE, **documented(*_BODY, "record-unknown")},
)
async def withdraw(
    number: Id, said: Annotated[ReasonSaid, Body(openapi_examples=examples.of("reason_request"))],
    once: Once, who: Who = may("record.write"),
) -> Response:  # fmt: skip
    """What it is about is no longer there; it stays known, and a file can bring it back."""

    def work(connection: Connection) -> Response:
        records.withdraw(connection, number, actor=who.name, reason=said.reason)
        return Json(_shown(connection, number), headers=NO_STORE)

    return await once(work)


@router.post(
    "/{number}/reveal",
    summary="Show what a record says about a person",
    responses={
        200: {"model": Revealed, **examples.ok(examples.of("revealed"))},
        **documented("validation", "not-json", "wrong-content-type", "too-large", "record-unknown"),
    },
)
async def reveal(
    number: Id, said: Annotated[ReasonSaid, Body(openapi_examples=examples.of("reason_request"))],
    db: Db, who: Who = may("person.reveal"),
) -> Response:  # fmt: skip
    """In the clear, for a reason; that it was looked at is written down."""
    # Not by `Once`: what was revealed is not kept to be answered again.
    found = await db.write(records.reveal, number, actor=who.name, reason=said.reason)
    return Json({"record": number, "personal": found}, headers=NO_STORE)


# --- as they go out -------------------------------------------------------------------------------

_PLAIN = (
    "id", "source", "external_id", "title", "address", "attributes", "collected", "collected_by",
    "created", "withdrawn",
)  # fmt: skip


def kind_shown(name: str) -> dict[str, str]:
    """A kind of record with its title."""
    return {"name": name, "title": KINDS.titles.get(name, name)}


def _listed(row: RowMapping) -> dict[str, Any]:
    received = {"lon": row["x"], "lat": row["y"], "datum": row["datum"]}
    point = {"lon": row["lon"], "lat": row["lat"], "datum": "wgs84",
             "accuracy_m": row["accuracy_m"]}  # fmt: skip
    reason = row["unplaced"]
    return {
        **{name: row[name] for name in _PLAIN},
        "kind": kind_shown(row["kind"]),
        "position": None if row["x"] is None else received,
        "point": None if row["lon"] is None else point,
        "placement": {
            **{name: row[name] for name in ("layer", "code", "method", "stated", "known")},
            "border_m": None if row["border_m"] is None else round(row["border_m"], 2),
            "alternatives": [
                {name: other.get(name) for name in ("code", "share", "score")}
                for other in row["alternatives"] or []
            ],
        },
        "unplaced": reason and {"reason": reason, "what_to_do": UNPLACED.get(reason, "")},
        "href": f"{router.prefix}/{row['id']}",
    }


def _shown(connection: Connection, number: int) -> dict[str, Any]:
    row = records.get(connection, number)
    before = [dict(was) for was in records.history(connection, number)]
    return {**_listed(row), "personal": records.about(row), "history": before}


def _rate(rows: Sequence[RowMapping]) -> dict[str, Any]:
    pairs = [(row["records"], row["in_grid"]) for row in rows]
    whole, part = (sum(values) for values in zip(*pairs, strict=True)) if pairs else (0, 0)
    return {"records": whole, "in_grid": part, "rate": part / whole if whole else None}


def _by_kind(rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
    of_kind = sorted(rows, key=lambda row: str(row["kind"]))
    return [
        {"kind": kind_shown(kind), **_rate(list(some))}
        for kind, some in groupby(of_kind, key=lambda row: str(row["kind"]))
    ]


def _by_area(rows: Sequence[RowMapping], asked: int | None) -> list[dict[str, Any]]:
    found = []
    for area_id, some in groupby(rows, key=lambda row: row["area_id"]):
        mine = list(some)
        below = area_id is not None and area_id != asked
        named = {n: mine[0][n] if below else None for n in ("code", "layer", "name")}
        found.append({**named, **_rate(mine), "kinds": _by_kind(mine)})
    return found
