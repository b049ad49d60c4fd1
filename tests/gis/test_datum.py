import doctest
import time

import eviltransform
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gis import datum as module
from gis.datum import (
    BD09,
    CGCS2000,
    CHINA,
    GCJ02,
    REASONS,
    WGS84,
    DatumError,
    diagnose,
    from_wgs84,
    normalise,
    parse,
    to_wgs84,
)

GUANGDONG = (109.6, 20.1, 117.4, 25.6)
FOSHAN = (112.3, 22.6, 113.5, 23.7)
SHIFTED = pytest.mark.parametrize("datum", ["gcj02", "bd09"])

shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
degrees = st.tuples(st.floats(GUANGDONG[0], GUANGDONG[2]), st.floats(GUANGDONG[1], GUANGDONG[3]))
anywhere = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


def grid_of(bounds, n=120):
    west, south, east, north = bounds
    return np.meshgrid(np.linspace(west, east, n), np.linspace(south, north, n))


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("wgs84", "wgs84"),
        ("WGS-84", "wgs84"),
        (" WGS 84 ", "wgs84"),
        ("EPSG:4326", "wgs84"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "wgs84"),
        ("cgcs2000", "cgcs2000"),
        (4490, "cgcs2000"),
        ("gcj02", "gcj02"),
        ("GCJ-02", "gcj02"),
        ("ＧＣＪ０２", "gcj02"),
        ("高德", "gcj02"),
        ("BD-09", "bd09"),
        ("bd09ll", "bd09"),
        ("EPSG:4547", "EPSG:4547"),
        ("4547", "EPSG:4547"),
        ("urn:ogc:def:crs:EPSG::4547", "EPSG:4547"),
        ("http://www.opengis.net/def/crs/EPSG/0/4547", "EPSG:4547"),
    ],
)
def test_parse_reads_the_usual_spellings(name, canonical):
    datum = parse(name)
    assert datum.name == str(datum) == canonical
    assert parse(datum) is datum and parse(datum.name) == datum


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "not known; give wgs84, cgcs2000, gcj02, bd09, or an EPSG code"),
        ("mars2", "'mars2' is not known; give wgs84"),
        ("bd09mc", "not known"),
        ("EPSG:9999", "not in the EPSG register"),
        ("EPSG:5773", "two axes"),  # heights
        ("EPSG:4979", "two axes"),  # longitude, latitude and height
        ("EPSG:4610", "Xian 1980.* no transformation|no transformation.*Xian 1980"),
    ],
)
def test_parse_refuses_with_what_is_known(name, said):
    with pytest.raises(DatumError, match=said):
        parse(name)


@pytest.mark.parametrize(
    ("datum", "lonlat", "shifted"),
    [
        ("gcj02", (113.1233, 23.0218), (113.128781362407, 23.019245248141)),
        ("bd09", (113.1233, 23.0218), (113.135268419224, 23.025220077711)),
        ("gcj02", (116.3975, 39.9087), (116.403743572652, 39.910103499345)),
        ("bd09", (116.3975, 39.9087), (116.410116586473, 39.916442749631)),
        ("gcj02", (87.6168, 43.8256), (87.619649949469, 43.826805393111)),
        ("bd09", (87.6168, 43.8256), (87.626099770816, 43.832949794793)),
        ("gcj02", (110.3, 18.2), (110.304213808961, 18.198396018161)),
        ("bd09", (110.3, 18.2), (110.310681318819, 18.204492073182)),
    ],
)
def test_positions_computed_by_another_program(datum, lonlat, shifted):
    """Foshan, Beijing, Urumqi and Sanya, by geocoordinates-rs 0.14.2."""
    assert np.allclose(from_wgs84(*lonlat, datum), shifted, rtol=0, atol=1e-11)
    assert np.allclose(to_wgs84(*shifted, datum), lonlat, rtol=0, atol=1e-11)


@SHIFTED
def test_eviltransform_agrees_to_a_centimetre(datum):
    """It takes the equatorial radius of WGS 84 for that of Krasovsky 1940: a part in 90,000."""
    ours = from_wgs84(*grid_of(GUANGDONG, 30), datum)
    theirs = {"gcj02": eviltransform.wgs2gcj, "bd09": eviltransform.wgs2bd}[datum]
    lon, lat = (axis.ravel() for axis in grid_of(GUANGDONG, 30))
    y, x = np.transpose([theirs(b, a) for a, b in zip(lon, lat, strict=True)])
    assert np.abs(ours[0].ravel() - x).max() < 1.2e-7
    assert np.abs(ours[1].ravel() - y).max() < 1.2e-7
    assert np.abs(x - lon).min() > 1e-3  # and the shift is one


