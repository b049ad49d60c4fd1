"""Which fixes are believed: one far away is not, two that agree are."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis import tracks
from gis.tracks import BELIEVED, DOUBTED, OPEN, believed, distance_m

LAT = 23.0
HERE, FAR = 113.10, 116.40  # 340 km apart


def judge(lons, *, step_s=60.0, **more):
    n = len(lons)
    given = {"accuracy_m": [10.0] * n, "track": [1] * n} | more
    return believed(at_s=np.arange(n) * step_s, lon=lons, lat=[LAT] * n, **given).tolist()


def test_the_examples_of_the_docstrings_run():
    assert doctest.testmod(tracks).failed == 0


def test_no_fixes_no_answers():
    assert believed([], [], [], [], []).tolist() == []


def test_one_far_away_is_doubted_and_the_next_at_home_believed():
    assert judge([HERE, FAR, HERE, HERE]) == [True, False, True, True]


def test_a_second_that_agrees_is_believed():
    assert judge([HERE, FAR, FAR, FAR]) == [True, False, True, True]


def test_a_receiver_that_began_with_a_wrong_place_recovers():
    assert judge([FAR, HERE, HERE]) == [True, False, True]


def test_one_that_goes_to_and_fro_stays_where_it_was():
    assert judge([HERE, FAR, HERE, FAR, HERE]) == [True, False, True, False, True]


@pytest.mark.parametrize(("hours", "good"), [(1, False), (2, True)])
def test_far_away_after_long_enough_is_a_journey(hours, good):
    assert judge([HERE, FAR], step_s=hours * 3600) == [True, good]


def test_uncertainty_is_no_speed():
    near = HERE + 0.08  # 8 km in a minute
    assert judge([HERE, near]) == [True, False]
    assert judge([HERE, near], accuracy_m=[10.0, 4000.0]) == [True, True]


def test_tracks_do_not_speak_for_each_other():
    assert judge([HERE, FAR, FAR], track=[1, 2, 3]) == [True, True, True]


def test_what_was_settled_stays_and_counts():
    settled = [BELIEVED, DOUBTED, OPEN, OPEN]
    assert judge([HERE, FAR, FAR, HERE], settled=settled) == [True, False, True, False]
    assert judge([HERE, FAR, HERE, FAR], settled=settled) == [True, False, True, False]


@given(st.lists(st.sampled_from([HERE, HERE + 0.003, FAR]), min_size=1, max_size=12))
def test_two_right_ones_are_enough_whatever_came_before(lons):
    assert judge([*lons, HERE, HERE])[-1]


@given(
    st.lists(st.sampled_from([HERE, HERE + 0.003, FAR]), min_size=1, max_size=12),
    st.integers(0, 12),
)
def test_a_track_judged_in_two_parts_is_judged_the_same(lons, cut):
    whole = judge(lons)
    settled = [(BELIEVED if good else DOUBTED) if n < cut else OPEN for n, good in enumerate(whole)]
    assert judge(lons, settled=settled) == whole


def test_distances_are_those_of_the_ellipsoid():
    assert distance_m(113.0, 0.0, 114.0, 0.0)[0] == pytest.approx(111_319.49, abs=0.01)
