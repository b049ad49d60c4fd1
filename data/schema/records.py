"""Collected records: people, housing, firms, hidden dangers, each in its grid or with why not."""

from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, NOW, Base, identity, one_of
from data.schema.reports import METHODS


class Record(Base):
    """What somebody collected about a person, a home, a firm, a danger, and the grid it lies in.

    As in `report`, source and area are no foreign keys. `area_id` stays empty while a person has
    to decide, and `unplaced` says why: a record counts as in a grid only if it is so without doubt.
    Personal data stand sealed in `personal`, a JSON object; `personal_mark` is their fingerprint,
    by which a change is seen without opening them, `person` that of the identity number.
    """

    __tablename__ = "record"
    id: Mapped[int] = identity()
    source: Mapped[str]
    external_id: Mapped[str]
    kind: Mapped[str]
    title: Mapped[str | None]
    address: Mapped[str | None]
    stated_area_id: Mapped[int | None] = mapped_column(BigInteger)  # where its collector says it is
    x: Mapped[float | None]  # as received, in `datum`
    y: Mapped[float | None]
    datum: Mapped[str | None]
    accuracy_m: Mapped[float | None]
    geom: Mapped[Any] = mapped_column(Geometry("POINT", 4326, spatial_index=False), nullable=True)
    attributes: Mapped[dict[str, Any] | None]
    personal: Mapped[bytes | None]
    personal_mark: Mapped[bytes | None]
    person: Mapped[bytes | None]
    layer: Mapped[str]  # the layer that it was placed in
    area_id: Mapped[int | None] = mapped_column(BigInteger)
    version_id: Mapped[int | None] = mapped_column(BigInteger)
    method: Mapped[str]
    ambiguous: Mapped[bool] = mapped_column(server_default=text("false"))
    border_m: Mapped[float | None]
    alternatives: Mapped[Any | None] = mapped_column(JSONB)
    known: Mapped[datetime] = mapped_column(server_default=NOW)  # the map that it was placed on
    unplaced: Mapped[str | None]
    collected: Mapped[datetime | None]
    collected_by: Mapped[str | None]  # a post or an office, no person's name
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    withdrawn: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("source", "external_id"),
        Index(
            "record_by_area",
            "area_id",
            "id",
            postgresql_include=["kind"],
            postgresql_where=text("withdrawn IS NULL"),
        ),
        # Where an area does not say where it is: too few to make every row pay for an index.
        Index(
            "record_elsewhere", "geom", postgresql_using="gist",
            postgresql_where=text("method IN ('none', 'confirmed')"),
        ),
        Index(
            "record_by_time", text("coalesce(collected, created)"), postgresql_using="brin"
        ),
        Index("record_stated", "stated_area_id", postgresql_where=text("area_id IS NULL")),
        Index("record_unplaced", "unplaced", "id", postgresql_where=text("unplaced IS NOT NULL")),
        Index("record_by_person", "person", postgresql_where=text("person IS NOT NULL")),
        one_of("method", METHODS),
        CheckConstraint("(area_id IS NULL) = (method = 'none')", name="placed_or_not"),
        CheckConstraint("(area_id IS NULL) = (unplaced IS NOT NULL)", name="never_dropped"),
        CheckConstraint("(personal IS NULL) = (personal_mark IS NULL)", name="marked_if_sealed"),
    )  # fmt: skip


class RecordChange(Base):
    """What a record said before it was changed; kept by a trigger, whoever changes it."""

    __tablename__ = "record_change"
    id: Mapped[int] = identity()
    record_id: Mapped[int] = mapped_column(ForeignKey("record.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    before: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    personal: Mapped[bytes | None]  # sealed, as it was
