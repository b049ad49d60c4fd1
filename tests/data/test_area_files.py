"""Areas in from files and out to them: checked as a coverage, all or nothing, identical again."""

import json
from datetime import UTC, datetime
from itertools import count

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from sqlalchemy import create_engine, text

from data import area_files, vector_files
from data.area_files import CoverageError, Options, load, save
from data.areas import AreaError
from data.errors import FileError

AT, SIZE = np.array([113.1, 23.0]), 0.01
VILLAGES = ("440604010001", "440604010002")
FORMATS = ("a.geojson", "a.geojson.gz", "a.gpkg", "a.zip", "a.parquet")
serial = count()


@pytest.fixture
def layer():
    return f"layer-{next(serial)}"


def shape(*corners):
    return shapely.transform(shapely.Polygon(corners), lambda xy: xy * SIZE + AT)


def box(column, row, width=1.0, height=1.0):
    return shape(
        (column, row), (column + width, row), (column + width, row + height), (column, row + height)
    )


def block(n=3, prefix="a"):
    """n x n boxes that tile a square."""
    shapes = [box(c, r) for r in range(n) for c in range(n)]
    codes = [f"{prefix}{k + 1}" for k in range(len(shapes))]
    return gpd.GeoDataFrame({"code": codes, "name": codes}, geometry=shapes, crs=4326)


def file_of(frame, path):
    vector_files.write(frame, path)
    return path


def in_force(engine, layer):
    with engine.connect() as connection:
        return dict(
            connection.execute(
                text(
                    "SELECT a.code, ST_AsText(v.geom) FROM area a JOIN area_version v"
                    " ON v.area_id = a.id AND upper_inf(v.recorded) WHERE a.layer = :layer"
                ),
                {"layer": layer},
            ).all()
        )


def everything(engine):
    """How much is in every table that an import of areas writes to."""
    tables = ("layer", "change", "area", "area_version", "area_piece", "area_border")
    with engine.connect() as connection:
        return [connection.execute(text(f"SELECT count(*) FROM {t}")).scalar_one() for t in tables]


# --- round trip -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other_engine(make_database):
    made = create_engine(make_database())
    yield made
    made.dispose()


def rich():
    frame = block()
    holed = shapely.difference(box(4, 0, 3, 3), box(5, 1))
    parts = shapely.union_all([box(8, 0), box(10, 0)])
    odd = gpd.GeoDataFrame(
        {"code": ["0042", "p"], "name": ["禅城区·祖庙", 'a "quoted", name']},
        geometry=[holed, parts],
        crs=4326,
    )
    frame = gpd.GeoDataFrame(pd.concat([frame, odd], ignore_index=True), crs=4326)
    frame["residents"] = range(len(frame))
    frame["share"] = [i / 7 for i in range(len(frame))]
    frame["leading"] = [f"0{i}" for i in range(len(frame))]
    frame["party_branch"] = [f"第{i}党支部" for i in range(len(frame))]
    frame["a_long_column_name"] = ["x" * 300] * len(frame)
    return frame


@pytest.mark.parametrize("name", FORMATS)
def test_a_layer_comes_back_identical(engine, other_engine, tmp_path, layer, name):
    load(engine, file_of(rich(), tmp_path / "in.geojson"), Options(layer))
    first, second = tmp_path / name, tmp_path / f"again-{name}"
    assert save(engine, first, layer) == 11
    load(other_engine, first, Options(layer))
    save(other_engine, second, layer)
    one, two = vector_files.read(first), vector_files.read(second)
    assert_geodataframe_equal(one, two)
    assert one.geometry.to_wkb().tolist() == two.geometry.to_wkb().tolist()
    given = rich().sort_values("code").reset_index(drop=True)
    assert (one.geometry.normalize() == given.geometry.normalize()).all()
    for column in given.columns.drop("geometry"):
        assert one[column].tolist() == given[column].tolist(), column
    assert load(engine, first, Options(layer)).unchanged == 11


def test_the_crs_is_told_and_moved(engine, tmp_path, layer):
    frame = block()
    path = tmp_path / "a.gpkg"
    frame.to_crs(4547).to_file(path, layer="a")
    load(engine, path, Options(layer))
    with engine.connect() as connection:
        got = area_files.areas.export(connection, layer)
    assert shapely.hausdorff_distance(got.geometry.values, frame.geometry.values).max() < 1e-9
    load(engine, file_of(frame, tmp_path / "b.geojson"), Options(f"{layer}-gcj", crs="gcj02"))
    with engine.connect() as connection:
        moved = area_files.areas.export(connection, f"{layer}-gcj")
    assert (frame.geometry.bounds.minx - moved.geometry.bounds.minx > 0.004).all()


