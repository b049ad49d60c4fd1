"""Who can get where in how many seconds: travel times as a sparse table.

Of 220,000 people only the nearest few matter to an incident, so a table of travel times holds just
the pairs that are possible. Rows and columns are whatever is asked about: incidents and resources,
people and sites, people and places.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TENTH = 10  # no travel time is known better than to a tenth of a second
LONGEST_S = 1e7  # a third of a year; more is a mistake in the unit


@dataclass(frozen=True, eq=False)
class Links:
    """The possible pairs of a row and a column, ordered by row, then column.

    Made by `of`, `dense` or `by_blocks`, which check what they are given.

    Attributes
    ----------
    row, column : (e,) ndarray of int
    seconds : (e,) ndarray of float
        Travel time, finite and not negative.
    shape : (int, int)
        How many rows and columns there are, those without a pair included.
    """

    row: Ints
    column: Ints
    seconds: Floats
    shape: tuple[int, int]

    @classmethod
    def of(
        cls, row: ArrayLike, column: ArrayLike, seconds: ArrayLike, shape: tuple[int, int]
    ) -> "Links":
        """From three arrays of one length, in any order; pairs with NaN or inf are left out.

        Raises
        ------
        ValueError
            Arrays of different lengths, an index out of `shape`, a negative or endless travel
            time, or a pair that is given twice.

        Examples
        --------
        >>> links = Links.of([1, 0, 0], [0, 1, 0], [60, 90, np.nan], shape=(2, 2))
        >>> links.row.tolist(), links.column.tolist(), links.seconds.tolist()
        ([0, 1], [1, 0], [90.0, 60.0])
        """
        rows, columns = whole(row, "row"), whole(column, "column")
        times = np.asarray(seconds, dtype=float)
        if not rows.shape == columns.shape == times.shape or rows.ndim != 1:
            raise ValueError(
                "row, column and seconds must be three flat arrays of one length, not of shapes "
                f"{rows.shape}, {columns.shape} and {times.shape}."
            )
        for name, index, size in (("row", rows, shape[0]), ("column", columns, shape[1])):
            if len(index) and index.max() >= size:
                raise ValueError(f"{name} {index.max()} is not one of the {size} that there are.")
        order = np.lexsort((columns, rows))
        rows, columns, times = rows[order], columns[order], times[order]
        twice = np.flatnonzero((np.diff(rows) == 0) & (np.diff(columns) == 0))
        if len(twice):
            at = twice[0]
            raise ValueError(f"row {rows[at]} and column {columns[at]} are given twice.")
        return cls(rows, columns, times, shape)._possible()

    @classmethod
    def dense(cls, seconds: ArrayLike) -> "Links":
        """From a matrix (n, m); NaN or inf where the pair is impossible.

        Examples
        --------
        >>> Links.dense([[60, np.inf], [np.nan, 30]]).seconds.tolist()
        [60.0, 30.0]
        """
        times = np.asarray(seconds, dtype=float)
        if times.ndim != 2:
            raise ValueError(f"A matrix of travel times has 2 dimensions, not {times.ndim}.")
        row, column = np.nonzero(np.isfinite(times) | (times < 0))
        return cls(row, column, times[row, column], times.shape)._possible()

    @classmethod
    def by_blocks(
        cls,
        seconds_of: Callable[[slice], ArrayLike],
        shape: tuple[int, int],
        *,
        within_s: float = np.inf,
        rows: int = 1000,
    ) -> "Links":
        """From a function that gives the travel times of a slice of rows to all columns.

        Only what is within `within_s` is kept, so that memory holds one block of `rows` at a time.

        Examples
        --------
        >>> x = np.array([0.0, 500.0, 9000.0])
        >>> Links.by_blocks(lambda some: abs(x[some, None] - x), (3, 3), within_s=600).row.tolist()
        [0, 0, 1, 1, 2]
        """
        parts = [cls(*(np.zeros(0, np.int64),) * 2, np.zeros(0), shape)]
        for start in range(0, shape[0], rows):
            some = slice(start, min(start + rows, shape[0]))
            part = cls.dense(seconds_of(some))
            if part.shape != (some.stop - start, shape[1]):
                raise ValueError(
                    f"The travel times of rows {start} to {some.stop} to {shape[1]} columns have "
                    f"the shape {part.shape}."
                )
            near = part.where(part.seconds <= within_s)
            parts.append(cls(near.row + start, near.column, near.seconds, shape))
        row, column = (np.concatenate([getattr(p, n) for p in parts]) for n in ("row", "column"))
        return cls(row, column, np.concatenate([p.seconds for p in parts]), shape)

    def __len__(self) -> int:
        return len(self.row)

    @cached_property
    def tenths(self) -> Ints:
        """Travel times in whole tenths of a second, for exact sums."""
        return np.rint(self.seconds * TENTH).astype(np.int64)

    def where(self, keep: Bools) -> "Links":
        """Some of the pairs."""
        if keep.all():
            return self
        return Links(self.row[keep], self.column[keep], self.seconds[keep], self.shape)

    def _possible(self) -> "Links":
        bad = (self.seconds < 0) | (np.isfinite(self.seconds) & (self.seconds > LONGEST_S))
        if bad.any():
            at = np.flatnonzero(bad)[0]
            raise ValueError(
                f"{self.seconds[at]} is no travel time in seconds "
                f"(row {self.row[at]}, column {self.column[at]})."
            )
        return self.where(np.isfinite(self.seconds))


def whole(
    values: ArrayLike, name: str, shape: tuple[int, ...] | None = None, least: int = 0
) -> Ints:
    """Whole numbers of at least `least`, broadcast to a shape; a ValueError names what is not."""
    given = np.asarray(values)
    number = numbers(given if given.size else given.astype(float), name, shape)
    wrong = (number != np.rint(number)) | (number < least) | (number > 2**31)
    if wrong.any():
        raise ValueError(
            f"{name} must be whole numbers of at least {least}, not {number[wrong][0]:g}."
        )
    return number.astype(np.int64)


def numbers(values: ArrayLike, name: str, shape: tuple[int, ...] | None = None) -> Floats:
    """Numbers without NaN, broadcast to a shape; a ValueError says which are wrong."""
    try:
        number = np.asarray(values, dtype=float)
        if shape is not None:
            number = np.broadcast_to(number, shape)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be numbers{'' if shape is None else f' of shape {shape}'}, not an array "
            f"of {np.asarray(values).dtype} of shape {np.shape(values)}."
        ) from None
    if np.isnan(number).any():
        raise ValueError(f"{name} must have no NaN.")
    return number


def flags(values: ArrayLike, name: str, shape: tuple[int, ...]) -> Bools:
    """Yes and no (bool, or 0 and 1), broadcast to a shape; a ValueError says what is wrong."""
    number = numbers(values, name, shape)
    if not np.isin(number, (0, 1)).all():
        raise ValueError(f"{name} must be yes or no.")
    return number.astype(bool)
