"""How unevenly a load is spread: Lorenz curve and Gini coefficient."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def lorenz(loads: npt.ArrayLike) -> Floats:
    """The Lorenz curve (Lorenz 1905): what share of the whole the least loaded carry together.

    Parameters
    ----------
    loads : (n,) non-negative; NaN are left out

    Returns
    -------
    (m + 1, 2) array
        From (0, 0) to (1, 1): share of the bearers, share of the load. Without any load the line
        of equality.

    Raises
    ------
    ValueError
        A load is negative.

    Examples
    --------
    >>> lorenz([3.0, 1.0]).tolist()
    [[0.0, 0.0], [0.5, 0.25], [1.0, 1.0]]
    """
    given = np.asarray(loads, dtype=np.float64)
    known = np.sort(given[~np.isnan(given)])
    if known.size and known[0] < 0:
        raise ValueError(f"a load cannot be negative, as {known[0]:g} is")
    bearers = np.linspace(0, 1, known.size + 1)
    total = known.sum()
    carried = np.concatenate([[0.0], np.cumsum(known) / total]) if total > 0 else bearers
    return np.column_stack([bearers, carried])


def gini(loads: npt.ArrayLike) -> float:
    """The Gini coefficient (Gini 1914): 0 where all carry alike, near 1 where one carries all.

    Twice the area between the Lorenz curve and the line of equality; NaN where nobody carries
    anything, or there is nobody.

    Examples
    --------
    >>> gini([1.0, 1.0, 1.0]), gini([0.0, 0.0, 0.0, 1.0])
    (0.0, 0.75)
    """
    curve = lorenz(loads)
    if len(curve) < 2 or not np.nansum(np.asarray(loads, dtype=np.float64)) > 0:
        return float("nan")
    bearers, carried = curve.T
    under = np.sum(np.diff(bearers) * (carried[1:] + carried[:-1]) / 2)
    return float(max(0.0, 1 - 2 * under))
