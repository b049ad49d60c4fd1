"""When readings are trouble: over a limit for long enough, or missing for too long.

A condition has hysteresis: what began over `value` ends only on the good side of `clear`, so that a
reading that trembles about the limit makes one episode and not many.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

COMPARISONS: dict[str, Callable[[Floats, float], npt.NDArray[np.bool_]]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le,
}  # fmt: skip
MISSING = "missing"


@dataclass(frozen=True)
class Condition:
    """What is asked of the readings of one metric.

    Attributes
    ----------
    comparison : one of `COMPARISONS` with `value`, or `missing`
    value : the limit; not used by `missing`
    clear : what ends it, on the good side of the limit; None: the limit itself
    for_s : for how long without a break, or how long there has been no reading, seconds
    """

    metric: str
    comparison: str
    value: float | None = None
    clear: float | None = None
    for_s: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError with a sentence if it can mean nothing."""
        if self.comparison == MISSING:
            if self.for_s <= 0:
                raise ValueError(f"{self.metric} missing: say for how long, as for_s")
            return
        compare = COMPARISONS.get(self.comparison)
        if compare is None:
            known = ", ".join([*COMPARISONS, MISSING])
            raise ValueError(f"there is no comparison {self.comparison!r}; there are {known}")
        if self.value is None:
            raise ValueError(f"{self.metric} {self.comparison}: say what, as value")
        clear = self.value if self.clear is None else self.clear
        if clear != self.value and compare(np.array(clear), self.value):
            raise ValueError(
                f"{self.metric} {self.comparison} {self.value:g} would never be over: clear has "
                f"to lie on the good side of the limit, and {clear:g} does not"
            )


def holds(
    condition: Condition, at_s: Floats, value: Floats, *, now_s: float, since_s: float,
    under_way: bool = False,
) -> bool:  # fmt: skip
    """Whether a condition holds now.

    Parameters
    ----------
    at_s, value : readings in any order, seconds and values; those after `now_s` do not count
    since_s : from when on readings were expected
    under_way : whether it held before: then it holds until a reading is good again

    Examples
    --------
    >>> late = Condition("wage_overdue_days", ">", 7, clear=0)
    >>> readings = np.array([0.0, 60.0]), np.array([9.0, 5.0])
    >>> holds(late, *readings, now_s=90, since_s=0)
    False
    >>> holds(late, *readings, now_s=90, since_s=0, under_way=True)
    True
    """
    known = at_s <= now_s
    order = np.argsort(at_s[known], kind="stable")
    at_s, value = at_s[known][order], value[known][order]
    if condition.comparison == MISSING:
        last = at_s[-1] if len(at_s) else since_s
        return bool(now_s - last >= condition.for_s)
    if not len(at_s):
        return False
    compare, limit = COMPARISONS[condition.comparison], condition.value
    assert limit is not None
    if under_way:
        if condition.clear is None or condition.clear == limit:
            return bool(compare(value[-1:], limit)[0])
        # It is good again where the reading has reached `clear`, or gone beyond it.
        return bool(_short_of(condition, value[-1]))
    bad = compare(value, limit)
    if not bad[-1]:
        return False
    good = np.flatnonzero(~bad)
    begun = at_s[good[-1] + 1] if len(good) else at_s[0]
    return bool(now_s - begun >= condition.for_s)


def _short_of(condition: Condition, value: float) -> bool:
    assert condition.clear is not None
    rising = condition.comparison in (">", ">=")
    return value > condition.clear if rising else value < condition.clear
