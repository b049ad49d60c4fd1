"""The command line from outside: every command explains itself, and every fault is a sentence."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import geopandas as gpd
import pytest
import shapely
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from data import vector_files
from data.engine import engine
from data.settings import ROOT, settings
from main import app
from tests.api.conftest import SOUTH, STEP, VILLAGES, WEST, build
from tests.extracts import HELSINKI

COMMANDS = (
    "", "demo", "serve", "worker", "stop", "status", "migrate", "openapi", "settings", "import",
    "import areas", "import reports", "import records", "import addresses", "import resources",
    "import catalogue", "export", "source", "roads", "account add", "account change", "bench",
    "bench hotspots", "maps",
)  # fmt: skip


@pytest.fixture(scope="module")
def url(make_database):
    return make_database()


@dataclass(frozen=True)
class Done:
    """A finished command: its exit code, what it printed (blanks joined) and said of errors."""

    code: int
    out: str
    err: str


@pytest.fixture
def wangge(url, tmp_path, monkeypatch):
    """Run `python main.py …` with its own settings and engine, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def forget():
        if engine.cache_info().currsize:
            engine().dispose()
        engine.cache_clear()
        settings.cache_clear()

    def run(*arguments, database=url, typed=None, **environment):
        forget()
        given = {"WANGGE_DATABASE_URL": database} | environment
        done = CliRunner().invoke(app, [str(a) for a in arguments], typed, given)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return Done(done.exit_code, " ".join(done.stdout.split()), done.stderr)

    yield run
    forget()


def sentence(done):
    """The one sentence on standard error of a command that failed as it should."""
    assert done.code == 1, done
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error: "), done.err
    return lines[0]


def succeeds(done):
    assert done.code == 0, done
    return done.out


@pytest.fixture
def areas_file(tmp_path):
    """Two areas side by side, 1 km wide, in a file."""
    boxes = [shapely.box(113.1 + i / 100, 23, 113.11 + i / 100, 23.01) for i in (0, 1)]
    frame = gpd.GeoDataFrame({"nr": ["a1", "a2"]}, geometry=boxes, crs=4326)
    vector_files.write(frame, tmp_path / "areas.geojson")
    return tmp_path / "areas.geojson"


def test_every_command_explains_itself():
    for command in COMMANDS:
        shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0 and "Usage" in shown.output, command
        missing = set()
        if command in ("", "import"):
            below = [c.removeprefix(command).split() for c in COMMANDS if c.startswith(command)]
            missing = {words[0] for words in below if words} - set(shown.output.split())
        assert not missing, command


def test_from_areas_to_reports_and_back(wangge, areas_file, tmp_path, url):
    args = ("import", "areas", areas_file, "--layer", "beats", "--map", "code=nr")
    assert "│ added │ 2 │" in succeeds(wangge(*args, "--title-en", "Beats"))
    assert "│ unchanged │ 2 │" in succeeds(wangge(*args))
    succeeds(wangge("export", "out.parquet", "--layer", "beats"))
    assert vector_files.read(tmp_path / "out.parquet").code.tolist() == ["a1", "a2"]
    (tmp_path / "r.csv").write_text(
        "id,lon,lat,beat\n1,113.105,23.005,a1\n2,113.115,23.005,a1\n3,23,113,a1\n4,,,\n"
    )
    shown = succeeds(
        wangge("import", "reports", "r.csv", "--source", "s", "--datum", "wgs84",
               "--layer", "beats", "--check", "beat")
    )  # fmt: skip
    assert "│ rows │ 4 │" in shown and "│ rejected │ 1 │" in shown
    assert "│ placed │ 2 │" in shown and "│ in triage │ 1 │" in shown
    assert "rejected 1: coordinates 23, 113" in shown and "are in r.rejects.csv" in shown
    assert "first choice agrees" in shown and "│ 0.5000 │" in shown
    assert "exchanged" in (tmp_path / "r.rejects.csv").read_text("utf-8-sig")
    look = create_engine(url)
    with look.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM report")).scalar_one() == 3
    look.dispose()


