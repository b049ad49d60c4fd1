"""Recurring periods of days or working days, counted from the day on which they begin."""

from collections.abc import Callable
from datetime import date, timedelta

DAY = timedelta(days=1)


def current(
    day: date, begins: date, every: int, works: Callable[[date], bool] | None = None
) -> tuple[date, date] | None:
    """The period that a day lies in: its first day, and the first day of the next.

    Parameters
    ----------
    begins : first day of the first period
    every : so many days a period; with `works`, so many of those for which it is true
    works : whether a day is a working day. Days off before the first working day belong to the
        first period, all others to the period of the working day before them.

    Returns None for a day before the first period.

    Raises
    ------
    ValueError
        `every` is less than 1, or there is no working day within ten years.

    Examples
    --------
    >>> current(date(2026, 3, 9), date(2026, 3, 2), 5)
    (datetime.date(2026, 3, 7), datetime.date(2026, 3, 12))
    >>> current(date(2026, 3, 8), date(2026, 3, 2), 5, lambda day: day.weekday() < 5)
    (datetime.date(2026, 3, 2), datetime.date(2026, 3, 9))
    """
    if every < 1:
        raise ValueError(f"a period has at least 1 day, not {every}")
    if day < begins:
        return None
    if works is None:
        first = begins + (day - begins).days // every * every * DAY
        return first, first + every * DAY
    first, after = begins, _after(begins, every, works)
    while day >= after:
        first, after = after, _after(after, every, works)
    return first, after


def _after(first: date, every: int, works: Callable[[date], bool]) -> date:
    """The working day that follows the next `every` working days."""
    seen, day = 0, first
    while True:
        seen += works(day)
        if seen > every:
            return day
        if (day - first).days > 3653 + 8 * every:
            raise ValueError(f"there is no working day after {first} within ten years")
        day += DAY
