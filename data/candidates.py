"""Who could go to an incident: the nearest on duty, able and free, ranked, with reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, text

from data import freshness
from data.deployment_people import deployed
from data.freshness import FRESH
from data.rules import Rule
from data.schema.dispatch import IN_ACTIVE
from data.settings import settings
from gis.ranking import Ranking, Weights, rank
from gis.travel import Legs, Travel

NEAREST = 25  # so many are looked at by travel time

# Skills that are a condition are left out of the walks outward: of what they leave the planner
# expects so little that it would rather read all.
_ASKABLE = "r.withdrawn IS NULL AND r.id <> ALL (CAST(:without AS bigint[]))"
_KIND = f"r.kind = ANY (CAST(:kinds AS text[])) AND {_ASKABLE}"
_ABLE = f"{_KIND} AND r.skills @> CAST(:needed AS text[])"
_WALK = "cardinality(CAST(:needed AS text[])) = 0"
_FREE = f"""r.status = 'available' AND r.load < r.capacity
              AND (r.shift IS NULL OR r.shift = ANY (duty.shifts)) AND NOT {deployed("asked.at")}
              AND NOT EXISTS (SELECT FROM leave l
                              WHERE l.resource_id = r.id AND l.during @> asked.at)"""

# The shifts that are on duty at the moment `asked.at`.
DUTY = """duty AS MATERIALIZED (
    SELECT coalesce(array_agg(s.name), '{}') AS shifts
    FROM asked, shift s WHERE on_duty(s, asked.at, :timezone)
)"""

# Beside them the areas of every layer whose responsible people count.
_ASKED = f"""
WITH asked AS MATERIALIZED (
    SELECT coalesce(CAST(:at AS timestamptz), now()) AS at,
           ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) AS pt,
           ST_Transform(ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), 3395) AS xy
), {DUTY}, areas AS MATERIALIZED (
    SELECT coalesce(array_agg(DISTINCT v.area_id), '{{}}') || CAST(:area_id AS bigint) AS ids
    FROM asked, area_piece p
    CROSS JOIN LATERAL (SELECT v.* FROM area_version v WHERE v.id = p.version_id OFFSET 0) v
    WHERE p.geom && asked.pt AND ST_Intersects(p.geom, asked.pt)
      AND v.valid @> asked.at AND upper_inf(v.recorded)
)"""

# What is told of each that is listed.
_TOLD = f"""
SELECT r.id, r.kind, r.name, r.mode, r.skills, r.capacity, r.load, r.status, r.shift,
       t.title AS kind_title, t.title_en AS kind_title_en, t.form,
       o.name AS organisation, ha.code AS home_code,
       coalesce(r.home_area_id = CAST(:area_id AS bigint), false) AS at_home,
       (SELECT jsonb_agg(jsonb_build_object('layer', a.layer, 'code', a.code, 'title', l.title,
                                            'title_en', l.title_en)
                         ORDER BY l.tree_level DESC NULLS LAST, a.layer, a.code)
        FROM areas, resource_area ra JOIN area a ON a.id = ra.area_id
        JOIN layer l ON l.name = a.layer
        WHERE ra.resource_id = r.id AND ra.area_id = ANY (areas.ids)) AS answers_for,
       CASE WHEN f.fresh THEN ST_X(f.geom) ELSE ST_X(r.home) END AS lon,
       CASE WHEN f.fresh THEN ST_Y(f.geom) ELSE ST_Y(r.home) END AS lat,
       coalesce(f.fresh, false) AS by_position, f.accuracy_m,
       extract(epoch FROM asked.at - f.at)::double precision AS age_s,
       r.shift IS NULL OR r.shift = ANY (duty.shifts) AS on_duty,
       EXISTS (SELECT FROM leave l WHERE l.resource_id = r.id AND l.during @> asked.at) AS on_leave,
       {deployed("asked.at")} AS deployed
