"""Reports in from files: every row accounted for, once, whatever happens on the way."""

import csv
import gzip
import json
import os
import resource
import signal
import subprocess
import sys
from datetime import UTC, datetime
from itertools import count
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import pytest
import shapely
from sqlalchemy import create_engine, text

from data import areas, intake, reports, server, table_files
from data.intake import IntakeError, Options
from data.migrate import upgrade
from data.settings import ROOT
from data.text_stream import TableError

CHICAGO = ROOT.parent / "shared/data/chicago"
AT, SIZE = np.array([113.1, 23.0]), 0.01
serial = count()

published = pytest.mark.skipif(
    not CHICAGO.is_dir(), reason=f"the published data are not there: {CHICAGO}"
)


def tiles(engine, layer):
    """A layer of four areas: a1 and a2 below, a3 and a4 above."""
    boxes = [
        shapely.transform(shapely.box(c, r, c + 1, r + 1), lambda xy: xy * SIZE + AT)
        for r in (0, 1)
        for c in (0, 1)
    ]
    codes = ["a1", "a2", "a3", "a4"]
    frame = gpd.GeoDataFrame({"code": codes, "name": codes}, geometry=boxes, crs=4326)
    with areas.change(engine, "import") as change:
        areas.ensure_layer(change.connection, layer)
        areas.record(change, layer, frame)


@pytest.fixture(scope="module", autouse=True)
def _tiles(engine):
    tiles(engine, "tiles")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Rejects go beside the work, not into the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def source():
    return f"source-{next(serial)}"


def options(source, **more):
    return Options(source, **{"layer": "tiles", "datum": "wgs84", **more})


def rows_of(n, start=0):
    """Reports all over the tiles, some beyond them."""
    rng = np.random.default_rng(start)
    xy = rng.uniform(-0.4, 2.4, (n, 2)) * SIZE + AT
    return [
        {"id": f"r{start + i}", "lon": f"{x:.6f}", "lat": f"{y:.6f}", "date": "2026-03-01 08:00",
         "text": f"路灯 \"{i}\", dark", "address": f"祖庙路{i}号"}
        for i, (x, y) in enumerate(xy)
    ]  # fmt: skip


def write_csv(path, rows, encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


STORED = text("""
SELECT external_id, occurred, channel, kind, premises, description, address, x, y, datum,
       accuracy_m, ST_AsBinary(geom) AS geom, attributes, area_id, version_id, method, ambiguous,
       border_m, alternatives, at, triage
FROM report WHERE source = :source ORDER BY external_id
""")


def stored(engine, source):
    with engine.connect() as connection:
        rows = connection.execute(STORED, {"source": source}).mappings()
        return [{**row, "geom": row["geom"] and bytes(row["geom"])} for row in rows]


def leftovers(engine):
    """Staging tables, and runs that are not finished."""
    with engine.connect() as connection:
        tables = connection.execute(
            text(
                r"SELECT relname FROM pg_class WHERE relname ~ '^intake_\d+_\d+$' AND relkind = 'r'"
            )
        )
        open_runs = connection.execute(text("SELECT id FROM intake WHERE finished IS NULL"))
        return list(tables.scalars()), list(open_runs.scalars())


def adds_up(done):
    return (
        done.rows == done.added + done.known + done.rejected + done.left_out
        and done.placed + done.triaged == done.added + done.known
    )


# --- formats --------------------------------------------------------------------------------------


def _write(path, rows):
    names = list(rows[0])
    plain = [{k: v for k, v in row.items() if k not in ("lon", "lat")} for row in rows]
    if path.name.endswith((".csv", ".csv.gz")):
        plain_path = write_csv(path.with_suffix("") if path.suffix == ".gz" else path, rows)
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(plain_path.read_bytes()))
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        book.active.append(names)
        for row in rows:
            numbers = {"lon": float(row["lon"]), "lat": float(row["lat"])}
            when = {"date": datetime.fromisoformat(row["date"])}
            book.active.append(list({**row, **numbers, **when}.values()))
        book.save(path)
    elif path.suffix == ".jsonl":
        lines = [
            json.dumps({**r, "lon": float(r["lon"]), "lat": float(r["lat"])}, ensure_ascii=False)
            for r in rows
        ]
        path.write_text("\n".join(lines) + "\n", "utf-8")
    elif path.suffix == ".geojson":
        features = [
            {"type": "Feature", "properties": p,
             "geometry": {"type": "Point", "coordinates": [float(r["lon"]), float(r["lat"])]}}
            for p, r in zip(plain, rows, strict=True)
        ]  # fmt: skip
        text_ = json.dumps({"type": "FeatureCollection", "features": features})
        path.write_text(text_, "utf-8")
    else:
        points = gpd.points_from_xy(
            [float(r["lon"]) for r in rows], [float(r["lat"]) for r in rows]
        )
        gpd.GeoDataFrame(pd.DataFrame(plain), geometry=points, crs=4326).to_parquet(path)
    return path


