"""Public holidays and the weekend days that are worked for them, year by year as announced."""

from datetime import date
from functools import cache

from chinese_calendar import constants

_TITLES = {
    "New Year's Day": "元旦", "Spring Festival": "春节", "Tomb-sweeping Day": "清明节",
    "Labour Day": "劳动节", "Dragon Boat Festival": "端午节", "National Day": "国庆节",
    "Mid-autumn Festival": "中秋节", "Anti-Fascist 70th Day": "抗战胜利70周年纪念日",
}  # fmt: skip


@cache
def off() -> dict[date, str]:
    """Days off in China, with the holiday's name."""
    return {day: _TITLES.get(name, name) for day, name in constants.holidays.items()}


@cache
def made_up() -> dict[date, str]:
    """Saturdays and Sundays worked in China (调休), with the holiday that they are worked for."""
    return {day: _TITLES.get(name, name) for day, name in constants.workdays.items()}


@cache
def last_year() -> int:
    """The last year whose holidays are known; after it weekdays are all that there is."""
    return max(day.year for day in off())
