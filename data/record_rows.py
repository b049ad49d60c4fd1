"""Rows of a file as typed, checked columns of records, with a verdict on each row."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.record_mapping import KINDS, OF_A_PERSON, RecordMapping, is_personal
from data.report_times import DateOrder, parse_times
from data.table_batch import Batch
from data.table_parsed import ParsedRows
from data.table_rows import (
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
from data.text_stream import TableError

MOST_KIND = 100  # characters of a kind


@dataclass(kw_only=True)
class Parsed(ParsedRows):
    """The rows of a batch as columns of one length; see `parse`.

    Attributes
    ----------
    kind : pyarrow.Array of string
        The name of a kind that is known, or the words of the file.
    title, collected_by, area : pyarrow.Array of string
        Trimmed; null where empty. `area` is the code that the collector states.
    collected_at : pyarrow.Array of timestamp[us, UTC]
        Null where it is not given.
    personal : pyarrow.Array of string
        A JSON object of what is about a person, to be sealed; ``{}`` where nothing is.
    identity : pyarrow.Array of string
        The identity number in capitals; null where it is not given.
    """

    kind: pa.Array
    title: pa.Array
    area: pa.Array
    collected_at: pa.Array
    collected_by: pa.Array
    personal: pa.Array
    identity: pa.Array


def parse(
    batch: Batch, mapping: RecordMapping, *, datum: str | None = None,
    timezone: str = "Asia/Shanghai", date_order: DateOrder | None = None,
    seen: Seen | None = None, kind: str | None = None,
) -> Parsed:  # fmt: skip
    """Type and check the rows of a batch.

    Parameters
    ----------
    batch, mapping, datum, timezone, date_order, seen : as in `data.report_rows.parse`
    kind : the kind of all rows, whatever a column says

    Raises
    ------
    TableError
        The batch has not the columns that are mapped, or nothing says of which kind its rows are.
    ValueError
        The datum or the time zone is not known.
    """
    _check(mapping, batch.columns, kind)
    columns = Columns(batch, mapping)
    verdict = Verdict(len(batch.table))
    reject_nul(columns.content, verdict)
    x, y = places(columns, verdict)
    accuracy_m = accuracies(columns, verdict)
    names = datums_of(columns, mapping.datum_is or batch.crs or datum, verdict)
    lon, lat = normalise(x, y, names, None, verdict)
    order = mapping.date_order or date_order
    times = parse_times(columns.raw("collected_at"), timezone, order)
    verdict.reject(times.faults.items())
    ids = ids_of(columns, verdict)
    kinds = _kinds(columns, kind or mapping.kind_is, verdict)
    reject_repeated(ids, batch.row_number, columns, verdict, Seen() if seen is None else seen)
    about, rest = _apart(columns, mapping)
    return Parsed(
        row_number=batch.row_number,
        external_id=ids,
        x=x,
        y=y,
        lon=lon,
        lat=lat,
        datum=names,
        accuracy_m=accuracy_m,
        kind=kinds,
        collected_at=pa.array(times.values, pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
        **{name: columns.trimmed(name) for name in ("title", "address", "area", "collected_by")},
        personal=attributes_of(about, columns.size),
        identity=pc.utf8_upper(columns.trimmed("identity")),
        attributes=attributes_of(rest, columns.size),
        verdict=verdict.column(),
        date_order=times.date_order,
        notes=[times.note] if times.note else [],
    )


def _check(mapping: RecordMapping, columns: list[str], kind: str | None) -> None:
    mapping.check(columns)
    if lacking := [name for name in mapping.personal if name not in columns]:
        raise TableError(
            f"the file has not the columns {', '.join(lacking)} that personal names; it has "
            f"{', '.join(columns)}"
        )
    if not (kind or mapping.kind or mapping.kind_is):
        listed = ", ".join(KINDS.titles)
        raise TableError(
            f"which kind of records are these? Say so with --kind ({listed} …), or name the column "
            f"as kind=COLUMN; there are {', '.join(columns)}"
        )


def _kinds(columns: Columns, usual: str | None, verdict: Verdict) -> pa.Array:
    if usual:
        return pa.repeat(KINDS.find(usual) or usual, columns.size)
    coded = columns.trimmed("kind").dictionary_encode()
    words = coded.dictionary.to_pylist()
    known = pa.array([KINDS.find(word) or word for word in words], pa.string())
    kinds = known.take(coded.indices)
    none = np.flatnonzero(kinds.is_null().to_numpy(zero_copy_only=False))
    verdict.reject((i, "the row does not say of which kind it is") for i in none)
    length = pc.fill_null(pc.utf8_length(kinds), 0).to_numpy(zero_copy_only=False)
    long = np.flatnonzero(length > MOST_KIND)
    verdict.reject((i, f"a kind has at most {MOST_KIND} characters") for i in long)
    return kinds


def _apart(
    columns: Columns, mapping: RecordMapping
) -> tuple[dict[str, pa.Array], dict[str, pa.Array]]:
    """The cells that are about a person, and the others that no field holds."""
    about = {name: columns.trimmed(name) for name in OF_A_PERSON if columns.mapped(name)}
    rest: dict[str, pa.Array] = {}
    for name, cells in columns.unmapped().items():
        sealed = name in mapping.personal or is_personal(name)
        (about if sealed else rest)[name] = cells
    return about, rest
