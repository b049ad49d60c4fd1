"""What risk assessments look like when they go out."""

from datetime import date, datetime
from typing import Any

from pydantic import Field

from api.schemas import Outgoing


class DecisionShown(Outgoing):
    """What was decided, by whom."""

    at: datetime
    level: str = Field(description="low, medium or high")
    decision: str
    review: date | None = Field(description="when it is looked at again")
    decided_by: str
    actor: str


class TouchedGrid(Outgoing):
    """A grid that the area has a part of."""

    code: str
    name: str | None
    kind: str
    share: float = Field(description="of the grid that lies inside")
    inside_m2: float


class IncidentKind(Outgoing):
    """Incidents of a kind inside."""

    kind: str | None
    last_year: int
    year_before: int
    open: int


class IncidentsInside(Outgoing):
    """Incidents inside: of the last twelve months, beside the twelve before."""

    last_year: int
    year_before: int
    trend: float | None = Field(description="0.1 is a tenth more; null: none in the year before")
    open: int
    open_ones: list[int] = Field(description="the newest, at most 100")
    kinds: list[IncidentKind]
    months: dict[str, int] = Field(description="of the last twelve months, by month")


class FacilitiesInside(Outgoing):
    """Facilities of a kind inside."""

    kind: str
    title: str
    facilities: int
    names: list[str] = Field(description="at most 100")


class WatchedInside(Outgoing):
    """Watched places of a kind inside."""

    kind: str
    places: int
    in_trouble: int


class Profile(Outgoing):
    """What was inside the area on the day that it was drawn."""

    grids: list[TouchedGrid]
    residents: int | None = Field(description="by the shares of grids; null: no grid says")
    records: dict[str, int] = Field(description="by kind")
    incidents: IncidentsInside
    facilities: list[FacilitiesInside]
    watched: list[WatchedInside]


class AssessmentListed(Outgoing):
    """An assessment in a list."""

    id: int
    title: str
    area_m2: float
    notes: list[str] = Field(description="what was mended in the drawing, what is not known")
    created: datetime
    actor: str
    level: str | None = Field(description="low, medium or high; null: a draft")
    decision: str | None
    decided: datetime | None
    decided_by: str | None
    review: date | None
    href: str


class AssessmentShown(AssessmentListed):
    """An assessment with its area, its profile and all its decisions."""

    geometry: dict[str, Any] = Field(description="GeoJSON, WGS 84")
    profile: Profile
    decisions: list[DecisionShown] = Field(description="the last one holds")


class AssessmentPage(Outgoing):
    """Assessments, page by page."""

    assessments: list[AssessmentListed]
    next: str | None = Field(description="the next page")