@SHIFTED
@given(degrees)
def test_round_trip_over_guangdong(datum, place):
    assert np.allclose(to_wgs84(*from_wgs84(*place, datum), datum), place, rtol=0, atol=1e-9)
    assert np.allclose(from_wgs84(*to_wgs84(*place, datum), datum), place, rtol=0, atol=1e-9)


@SHIFTED
def test_round_trip_everywhere_inside_the_rectangle(datum):
    west, south, east, north = CHINA  # up to its very edge, where the shift leads out of it
    lon, lat = grid_of((west + 1e-9, south + 1e-9, east - 1e-9, north - 1e-9), 300)
    back = to_wgs84(*from_wgs84(lon, lat, datum), datum)
    assert np.abs(back[0] - lon).max() < 1e-9
    assert np.abs(back[1] - lat).max() < 1e-9


@SHIFTED
@given(anywhere)
def test_identity_outside_china(datum, place):
    west, south, east, north = CHINA
    lon, lat = place
    if not (west <= lon <= east and south <= lat <= north):
        assert from_wgs84(lon, lat, datum) == place
    if not (west - 0.1 <= lon <= east + 0.1 and south - 0.1 <= lat <= north + 0.1):
        assert to_wgs84(lon, lat, datum) == place


@SHIFTED
def test_a_mixed_array_converts_each_point_as_if_alone(datum):
    lon, lat = grid_of((60.0, -10.0, 150.0, 70.0), 150)  # more than a chunk
    together = to_wgs84(lon, lat, datum)
    for i, j in [(0, 0), (75, 75), (149, 149), (60, 88), (111, 3)]:
        alone = to_wgs84(lon[i, j], lat[i, j], datum)
        assert np.allclose(alone, (together[0][i, j], together[1][i, j]), rtol=0, atol=1e-11)


@pytest.mark.parametrize("datum", ["wgs84", "cgcs2000", "gcj02", "bd09", "EPSG:4547", "EPSG:3857"])
@given(shape=shapes)
def test_the_shape_is_kept(datum, shape):
    lon, lat = np.full(shape, 113.1), np.full(shape, 23.0)
    for function in (to_wgs84, from_wgs84):
        x, y = function(
            *(from_wgs84(lon, lat, datum) if function is to_wgs84 else (lon, lat)), datum
        )
        assert x.shape == y.shape == shape and np.isfinite(x).all()
    assert diagnose(lon, lat, "wgs84").shape == shape
    assert (lon == 113.1).all() and (lat == 23.0).all()  # the caller's arrays are left alone


@pytest.mark.parametrize("datum", ["wgs84", "gcj02", "bd09", "EPSG:4547"])
def test_missing_coordinates_pass_through_as_nan(datum):
    x = [np.nan, 113.1, np.inf, 113.1, 113.1]
    y = [23.0, np.nan, 23.0, -np.inf, 23.0]
    for function in (to_wgs84, from_wgs84):
        for axis in function(x, y, datum):
            assert np.isnan(axis).tolist() == [True, True, True, True, False]


def test_axes_broadcast():
    lon, lat = to_wgs84([113.0, 113.1, 113.2], 23.0, "gcj02")
    assert lon.shape == lat.shape == (3,)
    assert np.allclose(to_wgs84(113.1, 23.0, "gcj02"), (lon[1], lat[1]), rtol=0, atol=1e-11)


def test_projected_systems_take_easting_first():
    lon, lat = to_wgs84(500_000.0, 2_545_000.0, "EPSG:4547")
    assert np.isclose(lon, 114.0) and 22.9 < lat < 23.1
    assert np.allclose(from_wgs84(lon, lat, 4547), (500_000, 2_545_000), rtol=0, atol=1e-4)
    zone = from_wgs84(lon, lat, 4526)  # the same meridian, its zone number before the easting
    assert np.allclose(zone, (38_500_000, 2_545_000), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["wgs84", "gcj02", "bd09", "EPSG:4547"])
def test_normalising_says_both_what_the_place_is_and_what_is_wrong(name):
    x, y = from_wgs84([113.1, 113.9, 121.5], [23.0, 22.5, 31.2], name)
    x, y = np.append(x, [0, y[0]]), np.append(y, [0, x[0]])
    for part in (slice(0, 3), slice(None)):  # nothing to find fault with, and something
        lon, lat, reason = normalise(x[part], y[part], name)
        good = to_wgs84(x[part], y[part], name)
        assert np.array_equal(lon[:3], good[0][:3]) and np.array_equal(lat[:3], good[1][:3])
        assert reason.tolist() == diagnose(x[part], y[part], name).tolist()
    assert reason[3] == "null_island" and reason[4] == "swapped"


def test_cgcs2000_is_wgs84():
    assert to_wgs84(113.1, 23.0, "cgcs2000") == (113.1, 23.0) == from_wgs84(113.1, 23.0, CGCS2000)


