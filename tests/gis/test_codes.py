import csv
import doctest
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.settings import ROOT
from gis import codes
from gis.codes import CodeError, Level, check, mint, parse, reading_order

VILLAGE = "440604010001"
VILLAGES_CSV = ROOT.parent / "shared/data/foshan/villages.csv"

places = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 400)), unique=True, max_size=60
).map(lambda cells: [(113.0 + x / 1e4, 23.0 + y / 1e4) for x, y in cells])


@pytest.mark.parametrize(
    ("text", "level", "canonical", "parent"),
    [
        ("440600", "city", "440600000000", None),
        ("440600000000", "city", "440600000000", None),
        ("440604", "district", "440604000000", "440600000000"),
        ("440604010", "town", "440604010000", "440604000000"),
        ("440604010000", "town", "440604010000", "440604000000"),
        ("440604010001", "village", "440604010001", "440604010000"),
        ("440604010001003", "grid", "440604010001003", "440604010001"),
        (" ４４０６０４０１０００１００３\n", "grid", "440604010001003", "440604010001"),
        ("\ufeff440604", "district", "440604000000", "440600000000"),
        (440604010001, "village", "440604010001", "440604010000"),
        ("441900003000", "town", "441900003000", "441900000000"),  # Dongguan has no districts
    ],
)
def test_parse_reads_every_level(text, level, canonical, parent):
    code = parse(text)
    assert (code.level, code.text) == (level, canonical)
    assert (str(code.parent) if code.parent else None) == parent


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("44060", "has 5 digits"),
        ("4406040100010031", "has 16 digits"),
        ("44060401000A", "'A' at position 12"),
        ("4406-4", "'-' at position 5"),
        ("٤٤٠٦٠٤", "position 1"),  # digits, but not ours
        ("440604010001.0", "format the column as text"),
        ("4.40604E+11", "format the column as text"),
        ("990604", "digits 1-2, '99'"),
        ("440000", "is a province"),
        ("440004", r"digits 3-4 \(city\)"),
        ("440600010", r"digits 5-6 \(district\)"),
        ("440604000001", r"digits 7-9 \(town\)"),
        ("440604010000001", r"digits 10-12 \(village\)"),
        ("440604010001000", "digits 13-15 are 000"),
    ],
)
def test_parse_says_what_is_wrong_and_where(text, said):
    with pytest.raises(CodeError, match=said):
        parse(text)


def test_the_chain_of_a_grid():
    grid = parse("440604010001003")
    assert [area.level for area in grid.ancestors] == ["village", "town", "district", "city"]
    assert [area.short for area in grid.ancestors] == [VILLAGE, "440604010", "440604", "440600"]
    assert (grid.serial, grid.pretty) == (3, "440604 010 001 003")
    assert parse("440604").pretty == "440604"
    assert parse("440604").contains(grid) and parse("440604").contains(parse("440604"))
    assert not parse("440605").contains(grid) and not grid.contains(parse("440604"))
    assert parse(VILLAGE).serial is None


@given(
    st.sampled_from(["1101", "4406", "6501", "8200"]).filter(lambda c: c[2:] != "00"),
    st.integers(1, 99),
    st.integers(1, 999),
    st.integers(1, 999),
    st.integers(1, 999),
)
def test_every_well_formed_code_parses_to_itself(city, district, town, village, serial):
    text = f"{city}{district:02d}{town:03d}{village:03d}{serial:03d}"
    grid = parse(text)
    assert str(grid) == text and grid.level == "grid"
    for area in (grid, *grid.ancestors):
        assert parse(area.text) == parse(area.short) == area


@pytest.mark.skipif(not VILLAGES_CSV.exists(), reason="the published codes of Foshan are absent")
def test_the_published_codes_of_foshan_parse():
    with VILLAGES_CSV.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 818
    for row in rows:
        village = parse(row["village_code"])
        assert [a.short for a in village.ancestors] == [
            row["town_code"],
            row["district_code"],
            "440600",
        ]
    assert not check([row["village_code"] for row in rows], Level.VILLAGE).any()


def test_check_is_aligned_and_keeps_the_shape():
    codes = np.array([[VILLAGE, "x"], [None, np.nan], ["440604", VILLAGE]], dtype=object)
    faults = check(codes)
    assert faults.shape == codes.shape
    assert faults.astype(bool).tolist() == [[False, True], [True, True], [False, False]]
    assert "position 1" in faults[0, 1] and "empty" in faults[1, 0] and "empty" in faults[1, 1]
    by_level = check(codes, "village")
    assert by_level[2, 0] == "code '440604' is a district, but a village is asked for here"
    assert by_level[2, 1] == ""
    assert check(np.array([440604010001])).tolist() == [""]
    assert check([]).shape == (0,)
    assert check(VILLAGE).shape == ()


