"""CSV and TSV files as batches of text columns, at the speed of Arrow."""

import csv
from collections.abc import Iterator
from itertools import chain, takewhile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from data.table_batch import Batch, Ragged, checked_header
from data.text_stream import PIECE, TableError, utf8_pieces

_DELIMITERS = ",\t;|"
_END = "\x03"  # a row of these is put after the last; if it does not come out, a quote is open


def read_csv(path: Path, encoding: str | None, batch_rows: int) -> Iterator[Batch]:
    """Batches of a CSV or TSV file; the delimiter is told from its first rows."""
    pieces = utf8_pieces(path, encoding)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= 1 << 16:
            break
    layout = _layout(path, head)
    yield from _CsvRows(path, layout, head[layout.body :], pieces).batches(batch_rows)


class _Feed:
    """The bytes after the header, as a file that Arrow reads, with the row `_END` after them."""

    closed = False  # as `pyarrow.PythonFile` asks

    def __init__(self, head: bytes, rest: Iterator[bytes], end: bytes) -> None:
        self._pieces = chain([head], rest)
        self._buffer, self._last = bytearray(), b""
        self.end, self.cut = end, False  # cut: the last line has no line break
        self._open = True

    def read(self, size: int) -> bytes:
        while self._open and len(self._buffer) < size:
            piece = next(self._pieces, None)
            if piece is None:
                self._open, self.cut = False, self._last not in (b"\n", b"\r", b"")
                piece = (b"\n" if self.cut else b"") + self.end + b"\n"
            self._last = piece[-1:] or self._last
            self._buffer += piece
        out = bytes(self._buffer[:size])
        del self._buffer[:size]
        return out


class _Layout(NamedTuple):
    """How a CSV file is laid out, told from its beginning."""

    names: list[str]
    delimiter: str
    header_row: int
    body: int  # offset of the first data row in the beginning


def _layout(path: Path, head: bytes) -> _Layout:
    # The beginning may end inside a character; whether the text is whole is told at its end.
    lines = [line.decode(errors="replace") for line in head[:PIECE].splitlines(keepends=True)]
    skip = next((i for i, line in enumerate(lines) if line.strip()), None)
    if skip is None:
        raise TableError(f"{path} is empty: it has nothing but blank lines")
    stated = lines[skip].strip().lower()
    delimiter = None
    if stated.startswith("sep=") and len(stated) == 5:  # Excel's own remark, no row of the table
        delimiter, skip = stated[4], skip + 1
    if delimiter is None:
        delimiter = "\t" if ".tsv" in path.suffixes else _sniff(lines[skip : skip + 200])
    reader = csv.reader(lines[skip:], delimiter=delimiter)
    try:
        cells = next(reader, [])
    except csv.Error as error:
        raise TableError(f"{path}, row {skip + 1}: the header cannot be read: {error}") from error
    names = checked_header(cells, path, skip + 1)
    body = sum(len(line.encode()) for line in lines[: skip + reader.line_num])
    # Unnamed columns at the end are kept if they are empty, and make a row ragged if not.
    return _Layout(names + [""] * (len(cells) - len(names)), delimiter, skip + 1, body)


def _sniff(lines: list[str]) -> str:
    """The delimiter that splits the most of the first rows into as many cells as the header."""

    def score(delimiter: str) -> tuple[float, int]:
        try:
            widths = [len(row) for row in csv.reader(lines[:-1] or lines, delimiter=delimiter)]
        except csv.Error:
            return 0.0, 0
        width = widths[0] if widths else 0
        even = sum(w == width for w in widths) / max(len(widths), 1)
        return (even if width > 1 else 0.0), width

    return max(_DELIMITERS, key=score)


