"""Referrals (六调对接): a case is offered to another body, or by one, and its outcome comes back.

Every step is one transaction: the case under a lock, then the referral; a row of its steps and an
event. Of two who decide at once the first wins, and the other is told who it was.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import cases, clocks, events, refusals
from data.cases import By, Move
from data.referral_rules import ACCEPT, ACCEPT_CALL, ACTIONS, INWARDS_ONLY, TOLD, allowed
from data.refusals import DispatchError
from data.stages import ANSWERED, UNDECIDED

BY_ITSELF = "wangge"
MEDIATORS = (
    "mediator", "lawyer", "mediation_committee", "mediation_workstation", "mediation_studio",
    "labour_dispute_centre", "joint_team",
)  # fmt: skip
"""Kinds of resource that mediate."""


class ReferralError(DispatchError):
    """What was asked of a referral cannot be done; nothing was written.

    `reason` is one of unknown_referral, referral_open, referral_refused, not_giver, not_receiver,
    referral_not_allowed, unknown_team, reason_missing.
    """


@dataclass(frozen=True)
class Offer:
    """A case as it is offered.

    Attributes
    ----------
    incident_id : the case
    kind : of `data.referral_rules.KINDS`
    direction : `out`, by who answers for the case; `in`, by another body to a centre
    what : what it is about, and why it is theirs
    receiver : code of the organisation to which; None: that of the team
    team : number of a standing joint team (庭所共建) that is to have it; None: none
    """

    incident_id: int
    kind: str
    direction: str
    what: str
    receiver: str | None = None
    team: int | None = None


_CASE_OF = text("SELECT incident_id FROM report WHERE id = :id")


def case_of(connection: Connection, report: int) -> int:
    """The number of the case that a report opened or joined."""
    return int(connection.execute(_CASE_OF, {"id": report}).scalar_one())


# --- offering -------------------------------------------------------------------------------------

_OFFER = text("""
INSERT INTO referral (incident_id, kind, direction, giver_id, receiver_id, team_id, what, actor)
VALUES (:incident_id, :kind, :direction, :giver_id, :receiver_id, :team_id, :what, :actor)
ON CONFLICT (incident_id, direction) WHERE ended IS NULL DO NOTHING RETURNING id, offered
""")
_OPEN = text("""
SELECT id, actor, offered FROM referral
WHERE incident_id = :id AND direction = :direction AND ended IS NULL
""")


def offer(connection: Connection, new: Offer, by: By) -> int:
    """Offer a case; the referral's number. One that goes out is referred until it comes back.

    Raises
    ------
    CaseError
        There is no such case or organisation; of one that goes out: others answer for it, or it is
        not worked on.
    ReferralError
        It has an open referral of the direction, it was answered, the receiver does not fit, there
        is no such team, or nothing is said.
    """
    case = cases.hold(connection, new.incident_id)
    refusals.need(new.what, "what", "A referral")
    receiver = _receiver(connection, new)
    _check_offer(case, new, by, receiver)
    values = {
        "incident_id": case["id"], "kind": new.kind, "direction": new.direction,
        "giver_id": by.acting, "receiver_id": receiver["id"], "team_id": new.team,
        "what": new.what, "actor": by.actor,
    }  # fmt: skip
    made = connection.execute(_OFFER, values).one_or_none()
    if made is None:
        raise _open_already(connection, new)
    clocks.start(
        connection, case["id"], _clock(new.kind), organisation_id=receiver["id"], at=made.offered,
        subject=_subject(made.id),
    )  # fmt: skip
    referral = _hold(connection, made.id)
    _tell(connection, referral, "offer", "offered", by, new.what)
    if new.direction == "out":
        data = {"referral": made.id}
        cases.move(connection, case["id"], Move("refer", by.actor, by.acting, new.what, data=data))
    return int(made.id)


_TEAM = text("""
SELECT o.code, r.withdrawn FROM resource r LEFT JOIN organisation o ON o.id = r.organisation_id
WHERE r.id = :id AND r.kind = 'joint_team'
""")
_FACTS = text("SELECT id, code, name, role FROM organisation WHERE id = :id")


def _receiver(connection: Connection, new: Offer) -> RowMapping:
    code = new.receiver
    if new.team is not None:
        team = connection.execute(_TEAM, {"id": new.team}).one_or_none()
        if team is None or team.withdrawn:
            raise ReferralError(
                "unknown_team", f"There is no standing joint team {new.team}.", field="team"
            )
        code = code or team.code
    if code is None:
        raise ReferralError(
            "referral_refused", "Name the organisation that is to have the case.", field="receiver"
        )
    found = cases.organisation(connection, code)
    return connection.execute(_FACTS, {"id": found["id"]}).mappings().one()


def _check_offer(case: RowMapping, new: Offer, by: By, receiver: RowMapping) -> None:
    if new.direction == "out" and new.kind in INWARDS_ONLY:
        raise ReferralError(
            "referral_refused",
            "What is not the police's comes from 110 to the centre; it is not sent out.",
            field="kind",
        )
    if new.direction == "in" and receiver["role"] != "centre":
        raise ReferralError(
            "referral_refused",
            f"{receiver['name']} is no centre; what comes in is offered to a centre.",
            field="receiver",
        )
    if receiver["id"] == by.acting:
        raise ReferralError(
            "referral_refused", f"{receiver['name']} offers it; name another.", field="receiver"
        )
    if new.direction == "in" and (case["stage"] in ANSWERED or case["stage"] == "referred"):
        raise ReferralError(
            "referral_refused",
            f"Case {case['id']} stands at {case['stage']}; nobody has to take it in.",
            stage=case["stage"],
        )


def _open_already(connection: Connection, new: Offer) -> ReferralError:
    asked = {"id": new.incident_id, "direction": new.direction}
    found = connection.execute(_OPEN, asked).one()
    return ReferralError(
        "referral_open",
        f"Case {new.incident_id} has an open referral, {found.id}, that {found.actor} offered at "
        f"{refusals.clock(found.offered)}; wait for its outcome, or withdraw it.",
        number=found.id, actor=found.actor, at=found.offered,
    )  # fmt: skip


def _clock(kind: str) -> str:
    return ACCEPT_CALL if kind in INWARDS_ONLY else ACCEPT


def _subject(number: int) -> str:
    return f"referral {number}"


# --- deciding -------------------------------------------------------------------------------------

_LOOK = """
SELECT r.*, i.area_id, g.id AS giver_now, g.code AS giver, g.name AS giver_name,
       v.id AS receiver_now, v.code AS receiver, v.name AS receiver_name, clock_timestamp() AS now
