"""The proposal: split grids whole to one beat, beats in one piece, workload in balance."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import alignment, integration
from gis.plane import narrower


def rows(side: int, size: float = 100) -> np.ndarray:
    """Squares row by row."""
    y, x = np.divmod(np.arange(side * side), side)
    return shapely.box(x * size, y * size, (x + 1) * size, (y + 1) * size)


def plan(
    beats: np.ndarray, grids: np.ndarray, people: list[float] | None = None, **more: float
) -> tuple[integration.Overlay, alignment.Proposal]:
    over = integration.overlay(beats, grids)
    residents = integration.by_area(over, np.full(len(grids), 100) if people is None else people)
    borders = alignment.neighbours(grids)
    return over, alignment.propose(over, residents, np.zeros(len(residents)), borders, **more)


def test_a_grid_goes_to_the_beat_that_has_most_of_it() -> None:
    beats = shapely.box([0, 130], 0, [130, 300], 100)
    over, found = plan(beats, shapely.box([0, 100, 200], 0, [100, 200, 300], 100))
    assert over.classes.tolist() == ["one", "several", "one"]
    assert (found.grid.tolist(), found.beat.tolist()) == ([1], [1])
    assert found.residents[0] == pytest.approx(30) and found.area_m2[0] == pytest.approx(3000)
    assert found.score[0] == pytest.approx(0.7)
    assert found.load_after.tolist() == pytest.approx([1 / 3, 2 / 3])
    moved = alignment.redrawn(beats, shapely.box([0, 100, 200], 0, [100, 200, 300], 100), found)
    assert shapely.area(moved).tolist() == [10_000, 20_000]


@pytest.mark.parametrize(("count", "to"), [(95, 0), (1, 1)])
def test_incidents_weigh_as_much_as_ground_but_a_single_one_does_not(count: int, to: int) -> None:
    grids = shapely.box([0, 100, 200], 0, [100, 200, 300], 100)
    over = integration.overlay(shapely.box([0, 130], 0, [130, 300], 100), grids)
    incidents = np.where((over.grid == 1) & (over.beat == 0), count, 0.0)
    found = alignment.propose(
        over, integration.by_area(over, [100] * 3), incidents, alignment.neighbours(grids),
        tolerance=5,
    )  # fmt: skip
    # The first beat has 30 % of the residents and of the ground, and all incidents.
    share = (count + 5 * 0.3) / (count + 5)
    assert found.beat.tolist() == [to]
    assert found.score[0] == pytest.approx(abs(to - (0.6 + share) / 3))


def test_no_beat_falls_into_pieces() -> None:
    # The lower beat holds both ends, and between them a neck in a grid that is mostly the other's.
    grids = rows(3)
    upper = shapely.union_all([grids[4], *grids[6:], shapely.box(100, 30, 200, 100)])
    lower = shapely.difference(shapely.box(0, 0, 300, 300), upper)
    over, found = plan(np.array([lower, upper]), grids, tolerance=9)
    assert over.classes[1] == "several" and over.share_of_grid[over.main[1]] == pytest.approx(0.7)
    assert (found.grid.tolist(), found.beat.tolist()) == ([1], [0])
    whole = alignment.redrawn(np.array([lower, upper]), grids, found)
    assert shapely.get_num_geometries(whole).tolist() == [1, 1]


def test_balance_keeps_a_grid_where_it_is_and_says_so() -> None:
    beats = shapely.box([0, 150], 0, [150, 300], 100)
    grids = shapely.box([0, 100, 200], 0, [100, 200, 300], 100)
    _, found = plan(beats, grids, [10, 5000, 10])
    assert found.grid.tolist() == [] and found.left.tolist() == [1]
    assert found.reason.tolist() == ["balance"]
    assert (found.load_after == found.load_before).all()
    assert plan(beats, grids, [10, 5000, 10], tolerance=1)[1].grid.tolist() == [1]
    with pytest.raises(ValueError, match="tolerance"):
        plan(beats, grids, tolerance=-1)


def test_nothing_to_align() -> None:
    nothing = np.empty(0, dtype=object)
    for beats, grids in ((nothing, rows(2)), (rows(2), nothing), (rows(2), rows(2))):
        over, found = plan(beats, grids)
        assert not len(found.grid) and not len(found.left)
        assert len(found.load_before) == len(over.beat_m2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_whatever_is_proposed_keeps_its_promises(seed: int, tolerance: float) -> None:
    rng = np.random.default_rng(seed)
    grids = rows(6)
    x, y = rng.uniform(100, 500, 2)
    beats = shapely.box([0, x, 0, x], [0, 0, y, y], [x, 600, x, 600], [y, y, 600, 600])
    people = rng.integers(0, 3000, 36).astype(float)
    over, found = plan(beats, grids, people.tolist(), tolerance=tolerance)
    split = np.flatnonzero(over.classes == "several")
    assert sorted([*found.grid, *found.left]) == split.tolist()
    assert found.load_after.sum() == pytest.approx(found.load_before.sum())
    mean, before = found.load_before.mean(), found.load_before
    assert (found.load_after <= np.maximum(mean, before) * (1 + tolerance) + 1e-9).all()
    assert (found.load_after >= np.minimum(mean, before) * (1 - tolerance) - 1e-9).all()
    after = alignment.redrawn(beats, grids, found)
    parts, owner = shapely.get_parts(after, return_index=True)
    wide = ~narrower(parts, integration.HAIR_WIDTH_M)  # a hair may be left behind
    assert np.bincount(owner[wide]).tolist() == [1] * 4
    assert np.allclose(shapely.area(after).sum(), 360_000)
    again = integration.overlay(after, grids)
    assert (again.beats_of_grid[found.grid] == 1).all()