def test_every_format_gives_the_same_rows(engine, tmp_path):
    rows = rows_of(80)
    found = {}
    for name in ("a.csv", "a.csv.gz", "a.xlsx", "a.jsonl", "a.geojson", "a.parquet"):
        done = intake.run(engine, _write(tmp_path / name, rows), options(name))
        assert adds_up(done) and done.added == 80, name
        found[name] = stored(engine, name)
    assert {row["method"] for row in found["a.csv"]} >= {"inside", "none"}
    for name, got in found.items():
        assert got == found["a.csv"], name


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_encodings_give_the_same_rows(engine, tmp_path, source, encoding):
    rows = rows_of(5)
    intake.run(engine, write_csv(tmp_path / "a.csv", rows, encoding), options(source))
    assert [row["description"] for row in stored(engine, source)] == [r["text"] for r in rows]


# --- once, and nothing lost -----------------------------------------------------------------------


def test_the_same_file_twice_changes_nothing(engine, tmp_path, source):
    path = write_csv(tmp_path / "a.csv", rows_of(30))
    first = intake.run(engine, path, options(source))
    before = stored(engine, source)
    second = intake.run(engine, path, options(source))
    assert (first.added, first.known) == (30, 0)
    assert (second.added, second.known, second.rows) == (0, 30, 30)
    assert adds_up(second) and (second.placed, second.triaged) == (first.placed, first.triaged)
    assert stored(engine, source) == before
    assert leftovers(engine) == ([], [])


def test_rows_that_come_later_join_those_before(engine, tmp_path, source):
    intake.run(engine, write_csv(tmp_path / "a.csv", rows_of(10)), options(source))
    again = intake.run(
        engine, write_csv(tmp_path / "b.csv", [*rows_of(10), *rows_of(5, 10)]), options(source)
    )
    assert (again.added, again.known) == (5, 10)
    assert len(stored(engine, source)) == 15


def test_known_rows_in_later_batches_are_left_alone(engine, tmp_path, source, monkeypatch):
    """The batches before are all new, and stay; so does what was there."""
    intake.run(engine, write_csv(tmp_path / "a.csv", rows_of(10, 250)), options(source))
    before = stored(engine, source)
    small_batches(monkeypatch, 100)
    moved = [{**row, "text": "another", "lon": "113.105"} for row in rows_of(500)]
    done = intake.run(engine, write_csv(tmp_path / "b.csv", moved), options(source))
    assert (done.added, done.known) == (490, 10) and adds_up(done)
    got = stored(engine, source)
    assert [row for row in got if row["description"] != "another"] == before
    assert len(got) == len({row["external_id"] for row in got}) == 500


BAD = [
    ("23.005", "113.105", "exchanged"),
    ("213.1", "23.005", "longitude 213.1 is out of range"),
    ("113.105", "93", "latitude 93 is out of range"),
    ("12590000", "2630000", "projected metres"),
    ("0", "0", "0, 0"),
    ("NaN", "NaN", "'NaN' is not a number"),
    ("inf", "23", "'inf' is not a number"),
    ("here", "there", "'here' is not a number"),
    ("113.105", "", "no latitude"),
]


