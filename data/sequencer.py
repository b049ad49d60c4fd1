"""Numbers for committed events, seals for the audit, and the thread that gives them both.

A number given inside a transaction may become visible after a larger one was read, and whoever
reads in its order then misses an event. So numbers are given after the commit, one process at a
time (`docs/decisions/0012-numbers-after-commit.md`).
"""

import logging
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from data import audit, events, messages
from data.engine import keep_alive
from data.server_programs import ServerError

LOCK = 0x65766E74  # advisory
# In which a commit is found that nobody woke the thread for: another program's, an import's. A
# NOTIFY in its transaction would be quicker, but lets commits through one by one (8 writers: 300
# instead of 2,000 a second).
POLL_S = 0.1
RETRY_S = (0.2, 5.0)  # between attempts to reach a database that is away: the first, the longest

log = logging.getLogger(__name__)

# The inner query sorts before numbers are drawn. An area is looked up as it was when it happened.
# What happens to a whistle is told where it does, and where those who are called are at home.
_NUMBER = text("""
WITH RECURSIVE fresh AS MATERIALIZED (
    SELECT id, area_id, at, kind, data, nextval('event_seq') AS seq
    FROM (SELECT id, area_id, at, kind, data FROM event WHERE seq IS NULL ORDER BY id LIMIT :limit)
         waiting
), told AS (
    SELECT id, at, area_id FROM fresh
    UNION ALL
    SELECT f.id, f.at, o.area_id FROM fresh f
    JOIN whistle_call c ON c.whistle_id = CAST(f.data ->> 'whistle' AS bigint)
     AND (c.state <> 'released' OR c.id = CAST(f.data ->> 'call' AS bigint))
    JOIN organisation o ON o.id = heir_of(c.organisation_id)
    WHERE starts_with(f.kind, 'whistle.')
), above AS (
    SELECT id, at, area_id FROM told WHERE area_id IS NOT NULL
    UNION
    SELECT above.id, above.at, v.parent_id
    FROM above JOIN area_version v ON v.area_id = above.area_id
    WHERE v.valid @> above.at AND upper_inf(v.recorded) AND v.parent_id IS NOT NULL
)
UPDATE event e
SET seq = f.seq,
    areas = coalesce((SELECT array_agg(a.area_id) FROM above a WHERE a.id = f.id), '{}')
FROM fresh f WHERE e.id = f.id
RETURNING e.id
""")
_PENDING = text("SELECT EXISTS (SELECT FROM event WHERE seq IS NULL)")


def seal(connection: Connection) -> int:
    """Seal committed rows of the audit, as `sequence` numbers events; how many there were."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    return audit.seal(connection)


def sequence(connection: Connection, limit: int = events.BATCH) -> int:
    """Give committed events their numbers, and make the messages that carry them to subscribers.

    To be called in a transaction of its own, again until it returns 0. All or nothing: killed
    half-way, the next one does it, so that nothing is lost and no subscriber has two messages.

    Returns how many events got a number.
    """
    # A statement of its own: the next one then sees what the holder before committed.
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    numbered = connection.execute(_NUMBER, {"limit": limit}).scalars().all()
    if numbered:
        messages.write(connection, numbered)
        connection.execute(text("SELECT pg_notify('sequenced', '')"))
    return len(numbered)


class Sequencer:
    """A thread that numbers events as they are committed, and tells this process of new ones.

    One in each process; they agree by the lock. When the database goes away it comes back with it
    and goes on where it was.

    Parameters
    ----------
    url : of the database
    tell : called in the thread with new events in order, each once, after those of `position`
    ours : whether the database is the private server, to be started again if it died
    """

    def __init__(
        self,
        url: str,
        tell: Callable[[Sequence[events.Event]], None] | None = None,
        *,
        ours: bool = False,
    ) -> None:
        self._engine = _engine(url, ours)
        self._tell = tell
        self._ending = False
        self._wait = RETRY_S[0]
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="sequencer", daemon=True)
        self.position: int | None = None  # number of the last event told; None: not there yet

    def start(self) -> None:
        """Begin; a database that does not answer yet is waited for."""
        self._thread.start()

    def wake(self) -> None:
        """Say that something was committed, so that it is numbered at once; from any thread."""
        with suppress(OSError):  # it has been rung often enough, or the thread has ended
            self._bell.send(b"!")

    def stop(self) -> None:
        """End after what is under way."""
        self._ending = True
        self.wake()
        self._thread.join()
        self._bell.close()
        self._ear.close()
        self._engine.dispose()

    def _run(self) -> None:
        first, longest = RETRY_S
        while not self._ending:
            try:
                self._follow()
            except (SQLAlchemyError, psycopg.Error, ServerError, OSError) as error:
                if self._wait == first:
                    log.warning("Events wait for the database: %s", error)
                self._await(None, self._wait)
                self._wait = min(2 * self._wait, longest)

    def _follow(self) -> None:
        """Number and tell until the end, or until the database goes away."""
        with _listening(self._engine) as news, self._engine.connect() as working:
            raw: psycopg.Connection = news.connection.driver_connection  # type: ignore[assignment]
            while not self._ending:
                if news.execute(_PENDING).scalar_one():
                    self._number(working)
                if news.execute(audit.PENDING).scalar_one():
                    self._seal(working)
                self._tell_new(news)
                self._wait = RETRY_S[0]  # it answers
                self._await(raw, POLL_S)

    def _number(self, working: Connection) -> None:
        numbered = events.BATCH
        while numbered == events.BATCH:
            with working.begin():
                numbered = sequence(working)

    def _seal(self, working: Connection) -> None:
        rows = audit.BATCH
        while rows == audit.BATCH:
            with working.begin():
                rows = seal(working)

    def _tell_new(self, news: Connection) -> None:
        if self._tell is None:
            return
        if self.position is None:
            self.position = events.bounds(news).newest
        while new := events.after(news, self.position):
            self._tell(new)
            self.position = new[-1].seq

    def _await(self, news: psycopg.Connection | None, seconds: float) -> None:
        """Return when woken, when another process numbered something, or after so long."""
        sources: list[Any] = [self._ear, news] if news else [self._ear]
        heard, _, _ = select.select(sources, [], [], seconds)
        if self._ear in heard:
            self._ear.recv(1024)
        if news and news in heard:
            list(news.notifies(timeout=0))


@contextmanager
def _listening(engine: Engine) -> Iterator[Connection]:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("LISTEN sequenced"))
        try:
            yield connection
        finally:
            connection.invalidate()  # the pool would hand it on as one that listens


def _engine(url: str, ours: bool) -> Engine:
    made = create_engine(
        url, pool_size=2, max_overflow=0,
        connect_args={"application_name": "wangge-events", "connect_timeout": 10},
    )  # fmt: skip
    if ours:
        keep_alive(made)
    return made
