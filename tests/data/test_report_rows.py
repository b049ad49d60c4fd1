"""Typed columns of reports: what is understood, what is rejected and with which words."""

import csv
import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.report_rows import Mapping, Parsed, RejectsFile, Seen, parse, write_rejects
from data.report_times import parse_times
from data.settings import ROOT
from data.table_batch import Batch
from data.table_files import TableError, read

CRIMES = ROOT.parent / "shared/data/chicago/crimes-2019-q1.csv.gz"
FOSHAN = (112.37, 22.64, 113.39, 23.57)


def batch(columns: dict[str, list[str | None]], crs: str | None = None) -> Batch:
    table = pa.table({name: pa.array(cells, pa.string()) for name, cells in columns.items()})
    return Batch(table, np.arange(2, len(table) + 2), [], crs)


def parsed(columns: dict[str, list[str | None]], **options: Any) -> Parsed:
    return parse(batch(columns), Mapping.guess(list(columns)), **options)


def located(x: str | None, y: str | None, **options: Any) -> tuple[float, float, str]:
    out = parsed({"id": ["1"], "lon": [x], "lat": [y]}, **options)
    return out.x[0], out.y[0], out.verdict[0].as_py()


# --- mapping -----------------------------------------------------------------------------------


def test_guess_knows_the_published_and_the_chinese_names() -> None:
    crimes = "id case_number date block iucr primary_type description beat latitude longitude"
    guess = Mapping.guess(crimes.split())
    assert guess.columns == {
        "external_id": "id",
        "lon": "longitude",
        "lat": "latitude",
        "occurred_at": "date",
        "kind": "primary_type",
        "text": "description",
        "address": "block",
    }
    names = ["工单号", "经度", "纬度", "坐标系", "精度（米）", "发生时间", "事项", "诉求内容"]
    names += ["地址", "来源"]
    assert list(Mapping.guess(names).columns.values()) == names


def test_guess_takes_a_pair_from_one_system() -> None:
    guess = Mapping.guess(["X Coordinate", "Y Coordinate", "Latitude", "Longitude", "geometry"])
    assert (guess.lon, guess.lat, guess.lonlat) == ("Longitude", "Latitude", None)
    assert Mapping.guess(["x", "latitude"]).columns == {}
    assert Mapping.guess(["经纬度"]).lonlat == "经纬度"


def test_flags_and_yaml(tmp_path: Path) -> None:
    base = Mapping.guess(["id", "lon", "lat", "date"])
    flags = Mapping.from_flags(["latlon=Location", "datum_is=Mars", "kind= Art "], base)
    assert flags.columns == {
        "external_id": "id",
        "latlon": "Location",
        "occurred_at": "date",
        "kind": "Art",
    }
    assert flags.datum_is == "gcj02"
    assert Mapping.from_flags(["omit=a,b", "occurred_at="], base).omit == ("a", "b")
    path = tmp_path / "m.yaml"
    path.write_text("lon: 经度\nlat: 纬度\ndate_order: dmy\n", "utf-8")
    assert Mapping.from_yaml(path) == Mapping(lon="经度", lat="纬度", date_order="dmy")
    path.write_text("- lon\n")
    with pytest.raises(TableError, match="must have lines"):
        Mapping.from_yaml(path)
    with pytest.raises(TableError, match="cannot be read"):
        Mapping.from_yaml(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["lon"], "maps nothing; write field=column"),
        (["longitude=x"], "a report has no field 'longitude'; it has external_id, lon"),
        (["lon=x"], "lon is mapped and lat is not"),
        (["lon=x", "lat=y", "latlon=z"], "map the position once"),
        (["datum_is=moon"], "datum 'moon' is not known"),
        (["date_order=ymd"], "date_order: Input should be 'mdy' or 'dmy'"),
    ],
)
def test_wrong_flags_say_so(flags: list[str], says: str) -> None:
    with pytest.raises(TableError, match=says):
        Mapping.from_flags(flags)


