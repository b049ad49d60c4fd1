"""Red grids (党建小红格): which grids may give departments orders."""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Response
from sqlalchemy import Connection

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.calendars import WRITE
from api.deps import Db
from api.once import Once
from api.problems import documented
from api.schemas import Word
from api.schemas_whistles import RedGridPut, RedGrids
from data import red_grids

router = APIRouter(prefix="/api/v1/red-grids", tags=["whistles"])
Code = Annotated[Word, Path(description="of a grid", examples=["440604010001003"])]
_LIST = {"model": RedGrids, **examples.ok(examples.of("red_grids"))}


@router.get("", summary="The red grids", responses={200: _LIST, **documented()})
async def listed(db: Db, who: Who = may("area.read")) -> Response:
    """Those of today, with who speaks for each."""
    return await db.read(_all)


@router.put(
    "/{code}",
    summary="Give a grid authority",
    responses={200: _LIST, **documented(*WRITE, "area-unknown", "organisation-unknown")},
)
async def put(
    code: Code,
    asked: Annotated[RedGridPut, Body(openapi_examples=examples.of("red_grid_request"))],
    once: Once,
    who: Who = may("area.write"),
) -> Response:
    """It may blow the whistle for cases that lie in it, in the voice of the organisation."""

    def work(connection: Connection) -> Response:
        red_grids.put(connection, code, asked.organisation, actor=who.name, reason=asked.reason)
        return _all(connection)

    return await once(work)


@router.delete(
    "/{code}",
    status_code=204,
    summary="Take a grid's authority away",
    responses=documented("validation", "key-reused", "area-unknown", "red-grid-unknown"),
)
async def withdraw(code: Code, once: Once, who: Who = may("area.write")) -> Response:
    """What it has called already goes on."""

    def work(connection: Connection) -> Response:
        red_grids.withdraw(connection, code)
        return Response(status_code=204)

    return await once(work)


def _all(connection: Connection) -> Response:
    found = [dict(row) for row in red_grids.listed(connection)]
    return Json({"grids": found}, headers=NO_STORE)
