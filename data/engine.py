"""The way into the database: one engine for each process, to the private server or to another."""

from functools import cache

from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from data import server
from data.server_programs import OLDEST_POSTGIS, OLDEST_POSTGRES, ServerError, last_line
from data.settings import settings

_POOL = {"pool_size": 10, "max_overflow": 20, "pool_timeout": 30, "pool_pre_ping": True}
_CONNECT = {"application_name": "wangge", "connect_timeout": 10}
_VERSIONS = text(
    "select current_setting('server_version_num')::int / 10000,"
    " (select coalesce(installed_version, default_version)"
    "  from pg_available_extensions where name = 'postgis')"
)


def database_url() -> str:
    """Return SQLAlchemy's URL of the database: `WANGGE_DATABASE_URL`, or the private server's.

    The private server is made and started if need be.

    Raises
    ------
    ServerError
        When the setting is no PostgreSQL URL, or the private server cannot be had.
    """
    named = settings().database_url
    return normalised(named) if named else server.ensure(settings().home)


def normalised(url: str) -> str:
    """Return the URL with the driver that we use.

    >>> normalised("postgres://me@gis.example/city")
    'postgresql+psycopg://me@gis.example/city'
    """
    try:
        parsed = make_url(url.strip())
    except (ArgumentError, ValueError) as error:
        raise ServerError(
            "WANGGE_DATABASE_URL cannot be read; write postgresql://USER:PASSWORD@HOST:5432/NAME "
            "with special characters of the password percent-encoded."
        ) from error
    if parsed.drivername.partition("+")[0] not in ("postgres", "postgresql"):
        raise ServerError(
            f"WANGGE_DATABASE_URL names {parsed.drivername}; only postgresql:// will do, "
            "for the map lives in PostGIS."
        )
    return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


@cache
def engine() -> Engine:
    """Return this process's engine, after a look that a PostGIS new enough answers.

    A private server that dies while the engine is in use is started again by the next connection.

    Raises
    ------
    ServerError
        When there is no such PostGIS, with what to do.
    """
    made = create_engine(database_url(), connect_args=_CONNECT, **_POOL)
    try:
        check_postgis(made)
    except ServerError:
        made.dispose()
        raise
    keep_alive(made)
    return made


@cache
def async_engine() -> AsyncEngine:
    """Return this process's engine for coroutines, to the same database as `engine`."""
    url = engine().url  # and with it the checks
    made = create_async_engine(url, connect_args=_CONNECT, **_POOL)
    keep_alive(made.sync_engine)
    return made


def keep_alive(made: Engine) -> None:
    """Start a private server that died again with the next connection of the engine."""
    if settings().database_url:
        return
    home = settings().home

    def before_connecting(*_: object) -> None:
        server.revive(home)

    event.listen(made, "do_connect", before_connecting)


def check_postgis(candidate: Engine) -> None:
    """Raise `ServerError` unless `candidate` answers and offers PostgreSQL 15+ and PostGIS 3.3+."""
    place = _place(candidate.url)
    try:
        with candidate.connect() as connection:
            major, postgis = connection.execute(_VERSIONS).one()
    except SQLAlchemyError as error:
        reason = last_line(str(getattr(error, "orig", None) or error))
        raise ServerError(
            f"The database {place} does not answer: {reason}. Is it running, and is "
            "WANGGE_DATABASE_URL right?"
        ) from error
    if major < OLDEST_POSTGRES:
        raise ServerError(
            f"The database {place} is PostgreSQL {major}; {OLDEST_POSTGRES} or newer is needed."
        )
    if postgis is None or _numbers(postgis) < OLDEST_POSTGIS:
        has = f"PostGIS {postgis}" if postgis else "no PostGIS"
        raise ServerError(
            f"The database {place} has {has}; PostGIS 3.3 or newer is needed: install "
            f"postgresql-{major}-postgis-3 (or its like) on that machine"
            f"{', then ALTER EXTENSION postgis UPDATE' if postgis else ''}."
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _place(url: URL) -> str:
    host = url.host or url.query.get("host") or "this machine"
    return f"{url.database or url.username} on {host}"
