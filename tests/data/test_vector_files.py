import datetime as dt
import gzip
import json
import shutil
import zipfile

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Point, Polygon, box

from data import vector_source
from data.settings import ROOT
from data.vector_files import FileError, apply_mapping, read, write
from data.vector_shapefile import short_names
from gis.datum import from_wgs84

PUBLISHED = ROOT.parent / "shared/data"
published = pytest.mark.skipif(
    not PUBLISHED.exists(), reason="no published data beside the project"
)
FILES = ["a.geojson", "a.geojson.gz", "a.json", "a.gpkg", "a.shp", "a.zip", "a.parquet"]
GUANGZHOU = box(113.1, 23.1, 113.2, 23.2)


def stamps(*texts, zone=None):
    column = pd.Series(pd.to_datetime(list(texts), format="ISO8601", utc=zone is not None))
    return column.astype("datetime64[us, UTC]" if zone else "datetime64[us]")


def everything():
    """Each kind of value with its awkward cases, on polygons that are easily damaged."""
    holed = Polygon(
        [(0, 0), (1 / 3, 0), (1 / 3, 0.1 + 0.2), (0, 1)], [box(0.1, 0.1, 0.2, 0.2).exterior]
    )
    columns = {
        "code": pd.Series(["0111", "000", None], dtype="str"),
        "网格长姓名和电话": pd.Series(["禅城区祖庙街道", "", None], dtype="str"),
        "a_rather_long_name": pd.Series(["x" * 300, "镇" * 200, "\"';\n"], dtype="str"),
        "a_rather_long_nome": pd.Series(["2019-01-02", "1", "true"], dtype="str"),
        "whole": pd.Series([1, 2**53 + 1, -(2**63)]),
        "some": pd.Series([1, None, 3], dtype="Int64"),
        "real": pd.Series([0.1 + 0.2, 1e-20, 123456789.123456789]),
        "gaps": pd.Series([1.0, np.nan, -2.5]),
        "none": pd.Series([None, None, None], dtype="str"),
        "yes": pd.Series([True, False, True]),
        "maybe": pd.Series([True, None, False], dtype="boolean"),
        "day": pd.Series([dt.date(2026, 1, 2), None, dt.date(1999, 12, 31)], dtype=object),
        "local": stamps("2026-01-02T03:04:05.123456", "2026-01-01", None),
        "moment": stamps("2026-01-02T03:04:05.123456", "2026-01-01", None, zone="UTC"),
        "second": stamps("2026-01-02T03:04:05", "2026-01-01", None, zone="UTC"),
        "list": pd.Series([[1, "二"], [], None], dtype=object),
        "dict": pd.Series([{"a": 1}, None, {"b": [None, {"c": 1.5}]}], dtype=object),
        "mixed": pd.Series([1, "01", None], dtype=object),
        "id": pd.Series([7, 8, 9]),
    }
    shapes = [holed, MultiPolygon([box(2, 0, 3, 1), box(5, 5, 6, 6)]), None]
    return gpd.GeoDataFrame(
        columns, geometry=[shapely.orient_polygons(s) for s in shapes], crs=4326
    )


def assert_same(found, wanted, ordered=True):
    assert found.crs == 4326
    assert list(found.columns) == list(wanted.columns)
    pd.testing.assert_frame_equal(
        pd.DataFrame(found.drop(columns="geometry")), pd.DataFrame(wanted.drop(columns="geometry"))
    )
    a, b = found.geometry.to_numpy(), wanted.geometry.to_numpy()
    if not ordered:  # a Shapefile turns and reorders rings, and nothing else
        a, b = shapely.normalize(a), shapely.normalize(b)
    missing = shapely.is_missing(a) & shapely.is_missing(b)
    assert (shapely.equals_identical(a, b) | missing).all()


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_reads_back_identical(tmp_path, name):
    frame = everything()
    write(frame, tmp_path / name)
    first = read(tmp_path / name)
    assert_same(first, frame, ordered=name not in ("a.shp", "a.zip"))
    write(first, tmp_path / name)  # replaces
    assert_same(read(tmp_path / name), first)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("name", FILES)
