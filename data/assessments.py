"""Risk assessments of decisions: a drawn area, its profile of that day, and what was decided."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import shapely
from sqlalchemy import Connection, RowMapping, text

from data import events, profiles
from data.errors import InputError
from gis.drawn import Drawn

ALL_INSIDE = 0.999  # the drawn line and the city's border are never one to the last metre


class AssessmentError(InputError):
    """An assessment that cannot be made, or that there is not."""


_ADD = text("""
INSERT INTO assessment (title, geom, area_m2, notes, profile, created, actor)
VALUES (:title, ST_Multi(ST_SetSRID(ST_GeomFromWKB(:shape), 4326)), :area_m2, :notes,
        CAST(:profile AS jsonb), :now, :actor)
RETURNING id
""")


def draft(connection: Connection, title: str, drawn: Drawn, *, actor: str, now: datetime) -> int:
    """Take the profile of a drawn area as it is now, to be decided on; the number.

    Raises
    ------
    AssessmentError
        Nothing of the area lies in the city.
    """
    area_m2, inside_m2 = profiles.extent(connection, drawn.shape, now)
    if inside_m2 <= 0:
        raise AssessmentError(
            "the drawn area lies outside the city, of which alone something is known; draw it "
            "inside, and look whether its datum is the one that was named",
            "geometry", "drawing_refused",
        )  # fmt: skip
    notes = list(drawn.notes)
    if inside_m2 < ALL_INSIDE * area_m2:
        notes.append(
            f"{1 - inside_m2 / area_m2:.1%} of the area lies outside the city: nothing is known of "
            "that part."
        )
    values = {
        "title": title, "shape": shapely.to_wkb(drawn.shape), "area_m2": area_m2, "notes": notes,
        "profile": json.dumps(profiles.profile(connection, drawn.shape, now), ensure_ascii=False),
        "now": now, "actor": actor,
    }  # fmt: skip
    number = int(connection.execute(_ADD, values).scalar_one())
    events.record(
        connection, "assessment.drafted", {"assessment": number, "title": title, "actor": actor}
    )
    return number


@dataclass(frozen=True)
class Decision:
    """What a body decided: at which level of risk, and when it is looked at again."""

    level: str
    decision: str
    decided_by: str
    review: date | None = None


_LOCK = text("SELECT id FROM assessment WHERE id = :id FOR UPDATE")
_LAST = text("""
SELECT level, decision, decided_by, review FROM assessment_decision
WHERE assessment_id = :id ORDER BY id DESC LIMIT 1
""")
_DECIDE = text("""
INSERT INTO assessment_decision (assessment_id, at, level, decision, review, decided_by, actor)
VALUES (:id, :now, :level, :decision, :review, :decided_by, :actor)
""")


def decide(
    connection: Connection, number: int, said: Decision, *, actor: str, now: datetime
) -> None:
    """Keep what was decided; the same said again is one decision, another one follows it.

    Raises
    ------
    AssessmentError
        There is no such assessment.
    """
    if connection.execute(_LOCK, {"id": number}).first() is None:
        raise _unknown(number)
    last = connection.execute(_LAST, {"id": number}).mappings().first()
    if last is not None and dict(last) == vars(said):
        return
    connection.execute(_DECIDE, {"id": number, "now": now, "actor": actor, **vars(said)})
    told = {"assessment": number, "level": said.level, "review": said.review, "actor": actor}
    events.record(connection, "assessment.decided", told)


_COLUMNS = """
s.id, s.title, s.area_m2, s.notes, s.created, s.actor, d.level, d.decision, d.review, d.decided_by,
d.at AS decided, ST_AsGeoJSON(s.geom, 7) AS geometry
"""
_FROM = """
FROM assessment s LEFT JOIN LATERAL (
    SELECT * FROM assessment_decision WHERE assessment_id = s.id ORDER BY id DESC LIMIT 1
) d ON true
"""
_GET = text(f"SELECT {_COLUMNS}, s.profile {_FROM} WHERE s.id = :id")
_DECISIONS = text("""
SELECT at, level, decision, review, decided_by, actor FROM assessment_decision
WHERE assessment_id = :id ORDER BY id
""")
_PAGE = text(f"""
SELECT {_COLUMNS} {_FROM}
WHERE s.id > :after AND (CAST(:level AS text) IS NULL OR d.level = :level)
  AND (CAST(:decided AS boolean) IS NULL OR (d.at IS NOT NULL) = :decided)
  AND (CAST(:review_by AS date) IS NULL OR d.review <= :review_by)
  AND (CAST(:area_id AS bigint) IS NULL OR EXISTS (
       SELECT FROM area_version v WHERE v.area_id = :area_id AND upper_inf(v.recorded)
       AND v.valid @> now() AND ST_Intersects(v.geom, s.geom)))
ORDER BY s.id LIMIT :limit
""")


def get(connection: Connection, number: int) -> dict[str, Any]:
    """An assessment with its profile and all its decisions, the first one first.

    Raises
    ------
    AssessmentError
        There is none of that number.
    """
    row = connection.execute(_GET, {"id": number}).mappings().first()
    if row is None:
        raise _unknown(number)
    decisions = connection.execute(_DECISIONS, {"id": number}).mappings()
    return {**row, "decisions": [dict(each) for each in decisions]}


def page(
    connection: Connection, *, level: str | None = None, decided: bool | None = None,
    review_by: date | None = None, area_id: int | None = None, after: int = 0, limit: int = 100,
) -> Sequence[RowMapping]:  # fmt: skip
    """Assessments by number, without their profiles.

    Parameters
    ----------
    decided : only those that were decided on, or only drafts
    review_by : only those that are to be looked at again by that day
    area_id : only those that an area has a part of
    """
    asked = {"level": level, "decided": decided, "review_by": review_by, "area_id": area_id,
             "after": after, "limit": limit}  # fmt: skip
    return connection.execute(_PAGE, asked).mappings().all()


def _unknown(number: int) -> AssessmentError:
    return AssessmentError(f"there is no assessment {number}", "number", "assessment_unknown")
