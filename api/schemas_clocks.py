"""Calendars, service times, clocks and supervision orders as they come in and go out."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import Field

from api.schemas import Incoming, Line, Moment, Outgoing, Prose, Word
from gis.calendars import MOST, Hours

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,62}$", examples=["office"])]
ClockTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$|^24:00$")]
Level = Annotated[
    int, Field(ge=0, le=4, description="0 city, 1 district, 2 town, 3 village, 4 grid")
]
UnitName = Literal["hours", "working_days"]
Share = Annotated[float, Field(gt=0, le=1)]
Words = Annotated[Prose, Field(min_length=1)]


class Open(Incoming):
    """From one time of the day to a later one; 24:00 is its end."""

    from_: ClockTime = Field(alias="from")
    until: ClockTime


def minutes(opens: list[Open]) -> Hours:
    """The stretches as minutes of the day."""
    return tuple((_minute(each.from_), _minute(each.until)) for each in opens)


def spoken(hours: Hours) -> list[dict[str, str]]:
    """Minutes of the day as times of the day."""
    return [{"from": _spoken(a), "until": _spoken(b)} for a, b in hours]


def _minute(time: str) -> int:
    hours, _, rest = time.partition(":")
    return 60 * int(hours) + int(rest)


def _spoken(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


# --- calendars ------------------------------------------------------------------------------------


class CalendarPut(Incoming):
    """A calendar as it should be."""

    title: Line
    title_en: Line
    timezone: Word = Field("Asia/Shanghai", description="IANA name")
    hours: list[list[Open]] = Field(
        min_length=7, max_length=7, description="of Monday to Sunday; none on a day that is closed"
    )
    holidays: Literal["china"] | None = Field(
        "china", description="whose public holidays and make-up days it follows; null: none"
    )


class OpenShown(Outgoing):
    """From one time of the day to a later one."""

    from_: str = Field(alias="from")
    until: str


class CalendarShown(Outgoing):
    """When those who have it work."""

    name: str
    title: str
    title_en: str
    timezone: str
    hours: list[list[OpenShown]] = Field(description="of Monday to Sunday")
    holidays: str | None
    organisations: int = Field(description="that name it; those below them follow")


class Calendars(Outgoing):
    """The calendars, and what is amiss with them."""

    calendars: list[CalendarShown]
    warnings: list[str]


class CalendarChanged(Outgoing):
    """What follows from a change."""

    calendar: str
    clocks: int = Field(description="running clocks that are due at another time now")


class DayPut(Incoming):
    """A day of its own."""

    hours: list[Open] = Field(max_length=24, description="none: a day off")
    reason: Line = Field(description="why, as it is shown with the day")


class DayShown(Outgoing):
    """A day, its hours and why they are these."""

    day: date
    hours: list[OpenShown]
    why: Literal["weekday", "holiday", "make_up", "own"]
    about: str = Field(description="the holiday, or the reason that was given")


class Days(Outgoing):
    """Every day of a year."""

    calendar: str
    year: int
    days: list[DayShown]


# --- service times --------------------------------------------------------------------------------


class ForCase(Incoming):
    """What is timed, of what kind, at which level, by whom."""

    clock: Name = Field(examples=["case.handle"])
    kind: Word | None = Field(None, description="of the matter; null: any")
    level: Level | None = Field(None, description="that works on it; null: any")
    organisation: Word | None = Field(None, description="its code; null: any")


class ServiceTimePut(ForCase):
    """A service time to put in force."""

    amount: float = Field(gt=0, le=max(MOST.values()), allow_inf_nan=False)
    unit: UnitName
    calendar: Name | None = Field(None, description="null: that of the organisation")
    warn_share: Share = Field(0.8, description="of the time, after which to warn")
    order_after_h: float | None = Field(
        None, ge=0, le=MOST["hours"], allow_inf_nan=False,
        description="working hours late after which a supervision order is issued; null: never",
    )  # fmt: skip
    since: Moment | None = Field(None, description="null: from now on")
    reason: Prose = Field("", description="why, for those who ask later")


class ServiceTimeTrial(ForCase):
    """A case to try the service times on."""

    start: Moment | None = Field(None, description="of its time; null: now")


class ServiceTimeShown(Outgoing):
    """How long something may take, for whom, and since when."""

    id: int
    clock: str
    kind: str | None
    level: int | None
    organisation: str | None
    amount: float
    unit: UnitName
    calendar: str | None
    warn_share: float
    order_after_h: float | None
    since: datetime
    until: datetime | None
    actor: str
    reason: str


class ServiceTimes(Outgoing):
    """Those in force at a moment: by clock, in the order in which they win."""

    at: datetime
    service_times: list[ServiceTimeShown]


class Tried(Outgoing):
    """What a case would run by."""

    rule: ServiceTimeShown | None = Field(description="null: none fits, and no such clock runs")
    why: str
    beaten: list[ServiceTimeShown] = Field(description="those that fit as well but name less")
    calendar: str | None
    start: datetime
    due: datetime | None
    warn_at: datetime | None
    order_at: datetime | None


# --- clocks ---------------------------------------------------------------------------------------


class ClockShown(Outgoing):
    """A clock as it stands."""

    id: int
    name: str
    subject: str
    organisation: str | None
    calendar: str
    service_time: int | None = Field(description="by which it runs; null: a time of its own")
    state: Literal["running", "paused", "stopped"]
    started: datetime
    amount: float
    unit: UnitName
    due: datetime
    warn_at: datetime
    left_s: float = Field(description="working seconds until it is due; below 0: late by as many")
    paused: datetime | None
    stopped: datetime | None
    warned: datetime | None
    late: datetime | None


class Clocks(Outgoing):
    """The clocks of an incident: those that run first, the next due first."""

    incident: int
    at: datetime
    clocks: list[ClockShown]


# --- supervision ----------------------------------------------------------------------------------


class Acting(Incoming):
    """Who acts."""

    acting: Word | None = Field(
        None,
        description="code of the organisation that you act for; to be named only where the "
        "account belongs to none",
    )


class OrderIssue(Acting):
    """An order to answer for an incident."""

    incident: int = Field(ge=1, lt=2**63)
    organisation: Word = Field(description="code of who is to answer")
    reason: Words


class OrderAnswer(Acting):
    """What the supervised says."""

    answer: Words


class OrderClose(Acting):
    """How it ended, in the words of who issued it."""

    outcome: Words


class AnswerShown(Outgoing):
    """An answer to an order."""

    at: datetime
    actor: str
    answer: str


class OrderShown(Outgoing):
    """An order as it stands."""

    id: int
    incident: int
    clock: int | None = Field(description="that was late, if it was issued about one")
    organisation: str
    issuer: str
    reason: str
    issued: datetime
    actor: str
    due: datetime | None = Field(description="by when it is to be answered")
    late: bool = Field(description="it was not answered by then")
    answers: list[AnswerShown]
    closed: datetime | None
    closed_by: str | None
    outcome: str | None


class Orders(Outgoing):
    """Orders, the newest first."""

    orders: list[OrderShown]
    next: str | None