def test_check_names_the_columns_that_there_are() -> None:
    with pytest.raises(TableError, match=r"columns of lon=X, lat=Y; it has a, b$"):
        Mapping(lon="X", lat="Y").check(["a", "b"])
    with pytest.raises(TableError, match="given as datum_is"):
        Mapping(datum="gcj02").check(["a"])


# --- places ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["113.125", " 113.125 ", "１１３．１２５", "113,125", "+1.13125e2", "113.125\u3000"]
)
def test_numbers_in_their_spellings(text: str) -> None:
    assert located(text, "23.0") == (113.125, 23.0, "")


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        ("abc", "23.0", "longitude 'abc' is not a number"),
        ("113.1", "NaN", "latitude 'NaN' is not a number"),
        ("inf", "23.0", "longitude 'inf' is not a number"),
        ("113.1", None, "there is a longitude but no latitude"),
        ("  ", "23.0", "there is a latitude but no longitude"),
        ("113.1", "123.4", "latitude 123.4 is out of range: "),
        ("213.1", "23.4", "longitude 213.1 is out of range: "),
        ("0", "0.0", "coordinates 0, 0: "),
        ("23.02", "113.12", "exchanged"),
        ("12590234", "2632019", "metres"),
    ],
)
def test_wrong_coordinates_are_rejected_with_the_reason(x: str, y: str, says: str) -> None:
    assert says in located(x, y, datum="wgs84")[2]


def test_what_the_datum_and_the_extent_show() -> None:
    assert "exchanged" in located("22.9", "88.5", datum="wgs84", extent=(88, 22, 89, 23))[2]
    assert located("22.9", "88.5", datum="wgs84")[2] == ""
    assert located("38513130", "2547000", datum="EPSG:4526")[2] == ""


def test_rows_without_coordinates_are_accepted() -> None:
    out = parsed(
        {"id": ["1", "2"], "lon": [None, " "], "lat": [None, None], "address": ["A", None]}
    )
    assert out.accepted.all() and np.isnan(out.x).all() and np.isnan(out.y).all()


@pytest.mark.parametrize(
    "text",
    [
        "113.125,23.5",
        "113.125 23.5",
        " (113.125, 23.5) ",
        "[113.125,23.5]",
        "113.125，23.5",
        "１１３.125;23.5",
        "POINT (113.125 23.5)",
        "POINT Z (113.125 23.5 7)",
        "SRID=4490;POINT(113.125 23.5)",
        '{"type": "Point", "coordinates": [113.125, 23.5]}',
        '{"coordinates":[113.125,23.5,12.0],"type":"Point"}',
    ],
)
def test_positions_in_one_column(text: str) -> None:
    rows = batch({"p": [text, None]})
    for mapping in (Mapping(lonlat="p"), Mapping(latlon="p")):
        out = parse(rows, mapping, datum="EPSG:4490")
        pair = (113.125, 23.5) if mapping.lonlat else (23.5, 113.125)
        assert (out.x[0], out.y[0]) == pair
        assert np.isnan(out.x[1]) and out.verdict[1].as_py() == ""
        assert (out.verdict[0].as_py() == "") == (mapping.lonlat is not None)


@pytest.mark.parametrize(
    "text", ["113.125", "here", "LINESTRING (1 2, 3 4)", "1,2,x", "POINT EMPTY"]
)
def test_positions_that_are_none(text: str) -> None:
    verdict = parse(batch({"p": [text]}), Mapping(lonlat="p")).verdict[0].as_py()
    assert verdict.startswith(f"position {text!r} is not a pair of numbers")


