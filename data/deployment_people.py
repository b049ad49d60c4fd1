"""Who could be planned for a deployment, and in which of its shifts they are free."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from data.candidates import FRESH
from data.settings import settings
from gis.links import Bools, Floats, Ints

MOST = 20_000

# Somebody with a shift pattern has to be on duty all of the time, so volunteers with spare time
# are planned for evenings and weekends; leave and every other deployment overrule. Who is off,
# busy or full now is so for the shifts that have begun, and may be free again for later ones.
# Where people start from is their home; their position only if it begins before that is stale.
_AVAILABLE = text(f"""
WITH asked AS MATERIALIZED (
    SELECT now() AS at
), slot AS MATERIALIZED (
    SELECT t.n::integer - 1 AS n, tstzrange(t.start, t.until) AS during
    FROM unnest(CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
         WITH ORDINALITY AS t (start, until, n)
), minutes AS (
    SELECT slot.n, s.name, s.hours, m.cycle, ((m.first % m.cycle + m.cycle) % m.cycle) AS first,
           m.until - m.first AS length
    FROM slot CROSS JOIN shift s CROSS JOIN LATERAL (
        SELECT floor(extract(epoch FROM (lower(slot.during) AT TIME ZONE :timezone) - s.anchor)
                     / 60)::bigint AS first,
               ceil(extract(epoch FROM (upper(slot.during) AT TIME ZONE :timezone) - s.anchor)
                    / 60)::bigint AS until,
               1440 * s.cycle_days AS cycle
    ) m
), duty AS MATERIALIZED (
    SELECT n, array_agg(name) AS shifts FROM minutes
    WHERE hours @> CASE
        WHEN length >= cycle THEN int4multirange(int4range(0, cycle))
        ELSE int4multirange(
            int4range(first::integer, least(first + length, cycle)::integer),
            int4range(0, greatest(first + length - cycle, 0)::integer)) END
    GROUP BY n
)
SELECT r.id, r.mode, r.skills,
       CASE WHEN f.fresh THEN ST_X(f.geom) ELSE ST_X(r.home) END AS lon,
       CASE WHEN f.fresh THEN ST_Y(f.geom) ELSE ST_Y(r.home) END AS lat,
       (SELECT count(*) FROM attendance a JOIN deployment_shift d ON d.id = a.shift_id
        JOIN deployment_site e ON e.id = d.site_id
        WHERE a.resource_id = r.id AND a.state <> 'cancelled' AND e.deployment_id = :deployment_id
       ) AS planned,
       ARRAY(
           SELECT slot.n FROM slot LEFT JOIN duty ON duty.n = slot.n
           WHERE (r.shift IS NULL OR r.shift = ANY (duty.shifts))
             AND (NOT slot.during @> asked.at
                  OR (r.status = 'available' AND r.load < r.capacity))
             AND NOT EXISTS (SELECT FROM leave l
                             WHERE l.resource_id = r.id AND l.during && slot.during)
             AND NOT EXISTS (SELECT FROM attendance a
                             WHERE a.resource_id = r.id AND a.during && slot.during
                               AND a.state <> 'cancelled')
       ) AS free
FROM asked CROSS JOIN resource r JOIN resource_kind k ON k.name = r.kind
LEFT JOIN LATERAL (
    SELECT f.geom, {FRESH} AND CAST(:begins AS timestamptz)
                   < asked.at + make_interval(secs => :fresh_s) AS fresh
    FROM position f WHERE f.resource_id = r.id
) f ON true
WHERE r.withdrawn IS NULL AND k.form <> 'facility' AND r.kind = ANY (:kinds)
  AND r.skills @> CAST(:skills AS text[])
  AND (CAST(:modes AS text[]) IS NULL OR r.mode = ANY (:modes))
  AND (CAST(:organisation_id AS bigint) IS NULL OR r.organisation_id = :organisation_id)
  AND (CAST(:area_ids AS bigint[]) IS NULL OR r.home_area_id = ANY (:area_ids)
       OR EXISTS (SELECT FROM resource_area o
                  WHERE o.resource_id = r.id AND o.area_id = ANY (:area_ids)))
ORDER BY r.id LIMIT :most
""")


@dataclass(frozen=True)
class Filter:
    """Who is considered: all conditions hold; None is no condition.

    area_ids: at home in one of them, or answering for one.
    """

    kinds: Sequence[str]
    skills: Sequence[str] = ()
    modes: Sequence[str] | None = None
    organisation_id: int | None = None
    area_ids: Sequence[int] | None = None


@dataclass(frozen=True, eq=False)
class People:
    """Those who are considered: p people, and h stretches of time.

    Attributes
    ----------
    ids : (p,) ndarray of int
    lonlat : (p, 2) ndarray of float
        Where they start from, WGS 84.
    modes : (p,) list of str
    skills : (p,) list of set of str
    free : (p, h) ndarray of bool
    planned : (p,) ndarray of int
        In how many shifts of the deployment they are already.
    """

    ids: Ints
    lonlat: Floats
    modes: list[str]
    skills: list[set[str]]
    free: Bools
    planned: Ints


def available(
    connection: Connection,
    who: Filter,
    stretches: Sequence[tuple[datetime, datetime]],
    deployment_id: int,
) -> People:
    """The people of a filter, ordered by number, with the stretches (from, until) they are free in.

    One more than `MOST` are read at most, so that too many show.
    """
    asked: dict[str, Any] = {
        **{name: None if given is None or isinstance(given, int) else list(given)
           for name, given in vars(who).items()},
        "organisation_id": who.organisation_id,
        "starts": [start for start, _ in stretches],
        "ends": [until for _, until in stretches],
        "begins": min(start for start, _ in stretches),
        "deployment_id": deployment_id,
        "timezone": settings().timezone,
        "fresh_s": settings().position_fresh_s,
        "accurate_m": settings().position_accuracy_m,
        "most": MOST + 1,
    }  # fmt: skip
    rows = connection.execute(_AVAILABLE, asked).all()
    free = np.zeros((len(rows), len(stretches)), bool)
    for person, row in enumerate(rows):
        free[person, row.free] = True
    return People(
        np.array([row.id for row in rows], np.int64),
        np.array([(row.lon, row.lat) for row in rows], float).reshape(-1, 2),
        [row.mode for row in rows],
        [set(row.skills) for row in rows],
        free,
        np.array([row.planned for row in rows], np.int64),
    )
