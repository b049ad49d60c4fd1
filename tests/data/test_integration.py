"""Beats and grids from the database: what coincides, who is near, what is visited, what lacks."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pandas as pd
import pytest
import shapely
from sqlalchemy import Connection, Engine, text

from data import access, areas, integration, reports, territory, visit_plans
from data.access import Who
from data.integration import Asked, Integration
from data.reports import NewReport
from data.visit_plans import NewPlan
from gis.travel import StraightLine
from tests import people
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST, build, cell, frame

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)  # a Monday, 12:00 in the city
TOWN = "440604010000"


@pytest.fixture(scope="module", autouse=True)
def _town(engine: Engine) -> None:
    """Two beats that cut the grids of one column at 30 %, and two that overlap in it."""
    build(engine)
    layers = {
        "split": [cell(0, 0, 1.3), cell(0, 1, 1.3), cell(1.3, 0, 2.7), cell(1.3, 1, 2.7)],
        "overlapping": [cell(0, 0, 2), cell(1, 0, 3)],
    }
    halves = shapely.union_all([shapely.box(*each.bounds) for each in layers["split"][:2]])
    east = shapely.box(WEST + 1.3 * STEP, SOUTH, WEST + 4 * STEP, SOUTH + 2 * STEP)
    west = shapely.intersection(
        halves, shapely.box(WEST, SOUTH, WEST + 1.3 * STEP, SOUTH + 2 * STEP)
    )
    with areas.change(engine, "import", "test") as change:
        for layer, shapes in (("split", [west, east]), ("overlapping", layers["overlapping"])):
            areas.ensure_layer(change.connection, layer, title=layer, title_en=layer)
            areas.record(
                change, layer, frame(code=["W", "E"], name=["西区", "东区"], geometry=shapes)
            )


def count_residents(connection: Connection, each: dict[str, Any]) -> None:
    """Until the test is over; in earnest a version is never changed."""
    connection.execute(text("ALTER TABLE area_version DISABLE TRIGGER USER"))
    for code, residents in each.items():
        connection.execute(
            text(
                "UPDATE area_version v SET attributes = jsonb_build_object('residents', CAST(:n AS"
                " integer)) FROM area a WHERE a.id = v.area_id AND a.layer = 'grid'"
                " AND a.code = :code"
            ),
            {"code": code, "n": residents},
        )


def ask(connection: Connection, **more: Any) -> Integration:
    usual = {"now": NOON, "start": NOON - timedelta(days=30), "until": NOON, "beats": "split"}
    return integration.read(connection, StraightLine(), Asked(**{**usual, **more}))


def at(column: float, row: float) -> dict[str, float]:
    return {"lon": WEST + column * STEP, "lat": SOUTH + row * STEP}


def area(connection: Connection, code: str) -> int:
    return territory.named(connection, code).id


def answers_for(connection: Connection, who: int, *codes: str) -> None:
    for code in codes:
        connection.execute(
            text("INSERT INTO resource_area (resource_id, area_id) VALUES (:who, :area)"),
            {"who": who, "area": area(connection, code)},
        )


def test_the_matrix_adds_up_to_the_books(connection: Connection) -> None:
    count_residents(connection, dict.fromkeys(GRIDS, 1000))
    found = ask(connection)
    assert set(found.grids.index) == set(GRIDS)  # the school lies inside one of them
    split = found.grids.index[found.grids["kind"] == "several"].tolist()
    assert split == [GRIDS[1], GRIDS[3]]
    assert found.grids.at[GRIDS[1], "main"] == "E"
    assert found.grids.at[GRIDS[1], "in_main"] == pytest.approx(0.7, abs=1e-3)
    books = areas.read(connection, "grid").set_index("code")["area_m2"]
    sums = found.matrix.groupby("grid")["area_m2"].sum()
    assert (sums / books[sums.index]).to_numpy() == pytest.approx(1, abs=1e-9)
    assert found.matrix["residents"].sum() == pytest.approx(8000)
    assert found.beats["residents"].round(-1).to_dict() == {"E": 5400, "W": 2600}
    assert found.towns.loc[TOWN, ["grids", "split", "none"]].tolist() == [8, 2, 0]


def test_the_proposal_says_what_it_changes(connection: Connection) -> None:
    count_residents(connection, dict.fromkeys(GRIDS, 1000))
    found = ask(connection)
    assert found.moves[["grid", "beat"]].to_numpy().tolist() == [[GRIDS[1], "E"], [GRIDS[3], "E"]]
    assert found.moves["residents"].sum() == pytest.approx(600, abs=2)
    # Two of eight grids: a quarter of the first part, 30 % of that of the second.
    assert found.index_after - found.index == pytest.approx(100 * (0.25 + 0.075) / 4, abs=0.1)
    assert found.towns.at[TOWN, "index_after"] == pytest.approx(found.index_after)
    # With no more than that to spare, the smaller beat has the first; then there is room.
    assert ask(connection, tolerance=0.01).moves["beat"].tolist() == ["W", "E"]


def test_who_is_on_duty_is_near_and_who_is_named(connection: Connection) -> None:
    officer = people.add(
        connection, kind="police_officer", shift="day", mode="moped", **at(0.5, 0.5)
    )
    answers_for(connection, officer, *GRIDS[:4])
    people.add(connection, kind="police_officer", shift="night", mode="moped", **at(3.5, 0.5))
    people.add(connection, kind="patrol", status="off", mode="car", **at(3.5, 0.5))
    people.add(connection, kind="police_station", **at(0.5, 1.5))
    people.add(connection, kind="grid_helper", **at(3.5, 1.5))
    day = ask(connection)
    assert (day.grids["officers"] > 0).tolist() == [True] * 4 + [False] * 4
    assert day.grids["officer_part"].sum() == pytest.approx(1)
    near = day.grids["officer"]
    assert near[GRIDS[0]] == pytest.approx(0, abs=1) and near.idxmax() == GRIDS[7]
    # Three columns of 510 m, by moped at 20 km/h with a detour of 1.3.
    assert near[GRIDS[5]] == pytest.approx(3 * 512 * 1.3 / (20 / 3.6), rel=0.01)
    assert day.grids["post"][GRIDS[2]] == pytest.approx(0, abs=1)
    assert day.grids["worker"].idxmin() == GRIDS[7]
    night = ask(connection, now=NOON + timedelta(hours=12))
    assert night.grids["officer"].idxmin() == GRIDS[5]
    table = day.covered.set_index(["whom", "minutes"])["grids"]
    assert table["officer", 5] == pytest.approx((near <= 300).mean())
    assert table["officer", 10] == 1


def test_a_position_counts_before_the_home(connection: Connection) -> None:
    who = people.add(connection, kind="police_officer", **at(0.5, 0.5))
    people.fix(connection, who, *at(3.5, 1.5).values(), age_s=30)
    now = datetime.now(UTC)
    assert ask(connection, now=now).grids["officer"].idxmin() == GRIDS[7]
    assert ask(connection, now=now + timedelta(days=2)).grids["officer"].idxmin() == GRIDS[0]


def test_incidents_count_once_in_their_grid_and_piece(connection: Connection) -> None:
    now = datetime.now(UTC)
    place = {"x": WEST + 1.1 * STEP, "y": SOUTH + 0.5 * STEP, "datum": "wgs84", "accuracy_m": 5}
    first, again = (
        reports.submit(connection, NewReport("test", name, kind="噪音", **place))[0]
        for name in ("one", "two")
    )
    connection.execute(
        text("UPDATE report SET incident_id = :first WHERE id = :again"),
        {"first": first, "again": again},
    )
    found = ask(connection, now=now, start=now - timedelta(days=1), until=now + timedelta(hours=1))
    assert found.grids["incidents"].to_dict() == {**dict.fromkeys(GRIDS, 0), GRIDS[1]: 1}
    pieces = found.matrix.set_index(["grid", "beat"])["incidents"]
    assert pieces[GRIDS[1], "W"] == 1 and pieces.sum() == 1
    assert ask(connection, start=NOON - timedelta(days=1)).grids["incidents"].sum() == 0


def test_visits_are_counted_by_grid_and_state(connection: Connection) -> None:
    for code, place in ((GRIDS[0], at(0.5, 0.5)), (GRIDS[4], at(2.5, 0.5))):
        connection.execute(
            text(
                "INSERT INTO record (source, external_id, kind, layer, area_id, method, geom)"
                " VALUES ('test', :code, 'rental', 'grid', :area, 'inside',"
                " ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))"
            ),
            {"code": code, "area": area(connection, code), **place},
        )
    assert "no_plans" in ask(connection).notes
    begins = visit_plans.today(NOON)
    plan = NewPlan("走访", area(connection, TOWN), "grid_helper", 7, begins, "rental")
    visit_plans.add(connection, plan, actor="test", now=NOON)
    connection.execute(
        text("UPDATE visit SET state = 'done' WHERE area_id = :area"),
        {"area": area(connection, GRIDS[4])},
    )
    found = ask(connection, until=NOON + timedelta(days=1))
    assert found.grids["due"].to_dict() == {**dict.fromkeys(GRIDS, 0), GRIDS[0]: 1}
    assert found.grids["done"].to_dict() == {**dict.fromkeys(GRIDS, 0), GRIDS[4]: 1}
    assert "no_plans" not in found.notes
    assert ask(connection, until=NOON - timedelta(days=5)).grids["due"].sum() == 0


def test_bad_input_is_said(connection: Connection) -> None:
    overlapping = ask(connection, beats="overlapping")
    assert {"overlaps", "not_counted", "nobody_on_duty", "no_posts", "straight"} <= set(
        overlapping.notes
    )
    assert set(overlapping.overlaps.loc[0, ["beat", "other"]]) == {"W", "E"}
    nothing = ask(connection, beats="no such layer")
    assert "no_beats" in nothing.notes and (nothing.grids["kind"] == "none").all()
    assert nothing.matrix.empty and nothing.moves.empty and nothing.beats.empty
    assert nothing.index == 0
    assert nothing.gaps["kind"].value_counts().to_dict() == {"none": 8, "no_officer": 8, "far": 8}


def test_a_grid_with_nobody_in_it_has_no_rate(connection: Connection) -> None:
    count_residents(connection, {GRIDS[0]: 0, GRIDS[1]: 500})
    found = ask(connection)
    assert found.grids["reason"].tolist() == ["nobody", ""] + ["not_counted"] * 6
    assert found.grids["officer_rate"].isna().sum() == 7
    assert "no_residents" in found.notes and "not_counted" not in found.notes


def test_whoever_acts_in_some_areas_is_told_of_these(connection: Connection) -> None:
    mine = access.acting.set(Who("chief", areas=(area(connection, VILLAGES[1]),)))
    try:
        found = ask(connection)
    finally:
        access.acting.reset(mine)
    assert found.grids.index.tolist() == GRIDS[4:]
    assert found.towns["grids"].tolist() == [4]


@pytest.mark.parametrize("beats", ["split", "no such layer"])
def test_what_is_kept_as_json_says_the_same(connection: Connection, beats: str) -> None:
    count_residents(connection, dict.fromkeys(GRIDS[:3], 1000))
    people.add(connection, kind="police_officer", **at(0.5, 0.5))
    found = ask(connection, beats=beats)
    again = Integration.of(orjson.loads(orjson.dumps(found.said())))
    assert (again.asked, again.notes, again.travel) == (found.asked, found.notes, found.travel)
    assert again.index == found.index
    for name, table in vars(found).items():
        if isinstance(table, pd.DataFrame):
            pd.testing.assert_frame_equal(
                getattr(again, name), table, check_dtype=False, check_index_type=False, obj=name
            )


def test_one_area_alone_with_who_is_near_from_elsewhere(connection: Connection) -> None:
    people.add(connection, kind="police_officer", **at(0.5, 0.5))
    found = ask(connection, area_id=area(connection, VILLAGES[1]))
    assert found.grids.index.tolist() == GRIDS[4:] and found.grids["officer"].notna().all()
    assert found.beats["grids"].to_dict() == {"E": 4, "W": 0}


def test_no_grids_at_all(connection: Connection) -> None:
    mine = access.acting.set(Who("nobody", areas=()))
    try:
        found = ask(connection)
    finally:
        access.acting.reset(mine)
    assert found.notes == ["no_grids"] and found.grids.empty and found.towns.empty
    assert found.index != found.index
