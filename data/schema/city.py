"""The map on two time axes, and what lies under it."""

from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry
from sqlalchemy import BigInteger, CheckConstraint, Computed, ForeignKey, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, NOW, Base, identity, one_of


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
    id: Mapped[int] = identity()
    recorded: Mapped[datetime] = mapped_column(server_default=text("'infinity'"))
    kind: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    actor: Mapped[str] = mapped_column(server_default=text("current_user"))
    __table_args__ = (one_of("kind", ("import", "redraw", "repair", "withdraw")),)


class Area(Base):
    """The identity behind a code. A code is given once and never again, in any version."""

    __tablename__ = "area"
    id: Mapped[int] = identity()
    layer: Mapped[str] = mapped_column(ForeignKey("layer.name"))
    code: Mapped[str]
    __table_args__ = (UniqueConstraint("layer", "code"),)


class AreaVersion(Base):
    """What an area was, from when until when, and from when until when we thought so."""

    __tablename__ = "area_version"
    id: Mapped[int] = identity()
    area_id: Mapped[int] = mapped_column(ForeignKey("area.id"), index=True)
    name: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default="basic")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"), index=True)
    party_branch: Mapped[str | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    geom: Mapped[Any] = mapped_column(
        Geometry("GEOMETRY", 4326, spatial_index=True), nullable=False
    )
    area_m2: Mapped[float] = mapped_column(
        Computed("ST_Area(geom::geography)", persisted=True), nullable=False
    )
    valid: Mapped[Range[datetime]]
    recorded: Mapped[Range[int]]  # of change ids, [from, until)
    __table_args__ = (
        one_of("kind", ("basic", "dedicated")),
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


class AreaPath(Base):
    """An area of the tree with those above it, on a stretch on which they are the same.

    path[n + 1] is the one of level n, itself the last; null where there is none. Kept by a trigger.
    """

    __tablename__ = "area_path"
    id: Mapped[int] = identity()
    area_id: Mapped[int] = mapped_column(BigInteger, index=True)
    level: Mapped[int]
    valid: Mapped[Range[datetime]]
    path: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


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
    id: Mapped[int] = identity()
    kind: Mapped[str]
    class_: Mapped[str] = mapped_column("class")
    name: Mapped[str] = mapped_column(server_default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    geom: Mapped[Any] = mapped_column(Geometry("GEOMETRY", 4326), nullable=False)
    __table_args__ = (one_of("kind", ("road", "water")),)
