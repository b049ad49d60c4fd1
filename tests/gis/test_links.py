"""Tables of travel times: what is possible is kept in order, what is wrong is said."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis import flows, links
from gis.links import Links


@given(st.integers(0, 10**6), st.integers(0, 6), st.integers(0, 6), st.integers(1, 4))
def test_all_ways_of_making_one_agree(seed, n, m, rows):
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(0, 900, (n, m))
    matrix[rng.random((n, m)) < 0.3] = np.nan
    matrix[rng.random((n, m)) < 0.1] = np.inf
    matrix[matrix > 600] = np.nan
    row, column = (a.ravel() for a in np.indices((n, m)))
    mixed = rng.permutation(n * m)
    dense = Links.dense(matrix)
    for other in (
        Links.of(row[mixed], column[mixed], matrix.ravel()[mixed], (n, m)),
        Links.by_blocks(lambda some: matrix[some], (n, m), within_s=600, rows=rows),
    ):
        assert other.shape == (n, m)
        for name in ("row", "column", "seconds"):
            np.testing.assert_array_equal(getattr(other, name), getattr(dense, name))


@pytest.mark.parametrize(
    ("row", "column", "seconds", "sentence"),
    [
        ([0, 0], [1, 1], [5, 6], "row 0 and column 1 are given twice"),
        ([0], [2], [5], "column 2 is not one of the 2"),
        ([-1], [0], [5], "row must be whole numbers of at least 0, not -1"),
        ([0.5], [0], [5], "row must be whole numbers of at least 0, not 0.5"),
        ([0], [0], [-5], "-5.0 is no travel time in seconds"),
        ([0], [0], [-np.inf], "-inf is no travel time in seconds"),
        ([0], [0], [1e9], "no travel time"),
        ([0, 1], [0], [5], "one length"),
        (["a"], [0], [5], "row must be numbers"),
    ],
)
def test_what_is_wrong_is_said(row, column, seconds, sentence):
    with pytest.raises(ValueError, match=sentence):
        Links.of(row, column, seconds, (2, 2))


def test_wrong_matrices_and_blocks_are_refused():
    with pytest.raises(ValueError, match="2 dimensions, not 1"):
        Links.dense([1, 2])
    with pytest.raises(ValueError, match=r"rows 0 to 3 to 2 columns have the shape \(3, 1\)"):
        Links.by_blocks(lambda some: np.zeros((3, 1)), (3, 2))


def test_costs_beyond_64_bits_are_refused():
    with pytest.raises(ValueError, match="divide the area"):
        flows.rewards(np.arange(10), 2**61)
    with pytest.raises(ValueError, match="divide the area"):
        flows.circulate(flows.Arcs.of([0, 1], [1, 0], 1, 2**61))


def test_the_examples_run():
    ran = doctest.testmod(links)
    assert ran.attempted and not ran.failed
