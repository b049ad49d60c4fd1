"""The gazetteer: where addresses are, as imported and as confirmed. All places are WGS 84.

Rows are only ever added, so that a lookup can be repeated with what was known at any moment.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from sqlalchemy import Connection, text

from data import report_rows, table_files
from data.address_lookup import CONFIRMED, Match, lookup, prefixes
from data.report_mapping import Mapping
from gis import addresses as address_text
from gis import datum as datums

__all__ = ["CONFIRMED", "Imported", "Match", "add", "import_file", "lookup", "prefixes", "refresh",
           "remember"]  # fmt: skip

MOVED_M = 30.0  # an address confirmed this far from where it was confirmed before has moved
_ROWS = 50_000

_STAGE = """
CREATE TEMP TABLE IF NOT EXISTS staged_address (
    text text, key text, street text, number integer, lon double precision, lat double precision
) ON COMMIT DROP
"""

_COPY = "COPY staged_address (text, key, street, number, lon, lat) FROM STDIN"

# Known from a moment after the commit on: the more rows, the longer until it.
_ADD = """
INSERT INTO address (text, key, street, number, geom, source, recorded)
SELECT text, key, street, number, ST_SetSRID(ST_MakePoint(lon, lat), 4326), :source, s.moment
FROM staged_address,
     (SELECT clock_timestamp() + (100 + 0.2 * count(*)) * interval '1 ms' AS moment
      FROM staged_address) s
ON CONFLICT (source, text) DO NOTHING
RETURNING recorded
"""

_POSTPONE = """
UPDATE address SET recorded = clock_timestamp() + interval '100 ms' + (clock_timestamp() - :began)
WHERE source = :source AND recorded = :recorded AND :recorded < clock_timestamp() + interval '50 ms'
"""

_CONFIRMED_BEFORE = """
SELECT source, ST_DistanceSphere(geom, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)) AS away_m
FROM address WHERE key = :key AND text = :text AND (source = :confirmed OR source LIKE :later)
ORDER BY recorded DESC, id DESC
"""

_ALL = "SELECT id, text, key, street, number FROM address ORDER BY id"

_REFRESH = """
UPDATE address a SET key = f.key, street = f.street, number = f.number
FROM unnest(CAST(:ids AS bigint[]), CAST(:keys AS text[]), CAST(:streets AS text[]),
            CAST(:numbers AS integer[])) f (id, key, street, number)
