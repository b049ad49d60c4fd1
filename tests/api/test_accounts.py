"""Signing in, what each role may, tokens, and the audit."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyotp
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, text

from api import examples
from api.main import create_app
from api.schemas_accounts import (
    AccountShown,
    AccountsShown,
    Changed,
    Deeds,
    Enrolment,
    NewAccount,
    NewToken,
    Password,
    SignedIn,
    SigningIn,
    TokenMade,
    TokensShown,
)
from api.throttle import Throttle
from data import accounts, audit
from data import sign_in as signing_in
from data.access import PERMISSIONS, POWERS, ROLES, SECOND_FACTOR
from data.accounts import Grant
from data.sequencer import seal

API = "/api/v1"
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def app(town: str) -> Iterator[TestClient]:
    """A client that shows nothing."""
    made = create_app(town)
    made.state.throttle = Throttle(10_000)  # all tests come from one address
    with TestClient(made, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def engine(town: str, engine: Engine) -> Engine:
    return engine


def made(engine: Engine, login: str, *roles: str) -> int:
    with engine.begin() as connection:
        return accounts.add(connection, login, PASSWORD, [Grant(r) for r in roles], actor="test")


def sign_in(app: TestClient, login: str, status: int = 201, **more: Any) -> dict[str, Any]:
    answer = app.post(f"{API}/sessions", json={"login": login, "password": PASSWORD, **more})
    app.cookies.clear()
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def done_by(engine: Engine, actor: str) -> list[str]:
    """What the audit says that somebody did."""
    query = text("SELECT action FROM audit WHERE actor = :actor ORDER BY id")
    with engine.connect() as connection:
        return list(connection.execute(query, {"actor": actor}).scalars())


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def enrolled(engine: Engine, number: int) -> pyotp.TOTP:
    with engine.begin() as connection:
        found = pyotp.parse_uri(accounts.enrol(connection, number))
    assert isinstance(found, pyotp.TOTP)
    return found


# --- signing in -----------------------------------------------------------------------------------


def test_who_signs_in_is_known_by_cookie_or_token_until_they_sign_out(
    app: TestClient, engine: Engine
) -> None:
    made(engine, "one", "dispatcher")
    told = sign_in(app, "ONE ")
    TypeAdapter(SignedIn).validate_python(told)
    assert told["permissions"] == sorted(ROLES["dispatcher"])
    who = app.get(f"{API}/sessions/current", headers=bearer(told["token"])).json()
    assert who["name"] == "one"
    app.cookies.set("wangge_session", told["token"])
    assert app.get(f"{API}/sessions/current").json()["name"] == "one"
    assert app.get("/maps/dispatch").status_code == 200
    app.cookies.clear()
    assert app.delete(f"{API}/sessions/current", headers=bearer(told["token"])).status_code == 204
    gone = app.get(f"{API}/sessions/current", headers=bearer(told["token"]))
    assert (gone.status_code, gone.json()["type"]) == (401, "/problems/not-signed-in")


def test_the_cookie_is_for_no_script_and_no_other_site(app: TestClient, engine: Engine) -> None:
    made(engine, "cookie", "dispatcher")
    answer = app.post(f"{API}/sessions", json={"login": "cookie", "password": PASSWORD})
    set_ = answer.headers["set-cookie"].lower()
    assert "httponly" in set_ and "samesite=lax" in set_
    body = {"source": "test"}
    for headers, status in (
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://testserver"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": "http://testserver"}, 201),
    ):
        sent = app.post(f"{API}/reports", json=body, headers=headers)
        assert sent.status_code == status, (headers, sent.text)
    app.cookies.clear()
    route = f"POST {API}/reports"
    assert done_by(engine, "cookie")[1:] == [*[f"{route} refused (cross-site)"] * 4, route, route]


def test_a_browser_is_led_to_the_page_to_sign_in_and_back(app: TestClient) -> None:
    headers = {"Accept": "text/html"}
    led = app.get("/maps/dispatch?lang=en", headers=headers, follow_redirects=False)
    assert led.status_code == 303
    assert led.headers["location"] == "/sign-in?next=/maps/dispatch%3Flang%3Den"
    page = app.get(led.headers["location"])
    assert page.status_code == 200 and '"/maps/dispatch?lang=en"' in page.text
    away = app.get("/sign-in", params={"next": "//elsewhere.example", "lang": "en"})
    assert "elsewhere" not in away.text and "Password" in away.text
    for next_ in ("/\t/elsewhere.example", "/\n/elsewhere.example", "/\\elsewhere.example"):
        assert "elsewhere" not in app.get("/sign-in", params={"next": next_}).text
    script = app.get("/sign-in", params={"next": "/</script><script>alert(1)"})
    assert "<script>alert" not in script.text


def test_wrong_tries_lock_the_door_for_a_growing_while(app: TestClient, engine: Engine) -> None:
    made(engine, "locked", "dispatcher")
    for _ in range(signing_in.TRIES):
        assert sign_in(app, "locked", 401, password="wrong")["reason"] == "wrong"
    told = app.post(f"{API}/sessions", json={"login": "locked", "password": PASSWORD})
    assert (told.status_code, told.json()["type"]) == (429, "/problems/account-locked")
    assert 0 < int(told.headers["retry-after"]) <= signing_in.LOCK_S + 1
    _pass(engine)
    sign_in(app, "locked", 401, password="wrong")
    again = app.post(f"{API}/sessions", json={"login": "locked", "password": PASSWORD})
    assert int(again.headers["retry-after"]) > signing_in.LOCK_S + 1
    _pass(engine)
    sign_in(app, "locked")


def _pass(engine: Engine) -> None:
    """Time passes for locked names."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE sign_in_try SET locked = now() - interval '1 s'"))


