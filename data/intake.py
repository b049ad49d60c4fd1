"""Reports in from files: staged in batches, then moved in one transaction. Nothing half done.

A file is known by its bytes and by everything that decides the outcome. A run that was cut off is
carried on where its staged batches end; the same file twice changes nothing, for a report is known
by its source and number.
"""

import hashlib
import io
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pa_csv
from sqlalchemy import Connection, Engine, RowMapping, text
from sqlalchemy.exc import SQLAlchemyError

from data import addresses, reports, table_files
from data.agreement import Agreement
from data.bulk_placement import Map, Placed
from data.report_mapping import Mapping
from data.report_rejects import RejectsFile
from data.report_rows import Parsed, Seen, parse
from data.report_times import DateOrder
from data.settings import settings
from data.table_batch import Batch
from data.text_stream import TableError, check_file
from gis import datum as datums
from gis.addresses import parse as parse_addresses

Progress = Callable[[str, int], None]

MOST_REASONS = 1000  # different ones that a summary counts; the file of rejects has them all
WORKERS = 2  # placing is geometry, which runs beside Python

COLUMNS = (
    "external_id", "occurred", "channel", "kind", "premises", "description", "address", "x", "y",
    "datum", "accuracy_m", "lon", "lat", "attributes", "area_id", "version_id", "method",
    "ambiguous", "border_m", "alternatives", "at", "triage", "settled",
)  # fmt: skip


_MOMENT = pa.timestamp("us", "UTC")


class IntakeError(ValueError):
    """A file that was not taken in; the sentence says why, and nothing was changed."""


@dataclass(frozen=True)
class Options:
    """How a file is to be read; every field decides the outcome."""

    source: str
    layer: str = "grid"
    mapping: tuple[str, ...] = ()  # flags field=column
    mapping_file: str | None = None
    datum: str | None = None
    timezone: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    since: datetime | None = None  # of what occurred; rows outside are left out
    until: datetime | None = None
    all_or_nothing: bool = False
    memory: bool = True
    check: str | None = None  # column with a published code
    confirm: str | None = None  # column with the code that a person settled on


@dataclass
class Summary:
    """What became of every row: added + known + rejected + left out = rows."""

    rows: int = 0
    added: int = 0
    known: int = 0
    rejected: int = 0
    left_out: int = 0
    placed: int = 0  # of the rows that are neither rejected nor left out
    triaged: int = 0
    ambiguous: int = 0
    confirmed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    agreement: Agreement | None = None
    rejects: Path | None = None  # where the rejected rows are, if there are any

    def count(self, reasons: Iterable[str]) -> None:
        """Count why rows were rejected, so far as people can take it in."""
        for reason in reasons:
            if reason in self.reasons or len(self.reasons) < MOST_REASONS:
                self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def lines(self) -> list[tuple[str, int]]:
        """What became of the rows, for people."""
        return [
            ("rows", self.rows), ("added", self.added), ("there before", self.known),
            ("rejected", self.rejected), ("left out by date", self.left_out),
            ("placed", self.placed), ("in triage", self.triaged),
            ("ambiguous", self.ambiguous), ("confirmed", self.confirmed),
        ]  # fmt: skip


def fingerprint(path: Path, options: Options, *circumstances: object) -> str:
    """What a run is known by: the file's bytes, the options and the circumstances, as sha256."""
    digest = hashlib.sha256(repr((options, *circumstances)).encode())
    if options.mapping_file:
        digest.update(Path(options.mapping_file).read_bytes())
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def run(
    engine: Engine,
    path: Path,
    options: Options,
    *,
    rejects: Path | None = None,
    progress: Progress = lambda _what, _rows: None,
) -> Summary:
    """Take a file of reports in.

    Parameters
    ----------
    rejects : where rows that cannot be taken in go, with the reason in a column
    progress : called with what is being done and the rows that it was done to

    Raises
    ------
    IntakeError, TableError, ValueError
        The file or the options cannot be used; nothing was changed.
    """
    check_file(path)
    rejects = _rejects_of(path) if rejects is None else rejects
    if rejects.exists() and rejects.samefile(path):
        raise IntakeError(f"{path} cannot take its own rejects; name another file for them")
    with engine.begin() as connection:
        defaults = reports.source_defaults(connection, options.source)
        mark = fingerprint(path, options, dict(defaults), *_circumstances(connection))
    with _claimed(engine, mark, path):
        with engine.begin() as connection:
            opened = _open(connection, path, options, mark)
        try:
            summary = _stage(engine, opened, path, options, defaults, rejects, progress)
        except ValueError:  # another start of the same would not get further
            _drop(engine, opened.id)
            raise
        progress("moving into place", summary.rows)
        _move(engine, opened.id, options, summary)
    return summary


