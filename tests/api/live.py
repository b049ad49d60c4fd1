"""A real web server on a free port, and a client of its streams."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from sqlalchemy import create_engine, pool, text

from api.main import create_app
from api.provider import Provider
from api.serving import Server
from data import events
from tests.doors import HEADERS

PATIENCE_S = 90.0  # after which a test fails instead of hanging; processes may start slowly
# Shared, for a client of one's own reads all certificates of the system each time.
web = httpx.Client(verify=False, timeout=PATIENCE_S, headers=HEADERS)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(url: str, provider: Provider | None = None) -> Iterator[str]:
    """The service on the database at `url`, until the end, which open streams must not hold up."""
    port = free_port()
    server = Server(create_app(url, provider=provider), "127.0.0.1", port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    base = f"http://127.0.0.1:{port}"
    until_answered(base)
    yield base
    server.should_exit = True
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "an open stream keeps the server from stopping"


def until_answered(base: str) -> None:
    for _ in range(int(PATIENCE_S / 0.05)):
        try:
            web.get(f"{base}/api/v1/health")
            return
        except httpx.ConnectError:
            threading.Event().wait(0.05)
    raise AssertionError("the service did not come up")


@dataclass(frozen=True)
class Sent:
    """A server-sent event."""

    id: int
    event: str
    data: dict[str, Any]


class Stream:
    """Reads a stream event by event, as the specification says, heartbeats left out."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines

    def next(self) -> Sent | None:
        """The next one; None at the stream's end."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and "event" in fields:
                return Sent(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            name, _, value = line.partition(": ")
            fields |= {name: value} if name else {}
        return None

    def beat(self, least: int) -> int:
        """Wait for a heartbeat with at least this number; the number."""
        for line in self._lines:
            name, _, value = line.partition(": ")
            if name == "id" and int(value) >= least:
                return int(value)
        raise AssertionError("the stream ended")

    def take(self, count: int) -> list[Sent]:
        found = [self.next() for _ in range(count)]
        assert None not in found
        return [each for each in found if each is not None]


@contextmanager
def listening(
    base: str, query: dict[str, Any] | None = None, last: int | None = None
) -> Iterator[Stream]:
    """An open stream."""
    headers = {**HEADERS, "Accept": "text/event-stream"}
    headers |= {} if last is None else {"Last-Event-ID": str(last)}
    with (
        httpx.Client(base_url=base, timeout=PATIENCE_S, verify=False) as client,
        client.stream("GET", "/api/v1/events", params=query or {}, headers=headers) as response,
    ):
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response.iter_lines())


def happen(url: str, *numbers: int, kind: str = "test.happened", **more: Any) -> None:
    """Something happens, each in a transaction of its own."""
    engine = create_engine(url, poolclass=pool.NullPool)
    size = more.pop("size", 0)
    for number in numbers:
        with engine.begin() as connection:
            events.record(connection, kind, {"n": number, "fill": "x" * size}, **more)


def sql(url: str, statement: str, **values: Any) -> Any:
    """The single value that a statement returns."""
    engine = create_engine(url, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        return connection.execute(text(statement), values).scalar()
