"""The areas and their history: the one place where the map of the city is written and read."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from sqlalchemy import Connection, Engine, text

TREE = ("city", "district", "town", "village", "grid")
COLUMNS = ("code", "name", "kind", "parent", "party_branch")
LOCK = 0x6D6170  # advisory: one change of the map at a time, so that changes count upwards


class AreaError(ValueError):
    """A change of the map that cannot be made; the sentence says why and what to do."""


@dataclass
class Change:
    """An open change of the map. Known to readers at `recorded`, a moment after its commit."""

    id: int
    connection: Connection
    recorded: datetime | None = None
    added: int = 0
    unchanged: int = 0
    ended: int = 0


@contextmanager
def change(engine: Engine, kind: str, reason: str = "") -> Iterator[Change]:
    """One change of the map, all or nothing; returns when it is known to everybody.

    The instant that it is recorded at lies a little after the commit. No reader who asks for "now"
    can have passed that instant without seeing the change, so an answer given before can always be
    given again by naming its instant.
    """
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        number = connection.execute(
            text("INSERT INTO change (kind, reason) VALUES (:kind, :reason) RETURNING id"),
            {"kind": kind, "reason": reason},
        ).scalar_one()
        opened = Change(number, connection)
        yield opened
        opened.recorded = connection.execute(
            text(
                "UPDATE change SET recorded = clock_timestamp() + interval '250 ms'"
                " WHERE id = :id RETURNING recorded"
            ),
            {"id": number},
        ).scalar_one()
    # The database's clock and ours may differ: wait by its own.
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_sleep_until(:moment)"), {"moment": opened.recorded})


# What an import brings, as rows beside the tables that they go into.
_INCOMING = """
CREATE TEMP TABLE incoming (
    code text, name text, kind text, parent text, party_branch text, attributes jsonb,
    geom geometry, area_id bigint, parent_id bigint
) ON COMMIT DROP
"""

_IDENTIFY = """
INSERT INTO area (layer, code) SELECT :layer, code FROM incoming
ON CONFLICT (layer, code) DO NOTHING
"""

_RESOLVE = """
UPDATE incoming i SET
    area_id = (SELECT a.id FROM area a WHERE a.layer = :layer AND a.code = i.code),
    parent_id = (SELECT a.id FROM area a WHERE a.layer = :above AND a.code = i.parent)
"""

_DROP_UNCHANGED = """
DELETE FROM incoming i USING area_version v
WHERE v.area_id = i.area_id AND upper_inf(v.recorded)
  AND v.valid @> tstzrange(CAST(:valid_from AS timestamptz), NULL)
  AND (v.name, v.kind, v.party_branch, v.attributes, v.parent_id)
      IS NOT DISTINCT FROM (i.name, i.kind, i.party_branch, i.attributes, i.parent_id)
  AND ST_AsBinary(v.geom) = ST_AsBinary(i.geom)
"""

# The belief until now ends; what was in force before the date stays in force until it.
_SUPERSEDE = """
WITH closed AS (
    UPDATE area_version v SET recorded = int8range(lower(v.recorded), :change)
    WHERE upper_inf(v.recorded) AND v.area_id = ANY (:areas)
      AND v.valid && tstzrange(CAST(:valid_from AS timestamptz), NULL)
    RETURNING v.*
), kept AS (
    INSERT INTO area_version
        (area_id, name, kind, parent_id, party_branch, attributes, geom, valid, recorded)
    SELECT area_id, name, kind, parent_id, party_branch, attributes, geom,
           valid * tstzrange(NULL, CAST(:valid_from AS timestamptz)), int8range(:change, NULL)
    FROM closed WHERE CAST(:valid_from AS timestamptz) IS NOT NULL
      AND NOT isempty(valid * tstzrange(NULL, CAST(:valid_from AS timestamptz)))
)
SELECT area_id FROM closed
"""

_ADD = """
INSERT INTO area_version
    (area_id, name, kind, parent_id, party_branch, attributes, geom, valid, recorded)
SELECT area_id, name, kind, parent_id, party_branch, attributes, geom,
       tstzrange(CAST(:valid_from AS timestamptz), NULL), int8range(:change, NULL)