def _stage(
    engine: Engine, opened: "_Opened", path: Path, options: Options, defaults: RowMapping,
    rejects: Path, progress: Progress,
) -> Summary:  # fmt: skip
    """Place every row of the file and stage it; what was staged before is not done again."""
    with (
        engine.connect() as connection,
        RejectsFile(rejects) as faults,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        city = Map(connection, options.layer, opened.known, memory=options.memory)
        run = _Run(connection, options, defaults["datum"], defaults["accuracy_m"], city)
        under_way: deque[Future[None]] = deque()
        for number, batch in enumerate(
            table_files.read(path, encoding=options.encoding, sheet=options.sheet)
        ):
            rows = run.look(batch)
            run.summary.rejected += faults.add(batch, rows.parsed.verdict)
            if number not in opened.staged or options.check:
                under_way.append(pool.submit(run.place_and_stage, engine, opened, number, rows))
            while len(under_way) > WORKERS:
                under_way.popleft().result()
            progress("placed", run.summary.rows)
        for last in under_way:
            last.result()
    if run.summary.rejected:
        run.summary.rejects = rejects
    if options.all_or_nothing and run.summary.rejected:
        raise IntakeError(
            f"{run.summary.rejected} rows of {path.name} cannot be taken in, and all or nothing "
            f"was asked for: nothing was changed. The reasons are in {rejects}"
        )
    return run.summary


def _rejects_of(path: Path) -> Path:
    """Where rejects go if nobody says; those of rejects that were mended do not go over them."""
    name = path.name.split(".")[0]
    names = (f"{name}.rejects{'' if n == 1 else n}.csv" for n in itertools.count(1))
    return next(Path(n) for n in names if not (Path(n).exists() and Path(n).samefile(path)))


# --- the run's row and its staging table ----------------------------------------------------------


@dataclass(frozen=True)
class _Opened:
    id: int
    known: datetime
    staged: set[int]  # batches that an earlier start staged; each is there whole or not at all


_OPEN = text("""
INSERT INTO intake (source, file, fingerprint) VALUES (:source, :file, :mark)
ON CONFLICT (fingerprint) WHERE finished IS NULL DO UPDATE SET file = excluded.file
RETURNING id, started
""")

# Cut-off runs of the same file that nobody can carry on: it, the options or the map are others now.
_GIVEN_UP = text("""
SELECT id FROM intake
WHERE finished IS NULL AND source = :source AND file = :file AND fingerprint <> :mark
  AND pg_try_advisory_xact_lock(CAST(CAST('x' || left(fingerprint, 16) AS bit(64)) AS bigint))
""")


def _circumstances(connection: Connection) -> tuple[object, ...]:
    """What decides where a report goes beside the file: the map and the settings."""
    said = settings().model_dump(include={"accuracy_m", "border_m", "snap_m", "timezone"})
    return connection.execute(text("SELECT max(id) FROM change")).scalar(), *said.values()


@contextmanager
def _claimed(engine: Engine, mark: str, path: Path) -> Iterator[None]:
    """Keep others from running the same at the same time; a claim ends with its connection."""
    key = {"key": int.from_bytes(bytes.fromhex(mark[:16]), signed=True)}
    with engine.connect() as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one():
            raise IntakeError(f"{path.name} is being taken in by another run; wait for its end")
        connection.commit()
        try:
            yield
        finally:
            with suppress(SQLAlchemyError):  # a server that went away holds no claims
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)


def _open(connection: Connection, path: Path, options: Options, mark: str) -> _Opened:
    """Begin a run, or find the one that was cut off."""
    asked = {"source": options.source, "file": path.name, "mark": mark}
    for number in connection.execute(_GIVEN_UP, asked).scalars():
        _forget(connection, number)
    row = connection.execute(_OPEN, asked).one()
    # Unlogged: a crash of the server empties it, and all batches are staged again.
    connection.execute(text(_STAGE.format(id=row.id)))
    staged = connection.execute(text(f"SELECT DISTINCT batch FROM intake_{row.id}")).scalars().all()
    known = row.started
    if not staged:  # nothing is placed yet: by what is known now
        known = connection.execute(_BEGIN_ANEW, {"id": row.id}).scalar_one()
    return _Opened(row.id, known, set(staged))


_BEGIN_ANEW = text("UPDATE intake SET started = now() WHERE id = :id RETURNING started")


