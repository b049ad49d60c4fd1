"""Warnings (监测预警): what is more than usual, accepted, worked and closed by its owner."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Body, Path, Query, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import FEATURES, NO_STORE, GeoJson, Json
from api.calendars import WRITE
from api.deps import Db
from api.once import Once, Write
from api.problems import documented
from api.schemas import BIGGEST
from api.schemas_early_warnings import (
    WarningAccept,
    WarningClose,
    WarningEffect,
    WarningLooks,
    WarningPage,
    WarningPlan,
    WarningsAsked,
    WarningShown,
)
from data import early_warning_effect, early_warning_lists, early_warnings, territory

router = APIRouter(prefix="/api/v1/warnings", tags=["warnings"])
Of = Annotated[int, Path(ge=1, le=BIGGEST, description="the warning's number")]
_ONE = {"model": WarningShown, **examples.ok(examples.of("warning"))}
_DONE: dict[int | str, dict[str, Any]] = {
    200: {"description": "Done", **_ONE},
    **documented(*WRITE, "warning-unknown", "warning-not-allowed"),
}


@router.get(
    "",
    summary="List warnings",
    responses={
        200: {"model": WarningPage, **examples.ok(examples.of("warnings"), **FEATURES)},
        **documented("validation", "area-unknown"),
    },
)
async def listed(
    asked: Annotated[WarningsAsked, Query()], db: Db, who: Who = may("analysis.read")
) -> Response:
    """The newest first; as GeoJSON with the shapes of their areas."""

    def look(connection: Connection) -> list[dict[str, Any]]:
        area = territory.id_of(connection, asked.area)
        return early_warning_lists.listed(
            connection, now=datetime.now(UTC), states=asked.state, owner=asked.owner,
            area_ids=None if area is None else territory.below(connection, area),
            kind=asked.kind, late=asked.late, before=asked.before, limit=asked.limit,
        )  # fmt: skip

    rows = await db.apart(look)
    shapes = [row.pop("geometry") for row in rows]
    next_ = None
    if len(rows) == asked.limit:
        query = asked.model_dump(exclude_defaults=True, mode="json")
        query |= {"before": rows[-1]["number"]}
        query = {k: str(v).lower() if isinstance(v, bool) else v for k, v in query.items()}
        next_ = f"{router.prefix}?{urlencode(query, doseq=True)}"
    if asked.f == "geojson":
        features = [
            {"type": "Feature", "id": row["number"], "properties": row,
             "geometry": orjson.Fragment(shape) if shape else None}
            for row, shape in zip(rows, shapes, strict=True)
        ]  # fmt: skip
        said = {"type": "FeatureCollection", "next": next_, "features": features}
        return GeoJson(said, headers=NO_STORE)
    return Json({"warnings": rows, "next": next_}, headers=NO_STORE)


@router.get(
    "/looks",
    summary="How many warnings are false",
    responses={
        200: {"model": WarningLooks, **examples.ok(examples.of("warning_looks"))},
        **documented("validation"),
    },
)
async def looks(
    db: Db, limit: Annotated[int, Query(ge=1, le=366)] = 7, who: Who = may("analysis.read")
) -> Response:
    """The daily looks: what was watched, and how many false warnings are to be expected."""
    return Json({"looks": await db.read(early_warning_lists.looks, limit)}, headers=NO_STORE)


@router.get(
    "/{number}",
    summary="Read a warning",
    responses={200: _ONE, **documented("validation", "warning-unknown")},
)
async def read(number: Of, db: Db, who: Who = may("analysis.read")) -> Response:
    """What is usual beside what is, where, whose it is, and what was done."""
    return Json(await db.read(_shown, number), headers=NO_STORE)


@router.get(
    "/{number}/effect",
    summary="What the measures against a warning did",
    responses={
        200: {"model": WarningEffect, **examples.ok(examples.of("warning_effect"))},
        **documented("validation", "warning-unknown", "warning-effect-unknown"),
    },
)
async def effect(number: Of, db: Db, who: Who = may("analysis.read")) -> Response:
    """The areas of its deployment before and after, beside areas of the same course before.

    What surges tends to fall by itself: look at the change of the controls, too.
    """

    def look(connection: Connection) -> dict[str, Any]:
        return early_warning_effect.effect(connection, number, now=datetime.now(UTC))

    return Json(await db.apart(look), headers=NO_STORE)


@router.post("/{number}/accept", summary="Take a warning on", responses=_DONE)
async def accept(
    number: Of,
    said: Annotated[WarningAccept, Body(openapi_examples=examples.of("warning_accept_request"))],
    once: Once, who: Who = may("case.write"),
) -> Response:  # fmt: skip
    """From then on it is worked on; it is to be done by `due`."""

    def act(connection: Connection) -> None:
        now = datetime.now(UTC)
        early_warnings.accept(connection, number, actor=who.name, now=now, reason=said.reason)

    return await _do(once, number, act)


@router.post(
    "/{number}/plan",
    summary="Note what is done about a warning",
    responses={**_DONE, **documented("deployment-unknown", "reason-missing")},
)
async def plan(
    number: Of,
    said: Annotated[WarningPlan, Body(openapi_examples=examples.of("warning_plan_request"))],
    once: Once, who: Who = may("case.write"),
) -> Response:  # fmt: skip
    """In words, and with the deployment of the people who do it, if there is one."""

    def act(connection: Connection) -> None:
        early_warnings.plan(
            connection, number, actor=who.name, note=said.note, deployment=said.deployment
        )

    return await _do(once, number, act)


@router.post(
    "/{number}/close",
    summary="Close a warning",
    responses={**_DONE, **documented("reason-missing")},
)
async def close(
    number: Of,
    said: Annotated[WarningClose, Body(openapi_examples=examples.of("warning_close_request"))],
    once: Once, who: Who = may("case.write"),
) -> Response:  # fmt: skip
    """As what it turned out to be, and why."""

    def act(connection: Connection) -> None:
        early_warnings.close(
            connection, number, actor=who.name, now=datetime.now(UTC), outcome=said.outcome,
            reason=said.reason,
        )  # fmt: skip

    return await _do(once, number, act)


async def _do(once: Write, number: int, act: Callable[[Connection], None]) -> Response:
    """Do something with a warning and answer with how it stands then."""

    def work(connection: Connection) -> Response:
        act(connection)
        return Json(_shown(connection, number), headers=NO_STORE)

    return await once(work)


def _shown(connection: Connection, number: int) -> dict[str, Any]:
    found = early_warning_lists.get(connection, number, now=datetime.now(UTC))
    shape = found["geometry"]
    return {**found, "geometry": orjson.Fragment(shape) if shape else None}
