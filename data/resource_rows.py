"""Rows of a roster as typed, checked columns of resources, with a verdict on each row."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.catalogue import Known
from data.resource_mapping import ResourceMapping
from data.resources import MODE_WORDS, MOST_CAPACITY
from data.table_batch import Batch
from data.table_rows import (
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
from data.text_stream import TableError
from data.words import Words

Objects = npt.NDArray[np.object_]

_APART = re.compile(r"[;；,，、|\n]+")


@dataclass
class Parsed:
    """The rows of a batch as columns of one length; see `parse`.

    Attributes
    ----------
    row_number : ndarray of int64
        Where each row stands in the file.
    external_id, name, address, area, attributes : ndarray of str or None
        As in the file, trimmed; `attributes` is JSON of the columns that are not mapped.
    kind, organisation, mode, shift : ndarray of str or None
        Names, whatever they were called in the file.
    skills, areas : ndarray of tuple of str
        Names of skills, in order; codes of areas as they are spelt.
    given : ndarray of bool
        Which rows have coordinates.
    lon, lat : ndarray of float
        WGS 84; NaN where there are none, or nobody said in which datum they are.
    capacity : ndarray of int64
        Tasks at once.
    verdict : Verdict
        The faults found so far.
    """

    row_number: npt.NDArray[np.int64]
    external_id: Objects
    name: Objects
    kind: Objects
    organisation: Objects
    skills: Objects
    given: npt.NDArray[np.bool_]
    lon: Floats
    lat: Floats
    address: Objects
    area: Objects
    areas: Objects
    mode: Objects
    shift: Objects
    capacity: npt.NDArray[np.int64]
    attributes: Objects
    verdict: Verdict


def check_mapping(mapping: ResourceMapping, columns: list[str]) -> None:
    """Raise `TableError` unless the columns say who it is and of which kind."""
    mapping.check(columns)
    lacking = [] if mapping.external_id else ["external_id"]
    if not (mapping.kind or mapping.kind_is):
        lacking.append("kind")
    if lacking:
        raise TableError(
            f"which columns hold {' and '.join(lacking)}? There are {', '.join(columns)}; say so "
            "as external_id=COLUMN, kind=COLUMN (or kind_is=volunteer for all rows)"
        )


def parse(
    batch: Batch, mapping: ResourceMapping, known: Known, *, datum: str | None = None,
    seen: Seen | None = None,
) -> Parsed:  # fmt: skip
    """Type and check the rows of a batch; whether they have a home is looked at later.

    Parameters
    ----------
    known : what they may name
    datum : of rows where neither they, nor the mapping, nor the file states one
    seen : the ids of the batches before

    Raises
    ------
    TableError
        The batch has not the columns that are mapped.
    """
    check_mapping(mapping, batch.columns)
    columns = Columns(batch, mapping)
    verdict = Verdict(columns.size)
    reject_nul(columns.content, verdict)
    x, y = places(columns, verdict)
    named = datums_of(columns, mapping.datum_is or batch.crs or datum, verdict)
    lon, lat = normalise(x, y, named, None, verdict)
    ids = ids_of(columns, verdict)
    parsed = Parsed(
        row_number=batch.row_number,
        external_id=_objects(ids),
        name=_names(columns, ids, verdict),
        kind=_kinds(columns, mapping, known.kinds, verdict),
        organisation=_named(columns, "organisation", known.organisations, verdict),
        skills=_lists(columns, "skills", verdict, known.skills),
        given=~np.isnan(x),
        lon=lon,
        lat=lat,
        address=_objects(columns.trimmed("address")),
        area=_objects(columns.trimmed("area")),
        areas=_lists(columns, "areas", verdict),
        mode=_named(columns, "mode", MODE_WORDS, verdict, "foot"),
        shift=_named(columns, "shift", known.shifts, verdict),
        capacity=_capacities(columns, verdict),
        attributes=_objects(attributes_of(columns.unmapped(), columns.size)),
        verdict=verdict,
    )
    reject_repeated(ids, batch.row_number, columns, verdict, Seen() if seen is None else seen)
    return parsed


def _objects(column: pa.Array) -> Objects:
    return np.asarray(column.to_numpy(zero_copy_only=False), object)


def _names(columns: Columns, ids: pa.Array, verdict: Verdict) -> Objects:
    """What it is called; where no column says so, its number."""
    if not columns.mapped("name"):
        return _objects(ids)
    names = _objects(columns.trimmed("name"))
    verdict.reject((i, "name is empty") for i, name in enumerate(names) if name is None)
    return names


def _kinds(columns: Columns, mapping: ResourceMapping, words: Words, verdict: Verdict) -> Objects:
    usual = mapping.kind_is and words.find(mapping.kind_is)
    if mapping.kind_is and not usual:
        raise TableError(words.fault(mapping.kind_is))
    kinds = _named(columns, "kind", words, verdict, usual)
    verdict.reject((i, "kind is empty") for i, kind in enumerate(kinds) if kind is None)
    return kinds


def _named(
    columns: Columns, what: str, words: Words, verdict: Verdict, usual: str | None = None
) -> Objects:
    """The names of what is spelt in a column; the usual one where it is empty."""
    return _each(columns, what, words.find, words.fault, verdict, usual)


def _lists(columns: Columns, what: str, verdict: Verdict, words: Words | None = None) -> Objects:
    """What each cell lists, in order and once: names of `words`, or the items as they stand."""
    unknown: dict[str, str] = {}

    def read(cell: str) -> tuple[str, ...] | None:
        names: list[str] = []
        for part in _parts(cell):
            name = words.find(part) if words else part
            if words and name is None:
                unknown[cell] = words.fault(part)
                return None
            names.append(str(name))
        return tuple(sorted(set(names)))

    return _each(columns, what, read, unknown.__getitem__, verdict, ())


def _parts(cell: str) -> list[str]:
    """The items of a list as people write it, or as JSON does."""
    if cell.startswith("["):
        try:
            return [str(item).strip() for item in json.loads(cell)]
        except ValueError:
            pass  # then it is a word that nobody knows
    return [part.strip() for part in _APART.split(cell) if part.strip()]


def _each(
    columns: Columns, what: str, read: Callable[[str], Any], fault: Callable[[str], str],
    verdict: Verdict, usual: Any,
) -> Objects:  # fmt: skip
    """A column read word by word, each different one once; null cells have the usual value."""
    lone = np.empty(1, object)
    lone[0] = usual
    if not columns.mapped(what):
        return np.repeat(lone, columns.size)
    coded = columns.trimmed(what).dictionary_encode()
    which = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    values = np.append(np.empty(len(coded.dictionary), object), lone)  # the last: of null
    for code, cell in enumerate(coded.dictionary.to_pylist()):
        values[code] = read(cell)
        if values[code] is None:
            verdict.reject((row, fault(cell)) for row in np.flatnonzero(which == code))
    return np.asarray(values[which], object)


def _capacities(columns: Columns, verdict: Verdict) -> npt.NDArray[np.int64]:
    values = numbers(columns.raw("capacity"), "capacity", verdict)
    values[np.isnan(values)] = 1
    bad = (values != np.floor(values)) | (values < 1) | (values > MOST_CAPACITY)
    verdict.reject(
        (i, f"capacity {values[i]:g} is no number of tasks from 1 to {MOST_CAPACITY:,}")
        for i in np.flatnonzero(bad)
    )
    return np.where(bad, 1, values).astype(np.int64)
