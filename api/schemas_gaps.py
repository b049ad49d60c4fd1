"""How gap cover goes out."""

from pydantic import Field

from api.schemas import Outgoing
from api.schemas_incidents import Spot


class Asked(Outgoing):
    """The area that was asked about."""

    layer: str
    code: str


class Counts(Outgoing):
    """People of the kinds asked for, on duty within reach of the area."""

    on_duty: int
    free: int
    sent: int = Field(description="who can take no more tasks")


class Shares(Outgoing):
    """The covered share of residents and incidents, 0 to 1."""

    before: float = Field(description="if nobody had been sent")
    now: float
    after_moves: float


class Gap(Outgoing):
    """A grid that nobody who is free could be in in time."""

    code: str
    name: str
    residents: int | None
    incidents: int = Field(description="in the days asked for")
    point: Spot
    weight: float = Field(description="its share of the area's residents and incidents")
    lost: bool = Field(description="somebody would be there, had they not been sent")
    regained: bool = Field(description="somebody would be there after the moves")


class Mover(Outgoing):
    """Somebody who is free and not needed where they are."""

    id: int
    name: str
    kind: str
    kind_title: str
    mode: str
    point: Spot
    by_position: bool = Field(description="false: the home stands for the position")


class Standby(Outgoing):
    """Where to wait: in a grid or a facility."""

    grid: str | None
    facility: int | None
    name: str
    point: Spot


class Move(Outgoing):
    """Who should move up where."""

    resource: Mover
    to: Standby
    travel_s: int
    regains: list[str] = Field(description="codes of the grids that are covered from there")
    text: str


class Gaps(Outgoing):
    """How an area is covered, and what would mend it."""

    area: Asked
    minutes: float
    kinds: list[str]
    grids: int
    people: Counts
    covered: Shares
    gaps: list[Gap]
    moves: list[Move]
    best_possible: float = Field(description="share that no moves whatever could exceed")
    method: str = Field(description="exact: no better moves exist; search, greedy: the best found")
    text: str
    travel: str = Field(description="what travel times go by")