_STAGE = """
CREATE UNLOGGED TABLE IF NOT EXISTS intake_{id} (
    batch integer, external_id text, occurred timestamptz, channel text, kind text, premises text,
    description text, address text, x double precision, y double precision, datum text,
    accuracy_m double precision, lon double precision, lat double precision, attributes jsonb,
    area_id bigint, version_id bigint, method text, ambiguous boolean, border_m double precision,
    alternatives jsonb, at timestamptz, triage text, settled text
)
"""


def _drop(engine: Engine, number: int) -> None:
    with engine.begin() as connection:
        _forget(connection, number)


def _forget(connection: Connection, number: int) -> None:
    connection.execute(text(f"DROP TABLE IF EXISTS intake_{number}"))
    connection.execute(text("DELETE FROM intake WHERE id = :id"), {"id": number})


def _copy(engine: Engine, opened: _Opened, number: int, table: pa.Table) -> None:
    """Stage a batch with its number, whole or not at all."""
    table = table.add_column(0, "batch", pa.repeat(pa.scalar(number, pa.int32()), len(table)))
    buffer = io.BytesIO()
    pa_csv.write_csv(table, buffer, pa_csv.WriteOptions(include_header=False))
    names = ", ".join(("batch", *COLUMNS))
    with engine.begin() as connection:
        cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        with cursor.copy(f"COPY intake_{opened.id} ({names}) FROM STDIN (FORMAT csv)") as copy:
            copy.write(buffer.getbuffer())


# --- one batch after the other --------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """The rows of a batch that are taken in, with WGS 84 positions and why some have none."""

    parsed: Parsed
    table: pa.Table
    source: pa.Table
    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    accuracy_m: npt.NDArray[np.float64]
    by_address: npt.NDArray[np.bool_]
    triage: npt.NDArray[np.object_]


