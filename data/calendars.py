"""Calendars: when organisations work, in which weeks, and on which days otherwise.

A day has the hours that the city itself gave it, else none on a public holiday, else those of its
weekday. A Saturday or Sunday that is worked for a holiday (调休) has the hours of the week's first
working day, unless its weekday has hours of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import Connection, RowMapping, TextClause, text

from data import events, holidays
from data.errors import InputError
from gis.calendars import (
    DAY_MINUTES,
    Allowed,
    Calendar,
    CalendarError,
    Hours,
)
from gis.deadlines import Terms, schedule

USUAL = "office"  # of organisations that have none, nor has any above them
WARN_DAYS = 90  # before the known holidays end
NOT_THERE = "unknown_calendar"


class CalendarRefusedError(InputError):
    """A calendar, a day or a service time that cannot be, or that is not there."""

    def __init__(self, message: str, where: str, reason: str = "calendar_refused") -> None:
        super().__init__(message, where, reason)


@dataclass(frozen=True)
class Day:
    """A day of a calendar: its hours, and why they are these.

    `why` is weekday, holiday, make_up or own; `about` the holiday, or the reason that was given.
    """

    day: date
    hours: Hours
    why: str
    about: str


# --- reading --------------------------------------------------------------------------------------

_SPANS = "ARRAY(SELECT ARRAY[lower(h), upper(h)] FROM unnest({}) h ORDER BY h)"
_COLUMNS = f"name, title, title_en, timezone, {_SPANS.format('hours')} AS hours, holidays"
_ALL = text(f"""
SELECT {_COLUMNS}, (SELECT count(*) FROM organisation o WHERE o.calendar = c.name) AS organisations
FROM calendar c ORDER BY name
""")
_ONE = f"SELECT {_COLUMNS} FROM calendar WHERE name = :name"
_READ = text(_ONE)
# Nobody changes the calendar until our transaction is over, nor do we read it in mid-change: a
# clock that is started meanwhile would be left behind.
_HOLD = text(f"{_ONE} FOR KEY SHARE")
_CHANGE = text(f"{_ONE} FOR UPDATE")
_DAYS = text(f"""
SELECT day, {_SPANS.format("hours")} AS hours, reason FROM calendar_day
WHERE calendar = :name ORDER BY day
""")


def all_of_them(connection: Connection) -> list[dict[str, Any]]:
    """Every calendar with its hours by weekday, and how many organisations name it."""
    rows = connection.execute(_ALL).mappings()
    return [{**row, "hours": list(_week(row["hours"]))} for row in rows]


def get(connection: Connection, name: str, *, held: bool = False) -> Calendar:
    """A calendar with every day that differs from its week.

    `held` keeps it as it is until the transaction ends, for who writes down what follows from it.

    Raises
    ------
    CalendarRefusedError
        There is none of that name.
    """
    row = _row(connection, name, _HOLD if held else _READ)
    own = connection.execute(_DAYS, {"name": name}).mappings()
    days = tuple((each["day"], _pairs(each["hours"])) for each in own)
    return _whole(row["timezone"], _pairs(row["hours"]), row["holidays"], days)


def days(connection: Connection, name: str, year: int) -> list[Day]:
    """Each day of a year (1 to 9998), with the hours and why; raises as `get`."""
    calendar = get(connection, name)
    hours = dict(calendar.days)
    known: dict[str, dict[date, str]] = {
        "own": {row.day: row.reason for row in connection.execute(_DAYS, {"name": name})}
    }
    if _row(connection, name)["holidays"] is not None:
        known |= {"holiday": holidays.off(), "make_up": holidays.made_up()}
    first, after = date(year, 1, 1), date(year + 1, 1, 1)
    told = []
    for day in (first + timedelta(days=n) for n in range((after - first).days)):
        why = next((why for why, those in known.items() if day in those), "weekday")
        about = known.get(why, {}).get(day, "")
        told.append(Day(day, hours.get(day, calendar.week[day.weekday()]), why, about))
    return told


def warnings(connection: Connection, today: date) -> list[str]:
    """What whoever runs the city should know of its calendars; best nothing."""
    end = holidays.last_year()
    if today + timedelta(days=WARN_DAYS) <= date(end, 12, 31):
        return []
    asked = {"after": date(end, 12, 31)}
    lacking = connection.execute(_LACKING, asked).scalars().all()
    if not lacking:
        return []
    return [
        f"The public holidays of China are known until the end of {end}. After it the calendars "
        f"{', '.join(lacking)} count plain weekdays: update the package chinesecalendar, or give "
        "the days with PUT /api/v1/calendars/{name}/days/{day}."
    ]


_LACKING = text("""
SELECT name FROM calendar c WHERE holidays = 'china' AND NOT EXISTS (
    SELECT FROM calendar_day d WHERE d.calendar = c.name AND d.day > :after)
