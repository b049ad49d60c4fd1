"""The page of the hot spots: what chance does not explain, since when, and how it is spread."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from layers.analysis import Frame, Surface, Tip, analysis
from layers.ground import Ground
from layers.i18n import Lang, Texts
from layers.style import NONE, breaks, colours

TEXTS: dict[str, tuple[str, str]] = {
    "tested": ("显著性（Gi*，错误发现率受控）", "Significance (Gi*, false discoveries controlled)"),
    "hot3": ("热点，q ≤ 0.01", "hot, q ≤ 0.01"),
    "hot2": ("热点，q ≤ 0.05", "hot, q ≤ 0.05"),
    "hot1": ("热点，q ≤ 0.10", "hot, q ≤ 0.10"),
    "usual": ("不显著", "not significant"),
    "cold1": ("冷点，q ≤ 0.10", "cold, q ≤ 0.10"),
    "cold2": ("冷点，q ≤ 0.05", "cold, q ≤ 0.05"),
    "cold3": ("冷点，q ≤ 0.01", "cold, q ≤ 0.01"),
    "tested_note": (
        "q：若把 q 不高于此值的都称为热点，其中误报所占的比例",
        "q: of all that are called at this level, the share that is chance",
    ),
    "counts": ("上报件数", "Reports"),
    "rates": ("每千居民上报（平滑）", "Reports per 1,000 residents (smoothed)"),
    "rates_note": (
        "人口少的网格向全市平均收缩（经验贝叶斯）",
        "Where few live the rate is drawn to the mean (empirical Bayes)",
    ),
    "heat": ("密度（核密度）", "Density (kernel)"),
    "heat_legend": ("每平方公里每日件数", "Reports per km² and day"),
    "heat_note": ("核半径 {m} 米；密度图不说明显著性", "Radius {m} m; it says nothing of chance"),
    "pattern": ("演变（时空类型）", "Since when (space-time patterns)"),
    "new": ("新出现", "new"),
    "growing": ("持续且增强", "growing"),
    "persistent": ("持续", "persistent"),
    "fading": ("持续但减弱", "fading"),
    "sporadic": ("时有时无", "sporadic"),
    "historical": ("已消退", "past"),
    "not_hot": ("非热点", "no hot spot"),
    "pattern_note": (
        "把时段等分为 {n} 段，每段各做一次 Gi* 检验，再看趋势",
        "The period in {n} parts, Gi* in each, and their trend",
    ),
    "moran": ("局部莫兰指数", "Local Moran's I"),
    "high_high": ("高–高（聚集）", "high among high"),
    "low_high": ("低–高", "low among high"),
    "low_low": ("低–低", "low among low"),
    "high_low": ("高–低（孤点）", "high among low"),
    "none": ("无", "none"),
    "more": ("{n} 及以上", "{n} and more"),
    "tip_count": ("上报", "Reports"),
    "tip_q": ("q 值", "q"),
    "tip_z": ("Gi*（标准差）", "Gi* (standard deviations)"),
    "tip_rate": ("每千居民", "per 1,000 residents"),
    "tip_why": ("未称为热点", "Not called"),
    "why_1": ("没有人口或边界外", "nobody lives there, or outside"),
    "why_2": ("没有相邻单元", "no neighbours"),
    "why_3": ("周围上报太少", "too few reports around"),
    "why_4": ("周围人口太少", "too few residents around"),
    "why_5": ("全图上报太少", "too few reports in all"),
    "why_6": ("各处相同", "all the same"),
    "edge": ("只有 {n}% 在范围内", "{n}% of it lies in the area"),
    "found": ("{n} 个热点单元（q ≤ 0.05）", "{n} hot cells (q ≤ 0.05)"),
    "hold": ("占面积 {area}，占上报 {share}", "{area} of the ground, {share} of the reports"),
    "no_hot": (
        "没有发现超出偶然的热点",
        "Nothing is hotter than chance explains",
    ),
    "top": ("最显著的热点", "The hottest"),
    "when": ("什么时候", "When"),
    "whole": ("全时段", "the whole period"),
    "by_bins": ("分段", "parts"),
    "by_hours": ("钟点", "hours"),
    "by_weekdays": ("星期", "weekdays"),
    "play": ("播放", "Play"),
    "stop": ("停止", "Stop"),
    "weekday": ("一二三四五六日", "MTWTFSS"),
    "calendar": ("每日件数", "Reports by day"),
    "kinds": ("类别", "Kinds"),
    "no_kind": ("未分类", "no kind"),
    "by": ("单元", "Unit"),
    "by_cell": ("六边形", "cells"),
    "by_grid": ("网格", "grids"),
    "resolution": ("六边形大小", "Size of cells"),
    "automatic": ("自动", "automatic"),
    "measure": ("指标", "Measure"),
    "by_km2": ("按面积", "by area"),
    "by_resident": ("按居民", "by resident"),
    "method": (
        "检验：{n:,} 次随机排列；少于 5 件的邻域不称为热点；边缘单元按其在范围内的面积计",
        "Tests: {n:,} random draws; with fewer than 5 reports around nothing is called; cells at "
        "the edge count by their ground inside",
    ),
}  # fmt: skip
BANDS = (
    (3, "hot3", "#8c1515"), (2, "hot2", "#d7432e"), (1, "hot1", "#f9a58a"), (0, "usual", "#f3f0ea"),
    (-1, "cold1", "#b9d3e6"), (-2, "cold2", "#6ca3cc"), (-3, "cold3", "#2a6098"),
)  # fmt: skip
PATTERNS = (
    ("new", "#e6007e", (1,)), ("growing", "#8c1515", (3,)), ("persistent", "#d7432e", (4,)),
    ("fading", "#f0a24c", (5,)), ("sporadic", "#e8cf6a", (2, 6, 7)),
    ("historical", "#9a8fb0", (8,)),
    ("not_hot", "#f3f0ea", ()),
)  # fmt: skip
QUADRANTS = (
    (1, "high_high", "#b3341f"), (4, "high_low", "#f0a24c"), (2, "low_high", "#8fb8d8"),
    (3, "low_low", "#2a6098"), (0, "usual", "#f3f0ea"),
)  # fmt: skip
HEAT = ("#fdeccb00", "#fdc98a", "#fc8d59", "#d7432e", "#8c1515")
KINDS = 8
Ints = npt.NDArray[np.int64]


def hotspots(
    answer: Mapping[str, Any], ground: Ground, frame: Frame, *, lang: Lang = "zh",
    timezone: str = "Asia/Shanghai", self_contained: bool = False,
) -> str:  # fmt: skip
    """The page as HTML.

    Parameters
    ----------
    answer : of :mod:`data.analyses.hotspots`: ``units`` (tables by cell or grid), ``heat``, what
        stands beside the map
    """
    say = Texts(lang, TEXTS)
    units = answer["units"]
    surfaces: list[Surface] = []
    tips: dict[str, list[Tip]] = {}
    data: dict[str, Any] = {"heat": answer["heat"]}
    if units is not None and ground.finest:
        of, order = _order(answer, ground)
        surfaces = _surfaces(units, of, order, answer, say)
        tips = {of: _tips(units, order, say)}
        data |= _slots(units, order, say)
    if answer["heat"] is not None:
        surfaces.append(_heat(answer["heat"], say))
    values = {
        "found": _found(units, say),
        "top": _top(units, answer, ground),
        "calendar": _calendar(answer["days"], frame.filters.first),
        "weekday": say("weekday"),
        "kinds": _kinds(answer, frame, say),
        "method": say("method", n=units["permutations"]) if units else "",
        "slots": bool(units),
    }
    return analysis(
        frame, ground, surfaces, tips, panel="hotspots.html", values=values, say=say,
        cells=units.get("ring", ()) if units else (), scripts=("hotspots.js",),
        styles=("hotspots.css",), data=data, timezone=timezone, self_contained=self_contained,
    )  # fmt: skip


def _order(answer: Mapping[str, Any], ground: Ground) -> tuple[str, Ints]:
    """What is drawn, and the unit behind each drawn shape; -1: none."""
    units = answer["units"]
    if "ring" in units:
        return "cells", np.arange(len(units["code"]))
    if ground.finest != "grids":
        return "grids", np.full(0, -1)
    place = {code: i for i, code in enumerate(units["code"])}
    drawn = ground.areas["grids"]["code"]
    return "grids", np.array([place.get(code, -1) for code in drawn], dtype=np.int64)


def _in_order(values: Sequence[Any], order: Ints, missing: Any = None) -> list[Any]:
    return [values[i] if i >= 0 else missing for i in order.tolist()]


def _surfaces(
    units: Mapping[str, Any], of: str, order: Ints, answer: Mapping[str, Any], say: Texts
) -> list[Surface]:
    bands = {band: i for i, (band, _, _) in enumerate(BANDS)}
    tested = [bands[b] for b in units["band"]]
    out = [
        Surface("tested", say("tested"), say("tested"), of, _named(BANDS, say),
                _in_order(tested, order, -1), say("tested_note")),
    ]  # fmt: skip
    if units["pattern"] is not None:
        which = {code: i for i, (_, _, codes) in enumerate(PATTERNS) for code in codes}
        fill = [which.get(code, len(PATTERNS) - 1) for code in units["pattern"]]
        classes = [(colour, say(name)) for name, colour, _ in PATTERNS]
        note = say("pattern_note", n=len(units["starts"]))
        out.append(Surface("pattern", say("pattern"), say("pattern"), of, classes,
                           _in_order(fill, order, -1), note))  # fmt: skip
    out.append(_counted("counts", units["count"], of, order, say))
    if units["rate"] is not None:
        rated = [None if v is None else v * 10 for v in units["rate"]]
        surface = _counted("rates", rated, of, order, say, tenths=True)
        out.append(surface)
    quadrants = {code: i for i, (code, _, _) in enumerate(QUADRANTS)}
    fill = [quadrants[each] for each in units["quadrant"]]
    out.append(Surface("moran", say("moran"), say("moran"), of, _named(QUADRANTS, say),
                       _in_order(fill, order, -1), say("tested_note")))  # fmt: skip
    return out


def _named(classes: Sequence[tuple[int, str, str]], say: Texts) -> list[tuple[str, str]]:
    return [(colour, say(name)) for _, name, colour in classes]


def _counted(
    name: str, values: Sequence[Any], of: str, order: Ints, say: Texts, *, tenths: bool = False
) -> Surface:
    """A surface of counts in classes; with `tenths` the values are ten times what is shown."""
    given = np.array([np.nan if v is None else v for v in values], float)
    cuts = breaks(np.ceil(np.nan_to_num(given)).astype(int))
    fill = np.searchsorted(cuts, np.floor(given), side="right")
    fill[np.isnan(given)] = -1
    classes = [(NONE, say("none"))]
    shown = [f"{cut / 10:g}" if tenths else f"{cut:,}" for cut in cuts]
    ends = [f"{(cut - 1) / 10:g}" if tenths else f"{cut - 1:,}" for cut in cuts[1:]]
    for i, colour in enumerate(colours(len(cuts))):
        last = i + 1 == len(cuts)
        label = say("more", n=shown[i]) if last else f"{shown[i]}–{ends[i]}"
        classes.append((colour, shown[i] if not last and shown[i] == ends[i] else label))
    note = say("rates_note") if tenths else ""
    return Surface(
        name, say(name), say(name), of, classes, _in_order(fill.tolist(), order, -1), note
    )


def _heat(heat: Mapping[str, Any], say: Texts) -> Surface:
    """The density; its page draws the picture itself."""
    top = heat["top"] or 0
    steps = [f"{top * i / (len(HEAT) - 1):.2g}" for i in range(len(HEAT))]
    note = say("heat_note", m=heat["bandwidth_m"])
    return Surface("heat", say("heat"), say("heat_legend"), "picture",
                   list(zip(HEAT, steps, strict=True)), (), note)  # fmt: skip


def _tips(units: Mapping[str, Any], order: Ints, say: Texts) -> list[Tip]:
    why = [None if not r else say(f"why_{r}") for r in units["reason"]]
    edge = [None if s >= 0.999 else say("edge", n=round(100 * s)) for s in units["share_inside"]]
    lines = [
        Tip(say("tip_count"), _in_order(units["count"], order)),
        Tip(say("tip_z"), _in_order(units["z"], order)),
        Tip(say("tip_q"), _in_order(units["q"], order)),
        Tip(say("tip_why"), _in_order(why, order)),
        Tip("", _in_order(edge, order)),
    ]
    if units["rate"] is not None:
        lines.insert(1, Tip(say("tip_rate"), _in_order(units["rate"], order)))
    return lines


def _slots(units: Mapping[str, Any], order: Ints, say: Texts) -> dict[str, Any]:
    """For the slider: of each part of time the class of every shape as a digit, and its label."""
    out: dict[str, Any] = {}
    for name in ("bins", "hours", "weekdays"):
        counts = np.array(units[name])
        cuts = breaks(counts) if counts.size else []
        digits = np.searchsorted(cuts, counts, side="right")
        lines = ["".join(map(str, _in_order(each, order, 0))) for each in digits.tolist()]
        labels = {
            "bins": units["starts"],
            "hours": [f"{h}:00–{h + 1}:00" for h in range(24)],
            "weekdays": list(say("weekday")),
        }[name]
        shades = [NONE, *colours(len(cuts))]
        out[name] = {"digits": lines, "labels": labels, "colours": shades, "cuts": cuts}
    return {"slots": out}


def _found(units: Mapping[str, Any] | None, say: Texts) -> list[str]:
    """How much is hot, in a line or two."""
    if units is None or not units["count"]:
        return []
    band, count = np.array(units["band"]), np.array(units["count"])
    hot = band >= 2
    if not hot.any():
        return [say("no_hot")]
    inside = np.array(units["share_inside"])
    area = f"{100 * inside[hot].sum() / max(inside.sum(), 1e-9):.1f} %"
    share = f"{100 * count[hot].sum() / max(count.sum(), 1):.1f} %"
    return [say("found", n=f"{int(hot.sum()):,}"), say("hold", area=area, share=share)]


def _top(
    units: Mapping[str, Any] | None, answer: Mapping[str, Any], ground: Ground
) -> list[dict[str, Any]]:
    if units is None or not ground.finest:
        return []
    of, order = _order(answer, ground)
    place = {unit: i for i, unit in enumerate(order.tolist())}
    return [
        {**each, "of": of, "position": place.get(each["unit"]),
         "colour": next(c for band, _, c in BANDS if band == each["band"])}
        for each in units["top"]
    ]  # fmt: skip


def _calendar(days: Sequence[int], first: date) -> list[dict[str, Any]]:
    """A square of each day: column by week, row by weekday, shade by count."""
    cuts = breaks(days)
    shades = [NONE, *colours(len(cuts))]
    out = []
    for i, n in enumerate(days[-371:]):
        day = first + timedelta(days=max(len(days) - 371, 0) + i)
        column = (i + (first + timedelta(days=max(len(days) - 371, 0))).weekday()) // 7
        shade = shades[int(np.searchsorted(cuts, n, side="right"))]
        out.append({"day": day, "n": n, "x": column, "y": day.weekday(), "colour": shade})
    return out


def _kinds(answer: Mapping[str, Any], frame: Frame, say: Texts) -> list[tuple[str, int, float]]:
    titles = dict(frame.filters.kinds)
    rows = [(titles.get(kind, kind), n) for kind, n in answer["kinds"][:KINDS]]
    if answer["no_kind"]:
        rows.append((say("no_kind"), answer["no_kind"]))
    most = max((n for _, n in rows), default=1)
    return [(title, n, 100 * n / most) for title, n in rows]
