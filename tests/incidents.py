"""Incidents and people to send to them, for tests; who tests their making does not use this."""

from itertools import count
from typing import Any

from sqlalchemy import Connection, text

from data import reports
from data.reports import NewReport

_serial = count(1)

_OPEN = text("INSERT INTO incident (id, kind) VALUES (:id, :kind) ON CONFLICT (id) DO NOTHING")
_ADD = text("""
INSERT INTO resource (source, external_id, kind, name, home, shift, status, capacity, withdrawn)
VALUES ('test', :external_id, :kind, :name, ST_SetSRID(ST_MakePoint(113.1, 23.0), 4326), :shift,
        :status, :capacity, :withdrawn)
RETURNING id
""")


def incident(connection: Connection, kind: str = "噪音") -> int:
    """An open incident; its number."""
    new = NewReport("test", f"incident {next(_serial)}", kind=kind)
    number, _ = reports.submit(connection, new)
    connection.execute(_OPEN, {"id": number, "kind": kind})
    return number


def person(connection: Connection, **facts: Any) -> int:
    """Somebody who can be sent; facts overrule the columns. Returns the number."""
    usual = {
        "kind": "grid_lead", "name": f"第{next(_serial):03}网格 网格长", "shift": None,
        "status": "available", "capacity": 1, "withdrawn": None,
    }  # fmt: skip
    values = {**usual, **facts, "external_id": f"person {next(_serial)}"}
    return int(connection.execute(_ADD, values).scalar_one())
