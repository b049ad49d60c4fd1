"""How a deployment stands: who is planned, who came, who is missing, shift by shift."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import events
from data.deployments import DeploymentError

# What may be said of somebody. People come late, and back; who came was not absent.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "planned": ("checked_in", "absent"),
    "absent": ("checked_in",),
    "checked_in": ("checked_out",),
    "checked_out": ("checked_in",),
    "cancelled": (),
}
MARKS = ("checked_in", "checked_out", "absent")

_GET = text("SELECT * FROM deployment WHERE id = :id")

_SITES = text("""
SELECT e.id, e.name, ST_X(e.geom) AS lon, ST_Y(e.geom) AS lat, a.layer, a.code
FROM deployment_site e LEFT JOIN area a ON a.id = e.area_id
WHERE e.deployment_id = :id ORDER BY e.id
""")

_SHIFTS = text("""
SELECT s.id, s.site_id, lower(s.during) AS start, upper(s.during) AS until, s.quota, s.minimum,
       s.skills, p.*
FROM deployment_shift s JOIN deployment_site e ON e.id = s.site_id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'planned') AS planned,
           count(*) FILTER (WHERE state = 'checked_in') AS checked_in,
           count(*) FILTER (WHERE state = 'checked_out') AS checked_out,
           count(*) FILTER (WHERE state = 'absent') AS absent,
           coalesce(sum(travel_s) FILTER (WHERE state <> 'cancelled'), 0) AS travel_s,
           max(travel_s) FILTER (WHERE state <> 'cancelled') AS longest_s,
           array_agg(skill) FILTER (WHERE skill IS NOT NULL AND state <> ALL ('{absent,cancelled}'))
           AS skilled
    FROM attendance a WHERE a.shift_id = s.id
) p
WHERE e.deployment_id = :id ORDER BY s.site_id, lower(s.during)
""")

_LISTED = text("""
SELECT d.id, d.name, d.created, d.actor, d.cancelled, n.sites, n.start, n.until, n.quota, n.present,
       n.absent
FROM deployment d CROSS JOIN LATERAL (
    SELECT count(DISTINCT e.id) AS sites, min(lower(s.during)) AS start,
           max(upper(s.during)) AS until, coalesce(sum(s.quota), 0)::bigint AS quota,
           coalesce(sum(p.present), 0)::bigint AS present,
           coalesce(sum(p.absent), 0)::bigint AS absent
    FROM deployment_site e JOIN deployment_shift s ON s.site_id = e.id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE state IN ('planned', 'checked_in', 'checked_out')) AS present,
               count(*) FILTER (WHERE state = 'absent') AS absent
        FROM attendance a WHERE a.shift_id = s.id) p
    WHERE e.deployment_id = d.id
) n
WHERE CAST(:before AS bigint) IS NULL OR d.id < :before ORDER BY d.id DESC LIMIT :limit
""")

_PEOPLE = text("""
SELECT a.shift_id, s.site_id, e.name AS site, lower(s.during) AS start, upper(s.during) AS until,
       a.state, a.since, a.skill, a.travel_s, r.id, r.name, r.kind, r.mode, o.name AS organisation
FROM deployment_site e JOIN deployment_shift s ON s.site_id = e.id
JOIN attendance a ON a.shift_id = s.id JOIN resource r ON r.id = a.resource_id
LEFT JOIN organisation o ON o.id = r.organisation_id
WHERE e.deployment_id = :id AND (CAST(:site AS bigint) IS NULL OR e.id = :site)
  AND (CAST(:shift AS bigint) IS NULL OR s.id = :shift)
  AND (CAST(:state AS text) IS NULL OR a.state = :state)
  AND (a.shift_id, a.resource_id) > (:after_shift, :after_resource)
ORDER BY a.shift_id, a.resource_id LIMIT :limit
""")

# Of several shifts of one person the one that is under way then, or nearest to it. The resource is
# locked too: whoever sends it meanwhile either sees that it is at work, or was first.
_MINE = text("""
SELECT a.shift_id, a.resource_id, a.state, a.since, m.at, s.site_id, e.name AS site, e.area_id,
       r.name
