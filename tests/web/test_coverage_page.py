"""The coverage page in a real browser, opened from a file that needs no server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from layers.coverage import coverage
from layers.ground import ground
from tests.layers.cities import NOON, frame
from tests.layers.coincidence import CITY, made_up
from tests.web.visits import SHOTS, SIZES, inside, needs_browser

pytestmark = needs_browser
CONTROLS = (
    ".panel:not(.ranked)", ".ranked", ".legend", ".leaflet-control-layers",
    ".leaflet-control-zoom", ".leaflet-control-scale-line",
)  # fmt: skip
Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens the page in a size; nothing may go wrong or be asked for on the way."""
    faults: list[str] = []
    pages: list[Page] = []

    def opened(size: str, **more: object) -> Page:
        file = tmp_path / f"{size}.html"
        html = coverage(CITY, made_up(), now=NOON, self_contained=True, **more)  # type: ignore[arg-type]
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
def test_everything_has_its_place(open_page: Open, size: str) -> None:
    page = open_page(size)
    boxes = {}
    for selector in CONTROLS:
        inside(page, selector)
        boxes[selector] = page.locator(f"{selector}:visible").first.bounding_box()
    names = list(boxes)
    for i, one in enumerate(names):
        for other in names[:i]:
            a, b = boxes[one], boxes[other]
            assert a and b
            apart = (
                a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
                or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
            )  # fmt: skip
            assert apart, f"{one} lies on {other}"
    # The whole city lies between the panels.
    drawn = page.evaluate(
        "(() => { const { bounds } = wangge.data;"
        " return bounds.map((at) => wangge.map.latLngToContainerPoint(at)) })()"
    )
    if size != "phone":
        left, ranked = boxes[CONTROLS[0]], boxes[".ranked"]
        assert left and ranked
        assert left["x"] + left["width"] <= drawn[0]["x"] and drawn[1]["x"] <= ranked["x"]
    page.screenshot(path=SHOTS / f"coverage-{size}.png")


def test_one_figure_at_a_time_with_its_legend(open_page: Open) -> None:
    page = open_page("laptop", lang="en")
    assert page.locator(".ramp:visible").get_attribute("data-of") == "kind"
    for label, name in (
        ("Nearest police on duty", "officer"),
        ("Nearest police post", "post"),
        ("Grids per officer", "part"),
        ("Rental-home visits done", "visits"),
    ):
        page.get_by_label(label).check()
        page.locator(f'body[data-colour="{name}"]').wait_for()
        assert page.locator(".ramp:visible").count() == 1
        assert page.locator(".ramp:visible").get_attribute("data-of") == name


def test_a_gap_is_shown_and_its_figures_explained(open_page: Open) -> None:
    page = open_page("laptop")
    before = page.evaluate("wangge.map.getZoom()")
    page.locator(".ranked ol").nth(1).locator("button[data-position]").nth(3).click()
    page.wait_for_function("(z) => wangge.map.getZoom() > z + 1", arg=before)
    page.wait_for_function("!wangge.map._animatingZoom")
    spot = page.evaluate(
        "(() => { const at = wangge.found.getBounds().getCenter();"
        " return wangge.map.latLngToContainerPoint(at) })()"
    )
    page.mouse.move(spot["x"] - 15, spot["y"] - 15)
    page.mouse.move(spot["x"], spot["y"])
    tip = page.locator(".leaflet-tooltip.tip")
    tip.wait_for()
    text = tip.inner_text()
    assert "跨 2 个警务区" in text and "60 %" in text and "一区" in text
    assert "警力 3.0 分钟" in text and "挂点民警 1 人" in text and "建议" in text


def test_prints_on_one_sheet(open_page: Open) -> None:
    page = open_page("laptop")
    pdf = page.pdf(prefer_css_page_size=True, print_background=True)
    (SHOTS / "coverage.pdf").write_bytes(pdf)
    assert pdf.count(b"/Type /Page\n") == 1


def test_a_city_without_areas_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    nothing = frame(code=[], name=[], geometry=[])
    void = ground(city="空城", districts=nothing, towns=nothing, villages=nothing, grids=nothing)
    file = tmp_path / "empty.html"
    file.write_text(coverage(void, made_up(), now=NOON, self_contained=True), encoding="utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    inside(page, ".nothing")
    page.close()
