"""Cases: an incident on its way from the report to the return visit, and everything on that way.

Every step is one transaction: the case under a lock, the rules of `data.stages`, the new state, a
row of the timeline and an event. Locks are taken as `data.dispatch` takes them: the case first.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import access, asking, clocks, events, refusals
from data.refusals import DispatchError
from data.schema.dispatch import ACTIVE
from data.stages import ACTIONS, ANSWERED, CITY, allowed

MOST_LEVEL = 4


class CaseError(DispatchError):
    """What was asked of a case cannot be done; nothing was written.

    `reason` is one of unknown_case, not_allowed, moved_on, not_accountable, reason_missing,
    unknown_organisation, unknown_kind, circular, highest_level, not_lower, still_under_way,
    same_organisation, not_settled, whistle_open, referral_open.
    """


@dataclass(frozen=True)
class Move:
    """What is to be done with a case.

    Attributes
    ----------
    action : of `data.stages.ACTIONS`
    actor : who does it
    acting : number of the organisation for which; None: for none in particular
    reason : why; the result, where a case is resolved
    organisation : code of the one that is to answer, where there is a choice
    kind : what it is about, where a case is triaged
    level : to which, where a case is delegated
    seen : number of the last step that whoever asks has seen; None: it does not matter
    data : what else belongs to the step
    """

    action: str
    actor: str
    acting: int | None = None
    reason: str = ""
    organisation: str | None = None
    kind: str | None = None
    level: int | None = None
    seen: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class By:
    """Who does something: the actor, and the organisation for which they act, by its number."""

    actor: str
    acting: int


# --- moving on ------------------------------------------------------------------------------------

# Without a join: a row that had to be waited for would be looked up again beside the other table's
# old row, and be missing if the two no longer fit.
_LOCK = text("""
SELECT id, stage, level, organisation_id, kind, area_id, opened, closed, outcome, solved,
       solved_level, bounces, reopened, merged_into,
       (SELECT o.code FROM organisation o WHERE o.id = i.organisation_id) AS organisation_code,
       (SELECT o.name FROM organisation o WHERE o.id = i.organisation_id) AS organisation
FROM incident i WHERE id = :id FOR NO KEY UPDATE
""")

_LAST = text("""
SELECT id, action, stage, at, actor FROM case_step WHERE incident_id = :id ORDER BY id DESC LIMIT 1
""")
_UPDATE = text("""
UPDATE incident
SET stage = :stage, since = CASE WHEN stage = :stage THEN since ELSE clock_timestamp() END,
    level = :level, organisation_id = :organisation_id, kind = :kind, outcome = :outcome,
    bounces = bounces + :bounced, reopened = reopened + :reopened, merged_into = :merged_into,
    closed = CASE WHEN :stage = 'closed' THEN coalesce(closed, clock_timestamp()) END,
    solved = CASE WHEN :answered THEN coalesce(solved, clock_timestamp()) END,
    solved_level = CASE WHEN :answered THEN coalesce(solved_level, :level) END
WHERE id = :id
""")
_STEP = text("""
INSERT INTO case_step (incident_id, action, stage, level, organisation_id, actor, acting_id, reason,
                       data)
VALUES (:id, :action, :stage, :level, :organisation_id, :actor, :acting, :reason,
        CAST(:data AS jsonb))