class _Run:
    """Looks at batches and places them; keeps what goes from one batch to the next."""

    def __init__(
        self, connection: Connection, options: Options, datum: str | None,
        accuracy_m: float | None, city: Map,
    ) -> None:  # fmt: skip
        self.connection, self.options, self.city = connection, options, city
        self.datum = options.datum or datum
        self.accuracy_m = accuracy_m or settings().accuracy_m
        self.summary = Summary(agreement=Agreement() if options.check else None)
        self.seen, self.mapping = Seen(), Mapping()
        self.date_order: DateOrder | None = None
        self.codes = _codes(connection, options.layer)
        self.found: dict[str, addresses.Match | str] = {}
        self._lock = Lock()

    def look(self, batch: Batch) -> "_Rows":
        """Type and check a batch; keep what is accepted and in the time asked for, with places."""
        if not self.summary.rows:
            self.mapping = self._mapping(batch.columns)
        for column in (self.options.check, self.options.confirm):
            if column and column not in batch.columns:
                raise TableError(
                    f"the file has no column {column}; it has {', '.join(batch.columns)}"
                )
        parsed = parse(
            batch,
            self.mapping,
            datum=self.datum,
            seen=self.seen,
            date_order=self.date_order,
            timezone=self.options.timezone or settings().timezone,
        )
        self.date_order = parsed.date_order
        chosen = parsed.accepted & self._in_time(parsed)
        tally = self.summary
        tally.rows += len(parsed) + len(batch.ragged)
        tally.left_out += int((parsed.accepted & ~chosen).sum())
        tally.notes += [note for note in parsed.notes if note not in tally.notes]
        tally.count(parsed.verdict.filter(pc.not_equal(parsed.verdict, "")).to_pylist())
        tally.count(row.reason for row in batch.ragged)
        keep = pa.array(chosen)
        table = parsed.table().filter(keep)
        return _Rows(parsed, table, batch.table.filter(keep), *self._positions(table))

    def _mapping(self, columns: list[str]) -> Mapping:
        if self.options.mapping_file:
            base = Mapping.from_yaml(self.options.mapping_file)
        else:
            base = Mapping.guess(columns)
        return Mapping.from_flags(self.options.mapping, base) if self.options.mapping else base

    def _in_time(self, parsed: Parsed) -> npt.NDArray[np.bool_]:
        inside = np.ones(len(parsed), bool)
        for bound, beyond in (
            (self.options.since, pc.less),
            (self.options.until, pc.greater_equal),
        ):
            if bound:
                moment = pa.scalar(bound, pa.timestamp("us", "UTC"))
                out = pc.fill_null(beyond(parsed.occurred_at, moment), True)
                inside &= ~out.to_numpy(zero_copy_only=False)
        return inside

    def place_and_stage(self, engine: Engine, opened: _Opened, number: int, rows: "_Rows") -> None:
        """Place a batch and stage it; runs beside the reading of the next ones."""
        table, lon, lat, accuracy, by_address, triage = (
            rows.table, rows.lon, rows.lat, rows.accuracy_m, rows.by_address, rows.triage
        )  # fmt: skip
        occurred = pc.fill_null(table["occurred_at"], pa.scalar(self.city.known, _MOMENT))
        at = pd.DatetimeIndex(occurred.cast(pa.int64()).to_numpy().view("M8[us]"), tz="UTC")
        placed = self.city.place(
            lon, lat, accuracy, at, _objects(table["address"]), _objects(table["premises"])
        )
        placed.method[by_address & (placed.area_id >= 0)] = "address"
        outside = (placed.area_id < 0) & np.isfinite(lon)
        triage[outside] = "outside"
        self._compare(placed, rows.source, np.isfinite(lon) & ~by_address)
        columns = {
            "occurred": table["occurred_at"], "description": table["text"],
            **{n: table[n] for n in ("external_id", "channel", "kind", "premises", "address")},
            "x": table["x"], "y": table["y"], "datum": table["datum"],
            "accuracy_m": _nullable(accuracy), "lon": _nullable(lon), "lat": _nullable(lat),
            "attributes": _null_if_empty(table["attributes"]),
            "area_id": _nullable(placed.area_id, -1),
            "version_id": _nullable(placed.version_id, -1),
            "method": pa.array(placed.method, pa.string()), "ambiguous": pa.array(placed.ambiguous),
            "border_m": _nullable(placed.border_m),
            "alternatives": pa.array(placed.alternatives, pa.string()),
            "at": pa.array(at.asi8).cast(_MOMENT),
            "triage": pa.array(triage, pa.string()), "settled": self._settled(rows.source),
        }  # fmt: skip
        if number not in opened.staged:
            _copy(engine, opened, number, pa.table({name: columns[name] for name in COLUMNS}))

    def _positions(self, table: pa.Table) -> tuple[Any, ...]:
        """WGS 84 positions, by coordinates or else by address; why there is none."""
        n = len(table)
        x, y = (_floats(table[name]) for name in ("x", "y"))
        accuracy = _floats(table["accuracy_m"])
        accuracy = np.where(np.isnan(accuracy), self.accuracy_m, accuracy)
        lon, lat = np.full(n, np.nan), np.full(n, np.nan)
        triage = np.full(n, None, object)
        names = _objects(table["datum"])
        for name in {v for v in names if v is not None}:
            rows = np.flatnonzero(names == name)
            lon[rows], lat[rows] = datums.to_wgs84(x[rows], y[rows], name)
        by_address = np.isnan(lon)
        triage[by_address & ~np.isnan(x)] = "unknown_datum"
        for i in np.flatnonzero(by_address):
            match = self._look_up(table["address"][int(i)].as_py())
            if isinstance(match, str):
                triage[i] = triage[i] or match
            else:
                lon[i], lat[i], accuracy[i], triage[i] = (
                    match.lon,
                    match.lat,
                    match.accuracy_m,
                    None,
                )
        return lon, lat, accuracy, by_address, triage

    def _look_up(self, address: str | None) -> "addresses.Match | str":
        if not address:
            return "no_place"
        if address not in self.found:
            self.found[address] = reports.by_address(self.connection, address, self.city.known)
        return self.found[address]

    def _settled(self, source: pa.Table) -> pa.Array:
        if not self.options.confirm:
            return pa.nulls(len(source), pa.string())
        column = _objects(source[self.options.confirm])
        width = {len(code) for code in self.codes}
        size = width.pop() if len(width) == 1 else 0
        return pa.array([None if v is None else v.zfill(size) for v in column], pa.string())

    def _compare(self, placed: Placed, source: pa.Table, located: npt.NDArray[np.bool_]) -> None:
        if self.summary.agreement and self.options.check:
            published = _objects(source[self.options.check])
            with self._lock:
                self.summary.agreement.add(placed, located, published, self.codes)


def _codes(connection: Connection, layer: str) -> set[str]:
    found = connection.execute(text("SELECT code FROM area WHERE layer = :layer"), {"layer": layer})
    codes = set(found.scalars())
    if not codes:
        names = connection.execute(text("SELECT name FROM layer ORDER BY name")).scalars()
        raise IntakeError(
            f"the layer {layer} has no areas; import them first with `python main.py import areas "
            f"FILE --layer {layer}` (layers: {', '.join(names)})"
        )
    return codes


def _null_if_empty(objects: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(pc.equal(objects, "{}"), None, objects)


def _objects(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), object)


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(column.to_numpy(zero_copy_only=False), float)


