"""Colours and classes of the maps: calm, light, safe for colour-blind readers and projectors."""

import numpy as np
import numpy.typing as npt
import shapely

RAMP = ("#fdeccb", "#fdc98a", "#fc8d59", "#d7432e", "#8c1515")
"""From few to many; steps of lightness, so that it survives a bad projector, print and red-green
blindness (after ColorBrewer's OrRd)."""
NONE = "#fcfbf8"
"""No report at all."""
TINTS = ("#cfe1f2", "#fbe3c0", "#d6ead2", "#f3d3dc", "#e3dcf0", "#f4efb8", "#cfe8e6", "#e6d9cc")
"""Pale fills for neighbours that only have to differ."""


def breaks(counts: npt.ArrayLike, classes: int = len(RAMP)) -> list[int]:
    """The least count of each class of whole counts: ``[1, 2, 4]`` means 1, 2–3, 4 and more.

    Quantiles of the counts above zero, so that each colour is about as frequent as the next, with
    the last tenth split off, because what piles up most is what the reader looks for.

    Parameters
    ----------
    counts : array of int
    classes : int
        How many classes at most; fewer if there are fewer different counts.

    Returns
    -------
    list of int
        Ascending, starting at 1; empty if nothing was counted.

    Examples
    --------
    >>> breaks([0, 1, 1, 2, 3, 3, 9])
    [1, 2, 3, 6]
    """
    some = np.asarray(counts)
    some = some[some > 0]
    if not some.size:
        return []
    shares = np.append(np.linspace(0, 0.9, classes)[1:-1], 0.9)
    cuts = np.ceil(np.quantile(some, shares)).astype(int)
    out: list[int] = [1, *np.unique(cuts[cuts > 1]).tolist()]
    # Where nearly everything is 1, the few high counts get classes of their own.
    while len(out) < classes - 1 and 2 * out[-1] <= some.max():
        out.append(2 * out[-1])
    return out


def colours(classes: int) -> list[str]:
    """A colour for each class, over the ramp; the darkest only where there are enough classes."""
    last = min(len(RAMP) - 1, classes + 1)
    return [RAMP[round(i * last / max(classes - 1, 1))] for i in range(classes)]


def tints(polygons: npt.NDArray[np.object_]) -> list[str]:
    """A pale colour for each polygon, different from its neighbours' as long as there are enough.

    Examples
    --------
    >>> a, b = tints(shapely.box([0, 1], 0, [1, 2], 1))
    >>> a == b
    False
    """
    usable = ~(shapely.is_missing(polygons) | shapely.is_empty(polygons))
    index = np.flatnonzero(usable)
    a, b = shapely.STRtree(polygons[index]).query(polygons[index], predicate="intersects")
    chosen = np.full(len(polygons), -1)
    for i, polygon in enumerate(index):
        taken = set(chosen[index[b[a == i]]].tolist())
        free = [t for t in range(len(TINTS)) if t not in taken]
        # Among free ones the least used, so that the map does not end in two colours.
        chosen[polygon] = min(
            free or range(len(TINTS)), key=lambda t: (np.count_nonzero(chosen == t), t)
        )
    return [TINTS[max(c, 0)] for c in chosen]
