"""The rows behind a figure, one by one: those of its numerator and those of its denominator."""

from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, text

from data.indicators import figures, source
from data.indicators.question import Question
from data.indicators.registry import Indicator

Part = Literal["numerator", "denominator"]

_PAGE = """
SELECT f.id, f.at, f.area_id, a.layer, a.code, f.kind, o.code AS organisation,
       f.facts[{numerator}] AS numerator, f.facts[{denominator}] AS denominator
FROM ({rows}) f
LEFT JOIN area_path p ON p.area_id = f.area_id AND p.valid @> {moment}
LEFT JOIN area a ON a.id = f.area_id
LEFT JOIN organisation o ON o.id = f.organisation_id
WHERE f.facts[{part}] <> 0 AND f.id > :after AND {where}
ORDER BY f.id LIMIT :limit
"""

# Grids instead of rows: those in force at the end, and whether any row lies in them.
_GRIDS = """
WITH stretch AS MATERIALIZED (
    SELECT {{key_of_day}} AS start, least({{key_of_day}} + CAST(:step AS interval), :until) AS until
    FROM (SELECT CAST(:since AS timestamp) AS day) s
), acting AS MATERIALIZED (
    SELECT f.area_id, max(f.at) AS at FROM ({{rows}}) f
    WHERE f.facts[{{position}}] > 0 AND {{where}} GROUP BY 1
)
SELECT p.area_id AS id, c.at, p.area_id, a.layer, a.code, CAST(NULL AS text) AS kind,
       CAST(NULL AS text) AS organisation, (c.area_id IS NOT NULL)::integer AS numerator,
       1 AS denominator
FROM stretch
JOIN area_path p ON p.level = {{grid}} AND p.valid @> {{moment}}
JOIN area a ON a.id = p.area_id
LEFT JOIN acting c ON c.area_id = p.area_id
WHERE {{inside}} AND p.area_id > :after {active}
ORDER BY p.area_id LIMIT :limit
"""


def page(
    connection: Connection, indicator: Indicator, question: Question, part: Part, timezone: str,
    *, after: int = 0, limit: int = 100,
) -> list[RowMapping]:  # fmt: skip
    """Rows by their number: id, at, layer, code, kind, organisation, numerator, denominator.

    Parameters
    ----------
    question : whose `by` does not matter
    part : those that add to the numerator, or to the denominator
    after : number of the last one seen, to go on from

    Raises
    ------
    IndicatorError
        The indicator has no such part as the question names.
    """
    figures.check(indicator, question)
    asked, said = _asked(connection, indicator, question, part, timezone)
    return list(
        connection.execute(text(asked), {**said, "after": after, "limit": limit}).mappings()
    )


def _asked(
    connection: Connection, indicator: Indicator, question: Question, part: Part, timezone: str
) -> tuple[str, dict[str, Any]]:
    if indicator.counts == "grids":
        active = "AND c.area_id IS NOT NULL" if part == "numerator" else ""
        select = _GRIDS.format(active=active)
        return figures.grids(connection, indicator, question, timezone, select)
    family = indicator.family
    rows = source.rows(connection, family, question, timezone)
    where, said = source.narrowed(question)
    fact = indicator.numerator if part == "numerator" else indicator.denominator
    asked = _PAGE.format(
        rows=rows.sql, moment=rows.moment, where=where, part=family.position(fact),
        numerator=family.position(indicator.numerator),
        denominator=family.position(indicator.denominator),
    )  # fmt: skip
    return asked, {**rows.asked, **said}
