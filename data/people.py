"""One person over all cases: found, exported, erased; everybody forgotten when their time is up.

A case stays with everything that was done in it; what goes is who its people were. While a case is
open its people are needed to settle it, and are kept.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import events, parties, person_deeds, personal, refusals
from data.errors import InputError
from data.parties import PersonError
from data.refusals import DispatchError

BATCH = 1000  # parties that are forgotten in one transaction


def fingerprint(phone: str | None, identity: str | None) -> bytes:
    """What somebody is looked up by: a telephone number or that of a document, exactly one.

    Raises
    ------
    PersonError
        None or both are given, or it cannot be one.
    """
    if phone and not identity:
        return personal.fingerprint(parties.phone_key(phone))
    if identity and not phone:
        return personal.fingerprint(parties.identity_key(identity))
    raise PersonError("give either phone or identity", "phone, identity", "person_invalid")


_PARTIES = text("""
SELECT p.*, i.closed, i.stage FROM party p JOIN incident i ON i.id = p.incident_id
WHERE p.phone_print = :person OR p.identity_print = :person ORDER BY p.id
""")


def _parties(connection: Connection, person: bytes) -> list[RowMapping]:
    return list(connection.execute(_PARTIES, {"person": person}).mappings())


def find(
    connection: Connection, person: bytes, *, actor: str, reason: str, at: datetime
) -> list[dict[str, Any]]:
    """In which cases somebody is party, masked; who asked, when and why is kept."""
    refusals.need(reason, "reason", "To look somebody up")
    rows = _parties(connection, person)
    _prove(connection, "find", rows, person, actor=actor, reason=reason, at=at)
    return [{"case": row["incident_id"], **parties.shown(row)} for row in rows]


_REPORTS = text("""
SELECT id, incident_id AS case, received, source, channel, kind, address, description, attributes
FROM report WHERE id = ANY (:ids) ORDER BY id
""")
_VISITS = text("""
SELECT report_id AS report, incident_id AS case, channel, asked, ended, outcome, solved,
       satisfaction, comment
