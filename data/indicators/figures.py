"""What the indicators say: numerators and denominators, this year and the year before."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from data.indicators import source
from data.indicators.question import AREAS, PERIODS, Question
from data.indicators.registry import GRID, Family, Indicator, IndicatorError, Unit

Key = Hashable  # an area, an organisation (numbers), a kind (text), the first day of a period


@dataclass(frozen=True)
class Figure:
    """A figure with what it is made of, and the one of a year before.

    Attributes
    ----------
    key : what it is about: see `Key`; None: all, or what has none
    """

    unit: Unit
    key: Key
    numerator: int
    denominator: int
    before: "Figure | None" = None

    @property
    def value(self) -> float | None:
        """The figure; None where there is nothing to divide by."""
        if self.unit == "count":
            return self.numerator
        return self.numerator / self.denominator if self.denominator else None


_SUMS = """
SELECT {key} AS key, {sums}
FROM ({rows}) f {path}
WHERE {where} GROUP BY 1
"""
_PATH = "LEFT JOIN area_path p ON p.area_id = f.area_id AND p.valid @> {moment}"

# Grids in force at the end of each stretch of the period, and those of them that have any rows.
_GRIDS = """
WITH stretch AS MATERIALIZED (
    SELECT {key_of_day} AS start, least({key_of_day} + CAST(:step AS interval), :until) AS until
    FROM generate_series(CAST(:since AS timestamp), CAST(:until AS timestamp) - interval '1 day',
                         '1 day') AS s (day) GROUP BY 1, 2
), acting AS MATERIALIZED (
    SELECT DISTINCT {key_of_row} AS start, f.area_id FROM ({rows}) f
    WHERE f.facts[{position}] > 0 AND {where}
)
SELECT {key} AS key, count(*) AS denominator,
       count(*) FILTER (WHERE (stretch.start, p.area_id) IN (SELECT a.start, a.area_id
                                                             FROM acting a)) AS numerator
