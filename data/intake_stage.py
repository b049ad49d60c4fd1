"""Between a file and its table: batches staged one by one, moved together in one transaction.

A batch is staged in an unlogged table of its own, there whole or not at all, so that a run that was
cut off knows which it has; a crash of the server empties them, and they are staged again. The
transaction that moves them into place runs beside the staging of the next ones and is committed at
the end, so a file is in the table whole or not at all, too.
"""

import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

import pyarrow as pa
from psycopg.errors import UniqueViolation
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from data.binary_copy import encode
from data.intake_options import Summary
from data.intake_target import Target


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


def stage(engine: Engine, run: int, number: int, table: pa.Table, types: Mapping[str, str]) -> None:
    """Stage a batch, whole or not at all; `types` are those of its columns in the database."""
    name, columns = f"intake_{run}_{number}", ", ".join(types)
    declared = ", ".join(f"{column} {kind}" for column, kind in types.items())
    json = [column for column, kind in types.items() if kind == "jsonb"]
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
        connection.execute(text(f"CREATE UNLOGGED TABLE {name} ({declared})"))
        cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        with cursor.copy(f"COPY {name} ({columns}) FROM STDIN (FORMAT binary)") as copy:
            for piece in encode(table.select(list(types)), json=json):
                copy.write(piece)


# --- into place -----------------------------------------------------------------------------------

_COUNT = "SELECT count(*), count(area_id), count(*) FILTER (WHERE ambiguous) FROM {name}"

_FINISH = text(
    "UPDATE intake SET finished = clock_timestamp(), counts = CAST(:counts AS jsonb) WHERE id = :id"
)


# What a statement that moves rows did: how many there are now, and how many of those are new.
_TALLY = """
WITH moved AS ({move} RETURNING xmax = 0 AS fresh)
SELECT count(*), count(*) FILTER (WHERE fresh) FROM moved
"""


class Mover:
    """Moves staged batches into their table, one after the other, in a transaction of its own
    thread.

    Left without `commit`, everything is as before, and what was staged stays for the next start.
    """

    def __init__(self, engine: Engine, opened: Opened, target: Target) -> None:
        self._engine, self._opened, self._target = engine, opened, target
        options = target.options
        self._asked = {"source": options.source, "layer": options.layer, "known": opened.known}
        self._pool = ThreadPoolExecutor(1)
        self._under_way: list[Future[None]] = []
        self._connection = engine.connect()
        self._all_new = True
        target.begin(self._connection)
        self.staged = self.added = self.updated = self.placed = self.ambiguous = 0

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

    def commit(self, summary: Summary) -> None:
        """Make it all count, remove what was staged, and wait until it is known to everybody."""
        self.wait()
        connection = self._connection
        staged = list(_tables(connection, self._opened.id).values())
        known = self._target.finish(connection, staged, summary)
        finished = {"id": self._opened.id, "counts": json.dumps(summary.counts())}
        connection.execute(_FINISH, finished)
        _drop_tables(connection, self._opened.id)
        connection.commit()
        if known:
            connection.execute(text("SELECT pg_sleep_until(:moment)"), {"moment": known})
            connection.rollback()

    def _move(self, name: str) -> None:
        connection = self._connection
        staged, placed, ambiguous = connection.execute(text(_COUNT.format(name=name))).one()
        self.staged += staged
        self.placed += placed
        self.ambiguous += ambiguous
        self._insert(self._target.move.format(name=name))
        self._target.moved(connection, name, self._asked)

    def _insert(self, move: str) -> None:
        """Move rows in, and count those that were not there before and those that are changed.

        Most files bring nothing but new ones, and PostgreSQL is a quarter faster if it need not
        ask for each first; the first one that is there ends that.
        """
        connection = self._connection
        if self._all_new:
            try:
                with connection.begin_nested():
                    self.added += connection.execute(text(move), self._asked).rowcount
                    return
            except IntegrityError as error:
                if not isinstance(error.orig, UniqueViolation):
                    raise
                self._all_new = False
        tally = _TALLY.format(move=move + self._target.again)
        touched, fresh = connection.execute(text(tally), self._asked).one()
        self.added += fresh
        self.updated += touched - fresh
