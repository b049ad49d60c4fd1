"""Shares told from the edges near a disc, held to the overlay of whole polygons."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis.discs import discs, metres_per_degree
from gis.edges import Edges
from gis.placement import Coverage
from tests.coverages import build, cities, seeds

quick = settings(max_examples=15, deadline=None)
radii = st.sampled_from([0.5, 20.0, 26.0, 300.0, 4_000.0])


def overlaid(polygons, lon, lat, radius):
    """(n, m) shares of the discs, and which discs an area's border comes into."""
    disc = discs(lon, lat, radius)
    shares = (
        shapely.area(shapely.intersection(disc[:, None], polygons)) / shapely.area(disc)[:, None]
    )
    return shares, shapely.intersects(disc[:, None], shapely.boundary(polygons))


def assert_alike(polygons, lon, lat, radius, atol=1e-7):
    expected, met = overlaid(polygons, lon, lat, radius)
    near = Edges(polygons).around(lon, lat, radius)
    assert (np.diff(near.point * len(polygons) + near.area) > 0).all()
    off = near.turns - expected[near.point, near.area]
    np.testing.assert_allclose(off, np.rint(off), atol=atol)
    told = np.zeros_like(met)
    told[near.point, near.area] = True
    assert told[met].all()
    assert met.any()


@quick
@given(cities(), radii)
def test_a_share_is_told_but_for_whole_discs(city, radius):
    lon, lat = city.near_borders(60, radius)
    assert_alike(city.polygons, lon, lat, np.full(len(lon), radius))


@quick
@given(cities(), seeds)
def test_on_vertices_and_on_borders_too(city, seed):
    rng = np.random.default_rng(seed)
    corners = rng.permutation(shapely.get_coordinates(city.polygons))[:40]
    ends = shapely.boundary(city.polygons)
    middle = shapely.get_coordinates(shapely.line_interpolate_point(ends, 0.3, normalized=True))
    lon, lat = np.vstack([corners, middle]).T
    assert_alike(city.polygons, lon, lat, rng.choice([5.0, 20.0, 90.0, 700.0], len(lon)))


def test_holes_islands_and_parts_that_face_any_way(seed=7):
    mx, my = metres_per_degree(23.0)
    middle = np.array([113.0, 23.0])

    def ring(radius_m, corners, shift=(0.0, 0.0)):
        turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        xy = np.column_stack([np.cos(turn), np.sin(turn)]) * radius_m + shift
        return xy / (float(mx), float(my)) + middle

    lake = shapely.Polygon(ring(60, 9), [ring(30, 7)[::-1]])
    other_way = shapely.Polygon(ring(60, 9)[::-1], [ring(30, 7)])
    islands = shapely.MultiPolygon(
        [shapely.Polygon(ring(5, 4)), shapely.Polygon(ring(8, 5, (20, 0)))]
    )
    spread = np.random.default_rng(seed).uniform(-70, 70, (300, 2)) / (float(mx), float(my))
    lon, lat = (middle + spread).T
    for radius in (3.0, 20.0, 55.0, 200.0):
        polygons = np.array([lake, other_way, islands])
        assert_alike(polygons, lon, lat, np.full(len(lon), radius))


@pytest.mark.parametrize("radius", [5.0, 60.0])
def test_areas_that_overlap_are_all_listed(radius):
    """Two layers in one, as nobody should import them: the points do not depend on the raster."""
    one, other = build(3, areas=4, on_top=0), build(3, areas=7, on_top=0)
    polygons = np.concatenate([one.polygons, other.polygons])
    lon, lat = one.points(150)
    expected, _ = overlaid(polygons, lon, lat, np.full(len(lon), radius))
    placed = Coverage(polygons, cells=20_000).place(lon, lat, radius)
    shares = np.zeros_like(expected)
    shares[np.repeat(np.arange(len(lon)), np.diff(placed.starts)), placed.candidate] = placed.share
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    assert (expected > 0.5).sum(axis=1).max() >= 2


def test_without_edges_nothing_is_near():
    near = Edges(np.array([], object)).around(np.array([113.0]), np.array([23.0]), np.array([20.0]))
    assert [len(column) for column in near] == [0, 0, 0, 0]
