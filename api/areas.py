"""The map: layers, areas, their versions, and grids with all that they were."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field, field_validator

from api import examples
from api.access import may
from api.answers import FEATURES, FOR_EVER_S, UNCHANGED, GeoJson, Json, cached
from api.deps import Db
from api.problems import Problem, documented
from api.schemas import BIGGEST, Incoming, Known, Moment, Word
from api.schemas_areas import AreaPage, AreaShown, Grid, Layers, Version
from data import areas, atlas, locating

router = APIRouter(prefix="/api/v1", tags=["areas"])
DIGITS, ALL_DIGITS = 7, 15  # of a degree: a centimetre, and all that is stored

Layer = Annotated[Word, Path(description="a layer of /areas", examples=["grid"])]
Code = Annotated[Word, Path(description="the area's code", examples=["440604010001003"])]


class Moments(Incoming):
    """When, on both time axes, and whether with the shape."""

    at: Moment | None = Field(None, description="the instant whose borders count; else now")
    known: Known | None = Field(None, description="as the map was known then; else now")
    geometry: bool = Field(False, description="with the shape, as GeoJSON")


class Listing(Moments):
    """Which areas of a layer."""

    parent: Word | None = Field(None, description="code of the area above")
    kind: Literal["basic", "dedicated"] | None = None
    name: Word | None = Field(None, description="a part of the name")
    bbox: str | None = Field(
        None,
        description="west,south,east,north in degrees WGS 84",
        examples=["113.0,22.9,113.2,23.1"],
    )
    after: Word | None = Field(None, description="the last code seen")
    limit: int = Field(100, ge=1, le=1000)
    f: Literal["json", "geojson"] = Field("json", description="geojson: a FeatureCollection")

    @field_validator("bbox")
    @classmethod
    def _is_box(cls, value: str | None) -> str | None:
        if value is not None:
            corners(value)
        return value


@router.get(
    "/areas",
    dependencies=[may("area.read")],
    summary="List the layers of the map",
    responses={200: {"model": Layers, **examples.ok(examples.LAYERS)}, **documented()},
)
async def layers(db: Db) -> Response:
    """The levels of the area tree from the city down, then the overlays that cut across it."""
    rows = await db.read(areas.layers)
    return Json({"layers": [{**row, "href": f"/api/v1/areas/{row['name']}"} for row in rows]})


@router.get(
    "/areas/{layer}",
    dependencies=[may("area.read")],
    summary="List the areas of a layer",
    responses={
        200: {"model": AreaPage, **examples.ok(examples.PAGE, **FEATURES)},
        **documented("validation", "layer-unknown"),
    },
)
async def listing(layer: Layer, asked: Annotated[Listing, Query()], db: Db) -> Response:
    """Areas by code, page by page; `next` leads on and keeps the two moments of the first page."""
    async with db.snapshot() as run:
        await _check(run, layer)
        at, known = await run(locating.moments, asked.at, asked.known)
        chosen = atlas.Filter(
            layer, at, known, asked.parent, asked.kind, asked.name,
            corners(asked.bbox) if asked.bbox else None, asked.after,
        )  # fmt: skip
        digits = DIGITS if asked.geometry or asked.f == "geojson" else None
        rows = await run(atlas.page, chosen, limit=asked.limit, digits=digits)
    next_ = None
    if len(rows) == asked.limit:
        moments = {"at": at.isoformat(), "known": known.isoformat(), "after": rows[-1]["code"]}
        query = asked.model_dump(exclude_defaults=True) | moments
        query = {k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()}
        next_ = f"/api/v1/areas/{layer}?{urlencode(query)}"
    found = [_shown(row, asked.geometry or asked.f == "geojson") for row in rows]
    frame = {"layer": layer, "at": at, "known": known, "next": next_}
    if asked.f == "geojson":
        features = [_feature(area) for area in found]
        return GeoJson({"type": "FeatureCollection", **frame, "features": features})
    return Json({**frame, "areas": found})


@router.get(
    "/areas/{layer}/{code}",
    dependencies=[may("area.read")],
    summary="Read an area",
    responses={
        200: {"model": AreaShown, **examples.ok(examples.AREA)},
        **documented("validation", "layer-unknown", "area-unknown"),
    },
)
async def area(layer: Layer, code: Code, asked: Annotated[Moments, Query()], db: Db) -> Response:
    """An area as it is or was, with the chain of areas above it."""
    digits = DIGITS if asked.geometry else None
    async with db.snapshot() as run:
        await _check(run, layer)
        row = await run(atlas.area, layer, code, at=asked.at, known=asked.known, digits=digits)
    if row is None:
        raise _unknown(layer, code)
    return Json(_shown(row, asked.geometry))


@router.get(
    "/areas/{layer}/{code}/versions/{version}",
    dependencies=[may("area.read")],
    summary="Read the version of an area that an answer rests on",
    responses={
        200: {"model": Version, **examples.ok(examples.VERSION)},
        **UNCHANGED,
        **documented("validation", "layer-unknown", "area-unknown"),
    },
)
async def version(
    layer: Layer,
    code: Code,
    version: Annotated[int, Path(ge=1, le=BIGGEST, examples=[7])],
    request: Request,
    db: Db,
) -> Response:
    """One version with its border to the last digit, and from when until when it was believed."""
    async with db.snapshot() as run:
        await _check(run, layer)
        rows = await run(atlas.versions, layer, code, version=version, digits=ALL_DIGITS)
    if not rows:
        raise Problem("area-unknown", f"{layer} {code} has no version {version}.", field="version")
    ended = rows[0]["recorded_until"] is not None
    return cached(request, _shown(rows[0], True), max_age_s=FOR_EVER_S if ended else 60)


@router.get(
    "/grids/{code}",
    dependencies=[may("area.read")],
    tags=["grids"],
    summary="Read a grid with its whole history",
    responses={
        200: {"model": Grid, **examples.ok(examples.GRID)},
        **documented("validation", "area-unknown"),
    },
)
async def grid(
    code: Code,
    db: Db,
    geometry: Annotated[bool, Query(description="with the shapes, as GeoJSON")] = False,
) -> Response:
    """What it is now, every version on both time axes, and from whom it came and to whom it went.

    `current` is null for a grid that is no longer in force.
    """
    async with db.snapshot() as run:
        found = await run(atlas.history, "grid", code, digits=DIGITS if geometry else None)
    if found is None:
        raise _unknown("grid", code)
    current = found["current"]
    return Json(
        {
            "code": code,
            "current": _shown(current, geometry) if current else None,
            "versions": [_shown(row, geometry) for row in found["versions"]],
            "lineage": {
                side: [{**row, "href": f"/api/v1/grids/{row['code']}"} for row in rows]
                for side, rows in found["lineage"].items()
            },
        }
    )


async def _check(run: Any, layer: str) -> None:
    names = await run(locating.layer_names)
    if layer not in names:
        listed = ", ".join(names)
        raise Problem(
            "layer-unknown", f"There is no layer {layer!r}; there are {listed}.", field="layer"
        )


def _unknown(layer: str, code: str) -> Problem:
    detail = (
        f"There is no {layer} {code} at that moment; GET /api/v1/areas/{layer} lists those that "
        "there are."
    )
    return Problem("area-unknown", detail, field="code")


def _shown(row: Mapping[str, Any], geometry: bool) -> dict[str, Any]:
    """A row of `data.atlas` as it goes out."""
    shown = {name: value for name, value in row.items() if name != "geometry"}
    shown["area_m2"] = round(row["area_m2"], 1)
    shown["href"] = f"/api/v1/areas/{row['layer']}/{row['code']}/versions/{row['version_id']}"
    if geometry:
        shown["geometry"] = orjson.Fragment(row["geometry"])
    return shown


def _feature(area: dict[str, Any]) -> dict[str, Any]:
    geometry = area.pop("geometry")
    return {"type": "Feature", "id": area["code"], "geometry": geometry, "properties": area}


def corners(text: str) -> tuple[float, float, float, float]:
    """West, south, east and north of a box as it is written; ValueError says what is wrong."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            "a bbox is four numbers west,south,east,north in degrees, such as 113.0,22.9,113.2,23.1"
        ) from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise ValueError(
            "a bbox runs from west to east (-180 to 180) and from south to north (-90 to 90): "
            "west,south,east,north"
        )
    return west, south, east, north
