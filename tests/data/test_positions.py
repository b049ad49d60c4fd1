"""Positions: kept as they came, believed with reason, in whatever order they arrive."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from sqlalchemy import text

from data import areas_named, devices, positions
from data.fixes import REFUSALS, Fix
from gis import datum as datums
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST, build
from tests.people import add as add_resource

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LON, LAT = 113.1100, 23.0100
BEIJING = (116.40, 39.90)


@pytest.fixture
def who(connection):
    return add_resource(connection)


def fix(of, s=0, x=LON, y=LAT, **more):
    """A fix so many seconds after now, in WGS 84 unless another datum is named."""
    return Fix(
        of, x, y, NOW + timedelta(seconds=s), **{"datum": "wgs84", "accuracy_m": 10.0} | more
    )


def take(connection, *fixes, now=NOW):
    return [(v.verdict, v.reason) for v in positions.take(connection, fixes, now)]


def position(connection, who):
    """Longitude, latitude and seconds from now of the last believed fix."""
    asked = text("SELECT ST_X(geom), ST_Y(geom), at FROM position WHERE resource_id = :who")
    row = connection.execute(asked, {"who": who}).one_or_none()
    return row and (row[0], row[1], (row[2] - NOW).total_seconds())


def moves(connection, who):
    asked = text("SELECT data FROM event WHERE kind = 'resource.moved' AND resource_id = :who")
    return [data for (data,) in connection.execute(asked, {"who": who})]


# --- taken ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("datum", ["wgs84", "gcj02", "bd09", "cgcs2000", "EPSG:4547"])
def test_a_fix_is_kept_as_it_came_and_moves_the_resource(connection, who, datum):
    x, y = (float(v) for v in datums.from_wgs84(LON, LAT, datum))
    assert take(connection, fix(who, x=x, y=y, datum=datum, source="gps")) == [("taken", None)]
    assert position(connection, who) == pytest.approx((LON, LAT, 0), abs=1e-6)
    (row,) = positions.track(connection, who)
    kept = {name: row[name] for name in ("x", "y", "datum", "source", "accuracy_m", "refused")}
    assert kept == {
        "x": x, "y": y, "datum": datum, "source": "gps", "accuracy_m": 10.0, "refused": None,
    }  # fmt: skip
    assert (row["lon"], row["lat"]) == pytest.approx((LON, LAT), abs=1e-6)
    assert (row["at"], row["received"]) == (NOW, NOW)


def test_a_resource_is_named_in_three_ways(connection):
    who = add_resource(connection, source="hr", external_id="17")
    devices.register(connection, "phone-of-17", who)
    found = positions.take(
        connection, [fix(who, -3), fix(("hr", "17"), -2), fix("phone-of-17", -1)], NOW
    )
    assert [(v.verdict, v.resource_id) for v in found] == [("taken", who)] * 3


def test_what_is_not_said_the_source_says(connection, who):
    connection.execute(
        text("INSERT INTO source (name, datum, accuracy_m) VALUES ('amap', 'gcj02', 35)")
    )
    x, y = (float(v) for v in datums.from_wgs84(LON, LAT, "gcj02"))
    silent = {"datum": None, "accuracy_m": None, "x": x, "y": y}
    assert take(connection, fix(who, source="amap", **silent)) == [("taken", None)]
    (row,) = positions.track(connection, who)
    assert (row["lon"], row["lat"], row["accuracy_m"]) == pytest.approx((LON, LAT, 35), abs=1e-6)
    assert take(connection, fix(who, 1, source="new", **silent)) == [("refused", "unknown_datum")]
    take(connection, fix(who, 2, accuracy_m=0.0))  # a phone that does not know
    assert positions.track(connection, who)[-1]["accuracy_m"] == 20.0


def test_each_of_a_batch_gets_its_own_verdict(connection, who):
    assert take(connection) == []
    other = add_resource(connection)
    assert take(connection, fix(who, -60), fix(-1), fix(other), fix(who, 3600)) == [
        ("taken", None), ("refused", "unknown_resource"), ("taken", None), ("refused", "future"),
    ]  # fmt: skip
    assert position(connection, who)[2] == -60 and position(connection, other)[2] == 0


def test_five_thousand_of_a_thousand_resources(connection):
    crowd = [add_resource(connection) for _ in range(1000)]
    batch = [fix(who, s) for who in crowd for s in (-40, -30, -20, -10, 0)]
    assert take(connection, *batch) == [("taken", None)] * 5000
    assert take(connection, *batch) == [("known", None)] * 5000
    asked = text("SELECT count(*), min(at), (SELECT count(*) FROM track) FROM position")
    assert connection.execute(asked).one() == (1000, NOW, 5000)


# --- late, twice ----------------------------------------------------------------------------------


def test_an_older_fix_is_kept_and_moves_nobody(connection, who):
    take(connection, fix(who))
    assert take(connection, fix(who, -300, x=LON + 0.01)) == [("late", None)]
    assert position(connection, who) == (LON, LAT, 0)
    assert [row["refused"] for row in positions.track(connection, who)] == [None, None]


def test_the_same_fix_twice_is_once(connection, who):
    assert take(connection, fix(who), fix(who)) == [("taken", None), ("known", None)]
    assert take(connection, fix(who)) == [("known", None)]
    assert len(positions.track(connection, who)) == 1
    assert len(moves(connection, who)) == 1


def test_nobody_is_in_two_places_at_once(connection, who):
    here, there = fix(who), fix(who, x=LON + 0.001)
    assert take(connection, here, there) == [("taken", None), ("refused", "same_moment")]
    assert take(connection, there) == [("refused", "same_moment")]
    assert position(connection, who) == (LON, LAT, 0)


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"s": 61}, "future"),
        ({"s": 10**9}, "future"),
        ({"s": -31 * 86400}, "too_old"),
        ({"of": "nobody's phone"}, "unknown_device"),
        ({"of": 2**62}, "unknown_resource"),
        ({"of": ("test", "nobody")}, "unknown_resource"),
        ({"x": 0.0, "y": 0.0}, "null_island"),
        ({"x": math.nan}, "not_a_number"),
        ({"y": math.inf}, "not_a_number"),
        ({"x": LAT, "y": LON}, "swapped"),
        ({"x": 12590234.0, "y": 2632019.0}, "metres"),
        ({"datum": "EPSG:4547"}, "degrees"),
        ({"x": 2.35, "y": 48.85, "datum": "gcj02"}, "wrong_datum"),
        ({"datum": "mars attacks"}, "unsupported_datum"),
        ({"datum": None}, "unknown_datum"),
        ({"accuracy_m": -1.0}, "accuracy"),
        ({"accuracy_m": math.nan}, "accuracy"),
        ({"accuracy_m": 1e6}, "accuracy"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(connection, who, wrong, reason):
    assert take(connection, fix(**{"of": who, **wrong})) == [("refused", reason)]
    assert REFUSALS[reason].endswith((".", "?"))
    assert position(connection, who) is None
    assert positions.track(connection, who) == []


def test_a_clock_a_little_ahead_is_forgiven(connection, who):
    assert take(connection, fix(who, 60)) == [("taken", None)]


def test_the_withdrawn_are_not_followed(connection, who):
    connection.execute(text("UPDATE resource SET withdrawn = now() WHERE id = :w"), {"w": who})
    assert take(connection, fix(who)) == [("refused", "withdrawn")]
    assert positions.track(connection, who) == []


# --- jumps ----------------------------------------------------------------------------------------


def test_a_jump_of_300_km_is_kept_and_not_believed(connection, who):
    take(connection, fix(who, -120))
    assert take(connection, fix(who, -60, x=LON + 3)) == [("refused", "jump")]
    assert position(connection, who) == (LON, LAT, -120)
    assert [row["refused"] for row in positions.track(connection, who)] == [None, "jump"]
    assert take(connection, fix(who)) == [("taken", None)]
    assert position(connection, who) == (LON, LAT, 0)


def test_a_second_fix_that_agrees_with_a_jump_is_believed(connection, who):
    take(connection, fix(who, -120, *BEIJING))  # the phone began with a wrong place
    assert take(connection, fix(who, -60)) == [("refused", "jump")]
    assert take(connection, fix(who)) == [("taken", None)]
    assert position(connection, who) == (LON, LAT, 0)


def test_a_late_fix_can_bear_out_a_jump(connection, who):
    take(connection, fix(who, -120), fix(who, 0, *BEIJING))
    assert position(connection, who) == (LON, LAT, -120)
    assert take(connection, fix(who, -30, *BEIJING)) == [("refused", "jump")]
    assert position(connection, who) == (*BEIJING, 0)
    refused = [row["refused"] for row in positions.track(connection, who)]
    assert refused == [None, "jump", None]


def test_a_jump_is_one_from_the_position_where_the_track_is_forgotten(connection, who):
    take(connection, fix(who, -120))
    connection.execute(text("DELETE FROM track"))
    assert take(connection, fix(who, -60, *BEIJING)) == [("refused", "jump")]
    assert take(connection, fix(who, 0)) == [("taken", None)]


# --- whatever the order ---------------------------------------------------------------------------

places = st.sampled_from([(LON, LAT), (LON + 0.002, LAT), (LON, LAT + 0.01), BEIJING])
walks = st.dictionaries(st.integers(-20, 3).map(lambda n: n * 30), places, min_size=1, max_size=8)
here = hypothesis(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def batches(data, fixes):
    """The fixes in any order, some of them twice, in batches of any size."""
    again = data.draw(st.lists(st.sampled_from(fixes), max_size=3))
    order = data.draw(st.permutations(fixes + again))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(order)), max_size=4)) | {0, len(order)})
    return [order[a:b] for a, b in pairwise(cuts)]


@here
@given(walks, st.data())
def test_where_somebody_is_does_not_depend_on_the_order(connection, walk, data):
    in_order, mixed = add_resource(connection), add_resource(connection)
    for s, (x, y) in sorted(walk.items()):
        take(connection, fix(in_order, s, x, y))
    for batch in batches(data, [fix(mixed, s, x, y) for s, (x, y) in walk.items()]):
        take(connection, *batch)
    assert position(connection, mixed) == position(connection, in_order)
    told = [
        [(row["at"], row["lon"], row["refused"]) for row in positions.track(connection, who)]
        for who in (in_order, mixed)
    ]
    assert told[0] == told[1]


@here
@given(walks, st.data())
def test_nobody_is_ever_in_the_future_nor_where_no_fix_put_them(connection, walk, data):
    who = add_resource(connection)
    for batch in batches(data, [fix(who, s, x, y) for s, (x, y) in walk.items()]):
        take(connection, *batch)
        if now := position(connection, who):
            assert now[2] <= 60
            assert walk[now[2]] == now[:2]


def test_batches_at_once_leave_what_one_after_the_other_leaves(engine):
    with engine.begin() as connection:
        crowd = [add_resource(connection) for _ in range(20)]
    whole = [fix(who, -s) for who in crowd for s in range(16)]

    def send(part):
        with engine.begin() as connection:
            return take(connection, *part)

    with ThreadPoolExecutor(8) as pool:
        answers = [v for part in pool.map(send, [whole[n::8] for n in range(8)] * 2) for v in part]
    with engine.begin() as connection:
        assert {position(connection, who)[2] for who in crowd} == {0}
        assert {len(positions.track(connection, who)) for who in crowd} == {16}
    assert sorted({v for v, _ in answers} - {"late"}) == ["known", "taken"]
    assert sum(v == "known" for v, _ in answers) == len(whole)


# --- told and forgotten ---------------------------------------------------------------------------


def test_a_move_happened_in_the_grid_of_the_place_and_not_at_home(connection, engine):
    build(engine)
    home, there = (areas_named.find(connection, [code])[code].id for code in GRIDS[:2])
    who = add_resource(connection, lon=WEST + 0.5 * STEP, lat=SOUTH + 0.5 * STEP, home_area_id=home)
    take(connection, fix(who, x=WEST + 1.5 * STEP, y=SOUTH + 0.5 * STEP))
    take(connection, fix(who, 60, x=WEST - STEP, y=SOUTH))  # outside every grid
    asked = text("SELECT area_id FROM event WHERE resource_id = :who ORDER BY id")
    assert connection.execute(asked, {"who": who}).scalars().all() == [there, None]


def test_a_map_hears_of_moves_that_matter(connection, who):
    take(connection, fix(who, -900))
    for s in range(-899, -889):  # 1 m a second
        take(connection, fix(who, s, y=LAT + (s + 900) * 9e-6))
    assert len(moves(connection, who)) == 1
    for s in range(-889, -860):
        take(connection, fix(who, s, y=LAT + (s + 900) * 9e-6))
    told = moves(connection, who)
    assert len(told) == 2
    assert told[1]["lat"] == pytest.approx(LAT + 31 * 9e-6, abs=2e-5)
    take(connection, fix(who, -270, y=LAT + 40 * 9e-6))  # still there
    take(connection, fix(who, -200, y=LAT + 40 * 9e-6))
    assert len(moves(connection, who)) == 3


def test_a_car_is_not_told_of_every_second(connection, who):
    take(connection, *[fix(who, s, y=LAT + s * 1e-4) for s in range(-60, -50)])
    for s in range(-50, 0):
        take(connection, fix(who, s, y=LAT + s * 1e-4))
    assert len(moves(connection, who)) == 6


def test_what_is_stale_or_doubted_is_not_told(connection, who):
    take(connection, fix(who, -7200))
    take(connection, fix(who, -7100, *BEIJING))
    assert moves(connection, who) == []


def test_tracks_are_forgotten(connection, who):
    other = add_resource(connection)
    old = NOW - timedelta(days=20)
    positions.take(connection, [fix(who, -20 * 86400), fix(other, -20 * 86400)], old)
    take(connection, fix(who))
    assert positions.forget(connection, NOW - timedelta(days=10)) == 2
    assert [row["at"] for row in positions.track(connection, who)] == [NOW]
    assert position(connection, who)[2] == 0
    assert position(connection, other) is None


def test_a_track_is_read_page_by_page(connection, who):
    take(connection, *[fix(who, -s) for s in range(10)])
    since, until = NOW - timedelta(seconds=8), NOW - timedelta(seconds=1)
    seen = []
    while page := positions.track(
        connection, who, since=since, until=until, after=seen[-1] if seen else None, limit=3
    ):
        seen += [row["at"] for row in page]
    assert seen == [since + timedelta(seconds=s) for s in range(7)]
