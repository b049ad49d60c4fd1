"""Patrols and visits: what is to be visited how often, what came due, and the proof of it."""

from datetime import date, datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import NOW, Base, identity, one_of

UNITS = ("days", "working_days")
VISIT_STATES = ("due", "unproven", "done", "missed")
PROOFS = ("proven", "too_far", "too_vague", "in_the_future", "before_due", "after_due")


class VisitPlan(Base):
    """Which records of a kind, or which grids, are visited how often and by whom."""

    __tablename__ = "visit_plan"
    id: Mapped[int] = identity()
    name: Mapped[str]
    record_kind: Mapped[str | None]  # null: the grid itself, a patrol
    area_id: Mapped[int] = mapped_column(ForeignKey("area.id"))
    resource_kind: Mapped[str] = mapped_column(ForeignKey("resource_kind.name"))
    every: Mapped[int]
    unit: Mapped[str] = mapped_column(server_default="days")
    begins: Mapped[date]  # first day of the first period, in the city's time
    reach_m: Mapped[float] = mapped_column(server_default=text("100"))
    actor: Mapped[str]
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    ended: Mapped[datetime | None]
    made_until: Mapped[datetime | None]  # end of the last period whose visits were made due
    __table_args__ = (
        one_of("unit", UNITS),
        CheckConstraint("every BETWEEN 1 AND 3660", name="every_is_some"),
        CheckConstraint("reach_m > 0", name="reach_is_some"),
    )


class Visit(Base):
    """One visit of one period of a plan: to a record, or to a grid."""

    __tablename__ = "visit"
    id: Mapped[int] = identity()
    plan_id: Mapped[int] = mapped_column(ForeignKey("visit_plan.id"))
    record_id: Mapped[int | None] = mapped_column(ForeignKey("record.id", ondelete="CASCADE"))
    area_id: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[datetime]
    until: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="due")
    __table_args__ = (
        one_of("state", VISIT_STATES),
        CheckConstraint("since < until", name="period_is_some"),
        Index(
            "visit_once", "plan_id", "since", text("coalesce(record_id, 0)"), "area_id", unique=True
        ),
        Index("visit_by_area", "area_id", "until"),
        Index(
            "visit_under_way", "until", postgresql_where=text("state = 'due'")
        ),
        Index("visit_by_record", "record_id", postgresql_where=text("record_id IS NOT NULL")),
    )  # fmt: skip


class VisitProof(Base):
    """Where and when somebody says that they were; kept whatever it proves."""

    __tablename__ = "visit_proof"
    id: Mapped[int] = identity()
    visit_id: Mapped[int] = mapped_column(ForeignKey("visit.id", ondelete="CASCADE"), index=True)
    received: Mapped[datetime] = mapped_column(server_default=NOW)
    taken: Mapped[datetime]
    x: Mapped[float]  # as received, in `datum`
    y: Mapped[float]
    datum: Mapped[str]
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=False)
    accuracy_m: Mapped[float]
    distance_m: Mapped[float]
    verdict: Mapped[str]
    resource_id: Mapped[int | None] = mapped_column(ForeignKey("resource.id"))
    actor: Mapped[str]
    note: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (one_of("verdict", PROOFS),)
