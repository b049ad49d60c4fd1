"""The page of the link in a real browser, on a telephone, from the report to the answer."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.api.live import serving
from tests.doors import HEADERS
from tests.web.visits import SHOTS, Visit, inside, needs_browser

pytestmark = needs_browser


@pytest.fixture(scope="module")
def base(database_url: str) -> Iterator[str]:
    with serving(database_url) as address:
        yield address


def test_a_reporter_says_that_it_is_not_solved(base: str, browser: Browser) -> None:
    sent = {"source": "12345", "address": "魁奇东路88号", "reporter": {"contact": "web"}}
    api = httpx.Client(base_url=f"{base}/api/v1", headers=HEADERS)
    report = api.post("/reports", json=sent).json()
    body = {"action": "resolve", "reason": "已更换井盖，并清理了路面"}
    done = api.post(f"/cases/{report['incident']}/steps", json=body)
    assert done.json()["stage"] == "return_visit"
    visit = Visit(browser, "phone")
    page = visit.page
    page.goto(base + report["follow"])
    expect(page.locator(".stage")).to_have_text("已办理，请您确认")
    expect(page.locator(".result")).to_have_text("已更换井盖，并清理了路面")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="提交").click()
    expect(page.get_by_role("alert")).to_have_text("请先选择是否解决")
    page.get_by_label("没有解决").check()
    page.get_by_label("哪里没有解决？").fill("井盖还是松的 <b>")
    inside(page, "header")
    SHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SHOTS / "follow-phone.png", full_page=True)
    page.get_by_role("button", name="提交").click()
    expect(page.get_by_role("status")).to_contain_text("已转上一级重新办理")
    expect(page.locator(".stage")).to_have_text("重新办理")
    expect(page.locator("form")).to_have_count(0)
    visit.close()
    case = api.get(f"/cases/{report['incident']}").json()
    assert (case["stage"], case["reopened"]) == ("triaged", 1)


def test_a_reporter_answers_a_question(base: str, browser: Browser) -> None:
    sent = {"source": "12345", "address": "魁奇东路88号", "reporter": {"contact": "web"}}
    api = httpx.Client(base_url=f"{base}/api/v1", headers=HEADERS)
    report = api.post("/reports", json=sent).json()
    questions = f"/cases/{report['incident']}/questions"
    assert api.post(questions, json={"question": "井盖在路的哪一侧？"}).status_code == 201
    visit = Visit(browser, "phone")
    page = visit.page
    page.goto(base + report["follow"])
    expect(page.locator(".question")).to_have_text("井盖在路的哪一侧？")
    page.get_by_role("button", name="提交").click()
    expect(page.get_by_role("alert")).to_have_text("请先填写答复")
    page.get_by_label("您的答复").fill("东侧 <b>")
    page.get_by_role("button", name="提交").click()
    expect(page.get_by_role("status")).to_have_text("您已答复：东侧 <b>")
    expect(page.locator("form")).to_have_count(0)
    visit.close()
    [kept] = api.get(questions).json()["questions"]
    assert (kept["outcome"], kept["answer"]) == ("answered", "东侧 <b>")
