"""What is expected follows what was, and never what came after."""

import numpy as np
import pytest
import shapely

from gis.backtesting import METHODS, backtest, rolling
from gis.forecasting import Events, fit, forecast, kernel_density
from gis.scoring import score
from gis.squares import Squares

SIDE_M = 150.0
CELLS = Squares.over(np.array([shapely.box(0, 0, 40 * SIDE_M, 30 * SIDE_M)]), SIDE_M)
DAYS, AHEAD = 120.0, 30.0


def city(seed=7, days=DAYS + AHEAD):
    """Some hot places, of two kinds: what lasts, and what does not come again; and noise."""
    rng = np.random.default_rng(seed)
    hot = CELLS.centres_xy_m[rng.choice(len(CELLS), 25, replace=False)]
    lasting = hot[rng.integers(0, 25, 900)] + rng.normal(0, 60, (900, 2))
    passing = rng.uniform((0, 0), (40 * SIDE_M, 30 * SIDE_M), (1500, 2))
    xy_m = np.concatenate([lasting, passing])
    kind = np.repeat([0, 1], [900, 1500])
    return xy_m, rng.uniform(0, days, len(xy_m)), kind


@pytest.fixture(scope="module")
def events():
    return Events.of(CELLS, *city())


def test_the_future_is_never_looked_at(events):
    changed = np.where(events.day < DAYS, events.day, events.day + 1)
    other = Events(
        np.where(events.day < DAYS, events.cell, 0), np.where(events.day < DAYS, events.fine, 0),
        changed, events.kind, 0,
    )  # fmt: skip
    for made in (
        lambda e: fit(e, CELLS, DAYS, AHEAD).weights,
        lambda e: forecast(e, CELLS, DAYS, AHEAD, fit(e, CELLS, DAYS, AHEAD)),
        lambda e: kernel_density(e, CELLS, DAYS, 150),
    ):
        assert np.array_equal(made(events), made(other))


def test_it_is_about_as_much_as_comes_and_better_than_plain_counts(events):
    parameters = fit(events, CELLS, DAYS, AHEAD)
    made = forecast(events, CELLS, DAYS, AHEAD, parameters)
    came = events.between(DAYS, DAYS + AHEAD)
    assert (made > 0).all()
    assert made.sum() == pytest.approx(len(came), rel=0.15)
    happened = came.counts(CELLS)
    plain = score(events.between(0, DAYS).counts(CELLS), happened, CELLS.area_m2, 0.05)
    assert score(made, happened, CELLS.area_m2, 0.05).pai > plain.pai


def test_a_kind_that_comes_again_weighs_more(events):
    parameters = fit(events, CELLS, DAYS, AHEAD)
    of_kind = dict(zip(parameters.kinds.tolist(), parameters.weights[6:], strict=False))
    assert of_kind[0] > of_kind[1]


def test_what_came_lately_counts_more_where_trouble_moves():
    """Places are hot for ten days only; the same places in the wrong order would not be."""
    rng = np.random.default_rng(3)
    day = rng.uniform(0, DAYS + 10, 4000)
    place = rng.choice(len(CELLS), 200)[(day // 10).astype(int) * 5 + rng.integers(0, 5, 4000)]
    xy_m = CELLS.centres_xy_m[place]
    late = Events.of(CELLS, xy_m, day)
    parameters = fit(late, CELLS, DAYS, 5)
    last = late.between(DAYS - 10, DAYS).counts(CELLS) > 0
    before = (late.between(0, DAYS - 30).counts(CELLS) > 0) & ~last
    made = forecast(late, CELLS, DAYS, 5, parameters)
    assert made[last].mean() > 2 * made[before].mean()


def test_more_days_ahead_are_more_events(events):
    parameters = fit(events, CELLS, DAYS, AHEAD)
    one = forecast(events, CELLS, DAYS, 1, parameters)
    assert forecast(events, CELLS, DAYS, 7, parameters) == pytest.approx(7 * one)


def test_a_kernel_spreads_an_event_to_as_much_as_it_was():
    one = Events.of(CELLS, [CELLS.centres_xy_m[620]], [0.0])
    made = kernel_density(one, CELLS, 1, 200)
    assert made.sum() == pytest.approx(1, abs=1e-4)
    away = np.hypot(*(CELLS.centres_xy_m - CELLS.centres_xy_m[620]).T)
    near = away < 600
    exact = np.exp(-(away[near] ** 2) / 2 / 200**2) * SIDE_M**2 / (2 * np.pi * 200**2)
    assert made[near] == pytest.approx(exact, rel=0.15, abs=2e-3)


def test_one_address_with_thousands_of_reports_leaves_the_rest_as_it_was(events):
    xy_m, day, kind = city()
    rng = np.random.default_rng(5)
    flood = np.tile(CELLS.centres_xy_m[0], (4000, 1))
    flooded = Events.of(
        CELLS, np.concatenate([xy_m, flood]), np.append(day, rng.uniform(0, DAYS + AHEAD, 4000)),
        np.append(kind, np.zeros(4000, int)),
    )  # fmt: skip
    made = forecast(flooded, CELLS, DAYS, AHEAD, fit(flooded, CELLS, DAYS, AHEAD))
    assert np.isfinite(made).all()
    assert np.argmax(made) == 0
    far = np.hypot(*(CELLS.centres_xy_m - CELLS.centres_xy_m[0]).T) > 3000
    came = events.between(DAYS, DAYS + AHEAD).counts(CELLS)[far]
    assert score(made[far], came, CELLS.area_m2[far], 0.05).pai > 3


@pytest.mark.parametrize("count", [1, 2, 5])
def test_hardly_anything_known_is_enough_for_a_guess(count):
    few = Events.of(CELLS, CELLS.centres_xy_m[:count], np.zeros(count))
    made = forecast(few, CELLS, 0.5, 7, fit(few, CELLS, 0.5, 7))
    assert np.isfinite(made).all()
    assert made[:count].min() > made[600:].max()


def test_nothing_known_is_said(events):
    with pytest.raises(ValueError, match="nothing can be learnt"):
        fit(events, CELLS, 0.0, 7)
    with pytest.raises(ValueError, match="above 0"):
        forecast(events, CELLS, DAYS, 0, fit(events, CELLS, DAYS, AHEAD))
    with pytest.raises(ValueError, match="bandwidth is 0 m"):
        kernel_density(events, CELLS, DAYS, 0)
    with pytest.raises(ValueError, match="a time in days"):
        Events.of(CELLS, [[1, 1]], [np.nan])


def test_events_outside_are_counted_and_left_out():
    some = Events.of(CELLS, [[10, 10], [-500, 10]], [0, 0])
    assert (len(some), some.outside) == (1, 1)


def test_a_backtest_has_a_row_for_each_method_share_and_period(events):
    periods = rolling(0, DAYS, 40)
    assert periods == [(40, 80), (80, 120)]
    rows = backtest(events, CELLS, [*periods, (1000, 1010)])
    assert len(rows) == 2 * 2 * len(METHODS)  # nothing happened in the third
    for row in rows:
        assert row.pai[0] <= row.score.pai <= row.pai[1]
        assert len(events.between(row.start, row.end)) == row.score.N
