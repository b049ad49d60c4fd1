"""Forecasts made from past origins and scored on what happened next, beside plain baselines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gis.forecasting import Events, fit, forecast, kernel_density
from gis.plane import Floats
from gis.scoring import Score, intervals, score, taken
from gis.squares import Squares

SHARES = (0.01, 0.05)
BANDWIDTH_M = 150.0
METHODS = ("mixture", "counts", "last period", "kernel")
"""Ours (`gis.forecasting`); all earlier events of the cell; those of as long a time just before;
the kernel density of all earlier events."""


@dataclass(frozen=True)
class Row:
    """How one method did in one period at one share of the area.

    Attributes
    ----------
    start, end : float
        The period that was forecast from its start, in the events' days.
    method : str
        One of `METHODS`.
    score : Score
        With share, n, N, PAI, PEI*.
    pai : (float, float)
        Bounds of the PAI over days drawn anew (95 %).
    lead : (float, float)
        Bounds of the PAI of the mixture minus this one's, over the same draws.
    """

    start: float
    end: float
    method: str
    score: Score
    pai: tuple[float, float]
    lead: tuple[float, float]


def rolling(start: float, end: float, length: float, most: int = 6) -> list[tuple[float, float]]:
    """Periods of a length (days) that end one after another at `end`, in order of time.

    Before the first there is at least as much as a period.

    Examples
    --------
    >>> rolling(0.0, 59.0, 14.0)
    [(17.0, 31.0), (31.0, 45.0), (45.0, 59.0)]
    """
    count = min(most, int((end - start) / length + 1e-9) - 1)
    return [(end - length * back, end - length * (back - 1)) for back in range(count, 0, -1)]


def backtest(
    events: Events,
    cells: Squares,
    periods: Sequence[tuple[float, float]],
    *,
    shares: Sequence[float] = SHARES,
    bandwidth_m: float = BANDWIDTH_M,
) -> list[Row]:
    """Forecast each period by each method from what was known at its start, and score it.

    Parameters
    ----------
    events, cells
        See `gis.forecasting`.
    periods : sequence of (float, float)
        Start and end in the events' days.
    shares : sequence of float
        Shares of the area, above 0 and at most 1.
    bandwidth_m : float
        Of the baseline by kernel density.

    Returns
    -------
    list of Row
        By period, share and method. A period in which nothing happened has no rows: no forecast
        of it can be scored.

    Raises
    ------
    ValueError
        Nothing is known before a period.
    """
    rows = []
    for start, end in periods:
        made = [_MAKE[name](events, cells, start, end, bandwidth_m) for name in METHODS]
        came = events.between(start, end)
        if not len(came):
            continue
        happened = came.counts(cells)
        for share in shares:
            parts = np.array([taken(each, cells.area_m2, share) for each in made])
            caught, lead = (
                bounds / share for bounds in intervals(parts, came.cell, came.day - start)
            )
            rows += [
                Row(
                    start, end, name, score(each, happened, cells.area_m2, share),
                    (float(pai[0]), float(pai[1])), (float(ahead[0]), float(ahead[1])),
                )
                for name, each, pai, ahead in zip(METHODS, made, caught, lead, strict=True)
            ]  # fmt: skip
    return rows


def _mixture(events: Events, cells: Squares, start: float, end: float, _: float) -> Floats:
    return forecast(events, cells, start, end - start, fit(events, cells, start, end - start))


def _counts(events: Events, cells: Squares, start: float, _end: float, _: float) -> Floats:
    return events.between(-np.inf, start).counts(cells)


def _last_period(events: Events, cells: Squares, start: float, end: float, _: float) -> Floats:
    return events.between(2 * start - end, start).counts(cells)


def _kernel(events: Events, cells: Squares, start: float, _: float, bandwidth_m: float) -> Floats:
    return kernel_density(events, cells, start, bandwidth_m)


_MAKE: dict[str, Callable[[Events, Squares, float, float, float], Floats]] = dict(
    zip(METHODS, (_mixture, _counts, _last_period, _kernel), strict=True)
)
