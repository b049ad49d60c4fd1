"""The pages of dispatch in a real browser, on the real service and database."""

import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect
from sqlalchemy import Engine, create_engine, text

from layers.page import PAGE_LIMIT
from tests import people
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST, build
from tests.api.live import serving, web
from tests.web.visits import SHOTS, SIZES, Visit, inside, needs_browser

pytestmark = needs_browser
serial = count()


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    """A town with leads in their grids, a helper, an officer and a mediator whose shift is over."""
    made = create_engine(database_url)
    build(made)
    with made.begin() as connection:
        ids = dict(connection.execute(text("SELECT code, id FROM area WHERE layer = 'grid'")).all())
        for n, code in enumerate(GRIDS):
            column, row = 2 * (n // 4) + n % 2, n % 4 // 2
            lon, lat = WEST + (column + 0.6) * STEP, SOUTH + (row + 0.3) * STEP
            name = f"{'澜石' if n < 4 else '番村'}社区 第{n + 1:03}网格 网格长"
            who = people.add(
                connection, name, lon, lat, home_area_id=ids[code], capacity=2, mode="moped"
            )
            if n in (0, 2, 5):
                people.fix(connection, who, lon + 0.0004, lat + 0.0005, age_s=70 + 200 * n)
        near = WEST + 0.62 * STEP, SOUTH + 0.31 * STEP
        people.add(connection, "澜石社区 第001网格 网格员", *near, kind="grid_helper")
        people.add(connection, "石湾派出所 社区民警", *near, kind="police_officer", mode="car")
        people.add(connection, "石湾镇街道综治中心", WEST, SOUTH, kind="centre")
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def base(engine: Engine, database_url: str) -> Iterator[str]:
    with serving(database_url) as address:
        yield address


@pytest.fixture(scope="module")
def report(base: str) -> Callable[..., int]:
    """Report something; the number of its incident."""

    def send(column: float = 0.35, row: float = 0.55, **more: Any) -> int:
        body = {
            "source": "12345", "external_id": f"w{next(serial)}", "lon": WEST + column * STEP,
            "lat": SOUTH + row * STEP, "datum": "wgs84", "kind": "噪音", "accuracy_m": 60,
            "address": "魁奇东路88号", "description": "楼上装修，夜里还在钻墙",
        } | more  # fmt: skip
        answer = web.post(f"{base}/api/v1/reports", json=body)
        assert answer.status_code == 201, answer.text
        return int(answer.json()["incident"])

    return send


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open a page; what went wrong on it fails the test."""
    opened: list[Visit] = []

    def go(url: str, size: str = "laptop", actor: str = "调度员 1") -> Visit:
        made = Visit(browser, size)
        opened.append(made)
        made.page.add_init_script(f"localStorage.setItem('wangge.actor', '{actor}')")
        assert made.open(url) <= PAGE_LIMIT
        return made

    yield go
    for made in opened:
        made.close()


def apart(boxes: list[Any]) -> bool:
    """Whether none of the boxes lies on another by more than a part of a pixel."""
    return all(
        a["x"] + a["width"] < b["x"] + 1 or b["x"] + b["width"] < a["x"] + 1
        or a["y"] + a["height"] < b["y"] + 1 or b["y"] + b["height"] < a["y"] + 1
        for i, a in enumerate(boxes) for b in boxes[:i]
    )  # fmt: skip


def boxes(found: Locator) -> list[Any]:
    return [each.bounding_box() for each in found.all()]


# --- an incident -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_an_incident_is_understood(
    base: str, report: Callable[..., int], visit: Callable[..., Visit], size: str
) -> None:
    page = visit(f"{base}/maps/incident/{report(urgency=1)}", size).page
    expect(page.locator("#what h1")).to_contain_text("噪音")
    expect(page.locator("#what .address")).to_have_text("魁奇东路88号")
    expect(page.locator("#going h2")).to_have_text("尚未派人")
    expect(page.locator(".live")).to_have_text("实时")
    rows = page.locator("#candidates li")
    expect(rows).to_have_count(5)
    expect(rows.first.locator(".who b")).to_have_text("澜石社区 第001网格 网格长")
    expect(rows.first.locator(".for")).to_contain_text("本网格")
    expect(rows.nth(1).locator(".against")).not_to_be_empty()
    expect(page.locator("#facts")).to_contain_text("误差约 60 米")
    pins = boxes(page.locator(".leaflet-marker-icon.pin, .leaflet-marker-icon.spot"))
    assert len(pins) == 6
    assert apart(pins)
    map_box, panel = boxes(page.locator(".folium-map")) + boxes(page.locator(".panel"))
    assert apart([map_box, panel])
    for box in pins:
        assert map_box["x"] <= box["x"] <= map_box["x"] + map_box["width"] - box["width"]
        assert map_box["y"] <= box["y"] <= map_box["y"] + map_box["height"] - box["height"]
    inside(page, ".panel header")
    page.screenshot(path=SHOTS / f"incident-{size}.png")


def test_somebody_is_sent_goes_their_way_and_is_called_back(
    base: str, report: Callable[..., int], visit: Callable[..., Visit]
) -> None:
    number = report(column=1.4, row=1.5)
    page = visit(f"{base}/maps/incident/{number}").page
    first = page.locator("#candidates li").first
    name = first.locator(".who b").inner_text()
    page.locator("#note").fill("请带记录仪")
    first.get_by_role("button", name="派遣").click()
    task = page.locator("#going [data-task]")
    expect(task).to_contain_text(name)
    expect(page.locator("#note")).to_have_value("")
    expect(page.locator(".leaflet-marker-icon.pin.gone")).to_have_count(1)
    sent = web.get(f"{base}/api/v1/incidents/{number}/dispatches").json()["dispatches"][0]
    assert (sent["actor"], sent["note"]) == ("调度员 1", "请带记录仪")
    (made,) = sent["assignments"]
    assert made["evidence"]["rank"] == 1
    # What the person does on their telephone is seen without a hand's stir.
    step = {"state": "on_the_way", "actor": name}
    web.post(f"{base}/api/v1/assignments/{made['id']}/steps", json=step).raise_for_status()
    expect(task.locator(".stages .now")).to_contain_text("途中")
    page.screenshot(path=SHOTS / "incident-under-way.png")
    task.get_by_role("button", name="到场").click()
    expect(task.locator(".stages .now")).to_contain_text("到场")
    task.get_by_role("button", name="召回").click()
    page.get_by_label("召回原因").fill("误报")
    page.get_by_role("button", name="确定").click()
    expect(page.locator("#going .over")).to_contain_text("误报")
    expect(page.locator("#going h2")).to_have_text("尚未派人")
    page.get_by_role("button", name="结案").click()
    page.get_by_label("处置结果").fill("双方和解")
    page.get_by_role("button", name="确定").click()
    expect(page.locator("#what .closed")).to_contain_text("双方和解")
    expect(page.locator("#choice")).to_be_hidden()


def test_of_two_who_send_the_same_person_one_is_told_who_was_faster(
    base: str, engine: Engine, report: Callable[..., int], visit: Callable[..., Visit]
) -> None:
    with engine.begin() as connection:
        name = "澜石社区 第004网格 网格长"
        one = text("UPDATE resource SET capacity = 1 WHERE name = :name")
        connection.execute(one, {"name": name})
    first, second = report(column=1.4, row=1.5), report(column=1.5, row=1.6)
    quick = visit(f"{base}/maps/incident/{first}", actor="调度员 3").page
    late = visit(f"{base}/maps/incident/{second}", actor="调度员 4")
    late.expected = "409"  # the browser's own log of an answer that refuses
    slow = late.page
    for page in (quick, slow):
        expect(page.locator("#candidates li").first).to_contain_text(name)
    quick.locator(".send").first.click()
    expect(quick.locator("#going [data-task]")).to_contain_text(name)
    slow.locator(".send").first.click()
    told = slow.locator("#refused")
    expect(told).to_have_text(
        re.compile(rf"{name} 已由 调度员 3 于 \d\d:\d\d 派往事件 {first}，请另选他人")
    )
    expect(slow.locator("#candidates li").first).not_to_contain_text(name)
    slow.screenshot(path=SHOTS / "incident-too-late.png")


def test_what_is_lacking_is_said_aloud_in_english_too(
    base: str, report: Callable[..., int], visit: Callable[..., Visit]
) -> None:
    rule = {
        "kind": "劳资纠纷", "resource_kinds": ["grid_lead", "mediator"], "skills": ["labour"],
        "reach_s": 1200, "actor": "chief",
    }  # fmt: skip
    web.put(f"{base}/api/v1/dispatch-rules", json=rule).raise_for_status()
    page = visit(f"{base}/maps/incident/{report(kind='劳资纠纷')}?lang=en").page
    expect(page.locator("#shortfalls")).to_contain_text("Nobody within 20 min can do")
    expect(page.locator("#going h2")).to_have_text("Nobody has been sent yet")
    expect(page.locator(".send").first).to_have_text("Send")
    page.screenshot(path=SHOTS / "incident-english.png")


def test_without_a_place_it_says_so(
    base: str, report: Callable[..., int], visit: Callable[..., Visit]
) -> None:
    nowhere = report(lon=None, lat=None, datum=None, accuracy_m=None, address=None)
    page = visit(f"{base}/maps/incident/{nowhere}").page
    expect(page.locator("#shortfalls")).to_contain_text("位置待定")
    expect(page.locator("#facts")).to_contain_text("没有坐标也没有地址")
    inside(page, ".nothing")


def test_nobody_sends_without_saying_who_they_are(
    base: str, report: Callable[..., int], visit: Callable[..., Visit]
) -> None:
    number = report()
    page = visit(f"{base}/maps/incident/{number}", actor="").page
    page.locator(".send").first.click()
    expect(page.locator("#refused")).to_have_text("请先填写调度员")
    expect(page.locator("#actor")).to_be_focused()
    assert not web.get(f"{base}/api/v1/incidents/{number}/dispatches").json()["dispatches"]


def test_a_page_whose_stream_is_down_says_since_when_and_recovers(
    base: str, report: Callable[..., int], visit: Callable[..., Visit], browser: Browser
) -> None:
    number = report(column=2.5)
    made = Visit(browser, "phone")
    made.expected = "ERR_FAILED"
    made.page.route("**/api/v1/events*", lambda route: route.abort())
    made.open(f"{base}/maps/incident/{number}")
    expect(made.page.locator(".live")).to_have_text(
        re.compile(r"自 \d\d:\d\d 起未更新，正在重新连接")
    )
    made.page.screenshot(path=SHOTS / "incident-stale.png")
    made.page.unroute("**/api/v1/events*")
    expect(made.page.locator(".live")).to_have_text("实时", timeout=20_000)
    made.close()


# --- the queue -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_the_queue_is_ordered_and_fits(
    base: str, report: Callable[..., int], visit: Callable[..., Visit], size: str
) -> None:
    kinds = ("噪音", "占道经营", "邻里纠纷", "劳资纠纷", "电动车乱停放")
    for n in range(10):
        column, row = 0.3 + 0.37 * n, 0.2 + (0.67 * n) % 1.6
        report(column, row, urgency=1 + n % 5, kind=kinds[n % 5])
    page = visit(f"{base}/maps/dispatch", size).page
    expect(page.locator(".live")).to_have_text("实时")
    open_ones = web.get(f"{base}/api/v1/incidents?limit=1000").json()["incidents"]
    listed = page.locator("[data-incident]")
    order = [int(each.get_attribute("data-incident") or 0) for each in listed.all()]
    open_ones.sort(key=lambda each: (each["urgency"], each["under_way"] > 0))
    assert order == [each["id"] for each in open_ones]
    assert page.locator("#open").inner_text() == str(len(order))
    map_box, panel = boxes(page.locator(".folium-map")) + boxes(page.locator(".panel"))
    assert apart([map_box, panel])
    inside(page, ".figures")
    inside(page, ".filters")
    assert listed.first.bounding_box()["height"] < 70  # type: ignore[index]
    page.screenshot(path=SHOTS / f"queue-{size}.png")


def test_a_new_report_appears_by_itself_and_who_is_sent_is_seen(
    base: str, report: Callable[..., int], visit: Callable[..., Visit]
) -> None:
    page = visit(f"{base}/maps/dispatch").page
    expect(page.locator(".live")).to_have_text("实时")
    before = int(page.locator("#open").inner_text())
    number = report(column=3.5, row=1.5, urgency=1, kind="火情", address="季华五路10号")
    line = page.locator(f'[data-incident="{number}"]')
    expect(line).to_contain_text("火情", timeout=5000)
    expect(line).to_have_class("new")
    expect(page.locator("#open")).to_have_text(str(before + 1))
    page.screenshot(path=SHOTS / "queue-new.png")
    lead = web.get(f"{base}/api/v1/incidents/{number}/candidates").json()["candidates"][0]
    body = {"send": [{"resource": lead["resource"]["id"]}], "actor": "调度员 2"}
    web.post(f"{base}/api/v1/incidents/{number}/dispatches", json=body).raise_for_status()
    expect(line).to_contain_text("1 人途中")
    line.locator("a").click()
    expect(page.locator("#what h1")).to_contain_text("火情")


def test_the_queue_is_narrowed_in_the_address(
    base: str, report: Callable[..., int], visit: Callable[..., Visit]
) -> None:
    here, there = report(column=0.5, kind="漏水"), report(column=3.5, kind="噪音")
    page = visit(f"{base}/maps/dispatch").page
    page.get_by_label("类别").select_option("漏水")
    page.wait_for_url("**kind=*")
    expect(page.locator(f'[data-incident="{here}"]')).to_be_visible()
    expect(page.locator(f'[data-incident="{there}"]')).to_have_count(0)
    village = f"{base}/maps/dispatch?area=village/440604010002"
    page = visit(village).page
    expect(page.locator(f'[data-incident="{there}"]')).to_be_visible()
    expect(page.locator(f'[data-incident="{here}"]')).to_have_count(0)
    page = visit(f"{base}/maps/dispatch?kind=nothing&lang=en").page
    expect(page.locator("#quiet")).to_contain_text("No open incident matches")
    page.get_by_role("link", name="Show all").click()
    expect(page.locator(f'[data-incident="{here}"]')).to_be_visible()


def test_the_overview_says_how_many_have_come_since(
    base: str, report: Callable[..., int], visit: Callable[..., Visit]
) -> None:
    page = visit(f"{base}/maps/overview").page
    expect(page.locator(".since")).to_be_hidden()
    total = int(page.locator("#total").inner_text())
    report()
    report()
    expect(page.locator(".since b")).to_have_text("又有 2 条新上报")
    page.locator(".since a").click()
    expect(page.locator("#total")).to_have_text(str(total + 2))
