"""The coverage page: its figures, its sentences for bad input, its size, and no other host."""

import re
from dataclasses import replace

import numpy as np
import pytest

from data.integration import WHOM, Integration
from gis.integration import PARTS
from layers.coverage import coverage
from layers.coverage_words import TEXTS
from layers.ground import LEVELS, Ground, ground
from layers.page import ASSETS, PAGE_LIMIT, VENDOR
from tests.layers.cities import NOON, drawn, frame
from tests.layers.coincidence import CITY, made_up


def page(city: Ground = CITY, figures: Integration | None = None, **more: object) -> str:
    return coverage(city, figures or made_up(), now=NOON, **more)  # type: ignore[arg-type]


def test_figures_and_what_is_ranked() -> None:
    html = page()
    assert '<b id="index">79.6</b>' in html
    assert html.index("甲镇") < html.index("乙镇&lt;")  # the lower index first
    assert "指数 79.6 → 85.0" in html and "工作量偏离不超过 25%" in html
    assert "1 格因工作量失衡未调整" in html
    assert "另有 30 处" in html
    assert "2026-01-31 12:00 – 2026-03-02 12:00" in html
    assert "50% / –" in html


def test_each_shape_has_its_class_in_every_choice() -> None:
    html = page()
    found = dict(re.findall(r'"(kind|officer|worker|post|part|visits)":\["(\d+)"', html))
    assert set(found) == {"kind", "officer", "worker", "post", "part", "visits"}
    assert {len(digits) for digits in found.values()} == {len(CITY.areas["grids"])}
    assert found["kind"][:5] == "00010"
    # 0 to 5 minutes, to 10, to 15, and over 15.
    assert [found["officer"][n] for n in (0, 5, 6, 10, 11, 15, 16)] == list("0011223")
    assert found["worker"][2] == "4"
    # 20 to 26 grids for each officer, by quarters; the second grid has no officer.
    assert found["part"][1] == "4" and set(found["part"]) == set("01234")
    assert found["part"][0] == "0" and found["part"][6] == "3"
    assert found["visits"][0] == "4" and found["visits"][3] == "3"


def test_no_other_host_is_named_and_it_opens_alone() -> None:
    html = page()
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", html)
    for url in re.findall(r"""(?:src|href)=["'](/[^"']+)""", html):
        folder = next(path for prefix, path in VENDOR.items() if url.startswith(prefix + "/"))
        assert (folder / url.rsplit("/", 1)[1]).is_file()
    assert not re.findall(r"""(?:src|href)=["']/""", page(self_contained=True))


def test_names_cannot_become_markup() -> None:
    assert "<i>乙镇" not in page()


def test_a_full_city_fits() -> None:
    html = page(drawn(81), made_up(81), self_contained=True)
    assert len(html.encode()) <= PAGE_LIMIT


def test_drawn_by_village_the_figures_are_summed_up() -> None:
    city = drawn(16, budget=30_000)
    assert city.finest != "grids"
    html = page(city)
    digits = dict(re.findall(r'"(kind|officer)":\["(\d+)"', html))
    assert len(digits["kind"]) == len(city.areas[city.finest])
    assert "本页画到" in html


def test_bad_input_is_a_sentence() -> None:
    for note, says in (
        ("no_beats", "没有警务责任区"),
        ("overlaps", "1 对警务责任区相互重叠"),
        ("not_counted", "网格没有居民数"),
        ("no_residents", "个网格没有居民或未登记居民数"),
        ("nobody_on_duty", "没有在岗警力"),
        ("no_plans", "没有出租屋走访计划"),
    ):
        html = page(figures=made_up(notes=(note,)))
        assert says in html, note
    assert "没有路网" in page(figures=made_up(notes=("straight",)))


def test_without_grids_and_without_a_city() -> None:
    base = made_up()
    empty = replace(
        base, grids=base.grids.iloc[:0], towns=base.towns.iloc[:0], beats=base.beats.iloc[:0],
        gaps=base.gaps.iloc[:0], moves=base.moves.iloc[:0], left=base.left.iloc[:0],
        overlaps=base.overlaps.iloc[:0], index=np.nan, index_after=np.nan, notes=["no_grids"],
    )  # fmt: skip
    html = page(figures=empty)
    assert "当前范围内没有网格" in html and 'id="index"' not in html
    nothing = frame(code=[], name=[], geometry=[])
    void = ground(city="空城", districts=nothing, towns=nothing, villages=nothing, grids=nothing)
    assert "还没有网格" in page(void, empty)


def test_english_and_languages() -> None:
    html = page(lang="en")
    assert '<html lang="en">' in html and "index of integration" in html
    with pytest.raises(ValueError, match="language 'fr'"):
        page(lang="fr")


def test_both_languages_say_the_same_things_and_no_text_is_idle() -> None:
    for key, both in TEXTS.items():
        chinese, english = (sorted(re.findall(r"{(\w+)}", text)) for text in both)
        assert chinese == english, key
    built = ("kind_", "tip_", "layer_", "note_", "gap_", "left_")
    files = [ASSETS / f"coverage.{kind}" for kind in ("html", "js")]
    files += [ASSETS / "page.js", ASSETS / "ground.js", ASSETS.parent / "coverage.py"]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    parts = {*PARTS, *(f"{part}_help" for part in PARTS), *WHOM, *LEVELS}
    said = set(re.findall(r"""["']([a-z_]+)["']""", text))
    idle = {key for key in TEXTS if key not in said and not key.startswith(built)}
    assert idle <= parts