FROM return_visit WHERE party_id = ANY (:ids) ORDER BY id
""")

_QUESTIONS = text("""
SELECT report_id AS report, incident_id AS case, asked, words, ended, answer
FROM question WHERE report_id = ANY (:ids) ORDER BY id
""")


def export(
    connection: Connection, person: bytes, *, actor: str, reason: str, at: datetime
) -> dict[str, Any]:
    """Everything that is kept about somebody: their cases, their reports, what they answered."""
    refusals.need(reason, "reason", "To export somebody's data")
    rows = _parties(connection, person)
    _prove(connection, "export", rows, person, actor=actor, reason=reason, at=at)
    reports = [row["report_id"] for row in rows if row["report_id"] and row["role"] == "reporter"]
    asked = {"ids": [row["id"] for row in rows]}
    return {
        "at": at,
        "parties": [
            {"case": row["incident_id"], **parties.shown(row, masked=False)} for row in rows
        ],
        "reports": [dict(row) for row in connection.execute(_REPORTS, {"ids": reports}).mappings()],
        "questions": [dict(r) for r in connection.execute(_QUESTIONS, {"ids": reports}).mappings()],
        "visits": [dict(row) for row in connection.execute(_VISITS, asked).mappings()],
    }


_ERASE = text("""
WITH gone AS (
    UPDATE party SET name = NULL, phone = NULL, identity = NULL, contact = NULL,
           phone_print = NULL, identity_print = NULL, erased = :at
    WHERE id = ANY (:ids) RETURNING id, incident_id, report_id, role
), answers AS (
    -- What was noted names no report: it may be theirs.
    UPDATE question q SET answer = '' FROM gone
    WHERE gone.role = 'reporter' AND (q.report_id = gone.report_id
          OR (q.report_id IS NULL AND q.incident_id = gone.incident_id))
)
UPDATE return_visit SET comment = '' WHERE party_id IN (SELECT id FROM gone)
""")
# Under a lock, so that no case is opened again while its people go.
_CLOSED = text("""
SELECT id FROM incident WHERE id = ANY (:ids) AND closed IS NOT NULL ORDER BY id
FOR NO KEY UPDATE
""")


def erase(
    connection: Connection, person: bytes, *, actor: str, reason: str, at: datetime
) -> dict[str, Any]:
    """Take somebody out of every closed case; those that are open hold what they need.

    Returns the number of the proof (`proof`), the cases in which they were erased (`cases`), those
    that hold them until they are closed (`held`), and how many entries went (`parties`).
    """
    refusals.need(reason, "reason", "To erase somebody")
    rows = _parties(connection, person)
    asked = {"ids": sorted({row["incident_id"] for row in rows})}
    closed = set(connection.execute(_CLOSED, asked).scalars())
    going = [row for row in rows if row["incident_id"] in closed]
    held = sorted({row["incident_id"] for row in rows} - closed)
    _forget(connection, going, at, "erased")
    proof = _prove(connection, "erase", going, person, actor=actor, reason=reason, at=at, held=held)
    return {"proof": proof, "cases": sorted(closed), "held": held, "parties": len(going)}


def _forget(connection: Connection, rows: list[RowMapping], at: datetime, how: str) -> None:
    connection.execute(_ERASE, {"ids": [row["id"] for row in rows], "at": at})
    for row in rows:
        told = {"party": row["id"], "how": how}
        events.record(connection, "party.erased", told, incident_id=row["incident_id"])


def _prove(
    connection: Connection,
    deed: str,
    rows: list[RowMapping],
    person: bytes | None,
    *,
    actor: str,
    reason: str,
    at: datetime,
    held: list[int] | None = None,
) -> int:
    concerned = sorted({row["incident_id"] for row in rows})
    return person_deeds.prove(
        connection, deed, actor=actor, reason=reason, at=at, concerned=concerned,
        parties=len(rows), person=person, held=held or [],
    )  # fmt: skip


# --- how long they are kept -----------------------------------------------------------------------

_RETENTIONS = text(
    "SELECT kind, days, changed, actor, reason FROM retention ORDER BY kind NULLS FIRST"
)
_RETAIN = text("""
INSERT INTO retention (kind, days, actor, reason) VALUES (:kind, :days, :actor, :reason)
ON CONFLICT (kind) DO UPDATE
SET days = excluded.days, actor = excluded.actor, reason = excluded.reason, changed = now()
""")
_KINDS = text("SELECT EXISTS (SELECT FROM case_kind WHERE code = :kind)")


class RetentionError(InputError):
    """A period that cannot be; `reason` is unknown_kind."""


def retentions(connection: Connection) -> list[RowMapping]:
    """How long people stay known after their case was closed, by kind of case; null: else."""
    return list(connection.execute(_RETENTIONS).mappings())


def retain(connection: Connection, kind: str | None, days: int, *, actor: str, reason: str) -> None:
    """Say how long the people of cases of a kind, and of those below it, stay known after closing.

    Raises
    ------
    RetentionError
        The catalogue never had such a kind.
    DispatchError
        The reason is missing.
    """
    refusals.need(reason, "reason", "A period of retention")
    if kind is not None and not connection.execute(_KINDS, {"kind": kind}).scalar():
        raise RetentionError(
            f"the catalogue has no kind {kind!r}; GET /api/v1/case-kinds lists them", "kind",
            "unknown_kind",
        )  # fmt: skip
    values = {"kind": kind, "days": days, "actor": actor, "reason": reason}
    connection.execute(_RETAIN, values)
    told = {"kind": kind, "days": days, "actor": actor, "reason": reason}
    events.record(connection, "retention.changed", told)


_UNRETAIN = text("DELETE FROM retention WHERE kind IS NOT DISTINCT FROM :kind")


def keep_for_ever(connection: Connection, kind: str | None, *, actor: str) -> None:
    """Take a period away: the one above it holds. Raises `DispatchError` if there is none."""
    if not connection.execute(_UNRETAIN, {"kind": kind}).rowcount:
        raise DispatchError("unknown_retention", "There is no such period of retention.")
    events.record(connection, "retention.changed", {"kind": kind, "days": None, "actor": actor})


# The kind's own period, else its parent's in the catalogue of now, and so on, else the one for all.
_EXPIRED = text("""
WITH RECURSIVE kinds AS (
    SELECT DISTINCT i.kind AS of, i.kind AS code, 0 AS far
    FROM party p JOIN incident i ON i.id = p.incident_id
    WHERE p.erased IS NULL AND i.closed IS NOT NULL
    UNION ALL
    SELECT kinds.of, k.parent, far + 1 FROM kinds JOIN case_kind k ON k.code = kinds.code
    WHERE k.valid @> now() AND k.parent IS NOT NULL AND far < 9
), periods AS (
    SELECT DISTINCT ON (kinds.of) kinds.of, r.days
    FROM kinds JOIN retention r ON r.kind IS NULL OR r.kind = kinds.code
    ORDER BY kinds.of, r.kind IS NULL, far
)
SELECT p.id, p.incident_id
FROM party p JOIN incident i ON i.id = p.incident_id
JOIN periods ON periods.of IS NOT DISTINCT FROM i.kind
WHERE p.erased IS NULL AND i.closed < CAST(:at AS timestamptz) - make_interval(days => periods.days)
ORDER BY p.incident_id, p.id LIMIT :most
FOR NO KEY UPDATE OF i
""")


def expire(connection: Connection, at: datetime) -> int:
    """Forget the people whose time is up after their case was closed; how many."""
    rows = list(connection.execute(_EXPIRED, {"at": at, "most": BATCH}).mappings())
    if rows:
        _forget(connection, rows, at, "expired")
        reason = "the period of retention is over"
        _prove(connection, "expire", rows, None, actor="clock", reason=reason, at=at)
    return len(rows)
