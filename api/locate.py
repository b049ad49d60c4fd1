"""Where is it? One question, or thousands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from pydantic import Field, SkipValidation, TypeAdapter, ValidationError, model_validator
from sqlalchemy import RowMapping

from api import examples
from api.access import may
from api.answers import FOR_EVER_S, UNCHANGED, Json, cached
from api.deps import Db, Run
from api.problems import POSITION, Problem, documented, of_input, of_validation
from api.schemas import Accuracy, Incoming, Known, Line, Moment, Number, Word
from api.schemas_locate import Answer, Batch
from data import addresses, locating, placement
from data.placement import Place
from data.reports import Point as Normal
from data.reports import ReportError, clues, is_clear, normalise
from data.settings import settings

router = APIRouter(prefix="/api/v1/locate", tags=["locate"])
MOST = 10_000
CHUNK = 250  # questions asked in one statement: others get their turn in between
USUAL = ("wgs84", "gcj02", "bd09")


class Question(Incoming):
    """A position, an address, or both."""

    lon: Number | None = Field(None, description="longitude, or easting", examples=[113.1288])
    lat: Number | None = Field(None, description="latitude, or northing", examples=[23.0192])
    datum: Word | None = Field(
        None, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…", examples=["gcj02"]
    )
    accuracy: Accuracy | None = Field(None, description="radius of the uncertainty, metres")
    at: Moment | None = Field(None, description="the instant whose borders count; else now")
    known: Known | None = Field(None, description="as the map was known then; else now")
    layer: Word = Field("grid", description="the layer that the area is to be of")
    address: Line | None = Field(None, description="as people write it", examples=["魁奇东路88号"])
    source: Word | None = Field(None, description="whose default datum and accuracy count")

    @model_validator(mode="after")
    def _is_a_place(self) -> "Question":
        if (self.lon is None) != (self.lat is None):
            raise ValueError("give both lon and lat, or neither")
        return self


Questions = Annotated[
    list[SkipValidation[Question]],
    Body(max_length=MOST, openapi_examples=examples.BATCH_REQUEST),
]
_FAULTS = ("validation", "datum-unknown", "position-missing", "layer-unknown", *POSITION)


@router.get(
    "",
    dependencies=[may("area.read")],
    summary="Find the area of a position or an address",
    responses={
        200: {"model": Answer, **examples.ok(examples.ANSWER)}, **UNCHANGED, **documented(*_FAULTS),
    },
)  # fmt: skip
async def locate(asked: Annotated[Question, Query()], request: Request, db: Db) -> Response:
    """The area, its chain, what else the position could be, and until when that may be kept.

    Asked again with the `at` and `known` of the answer, the answer is the same for ever.
    """
    if asked.lon is None:
        async with db.snapshot() as run:
            content = await _by_address(run, asked)
    else:
        defaults = await db.read(locating.source, asked.source) if asked.source else None
        try:
            spot = _spot(asked, defaults)
        except ReportError as error:
            raise await _explained(db, asked, of_input(error)) from error
        found = await db.read(placement.locate, spot.place)
        if found.first is None:
            _check_layer(asked.layer, await db.read(locating.layer_names))
        content = _answer(spot, found)
    # A source has its defaults of today, whatever they were at those moments.
    pinned = (asked.at, asked.known, asked.source) == (content["at"], content["known"], None)
    left = (content["expires"] - datetime.now(UTC)).total_seconds()
    age = FOR_EVER_S if pinned else min(left, settings().answer_ttl_s)
    return cached(request, content, max_age_s=age)


@router.post(
    "/batch",
    dependencies=[may("area.read")],
    summary="Find the areas of up to 10,000 positions or addresses",
    responses={
        200: {"model": Batch, **examples.ok(examples.BATCH)},
        **documented("validation", "not-json", "wrong-content-type", "too-large"),
    },
)
async def locate_many(asked: Questions, db: Db) -> Response:
    """Answers in the order of the questions; one that cannot be answered has its problem instead.

    All of them see one state of the map.
    """
    results: list[dict[str, Any]] = []
    async with db.snapshot() as run:
        layers = set(await run(locating.layer_names))
        rest = iter(asked)
        while chunk := list(islice(rest, CHUNK)):
            results += await _answer_chunk(run, chunk, layers)
    return Json({"results": results})


# --- one place ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spot:
    """A question's position, made WGS 84 and ready for the map."""

    place: Place
    point: dict[str, Any]
    notes: list[str]


