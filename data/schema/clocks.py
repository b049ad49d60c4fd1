"""Calendars, service times, the clocks that run by them, and orders to those who are late."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import (
    INT4MULTIRANGE,
    TSTZMULTIRANGE,
    ExcludeConstraint,
    Range,
)
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import NOW, Base, identity, one_of
from gis.calendars import UNITS

HOLIDAYS = ("china",)
# What nobody may wait for longer, nor be warned of later: see `gis.calendars.MOST`.
_AMOUNT = "amount > 0 AND amount <= CASE unit WHEN 'hours' THEN 20000 ELSE 2000 END"
# What the timers look at.
_RUNS = "stopped IS NULL AND paused IS NULL AND late IS NULL"


class Calendar(Base):
    """When those who have it work: minutes of a week that begins on a Monday, and its holidays."""

    __tablename__ = "calendar"
    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    title_en: Mapped[str]
    timezone: Mapped[str]
    hours: Mapped[Any] = mapped_column(INT4MULTIRANGE)
    holidays: Mapped[str | None]  # whose public holidays and make-up days; null: none
    __table_args__ = (
        CheckConstraint(
            "NOT isempty(hours) AND lower(hours) >= 0 AND upper(hours) <= 10080",
            name="some_hours_in_week",
        ),
        one_of("holidays", HOLIDAYS),
    )


class CalendarDay(Base):
    """A city's own word on a day of a calendar: its minutes, none of which make it a day off."""

    __tablename__ = "calendar_day"
    calendar: Mapped[str] = mapped_column(ForeignKey("calendar.name"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    hours: Mapped[Any] = mapped_column(INT4MULTIRANGE)
    reason: Mapped[str]
    actor: Mapped[str]
    recorded: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (
        CheckConstraint(
            "isempty(hours) OR (lower(hours) >= 0 AND upper(hours) <= 1440)", name="hours_in_day"
        ),
    )


class ServiceTime(Base):
    """How long something may take: a clock's time for a kind, a level and an organisation.

    What is null holds for all. Of those that fit, the one that names more wins: a kind counts more
    than an organisation, that more than a level; so two that fit the same case never weigh the
    same unless they name the same, and those cannot hold at the same time.
    """

    __tablename__ = "service_time"
    id: Mapped[int] = identity()
    clock: Mapped[str]
    kind: Mapped[str | None]
    level: Mapped[int | None]
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    amount: Mapped[float]
    unit: Mapped[str]
    calendar: Mapped[str | None] = mapped_column(ForeignKey("calendar.name"))  # null: theirs
    warn_share: Mapped[float] = mapped_column(server_default=text("0.8"))
    order_after_h: Mapped[float | None]  # working hours after it was due: an order is issued
    valid: Mapped[Range[datetime]]
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        one_of("unit", UNITS),
        CheckConstraint(_AMOUNT, name="amount_is_some"),
        CheckConstraint("level BETWEEN 0 AND 4", name="level_is_a_level"),
        CheckConstraint("warn_share > 0 AND warn_share <= 1", name="warn_share_is_a_share"),
        CheckConstraint(
            "order_after_h >= 0 AND order_after_h <= 20000", name="order_after_is_some"
        ),
        CheckConstraint("NOT isempty(valid)", name="valid_not_empty"),
        ExcludeConstraint(
            ("clock", "="),
            (text("coalesce(kind, '')"), "="),
            (text("coalesce(level, -1)"), "="),
            (text("coalesce(organisation_id, 0)"), "="),
            ("valid", "&&"),
            name="one_service_time_at_a_time",
            using="gist",
        ),
    )


class Clock(Base):
    """A time that runs for an incident, and for something of it (`subject`).

    `due`, `warn_at` and `order_at` follow from the rest and the calendar. What has fired is marked,
    and fires no more.
    """

    __tablename__ = "clock"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    name: Mapped[str]
    subject: Mapped[str] = mapped_column(server_default="")
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    calendar: Mapped[str] = mapped_column(ForeignKey("calendar.name"))
    service_time_id: Mapped[int | None] = mapped_column(ForeignKey("service_time.id"))
    started: Mapped[datetime]
    amount: Mapped[float]
    unit: Mapped[str]
    warn_share: Mapped[float]
    order_after_h: Mapped[float | None]
    due: Mapped[datetime]
    warn_at: Mapped[datetime]
    order_at: Mapped[datetime | None]
    pauses: Mapped[Any] = mapped_column(TSTZMULTIRANGE, server_default=text("'{}'"))
    paused: Mapped[datetime | None]  # since when, while it does
    stopped: Mapped[datetime | None]
    warned: Mapped[datetime | None]
    late: Mapped[datetime | None]
    ordered: Mapped[datetime | None]
    __table_args__ = (
        one_of("unit", UNITS),
        CheckConstraint(_AMOUNT, name="amount_is_some"),
        Index(
            "one_clock_runs", "incident_id", "name", "subject", unique=True,
            postgresql_where=text("stopped IS NULL"),
        ),
        Index("clock_running", "calendar", postgresql_where=text("stopped IS NULL")),
        Index("clock_to_warn", "warn_at", postgresql_where=text(f"{_RUNS} AND warned IS NULL")),
        Index("clock_to_be_late", "due", postgresql_where=text(_RUNS)),
        Index("clock_to_order", "order_at", postgresql_where=text(
            "stopped IS NULL AND paused IS NULL AND ordered IS NULL AND order_at IS NOT NULL")),
        Index("clock_late", "due", postgresql_where=text("stopped IS NULL AND late IS NOT NULL")),
    )  # fmt: skip


class Supervision(Base):
    """An order (督办) to an organisation; who it is issued to can by no means close it."""

    __tablename__ = "supervision"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    clock_id: Mapped[int | None] = mapped_column(ForeignKey("clock.id"))  # that it is about
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    issuer_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    reason: Mapped[str]
    issued: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    closed: Mapped[datetime | None]
    closer_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    closed_by: Mapped[str | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        UniqueConstraint("clock_id"),
        CheckConstraint("issuer_id <> organisation_id", name="nobody_supervises_itself"),
        CheckConstraint(
            "(closed IS NULL AND closer_id IS NULL AND closed_by IS NULL AND outcome IS NULL) OR "
            "(closed IS NOT NULL AND closer_id IS NOT NULL AND closer_id = issuer_id "
            "AND closed_by IS NOT NULL AND outcome IS NOT NULL)",
            name="closed_by_its_issuer",
        ),
        Index(
            "supervision_open", "organisation_id", "issued", postgresql_where=text("closed IS NULL")
        ),
    )


class SupervisionAnswer(Base):
    """What the supervised says; answers are only ever added."""

    __tablename__ = "supervision_answer"
    id: Mapped[int] = identity()
    supervision_id: Mapped[int] = mapped_column(ForeignKey("supervision.id"), index=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    actor: Mapped[str]
    answer: Mapped[str]
