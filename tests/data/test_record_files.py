"""Records in from files: placed without doubt or waiting with the reason, sealed, brought up to
date with what they said before."""

import csv
import json

import geopandas as gpd
import pytest
import shapely
from sqlalchemy import text

from data import addresses, areas, intake, personal
from data.record_intake import RecordOptions, RecordTarget
from data.text_stream import TableError

WEST, SOUTH, STEP = 113.1, 23.0, 0.01
INSIDE = (WEST + 0.5 * STEP, SOUTH + 0.5 * STEP)
EDGE = (WEST + STEP, SOUTH + 0.5 * STEP)


@pytest.fixture(scope="module", autouse=True)
def _city(engine):
    boxes = [
        shapely.box(WEST + c * STEP, SOUTH, WEST + (c + 1) * STEP, SOUTH + STEP) for c in (0, 1)
    ]
    with areas.change(engine, "import") as change:
        areas.record(
            change,
            "city",
            gpd.GeoDataFrame(
                {"code": ["440600000000"], "name": ["佛山市"]},
                geometry=[shapely.union_all(boxes)], crs=4326,
            ),
        )  # fmt: skip
        areas.ensure_layer(change.connection, "tiles")
        frame = gpd.GeoDataFrame({"code": ["a", "b"], "name": ["a", "b"]}, geometry=boxes, crs=4326)
        areas.record(change, "tiles", frame)
    with engine.begin() as connection:
        twins = [("佛山市祖庙路3弄1号", *INSIDE), ("佛山市祖庙路5弄1号", EDGE[0] + 0.004, EDGE[1])]
        addresses.add(connection, twins, "test")
        connection.execute(text("UPDATE address SET recorded = now() - interval '1 day'"))


@pytest.fixture
def take(engine, tmp_path, monkeypatch, request):
    """Take rows in as a file; the source is the test's own."""
    monkeypatch.chdir(tmp_path)

    def run(*rows, **options):
        path = tmp_path / "records.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)
        usual = {"layer": "tiles", "datum": "wgs84", "kind": "rental"} | options
        return intake.run(
            engine, path, RecordOptions(request.node.name, **usual), target=RecordTarget
        )

    return run


@pytest.fixture
def stored(engine, request):
    """The records of the test's source by number, and what they said before."""

    def look():
        with engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT r.*, a.code FROM record r LEFT JOIN area a ON a.id = r.area_id"
                    " WHERE source = :source ORDER BY external_id"
                ),
                {"source": request.node.name},
            )
            return {row["external_id"]: dict(row) for row in rows.mappings()}

    return look


def changes(engine, record):
    with engine.connect() as connection:
        asked = text("SELECT * FROM record_change WHERE record_id = :id ORDER BY id")
        return list(connection.execute(asked, {"id": record["id"]}).mappings())


def row(number, at=INSIDE, **more):
    return {"编号": number, "经度": at[0] if at else "", "纬度": at[1] if at else "", **more}


def test_what_is_sure_has_a_grid_and_the_rest_waits_with_the_reason(take, stored):
    done = take(
        row("1"), row("2", EDGE), row("3", (120.0, 30.0)), row("4", None),
        row("5", None, 地址="祖庙路1号"), row("6", None, 地址="没有这条路9号"),
    )  # fmt: skip
    assert (done.rows, done.added, done.placed, done.triaged) == (6, 6, 1, 5)
    found = {n: (r["method"], r["code"], r["unplaced"]) for n, r in stored().items()}
    assert found == {
        "1": ("inside", "a", None),
        "2": ("none", None, "on_border"),
        "3": ("none", None, "outside"),
        "4": ("none", None, "no_place"),
        "5": ("none", None, "address_uncertain"),
        "6": ("none", None, "address_unknown"),
    }
    assert {each["code"] for each in stored()["2"]["alternatives"]} == {"a", "b"}
    assert {r["kind"] for r in stored().values()} == {"rental"}


def test_what_is_about_a_person_is_stored_only_sealed(take, stored, engine):
    take(row("1", 姓名="某某", 身份证号="44060019900101123x", 房东联系电话="13800001234", 层数="3"))
    record = stored()["1"]
    assert record["attributes"] == {"层数": "3"}
    about = json.loads(personal.open_(record["personal"]))
    assert about == {
        "name": "某某",
        "identity": "44060019900101123x",
        "房东联系电话": "13800001234",
    }
    assert record["person"] == personal.fingerprint("44060019900101123X")
    with engine.connect() as connection:
        kept = text("SELECT count(*) FROM record r WHERE r::text ~ '某某|13800001234|19900101'")
        assert connection.execute(kept).scalar() == 0


def test_the_same_file_again_changes_nothing(take, stored, engine):
    rows = [row("1", 姓名="某某", 层数="3"), row("2", EDGE)]
    take(*rows)
    before = stored()
    done = take(*rows)
    assert (done.added, done.known, done.updated) == (0, 2, 0)
    assert stored() == before
    assert changes(engine, before["1"]) == []


def test_a_later_file_brings_up_to_date_and_what_it_was_stays_known(take, stored, engine):
    take(row("1", 姓名="某某", 层数="3"), row("2"))
    sealed = stored()["1"]["personal"]
    done = take(row("1", (EDGE[0] + 0.004, EDGE[1]), 姓名="某人", 层数="4"), row("2"), row("3"))
    assert (done.added, done.known, done.updated) == (1, 2, 1)
    now = stored()["1"]
    assert (now["code"], now["attributes"]) == ("b", {"层数": "4"})
    assert json.loads(personal.open_(now["personal"])) == {"name": "某人"}
    [was] = changes(engine, now)
    assert was["before"]["attributes"] == {"层数": "3"}
    assert was["before"]["x"] == INSIDE[0]
    assert "personal" not in was["before"] and was["personal"] == sealed
    assert (was["actor"], was["reason"].startswith("a file of")) == ("import", True)
    assert changes(engine, stored()["2"]) == []


def test_replace_withdraws_what_the_file_lacks_and_only_of_its_kind(take, stored):
    take(row("firm"), kind="firm")
    take(row("1"), row("2"))
    assert take(row("2"), replace=True).withdrawn == 1
    gone = {number: r["withdrawn"] is not None for number, r in stored().items()}
    assert gone == {"1": True, "2": False, "firm": False}
    done = take(row("1"), row("2"), row("bad", (999, 23)), replace=True)
    assert (done.rejected, done.withdrawn) == (1, 0)
    assert stored()["1"]["withdrawn"] is None


def test_the_kind_is_by_column_or_for_all_and_never_left_open(take, stored):
    take(row("1", 类别="出租屋"), row("2", 类别="古树名木"), kind=None)
    assert [r["kind"] for r in stored().values()] == ["rental", "古树名木"]
    assert take(row("3", 类别=""), kind=None).reasons == {
        "the row does not say of which kind it is": 1
    }
    with pytest.raises(TableError, match="--kind"):
        take(row("4"), kind=None)


def test_where_its_collector_says_it_is_counts_until_it_has_a_grid(take, stored, engine):
    done = take(row("1", None, 所属社区="440600000000"), row("2", 所属社区="999"))
    with engine.connect() as connection:
        city = connection.execute(text("SELECT id FROM area WHERE layer = 'city'")).scalar()
    assert [r["stated_area_id"] for r in stored().values()] == [city, None]
    assert any("999" in note for note in done.notes)