FROM incoming ORDER BY code
"""

_LINEAGE = """
INSERT INTO area_lineage (change_id, from_id, to_id, share)
SELECT :change, o.area_id, i.area_id,
       least(1, ST_Area(ST_Intersection(o.geom, i.geom)) / ST_Area(o.geom)) AS share
FROM (
    -- Of an area whose redraws were already planned, what is in force when this one begins.
    SELECT DISTINCT ON (v.area_id) v.area_id, v.geom
    FROM area_version v JOIN area a ON a.id = v.area_id
    WHERE a.layer = :layer AND upper(v.recorded) = :change
    ORDER BY v.area_id, v.valid
) o JOIN incoming i ON ST_Intersects(o.geom, i.geom)
WHERE ST_Area(ST_Intersection(o.geom, i.geom)) > 1e-6 * ST_Area(o.geom)
"""


def ensure_layer(connection: Connection, name: str, **facts: str) -> None:
    """Make the overlay layer `name` if need be; `facts`: title, title_en, source, licence."""
    connection.execute(
        text(
            "INSERT INTO layer (name, title, title_en, source, licence)"
            " VALUES (:name, :title, :title_en, :source, :licence) ON CONFLICT (name) DO NOTHING"
        ),
        {"title": name, "title_en": name, "source": "", "licence": "", **facts, "name": name},
    )


def record(
    change: Change,
    layer: str,
    frame: gpd.GeoDataFrame,
    *,
    valid_from: datetime | None = None,
    replace: bool = False,
) -> None:
    """Add the areas of `frame` to a layer, in force from a date (None: since ever).

    Parameters
    ----------
    frame : columns code and name, optionally kind, parent (code in the level above) and
        party_branch; every other column is kept as an attribute. EPSG:4326, polygons.
    replace : also end the areas of the layer that are not in `frame`

    An area that is already there as it is in `frame` is left alone; codes are never reused for
    another area, and lineage is kept for what lies where something else lay before.
    """
    connection = change.connection
    _check_frame(frame, layer)
    connection.execute(text("DROP TABLE IF EXISTS incoming"))
    connection.execute(text(_INCOMING))
    _copy_incoming(connection, frame)
    level = TREE.index(layer) if layer in TREE else 0
    above = TREE[level - 1] if level else None
    where = {"layer": layer, "above": above, "change": change.id, "valid_from": valid_from}
    for statement in (_IDENTIFY, _RESOLVE):
        connection.execute(text(statement), where)
    if level:
        _check_parents(connection, above or "")
    gone = _ended(connection, frame, where) if replace else []
    given = connection.execute(text("SELECT count(*) FROM incoming")).scalar_one()
    connection.execute(text(_DROP_UNCHANGED), where)
    changed = connection.execute(text("SELECT area_id FROM incoming")).scalars().all()
    touched = [*changed, *gone]
    superseded = connection.execute(text(_SUPERSEDE), {**where, "areas": touched}).rowcount
    connection.execute(text(_ADD), where)
    if superseded:
        connection.execute(text(_LINEAGE), where)
    change.added += len(changed)
    change.unchanged += given - len(changed)
    change.ended += len(gone)


def _check_frame(frame: gpd.GeoDataFrame, layer: str) -> None:
    if frame.crs is None or frame.crs.to_epsg() != 4326:
        raise AreaError(f"layer {layer}: areas come in as EPSG:4326, these are {frame.crs}")
    twice = frame["code"][frame["code"].duplicated()].unique()
    if len(twice):
        raise AreaError(
            f"layer {layer}: {_few(twice)} stand in the file more than once; a code belongs to "
            "one area, so merge the rows or give one of them another code"
        )


def _check_parents(connection: Connection, above: str) -> None:
    lost = connection.execute(
        text("SELECT code FROM incoming WHERE parent_id IS NULL ORDER BY code")
    )
    codes = lost.scalars().all()
    if codes:
        raise AreaError(
            f"{len(codes)} areas name no parent that exists in the layer {above}: {_few(codes)}; "
            f"import the {above} layer first, or map the column that holds the parent's code"
        )


def _few(codes: Any) -> str:
    codes = list(codes)
    return ", ".join(codes[:5]) + (f" and {len(codes) - 5} more" if len(codes) > 5 else "")


_ENDED = """
SELECT DISTINCT a.id FROM area a JOIN area_version v ON v.area_id = a.id
WHERE a.layer = :layer AND a.code <> ALL (CAST(:codes AS text[])) AND upper_inf(v.recorded)
  AND v.valid && tstzrange(CAST(:valid_from AS timestamptz), NULL)
