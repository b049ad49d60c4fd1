"""Working time: monotone, additive, equal to wall time around the clock, and right in October."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.calendars import (
    MOST,
    Allowed,
    Calendar,
    CalendarError,
    WorkingTime,
    always,
    due,
    elapsed,
    instants,
)
from gis.deadlines import Terms, Times, schedule

SHANGHAI = ZoneInfo("Asia/Shanghai")
OPEN = ((510, 720), (840, 1050))  # 8:30–12:00, 14:00–17:30
OFFICE = Calendar("Asia/Shanghai", (OPEN,) * 5 + ((), ()))
ZONES = ("Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe",
         "America/Sao_Paulo", "Asia/Tehran", "Pacific/Apia")  # fmt: skip


def days(year: int, month: int, first: int, last: int) -> list[date]:
    return [date(year, month, day) for day in range(first, last + 1)]


# The State Council's notices 国办发明电〔2022〕16号, 〔2023〕7号, 〔2024〕12号: days off, and the
# Saturdays and Sundays that are worked for them.
NOTICES = {
    2023: ([date(2023, 9, 29), date(2023, 9, 30), *days(2023, 10, 1, 6)],
           [date(2023, 10, 7), date(2023, 10, 8)]),
    2024: (days(2024, 10, 1, 7), [date(2024, 9, 29), date(2024, 10, 12)]),
    2025: (days(2025, 10, 1, 8), [date(2025, 9, 28), date(2025, 10, 11)]),
}  # fmt: skip


def of_notice(year: int) -> Calendar:
    off, worked = NOTICES[year]
    return replace(OFFICE, days=(*((d, ()) for d in off), *((d, OPEN) for d in worked)))


def at(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=SHANGHAI)


def times(calendar: Calendar, *terms) -> Times:
    return schedule(calendar, [Terms(*terms)])[0]


# --- by the calendar on the wall ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "count", "ends"),
    [
        # 2023: off from Friday 29 September to Friday 6 October; 7 and 8 October are worked.
        (at(2023, 9, 28, 10), 1, at(2023, 10, 7, 17, 30)),
        (at(2023, 9, 28, 10), 2, at(2023, 10, 8, 17, 30)),
        (at(2023, 9, 28, 10), 3, at(2023, 10, 9, 17, 30)),
        (at(2023, 10, 3, 10), 1, at(2023, 10, 7, 17, 30)),
        # 2024: Sunday 29 September is worked, 1 to 7 October are off, Saturday the 12th is worked.
        (at(2024, 9, 27, 17), 1, at(2024, 9, 29, 17, 30)),
        (at(2024, 9, 27, 17), 2, at(2024, 9, 30, 17, 30)),
        (at(2024, 9, 27, 17), 3, at(2024, 10, 8, 17, 30)),
        (at(2024, 9, 27, 17), 7, at(2024, 10, 12, 17, 30)),
        (at(2024, 9, 27, 17), 8, at(2024, 10, 14, 17, 30)),
        # 2025: Sunday 28 September is worked, 1 to 8 October are off, Saturday the 11th is worked.
        (at(2025, 9, 26, 23), 1, at(2025, 9, 28, 17, 30)),
        (at(2025, 9, 28, 9), 2, at(2025, 9, 30, 17, 30)),
        (at(2025, 9, 28, 9), 3, at(2025, 10, 9, 17, 30)),
        (at(2025, 9, 30, 9), 3, at(2025, 10, 11, 17, 30)),
        (at(2025, 9, 30, 9), 4, at(2025, 10, 13, 17, 30)),
    ],
)
def test_working_days_over_the_national_days(start, count, ends):
    assert due(of_notice(start.year), start, Allowed(count, "working_days")) == ends


def test_hours_stand_still_over_the_national_days():
    # 17:00 on the last day before them: half an hour is left of it, and half on the day after.
    for year, start, ends in (
        (2023, at(2023, 9, 28, 17), at(2023, 10, 7, 9)),
        (2024, at(2024, 9, 30, 17), at(2024, 10, 8, 9)),
        (2025, at(2025, 9, 30, 17), at(2025, 10, 9, 9)),
    ):
        assert due(of_notice(year), start, Allowed(1, "hours")) == ends
        assert elapsed(of_notice(year), start, ends) == (3600, 1)


@pytest.mark.parametrize(("year", "seconds"), [(2023, 19 * 7 * 3600), (2024, 19 * 7 * 3600)])
def test_the_working_time_of_october(year, seconds):
    # 2023: 17 weekdays from the 9th and the make-up 7th and 8th; 2024: 18 and the make-up 12th.
    assert elapsed(of_notice(year), at(year, 10, 1), at(year, 11, 1))[0] == seconds


def test_a_break_at_noon_and_an_exact_closing():
    assert due(OFFICE, at(2024, 3, 4, 11, 30), Allowed(1, "hours")) == at(2024, 3, 4, 14, 30)
    assert due(OFFICE, at(2024, 3, 4, 11, 30), Allowed(0.5, "hours")) == at(2024, 3, 4, 12)
    assert due(OFFICE, at(2024, 3, 2, 3), Allowed(7, "hours")) == at(2024, 3, 4, 17, 30)


def test_the_day_of_receipt_does_not_count_however_early():
    for hour in (0, 8, 12, 23):
        ends = due(OFFICE, at(2024, 3, 4, hour), Allowed(1, "working_days"))
        assert ends == at(2024, 3, 5, 17, 30)
    around = due(always("Asia/Shanghai"), at(2024, 3, 4, 8), Allowed(1, "working_days"))
    assert around == at(2024, 3, 6)  # 24:00 of the 5th


def test_a_warning_comes_when_its_share_of_the_working_time_is_used():
    hours = times(OFFICE, at(2024, 3, 4, 8, 30), Allowed(10, "hours"), 0.8)
    assert hours == Times(at(2024, 3, 5, 11, 30), at(2024, 3, 5, 9, 30), None)
    days = times(OFFICE, at(2024, 3, 3, 8, 30), Allowed(4, "working_days"), 0.75)
    assert days == Times(at(2024, 3, 7, 17, 30), at(2024, 3, 6, 17, 30), None)


def test_too_late_is_counted_in_working_hours_from_when_it_was_due():
    friday = at(2024, 3, 8, 9)
    for after, comes in ((0, at(2024, 3, 8, 10)), (7, at(2024, 3, 11, 10)), (None, None)):
        assert times(OFFICE, friday, Allowed(1, "hours"), 1.0, after).order_at == comes


def test_a_pause_moves_hours_by_its_working_time_and_days_by_its_days():
    pause = [(at(2024, 3, 4, 16, 30), at(2024, 3, 6, 9, 30))]  # 1 h + 7 h + 1 h
    paused = times(OFFICE, at(2024, 3, 4, 15, 30), Allowed(2, "hours"), 0.5, None, pause)
    assert paused == Times(at(2024, 3, 6, 10, 30), at(2024, 3, 6, 9, 30), None)
    days = due(OFFICE, at(2024, 3, 4, 15, 30), Allowed(2, "working_days"), pause)
    assert days == at(2024, 3, 8, 17, 30)
    assert elapsed(OFFICE, at(2024, 3, 4, 15, 30), paused.due, pause) == (7200, 0)


def test_an_hour_that_comes_twice_is_worked_twice_and_one_that_is_left_out_is_not():
    zone = ZoneInfo("America/New_York")
    around = always("America/New_York")
    for day, hours in (((2025, 11, 2), 25), ((2025, 3, 9), 23)):
        start = datetime(*day, tzinfo=zone)
        end = datetime(*day, tzinfo=zone) + timedelta(days=1)
        assert elapsed(around, start, end)[0] == hours * 3600
    # 2:00 to 3:00 is left out: open until 2:15 and again from 3:00 is not open twice at 3:00.
    spring = datetime(2025, 3, 9, tzinfo=zone)
    split = Calendar("America/New_York", (((0, 135), (180, 1440)),) * 7)
    assert elapsed(split, spring, spring + timedelta(days=1))[0] == 23 * 3600


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount", [0, -1, float("nan"), float("inf"), MOST["hours"] + 1, -1e9])
def test_absurd_amounts_are_refused(amount):
    with pytest.raises(CalendarError, match="cannot be allowed"):
        Allowed(amount, "hours")


def test_parts_of_working_days_and_other_units_are_refused():
    with pytest.raises(CalendarError, match="whole"):
        Allowed(1.5, "working_days")
    with pytest.raises(CalendarError, match="not in 'weeks'"):
        Allowed(1, "weeks")  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", ["hours", "working_days"])
def test_a_calendar_that_never_opens_is_refused(unit):
    with pytest.raises(CalendarError, match="opens too seldom"):
        due(Calendar("UTC", ((),) * 7), at(2024, 3, 4), Allowed(1, unit))


@pytest.mark.parametrize("hours", [((60, 30),), ((0, 1441),), ((600, 700), (650, 800)), ((-1, 5),)])
def test_hours_that_cannot_be_are_refused(hours):
    with pytest.raises(CalendarError, match="stretches"):
        Calendar("UTC", (hours,) * 7)


# --- properties -----------------------------------------------------------------------------------

moments = st.datetimes(datetime(2023, 1, 1), datetime(2025, 12, 31), timezones=st.just(UTC))


@st.composite
def hours_of_a_day(draw):
    edges = draw(st.lists(st.integers(0, 1440), min_size=0, max_size=6, unique=True))
    edges = sorted(edges)[: len(edges) // 2 * 2]
    return tuple(zip(edges[::2], edges[1::2], strict=True))


@st.composite
def calendars(draw):
    week = (*(draw(hours_of_a_day()) for _ in range(6)), ((60, 1300),))
    some = st.dates(date(2023, 1, 1), date(2025, 12, 31))
    days = draw(st.dictionaries(some, hours_of_a_day(), max_size=5))
    return Calendar(draw(st.sampled_from(ZONES)), week, tuple(days.items()))


@st.composite
def allowances(draw):
    if draw(st.booleans()):
        return Allowed(draw(st.integers(1, 40)), "working_days")
    return Allowed(draw(st.integers(1, 12_000)) / 60, "hours")


@settings(max_examples=60, deadline=None)
@given(calendars(), st.lists(moments, min_size=3, max_size=3).map(sorted))
def test_elapsed_is_monotone_and_additive_over_splits(calendar, three):
    first, middle, last = three
    whole, left, right = (
        elapsed(calendar, a, b) for a, b in ((first, last), (first, middle), (middle, last))
    )
    assert whole[0] == pytest.approx(left[0] + right[0], abs=1e-6)
    assert whole[1] == left[1] + right[1]
    assert min(*left, *right) >= 0
    assert whole[0] <= (last - first).total_seconds()
    assert elapsed(calendar, last, first)[0] == -whole[0]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ZONES), moments, moments)
def test_around_the_clock_is_wall_time(zone, first, last):
    seconds, _ = elapsed(always(zone), first, last)
    assert seconds == (last - first).total_seconds()
    hours = abs(seconds) / 3600
    if 0 < hours <= MOST["hours"]:
        ends = due(always(zone), first, Allowed(hours, "hours"))
        assert abs((ends - first).total_seconds() - abs(seconds)) < 1e-5


@settings(max_examples=80, deadline=None)
@given(calendars(), moments, moments, allowances())
def test_due_is_monotone_and_the_inverse_of_elapsed(calendar, one, other, allowed):
    first, last = sorted((one, other))
    ends = due(calendar, first, allowed)
    assert ends <= due(calendar, last, allowed)
    assert ends <= due(calendar, first, Allowed(allowed.amount + 1, allowed.unit))
    seconds, days = elapsed(calendar, first, ends)
    if allowed.unit == "hours":
        assert seconds == pytest.approx(allowed.amount * 3600, abs=1e-5)
        # It is the first such instant: a moment earlier something was left.
        early = elapsed(calendar, first, ends - timedelta(milliseconds=1))[0]
        assert early < allowed.amount * 3600 - 1e-5
    else:  # midnight belongs to the next day
        assert days in (allowed.amount, allowed.amount + 1)
        assert elapsed(calendar, first, ends - timedelta(seconds=1))[1] <= allowed.amount


@settings(max_examples=60, deadline=None)
@given(calendars(), moments, allowances(), st.floats(0, 1), st.lists(moments, max_size=6))
def test_pauses_only_delay_and_warnings_come_before(calendar, start, allowed, share, edges):
    edges = sorted({max(edge, start) for edge in edges})
    pauses = list(zip(edges[::2], edges[1::2], strict=False))
    plain = times(calendar, start, allowed, share)
    rested = times(calendar, start, allowed, share, None, pauses)
    assert rested.warn_at <= rested.due
    assert (plain.due, plain.warn_at) <= (rested.due, rested.warn_at)
    used, _ = elapsed(calendar, start, rested.due, pauses)
    if allowed.unit == "hours" and all(b <= rested.due for _, b in pauses):
        assert used == pytest.approx(allowed.amount * 3600, abs=1e-4)


def test_arrays_are_what_one_by_one_is():
    time = WorkingTime(of_notice(2025), date(2025, 1, 1), date(2026, 12, 31))
    starts = [at(2025, 9, day, 10, 7) for day in range(1, 31)]
    amounts = np.arange(1, 31, dtype=float)
    many = time.due(instants(starts), amounts, "working_days")
    for start, amount, found in zip(starts, amounts, many, strict=True):
        one = due(of_notice(2025), start, Allowed(amount, "working_days"))
        assert found == instants([one])[0]
    mixed = [
        Terms(start, Allowed(n + 1, ("hours", "working_days")[n % 2]), 0.5, n)
        for n, start in enumerate(starts)
    ]
    assert schedule(OFFICE, mixed) == [schedule(OFFICE, [each])[0] for each in mixed]


def test_beyond_the_days_laid_out_nothing_is_guessed():
    time = WorkingTime(OFFICE, date(2025, 1, 1), date(2025, 1, 31))
    late = time.due(instants([at(2025, 1, 30)]), np.array([5.0]), "working_days")
    assert np.isnat(late).all()
    with pytest.raises(CalendarError, match="outside"):
        time.elapsed(instants([at(2024, 1, 1)]), instants([at(2025, 1, 2)]))
