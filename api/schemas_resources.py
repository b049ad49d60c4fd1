"""What resources look like when they go out."""

from datetime import date, datetime
from typing import Any

from pydantic import Field

from api.schemas import Outgoing


class Of(Outgoing):
    """Something by its name, with its titles."""

    name: str
    title: str
    title_en: str


class KindOf(Of):
    """A kind of resource."""

    form: str = Field(description="person, team, vehicle or facility")


class ShiftOf(Of):
    """When those who have it are on duty."""

    cycle_days: int
    anchor: date = Field(description="first day of some cycle")
    minutes: list[tuple[int, int]] = Field(description="of the cycle, [from, until)")


class OrganisationOf(Outgoing):
    """A body that answers for matters."""

    code: str
    name: str
    role: str = Field(description="centre, six or other: the 1, the 6 and the N")
    parent: str | None
    area_layer: str | None
    area: str | None = Field(description="that it serves")
    calendar: str | None = Field(description="when it works; null: as the one above it")


class Catalogue(Outgoing):
    """What resources are described by."""

    kinds: list[KindOf]
    skills: list[Of]
    shifts: list[ShiftOf]
    organisations: list[OrganisationOf]


class AreaOf(Outgoing):
    """An area by its code."""

    layer: str
    code: str


class Body(Outgoing):
    """The organisation that somebody belongs to."""

    code: str
    name: str


class Home(Outgoing):
    """Where a resource is at home, WGS 84."""

    lon: float
    lat: float
    area: AreaOf | None = Field(description="null: outside every grid")
    area_name: str | None


class LastSeen(Outgoing):
    """The last position, WGS 84; where somebody was before is not shown."""

    lon: float
    lat: float
    accuracy_m: float | None
    at: datetime
    age_s: float


class ResourceListed(Outgoing):
    """Somebody or something that can be sent, or that people can be sent to."""

    id: int
    source: str
    external_id: str
    kind: KindOf
    name: str
    organisation: Body | None
    skills: list[str]
    home: Home
    mode: str = Field(description="foot, bicycle, moped or car")
    shift: str | None = Field(description="null: at any hour")
    status: str = Field(description="available, busy or off, as people set it")
    state: str = Field(
        description="free, sent, accepted, on_the_way, on_scene, deployed, busy or off: the "
        "status, or else the task that is furthest, or else a deployment"
    )
    capacity: int = Field(description="tasks at once")
    load: int = Field(description="tasks under way")
    position: LastSeen | None
    created: datetime
    withdrawn: datetime | None
    href: str


class ResourcePage(Outgoing):
    """Resources by number."""

    resources: list[ResourceListed]
    next: str | None = Field(description="the next page")


class LeaveOf(Outgoing):
    """Time away, whatever the shift says."""

    id: int
    from_: datetime = Field(alias="from")
    until: datetime | None = Field(description="null: until it is ended")
    reason: str


class Task(Outgoing):
    """A task under way."""

    id: int
    incident: int
    state: str
    since: datetime


class Resource(ResourceListed):
    """A resource with what it does and answers for."""

    attributes: dict[str, Any]
    on_duty: bool = Field(description="by its shift, now")
    leave: list[LeaveOf] = Field(description="now and to come")
    answers_for: list[AreaOf]
    tasks: list[Task]
    outcome: str | None = Field(None, description="created, changed or unchanged")
