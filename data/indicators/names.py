"""What the figures are about, in words: codes and names of areas, bodies and kinds."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import Connection, text

from data.indicators.question import PERIODS

_AREAS = text("""
SELECT DISTINCT ON (a.id) a.id AS key, a.code, v.name
FROM area a JOIN area_version v ON v.area_id = a.id AND upper_inf(v.recorded)
WHERE a.id = ANY (:keys) ORDER BY a.id, lower(v.valid) DESC NULLS LAST
""")
_ORGANISATIONS = text("SELECT id AS key, code, name FROM organisation WHERE id = ANY (:keys)")
_KINDS = text("""
SELECT DISTINCT ON (code) code AS key, code, title AS name FROM case_kind
WHERE code = ANY (:keys) ORDER BY code, lower(valid) DESC
""")


def of(connection: Connection, by: str | None, keys: Iterable[Any]) -> dict[Any, dict[str, str]]:
    """The code and the name, the newest one, of each key of figures that are broken down by `by`.

    A period's code is its first day; a kind that the catalogue does not have is its own name.
    """
    wanted = [key for key in keys if key is not None]
    found = {}
    if by is not None and by not in PERIODS:
        statement = {"organisation": _ORGANISATIONS, "kind": _KINDS}.get(by, _AREAS)
        rows = connection.execute(statement, {"keys": wanted}).all()
        found = {row.key: {"code": row.code, "name": row.name} for row in rows}
    return {key: found.get(key, {"code": _plain(key), "name": _plain(key)}) for key in wanted}


def _plain(key: Any) -> str:
    return key.isoformat() if isinstance(key, date) else str(key)
