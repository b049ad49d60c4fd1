"""Rows of a file as checked columns, whatever they are about: identity, place, the rest.

Each function takes the columns of a batch by the fields that they are mapped to, and notes in the
verdict which rows cannot be taken in, and why.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pandas.util import hash_array

from data.table_batch import Batch
from data.table_mapping import TableMapping
from data.table_rejects import REJECT_COLUMNS
from gis import datum as datums

Floats = npt.NDArray[np.float64]
Bounds = tuple[float, float, float, float]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PAIR = (
    rf'^\s*(?:(?:SRID=\d+;)?\s*POINT\s*(?:ZM|Z|M)?\s*\(|\{{.*"coordinates"\s*:\s*\[|[\(\[])?\s*'
    rf"(?P<a>{_NUMBER})\s*[,;\s]\s*(?P<b>{_NUMBER})(?:[,\s]+{_NUMBER})*\s*(?:[\)\]]\s*)?(?:(?:,\s*\".*)?\}}\s*)?$"
)
MOST_ID = 200  # characters of an external id
MOST_ACCURACY_M = 5000  # a position vaguer than this is none
_SPELL = json.JSONEncoder(ensure_ascii=False).encode


class Seen:
    """Which external ids came before, and in which row; in 16 bytes an id.

    It knows them by 64 bits of hash: among 8 million ids two that differ meet with a probability
    of 2 in a million.
    """

    def __init__(self) -> None:
        self._runs: list[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]] = []

    def first_rows(self, ids: pa.Array, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each id the row where it stands first, which may be its own; all are remembered."""
        keys = hash_array(np.asarray(ids.to_numpy(zero_copy_only=False), object), categorize=False)
        keys, at, back = np.unique(keys, return_index=True, return_inverse=True)
        first, new = rows[at], np.ones(len(at), bool)
        for run_keys, run_rows in self._runs:
            place = np.minimum(np.searchsorted(run_keys, keys), len(run_keys) - 1)
            hit = run_keys[place] == keys
            first[hit], new[hit] = run_rows[place[hit]], False
        if new.any():
            self._add(keys[new], first[new])
        return first[back]

    def _add(self, keys: npt.NDArray[np.uint64], rows: npt.NDArray[np.int64]) -> None:
        """Keep few sorted runs, each at least twice as long as the next."""
        while self._runs and len(self._runs[-1][0]) < 2 * len(keys):
            other = self._runs.pop()
            keys, rows = np.concatenate([other[0], keys]), np.concatenate([other[1], rows])
            order = np.argsort(keys, kind="stable")
            keys, rows = keys[order], rows[order]
        self._runs.append((keys, rows))


class Verdict:
    """The first fault found of each row."""

    def __init__(self, size: int) -> None:
        self.size, self.reasons = size, dict[int, str]()

    def reject(self, faults: Iterable[tuple[Any, str]]) -> None:
        """Note faults as (row, reason); a row that has one already keeps it."""
        for i, reason in faults:
            self.reasons.setdefault(int(i), reason)

    @property
    def good(self) -> npt.NDArray[np.bool_]:
        """Which rows have no fault so far."""
        good = np.ones(self.size, bool)
        good[list(self.reasons)] = False
        return good

    def column(self) -> pa.Array:
        """The faults as a column; empty for those that have none."""
        if not self.reasons:
            return pa.repeat("", self.size)
        return pa.array([self.reasons.get(i, "") for i in range(self.size)], pa.string())


class Columns:
    """A batch's columns by the fields that they are mapped to."""

    def __init__(self, batch: Batch, mapping: TableMapping) -> None:
        self.mapping, self.size = mapping, len(batch.table)
        table = batch.table
        if table.column_names[-2:] == REJECT_COLUMNS:  # rejects that were mended and come again
            table = table.drop_columns(REJECT_COLUMNS)
        self.content: dict[str, pa.Array] = {
            name: column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
            for name, column in zip(table.column_names, table.columns, strict=True)
        }

    def mapped(self, name: str) -> bool:
        """Whether a column holds this field."""
        return getattr(self.mapping, name) is not None

    def raw(self, name: str) -> pa.Array:
        """A field's cells as they stand in the file; nulls if no column holds it."""
        column = getattr(self.mapping, name)
        return self.content[column] if column else pa.nulls(self.size, pa.string())

    def trimmed(self, name: str) -> pa.Array:
        """A field's cells without blanks around them; null where empty."""
        if not self.mapped(name):
            return pa.nulls(self.size, pa.string())
        text = pc.utf8_trim_whitespace(self.raw(name))
        return pc.if_else(pc.equal(text, ""), None, text)

    def unmapped(self) -> dict[str, pa.Array]:
        """The columns that hold no field, by name."""
        used = {*self.mapping.columns.values(), *self.mapping.omit}
        return {name: column for name, column in self.content.items() if name not in used}


