"""Who is told of what happens, and what became of every message."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from pydantic import Field
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import may
from api.answers import NO_STORE, Json
from api.channels import Channel
from api.channels.ways import public_key
from api.deps import Db
from api.once import Once
from api.problems import Problem, documented
from api.schemas import BIGGEST, Incoming, Line, Word
from api.schemas_events import (
    Message,
    Messages,
    NewSubscription,
    PushKey,
    Subscription,
    Subscriptions,
    TestSent,
)
from data import messages, subscriptions
from data.subscriptions import NewSubscription as New

router = APIRouter(prefix="/api/v1", tags=["messages"])
Id = Annotated[int, Path(ge=1, le=BIGGEST, description="the subscription's number", examples=[1])]
MessageId = Annotated[UUID, Path(description="the message's id, as webhook-id")]
State = Literal["waiting", "delivered", "dead"]


def _channels(request: Request) -> Mapping[str, Channel]:
    found: Mapping[str, Channel] = request.app.state.channels
    return found


Channels = Annotated[Mapping[str, Channel], Depends(_channels)]


class Keys(Incoming):
    """A browser's keys, from PushSubscription.toJSON()."""

    p256dh: Word
    auth: Word


class Wish(Incoming):
    """What somebody wants to be told, and where."""

    channel: Literal["webhook", "email", "webpush"]
    target: Line = Field(description="a URL, a mailbox, or a browser's endpoint")
    kinds: list[Word] = Field(default_factory=list, max_length=100, description="none: all")
    area: Word | None = Field(None, description="layer/code: in that area or one below it")
    resource: int | None = Field(None, ge=1, le=BIGGEST, description="what concerns it alone")
    keys: Keys | None = Field(None, description="for webpush")


@router.post(
    "/subscriptions",
    dependencies=[may("subscription.manage")],
    status_code=201,
    summary="Be told of what happens",
    responses={
        201: {"model": NewSubscription, **examples.ok(examples.SUBSCRIBED)},
        **documented(
            "validation",
            "channel-unavailable",
            "key-reused",
            "not-json",
            "wrong-content-type",
            "too-large",
        ),
    },
)
async def subscribe(
    wish: Annotated[Wish, Body(openapi_examples=examples.SUBSCRIBE_REQUEST)],
    once: Once,
    channels: Channels,
) -> Response:
    """From now on, by webhook, e-mail or Web Push; the secret is in this answer alone."""
    channel = channels.get(wish.channel)
    if channel is None:
        raise Problem("channel-unavailable", field="channel")
    keys = wish.keys.model_dump() if wish.keys else {}
    try:
        channel.check(wish.target, keys)
    except ValueError as error:
        raise Problem("validation", f"target: {error}", field="target") from error
    return await once(
        _subscribe,
        New(wish.channel, wish.target, tuple(wish.kinds), wish.area, wish.resource, keys),
    )


def _subscribe(connection: Connection, new: New) -> Response:
    try:
        number, secret = subscriptions.add(connection, new)
    except subscriptions.SubscriptionError as error:
        detail = f"{error.field}: {error}."
        raise Problem("validation", detail, field=error.field) from error
    shown = {**_found(subscriptions.get(connection, number), number), "secret": secret}
    location = f"{router.prefix}/subscriptions/{number}"
    return Json(shown, 201, {"Location": location, **NO_STORE})


