"""The pages of the analyses in a browser that reaches nobody else: at three sizes, no fault."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import create_engine

from api.exhibits import EXHIBITS
from data import reports
from data.analyses import work
from data.reports import NewReport
from layers.page import PAGE_LIMIT
from tests.api.conftest import SOUTH, STEP, WEST, build
from tests.api.live import serving
from tests.web.visits import SHOTS, SIZES, Visit, inside, needs_browser

pytestmark = needs_browser
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
MONTH = "from=2026-03-02&to=2026-03-29"


@pytest.fixture(scope="module")
def address(database_url: str) -> Iterator[str]:
    engine = create_engine(database_url)
    build(engine)
    random = np.random.default_rng(4406)
    with engine.begin() as connection:
        around = random.uniform(0, 1, (60, 2)) * (4, 2)
        places = [*around, *random.uniform((3.3, 1.3), (3.9, 1.9), (60, 2))]
        for n, (column, row) in enumerate(places):
            where = {"x": WEST + column * STEP, "y": SOUTH + row * STEP, "datum": "wgs84"}
            at = NOON + timedelta(days=n % 28)
            new = NewReport("test", str(n), occurred=at, kind="噪音", **where)
            reports.submit(connection, new)
    with serving(database_url) as opened:
        yield opened
    engine.dispose()


@pytest.fixture(scope="module")
def worked_out(address: str, database_url: str, browser: Browser) -> Iterator[str]:
    """Every page was asked for once, and a worker was there."""
    page = browser.new_page()
    page.close()
    engine = create_engine(database_url)
    for name in EXHIBITS:
        visit = Visit(browser, "wall")
        visit.page.goto(f"{address}/maps/{name}?{MONTH}")
        visit.page.close()
        work.perform_all(engine)
    engine.dispose()
    yield address


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EXHIBITS)
def test_a_page(browser: Browser, worked_out: str, name: str, size: str) -> None:
    visit = Visit(browser, size)
    assert visit.open(f"{worked_out}/maps/{name}?{MONTH}") < PAGE_LIMIT
    inside(visit.page, ".panel h1")
    inside(visit.page, ".legend")
    SHOTS.mkdir(exist_ok=True)
    visit.page.screenshot(path=SHOTS / f"{name}-{size}.png")
    visit.close()


def test_the_slider_shows_parts_of_the_time(browser: Browser, worked_out: str) -> None:
    visit = Visit(browser, "laptop")
    visit.open(f"{worked_out}/maps/hotspots?{MONTH}")
    page = visit.page
    page.get_by_label("上报件数").check()
    page.get_by_role("button", name="星期").click()
    page.locator(".slide input").fill("2")
    expect(page.locator(".slide output")).to_have_text("三")
    page.get_by_label("密度（核密度）").check()
    expect(page.locator(".leaflet-heat-pane img")).to_be_visible()
    expect(page.locator(".when")).to_be_hidden()
    visit.close()


def test_filters_stand_in_the_address(browser: Browser, worked_out: str) -> None:
    visit = Visit(browser, "laptop")
    visit.open(f"{worked_out}/maps/workload?{MONTH}")
    page = visit.page
    page.locator("details.choose summary").click()
    page.locator("select[data-field=weekday]").select_option("6,7")
    with page.expect_navigation():
        page.get_by_role("button", name="查看").click()
    assert page.url.endswith("weekday=6&weekday=7") and "area=" not in page.url
    visit.close()
