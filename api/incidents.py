"""Incidents, and who could go to them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Connection

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.deps import Db, Way
from api.problems import POSITION, Problem, documented
from api.schemas import BIGGEST, Moment, Number, Word
from api.schemas_incidents import Candidates, Incident, Incidents
from data import candidates, incidents, reports, rules
from data.candidates import Candidate, Found, Question
from data.rules import Rule
from gis.ranking import Weights
from gis.travel import Roads, Travel
from layers.i18n import Lang
from layers.reasons import Reasons

router = APIRouter(prefix="/api/v1", tags=["incidents"])
DAY_S = 86_400
Id = Annotated[int, Path(ge=1, le=BIGGEST, description="the incident's number", examples=[1])]
Most = Annotated[int, Query(ge=1, le=candidates.NEAREST, description="so many, best first")]
Language = Annotated[Lang, Query(description="of the words in the answer")]
Kinds = Annotated[
    list[Word] | None,
    Query(
        alias="resource_kind",
        max_length=50,
        description="these kinds of resource instead of the rule's",
    ),
]
Skills = Annotated[
    list[Word] | None, Query(alias="skill", max_length=50, description="only who has them all")
]


@router.get(
    "/incidents",
    dependencies=[may("incident.read")],
    summary="List the open incidents",
    responses={
        200: {"model": Incidents, **examples.ok(examples.INCIDENTS)},
        **documented("validation", "area-unknown"),
    },
)
async def listed(
    db: Db,
    kind: Annotated[Word | None, Query(description="what it is about")] = None,
    layer: Annotated[Word, Query(description="of the code")] = "grid",
    code: Annotated[Word | None, Query(description="only in this area and those below it")] = None,
    after: Annotated[
        int | None, Query(ge=1, le=BIGGEST, description="number of the last one seen")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The most urgent first, and of those the longest open."""
    async with db.snapshot() as run:
        within = None if code is None else await run(incidents.under, layer, code)
        if within == []:
            raise Problem("area-unknown", f"The layer {layer} has no area {code}.", field="code")
        rows = await run(incidents.open_ones, kind=kind, under=within, after=after, limit=limit)
    more = {"kind": kind, "layer": layer if code else None, "code": code, "limit": limit}
    query = urlencode({name: value for name, value in more.items() if value is not None})
    onward = f"{router.prefix}/incidents?{query}&after={rows[-1]['id']}" if rows else None
    return Json(
        {
            "incidents": [shown(dict(row)) for row in rows],
            "next": onward if len(rows) == limit else None,
        },
        headers=NO_STORE,
    )


@router.get(
    "/incidents/{number}",
    dependencies=[may("incident.read")],
    summary="Read an incident",
    responses={
        200: {"model": Incident, **examples.ok(examples.INCIDENT)},
        **documented("validation", "incident-unknown"),
    },
)
async def read(number: Id, db: Db) -> Response:
    """An incident as it stands."""
    return Json(shown(await db.read(_known, number)), headers=NO_STORE)


@router.get(
    "/incidents/{number}/candidates",
    dependencies=[may("dispatch.write")],
    summary="Who could go to an incident, best first, with reasons",
    responses={
        200: {"model": Candidates, **examples.ok(examples.CANDIDATES)},
        **documented("validation", "incident-unknown", "rule-refused"),
    },
)
async def who(
    number: Id,
    db: Db,
    way: Way,
    limit: Most = 5,
    lang: Language = "zh",
    kinds: Kinds = None,
    skills: Skills = None,
) -> Response:
    """Those on duty, able and free, by travel time and what else the rule of its kind counts."""

    def look(connection: Connection) -> dict[str, Any]:
        incident = _known(connection, number)
        return for_incident(
            connection, incident, way, limit=limit, lang=lang, kinds=kinds, needed=skills or ()
        )

    return Json(await db.apart(look), headers=NO_STORE)


