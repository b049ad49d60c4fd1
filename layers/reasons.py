"""Why somebody is proposed, and what speaks against it, in words and figures."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from data import freshness
from data.candidates import Candidate, Found, Shortfall, why_not_free
from layers.i18n import Lang, Texts

WORDS: dict[str, tuple[str, str]] = {
    "at_home": ("本网格", "in this grid"),
    "answers_for": ("负责本{layer}", "answers for it ({layer} {area})"),
    "way": ("{distance}，{mode}{time}", "{distance}, {time} {mode}"),
    "straight": ("按直线估算", "estimated from the straight line"),
    "free": ("无在办任务", "no open task"),
    "fresh": ("位置{age}前", "position {age} old"),
    "skill": ("可处理{skill}", "can do: {skill}"),
    "elsewhere": ("不属本网格", "of another grid"),
    "tasks": ("在办 {n} 项", "open tasks: {n}"),
    "no_position": ("无实时位置，按驻地估算", "no position known, taken from home"),
    "stale": ("位置已是{age}前，按驻地估算", "last position {age} old, taken from home"),
    "inaccurate": (
        "定位误差 {metres} 米，按驻地估算",
        "last position only within {metres} m, taken from home",
    ),
    "missing": ("不具备{skill}", "lacks: {skill}"),
    "late": ("超出 {reach}到场要求", "later than the {reach} asked for"),
    "foot": ("步行", "on foot"),
    "bicycle": ("骑行", "by bicycle"),
    "moped": ("电动车", "by moped"),
    "car": ("驾车", "by car"),
    "seconds": ("不到 1 分钟", "less than 1 min"),
    "minutes": (" {n} 分钟", "{n} min"),
    "hours": (" {h} 小时 {n} 分钟", "{h} h {n} min"),
    "days": (" {n} 天", "{n} d"),
    "metres": ("{n} 米", "{n} m"),
    "kilometres": ("{n} 公里", "{n} km"),
    "nobody": ("此刻没有可派人员", "Nobody can be sent right now"),
    "beyond_reach": ("{reach}内无人能到", "Nobody can be there within {reach}"),
    "skill_missing": (
        "{reach}内没有可处理{skill}的人员",
        "Nobody within {reach} can do: {skill}",
    ),
    "nearest": ("最近的是{name}（{distance}，{time}）", "nearest is {name} ({distance}, {time})"),
    "but": ("最近的{name}{why}", "the nearest, {name}, is {why}"),
    "off_duty": ("不在班", "off duty"),
    "on_leave": ("请假", "on leave"),
    "busy": ("忙碌", "busy"),
    "deployed": ("正在部署岗位执勤", "at work in a deployment"),
    "off": ("已下线", "signed off"),
    "full": ("任务已满", "at capacity"),
    "no_place": (
        "位置待定：请先在待分拨中确定位置",
        "There is no place yet: set it in triage first",
    ),
    "colon": ("：", ": "),
    "then": ("；", "; "),
}


class Reasons:
    """The words for one answer, in one language.

    Parameters
    ----------
    found : the candidates, with the titles of the skills
    reach_s : within what time somebody should be there, seconds
    roads : whether travel times go by roads, so that one that does not is an exception
    """

    def __init__(self, found: Found, reach_s: float, lang: Lang, *, roads: bool) -> None:
        self._found, self._reach_s, self._lang, self._roads = found, reach_s, lang, roads
        self._say = Texts(lang, WORDS)

    @staticmethod
    def no_place(lang: Lang) -> str:
        """Why nobody is proposed for an incident without a place."""
        return Texts(lang, WORDS)("no_place")

    def title(self, row: Mapping[str, Any]) -> str:
        """What somebody is."""
        return str(row["kind_title" if self._lang == "zh" else "kind_title_en"])

    def for_it(self, c: Candidate) -> list[dict[str, Any]]:
        """What speaks for a candidate: a code, its figures, and the words."""
        row, out = c.row, []
        responsible = row["answers_for"] or []
        if row["at_home"] and row["home_code"] not in [area["code"] for area in responsible]:
            out.append(self._reason("at_home"))
        for area in responsible:
            title = area["title" if self._lang == "zh" else "title_en"]
            layer = title if self._lang == "zh" else title.lower()
            code = area["code"]
            out.append(self._reason("answers_for", {"area": code}, layer=layer, area=code))
        out.append(
            self._reason(
                "way",
                {"metres": round(c.distance_m), "seconds": round(c.travel_s), "mode": row["mode"]},
                distance=self.distance(c.distance_m),
                time=self.time(c.travel_s),
                mode=self._say(row["mode"]),
            )
        )
        held = [skill for skill in self._found.skills if skill not in c.missing]
        out += [self._reason("skill", {"skill": s}, skill=self._skill(s)) for s in held]
        if row["load"] == 0:
            out.append(self._reason("free"))
        if row["by_position"]:
            out.append(
                self._reason("fresh", {"seconds": round(row["age_s"])}, age=self.age(row["age_s"]))
            )
        return out

    def against(self, c: Candidate) -> list[dict[str, Any]]:
        """What speaks against a candidate."""
        row, out = c.row, []
        if c.travel_s > self._reach_s:
            out.append(self._reason("late", reach=self.time(self._reach_s).strip()))
        out += [self._reason("missing", {"skill": s}, skill=self._skill(s)) for s in c.missing]
        if row["load"]:
            out.append(self._reason("tasks", {"n": row["load"]}, n=row["load"]))
        if not c.responsible:
            out.append(self._reason("elsewhere"))
        if not row["by_position"]:
            out.append(self._position(row))
        if self._roads and not c.by_road:
            out.append(self._reason("straight"))
        return out

    def _position(self, row: Mapping[str, Any]) -> dict[str, Any]:
        why = freshness.why_not(row["age_s"], row["accuracy_m"])
        if why == "stale":
            figures = {"seconds": round(row["age_s"])}
            return self._reason("stale", figures, age=self.age(row["age_s"]))
        if why == "inaccurate":
            metres = round(row["accuracy_m"])
            return self._reason("inaccurate", {"metres": metres}, metres=metres)
        return self._reason("no_position")

    def shortfall(self, s: Shortfall) -> str:
        """What could not be had, in a sentence."""
        said = self._say(
            s.reason,
            reach=self.time(self._reach_s).strip(),
            skill=self._skill(s.skill) if s.skill else "",
        )
        more = []
        if s.nearest:
            more.append(
                self._say(
                    "nearest",
                    name=s.nearest.row["name"],
                    distance=self.distance(s.nearest.distance_m),
                    time=self.time(s.nearest.travel_s).strip(),
                )
            )
        if s.taken:
            why = self._say(why_not_free(s.taken))
            more.append(self._say("but", name=s.taken["name"], why=why))
        return said + (self._say("colon") + self._say("then").join(more) if more else "")

    def line(self, reasons: Sequence[Mapping[str, Any]]) -> str:
        """Reasons in one line."""
        return self._say("then").join(reason["text"].strip() for reason in reasons)

    def time(self, seconds: float) -> str:
        """How long a way takes, in begun minutes of the whole seconds that are told beside it."""
        return self._minutes(math.ceil(round(seconds) / 60))

    def age(self, seconds: float) -> str:
        """How long ago something was, in full minutes."""
        return self._minutes(math.floor(max(0, seconds) / 60))

    def _minutes(self, minutes: int) -> str:
        if minutes < 1:
            return self._say("seconds")
        if minutes < 60:
            return self._say("minutes", n=minutes)
        if minutes < 48 * 60:
            return self._say("hours", h=minutes // 60, n=minutes % 60)
        return self._say("days", n=minutes // 1440)

    def distance(self, metres: float) -> str:
        """A distance to two or three digits."""
        if metres < 995:
            return self._say("metres", n=int(round(metres, -1 if metres >= 100 else 0)))
        return self._say("kilometres", n=f"{metres / 1000:.{1 if metres < 99_500 else 0}f}")

    def _skill(self, name: str) -> str:
        titles = self._found.skills[name]
        return titles[0] if self._lang == "zh" else titles[1].lower()

    def _reason(
        self, code: str, figures: Mapping[str, Any] | None = None, **words: object
    ) -> dict[str, Any]:
        return {"code": code, **(figures or {}), "text": self._say(code, **words)}
