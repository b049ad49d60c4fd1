"""The tables. Geometry is WGS 84 longitude and latitude (EPSG:4326), time is aware UTC.

Two time axes run through everything that can be redrawn: `valid` is when a border is in force in
the city, `recorded` is when this database believed so. Nothing is overwritten: a correction closes
the old row's `recorded` range and adds a new row, so that any past answer can be given again.

`recorded` counts in changes, whose rows carry the time. A change becomes known to everybody at
that one instant, which lies a moment after its commit, so that no reader can have looked at the
same instant without seeing it (`docs/decisions/0002-two-time-axes.md`).
"""

from datetime import datetime
from typing import Any, ClassVar

from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Double,
    ForeignKey,
    Identity,
    Index,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import (
    INT8RANGE,
    JSONB,
    TIMESTAMP,
    TSTZRANGE,
    ExcludeConstraint,
    Range,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NOW = func.now()
# A moment after the commit of a short transaction: see the note on `recorded` above.
KNOWN_SOON = text("clock_timestamp() + interval '100 ms'")
METHODS = ("inside", "on_border", "snapped", "address", "confirmed", "none")


def _identity() -> Mapped[int]:
    return mapped_column(BigInteger, Identity(), primary_key=True)


def _in(column: str, values: tuple[str, ...]) -> CheckConstraint:
    quoted = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({quoted})", name=f"{column}_known")


class Base(DeclarativeBase):
    """Registry of the tables and the Python types that they use."""

    type_annotation_map: ClassVar = {
        str: Text,
        float: Double,
        datetime: TIMESTAMP(timezone=True),
        dict[str, Any]: JSONB,
        Range[datetime]: TSTZRANGE,
        Range[int]: INT8RANGE,
    }


class Layer(Base):
    """A coverage of the city: a level of the area tree, or an overlay that cuts across it."""

    __tablename__ = "layer"
    name: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    title_en: Mapped[str]
    tree_level: Mapped[int | None] = mapped_column(unique=True)  # 0 city … 4 grid; null: overlay
    source: Mapped[str] = mapped_column(server_default="")
    licence: Mapped[str] = mapped_column(server_default="")
    created: Mapped[datetime] = mapped_column(server_default=NOW)


class Change(Base):
    """Why the map changed: one row per import, redraw or correction, whatever its size."""

    __tablename__ = "change"
    id: Mapped[int] = _identity()
    recorded: Mapped[datetime] = mapped_column(server_default=text("'infinity'"))
    kind: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    actor: Mapped[str] = mapped_column(server_default=text("current_user"))
    __table_args__ = (_in("kind", ("import", "redraw", "repair", "withdraw")),)


class Area(Base):
    """The identity behind a code. A code is given once and never again, in any version."""

    __tablename__ = "area"
    id: Mapped[int] = _identity()
    layer: Mapped[str] = mapped_column(ForeignKey("layer.name"))
    code: Mapped[str]
    __table_args__ = (UniqueConstraint("layer", "code"),)


class AreaVersion(Base):
    """What an area was, from when until when, and from when until when we thought so."""

    __tablename__ = "area_version"
    id: Mapped[int] = _identity()
    area_id: Mapped[int] = mapped_column(ForeignKey("area.id"), index=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default="basic")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"), index=True)
    party_branch: Mapped[str | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    geom: Mapped[Any] = mapped_column(
        Geometry("GEOMETRY", 4326, spatial_index=True), nullable=False
    )
    area_m2: Mapped[float] = mapped_column(
        Computed("ST_Area(geom::geography)", persisted=True), nullable=False
    )
    valid: Mapped[Range[datetime]]
    recorded: Mapped[Range[int]]  # of change ids, [from, until)
    __table_args__ = (
        _in("kind", ("basic", "dedicated")),
        CheckConstraint(
            "GeometryType(geom) IN ('POLYGON', 'MULTIPOLYGON') AND NOT ST_IsEmpty(geom)",
            name="geom_is_polygonal",
        ),
        CheckConstraint("NOT isempty(valid)", name="valid_not_empty"),
        # One area has one shape at one moment, as far as we knew at any one moment.
        ExcludeConstraint(
            ("area_id", "="),
            ("valid", "&&"),
            ("recorded", "&&"),
            name="one_version_at_a_time",
            using="gist",
        ),
    )


class AreaPiece(Base):
    """A version cut into pieces of few vertices: what placement searches. Kept by a trigger."""

    __tablename__ = "area_piece"
    version_id: Mapped[int] = mapped_column(
        ForeignKey("area_version.id", ondelete="CASCADE"), primary_key=True
    )
    piece: Mapped[int] = mapped_column(primary_key=True)
    layer: Mapped[str]
    geom: Mapped[Any] = mapped_column(Geometry("POLYGON", 4326), nullable=False)


class AreaBorder(Base):
    """A version's outline cut into short lines: what distances are measured to. By the trigger.

    In ellipsoidal Mercator (EPSG:3395), where distances need no more than the local scale.
    """

    __tablename__ = "area_border"
    version_id: Mapped[int] = mapped_column(
        ForeignKey("area_version.id", ondelete="CASCADE"), primary_key=True
    )
    piece: Mapped[int] = mapped_column(primary_key=True)
    geom: Mapped[Any] = mapped_column(Geometry("LINESTRING", 3395), nullable=False)


class AreaLineage(Base):
    """Who came from whom: `share` of the predecessor's area that went to the successor."""

    __tablename__ = "area_lineage"
    change_id: Mapped[int] = mapped_column(ForeignKey("change.id"), primary_key=True)
    from_id: Mapped[int] = mapped_column(ForeignKey("area.id"), primary_key=True)
    to_id: Mapped[int] = mapped_column(ForeignKey("area.id"), primary_key=True, index=True)
    share: Mapped[float]
    __table_args__ = (CheckConstraint("share > 0 AND share <= 1", name="share_is_a_share"),)


class Ground(Base):
    """What a map shows under the areas: roads and water."""

    __tablename__ = "ground"
    id: Mapped[int] = _identity()
    kind: Mapped[str]
    class_: Mapped[str] = mapped_column("class")
    name: Mapped[str] = mapped_column(server_default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    geom: Mapped[Any] = mapped_column(Geometry("GEOMETRY", 4326), nullable=False)
    __table_args__ = (_in("kind", ("road", "water")),)


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
    id: Mapped[int] = _identity()
    source: Mapped[str] = mapped_column(ForeignKey("source.name"))
    file: Mapped[str]
    fingerprint: Mapped[str]  # of the file's bytes and of everything that decides the outcome
    started: Mapped[datetime] = mapped_column(server_default=NOW)
    finished: Mapped[datetime | None]
    counts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
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
    id: Mapped[int] = _identity()
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
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index("report_by_area", "area_id", "received"),
        Index("report_by_time", "received", postgresql_using="brin"),
        Index("report_in_triage", "received", postgresql_where=text("triage IS NOT NULL")),
        _in("method", METHODS),
        CheckConstraint("(area_id IS NULL) = (method = 'none')", name="placed_or_not"),
        CheckConstraint("area_id IS NOT NULL OR triage IS NOT NULL", name="never_dropped"),
    )


class Confirmation(Base):
    """Address memory: which area a person said a place belongs to.

    Filled when somebody confirms or corrects a report, and by files of settled reports. Rows are
    only ever added, so that an earlier answer can be given again with what was known then.
    """

    __tablename__ = "confirmation"
    id: Mapped[int] = _identity()
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
    id: Mapped[int] = _identity()
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
