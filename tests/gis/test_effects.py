"""Effects beside matched controls: found where planted, with intervals that cover."""

import doctest

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import effects
from gis.effects import EffectError, effect

START = 26


def city(rng, areas=40, periods=34, between=0.0, change=0.9):
    """Counts with common ups and downs and with areas' own changes; the first four are like
    others."""
    level = np.exp(rng.uniform(2, 4, areas))
    common = np.exp(0.3 * np.sin(np.arange(periods) / 5))
    mean = level[:, None] * common
    mean[:, START:] *= change * np.exp(rng.normal(0, between, (areas, 1)))
    return mean


def treat(mean, ratio, areas=4):
    mean[:areas, START:] *= ratio
    return mean, np.arange(len(mean)) < areas


def test_the_effect_is_that_of_the_poisson_regression():
    rng = np.random.default_rng(1)
    mean, treated = treat(city(rng), 0.5)
    counts = rng.poisson(mean)
    found = effect(counts, treated, START, each=2)
    rows = np.concatenate([np.flatnonzero(treated), found.controls])
    n, t = len(rows), counts.shape[1]
    area, period = np.divmod(np.arange(n * t), t)
    design = np.column_stack([
        np.eye(n)[area], np.eye(t)[period][:, 1:], treated[rows][area] & (period >= START)
    ]).astype(float)  # fmt: skip
    fit = sm.GLM(counts[rows].ravel(), design, family=sm.families.Poisson()).fit()
    assert found.effect == pytest.approx(np.expm1(fit.params[-1]), rel=1e-6)
    pearson = fit.pearson_chi2 / fit.df_resid
    assert found.dispersion == pytest.approx(max(pearson, 1), rel=0.1)


def test_changes_are_those_of_the_counts():
    counts = np.full((30, 14), 50.0)
    counts[:2, :12] = 1760 / 24
    counts[:2, 12:] = 372 / 4 * 1.0
    found = effect(counts, np.arange(30) < 2, 12)
    assert found.control_change == 0
    assert found.treated_change == found.effect == pytest.approx(372 / 4 / (1760 / 24) - 1)


def test_what_changed_everywhere_is_no_effect():
    rng = np.random.default_rng(2)
    mean, treated = treat(city(rng, change=0.2), 1.0)
    found = effect(rng.poisson(mean), treated, START)
    assert found.treated_change < -0.7
    assert found.low < 0 < found.high
    assert found.p > 0.05 < found.placebo_p


@pytest.mark.parametrize(("areas", "between"), [(1, 0.0), (1, 0.25), (5, 0.25)])
def test_intervals_cover_and_effects_are_found(areas, between):
    rng = np.random.default_rng(3)
    covered, missed, sure, placebo = 0, 0, 0, []
    runs = 120
    for _ in range(runs):
        mean, treated = treat(city(rng, between=between), 0.7, areas)
        found = effect(rng.poisson(mean), treated, START)
        covered += found.low <= -0.3 <= found.high
        missed += not found.low < found.effect < found.high
        mean, treated = treat(city(rng, between=between), 1.0, areas)
        quiet = effect(rng.poisson(mean), treated, START)
        sure += quiet.p <= 0.05
        placebo.append(quiet.placebo_p)
    assert covered / runs > 0.89
    assert sure / runs < 0.11
    assert not missed
    assert np.mean(np.array(placebo) <= 0.1) < 0.2


def test_a_strong_effect_is_sure_and_stands_out_among_placebos():
    rng = np.random.default_rng(4)
    mean, treated = treat(city(rng, between=0.1), 0.3)
    found = effect(rng.poisson(mean), treated, START)
    assert found.p < 0.001
    assert found.placebo_p == pytest.approx(1 / 37)
    assert found.high < -0.5


def test_controls_ran_alike_before():
    rng = np.random.default_rng(5)
    mean = np.full((60, 34), 30.0)
    mean[:, :] *= np.where(np.arange(60) % 2, np.linspace(0.4, 1.6, 34)[:, None], 1.0).T
    mean[40:] *= 10
    found = effect(rng.poisson(mean), np.arange(60) == 2, START, each=10)
    assert (found.controls < 40).all()
    assert (found.controls % 2 == 0).sum() >= 9
    assert (np.diff(found.distances) >= 0).all()
    assert found.pre_fit < 0.3


def test_areas_that_did_not_run_alike_are_not_parallel():
    rng = np.random.default_rng(6)
    mean, treated = treat(city(rng), 1.0)
    assert effect(rng.poisson(mean), treated, START).parallel
    mean[:4] *= np.exp(np.arange(34) * 0.04)
    found = effect(rng.poisson(mean), treated, START)
    assert not found.parallel
    assert found.drift == pytest.approx(0.04, abs=0.015)


def test_neighbours_and_other_levels_are_left_out():
    rng = np.random.default_rng(7)
    mean, treated = treat(city(rng), 0.5, 2)
    level = np.array(["village"] * 20 + ["town"] * 20)
    found = effect(
        rng.poisson(mean), treated, START, level=level, adjacent=[[0, 5], [6, 1], [8, 9]], each=40
    )
    assert sorted(found.controls) == [2, 3, 4, *range(7, 20)]


def test_nothing_left_is_all_gone_with_an_interval():
    rng = np.random.default_rng(8)
    mean, treated = treat(city(rng), 0.0)
    found = effect(rng.poisson(mean), treated, START)
    assert found.effect == -1
    assert -1 < found.low < found.high < -0.9


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), factor=st.integers(2, 5))
def test_more_of_the_same_everywhere_afterwards_changes_no_effect(seed, factor):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(city(rng))
    treated = np.arange(40) < 3
    scaled = counts.copy()
    scaled[:, START:] *= factor
    one, other = effect(counts, treated, START), effect(scaled, treated, START)
    assert other.effect == pytest.approx(one.effect, abs=1e-9)
    assert other.controls.tolist() == one.controls.tolist()


GOOD = np.full((20, 12), 9.0)


@pytest.mark.parametrize(
    ("counts", "treated", "start", "more", "sentence"),
    [
        (GOOD, [False] * 20, 8, {}, "no area is treated"),
        (GOOD, np.arange(20) < 16, 8, {}, "4 areas to compare with and 5 are needed"),
        (GOOD, np.arange(20) < 1, 12, {}, "no period after the measure yet"),
        (GOOD, np.arange(20) < 1, 3, {}, "3 periods before the measure are too few"),
        (GOOD * 0, np.arange(20) < 1, 8, {}, "0 events in the areas treated"),
        (GOOD * np.nan, np.arange(20) < 1, 8, {}, "every count has to be known"),
        (GOOD, [True], 8, {}, "one yes or no for each"),
        (GOOD, np.arange(20) < 1, 8, {"level": ["a"]}, "one value for each"),
        (
            np.where(np.arange(12) < 8, GOOD, 0), np.arange(20) < 1, 8, {},
            "0 events in the control areas after",
        ),
        (
            np.where(np.arange(12) % 4 == 0, GOOD * 9, 0), np.arange(20) < 1, 8, {},
            "too few of the periods",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_with_a_sentence(counts, treated, start, more, sentence):
    with pytest.raises(EffectError, match=sentence):
        effect(counts, treated, start, **more)


def test_three_events_are_too_few():
    counts = GOOD.copy()
    counts[0] = [1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]
    with pytest.raises(EffectError, match="3 events in the areas treated before"):
        effect(counts, np.arange(20) < 1, 8)


def test_examples():
    assert doctest.testmod(effects).failed == 0
