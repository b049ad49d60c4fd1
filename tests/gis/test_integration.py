"""Beats over grids: areas, classes and hairs, what lies in the pieces, the index and the gaps."""

import gzip
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import integration as gi
from gis.plane import Plane

CHICAGO = Path(__file__).resolve().parents[3] / "shared" / "data" / "chicago"
SQUARES = shapely.box(*(np.array([(x, y, x + 100, y + 100) for y in (0, 100) for x in (0, 100)]).T))


def boxes(*bounds: tuple[float, float, float, float]) -> np.ndarray:
    return shapely.box(*np.array(bounds, dtype=float).T)


def test_each_class() -> None:
    beats = boxes((0, 0, 150, 100), (150, 0, 260, 100))
    grids = boxes(
        (0, 0, 100, 100),  # inside
        (100, 0, 200, 100),  # half in either
        (200, 0, 300, 100),  # 40 m stick out
        (300, 0, 400, 100),  # outside
        (0, 0, 155, 100),  # 5 m over the border
        (160, 0, 265, 100),  # 5 m stick out
    )
    over = gi.overlay(beats, grids)
    assert over.classes.tolist() == ["one", "several", "part", "none", "one", "one"]
    assert over.beats_of_grid.tolist() == [1, 2, 1, 0, 1, 1]
    assert over.hair.tolist() == [False] * 5 + [True, False]
    assert over.rest_m2.tolist() == [0, 0, 4000, 10000, 0, 500]
    assert over.beat[over.main[[0, 2, 4]]].tolist() == [0, 1, 0] and over.main[3] == -1


def test_narrow_is_a_hair_only_if_it_is_little_and_everywhere_narrow() -> None:
    beats = boxes((0, 0, 1000, 1000), (0, 1000, 1000, 2000))
    dyke = boxes((0, 996, 1000, 1004))
    assert gi.overlay(beats, dyke).classes.tolist() == ["several"]
    block = shapely.union_all(boxes((0, 0, 1000, 1004), (0, 1000, 40, 1040)))
    over = gi.overlay(beats, np.array([block]))
    assert over.share_of_grid[1] < 0.006 and over.classes.tolist() == ["several"]
    assert gi.overlay(beats, np.array([block]), hair_width_m=60).classes.tolist() == ["one"]


def test_overlapping_beats_are_found_and_nobody_counts_twice() -> None:
    beats = boxes((0, 0, 120, 200), (100, 0, 200, 200))
    over = gi.overlay(beats, SQUARES)
    one, other, area = over.overlaps
    assert (one.tolist(), other.tolist(), area.tolist()) == ([0], [1], [4000.0])
    assert over.rest_m2.tolist() == [0, 0, 0, 0]
    residents = gi.by_area(over, [100, 100, 100, 100])
    assert residents.sum() == pytest.approx(400)
    assert gi.by_points(over, [[110, 50], [50, 50]]).sum() == 2


def test_no_beats_no_grids_and_no_shapes() -> None:
    nothing = np.empty(0, dtype=object)
    over = gi.overlay(nothing, SQUARES)
    assert over.classes.tolist() == ["none"] * 4 and over.rest_m2.tolist() == [10_000] * 4
    assert gi.together(over, []).tolist() == [0] * 4
    assert gi.by_points(over, [[50, 50]], [0]).tolist() == []
    assert gi.overlay(SQUARES, nothing).classes.tolist() == []
    holes = np.array([None, shapely.Polygon(), SQUARES[0]], dtype=object)
    assert gi.overlay(SQUARES[:1], holes).classes.tolist() == ["none", "none", "one"]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 9))
def test_the_pieces_of_a_tiling_add_up(seed: int, b: int, g: int) -> None:
    rng = np.random.default_rng(seed)
    cuts = [np.r_[0, np.sort(rng.uniform(0, 1000, n - 1)), 1000] for n in (b, g)]
    beats = shapely.box(cuts[0][:-1], 0, cuts[0][1:], 500)
    grids = shapely.box(0, cuts[1][:-1] / 2, 1000, cuts[1][1:] / 2)
    over = gi.overlay(beats, grids)
    assert np.allclose(np.bincount(over.grid, over.area_m2, minlength=g), over.grid_m2)
    assert np.allclose(np.bincount(over.beat, over.share_of_beat, minlength=b), 1)
    assert (over.rest_m2 <= 1e-6 * over.grid_m2).all() and over.rest_hair.all()
    assert set(over.classes) <= {"one", "several"}
    residents = rng.integers(0, 5000, g)
    assert gi.by_area(over, residents).sum() == pytest.approx(residents.sum())
    inside = gi.together(over, gi.by_area(over, residents))
    assert ((inside > 0) & (inside <= 1)).all()


