"""Forecasts for a city of full size on arrays: 1.2 million events of 13 months, 100,000 cells."""

import numpy as np
import shapely

from gis.backtesting import backtest
from gis.forecasting import Events, fit, forecast
from gis.patrols import patrols
from gis.squares import Squares
from layers import console
from tests.bench.setting import SEED, timed

EVENTS, DAYS, AHEAD, KINDS, PATROLS = 1_200_000, 395.0, 30.0, 40, 200
SIDE_M = 47_500.0


def run(_rows: int) -> None:
    """Print seconds of each step from points to a plan."""
    rng = np.random.default_rng(SEED)
    city = np.array([shapely.box(0, 0, SIDE_M, SIDE_M)], dtype=object)
    xy_m, day, kind = _events(rng)
    with timed() as cut:
        cells = Squares.over(city)
    with timed() as put:
        events = Events.of(cells, xy_m, day, kind)
    origin = DAYS - AHEAD
    with timed() as learnt:
        parameters = fit(events, cells, origin, AHEAD)
    with timed() as made:
        expected = forecast(events, cells, origin, AHEAD, parameters)
    with timed() as planned:
        patrols(expected, cells, PATROLS)
    with timed() as scored:
        backtest(events, cells, [(origin, DAYS)])
    console.pairs(
        f"forecast from {len(events):,} events in {len(cells):,} cells",
        [
            ("the city cut into cells", f"{cut():.2f} s"),
            ("events put into cells", f"{put():.2f} s"),
            ("weights from trial forecasts", f"{learnt():.2f} s"),
            ("what is to be expected", f"{made():.2f} s"),
            (f"{PATROLS} patrols", f"{planned():.2f} s"),
            ("all methods scored on a month", f"{scored():.2f} s"),
        ],
    )


def _events(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half of them at some thousand places of very different heat, half anywhere."""
    half = EVENTS // 2
    places, heat = rng.uniform(0, SIDE_M, (5000, 2)), rng.pareto(1.2, 5000)
    hot = places[rng.choice(5000, half, p=heat / heat.sum())] + rng.normal(0, 80, (half, 2))
    xy_m = np.concatenate([hot, rng.uniform(0, SIDE_M, (EVENTS - half, 2))])
    return xy_m, rng.uniform(0, DAYS, EVENTS), rng.integers(0, KINDS, EVENTS)