@given(st.lists(st.one_of(st.text(alphabet="0１4６.a ", max_size=16), st.just(VILLAGE))))
def test_check_and_parse_agree(codes):
    def fault(code):
        try:
            parse(code)
        except CodeError as error:
            return str(error)
        return ""

    assert check(np.array(codes, dtype=object)).tolist() == [fault(code) for code in codes]


def test_mint_reads_rows_from_the_north_each_from_west_to_east():
    rng = random.Random(4)
    jitter = [[rng.uniform(-1.5e-4, 1.5e-4) for _ in range(2)] for _ in range(20)]
    page = [(113 + c / 1e3, 23 - r / 1e3) for r in range(4) for c in range(5)]
    points = [(x + dx, y + dy) for (x, y), (dx, dy) in zip(page, jitter, strict=True)]
    assert mint(VILLAGE, points) == [f"{VILLAGE}{i:03d}" for i in range(1, 21)]


@pytest.mark.parametrize(
    ("points", "order"),
    [
        ([(113.0, 23.0), (113.0, 23.1), (113.0, 22.9)], [1, 0, 2]),  # a strip, north to south
        ([(113.1, 23.0), (113.0, 23.0), (113.2, 23.0)], [1, 0, 2]),  # a strip, west to east
        ([(113.0, 23.0), (113.1, 23.1)], [1, 0]),  # north before west
        ([(113.1, 23.0), (113.0, 22.999)], [1, 0]),  # nearly level: one row
        ([(24.0, 60.0), (24.8, 60.07)], [1, 0]),  # a degree of longitude is short in the north
    ],
)
def test_reading_order(points, order):
    assert reading_order(np.array(points)).tolist() == order


@given(places, st.randoms())
def test_mint_does_not_depend_on_the_order_of_its_input(points, rng):
    minted = dict(zip(points, mint(VILLAGE, points), strict=True))
    shuffled = points.copy()
    rng.shuffle(shuffled)
    assert dict(zip(shuffled, mint(VILLAGE, shuffled), strict=True)) == minted
    assert sorted(minted.values()) == [f"{VILLAGE}{i:03d}" for i in range(1, len(points) + 1)]


@given(places, st.sets(st.integers(1, 900)))
def test_mint_never_gives_a_code_again(points, serials):
    used = [f"{VILLAGE}{serial:03d}" for serial in serials]
    new = mint(parse(VILLAGE), points, used)
    assert not set(new) & set(used)
    assert not new or min(new) > max(used, default="")
    assert not check(new, "grid").any()


def test_a_split_and_a_merge_take_new_codes():
    first = mint(VILLAGE, [(113.0, 23.0), (113.1, 23.0)])
    halves = mint(VILLAGE, [(113.05, 23.0), (113.15, 23.0)], used=first)
    merged = mint(VILLAGE, [(113.1, 23.0)], used=first + halves)
    assert [code[12:] for code in first + halves + merged] == ["001", "002", "003", "004", "005"]


@pytest.mark.parametrize(
    ("village", "points", "used", "said"),
    [
        ("440604010", [(113, 23)], [], "is a town; grids are numbered within a village"),
        (VILLAGE, [(113, 23)], [f"{VILLAGE}999"], "divide the village"),
        (VILLAGE, [(113, 23)], ["440604010003001"], "not a grid of village 440604010001"),
        (VILLAGE, [(113, 23)], [VILLAGE], "not a grid of village"),
        (VILLAGE, [(113, 23), (113, np.nan)], [], "point 1 is not a number"),
        (VILLAGE, [(113, 23), (113, 23)], [], "twice"),
        (VILLAGE, [113, 23], [], "shape"),
    ],
)
def test_mint_refuses_with_a_sentence(village, points, used, said):
    with pytest.raises(CodeError, match=said):
        mint(village, points, used)


def test_a_village_has_999_serials_and_no_more():
    points = [(113 + i % 40 / 1e3, 23 + i // 40 / 1e3) for i in range(1000)]
    assert max(mint(VILLAGE, points[:999])) == f"{VILLAGE}999"
    with pytest.raises(CodeError, match="999"):
        mint(VILLAGE, points)


def test_nothing_to_mint_is_nothing():
    assert mint(VILLAGE, [], used=[f"{VILLAGE}999"]) == []


def test_the_examples_of_the_docstrings_run():
    ran = doctest.testmod(codes)
    assert ran.attempted >= 5 and not ran.failed
