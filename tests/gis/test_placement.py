"""Placement held to plain geometry: random cities, and the beats that Chicago's police recorded."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from data.settings import ROOT
from gis.placement import Clues, Coverage, Memory, Method, discs, metres_per_degree
from tests.coverages import City, build, cities, seeds

CHICAGO = ROOT.parent / "shared/data/chicago"
quick = settings(max_examples=15, deadline=None)
rasters = st.sampled_from([1, 50, 2_000, 60_000])
accuracies = st.sampled_from([3.0, 20.0, 80.0, 300.0, 700.0])


def pairs(placement):
    """Every candidate as (point, area, share, score), in order."""
    point = np.repeat(np.arange(len(placement.area)), np.diff(placement.starts))
    return point, placement.candidate, placement.share, placement.score


def sums(placement):
    point, _, share, _ = pairs(placement)
    return np.bincount(point, share, len(placement.area))


def listed(placement, i):
    return placement.candidate[placement.starts[i] : placement.starts[i + 1]]


def by_hand(city, lon, lat, radius):
    """(n, m) share of each area in each disc, by overlay of whole polygons alone."""
    disc = discs(lon, lat, np.broadcast_to(radius, lon.shape).astype(float))
    parts = shapely.intersection(disc[:, None], city.polygons[None])
    if city.dedicated.any():
        own = shapely.union_all(city.polygons[city.dedicated])
        parts[:, ~city.dedicated] = shapely.difference(parts[:, ~city.dedicated], own)
    return shapely.area(parts) / shapely.area(disc)[:, None]


def inside(city, lon, lat):
    """(n, m) whether the point lies in the area or on its border."""
    return shapely.intersects_xy(city.polygons[None], lon[:, None], lat[:, None])


def border_distances(city, lon, lat):
    """(n, m) metres to the borders, in an equidistant projection centred on the city."""
    west, south, east, north = shapely.total_bounds(city.polygons)
    centre = f"+lat_0={(south + north) / 2} +lon_0={(west + east) / 2}"
    project = pyproj.Transformer.from_crs(4326, f"+proj=aeqd {centre} +ellps=WGS84", always_xy=True)
    dense = shapely.segmentize(city.polygons, 5e-4)  # what is straight in degrees is bent there
    flat = shapely.transform(dense, project.transform, interleaved=False)
    points = shapely.points(*project.transform(lon, lat))
    return shapely.distance(shapely.boundary(flat), points[:, None])


# --- the fast path ------------------------------------------------------------------------------


@quick
@given(cities(), rasters)
def test_locate_is_the_exact_test_whatever_the_raster(city, cells):
    lon, lat = city.points(400, beyond_m=700)
    hits = inside(city, lon, lat)
    rank = np.where(city.dedicated, 0, 1) * len(city.polygons) + np.arange(len(city.polygons))
    best = np.where(hits, rank, 10**6).argmin(axis=1)
    expected = np.where(hits.any(axis=1), best, -1)
    np.testing.assert_array_equal(
        Coverage(city.polygons, city.dedicated, cells=cells).locate(lon, lat), expected
    )


@quick
@given(cities(on_top=0), rasters)
def test_locate_agrees_with_the_tree_of_shapely(city, cells):
    lon, lat = city.points(400)
    found = Coverage(city.polygons, cells=cells).locate(lon, lat)
    point, area = shapely.STRtree(city.polygons).query(
        shapely.points(lon, lat), predicate="intersects"
    )
    assert set(np.flatnonzero(found >= 0)) == set(point)
    assert set(zip(*[np.flatnonzero(found >= 0), found[found >= 0]], strict=True)) <= set(
        zip(point, area, strict=True)
    )


@quick
@given(cities(), st.tuples(rasters, rasters), accuracies)
def test_the_raster_decides_nothing(city, cells, radius):
    lon, lat = city.points(150, beyond_m=600)
    one, other = (
        Coverage(city.polygons, city.dedicated, cells=c).place(lon, lat, radius) for c in cells
    )
    for name in ("area", "method", "starts", "candidate"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("border_m", "share", "score"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=1e-9)


@pytest.mark.parametrize("narrower", [1, 60])
@settings(max_examples=3, deadline=None)
@given(seeds)
def test_a_tall_country_is_seen_at_its_true_width_at_both_ends(narrower, seed):
    # From the tropics to Lapland a degree of longitude shrinks by half.
    city = build(seed, columns=2, rows=40, areas=60, cell_m=120_000, at=(20.0, 22.0))
    slim = shapely.transform(city.polygons, lambda xy: xy / (narrower, 1))
    city = City(slim, city.dedicated, city.rng)
    radius = 480.0
    lon, lat = city.near_borders(1_000, radius)
    placed = Coverage(city.polygons, cells=2_500_000).place(lon, lat, radius)
    shares = by_hand(city, lon, lat, radius)
    point, area, share, _ = pairs(placed)
    given = np.zeros_like(shares)
    given[point, area] = share
    np.testing.assert_allclose(given, shares, atol=0.001)


# --- candidates and shares ----------------------------------------------------------------------


@quick
@given(cities(), accuracies)
def test_candidates_are_the_areas_that_the_disc_meets_with_their_shares(city, radius):
    lon, lat = (
        np.concatenate(xy)
        for xy in zip(city.points(60, beyond_m=radius), city.near_borders(60, radius), strict=True)
    )
    placed = Coverage(city.polygons, city.dedicated, cells=5_000).place(lon, lat, radius)
    point, area, share, _ = pairs(placed)
    got = np.zeros((len(lon), len(city.polygons)))
    got[point, area] = share
    expected = by_hand(city, lon, lat, radius)
    np.testing.assert_allclose(got, expected, atol=2e-5)
    assert (got[expected > 2e-5] > 0).all()
    assert (share > 0).all()


@quick
@given(cities(), accuracies)
def test_shares_add_up_to_one_inside_the_land(city, radius):
    lon, lat = city.points(150)
    placed = Coverage(city.polygons, city.dedicated, cells=5_000).place(lon, lat, radius)
    disc = discs(lon, lat, np.full(len(lon), radius * 1.001))
    within = shapely.covers(city.land, disc)
    np.testing.assert_allclose(sums(placed)[within], 1, atol=1e-5)
    assert (sums(placed) <= 1 + 1e-5).all()


@quick
@given(cities(), accuracies, st.sampled_from([0.0, 1.0, 5.0]))
def test_without_memory_the_containing_area_is_first_unless_its_border_is_near(
    city, radius, border_m
):
    lon, lat = city.near_borders(200, radius / 3)
    placed = Coverage(city.polygons, city.dedicated, cells=5_000).place(
        lon, lat, radius, border_m=border_m
    )
    hits = inside(city, lon, lat)
    dedicated = hits[:, city.dedicated].any(axis=1)
    hits[np.ix_(dedicated, ~city.dedicated)] = False
    owner = hits.argmax(axis=1)
    away = border_distances(city, lon, lat)[np.arange(len(lon)), owner]
    clear = (hits.sum(axis=1) == 1) & (away > border_m * 1.001 + 1e-6)
    np.testing.assert_array_equal(placed.area[clear], owner[clear])
    assert np.isin(placed.method[clear], (Method.INSIDE, Method.ON_BORDER)).all()


@quick
@given(cities(), accuracies)
def test_the_order_is_by_score_and_the_first_is_the_choice(city, radius):
    lon, lat = city.points(150, beyond_m=100)
    placed = Coverage(city.polygons, city.dedicated, cells=5_000).place(lon, lat, radius, snap_m=0)
    point, area, _, score = pairs(placed)
    same = point[1:] == point[:-1]
    assert (score[1:][same] <= score[:-1][same]).all()
    assert not np.any(same & (area[1:] == area[:-1]))
    has = np.diff(placed.starts) > 0
    np.testing.assert_array_equal(placed.area[has], placed.candidate[placed.starts[:-1][has]])
    np.testing.assert_array_equal(placed.area < 0, ~has)
    np.testing.assert_array_equal(placed.ambiguous, np.diff(placed.starts) > 1)


@quick
@given(cities(), seeds)
def test_each_point_has_its_own_accuracy(city, seed):
    lon, lat = city.points(60, beyond_m=300)
    radius = np.random.default_rng(seed).choice([1.0, 15.0, 90.0, 650.0], len(lon))
    coverage = Coverage(city.polygons, city.dedicated, cells=5_000)
    together = coverage.place(lon, lat, radius)
    for r in np.unique(radius):
        rows = np.flatnonzero(radius == r)
        apart = coverage.place(lon[rows], lat[rows], r)
        np.testing.assert_array_equal(together.area[rows], apart.area)
        np.testing.assert_array_equal(together.method[rows], apart.method)
        for k, row in enumerate(rows):
            np.testing.assert_array_equal(listed(together, row), listed(apart, k))


def test_a_lone_point_is_answered_like_one_of_many():
    city = build(3, on_top=2)
    lon, lat = city.points(40, beyond_m=300)
    coverage = Coverage(city.polygons, city.dedicated, cells=5_000)
    many = coverage.place(lon, lat, 25)
    for i in range(len(lon)):
        one = coverage.place(lon[[i]], lat[[i]], 25)
        assert one.area[0] == many.area[i]
        np.testing.assert_array_equal(listed(one, 0), listed(many, i))


# --- dedicated areas ----------------------------------------------------------------------------


@quick
@given(seeds, accuracies)
def test_a_dedicated_area_wins_inside_its_polygon(seed, radius):
    city = build(seed, on_top=3, at=(113.1, 23.0))
    own = city.polygons[city.dedicated]
    low, high = shapely.bounds(own)[:, :2], shapely.bounds(own)[:, 2:]
    xy = city.rng.uniform(low[:, None], high[:, None], (len(own), 40, 2)).reshape(-1, 2)
    lon, lat = xy.T
    placed = Coverage(city.polygons, city.dedicated, cells=5_000).place(lon, lat, radius)
    hits = inside(city, lon, lat) & city.dedicated
    owner = hits.argmax(axis=1)
    away = border_distances(city, lon, lat)[np.arange(len(lon)), owner]
    clear = hits.any(axis=1) & (away > 1.01)
    np.testing.assert_array_equal(placed.area[clear], owner[clear])
    covered = shapely.covers(city.land, discs(lon, lat, np.full(len(lon), radius)))
    np.testing.assert_allclose(sums(placed)[covered], 1, atol=1e-5)


# --- outside, on the border, not a number -------------------------------------------------------


@quick
@given(cities(), st.sampled_from([5.0, 20.0]), st.sampled_from([0.0, 40.0, 200.0, 900.0]))
def test_a_point_outside_goes_to_the_nearest_area_within_reach(city, radius, snap_m):
    lon, lat = city.points(200, beyond_m=1_200)
    placed = Coverage(city.polygons, city.dedicated, cells=5_000).place(
        lon, lat, radius, snap_m=snap_m
    )
    lost = ~inside(city, lon, lat).any(axis=1)
    away = border_distances(city, lon, lat)
    nearest = away.min(axis=1)
    reach = max(snap_m, radius)
    near, far = lost & (nearest < reach * 0.99), lost & (nearest > reach * 1.01)
    assert np.isin(placed.method[near], (Method.SNAPPED, Method.ON_BORDER)).all()
    snapped = np.flatnonzero(near & (np.diff(placed.starts) == 0))
    assert (away[snapped, placed.area[snapped]] <= nearest[snapped] * 1.001).all()
    np.testing.assert_allclose(placed.border_m[snapped], nearest[snapped], rtol=1e-3)
    assert (placed.area[far] == -1).all()
    assert (placed.method[far] == Method.NONE).all()
    assert np.isnan(placed.border_m[far]).all()
    assert not (placed.method[~lost] == Method.SNAPPED).any()


def test_ties_of_snapping_go_to_the_lowest_index():
    left, right = shapely.box(113.0, 23.0, 113.01, 23.01), shapely.box(113.01, 23.0, 113.02, 23.01)
    lon, lat = np.full(5, 113.01), np.full(5, 23.0101) + np.arange(5) * 1e-4
    placed = Coverage([left, right], cells=1_000).place(lon, lat, 1.0)
    np.testing.assert_array_equal(placed.area, 0)
    np.testing.assert_array_equal(placed.method, Method.SNAPPED)


@quick
@given(cities(missing=0.0, on_top=0), st.sampled_from([0.5, 1.0, 4.0]))
def test_points_on_a_shared_border_say_so(city, border_m):
    lon, lat = city.near_borders(150, border_m)
    placed = Coverage(city.polygons, cells=5_000).place(lon, lat, 20.0, border_m=border_m)
    nearest = border_distances(city, lon, lat).min(axis=1)
    said = placed.method == Method.ON_BORDER
    assert said[placed.ambiguous & (nearest < border_m * 0.99)].all()
    assert not said[nearest > border_m * 1.01].any()
    assert not (placed.method[~placed.ambiguous] == Method.ON_BORDER).any()


def test_what_is_not_a_number_is_in_no_area():
    city = build(1)
    x, y = (v[0] for v in city.points(2))
    lon = np.array([np.nan, x, np.nan, x, np.inf, -np.inf])
    lat = np.array([y, np.nan, np.nan, y, y, y])
    coverage = Coverage(city.polygons, cells=5_000)
    placed = coverage.place(lon, lat, 20.0)
    lost = np.array([True, True, True, False, True, True])
    np.testing.assert_array_equal(placed.area < 0, lost)
    np.testing.assert_array_equal(np.diff(placed.starts) == 0, lost)
    np.testing.assert_array_equal(placed.method == Method.NONE, lost)
    np.testing.assert_array_equal(np.isnan(placed.border_m), lost)
    np.testing.assert_array_equal(coverage.locate(lon, lat) < 0, lost)


def test_nothing_is_placed_in_nothing():
    none = np.array([], float)
    empty = Coverage([])
    assert empty.locate([113.0], [23.0]).tolist() == [-1]
    assert empty.place([113.0], [23.0], 20.0).method.tolist() == [Method.NONE]
    for coverage in (empty, Coverage(build(1).polygons, cells=100)):
        placed = coverage.place(none, none, 20.0)
        assert len(placed.area) == len(placed.candidate) == 0
        assert placed.starts.tolist() == [0]


def test_without_extent_a_position_is_a_point():
    city = build(5)
    lon, lat = city.points(50)
    placed = Coverage(city.polygons, cells=5_000).place(lon, lat, 0.0, snap_m=0)
    off = shapely.distance(city.polygons[None], shapely.points(lon, lat)[:, None])
    assert (placed.area[off.min(axis=1) == 0] >= 0).all()
    rows = np.flatnonzero(placed.area >= 0)
    assert (off[rows, placed.area[rows]] < 1e-8).all()  # degrees: a millimetre
    assert (sums(placed)[rows] <= 1 + 1e-6).all()


# --- distances ----------------------------------------------------------------------------------


@quick
@given(cities(), st.sampled_from([20.0, 200.0]))
def test_border_distance_is_right_within_a_thousandth(city, radius):
    lon, lat = city.points(60, beyond_m=150)
    placed = Coverage(city.polygons, city.dedicated, cells=5_000).place(lon, lat, radius)
    i = np.flatnonzero(placed.area >= 0)
    expected = border_distances(city, lon, lat)[i, placed.area[i]]
    np.testing.assert_allclose(placed.border_m[i], expected, rtol=1e-3, atol=0.01)


@quick
@given(cities())
def test_far_borders_need_not_be_measured(city):
    lon, lat = city.points(150, beyond_m=150)
    coverage = Coverage(city.polygons, city.dedicated, cells=5_000)
    full, lean = (coverage.place(lon, lat, 20.0, far_borders=far) for far in (True, False))
    for name in ("area", "method", "starts", "candidate", "share", "score"):
        np.testing.assert_array_equal(getattr(full, name), getattr(lean, name))
    measured = np.isfinite(lean.border_m)
    np.testing.assert_array_equal(full.border_m[measured], lean.border_m[measured])
    unmeasured = (lean.area >= 0) & ~measured
    assert (full.border_m[unmeasured] > 20.0 * 0.999).all()


@given(st.floats(-80, 80))
def test_metres_per_degree_is_the_ellipsoid(lat):
    geod = pyproj.Geod(ellps="WGS84")
    step = 1e-4
    mx, my = metres_per_degree(lat)
    assert mx * step == pytest.approx(geod.inv(0, lat, step, lat)[2], rel=1e-6)
    assert my * step == pytest.approx(geod.inv(0, lat - step / 2, 0, lat + step / 2)[2], rel=1e-6)


# --- memory -------------------------------------------------------------------------------------


def remembered(lon, lat, area, street="", block="", side=-1, premises=""):
    n = len(lon)
    label = [np.full(n, text, dtype=object) for text in (street, block, premises)]
    return Memory(lon, lat, np.asarray(area), label[0], label[1], np.full(n, side), label[2])


def clues(n, street="", block="", side=-1, premises=""):
    label = [np.full(n, text, dtype=object) for text in (street, block, premises)]
    return Clues(label[0], label[1], np.full(n, side), label[2])


@quick
@given(cities(areas=5), seeds, st.sampled_from([0.0, 15.0]))
def test_memory_reorders_and_never_adds(city, seed, spread_m):
    rng = np.random.default_rng(seed)
    lon, lat = city.near_borders(80, 15)
    coverage = Coverage(city.polygons, city.dedicated, cells=5_000)
    before = coverage.place(lon, lat, 20.0)
    words = np.array(["", "a", "b"], dtype=object)
    n = 400
    row = rng.integers(0, len(lon), n)
    step = rng.normal(0, 1, (2, n)) * spread_m / city.metres[:, None]
    memory = Memory(
        lon[row] + step[0],
        lat[row] + step[1],
        rng.integers(0, len(city.polygons), n),
        rng.choice(words, n),
        rng.choice(words, n),
        rng.integers(-1, 2, n),
        rng.choice(words, n),
    )
    m = len(lon)
    asked = Clues(
        rng.choice(words, m), rng.choice(words, m), rng.integers(-1, 2, m), rng.choice(words, m)
    )
    after = coverage.place(lon, lat, 20.0, memory=memory, clues=asked)
    np.testing.assert_array_equal(after.starts, before.starts)
    for i in range(m):
        was, now = (np.argsort(listed(p, i)) for p in (before, after))
        np.testing.assert_array_equal(listed(before, i)[was], listed(after, i)[now])
        at = slice(before.starts[i], before.starts[i + 1])
        np.testing.assert_array_equal(before.share[at][was], after.share[at][now])
        if len(now):
            assert after.area[i] in listed(before, i)
    np.testing.assert_array_equal(before.area[~before.ambiguous], after.area[~before.ambiguous])


@pytest.fixture
def street():
    """Two halves of a town, and ten points along the street that parts them."""
    west, east = shapely.box(112.99, 22.9, 113.0, 23.1), shapely.box(113.0, 22.9, 113.01, 23.1)
    lat = 23.0 + np.arange(10) * 1e-4  # 11 m apart
    return Coverage([west, east], cells=10_000), np.full(10, 113.0), lat


@pytest.mark.parametrize("area", [0, 1])
def test_what_was_confirmed_at_the_point_wins_on_a_border(street, area):
    coverage, lon, lat = street
    memory = remembered(lon[:1], lat[:1], [area])
    placed = coverage.place(lon, lat, 20.0, memory=memory, clues=clues(10))
    assert placed.area[0] == area
    assert placed.method[0] == Method.ON_BORDER
    # The next house is another point, and nothing is known of its street.
    without = coverage.place(lon, lat, 20.0)
    np.testing.assert_array_equal(placed.score[2:], without.score[2:])


@pytest.mark.parametrize("area", [0, 1])
def test_what_was_confirmed_in_the_block_and_along_the_street_counts(street, area):
    coverage, lon, lat = street
    for known in ({"block": "1-99 North"}, {"street": "North", "premises": "shop"}):
        memory = remembered(lon[:1], lat[:1], [area], **known)
        placed = coverage.place(lon, lat, 20.0, memory=memory, clues=clues(10, **known))
        np.testing.assert_array_equal(placed.area, area)


def test_evidence_from_the_other_side_of_the_street_does_not_count(street):
    coverage, lon, lat = street
    without = coverage.place(lon, lat, 20.0)
    memory = remembered(lon[:1], lat[:1], [1], street="North", side=1)
    for side, counts in ((0, False), (1, True), (-1, True)):
        asked = clues(9, street="North", side=side)
        placed = coverage.place(lon[1:], lat[1:], 20.0, memory=memory, clues=asked)
        changed = ~np.isclose(placed.score, without.score[2:], rtol=0, atol=1e-12)
        assert changed.all() == counts
        assert changed.any() == counts


@pytest.mark.parametrize("other", [{"street": "South"}, {"street": "North", "premises": "shop"}])
def test_another_street_or_kind_of_place_does_not_count(street, other):
    coverage, lon, lat = street
    memory = remembered(lon[:1], lat[:1], [1], street="North", premises="home")
    asked = clues(9, **other)
    placed = coverage.place(lon[1:], lat[1:], 20.0, memory=memory, clues=asked)
    np.testing.assert_array_equal(placed.score, coverage.place(lon[1:], lat[1:], 20.0).score)


def test_what_was_confirmed_far_away_is_not_heard(street):
    coverage, lon, lat = street
    far = lat + 320 / metres_per_degree(23.0)[1]
    known = {"street": "North", "block": "1-99 North"}
    memory = remembered(lon[-1:], far[-1:], [1], **known)
    placed = coverage.place(lon, lat, 20.0, memory=memory, clues=clues(10, **known))
    np.testing.assert_array_equal(placed.score, coverage.place(lon, lat, 20.0).score)


def test_the_majority_at_a_point_wins(street):
    coverage, lon, lat = street
    memory = remembered(np.full(5, lon[0]), np.full(5, lat[0]), [0, 1, 1, 0, 1])
    placed = coverage.place(lon[:1], lat[:1], 20.0, memory=memory, clues=clues(1))
    assert placed.area[0] == 1


# --- Chicago ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chicago():
    """The beats (one row a code) prepared, their codes, and the reports with coordinates."""
    if not CHICAGO.exists():
        pytest.skip("no published data beside the project")
    beats = gpd.read_file(f"/vsigzip/{CHICAGO}/police-beats.geojson.gz").dissolve("beat_num")
    reports = pd.read_csv(CHICAGO / "crimes-2019-q1.csv.gz", dtype=str).dropna(subset="longitude")
    reports["beat"] = reports["beat"].str.zfill(4)
    reports = reports.astype({"longitude": float, "latitude": float}).fillna("")
    return Coverage(beats.geometry.values, cells=1_000_000), beats.index.to_numpy(), reports


def test_chicago_is_placed_as_its_police_placed_it(chicago):
    coverage, codes, reports = chicago
    assert len(reports) == 11_179
    placed = coverage.place(reports.longitude, reports.latitude, 20.0, far_borders=False)
    beat = reports.beat.to_numpy()
    point, area, _, _ = pairs(placed)
    among = np.bincount(point, codes[area] == beat[point], len(beat)) > 0
    assert (placed.area >= 0).all()
    assert np.mean(codes[placed.area] == beat) >= 0.911
    assert among.mean() >= 0.998
    assert np.diff(placed.starts).mean() <= 1.2


def test_two_months_of_chicago_teach_the_third(chicago):
    coverage, codes, reports = chicago
    street = reports.block.str.split(" ", n=1).str[1].to_numpy(object)
    labels = street, reports.block.to_numpy(object), reports.location_description.to_numpy(object)
    lon, lat = reports.longitude.to_numpy(), reports.latitude.to_numpy()
    beat, march = reports.beat.to_numpy(), (reports.date >= "2019-03-01").to_numpy()
    before = coverage.place(lon, lat, 20.0, far_borders=False)
    taught = np.flatnonzero(~march & before.ambiguous & np.isin(beat, codes))
    asked = np.flatnonzero(march)
    side = np.full(len(lon), -1)
    memory = Memory(
        lon[taught],
        lat[taught],
        np.searchsorted(codes, beat[taught]),
        labels[0][taught],
        labels[1][taught],
        side[taught],
        labels[2][taught],
    )
    hints = Clues(labels[0], labels[1], side, labels[2]).take(asked)
    after = coverage.place(
        lon[asked], lat[asked], 20.0, memory=memory, clues=hints, far_borders=False
    )
    plain = np.mean(codes[before.area[asked]] == beat[asked])
    assert np.mean(codes[after.area] == beat[asked]) >= plain + 0.012


@pytest.mark.parametrize("accuracy", [np.nan, -1.0, np.inf])
def test_an_accuracy_that_is_no_radius_is_refused(accuracy):
    coverage = Coverage([shapely.box(0, 0, 1, 1)])
    with pytest.raises(ValueError, match=r"accuracy (nan|-1|inf) of point 1"):
        coverage.place([0.5, 0.5], [0.5, 0.5], [20.0, accuracy])
    with pytest.raises(ValueError, match="no radius"):
        coverage.place([0.5], [0.5], accuracy)
    assert coverage.place([], [], []).area.size == 0
