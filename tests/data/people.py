"""People for tests, put in by hand; whoever tests their coming in does not use this."""

from typing import Any

from sqlalchemy import Connection, text

_ADD = text("""
INSERT INTO resource (source, external_id, kind, name, skills, home, home_area_id, mode, shift,
                      status, capacity)
VALUES ('test', :name, :kind, :name, :skills, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326),
        :home_area_id, :mode, :shift, :status, :capacity)
RETURNING id
""")
_FIX = text("""
INSERT INTO position (resource_id, at, geom, accuracy_m)
VALUES (:id, now() - make_interval(secs => :age_s), ST_SetSRID(ST_MakePoint(:lon, :lat), 4326),
        :accuracy_m)
""")


def add(connection: Connection, name: str, lon: float, lat: float, **facts: Any) -> int:
    """Somebody at a home; facts overrule the columns. Returns the id."""
    usual = {
        "kind": "grid_lead", "skills": [], "home_area_id": None, "mode": "foot", "shift": None,
        "status": "available", "capacity": 1,
    }  # fmt: skip
    values = {**usual, **facts, "name": name, "lon": lon, "lat": lat}
    return int(connection.execute(_ADD, values).scalar_one())


def fix(
    connection: Connection, who: int, lon: float, lat: float, age_s: float = 60,
    accuracy_m: float | None = 10,
) -> None:  # fmt: skip
    """Where somebody was so many seconds ago."""
    connection.execute(
        _FIX, {"id": who, "lon": lon, "lat": lat, "age_s": age_s, "accuracy_m": accuracy_m}
    )
