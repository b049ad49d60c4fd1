"""Answers to writes that came with an Idempotency-Key, given again when the write comes again.

The key's row is written in the transaction of the write: whoever comes with it meanwhile waits for
that transaction, and what fails leaves no trace.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

KEPT = timedelta(hours=24)


class KeyReusedError(ValueError):
    """The key came before with another request."""


@dataclass(frozen=True)
class Answer:
    """An answer as it was sent."""

    status: int
    headers: dict[str, str]
    body: bytes


_CLAIM = text("""
INSERT INTO request (route, key, fingerprint, status, body)
VALUES (:route, :key, :fingerprint, 0, '') ON CONFLICT DO NOTHING RETURNING true
""")
_FOUND = text("""
SELECT fingerprint, status, headers, body FROM request WHERE route = :route AND key = :key
""")
_KEEP = text("""
UPDATE request SET status = :status, headers = :headers, body = :body
WHERE route = :route AND key = :key
""").bindparams(bindparam("headers", type_=JSONB))


def claim(connection: Connection, route: str, key: str, fingerprint: str) -> Answer | None:
    """Take the key for this transaction, or return the answer that it got before.

    If another transaction has just taken it, wait for its end.

    Parameters
    ----------
    fingerprint : of the request; the same key is for the same request only

    Raises
    ------
    KeyReusedError
        It was another request's.
    """
    asked = {"route": route, "key": key, "fingerprint": fingerprint}
    while not connection.execute(_CLAIM, asked).scalar():
        found = connection.execute(_FOUND, asked).first()
        if found is None:  # cleaned away between the two
            continue
        if found.fingerprint != fingerprint:
            raise KeyReusedError(key)
        return Answer(found.status, found.headers, found.body)
    return None


def keep(connection: Connection, route: str, key: str, answer: Answer) -> None:
    """Keep the answer of the write that claimed the key in this transaction."""
    connection.execute(_KEEP, {"route": route, "key": key, **vars(answer)})


def clean(connection: Connection) -> int:
    """Forget the answers older than `KEPT`, to be done now and then; how many there were."""
    done = connection.execute(
        text("DELETE FROM request WHERE created < now() - CAST(:kept AS interval)"), {"kept": KEPT}
    )
    return done.rowcount
