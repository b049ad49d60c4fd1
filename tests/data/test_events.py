"""Events are read once each, in one order, by whoever follows them, however they were written."""

import random
import re
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, pool, text

from data import events, messages, subscriptions
from data.event_kinds import KINDS
from data.events import Filter
from data.sequencer import LOCK, Sequencer, sequence
from data.settings import ROOT
from data.subscriptions import NewSubscription
from tests.api.conftest import GRIDS, VILLAGES, build


@pytest.fixture
def engine(fresh_database_url: str) -> Iterator[Engine]:
    made = create_engine(fresh_database_url, pool_size=30)
    yield made
    made.dispose()


class Reader:
    """Follows by number, as a client does: it never asks for what lies behind it."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.read, self.last = engine, [], 0  # type: ignore[var-annotated]

    def look(self) -> None:
        with self._engine.begin() as connection:
            for event in events.after(connection, self.last, limit=7):
                self.read.append(event.data["n"])
                self.last = event.seq


def number_all(engine: Engine) -> int:
    total = 0
    while True:
        with engine.begin() as connection:
            numbered = sequence(connection)
        total += numbered
        if not numbered:
            return total


def write(engine: Engine, n: int, keep: bool = True) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        events.record(connection, "test.happened", {"n": n})
        if not keep:
            transaction.rollback()


# --- numbers ------------------------------------------------------------------------------------


def test_an_event_committed_late_is_not_missed(engine: Engine) -> None:
    """Its id is smaller than that of one that was read before it was there."""
    reader = Reader(engine)
    with engine.connect() as slow, slow.begin():
        events.record(slow, "test.happened", {"n": 1})
        write(engine, 2)
        number_all(engine)
        reader.look()
        assert reader.read == [2]
    number_all(engine)
    reader.look()
    assert reader.read == [2, 1]


def test_a_follower_reads_every_committed_event_once(engine: Engine) -> None:
    """Writers that commit late or not at all, two sequencers and a reader, all at the same time."""
    writers, each = 12, 25
    reader, done = Reader(engine), threading.Event()

    def writer(number: int) -> None:
        rng = random.Random(number)
        for i in range(each):
            with engine.connect() as connection, connection.begin() as transaction:
                events.record(connection, "test.happened", {"n": number * 1000 + i})
                for _ in range(rng.randrange(4)):  # others pass it meanwhile
                    connection.execute(text("SELECT count(*) FROM event"))
                if rng.random() < 0.25:
                    events.record(connection, "test.happened", {"n": -1})
                    transaction.rollback()

    def follow(step: Callable[[], Any]) -> threading.Thread:
        def run() -> None:
            while not done.is_set():
                step()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    following = [follow(lambda: number_all(engine)) for _ in range(2)] + [follow(reader.look)]
    threads = [threading.Thread(target=writer, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    for thread in following:
        thread.join()
    number_all(engine)
    for _ in range(writers * each):
        reader.look()
    with engine.connect() as connection:
        stored = connection.execute(text("SELECT (data->>'n')::int FROM event")).scalars().all()
    assert sorted(reader.read) == sorted(stored)
    assert 0 < len(stored) < writers * each and -1 not in stored


def test_a_sequencer_killed_half_way_leaves_it_to_the_next(engine: Engine) -> None:
    with engine.begin() as connection:
        number, _ = subscriptions.add(connection, NewSubscription("webhook", "http://x.example"))
    write(engine, 1)
    with engine.connect() as killed:
        sequence(killed)
        pid = killed.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with engine.connect() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        killed.invalidate()
    reader = Reader(engine)
    reader.look()
    assert reader.read == []
    assert number_all(engine) == 1
    reader.look()
    assert reader.read == [1]
    with engine.connect() as connection:
        [message] = messages.due(connection, number)
    assert message.event.data == {"n": 1}


def test_two_sequencers_take_turns(engine: Engine) -> None:
    write(engine, 1)
    with engine.connect() as first, first.begin():
        assert sequence(first) == 1
        with engine.connect() as second:
            free = text("SELECT pg_try_advisory_xact_lock(:lock)")
            assert not second.execute(free, {"lock": LOCK}).scalar_one()
    assert number_all(engine) == 0


def test_numbers_are_given_in_the_order_of_ids(engine: Engine) -> None:
    with engine.begin() as connection:
        for n in range(50):
            events.record(connection, "test.happened", {"n": n})
    number_all(engine)
    with engine.connect() as connection:
        assert [event.data["n"] for event in events.after(connection, 0)] == list(range(50))


# --- the thread -----------------------------------------------------------------------------------


class Heard:
    """What a sequencer's thread told."""

    def __init__(self) -> None:
        self.changed, self.numbers = threading.Condition(), list[int]()

    def tell(self, new: Any) -> None:
        with self.changed:
            self.numbers += [event.data["n"] for event in new]
            self.changed.notify_all()

    def wait_for(self, count: int) -> list[int]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.numbers) >= count, timeout=30)
            return list(self.numbers)


