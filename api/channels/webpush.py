"""Web Push (RFC 8030): to a browser that may be closed, encrypted so that only it can read."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from py_vapid.utils import b64urlencode
from pywebpush import WebPusher

from api.channels import NotDeliveredError, payload
from api.channels.post import Poster
from data.messages import Message

KEPT_S = 24 * 3600  # by the push service, for a browser that is closed
MOST_BYTES = 3800  # push services take 4 KB with what encryption adds


def key_of(text: str) -> Any:
    """The key that a setting holds or names a file of; ValueError if it is none."""
    try:
        if Path(text).is_file():
            return Vapid02.from_pem(Path(text).read_bytes())
        return Vapid02.from_string(text)
    except Exception as error:
        raise ValueError(
            "WANGGE_VAPID_KEY is no private key; `.venv/bin/vapid --gen` writes one to "
            "private_key.pem: name that file."
        ) from error


class WebPush:
    """Pushes the event to a browser."""

    def __init__(
        self, poster: Poster, key: Any, contact: str, clock: Callable[[], datetime]
    ) -> None:
        self._poster, self._key, self._contact, self._clock = poster, key, contact, clock

    @property
    def public_key(self) -> str:
        """What a browser needs to subscribe (`applicationServerKey`)."""
        point = self._key.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return str(b64urlencode(point))

    def check(self, target: str, keys: Mapping[str, str]) -> None:
        """Raise ValueError if nothing can be encrypted for that browser or sent there."""
        self._poster.check(target)
        try:
            WebPusher({"endpoint": target, "keys": dict(keys)}).encode(b"{}")
        except Exception as error:
            raise ValueError(
                "These are no keys of a browser; give p256dh and auth as PushSubscription.toJSON() "
                "has them."
            ) from error

    async def deliver(self, message: Message) -> None:
        """Encrypt it and hand it to the browser's push service."""
        body = payload(message)
        if len(body) > MOST_BYTES:
            raise NotDeliveredError("The event is too large to be pushed.", tries=1)
        pusher = WebPusher({"endpoint": message.target, "keys": dict(message.keys)})
        parts = urlsplit(message.target)
        until = self._clock() + timedelta(hours=12)
        signed = self._key.sign(
            {
                "aud": f"{parts.scheme}://{parts.netloc}",
                "sub": self._contact,
                "exp": int(until.timestamp()),
            }
        )
        headers = {
            **signed,
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(KEPT_S),
        }
        try:
            await self._poster.post(message.target, pusher.encode(body)["body"], headers)
        except NotDeliveredError as error:
            if error.status == HTTPStatus.NOT_FOUND:  # the browser unsubscribed
                error.tries, error.ended = 1, True
            raise
