"""Who could go: on duty, able and free; the nearest, the responsible, the skilled."""

from datetime import UTC, datetime, timedelta

import geopandas as gpd
import numpy as np
import pytest
import shapely
from sqlalchemy import text

from data import areas, candidates
from data.candidates import Question, why_not_free
from data.rules import Rule
from gis.travel import StraightLine
from tests import people

AT, SIZE = np.array([113.1, 23.0]), 0.01
LON, LAT = 113.105, 23.005  # the middle of the south-western of four grids
MONDAY_NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)  # 12:00 in the city
ALL = ("grid_lead", "mediator", "patrol")


@pytest.fixture(scope="module", autouse=True)
def _grids(engine):
    boxes = [
        shapely.transform(shapely.box(c, r, c + 1, r + 1), lambda xy: xy * SIZE + AT)
        for r in (0, 1)
        for c in (0, 1)
    ]
    for layer, shapes in (("tiles", boxes), ("beats", [shapely.union_all(boxes)])):
        codes = [f"{layer[0]}{n}" for n in range(len(shapes))]
        frame = gpd.GeoDataFrame({"code": codes, "name": codes}, geometry=shapes, crs=4326)
        with areas.change(engine, "import") as change:
            areas.ensure_layer(change.connection, layer, title="责任区", title_en="Beat")
            areas.record(change, layer, frame)


def area(connection, code):
    asked = text("SELECT id FROM area WHERE code = :code")
    return connection.execute(asked, {"code": code}).scalar_one()


def ask(connection, *, kinds=ALL, limit=5, skills=(), reach_s=1800, weights=None, **more):
    rule = Rule("test", kinds, skills, reach_s, weights or {})
    grid = area(connection, "t0")
    asked = Question(**{"lon": LON, "lat": LAT, "rule": rule, "area_id": grid, **more})
    return candidates.find(connection, asked, StraightLine(), limit)


def names(found):
    return [c.row["name"] for c in found.candidates]


def test_the_nearest_come_first(connection):
    for n in range(40):
        people.add(connection, f"p{n:02}", LON + n * 1e-3, LAT)
    assert names(ask(connection)) == [f"p{n:02}" for n in range(5)]
    assert len(ask(connection, limit=25).candidates) == 25


def test_nearest_is_measured_on_the_ground_and_not_in_degrees(connection):
    people.add(connection, "east", LON + 0.00100, LAT)  # 102 m
    people.add(connection, "north", LON, LAT + 0.00096)  # 106 m
    found = ask(connection)
    assert names(found) == ["east", "north"]
    east, north = (c.distance_m for c in found.candidates)
    assert east < north


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"status": "off"}, "off"),
        ({"status": "busy"}, "busy"),
        ({"shift": "night"}, "off_duty"),
        ({"capacity": 1, "full": True}, "full"),
        ({"away": True}, "on_leave"),
        ({"deployed": True}, "deployed"),
    ],
)
def test_who_is_not_free_is_left_out_and_it_is_said_why(connection, facts, why):
    full, away, deployed = (facts.pop(name, False) for name in ("full", "away", "deployed"))
    who = people.add(connection, "they", LON, LAT, **facts)
    if full:
        connection.execute(text("UPDATE resource SET load = 1 WHERE id = :id"), {"id": who})
    if away:
        connection.execute(
            text("INSERT INTO leave (resource_id, during) VALUES (:id, tstzrange(:at, NULL))"),
            {"id": who, "at": MONDAY_NOON},
        )
    if deployed:
        people.deploy(connection, who, MONDAY_NOON, MONDAY_NOON + timedelta(hours=1))
    found = ask(connection, at=MONDAY_NOON)
    assert found.candidates == []
    [short] = found.shortfalls
    assert (short.reason, short.taken["name"]) == ("nobody", "they")
    assert why_not_free(short.taken) == why


@pytest.mark.parametrize(
    ("state", "hours", "is_free"),
    [
        ("checked_in", (-1, 1), False),
        ("checked_in", (-3, -1), True),  # over, though nobody checked them out
        ("checked_out", (-1, 1), True),
        ("planned", (-1, 1), True),
        ("absent", (-1, 1), True),
    ],
)
def test_who_is_at_work_in_a_deployment_is_not_free(connection, state, hours, is_free):
    who = people.add(connection, "they", LON, LAT)
    people.add(connection, "far", LON + 0.001, LAT)
    start, until = (MONDAY_NOON + timedelta(hours=h) for h in hours)
    people.deploy(connection, who, start, until, state)
    found = ask(connection, at=MONDAY_NOON)
    assert names(found) == (["they", "far"] if is_free else ["far"])


def test_duty_is_by_the_city_clock_of_the_moment_asked_for(connection):
    people.add(connection, "day", LON, LAT, shift="day")
    people.add(connection, "night", LON, LAT, shift="night")
    people.add(connection, "office", LON, LAT, shift="office")
    people.add(connection, "watch", LON, LAT, shift="watch_1")  # 8 to 8 from 1 January 2024 on

    def on(*moment):
        return set(names(ask(connection, at=datetime(*moment, tzinfo=UTC))))

    assert on(2026, 3, 2, 1) == {"day", "office"}  # Monday, 9:00
    assert on(2026, 3, 2, 4, 30) == {"day"}  # 12:30: the office has its break
    assert on(2026, 3, 1, 1) == {"day"}  # Sunday
    assert on(2026, 3, 2, 13) == {"night"}  # 21:00
    assert on(2024, 1, 1, 0, 1) == {"day", "watch"}  # 8:01 of the first day
    assert on(2024, 1, 1, 23, 59) == {"night", "watch"}  # 7:59 of the second
    assert on(2023, 12, 28, 0, 1) == {"day", "watch"}  # a cycle before the anchor


