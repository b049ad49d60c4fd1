"""Reasons in words and figures."""

import pytest

from data.candidates import Candidate, Found, Shortfall
from layers.reasons import WORDS, Reasons

ROW = {
    "name": "第003网格 网格长", "at_home": False, "home_code": "G1", "answers_for": None,
    "mode": "foot", "load": 0,
    "by_position": True, "age_s": 125.0, "accuracy_m": 10.0, "status": "available",
    "on_duty": True, "on_leave": False, "deployed": False,
}  # fmt: skip
SKILLS = {"labour": ("劳动争议", "Labour disputes")}


def candidate(travel_s=170.0, distance_m=338.0, missing=(), by_road=True, **row):
    return Candidate({**ROW, **row}, travel_s, distance_m, by_road, 0.0, {}, list(missing))


def words(lang, skills=None, roads=True):
    return Reasons(Found([], [], skills or {}), 1800, lang, roads=roads)


def said(lang, c, skills=None, roads=True):
    say = words(lang, skills, roads)
    return [r["text"] for r in say.for_it(c)], [r["text"] for r in say.against(c)]


def test_a_good_candidate():
    c = candidate(at_home=True)
    assert said("en", c) == (
        ["in this grid", "340 m, 3 min on foot", "no open task", "position 2 min old"], [],
    )  # fmt: skip
    assert said("zh", c) == (
        ["本网格", "340 米，步行 3 分钟", "无在办任务", "位置 2 分钟前"], [],
    )  # fmt: skip


def test_what_speaks_against():
    c = candidate(
        travel_s=7260.0, distance_m=12_340.0, missing=["labour"], by_road=False, load=2,
        by_position=False, age_s=3 * 3600.0, mode="car",
    )  # fmt: skip
    for_it, against = said("en", c, SKILLS)
    assert for_it == ["12.3 km, 2 h 1 min by car"]
    assert against == [
        "later than the 30 min asked for", "lacks: labour disputes", "open tasks: 2",
        "of another grid", "last position 3 h 0 min old, taken from home",
        "estimated from the straight line",
    ]  # fmt: skip
    assert "estimated from the straight line" not in said("en", c, SKILLS, roads=False)[1]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"age_s": None}, "no position known, taken from home"),
        ({"age_s": 60.0, "accuracy_m": 900.0}, "last position only within 900 m, taken from home"),
    ],
)
def test_why_the_home_stands_for_the_position(row, text):
    assert said("en", candidate(at_home=True, by_position=False, **row))[1] == [text]


def test_figures_come_with_the_words():
    area = {"layer": "beats", "code": "B1", "title": "警务责任区", "title_en": "Police beats"}
    first, way = words("en").for_it(candidate(answers_for=[area]))[:2]
    assert first == {
        "code": "answers_for", "area": "B1", "text": "answers for it (police beats B1)",
    }  # fmt: skip
    assert (way["metres"], way["seconds"], way["mode"]) == (338, 170, "foot")


def test_who_answers_for_the_grid_need_not_be_said_to_live_there():
    grid = {"layer": "grid", "code": "G1", "title": "网格", "title_en": "Grid"}
    beat = {"layer": "beats", "code": "B1", "title": "警务责任区", "title_en": "Police beats"}
    for areas, codes in (([grid, beat], ["answers_for"] * 2), ([beat], ["at_home", "answers_for"])):
        reasons = words("zh").for_it(candidate(at_home=True, answers_for=areas))
        assert [r["code"] for r in reasons if r["code"] in ("at_home", "answers_for")] == codes


def test_shortfalls_name_who_nearly_would_do():
    far = candidate(travel_s=2400.0, distance_m=9_000.0)
    asleep = {**ROW, "on_duty": False}
    short = Shortfall("skill_missing", "labour", far, asleep)
    assert words("en", SKILLS).shortfall(short) == (
        "Nobody within 30 min can do: labour disputes: nearest is 第003网格 网格长 (9.0 km, "
        "40 min); the nearest, 第003网格 网格长, is off duty"
    )
    assert words("zh", SKILLS).shortfall(short) == (
        "30 分钟内没有可处理劳动争议的人员：最近的是第003网格 网格长（9.0 公里，40 分钟）；"
        "最近的第003网格 网格长不在班"
    )
    assert words("zh").shortfall(Shortfall("nobody")) == "此刻没有可派人员"


@pytest.mark.parametrize(
    ("metres", "text"),
    [
        (0, "0 m"),
        (7.4, "7 m"),
        (104, "100 m"),
        (994, "990 m"),
        (995, "1.0 km"),
        (123_456, "123 km"),
    ],
)
def test_distances_are_as_exact_as_they_are_known(metres, text):
    assert words("en").distance(metres) == text


def test_every_word_is_there_in_both_languages_with_the_same_places():
    for zh, en in WORDS.values():
        places = [{part.split("}")[0] for part in each.split("{")[1:]} for each in (zh, en)]
        assert zh and en
        assert places[0] <= places[1]
