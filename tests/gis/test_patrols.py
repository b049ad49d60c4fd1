"""Patrols hang together, keep within their size, and do not meet."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.patrols import best_cells, patrols
from gis.squares import Squares

CELLS = Squares.over(np.array([shapely.Point(0, 0).buffer(1200)]), 150.0)
BESIDE = CELLS.neighbours()


def held(group, beside):
    """Whether cells hang together by their sides."""
    reached, edge = {group[0]}, [group[0]]
    while edge:
        new = {o for o in beside[edge.pop()].tolist() if o in group} - reached
        reached |= new
        edge += new
    return reached == set(group)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 6), st.integers(1, 9))
def test_groups_hang_together_keep_within_their_size_and_do_not_meet(seed, count, size):
    expected = np.random.default_rng(seed).gamma(0.3, size=len(CELLS))
    plan = patrols(expected, CELLS, count, each_m2=size * 150.0**2, reach_m=400)
    cells = np.concatenate([p.cells for p in plan]) if plan else np.empty(0)
    assert len(set(cells.tolist())) == len(cells)
    assert len(plan) == count
    for patrol in plan:
        assert held(patrol.cells.tolist(), BESIDE)
        assert patrol.area_m2 <= size * 150.0**2 * (1 + 1e-9)
        assert patrol.area_m2 == pytest.approx(CELLS.area_m2[patrol.cells].sum())
        assert patrol.expected == pytest.approx(expected[patrol.cells].sum())
        away = CELLS.centres_xy_m[patrol.cells] - CELLS.centres_xy_m[patrol.cells[0]]
        assert np.hypot(*away.T).max() <= 400


def distance_m(x, y):
    return np.hypot(*(CELLS.centres_xy_m - np.array([x, y])).T)


def test_the_hottest_place_first_and_the_same_plan_again():
    away = distance_m(300, 300)
    other = distance_m(-600, -600)
    expected = 5 * np.exp(-((away / 200) ** 2)) + 2 * np.exp(-((other / 200) ** 2))
    first, second = patrols(expected, CELLS, 2, each_m2=9 * 150.0**2)
    assert first.expected > second.expected
    assert away[first.cells].max() < 450
    assert other[second.cells].max() < 450
    again = patrols(expected, CELLS, 2, each_m2=9 * 150.0**2)
    assert [p.cells.tolist() for p in again] == [first.cells.tolist(), second.cells.tolist()]


def test_more_patrols_than_there_is_room_for():
    tiny = Squares.over(np.array([shapely.box(0, 0, 300, 150)]), 150.0)
    assert [sorted(p.cells.tolist()) for p in patrols([1, 2], tiny, 5)] == [[0, 1]]


def test_the_best_cells_fill_the_area_and_no_more():
    assert best_cells([1, 5, 5, 2], [1, 1, 1, 1], 3).tolist() == [1, 2, 3]
    assert best_cells([1, 5, 5, 2], [1, 1, 1, 1], 0.5).tolist() == []


def test_what_cannot_be_planned():
    flat = np.ones(len(CELLS))
    with pytest.raises(ValueError, match="at least a cell"):
        patrols(flat, CELLS, 1, each_m2=0)
    with pytest.raises(ValueError, match="for each cell"):
        patrols(flat[:-1], CELLS, 1)
