"""The stream of events: resumed without a gap, told to reload when it cannot be, never in the way.

With a real web server, for a stream is more than its first bytes.
"""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, pool

from api import hub
from api.deps import Database
from data import events, migrate, server
from data.sequencer import sequence
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST, build
from tests.api.live import PATIENCE_S, Sent, Stream, happen, listening, serving, sql, web
from tests.conftest import THROW_AWAY
from tests.doors import TOKEN, open_door


@pytest.fixture(scope="module")
def base(town: str) -> Iterator[str]:
    with serving(town) as found:
        yield found


def numbers(sent: list[Sent]) -> list[int]:
    return [each.data["data"]["n"] for each in sent]


# --- following ----------------------------------------------------------------------------------


def test_it_says_where_it_is_and_then_what_happens(base: str, town: str) -> None:
    with listening(base) as stream:
        [position] = stream.take(1)
        assert (position.event, position.data) == ("position", {"seq": position.id})
        happen(town, 1, 2)
        first, second = stream.take(2)
    assert first.event == first.data["kind"] == "test.happened"
    assert first.id == first.data["seq"] > position.id
    assert numbers([first, second]) == [1, 2]
    assert first.data["area"] is first.data["incident"] is first.data["resource"] is None


def test_a_report_is_told_with_its_grid(base: str) -> None:
    with listening(base, {"kinds": "report.received"}) as stream:
        stream.take(1)
        where = {"lon": WEST + 0.5 * STEP, "lat": SOUTH + 1.5 * STEP, "datum": "wgs84"}
        report = web.post(f"{base}/api/v1/reports", json={"source": "live", **where}).json()
        [told] = stream.take(1)
        web.post(f"{base}/api/v1/reports", json={"source": "live", **where}).raise_for_status()
        same = {"source": "live", "external_id": report["external_id"], **where}
        assert web.post(f"{base}/api/v1/reports", json=same).json()["repeated"]
        assert stream.take(1)[0].data["data"]["report"] == report["id"] + 1
    assert told.data["data"]["report"] == report["id"]
    assert told.data["area"] == {"layer": "grid", "code": GRIDS[2]}


def test_one_who_was_away_misses_nothing(base: str, town: str) -> None:
    with listening(base) as stream:
        stream.take(1)
        happen(town, 1)
        [seen] = stream.take(1)
    happen(town, *range(2, 30))
    with listening(base, last=seen.id) as stream:
        happen(town, 30)
        assert numbers(stream.take(29)) == list(range(2, 31))
    with listening(base, {"after": seen.id}) as stream:
        assert numbers(stream.take(29)) == list(range(2, 31))


def test_nothing_falls_between_catching_up_and_listening(base: str, town: str) -> None:
    """Clients who come back again and again while it happens."""
    with listening(base) as stream:
        start = stream.take(1)[0].id

    def client(steps: int) -> list[int]:
        seen, last = list[int](), start
        while len(seen) < 60:
            with listening(base, last=last) as stream:
                for sent in stream.take(min(steps, 60 - len(seen))):
                    seen.append(sent.data["data"]["n"])
                    last = sent.id
        return seen

    with ThreadPoolExecutor() as threads:
        reading = [threads.submit(client, steps) for steps in (1, 3, 7, 20)]
        happen(town, *range(60))
        for each in reading:
            assert each.result() == list(range(60))


def test_filters(base: str, town: str) -> None:
    engine = create_engine(town, poolclass=pool.NullPool)
    with engine.connect() as connection:
        grid = events.area_named(connection, f"grid/{GRIDS[0]}")
        village = events.area_named(connection, f"village/{VILLAGES[0]}")
        other = events.area_named(connection, f"grid/{GRIDS[4]}")
    with listening(base) as stream:
        start = stream.take(1)[0].id
    happen(town, 1, kind="a", area_id=grid)
    happen(town, 2, kind="b", area_id=village)
    happen(town, 3, kind="a", area_id=other, incident_id=5)
    happen(town, 4, kind="c", resource_id=9)
    happen(town, 5, kind="end", area_id=grid, incident_id=5, resource_id=9)
    asked: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [1, 2, 3, 4, 5]),
        ({"kinds": "a, end"}, [1, 3, 5]),
        ({"area": f"grid/{GRIDS[0]}"}, [1, 5]),
        ({"area": f"village/{VILLAGES[0]}"}, [1, 2, 5]),
        ({"area": "city/440600000000"}, [1, 2, 3, 5]),
        ({"incident": 5}, [3, 5]),
        ({"resource": 9}, [4, 5]),
        ({"resource": 9, "kinds": "end"}, [5]),
    ]
    for query, expected in asked:
        with listening(base, {**query, "after": start}) as stream:
            assert numbers(stream.take(len(expected))) == expected, query
        page = web.get(
            f"{base}/api/v1/events",
            params={**query, "after": start},
            headers={"Accept": "application/json"},
        ).json()
        assert [each["data"]["n"] for each in page["events"]] == expected, query


