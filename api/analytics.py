"""Analyses as data and as pages: one pair of routes for each exhibit."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import create_model
from sqlalchemy import Connection, RowMapping

from api import examples, exhibits
from api.access import Who, may
from api.analysing import PENDING, Patience, answer, is_done, pending, pending_page, place
from api.answers import NO_STORE, GeoJson, Json
from api.deps import Db
from api.exhibits import EXHIBITS, Exhibit
from api.problems import documented
from api.schemas_analytics import Analysed, AskedPeriod, Format, Spoken
from api.sheets import FILES, table
from data.analyses import kept
from layers.i18n import Lang

router = APIRouter()
_WRONG = ("validation", "area-unknown", "period-wrong", "not-found")
_FILES: dict[str, Any] = {"application/geo+json": {"schema": {"type": "object"}}, **FILES}


async def _found(
    exhibit: Exhibit, asked: AskedPeriod, db: Db, who: Who, patience_s: float
) -> RowMapping:
    selection, area = await db.read(place, asked.selection(), who)
    return await answer(db, exhibit.question(asked, selection, area), patience_s)


def _data(exhibit: Exhibit) -> None:
    name = f"Asked{exhibit.name.title()}"
    asks = create_model(name, __base__=exhibit.asked, format=(Format, "json"))
    example = examples.ok(examples.of(f"analysis_{exhibit.name}"))["content"]

    @router.get(
        f"/api/v1/analytics/{exhibit.name}",
        name=f"analytics_{exhibit.name}",
        tags=["analytics"],
        summary=exhibit.summary,
        responses={
            200: {"model": Analysed, "content": {**example, **_FILES}}, **PENDING,
            **documented(*_WRONG),
        },
    )  # fmt: skip
    async def data(
        asked: Annotated[Any, Query()], db: Db, patience: Patience,
        who: Who = may("analysis.read"),
    ) -> Response:  # fmt: skip
        row = await _found(exhibit, asked, db, who, patience)
        if not is_done(row):
            return pending(row)
        said = kept.opened(row)
        if asked.format == "json":
            return Json({"made": row["made"], "analysis": row["id"], **said}, headers=NO_STORE)
        if asked.format == "geojson":
            features = await db.apart(exhibit.features, said)
            headers = {
                "Content-Disposition": f'attachment; filename="{exhibit.name}.geojson"',
                **NO_STORE,
            }
            return GeoJson({"type": "FeatureCollection", "features": features}, headers=headers)
        return table(asked.format, exhibit.name, *exhibit.table(said))

    data.__annotations__["asked"] = Annotated[asks, Query()]
    data.__doc__ = (
        f"{exhibit.summary}; as JSON, GeoJSON, CSV or XLSX. It is worked out once and kept until "
        "reports of its days change."
    )


def _page(exhibit: Exhibit) -> None:
    asks = create_model(f"Asked{exhibit.name.title()}Page", __base__=(exhibit.asked, Spoken))

    @router.get(
        f"/maps/{exhibit.name}",
        name=f"maps_{exhibit.name}",
        tags=["pages"],
        summary=exhibit.title[1],
        response_class=HTMLResponse,
        responses={202: {"description": "It is being worked out; the page loads itself again."},
                   **documented(*_WRONG)},
    )  # fmt: skip
    async def page(
        request: Request, asked: Annotated[Any, Query()], db: Db, patience: Patience,
        who: Who = may("analysis.read"),
    ) -> Response:  # fmt: skip
        lang: Lang = asked.lang
        row = await _found(exhibit, asked, db, who, patience)
        if not is_done(row):
            return pending_page(row, exhibit.titled(lang), lang)
        ground = await request.app.state.grounds.newest(db, exhibit.levels(asked))

        def draw(connection: Connection) -> str:
            return exhibits.page(
                connection, exhibit, asked, row, ground, lang=lang, now=datetime.now(UTC)
            )

        return HTMLResponse(await db.apart(draw), headers=NO_STORE)

    page.__annotations__["asked"] = Annotated[asks, Query()]
    page.__doc__ = f"{exhibit.summary}, on a map without other hosts."


for _exhibit in EXHIBITS.values():
    _data(_exhibit)
    _page(_exhibit)
