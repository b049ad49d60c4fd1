"""The return visit (回访): no case is closed before its reporters were asked, or not reached.

They answer by the link that they follow or when the call desk calls them. One "not solved" opens
the case again at the level above; when nobody is left to be asked it is closed. The case is locked
first, so that of two who close and reopen at once one wins and the other is told.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import cases, events, person_deeds, personal, refusals
from data.cases import CaseError, Move
from data.settings import settings

CLAIM = timedelta(minutes=30)  # for which a reporter is one caller's alone
REPORTER = "reporter"  # who acts when a reporter answers
UNSOLVED = "报告人表示问题没有解决"
BECAUSE = {
    "solved": "报告人确认已经解决",
    "refused": "报告人不愿答复",
    "unreachable": "多次联系不上报告人",
    "nobody": cases.NOBODY,
}


@dataclass(frozen=True)
class Answer:
    """What a reporter says: whether it is solved, how satisfied they are (1 to 5), and why."""

    solved: bool
    satisfaction: int | None = None
    comment: str = ""


# --- answers --------------------------------------------------------------------------------------

_CASE_OF = text("SELECT incident_id FROM report WHERE id = :report")


def answer(connection: Connection, report: int, said: Answer, *, actor: str, at: datetime) -> str:
    """Take in what the reporter of a report says of its case; the stage of the case after it.

    They may say it while the reporters are asked, and `WANGGE_VISIT_LATE_DAYS` after it was closed.

    Raises
    ------
    CaseError
        not_asked: the case is being worked on, or was closed too long ago.
    """
    number = held(connection, report)
    case = cases.hold(connection, number)
    if not may_answer(case, at):
        raise _not_asked(case)
    visit = _keep(connection, number, report, said, at)
    return _decide(connection, case, visit, said, actor)


def held(connection: Connection, report: int) -> int:
    """The case of a report, locked; it may be merged into another while we wait for the lock.

    Raises
    ------
    CaseError
        The report belongs to no case.
    """
    while True:
        number = connection.execute(_CASE_OF, {"report": report}).scalar()
        if number is None:
            raise CaseError("unknown_case", f"Report {report} belongs to no case.")
        cases.hold(connection, number)
        if connection.execute(_CASE_OF, {"report": report}).scalar() == number:
            return int(number)


def may_answer(case: Any, at: datetime) -> bool:
    """Whether a reporter's word on a case (stage, closed, merged_into) still counts."""
    late = timedelta(days=settings().visit_late_days)
    if case["stage"] == "closed":
        return case["merged_into"] is None and at <= case["closed"] + late
    return bool(case["stage"] == "return_visit")


def _not_asked(case: RowMapping) -> CaseError:
    if case["stage"] == "closed":
        why = "was closed too long ago; report it anew with POST /api/v1/reports"
    else:
        why = "is being worked on; whoever reported it is asked when it is solved"
    return CaseError("not_asked", f"Case {case['id']} {why}.", stage=case["stage"])


_ANSWERED = text("""
UPDATE return_visit
SET ended = :at, outcome = 'answered', solved = :solved, satisfaction = :satisfaction,
    comment = :comment
WHERE report_id = :report AND incident_id = :id AND ended IS NULL RETURNING id
""")
# Said unasked, again or late: beside what was said before, which stays.
_BESIDE = text("""
INSERT INTO return_visit (incident_id, report_id, party_id, channel, asked, due, ended, outcome,
                          solved, satisfaction, comment)
SELECT :id, :report, (SELECT v.party_id FROM return_visit v WHERE v.report_id = :report
                      ORDER BY v.id DESC LIMIT 1),
       'link', clock_timestamp(), :at, :at, 'answered', :solved, :satisfaction, :comment
RETURNING id
""")


def _keep(connection: Connection, number: int, report: int, said: Answer, at: datetime) -> int:
    values = {"id": number, "report": report, "at": at, **vars(said)}
    visit = connection.execute(_ANSWERED, values).scalar()
    return int(visit or connection.execute(_BESIDE, values).scalar_one())


def _decide(connection: Connection, case: RowMapping, visit: int, said: Answer, actor: str) -> str:
    number = case["id"]
    told = {"visit": visit, "solved": said.solved, "satisfaction": said.satisfaction}
    events.record(connection, "visit.answered", told, incident_id=number, area_id=case["area_id"])
    if not said.solved:
        reason = said.comment.strip() or UNSOLVED
        cases.move(connection, number, Move("reopen", actor, reason=reason, data={"visit": visit}))
        return "triaged"
    return conclude(connection, number, actor=actor)


