"""The false discovery rate held to a worked case and to esda."""

import doctest

import numpy as np
import pytest
from esda import fdr
from hypothesis import given
from hypothesis import strategies as st

from gis import multiple_testing
from gis.multiple_testing import q_values

some_p = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)


def test_the_examples_run():
    assert doctest.testmod(multiple_testing).failed == 0


def test_a_worked_case():
    # 0.010 * 4 / 1, 0.020 * 4 / 2, 0.030 * 4 / 3 are all 0.04; the harmonic sum of 4 is 25 / 12.
    p = [0.5, 0.03, 0.01, 0.02]
    np.testing.assert_allclose(q_values(p), [0.5, 0.04, 0.04, 0.04])
    np.testing.assert_allclose(q_values(p, "by"), [1, 1 / 12, 1 / 12, 1 / 12])


@given(some_p, st.sampled_from([0.01, 0.05, 0.1]))
def test_discoveries_are_those_below_the_cut_off_of_esda(p, level):
    np.testing.assert_array_equal(q_values(p) < level, p < fdr(p, level))


@given(some_p, st.sampled_from(["bh", "by"]), st.data())
def test_q_keeps_the_order_and_never_rises_when_a_p_falls(p, correction, data):
    q = q_values(p, correction)
    assert (q >= p - 1e-12).all() and (q <= 1).all()
    assert (np.diff(q[np.argsort(p, kind="stable")]) >= 0).all()
    at = data.draw(st.integers(0, len(p) - 1))
    smaller = p.copy()
    smaller[at] *= data.draw(st.floats(0, 1))
    assert (q_values(smaller, correction) <= q + 1e-12).all()


def test_what_was_not_tested_does_not_count():
    np.testing.assert_allclose(q_values([0.02, np.nan, 0.5]), [0.04, np.nan, 0.5])
    assert np.isnan(q_values([np.nan, np.nan])).all()
    assert len(q_values([])) == 0


@pytest.mark.parametrize(
    ("p", "correction", "sentence"),
    [
        ([0.1, 1.5], "bh", "1.5 is no p-value"),
        ([0.1, -0.1], "bh", "-0.1 is no p-value"),
        ([[0.1]], "bh", "flat array"),
        ([0.1], "holm", "no correction 'holm'"),
    ],
)
def test_bad_input_is_named(p, correction, sentence):
    with pytest.raises(ValueError, match=sentence):
        q_values(p, correction)
