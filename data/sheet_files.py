"""Workbooks (Excel, OpenDocument) as batches of text columns."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from data.table_batch import Batch, Ragged, checked_header
from data.text_stream import TableError


def read_sheet(path: Path, sheet: str | None, batch_rows: int) -> Iterator[Batch]:
    """Batches of one sheet; the header is its first row with anything in it."""
    try:
        with CalamineWorkbook.from_path(path) as book:
            yield from _sheet_batches(path, _sheet(path, book, sheet), batch_rows)
    except CalamineError as error:
        raise TableError(
            f"{path} cannot be read as a workbook ({error}); if it opens in Excel, save it anew as "
            ".xlsx, else fetch it again"
        ) from error


def _sheet(path: Path, book: CalamineWorkbook, name: str | None) -> CalamineSheet:
    if name is None:
        shown = [s.name for s in book.sheets_metadata if s.visible == SheetVisibleEnum.Visible]
        name = (shown or book.sheet_names)[0]
    if name not in book.sheet_names:
        raise TableError(f"{path} has no sheet {name!r}; it has {', '.join(book.sheet_names)}")
    return book.get_sheet_by_name(name)


def _sheet_batches(path: Path, sheet: CalamineSheet, batch_rows: int) -> Iterator[Batch]:
    rows = ((i, cells) for i, cells in enumerate(sheet.iter_rows(), start=1) if any(_filled(cells)))
    number, cells = next(rows, (0, []))
    if not number:
        raise TableError(f"{path}: the sheet {sheet.name!r} is empty")
    start = next(_filled_at(cells))  # a table need not begin in column A
    names = checked_header([cell_text(cell) or "" for cell in cells[start:]], path, number)
    span = slice(start, start + len(names))
    kept: list[list[str | None]] = []
    numbers: list[int] = []
    ragged: list[Ragged] = []
    any_yet = False
    for number, cells in rows:
        if beyond := [c for c in cells[: span.start] + cells[span.stop :] if c != ""]:
            text = "\t".join(cell_text(cell) or "" for cell in cells)
            reason = f"there is a cell {cell_text(beyond[0])!r} outside the columns of the header"
            ragged.append(Ragged(number, text, reason))
            continue
        kept.append([cell_text(cell) for cell in cells[span]])
        numbers.append(number)
        if len(kept) == batch_rows:
            yield _sheet_batch(names, kept, numbers, ragged)
            kept, numbers, ragged, any_yet = [], [], [], True
    if kept or ragged or not any_yet:
        yield _sheet_batch(names, kept, numbers, ragged)


def _sheet_batch(
    names: list[str], rows: list[list[str | None]], numbers: list[int], ragged: list[Ragged]
) -> Batch:
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    table = pa.table([pa.array(column, pa.string()) for column in columns], names=names)
    return Batch(table, np.array(numbers, np.int64), ragged)


def _filled(cells: list[object]) -> Iterator[bool]:
    return (cell != "" and not (isinstance(cell, str) and cell.isspace()) for cell in cells)


def _filled_at(cells: list[object]) -> Iterator[int]:
    return (i for i, filled in enumerate(_filled(cells)) if filled)


def cell_text(cell: object) -> str | None:
    """A cell of a workbook as text: 5.0 is ``5``, as the screen shows it, a date is ISO 8601."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, dt.datetime):
        return cell.isoformat(sep=" ")
    return str(cell)
