"""The past weeks that a week is held against, and their seasons.

After Noufaily, Enki, Farrington, Garthwaite, Andrews & Charlett, "An improved algorithm for
outbreak detection in multiple surveillance systems", *Statistics in Medicine* 32 (2013), 1206-1222:
the weeks about the same time of earlier years make one season, the weeks between are divided into
others. With one season only those about the same time count, as in Farrington et al. (1996).
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Days = NDArray[np.datetime64]

UNUSED = -1
WEEK = 7
YEAR_WEEKS = 365.25 / WEEK


def as_weeks(weeks: ArrayLike) -> Days:
    """First days of weeks without a gap, as `datetime64[D]`.

    Raises
    ------
    ValueError
        There are none, they do not rise, or one is left out.
    """
    days = np.asarray(weeks, dtype="datetime64[D]")
    if days.ndim != 1 or not len(days):
        raise ValueError("give the first day of each week, at least of one")
    steps = np.diff(days).astype(int)
    if (steps != WEEK).any():
        after = days[int(np.argmax(steps != WEEK))]
        raise ValueError(
            f"weeks have to follow each other without a gap: after {after} comes not the next one; "
            "give a count of 0, or NaN if it is not known"
        )
    return days


def position(weeks: Days, week: ArrayLike | None) -> int:
    """Where a week is among them; None: the last.

    Raises
    ------
    ValueError
        It is not there: it lies in the future, too far back, or starts on another day.
    """
    if week is None:
        return len(weeks) - 1
    day = np.asarray(week, dtype="datetime64[D]")
    found = np.flatnonzero(weeks == day)
    if not len(found):
        raise ValueError(
            f"there are no counts of the week of {day}: they are of the weeks of {weeks[0]} to "
            f"{weeks[-1]}, which begin on the same day of the week"
        )
    return int(found[0])


def anniversaries(weeks: Days, at: int, years: int) -> Ints:
    """Positions of the weeks nearest to the same date 0 to `years` years before; may be negative.

    >>> weeks = np.arange("2019-01-07", "2024-03-04", 7, dtype="datetime64[D]")
    >>> weeks[anniversaries(weeks, len(weeks) - 1, 2)].astype(str).tolist()
    ['2024-02-26', '2023-02-27', '2022-02-28']
    """
    now = weeks[at]
    month = now.astype("datetime64[M]")
    day_of_month = (now - month.astype("datetime64[D]")).astype(int)
    # 29 February of a year without one is 1 March, as in R's calendar.
    same = (month - 12 * np.arange(years + 1)).astype("datetime64[D]") + day_of_month
    return np.asarray(at + np.rint((same - now).astype(int) / WEEK).astype(int))


def seasons(
    weeks: Days, at: int, *, years: int, half_window: int, periods: int, left_out: int
) -> Ints:
    """For each week its season: 0 that of week `at`, 1 to `periods` - 1 others, -1 not used.

    Parameters
    ----------
    weeks : (t,) ndarray of datetime64[D], from `as_weeks`
    years : how many years back
    half_window : weeks to each side of the same time of an earlier year
    periods : how many seasons a year has; with 1 only the weeks about the same time are used
    left_out : how many weeks before week `at` are not used, so that a surge that has begun is not
        taken for usual

    Raises
    ------
    ValueError
        The weeks do not go back far enough, or there are more seasons than weeks for them.
    """
    marks = anniversaries(weeks, at, years)
    if marks[-1] < half_window:
        enough = int((anniversaries(weeks, at, years) >= half_window)[1:].sum())
        advice = f"compare with {enough} instead" if enough else "wait for more weeks"
        raise ValueError(
            f"the series are too short: to compare the week of {weeks[at]} with {years} years, "
            f"counts from {weeks[at] + WEEK * int(marks[-1] - half_window - at)} are needed and "
            f"they begin on {weeks[0]}; {advice}"
        )
    season = np.full(len(weeks), UNUSED)
    for later, mark in pairwise(marks):
        season[mark - half_window : mark + half_window + 1] = 0
        if periods > 1:
            between = np.arange(mark + half_window + 1, later - half_window)
            if len(between) < periods - 1:
                raise ValueError(f"a year has no {periods} seasons beside each other; take fewer")
            # The first seasons take the weeks that are left over, one each.
            for number, part in enumerate(np.array_split(between, periods - 1), start=1):
                season[part] = number
    season[at - half_window : at] = 0
    season[max(at - left_out, 0) :] = UNUSED
    return season
