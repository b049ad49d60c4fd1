"""Questions and their answers: asked once, done by a worker, good until reports change.

An answer is good while no report of its days came, changed or went after it was made, and the map
is the same. Changes of reports are known once the indicators are added up, a minute later at most.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, text

from data import jobs, overview

Say = Callable[[str, float], None]


@dataclass(frozen=True)
class Question:
    """What an analysis is asked.

    Attributes
    ----------
    name, version : the analysis and the version of what it computes
    asked : as JSON, alike for alike questions
    first, last : the days of the city whose reports it reads
    area_id : what it is about, by which the answer is seen; None: the whole city
    """

    name: str
    version: int
    asked: Mapping[str, Any]
    first: date
    last: date
    area_id: int | None = None

    def key(self, map_state: tuple[Any, ...]) -> bytes:
        """What tells it from other questions, on the map as it is."""
        said = [self.name, self.version, self.asked, self.area_id, [str(s) for s in map_state]]
        return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


_NEWEST = """
SELECT k.id, k.state, k.share, k.doing, k.made, k.took_s, k.result, k.asked, k.name
FROM analysis k
"""
_GOOD = text(f"""{_NEWEST}
WHERE k.key = :key AND k.state <> 'failed'
  AND (k.made IS NULL OR NOT EXISTS (
    SELECT FROM report_day d WHERE d.day BETWEEN k.first AND k.last AND d.changed > k.made))
ORDER BY k.id DESC LIMIT 1
""")
_BY_ID = text(f"{_NEWEST} WHERE k.id = :id")
_ASK = text("""
INSERT INTO analysis (key, name, asked, area_id, first, last)
VALUES (:key, :name, :asked, :area_id, :first, :last) RETURNING id
""")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(encode(:key, 'hex'), 7))")


def find(connection: Connection, question: Question) -> RowMapping | None:
    """The answer to a question, or how far it is; None: it has to be asked.

    Columns id, state, share, doing, made, took_s, result (see `opened`), asked, name.
    """
    key = question.key(overview.state(connection))
    return connection.execute(_GOOD, {"key": key}).mappings().first()


def ask(connection: Connection, question: Question) -> int:
    """Put a question down for a worker, unless somebody has; its number."""
    found = put_down(connection, question)
    number = int(found["id"])
    if found["state"] != "done":  # a worker that died has left it behind
        jobs.analyse(connection, number)
    return number


def put_down(connection: Connection, question: Question) -> RowMapping:
    """The row of a question as in `find`, put down where there is none; no worker is called."""
    key = question.key(overview.state(connection))
    connection.execute(_LOCK, {"key": key})
    found = connection.execute(_GOOD, {"key": key}).mappings().first()
    if found is not None:
        return found
    said = {
        "key": key, "name": question.name, "asked": orjson.dumps(dict(question.asked)).decode(),
        "area_id": question.area_id, "first": question.first, "last": question.last,
    }  # fmt: skip
    number = connection.execute(_ASK, said).scalar_one()
    return connection.execute(_BY_ID, {"id": number}).mappings().one()


def state(connection: Connection, number: int) -> RowMapping | None:
    """How far an analysis is, by its number; columns as in `find`."""
    return connection.execute(_BY_ID, {"id": number}).mappings().first()


def opened(row: RowMapping) -> dict[str, Any]:
    """The answer that a row holds."""
    found: dict[str, Any] = orjson.loads(zlib.decompress(row["result"]))
    return found


_BEGIN = text("""
UPDATE analysis SET state = 'running', share = 0, doing = '' WHERE id = :id AND state <> 'done'
RETURNING name, asked, area_id
""")
_SAY = text("UPDATE analysis SET share = :share, doing = :doing WHERE id = :id")
_DONE = text("""
UPDATE analysis SET state = 'done', share = 1, doing = '', made = :made, result = :result,
    took_s = extract(epoch FROM clock_timestamp() - :made)
WHERE id = :id
""")
_FAILED = text("UPDATE analysis SET state = 'failed', doing = :why WHERE id = :id")


def begin(connection: Connection, number: int) -> RowMapping | None:
    """What is to be worked out: name, asked, area_id; None: it is done, or gone."""
    return connection.execute(_BEGIN, {"id": number}).mappings().first()


def say(connection: Connection, number: int, doing: str, share: float) -> None:
    """How far it is."""
    connection.execute(_SAY, {"id": number, "doing": doing, "share": share})


def done(connection: Connection, number: int, answer: Mapping[str, Any], made: datetime) -> None:
    """Keep an answer, made from the reports as they were at a moment."""
    packed = zlib.compress(
        orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS), 1
    )
    connection.execute(_DONE, {"id": number, "made": made, "result": packed})


def failed(connection: Connection, number: int, why: str) -> None:
    """Say why there is no answer; whoever asks again starts it anew."""
    connection.execute(_FAILED, {"id": number, "why": why})


_CLEAN = text("""
DELETE FROM analysis k
WHERE k.created < CAST(:now AS timestamptz) - interval '90 days'
   OR k.created < CAST(:now AS timestamptz) - interval '1 day'
      AND EXISTS (SELECT FROM analysis n WHERE n.key = k.key AND n.id > k.id)
""")


def clean(connection: Connection, now: datetime) -> int:
    """Forget what is old, or was made anew since; how many."""
    return connection.execute(_CLEAN, {"now": now}).rowcount
