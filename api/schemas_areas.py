"""What areas look like when they go out."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas import Outgoing
from api.schemas_locate import Link


class Layer(Outgoing):
    """A level of the area tree, or an overlay that cuts across it."""

    name: str
    title: str
    title_en: str
    tree_level: int | None = Field(description="0 the city to 4 the grid; null: an overlay")
    source: str
    licence: str
    areas: int = Field(description="in force now")
    href: str


class Layers(Outgoing):
    """The layers of the map."""

    layers: list[Layer]


class AreaListed(Outgoing):
    """An area in the version of the moment asked for."""

    version_id: int
    layer: str
    code: str
    name: str
    kind: str
    parent_layer: str | None
    parent: str | None
    party_branch: str | None
    attributes: dict[str, Any]
    area_m2: float
    valid_from: datetime | None = Field(description="in force from; null: since ever")
    valid_until: datetime | None = Field(description="in force until; null: open")
    href: str
    geometry: dict[str, Any] | None = Field(None, description="GeoJSON, WGS 84")


class AreaPage(Outgoing):
    """Areas by code."""

    layer: str
    at: datetime
    known: datetime
    next: str | None = Field(description="the next page")
    areas: list[AreaListed]


class AreaShown(AreaListed):
    """An area with the areas above it."""

    at: datetime
    known: datetime
    chain: list[Link]


class Version(AreaListed):
    """A version on both time axes."""

    recorded_from: datetime = Field(description="believed from")
    recorded_until: datetime | None = Field(description="believed until; null: still")
    change: str = Field(description="import, redraw, repair or withdraw")
    reason: str
    actor: str


class Relative(Outgoing):
    """A grid that another one came from or went to."""

    code: str
    share: float = Field(description="part of the predecessor's area")
    recorded: datetime
    change: str
    reason: str
    href: str


class Lineage(Outgoing):
    """From whom a grid came and to whom it went."""

    from_: list[Relative] = Field(alias="from")
    to: list[Relative]


class Grid(Outgoing):
    """A grid with all that it was."""

    code: str
    current: AreaShown | None
    versions: list[Version]
    lineage: Lineage
