"""The private PostgreSQL, with real servers that are started, killed, moved and stopped."""

import logging
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, pool, text

from data import server, server_cluster, server_programs
from data.server import ServerError, ensure, status, stop
from data.settings import ROOT

IS_ROOT = os.geteuid() == 0
THROW_AWAY = {"fsync": "off", "shared_buffers": "32MB"}


def ask(url: str, query: str) -> object:
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection, connection.begin():
        result = connection.execute(text(query))
        return result.scalar() if result.returns_rows else None


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stopped home, so that not every test has to make its own."""
    from tests.conftest import _folder

    for folder in _folder():
        ensure(folder / "home", tuning=THROW_AWAY)
        stop(folder / "home")
        yield folder / "home"


@pytest.fixture
def home(short_tmp: Path, blank: Path) -> Iterator[Path]:
    subprocess.run(["cp", "-a", str(blank), str(short_tmp / "home")], check=True)
    yield short_tmp / "home"
    stop(short_tmp / "home")


def test_a_new_home_is_made_as_promised(short_tmp: Path) -> None:
    home = short_tmp / "new" / "home"
    assert status(home) == server.Status(False, None, None, None)
    url = ensure(home)  # as in earnest: durable
    try:
        assert url.startswith("postgresql+psycopg://wangge@/wangge?host=/")
        assert ensure(home) == url
        assert status(home).url == url
        facts = {
            name: ask(url, f"select current_setting('{name}')")
            for name in ("server_encoding", "lc_ctype", "synchronous_commit", "fsync", "timezone")
        }
        assert facts["server_encoding"] == "UTF8"
        assert facts["synchronous_commit"] == facts["fsync"] == "on"
        assert facts["timezone"] == "UTC"
        assert ask(url, "select current_setting('listen_addresses')") == ""
        # Chinese letters are letters: the search for addresses by trigrams stands on it.
        assert ask(url, "select '禅城区' ~ '^[[:alpha:]]+$'")
        folder = status(home).folder
        assert folder is not None
        for private in (folder, folder / "run"):
            assert stat.S_IMODE(private.stat().st_mode) == 0o700
    finally:
        assert stop(home)


def test_killed_server_starts_again_with_all_that_was_committed(home: Path) -> None:
    url = ensure(home, tuning={"fsync": "on"})
    ask(url, "create table kept as select 42 as answer")
    killed = status(home).pid
    assert killed
    os.kill(killed, signal.SIGKILL)
    again = ensure(home)
    assert status(home).pid != killed
    assert ask(again, "select answer from kept") == 42


def test_children_of_a_killed_server_do_not_hold_up_the_next(home: Path) -> None:
    url = ensure(home, tuning=THROW_AWAY)
    script = f"from sqlalchemy import create_engine, text; c = create_engine({url!r}).connect(); "
    script += "print(c.scalar(text('select pg_backend_pid()')), flush=True); "
    script += "c.execute(text('select count(*) from generate_series(1, 1e12::bigint)'))"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as client:
        assert client.stdout
        backend = int(client.stdout.readline())
        os.kill(backend, signal.SIGSTOP)  # as one that is deep in a long computation
        killed = status(home).pid
        assert killed
        os.kill(killed, signal.SIGKILL)
        assert ask(ensure(home, tuning=THROW_AWAY), "select 1") == 1
        client.kill()


def test_pid_file_naming_a_process_of_someone_else_is_stale(home: Path) -> None:
    """After a crash of the machine the number may be another program's, even another server's."""
    folder = home / "postgres"
    pid_file = folder / "data/postmaster.pid"
    with subprocess.Popen(["sleep", "60"]) as other:
        lines = [other.pid, folder / "data", 0, 5432, folder / "run", "", "1 1", "ready"]
        pid_file.write_text("\n".join(map(str, lines)) + "\n")
        (folder / "run/.s.PGSQL.5432.lock").write_text(f"{other.pid}\n")
        assert status(home).pid is None
        assert not stop(home)
        assert ask(ensure(home, tuning=THROW_AWAY), "select 1") == 1
        assert other.poll() is None
        other.kill()


def test_server_without_its_socket_is_started_anew(home: Path) -> None:
    url = ensure(home, tuning=THROW_AWAY)
    (home / "postgres/run/.s.PGSQL.5432").unlink()
    assert not status(home).running
    assert ask(ensure(home, tuning=THROW_AWAY), "select 1") == 1
    assert url == status(home).url


@pytest.mark.parametrize("name", ["x" * 120, "with, comma and space", "网格 $HOME `id` 'q'"])
def test_any_path_will_do(home: Path, name: str) -> None:
    moved = home.parent / name
    home.rename(moved)
    url = ensure(moved, tuning=THROW_AWAY)
    socket = Path(url.partition("host=")[2].partition("&")[0])
    assert ask(url, "select current_setting('data_directory')") == str(moved / "postgres/data")
    assert socket.parent == Path("/tmp")
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    pid = status(moved).pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    assert ensure(moved, tuning=THROW_AWAY) == url, "the folder of the socket is used again"
    assert stop(moved)
    assert not socket.exists()


def test_two_homes_stand_side_by_side(home: Path) -> None:
    copy = home.parent / "copy"
    subprocess.run(["cp", "-a", str(home), str(copy)], check=True)
    urls = [ensure(each, tuning=THROW_AWAY) for each in (home, copy)]
    try:
        ask(urls[0], "create table only_here (x int)")
        assert ask(urls[0], "select to_regclass('only_here')") == "only_here"
        assert ask(urls[1], "select to_regclass('only_here')") is None
        assert stop(home)
        assert status(copy).running
    finally:
        stop(copy)


def test_commands_that_begin_at_once_share_one_server(home: Path) -> None:
    script = textwrap.dedent(f"""
        from pathlib import Path
        from data.server import ensure, status
        home = Path({str(home)!r})
        print(ensure(home, tuning={THROW_AWAY!r}), status(home).pid)
    """)
    starts = [
        subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    answers = {start.communicate()[0] for start in starts}
    assert len(answers) == 1
    assert [start.returncode for start in starts] == [0, 0, 0]


def test_stop_says_whether_there_was_something_to_stop(home: Path) -> None:
    ensure(home, tuning=THROW_AWAY)
    assert stop(home)
    assert not status(home).running
    assert not stop(home)
    assert not stop(home.parent / "never")
    assert not (home.parent / "never").exists()


def test_unfinished_cluster_is_made_anew(short_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = short_tmp / "home"
    script = (
        f"from pathlib import Path; from data.server import ensure; ensure(Path({str(home)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT) as first:
        while not list(home.glob("postgres/data.unfinished-*/base")):
            assert first.poll() is None
        first.kill()
    assert not (home / "postgres/data").exists()
    assert ask(ensure(home, tuning=THROW_AWAY), "select 1") == 1
    assert stop(home)


def test_failed_start_gives_the_reason_and_the_log(home: Path) -> None:
    with pytest.raises(ServerError, match=r"did not start: .*shared_bufers.*postgres\.log"):
        ensure(home, tuning={"shared_bufers": "1GB"})
    assert ask(ensure(home, tuning=THROW_AWAY), "select 1") == 1


def fake_programs(folder: Path, major: int, postgis: str | None) -> None:
    """Programs of another version, as far as looking at them goes."""
    (folder / "bin").mkdir(parents=True)
    (folder / "extension").mkdir()
    answers = {"postgres": f"postgres (PostgreSQL) {major}.1", "pg_config": str(folder)}
    for name in ("initdb", "pg_ctl", "postgres", "pg_config"):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\necho '{answers.get(name, '')}'\n")
        program.chmod(0o755)
    if postgis:
        (folder / "postgis-3.so").touch()
        control = folder / "extension/postgis.control"
        control.write_text(f"default_version = '{postgis}'\n")


@pytest.mark.parametrize(
    ("major", "postgis", "sentence"),
    [
        (15, None, "no PostGIS.*install postgresql-15-postgis-3.*WANGGE_DATABASE_URL"),
        (16, "3.2.1", r"PostGIS 3\.2\.1, PostGIS 3\.3 or newer is needed"),
        (14, "3.4.0", "PostgreSQL 14 is installed, version 15 or newer is needed"),
        (None, None, "PostgreSQL is not installed.*make demo.*WANGGE_DATABASE_URL"),
    ],
)
def test_what_to_install_is_said(
    short_tmp: Path,
    monkeypatch: pytest.MonkeyPatch,
    major: int | None,
    postgis: str | None,
    sentence: str,
) -> None:
    if major:
        fake_programs(short_tmp / "pg", major, postgis)
    monkeypatch.setattr(server_programs, "_PLACES", (f"{short_tmp}/pg*/bin",))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServerError, match=sentence):
        ensure(short_tmp / "home")


def test_newest_version_with_postgis_is_taken(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for major, postgis in ((15, "3.3.2"), (16, "3.4.0beta1"), (17, None)):
        fake_programs(short_tmp / f"pg{major}", major, postgis)
    monkeypatch.setattr(server_programs, "_PLACES", (f"{short_tmp}/pg*/bin",))
    monkeypatch.setenv("PATH", "/nowhere")
    assert server_programs.find_programs().major == 16
    assert server_programs.find_programs(15).postgis == (3, 3, 2)


def test_cluster_of_a_version_that_was_removed(home: Path) -> None:
    (home / "postgres/data/PG_VERSION").write_text("13\n")
    with pytest.raises(ServerError, match=r"made by PostgreSQL 13.*install postgresql-13"):
        ensure(home)


def test_home_that_cannot_be_made() -> None:
    with pytest.raises(ServerError, match="/proc/nothing"):
        ensure(Path("/proc/nothing/home"))


@pytest.mark.skipif(not IS_ROOT, reason="only root drops its rights")
def test_root_drops_to_the_account_of_postgres(home: Path) -> None:
    pid = ensure(home, tuning=THROW_AWAY) and status(home).pid
    owner = Path(f"/proc/{pid}").stat().st_uid
    assert owner == server_programs.Account.for_postgres().uid != 0


@pytest.mark.skipif(not IS_ROOT, reason="only root drops its rights")
def test_home_that_the_account_cannot_enter_keeps_its_cluster_elsewhere(
    short_tmp: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_cluster, "EXTERNAL", short_tmp / "external")
    closed = short_tmp / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "home"
    with caplog.at_level(logging.INFO):
        url = ensure(home, tuning=THROW_AWAY)
    try:
        ask(url, "create table kept as select 1 as x")
        folder = status(home).folder
        assert folder and folder.parent == short_tmp / "external"
        assert str(folder) in caplog.text and str(folder) in (home / "server.json").read_text()
        assert stop(home)
        moved = closed / "moved"
        home.rename(moved)
        assert ask(ensure(moved, tuning=THROW_AWAY), "select x from kept") == 1
        assert stop(moved)
        shutil.copytree(moved, home)
        assert ask(ensure(home, tuning=THROW_AWAY), "select to_regclass('kept')") is None
        assert ask(ensure(moved, tuning=THROW_AWAY), "select x from kept") == 1
    finally:
        stop(home)
        stop(closed / "moved")


@pytest.mark.skipif(not IS_ROOT, reason="needs another account")
def test_home_of_another_account_is_refused_with_a_sentence(home: Path) -> None:
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        for call in (ensure, status, stop):
            with pytest.raises(ServerError, match="WANGGE_HOME"):
                call(home)
    finally:
        os.seteuid(0)
