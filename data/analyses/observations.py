"""The reports of a selection as arrays: a million in a second or two."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import Connection, text

from data import territory
from data.analyses.selection import Selection

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Observations:
    """What was reported, once for each trouble, in the order of its time.

    Attributes
    ----------
    lonlat : (n, 2) degrees WGS 84
    at : (n,) datetime64[us] in UTC: when it happened, or else came
    day, hour, weekday : (n,) in the city's time; days since 1970, hours from 0, Monday is 1
    kind, channel : (n,) positions in `kinds` and `channels`; -1: none is given
    area_id : (n,) the area that it was placed in; -1: none
    unplaced : how many more there are that have no position, and so are on no map
    """

    lonlat: Floats
    at: "npt.NDArray[np.datetime64]"
    day: Ints
    hour: Ints
    weekday: Ints
    kind: Ints
    channel: Ints
    area_id: Ints
    kinds: tuple[str, ...]
    channels: tuple[str, ...]
    unplaced: int

    def __len__(self) -> int:
        return len(self.lonlat)


_ROW = np.dtype(
    [("lon", ">f8"), ("lat", ">f8"), ("at", ">i8"), ("kind", ">i8"), ("channel", ">i8"),
     ("area", ">i8")]
)  # fmt: skip
_NONE = 0  # what stands for a missing text; none hashes to it in practice

# A report that joined an incident tells of it again; an archive's reports opened none.
ONCE = "(r.incident_id IS NULL OR r.incident_id = r.id)"
WHEN = "coalesce(r.occurred, r.received)"
# Thousands of reports as one value, for a million rows one by one take longer to be handed over
# than to be read; every field has one width, so that the bytes are an array.
_PACKED = f"""
SELECT string_agg(
    float8send(ST_X(r.geom)) || float8send(ST_Y(r.geom))
    || int8send((extract(epoch FROM {WHEN}) * 1e6)::bigint)
    || int8send(coalesce(hashtextextended(r.kind, 0), {_NONE}))
    || int8send(coalesce(hashtextextended(r.channel, 0), {_NONE}))
    || int8send(coalesce(r.area_id, -1)), ''::bytea)
FROM report r WHERE {{where}} AND r.geom IS NOT NULL GROUP BY r.id / 8192
"""
_TEXTS = """
SELECT r.kind, r.channel, hashtextextended(r.kind, 0) AS kind_hash,
       hashtextextended(r.channel, 0) AS channel_hash,
       count(*) FILTER (WHERE r.geom IS NULL) AS unplaced