def test_records_are_brought_up_to_date_and_withdrawn(wangge, areas_file, tmp_path):
    succeeds(wangge("import", "areas", areas_file, "--layer", "beats", "--map", "code=nr"))
    given = ("import", "records", "h.csv", "--datum", "wgs84", "--layer", "beats")
    (tmp_path / "h.csv").write_text("编号,经度,纬度\n1,113.105,23.005\n2,,\n", "utf-8")
    assert "--kind" in sentence(wangge(*given))
    shown = succeeds(wangge(*given, "--kind", "出租屋"))
    assert "│ added │ 2 │" in shown and "│ placed │ 1 │" in shown
    (tmp_path / "h.csv").write_text("编号,经度,纬度,层数\n1,113.105,23.005,4\n", "utf-8")
    shown = succeeds(wangge(*given, "--kind", "rental", "--replace"))
    assert "│ brought up to date │ 1 │" in shown and "│ withdrawn │ 1 │" in shown


def test_addresses_and_sources(wangge, tmp_path):
    (tmp_path / "a.csv").write_text("where,lon,lat\n祖庙路1号,113.105,23.005\n,113,23\n", "utf-8")
    shown = succeeds(wangge("import", "addresses", "a.csv", "--map", "address=where"))
    assert "│ added │ 1 │" in shown and "row 3: the address is empty" in shown
    assert "is set" in succeeds(wangge("source", "app", "--datum", "gcj02", "--accuracy", "30"))
    assert "'moon' is not known" in sentence(wangge("source", "app", "--datum", "moon"))
    assert "address=nowhere" in sentence(
        wangge("import", "addresses", "a.csv", "--map", "address=nowhere")
    )


def test_hotspots_of_a_file_in_a_file_and_in_a_layer(wangge, areas_file, tmp_path):
    rows = [
        f"{i},{113.1 + i % 7 / 1000},{23.0 + i % 5 / 1000},2026-0{1 + i % 3}-{1 + i % 28:02}"
        for i in range(400)
    ]
    (tmp_path / "r.csv").write_text("\n".join(["id,lon,lat,date", *rows, ""]))
    given = ("bench", "hotspots", "r.csv", "--known-until", "2026-03-01", "--datum", "wgs84")
    alone = {"database": "postgresql+psycopg://nobody@localhost:1/none"}  # none is needed
    shown = succeeds(wangge(*given, "--area", areas_file, "--json", **alone))
    scores = json.loads(shown)["scores"]
    assert {each["share"] for each in scores} == {0.01, 0.05}
    assert all(0 <= each["pei"] <= 1 for each in scores)
    succeeds(wangge("import", "areas", areas_file, "--layer", "beats", "--map", "code=nr"))
    table = succeeds(wangge(*given, "--area", "beats"))
    assert "2026-03-01 to 2026-03-29" in table and "│ mixture" in table
    assert "no layer 'moon'" in sentence(wangge(*given, "--area", "moon"))
    assert "does not exist" in sentence(wangge(*given, "--area", "moon.gpkg"))
    assert "name a date between" in sentence(
        wangge(*given, "--area", areas_file, "--known-until", "2020-01-01")
    )
    assert "no ISO date" in sentence(wangge(*given, "--area", areas_file, "--known-until", "March"))


def test_a_map_is_written_and_written_anew_when_reports_come(wangge, make_database, tmp_path):
    own = {"database": make_database()}
    made = create_engine(own["database"])
    build(made)
    made.dispose()
    given = ("maps", "workload", "--output", "m.html", "--from", "2026-03-02", "--to", "2026-03-08")

    def reported(*more):
        assert "the map workload is in m.html" in succeeds(wangge(*given, *more, **own))
        return re.search(r"(\d+) reports", (tmp_path / "m.html").read_text("utf-8"))[1]

    at = f"{WEST + STEP / 2},{SOUTH + STEP / 2}"
    for ids, shown in (("12", "2"), ("3", "3")):
        lines = [f"{n},{at},2026-03-0{n}T1{n}:00" for n in ids]
        (tmp_path / "r.csv").write_text("\n".join(["id,lon,lat,occurred", *lines, ""]))
        succeeds(wangge("import", "reports", "r.csv", "--datum", "wgs84", **own))
        assert reported("--lang", "en", "--from", "2026-03-01") == shown
    assert reported("--lang", "en", "--hour", "12", "--weekday", "1", "--area", VILLAGES[0]) == "1"
    assert reported("--lang", "en", "--area", VILLAGES[1]) == "0"
    wrong = ("maps", "workload", "--output", "m.html")
    for more, words in (
        (("--area", "440699"), "440699"),
        (("--hour", "25"), "--hour: "),
        (("--from", "soon"), "--from: "),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "before it begins"),
        (("--more", "moon=full"), "--moon: "),
    ):
        assert words in sentence(wangge(*wrong, *more, **own))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("moon", "--output", "m.html"), "there are overview, hotspots"),
        (("workload", "--output", "m.doc"), ".html, .png or .pdf"),
        (("workload", "--output", "none/m.html"), "no folder none"),
        (("workload", "--output", "m.html", "--lang", "fr"), "say zh or en"),
        (("workload", "--output", "m.png", "--size", "wide"), "write it as 1920x1080"),
        (("workload", "--output", "m.png", "--size", "9x9"), "200 to 8000 pixels"),
        (("overview", "--output", "m.html", "--hour", "3"), "leave --hour out"),
        (("overview", "--output", "m.html", "--to", "2026-13-01"), "--to: "),
    ],
)
def test_a_map_that_cannot_be_is_a_sentence(wangge, arguments, words):
    assert words in sentence(wangge("maps", *arguments))


