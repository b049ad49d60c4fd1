"""Visits to a page in a real browser that can reach nothing but our own server."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from layers.page import VENDOR
from tests.doors import HEADERS

CHROMIUM = Path("/usr/bin/chromium")
SHOTS = Path(__file__).parent / "screenshots"
SIZES = {"phone": (390, 844), "laptop": (1440, 900), "wall": (1920, 1080)}

needs_browser = [
    pytest.mark.skipif(not CHROMIUM.is_file(), reason="no Chromium: apt install chromium"),
    pytest.mark.skipif(
        not all(path.is_dir() for path in VENDOR.values()), reason="run `npm ci` in web/ first"
    ),
]


class Visit:
    """A page, and everything that went wrong while it was open."""

    def __init__(self, browser: Browser, size: str) -> None:
        width, height = SIZES[size]
        self.page: Page = browser.new_page(
            viewport={"width": width, "height": height}, extra_http_headers=HEADERS
        )
        self.faults: list[str] = []
        self.expected: str | None = None  # what a fault may hold without being one
        self.hosts: set[str] = set()
        self.page.on(
            "console", lambda m: m.type in ("error", "warning") and self.faults.append(m.text)
        )
        self.page.on("pageerror", lambda e: self.faults.append(str(e)))
        self.page.route("**/*", self._only_us)

    def _only_us(self, route) -> None:
        host = urlsplit(route.request.url).hostname or ""
        self.hosts.add(host)
        route.continue_() if host == "127.0.0.1" else route.abort()

    def open(self, url: str) -> int:
        response = self.page.goto(url)
        assert response is not None and response.ok
        self.page.wait_for_selector("body.ready", timeout=20_000)
        return len(response.body())

    def close(self) -> None:
        self.page.close()
        assert [f for f in self.faults if not (self.expected and self.expected in f)] == []
        assert self.hosts <= {"127.0.0.1"}


def inside(page: Page, selector: str) -> None:
    element = page.locator(f"{selector}:visible").first
    box, size = element.bounding_box(), page.viewport_size
    assert box is not None and size is not None, f"{selector} is not visible"
    assert box["x"] >= 0 and box["y"] >= 0
    assert box["x"] + box["width"] <= size["width"] and box["y"] + box["height"] <= size["height"]
