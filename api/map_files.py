"""A map as a file for a report: the page that stands alone, a picture, or a sheet of paper."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from sqlalchemy import Engine

from api import exhibits
from api.exhibits import EXHIBITS
from api.maps import draw_overview, make_ground
from api.schemas_analytics import AskedSelection
from data import territory
from data.analyses import work
from data.analyses.kept import Say
from data.indicators import prepared
from data.settings import settings
from layers import headless
from layers.i18n import Lang

OVERVIEW = "overview"
ENDINGS = (".html", ".png", ".pdf")
WALL = (1920, 1080)
MOST_PIXELS = 8000


def names() -> tuple[str, ...]:
    """The maps that can be written."""
    return (OVERVIEW, *EXHIBITS)


@dataclass(frozen=True)
class Wish:
    """A map that is wished for as a file.

    Attributes
    ----------
    name : one of `names()`
    file : ends in one of `ENDINGS`, in a folder that is there
    asked : what its page can be asked, by its names in the query (`from`, `to`, `area` …)
    lang : of the page
    size : of a picture, (wide, high) pixels

    Raises
    ------
    ValueError
        One of them cannot be; the sentence says which and what can.
    """

    name: str
    file: Path
    asked: Mapping[str, Any]
    lang: Lang = "zh"
    size: tuple[int, int] = WALL

    def __post_init__(self) -> None:
        if self.name not in names():
            raise ValueError(f"there is no map {self.name!r}; there are {', '.join(names())}")
        if self.ending not in ENDINGS:
            raise ValueError(f"{self.file} has to end in {', '.join(ENDINGS[:-1])} or .pdf")
        if not self.file.parent.is_dir():
            raise ValueError(f"there is no folder {self.file.parent}; make it first")
        if self.lang not in ("zh", "en"):
            raise ValueError(f"the language {self.lang!r} is not known; say zh or en")
        if not all(200 <= side <= MOST_PIXELS for side in self.size):
            raise ValueError(f"a picture is 200 to {MOST_PIXELS} pixels wide and high")
        if self.ending != ".html":
            headless.browser()

    @property
    def ending(self) -> str:
        """Of the file, by which it is told what it holds."""
        return self.file.suffix.lower()


def size(spelt: str) -> tuple[int, int]:
    """The (wide, high) pixels of `1920x1080`."""
    wide, _, high = spelt.lower().replace("×", "x").partition("x")
    try:
        return int(wide), int(high)
    except ValueError:
        raise ValueError(f"{spelt!r} is no size; write it as 1920x1080") from None


def save(engine: Engine, wish: Wish, now: datetime, say: Say) -> None:
    """Write a map, its answer worked out here unless a good one is kept.

    Raises
    ------
    ValueError
        The area is not known, or what is asked cannot be.
    RuntimeError
        The browser did not draw it.
    """
    drawing = _overview if wish.name == OVERVIEW else _exhibit
    html = drawing(engine, wish, now, say)
    if wish.ending == ".html":
        wish.file.write_text(html, encoding="utf-8")
        return
    say("drawn by the browser", 0.9)
    drawn = headless.pdf(html) if wish.ending == ".pdf" else headless.png(html, wish.size)
    wish.file.write_bytes(drawn)


def _exhibit(engine: Engine, wish: Wish, now: datetime, say: Say) -> str:
    exhibit = EXHIBITS[wish.name]
    asked = _read(exhibit.asked, wish.asked)
    selection = asked.selection()
    with engine.connect() as connection:
        area = territory.id_of(connection, selection.area)
    # An answer is good until reports change, which is known once they are added up.
    prepared.refresh_all(engine, settings().timezone, say)
    row = work.answered(engine, exhibit.question(asked, selection, area), say)
    say("drawn", 0.8)
    with engine.connect() as connection:
        return exhibits.page(
            connection, exhibit, asked, row, make_ground(connection, exhibit.levels(asked)),
            lang=wish.lang, now=now, self_contained=True,
        )  # fmt: skip


def _read(model: Any, said: Mapping[str, Any]) -> Any:
    """What is asked, checked; the faults are named as the options of the command."""
    try:
        return model.model_validate(dict(said))
    except ValidationError as error:
        faults = [f"--{each['loc'][0]}: {each['msg']}" for each in error.errors()]
        raise ValueError("; ".join(faults)) from None


def _overview(engine: Engine, wish: Wish, now: datetime, say: Say) -> str:
    """Of the days from first to last; of today where none is named."""
    if other := [name for name in wish.asked if name not in ("from", "to")]:
        raise ValueError(f"the overview shows all reports of its days; leave --{other[0]} out")
    zone = ZoneInfo(settings().timezone)
    days = _read(AskedSelection, wish.asked)
    last: date = days.to or days.from_ or now.astimezone(zone).date()
    first: date = days.from_ or last
    if last < first:
        raise ValueError(f"the period ends on {last}, before it begins on {first}")
    period = (
        datetime.combine(first, time(), zone),
        datetime.combine(last + timedelta(days=1), time(), zone),
    )
    say("drawn", 0.5)
    with engine.connect() as connection:
        return draw_overview(
            connection, make_ground(connection), period, now=now, lang=wish.lang,
            self_contained=True,
        )  # fmt: skip