def test_a_first_row_without_geometry(tmp_path, name):
    frame = everything().iloc[::-1].reset_index(drop=True)
    write(frame, tmp_path / name)
    assert_same(read(tmp_path / name), frame, ordered=name not in ("a.shp", "a.zip"))


finite = st.floats(-179, 179)
corners = st.tuples(finite, st.floats(-89, 89), st.floats(1e-9, 0.9), st.floats(1e-9, 0.9))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300)


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.shp", "a.parquet"])
@settings(max_examples=15, deadline=None)
@given(rows=st.lists(
    st.tuples(corners, texts | st.none(), st.floats(allow_infinity=False),
              st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=4))  # fmt: skip
def test_any_value_reads_back_identical(tmp_path_factory, name, rows):
    boxes = [box(x, y, x + w, y + h) for (x, y, w, h), *_ in rows]
    frame = gpd.GeoDataFrame(
        {
            "text": pd.Series([row[1] for row in rows], dtype="str"),
            "real": pd.Series([row[2] for row in rows], dtype=float),
            "whole": pd.Series([row[3] for row in rows], dtype="int64"),
        },
        geometry=shapely.orient_polygons(boxes),
        crs=4326,
    )
    path = tmp_path_factory.mktemp("any") / name
    write(frame, path)
    assert_same(read(path), frame, ordered=name != "a.shp")


@published
@pytest.mark.parametrize("name", ["b.geojson.gz", "b.gpkg", "b.zip", "b.parquet"])
def test_the_beats_of_chicago_through_every_format(tmp_path, name):
    beats = read(PUBLISHED / "chicago/police-beats.geojson.gz")
    assert len(beats) == 277
    assert "0111" in set(beats.beat_num)
    assert shapely.is_ccw(shapely.get_exterior_ring(beats.geometry.to_numpy())).all()
    write(beats, tmp_path / name)
    again = read(tmp_path / name)
    assert_same(again, beats, ordered=name != "b.zip")
    assert shapely.coverage_is_valid(again.geometry.to_numpy())


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
@pytest.mark.parametrize("cpg", [None, "GBK", "UTF-8", "ISO-8859-1", "nonsense", "936"])
def test_the_encoding_of_a_dbf_is_found(tmp_path, encoding, cpg):
    frame = gpd.GeoDataFrame(
        {"名称": ["禅城区祖庙街道", "南海区桂城街道"], "code": ["0111", "0112"]},
        geometry=[GUANGZHOU, box(114, 23, 115, 24)], crs=4326,
    )  # fmt: skip
    pyogrio.write_dataframe(frame, tmp_path / "a.shp", encoding=encoding)
    (tmp_path / "a.cpg").unlink(missing_ok=True)
    if cpg:
        (tmp_path / "a.cpg").write_text(cpg)
    for found in (read(tmp_path / "a.shp"), read(tmp_path / "a.shp", encoding=encoding)):
        assert found["名称"].tolist() == frame["名称"].tolist()
        assert found["code"].tolist() == ["0111", "0112"]
    with pytest.raises(FileError, match="not known"):
        read(tmp_path / "a.shp", encoding="nonsense")


def test_a_character_cut_in_half_at_the_end_of_a_field(tmp_path):
    frame = gpd.GeoDataFrame({"name": ["禅城区祖庙"]}, geometry=[GUANGZHOU], crs=4326)
    pyogrio.write_dataframe(frame, tmp_path / "a.shp", encoding="gb18030")
    dbf = tmp_path / "a.dbf"
    last = "庙".encode("gb18030")
    dbf.write_bytes(dbf.read_bytes().replace(last, last[:1] + b" "))
    assert read(tmp_path / "a.shp").name.item() == "禅城区祖"


def test_a_zip_from_chinese_windows(tmp_path):
    write(everything(), tmp_path / "a.shp")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for part in tmp_path.glob("a.*"):
            if part.suffix != ".zip":
                name = ("网格/网格" + part.name[1:]).encode("gb18030").decode("cp437")
                info = zipfile.ZipInfo(name)
                archive.writestr(info, part.read_bytes())
    assert len(read(tmp_path / "a.zip")) == 3


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".parquet", ".geojson"])
@pytest.mark.parametrize("code", [4490, 4547, 3857, 32649, 2326])
def test_any_crs_becomes_wgs84(tmp_path, suffix, code):
    frame = gpd.GeoDataFrame({"code": ["01"]}, geometry=[GUANGZHOU], crs=4326).to_crs(code)
    path = tmp_path / f"a{suffix}"
    frame.to_parquet(path) if suffix == ".parquet" else frame.to_file(path)
    found = read(path).geometry.item()
    assert found.hausdorff_distance(GUANGZHOU) < 2e-6
    assert found.exterior.is_ccw


