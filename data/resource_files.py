"""Rosters in from files: a verdict per row, all in one transaction, the same twice is once."""

import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv as pa_csv
from sqlalchemy import Connection, Engine, text

from data import events, locating, table_files
from data.catalogue import Known
from data.resource_homes import Homes, Settler
from data.resource_mapping import ResourceMapping
from data.resource_rows import Parsed, parse
from data.resource_store import ROW, store
from data.table_rejects import RejectsFile, place_of_rejects, tally
from data.table_rows import Seen
from data.text_stream import TableError, check_file
from gis import datum as datums

Progress = Callable[[str, int], None]

BATCH_ROWS = 50_000
NO_DATUM = "nobody says which datum its coordinates are in; name it, as --datum gcj02"
DATUM_LEFT_ASIDE = (
    "positions without a datum were left aside: the address or the middle of the area is the home "
    "there"
)
LOCK = 0x726F7374  # advisory: one roster at a time


@dataclass(frozen=True)
class Options:
    """How a roster is to be read."""

    source: str
    mapping: tuple[str, ...] = ()  # flags field=column
    mapping_file: str | None = None
    datum: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    all_or_nothing: bool = False
    replace: bool = False  # withdraw those of the source that the file lacks


@dataclass
class Summary:
    """What became of every row: added + changed + unchanged + rejected = rows."""

    rows: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    rejected: int = 0
    withdrawn: int = 0  # of those that the file lacks
    reasons: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rejects: Path | None = None

    def lines(self) -> list[tuple[str, int]]:
        """What became of the rows, for people."""
        names = ("rows", "added", "changed", "unchanged", "rejected", "withdrawn")
        return [(name, getattr(self, name)) for name in names]

    def note(self, notes: Iterable[str]) -> None:
        """Keep what people should know, once each."""
        self.notes += [each for each in notes if each not in self.notes]


def run(
    engine: Engine,
    path: Path,
    options: Options,
    *,
    rejects: Path | None = None,
    progress: Progress = lambda _what, _rows: None,
) -> Summary:
    """Take a roster in: new resources, and those that the source gave before brought up to date.

    Parameters
    ----------
    rejects : where rows that cannot be taken in go, with the reason in a column
    progress : called with what is being done and the rows that it was done to

    Raises
    ------
    TableError, ValueError
        The file or the options cannot be used; nothing was changed.
    """
    check_file(path)
    rejects = place_of_rejects(path, rejects)
    with engine.begin() as connection, RejectsFile(rejects) as faults:
        # Two rosters at once would wait for each other's rows, and each for the other's.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        summary = _stage(connection, path, options, faults, progress)
        if summary.rejected:
            summary.rejects = rejects
            if options.all_or_nothing:
                raise TableError(
                    f"{summary.rejected} rows of {path.name} cannot be taken in, and all or "
                    f"nothing was asked for: nothing was changed. The reasons are in {rejects}"
                )
        progress("read, now they move into place", summary.rows)
        _move(connection, options, summary)
    return summary


# --- reading --------------------------------------------------------------------------------------

_TABLE = f"CREATE TEMP TABLE staged_resource ({ROW}) ON COMMIT DROP"
_COLUMNS = [part.split()[0] for part in ROW.split(",")]
_COPY = f"COPY staged_resource ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT csv)"


def _stage(
    connection: Connection, path: Path, options: Options, faults: RejectsFile, progress: Progress
) -> Summary:
    """Check every row of the file, with its home, and stage those that are taken in."""
    connection.execute(text("DROP TABLE IF EXISTS staged_resource"))
    connection.execute(text(_TABLE))
    known, seen, settler = Known.read(connection), Seen(), Settler(connection)
    datum = _datum(connection, options)
    summary, mapping = Summary(), ResourceMapping()
    for batch in table_files.read(
        path, encoding=options.encoding, sheet=options.sheet, batch_rows=BATCH_ROWS
    ):
        if not summary.rows:
            mapping = _mapping(options, batch.columns)
        parsed = parse(batch, mapping, known, datum=datum, seen=seen)
        at, homes = _settle(parsed, settler, summary)
        _copy(connection, parsed, known, at, homes)
        verdict = parsed.verdict
        summary.rows += verdict.size + len(batch.ragged)
        tally(summary.reasons, verdict.reasons.values())
        tally(summary.reasons, (row.reason for row in batch.ragged))
        summary.rejected += faults.add(batch, verdict.column())
        progress("read", summary.rows)
    return summary