def test_datum_of_the_row_then_the_mapping_then_the_file_then_the_source() -> None:
    rows = {
        "id": ["1", "2", "3"],
        "lon": ["113.1"] * 3,
        "lat": ["23"] * 3,
        "datum": ["百度", None, "moon"],
    }
    mapping = Mapping.guess(list(rows))
    out = parse(batch(rows), mapping, datum="gcj02")
    assert out.datum.to_pylist() == ["bd09", "gcj02", None]
    assert [bool(v) for v in out.verdict.to_pylist()] == [False, False, True]
    assert "'moon' is not known" in out.verdict[2].as_py()
    del rows["datum"]
    mapping = Mapping.guess(list(rows))
    assert parse(batch(rows), mapping).datum.to_pylist() == [None] * 3
    assert parse(batch(rows, "EPSG:4490"), mapping, datum="gcj02").datum[0].as_py() == "cgcs2000"
    told = mapping.model_copy(update={"datum_is": "bd09"})
    assert parse(batch(rows, "EPSG:4490"), told, datum="gcj02").datum[0].as_py() == "bd09"


def test_accuracy() -> None:
    out = parsed({"id": list("12345"), "accuracy": ["12.5", "20米", "0", "-3", "good"]})
    assert out.accuracy_m[:2].tolist() == [12.5, 20.0] and np.isnan(out.accuracy_m[2])
    assert out.verdict.to_pylist()[:3] == [""] * 3
    assert "accuracy -3 is less than 0" in out.verdict[3].as_py()
    assert "accuracy 'good' is not a number" in out.verdict[4].as_py()


# --- dates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2019-03-01", "2019-02-28T16:00:00"),
        ("2019-03-01 11:05", "2019-03-01T03:05:00"),
        ("2019-03-01T11:05:00.25", "2019-03-01T03:05:00.25"),
        ("2019-03-01T11:05:00Z", "2019-03-01T11:05:00"),
        ("2019-03-01T11:05:00-05:30", "2019-03-01T16:35:00"),
        ("2019-03-01 11:05:00+0800", "2019-03-01T03:05:00"),
        ("2019/3/1 8:05", "2019-03-01T00:05:00"),
        ("2019.3.1", "2019-02-28T16:00:00"),
        ("2019年3月1日 8时5分", "2019-03-01T00:05:00"),
        ("2019年3月1日8时5分30秒", "2019-03-01T00:05:30"),
        ("2019年3月1日 下午8:05", "2019-03-01T12:05:00"),
        ("２０１９年３月１日", "2019-02-28T16:00:00"),
        ("03/25/2019 11:05:00 PM", "2019-03-25T15:05:00"),
        ("03/01/2019 12:05:00 AM", "2019-02-28T16:05:00"),
        ("25.03.2019 08:05", "2019-03-25T00:05:00"),
        ("01.03.2019", "2019-02-28T16:00:00"),
        ("20190301", "2019-02-28T16:00:00"),
        ("20190301110500", "2019-03-01T03:05:00"),
        ("43525.5", "2019-03-01T04:00:00"),
        ("1551438300", "2019-03-01T11:05:00"),
        ("1551438300250", "2019-03-01T11:05:00.25"),
        ("2019-03-01 24:00", "2019-03-01T16:00:00"),
    ],
)
def test_styles_of_dates(text: str, utc: str) -> None:
    for column in ([text], [text, None, "2018-01-01 00:00:00", "2018年1月1日"]):
        out = parse_times(pa.array(column))
        assert out.values[0] == np.datetime64(utc), out.faults
        assert not out.faults


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2019-02-30", "does not exist"),
        ("2019-02-29 10:00", "does not exist"),
        ("2019年13月1日", "does not exist"),
        ("2019-03-01 25:00", "does not exist"),
        ("02/30/2019", "does not exist"),
        ("30/30/2019", "does not exist"),
        ("20191301", "does not exist"),
        ("1019-03-01", "not between 1800 and 2200"),
        ("yesterday", "is not understood; write it as 2019-03-01 11:05:00"),
        ("3/1/19", "is not understood"),
    ],
)
def test_impossible_dates(text: str, says: str) -> None:
    out = parse_times(pa.array([text, "2019-03-01", None]))
    assert list(out.faults) == [0] and says in out.faults[0] and repr(text) in out.faults[0]
    assert np.isnat(out.values).tolist() == [True, False, True]


