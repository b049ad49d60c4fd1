"""The page of the load of each grid, and how unevenly it is spread."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from layers.analysis import Frame, Surface, Tip, analysis
from layers.ground import Ground, path
from layers.i18n import Lang, Texts
from layers.style import NONE, breaks, colours

TEXTS: dict[str, tuple[str, str]] = {
    "workload": ("网格负荷", "Workload of the grids"),
    "incidents": ("上报", "Reports"),
    "residents": ("居民", "Residents"),
    "visits": ("走访任务", "Visits due"),
    "travel_h": ("路途（小时）", "Travel (hours)"),
    "per_grid": ("每网格{what}", "{what} per grid"),
    "measure": ("项目", "Measure"),
    "mean": ("平均", "Mean"),
    "most": ("最高", "Most"),
    "gini": ("基尼系数", "Gini"),
    "gini_help": (
        "基尼系数：0 为各网格一样多，1 为全集中在一个网格",
        "Gini: 0 all grids carry alike, 1 one carries everything",
    ),
    "lorenz": ("负荷分布曲线（洛伦兹曲线）", "How the load is spread (Lorenz curve)"),
    "lorenz_help": (
        "横轴：负荷最轻的网格占比；纵轴：它们共同承担的占比。越贴近虚线越均衡。",
        "Across: the share of grids, lightest first; up: what they carry together. The nearer to "
        "the dashed line, the more even.",
    ),
    "busiest": ("上报最多的网格", "Grids with the most reports"),
    "elsewhere": ("{n} 件不在现行网格内", "{n} lie in no grid in force"),
    "none": ("无", "none"),
    "more": ("{n} 及以上", "{n} and more"),
}  # fmt: skip
LOADS = ("incidents", "residents", "visits", "travel_h")
LINES = {"incidents": "#8c1515", "residents": "#0072b2", "visits": "#6a3d9a", "travel_h": "#2e7d4f"}
SHOWN = 8


def workload(
    answer: Mapping[str, Any], ground: Ground, frame: Frame, *, lang: Lang = "zh",
    timezone: str = "Asia/Shanghai", self_contained: bool = False,
) -> str:  # fmt: skip
    """The page as HTML.

    Parameters
    ----------
    answer : of :mod:`data.analyses.workload`: ``grids`` (columns code, name, incidents, residents,
        visits, travel_h), ``spread`` of each load, ``elsewhere``
    """
    say = Texts(lang, TEXTS)
    grids = pd.DataFrame(answer["grids"]).astype(dict.fromkeys(LOADS, float))
    surfaces, tips = _drawn(ground, grids, say)
    spread = [
        {"load": load, "colour": LINES[load], **answer["spread"][load]}
        for load in LOADS
        if answer["spread"][load]["gini"] is not None
    ]
    values = {
        "spread": spread,
        "curves": {each["load"]: _points(each["lorenz"]) for each in spread},
        "busiest": _busiest(ground, grids),
        "elsewhere": answer["elsewhere"],
    }
    return analysis(
        frame, ground, surfaces, tips, panel="workload.html", values=values, say=say,
        timezone=timezone, self_contained=self_contained,
    )  # fmt: skip


def _drawn(
    ground: Ground, grids: pd.DataFrame, say: Texts
) -> tuple[list[Surface], dict[str, list[Tip]]]:
    """A surface of each load over the finest level that is drawn, and what its tooltips say."""
    if not ground.finest:
        return [], {}
    size = len(ground.areas[ground.finest])
    place = ground.members.reindex(grids["code"]).fillna(-1).to_numpy(int)
    inside = (place >= 0) & (place < size)  # dedicated grids lie over the others
    surfaces: list[Surface] = []
    tips: list[Tip] = []
    for load in LOADS:
        of_grids = grids[load].to_numpy(float)
        known = inside & ~np.isnan(of_grids)
        if surfaces and not of_grids[known].any():
            continue
        summed = np.bincount(place[known], of_grids[known], minlength=size)
        has = np.bincount(place[known], minlength=size) > 0
        cuts = breaks(np.ceil(summed[has]).astype(int))
        fill = np.searchsorted(cuts, np.floor(summed), side="right")
        surfaces.append(
            Surface(
                load, say("per_grid", what=say(load)), say("per_grid", what=say(load)),
                ground.finest, _classes(cuts, say), np.where(has, fill, -1).tolist(),
            )
        )  # fmt: skip
        shown = np.round(summed, 1 if load == "travel_h" else 0)
        tips.append(Tip(say(load), [v if h else None for v, h in zip(shown, has, strict=True)]))
    return surfaces, {ground.finest: tips}


def _classes(cuts: Sequence[int], say: Texts) -> list[tuple[str, str]]:
    out = [(NONE, say("none"))]
    for low, high, colour in zip(cuts, [*cuts, None][1:], colours(len(cuts)), strict=True):
        if high is None:
            label = say("more", n=f"{low:,}")
        else:
            label = f"{low:,}" if high == low + 1 else f"{low:,}–{high - 1:,}"
        out.append((colour, label))
    return out


def _points(curve: Sequence[float]) -> str:
    """A curve over hundredths as the points of a polyline in a square of 100, upwards."""
    return " ".join(f"{x:g},{100 - 100 * y:.1f}" for x, y in enumerate(curve))


def _busiest(ground: Ground, grids: pd.DataFrame) -> list[dict[str, Any]]:
    """The grids with the most reports, as they are named on the map where they are drawn."""
    most = grids[grids["incidents"] > 0].nlargest(SHOWN, "incidents", keep="first")
    place = ground.members.reindex(most["code"]).fillna(-1).to_numpy(int)
    size = len(ground.areas["grids"]) if ground.finest == "grids" else 0
    out = []
    for row, at in zip(most.to_dict("records"), place, strict=True):
        drawn = 0 <= at < size
        name, around = path(ground, "grids", at) if drawn else (row["name"] or row["code"], "")
        out.append(
            {
                "name": name, "around": around or row["code"], "n": int(row["incidents"]),
                "residents": None if np.isnan(row["residents"]) else int(row["residents"]),
                "position": int(at) if drawn else None,
            }
        )  # fmt: skip
    return out
