"""Addresses as text: every spelling of one address has one key, and no text raises."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.addresses import UNKNOWN, parse

NAMES = ("佛山市", "禅城区", "南海区", "顺德区", "石湾镇街道", "祖庙街道", "桂城街道", "大塘镇")
PIECES = st.sampled_from(
    [
        *NAMES,
        "广东省",
        "佛山",
        "禅城",
        "大塘",
        "祖庙",
        "魁奇",
        "东路",
        "大道",
        "三",
        "十",
        "3",
        "８８",
        "號",
        "号",
        "之一",
        "-1",
        "x",
        "XX",
        "*",
        " ",
        "W HIGGINS",
        " AVE",
        "路",
        "街",
        "巷",
        "楼",
        "室",
        "，",
        "İ",
        "é",
        "\0",
    ]
)


def one(text, names=NAMES):
    found = parse([text], names)
    return {name: getattr(found, name)[0] for name in found.__dataclass_fields__}


@pytest.mark.parametrize(
    "text",
    [
        "魁奇东路88号",
        "广东省佛山市禅城区石湾镇街道魁奇东路88号",
        "中华人民共和国广东省佛山市禅城区魁奇东路88号",
        "佛山市禅城区魁奇东路８８號",
        "佛山禅城魁奇东路八十八号",
        "禅城石湾镇魁奇东路八八号",
        " 佛山市，禅城区 魁奇东路 88 号。",
    ],
)
def test_the_spellings_of_an_address_have_one_key(text):
    found = one(text)
    assert found["key"] == "魁奇东路88号"
    assert (found["street"], found["number"], found["side"]) == ("魁奇东路", 88, 0)
    assert found["block"] == "魁奇东路#0"


@pytest.mark.parametrize(
    ("text", "street", "number", "block"),
    [
        ("魁奇东路88号之一", "魁奇东路", 88, "魁奇东路#0"),
        ("魁奇东路188-1号", "魁奇东路", 188, "魁奇东路#1"),
        ("魁奇东路88号3号楼501室", "魁奇东路", 88, "魁奇东路#0"),
        ("魁奇东路88", "魁奇东路", 88, "魁奇东路#0"),
        ("魁奇东路8号楼", "魁奇东路", UNKNOWN, ""),
        ("魁奇东路1XX号", "魁奇东路", UNKNOWN, "魁奇东路#1"),
        ("佛山大道北一百零八号", "佛山大道北", 108, "佛山大道北#1"),
        ("季华五路十号", "季华五路", 10, "季华五路#0"),
        ("大塘3街12号", "大塘三街", 12, "大塘三街#0"),
        ("建设大街二巷3号", "建设大街二巷", 3, "建设大街二巷#0"),
        ("石湾镇街道澜石社区魁奇东路88号", "魁奇东路", 88, "魁奇东路#0"),
        ("工业区一路5号", "工业区一路", 5, "工业区一路#0"),
        ("新村路5号", "新村路", 5, "新村路#0"),
        ("国道325线88号", "国道325线", 88, "国道325线#0"),
        ("石头村12号", "石头村", 12, "石头村#0"),
        ("怡翠花园3号楼", "", UNKNOWN, ""),
        ("魁奇路与汾江路交叉口", "魁奇路", UNKNOWN, ""),
        ("056XX W HIGGINS AVE", "W HIGGINS AVE", UNKNOWN, "W HIGGINS AVE#56"),
        ("056** w. Higgins Ave.", "W HIGGINS AVE", UNKNOWN, "W HIGGINS AVE#56"),
        ("5631 W Higgins Ave Apt 3", "W HIGGINS AVE", 5631, "W HIGGINS AVE#56"),
        ("000XX N STATE ST", "N STATE ST", UNKNOWN, "N STATE ST#0"),
        ("N State St", "N STATE ST", UNKNOWN, ""),
        ("电话13812345678", "", UNKNOWN, ""),
        ("", "", UNKNOWN, ""),
    ],
)
def test_street_number_and_block(text, street, number, block):
    found = one(text)
    assert (found["street"], found["number"], found["block"]) == (street, number, block)
    assert found["side"] == (UNKNOWN if number < 0 else number % 2)


@pytest.mark.parametrize(
    "text",
    [
        "佛山大道北88号",
        "祖庙路21号",
        "桂城南路3号",
        "大塘三街12号",
        "南海广场",
        "顺德广场",
        "佛山市",
        "祖庙",
    ],
)
def test_names_that_begin_like_an_area_stay_whole(text):
    assert one(text)["key"] == text
    assert one(text)["head"] == ""


def test_the_head_tells_equal_keys_apart():
    found = parse(["佛山市南海区桂城街道建设路8号", "顺德建设路8号"], NAMES)
    assert found.key.tolist() == ["建设路8号"] * 2
    assert found.head.tolist() == ["佛山市 南海区 桂城街道", "顺德区"]


def test_areas_that_nobody_listed_are_known_by_where_they_stand():
    text = "湖南省长沙市岳麓区桔子洲街道潇湘中路88号"
    assert one(text, ())["key"] == "潇湘中路88号"
    assert one("佛山市社区服务中心")["key"] == "社区服务中心"
    assert one("佛山市怡翠小区3号", NAMES)["key"] == "怡翠小区3号"


def test_columns_are_aligned_and_missing_texts_are_empty():
    found = parse(np.array(["魁奇东路88号", None, "x", np.nan, "魁奇东路88号"], dtype=object))
    assert found.key.tolist() == ["魁奇东路88号", "", "x", "", "魁奇东路88号"]
    assert found.number.dtype == found.side.dtype == np.int64
    assert len(parse([])) == 0


@given(st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=12).map("".join)))
def test_no_text_raises_and_the_key_of_a_key_is_itself(text):
    found = one(text)
    assert one(found["key"])["key"] == found["key"]
    assert found["number"] >= UNKNOWN
    assert (found["block"] == "") or found["block"].startswith(found["street"] + "#")
    assert (found["side"] == UNKNOWN) == (found["number"] == UNKNOWN)


@given(
    st.sampled_from(["", "广东省", "佛山市", "广东省佛山市", "佛山"]),
    st.sampled_from(["", "禅城区", "禅城", "南海区桂城街道"]),
    st.text(st.sampled_from("魁奇同济汾江华宝翠"), min_size=2, max_size=3),
    st.sampled_from(["路", "东路", "大道", "五路", "大街"]),
    st.integers(1, 9999),
)
def test_leading_areas_do_not_change_key_street_or_number(city, district, name, road, number):
    found = one(f"{city}{district}{name}{road}{number}号")
    assert found["key"] == f"{name}{road}{number}号"
    assert (found["street"], found["number"]) == (name + road, number)


def test_distinct_addresses_are_read_by_the_ten_thousand_in_a_second():
    texts = [f"佛山市禅城区石湾镇街道魁奇{i % 97}东路{i}号" for i in range(10_000)]
    parse(texts[:100], NAMES)
    began = time.process_time()
    parse(texts, NAMES)
    assert time.process_time() - began < 1.5
