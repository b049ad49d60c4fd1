"""False warnings among many series: rates held to simulation and to scipy."""

import doctest

import numpy as np
import pytest
from scipy import stats

from gis import multiplicity
from gis.multiple_testing import q_values
from gis.multiplicity import false_warnings


@pytest.mark.parametrize(("tests", "rate"), [(1, 0.3), (2, 0.3), (7, 0.2), (300, 0.1)])
def test_false_warnings_in_quiet_weeks_are_as_stated(tests, rate):
    rng = np.random.default_rng(tests)
    weeks = 20_000
    p = np.sort(rng.random((weeks, tests)), axis=1)
    line = rate * np.arange(1, tests + 1) / tests
    number = ((p <= line) * np.arange(1, tests + 1)).max(axis=1)
    told = false_warnings(tests, rate)
    assert told.in_quiet_weeks == pytest.approx(number.mean(), abs=0.012)
    assert told.chance_in_quiet_weeks == pytest.approx((number > 0).mean(), abs=0.012)


def test_among_true_surges_the_share_of_false_warnings_is_bounded():
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(300):
        p = rng.random(500)
        p[:50] = stats.norm.sf(rng.normal(3.5, 1, 50))
        warned = q_values(p) <= 0.1
        shares.append(warned[50:].sum() / max(warned.sum(), 1))
    assert 0.07 < np.mean(shares) < 0.11


@pytest.mark.parametrize("given", [(0, 0.1), (5, 0.0), (5, 0.1, 6)])
def test_rates_that_mean_nothing_are_refused(given):
    with pytest.raises(ValueError, match="at least one test"):
        false_warnings(*given)


def test_examples():
    assert doctest.testmod(multiplicity).failed == 0
