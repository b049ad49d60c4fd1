"""Referrals as they stand, with every step."""

from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data.referral_rules import allowed
from data.referrals import ReferralError

_COLUMNS = """
SELECT r.id AS number, r.incident_id AS case, r.kind, r.direction, g.code AS giver,
       g.name AS giver_name, v.code AS receiver, v.name AS receiver_name, r.team_id AS team,
       t.name AS team_name, r.what, r.offered, r.actor, r.state, r.docket, r.outcome, r.ended,
       c.due, c.late
FROM referral r JOIN organisation g ON g.id = r.giver_id JOIN organisation v ON v.id = r.receiver_id
LEFT JOIN resource t ON t.id = r.team_id
LEFT JOIN LATERAL (
    SELECT c.due, c.late FROM clock c
    WHERE c.incident_id = r.incident_id AND c.subject = 'referral ' || r.id
    ORDER BY c.id DESC LIMIT 1
) c ON true
"""
_GET = text(f"{_COLUMNS} WHERE r.id = :id")
_STEPS = text("""
SELECT s.id, s.at, s.action, s.state, s.actor, o.code AS acting, s.reason, s.data
FROM referral_step s LEFT JOIN organisation o ON o.id = s.acting_id
WHERE s.referral_id = :id ORDER BY s.id
""")
_LISTED = text(f"""
{_COLUMNS}
WHERE (NOT CAST(:open AS boolean) OR r.ended IS NULL)
  AND (CAST(:kind AS text) IS NULL OR r.kind = :kind)
  AND (CAST(:direction AS text) IS NULL OR r.direction = :direction)
  AND (CAST(:case AS bigint) IS NULL OR r.incident_id = :case)
  AND (CAST(:giver AS text) IS NULL OR g.code = :giver)
  AND (CAST(:receiver AS text) IS NULL OR v.code = :receiver)
  AND (CAST(:before AS bigint) IS NULL OR r.id < :before)
ORDER BY r.id DESC LIMIT :limit
""")


def get(connection: Connection, number: int) -> dict[str, Any]:
    """A referral with its steps; raises `ReferralError` if there is none of this number."""
    found = connection.execute(_GET, {"id": number}).mappings().first()
    if found is None:
        raise ReferralError("unknown_referral", f"There is no referral {number}.", field="number")
    steps = connection.execute(_STEPS, {"id": number}).mappings()
    return {**shown(found), "steps": [dict(step) for step in steps]}


def listed(
    connection: Connection,
    *,
    open_only: bool = False,
    kind: str | None = None,
    direction: str | None = None,
    case: int | None = None,
    giver: str | None = None,
    receiver: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[dict[str, Any]]:
    """Referrals, the newest first; go on with `before` the last one's number."""
    asked = {
        "open": open_only, "kind": kind, "direction": direction, "case": case, "giver": giver,
        "receiver": receiver, "before": before, "limit": limit,
    }  # fmt: skip
    return [shown(row) for row in connection.execute(_LISTED, asked).mappings()]


def shown(row: RowMapping) -> dict[str, Any]:
    """A referral with what can be done with it."""
    return {**row, "allowed": allowed(row["state"])}
