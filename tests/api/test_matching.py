"""The queue matched to free people over HTTP: proposed together, sent as proposed."""

from itertools import count
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, create_engine, text

from api import examples
from api.schemas_matching import Matched
from tests import people
from tests.api.conftest import SOUTH, STEP, VILLAGES, WEST

PATH = "/api/v1/matching"
serial = count()


@pytest.fixture(scope="module")
def engine(town: str) -> Engine:
    return create_engine(town)


@pytest.fixture(autouse=True)
def _alone(engine: Engine) -> None:
    """Nothing is open and nobody there but what a test makes."""
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE incident SET closed = now(), stage = 'closed' WHERE closed IS NULL")
        )
        connection.execute(text("UPDATE resource SET withdrawn = now() WHERE withdrawn IS NULL"))


def person(engine: Engine, column: float, row: float = 0.5, **facts: Any) -> int:
    with engine.begin() as connection:
        name = f"grid lead {next(serial)}"
        return people.add(connection, name, WEST + column * STEP, SOUTH + row * STEP, **facts)


def report(client: TestClient, column: float | None, row: float = 0.5, **more: Any) -> int:
    at = {} if column is None else {
        "lon": WEST + column * STEP, "lat": SOUTH + row * STEP, "datum": "wgs84",
    }  # fmt: skip
    body = {"source": "test", "kind": "噪音", **at, **more}
    return int(client.post("/api/v1/reports?candidates=0", json=body).json()["id"])


def ask(client: TestClient, query: str = "", **body: Any) -> dict[str, Any]:
    answer = client.post(f"{PATH}{query}", json=body)
    assert answer.status_code == 200, answer.text
    TypeAdapter(Matched).validate_json(answer.content)
    return dict(answer.json())


def pairs(told: dict[str, Any]) -> dict[int, list[int]]:
    return {
        p["incident"]["id"]: [each["resource"]["id"] for each in p["people"]]
        for p in told["proposals"]
    }


def test_together_they_travel_less_than_one_after_another(
    client: TestClient, engine: Engine
) -> None:
    # The first would take the one who is the only one near the second.
    left, middle = person(engine, 0.0), person(engine, 1.0)
    first, second = report(client, 0.6), report(client, 2.0)
    told = ask(client)
    assert pairs(told) == {first: [left], second: [middle]}
    assert told["joint"]["travel_s"] < told["greedy"]["travel_s"]
    assert told["saved_s"] == told["greedy"]["travel_s"] - told["joint"]["travel_s"] > 60
    assert told["text"].startswith("统筹安排：2 人去 2 起，") and "省下" in told["text"]
    english = ask(client, "?lang=en")["text"]
    assert english.endswith("min are saved")
    total = sum(each["travel_s"] for p in told["proposals"] for each in p["people"])
    assert told["joint"]["travel_s"] == pytest.approx(total, abs=2)


def test_a_proposal_is_sent_as_it_is(client: TestClient, engine: Engine) -> None:
    who, number = person(engine, 0.5), report(client, 0.6)
    told = ask(client, actor="dispatcher 1")
    [proposal] = told["proposals"]
    sent = client.post(proposal["send"]["href"], json=proposal["send"]["body"])
    assert sent.status_code == 201, sent.text
    [task] = sent.json()["assignments"]
    assert (task["resource"]["id"], task["evidence"]["by"]) == (who, "matching")
    assert sent.json()["actor"] == "dispatcher 1"
    # Whom somebody is under way to is left out, unless asked for; and nobody else is free.
    assert ask(client)["proposals"] == ask(client)["shortfalls"] == []
    [short] = ask(client, under_way=True)["shortfalls"]
    assert (short["incident"], short["reason"]) == (number, "nobody")


def test_the_urgent_come_first_and_who_falls_short_is_said(
    client: TestClient, engine: Engine
) -> None:
    who = person(engine, 0.5)
    near, urgent = report(client, 0.5, urgency=4), report(client, 1.5, urgency=1)
    nowhere = report(client, None)
    told = ask(client)
    assert pairs(told) == {urgent: [who]}
    reasons = {short["incident"]: short["reason"] for short in told["shortfalls"]}
    assert reasons == {near: "wanted_elsewhere", nowhere: "no_place"}
    assert all(short["text"] for short in told["shortfalls"])
    late = ask(client, within_s=60)["shortfalls"]
    [beyond] = [short for short in late if short["incident"] == urgent]
    assert beyond["reason"] == "beyond_reach" and "grid lead" in beyond["text"]


def test_capacity_and_how_many_each_wants_are_kept(client: TestClient, engine: Engine) -> None:
    two = person(engine, 0.5, capacity=2)
    one = person(engine, 0.6)
    first, second = report(client, 0.5), report(client, 0.7)
    told = ask(client, each=2)
    sent = [who for pair in pairs(told).values() for who in pair]
    assert sorted(sent) == sorted([two, two, one])
    assert set(pairs(told)) == {first, second}
    assert [short["missing"] for short in told["shortfalls"]] == [1]


def test_incidents_in_one_place_find_more_than_their_nearest(
    client: TestClient, engine: Engine
) -> None:
    everybody = [person(engine, 0.5 + n / 100) for n in range(60)]
    for _ in range(55):
        report(client, 0.5)
    told = ask(client)
    assert told["joint"]["sent"] == 55
    sent = {who for pair in pairs(told).values() for who in pair}
    assert len(sent) == 55 and sent < set(everybody)


def test_an_area_and_a_kind_narrow_the_queue(client: TestClient, engine: Engine) -> None:
    person(engine, 0.5, capacity=9)
    here, there = report(client, 0.5), report(client, 2.5)
    fire = report(client, 0.5, kind="火警")
    assert set(pairs(ask(client))) == {here, there, fire}
    assert set(pairs(ask(client, layer="village", code=VILLAGES[1]))) == {there}
    assert set(pairs(ask(client, kind="火警"))) == {fire}
    assert set(pairs(ask(client, limit=1))) == {here}
    answer = client.post(PATH, json={"code": "999"})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/area-unknown")


def test_a_skill_is_named_only_where_the_rule_asks_for_it(
    client: TestClient, engine: Engine
) -> None:
    person(engine, 0.5, capacity=2, skills=["labour"])
    wages, noise = report(client, 0.5, kind="欠薪"), report(client, 0.5)
    rule = {"kind": "欠薪", "resource_kinds": ["grid_lead"], "skills": ["labour"]}
    client.put("/api/v1/dispatch-rules", json=rule)
    told = {p["incident"]["id"]: p["people"][0]["summary"] for p in ask(client)["proposals"]}
    assert "可处理劳动争议" in told[wages]
    assert "可处理劳动争议" not in told[noise]


def test_an_empty_queue_is_said(client: TestClient) -> None:
    told = ask(client)
    assert (told["proposals"], told["text"]) == ([], "没有等待派人的事件")


def test_the_example_is_understood(client: TestClient) -> None:
    for example in examples.MATCHING_REQUEST.values():
        ask(client, **example["value"])
