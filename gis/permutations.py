"""How extreme a neighbourhood's sum is among sums of as many cells drawn at random.

Under a permutation of a map's values the sum over k cells is that of k values drawn without
replacement, wherever the cells lie. So the reference distribution depends on k alone, all
neighbourhoods of a size share one, and a map needs a few hundred thousand draws of a handful of
values where a permutation of the map for each cell would shuffle billions. Holding a cell's own
value back (Anselin 1995's conditional permutation) only takes those draws away in which it occurs.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BLOCK = 2_000_000  # values drawn at a time: some 30 MB


def tails(
    values: Floats, sums: Floats, sizes: Ints, *, held: bool, permutations: int, seed: int
) -> tuple[Floats, Floats]:
    """One-sided pseudo p-values of sums over neighbourhoods, each (1 + as extreme) / (1 + drawn).

    Parameters
    ----------
    values : (n,) finite, the map
    sums : (n,) the sum of the `sizes` values of each cell's neighbourhood
    sizes : (n,) from 1 to n, or to n - 1 if `held`
    held : bool
        Whether a cell's own value is outside its sum and stays where it is.
    permutations : how many draws; about `sizes / n` fewer for each cell if `held`
    seed : the same seed gives the same answer

    Returns
    -------
    upper, lower : (n,) probabilities of a sum as high, and as low, in (0, 1]
    """
    centred = values - values.mean()
    aims = sums - sizes * values.mean()
    # Sums of the same values in another order are equal, whatever the last bits say.
    rounding = 1e-14 * float(sizes.max()) * float(np.abs(values).max())
    slack = 1e-9 * float(np.abs(centred).max()) + rounding
    above, below, drawn = (np.zeros(len(values), np.int64) for _ in range(3))
    groups = [(int(size), np.flatnonzero(sizes == size)) for size in np.unique(sizes)]
    for cells in _draws(len(values), int(sizes.max()), permutations, seed):
        running = np.cumsum(centred[cells], axis=0)
        for size, group in groups:
            ranked = np.sort(running[size - 1])
            above[group] += len(ranked) - np.searchsorted(ranked, aims[group] - slack, "left")
            below[group] += np.searchsorted(ranked, aims[group] + slack, "right")
            drawn[group] += len(ranked)
            if held:
                own = cells[:size].ravel()
                total, aim = np.tile(running[size - 1], size), aims[own]
                for count, of in (
                    (above, own[total >= aim - slack]),
                    (below, own[total <= aim + slack]),
                    (drawn, own),
                ):
                    count[group] -= np.bincount(of, minlength=len(values))[group]
    return (above + 1) / (drawn + 1), (below + 1) / (drawn + 1)


def _draws(n: int, size: int, draws: int, seed: int) -> Iterator[Ints]:
    """Random cells without repetition as (size, some) arrays of indices, `draws` columns in all.

    Whatever k of a column's first cells are taken, they are a random subset of k.
    """
    rng = np.random.default_rng(seed)
    for start in range(0, draws, width := max(_BLOCK // size, 1)):
        some = min(width, draws - start)
        cells = np.empty((size, some), np.int32)
        for k, last in enumerate(range(n - size, n)):  # Floyd's sampling, all columns at once
            cell = rng.integers(last + 1, size=some, dtype=np.int32)
            taken = (cells[:k] == cell).any(axis=0)
            cells[k] = np.where(taken, last, cell)
        yield rng.permuted(cells, axis=0)
