"""What every analysis does: find its answer, or ask for it and wait a little."""

import asyncio
import re
import time
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import Who
from api.answers import NO_STORE, Json
from api.deps import Database
from api.problems import Problem
from api.schemas_analytics import Pending
from data import territory
from data.analyses import kept
from data.analyses.kept import Question
from data.analyses.selection import Selection
from layers.i18n import Lang
from layers.waiting import waiting

WAIT_S, MOST_WAIT_S, LOOK_S = 3.0, 30.0, 0.1
_WAIT = re.compile(r"\bwait\s*=\s*(\d+)")

PENDING: dict[int | str, dict[str, Any]] = {
    202: {
        "model": Pending,
        **examples.ok(examples.of("analysis_pending")),
        "description": "It is being worked out: ask again after the seconds of Retry-After.",
        "headers": {
            "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"},
        },
    }
}


def _patience(request: Request) -> float:
    """How long the caller would wait: `Prefer: wait=10` (RFC 7240); else 3 seconds."""
    asked = _WAIT.search(request.headers.get("prefer", ""))
    return min(float(asked[1]), MOST_WAIT_S) if asked else WAIT_S


Patience = Annotated[float, Depends(_patience)]


def place(connection: Connection, selection: Selection, who: Who) -> tuple[Selection, int | None]:
    """The selection within what the caller may see, and its area's number.

    Who may see one area alone means that one when they name none.
    """
    if selection.area is None and who.areas is not None and len(who.areas) == 1:
        found = territory.spelt(connection, who.areas[0])
        selection = replace(selection, area=found)
    area = territory.id_of(connection, selection.area)
    if who.areas is not None:
        seen = {each for granted in who.areas for each in territory.below(connection, granted)}
        if area not in seen:
            raise Problem(
                "not-permitted", "You may see your own area: name it, or one that lies in it.",
                field="area", permission="analysis.read",
            )  # fmt: skip
    return selection, area


async def answer(db: Database, question: Question, patience_s: float) -> RowMapping:
    """The answer's row, or how far it is once the patience has ended; see `kept.find`."""
    row = await db.read(kept.find, question)
    if row is not None and row["state"] == "done":
        return row
    number = await db.write(kept.ask, question)
    until = time.monotonic() + patience_s
    while True:
        row = await db.read(kept.state, number)
        if row is None:  # cleaned away: it was asked for long ago
            raise Problem("not-found")
        if row["state"] == "failed":
            raise RuntimeError(f"analysis {number} ({question.name}) failed: {row['doing']}")
        if row["state"] == "done" or time.monotonic() >= until:
            return row
        await asyncio.sleep(LOOK_S)


def is_done(row: RowMapping) -> bool:
    """Whether a row holds its answer."""
    return bool(row["state"] == "done")


def pending(row: RowMapping) -> Response:
    """202: how far it is, and when to ask again."""
    said = {"analysis": row["id"], **{name: row[name] for name in ("state", "share", "doing")}}
    return Json(said, 202, headers={**NO_STORE, "Retry-After": "1"})


def pending_page(row: RowMapping, title: str, lang: Lang) -> Response:
    """A page that says how far it is and asks again by itself."""
    page = waiting(title, row["share"], lang=lang)
    return HTMLResponse(page, 202, headers={**NO_STORE, "Refresh": "1"})