FROM attendance a JOIN deployment_shift s ON s.id = a.shift_id
JOIN deployment_site e ON e.id = s.site_id JOIN resource r ON r.id = a.resource_id
CROSS JOIN LATERAL (SELECT coalesce(CAST(:at AS timestamptz), now()) AS at) m
WHERE e.deployment_id = :id AND a.resource_id = :resource
  AND (CAST(:shift AS bigint) IS NULL OR s.id = :shift)
ORDER BY greatest(lower(s.during) - m.at, m.at - upper(s.during), interval '0'), s.id
LIMIT 1 FOR UPDATE OF a FOR NO KEY UPDATE OF r
""")

_MARK = text("""
UPDATE attendance SET state = :state, since = :at
WHERE shift_id = :shift_id AND resource_id = :resource_id
""")


def get(connection: Connection, number: int) -> dict[str, Any] | None:
    """A deployment with its `sites`, each with its `shifts` and how many are there; or None."""
    row = connection.execute(_GET, {"id": number}).mappings().first()
    if row is None:
        return None
    shifts: dict[int, list[RowMapping]] = defaultdict(list)
    for shift in connection.execute(_SHIFTS, {"id": number}).mappings():
        shifts[shift["site_id"]].append(shift)
    sites = connection.execute(_SITES, {"id": number}).mappings().all()
    return {
        **row,
        "sites": [{**site, "shifts": shifts[site["id"]]} for site in sites],
    }


def listed(
    connection: Connection, *, before: int | None = None, limit: int = 100
) -> list[RowMapping]:
    """Deployments, the newest first, with how many people they want and have."""
    return list(connection.execute(_LISTED, {"before": before, "limit": limit}).mappings())


def people(
    connection: Connection,
    number: int,
    *,
    site: int | None = None,
    shift: int | None = None,
    state: str | None = None,
    after: tuple[int, int] = (0, 0),
    limit: int = 100,
) -> list[RowMapping]:
    """Who goes where, by shift and number; `after` is the last (shift, resource) seen."""
    asked = {
        "id": number, "site": site, "shift": shift, "state": state, "after_shift": after[0],
        "after_resource": after[1], "limit": limit,
    }  # fmt: skip
    return list(connection.execute(_PEOPLE, asked).mappings())


def mark(
    connection: Connection,
    number: int,
    resource_id: int,
    state: str,
    *,
    actor: str,
    shift: int | None = None,
    at: datetime | None = None,
) -> RowMapping:
    """Say that somebody came, left or did not come; said again it changes nothing.

    Without a shift it is the one of the moment, or the nearest to it; without a moment, now.

    Raises
    ------
    DeploymentError
        They are not planned there, or it does not follow from what was said before.
    """
    asked = {"id": number, "resource": resource_id, "shift": shift, "at": at}
    row = connection.execute(_MINE, asked).mappings().first()
    if row is None:
        where = f"shift {shift} of deployment" if shift else "deployment"
        raise DeploymentError(
            f"resource {resource_id} is not planned for {where} {number}",
            "resource",
            "attendance_unknown",
        )
    if row["state"] != state:
        _check(row, state)
        connection.execute(_MARK, {**row, "state": state})
        said = {
            "deployment": number, "site": row["site"], "shift": row["shift_id"],
            "resource_name": row["name"], "at": row["at"], "actor": actor,
        }  # fmt: skip
        events.record(
            connection,
            f"attendance.{state}",
            said,
            resource_id=resource_id,
            area_id=row["area_id"],
        )
    [now] = people(
        connection,
        number,
        shift=row["shift_id"],
        after=(row["shift_id"], resource_id - 1),
        limit=1,
    )
    return now


def _check(row: RowMapping, state: str) -> None:
    allowed = TRANSITIONS[row["state"]]
    if state not in allowed:
        may = f"may become {' or '.join(allowed)}" if allowed else "does not change any more"
        raise DeploymentError(
            f"{row['name']} is {row['state']} since {row['since'].isoformat()} and {may}",
            "state",
            "attendance_refused",
        )
    if row["state"] != "planned" and row["at"] < row["since"]:
        raise DeploymentError(
            f"{row['name']} is {row['state']} since {row['since'].isoformat()}, which is later "
            "than the moment given; what was said later holds",
            "at",
            "attendance_refused",
        )
