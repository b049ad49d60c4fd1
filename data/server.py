"""The private PostgreSQL of one folder (`WANGGE_HOME`): made, started, found and stopped.

Everything is below ``home/postgres``: the cluster in ``data``, its log ``postgres.log`` and, in
``run``, the unix socket; no port of the network is opened. Two things may have to live elsewhere,
and ``home/server.json`` then says where: the socket when its path would be longer than the system
allows, and the whole cluster when we are root and the account that PostgreSQL runs under cannot
enter `home`. Settings of your own go in ``data/local.conf``.
"""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, pool, text
from sqlalchemy.exc import SQLAlchemyError

from data import server_process as process
from data.server_cluster import Cluster, find_cluster, make_cluster, record, recorded
from data.server_programs import Account, Programs, ServerError, find_programs, last_line

__all__ = ["ServerError", "Status", "ensure", "revive", "status", "stop"]

DATABASE = "wangge"
LOG_BYTES = 10_000_000
_SOCKET = ".s.PGSQL.5432"
_SOCKET_BYTES = 107  # sockaddr_un.sun_path less its closing zero

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Status:
    """What is known of a private server.

    Attributes
    ----------
    running : bool
        Whether it answers.
    pid : int or None
        Its process, when there is one.
    url : str or None
        SQLAlchemy's URL of it, when it answers.
    folder : Path or None
        Where its files are, None before the first start.
    """

    running: bool
    pid: int | None
    url: str | None
    folder: Path | None


def ensure(home: Path, *, tuning: Mapping[str, str] | None = None) -> str:
    """Return the URL of the private server in `home`, making and starting it where needed.

    Safe to call from several processes at once, after a crash of the server, and on every start
    of a command: when the server runs this costs a few milliseconds.

    Parameters
    ----------
    home : Path
        Folder of the private server; made if it is not there.
    tuning : mapping of str to str, optional
        PostgreSQL settings laid over ours when the server has to be started, e.g.
        ``{"fsync": "off"}`` for a throw-away one.

    Returns
    -------
    str
        ``postgresql+psycopg://wangge@/wangge?host=…&port=5432``

    Raises
    ------
    ServerError
        One sentence that says what is wrong and what to install or do.
    """
    home = _absolute(home)
    durable = (tuning or {}).get("fsync") != "off"
    with _plain_errors(home):
        if (home / "server.json").exists() and (socket := process.answering(find_cluster(home))):
            return _url(socket, DATABASE)
        with _locked(home):
            cluster = find_cluster(home) or make_cluster(home, durable=durable)
            socket = process.running(cluster) or _start(cluster, tuning or {})
            _make_database(socket)
            record(cluster, socket)
            return _url(socket, DATABASE)


def revive(home: Path) -> None:
    """Start the server in `home` again if it died; one that was stopped on purpose stays so."""
    home = _absolute(home)
    with _plain_errors(home):
        cluster = find_cluster(home)
        died_or_lives = cluster is not None and cluster.pid_file.exists()
    if died_or_lives:
        ensure(home)


def stop(home: Path) -> bool:
    """Stop the private server in `home` and wait for its end; False if it was not running."""
    home = _absolute(home)
    with _plain_errors(home):
        if not home.is_dir():
            return False
        with _locked(home):
            cluster = find_cluster(home)
            if cluster is None or (pid := process.postmaster(cluster)) is None:
                return False
            socket = process.pid_file(cluster)[4:5]
            process.shut_down(cluster, pid)
            if socket and not socket[0].startswith(str(cluster.folder)):
                shutil.rmtree(socket[0], ignore_errors=True)
            return True


def status(home: Path) -> Status:
    """Return what is known of the private server in `home`; changes nothing."""
    home = _absolute(home)
    with _plain_errors(home):
        cluster = find_cluster(home)
        if cluster is None:
            return Status(False, None, None, None)
        socket = process.answering(cluster)
        url = _url(socket, DATABASE) if socket else None
        return Status(url is not None, process.postmaster(cluster), url, cluster.folder)


