"""The channels that the settings allow."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from api.channels import Channel
from api.channels.email import Email, Server
from api.channels.post import Poster
from api.channels.webhook import Webhook
from data.settings import Settings, settings


def _now() -> datetime:
    return datetime.now(UTC)


def allowed(chosen: Settings, poster: Poster) -> dict[str, Channel]:
    """The channels by name; ValueError, with a sentence, if a setting cannot be."""
    found: dict[str, Channel] = {"webhook": Webhook(poster, _now)}
    if chosen.smtp_url:
        found["email"] = Email(Server.of(chosen.smtp_url), chosen.delivery_timeout_s)
    if chosen.vapid_key:
        if not chosen.vapid_contact:
            raise ValueError("WANGGE_VAPID_KEY is set: set WANGGE_VAPID_CONTACT too.")
        from api.channels.webpush import WebPush, key_of  # which brings much along

        found["webpush"] = WebPush(poster, key_of(chosen.vapid_key), chosen.vapid_contact, _now)
    return found


def check(chosen: Settings) -> None:
    """Raise ValueError, with a sentence, if a setting of a channel cannot be."""
    allowed(chosen, Poster(chosen.delivery_timeout_s))


@asynccontextmanager
async def opened() -> AsyncIterator[dict[str, Channel]]:
    """The channels, until they are no longer needed."""
    chosen = settings()
    poster = Poster(chosen.delivery_timeout_s, loopback=chosen.webhook_loopback)
    try:
        yield allowed(chosen, poster)
    finally:
        await poster.close()


def public_key(channels: Mapping[str, Channel]) -> str | None:
    """Of Web Push, for browsers; None where it is not set up."""
    return getattr(channels.get("webpush"), "public_key", None)