_LEFT = text("SELECT EXISTS (SELECT FROM return_visit WHERE incident_id = :id AND ended IS NULL)")
_OUTCOMES = text("""
SELECT outcome FROM return_visit
WHERE incident_id = :id AND outcome <> 'withdrawn'
  AND asked >= (SELECT max(s.at) FROM case_step s
                WHERE s.incident_id = :id AND s.action IN ('resolve', 'reject'))
""")


def conclude(connection: Connection, number: int, *, actor: str) -> str:
    """Close a case about which nobody is left to be asked; the stage it is in then."""
    case = cases.hold(connection, number)
    left = connection.execute(_LEFT, {"id": number}).scalar()
    if case["stage"] != "return_visit" or left:
        return str(case["stage"])
    outcomes = set(connection.execute(_OUTCOMES, {"id": number}).scalars())
    because = next((word for outcome, word in _WEIGHT if outcome in outcomes), "nobody")
    close = Move("close", actor, reason=BECAUSE[because], data={"because": because})
    cases.move(connection, number, close)
    return "closed"


_WEIGHT = (("answered", "solved"), ("refused", "refused"), ("unreachable", "unreachable"))


# --- calls ----------------------------------------------------------------------------------------

_DUE = text("""
SELECT v.id, v.incident_id AS number, v.report_id AS report, v.asked, v.due, v.tries,
       v.claimed_by, v.claimed_until, i.kind, i.outcome AS result, o.name AS organisation,
       p.name, p.phone
FROM return_visit v JOIN incident i ON i.id = v.incident_id
JOIN organisation o ON o.id = i.organisation_id JOIN party p ON p.id = v.party_id
WHERE v.ended IS NULL AND v.channel = 'phone' AND v.due <= :at
  AND (v.claimed_until IS NULL OR v.claimed_until <= :at OR v.claimed_by = :actor)
ORDER BY v.due, v.id LIMIT :limit
""")


def due(
    connection: Connection, *, actor: str, at: datetime, limit: int = 100
) -> list[dict[str, Any]]:
    """Whom the call desk should call now, the longest due first, masked.

    Those whom somebody else is calling are left out.
    """
    asked = {"actor": actor, "at": at, "limit": limit}
    return [_called(row) for row in connection.execute(_DUE, asked).mappings()]


def _called(row: RowMapping, *, masked: bool = True) -> dict[str, Any]:
    about: dict[str, str | None] = {}
    for name in ("name", "phone"):
        value = personal.open_(row[name]) if row[name] is not None else None
        about[name] = personal.mask(value, name) if value and masked else value
    return {**row, **about}


_VISIT = text("""
SELECT v.id, v.incident_id AS number, v.report_id AS report, v.asked, v.due, v.tries, v.channel,
       v.claimed_by, v.claimed_until, v.ended, v.outcome, i.kind, i.outcome AS result,
       o.name AS organisation, p.name, p.phone
FROM return_visit v JOIN incident i ON i.id = v.incident_id
JOIN organisation o ON o.id = i.organisation_id LEFT JOIN party p ON p.id = v.party_id
WHERE v.id = :visit
""")
_CLAIM = text("""
UPDATE return_visit SET claimed_by = :actor, claimed_until = :until WHERE id = :visit
""")


def claim(connection: Connection, visit: int, *, actor: str, at: datetime) -> dict[str, Any]:
    """Take a call: the reporter with their number, for half an hour the caller's alone.

    Raises
    ------
    CaseError
        There is no such return visit, it has ended, has no number to call, or somebody else is
        calling them.
    """
    row = _open_visit(connection, visit, actor, at)
    if row["phone"] is None:
        raise CaseError("visit_ended", f"Return visit {visit} has no number to call.")
    connection.execute(_CLAIM, {"visit": visit, "actor": actor, "until": at + CLAIM})
    person_deeds.prove(
        connection, "reveal", actor=actor, reason=f"return visit {visit}", at=at,
        concerned=[row["number"]], parties=1,
    )  # fmt: skip
    claimed = {"claimed_by": actor, "claimed_until": at + CLAIM}
    told = _called(row, masked=False) | claimed
    return {name: told[name] for name in told if name not in ("channel", "ended", "outcome")}


