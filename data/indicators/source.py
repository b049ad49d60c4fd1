"""The rows of a family for a question, as SQL: from the cells that are prepared, or one by one.

Both yield day, at, area_id, organisation_id, kind and facts, an array; what is asked of them is the
same statement. The cells are made of the second (`prepared`), so that there is one definition.
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from data.indicators.question import AREAS, PERIODS, Question
from data.indicators.registry import Family

_START = "(CAST(CAST(:{0} AS date) AS timestamp) AT TIME ZONE :timezone)"
SINCE, UNTIL = _START.format("since"), _START.format("until")


class Source(NamedTuple):
    """Rows of a family, and where they count.

    Attributes
    ----------
    sql : SELECT of day, at, area_id, organisation_id, kind, facts
    asked : its parameters
    moment : whose tree the areas are of, in terms of a row `f`
    """

    sql: str
    asked: dict[str, Any]
    moment: str


def one_by_one(family: Family, where: str = "true") -> str:
    """The SELECT of a family's rows between two days."""
    facts = ", ".join(f"r.{fact}" for fact in family.facts)
    return f"""
SELECT r.id, CAST(r.at AT TIME ZONE :timezone AS date) AS day, r.at, r.area_id, r.geom,
       r.organisation_id, r.kind, CAST(ARRAY[{facts}] AS bigint[]) AS facts
FROM ({family.sql}) r
WHERE r.at >= {SINCE} AND r.at < {UNTIL} AND {where}
"""


# Where a row lies on the map of today: its area, if that is in force as it was, else its point's.
_ON_TODAYS_MAP = """
SELECT f.id, f.day, f.at, coalesce(here.area_id, f.area_id) AS area_id, f.organisation_id, f.kind,
       f.facts
FROM ({rows}) f
LEFT JOIN area_version v ON v.area_id = f.area_id AND v.valid @> f.at AND upper_inf(v.recorded)
LEFT JOIN LATERAL (
    SELECT t.area_id FROM area_piece p JOIN area_version t ON t.id = p.version_id
    WHERE NOT coalesce(v.valid @> now(), false) AND p.layer = 'grid' AND p.geom && f.geom
      AND ST_Intersects(p.geom, f.geom) AND t.valid @> now() AND upper_inf(t.recorded)
    ORDER BY t.kind = 'dedicated' DESC, t.area_id LIMIT 1
) here ON true
"""

_CELLS = """
SELECT c.day, CAST(c.day AS timestamp) AT TIME ZONE :timezone AS at, c.area_id, c.organisation_id,
       c.kind, c.facts
FROM indicator_cell c
WHERE c.family = :family AND c.grain = :grain AND c.day >= :since AND c.day < :until
"""

_REDRAWN = text(
    f"""
SELECT EXISTS (
    SELECT FROM area_path
    WHERE lower(valid) > {SINCE} AND lower(valid) <= {{until}}
       OR upper(valid) > {SINCE} AND upper(valid) <= {{until}})
""".replace("{until}", f"CASE WHEN CAST(:today AS boolean) THEN now() ELSE {UNTIL} END")
)

_VERSION = text("SELECT version FROM indicator_state WHERE family = :family AND timezone = :zone")

# All that ever lay in an area, so that few rows are looked at: an array goes down to the indexes.
_BELOW = text("SELECT DISTINCT area_id FROM area_path WHERE path[:level + 1] = :place")


def of(connection: Connection, family: Family, question: Question, timezone: str) -> Source:
    """The rows that a question is about: cells where they can answer it, else one by one."""
    asked: dict[str, Any] = {
        "since": question.since, "until": question.until, "timezone": timezone,
    }  # fmt: skip
    redrawn = connection.execute(_REDRAWN, {**asked, "today": question.today}).scalar_one()
    moment = "now()" if question.today else "f.at"
    version = connection.execute(_VERSION, {"family": family.name, "zone": timezone}).scalar()
    if (
        version == family.version
        and _is_coarse(family, question)
        and not (redrawn and question.today)
    ):
        grain = "month" if _has_whole_months(question) and not redrawn else "day"
        return Source(_CELLS, {**asked, "family": family.name, "grain": grain}, moment)
    return rows(connection, family, question, timezone)


def rows(connection: Connection, family: Family, question: Question, timezone: str) -> Source:
    """The rows that a question is about, one by one."""
    where = "true"
    asked: dict[str, Any] = {
        "since": question.since, "until": question.until, "timezone": timezone,
    }  # fmt: skip
    if question.place is not None and not question.today:
        where = "r.area_id = ANY (CAST(:below AS bigint[]))"
        place = {"level": question.place.level, "place": question.place.id}
        asked["below"] = list(connection.execute(_BELOW, place).scalars())
    found = one_by_one(family, where)
    if question.today:
        return Source(_ON_TODAYS_MAP.format(rows=found), asked, "now()")
    return Source(found, asked, "f.at")


def _is_coarse(family: Family, question: Question) -> bool:
    finest = max(
        question.place.level if question.place else 0,
        AREAS.get(question.by or "", 0),
    )
    return finest <= family.level


def _has_whole_months(question: Question) -> bool:
    return question.since.day == question.until.day == 1 and question.by not in ("day", "week")


def narrowed(question: Question) -> tuple[str, dict[str, Any]]:
    """The condition on a row `f` with its path `p`, and its parameters."""
    said: dict[str, Any] = {}
    where = ["true"]
    if question.place is not None:
        # So that the planner expects many: of an equation it takes one in 200 for granted.
        where.append("(p.path[:level + 1] = :place) IS TRUE")
        said |= {"level": question.place.level, "place": question.place.id}
    if question.organisation_id is not None:
        where.append("f.organisation_id = :organisation_id")
        said["organisation_id"] = question.organisation_id
    if question.kind is not None:
        where.append("f.kind = :kind")
        said["kind"] = question.kind
    return " AND ".join(where), said


def key(by: str | None, day: str = "f.day") -> str:
    """What figures are broken down by, in terms of a row `f` and its path `p`."""
    if by is None:
        return "CAST(NULL AS text)"
    if by in AREAS:
        return f"p.path[{AREAS[by] + 1}]"
    if by in PERIODS:
        return f"CAST(date_trunc('{by}', CAST({day} AS timestamp)) AS date)"
    return {"organisation": "f.organisation_id", "kind": "f.kind"}[by]
