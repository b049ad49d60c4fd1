"""What is told to others: events in their order, and the messages that carry them out."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, Index, LargeBinary, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from data.schema.base import EMPTY, NOW, Base, identity, one_of

CHANNELS = ("webhook", "email", "webpush")


class Event(Base):
    """The outbox: one row for each thing that happened, written in its transaction.

    `id` is given before the commit, so a smaller one may appear after a larger one was read; `seq`
    is given after it, by whoever holds the sequencer's lock, so that what is read in its order
    misses nothing. Streams resume by it.
    """

    __tablename__ = "event"
    id: Mapped[int] = identity()
    seq: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    kind: Mapped[str]  # report.received, assignment.accepted, …
    incident_id: Mapped[int | None] = mapped_column(BigInteger)
    resource_id: Mapped[int | None] = mapped_column(BigInteger)
    area_id: Mapped[int | None] = mapped_column(BigInteger)
    # That area and those above it when `seq` was given: who listens to a town hears of its grids.
    areas: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=EMPTY)
    data: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    __table_args__ = (
        Index("event_to_sequence", "id", postgresql_where=text("seq IS NULL")),
        Index("event_by_time", "at", postgresql_using="brin"),
    )


class Subscription(Base):
    """Who wants to be told what: a system's webhook, a mailbox, a browser."""

    __tablename__ = "subscription"
    id: Mapped[int] = identity()
    channel: Mapped[str]
    target: Mapped[str]
    secret: Mapped[str]  # signs webhooks; a browser's keys are in `attributes`
    kinds: Mapped[list[str]] = mapped_column(server_default=EMPTY)  # none: all
    area_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))  # null: everywhere
    resource_id: Mapped[int | None] = mapped_column(ForeignKey("resource.id"))  # null: everybody's
    attributes: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    failures: Mapped[int] = mapped_column(server_default=text("0"))  # in a row, of the receiver
    resting: Mapped[datetime | None]  # it is left alone until then
    withdrawn: Mapped[datetime | None]
    __table_args__ = (one_of("channel", CHANNELS),)


class Message(Base):
    """An event on its way to a subscriber: the same id at every try, so that it can be known."""

    __tablename__ = "message"
    id: Mapped[UUID] = mapped_column(
        Uuid, primary_key=True, server_default=text("gen_random_uuid()")
    )
    event_id: Mapped[int] = mapped_column(ForeignKey("event.id"))
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscription.id"))
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due: Mapped[datetime] = mapped_column(server_default=NOW)  # when it is tried next
    tried: Mapped[datetime | None]
    error: Mapped[str | None]  # of the last try
    delivered: Mapped[datetime | None]
    dead: Mapped[datetime | None]  # given up: a person decides
    __table_args__ = (
        Index("message_once", "event_id", "subscription_id", unique=True),
        Index(
            "message_waiting",
            "subscription_id",
            "event_id",
            postgresql_where=text("delivered IS NULL AND dead IS NULL"),
        ),
        Index("message_dead", "dead", postgresql_where=text("dead IS NOT NULL")),
    )


class Request(Base):
    """A write that came with an Idempotency-Key, and the answer that it got."""

    __tablename__ = "request"
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    fingerprint: Mapped[str]
    status: Mapped[int]
    headers: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (Index("request_by_time", "created", postgresql_using="brin"),)