RETURNING id
""")


def move(connection: Connection, number: int, asked: Move) -> int:
    """Do something with a case; the number of the step.

    Raises
    ------
    CaseError
        There is no such case, it cannot be done from where it stands (`facts` say where that is,
        who brought it there and what can be done), a reason is missing, or it is not theirs to do.
    """
    action = ACTIONS[asked.action]
    case = hold(connection, number)
    check(connection, case, asked)
    after = {
        "stage": action.stage or case["stage"],
        "level": case["level"],
        "organisation_id": case["organisation_id"],
        "kind": case["kind"],
        "outcome": case["outcome"],
        "merged_into": case["merged_into"],
        "bounced": int(asked.action in ("decline", "return")),
        "reopened": int(asked.action == "reopen"),
    }
    after |= _consequence(connection, case, asked)
    step = write(connection, case, asked, after)
    if after["stage"] in ANSWERED and case["stage"] not in ANSWERED:
        asking.drop_question(connection, number)
    if case["stage"] == "return_visit" and after["stage"] != "return_visit":
        asking.withdraw(connection, number)
    if after["stage"] == "resolved" and case["stage"] != "resolved":
        _ask_back(connection, number, asked.actor)
    return step


NOBODY = "没有可以回访的人"


def _ask_back(connection: Connection, number: int, actor: str) -> None:
    """What is solved is asked about; where nobody can be asked it is closed, and says so."""
    if visits := asking.begin(connection, number):
        move(connection, number, Move("visit", actor, data={"visits": visits}))
    else:
        move(connection, number, Move("close", actor, reason=NOBODY, data={"because": "nobody"}))


def hold(connection: Connection, number: int) -> RowMapping:
    """A case under a lock until the end of the transaction; raises `CaseError` if there is none."""
    case = connection.execute(_LOCK, {"id": number}).mappings().first()
    if case is None:
        raise CaseError("unknown_case", f"There is no case {number}.")
    return case


def write(connection: Connection, case: RowMapping, asked: Move, after: dict[str, Any]) -> int:
    """The new state of a case that is held, its step and its event; the step's number."""
    answered = after["stage"] in ANSWERED
    connection.execute(_UPDATE, {"id": case["id"], "answered": answered, **after})
    values = {
        "id": case["id"], "action": asked.action, "stage": after["stage"], "level": after["level"],
        "organisation_id": after["organisation_id"], "actor": asked.actor, "acting": asked.acting,
        "reason": asked.reason, "data": json.dumps(asked.data, ensure_ascii=False, default=str),
    }  # fmt: skip
    step = int(connection.execute(_STEP, values).scalar_one())
    _keep_time(connection, case, after, answered)
    told = {
        "step": step, "actor": asked.actor, "reason": asked.reason, "stage": after["stage"],
        "before": case["stage"], "level": after["level"],
        "organisation": after["organisation_id"], **asked.data,
    }  # fmt: skip
    events.record(
        connection,
        ACTIONS[asked.action].told,
        told,
        incident_id=case["id"],
        area_id=case["area_id"],
    )
    return step


_NOW = text("SELECT clock_timestamp()")


def _keep_time(
    connection: Connection, case: RowMapping, after: dict[str, Any], answered: bool
) -> None:
    """Let the case's time run while nobody has said that it is done, for who answers for it."""
    if answered != (case["stage"] in ANSWERED):
        now = connection.execute(_NOW).scalar_one()
        if answered:
            clocks.stop(connection, case["id"], clocks.HANDLE, at=now)
        else:
            clocks.start_handling(connection, case["id"], at=now)
    elif not answered and after["kind"] != case["kind"]:
        clocks.judge_anew(connection, case["id"])
    elif not answered and after["organisation_id"] != case["organisation_id"]:
        clocks.hand_over(connection, case["id"], after["organisation_id"])


def settle(connection: Connection, number: int, *, actor: str, outcome: str) -> None:
    """Resolve a case that was worked on without its stages; its reporters are asked like any other.

    Raises
    ------
    CaseError
        There is no such case, or it was answered already.
    """
    move(connection, number, Move("resolve", actor, reason=outcome))


# --- whether it can be done -----------------------------------------------------------------------


def check(connection: Connection, case: RowMapping, asked: Move) -> None:
    """Raise `CaseError` unless this can be done with a case that is held, by whoever asks."""
    action = ACTIONS[asked.action]
    if asked.seen is not None or case["stage"] not in action.before:
        last = connection.execute(_LAST, {"id": case["id"]}).mappings().first()
        if asked.seen is not None and last and last["id"] != asked.seen:
            raise _moved_on(case, last)
        if case["stage"] not in action.before:
            raise _not_allowed(case, asked.action, last)
    if action.needs_reason:
        refusals.need(asked.reason, "reason", f"To {asked.action.replace('_', ' ')} a case")
    # What follows by itself from another step was decided there.
    if action.accountable and (asked.acting is not None or not action.by_itself):
        check_accountable(connection, case, asked.acting)
    if asked.action in ("resolve", "reject", "merge"):
        _nobody_under_way(connection, case["id"])
        _nothing_unfinished(connection, case["id"])


