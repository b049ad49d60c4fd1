"""The file of the rows of a file that were not accepted."""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from data.table_batch import Batch
from data.text_stream import TableError

REJECT_COLUMNS = ["row", "reason"]  # what a file of rejects has more than the file they are from
MOST_REASONS = 1000  # different ones that a summary counts; the file of rejects has them all


def tally(reasons: dict[str, int], more: Iterable[str]) -> None:
    """Count why rows were rejected, so far as people can take it in."""
    for reason in more:
        if reason in reasons or len(reasons) < MOST_REASONS:
            reasons[reason] = reasons.get(reason, 0) + 1


def place_of_rejects(path: Path, asked: Path | None = None) -> Path:
    """Where the rejects of a file go: as asked, or else beside the work under its name.

    Those of rejects that were mended do not go over them.

    Raises
    ------
    TableError
        They were asked for in the very file that is read.
    """
    if asked is not None:
        if asked.exists() and asked.samefile(path):
            raise TableError(f"{path} cannot take its own rejects; name another file for them")
        return asked
    name = path.name.split(".")[0]
    names = (f"{name}.rejects{'' if n == 1 else n}.csv" for n in count(1))
    return next(Path(n) for n in names if not (Path(n).exists() and Path(n).samefile(path)))


class RejectsFile:
    """The rows that were not accepted, as a file that can be mended and read in again.

    CSV in UTF-8 with a byte order mark, so that Excel opens it: the columns of the file, then
    `row` and `reason`, which are ignored when it comes back. A row that could not be split stands
    whole in the first column. Without rejects there is no file.
    """

    def __init__(self, path: Path | str) -> None:
        self.path, self.count = Path(path), 0
        self._file: IO[str] | None = None
        self._columns: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file:
            with self._told() if error is None else suppress(OSError):
                self._file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(
                f"the rejects cannot be written to {self.path}: {error.strerror or error}; nothing "
                "was taken in. Make space, or name another place for them."
            ) from error

    def add(self, batch: Batch, verdict: pa.Array) -> int:
        """Write the rows of a batch whose verdict is not empty, and its ragged ones; how many."""
        bad = pc.not_equal(verdict, "")
        table = batch.table.filter(bad)
        names = [
            name
            for name in batch.columns
            if name not in REJECT_COLUMNS or batch.columns[-2:] != REJECT_COLUMNS
        ]
        columns = [table[name].to_pylist() for name in names]
        columns += [batch.row_number[bad.to_numpy(zero_copy_only=False)].tolist()]
        columns += [verdict.filter(bad).to_pylist()]
        rows = [
            dict(zip([*names, *REJECT_COLUMNS], row, strict=True))
            for row in zip(*columns, strict=True)
        ]
        for row, text, reason in batch.ragged:
            rows.append({names[0] if names else "content": text, "row": row, "reason": reason})
        if rows:
            rows.sort(key=lambda row: row["row"])
            with self._told():
                self._write(names or ["content"], rows)
        self.count += len(rows)
        return len(rows)

    def _write(self, names: list[str], rows: list[dict[str, Any]]) -> None:
        if new := [name for name in names if name not in self._columns]:
            self._widen([*self._columns, *new])
        assert self._file
        csv.DictWriter(
            self._file, [*self._columns, *REJECT_COLUMNS], lineterminator="\r\n"
        ).writerows(rows)
        self._file.flush()

    def _widen(self, columns: list[str]) -> None:
        """Begin the file, or begin it anew because objects came with members not seen before."""
        old: list[dict[str, Any]] = []
        if self._file:
            self._file.close()
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                old = list(csv.DictReader(file))
        self._columns = columns
        self._file = self.path.open("w", encoding="utf-8-sig", newline="")
        writer = csv.DictWriter(self._file, [*columns, *REJECT_COLUMNS], lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(old)