def reject_nul(content: dict[str, pa.Array], verdict: Verdict) -> None:
    """A NUL character, which JSON can name, has no place in a database."""
    for name, column in content.items():
        data = column.buffers()[2]
        if data and b"\0" in memoryview(data).tobytes():
            found = pc.match_substring(column, "\0").fill_null(False).to_numpy(zero_copy_only=False)
            why = f"there is a NUL character in column {name}"
            verdict.reject((i, why) for i in np.flatnonzero(found))


# --- places ------------------------------------------------------------------------------------


def places(columns: Columns, verdict: Verdict) -> tuple[Floats, Floats]:
    """The coordinates as received; NaN where there are none. Half a pair is a fault."""
    for name in ("lonlat", "latlon"):
        if columns.mapped(name):
            a, b = _pairs(columns.trimmed(name), verdict)
            return (a, b) if name == "lonlat" else (b, a)
    x, y = (numbers(columns.raw(n), word, verdict) for n, word in _AXES)
    for lone, here, lacking in (("x", x, y), ("y", y, x)):
        given, other = _AXES if lone == "x" else _AXES[::-1]
        at = np.flatnonzero(~np.isnan(here) & np.isnan(lacking))
        verdict.reject((i, f"there is a {given[1]} but no {other[1]}") for i in at)
    return x, y


_AXES = (("lon", "longitude"), ("lat", "latitude"))


def accuracies(columns: Columns, verdict: Verdict) -> Floats:
    """Radius in metres; NaN where it is not given, or given as 0."""
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


def numbers(column: pa.Array, word: str, verdict: Verdict) -> Floats:
    """Floats of text, NaN where it is null; what is no finite number is rejected."""
    try:
        values = np.array(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))
    except pa.ArrowInvalid:
        values = _mended_numbers(column)
    bad = ~np.isfinite(values) & np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    for i in np.flatnonzero(bad):
        if text := column[int(i)].as_py().strip():
            verdict.reject([(i, f"{word} {text!r} is not a number")])
    values[bad] = np.nan
    return values


def _mended_numbers(column: pa.Array) -> Floats:
    """Numbers among other text; full-width digits and the decimal comma are understood."""
    plain = pc.match_substring_regex(column, f"^{_NUMBER}$").fill_null(False)
    values = np.array(
        pc.cast(pc.if_else(plain, column, None), pa.float64()).to_numpy(zero_copy_only=False)
    )
    rest = pc.and_not(column.is_valid(), plain)
    at = np.flatnonzero(rest.to_numpy(zero_copy_only=False))
    text = pc.utf8_trim_whitespace(pc.utf8_normalize(column.filter(rest), form="NFKC"))
    text = pc.replace_substring_regex(text, r"^([+-]?\d+),(\d+)$", r"\1.\2")
    number = pc.match_substring_regex(text, f"^{_NUMBER}$")
    values[at] = pc.cast(pc.if_else(number, text, None), pa.float64()).to_numpy(
        zero_copy_only=False
    )
    return values


def _pairs(column: pa.Array, verdict: Verdict) -> tuple[Floats, Floats]:
    """Two numbers of each text, in their order; NaN where it is null."""
    text = column
    if pc.all(pc.string_is_ascii(column)).as_py() not in (True, None):
        text = pc.utf8_normalize(column, form="NFKC")
    parts = pc.extract_regex(text, _PAIR)
    a, b = (
        np.array(pc.cast(pc.struct_field(parts, n), pa.float64()).to_numpy(zero_copy_only=False))
        for n in ("a", "b")
    )
    none = np.asarray(parts.is_null().to_numpy(zero_copy_only=False))
    a[none] = b[none] = np.nan
    there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    verdict.reject(
        (i, f"position {column[int(i)].as_py()[:80]!r} is not a pair of numbers, as 113.12,23.02")
        for i in np.flatnonzero(there & none)
    )
    return a, b


def datums_of(columns: Columns, fallback: str | None, verdict: Verdict) -> pa.Array:
    """The canonical name of each row's datum; the fallback where the row names none."""
    usual = datums.parse(fallback).name if fallback else None
    if not columns.mapped("datum"):
        return pa.repeat(pa.scalar(usual, pa.string()), columns.size)
    coded = columns.trimmed("datum").dictionary_encode()
    which = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    names: list[str | None] = []
    for i, stated in enumerate(coded.dictionary.to_pylist()):
        try:
            names.append(datums.parse(stated).name)
        except datums.DatumError as error:
            names.append(None)
            verdict.reject((k, str(error)) for k in np.flatnonzero(which == i))
    return pa.array(np.array([*names, usual], object)[which], pa.string())


