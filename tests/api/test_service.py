"""What holds for the whole service: errors, headers, description, health, pages, lost databases."""

import json
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import create_engine, text

from api.deps import Db
from api.main import ROOMS, create_app
from api.problem_kinds import KINDS
from api.problems import MEDIA_TYPE
from data.migrate import downgrade
from data.overview import LEVELS
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST
from tests.doors import HEADERS

JSON = {"Content-Type": "application/json"}
ROUTES = [
    route
    for room in ROOMS
    for route in room.router.routes
    if isinstance(route, APIRoute) and route.include_in_schema
]


def problem(response: Any, status: int, name: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = dict(response.json())
    assert (told["type"], told["status"]) == (f"/problems/{name}", status)
    assert told["title"] and told["detail"].endswith(".")
    return told


# --- errors -------------------------------------------------------------------------------------


def test_unknown_addresses_and_methods_are_problems(client: TestClient) -> None:
    problem(client.get("/nope"), 404, "not-found")
    problem(client.get("/static/vendor/leaflet/nope.js"), 404, "not-found")
    problem(client.get("/static/vendor/folium/x.js"), 404, "not-found")
    answer = client.delete("/api/v1/locate")
    problem(answer, 405, "wrong-method")
    assert answer.headers["allow"] == "GET"


@pytest.mark.parametrize("body", [b"{", b'{"a": }', b"\xff\xfe{}", b"[" * 100_000])
def test_a_body_that_is_no_json_is_a_problem(client: TestClient, body: bytes) -> None:
    problem(client.post("/api/v1/reports", content=body, headers=JSON), 400, "not-json")


@pytest.mark.parametrize("body", [b"", b"3", b"null", b'"text"', b"[]"])
def test_a_body_of_another_shape_is_a_problem(client: TestClient, body: bytes) -> None:
    problem(client.post("/api/v1/reports", content=body, headers=JSON), 422, "validation")


def test_a_body_that_is_not_declared_as_json_is_a_problem(client: TestClient) -> None:
    for headers in ({}, {"Content-Type": "text/plain"}):
        answer = client.post("/api/v1/reports", content=b'{"source": "s"}', headers=headers)
        problem(answer, 415, "wrong-content-type")


def test_a_body_that_is_too_large_is_a_problem_declared_or_not(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'["'
        for _ in range(11):
            yield b"x" * 1_000_000
        yield b'"]'

    whole = b"".join(chunks())
    problem(client.post("/api/v1/locate/batch", content=whole, headers=JSON), 413, "too-large")
    problem(client.post("/api/v1/locate/batch", content=chunks(), headers=JSON), 413, "too-large")


def test_an_error_of_ours_is_logged_under_a_number_and_leaks_nothing(
    town: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(town)

    @app.get("/broken")
    async def broken(db: Db) -> None:
        raise ZeroDivisionError("secret")

    with TestClient(app, headers=HEADERS) as client:
        answer = client.get("/broken")
    told = problem(answer, 500, "internal")
    assert "secret" not in answer.text
    assert told["id"] in caplog.text
    assert "secret" in caplog.text


def test_every_type_of_problem_has_a_page(client: TestClient) -> None:
    for name, kind in KINDS.items():
        page = client.get(f"/problems/{name}")
        assert page.status_code == 200
        assert str(kind.status) in page.text
    problem(client.get("/problems/<script>"), 404, "not-found")


# --- the database -------------------------------------------------------------------------------


def test_health_tells_what_is_there(client: TestClient) -> None:
    told = client.get("/api/v1/health").json()
    assert told["status"] == "ok"
    assert told["areas"]["grid"] == 9
    assert told["last_change"]["kind"] == "import"


def test_a_lost_connection_is_replaced(client: TestClient, town: str) -> None:
    where = {"lon": WEST + 0.5 * STEP, "lat": SOUTH + 1.5 * STEP, "datum": "wgs84"}
    engine = create_engine(town, isolation_level="AUTOCOMMIT")
    steps: list[Callable[[], Any]] = [
        lambda: client.get("/api/v1/locate", params=where),
        lambda: client.post("/api/v1/locate/batch", json=[where]),
        lambda: client.post("/api/v1/reports", json={"source": "s", **where}),
    ]
    for ask in steps:
        assert ask().status_code in (200, 201)
        with engine.connect() as connection:
            ended = connection.execute(
                text(
                    "SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity"
                    " WHERE application_name = 'wangge-api' AND datname = current_database()"
                )
            ).scalar_one()
        assert ended >= 1
        assert ask().status_code in (200, 201)
    engine.dispose()


def test_a_database_that_is_down_is_a_problem_that_passes() -> None:
    with TestClient(
        create_app("postgresql+psycopg://nobody@127.0.0.1:1/none"), headers=HEADERS
    ) as client:
        for path in (
            "/api/v1/health",
            "/api/v1/locate?lon=113&lat=23&datum=wgs84",
            "/api/v1/areas",
        ):
            answer = client.get(path)
            problem(answer, 503, "database-unavailable")
            assert answer.headers["retry-after"] == "5"
        answer = client.post("/api/v1/reports", json={"source": "s"})
        problem(answer, 503, "database-unavailable")


def test_a_database_without_tables_is_not_ready(fresh_database_url: str) -> None:
    downgrade(fresh_database_url, "base")
    with TestClient(create_app(fresh_database_url), headers=HEADERS) as client:
        told = problem(client.get("/api/v1/health"), 503, "not-ready")
        assert "migrate" in told["detail"]
        problem(client.get("/api/v1/areas"), 503, "not-ready")


def test_an_empty_map_answers(fresh_database_url: str) -> None:
    with TestClient(create_app(fresh_database_url), headers=HEADERS) as client:
        assert client.get("/api/v1/health").json()["last_change"] is None
        found = client.get("/api/v1/locate?lon=113&lat=23&datum=wgs84").json()
        assert (found["found"], found["area"]) == ("none", None)
        assert client.get("/api/v1/areas/grid").json()["areas"] == []
        assert client.get("/maps/overview").status_code == 200


# --- pages --------------------------------------------------------------------------------------


def test_the_overview_is_drawn_without_another_host(client: TestClient) -> None:
    where = {"lon": WEST + 0.5 * STEP, "lat": SOUTH + 1.5 * STEP, "datum": "wgs84"}
    kind = "</script><script>alert(1)</script>"
    client.post("/api/v1/reports", json={"source": "map", "kind": kind, **where})
    page = client.get("/")
    assert page.url.path == "/maps/overview"
    assert "佛山市" in page.text and GRIDS[2][:12] in page.text
    assert kind not in page.text
    policy = page.headers["content-security-policy"]
    assert "http" not in policy and "default-src 'self'" in policy
    assert 'lang="en"' in client.get("/maps/overview?lang=en&day=2026-01-01").text
    for query in ("lang=xx", "day=2026-02-30", "day=0001-01-01"):
        problem(client.get(f"/maps/overview?{query}"), 422, "validation")


def test_every_answer_has_the_headers_that_protect(client: TestClient) -> None:
    for path in ("/api/v1/areas", "/nope", "/maps/overview", "/problems/swapped"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("address", "status", "zh", "en"),
    [
        ("/maps/incident/999999", 404, "没有这个事件", "There is no such incident"),
        ("/maps/incident/x", 422, "网址有误", "The address is wrong"),
        ("/maps/nowhere", 404, "没有这个页面", "There is no such page"),
        ("/maps/dispatch?area=town/1", 404, "没有这个区域", "There is no such area"),
    ],
)
def test_a_page_that_is_not_there_says_so(
    client: TestClient, address: str, status: int, zh: str, en: str
) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for lang, words in (("zh", zh), ("en", en)):
        query = f"{'&' if '?' in address else '?'}lang={lang}"
        page = client.get(address + query, headers=browser)
        assert (page.status_code, page.headers["content-type"]) == (
            status, "text/html; charset=utf-8",
        )  # fmt: skip
        assert f"<h1>{words}</h1>" in page.text and f"/maps/dispatch?lang={lang}" in page.text
        assert page.headers["cache-control"] == "no-store"
    assert client.get(address).headers["content-type"] == "application/problem+json"


def test_the_ground_is_made_before_somebody_asks(town: str) -> None:
    app = create_app(town)
    with TestClient(app):
        for _ in range(3000):
            if LEVELS in app.state.grounds.kept:
                return
            Event().wait(0.02)
    raise AssertionError("nobody made it")


# --- the description ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return create_app("postgresql+psycopg://").openapi()


def test_the_description_needs_no_database_and_leads_nowhere(described: dict[str, Any]) -> None:
    text_ = json.dumps(described)
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    stack: list[Any] = [described]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            assert item.get("$ref", "#/components/schemas/Fault") in known
        stack += list(item.values()) if isinstance(item, dict) else []
        stack += item if isinstance(item, list) else []
    assert "HTTPValidationError" not in text_


def test_every_route_documents_its_errors_and_has_an_example(described: dict[str, Any]) -> None:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"] and operation["description"] and operation["tags"], where
            failures = [r for s, r in operation["responses"].items() if s >= "400"]
            assert failures, where
            for failure in failures:
                assert failure["content"][MEDIA_TYPE]["examples"], where
            content = operation.get("requestBody", {}).get("content", {})
            if method == "post" and "application/json" in content:
                assert content["application/json"]["examples"], where


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.path}")
def test_examples_are_what_they_describe(route: APIRoute) -> None:
    for answer in route.responses.values():
        if "model" in answer:
            example = answer["content"]["application/json"]["example"]
            TypeAdapter(answer["model"]).validate_python(example)


# What these need first is made in tests of their own.
APART = {
    "dispatches", "deployments", "cases", "catalogue", "accounts", "supervision", "records",
    "visits", "watched", "assessments", "people", "return visits", "attachments", "whistles",
    "referrals", "warnings",
}  # fmt: skip


def test_examples_of_requests_are_understood(client: TestClient, described: dict[str, Any]) -> None:
    waiting = client.post("/api/v1/reports", json={"source": "example"}).json()["id"]
    somebody = {"source": "example", "external_id": "1", "kind": "volunteer", "name": "志愿者"}
    given = client.post("/api/v1/resources", json=somebody | {"area": GRIDS[0]}).json()["id"]
    for path, methods in described["paths"].items():
        apart = APART & set(methods.get("post", {}).get("tags", ()))
        if "requestBody" in methods.get("post", {}) and not apart:
            body = methods["post"]["requestBody"]["content"]["application/json"]
            for example in body["examples"].values():
                number = given if "/resources/" in path else waiting
                sent = client.post(path.replace("{number}", str(number)), json=example["value"])
                assert sent.status_code in (200, 201), sent.text


def test_answers_are_what_is_described(client: TestClient) -> None:
    where = {"lon": WEST + STEP, "lat": SOUTH + 1.5 * STEP, "datum": "wgs84"}
    report = client.post("/api/v1/reports", json={"source": "shape", **where}).json()
    somebody = {"source": "shape", "external_id": "1", "kind": "mediator", "name": "调解员"}
    client.post("/api/v1/resources", json=somebody | where)
    asked = {
        "/api/v1/locate": {"address": "魁奇东路88号"},
        "/api/v1/reports/{number}": {},
        "/api/v1/triage": {},
        "/api/v1/areas": {},
        "/api/v1/areas/{layer}": {"geometry": True},
        "/api/v1/areas/{layer}/{code}": {"geometry": True},
        "/api/v1/areas/{layer}/{code}/versions/{version}": {},
        "/api/v1/grids/{code}": {"geometry": True},
        "/api/v1/catalogue": {},
        "/api/v1/resources": {"limit": 1},
        "/api/v1/health": {},
    }
    values = {"number": report["id"], "layer": "grid", "code": GRIDS[0]}
    values["version"] = client.get(f"/api/v1/areas/grid/{GRIDS[0]}").json()["version_id"]
    for route in ROUTES:
        if route.path in asked and "GET" in route.methods:
            answer = client.get(route.path.format(**values), params=asked[route.path])
            TypeAdapter(route.responses[200]["model"]).validate_json(answer.content)