def test_rejects_say_why_and_come_in_once_mended(engine, tmp_path, source):
    good = rows_of(4)
    bad = [{**good[0], "id": f"b{i}", "lon": x, "lat": y} for i, (x, y, _) in enumerate(BAD)]
    rejects = tmp_path / "no.csv"
    done = intake.run(
        engine, write_csv(tmp_path / "a.csv", good + bad), options(source), rejects=rejects
    )
    assert adds_up(done) and (done.added, done.rejected) == (4, len(BAD))
    assert done.rejects == rejects
    with rejects.open(encoding="utf-8-sig", newline="") as file:
        told = list(csv.DictReader(file))
    assert [int(row["row"]) for row in told] == list(range(6, 6 + len(BAD)))
    for row, given, (_, _, words) in zip(told, bad, BAD, strict=True):
        assert words in row["reason"]
        assert {k: row[k] for k in given} == given
    mended = [{**row, "lon": "113.105", "lat": "23.005"} for row in told]
    done = intake.run(engine, write_csv(rejects, mended, "utf-8-sig"), options(source))
    assert (done.added, done.rejected, done.known) == (len(BAD), 0, 0)
    got = stored(engine, source)
    assert len(got) == 4 + len(BAD)
    assert {json.dumps(row["attributes"]) for row in got} == {
        "{}"
    }  # row and reason are no part of a report


def test_rejects_never_go_over_the_file_they_are_from(engine, tmp_path, source):
    bad = write_csv(tmp_path / "a.rejects.csv", [{"id": "1", "lon": "x", "lat": "y"}])
    before = bad.read_bytes()
    done = intake.run(engine, bad, options(source))
    assert bad.read_bytes() == before and done.rejects.name != bad.name and done.rejects.exists()
    twin = write_csv(tmp_path / "a.csv", [{"id": "1", "lon": "x", "lat": "y"}])
    with pytest.raises(TableError, match="its own rejects"):
        intake.run(engine, twin, options(source), rejects=twin)
    assert twin.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"lon": 113.105, "lat": 23.005, "text": "a\0b"}, "NUL character in column text"),
        ({"lon": 113.105, "lat": 23.005, "other": "a\0b"}, "NUL character in column other"),
        ({"lon": 113.105, "lat": 23.005, "text": "a\ud800b"}, "half a character"),
        ({"lon": 113.105, "lat": 23.005, "id": "x" * 30_000}, "30,000 characters"),
        ({"lon": 113.105, "lat": 23.005, "accuracy": 1e300}, "which tells no place"),
        ({"lon": 113.105, "lat": 23.005, "datum": "mars-2"}, "'mars-2' is not known"),
        ({"lon": -87.6, "lat": 41.8, "datum": "gcj02"}, "check the datum"),
        ([1, 2], "not an object"),
    ],
)
def test_one_row_that_cannot_be_stored_does_not_stop_the_others(
    engine, tmp_path, source, line, words
):
    lines = [{"id": "good", "lon": 113.105, "lat": 23.005}]
    lines.append({"id": "bad", **line} if isinstance(line, dict) else line)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in lines), "utf-8")
    done = intake.run(engine, path, options(source))
    assert (done.added, done.rejected) == (1, 1) and adds_up(done)
    assert any(words in reason for reason in done.reasons)


