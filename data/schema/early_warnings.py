"""Warnings (监测预警): what each look at the weeks found, whose it is, and what came of it."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, Base, identity, one_of

MODELS = ("surge", "topic")
STATES = ("open", "accepted", "closed")
ACTIONS = ("raise", "continue", "accept", "plan", "close")
OUTCOMES = ("true_alarm", "false_alarm", "known_cause", "data_fault")
_MOMENT = text("clock_timestamp()")


class WarningLook(Base):
    """A day's look at the weeks up to the day before.

    `quiet` is how many false warnings it has on average if nothing at all is going on, `series` how
    many were held to their past. `cannot` says why nothing could be found out.
    """

    __tablename__ = "warning_look"
    id: Mapped[int] = identity()
    day: Mapped[date] = mapped_column(unique=True)  # of the city
    first: Mapped[date | None]  # of the last seven days
    last: Mapped[date]
    analysis_id: Mapped[int | None] = mapped_column(ForeignKey("analysis.id", ondelete="SET NULL"))
    asked: Mapped[datetime]
    taken: Mapped[datetime | None]
    cannot: Mapped[str | None]
    version: Mapped[int | None]
    weeks: Mapped[int | None]
    series: Mapped[int | None]
    reports: Mapped[int | None]
    rate: Mapped[float | None]
    quiet: Mapped[float | None]
    found: Mapped[int | None]
    raised: Mapped[int | None]


class EarlyWarning(Base):
    """Something that is more than usual in an area, from its first look to its last.

    The figures are those of the newest look that found it. `inputs` (JSON) is what they were made
    from, `places` where the week's reports lie.
    """

    __tablename__ = "warning"
    id: Mapped[int] = identity()
    model: Mapped[str]
    version: Mapped[int]
    area_id: Mapped[int] = mapped_column(ForeignKey("area.id"), index=True)
    kind: Mapped[str | None]
    words: Mapped[list[str]]
    first: Mapped[date]  # of the newest seven days
    last: Mapped[date]
    observed: Mapped[int]
    expected: Mapped[float]
    threshold: Mapped[float | None]
    p: Mapped[float]
    q: Mapped[float]
    score: Mapped[float]
    inputs: Mapped[dict[str, Any]]
    look_id: Mapped[int] = mapped_column(ForeignKey("warning_look.id"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    due: Mapped[datetime]
    raised: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    state: Mapped[str] = mapped_column(server_default="open")
    accepted: Mapped[datetime | None]
    closed: Mapped[datetime | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        one_of("model", MODELS),
        one_of("state", STATES),
        one_of("outcome", OUTCOMES),
        CheckConstraint("first <= last", name="days_in_order"),
        CheckConstraint(
            "(state = 'closed') = (closed IS NOT NULL) AND (closed IS NULL) = (outcome IS NULL)",
            name="closed_with_an_outcome",
        ),
        CheckConstraint("state = 'open' OR accepted IS NOT NULL", name="accepted_first"),
        Index("warning_by_organisation", "organisation_id", "id"),
        Index("warning_open", "due", postgresql_where=text("state <> 'closed'")),
    )


class WarningStep(Base):
    """What happened to a warning: who, when, why. Only ever added."""

    __tablename__ = "warning_step"
    id: Mapped[int] = identity()
    warning_id: Mapped[int] = mapped_column(ForeignKey("warning.id"))
    at: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    action: Mapped[str]
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    deployment_id: Mapped[int | None] = mapped_column(
        ForeignKey("deployment.id", ondelete="SET NULL")
    )
    data: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    __table_args__ = (
        one_of("action", ACTIONS),
        Index("warning_step_by_warning", "warning_id", "id"),
    )
