"""What is asked of cases, and what they look like when they go out."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas import BIGGEST, Incoming, Line, Moment, Outgoing, Prose, Word
from data.stages import ACTIONS

Stage = Literal[
    "received", "triaged", "assigned", "accepted", "in_work", "consultation", "referred",
    "resolved", "return_visit", "closed",
]  # fmt: skip
Doing = Literal[
    "note", "triage", "assign", "accept", "decline", "start", "return", "transfer", "escalate",
    "delegate", "consult", "reject", "resolve", "reopen",
]  # fmt: skip
Class = Literal["component", "event", "dispute", "police", "inspection", "service", "other"]
Level = Annotated[
    int, Field(ge=0, le=4, description="0 city, 1 district, 2 town, 3 village, 4 grid")
]
assert all(not ACTIONS[name].by_itself for name in Doing.__args__)  # type: ignore[attr-defined]


class Step(Incoming):
    """What is to be done with a case."""

    action: Doing
    reason: Prose = Field("", description="why; the result where it is resolved")
    organisation: Word | None = Field(
        None, description="code of the one that is to answer; else the rules say"
    )
    kind: Word | None = Field(None, description="of the catalogue, where it is triaged")
    level: Level | None = Field(None, description="to which it is delegated; else the next below")
    seen: int | None = Field(
        None, ge=1, le=BIGGEST,
        description="the last step that was looked at: if the case moved on since, nothing is done",
    )  # fmt: skip


class Merging(Incoming):
    """A case that becomes part of another."""

    into: int = Field(ge=1, le=BIGGEST, description="number of the case that goes on")
    reason: Prose = Field(description="why they are the same")


class Unmerging(Incoming):
    """A case that was part of another stands alone again."""

    reason: Prose = Field(description="why they are not the same")


class Organisation(Outgoing):
    """The one organisation that answers."""

    code: str
    name: str
    role: str


class Place(Outgoing):
    """Where a case is."""

    layer: str
    code: str
    name: str | None


class Case(Outgoing):
    """A case as it stands."""

    number: int = Field(description="the one number of the matter, for everybody")
    stage: Stage
    since: datetime = Field(description="it is in the stage")
    level: Level
    kind: str | None
    kind_title: str | None = Field(description="of the catalogue of the day it was opened")
    urgency: int
    organisation: Organisation
    area: Place | None
    lon: float | None
    lat: float | None
    address: str | None
    description: str | None
    opened: datetime
    solved: datetime | None
    solved_level: Level | None
    closed: datetime | None
    outcome: str | None
    bounces: int = Field(description="how often it was declined or returned")
    reopened: int
    reports: int = Field(description="how many reports are about it")
    merged_into: int | None
    step: int = Field(description="number of its last step")
    allowed: list[str] = Field(description="what can be done with it now")


class Cases(Outgoing):
    """Cases, the newest first."""

    cases: list[Case]
    next: str | None = Field(description="where it goes on")


class Entry(Outgoing):
    """An entry of the timeline; assignments of people stand between the case's own steps."""

    step: int | None
    at: datetime
    action: str
    stage: Stage | None
    level: Level | None
    organisation: str | None = Field(description="that answers after it")
    organisation_name: str | None
    actor: str
    acting: str | None = Field(description="the organisation for which they acted")
    reason: str
    data: dict[str, Any]
    resource: str | None = Field(description="who was sent")


class Timeline(Outgoing):
    """Every step of a case, oldest first."""

    case: int
    entries: list[Entry]


class Likely(Outgoing):
    """A case that may be the same trouble."""

    number: int
    opened: datetime
    kind: str | None
    stage: Stage
    description: str | None
    distance_m: float | None
    days: float
    same_kind: bool
    likeness: float | None = Field(description="of their words, 0 to 1")
    score: float = Field(description="of it all, 0 to 1")


class Duplicates(Outgoing):
    """Open cases that may be the same trouble, the likeliest first."""

    case: int
    duplicates: list[Likely]


class KindPut(Incoming):
    """A kind as it should be."""

    title: Line
    title_en: Line
    class_: Class = Field(alias="class")
    parent: Word | None = None
    level: Level = Field(4, description="the lowest that can usually solve it, where it begins")
    sensitive: bool = Field(False, description="only some may read such cases")
    since: Moment | None = Field(None, description="from when on; else now")
    reason: Prose = ""


class KindShown(Outgoing):
    """A kind in force."""

    code: str
    parent: str | None
    title: str
    title_en: str
    class_: Class = Field(alias="class")
    level: Level
    sensitive: bool
    since: datetime
    actor: str
    reason: str


class Kinds(Outgoing):
    """The catalogue of a moment."""

    kinds: list[KindShown]


class RulePut(Incoming):
    """An organisation that is to answer."""

    organisation: Word = Field(description="its code")
    kind: Word | None = Field(None, description="and all below it; null: any")
    area: Word | None = Field(None, description="a code, or layer:code; null: anywhere")
    level: Level | None = Field(None, description="null: any")
    since: Moment | None = Field(None, description="from when on; else now")
    reason: Prose = ""


class RuleShown(Outgoing):
    """A rule in force: who answers for what."""

    id: int
    kind: str | None
    layer: str | None
    area: str | None
    level: int | None
    organisation: str
    name: str
    since: datetime
    until: datetime | None
    actor: str
    reason: str


class Rules(Outgoing):
    """Who answers for what at a moment."""

    rules: list[RuleShown]


class Answers(Outgoing):
    """Who answers, and by which rule."""

    code: str
    name: str
    rule: int | None = Field(description="null: as the centre of the place, or the desk")


class Unanswered(Outgoing):
    """A kind without an organisation of its own, or a grid without a centre."""

    what: Literal["kind", "area"]
    layer: str | None
    code: str
    name: str


class Check(Outgoing):
    """What nobody answers for but the desk."""

    unanswered: list[Unanswered]


class Dissolving(Incoming):
    """An organisation that ends."""

    successor: Word = Field(description="code of the one that takes over cases and rules")
    reason: Prose


class Dissolved(Outgoing):
    """What the successor took over."""

    organisation: str
    successor: str
    cases: list[int]
