"""The queue of open incidents and the free people, matched together: a proposal, nothing is sent.

Each incident brings its nearest candidates; where incidents lie close together these are the same
people, so whoever falls short is asked for with twice as many, until all are served or nobody else
is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, RowMapping

from data import candidates, incidents, rules
from data.candidates import NEAREST, Candidate, Question
from data.rules import Rule
from gis.links import Links
from gis.matching import Matching, match
from gis.travel import Travel

MOST = 500  # incidents at once
WIDEST = 800  # candidates of one incident


@dataclass(frozen=True)
class Short:
    """An incident that gets fewer than it wants.

    `reason`: no_place; nobody (can be sent at all); beyond_reach (`nearest` is who would be there
    first); wanted_elsewhere (those who could be there in time go to other incidents).
    """

    incident: RowMapping
    missing: int
    reason: str
    nearest: Candidate | None = None


@dataclass(frozen=True)
class Proposal:
    """Who should go where.

    Attributes
    ----------
    incidents : list
        All that were asked about, the most urgent first.
    sent : dict of int to list of Candidate
        By the incident's number, the nearest first.
    short : list of Short
    matching : Matching
        The joint answer beside the greedy one.
    rules : dict of int to Rule
        By the incident's number: who was asked for, within what time.
    skills : dict
        Chinese and English titles of the skills that the rules ask for.
    """

    incidents: Sequence[RowMapping]
    sent: dict[int, list[Candidate]]
    short: list[Short]
    matching: Matching
    rules: dict[int, Rule]
    skills: dict[str, tuple[str, str]]


def propose(
    connection: Connection,
    travel: Travel,
    *,
    kind: str | None = None,
    under: Sequence[int] | None = None,
    unsent: bool = True,
    each: int = 1,
    within_s: int | None = None,
    limit: int = 200,
) -> Proposal:
    """Match open incidents to free people so that all together travel least, the urgent first.

    Parameters
    ----------
    kind, under : only incidents of this kind, in these areas
    unsent : only those that nobody is under way to
    each : how many people an incident wants
    within_s : within what time, seconds; by the rule of each kind if None
    limit : so many incidents, the most urgent and longest open first
    """
    queue = incidents.open_ones(
        connection, kind=kind, under=under, unsent=unsent, limit=min(limit, MOST)
    )
    board = _Board(connection, travel, [row for row in queue if row["lon"] is not None], within_s)
    found = board.matched(each)
    asked = {row["id"]: board.rule(row) for row in board.rows}
    skills = {skill for rule in asked.values() for skill in rule.skills}
    nowhere = [Short(row, each, "no_place") for row in queue if row["lon"] is None]
    return Proposal(
        queue,
        board.sent(found),
        [*board.short(found), *nowhere],
        found,
        asked,
        candidates.skill_titles(connection, sorted(skills)),
    )


class _Board:
    """Incidents that have a place, and the candidates of each as far as they have been asked for.

    Attributes
    ----------
    rows : list
        The incidents.
    """

    def __init__(
        self, connection: Connection, travel: Travel, rows: Sequence[RowMapping],
        within_s: int | None,
    ) -> None:  # fmt: skip
        self._connection, self._travel, self.rows = connection, travel, rows
        self._rules = {kind: rules.of(connection, kind) for kind in {row["kind"] for row in rows}}
        if within_s is not None:
            self._rules = {
                kind: replace(rule, reach_s=within_s) for kind, rule in self._rules.items()
            }
        self._asked = [NEAREST] * len(rows)
        self._found = [self._candidates(n) for n in range(len(rows))]
        self._people: list[int] = []

    def rule(self, incident: RowMapping) -> Rule:
        """Who is asked for an incident, within what time."""
        return self._rules[incident["kind"]]

    def _candidates(self, n: int) -> dict[int, Candidate]:
        row = self.rows[n]
        question = Question(row["lon"], row["lat"], self.rule(row), row["area_id"])
        listed = candidates.reachable_of(
            self._connection, question, self._travel, nearest=self._asked[n]
        )
        return {c.row["id"]: c for c in listed}

    def matched(self, each: int) -> Matching:
        """The best answer; lists that were cut off too early are made longer for it."""
        while True:
            found = self._match(each)
            tight = [n for n, missing in enumerate(found.joint.shortfall) if missing]
            longer = [n for n in tight if self._lengthen(n)]
            if not longer:
                return found

    def _lengthen(self, n: int) -> bool:
        """Ask for twice as many candidates; False if that brings nobody who is there in time."""
        before, reach_s = self._found[n], self.rule(self.rows[n]).reach_s
        in_time = any(c.travel_s <= reach_s for c in before.values())
        if not in_time or not len(before) >= self._asked[n] < WIDEST:
            return False
        self._asked[n] *= 2
        self._found[n] = before | self._candidates(n)
        return any(c.travel_s <= reach_s for who, c in self._found[n].items() if who not in before)

    def _match(self, each: int) -> Matching:
        room = {
            who: c.row["capacity"] - c.row["load"] for one in self._found for who, c in one.items()
        }
        self._people = sorted(room)
        column = {who: n for n, who in enumerate(self._people)}
        pairs = [
            (n, column[who], c.travel_s)
            for n, one in enumerate(self._found)
            for who, c in one.items()
            if c.travel_s <= self.rule(self.rows[n]).reach_s
        ]
        row, at, seconds = zip(*pairs, strict=True) if pairs else ((), (), ())
        return match(
            Links.of(row, at, seconds, (len(self.rows), len(self._people))),
            need=each,
            capacity=[room[who] for who in self._people],
            priority=[row["urgency"] for row in self.rows],
        )

    def sent(self, found: Matching) -> dict[int, list[Candidate]]:
        """Who is proposed, by the incident's number."""
        sent: dict[int, list[Candidate]] = {}
        joint = found.joint
        for n, person in zip(joint.incident.tolist(), joint.resource.tolist(), strict=True):
            sent.setdefault(self.rows[n]["id"], []).append(self._found[n][self._people[person]])
        return sent

    def short(self, found: Matching) -> list[Short]:
        """Who gets fewer than they want, and why."""
        return [
            self._why(n, int(missing)) for n, missing in enumerate(found.joint.shortfall) if missing
        ]

    def _why(self, n: int, missing: int) -> Short:
        row, listed = self.rows[n], self._found[n].values()
        nearest = min(listed, key=lambda c: c.travel_s, default=None)
        if nearest is None:
            return Short(row, missing, "nobody")
        if nearest.travel_s > self.rule(row).reach_s:
            return Short(row, missing, "beyond_reach", nearest)
        return Short(row, missing, "wanted_elsewhere")