def _spot(asked: Question, defaults: RowMapping | None) -> Spot:
    """What to ask the map; raises `ReportError` where the position cannot be right."""
    assert asked.lon is not None and asked.lat is not None
    usual = defaults or {"datum": None, "accuracy_m": None}
    accuracy, default = asked.accuracy or usual["accuracy_m"], usual["datum"]
    normal = normalise(asked.lon, asked.lat, asked.datum, accuracy, default=default)
    received = {"lon": asked.lon, "lat": asked.lat, "datum": normal.datum}
    return _of_point(asked, normal, received)


def _of_point(asked: Question, normal: Normal, received: dict[str, Any] | None) -> Spot:
    place = Place(
        normal.lon, normal.lat, normal.accuracy_m,
        at=asked.at, known=asked.known, layer=asked.layer, **clues(asked.address),
    )  # fmt: skip
    point = {
        "lon": normal.lon,
        "lat": normal.lat,
        "datum": "wgs84",
        "accuracy_m": normal.accuracy_m,
        "received": received,
    }
    return Spot(place, point, list(normal.notes))


def _answer(spot: Spot, found: placement.Located) -> dict[str, Any]:
    return {"point": spot.point, "notes": spot.notes, **placement.answer(spot.place, found)}


def _check_layer(layer: str, known: Sequence[str]) -> None:
    if layer not in known:
        names = ", ".join(known)
        raise Problem(
            "layer-unknown", f"There is no layer {layer!r}; there are {names}.", field="layer"
        )


async def _explained(db: Db, asked: Question, problem: Problem) -> Problem:
    """A datum that is not named is not guessed; what each would give shows what is at stake."""
    if problem.name == "datum-unknown":
        would_be = {}
        for datum in USUAL:
            try:
                spot = _spot(asked.model_copy(update={"datum": datum}), None)
            except ReportError as error:
                if datum == "wgs84":
                    return of_input(error)  # wrong whatever the datum
                continue
            first = (await db.read(placement.locate, spot.place)).first
            would_be[datum] = first["code"] if first else None
        problem.members["would_be"] = would_be
    return problem


# --- by address -----------------------------------------------------------------------------------


async def _by_address(run: Run, asked: Question) -> dict[str, Any]:
    """The answer for the best match, and every candidate with its own."""
    if asked.address is None:
        raise Problem("position-missing", field="lon, lat")
    _check_layer(asked.layer, await run(locating.layer_names))
    at, known = await run(locating.moments, asked.at, asked.known)
    matches = await run(addresses.lookup, asked.address, known=known)
    asked = asked.model_copy(update={"at": at, "known": known})
    spots = [
        _of_point(asked, Normal(m.lon, m.lat, "wgs84", asked.accuracy or m.accuracy_m), None)
        for m in matches
    ]
    found = await run(locating.locate_many, [spot.place for spot in spots])
    if not matches:
        nowhere = Place(0.0, 0.0, settings().accuracy_m, at=at, known=known, layer=asked.layer)
        nothing = placement.Located(at, known, [], [], "none")
        notes = ["The address is not in the gazetteer: give a position, or write it differently."]
        return {"point": None, "notes": notes, **placement.answer(nowhere, nothing),
                "candidates": []}  # fmt: skip
    answers = [_answer(spot, place) for spot, place in zip(spots, found, strict=True)]
    candidates = [
        {"address": m.text, "score": round(m.score, 4), "how": m.how, "answer": answer}
        for m, answer in zip(matches, answers, strict=True)
    ]
    clear = is_clear(matches)
    notes = [] if clear else ["The address could be several places; choose among the candidates."]
    best = answers[0]
    best = best | {
        "notes": best["notes"] + notes,
        "found": "address" if best["area"] else "none",
        "ambiguous": best["ambiguous"] or not clear,
    }
    return {**best, "candidates": candidates}


# --- many -----------------------------------------------------------------------------------------

_question = TypeAdapter(Question)


async def _answer_chunk(run: Run, chunk: Sequence[Any], layers: set[str]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [{}] * len(chunk)
    spots: dict[int, Spot] = {}
    for i, item in enumerate(chunk):
        try:
            asked = _question.validate_python(item)
            _check_layer(asked.layer, sorted(layers))
            if asked.lon is None:
                results[i] = await _by_address(run, asked)
            else:
                defaults = await run(locating.source, asked.source) if asked.source else None
                spots[i] = _spot(asked, defaults)
        except ValidationError as error:
            results[i] = {"problem": of_validation(error.errors()).members}
        except ReportError as error:
            results[i] = {"problem": of_input(error).members}
        except Problem as problem:
            results[i] = {"problem": problem.members}
    found = await run(locating.locate_many, [spot.place for spot in spots.values()])
    for (i, spot), place in zip(spots.items(), found, strict=True):
        results[i] = _answer(spot, place)
    return results
