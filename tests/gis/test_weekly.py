"""A week held to a past of any length."""

import numpy as np
import pytest

from gis import surges, weekly


def weeks(number: int) -> np.ndarray:
    return np.datetime64("2024-01-01") + 7 * np.arange(number)


def steady(number: int, last: float, mean: float = 5) -> np.ndarray:
    counts = np.random.default_rng(3).poisson(mean, (1, number)).astype(float)
    counts[0, -1] = last
    return counts


@pytest.mark.parametrize("number", [8, 20, 54, 60, 120])
def test_a_surge_stands_out_and_a_usual_week_does_not(number: int) -> None:
    high, low = (weekly.judge(steady(number, last), weeks(number)) for last in (30, 5))
    assert high.surge.tolist() == [True] and high.p[0] < 1e-4 and high.score[0] > 1
    assert low.surge.tolist() == [False] and low.p[0] > 0.1
    assert high.expected[0] == pytest.approx(5, abs=2.5)


def test_from_a_year_on_it_is_the_regression() -> None:
    assert weekly.longest(weeks(50)) is None
    method = weekly.longest(weeks(120))
    assert method is not None and method.years == 2
    counts = steady(120, 12)
    expected = surges.surges(counts, weeks(120), method=method)
    assert weekly.judge(counts, weeks(120)).p.tolist() == expected.p.tolist()


def test_a_surge_that_has_begun_is_not_taken_for_usual() -> None:
    counts = steady(20, 25)
    before = weekly.judge(counts, weeks(20))
    counts[0, -5:-1] = 25
    after = weekly.judge(counts, weeks(20))
    assert after.expected == before.expected and after.surge.all()


def test_what_comes_in_bursts_is_no_surge() -> None:
    counts = np.tile([0.0, 0, 0, 24], 6)[None, :]
    found = weekly.judge(counts, weeks(24))
    assert not found.surge.any() and found.p[0] > 0.005 and found.dispersion[0] > 10
    counts[0, -1] = 240
    assert weekly.judge(counts, weeks(24)).p[0] < 1e-3  # but no number is too high to stand out


def test_what_is_not_known_is_not_judged() -> None:
    counts = np.vstack([steady(20, np.nan), np.full(20, np.nan), steady(20, 5)])
    counts[2, 3] = np.nan
    found = weekly.judge(counts, weeks(20))
    assert found.basis.tolist() == ["none", "none", "few"]
    assert np.isnan(found.p).tolist() == [True, True, False]


def test_few_false_ones_among_usual_weeks_without_seasons() -> None:
    counts = np.random.default_rng(8).poisson(4, (4000, 26))
    assert (weekly.judge(counts, weeks(26)).p <= 0.01).mean() <= 0.012


@pytest.mark.parametrize("wrong", [np.ones((1, 7)), np.ones((1, 9)), -np.ones((1, 10))])
def test_what_cannot_be_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"too few|a row per series"):
        weekly.judge(wrong, weeks(7 if wrong.shape[1] == 7 else 10))
