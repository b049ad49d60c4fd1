"""How a file of reports is to be taken in, and what became of its rows."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from data.agreement import Agreement

if TYPE_CHECKING:
    from data.intake_stage import Mover


class IntakeError(ValueError):
    """A file that was not taken in; the sentence says why, and nothing was changed."""


@dataclass(frozen=True)
class Options:
    """How a file is to be read; every field decides the outcome."""

    source: str
    layer: str = "grid"
    mapping: tuple[str, ...] = ()  # flags field=column
    mapping_file: str | None = None
    datum: str | None = None
    timezone: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    since: datetime | None = None  # of what occurred; rows outside are left out
    until: datetime | None = None
    all_or_nothing: bool = False
    memory: bool = True
    check: str | None = None  # column with a published code
    confirm: str | None = None  # column with the code that a person settled on


@dataclass
class Summary:
    """What became of every row: added + known + rejected + left out = rows."""

    rows: int = 0
    added: int = 0
    known: int = 0  # there before
    updated: int = 0  # of these, brought up to date
    withdrawn: int = 0  # that the file lacks
    rejected: int = 0
    left_out: int = 0
    placed: int = 0  # of the rows that are neither rejected nor left out
    triaged: int = 0
    ambiguous: int = 0
    confirmed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    agreement: Agreement | None = None
    rejects: Path | None = None  # where the rejected rows are, if there are any

    def settle(self, mover: "Mover") -> None:
        """Take over what became of the rows in the database."""
        self.added, self.known = mover.added, mover.staged - mover.added
        self.placed, self.triaged = mover.placed, mover.staged - mover.placed
        self.ambiguous, self.updated = mover.ambiguous, mover.updated

    def counts(self) -> dict[str, int]:
        """The figures, to be kept."""
        return {name: value for name, value in vars(self).items() if isinstance(value, int)}

    def lines(self) -> list[tuple[str, int]]:
        """What became of the rows, for people."""
        later = [("brought up to date", self.updated), ("withdrawn", self.withdrawn)]
        return [
            ("rows", self.rows), ("added", self.added), ("there before", self.known),
            ("rejected", self.rejected), ("left out by date", self.left_out),
            ("placed", self.placed), ("in triage", self.triaged),
            ("ambiguous", self.ambiguous), ("confirmed", self.confirmed),
            *(each for each in later if each[1]),
        ]  # fmt: skip