ORDER BY name
""")


def _row(connection: Connection, name: str, asked: TextClause = _READ) -> RowMapping:
    row = connection.execute(asked, {"name": name}).mappings().first()
    if row is None:
        raise CalendarRefusedError(f"There is no calendar {name}.", "calendar", NOT_THERE)
    return row


@lru_cache(maxsize=256)
def _whole(
    timezone: str, week: Hours, public: str | None, own: tuple[tuple[date, Hours], ...]
) -> Calendar:
    by_day = _week(week)
    found: dict[date, Hours] = {}
    if public is not None:
        working = next(hours for hours in by_day if hours)
        found |= {day: by_day[day.weekday()] or working for day in holidays.made_up()}
        found |= dict.fromkeys(holidays.off(), ())
    found |= dict(own)
    return Calendar(timezone, by_day, tuple(sorted(found.items())))


def _week(minutes: Iterable[Sequence[int]]) -> tuple[Hours, ...]:
    """The hours of each weekday, from minutes of the week that may run over midnight."""
    spans = _pairs(minutes)
    return tuple(
        tuple(
            (max(a - start, 0), min(b - start, DAY_MINUTES))
            for a, b in spans
            if a < start + DAY_MINUTES and b > start
        )
        for start in range(0, 7 * DAY_MINUTES, DAY_MINUTES)
    )


def _pairs(minutes: Iterable[Sequence[int]]) -> Hours:
    return tuple((a, b) for a, b in minutes)


# --- changing -------------------------------------------------------------------------------------

_PUT = text("""
INSERT INTO calendar (name, title, title_en, timezone, hours, holidays)
VALUES (:name, :title, :title_en, :timezone, CAST(:hours AS int4multirange), :holidays)
ON CONFLICT (name) DO UPDATE SET title = excluded.title, title_en = excluded.title_en,
    timezone = excluded.timezone, hours = excluded.hours, holidays = excluded.holidays
""")
_PUT_DAY = text("""
INSERT INTO calendar_day (calendar, day, hours, reason, actor)
VALUES (:name, :day, CAST(:hours AS int4multirange), :reason, :actor)
ON CONFLICT (calendar, day) DO UPDATE SET hours = excluded.hours, reason = excluded.reason,
    actor = excluded.actor, recorded = now()
