"""What plans for many at once say: matchings, deployments, gap cover, in words and figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from data.candidates import Found
from layers import reasons
from layers.i18n import Lang, Texts
from layers.reasons import Reasons

WORDS: dict[str, tuple[str, str]] = {
    "all_met": ("{quota} 个岗位全部安排到人", "All {quota} places are filled"),
    "not_met": (
        "{quota} 个岗位安排了 {present} 个，还差 {missing} 个",
        "{present} of {quota} places are filled, {missing} are not",
    ),
    "no_shows": ("，其中 {n} 人缺席", "; absent: {n}"),
    "missing": ("差 {n} 人", "{n} missing"),
    "below": ("，低于最低要求 {n} 人", ", below the minimum of {n}"),
    "reach": ("{reach}内可到的人不够（{n}）", "too few people within {reach} ({n})"),
    "shift": ("该时段有空的人不够（{n}）", "too few of them free then ({n})"),
    "skill": ("有空的人里具备技能的不够（{n}）", "too few of those have the skills ({n})"),
    "shared": ("其他点位或班次也要用这些人（{n}）", "others are wanted elsewhere as well ({n})"),
    "absent": ("缺席（{n}）", "absent ({n})"),
    "lacking": ("缺{skill} {n} 人", "wanted: {n} × {skill}"),
    "queue": (
        "统筹安排：{people} 人去 {incidents} 起，路上共{joint}；"
        "逐件就近派{greedy_served}路上共{greedy}，{saved}",
        "Together: {people} people to {incidents} incidents, {joint} of travel in all; one after "
        "another{greedy_served}: {greedy}; {saved}",
    ),
    "fewer": (
        "只能到 {incidents} 起、{people} 人，",
        " only {incidents} incidents get {people} people",
    ),
    "saved": ("省下{time}", "{time} are saved"),
    "no_saving": ("没有差别", "there is no difference"),
    "more_incidents": ("多到 {n} 起，多用{time}", "{n} more are reached, for {time} more"),
    "more_people": ("多派 {n} 人，多用{time}", "{n} more are sent, for {time} more"),
    "more_urgent": ("更急的先到，多用{time}", "the more urgent are served first, for {time} more"),
    "queue_empty": ("没有等待派人的事件", "No incident waits for people"),
    "wanted_elsewhere": (
        "{reach}内能到的人都安排给了其他事件",
        "All who could be there within {reach} are proposed for other incidents",
    ),
    "covered": (
        "{grids} 个网格中 {open} 个此刻 {minutes} 分钟内无人可到；保障率 {now}（派出前 {before}）",
        "Of {grids} grids {open} have nobody within {minutes} min now; covered {now} ({before} "
        "before people were sent)",
    ),
    "after_moves": (
        "；移动 {n} 人后为 {after}",
        "; {after} once {n} have moved up",
    ),
    "no_moves": ("；没有可补位的人", "; nobody can move up"),
    "move": (
        "{name}到{place}值守（{time}），补上 {n} 个网格",
        "{name} to {place} ({time}): {n} grids",
    ),
}


class Plans:
    """The words for one answer, in one language.

    Parameters
    ----------
    skills : Chinese and English titles of the skills that occur
    """

    def __init__(self, lang: Lang, skills: Mapping[str, tuple[str, str]] | None = None) -> None:
        self._say = Texts(lang, {**reasons.WORDS, **WORDS})
        self._skills, self._lang = skills or {}, lang
        self._units = Reasons(Found([]), 0, lang, roads=False)

    def time(self, seconds: float) -> str:
        """How long something takes, in begun minutes."""
        return self._units.time(seconds).strip()

    # --- deployments ------------------------------------------------------------------------------

    def totals(self, totals: Mapping[str, int]) -> str:
        """How a deployment stands, in a sentence."""
        if not totals["missing"]:
            return self._say("all_met", **totals)
        absent = totals["absent"]
        said = self._say("not_met", **totals)
        return said + (self._say("no_shows", n=absent) if absent else "")

    def gap(
        self, gap: Mapping[str, Any], within_s: float, absent: int, minimum: int | None = None
    ) -> str:
        """Why a quota is not met; `minimum` if that is not met either."""
        said = self._say("missing", n=gap["missing"])
        if minimum is not None:
            said += self._say("below", n=minimum)
        reach = self.time(within_s)
        why = [self._say(cause, n=n, reach=reach) for cause, n in gap["parts"].items()]
        if absent:
            why.append(self._say("absent", n=absent))
        why += [
            self._say("lacking", skill=self._skill(name), n=n) for name, n in gap["skills"].items()
        ]
        return said + (self._say("colon") + self._say("then").join(why) if why else "")

    def _skill(self, name: str) -> str:
        zh, en = self._skills.get(name, (name, name))
        return zh if self._lang == "zh" else en.lower()

    # --- matching ---------------------------------------------------------------------------------

    def queue(self, joint: Mapping[str, Any], greedy: Mapping[str, Any]) -> str:
        """What sending all together saves against one after another."""
        if not joint["sent"]:
            return self._say("queue_empty") if not joint["incidents"] else self._say("nobody")
        same = (joint["reached"], joint["sent"]) == (greedy["reached"], greedy["sent"])
        saved = self._saved(joint, greedy)
        fewer = self._say("fewer", incidents=greedy["reached"], people=greedy["sent"])
        return self._say(
            "queue",
            people=joint["sent"],
            incidents=joint["reached"],
            joint=self.time(joint["travel_s"]),
            greedy=self.time(greedy["travel_s"]),
            greedy_served="" if same else fewer,
            saved=saved,
        )

    def _saved(self, joint: Mapping[str, Any], greedy: Mapping[str, Any]) -> str:
        saved_s = greedy["travel_s"] - joint["travel_s"]
        if saved_s == 0:
            return self._say("no_saving")
        time = self.time(abs(saved_s))
        if saved_s > 0:
            return self._say("saved", time=time)
        for key, what in (("more_incidents", "reached"), ("more_people", "sent")):
            if (more := joint[what] - greedy[what]) > 0:
                return self._say(key, n=more, time=time)
        return self._say("more_urgent", time=time)

    def wanted_elsewhere(self, reach_s: float) -> str:
        """Why an incident gets nobody although somebody could be there in time."""
        return self._say("wanted_elsewhere", reach=self.time(reach_s))

    # --- gap cover --------------------------------------------------------------------------------

    def cover(
        self, *, grids: int, uncovered: int, minutes: float, shares: Sequence[float], moves: int
    ) -> str:
        """How much is covered: the shares before, now, and after the moves."""
        before, now, after = (f"{share:.1%}" for share in shares)
        said = self._say(
            "covered", grids=grids, open=uncovered, minutes=f"{minutes:g}", now=now, before=before
        )
        if not uncovered:
            return said
        return said + (
            self._say("after_moves", n=moves, after=after) if moves else self._say("no_moves")
        )

    def move(self, name: str, place: str, seconds: float, grids: int) -> str:
        """Who should move up where, how long it takes, and what it covers again."""
        return self._say("move", name=name, place=place, time=self.time(seconds), n=grids)
