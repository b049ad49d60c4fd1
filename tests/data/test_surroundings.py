"""What a map of one place shows under it, from the database."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from data import incidents, surroundings
from tests import people
from tests.api.conftest import GRIDS, SCHOOL, SOUTH, STEP, WEST, build
from tests.people import HOME, incident

LON, LAT = WEST + 0.2 * STEP, SOUTH + 0.7 * STEP


@pytest.fixture(scope="module")
def town_engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    build(made)
    yield made
    made.dispose()


@pytest.fixture
def connection(town_engine: Engine) -> Iterator[Connection]:
    with town_engine.connect() as opened:
        yield opened
        opened.rollback()


def area(connection: Connection, code: str) -> int:
    asked = text("SELECT id FROM area WHERE layer = 'grid' AND code = :code")
    return int(connection.execute(asked, {"code": code}).scalar_one())


def test_the_own_grid_its_neighbours_and_those_further_off(connection: Connection) -> None:
    found = surroundings.around(connection, LON, LAT, area(connection, GRIDS[0])).grids
    by_code = found.set_index("code")
    assert set(by_code.index) == {*GRIDS, SCHOOL}
    assert by_code.index[by_code.own].tolist() == [GRIDS[0]]
    # Village by village: the corner counts as beside, the second village lies a column further.
    assert set(by_code.index[by_code.beside]) == {*GRIDS[:4], SCHOOL}


def test_without_a_grid_none_is_its_own(connection: Connection) -> None:
    found = surroundings.around(connection, LON, LAT, None).grids
    assert len(found) == 9
    assert not found.own.any()
    assert not found.beside.any()


def test_water_and_roads_are_cut_off_far_away(connection: Connection) -> None:
    connection.execute(
        text(
            "INSERT INTO ground (kind, class, name, geom) VALUES"
            " ('road', 'primary', 'long', ST_SetSRID(ST_MakeLine(ST_MakePoint(112, :lat),"
            " ST_MakePoint(114, :lat)), 4326)),"
            " ('road', 'primary', 'far', ST_SetSRID(ST_MakeLine(ST_MakePoint(110, 20),"
            " ST_MakePoint(110, 21)), 4326))"
        ),
        {"lat": LAT},
    )
    found = surroundings.around(connection, LON, LAT, None).nature
    assert found.name.tolist() == ["long"]
    west, _, east, _ = found.to_crs("EPSG:32649").total_bounds
    assert east - west == pytest.approx(2 * surroundings.WIDE_M, rel=0.01)


def test_the_nearest_facilities_of_each_kind_and_no_people(connection: Connection) -> None:
    for n in range(10):
        people.add(connection, f"centre {n}", LON + 0.01 * n, LAT, kind="centre")
    people.add(connection, "lead", LON, LAT)
    found = surroundings.around(connection, LON, LAT, None).facilities
    assert sorted(found.name) == [f"centre {n}" for n in range(surroundings.MOST_FACILITIES)]
    assert set(found.title_en) == {"Governance centre"}


def test_where_those_are_who_are_under_way(connection: Connection) -> None:
    number = incident(connection)
    fresh, stale, back = (people.add(connection) for _ in range(3))
    connection.execute(
        text(
            "WITH made AS (INSERT INTO dispatch (incident_id, actor) VALUES (:id, 'test')"
            " RETURNING id) INSERT INTO assignment (dispatch_id, incident_id, resource_id, state)"
            " SELECT made.id, :id, r.id, r.state FROM made, (VALUES (CAST(:a AS bigint), 'sent'),"
            " (:b, 'on_scene'), (:c, 'recalled')) r (id, state)"
        ),
        {"id": number, "a": fresh, "b": stale, "c": back},
    )
    people.fix(connection, fresh, LON, LAT)
    people.fix(connection, stale, LON, LAT, age_s=7200)
    found = surroundings.sent(connection, number)
    home = {"lon": pytest.approx(HOME[0]), "lat": pytest.approx(HOME[1])}
    assert [each["id"] for each in found] == [fresh, stale]
    assert found[0]["point"] == {"lon": pytest.approx(LON), "lat": pytest.approx(LAT)}
    assert found[1]["point"] == home
    assert dict(incidents.how_many(connection, kind="噪音"))["unsent"] == 0


def test_open_ones_are_counted_and_their_kinds_named(connection: Connection) -> None:
    for kind in ("漏水", "漏水", "火情"):
        incident(connection, kind)
    assert dict(incidents.how_many(connection)) == {"open": 3, "unsent": 3}
    assert dict(incidents.how_many(connection, kind="火情")) == {"open": 1, "unsent": 1}
    assert dict(incidents.how_many(connection, under=[])) == {"open": 0, "unsent": 0}
    assert incidents.open_kinds(connection) == ["漏水", "火情"]