def started(sequencer: Sequencer) -> None:
    """Wait until it has its position: what is committed from now on is told."""
    sequencer.start()
    while sequencer.position is None:
        threading.Event().wait(0.01)


def test_every_process_is_told_of_every_event(engine: Engine, fresh_database_url: str) -> None:
    write(engine, 0)
    number_all(engine)  # from before they came: not theirs
    heard = [Heard() for _ in range(2)]
    threads = [Sequencer(fresh_database_url, each.tell) for each in heard]
    for thread in threads:
        started(thread)
    for n in range(1, 21):
        write(engine, n)
    try:
        for each in heard:
            assert each.wait_for(20) == list(range(1, 21))
    finally:
        for thread in threads:
            thread.stop()


def test_a_sequencer_comes_back_with_its_connection(
    engine: Engine, fresh_database_url: str
) -> None:
    heard = Heard()
    sequencer = Sequencer(fresh_database_url, heard.tell)
    started(sequencer)
    try:
        write(engine, 1)
        heard.wait_for(1)
        with engine.connect() as connection:
            ended = connection.execute(
                text(
                    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                    " WHERE application_name = 'wangge-events' AND datname = current_database()"
                )
            ).scalar_one()
        assert ended >= 1
        write(engine, 2)
        assert heard.wait_for(2) == [1, 2]
    finally:
        sequencer.stop()


# --- what is listened to --------------------------------------------------------------------------


def test_filters_and_subscriptions_choose_alike(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(engine)
    grid, village = f"grid/{GRIDS[0]}", f"village/{VILLAGES[0]}"
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO resource (id, source, external_id, kind, name, home)"
                " VALUES (7, 't', '7', 'mediator', '甲', ST_SetSRID(ST_MakePoint(113, 23), 4326))"
            )
        )
        ids = {name: events.area_named(connection, name) for name in (grid, village)}
        wishes: list[dict[str, Any]] = [
            {}, {"kinds": ["a"]}, {"kinds": ["a", "b"]}, {"area": grid}, {"area": village},
            {"area": f"village/{VILLAGES[1]}"}, {"resource": 7},
            {"kinds": ["b"], "area": village, "resource": 7},
        ]  # fmt: skip
        for kind in "ab":
            monkeypatch.setitem(KINDS, kind, "for tests")
        numbers = [
            subscriptions.add(connection, NewSubscription("webhook", "http://x.example", **wish))[0]
            for wish in wishes
        ]
        for kind in ("a", "b", "c"):
            for where in (None, ids[grid], ids[village]):
                for who in (None, 7):
                    events.record(connection, kind, area_id=where, resource_id=who)
    number_all(engine)
    with engine.connect() as connection:
        written = events.after(connection, 0)
        for wish, number in zip(wishes, numbers, strict=True):
            area_id = events.area_named(connection, wish["area"]) if "area" in wish else None
            chosen = Filter(frozenset(wish.get("kinds", ())), area_id, None, wish.get("resource"))
            got = connection.execute(
                text(
                    "SELECT e.seq FROM message m JOIN event e ON e.id = m.event_id"
                    " WHERE m.subscription_id = :s ORDER BY e.seq"
                ),
                {"s": number},
            ).scalars()
            assert list(got) == [event.seq for event in written if chosen.takes(event)], wish
        in_village = Filter(area_id=ids[village])
        assert sum(map(in_village.takes, written)) == 12  # the grid's and the village's own


