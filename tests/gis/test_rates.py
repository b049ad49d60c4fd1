"""Empirical Bayes rates held to esda, and to what smoothing means."""

import doctest

import numpy as np
import pytest
from esda.smoothing import Empirical_Bayes, assuncao_rate
from hypothesis import given
from hypothesis import strategies as st

from gis import rates
from gis.rates import per_km2, per_resident
from tests.gis.lattices import queen

RNG = np.random.default_rng(5)
PEOPLE = RNG.integers(20, 3000, 36)
EVENTS = RNG.binomial(PEOPLE, RNG.beta(4, 200, 36))


def test_the_examples_run():
    assert doctest.testmod(rates).failed == 0


def test_smoothed_and_standardised_agree_with_esda():
    found = per_resident(EVENTS, PEOPLE)
    np.testing.assert_allclose(found.smoothed, np.ravel(Empirical_Bayes(EVENTS, PEOPLE).r))
    np.testing.assert_allclose(found.standardised, assuncao_rate(EVENTS, PEOPLE))


def test_local_smoothing_is_the_global_one_of_each_neighbourhood():
    beside = queen(6, 6)
    found = per_resident(EVENTS, PEOPLE, neighbours=beside)
    for cell in (0, 14, 35):
        around = np.r_[cell, beside.toarray()[cell].nonzero()[0]]
        alone = per_resident(EVENTS[around], PEOPLE[around])
        assert found.smoothed[cell] == pytest.approx(alone.smoothed[0])


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5000)), min_size=1, max_size=30))
def test_a_smoothed_rate_lies_between_the_raw_one_and_the_mean(cells):
    events, people = np.array(cells).T
    found = per_resident(events, people, per=1000)
    lived = people > 0
    assert np.isnan(found.raw[~lived]).all() and np.isnan(found.standardised[~lived]).all()
    assert found.left_out == events[~lived].sum()
    if lived.any():
        mean = events[lived].sum() / people[lived].sum() * 1000
        raw, smooth = found.raw[lived], found.smoothed[lived]
        assert (smooth >= np.minimum(raw, mean) - 1e-9).all()
        assert (smooth <= np.maximum(raw, mean) + 1e-9).all()
        assert np.isfinite(found.standardised[lived]).all()


def test_few_people_say_little():
    found = per_resident([0, 0, 90, 10], [10, 5000, 4000, 4000])
    pull = found.smoothed / np.mean(found.smoothed)
    assert pull[0] > pull[1]  # both have no event


def test_too_few_people_make_no_rate():
    found = per_resident([3, 8], [9, 100], at_least=10)
    assert found.populated.tolist() == [False, True]
    assert found.left_out == 3


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: per_resident([1, 2], [1]), "one number for each cell"),
        (lambda: per_resident([-1], [1]), "events must be at least 0"),
        (lambda: per_resident([1], [np.nan]), "no NaN"),
        (lambda: per_resident([1], [1], at_least=0), "more than 0 residents"),
        (lambda: per_km2([1], [-1]), "inside_m2"),
    ],
)
def test_bad_input_is_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
