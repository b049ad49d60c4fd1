"""Events: what happened, written in the transaction in which it did (the outbox)."""

import json
from collections.abc import Sequence
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


_RECORD_MANY = text("""
INSERT INTO event (kind, resource_id, area_id, data)
SELECT :kind, resource_id, area_id, data
FROM unnest(CAST(:resource_ids AS bigint[]), CAST(:area_ids AS bigint[]), CAST(:data AS jsonb[]))
     WITH ORDINALITY e (resource_id, area_id, data, n) ORDER BY n
""")


def record_of_resources(
    connection: Connection,
    kind: str,
    happened: Sequence[tuple[int, int | None, dict[str, Any]]],
) -> None:
    """As `record`, for many resources in one statement: (resource_id, area_id, data) of each."""
    if not happened:
        return
    resource_ids, area_ids, data = zip(*happened, strict=True)
    texts = [json.dumps(facts, ensure_ascii=False, default=str) for facts in data]
    values = {"resource_ids": list(resource_ids), "area_ids": list(area_ids), "data": texts}
    connection.execute(_RECORD_MANY, {"kind": kind, **values})
