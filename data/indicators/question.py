"""What is asked of the indicators: which days, where, of whom, and broken down by what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal, Self

from sqlalchemy import Connection, text

from data.indicators.registry import IndicatorError

AREAS = {"district": 1, "town": 2, "village": 3, "grid": 4}
PERIODS = {"day": "1 day", "week": "7 days", "month": "1 month", "quarter": "3 months",
           "year": "1 year"}  # fmt: skip
By = Literal[
    "district", "town", "village", "grid", "organisation", "kind", "day", "week", "month",
    "quarter", "year",
]  # fmt: skip
MOST_DAYS = 3660


@dataclass(frozen=True)
class Place:
    """An area of the tree, in force or not, with its level."""

    id: int
    layer: str
    code: str
    level: int


@dataclass(frozen=True)
class Question:
    """Which rows are counted.

    Attributes
    ----------
    since, until : days of the city; from the first to before the second
    place : only what happened in it; None: in the whole city, and where nobody knows
    organisation_id : only what it answers for
    kind : only what is of this kind, by its code
    today : whether areas are those of today, to which rows are mapped by their point, or those of
        the time
    by : what the figures are broken down by
    """

    since: date
    until: date
    place: Place | None = None
    organisation_id: int | None = None
    kind: str | None = None
    today: bool = False
    by: By | None = None

    def __post_init__(self) -> None:
        if not self.since < self.until:
            raise IndicatorError(
                f"the period ends on {self.until}, before it begins; give `until` as the day after "
                "its last one", "until", "period_wrong",
            )  # fmt: skip
        if (self.until - self.since).days > MOST_DAYS:
            raise IndicatorError(
                f"the period has {(self.until - self.since).days:,} days; ask for {MOST_DAYS:,} at "
                "most", "until", "period_wrong",
            )  # fmt: skip

    def a_year_before(self) -> Self:
        """The same question about the year before; of weeks 52 before, so that they are whole."""
        return replace(self, since=self.before(self.since), until=self.before(self.until))

    def before(self, day: date) -> date:
        """The day that a day is compared to."""
        if self.by == "week":
            return day - timedelta(weeks=52)
        try:
            return day.replace(year=day.year - 1)
        except ValueError:  # a leap day
            return date(day.year - 1, 2, 28)


_PLACE = text("""
SELECT a.id, a.layer, a.code, l.tree_level AS level
FROM area a JOIN layer l ON l.name = a.layer
WHERE l.tree_level IS NOT NULL AND a.code = :code AND a.layer = coalesce(:layer, a.layer)
""")


def place(connection: Connection, spelt: str) -> Place:
    """The area of the tree that a code names, as `440604010000` or `town:440604010000`.

    Raises
    ------
    IndicatorError
        There was never one of that code.
    """
    before, colon, after = spelt.partition(":")
    asked = {"layer": before if colon else None, "code": after if colon else spelt}
    found = connection.execute(_PLACE, asked).first()
    if found is None:
        raise IndicatorError(
            f"there is no area {spelt!r} in the tree; write its code as GET /api/v1/areas/town "
            "lists it", "area", "area_unknown",
        )  # fmt: skip
    return Place(*found)


_OF_ID = text("""
SELECT a.id, a.layer, a.code, l.tree_level AS level
FROM area a JOIN layer l ON l.name = a.layer WHERE l.tree_level IS NOT NULL AND a.id = :area
""")


def own(connection: Connection, granted: Sequence[int] | None) -> Place | None:
    """The area of somebody who may see one alone, which they mean when they name none."""
    if granted is None or len(granted) != 1:
        return None
    found = connection.execute(_OF_ID, {"area": granted[0]}).first()
    return Place(*found) if found else None


_ORGANISATION = text("SELECT id FROM organisation WHERE code = :code")


def organisation(connection: Connection, code: str) -> int:
    """The number of an organisation, dissolved or not.

    Raises
    ------
    IndicatorError
        There was never one of that code.
    """
    found = connection.execute(_ORGANISATION, {"code": code}).scalar()
    if found is None:
        raise IndicatorError(
            f"there is no organisation {code!r}; GET /api/v1/catalogue lists them",
            "organisation", "organisation_unknown",
        )  # fmt: skip
    return int(found)


_INSIDE = text("""
SELECT EXISTS (SELECT FROM area_path WHERE area_id = :place AND path && CAST(:areas AS bigint[]))
""")


def lies_in(connection: Connection, place: Place, areas: Sequence[int]) -> bool:
    """Whether an area is, or ever lay in, one of these."""
    asked = {"place": place.id, "areas": list(areas)}
    return bool(connection.execute(_INSIDE, asked).scalar_one())
