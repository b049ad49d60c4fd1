"""What records look like when they go out."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas import Outgoing, Received
from api.schemas_reports import OtherArea, Pin, Waiting


class RecordKind(Outgoing):
    """What it is a record of."""

    name: str
    title: str = Field(description="in Chinese, or the words of the file")


class RecordPlace(Outgoing):
    """The grid that a record was given."""

    layer: str
    code: str | None = Field(description="null: it waits for a person")
    method: str = Field(description="inside, on_border, snapped, address, confirmed or none")
    border_m: float | None
    alternatives: list[OtherArea] = Field(description="empty unless there is more than one")
    stated: str | None = Field(description="code of the area that its collector says it is in")
    known: datetime = Field(description="the map that it was placed on")


class RecordListed(Outgoing):
    """A record in a list: without what is about a person."""

    id: int
    source: str
    external_id: str
    kind: RecordKind
    title: str | None
    address: str | None
    attributes: dict[str, Any] | None
    position: Received | None = Field(description="as received")
    point: Pin | None = Field(description="made WGS 84; null: it has no place yet")
    placement: RecordPlace
    unplaced: Waiting | None = Field(description="why it has no grid; null: it has one")
    collected: datetime | None
    collected_by: str | None
    created: datetime
    withdrawn: datetime | None
    href: str


class RecordWas(Outgoing):
    """What a record said before a change."""

    at: datetime
    actor: str
    reason: str
    before: dict[str, Any] = Field(description="only what is different now")
    personal_changed: bool


class RecordShown(RecordListed):
    """A record with what it said before."""

    personal: dict[str, str] = Field(description="what is about a person, masked")
    history: list[RecordWas] = Field(description="the last change first")


class RecordPage(Outgoing):
    """Records, page by page."""

    records: list[RecordListed]
    next: str | None = Field(description="the next page")


class Counted(Outgoing):
    """A numerator and its denominator."""

    records: int = Field(description="the denominator: records in use")
    in_grid: int = Field(description="the numerator: those of them that are in a grid")
    rate: float | None = Field(description="入格率; null where there are no records")


class CountedKind(Counted):
    """Of a kind."""

    kind: RecordKind


class CountedArea(Counted):
    """Of an area directly below the one asked for; null: said to be in that one, or nowhere."""

    code: str | None
    layer: str | None
    name: str | None
    kinds: list[CountedKind]


class RecordCounts(Counted):
    """How many records there are, and how many are in a grid."""

    area: str | None
    unplaced: dict[str, int] = Field(description="those that are not, by reason")
    what_to_do: dict[str, str] = Field(description="by reason")
    kinds: list[CountedKind]
    areas: list[CountedArea]


class Revealed(Outgoing):
    """What a record says about a person."""

    record: int
    personal: dict[str, str]
