"""The processes of a private PostgreSQL: whether it runs, really runs, and how it is ended."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from psycopg.pq import PGconn, Ping

from data.server_cluster import Cluster
from data.server_programs import ServerError

START_SECONDS = 300  # recovery after a crash in a large import takes its time
STOP_SECONDS = 60
_WORKING_IN = """
for p in /proc/[0-9]*; do
  { read -r name <"$p/comm"; } 2>/dev/null && [ "$name" = postgres ] || continue
  [ "$p/cwd" -ef "$1" ] || [ "$(readlink "$p/cwd")" = "$1 (deleted)" ] && echo "${p#/proc/}"
done
true
"""


def answering(cluster: Cluster | None) -> Path | None:
    """Return the socket's folder of a server that takes connections now."""
    lines = pid_file(cluster) if cluster else []
    if len(lines) < 5 or cluster is None or lines[1] != str(cluster.data):
        return None
    return Path(lines[4]) if _ping(lines[4]) == Ping.OK else None


def pid_file(cluster: Cluster) -> list[str]:
    """Return the lines of postmaster.pid: pid, data, start, port, socket, address, key, state."""
    try:
        return cluster.pid_file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


def running(cluster: Cluster) -> Path | None:
    """Return the socket's folder of a server that runs, once it takes connections.

    One that runs without a socket (its folder was moved, or cleaned away) is stopped.
    """
    until = time.monotonic() + START_SECONDS
    while (pid := postmaster(cluster)) is not None:
        if socket := answering(cluster):
            return socket
        lines = pid_file(cluster)
        ready = len(lines) > 7 and lines[7].strip() == "ready"
        if lines[1:2] != [str(cluster.data)] or (ready and _ping(lines[4]) == Ping.NO_RESPONSE):
            shut_down(cluster, pid)
            return None
        if time.monotonic() > until:
            raise ServerError(
                f"The private PostgreSQL (process {pid}) is not ready after {START_SECONDS} s; "
                f"see {cluster.log}."
            )
        time.sleep(0.1)
    return None


def postmaster(cluster: Cluster) -> int | None:
    """Return the server's process: the one in its pid file, if it really works in its folder."""
    lines = pid_file(cluster)
    if not lines or not lines[0].strip().isdigit():
        return None
    pid = int(lines[0])
    if not Path("/proc/self/cwd").exists():
        return None if _is_gone(pid) else pid
    return pid if pid in _working(cluster) else None


def end_orphans(cluster: Cluster) -> None:
    """End what is left of a killed server: while a child of it works, no new one may start."""
    for number, seconds in ((signal.SIGQUIT, 2), (signal.SIGKILL, 10)):
        for pid in _working(cluster):
            _signal(pid, number)
        if _until(lambda: not _working(cluster), seconds):
            return
    raise ServerError(f"Processes of an earlier PostgreSQL in {cluster.data} cannot be ended.")


def shut_down(cluster: Cluster, pid: int) -> None:
    """End the server `pid`: fast, and if it does not come to an end, at once."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        _signal(pid, number)
        if _until(lambda: _is_gone(pid) or not cluster.pid_file.exists(), STOP_SECONDS):
            return
    raise ServerError(f"The private PostgreSQL (process {pid}) does not stop; see {cluster.log}.")


def _ping(socket: str) -> Ping:
    return Ping(PGconn.ping(f"host={socket} port=5432 user=wangge dbname=postgres".encode()))


def _working(cluster: Cluster) -> set[int]:
    """Return the PostgreSQL processes that work in the cluster's folder, none without /proc.

    Asked under the server's account: root in a container may not look into other accounts'
    processes.
    """
    done = cluster.account.run("/bin/sh", "-c", _WORKING_IN, "sh", str(cluster.data))
    return {int(pid) for pid in done.stdout.split()}


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(0.02)
    return True