def _absolute(home: Path) -> Path:
    return home.expanduser().resolve()


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Hold `home` against other commands that start or stop its server."""
    home.mkdir(parents=True, exist_ok=True)
    handle = os.open(home / "server.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _plain_errors(home: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise ServerError(
            f"No right to use {error.filename or home}: set WANGGE_HOME to a folder of your own, "
            f"or run the command under the account that {home} belongs to."
        ) from error
    except OSError as error:
        raise ServerError(f"Cannot use {error.filename or home}: {error.strerror}.") from error
    except SQLAlchemyError as error:
        reason = last_line(str(getattr(error, "orig", error)))
        raise ServerError(f"The private PostgreSQL in {home} refuses: {reason}.") from error


def _make_database(socket: Path) -> None:
    engine = create_engine(_url(socket, "postgres"), poolclass=pool.NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        there = text("select 1 from pg_database where datname = :name")
        if connection.scalar(there, {"name": DATABASE}) is None:
            connection.execute(text(f"create database {DATABASE}"))


def _start(cluster: Cluster, tuning: Mapping[str, str]) -> Path:
    """Start a cluster that does not run, whatever it died of, and return its socket's folder."""
    major = int((cluster.data / "PG_VERSION").read_text(encoding="utf-8"))
    programs = find_programs(major)
    process.end_orphans(cluster)
    socket = _socket_folder(cluster)
    # Nobody of this cluster lives any more: what is left of it would only hold up the start
    # (PostgreSQL goes by process numbers, which another server may have by now).
    for leftover in (cluster.pid_file, socket / _SOCKET, socket / f"{_SOCKET}.lock"):
        leftover.unlink(missing_ok=True)
    cluster.account.write(cluster.data / "wangge.conf", _configuration(socket, tuning))
    if cluster.log.exists() and cluster.log.stat().st_size > LOG_BYTES:
        cluster.log.replace(cluster.log.with_suffix(".log.1"))
    log.info("Starting the private database in %s", cluster.folder)
    _pg_ctl_start(cluster, programs)
    return socket


def _pg_ctl_start(cluster: Cluster, programs: Programs) -> None:
    said = cluster.log.stat().st_size if cluster.log.exists() else 0
    options = ["--wait", f"--timeout={process.START_SECONDS}", "--log=../postgres.log"]
    # `-D .`: pg_ctl hands the path to a shell, in which a home called `$x` would be lost.
    done = cluster.account.run(programs["pg_ctl"], "start", "-D", ".", *options, cwd=cluster.data)
    if done.returncode == 0:
        return
    with cluster.log.open(encoding="utf-8", errors="replace") as file:
        file.seek(said)
        lines = re.findall(r"(?:FATAL|PANIC): +(.+)|LOG: +(.+ in file .+)", file.read())
    said_last = "; ".join(one or other for one, other in lines[-2:])
    reason = said_last or last_line(done.stderr or done.stdout)
    raise ServerError(f"PostgreSQL did not start: {reason}; its log is {cluster.log}.")


def _configuration(socket: Path, tuning: Mapping[str, str]) -> str:
    """Return settings for a laptop that it shares with a browser and an editor."""
    memory_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
    chosen = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
        "port": "5432",
        "cluster_name": "wangge",
        "max_connections": "200",
        "shared_buffers": f"{min(1024, max(128, memory_mb // 8))}MB",
        "effective_cache_size": f"{max(256, memory_mb // 2)}MB",
        "work_mem": "32MB",
        "maintenance_work_mem": f"{min(512, max(64, memory_mb // 16))}MB",
        "synchronous_commit": "on",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        "random_page_cost": "1.1",
        "jit": "off",  # compiling costs more than it saves in queries of milliseconds
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        "log_line_prefix": "%m [%p] ",
    } | dict(tuning)
    lines = (f"{name} = '{value.replace(chr(39), chr(39) * 2)}'" for name, value in chosen.items())
    return "# Written at each start; put settings of your own in local.conf.\n" + "\n".join(
        [*lines, ""]
    )


def _socket_folder(cluster: Cluster) -> Path:
    """Return a folder for the socket that only the server's account (and root) can enter."""
    inside = cluster.folder / "run"
    # A lock file stands beside the socket; libpq splits lists of hosts at commas.
    length = len(os.fsencode(inside / _SOCKET)) + len(".lock")
    if length <= _SOCKET_BYTES and re.fullmatch(r"[\w./-]+", str(inside), re.ASCII):
        if not inside.is_dir():
            inside.mkdir(mode=0o700)
            os.chown(inside, cluster.account.uid, cluster.account.gid)
        return inside
    prefix = f"wangge-{hashlib.sha256(os.fsencode(cluster.data)).hexdigest()[:8]}-"
    last = Path(recorded(cluster.home).get("socket", "/"))
    if last.name.startswith(prefix) and _is_private(last, cluster.account):
        return last
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    os.chown(folder, cluster.account.uid, cluster.account.gid)
    log.info("The path of %s is too long for a socket: it is in %s", cluster.home, folder)
    return folder


def _is_private(folder: Path, account: Account) -> bool:
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(facts.st_mode)
        and stat.S_IMODE(facts.st_mode) == 0o700
        and facts.st_uid == account.uid
    )


def _url(socket: Path, database: str) -> str:
    return f"postgresql+psycopg://wangge@/{database}?host={socket}&port=5432"