@pytest.mark.parametrize("name", ["gcj02", "bd09"])
def test_the_shifted_datums_are_undone(tmp_path, name):
    shifted = shapely.transform(
        GUANGZHOU, lambda c: np.column_stack(from_wgs84(c[:, 0], c[:, 1], name))
    )
    write(gpd.GeoDataFrame({"code": ["1"]}, geometry=[shifted], crs=4326), tmp_path / "a.geojson")
    found = read(tmp_path / "a.geojson", crs=name).geometry.item()
    assert found.hausdorff_distance(GUANGZHOU) < 1e-8


def test_polygons_are_made_plain(tmp_path):
    solid = Polygon([(0, 0, 5), (0, 1, 5), (1, 1, 5), (1, 0, 5)])
    frame = gpd.GeoDataFrame({"a": ["1"]}, geometry=[MultiPolygon([solid])], crs=4326)
    frame.to_file(tmp_path / "a.gpkg")
    found = read(tmp_path / "a.gpkg").geometry.item()
    assert found.geom_type == "Polygon"
    assert not found.has_z
    assert found.exterior.is_ccw


def test_geojson_of_other_hands(tmp_path):
    path = tmp_path / "a.geojson"
    rings = json.loads(shapely.to_geojson(GUANGZHOU))
    features = [
        {"type": "Feature", "id": key, "properties": properties, "geometry": shape}
        for key, properties, shape in (
            ("f1", {"code": "0111", "when": "2019/01/02"}, rings),
            ("f2", {"code": "012", "n": float("nan")}, None),
        )
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    found = read(path)
    assert found["id"].tolist() == ["f1", "f2"]
    assert found.code.tolist() == ["0111", "012"]
    assert found.when[0] == "2019/01/02"
    write(found, path)
    assert [f["id"] for f in json.loads(path.read_text())["features"]] == ["f1", "f2"]
    path.write_text(json.dumps({**rings}))
    assert len(read(path)) == 1


def test_layers_are_named(tmp_path):
    frame = gpd.GeoDataFrame({"a": ["1"]}, geometry=[GUANGZHOU], crs=4326)
    for layer in ("grids", "beats"):
        frame.to_file(tmp_path / "a.gpkg", layer=layer)
        frame.to_file(tmp_path / f"{layer}.shp")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for part in [*tmp_path.glob("grids.*"), *tmp_path.glob("beats.*")]:
            archive.write(part, part.name)
    for name in ("a.gpkg", "a.zip"):
        with pytest.raises(FileError, match=r"holds 2 layers \(.*beats.*name one"):
            read(tmp_path / name)
        with pytest.raises(FileError, match=r"no layer 'town'; it holds .*grids"):
            read(tmp_path / name, layer="town")
        assert len(read(tmp_path / name, layer="beats")) == 1
    with pytest.raises(FileError, match="no layer 'town'"):
        read(tmp_path / "grids.shp", layer="town")


def cut(path, share=0.7):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_file_cut_off_is_refused(tmp_path, name, share):
    shapes = [box(x / 10, 0, x / 10 + 0.1, 1) for x in range(200)]
    write(gpd.GeoDataFrame({"n": range(200)}, geometry=shapes, crs=4326), tmp_path / name)
    cut(tmp_path / name, share)
    with pytest.raises(FileError, match="a\\."):
        read(tmp_path / name)


@pytest.mark.parametrize("suffix", [".dbf", ".shx"])
def test_a_shapefile_needs_its_parts_whole(tmp_path, suffix):
    write(everything(), tmp_path / "a.shp")
    part = (tmp_path / "a.shp").with_suffix(suffix)
    cut(part)
    with pytest.raises(FileError, match="cut off"):
        read(tmp_path / "a.shp")
    part.unlink()
    with pytest.raises(FileError, match=f"needs its {suffix} file"):
        read(tmp_path / "a.shp")


def test_a_shapefile_without_its_sidecar_or_edited_since(tmp_path):
    frame = everything()
    write(frame, tmp_path / "a.shp")
    edited = pyogrio.read_dataframe(tmp_path / "a.shp").iloc[::-1]
    pyogrio.write_dataframe(edited, tmp_path / "a.shp", encoding="UTF-8", geometry_type="Polygon")
    found = read(tmp_path / "a.shp")
    assert found.code.tolist()[1:] == ["000", "0111"]
    assert "网格长姓名和电话" in found
    (tmp_path / "a.columns.json").write_text("{")
    with pytest.raises(FileError, match="damaged"):
        read(tmp_path / "a.shp")
    (tmp_path / "a.columns.json").unlink()
    assert read(tmp_path / "a.shp").code.tolist()[1:] == ["000", "0111"]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([Point(113, 23)], "holds Point, but no polygons"),
        ([None], "holds no geometry, but no polygons"),
        ([GUANGZHOU, LineString([(113, 23), (114, 24)])], "row 2 is a LineString among polygons"),
        ([], "has no rows"),
        ([box(530000, 2560000, 540000, 2570000)], "row 1 lies at 530000.*name the CRS"),
        ([box(23, 113, 24, 114)], "no longitude and latitude"),
    ],
)
def test_layers_that_are_no_areas(tmp_path, shapes, message):
    path = tmp_path / "a.geojson"
    features = [
        {"type": "Feature", "properties": {}, "geometry": s and json.loads(shapely.to_geojson(s))}
        for s in shapes
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with pytest.raises(FileError, match=message):
        read(path)


def test_other_geometries_when_they_are_asked_for(tmp_path):
    shapes = [Point(113, 23), LineString([(113, 23), (114, 24)]), GUANGZHOU]
    write(gpd.GeoDataFrame({"a": [1, 2, 3]}, geometry=shapes, crs=4326), tmp_path / "a.geojson")
    assert read(tmp_path / "a.geojson", polygons=False).geom_type.tolist() == [
        "Point", "LineString", "Polygon",
    ]  # fmt: skip


def test_no_crs(tmp_path):
    frame = gpd.GeoDataFrame({"a": ["1"]}, geometry=[GUANGZHOU])
    frame.to_file(tmp_path / "a.shp")
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.shp", "a.parquet"):
        with pytest.raises(FileError, match="does not say its CRS"):
            read(tmp_path / name)
        assert read(tmp_path / name, crs="EPSG:4490").geometry.item().equals(GUANGZHOU)
    for crs, message in (("EPSG:9999", "not in the EPSG register"), ("nonsense", "not known")):
        with pytest.raises(FileError, match=message):
            read(tmp_path / "a.shp", crs=crs)
    with pytest.raises(FileError, match="no CRS"):
        write(frame, tmp_path / "b.gpkg")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.geojson", b"", "is empty"),
        ("a.geojson", b"[1]", "not GeoJSON"),
        ("a.geojson", b'{"type": "Topology"}', "no FeatureCollection"),
        ("a.geojson", b'{"type": "FeatureCollection", "features": [1]}', "feature 1 is not"),
        ("a.geojson", b'{"type": "Polygon", "coordinates": [["x"]]}', "geometry of feature 1"),
        ("a.geojson", b"hello", "is not JSON at line 1"),
        ("a.geojson", b'{"a": "\xff\xff"}', "not text"),
        ("a.geojson.gz", b"hello", "not a sound gzip"),
        ("a.gpkg", b"hello", "not a GeoPackage"),
        ("a.parquet", b"hello", "GeoParquet"),
        ("a.zip", b"hello", "not a sound zip"),
        ("a.shp", b"hello", "needs its .dbf"),
        ("a.csv", b"a,b", "not a known vector file"),
    ],
)
def test_files_of_something_else(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=message):
        read(tmp_path / name)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        read(tmp_path / "a.shp")
    with pytest.raises(FileError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(FileError, match="is not a folder"):
        write(everything(), tmp_path / "no/a.gpkg")
    with pytest.raises(FileError, match="not a known vector file"):
        write(everything(), tmp_path / "a.dwg")
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(FileError, match="GeoParquet"):
        read(tmp_path / "a.parquet")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FileError, match="holds no vector file"):
        read(tmp_path / "a.zip")


