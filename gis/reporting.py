"""How much of what happened is reported yet, and how much is reported on which kind of day.

Both are exposures for `gis.surges`: a week of which two thirds are reported is held to two thirds
of the usual, and a week with three days off to what is reported on three such days.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEWEST = 30  # reports, below which delays are not estimated


@dataclass(frozen=True, eq=False)
class Nowcast:
    """Counts as they will be, from those known today.

    Attributes
    ----------
    known : (t,) ndarray
        By period, what is reported so far.
    complete : (t,) ndarray
        The share of each period that is.
    expected, low, high : (t,) ndarray
        What it will come to, with its 95 % interval; `known` where all is reported.
    """

    known: Floats
    complete: Floats
    expected: Floats
    low: Floats
    high: Floats


def completeness(happened: ArrayLike, delay: ArrayLike, now: int, longest: int) -> Floats:
    """The share of events that are reported within 0, 1, ... `longest` periods.

    Estimated from events reported up to now, of which recent ones with long delays are still
    missing: by reversed hazards, the chance that a report which came within d periods came in the
    d-th (Kalbfleisch & Lawless, *Statistica Sinica* 1, 1991; Lawless, *Canadian Journal of
    Statistics* 22, 1994, 15-31).

    Parameters
    ----------
    happened : array_like of int, shape (n,)
        The period in which each event happened.
    delay : array_like of int, shape (n,)
        In how many periods after it was reported.
    now : int
        The last period; reports of which it is not over yet are not among those given.
    longest : int
        Delays over it are taken for exceptions; their events do not count.

    Returns
    -------
    (longest + 1,) ndarray
        Rising to 1.

    Raises
    ------
    ValueError
        Negative delays, reports from the future, or too few reports.

    Examples
    --------
    Half of each day's reports come a day late; those of today (day 9) have not come yet:

    >>> happened = np.repeat(np.arange(10), 8)
    >>> delay = np.tile([0, 0, 0, 0, 1, 1, 1, 1], 10)
    >>> there = happened + delay <= 9
    >>> completeness(happened[there], delay[there], now=9, longest=2).tolist()
    [0.5, 1.0, 1.0]
    """
    when, late = np.asarray(happened, dtype=int), np.asarray(delay, dtype=int)
    if when.shape != late.shape or when.ndim != 1 or longest < 0:
        raise ValueError("happened and delay are one number each per event; longest is 0 or more")
    if (late < 0).any():
        raise ValueError("an event was reported before it happened: correct its times")
    if (when + late > now).any():
        raise ValueError(f"a report comes from after period {now}: give only what is known by then")
    keep = late <= longest
    when, late = when[keep], late[keep]
    if len(when) < FEWEST:
        raise ValueError(f"{len(when)} reports are too few to know delays by; {FEWEST} are needed")
    hazard = np.zeros(longest + 1)
    for d in range(1, longest + 1):
        # Only events whose reports of delay d could have come already.
        able = (late <= d) & (when + d <= now)
        if able.any():
            hazard[d] = (late[able] == d).mean()
    # F(d) is the chance that no later report exceeds d: the product of what is left beyond.
    beyond = np.cumprod((1 - hazard)[::-1])[::-1]
    return np.append(beyond[1:], 1.0)


def nowcast(happened: ArrayLike, delay: ArrayLike, now: int, longest: int) -> Nowcast:
    """What the periods 0 to `now` will come to once all is reported; see `completeness`.

    The interval is that of the missing, negative binomial given those known (Lawless 1994); it
    takes the delays for what they were.

    Examples
    --------
    >>> happened = np.repeat(np.arange(10), 8)
    >>> delay = np.tile([0, 0, 0, 0, 1, 1, 1, 1], 10)
    >>> there = happened + delay <= 9
    >>> found = nowcast(happened[there], delay[there], now=9, longest=2)
    >>> found.known[-2:].tolist(), found.expected[-2:].tolist()
    ([8.0, 4.0], [8.0, 8.0])
    """
    share = completeness(happened, delay, now, longest)
    when = np.asarray(happened, dtype=int)[np.asarray(delay) <= longest]
    if (when < 0).any():
        raise ValueError("periods are counted from 0")
    known = np.bincount(when, minlength=now + 1).astype(float)
    age = np.minimum(now - np.arange(now + 1), longest)
    complete = share[age]
    some = complete > 0
    sure = np.where(some, complete, 1.0)
    missing = [stats.nbinom.ppf(q, known + 1, sure) for q in (0.025, 0.975)]
    low, high = (np.where(some, known + more, np.nan) for more in missing)
    return Nowcast(known, complete, np.where(some, known / sure, np.nan), low, high)


def day_rates(counts: ArrayLike, kind: ArrayLike, rounds: int = 100) -> Floats:
    """How much is reported on each kind of day, whose mean over all days is 1.

    A Poisson model with a level for every seven days and a factor for every kind, fitted by
    turns (Deming & Stephan 1940), so that weeks with more of everything do not count as days with
    more.

    Parameters
    ----------
    counts : array_like, shape (d,)
        Events of each day, over all series; whole weeks from the first day on, the rest of days
        makes a shorter one.
    kind : array_like of int, shape (d,)
        0, 1, ...: such as Monday to Sunday, public holiday, make-up working day.

    Returns
    -------
    (d,) ndarray
        The rate of each day; a week's exposure is the sum over its days.

    Raises
    ------
    ValueError
        Arrays that do not fit, or a kind of day without any event.

    Examples
    --------
    >>> kind = np.tile([0, 0, 0, 0, 0, 1, 1], 8)
    >>> day_rates(np.where(kind, 2, 12), kind)[[0, 6]].round(3).tolist()
    [1.312, 0.219]
    """
    y, k = np.asarray(counts, dtype=float), np.asarray(kind, dtype=int)
    if y.ndim != 1 or y.shape != k.shape or not len(y):
        raise ValueError("counts and kind are one number each per day")
    if (k < 0).any() or not np.isfinite(y).all() or (y < 0).any():
        raise ValueError("counts are known and 0 or more, kinds are 0, 1, ...")
    week = np.arange(len(y)) // 7
    by_kind, by_week = np.bincount(k, y), np.bincount(week, y)
    present = np.bincount(k) > 0
    if (by_kind[present] == 0).any():
        raise ValueError("nothing was ever counted on some kind of day: join it with another")
    rate = np.ones(len(present))
    for _ in range(rounds):
        level = by_week / np.bincount(week, rate[k])
        rate = np.divide(by_kind, np.bincount(k, level[week]), out=rate, where=present)
    return np.asarray(rate[k] / rate[k].mean())
