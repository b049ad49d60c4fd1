"""The gazetteer on a real PostGIS: what is added is found, however it is written."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import text

from data import address_lookup as sql
from data import addresses
from data.table_files import TableError
from gis import datum as datums

LON, LAT = 113.10, 23.00
METRE = 1 / 102_500  # of longitude at this latitude, in degrees
NAMES = ("佛山市", "禅城区", "南海区", "石湾镇街道", "桂城街道")
SYLLABLES = "魁奇同济汾江华宝翠岭普澜湖景张槎绿轻惠福卫敦城门头丝织"


def later() -> datetime:
    """A moment at which everything added so far is known."""
    return datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def city(connection):
    """The names of a city, of which one street is numbered on both sides every 8 m a number."""
    connection.execute(text("INSERT INTO change (kind, recorded) VALUES ('import', now())"))
    for i, name in enumerate(NAMES):
        connection.execute(
            text(
                "WITH a AS (INSERT INTO area (layer, code) VALUES (:layer, :code) RETURNING id)"
                " INSERT INTO area_version (area_id, name, geom, valid, recorded)"
                " SELECT a.id, :name, 'SRID=4326;POLYGON((113 22,114 22,114 24,113 22))', '(,)',"
                " int8range((SELECT max(id) FROM change), NULL) FROM a"
            ),
            {"layer": ("city", "district", "district", "town", "town")[i], "code": f"{i}",
             "name": name},
        )  # fmt: skip
    street = [
        (f"佛山市禅城区石湾镇街道魁奇东路{n}号", LON + 4 * n * METRE, LAT + (n % 2) * 20 * METRE)
        for n in range(1, 200)
        if n not in (87, 88, 89)
    ]
    places = [("佛山市禅城区澜石小学", LON, LAT + 0.1), ("佛山市禅城区祖庙博物馆", LON, LAT + 0.2)]
    assert addresses.add(connection, [*street, *places], "survey") == len(street) + 2
    return connection


def metres(match, lon, lat):
    return float(np.hypot(match.lon - lon, match.lat - lat) / METRE)


@pytest.mark.parametrize(
    "words",
    ["魁奇东路10号", "广东省佛山市禅城区魁奇东路１０號", "佛山魁奇东路十号", "石湾魁奇东路10号"],
)
def test_the_same_key_scores_one(city, words):
    (match,) = addresses.lookup(city, words, known=later())
    assert (match.score, match.how) == (1.0, "exact")
    assert match.text == "佛山市禅城区石湾镇街道魁奇东路10号"
    assert metres(match, LON + 40 * METRE, LAT) < 0.1


def test_a_room_in_a_house_is_at_the_house(city):
    match = addresses.lookup(city, "魁奇东路10号3栋501室", known=later())[0]
    assert (match.how, match.score) == ("number", 0.97)
    assert metres(match, LON + 40 * METRE, LAT) < 0.1


def test_a_missing_house_lies_between_its_neighbours_on_its_side(city):
    match = addresses.lookup(city, "魁奇东路88号", known=later())[0]
    assert match.how == "number"
    assert 0.9 < match.score < 0.97
    assert metres(match, LON + 88 * 4 * METRE, LAT) < 0.5
    odd = addresses.lookup(city, "魁奇东路87号", known=later())[0]
    assert metres(odd, LON + 87 * 4 * METRE, LAT + 20 * METRE) < 0.5


def test_beyond_the_last_house_the_nearest_stands_with_its_distance(city):
    near = addresses.lookup(city, "魁奇东路210号", known=later())[0]
    far = addresses.lookup(city, "魁奇东路900号", known=later())[0]
    assert near.text == far.text == "佛山市禅城区石湾镇街道魁奇东路198号"
    assert near.score > far.score
    assert near.accuracy_m < far.accuracy_m


def test_a_street_without_a_number_is_its_middle_and_its_length(city):
    match = addresses.lookup(city, "禅城区魁奇东路", known=later())[0]
    assert metres(match, LON + 100 * 4 * METRE, LAT) < 30
    assert 380 < match.accuracy_m < 420
    assert match.score < 0.9


def test_the_wrong_street_scores_lower_than_the_right_one_with_another_number(city):
    addresses.add(city, [("佛山市禅城区魁奇西路88号", LON - 0.1, LAT)], "survey")
    matches = addresses.lookup(city, "魁奇东路88号", known=later())
    assert matches[0].how == "number"
    assert all(m.score < matches[0].score - 0.1 for m in matches[1:])
    only_west = addresses.lookup(city, "佛山市禅城区魁奇南路88号", known=later())
    assert all(m.score < 0.6 for m in only_west)


@pytest.mark.parametrize("words", ["奎奇东路10号", "魁其东路10号", "魁东路10号", "魁奇奇东路10号"])
def test_slips_are_found_by_trigrams(city, words):
    match = addresses.lookup(city, words, known=later())[0]
    assert match.how == "similar"
    assert match.text.endswith("魁奇东路10号")
    assert 0.7 < match.score < 0.95


def test_a_slip_in_the_street_of_a_missing_house_finds_its_neighbours(city):
    match = addresses.lookup(city, "奎奇东路88号", known=later())[0]
    assert match.how == "similar"
    assert metres(match, LON + 88 * 4 * METRE, LAT) < 0.5


@pytest.mark.parametrize(
    ("words", "found"),
    [("兰石小学", "佛山市禅城区澜石小学"), ("澜石学", "佛山市禅城区澜石小学"),
     ("祖庙", "佛山市禅城区祖庙博物馆"), ("祖庙博物", "佛山市禅城区祖庙博物馆")],
)  # fmt: skip
def test_short_names(city, words, found):
    assert addresses.lookup(city, words, known=later())[0].text == found


@pytest.mark.parametrize(
    "words", ["", "  ", "号", "某", "不存在的地方", "\0", "%", "'; --", "🙂" * 50]
)
def test_what_is_not_there_is_not_found(city, words):
    assert addresses.lookup(city, words, known=later()) == []


def test_the_area_named_decides_between_streets_of_one_name(city):
    addresses.add(
        city,
        [("佛山市南海区桂城街道建设路8号", LON + 0.1, LAT), ("佛山市禅城区建设路8号", LON, LAT)],
        "survey",
    )
    first, second = addresses.lookup(city, "南海区建设路8号", known=later())
    assert (first.text, first.score) == ("佛山市南海区桂城街道建设路8号", 1.0)
    assert second.score == 0.5
    both = addresses.lookup(city, "建设路8号", known=later())
    assert [m.score for m in both] == [0.5, 0.5]
    assert {m.how for m in both} == {"exact"}


def test_masked_numbers_lie_in_their_block(connection):
    rows = [(f"{n} W HIGGINS AVE", -87.7 + n * 1e-5, 41.9) for n in range(5600, 5800, 20)]
    addresses.add(connection, rows, "survey")
    match = addresses.lookup(connection, "056XX W Higgins Ave", known=later())[0]
    assert match.how == "number"
    assert match.lon == pytest.approx(-87.7 + 0.0564, abs=1e-9)
    assert 25 < match.accuracy_m < 50


def test_adding_again_changes_nothing(connection):
    rows = [("魁奇东路1号", LON, LAT), ("魁奇东路1号", LON, LAT), ("魁奇东路2号", LON, LAT)]
    assert addresses.add(connection, rows, "a") == 2
    assert addresses.add(connection, rows, "a") == 0
    assert addresses.add(connection, rows, "b") == 2


@pytest.mark.parametrize(
    ("row", "said"),
    [(("", LON, LAT), "empty"), (("魁奇东路", np.nan, LAT), "no coordinates"),
     (("魁奇东路", 200, LAT), "no place on earth"), (("a\0b", LON, LAT), "NUL")],
)  # fmt: skip
def test_a_bad_row_is_named_and_nothing_is_added(connection, row, said):
    with pytest.raises(ValueError, match=rf"address 2.*{said}"):
        addresses.add(connection, [("魁奇东路1号", LON, LAT), row], "a")
    assert connection.execute(text("SELECT count(*) FROM address")).scalar() == 0


def test_only_what_was_known_then_counts(connection):
    addresses.add(connection, [("魁奇东路1号", LON, LAT)], "a")
    recorded = connection.execute(text("SELECT recorded FROM address")).scalar()
    assert recorded > connection.execute(text("SELECT clock_timestamp()")).scalar()
    before = recorded - timedelta(microseconds=1)
    assert addresses.lookup(connection, "魁奇东路1号", known=before) == []
    assert addresses.lookup(connection, "魁奇东路1号", known=recorded)[0].score == 1
    assert addresses.lookup(connection, "魁奇东路3号", known=before) == []
    assert addresses.lookup(connection, "奎奇东路1号", known=before) == []


def test_confirmed_addresses_are_remembered_and_may_move(city):
    known = []
    for step in (0, 10, 200):
        news = addresses.remember(city, "魁奇东路10号后门", LON + step * METRE, LAT)
        assert news is (step != 10)
        newest = "SELECT max(recorded) FROM address WHERE source LIKE 'confirmed%'"
        known.append(city.execute(text(newest)).scalar())
    (match,) = addresses.lookup(city, "魁奇东路10号后门", known=known[0])
    assert (match.score, match.lon) == (1.0, LON)
    (match,) = addresses.lookup(city, "魁奇东路10号后门", known=known[-1])
    assert (match.score, match.lon) == (1.0, LON + 200 * METRE)


def test_refresh_reads_addresses_anew_when_names_came_later(connection):
    addresses.add(connection, [("乐平镇中心路8号", LON, LAT), ("中心路9号", LON, LAT)], "a")
    connection.execute(text("INSERT INTO area (layer, code) VALUES ('town', '乐平')"))
    connection.execute(text("INSERT INTO change (kind) VALUES ('import')"))
    connection.execute(
        text(
            "INSERT INTO area_version (area_id, name, geom, valid, recorded) SELECT max(id),"
            " '乐平镇', 'SRID=4326;POLYGON((113 22,114 22,114 24,113 22))', '(,)',"
            " int8range((SELECT max(id) FROM change), NULL) FROM area"
        )
    )
    assert addresses.prefixes(connection) == ("乐平镇",)
    assert addresses.refresh(connection) == 1
    assert addresses.refresh(connection) == 0
    assert addresses.lookup(connection, "中心路8号", known=later())[0].how == "exact"
    # That the town has this name is not known to anybody yet: the change has no moment.
    assert addresses.prefixes(connection, later()) == ()
    connection.execute(text("UPDATE change SET recorded = now()"))
    assert addresses.prefixes(connection, later()) == ("乐平镇",)
    past = datetime.now(UTC) - timedelta(days=1)
    assert addresses.prefixes(connection, past) == ()


def test_a_file_is_taken_in_with_a_reason_for_every_row_left_out(connection, tmp_path):
    lon, lat = datums.from_wgs84([LON], [LAT], "gcj02")
    path = tmp_path / "addresses.csv"
    path.write_text(
        "地址,经度,纬度\n"
        f"魁奇东路1号,{lon[0]:.9f},{lat[0]:.9f}\n"
        f"魁奇东路1号,{lon[0]:.9f},{lat[0]:.9f}\n"
        "魁奇东路2号,,\n"
        ",113.1,23.0\n"
        "魁奇东路3号,23.0,113.1\n"
        "魁奇东路4号,abc,23.0\n",
        encoding="utf-8",
    )
    done: list[int] = []
    got = addresses.import_file(
        connection, path, datum="gcj02", source="survey", progress=done.append
    )
    assert (got.added, got.known, done) == (1, 1, [6])
    assert [row for row, _ in got.rejected] == [4, 5, 6, 7]
    assert "no coordinates" in got.rejected[0][1]
    assert "empty" in got.rejected[1][1]
    assert "exchanged" in got.rejected[2][1]
    match = addresses.lookup(connection, "魁奇东路1号", known=later())[0]
    assert (match.lon, match.lat) == (pytest.approx(LON, abs=1e-7), pytest.approx(LAT, abs=1e-7))
    again = addresses.import_file(connection, path, datum="gcj02", source="survey")
    assert (again.added, again.known) == (0, 2)


def test_a_file_without_a_place_says_which_columns_it_has(connection, tmp_path):
    path = tmp_path / "addresses.csv"
    path.write_text("地址,备注\n魁奇东路1号,x\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"lon and lat.*地址, 备注"):
        addresses.import_file(connection, path)


def test_a_city_of_addresses_is_searched_by_index_and_slips_find_their_house(connection):
    rng = random.Random(4406)
    streets = list({"".join(rng.choices(SYLLABLES, k=3)) + "路" for _ in range(400)})
    rows = [
        (f"{street}{n}号", LON + i * 1e-3, LAT + n * 1e-4)
        for i, street in enumerate(streets)
        for n in range(1, 51)
    ]
    addresses.add(connection, rows, "survey")
    connection.execute(text("ANALYZE address"))
    values = {"key": rows[7][0], "known": later(), "street": streets[0], "within": streets[0],
              "number": 8, "most": 100}  # fmt: skip
    # A table this small is as fast to read through; the question is whether the index can serve.
    connection.execute(text("SET LOCAL enable_seqscan = off"))
    for statement, index in (
        (sql._EXACT, "address_key"), (sql._ON_STREET, "address_trigrams"),
        (sql._SIMILAR, "address_trigrams"), (sql._HOLDING, "address_trigrams"),
    ):  # fmt: skip
        plan = connection.execute(text(f"EXPLAIN {statement}"), values).scalars().all()
        assert any(index in line for line in plan), plan
    asked = rng.sample(rows, 40)
    slips = [(words[:i] + "某" + words[i + 1 :], lon, lat) for words, lon, lat in asked
             for i in [rng.randrange(3)]]  # fmt: skip
    found = [addresses.lookup(connection, words, known=later()) for words, _, _ in slips]
    right = [
        any(metres(match, lon, lat) < 1 for match in matches)
        for matches, (_, lon, lat) in zip(found, slips, strict=True)
    ]
    assert np.mean(right) >= 0.95
