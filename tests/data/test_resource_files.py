"""Rosters from files: every row accounted for, the same twice is once, nobody lost on the way."""

import csv
import gzip
import json

import openpyxl
import pandas as pd
import pytest
from sqlalchemy import text

from data import reports, resource_files
from data.resource_files import Options
from data.resource_mapping import ResourceMapping
from data.text_stream import TableError
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST, build

HEAD = ("id", "name", "kind", "skills", "area", "areas", "lon", "lat", "capacity")


@pytest.fixture(scope="module", autouse=True)
def _town(engine):
    build(engine)


@pytest.fixture(autouse=True)
def _alone(engine, tmp_path, monkeypatch):
    """Rejects go beside the work, and every test has the tables for itself."""
    monkeypatch.chdir(tmp_path)
    yield
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE resource, event CASCADE"))


def rows(n=8):
    return [
        {"id": f"w{i}", "name": f"网格员{i}", "kind": "网格员", "skills": "急救;邻里纠纷",
         "area": GRIDS[i % 8], "areas": f"grid:{GRIDS[i % 8]};{VILLAGES[0]}", "lon": "", "lat": "",
         "capacity": "2"}
        for i in range(n)
    ]  # fmt: skip


def write(path, given, encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(given[0]))
        writer.writeheader()
        writer.writerows(given)
    return path


def run(engine, path, **options):
    return resource_files.run(engine, path, Options(**{"source": "s", **options}))


def counts(done):
    return {name: value for name, value in done.lines() if value}


def stored(engine, columns="external_id, name, kind, skills, capacity, withdrawn IS NOT NULL"):
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT {columns} FROM resource ORDER BY external_id"))
        return [tuple(row) for row in found]


def answered_for(engine):
    with engine.connect() as connection:
        return connection.execute(text("SELECT count(*) FROM resource_area")).scalar_one()


def rejected(path):
    return {row["id"]: row["reason"] for row in csv.DictReader(path.open(encoding="utf-8-sig"))}


# --- formats --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["r.csv", "gbk.csv", "r.tsv", "r.xlsx", "r.jsonl", "r.parquet"])
def test_every_format_gives_the_same(engine, tmp_path, name):
    path, given = tmp_path / name, rows()
    if name.endswith("csv"):
        write(path, given, "gb18030" if name.startswith("gbk") else "utf-8")
    elif name == "r.tsv":
        lines = ["\t".join(row) for row in [HEAD, *(row.values() for row in given)]]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    elif name == "r.xlsx":
        book = openpyxl.Workbook()
        for row in [HEAD, *(row.values() for row in given)]:
            book.active.append(list(row))
        book.save(path)
    elif name == "r.jsonl":
        listed = [{**row, "skills": row["skills"].split(";")} for row in given]
        lines = [json.dumps(row, ensure_ascii=False) for row in listed]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    else:
        pd.DataFrame(given).to_parquet(path)
    assert counts(run(engine, path)) == {"rows": 8, "added": 8}
    first = ("w0", "网格员0", "grid_helper", ["first_aid", "neighbours"], 2, False)
    assert stored(engine)[0] == first
    assert answered_for(engine) == 16


def test_chinese_headings_are_understood():
    names = ["工号", "姓名", "岗位", "所属单位", "专长", "所属网格", "责任区", "经度", "纬度"]
    names += ["坐标系", "详细地址", "交通工具", "班次", "接待能力"]
    mapping = ResourceMapping.guess(names)
    fields = ["external_id", "name", "kind", "organisation", "skills", "area", "areas", "lon",
              "lat", "datum", "address", "mode", "shift", "capacity"]  # fmt: skip
    assert [getattr(mapping, field) for field in fields] == names


def test_columns_are_named_by_flags_and_the_rest_is_kept(engine, tmp_path):
    given = [{"nr": "1", "wer": "Streife", "wo": GRIDS[0], "note": 'A"7'}]
    flags = ("external_id=nr", "name=wer", "area=wo", "kind_is=巡逻队", "areas=wo")
    path = write(tmp_path / "r.csv", given)
    assert counts(run(engine, path, mapping=flags))["added"] == 1
    assert stored(engine, "kind, attributes") == [("patrol", {"note": 'A"7'})]
    with pytest.raises(TableError, match="which columns hold external_id and kind"):
        run(engine, path)
    with pytest.raises(TableError, match="a resource has no field 'colour'"):
        run(engine, path, mapping=("colour=nr",))
    with pytest.raises(TableError, match="no kind of resource 'cook'"):
        run(engine, path, mapping=(*flags[:3], "kind_is=cook"))


