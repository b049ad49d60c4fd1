"""Assessments: the profile of a drawn area is what lies inside it, and stays what it was."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from data import areas, assessments, profiles, reports, watched
from data.assessments import AssessmentError, Decision
from data.reports import NewReport
from data.watched import NewPlace
from gis.drawn import Drawn
from tests import people
from tests.api.conftest import GRIDS, SCHOOL, SOUTH, STEP, WEST, build, grids

NOW = datetime(2026, 6, 15, 4, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def _town(engine):
    build(engine)
    with areas.change(engine, "import", "residents are counted") as change:
        areas.record(change, "grid", grids().assign(residents=1000))


def box(west, south, east, north):
    """In columns and rows of grids."""
    return shapely.box(
        WEST + west * STEP, SOUTH + south * STEP, WEST + east * STEP, SOUTH + north * STEP
    )


WHOLE_AND_HALF = box(-0.0001, -0.0001, 1.5, 1)  # the first grid, and half of the second


def record(connection, column, row, code, method="inside", kind="rental"):
    connection.execute(
        text("""
            INSERT INTO record (source, external_id, kind, layer, area_id, method, geom, unplaced)
            SELECT 'test', gen_random_uuid(), :kind, 'grid',
                   (SELECT id FROM area WHERE layer = 'grid' AND code = :code), :method,
                   ST_SetSRID(ST_MakePoint(:lon, :lat), 4326),
                   CASE WHEN :method = 'none' THEN 'on_border' END
        """),
        {"kind": kind, "code": code, "method": method, "lon": WEST + column * STEP,
         "lat": SOUTH + row * STEP},
    )  # fmt: skip


def incident(connection, column, row, kind, ago, closed=False):
    new = NewReport(
        "test", f"{kind} {ago} {column} {row}", x=WEST + column * STEP, y=SOUTH + row * STEP,
        datum="wgs84", accuracy_m=1, kind=kind,
    )  # fmt: skip
    number, _ = reports.submit(connection, new)
    facts = {"id": number, "opened": NOW - ago, "closed": NOW if closed else None}
    connection.execute(
        text(
            "UPDATE incident SET opened = :opened, closed = :closed,"
            " stage = CASE WHEN CAST(:closed AS timestamptz) IS NULL THEN stage ELSE 'closed' END"
            " WHERE id = :id"
        ),
        facts,
    )
    return number


def test_grids_are_touched_by_their_shares(connection):
    found = profiles.profile(connection, WHOLE_AND_HALF, NOW)
    shares = {grid["code"]: grid["share"] for grid in found["grids"]}
    assert shares == {GRIDS[0]: 1.0, GRIDS[1]: pytest.approx(0.5, abs=1e-3), SCHOOL: 1.0}
    assert found["residents"] == 1500  # the school lies over a grid that counts already


def test_records_inside_are_counted_wherever_they_are_placed(connection):
    record(connection, 0.5, 0.2, GRIDS[0])
    record(connection, 1.2, 0.5, GRIDS[1])
    record(connection, 1.8, 0.5, GRIDS[1])  # beyond the middle
    record(connection, 1.0, 0.5, None, "none", kind="firm")  # on the edge, without a grid
    record(connection, 0.5, 0.5, GRIDS[7], "confirmed", kind="firm")  # a person said otherwise
    record(connection, 3.5, 1.5, GRIDS[7], kind="danger")
    found = profiles.profile(connection, WHOLE_AND_HALF, NOW)
    assert found["records"] == {"firm": 2, "rental": 2}


def test_incidents_of_the_last_year_beside_the_one_before(connection):
    day = timedelta(days=1)
    newest = incident(connection, 0.5, 0.2, "噪音", 10 * day)
    incident(connection, 1.2, 0.5, "噪音", 40 * day, closed=True)
    incident(connection, 0.5, 0.2, "欠薪", 400 * day, closed=True)
    old = incident(connection, 0.5, 0.2, "欠薪", 800 * day)  # too old for the trend, and open
    incident(connection, 1.8, 0.5, "噪音", 10 * day)  # outside
    found = profiles.profile(connection, WHOLE_AND_HALF, NOW)["incidents"]
    assert (found["last_year"], found["year_before"], found["trend"]) == (2, 1, 1.0)
    assert (found["open"], found["open_ones"]) == (2, [newest, old])
    assert found["kinds"][0] == {"kind": "噪音", "last_year": 2, "year_before": 0, "open": 1}
    assert found["months"] == {"2026-05": 1, "2026-06": 1}


def test_facilities_and_watched_places_inside(connection):
    for column in (0.5, 1.8):
        people.add(
            connection, "综治中心", WEST + column * STEP, SOUTH + 0.2 * STEP,
            kind=connection.execute(
                text("SELECT name FROM resource_kind WHERE form = 'facility' ORDER BY 1 LIMIT 1")
            ).scalar_one(),
        )  # fmt: skip
    people.add(connection, lon=WEST + 0.5 * STEP, lat=SOUTH + 0.2 * STEP)  # a person is none
    site = NewPlace("test", "1", "building_site", "工地", box(0.9, 0.1, 1.9, 0.2))
    watched.save(connection, site, actor="test")
    found = profiles.profile(connection, WHOLE_AND_HALF, NOW)
    assert [(each["facilities"], each["names"]) for each in found["facilities"]] == [
        (1, ["综治中心"])
    ]
    assert found["watched"] == [{"kind": "building_site", "places": 1, "in_trouble": 0}]


def draft(connection, shape, **more):
    drawn = Drawn(shapely.MultiPolygon([shape]), **more)
    return assessments.draft(connection, "拓宽工程", drawn, actor="test", now=NOW)


def test_the_profile_stays_what_it_was_that_day(connection):
    record(connection, 0.5, 0.2, GRIDS[0])
    number = draft(connection, WHOLE_AND_HALF, notes=["as drawn"])
    record(connection, 0.6, 0.2, GRIDS[0])
    kept = assessments.get(connection, number)
    assert kept["profile"]["records"] == {"rental": 1}
    assert kept["notes"] == ["as drawn"] and kept["decisions"] == []
    assert kept["area_m2"] == pytest.approx(1.5 * 512 * 554, rel=0.01)


def test_what_lies_outside_the_city_is_refused_or_noted(connection):
    with pytest.raises(AssessmentError, match="outside the city"):
        draft(connection, box(100, 100, 101, 101))
    number = draft(connection, box(-1, 0, 1, 1))
    [note] = assessments.get(connection, number)["notes"]
    assert note.startswith("50.0% of the area")


def test_decisions_follow_each_other_and_stay(connection):
    number = draft(connection, WHOLE_AND_HALF)
    first = Decision("high", "暂缓", "区委政法委", date(2026, 9, 1))
    assessments.decide(connection, number, first, actor="test", now=NOW)
    assessments.decide(connection, number, first, actor="test", now=NOW)
    then = Decision("low", "实施", "区委政法委")
    assessments.decide(connection, number, then, actor="test", now=NOW + timedelta(days=1))
    found = assessments.get(connection, number)
    assert [each["level"] for each in found["decisions"]] == ["high", "low"]
    assert (found["level"], found["review"]) == ("low", None)
    listed = {
        "low": assessments.page(connection, level="low"),
        "high": assessments.page(connection, level="high"),
        "draft": assessments.page(connection, decided=False),
    }
    assert [len(rows) for rows in listed.values()] == [1, 0, 0]
    with pytest.raises(DBAPIError, match="never changed"), connection.begin_nested():
        connection.execute(text("UPDATE assessment_decision SET level = 'low'"))


def test_an_outline_of_many_vertices_is_profiled(connection):
    angle = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    ring = np.column_stack([WEST + STEP * (2 + np.cos(angle)), SOUTH + STEP * (1 + np.sin(angle))])
    found = assessments.get(connection, draft(connection, shapely.Polygon(ring)))
    assert len(found["profile"]["grids"]) == 4
