"""Messages: events on their way to subscribers, and what came of every try.

A subscriber's messages go out in their order along a lane: one job at a time, in any worker, sends
a few at once (`docs/decisions/0013-a-lane-for-each-subscriber.md`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from data import jobs
from data.events import COLUMNS, Event, of_row
from data.settings import settings
from data.subscriptions import end

AT_ONCE = 8  # messages to one subscriber under way at the same time
LONGEST_WAIT_S = 3600.0  # between two tries of a message
LONGEST_REST_S = 60.0  # for which a receiver that fails is left alone
MOST_ERROR = 500  # characters of an error that are kept

# The same choice as `events.Filter` makes for streams.
_WRITE = text("""
INSERT INTO message (event_id, subscription_id)
SELECT e.id, s.id
FROM event e JOIN subscription s ON s.withdrawn IS NULL AND CASE
    WHEN e.kind = 'subscription.test' THEN e.data->'subscription' = to_jsonb(s.id)
    ELSE (s.kinds = '{}' OR e.kind = ANY (s.kinds))
     AND (s.area_id IS NULL OR s.area_id = ANY (e.areas))
     AND (s.resource_id IS NULL OR s.resource_id = e.resource_id) END
WHERE e.id = ANY (:events)
ON CONFLICT (event_id, subscription_id) DO NOTHING
""")


def write(connection: Connection, events: Sequence[int]) -> None:
    """Make the messages of events that have just got their numbers, and call the workers."""
    if connection.execute(_WRITE, {"events": list(events)}).rowcount:
        jobs.start_lanes(connection)


# --- one subscriber's lane ------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """An event for a subscriber; `id` is the same at every try."""

    id: UUID
    channel: str
    target: str
    secret: str
    keys: Mapping[str, str]  # a browser's
    event: Event


@dataclass(frozen=True)
class Verdict:
    """What came of a try.

    Attributes
    ----------
    error : what went wrong; None: delivered
    tries : after how many tries in all the message is dead; None: the usual number
    down : the receiver itself is out of order, so that others would fare no better
    wait_s : how long the receiver asked to be left alone
    ended : the receiver is gone for good
    """

    message: UUID
    error: str | None = None
    tries: int | None = None
    down: bool = False
    wait_s: float | None = None
    ended: bool = False


# A receiver that fails is asked with one message; the others wait and lose no try.
_DUE = text(f"""
SELECT m.id, s.channel, s.target, s.secret, s.attributes->'keys' AS keys, {COLUMNS}
FROM subscription s
JOIN message m ON m.subscription_id = s.id
JOIN event e ON e.id = m.event_id
LEFT JOIN area a ON a.id = e.area_id
WHERE s.id = :subscription AND s.withdrawn IS NULL AND (s.resting IS NULL OR s.resting <= now())
  AND m.delivered IS NULL AND m.dead IS NULL AND m.due <= now()
ORDER BY m.event_id
LIMIT (SELECT CASE WHEN failures > 0 THEN 1 ELSE :at_once END
       FROM subscription WHERE id = :subscription)
""")


def due(connection: Connection, subscription: int) -> list[Message]:
    """A subscriber's next messages, oldest first; none while it rests or when it has ended."""
    asked = {"subscription": subscription, "at_once": AT_ONCE}
    rows = connection.execute(_DUE, asked).mappings()
    return [
        Message(
            row["id"], row["channel"], row["target"], row["secret"], row["keys"] or {}, of_row(row)
        )
        for row in rows
    ]


# Whoever changes a subscription and its messages takes the subscription first, as ending one does.
_HOLD = text("SELECT FROM subscription WHERE id = :subscription FOR NO KEY UPDATE")
_DELIVERED = text("""
UPDATE message SET attempts = attempts + 1, tried = now(), delivered = now(), error = NULL,
                   dead = NULL
WHERE id = :message AND delivered IS NULL
""")
# The wait is doubled at every try, and drawn from its upper half so that many do not come at once.
_FAILED = text("""
UPDATE message
SET attempts = attempts + 1, tried = now(), error = :error,
    dead = CASE WHEN attempts + 1 >= :tries THEN now() END,
    due = now() + make_interval(secs => greatest(:wait_s, (0.5 + random() / 2)
          * least(:longest_s, :first_s * 2.0 ^ least(attempts, 30))))
WHERE id = :message AND delivered IS NULL AND dead IS NULL
""")
_RESTED = text("UPDATE subscription SET failures = 0, resting = NULL WHERE id = :subscription")
_REST = text("""
UPDATE subscription
SET failures = failures + 1,
    resting = now() + make_interval(secs => greatest(:wait_s,
              least(:longest_s, :first_s * 2.0 ^ least(failures, 30))))
WHERE id = :subscription
""")


