"""What routes ask for: the database, and words that are checked."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, Protocol, TypeVar

from fastapi import Depends, Request
from psycopg.errors import DeadlockDetected
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from starlette.concurrency import run_in_threadpool

from api import problems
from data import audit, roads
from data.access import acting, reach
from data.engine import keep_alive
from gis.travel import StraightLine, Travel

P = ParamSpec("P")
T = TypeVar("T")
Asked = Callable[Concatenate[Connection, P], T]

# The statements are long and their parameters are alike: to plan one anew takes longer than to run
# it. They touch few rows each, which compilation does not make faster.
OPTIONS = "-c plan_cache_mode=force_generic_plan -c jit=off -c timezone=UTC"
_CONNECT = {"application_name": "wangge-api", "connect_timeout": 10, "options": OPTIONS}
# Who answers requests owns nothing, and sees nothing before it is said for whom.
APPLICATION, CITY = "wangge_app", "wangge_city"
# As many as a machine works on at once; whoever comes beside them waits here, which costs less
# than a connection made and ended for one question (32 clients: 190 against 420 answers a second).
_POOL = {"pool_size": 10, "max_overflow": 0, "pool_timeout": 10}
_SLOW = 6
LET_BY_S = 0.1  # whoever won a deadlock is by then where we would meet again


class Run(Protocol):
    """Runs a function of the domain on the connection that is open."""

    async def __call__(self, asked: Asked[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `asked(connection, *args, **kwargs)` does."""
        ...