def test_text_arrives_to_the_letter(engine, tmp_path, source):
    words = [
        '"',
        "\\N",
        "\\.",
        "a,b\r\nc",
        "' OR 1=1 --",
        "佛山市禅城区祖庙街道𠀀",
        "a\x01b",
        "{}",
    ]
    path = tmp_path / "a.jsonl"
    rows = [{"id": str(i), "text": w, "w": f"|{w}|"} for i, w in enumerate(words)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    intake.run(engine, path, options(source))
    got = stored(engine, source)
    assert [row["description"] for row in got] == words
    assert [row["attributes"]["w"] for row in got] == [f"|{w}|" for w in words]


# --- triage ---------------------------------------------------------------------------------------


def test_what_has_no_area_waits_with_the_reason(engine, tmp_path, source):
    rows = [
        {"id": "1", "lon": "113.105", "lat": "23.005", "address": "", "datum": ""},
        {"id": "2", "lon": "", "lat": "", "address": "", "datum": ""},
        {"id": "3", "lon": "", "lat": "", "address": "没有的路99号", "datum": ""},
        {"id": "4", "lon": "113.5", "lat": "23.5", "address": "", "datum": "wgs84"},
        {"id": "5", "lon": "113.105", "lat": "23.005", "address": "", "datum": "wgs84"},
    ]
    path = write_csv(tmp_path / "a.csv", rows)
    done = intake.run(engine, path, options(source, datum=None))
    reasons = [row["triage"] for row in stored(engine, source)]
    assert reasons == ["unknown_datum", "no_place", "address_unknown", "outside", None]
    assert adds_up(done) and (done.placed, done.triaged, done.rejected) == (1, 4, 0)
    assert stored(engine, source)[0]["x"] == 113.105  # kept as received


def test_a_source_has_a_default_datum(engine, tmp_path, source):
    with engine.begin() as connection:
        reports.set_source(connection, source, datum="gcj02", accuracy_m=7.0)
    rows = [{"id": "1", "lon": "113.11", "lat": "23.005"}]
    intake.run(engine, write_csv(tmp_path / "a.csv", rows), options(source, datum=None))
    (row,) = stored(engine, source)
    place = shapely.from_wkb(row["geom"])
    assert (row["datum"], row["accuracy_m"], row["x"]) == ("gcj02", 7.0, 113.11)
    assert 0.004 < 113.11 - place.x < 0.007


def test_snapped_and_on_the_border(engine, tmp_path, source):
    rows = [
        {"id": "1", "lon": "113.11", "lat": "23.003"},
        {"id": "2", "lon": "113.0995", "lat": "23.005"},
    ]
    done = intake.run(engine, write_csv(tmp_path / "a.csv", rows), options(source))
    border, snapped = stored(engine, source)
    assert (border["method"], border["ambiguous"]) == ("on_border", True)
    assert {each["code"] for each in border["alternatives"]} == {"a1", "a2"}
    assert snapped["method"] == "snapped" and done.ambiguous == 1


# --- all or nothing, and interruptions ------------------------------------------------------------


def test_all_or_nothing(engine, tmp_path, source):
    rows = [*rows_of(10), {**rows_of(1)[0], "id": "bad", "lon": "x"}]
    path = write_csv(tmp_path / "a.csv", rows)
    with pytest.raises(IntakeError, match=r"1 rows of a.csv .* nothing was changed.*rejects.csv"):
        intake.run(engine, path, options(source, all_or_nothing=True))
    assert stored(engine, source) == [] and leftovers(engine) == ([], [])
    write_csv(path, rows[:-1])
    assert intake.run(engine, path, options(source, all_or_nothing=True)).added == 10


def _cut(path):
    path.write_bytes(path.read_bytes()[:-40].rstrip(b"\r\n"))


def _cut_character(path):
    path.write_bytes(path.read_bytes() + "路".encode()[:2])


def _cut_gzip(path):
    path.write_bytes(gzip.compress(path.read_bytes())[:-20])


def _open_quote(path):
    path.write_bytes(path.read_bytes() + b'"x')


def _nul(path):
    path.write_bytes(path.read_bytes() + b"x\0,,,,,\r\n")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (_cut, "cut off in row|is not valid utf-8"),
        (_cut_character, "is not valid utf-8"),
        (_cut_gzip, "cut off"),
        (_open_quote, "never closed"),
        (_nul, "NUL byte"),
    ],
)
def test_a_damaged_file_leaves_nothing(engine, tmp_path, source, harm, words):
    path = write_csv(tmp_path / "a.csv", rows_of(2000))
    harm(path)
    with pytest.raises(TableError, match=words):
        intake.run(engine, path, options(source))
    assert stored(engine, source) == [] and leftovers(engine) == ([], [])