def test_pages_for_those_who_ask(base: str, town: str) -> None:
    def ask(**query: Any) -> httpx.Response:
        return web.get(
            f"{base}/api/v1/events", params=query, headers={"Accept": "application/json"}
        )

    with listening(base) as stream:
        after = stream.take(1)[0].id
        happen(town, *range(10))
        stream.take(10)
    assert ask().json() == {"events": [], "after": after + 10, "newest": after + 10}
    seen: list[int] = []
    while page := ask(after=after, limit=4).json():
        if not page["events"]:
            break
        seen += [each["data"]["n"] for each in page["events"]]
        after = page["after"]
    assert seen == list(range(10))


def test_what_cannot_be_asked_is_a_problem(base: str) -> None:
    for query, headers, field in (
        ({"area": "grid/0"}, {}, "area"),
        ({"after": "x"}, {}, "after"),
        ({}, {"Last-Event-ID": "nonsense"}, "Last-Event-ID"),
        ({"colour": "red"}, {}, "colour"),
    ):
        answer = web.get(f"{base}/api/v1/events", params=query, headers=headers)
        assert answer.status_code in (404, 422), answer.text
        assert answer.json()["field"] == field


# --- too far behind -------------------------------------------------------------------------------


def assert_reload(stream: Stream, newest: int) -> None:
    told = stream.next()
    assert told is not None and (told.event, told.id) == ("reload", newest)
    assert stream.next() is None


