"""Rows of a file as typed, checked columns of reports, with a verdict on each row."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.report_mapping import Mapping
from data.report_times import DateOrder, parse_times
from data.table_batch import Batch
from data.table_rejects import RejectsFile
from data.table_rows import (
    Bounds,
    Columns,
    Floats,
    Seen,
    Verdict,
    attributes_of,
    datums_of,
    ids_of,
    normalise,
    numbers,
    places,
    reject_nul,
    reject_repeated,
)

__all__ = ["Mapping", "Parsed", "RejectsFile", "Seen", "parse", "write_rejects"]

MOST_ACCURACY_M = 5000  # a position vaguer than this is none
_TEXTS = ("kind", "premises", "text", "address", "channel")


@dataclass
class Parsed:
    """The rows of a batch as columns of one length; see `parse`.

    Attributes
    ----------
    row_number : ndarray of int64
        Where each row stands in the file.
    external_id : pyarrow.Array of string
        The source's number of the report, or ``sha256:…`` of the row's content if it has none.
    x, y : ndarray of float
        The coordinates as received, in `datum`; NaN where there are none.
    lon, lat : ndarray of float
        The same in WGS 84; NaN also where nobody said which datum they are in.
    datum : pyarrow.Array of string
        The canonical name of their datum; null if nobody said which.
    accuracy_m : ndarray of float
        Radius in metres; NaN where it is not given, or given as 0.
    occurred_at : pyarrow.Array of timestamp[us, UTC]
        Null where it is not given.
    kind, premises, text, address, channel : pyarrow.Array of string
        Trimmed; null where empty.
    attributes : pyarrow.Array of string
        A JSON object of all columns that are not mapped, without the empty ones.
    verdict : pyarrow.Array of string
        Empty if the row is accepted, else the sentence why it is not.
    date_order : {'mdy', 'dmy'} or None
        How dates with the year last were read; hand it on to the next batch.
    notes : list of str
        What was decided for the whole batch, for people.
    """

    row_number: npt.NDArray[np.int64]
    external_id: pa.Array
    x: Floats
    y: Floats
    lon: Floats
    lat: Floats
    datum: pa.Array
    accuracy_m: Floats
    occurred_at: pa.Array
    kind: pa.Array
    premises: pa.Array
    text: pa.Array
    address: pa.Array
    channel: pa.Array
    attributes: pa.Array
    verdict: pa.Array
    date_order: DateOrder | None = None
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.row_number)

    @property
    def accepted(self) -> npt.NDArray[np.bool_]:
        """Which rows have no fault."""
        return np.asarray(pc.equal(self.verdict, "").to_numpy(zero_copy_only=False), bool)

    def table(self) -> pa.Table:
        """The columns as a table, with null for NaN; for COPY, say."""
        names = [name for name in self.__dataclass_fields__ if name not in ("date_order", "notes")]
        return pa.table({name: pa.array(getattr(self, name), from_pandas=True) for name in names})


def parse(
    batch: Batch,
    mapping: Mapping,
    *,
    datum: str | None = None,
    timezone: str = "Asia/Shanghai",
    extent: Bounds | None = None,
    date_order: DateOrder | None = None,
    seen: Seen | None = None,
) -> Parsed:
    """Type and check the rows of a batch.

    Parameters
    ----------
    batch : Batch
        Text columns of a file; see `data.table_files.read`.
    mapping : Mapping
        Which column means what.
    datum : str, optional
        The datum where neither the row, nor ``mapping.datum_is``, nor the file states one: the
        source's default. None leaves it open, and it is not guessed.
    timezone : str
        The zone of times without one.
    extent : tuple of float, optional
        Where the city lies, ``(minlon, minlat, maxlon, maxlat)`` in WGS 84; see
        `gis.datum.diagnose`.
    date_order : {'mdy', 'dmy'}, optional
        As told from batches before; ``mapping.date_order`` goes before it.
    seen : Seen, optional
        The ids of the batches before, so that one that comes twice is found across batches.

    Returns
    -------
    Parsed
        One row for each of the batch's. A row without coordinates is accepted, with an address
        or without; one with half of a pair, or with coordinates that cannot be right, is not.

    Raises
    ------
    TableError
        The batch has not the columns that are mapped.
    ValueError
        The datum or the time zone is not known.
    """
    mapping.check(batch.columns)
    columns = Columns(batch, mapping)
    verdict = Verdict(len(batch.table))
    reject_nul(columns.content, verdict)
    x, y = places(columns, verdict)
    accuracy_m = _accuracies(columns, verdict)
    fallback = mapping.datum_is or batch.crs or datum
    names = datums_of(columns, fallback, verdict)
    lon, lat = normalise(x, y, names, extent, verdict)
    order = mapping.date_order or date_order
    times = parse_times(columns.raw("occurred_at"), timezone, order)
    verdict.reject(times.faults.items())
    ids = ids_of(columns, verdict)
    reject_repeated(ids, batch.row_number, columns, verdict, Seen() if seen is None else seen)
    return Parsed(
        row_number=batch.row_number,
        external_id=ids,
        x=x,
        y=y,
        lon=lon,
        lat=lat,
        datum=names,
        accuracy_m=accuracy_m,
        occurred_at=pa.array(times.values, pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
        **{name: columns.trimmed(name) for name in _TEXTS},
        attributes=attributes_of(columns.unmapped(), columns.size),
        verdict=verdict.column(),
        date_order=times.date_order,
        notes=[times.note] if times.note else [],
    )


def _accuracies(columns: Columns, verdict: Verdict) -> Floats:
    column = columns.raw("accuracy_m")
    if columns.mapped("accuracy_m"):
        column = pc.replace_substring_regex(column, r"\s*(m|米|公尺)\s*$", "")
    values = numbers(column, "accuracy", verdict)
    at = np.flatnonzero(values < 0)
    verdict.reject((i, f"accuracy {values[i]:g} is less than 0 m") for i in at)
    verdict.reject(
        (i, f"accuracy {values[i]:g} m is more than {MOST_ACCURACY_M:,} m, which tells no place")
        for i in np.flatnonzero(values > MOST_ACCURACY_M)
    )
    values[values == 0] = np.nan  # what devices send that do not know it
    return values


def write_rejects(path: Path | str, parts: Iterable[tuple[Batch, Parsed]]) -> int:
    """Write all rows of batches that were not accepted to a file; how many there are.

    See Also
    --------
    RejectsFile : the same, batch by batch.
    """
    with RejectsFile(path) as rejects:
        return sum(rejects.add(batch, parsed.verdict) for batch, parsed in parts)
