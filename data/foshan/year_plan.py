"""What a simulated year has in it: the article's numbers, and how they spread over the year.

What the article counts (佛山2023年) is a quota here: so many rows of the kind are written, one by
one. The indicators know nothing of it. What it does not count is set here to be believable.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from data.foshan.feed import BY_HOUR

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

EVENTS, CLOSED = 1_180_000, 0.992
RECORDS, PLACED = 7_900_000, 0.949
FLOWS = 320_000
DISPUTES, RESOLVED = 98_117, 97_896
ACTIVE = 0.802
FIREWORKS = {1: 1760, 2: 372}  # in Chancheng, by month
FIREWORK_DISTRICT = "440604"
FIREWORKS_LATER = 25  # a month in Chancheng, and in each other district a month of the whole year
BY_MONTH = np.array([0.95, 0.85, 1.0, 1.0, 1.05, 1.08, 1.1, 1.1, 1.02, 0.97, 0.95, 0.93])
BY_WEEKDAY = np.array([1.12, 1.06, 1.04, 1.03, 1.02, 0.88, 0.85])
WITHOUT_PLACE = 0.01  # of events: they wait in triage
BY_WORKERS = 0.3  # of events
UNPLACED = {"no_place": 0.3, "outside": 0.25, "on_border": 0.3, "address_unknown": 0.15}
"""Why records have no grid, of those that have none."""
KINDS = {"resident": 0.46, "dwelling": 0.2, "rental": 0.12, "firm": 0.1, "danger": 0.08,
         "venue": 0.04}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """The counts of a year at a scale, as whole numbers."""

    year: int
    scale: float
    timezone: str

    def of(self, count: float) -> int:
        """A count of the full city at this scale."""
        return round(count * self.scale)

    @property
    def events(self) -> int:
        """Events received."""
        return self.of(EVENTS)

    @property
    def records(self) -> int:
        """Records collected."""
        return self.of(RECORDS)

    @property
    def middle(self) -> datetime:
        """The moment whose map counts."""
        return datetime(self.year, 7, 1, tzinfo=UTC)

    def times(self, count: int, rng: np.random.Generator, month: int | None = None) -> Ints:
        """Sorted instants of the year, or of one of its months, in µs since 1970 (UTC)."""
        zone = ZoneInfo(self.timezone)
        days = np.arange(f"{self.year}", f"{self.year + 1}", dtype="datetime64[D]")
        of_month = days.astype("datetime64[M]").astype(int) % 12
        weight = BY_MONTH[of_month] * BY_WEEKDAY[(days.astype(int) + 3) % 7]
        if month is not None:
            weight = np.where(of_month == month - 1, weight, 0.0)
        weight /= weight.sum()
        day = rng.choice(len(days), count, p=weight)
        hour = rng.choice(24, count, p=BY_HOUR / BY_HOUR.sum())
        local = days[day].astype("datetime64[us]").astype(np.int64)
        local += hour * 3_600_000_000 + rng.integers(0, 3_600_000_000, count)
        offset = datetime.combine(date(self.year, 1, 1), datetime.min.time(), zone).utcoffset()
        assert offset is not None
        return np.sort(local - round(offset.total_seconds() * 1e6))


def quota(total: int, shares: dict[str, float], rng: np.random.Generator) -> Ints:
    """Which of the keys each of `total` is, in the shares exactly, in random order."""
    weights = np.array(list(shares.values()))
    ends = np.round(np.cumsum(weights) / weights.sum() * total).astype(np.int64)
    return rng.permutation(np.searchsorted(ends, np.arange(total), side="right"))
