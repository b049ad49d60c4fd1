"""Who is free when, two plans at once, and what calling off leaves: on the database itself."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from data import attendance, deployment_people, deployments
from data.deployment_people import Filter
from data.deployments import Shift, Site, Wanted
from gis.travel import StraightLine
from tests import people

LON, LAT = 113.1, 23.0
KINDS = ("volunteer",)


def city_time(day, hour, minute=0):
    """A moment of a week far ahead by the city's clock; day 0 is a Monday."""
    monday = datetime(2035, 1, 1, tzinfo=UTC)
    return monday + timedelta(days=day, hours=hour - 8, minutes=minute)


def free(connection, *stretches, **facts):
    who = people.add(connection, "they", LON, LAT, **{"kind": "volunteer", **facts})
    found = deployment_people.available(connection, Filter(KINDS), stretches, 0)
    return found.free[found.ids.tolist().index(who)].tolist()


def wanted(start, until, quota=1, **more):
    site = Site("小区", LON, LAT, [Shift(start, until, quota)])
    return Wanted(**{"name": "test", "sites": [site], "kinds": KINDS, **more})


@pytest.mark.parametrize(
    ("shift", "start", "until", "on"),
    [
        (None, (0, 3), (2, 3), True),
        ("spare_time", (0, 19), (0, 22), True),
        ("spare_time", (0, 18, 30), (0, 20), False),  # begins before the evening
        ("spare_time", (0, 19), (0, 22, 1), False),  # a minute too long
        ("spare_time", (5, 8), (5, 22), True),
        ("night", (0, 20), (1, 8), True),  # over midnight, the end of its cycle
        ("night", (0, 22), (1, 8, 1), False),
        ("night", (0, 20), (2, 8), False),  # the day between
        ("office", (4, 8, 30), (4, 12), True),
        ("office", (4, 8, 30), (4, 17), False),  # the break
    ],
)
def test_a_shift_pattern_has_to_hold_all_of_the_time(connection, shift, start, until, on):
    stretch = city_time(*start), city_time(*until)
    assert free(connection, stretch, shift=shift) == [on]


def test_what_is_so_now_holds_for_what_has_begun_only(connection):
    now = datetime.now(UTC)
    running = now - timedelta(hours=1), now + timedelta(hours=1)
    later = now + timedelta(days=1), now + timedelta(days=1, hours=1)
    assert free(connection, running, later, status="off") == [False, True]


def test_people_start_from_their_position_only_if_it_begins_soon(connection):
    who = people.add(connection, "they", LON, LAT, kind="volunteer")
    people.fix(connection, who, LON + 0.05, LAT)
    now = datetime.now(UTC)

    def lon(start):
        stretch = start, start + timedelta(hours=1)
        return deployment_people.available(connection, Filter(KINDS), [stretch], 0).lonlat[0, 0]

    assert lon(now + timedelta(minutes=10)) == pytest.approx(LON + 0.05)
    assert lon(now + timedelta(days=1)) == pytest.approx(LON)


def test_facilities_and_the_withdrawn_are_nobody(connection):
    people.add(connection, "centre", LON, LAT, kind="centre")
    gone = people.add(connection, "gone", LON, LAT, kind="volunteer")
    connection.execute(text("UPDATE resource SET withdrawn = now() WHERE id = :id"), {"id": gone})
    stretch = city_time(0, 9), city_time(0, 10)
    found = deployment_people.available(connection, Filter(("centre", *KINDS)), [stretch], 0)
    assert found.ids.tolist() == []


def test_two_plans_at_once_never_share_anybody(engine):
    with engine.begin() as connection:
        for n in range(12):
            people.add(connection, f"both {n}", LON, LAT, kind="volunteer")

    def plan(_):
        with engine.begin() as connection:
            asked = wanted(city_time(2, 9), city_time(2, 11), quota=8)
            return deployments.plan(connection, asked, StraightLine(), actor="test")

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(plan, range(4)))
    with engine.begin() as connection:
        seen = [row["id"] for n in numbers for row in attendance.people(connection, n)]
        connection.execute(text("DELETE FROM deployment"))
        connection.execute(text("UPDATE resource SET withdrawn = now()"))
    assert len(seen) == len(set(seen)) == 12


def test_who_is_at_work_when_it_is_called_off_is_free_from_then(connection):
    who = people.add(connection, "they", LON, LAT, kind="volunteer")
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    number = deployments.plan(
        connection, wanted(now - hour, now + hour), StraightLine(), actor="test"
    )
    attendance.mark(connection, number, who, "checked_in", actor="test")
    assert deployments.cancel(connection, number, actor="test", reason="rain") == 1
    [row] = attendance.people(connection, number)
    assert row["state"] == "checked_out"
    again = deployments.plan(
        connection, wanted(now + hour / 2, now + hour), StraightLine(), actor="test"
    )
    assert [row["id"] for row in attendance.people(connection, again)] == [who]


def test_a_check_out_before_the_check_in_is_refused(connection):
    who = people.add(connection, "they", LON, LAT, kind="volunteer")
    asked = wanted(city_time(1, 9), city_time(1, 10))
    number = deployments.plan(connection, asked, StraightLine(), actor="test")
    at = city_time(1, 9)
    attendance.mark(connection, number, who, "checked_in", actor="test", at=at)
    with pytest.raises(deployments.DeploymentError, match="later than the moment given"):
        attendance.mark(
            connection, number, who, "checked_out", actor="test", at=at - timedelta(minutes=1)
        )


def test_too_many_for_one_plan_are_refused(connection, monkeypatch):
    people.add(connection, "one", LON, LAT, kind="volunteer")
    people.add(connection, "two", LON, LAT, kind="volunteer")
    monkeypatch.setattr(deployments, "MOST_PAIRS", 1)
    with pytest.raises(deployments.DeploymentError, match="too many to plan for 1 sites"):
        deployments.plan(
            connection, wanted(city_time(0, 9), city_time(0, 10)), StraightLine(), actor="test"
        )
