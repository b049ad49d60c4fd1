"""Watched places: what is measured there, and what makes trouble of it."""

from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, NOW, Base, identity


class WatchedPlace(Base):
    """A building site, a wage account, a well: a place that others send readings of."""

    __tablename__ = "watched_place"
    id: Mapped[int] = identity()
    source: Mapped[str]
    external_id: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str]
    geom: Mapped[Any] = mapped_column(Geometry("GEOMETRY", 4326), nullable=False)
    area_id: Mapped[int | None] = mapped_column(BigInteger)  # of a point in it
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    withdrawn: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("watched_by_kind", "kind", postgresql_where=text("withdrawn IS NULL")),
        CheckConstraint(
            "geometrytype(geom) IN ('POINT', 'POLYGON', 'MULTIPOLYGON')", name="point_or_polygon"
        ),
    )


class WatchedReading(Base):
    """One value of one metric at one instant; the first that came for it counts."""

    __tablename__ = "watched_reading"
    place_id: Mapped[int] = mapped_column(
        ForeignKey("watched_place.id", ondelete="CASCADE"), primary_key=True
    )
    metric: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float]
    received: Mapped[datetime] = mapped_column(server_default=NOW)


class WatchRule(Base):
    """When readings of places of a kind are trouble: all of `conditions` at once."""

    __tablename__ = "watch_rule"
    id: Mapped[int] = identity()
    place_kind: Mapped[str]
    name: Mapped[str]
    conditions: Mapped[Any] = mapped_column(JSONB, nullable=False)
    report_kind: Mapped[str]
    urgency: Mapped[int] = mapped_column(server_default=text("3"))
    actor: Mapped[str]
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    ended: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("urgency BETWEEN 1 AND 5", name="urgency_is_a_class"),
        CheckConstraint("jsonb_array_length(conditions) > 0", name="something_is_asked"),
    )


class WatchEpisode(Base):
    """From the moment that a rule held at a place until it was good again; one report each."""

    __tablename__ = "watch_episode"
    id: Mapped[int] = identity()
    rule_id: Mapped[int] = mapped_column(ForeignKey("watch_rule.id"))
    place_id: Mapped[int] = mapped_column(
        ForeignKey("watched_place.id", ondelete="CASCADE"), index=True
    )
    began: Mapped[datetime] = mapped_column(server_default=NOW)
    ended: Mapped[datetime | None]
    report_id: Mapped[int | None] = mapped_column(ForeignKey("report.id"))
    facts: Mapped[Any] = mapped_column(JSONB, nullable=False)  # the readings that made it so
    __table_args__ = (
        Index(
            "one_episode", "rule_id", "place_id", unique=True,
            postgresql_where=text("ended IS NULL"),
        ),
    )  # fmt: skip
