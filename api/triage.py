"""The reports that wait for a person."""

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Response
from sqlalchemy import RowMapping

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.problems import documented
from api.reports import waiting
from api.schemas import BIGGEST
from api.schemas_reports import Triage
from data import reports

router = APIRouter(prefix="/api/v1/triage", tags=["triage"])
Reason = StrEnum("Reason", list(reports.TRIAGE))  # type: ignore[misc]


@router.get(
    "",
    dependencies=[may("triage.write")],
    summary="List the reports that wait for a person",
    responses={
        200: {"model": Triage, **examples.ok(examples.TRIAGE)},
        **documented("validation"),
    },
)
async def queue(
    db: Db,
    reason: Annotated[Reason | None, Query(description="why they wait")] = None,
    after: Annotated[int, Query(ge=0, le=BIGGEST, description="number of the last one seen")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """How many wait for which reason, what can be done, and the reports by number."""
    async with db.snapshot() as run:
        counts = await run(reports.triage_counts)
        rows = await run(reports.in_triage, reason=reason, after=after, limit=limit)
    more = {**({"reason": reason} if reason else {}), "limit": limit}
    next_ = {**more, "after": rows[-1]["id"]} if len(rows) == limit else None
    return Json(
        {
            "counts": counts,
            "what_to_do": {name: reports.TRIAGE.get(name, "") for name in counts},
            "reports": [_shown(row) for row in rows],
            "next": f"{router.prefix}?{urlencode(next_)}" if next_ else None,
        },
        headers=NO_STORE,
    )


def _shown(row: RowMapping) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in ("x", "y", "datum", "triage")}
    received = {"lon": row["x"], "lat": row["y"], "datum": row["datum"]}
    return {
        **kept,
        "position": None if row["x"] is None else received,
        "triage": waiting(row["triage"]),
        "href": f"/api/v1/reports/{row['id']}",
    }