def test_order_of_day_and_month_is_told_by_the_column() -> None:
    american = parse_times(pa.array(["03/04/2019", "03/25/2019", "1/2/2019"]))
    assert (american.date_order, american.values[0]) == ("mdy", np.datetime64("2019-03-03T16:00"))
    assert "'03/25/2019'" in american.note
    european = parse_times(pa.array(["03/04/2019", "25/03/2019"]))
    assert (european.date_order, european.values[0]) == ("dmy", np.datetime64("2019-04-02T16:00"))
    for given_order, month in (("mdy", "03-03"), ("dmy", "04-02")):
        out = parse_times(pa.array(["03/04/2019"]), date_order=given_order)  # type: ignore[arg-type]
        assert out.values[0] == np.datetime64(f"2019-{month}T16:00")
    assert parse_times(pa.array(["25/03/2019"]), date_order="mdy").faults


def test_dates_that_nothing_decides_are_rejected_and_only_they() -> None:
    out = parse_times(pa.array(["03/04/2019", "05/05/2019", "2019-03-04"]))
    assert list(out.faults) == [0] and "give date_order as mdy or dmy" in out.faults[0]
    torn = parse_times(pa.array(["03/04/2019", "03/25/2019", "25/03/2019"]))
    assert list(torn.faults) == [0] and torn.date_order is None
    assert torn.values[1] == torn.values[2]


def test_the_order_told_is_handed_on() -> None:
    rows = {"id": ["1"], "date": ["03/25/2019"]}
    first = parsed(rows)
    second = parsed({"id": ["2"], "date": ["03/04/2019"]}, date_order=first.date_order)
    assert second.verdict[0].as_py() == "" and second.date_order == "mdy" and first.notes


def test_zones() -> None:
    out = parse_times(pa.array(["2019-07-01 12:00", "2019-01-01 12:00"]), "America/Chicago")
    assert (
        out.values.tolist() == np.array(["2019-07-01T17:00", "2019-01-01T18:00"], "M8[us]").tolist()
    )
    with pytest.raises(ValueError, match="time zone 'Mars/Base' is not known"):
        parse_times(pa.array(["2019-07-01"]), "Mars/Base")


@given(
    st.lists(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2199, 12, 31)), min_size=1),
    st.sampled_from([("Z", 0), ("+08:00", 480), ("+0800", 480), ("-00:30", -30), ("+08", 480)]),
)
def test_a_column_with_zones_is_read_as_each_of_its_times(
    moments: list[dt.datetime], zone: tuple[str, int]
) -> None:
    texts = [f"{moment.isoformat(' ', 'microseconds')}{zone[0]}" for moment in moments]
    expected = [np.datetime64(moment - dt.timedelta(minutes=zone[1]), "us") for moment in moments]
    assert parse_times(pa.array([*texts, None])).values[:-1].tolist() == np.array(expected).tolist()
    mixed = parse_times(pa.array([*texts, "2019/3/1"]))  # the way for columns of several styles
    assert mixed.values[:-1].tolist() == np.array(expected).tolist() and not mixed.faults


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2199, 12, 31)))
def test_all_styles_agree(moment: dt.datetime) -> None:
    moment = moment.replace(microsecond=0)
    styles = ["%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y年%m月%d日%H时%M分%S秒", "%Y%m%d%H%M%S"]
    last = [moment.strftime("%m/%d/%Y %I:%M:%S %p"), moment.strftime("%d.%m.%Y %H:%M:%S")]
    values = [parse_times(pa.array([moment.strftime(s)]), "UTC").values[0] for s in styles]
    values += [
        parse_times(pa.array([text]), "UTC", order).values[0]  # type: ignore[arg-type]
        for text, order in zip(last, ("mdy", "dmy"), strict=True)
    ]
    assert set(values) == {np.datetime64(moment, "us")}


def test_dates_of_a_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id", "date"])
    book.active.append([1, np.datetime64("2019-03-01T08:05").item()])
    book.active.append([2, 43525.25])
    book.save(tmp_path / "a.xlsx")
    (rows,) = read(tmp_path / "a.xlsx")
    out = parse(rows, Mapping.guess(rows.columns), timezone="UTC")
    times = [str(t) for t in np.asarray(out.occurred_at.cast(pa.timestamp("s")))]
    assert times == ["2019-03-01T08:05:00", "2019-03-01T06:00:00"]


