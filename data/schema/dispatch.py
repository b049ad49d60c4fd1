"""What has happened, who was sent, and how far they are."""

from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, NOW, Base, identity, one_of
from data.stages import STAGES

# From being sent to the end; `ACTIVE` ones are a load on the resource.
ACTIVE = ("sent", "accepted", "on_the_way", "on_scene")
IN_ACTIVE = str(ACTIVE)  # as SQL writes it: `state IN ('sent', …)`
ENDED = ("done", "declined", "recalled")
ATTENDANCES = ("planned", "checked_in", "checked_out", "absent", "cancelled")


class Incident(Base):
    """A case: something that people are sent to, and that is followed until the reporter agrees.

    It has the number of the report that opened it. Later reports of the same trouble name it in
    `report.incident_id`. Exactly one organisation answers for it at any moment.
    """

    __tablename__ = "incident"
    id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("report.id"), primary_key=True, autoincrement=False
    )
    opened: Mapped[datetime] = mapped_column(server_default=NOW)
    closed: Mapped[datetime | None]
    outcome: Mapped[str | None]
    kind: Mapped[str | None]
    urgency: Mapped[int] = mapped_column(server_default=text("3"))  # 1 at once … 5 some day
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=True)
    area_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))
    stage: Mapped[str] = mapped_column(server_default="received")
    since: Mapped[datetime] = mapped_column(server_default=NOW)  # it is in the stage
    level: Mapped[int] = mapped_column(server_default=text("4"))  # that works on it: 4 grid, 0 city
    organisation_id: Mapped[int] = mapped_column(
        ForeignKey("organisation.id"), server_default=text("the_desk()")
    )
    solved: Mapped[datetime | None]
    solved_level: Mapped[int | None]
    bounces: Mapped[int] = mapped_column(server_default=text("0"))  # declined, returned
    reopened: Mapped[int] = mapped_column(server_default=text("0"))
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("incident.id"))
    __table_args__ = (
        CheckConstraint("urgency BETWEEN 1 AND 5", name="urgency_is_a_class"),
        CheckConstraint("level BETWEEN 0 AND 4", name="level_is_a_level"),
        CheckConstraint("(stage = 'closed') = (closed IS NOT NULL)", name="closed_is_a_stage"),
        CheckConstraint("merged_into IS NULL OR closed IS NOT NULL", name="merged_is_closed"),
        one_of("stage", STAGES),
        Index("incident_open", "urgency", "opened", postgresql_where=text("closed IS NULL")),
        Index("incident_by_area", "area_id", "opened"),
        Index("incident_by_organisation", "organisation_id", "opened"),
        Index("incident_by_time", "opened"),
        Index("incident_merged", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
    )


class DispatchRule(Base):
    """Who is asked for an incident of a kind, within what time, and what counts how much.

    The rule without a kind holds for all that have none of their own. A change closes `recorded`
    and adds a row, so that yesterday's ranking can be explained tomorrow.
    """

    __tablename__ = "dispatch_rule"
    id: Mapped[int] = identity()
    kind: Mapped[str | None]
    resource_kinds: Mapped[list[str]]
    skills: Mapped[list[str]] = mapped_column(server_default=EMPTY)
    reach_s: Mapped[int] = mapped_column(server_default=text("1800"))
    weights: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    recorded: Mapped[Range[datetime]] = mapped_column(server_default=text("tstzrange(now(), NULL)"))
    actor: Mapped[str] = mapped_column(server_default=text("current_user"))
    reason: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        CheckConstraint("cardinality(resource_kinds) > 0", name="somebody_is_asked"),
        CheckConstraint("reach_s > 0", name="reach_is_some"),
        Index(
            "one_rule_of_a_kind",
            text("coalesce(kind, '')"),
            unique=True,
            postgresql_where=text("upper_inf(recorded)"),
        ),
    )


class Dispatch(Base):
    """One decision to send somebody: one or several resources, in one transaction."""

    __tablename__ = "dispatch"
    id: Mapped[int] = identity()
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), index=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")


class Assignment(Base):
    """One resource's task in a dispatch. `evidence` is what was known when it was chosen."""

    __tablename__ = "assignment"
    id: Mapped[int] = identity()
    dispatch_id: Mapped[int] = mapped_column(ForeignKey("dispatch.id"), index=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    resource_id: Mapped[int] = mapped_column(ForeignKey("resource.id"))
    state: Mapped[str] = mapped_column(server_default="sent")
    since: Mapped[datetime] = mapped_column(server_default=NOW)
    override: Mapped[str | None]  # why although it was full or not on duty
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    __table_args__ = (
        one_of("state", (*ACTIVE, *ENDED)),
        Index(
            "sent_once",
            "incident_id",
            "resource_id",
            unique=True,
            postgresql_where=text(f"state IN {IN_ACTIVE}"),
        ),
        Index("assignment_by_incident", "incident_id"),
        Index("assignment_by_resource", "resource_id", "since"),
    )


class AssignmentStep(Base):
    """Who moved a task on, when and why. Rows are only ever added."""

    __tablename__ = "assignment_step"
    id: Mapped[int] = identity()
    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignment.id"), index=True)
    state: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (one_of("state", (*ACTIVE, *ENDED)),)


class Deployment(Base):
    """Many people to many places: a plan with sites, shifts and the people chosen for them."""

    __tablename__ = "deployment"
    id: Mapped[int] = identity()
    name: Mapped[str]
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    cancelled: Mapped[datetime | None]
    asked: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)  # who was considered
    result: Mapped[Any] = mapped_column(JSONB, server_default=EMPTY)  # gaps and totals


class DeploymentSite(Base):
    """A place of a deployment."""

    __tablename__ = "deployment_site"
    id: Mapped[int] = identity()
    deployment_id: Mapped[int] = mapped_column(
        ForeignKey("deployment.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str]
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=False)
    area_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))


class DeploymentShift(Base):
    """A site's stretch of time and how many people it wants then."""

    __tablename__ = "deployment_shift"
    id: Mapped[int] = identity()
    site_id: Mapped[int] = mapped_column(
        ForeignKey("deployment_site.id", ondelete="CASCADE"), index=True
    )
    during: Mapped[Range[datetime]]
    quota: Mapped[int]
    minimum: Mapped[int] = mapped_column(server_default=text("0"))
    skills: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)  # skill: at least so many
    __table_args__ = (
        CheckConstraint("quota > 0 AND minimum BETWEEN 0 AND quota", name="quota_is_some"),
        CheckConstraint("NOT isempty(during)", name="during_not_empty"),
    )


class Attendance(Base):
    """Somebody's place in a shift of a deployment, and whether they came."""

    __tablename__ = "attendance"
    shift_id: Mapped[int] = mapped_column(
        ForeignKey("deployment_shift.id", ondelete="CASCADE"), primary_key=True
    )
    resource_id: Mapped[int] = mapped_column(ForeignKey("resource.id"), primary_key=True)
    during: Mapped[Range[datetime]]  # the shift's, so that nobody is in two places at once
    state: Mapped[str] = mapped_column(server_default="planned")
    since: Mapped[datetime] = mapped_column(server_default=NOW)
    travel_s: Mapped[float | None]
    skill: Mapped[str | None]  # that the place asks for; null: a general one
    __table_args__ = (
        one_of("state", ATTENDANCES),
        ExcludeConstraint(
            ("resource_id", "="),
            ("during", "&&"),
            name="one_place_at_a_time",
            using="gist",
            where=text("state <> 'cancelled'"),
        ),
    )
