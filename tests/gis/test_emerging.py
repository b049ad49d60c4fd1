"""Patterns of hotspots held to histories made by hand, and the trend to its definition."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, norm

from gis import emerging as module
from gis.emerging import Pattern, emerging, mann_kendall, patterns
from gis.lattice import Reason
from tests.gis.lattices import queen

SIDE = 20
SPOT = np.zeros((SIDE, SIDE), bool)
SPOT[8:12, 8:12] = True


def history(text):
    """H hot, C cold, . neither; the earliest first."""
    return np.array([[c == "H" for c in text]]), np.array([[c == "C" for c in text]])


def city(heights, mean=5, seed=0):
    """Counts (cells, periods) of an even city with one spot that is so much higher each period."""
    rng = np.random.default_rng(seed)
    base = rng.poisson(mean, (SIDE**2, len(heights)))
    return base + SPOT.ravel()[:, None] * np.array(heights)


def test_the_examples_run():
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "trend", "pattern"),
    [
        ("..........", 0, Pattern.NONE),
        (".........H", 0, Pattern.NEW),
        ("CCC......H", 1, Pattern.NEW),
        (".......HHH", 0, Pattern.CONSECUTIVE),
        ("C......HHH", 0, Pattern.CONSECUTIVE),
        (".HHHHHHHHH", 1, Pattern.GROWING),
        ("HHHHHHHHHH", 1, Pattern.GROWING),
        ("HHHHH.HHHH", 0, Pattern.PERSISTENT),
        ("HHHHHHHHHH", -1, Pattern.FADING),
        (".H..HH...H", 1, Pattern.SPORADIC),
        ("HHHHHHH..H", 0, Pattern.SPORADIC),
        (".H..CC...H", 0, Pattern.OSCILLATING),
        ("HHHHHHHHH.", -1, Pattern.HISTORICAL),
        ("HHHHHHHH..", -1, Pattern.NONE),
        ("CCCCCCCCCC", 1, Pattern.NONE),
        ("HH", 0, Pattern.PERSISTENT),
        (".H", 0, Pattern.NEW),
        ("H.", 0, Pattern.NONE),
    ],
)
def test_each_history_has_its_name(text, trend, pattern):
    hot, cold = history(text)
    assert patterns(hot, cold, [trend]).tolist() == [pattern]


@given(st.lists(st.text("H.C", min_size=6, max_size=6), min_size=1), st.integers(-1, 1))
def test_only_a_spot_of_the_last_period_has_a_name_or_a_long_past(texts, trend):
    hot, cold = (np.concatenate(side) for side in zip(*map(history, texts), strict=True))
    named = patterns(hot, cold, np.full(len(texts), trend))
    assert ((named != Pattern.NONE) & (named != Pattern.HISTORICAL)).tolist() == hot[:, -1].tolist()
    assert ((named > 0) & (patterns(cold, hot, -trend * np.ones(len(texts))) > 0)).sum() == 0


@given(st.lists(st.lists(st.integers(0, 6), min_size=7, max_size=7), min_size=1, max_size=5))
def test_the_trend_is_kendalls(rows):
    series = np.array(rows, dtype=float)
    tau, p = mann_kendall(series)
    for i, row in enumerate(series):
        pairs = [np.sign(row[b] - row[a]) for a in range(7) for b in range(a + 1, 7)]
        score = sum(pairs)
        groups = np.unique(row, return_counts=True)[1]
        variance = (7 * 6 * 19 - (groups * (groups - 1) * (2 * groups + 5)).sum()) / 18
        assert tau[i] == pytest.approx(score / 21)
        if variance > 0 and score != 0:
            z = (abs(score) - 1) / np.sqrt(variance)
            assert p[i] == pytest.approx(2 * norm.sf(z))
        else:
            assert p[i] == pytest.approx(1)


def test_the_trend_agrees_with_scipy_and_passes_over_gaps():
    rng = np.random.default_rng(1)
    series = rng.normal(size=(20, 24)) + np.linspace(0, 1.5, 24)
    tau, p = mann_kendall(series)
    theirs = [kendalltau(np.arange(24), row, method="asymptotic") for row in series]
    np.testing.assert_allclose(tau, [t.statistic for t in theirs])
    np.testing.assert_allclose(p, [t.pvalue for t in theirs], atol=0.03)  # theirs not continuous
    gaps = np.insert(series, [0, 5, 24], np.nan, axis=1)
    np.testing.assert_allclose(mann_kendall(gaps), (tau, p))
    assert np.isnan(mann_kendall([[np.nan, 1.0, np.nan]])).all()


@pytest.mark.parametrize(
    ("heights", "pattern"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 25], Pattern.NEW),
        ([0, 0, 0, 0, 0, 0, 0, 25, 25, 25], Pattern.CONSECUTIVE),
        ([6, 8, 10, 13, 16, 20, 25, 32, 40, 50], Pattern.GROWING),
        ([50, 40, 32, 25, 20, 16, 13, 10, 8, 6], Pattern.FADING),
        ([40, 15, 40, 15, 40, 15, 40, 15, 40, 15], Pattern.PERSISTENT),
        ([25, 0, 25, 0, 0, 25, 0, 0, 0, 25], Pattern.SPORADIC),
        ([25, 25, 25, 25, 25, 25, 25, 25, 25, 0], Pattern.HISTORICAL),
        ([0] * 10, Pattern.NONE),
    ],
)
def test_a_spot_in_an_even_city_is_named(heights, pattern):
    found = emerging(city(heights), queen(SIDE, SIDE))
    core = found.pattern.reshape(SIDE, SIDE)[9:11, 9:11]
    assert (core == pattern).all()
    far = np.ones((SIDE, SIDE), bool)
    far[6:14, 6:14] = False
    assert (found.pattern.reshape(SIDE, SIDE)[far] != 0).mean() < 0.02


def test_a_cold_spot_has_the_negative():
    counts = city([0] * 10, mean=30)
    counts[SPOT.ravel(), -1] = 1
    found = emerging(counts, queen(SIDE, SIDE))
    assert (found.pattern.reshape(SIDE, SIDE)[9:11, 9:11] == -Pattern.NEW).all()
    assert (found.cold.reshape(SIDE, SIDE)[9:11, 9:11] == 1).all()


def test_a_period_with_next_to_nothing_is_not_tested():
    counts = city([25, 25, 25, 25])
    counts[:, 2] = 0
    counts[0, 2] = 3
    found = emerging(counts, queen(SIDE, SIDE))
    assert (found.reason[:, 2] == Reason.FEW_IN_ALL).all()
    assert not found.band[:, 2].any()
    assert np.isnan(found.q[:, 2]).all()
    assert (found.pattern.reshape(SIDE, SIDE)[9:11, 9:11] == Pattern.SPORADIC).all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"values": np.ones(4)}, "at least 2 periods"),
        ({"values": np.ones((4, 1))}, "at least 2 periods"),
        ({"events": np.ones((4, 2))}, "events must be"),
        ({"least_band": 0}, "least_band"),
        ({"neighbours": np.ones((3, 3))}, "4 cells"),
    ],
)
def test_bad_input_is_named(change, sentence):
    call = {"values": np.ones((4, 3)), "neighbours": np.ones((4, 4))} | change
    with pytest.raises(ValueError, match=sentence):
        emerging(**call)


def test_series_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="1 dimensions"):
        mann_kendall([1.0, 2.0])
