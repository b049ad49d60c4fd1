"""Which days are worked in China: weekends, public holidays, and the weekends made up for them."""

from datetime import date

import chinese_calendar


def works(day: date) -> bool:
    """Whether a day is a working day; beyond the years that are published, whether a weekday."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < 5