def test_a_projection_of_another_datum_is_shifted_not_just_unprojected():
    lon, lat = to_wgs84(836_694.05, 819_069.80, "EPSG:2326")  # Hong Kong 1980, its origin
    assert abs(lon - 114.178556) > 0.002 and abs(lat - 22.312133) > 0.001


@pytest.mark.parametrize(
    ("x", "y", "datum", "reason"),
    [
        (113.1, 23.0, "wgs84", ""),
        (113.1, 23.0, "bd09", ""),
        (-87.6, 41.9, "wgs84", ""),
        (113.1, np.nan, "wgs84", "not_a_number"),
        (np.inf, 23.0, "gcj02", "not_a_number"),
        (0.0, 0.0, "gcj02", "null_island"),
        (0.0, 0.0, "wgs84", "null_island"),
        (0.0, 0.0, "EPSG:4547", "null_island"),
        (23.0, 113.1, "wgs84", "swapped"),
        (23.0, 113.1, "gcj02", "swapped"),
        (41.0, 80.0, "gcj02", "swapped"),  # Xinjiang: both ways on the globe
        (2_545_000.0, 413_000.0, "EPSG:4547", "swapped"),
        (12_590_234.0, 2_632_019.0, "wgs84", "metres"),
        (413_000.0, 2_545_000.0, "gcj02", "metres"),
        (2_545_000.0, 38_413_000.0, "cgcs2000", "metres"),
        (113.1, 23.0, "EPSG:4547", "degrees"),
        (213.1, 23.0, "wgs84", "out_of_range"),
        (113.1, 2300.0, "wgs84", "out_of_range"),
        (113_100_000.0, 23_000_000.0, "wgs84", "out_of_range"),
        (1e20, 1e20, "EPSG:4547", "out_of_range"),
        (-87.6, 41.9, "gcj02", "wrong_datum"),
        (2.35, 48.9, "bd09", "wrong_datum"),
        (-87.6, 41.9, "cgcs2000", "wrong_datum"),
        (413_000.0, 6_545_000.0, "EPSG:4547", "wrong_datum"),
        (113.1, 23.0, "EPSG:4807", "wrong_datum"),  # a datum of France
    ],
)
def test_diagnose_finds_the_fault(x, y, datum, reason):
    assert diagnose(x, y, datum) == reason
    assert reason == "" or REASONS[reason].endswith(".")


def test_the_extent_shows_what_is_swapped_where_both_orders_are_on_the_globe():
    urumqi = (87.2, 43.5, 88.0, 44.2)
    assert diagnose(43.8, 87.6, "wgs84") == ""
    assert diagnose(43.8, 87.6, "wgs84", urumqi) == "swapped"
    assert diagnose(87.6, 43.8, "wgs84", urumqi) == ""
    assert diagnose(116.4, 39.9, "wgs84", FOSHAN) == ""  # elsewhere, but not at fault


def test_one_zone_serves_a_city_whose_edge_lies_in_the_next():
    gaoming = from_wgs84(112.4, 22.8, "EPSG:4547")  # the zone begins at 112.5
    assert diagnose(*gaoming, "EPSG:4547") == ""


def test_a_datum_whose_area_crosses_the_date_line():
    assert diagnose(*from_wgs84(178.0, -18.0, "EPSG:3832"), "EPSG:3832") == ""  # Fiji
    assert diagnose(*from_wgs84(-178.0, -18.0, "EPSG:3832"), "EPSG:3832") == ""


@given(st.lists(degrees, max_size=20), st.sampled_from([WGS84, CGCS2000, GCJ02, BD09]))
def test_nothing_speaks_against_guangdong(rows, datum):
    x, y = np.array(rows).reshape(-1, 2).T
    assert not diagnose(x, y, datum).astype(bool).any()
    assert (diagnose(y, x, datum) == "swapped").all()


@given(st.floats(), st.floats(), st.sampled_from(["wgs84", "gcj02", "bd09", "EPSG:4547"]))
def test_every_pair_of_floats_has_a_verdict(x, y, datum):
    reason = str(diagnose(x, y, datum))
    assert reason in {"", *REASONS}
    if reason == "":
        assert np.isfinite(to_wgs84(x, y, datum)).all()


@SHIFTED
def test_a_hundred_thousand_points_take_a_moment(datum):
    rng = np.random.default_rng(2)
    x, y = rng.uniform(112, 114, 100_000), rng.uniform(22, 24, 100_000)
    start = time.perf_counter()
    to_wgs84(x, y, datum)
    assert time.perf_counter() - start < 1.0  # 0.1 s on two slow cores; a loop takes 3 s or more


def test_the_examples_of_the_docstrings_run():
    ran = doctest.testmod(module)
    assert ran.attempted >= 6 and not ran.failed
