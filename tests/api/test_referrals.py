"""Referrals, mediators and agreements over HTTP."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, text

from api import examples
from api.schemas_incidents import Candidates
from api.schemas_referrals import (
    AgreementPut,
    AgreementReword,
    Agreements,
    ConfirmationAsk,
    ConfirmationDecide,
    Referral,
    ReferralMove,
    ReferralOffer,
    Referrals,
)
from tests import people
from tests.api.conftest import SOUTH, STEP, WEST
from tests.api.test_service import problem
from tests.api.test_whistles import API, case_in_work, organisations, stage

__all__ = ["organisations"]  # a fixture
SIGNED = "2026-02-10T02:00:00Z"


def offer(client: TestClient, case: int | None, **more: Any) -> Any:
    body = {"case": case, "kind": "court", "receiver": "court", "what": "界址争议", **more}
    return client.post(f"{API}/referrals", json={"acting": "town", **body})


def take(client: TestClient, number: int, action: str, who: str = "court", **more: Any) -> Any:
    body = {"action": action, "acting": who, "words": "如此", **more}
    return client.post(f"{API}/referrals/{number}/steps", json=body)


def test_a_case_goes_to_court_and_its_outcome_comes_back(client: TestClient) -> None:
    case = case_in_work(client)
    made = offer(client, case)
    assert made.status_code == 201, made.text
    number = made.json()["number"]
    assert stage(client, case) == "referred"
    problem(take(client, number, "accept", "police"), 403, "not-receiver")
    problem(take(client, number, "withdraw"), 403, "not-giver")
    problem(take(client, number, "accept", resolves=True), 422, "validation")
    assert take(client, number, "accept", docket="诉前调1号").json()["docket"] == "诉前调1号"
    problem(take(client, number, "decline"), 409, "referral-not-allowed")
    resolve = {"action": "resolve", "reason": "已解决"}
    unfinished = client.post(f"{API}/cases/{case}/steps", json=resolve)
    assert problem(unfinished, 409, "referral-open")["number"] == number
    done = take(client, number, "conclude", words="达成协议", resolves=True)
    TypeAdapter(Referral).validate_json(done.content)
    assert stage(client, case) == "closed"
    assert client.get(made.headers["location"]).json() == done.json()
    listed = client.get(f"{API}/referrals", params={"case": case, "giver": "town"})
    TypeAdapter(Referrals).validate_json(listed.content)
    assert [each["outcome"] for each in listed.json()["referrals"]] == ["达成协议"]
    problem(client.get(f"{API}/referrals/{10**9}"), 404, "referral-unknown")


def test_110_hands_over_what_is_not_the_polices(client: TestClient) -> None:
    report = {"source": "110", "external_id": "J1", "kind": "邻里纠纷", "lon": WEST + 0.2 * STEP,
              "lat": SOUTH + 0.2 * STEP, "datum": "wgs84",
              "reporter": {"phone": "13800000000"}}  # fmt: skip
    body = {"kind": "police_call", "direction": "in", "receiver": "town", "acting": "police"}
    made = offer(client, None, report=report, **body)
    assert made.status_code == 201, made.text
    case, number = made.json()["case"], made.json()["number"]
    again = problem(offer(client, None, report=report, **body), 409, "referral-open")
    assert again["number"] == number  # the same report is the same case
    assert take(client, number, "accept", "town").status_code == 201
    found = client.get(f"{API}/cases/{case}").json()
    assert (found["stage"], found["organisation"]["code"]) == ("assigned", "town")
    assert take(client, number, "conclude", "town", resolves=True).json()["state"] == "concluded"
    assert stage(client, case) == "return_visit"  # the caller's telephone came with it
    nobody = {**report, "external_id": "J2", "reporter": {"phone": "none"}}
    problem(offer(client, None, report=nobody, **body), 422, "person-invalid")
    given = client.get(f"{API}/referrals", params={"giver": "police", "kind": "police_call"})
    assert [each["number"] for each in given.json()["referrals"]] == [number]


def test_what_cannot_be_offered_says_why(client: TestClient) -> None:
    case = case_in_work(client)
    problem(offer(client, case, report={"source": "s"}), 422, "validation")
    problem(offer(client, None, report={"source": "s"}), 422, "validation")
    problem(offer(client, case, receiver="town"), 422, "referral-refused")
    problem(offer(client, case, team=10**9), 422, "team-unknown")
    problem(offer(client, case, acting="police"), 403, "case-not-accountable")
    problem(offer(client, 10**9), 404, "case-unknown")
    problem(offer(client, case, what=" "), 422, "reason-missing")


def test_mediators_are_recommended_by_dispute_place_and_load(
    client: TestClient, engine: Engine
) -> None:
    report = {"source": "s", "kind": "邻里纠纷", "lon": WEST + 0.2 * STEP,
              "lat": SOUTH + 0.2 * STEP, "datum": "wgs84"}  # fmt: skip
    case = client.post(f"{API}/reports", json=report).json()["id"]
    rule = {
        "kind": "邻里纠纷",
        "resource_kinds": ["grid_lead"],
        "skills": ["neighbours"],
        "reason": "演示",
    }
    put = client.put(f"{API}/dispatch-rules", json=rule)
    assert put.status_code == 200, put.text
    with engine.begin() as connection:
        spot = (WEST + 0.3 * STEP, SOUTH + 0.3 * STEP)
        able = people.add(connection, None, *spot, kind="mediator", skills=["neighbours"])
        near = people.add(connection, None, *spot, kind="mediator")
        busy = people.add(
            connection, None, *spot, kind="mediator", skills=["neighbours"], capacity=9
        )
        connection.execute(text("UPDATE resource SET load = 8 WHERE id = :id"), {"id": busy})
        people.add(connection, None, *spot, kind="grid_lead", skills=["neighbours"])
    found = client.get(f"{API}/cases/{case}/mediators")
    TypeAdapter(Candidates).validate_json(found.content)
    order = [each["resource"]["id"] for each in found.json()["candidates"]]
    assert order[0] == able and set(order) == {able, near, busy}
    problem(client.get(f"{API}/cases/{10**9}/mediators"), 404, "case-unknown")


def test_an_agreement_is_confirmed_by_a_court(client: TestClient) -> None:
    case = case_in_work(client)
    of = f"{API}/cases/{case}/agreements"
    words = {"text": "费用各半", "parties": ["甲村村民小组", "乙村村民小组"], "signed": SIGNED}
    made = client.post(of, json=words)
    assert made.status_code == 201, made.text
    one = {**words, "parties": ["甲方", "甲方"]}
    problem(client.post(of, json=one), 422, "parties-missing")
    decision = {"decision": "confirmed", "docket": "民特1号", "at": SIGNED}
    confirmation = f"{of}/1/confirmation"
    problem(client.put(confirmation, json=decision), 409, "agreement-not-applied")
    assert client.post(confirmation, json={"court": "court"}).status_code == 201
    problem(client.post(confirmation, json={"court": "court"}), 409, "agreement-decided")
    done = client.put(confirmation, json=decision)
    TypeAdapter(Agreements).validate_json(done.content)
    anew = {**words, "text": "费用三七", "reason": "重新协商"}
    assert client.put(f"{of}/1", json=anew).status_code == 200
    problem(client.put(f"{of}/9", json=anew), 404, "agreement-unknown")
    versions = client.get(of).json()["agreements"]
    assert [each["confirmation"] for each in versions] == ["none", "applied", "confirmed", "none"]
    problem(client.get(f"{API}/cases/{10**9}/agreements"), 404, "case-unknown")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("referral", Referral), ("referrals", Referrals), ("agreements", Agreements),
        ("referral_request", ReferralOffer), ("referral_step_request", ReferralMove),
        ("agreement_request", AgreementPut), ("reword_request", AgreementReword),
        ("confirmation_request", ConfirmationAsk),
        ("confirmation_decision_request", ConfirmationDecide),
    ],
)  # fmt: skip
def test_examples_are_what_the_description_says(name: str, shape: Any) -> None:
    example = examples.of(name)
    each = [e["value"] for e in example.values()] if name.endswith("_request") else [example]
    for value in each:
        TypeAdapter(shape).validate_python(value)
