"""Maps as files: opened from the disk by a browser that reaches nothing, and drawn for a report."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser
from sqlalchemy import Engine, create_engine

from api import map_files
from api.exhibits import EXHIBITS
from api.map_files import Wish
from data import reports
from data.reports import NewReport
from layers import headless
from tests.api.conftest import SOUTH, STEP, WEST, build
from tests.web.visits import SHOTS, needs_browser

pytestmark = needs_browser
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
WEEK = {"from": "2026-03-02", "to": "2026-03-08"}
NAMES = ["overview", *EXHIBITS]


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    build(made)
    with made.begin() as connection:
        for n in range(6):
            where = {"x": WEST + (0.2 + 0.6 * n) * STEP, "y": SOUTH + 0.5 * STEP, "datum": "wgs84"}
            when = NOON + timedelta(hours=n)
            new = NewReport("test", str(n), occurred=when, kind="噪音", **where)
            reports.submit(connection, new)
        where = {"x": WEST + 2.6 * STEP, "y": SOUTH + 1.3 * STEP, "datum": "wgs84"}
        reports.submit(connection, NewReport("test", "today", kind="噪音", **where))
    yield made
    made.dispose()


def saved(engine: Engine, name: str, file: Path, **asked: str) -> bytes:
    size = (1000, 700)
    wish = Wish(name, file, asked, "en", size)
    map_files.save(engine, wish, datetime.now(UTC), lambda _what, _share: None)
    return file.read_bytes()


def period(name: str) -> dict[str, str]:
    """Days that have reports: analyses look at when it happened, the overview at what came in."""
    return {} if name == "overview" else WEEK


@pytest.mark.parametrize("name", NAMES)
def test_the_file_opens_with_no_server_and_asks_for_nothing(
    engine: Engine, browser: Browser, tmp_path: Path, name: str
) -> None:
    file = tmp_path / f"{name}.html"
    saved(engine, name, file, **period(name))
    context = browser.new_context(offline=True)
    page = context.new_page()
    faults: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda e: faults.append(str(e)))
    page.on("console", lambda m: m.type in ("error", "warning") and faults.append(m.text))
    page.on("request", lambda r: requests.append(r.url))
    page.goto(file.as_uri())
    page.wait_for_selector("body.ready", timeout=20_000)
    assert faults == []
    assert [u for u in requests if not u.startswith("data:")] == [file.as_uri()]
    assert page.locator("a[href]:not([href^='#']), form").count() == 0
    assert page.locator(".legend").is_visible()
    context.close()


def test_a_period_without_reports_leads_to_no_server_either(engine: Engine, tmp_path: Path) -> None:
    html = saved(engine, "workload", tmp_path / "m.html", to="2030-01-07").decode()
    assert "Nothing was reported in this period" in html and "The newest report" in html
    assert "See its 28 days" not in html.split("</head>")[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_has_the_size_asked_for_and_shows_the_map(
    engine: Engine, tmp_path: Path, name: str
) -> None:
    drawn = saved(engine, name, tmp_path / "m.png", **period(name))
    SHOTS.mkdir(exist_ok=True)
    (SHOTS / f"file-{name}.png").write_bytes(drawn)
    picture = Image.open(io.BytesIO(drawn)).convert("RGB")
    assert picture.size == (1000, 700)
    middle = picture.crop((350, 150, 850, 550)).getcolors(1 << 20)
    assert middle is not None and max(n for n, _ in middle) < 0.98 * 500 * 400, "the map is blank"


def test_paper_is_one_sheet(engine: Engine, tmp_path: Path) -> None:
    sheet = saved(engine, "workload", tmp_path / "m.pdf", **WEEK)
    assert sheet.startswith(b"%PDF") and sheet.count(b"/Type /Page\n") == 1
    assert b"/MediaBox [0 0 841.9" in sheet or b"/MediaBox [0 0 842" in sheet


def test_a_page_that_never_is_ready_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headless, "PATIENCE_S", 3)
    with pytest.raises(RuntimeError, match="took over 3 s, before the map was drawn"):
        headless.png("<p>not a map</p>", (400, 300))
