"""What visit plans and visits look like when they go out."""

from datetime import date, datetime

from pydantic import Field

from api.schemas import Outgoing


class VisitArea(Outgoing):
    """An area of the map."""

    layer: str
    code: str


class VisitPlanShown(Outgoing):
    """A plan of patrols or visits."""

    id: int
    name: str
    record_kind: str | None = Field(
        description="of the records visited; null: the grids themselves"
    )
    area: VisitArea
    resource_kind: str = Field(description="who visits")
    every: int
    unit: str = Field(description="days or working_days")
    begins: date
    reach_m: float
    actor: str
    created: datetime
    ended: datetime | None
    made_until: datetime | None = Field(description="end of the last period that has its visits")


class VisitPlans(Outgoing):
    """The plans in force."""

    plans: list[VisitPlanShown]


class VisitPlanOf(Outgoing):
    """The plan of a visit."""

    id: int
    name: str


class VisitRecord(Outgoing):
    """The record that is visited."""

    id: int
    kind: str | None
    title: str | None
    address: str | None
    href: str


class VisitPoint(Outgoing):
    """Where to go, WGS 84; of a grid, a point in it."""

    lon: float
    lat: float


class VisitListed(Outgoing):
    """A visit."""

    id: int
    plan: VisitPlanOf
    resource_kind: str
    record: VisitRecord | None = Field(description="null: the grid itself")
    area: VisitArea | None
    area_name: str | None
    point: VisitPoint | None
    since: datetime
    until: datetime
    state: str = Field(description="due, unproven, done or missed")
    distance_m: float | None = Field(None, description="from where was asked")
    href: str


class VisitProofShown(Outgoing):
    """Where and when somebody says that they were, and what that proves."""

    id: int
    received: datetime
    taken: datetime
    lon: float
    lat: float
    accuracy_m: float
    distance_m: float = Field(description="to the record, or to the grid: 0 inside")
    verdict: str = Field(description="proven, or why it is not")
    what_to_do: str | None = Field(description="null if it proves the visit")
    resource: int | None
    actor: str
    note: str


class VisitShown(VisitListed):
    """A visit with all its proofs."""

    proofs: list[VisitProofShown]


class VisitsDue(Outgoing):
    """Visits to be made now."""

    visits: list[VisitListed]


class VisitPage(Outgoing):
    """Visits, page by page."""

    visits: list[VisitListed]
    next: str | None = Field(description="the next page")


class VisitTally(Outgoing):
    """How many visits there are, by what became of them."""

    visits: int
    due: int
    done: int
    unproven: int
    missed: int
    rate: float | None = Field(description="done of those that are no longer due; null: none yet")


class VisitPlanTally(VisitTally):
    """Of a plan."""

    plan: VisitPlanOf


class VisitAreaTally(VisitTally):
    """Of an area directly below the one asked for."""

    area: VisitArea


class VisitCounts(VisitTally):
    """Visits of a span of time."""

    since: datetime
    until: datetime
    plans: list[VisitPlanTally]
    areas: list[VisitAreaTally]
