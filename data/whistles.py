"""Whistles (吹哨报到): a centre or a red grid calls organisations to a case, and each must come.

Every step is one transaction: the whistle under a lock, a row of its steps, an event. Locks are
taken in one order: the case, the whistle, the call, its clocks. Those who are called hold the
whistle together, so that they need not wait for each other; whoever ends it holds it alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import cases, clocks, events, red_grids, refusals
from data.cases import By, Move
from data.refusals import DispatchError
from data.stages import ACTIONS, ANSWERED
from data.whistle_rules import CALL_ACTIONS, TOLD, CallAction, allowed, clocks_of

BY_ITSELF = "wangge"


class WhistleError(DispatchError):
    """What was asked of a whistle cannot be done; nothing was written.

    `reason` is one of unknown_whistle, whistle_open, whistle_ended, may_not_call, not_caller,
    unknown_call, not_called, already_called, call_not_allowed, not_taking_part, unknown_member,
    unknown_plan_step, plan_step_done, plan_open, not_ended, already_rated, reason_missing.
    """


@dataclass(frozen=True)
class NewWhistle:
    """A whistle as it is blown.

    Attributes
    ----------
    incident_id : the case
    organisations : codes of those who are called
    what : what they are needed for
    hard : whether it is a hard matter, for which they have longer to come
    grid : code of the red grid that calls; None: the organisation calls as a centre
    """

    incident_id: int
    organisations: Sequence[str]
    what: str
    hard: bool = False
    grid: str | None = None


# --- blowing it -----------------------------------------------------------------------------------

_BLOW = text("""
INSERT INTO whistle (incident_id, caller_id, grid_id, what, hard, actor)
VALUES (:incident_id, :caller_id, :grid_id, :what, :hard, :actor)
ON CONFLICT (incident_id) WHERE ended IS NULL DO NOTHING RETURNING id
""")
_OPEN = text("SELECT id, actor, at FROM whistle WHERE incident_id = :id AND ended IS NULL")


def blow(connection: Connection, new: NewWhistle, by: By) -> int:
    """Call organisations to a case; the whistle's number.

    A case that is worked on is in consultation until the whistle ends.

    Raises
    ------
    CaseError
        There is no such case or organisation, or others answer for the case.
    WhistleError
        They may not call, the case was answered or has an open whistle, or nothing is said.
    """
    case = cases.hold(connection, new.incident_id)
    refusals.need(new.what, "what", "A whistle")
    grid_id = _authority(connection, case, new.grid, by.acting)
    if case["stage"] in ANSWERED:
        raise WhistleError(
            "may_not_call",
            f"Case {case['id']} stands at {case['stage']}; reopen it before you call anybody.",
            stage=case["stage"],
        )
    values = {"incident_id": case["id"], "caller_id": by.acting, "grid_id": grid_id,
              "what": new.what, "hard": new.hard, "actor": by.actor}  # fmt: skip
    number = connection.execute(_BLOW, values).scalar()
    if number is None:
        raise _open_already(connection, case["id"])
    whistle = hold(connection, number)
    tell(connection, whistle, "blow", by, reason=new.what, hard=new.hard)
    for code in dict.fromkeys(new.organisations):
        _call(connection, whistle, code, by)
    if case["stage"] in ACTIONS["consult"].before:
        move = Move("consult", by.actor, reason=new.what, data={"whistle": number})
        cases.move(connection, case["id"], move)
    return int(number)


_ROLE = text("SELECT name, role FROM organisation WHERE id = :id")


def _authority(
    connection: Connection, case: RowMapping, grid: str | None, acting: int
) -> int | None:
    """The red grid that calls, or None for a centre; raises for whoever may not."""
    if grid is not None:
        red = red_grids.of(connection, grid)
        if red is None or red["organisation_id"] != acting or red["area_id"] != case["area_id"]:
            raise WhistleError(
                "may_not_call",
                f"Grid {grid} has no authority over case {case['id']}: it is no red grid of the "
                "organisation that calls, or the case lies elsewhere.",
                field="grid",
            )
        return int(red["area_id"])
    organisation = connection.execute(_ROLE, {"id": acting}).one()
    if organisation.role != "centre":
        raise WhistleError(
            "may_not_call",
            f"{organisation.name} is no centre; ask the centre of the place to call, or name the "
            "red grid for which you do.",
        )
    cases.check_answers(connection, case, acting)
    return None


def _open_already(connection: Connection, incident_id: int) -> WhistleError:
    found = connection.execute(_OPEN, {"id": incident_id}).one()
    return WhistleError(
        "whistle_open",
        f"Case {incident_id} has an open whistle, {found.id}, since {refusals.clock(found.at)}, "
        f"by {found.actor}; call the others to that one.",
        number=found.id, actor=found.actor, at=found.at,
    )  # fmt: skip


# --- calling organisations ------------------------------------------------------------------------

_CALL = text("""
INSERT INTO whistle_call (whistle_id, organisation_id, invited_by_id)
VALUES (:whistle_id, :organisation_id, :invited_by_id)
ON CONFLICT (whistle_id, organisation_id) WHERE state <> 'released' DO NOTHING RETURNING id, at
""")


def bring(connection: Connection, number: int, code: str, by: By) -> int:
    """Call one more organisation; the number of its call.

    The caller may, and whoever was called themselves.

    Raises
    ------
    WhistleError
        The whistle has ended, they take no part in it, or the other was called already.
    CaseError
        There is no such organisation.
    """
    whistle = hold(connection, number, together=True)
    if by.acting != whistle["speaks"]:
        _called(connection, number, by.acting)
    return _call(connection, whistle, code, by)


def _call(connection: Connection, whistle: RowMapping, code: str, by: By) -> int:
    organisation = cases.organisation(connection, code)
    if organisation["id"] == whistle["speaks"]:
        raise WhistleError(
            "already_called",
            f"{organisation['name']} blew the whistle and need not be called.",
            field="organisation",
        )
    values = {"whistle_id": whistle["id"], "organisation_id": organisation["id"],
              "invited_by_id": by.acting}  # fmt: skip
    call = connection.execute(_CALL, values).one_or_none()
    if call is None:
        raise WhistleError(
            "already_called",
            f"{organisation['name']} was called to whistle {whistle['id']} already.",
            field="organisation",
        )
    for name in clocks_of(whistle["hard"]):
        clocks.start(
            connection, whistle["incident_id"], name, organisation_id=organisation["id"],
            at=call.at, subject=subject(call.id),
        )  # fmt: skip
    tell(connection, whistle, "call", by, call=call.id, organisation=code)
    return int(call.id)


def subject(call: int) -> str:
    """What the clocks of a call are for."""
    return f"whistle_call {call}"


_CALLED = text("""
SELECT c.id FROM whistle_call c
WHERE c.whistle_id = :whistle_id AND heir_of(c.organisation_id) = :id AND c.state <> 'released'
""")


def _called(connection: Connection, number: int, organisation_id: int) -> None:
    asked = {"whistle_id": number, "id": organisation_id}
    if connection.execute(_CALLED, asked).first() is None:
        raise WhistleError(
            "not_called",
            f"Your organisation was not called to whistle {number}; who was, or the caller, may do "
            "this.",
        )


# --- answering a call -----------------------------------------------------------------------------

_LOCK_CALL = text("""
SELECT c.id, o.id AS organisation_id, o.code, o.name, c.state, c.declined, clock_timestamp() AS now
FROM whistle_call c JOIN organisation o ON o.id = heir_of(c.organisation_id)
WHERE c.whistle_id = :whistle_id AND c.id = :id FOR NO KEY UPDATE OF c
""")
# Whoever is there has signed: what was passed over is filled in with the same moment.
_ANSWER = text("""
UPDATE whistle_call SET
    state = :state,
    signed = CASE WHEN :state IN ('signed', 'contacted', 'arrived')
                  THEN coalesce(signed, :now) ELSE signed END,
    contacted = CASE WHEN :state IN ('contacted', 'arrived')
                     THEN coalesce(contacted, :now) ELSE contacted END,
    arrived = CASE WHEN :state = 'arrived' THEN CAST(:now AS timestamptz) END,
    declined = CASE :action WHEN 'decline' THEN CAST(:now AS timestamptz)
                            WHEN 'sign' THEN declined WHEN 'contact' THEN declined END
