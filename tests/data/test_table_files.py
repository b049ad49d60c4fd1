"""Reading tables from files: every row is accounted for, every bad file says why."""

import csv
import gzip
import io
import json
import time
from pathlib import Path

import geopandas
import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.settings import ROOT
from data.table_files import Batch, TableError, read
from data.text_stream import PIECE, detect

CRIMES = ROOT.parent / "shared/data/chicago/crimes-2019-q1.csv.gz"
HEAD = "id,lon,lat,remark\n"


def rows(path: Path, **options: object) -> list[tuple[int, list[str | None]]]:
    batches = list(read(path, **options))  # type: ignore[arg-type]
    return [
        (int(number), list(row.values()))
        for batch in batches
        for number, row in zip(batch.row_number, batch.table.to_pylist(), strict=True)
    ]


def one(path: Path, **options: object) -> Batch:
    batches = list(read(path, **options))  # type: ignore[arg-type]
    assert len(batches) == 1
    return batches[0]


def made(tmp_path: Path, content: str | bytes, name: str = "reports.csv") -> Path:
    path = tmp_path / name
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def fault(path: Path, **options: object) -> str:
    with pytest.raises(TableError) as error:
        list(read(path, **options))  # type: ignore[arg-type]
    assert str(path) in str(error.value)
    return str(error.value)


# --- CSV ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not CRIMES.exists(), reason=f"{CRIMES} is not there")
def test_published_crimes_are_read_as_the_standard_library_reads_them() -> None:
    with gzip.open(CRIMES, "rt", newline="") as file:
        header, *expected = csv.reader(file)
    batches = list(read(CRIMES, batch_rows=5000))
    assert [len(b.table) for b in batches] == [5000, 5000, 1224]
    assert batches[0].columns == header
    got = pa.concat_tables([b.table for b in batches])
    for name, column in zip(header, zip(*expected, strict=True), strict=True):
        assert got[name].to_pylist() == [cell or None for cell in column]
    numbers = np.concatenate([b.row_number for b in batches])
    assert (numbers == np.arange(2, 11_226)).all()


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le"]
)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_encodings_are_told(tmp_path: Path, encoding: str, name: str) -> None:
    content = "编号,经度,纬度,诉求内容\n" + "1,113.1,23.0,路灯不亮，居民反映\n" * 50
    path = made(tmp_path, content.encode(encoding), name)
    batch = one(path)
    assert batch.columns == ["编号", "经度", "纬度", "诉求内容"]
    assert batch.table["诉求内容"].to_pylist() == ["路灯不亮，居民反映"] * 50


