"""Whistles over HTTP, from the call to the rating; `test_farm_road` tells the whole story."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, text

from api import examples
from api.schemas_whistles import (
    CallRating,
    CallStep,
    MemberJoin,
    MemberLeave,
    PlanAdd,
    PlanFinish,
    RedGridPut,
    RedGrids,
    SiteVisit,
    Whistle,
    WhistleBlow,
    WhistleBring,
    WhistleEnd,
    Whistles,
)
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST
from tests.api.test_service import problem

API = "/api/v1"
PLACE = {"lon": WEST + 0.2 * STEP, "lat": SOUTH + 0.2 * STEP, "datum": "wgs84"}
CENTRE = {"acting": "town"}


@pytest.fixture(scope="module", autouse=True)
def organisations(town: str, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO organisation (code, name, role, area_id) SELECT 'town', '镇综治中心',"
                " 'centre', id FROM area WHERE layer = 'town' UNION ALL SELECT c, c, 'six', NULL"
                " FROM unnest(ARRAY['police', 'water', 'land', 'court', 'village']) c"
            )
        )


def case_in_work(client: TestClient) -> int:
    sent = client.post(f"{API}/reports", json={"source": "grid-worker", **PLACE})
    number = int(sent.json()["id"])
    for step in ({"action": "assign", "organisation": "town"}, {"action": "accept"}):
        done = client.post(f"{API}/cases/{number}/steps", json=step)
        assert done.status_code == 201, done.text
    return number


def blow(client: TestClient, case: int, *called: str, **more: Any) -> Any:
    body = {"case": case, "organisations": called or ("police",), "what": "会商", **CENTRE, **more}
    return client.post(f"{API}/whistles", json=body)


def stage(client: TestClient, case: int) -> str:
    return str(client.get(f"{API}/cases/{case}").json()["stage"])


def test_from_the_call_to_the_rating(client: TestClient) -> None:
    """Four departments are called, one more by one of them; one is let off, the others settle."""
    case = case_in_work(client)
    made = blow(client, case, "police", "water", "land", what="机耕路塌陷，请到场会商", hard=True)
    assert made.status_code == 201, made.text
    where = made.headers["location"]

    def do(path: str, status: int = 201, **body: Any) -> Any:
        answer = client.post(f"{where}{path}", json={**CENTRE, **body})
        assert answer.status_code == status, answer.text
        return TypeAdapter(Whistle).validate_json(answer.content)

    assert stage(client, case) == "consultation"
    whistle = do("/calls", organisation="court", acting="land")
    calls = {call.organisation: call.id for call in whistle.calls}
    for code in ("police", "land", "court"):
        for action in ("sign", "contact", "arrive"):
            whistle = do(f"/calls/{calls[code]}/steps", acting=code, action=action)
    do(f"/calls/{calls['water']}/steps", acting="water", action="decline", reason="不属本单位职责")
    do(f"/calls/{calls['water']}/steps", action="release")
    do("/team", organisation="police", role="组长")
    member = do("/team", organisation="land", role="成员").team[-1].id
    do(f"/team/{member}/leave", 200, reason="任务完成")
    do(
        "/visits", at="2026-03-02T06:30:00Z", place="机耕路口", present=["town", "land"],
        finding="界址不清", **PLACE,
    )  # fmt: skip
    step = do("/plan", what="测绘界址", owner="land", due="2026-03-10T00:00:00Z").plan[0].id
    early = client.post(f"{where}/end", json={**CENTRE, "outcome": "已定界"})
    assert problem(early, 409, "plan-open")["steps"] == [step]
    resolve = {"action": "resolve", "reason": "已解决"}
    unfinished = client.post(f"{API}/cases/{case}/steps", json=resolve)
    assert problem(unfinished, 409, "whistle-open")["number"] == whistle.number
    do(f"/plan/{step}/finish", 200, acting="land", result="已测绘")
    do("/end", 200, outcome="已定界")
    for code in ("police", "land", "court"):
        whistle = do(f"/calls/{calls[code]}/rating", rating=5, words="到场及时")
    assert stage(client, case) == "in_work"
    assert client.post(f"{API}/cases/{case}/steps", json=resolve).status_code == 201
    states = {call.organisation: (call.state, call.rating, call.late) for call in whistle.calls}
    came = ("arrived", 5, 0)
    assert states == {
        "police": came, "land": came, "court": came, "water": ("released", None, 0),
    }  # fmt: skip
    told = [
        entry["action"] for entry in client.get(f"{API}/cases/{case}/timeline").json()["entries"]
    ]
    assert told == ["open", "assign", "accept", "consult", "start", "resolve", "close"]
    assert TypeAdapter(Whistle).validate_json(client.get(where).content) == whistle


def test_whistles_are_listed_page_by_page(client: TestClient) -> None:
    numbers = [blow(client, case_in_work(client), "water").json()["number"] for _ in range(3)]
    query = {"open": True, "called": "water", "limit": 2}
    first = client.get(f"{API}/whistles", params=query)
    TypeAdapter(Whistles).validate_json(first.content)
    assert [each["number"] for each in first.json()["whistles"]] == numbers[:0:-1]
    rest = client.get(first.json()["next"]).json()
    assert [each["number"] for each in rest["whistles"]][:1] == numbers[:1]
    assert not client.get(f"{API}/whistles", params={"late": True}).json()["whistles"]
    wrong = client.get(f"{API}/whistles", params={"limit": 0})
    problem(wrong, 422, "validation")


def test_what_cannot_be_done_says_why(client: TestClient) -> None:
    case = case_in_work(client)
    problem(blow(client, case, acting="police"), 403, "may-not-call")
    problem(blow(client, case, acting=None), 422, "acting-unknown")
    problem(blow(client, case, "none"), 422, "organisation-unknown")
    problem(blow(client, 10**9), 404, "case-unknown")
    problem(blow(client, case, what=" "), 422, "reason-missing")
    whistle = blow(client, case).json()
    assert problem(blow(client, case), 409, "whistle-open")["number"] == whistle["number"]
    where, call = f"{API}/whistles/{whistle['number']}", whistle["calls"][0]["id"]
    steps = f"{where}/calls/{call}/steps"
    for body, status, kind in (
        ({"action": "sign", "acting": "water"}, 403, "not-called"),
        ({"action": "release", "acting": "police"}, 403, "not-caller-of-whistle"),
        ({"action": "release", "acting": "town"}, 409, "call-not-allowed"),
        ({"action": "decline", "acting": "police"}, 422, "reason-missing"),
        ({"action": "dance", "acting": "police"}, 422, "validation"),
    ):
        problem(client.post(steps, json=body), status, kind)
    sign = {"action": "sign", "acting": "police"}
    problem(client.post(f"{where}/calls/{10**9}/steps", json=sign), 404, "call-unknown")
    problem(client.post(f"{where}/team/1/leave", json=CENTRE), 404, "member-unknown")
    done = {**CENTRE, "result": "完工"}
    problem(client.post(f"{where}/plan/{10**9}/finish", json=done), 404, "plan-step-unknown")
    join = {**CENTRE, "organisation": "police", "role": "组长"}
    problem(client.post(f"{where}/team", json=join), 409, "not-taking-part")
    rating = {**CENTRE, "rating": 3}
    problem(client.post(f"{where}/calls/{call}/rating", json=rating), 409, "whistle-not-ended")
    bring = {**CENTRE, "organisation": "police"}
    problem(client.post(f"{where}/calls", json=bring), 409, "already-called")
    end = {**CENTRE, "outcome": "已会商"}
    assert client.post(f"{where}/end", json=end).status_code == 200
    assert problem(client.post(steps, json=sign), 409, "whistle-ended")["actor"] == "api"
    problem(client.get(f"{API}/whistles/{10**9}"), 404, "whistle-unknown")


def test_a_step_again_with_its_key_is_done_once(client: TestClient) -> None:
    whistle = blow(client, case_in_work(client)).json()
    path = f"{API}/whistles/{whistle['number']}/calls/{whistle['calls'][0]['id']}/steps"
    body = {"action": "sign", "acting": "police"}
    sent = [client.post(path, json=body, headers={"Idempotency-Key": "w1"}) for _ in range(2)]
    assert sent[0].status_code == 201 and sent[0].content == sent[1].content


def test_a_red_grid_is_given_authority_and_loses_it(client: TestClient) -> None:
    of, grid = f"{API}/red-grids/{GRIDS[0]}", {"grid": GRIDS[0], "acting": "village"}
    problem(blow(client, case_in_work(client), **grid), 403, "may-not-call")
    put = client.put(of, json={"organisation": "village", "reason": "党建小红格"})
    TypeAdapter(RedGrids).validate_json(put.content)
    assert client.get(f"{API}/red-grids").json() == put.json()
    assert blow(client, case_in_work(client), **grid).json()["grid"] == GRIDS[0]
    assert client.delete(of).status_code == 204
    problem(client.delete(of), 404, "red-grid-unknown")
    problem(client.put(f"{of}9", json={"organisation": "village"}), 404, "area-unknown")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("whistle", Whistle), ("whistles", Whistles), ("red_grids", RedGrids),
        ("whistle_request", WhistleBlow), ("whistle_bring_request", WhistleBring),
        ("whistle_step_request", CallStep), ("whistle_rating_request", CallRating),
        ("whistle_member_request", MemberJoin), ("whistle_leave_request", MemberLeave),
        ("whistle_visit_request", SiteVisit), ("whistle_plan_request", PlanAdd),
        ("whistle_finish_request", PlanFinish), ("whistle_end_request", WhistleEnd),
        ("red_grid_request", RedGridPut),
    ],
)  # fmt: skip
def test_examples_are_what_the_description_says(name: str, shape: Any) -> None:
    example = examples.of(name)
    each = [e["value"] for e in example.values()] if name.endswith("_request") else [example]
    for value in each:
        TypeAdapter(shape).validate_python(value)
