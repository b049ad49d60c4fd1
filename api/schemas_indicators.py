"""What indicators look like when they go out, and how they are asked for."""

from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from api.schemas import BIGGEST, Incoming, Outgoing, Word
from data.indicators.question import By
from data.settings import settings

Breakdown = By
Format = Literal["json", "csv", "xlsx"]


class Asked(Incoming):
    """Which rows are counted."""

    from_: date | None = Field(
        None, alias="from", ge=date(1900, 1, 1), lt=date(2200, 1, 1),
        description="first day, in the city's time; else the first of this year",
        examples=["2023-01-01"],
    )  # fmt: skip
    to: date | None = Field(
        None, ge=date(1900, 1, 1), lt=date(2200, 1, 1),
        description="last day; else today", examples=["2023-12-31"],
    )  # fmt: skip
    area: Word | None = Field(None, description="code of an area of the tree; else the whole city")
    organisation: Word | None = Field(None, description="code: only what it answers for")
    kind: Word | None = Field(None, description="code: only what is about this")
    areas: Literal["then", "now"] = Field(
        "then", description="areas as they were, or today's, to which rows are mapped"
    )

    def days(self) -> tuple[date, date]:
        """First and last day."""
        today = datetime.now(UTC).astimezone(ZoneInfo(settings().timezone)).date()
        last = self.to or today
        return self.from_ or last.replace(month=1, day=1), last


class AskedFigures(Asked):
    """Which figures."""

    by: Breakdown | None = Field(None, description="one figure for each; else one for all")
    version: int | None = Field(None, ge=1, le=1000, description="of the definition; else the one "
                                "that holds on the first day")  # fmt: skip
    format: Format = "json"


class AskedBoard(Asked):
    """Which board."""

    by: Literal["district", "town", "village", "grid"] = "town"
    format: Format = "json"


class AskedRows(Asked):
    """Which rows."""

    part: Literal["numerator", "denominator"] = "denominator"
    version: int | None = Field(None, ge=1, le=1000)
    after: int = Field(0, ge=0, le=BIGGEST, description="the last number seen")
    limit: int = Field(100, ge=1, le=1000)
    format: Format = "json"


class Words(Outgoing):
    """In Chinese and English."""

    zh: str
    en: str


class Definition(Outgoing):
    """What an indicator is."""

    name: str
    version: int
    since: date = Field(description="first day on which the definition holds")
    title: Words
    unit: Literal["share", "count", "mean"] = Field(
        description="share and mean: numerator / denominator; count: the numerator"
    )
    numerator: Words
    denominator: Words
    sql: str = Field(description="the rows that are added up")


class Definitions(Outgoing):
    """All indicators."""

    indicators: list[Definition]


class Named(Outgoing):
    """What a figure is about."""

    code: str
    name: str


class Past(Outgoing):
    """The figure of a year before."""

    numerator: int
    denominator: int
    value: float | None


class Shown(Past):
    """A figure with what it is made of."""

    before: Past | None = Field(description="a year before; null: there was nothing")


class Line(Shown):
    """A figure about something."""

    key: Named | None = Field(description="null: all of it, or what has none")


class Period(Outgoing):
    """Days of the city, both counted."""

    first: date
    last: date


class Figures(Outgoing):
    """The figures of an indicator."""

    indicator: str
    version: int
    unit: str
    title: Words
    period: Period
    by: str | None
    areas: str
    refreshed: datetime | None = Field(description="how current prepared figures are; null: never")
    figures: list[Line]


class BoardLine(Outgoing):
    """All indicators of an area."""

    key: Named | None
    figures: dict[str, Shown]


class Board(Outgoing):
    """All indicators of the city or of an area, and of each area in it."""

    period: Period
    by: str
    areas: str
    refreshed: datetime | None
    total: dict[str, Shown]
    lines: list[BoardLine]


class Row(Outgoing):
    """A row of a numerator or a denominator."""

    id: int
    at: datetime | None
    area: str | None = Field(description="code, as it was then")
    kind: str | None
    organisation: str | None
    numerator: int
    denominator: int
    href: str


class Rows(Outgoing):
    """A page of rows."""

    indicator: str
    version: int
    part: str
    rows: list[Row]
    next: str | None
