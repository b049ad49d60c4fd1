"""Gap cover over HTTP: who covers which grid, what sending somebody uncovers, who moves up."""

from itertools import count
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, create_engine, text

from api.schemas_gaps import Gaps
from data import areas, gaps
from tests import people
from tests.api.conftest import GRIDS, SCHOOL, SOUTH, STEP, VILLAGES, WEST, grids

TOWN = "440604010000"
serial = count()


@pytest.fixture(scope="module")
def engine(town: str) -> Engine:
    return create_engine(town)


@pytest.fixture(autouse=True)
def _alone(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE resource SET withdrawn = now() WHERE withdrawn IS NULL"))
        connection.execute(text("TRUNCATE incident CASCADE"))


def person(engine: Engine, column: float, row: float, **facts: Any) -> int:
    with engine.begin() as connection:
        name = f"grid lead {next(serial)}"
        return people.add(connection, name, WEST + column * STEP, SOUTH + row * STEP, **facts)


def send(engine: Engine, who: int) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE resource SET load = capacity WHERE id = :id"), {"id": who})


def ask(client: TestClient, code: str = TOWN, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/v1/gaps", params={"code": code, "minutes": 8, **query})
    assert answer.status_code == 200, answer.text
    TypeAdapter(Gaps).validate_json(answer.content)
    return dict(answer.json())


def uncovered(told: dict[str, Any]) -> set[str]:
    return {gap["code"] for gap in told["gaps"]}


def test_who_is_sent_leaves_a_gap_and_somebody_moves_up(client: TestClient, engine: Engine) -> None:
    # Columns of 0.005°, about 510 m: 8 minutes on foot, detours counted, are 510 m.
    left = [person(engine, c, r) for c in (0.5, 1.5) for r in (0.5, 1.5)]
    spare = person(engine, 0.5, 0.6)
    right = [person(engine, 2.5, r) for r in (0.5, 1.5)] + [person(engine, 3.5, 0.5)]
    before = ask(client)
    assert before["grids"] == 9
    assert before["people"] == {"on_duty": 8, "free": 8, "sent": 0}
    for who in right:
        send(engine, who)
    now = ask(client)
    assert now["people"] == {"on_duty": 8, "free": 5, "sent": 3}
    assert now["covered"]["before"] == before["covered"]["now"]
    assert now["covered"]["now"] < now["covered"]["before"]
    lost = {gap["code"] for gap in now["gaps"] if gap["lost"]}
    assert lost and lost <= set(GRIDS[4:])
    assert now["moves"] and now["covered"]["after_moves"] > now["covered"]["now"]
    movers = {move["resource"]["id"] for move in now["moves"]}
    assert movers <= {*left, spare}
    regained = {gap["code"] for gap in now["gaps"] if gap["regained"]}
    assert {code for move in now["moves"] for code in move["regains"]} == regained
    assert now["covered"]["after_moves"] <= now["best_possible"] + 1e-4
    assert "无人可到" in now["text"] and "移动" in now["text"]
    assert ask(client, most=0)["moves"] == []


def test_off_duty_off_and_other_kinds_cover_nothing(client: TestClient, engine: Engine) -> None:
    person(engine, 0.5, 0.5, status="off")
    person(engine, 0.5, 0.5, kind="informant")
    told = ask(client)
    assert told["people"]["on_duty"] == 0
    assert uncovered(told) == {*GRIDS, SCHOOL}
    assert told["text"].endswith("没有可补位的人")
    assert GRIDS[0] not in uncovered(ask(client, kind="informant"))


def test_where_people_are_counts_not_where_they_live(client: TestClient, engine: Engine) -> None:
    moved = person(engine, 3.5, 1.5)
    assert GRIDS[7] not in uncovered(ask(client))
    with engine.begin() as connection:
        people.fix(connection, moved, WEST + 0.5 * STEP, SOUTH + 0.5 * STEP)
    told = uncovered(ask(client))
    assert GRIDS[7] in told and GRIDS[0] not in told


def test_grids_weigh_by_residents_and_incidents(client: TestClient, engine: Engine) -> None:
    residents = [300, 100, *[None] * 7]
    with areas.change(engine, "import", "residents counted") as change:
        areas.record(change, "grid", grids().assign(residents=residents))
    # 300 and 100 known; the seven others count as 200 each.
    weight = {gap["code"]: gap["weight"] for gap in ask(client)["gaps"]}
    assert (weight[GRIDS[0]], weight[GRIDS[1]], weight[GRIDS[2]]) == (0.1667, 0.0556, 0.1111)
    at = {"lon": WEST + 0.2 * STEP, "lat": SOUTH + 1.5 * STEP, "datum": "wgs84"}
    client.post("/api/v1/reports?candidates=0", json={"source": "test", **at})
    told = {gap["code"]: gap for gap in ask(client)["gaps"]}
    assert (told[GRIDS[2]]["incidents"], told[GRIDS[2]]["weight"]) == (1, 0.5556)
    assert told[GRIDS[0]]["weight"] == 0.0833


def test_a_facility_may_be_the_place_to_wait(client: TestClient, engine: Engine) -> None:
    with engine.begin() as connection:
        grid = connection.execute(
            text("SELECT id FROM area WHERE code = :c"), {"c": GRIDS[5]}
        ).scalar_one()
    centre = person(engine, 3.0, 1.0, kind="centre", home_area_id=grid)
    for _ in range(2):
        person(engine, 0.5, 0.5, mode="moped")
    [move] = ask(client, most=1, minutes=2)["moves"]
    assert move["to"]["facility"] == centre
    assert set(move["regains"]) == set(GRIDS[4:])


@pytest.mark.parametrize(
    ("query", "status", "problem"),
    [
        ({"code": "999"}, 404, "area-unknown"),
        ({"layer": "beats", "code": "B1"}, 404, "area-unknown"),
        ({"code": TOWN, "kind": "wizard"}, 422, "rule-refused"),
        ({"code": TOWN, "minutes": 0}, 422, "validation"),
        ({}, 422, "validation"),
    ],
)
def test_what_cannot_be_asked_is_said(
    client: TestClient, query: dict[str, Any], status: int, problem: str
) -> None:
    answer = client.get("/api/v1/gaps", params=query)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{problem}")


def test_a_whole_city_is_refused_with_what_to_ask_for(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "MOST_GRIDS", 8)
    answer = client.get("/api/v1/gaps", params={"layer": "city", "code": "440600000000"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/area-too-large")
    assert "9 grids" in answer.json()["detail"] and "towns" in answer.json()["detail"]
    assert len(uncovered(ask(client, VILLAGES[1], layer="village"))) == 4
