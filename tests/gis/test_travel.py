"""The straight line held to the ellipsoid and to the table of modes; roads are in tests/data."""

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gis.travel import MODES, Mode, Roads, StraightLine, great_circle_m

quick = settings(max_examples=40, deadline=None)
modes = st.sampled_from(sorted(MODES))


def places(count):
    """(count, 2) longitudes and latitudes, from pole to pole."""
    unit = arrays(float, (count, 2), elements=st.floats(-1, 1))
    return unit.map(lambda share: share * (180, 89))


@quick
@given(places(5), places(4))
def test_great_circles_are_as_long_as_geodesics(a, b):
    start, end = (x.reshape(-1, 2) for x in np.broadcast_arrays(a[:, None], b[None]))
    exact = pyproj.Geod(ellps="WGS84").inv(*start.T, *end.T)[2].reshape(5, 4)
    np.testing.assert_allclose(great_circle_m(a[:, None], b[None]), exact, rtol=0.006, atol=1e-3)


@quick
@given(places(5), modes)
def test_there_is_as_far_as_back_and_round_about_is_never_shorter(place, mode):
    metres = StraightLine().legs(place, place, mode).metres
    np.testing.assert_allclose(metres, metres.T, atol=1e-3)
    np.testing.assert_allclose(np.diag(metres), 0, atol=1e-3)
    assert (metres[:, None] <= metres[:, :, None] + metres[None] + 1e-3).all()


@quick
@given(places(3), places(4), modes)
def test_metres_carry_the_detour_and_seconds_the_speed(start, end, name):
    legs, mode = StraightLine().legs(start, end, name), MODES[name]
    np.testing.assert_allclose(
        legs.metres, great_circle_m(start[:, None], end[None]) * mode.detour, rtol=1e-12
    )
    np.testing.assert_allclose(legs.metres / 1000, legs.seconds / 3600 * mode.speed_kmh)
    assert legs.seconds.shape == legs.metres.shape == legs.by_road.shape == (3, 4)
    assert not legs.by_road.any()


def test_a_walker_takes_about_a_quarter_of_an_hour_for_a_kilometre_as_the_crow_flies():
    a_kilometre_north = [[113.12, 23.02 + 1 / 110.75]]
    legs = StraightLine().legs([[113.12, 23.02]], a_kilometre_north, "foot")
    assert 14 < legs.seconds.item() / 60 < 17


def test_modes_are_in_the_order_of_their_speeds():
    seconds = StraightLine().legs(np.tile([113.12, 23.02], (4, 1)), [[113.2, 23.1]], list(MODES))
    assert list(MODES) == ["foot", "bicycle", "moped", "car"]
    assert (np.diff(seconds.seconds[:, 0]) < 0).all()


@quick
@given(places(4), places(3), st.lists(modes, min_size=4, max_size=4))
def test_each_origin_has_its_own_mode_and_one_name_is_that_of_all(start, end, names):
    together = StraightLine().legs(start, end, names)
    for i, name in enumerate(names):
        np.testing.assert_array_equal(
            together.seconds[i], StraightLine().legs(start, end, name).seconds[i]
        )


@pytest.mark.parametrize("nowhere", [(np.nan, 23.0), (113.0, np.inf), (181.0, 23.0), (113.0, 91.0)])
def test_a_place_that_is_not_on_the_globe_is_not_reached_and_spoils_no_other(nowhere):
    legs = StraightLine().legs([(113.1, 23.0), nowhere], [(113.2, 23.1), nowhere], "car")
    assert np.isfinite(legs.seconds).tolist() == [[True, False], [False, False]]
    np.testing.assert_array_equal(np.isnan(legs.metres), np.isnan(legs.seconds))


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0, 0)])
def test_nobody_and_nowhere_are_empty_arrays(shape):
    start, end = np.full((shape[0], 2), 23.0), np.full((shape[1], 2), 23.0)
    assert StraightLine().legs(start, end, "foot").seconds.shape == shape
    assert (
        StraightLine().legs(start.tolist(), end.tolist(), ["foot"] * shape[0]).metres.shape == shape
    )


def test_what_was_given_is_left_as_it_was():
    start = np.array([[500.0, 23.0]])
    StraightLine().legs(start, start, "foot")
    assert start.tolist() == [[500.0, 23.0]]


def test_a_table_of_ones_own_takes_the_place_of_ours():
    boat = {"boat": Mode(speed_kmh=36.0, detour=2.0, costing="pedestrian")}
    legs = StraightLine(boat).legs([[113.0, 23.0]], [[113.0, 23.1]], "boat")
    assert legs.seconds.item() == pytest.approx(legs.metres.item() / 10)
    with pytest.raises(ValueError, match=r"'foot' is no way of moving; there are boat\."):
        StraightLine(boat).legs([[113.0, 23.0]], [[113.0, 23.1]], "foot")


@pytest.mark.parametrize(
    ("origins", "targets", "given_modes", "said"),
    [
        ([[1, 2]], [[1, 2]], "horse", "'horse' is no way of moving"),
        ([[1, 2]], [[1, 2]], ["foot", "car"], "each of the 1 origins"),
        ([1, 2], [[1, 2]], "foot", r"origins are \(n, 2\)"),
        ([[1, 2]], [[1, 2, 3]], "foot", r"targets are \(n, 2\)"),
    ],
)
def test_a_wrong_question_is_refused_in_a_sentence(origins, targets, given_modes, said):
    with pytest.raises(ValueError, match=said):
        StraightLine().legs(origins, targets, given_modes)


def test_roads_that_are_not_there_are_refused_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match="build them first"):
        Roads(tmp_path / "tiles.tar")
