"""Idempotency-Key: the same request again does nothing again and gets the same answer."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from typing import Any

import pytest
from fastapi import Response
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, event, text

from api.answers import Json
from api.main import create_app
from api.once import REPLAYED, Once
from api.problems import Problem
from data import requests
from tests.doors import HEADERS
from tests.people import add as person
from tests.people import incident

API = "/api/v1"
keys = (f"key {n}" for n in count())


@pytest.fixture
def make(engine: Engine, town: str) -> Callable[..., int]:
    """Make an incident or a person for the application to see."""

    def made(what: Callable[..., int], **facts: Any) -> int:
        with engine.begin() as connection:
            return what(connection, **facts)

    return made


def asked(engine: Engine, query: str, **values: Any) -> Any:
    with engine.connect() as connection:
        return connection.execute(text(query), values).scalar()


def send(client: TestClient, to: int, who: int, key: str | None, note: str = "") -> Any:
    body = {"send": [{"resource": who}], "actor": "dispatcher", "note": note}
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(f"{API}/incidents/{to}/dispatches", json=body, headers=headers)


def dispatches(engine: Engine, to: int) -> int:
    return int(asked(engine, "SELECT count(*) FROM dispatch WHERE incident_id = :to", to=to))


def test_the_same_request_three_times_is_done_once(
    client: TestClient, engine: Engine, make: Callable[..., int]
) -> None:
    to, who, key = make(incident), make(person), '"8e03978e-40d5-43e8"'
    first, *again = [send(client, to, who, key) for _ in range(3)]
    assert first.status_code == 201 and REPLAYED not in first.headers
    for answer in again:
        assert (answer.status_code, answer.content) == (201, first.content)
        kept = {name: value for name, value in answer.headers.items() if name != REPLAYED.lower()}
        assert kept == dict(first.headers)
        assert answer.headers[REPLAYED] == "true"
    assert dispatches(engine, to) == 1
    # Quotes belong to the header, not to the key.
    assert send(client, to, who, key.strip('"')).headers[REPLAYED] == "true"


def test_a_repeat_is_answered_as_it_was_although_the_world_went_on(
    client: TestClient, make: Callable[..., int]
) -> None:
    to, who, key = make(incident), make(person), next(keys)
    first = send(client, to, who, key)
    task = first.json()["assignments"][0]["id"]
    said = {"state": "declined", "actor": "them", "reason": "ill"}
    client.post(f"{API}/assignments/{task}/steps", json=said)
    assert send(client, to, who, key).content == first.content
    assert client.get(f"{API}/assignments/{task}").json()["state"] == "declined"


def test_sixteen_at_once_are_done_once(
    client: TestClient, engine: Engine, make: Callable[..., int]
) -> None:
    to, who, key = make(incident), make(person), next(keys)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: send(client, to, who, key), range(16)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1
    assert sum(REPLAYED in a.headers for a in answers) == 15
    assert dispatches(engine, to) == 1


def test_without_a_key_or_with_another_it_is_another_request(
    client: TestClient, engine: Engine, make: Callable[..., int]
) -> None:
    to, who = make(incident), make(person)
    assert [send(client, to, who, key).status_code for key in (None, None, next(keys))] == [
        201, 409, 409,
    ]  # fmt: skip


def test_a_key_is_for_one_request_only(
    client: TestClient, engine: Engine, make: Callable[..., int]
) -> None:
    to, other, who, key = make(incident), make(incident), make(person), next(keys)
    send(client, to, who, key)
    for answer in (send(client, to, who, key, note="another"), send(client, other, who, key)):
        assert answer.status_code == 422
        assert answer.json()["type"] == "/problems/key-reused"
        assert answer.json()["field"] == "Idempotency-Key"
    # Another route's keys are its own.
    headers = {"Idempotency-Key": key}
    body = {"actor": "us", "reason": "false alarm"}
    recalled = client.post(f"{API}/incidents/{to}/recall", json=body, headers=headers)
    assert recalled.status_code == 200


def test_what_was_refused_is_tried_anew(
    client: TestClient, engine: Engine, make: Callable[..., int]
) -> None:
    to, other, who, key = make(incident), make(incident), make(person), next(keys)
    task = send(client, other, who, None).json()["assignments"][0]["id"]
    assert send(client, to, who, key).status_code == 409
    assert asked(engine, "SELECT count(*) FROM request WHERE key = :key", key=key) == 0
    said = {"state": "recalled", "actor": "us", "reason": "needed elsewhere"}
    client.post(f"{API}/assignments/{task}/steps", json=said)
    answer = send(client, to, who, key)
    assert answer.status_code == 201 and REPLAYED not in answer.headers


@pytest.mark.parametrize("key", ["", '""', "  ", "x" * 203])
def test_a_key_that_is_none_is_refused(
    client: TestClient, make: Callable[..., int], key: str
) -> None:
    answer = send(client, make(incident), make(person), key)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/validation"
    assert "idempotency-key" in answer.json()["field"].lower()


def test_a_report_is_confirmed_once(client: TestClient, engine: Engine) -> None:
    report = client.post(f"{API}/reports", json={"source": "12345"}).json()["id"]
    body = {"code": "440604010001001", "lon": 113.1025, "lat": 23.0025, "datum": "wgs84"}
    headers = {"Idempotency-Key": next(keys)}
    path = f"{API}/reports/{report}/confirm"
    first, again = (client.post(path, json=body, headers=headers) for _ in range(2))
    assert (first.status_code, again.content) == (200, first.content)
    query = "SELECT count(*) FROM confirmation WHERE report_id = :report"
    assert asked(engine, query, report=report) == 1


# --- while the first is at work, and what it costs ------------------------------------------------


class Workshop:
    """A write that can be held up and made to fail."""

    def __init__(self) -> None:
        self.begun, self.go = Event(), Event()
        self.fails, self.times = False, 0

    def work(self, connection: Connection) -> Response:
        self.times += 1
        connection.execute(text("SELECT 1"))
        self.begun.set()
        assert self.go.wait(30)
        if self.fails:
            self.fails = False
            raise Problem("not-found")
        return Json({"times": self.times}, 201)


@pytest.fixture
def workshop(town: str) -> Iterator[tuple[Workshop, TestClient]]:
    app, shop = create_app(town), Workshop()

    @app.post("/work")
    async def work(once: Once) -> Response:
        return await once(shop.work)

    with TestClient(app, headers=HEADERS) as client:
        yield shop, client


@pytest.mark.parametrize("fails", [False, True])
def test_a_repeat_waits_for_the_first(
    workshop: tuple[Workshop, TestClient], engine: Engine, fails: bool
) -> None:
    shop, client = workshop
    shop.fails = fails
    headers = {"Idempotency-Key": next(keys)}
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO request%'"
    )
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.post, "/work", headers=headers)
        assert shop.begun.wait(30)
        second = pool.submit(client.post, "/work", headers=headers)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while not connection.execute(waiting).scalar():
                assert not second.done()
        shop.go.set()
    if fails:
        assert first.result().status_code == 404
        assert second.result().json() == {"times": 2}
        assert REPLAYED not in second.result().headers
    else:
        assert second.result().content == first.result().content == b'{"times":1}'
        assert second.result().headers[REPLAYED] == "true"


@pytest.mark.parametrize("key", [None, "key of a count"])
def test_without_a_key_no_statement_is_added(
    workshop: tuple[Workshop, TestClient], key: str | None
) -> None:
    shop, client = workshop
    shop.go.set()
    client.post("/work")  # connects
    statements: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # Others look for events, or draw the ground, meanwhile.
        if statement == "SELECT 1" or "request" in statement:
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        client.post("/work", headers={"Idempotency-Key": key} if key else {})
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(statements) == (3 if key else 1)


def test_answers_are_kept_for_a_day(connection: Connection) -> None:
    answer = requests.Answer(201, {"location": "/x"}, b'{"a":1}')
    for key in ("old", "young"):
        assert requests.claim(connection, "POST /x", key, "body") is None
        requests.keep(connection, "POST /x", key, answer)
    age = text("UPDATE request SET created = now() - make_interval(hours => :h) WHERE key = :key")
    connection.execute(age, [{"key": "old", "h": 25}, {"key": "young", "h": 23}])
    assert requests.clean(connection) == 1
    assert requests.claim(connection, "POST /x", "young", "body") == answer
    assert requests.claim(connection, "POST /x", "old", "body") is None
