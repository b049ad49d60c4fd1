"""How beats and grids coincide and who is near, as figures of `data.integration` that are kept."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from data import integration, roads
from data.analyses.kept import Question, Say
from data.analyses.selection import Selection
from data.analyses.work import Analysis
from data.integration import Asked
from data.settings import settings

EVERY = timedelta(minutes=15)
"""Who is on duty is looked at anew after so long."""


def question(selection: Selection, area_id: int | None, now: datetime) -> Question:
    """Which figures are asked for: those of a period, and of who is on duty at about this time."""
    moment = datetime.fromtimestamp(now.timestamp() // EVERY.seconds * EVERY.seconds, UTC)
    asked = {"selection": selection.said(), "area_id": area_id, "now": moment.isoformat()}
    return Question(
        ANALYSIS.name, ANALYSIS.version, asked, selection.first, selection.last, area_id
    )


def work(connection: Connection, asked: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The figures, and how many reports they count."""
    selection = Selection.of(asked["selection"])
    zone = ZoneInfo(settings().timezone)
    about = Asked(
        now=datetime.fromisoformat(asked["now"]),
        start=datetime.combine(selection.first, datetime.min.time(), zone),
        until=datetime.combine(selection.last + timedelta(days=1), datetime.min.time(), zone),
        area_id=asked["area_id"],
    )
    say("beats and grids", 0.1)
    found = integration.read(connection, roads.travel(settings().home), about)
    return {
        "selection": selection.said(),
        "figures": found.said(),
        "reports": int(found.grids["incidents"].sum()),
        "unplaced": 0,
        "newest": None,
    }


ANALYSIS = Analysis("coverage", 1, work)
