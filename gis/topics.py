"""Words that surge in the texts of reports: 烟花 in the weeks before Spring Festival.

Texts are cut into words (jieba's dictionary and hidden Markov model, within the process), the
reports of each week that have a word are counted, and each word is held to its past as any other
series is (`gis.surges`), with the rate of false discoveries bounded over the whole vocabulary.
Words that surge in the same reports make one topic.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import rjieba
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gis import reference, weekly
from gis.multiple_testing import q_values
from gis.surges import Method
from gis.weekly import FEWEST_WEEKS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Cut = Callable[[str], Iterable[str]]

ALIKE = 0.5
"""Words are of one topic if so much of the reports with either have both."""

# Two or more Chinese characters, or letters with digits behind: 5G and numbers of houses are none.
_WORD = re.compile(r"[\u3400-\u9fff]{2,}|[a-z][a-z0-9]+")
_SPACES = re.compile(r"\s+")

STOP_WORDS = frozenset(Path(__file__).with_name("stop_words.txt").read_text("utf-8").split())
"""Words of grammar, of time and of every report. Names of places are for the caller to add."""


@dataclass(frozen=True, eq=False)
class Topic:
    """A word that surges, with the words that surge in the same reports.

    Attributes
    ----------
    words : tuple of str
        The surest first.
    observed, expected : int, float
        Reports with the first word in the week, and as is usual; texts that are the same to the
        letter count once.
    p, q : float
        Of the first word; q corrects for all words that were ever seen.
    new : bool
        Never seen before: then p is only the chance that so many reports of all fall into this
        week, and says nothing of how many words are new in any week.
    reports : ndarray of int
        Positions of the week's reports that have a word of the topic, those with most words first.
    areas : tuple of (int, int)
        Where they come from: area and number, most first; empty if areas were not given.
    """

    words: tuple[str, ...]
    observed: int
    expected: float
    p: float
    q: float
    new: bool
    reports: Ints
    areas: tuple[tuple[int, int], ...]


@cache
def segmenter(own: tuple[str, ...] = ()) -> Cut:
    """What cuts a text into words; `own` words are kept whole (飞线充电).

    Long words come with the words inside them, so that 烟花 is found in 燃放烟花.
    """
    jieba = rjieba.Jieba()
    for word in own:
        jieba.add_word(word, None, None)
    return jieba.cut_for_search


def words(text: str, *, stop: Collection[str] = (), cut: Cut | None = None) -> set[str]:
    """The words of a text, without those of `STOP_WORDS` and `stop`.

    Examples
    --------
    >>> sorted(words("昨晚小区楼下有人燃放烟花，请尽快处理"))
    ['小区', '放烟', '楼下', '烟花', '燃放', '燃放烟花']
    """
    found = (cut or segmenter())(text.lower())
    return {w for w in found if _WORD.fullmatch(w) and w not in STOP_WORDS and w not in stop}


def surging(
    texts: Sequence[str],
    week: ArrayLike,
    weeks: ArrayLike,
    *,
    area: ArrayLike | None = None,
    rate: float = 0.05,
    fewest: int = 5,
    method: Method | None = None,
    relative: bool = False,
    stop: Collection[str] = (),
    own: Sequence[str] = (),
) -> list[Topic]:
    """The topics that surge in the last week, the surest first.

    Parameters
    ----------
    texts : sequence of str
        Of all reports of these weeks, n of them.
    week : array_like of int, shape (n,)
        Of each report, a position in `weeks`.
    weeks : array_like of date, shape (t,)
        First days of the weeks, without a gap; at least eight. With less than a year the last week
        is held to all before it, without seasons.
    area : array_like of int, shape (n,), optional
    rate : float
        Of false discoveries among the words.
    fewest : int
        Reports that a topic has in the week.
    method : Method, optional
        Of the regression; by default `CAUTIOUS` with as many years as there are.
    relative : bool
        Whether a word is held to its share of reports, so that a week with more reports of
        everything has no topic.
    stop, own : collections of str
        Words that are no topic, as names of places; words that the dictionary does not know.

    Raises
    ------
    ValueError
        Arrays that do not fit, a week that is not there, or fewer than eight weeks.
    """
    days = reference.as_weeks(weeks)
    when = np.asarray(week, dtype=int)
    if when.shape != (len(texts),):
        raise ValueError("give the week of each text")
    if len(when) and ((when < 0).any() or (when >= len(days)).any()):
        raise ValueError(f"a report lies outside of the {len(days)} weeks, perhaps in the future")
    if len(days) < FEWEST_WEEKS:
        raise ValueError(f"{len(days)} weeks are too few to know what is usual; give 8 or more")
    told = _told(texts, when, area)
    table = _table([texts[i] for i in told], when[told], len(days), stop, segmenter(tuple(own)))
    now = np.flatnonzero(table.counts[:, -1] >= fewest)
    if not len(now):
        return []
    exposure = np.bincount(when[told], minlength=len(days)).astype(float) if relative else None
    expected, p = _judge(table.counts[now], days, method, exposure)
    # Words of which there are too few reports to be a topic were watched as well.
    q = q_values(np.append(p, np.ones(len(table.vocabulary) - len(now))))[: len(now)]
    hot = np.flatnonzero(q <= rate)
    found = [_Word(table, int(now[i]), float(expected[i]), float(p[i]), float(q[i])) for i in hot]
    places = None if area is None else np.asarray(area, dtype=int)
    return [_topic(group, told, places) for group in _groups(_whole(found))]


@dataclass(frozen=True, eq=False)
class _Table:
    vocabulary: list[str]
    counts: Floats  # (words, weeks)
    report: Ints  # of the last week's pairs of a report and a word
    word: Ints


class _Word:
    """A word that surges, with its reports of the last week."""

    def __init__(self, table: _Table, row: int, expected: float, p: float, q: float):
        self.text = table.vocabulary[row]
        self.count = int(table.counts[row, -1])
        self.new = not table.counts[row, :-1].any()
        self.expected, self.p, self.q = expected, p, q
        self.reports = set(table.report[table.word == row].tolist())


def _told(texts: Sequence[str], when: Ints, area: ArrayLike | None) -> Ints:
    """Reports without those that repeat another of the same week and area to the letter."""
    places = np.zeros(len(texts), dtype=int) if area is None else np.asarray(area, dtype=int)
    if places.shape != when.shape:
        raise ValueError("give the area of each text")
    first: dict[tuple[int, int, str], int] = {}
    for i, text in enumerate(texts):
        first.setdefault((int(when[i]), int(places[i]), _SPACES.sub("", text)), i)
    return np.array(list(first.values()), dtype=int)


def _table(texts: Sequence[str], when: Ints, weeks: int, stop: Collection[str], cut: Cut) -> _Table:
    numbers: dict[str, int] = {}
    report, word = [], []
    for i, text in enumerate(texts):
        # In order of the alphabet, as a set's own order changes from run to run.
        for each in sorted(words(text, stop=stop, cut=cut)):
            report.append(i)
            word.append(numbers.setdefault(each, len(numbers)))
    rows, columns = np.array(word, dtype=int), when[np.array(report, dtype=int)]
    counts = np.bincount(rows * weeks + columns, minlength=len(numbers) * weeks)
    last = columns == weeks - 1
    return _Table(
        list(numbers),
        counts.reshape(len(numbers), weeks).astype(float),
        np.array(report, dtype=int)[last],
        rows[last],
    )


def _judge(
    counts: Floats, weeks: NDArray[np.datetime64], method: Method | None, exposure: Floats | None
) -> tuple[Floats, Floats]:
    """Expected reports of the last week, and p-values."""
    open_to = np.ones(len(weeks)) if exposure is None else exposure
    known = np.where(open_to > 0, counts, np.nan)
    found = weekly.judge(known, weeks, method=method, exposure=np.maximum(open_to, 1.0))
    judged = ~np.isnan(found.p)
    return found.expected, np.where(judged, found.p, 1.0)


def _whole(found: list[_Word]) -> list[_Word]:
    """Without parts of words: 动车 of which every report has 电动车."""
    return [
        part
        for part in found
        if not any(
            part.text != other.text and part.text in other.text and part.reports == other.reports
            for other in found
        )
    ]


def _groups(found: list[_Word]) -> list[list[_Word]]:
    """Words that many of their reports share; groups and words by p, longer words first."""
    found = sorted(found, key=lambda word: (word.p, -len(word.text), word.text))
    pairs = [
        (i, j)
        for i, one in enumerate(found)
        for j, other in enumerate(found[:i])
        if len(one.reports & other.reports) >= ALIKE * len(one.reports | other.reports)
    ]
    i, j = np.array(pairs, dtype=int).reshape(-1, 2).T
    links = coo_array((np.ones(len(pairs)), (i, j)), shape=(len(found), len(found)))
    label = connected_components(links, directed=False)[1]
    groups: dict[int, list[_Word]] = {}
    for word, number in zip(found, label.tolist(), strict=True):
        groups.setdefault(number, []).append(word)
    return list(groups.values())


def _topic(group: list[_Word], told: Ints, area: Ints | None) -> Topic:
    first = group[0]
    reports = sorted(
        set().union(*(word.reports for word in group)),
        key=lambda report: (-sum(report in word.reports for word in group), report),
    )
    at = told[np.array(reports, dtype=int)]
    places: tuple[tuple[int, int], ...] = ()
    if area is not None:
        which, number = np.unique(area[at], return_counts=True)
        order = np.argsort(-number, kind="stable")
        places = tuple((int(which[k]), int(number[k])) for k in order)
    return Topic(
        tuple(word.text for word in group), first.count, first.expected, first.p, first.q,
        first.new, at, places,
    )  # fmt: skip
