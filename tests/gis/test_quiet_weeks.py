"""Quiet weeks, simulated: they look like the series, and the cautious method keeps quiet."""

import doctest

import numpy as np

from gis import quiet_weeks as module
from gis.quiet_weeks import quiet_weeks, simulate, usual_course
from gis.surges import Method

WEEKS = np.arange("2019-01-07", "2025-12-01", 7, dtype="datetime64[D]")


def city(series=150, seed=4):
    rng = np.random.default_rng(seed)
    season = np.exp(0.4 * np.sin(np.arange(len(WEEKS)) / 52.18 * 2 * np.pi))
    mean = np.exp(rng.uniform(-1, 3, (series, 1))) * season
    return simulate(rng, mean, rng.choice([1.0, 2.0], series)), mean


def test_the_usual_course_is_found_and_simulated():
    rng = np.random.default_rng(1)
    mean = 20 * np.exp(0.4 * np.sin(np.arange(len(WEEKS)) / 52.18 * 2 * np.pi))
    counts = simulate(rng, np.tile(mean, (200, 1)), np.full(200, 3.0))
    np.testing.assert_allclose(counts.mean(axis=0), mean, rtol=0.2)
    assert 2.7 < np.mean((counts - mean) ** 2 / mean) < 3.3
    fitted, dispersion = usual_course(counts, WEEKS)
    np.testing.assert_allclose(fitted.mean(axis=0), mean, rtol=0.03)
    assert 2.8 < dispersion.mean() < 3.2


def test_false_warnings_are_counted():
    counts, _ = city()
    cautious = quiet_weeks(counts, WEEKS, rounds=3)
    hasty = quiet_weeks(
        counts, WEEKS, rounds=3, rate=0.9, method=Method(reweight_from=1.0, alpha=0.05)
    )
    assert cautious.warnings <= 0.4 < 1 < hasty.warnings
    assert cautious.simulated == 3


def test_rounds_are_told_and_repeat():
    counts, _ = city(20)
    told = []
    one = quiet_weeks(counts, WEEKS, rounds=3, progress=lambda *n: told.append(n))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert one == quiet_weeks(counts, WEEKS, rounds=3)


def test_examples():
    assert doctest.testmod(module).failed == 0
