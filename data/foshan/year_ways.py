"""The ways that cases take through a simulated year: steps of `data.stages`, many cases at once."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection, text

from data.stages import ACTIONS, ANSWERED

Ints = npt.NDArray[np.int64]

END = ("accept", "start", "resolve", "close")
# Steps after the case was opened, and how often of a hundred cases of its group.
PLAIN: dict[tuple[str, ...], float] = {
    END: 93.5,
    ("decline", "assign", *END): 4.0,
    ("accept", "start", "resolve", "reopen", "assign", *END): 2.5,
}
FLOWING: dict[tuple[str, ...], float] = {
    ("accept", "escalate", "assign", *END): 36,
    ("accept", "escalate", "escalate", "assign", *END): 9,
    ("transfer", *END): 37,
    ("accept", "start", "refer", "refer_back", "resolve", "close"): 11,
    ("accept", "start", "consult", "start", "resolve", "close"): 7,
}
ACROSS = ("escalate", "delegate", "transfer", "refer", "consult")
HOURS = {"accept": 0.7, "start": 1.5, "resolve": 14.0, "close": 20.0, "escalate": 5.0,
         "transfer": 3.0, "assign": 1.0, "decline": 2.0, "reopen": 30.0, "refer": 8.0,
         "refer_back": 60.0, "consult": 24.0}  # fmt: skip
"""Until a step, from the one before: medians of lognormal times."""
SPREAD = 0.8
REASONS = {
    "decline": "不属本单位职责", "transfer": "需由主管部门处理", "escalate": "超出本级处理权限",
    "reopen": "反映人回访表示未解决", "resolve": "已处理完毕", "close": "回访满意",
    "refer": "移送诉前调解", "refer_back": "调解达成协议", "consult": "需多部门会商",
}  # fmt: skip


@dataclass(frozen=True)
class Bodies:
    """Who answers for a kind in a town at a level, by the rules of the city; see `load`.

    Attributes
    ----------
    answers, another : numbers of organisations, shape (kinds, towns, 5)
    level : at which a kind begins, shape (kinds,)
    assigned : whether a case of the kind in the town is assigned at once, shape (kinds, towns)
    """

    answers: Ints
    another: Ints
    level: Ints
    assigned: npt.NDArray[np.bool_]


_ANSWERS = text("""
SELECT a.organisation_id
FROM unnest(CAST(:kinds AS text[])) WITH ORDINALITY k (kind, n)
CROSS JOIN unnest(CAST(:towns AS bigint[])) WITH ORDINALITY t (town, m)
CROSS JOIN generate_series(0, 4) AS level
CROSS JOIN LATERAL answers_for(k.kind, t.town, level, now()) a
ORDER BY k.n, t.m, level
""")
_OPENED = text("""
SELECT c.level, c.stage
FROM unnest(CAST(:kinds AS text[])) WITH ORDINALITY k (kind, n)
CROSS JOIN unnest(CAST(:towns AS bigint[])) WITH ORDINALITY t (town, m)
CROSS JOIN LATERAL open_case(k.kind, t.town, now()) c
ORDER BY k.n, t.m
""")


def bodies(connection: Connection, kinds: list[str], towns: list[int]) -> Bodies:
    """Ask the rules that the service goes by."""
    asked = {"kinds": kinds, "towns": towns}
    shape = len(kinds), len(towns)
    answers = np.array(connection.execute(_ANSWERS, asked).scalars().all()).reshape(*shape, 5)
    opened = connection.execute(_OPENED, asked).all()
    level = np.array([row.level for row in opened]).reshape(shape)[:, 0]
    assigned = np.array([row.stage == "assigned" for row in opened]).reshape(shape)
    return Bodies(answers, _another(answers), level, assigned)


def _another(answers: Ints) -> Ints:
    """Of each kind, town and level somebody else who answers for something there."""
    out = answers.copy()
    for other in range(len(answers)):
        same = out == answers
        out[same] = np.broadcast_to(answers[other], answers.shape)[same]
    return out


@dataclass
class Cases:
    """n cases under way, as columns: where each stands, and the steps that were made."""

    number: Ints
    opened: Ints  # µs since 1970
    kind: Ints
    town: Ints  # -1: nobody knows where
    level: Ints
    organisation: Ints
    stage: npt.NDArray[np.object_]
    since: Ints
    solved: Ints  # -1: not
    solved_level: Ints
    closed: Ints
    bounces: Ints
    reopened: Ints
    steps: list[pa.Table] = field(default_factory=list)

    @classmethod
    def opening(
        cls, number: Ints, opened: Ints, kind: Ints, town: Ints, by: Bodies, desk: int
    ) -> "Cases":
        """Cases that were just received, with their first step."""
        n = len(number)
        level = by.level[kind].copy()
        organisation = np.where(town >= 0, by.answers[kind, town, level], desk)
        assigned = (town >= 0) & by.assigned[kind, town]
        stage = np.where(assigned, "assigned", "received").astype(object)
        none = np.full(n, -1)
        made = cls(
            number, opened, kind, town, level, organisation, stage, opened.copy(), none,
            none.copy(), none.copy(), np.zeros(n, np.int64), np.zeros(n, np.int64),
        )  # fmt: skip
        made._write("open", np.arange(n), opened)
        return made

    def take(
        self, way: tuple[str, ...], who: Ints, kept: Ints, by: Bodies, desk: int,
        rng: np.random.Generator,
    ) -> None:  # fmt: skip
        """Let some of the cases take so many steps of a way, `kept` (len(who),) of each."""
        at = self.opened[who].copy()
        waiting = self.stage[who] == "received"
        at[waiting] = self._do("assign", who[waiting], at[waiting], by, desk, rng)
        for number, action in enumerate(way):
            going = kept > number
            at[going] = self._do(action, who[going], at[going], by, desk, rng)

    def _do(
        self, action: str, who: Ints, at: Ints, by: Bodies, desk: int, rng: np.random.Generator
    ) -> Ints:
        """One step of some cases, some time after `at`; when it was."""
        rule = ACTIONS[action]
        assert np.isin(self.stage[who], rule.before).all(), action
        hours = HOURS[action] * rng.lognormal(0, SPREAD, len(who))
        at = at + (hours * 3.6e9).astype(np.int64)
        kind, town = self.kind[who], self.town[who]
        if action == "escalate":
            self.level[who] -= 1
        elif action == "reopen":
            self.level[who] = np.maximum(0, self.solved_level[who] - 1)
            self.solved[who] = self.solved_level[who] = -1
            self.reopened[who] += 1
        self.bounces[who] += int(action == "decline")
        if action in ("assign", "escalate", "reopen", "decline", "transfer"):
            table = by.another if action in ("transfer", "decline") else by.answers
            self.organisation[who] = np.where(town >= 0, table[kind, town, self.level[who]], desk)
        if rule.stage is not None:
            self.since[who], self.stage[who] = at, rule.stage
        if rule.stage in ANSWERED and action == "resolve":
            self.solved[who], self.solved_level[who] = at, self.level[who]
        if action == "close":
            self.closed[who] = at
        self._write(action, who, at)
        return at

    def _write(self, action: str, who: Ints, at: Ints) -> None:
        n = len(who)
        self.steps.append(pa.table({
            "incident_id": self.number[who], "at": pa.array(at, pa.timestamp("us", "UTC")),
            "action": pa.repeat(action, n), "stage": pa.array(self.stage[who], pa.string()),
            "level": pa.array(self.level[who], pa.int32()),
            "organisation_id": self.organisation[who], "actor": pa.repeat("simulation", n),
            "reason": pa.repeat(REASONS.get(action, ""), n),
        }))  # fmt: skip


def last_kept(way: tuple[str, ...]) -> tuple[int, int, int]:
    """How many steps of a way an open case has at least, at most unsolved, and at most at all.

    What the way is about has happened: it was handed on, sent back, or opened again.

    >>> last_kept(("transfer", "accept", "start", "resolve", "close"))
    (1, 3, 4)
    """
    marks = [n for n, action in enumerate(way) if action in (*ACROSS, "decline", "reopen")]
    resolve = len(way) - 2
    return (max(marks) + 1 if marks else 0), resolve, len(way) - 1