def test_one_who_is_too_far_behind_is_told_to_reload(
    base: str, town: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MOST_BEHIND", 5)
    with listening(base) as stream:
        start = stream.take(1)[0].id
        happen(town, *range(6))
        newest = stream.take(6)[-1].id
    with listening(base, last=newest - 5) as stream:
        assert numbers(stream.take(5)) == [1, 2, 3, 4, 5]
    with listening(base, last=start) as stream:
        assert_reload(stream, newest)
    with listening(base, last=newest + 1) as stream:  # of another database
        assert_reload(stream, newest)


def test_one_whose_events_were_cleaned_away_is_told_to_reload(fresh_database_url: str) -> None:
    engine = create_engine(fresh_database_url, poolclass=pool.NullPool)
    happen(fresh_database_url, 1, 2, 3)
    with engine.begin() as connection:
        sequence(connection)
    with engine.begin() as connection:
        events.clean(connection, datetime.now(UTC) + timedelta(days=2), days=1)
    happen(fresh_database_url, 4)
    with serving(fresh_database_url) as base:
        with listening(base, last=3) as stream:
            newest = stream.take(1)[0].id
        with listening(base, last=2) as stream:
            assert_reload(stream, newest)
        answer = web.get(f"{base}/api/v1/events?after=2", headers={"Accept": "application/json"})
    assert answer.status_code == 410
    assert (answer.json()["type"], answer.json()["newest"]) == ("/problems/events-gone", newest)


def slow_reader(base: str, after: int) -> socket.socket:
    """A client that asked for a stream and reads nothing of it."""
    opened = socket.socket()
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    opened.settimeout(PATIENCE_S)
    host, _, port = base.removeprefix("http://").partition(":")
    opened.connect((host, int(port)))
    head = f"GET /api/v1/events?after={after} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer {TOKEN}"
    opened.sendall(f"{head}\r\n\r\n".encode())
    return opened


def read_all(opened: socket.socket) -> str:
    parts = []
    while part := opened.recv(1 << 20):
        parts.append(part)
    return b"".join(parts).decode()


def test_one_who_reads_too_slowly_holds_nobody_up(
    base: str, town: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "QUEUE", 20)
    monkeypatch.setattr(hub, "MOST_BEHIND", 250)
    with listening(base) as stream:
        start = stream.take(1)[0].id
        with slow_reader(base, start) as slow:
            for block in range(0, 400, 40):  # 16 MB, more than all buffers on the way hold
                happen(town, *range(block, block + 40), size=40_000)
                assert numbers(stream.take(40)) == list(range(block, block + 40))
            got = read_all(slow)
    told = re.findall(r"^event: (.+)$", got, re.MULTILINE)
    ids = [int(each) for each in re.findall(r"^id: (\d+)$", got, re.MULTILINE)]
    assert set(told[:-1]) == {"test.happened"} and told[-1] == "reload"
    assert ids[:-1] == list(range(start + 1, start + len(ids)))
    assert len(ids) < 400


def test_a_burst_larger_than_the_queue_is_read_whole(
    base: str, town: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "QUEUE", 20)
    with listening(base) as stream:
        stream.take(1)
        engine = create_engine(town, poolclass=pool.NullPool)
        with engine.begin() as connection:
            for n in range(3000):
                events.record(connection, "test.happened", {"n": n})
        assert numbers(stream.take(3000)) == list(range(3000))


# --- the service and the database come and go -----------------------------------------------------


def test_an_idle_stream_beats(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "HEARTBEAT_S", 0.05)
    with web.stream("GET", f"{base}/api/v1/events") as response:
        lines = response.iter_lines()
        assert ": ping" in [next(lines) for _ in range(6)]


def test_a_filtered_stream_beats_with_the_newest_number_among_events_of_others(
    base: str, town: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(hub, "MOST_BEHIND", 5)
    with listening(base) as others, listening(base, {"kinds": "mine"}) as stream:
        others.take(1)
        happen(town, *range(20))
        newest = others.take(20)[-1].id
        assert stream.take(1)[0].event == "position"
        last = stream.beat(newest)
    with listening(base, {"kinds": "mine"}, last=last) as stream:
        happen(town, 1, kind="mine")
        assert numbers(stream.take(1)) == [1]


def test_open_streams_do_not_keep_the_service_from_stopping(fresh_database_url: str) -> None:
    with serving(fresh_database_url) as base:
        threads = ThreadPoolExecutor()
        begun = threading.Semaphore(0)

        def follow() -> Sent | None:
            with listening(base) as stream:
                stream.take(1)
                begun.release()
                return stream.next()

        ends = [threads.submit(follow) for _ in range(5)]
        for _ in ends:
            assert begun.acquire(timeout=PATIENCE_S)
    assert [end.result(PATIENCE_S) for end in ends] == [None] * 5


def test_several_processes_tell_the_same(town: str, base: str) -> None:
    with serving(town) as other, listening(base) as here, listening(other) as there:
        here.take(1), there.take(1)
        happen(town, *range(20))
        assert here.take(20) == there.take(20)


def test_a_restarted_database_is_resumed(short_tmp: Path) -> None:
    home = short_tmp / "home"
    url = server.ensure(home, tuning=THROW_AWAY)
    migrate.upgrade(url)
    open_door(url)
    engine = create_engine(url)
    build(engine)
    engine.dispose()
    try:
        with serving(url) as base, listening(base) as stream:
            stream.take(1)
            happen(url, 1)
            assert numbers(stream.take(1)) == [1]
            server.stop(home)
            server.ensure(home, tuning=THROW_AWAY)
            happen(url, 2)
            assert numbers(stream.take(1)) == [2]
            answer = web.post(f"{base}/api/v1/reports", json={"source": "after"})
            assert answer.status_code == 201
            assert stream.take(1)[0].event == "report.received"
    finally:
        server.stop(home)


def test_a_database_that_is_away_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "READY_S", 0.1)
    with serving("postgresql+psycopg://nobody@127.0.0.1:1/none") as base:
        answer = web.get(f"{base}/api/v1/events")
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/database-unavailable"


def test_many_clients_share_the_connections_of_one(base: str, town: str) -> None:
    with ThreadPoolExecutor(40) as threads:
        begun = threading.Barrier(41, timeout=PATIENCE_S)

        def follow() -> list[int]:
            with listening(base) as stream:
                stream.take(1)
                begun.wait()
                return numbers(stream.take(3))

        reading = [threads.submit(follow) for _ in range(40)]
        begun.wait()
        listeners = sql(
            town,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'wangge-events'"
            " AND datname = current_database()",
        )
        happen(town, 1, 2, 3)
        assert [each.result() for each in reading] == [[1, 2, 3]] * 40
    assert listeners == 2  # one hears, one numbers


class Counted(Database):
    """Counts how many ask it at once."""

    asking = most = 0

    async def read(self, *args: Any, **kwargs: Any) -> Any:
        self.asking += 1
        self.most = max(self.most, self.asking)
        try:
            return await super().read(*args, **kwargs)
        finally:
            self.asking -= 1


async def _catch_up(url: str, streams: int, count: int) -> int:
    """How many of the streams asked for what they had missed at once."""
    database = Counted(url)
    listeners = hub.Hub(url, database)
    try:
        await listeners.ready()
        bounds = await database.read(events.bounds)

        async def read() -> None:
            told = listeners.stream(bounds, 0, events.Filter())
            for _ in range(count):
                await anext(told)
            await told.aclose()  # type: ignore[attr-defined]

        await asyncio.gather(*(read() for _ in range(streams)))
    finally:
        await listeners.close()
        await database.close()
    return database.most


def test_those_who_come_back_together_leave_connections_for_others(fresh_database_url: str) -> None:
    happen(fresh_database_url, *range(20))
    with create_engine(fresh_database_url, poolclass=pool.NullPool).begin() as connection:
        sequence(connection)
    most = asyncio.run(_catch_up(fresh_database_url, streams=12, count=20))
    assert most == hub.MOST_ASKING
