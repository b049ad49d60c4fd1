"""The pages of dispatch in a real browser, on the real service and database."""

import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, expect
from sqlalchemy import Engine, create_engine, text

from layers.page import PAGE_LIMIT
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST, build
from tests.api.live import serving
from tests.data import people
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
        answer = httpx.post(f"{base}/api/v1/reports", json=body)
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
    sent = httpx.get(f"{base}/api/v1/incidents/{number}/dispatches").json()["dispatches"][0]
    assert (sent["actor"], sent["note"]) == ("调度员 1", "请带记录仪")
    (made,) = sent["assignments"]
    assert made["evidence"]["rank"] == 1
    # What the person does on their telephone is seen without a hand's stir.
    step = {"state": "on_the_way", "actor": name}
    httpx.post(f"{base}/api/v1/assignments/{made['id']}/steps", json=step).raise_for_status()
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
