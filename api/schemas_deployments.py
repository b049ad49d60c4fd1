"""What is asked of a deployment, and how it goes out."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from api.schemas import Actor, Incoming, Known, Line, Moment, Number, Outgoing, Prose, Word
from api.schemas_incidents import Spot
from data.schema.dispatch import ATTENDANCES
from data.schema.resources import MODES

LONGEST = timedelta(days=7)
Count = Annotated[int, Field(ge=1, le=10_000)]
Id = Annotated[int, Field(ge=1, lt=2**63)]
Mark = Literal["checked_in", "checked_out", "absent"]
State = Literal[ATTENDANCES]  # type: ignore[valid-type]
Mode = Literal[MODES]  # type: ignore[valid-type]


class ShiftGiven(Incoming):
    """A stretch of time at a site, and whom it wants."""

    from_: Moment = Field(alias="from")
    until: Moment
    quota: Count = Field(description="how many people")
    minimum: int = Field(0, ge=0, description="how many it has to have; filled before any quota")
    skills: dict[Word, Count] = Field(
        default_factory=dict, description="of them so many with a skill; one counts for one skill"
    )

    @model_validator(mode="after")
    def _adds_up(self) -> "ShiftGiven":
        if not self.from_ < self.until <= self.from_ + LONGEST:
            raise ValueError(f"until lies after from, by {LONGEST.days} days at most")
        if self.minimum > self.quota:
            raise ValueError(f"the minimum {self.minimum} is more than the quota {self.quota}")
        if (skilled := sum(self.skills.values())) > self.quota:
            raise ValueError(f"{skilled} places ask for a skill, more than the quota {self.quota}")
        return self


class SiteGiven(Incoming):
    """A place: a position with its datum, or an area."""

    name: Line | None = Field(None, description="needed for a position; else the area's")
    lon: Number | None = Field(None, description="longitude, or easting, in the datum")
    lat: Number | None = Field(None, description="latitude, or northing, in the datum")
    datum: Word | None = Field(None, description="wgs84, cgcs2000, gcj02, bd09 or EPSG:…")
    layer: Word = Field("grid", description="of the code")
    code: Word | None = Field(None, description="the area; people meet inside it")
    shifts: list[ShiftGiven] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _somewhere(self) -> "SiteGiven":
        at = (self.lon, self.lat, self.datum)
        if (self.code is None) == all(part is None for part in at):
            raise ValueError("give lon, lat and datum, or the code of an area")
        if self.code is None and (None in at or self.name is None):
            raise ValueError("a position needs lon, lat, datum and a name")
        return self


class PeopleGiven(Incoming):
    """Who is considered; all conditions hold."""

    kinds: list[Word] = Field(min_length=1, max_length=50, description="of resource")
    skills: list[Word] = Field(default_factory=list, max_length=50, description="has them all")
    modes: list[Mode] | None = Field(None, min_length=1, description="ways of moving")
    organisation: Word | None = Field(None, description="its code")
    layer: Word = Field("town", description="of the code")
    code: Word | None = Field(None, description="at home in this area or answering for it")


class DeploymentGiven(Incoming):
    """Many people to many places."""

    name: Line
    sites: list[SiteGiven] = Field(min_length=1, max_length=1000)
    people: PeopleGiven
    within_s: int = Field(3600, ge=1, le=86_400, description="how long somebody travels at most")
    shifts_each: int = Field(1, ge=1, le=100, description="how many shifts somebody takes at most")
    actor: Actor = None


class Filling(Incoming):
    """Others for what is missing."""

    actor: Actor = None


class Marked(Incoming):
    """Somebody came, left, or did not come."""

    resource: Id
    shift: Id | None = Field(None, description="without one: that of the moment, or the nearest")
    state: Mark
    at: Known | None = Field(None, description="when; else now")
    actor: Actor = None


class Cancelling(Incoming):
    """Why a deployment is called off."""

    actor: Actor = None
    reason: Prose = Field("", description="why; the people are told")


class Where(Outgoing):
    """The area that a site lies in."""

    layer: str
    code: str


class GapShown(Outgoing):
    """Why a quota is not met."""

    missing: int
    below_minimum: bool
    parts: dict[str, int] = Field(
        description="when it was planned: reach, shift, skill, shared: how many for which cause"
    )
    skills: dict[str, int] = Field(description="of which skill so many are missing now")
    text: str


class ShiftShown(Outgoing):
    """A shift as it stands."""

    id: int
    from_: datetime = Field(alias="from")
    until: datetime
    quota: int
    minimum: int
    skills: dict[str, int]
    planned: int
    checked_in: int
    checked_out: int
    absent: int
    missing: int = Field(description="of the quota, absent ones among them")
    travel_s: int = Field(description="of all, one way")
    longest_s: int | None = Field(description="of who comes from farthest")
    gap: GapShown | None


class SiteShown(Outgoing):
    """A site with its shifts."""

    id: int
    name: str
    point: Spot
    area: Where | None
    shifts: list[ShiftShown]
    people: str = Field(description="where those are who go there")


class Totals(Outgoing):
    """People over all shifts."""

    quota: int
    present: int = Field(description="planned, checked in or checked out")
    absent: int
    missing: int


class DeploymentShown(Outgoing):
    """A deployment as it stands now."""

    id: int
    name: str
    created: datetime
    actor: str
    cancelled: datetime | None
    asked: dict[str, Any] = Field(description="who was considered")
    considered: int = Field(description="so many people, when it was planned last")
    travel: str = Field(description="what travel times go by")
    added: int | None = Field(None, description="so many were planned by this request")
    totals: Totals
    travel_s: int = Field(description="of all, one way")
    text: str
    sites: list[SiteShown]
    people: str = Field(description="where those are who go")


class DeploymentListed(Outgoing):
    """A deployment in the list."""

    id: int
    name: str
    created: datetime
    actor: str
    cancelled: datetime | None
    sites: int
    from_: datetime = Field(alias="from")
    until: datetime
    totals: Totals
    href: str


class Deployments(Outgoing):
    """Deployments, the newest first."""

    deployments: list[DeploymentListed]
    next: str | None


class Sent(Outgoing):
    """Somebody who goes."""

    id: int
    name: str
    kind: str
    mode: str
    organisation: str | None


class AttendanceShown(Outgoing):
    """Somebody's place in a shift."""

    resource: Sent
    site: int
    site_name: str
    shift: int
    from_: datetime = Field(alias="from")
    until: datetime
    state: State
    since: datetime
    skill: str | None = Field(description="that the place asks for")
    travel_s: int


class AttendancePage(Outgoing):
    """Who goes where, by shift and number."""

    people: list[AttendanceShown]
    next: str | None


class Cancelled(Outgoing):
    """A deployment that was called off."""

    id: int
    freed: int = Field(description="how many people are free again")