@router.get(
    "/subscriptions",
    dependencies=[may("subscription.manage")],
    summary="List the subscriptions",
    responses={
        200: {"model": Subscriptions, **examples.ok(examples.SUBSCRIPTIONS)},
        **documented("validation"),
    },
)
async def listing(
    db: Db,
    after: Annotated[int, Query(ge=0, le=BIGGEST, description="number of the last one seen")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Those that have not ended, by number, without their secrets."""
    rows = await db.read(subscriptions.listed, after=after, limit=limit)
    more = {"limit": limit, "after": rows[-1]["id"]} if len(rows) == limit else None
    next_ = f"{router.prefix}/subscriptions?{urlencode(more)}" if more else None
    return Json({"subscriptions": [dict(row) for row in rows], "next": next_}, headers=NO_STORE)


@router.get(
    "/subscriptions/webpush",
    dependencies=[may("subscription.manage")],
    summary="Read the key with which browsers subscribe",
    responses={
        200: {"model": PushKey, **examples.ok(examples.PUSH_KEY)},
        **documented("channel-unavailable"),
    },
)
async def push_key(channels: Channels) -> Response:
    """For PushManager.subscribe() in a browser."""
    key = public_key(channels)
    if key is None:
        raise Problem("channel-unavailable")
    return Json({"key": key})


@router.get(
    "/subscriptions/{id}",
    dependencies=[may("subscription.manage")],
    summary="Read a subscription",
    responses={
        200: {"model": Subscription, **examples.ok(examples.SUBSCRIPTION)},
        **documented("validation", "subscription-unknown"),
    },
)
async def read(id: Id, db: Db) -> Response:
    """A subscription, also one that has ended, without its secret."""
    row = await db.read(subscriptions.get, id)
    return Json(_found(row, id), headers=NO_STORE)


@router.delete(
    "/subscriptions/{id}",
    dependencies=[may("subscription.manage")],
    summary="End a subscription",
    responses={
        200: {"model": Subscription, **examples.ok(examples.ENDED)},
        **documented("validation", "subscription-unknown", "key-reused"),
    },
)
async def end(id: Id, once: Once) -> Response:
    """What is still on its way is dropped, and listed as dead. Ended twice is ended once."""
    return await once(lambda c: Json(_end(c, id), headers=NO_STORE))


def _end(connection: Connection, number: int) -> dict[str, Any]:
    subscriptions.end(connection, number, "The subscription was ended.")
    return _found(subscriptions.get(connection, number), number)


@router.post(
    "/subscriptions/{id}/test",
    dependencies=[may("subscription.manage")],
    status_code=202,
    summary="Send a test to a subscriber",
    responses={
        202: {"model": TestSent, **examples.ok(examples.TEST_SENT)},
        **documented("validation", "subscription-unknown", "key-reused"),
    },
)
async def test(id: Id, once: Once) -> Response:
    """An event `subscription.test` for this subscriber alone, signed and delivered like any."""
    return await once(_test, id)


def _test(connection: Connection, number: int) -> Response:
    if _found(subscriptions.get(connection, number), number)["withdrawn"] is not None:
        raise _unknown(number)
    subscriptions.test(connection, number)
    followed = f"{router.prefix}/messages?subscription={number}"
    return Json({"subscription": number, "messages": followed}, 202, NO_STORE)


@router.get(
    "/messages",
    dependencies=[may("subscription.manage")],
    summary="List messages",
    responses={
        200: {"model": Messages, **examples.ok(examples.MESSAGES)},
        **documented("validation"),
    },
)
async def message_list(
    db: Db,
    state: Annotated[State | None, Query(description="dead: given up")] = None,
    subscription: Annotated[int | None, Query(ge=1, le=BIGGEST)] = None,
    before: Annotated[int | None, Query(ge=1, le=BIGGEST, description="`seq` seen last")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Newest first. Those of one event are on one page, so that it may be a little longer."""
    rows = await db.read(
        messages.listed, state, subscription=subscription, before=before, limit=limit
    )
    next_ = None
    if len(rows) >= limit:
        asked = {"state": state, "subscription": subscription, "limit": limit}
        more = {name: value for name, value in asked.items() if value is not None}
        next_ = f"{router.prefix}/messages?{urlencode(more | {'before': rows[-1]['seq']})}"
    return Json({"messages": [dict(row) for row in rows], "next": next_}, headers=NO_STORE)


@router.post(
    "/messages/{id}/retry",
    dependencies=[may("subscription.manage")],
    summary="Try a dead message again",
    responses={
        200: {"model": Message, **examples.ok(examples.MESSAGE)},
        **documented("validation", "message-unknown", "message-not-dead", "key-reused"),
    },
)
async def retry(id: MessageId, once: Once) -> Response:
    """Once, at once, with the same id; if it fails it is dead again."""
    return await once(lambda c: Json(_retry(c, id), headers=NO_STORE))


def _retry(connection: Connection, number: UUID) -> dict[str, Any]:
    done = messages.retry(connection, number)
    row = messages.get(connection, number)
    if row is None:
        raise Problem("message-unknown", f"There is no message {number}.", field="id")
    if not done:
        raise Problem("message-not-dead", field="id")
    return dict(row)


def _found(row: RowMapping | None, number: int) -> dict[str, Any]:
    if row is None:
        raise _unknown(number)
    return dict(row)


def _unknown(number: int) -> Problem:
    detail = f"There is no subscription {number} in force."
    return Problem("subscription-unknown", detail, field="id")
