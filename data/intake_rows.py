"""Rows of a file on their way in: typed, put on the map, placed; one batch after the other."""

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, Engine, text

from data import addresses, reports
from data.agreement import Agreement
from data.bulk_placement import Map, Placed
from data.intake_options import IntakeError, Summary
from data.intake_stage import Opened, stage
from data.intake_target import Target
from data.report_times import DateOrder
from data.settings import settings
from data.table_batch import Batch
from data.table_mapping import TableMapping
from data.table_parsed import ParsedRows
from data.table_rejects import tally
from data.table_rows import Seen
from data.text_stream import TableError

_MOMENT = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Rows:
    """The rows of a batch that are taken in, with WGS 84 positions and why some have none."""

    parsed: ParsedRows
    table: pa.Table
    source: pa.Table
    lon: npt.NDArray[np.float64]
    lat: npt.NDArray[np.float64]
    accuracy_m: npt.NDArray[np.float64]
    by_address: npt.NDArray[np.bool_]
    triage: npt.NDArray[np.object_]


class Run:
    """Looks at batches and places them; keeps what goes from one batch to the next."""

    def __init__(
        self, connection: Connection, target: Target, datum: str | None,
        accuracy_m: float | None, city: Map,
    ) -> None:  # fmt: skip
        self.connection, self.target, self.city = connection, target, city
        self.options = options = target.options
        self.datum = options.datum or datum
        self.accuracy_m = accuracy_m or settings().accuracy_m
        self.summary = Summary(agreement=Agreement() if options.check else None)
        self.seen, self.mapping = Seen(), target.mapping()
        self.date_order: DateOrder | None = None
        self.codes = _codes(connection, options.layer)
        self.found: dict[str, addresses.Match | str] = {}
        self._lock = Lock()

    def look(self, batch: Batch) -> "Rows":
        """Type and check a batch; keep what is accepted and in the time asked for, with places."""
        if not self.summary.rows:
            self.mapping = self._mapping(batch.columns)
        for column in (self.options.check, self.options.confirm):
            if column and column not in batch.columns:
                raise TableError(
                    f"the file has no column {column}; it has {', '.join(batch.columns)}"
                )
        parsed = self.target.parse(
            batch,
            self.mapping,
            datum=self.datum,
            seen=self.seen,
            date_order=self.date_order,
            timezone=self.options.timezone or settings().timezone,
        )
        self.date_order = parsed.date_order
        chosen = parsed.accepted & self._in_time(parsed)
        done = self.summary
        done.rows += len(parsed) + len(batch.ragged)
        done.left_out += int((parsed.accepted & ~chosen).sum())
        done.notes += [note for note in parsed.notes if note not in done.notes]
        tally(done.reasons, parsed.verdict.filter(pc.not_equal(parsed.verdict, "")).to_pylist())
        tally(done.reasons, (row.reason for row in batch.ragged))
        keep = pa.array(chosen)
        table = parsed.table().filter(keep)
        return Rows(parsed, table, batch.table.filter(keep), *self._positions(table))

    def _mapping(self, columns: list[str]) -> TableMapping:
        known = self.target.mapping
        if self.options.mapping_file:
            base = known.from_yaml(self.options.mapping_file)
        else:
            base = known.guess(columns)
        return known.from_flags(self.options.mapping, base) if self.options.mapping else base

    def _in_time(self, parsed: ParsedRows) -> npt.NDArray[np.bool_]:
        inside = np.ones(len(parsed), bool)
        for bound, beyond in (
            (self.options.since, pc.less),
            (self.options.until, pc.greater_equal),
        ):
            if bound:
                moment = pa.scalar(bound, pa.timestamp("us", "UTC"))
                out = pc.fill_null(beyond(self.target.occurred(parsed), moment), True)
                inside &= ~out.to_numpy(zero_copy_only=False)
        return inside

    def place_and_stage(self, engine: Engine, opened: Opened, number: int, rows: "Rows") -> None:
        """Place a batch and stage it; runs beside the reading of the next ones."""
        table, lon, lat, accuracy, by_address, triage = (
            rows.table, rows.lon, rows.lat, rows.accuracy_m, rows.by_address, rows.triage
        )  # fmt: skip
        premises = (
            _objects(table["premises"])
            if "premises" in table.column_names
            else np.full(len(table), None, object)
        )
        placed = self.city.place(
            lon, lat, accuracy, self._moments(table), _objects(table["address"]), premises
        )
        placed.method[by_address & (placed.area_id >= 0)] = "address"
        outside = (placed.area_id < 0) & np.isfinite(lon)
        triage[outside] = "outside"
        self._compare(placed, rows.source, np.isfinite(lon) & ~by_address)
        self.target.settle(placed, triage)
        columns = {
            **{n: table[n] for n in ("external_id", "kind", "address", "x", "y", "datum")},
            "accuracy_m": _nullable(accuracy), "lon": _nullable(lon), "lat": _nullable(lat),
            "attributes": _null_if_empty(table["attributes"]),
            "area_id": _nullable(placed.area_id, -1),
            "version_id": _nullable(placed.version_id, -1),
            "method": pa.array(placed.method, pa.string()), "ambiguous": pa.array(placed.ambiguous),
            "border_m": _nullable(placed.border_m),
            "alternatives": placed.alternatives,
            "triage": pa.array(triage, pa.string()),
        }  # fmt: skip
        if number not in opened.staged:
            columns |= self.target.columns(table, rows.source)
            stage(engine, opened.id, number, pa.table(columns), self.target.types)

    def _moments(self, table: pa.Table) -> pd.DatetimeIndex:
        """Whose borders count: those of each row's moment, or of now."""
        known = pa.scalar(self.city.known, _MOMENT)
        said = self.target.moment(table)
        when = pa.repeat(known, len(table)) if said is None else pc.fill_null(said, known)
        return pd.DatetimeIndex(when.cast(pa.int64()).to_numpy().view("M8[us]"), tz="UTC")

    def _positions(self, table: pa.Table) -> tuple[Any, ...]:
        """WGS 84 positions, by coordinates or else by address; why there is none."""
        n = len(table)
        x = _floats(table["x"])
        accuracy = _floats(table["accuracy_m"])
        accuracy = np.where(np.isnan(accuracy), self.accuracy_m, accuracy)
        lon, lat = (_floats(table[name]).copy() for name in ("lon", "lat"))
        triage = np.full(n, None, object)
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
