"""What the rows of a file become: all in which reports and records differ on their way in."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from data.bulk_placement import Placed
from data.intake_options import Options, Summary
from data.report_times import DateOrder
from data.table_batch import Batch
from data.table_mapping import TableMapping
from data.table_parsed import ParsedRows
from data.table_rows import Seen

Objects = npt.NDArray[np.object_]

# What is staged of every row, whatever it becomes; the targets add their own columns.
PLACED_TYPES = {
    "external_id": "text", "kind": "text", "address": "text", "x": "double precision",
    "y": "double precision", "datum": "text", "accuracy_m": "double precision",
    "lon": "double precision", "lat": "double precision", "attributes": "jsonb",
    "area_id": "bigint", "version_id": "bigint", "method": "text", "ambiguous": "boolean",
    "border_m": "double precision", "alternatives": "jsonb", "triage": "text",
}  # fmt: skip


class Target(ABC):
    """A table that rows are placed and stored in.

    Attributes
    ----------
    mapping : which columns of a file mean what
    types : the staged columns with their types
    move : inserts the staged rows of the table `{name}`; ends where ON CONFLICT may follow
    again : what follows, so that rows that were there before are no error
    """

    mapping: ClassVar[type[TableMapping]]
    types: ClassVar[dict[str, str]]
    move: ClassVar[str]
    again: ClassVar[str]

    def __init__(self, connection: Connection, options: Options) -> None:
        self.options = options

    @abstractmethod
    def parse(
        self, batch: Batch, mapping: Any, *, datum: str | None, timezone: str,
        date_order: DateOrder | None, seen: Seen,
    ) -> ParsedRows:  # fmt: skip
        """Type and check the rows of a batch."""

    @abstractmethod
    def moment(self, table: pa.Table) -> pa.ChunkedArray | None:
        """When each row's borders count (null: now); None: now for all of them."""

    @abstractmethod
    def occurred(self, parsed: ParsedRows) -> pa.Array:
        """The instant that `since` and `until` are about."""

    @abstractmethod
    def columns(self, table: pa.Table, source: pa.Table) -> dict[str, pa.Array]:
        """The target's own staged columns, from the typed rows and those of the file."""

    def begin(self, connection: Connection) -> None:  # noqa: B027
        """What comes first in the transaction that moves rows into place."""

    def settle(self, placed: Placed, triage: Objects) -> None:  # noqa: B027
        """Have the last word on where rows lie, and on why some wait for a person."""

    def moved(self, connection: Connection, name: str, asked: Mapping[str, Any]) -> None:  # noqa: B027
        """What follows once the staged table `name` is moved, in the same transaction."""

    def finish(
        self, connection: Connection, staged: list[str], summary: Summary
    ) -> datetime | None:
        """What follows at the end, in the same transaction; the moment to wait for, if any."""
        return None
