"""Delays of reporting and kinds of days: what was put in is found again."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import reporting
from gis.reporting import completeness, day_rates, nowcast
from gis.surges import surges

DELAYS = np.array([0.4, 0.3, 0.2, 0.1])


def reports(rng, periods=60, mean=50.0, level=None):
    """Events with delays, of which those are known that are reported by the last period."""
    means = np.full(periods, mean) if level is None else level
    happened = np.repeat(np.arange(periods), rng.poisson(means))
    delay = rng.choice(len(DELAYS), len(happened), p=DELAYS)
    known = happened + delay < periods
    return happened, delay, known


def test_delays_are_found_though_recent_long_ones_are_missing():
    rng = np.random.default_rng(1)
    # Growth makes recent events, and so short delays, too many among those known.
    happened, delay, known = reports(rng, level=30 * np.exp(np.arange(60) / 15))
    share = completeness(happened[known], delay[known], now=59, longest=5)
    np.testing.assert_allclose(share, [0.4, 0.7, 0.9, 1, 1, 1], atol=0.03)
    naive = (delay[known] == 0).mean()
    assert abs(share[0] - 0.4) < abs(naive - 0.4)


def test_a_nowcast_covers_what_comes():
    rng = np.random.default_rng(2)
    inside, bias = [], []
    for _ in range(150):
        happened, delay, known = reports(rng)
        found = nowcast(happened[known], delay[known], now=59, longest=4)
        truth = np.bincount(happened, minlength=60)
        np.testing.assert_array_equal(found.expected[:56], truth[:56])
        inside.append((found.low[-3:] <= truth[-3:]) & (truth[-3:] <= found.high[-3:]))
        bias.append(found.expected[-1] - truth[-1])
    assert np.mean(inside) > 0.9
    assert abs(np.mean(bias)) < 3


def test_a_week_that_is_half_reported_is_held_to_half():
    rng = np.random.default_rng(3)
    weeks = np.arange("2019-01-07", "2025-12-01", 7, dtype="datetime64[D]")
    happened, delay, known = reports(rng, len(weeks), 40.0)
    share = completeness(happened[known], delay[known], len(weeks) - 1, 4)
    counts = np.bincount(happened[known], minlength=len(weeks))
    exposure = share[np.minimum(len(weeks) - 1 - np.arange(len(weeks)), 4)]
    plain, corrected = (surges(counts[None], weeks, exposure=e) for e in (None, exposure))
    assert plain.p[0] > 0.95
    assert 0.02 < corrected.p[0] < 0.98
    assert corrected.expected[0] == pytest.approx(16, rel=0.2)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), longest=st.integers(0, 8))
def test_completeness_rises_to_one(seed, longest):
    rng = np.random.default_rng(seed)
    happened, delay, known = reports(rng, 20, 20.0)
    share = completeness(happened[known], delay[known], 19, longest)
    assert len(share) == longest + 1
    assert (np.diff(share) >= -1e-12).all()
    assert share[-1] == 1
    assert (share >= 0).all()


def test_days_of_a_kind_are_told_from_busy_weeks():
    rng = np.random.default_rng(4)
    kind = np.tile([0, 0, 0, 0, 0, 1, 1], 60)
    kind[140:147] = 2  # a week off, in a season that is busy in itself
    true = np.array([1.3, 0.5, 0.2])
    level = 200 * np.exp(np.sin(np.arange(len(kind)) / 60))
    rate = day_rates(rng.poisson(level * true[kind]), kind)
    assert rate.mean() == pytest.approx(1)
    assert rate[0] / rate[5] == pytest.approx(1.3 / 0.5, rel=0.03)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (([1] * 40, [-1] * 40, 5, 2), "before it happened"),
        (([5] * 40, [1] * 40, 5, 2), "from after period 5"),
        (([1] * 9, [1] * 9, 5, 2), "9 reports are too few"),
        (([1] * 40, [1], 5, 2), "one number each"),
    ],
)
def test_delays_that_cannot_be_are_refused(task, sentence):
    with pytest.raises(ValueError, match=sentence):
        completeness(*task)


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (([1.0], [0, 1]), "one number each"),
        (([1.0, np.nan], [0, 0]), "known and 0 or more"),
        (([1.0, 0.0], [0, 1]), "nothing was ever counted"),
    ],
)
def test_days_that_cannot_be_are_refused(task, sentence):
    with pytest.raises(ValueError, match=sentence):
        day_rates(*task)


def test_examples():
    assert doctest.testmod(reporting).failed == 0
