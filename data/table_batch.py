"""What a table in a file is read into: batches of text columns, and the rows that do not fit."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.text_stream import TableError


class Ragged(NamedTuple):
    """A row that could not be split into the columns."""

    row: int
    text: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """Consecutive rows of a file.

    Attributes
    ----------
    table : pyarrow.Table
        A column of type string for each column of the file, in one chunk; null where empty.
    row_number : ndarray of int64
        For each row of the table its number in the file, as a spreadsheet shows it: blank rows
        count, the header is row 1 and the first data row 2, quoted line breaks do not count. In
        JSON Lines it is the line, in GeoJSON and Parquet the number of the feature, from 1.
    ragged : list of Ragged
        The rows between these that could not be split. ``len(table) + len(ragged)`` summed over
        the batches is the number of rows in the file that are not blank.
    crs : str or None
        The coordinate system that the file itself states, as ``EPSG:4490``.
    """

    table: pa.Table
    row_number: npt.NDArray[np.int64]
    ragged: list[Ragged] = field(default_factory=list)
    crs: str | None = None

    @property
    def columns(self) -> list[str]:
        """The names of the columns in the file's order."""
        return list(self.table.column_names)


def checked_header(cells: list[str], path: Path, row: int) -> list[str]:
    """The names of the columns, trimmed; empty ones at the end are dropped.

    Raises
    ------
    TableError
        The row is data and not a header, or names are missing or appear twice.
    """
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise TableError(f"{path} has no header: row {row} is empty; name the columns there")
    data = next((name for name in names if _is_data(name)), None)
    if data is not None:
        raise TableError(
            f"{path} has no header: row {row} holds {data!r}, which is data; put a row with the "
            "columns' names before it"
        )
    if "" in names:
        raise TableError(
            f"{path}, row {row}: column {names.index('') + 1} has no name; the header names "
            f"{', '.join(filter(None, names))}"
        )
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        where = ", ".join(f"{name!r} (columns {_places(name, names)})" for name in twice)
        raise TableError(f"{path}, row {row}: the header has names twice: {where}; rename one")
    return names


def _is_data(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return name[:4].isdigit() and any(c in name[4:5] for c in "-/年" if name[4:5])
    return name.lower() not in {"nan", "inf", "infinity"}


def _places(name: str, names: list[str]) -> str:
    return " and ".join(str(i) for i, other in enumerate(names, start=1) if other == name)
