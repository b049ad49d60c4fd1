"""Candidates by generalised time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.ranking import Weights, rank

number = st.floats(0, 7200)


@st.composite
def crowd(draw):
    n = draw(st.integers(0, 12))
    of = lambda each: draw(st.lists(each, min_size=n, max_size=n))  # noqa: E731
    return {
        "travel_s": np.array(of(st.one_of(number, st.just(np.nan))), float),
        "responsible": np.array(of(st.booleans()), bool),
        "tasks": np.array(of(st.integers(0, 4)), int),
        "missing_skills": np.array(of(st.integers(0, 3)), int),
        "age_s": np.array(of(st.one_of(number, st.just(np.nan))), float),
    }


@given(crowd())
def test_parts_add_up_and_order_is_by_their_sum(people):
    ranking = rank(**people)
    assert sorted(ranking.order) == list(range(len(people["travel_s"])))
    ordered = ranking.minutes[ranking.order]
    assert (ordered[:-1] <= ordered[1:]).all()
    if len(ordered):
        np.testing.assert_allclose(sum(ranking.parts.values()), ranking.minutes)
    assert (np.isinf(ranking.minutes) == np.isnan(people["travel_s"])).all()


@given(crowd(), st.sampled_from(["travel_s", "tasks", "missing_skills"]))
def test_nobody_gains_by_being_worse(people, what):
    if not len(people["travel_s"]):
        return
    before = rank(**people)
    place_before = before.order.tolist().index(0)
    worse = people[what].copy()
    worse[0] += 60 if what == "travel_s" else 1
    after = rank(**{**people, what: worse})
    assert after.order.tolist().index(0) >= place_before


def test_weights_say_what_a_thing_is_worth_in_minutes():
    def first(**weights):
        here_but_busy, free_but_far = 0, 1
        ranking = rank(
            np.array([120.0, 900.0]), np.array([True, True]), np.array([1, 0]),
            np.array([0, 0]), np.array([0.0, 0.0]), Weights.of(weights),
        )  # fmt: skip
        return {here_but_busy: "here", free_but_far: "far"}[int(ranking.order[0])]

    assert first() == "here"  # 2 + 10 against 15
    assert first(task=14) == "far"


def test_without_a_way_no_weight_helps():
    ranking = rank(
        np.array([np.nan, 3600.0]), np.array([True, False]), np.array([0, 3]), np.array([0, 2]),
        np.array([0.0, np.nan]), Weights.of({"travel": 0}),
    )  # fmt: skip
    assert ranking.order.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"speed": 1}, "there is no weight 'speed'; there are travel"),
        ({"task": -1}, "from 0 to"),
        ({"task": "ten"}, "'ten'"),
        ({"task": float("nan")}, "from 0 to"),
        ({"task": True}, "True"),
    ],
)
def test_weights_that_cannot_be_are_named(given, said):
    with pytest.raises(ValueError, match=said):
        Weights.of(given)
