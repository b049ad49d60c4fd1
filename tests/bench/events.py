"""From commit to a client of the stream, at 50 events a second, beside a bare LISTEN/NOTIFY."""

import asyncio
import json
import os
import subprocess
import sys
import time

import psycopg

from layers import console
from tests.bench.over_http import free_port, wait_for
from tests.bench.setting import city, spread

RATE, SECONDS = 50, 20
CLIENTS = (1, 100)

_HAPPEN = "INSERT INTO event (kind, data) VALUES ('bench.happened', jsonb_build_object('n', %s))"

_ASK = b"GET /api/v1/events?kinds=bench.happened HTTP/1.1\r\nHost: localhost\r\n\r\n"


def run(_rows: int) -> None:
    """Print the latencies of both; the aim is a 95th percentile of 250 ms on a screen."""
    url, _ = city()
    port = free_port()
    env = {**os.environ, "WANGGE_DATABASE_URL": url}
    app = [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app"]
    service = subprocess.Popen([*app, "--port", str(port), "--log-level", "error"], env=env)
    try:
        wait_for(port)
        lines = []
        for clients in CLIENTS:
            bare, streamed = asyncio.run(_measure(url.replace("+psycopg", ""), port, clients))
            lines += [
                (f"{clients} clients, a bare notification", spread(bare)),
                (f"{clients} clients, the event in the stream", spread(streamed)),
            ]
    finally:
        service.terminate()
        service.wait()
    console.pairs(f"From commit to the client, {RATE} events/s (p95 at most 250 ms)", lines)


async def _measure(url: str, port: int, clients: int) -> tuple[list[float], list[float]]:
    """Seconds after the commit: of each notification, and of each event at the last client."""
    committed: list[float] = []
    count = RATE * SECONDS
    begun = [asyncio.Event() for _ in range(2)]
    bare = asyncio.create_task(_notified(url, count, begun[0]))
    loop = asyncio.get_running_loop()
    others = [await loop.create_connection(Other, "127.0.0.1", port) for _ in range(clients - 1)]
    stream = asyncio.create_task(_streamed(port, count, begun[1]))
    for each in begun:
        await each.wait()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        start = time.perf_counter()
        for n in range(count):
            await asyncio.sleep(max(0.0, start + n / RATE - time.perf_counter()))
            await connection.execute(_HAPPEN, (n,))
            committed.append(time.perf_counter())
    heard, arrived = await bare, await stream
    for transport, _ in others:
        transport.close()
    return (
        [at - when for at, when in zip(heard, committed, strict=True)],
        [arrived[n] - when for n, when in enumerate(committed)],
    )


class Other(asyncio.Protocol):
    """One more client, who costs this process as little as can be."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(_ASK)  # type: ignore[attr-defined]


async def _notified(url: str, count: int, begun: asyncio.Event) -> list[float]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("LISTEN event")
        begun.set()
        return [time.perf_counter() async for _ in connection.notifies(stop_after=count)]


async def _streamed(port: int, count: int, begun: asyncio.Event) -> dict[int, float]:
    """When each event came, by its number."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_ASK)
    arrived: dict[int, float] = {}
    while len(arrived) < count:
        line = await reader.readline()
        if line.startswith(b"event: position"):
            begun.set()
        elif line.startswith(b"data: ") and begun.is_set() and b'"kind"' in line:
            arrived[json.loads(line[6:])["data"]["n"]] = time.perf_counter()
    writer.close()
    return arrived
