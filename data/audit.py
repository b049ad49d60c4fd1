"""What was done and by whom, in a chain that shows every change to it.

A row is written in the transaction of what it records. A chain inside it would let commits through
one by one, so rows are sealed after the commit, in one order, as events are numbered
(`docs/decisions/0012-numbers-after-commit.md`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data.access import Who

BATCH = 1000
START = bytes(32)  # what the first seal is made from

_RECORD = text("""
INSERT INTO audit (actor, account_id, token_id, action, subject, detail)
VALUES (:actor, :account_id, :token_id, :action, :subject, CAST(:detail AS jsonb))
""")


def record(
    connection: Connection,
    actor: str,
    action: str,
    subject: str = "",
    *,
    account_id: int | None = None,
    token_id: int | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Write down what somebody did, or was refused, to what."""
    values = {
        "actor": actor, "account_id": account_id, "token_id": token_id, "action": action,
        "subject": subject, "detail": json.dumps(detail or {}, ensure_ascii=False, default=str),
    }  # fmt: skip
    connection.execute(_RECORD, values)


def of(connection: Connection, who: Who, **detail: Any) -> None:
    """Write down what somebody is doing."""
    record(
        connection, who.name, who.deed, who.subject, account_id=who.account_id,
        token_id=who.token_id, detail=detail,
    )  # fmt: skip


# --- sealing --------------------------------------------------------------------------------------

PENDING = text("SELECT EXISTS (SELECT FROM audit WHERE seal IS NULL)")
_COLUMNS = "id, at, actor, account_id, token_id, action, subject, detail"
_UNSEALED = text(f"SELECT {_COLUMNS} FROM audit WHERE seal IS NULL ORDER BY id LIMIT :limit")
_LAST = text("SELECT place, seal FROM audit WHERE place IS NOT NULL ORDER BY place DESC LIMIT 1")
_SEAL = text("""
UPDATE audit SET place = s.place, seal = s.seal
FROM unnest(CAST(:ids AS bigint[]), CAST(:places AS bigint[]), CAST(:seals AS bytea[]))
     AS s (id, place, seal)
WHERE audit.id = s.id
""")


def seal(connection: Connection, limit: int = BATCH) -> int:
    """Seal committed rows in their order; to be called by one at a time. How many there were."""
    rows = connection.execute(_UNSEALED, {"limit": limit}).mappings().all()
    if not rows:
        return 0
    last = connection.execute(_LAST).first()
    place, previous = (last.place, bytes(last.seal)) if last else (0, START)
    seals = []
    for row in rows:
        previous = sealed(previous, row)
        seals.append(previous)
    values = {
        "ids": [row["id"] for row in rows], "seals": seals,
        "places": list(range(place + 1, place + 1 + len(rows))),
    }  # fmt: skip
    connection.execute(_SEAL, values)
    return len(rows)


def sealed(previous: bytes, row: RowMapping) -> bytes:
    """The seal of a row after the seal before it."""
    said = {name: row[name] for name in _COLUMNS.split(", ")}
    said["at"] = row["at"].astimezone(UTC).isoformat()
    text_ = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(previous + text_.encode()).digest()


# --- proving --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proof:
    """What came of walking the chain.

    Attributes
    ----------
    rows : how many are sealed and as they were
    head : the last seal; kept elsewhere, it shows later that none was cut off the end
    unsealed : how many were written so recently that they have no seal yet
    fault : what is wrong, naming the row; None: nothing
    """

    rows: int
    head: bytes
    unsealed: int
    fault: str | None = None


_CHAIN = text(f"""
SELECT {_COLUMNS}, place, seal FROM audit WHERE place > :after ORDER BY place LIMIT :limit
""")
_LEFT = text("SELECT count(*) FROM audit WHERE seal IS NULL")
_ALL = text("SELECT count(*) FROM audit WHERE seal IS NOT NULL")


def verify(connection: Connection, head: bytes | None = None) -> Proof:
    """Walk the whole chain; the first row that is not as it was sealed is named.

    Parameters
    ----------
    head : a seal of before, which has to be in the chain still
    """
    left = int(connection.execute(_LEFT).scalar_one())
    place, previous, seen = 0, START, head is None
    for row in _chain(connection):
        if row["place"] != place + 1:
            missing = f"the row at place {place + 1} is missing, before audit row {row['id']}"
            return Proof(place, previous, left, missing)
        if sealed(previous, row) != bytes(row["seal"]):
            changed = (
                f"audit row {row['id']} (place {row['place']}, {row['at'].astimezone(UTC):%F %T} "
                f"UTC, {row['action']}) is not what was sealed"
            )
            return Proof(place, previous, left, changed)
        place, previous = row["place"], bytes(row["seal"])
        seen = seen or previous == head
    if (sealed_ones := connection.execute(_ALL).scalar_one()) != place:
        beside = f"{sealed_ones - place} rows have a seal and no place in the chain"
        return Proof(place, previous, left, beside)
    fault = None if seen else "the seal that was named is not in the chain: rows were cut off"
    return Proof(place, previous, left, fault)


def _chain(connection: Connection) -> Iterator[RowMapping]:
    after = 0
    while rows := connection.execute(_CHAIN, {"after": after, "limit": BATCH}).mappings().all():
        yield from rows
        after = rows[-1]["place"]


# --- reading --------------------------------------------------------------------------------------

_LISTED = text("""
SELECT id, at, actor, account_id AS account, token_id AS token, action, subject, detail, place,
       encode(seal, 'hex') AS seal
FROM audit
WHERE (CAST(:actor AS text) IS NULL OR actor = :actor)
  AND (CAST(:action AS text) IS NULL OR starts_with(action, :action))
  AND (CAST(:since AS timestamptz) IS NULL OR at >= :since)
  AND (CAST(:until AS timestamptz) IS NULL OR at < :until)
  AND (CAST(:before AS bigint) IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit
""")


def listed(
    connection: Connection,
    *,
    actor: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[RowMapping]:
    """What was done, the newest first; `action` is how it begins, `before` the last one seen."""
    asked = {
        "actor": actor, "action": action, "since": since, "until": until, "before": before,
        "limit": limit,
    }  # fmt: skip
    return list(connection.execute(_LISTED, asked).mappings())