# --- refused, and nothing changed -----------------------------------------------------------------


def altered(change):
    frame = block()
    change(frame)
    return frame


def _bow_tie(frame):
    frame.loc[4, "geometry"] = shape((1, 1), (2, 2), (2, 1), (1, 2))


def _overlap(frame):
    frame.loc[4, "geometry"] = box(1, 1, 1.2)


def _gap(frame):
    frame.loc[4, "geometry"] = box(1.0001, 1, 0.9999)


def _no_code(frame):
    frame.loc[4, "code"] = None


def _empty(frame):
    frame.loc[4, "geometry"] = shape((1, 1), (1.5, 1), (2, 1))


@pytest.mark.parametrize(
    ("harm", "kind", "codes"),
    [(_bow_tie, "self_crossing", ["a5"]), (_overlap, "overlap", ["a5", "a6"]),
     (_gap, "gap", ["a4", "a5"]), (_empty, "empty", ["a5"])],
)  # fmt: skip
def test_faults_are_told_and_nothing_is_taken_in(engine, tmp_path, layer, harm, kind, codes):
    path, before = file_of(altered(harm), tmp_path / "a.geojson"), everything(engine)
    with pytest.raises(CoverageError, match=r"a\.geojson: \d+ faults?; nothing was taken in") as e:
        load(engine, path, Options(layer))
    assert everything(engine) == before
    faults = e.value.faults
    found = faults[(faults.kind == kind) & (faults.severity == "error")].iloc[0]
    assert set(codes) <= set(found["codes"]) and "a5" in found.message
    assert found.geometry.dwithin(box(1, 1), 1e-6)
    vector_files.write(faults, tmp_path / "faults.geojson")
    back = vector_files.read(tmp_path / "faults.geojson", polygons=False)
    assert back.message.tolist() == faults.message.tolist()


