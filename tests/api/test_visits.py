"""Visits over HTTP: a plan, what is due for a phone, a proof, and the count of what was missed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import examples
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST
from tests.api.test_service import problem

URL = "/api/v1/visits"
HERE = {"lon": WEST + 0.5 * STEP, "lat": SOUTH + 0.5 * STEP, "datum": "wgs84", "accuracy_m": 8}


def now(**later: float) -> str:
    return (datetime.now(UTC) + timedelta(**later)).isoformat()


@pytest.fixture(scope="module")
def plan(client: TestClient) -> dict[str, Any]:
    body = {"name": "网格巡查", "area": VILLAGES[0], "resource_kind": "网格员", "every": 7,
            "reach_m": 50}  # fmt: skip
    answer = client.post(f"{URL}/plans", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_plan_makes_visits_due(client: TestClient, plan: dict[str, Any]) -> None:
    assert plan["resource_kind"] == "grid_helper"
    assert plan in client.get(f"{URL}/plans").json()["plans"]
    assert client.get(f"{URL}/plans/{plan['id']}").json() == plan
    near = f"{HERE['lon']},{HERE['lat']}"
    due = client.get(f"{URL}/due", params={"near": near, "plan": plan["id"]}).json()["visits"]
    assert (due[0]["area"]["code"], due[0]["distance_m"]) == (GRIDS[0], 0)
    assert len(due) == 5
    problem(client.get(f"{URL}/due"), 422, "visits-unbounded")
    problem(client.get(f"{URL}/due", params={"near": "here"}), 422, "validation")
    problem(client.get(f"{URL}/due", params={"resource": 999999}), 404, "resource-unknown")


def test_a_proof_is_kept_and_says_what_it_lacks(client: TestClient, plan: dict[str, Any]) -> None:
    asked = {"plan": plan["id"], "area": GRIDS[0]}
    [visit] = client.get(f"{URL}/due", params=asked).json()["visits"]
    url = visit["href"]
    far = HERE | {"lon": WEST + 3.5 * STEP, "taken": now()}
    told = client.post(url, json=far).json()
    assert (told["state"], told["proofs"][0]["verdict"]) == ("unproven", "too_far")
    assert told["proofs"][0]["what_to_do"].endswith(".")
    ahead = client.post(url, json=HERE | {"taken": now(days=1)}).json()
    assert ahead["proofs"][1]["verdict"] == "in_the_future"
    proven = client.post(url, json=HERE | {"taken": now()}).json()
    assert (proven["state"], len(proven["proofs"])) == ("done", 3)
    assert client.get(url).json() == proven
    counts = client.get(f"{URL}/counts", params={"area": VILLAGES[0], "until": now(days=1)}).json()
    assert (counts["visits"], counts["done"], counts["due"], counts["rate"]) == (5, 1, 4, 1.0)
    assert {each["area"]["code"]: each["done"] for each in counts["areas"]}[GRIDS[0]] == 1


def test_examples_of_requests_are_understood(client: TestClient) -> None:
    for example in examples.of("visit_plan_request").values():
        answer = client.post(f"{URL}/plans", json=example["value"])
        assert answer.status_code == 201, answer.text
        ended = client.delete(f"{URL}/plans/{answer.json()['id']}").json()
        assert ended["ended"]
    visit = client.get(URL, params={"limit": 1}).json()["visits"][0]["id"]
    for example in examples.of("proof_request").values():
        assert client.post(f"{URL}/{visit}", json=example["value"]).status_code == 200


def test_what_is_not_there_or_not_possible_is_a_problem(client: TestClient) -> None:
    problem(client.get(f"{URL}/999999"), 404, "visit-unknown")
    problem(client.post(f"{URL}/999999", json=HERE | {"taken": now()}), 404, "visit-unknown")
    problem(client.get(f"{URL}/plans/999999"), 404, "plan-unknown")
    body = {"name": "x", "area": VILLAGES[0], "resource_kind": "astronaut", "every": 7}
    problem(client.post(f"{URL}/plans", json=body), 422, "plan-refused")
    problem(client.post(f"{URL}/plans", json=body | {"area": "1"}), 404, "area-unknown")
    problem(client.post(f"{URL}/plans", json=body | {"every": 0}), 422, "validation")
