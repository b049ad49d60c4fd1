"""What events, subscriptions and messages look like when they go out."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.schemas import Outgoing


class AreaNamed(Outgoing):
    """An area by its layer and code."""

    layer: str
    code: str


class Event(Outgoing):
    """Something that happened."""

    seq: int = Field(description="events are told in this order; numbers may be left out")
    kind: str
    at: datetime
    incident: int | None
    resource: int | None
    area: AreaNamed | None = Field(description="in which it happened")
    data: dict[str, Any] = Field(description="what belongs to its kind")


class EventPage(Outgoing):
    """Events in their order."""

    events: list[Event]
    after: int = Field(description="where to go on: `after` of the next request")
    newest: int = Field(description="number of the newest event there is")


class Subscription(Outgoing):
    """Who is told what."""

    id: int
    channel: str
    target: str
    kinds: list[str] = Field(description="empty: all")
    area: str | None
    resource: int | None
    created: datetime
    failures: int = Field(description="of the receiver, in a row")
    resting: datetime | None = Field(description="the receiver fails and is left alone until then")
    withdrawn: datetime | None = Field(description="since when it is no longer told")


class NewSubscription(Subscription):
    """A new subscription with its secret."""

    secret: str = Field(description="signs webhooks; it is not shown again")


class Subscriptions(Outgoing):
    """Subscriptions in force."""

    subscriptions: list[Subscription]
    next: str | None = Field(description="the next page")


class Message(Outgoing):
    """An event on its way to a subscriber."""

    id: UUID = Field(description="the same at every try: webhook-id")
    subscription: int
    seq: int = Field(description="of its event")
    kind: str
    state: str = Field(description="waiting, delivered or dead")
    created: datetime
    attempts: int
    tried: datetime | None = Field(description="for the last time")
    error: str | None = Field(description="of the last try")
    due: datetime | None = Field(description="when it is tried next")
    delivered: datetime | None
    dead: datetime | None = Field(description="when it was given up: POST …/retry tries it again")


class Messages(Outgoing):
    """Messages, newest first."""

    messages: list[Message]
    next: str | None = Field(description="the next page")


class PushKey(Outgoing):
    """What a browser needs to subscribe."""

    key: str = Field(description="applicationServerKey of PushManager.subscribe()")


class TestSent(Outgoing):
    """A test on its way."""

    subscription: int
    messages: str = Field(description="where it can be followed")
