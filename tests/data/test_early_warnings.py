"""Warnings: what surges in the week is found, has an owner and a time, and is worked to its end."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from data import early_warnings, reports, service_times
from data.analyses import work
from data.early_warnings import WarningError
from data.refusals import DispatchError
from data.reports import NewReport
from data.service_times import Case, ServiceTime
from tests.api.conftest import SOUTH, STEP, VILLAGES, WEST, build

LAST = date(2026, 3, 1)
MORNING = datetime(2026, 3, 1, 16, 10, tzinfo=UTC)  # ten past midnight of 2 March in the city
DAY = timedelta(days=1)
WEEKS = 20
WHOLE = WEEKS - 1  # the first of them has only some days
FIREWORKS, NOISE = "烟花爆竹", "噪音"
serial = count()
SAID = {FIREWORKS: "有人在楼下燃放烟花", NOISE: "工地夜间施工吵闹"}


def tell(connection: Connection, name: str, at: datetime, column: float, kind: str) -> None:
    place = {"x": WEST + column * STEP, "y": SOUTH + 0.5 * STEP, "datum": "wgs84"}
    said = f"{SAID[kind]}，{next(serial)}栋"
    new = NewReport("test", name, occurred=at, kind=kind, description=said, **place)
    reports.submit(connection, new)


def usual(connection: Connection, weeks: int = WEEKS, until: date = LAST) -> None:
    """Two to four reports of noise a week in each village, and of fireworks now and then."""
    end = datetime(until.year, until.month, until.day, 4, tzinfo=UTC)
    for week in range(weeks):
        for village in (0, 1):
            for n in range(2 + (week + village) % 3):
                at = end - timedelta(days=7 * week + n)
                tell(connection, f"{village} {week} {n}", at, 0.5 + 2 * village, NOISE)
        if week % 5 == 4:
            tell(connection, f"f {week}", end - timedelta(days=7 * week), 0.5, FIREWORKS)


def burst(connection: Connection, number: int = 20, until: date = LAST, name: str = "b") -> None:
    """Fireworks in the first village within the last seven days."""
    end = datetime(until.year, until.month, until.day, 12, tzinfo=UTC)
    for n in range(number):
        tell(connection, f"{name} {n}", end - timedelta(days=n % 6), 0.2 + 0.05 * n, FIREWORKS)


@pytest.fixture(scope="module")
def town(engine: Engine) -> Iterator[Engine]:
    build(engine)
    with engine.begin() as connection:
        usual(connection)
        burst(connection)
        connection.execute(
            text("""
                INSERT INTO organisation (code, name, role, area_id)
                SELECT 'village', '社区综治中心', 'centre', id FROM area WHERE code = :code
            """),
            {"code": VILLAGES[0]},
        )
    yield engine


def look(engine: Engine, now: datetime = MORNING) -> None:
    """What the workers do at midnight: ask, work it out, take what was found."""
    for _ in range(2):
        with engine.begin() as connection:
            early_warnings.keep(connection, now)
        work.perform_all(engine)


def rows(engine: Engine, query: str = "SELECT * FROM warning ORDER BY id") -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(query)).mappings())


def told(engine: Engine) -> list[str]:
    query = "SELECT kind FROM event WHERE kind LIKE 'warning.%' ORDER BY id"
    return [row["kind"] for row in rows(engine, query)]


def test_a_surge_becomes_one_warning_with_what_was_usual(town: Engine) -> None:
    look(town)
    [warning] = rows(town)
    assert (warning["model"], warning["kind"], warning["observed"]) == ("surge", FIREWORKS, 20)
    assert warning["expected"] == pytest.approx(3 / (WHOLE - 1), rel=0.5)
    assert warning["score"] > 1 and warning["q"] <= 0.05 and warning["threshold"] < 20
    assert "燃放烟花" in warning["words"]  # the topic is the surge's, not one of its own
    assert (warning["first"], warning["last"]) == (LAST - 6 * DAY, LAST)
    area = f"SELECT code FROM area WHERE id = {warning['area_id']}"
    assert rows(town, area)[0]["code"] == VILLAGES[0]  # not of the town as well: it is its sum
    assert sum(number for _, number in warning["inputs"]["places"]) == 20
    assert warning["inputs"]["counts"][-1] == 20 and len(warning["inputs"]["counts"]) == WHOLE
    owner = f"SELECT code FROM organisation WHERE id = {warning['organisation_id']}"
    assert rows(town, owner)[0]["code"] == "village"
    assert told(town) == ["warning.raised"]


def test_a_look_says_how_many_false_warnings_to_expect(town: Engine) -> None:
    [seen] = rows(town, "SELECT * FROM warning_look")
    assert (seen["found"], seen["raised"], seen["cannot"]) == (1, 1, None)
    assert seen["series"] == 3 * 3  # two villages and a town; two kinds and none
    assert 0.05 < seen["quiet"] < 0.2 and seen["weeks"] == WHOLE


def test_it_is_to_be_accepted_in_working_hours(town: Engine) -> None:
    [warning] = rows(town)
    # Eight hours from Monday's midnight on, by the calendar of who answers.
    assert MORNING + timedelta(hours=8) <= warning["due"] <= MORNING + 3 * DAY
    with town.connect() as connection, connection.begin() as begun:
        rule = ServiceTime(Case(early_warnings.ACCEPT, FIREWORKS), 1, "hours", calendar="always")
        service_times.put(
            connection, rule, since=MORNING - 9 * DAY, now=MORNING - 9 * DAY, actor="test"
        )
        case = Case(early_warnings.ACCEPT, FIREWORKS, 3, warning["organisation_id"])
        assert early_warnings._due(connection, case, MORNING) == MORNING + timedelta(hours=1)
        begun.rollback()


def test_the_same_day_is_looked_at_once(town: Engine) -> None:
    look(town, MORNING + timedelta(hours=5))
    assert len(rows(town, "SELECT * FROM warning_look")) == 1


def test_what_goes_on_is_the_same_warning(town: Engine) -> None:
    with town.begin() as connection:
        burst(connection, 6, LAST + DAY, "next day")
    look(town, MORNING + DAY)
    [warning] = rows(town)
    assert warning["last"] == LAST + DAY and warning["observed"] > 20
    steps = rows(town, "SELECT action FROM warning_step ORDER BY id")
    assert [step["action"] for step in steps] == ["raise", "continue"]
    assert told(town) == ["warning.raised"]


def test_a_warning_is_worked_to_its_end_in_order(town: Engine) -> None:
    [warning] = rows(town)
    number, now = warning["id"], MORNING + DAY
    close = {"actor": "centre", "now": now, "outcome": "true_alarm", "reason": "已劝导"}
    with town.begin() as connection:
        for refused in (
            lambda: early_warnings.close(connection, number, **close),
            lambda: early_warnings.plan(connection, number, actor="centre", note="x"),
        ):
            with pytest.raises(WarningError, match="can only be done: accept"):
                refused()
        early_warnings.accept(connection, number, actor="centre", now=now)
        with pytest.raises(WarningError, match="centre did accept"):
            early_warnings.accept(connection, number, actor="other", now=now)
        with pytest.raises(DispatchError, match="needs a reason"):
            early_warnings.close(connection, number, **close | {"reason": " "})
        with pytest.raises(WarningError, match="no deployment 99"):
            early_warnings.plan(connection, number, actor="centre", note="x", deployment=99)
        early_warnings.plan(connection, number, actor="centre", note="志愿者进小区")
        early_warnings.close(connection, number, **close)
        with pytest.raises(WarningError, match="that is its end"):
            early_warnings.plan(connection, number, actor="centre", note="x")
        with pytest.raises(WarningError, match="no warning 999"):
            early_warnings.accept(connection, 999, actor="centre", now=now)
    steps = rows(town, "SELECT action FROM warning_step ORDER BY id")
    said = [step["action"] for step in steps]
    assert said == ["raise", "continue", "accept", "plan", "close"]
    assert told(town) == ["warning.raised", "warning.accepted", "warning.closed"]


def test_what_was_closed_is_raised_again_only_after_a_while(town: Engine) -> None:
    with town.begin() as connection:
        burst(connection, 30, LAST + 2 * DAY, "still")
    look(town, MORNING + 2 * DAY)
    [warning] = rows(town)
    assert (warning["state"], warning["last"]) == ("closed", LAST + 2 * DAY)
    with town.begin() as connection:
        connection.execute(text("UPDATE warning SET closed = closed - interval '20 days'"))
    look(town, MORNING + 3 * DAY)
    assert [warning["state"] for warning in rows(town)] == ["closed", "open"]


def test_who_cannot_tell_says_so(fresh_database_url: str) -> None:
    engine = create_engine(fresh_database_url)
    with engine.begin() as connection:
        assert early_warnings.keep(connection, MORNING) == 0  # nothing was ever reported
    build(engine)
    with engine.begin() as connection:
        usual(connection, 5)
    look(engine)
    [seen] = rows(engine, "SELECT * FROM warning_look")
    assert "4 weeks" in seen["cannot"] and "8 are needed" in seen["cannot"]
    assert rows(engine) == []
    engine.dispose()
