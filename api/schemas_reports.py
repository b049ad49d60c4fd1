"""What reports look like when they go out."""

from datetime import datetime
from typing import Any

from pydantic import Field

from api.schemas import Outgoing, Received
from api.schemas_incidents import Candidates
from api.schemas_locate import Link


class Pin(Outgoing):
    """A report's position, made WGS 84."""

    lon: float
    lat: float
    datum: str
    accuracy_m: float | None


class PlacedIn(Outgoing):
    """The area that a report was given, in the version that was in force."""

    code: str
    name: str | None
    version: int | None
    href: str


class OtherArea(Outgoing):
    """An area within the report's accuracy, best first; the first choice among them."""

    code: str
    share: float | None
    score: float | None


class Placement(Outgoing):
    """How a report was placed, and for which two moments."""

    layer: str
    method: str = Field(description="inside, on_border, snapped, address, confirmed or none")
    area: PlacedIn | None
    chain: list[Link] = Field(description="the areas above it, from the nearest up")
    ambiguous: bool
    border_m: float | None
    alternatives: list[OtherArea] = Field(description="empty unless there is more than one")
    at: datetime
    known: datetime


class Waiting(Outgoing):
    """Why a report waits for a person."""

    reason: str
    what_to_do: str


class Report(Outgoing):
    """A report as it was received and as it is placed."""

    id: int
    source: str
    external_id: str
    received: datetime
    occurred: datetime | None
    channel: str | None
    kind: str | None
    premises: str | None
    description: str | None
    address: str | None
    attributes: dict[str, Any] | None
    position: Received | None = Field(description="as received")
    point: Pin | None = Field(description="made WGS 84; null: it has no place yet")
    placement: Placement
    triage: Waiting | None = Field(description="null: it waits for nobody")
    incident: int | None = Field(description="that it opened or joined; null: it is a record only")
    dispatch: Candidates | None = Field(None, description="who could go")
    repeated: bool | None = Field(None, description="whether it had come before")
    follow: str | None = Field(
        None, description="the page on which its reporter follows it and is asked in the end"
    )


class Waits(Outgoing):
    """A report in triage."""

    id: int
    source: str
    external_id: str
    received: datetime
    occurred: datetime | None
    kind: str | None
    description: str | None
    address: str | None
    position: Received | None
    accuracy_m: float | None
    layer: str
    triage: Waiting
    href: str


class Triage(Outgoing):
    """The queue of reports that wait for a person."""

    counts: dict[str, int] = Field(description="how many wait, by reason")
    what_to_do: dict[str, str] = Field(description="by reason")
    reports: list[Waits]
    next: str | None = Field(description="the next page")