def small_batches(monkeypatch, size, after=None):
    """Files are read in batches of a few rows; `after` is called with the number of each."""
    read = table_files.read

    def batches(path, **more):
        for number, batch in enumerate(read(path, **{**more, "batch_rows": size})):
            yield batch
            if after:
                after(number)

    monkeypatch.setattr(table_files, "read", batches)


class CutOffError(Exception):
    pass


@pytest.mark.parametrize("error", [CutOffError, KeyboardInterrupt])
def test_a_run_that_was_cut_off_goes_on(engine, tmp_path, source, monkeypatch, error):
    path = write_csv(tmp_path / "a.csv", rows_of(1000))

    def stop(number):
        if number == 6:
            raise error

    with monkeypatch.context() as patch:
        small_batches(patch, 100, stop)
        with pytest.raises(error):
            intake.run(engine, path, options(source))
    assert stored(engine, source) == []
    tables, (_,) = leftovers(engine)
    with engine.begin() as connection:
        staged = sum(
            connection.execute(text(f"UPDATE {table} SET channel = 'before'")).rowcount
            for table in tables
        )
    assert 500 <= staged <= 700
    with monkeypatch.context() as patch:
        small_batches(patch, 100)
        done = intake.run(engine, path, options(source))
    assert adds_up(done) and (done.rows, done.added) == (1000, 1000)
    got = stored(engine, source)
    assert len(got) == 1000 and leftovers(engine) == ([], [])
    assert sum(row["channel"] == "before" for row in got) == staged  # not staged again
    straight = f"{source}-straight"
    intake.run(engine, path, options(straight))
    assert stored(engine, straight) == [{**row, "channel": None} for row in got]


def test_a_cut_off_run_is_given_up_when_the_file_is_another(engine, tmp_path, source, monkeypatch):
    path = write_csv(tmp_path / "a.csv", rows_of(300))

    def stop(number):
        if number == 2:
            raise CutOffError

    with monkeypatch.context() as patch:
        small_batches(patch, 100, stop)
        with pytest.raises(CutOffError):
            intake.run(engine, path, options(source))
    write_csv(path, rows_of(250))
    assert intake.run(engine, path, options(source)).added == 250
    assert leftovers(engine) == ([], [])


def test_the_datum_of_the_source_decides_a_second_start_too(engine, tmp_path, source, monkeypatch):
    path = write_csv(tmp_path / "a.csv", rows_of(300))

    def stop(number):
        if number == 2:
            raise CutOffError

    with monkeypatch.context() as patch:
        small_batches(patch, 100, stop)
        with pytest.raises(CutOffError):
            intake.run(engine, path, options(source, datum=None))
    with engine.begin() as connection:
        reports.set_source(connection, source, datum="wgs84")
    intake.run(engine, path, options(source, datum=None))
    assert {row["datum"] for row in stored(engine, source)} == {"wgs84"}


def test_areas_that_come_after_a_failed_start_count(engine, tmp_path, source):
    path, layer = write_csv(tmp_path / "a.csv", rows_of(20)), f"late-{source}"
    with pytest.raises(IntakeError, match=f"layer {layer} has no areas; import them first"):
        intake.run(engine, path, options(source, layer=layer))
    tiles(engine, layer)
    assert intake.run(engine, path, options(source, layer=layer)).placed > 10


def test_two_runs_of_one_file_do_not_meet(engine, tmp_path, source):
    path = write_csv(tmp_path / "a.csv", rows_of(50))

    def meanwhile(what, _rows):
        if what == "placed":
            with pytest.raises(IntakeError, match=r"a\.csv is being taken in by another run"):
                intake.run(engine, path, options(source))

    assert intake.run(engine, path, options(source), progress=meanwhile).added == 50
    assert intake.run(engine, path, options(source)).known == 50


