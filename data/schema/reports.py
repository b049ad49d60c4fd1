"""Reports, where they come from, and what is remembered of their places."""

from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, KNOWN_SOON, NOW, Base, identity, one_of

METHODS = ("inside", "on_border", "snapped", "address", "confirmed", "none")


class Source(Base):
    """A hotline, an app, a file's origin: who sends reports, and in which datum by default."""

    __tablename__ = "source"
    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(server_default="")
    datum: Mapped[str | None]
    accuracy_m: Mapped[float | None]
    created: Mapped[datetime] = mapped_column(server_default=NOW)


class Intake(Base):
    """One file's way in: staged in batches, then moved into `report` in one transaction."""

    __tablename__ = "intake"
    id: Mapped[int] = identity()
    source: Mapped[str] = mapped_column(ForeignKey("source.name"))
    file: Mapped[str]
    fingerprint: Mapped[str]  # of the file's bytes and of everything that decides the outcome
    started: Mapped[datetime] = mapped_column(server_default=NOW)
    finished: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    __table_args__ = (
        # One open run of the same file: a second start carries on with it.
        Index(
            "one_open_intake", "fingerprint", unique=True, postgresql_where=text("finished IS NULL")
        ),
    )


class Report(Base):
    """What somebody told us, as received and as normalised, with the place that it was given.

    Source and area are no foreign keys: neither is ever deleted, and to look both up again for
    every row would take a good part of the time of a bulk intake.
    """

    __tablename__ = "report"
    id: Mapped[int] = identity()
    source: Mapped[str]
    external_id: Mapped[str]
    received: Mapped[datetime] = mapped_column(server_default=NOW)
    occurred: Mapped[datetime | None]
    channel: Mapped[str | None]
    kind: Mapped[str | None]
    premises: Mapped[str | None]  # kind of place: street, shop, home …
    description: Mapped[str | None]
    address: Mapped[str | None]
    x: Mapped[float | None]  # as received, in `datum`
    y: Mapped[float | None]
    datum: Mapped[str | None]
    accuracy_m: Mapped[float | None]
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=True)
    attributes: Mapped[dict[str, Any] | None]
    layer: Mapped[str]  # the layer that it was placed in
    area_id: Mapped[int | None] = mapped_column(BigInteger)
    version_id: Mapped[int | None] = mapped_column(BigInteger)
    method: Mapped[str]
    ambiguous: Mapped[bool] = mapped_column(server_default=text("false"))
    border_m: Mapped[float | None]
    alternatives: Mapped[Any | None] = mapped_column(JSONB)  # only where there is more than one
    at: Mapped[datetime]  # the two moments that the placement was made for
    known: Mapped[datetime] = mapped_column(server_default=NOW)
    triage: Mapped[str | None]  # why it waits for a person; null: it does not
    incident_id: Mapped[int | None] = mapped_column(BigInteger)  # that it opened or joined
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("report_by_area", "area_id", "received"),
        Index("report_by_time", "received", postgresql_using="brin"),
        Index("report_in_triage", "received", postgresql_where=text("triage IS NOT NULL")),
        Index(
            "report_by_incident", "incident_id", postgresql_where=text("incident_id IS NOT NULL")
        ),
        one_of("method", METHODS),
        CheckConstraint("(area_id IS NULL) = (method = 'none')", name="placed_or_not"),
        CheckConstraint("area_id IS NOT NULL OR triage IS NOT NULL", name="never_dropped"),
    )


class Confirmation(Base):
    """Address memory: which area a person said a place belongs to.

    Filled when somebody confirms or corrects a report, and by files of settled reports. Rows are
    only ever added, so that an earlier answer can be given again with what was known then.
    """

    __tablename__ = "confirmation"
    id: Mapped[int] = identity()
    report_id: Mapped[int | None] = mapped_column(ForeignKey("report.id"), index=True)
    layer: Mapped[str] = mapped_column(ForeignKey("layer.name"))
    area_id: Mapped[int] = mapped_column(ForeignKey("area.id"))
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=False)
    informative: Mapped[bool]  # the place could have been another area's: it teaches something
    street: Mapped[str | None]
    block: Mapped[str | None]
    side: Mapped[int | None]  # 0 even, 1 odd house numbers
    premises: Mapped[str | None]
    recorded: Mapped[datetime] = mapped_column(server_default=KNOWN_SOON)
    actor: Mapped[str] = mapped_column(server_default=text("current_user"))
    reason: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        Index(
            "confirmation_memory",
            "geom",
            postgresql_using="gist",
            postgresql_where=text("informative"),
        ),
    )


class Address(Base):
    """The gazetteer: an address as people write it, as it is compared, and where it is."""

    __tablename__ = "address"
    id: Mapped[int] = identity()
    text_: Mapped[str] = mapped_column("text")
    key: Mapped[str]  # normalised without city, district and town: see gis.addresses
    street: Mapped[str | None]
    number: Mapped[int | None]
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326), nullable=False)
    source: Mapped[str]
    recorded: Mapped[datetime] = mapped_column(server_default=KNOWN_SOON)
    __table_args__ = (
        UniqueConstraint("source", "text"),
        Index("address_key", "key"),
        Index(
            "address_trigrams",
            "key",
            postgresql_using="gin",
            postgresql_ops={"key": "gin_trgm_ops"},
        ),
    )