def test_a_missing_code_and_a_missing_column(engine, tmp_path, layer):
    before = everything(engine)
    with pytest.raises(AreaError, match=r"a\.geojson: 1 areas have no code, row 5 first"):
        load(engine, file_of(altered(_no_code), tmp_path / "a.geojson"), Options(layer))
    frame = block().rename(columns={"code": "nr"})
    path = file_of(frame, tmp_path / "b.geojson")
    with pytest.raises(AreaError, match=r"no column `code`.*--map code=COLUMN \(columns: nr, name"):
        load(engine, path, Options(layer))
    for flag, words in (("code", "maps nothing"), ("cod=nr", "fields: code, name"),
                        ("code=number", "no column 'number'")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            load(engine, path, Options(layer, (flag,)))
    assert everything(engine) == before
    assert load(engine, path, Options(layer, ("code=nr",))).added == 9


def test_numbers_as_codes_stay_what_they_are(engine, tmp_path, layer):
    frame = block(2)
    features = [
        {"type": "Feature", "properties": {"code": number},
         "geometry": json.loads(shapely.to_geojson(g))}
        for number, g in zip((1.0, 2.0, 3.0, 4.0), frame.geometry, strict=True)
    ]  # fmt: skip
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    load(engine, path, Options(layer))
    assert set(in_force(engine, layer)) == {"1", "2", "3", "4"}


def test_a_file_cut_off_and_one_that_is_none(engine, tmp_path, layer):
    before = everything(engine)
    for name in FORMATS:
        path = file_of(block(), tmp_path / name)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(FileError, match=name.replace(".", r"\.")):
            load(engine, path, Options(layer))
    with pytest.raises(FileError, match="does not exist"):
        load(engine, tmp_path / "none.geojson", Options(layer))
    assert everything(engine) == before


def test_pieces_of_one_code_are_one_area_also_where_they_cross_themselves(engine, tmp_path, layer):
    pieces = gpd.GeoDataFrame(
        {"code": ["a", "a", "b"]}, geometry=[box(0, 0), box(2, 0), box(1, 0)], crs=4326
    )
    done = load(engine, file_of(pieces, tmp_path / "a.geojson"), Options(layer))
    assert (done.areas, done.added) == (2, 2) and "1 codes stand on several rows" in done.notes[0]
    assert in_force(engine, layer)["a"].startswith("MULTIPOLYGON")
    crossing = [shape((0, 0), (1, 1), (1, 0), (0, 1)), shape((0, 0), (1, 1.1), (1, 0), (0, 1))]
    bad = gpd.GeoDataFrame({"code": ["c", "c"]}, geometry=crossing, crs=4326)
    with pytest.raises(CoverageError) as e:
        load(engine, file_of(bad, tmp_path / "b.geojson"), Options(layer))
    assert "self_crossing" in set(e.value.faults.kind)


def test_an_unknown_kind(engine, tmp_path, layer):
    before = everything(engine)
    path = file_of(block().assign(kind="magic"), tmp_path / "a.geojson")
    with pytest.raises(AreaError, match="basic or dedicated, and not 'magic'"):
        load(engine, path, Options(layer))
    assert everything(engine) == before


# --- mended, or accepted, when asked --------------------------------------------------------------


def test_repair_mends_and_says_what_moved(engine, tmp_path, layer):
    frame = altered(_gap)
    frame.loc[0, "geometry"] = box(0, 0, 1.0001)
    done = load(engine, file_of(frame, tmp_path / "a.geojson"), Options(layer, repair=True))
    assert done.added == 9 and not (done.faults.severity == "error").any()
    assert {"gap_closed"} < set(done.moved.kind) and "overlap_lost" in set(done.moved.kind)
    assert done.moved.displacement_m.max() < 0.2
    shapes = shapely.from_wkt(list(in_force(engine, layer).values()))
    assert shapely.coverage_is_valid(shapes)
    assert shapely.union_all(shapes).area == pytest.approx(9 * SIZE**2, rel=1e-9)


def test_repair_leaves_a_wide_overlap_to_people(engine, tmp_path, layer):
    before = everything(engine)
    with pytest.raises(CoverageError) as e:
        load(
            engine, file_of(altered(_overlap), tmp_path / "a.geojson"), Options(layer, repair=True)
        )
    assert "overlap" in set(e.value.faults.kind) and everything(engine) == before


def test_faults_can_be_accepted_but_not_what_no_map_can_hold(engine, tmp_path, layer):
    path = file_of(altered(_overlap), tmp_path / "a.geojson")
    done = load(engine, path, Options(layer, accept_faults=True))
    assert done.added == 9 and "overlap" in set(done.faults.kind)
    before = everything(engine)
    for harm in (_bow_tie, _empty):
        path = file_of(altered(harm), tmp_path / "b.geojson")
        with pytest.raises(CoverageError, match="no map can hold"):
            load(engine, path, Options(layer, accept_faults=True))
    assert everything(engine) == before


# --- the tree: codes, villages, dedicated grids ---------------------------------------------------


@pytest.fixture(scope="module")
def village(engine, tmp_path_factory):
    """Two villages side by side, with all that is above them."""
    folder = tmp_path_factory.mktemp("tree")
    whole = box(0, 0, 4, 2)
    for level, code, above in (
        ("city", "440600000000", None),
        ("district", "440604000000", "440600000000"),
        ("town", "440604010000", "440604000000"),
    ):
        columns = {"code": [code], "name": [level]} | ({"parent": [above]} if above else {})
        frame = gpd.GeoDataFrame(columns, geometry=[whole], crs=4326)
        load(engine, file_of(frame, folder / f"{level}.geojson"), Options(level))
    frame = gpd.GeoDataFrame(
        {"code": VILLAGES, "name": ["一村", "二村"], "parent": ["440604010000"] * 2},
        geometry=[box(0, 0, 2, 2), box(2, 0, 2, 2)],
        crs=4326,
    )
    load(engine, file_of(frame, folder / "village.geojson"), Options("village"))
    return VILLAGES


def grids():
    """Two grids in each village, one above the other."""
    rows = [(v, k) for v in range(2) for k in range(2)]
    return gpd.GeoDataFrame(
        {
            "code": [f"{VILLAGES[v]}{k + 1:03}" for v, k in rows],
            "name": [f"网格{v}{k}" for v, k in rows],
            "parent": [VILLAGES[v] for v, _ in rows],
            "kind": "basic",
        },
        geometry=[box(2 * v, 1 - k, 2, 1) for v, k in rows],
        crs=4326,
    )


def _wrong_code(frame):
    frame.loc[0, "code"] = "440604010001"


def _twice(frame):
    frame.loc[1, "code"] = frame.loc[0, "code"]


def _two_villages(frame):
    frame.loc[2, "code"] = frame.loc[0, "code"]


def _wrong_village(frame):
    frame.loc[1, "parent"] = VILLAGES[1]


def _uncovered(frame):
    frame.loc[3, "geometry"] = box(2, 0, 1.5, 1)


def _spill(frame):
    frame.loc[3, "geometry"] = box(2, -0.5, 2, 1.5)


def _dedicated_wrong_code(frame):
    frame.loc[4] = ["44", "园区", VILLAGES[0], "dedicated", box(0.5, 0.5)]


def _dedicated_crossing(frame):
    crossing = shape((0, 0), (1, 1), (1, 0), (0, 1))
    frame.loc[4] = [f"{VILLAGES[0]}900", "园区", VILLAGES[0], "dedicated", crossing]


@pytest.mark.parametrize(
    ("harm", "kind"),
    [(_wrong_code, "bad_code"), (_twice, "duplicate_code"), (_two_villages, "two_parents"),
     (_wrong_village, "wrong_parent"), (_uncovered, "gap"), (_spill, "spill"),
     (_dedicated_wrong_code, "bad_code"), (_dedicated_crossing, "self_crossing")],
)  # fmt: skip
def test_grids_that_break_the_tree(engine, tmp_path, village, harm, kind):
    frame = grids()
    harm(frame)
    path, before = file_of(frame, tmp_path / "a.geojson"), everything(engine)
    with pytest.raises(CoverageError) as e:
        load(engine, path, Options("grid"))
    assert kind in set(e.value.faults.kind) and everything(engine) == before


def test_parents_that_are_not_there(engine, tmp_path, village):
    before = everything(engine)
    path = file_of(grids().drop(columns="parent"), tmp_path / "a.geojson")
    with pytest.raises(AreaError, match="name no parent that exists in the layer village"):
        load(engine, path, Options("grid"))
    path = file_of(grids().replace(VILLAGES[1], "440604010009"), tmp_path / "b.geojson")
    with pytest.raises(CoverageError) as e:
        load(engine, path, Options("grid"))
    assert "unknown_parent" in set(e.value.faults.kind) and everything(engine) == before


def test_a_dedicated_grid_may_lie_over_basic_ones_and_redraws_end_the_rest(
    engine, tmp_path, village
):
    frame = grids()
    frame.loc[4] = [f"{VILLAGES[0]}900", "园区", VILLAGES[0], "dedicated", box(0.5, 0.5)]
    done = load(engine, file_of(frame, tmp_path / "a.geojson"), Options("grid"))
    assert done.added == 5 and done.faults.empty
    assert load(engine, tmp_path / "a.geojson", Options("grid")).unchanged == 5
    kept = file_of(frame.iloc[:4], tmp_path / "b.geojson")
    done = load(engine, kept, Options("grid", replace=True))
    assert (done.added, done.unchanged, done.ended) == (0, 4, 1)
    assert f"{VILLAGES[0]}900" not in in_force(engine, "grid")


def test_a_layer_is_exported_as_it_was(engine, tmp_path, layer):
    frame = block(2)
    load(engine, file_of(frame, tmp_path / "a.geojson"), Options(layer))
    then = datetime(2026, 7, 1, tzinfo=UTC)
    redrawn = frame.assign(geometry=[box(0, 0, 1.5), box(1.5, 0, 0.5), box(0, 1), box(1, 1)])
    path = file_of(redrawn, tmp_path / "b.geojson")
    done = load(engine, path, Options(layer, valid_from=then, repair=True))
    assert done.added >= 2
    save(engine, tmp_path / "old.geojson", layer, at=datetime(2026, 6, 30, tzinfo=UTC))
    save(engine, tmp_path / "new.geojson", layer, at=then)
    old, new = (vector_files.read(tmp_path / f"{n}.geojson") for n in ("old", "new"))
    assert (old.geometry.normalize() == frame.geometry.normalize()).all()
    assert shapely.area(new.geometry[0]) == pytest.approx(1.5 * SIZE**2)
    with pytest.raises(AreaError, match="has no areas then"):
        save(engine, tmp_path / "x.geojson", "no-such-layer")
    assert not (tmp_path / "x.geojson").exists()


def test_an_area_of_several_rows_comes_back_as_it_was(engine, tmp_path, layer):
    path, out = tmp_path / "beats.geojson", tmp_path / "out.geojson"
    left, right = shapely.box(113, 23, 113.01, 23.01), shapely.box(113.01, 23, 113.02, 23.01)
    apart = shapely.box(113.05, 23, 113.06, 23.01)
    frame = gpd.GeoDataFrame({"code": ["1"] * 3}, geometry=[left, right, apart], crs=4326)
    vector_files.write(frame, path)
    assert load(engine, path, Options(layer)).added == 1
    save(engine, out, layer)
    again = load(engine, out, Options(layer))
    assert (again.added, again.unchanged) == (0, 1)
