"""What incidents and candidates look like when they go out."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas import Outgoing


class Spot(Outgoing):
    """A place in WGS 84."""

    lon: float
    lat: float


class Within(Outgoing):
    """The area that an incident lies in."""

    layer: str
    code: str
    name: str | None


class Incident(Outgoing):
    """Something that people are sent to; its number is that of the report that opened it."""

    id: int
    opened: datetime
    closed: datetime | None
    outcome: str | None
    kind: str | None
    urgency: int = Field(description="1 at once … 5 some day")
    point: Spot | None = Field(description="null: the report waits in triage for a place")
    area: Within | None
    address: str | None
    description: str | None
    source: str
    triage: str | None
    under_way: int = Field(description="how many are sent, on their way or there")
    report: str = Field(description="where the report is")
    candidates: str = Field(description="where those are who could go")


class Incidents(Outgoing):
    """Open incidents, the most urgent and longest open first."""

    incidents: list[Incident]
    next: str | None


class Reason(Outgoing):
    """Something for or against somebody: a code with its figures, and the words."""

    model_config = ConfigDict(extra="allow")
    code: str
    text: str


class Person(Outgoing):
    """Somebody or something that could go, or be gone to."""

    id: int
    kind: str
    kind_title: str
    form: str = Field(description="person, team, vehicle, or a facility, to which people go")
    name: str
    organisation: str | None
    mode: str = Field(description="foot, bicycle, moped or car")
    skills: list[str]
    load: int = Field(description="tasks that they have")
    capacity: int
    point: Spot = Field(description="their position, or their home where that stands for it")
    by_position: bool = Field(description="false: the home stands for the position")


class Candidate(Outgoing):
    """A resource in its place of the ranking, with what speaks for and against it."""

    rank: int
    resource: Person
    travel_s: int
    distance_m: int
    by_road: bool = Field(description="false: estimated from the straight line")
    responsible: bool
    minutes: float = Field(description="generalised time that the ranking goes by")
    parts: dict[str, float] = Field(description="of which minutes, by criterion")
    reasons: list[Reason]
    against: list[Reason]
    summary: str


class Shortfall(Outgoing):
    """What could not be had."""

    reason: str = Field(description="nobody, beyond_reach, skill_missing or no_place")
    skill: str | None
    text: str


class Asked(Outgoing):
    """The rule that the candidates were looked for by."""

    kind: str | None = Field(description="null: the general rule")
    resource_kinds: list[str]
    skills: list[str]
    needed: list[str]
    reach_s: int
    weights: dict[str, float] = Field(description="minutes; all of them, also the usual ones")


class Candidates(Outgoing):
    """Who could go, best first, and what fell short."""

    candidates: list[Candidate]
    shortfalls: list[Shortfall]
    rule: Asked
    travel: str = Field(description="what travel times go by")


class Rule(Outgoing):
    """Who is asked for incidents of a kind."""

    kind: str | None
    resource_kinds: list[str]
    skills: list[str]
    reach_s: int
    weights: dict[str, Any] = Field(description="minutes, where they are not the usual ones")
    since: datetime
    actor: str
    reason: str


class Rules(Outgoing):
    """The rules in force, the general one first, and the usual weights."""

    rules: list[Rule]
    weights: dict[str, float]


class Tried(Outgoing):
    """What a rule proposes for past incidents."""

    proposed: int = Field(description="to how many somebody would have been proposed")
    within_reach: int
    median_s: int | None = Field(description="of the first one's way")
    p95_s: int | None
    were_sent: int = Field(description="how often the first was among those who were sent")
    of_sent: int = Field(description="of so many to which somebody was")


class Trial(Outgoing):
    """A rule beside the one in force, on the same incidents."""

    incidents: int
    changed: int = Field(description="whose first proposal differs")
    now: Tried
    tried: Tried
