"""What is more than usual: kinds of report that surge in an area, and words that surge in texts.

A look is at the seven days up to a day, held to the weeks before them that end on the same day of
the week. All towns and villages are watched for all kinds at once, with the rate of false
discoveries bounded over all of them, and over all words likewise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from data.analyses import observations
from data.analyses.kept import Question, Say
from data.analyses.observations import Observations, Texts
from data.analyses.selection import Selection
from data.analyses.work import Analysis
from data.settings import settings
from gis import topics, weekly
from gis.multiple_testing import q_values
from gis.multiplicity import false_warnings
from gis.quiet_weeks import quiet_weeks
from gis.surges import CAUTIOUS, Surges

Ints = npt.NDArray[np.int64]

VERSION = 1
CITY, TOWN, VILLAGE = 0, 2, 3  # levels of the tree
MOST_WEEKS = CAUTIOUS.years * 53 + CAUTIOUS.half_window
TEXT_WEEKS = 26  # a word is held to half a year: of longer, words and how they are used change
QUIET_ROUNDS = 10  # simulated weeks, each of which costs as much as a look
SHOWN_WEEKS, SHOWN_PLACES = 53, 50
HALF = 0.5

_PATHS = text("""
SELECT DISTINCT ON (area_id) area_id, level, path, valid @> now() AS now_
FROM area_path ORDER BY area_id, upper(valid) DESC NULLS FIRST
""")
_NAMES = text("""
SELECT DISTINCT v.name FROM area_version v JOIN area a ON a.id = v.area_id
JOIN layer l ON l.name = a.layer WHERE l.tree_level <= :village AND upper_inf(v.recorded)
""")


def question(last: date) -> Question:
    """What is found out of the seven days up to a day; it depends on the weeks of the texts."""
    first = last - timedelta(days=7 * TEXT_WEEKS - 1)
    asked = {"last": last.isoformat(), "rate": settings().warning_rate}
    return Question(ANALYSIS.name, ANALYSIS.version, asked, first, last)


@dataclass(frozen=True, eq=False)
class _Tree:
    """The areas of the tree: those above each, and what is watched."""

    paths: dict[int, Sequence[int | None]]
    watched: Ints  # (a,) towns and villages in force
    level: Ints  # (a,)

    def above(self, areas: Ints, level: int) -> Ints:
        """(n,) the area of a level that each lies in; -1: none."""
        different, back = np.unique(areas, return_inverse=True)
        found = [self._one(int(each), level) for each in different]
        return np.array(found, np.int64)[back] if found else areas

    def _one(self, area: int, level: int) -> int:
        path = self.paths.get(area, ())
        return int(path[level] or -1) if len(path) > level else -1


def _tree(connection: Connection) -> _Tree:
    rows = connection.execute(_PATHS).all()
    mine = [(row.area_id, row.level) for row in rows if row.now_ and row.level in (TOWN, VILLAGE)]
    both = np.array(sorted(mine), np.int64).reshape(-1, 2)
    return _Tree({row.area_id: row.path for row in rows}, both[:, 0], both[:, 1])


def work(connection: Connection, asked: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """What a look finds, and what it is made from; `cannot` says why it finds nothing out."""
    last, zone = date.fromisoformat(asked["last"]), settings().timezone
    rate: float = asked["rate"]
    since = observations.oldest(connection, zone)
    weeks = 0 if since is None else min(((last - since).days + 1) // 7, MOST_WEEKS)
    look = {"version": VERSION, "last": last, "first": last - timedelta(days=6), "weeks": weeks}
    if weeks < weekly.FEWEST_WEEKS:
        why = f"there are {weeks} weeks of reports up to {last}; {weekly.FEWEST_WEEKS} are needed"
        return {**look, "cannot": why, "findings": []}
    starts = np.datetime64(last) - 6 - 7 * np.arange(weeks)[::-1]
    tree = _tree(connection)
    say("reports", 0.0)
    found = observations.read(connection, Selection(starts[0].item(), last), zone)
    say("surges", 0.2)
    counts = _counts(found, tree, starts)
    flat = counts.reshape(-1, weeks)
    judged = weekly.judge(flat, starts)
    surging = _surges(counts, judged, found, tree, rate, int(starts[-1].astype(np.int64)))
    say("texts", 0.4)
    told = observations.texts(connection, _text_weeks(starts, last), zone)
    said = _topics(connection, told, starts[-TEXT_WEEKS:], tree, rate)
    say("quiet weeks", 0.6)
    findings = [*surging, *_of_their_own(said, surging, told, tree)]
    return {
        **look, "cannot": None, "series": len(flat), "reports": len(found), "rate": rate,
        "quiet": _quiet(flat, starts, rate) + rate, "since": starts[0], "findings": findings,
    }  # fmt: skip


def _text_weeks(starts: "npt.NDArray[np.datetime64]", last: date) -> Selection:
    return Selection(starts[-TEXT_WEEKS:][0].item(), last)


def _counts(found: Observations, tree: _Tree, starts: "npt.NDArray[np.datetime64]") -> Any:
    """(areas, kinds, weeks) reports; the last kind is of those that have none."""
    week = (found.day - starts[0].astype(np.int64)) // 7
    kind = _kinds(found)
    shape = (len(tree.watched), len(found.kinds) + 1, len(starts))
    counts = np.zeros(shape)
    for level in (TOWN, VILLAGE):
        at, inside = _positions(tree.above(found.area_id, level), tree.watched)
        np.add.at(counts, (at[inside], kind[inside], week[inside]), 1)
    return counts


def _positions(areas: Ints, known: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Where areas stand among those known, which rise, and whether they do."""
    at = np.minimum(np.searchsorted(known, areas), max(len(known) - 1, 0)).astype(np.int64)
    inside = known[at] == areas if len(known) else np.zeros(len(areas), bool)
    return at, inside


