"""Which reports an analysis is about."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

from data.errors import InputError

MOST_DAYS = 3660


@dataclass(frozen=True)
class Selection:
    """Reports by when and where it happened, what it was, and how it came.

    A report that told again of what was reported before is left out: trouble counts once.

    Attributes
    ----------
    first, last : days of the city, both included
    area : as `440604010001` or `beats:B12`; None: the whole city
    kinds : codes, each with all kinds below it in the catalogue; empty: all
    channels : empty: all
    hours : of the day, 0 to 23 in the city's time; empty: all
    weekdays : 1 Monday to 7 Sunday; empty: all

    Raises
    ------
    InputError
        The days are not in order or too many.
    """

    first: date
    last: date
    area: str | None = None
    kinds: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    hours: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise InputError(
                f"the period ends on {self.last}, before it begins on {self.first}; exchange the "
                "two days", "to", "period_wrong",
            )  # fmt: skip
        if (days := (self.last - self.first).days + 1) > MOST_DAYS:
            raise InputError(
                f"the period has {days:,} days; ask for {MOST_DAYS:,} at most", "from",
                "period_wrong",
            )  # fmt: skip

    def said(self) -> dict[str, Any]:
        """As JSON, the same for the same question."""
        plain = asdict(self)
        for name in ("kinds", "channels", "hours", "weekdays"):
            plain[name] = sorted(set(plain[name]))
        return {**plain, "first": self.first.isoformat(), "last": self.last.isoformat()}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """The selection of which `said` is the JSON."""
        lists = {name: tuple(said[name]) for name in ("kinds", "channels", "hours", "weekdays")}
        return cls(
            date.fromisoformat(said["first"]), date.fromisoformat(said["last"]), said["area"],
            **lists,
        )  # fmt: skip