def test_bombs_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_source, "MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.geojson", b" " * (2 << 20))
    (tmp_path / "a.geojson.gz").write_bytes(gzip.compress(b" " * (2 << 20)))
    for name in ("a.zip", "a.geojson.gz"):
        with pytest.raises(FileError, match=r"unpacks to .* MB"):
            read(tmp_path / name)


def test_a_zip_cannot_write_outside_its_folder(tmp_path):
    write(everything(), tmp_path / "a.geojson")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.geojson", "../../escaped.geojson")
        archive.write(tmp_path / "a.geojson", "a.geojson")
    assert len(read(tmp_path / "a.zip")) == 3
    assert not (tmp_path.parent / "escaped.geojson").exists()


def test_a_failed_write_leaves_the_old_file(tmp_path):
    frame = everything()
    write(frame, tmp_path / "a.geojson")
    before = (tmp_path / "a.geojson").read_bytes()
    with pytest.raises(FileError, match="infinite"):
        write(frame.assign(real=np.inf), tmp_path / "a.geojson")
    assert (tmp_path / "a.geojson").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.geojson"]
    with pytest.raises(FileError, match="CODE, code have one name"):
        write(frame.assign(CODE="x"), tmp_path / "a.gpkg")


def test_mixed_geometry_does_not_fit_a_shapefile(tmp_path):
    frame = gpd.GeoDataFrame({"a": [1, 2]}, geometry=[GUANGZHOU, Point(113, 23)], crs=4326)
    with pytest.raises(FileError, match="Shapefile"):
        write(frame, tmp_path / "a.shp")
    assert not list(tmp_path.iterdir())


