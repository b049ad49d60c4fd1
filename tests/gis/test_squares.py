"""Squares cover the area and nothing else, and every point of it is in one."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.squares import NIJ_CELL_M2, SIDE_M, Squares

TRIANGLE = shapely.Polygon([(-310, 20), (700, 95), (60, 845)])


def over(*shapes, side_m=150.0):
    return Squares.over(np.array(shapes, dtype=object), side_m)


def test_the_default_is_of_the_size_by_which_forecasts_are_compared():
    low, high = NIJ_CELL_M2
    assert low <= SIDE_M**2 <= high
    assert (round(low), round(high)) == (5806, 33445)


@settings(deadline=None)
@given(st.floats(40, 400))
def test_the_cells_add_up_to_the_area(side_m):
    cells = over(TRIANGLE, side_m=side_m)
    assert cells.area_m2.sum() == pytest.approx(TRIANGLE.area)
    assert (cells.area_m2 > 0).all()
    assert (cells.area_m2 <= side_m**2 * (1 + 1e-9)).all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-400, 800), st.floats(-50, 900)), min_size=1, max_size=30))
def test_a_point_is_in_the_cell_whose_square_has_it_and_only_if_the_area_has_it(points):
    cells = over(TRIANGLE)
    cell = cells.of(points)
    away = shapely.distance(TRIANGLE, shapely.points(points))
    assert (cell[away == 0] >= 0).all()
    assert (cell[away > 1.001] == -1).all()
    some = cell >= 0
    off = shapely.distance(cells.boxes(cell[some]), shapely.points(points)[some])
    assert (off <= 1.001).all()


def test_overlaps_count_once_and_holes_not_at_all():
    ring = shapely.box(0, 0, 900, 900).difference(shapely.box(300, 300, 600, 600))
    cells = over(ring, shapely.box(0, 0, 450, 300))
    assert cells.area_m2.sum() == pytest.approx(ring.area)
    assert cells.of([(450, 450), (450, 299.5), (450, 300.5)]).tolist()[0] == -1
    assert (cells.of([(450, 299.5), (450, 300.5)]) >= 0).all()


def test_a_point_a_hair_outside_is_in_the_nearest_cell():
    cells = over(shapely.box(0, 0, 300, 300))
    assert cells.of([(300.5, 10), (-0.5, 10), (301.5, 10), (np.nan, 10)]).tolist() == [1, 0, -1, -1]


def test_neighbours_share_a_side():
    cells = over(shapely.box(0, 0, 450, 300))
    assert cells.neighbours().tolist() == [
        [-1, 1, -1, 3], [0, 2, -1, 4], [1, -1, -1, 5],
        [-1, 4, 0, -1], [3, 5, 1, -1], [4, -1, 2, -1],
    ]  # fmt: skip
    assert cells.raster(np.arange(6)).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_cannot_be_cut_into_cells():
    with pytest.raises(ValueError, match="no extent"):
        over(shapely.Polygon())
    with pytest.raises(ValueError, match="above 0"):
        over(TRIANGLE, side_m=0)
    with pytest.raises(ValueError, match="take larger"):
        over(TRIANGLE, side_m=0.01)