def _nullable(values: npt.NDArray[Any], missing: int | None = None) -> pa.Array:
    mask = np.isnan(values) if missing is None else values == missing
    return pa.array(values, mask=mask)


# --- into place -----------------------------------------------------------------------------------

_MOVE = """
INSERT INTO report (source, external_id, occurred, channel, kind, premises, description, address,
    x, y, datum, accuracy_m, geom, attributes, layer, area_id, version_id, method, ambiguous,
    border_m, alternatives, at, known, triage)
SELECT :source, external_id, occurred, channel, kind, premises, description, address, x, y, datum,
    accuracy_m, ST_SetSRID(ST_MakePoint(lon, lat), 4326), attributes, :layer, area_id, version_id,
    method, ambiguous, border_m, alternatives, at,
    (SELECT started FROM intake WHERE id = :id), triage
FROM intake_{id}
ON CONFLICT (source, external_id) DO NOTHING
"""

_CONFIRM = """
WITH settled AS (
    SELECT r.id, r.geom, r.ambiguous, r.area_id AS before, r.premises, r.address, a.id AS area_id,
           v.id AS version_id
    FROM intake_{id} s
    JOIN report r ON r.source = :source AND r.external_id = s.external_id
    JOIN area a ON a.layer = :layer AND a.code = s.settled
    JOIN area_version v ON v.area_id = a.id AND v.valid @> r.at AND upper_inf(v.recorded)
    WHERE r.geom IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM confirmation c WHERE c.report_id = r.id AND c.area_id = a.id)
), moved AS (
    UPDATE report r SET area_id = s.area_id, version_id = s.version_id, method = 'confirmed',
           triage = NULL
    FROM settled s WHERE r.id = s.id
)
SELECT * FROM settled ORDER BY id
"""

_REMEMBER = """
INSERT INTO confirmation (report_id, layer, area_id, geom, informative, street, block, side,
                          premises, recorded, reason)
SELECT t.id, :layer, t.area_id, r.geom, t.informative, nullif(t.street, ''), nullif(t.block, ''),
       nullif(t.side, -1), r.premises, clock_timestamp() + interval '1 s', :reason
FROM unnest(CAST(:ids AS bigint[]), CAST(:areas AS bigint[]), CAST(:informative AS boolean[]),
            CAST(:streets AS text[]), CAST(:blocks AS text[]), CAST(:sides AS integer[]))
     t (id, area_id, informative, street, block, side)
JOIN report r ON r.id = t.id
"""


def _move(engine: Engine, number: int, options: Options, summary: Summary) -> None:
    """From the staging table into `report`, with what a person settled; one transaction."""
    asked = {"id": number, "source": options.source, "layer": options.layer}
    with engine.begin() as connection:
        staged, summary.placed, summary.ambiguous = connection.execute(
            text(
                "SELECT count(*), count(area_id), count(*) FILTER (WHERE ambiguous)"
                f" FROM intake_{number}"
            )
        ).one()
        summary.triaged = staged - summary.placed
        summary.added = connection.execute(text(_MOVE.format(id=number)), asked).rowcount
        summary.known = staged - summary.added
        counts = {k: v for k, v in asdict(summary).items() if isinstance(v, int)}
        connection.execute(
            text(
                "UPDATE intake SET finished = clock_timestamp(),"
                " counts = to_jsonb(CAST(:c AS json)) WHERE id = :id"
            ),
            {"id": number, "c": pd.Series(counts).to_json()},
        )
        if options.confirm:
            summary.confirmed = _remember(connection, number, asked, options)
        connection.execute(text(f"DROP TABLE intake_{number}"))
    if summary.confirmed:  # confirmations count from a moment after their commit
        with engine.connect() as connection:
            connection.execute(
                text("SELECT pg_sleep_until(max(recorded)) FROM confirmation WHERE layer = :layer"),
                {"layer": options.layer},
            )


def _remember(connection: Connection, number: int, asked: dict[str, Any], options: Options) -> int:
    rows = connection.execute(text(_CONFIRM.format(id=number)), asked).all()
    if not rows:
        return 0
    parsed = parse_addresses([row.address or "" for row in rows])
    connection.execute(
        text(_REMEMBER),
        {
            "layer": options.layer, "reason": f"settled in {options.confirm}",
            "ids": [row.id for row in rows], "areas": [row.area_id for row in rows],
            "informative": [row.ambiguous or row.before != row.area_id for row in rows],
            "streets": list(parsed.street), "blocks": list(parsed.block),
            "sides": [int(s) for s in parsed.side],
        },
    )  # fmt: skip
    return len(rows)
