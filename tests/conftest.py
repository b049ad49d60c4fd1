"""A real PostGIS for the tests: a server of their own, and a fresh, migrated database for each."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, pool, text

from data import server
from data.engine import normalised

# Nothing here has to outlive a crash of the machine.
THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "8GB"}
_PREFIX = "wangge-tests-"


@pytest.fixture
def short_tmp() -> Iterator[Path]:
    """A temporary folder with a short path that other accounts may pass through."""
    yield from _folder()


def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _sweep() -> None:
    """Stop and remove the servers of runs that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        mine = folder.stat().st_uid == os.geteuid()
        if mine and not Path(f"/proc/{folder.name.split('-')[2]}").exists():
            for home in folder.iterdir():
                server.stop(home)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """URL of a server on which databases may be made: a private one in a temporary folder, or
    `WANGGE_TEST_DATABASE_URL`.
    """
    if given := os.environ.get("WANGGE_TEST_DATABASE_URL"):
        yield normalised(given)
        return
    _sweep()
    for folder in _folder():
        yield server.ensure(folder / "home", tuning=THROW_AWAY)
        server.stop(folder / "home")


@pytest.fixture(scope="session")
def make_database(server_url: str) -> Iterator[Callable[[], str]]:
    """Call it for the URL of a fresh, migrated, empty database, which is dropped at the end."""
    from data.migrate import upgrade
    from tests.doors import open_door

    engine = create_engine(server_url, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    made: list[str] = []
    names = (f"wangge_test_{os.getpid()}_{number}" for number in count())

    def create(template: str) -> str:
        name = next(names)
        with engine.connect() as connection:
            connection.execute(text(f"create database {name} template {template}"))
        made.append(name)
        return make_url(server_url).set(database=name).render_as_string(hide_password=False)

    migrated = create("template0")
    upgrade(migrated)
    open_door(migrated)
    yield lambda: create(str(make_url(migrated).database))
    with engine.connect() as connection:
        for name in made:
            connection.execute(text(f"drop database if exists {name} with (force)"))


@pytest.fixture(scope="module")
def database_url(make_database: Callable[[], str]) -> str:
    """URL of a migrated database that the tests of one file share."""
    return make_database()


@pytest.fixture
def fresh_database_url(make_database: Callable[[], str]) -> str:
    """URL of a migrated database for one test alone."""
    return make_database()


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    """Engine on the database that the tests of one file share."""
    made = create_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """Connection in a transaction that is rolled back after the test."""
    with engine.connect() as opened, opened.begin() as transaction:
        yield opened
        if transaction.is_active:
            transaction.rollback()
