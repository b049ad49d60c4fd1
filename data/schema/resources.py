"""Who and what can help: people, teams, vehicles and facilities, and where they are."""

from datetime import date, datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE, Range
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, NOW, Base, identity, one_of

ROLES = ("centre", "six", "other")  # the "1", the "6" and the "N" of "1+6+N"
FORMS = ("person", "team", "vehicle", "facility")
MODES = ("foot", "bicycle", "moped", "car")
STATUSES = ("available", "busy", "off")

# In this plane (see `AreaBorder`) the nearest by `<->` are the nearest on the ground.
_PLANE = "ST_Transform({}, 3395)"


def _plane(column: str) -> Any:
    made = Computed(_PLANE.format(column), persisted=True)
    return mapped_column(Geometry("POINT", 3395, spatial_index=False), made, nullable=True)


class Organisation(Base):
    """A body that answers for matters: the governance centre, one of the six, or another."""

    __tablename__ = "organisation"
    id: Mapped[int] = identity()
    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    role: Mapped[str]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    area_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))  # that it serves
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    # When it works; null: as the organisation above it.
    calendar: Mapped[str | None] = mapped_column(ForeignKey("calendar.name"))
    dissolved: Mapped[datetime | None]
    successor_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    __table_args__ = (
        one_of("role", ROLES),
        CheckConstraint(
            "(dissolved IS NULL) = (successor_id IS NULL)", name="dissolved_has_a_successor"
        ),
        Index("organisation_by_area", "area_id"),
    )


class ResourceKind(Base):
    """What a resource is: a grid lead, a mediator, a patrol, a centre …"""

    __tablename__ = "resource_kind"
    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    title_en: Mapped[str]
    form: Mapped[str]
    __table_args__ = (one_of("form", FORMS),)


class Skill(Base):
    """What somebody can do or a facility offers: labour disputes, first aid, a court circuit …"""

    __tablename__ = "skill"
    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    title_en: Mapped[str]


class Shift(Base):
    """When those who have it are on duty: minutes of a cycle of days in the city's time.

    A week is a cycle of 7 that begins on a Monday; 24 hours on and 72 off a cycle of 4.
    """

    __tablename__ = "shift"
    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    title_en: Mapped[str]
    cycle_days: Mapped[int]
    anchor: Mapped[date]  # first day of some cycle
    hours: Mapped[Any] = mapped_column(INT4MULTIRANGE)  # minutes since the cycle began
    __table_args__ = (
        CheckConstraint("cycle_days BETWEEN 1 AND 366", name="cycle_is_days"),
        CheckConstraint(
            "NOT isempty(hours) AND lower(hours) >= 0 AND upper(hours) <= 1440 * cycle_days",
            name="hours_in_cycle",
        ),
    )


class Resource(Base):
    """Somebody or something that can be sent, or that people can be sent to.

    `load` counts the tasks that it has, kept by a trigger on `assignment`; the check is what makes
    it impossible to send the same person twice. A task above capacity needs a reason and raises
    `overridden` with it, which is therefore how far `load` is above `capacity`. Both stand in no
    index, so that a change of them is a cheap one.
    """

    __tablename__ = "resource"
    id: Mapped[int] = identity()
    source: Mapped[str]
    external_id: Mapped[str]
    kind: Mapped[str] = mapped_column(ForeignKey("resource_kind.name"))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    name: Mapped[str]
    skills: Mapped[list[str]] = mapped_column(server_default=EMPTY)
    home: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=False)
    home_xy: Mapped[Any] = _plane("home")
    home_area_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))
    mode: Mapped[str] = mapped_column(server_default="foot")
    shift: Mapped[str | None] = mapped_column(ForeignKey("shift.name"))  # null: at any hour
    status: Mapped[str] = mapped_column(server_default="available")
    capacity: Mapped[int] = mapped_column(server_default=text("1"))
    load: Mapped[int] = mapped_column(server_default=text("0"))
    overridden: Mapped[int] = mapped_column(server_default=text("0"))
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    withdrawn: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        one_of("mode", MODES),
        one_of("status", STATUSES),
        CheckConstraint("capacity >= 1", name="capacity_is_some"),
        CheckConstraint("load >= 0 AND overridden >= 0", name="load_is_a_count"),
        CheckConstraint("load <= capacity + overridden", name="capacity_kept"),
        Index(
            "resource_nearest",
            "kind",
            text("coalesce(shift, '')"),
            "home_xy",
            postgresql_using="gist",
            postgresql_where=text("withdrawn IS NULL"),
        ),
        Index("resource_by_area", "home_area_id"),
        Index("resource_by_organisation", "organisation_id"),
        Index("resource_by_skill", "skills", postgresql_using="gin"),
    )


class ResourceArea(Base):
    """Which areas of any layer a resource answers for; its home may lie elsewhere."""

    __tablename__ = "resource_area"
    resource_id: Mapped[int] = mapped_column(
        ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True
    )
    area_id: Mapped[int] = mapped_column(ForeignKey("area.id"), primary_key=True, index=True)


class Leave(Base):
    """When somebody is away although their shift says otherwise."""

    __tablename__ = "leave"
    id: Mapped[int] = identity()
    resource_id: Mapped[int] = mapped_column(
        ForeignKey("resource.id", ondelete="CASCADE"), index=True
    )
    during: Mapped[Range[datetime]]
    reason: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (CheckConstraint("NOT isempty(during)", name="during_not_empty"),)


class Device(Base):
    """A phone that sends positions, by the name that it gives itself, and whose it is."""

    __tablename__ = "device"
    name: Mapped[str] = mapped_column(primary_key=True)
    resource_id: Mapped[int] = mapped_column(
        ForeignKey("resource.id", ondelete="CASCADE"), index=True
    )
    created: Mapped[datetime] = mapped_column(server_default=NOW)


class Position(Base):
    """Where a resource was last; narrow, for it changes all the time.

    `told` and `told_geom` are what the last `resource.moved` said, so that not every step is told.
    """

    __tablename__ = "position"
    resource_id: Mapped[int] = mapped_column(
        ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    at: Mapped[datetime]
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=False)
    xy: Mapped[Any] = _plane("geom")
    accuracy_m: Mapped[float | None]
    told: Mapped[datetime | None]
    told_geom: Mapped[Any] = mapped_column(
        Geometry("POINT", 4326, spatial_index=False), nullable=True
    )
    __table_args__ = (
        Index("position_nearest", "xy", postgresql_using="gist"),
        {"postgresql_with": {"fillfactor": "70"}},
    )


class Track(Base):
    """Every position as received and as normalised: personal data, kept for a set time only."""

    __tablename__ = "track"
    resource_id: Mapped[int] = mapped_column(
        ForeignKey("resource.id", ondelete="CASCADE"), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(primary_key=True)
    received: Mapped[datetime] = mapped_column(server_default=NOW)
    source: Mapped[str]
    x: Mapped[float]
    y: Mapped[float]
    datum: Mapped[str]
    accuracy_m: Mapped[float | None]
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=False)
    refused: Mapped[str | None]  # why it is not believed: jumped
    __table_args__ = (Index("track_by_time", "received", postgresql_using="brin"),)
