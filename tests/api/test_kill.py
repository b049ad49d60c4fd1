"""Killed at any moment: what was acknowledged is there, once, and is told, with the same id.

The API and PostgreSQL, which keeps its word here (no `fsync=off`), are killed with SIGKILL while
reports come in. `WANGGE_TEST_KILLS` says how often.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, pool, text

from data import migrate, server
from data.settings import ROOT
from tests.api.live import PATIENCE_S, free_port, until_answered, web
from tests.api.receiver import Receiver, receiving
from tests.doors import HEADERS, open_door

KILLS = int(os.environ.get("WANGGE_TEST_KILLS", "5"))
REPORTERS = 4


class Load:
    """Reporters who send each report again until somebody says that it is there."""

    def __init__(self, base: str) -> None:
        self._base, self._ending = base, threading.Event()
        self.changed, self.acknowledged = threading.Condition(), dict[str, int]()
        self.refused: list[str] = []
        self._threads = [
            threading.Thread(target=self._report, args=(n,), daemon=True) for n in range(REPORTERS)
        ]
        for thread in self._threads:
            thread.start()

    def _report(self, reporter: int) -> None:
        with httpx.Client(base_url=self._base, timeout=20, verify=False, headers=HEADERS) as client:
            number = 0
            while not self._ending.is_set():
                external_id = f"{reporter}-{number}"
                if (stored := self._send(client, external_id)) is None:
                    self._ending.wait(0.05)
                    continue
                with self.changed:
                    self.acknowledged[external_id] = stored
                    self.changed.notify_all()
                number += 1

    def _send(self, client: httpx.Client, external_id: str) -> int | None:
        try:
            answer = client.post(
                "/api/v1/reports", json={"source": "load", "external_id": external_id}
            )
        except httpx.HTTPError:
            return None
        if answer.status_code in (200, 201):
            return int(answer.json()["id"])
        if answer.status_code != 503:
            self.refused.append(answer.text)
        return None

    def await_more(self, count: int) -> None:
        """Wait until so many more were acknowledged."""
        with self.changed:
            wanted = len(self.acknowledged) + count
            there = self.changed.wait_for(lambda: len(self.acknowledged) >= wanted, PATIENCE_S)
        assert there, f"nothing is taken in any more; last refused: {self.refused[-1:]}"

    def stop(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()


class Service:
    """`python main.py serve` on a private server of its own."""

    def __init__(self, home: Path) -> None:
        self._port = free_port()
        self.base = f"http://127.0.0.1:{self._port}"
        self._environment = {
            **os.environ,
            "WANGGE_HOME": str(home),
            "WANGGE_DATABASE_URL": "",
            "WANGGE_WEBHOOK_LOOPBACK": "true",
            "WANGGE_DELIVERY_WAIT_S": "0.2",
        }
        self._log = (home.parent / "service.log").open("ab")
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(ROOT / "main.py"), "serve", "--port", str(self._port)]
        self._process = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=self._log
        )

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)


@pytest.fixture
def home(short_tmp: Path) -> Iterator[Path]:
    made = short_tmp / "home"
    url = server.ensure(made)
    migrate.upgrade(url)
    open_door(url)
    yield made
    server.stop(made)


def kill_database(home: Path) -> None:
    pid = server.status(home).pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def test_nothing_acknowledged_is_lost_and_everything_is_told(home: Path) -> None:
    rng = random.Random()
    with receiving() as receiver:
        service = Service(home)
        until_answered(service.base)
        hook = {"channel": "webhook", "target": f"{receiver.url}/fine"}
        web.post(f"{service.base}/api/v1/subscriptions", json=hook).raise_for_status()
        load = Load(service.base)
        for _ in range(KILLS):
            load.await_more(rng.randrange(1, 40))
            victim = rng.choice(("service", "database", "both"))
            if victim != "service":
                kill_database(home)
            if victim != "database":
                service.kill()
                service.start()
        load.await_more(10)
        load.stop()
        said = (home.parent / "service.log").read_text(encoding="utf-8", errors="replace")
        assert load.refused == [], said  # nothing but 503 while something is down
        assert_stored_once(home, load.acknowledged)
        assert_told(receiver, set(load.acknowledged))
        assert service.stop() in (0, -signal.SIGTERM)


def assert_stored_once(home: Path, acknowledged: dict[str, int]) -> None:
    engine = create_engine(server.ensure(home), poolclass=pool.NullPool)
    with engine.connect() as connection:
        stored = {
            row.external_id: row.id
            for row in connection.execute(text("SELECT external_id, id FROM report"))
        }
        told = connection.execute(text("SELECT data->>'external_id' FROM event")).scalars().all()
    assert acknowledged.items() <= stored.items()
    assert sorted(told) == sorted(stored)  # one event for each report, and none for any other


def assert_told(receiver: Receiver, wanted: set[str]) -> None:
    def missing() -> set[str]:
        return wanted - {got["data"]["data"]["external_id"] for got in receiver.got["fine"]}

    with receiver.changed:
        assert receiver.changed.wait_for(lambda: not missing(), PATIENCE_S), missing()
        ids: dict[str, set[str]] = defaultdict(set)
        for got, number in zip(receiver.got["fine"], receiver.ids["fine"], strict=True):
            ids[got["data"]["data"]["external_id"]].add(number)
    assert all(len(each) == 1 for each in ids.values())
