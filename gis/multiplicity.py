"""Many tests at once: how many of the warnings are false.

With ten thousand series each held to a level of 0.005, fifty warn in a week in which nothing is
going on. Benjamini & Hochberg, "Controlling the false discovery rate", *Journal of the Royal
Statistical Society B* 57 (1995), 289-300, bound the expected share of false ones among the warnings
instead, whatever their number; it also holds for p-values of counts, which are too high rather than
too low, and for series that rise and fall together (Benjamini & Yekutieli 2001, theorem 1.2).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FalseWarnings:
    """What to expect of warnings at a rate of false discoveries.

    Attributes
    ----------
    tests, rate : int, float
        Series watched, and the rate q that warnings are held to.
    in_quiet_weeks : float
        Mean number of false warnings of a week in which nothing at all is going on.
    chance_in_quiet_weeks : float
        That such a week has any.
    of_warnings : float
        Of the warnings of this week at most so many are false, in the long run.
    without_correction : float
        False warnings of a quiet week if each series were held to the level `rate` alone.
    """

    tests: int
    rate: float
    in_quiet_weeks: float
    chance_in_quiet_weeks: float
    of_warnings: float
    without_correction: float

    def __str__(self) -> str:
        return (
            f"Of {self.tests} series watched, a week in which nothing is going on has "
            f"{self.in_quiet_weeks:.2g} false warnings on average and any in "
            f"{self.chance_in_quiet_weeks:.0%} of weeks; of this week's warnings at most "
            f"{self.of_warnings:.2g} are expected to be false."
        )


def false_warnings(tests: int, rate: float, warnings: int = 0) -> FalseWarnings:
    """The expected numbers of false warnings per week, if those of q ≤ `rate` are given.

    The number in quiet weeks is exact for independent series with continuous p-values (Dempster
    1959; Finner & Roters, *Annals of Statistics* 30, 2002, 220-238) and too high for counts.

    Raises
    ------
    ValueError
        No tests, a rate that is none, or more warnings than tests.

    Examples
    --------
    >>> print(false_warnings(14_800, 0.05, warnings=20))
    Of 14800 series watched, a week in which nothing is going on has 0.055 false warnings on \
average and any in 5% of weeks; of this week's warnings at most 1 are expected to be false.
    """
    if tests < 1 or not 0 < rate < 1 or not 0 <= warnings <= tests:
        raise ValueError("give at least one test, a rate between 0 and 1, and no more warnings")
    # The chance of j rejections is that of j points of n under the line from 0 to `rate`.
    j = np.arange(1, tests)
    logs = (
        special.gammaln(tests + 1) - special.gammaln(j + 1) - special.gammaln(tests - j + 1)
        + j * np.log(j * rate / tests) + (tests - j - 1) * np.log1p(-j * rate / tests)
    )  # fmt: skip
    quiet = float((j * np.exp(logs)).sum() * (1 - rate) + tests * rate**tests)
    return FalseWarnings(tests, rate, quiet, rate, rate * warnings, rate * tests)