""")


def put(
    connection: Connection,
    name: str,
    week: Sequence[Hours],
    *,
    title: str,
    title_en: str,
    timezone: str,
    public: str | None,
    actor: str,
) -> int:
    """Add a calendar, or change one; clocks that run by it follow. Returns how many did.

    Raises
    ------
    CalendarRefusedError
        The time zone is not known, the hours cannot be, or it would never open.
    """
    if timezone not in available_timezones():
        raise CalendarRefusedError(
            f"there is no time zone {timezone!r}; give an IANA name such as Asia/Shanghai",
            "timezone",
        )
    if not any(week):
        raise CalendarRefusedError(
            "the calendar never opens, so that nothing in it would ever be due; give the hours of "
            "at least one weekday",
            "hours",
        )
    _checked(timezone, tuple(week))
    spans = [
        (n * DAY_MINUTES + a, n * DAY_MINUTES + b) for n, day in enumerate(week) for a, b in day
    ]
    values = {"name": name, "title": title, "title_en": title_en, "timezone": timezone,
              "hours": _multirange(spans), "holidays": public}  # fmt: skip
    connection.execute(_CHANGE, {"name": name})
    connection.execute(_PUT, values)
    return _changed(connection, name, actor, {})


def put_day(
    connection: Connection, name: str, day: date, hours: Hours, *, reason: str, actor: str
) -> int:
    """Give a day hours of its own, none for a day off; clocks that run by it follow.

    Returns how many clocks did. Raises as `get`, and if the hours cannot be.
    """
    _row(connection, name, _CHANGE)
    calendar = get(connection, name)
    _checked(calendar.timezone, calendar.week, ((day, hours),))
    values = {"name": name, "day": day, "hours": _multirange(hours), "reason": reason,
              "actor": actor}  # fmt: skip
    connection.execute(_PUT_DAY, values)
    return _changed(connection, name, actor, {"day": day, "reason": reason})


def remove_day(connection: Connection, name: str, day: date, *, actor: str) -> bool:
    """Let a day be as it would be by itself again; False if it was."""
    _row(connection, name, _CHANGE)
    gone = connection.execute(
        text("DELETE FROM calendar_day WHERE calendar = :name AND day = :day"),
        {"name": name, "day": day},
    ).rowcount
    if gone:
        _changed(connection, name, actor, {"day": day, "reason": "withdrawn"})
    return bool(gone)


def _checked(
    timezone: str, week: tuple[Hours, ...], days: tuple[tuple[date, Hours], ...] = ()
) -> None:
    try:
        Calendar(timezone, week, days)
    except CalendarError as error:
        raise CalendarRefusedError(str(error), "hours") from error


def _multirange(spans: Iterable[tuple[int, int]]) -> str:
    return "{" + ",".join(f"[{a},{b})" for a, b in spans) + "}"


def _changed(connection: Connection, name: str, actor: str, said: dict[str, Any]) -> int:
    """Reckon the clocks that run by the calendar anew, and tell that it changed."""
    count = _reckon_anew(connection, name)
    said = {"calendar": name, "actor": actor, "clocks": count, **said}
    events.record(connection, "calendar.changed", said)
    return count


_RUNNING = text("""
SELECT id, started, amount, unit, warn_share, order_after_h,
       ARRAY(SELECT lower(p) FROM unnest(pauses) p ORDER BY p) AS rests,
       ARRAY(SELECT upper(p) FROM unnest(pauses) p ORDER BY p) AS goes_on
FROM clock WHERE calendar = :name AND stopped IS NULL AND late IS NULL
ORDER BY id FOR NO KEY UPDATE
""")
_MOVE = text("""
UPDATE clock c SET due = n.due, warn_at = n.warn_at, order_at = n.order_at
FROM unnest(CAST(:ids AS bigint[]), CAST(:due AS timestamptz[]), CAST(:warn_at AS timestamptz[]),
            CAST(:order_at AS timestamptz[])) AS n (id, due, warn_at, order_at)
WHERE c.id = n.id AND (c.due, c.warn_at, c.order_at)
      IS DISTINCT FROM (n.due, n.warn_at, n.order_at)
""")


def terms(row: Mapping[Any, Any]) -> Terms:
    """What a clock runs by, from its row with `rests` and `goes_on` of its pauses."""
    return Terms(
        row["started"], Allowed(row["amount"], row["unit"]), row["warn_share"],
        row["order_after_h"], tuple(zip(row["rests"], row["goes_on"], strict=True)),
    )  # fmt: skip


def _reckon_anew(connection: Connection, name: str) -> int:
    rows = connection.execute(_RUNNING, {"name": name}).mappings().all()
    if not rows:
        return 0
    calendar = get(connection, name)
    try:
        times = schedule(calendar, [terms(row) for row in rows])
    except CalendarError as error:
        raise CalendarRefusedError(str(error), "hours") from error
    moved = {
        "ids": [row["id"] for row in rows],
        "due": [each.due for each in times],
        "warn_at": [each.warn_at for each in times],
        "order_at": [each.order_at for each in times],
    }
    return connection.execute(_MOVE, moved).rowcount
