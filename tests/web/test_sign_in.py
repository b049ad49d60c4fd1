"""Signing in, in a real browser: led there, refused, let in, and known by name."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pyotp
import pytest
from playwright.sync_api import Browser, expect
from sqlalchemy import Engine

from api.provider import Provider
from data import accounts, identities
from data.accounts import Grant
from tests.api.live import serving
from tests.api.provider import CLIENT, SECRET, little_provider
from tests.web.visits import SHOTS, SIZES, inside, needs_browser

pytestmark = needs_browser
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def base(engine: Engine, database_url: str) -> Iterator[str]:
    with engine.begin() as connection:
        accounts.add(connection, "desk", PASSWORD, [Grant("dispatcher")], actor="test")
    with serving(database_url) as address:
        yield address


@pytest.mark.parametrize("size", SIZES)
def test_a_dispatcher_is_led_to_sign_in_and_back(browser: Browser, base: str, size: str) -> None:
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(f"{base}/maps/dispatch?lang=en")
    expect(page).to_have_url(f"{base}/sign-in?next=/maps/dispatch%3Flang%3Den")
    inside(page, "main")
    expect(page.locator("#second")).to_be_hidden()
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / f"sign-in-{size}.png")
    page.get_by_label("Login").fill("desk")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button").click()
    expect(page).to_have_url(f"{base}/maps/dispatch?lang=en")
    expect(page.locator(".live")).to_have_text("Live")
    page.close()


def test_the_second_factor_is_asked_for_where_there_is_one(
    browser: Browser, base: str, engine: Engine
) -> None:
    with engine.begin() as connection:
        grants = [Grant("centre_chief")]
        number = accounts.add(connection, "chief", PASSWORD, grants, actor="test")
        totp = pyotp.parse_uri(accounts.enrol(connection, number))
    assert isinstance(totp, pyotp.TOTP)
    page = browser.new_page()
    page.goto(f"{base}/sign-in?lang=en")
    page.get_by_label("Login").fill("chief")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button").click()
    expect(page.get_by_role("alert")).to_contain_text("six digits")
    page.get_by_label("Six digits").fill(totp.at(datetime.now(UTC)))
    page.get_by_role("button").click()
    expect(page).to_have_url(f"{base}/maps/dispatch")
    page.close()


def test_the_provider_lets_a_browser_in_under_the_policy_of_the_pages(
    browser: Browser, database_url: str, engine: Engine
) -> None:
    with little_provider() as provider:
        with engine.begin() as connection:
            grants = [Grant("dispatcher")]
            number = accounts.add(connection, "known there", None, grants, actor="test")
            identities.link(connection, number, provider.url, "somebody", actor="test")
        ours = Provider(provider.url, CLIENT, secret=SECRET, label="Single sign-on")
        with serving(database_url, provider=ours) as address:
            page = browser.new_page()
            refused: list[str] = []
            page.on("console", lambda said: refused.append(said.text))
            page.goto(f"{address}/maps/dispatch?lang=en")
            page.get_by_role("link", name="Single sign-on").click()
            expect(page).to_have_url(f"{address}/maps/dispatch?lang=en")
            expect(page.locator(".live")).to_have_text("Live")
            assert not [line for line in refused if "Content Security Policy" in line]
            provider.claims["sub"] = "nobody here"
            page.context.clear_cookies()
            page.goto(f"{address}/maps/dispatch?lang=en")
            page.get_by_role("link", name="Single sign-on").click()
            expect(page.get_by_role("alert")).to_contain_text("nobody here")
            inside(page, "main")
            page.screenshot(path=SHOTS / "sign-in-provider.png")
            page.close()