def _quiet(flat: Any, starts: "npt.NDArray[np.datetime64]", rate: float) -> float:
    """False surges that a look finds on average where nothing is going on.

    The words add `rate`: so often is there any topic then, and hardly ever a second one.
    """
    method = weekly.longest(starts)
    if method is None or not len(flat):
        return false_warnings(max(len(flat), 1), rate).in_quiet_weeks
    return quiet_weeks(flat, starts, method=method, rate=rate, rounds=QUIET_ROUNDS).warnings


# --- surges ---------------------------------------------------------------------------------------


def _surges(
    counts: Any, judged: Surges, found: Observations, tree: _Tree, rate: float, since: int
) -> list[dict[str, Any]]:
    """The series that surge; `since` is the first day of the week that is judged."""
    q = q_values(judged.p)
    hot = np.flatnonzero(judged.surge & (q <= rate))
    area, kind = np.divmod(hot, counts.shape[1])
    kept = _not_only_sums(area, kind, judged.observed[hot] - judged.expected[hot], tree)
    week = found.day >= since
    areas, kinds, names = found.area_id[week], _kinds(found)[week], (*found.kinds, None)
    findings = []
    for n, a, k in zip(hot[kept], area[kept], kind[kept], strict=True):
        at, level = int(tree.watched[a]), int(tree.level[a])
        mine = (tree.above(areas, level) == at) & (kinds == k)
        findings.append({
            "model": "surge", "area_id": at, "level": level, "kind": names[k], "words": [],
            "observed": int(judged.observed[n]), "expected": float(judged.expected[n]),
            "threshold": float(judged.threshold[n]), "p": float(judged.p[n]), "q": float(q[n]),
            "score": float(judged.score[n]), "basis": str(judged.basis[n]),
            "dispersion": float(judged.dispersion[n]), "places": _places(areas[mine]),
            "counts": counts[a, k, -SHOWN_WEEKS:].astype(int).tolist(),
        })  # fmt: skip
    return findings


def _kinds(found: Observations) -> Ints:
    """(n,) positions of kinds; those without one share the position after the last."""
    return np.where(found.kind < 0, len(found.kinds), found.kind)


def _not_only_sums(area: Ints, kind: Ints, more: Any, tree: _Tree) -> npt.NDArray[np.bool_]:
    """All but towns of which villages that surge themselves make up half or more of the surge."""
    level, inside = tree.level[area], tree.above(tree.watched[area], TOWN)
    kept = np.ones(len(area), bool)
    for n in np.flatnonzero(level == TOWN):
        below = (level == VILLAGE) & (inside == tree.watched[area[n]]) & (kind == kind[n])
        kept[n] = more[below].sum() < HALF * more[n]
    return kept


def _places(areas: Ints) -> list[tuple[int, int]]:
    """Where the reports are placed, most first: area and number."""
    which, number = np.unique(areas[areas >= 0], return_counts=True)
    order = np.argsort(-number, kind="stable")[:SHOWN_PLACES]
    return [(int(which[n]), int(number[n])) for n in order]


# --- topics ---------------------------------------------------------------------------------------


def _topics(
    connection: Connection, told: Texts, starts: "npt.NDArray[np.datetime64]", tree: _Tree,
    rate: float,
) -> list[topics.Topic]:  # fmt: skip
    names = set(connection.execute(_NAMES, {"village": VILLAGE}).scalars())
    stop = {part for name in names for part in topics.words(name)} | names
    week = (told.day - starts[0].astype(np.int64)) // 7
    area = tree.above(told.area_id, TOWN)
    return topics.surging(told.texts, week, starts, area=area, rate=rate, stop=stop)


def _of_their_own(
    said: Sequence[topics.Topic], surging: list[dict[str, Any]], told: Texts, tree: _Tree
) -> list[dict[str, Any]]:
    """Topics as findings; a surge whose reports have the words is given them instead."""
    own = []
    for topic in said:
        share = [_share(topic, surge, told, tree) for surge in surging]
        if share and sum(share) >= HALF:
            surging[int(np.argmax(share))]["words"] += topic.words
        elif (finding := _topic(topic, told, tree)) is not None:
            own.append(finding)
    return own


def _share(topic: topics.Topic, surge: Mapping[str, Any], told: Texts, tree: _Tree) -> float:
    inside = tree.above(told.area_id[topic.reports], surge["level"]) == surge["area_id"]
    alike = np.array([told.kind[n] == surge["kind"] for n in topic.reports])
    return float((inside & alike).mean())


def _topic(topic: topics.Topic, told: Texts, tree: _Tree) -> dict[str, Any] | None:
    """A topic as a finding, of its town if most of its reports are of one, else of the city."""
    areas = told.area_id[topic.reports]
    town, number = topic.areas[0]
    roots = tree.above(areas, CITY)
    root = int(roots.max(initial=-1))
    of_one = town >= 0 and number >= HALF * len(topic.reports)
    if not of_one and root < 0:
        return None  # none of its reports lies in the city
    kinds = [told.kind[n] for n in topic.reports]
    return {
        "model": "topic", "words": list(topic.words), "kind": max(kinds, key=kinds.count),
        "area_id": town if of_one else root, "level": TOWN if of_one else CITY,
        "observed": topic.observed, "expected": topic.expected, "threshold": None,
        "p": topic.p, "q": topic.q, "new": topic.new, "places": _places(areas),
        # How many times the usual; of a word that is new, of one report.
        "score": topic.observed / max(topic.expected, 1.0),
    }  # fmt: skip


ANALYSIS = Analysis("watch", VERSION, work)