def _moved_on(case: RowMapping, last: RowMapping) -> CaseError:
    return CaseError(
        "moved_on",
        f"Case {case['id']} has moved on: {last['actor']} brought it to {last['stage']} at "
        f"{refusals.clock(last['at'])}; look at it again before you decide.",
        stage=last["stage"], actor=last["actor"], at=last["at"], step=last["id"],
    )  # fmt: skip


def _not_allowed(case: RowMapping, name: str, last: RowMapping | None) -> CaseError:
    may = allowed(case["stage"])
    who = f", where {last['actor']} brought it at {refusals.clock(last['at'])}" if last else ""
    return CaseError(
        "not_allowed",
        f"Case {case['id']} stands at {case['stage']}{who}; there it cannot be done to {name} it, "
        f"only to {', '.join(may)}.",
        stage=case["stage"], allowed=may, actor=last and last["actor"], at=last and last["at"],
    )  # fmt: skip


# The areas around a case and around who answers for it, up to the city.
_AROUND = """around AS (
    SELECT area_id AS id FROM organisation WHERE id = :accountable AND area_id IS NOT NULL
    UNION
    SELECT CAST(:area AS bigint) WHERE CAST(:area AS bigint) IS NOT NULL
    UNION
    SELECT v.parent_id FROM around JOIN area_version v ON v.area_id = around.id
    WHERE upper_inf(v.recorded) AND v.valid @> now() AND v.parent_id IS NOT NULL
)"""
_ACTS_AROUND = text(f"""
WITH RECURSIVE {_AROUND} SELECT EXISTS (SELECT FROM around WHERE id = ANY (:areas))
""")
_ABOVE = text(f"""
WITH RECURSIVE above AS (
    SELECT id, parent_id FROM organisation WHERE id = :accountable
    UNION
    SELECT o.id, o.parent_id FROM above JOIN organisation o ON o.id = above.parent_id
), {_AROUND}
SELECT EXISTS (SELECT FROM above WHERE id = :acting)
    OR EXISTS (SELECT FROM organisation o WHERE o.id = :acting AND o.role = 'centre'
               AND (o.area_id IN (SELECT id FROM around) OR o.code = 'desk'))
""")


def check_accountable(connection: Connection, case: RowMapping, acting: int | None) -> None:
    """Raise unless the organisation (`check_answers`) may decide on a case that is held.

    Who acts for none does as the centre of their areas does: the case, or who answers for it, has
    to be there. To see it is not enough, for it is seen by others who help as well.
    """
    if acting is not None:
        check_answers(connection, case, acting)
        return
    areas = access.reach()
    if areas is None:
        return
    asked = {"accountable": case["organisation_id"], "area": case["area_id"], "areas": list(areas)}
    if not connection.execute(_ACTS_AROUND, asked).scalar():
        raise _not_theirs(case)


def check_answers(connection: Connection, case: RowMapping, acting: int) -> None:
    """Raise unless the organisation answers for the case, is above the one that does, or is the
    centre of its place.
    """
    asked = {"accountable": case["organisation_id"], "area": case["area_id"], "acting": acting}
    if acting != case["organisation_id"] and not connection.execute(_ABOVE, asked).scalar():
        raise _not_theirs(case)


def _not_theirs(case: RowMapping) -> CaseError:
    return CaseError(
        "not_accountable",
        f"{case['organisation']} answers for case {case['id']}; ask them, or their centre.",
        organisation=case["organisation_code"],
    )


_UNDER_WAY = text("""
SELECT a.id, a.resource_id, r.name AS resource_name
FROM assignment a JOIN resource r ON r.id = a.resource_id
WHERE a.incident_id = :id AND a.state = ANY (:active) ORDER BY a.id
""")


