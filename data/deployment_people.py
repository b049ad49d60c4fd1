"""Who could be planned for a deployment, and in which of its shifts they are free."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from data import freshness
from data.freshness import FRESH
from data.settings import settings
from gis.links import Bools, Floats, Ints

MOST = 20_000

_SLOT = """
WITH slot AS MATERIALIZED (
    SELECT t.n::integer - 1 AS n, tstzrange(t.start, t.until) AS during
    FROM unnest(CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]))
         WITH ORDINALITY AS t (start, until, n)
)"""

# Somebody with a shift pattern has to be on duty all of the time, so volunteers with spare time
# are planned for evenings and weekends. Who is off, busy or full now is so for the shifts that
# have begun, and may be free again for later ones. Where people start from is their home; their
# position only if it begins before that is stale.
_AVAILABLE = text(f"""
{_SLOT}, asked AS MATERIALIZED (
    SELECT now() AS at
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
       ARRAY(
           SELECT slot.n FROM slot LEFT JOIN duty ON duty.n = slot.n
           WHERE (r.shift IS NULL OR r.shift = ANY (duty.shifts))
             AND (NOT slot.during @> asked.at
                  OR (r.status = 'available' AND r.load < r.capacity))
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

# Whoever is on leave or planned anywhere is away, whatever their shift says. Asked apart from the
# people: one scan each, where a look-up for every one of them would hang on the planner's guess.
_AWAY = text(f"""
{_SLOT}
SELECT a.resource_id, slot.n FROM slot JOIN attendance a ON a.during && slot.during
WHERE a.state <> 'cancelled'
UNION ALL
SELECT l.resource_id, slot.n FROM slot JOIN leave l ON l.during && slot.during
""")

_PLANNED = text("""
SELECT a.resource_id, count(*) AS shifts
FROM deployment_site e JOIN deployment_shift s ON s.site_id = e.id
JOIN attendance a ON a.shift_id = s.id
WHERE e.deployment_id = :deployment_id AND a.state <> 'cancelled' GROUP BY a.resource_id
""")


def deployed(at: str) -> str:
    """SQL: whether a resource `r` is at work at a moment, in a shift that is not over then.

    It is from being checked in until being checked out, but not beyond the end of the shift: who
    forgets to check out is not kept from other work.
    """
    return f"""EXISTS (SELECT FROM attendance w
                      WHERE w.resource_id = r.id AND w.state = 'checked_in'
                        AND w.since <= {at} AND upper(w.during) > {at})"""


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
        **freshness.limits(),
        "most": MOST + 1,
    }  # fmt: skip
    rows = connection.execute(_AVAILABLE, asked).all()
    at = {row.id: person for person, row in enumerate(rows)}
    free = np.zeros((len(rows), len(stretches)), bool)
    for person, row in enumerate(rows):
        free[person, row.free] = True
    for who_id, slot in connection.execute(_AWAY, asked):
        if who_id in at:
            free[at[who_id], slot] = False
    planned = np.zeros(len(rows), np.int64)
    for who_id, shifts in connection.execute(_PLANNED, asked):
        if who_id in at:
            planned[at[who_id]] = shifts
    return People(
        np.array(list(at), np.int64),
        np.array([(row.lon, row.lat) for row in rows], float).reshape(-1, 2),
        [row.mode for row in rows],
        [set(row.skills) for row in rows],
        free,
        planned,
    )
