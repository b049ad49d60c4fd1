"""Reports one by one: taken in once, placed or waiting, confirmed by a person and remembered."""

from datetime import UTC, datetime
from itertools import count

import geopandas as gpd
import numpy as np
import pytest
import shapely
from sqlalchemy import text

from data import addresses, areas, reports
from data.reports import NewReport, ReportError
from gis import datum as datums

AT, SIZE = np.array([113.1, 23.0]), 0.01
LON, LAT = 113.105, 23.005  # the middle of a1
serial = count()


@pytest.fixture(scope="module", autouse=True)
def _tiles(engine):
    """Four areas: a1 and a2 below, a3 and a4 above."""
    boxes = [
        shapely.transform(shapely.box(c, r, c + 1, r + 1), lambda xy: xy * SIZE + AT)
        for r in (0, 1)
        for c in (0, 1)
    ]
    codes = ["a1", "a2", "a3", "a4"]
    frame = gpd.GeoDataFrame({"code": codes, "name": codes}, geometry=boxes, crs=4326)
    with areas.change(engine, "import") as change:
        areas.ensure_layer(change.connection, "tiles")
        areas.record(change, "tiles", frame)


def new(**more):
    given = {"source": "12345", "external_id": f"n{next(serial)}", "layer": "tiles"}
    return NewReport(**{**given, "x": LON, "y": LAT, "datum": "wgs84", **more})


def take_in(connection, **more):
    number, fresh = reports.submit(connection, new(**more))
    assert fresh
    return reports.get(connection, number)


def wait_until_known(engine):
    """Confirmations count from a moment after they were made."""
    with engine.connect() as connection:
        for table in ("confirmation", "address"):
            connection.execute(text(f"SELECT pg_sleep_until(max(recorded)) FROM {table}"))


# --- taken in -------------------------------------------------------------------------------------


def test_a_report_is_kept_as_it_came_and_placed(connection):
    when = datetime(2026, 3, 1, 8, tzinfo=UTC)
    row = take_in(
        connection, occurred=when, channel="app", kind="噪音", premises="street", accuracy_m=5.0,
        description="'; DROP TABLE report; --", attributes={"a": [1, None, {"b": "网格"}]},
    )  # fmt: skip
    assert (row["code"], row["method"], row["ambiguous"], row["triage"]) == (
        "a1", "inside", False, None,
    )  # fmt: skip
    assert (row["x"], row["y"], row["datum"], row["accuracy_m"]) == (LON, LAT, "wgs84", 5.0)
    assert (row["at"], row["description"]) == (when, "'; DROP TABLE report; --")
    assert row["attributes"] == {"a": [1, None, {"b": "网格"}]}


@pytest.mark.parametrize("datum", ["gcj02", "bd09", "EPSG:4547"])
def test_every_datum_comes_to_the_same_place(connection, datum):
    x, y = (float(v) for v in datums.from_wgs84(LON, LAT, datum))
    row = take_in(connection, x=x, y=y, datum=datum)
    assert (row["lon"], row["lat"]) == pytest.approx((LON, LAT), abs=1e-6)
    assert (row["x"], row["y"], row["code"]) == (x, y, "a1")


def test_the_same_report_again_changes_nothing(connection):
    first, fresh = reports.submit(connection, new(external_id="twice", kind="a"))
    before = reports.get(connection, first)
    again, stale = reports.submit(connection, new(external_id="twice", kind="b", x=113.115))
    assert (fresh, stale, again) == (True, False, first)
    assert reports.get(connection, first) == before
    other, fresh = reports.submit(connection, new(external_id="twice", source="110"))
    assert fresh and other != first


def test_on_a_border_both_are_listed(connection):
    row = take_in(connection, x=113.11)
    assert (row["method"], row["ambiguous"]) == ("on_border", True)
    assert {each["code"] for each in row["alternatives"]} == {"a1", "a2"}
    assert sum(each["share"] for each in row["alternatives"]) == pytest.approx(1, abs=0.01)
    assert row["border_m"] <= 1


def test_near_but_outside_is_snapped_and_far_waits(connection):
    near, far = take_in(connection, x=113.099), take_in(connection, x=113.05)
    assert (near["code"], near["method"], near["triage"]) == ("a1", "snapped", None)
    assert (far["code"], far["method"], far["triage"]) == (None, "none", "outside")
    assert (far["x"], far["lon"]) == (113.05, 113.05)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"datum": None}, "unknown_datum"),
        ({"x": None, "y": None}, "no_place"),
        ({"x": None, "y": None, "address": "不存在的路1号"}, "address_unknown"),
    ],
)
def test_what_has_no_place_waits_with_the_reason(connection, more, reason):
    row = take_in(connection, **more)
    assert (row["triage"], row["area_id"], row["method"]) == (reason, None, "none")
    assert row["x"] == more.get("x", LON) and reason in reports.TRIAGE
    waiting = reports.in_triage(connection, reason=reason)
    assert [w["id"] for w in waiting] == [row["id"]]
    assert reports.triage_counts(connection)[reason] == 1


def test_triage_is_read_page_by_page(connection):
    numbers = [take_in(connection, datum=None)["id"] for _ in range(5)]
    first = reports.in_triage(connection, limit=3)
    rest = reports.in_triage(connection, after=first[-1]["id"], limit=3)
    assert [row["id"] for row in [*first, *rest]] == numbers
    assert reports.in_triage(connection, reason="outside") == []


def test_the_source_names_datum_and_accuracy(connection):
    reports.set_source(connection, "hotline", datum="高德", accuracy_m=33.0)
    row = take_in(connection, source="hotline", datum=None)
    assert (row["datum"], row["accuracy_m"]) == ("gcj02", 33.0)
    assert row["lon"] < LON - 0.004
    with pytest.raises(datums.DatumError, match="moon"):
        reports.set_source(connection, "hotline", datum="moon")


