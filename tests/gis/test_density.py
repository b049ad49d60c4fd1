"""Kernel density held to the sum over events written out, and to what a map needs of it."""

import doctest

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import density
from gis.density import Surface, kernel_density, picture
from gis.plane import Plane

TOWN = shapely.Polygon(
    [(113.1, 23), (113.14, 23), (113.14, 23.01), (113.12, 23.01), (113.12, 23.03), (113.1, 23.03)]
)
YELLOW_RED = [(255, 255, 0, 0), (255, 0, 0, 200)]


def places(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.uniform(113.095, 113.145, count), rng.uniform(22.995, 23.035, count)


def per_km2(kind, xy_m, at_m, h):
    """Σ K over events, 1 / km², for a quartic kernel of radius h or a Gaussian of deviation h."""
    u2 = ((at_m[:, None] - xy_m) ** 2).sum(axis=2) / h**2
    if kind == "quartic":
        return 3 / np.pi * np.maximum(1 - u2, 0) ** 2 / h**2 * 1e6
    return np.exp(-u2 / 2) / (2 * np.pi) / h**2 * 1e6


def test_the_examples_run():
    assert doctest.testmod(density).failed == 0


@pytest.mark.parametrize("kernel", ["quartic", "gaussian"])
def test_it_is_the_corrected_sum_over_events(kernel):
    lon, lat = places(60)
    h, plane = 600.0, Plane.around(np.array([TOWN], dtype=object))
    found = kernel_density(lon, lat, TOWN, h, kernel=kernel, step_m=60)
    within = ~np.isnan(found.density)
    cells = np.stack(np.meshgrid(found.lon, found.lat), axis=-1)[within] * plane.scale
    inside = shapely.contains_xy(TOWN, lon, lat)
    xy = np.column_stack([lon, lat])[inside] * plane.scale
    values = per_km2(kernel, xy, cells, h)
    # Diggle: divided by the part of the kernel that lies inside.
    parts = per_km2(kernel, cells, cells, h).sum(axis=0) * found.cell_m2 / 1e6
    expected = values.sum(axis=1) / parts
    assert (found.events, found.outside) == (inside.sum(), (~inside).sum())
    assert np.abs(found.density[within] - expected).max() < 0.03 * expected.max()
    assert np.corrcoef(found.density[within], expected)[0, 1] > 0.999


@settings(deadline=None, max_examples=10)
@given(
    st.integers(0, 40), st.integers(0, 2**32 - 1), st.sampled_from([400, 900]),
    st.sampled_from(["quartic", "gaussian"]), st.sampled_from([1, 7]),
)  # fmt: skip
def test_all_events_count_and_none_twice(count, seed, bandwidth_m, kernel, periods):
    lon, lat = places(count, seed)
    weight = np.random.default_rng(seed).integers(0, 5, count)
    found = kernel_density(
        lon, lat, TOWN, bandwidth_m, kernel=kernel, weight=weight, periods=periods
    )
    inside = shapely.intersects_xy(TOWN, lon, lat)
    assert found.events == weight[inside].sum()
    assert found.events + found.outside == weight.sum()
    # Away from the border, where nothing is corrected, the total stays.
    wide = kernel_density(
        lon,
        lat,
        shapely.box(113, 22.9, 113.24, 23.13),
        bandwidth_m,
        kernel=kernel,
        weight=weight,
        periods=periods,
    )
    total = np.nansum(wide.density) * wide.cell_m2 / 1e6 * periods
    assert total == pytest.approx(weight.sum(), rel=0.001)
    assert (found.density[~np.isnan(found.density)] >= 0).all()


def test_an_even_city_is_even_up_to_its_border():
    lon, lat = places(300_000)
    found = kernel_density(lon, lat, TOWN, 500)
    values = found.density[~np.isnan(found.density)]
    assert np.abs(values / values.mean() - 1).max() < 0.2


def test_positions_that_are_none_are_left_out():
    found = kernel_density([np.nan, 113.11, np.inf], [23.01, 23.01, 23.01], TOWN, 500)
    assert (found.events, found.outside) == (1, 2)


def test_where_nothing_happened_the_surface_is_nothing():
    found = kernel_density([], [], TOWN, 500)
    assert np.nanmax(found.density) == 0
    assert np.isnan(found.density).any()
    assert not picture(found, YELLOW_RED)[..., 3].any()


def test_the_northernmost_row_comes_first():
    found = kernel_density([113.11], [23.029], TOWN, 300)
    row, column = np.unravel_index(np.nanargmax(found.density), found.density.shape)
    assert found.lat[row] == pytest.approx(23.029, abs=0.001)
    assert found.lon[column] == pytest.approx(113.11, abs=0.001)
    west, south, east, north = found.bounds
    assert west <= 113.10 and south <= 23.0 and east >= 113.14 and north >= 23.03
    assert found.lat[0] > found.lat[-1]


def test_a_picture_goes_from_the_first_colour_to_the_last():
    surface = Surface(np.array([[0.0, 1, 2, 4, np.nan]]), (0, 0, 1, 1), 1, 1, 7, 0)
    image = picture(surface, YELLOW_RED, top=2)[0]
    assert image.dtype == np.uint8
    assert image.tolist() == [
        [255, 255, 0, 0], [255, 128, 0, 100], [255, 0, 0, 200], [255, 0, 0, 200], [0, 0, 0, 0]
    ]  # fmt: skip


def test_a_picture_for_a_mercator_map_has_its_rows_at_their_place():
    south, north, rows = 10.0, 60.0, 1000
    lat = north - (np.arange(rows) + 0.5) / rows * (north - south)
    surface = Surface(lat[:, None], (0, south, 1, north), 1, 1, 1, 0)
    image = picture(surface, [(0, 0, 0, 255), (255, 0, 0, 255)], top=60)[:, 0, 0]
    y = np.arctanh(np.sin(np.radians([north, south])))
    middle = np.degrees(np.arcsin(np.tanh(y.mean())))  # what lies halfway up such a map
    assert image[rows // 2] == pytest.approx(middle / 60 * 255, abs=1)
    plain = picture(surface, [(0, 0, 0, 255), (255, 0, 0, 255)], top=60, mercator=False)
    assert plain[rows // 2, 0, 0] == pytest.approx(35 / 60 * 255, abs=1)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lon": [1, 2]}, "one number each"),
        ({"bandwidth_m": 0}, "bandwidth_m must be more than 0"),
        ({"bandwidth_m": np.nan}, "bandwidth_m must be more than 0"),
        ({"step_m": 400}, "at most a third"),
        ({"kernel": "epanechnikov"}, "no kernel 'epanechnikov'"),
        ({"weight": -1}, "at least 0"),
        ({"periods": 0}, "periods must be more than 0"),
        ({"bandwidth_m": 5}, "Take a step of"),
        ({"area": shapely.Point(1, 1)}, "polygon"),
        (
            {"area": [shapely.box(x, x - 90, x + 1e-6, x - 90 + 1e-6) for x in (113, 113.1)]},
            "too small",
        ),
    ],
)
def test_bad_input_is_named(change, sentence):
    call = {"lon": [113.11], "lat": [23.01], "area": TOWN, "bandwidth_m": 500} | change
    with pytest.raises(ValueError, match=sentence):
        kernel_density(**call)


@pytest.mark.parametrize(
    "ramp", [[(0, 0, 0, 0)], [(0, 0, 0), (1, 1, 1)], [(0, 0, 0, 0), (0, 0, 0, 256)]]
)
def test_a_bad_ramp_is_named(ramp):
    with pytest.raises(ValueError, match=r"A ramp|between 0 and 255"):
        picture(Surface(np.zeros((1, 1)), (0, 0, 1, 1), 1, 1, 0, 0), ramp)
