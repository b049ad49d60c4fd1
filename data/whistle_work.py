"""What those who came to a whistle do together: a special team, visits to the site, a plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, text

from data import cases, refusals
from data.cases import By
from data.whistles import WhistleError, check_caller, hold, tell

_CAME = text("""
SELECT o.id, o.code, o.name FROM organisation o
WHERE o.code = ANY (:codes) AND (o.id = :caller_id OR EXISTS (
    SELECT FROM whistle_call c
    WHERE c.whistle_id = :id AND heir_of(c.organisation_id) = o.id AND c.state = 'arrived'))
""")
_CODE = text("SELECT code FROM organisation WHERE id = :id")


def _came(
    connection: Connection, whistle: RowMapping, codes: Sequence[str], field: str
) -> dict[str, int]:
    """The numbers of organisations that came, or called, by code; raises for any other."""
    asked = {"codes": list(codes), "caller_id": whistle["speaks"], "id": whistle["id"]}
    there = {row.code: row.id for row in connection.execute(_CAME, asked)}
    for code in codes:
        if code not in there:
            name = cases.organisation(connection, code)["name"]
            raise WhistleError(
                "not_taking_part",
                f"{name} has not come to whistle {whistle['id']}; call them, and wait until they "
                "are there.",
                field=field, organisation=code,
            )  # fmt: skip
    return there


def _takes_part(connection: Connection, whistle: RowMapping, by: By) -> None:
    """Raise unless they came, or called."""
    code = connection.execute(_CODE, {"id": by.acting}).scalar_one()
    _came(connection, whistle, [code], "acting")


# --- the team -------------------------------------------------------------------------------------

_RESOURCE = text("""
SELECT organisation_id, withdrawn IS NULL AS there FROM resource WHERE id = :id
""")
_JOIN = text("""
INSERT INTO whistle_member (whistle_id, organisation_id, resource_id, role)
VALUES (:whistle_id, :organisation_id, :resource_id, :role) RETURNING id
""")


def join(
    connection: Connection,
    number: int,
    by: By,
    *,
    organisation: str,
    role: str,
    resource: int | None = None,
) -> int:
    """Take somebody of an organisation that came into the special team; the member's number.

    Parameters
    ----------
    role : what they are there for, as 组长
    resource : who it is; None: whoever the organisation sends

    Raises
    ------
    WhistleError
        The whistle has ended, they are not its caller, the organisation has not come, or the
        resource is not theirs.
    """
    whistle = hold(connection, number, together=True)
    check_caller(whistle, by)
    organisation_id = _came(connection, whistle, [organisation], "organisation")[organisation]
    if resource is not None:
        found = connection.execute(_RESOURCE, {"id": resource}).one_or_none()
        if found is None or not found.there or found.organisation_id != organisation_id:
            raise WhistleError(
                "not_taking_part",
                f"Resource {resource} is nobody whom {organisation} has.",
                field="resource",
            )
    values = {"whistle_id": number, "organisation_id": organisation_id, "resource_id": resource,
              "role": role}  # fmt: skip
    member = int(connection.execute(_JOIN, values).scalar_one())
    tell(connection, whistle, "join", by, member=member, organisation=organisation, role=role)
    return member


_LEAVE = text("""
UPDATE whistle_member SET departed = clock_timestamp()
WHERE whistle_id = :whistle_id AND id = :id AND departed IS NULL
""")


def leave(connection: Connection, number: int, member: int, by: By, reason: str) -> None:
    """Let a member go; raises `WhistleError` as `join` does, or if there is no such member."""
    whistle = hold(connection, number, together=True)
    check_caller(whistle, by)
    if not connection.execute(_LEAVE, {"whistle_id": number, "id": member}).rowcount:
        raise WhistleError(
            "unknown_member",
            f"The team of whistle {number} has no member {member}.",
            field="member",
        )
    tell(connection, whistle, "leave", by, reason=reason, member=member)


# --- the site -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Visit:
    """A visit to the site.

    Attributes
    ----------
    at : when
    place : where, in words
    present : codes of the organisations that were there
    finding : what was found
    lonlat : where, WGS 84
    """

    at: datetime
    place: str
    present: Sequence[str]
    finding: str
    lonlat: tuple[float, float] | None = None


_VISIT = text("""
INSERT INTO whistle_visit (whistle_id, at, place, geom, present, finding, actor)
VALUES (:whistle_id, :at, :place,
        ST_SetSRID(ST_MakePoint(CAST(:lon AS double precision), CAST(:lat AS double precision)),
                   4326), :present, :finding, :actor)
