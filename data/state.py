"""Whether the database can be worked with, and what is in it."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from data import areas
from data.migrate import HERE

_VERSIONS = text(
    "SELECT current_setting('server_version') AS postgres,"
    " (SELECT extversion FROM pg_extension WHERE extname = 'postgis') AS postgis,"
    " to_regclass('alembic_version') IS NOT NULL AS migrated"
)
_LAST_CHANGE = text(
    "SELECT id, kind, reason, recorded FROM change WHERE recorded <= now() ORDER BY id DESC LIMIT 1"
)
_REVISION = text("SELECT version_num FROM alembic_version")


@dataclass(frozen=True)
class State:
    """What a look at the database shows; the counts are empty where it is not ready."""

    postgres: str
    postgis: str | None
    revision: str | None
    expected: str
    areas: dict[str, int]
    last_change: dict[str, Any] | None

    @property
    def ready(self) -> bool:
        """Whether its tables are those of this version of the program."""
        return self.revision == self.expected


@cache
def newest_revision() -> str:
    """The revision that this version of the program works with."""
    return ScriptDirectory(str(HERE)).get_current_head() or ""


def look(connection: Connection) -> State:
    """Look at the database that the connection leads to."""
    server = connection.execute(_VERSIONS).one()
    revision = connection.execute(_REVISION).scalar() if server.migrated else None
    expected = newest_revision()
    if revision != expected:
        return State(server.postgres, server.postgis, revision, expected, {}, None)
    counts = {row["name"]: int(row["areas"]) for row in areas.layers(connection)}
    last = connection.execute(_LAST_CHANGE).mappings().first()
    return State(
        server.postgres, server.postgis, revision, expected, counts, dict(last) if last else None
    )
