"""The page of the forecast: where reports come next, how far to trust it, where to patrol."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np

from layers.analysis import Frame, Surface, Tip, analysis
from layers.ground import Ground
from layers.i18n import Lang, Texts

TEXTS: dict[str, tuple[str, str]] = {
    "forecast": ("预计上报最多的地块", "Where most is to be expected"),
    "best1": ("预计最多的 1% 面积", "the best 1 % of the ground"),
    "best5": ("预计最多的 5% 面积", "the best 5 % of the ground"),
    "forecast_note": (
        "{first} 至 {last} 的预测；地块边长 {m} 米",
        "For {first} to {last}; squares of {m} m",
    ),
    "patrol": ("巡防方案", "Patrol plan"),
    "patrol_legend": ("每组巡防的范围", "What each patrol covers"),
    "patrol_n": ("第 {n} 组", "Patrol {n}"),
    "patrol_class": ("巡防范围", "covered by a patrol"),
    "expected": ("预计上报", "To be expected"),
    "ahead": ("往后天数", "Days ahead"),
    "patrols": ("巡防组数", "Patrols"),
    "trust": ("以往预测得准吗", "How far to trust it"),
    "method": ("方法", "Method"),
    "mixture": ("本预测", "this forecast"),
    "counts": ("以往累计件数", "all counts so far"),
    "last": ("上期件数", "last period's counts"),
    "kernel": ("核密度", "kernel density"),
    "best": ("最高", "best"),
    "trust_help": (
        "对过去 {n} 期逐期回测：PAI＝命中率÷面积占比，1 为瞎猜；PEI*＝占可能达到的最高 PAI 的比例",
        "Each of the {n} periods before was forecast from what was known then. PAI: share of the "
        "reports caught by share of the ground, 1 is chance; PEI*: of the best PAI possible",
    ),
    "no_trust": (
        "时段太短，无法回测；请选更长的时段",
        "The period is too short to look back: take a longer one",
    ),
    "not_ahead": (
        "在这些回测中，本预测没有胜过“{other}”，请谨慎使用",
        "In these tests it was no better than “{other}”: use it with care",
    ),
}  # fmt: skip
METHODS = {"mixture": "mixture", "counts": "counts", "last period": "last", "kernel": "kernel"}
BEST = (("#8c1515", "best1", 0.01), ("#fc8d59", "best5", 0.05))
PATROL = "#2a6098"


def forecast(
    answer: Mapping[str, Any], ground: Ground, frame: Frame, *, lang: Lang = "zh",
    timezone: str = "Asia/Shanghai", self_contained: bool = False,
) -> str:  # fmt: skip
    """The page as HTML.

    Parameters
    ----------
    answer : of :mod:`data.analyses.forecast`: ``squares`` (ring, expected, share), ``scores`` by
        period, method and share, ``patrols``
    """
    say = Texts(lang, TEXTS)
    squares = answer["squares"] or {"ring": [], "expected": [], "share": []}
    plan = answer["patrols"]
    rings = [*squares["ring"], *(ring for each in plan for ring in each["rings"])]
    patrol_of = [n for n, each in enumerate(plan) for _ in each["rings"]]
    surfaces, tips = [], {}
    if squares["ring"]:
        first = frame.filters.last + timedelta(days=1)
        last = frame.filters.last + timedelta(days=answer["wanted"]["ahead"])
        note = say("forecast_note", first=first, last=last, m=round(answer["side_m"]))
        shares = [share for _, _, share in BEST]
        fill = [shares.index(share) for share in squares["share"]] + [-1] * len(patrol_of)
        classes = [(colour, say(name)) for colour, name, _ in BEST]
        covered = [-1] * len(squares["ring"]) + [0] * len(patrol_of)
        surfaces = [
            Surface("forecast", say("forecast"), say("forecast"), "cells", classes, fill, note),
            Surface("patrol", say("patrol"), say("patrol_legend"), "cells",
                    [(PATROL, say("patrol_class"))], covered, note),
        ]  # fmt: skip
        named: list[Any] = [None] * len(squares["ring"])
        named += [say("patrol_n", n=n + 1) for n in patrol_of]
        of_patrol = [plan[n]["expected"] for n in patrol_of]
        tips = {"cells": [Tip("", named), Tip(say("expected"), [*squares["expected"], *of_patrol])]}
    before = [0, *np.cumsum([len(each["rings"]) for each in plan]).tolist()]
    trust, periods = _trust(answer["scores"], say)
    values = {
        "trust": trust,
        "trust_help": say("trust_help", n=periods),
        "warning": _warning(trust, say),
        "plan": [
            {**each, "position": len(squares["ring"]) + before[n], "n": n + 1}
            for n, each in enumerate(plan)
        ],
    }
    return analysis(
        frame, ground, surfaces, tips, panel="forecast.html", values=values, say=say, cells=rings,
        styles=("forecast.css",), timezone=timezone, self_contained=self_contained,
    )  # fmt: skip


def _trust(scores: list[dict[str, Any]], say: Texts) -> tuple[list[dict[str, Any]], int]:
    """Per method the mean PAI and PEI* at each share over the periods, and how many these are."""
    periods = {row["first"] for row in scores}
    out = []
    for method, name in METHODS.items():
        mine = [row for row in scores if row["method"] == method]
        if not mine:
            continue
        shares = sorted({row["share"] for row in mine})
        means = [
            {key: float(np.mean([r[key] for r in mine if r["share"] == share]))
             for key in ("pai", "pei")}
            for share in shares
        ]  # fmt: skip
        out.append({"name": say(name), "own": method == "mixture", "means": means})
    return out, len(periods)


def _warning(trust: list[dict[str, Any]], say: Texts) -> str:
    """That another method did better in the mean, which the reader has to know."""
    own = next((row for row in trust if row["own"]), None)
    if own is None:
        return ""
    for row in trust:
        pairs = zip(own["means"], row["means"], strict=True)
        if not row["own"] and any(mine["pai"] < other["pai"] for mine, other in pairs):
            return say("not_ahead", other=row["name"])
    return ""