def test_a_fresh_and_accurate_position_counts_else_the_home(connection):
    moved = people.add(connection, "moved", LON + 0.05, LAT)
    people.fix(connection, moved, LON, LAT, age_s=120)
    stale = people.add(connection, "stale", LON + 0.001, LAT)
    people.fix(connection, stale, LON, LAT, age_s=3 * 3600)
    vague = people.add(connection, "vague", LON + 0.002, LAT)
    people.fix(connection, vague, LON, LAT, accuracy_m=900)
    gone = people.add(connection, "gone", LON, LAT)
    people.fix(connection, gone, LON + 0.05, LAT)
    found = ask(connection, weights={"home": 0, "age": 0})
    assert names(found) == ["moved", "stale", "vague", "gone"]
    assert [c.row["by_position"] for c in found.candidates] == [True, False, False, True]


def test_a_crowd_of_fresh_positions_far_away_hides_nobody_at_home(connection):
    for n in range(60):
        far = people.add(connection, f"far{n}", LON, LAT)
        people.fix(connection, far, LON + 0.3, LAT)
    people.add(connection, "near", LON + 0.001, LAT)
    assert names(ask(connection))[0] == "near"


def test_who_answers_for_the_place_is_listed_however_many_are_nearer(connection):
    for n in range(60):
        people.add(connection, f"p{n}", LON, LAT)
    beat = people.add(connection, "officer", LON + 0.02, LAT, mode="car")
    connection.execute(
        text("INSERT INTO resource_area VALUES (:r, :a)"), {"r": beat, "a": area(connection, "b0")}
    )
    home = people.add(
        connection, "lead", LON + 0.008, LAT, mode="car", home_area_id=area(connection, "t0")
    )
    found = ask(connection, weights={"other_area": 60})
    assert names(found)[:2] == ["lead", "officer"]
    assert found.candidates[0].row["id"] == home
    assert found.candidates[0].row["at_home"]
    assert [a["code"] for a in found.candidates[1].row["answers_for"]] == ["b0"]


def test_a_skill_that_few_have_is_found_far_away_and_its_lack_is_said(connection):
    for n in range(60):
        people.add(connection, f"p{n}", LON, LAT)
    people.add(connection, "expert", LON + 0.3, LAT, kind="mediator", skills=["labour"])
    found = ask(connection, skills=["labour"], limit=100)
    assert "expert" in names(found)
    [short] = found.shortfalls
    assert (short.reason, short.skill) == ("skill_missing", "labour")
    assert short.nearest.row["name"] == "expert"
    assert found.skills == {"labour": ("劳动争议", "Labour disputes")}
    near = ask(connection, skills=["labour"], reach_s=24 * 3600)
    assert near.shortfalls == []


def test_a_skill_needed_is_a_condition(connection):
    people.add(connection, "near", LON, LAT)
    people.add(connection, "centre", LON + 0.1, LAT, kind="centre", skills=["arbitration"])
    people.add(connection, "other", LON + 0.01, LAT, kind="centre", skills=["reception"])
    found = ask(connection, kinds=("centre",), needed=["arbitration"], reach_s=10**6)
    assert names(found) == ["centre"]
    busy = ask(connection, kinds=("centre",), needed=["counselling"])
    assert [s.reason for s in busy.shortfalls] == ["nobody"]
    assert busy.shortfalls[0].taken is None


def test_withdrawn_people_and_other_kinds_are_nobody(connection):
    gone = people.add(connection, "gone", LON, LAT)
    connection.execute(text("UPDATE resource SET withdrawn = now() WHERE id = :id"), {"id": gone})
    people.add(connection, "informant", LON, LAT, kind="informant")
    found = ask(connection)
    assert found.candidates == []
    assert found.shortfalls[0].taken is None


def test_late_is_said_with_the_nearest(connection):
    people.add(connection, "slow", LON + 0.1, LAT)
    [short] = ask(connection, reach_s=600).shortfalls
    assert (short.reason, short.nearest.row["name"]) == ("beyond_reach", "slow")


def test_a_common_skill_does_not_hide_a_rare_one(connection):
    for n in range(30):
        people.add(connection, f"common{n}", LON, LAT, kind="mediator", skills=["family"])
    people.add(connection, "rare", LON + 0.05, LAT, kind="mediator", skills=["land"])
    found = ask(connection, skills=["family", "land"], limit=100, reach_s=10**6)
    assert "rare" in names(found)
    assert found.shortfalls == []


def test_a_skill_is_looked_for_where_people_are_now(connection):
    for n in range(30):
        people.add(connection, f"home{n}", LON + 0.01, LAT, kind="informant", skills=["first_aid"])
    here = people.add(connection, "here", LON + 0.4, LAT, kind="informant", skills=["first_aid"])
    people.fix(connection, here, LON, LAT)
    found = ask(connection, kinds=("informant",), needed=["first_aid"])
    assert names(found)[0] == "here"


def test_who_was_asked_before_is_left_out(connection):
    first = people.add(connection, "first", LON, LAT)
    people.add(connection, "second", LON, LAT)
    assert names(ask(connection, without=[first])) == ["second"]