class Database:
    """The domain's functions, which take a connection and wait, from routes, which must not.

    Short questions go through the event loop. What writes or computes goes to a thread with a
    connection of the usual kind, for it may stream rows, and what it began it ends even if the
    client has gone.

    With `guarded` it has no rights of its own, and each question sees the rows of the areas that
    its asker acts in (`data.access.reach`); without, it is the owner.

    >>> answer = await db.read(placement.locate, place)  # doctest: +SKIP
    """

    def __init__(self, url: str, *, ours: bool = False, guarded: bool = False) -> None:
        self._guarded = guarded
        role = f" -c role={APPLICATION}" if guarded else ""
        connect: dict[str, Any] = {"connect_args": {**_CONNECT, "options": OPTIONS + role}}
        loop = create_async_engine(url, **connect, **_POOL)
        # A statement alone needs no transaction around it, which would cost two round trips; nor
        # a look whether the connection lives, for what was only asked can be asked again.
        self._plain = loop.execution_options(isolation_level="AUTOCOMMIT")
        self._frozen = loop.execution_options(isolation_level="REPEATABLE READ")
        self._threads = create_engine(url, **connect, pool_pre_ping=True, **_POOL)
        # Pages and searches that take their time leave the writers' connections alone.
        self._slow = create_engine(
            url, **connect, pool_pre_ping=True, **{**_POOL, "pool_size": _SLOW}
        )
        self.committed: Callable[[], None] = lambda: None  # called after each commit of `write`
        if ours:  # the private server is started again if it died
            keep_alive(loop.sync_engine)
            keep_alive(self._threads)
            keep_alive(self._slow)

    async def read(self, asked: Asked[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask something; a connection that had been lost meanwhile is replaced."""
        try:
            return await self._read(asked, *args, **kwargs)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return await self._read(asked, *args, **kwargs)

    async def _read(self, asked: Asked[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._plain.connect() as connection:
            if self._guarded:
                await connection.run_sync(_see)
            return await connection.run_sync(asked, *args, **kwargs)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Run]:
        """Ask several things that see one state of the database, and one `now()`."""
        async with _begun(self._frozen, guarded=self._guarded) as connection:
            yield _runner(connection)

    async def write(self, asked: Asked[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something in one transaction, all or nothing, and write down who did, or may not.

        What lost to others in a deadlock was undone whole, and is done once more: `asked` does
        nothing that its transaction does not undo.
        """

        def unit(connection: Connection) -> T:
            return asked(connection, *args, **kwargs)

        def work() -> T:
            try:
                answer = self._again_if_deadlocked(unit)
            except Exception as error:
                self._note_refusal(error)
                raise
            self.committed()
            return answer

        return await run_in_threadpool(work)

    def _again_if_deadlocked(self, unit: Callable[[Connection], T]) -> T:
        try:
            return self._done(unit)
        except OperationalError as error:
            if not isinstance(error.orig, DeadlockDetected):
                raise
        time.sleep(LET_BY_S)
        return self._done(unit)

    def _done(self, unit: Callable[[Connection], T], **detail: Any) -> T:
        """Do it in one transaction with the row that says who did."""
        with self._threads.connect() as connection:
            if self._guarded:
                _see(connection)
            with connection.begin():
                answer = unit(connection)
                if (who := acting.get()) is not None:
                    audit.of(connection, who, **detail)
        return answer

    def _note_refusal(self, error: Exception) -> None:
        """Write down who tried what is not theirs to do: nothing else of it is left."""
        who, problem = acting.get(), problems.of(error)
        if who is None or problem is None or problem.status_code != HTTPStatus.FORBIDDEN:
            return
        token = acting.set(replace(who, deed=f"{who.deed} refused"))
        try:
            self._done(lambda _: None, refused=problem.name)
        finally:
            acting.reset(token)

    async def apart(self, asked: Asked[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask something that computes for seconds."""

        def work() -> T:
            with self._slow.connect() as connection:
                if self._guarded:
                    _see(connection)
                return asked(connection, *args, **kwargs)

        return await run_in_threadpool(work)

    async def close(self) -> None:
        """Close every connection."""
        await self._plain.dispose()
        self._threads.dispose()
        self._slow.dispose()


_SEE = text("""
SELECT set_config('role', :role, false),
       set_config('wangge.areas', CAST(areas_below(CAST(:areas AS bigint[])) AS text), false),
       set_config('wangge.organisation', coalesce(CAST(:organisation AS text), ''), false)
""")
_SEE_ALL = text("SELECT set_config('role', :role, false)")


def _see(connection: Connection) -> None:
    """Let a connection see the areas that are acted in, before its transaction begins.

    It stays so in the pool until the next asks: most see the whole city, and pay nothing for it.
    """
    areas = reach()
    if areas is None and connection.info.get("sees") == CITY:
        return
    connection.info["sees"] = None
    if areas is None:
        connection.execute(_SEE_ALL, {"role": CITY})
    else:
        who = acting.get()
        seen = {"areas": list(areas), "organisation": who and who.organisation_id}
        connection.execute(_SEE, {"role": APPLICATION, **seen})
    connection.commit()
    connection.info["sees"] = CITY if areas is None else APPLICATION


@asynccontextmanager
async def _begun(engine: AsyncEngine, *, guarded: bool) -> AsyncIterator[AsyncConnection]:
    """A transaction on a connection that is alive, so that nothing has to be done twice."""
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(engine.connect())
        if not await _is_alive(connection):
            connection = await stack.enter_async_context(engine.connect())
        if guarded:
            await connection.run_sync(_see)
        yield connection
        await connection.commit()


async def _is_alive(connection: AsyncConnection) -> bool:
    try:
        await connection.execute(text("SELECT 1"))
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        return False
    return True


def _runner(connection: AsyncConnection) -> Run:
    async def run(asked: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await connection.run_sync(asked, *args, **kwargs)

    return run


def _database(request: Request) -> Database:
    found: Database = request.app.state.database
    return found


def _travel(request: Request) -> Travel:
    """Travel times by the roads as they are now; without any, by the straight line."""
    home: Path | None = request.app.state.roads
    return roads.travel(home) if home else StraightLine()


Db = Annotated[Database, Depends(_database)]
Way = Annotated[Travel, Depends(_travel)]
