"""Webhooks, signed as the Standard Webhooks specification says."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256

from api.channels import payload
from api.channels.post import Poster
from data.messages import Message


def signature(secret: str, number: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature: HMAC-SHA256 over id, time and body.

    Parameters
    ----------
    secret : `whsec_` and the key in base64
    timestamp : of this try, seconds since 1970; a receiver refuses old ones
    """
    key = b64decode(secret.removeprefix("whsec_"))
    signed = b".".join((number.encode(), str(timestamp).encode(), body))
    return "v1," + b64encode(hmac.new(key, signed, sha256).digest()).decode()


class Webhook:
    """Posts the event to a system's own address."""

    def __init__(self, poster: Poster, clock: Callable[[], datetime]) -> None:
        self._poster, self._clock = poster, clock

    def check(self, target: str, keys: Mapping[str, str]) -> None:
        """Raise ValueError if the target is no address to post to."""
        self._poster.check(target)

    async def deliver(self, message: Message) -> None:
        """Post it, signed."""
        body, number, now = payload(message), str(message.id), int(self._clock().timestamp())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": number,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(message.secret, number, now, body),
        }
        await self._poster.post(message.target, body, headers)
