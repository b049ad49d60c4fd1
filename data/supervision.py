"""Supervision orders (督办): who is late is told to answer, and only who issued it may close it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import clocks, events, refusals
from data.errors import InputError

CLOCK = "supervision"  # the service time in which an order is to be answered
BY_ITSELF = "wangge"


class SupervisionError(InputError):
    """An order that cannot be issued, answered or closed by who wants to."""


@dataclass(frozen=True)
class Order:
    """An order as it stands, with its answers; organisations are codes."""

    id: int
    incident_id: int
    area_id: int | None
    clock_id: int | None
    organisation_id: int
    organisation: str
    issuer_id: int
    issuer: str
    reason: str
    issued: datetime
    actor: str
    due: datetime | None
    late: bool
    answers: Sequence[dict[str, Any]]
    closed: datetime | None
    closed_by: str | None
    outcome: str | None


_COLUMNS = """
SELECT s.id, s.incident_id, i.area_id, s.clock_id, s.organisation_id, o.code AS organisation,
       s.issuer_id, u.code AS issuer, s.reason, s.issued, s.actor, c.due,
       coalesce(c.late IS NOT NULL, false) AS late,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
                     'at', a.at, 'actor', a.actor, 'answer', a.answer) ORDER BY a.id)
                 FROM supervision_answer a WHERE a.supervision_id = s.id), '[]') AS answers,
       s.closed, s.closed_by, s.outcome
FROM supervision s JOIN incident i ON i.id = s.incident_id
JOIN organisation o ON o.id = s.organisation_id JOIN organisation u ON u.id = s.issuer_id
LEFT JOIN LATERAL (SELECT due, late FROM clock c WHERE c.incident_id = s.incident_id
                   AND c.name = 'supervision' AND c.subject = 'supervision ' || s.id
                   ORDER BY c.id DESC LIMIT 1) c ON true
"""
_GET = text(f"{_COLUMNS} WHERE s.id = :id")
_LIST = text(f"""
{_COLUMNS}
WHERE (NOT CAST(:open AS boolean) OR s.closed IS NULL)
  AND (NOT CAST(:late AS boolean) OR c.late IS NOT NULL)
  AND (CAST(:organisation_id AS bigint) IS NULL OR s.organisation_id = :organisation_id)
  AND (CAST(:incident_id AS bigint) IS NULL OR s.incident_id = :incident_id)
  AND (CAST(:before AS bigint) IS NULL OR s.id < :before)
