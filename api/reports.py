"""Reports: in, looked at, confirmed."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Body, Header, Path, Query, Response
from pydantic import Field, model_validator
from sqlalchemy import Connection

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.deps import Db, Way
from api.incidents import Language, for_incident
from api.once import Once
from api.problems import POSITION, Problem, documented
from api.schemas import (
    BIGGEST,
    Accuracy,
    Actor,
    Attributes,
    Happened,
    Incoming,
    Line,
    Number,
    Prose,
    Word,
)
from api.schemas_people import PersonGiven
from api.schemas_reports import Report
from data import following, parties, reports
from data.access import actor as acted
from data.candidates import NEAREST
from data.reports import TRIAGE, NewReport
from gis.travel import Travel
from layers.i18n import Lang

router = APIRouter(prefix="/api/v1/reports", tags=["reports"])
Id = Annotated[int, Path(ge=1, le=BIGGEST, description="the report's number", examples=[1])]
_FAULTS = ("validation", "layer-unknown", *POSITION)


class Submission(Incoming):
    """A report as a hotline, an app or another system sends it."""

    source: Word = Field(description="who sends it; its default datum and accuracy count")
    external_id: Word | None = Field(
        None, description="its number there: the same is stored once; else the Idempotency-Key"
    )
    lon: Number | None = Field(None, description="longitude, or easting, in the datum")
    lat: Number | None = Field(None, description="latitude, or northing, in the datum")
    datum: Word | None = Field(None, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…")
    accuracy_m: Accuracy | None = Field(None, description="radius of the uncertainty, metres")
    address: Line | None = Field(None, description="as people write it")
    occurred: Happened | None = Field(None, description="when it happened; its borders count")
    kind: Word | None = Field(None, description="what it is about")
    premises: Word | None = Field(None, description="kind of place: street, shop, home …")
    description: Prose | None = None
    channel: Word | None = Field(None, description="telephone, app, counter …")
    attributes: Attributes = Field(default_factory=dict, description="whatever else belongs to it")
    layer: Word = Field("grid", description="the layer that it is placed in")
    urgency: int = Field(3, ge=1, le=5, description="of the incident: 1 at once … 5 some day")
    reporter: PersonGiven | None = Field(
        None, description="who reports it, to be asked in the end; kept sealed, never shown plain"
    )

    @model_validator(mode="after")
    def _both(self) -> "Submission":
        if (self.lon is None) != (self.lat is None):
            raise ValueError("give both lon and lat, or neither")
        return self


class Confirmation(Incoming):
    """A person's word about which area a report belongs to."""

    code: Word = Field(description="of an area in force, in the report's layer")
    reason: Prose = Field("", description="why, for those who ask later")
    actor: Actor = None
    lon: Number | None = Field(None, description="the pin, for a report without a position")
    lat: Number | None = None
    datum: Word | None = Field(None, description="of the pin")

    @model_validator(mode="after")
    def _both(self) -> "Confirmation":
        if (self.lon is None) != (self.lat is None):
            raise ValueError("give both lon and lat of the pin, or neither")
        return self


@router.post(
    "",
    dependencies=[may("report.write", everywhere=True)],  # it is taken in wherever it happened
    status_code=201,
    summary="Take a report in, exactly once",
    responses={
        201: {"model": Report, "description": "Taken in", **examples.ok(examples.REPORT)},
        200: {
            "model": Report,
            "description": "It came before and is as it was",
            **examples.ok({**examples.REPORT, "repeated": True}),
        },
        **documented(*_FAULTS, "person-invalid", "not-json", "wrong-content-type", "too-large"),
    },
)
async def submit(
    sent: Annotated[Submission, Body(openapi_examples=examples.REPORT_REQUEST)],
    db: Db,
    way: Way,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    proposed: Annotated[
        int, Query(alias="candidates", ge=0, le=NEAREST, description="so many who could go")
    ] = 5,
    lang: Language = "zh",
) -> Response:
    """Store a report and place it; what has no area waits in triage with the reason.

    It opens an incident of the same number, and the answer says who could go to it. Sent again
    with the same source and external_id, the stored one is returned, as it is by then and however
    late. Where a report has no external_id, the Idempotency-Key is it.
    """
    key = (idempotency_key or "").strip().strip('"')
    external_id = sent.external_id or key or str(uuid4())

    def take_in(connection: Connection) -> tuple[dict[str, Any], bool]:
        number, is_new = taken_in(connection, sent, external_id)
        row = _stored(connection, number)
        return shown(row) | _who(connection, row, way, proposed, lang), is_new

    answer, is_new = await db.write(take_in)
    headers = {"Location": f"{router.prefix}/{answer['id']}", **NO_STORE}
    link = f"/follow/{following.token(answer['id'])}"
    return Json({**answer, "repeated": not is_new, "follow": link}, 201 if is_new else 200, headers)


