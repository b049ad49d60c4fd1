"""Service times: how long something may take, by kind, organisation and level, on which day.

Of the rules that fit, the one that names more wins: a kind counts more than an organisation, that
more than a level. So it is never a matter of order, and two rules of the same weight that fit the
same case name the same; the database lets only one of those hold at a time. Rules have dates.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import IntegrityError

from data import calendars
from data.calendars import CalendarRefusedError
from gis.calendars import Allowed, CalendarError, Unit
from gis.deadlines import Terms, Times, schedule


class ServiceTimeError(CalendarRefusedError):
    """A service time that cannot be put in force, or that is not there."""

    def __init__(self, message: str, where: str, reason: str = "service_time_refused") -> None:
        super().__init__(message, where, reason)


@dataclass(frozen=True)
class Case:
    """What a rule is sought for; what is None only rules that hold for all fit."""

    clock: str
    kind: str | None = None
    level: int | None = None
    organisation_id: int | None = None


@dataclass(frozen=True)
class ServiceTime:
    """How long a clock may run, for the cases that it names.

    Attributes
    ----------
    clock : what is timed, as `case.handle`, `whistle.sign`, `supervision`
    calendar : by which it runs; None: that of the organisation
    warn_share : of the working time, after which a warning is given (0 to 1)
    order_after_h : working hours late, after which a supervision order is issued; None: never
    """

    case: Case
    amount: float
    unit: Unit
    calendar: str | None = None
    warn_share: float = 0.8
    order_after_h: float | None = None

    @property
    def allowed(self) -> Allowed:
        """The time that it gives."""
        return Allowed(self.amount, self.unit)


_SHOWN = """
s.id, s.clock, s.kind, s.level, o.code AS organisation, s.amount, s.unit, s.calendar, s.warn_share,
s.order_after_h, lower(s.valid) AS since, upper(s.valid) AS until, s.actor, s.reason
"""
_AS_OF = text(f"""
SELECT {_SHOWN} FROM service_time s LEFT JOIN organisation o ON o.id = s.organisation_id
WHERE s.valid @> CAST(:at AS timestamptz) AND (CAST(:clock AS text) IS NULL OR s.clock = :clock)
ORDER BY s.clock, (s.kind IS NOT NULL) DESC, (s.organisation_id IS NOT NULL) DESC,
         (s.level IS NOT NULL) DESC, s.kind, o.code, s.level
""")
# In the order in which they win.
_FITTING = text(f"""
SELECT {_SHOWN}, coalesce(s.calendar, calendar_of(CAST(:organisation_id AS bigint))) AS by_calendar
FROM service_time s LEFT JOIN organisation o ON o.id = s.organisation_id
WHERE s.clock = :clock AND (s.kind IS NULL OR s.kind = CAST(:kind AS text))
  AND (s.organisation_id IS NULL OR s.organisation_id = CAST(:organisation_id AS bigint))
  AND (s.level IS NULL OR s.level = CAST(:level AS integer))
  AND s.valid @> CAST(:at AS timestamptz)