def test_pictures_without_a_browser_say_what_to_install(wangge):
    alone = wangge("maps", "workload", "--output", "m.png", PATH="/nowhere")
    assert "install it (Debian and Ubuntu: `apt install chromium" in sentence(alone)


def test_roads_come_and_go(wangge, tmp_path):
    here = {"WANGGE_HOME": str(tmp_path / "home")}
    assert "straight line" in succeeds(wangge("status", **here))
    assert "follow the roads of Helsinki" in succeeds(wangge("roads", HELSINKI, **here))
    assert "Helsinki.osm.pbf" in succeeds(wangge("status", **here))
    assert "already" in succeeds(wangge("roads", HELSINKI, **here))
    assert "straight lines" in succeeds(wangge("roads", "--remove", **here))
    assert "straight line" in succeeds(wangge("status", **here))
    alone = wangge("roads", **here)
    assert alone.code == 2 and "Usage" in alone.out and ".osm.pbf" in alone.out
    assert "or give --remove" in sentence(wangge("roads", HELSINKI, "--remove", **here))
    assert "There is no file" in sentence(wangge("roads", "none.osm.pbf", **here))


@pytest.mark.parametrize("what", ["reports", "addresses", "resources"])
def test_a_file_of_which_no_row_is_taken_is_a_fault(wangge, areas_file, tmp_path, what):
    succeeds(wangge("import", "areas", areas_file, "--layer", "spots", "--map", "code=nr"))
    (tmp_path / "bad.csv").write_text(
        "id,kind,address,lon,lat\n1,volunteer,x,113.1,95\n2,volunteer,y,200,23\n", "utf-8"
    )
    layer = ("--layer", "spots") if what == "reports" else ()
    done = wangge("import", what, "bad.csv", "--datum", "wgs84", *layer)
    assert "every row of bad.csv was rejected" in sentence(done)
    assert "rejected │ 2" in done.out


def test_a_roster_and_what_it_names(wangge, tmp_path):
    (tmp_path / "c.yaml").write_text(
        "skills:\n  - {name: divers, title: 潜水, title_en: Diving}\n"
        "organisations:\n  - {code: rescue, name: 蓝天救援队, role: other}\n", "utf-8"
    )  # fmt: skip
    args = ("import", "catalogue", "c.yaml")
    assert "│ skills │ 1 │" in succeeds(wangge(*args))
    assert "│ skills │ 0 │" in succeeds(wangge(*args))
    (tmp_path / "r.csv").write_text(
        "工号,姓名,岗位,单位,专长,经度,纬度\n1,第一潜水组,志愿者,蓝天救援队,潜水,113.1,23.0\n"
        "2,第二潜水组,厨师,蓝天救援队,潜水,113.1,23.0\n", "utf-8"
    )  # fmt: skip
    args = ("import", "resources", "r.csv", "--source", "rescue", "--datum", "gcj02")
    shown = succeeds(wangge(*args))
    assert "│ added │ 1 │" in shown and "│ rejected │ 1 │" in shown
    assert "rejected 1: there is no kind of resource '厨师'" in shown
    assert "厨师" in (tmp_path / "r.rejects.csv").read_text("utf-8-sig")
    assert "│ unchanged │ 1 │" in succeeds(wangge(*args))
    assert "all or nothing" in sentence(wangge(*args, "--all-or-nothing"))
    (tmp_path / "bad.yaml").write_text("kinds:\n  - {name: x, title: x, title_en: x, form: y}\n")
    assert "kinds.0.form" in sentence(wangge("import", "catalogue", "bad.yaml"))


