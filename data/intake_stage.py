"""Between a file and `report`: batches staged one by one, moved together in one transaction.

A batch is staged in an unlogged table of its own, there whole or not at all, so that a run that was
cut off knows which it has; a crash of the server empties them, and they are staged again. The
transaction that moves them into `report` runs beside the staging of the next ones and is committed
at the end, so a file is in `report` whole or not at all, too.
"""

import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from data.binary_copy import encode
from gis.addresses import parse as parse_addresses

COLUMNS = (
    "external_id", "occurred", "channel", "kind", "premises", "description", "address", "x", "y",
    "datum", "accuracy_m", "lon", "lat", "attributes", "area_id", "version_id", "method",
    "ambiguous", "border_m", "alternatives", "triage", "settled",
)  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """A run: its number, the moment whose knowledge counts, and the batches staged before."""

    id: int
    known: datetime
    staged: set[int]


_OPEN = text("""
INSERT INTO intake (source, file, fingerprint) VALUES (:source, :file, :mark)
ON CONFLICT (fingerprint) WHERE finished IS NULL DO UPDATE SET file = excluded.file
RETURNING id, started
""")

_BEGIN_ANEW = text("UPDATE intake SET started = now() WHERE id = :id RETURNING started")

# Cut-off runs of the same file that nobody can carry on: it, the options or the map are others now.
_GIVEN_UP = text("""
SELECT id FROM intake
WHERE finished IS NULL AND source = :source AND file = :file AND fingerprint <> :mark
  AND pg_try_advisory_xact_lock(CAST(CAST('x' || left(fingerprint, 16) AS bit(64)) AS bigint))
""")

_STAGE = """
CREATE UNLOGGED TABLE {name} (
    external_id text, occurred timestamptz, channel text, kind text, premises text,
    description text, address text, x double precision, y double precision, datum text,
    accuracy_m double precision, lon double precision, lat double precision, attributes jsonb,
    area_id bigint, version_id bigint, method text, ambiguous boolean, border_m double precision,
    alternatives jsonb, triage text, settled text
)
"""


def open_run(connection: Connection, source: str, file: str, mark: str) -> Opened:
    """Begin a run, or find the one that was cut off."""
    asked = {"source": source, "file": file, "mark": mark}
    for number in connection.execute(_GIVEN_UP, asked).scalars().all():
        forget(connection, number)
    row = connection.execute(_OPEN, asked).one()
    staged = set()
    for number, name in _tables(connection, row.id).items():
        if connection.execute(text(f"SELECT EXISTS (SELECT 1 FROM {name})")).scalar_one():
            staged.add(number)
        else:  # emptied by a crash
            connection.execute(text(f"DROP TABLE {name}"))
    known = row.started
    if not staged:  # nothing is placed yet: by what is known now
        known = connection.execute(_BEGIN_ANEW, {"id": row.id}).scalar_one()
    return Opened(row.id, known, staged)


def forget(connection: Connection, number: int) -> None:
    """Remove a run and what it staged."""
    _drop_tables(connection, number)
    connection.execute(text("DELETE FROM intake WHERE id = :id"), {"id": number})


def _tables(connection: Connection, run: int) -> dict[int, str]:
    """The run's staging tables by the number of their batch."""
    names = connection.execute(
        text(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
            " AND tablename LIKE :like"
        ),
        {"like": f"intake\\_{run}\\_%"},
    )
    return {int(name.rsplit("_", 1)[1]): name for name in names.scalars()}


def _drop_tables(connection: Connection, run: int) -> None:
    for name in _tables(connection, run).values():
        connection.execute(text(f"DROP TABLE {name}"))


def stage(engine: Engine, run: int, number: int, table: pa.Table) -> None:
    """Stage a batch, whole or not at all."""
    name = f"intake_{run}_{number}"
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
        connection.execute(text(_STAGE.format(name=name)))
        cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        with cursor.copy(f"COPY {name} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)") as copy:
            for piece in encode(table.select(COLUMNS), json=("attributes", "alternatives")):
                copy.write(piece)


# --- into place -----------------------------------------------------------------------------------

_MOVE = """
INSERT INTO report (source, external_id, occurred, channel, kind, premises, description, address,
    x, y, datum, accuracy_m, geom, attributes, layer, area_id, version_id, method, ambiguous,
    border_m, alternatives, at, known, triage)
SELECT :source, external_id, occurred, channel, kind, premises, description, address, x, y, datum,
    accuracy_m, ST_SetSRID(ST_MakePoint(lon, lat), 4326),
    coalesce(attributes, jsonb_build_object()),
    :layer, area_id, version_id, method, ambiguous, border_m, alternatives,
    coalesce(occurred, CAST(:known AS timestamptz)), CAST(:known AS timestamptz), triage
FROM {name}
"""

_LEAVE_KNOWN = "ON CONFLICT (source, external_id) DO NOTHING"

_COUNT = "SELECT count(*), count(area_id), count(*) FILTER (WHERE ambiguous) FROM {name}"

