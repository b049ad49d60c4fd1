"""Rows of a file as typed, checked columns of reports, with a verdict on each row."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from data.report_mapping import Mapping
from data.report_times import DateOrder, parse_times
from data.table_batch import Batch
from data.table_parsed import ParsedRows
from data.table_rejects import RejectsFile
from data.table_rows import (
    Bounds,
    Columns,
    Seen,
    Verdict,
    accuracies,
    attributes_of,
    datums_of,
    ids_of,
    normalise,
    places,
    reject_nul,
    reject_repeated,
)

__all__ = ["Mapping", "Parsed", "RejectsFile", "Seen", "parse", "write_rejects"]

_TEXTS = ("kind", "premises", "text", "address", "channel")


@dataclass(kw_only=True)
class Parsed(ParsedRows):
    """The rows of a batch as columns of one length; see `parse`.

    Attributes
    ----------
    occurred_at : pyarrow.Array of timestamp[us, UTC]
        Null where it is not given.
    kind, premises, text, channel : pyarrow.Array of string
        Trimmed; null where empty.
    """

    occurred_at: pa.Array
    kind: pa.Array
    premises: pa.Array
    text: pa.Array
    channel: pa.Array


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
    accuracy_m = accuracies(columns, verdict)
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


def write_rejects(path: Path | str, parts: Iterable[tuple[Batch, Parsed]]) -> int:
    """Write all rows of batches that were not accepted to a file; how many there are.

    See Also
    --------
    RejectsFile : the same, batch by batch.
    """
    with RejectsFile(path) as rejects:
        return sum(rejects.add(batch, parsed.verdict) for batch, parsed in parts)