@router.get(
    "/nearest",
    dependencies=[may("dispatch.write")],
    summary="The nearest of a kind, or the nearest that offers something",
    responses={
        200: {"model": Candidates, **examples.ok(examples.CANDIDATES)},
        **documented("validation", "rule-refused", "datum-unsupported", *POSITION),
    },
)
async def nearest(
    db: Db,
    way: Way,
    lon: Annotated[
        Number, Query(description="longitude, or easting, in the datum", examples=[113.105])
    ],
    lat: Annotated[
        Number, Query(description="latitude, or northing, in the datum", examples=[23.0025])
    ],
    datum: Annotated[
        Word, Query(description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…", examples=["wgs84"])
    ],
    kinds: Annotated[
        list[Word],
        Query(alias="resource_kind", min_length=1, max_length=50, examples=[["mediator"]]),
    ],
    skills: Skills = None,
    at: Annotated[Moment | None, Query(description="who is on duty then; else now")] = None,
    limit: Most = 5,
    lang: Language = "zh",
) -> Response:
    """Such as the nearest governance centre with a court circuit, or the nearest free mediator."""

    def look(connection: Connection) -> dict[str, Any]:
        rules.known(connection, kinds, skills or ())
        point = reports.normalise(lon, lat, datum, 1.0)
        question = Question(
            point.lon,
            point.lat,
            Rule(None, list(dict.fromkeys(kinds)), reach_s=DAY_S),
            at=at,
            needed=skills or (),
        )
        return answered(connection, question, way, limit=limit, lang=lang)

    return Json(await db.apart(look), headers=NO_STORE)


def _known(connection: Connection, number: int) -> Mapping[str, Any]:
    row = incidents.get(connection, number)
    if row is None:
        raise Problem("incident-unknown", f"There is no incident {number}.", field="number")
    return dict(row)


def for_incident(
    connection: Connection,
    incident: Mapping[str, Any],
    way: Travel,
    *,
    limit: int,
    lang: Lang,
    kinds: Sequence[str] | None = None,
    needed: Sequence[str] = (),
) -> dict[str, Any]:
    """The candidates of an incident as they go out, by the rule of its kind.

    Who is under way there already or has declined is not proposed again.
    """
    rule = rules.of(connection, incident["kind"])
    if kinds or needed:
        rules.known(connection, kinds or (), needed)
    if kinds:
        rule = Rule(rule.kind, kinds, rule.skills, rule.reach_s, rule.weights)
    if incident["lon"] is None:
        return _nowhere(rule, needed, way, lang)
    question = Question(
        incident["lon"],
        incident["lat"],
        rule,
        incident["area_id"],
        needed=needed,
        without=candidates.asked_before(connection, incident["id"]),
    )
    return answered(connection, question, way, limit=limit, lang=lang)


def answered(
    connection: Connection, question: Question, way: Travel, *, limit: int, lang: Lang
) -> dict[str, Any]:
    """The answer to a question for candidates, in words and figures."""
    found = candidates.find(connection, question, way, limit)
    words = Reasons(found, question.rule.reach_s, lang, roads=isinstance(way, Roads))
    return {
        "candidates": [
            _candidate(candidate, rank, words) for rank, candidate in enumerate(found.candidates, 1)
        ],
        "shortfalls": _shortfalls(found, words),
        "rule": _asked(question.rule, question.needed),
        "travel": way.name,
    }


def _nowhere(rule: Rule, needed: Sequence[str], way: Travel, lang: Lang) -> dict[str, Any]:
    return {
        "candidates": [],
        "shortfalls": [{"reason": "no_place", "skill": None, "text": Reasons.no_place(lang)}],
        "rule": _asked(rule, needed),
        "travel": way.name,
    }


def person_shown(c: Candidate, words: Reasons) -> dict[str, Any]:
    """A candidate as somebody, without what speaks for and against it."""
    row = c.row
    person = ("id", "kind", "form", "name", "organisation", "mode", "skills", "load", "capacity")
    return {
        **{name: row[name] for name in person},
        "kind_title": words.title(row),
        "point": {"lon": row["lon"], "lat": row["lat"]},
        "by_position": row["by_position"],
    }


def _candidate(c: Candidate, rank: int, words: Reasons) -> dict[str, Any]:
    reasons, against = words.for_it(c), words.against(c)
    return {
        "rank": rank,
        "resource": person_shown(c, words),
        "travel_s": round(c.travel_s),
        "distance_m": round(c.distance_m),
        "by_road": c.by_road,
        "responsible": c.responsible,
        "minutes": round(c.total, 1),
        "parts": {name: round(part, 1) for name, part in c.minutes.items() if part},
        "reasons": reasons,
        "against": against,
        "summary": words.line([*reasons, *against]),
    }


def _shortfalls(found: Found, words: Reasons) -> list[dict[str, Any]]:
    return [
        {"reason": each.reason, "skill": each.skill, "text": words.shortfall(each)}
        for each in found.shortfalls
    ]


def _asked(rule: Rule, needed: Sequence[str]) -> dict[str, Any]:
    weights = vars(Weights.of(rule.weights))
    return {**vars(rule), "needed": list(needed), "weights": weights}


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """An incident as it goes out."""
    kept = (
        "id", "opened", "closed", "outcome", "kind", "urgency", "address", "description", "source",
        "triage", "under_way",
    )  # fmt: skip
    area = {"layer": row["layer"], "code": row["code"], "name": row["area_name"]}
    return {
        **{name: row[name] for name in kept},
        "point": None if row["lon"] is None else {"lon": row["lon"], "lat": row["lat"]},
        "area": area if row["code"] else None,
        "report": f"/api/v1/reports/{row['id']}",
        "candidates": f"{router.prefix}/incidents/{row['id']}/candidates",
    }