RETURNING id
""")


def visit(connection: Connection, number: int, made: Visit, by: By) -> int:
    """Write down a visit to the site; its number. What was found stays written.

    Raises
    ------
    WhistleError
        The whistle has ended, or somebody who is named has not come.
    """
    whistle = hold(connection, number, together=True)
    _takes_part(connection, whistle, by)
    _came(connection, whistle, made.present, "present")
    refusals.need(made.finding, "finding", "A visit")
    lon, lat = made.lonlat or (None, None)
    values = {
        "whistle_id": number, "at": made.at, "place": made.place, "lon": lon, "lat": lat,
        "present": list(made.present), "finding": made.finding, "actor": by.actor,
    }  # fmt: skip
    done = int(connection.execute(_VISIT, values).scalar_one())
    tell(
        connection, whistle, "visit", by, visit=done, place=made.place,
        present=list(made.present), finding=made.finding,
    )  # fmt: skip
    return done


# --- the plan -------------------------------------------------------------------------------------

_PLAN = text("""
INSERT INTO whistle_plan_step (whistle_id, what, owner_id, due, actor)
VALUES (:whistle_id, :what, :owner_id, :due, :actor) RETURNING id
""")


def plan(
    connection: Connection, number: int, by: By, *, what: str, owner: str, due: datetime
) -> int:
    """Add a step to the plan, with the organisation that owns it; the step's number.

    Raises
    ------
    WhistleError
        The whistle has ended, they or the owner have not come, or nothing is said.
    """
    whistle = hold(connection, number, together=True)
    _takes_part(connection, whistle, by)
    refusals.need(what, "what", "A step of a plan")
    owner_id = _came(connection, whistle, [owner], "owner")[owner]
    values = {"whistle_id": number, "what": what, "owner_id": owner_id, "due": due,
              "actor": by.actor}  # fmt: skip
    step = int(connection.execute(_PLAN, values).scalar_one())
    tell(connection, whistle, "plan", by, step=step, what=what, owner=owner, due=due)
    return step


_PLAN_STEP = text("""
SELECT o.id AS owner_id, s.done, s.done_by, o.name FROM whistle_plan_step s
JOIN organisation o ON o.id = heir_of(s.owner_id)
WHERE s.whistle_id = :whistle_id AND s.id = :id FOR NO KEY UPDATE OF s
""")
_FINISH = text("""
UPDATE whistle_plan_step SET done = clock_timestamp(), done_by = :actor, result = :result
WHERE id = :id
""")


def finish(connection: Connection, number: int, step: int, by: By, result: str) -> None:
    """Say what came of a step of the plan: its owner does, or the caller.

    Raises
    ------
    WhistleError
        The whistle has ended, there is no such step, it is done, or it is another's.
    """
    whistle = hold(connection, number, together=True)
    found = connection.execute(_PLAN_STEP, {"whistle_id": number, "id": step}).one_or_none()
    if found is None:
        raise WhistleError(
            "unknown_plan_step", f"The plan of whistle {number} has no step {step}.", field="step"
        )
    if by.acting not in (found.owner_id, whistle["speaks"]):
        raise WhistleError("not_caller", f"The step is {found.name}'s; they do it, or the caller.")
    if found.done is not None:
        raise WhistleError(
            "plan_step_done", f"{found.done_by} did it at {refusals.clock(found.done)}.",
            actor=found.done_by, at=found.done,
        )  # fmt: skip
    refusals.need(result, "result", "To finish a step")
    connection.execute(_FINISH, {"id": step, "actor": by.actor, "result": result})
    tell(connection, whistle, "finish", by, step=step, result=result)