def test_short_names_are_unique_and_fit():
    names = [
        "code",
        "a_rather_long_name",
        "a_rather_long_nome",
        "网格长姓名",
        "网格长姓氏",
        "A_RATHER_L",
    ]
    short = short_names(names)
    assert list(short) == names
    assert len({name.lower() for name in short.values()}) == len(names)
    assert max(len(name.encode()) for name in short.values()) <= 10
    assert short["code"] == "code"
    assert short["A_RATHER_L"] == "A_RATHER_L"


def test_columns_are_mapped():
    frame = gpd.GeoDataFrame(
        {"beat_num": ["0111"], "code": ["9"], "sector": ["1"]}, geometry=[GUANGZHOU], crs=4326
    )
    mapped = apply_mapping(frame, {"code": "beat_num", "name": "sector"})
    assert mapped.drop(columns="geometry").to_dict("list") == {"code": ["0111"], "name": ["1"]}
    assert mapped.crs == 4326
    assert apply_mapping(frame, {"a": "code", "b": "code"})[["a", "b"]].values.tolist() == [
        ["9", "9"]
    ]
    with pytest.raises(FileError, match=r"no column 'beet' for 'code'.*beat_num, code, sector"):
        apply_mapping(frame, {"code": "beet"})


def test_a_shapefile_with_an_upper_case_suffix(tmp_path):
    write(everything(), tmp_path / "a.shp")
    for part in list(tmp_path.glob("a.*")):
        if part.suffix != ".json":
            shutil.move(part, tmp_path / f"A{part.suffix.upper()}")
    assert len(read(tmp_path / "A.SHP")) == 3