def test_nobody_learns_whether_there_is_an_account(app: TestClient, engine: Engine) -> None:
    ended = made(engine, "was there", "dispatcher")
    made(engine, "there", "dispatcher")
    with engine.begin() as connection:
        accounts.withdraw(connection, ended)

    def told(login: str, password: str) -> tuple[int, dict[str, Any], bool]:
        body = {"login": login, "password": password}
        answer = app.post(f"{API}/sessions", json=body)
        return answer.status_code, answer.json(), "retry-after" in answer.headers

    for count in range(signing_in.TRIES + 2):
        answers = [told(login, "wrong") for login in ("there", "nobody here", "was there")]
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][0] == (401 if count < signing_in.TRIES else 429)
    # Locked, the right password is told no more than a wrong one is.
    assert told("there", PASSWORD) == told("nobody here", PASSWORD) == answers[0]


def test_names_that_nobody_tries_any_more_are_forgotten(app: TestClient, engine: Engine) -> None:
    for login in ("old name", "new name"):
        sign_in(app, login, 401, password="wrong")
    kept = text("SELECT count(*) FROM sign_in_try WHERE name = sha256(:name)")
    past = text("UPDATE sign_in_try SET last = now() - interval '25 h' WHERE name = sha256(:name)")
    with engine.begin() as connection:
        connection.execute(past, {"name": b"old name"})
        assert signing_in.clean(connection) == 1
        assert connection.execute(kept, {"name": b"old name"}).scalar() == 0
        assert connection.execute(kept, {"name": b"new name"}).scalar() == 1


@pytest.mark.parametrize("role", SECOND_FACTOR)
def test_a_role_with_power_asks_for_a_second_factor(
    app: TestClient, engine: Engine, role: str
) -> None:
    login = f"strong-{role}"
    number = made(engine, login, role)
    assert sign_in(app, login, 401)["reason"] == "enrol"
    totp = enrolled(engine, number)
    assert sign_in(app, login, 401)["reason"] == "second_factor"
    assert sign_in(app, login, 401, code="000000")["reason"] == "wrong"
    code = totp.at(datetime.now(UTC))
    sign_in(app, login, code=code)
    assert sign_in(app, login, 401, code=code)["reason"] == "wrong"  # each counts once


def test_an_account_that_ends_is_signed_out_at_once(app: TestClient, engine: Engine) -> None:
    for end in (accounts.withdraw, lambda c, n: accounts.set_password(c, n, PASSWORD + "!")):
        number = made(engine, f"ends {end}"[:40], "dispatcher")
        secret = sign_in(app, f"ends {end}"[:40])["token"]
        assert app.get(f"{API}/cases", headers=bearer(secret)).status_code == 200
        with engine.begin() as connection:
            end(connection, number)
        assert app.get(f"{API}/cases", headers=bearer(secret)).status_code == 401


def test_a_session_ends_by_itself(app: TestClient, engine: Engine) -> None:
    made(engine, "idle", "dispatcher")
    for column in ("seen", "created"):
        secret = sign_in(app, "idle")["token"]
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE session SET {column} = now() - interval '13 hours'"))
        assert app.get(f"{API}/cases", headers=bearer(secret)).status_code == 401