# --- identity, attributes ----------------------------------------------------------------------


def test_the_first_of_an_id_wins_across_batches() -> None:
    seen = Seen()
    out = parsed({"id": ["a", "b", " a", None, " "]}, seen=seen)
    twice, empty = "external_id 'a' stands already in row 2", "external_id is empty"
    assert out.verdict.to_pylist() == ["", "", twice, empty, empty]
    later = batch({"id": ["c", "b"]})
    later = Batch(later.table, later.row_number + 5)
    verdict = parse(later, Mapping(external_id="id"), seen=seen).verdict.to_pylist()
    assert verdict == ["", "external_id 'b' stands already in row 3"]


def test_a_rejected_row_does_not_stand_in_the_way_of_a_good_one() -> None:
    out = parsed({"id": ["a", "a"], "lon": ["x", "113"], "lat": ["23", "23"]})
    assert [bool(v) for v in out.verdict.to_pylist()] == [True, False]


@given(st.lists(st.lists(st.integers(0, 60), max_size=20), max_size=12))
def test_seen_is_a_dictionary(parts: list[list[int]]) -> None:
    seen, known, row = Seen(), dict[str, int](), 0
    for part in parts:
        ids = [str(i) for i in part]
        rows = np.arange(row, row + len(ids))
        row += len(ids)
        expected = [known.setdefault(i, int(r)) for i, r in zip(ids, rows, strict=True)]
        assert seen.first_rows(pa.array(ids, pa.string()), rows).tolist() == expected


def test_without_an_id_the_content_stands_for_it() -> None:
    rows: dict[str, list[str | None]] = {
        "lon": ["1", "1", "1"],
        "lat": ["2", "2", None],
        "note": ["x", "x", "2"],
    }
    out = parsed(rows)
    again = parsed(dict(reversed(rows.items())))
    assert out.external_id.to_pylist() == again.external_id.to_pylist()
    assert out.external_id[0].as_py().startswith("sha256:")
    assert out.verdict.to_pylist()[:2] == ["", "the same stands in row 2"]
    assert out.external_id[2] != out.external_id[0]


_cells = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), min_size=1, max_size=8))


@given(st.lists(st.tuples(_cells, _cells, _cells), min_size=1, max_size=10))
def test_attributes_are_json_of_all_that_is_not_mapped(rows: list[tuple[str | None, ...]]) -> None:
    names = ['a"b', "c\\", "单位"]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    out = parse(batch(columns), Mapping())
    for row, text in zip(rows, out.attributes.to_pylist(), strict=True):
        assert json.loads(text) == {n: c for n, c in zip(names, row, strict=True) if c is not None}


def test_mapped_and_omitted_columns_are_no_attributes() -> None:
    rows = batch({"id": ["1"], "phone": ["138"], "beat": ["0111"]})
    out = parse(rows, Mapping(external_id="id", omit=("phone",)))
    assert out.attributes.to_pylist() == ['{"beat":"0111"}']
    assert parse(batch({"id": ["1"]}), Mapping(external_id="id")).attributes.to_pylist() == ["{}"]


def test_a_batch_without_rows() -> None:
    columns: dict[str, list[str | None]] = {
        n: [] for n in ("id", "lon", "lat", "date", "note", "datum")
    }
    out = parsed(columns)
    assert len(out) == 0 and len(out.table()) == 0
    del columns["id"]
    assert len(parsed(columns).external_id) == 0


def test_text_is_trimmed_and_the_table_has_nulls() -> None:
    out = parsed({"id": ["1"], "kind": [" 路灯 "], "text": ["  "], "lon": [None], "lat": [None]})
    row = out.table().to_pylist()[0]
    assert (row["kind"], row["text"], row["x"], row["occurred_at"]) == ("路灯", None, None, None)