def normalise(
    x: Floats, y: Floats, names: pa.Array, extent: Bounds | None, verdict: Verdict
) -> tuple[Floats, Floats]:
    """WGS 84 positions; coordinates that cannot be right are rejected.

    Without a datum they are held to be degrees, to be checked, and have no position.
    """
    lon, lat = np.full(len(x), np.nan), np.full(len(x), np.nan)
    given = ~np.isnan(x) & ~np.isnan(y)
    for name in pc.unique(names).to_pylist():
        of = pc.is_null(names) if name is None else pc.equal(names, name).fill_null(False)
        at = np.flatnonzero(given & of.to_numpy(zero_copy_only=False))
        east, north, codes = datums.normalise(x[at], y[at], name or "wgs84", extent)
        if name is not None:
            lon[at], lat[at] = east, north
        faulty = np.flatnonzero(codes != "")
        verdict.reject((at[i], _fault(x[at[i]], y[at[i]], str(codes[i]))) for i in faulty)
    return lon, lat


def _fault(x: float, y: float, code: str) -> str:
    reason = datums.REASONS[code]
    if code == "out_of_range":
        word, value = ("latitude", y) if abs(y) > 90 else ("longitude", x)
        return f"{word} {value:.10g} is out of range: {reason}"
    return f"coordinates {x:.10g}, {y:.10g}: {reason}"


# --- identity and the rest ---------------------------------------------------------------------


def ids_of(columns: Columns, verdict: Verdict) -> pa.Array:
    """The source's number of each row, or ``sha256:…`` of its content if it gives none."""
    if not columns.mapped("external_id"):
        return _content_ids(columns.content)
    ids = columns.trimmed("external_id")
    empty = np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False))
    verdict.reject((i, "external_id is empty") for i in empty)
    length = pc.fill_null(pc.utf8_length(ids), 0).to_numpy(zero_copy_only=False)
    verdict.reject(
        (i, f"external_id has {length[i]:,} characters, and {MOST_ID} are the most")
        for i in np.flatnonzero(length > MOST_ID)
    )
    return ids


def _content_ids(content: dict[str, pa.Array]) -> pa.Array:
    """A hash of each row's cells under their names, whatever the order of the columns is."""
    names = sorted(content)
    salt = hashlib.sha256("\x1f".join(names).encode())

    def digest(cells: str) -> str:
        own = salt.copy()
        own.update(cells.encode())
        return f"sha256:{own.hexdigest()}"

    if not names:
        return pa.array([], pa.string())
    joined = pc.binary_join_element_wise(
        *(content[name].fill_null("") for name in names), "\x1f", null_handling="replace"
    )
    return pa.array(map(digest, joined.to_pylist()), pa.string())


def reject_repeated(
    ids: pa.Array, rows: npt.NDArray[np.int64], columns: Columns, verdict: Verdict, seen: Seen
) -> None:
    """Reject all but the first of the rows without another fault that have the same id."""
    at = np.flatnonzero(verdict.good)
    if not len(at):
        return
    first = seen.first_rows(ids.take(pa.array(at)), rows[at])
    told = columns.mapped("external_id")
    for i in np.flatnonzero(first != rows[at]):
        what = (
            f"external_id {ids[int(at[i])].as_py()!r} stands already" if told else "the same stands"
        )
        verdict.reject([(at[i], f"{what} in row {first[i]}")])


def attributes_of(columns: dict[str, pa.Array], size: int) -> pa.Array:
    """A JSON object for each row, put together column by column."""
    if not columns:
        return pa.repeat("{}", size)
    parts: list[pa.Array | str] = []
    for name, column in columns.items():
        key, values = f',{_SPELL(name)}:"', _escaped(column)
        if column.null_count:
            parts.append(pc.binary_join_element_wise(key, values, '"', ""))
        else:
            parts += [key, values, '"']
    # Not with null_handling="skip": where all are null, that gives too few rows.
    if isinstance(parts[0], str):
        parts[0] = "{" + parts[0][1:]
        return pc.binary_join_element_wise(*parts, "}", "", null_handling="replace")
    inner = pc.binary_join_element_wise(*parts, "", null_handling="replace")
    return pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(inner, 1), "}", "")


def _escaped(column: pa.Array) -> pa.Array:
    data = column.buffers()[2]
    octets = np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8)
    if not ((octets < 32) | (octets == ord('"')) | (octets == ord("\\"))).any():
        return column
    for char in ["\\", '"', *map(chr, range(32))]:
        column = pc.replace_substring(column, char, _SPELL(char)[1:-1])
    return column
