"""Topics that surge: fireworks are found, what is always there is not, new words are named so."""

import doctest

import numpy as np
import pytest

from gis import topics
from gis.topics import segmenter, surging, words

WEEKS = np.arange("2021-11-29", "2026-02-09", 7, dtype="datetime64[D]")
MATTERS = [
    "{}栋楼下烧烤店深夜噪音扰民",
    "{}号门前垃圾没有清运，臭味很大",
    "{}座楼道堆放杂物堵塞消防通道",
    "{}路路灯不亮，行人看不清路面",
    "{}小区电梯故障多次停运",
    "{}巷口车辆乱停乱放，公交车进不来",
    "{}号水管爆裂，路面积水",
]
FIREWORKS = [
    "{}号楼下有人燃放烟花爆竹，声音很大",
    "{}区空地放烟花，孩子被吓到",
    "凌晨{}点还有人放烟花",
    "{}街口燃放烟花爆竹",
]


def city(rng, weeks=len(WEEKS), per_week=14.0):
    """Everyday reports: texts and weeks."""
    texts, week = [], []
    for number, size in enumerate(rng.poisson(per_week, weeks)):
        for _ in range(size):
            matter = MATTERS[rng.integers(len(MATTERS))]
            texts.append(matter.format(rng.integers(10**6)))
            week.append(number)
    return texts, week


def add(rng, texts, week, matters, number, count):
    texts += [matters[i % len(matters)].format(rng.integers(10**6)) for i in range(count)]
    week += [number] * count


def test_fireworks_surge_and_nothing_else():
    rng = np.random.default_rng(1)
    texts, week = city(rng)
    for number in rng.integers(0, len(WEEKS) - 1, 40):
        add(rng, texts, week, FIREWORKS, int(number), 1)
    add(rng, texts, week, FIREWORKS, len(WEEKS) - 1, 24)
    area = rng.integers(3, size=len(texts))
    area[-24:] = 7
    found = surging(texts, week, WEEKS, area=area)
    assert found[0].words[0] == "烟花"
    assert found[0].observed == 24
    assert found[0].expected < 2
    assert not found[0].new
    assert found[0].q >= found[0].p
    assert {w for topic in found for w in topic.words} <= words("".join(FIREWORKS))
    assert set(found[0].reports) >= set(range(len(texts) - 24, len(texts)))
    assert found[0].areas[0] == (7, 24)
    assert "燃放" in texts[found[0].reports[0]]  # the example with most words of the topic


def test_a_quiet_week_has_no_topic():
    for seed in range(3):
        assert surging(*city(np.random.default_rng(seed)), WEEKS) == []


def test_what_comes_every_year_at_this_time_is_no_surge():
    rng = np.random.default_rng(2)
    texts, week = city(rng)
    for year in range(4):
        festival = int(np.argmin(np.abs(WEEKS - np.datetime64(f"{2023 + year}-01-30"))))
        for number in range(festival - 3, festival + 4):
            if number < len(WEEKS) - 1:
                add(rng, texts, week, FIREWORKS, number, int(rng.poisson(20)))
    add(rng, texts, week, FIREWORKS, len(WEEKS) - 1, 22)
    assert surging(texts, week, WEEKS) == []


def test_a_new_word_is_called_new():
    rng = np.random.default_rng(3)
    texts, week = city(rng)
    add(rng, texts, week, ["{}号登革热病例，请灭蚊"], len(WEEKS) - 1, 8)
    found = surging(texts, week, WEEKS)
    assert len(found) == 1
    assert found[0].new
    assert found[0].expected == 0
    assert any("登革热" in w for w in found[0].words)


def test_one_text_sent_twenty_times_is_one_report():
    rng = np.random.default_rng(4)
    texts, week = city(rng)
    texts += ["楼上住户在阳台燃放 烟花"] * 20
    week += [len(WEEKS) - 1] * 20
    assert surging(texts, week, WEEKS) == []


def test_with_less_than_a_year_all_weeks_before_are_the_usual():
    rng = np.random.default_rng(5)
    texts, week = city(rng, weeks=20)
    assert surging(texts, week, WEEKS[:20]) == []
    add(rng, texts, week, FIREWORKS, 19, 15)
    found = surging(texts, week, WEEKS[:20])
    assert found[0].words[0] == "烟花"
    assert found[0].new


@pytest.mark.parametrize("weeks", [57, 110, 165])
def test_last_years_festival_is_remembered_however_many_years_there_are(weeks):
    rng = np.random.default_rng(9)
    days = WEEKS[-weeks:]
    texts, week = city(rng, weeks)
    for number in range(weeks - 56, weeks - 50):
        add(rng, texts, week, FIREWORKS, number, int(rng.poisson(20)))
    add(rng, texts, week, FIREWORKS, weeks - 1, 20)
    if weeks == 57:
        assert surging(texts, week, days) == []
    add(rng, texts, week, ["{}号登革热病例"], weeks - 1, 12)
    assert any("登革热" in w for topic in surging(texts, week, days) for w in topic.words)


def test_more_of_everything_is_no_topic_among_shares():
    rng = np.random.default_rng(6)
    texts, week = city(rng)
    for matter in MATTERS:
        add(rng, texts, week, [matter], len(WEEKS) - 1, 25)
    assert surging(texts, week, WEEKS)
    assert surging(texts, week, WEEKS, relative=True) == []


def test_names_of_places_can_be_left_out():
    rng = np.random.default_rng(7)
    texts, week = city(rng)
    add(rng, texts, week, ["石湾镇{}号积水"], len(WEEKS) - 1, 12)
    names = {w for topic in surging(texts, week, WEEKS) for w in topic.words}
    assert any("石湾" in name for name in names)
    stopped = surging(texts, week, WEEKS, stop=names)
    assert not names & {w for topic in stopped for w in topic.words}


def test_words_of_ones_own_are_kept_whole():
    assert "飞线充电" not in words("有人飞线充电")
    assert "飞线充电" in words("有人飞线充电", cut=segmenter(("飞线充电",)))


def test_parts_of_words_are_not_listed():
    rng = np.random.default_rng(8)
    texts, week = city(rng)
    add(rng, texts, week, ["{}号电动车在楼道充电"], len(WEEKS) - 1, 15)
    names = {w for topic in surging(texts, week, WEEKS) for w in topic.words}
    assert "电动车" in names
    assert "动车" not in names


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ((["噪音"], [300], WEEKS), "perhaps in the future"),
        ((["噪音"], [0], WEEKS[:7]), "7 weeks are too few"),
        ((["噪音"], [0, 1], WEEKS), "week of each text"),
    ],
)
def test_what_cannot_be_read_is_refused(task, sentence):
    with pytest.raises(ValueError, match=sentence):
        surging(*task)


def test_no_text_is_no_topic():
    assert surging([], [], WEEKS) == []
    assert surging(["123 ，。"] * 9, [0] * 9, WEEKS) == []


def test_examples():
    assert doctest.testmod(topics).failed == 0