def test_ones_own_password_is_changed(app: TestClient, engine: Engine) -> None:
    made(engine, "own", "dispatcher")
    headers = bearer(sign_in(app, "own")["token"])
    for old, new, status in (
        ("wrong", "staple paper clip", 401), (PASSWORD, "short", 422),
        (PASSWORD, "aaaaaaaaaaaa", 422), (PASSWORD, "my own name is", 422),
        (PASSWORD, "staple paper clip", 204),
    ):  # fmt: skip
        body = {"old": old, "new": new}
        answer = app.put(f"{API}/sessions/current/password", json=body, headers=headers)
        assert answer.status_code == status, answer.text
    sign_in(app, "own", password="staple paper clip")
    route = f"PUT {API}/sessions/current/password"
    assert done_by(engine, "own") == [
        "sign-in", "password.refused", f"{route} refused", route, "sign-in",
    ]  # fmt: skip


# --- what each may --------------------------------------------------------------------------------

OPEN = {
    f"POST {API}/sessions", f"POST {API}/sessions/second-factor", "GET /sign-in/provider",
    "GET /sign-in/provider/back", "GET /sign-in",
    f"DELETE {API}/sessions/current", f"GET {API}/health",
    f"POST {API}/owntracks", f"GET {API}/osmand", f"POST {API}/osmand",
    "GET /", "GET /problems/{name}", "GET /follow/{token}", f"GET {API}/follow/{{token}}",
    f"POST {API}/follow/{{token}}/answer", f"POST {API}/follow/{{token}}/reply",
}  # fmt: skip
SIGNED_IN = {f"GET {API}/sessions/current", f"PUT {API}/sessions/current/password"}


def routes(app: TestClient) -> dict[str, str | None]:
    """Every operation, and the permission that it demands."""

    def demanded(dependant: Any) -> str | None:
        found = [getattr(d.call, "permission", None) or demanded(d) for d in dependant.dependencies]
        return next((each for each in found if each), None)

    found: dict[str, str | None] = {}
    pending = list(app.app.routes)  # type: ignore[attr-defined]
    while pending:
        route = pending.pop()
        pending += getattr(route, "routes", None) or getattr(
            getattr(route, "original_router", None), "routes", []
        )
        if isinstance(route, APIRoute):
            for method in route.methods:
                found[f"{method} {route.path}"] = demanded(route.dependant)
    return found


def test_every_route_demands_a_permission_or_is_open(app: TestClient) -> None:
    found = routes(app)
    assert len(found) > 80
    assert {name for name, permission in found.items() if permission is None} == OPEN | SIGNED_IN
    assert set(filter(None, found.values())) <= set(PERMISSIONS)


def ask(app: TestClient, name: str, headers: dict[str, str]) -> Any:
    method, _, path = name.partition(" ")
    for parameter in ("{number}", "{resource}", "{leave}", "{id}", "{version}"):
        path = path.replace(parameter, "999999999")
    at_once = {"Prefer": "wait=0", **headers}  # no worker is there to wait for
    return app.request(method, path.replace("{", "").replace("}", ""), headers=at_once)


# Streams have no end, and are asked in a test of their own.
STREAM = f"GET {API}/events"


@pytest.mark.parametrize("role", [*ROLES, None])
def test_the_matrix_of_routes_and_roles(app: TestClient, engine: Engine, role: str | None) -> None:
    headers = {}
    if role is not None:
        number, totp = made(engine, f"matrix-{role}", role), None
        if role in SECOND_FACTOR:
            totp = enrolled(engine, number).at(datetime.now(UTC))
        headers = bearer(sign_in(app, f"matrix-{role}", code=totp)["token"])
    for name, permission in routes(app).items():
        if permission is None or name == STREAM:
            continue
        answer = ask(app, name, headers)
        if role is None:
            assert answer.status_code == 401, name
        elif permission in ROLES[role]:
            assert answer.status_code not in (401, 403), (name, role, answer.text)
        else:
            assert answer.status_code == 403, (name, role, answer.text)
            assert answer.json()["permission"] == permission


def test_the_powers_over_the_system_are_kept_apart(engine: Engine) -> None:
    admins = {role: set(ROLES[role]) for role in ROLES if role.endswith("_admin")}
    work = {"case.read", "case.write", "incident.read", "dispatch.write", "person.reveal"}
    for role, may in admins.items():
        assert not may & work
        assert not any(may & other - {"area.read"} for r, other in admins.items() if r != role)
    with pytest.raises(accounts.AccountError, match="no other role"):
        made(engine, "both", "security_admin", "dispatcher")


