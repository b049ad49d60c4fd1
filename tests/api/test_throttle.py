"""Wrong tries to sign in are counted by address, and who asks is only believed of whom we trust."""

from collections.abc import Iterator

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from api.main import create_app
from api.serving import Server
from api.throttle import MOST_ADDRESSES, WINDOW_S, Throttle, network
from data import accounts
from data.accounts import Grant
from data.settings import settings
from tests.api.live import serving

SESSIONS = "/api/v1/sessions"
PASSWORD = "correct horse battery"
MOST = 2


@pytest.fixture
def app(database_url: str) -> Iterator[TestClient]:
    made = create_app(database_url)
    made.state.throttle = Throttle(MOST)
    with TestClient(made, raise_server_exceptions=False) as opened:
        yield opened


def wrong(client: TestClient | httpx.Client, name: str, **headers: str) -> httpx.Response:
    body = {"login": name, "password": "wrong"}
    return client.post(SESSIONS, json=body, headers=headers)


def test_an_address_that_tries_too_often_waits(app: TestClient, engine: Engine) -> None:
    with engine.begin() as connection:
        accounts.add(connection, "right", PASSWORD, [Grant("dispatcher")], actor="test")
    right = {"login": "right", "password": PASSWORD}
    for number in range(MOST):
        assert app.post(SESSIONS, json=right).status_code == 201  # costs nothing
        assert wrong(app, f"name {number}").status_code == 401
    late = wrong(app, "another name", **{"X-Forwarded-For": "192.0.2.1"})
    assert (late.status_code, late.json()["type"]) == (429, "/problems/too-many-tries")
    assert 0 < int(late.headers["retry-after"]) <= WINDOW_S + 1
    assert app.post(SESSIONS, json=right).status_code == 429
    page = app.get("/sign-in/provider", headers={"Accept": "text/html"})
    assert page.status_code == 429 and "<h1>" in page.text


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60), st.integers(1, 5))
def test_never_more_than_so_many_in_any_minute(moments: list[int], most: int) -> None:
    throttle, let = Throttle(most), []
    for now in sorted(moments):
        wait = throttle.take("a", now)
        if wait is None:
            let.append(now)
        else:
            assert 0 < wait <= WINDOW_S
            assert throttle.take("b", now) is None  # another's are their own
            throttle.give_back("b")
    for each in let:
        assert sum(each <= other < each + WINDOW_S for other in let) <= most


def test_it_remembers_no_more_addresses_than_so_many() -> None:
    throttle = Throttle(1)
    for number in range(MOST_ADDRESSES + 10):
        throttle.take(str(number), 0.0)
    assert len(throttle._tries) == MOST_ADDRESSES
    assert throttle.take(str(MOST_ADDRESSES), 1.0) is not None


@pytest.mark.parametrize(
    ("address", "counted"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("", ""),
     ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::"), ("fe80::1%eth0", "fe80::"), ("x", "x")],
)  # fmt: skip
def test_what_is_counted_as_one(address: str, counted: str) -> None:
    assert network(address) == counted


@pytest.mark.parametrize(("trusted", "believed"), [("", False), ("127.0.0.0/8", True)])
def test_only_a_trusted_proxy_says_who_asks(
    database_url: str, monkeypatch: pytest.MonkeyPatch, trusted: str, believed: bool
) -> None:
    monkeypatch.setenv("WANGGE_TRUSTED_PROXIES", trusted)
    monkeypatch.setenv("WANGGE_SIGN_IN_TRIES", "1")
    settings.cache_clear()
    try:
        with serving(database_url) as base, httpx.Client(base_url=base, verify=False) as web:
            statuses = [
                wrong(web, "x", **{"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in (1, 2)
            ]
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert statuses == ([401, 401] if believed else [401, 429])


def test_the_server_believes_nobody_by_itself() -> None:
    server = Server(create_app("postgresql+psycopg://"), "127.0.0.1", 1)
    assert not server.config.proxy_headers
