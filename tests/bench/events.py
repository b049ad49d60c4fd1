"""From commit to a client of the stream, at 50 events a second.

For a report, which the service commits itself, beside its answer; and for what another program
commits, which the service has to find.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import httpx
import psycopg
from sqlalchemy import text

from layers import console
from tests.bench.over_http import free_port, wait_for
from tests.bench.setting import city, spread
from tests.doors import TOKEN

Spans = list[tuple[float, float]]  # from when until when each thing happened

RATE, SECONDS = 50, 20
CLIENTS = (1, 100)

_HAPPEN = "INSERT INTO event (kind) VALUES ('bench.happened')"

_ASK = (
    b"GET /api/v1/events?kinds=bench.happened,report.received HTTP/1.1\r\nHost: localhost\r\n"
    b"Authorization: Bearer %s\r\n\r\n" % TOKEN.encode()
)


def run(_rows: int) -> None:
    """Print the latencies; the aim is a 95th percentile of 250 ms on a screen."""
    url, engine = city()
    port = free_port()
    env = {**os.environ, "WANGGE_DATABASE_URL": url}
    app = [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app"]
    service = subprocess.Popen([*app, "--port", str(port), "--log-level", "error"], env=env)
    try:
        wait_for(port)
        lines = []
        for clients in CLIENTS:
            answered, told = asyncio.run(_measure(url, port, clients, _reports))
            _, found = asyncio.run(_measure(url, port, clients, _strangers))
            lines += [
                (f"{clients} clients, a report from request to answer", spread(answered)),
                (f"{clients} clients, its event, from the request on", spread(told)),
                (f"{clients} clients, what another program commits", spread(found)),
            ]
    finally:
        service.terminate()
        service.wait()
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM report WHERE source = 'bench'"))
    console.pairs(f"From commit to the client, {RATE} events/s (p95 at most 250 ms)", lines)


async def _measure(
    url: str, port: int, clients: int, happen: Callable[[str, int, int], Awaitable[Spans]]
) -> tuple[list[float], list[float]]:
    """Seconds that each event took to happen, and from its beginning to the last client."""
    loop, begun, count = asyncio.get_running_loop(), asyncio.Event(), RATE * SECONDS
    others = [await loop.create_connection(Other, "127.0.0.1", port) for _ in range(clients - 1)]
    stream = asyncio.create_task(_streamed(port, count, begun))
    await begun.wait()
    spans = await happen(url, port, count)
    arrived = await stream
    for transport, _ in others:
        transport.close()
    took = [end - start for start, end in spans]
    return took, [at - start for at, (start, _) in zip(arrived, spans, strict=True)]


async def _reports(url: str, port: int, count: int) -> Spans:
    """Reports over HTTP, one after another."""
    spans: Spans = []
    run = time.time_ns()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        begin = time.perf_counter()
        for n in range(count):
            await asyncio.sleep(max(0.0, begin + n / RATE - time.perf_counter()))
            start = time.perf_counter()
            report = {"source": "bench", "external_id": f"{run}-{n}", "description": "路灯不亮"}
            (await client.post("/api/v1/reports", json=report)).raise_for_status()
            spans.append((start, time.perf_counter()))
    return spans


async def _strangers(url: str, port: int, count: int) -> Spans:
    """Rows that are committed on a connection of our own; the commit is the beginning."""
    spans: Spans = []
    plain = url.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(plain, autocommit=True) as connection:
        begin = time.perf_counter()
        for n in range(count):
            await asyncio.sleep(max(0.0, begin + n / RATE - time.perf_counter()))
            await connection.execute(_HAPPEN)
            spans.append((time.perf_counter(),) * 2)
    return spans


class Other(asyncio.Protocol):
    """One more client, who costs this process as little as can be."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(_ASK)  # type: ignore[attr-defined]


async def _streamed(port: int, count: int, begun: asyncio.Event) -> list[float]:
    """When each event came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_ASK)
    arrived: list[float] = []
    while len(arrived) < count:
        line = await reader.readline()
        if line.startswith(b"event: position"):
            begun.set()
        elif line.startswith(b"event: "):
            arrived.append(time.perf_counter())
    writer.close()
    return arrived