def test_accounts_are_made_changed_and_ended_by_who_gives_them(
    client: TestClient, app: TestClient
) -> None:
    body = {"login": "given", "password": PASSWORD, "roles": [
        {"role": "dispatcher", "area": "town:440604010000"}]}  # fmt: skip
    answer = client.post(f"{API}/accounts", json=body)
    assert answer.status_code == 201, answer.text
    TypeAdapter(AccountShown).validate_json(answer.content)
    number = answer.json()["id"]
    assert "password" not in answer.text
    assert client.post(f"{API}/accounts", json=body).status_code == 422  # taken
    for wrong in ({"login": "x", "password": "short"}, {"roles": [{"role": "king"}]},
                  {"roles": [{"role": "planner", "area": "9"}]}):  # fmt: skip
        assert client.post(f"{API}/accounts", json={**body, "login": "y", **wrong}).is_client_error
    secret = sign_in(app, "given")["token"]
    changed = client.patch(f"{API}/accounts/{number}", json={"roles": [{"role": "planner"}]})
    assert changed.json()["roles"][0]["role"] == "planner"
    assert app.get(f"{API}/sessions/current", headers=bearer(secret)).status_code == 401
    factor = client.post(f"{API}/accounts/{number}/second-factor")
    TypeAdapter(Enrolment).validate_json(factor.content)
    TypeAdapter(AccountsShown).validate_json(client.get(f"{API}/accounts").content)
    assert client.delete(f"{API}/accounts/{number}").status_code == 204
    assert client.delete(f"{API}/accounts/{number}").status_code == 404
    assert client.patch(f"{API}/accounts/{2**40}", json={}).status_code == 404
    sign_in(app, "given", 401)


def test_who_gives_accounts_opens_nothing_for_themselves(app: TestClient, engine: Engine) -> None:
    number = made(engine, "giver", "security_admin")
    totp = enrolled(engine, number)
    secret = sign_in(app, "giver", code=totp.at(datetime.now(UTC)))["token"]
    headers, url = bearer(secret), f"{API}/accounts/{number}"
    for sent in (
        app.patch(url, json={"roles": [{"role": "audit_admin"}]}, headers=headers),
        app.post(f"{url}/second-factor", headers=headers),
        app.delete(url, headers=headers),
        app.post(f"{API}/tokens", headers=headers,
                 json={"name": "x", "permissions": ["audit.read", "case.read"]}),
        *(app.post(f"{API}/tokens", headers=headers,
                   json={"name": "x", "permissions": [power]}) for power in POWERS),
        app.post(f"{API}/tokens", headers=headers,
                 json={"name": "x", "permissions": ["case.read"], "organisation": "polize"}),
        app.post(f"{API}/accounts", headers=headers,
                 json={"login": "x", "password": PASSWORD, "roles": [], "organisation": "polize"}),
        app.post(f"{API}/accounts", headers=headers,
                 json={"login": "x", "password": PASSWORD, "roles": [], "resource": 999999}),
    ):  # fmt: skip
        assert (sent.status_code, sent.json()["type"]) == (422, "/problems/account-refused")


@pytest.mark.parametrize("code", ["é", "１２３", "١٢٣", "\u202e"])
def test_digits_that_are_none_are_wrong_and_full_width_ones_are_digits(
    app: TestClient, engine: Engine, code: str
) -> None:
    login = f"wide {code}"
    totp = enrolled(engine, made(engine, login, "centre_chief"))
    assert sign_in(app, login, 401, code=code)["reason"] == "wrong"
    wide = totp.at(datetime.now(UTC)).translate({48 + n: 0xFF10 + n for n in range(10)})
    sign_in(app, login, code=wide)
    half = b'{"login": "x", "password": "\\ud800"}'
    sent = app.post(f"{API}/sessions", content=half, headers={"Content-Type": "application/json"})
    assert (sent.status_code, sent.json()["type"]) == (422, "/problems/validation")


def test_a_token_does_what_it_is_for_and_says_for_whom(client: TestClient, app: TestClient) -> None:
    body = {"name": "12345", "permissions": ["report.write", "report.read"]}
    answer = client.post(f"{API}/tokens", json=body)
    TypeAdapter(TokenMade).validate_json(answer.content)
    headers = bearer(answer.json()["token"])
    assert app.post(f"{API}/reports", json={"source": "t"}, headers=headers).status_code == 201
    assert app.get(f"{API}/cases", headers=headers).status_code == 403
    listed = client.get(f"{API}/tokens")
    TypeAdapter(TokensShown).validate_json(listed.content)
    assert answer.json()["token"] not in listed.text
    wrong = client.post(f"{API}/tokens", json={"name": "x", "permissions": ["all"]})
    assert wrong.json()["type"] == "/problems/account-refused"
    number = answer.json()["id"]
    assert client.delete(f"{API}/tokens/{number}").status_code == 204
    assert client.delete(f"{API}/tokens/{number}").status_code == 404
    assert app.get(f"{API}/reports/1", headers=headers).status_code == 401


