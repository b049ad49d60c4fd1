"""The ways out: a channel takes a message to somebody, or says why it could not.

Another channel is another class with `check` and `deliver`, and a line in `channels`.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from api.answers import dumps
from data.messages import Message


class NotDeliveredError(Exception):
    """A try that failed; the sentence is kept with the message.

    Parameters
    ----------
    tries : after how many tries in all to give up; None: the usual number
    down : the receiver itself is out of order, so that other messages would fare no better
    wait_s : how long the receiver asked to be left alone, seconds
    ended : the receiver is gone for good, and the subscription with it
    status : of the answer, if it was one of HTTP
    """

    def __init__(
        self,
        message: str,
        *,
        tries: int | None = None,
        down: bool = False,
        wait_s: float | None = None,
        ended: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.tries, self.down, self.wait_s, self.ended = tries, down, wait_s, ended
        self.status = status


class Channel(Protocol):
    """A way out."""

    def check(self, target: str, keys: Mapping[str, str]) -> None:
        """Raise ValueError, with a sentence, if nothing could ever be delivered there."""
        ...

    async def deliver(self, message: Message) -> None:
        """Deliver, or raise `NotDeliveredError`."""
        ...


def payload(message: Message) -> bytes:
    """What a subscriber receives: the same bytes at every try."""
    event = message.event
    told: dict[str, Any] = {"type": event.kind, "timestamp": event.at, "data": event.shown()}
    return dumps(told)
