"""Cases as they are looked at: one, many, and every step of one."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, text

_COLUMNS = """
i.id, i.opened, i.closed, i.outcome, i.kind, k.title AS kind_title, k.title_en AS kind_title_en,
i.urgency, i.stage, i.since, i.level, i.solved, i.solved_level, i.bounces, i.reopened,
i.merged_into, o.code AS organisation, o.name AS organisation_name, o.role AS organisation_role,
ST_X(i.geom) AS lon, ST_Y(i.geom) AS lat, i.area_id, a.layer, a.code, r.address, r.description,
(SELECT v.name FROM area_version v WHERE v.area_id = i.area_id AND upper_inf(v.recorded)
 ORDER BY v.valid @> now() DESC, lower(v.valid) DESC LIMIT 1) AS area_name,
(SELECT count(*) FROM report j WHERE j.incident_id = i.id) AS reports,
(SELECT max(s.id) FROM case_step s WHERE s.incident_id = i.id) AS step
"""
_FROM = """
FROM incident i
JOIN report r ON r.id = i.id
JOIN organisation o ON o.id = i.organisation_id
LEFT JOIN area a ON a.id = i.area_id
LEFT JOIN case_kind k ON k.code = i.kind AND k.valid @> i.opened
"""
_GET = text(f"SELECT {_COLUMNS} {_FROM} WHERE i.id = :id")
_LISTED = text(f"""
SELECT {_COLUMNS} {_FROM}
WHERE (CAST(:stages AS text[]) IS NULL OR i.stage = ANY (:stages))
  AND (NOT CAST(:open AS boolean) OR i.closed IS NULL)
  AND (CAST(:organisation AS text) IS NULL OR o.code = :organisation)
  AND (CAST(:kind AS text) IS NULL OR i.kind = :kind)
  AND (CAST(:level AS integer) IS NULL OR i.level = :level)
  AND (CAST(:under AS bigint[]) IS NULL OR i.area_id = ANY (:under))
  AND (CAST(:before AS bigint) IS NULL OR (i.opened, i.id) < (
       SELECT l.opened, l.id FROM incident l WHERE l.id = :before))
ORDER BY i.opened DESC, i.id DESC LIMIT :limit
""")


def get(connection: Connection, number: int) -> RowMapping | None:
    """A case as it stands, or None."""
    return connection.execute(_GET, {"id": number}).mappings().first()


def listed(
    connection: Connection,
    *,
    stages: Sequence[str] | None = None,
    open_only: bool = False,
    organisation: str | None = None,
    kind: str | None = None,
    level: int | None = None,
    under: Sequence[int] | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[RowMapping]:
    """Cases, the newest first; go on with `before` the last one's number."""
    asked = {
        "stages": None if stages is None else list(stages), "open": open_only,
        "organisation": organisation, "kind": kind, "level": level,
        "under": None if under is None else list(under), "before": before, "limit": limit,
    }  # fmt: skip
    return list(connection.execute(_LISTED, asked).mappings())


_TIMELINE = text("""
SELECT s.id AS step, s.at, s.action, s.stage, s.level, o.code AS organisation,
       o.name AS organisation_name, s.actor, b.code AS acting, s.reason, s.data, NULL AS resource
FROM case_step s JOIN organisation o ON o.id = s.organisation_id
LEFT JOIN organisation b ON b.id = s.acting_id
WHERE s.incident_id = :id
UNION ALL
SELECT NULL, t.at, 'assignment.' || t.state, NULL, NULL, NULL, NULL, t.actor, NULL, t.reason,
       jsonb_build_object('assignment', n.id), r.name
FROM assignment n JOIN assignment_step t ON t.assignment_id = n.id
JOIN resource r ON r.id = n.resource_id
WHERE n.incident_id = :id
ORDER BY at, step
""")


def timeline(connection: Connection, number: int) -> list[RowMapping]:
    """Every step of a case and of those who were sent to it, in their order."""
    return list(connection.execute(_TIMELINE, {"id": number}).mappings())
