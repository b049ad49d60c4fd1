"""Risk assessments of decisions: drawn, profiled, decided on, looked at again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Body, Path, Query, Response
from pydantic import Field
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import Who, may
from api.answers import FEATURE, FEATURES, NO_STORE, GeoJson, Json
from api.deps import Db
from api.once import Once
from api.problems import documented
from api.schemas import BIGGEST, Incoming, Line, Prose, Word
from api.schemas_assessments import AssessmentPage, AssessmentShown
from data import assessments, drawings, territory
from data.assessments import Decision
from data.schema.assessments import RISK_LEVELS

router = APIRouter(prefix="/api/v1/assessments", tags=["assessments"])
Id = Annotated[int, Path(ge=1, le=BIGGEST, description="the assessment's number", examples=[1])]
Format = Annotated[Literal["json", "geojson"], Query(description="geojson: as features")]
_BODY = ("validation", "key-reused", "not-json", "wrong-content-type", "too-large")


class DraftSaid(Incoming):
    """A decision to be assessed, and the area that it is about."""

    title: Line
    geometry: dict[str, Any] = Field(
        description="GeoJSON Polygon or MultiPolygon, or a Feature that has one"
    )
    datum: Word = Field("wgs84", description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…")


class DecisionSaid(Incoming):
    """What was decided."""

    level: Literal[RISK_LEVELS]  # type: ignore[valid-type]
    decision: Annotated[Prose, Field(min_length=1, description="what is to be done")]
    decided_by: Line = Field(description="the body that decided")
    review: date | None = Field(
        None, ge=date(2000, 1, 1), lt=date(2200, 1, 1), description="when it is looked at again"
    )


class Listing(Incoming):
    """Which assessments."""

    level: Literal[RISK_LEVELS] | None = None  # type: ignore[valid-type]
    decided: bool | None = Field(None, description="only those decided on, or only drafts")
    review_by: date | None = Field(None, description="to be looked at again by that day")
    area: Word | None = Field(None, description="code of an area that has a part of them")
    after: int = Field(0, ge=0, le=BIGGEST, description="the last number seen")
    limit: int = Field(100, ge=1, le=1000)
    f: Literal["json", "geojson"] = Field("json", description="geojson: a FeatureCollection")


@router.post(
    "",
    status_code=201,
    summary="Draw an area and take its profile",
    responses={
        201: {"model": AssessmentShown, **examples.ok(examples.of("assessment"))},
        **documented(*_BODY, "drawing-refused", "datum-unsupported"),
    },
)
async def draft(
    said: Annotated[DraftSaid, Body(openapi_examples=examples.of("assessment_request"))],
    once: Once, who: Who = may("record.write"),
) -> Response:  # fmt: skip
    """What is inside it now is kept with it, whatever becomes of the city later.

    An outline that crosses itself is mended, and the notes say so; so they do of a part that lies
    outside the city.
    """

    def work(connection: Connection) -> Response:
        drawn = drawings.polygon(said.geometry, said.datum)
        now = datetime.now(UTC)
        number = assessments.draft(connection, said.title, drawn, actor=who.name, now=now)
        shown = _shown(assessments.get(connection, number))
        return Json(shown, 201, {**NO_STORE, "Location": shown["href"]})

    return await once(work)


@router.put(
    "/{number}/decision",
    summary="Say what was decided",
    responses={
        200: {"model": AssessmentShown, **examples.ok(examples.of("assessment"))},
        **documented(*_BODY, "assessment-unknown"),
    },
)
async def decide(
    number: Id,
    said: Annotated[DecisionSaid, Body(openapi_examples=examples.of("decision_request"))],
    once: Once, who: Who = may("record.write"),
) -> Response:  # fmt: skip
    """The last decision holds, and those before it stay known; the same said again is one."""

    def work(connection: Connection) -> Response:
        decision = Decision(**said.model_dump())
        assessments.decide(connection, number, decision, actor=who.name, now=datetime.now(UTC))
        return Json(_shown(assessments.get(connection, number)), headers=NO_STORE)

    return await once(work)


@router.get(
    "",
    summary="List risk assessments",
    responses={
        200: {"model": AssessmentPage, **examples.ok(examples.of("assessments"), **FEATURES)},
        **documented("validation", "area-unknown"),
    },
)
async def listing(
    asked: Annotated[Listing, Query()], db: Db, who: Who = may("record.read")
) -> Response:
    """By number, page by page, without their profiles."""

    def look(connection: Connection) -> Sequence[RowMapping]:
        chosen = territory.named(connection, asked.area).id if asked.area else None
        said = asked.model_dump(exclude={"area", "f"})
        return assessments.page(connection, area_id=chosen, **said)

    rows = await db.apart(look)
    next_ = None
    if len(rows) == asked.limit:
        query = asked.model_dump(exclude_defaults=True, mode="json") | {"after": rows[-1]["id"]}
        query = {k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()}
        next_ = f"{router.prefix}?{urlencode(query)}"
    if asked.f == "geojson":
        features = [_feature(row, _listed(row)) for row in rows]
        return GeoJson({"type": "FeatureCollection", "next": next_, "features": features})
    return Json({"assessments": [_listed(row) for row in rows], "next": next_}, headers=NO_STORE)


@router.get(
    "/{number}",
    summary="Read a risk assessment",
    responses={
        200: {"model": AssessmentShown, **examples.ok(examples.of("assessment"), **FEATURE)},
        **documented("validation", "assessment-unknown"),
    },
)
async def read(number: Id, db: Db, f: Format = "json", who: Who = may("record.read")) -> Response:
    """Its area, what was inside it that day, and what was decided."""
    row = await db.read(assessments.get, number)
    shown = _shown(row)
    if f == "geojson":
        shown.pop("geometry")
        return GeoJson(_feature(row, shown), headers=NO_STORE)
    return Json(shown, headers=NO_STORE)


def _listed(row: Mapping[str, Any] | RowMapping) -> dict[str, Any]:
    plain = {name: row[name] for name in _LISTED}
    return {**plain, "area_m2": round(row["area_m2"], 1), "href": f"{router.prefix}/{row['id']}"}


_LISTED = (
    "id", "title", "notes", "created", "actor", "level", "decision", "decided", "decided_by",
    "review",
)  # fmt: skip


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_listed(row),
        "geometry": orjson.Fragment(row["geometry"]),
        "profile": row["profile"],
        "decisions": row["decisions"],
    }


def _feature(row: Mapping[str, Any] | RowMapping, properties: dict[str, Any]) -> dict[str, Any]:
    shape = orjson.Fragment(row["geometry"])
    return {"type": "Feature", "id": row["id"], "geometry": shape, "properties": properties}
