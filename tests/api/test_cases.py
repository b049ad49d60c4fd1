"""Cases over HTTP: read, moved, merged; the catalogue and who answers."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, text

from api import examples
from api.schemas_cases import (
    Answers,
    Case,
    Cases,
    Check,
    Dissolved,
    Dissolving,
    Duplicates,
    KindPut,
    Kinds,
    Merging,
    RulePut,
    Rules,
    Step,
    Timeline,
    Unmerging,
)
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST

API = "/api/v1"
PLACE = {"lon": WEST + 0.2 * STEP, "lat": SOUTH + 0.2 * STEP, "datum": "wgs84"}


@pytest.fixture(scope="module", autouse=True)
def organisations(town: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO organisation (code, name, role, area_id) SELECT 'centre', '综治中心',"
                " 'centre', id FROM area WHERE layer = 'town' UNION ALL"
                " SELECT 'police', '派出所', 'six', NULL UNION ALL"
                " SELECT 'water', '水务所', 'other', NULL"
            )
        )


def report(client: TestClient, **more: Any) -> int:
    sent = client.post(f"{API}/reports", json={"source": "hotline", **PLACE, **more})
    assert sent.status_code == 201, sent.text
    return int(sent.json()["id"])


def ask(client: TestClient, path: str, shape: Any, status: int = 200, **query: Any) -> Any:
    answer = client.get(f"{API}{path}", params=query)
    assert answer.status_code == status, answer.text
    TypeAdapter(shape).validate_json(answer.content)
    return answer.json()


def do(client: TestClient, number: int, action: str, status: int = 201, **more: Any) -> Any:
    body = {"action": action, "reason": "如此", **more}
    answer = client.post(f"{API}/cases/{number}/steps", json=body)
    assert answer.status_code == status, answer.text
    if status == 201:
        TypeAdapter(Case).validate_json(answer.content)
    return answer.json()


def post(client: TestClient, path: str, shape: Any, body: Any, status: int = 200) -> Any:
    answer = client.post(f"{API}{path}", json=body)
    assert answer.status_code == status, answer.text
    if status == 200:
        TypeAdapter(shape).validate_json(answer.content)
    return answer.json()


def test_a_report_is_a_case_with_its_number(client: TestClient) -> None:
    number = report(client, kind="噪音扰民", description="楼下施工")
    case = ask(client, f"/cases/{number}", Case)
    assert (case["number"], case["organisation"]["code"]) == (number, "centre")
    assert case["area"]["code"] == GRIDS[0] and case["description"] == "楼下施工"
    [entry] = ask(client, f"/cases/{number}/timeline", Timeline)["entries"]
    assert (entry["action"], entry["actor"]) == ("open", "hotline")


def test_a_case_is_worked_and_its_way_is_told(client: TestClient) -> None:
    number = report(client)
    for action, more in (
        ("assign", {"organisation": "police"}), ("accept", {}), ("start", {}), ("resolve", {}),
    ):  # fmt: skip
        case = do(client, number, action, **more)
    assert case["stage"] == "closed" and case["allowed"] == ["note", "reopen"]
    told = client.get(f"{API}/cases/{number}/timeline").json()["entries"]
    assert [entry["action"] for entry in told] == [
        "open", "assign", "accept", "start", "resolve", "close",
    ]  # fmt: skip


def test_a_step_again_with_its_key_is_done_once(client: TestClient) -> None:
    number = report(client)
    body = {"action": "escalate", "reason": "超出网格"}
    sent = [
        client.post(f"{API}/cases/{number}/steps", json=body, headers={"Idempotency-Key": "e1"})
        for _ in range(2)
    ]
    assert sent[0].content == sent[1].content and sent[0].json()["level"] == 3


@pytest.mark.parametrize(
    ("action", "more", "kind", "status"),
    [
        ("accept", {}, "case-not-allowed", 409),
        ("escalate", {"reason": " "}, "reason-missing", 422),
        ("assign", {"organisation": "none"}, "organisation-unknown", 422),
        ("triage", {"kind": "none"}, "kind-unknown", 422),
        ("delegate", {"level": 2}, "case-not-lower", 422),
        ("note", {"seen": 1}, "case-moved-on", 409),
        ("close", {}, "validation", 422),
    ],
)
def test_what_cannot_be_done_says_why(
    client: TestClient, action: str, more: dict[str, Any], kind: str, status: int
) -> None:
    report(client)
    problem = do(client, report(client), action, status, **more)
    assert problem["type"] == f"/problems/{kind}" and problem["detail"]


def test_listed_by_stage_organisation_and_area_page_by_page(client: TestClient) -> None:
    numbers = [report(client, kind="listed") for _ in range(3)]
    do(client, numbers[0], "assign", organisation="water")
    page = ask(client, "/cases", Cases, kind="listed", limit=2)
    assert [case["number"] for case in page["cases"]] == numbers[:0:-1]
    rest = client.get(page["next"]).json()
    assert [case["number"] for case in rest["cases"]] == numbers[:1] and rest["next"] is None
    by = {"organisation": "water", "stage": ["assigned"], "open": True, "layer": "grid",
          "code": GRIDS[0], "level": 4}  # fmt: skip
    assert [c["number"] for c in ask(client, "/cases", Cases, **by)["cases"]] == numbers[:1]
    assert client.get(f"{API}/cases", params={"code": "1"}).json()["type"].endswith("area-unknown")


def test_duplicates_are_proposed_merged_and_taken_apart(client: TestClient) -> None:
    one, two = (report(client, kind="merged", description="半夜施工") for _ in range(2))
    found = ask(client, f"/cases/{two}/duplicates", Duplicates)["duplicates"]
    assert [each["number"] for each in found] == [one]
    kept = post(client, f"/cases/{two}/merge", Case, {"into": one, "reason": "同一工地"})
    assert (kept["number"], kept["reports"]) == (one, 2)
    part = ask(client, f"/cases/{two}", Case)
    assert (part["merged_into"], part["allowed"]) == (one, ["unmerge"])
    assert client.get(f"{API}/reports/{two}").status_code == 200
    alone = post(client, f"/cases/{two}/unmerge", Case, {"reason": "并非同一工地"})
    assert (alone["stage"], alone["reports"]) == ("received", 1)
    again = post(client, f"/cases/{two}/unmerge", Case, {"reason": "并非同一工地"}, 409)
    assert again["type"] == "/problems/not-merged"


def test_the_catalogue_and_who_answers(client: TestClient) -> None:
    kind = {"title": "积水", "title_en": "Flooding", "class": "event", "level": 2}
    put = client.put(f"{API}/case-kinds/flood", json=kind)
    assert put.status_code == 200, put.text
    assert "flood" in {k["code"] for k in ask(client, "/case-kinds", Kinds)["kinds"]}
    unanswered = ask(client, "/responsibilities/check", Check)["unanswered"]
    assert [each["code"] for each in unanswered] == ["flood"]
    rule = {"organisation": "water", "kind": "flood", "area": "town:440604010000"}
    put = client.put(f"{API}/responsibilities", json=rule)
    [made] = put.json()["rules"]
    who = {"kind": "flood", "area": GRIDS[0], "level": 2}
    assert ask(client, "/responsibilities/answer", Answers, **who)["code"] == "water"
    case = ask(client, f"/cases/{report(client, kind='flood')}", Case)
    assert (case["organisation"]["code"], case["stage"], case["level"]) == ("water", "assigned", 2)
    assert case["kind_title"] == "积水"
    assert ask(client, "/responsibilities", Rules, kind="flood")["rules"] == [made]
    assert client.delete(f"{API}/responsibilities/{made['id']}").status_code == 204
    assert client.delete(f"{API}/responsibilities/{made['id']}").status_code == 404
    assert ask(client, "/responsibilities/answer", Answers, **who)["code"] == "centre"
    assert client.delete(f"{API}/case-kinds/flood").status_code == 204
    assert client.delete(f"{API}/case-kinds/flood").status_code == 422


def test_a_catalogue_that_cannot_be_is_refused(client: TestClient) -> None:
    kind = {"title": "x", "title_en": "x", "class": "event"}
    past = client.put(f"{API}/case-kinds/x", json={**kind, "since": "2020-01-01T00:00:00Z"})
    above = client.put(f"{API}/case-kinds/x", json={**kind, "parent": "x"})
    nowhere = client.put(f"{API}/responsibilities", json={"organisation": "water", "area": "9"})
    assert [r.json()["type"].removeprefix("/problems/") for r in (past, above, nowhere)] == [
        "catalogue-refused", "catalogue-refused", "area-unknown",
    ]  # fmt: skip


def test_an_organisation_ends(client: TestClient) -> None:
    number = report(client)
    do(client, number, "assign", organisation="police")
    body = {"successor": "centre", "reason": "机构改革"}
    told = post(client, "/organisations/police/dissolve", Dissolved, body)
    assert number in told["cases"]
    assert ask(client, f"/cases/{number}", Case)["organisation"]["code"] == "centre"
    again = post(client, "/organisations/police/dissolve", Dissolved, body, 422)
    assert again["type"] == "/problems/organisation-unknown"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("case", Case), ("cases", Cases), ("timeline", Timeline), ("duplicates", Duplicates),
        ("case_kinds", Kinds), ("responsibilities", Rules), ("who_answers", Answers),
        ("unanswered", Check), ("dissolved", Dissolved), ("case_step_request", Step),
        ("merge_request", Merging), ("unmerge_request", Unmerging),
        ("case_kind_request", KindPut), ("responsibility_request", RulePut),
        ("dissolve_request", Dissolving),
    ],
)  # fmt: skip
def test_examples_are_what_the_description_says(name: str, shape: Any) -> None:
    example = examples.of(name)
    each = [e["value"] for e in example.values()] if name.endswith("_request") else [example]
    for value in each:
        TypeAdapter(shape).validate_python(value)
