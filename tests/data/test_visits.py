"""Visits by the clock: due once a period, proven by place and time, missed when nobody came."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import text

from data import calendars, reports, territory, upkeep, visit_plans, visits
from data.visit_plans import NewPlan
from data.visits import Proof
from tests import people
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST, build

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)  # a Monday, 12:00 in the city
DAY = timedelta(days=1)


@pytest.fixture(scope="module", autouse=True)
def _town(engine):
    build(engine)


def spot(column, row):
    return WEST + column * STEP, SOUTH + row * STEP


def area(connection, code):
    return territory.named(connection, code).id


@pytest.fixture
def homes(connection):
    """Two rental homes in the first village, one in the second, by their numbers."""
    asked = text("""
        INSERT INTO record (source, external_id, kind, layer, area_id, method, geom)
        SELECT 'test', :code, 'rental', 'grid', a.id, 'inside',
               ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)
        FROM area a WHERE a.code = :code RETURNING id
    """)
    places = {GRIDS[0]: spot(0.5, 0.2), GRIDS[1]: spot(1.5, 0.5), GRIDS[4]: spot(2.5, 0.5)}
    return [
        connection.execute(asked, {"code": code, "lon": lon, "lat": lat}).scalar_one()
        for code, (lon, lat) in places.items()
    ]


def plan(connection, now=NOON, **more):
    usual = {
        "name": "走访", "area_id": area(connection, VILLAGES[0]), "resource_kind": "grid_helper",
        "every": 7, "begins": date(2026, 3, 2), "record_kind": "rental",
    }  # fmt: skip
    return visit_plans.add(connection, NewPlan(**usual | more), actor="test", now=now)


def made(connection, number):
    return visits.page(connection, visits.Filter(plan=number))


def proof(at, taken=NOON, accuracy_m=10.0, **more):
    lon, lat = at
    return Proof(lon, lat, "wgs84", reports.Point(lon, lat, "wgs84", accuracy_m), taken, **more)


def events(connection, kind):
    asked = text("SELECT area_id, data FROM event WHERE kind = :kind ORDER BY id")
    return [(row.area_id, row.data) for row in connection.execute(asked, {"kind": kind})]


def test_a_plan_of_records_is_due_once_in_each_period(connection, homes):
    number = plan(connection)
    assert [row["record_id"] for row in made(connection, number)] == homes[:2]
    first = made(connection, number)[0]
    assert first["since"] == datetime(2026, 3, 1, 16, tzinfo=UTC)  # midnight in the city
    assert first["until"] - first["since"] == 7 * DAY
    assert visit_plans.make_due(connection, NOON + 6 * DAY) == 0
    assert visit_plans.make_due(connection, NOON + 7 * DAY) == 2
    assert visit_plans.make_due(connection, NOON + 7 * DAY) == 0
    told = events(connection, "visit.due")
    assert {(place, data["visits"]) for place, data in told[:2]} == {
        (area(connection, GRIDS[0]), 1), (area(connection, GRIDS[1]), 1),
    }  # fmt: skip


def test_a_patrol_is_of_every_grid_and_working_days_skip_holidays(connection):
    number = plan(connection, record_kind=None, every=5, unit="working_days")
    rows = made(connection, number)
    # The village's own grids, with the school that is one of its own.
    assert {row["code"] for row in rows} == {*GRIDS[:4], f"{VILLAGES[0]}005"}
    assert rows[0]["until"] - rows[0]["since"] == 7 * DAY
    feast = datetime(2024, 9, 30, 4, tzinfo=UTC)  # before a National Day week
    office = calendars.get(connection, calendars.USUAL)
    assert office.works(date(2024, 9, 29)) and not office.works(date(2024, 10, 7))
    eve = plan(connection, now=feast, record_kind=None, every=1, unit="working_days",
               begins=date(2024, 9, 30))  # fmt: skip
    assert made(connection, eve)[0]["until"] == datetime(2024, 10, 7, 16, tzinfo=UTC)
    # A day that the city itself is closed on is none either.
    storm_day = date(2024, 10, 8)
    calendars.put_day(connection, calendars.USUAL, storm_day, (), reason="台风停工", actor="test")
    storm = plan(connection, now=feast, record_kind=None, every=1, unit="working_days",
                 begins=date(2024, 9, 30))  # fmt: skip
    assert made(connection, storm)[0]["until"] == datetime(2024, 10, 8, 16, tzinfo=UTC)


def test_many_workers_at_once_make_each_visit_once(engine):
    with engine.begin() as connection:
        number = plan(connection, record_kind=None, every=1)
    later, ready = NOON + DAY, Barrier(8)

    def work(_):
        with engine.begin() as own:
            own.execute(text("SELECT 1"))
            ready.wait()
            return visit_plans.make_due(own, later)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 5
    with engine.begin() as connection:
        count = text("SELECT count(*), count(DISTINCT area_id) FROM visit WHERE plan_id = :plan"
                     " AND until > :now")  # fmt: skip
        assert tuple(connection.execute(count, {"plan": number, "now": later}).one()) == (5, 5)
        visit_plans.end(connection, number, actor="test", now=later)
        connection.execute(text("DELETE FROM visit WHERE plan_id = :plan"), {"plan": number})
        connection.execute(text("DELETE FROM event"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "proven"),
        ({"at": spot(0.5, 0.35)}, "proven"),  # 83 m, within reach
        ({"at": spot(0.5, 0.6)}, "too_far"),
        ({"at": spot(0.5, 0.42), "accuracy_m": 30}, "proven"),  # 122 m less the accuracy
        ({"at": spot(0.5, 0.42), "accuracy_m": 5}, "too_far"),
        ({"accuracy_m": 900}, "too_vague"),
        ({"taken": NOON + DAY}, "in_the_future"),
        ({"taken": NOON - 2 * DAY}, "before_due"),
    ],
)
def test_a_proof_counts_by_place_and_time_and_is_always_kept(connection, homes, more, said):
    number = made(connection, plan(connection))[0]["id"]
    given = proof(**{"at": spot(0.5, 0.2), **more}, note="到过")
    assert visits.prove(connection, number, given, actor="test", now=NOON) == said
    visit = visits.get(connection, number)
    assert visit["state"] == ("done" if said == "proven" else "unproven")
    [kept] = visit["proofs"]
    assert (kept["verdict"], kept["note"], kept["taken"]) == (said, "到过", given.taken)
    again = proof(spot(0.5, 0.2))
    assert visits.prove(connection, number, again, actor="test", now=NOON) == "proven"
    assert visits.get(connection, number)["state"] == "done"
    assert len(events(connection, "visit.done")) == 1


def test_anywhere_in_a_grid_proves_a_patrol(connection):
    number = plan(connection, record_kind=None, reach_m=20)
    visit = next(row for row in made(connection, number) if row["code"] == GRIDS[0])
    corner = proof(spot(0.01, 0.01))
    assert visits.prove(connection, visit["id"], corner, actor="test", now=NOON) == "proven"
    assert visits.get(connection, visit["id"])["proofs"][0]["distance_m"] == 0


def test_what_nobody_made_is_missed_counted_and_told(connection, homes):
    number = plan(connection)
    done, missed = (row["id"] for row in made(connection, number))
    visits.prove(connection, done, proof(spot(0.5, 0.2)), actor="test", now=NOON)
    assert visit_plans.miss(connection, NOON + 5 * DAY) == 0
    assert visit_plans.miss(connection, NOON + 7 * DAY) == 1
    assert visits.get(connection, missed)["state"] == "missed"
    [(place, told)] = events(connection, "visit.missed")
    assert (place, told["plan"], told["visits"]) == (area(connection, GRIDS[1]), number, 1)
    rows = visits.counts(connection, NOON, NOON + DAY, area_id=area(connection, VILLAGES[0]))
    assert {(row["code"], row["state"], row["visits"]) for row in rows} == {
        (GRIDS[0], "done", 1), (GRIDS[1], "missed", 1),
    }  # fmt: skip
    # Taken in time by a phone that had no network until now.
    late = proof(spot(1.5, 0.5), taken=NOON + DAY)
    assert visits.prove(connection, missed, late, actor="test", now=NOON + 9 * DAY) == "proven"
    assert visits.get(connection, missed)["state"] == "done"


def test_due_are_those_of_a_resource_the_nearest_first(connection, homes):
    number = plan(connection, area_id=area(connection, "440604010000"))
    helper = people.add(connection, kind="grid_helper", home_area_id=area(connection, GRIDS[0]))
    answers = text("INSERT INTO resource_area (resource_id, area_id) VALUES (:who, :area)")
    connection.execute(answers, {"who": helper, "area": area(connection, VILLAGES[0])})
    near = spot(1.5, 0.6)
    rows = visits.due(connection, NOON, resource=helper, near=near)
    assert [row["record_id"] for row in rows] == [homes[1], homes[0]]
    assert rows[0]["distance_m"] == pytest.approx(0.1 * STEP * 110_700, rel=0.01)
    officer = people.add(connection, kind="police_officer", home_area_id=area(connection, GRIDS[0]))
    assert visits.due(connection, NOON, resource=officer) == []
    assert len(visits.due(connection, NOON, near=near)) == 3
    assert visits.due(connection, NOON, near=(114.0, 23.0)) == []
    visit_plans.end(connection, number, actor="test", now=NOON)
    assert visits.due(connection, NOON, resource=helper) == []


def test_a_period_that_nobody_was_awake_in_leaves_no_visits(connection, homes):
    number = plan(connection)
    assert visit_plans.keep(connection, NOON + 30 * DAY) == 2 + 2  # missed, and due
    since = sorted({row["since"] for row in made(connection, number)})
    assert since[1] - since[0] == 28 * DAY


def test_the_worker_keeps_plans(connection):
    assert upkeep.TASKS["make visits due"].run(connection, NOON) == 0
