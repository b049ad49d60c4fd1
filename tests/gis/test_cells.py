"""Cells over an area held to H3 asked point by point, and to plain counting."""

import doctest
from collections import Counter

import h3
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import cells
from gis.cells import Cells, cell_of, count, cover
from gis.plane import areas_m2

quick = settings(deadline=None, max_examples=25)
TOWN = shapely.box(113.10, 23.00, 113.14, 23.03)


@st.composite
def grounds(draw):
    """Stars with a hole or without, in one piece or two, a few kilometres wide."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    angle = np.sort(rng.uniform(0, 2 * np.pi, draw(st.integers(5, 12))))
    reach = rng.uniform(0.004, 0.02, len(angle))
    corners = np.column_stack([113 + reach * np.cos(angle), 23 + reach * np.sin(angle)])
    star = shapely.make_valid(shapely.Polygon(corners))
    if draw(st.booleans()):
        star = shapely.difference(star, shapely.Point(113, 23).buffer(0.003))
    if draw(st.booleans()):
        star = shapely.union(star, shapely.box(113.05, 23, 113.0501, 23.02))
    return shapely.MultiPolygon([p for p in shapely.get_parts(star) if p.geom_type == "Polygon"])


def test_the_examples_run():
    assert doctest.testmod(cells).failed == 0


@quick
@given(grounds(), st.sampled_from([7, 8, 9]))
def test_a_cover_is_the_cells_that_share_ground(ground, resolution):
    found = cover(ground, resolution)
    ground_m2 = areas_m2(np.array([ground]))[0]
    assert found.inside_m2.sum() == pytest.approx(ground_m2, rel=2e-4)
    assert ((found.share_inside > 0) & (found.share_inside <= 1)).all()
    assert (np.diff(found.number) > 0).all()
    west, south, east, north = ground.bounds
    x, y = np.random.default_rng(1).uniform([west, south], [east, north], (400, 2)).T
    within = shapely.contains_xy(ground, x, y)
    at = found.find(cell_of(x, y, resolution))
    assert (at[within] >= 0).all()
    assert shapely.contains_xy(found.polygons[at[within]], x[within], y[within]).all()
    if len(found) > 2:
        np.testing.assert_allclose(cover(list(ground.geoms), resolution).number, found.number)


def test_the_number_is_estimated_and_a_resolution_that_fits_is_named():
    for resolution in range(6, 11):
        made = len(cover(TOWN, resolution))
        with pytest.raises(ValueError, match="about") as refused:
            cover(TOWN, resolution, at_most=0)
        said = int(str(refused.value).split("about ")[1].split(" ")[0].replace(",", ""))
        assert said == pytest.approx(made, rel=0.25, abs=3)
        assert "no resolution would fit" in str(refused.value)
    with pytest.raises(ValueError, match="and resolution 9 would fit"):
        cover(TOWN, 15, at_most=200)
    assert len(cover(TOWN, 9, at_most=200)) <= 200


@pytest.mark.parametrize("rings", [1, 2])
def test_neighbours_are_those_within_so_many_steps(rings):
    found = cover(TOWN, 9)
    beside = found.neighbours(rings).toarray()
    names = [h3.int_to_str(n) for n in found.number.tolist()]
    for i in range(0, len(names), 7):
        steps = [h3.grid_distance(names[i], other) for other in names]
        np.testing.assert_array_equal(beside[i], [0 < s <= rings for s in steps])


def test_a_cell_alone_has_no_neighbours():
    lonely = cover(shapely.Point(113.1, 23).buffer(1e-5), 8)
    assert (len(lonely), lonely.neighbours().nnz) == (1, 0)


@quick
@given(st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_counts_are_those_of_a_counter(events, seed):
    rng, found = np.random.default_rng(seed), cover(TOWN, 8)
    lon, lat = rng.uniform(113.09, 113.15, events).round(2), rng.uniform(22.99, 23.04, events)
    lon[: events // 10] = np.nan
    number, period = cell_of(lon, lat, 8), rng.integers(0, 3, events)
    place = rng.integers(0, 4, events).astype(str)
    for n, x, y in zip(number[events // 10 :].tolist(), lon[events // 10 :], lat[events // 10 :],
                       strict=True):  # fmt: skip
        assert n == h3.str_to_int(h3.latlng_to_cell(y, x, 8))
    plain = count(found, number)
    tally = Counter(number.tolist())
    assert plain.events.tolist() == [tally[n] for n in found.number.tolist()]
    assert plain.events.sum() + plain.elsewhere == events
    assert plain.over == 0
    split = count(found, number, period=period, periods=3)
    np.testing.assert_array_equal(split.events.sum(axis=1), plain.events)
    tally = Counter(zip(number.tolist(), period.tolist(), place.tolist(), strict=True))
    capped = count(found, number, period=period, periods=3, place=place, most_per_place=2)
    expected = [
        [sum(min(tally[n, t, who], 2) for who in "0123") for t in range(3)]
        for n in found.number.tolist()
    ]
    assert capped.events.tolist() == expected
    assert capped.over == plain.events.sum() - np.sum(expected)


def test_no_cells_hold_nothing():
    none = np.zeros(0)
    empty = Cells(none.astype(np.int64), 8, none, none, none, none)
    found = count(empty, cell_of([113.1], [23], 8))
    assert (len(found.events), found.elsewhere) == (0, 1)
    assert empty.neighbours().shape == (0, 0)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: cover(shapely.Point(113, 23), 8), "polygon or multipolygon"),
        (lambda: cover(shapely.Polygon(), 8), "no ground"),
        (lambda: cover([], 8), "no ground"),
        (lambda: cover(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), 3), "Self-intersection"),
        (lambda: cover(shapely.box(400_000, 2_500_000, 401_000, 2_501_000), 8), "degrees"),
        (lambda: cover(TOWN, 16), "no resolution 16"),
        (lambda: cover(TOWN, 8).neighbours(0), "at least 1 ring"),
        (lambda: cell_of([1, 2], [1], 8), "one number each"),
        (lambda: cell_of([1], [1], -1), "no resolution -1"),
        (lambda: count(cover(TOWN, 7), [1, 2], period=[0, 3], periods=3), "no period 3"),
        (lambda: count(cover(TOWN, 7), [1], most_per_place=2), "needs the events' places"),
        (lambda: count(cover(TOWN, 7), [1], place=["a"], most_per_place=0), "at least 1"),
        (lambda: count(cover(TOWN, 7), [1, 2], place=["a"] * 3, most_per_place=1), "where each"),
    ],
)
def test_bad_input_is_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