def test_a_test_goes_to_one_subscriber_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        new = NewSubscription("webhook", "http://x.example", kinds=["case.closed"])
        one, _ = subscriptions.add(connection, new)
        two, _ = subscriptions.add(connection, NewSubscription("webhook", "http://x.example"))
        subscriptions.test(connection, one)
    number_all(engine)
    with engine.connect() as connection:
        assert [m.event.kind for m in messages.due(connection, one)] == ["subscription.test"]
        assert messages.due(connection, two) == []


def test_an_unknown_area_or_resource_is_refused(connection: Connection) -> None:
    for wish, where in (({"area": "grid/0"}, "area"), ({"resource": 99}, "resource")):
        with pytest.raises(subscriptions.SubscriptionError) as refused, connection.begin_nested():
            subscriptions.add(connection, NewSubscription("webhook", "http://x.example", **wish))
        assert refused.value.field == where


# --- keeping house --------------------------------------------------------------------------------


def test_old_events_go_with_their_messages_but_undelivered_ones_stay(engine: Engine) -> None:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        number, _ = subscriptions.add(connection, NewSubscription("webhook", "http://x.example"))
        for n in range(4):
            events.record(connection, "test.happened", {"n": n})
    number_all(engine)
    with engine.begin() as connection:
        sent = messages.due(connection, number)
        messages.note(
            connection,
            number,
            [
                messages.Verdict(sent[0].id),
                messages.Verdict(sent[1].id, error="no", tries=1),
                messages.Verdict(sent[2].id, error="no"),
            ],
        )
        assert events.clean(connection, now, days=1) == 0
        assert events.bounds(connection) == events.Bounds(0, 4)
        assert events.clean(connection, now + timedelta(days=2), days=1) == 1
        left = [event.data["n"] for event in events.after(connection, 0)]
        assert left == [1, 2, 3]  # dead, to be tried again, not tried yet
        bounds = events.bounds(connection)
        assert bounds == events.Bounds(4, 4)
        # What lies before is no longer whole, although something of it is there.
        assert [bounds.can_resume(n) for n in (3, 4, 5)] == [False, True, False]
        subscriptions.end(connection, number, "over")
        assert events.clean(connection, now + timedelta(days=2), days=1) == 3
        assert events.bounds(connection) == events.Bounds(4, 4)


def test_events_without_a_number_are_never_cleaned(engine: Engine) -> None:
    write(engine, 1)
    with engine.begin() as connection:
        assert events.clean(connection, datetime.now(UTC) + timedelta(days=99), days=1) == 0
    assert number_all(engine) == 1


def test_a_fresh_database_has_nothing_to_resume(fresh_database_url: str) -> None:
    engine = create_engine(fresh_database_url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        assert events.bounds(connection) == events.Bounds(0, 0)
        assert events.after(connection, 0) == []


# --- kinds ----------------------------------------------------------------------------------------

_SAID = re.compile(
    r"""(?:(?:record|of_resources)\(\s*connection,\s*|SELECT\s|"event":\s)
        (?:"([a-z]+\.[a-z_]+)"|'([a-z]+\.[a-z_]+)')""",
    re.VERBOSE,
)


def test_every_kind_that_is_written_is_in_the_registry() -> None:
    sources = [path.read_text("utf-8") for path in (ROOT / "data").glob("**/*.py")]
    said = {a or b for source in sources for a, b in _SAID.findall(source)}
    assert {"report.received", "resource.moved", "attendance.planned"} <= said
    assert said <= KINDS.keys()
