"""The engine's way to a database, and what is said when there is none that will do."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from data import engine as module
from data.engine import check_postgis, normalised
from data.server import ServerError


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


def test_setting_leads_to_the_database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = database_url.replace("postgresql+psycopg", "postgres")
    monkeypatch.setenv("WANGGE_DATABASE_URL", plain)
    for cached in (module.settings, module.engine):
        cached.cache_clear()
    try:
        assert module.database_url() == database_url
        assert module.engine() is module.engine()
        with module.engine().connect() as connection:
            assert connection.scalar(text("show application_name")) == "wangge"
    finally:
        module.engine().dispose()
        for cached in (module.settings, module.engine):
            cached.cache_clear()


def test_url_serves_coroutines_too(database_url: str) -> None:
    import asyncio

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
