"""Whistles and red grids as they come in and go out."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from api.schemas import BIGGEST, Happened, Incoming, Line, Moment, Number, Outgoing, Prose, Word
from api.schemas_clocks import Acting

State = Literal["called", "signed", "contacted", "arrived", "released", "absent"]
Said = Annotated[Prose, Field(min_length=1)]
Id = Annotated[int, Field(ge=1, le=BIGGEST)]


class WhistleBlow(Acting):
    """Organisations that are called to a case."""

    case: Id = Field(description="its number")
    organisations: list[Word] = Field(min_length=1, max_length=50, description="codes")
    what: Said = Field(description="what they are needed for")
    hard: bool = Field(False, description="a hard matter: they have longer to come")
    grid: Word | None = Field(None, description="code of the red grid that calls, if one does")


class WhistleBring(Acting):
    """One more that is called."""

    organisation: Word = Field(description="its code")


class CallStep(Acting):
    """What is done with a call; the caller lets off and insists, who was called does the rest."""

    action: Literal["sign", "contact", "arrive", "decline", "release", "insist"]
    reason: Prose = Field("", description="why, to decline and to insist")


class CallRating(Acting):
    """How an organisation answered, in the caller's eyes."""

    rating: int = Field(ge=1, le=5, description="1 badly … 5 well")
    words: Prose = ""


class MemberJoin(Acting):
    """Somebody of the special team (工作专班)."""

    organisation: Word = Field(description="code of one that came")
    role: Line = Field(description="what they are there for")
    resource: Id | None = Field(None, description="who; null: whoever the organisation sends")


class MemberLeave(Acting):
    """Somebody leaves the team."""

    reason: Prose = ""


class SiteVisit(Acting):
    """A visit to the site."""

    at: Happened
    place: Line
    present: list[Word] = Field(min_length=1, max_length=50, description="codes of organisations")
    finding: Said
    lon: Number | None = Field(None, description="longitude, or easting, in the datum")
    lat: Number | None = Field(None, description="latitude, or northing, in the datum")
    datum: Word | None = Field(None, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…")

    @model_validator(mode="after")
    def _all_or_none(self) -> "SiteVisit":
        if len({self.lon is None, self.lat is None, self.datum is None}) > 1:
            raise ValueError("give lon, lat and datum, or none of them")
        return self


class PlanAdd(Acting):
    """A step of the plan."""

    what: Said
    owner: Word = Field(description="code of the organisation that does it")
    due: Moment


class PlanFinish(Acting):
    """What came of a step."""

    result: Said


class WhistleEnd(Acting):
    """The end of a whistle."""

    outcome: Said = Field(description="what came of it")
    reason: Prose = Field("", description="why steps of the plan are left open, where some are")


class CallClock(Outgoing):
    """A clock of a call."""

    clock: str
    due: datetime
    stopped: datetime | None
    late: datetime | None = Field(description="since when it is told that they are late")


class Call(Outgoing):
    """One organisation that was called."""

    id: int
    organisation: str
    organisation_name: str
    invited_by: str
    at: datetime
    state: State = Field(description="absent: not there when it ended; released: let off")
    signed: datetime | None
    contacted: datetime | None
    arrived: datetime | None
    declined: datetime | None = Field(description="since when they wish not to come, undecided")
    rating: int | None
    words: str | None
    clocks: list[CallClock]
    late: int = Field(description="how often they were late")
    allowed: list[str]


class Member(Outgoing):
    """Somebody of the team."""

    id: int
    organisation: str
    resource: int | None
    resource_name: str | None
    role: str
    joined: datetime
    departed: datetime | None


class SiteVisited(Outgoing):
    """A visit that was made; lon and lat are WGS 84."""

    id: int
    at: datetime
    place: str
    lon: float | None
    lat: float | None
    present: list[str]
    finding: str
    recorded: datetime
    actor: str


class PlanStep(Outgoing):
    """A step of the plan."""

    id: int
    what: str
    owner: str
    due: datetime
    at: datetime
    actor: str
    done: datetime | None
    done_by: str | None
    result: str | None


class WhistleStep(Outgoing):
    """Something that happened."""

    id: int
    call: int | None
    at: datetime
    action: str
    actor: str
    acting: str | None = Field(description="null: it happened by itself")
    reason: str
    data: dict[str, Any]


class _Whistle(Outgoing):
    number: int
    case: int
    caller: str
    caller_name: str
    grid: str | None = Field(description="the red grid that called")
    what: str
    hard: bool
    at: datetime
    actor: str
    ended: datetime | None
    ended_by: str | None
    outcome: str | None


class Whistle(_Whistle):
    """A whistle with everybody who was called and what they did."""

    calls: list[Call]
    team: list[Member]
    visits: list[SiteVisited]
    plan: list[PlanStep]
    steps: list[WhistleStep]


class WhistleListed(_Whistle):
    """A whistle, with how many were called, came, wish not to and were late."""

    called: int
    arrived: int
    declined: int
    late: int


class Whistles(Outgoing):
    """Whistles, the newest first."""

    whistles: list[WhistleListed]
    next: str | None = Field(description="where it goes on")


class RedGridPut(Incoming):
    """Authority for a grid."""

    organisation: Word = Field(description="code of the one that speaks for the grid")
    reason: Prose = ""


class RedGrid(Outgoing):
    """A grid that may give orders."""

    grid: str
    organisation: str
    name: str
    since: datetime
    actor: str
    reason: str


class RedGrids(Outgoing):
    """The red grids of today."""

    grids: list[RedGrid]
