"""People and incidents for tests, put in by hand; who tests their coming in does not use this."""

from datetime import datetime
from itertools import count
from typing import Any

from sqlalchemy import Connection, text

from data import dispatch, reports
from data.assignments import Dispatch
from data.dispatch import Choice
from data.reports import NewReport

HOME = (113.105, 23.005)
_serial = count(1)

_ADD = text("""
INSERT INTO resource (source, external_id, kind, name, skills, home, home_area_id, mode, shift,
                      status, capacity, withdrawn)
VALUES (:source, :external_id, :kind, :name, :skills,
        ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), :home_area_id, :mode, :shift, :status,
        :capacity, :withdrawn)
RETURNING id
""")
_FIX = text("""
INSERT INTO position (resource_id, at, geom, accuracy_m)
VALUES (:id, now() - make_interval(secs => :age_s), ST_SetSRID(ST_MakePoint(:lon, :lat), 4326),
        :accuracy_m)
""")


def add(
    connection: Connection,
    name: str | None = None,
    lon: float = HOME[0],
    lat: float = HOME[1],
    **facts: Any,
) -> int:
    """Somebody at a home (WGS 84); facts overrule the columns. Returns the number."""
    serial = next(_serial)
    usual = {
        "source": "test", "external_id": f"person {serial}", "kind": "grid_lead", "skills": [],
        "home_area_id": None, "mode": "foot", "shift": None, "status": "available",
        "capacity": 1, "withdrawn": None,
    }  # fmt: skip
    place = {"name": name or f"第{serial:03}网格 网格长", "lon": lon, "lat": lat}
    return int(connection.execute(_ADD, {**usual, **place, **facts}).scalar_one())


def fix(
    connection: Connection, who: int, lon: float, lat: float, age_s: float = 60,
    accuracy_m: float | None = 10,
) -> None:  # fmt: skip
    """Where somebody was so many seconds ago."""
    connection.execute(
        _FIX, {"id": who, "lon": lon, "lat": lat, "age_s": age_s, "accuracy_m": accuracy_m}
    )


_DEPLOY = text("""
WITH plan AS (
    INSERT INTO deployment (name, actor) VALUES ('test', 'test') RETURNING id
), site AS (
    INSERT INTO deployment_site (deployment_id, name, geom)
    SELECT id, 'test', ST_SetSRID(ST_MakePoint(:lon, :lat), 4326) FROM plan RETURNING id
), shift AS (
    INSERT INTO deployment_shift (site_id, during, quota)
    SELECT id, tstzrange(:start, :until), 1 FROM site RETURNING id, during
)
INSERT INTO attendance (shift_id, resource_id, during, state, since)
SELECT id, :who, during, :state, :start FROM shift
""")


def deploy(
    connection: Connection, who: int, start: datetime, until: datetime, state: str = "checked_in"
) -> None:
    """Somebody is in a shift of a deployment, and was there from its start."""
    asked = {"who": who, "start": start, "until": until, "state": state}
    connection.execute(_DEPLOY, {**asked, "lon": HOME[0], "lat": HOME[1]})


def incident(connection: Connection, kind: str = "噪音") -> int:
    """An open incident without a place; its number."""
    number, _ = reports.submit(
        connection, NewReport("test", f"incident {next(_serial)}", kind=kind)
    )
    return number


def send(
    connection: Connection, to: int, *who: int, override: str | None = None, **more: Any
) -> Dispatch:
    """Send them to an incident."""
    choices = [Choice(number, override) for number in who]
    return dispatch.send(connection, to, choices, **{"actor": "dispatcher", **more})


def row(connection: Connection, who: int) -> Any:
    """Somebody's load, capacity and by how much they are overridden."""
    return connection.execute(
        text("SELECT load, capacity, overridden FROM resource WHERE id = :id"), {"id": who}
    ).one()


def told(connection: Connection, to: int) -> list[str]:
    """The kinds of what was told of an incident, but its report."""
    asked = text("SELECT kind FROM event WHERE incident_id = :id AND kind <> 'report.received'")
    return list(connection.execute(asked, {"id": to}).scalars())
