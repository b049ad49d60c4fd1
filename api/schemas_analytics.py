"""How analyses are asked for, and what is said while they are worked out."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.schemas import Incoming, Outgoing, Word
from data.analyses.selection import Selection
from data.settings import settings
from layers.i18n import Lang

DAYS = 28
"""The period that is looked at where none is given: four whole weeks."""
Format = Literal["json", "geojson", "csv", "xlsx"]
_Day = Annotated[date, Field(ge=date(1900, 1, 1), lt=date(2200, 1, 1))]


class AskedPeriod(Incoming):
    """Which days, and where."""

    from_: _Day | None = Field(
        None, alias="from", description="first day, in the city's time; else 28 days to the last",
        examples=["2023-01-01"],
    )  # fmt: skip
    to: _Day | None = Field(None, description="last day; else today", examples=["2023-12-31"])
    area: Word | None = Field(
        None, description="code of an area, as 440604010000 or beats:B12; else the whole city"
    )

    def selection(self) -> Selection:
        """In the terms of the domain."""
        today = datetime.now(UTC).astimezone(ZoneInfo(settings().timezone)).date()
        last = self.to or max(today, self.from_ or today)
        return Selection(self.from_ or last - timedelta(days=DAYS - 1), last, self.area)


class AskedSelection(AskedPeriod):
    """Which reports."""

    kind: list[Word] = Field(
        [], max_length=50, description="codes, each with the kinds below it; else all"
    )
    channel: list[Word] = Field([], max_length=50, description="else all")
    hour: list[Annotated[int, Field(ge=0, le=23)]] = Field(
        [], max_length=24, description="of the day, 0 to 23 in the city's time; else all"
    )
    weekday: list[Annotated[int, Field(ge=1, le=7)]] = Field(
        [], max_length=7, description="1 Monday to 7 Sunday; else all"
    )

    def selection(self) -> Selection:
        """In the terms of the domain."""
        return replace(
            super().selection(), kinds=tuple(self.kind), channels=tuple(self.channel),
            hours=tuple(self.hour), weekdays=tuple(self.weekday),
        )  # fmt: skip


class AskedHotspots(AskedSelection):
    """What is tested."""

    by: Literal["cell", "grid"] = Field("cell", description="H3 cells, or grids")
    resolution: int | None = Field(
        None, ge=5, le=11, description="of the cells, as H3 counts; else as fine as a page can hold"
    )
    measure: Literal["km2", "resident"] = Field(
        "km2", description="reports by area, or by resident (of grids)"
    )

    @field_validator("resolution", mode="before")
    @classmethod
    def _nothing(cls, value: Any) -> Any:
        return None if value == "" else value


class AskedForecast(AskedSelection):
    """From which reports what is foretold."""

    ahead: int = Field(7, ge=1, le=92, description="days after the last that are foretold")
    patrols: int = Field(10, ge=1, le=200, description="groups in the patrol plan")


class Spoken(Incoming):
    """A page's language."""

    lang: Lang = Field("zh", description="language of the screen")


class Pending(Outgoing):
    """An analysis that is being worked out."""

    analysis: int
    state: Literal["todo", "running"]
    share: float = Field(ge=0, le=1, description="of the work that is done")
    doing: str


class Analysed(BaseModel):
    """What was worked out; its parts are those of the analysis."""

    model_config = ConfigDict(extra="allow")

    analysis: int
    made: datetime = Field(description="the reports are read as they were then")
    selection: dict[str, Any] = Field(description="what was asked, as it was understood")
    reports: int = Field(description="that it is about, each trouble once")
    unplaced: int = Field(description="more reports that have no position")