def note(connection: Connection, subscription: int, verdicts: Sequence[Verdict]) -> None:
    """Write down what came of tries that were made together.

    A receiver of which every try says that it is down is left alone for a while, so that it takes
    up nobody's time; one that answers is not, whatever it says of a single message.
    """
    chosen = settings()
    connection.execute(_HOLD, {"subscription": subscription})
    for verdict in verdicts:
        if verdict.error is None:
            connection.execute(_DELIVERED, {"message": verdict.message})
        else:
            values = {
                "message": verdict.message,
                "error": verdict.error[:MOST_ERROR],
                "tries": min(verdict.tries or chosen.delivery_tries, chosen.delivery_tries),
                "wait_s": verdict.wait_s or 0.0,
                "longest_s": LONGEST_WAIT_S,
                "first_s": chosen.delivery_wait_s,
            }
            connection.execute(_FAILED, values)
    if any(verdict.ended for verdict in verdicts):
        end(connection, subscription, "The receiver is gone for good.")
    elif all(verdict.down for verdict in verdicts):
        wait_s = max(verdict.wait_s or 0.0 for verdict in verdicts)
        connection.execute(
            _REST,
            {"subscription": subscription, "wait_s": wait_s, "longest_s": LONGEST_REST_S,
             "first_s": chosen.delivery_wait_s},
        )  # fmt: skip
    else:
        connection.execute(_RESTED, {"subscription": subscription})


# --- looked at, and tried again by a person -------------------------------------------------------

STATES = {
    "waiting": "m.delivered IS NULL AND m.dead IS NULL",
    "delivered": "m.delivered IS NOT NULL",
    "dead": "m.dead IS NOT NULL",
}
_SHOWN = """
SELECT m.id, m.subscription_id AS subscription, m.created, m.attempts, m.tried, m.error,
       m.delivered, m.dead, CASE WHEN m.delivered IS NULL AND m.dead IS NULL THEN m.due END AS due,
       e.kind, e.seq, CASE WHEN m.delivered IS NOT NULL THEN 'delivered'
       WHEN m.dead IS NOT NULL THEN 'dead' ELSE 'waiting' END AS state
FROM message m JOIN event e ON e.id = m.event_id
"""


def listed(
    connection: Connection,
    state: str | None = None,
    *,
    subscription: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[RowMapping]:
    """Messages, newest first; go on with `before` the `seq` of the last one's event.

    Those of one event stay together, so that there may be a few more than `limit`.
    """
    where = STATES[state] if state else "true"
    asked = {"subscription": subscription, "before": before, "limit": limit}
    query = text(f"""
        {_SHOWN} WHERE {where}
          AND (CAST(:subscription AS bigint) IS NULL OR m.subscription_id = :subscription)
          AND (CAST(:before AS bigint) IS NULL OR e.seq < :before)
        ORDER BY e.seq DESC FETCH FIRST :limit ROWS WITH TIES
    """)
    return list(connection.execute(query, asked).mappings())


def get(connection: Connection, message: UUID) -> RowMapping | None:
    """One message, or None."""
    query = text(f"{_SHOWN} WHERE m.id = :id")
    return connection.execute(query, {"id": message}).mappings().first()


_DEAD = text("""
SELECT s.id FROM subscription s JOIN message m ON m.subscription_id = s.id
WHERE m.id = :id AND m.dead IS NOT NULL AND s.withdrawn IS NULL FOR NO KEY UPDATE OF s
""")
_RETRY = text("UPDATE message SET dead = NULL, due = now() WHERE id = :id AND dead IS NOT NULL")


def retry(connection: Connection, message: UUID) -> bool:
    """Try a dead message once more at once; False if it is not dead or its subscription ended."""
    subscription = connection.execute(_DEAD, {"id": message}).scalar()
    if subscription is None or not connection.execute(_RETRY, {"id": message}).rowcount:
        return False
    connection.execute(_RESTED, {"subscription": subscription})
    jobs.start_lanes(connection)
    return True