def taken_in(connection: Connection, sent: Submission, external_id: str) -> tuple[int, bool]:
    """The number of the stored report with who reports it, and whether it is new."""
    values = sent.model_dump(exclude={"lon", "lat", "external_id", "reporter"})
    new = NewReport(external_id=external_id, x=sent.lon, y=sent.lat, **values)
    number, is_new = reports.submit(connection, new)
    if is_new and sent.reporter is not None:
        parties.came_with(connection, number, sent.reporter.person(), actor=sent.source)
    return number, is_new


@router.get(
    "/{number}",
    dependencies=[may("report.read")],
    summary="Read a report",
    responses={
        200: {"model": Report, **examples.ok(examples.REPORT)},
        **documented("validation", "report-unknown"),
    },
)
async def read(number: Id, db: Db) -> Response:
    """A report as it was received and as it is placed."""
    row = await db.read(reports.get, number)
    if row is None:
        raise _unknown(number)
    return Json(shown(dict(row)), headers={"Cache-Control": "no-cache"})


@router.post(
    "/{number}/confirm",
    dependencies=[may("triage.write")],
    summary="Say which area a report belongs to",
    responses={
        200: {"model": Report, **examples.ok(examples.CONFIRMED)},
        **documented(
            *_FAULTS, "report-unknown", "code-not-in-force", "datum-unknown", "key-reused",
            "not-json", "wrong-content-type", "too-large",
        ),
    },
)  # fmt: skip
async def confirm(
    number: Id,
    said: Annotated[Confirmation, Body(openapi_examples=examples.CONFIRM_REQUEST)],
    once: Once,
) -> Response:
    """The report leaves triage, and the place is remembered for reports to come."""
    return await once(_confirm, number, said)


def _stored(connection: Connection, number: int) -> dict[str, Any]:
    row = reports.get(connection, number)
    assert row is not None
    return dict(row)


def _who(
    connection: Connection, report: Mapping[str, Any], way: Travel, limit: int, lang: Lang
) -> dict[str, Any]:
    """Who could go to the incident that a report opened."""
    if limit == 0:
        return {}
    return {"dispatch": for_incident(connection, report, way, limit=limit, lang=lang)}


def _confirm(connection: Connection, number: int, said: Confirmation) -> Response:
    if reports.get(connection, number) is None:
        raise _unknown(number)
    lon = lat = None
    if said.lon is not None and said.lat is not None:
        pin = reports.normalise(said.lon, said.lat, said.datum, 1.0)
        lon, lat = pin.lon, pin.lat
    reports.confirm(
        connection, number, said.code, actor=acted(said.actor), reason=said.reason, lon=lon, lat=lat
    )
    row = _stored(connection, number)
    return Json(shown(row), headers=NO_STORE)


def _unknown(number: int) -> Problem:
    return Problem("report-unknown", f"There is no report {number}.", field="number")


_AS_IT_CAME = (
    "id", "source", "external_id", "received", "occurred", "channel", "kind", "premises",
    "description", "address", "attributes",
)  # fmt: skip


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A stored report as it goes out."""
    received = {"lon": row["x"], "lat": row["y"], "datum": row["datum"]}
    point = {
        "lon": row["lon"],
        "lat": row["lat"],
        "datum": "wgs84",
        "accuracy_m": row["accuracy_m"],
    }
    return {
        **{name: row[name] for name in _AS_IT_CAME},
        "position": None if row["x"] is None else received,
        "point": None if row["lon"] is None else point,
        "placement": _placement(row),
        "triage": waiting(row["triage"]),
        "incident": row["incident_id"],
    }


def _placement(row: Mapping[str, Any]) -> dict[str, Any]:
    version = f"/api/v1/areas/{row['layer']}/{row['code']}/versions/{row['version_id']}"
    area = {"code": row["code"], "name": row["name"], "version": row["version_id"], "href": version}
    return {
        "layer": row["layer"],
        "method": row["method"],
        "area": None if row["code"] is None else area,
        "chain": row["chain"] or [],
        "ambiguous": row["ambiguous"],
        "border_m": None if row["border_m"] is None else round(row["border_m"], 2),
        "alternatives": [
            {name: other.get(name) for name in ("code", "share", "score")}
            for other in row["alternatives"] or []
        ],
        "at": row["at"],
        "known": row["known"],
    }


def waiting(reason: str | None) -> dict[str, str] | None:
    """Why a report waits for a person, and what that person can do."""
    return None if reason is None else {"reason": reason, "what_to_do": TRIAGE.get(reason, "")}
