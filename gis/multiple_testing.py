"""Many tests at once: q-values, which keep the share of false discoveries under a level."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import false_discovery_control

Correction = Literal["bh", "by"]


def q_values(p: ArrayLike, correction: Correction = "bh") -> NDArray[np.float64]:
    """The smallest false discovery rate at which each test would be a discovery.

    Calling all tests with q ≤ 0.05 discoveries keeps the expected share of false ones among them
    at 0.05 or less.

    Parameters
    ----------
    p : (n,) two-sided p-values in [0, 1]; NaN for what was not tested and does not count
    correction : str
        `bh`, Benjamini & Hochberg (*JRSS B* 57, 1995): right for independent tests and for ones
        that depend positively, as those of overlapping neighbourhoods do; Caldas de Castro &
        Singer (*Geographical Analysis* 38, 2006) found it to hold for local Gi* and Moran.
        `by`, Benjamini & Yekutieli (*Annals of Statistics* 29, 2001): right whatever the
        dependence, at the price of dividing the level by 1 + 1/2 + … + 1/n.

    Returns
    -------
    (n,) q in [0, 1], NaN where p is; never below p, and in the same order

    Raises
    ------
    ValueError
        A p outside [0, 1], another shape or correction.

    Examples
    --------
    >>> q_values([0.01, 0.02, 0.03, 0.5]).round(9).tolist()
    [0.04, 0.04, 0.04, 0.5]
    """
    if correction not in ("bh", "by"):
        raise ValueError(f"There is no correction {correction!r}; there are 'bh' and 'by'.")
    given = np.asarray(p, dtype=float)
    if given.ndim != 1:
        raise ValueError(f"p-values must be a flat array, not one of {given.ndim} dimensions.")
    tested = ~np.isnan(given)
    wrong = tested & ~((given >= 0) & (given <= 1))
    if wrong.any():
        raise ValueError(f"{given[wrong][0]:g} is no p-value; they lie between 0 and 1.")
    q = np.full(len(given), np.nan)
    if tested.any():
        q[tested] = false_discovery_control(given[tested], method=correction)
    return q
