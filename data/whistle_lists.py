"""Whistles as they stand: who was called, who is late, the team, the visits, the plan."""

from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data.whistle_rules import allowed
from data.whistles import WhistleError

_COLUMNS = """
w.id AS number, w.incident_id AS case, u.code AS caller, u.name AS caller_name, g.code AS grid,
w.what, w.hard, w.at, w.actor, w.ended, w.ended_by, w.outcome
"""
_FROM = """
FROM whistle w JOIN organisation u ON u.id = w.caller_id LEFT JOIN area g ON g.id = w.grid_id
"""
_GET = text(f"SELECT {_COLUMNS} {_FROM} WHERE w.id = :id")
_LISTED = text(f"""
SELECT {_COLUMNS}, n.*
{_FROM} CROSS JOIN LATERAL (
    SELECT count(*) AS called, count(*) FILTER (WHERE c.state = 'arrived') AS arrived,
           count(*) FILTER (WHERE c.declined IS NOT NULL) AS declined,
           count(*) FILTER (WHERE EXISTS (SELECT FROM whistle_step s
                                          WHERE s.call_id = c.id AND s.action = 'late')) AS late
    FROM whistle_call c WHERE c.whistle_id = w.id AND c.state <> 'released'
) n
WHERE (NOT CAST(:open AS boolean) OR w.ended IS NULL)
  AND (NOT CAST(:late AS boolean) OR n.late > 0)
  AND (CAST(:case AS bigint) IS NULL OR w.incident_id = :case)
  AND (CAST(:caller AS text) IS NULL OR u.code = :caller)
  AND (CAST(:called AS text) IS NULL OR EXISTS (
       SELECT FROM whistle_call c JOIN organisation o ON o.id = c.organisation_id
       WHERE c.whistle_id = w.id AND o.code = :called AND c.state <> 'released'))
  AND (CAST(:before AS bigint) IS NULL OR w.id < :before)
ORDER BY w.id DESC LIMIT :limit
""")
_CALLS = text("""
SELECT c.id, o.code AS organisation, o.name AS organisation_name, v.code AS invited_by, c.at,
       c.state, c.signed, c.contacted, c.arrived, c.declined, c.rating, c.words,
       coalesce((SELECT jsonb_agg(jsonb_build_object(
                     'clock', k.name, 'due', k.due, 'stopped', k.stopped, 'late', k.late)
                     ORDER BY k.due, k.id)
                 FROM clock k WHERE k.incident_id = w.incident_id
                   AND k.subject = 'whistle_call ' || c.id), '[]') AS clocks,
       (SELECT count(*) FROM whistle_step s WHERE s.call_id = c.id AND s.action = 'late') AS late
FROM whistle_call c JOIN whistle w ON w.id = c.whistle_id
JOIN organisation o ON o.id = c.organisation_id JOIN organisation v ON v.id = c.invited_by_id
WHERE c.whistle_id = :id ORDER BY c.id
""")
_MEMBERS = text("""
SELECT m.id, o.code AS organisation, m.resource_id AS resource, r.name AS resource_name, m.role,
       m.joined, m.departed
FROM whistle_member m JOIN organisation o ON o.id = m.organisation_id
LEFT JOIN resource r ON r.id = m.resource_id
WHERE m.whistle_id = :id ORDER BY m.id
""")
_VISITS = text("""
SELECT v.id, v.at, v.place, ST_X(v.geom) AS lon, ST_Y(v.geom) AS lat, v.present, v.finding,
       v.recorded, v.actor
FROM whistle_visit v WHERE v.whistle_id = :id ORDER BY v.at, v.id
""")
_PLAN = text("""
SELECT s.id, s.what, o.code AS owner, s.due, s.at, s.actor, s.done, s.done_by, s.result
FROM whistle_plan_step s JOIN organisation o ON o.id = s.owner_id
WHERE s.whistle_id = :id ORDER BY s.due, s.id
""")
_STEPS = text("""
SELECT s.id, s.call_id AS call, s.at, s.action, s.actor, o.code AS acting, s.reason, s.data
FROM whistle_step s LEFT JOIN organisation o ON o.id = s.acting_id
WHERE s.whistle_id = :id ORDER BY s.id
""")


def get(connection: Connection, number: int) -> dict[str, Any]:
    """A whistle with its calls, team, visits, plan and steps.

    Raises
    ------
    WhistleError
        There is none of this number.
    """
    asked = {"id": number}
    found = connection.execute(_GET, asked).mappings().first()
    if found is None:
        raise WhistleError("unknown_whistle", f"There is no whistle {number}.", field="number")
    parts = {"team": _MEMBERS, "visits": _VISITS, "plan": _PLAN, "steps": _STEPS}
    return {
        **found,
        "calls": [
            {**row, "allowed": _can(found, row)}
            for row in connection.execute(_CALLS, asked).mappings()
        ],
        **{
            name: [dict(row) for row in connection.execute(query, asked).mappings()]
            for name, query in parts.items()
        },
    }


def _can(whistle: RowMapping, call: RowMapping) -> list[str]:
    return [] if whistle["ended"] else allowed(call["state"], call["declined"] is not None)


def listed(
    connection: Connection,
    *,
    open_only: bool = False,
    late: bool = False,
    case: int | None = None,
    caller: str | None = None,
    called: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[RowMapping]:
    """Whistles with how many were called, came, wish not to and were late; the newest first."""
    asked = {
        "open": open_only, "late": late, "case": case, "caller": caller, "called": called,
        "before": before, "limit": limit,
    }  # fmt: skip
    return list(connection.execute(_LISTED, asked).mappings())