FROM stretch
JOIN area_path p ON p.level = {grid} AND p.valid @> {moment}
WHERE {inside} GROUP BY 1
"""


def of(
    connection: Connection, indicator: Indicator, question: Question, timezone: str
) -> list[Figure]:
    """The figures of an indicator, each with the one of a year before; one, or by `question.by`.

    Raises
    ------
    IndicatorError
        It cannot be broken down in that way, or not without naming an area.
    """
    check(indicator, question)
    now = _of_period(connection, [indicator], question, timezone)[indicator.name]
    past = _of_period(connection, [indicator], question.a_year_before(), timezone)
    return _beside(now, past[indicator.name], question)


def board(
    connection: Connection, indicators: Sequence[Indicator], question: Question, timezone: str
) -> dict[str, list[Figure]]:
    """The figures of many indicators at once, by name; each family is read once."""
    for each in indicators:
        check(each, question)
    now = _of_period(connection, indicators, question, timezone)
    past = _of_period(connection, indicators, question.a_year_before(), timezone)
    return {name: _beside(now[name], past[name], question) for name in now}


def check(indicator: Indicator, question: Question) -> None:
    """Raise `IndicatorError` unless the indicator has the parts that the question names."""
    of_rows = {"organisation": question.organisation_id, "kind": question.kind}
    named = [part for part, value in of_rows.items() if value is not None or question.by == part]
    have = {"cases": ("organisation", "kind"), "records": ("kind",)}
    missing = [part for part in named if part not in have.get(indicator.family.name, ())]
    if missing:
        raise IndicatorError(
            f"{indicator.name} has no {missing[0]}; ask for it by area or by period",
            "by" if question.by == missing[0] else missing[0], "breakdown_wrong",
        )  # fmt: skip
    level = AREAS.get(question.by or "", 0)
    if question.place is not None and level and level < question.place.level:
        raise IndicatorError(
            f"{question.place.code} is a {question.place.layer}; nothing in it is broken down by "
            f"{question.by}", "by", "breakdown_wrong",
        )  # fmt: skip
    if level > 2 and question.place is None and indicator.counts == "rows":
        raise IndicatorError(
            f"by {question.by} the whole city is too much at once; name an area, such as a "
            "district or a town", "area", "breakdown_wrong",
        )  # fmt: skip


def _of_period(
    connection: Connection, indicators: Sequence[Indicator], question: Question, timezone: str
) -> dict[str, dict[Key, Figure]]:
    families = {each.family.name: each.family for each in indicators}
    found: dict[str, dict[Key, Figure]] = {}
    for family in families.values():
        mine = [each for each in indicators if each.family == family]
        found |= _of_rows(connection, family, mine, question, timezone)
        for each in mine:
            if each.counts == "grids":
                found[each.name] = _of_grids(connection, each, question, timezone)
    if question.by is None:  # no rows are a figure, too
        return {e.name: found[e.name] or {None: Figure(e.unit, None, 0, 0)} for e in indicators}
    return {each.name: found[each.name] for each in indicators}


def _of_rows(
    connection: Connection, family: Family, indicators: Sequence[Indicator], question: Question,
    timezone: str,
) -> dict[str, dict[Key, Figure]]:  # fmt: skip
    mine = [each for each in indicators if each.counts == "rows"]
    if not mine:
        return {}
    rows = source.of(connection, family, question, timezone)
    where, said = source.narrowed(question)
    facts = sorted({fact for each in mine for fact in (each.numerator, each.denominator)})
    sums = ", ".join(
        f"CAST(coalesce(sum(f.facts[{family.position(fact)}]), 0) AS bigint) AS {fact}"
        for fact in facts
    )
    asked = _SUMS.format(
        key=source.key(question.by), sums=sums, rows=rows.sql, where=where,
        path=_PATH.format(moment=rows.moment) if "p." in where + source.key(question.by) else "",
    )  # fmt: skip
    lines = connection.execute(text(asked), {**rows.asked, **said}).mappings().all()
    return {
        each.name: {
            line["key"]: Figure(
                each.unit, line["key"], line[each.numerator], line[each.denominator]
            )
            for line in lines
        }
        for each in mine
    }


def _of_grids(
    connection: Connection, indicator: Indicator, question: Question, timezone: str
) -> dict[Key, Figure]:
    asked, said = grids(connection, indicator, question, timezone)
    lines = connection.execute(text(asked), said)
    return {
        line.key: Figure(indicator.unit, line.key, line.numerator, line.denominator)
        for line in lines
    }


def grids(
    connection: Connection, indicator: Indicator, question: Question, timezone: str,
    select: str = _GRIDS,
) -> tuple[str, dict[str, Any]]:  # fmt: skip
    """The statement about the grids in force and those that act, with its parameters."""
    rows = source.of(connection, indicator.family, question, timezone)
    inside, said = source.narrowed(question)
    by = question.by if question.by in PERIODS else None
    start = source.key(by, "s.day") if by else "CAST(:since AS date)"
    key = "stretch.start" if by else source.key(question.by)
    end = "CAST(stretch.until AS timestamp) AT TIME ZONE :timezone - interval '1 us'"
    asked = select.format(
        key_of_day=start,
        key_of_row=source.key(by) if by else "CAST(:since AS date)",
        rows=rows.sql, key=key, position=indicator.family.position(indicator.numerator),
        where="true", grid=GRID, inside=inside,
        moment="now()" if question.today else f"({end})",
    )  # fmt: skip
    step = PERIODS[by] if by else f"{(question.until - question.since).days} days"
    return asked, {**rows.asked, **said, "step": step}


def _beside(now: dict[Key, Figure], past: dict[Key, Figure], question: Question) -> list[Figure]:
    """Each figure with the one of a year before; what there is only of then is left out."""
    out = []
    for key, each in now.items():
        then = past.get(question.before(key) if question.by in PERIODS else key)  # type: ignore[arg-type]
        out.append(Figure(each.unit, key, each.numerator, each.denominator, then))
    return sorted(out, key=lambda each: (each.key is None, str(each.key)))
