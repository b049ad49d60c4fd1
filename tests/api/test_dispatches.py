"""Sending over HTTP: who was faster, how far they are, recalled and closed."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine

from api import examples
from api.schemas_dispatches import AssignmentShown, Closed, Dispatches, DispatchShown, Recalled
from tests.people import add as person
from tests.people import incident

API = "/api/v1"


@pytest.fixture
def make(engine: Engine) -> Callable[..., Any]:
    """Make an incident or a person for the application to see."""

    def made(what: Callable[..., int], **facts: Any) -> int:
        with engine.begin() as connection:
            return what(connection, **facts)

    return made


@pytest.fixture
def to(make: Callable[..., int], town: str) -> int:
    return make(incident)


@pytest.fixture
def who(make: Callable[..., int], town: str) -> int:
    return make(person, name="第001网格 网格长")


def send(client: TestClient, to: int, *who: int, status: int = 201, **more: Any) -> dict[str, Any]:
    chosen = [{"resource": number, **more} for number in who]
    body = {"send": chosen, "actor": "dispatcher 1", "note": "quick"}
    answer = client.post(f"{API}/incidents/{to}/dispatches", json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def post(client: TestClient, path: str, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = client.post(f"{API}{path}", json={"actor": "dispatcher 2", **body})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def step(client: TestClient, task: int, state: str, status: int = 200, reason: str = "") -> Any:
    return post(client, f"/assignments/{task}/steps", status, state=state, reason=reason)


def test_somebody_is_sent_and_goes_their_way(client: TestClient, to: int, who: int) -> None:
    sent = send(client, to, who, evidence={"travel_s": 180})
    TypeAdapter(DispatchShown).validate_python(sent)
    (task,) = sent["assignments"]
    assert task["resource"] == {"id": who, "name": "第001网格 网格长", "kind": "grid_lead"}
    assert (task["state"], task["evidence"]) == ("sent", {"travel_s": 180})
    assert task["response"] == {"accepted_s": None, "on_scene_s": None, "ended_s": None}
    for state in ("accepted", "on_scene", "done"):
        now = step(client, task["id"], state)
        TypeAdapter(AssignmentShown).validate_python(now)
        assert now["state"] == state == now["steps"][-1]["state"]
        assert now["steps"][-1]["actor"] == "dispatcher 2"
    times = [now["response"][name] for name in ("accepted_s", "on_scene_s", "ended_s")]
    assert times == sorted(times) and times[0] > 0
    assert now["allowed"] == []
    listed = client.get(f"{API}/incidents/{to}/dispatches").json()
    TypeAdapter(Dispatches).validate_python(listed)
    assert listed == {"incident": to, "dispatches": [{**sent, "assignments": [now]}]}
    assert client.get(f"{API}/assignments/{task['id']}").json() == now


def test_the_loser_is_told_who_was_faster(
    client: TestClient, make: Callable[..., int], to: int, who: int
) -> None:
    sent = send(client, to, who)
    told = send(client, make(incident), who, status=409)
    assert (told["type"], told["status"]) == ("/problems/resource-taken", 409)
    assert f"dispatcher 1 sent it to incident {to} at" in told["detail"]
    task = {
        "id": sent["assignments"][0]["id"], "incident": to, "state": "sent",
        "actor": "dispatcher 1", "at": sent["at"],
    }  # fmt: skip
    resource = {"id": who, "name": "第001网格 网格长", "capacity": 1, "tasks": [task]}
    assert told["resources"] == [resource]
    again = send(client, to, who, status=409)
    assert (again["type"], again["resources"]) == ("/problems/already-sent", [resource])


def test_of_many_at_once_one_gets_the_last_free_person(
    client: TestClient, make: Callable[..., int], who: int
) -> None:
    places = [make(incident) for _ in range(32)]
    body = {"send": [{"resource": who}], "actor": "dispatcher"}
    with ThreadPoolExecutor(32) as pool:
        answers = list(
            pool.map(lambda n: client.post(f"{API}/incidents/{n}/dispatches", json=body), places)
        )
    assert sorted(a.status_code for a in answers) == [201] + [409] * 31
    (won,) = (a.json()["incident"] for a in answers if a.status_code == 201)
    for lost in (a.json() for a in answers if a.status_code == 409):
        assert lost["resources"][0]["tasks"][0]["incident"] == won


def test_a_reason_overrides_what_speaks_against_somebody(
    client: TestClient, make: Callable[..., int], to: int
) -> None:
    off = make(person, status="off")
    told = send(client, to, off, status=409)
    assert told["type"] == "/problems/resource-not-available"
    assert told["resources"][0]["why"] == "off"
    for blank in (" ", ""):
        assert send(client, to, off, override=blank, status=422)["field"] == "send.0.override"
    sent = send(client, to, off, override="lives next door")
    assert sent["assignments"][0]["override"] == "lives next door"


@pytest.mark.parametrize(
    ("facts", "name"),
    [({"kind": "centre"}, "resource-is-a-place"),
     ({"withdrawn": "2026-01-01T00:00:00Z"}, "resource-withdrawn")],
)  # fmt: skip
def test_what_is_never_sent(
    client: TestClient, make: Callable[..., int], to: int, facts: dict[str, Any], name: str
) -> None:
    told = send(client, to, make(person, **facts), override="all the same", status=409)
    assert told["type"] == f"/problems/{name}"


def test_the_unknown_is_not_found(client: TestClient, to: int, who: int) -> None:
    unknown = 10**15
    for answer, name in (
        (send(client, unknown, who, status=404), "incident-unknown"),
        (send(client, to, unknown, status=404), "resource-unknown"),
        (step(client, unknown, "accepted", 404), "assignment-unknown"),
        (client.get(f"{API}/assignments/{unknown}").json(), "assignment-unknown"),
        (client.get(f"{API}/incidents/{unknown}/dispatches").json(), "incident-unknown"),
        (post(client, f"/incidents/{unknown}/recall", 404, reason="so"), "incident-unknown"),
        (post(client, f"/incidents/{unknown}/close", 404, outcome="so"), "incident-unknown"),
    ):
        assert (answer["type"], answer["status"]) == (f"/problems/{name}", 404)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"send": []}, "send"),
        ({"send": [{"resource": 0}]}, "send.0.resource"),
        ({"send": [{"resource": 2**63}]}, "send.0.resource"),
        ({"send": [{"resource": 1}, {"resource": 1}]}, None),
        ({"send": [{"resource": 1, "evidence": {"a": "\0"}}]}, "send.0.evidence"),
        ({"actor": ""}, "actor"),
        ({"who": 1}, "who"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(
    client: TestClient, to: int, change: dict[str, Any], field: str | None
) -> None:
    body = {"send": [{"resource": 1}], "actor": "dispatcher", **change}
    answer = client.post(f"{API}/incidents/{to}/dispatches", json=body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/validation"
    assert answer.json().get("field") == field


def test_a_step_that_is_not_allowed_says_which_are(client: TestClient, to: int, who: int) -> None:
    task = send(client, to, who)["assignments"][0]["id"]
    now = step(client, task, "on_scene")
    assert step(client, task, "on_scene") == now
    told = step(client, task, "declined", 409, reason="no")
    assert told["type"] == "/problems/step-not-allowed"
    assert (told["state"], told["allowed"]) == ("on_scene", ["done", "recalled"])
    assert (told["actor"], told["at"]) == ("dispatcher 2", now["since"])
    assert step(client, task, "recalled", 422)["field"] == "reason"
    assert step(client, task, "sent", 422)["field"] == "state"


def test_recalled_and_closed(client: TestClient, make: Callable[..., int], to: int) -> None:
    first, second = (make(person) for _ in range(2))
    task = send(client, to, first)["assignments"][0]["id"]
    recalled = post(client, f"/incidents/{to}/recall", reason="false alarm")
    TypeAdapter(Recalled).validate_python(recalled)
    assert recalled == {"incident": to, "recalled": [task]}
    task = send(client, to, second)["assignments"][0]["id"]
    told = post(client, f"/incidents/{to}/close", 409, outcome="nothing")
    assert (told["type"], told["tasks"][0]["id"]) == ("/problems/still-under-way", task)
    closed = post(
        client, f"/incidents/{to}/close", outcome="nothing", recall_reason="it was nothing"
    )
    TypeAdapter(Closed).validate_python(closed)
    assert closed == {"incident": to, "recalled": [task], "outcome": "nothing"}
    told = send(client, to, first, status=409)
    assert (told["type"], told["outcome"]) == ("/problems/incident-closed", "nothing")


@pytest.fixture
def examples_of(
    client: TestClient, make: Callable[..., int]
) -> Iterator[Callable[[dict[str, Any], str], None]]:
    """Send each example of a request to an incident, or its assignment, of its own."""

    def sent(of: dict[str, Any], path: str) -> None:
        for example in of.values():
            first, second = make(person), make(person)
            to = make(incident)
            task = 0 if "{task}" not in path else send(client, to, first)["assignments"][0]["id"]
            body = json.dumps(example["value"])
            body = body.replace('"resource": 7', f'"resource": {first}')
            body = body.replace('"resource": 9', f'"resource": {second}')
            answer = client.post(
                API + path.format(to=to, task=task), content=body,
                headers={"Content-Type": "application/json"},
            )  # fmt: skip
            assert answer.is_success, answer.text

    yield sent


def test_examples_of_requests_are_understood(
    examples_of: Callable[[dict[str, Any], str], None],
) -> None:
    examples_of(examples.DISPATCH_REQUEST, "/incidents/{to}/dispatches")
    examples_of(examples.STEP_REQUEST, "/assignments/{task}/steps")
    examples_of(examples.RECALL_REQUEST, "/incidents/{to}/recall")
    examples_of(examples.CLOSE_REQUEST, "/incidents/{to}/close")