def test_encoding_is_told_where_chinese_begins_late(tmp_path: Path) -> None:
    lines = HEAD.encode() + b"1,113.1,23.0,lamp\n" * (PIECE // 15)
    path = made(tmp_path, lines + "2,113.1,23.0,路灯不亮\n".encode("gbk"))
    *_, last = read(path)
    assert last.table["remark"][-1].as_py() == "路灯不亮"


def test_a_named_encoding_is_used(tmp_path: Path) -> None:
    path = made(tmp_path, (HEAD + "1,2,3,café\n").encode("latin-1"))
    assert one(path, encoding="latin-1").table["remark"].to_pylist() == ["café"]
    with pytest.raises(TableError, match="'klingon' is not known"):
        list(read(path, encoding="klingon"))


def test_big5_is_not_taken_for_gbk() -> None:
    assert (
        detect(("路燈不亮，請派員前往處理。垃圾堆積如山，影響環境衛生。" * 5).encode("big5"))
        == "big5"
    )


def test_a_stray_byte_is_reported_with_line_and_offset(tmp_path: Path) -> None:
    good = "1,113.1,23.0,路灯\n".encode() * 1000
    path = made(tmp_path, HEAD.encode() + good + b"2,113,23,\xb7\n" + good)
    message = fault(path)
    at = len(HEAD) + len(good) + len("2,113,23,")
    assert f"line 1,002, byte {at:,}: 0xB7 is not valid utf-8" in message


def test_nul_bytes_are_reported(tmp_path: Path) -> None:
    assert "line 3: there is a NUL" in fault(made(tmp_path, HEAD + "1,2,3,4\n1,2,\0,4\n" * 2))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_told(tmp_path: Path, delimiter: str) -> None:
    text = 'id;lon;lat;remark\n1;113.1;23.0;"a, b, c|d;e\tf"\n2;1;2;\n'.replace(";", delimiter)
    assert [len(r) for _, r in rows(made(tmp_path, text))] == [4, 4]


def test_decimal_commas_do_not_hide_the_semicolon(tmp_path: Path) -> None:
    path = made(tmp_path, "id;lon;lat\n1;113,1;23,0\n2;113,2;23,1\n")
    assert rows(path) == [(2, ["1", "113,1", "23,0"]), (3, ["2", "113,2", "23,1"])]


def test_excels_separator_line_is_not_a_row(tmp_path: Path) -> None:
    assert rows(made(tmp_path, "sep=;\nid;lon\n1;2\n")) == [(3, ["1", "2"])]


def test_ragged_rows_are_set_aside_and_numbers_stay_right(tmp_path: Path) -> None:
    body = '1,2,3,x\n\n1,2\n4,5,6,"two\nlines"\n1,2,3,4,5\n,,,\n7,8,9,z\n'
    batch = one(made(tmp_path, HEAD + body))
    assert batch.row_number.tolist() == [2, 5, 8]
    assert batch.table["remark"].to_pylist() == ["x", "two\nlines", "z"]
    assert [(r.row, r.text) for r in batch.ragged] == [(4, "1,2"), (6, "1,2,3,4,5")]
    assert "too few cells: 2, not 4" in batch.ragged[0].reason
    assert "too many cells: 5, not 4" in batch.ragged[1].reason


def test_crlf_cr_and_missing_last_line_break(tmp_path: Path) -> None:
    for end in ("\r\n", "\r", "\n"):
        path = made(tmp_path, end.join(["id,lon", "1,2", "3,4"]))
        assert rows(path) == [(2, ["1", "2"]), (3, ["3", "4"])]


def test_cells_under_no_name_make_a_row_ragged(tmp_path: Path) -> None:
    batch = one(made(tmp_path, "id,lon,\n1,2,\n3,4,note\n"))
    assert (batch.columns, batch.row_number.tolist()) == (["id", "lon"], [2])
    assert batch.ragged[0].row == 3 and "'note' in column 3" in batch.ragged[0].reason


def test_a_header_alone_is_an_empty_batch(tmp_path: Path) -> None:
    batch = one(made(tmp_path, HEAD))
    assert (batch.columns, len(batch.table)) == (["id", "lon", "lat", "remark"], 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("\n \n\n", "nothing but blank lines"),
        ("1,113.1,23.0\n2,113.2,23.1\n", "has no header: row 1 holds '1'"),
        ("a,2019-03-01\n", "has no header"),
        ("id,lon,lon,id\n1,2,3,4\n", r"'id' (columns 1 and 4), 'lon' (columns 2 and 3)"),
        ("id,,lon\n1,2,3\n", "column 2 has no name"),
        (HEAD + "1,2,3,4\n5,6", "is cut off in row 3"),
        (HEAD + '1,2,3,4\n5,6,7,"half a rem', "a quote that opens at or after row"),
        (HEAD + '1,2,3,4\n5,6,7,"half\n8,9,10,11\n', "a quote that opens at or after row"),
        (HEAD + '1,2,3,"' + "4,5,6,7\n" * (PIECE // 3), "row 2 is never closed"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path: Path, content: str, says: str) -> None:
    assert says in fault(made(tmp_path, content))


def test_missing_unknown_and_foreign_files(tmp_path: Path) -> None:
    assert "there is no file" in fault(tmp_path / "nowhere.csv")
    assert "is not a file" in fault(tmp_path)
    assert "named .pdf are not known" in fault(made(tmp_path, "x", "a.pdf"))
    (tmp_path / "b.csv.gz").write_text(HEAD)
    assert "not packed with gzip" in fault(tmp_path / "b.csv.gz")


def test_truncated_gzip_is_not_half_accepted(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 10**9, 20_000)
    packed = gzip.compress((HEAD + "".join(f"{n},2,3,4\n" for n in noise)).encode())
    (tmp_path / "a.csv.gz").write_bytes(packed[: len(packed) // 2])
    assert "is cut off" in fault(tmp_path / "a.csv.gz")
    (tmp_path / "b.csv.gz").write_bytes(packed[:5000] + b"\xff" * 50 + packed[5050:])
    assert "is damaged" in fault(tmp_path / "b.csv.gz")
    (tmp_path / "c.csv.gz").write_bytes(gzip.compress(b""))
    assert "empty once unpacked" in fault(tmp_path / "c.csv.gz")


_cell = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\x03"), max_size=6)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_cell, min_size=1, max_size=5), max_size=30), st.integers(1, 9))
def test_every_row_is_yielded_or_ragged(tmp_path: Path, table: list[list[str]], size: int) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["a", "b", "c"], *table])
    path = made(tmp_path, text.getvalue())
    # A row of one empty cell is a ragged one, a row of three empty cells a blank one.
    whole = {i: [c or None for c in r] for i, r in enumerate(table, 2) if len(r) == 3 and any(r)}
    ragged = [i for i, r in enumerate(table, 2) if len(r) != 3]
    batches = list(read(path, batch_rows=size, encoding="utf-8"))
    got = {
        int(n): list(row.values())
        for b in batches
        for n, row in zip(b.row_number, b.table.to_pylist(), strict=True)
    }
    assert got == whole
    assert [r.row for b in batches for r in b.ragged] == ragged
    assert all(len(b.table) <= size for b in batches)


def test_a_million_rows_with_one_ragged_are_fast_and_right(tmp_path: Path) -> None:
    line = "{0},113.{0:07d},22.{0:07d},lamp\n"
    lines = [line.format(i) for i in range(1_000_000)]
    lines[777_777] = "broken\n"
    path = made(tmp_path, HEAD + "".join(lines))
    start = time.process_time()
    batches = list(read(path))
    assert time.process_time() - start < 5
    assert sum(len(b.table) for b in batches) == 999_999
    assert [(i, r.row) for i, b in enumerate(batches) for r in b.ragged] == [(3, 777_779)]
    for batch in batches:
        ids = batch.table["id"].cast(pa.int64()).to_numpy()
        assert (ids + 2 == batch.row_number).all()


# --- workbooks ---------------------------------------------------------------------------------


def test_a_workbook_keeps_numbers_dates_and_rows(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    first, second = book.active, book.create_sheet("工单")
    first.append(["unused"])
    second["B3"], second["C3"], second["D3"] = "编号", "时间", "经度"
    second["B4"], second["D4"] = 12238110, 113.125
    second["C4"] = np.datetime64("2019-03-01T08:05").item()
    second["B6"], second["C6"], second["F6"] = "00123", True, "astray"
    second["B7"], second["C7"] = "00123", True
    book.save(tmp_path / "a.xlsx")
    batch = one(tmp_path / "a.xlsx", sheet="工单")
    assert batch.table.to_pylist() == [
        {"编号": "12238110", "时间": "2019-03-01 08:05:00", "经度": "113.125"},
        {"编号": "00123", "时间": "true", "经度": None},
    ]
    assert batch.row_number.tolist() == [4, 7]
    assert batch.ragged[0].row == 6 and "'astray'" in batch.ragged[0].reason
    assert one(tmp_path / "a.xlsx").columns == ["unused"]
    assert "has no sheet 'x'; it has Sheet, 工单" in fault(tmp_path / "a.xlsx", sheet="x")


def test_a_damaged_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id"])
    book.save(tmp_path / "a.xlsx")
    data = (tmp_path / "a.xlsx").read_bytes()
    assert "as a workbook" in fault(made(tmp_path, data[: len(data) // 2], "b.xlsx"))
    openpyxl.Workbook().save(tmp_path / "c.xlsx")
    assert "is empty" in fault(tmp_path / "c.xlsx")


# --- objects -----------------------------------------------------------------------------------


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"id":1,"lon":113.5,"ok":true,"tags":["a"]}',
        "",
        "{broken",
        "[1]",
        '{"id":"2","x":NaN}',
    ]
    batch = one(made(tmp_path, "\n".join(lines), "a.jsonl.gz"))
    assert batch.row_number.tolist() == [1, 5]
    assert batch.table.to_pylist() == [
        {"id": "1", "lon": "113.5", "ok": "true", "tags": '["a"]', "x": None},
        {"id": "2", "lon": None, "ok": None, "tags": None, "x": "nan"},
    ]
    assert [r.row for r in batch.ragged] == [3, 4]
    assert "cut off in line 2" in fault(made(tmp_path, '{"id":1}\n{"id":', "b.jsonl"))


def collection(count: int) -> dict[str, object]:
    features: list[dict[str, object]] = [
        {
            "type": "Feature",
            "id": i,
            "properties": {"内容": "路灯😀" * (i % 5), "lon": "own"},
            "geometry": {"type": "Point", "coordinates": [113 + i / 1e5, 23.25]},
        }
        for i in range(count)
    ]
    features.append({"type": "Feature", "properties": {"内容": "none"}, "geometry": None})
    line = {"type": "LineString", "coordinates": [[1, 2], [3, 4]]}
    features.append({"type": "Feature", "properties": {}, "geometry": line})
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}
    return {"type": "FeatureCollection", "name": "features", "crs": crs, "features": features}


@pytest.mark.parametrize("indent", [None, 2])
def test_geojson_points_become_lon_and_lat(tmp_path: Path, indent: int | None) -> None:
    text = json.dumps(collection(40_000), ensure_ascii=False, indent=indent)
    batches = list(read(made(tmp_path, text, "a.geojson"), batch_rows=30_000))
    assert [len(b.table) for b in batches] == [30_000, 10_001]
    first, last = batches[0].table.to_pylist()[4], batches[1].table.to_pylist()[-1]
    assert first == {
        "内容": "路灯😀" * 4,
        "properties.lon": "own",
        "id": "4",
        "lon": "113.00004",
        "lat": "23.25",
    }
    assert (last["内容"], last["lon"], last["lat"]) == ("none", None, None)
    assert batches[1].ragged[0].row == 40_002 and "a LineString" in batches[1].ragged[0].reason
    assert {b.crs for b in batches} == {"EPSG:4490"}
    ids = [i for b in batches for i in b.table["id"].to_pylist()]
    assert ids == [*map(str, range(40_000)), None]


def test_geojson_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    data = json.dumps(collection(3), ensure_ascii=False).encode()
    for end in range(1, len(data) - 1, 7):
        fault(made(tmp_path, data[:end], "a.geojson"))
    assert "neither" in fault(made(tmp_path, '"text"', "b.geojson"))
    assert "without a list of features" in fault(made(tmp_path, '{"a": 1}', "c.json"))
    assert rows(made(tmp_path, '[{"a": 1}, {"a": "b"}]', "d.json")) == [(1, ["1"]), (2, ["b"])]


@pytest.mark.parametrize("encoding", ["WKB", "geoarrow"])
def test_geoparquet(tmp_path: Path, encoding: str) -> None:
    points = shapely.points([[113.125, 23.5], [113.25, 23.0], [np.nan, np.nan]])
    points[2] = None
    frame = geopandas.GeoDataFrame(
        {"id": [7, 8, 9], "at": np.array(["2019-03-01T08:05"] * 3, "datetime64[us]")},
        geometry=points,
        crs="EPSG:4490",
    )
    frame.to_parquet(tmp_path / "a.parquet", geometry_encoding=encoding)
    batch = one(tmp_path / "a.parquet")
    assert batch.crs == "EPSG:4490"
    assert batch.table.select(["id", "lon", "lat"]).to_pylist() == [
        {"id": "7", "lon": "113.125", "lat": "23.5"},
        {"id": "8", "lon": "113.25", "lat": "23"},
        {"id": "9", "lon": None, "lat": None},
    ]
    assert batch.table["at"][0].as_py().startswith("2019-03-01 08:05:00")


def test_parquet_types_faults_and_other_geometries(tmp_path: Path) -> None:
    table = pa.table({"a": [1.5, None], "b": [["x"], None], "c": [b"\xff", None], "d": ["", "y"]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert rows(tmp_path / "a.parquet") == [
        (1, ["1.5", '["x"]', '"ff"', None]),
        (2, [None, None, None, "y"]),
    ]
    data = (tmp_path / "a.parquet").read_bytes()
    assert "cut off or damaged" in fault(made(tmp_path, data[:-20], "b.parquet"))
    shapes = [shapely.Point(1, 2), shapely.box(0, 0, 1, 1)]
    geopandas.GeoDataFrame({"id": [1, 2]}, geometry=shapes).to_parquet(tmp_path / "c.parquet")
    batch = one(tmp_path / "c.parquet")
    assert batch.row_number.tolist() == [1]
    assert batch.ragged[0].row == 2 and "a Polygon" in batch.ragged[0].reason
