"""Resources for tests that need somebody who is somewhere."""

from itertools import count

from sqlalchemy import Connection, text

HOME = (113.105, 23.005)
_serial = count(1)
_ADD = text("""
INSERT INTO resource (source, external_id, kind, name, home)
VALUES (:source, :external_id, 'grid_lead', '第001网格 网格长',
        ST_SetSRID(ST_MakePoint(:lon, :lat), 4326))
RETURNING id
""")


def add_resource(
    connection: Connection,
    *,
    source: str = "test",
    external_id: str | None = None,
    home: tuple[float, float] = HOME,
) -> int:
    """A grid lead at home there (longitude and latitude, WGS 84)."""
    values = {
        "source": source,
        "external_id": external_id or f"lead-{next(_serial)}",
        "lon": home[0],
        "lat": home[1],
    }
    return int(connection.execute(_ADD, values).scalar_one())
