"""Red grids (党建小红格): grids that may give departments orders, and who speaks for each."""

from sqlalchemy import Connection, RowMapping, text

from data import cases
from data.errors import InputError


class RedGridError(InputError):
    """An authority that cannot be given, or that is not there."""


_OF = text("""
SELECT r.area_id, r.organisation_id FROM red_grid r JOIN area a ON a.id = r.area_id
WHERE a.layer = 'grid' AND a.code = :code AND r.valid @> clock_timestamp()
""")
_LISTED = text("""
SELECT a.code AS grid, o.code AS organisation, o.name, lower(r.valid) AS since, r.actor, r.reason
FROM red_grid r JOIN area a ON a.id = r.area_id JOIN organisation o ON o.id = r.organisation_id
WHERE r.valid @> clock_timestamp() ORDER BY a.code
""")
_AREA = text("SELECT id FROM area WHERE layer = 'grid' AND code = :code FOR NO KEY UPDATE")
_END = text("""
UPDATE red_grid SET valid = tstzrange(lower(valid), clock_timestamp())
WHERE area_id = :area_id AND upper_inf(valid)
""")
_PUT = text("""
INSERT INTO red_grid (area_id, organisation_id, valid, actor, reason)
VALUES (:area_id, :organisation_id, tstzrange(clock_timestamp(), NULL), :actor, :reason)
""")


def of(connection: Connection, code: str) -> RowMapping | None:
    """The area_id of a grid and the organisation_id that speaks for it, if it is red today."""
    return connection.execute(_OF, {"code": code}).mappings().first()


def listed(connection: Connection) -> list[RowMapping]:
    """The red grids of today, by their codes."""
    return list(connection.execute(_LISTED).mappings())


def put(
    connection: Connection, code: str, organisation: str, *, actor: str, reason: str = ""
) -> None:
    """Give a grid authority, in the voice of an organisation; what held before ends.

    Raises
    ------
    RedGridError
        There is no such grid.
    CaseError
        There is no such organisation.
    """
    area_id = _area(connection, code)
    voice = cases.organisation(connection, organisation)
    connection.execute(_END, {"area_id": area_id})
    values = {"area_id": area_id, "organisation_id": voice["id"], "actor": actor, "reason": reason}
    connection.execute(_PUT, values)


def withdraw(connection: Connection, code: str) -> None:
    """Take a grid's authority away; raises `RedGridError` if it has none."""
    if not connection.execute(_END, {"area_id": _area(connection, code)}).rowcount:
        raise RedGridError(f"Grid {code} is no red grid.", "code", "red_grid_unknown")


def _area(connection: Connection, code: str) -> int:
    found = connection.execute(_AREA, {"code": code}).scalar()
    if found is None:
        raise RedGridError(f"There is no grid {code}.", "code", "area_unknown")
    return int(found)