FROM referral r JOIN incident i ON i.id = r.incident_id
JOIN organisation g ON g.id = heir_of(r.giver_id)
JOIN organisation v ON v.id = heir_of(r.receiver_id)
WHERE r.id = :id
"""
_SEEN, _HELD = text(_LOOK), text(f"{_LOOK} FOR NO KEY UPDATE OF r")
_OF = text("SELECT incident_id FROM referral WHERE id = :id")
_MOVE = text("""
UPDATE referral SET state = :state, docket = coalesce(CAST(:docket AS text), docket),
    outcome = CASE WHEN :ends THEN CAST(:words AS text) END,
    ended = CASE WHEN :ends THEN CAST(:now AS timestamptz) END
WHERE id = :id
""")


def move(
    connection: Connection,
    number: int,
    action: str,
    by: By,
    *,
    words: str = "",
    docket: str | None = None,
    resolves: bool = False,
) -> None:
    """Do one of `data.referral_rules.ACTIONS` with a referral.

    Parameters
    ----------
    words : why; of `conclude` the outcome
    docket : the receiver's number of it, with `accept`, `docket` and `conclude`
    resolves : whether the outcome resolves the case, with `conclude`

    Raises
    ------
    ReferralError
        There is none, it is another's to do, it cannot be done from how it stands (`facts` say who
        brought it there), or a reason or the docket is missing.
    CaseError
        The outcome cannot resolve the case: people are under way to it, or a whistle is open.
    """
    incident_id = connection.execute(_OF, {"id": number}).scalar()
    if incident_id is None:
        raise ReferralError("unknown_referral", f"There is no referral {number}.", field="number")
    case = cases.hold(connection, incident_id)
    referral = _hold(connection, number)
    _check(connection, referral, action, by, words, docket)
    asked = ACTIONS[action]
    values = {
        "id": number, "state": asked.state, "docket": docket, "words": words.strip(),
        "ends": asked.state != "accepted", "now": referral["now"],
    }  # fmt: skip
    connection.execute(_MOVE, values)
    clock = _clock(referral["kind"])
    if asked.before == "offered":
        clocks.stop(connection, incident_id, clock, subject=_subject(number), at=referral["now"])
    _tell(connection, referral, action, asked.state, by, words, docket=docket, resolves=resolves)
    _move_case(connection, case, referral, action, by, words, resolves)


def _hold(connection: Connection, number: int) -> RowMapping:
    return connection.execute(_HELD, {"id": number}).mappings().one()


_LAST = text("""
SELECT action, actor, at FROM referral_step WHERE referral_id = :id AND action <> 'late'
ORDER BY id DESC LIMIT 1
""")


def _check(
    connection: Connection, referral: RowMapping, action: str, by: By, words: str,
    docket: str | None,
) -> None:  # fmt: skip
    asked = ACTIONS[action]
    side = "giver" if asked.by_giver else "receiver"
    if by.acting != referral[f"{side}_now"]:
        raise ReferralError(
            f"not_{side}",
            f"To {action} referral {referral['id']} is for {referral[f'{side}_name']}.",
            organisation=referral[side],
        )
    if referral["state"] != asked.before:
        last = connection.execute(_LAST, {"id": referral["id"]}).one()
        may = allowed(referral["state"])
        raise ReferralError(
            "referral_not_allowed",
            f"To {action} cannot be done with referral {referral['id']}: {last.actor} did "
            f"{last.action} at {refusals.clock(last.at)}, it is {referral['state']}"
            + (f", and can only be done: {', '.join(may)}." if may else ", and that is its end."),
            state=referral["state"], actor=last.actor, at=last.at, allowed=may,
        )  # fmt: skip
    if asked.needs_reason:
        refusals.need(words, "words", f"To {action} a referral")
    if action == "docket":
        refusals.need(docket, "docket", "To enter a docket number")


def _move_case(
    connection: Connection, case: RowMapping, referral: RowMapping, action: str, by: By,
    words: str, resolves: bool,
) -> None:  # fmt: skip
    """What it does to the case: the other body's word moves it, whoever answers for it."""
    do = _after(case, referral, action, resolves)
    if do is not None:
        to = referral["receiver"] if do in ("assign", "transfer") else None
        said = words or referral["what"]
        data = {"referral": referral["id"]}
        cases.move(
            connection, case["id"], Move(do, by.actor, reason=said, organisation=to, data=data)
        )