@pytest.mark.parametrize(
    ("more", "words", "where"),
    [
        ({"x": LAT, "y": LON}, "exchanged", "lon, lat"),
        ({"x": 0.0, "y": 0.0}, "0, 0", "lon, lat"),
        ({"x": 213.0}, "No place on earth", "lon, lat"),
        ({"x": float("nan")}, "not a number", "lon, lat"),
        ({"x": 12_590_000.0, "y": 2_630_000.0}, "projected metres", "lon, lat"),
        ({"x": -87.6, "y": 41.8, "datum": "bd09"}, "check the datum", "datum"),
        ({"datum": "moon"}, "'moon' is not known", "datum"),
        ({"layer": "nowhere"}, "there is no layer 'nowhere'; there are", "layer"),
    ],
)
def test_what_cannot_be_right_is_refused_in_a_sentence(connection, more, words, where):
    with pytest.raises(ReportError, match=words) as e:
        reports.submit(connection, new(external_id="wrong", **more))
    assert e.value.field == where and str(e.value)
    found = connection.execute(text("SELECT count(*) FROM report WHERE external_id = 'wrong'"))
    assert found.scalar_one() == 0


def test_an_address_that_is_known_places_a_report(engine):
    with engine.begin() as connection:
        addresses.add(connection, [("佛山市禅城区祖庙路21号", 113.115, 23.015)], "survey")
    wait_until_known(engine)
    with engine.begin() as connection:
        row = take_in(connection, x=None, y=None, datum=None, address="祖庙路２１号")
    assert (row["code"], row["method"], row["triage"]) == ("a4", "address", None)
    assert (row["x"], row["lon"], row["lat"]) == (None, 113.115, 23.015)


# --- a person decides -----------------------------------------------------------------------------


def test_a_confirmed_report_moves_and_the_next_one_goes_there_first(engine):
    """At the border of a3 and a4, a little on the side of a3; a person says a4."""
    place = {"x": 113.10998, "y": 23.015, "address": "岭南大道北88号"}
    with engine.begin() as connection:
        first = take_in(connection, **place)
        assert (first["code"], first["ambiguous"]) == ("a3", True)
        reports.confirm(connection, first["id"], "a4", actor="dispatcher", reason="seen")
        moved = reports.get(connection, first["id"])
        assert (moved["code"], moved["method"], moved["triage"]) == ("a4", "confirmed", None)
        kept = connection.execute(
            text("SELECT * FROM confirmation WHERE report_id = :id"), {"id": first["id"]}
        )
        kept = kept.mappings().one()
        assert (kept["actor"], kept["reason"], kept["informative"]) == ("dispatcher", "seen", True)
    wait_until_known(engine)
    with engine.begin() as connection:
        second = take_in(connection, **place)
        elsewhere = take_in(connection, x=113.10998, y=23.005)
    assert (second["code"], second["triage"]) == ("a4", None)
    assert [each["code"] for each in second["alternatives"]] == ["a4", "a3"]
    assert elsewhere["code"] == "a1"


def test_memory_never_lists_what_the_geometry_does_not(engine):
    place = {"x": 113.103, "y": 23.013}
    with engine.begin() as connection:
        first = take_in(connection, **place)
        reports.confirm(connection, first["id"], "a2", actor="dispatcher")
        assert reports.get(connection, first["id"])["code"] == "a2"
    wait_until_known(engine)
    with engine.begin() as connection:
        assert take_in(connection, **place)["code"] == "a3"


def test_a_report_in_triage_gets_its_pin_and_its_address_is_learnt(engine):
    nowhere = {"x": None, "y": None, "datum": None, "address": "南海区桂澜路77号"}
    with engine.begin() as connection:
        row = take_in(connection, **nowhere)
        assert row["triage"] == "address_unknown"
        reports.confirm(connection, row["id"], "a2", actor="dispatcher", lon=113.117, lat=23.004)
        row = reports.get(connection, row["id"])
    assert (row["code"], row["triage"], row["method"]) == ("a2", None, "confirmed")
    assert (row["lon"], row["lat"], row["x"]) == (113.117, 23.004, None)
    wait_until_known(engine)
    with engine.begin() as connection:
        second = take_in(connection, **nowhere)
    assert (second["code"], second["method"]) == ("a2", "address")
    assert (second["lon"], second["lat"]) == (113.117, 23.004)


def test_a_pin_does_not_move_a_report_that_has_a_place(connection):
    row = take_in(connection)
    reports.confirm(connection, row["id"], "a1", actor="dispatcher", lon=113.119, lat=23.019)
    assert reports.get(connection, row["id"])["lon"] == LON


def test_what_cannot_be_confirmed_stays_as_it_is(connection):
    row = take_in(connection, datum=None)
    with pytest.raises(ReportError, match="the layer tiles has no area a9 in force"):
        reports.confirm(connection, row["id"], "a9", actor="dispatcher")
    assert reports.get(connection, row["id"]) == row
    with pytest.raises(ReportError, match="there is no report 987654321"):
        reports.confirm(connection, 987654321, "a1", actor="dispatcher")


def test_the_question_of_a_stored_report_can_be_asked_again(connection):
    row = take_in(connection, x=113.11, address="祖庙路3号", premises="shop")
    place = reports.place_of(row)
    assert (place.lon, place.lat, place.layer) == (113.11, LAT, "tiles")
    assert (place.at, place.known, place.premises) == (row["at"], row["known"], "shop")
    assert reports.place_of(take_in(connection, datum=None)) is None
    assert reports.get(connection, 987654321) is None
