"""`GET /api/v1/locate` for 1, 8 and 32 clients, beside the bare look-up in SQL."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import numpy as np
import psycopg

from layers import console
from tests.bench.setting import city, points, spread
from tests.doors import TOKEN

CLIENTS = (1, 8, 32)
SECONDS = 5.0

_BARE = """
SELECT a.code FROM area_piece p JOIN area_version v ON v.id = p.version_id
JOIN area a ON a.id = v.area_id
WHERE p.layer = 'grid' AND ST_Intersects(p.geom, ST_SetSRID(ST_MakePoint(%s, %s), 4326))
"""

Ask = Callable[[float, float], Awaitable[None]]


def run(_rows: int) -> None:
    """Print requests per second and latencies of both, and their ratio."""
    url, engine = city()
    at = points(engine, 20_000).to_numpy()
    lines = []
    with served(url) as port:
        for clients in CLIENTS:
            bare = asyncio.run(load(clients, at, lambda: _sql(url)))
            http = asyncio.run(load(clients, at, lambda: _http(port)))
            ratio = len(http) / len(bare)
            lines += [
                (f"{clients} clients, bare SQL", rate(bare)),
                (f"{clients} clients, GET /locate", f"{rate(http)}, ratio {ratio:.2f}"),
            ]
    console.pairs("Look-ups over HTTP beside bare SQL", lines)


@contextmanager
def served(url: str) -> Iterator[int]:
    """The service on a port of its own, over the database at `url`, until it is left."""
    port = free_port()
    env = {**os.environ, "WANGGE_DATABASE_URL": url}
    app = [sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app"]
    # A connection of the pool may rest for as long as the run takes.
    options = ["--port", str(port), "--log-level", "error", "--timeout-keep-alive", "600"]
    service = subprocess.Popen([*app, *options], env=env)
    try:
        wait_for(port)
        yield port
    finally:
        service.terminate()
        service.wait()


def rate(seconds: list[float]) -> str:
    """Requests a second and their latencies."""
    return f"{len(seconds) / SECONDS:,.0f}/s, {spread(seconds)}"


async def load(clients: int, at: np.ndarray, connect: Callable[[], Awaitable[Ask]]) -> list[float]:
    """Latencies of all questions that so many clients get answered in `SECONDS`."""
    seconds: list[float] = []
    asks = [await connect() for _ in range(clients)]
    until = time.perf_counter() + SECONDS

    async def client(number: int, ask: Ask) -> None:
        i = number * 500
        while (start := time.perf_counter()) < until:
            lon, lat = at[i % len(at)]
            await ask(float(lon), float(lat))
            seconds.append(time.perf_counter() - start)
            i += 1

    await asyncio.gather(*(client(n, ask) for n, ask in enumerate(asks)))
    return seconds


async def _sql(url: str) -> Ask:
    """A connection that asks only which grid contains the point."""
    connection = await psycopg.AsyncConnection.connect(url.replace("+psycopg", ""), autocommit=True)

    async def ask(lon: float, lat: float) -> None:
        await (await connection.execute(_BARE, (lon, lat))).fetchall()

    return ask


async def _http(port: int) -> Ask:
    """A connection kept open, spoken to in plain HTTP/1.1 so that the client costs little."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(lon: float, lat: float) -> None:
        path = f"/api/v1/locate?lon={lon}&lat={lat}&datum=wgs84"
        signed = f"Host: localhost\r\nAuthorization: Bearer {TOKEN}"
        writer.write(f"GET {path} HTTP/1.1\r\n{signed}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        size = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length:")
        )
        await reader.readexactly(size)

    return ask


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError("the service did not come up within 30 s")
