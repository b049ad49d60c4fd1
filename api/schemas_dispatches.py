"""What is sent to send people, and what dispatches look like when they go out."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from api.schemas import Actor, Attributes, Incoming, Line, Outgoing, Prose
from api.schemas_incidents import Candidates

Step = Literal["accepted", "on_the_way", "on_scene", "done", "declined", "recalled"]
State = Literal["sent", "accepted", "on_the_way", "on_scene", "done", "declined", "recalled"]
Number = Annotated[int, Field(ge=1, lt=2**63)]


class Chosen(Incoming):
    """Somebody to send."""

    resource: Number = Field(description="the resource's number")
    override: Line | None = Field(
        None, description="why, although full, busy, off, on leave or off duty"
    )
    evidence: Attributes = Field(
        default_factory=dict, description="what was known at the choice; kept with the assignment"
    )


class Sending(Incoming):
    """One or several resources, sent together or not at all."""

    send: list[Chosen] = Field(min_length=1, max_length=1000)
    actor: Actor = None
    note: Prose = Field("", description="for those who are sent")

    @model_validator(mode="after")
    def _once_each(self) -> "Sending":
        numbers = [chosen.resource for chosen in self.send]
        if len(set(numbers)) < len(numbers):
            raise ValueError("name each resource once")
        return self


class NewStep(Incoming):
    """How far somebody is."""

    state: Step
    actor: Actor = None
    reason: Prose = Field("", description="needed to decline and to recall")


class Recall(Incoming):
    """Everybody is called back."""

    actor: Actor = None
    reason: Prose = Field(description="why; they are told")


class Closing(Incoming):
    """How an incident ended."""

    actor: Actor = None
    outcome: Annotated[Prose, Field(min_length=1)]
    recall_reason: Prose | None = Field(
        None, description="with it, who is still under way is called back; else it is refused"
    )


class StepShown(Outgoing):
    """Who moved it on, when and why."""

    state: State
    at: datetime
    actor: str
    reason: str


class Sent(Outgoing):
    """The resource that was sent."""

    id: int
    name: str
    kind: str


class Response(Outgoing):
    """Seconds since it was sent; null: not yet, or never."""

    accepted_s: float | None = Field(description="until first heard of: accepted or already going")
    on_scene_s: float | None
    ended_s: float | None


class AssignmentShown(Outgoing):
    """One resource's task."""

    id: int
    dispatch: int
    incident: int
    resource: Sent
    state: State
    since: datetime
    allowed: list[Step] = Field(description="what it may become")
    override: str | None
    evidence: dict[str, Any]
    steps: list[StepShown] = Field(description="the first is sent")
    response: Response
    next: Candidates | None = Field(None, description="after a refusal: who could go instead")


class DispatchShown(Outgoing):
    """One decision to send somebody."""

    id: int
    incident: int
    at: datetime
    actor: str
    note: str
    assignments: list[AssignmentShown]


class Dispatches(Outgoing):
    """All who were sent to an incident, the first dispatch first."""

    incident: int
    dispatches: list[DispatchShown]


class Recalled(Outgoing):
    """Who was called back."""

    incident: int
    recalled: list[int] = Field(description="numbers of the assignments")


class Closed(Recalled):
    """An incident that is closed."""

    outcome: str
