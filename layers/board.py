"""The board: how well it goes in a period, each figure with what it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from layers.i18n import Lang, Texts
from layers.page import ASSETS, templates

TEXTS: dict[str, tuple[str, str]] = {
    "board": ("指标看板", "Indicators"),
    "switch": ("English", "中文"),
    "map": ("网格总览", "Overview"),
    "queue": ("事件队列", "Queue"),
    "to": ("至", "to"),
    "city": ("全市", "The whole city"),
    "nowhere": ("地点不明", "Place unknown"),
    "year": ("年", "Year"),
    "month": ("月", "Month"),
    "before": ("上年同期", "a year before"),
    "points": ("{n} 个百分点", "{n} points"),
    "by_area": ("分区域", "By area"),
    "area": ("区域", "Area"),
    "as_of": ("数据截至", "Data as of"),
    "never": ("尚未汇总，按明细计算", "not prepared: added up from the rows"),
    "none": ("本期没有数据", "nothing in this period"),
    "rows": ("明细", "rows"),
    "tables": ("下载", "Download"),
    "help": (
        "每个数字下方是分子／分母；点开可见逐条明细。",
        "Below each figure: numerator / denominator, which opens to the rows.",
    ),
}
MAIN = ("in_grid", "closing", "active_grids", "resolution", "flows", "on_time")


@dataclass(frozen=True)
class Column:
    """An indicator on the board.

    Attributes
    ----------
    title, top, bottom : Chinese and English: what it is called, what its parts are
    """

    name: str
    unit: str
    title: tuple[str, str]
    top: tuple[str, str]
    bottom: tuple[str, str]


def board(
    state: Mapping[str, Any], columns: Sequence[Column], *, asked: Mapping[str, str],
    name: str | None = None, as_of: datetime | None = None, lang: Lang = "zh",
) -> str:  # fmt: skip
    """The page as HTML.

    Parameters
    ----------
    state : mapping
        What `GET /api/v1/indicators/board` answers, as plain values.
    columns : sequence of Column
        In the order in which they stand.
    asked : mapping
        The question as parameters of an address: `from`, `to`, `area`, `by`.
    name : str or None
        Of the area; None: the whole city.
    as_of : datetime or None
        How current the figures are, in the city's time.
    """
    t = Texts(lang, TEXTS)
    said = [column for column in columns if column.name in state["total"]]
    return templates.get_template("board.html").render(
        t=t,
        style=Markup((ASSETS / "board.css").read_text(encoding="utf-8")),
        area=name or t("city"),
        up=_address(asked, lang, area=None) if name else None,
        period=state["period"],
        as_of=as_of and as_of.strftime("%Y-%m-%d %H:%M"),
        periods=_periods(asked, state["period"]["last"], lang),
        cards=[_card(c, state["total"][c.name], asked, lang) for c in said if c.name in MAIN],
        others=[_card(c, state["total"][c.name], asked, lang) for c in said if c.name not in MAIN],
        columns=[{"title": _in(column.title, lang)} for column in said],
        lines=[_line(line, said, state["by"], asked, lang) for line in state["lines"]],
        files=[(f, f"/api/v1/indicators/board?{urlencode({**asked, 'format': f})}")
               for f in ("csv", "xlsx")],
        languages=_address(asked, "en" if lang == "zh" else "zh"),
    )  # fmt: skip


def _in(both: tuple[str, str], lang: Lang) -> str:
    return both[lang == "en"]


def _address(asked: Mapping[str, str], lang: Lang, **other: str | None) -> str:
    said = {**asked, **other, "lang": lang}
    return f"/board?{urlencode({key: value for key, value in said.items() if value})}"


def _periods(asked: Mapping[str, str], last: date, lang: Lang) -> dict[str, Any]:
    """Years and months to choose from, as (what it says, address, whether it is this one)."""
    chosen = asked["from"], asked["to"]

    def choice(says: str, first: date, end: date) -> tuple[str, str, bool]:
        both = first.isoformat(), end.isoformat()
        return says, _address(asked, lang, **{"from": both[0], "to": both[1]}), both == chosen

    year = last.year
    return {
        "years": [
            choice(str(y), date(y, 1, 1), date(y, 12, 31)) for y in range(year - 2, year + 2)
        ],
        "months": [
            choice(str(m), date(year, m, 1), date.fromordinal(_next(year, m).toordinal() - 1))
            for m in range(1, 13)
        ],
    }


def _next(year: int, month: int) -> date:
    return date(year + month // 12, month % 12 + 1, 1)


def _card(
    column: Column, figure: Mapping[str, Any], asked: Mapping[str, str], lang: Lang
) -> dict[str, Any]:
    where = {key: asked[key] for key in ("from", "to", "area") if asked.get(key)}
    path = f"/api/v1/indicators/{column.name}/rows"
    return {
        "title": _in(column.title, lang), **_said(column, figure),
        "change": _change(column, figure, lang),
        "before": _before(column, figure["before"]),
        "top": _in(column.top, lang), "bottom": _in(column.bottom, lang),
        "tops": f"{path}?{urlencode({**where, 'part': 'numerator'})}",
        "bottoms": f"{path}?{urlencode({**where, 'part': 'denominator'})}",
    }  # fmt: skip


def _line(
    line: Mapping[str, Any], columns: Sequence[Column], by: str, asked: Mapping[str, str],
    lang: Lang,
) -> dict[str, Any]:  # fmt: skip
    below = {"district": "town", "town": "village", "village": "grid"}.get(by)
    key = line["key"]
    found = [line["figures"].get(column.name) for column in columns]
    return {
        "name": key and key["name"],
        "href": key and below and _address(asked, lang, area=key["code"], by=below),
        "figures": [f and _said(c, f) for c, f in zip(columns, found, strict=True)],
    }


def _said(column: Column, figure: Mapping[str, Any]) -> dict[str, str]:
    return {
        "value": _value(column, figure),
        "numerator": f"{figure['numerator']:,}",
        "denominator": f"{figure['denominator']:,}",
    }


def _value(column: Column, figure: Mapping[str, Any]) -> str:
    value = figure["value"]
    if value is None:
        return "—"
    if column.unit == "share":
        return f"{value * 100:.1f}%"
    return f"{value:,}" if column.unit == "count" else f"{value:.2f}"


def _before(column: Column, before: Mapping[str, Any] | None) -> str | None:
    """What a year before said; None where nothing had happened that could say something."""
    return _value(column, before) if before and before["denominator"] else None


def _change(column: Column, figure: Mapping[str, Any], lang: Lang) -> str | None:
    """Against the year before: in points of a share, in per cent of all else."""
    before = figure["before"] and figure["before"]["value"]
    if before is None or figure["value"] is None:
        return None
    if column.unit == "share":
        return Texts(lang, TEXTS)("points", n=_signed((figure["value"] - before) * 100))
    return f"{_signed((figure['value'] / before - 1) * 100)}%" if before else None


def _signed(number: float) -> str:
    """With its sign, one decimal, and no sign before nothing."""
    rounded = round(number, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"