class _CsvRows:
    """Puts Arrow's blocks together to batches and keeps count of the rows."""

    def __init__(self, path: Path, layout: _Layout, head: bytes, rest: Iterator[bytes]) -> None:
        self.path, self.layout = path, layout
        end = layout.delimiter.join([_END] * len(layout.names))
        self.feed = _Feed(head, rest, end.encode())
        self.keys = [f"c{i}" for i in range(len(layout.names))]
        self.named = [i for i, name in enumerate(layout.names) if name]
        self.ragged: list[Ragged] = []  # found, and not yet handed on
        self.passed = 0  # how many of them lie before `self.next`
        self.next = layout.header_row + 1
        self.ended = False

    def batches(self, size: int) -> Iterator[Batch]:
        table = pa.schema([(key, pa.string()) for key in self.keys]).empty_table()
        numbers, any_yet = np.empty(0, np.int64), False
        for block in self._blocks():
            table = pa.concat_tables([table, pa.Table.from_batches([block])])
            numbers = np.concatenate([numbers, self._numbers(block.num_rows)])
            while len(table) >= size:
                yield self._batch(table.slice(0, size), numbers[:size], upto=numbers[size - 1])
                table, numbers, any_yet = table.slice(size), numbers[size:], True
        self._check_end()
        if len(table) or self.ragged or not any_yet:
            yield self._batch(table, numbers, upto=np.inf)

    def _blocks(self) -> Iterator[pa.RecordBatch]:
        try:
            reader = pacsv.open_csv(
                pa.PythonFile(self.feed, mode="r"),
                read_options=pacsv.ReadOptions(
                    use_threads=False,  # or else Arrow does not number the ragged rows
                    block_size=PIECE,
                    column_names=self.keys,
                ),
                parse_options=pacsv.ParseOptions(
                    delimiter=self.layout.delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=self._on_ragged,
                ),
                convert_options=pacsv.ConvertOptions(
                    check_utf8=False,  # `utf8_pieces` has
                    column_types=dict.fromkeys(self.keys, pa.string()),
                    strings_can_be_null=True,
                    null_values=[""],
                ),
            )
            for block in reader:
                if block.num_rows and block.column(0)[-1].as_py() == _END:
                    self.ended, block = True, block.slice(0, block.num_rows - 1)
                yield block
        except pa.ArrowInvalid as error:
            if "straddl" not in str(error):
                raise TableError(f"{self.path}, after row {self.next - 1:,}: {error}") from error
            raise TableError(self._open_quote(self.next)) from None

    def _on_ragged(self, row: pacsv.InvalidRow) -> str:
        number = row.number + self.layout.header_row
        few = "few" if row.actual_columns < row.expected_columns else "many"
        reason = f"the row has too {few} cells: {row.actual_columns}, not {row.expected_columns}"
        self.ragged.append(Ragged(number, row.text, reason))
        return "skip"

    def _numbers(self, rows: int) -> npt.NDArray[np.int64]:
        """The numbers of the next rows: those from `self.next` on that are not ragged."""
        first = last = self.passed
        while last < len(self.ragged) and self.ragged[last].row < self.next + rows + last - first:
            last += 1
        stop = self.next + rows + last - first
        numbers = np.arange(self.next, stop)
        if last > first:
            numbers = np.delete(numbers, [r.row - self.next for r in self.ragged[first:last]])
        self.passed, self.next = last, stop
        return numbers

    def _batch(self, table: pa.Table, numbers: npt.NDArray[np.int64], upto: float) -> Batch:
        """Without blank rows, and with those moved to the ragged ones that fill unnamed columns."""
        ragged = list(takewhile(lambda r: r.row < upto, self.ragged))
        del self.ragged[: len(ragged)]
        self.passed = max(self.passed - len(ragged), 0)
        keep = ~np.logical_and.reduce([_is_null(column) for column in table.columns])
        for i in set(range(table.num_columns)) - set(self.named):
            for at in np.flatnonzero(keep & ~_is_null(table.column(i))):
                cells = [column[int(at)].as_py() or "" for column in table.columns]
                reason = f"there is a cell {cells[i]!r} in column {i + 1}, which has no name"
                ragged.append(Ragged(int(numbers[at]), self.layout.delimiter.join(cells), reason))
                keep[at] = False
        if not keep.all():
            table, numbers = table.filter(pa.array(keep)), numbers[keep]
        table = table.select(self.named).rename_columns([self.layout.names[i] for i in self.named])
        return Batch(table.combine_chunks(), numbers, sorted(ragged))

    def _check_end(self) -> None:
        if not self.ended:
            raise TableError(self._open_quote(self.next - (self.next > 2)))
        if self.feed.cut and self.ragged and self.ragged[-1].row >= self.next:
            row, text, _ = self.ragged[-1]
            raise TableError(
                f"{self.path} is cut off in row {row:,}, which ends without a line break after "
                f"{text[-40:]!r} and has too few or too many cells; fetch the file again, or mend "
                "that row"
            )

    def _open_quote(self, row: int) -> str:
        return (
            f"{self.path}: a quote that opens at or after row {row:,} is never closed; the file "
            "is cut off there, or a quotation mark is missing"
        )


def _is_null(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.is_null(column).combine_chunks().to_numpy(zero_copy_only=False), bool)
