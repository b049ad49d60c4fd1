from itertools import pairwise

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers.style import RAMP, TINTS, breaks, colours, tints
from tests.layers.cities import tiling


@given(st.lists(st.integers(0, 10_000)))
def test_every_count_above_zero_has_one_class(counts):
    cuts = breaks(counts)
    assert cuts == sorted(set(cuts)) and len(cuts) <= len(RAMP)
    assert bool(cuts) == any(counts)
    if cuts:
        assert cuts[0] == 1
        assert cuts[-1] <= max(counts), "the darkest class would be empty"


def test_few_high_counts_are_told_from_many_low_ones():
    assert breaks([1] * 900 + [2] * 100 + [6]) == [1, 2, 4]


def test_colours_run_from_light_to_dark():
    def lightness(colour: str) -> float:
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    for classes in range(1, len(RAMP) + 1):
        light = [lightness(c) for c in colours(classes)]
        assert len(light) == classes
        assert all(a - b > 15 for a, b in pairwise(light))


def test_neighbours_differ():
    shapes = tiling(6)
    chosen = np.array(tints(shapes))
    a, b = shapely.STRtree(shapes).query(shapes, predicate="touches")
    assert (chosen[a] != chosen[b]).all()
    assert len(set(chosen)) <= len(TINTS)


def test_no_shape_no_trouble():
    assert len(tints(np.array([None, shapely.box(0, 0, 1, 1)], dtype=object))) == 2
