"""The page of the warnings: what is more than usual, where, whose it is and until when."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from folium import LayerControl

from layers.analysis import PAGES
from layers.analysis import TEXTS as ANALYSIS_TEXTS
from layers.ground import Ground
from layers.i18n import TEXTS as MAP_TEXTS
from layers.i18n import Lang, Texts
from layers.page import BaseMap, Call, Shapes

TEXTS: dict[str, tuple[str, str]] = {
    "warnings": ("监测预警", "Warnings"),
    "open": ("待接收", "to be accepted"),
    "late_n": ("逾期", "late"),
    "accepted": ("处置中", "under way"),
    "usual": ("往常 {n}", "usually {n}"),
    "observed": ("近七天 {n} 件", "{n} in seven days"),
    "score": ("分值", "Score"),
    "due": ("{when} 前接收", "accept by {when}"),
    "overdue": ("已逾期（{when}）", "late since {when}"),
    "at_work": ("{when} 已接收", "accepted {when}"),
    "words": ("上报中常见：{words}", "Words: {words}"),
    "no_kind": ("未分类", "no kind"),
    "topic": ("话题", "Topic"),
    "course": ("每周件数，最后一根为近七天", "By week; the last bar is the last seven days"),
    "layer_warnings": ("预警区域", "Areas warned of"),
    "none": ("没有未办结的预警", "No warning is open"),
    "none_yet": ("尚未研判", "Nothing was looked at yet"),
    "looked": (
        "{day} 研判：{series} 个序列（区域×类别），{weeks} 周上报",
        "Looked at on {day}: {series} series (areas by kinds), {weeks} weeks of reports",
    ),
    "looking": ("{day} 正在研判", "The look of {day} is being worked out"),
    "cannot": ("{day} 无法研判：{why}", "The look of {day} could not be: {why}"),
    "false": (
        "若一切如常，平均每次研判误报 {one} 条，每周不超过 {week} 条；预警中误报长期不超过 {rate}",
        "If nothing is going on a look has {one} false warnings on average, a week at most {week}; "
        "of all warnings at most {rate} are false in the long run",
    ),
}  # fmt: skip
SHAPED = {"district": "districts", "town": "towns", "village": "villages"}
BARS = 26
"""Weeks that a course shows: half a year."""
COLOURS = {"late": "#b93a00", "open": "#d98200", "accepted": "#0b5c94"}


def early_warnings(
    ground: Ground, rows: Sequence[Mapping[str, Any]], looks: Sequence[Mapping[str, Any]], *,
    now: datetime, lang: Lang = "zh", timezone: str = "Asia/Shanghai",
    self_contained: bool = False,
) -> str:  # fmt: skip
    """The page as HTML.

    Parameters
    ----------
    ground : Ground
        With districts, towns and villages.
    rows, looks : from `data.early_warning_lists`, `urgent` and `looks`
    """
    say = Texts(lang, {**MAP_TEXTS, **ANALYSIS_TEXTS, **TEXTS})
    zone = ZoneInfo(timezone)
    west, south, east, north = ground.bounds
    city = ground.city or say("city")
    shown = [_shown(ground, row, say, zone) for row in rows]
    page = BaseMap(f"{city} · {say('warnings')}", lang, ((west + east) / 2, (south + north) / 2))
    page.add_data(
        {
            **ground.packed, "texts": say.raw(), "bounds": [[south, west], [north, east]],
            "finest": ground.finest, "cells": [], "surfaces": {}, "tips": {},
            "now": now.timestamp() * 1000, "colours": COLOURS,
            "warnings": [each for each in shown if each["position"] is not None],
        }
    )  # fmt: skip
    for style in ("analysis.css", "early_warnings.css"):
        page.add_style(style)
    for script in ("ground.js", "analysis.js", "early_warnings.js"):
        page.add_script(script)
    page.add_panel(
        "early_warnings.html", t=say, city=city, source=ground.source, warnings=shown,
        colours=COLOURS, counts={s: sum(e["state"] == s for e in shown) for s in COLOURS},
        looked=_looked(looks, say), made=f"{now.astimezone(zone):%Y-%m-%d %H:%M}",
        pages=[(n, say(f"page_{n}")) for n in PAGES if n != "warnings"],
        switch=None if self_contained else {"zh": "en", "en": "zh"}[lang],
    )  # fmt: skip
    if ground.finest:
        _add_layers(page, ground, say)
    return page.html(self_contained)


def _add_layers(page: BaseMap, ground: Ground, say: Texts) -> None:
    page.add_child(Call("start"))
    for name in ("water", "roads", "borders"):
        if name == "borders" or ground.packed[name].get("name" if name == "water" else "class"):
            page.add_child(Shapes(name, say(f"layer_{name}")))
    page.add_child(Shapes("warnings", say("layer_warnings")))
    page.add_child(LayerControl(collapsed=False))
    page.add_child(Call("finish"))


def _shown(ground: Ground, row: Mapping[str, Any], say: Texts, zone: ZoneInfo) -> dict[str, Any]:
    """A warning as the list and the map tell it."""
    area = row["area"]
    level = SHAPED.get(area["layer"], "")
    codes = ground.areas[level]["code"].tolist() if level in ground.areas else []
    what = row["kind_title"] or row["kind"] or say("no_kind")
    words = "、".join(row["words"][:4])
    state = "late" if row["late"] else row["state"]
    until = row["accepted"] if row["state"] == "accepted" else row["due"]
    sentence = {"late": "overdue", "open": "due", "accepted": "at_work"}[state]
    return {
        "number": row["number"], "state": state, "level": level,
        "position": codes.index(area["code"]) if area["code"] in codes else None,
        "title": f"{say('topic')} {words}" if row["model"] == "topic" else what,
        "words": say("words", words=words) if words and row["model"] != "topic" else "",
        "area": area["name"] or area["code"], "owner": row["owner_name"],
        "observed": say("observed", n=row["observed"]),
        "usual": say("usual", n=f"{row['expected']:.1f}"), "score": f"{row['score']:.1f}",
        "when": say(sentence, when=f"{until.astimezone(zone):%m-%d %H:%M}"),
        "bars": _bars(row["inputs"].get("counts", ()), row["expected"]),
    }  # fmt: skip


def _bars(counts: Sequence[int], expected: float) -> dict[str, Any] | None:
    """Heights of the last weeks, and of the usual, as shares of the highest."""
    last = list(counts)[-BARS:]
    most = max([*last, expected, 1])
    return {"heights": [n / most for n in last], "usual": expected / most} if last else None


def _looked(looks: Sequence[Mapping[str, Any]], say: Texts) -> list[str]:
    """What the newest looks say: how much was watched, how many warnings are false, or why none."""
    if not looks:
        return [say("none_yet")]
    lines = []
    for look in looks:
        if look["taken"] is None:
            lines.append(say("looking", day=look["day"]))
            continue
        if look["cannot"]:
            return [*lines, say("cannot", day=look["day"], why=look["cannot"])]
        series = f"{look['series']:,}"
        lines.append(say("looked", day=look["day"], series=series, weeks=look["weeks"]))
        one, week = f"{look['quiet']:.2f}", f"{look['quiet_week_at_most']:.1f}"
        return [*lines, say("false", one=one, week=week, rate=f"{look['rate']:.0%}")]
    return lines
