"""The end of a whistle, and what its caller thinks of each who was called."""

from sqlalchemy import Connection, text

from data import cases, clocks, refusals
from data.cases import By, Move
from data.whistles import WhistleError, check_caller, held_call, hold, subject, tell

_END = text("""
UPDATE whistle SET ended = clock_timestamp(), ended_by = :actor, outcome = :outcome WHERE id = :id
RETURNING ended
""")
_ABSENT = text("""
UPDATE whistle_call SET state = 'absent', declined = NULL
WHERE whistle_id = :id AND state IN ('called', 'signed', 'contacted')
RETURNING id
""")
_PLAN_OPEN = text("""
SELECT id, what FROM whistle_plan_step WHERE whistle_id = :id AND done IS NULL ORDER BY due, id
""")
_OF = text("SELECT incident_id FROM whistle WHERE id = :id")


def end(connection: Connection, number: int, by: By, outcome: str, reason: str = "") -> None:
    """End a whistle: a case in consultation is worked on again, who has not come is absent.

    Raises
    ------
    WhistleError
        There is none, it has ended, they are not its caller, no outcome is given, or steps of the
        plan are open and no reason is.
    """
    incident_id = connection.execute(_OF, {"id": number}).scalar()
    case = cases.hold(connection, incident_id) if incident_id is not None else None
    whistle = hold(connection, number)
    check_caller(whistle, by)
    refusals.need(outcome, "outcome", "To end a whistle")
    left = connection.execute(_PLAN_OPEN, {"id": number}).mappings().all()
    if left and not reason.strip():
        raise WhistleError(
            "plan_open",
            f"{len(left)} steps of the plan are open, first: {left[0]['what']}. Finish them, or "
            "say why they are left.",
            field="reason", steps=[row["id"] for row in left],
        )  # fmt: skip
    values = {"id": number, "actor": by.actor, "outcome": outcome.strip()}
    ended = connection.execute(_END, values).scalar_one()
    absent = connection.execute(_ABSENT, {"id": number}).scalars().all()
    for call in absent:
        clocks.stop(connection, whistle["incident_id"], subject=subject(call), at=ended)
    left_open = [row["id"] for row in left]
    tell(
        connection, whistle, "end", by, reason=reason, outcome=outcome, absent=sorted(absent),
        left_open=left_open,
    )  # fmt: skip
    if case is not None and case["stage"] == "consultation":
        move = Move("start", by.actor, reason=outcome, data={"whistle": number})
        cases.move(connection, case["id"], move)


_ENDED_CALL = text("""
SELECT c.rating, c.state, w.ended FROM whistle_call c JOIN whistle w ON w.id = c.whistle_id
WHERE c.id = :id
""")
_RATE = text("UPDATE whistle_call SET rating = :rating, words = :words WHERE id = :id")


def rate(
    connection: Connection, number: int, call_id: int, by: By, rating: int, words: str = ""
) -> None:
    """Rate how an organisation answered, once, after the end: 1 (badly) to 5 (well).

    Raises
    ------
    WhistleError
        They are not the caller, the whistle is open, or the organisation was let off or rated.
    """
    whistle = hold(connection, number, together=True, even_ended=True)
    call = held_call(connection, number, call_id)
    check_caller(whistle, by)
    found = connection.execute(_ENDED_CALL, {"id": call_id}).one()
    if found.ended is None:
        raise WhistleError("not_ended", f"Whistle {number} is open; end it, then rate who came.")
    if found.state == "released" or found.rating is not None:
        why = "was let off" if found.state == "released" else "was rated already"
        raise WhistleError("already_rated", f"{call['name']} {why}.")
    connection.execute(_RATE, {"id": call_id, "rating": rating, "words": words})
    tell(
        connection, whistle, "rate", by, call=call_id, reason=words, rating=rating,
        organisation=call["code"],
    )  # fmt: skip
