"""Warnings over HTTP: found by a look, listed, accepted, planned, closed; and what is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, text

from api import examples, schemas_early_warnings
from data import accounts
from tests import warned
from tests.api.conftest import VILLAGES
from tests.api.test_service import problem
from tests.data import test_early_warnings as looking
from tests.data.test_early_warnings import FIREWORKS, look

URL = "/api/v1/warnings"


@pytest.fixture(scope="module")
def seen(town: str, engine: Engine) -> Iterator[Engine]:
    """A look at a week with a surge in the first village."""
    with engine.begin() as connection:
        looking.usual(connection)
        looking.burst(connection)
    look(engine)
    yield engine


@pytest.fixture(scope="module")
def warning(client: TestClient, seen: Engine) -> dict[str, Any]:
    [found] = client.get(URL, params={"area": VILLAGES[0]}).json()["warnings"]
    return dict(found)


def another(engine: Engine, kind: str, village: str = VILLAGES[0]) -> int:
    with engine.begin() as connection:
        query = text("SELECT id FROM area WHERE layer = 'village' AND code = :code")
        area = connection.execute(query, {"code": village}).scalar_one()
        return warned.warn(connection, area, kind)


def test_a_warning_says_what_is_and_what_is_usual(
    client: TestClient, warning: dict[str, Any]
) -> None:
    assert (warning["model"], warning["kind"], warning["observed"]) == ("surge", FIREWORKS, 20)
    assert warning["area"]["code"] == VILLAGES[0] and warning["state"] == "open"
    assert warning["owner"] == "desk" and warning["late"] is True  # its morning is long over
    one = client.get(f"{URL}/{warning['number']}").json()
    assert {name: one[name] for name in warning} == warning
    assert one["inputs"]["counts"][-1] == 20 and one["inputs"]["series"] == 9
    assert sum(place["number"] for place in one["places"]) == 20
    assert one["places"][0]["layer"] == "grid" and one["places"][0]["code"].startswith(VILLAGES[0])
    assert one["geometry"]["type"] == "Polygon"
    assert [step["action"] for step in one["steps"]] == ["raise"]


def test_the_looks_say_how_many_warnings_are_false(client: TestClient, seen: Engine) -> None:
    told = client.get(f"{URL}/looks").json()["looks"][0]
    assert (told["series"], told["found"], told["raised"]) == (9, 1, 1)
    assert told["quiet_week_at_most"] == pytest.approx(7 * told["quiet"])
    assert told["rate"] == 0.05 and told["cannot"] is None


def test_lists_are_chosen_from_and_paged(
    client: TestClient, seen: Engine, warning: dict[str, Any]
) -> None:
    there = another(seen, "施工噪音", VILLAGES[1])

    def found(**query: Any) -> list[int]:
        answer = client.get(URL, params=query)
        assert answer.status_code == 200, answer.text
        return [each["number"] for each in answer.json()["warnings"]]

    assert found() == [there, warning["number"]]
    assert found(area=VILLAGES[1]) == [there]
    assert found(area="440604010000", kind=FIREWORKS) == [warning["number"]]
    assert found(late=True) == [warning["number"]]
    assert found(state=["accepted", "closed"]) == [] and found(owner="nobody") == []
    first = client.get(URL, params={"limit": 1}).json()
    second = client.get(first["next"]).json()
    assert [each["number"] for each in second["warnings"]] == [warning["number"]]
    shapes = client.get(URL, params={"f": "geojson", "area": VILLAGES[1]})
    assert shapes.headers["content-type"] == "application/geo+json"
    [feature] = shapes.json()["features"]
    assert feature["geometry"]["type"] == "Polygon" and feature["properties"]["number"] == there


def test_it_is_accepted_planned_and_closed(client: TestClient, seen: Engine) -> None:
    url = f"{URL}/{another(seen, '占道')}"

    def do(action: str, **more: Any) -> Any:
        body = examples.of(f"warning_{action}_request")["usual"]["value"]
        return client.post(f"{url}/{action}", json=body | more)

    told = problem(do("close"), 409, "warning-not-allowed")
    assert (told["state"], told["allowed"]) == ("open", ["accept"])
    problem(do("plan"), 409, "warning-not-allowed")
    accepted = do("accept").json()
    assert accepted["state"] == "accepted" and accepted["allowed"] == ["plan", "close"]
    problem(do("accept"), 409, "warning-not-allowed")
    problem(do("plan", deployment=999), 404, "deployment-unknown")
    problem(do("plan", note=" "), 422, "reason-missing")
    problem(do("close", outcome="perhaps"), 422, "validation")
    with seen.begin() as connection:
        made = text("INSERT INTO deployment (name, actor) VALUES ('进小区', 'x') RETURNING id")
        deployment = connection.execute(made).scalar_one()
    assert do("plan", deployment=deployment).json()["steps"][-1]["deployment"] == deployment
    closed = do("close").json()
    assert (closed["state"], closed["outcome"]) == ("closed", "true_alarm")
    assert [step["action"] for step in closed["steps"]] == ["raise", "accept", "plan", "close"]
    assert "that is its end" in problem(do("close"), 409, "warning-not-allowed")["detail"]


def test_it_is_done_once_by_its_key(client: TestClient, seen: Engine) -> None:
    url, key = f"{URL}/{another(seen, '油烟')}/accept", {"Idempotency-Key": "once"}
    first, again = (client.post(url, json={}, headers=key) for _ in range(2))
    assert first.status_code == again.status_code == 200 and first.json() == again.json()


def test_who_may_only_look_changes_nothing(client: TestClient, seen: Engine) -> None:
    url = f"{URL}/{another(seen, '流浪犬')}"
    with seen.begin() as connection:
        _, secret = accounts.add_token(connection, "reader", ["analysis.read"], actor="test")
    reader = {"Authorization": f"Bearer {secret}"}
    assert client.get(url, headers=reader).status_code == 200
    problem(client.post(f"{url}/accept", json={}, headers=reader), 403, "not-permitted")


@pytest.mark.parametrize(
    ("path", "status", "type_"),
    [("/999999", 404, "warning-unknown"), ("/0", 422, "validation"), ("/x", 422, "validation"),
     ("?area=999", 404, "area-unknown"), ("?state=shut", 422, "validation"),
     ("?limit=0", 422, "validation"), ("?colour=red", 422, "validation"),
     ("/looks?limit=0", 422, "validation")],
)  # fmt: skip
def test_what_cannot_be_asked_is_a_sentence(
    client: TestClient, path: str, status: int, type_: str
) -> None:
    problem(client.get(f"{URL}{path}"), status, type_)


def test_a_warning_that_is_not_there_is_not_accepted(client: TestClient) -> None:
    problem(client.post(f"{URL}/999999/accept", json={}), 404, "warning-unknown")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("warning", schemas_early_warnings.WarningShown),
     ("warnings", schemas_early_warnings.WarningPage),
     ("warning_effect", schemas_early_warnings.WarningEffect),
     ("warning_looks", schemas_early_warnings.WarningLooks)],
)  # fmt: skip
def test_examples_are_what_the_description_says(name: str, shape: Any) -> None:
    TypeAdapter(shape).validate_json(json.dumps(examples.of(name)))


def test_answers_are_what_the_description_says(client: TestClient, warning: dict[str, Any]) -> None:
    one = client.get(f"{URL}/{warning['number']}").text
    TypeAdapter(schemas_early_warnings.WarningShown).validate_json(one)
    page = client.get(URL).text
    TypeAdapter(schemas_early_warnings.WarningPage).validate_json(page)
    TypeAdapter(schemas_early_warnings.WarningLooks).validate_json(client.get(f"{URL}/looks").text)


def test_the_page_shows_them_in_both_languages(client: TestClient, warning: dict[str, Any]) -> None:
    page = client.get("/maps/warnings")
    assert page.status_code == 200 and "监测预警" in page.text
    assert FIREWORKS in page.text and "近七天 20 件" in page.text and "误报" in page.text
    assert "20 in seven days" in client.get("/maps/warnings", params={"lang": "en"}).text
    problem(client.get("/maps/warnings", params={"lang": "fr"}), 422, "validation")


def test_without_a_measure_there_is_no_effect(client: TestClient, seen: Engine) -> None:
    told = problem(
        client.get(f"{URL}/{another(seen, '井盖')}/effect"), 409, "warning-effect-unknown"
    )
    assert "note the measure first" in told["detail"]
    problem(client.get(f"{URL}/999999/effect"), 404, "warning-unknown")