ORDER BY (s.kind IS NOT NULL) DESC, (s.organisation_id IS NOT NULL) DESC, (s.level IS NOT NULL) DESC
LIMIT :most
""")
_ONE = text(f"""
SELECT {_SHOWN} FROM service_time s LEFT JOIN organisation o ON o.id = s.organisation_id
WHERE s.id = :id
""")


def as_of(connection: Connection, at: datetime, clock: str | None = None) -> list[RowMapping]:
    """The rules in force at a moment, by clock, in the order in which they win."""
    return list(connection.execute(_AS_OF, {"at": at, "clock": clock}).mappings())


def of(connection: Connection, case: Case, at: datetime) -> RowMapping | None:
    """The rule of a case at a moment with the calendar to run by; None: there is none."""
    return connection.execute(_FITTING, {**vars(case), "at": at, "most": 1}).mappings().first()


@dataclass(frozen=True)
class Trial:
    """What would be: the rule, what it gave way to, why, and when things would be due."""

    rule: RowMapping
    beaten: list[RowMapping]
    why: str
    times: Times


def try_out(connection: Connection, case: Case, start: datetime) -> Trial | None:
    """Which rule a case that starts at a moment would run by, and why; None: there is none.

    Raises
    ------
    ServiceTimeError
        The calendar opens too seldom for it.
    """
    asked = {**vars(case), "at": start, "most": 8}
    fitting = connection.execute(_FITTING, asked).mappings().all()
    if not fitting:
        return None
    [rule, *beaten] = fitting
    allowed = Allowed(rule["amount"], rule["unit"])
    terms = Terms(start, allowed, rule["warn_share"], rule["order_after_h"])
    try:
        [times] = schedule(calendars.get(connection, rule["by_calendar"]), [terms])
    except CalendarError as error:
        raise ServiceTimeError(str(error), "start") from error
    return Trial(rule, beaten, _why(rule, beaten), times)


def _why(rule: RowMapping, beaten: list[RowMapping]) -> str:
    named = [name for name in ("kind", "organisation", "level") if rule[name] is not None]
    said = f"It names the {' and the '.join(named)}" if named else "It holds for all"
    if not beaten:
        return f"{said}; no other rule fits."
    fit = "other that fits" if len(beaten) == 1 else "others that fit"
    return f"{said}, which is more than the {len(beaten)} {fit}."


# --- changing -------------------------------------------------------------------------------------

_SAME = """
clock = :clock AND kind IS NOT DISTINCT FROM CAST(:kind AS text)
AND level IS NOT DISTINCT FROM CAST(:level AS integer)
AND organisation_id IS NOT DISTINCT FROM CAST(:organisation_id AS bigint)
"""
_HOLDING = text(f"""
SELECT id, lower(valid) AS since FROM service_time
WHERE {_SAME} AND valid @> CAST(:since AS timestamptz) FOR UPDATE
""")
_NEXT = text(f"SELECT min(lower(valid)) FROM service_time WHERE {_SAME} AND lower(valid) > :since")
_END = text("""
UPDATE service_time SET valid = tstzrange(lower(valid), :at)
WHERE id = :id AND valid @> CAST(:at AS timestamptz) AND lower(valid) < :at
""")
_ADD = text("""
INSERT INTO service_time (clock, kind, level, organisation_id, amount, unit, calendar, warn_share,
                          order_after_h, valid, actor, reason)
VALUES (:clock, :kind, :level, :organisation_id, :amount, :unit, :calendar, :warn_share,
        :order_after_h, tstzrange(:since, :until), :actor, :reason)
RETURNING id
""")


def put(
    connection: Connection,
    rule: ServiceTime,
    *,
    since: datetime,
    now: datetime,
    actor: str,
    reason: str = "",
) -> RowMapping:
    """Put a rule in force from a moment on: it ends the one for the same then.

    A rule for the same that begins later still does. What held in the past cannot be changed by
    this, for cases were judged by it; where nothing held, a rule may begin in the past.

    Raises
    ------
    ServiceTimeError
        The time cannot be, a calendar is not known, or a rule for the same would be cut short in
        the past or begins at the same moment.
    """
    _check(connection, rule)
    asked: dict[str, Any] = {**vars(rule.case), "since": since}
    holding = connection.execute(_HOLDING, asked).mappings().first()
    if holding is not None:
        _check_end(holding, since, now)
        connection.execute(_END, {"id": holding["id"], "at": since})
    values = {name: value for name, value in vars(rule).items() if name != "case"}
    values |= {**asked, "until": connection.execute(_NEXT, asked).scalar(), "actor": actor}
    try:
        with connection.begin_nested():
            made = connection.execute(_ADD, {**values, "reason": reason}).scalar_one()
    except IntegrityError as error:
        if isinstance(error.orig, psycopg.errors.ExclusionViolation):
            raise ServiceTimeError(
                "somebody put a rule for the same in force at this moment; look at it first",
                "since",
            ) from error
        raise
    return connection.execute(_ONE, {"id": made}).mappings().one()


def end(connection: Connection, number: int, now: datetime) -> RowMapping:
    """End a rule now; the rules that name less hold for its cases again.

    Raises
    ------
    ServiceTimeError
        There is no such rule, or it is not in force.
    """
    if not connection.execute(_END, {"id": number, "at": now}).rowcount:
        raise ServiceTimeError(
            f"There is no service time {number} in force.", "number", "unknown_service_time"
        )
    return connection.execute(_ONE, {"id": number}).mappings().one()


def _check(connection: Connection, rule: ServiceTime) -> None:
    try:
        allowed = rule.allowed
    except CalendarError as error:
        raise ServiceTimeError(str(error), "amount") from error
    del allowed
    if rule.calendar is not None:
        calendars.get(connection, rule.calendar)


def _check_end(holding: RowMapping, since: datetime, now: datetime) -> None:
    if holding["since"] == since:
        raise ServiceTimeError(
            f"a rule for the same begins at this moment already (number {holding['id']}); let "
            "this one begin later",
            "since",
        )
    if since < now:
        raise ServiceTimeError(
            f"service time {holding['id']} has held since {holding['since']:%Y-%m-%dT%H:%M:%SZ}, "
            "and cases were judged by it; let the new one begin now or later",
            "since",
        )
