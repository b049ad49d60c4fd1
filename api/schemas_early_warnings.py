"""Warnings as they come in and go out."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas import BIGGEST, Incoming, Outgoing, Prose, Word

State = Literal["open", "accepted", "closed"]
Outcome = Literal["true_alarm", "false_alarm", "known_cause", "data_fault"]
Said = Annotated[Prose, Field(min_length=1)]


class WarningsAsked(Incoming):
    """Which warnings."""

    state: list[State] = Field([], max_length=3, description="else all")
    area: Word | None = Field(None, description="code; with all areas below it")
    owner: Word | None = Field(None, description="code of the organisation")
    kind: Word | None = Field(None, description="code of a kind of report")
    late: bool = Field(False, description="only those that should have been accepted by now")
    before: int | None = Field(None, ge=1, le=BIGGEST, description="the last number seen")
    limit: int = Field(100, ge=1, le=1000)
    f: Literal["json", "geojson"] = Field("json", description="geojson: a FeatureCollection")


class WarningAccept(Incoming):
    """That a warning is taken on."""

    reason: Prose = Field("", description="what is thought of it")


class WarningPlan(Incoming):
    """What is done about it."""

    note: Said
    deployment: int | None = Field(
        None, ge=1, le=BIGGEST, description="number of the deployment by which it is done"
    )


class WarningClose(Incoming):
    """What a warning turned out to be."""

    outcome: Outcome
    reason: Said


class WarningArea(Outgoing):
    """Where it is."""

    layer: str
    code: str
    name: str | None


class _Warning(Outgoing):
    number: int
    model: Literal["surge", "topic"] = Field(
        description="surge: reports of a kind; topic: words of reports"
    )
    version: int = Field(description="of the model")
    area: WarningArea
    kind: str | None = Field(description="of the reports, or of most of them")
    kind_title: str | None
    words: list[str] = Field(description="that surge in the texts, the surest first")
    first: date = Field(description="the newest seven days that it was found in")
    last: date
    observed: int = Field(description="reports in these seven days")
    expected: float = Field(description="as is usual")
    threshold: float | None = Field(description="a count over it is rare; null: of a topic")
    p: float = Field(description="chance of so many in a usual week")
    q: float = Field(description="rate of false discoveries at which it is one")
    score: float = Field(
        description="surge: how far above the usual, the threshold is 1; topic: times the usual"
    )
    owner: str
    owner_name: str
    raised: datetime
    due: datetime = Field(description="until when it is to be accepted")
    late: bool
    state: State
    accepted: datetime | None
    closed: datetime | None
    outcome: Outcome | None
    allowed: list[str]


class WarningListed(_Warning):
    """A warning."""


class WarningPage(Outgoing):
    """Warnings, the newest first."""

    warnings: list[WarningListed]
    next: str | None = Field(description="where it goes on")


class WarningPlace(WarningArea):
    """An area in which its reports lie, and how many."""

    number: int


class WarningStepShown(Outgoing):
    """Something that happened."""

    id: int
    at: datetime
    action: Literal["raise", "continue", "accept", "plan", "close"]
    actor: str
    reason: str
    deployment: int | None
    data: dict[str, Any]


class WarningShown(_Warning):
    """A warning with what it was made from and its steps."""

    inputs: dict[str, Any] = Field(description="counts by week, weeks and series watched, the rate")
    places: list[WarningPlace]
    geometry: dict[str, Any] | None = Field(description="of its area, WGS 84")
    steps: list[WarningStepShown]


class WarningLookShown(Outgoing):
    """A day's look at the weeks."""

    day: date
    first: date | None
    last: date
    asked: datetime
    taken: datetime | None = Field(description="null: it is being worked out")
    cannot: str | None = Field(description="why nothing could be found out")
    version: int | None
    weeks: int | None = Field(description="that the reports go back")
    series: int | None = Field(description="areas by kinds that were watched")
    reports: int | None
    rate: float | None = Field(description="of false ones among the warnings, at most")
    quiet: float | None = Field(
        description="false warnings on average if nothing is going on, by simulation"
    )
    quiet_week_at_most: float | None = Field(description="the same of seven looks")
    found: int | None
    raised: int | None = Field(description="of what was found, what is new")


class WarningLooks(Outgoing):
    """The last looks, the newest first."""

    looks: list[WarningLookShown]


class WarningDays(Outgoing):
    """Reports by day, from `first` to `last`."""

    treated: list[int]
    controls: list[int]


class WarningEffect(Outgoing):
    """What the measures did; changes are fractions, -0.789 is 78.9 % less."""

    first: date = Field(description="the days before begin")
    start: date = Field(description="the measures began")
    last: date
    treated_before: float = Field(description="reports a day where something was done")
    treated_after: float
    treated_change: float
    control_change: float
    effect: float = Field(description="the change beyond that of the areas compared with")
    low: float = Field(description="95 % interval of the effect")
    high: float
    p: float
    placebo_p: float = Field(description="share of areas whose own effect is as far from none")
    pre_fit: float
    drift_p: float
    parallel: bool = Field(description="false: they ran apart before; do not rely on the effect")
    treated: list[str] = Field(description="codes of areas")
    controls: list[str] = Field(description="the nearest by their course before first")
    days: WarningDays
