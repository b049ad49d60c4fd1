"""Whistles (吹哨报到): who calls whom to a case, who came, and what they did together."""

from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, Base, identity, one_of
from data.whistle_rules import STATES, TOLD

_MOMENT = text("clock_timestamp()")


class RedGrid(Base):
    """A grid that may give orders (红格发令), and the organisation that speaks for it."""

    __tablename__ = "red_grid"
    id: Mapped[int] = identity()
    area_id: Mapped[int] = mapped_column(ForeignKey("area.id"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    valid: Mapped[Range[datetime]] = mapped_column(
        server_default=text("tstzrange(clock_timestamp(), NULL)")
    )
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        CheckConstraint("NOT isempty(valid)", name="valid_not_empty"),
        ExcludeConstraint(
            ("area_id", "="), ("valid", "&&"), name="one_authority_at_a_time", using="gist"
        ),
    )


class Whistle(Base):
    """A call of several organisations to a case; a case has one at a time."""

    __tablename__ = "whistle"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    caller_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    grid_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))  # the red grid that calls
    what: Mapped[str]
    hard: Mapped[bool]
    at: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    actor: Mapped[str]
    ended: Mapped[datetime | None]
    ended_by: Mapped[str | None]
    outcome: Mapped[str | None]
    __table_args__ = (
        CheckConstraint(
            "(ended IS NULL) = (ended_by IS NULL) AND (ended IS NULL) = (outcome IS NULL)",
            name="ended_with_an_outcome",
        ),
        Index(
            "one_whistle_open", "incident_id", unique=True, postgresql_where=text("ended IS NULL")
        ),
        Index("whistle_by_caller", "caller_id", "id"),
    )


class WhistleCall(Base):
    """One organisation that is called; `declined` since when it wishes not to come, undecided."""

    __tablename__ = "whistle_call"
    id: Mapped[int] = identity()
    whistle_id: Mapped[int] = mapped_column(ForeignKey("whistle.id"))
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    invited_by_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    at: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    state: Mapped[str] = mapped_column(server_default="called")
    signed: Mapped[datetime | None]
    contacted: Mapped[datetime | None]
    arrived: Mapped[datetime | None]
    declined: Mapped[datetime | None]
    rating: Mapped[int | None]
    words: Mapped[str | None]  # with the rating
    __table_args__ = (
        one_of("state", STATES),
        CheckConstraint("(state = 'arrived') = (arrived IS NOT NULL)", name="arrived_is_a_state"),
        CheckConstraint("state <> 'called' OR signed IS NULL", name="signed_is_a_state"),
        CheckConstraint(
            "declined IS NULL OR state IN ('called', 'signed', 'contacted')",
            name="declined_is_undecided",
        ),
        CheckConstraint("rating BETWEEN 1 AND 5", name="rating_is_one"),
        CheckConstraint("rating IS NULL OR state <> 'released'", name="rated_was_called"),
        Index(
            "one_call_each", "whistle_id", "organisation_id", unique=True,
            postgresql_where=text("state <> 'released'"),
        ),
        Index("whistle_call_by_organisation", "organisation_id", "whistle_id"),
    )  # fmt: skip


class WhistleStep(Base):
    """What happened to a whistle and its calls: who, when, why. Only ever added."""

    __tablename__ = "whistle_step"
    id: Mapped[int] = identity()
    whistle_id: Mapped[int] = mapped_column(ForeignKey("whistle.id"))
    call_id: Mapped[int | None] = mapped_column(ForeignKey("whistle_call.id"), index=True)
    at: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    action: Mapped[str]
    actor: Mapped[str]
    acting_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))  # null: by itself
    reason: Mapped[str] = mapped_column(server_default="")
    data: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    __table_args__ = (
        one_of("action", tuple(TOLD)),
        Index("whistle_step_by_whistle", "whistle_id", "id"),
    )


class WhistleMember(Base):
    """Somebody of the special team (工作专班), from an organisation that came."""

    __tablename__ = "whistle_member"
    id: Mapped[int] = identity()
    whistle_id: Mapped[int] = mapped_column(ForeignKey("whistle.id"), index=True)
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    resource_id: Mapped[int | None] = mapped_column(ForeignKey("resource.id"))
    role: Mapped[str]
    joined: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    departed: Mapped[datetime | None]


class WhistleVisit(Base):
    """A visit to the site: when, where, who was there, what was found. Only ever added."""

    __tablename__ = "whistle_visit"
    id: Mapped[int] = identity()
    whistle_id: Mapped[int] = mapped_column(ForeignKey("whistle.id"), index=True)
    at: Mapped[datetime]
    place: Mapped[str]
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=True)
    present: Mapped[list[str]]  # codes of organisations
    finding: Mapped[str]
    recorded: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    actor: Mapped[str]


class WhistlePlanStep(Base):
    """A step of the plan: what, whose, until when, and what came of it."""

    __tablename__ = "whistle_plan_step"
    id: Mapped[int] = identity()
    whistle_id: Mapped[int] = mapped_column(ForeignKey("whistle.id"), index=True)
    what: Mapped[str]
    owner_id: Mapped[int] = mapped_column(ForeignKey("organisation.id"))
    due: Mapped[datetime]
    at: Mapped[datetime] = mapped_column(server_default=_MOMENT)
    actor: Mapped[str]
    done: Mapped[datetime | None]
    done_by: Mapped[str | None]
    result: Mapped[str | None]
    __table_args__ = (
        CheckConstraint(
            "(done IS NULL) = (done_by IS NULL) AND (done IS NULL) = (result IS NULL)",
            name="done_with_a_result",
        ),
    )
