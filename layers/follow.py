"""The page on which who reported something follows it, and is asked whether it is solved."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from layers.i18n import Lang, Texts
from layers.page import ASSETS, json_in_script, templates

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("事项进度", "Your report"),
    "switch": ("English", "中文"),
    "number": ("编号 {n}", "No. {n}"),
    "reported": ("{at} 上报", "reported {at}"),
    "way": ("办理进度", "What has been done"),
    "result": ("办理结果", "How it was solved"),
    "wanted": ("需要您补充", "We need to know something from you"),
    "wanted_text": (
        "请在 {at} 前答复；收到后继续办理",
        "Please answer by {at}; it goes on with your answer",
    ),
    "reply": ("您的答复", "Your answer"),
    "replied": ("您已答复：{words}", "You answered: {words}"),
    "say": ("请先填写答复", "Write your answer first"),
    "question": ("问题解决了吗？", "Is it solved?"),
    "late": ("如果问题没有解决，仍可在此反映", "If it is not solved, you can still say so"),
    "solved": ("已经解决", "Yes, it is solved"),
    "unsolved": ("没有解决", "No, it is not"),
    "satisfaction": ("您对办理是否满意？", "How satisfied are you?"),
    "marks": (
        "很不满意,不满意,一般,满意,很满意",
        "very dissatisfied,dissatisfied,neither,satisfied,very satisfied",
    ),
    "comment": ("还想说的话（选填）", "Anything else (optional)"),
    "unsolved_comment": ("哪里没有解决？", "What is not solved?"),
    "send": ("提交", "Send"),
    "said_solved": ("您已确认：已经解决", "You said: it is solved"),
    "said_unsolved": (
        "您表示没有解决，已转上一级重新办理",
        "You said: it is not solved. It was opened again at the level above",
    ),
    "away": ("没有发送成功，请稍后再试", "It was not sent; try again in a moment"),
    "choose": ("请先选择是否解决", "Choose first whether it is solved"),
    "unknown": ("链接无效", "This link leads nowhere"),
    "unknown_text": (
        "请使用上报时收到的完整链接。",
        "Use the link exactly as it was given when you reported.",
    ),
}


def follow(state: Mapping[str, Any], *, address: str, timezone: str, lang: Lang) -> str:
    """The page as HTML.

    Parameters
    ----------
    state : mapping
        As `data.following.state` returns it.
    address : str
        Below which answers are sent.
    """
    t, zone = Texts(lang, TEXTS), ZoneInfo(timezone)

    def clock(at: datetime) -> str:
        return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")

    said = state["answer"]
    words = {name: t(name) for name in ("away", "choose", "comment", "say", "unsolved_comment")}
    return templates.get_template("follow.html").render(
        t=t,
        style=_style(),
        state=state,
        lang=lang,
        clock=clock,
        said=None if said is None else t("said_solved" if said["solved"] else "said_unsolved"),
        marks=list(enumerate(t("marks").split(","), 1)),
        script=Markup(json_in_script({"address": address, "words": words})),
        switch="en" if lang == "zh" else "zh",
    )


def nothing(lang: Lang) -> str:
    """The page of a link that leads to no report."""
    return templates.get_template("follow.html").render(
        t=Texts(lang, TEXTS), style=_style(), state=None, switch="en" if lang == "zh" else "zh"
    )


def _style() -> Markup:
    return Markup((ASSETS / "follow.css").read_text(encoding="utf-8"))
