"""Tables in files as batches of text columns: CSV, Excel, JSON Lines, GeoJSON, GeoParquet.

Nothing is interpreted here: every cell comes out as text, or null if it is empty, with the number
of its row in the file. What a column means is decided in `data.report_rows` and
`data.resource_rows`.
"""

from collections.abc import Iterator
from pathlib import Path

from data.csv_files import read_csv
from data.object_files import read_geojson, read_lines, read_parquet
from data.sheet_files import read_sheet
from data.table_batch import Batch, Ragged
from data.text_stream import TableError, check_file

__all__ = ["Batch", "Ragged", "TableError", "read"]


def read(
    path: Path | str,
    *,
    encoding: str | None = None,
    sheet: str | None = None,
    batch_rows: int = 200_000,
) -> Iterator[Batch]:
    """Read a table from a file in batches, in memory bounded by the batch.

    Parameters
    ----------
    path : Path or str
        ``.csv``, ``.tsv``, ``.txt`` (the delimiter is told from the first rows), ``.jsonl``,
        ``.ndjson``, ``.geojsonl``, ``.geojson``, ``.json``, each also packed as ``….gz``;
        ``.xlsx``, ``.xlsm``, ``.xlsb``, ``.xls``, ``.ods``; ``.parquet``, ``.geoparquet``.
        Points of GeoJSON and GeoParquet become the columns ``lon`` and ``lat``.
    encoding : str, optional
        The encoding of a text file; by default it is told from the text.
    sheet : str, optional
        The sheet of a workbook; by default the first visible one.
    batch_rows : int
        The most rows in a batch.

    Yields
    ------
    Batch
        At least one, empty if the file has a header and no rows.

    Raises
    ------
    TableError
        The file is missing, empty, damaged or cut off, of no known kind, or without a usable
        header. As this may show only at the end, the caller undoes what it did with the batches.

    Examples
    --------
    >>> for batch in read("reports.csv.gz"):  # doctest: +SKIP
    ...     print(batch.row_number[0], batch.columns, len(batch.ragged))
    """
    path = Path(path)
    check_file(path)
    suffixes = [s.lower() for s in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and suffixes[1:] else "".join(suffixes[-1:])
    if kind in {".csv", ".tsv", ".txt", ".tab"}:
        yield from read_csv(path, encoding, batch_rows)
    elif kind in {".jsonl", ".ndjson", ".geojsonl", ".geojsons"}:
        yield from read_lines(path, encoding, batch_rows)
    elif kind in {".geojson", ".json"}:
        yield from read_geojson(path, encoding, batch_rows)
    elif kind in {".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"} and suffixes[-1] != ".gz":
        yield from read_sheet(path, sheet, batch_rows)
    elif kind in {".parquet", ".geoparquet", ".pq"} and suffixes[-1] != ".gz":
        yield from read_parquet(path, batch_rows)
    else:
        raise TableError(
            f"{path}: files named {''.join(suffixes[-2:]) or 'without a suffix'} are not known; "
            "give .csv, .tsv, .jsonl, .geojson (each also .gz), .xlsx or .parquet"
        )