def test_no_space_for_the_rejects(engine, tmp_path, source):
    bad = [{"id": f"b{i}", "lon": "x", "lat": "y", "text": "z" * 100} for i in range(500)]
    path = write_csv(tmp_path / "a.csv", [*bad, {**bad[0], "id": "g", "lon": "113.1", "lat": "23"}])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        with pytest.raises(
            OSError, match=r"rejects cannot be written to .*no\.csv: File too large"
        ):
            intake.run(engine, path, options(source), rejects=tmp_path / "no.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert stored(engine, source) == []
    assert intake.run(engine, path, options(source)).added == 1
    assert leftovers(engine) == ([], [])


RUN = """
import sys
from pathlib import Path
from sqlalchemy import create_engine
from data import intake, table_files
read = table_files.read
def batches(path, **more):
    for batch in read(path, **{**more, "batch_rows": 500}):
        yield batch
        print("batch", flush=True)
        sys.stdin.readline()
table_files.read = batches
options = intake.Options("s", "tiles", datum="wgs84")
intake.run(create_engine(sys.argv[1]), Path(sys.argv[2]), options)
"""


def test_a_server_killed_in_mid_import_loses_nothing(short_tmp, tmp_path):
    home = short_tmp / "home"
    url = server.ensure(home)
    upgrade(url)
    engine = create_engine(url)
    tiles(engine, "tiles")
    engine.dispose()
    path = write_csv(tmp_path / "a.csv", rows_of(3000))
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, url, str(path)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    for _ in range(4):
        assert run.stdout.readline() == "batch\n"
        run.stdin.write("\n")
        run.stdin.flush()
    os.kill(server.status(home).pid, signal.SIGKILL)
    _, said = run.communicate("\n" * 10, timeout=60)
    assert run.returncode != 0 and "OperationalError" in said
    engine = create_engine(server.ensure(home))
    try:
        with engine.connect() as connection:
            assert connection.execute(text("SELECT count(*) FROM report")).scalar_one() == 0
        done = intake.run(engine, path, Options("s", "tiles", datum="wgs84"))
        assert adds_up(done) and done.added == 3000
        assert len(stored(engine, "s")) == 3000
        assert leftovers(engine) == ([], [])
    finally:
        engine.dispose()
        server.stop(home)


def test_many_rows_of_which_one_is_bad(engine, tmp_path, source):
    n = 120_000
    xy = np.random.default_rng(1).uniform(0, 2, (n, 2)) * SIZE + AT
    path = tmp_path / "a.csv"
    frame = pd.DataFrame({"id": np.arange(n), "lon": xy[:, 0].round(6), "lat": xy[:, 1].round(6)})
    frame = frame.astype(str)
    frame.loc[n - 7, "lat"] = "north"
    frame.to_csv(path, index=False)
    done = intake.run(engine, path, options(source))
    assert (done.rows, done.added, done.rejected) == (n, n - 1, 1) and adds_up(done)
    assert done.reasons == {"latitude 'north' is not a number": 1}
    assert f",{n - 5}," in done.rejects.read_text("utf-8-sig")


# --- what a run is asked for ----------------------------------------------------------------------


def test_since_and_until_leave_the_rest_out(engine, tmp_path, source):
    rows = [
        {**row, "date": date}
        for row, date in zip(
            rows_of(5), ["2026-02-28", "2026-03-01", "2026-03-31 23:59", "2026-04-01", ""],
            strict=True,
        )
    ]  # fmt: skip
    zone = ZoneInfo("Asia/Shanghai")
    done = intake.run(
        engine, write_csv(tmp_path / "a.csv", rows),
        options(source, since=datetime(2026, 3, 1, tzinfo=zone),
                until=datetime(2026, 4, 1, tzinfo=zone)),
    )  # fmt: skip
    assert (done.added, done.left_out) == (2, 3) and adds_up(done)
    assert [row["external_id"] for row in stored(engine, source)] == ["r1", "r2"]
    assert stored(engine, source)[0]["occurred"] == datetime(2026, 2, 28, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"layer": "nowhere"}, "the layer nowhere has no areas; import them first"),
        ({"check": "beat"}, "the file has no column beat; it has id, lon"),
        ({"confirm": "beat"}, "the file has no column beat; it has id, lon"),
        ({"datum": "moon"}, "'moon' is not known"),
        ({"timezone": "Mars/Base"}, "Mars/Base"),
        ({"mapping": ("lon=x",)}, "lon is mapped and lat is not"),
        ({"encoding": "klingon"}, "'klingon' is not known"),
    ],
)
def test_wrong_options_say_so_and_change_nothing(engine, tmp_path, source, more, words):
    path = write_csv(tmp_path / "a.csv", rows_of(3))
    with pytest.raises(ValueError, match=words):
        intake.run(engine, path, options(source, **more))
    assert stored(engine, source) == [] and leftovers(engine) == ([], [])