FROM report r WHERE {where} GROUP BY 1, 2
"""
_IS_OF_TREE = text("SELECT tree_level IS NOT NULL FROM layer WHERE name = :layer")
_INSIDE = """EXISTS (
    SELECT FROM area_piece p JOIN area_version v ON v.id = p.version_id
    WHERE v.area_id = %(area)s AND v.valid @> now() AND upper_inf(v.recorded)
      AND p.geom && r.geom AND ST_Intersects(p.geom, r.geom))"""
_KINDS = text("""
WITH RECURSIVE below AS (
    SELECT unnest(CAST(:kinds AS text[])) AS code
    UNION SELECT k.code FROM case_kind k JOIN below b ON k.parent = b.code WHERE k.valid @> now()
)
SELECT code FROM below ORDER BY code
""")


def read(connection: Connection, selection: Selection, timezone: str) -> Observations:
    """The reports of a selection.

    Parameters
    ----------
    timezone : of the city, whose days, hours and weekdays they are

    Raises
    ------
    InputError
        There is no area of that code.
    """
    where, asked = _where(connection, selection, timezone)
    rows = _packed(connection, _PACKED.format(where=where), asked)
    found = connection.exec_driver_sql(_TEXTS.format(where=where), asked).all()
    texts = {
        "kind": _hashed({row.kind: row.kind_hash for row in found}),
        "channel": _hashed({row.channel: row.channel_hash for row in found}),
    }
    return _made(rows, texts, sum(row.unplaced for row in found), selection, timezone)


@dataclass(frozen=True)
class Texts:
    """What was written of the reports of a selection; the arrays are as those of `Observations`."""

    texts: list[str]
    day: Ints
    kind: list[str | None]
    area_id: Ints


def texts(connection: Connection, selection: Selection, timezone: str) -> Texts:
    """The texts of a selection's reports that have one, with or without a position.

    Raises as `read`; hours and weekdays do not count.
    """
    where, asked = _where(connection, selection, timezone)
    query = (
        f"SELECT r.description, ({WHEN} AT TIME ZONE %(zone)s)::date - date '1970-01-01',"
        f" r.kind, coalesce(r.area_id, -1) FROM report r WHERE {where} AND r.description <> ''"
        f" ORDER BY {WHEN}, r.id"
    )
    rows = connection.exec_driver_sql(query, {**asked, "zone": timezone}).all()
    day, area = (np.array([row[n] for row in rows], np.int64) for n in (1, 3))
    return Texts([row[0] for row in rows], day, [row[2] for row in rows], area)


def oldest(connection: Connection, timezone: str) -> date | None:
    """The first day of the city of which anything is reported."""
    query = text(f"SELECT CAST(min({WHEN}) AT TIME ZONE :zone AS date) FROM report r")
    return connection.execute(query, {"zone": timezone}).scalar()


def newest(connection: Connection) -> date | None:
    """The last day of which anything is reported, for who finds nothing in a period."""
    found = connection.execute(text(f"SELECT max({WHEN}) FROM report r")).scalar()
    return found.date() if found else None


def _where(
    connection: Connection, selection: Selection, timezone: str
) -> tuple[str, dict[str, Any]]:
    zone = ZoneInfo(timezone)
    since = datetime.combine(selection.first, datetime.min.time(), zone)
    until = datetime.combine(selection.last + timedelta(days=1), datetime.min.time(), zone)
    where = [ONCE, f"{WHEN} >= %(since)s", f"{WHEN} < %(until)s"]
    asked: dict[str, Any] = {"since": since, "until": until}
    if selection.area is not None:
        area = territory.named(connection, selection.area)
        if connection.execute(_IS_OF_TREE, {"layer": area.layer}).scalar_one():
            where.append("r.area_id = ANY (%(areas)s)")
            asked["areas"] = territory.below(connection, area.id)
        else:  # what is placed in grids lies in a beat by its point
            where.append(_INSIDE)
            asked["area"] = area.id
    if selection.kinds:
        found = connection.execute(_KINDS, {"kinds": list(selection.kinds)}).scalars()
        where.append("r.kind = ANY (%(kinds)s)")
        asked["kinds"] = list(found)
    if selection.channels:
        where.append("r.channel = ANY (%(channels)s)")
        asked["channels"] = list(selection.channels)
    return " AND ".join(where), asked


def _packed(connection: Connection, query: str, asked: dict[str, Any]) -> npt.NDArray[np.void]:
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor(binary=True) as cursor:  # as text the bytes would be twice as many
        cursor.execute(query, asked)
        return np.frombuffer(b"".join(part for (part,) in cursor), _ROW)


def _hashed(hashes: dict[str | None, int]) -> tuple[Ints, tuple[str, ...]]:
    """The different texts of a column with what they hash to, in the order of the hashes."""
    known = sorted((each, name) for name, each in hashes.items() if name is not None)
    return np.array([each for each, _ in known], np.int64), tuple(name for _, name in known)


def _made(
    rows: npt.NDArray[np.void], texts: dict[str, tuple[Ints, tuple[str, ...]]], unplaced: int,
    selection: Selection, timezone: str,
) -> Observations:  # fmt: skip
    at = rows["at"].astype(np.int64)
    local = pd.to_datetime(at, unit="us", utc=True).tz_convert(timezone)
    hour = local.hour.to_numpy(np.int64)
    day = local.tz_localize(None).to_numpy("datetime64[D]").astype(np.int64)
    weekday = (day + 3) % 7 + 1  # 1970 began on a Thursday
    fits = np.ones(len(at), bool)
    if selection.hours:
        fits &= np.isin(hour, selection.hours)
    if selection.weekdays:
        fits &= np.isin(weekday, selection.weekdays)
    order = np.flatnonzero(fits)
    order = order[np.argsort(at[order], kind="stable")]
    return Observations(
        lonlat=np.column_stack([rows["lon"][order], rows["lat"][order]]).astype(np.float64),
        at=at[order].astype("datetime64[us]"),
        day=day[order], hour=hour[order], weekday=weekday[order],
        kind=_positions(rows["kind"][order], texts["kind"][0]),
        channel=_positions(rows["channel"][order], texts["channel"][0]),
        area_id=rows["area"][order].astype(np.int64),
        kinds=texts["kind"][1], channels=texts["channel"][1], unplaced=unplaced,
    )  # fmt: skip


def _positions(hashes: npt.NDArray[np.void], known: Ints) -> Ints:
    values = hashes.astype(np.int64)
    found: Ints = np.searchsorted(known, values).astype(np.int64)
    inside = found < len(known)
    same = np.zeros(len(values), bool)
    same[inside] = known[found[inside]] == values[inside]
    return np.where(same, found, -1)
