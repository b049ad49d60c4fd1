"""What watched places, their readings and rules look like when they go out."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas import Outgoing
from api.schemas_visits import VisitArea


class LatestReading(Outgoing):
    """The newest reading of a metric."""

    metric: str
    at: datetime
    value: float


class OpenEpisode(Outgoing):
    """Trouble that is not over."""

    rule: int
    name: str
    began: datetime
    report: int | None


class WatchedBody(Outgoing):
    """The organisation that answers for a place."""

    code: str
    name: str


class WatchedShown(Outgoing):
    """A watched place with its newest readings and what is wrong there."""

    id: int
    source: str
    external_id: str
    kind: str
    name: str
    geometry: dict[str, Any] = Field(description="GeoJSON, WGS 84")
    area: VisitArea | None = Field(description="the grid that it lies in")
    organisation: WatchedBody | None
    attributes: dict[str, Any]
    latest: list[LatestReading]
    episodes: list[OpenEpisode]
    created: datetime
    withdrawn: datetime | None
    href: str


class WatchedPage(Outgoing):
    """Watched places, page by page."""

    places: list[WatchedShown]
    next: str | None = Field(description="the next page")


class ReadingsStored(Outgoing):
    """What became of a batch of readings."""

    added: int
    known: int = Field(description="came before; the first that came counts")
    contradicted: int = Field(description="of these, with another value")
    changed: int = Field(description="episodes that began or ended by it")
    episodes: list[OpenEpisode]


class ReadingShown(Outgoing):
    """A reading."""

    metric: str
    at: datetime
    value: float


class Readings(Outgoing):
    """A metric's readings, the newest first."""

    readings: list[ReadingShown]


class ConditionShown(Outgoing):
    """What a rule asks of a metric."""

    metric: str
    comparison: str
    value: float | None
    clear: float | None
    for_s: float


class WatchRuleShown(Outgoing):
    """A rule that turns readings into reports."""

    id: int
    place_kind: str
    name: str
    conditions: list[ConditionShown]
    report_kind: str
    urgency: int
    actor: str
    created: datetime
    ended: datetime | None


class WatchRules(Outgoing):
    """The rules in force."""

    rules: list[WatchRuleShown]
