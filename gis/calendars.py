"""Working time: what of it lies between two instants, and when an allowance of it is used up.

Working time up to an instant is a function W of it that rises while the calendar is open and rests
while it is closed. What lies between two instants is a difference of W, and when an allowance ends
is its inverse; so working time is monotone, additive over any split, and equal to wall time where
the calendar never closes. Instants are arrays of `datetime64[us]` in UTC, the single case is the
array of one, for which `due` and `elapsed` at the end of the file take aware `datetime`s.

**N working days** are counted as the law of China does: the day of receipt does not count (Civil
Code, art. 201), neither do public holidays (Administrative Licensing Law, art. 82), and the time is
up when business closes on the Nth working day, at 24:00 where there are no business hours (Civil
Code, art. 203). **Hours** run from the instant of receipt (art. 201), while the calendar is open.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Unit = Literal["hours", "working_days"]
UNITS: tuple[Unit, ...] = get_args(Unit)
Hours = tuple[tuple[int, int], ...]
"""When a day is open: minutes since its midnight, [from, until), rising; 1440 is its end."""
Instants = NDArray[np.datetime64]
Numbers = NDArray[np.int64]
Amounts = NDArray[np.float64]
Pauses = Sequence[tuple[datetime, datetime]]

DAY_MINUTES = 1440
NEVER = np.iinfo(np.int64).min  # as an instant: not a time
SECOND = 1_000_000
MOST = {"hours": 20_000.0, "working_days": 2_000.0}
"""The longest allowance of a unit: some years. More is a slip of the pen."""
REACH_YEARS = 40
"""A calendar in which an allowance is not used up within so many years has no end to it."""


class CalendarError(ValueError):
    """A calendar or an allowance that cannot be; the sentence says what to mend."""


@dataclass(frozen=True)
class Calendar:
    """When an organisation works.

    Attributes
    ----------
    timezone : IANA name, of the wall clocks that the hours are read from
    week : hours of Monday to Sunday
    days : exceptions, each the day with its hours: none for a holiday, some for a make-up day
    """

    timezone: str
    week: tuple[Hours, ...]
    days: tuple[tuple[date, Hours], ...] = ()

    def __post_init__(self) -> None:
        if len(self.week) != 7:
            raise CalendarError("a week has seven days: give the hours of Monday to Sunday")
        for hours in (*self.week, *(hours for _, hours in self.days)):
            edges = [edge for stretch in hours for edge in stretch]
            rising = all(a < b for a, b in hours) and edges == sorted(edges)
            if edges and not (rising and edges[0] >= 0 and edges[-1] <= DAY_MINUTES):
                raise CalendarError(
                    "the hours of a day are stretches from one minute to a later one, 0 to 1440, "
                    "that rise and do not overlap"
                )

    def works(self, day: date) -> bool:
        """Whether a day has any hours."""
        return bool(dict(self.days).get(day, self.week[day.weekday()]))


def always(timezone: str = "UTC") -> Calendar:
    """The calendar that never closes."""
    return Calendar(timezone, (((0, DAY_MINUTES),),) * 7)


@dataclass(frozen=True)
class Allowed:
    """A length of time: so many hours that are open, or so many working days.

    Raises
    ------
    CalendarError
        The amount is not above 0, absurdly large, or a part of a working day.
    """

    amount: float
    unit: Unit

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise CalendarError(f"time is allowed in {' or '.join(UNITS)}, not in {self.unit!r}")
        if not 0 < self.amount <= MOST[self.unit]:  # not-a-number neither
            raise CalendarError(
                f"{self.amount:g} {self.unit} cannot be allowed; give more than 0 and at most "
                f"{MOST[self.unit]:g}"
            )
        if self.unit == "working_days" and self.amount != int(self.amount):
            raise CalendarError("working days are counted whole; give hours for less than a day")


class WorkingTime:
    """The working time of a calendar over a span of days, in arrays.

    Parameters
    ----------
    first, last : days, in the calendar's time zone; instants outside are refused
    """

    def __init__(self, calendar: Calendar, first: date, last: date) -> None:
        zone = ZoneInfo(calendar.timezone)
        self.begin, self.end = _instant(first, 0, zone), _instant(last, DAY_MINUTES, zone)
        stretches = np.array(list(_stretches(calendar, first, last, zone)), np.int64)
        stretches = stretches.reshape(-1, 3)
        self._opens, self._closes = stretches[:, 0], stretches[:, 1]
        lengths = self._closes - self._opens
        self._before = np.concatenate(([0], np.cumsum(lengths)))
        days, at = np.unique(stretches[:, 2], return_index=True)
        # Of each working day: its midnight, and when it closes for the last time.
        last_stretch = np.concatenate((at[1:], [len(stretches)]))[: len(at)] - 1
        midnights = [_instant(date.fromordinal(int(day)), 0, zone) for day in days]
        self._midnights = np.array(midnights, np.int64)
        self._evenings = self._closes[last_stretch]

    def _worked(self, at: Numbers) -> Numbers:
        """W: microseconds that were open before each instant."""
        if at.size and (at.min() < self.begin or at.max() > self.end):
            raise CalendarError("an instant lies outside of the days that were laid out")
        n = np.searchsorted(self._opens, at, side="right")
        since = at - self._opens[np.maximum(n - 1, 0)] if len(self._opens) else np.zeros_like(at)
        length = np.diff(self._before)[np.maximum(n - 1, 0)] if len(self._opens) else since
        found: Numbers = np.where(n > 0, self._before[n - 1] + np.minimum(since, length), 0)
        return found

    def _when(self, worked: Numbers) -> Numbers:
        """The inverse of W: the first instant at which so much was open; NEVER: not in the span."""
        if not len(self._opens):
            return np.full(worked.shape, NEVER, np.int64)
        n = np.clip(np.searchsorted(self._before, worked, side="left"), 1, len(self._opens)) - 1
        found = self._opens[n] + worked - self._before[n]
        return np.where(worked <= self._before[-1], found, NEVER)

    def elapsed(self, start: Instants, end: Instants) -> Amounts:
        """Working seconds from each start to its end, below 0 where the end is the earlier."""
        return (self._worked(_micros(end)) - self._worked(_micros(start))) / SECOND

    def days(self, start: Instants, end: Instants) -> Numbers:
        """Working days that have begun since the day of each start, which does not count itself.

        Additive over splits, as `elapsed` is, and like it below 0 backwards.
        """
        return self._days(_micros(end)) - self._days(_micros(start))

    def _days(self, at: Numbers) -> Numbers:
        found: Numbers = np.searchsorted(self._midnights, at, side="right").astype(np.int64)
        return found

    def due(
        self, start: Instants, amount: Amounts, unit: Unit, pauses: Sequence[Pauses] = ()
    ) -> Instants:
        """When each allowance is used up; not-a-time where that is beyond the span.

        Parameters
        ----------
        amount : of the unit, one for each start
        pauses : of each start the stretches in which its time rested (none for all if left out):
            working time does not pass in them, nor do the working days that begin in them
        """
        from_, rested = _micros(start), self._rested(pauses, unit, len(start))
        if unit == "hours":
            allowed = np.round(amount * 3600 * SECOND).astype(np.int64)
            return _times(self._when(self._worked(from_) + allowed + rested))
        n = self._days(from_) + amount.astype(np.int64) + rested - 1
        inside = n < len(self._evenings)
        evenings = self._evenings[np.where(inside, n, 0)] if len(self._evenings) else n
        return _times(np.where(inside, evenings, NEVER))

    def warning(
        self, start: Instants, due: Instants, amount: Amounts, unit: Unit, share: Amounts
    ) -> Instants:
        """When a share (0 to 1) of each allowance is used up, in working time, with its pauses.

        That is when the rest of the allowance without pauses is left until it is due.
        """
        whole = self.elapsed(start, self.due(start, amount, unit))
        left = np.round((1 - share) * whole * SECOND).astype(np.int64)
        return _times(self._when(self._worked(_micros(due)) - left))

    def _rested(self, pauses: Sequence[Pauses], unit: Unit, count: int) -> Numbers:
        """Working time in the pauses of each start: microseconds, or days."""
        rested = np.zeros(count, np.int64)
        flat = [(n, *pause) for n, each in enumerate(pauses) for pause in each]
        if not flat:
            return rested
        owner, from_, until = zip(*flat, strict=True)
        measure = self._worked if unit == "hours" else self._days
        begin, end = (_micros(instants(each)) for each in (from_, until))
        np.add.at(rested, list(owner), measure(end) - measure(begin))
        return rested


@lru_cache(maxsize=256)
def laid_out(calendar: Calendar, first_year: int, last_year: int) -> WorkingTime:
    """The working time of whole years."""
    return WorkingTime(calendar, date(first_year, 1, 1), date(last_year, 12, 31))


# --- one at a time --------------------------------------------------------------------------------


def due(calendar: Calendar, start: datetime, allowed: Allowed, pauses: Pauses = ()) -> datetime:
    """When the time allowed from `start` is up.

    >>> office = Calendar("Asia/Shanghai", (((510, 1050),),) * 5 + ((), ()))
    >>> friday = datetime(2024, 3, 1, 9, tzinfo=UTC)  # 17:00 in Shanghai, half an hour is left
    >>> due(office, friday, Allowed(1, "hours")).isoformat()
    '2024-03-04T01:00:00+00:00'
    >>> due(office, friday, Allowed(1, "working_days")).isoformat()
    '2024-03-04T09:30:00+00:00'

    Raises
    ------
    CalendarError
        The calendar opens too seldom for it, or never.
    """
    from_, amount = instants([start]), np.array([allowed.amount])

    def ask(time: WorkingTime) -> Instants:
        return time.due(from_, amount, allowed.unit, [pauses])

    return moments(answered(calendar, start.year, start.year, ask))[0]


def answered(
    calendar: Calendar, first: int, last: int, ask: Callable[[WorkingTime], Instants]
) -> Instants:
    """What is asked of the working time of the years from `first` on, laid out until all is known.

    Raises
    ------
    CalendarError
        Something does not come within `REACH_YEARS` after the year `last`.
    """
    years = 2
    while years <= REACH_YEARS:
        found = ask(laid_out(calendar, first - 1, last + years))
        if not np.isnat(found).any():
            return found
        years *= 2
    raise CalendarError(
        f"the calendar opens too seldom: within {REACH_YEARS // 2} years the time allowed is not "
        "up; give it working hours"
    )


def elapsed(
    calendar: Calendar, start: datetime, end: datetime, pauses: Pauses = ()
) -> tuple[float, int]:
    """Working seconds and working days from `start` to `end`, without those in the pauses."""
    first, last = min(start.year, end.year) - 1, max(start.year, end.year) + 1
    time = laid_out(calendar, first, last)
    from_, until = instants([start]), instants([end])
    seconds, days = time.elapsed(from_, until)[0], time.days(from_, until)[0]
    cut = [(max(a, start), min(b, end)) for a, b in pauses if max(a, start) < min(b, end)]
    if cut:
        begun, ended = (instants(each) for each in zip(*cut, strict=True))
        seconds -= time.elapsed(begun, ended).sum()
        days -= time.days(begun, ended).sum()
    return float(seconds), int(days)


# --- below ----------------------------------------------------------------------------------------


def instants(moments: Sequence[datetime]) -> Instants:
    """Aware moments as an array of UTC instants."""
    plain = [moment.astimezone(UTC).replace(tzinfo=None) for moment in moments]
    return np.array(plain, "datetime64[us]")


def moments(at: Instants) -> list[datetime]:
    """An array of UTC instants as aware moments."""
    return [each.replace(tzinfo=UTC) for each in at.astype("datetime64[us]").tolist()]


def _micros(at: Instants) -> Numbers:
    return at.astype("datetime64[us]").astype(np.int64)


def _times(micros: Numbers) -> Instants:
    return micros.astype("datetime64[us]")


def _stretches(
    calendar: Calendar, first: date, last: date, zone: ZoneInfo
) -> Iterator[tuple[int, int, int]]:
    """When it is open: from and until in microseconds of UTC, and the number of the day."""
    exceptions = dict(calendar.days)
    until = 0
    for number in range(first.toordinal(), last.toordinal() + 1):
        day = date.fromordinal(number)
        for opens, closes in exceptions.get(day, calendar.week[day.weekday()]):
            # An hour that the clocks leave out is read as the one after: nothing runs backwards.
            from_ = max(until, _instant(day, opens, zone))
            until = max(from_, _instant(day, closes, zone))
            if from_ < until:
                yield from_, until, number


def _instant(day: date, minute: int, zone: ZoneInfo) -> int:
    """Microseconds of UTC at a minute of the wall clocks' day."""
    wall = datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(minutes=minute)
    return int(wall.astimezone(UTC).timestamp()) * SECOND
