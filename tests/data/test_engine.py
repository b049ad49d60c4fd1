"""The engine's way to a database, and what is said when there is none that will do."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, pool, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from data import engine as module
from data import server, server_cluster, server_process
from data.engine import check_postgis, normalised
from data.server import ServerError
from data.settings import settings


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_postgres_url_gets_our_driver(scheme: str) -> None:
    url = normalised(f" {scheme}://me:p%40ss@gis.example:5433/city?sslmode=require\n")
    assert url == "postgresql+psycopg://me:p%40ss@gis.example:5433/city?sslmode=require"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("gis.example/city", "cannot be read; write postgresql://"),
        ("postgresql://me@gis.example:port/city", "cannot be read"),
        ("mysql://me@gis.example/city", "names mysql; only postgresql:// will do"),
    ],
)
def test_url_that_will_not_do(url: str, sentence: str) -> None:
    with pytest.raises(ServerError, match=sentence):
        normalised(url)


def test_server_that_does_not_answer() -> None:
    silent = create_engine("postgresql+psycopg://me:secret@127.0.0.1:1/city")
    with pytest.raises(ServerError, match=r"city on 127\.0\.0\.1 does not answer") as caught:
        check_postgis(silent)
    assert "secret" not in str(caught.value)


@pytest.fixture
def pretending(fresh_database_url: str) -> Iterator[Callable[[str], Engine]]:
    """A real database whose list of extensions is ours to write."""
    engine = create_engine(fresh_database_url, poolclass=pool.NullPool)

    def pretend(rows: str) -> Engine:
        with engine.begin() as connection:
            connection.execute(text("create schema other"))
            connection.execute(
                text(f"create view other.pg_available_extensions as select * from {rows}")
            )
            name = connection.scalar(text("select current_database()"))
            connection.execute(
                text(f"alter database {name} set search_path = other, pg_catalog, public")
            )
        return engine

    yield pretend
    engine.dispose()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("(select '' as name, '' as installed_version, '' as default_version) x", "no PostGIS"),
        (
            "(select 'postgis' as name, '3.2.9' as installed_version, '3.4' as default_version) x",
            r"has PostGIS 3\.2\.9; PostGIS 3\.3 or newer.*ALTER EXTENSION",
        ),
    ],
)
def test_database_without_a_fit_postgis(
    pretending: Callable[[str], Engine], rows: str, sentence: str
) -> None:
    with pytest.raises(ServerError, match=sentence):
        check_postgis(pretending(rows))


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Lets a test change the settings of this process."""
    cached = (settings, module.engine, module.async_engine)
    for each in cached:
        each.cache_clear()
    yield
    for each in cached:
        each.cache_clear()


@pytest.mark.usefixtures("forgetful")
def test_setting_leads_to_the_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = database_url.replace("postgresql+psycopg", "postgres")
    monkeypatch.setenv("WANGGE_DATABASE_URL", plain)
    assert module.database_url() == database_url
    assert module.engine() is module.engine()
    with module.engine().connect() as connection:
        assert connection.scalar(text("show application_name")) == "wangge"
    module.engine().dispose()


@pytest.mark.usefixtures("forgetful")
def test_private_server_that_died_is_revived_but_a_stopped_one_rests(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = short_tmp / "home"
    monkeypatch.delenv("WANGGE_DATABASE_URL", raising=False)
    monkeypatch.setenv("WANGGE_HOME", str(home))
    server.ensure(home, tuning={"fsync": "off"})

    async def answer() -> object:
        async with module.async_engine().connect() as connection:
            return await connection.scalar(text("select 1"))

    async def answers() -> list[object]:
        first = await answer()
        kill(home)
        second = await answer()
        await module.async_engine().dispose()
        return [first, second]

    try:
        with module.engine().connect() as connection:
            assert connection.scalar(text("select 1")) == 1
        kill(home)
        with module.engine().connect() as connection:
            assert connection.scalar(text("select 1")) == 1
        assert asyncio.run(answers()) == [1, 1]
        assert server.stop(home)
        with pytest.raises(OperationalError):
            module.engine().connect()
        assert not server.status(home).running
    finally:
        module.engine().dispose()
        server.stop(home)


def kill(home: Path) -> None:
    """Kill the server as a machine without memory does, and its children, so that none answers."""
    pid = server.status(home).pid
    cluster = server_cluster.find_cluster(home.resolve())
    assert pid and cluster
    os.kill(pid, signal.SIGKILL)
    server_process.end_orphans(cluster)


def test_url_serves_coroutines_too(database_url: str) -> None:
    async def answer() -> object:
        engine = create_async_engine(database_url)
        async with engine.connect() as connection:
            value = await connection.scalar(text("select 1"))
        await engine.dispose()
        return value

    assert asyncio.run(answer()) == 1


def test_databases_of_tests_are_apart(make_database: Callable[[], str]) -> None:
    engines = [create_engine(make_database(), poolclass=pool.NullPool) for _ in range(2)]
    with engines[0].begin() as connection:
        connection.execute(text("create table only_here (x int)"))
    with engines[1].connect() as connection:
        assert connection.scalar(text("select to_regclass('only_here')")) is None
        assert connection.scalar(text("select to_regclass('alembic_version')")) is not None
