"""Arrow tables in the binary format of PostgreSQL's COPY: no number or time is written as text.

Every field is its length (four bytes, big-endian; -1 for null) and its bytes. The columns are made
into such fields as arrays, and Arrow joins them row by row.
"""

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_BYTES = pa.large_binary()  # a batch of long texts has more bytes than 32 bits can count
_NULL = pa.scalar(b"\xff\xff\xff\xff", _BYTES)
_NOTHING = pa.scalar(b"", _BYTES)
_EPOCH_US = 946_684_800_000_000  # PostgreSQL counts from 2000


def encode(table: pa.Table, json: Collection[str] = ()) -> Iterator[bytes | memoryview]:
    """A table as the pieces of a binary COPY, for columns of the same types in the database.

    Parameters
    ----------
    table : columns of type string, binary, bool, int32, int64, double or timestamp[us]
    json : the columns of text that go into columns of type jsonb
    """
    fields: list[pa.Array | pa.Scalar] = [pa.scalar(table.num_columns.to_bytes(2, "big"), _BYTES)]
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.combine_chunks()
        if name in json:  # by a byte for the version of the format
            values = pc.binary_join_element_wise("\x01", values, "")
        fields += _fields(values)
    yield _HEADER
    if len(table):
        _, offsets, rows = pc.binary_join_element_wise(*fields, _NOTHING).buffers()
        yield memoryview(rows)[: int(np.frombuffer(offsets, np.int64)[len(table)])]
    yield _TRAILER


def _fields(values: pa.Array) -> list[pa.Array | pa.Scalar]:
    """What stands for a column in each row: one part, or the length and the text."""
    if values.null_count == len(values):
        return [_NULL]
    if pa.types.is_string(values.type) or pa.types.is_binary(values.type):
        length = _numbers(pc.binary_length(values), missing=-1)
        return [_packed(length.astype(">i4")), values.cast(_BYTES).fill_null(b"")]
    if pa.types.is_timestamp(values.type):
        plain = (_numbers(values.cast(pa.int64())) - _EPOCH_US).astype(">i8")
    elif pa.types.is_boolean(values.type):
        plain = _numbers(values, missing=False).astype("u1")
    elif pa.types.is_int64(values.type):
        plain = _numbers(values).astype(">i8")
    elif pa.types.is_int32(values.type):
        plain = _numbers(values).astype(">i4")
    elif pa.types.is_float64(values.type):
        plain = _numbers(values).astype(">f8")
    else:
        raise TypeError(f"no binary COPY is made of {values.type}")
    field = np.empty(len(plain), [("length", ">i4"), ("value", plain.dtype)])
    field["length"], field["value"] = plain.itemsize, plain
    packed = _packed(field)
    return [pc.if_else(values.is_valid(), packed, _NULL) if values.null_count else packed]


def _numbers(values: pa.Array, missing: int = 0) -> npt.NDArray[np.generic]:
    return np.asarray(values.fill_null(missing).to_numpy(zero_copy_only=False))


def _packed(values: npt.NDArray[np.generic]) -> pa.Array:
    """The bytes of each element."""
    offsets = np.arange(len(values) + 1, dtype=np.int64) * values.itemsize
    return pa.Array.from_buffers(
        _BYTES, len(values), [None, pa.py_buffer(offsets), pa.py_buffer(values)]
    )
