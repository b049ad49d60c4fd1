"""Warnings (监测预警): looked for once a day, each with an owner and a time, worked and closed.

A look is an analysis (`data.analyses.watch`) that a worker works out. What it finds becomes a
warning, unless one of the same goes on: then that one is brought up to date. A warning is accepted,
measures are noted, and it is closed with what it turned out to be; every step stays known.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, RowMapping, text

from data import calendars, case_catalogue, cases, events, jobs, refusals, service_times
from data.analyses import kept, observations, watch
from data.refusals import DispatchError
from data.service_times import Case
from data.settings import settings
from gis.calendars import Allowed
from gis.deadlines import Terms, schedule

BY_ITSELF = "wangge"
ACCEPT = "warning.accept"  # the service time in which a warning is accepted
AGAIN_DAYS = 14  # after which what still goes on although its warning was closed is a new one
BEFORE = {"accept": ("open",), "plan": ("accepted",), "close": ("accepted",)}


class WarningError(DispatchError):
    """What was asked of a warning cannot be done; nothing was written.

    `reason` is one of unknown_warning, warning_not_allowed, warning_effect_unknown,
    deployment_unknown, reason_missing.
    """


# --- looking --------------------------------------------------------------------------------------

_LOOK = text("""
INSERT INTO warning_look (day, last, asked) VALUES (:day, :last, :now)
ON CONFLICT (day) DO NOTHING RETURNING id
""")
_ASKED = text("UPDATE warning_look SET analysis_id = :analysis WHERE id = :id")
_WAITING = text("""
SELECT l.id, l.last, l.day, k.id AS analysis, k.state, k.doing, k.result
FROM warning_look l LEFT JOIN analysis k ON k.id = l.analysis_id
WHERE l.taken IS NULL ORDER BY l.day FOR UPDATE OF l
""")
_TAKEN = text("""
UPDATE warning_look SET taken = :now, cannot = :cannot, version = :version, first = :first,
    weeks = :weeks, series = :series, reports = :reports, rate = :rate, quiet = :quiet,
    found = :found, raised = :raised
WHERE id = :id
""")


def keep(connection: Connection, now: datetime) -> int:
    """Have today's look made, and raise what looks that are done have found; how many changed.

    A day begins at midnight of the city; where nothing was ever reported there is nothing to see.
    """
    return _ask(connection, now) + sum(
        _take(connection, look, now) for look in connection.execute(_WAITING).mappings().all()
    )


def _ask(connection: Connection, now: datetime) -> int:
    zone = settings().timezone
    if observations.oldest(connection, zone) is None:
        return 0
    day = now.astimezone(ZoneInfo(zone)).date()
    last = day - timedelta(days=1)
    made = connection.execute(_LOOK, {"day": day, "last": last, "now": now}).scalar()
    if made is None:
        return 0
    analysis = kept.ask(connection, watch.question(last))
    connection.execute(_ASKED, {"id": made, "analysis": analysis})
    return 1


def _take(connection: Connection, look: RowMapping, now: datetime) -> int:
    """Raise what a look has found, if it is done."""
    if look["state"] in ("todo", "running"):
        jobs.analyse(connection, look["analysis"])  # a worker that died may have left it behind
        return 0
    if look["state"] != "done":
        answer: dict[str, Any] = {"cannot": look["doing"] or "it was lost", "findings": []}
    else:
        answer = kept.opened(look)
    settle(connection, look["id"], answer, now)
    return 1


def settle(connection: Connection, look: int, answer: Mapping[str, Any], now: datetime) -> int:
    """Raise what the answer of a look has found, and bring up to date what goes on; how many new.

    `answer` is that of `data.analyses.watch`; of one that has none `cannot` and no findings.
    """
    rivals = list(connection.execute(_CURRENT, {"since": now - _AGAIN}).mappings())
    raised = 0
    for finding in answer["findings"]:
        known = next((rival for rival in rivals if _same(finding, rival)), None)
        if known is None:
            _raise(connection, look, answer, finding, now)
            raised += 1
        else:
            _go_on(connection, known, look, answer, finding)
    names = ("cannot", "version", "first", "weeks", "series", "reports", "rate", "quiet")
    said = {name: answer.get(name) for name in names}
    counts = {"found": len(answer["findings"]), "raised": raised}
    connection.execute(_TAKEN, {"id": look, "now": now, **said, **counts})
    return raised


# --- raising --------------------------------------------------------------------------------------

_AGAIN = timedelta(days=AGAIN_DAYS)
# The same matter that was closed a while ago and still goes on is worth another warning.
_CURRENT = text("""
SELECT id, model, area_id, kind, words FROM warning
WHERE state <> 'closed' OR closed > :since ORDER BY id DESC FOR NO KEY UPDATE
""")
_RAISE = text("""
INSERT INTO warning (model, version, area_id, kind, words, first, last, observed, expected,
                     threshold, p, q, score, inputs, look_id, organisation_id, due, raised)
