"""Watched places: readings once each, one report an episode, and an end when it is good again."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier

import pytest
import shapely
from sqlalchemy import text

from data import reports, upkeep, watched, watching
from data.watched import NewPlace, Reading, WatchError
from data.watching import WatchRule
from gis.thresholds import Condition
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST, build

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
HERE = (WEST + 0.2 * STEP, SOUTH + 0.2 * STEP)
serial = count()


@pytest.fixture(scope="module", autouse=True)
def _town(engine):
    build(engine)


def place(connection, shape=None, kind="building_site"):
    new = NewPlace("test", str(next(serial)), kind, "工地", shape or shapely.Point(HERE))
    number, _ = watched.save(connection, new, actor="test")
    born = text("UPDATE watched_place SET created = :at WHERE id = :id")
    connection.execute(born, {"id": number, "at": NOW - 10 * HOUR})
    return number


def rule(connection, *conditions, kind="building_site", now=NOW):
    asked = list(conditions) or [
        Condition("wage_overdue_days", ">", 7, clear=0), Condition("headcount", ">", 20),
    ]  # fmt: skip
    wanted = WatchRule(kind, "欠薪预警", asked, "劳资纠纷", urgency=2)
    return watching.add(connection, wanted, actor="test", now=now)


def send(connection, number, now=NOW, at=None, **values):
    batch = [Reading(metric, at or now, value) for metric, value in values.items()]
    watched.store(connection, number, batch, now)
    return watching.look(connection, now, place=number)


def episodes(connection, number):
    asked = text("SELECT * FROM watch_episode WHERE place_id = :id ORDER BY id")
    return list(connection.execute(asked, {"id": number}).mappings())


def test_trouble_is_one_report_placed_and_told_until_it_is_good_again(connection):
    number = place(connection)
    rule(connection)
    assert send(connection, number, wage_overdue_days=12, headcount=20) == 0
    assert send(connection, number, NOW + HOUR, headcount=35) == 1
    [episode] = episodes(connection, number)
    report = reports.get(connection, episode["report_id"])
    assert (report["kind"], report["code"], report["source"]) == ("劳资纠纷", GRIDS[0], "watch")
    assert report["description"] == (
        "工地：欠薪预警（wage_overdue_days 12 > 7；headcount 35 > 20）"
    )
    assert {fact["metric"]: fact["value"] for fact in episode["facts"]} == {
        "wage_overdue_days": 12, "headcount": 35,
    }  # fmt: skip
    for hours in (2, 3):  # worse, and below the limit but not yet good: the same episode
        assert send(connection, number, NOW + hours * HOUR, wage_overdue_days=20 / hours) == 0
    assert send(connection, number, NOW + 4 * HOUR, wage_overdue_days=0) == 1
    assert episodes(connection, number)[0]["ended"] == NOW + 4 * HOUR
    assert send(connection, number, NOW + 5 * HOUR, wage_overdue_days=8) == 1
    assert len({each["report_id"] for each in episodes(connection, number)}) == 2
    kinds = text("SELECT kind FROM event WHERE kind IN ('watch.began', 'watch.ended') ORDER BY id")
    assert list(connection.execute(kinds).scalars()) == [
        "watch.began",
        "watch.ended",
        "watch.began",
    ]


def test_what_lasts_and_what_is_missing_is_found_by_the_clock(connection):
    number = place(connection, kind="well")
    rule(connection, Condition("level_m", ">", 3, for_s=3600), kind="well")
    rule(connection, Condition("level_m", "missing", for_s=7200), kind="well")
    look = upkeep.TASKS["look at watched places"].run
    send(connection, number, NOW - 2 * HOUR, level_m=1)
    # Not one reading in two hours: the place was expected to send.
    assert [each["ended"] for each in episodes(connection, number)] == [NOW - 2 * HOUR]
    send(connection, number, level_m=4)
    assert look(connection, NOW + HOUR - timedelta(seconds=1)) == 0
    assert look(connection, NOW + HOUR) == 1
    assert look(connection, NOW + HOUR) == 0
    assert look(connection, NOW + 2 * HOUR) == 1
    assert send(connection, number, NOW + 2 * HOUR, level_m=2) == 2
    assert all(each["ended"] for each in episodes(connection, number))


def test_a_reading_is_stored_once_and_the_first_counts(connection):
    number = place(connection)
    batch = [Reading("headcount", NOW, 5), Reading("headcount", NOW - HOUR, 4)]
    stored = watched.store(connection, number, batch, NOW)
    assert (stored.added, stored.known, stored.contradicted) == (2, 0, 0)
    again = watched.store(connection, number, [*batch, Reading("headcount", NOW, 6)], NOW)
    assert (again.added, again.known) == (0, 3)
    other = watched.store(connection, number, [Reading("headcount", NOW, 6)], NOW)
    assert (other.added, other.known, other.contradicted) == (0, 1, 1)
    rows = watched.series(connection, number, "headcount", NOW - HOUR, NOW + HOUR)
    assert [row["value"] for row in rows] == [5, 4]
    with pytest.raises(WatchError, match="future"):
        watched.store(connection, number, [Reading("headcount", NOW + HOUR, 6)], NOW)


def test_a_late_old_reading_does_not_undo_what_is_newer(connection):
    number = place(connection)
    rule(connection, Condition("headcount", ">", 20))
    assert send(connection, number, headcount=30) == 1
    assert send(connection, number, NOW + HOUR, at=NOW - HOUR, headcount=1) == 0
    assert episodes(connection, number)[0]["ended"] is None


def test_an_area_is_placed_by_a_point_in_it_and_given_again_is_the_same(connection):
    west, south = WEST + 1.1 * STEP, SOUTH + 1.1 * STEP
    shape = shapely.MultiPolygon([shapely.box(west, south, west + 0.001, south + 0.001)])
    number = place(connection, shape)
    assert watched.get(connection, number)["code"] == GRIDS[3]
    row = watched.get(connection, number)
    new = NewPlace("test", row["external_id"], "building_site", "别名", shapely.Point(HERE))
    assert watched.save(connection, new, actor="test") == (number, False)
    assert watched.get(connection, number)["code"] == GRIDS[0]


def test_an_ended_rule_and_a_withdrawn_place_make_no_reports(connection):
    number = place(connection)
    made = rule(connection)
    send(connection, number, wage_overdue_days=12, headcount=35)
    watching.end(connection, made, actor="test", now=NOW + HOUR)
    assert episodes(connection, number)[0]["ended"] == NOW + HOUR
    watched.withdraw(connection, number, actor="test")
    rule(connection)
    assert watching.look(connection, NOW + HOUR) == 0
    with pytest.raises(WatchError, match="no watch rule"):
        watching.end(connection, made, actor="test", now=NOW)


def test_many_batches_at_once_make_one_report(engine):
    with engine.begin() as connection:
        number = place(connection, kind="dam")
        rule(connection, Condition("flow", ">", 1), kind="dam")

    ready = Barrier(8)

    def work(n):
        with engine.begin() as own:
            own.execute(text("SELECT 1"))
            ready.wait()
            return send(own, number, at=NOW - n * HOUR, flow=5)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 1
    with engine.begin() as connection:
        assert len(episodes(connection, number)) == 1