WHERE id = :id
""")


def answer(
    connection: Connection, number: int, call_id: int, action: str, by: By, reason: str = ""
) -> None:
    """Do one of `CALL_ACTIONS` with a call: sign it, come, wish not to, let off …

    Raises
    ------
    WhistleError
        The whistle has ended, there is no such call, it is another's to do, it cannot be done from
        how the call stands (`facts` say who brought it there), or a reason is missing.
    """
    asked = CALL_ACTIONS[action]
    whistle = hold(connection, number, together=True)
    call = held_call(connection, number, call_id)
    _check(connection, whistle, call, action, by)
    if asked.needs_reason:
        refusals.need(reason, "reason", f"To {action} a call")
    values = {"id": call_id, "state": asked.state or call["state"], "action": action,
              "now": call["now"]}  # fmt: skip
    connection.execute(_ANSWER, values)
    for name in asked.stops:
        clocks.stop(
            connection, whistle["incident_id"], name, subject=subject(call_id), at=call["now"]
        )
    tell(connection, whistle, action, by, call=call_id, reason=reason, organisation=call["code"])


def held_call(connection: Connection, number: int, call_id: int) -> RowMapping:
    """A call of a whistle under a lock; raises `WhistleError` if there is none."""
    asked = {"whistle_id": number, "id": call_id}
    call = connection.execute(_LOCK_CALL, asked).mappings().first()
    if call is None:
        raise WhistleError(
            "unknown_call",
            f"Whistle {number} has no call {call_id}; GET /api/v1/whistles/{number} lists them.",
            field="call",
        )
    return call


_LAST = text("""
SELECT action, actor, at FROM whistle_step WHERE call_id = :id AND action <> 'late'
ORDER BY id DESC LIMIT 1
""")


def _check(
    connection: Connection, whistle: RowMapping, call: RowMapping, action: str, by: By
) -> None:
    asked: CallAction = CALL_ACTIONS[action]
    if asked.by_caller:
        check_caller(whistle, by)
    elif by.acting != call["organisation_id"]:
        raise WhistleError(
            "not_called", f"It is {call['name']} who was called; only they {action}.",
            organisation=call["code"],
        )  # fmt: skip
    if call["state"] in asked.before and (call["declined"] or not asked.pending):
        return
    last = connection.execute(_LAST, {"id": call["id"]}).one()
    may = allowed(call["state"], call["declined"] is not None)
    raise WhistleError(
        "call_not_allowed",
        f"To {action} cannot be done with call {call['id']}: {last.actor} did {last.action} at "
        f"{refusals.clock(last.at)}, it is {call['state']}"
        + (f", and can only be done: {', '.join(may)}." if may else ", and that is its end."),
        state=call["state"], actor=last.actor, at=last.at, allowed=may,
    )  # fmt: skip


# --- by itself ------------------------------------------------------------------------------------

_WHOSE_CALL = text("""
SELECT w.*, i.area_id, c.id AS call_id, o.code, u.code AS caller, p.code AS parent
FROM whistle_call c JOIN whistle w ON w.id = c.whistle_id JOIN incident i ON i.id = w.incident_id
JOIN organisation o ON o.id = c.organisation_id JOIN organisation u ON u.id = w.caller_id
LEFT JOIN organisation p ON p.id = o.parent_id
WHERE c.id = :id
""")


def escalate(connection: Connection, clock: RowMapping) -> None:
    """Tell the caller, and whoever is above them, that an organisation is late.

    It only adds a step: whoever answers the call at this moment holds its row and waits for the
    clock's, which is ours.
    """
    call = int(clock["subject"].removeprefix(subject(0)[:-1]))
    whistle = connection.execute(_WHOSE_CALL, {"id": call}).mappings().one()
    told = [code for code in (whistle["caller"], whistle["parent"]) if code is not None]
    tell(
        connection, whistle, "late", None, call=call, organisation=whistle["code"],
        clock=clock["name"], due=clock["due"], told=told,
    )  # fmt: skip


# --- what all of it needs -------------------------------------------------------------------------

_HOLD = """
SELECT w.*, heir_of(w.caller_id) AS speaks, i.area_id, o.name AS caller_name FROM whistle w
JOIN incident i ON i.id = w.incident_id JOIN organisation o ON o.id = heir_of(w.caller_id)
WHERE w.id = :id FOR {} OF w
"""
_ALONE, _TOGETHER = text(_HOLD.format("NO KEY UPDATE")), text(_HOLD.format("SHARE"))


def hold(
    connection: Connection, number: int, *, together: bool = False, even_ended: bool = False
) -> RowMapping:
    """A whistle under a lock until the end of the transaction, alone or with others who hold it.

    `speaks` is the number of who speaks for its caller today: itself, or its successor.

    Raises
    ------
    WhistleError
        There is none, or it has ended: `facts` say who ended it and when.
    """
    found = connection.execute(_TOGETHER if together else _ALONE, {"id": number}).mappings().first()
    if found is None:
        raise WhistleError("unknown_whistle", f"There is no whistle {number}.", field="number")
    if found["ended"] is not None and not even_ended:
        raise WhistleError(
            "whistle_ended",
            f"{found['ended_by']} ended whistle {number} at {refusals.clock(found['ended'])}: "
            f"{found['outcome']}",
            actor=found["ended_by"], at=found["ended"], outcome=found["outcome"],
        )  # fmt: skip
    return found


def check_caller(whistle: RowMapping, by: By) -> None:
    """Raise unless they blew the whistle, or came after who did."""
    if by.acting != whistle["speaks"]:
        raise WhistleError(
            "not_caller",
            f"{whistle['caller_name']} blew whistle {whistle['id']}; only they do this.",
        )


_STEP = text("""
INSERT INTO whistle_step (whistle_id, call_id, action, actor, acting_id, reason, data)
VALUES (:whistle_id, :call_id, :action, :actor, :acting_id, :reason, CAST(:data AS jsonb))
""")


def tell(
    connection: Connection,
    whistle: RowMapping,
    action: str,
    by: By | None,
    *,
    call: int | None = None,
    reason: str = "",
    **data: Any,
) -> None:
    """Write a step down and tell it as an event; `by` None: it happens by itself."""
    actor = BY_ITSELF if by is None else by.actor
    values = {
        "whistle_id": whistle["id"], "call_id": call, "action": action, "actor": actor,
        "acting_id": None if by is None else by.acting, "reason": reason,
        "data": json.dumps(data, ensure_ascii=False, default=str),
    }  # fmt: skip
    connection.execute(_STEP, values)
    said = {"whistle": whistle["id"], "call": call, "actor": actor, "reason": reason, **data}
    events.record(
        connection, TOLD[action], said, incident_id=whistle["incident_id"],
        area_id=whistle["area_id"],
    )  # fmt: skip
