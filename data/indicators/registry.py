"""The indicators by name: titles, units, and which facts of which rows they divide by which."""

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Literal

from data.errors import InputError

HERE = Path(__file__).resolve().parent
TOWN, GRID = 2, 4  # levels of the tree
Unit = Literal["share", "count", "mean"]
Words = tuple[str, str]  # Chinese, English


@dataclass(frozen=True)
class Family:
    """Rows of one kind, as the SELECT in `{name}.sql` finds them.

    Its columns are id, area_id, geom, organisation_id, kind and at, and the facts, which are whole
    numbers. Another version is another file beside it, whose name ends in its number.

    Attributes
    ----------
    facts : the columns that are added up, in the order in which cells hold them
    level : of the tree, down to which cells are prepared
    path : where a row can be read, by its id
    """

    name: str
    version: int
    facts: tuple[str, ...]
    level: int
    path: str

    @property
    def sql(self) -> str:
        """The SELECT of its rows."""
        return _read(self.name, self.version)

    def position(self, fact: str) -> int:
        """Where in a cell's array a fact stands, from 1."""
        return self.facts.index(fact) + 1


@cache
def _read(name: str, version: int) -> str:
    suffix = "" if version == 1 else f"_{version}"
    return (HERE / f"{name}{suffix}.sql").read_text(encoding="utf-8")


CASES = Family(
    "cases",
    1,
    (
        "received", "closed", "solved", "solved_in_grid", "solved_in_village", "solved_in_town",
        "moved", "across_levels", "across_bodies", "dispute", "dispute_resolved", "timed",
        "on_time", "bounced", "answered", "reopened", "asked", "satisfaction",
    ),
    TOWN,
    "/api/v1/cases/{id}",
)  # fmt: skip
RECORDS = Family("records", 1, ("collected", "placed"), TOWN, "/api/v1/records/{id}")
ACTIVITY = Family("activity", 1, ("acted",), GRID, "/api/v1/grids/{code}")
FAMILIES = {family.name: family for family in (CASES, RECORDS, ACTIVITY)}


@dataclass(frozen=True)
class Indicator:
    """A named, versioned, dated definition.

    Attributes
    ----------
    since : first day on which it holds, in the city's time
    unit : share (numerator / denominator, 0 to 1), mean (the same, of any size), or count (the
        numerator alone)
    numerator, denominator : facts of the family that are added up
    counts : what is counted: its rows, or the grids in force that have any
    top, bottom : what numerator and denominator rows are, in words
    """

    name: str
    version: int
    since: date
    unit: Unit
    title: Words
    family: Family
    numerator: str
    denominator: str
    top: Words
    bottom: Words
    counts: Literal["rows", "grids"] = "rows"


_RECEIVED = ("期内受理的事件（并案的除外）", "cases received in the period, without merged ones")
_SOLVED = ("期内受理、已化解的事件", "cases received in the period that have been solved")


def _of_cases(
    name: str, unit: Unit, title: Words, facts: tuple[str, str], top: Words,
    bottom: Words = _RECEIVED,
) -> Indicator:  # fmt: skip
    return Indicator(name, 1, date(2000, 1, 1), unit, title, CASES, *facts, top, bottom)


