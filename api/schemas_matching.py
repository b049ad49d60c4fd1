"""How the matching of the queue goes out."""

from typing import Any

from pydantic import Field

from api.schemas import Outgoing
from api.schemas_incidents import Incident, Person


class Proposed(Outgoing):
    """Somebody who should go."""

    resource: Person
    travel_s: int
    distance_m: int
    by_road: bool = Field(description="false: estimated from the straight line")
    summary: str = Field(description="what speaks for and against it")


class Request(Outgoing):
    """The request that sends them: post the body there."""

    href: str
    body: dict[str, Any]


class Proposal(Outgoing):
    """Who should go to an incident, the nearest first."""

    incident: Incident
    people: list[Proposed]
    send: Request


class Short(Outgoing):
    """An incident that gets fewer than it wants."""

    incident: int
    urgency: int
    missing: int
    reason: str = Field(description="no_place, nobody, beyond_reach or wanted_elsewhere")
    text: str


class Totals(Outgoing):
    """What an answer achieves."""

    reached: int = Field(description="incidents that somebody goes to")
    sent: int = Field(description="people")
    travel_s: int = Field(description="of all together")


class Matched(Outgoing):
    """The queue matched to free people; nothing is sent."""

    proposals: list[Proposal]
    shortfalls: list[Short]
    joint: Totals
    greedy: Totals = Field(description="one incident after another, each with the nearest")
    saved_s: int = Field(description="less travel; below 0 only where more is served")
    text: str
    travel: str = Field(description="what travel times go by")