def test_settled_reports_are_remembered_and_lead_the_next_ones(engine, tmp_path, source):
    """On the border of a1 and a2, a little on the side of a1, a person said a2 each time."""
    tiles(engine, source)
    on_border = [
        {"id": f"s{i}", "lon": f"{113.10998:.6f}", "lat": "23.005", "settled": "a2"}
        for i in range(3)
    ]
    first = write_csv(tmp_path / "a.csv", on_border)
    done = intake.run(engine, first, options(source, layer=source, confirm="settled"))
    assert done.confirmed == 3
    assert {row["method"] for row in stored(engine, source)} == {"confirmed"}
    again = intake.run(engine, first, options(source, layer=source, confirm="settled"))
    assert (again.known, again.confirmed) == (3, 0)  # nothing is learnt twice
    later = write_csv(tmp_path / "b.csv", [{**on_border[0], "id": "new"}])
    with_memory, without = f"{source}-with", f"{source}-without"
    intake.run(engine, later, options(with_memory, layer=source))
    intake.run(engine, later, options(without, layer=source, memory=False))
    with engine.connect() as connection:
        code = text("SELECT code FROM area WHERE id = :id")
        found = [
            connection.execute(code, {"id": stored(engine, s)[0]["area_id"]}).scalar_one()
            for s in (with_memory, without)
        ]
    assert found == ["a2", "a1"]


# --- published data -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chicago(engine):
    from data import area_files

    asked = area_files.Options("beats", ("code=beat_num",))
    path = CHICAGO / "police-beats.geojson.gz"
    return area_files.load(engine, path, asked), area_files.load(engine, path, asked)


CRIMES = CHICAGO / "crimes-2019-q1.csv.gz"
MARCH = datetime(2019, 3, 1, tzinfo=ZoneInfo("America/Chicago"))


def crimes(source, **more):
    return Options(
        source, "beats", datum="wgs84", timezone="America/Chicago", **{"check": "beat", **more}
    )


@published
def test_the_beats_of_chicago(chicago):
    first, second = chicago
    assert (first.areas, first.added, first.unchanged) == (275, 275, 0)
    assert (second.areas, second.added, second.unchanged, second.ended) == (275, 0, 275, 0)
    assert any("3100" in note for note in first.notes)


@published
def test_the_crimes_of_chicago_find_their_beats(engine, chicago):
    done = intake.run(engine, CRIMES, crimes("chicago"))
    found = done.agreement
    assert (done.rows, done.added, found.located) == (11_224, 11_224, 11_179) and adds_up(done)
    assert found.first >= 0.911 * found.located
    assert found.among >= 0.998 * found.located
    assert found.alternatives <= 1.2 * found.located
    assert found.placed == found.located and found.unknown == 0
    again = intake.run(engine, CRIMES, crimes("chicago"))
    assert (again.added, again.known) == (0, 11_224)
    assert vars(again.agreement) == vars(found)


@published
def test_what_was_settled_in_winter_helps_in_march(engine, chicago):
    settled = intake.run(engine, CRIMES, crimes("winter", check=None, confirm="beat", until=MARCH))
    assert settled.confirmed > 7000 and adds_up(settled)
    agreed = {}
    for memory in (True, False):
        asked = crimes(f"march-{memory}", since=MARCH, memory=memory)
        done = intake.run(engine, CRIMES, asked)
        assert adds_up(done) and done.left_out == settled.rows - settled.left_out
        agreed[memory] = 100 * done.agreement.first / done.agreement.located
        assert done.agreement.among >= 0.998 * done.agreement.located
    assert agreed[True] - agreed[False] >= 1.2, agreed