DEFINITIONS = (
    Indicator(
        "in_grid", 1, date(2000, 1, 1), "share", ("入格率", "In-grid rate"), RECORDS,
        "placed", "collected",
        ("其中已确定所属网格的", "of those, records whose grid is certain"),
        ("期内采集、在用的数据", "records in use that were collected in the period"),
    ),
    _of_cases(
        "closing", "share", ("办结率", "Closing rate"), ("closed", "received"),
        ("其中已办结的", "of those, cases that have been closed"),
    ),
    _of_cases(
        "flows", "count", ("跨层级、跨部门流转", "Across levels or bodies"), ("moved", "received"),
        ("其中上报、下派、转办、移送、会商、吹哨过的",
         "of those, escalated, delegated, transferred, referred, consulted or whistled on"),
    ),
    _of_cases(
        "across_levels", "count", ("跨层级流转", "Across levels"), ("across_levels", "received"),
        ("其中上报或下派过的", "of those, escalated or delegated"),
    ),
    _of_cases(
        "across_bodies", "count", ("跨部门流转", "Across bodies"), ("across_bodies", "received"),
        ("其中转办、移送、会商或吹哨过的",
         "of those, transferred, referred, consulted or whistled on"),
    ),
    Indicator(
        "active_grids", 1, date(2000, 1, 1), "share", ("活跃网格占比", "Active grids"), ACTIVITY,
        "acted", "acted",
        ("其中期内有本格人员上报事件或走访签到的",
         "of those, grids whose own people reported an event or proved a visit in the period"),
        ("期末在用的网格", "grids in force at the end of the period"),
        "grids",
    ),
    _of_cases(
        "resolution", "share", ("矛盾纠纷化解率", "Resolution rate of disputes"),
        ("dispute_resolved", "dispute"),
        ("其中已化解、未重开的", "of those, resolved and not open again"),
        ("期内排查受理的矛盾纠纷", "disputes found in the period"),
    ),
    _of_cases(
        "on_time", "share", ("按期率", "On time"), ("on_time", "timed"),
        ("其中各次办理都未超时的", "of those, handled in time, each time"),
        ("期内受理、已办理或已超时的计时事件",
         "timed cases received in the period that have been handled or are late"),
    ),
    _of_cases(
        "solved_in_grid", "share", ("网格内化解占比", "Solved in the grid"),
        ("solved_in_grid", "solved"),
        ("其中在网格化解的（小事不出网格）", "of those, solved at the level of the grid"), _SOLVED,
    ),
    _of_cases(
        "solved_in_village", "share", ("村居内化解占比", "Solved in the village"),
        ("solved_in_village", "solved"),
        ("其中在村居及以下化解的", "of those, solved at village level or below"), _SOLVED,
    ),
    _of_cases(
        "solved_in_town", "share", ("镇街内化解占比", "Solved in the town"),
        ("solved_in_town", "solved"),
        ("其中在镇街及以下化解的（大事不出街道）", "of those, solved at town level or below"),
        _SOLVED,
    ),
    _of_cases(
        "bounces", "mean", ("平均退回次数", "Bounces per case"), ("bounced", "received"),
        ("其被拒收或退回的次数", "how often these were declined or returned"),
    ),
    _of_cases(
        "reopening", "share", ("重开率", "Reopen rate"), ("reopened", "answered"),
        ("其中重开过的", "of those, cases that were opened again"),
        ("期内受理、曾答复的事件", "cases received in the period that were ever answered"),
    ),
    _of_cases(
        "satisfaction", "mean", ("满意度", "Satisfaction"), ("satisfaction", "asked"),
        ("其打分之和（1 至 5 分）", "the sum of their marks, 1 to 5"),
        ("期内受理的事件的回访评价", "marks given on return visits about cases of the period"),
    ),
)  # fmt: skip


class IndicatorError(InputError):
    """What was asked of an indicator cannot be answered.

    `reason` is one of indicator_unknown, area_unknown, organisation_unknown, period_wrong,
    breakdown_wrong.
    """


def find(name: str, version: int | None = None, on: date | None = None) -> Indicator:
    """The definition of a name: the version asked for, or the newest that holds on a day.

    Raises
    ------
    IndicatorError
        There is none.
    """
    named = [each for each in DEFINITIONS if each.name == name]
    fit = [
        each
        for each in named
        if version in (None, each.version) and (on is None or version or each.since <= on)
    ]
    if fit:
        return max(fit, key=lambda each: each.version)
    if named:
        what = f"version {version}" if version else f"version that holds on {on}"
        raise IndicatorError(f"{name} has no {what}", "version", "indicator_unknown")
    names = ", ".join(dict.fromkeys(each.name for each in DEFINITIONS))
    raise IndicatorError(
        f"there is no indicator {name!r}; there are {names}", "name", "indicator_unknown"
    )