def _open_visit(connection: Connection, visit: int, actor: str, at: datetime) -> RowMapping:
    """A return visit that goes on, its case locked, that nobody else has claimed."""
    found = connection.execute(_VISIT, {"visit": visit}).mappings().first()
    if found is None:
        raise CaseError("unknown_visit", f"There is no return visit {visit}.")
    cases.hold(connection, found["number"])
    row = connection.execute(_VISIT, {"visit": visit}).mappings().one()
    if row["ended"] is not None:
        raise CaseError(
            "visit_ended", f"Return visit {visit} has ended: {row['outcome']}.",
            outcome=row["outcome"], ended=row["ended"],
        )  # fmt: skip
    until = row["claimed_until"]
    if until is not None and until > at and row["claimed_by"] != actor:
        raise CaseError(
            "visit_claimed",
            f"{row['claimed_by']} is calling them, until {refusals.clock(until)} at the latest; "
            "take another.",
            actor=row["claimed_by"], until=until,
        )  # fmt: skip
    return row


_TRIED = text("""
INSERT INTO return_try (visit_id, at, actor, outcome, note)
VALUES (:visit, :at, :actor, :outcome, :note)
""")
_AGAIN = text("""
UPDATE return_visit
SET tries = tries + 1, claimed_by = NULL, claimed_until = NULL, due = :due,
    ended = CAST(:ended AS timestamptz), outcome = :end
WHERE id = :visit
""")


def tried(
    connection: Connection,
    visit: int,
    outcome: str,
    *,
    actor: str,
    at: datetime,
    note: str = "",
    said: Answer | None = None,
) -> tuple[int, str]:
    """What came of a call; the number of the case and the stage that it is in then.

    Parameters
    ----------
    outcome : reached (with what they `said`), no_answer, refused or wrong_number

    Raises
    ------
    CaseError
        As `claim`; or what they said is missing, or said by somebody who was not reached.
    """
    if (outcome == "reached") != (said is not None):
        raise CaseError(
            "answer_missing",
            "Who was reached has said whether it is solved, and nobody else has; give solved with "
            "the outcome reached only.",
            field="solved",
        )
    row = _open_visit(connection, visit, actor, at)
    number = row["number"]
    values = {"visit": visit, "at": at, "actor": actor, "outcome": outcome, "note": note}
    connection.execute(_TRIED, values)
    end = _end(outcome, row["tries"] + 1)
    again = at + timedelta(hours=settings().visit_retry_h)
    ended = {"end": end, "ended": at if end else None}
    connection.execute(_AGAIN, {"visit": visit, "due": again, **ended})
    told = {"visit": visit, "outcome": outcome, "try": row["tries"] + 1}
    events.record(connection, "visit.tried", told, incident_id=number)
    if said is not None:
        return number, answer(connection, row["report"], said, actor=actor, at=at)
    return number, conclude(connection, number, actor=actor)


def _end(outcome: str, tries: int) -> str | None:
    """How a return visit ends with the outcome of so many tries; None: it goes on."""
    if outcome == "refused":
        return "refused"
    given_up = outcome == "wrong_number" or tries >= settings().visit_tries
    return "unreachable" if given_up and outcome != "reached" else None


_SILENT = text("""
SELECT DISTINCT incident_id FROM return_visit
WHERE ended IS NULL AND channel = 'link' AND due <= :at ORDER BY incident_id LIMIT 1000
""")
_GIVE_UP = text("""
UPDATE return_visit SET ended = :at, outcome = 'unreachable'
WHERE incident_id = :id AND ended IS NULL AND channel = 'link' AND due <= :at
""")


def give_up(connection: Connection, at: datetime) -> int:
    """Close the cases whose reporters were waited for long enough; how many visits ended."""
    ended = 0
    for number in connection.execute(_SILENT, {"at": at}).scalars().all():
        cases.hold(connection, number)
        ended += connection.execute(_GIVE_UP, {"id": number, "at": at}).rowcount
        conclude(connection, number, actor="clock")
    return ended


_OF_CASE = text("""
SELECT v.id, v.report_id AS report, v.channel, v.asked, v.due, v.tries, v.claimed_by, v.ended,
       v.outcome, v.solved, v.satisfaction, v.comment,
       coalesce((SELECT jsonb_agg(jsonb_build_object('at', t.at, 'actor', t.actor, 'outcome',
                                  t.outcome, 'note', t.note) ORDER BY t.id)
                 FROM return_try t WHERE t.visit_id = v.id), '[]') AS calls
FROM return_visit v WHERE v.incident_id = :id ORDER BY v.id
""")


def of_case(connection: Connection, number: int) -> list[RowMapping]:
    """Every return visit of a case with its calls, in their order."""
    return list(connection.execute(_OF_CASE, {"id": number}).mappings())