"""


def _ended(connection: Connection, frame: gpd.GeoDataFrame, where: dict[str, Any]) -> list[int]:
    rows = connection.execute(text(_ENDED), {**where, "codes": frame["code"].tolist()})
    return list(rows.scalars())


def _copy_incoming(connection: Connection, frame: gpd.GeoDataFrame) -> None:
    extra = [c for c in frame.columns if c not in COLUMNS and c != frame.geometry.name]
    attributes = (
        [
            json.dumps(
                {k: v for k, v in row.items() if not _missing(v)}, ensure_ascii=False, default=str
            )
            for row in frame[extra].to_dict("records")
        ]
        if extra
        else ["{}"] * len(frame)
    )
    column = {c: frame[c] if c in frame else pd.Series([None] * len(frame)) for c in COLUMNS}
    kinds = ["basic" if _missing(k) else k for k in column["kind"]]
    shapes = shapely.to_wkb(frame.geometry.values, hex=True, include_srid=False)
    cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
    with cursor.copy(
        "COPY incoming (code, name, kind, parent, party_branch, attributes, geom) FROM STDIN"
    ) as copy:
        for row in zip(
            column["code"],
            column["name"],
            kinds,
            column["parent"],
            column["party_branch"],
            attributes,
            shapes,
            strict=True,
        ):
            copy.write_row([None if _missing(v) else v for v in row])
    connection.execute(
        text("UPDATE incoming SET geom = ST_SetSRID(geom, 4326), name = coalesce(name, code)")
    )


def _missing(value: Any) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float) and value != value


# --- reading ------------------------------------------------------------------------------------

_READ = """
SELECT a.code, v.name, v.kind, p.code AS parent, v.party_branch, v.attributes, v.geom,
       v.id AS version_id, a.id AS area_id, v.area_m2
FROM area a JOIN area_version v ON v.area_id = a.id LEFT JOIN area p ON p.id = v.parent_id
WHERE a.layer = :layer AND v.valid @> coalesce(CAST(:at AS timestamptz), now())
  AND v.recorded @> (SELECT max(id) FROM change
                     WHERE recorded <= coalesce(CAST(:known AS timestamptz), now()))
ORDER BY a.code
"""


def read(
    connection: Connection,
    layer: str,
    *,
    at: datetime | None = None,
    known: datetime | None = None,
) -> gpd.GeoDataFrame:
    """The areas of a layer in force at a moment, as it was known at another (None: now).

    Returns a GeoDataFrame in EPSG:4326 ordered by code with code, name, kind, parent,
    party_branch, attributes (dict), version_id, area_id, area_m2 and geometry.
    """
    frame = gpd.read_postgis(
        text(_READ),
        connection,
        geom_col="geom",
        params={"layer": layer, "at": at, "known": known},
    )
    return frame.rename_geometry("geometry")


def export(connection: Connection, layer: str, **moments: datetime | None) -> gpd.GeoDataFrame:
    """The areas of a layer as they came in: attributes are columns again."""
    frame = read(connection, layer, **moments)
    extra = pd.json_normalize(frame["attributes"], max_level=0)
    plain = frame[["code", "name", *(c for c in COLUMNS[2:] if frame[c].notna().any())]]
    if (frame["kind"] == "basic").all():
        plain = plain.drop(columns="kind", errors="ignore")
    geometry = frame.geometry
    return gpd.GeoDataFrame(pd.concat([plain, extra], axis=1), geometry=geometry, crs=4326)


def layers(connection: Connection) -> list[dict[str, Any]]:
    """Every layer with its number of areas in force now."""
    rows = connection.execute(
        text(
            "SELECT l.name, l.title, l.title_en, l.tree_level, l.source, l.licence,"
            " count(v.id) AS areas FROM layer l LEFT JOIN area a ON a.layer = l.name"
            " LEFT JOIN area_version v ON v.area_id = a.id AND upper_inf(v.recorded)"
            " AND v.valid @> now() GROUP BY l.name ORDER BY l.tree_level NULLS LAST, l.name"
        )
    )
    return [dict(row) for row in rows.mappings()]