# --- the same again, and others -------------------------------------------------------------------


def test_the_same_file_twice_changes_nothing(engine, tmp_path):
    path = write(tmp_path / "r.csv", rows())
    run(engine, path)
    before = stored(engine, "xmin, id"), answered_for(engine)
    assert counts(run(engine, path)) == {"rows": 8, "unchanged": 8}
    assert (stored(engine, "xmin, id"), answered_for(engine)) == before
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM event")).scalar_one() == 1


def test_next_months_roster_adds_changes_and_withdraws(engine, tmp_path):
    run(engine, write(tmp_path / "march.csv", rows()))
    april = rows(9)[2:]
    april[0]["name"], april[1]["areas"] = "新名", ""
    path = write(tmp_path / "april.csv", april)
    assert counts(run(engine, path)) == {"rows": 7, "added": 1, "changed": 2, "unchanged": 4}
    assert not any(row[-1] for row in stored(engine))
    done = run(engine, path, replace=True)
    assert counts(done) == {"rows": 7, "unchanged": 7, "withdrawn": 2}
    assert [row[0] for row in stored(engine) if row[-1]] == ["w0", "w1"]
    run(engine, write(tmp_path / "other.csv", rows(1)), source="t", replace=True)
    assert len(stored(engine)) == 10  # another source's are its own
    assert counts(run(engine, tmp_path / "march.csv"))["changed"] == 4  # two come back
    assert not any(row[-1] for row in stored(engine))