ORDER BY s.id DESC LIMIT :limit
""")


def get(connection: Connection, number: int) -> Order:
    """An order.

    Raises
    ------
    SupervisionError
        There is none of this number.
    """
    row = connection.execute(_GET, {"id": number}).mappings().first()
    if row is None:
        raise SupervisionError(
            f"There is no supervision order {number}.", "number", "unknown_supervision"
        )
    return Order(**row)


def listed(
    connection: Connection,
    *,
    open_: bool = True,
    late: bool = False,
    organisation_id: int | None = None,
    incident_id: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Order]:
    """Orders, the newest first: only open ones, only those answered too late or not yet in time."""
    asked = {"open": open_, "late": late, "organisation_id": organisation_id,
             "incident_id": incident_id, "before": before, "limit": limit}  # fmt: skip
    return [Order(**row) for row in connection.execute(_LIST, asked).mappings()]


# --- issuing, answering, closing ------------------------------------------------------------------

_INCIDENT = text("SELECT area_id FROM incident WHERE id = :id")
_ISSUE = text("""
INSERT INTO supervision (incident_id, clock_id, organisation_id, issuer_id, reason, issued, actor)
VALUES (:incident_id, :clock_id, :organisation_id, :issuer_id, :reason, :at, :actor)
ON CONFLICT (clock_id) DO NOTHING RETURNING id
""")
_ANSWER = text("""
INSERT INTO supervision_answer (supervision_id, at, organisation_id, actor, answer)
VALUES (:id, :at, :organisation_id, :actor, :answer)
""")
_CLOSE = text("""
UPDATE supervision SET closed = :at, closer_id = :closer_id, closed_by = :actor, outcome = :outcome
WHERE id = :id AND closed IS NULL
""")
_LOCK = text("SELECT FROM supervision WHERE id = :id FOR UPDATE")


def issue(
    connection: Connection,
    incident_id: int,
    *,
    organisation_id: int,
    issuer_id: int,
    reason: str,
    actor: str,
    at: datetime,
    clock_id: int | None = None,
) -> Order:
    """Order an organisation to answer for an incident; its time to do so runs from now.

    About one clock there is one order at most: the one that there is comes back.

    Raises
    ------
    SupervisionError
        There is no such incident, no reason, or the organisation would supervise itself.
    """
    if organisation_id == issuer_id:
        raise SupervisionError(
            "an organisation cannot supervise itself; name the one above it as the issuer",
            "issuer", "supervision_of_itself",
        )  # fmt: skip
    _need(reason, "reason")
    incident = connection.execute(_INCIDENT, {"id": incident_id}).first()
    if incident is None:
        raise SupervisionError(
            f"There is no incident {incident_id}.", "incident", "unknown_incident"
        )
    values = {"incident_id": incident_id, "clock_id": clock_id, "organisation_id": organisation_id,
              "issuer_id": issuer_id, "reason": reason, "at": at, "actor": actor}  # fmt: skip
    number = connection.execute(_ISSUE, values).scalar()
    if number is None:
        return get(connection, connection.execute(_ABOUT, {"id": clock_id}).scalar_one())
    clocks.start(
        connection, incident_id, CLOCK, organisation_id=organisation_id, at=at,
        subject=_subject(number),
    )  # fmt: skip
    order = get(connection, number)
    _tell(connection, order, "issued", actor, reason=reason)
    return order


_ABOUT = text("SELECT id FROM supervision WHERE clock_id = :id")


def answer(
    connection: Connection,
    number: int,
    words: str,
    *,
    organisation_id: int,
    actor: str,
    at: datetime,
) -> Order:
    """Answer an order; the time to answer it stops. More may be said later.

    Raises
    ------
    SupervisionError
        There is no such order, it is closed, the answer is empty, or it was issued to another.
    """
    _need(words, "answer")
    connection.execute(_LOCK, {"id": number})
    order = _open(connection, number)
    if organisation_id != order.organisation_id:
        raise SupervisionError(
            f"Order {number} was issued to {order.organisation}, and only they answer it.",
            "organisation", "not_supervised",
        )  # fmt: skip
    said = {"id": number, "at": at, "organisation_id": organisation_id, "actor": actor,
            "answer": words}  # fmt: skip
    connection.execute(_ANSWER, said)
    clocks.stop(connection, order.incident_id, CLOCK, subject=_subject(number), at=at)
    _tell(connection, order, "answered", actor, answer=words)
    return get(connection, number)


def close(
    connection: Connection,
    number: int,
    *,
    organisation_id: int,
    actor: str,
    outcome: str,
    at: datetime,
) -> Order:
    """Close an order; only the organisation that issued it can, by a check of the database too.

    Raises
    ------
    SupervisionError
        There is no such order, it is closed, or another organisation issued it.
    """
    _need(outcome, "outcome")
    connection.execute(_LOCK, {"id": number})
    order = _open(connection, number)
    if organisation_id != order.issuer_id:
        raise SupervisionError(
            f"Order {number} was issued by {order.issuer}, and only they close it.",
            "organisation", "not_issuer",
        )  # fmt: skip
    values = {"id": number, "at": at, "closer_id": organisation_id, "actor": actor,
              "outcome": outcome}  # fmt: skip
    connection.execute(_CLOSE, values)
    clocks.stop(connection, order.incident_id, CLOCK, subject=_subject(number), at=at)
    _tell(connection, order, "closed", actor, outcome=outcome)
    return get(connection, number)


def _open(connection: Connection, number: int) -> Order:
    order = get(connection, number)
    if order.closed is not None:
        raise SupervisionError(
            f"Order {number} was closed by {order.closed_by} at "
            f"{order.closed:%Y-%m-%dT%H:%M:%SZ}: {order.outcome}",
            "number", "supervision_closed",
        )  # fmt: skip
    return order


def _need(words: str, field: str) -> None:
    if not refusals.says_something(words):
        raise SupervisionError(f"the {field} says nothing; write it down", field, "reason_missing")


def _subject(number: int) -> str:
    return f"supervision {number}"


def _tell(connection: Connection, order: Order, what: str, actor: str, **more: Any) -> None:
    said = {"order": order.id, "organisation": order.organisation, "issuer": order.issuer,
            "actor": actor, **more}  # fmt: skip
    events.record(
        connection, f"supervision.{what}", said, incident_id=order.incident_id,
        area_id=order.area_id,
    )  # fmt: skip


# --- by itself ------------------------------------------------------------------------------------

# The organisation above; of one that has none above it, the centre of the city. A centre without
# one above it is the highest there is.
_ISSUER = text("""
SELECT coalesce(o.parent_id, (
    SELECT c.id FROM organisation c LEFT JOIN area a ON a.id = c.area_id
    LEFT JOIN layer l ON l.name = a.layer
    WHERE c.role = 'centre' AND c.parent_id IS NULL AND o.role <> 'centre'
    ORDER BY l.tree_level NULLS LAST, c.id LIMIT 1)) AS issuer_id
FROM organisation o WHERE o.id = :id
""")


def issue_by_itself(connection: Connection, clock: RowMapping) -> None:
    """Order the organisation of a clock that was late for longer than its service time bears.

    Where there is no organisation, or none above it, nobody can: the event `clock.overdue` stands.
    """
    if clock["organisation_id"] is None:
        return
    issuer = connection.execute(_ISSUER, {"id": clock["organisation_id"]}).scalar()
    if issuer is None:
        return
    issue(
        connection,
        clock["incident_id"],
        organisation_id=clock["organisation_id"],
        issuer_id=issuer,
        reason=f"{clock['name']} was due at {clock['due']:%Y-%m-%dT%H:%M:%SZ} and has been late "
        f"for more than {clock['order_after_h']:g} working hours",
        actor=BY_ITSELF,
        at=clock["ordered"],
        clock_id=clock["id"],
    )
