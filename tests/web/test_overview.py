"""The overview page in a real browser that can reach nothing but our own server."""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser
from starlette.staticfiles import StaticFiles

from layers.ground import ground
from layers.overview import overview
from layers.page import PAGE_LIMIT, VENDOR
from tests.doors import HEADERS
from tests.layers.cities import drawn, frame, reports
from tests.web.visits import SHOTS, Visit, inside, needs_browser

pytestmark = needs_browser


def _app() -> FastAPI:
    app = FastAPI()
    for url, folder in VENDOR.items():
        app.mount(url, StaticFiles(directory=folder, check_dir=False))
    city = drawn(32)
    nothing = frame(code=[], name=[], geometry=[])
    void = ground(city="空城", districts=nothing, towns=nothing, villages=nothing, grids=nothing)

    @app.get("/{name}", response_class=HTMLResponse)
    def page(name: str, count: int = 800, lang: str = "zh", age: int = 0) -> str:
        now = datetime.now(UTC) - timedelta(minutes=age)
        return overview(
            void if name == "empty" else city,
            reports(city, count),
            period=(now - timedelta(hours=12), now),
            now=now,
            lang=lang,  # type: ignore[arg-type]
            self_contained=name == "alone",
        )

    return app


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # from here on connections wait for the server, nobody has to sleep
    server = uvicorn.Server(uvicorn.Config(_app(), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.mark.parametrize(
    ("size", "count"), [("phone", 800), ("laptop", 800), ("wall", 800), ("wall", 50_000)]
)
def test_page(base: str, browser: Browser, size: str, count: int) -> None:
    visit = Visit(browser, size)
    assert visit.open(f"{base}/city?count={count}") <= PAGE_LIMIT
    for selector in (
        ".panel", ".legend", ".ramp", ".leaflet-control-layers",
        ".leaflet-control-scale-line", ".leaflet-control-zoom",
    ):  # fmt: skip
        inside(visit.page, selector)
    assert visit.page.locator("#total").inner_text() == f"{count:,}"
    assert visit.page.locator(".leaflet-marker-icon.badge").count() > 3
    assert visit.page.locator(".name.districts span:visible").count() == 4
    visit.page.screenshot(path=SHOTS / f"overview-{size}-{count}.png")
    visit.close()


def test_controls_do_not_lie_on_each_other(base: str, browser: Browser) -> None:
    for size in ("phone", "laptop"):
        visit = Visit(browser, size)
        visit.open(f"{base}/city")
        boxes = [
            visit.page.locator(selector).bounding_box()
            for selector in (
                ".panel",
                ".legend",
                ".leaflet-control-layers",
                ".leaflet-control-zoom",
            )
        ]
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                assert a and b
                apart = (
                    a["x"] + a["width"] <= b["x"] or b["x"] + b["width"] <= a["x"]
                    or a["y"] + a["height"] <= b["y"] or b["y"] + b["height"] <= a["y"]
                )  # fmt: skip
                assert apart, f"{size}: {a} lies on {b}"
        visit.close()


def test_tooltip_tells_what_a_grid_is(base: str, browser: Browser) -> None:
    visit = Visit(browser, "laptop")
    visit.open(f"{base}/city")
    visit.page.evaluate("void wangge.map.setView([23.205, 113.005], 14, {animate: false})")
    visit.page.mouse.move(700, 500)
    visit.page.mouse.move(720, 520)
    tip = visit.page.locator(".leaflet-tooltip.tip")
    tip.wait_for()
    text = tip.inner_text()
    assert "网格" in text and "›" in text and "上报" in text and "编码 440" in text
    visit.close()


def test_layers_switch_and_the_busiest_grid_is_shown(base: str, browser: Browser) -> None:
    visit = Visit(browser, "laptop")
    visit.open(f"{base}/city")
    page = visit.page
    page.get_by_label("按行政区着色").check()
    page.locator('body[data-colour="district"]').wait_for()
    assert page.locator(".ramp:visible").count() == 0
    page.get_by_label("警务责任区").check()
    page.locator(".leaflet-beats-pane path").first.wait_for()
    page.get_by_label("按上报数量着色").check()
    page.locator(".busiest button").first.click()
    page.locator('body[data-level="grids"]').wait_for()
    visit.close()


def test_english_and_back(base: str, browser: Browser) -> None:
    visit = Visit(browser, "laptop")
    visit.open(f"{base}/city?count=7")
    visit.page.get_by_text("English").click()
    visit.page.locator('html[lang="en"] body.ready').wait_for()
    assert visit.page.locator("#total").inner_text() == "7", "the switch lost the other parameters"
    assert visit.page.get_by_label("Coloured by district").count() == 1
    visit.close()


def test_an_old_page_says_so(base: str, browser: Browser) -> None:
    for age, stale in ((0, False), (12, True)):
        visit = Visit(browser, "phone")
        visit.open(f"{base}/city?age={age}")
        assert visit.page.locator(".old").is_visible() is stale
        assert ("12 分钟前" in visit.page.locator(".as-of").inner_text()) is stale
        visit.close()


def test_empty_city(base: str, browser: Browser) -> None:
    visit = Visit(browser, "phone")
    visit.page.goto(f"{base}/empty?count=0")
    inside(visit.page, ".nothing")
    assert "main.py" in visit.page.locator(".nothing").inner_text()
    visit.page.screenshot(path=SHOTS / "overview-empty.png")
    visit.close()


def test_self_contained_file_opens_from_disk(base: str, browser: Browser, tmp_path: Path) -> None:
    visit = Visit(browser, "laptop")
    visit.open(f"{base}/alone")
    file = tmp_path / "overview.html"
    file.write_text(visit.page.request.get(f"{base}/alone").text(), encoding="utf-8")
    visit.close()
    alone = browser.new_page(extra_http_headers=HEADERS)
    faults: list[str] = []
    requests: list[str] = []
    alone.on("pageerror", lambda e: faults.append(str(e)))
    alone.on("request", lambda r: requests.append(r.url))
    alone.goto(file.as_uri())
    alone.wait_for_selector("body.ready", timeout=20_000)
    assert faults == []
    assert [u for u in requests if not u.startswith(("data:", "file:"))] == []
    alone.close()


def test_prints_on_one_sheet(base: str, browser: Browser) -> None:
    visit = Visit(browser, "laptop")
    visit.open(f"{base}/city")
    pdf = visit.page.pdf(prefer_css_page_size=True, print_background=True)
    (SHOTS / "overview.pdf").write_bytes(pdf)
    assert pdf.count(b"/Type /Page\n") == 1
    visit.close()
