"""The page of an analysis: surfaces over the city's ground, filters, and what the figures mean.

Every analysis draws with this: areas of the ground or cells, coloured by classes, one surface at a
time; a panel of its own; the filters of all. What differs is given, not inherited.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import numpy as np
from folium import LayerControl

from layers.ground import LEVELS, Ground, path
from layers.i18n import TEXTS as MAP_TEXTS
from layers.i18n import Lang, Texts
from layers.page import BaseMap, Call, Shapes

TEXTS: dict[str, tuple[str, str]] = {
    "to": ("至", "to"),
    "city": ("全市", "whole city"),
    "made": ("计算于", "Worked out at"),
    "filters": ("筛选", "Filters"),
    "area": ("区域", "Area"),
    "kind": ("类别", "Kind"),
    "channel": ("渠道", "Channel"),
    "hours": ("时段", "Hours"),
    "weekdays": ("星期", "Weekdays"),
    "from": ("起", "From"),
    "until": ("止", "To"),
    "all": ("全部", "all"),
    "show": ("查看", "Show"),
    "night": ("夜间 22–6 时", "Night, 22–6"),
    "morning": ("上午 6–12 时", "Morning, 6–12"),
    "afternoon": ("下午 12–18 时", "Afternoon, 12–18"),
    "evening": ("晚间 18–22 时", "Evening, 18–22"),
    "workdays": ("周一至周五", "Monday to Friday"),
    "weekend": ("周六、周日", "Saturday, Sunday"),
    "reports_n": ("共 {n} 件上报", "{n} reports"),
    "unplaced_n": ("另有 {n} 件没有坐标，不在图上", "{n} more have no position and are not drawn"),
    "nothing": ("这个时段没有上报", "Nothing was reported in this period"),
    "newest": ("最近的上报在 {day}", "The newest report is of {day}"),
    "go": ("看那 28 天", "See its 28 days"),
    "download": ("下载", "Download"),
    "print": ("打印", "Print"),
    "overview": ("总览", "Overview"),
    "page_hotspots": ("热点", "Hotspots"),
    "page_forecast": ("预测", "Forecast"),
    "page_coverage": ("警网融合", "Beats and grids"),
    "page_workload": ("网格负荷", "Workload"),
    "page_warnings": ("监测预警", "Warnings"),
    "no_value": ("无数据", "no figure"),
}
DAYPARTS = {
    "night": (22, 23, 0, 1, 2, 3, 4, 5), "morning": tuple(range(6, 12)),
    "afternoon": tuple(range(12, 18)), "evening": tuple(range(18, 22)),
}  # fmt: skip
WEEKDAYS = {"workdays": (1, 2, 3, 4, 5), "weekend": (6, 7)}
PAGES = ("hotspots", "forecast", "warnings", "coverage", "workload")
"""Those that link to each other, in this order."""


@dataclass(frozen=True)
class Surface:
    """Something that colours areas or cells; the map shows one at a time.

    Attributes
    ----------
    name : of the layer, in the page
    title : in the layer control
    legend : what the classes are of, above them
    of : a level of the ground (`grids`, `villages` …, `dedicated`, `beats`), or `cells`
    classes : (colour, label) from first to last
    fill : the class of each area or cell, in the order of the ground; -1: it has no figure
    note : a line below the legend
    """

    name: str
    title: str
    legend: str
    of: str
    classes: Sequence[tuple[str, str]]
    fill: Sequence[int]
    note: str = ""


@dataclass(frozen=True)
class Tip:
    """A line of the tooltips of a level, or of the cells.

    Attributes
    ----------
    label : before the figure
    values : of each area or cell: numbers or texts; None: the line is left out there
    help : what the figure means, in a small line below it
    """

    label: str
    values: Sequence[Any]
    help: str = ""


@dataclass(frozen=True)
class Filters:
    """What the reader can narrow the analysis to, and what it is narrowed to now.

    Attributes
    ----------
    first, last : days, both included
    areas, kinds : (code, name) to choose from
    channels : to choose from
    area, kind, channel, hours, weekdays : what is chosen; the last two as numbers
    more : of the analysis itself: name in the address to (label, chosen, (value, label) …)
    """

    first: date
    last: date
    areas: Sequence[tuple[str, str]] = ()
    kinds: Sequence[tuple[str, str]] = ()
    channels: Sequence[str] = ()
    area: str | None = None
    kind: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    hours: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()
    more: Mapping[str, tuple[str, str, Sequence[tuple[str, str]]]] = field(default_factory=dict)

    def address(self, **other: Any) -> str:
        """The query of the page, with something changed."""
        said: dict[str, Any] = {
            "from": self.first.isoformat(), "to": self.last.isoformat(), "area": self.area,
            "kind": self.kind, "channel": self.channel, "hour": self.hours,
            "weekday": self.weekdays, **{name: each[1] for name, each in self.more.items()},
            **other,
        }  # fmt: skip
        return urlencode({name: v for name, v in said.items() if v not in (None, ())}, doseq=True)


@dataclass(frozen=True)
class Frame:
    """What every page of an analysis is given.

    Attributes
    ----------
    name : in its address: `/maps/{name}`, `/api/v1/analytics/{name}`
    title : of the page
    filters : see there
    reports, unplaced : how many it is about, and how many more have no position
    newest : the last day of which anything is reported, where there is nothing
    now, made : when the page is drawn, and from when its figures are
    note : a sentence that the reader has to know before the figures, such as why there are none
    """

    name: str
    title: str
    filters: Filters
    reports: int
    unplaced: int
    newest: date | None
    now: datetime
    made: datetime
    note: str = ""


def analysis(
    frame: Frame,
    ground: Ground,
    surfaces: Sequence[Surface],
    tips: Mapping[str, Sequence[Tip]],
    *,
    panel: str,
    values: Mapping[str, Any],
    say: Texts,
    cells: Sequence[Sequence[int]] = (),
    scripts: Sequence[str] = (),
    styles: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
    timezone: str = "Asia/Shanghai",
    self_contained: bool = False,
) -> str:
    """The page as HTML.

    Parameters
    ----------
    ground : from :func:`layers.ground.ground`
    tips : by level, or `cells`: the lines of its tooltips
    panel, values : the template of the analysis' own panel, and what it is given
    say : the texts of the analysis itself
    cells : each a ring of integers, 1e-5 degrees: west–east and south–north of its first vertex,
        then the steps from vertex to vertex
    scripts, styles : assets of its own, after those of every analysis
    data : for its own scripts
    self_contained : put every asset inside, so that the file opens without a server
    """
    lang: Lang = say.lang
    words = Texts(lang, {**MAP_TEXTS, **TEXTS})
    west, south, east, north = ground.bounds
    focus = _focus(ground, frame.filters.area)
    place = focus[2] if focus else ground.city or words("city")
    page = BaseMap(f"{place} · {frame.title}", lang, ((west + east) / 2, (south + north) / 2))
    zone = ZoneInfo(timezone)
    page.add_data(
        {
            **ground.packed,
            "texts": {**words.raw(), **say.raw()},
            "bounds": [[south, west], [north, east]],
            "finest": ground.finest,
            "focus": focus and focus[:2],
            "cells": cells,
            "surfaces": {
                s.name: {"of": s.of, "fill": s.fill, "classes": s.classes} for s in surfaces
            },
            "tips": {of: [vars(tip) for tip in lines] for of, lines in tips.items()},
            "now": frame.now.timestamp() * 1000,
            **(data or {}),
        }
    )
    for style in ("analysis.css", *styles):
        page.add_style(style)
    for script in ("ground.js", "analysis.js", *scripts):
        page.add_script(script)
    page.add_panel(
        "analysis.html",
        place=place, t=words, words=words, say=say, frame=frame, filters=frame.filters,
        ground=ground, surfaces=surfaces, narrowing=True, panel=panel, dayparts=DAYPARTS,
        made=f"{frame.made.astimezone(zone):%Y-%m-%d %H:%M}",
        weekdays=WEEKDAYS, pages=links(frame.name, words),
        switch=None if self_contained else {"zh": "en", "en": "zh"}[lang],
        newest=_newest(frame), **values,
    )  # fmt: skip
    if ground.finest:
        _add_layers(page, ground, surfaces, words)
    return page.html(self_contained)


def _focus(ground: Ground, area: str | None) -> tuple[str, int, str] | None:
    """The area that the page is narrowed to, if the ground has it: level, position, name."""
    for level in LEVELS if area else ():
        if level not in ground.areas:
            continue
        at = np.flatnonzero(ground.areas[level]["code"].to_numpy() == area)
        if len(at):
            return level, int(at[0]), path(ground, level, int(at[0]))[0]
    return None


def links(name: str, words: Texts) -> list[tuple[str, str]]:
    """The other analyses: name in the address, and title."""
    return [(each, words(f"page_{each}")) for each in PAGES if each != name]


def _newest(frame: Frame) -> str | None:
    """The address of the 28 days up to the newest report, where there is none in the period."""
    if frame.newest is None:
        return None
    return frame.filters.address(**{"from": None, "to": frame.newest.isoformat()})


def _add_layers(page: BaseMap, ground: Ground, surfaces: Sequence[Surface], words: Texts) -> None:
    page.add_child(Call("start"))
    for i, surface in enumerate(surfaces):
        page.add_child(Shapes(surface.name, surface.title, overlay=False, show=i == 0))
    for name in ("water", "roads", "borders"):
        if name == "borders" or ground.packed[name].get("name" if name == "water" else "class"):
            page.add_child(Shapes(name, words(f"layer_{name}")))
    if ground.packed["beats"]["code"]:
        page.add_child(Shapes("beats", words("layer_beats"), show=False))
    page.add_child(LayerControl(collapsed=False))
    page.add_child(Call("finish"))