# --- what was done --------------------------------------------------------------------------------


def test_what_is_done_is_written_down_with_who(
    client: TestClient, app: TestClient, engine: Engine
) -> None:
    made(engine, "doer", "dispatcher")
    headers = bearer(sign_in(app, "doer")["token"])
    number = app.post(f"{API}/reports", json={"source": "t"}, headers=headers).json()["id"]
    step = {"action": "escalate", "reason": "如此"}
    app.post(f"{API}/cases/{number}/steps", json=step, headers=headers)
    app.get(f"{API}/audit", headers=headers)
    sign_in(app, "doer", 401, password="wrong")
    answer = client.get(f"{API}/audit", params={"actor": "doer"})
    TypeAdapter(Deeds).validate_json(answer.content)
    deeds = [(row["action"], row["subject"]) for row in answer.json()["audit"]]
    assert deeds == [
        ("sign-in.refused", ""),
        (f"GET {API}/audit refused", f"{API}/audit"),
        (f"POST {API}/cases/{{number}}/steps", f"{API}/cases/{number}/steps"),
        (f"POST {API}/reports", f"{API}/reports"),
        ("sign-in", ""),
    ]
    assert client.get(f"{API}/cases/{number}/timeline").json()["entries"][-1]["actor"] == "doer"
    page = client.get(f"{API}/audit", params={"actor": "doer", "limit": 2}).json()
    assert len(client.get(page["next"]).json()["audit"]) == 2


def test_who_acts_in_their_own_name_cannot_take_another(app: TestClient, engine: Engine) -> None:
    made(engine, "myself", "dispatcher")
    headers = bearer(sign_in(app, "myself")["token"])
    number = app.post(f"{API}/reports", json={"source": "t"}, headers=headers).json()["id"]
    body = {"actor": "somebody else", "outcome": "如此"}
    app.post(f"{API}/incidents/{number}/close", json=body, headers=headers)
    told = app.get(f"{API}/cases/{number}/timeline", headers=headers).json()["entries"]
    assert told[-1]["actor"] == "myself"


def test_one_changed_byte_is_found_and_the_row_named(app: TestClient, engine: Engine) -> None:
    sign_in(app, "nobody", 401, password="wrong")
    with engine.begin() as connection:
        while seal(connection):
            pass
        proof = audit.verify(connection)
    assert proof.fault is None and proof.rows > 0 and proof.unsealed == 0
    with engine.begin() as connection:
        for change in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit"):
            with pytest.raises(Exception, match="never changed"), connection.begin_nested():
                connection.execute(text(change))
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        row = connection.execute(text("SELECT id FROM audit ORDER BY place LIMIT 1")).scalar_one()
        change = text("UPDATE audit SET actor = actor || 'x' WHERE id = :id")
        connection.execute(change, {"id": row})
        assert f"audit row {row} " in (audit.verify(connection).fault or "")
        transaction.rollback()
    forged = text("INSERT INTO audit (actor, action, place, seal) VALUES ('x', 'x', 9, '\\x00')")
    with pytest.raises(Exception, match="without a seal"), engine.begin() as connection:
        connection.execute(forged)
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        connection.execute(text("DELETE FROM audit WHERE place = 1"))
        assert "place 1 is missing" in (audit.verify(connection).fault or "")
        transaction.rollback()
    with engine.connect() as connection, connection.begin() as transaction:
        connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        connection.execute(text("DELETE FROM audit WHERE place = :last"), {"last": proof.rows})
        assert audit.verify(connection).fault is None  # nothing in the rest says so
        assert "cut off" in (audit.verify(connection, proof.head).fault or "")
        transaction.rollback()


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("sign_in_request", SigningIn), ("signed_in", SignedIn), ("password_request", Password),
        ("account", AccountShown), ("account_request", NewAccount),
        ("account_change_request", Changed), ("enrolment", Enrolment), ("token_request", NewToken),
        ("token_made", TokenMade), ("tokens", TokensShown), ("audit", Deeds),
    ],
)  # fmt: skip
def test_examples_are_what_the_description_says(name: str, shape: Any) -> None:
    example = examples.of(name)
    each = [e["value"] for e in example.values()] if name.endswith("_request") else [example]
    for value in each:
        TypeAdapter(shape).validate_python(value)
