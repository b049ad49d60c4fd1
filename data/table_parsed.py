"""The rows of a batch as typed, checked columns: what those of every kind have."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.report_times import DateOrder
from data.table_rows import Floats


@dataclass(kw_only=True)
class ParsedRows:
    """Columns of one length.

    Attributes
    ----------
    row_number : ndarray of int64
        Where each row stands in the file.
    external_id : pyarrow.Array of string
        The source's number of the row, or ``sha256:…`` of the row's content if it has none.
    x, y : ndarray of float
        The coordinates as received, in `datum`; NaN where there are none.
    lon, lat : ndarray of float
        The same in WGS 84; NaN also where nobody said which datum they are in.
    datum : pyarrow.Array of string
        The canonical name of their datum; null if nobody said which.
    accuracy_m : ndarray of float
        Radius in metres; NaN where it is not given, or given as 0.
    address : pyarrow.Array of string
        Trimmed; null where empty.
    attributes : pyarrow.Array of string
        A JSON object of all columns that are not mapped, without the empty ones.
    verdict : pyarrow.Array of string
        Empty if the row is accepted, else the sentence why it is not.
    date_order : {'mdy', 'dmy'} or None
        How dates with the year last were read; hand it on to the next batch.
    notes : list of str
        What was decided for the whole batch, for people.
    """

    row_number: npt.NDArray[np.int64]
    external_id: pa.Array
    x: Floats
    y: Floats
    lon: Floats
    lat: Floats
    datum: pa.Array
    accuracy_m: Floats
    address: pa.Array
    attributes: pa.Array
    verdict: pa.Array
    date_order: DateOrder | None = None
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.row_number)

    @property
    def accepted(self) -> npt.NDArray[np.bool_]:
        """Which rows have no fault."""
        return np.asarray(pc.equal(self.verdict, "").to_numpy(zero_copy_only=False), bool)

    def table(self) -> pa.Table:
        """The columns as a table, with null for NaN; for COPY, say."""
        names = [name for name in self.__dataclass_fields__ if name not in ("date_order", "notes")]
        return pa.table({name: pa.array(getattr(self, name), from_pandas=True) for name in names})
