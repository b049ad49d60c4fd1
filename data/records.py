"""Collected records: looked at, placed by hand, withdrawn. What they said before stays known."""

import json
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import addresses, areas_named, events, personal
from data.errors import InputError
from data.record_mapping import OF_A_PERSON
from data.reports import TRIAGE, clues

# Why a record has no grid, and what a person can do.
UNPLACED = {
    **TRIAGE,
    "no_place": "There are neither coordinates nor an address: ask who collected it where it is.",
    "on_border": "The position lies on an edge between grids: choose one of the alternatives.",
}

# For the trigger that keeps what a record said before.
_SIGN = text(
    "SELECT set_config('wangge.actor', :actor, true), set_config('wangge.reason', :reason, true)"
)


class RecordError(InputError):
    """Something that cannot be done with a record as it was asked for."""


def sign(connection: Connection, actor: str, reason: str) -> None:
    """Say who changes records in this transaction, and why."""
    connection.execute(_SIGN, {"actor": actor, "reason": reason})


COLUMNS = """
r.id, r.source, r.external_id, r.kind, r.title, r.address, r.x, r.y, r.datum, r.accuracy_m,
ST_X(r.geom) AS lon, ST_Y(r.geom) AS lat, r.layer, a.code, r.method, r.ambiguous, r.border_m,
r.alternatives, r.known, r.unplaced, r.collected, r.collected_by, r.created, r.withdrawn,
r.attributes, r.area_id, s.code AS stated
"""
JOINS = "LEFT JOIN area a ON a.id = r.area_id LEFT JOIN area s ON s.id = r.stated_area_id"

_GET = text(f"SELECT {COLUMNS}, r.personal, r.version_id FROM record r {JOINS} WHERE r.id = :id")
_LOCK = text("SELECT id FROM record WHERE id = :id FOR UPDATE")
_HISTORY = text("""
SELECT at, actor, reason, before, personal IS NOT NULL AS personal_changed
FROM record_change WHERE record_id = :id ORDER BY id DESC LIMIT :most
""")


def get(connection: Connection, number: int) -> RowMapping:
    """A record as it is stored.

    Raises
    ------
    RecordError
        There is none of that number.
    """
    row = connection.execute(_GET, {"id": number}).mappings().first()
    if row is None:
        raise RecordError(f"there is no record {number}", "number", "record_unknown")
    return row


def history(connection: Connection, number: int, most: int = 100) -> list[RowMapping]:
    """What a record said before each of its changes, the last one first."""
    return list(connection.execute(_HISTORY, {"id": number, "most": most}).mappings())


def about(row: RowMapping, *, masked: bool = True) -> dict[str, str]:
    """What a stored record says about a person, by field or column; masked by default."""
    if row["personal"] is None:
        return {}
    said: dict[str, str] = json.loads(personal.open_(row["personal"]))
    if not masked:
        return said
    return {
        name: personal.mask(value, name if name in OF_A_PERSON else "other")
        for name, value in said.items()
    }


def reveal(connection: Connection, number: int, *, actor: str, reason: str) -> dict[str, str]:
    """What a record says about a person, in the clear; that it was looked at is written down."""
    row = get(connection, number)
    said = about(row, masked=False)
    told = {"record": number, "fields": list(said), "actor": actor, "reason": reason}
    events.record(connection, "person.revealed", told, area_id=row["area_id"])
    return said


# --- a person decides -----------------------------------------------------------------------------

_IN_FORCE = text("""
SELECT a.id AS area_id, v.id AS version_id, a.code
FROM area a JOIN area_version v ON v.area_id = a.id AND v.valid @> now() AND upper_inf(v.recorded)
WHERE a.layer = :layer AND (a.code = :code OR a.id = CAST(:area_id AS bigint))
""")

_PLACE = text("""
UPDATE record SET area_id = :area_id, version_id = :version_id, method = 'confirmed',
    unplaced = NULL, ambiguous = false,
    geom = coalesce(ST_SetSRID(ST_MakePoint(CAST(:lon AS double precision),
                                            CAST(:lat AS double precision)), 4326), geom)
WHERE id = :id
""")

_REMEMBER = text("""
INSERT INTO confirmation (layer, area_id, geom, informative, street, block, side, actor, reason)
SELECT :layer, :area_id, geom, true, :street, :block, CAST(:side AS integer), :actor, :reason
FROM record WHERE id = :id AND geom IS NOT NULL
""")


def place(
    connection: Connection,
    number: int,
    *,
    actor: str,
    code: str | None = None,
    pin: tuple[float, float] | None = None,
    reason: str = "",
) -> None:
    """A person says which area a record belongs to, or where it is (lon, lat in WGS 84), or both.

    The place is remembered for what comes later, and a file that brings the record again with the
    same position and address leaves it there.

    Raises
    ------
    RecordError
        There is no such record or area in force, the record was withdrawn, or nothing was said.
    """
    connection.execute(_LOCK, {"id": number})
    row = get(connection, number)
    if row["withdrawn"]:
        raise RecordError(
            f"record {number} was withdrawn on {row['withdrawn']:%Y-%m-%d}; take it in again first",
            "number", "record_withdrawn",
        )  # fmt: skip
    area = _area_of(connection, row["layer"], code, pin)
    sign(connection, actor, reason)
    lon, lat = pin or (None, None)
    connection.execute(_PLACE, {"id": number, "lon": lon, "lat": lat, **area})
    if row["ambiguous"] or row["area_id"] != area["area_id"]:
        known = {"street": None, "block": None, "side": None} | clues(row["address"])
        said = {"id": number, "layer": row["layer"], "actor": actor, "reason": reason}
        connection.execute(_REMEMBER, {**said, **known, "area_id": area["area_id"]})
    at = pin or (row["lon"], row["lat"])
    if row["address"] and at[0] is not None and at[1] is not None:
        addresses.remember(connection, row["address"], at[0], at[1])
    told = {"record": number, "kind": row["kind"], "code": area["code"], "actor": actor}
    events.record(connection, "record.placed", told, area_id=area["area_id"])


def _area_of(
    connection: Connection, layer: str, code: str | None, pin: tuple[float, float] | None
) -> dict[str, Any]:
    """The area in force that is named, or that the pin lies in."""
    inside = None
    if code is None:
        if pin is None:
            raise RecordError(
                "nothing says where the record is: give the code of its area, or lon and lat",
                "code", "position_missing",
            )  # fmt: skip
        inside = areas_named.at(connection, [pin[0]], [pin[1]], layer).get(0)
    asked = {"layer": layer, "code": code, "area_id": inside}
    found = connection.execute(_IN_FORCE, asked).mappings().first()
    if found:
        return dict(found)
    if code is None:
        raise RecordError(
            f"the pin lies in no area of the layer {layer}; move it, or name the area by its code",
            "lon, lat", "pin_outside",
        )  # fmt: skip
    raise RecordError(
        f"the layer {layer} has no area {code} in force; look it up with GET /api/v1/areas/{layer}",
        "code", "unknown_code",
    )  # fmt: skip


def withdraw(connection: Connection, number: int, *, actor: str, reason: str) -> None:
    """Take a record out: what it is about is no longer there. A file that has it brings it back."""
    connection.execute(_LOCK, {"id": number})
    row = get(connection, number)
    if row["withdrawn"]:
        return
    sign(connection, actor, reason)
    connection.execute(text("UPDATE record SET withdrawn = now() WHERE id = :id"), {"id": number})
    told = {"record": number, "kind": row["kind"], "actor": actor, "reason": reason}
    events.record(connection, "record.withdrawn", told, area_id=row["area_id"])
