"""Subscriptions: who wants to be told what, and by which channel."""

import json
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.exc import IntegrityError

from data import events
from data.event_kinds import KINDS, TEST

SECRET_BYTES = 32


class SubscriptionError(ValueError):
    """A subscription that cannot be; `field` names what to mend."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message)
        self.field = where


@dataclass(frozen=True)
class NewSubscription:
    """Who wants to be told what.

    Attributes
    ----------
    channel : webhook, email or webpush
    target : where to: a URL, a mailbox, a browser's endpoint
    kinds : of events; none: all
    area : as `village/440604010001`, with all areas below it; None: everywhere
    resource : only what concerns this one
    keys : a browser's `p256dh` and `auth`
    """

    channel: str
    target: str
    kinds: Sequence[str] = ()
    area: str | None = None
    resource: int | None = None
    keys: Mapping[str, str] = field(default_factory=dict)


_INSERT = text("""
INSERT INTO subscription (channel, target, secret, kinds, area_id, resource_id, attributes)
VALUES (:channel, :target, :secret, :kinds, :area_id, :resource, jsonb_strip_nulls(
        jsonb_build_object('keys', CAST(:keys AS jsonb))))
RETURNING id
""")


def add(connection: Connection, new: NewSubscription) -> tuple[int, str]:
    """Add a subscription; it hears of what is numbered from now on.

    Returns its number and its secret, which is not shown again.

    Raises
    ------
    SubscriptionError
        There is no such area, resource or kind of event.
    """
    if unknown := sorted(set(new.kinds) - KINDS.keys()):
        raise SubscriptionError(
            f"there is no kind of event {unknown[0]!r}; there are {', '.join(KINDS)}", "kinds"
        )
    area_id = events.area_named(connection, new.area) if new.area else None
    if new.area and area_id is None:
        raise SubscriptionError(
            f"there is no area {new.area!r}; write it as layer/code, such as "
            "village/440604010001 of /api/v1/areas",
            "area",
        )
    secret = "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    values = {
        "channel": new.channel, "target": new.target, "secret": secret, "kinds": list(new.kinds),
        "area_id": area_id, "resource": new.resource,
        "keys": json.dumps(dict(new.keys)) if new.keys else None,
    }  # fmt: skip
    try:
        number = connection.execute(_INSERT, values).scalar_one()
    except IntegrityError as error:
        raise SubscriptionError(f"there is no resource {new.resource}", "resource") from error
    return int(number), secret


_SHOWN = """
SELECT s.id, s.channel, s.target, s.kinds, a.layer || '/' || a.code AS area,
       s.resource_id AS resource, s.created, s.failures, s.resting, s.withdrawn
FROM subscription s LEFT JOIN area a ON a.id = s.area_id
"""


def get(connection: Connection, number: int) -> RowMapping | None:
    """A subscription without its secret, or None."""
    query = text(f"{_SHOWN} WHERE s.id = :id")
    return connection.execute(query, {"id": number}).mappings().first()


def listed(connection: Connection, *, after: int = 0, limit: int = 100) -> list[RowMapping]:
    """Subscriptions that have not ended, by number; go on with `after` the last one."""
    query = text(f"{_SHOWN} WHERE s.withdrawn IS NULL AND s.id > :after ORDER BY s.id LIMIT :limit")
    return list(connection.execute(query, {"after": after, "limit": limit}).mappings())


_END = text("""
WITH ended AS (
    UPDATE subscription SET withdrawn = now() WHERE id = :id AND withdrawn IS NULL RETURNING id
)
UPDATE message m SET dead = now(), error = coalesce(m.error || ' ', '') || :reason
FROM ended WHERE m.subscription_id = ended.id AND m.delivered IS NULL AND m.dead IS NULL
""")


def end(connection: Connection, number: int, reason: str) -> None:
    """End a subscription; what was still on its way is dead, and says why."""
    connection.execute(_END, {"id": number, "reason": reason})


def test(connection: Connection, number: int) -> int:
    """Send a subscriber a message that says nothing else; returns the number of its event."""
    events.record(connection, TEST, {"subscription": number})
    last = text("SELECT currval(pg_get_serial_sequence('event', 'id'))")
    return int(connection.execute(last).scalar_one())
