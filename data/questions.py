"""Questions to who reported a case, without whose answer it cannot go on.

While they are waited for the time of the case rests, and only that: departments that were called
wait for nobody. It goes on with their answer, which they give by the link that they follow or the
office notes, and at the latest when they were waited for long enough. Locks are taken in the order
of `data.cases`: the case, its question, its clocks.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, text

from data import cases, clocks, refusals, return_visits
from data.cases import CaseError, Move
from data.return_visits import REPORTER
from data.settings import settings

BY_CLOCK = "clock"  # who acts when nobody answered

_SOMEBODY = text("""
SELECT EXISTS (SELECT FROM party p JOIN report r ON r.id = p.report_id
               WHERE r.incident_id = :id AND p.role = 'reporter' AND p.withdrawn IS NULL
                 AND p.erased IS NULL)
""")
_ASK = text("""
INSERT INTO question (incident_id, asked, actor, acting_id, words, due)
VALUES (:id, :at, :actor, :acting, :words, :due)
ON CONFLICT (incident_id) WHERE ended IS NULL DO NOTHING RETURNING id
""")


def ask(
    connection: Connection,
    number: int,
    words: str,
    *,
    actor: str,
    at: datetime,
    acting: int | None = None,
) -> int:
    """Ask who reported a case something, and let its time rest meanwhile; the question's number.

    What is late already does not rest. They are waited for `WANGGE_REPLY_DAYS`.

    Raises
    ------
    CaseError
        There is no such case, it is not theirs or done already, nobody can be asked, they are
        waited for already, or nothing is asked.
    """
    case = cases.hold(connection, number)
    move = Move("ask", actor, acting, words)
    cases.check(connection, case, move)
    cases.check_accountable(connection, case, acting)
    if not connection.execute(_SOMEBODY, {"id": number}).scalar():
        raise CaseError(
            "nobody_to_ask",
            f"Nobody is known who reported case {number}; add the reporter with POST "
            f"/api/v1/cases/{number}/parties if somebody does know them.",
        )
    due = at + timedelta(days=settings().reply_days)
    values = {"id": number, "at": at, "actor": actor, "acting": acting, "words": words, "due": due}
    question = connection.execute(_ASK, values).scalar()
    if question is None:
        raise _waiting(_open(connection, number))
    rests = clocks.pause(connection, number, clocks.HANDLE, at=at)
    data = {"question": question, "until": due, "clocks": rests}
    cases.move(connection, number, replace(move, data=data))
    return int(question)


_OPEN = text("SELECT * FROM question WHERE incident_id = :id AND ended IS NULL")


def _open(connection: Connection, number: int) -> RowMapping | None:
    return connection.execute(_OPEN, {"id": number}).mappings().first()


def _waiting(row: RowMapping | None) -> CaseError:
    assert row is not None, "the case is held: nobody else ends its question"
    return CaseError(
        "question_open",
        f"Its reporter is waited for already: {row['actor']} asked question {row['id']} at "
        f"{refusals.clock(row['asked'])}; note the answer, or wait until "
        f"{refusals.clock(row['due'])}.",
        question=row["id"], actor=row["actor"], at=row["asked"], until=row["due"],
    )  # fmt: skip


# --- answers --------------------------------------------------------------------------------------


def reply(connection: Connection, report: int, words: str, *, at: datetime) -> int:
    """Take in what the reporter of a report answers; the number of its case.

    Raises
    ------
    CaseError
        no_question: nothing is asked now; or they say nothing.
    """
    number = return_visits.held(connection, report)
    question = _open(connection, number)
    if question is None:
        raise CaseError(
            "no_question", f"Case {number} asks its reporter nothing now; others may have answered."
        )
    _answered(connection, question, Move("reply", REPORTER), words, at, report)
    return number


_ONE = text("SELECT * FROM question WHERE id = :question AND incident_id = :id")


def note(
    connection: Connection,
    number: int,
    question: int,
    words: str,
    *,
    actor: str,
    at: datetime,
    acting: int | None = None,
) -> None:
    """Note what a reporter answered otherwise, at the counter or on the telephone.

    Raises
    ------
    CaseError
        There is no such question, it has ended, the case is another's, or nothing is said.
    """
    case = cases.hold(connection, number)
    row = connection.execute(_ONE, {"question": question, "id": number}).mappings().first()
    if row is None:
        raise CaseError("unknown_question", f"Case {number} has no question {question}.")
    move = Move("reply", actor, acting)
    cases.check(connection, case, move)
    cases.check_accountable(connection, case, acting)
    if row["ended"] is not None:
        raise CaseError(
            "question_ended",
            f"Question {question} is {row['outcome']} since {refusals.clock(row['ended'])}; ask "
            "again if more has to be known.",
            outcome=row["outcome"], at=row["ended"],
        )  # fmt: skip
    _answered(connection, row, move, words, at, None)


def _answered(
    connection: Connection,
    question: RowMapping,
    move: Move,
    words: str,
    at: datetime,
    report: int | None,
) -> None:
    refusals.need(words, "answer", "An answer")
    # The words stay in the question alone, from where they go when their reporter is forgotten.
    said = {"answer": words, "by": move.actor, "report": report}
    _end(connection, question, move, "answered", at, said)


_END = text("""
UPDATE question SET ended = :at, outcome = :outcome, answer = :answer, answered_by = :by,
       report_id = :report
WHERE id = :id
""")
_NOTHING = {"answer": "", "by": None, "report": None}


def _end(
    connection: Connection,
    question: RowMapping,
    move: Move,
    outcome: str,
    at: datetime,
    said: Mapping[str, object],
) -> None:
    """Let the time of the case go on: it rested until they answered, at most until `due`."""
    number = question["incident_id"]
    connection.execute(_END, {"id": question["id"], "outcome": outcome, "at": at, **said})
    until = min(at, question["due"])
    rested = clocks.resume(connection, number, clocks.HANDLE, at=until)
    data = {"question": question["id"], "clocks": rested, "rested_until": until}
    cases.move(connection, number, replace(move, data=data))


# --- by itself ------------------------------------------------------------------------------------

_SILENT = text("""
SELECT incident_id FROM question WHERE ended IS NULL AND due <= :at
ORDER BY incident_id LIMIT 1000
""")


def give_up(connection: Connection, at: datetime) -> int:
    """Go on with the cases whose reporters were waited for long enough; how many."""
    ended = 0
    for number in connection.execute(_SILENT, {"at": at}).scalars().all():
        cases.hold(connection, number)
        question = _open(connection, number)
        if question is not None and question["due"] <= at:
            _end(connection, question, Move("unanswered", BY_CLOCK), "unanswered", at, _NOTHING)
            ended += 1
    return ended


# --- looking at them ------------------------------------------------------------------------------

_OF_CASE = text("""
SELECT q.id, q.asked, q.actor, o.code AS acting, q.words, q.due AS until, q.ended, q.outcome,
       q.answer, q.answered_by, q.report_id AS report
FROM question q LEFT JOIN organisation o ON o.id = q.acting_id
WHERE q.incident_id = :id ORDER BY q.id
""")


def of_case(connection: Connection, number: int) -> list[RowMapping]:
    """Every question of a case and what came of it, in their order."""
    return list(connection.execute(_OF_CASE, {"id": number}).mappings())
