"""Events: what happened, written in the transaction in which it did (the outbox)."""

import json
from typing import Any

from sqlalchemy import Connection, text

_RECORD = text("""
INSERT INTO event (kind, incident_id, resource_id, area_id, data)
VALUES (:kind, :incident_id, :resource_id, :area_id, CAST(:data AS jsonb)) RETURNING id
""")


def record(
    connection: Connection,
    kind: str,
    data: dict[str, Any] | None = None,
    *,
    incident_id: int | None = None,
    resource_id: int | None = None,
    area_id: int | None = None,
) -> int:
    """Write down that something happened; it is told to others once the transaction is committed.

    Parameters
    ----------
    kind : as `report.received`, `assignment.accepted`
    data : what a listener needs without asking again; JSON
    area_id : of the area that it happened in, by which listeners choose

    Returns the event's number.
    """
    values = {
        "kind": kind,
        "incident_id": incident_id,
        "resource_id": resource_id,
        "area_id": area_id,
        "data": json.dumps(data or {}, ensure_ascii=False, default=str),
    }
    return int(connection.execute(_RECORD, values).scalar_one())