def _after(case: RowMapping, referral: RowMapping, action: str, resolves: bool) -> str | None:
    """What follows for the case: an action of `data.stages`, or None."""
    if action == "conclude" and resolves and case["stage"] not in ANSWERED:
        return "resolve"
    if referral["direction"] == "out":
        ended = ACTIONS[action].state != "accepted"
        return "refer_back" if ended and case["stage"] == "referred" else None
    if action != "accept":
        return None
    if case["stage"] in UNDECIDED:
        return "assign"
    return "transfer" if case["organisation_id"] != referral["receiver_now"] else None


# --- by itself ------------------------------------------------------------------------------------

_ABOVE = text("""
SELECT p.code FROM organisation o JOIN organisation p ON p.id = o.parent_id WHERE o.id = :id
""")


def escalate(connection: Connection, clock: RowMapping) -> None:
    """Tell the giver, and whoever is above the receiver, that nobody has said yes or no in time.

    The referral is not locked: who decides at this moment holds it, and waits for the clock's row.
    """
    asked = {"id": int(clock["subject"].removeprefix("referral "))}
    referral = connection.execute(_SEEN, asked).mappings().one()
    above = connection.execute(_ABOVE, {"id": referral["receiver_id"]}).scalar()
    told = [code for code in (referral["giver"], above) if code is not None]
    _tell(connection, referral, "late", referral["state"], None, "", due=clock["due"], told=told)


_STEP = text("""
INSERT INTO referral_step (referral_id, action, state, actor, acting_id, reason, data)
VALUES (:referral_id, :action, :state, :actor, :acting_id, :reason, CAST(:data AS jsonb))
""")


def _tell(
    connection: Connection, referral: RowMapping, action: str, state: str, by: By | None,
    reason: str, **data: Any,
) -> None:  # fmt: skip
    actor = BY_ITSELF if by is None else by.actor
    values = {
        "referral_id": referral["id"], "action": action, "state": state, "actor": actor,
        "acting_id": None if by is None else by.acting, "reason": reason,
        "data": json.dumps(data, ensure_ascii=False, default=str),
    }  # fmt: skip
    connection.execute(_STEP, values)
    said = {
        "referral": referral["id"], "kind": referral["kind"], "direction": referral["direction"],
        "giver": referral["giver"], "receiver": referral["receiver"], "state": state,
        "actor": actor, "reason": reason, **data,
    }  # fmt: skip
    events.record(
        connection, TOLD[action], said, incident_id=referral["incident_id"],
        area_id=referral["area_id"],
    )  # fmt: skip
