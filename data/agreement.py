"""How well a placement agrees with codes that somebody else published for the same reports."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data.bulk_placement import Placed

Objects = npt.NDArray[np.object_]


def spelt(published: Objects, codes: set[str]) -> Objects:
    """Codes as the layer spells them; '' for none.

    A spreadsheet takes the leading zeros off a code. One that the layer does not have is tried with
    zeros before it, up to the length of its longest code.
    """
    longest = max(map(len, codes), default=0)

    def known(code: str) -> str:
        padded = (code.zfill(size) for size in range(len(code), longest + 1))
        return next((each for each in padded if each in codes), code)

    names = {code: known(code) for code in set(published) - {None, ""}}
    return np.array([names.get(code, "") for code in published], object)


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
        """Count a batch; codes as `spelt` finds them."""
        published = spelt(published, codes)
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
        of_asked = asked[placed.listed_row]
        self.alternatives += int(of_asked.sum())
        self.among += int((of_asked & (placed.listed == published[placed.listed_row])).sum())

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