def test_faults_of_areas_are_a_table_and_a_file(wangge, areas_file, tmp_path):
    frame = vector_files.read(areas_file)
    frame.loc[0, "geometry"] = shapely.Polygon(
        [(113.1, 23), (113.11, 23.01), (113.11, 23), (113.1, 23.01)]
    )
    vector_files.write(frame, areas_file)
    args = ("import", "areas", areas_file, "--layer", "faulty", "--map", "code=nr")
    done = wangge(*args, "--faults", "f.geojson")
    said = sentence(done)
    assert "1 fault; nothing was taken in" in said and "The faults are in f.geojson" in said
    assert "self_crossing" in done.out
    faults = json.loads((tmp_path / "f.geojson").read_text())["features"]
    assert [f["properties"]["kind"] for f in faults] == ["self_crossing"]
    assert "no map can hold" in sentence(wangge(*args, "--accept-faults"))
    assert "made_valid" in succeeds(wangge(*args, "--repair"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import", "areas", "none.geojson", "--layer", "x"), "none.geojson does not exist"),
        (("import", "reports", "none.csv"), "there is no file none.csv"),
        (("import", "reports", "r.csv", "--layer", "void"), "the layer void has no areas"),
        (("import", "reports", "r.csv", "--since", "soon"), "'soon' is no ISO date"),
        (
            ("import", "reports", "r.csv", "--since", "2026-01-01", "--timezone", "Mars/Base"),
            "the time zone 'Mars/Base' is not known",
        ),
        (("import", "reports", "r.csv", "--mapping", "m.yaml"), "m.yaml"),
        (("import", "addresses", "none.csv"), "there is no file none.csv"),
        (("export", "x.geojson", "--layer", "void"), "the layer void has no areas then"),
        (("export", "x.doc", "--layer", "void"), "void"),
        (("migrate", "--revision", "9999"), "9999"),
    ],
)
def test_a_fault_is_one_sentence(wangge, tmp_path, arguments, words):
    (tmp_path / "r.csv").write_text("id,lon,lat\n1,113.105,23.005\n")
    assert words in sentence(wangge(*arguments))


@pytest.mark.parametrize(
    ("database", "words"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "does not answer"),
        ("mysql://nobody@127.0.0.1/none", "names mysql"),
        ("no url", "WANGGE_DATABASE_URL"),
    ],
)
def test_a_database_that_is_not_there_is_one_sentence(wangge, database, words):
    assert words in sentence(wangge("status", database=database))


def test_the_program_itself_ends_with_a_sentence_and_a_code(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "main.py", "import", "reports", "none.csv"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"WANGGE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
    )  # fmt: skip
    assert "does not answer" in sentence(Done(done.returncode, done.stdout, done.stderr))


def test_settings_out_of_range_are_one_sentence(wangge):
    assert "WANGGE_PORT" in sentence(wangge("settings", WANGGE_PORT="many"))


def test_what_the_program_says_of_itself(wangge):
    assert "WANGGE_DATABASE_URL" in succeeds(wangge("settings"))
    assert json.loads(succeeds(wangge("openapi")))["openapi"].startswith("3.")
    assert "at head" in succeeds(wangge("migrate"))
    assert "Reports in triage" in succeeds(wangge("status"))


def test_an_administrators_account_is_changed_on_the_command_line_alone(wangge, url):
    twice = "correct horse battery\n" * 2
    added = succeeds(wangge("account", "add", "keeper", "--role", "security_admin", typed=twice))
    assert "otpauth://" in added
    issuer = {"WANGGE_OIDC_ISSUER": "https://id.example", "WANGGE_OIDC_CLIENT_ID": "wangge"}
    succeeds(wangge("account", "change", "keeper", "--subject", "s1", "--end", **issuer))
    again = ("account", "change", "keeper", "--reopen", "--password", "--second-factor")
    assert "otpauth://" in succeeds(wangge(*again, typed=twice))
    assert "no account nobody" in sentence(wangge("account", "change", "nobody", "--end"))
    assert "WANGGE_OIDC_ISSUER" in sentence(wangge("account", "change", "keeper", "--subject", "s"))
    assert "has not ended" in sentence(wangge("account", "change", "keeper", "--reopen"))
    engine = create_engine(url)
    with engine.connect() as connection:
        query = text("""
            SELECT detail ->> 'what' FROM audit
            WHERE actor = 'command line' AND action = 'account change' ORDER BY id""")
        assert connection.execute(query).scalars().all() == [
            "link",
            "end",
            "reopen",
            "change",
            "second_factor",
        ]
        linked = text("SELECT issuer, subject FROM identity JOIN account a ON a.id = account_id")
        assert connection.execute(linked).all() == [("https://id.example", "s1")]
    engine.dispose()
