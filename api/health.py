"""Whether the service can be used."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response
from pydantic import Field

from api import examples
from api.answers import NO_STORE, Json
from api.deps import Db
from api.problems import Problem, documented
from api.schemas import Outgoing
from data import calendars, state

router = APIRouter(prefix="/api/v1/health", tags=["health"])


class Database(Outgoing):
    """The database behind the service."""

    postgres: str
    postgis: str | None
    revision: str = Field(description="of the tables")


class LastChange(Outgoing):
    """The last change of the map."""

    id: int
    kind: str
    reason: str
    recorded: datetime


class Health(Outgoing):
    """The service is ready."""

    status: str
    database: Database
    areas: dict[str, int] = Field(description="in force now, by layer")
    last_change: LastChange | None
    warnings: list[str] = Field(description="what whoever runs the service should see to")


@router.get(
    "",
    summary="Whether the service is ready",
    responses={200: {"model": Health, **examples.ok(examples.HEALTH)}, **documented("not-ready")},
)
async def health(db: Db) -> Response:
    """200 when requests can be answered, 503 with the reason when not."""
    found = await db.read(state.look)
    if not found.ready:
        has = f"the tables of {found.revision}" if found.revision else "no tables"
        raise Problem(
            "not-ready",
            f"The database has {has}, {found.expected} is needed; run `python main.py migrate`.",
            headers={"Retry-After": "30"},
        )
    database = {
        "postgres": found.postgres, "postgis": found.postgis, "revision": found.revision,
    }  # fmt: skip
    warnings = await db.read(calendars.warnings, datetime.now(UTC).date())
    answer = {"status": "ok", "database": database, "areas": found.areas,
              "last_change": found.last_change, "warnings": warnings}  # fmt: skip
    return Json(answer, headers=NO_STORE)
