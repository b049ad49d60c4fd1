"""One point in the database and many on arrays: the two tellings of placement agree."""

from datetime import UTC, datetime, timedelta
from itertools import count

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import text

from data.areas import change, ensure_layer, read, record
from data.settings import ROOT
from gis.placement import WEIGHTS, Clues, Coverage, Memory, Method
from tests.coverages import City, build

CHICAGO = ROOT.parent / "shared/data/chicago"
WORDS = np.array(["", "North", "South"], dtype=object)

CANDIDATES = text("""
SELECT q.n - 1 AS point, c.*
FROM unnest(CAST(:lon AS float8[]), CAST(:lat AS float8[]), CAST(:radius AS float8[]),
            CAST(:street AS text[]), CAST(:block AS text[]), CAST(:side AS integer[]),
            CAST(:premises AS text[])) WITH ORDINALITY
     q (lon, lat, radius, street, block, side, premises, n)
CROSS JOIN LATERAL candidates(
    q.lon, q.lat, q.radius, :layer, :overlays, :at, :known, :border_m, :snap_m, :weights,
    nullif(q.street, ''), nullif(q.block, ''), nullif(q.side, -1), nullif(q.premises, '')
) WITH ORDINALITY c (layer, version_id, area_id, inside, share, border_m, score, rank)
ORDER BY q.n, c.rank
""")

REMEMBER = text("""
INSERT INTO confirmation
    (layer, area_id, geom, informative, street, block, side, premises, recorded)
SELECT :layer, area, ST_SetSRID(ST_MakePoint(lon, lat), 4326), informative, nullif(street, ''),
       nullif(block, ''), nullif(side, -1), nullif(premises, ''), recorded
FROM unnest(CAST(:area AS bigint[]), CAST(:lon AS float8[]), CAST(:lat AS float8[]),
            CAST(:informative AS boolean[]), CAST(:street AS text[]), CAST(:block AS text[]),
            CAST(:side AS integer[]), CAST(:premises AS text[]), CAST(:recorded AS timestamptz[]))
     q (area, lon, lat, informative, street, block, side, premises, recorded)
""")


@pytest.fixture
def store(engine, serial=count()):
    """Record a city as a layer of its own; gives the layer's name and the change."""

    def put(city, layer=None, **more):
        name = layer or f"city-{next(serial)}"
        with engine.begin() as connection:
            ensure_layer(connection, name)
        frame = gpd.GeoDataFrame(
            {
                "code": [f"{k:03}" for k in range(len(city.polygons))],
                "kind": np.where(city.dedicated, "dedicated", "basic"),
            },
            geometry=list(city.polygons),
            crs=4326,
        )
        with change(engine, "import") as opened:
            record(opened, name, frame, **more)
        return name, opened.recorded

    return put


def nothing_known(n):
    none = np.full(n, "", dtype=object)
    return Clues(none, none, np.full(n, -1), none)


def in_the_database(engine, layer, lon, lat, radius, known, *, overlays=(), clues=None, **more):
    """The rows of `candidates` for every point, with the number of the point."""
    n = len(lon)
    given = clues or nothing_known(n)
    asked = {
        "lon": np.asarray(lon).tolist(),
        "lat": np.asarray(lat).tolist(),
        "radius": np.broadcast_to(radius, n).astype(float).tolist(),
        "layer": layer,
        "overlays": list(overlays),
        "at": known,
        "known": known,
        "border_m": 1.0,
        "snap_m": 200.0,
        "weights": list(WEIGHTS),
        **{k: v.tolist() for k, v in vars(given).items()},
    }
    with engine.connect() as connection:
        return pd.read_sql_query(CANDIDATES, connection, params={**asked, **more})


def areas(engine, layer, **moments):
    """The ids of the layer's areas, in the order of the arrays."""
    with engine.connect() as connection:
        return read(connection, layer, **moments).area_id.to_numpy()