WHERE a.id = f.id
"""


@dataclass
class Imported:
    """What became of the rows of a file: ``added + known + len(rejected)`` is their number.

    Attributes
    ----------
    added, known : int
        Addresses that are new, and that this source had given before (or this file further up).
    rejected : list of (int, str)
        The number of the row in the file, and why it cannot be an address with a place.
    """

    added: int = 0
    known: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


def add(connection: Connection, rows: Iterable[tuple[str, float, float]], source: str) -> int:
    """Add addresses to the gazetteer; returns how many were new.

    Parameters
    ----------
    rows : iterable of (text, lon, lat)
        Addresses as people write them, with their places in degrees. One that this source has
        given before is left as it is.
    source : str
        Where they are from. ``confirmed`` belongs to `remember`.

    Raises
    ------
    ValueError
        A row has no text or no place on earth; nothing was added.
    """
    began = _stage(connection)
    checked = iter(_checked(rows))
    while part := list(islice(checked, _ROWS)):
        _copy(connection, part)
    return _add_staged(connection, source, began)


def import_file(
    connection: Connection,
    path: Path | str,
    mapping: Mapping | None = None,
    datum: str | None = "wgs84",
    source: str | None = None,
    progress: Callable[[int], object] | None = None,
) -> Imported:
    """Add the addresses in a file of any kind that `data.table_files` reads.

    Parameters
    ----------
    mapping : Mapping, optional
        Which columns hold the address and the place; by default what their names suggest.
    datum : str, optional
        The datum of rows that name none.
    source : str, optional
        Where they are from; by default the name of the file.
    progress : callable, optional
        Called with the number of rows done so far.

    Raises
    ------
    TableError
        The file cannot be read to its end, or has not the columns; nothing was added.
    """
    source = source or Path(path).name
    result, done, good = Imported(), 0, 0
    began = _stage(connection)
    for batch in table_files.read(path, batch_rows=_ROWS):
        mapping = mapping or Mapping.guess(batch.columns)
        _check_mapping(mapping, batch.columns, path)
        rows, rejected = _rows(batch, mapping, datum)
        _copy(connection, rows)
        result.rejected += rejected
        good += len(rows)
        done += len(rows) + len(rejected)
        if progress:
            progress(done)
    result.added = _add_staged(connection, source, began)
    result.known = good - result.added
    return result


def remember(connection: Connection, text_: str, lon: float, lat: float) -> bool:
    """Keep the address of a report whose place a person confirmed; returns whether it is news.

    An address that is confirmed elsewhere later has moved: the last place counts from then on.
    """
    if fault := _fault(text_, lon, lat):
        raise ValueError(f"address {text_!r}: {fault}")
    key = str(address_text.parse([text_], prefixes(connection)).key[0])
    before = connection.execute(
        text(_CONFIRMED_BEFORE),
        {"key": key, "text": text_.strip(), "lon": lon, "lat": lat, "confirmed": CONFIRMED,
         "later": f"{CONFIRMED}:%"},
    ).all()  # fmt: skip
    if before and before[0].away_m <= MOVED_M:
        return False
    source = f"{CONFIRMED}:{len(before) + 1}" if before else CONFIRMED
    return add(connection, [(text_, lon, lat)], source) > 0


def refresh(connection: Connection) -> int:
    """Read all addresses anew, after areas were renamed or imported; returns how many changed.

    Their keys leave out the names of areas, as these are when an address is added.
    """
    names, changed = prefixes(connection), 0
    for rows in connection.execute(text(_ALL)).partitions(_ROWS):
        parsed = address_text.parse([row.text for row in rows], names)
        fresh = list(_columns(parsed))
        new = [
            (row.id, *now)
            for row, now in zip(rows, fresh, strict=True)
            if (row.key, row.street, row.number) != now
        ]
        if new:
            lists = [list(column) for column in zip(*new, strict=True)]
            values = dict(zip(("ids", "keys", "streets", "numbers"), lists, strict=True))
            connection.execute(text(_REFRESH), values)
        changed += len(new)
    return changed


# --- adding ------------------------------------------------------------------------------------

_Row = tuple[str, float, float]


def _checked(rows: Iterable[_Row]) -> Iterable[_Row]:
    for number, (words, lon, lat) in enumerate(rows, start=1):
        if fault := _fault(words, lon, lat):
            raise ValueError(f"address {number}, {words!r}: {fault}")
        yield words.strip(), float(lon), float(lat)


def _fault(words: str | None, lon: float, lat: float) -> str:
    if not words or not words.strip():
        return "the address is empty"
    if "\0" in words:
        return "the address holds a character NUL, which no text may; take it out"
    if not (isfinite(lon) and isfinite(lat)):
        return "it has no coordinates"
    if abs(lon) > 180 or abs(lat) > 90:
        return f"longitude {lon:.10g} and latitude {lat:.10g} are no place on earth"
    return ""


def _stage(connection: Connection) -> Any:
    connection.execute(text(_STAGE))
    connection.execute(text("TRUNCATE staged_address"))
    return connection.execute(text("SELECT clock_timestamp()")).scalar_one()


def _copy(connection: Connection, rows: list[_Row]) -> None:
    parsed = address_text.parse([row[0] for row in rows], prefixes(connection))
    cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
    with cursor.copy(_COPY) as copy:
        for (words, lon, lat), columns in zip(rows, _columns(parsed), strict=True):
            copy.write_row((words, *columns, lon, lat))


def _columns(parsed: address_text.Addresses) -> Iterable[tuple[str, str | None, int | None]]:
    for key, street, number in zip(parsed.key, parsed.street, parsed.number.tolist(), strict=True):
        yield key, street or None, number if number >= 0 else None


def _add_staged(connection: Connection, source: str, began: Any) -> int:
    added = connection.execute(text(_ADD), {"source": source}).scalars().all()
    if added:
        connection.execute(
            text(_POSTPONE), {"source": source, "recorded": added[0], "began": began}
        )
    connection.execute(text("TRUNCATE staged_address"))
    return len(added)


# --- files -------------------------------------------------------------------------------------


def _check_mapping(mapping: Mapping, columns: list[str], path: Path | str) -> None:
    lacking = [] if mapping.address else ["address"]
    if not (mapping.lon or mapping.lonlat or mapping.latlon):
        lacking += ["lon and lat"]
    if lacking:
        raise table_files.TableError(
            f"{path}: which columns hold {' and '.join(lacking)}? There are {', '.join(columns)}; "
            "say so as address=COLUMN, lon=COLUMN, lat=COLUMN"
        )


def _rows(
    batch: table_files.Batch, mapping: Mapping, datum: str | None
) -> tuple[list[_Row], list[tuple[int, str]]]:
    """The rows of a batch that are addresses with a place, and why the others are not."""
    parsed = report_rows.parse(batch, mapping, datum=datum, seen=None)
    lon, lat = _to_wgs84(parsed)
    verdicts, words = parsed.verdict.to_pylist(), parsed.address.to_pylist()
    rows: list[_Row] = []
    rejected = [(ragged.row, ragged.reason) for ragged in batch.ragged]
    for i, number in enumerate(parsed.row_number.tolist()):
        fault = verdicts[i]
        if fault.startswith("the same stands"):  # twice in a file is no fault here
            fault = ""
        if not fault and np.isfinite(parsed.x[i]) and not np.isfinite(lon[i]):
            fault = "nobody says which datum its coordinates are in; name it"
        fault = fault or _fault(words[i], lon[i], lat[i])
        if fault:
            rejected.append((number, fault))
        else:
            rows.append((words[i], float(lon[i]), float(lat[i])))
    return rows, sorted(rejected)


def _to_wgs84(parsed: report_rows.Parsed) -> tuple[Any, Any]:
    lon, lat = np.full(len(parsed), np.nan), np.full(len(parsed), np.nan)
    for name in filter(None, pc.unique(parsed.datum).to_pylist()):
        at = np.flatnonzero(
            pc.equal(parsed.datum, name).fill_null(False).to_numpy(zero_copy_only=False)
        )
        lon[at], lat[at] = datums.to_wgs84(parsed.x[at], parsed.y[at], name)
    return lon, lat