def _nobody_under_way(connection: Connection, number: int) -> None:
    asked = {"id": number, "active": list(ACTIVE)}
    if tasks := connection.execute(_UNDER_WAY, asked).mappings().all():
        raise refusals.still_under_way(number, tasks)


_UNFINISHED = text("""
SELECT 'whistle' AS what, w.id, o.name AS whose
FROM whistle w JOIN organisation o ON o.id = w.caller_id
WHERE w.incident_id = :id AND w.ended IS NULL
UNION ALL
SELECT 'referral', r.id, o.name FROM referral r JOIN organisation o ON o.id = r.receiver_id
WHERE r.incident_id = :id AND r.ended IS NULL
LIMIT 1
""")


def _nothing_unfinished(connection: Connection, number: int) -> None:
    """Raise while organisations are called to the case, or another body has it."""
    found = connection.execute(_UNFINISHED, {"id": number}).mappings().first()
    if found is not None:
        raise CaseError(
            f"{found['what']}_open",
            f"Case {number} has an open {found['what']}, {found['id']}, with {found['whose']}; "
            "end it first.",
            number=found["id"],
        )


# --- what it does ---------------------------------------------------------------------------------


def _consequence(connection: Connection, case: RowMapping, asked: Move) -> dict[str, Any]:
    """What is different after a step besides its stage."""
    match asked.action:
        case "triage":
            return _triaged(connection, case, asked)
        case "assign" | "transfer":
            return _handed_over(connection, case, asked, case["level"])
        case "delegate":
            return _delegated(connection, case, asked)
        case "decline" | "return":
            return {"organisation_id": _whence(connection, case)}
        case "escalate":
            return _at_level(connection, case, _above(case))
        case "reopen":
            _stands_alone(case)
            level = max(CITY, (case["solved_level"] or case["level"]) - 1)
            return {**_at_level(connection, case, level), "outcome": None, "merged_into": None}
        case "resolve" | "reject":
            return {"outcome": asked.reason.strip()}
        case _:
            return {}


def _stands_alone(case: RowMapping) -> None:
    if into := case["merged_into"]:
        raise CaseError(
            "not_allowed",
            f"Case {case['id']} is part of case {into}; reopen that one, or unmerge this one.",
            merged_into=into,
        )


_KIND = text("SELECT level FROM case_kind WHERE code = :code AND valid @> clock_timestamp()")


def _triaged(connection: Connection, case: RowMapping, asked: Move) -> dict[str, Any]:
    """A kind found for it says at which level it begins, and so who answers."""
    if asked.kind is None or asked.kind == case["kind"]:
        return {}
    level = connection.execute(_KIND, {"code": asked.kind}).scalar()
    if level is None:
        raise CaseError(
            "unknown_kind",
            f"The catalogue has no kind {asked.kind!r} today; GET /api/v1/case-kinds lists them.",
            field="kind",
        )
    return {"kind": asked.kind, **_at_level(connection, {**case, "kind": asked.kind}, level)}


_ANSWERS = text(
    "SELECT organisation_id FROM answers_for(:kind, :area_id, :level, clock_timestamp())"
)


def _at_level(connection: Connection, case: Any, level: int) -> dict[str, Any]:
    asked = {"kind": case["kind"], "area_id": case["area_id"], "level": level}
    return {"level": level, "organisation_id": connection.execute(_ANSWERS, asked).scalar_one()}


def _above(case: RowMapping) -> int:
    if case["level"] == CITY:
        raise CaseError(
            "highest_level",
            f"Case {case['id']} is with the city already; nobody is above. Call the organisations "
            "together with a whistle, or transfer it.",
        )
    return int(case["level"]) - 1