def assert_agree(rows, placed, ids, lon, lat):
    """Same candidates in the same order with the same shares, scores and distances."""
    by_point = dict(iter(rows.groupby("point")))
    index = {area: k for k, area in enumerate(ids)}
    checked = 0
    for i in range(len(lon)):
        got = by_point.get(i)
        at = slice(placed.starts[i], placed.starts[i + 1])
        expected, share, score = placed.candidate[at], placed.share[at], placed.score[at]
        if not len(expected):
            assert (got is not None) == (placed.area[i] >= 0), (lon[i], lat[i])
            if got is not None:
                assert len(got) == 1
                assert index[got.area_id.iloc[0]] == placed.area[i]
                assert not got.inside.iloc[0]
                np.testing.assert_allclose(got.border_m, placed.border_m[i], rtol=1e-4)
                np.testing.assert_array_equal(got.share, 0)
            continue
        found = np.array([index[area] for area in got.area_id])
        assert set(found) == set(expected), (lon[i], lat[i])
        if len(score) < 2 or np.min(-np.diff(score)) > 1e-4:  # no tie
            np.testing.assert_array_equal(found, expected)
        order = [list(found).index(k) for k in expected]
        np.testing.assert_allclose(got.share.to_numpy()[order], share, atol=1e-6)
        if len(expected) > 1:  # a lone one needs no score
            np.testing.assert_allclose(got.score.to_numpy()[order], score, atol=5e-5)
        first = got.iloc[order[0]]
        np.testing.assert_allclose(first.border_m, placed.border_m[i], rtol=1e-4, atol=1e-4)
        checked += 1
    return checked


def everywhere(city, n, radius):
    """Points all over, on borders and near them."""
    parts = city.points(n, beyond_m=400), city.near_borders(n, radius / 2)
    return tuple(np.concatenate(xy) for xy in zip(*parts, strict=True))


CITIES = [
    {"areas": 8},
    {"areas": 3, "missing": 0.3, "at": (-87.7, 41.9)},
    {"areas": 6, "on_top": 4},
    {"areas": 9, "on_top": 3, "missing": 0.2, "cell_m": 80.0, "at": (151.2, -33.9)},
    {"areas": 9, "cell_m": 4000.0, "at": (10.7, 59.9)},
]


@pytest.mark.parametrize("seed", range(len(CITIES)))
def test_the_database_places_as_the_arrays_do(engine, store, seed):
    city = build(seed, **CITIES[seed])
    layer, known = store(city)
    ids = areas(engine, layer)
    coverage = Coverage(city.polygons, city.dedicated, cells=20_000)
    for radius in (5.0, 60.0, 450.0):
        lon, lat = everywhere(city, 40, min(radius, 60.0))
        rows = in_the_database(engine, layer, lon, lat, radius, known)
        placed = coverage.place(lon, lat, radius)
        assert assert_agree(rows, placed, ids, lon, lat) > 20
        outside = shapely.distance(city.land, shapely.points(lon, lat)) > 0
        assert outside.any()


def test_a_position_without_extent_is_placed_too(engine, store):
    city = build(11, on_top=2)
    layer, known = store(city)
    lon, lat = city.points(60)
    inner = slice(0, 60)
    rows = in_the_database(engine, layer, lon[inner], lat[inner], 0.0, known)
    placed = Coverage(city.polygons, city.dedicated, cells=20_000).place(lon[inner], lat[inner], 0)
    first = rows.groupby("point").area_id.first()
    np.testing.assert_array_equal(
        areas(engine, layer)[placed.area[placed.area >= 0]],
        first.reindex(np.flatnonzero(placed.area >= 0)),
    )