def test_whoever_has_tasks_stays_and_nobody_goes_for_a_bad_row(engine, tmp_path):
    run(engine, write(tmp_path / "march.csv", rows(3)))
    april = rows(1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE resource SET load = 1 WHERE external_id = 'w1'"))
    bad = write(tmp_path / "bad.csv", [*april, {**april[0], "id": "w2", "kind": "cook"}])
    done = run(engine, bad, replace=True)
    assert counts(done) == {"rows": 2, "unchanged": 1, "rejected": 1}
    assert any("nobody was withdrawn" in note for note in done.notes)
    done = run(engine, write(tmp_path / "april.csv", april), replace=True)
    assert done.withdrawn == 1
    assert any("1 that the file lacks have tasks" in note for note in done.notes)
    assert [row[0] for row in stored(engine) if row[-1]] == ["w2"]


# --- bad rows -------------------------------------------------------------------------------------


def test_each_bad_row_is_rejected_with_its_reason_and_the_others_come_in(engine, tmp_path):
    good = rows(30)
    faults = {
        "kind": ({"kind": "cook"}, "there is no kind of resource 'cook'; there are"),
        "none": ({"kind": ""}, "kind is empty"),
        "skill": ({"skills": "急救;juggling"}, "there is no skill 'juggling'; there are"),
        "home": ({"area": "", "areas": ""}, "it has no home: give the code of an area"),
        "area": ({"area": "999"}, "there is no area '999' in force"),
        "areas": ({"areas": "beats:B9"}, "there is no area 'beats:B9' in force"),
        "datum": ({"lon": "113.1", "lat": "23", "area": ""}, "which datum its coordinates are in"),
        "half": ({"lon": "113.1"}, "there is a longitude but no latitude"),
        "swapped": ({"lon": "23", "lat": "113.1"}, "exchanged"),
        "metres": ({"lon": "38470000", "lat": "2545000"}, "projected metres"),
        "capacity": ({"capacity": "1.5"}, "capacity 1.5 is no number of tasks"),
        "zero": ({"capacity": "0"}, "capacity 0 is no number of tasks"),
        "name": ({"name": " "}, "name is empty"),
        "": ({}, "external_id is empty"),
        "w3": ({}, "external_id 'w3' stands already in row 5"),
    }
    bad = [{**good[0], "id": number, **change} for number, (change, _) in faults.items()]
    done = run(engine, write(tmp_path / "r.csv", good + bad))
    assert counts(done) == {"rows": 45, "added": 30, "rejected": 15}
    reasons = rejected(done.rejects)
    assert len(reasons) == len(faults)
    for number, (_, words) in faults.items():
        assert words in reasons[number], number
    assert sum(done.reasons.values()) == 15
    mended = [{**row, "kind": "网格员"} for row in csv.DictReader(
        done.rejects.open(encoding="utf-8-sig")) if row["id"] == "kind"]  # fmt: skip
    assert counts(run(engine, write(tmp_path / "mended.csv", mended)))["added"] == 1
    assert stored(engine, "attributes")[0] == ({},)


def test_one_bad_row_of_many_and_all_or_nothing(engine, tmp_path):
    given = rows(400)
    given[200]["kind"] = "cook"
    path = write(tmp_path / "r.csv", given)
    with pytest.raises(
        TableError, match=r"1 rows of r\.csv cannot be taken in, and all or nothing"
    ):
        run(engine, path, all_or_nothing=True)
    assert stored(engine) == []
    assert "cook" in rejected(tmp_path / "r.rejects.csv")["w200"]
    assert counts(run(engine, path)) == {"rows": 400, "added": 399, "rejected": 1}


def test_ragged_rows_are_rejected_with_their_number(engine, tmp_path):
    path = write(tmp_path / "r.csv", rows(2))
    with path.open("a") as file:
        file.write("w9,too,many,cells,by,far,1,2,3,4,5\n")
    done = run(engine, path)
    assert counts(done) == {"rows": 3, "added": 2, "rejected": 1}
    assert '4,"' in done.rejects.read_text("utf-8-sig") or ",4," in done.rejects.read_text()


def test_half_a_file_is_nothing(engine, tmp_path):
    whole = gzip.compress(write(tmp_path / "r.csv", rows(5000)).read_bytes())
    (tmp_path / "half.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match=r"half\.csv\.gz"):
        run(engine, tmp_path / "half.csv.gz")
    assert stored(engine) == []


def test_positions_are_in_the_datum_of_the_row_the_option_or_the_source(engine, tmp_path):
    lon, lat = WEST + 0.2 * STEP, SOUTH + 0.2 * STEP
    given = {**rows(1)[0], "area": "", "lon": str(lon), "lat": str(lat)}
    path = write(tmp_path / "r.csv", [given])
    homes = "ST_X(home), (SELECT code FROM area WHERE id = home_area_id)"
    run(engine, path, datum="wgs84")
    assert stored(engine, homes) == [(pytest.approx(lon, abs=1e-9), GRIDS[0])]
    with engine.begin() as connection:
        reports.set_source(connection, "amap", datum="gcj02")
    run(engine, path, source="amap")
    homes += ", source"
    (shifted,) = [row[0] for row in stored(engine, homes) if row[2] == "amap"]
    assert shifted == pytest.approx(lon - 0.0053, abs=1e-3)
    named = write(tmp_path / "named.csv", [{**given, "datum": "wgs84"}])
    run(engine, named, source="amap")
    assert [row[0] for row in stored(engine, homes)] == pytest.approx([lon, lon], abs=1e-9)


def test_without_a_datum_or_with_an_unclear_address_the_area_counts_and_it_is_said(
    engine, tmp_path
):
    given = [
        {**rows(1)[0], "lon": "113.1", "lat": "23.0", "address": ""},
        {**rows(2)[1], "address": "nowhere 5"},
        {**rows(3)[2], "area": "", "address": "季华五路10号"},
        {**rows(4)[3], "area": "", "address": "nowhere 5"},
    ]
    done = run(engine, write(tmp_path / "r.csv", given))
    assert counts(done) == {"rows": 4, "added": 3, "rejected": 1}
    assert len(done.notes) == 2
    assert any("without a datum" in note for note in done.notes)
    assert any("the gazetteer does not know" in note for note in done.notes)
    assert "gazetteer has no such address ('nowhere 5')" in rejected(done.rejects)["w3"]
    homes = stored(engine, "round(((ST_X(home) - 113.1) / 0.005)::numeric, 1)")
    assert [float(home) for (home,) in homes] == [0.5, 1.5, 2.5]


def test_an_import_is_told_once_not_row_by_row(engine, tmp_path):
    run(engine, write(tmp_path / "r.csv", rows()))
    with engine.connect() as connection:
        (event,) = connection.execute(text("SELECT kind, data FROM event")).all()
    assert event.kind == "resource.imported"
    assert event.data == {"source": "s", "added": 8, "changed": 0, "withdrawn": 0}
