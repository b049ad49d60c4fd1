"""What `/locate` answers."""

from datetime import datetime

from pydantic import Field

from api.schemas import Outgoing, Point, ProblemDetails


class Area(Outgoing):
    """An area by its code and names."""

    code: str
    name: str
    kind: str = Field(description="basic, or dedicated: an estate, a school, a market")
    party_branch: str | None


class Link(Outgoing):
    """An area above."""

    layer: str
    code: str
    name: str


class Alternative(Outgoing):
    """An area within the accuracy of the position, best first; the first choice among them."""

    code: str
    name: str
    share: float | None = Field(description="part of the uncertainty disc that lies in it")
    score: float | None = Field(description="what they are ordered by: geometry and memory")
    border_m: float | None = Field(description="distance to its border, metres")


class Overlay(Outgoing):
    """An area of a layer beside the tree."""

    layer: str
    code: str
    name: str
    share: float | None


class ServiceBoundary(Outgoing):
    """The version of the area that the answer rests on (after RFC 5222)."""

    source: str
    key: str
    version: int
    last_updated: datetime
    valid_from: datetime | None
    valid_until: datetime | None
    href: str


class Located(Outgoing):
    """Where a position is."""

    point: Point | None = Field(description="null: the address is not known")
    notes: list[str] = Field(description="what had to be supposed")
    layer: str
    found: str = Field(description="inside, on_border, snapped, address or none")
    area: Area | None
    chain: list[Link] = Field(description="the areas above, from the nearest up")
    border_m: float | None = Field(description="distance to the nearest border, metres")
    ambiguous: bool = Field(description="whether it could as well be another area")
    alternatives: list[Alternative]
    overlays: list[Overlay]
    service_boundary: ServiceBoundary | None
    at: datetime = Field(description="the instant whose borders count")
    known: datetime = Field(description="the instant whose knowledge counts")
    expires: datetime = Field(description="until when the answer may be kept")


class Candidate(Outgoing):
    """A place that the address could be."""

    address: str
    score: float = Field(description="1: the same address")
    how: str
    answer: Located


class Answer(Located):
    """Where a position or an address is."""

    candidates: list[Candidate] | None = Field(None, description="of an address without position")


class Failed(Outgoing):
    """A question of many that cannot be answered."""

    problem: ProblemDetails


class Batch(Outgoing):
    """Answers in the order of the questions."""

    results: list[Answer | Failed]
