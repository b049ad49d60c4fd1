"""How well a placement agrees with codes that somebody else published for the same reports."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.bulk_placement import Placed

Objects = npt.NDArray[np.object_]


@dataclass
class Agreement:
    """Counts over located reports with a published code; the shares are of `located`."""

    rows: int = 0
    located: int = 0
    placed: int = 0
    ambiguous: int = 0
    first: int = 0
    among: int = 0
    alternatives: int = 0
    unknown: int = 0  # published codes that the layer does not have

    def add(
        self, placed: Placed, located: npt.NDArray[np.bool_], published: Objects, codes: set[str]
    ) -> None:
        """Count a batch. A code that lost its leading zeros is padded to the layer's length."""
        width = {len(code) for code in codes}
        if len(width) == 1:
            size = width.pop()
            published = np.array(["" if c is None else c.zfill(size) for c in published], object)
        else:
            published = np.array(["" if c is None else c for c in published], object)
        asked = located & (published != "")
        self.rows += len(published)
        self.located += int(asked.sum())
        self.placed += int((asked & (placed.area_id >= 0)).sum())
        self.ambiguous += int((asked & placed.ambiguous).sum())
        self.unknown += sum(c not in codes for c in published[asked])
        first = asked & (placed.code == published)
        self.first += int(first.sum())
        self.alternatives += int((asked & (placed.area_id >= 0) & ~placed.ambiguous).sum())
        self.among += int((first & ~placed.ambiguous).sum())
        for row, listed in zip(placed.ambiguous_rows, placed.listed, strict=True):
            if asked[row]:
                self.alternatives += len(listed)
                self.among += published[row] in listed

    def lines(self) -> list[tuple[str, str]]:
        """The figures for people: what, how much."""
        whole = max(self.located, 1)
        return [
            ("located reports with a published code", f"{self.located:,}"),
            ("placed", f"{self.placed / whole:.4f}"),
            ("first choice agrees", f"{self.first / whole:.4f}"),
            ("published code among the alternatives", f"{self.among / whole:.4f}"),
            ("alternatives a report, the first included", f"{self.alternatives / whole:.3f}"),
            ("ambiguous", f"{self.ambiguous / whole:.4f}"),
            ("published codes that the layer does not have", f"{self.unknown:,}"),
        ]