# --- whole files -------------------------------------------------------------------------------


@pytest.mark.skipif(not CRIMES.exists(), reason=f"{CRIMES} is not there")
def test_published_crimes() -> None:
    (rows,) = read(CRIMES)
    out = parse(rows, Mapping.guess(rows.columns), datum="wgs84", timezone="America/Chicago")
    assert len(out) == 11_224 and out.accepted.all()
    assert int(np.isnan(out.x).sum()) == 45
    assert out.occurred_at.null_count == 0
    first = out.table().slice(1, 1).to_pylist()[0]
    assert (first["external_id"], first["x"], first["y"]) == (
        "11553374",
        -87.712570388,
        41.892628112,
    )
    assert (first["kind"], first["address"]) == ("NARCOTICS", "006XX N TRUMBULL AVE")
    assert json.loads(first["attributes"])["beat"] == "1121"
    assert str(first["occurred_at"]) == "2019-01-01 06:00:00+00:00"


def test_rejects_can_be_mended_and_read_again(tmp_path: Path) -> None:
    text = 'id,lon,lat,note\n1,113.1,23.0,ok\n2,abc,23.0,"quo""ted, 路灯"\nbroken\n3,113.1,,\n'
    (tmp_path / "a.csv").write_text(text, "utf-8")
    parts = [
        (b, parse(b, Mapping.guess(b.columns))) for b in read(tmp_path / "a.csv", batch_rows=2)
    ]
    path = tmp_path / "rejects.csv"
    assert write_rejects(path, parts) == 3
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "lon", "lat", "note", "row", "reason"]
    assert rows[1] == ["2", "abc", "23.0", 'quo"ted, 路灯', "3", "longitude 'abc' is not a number"]
    assert rows[2][:1] + rows[2][4:5] == ["broken", "4"] and "too few cells" in rows[2][5]
    assert rows[3][4:] == ["5", "there is a longitude but no latitude"]
    mended = path.read_text("utf-8-sig").replace("abc", "113.2")
    path.write_text(mended, "utf-8-sig")
    (again,) = read(path)
    out = parse(again, Mapping.guess(again.columns))
    assert out.verdict[0].as_py() == ""
    assert json.loads(out.attributes[0].as_py()) == {"note": 'quo"ted, 路灯'}


def test_no_rejects_no_file_and_new_members_widen_it(tmp_path: Path) -> None:
    path = tmp_path / "rejects.csv"
    good = batch({"id": ["1"]})
    assert write_rejects(path, [(good, parse(good, Mapping(external_id="id")))]) == 0
    assert not path.exists()
    with RejectsFile(path) as rejects:
        rejects.add(batch({"a": ["1"]}), pa.array(["bad"]))
        rejects.add(batch({"a": ["2"], "b": ["3"]}), pa.array(["worse"]))
    assert path.read_text("utf-8-sig").splitlines() == ["a,b,row,reason", "1,,2,bad", "2,3,2,worse"]


def test_a_million_rows_of_which_one_is_bad(tmp_path: Path) -> None:
    line = "{0},{1},{2:.6f},lamp,2019-03-01 11:05:{3:02d}\n"
    lines = [line.format(i, 113 + i / 1e7, 22 + i / 1e7, i % 60) for i in range(1_000_000)]
    lines[654_321] = lines[654_321].replace("113.0", "east")
    path = tmp_path / "a.csv"
    path.write_text("id,lon,lat,kind,date\n" + "".join(lines))
    seen, spent, verdicts = Seen(), 0.0, dict[int, str]()
    for rows in read(path):
        start = time.process_time()
        out = parse(rows, Mapping.guess(rows.columns), datum="wgs84", seen=seen)
        spent += time.process_time() - start
        bad = np.flatnonzero(~out.accepted)
        verdicts |= {int(out.row_number[i]): out.verdict[int(i)].as_py() for i in bad}
    assert list(verdicts) == [654_323] and "is not a number" in verdicts[654_323]
    assert spent < 5
