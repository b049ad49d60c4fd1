"""Who could go, among 220,000 people; and a report over HTTP with five of them in the answer."""

import asyncio
import json
import time
from datetime import datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import psycopg
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.dialects import postgresql

from api.deps import OPTIONS
from data import candidates, placement, reports, rules
from data.candidates import Question
from data.settings import settings
from layers import console
from tests.bench.over_http import CLIENTS, Ask, load, rate, served
from tests.bench.setting import city, points, spread
from tests.doors import TOKEN

INCIDENTS = 1_200_000
COUNT, WARM = 600, 50
STEADY_PER_S, STEADY_S = 50, 300

_FILL = text("""
WITH spot AS MATERIALIZED (
    SELECT a.geom, v.id AS version_id, v.area_id, row_number() OVER () - 1 AS number
    FROM address a JOIN area_piece p ON p.layer = 'grid' AND ST_Intersects(p.geom, a.geom)
    JOIN area_version v ON v.id = p.version_id
), placed AS (
    INSERT INTO report (source, external_id, kind, received, x, y, datum, geom, layer, area_id,
                        version_id, method, at, known)
    SELECT 'archive', n, '噪音扰民', now() - n * interval '26 seconds', ST_X(s.geom), ST_Y(s.geom),
           'wgs84', s.geom, 'grid', s.area_id, s.version_id, 'inside', now(), now()
    FROM generate_series(1, :count) n JOIN spot s ON s.number = n % (SELECT count(*) FROM spot)
    RETURNING id, received, kind, geom, area_id
)
INSERT INTO incident (id, opened, closed, stage, kind, geom, area_id)
SELECT id, received, received + interval '1 hour', 'closed', kind, geom, area_id FROM placed
""")
_BARE = text("""
SELECT id FROM resource
ORDER BY home_xy <-> ST_Transform(ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), 3395) LIMIT 25
""")


def run(_rows: int) -> None:
    """Print the latency of the nearest 25, and reports per second over HTTP beside bare SQL."""
    url, engine = city()
    _fill(engine)
    at = points(engine, 20_000).to_numpy()
    with create_engine(
        url, isolation_level="AUTOCOMMIT", connect_args={"options": OPTIONS}
    ).connect() as connection:
        # The reference has an index of its own, as good as it can be for what it asks.
        connection.execute(text("CREATE INDEX bare_nearest ON resource USING gist (home_xy)"))
        bare, ours = _nearest(connection, at, hour=12)
        _, by_night = _nearest(connection, at, hour=3)
        connection.execute(text("DROP INDEX bare_nearest"))
        statements = _statements(connection)
    console.pairs(
        "The nearest 25 that are on duty, able and free (p95 at most 5 ms)",
        [("bare <->, no condition", spread(bare)), ("ours, at noon", spread(ours)),
         ("ours, at 3 in the night", spread(by_night)),
         ("ratio of medians", f"{np.median(bare) / np.median(ours):.2f}")],
    )  # fmt: skip
    lines = []
    with served(url) as port:
        for clients in CLIENTS:
            direct = asyncio.run(load(clients, at, lambda: _sql(url, statements)))
            http = asyncio.run(load(clients, at, lambda: _http(port)))
            lines += [
                (f"{clients} clients, the same statements", rate(direct)),
                (f"{clients} clients, POST /reports", f"{rate(http)}, "
                                                      f"ratio {len(http) / len(direct):.2f}"),
            ]  # fmt: skip
        steady = asyncio.run(_steady(port, at))
    lines.append((f"{STEADY_PER_S} reports/s for {STEADY_S} s", spread(steady)))
    console.pairs(
        "A report over HTTP (ratio at 8 clients at least 0.3, p95 at 50/s ≤ 50 ms)", lines
    )


def _fill(engine: Engine) -> None:
    with engine.begin() as connection:
        there = connection.execute(text("SELECT count(*) FROM incident")).scalar_one()
        if there < INCIDENTS:
            connection.execute(_FILL, {"count": INCIDENTS - there})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE report, incident, resource, position"))


def _nearest(connection: Connection, at: np.ndarray, hour: int) -> tuple[list[float], list[float]]:
    """Seconds of each question, bare and ours, for who is on duty at an hour of a working day."""
    rule = rules.of(connection, None)
    moment = datetime(2026, 3, 4, hour, tzinfo=ZoneInfo(settings().timezone))
    bare, ours = [], []
    for number, (lon, lat) in enumerate(at[: COUNT + WARM]):
        asked = candidates.parameters(Question(float(lon), float(lat), rule, at=moment))
        start = time.perf_counter()
        connection.execute(_BARE, {"lon": float(lon), "lat": float(lat)}).all()
        middle = time.perf_counter()
        connection.execute(candidates.NEAREST_STATEMENT, asked).all()
        if number >= WARM:
            bare.append(middle - start)
            ours.append(time.perf_counter() - middle)
    return bare, ours


def _statements(connection: Connection) -> list[tuple[str, dict[str, Any]]]:
    """The report's own statement and that for its candidates, as psycopg takes them."""
    report = {
        "source": "direct", "occurred": None, "channel": None, "kind": "噪音扰民",
        "premises": None, "description": None, "address": None, "datum": "wgs84",
        "attributes": "{}", "by_address": False, "urgency": 3,
        **placement.parameters(placement.Place(0, 0, 20.0)),
    }  # fmt: skip
    who = candidates.parameters(Question(0, 0, rules.of(connection, "噪音扰民")))
    return [(_plain(reports.STORE), report), (_plain(candidates.NEAREST_STATEMENT), who)]


def _plain(statement: Any) -> str:
    return str(statement.compile(dialect=postgresql.psycopg.dialect()))


async def _sql(url: str, statements: list[tuple[str, dict[str, Any]]]) -> Ask:
    """A connection that stores a report and asks for its candidates, as the service does."""
    connection = await psycopg.AsyncConnection.connect(
        url.replace("+psycopg", ""), autocommit=True, options=OPTIONS
    )
    numbers = count(time.monotonic_ns())

    async def ask(lon: float, lat: float) -> None:
        own = {"lon": lon, "lat": lat, "x": lon, "y": lat, "external_id": str(next(numbers))}
        async with connection.transaction():
            for statement, values in statements:
                await (await connection.execute(statement, {**values, **own})).fetchall()

    return ask


async def _http(port: int) -> Ask:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(lon: float, lat: float) -> None:
        report = {"source": "bench", "lon": lon, "lat": lat, "datum": "wgs84", "kind": "噪音扰民"}
        body = json.dumps(report).encode()
        writer.write(
            b"POST /api/v1/reports HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s"
            b"\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
            % (TOKEN.encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(head.decode())
        size = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
        await reader.readexactly(int(size))

    return ask


async def _steady(port: int, at: np.ndarray) -> list[float]:
    """Latencies of reports that come at a steady rate, whether or not earlier ones are answered."""
    idle = [await _http(port) for _ in range(32)]
    seconds: list[float] = []

    async def one(lon: float, lat: float, due: float) -> None:
        ask = idle.pop() if idle else await _http(port)
        await ask(lon, lat)
        seconds.append(time.perf_counter() - due)  # waiting for its turn counts
        idle.append(ask)

    begun = time.perf_counter()
    tasks = []
    for n in range(STEADY_PER_S * STEADY_S):
        due = begun + n / STEADY_PER_S
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        lon, lat = at[n % len(at)]
        tasks.append(asyncio.create_task(one(float(lon), float(lat), due)))
    await asyncio.gather(*tasks)
    return seconds
