"""What a reporter sees of their case by its link, in plain words and without anybody's name."""

import base64
import hmac
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import personal, return_visits

# What a stage is to a citizen, to whom the ways between offices do not matter, in their order.
WORDS = {
    "received": ("已收到", "Received"),
    "assigned": ("已交办", "Handed to those responsible"),
    "in_work": ("正在办理", "Being worked on"),
    "asking": ("已办理，请您确认", "Done; please say whether it is solved"),
    "closed": ("已办结", "Closed"),
    "reopened": ("重新办理", "Opened again"),
}
_SEEN = {
    "received": "received", "triaged": "received", "assigned": "assigned", "accepted": "in_work",
    "in_work": "in_work", "consultation": "in_work", "referred": "in_work", "resolved": "asking",
    "return_visit": "asking", "closed": "closed",
}  # fmt: skip
_ORDER = tuple(WORDS)
_TOKEN = re.compile(r"([1-9]\d{0,18})-([a-z2-7]{24})")
_BYTES = 15  # of 120 bits nobody guesses one


def token(report: int) -> str:
    """What is in the link of a report: its number, and what only who has the key can know."""
    secret = personal.fingerprint(f"follow {report}")[:_BYTES]
    return f"{report}-{base64.b32encode(secret).decode().lower()}"


def report_of(given: str) -> int | None:
    """The number of the report that a token is for; None: it is nobody's."""
    match = _TOKEN.fullmatch(given)
    if match is None or not hmac.compare_digest(given.encode(), token(int(match[1])).encode()):
        return None
    return int(match[1])


_CASE = text("""
SELECT r.id AS report, r.received, i.id AS number, i.stage, i.closed, i.outcome, i.merged_into,
       k.title, k.title_en, i.kind
FROM report r JOIN incident i ON i.id = r.incident_id
LEFT JOIN case_kind k ON k.code = i.kind AND k.valid @> i.opened
WHERE r.id = :report
""")
_STEPS = text("SELECT at, action, stage FROM case_step WHERE incident_id = :number ORDER BY id")
_ANSWER = text("""
SELECT ended AS at, solved, satisfaction FROM return_visit
WHERE report_id = :report AND outcome = 'answered' ORDER BY id DESC LIMIT 1
""")

# An answer is seen only by whoever gave it.
_QUESTIONS = text("""
SELECT words, asked, due AS until, ended IS NULL AS open,
       CASE WHEN report_id = :report THEN answer END AS answer
FROM question WHERE incident_id = :number AND outcome IS DISTINCT FROM 'withdrawn' ORDER BY id
""")


def state(connection: Connection, report: int, at: datetime) -> dict[str, Any] | None:
    """Where the case of a report stands for who reported it; None: there is no such report."""
    case = connection.execute(_CASE, {"report": report}).mappings().first()
    if case is None:
        return None
    steps = connection.execute(_STEPS, {"number": case["number"]}).mappings()
    said = connection.execute(_ANSWER, {"report": report}).mappings().first()
    asked = {"report": report, "number": case["number"]}
    questions = connection.execute(_QUESTIONS, asked).mappings()
    way = progress(steps, case["received"])
    done = way[-1]["stage"] in ("asking", "closed")
    return {
        "number": case["number"],
        "reported": case["received"],
        "kind": {"zh": case["title"] or case["kind"], "en": case["title_en"] or case["kind"]},
        "stage": way[-1]["stage"],
        "words": way[-1]["words"],
        "way": way,
        "result": case["outcome"] if done else None,
        "asked": case["stage"] == "return_visit" and not (said and _said_now(said, way)),
        "may_answer": return_visits.may_answer(case, at),
        "answer": dict(said) if said else None,
        "questions": [dict(row) for row in questions],
    }


def _said_now(said: RowMapping, way: list[dict[str, Any]]) -> bool:
    """Whether an answer is to the question of now, and not to one before it was opened again."""
    return bool(said["at"] >= way[-1]["at"])


def progress(steps: Iterable[Any], received: datetime) -> list[dict[str, Any]]:
    """The way of a case as its reporter sees it: forward only, until it is opened again.

    Parameters
    ----------
    steps : rows with at, action and stage, oldest first
    received : when this report came; what was before it is not told
    """
    way = [_stop("received", received)]
    furthest = 0
    for step in steps:
        seen = "reopened" if step["action"] == "reopen" else _SEEN[step["stage"]]
        here = _ORDER.index(seen)
        if seen != "reopened" and here <= furthest:
            continue
        furthest = 0 if seen == "reopened" else here
        if step["at"] <= received and len(way) > 1:
            way.pop()
        way.append(_stop(seen, max(step["at"], received)))
    return way


def _stop(stage: str, at: datetime) -> dict[str, Any]:
    zh, en = WORDS[stage]
    return {"stage": stage, "words": {"zh": zh, "en": en}, "at": at}
