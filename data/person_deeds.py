"""Proof of what was done with personal data, kept without the data and only ever added to."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

_DEED = text("""
INSERT INTO person_deed (at, deed, actor, reason, person, cases, held, parties)
VALUES (:at, :deed, :actor, :reason, :person, :cases, :held, :parties) RETURNING id
""")


def prove(
    connection: Connection,
    deed: str,
    *,
    actor: str,
    reason: str,
    at: datetime,
    concerned: Sequence[int],
    parties: int,
    person: bytes | None = None,
    held: Sequence[int] = (),
) -> int:
    """Write down what was done; the proof's number.

    Parameters
    ----------
    deed : of `data.schema.people.DEEDS`
    concerned : numbers of the cases in which it was done
    held : of those in which it could not be, for they are open
    parties : to how many rows
    person : the fingerprint by which they were found
    """
    values = {
        "at": at, "deed": deed, "actor": actor, "reason": reason, "person": person,
        "cases": list(concerned), "held": list(held), "parties": parties,
    }  # fmt: skip
    return int(connection.execute(_DEED, values).scalar_one())
