"""The page of the warnings in a real browser, opened from a file that needs no server."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from layers.early_warnings import early_warnings
from layers.page import PAGE_LIMIT
from tests.layers.cities import NOON, drawn
from tests.web.visits import SHOTS, SIZES, inside, needs_browser

pytestmark = needs_browser
CITY = drawn(16)
LOOK = {
    "day": date(2026, 3, 2), "taken": NOON, "cannot": None, "series": 14_800, "weeks": 120,
    "quiet": 0.06, "quiet_week_at_most": 0.42, "rate": 0.05,
}  # fmt: skip
Open = Callable[..., Page]


def warning(number: int, level: str, position: int, **facts: Any) -> dict[str, Any]:
    code = CITY.areas[f"{level}s"]["code"][position]
    name = CITY.areas[f"{level}s"]["name"][position]
    return {
        "number": number, "model": "surge", "kind": "烟花爆竹", "kind_title": None,
        "words": ["燃放烟花", "扰民"], "area": {"layer": level, "code": code, "name": name},
        "observed": 41, "expected": 3.2, "score": 4.7, "owner_name": "镇街综治中心", "late": False,
        "state": "open", "due": NOON + timedelta(hours=5), "accepted": None,
        "inputs": {"counts": [3, 2, 4, 1, 5, 2, 3, 4, 2, 3, 6, 2, 3, 41]}, **facts,
    }  # fmt: skip


def warnings() -> list[dict[str, Any]]:
    city = {"layer": "city", "code": "440600000000", "name": "佛山市"}
    return [
        warning(1, "village", 3, late=True, due=NOON - timedelta(hours=3)),
        warning(2, "town", 1, kind_title="劳动报酬纠纷", words=[], observed=18),
        {**warning(3, "town", 0, model="topic", words=["停水"]), "area": city, "inputs": {}},
        warning(4, "village", 0, state="accepted", accepted=NOON - timedelta(days=1)),
    ]  # fmt: skip


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens the page in a size; nothing may go wrong or be asked for on the way."""
    faults: list[str] = []
    pages: list[Page] = []

    def opened(size: str, rows: list[dict[str, Any]] | None = None, **more: Any) -> Page:
        file = tmp_path / f"{size}.html"
        shown = warnings() if rows is None else rows
        looks = more.pop("looks", [LOOK])
        html = early_warnings(CITY, shown, looks, now=NOON, self_contained=True, **more)
        assert len(html.encode()) < PAGE_LIMIT
        file.write_text(html, encoding="utf-8")
        width, height = SIZES[size]
        page = browser.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.on("pageerror", lambda e: faults.append(str(e)))
        page.on("console", lambda m: m.type in ("error", "warning") and faults.append(m.text))
        page.on(
            "request",
            lambda r: r.url.startswith(("data:", "file:")) or faults.append(r.url),
        )
        page.goto(file.as_uri())
        page.wait_for_selector("body.ready", timeout=20_000)
        return page

    yield opened
    for page in pages:
        page.close()
    assert faults == []


@pytest.mark.parametrize("size", list(SIZES))
def test_the_most_urgent_stands_first_with_what_is_usual(open_page: Open, size: str) -> None:
    page = open_page(size)
    inside(page, ".panel")
    entries = page.locator(".warned li")
    assert [each.split()[0] for each in entries.all_inner_texts()] == [
        "烟花爆竹", "劳动报酬纠纷", "话题", "烟花爆竹",
    ]  # fmt: skip
    first = entries.first.inner_text()
    for said in ("近七天 41 件", "往常 3.2", "镇街综治中心", "已逾期", "分值 4.7", "燃放烟花"):
        assert said in first
    assert page.locator(".figure b").all_inner_texts() == ["1", "2", "1"]
    assert "误报 0.06 条" in page.locator(".panel footer").inner_text()
    # A bar for each week; the city's topic has no course.
    assert page.locator(".warned li").nth(0).locator("rect").count() == 14
    assert page.locator(".warned li").nth(0).locator("rect.now").count() == 1
    assert page.locator(".warned li").nth(2).locator("rect").count() == 0
    page.screenshot(path=SHOTS / f"warnings-{size}.png")


def test_an_entry_leads_to_its_area(open_page: Open) -> None:
    page = open_page("laptop")
    zoom = page.evaluate("document.body.dataset.zoom")
    page.locator(".warned li button").first.click()
    page.wait_for_function(f"document.body.dataset.zoom > {zoom}")
    assert page.evaluate("!!wangge.found")


def test_on_paper_the_list_remains(open_page: Open) -> None:
    page = open_page("laptop")
    page.emulate_media(media="print")
    assert page.locator(".warned li").first.is_visible()
    assert not page.locator(".legend").is_visible()


def test_nothing_is_a_state_too(open_page: Open) -> None:
    page = open_page("laptop", [], looks=[{**LOOK, "cannot": "there are 4 weeks of reports"}])
    assert "没有未办结的预警" in page.locator(".panel").inner_text()
    assert "无法研判：there are 4 weeks" in page.locator(".panel footer").inner_text()


def test_it_speaks_english(open_page: Open) -> None:
    page = open_page("laptop", lang="en")
    assert "usually 3.2" in page.locator(".warned li").first.inner_text()