def _datum(connection: Connection, options: Options) -> str | None:
    if options.datum:
        return datums.parse(options.datum).name
    defaults = locating.source(connection, options.source)
    return defaults["datum"] if defaults else None


def _mapping(options: Options, columns: list[str]) -> ResourceMapping:
    if options.mapping_file:
        base = ResourceMapping.from_yaml(options.mapping_file)
    else:
        base = ResourceMapping.guess(columns)
    return ResourceMapping.from_flags(options.mapping, base) if options.mapping else base


def _settle(
    parsed: Parsed, settler: Settler, summary: Summary
) -> tuple[npt.NDArray[np.int64], Homes]:
    """The rows that have no fault, and their homes; those without one are rejected."""
    at = np.flatnonzero(parsed.verdict.good)
    homes = settler.settle(
        parsed.lon[at], parsed.lat[at], parsed.address[at], parsed.area[at], parsed.areas[at]
    )
    open_ = parsed.given[at] & np.isnan(parsed.lon[at])
    for row, reason in homes.faults:
        lost = open_[row] and parsed.area[at[row]] is None
        parsed.verdict.reject([(at[row], NO_DATUM if lost else reason)])
    summary.note(homes.notes)
    if (open_ & np.isfinite(homes.lon)).any():
        summary.note([DATUM_LEFT_ASIDE])
    return at, homes


def _copy(
    connection: Connection, parsed: Parsed, known: Known, at: npt.NDArray[np.int64], homes: Homes
) -> None:
    """Stage the rows that are still without a fault."""
    keep = parsed.verdict.good[at]
    rows, kept = at[keep], np.flatnonzero(keep)
    ids = known.organisation_ids
    columns = {
        **{name: parsed.__dict__[name][rows] for name in ("external_id", "kind", "name")},
        "organisation_id": [ids.get(code) for code in parsed.organisation[rows]],
        "skills": [_array(skills) for skills in parsed.skills[rows]],
        "lon": homes.lon[kept],
        "lat": homes.lat[kept],
        "home_area_id": [homes.area_id[i] for i in kept],
        **{name: parsed.__dict__[name][rows] for name in ("mode", "shift", "capacity")},
        "attributes": parsed.attributes[rows],
        "areas": [_array(map(str, homes.areas[i])) for i in kept],
    }
    table = pa.table({name: pa.array(columns[name]) for name in _COLUMNS})
    buffer = io.BytesIO()
    pa_csv.write_csv(table, buffer, pa_csv.WriteOptions(include_header=False))
    cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
    with cursor.copy(_COPY) as copy:
        copy.write(buffer.getbuffer())


def _array(items: Iterable[str]) -> str:
    """A list as PostgreSQL spells it."""
    return "{" + ",".join(json.dumps(item, ensure_ascii=False) for item in items) + "}"


# --- into place -----------------------------------------------------------------------------------

# Whoever has tasks under way stays until they are done.
_WITHDRAW = text("""
WITH gone AS MATERIALIZED (
    SELECT r.id, r.load FROM resource r
    WHERE r.source = :source AND r.withdrawn IS NULL
      AND NOT EXISTS (SELECT FROM staged_resource s WHERE s.external_id = r.external_id)
    ORDER BY r.id FOR NO KEY UPDATE
), withdrawn AS (
    UPDATE resource r SET withdrawn = now() FROM gone g WHERE r.id = g.id AND g.load = 0
)
SELECT count(*) FILTER (WHERE load = 0) AS withdrawn, count(*) FILTER (WHERE load > 0) AS busy
FROM gone
""")


def _move(connection: Connection, options: Options, summary: Summary) -> None:
    connection.execute(text("ANALYZE staged_resource"))
    # What the planner knows of the table may be from when it was empty: row by row through an index
    # would then take hours, and a hash is never far from the best here.
    connection.execute(text("SET LOCAL enable_nestloop = off"))
    new, changed = store(connection, options.source, "staged_resource s")
    summary.added, summary.changed = len(new), len(changed)
    summary.unchanged = summary.rows - summary.rejected - summary.added - summary.changed
    if options.replace and summary.rejected:
        summary.note(["nobody was withdrawn, for rejected rows may be theirs: mend those first"])
    elif options.replace:
        gone = connection.execute(_WITHDRAW, {"source": options.source}).one()
        summary.withdrawn = gone.withdrawn
        if gone.busy:
            summary.note([f"{gone.busy:,} that the file lacks have tasks under way and stay"])
    counts = {"added": summary.added, "changed": summary.changed, "withdrawn": summary.withdrawn}
    if any(counts.values()):
        events.record(connection, "resource.imported", {"source": options.source, **counts})
