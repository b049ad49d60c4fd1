"""Watched places over HTTP: given, read, ruled, and in trouble."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import examples
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST
from tests.api.test_service import problem

URL = "/api/v1/watched"
SITE = {
    "source": "住建", "external_id": "1", "kind": "building_site", "name": "工地",
    "lon": WEST + 0.2 * STEP, "lat": SOUTH + 0.2 * STEP, "datum": "wgs84",
}  # fmt: skip


def reading(metric: str, value: float, **back: float) -> dict[str, Any]:
    return {
        "metric": metric, "value": value, "at": (datetime.now(UTC) - timedelta(**back)).isoformat(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def site(client: TestClient) -> dict[str, Any]:
    answer = client.post(URL, json=SITE)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_place_is_given_once_and_lies_in_its_grid(
    client: TestClient, site: dict[str, Any]
) -> None:
    assert site["area"] == {"layer": "grid", "code": GRIDS[0]}
    assert client.get(site["href"]).json() == site
    again = client.post(URL, json=SITE | {"name": "工地"})
    assert (again.status_code, again.json()["id"]) == (200, site["id"])
    west, south = WEST + 2.1 * STEP, SOUTH + 0.1 * STEP
    ring = [[west, south], [west + 0.001, south], [west + 0.001, south + 0.001], [west, south]]
    area = {name: value for name, value in SITE.items() if name not in ("lon", "lat")}
    drawn = area | {"external_id": "2", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    assert client.post(URL, json=drawn).json()["area"]["code"] == GRIDS[4]
    flat = drawn | {"geometry": {"type": "Polygon", "coordinates": [ring[:2]]}}
    problem(client.post(URL, json=flat), 422, "drawing-refused")
    problem(client.post(URL, json=area), 422, "validation")
    problem(client.post(URL, json=SITE | {"organisation": "none"}), 422, "watched-invalid")
    problem(client.get(f"{URL}/999999"), 404, "watched-unknown")


def test_readings_become_a_report(client: TestClient, site: dict[str, Any]) -> None:
    for example in examples.of("watch_rule_request").values():
        made = client.post(f"{URL}/rules", json=example["value"])
        assert made.status_code == 201, made.text
    url = f"{site['href']}/readings"
    batch = [reading("wage_overdue_days", 12, minutes=5), reading("headcount", 35, minutes=5)]
    told = client.post(url, json={"readings": batch}).json()
    assert (told["added"], told["changed"]) == (2, 1)
    report = client.get(f"/api/v1/reports/{told['episodes'][0]['report']}").json()
    assert (report["kind"], report["placement"]["area"]["code"]) == ("劳资纠纷", GRIDS[0])
    again = client.post(url, json={"readings": batch}).json()
    assert (again["added"], again["known"], again["changed"]) == (0, 2, 0)
    trouble = client.get(URL, params={"in_trouble": True, "area": GRIDS[0]}).json()["places"]
    assert [each["id"] for each in trouble] == [site["id"]]
    series = client.get(url, params={"metric": "headcount"}).json()["readings"]
    assert [each["value"] for each in series] == [35]
    good = {"readings": [reading("wage_overdue_days", 0)]}
    over = client.post(url, json=good).json()
    assert (over["changed"], over["episodes"]) == (1, [])
    rules = client.get(f"{URL}/rules").json()["rules"]
    assert client.delete(f"{URL}/rules/{rules[0]['id']}").status_code == 204
    problem(client.delete(f"{URL}/rules/{rules[0]['id']}"), 404, "watch-unknown")


def test_what_can_mean_nothing_is_a_problem(client: TestClient, site: dict[str, Any]) -> None:
    rule = {"place_kind": "x", "name": "x", "report_kind": "x"}
    never = [{"metric": "m", "comparison": ">", "value": 1, "clear": 2}]
    problem(client.post(f"{URL}/rules", json={**rule, "conditions": never}), 422, "watch-refused")
    url = f"{site['href']}/readings"
    ahead = {"readings": [reading("m", 1, days=-1)]}
    problem(client.post(url, json=ahead), 422, "reading-to-come")
    problem(client.post(f"{URL}/999999/readings", json={"readings": [reading("m", 1)]}), 404,
            "watched-unknown")  # fmt: skip
    problem(client.post(url, json={"readings": []}), 422, "validation")


def test_examples_of_requests_are_understood(client: TestClient) -> None:
    for example in examples.of("watched_request").values():
        given = client.post(URL, json=example["value"])
        assert given.status_code == 201, given.text
        for batch in examples.of("readings_request").values():
            sent = client.post(f"{given.json()['href']}/readings", json=batch["value"])
            assert sent.status_code == 200, sent.text
        assert client.delete(given.json()["href"]).json()["withdrawn"]