def test_points_stay_in_the_grid_that_they_were_given_to() -> None:
    over = gi.overlay(boxes((0, 0, 60, 200), (60, 0, 200, 200)), SQUARES)
    assert list(zip(over.grid.tolist(), over.beat.tolist(), strict=True))[:2] == [(0, 0), (0, 1)]
    at = [[30, 50], [90, 50], [150, 50], [np.nan, np.nan], [30, 50]]
    counts = gi.by_points(over, at, [0, 0, 0, 0, -1])
    # The third lies outside its grid, the fourth nowhere: both in the main piece.
    assert counts[:2].tolist() == [3, 1] and counts.sum() == 4
    assert gi.by_points(over, at).tolist()[:2] == [2, 1]
    spread = gi.by_points(over, [[30, 50], [90, 50], [95, 50]], totals=[300, 80, 0, 0])
    assert spread[:3].tolist() == [100, 200, 80]


def test_rates_say_why_there_is_none() -> None:
    rate, reason = gi.per_head([1, 1, 1], [500, 0, np.nan])
    assert rate[0] == 2 and np.isnan(rate[1:]).all()
    assert reason.tolist() == ["", "nobody", "not_counted"]


def test_the_index_is_the_mean_of_its_parts_weighted_by_residents() -> None:
    parts = {"whole": [1, 0, 0, 1], "reach": [1, 1, np.nan, 0]}
    found = gi.index(parts, [900, 100, 50, np.nan], [0, 0, 1, -1], 3)
    assert found.parts["whole"].tolist()[:2] == [0.9, 0]
    assert found.value[0] == pytest.approx(95) and found.value[1] == 0
    assert np.isnan(found.value[2])
    nobody = gi.index(parts, [0, 0, np.nan, np.nan], [0, 0, 0, 0], 1)
    assert not nobody.by_residents[0] and nobody.parts["whole"][0] == 0.5


def test_gaps_are_ranked_by_whom_they_concern() -> None:
    classes = np.array(["one", "several", "none", "one"])
    grid, kind, residents = gi.rank_gaps(
        classes, [900, 400, 300, np.nan], [1, 0.75, 0, 1], [1, 1, 0, 0], [60, 60, np.nan, 700], 600
    )
    told = list(zip(grid.tolist(), kind.tolist(), residents.tolist(), strict=True))
    assert told == [
        (2, "none", 300), (2, "no_officer", 300), (2, "far", 300), (1, "several", 100),
        (3, "no_officer", 0), (3, "far", 0),
    ]  # fmt: skip


@pytest.mark.skipif(not CHICAGO.is_dir(), reason=f"no published data at {CHICAGO}")
def test_chicagos_beats_and_community_areas_as_geopandas_overlays_them() -> None:
    beats, areas = (_published(name) for name in ("police-beats", "community-areas"))
    over = gi.overlay(beats, areas)
    theirs = gpd.overlay(
        gpd.GeoDataFrame({"beat": range(len(beats))}, geometry=list(beats)),
        gpd.GeoDataFrame({"grid": range(len(areas))}, geometry=list(areas)),
        keep_geom_type=True,
    )
    expected = theirs.assign(m2=theirs.area).groupby(["grid", "beat"]).m2.sum()
    expected = expected[expected > 1]
    ours = dict(zip(zip(over.grid, over.beat, strict=True), over.area_m2, strict=True))
    assert len(expected) > 500
    found = np.array([ours.get(pair, 0.0) for pair in expected.index])
    np.testing.assert_allclose(found, expected.to_numpy(), rtol=1e-6)
    assert over.rest_m2.sum() / over.grid_m2.sum() < 0.01
    # Both are drawn along the same streets: many of their pieces are hairs.
    assert 0.15 < over.hair.mean() < 0.5


def _published(name: str) -> np.ndarray:
    with gzip.open(CHICAGO / f"{name}.geojson.gz") as file:
        lonlat = gpd.read_file(file).geometry.to_numpy()
    return Plane.around(np.array([shapely.box(-87.95, 41.64, -87.52, 42.03)])).to_xy_m(lonlat)