def _delegated(connection: Connection, case: RowMapping, asked: Move) -> dict[str, Any]:
    """Down to a level, to whoever answers there, or to the one that is named."""
    level = case["level"] + 1 if asked.level is None else asked.level
    if not case["level"] < level <= MOST_LEVEL:
        raise CaseError(
            "not_lower",
            f"Case {case['id']} is at level {case['level']}; delegate it to a level below, "
            f"{case['level'] + 1} to {MOST_LEVEL}, or escalate it.",
            field="level",
        )
    if asked.organisation is None:
        found = _at_level(connection, case, level)
    else:
        found = {**_handed_over(connection, case, asked, level), "level": level}
    _not_from_there(connection, case, found["organisation_id"])
    return found


_GAVE_UP = text("""
SELECT s.at FROM case_step s
JOIN LATERAL (SELECT p.organisation_id FROM case_step p
              WHERE p.incident_id = s.incident_id AND p.id < s.id ORDER BY p.id DESC LIMIT 1) p
  ON p.organisation_id = :organisation_id
WHERE s.incident_id = :id AND s.action = 'escalate' ORDER BY s.id DESC LIMIT 1
""")


def _not_from_there(connection: Connection, case: RowMapping, organisation_id: int) -> None:
    """Who said that it is beyond them does not get it back from above, and so on for ever."""
    asked = {"id": case["id"], "organisation_id": organisation_id}
    at = connection.execute(_GAVE_UP, asked).scalar()
    if at is not None and organisation_id != case["organisation_id"]:
        raise CaseError(
            "circular",
            f"Case {case['id']} came from there: it was escalated at {refusals.clock(at)} because "
            "they could not solve it. Name another organisation, or work on it here.",
            field="organisation",
        )


_ORGANISATION = text("""
SELECT o.id, o.name, o.dissolved, s.code AS successor
FROM organisation o LEFT JOIN organisation s ON s.id = o.successor_id WHERE o.code = :code
FOR SHARE OF o
""")


def organisation(connection: Connection, code: str) -> RowMapping:
    """An organisation by its code, which is not dissolved before the transaction ends.

    Raises
    ------
    CaseError
        There is none, or it was dissolved.
    """
    found = connection.execute(_ORGANISATION, {"code": code}).mappings().first()
    if found is None:
        raise CaseError(
            "unknown_organisation",
            f"There is no organisation {code!r}; GET /api/v1/catalogue lists them.",
            field="organisation",
        )
    if found["dissolved"]:
        raise CaseError(
            "unknown_organisation",
            f"{found['name']} was dissolved; its successor is {found['successor']}.",
            field="organisation", successor=found["successor"],
        )  # fmt: skip
    return found


def _handed_over(
    connection: Connection, case: RowMapping, asked: Move, level: int
) -> dict[str, Any]:
    """To the organisation that is named, or to the one that the rules name."""
    if asked.organisation is None:
        if asked.action == "transfer":
            raise CaseError(
                "unknown_organisation", "To transfer a case, name the organisation to which.",
                field="organisation",
            )  # fmt: skip
        return _at_level(connection, case, level)
    found = organisation(connection, asked.organisation)
    if asked.action == "transfer" and found["id"] == case["organisation_id"]:
        raise CaseError(
            "same_organisation",
            f"{found['name']} answers for case {case['id']} already.",
            field="organisation",
        )
    if asked.action in ("assign", "transfer"):
        _not_from_there(connection, case, found["id"])
    return {"organisation_id": found["id"]}


# Whoever answered before it was handed to those who give it back; else their place's centre.
_WHENCE = text("""
SELECT s.organisation_id FROM case_step s JOIN organisation o ON o.id = s.organisation_id
WHERE s.incident_id = :id AND s.organisation_id <> :organisation_id AND o.dissolved IS NULL
ORDER BY s.id DESC LIMIT 1
""")
_CENTRE = text("SELECT organisation_id FROM answers_for(NULL, :area_id, :level, clock_timestamp())")


def _whence(connection: Connection, case: RowMapping) -> int:
    asked = {"id": case["id"], "organisation_id": case["organisation_id"]}
    before = connection.execute(_WHENCE, asked).scalar()
    if before is None:
        before = connection.execute(
            _CENTRE, {"area_id": case["area_id"], "level": case["level"]}
        ).scalar_one()
    return int(before)