def test_overlays_are_listed_beside_and_change_nothing(engine, store):
    city, beats = build(21, on_top=3), build(22, columns=4, areas=5)
    layer, _ = store(city)
    overlay, known = store(beats)
    lon, lat = everywhere(city, 60, 20)
    with_beats = in_the_database(engine, layer, lon, lat, 40.0, known, overlays=[overlay])
    own = with_beats[with_beats.layer == layer]
    placed = Coverage(city.polygons, city.dedicated, cells=20_000).place(lon, lat, 40.0)
    assert_agree(own, placed, areas(engine, layer), lon, lat)
    # Of an overlay: what the disc meets, as if it were asked for alone without snapping.
    alone = in_the_database(engine, overlay, lon, lat, 40.0, known, snap_m=0.0)
    columns = ["point", "area_id", "inside", "share"]
    other = with_beats[with_beats.layer == overlay][columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(other, alone[columns])
    assert set(other.area_id) <= set(areas(engine, overlay))
    assert with_beats[with_beats.layer == overlay].border_m.isna().all()
    ranks = with_beats.groupby("point")["layer"].agg(list)
    assert all(names == sorted(names, key=lambda name: name != layer) for names in ranks)


def test_an_overlay_that_reaches_farther_does_not_keep_a_point_from_being_snapped(engine, store):
    city, wide = build(23, columns=3, rows=3), build(24, columns=1, rows=1, cell_m=20_000.0)
    middle = np.array(shapely.total_bounds(city.polygons)).reshape(2, 2).mean(axis=0)
    shift = middle - shapely.get_coordinates(shapely.centroid(wide.polygons))[0]
    layer, _ = store(city)
    overlay, known = store(
        City(shapely.transform(wide.polygons, lambda xy: xy + shift), wide.dedicated, wide.rng)
    )
    lon, lat = city.points(100, beyond_m=400)
    rows = in_the_database(engine, layer, lon, lat, 5.0, known, overlays=[overlay])
    assert set(rows[rows.layer == overlay].point) == set(range(len(lon)))
    placed = Coverage(city.polygons, cells=20_000).place(lon, lat, 5.0)
    assert (placed.method == Method.SNAPPED).sum() > 5
    assert_agree(rows[rows.layer == layer], placed, areas(engine, layer), lon, lat)


def test_memory_is_heard_alike(engine, store):
    city = build(31, areas=7, on_top=2)
    layer, known = store(city)
    ids = areas(engine, layer)
    rng = city.rng
    lon, lat = city.near_borders(150, 10)
    n, m = 1_500, len(lon)
    row = rng.integers(0, m, n)
    spread = rng.choice([0.0, 5.0, 60.0, 400.0], n)
    step = rng.normal(0, 1, (2, n)) * spread / city.metres[:, None]
    memory = Memory(
        lon[row] + step[0],
        lat[row] + step[1],
        rng.integers(0, len(ids), n),
        rng.choice(WORDS, n),
        rng.choice(WORDS, n),
        rng.integers(-1, 2, n),
        rng.choice(WORDS, n),
    )
    informative = rng.uniform(size=n) < 0.8
    later = rng.uniform(size=n) < 0.3  # confirmed after the moment of the question
    recorded = np.where(later, known + timedelta(seconds=1), known)
    labels = {k: v.tolist() for k, v in vars(memory).items() if k != "tree"}
    with engine.begin() as connection:
        connection.execute(
            REMEMBER,
            labels
            | {
                "layer": layer,
                "area": ids[memory.area].tolist(),
                "informative": informative.tolist(),
                "recorded": recorded.tolist(),
            },
        )
    clues = Clues(
        rng.choice(WORDS, m), rng.choice(WORDS, m), rng.integers(-1, 2, m), rng.choice(WORDS, m)
    )
    coverage = Coverage(city.polygons, city.dedicated, cells=20_000)
    heard = {}
    for moment, speaks in (
        (known, informative & ~later),
        (known + timedelta(seconds=1), informative),
        (known - timedelta(microseconds=1), None),
    ):
        rows = in_the_database(engine, layer, lon, lat, 20.0, moment, clues=clues)
        if speaks is None:  # before there was a map
            assert rows.empty
            continue
        own = Memory(*(getattr(memory, name)[speaks] for name in Memory.__dataclass_fields__))
        placed = coverage.place(lon, lat, 20.0, memory=own, clues=clues)
        assert assert_agree(rows, placed, ids, lon, lat) > 100
        heard[moment] = placed
    plain = coverage.place(lon, lat, 20.0)
    assert all((placed.area != plain.area).any() for placed in heard.values())


def test_each_moment_has_its_own_map(engine, store):
    old, new = build(41, areas=6), build(42, areas=6, on_top=2)
    layer, first = store(old)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    _, second = store(new, layer, valid_from=tomorrow, replace=True)
    lon, lat = everywhere(old, 50, 30)
    for city, at, known in (
        (old, tomorrow - timedelta(hours=1), second),
        (new, tomorrow + timedelta(hours=1), second),
        (old, tomorrow + timedelta(hours=1), first),
    ):
        rows = in_the_database(engine, layer, lon, lat, 30.0, known, at=at)
        placed = Coverage(city.polygons, city.dedicated, cells=20_000).place(lon, lat, 30.0)
        ids = areas(engine, layer, at=at, known=known)
        assert assert_agree(rows, placed, ids, lon, lat) > 50


def test_the_database_places_chicago_as_the_arrays_do(engine, store):
    if not CHICAGO.exists():
        pytest.skip("no published data beside the project")
    beats = gpd.read_file(f"/vsigzip/{CHICAGO}/police-beats.geojson.gz").dissolve("beat_num")
    reports = pd.read_csv(CHICAGO / "crimes-2019-q1.csv.gz").dropna(subset="longitude")
    reports = reports.sample(1_000, random_state=1)
    city = build(0)
    city = type(city)(beats.geometry.to_numpy(), np.zeros(len(beats), bool), city.rng)
    layer, known = store(city)
    lon, lat = reports.longitude.to_numpy(), reports.latitude.to_numpy()
    rows = in_the_database(engine, layer, lon, lat, 20.0, known)
    placed = Coverage(city.polygons, cells=1_000_000).place(lon, lat, 20.0)
    assert assert_agree(rows, placed, areas(engine, layer), lon, lat) > 950
