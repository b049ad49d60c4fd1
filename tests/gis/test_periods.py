"""Periods tile time: every day lies in exactly one, and each has as many days as it should."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.periods import current

DAYS = st.dates(date(2023, 1, 1), date(2026, 12, 31))
OFF = st.frozensets(st.integers(0, 6), max_size=6)


@given(DAYS, st.integers(0, 400), st.integers(1, 60), st.none() | OFF)
def test_a_day_lies_in_one_period_and_the_next_begins_where_it_ends(begins, later, every, off):
    works = None if off is None else lambda day: day.weekday() not in off
    day = begins + timedelta(days=later)
    first, after = current(day, begins, every, works)
    assert begins <= first <= day < after
    assert current(first, begins, every, works) == (first, after)
    assert current(after - timedelta(days=1), begins, every, works) == (first, after)
    assert current(after, begins, every, works)[0] == after
    span = [first + timedelta(days=n) for n in range((after - first).days)]
    assert sum(works(each) if works else True for each in span) == every


def test_before_the_first_day_there_is_none():
    assert current(date(2026, 3, 1), date(2026, 3, 2), 7) is None


def test_a_calendar_that_never_works_and_no_days_are_said():
    with pytest.raises(ValueError, match="no working day"):
        current(date(2026, 3, 2), date(2026, 3, 2), 1, lambda _day: False)
    with pytest.raises(ValueError, match="at least 1"):
        current(date(2026, 3, 2), date(2026, 3, 2), 0)