VALUES (:model, :version, :area_id, :kind, :words, :first, :last, :observed, :expected, :threshold,
        :p, :q, :score, CAST(:inputs AS jsonb), :look_id, :organisation_id, :due, :now)
RETURNING id
""")
_GO_ON = text("""
UPDATE warning SET version = :version, first = :first, last = :last, observed = :observed,
    expected = :expected, threshold = :threshold, p = :p, q = :q, score = :score,
    inputs = CAST(:inputs AS jsonb), look_id = :look_id,
    words = ARRAY(SELECT DISTINCT w FROM unnest(words || CAST(:words AS text[])) w)
WHERE id = :id
""")
_FIGURES = ("observed", "expected", "threshold", "p", "q", "score")


def _same(finding: Mapping[str, Any], warning: RowMapping) -> bool:
    """Whether a finding is what a warning is about: its series, or a word of its topic."""
    if finding["model"] != warning["model"]:
        return False
    if finding["model"] == "topic":
        return not set(finding["words"]).isdisjoint(warning["words"])
    return bool((finding["area_id"], finding["kind"]) == (warning["area_id"], warning["kind"]))


def _raise(
    connection: Connection, look_id: int, answer: Mapping[str, Any], finding: Mapping[str, Any],
    now: datetime,
) -> None:  # fmt: skip
    kind, area_id, level = finding["kind"], finding["area_id"], finding["level"]
    owner = case_catalogue.who_answers(connection, kind, area_id, level, now)
    owner_id = int(cases.organisation(connection, owner["code"])["id"])
    values = {
        **_values(look_id, answer, finding), "model": finding["model"], "area_id": area_id,
        "kind": kind, "organisation_id": owner_id, "now": now,
        "due": _due(connection, Case(ACCEPT, kind, level, owner_id), now),
    }  # fmt: skip
    number = int(connection.execute(_RAISE, values).scalar_one())
    told = {**_said(finding), "owner": owner["code"], "due": values["due"]}
    _step(connection, number, "raise", BY_ITSELF, data=_said(finding))
    events.record(connection, "warning.raised", {"warning": number, **told}, area_id=area_id)


def _go_on(
    connection: Connection, known: RowMapping, look_id: int, answer: Mapping[str, Any],
    finding: Mapping[str, Any],
) -> None:  # fmt: skip
    connection.execute(_GO_ON, {"id": known["id"], **_values(look_id, answer, finding)})
    _step(connection, known["id"], "continue", BY_ITSELF, data=_said(finding))


def _values(look_id: int, answer: Mapping[str, Any], finding: Mapping[str, Any]) -> dict[str, Any]:
    names = ("basis", "dispersion", "counts", "places", "new")
    inputs = {name: finding[name] for name in names if name in finding}
    inputs |= {name: answer[name] for name in ("weeks", "since", "series", "rate")}
    return {
        **{name: finding[name] for name in (*_FIGURES, "words")}, "look_id": look_id,
        "version": answer["version"], "first": answer["first"], "last": answer["last"],
        "inputs": json.dumps(inputs, ensure_ascii=False),
    }  # fmt: skip


def _said(finding: Mapping[str, Any]) -> dict[str, Any]:
    return {name: finding[name] for name in ("model", "kind", "words", *_FIGURES)}


def _due(connection: Connection, case: Case, now: datetime) -> datetime:
    """By when it is to be accepted: by the service time, or else the hours of the settings."""
    rule = service_times.of(connection, case, now)
    if rule is None:
        name = connection.execute(_CALENDAR, {"id": case.organisation_id}).scalar_one()
        allowed = Allowed(settings().warning_hours, "hours")
    else:
        name, allowed = rule["by_calendar"], Allowed(rule["amount"], rule["unit"])
    return schedule(calendars.get(connection, name), [Terms(now, allowed)])[0].due


_CALENDAR = text("SELECT calendar_of(CAST(:id AS bigint))")


# --- working on it --------------------------------------------------------------------------------

_HOLD = text("SELECT id, state, area_id FROM warning WHERE id = :id FOR NO KEY UPDATE")
_LAST = text("""
SELECT action, actor, at FROM warning_step WHERE warning_id = :id AND action <> 'continue'
ORDER BY id DESC LIMIT 1
""")
_ACCEPT = text("UPDATE warning SET state = 'accepted', accepted = :now WHERE id = :id")
_CLOSE = text(
    "UPDATE warning SET state = 'closed', closed = :now, outcome = :outcome WHERE id = :id"
)
_STEP = text("""
INSERT INTO warning_step (warning_id, action, actor, reason, deployment_id, data)
VALUES (:id, :action, :actor, :reason, :deployment, CAST(:data AS jsonb))
""")
_DEPLOYMENT = text("SELECT EXISTS (SELECT FROM deployment WHERE id = :id)")


def accept(
    connection: Connection, number: int, *, actor: str, now: datetime, reason: str = ""
) -> None:
    """Take a warning on.

    Raises
    ------
    WarningError
        There is none, or it is not open: `facts` say who did what.
    """
    warning = _held(connection, number, "accept")
    connection.execute(_ACCEPT, {"id": number, "now": now})
    _step(connection, number, "accept", actor, reason)
    told = {"warning": number, "actor": actor}
    events.record(connection, "warning.accepted", told, area_id=warning["area_id"])


def plan(
    connection: Connection, number: int, *, actor: str, note: str, deployment: int | None = None
) -> None:
    """Note what is done about it, with the deployment by which it is, if any.

    Raises
    ------
    WarningError
        There is no such warning or deployment, it is not accepted, or the note says nothing.
    """
    _held(connection, number, "plan")
    refusals.need(note, "note", "A measure")
    if deployment is not None:
        there = connection.execute(_DEPLOYMENT, {"id": deployment}).scalar_one()
        if not there:
            raise WarningError(
                "deployment_unknown", f"There is no deployment {deployment}.", field="deployment"
            )
    _step(connection, number, "plan", actor, note, deployment=deployment)


def close(
    connection: Connection, number: int, *, actor: str, now: datetime, outcome: str, reason: str
) -> None:
    """Close a warning as what it turned out to be, one of `OUTCOMES`, and say why.

    Raises
    ------
    WarningError
        There is none, it is not accepted, or the reason says nothing.
    """
    warning = _held(connection, number, "close")
    refusals.need(reason, "reason", "To close a warning")
    connection.execute(_CLOSE, {"id": number, "now": now, "outcome": outcome})
    _step(connection, number, "close", actor, reason, data={"outcome": outcome})
    told = {"warning": number, "outcome": outcome, "actor": actor}
    events.record(connection, "warning.closed", told, area_id=warning["area_id"])


def allowed(state: str) -> Sequence[str]:
    """What can be done with a warning in a state."""
    return [action for action, before in BEFORE.items() if state in before]


def _held(connection: Connection, number: int, action: str) -> RowMapping:
    """A warning under a lock, which is in a state in which that can be done."""
    found = connection.execute(_HOLD, {"id": number}).mappings().first()
    if found is None:
        raise unknown(number)
    if found["state"] not in BEFORE[action]:
        last = connection.execute(_LAST, {"id": number}).one()
        may = allowed(found["state"])
        raise WarningError(
            "warning_not_allowed",
            f"To {action} cannot be done with warning {number}: {last.actor} did {last.action} at "
            f"{refusals.clock(last.at)}, it is {found['state']}"
            + (f", and can only be done: {', '.join(may)}." if may else ", and that is its end."),
            state=found["state"], actor=last.actor, at=last.at, allowed=may,
        )  # fmt: skip
    return found


def unknown(number: int) -> WarningError:
    """There is no warning of that number, or it is elsewhere."""
    return WarningError("unknown_warning", f"There is no warning {number}.", field="number")


def _step(
    connection: Connection, number: int, action: str, actor: str, reason: str = "", *,
    deployment: int | None = None, data: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    values = {"id": number, "action": action, "actor": actor, "reason": reason}
    said = json.dumps(data or {}, ensure_ascii=False)
    connection.execute(_STEP, {**values, "deployment": deployment, "data": said})