_CONFIRM = """
WITH settled AS (
    SELECT r.id, r.geom, r.ambiguous, r.area_id AS before, r.premises, r.address, a.id AS area_id,
           v.id AS version_id
    FROM {name} s
    JOIN report r ON r.source = :source AND r.external_id = s.external_id
    JOIN area a ON a.layer = :layer AND a.code = s.settled
    JOIN area_version v ON v.area_id = a.id AND v.valid @> r.at AND upper_inf(v.recorded)
    WHERE r.geom IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM confirmation c WHERE c.report_id = r.id AND c.area_id = a.id)
), moved AS (
    UPDATE report r SET area_id = s.area_id, version_id = s.version_id, method = 'confirmed',
           triage = NULL
    FROM settled s WHERE r.id = s.id
)
SELECT * FROM settled ORDER BY id
"""

_REMEMBER = text("""
INSERT INTO confirmation (report_id, layer, area_id, geom, informative, street, block, side,
                          premises, recorded, reason)
SELECT t.id, :layer, t.area_id, r.geom, t.informative, nullif(t.street, ''), nullif(t.block, ''),
       nullif(t.side, -1), r.premises, 'infinity', :reason
FROM unnest(CAST(:ids AS bigint[]), CAST(:areas AS bigint[]), CAST(:informative AS boolean[]),
            CAST(:streets AS text[]), CAST(:blocks AS text[]), CAST(:sides AS integer[]))
     t (id, area_id, informative, street, block, side)
JOIN report r ON r.id = t.id
""")

_STAMP = text(
    "UPDATE confirmation SET recorded = clock_timestamp() + interval '500 ms'"
    " WHERE recorded = 'infinity' RETURNING recorded"
)

_FINISH = text(
    "UPDATE intake SET finished = clock_timestamp(), counts = CAST(:counts AS jsonb) WHERE id = :id"
)


class Mover:
    """Moves staged batches into `report`, one after the other, in a transaction of its own thread.

    Left without `commit`, everything is as before, and what was staged stays for the next start.
    """

    def __init__(
        self, engine: Engine, opened: Opened, source: str, layer: str, confirm: str | None
    ) -> None:
        self._engine, self._opened, self._confirm = engine, opened, confirm
        self._asked = {"source": source, "layer": layer, "known": opened.known}
        self._pool = ThreadPoolExecutor(1)
        self._under_way: list[Future[None]] = []
        self._connection = engine.connect()
        self._all_new = True
        self.staged = self.added = self.placed = self.ambiguous = self.confirmed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._pool.shutdown(wait=True, cancel_futures=True)
        with suppress(SQLAlchemyError):  # a server that went away has rolled back
            self._connection.close()

    def put(self, number: int) -> None:
        """Move a staged batch as soon as those before are moved; raise what went wrong so far."""
        for done in [f for f in self._under_way if f.done()]:
            done.result()
            self._under_way.remove(done)
        self._under_way.append(self._pool.submit(self._move, f"intake_{self._opened.id}_{number}"))

    def wait(self) -> None:
        """Until every batch is moved."""
        for each in self._under_way:
            each.result()
        self._under_way.clear()

    def commit(self, counts: dict[str, int]) -> None:
        """Make it all count, remove what was staged, and wait until what was confirmed is known."""
        self.wait()
        connection = self._connection
        finished = {"id": self._opened.id, "counts": json.dumps(counts)}
        connection.execute(_FINISH, finished)
        _drop_tables(connection, self._opened.id)
        known = connection.execute(_STAMP).scalars().all() if self.confirmed else []
        connection.commit()
        if known:
            connection.execute(text("SELECT pg_sleep_until(:moment)"), {"moment": max(known)})
            connection.rollback()

    def _move(self, name: str) -> None:
        connection = self._connection
        staged, placed, ambiguous = connection.execute(text(_COUNT.format(name=name))).one()
        self.staged += staged
        self.placed += placed
        self.ambiguous += ambiguous
        self.added += self._insert(_MOVE.format(name=name))
        if self._confirm:
            rows = connection.execute(text(_CONFIRM.format(name=name)), self._asked).all()
            self._remember(rows)

    def _insert(self, move: str) -> int:
        """Rows that were not there before.

        Most files bring nothing but new ones, and PostgreSQL is a quarter faster if it need not
        ask for each first; the first one that is there ends that.
        """
        connection = self._connection
        if self._all_new:
            try:
                with connection.begin_nested():
                    return connection.execute(text(move), self._asked).rowcount
            except IntegrityError as error:
                if not isinstance(error.orig, UniqueViolation):
                    raise
                self._all_new = False
        return connection.execute(text(move + _LEAVE_KNOWN), self._asked).rowcount

    def _remember(self, rows: Sequence[Any]) -> None:
        if not rows:
            return
        parsed = parse_addresses([row.address or "" for row in rows])
        self._connection.execute(
            _REMEMBER,
            {
                "layer": self._asked["layer"], "reason": f"settled in {self._confirm}",
                "ids": [row.id for row in rows], "areas": [row.area_id for row in rows],
                "informative": [row.ambiguous or row.before != row.area_id for row in rows],
                "streets": list(parsed.street), "blocks": list(parsed.block),
                "sides": [int(s) for s in parsed.side],
            },
        )  # fmt: skip
        self.confirmed += len(rows)