FROM listed CROSS JOIN asked CROSS JOIN duty
JOIN resource r ON r.id = listed.id
JOIN resource_kind t ON t.name = r.kind
LEFT JOIN organisation o ON o.id = r.organisation_id
LEFT JOIN area ha ON ha.id = r.home_area_id
LEFT JOIN LATERAL (
    SELECT f.*, {FRESH} AS fresh FROM position f WHERE f.resource_id = r.id
) f ON true
"""

# Whoever has a fresh and accurate position is searched by it, all others by their home, those of
# each shift on duty apart: at night a walk through all would pass thousands who are off. Each
# search walks an index outward from the place and stops at the number asked for; those who answer
# for the place or have a skill that is wanted are listed however far they are. A skill that few
# have would be a long walk: they are found by it.
NEAREST_STATEMENT = text(f"""
{_ASKED}, near AS MATERIALIZED (
    SELECT n.id FROM (
        SELECT h.id, h.d
        FROM unnest(CAST(:kinds AS text[])) k (kind) CROSS JOIN asked CROSS JOIN duty
        CROSS JOIN LATERAL unnest(array_append(duty.shifts, '')) s (shift)
        CROSS JOIN LATERAL (
            SELECT r.id, r.home_xy <-> asked.xy AS d FROM resource r
            WHERE r.kind = k.kind AND coalesce(r.shift, '') = s.shift
              AND {_ASKABLE} AND {_WALK} AND {_FREE}
              AND NOT EXISTS (SELECT FROM position f WHERE f.resource_id = r.id AND {FRESH})
            ORDER BY r.home_xy <-> asked.xy LIMIT :nearest
        ) h
        UNION ALL
        SELECT f.id, f.d FROM asked CROSS JOIN duty CROSS JOIN LATERAL (
            SELECT r.id, f.xy <-> asked.xy AS d
            FROM position f CROSS JOIN LATERAL (
                SELECT r.* FROM resource r WHERE r.id = f.resource_id OFFSET 0) r
            WHERE {FRESH} AND {_WALK} AND {_KIND} AND {_FREE}
            ORDER BY f.xy <-> asked.xy LIMIT :nearest
        ) f
    ) n ORDER BY n.d, n.id LIMIT :nearest
), own AS (
    SELECT r.id FROM (
        SELECT ra.resource_id AS id FROM areas, resource_area ra WHERE ra.area_id = ANY (areas.ids)
        UNION
        SELECT r.id FROM resource r WHERE r.home_area_id = CAST(:area_id AS bigint)
    ) o JOIN resource r ON r.id = o.id CROSS JOIN asked CROSS JOIN duty
    LEFT JOIN position f ON f.resource_id = r.id AND {FRESH}
    WHERE {_ABLE} AND {_FREE}
    ORDER BY coalesce(f.xy, r.home_xy) <-> asked.xy LIMIT :nearest
), skilled AS (
    SELECT h.id FROM unnest(CAST(:skills AS text[])) k (skill)
    CROSS JOIN LATERAL (
        SELECT s.id FROM asked CROSS JOIN LATERAL (
            SELECT r.id, coalesce(f.xy, r.home_xy) AS xy FROM duty CROSS JOIN resource r
            LEFT JOIN position f ON f.resource_id = r.id AND {FRESH}
            WHERE r.skills @> ARRAY[k.skill] AND {_ABLE} AND {_FREE} OFFSET 0
        ) s ORDER BY s.xy <-> asked.xy LIMIT :nearest
    ) h
), listed AS (
    SELECT id FROM near UNION SELECT id FROM own UNION SELECT id FROM skilled
)
{_TOLD} ORDER BY r.id
""")

# Those who would be able but are not free: why nobody better is there.
_TAKEN = text(f"""
{_ASKED}, listed AS (
    SELECT n.id FROM (
        SELECT h.id, h.d
        FROM unnest(CAST(:kinds AS text[])) k (kind) CROSS JOIN asked CROSS JOIN duty
        CROSS JOIN LATERAL (
            SELECT r.id, r.home_xy <-> asked.xy AS d FROM resource r
            WHERE r.kind = k.kind AND {_ASKABLE} AND {_WALK} AND NOT ({_FREE})
            ORDER BY r.home_xy <-> asked.xy LIMIT 1
        ) h
        UNION ALL
        SELECT h.id, h.home_xy <-> asked.xy
        FROM unnest(CAST(:skills AS text[])) k (skill) CROSS JOIN asked
        CROSS JOIN LATERAL (
            SELECT r.id, r.home_xy FROM resource r CROSS JOIN duty
            WHERE r.skills @> ARRAY[k.skill] AND {_ABLE} AND NOT ({_FREE}) AND NOT {_WALK} OFFSET 0
        ) h
    ) n ORDER BY n.d LIMIT 1
)
{_TOLD}
""")

# Who is under way there already, and who said no.
_ASKED_BEFORE = text(f"""
SELECT DISTINCT resource_id FROM assignment
WHERE incident_id = :id AND (state IN {IN_ACTIVE} OR state = 'declined')
""")
_SKILL_TITLES = text("SELECT name, title, title_en FROM skill WHERE name = ANY (:names)")


@dataclass(frozen=True)
class Question:
    """For what place, kinds and skills somebody is looked for.

    lon, lat are WGS 84; `at` an aware moment, None is now. `needed` skills are a condition; of the
    rule's skills it is said who lacks them.
    """

    lon: float
    lat: float
    rule: Rule
    area_id: int | None = None
    at: datetime | None = None
    needed: Sequence[str] = ()
    without: Sequence[int] = ()  # resources that are not asked


@dataclass(frozen=True)
class Candidate:
    """Somebody who could go. Times are seconds, `minutes` is the generalised time by criterion."""

    row: Mapping[str, Any]
    travel_s: float  # inf: there is no way
    distance_m: float
    by_road: bool
    total: float
    minutes: dict[str, float]
    missing: list[str]

    @property
    def responsible(self) -> bool:
        """Whether they answer for the place or are at home in its grid."""
        return bool(self.row["at_home"] or self.row["answers_for"])


@dataclass(frozen=True)
class Shortfall:
    """What could not be had: `skill` (or nobody at all), and the nearest who nearly would do."""

    reason: str  # nobody, beyond_reach, skill_missing
    skill: str | None = None
    nearest: Candidate | None = None
    taken: Mapping[str, Any] | None = None  # able, but not free


@dataclass(frozen=True)
class Found:
    """The candidates of a question, best first, and what fell short."""

    candidates: list[Candidate]
    shortfalls: list[Shortfall] = field(default_factory=list)
    skills: dict[str, tuple[str, str]] = field(default_factory=dict)  # Chinese, English title


def find(connection: Connection, question: Question, travel: Travel, limit: int = 5) -> Found:
    """Look for the best `limit` to send to a place."""
    asked = parameters(question)
    reachable = reachable_of(connection, question, travel)
    return Found(
        reachable[:limit],
        _shortfalls(connection, question, asked, reachable),
        skill_titles(connection, [*question.needed, *question.rule.skills]),
    )


def reachable_of(
    connection: Connection, question: Question, travel: Travel, nearest: int = NEAREST
) -> list[Candidate]:
    """All of about the `nearest` who have a way to the place, best first."""
    asked = parameters(question) | {"nearest": nearest}
    rows = connection.execute(NEAREST_STATEMENT, asked).mappings().all()
    return [c for c in _ranked(rows, question, travel) if np.isfinite(c.travel_s)]


def skill_titles(connection: Connection, names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """What skills are called in Chinese and in English."""
    rows = connection.execute(_SKILL_TITLES, {"names": list(names)}).all() if names else []
    return {row.name: (row.title, row.title_en) for row in rows}


def asked_before(connection: Connection, incident_id: int) -> list[int]:
    """The resources that an incident has already, or that declined it."""
    return list(connection.execute(_ASKED_BEFORE, {"id": incident_id}).scalars())


def parameters(question: Question) -> dict[str, Any]:
    """A question as the parameters of `NEAREST_STATEMENT`."""
    return {
        "lon": question.lon,
        "lat": question.lat,
        "at": question.at,
        "area_id": question.area_id,
        "kinds": list(question.rule.resource_kinds),
        "needed": list(question.needed),
        "without": list(question.without),
        "skills": list(question.needed or question.rule.skills),
        "nearest": NEAREST,
        "timezone": settings().timezone,
        **freshness.limits(),
    }


def _ranked(rows: Sequence[RowMapping], question: Question, travel: Travel) -> list[Candidate]:
    """All that were found, by generalised time."""
    if not rows:
        return []
    wanted = set(question.rule.skills)
    missing = [sorted(wanted - set(row["skills"])) for row in rows]
    legs = travel.legs(
        np.array([(row["lon"], row["lat"]) for row in rows]),
        np.array([(question.lon, question.lat)]),
        np.array([row["mode"] for row in rows]),
    )
    ranking = rank(
        legs.seconds[:, 0],
        np.array([bool(row["at_home"] or row["answers_for"]) for row in rows]),
        np.array([row["load"] for row in rows]),
        np.array([len(each) for each in missing]),
        np.array([row["age_s"] if row["by_position"] else np.nan for row in rows], float),
        Weights.of(question.rule.weights),
    )
    return [_candidate(rows[i], legs, ranking, i, missing[i]) for i in ranking.order.tolist()]


def _candidate(
    row: RowMapping, legs: Legs, ranking: Ranking, i: int, missing: list[str]
) -> Candidate:
    seconds, metres = float(legs.seconds[i, 0]), float(legs.metres[i, 0])
    return Candidate(
        dict(row),
        float("inf") if np.isnan(seconds) else seconds,
        metres,
        bool(legs.by_road[i, 0]),
        float(ranking.minutes[i]),
        {name: float(part[i]) for name, part in ranking.parts.items()},
        missing,
    )


def _shortfalls(
    connection: Connection, question: Question, asked: dict[str, Any], found: list[Candidate]
) -> list[Shortfall]:
    """What the rule asks for and nobody within its reach can give."""
    reach = question.rule.reach_s
    out = []
    if not found:
        return [Shortfall("nobody", taken=_taken(connection, asked))]
    nearest = min(found, key=lambda c: c.travel_s)
    if nearest.travel_s > reach:
        taken = _taken(connection, asked)
        out.append(Shortfall("beyond_reach", nearest=nearest, taken=taken))
    for skill in question.rule.skills:
        having = [c for c in found if skill not in c.missing]
        best = min(having, key=lambda c: c.travel_s, default=None)
        if best is None or best.travel_s > reach:
            needing = {**asked, "needed": [*asked["needed"], skill], "skills": [skill]}
            out.append(Shortfall("skill_missing", skill, best, _taken(connection, needing)))
    return out


def _taken(connection: Connection, asked: dict[str, Any]) -> dict[str, Any] | None:
    row = connection.execute(_TAKEN, asked).mappings().first()
    return dict(row) if row else None


def why_not_free(row: Mapping[str, Any]) -> str:
    """Why somebody who would be able cannot go: on_leave, off, off_duty, busy, deployed or full."""
    if row["on_leave"]:
        return "on_leave"
    if row["status"] != "available":
        return str(row["status"])
    if row["deployed"]:
        return "deployed"
    return "full" if row["on_duty"] else "off_duty"
