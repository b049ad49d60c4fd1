"""What concerns administrators' accounts is wanted by two, and seen by both."""

from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, text

from api.main import create_app
from api.provider import Provider
from api.schemas_accounts import Agreed, DeedShown, DeedsShown
from data import account_deeds, accounts, sign_in
from data.accounts import Grant
from tests.doors import HEADERS

API = "/api/v1"
PENDING = f"{API}/accounts/pending"
PASSWORD = "correct horse battery"
ISSUER = "https://id.example"


@pytest.fixture(scope="module")
def app(database_url: str) -> Iterator[TestClient]:
    made = create_app(database_url, provider=Provider(ISSUER, "wangge"))
    with TestClient(made, raise_server_exceptions=False) as opened:
        yield opened


def add(connection: Connection, login: str, *roles: str) -> int:
    return accounts.add(connection, login, None, [Grant(role) for role in roles], actor="test")


@pytest.fixture(scope="module")
def givers(engine: Engine) -> list[tuple[int, dict[str, str]]]:
    """Two who give accounts: their numbers, and what they show."""
    found = []
    with engine.begin() as connection:
        for login in ("giver-1", "giver-2"):
            number = add(connection, login, "security_admin")
            secret = sign_in.vouched(connection, number, ISSUER, strong=True)
            found.append((number, {"Authorization": f"Bearer {secret}"}))
    return found


@pytest.fixture
def one(givers: list[tuple[int, dict[str, str]]]) -> dict[str, str]:
    return givers[0][1]


@pytest.fixture
def other(givers: list[tuple[int, dict[str, str]]]) -> dict[str, str]:
    return givers[1][1]


def asked(answer: Any) -> int:
    """The number of a deed that waits."""
    assert answer.status_code == 202, answer.text
    return int(TypeAdapter(DeedShown).validate_json(answer.content).id)


def row(engine: Engine, number: int) -> Any:
    with engine.connect() as connection:
        return accounts.listed(connection, number)[0]


def told(engine: Engine, login: str) -> list[tuple[str, str]]:
    """What the audit has of deeds on an account: who, and what."""
    query = "SELECT actor, action FROM audit WHERE subject = :login ORDER BY id"
    with engine.connect() as connection:
        return [tuple(each) for each in connection.execute(text(query), {"login": login})]


def test_an_administrators_account_is_made_when_two_want_it(
    app: TestClient, engine: Engine, one: dict[str, str], other: dict[str, str]
) -> None:
    body = {"login": "auditor", "password": PASSWORD, "roles": [{"role": "audit_admin"}]}
    deed = asked(app.post(f"{API}/accounts", json=body, headers=one))
    listed = app.get(PENDING, headers=other)
    [shown] = TypeAdapter(DeedsShown).validate_json(listed.content).pending
    assert (shown.id, shown.login, shown.actor, shown.password) == (
        deed, "auditor", "giver-1", True,
    )  # fmt: skip
    assert shown.roles and shown.roles[0].role == "audit_admin"
    assert PASSWORD not in listed.text and "argon2" not in listed.text
    assert "auditor" not in app.get(f"{API}/accounts", headers=one).text
    own = app.post(f"{PENDING}/{deed}/approval", headers=one)
    assert (own.status_code, own.json()["type"]) == (422, "/problems/account-refused")
    done = app.post(f"{PENDING}/{deed}/approval", headers=other)
    account = TypeAdapter(Agreed).validate_json(done.content).account
    assert [each.role for each in account.roles] == ["audit_admin"]
    with engine.connect() as connection:
        assert sign_in.is_right(sign_in.password_of(connection, "auditor"), PASSWORD)
    assert app.post(f"{PENDING}/{deed}/approval", headers=other).status_code == 404
    assert told(engine, "auditor") == [
        ("giver-1", "account.asked"), ("giver-2", "account.agreed"),
    ]  # fmt: skip
    with engine.connect() as connection:
        query = "SELECT action FROM audit WHERE actor = 'giver-1' AND action LIKE 'POST%'"
        assert connection.execute(text(query)).scalar() == f"POST {API}/accounts asked"


def test_every_change_to_an_administrator_waits(
    app: TestClient, engine: Engine, one: dict[str, str], other: dict[str, str]
) -> None:
    with engine.begin() as connection:
        number = add(connection, "operator", "system_admin")
    url, before = f"{API}/accounts/{number}", row(engine, number)
    wanted = {
        "roles": app.patch(url, json={"roles": [{"role": "planner"}]}, headers=one),
        "password": app.patch(url, json={"password": PASSWORD}, headers=one),
        "factor": app.post(f"{url}/second-factor", headers=one),
        "link": app.put(f"{url}/identity", json={"subject": "s1"}, headers=one),
        "unlink": app.delete(f"{url}/identity", headers=one),
        "end": app.delete(url, headers=one),
    }
    deeds = {name: asked(answer) for name, answer in wanted.items()}
    assert row(engine, number) == before

    def agree(name: str) -> dict[str, Any]:
        answer = app.post(f"{PENDING}/{deeds[name]}/approval", headers=other)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    assert isinstance(pyotp.parse_uri(agree("factor")["address"]), pyotp.TOTP)
    assert agree("link")["account"]["identities"] == [{"issuer": ISSUER, "subject": "s1"}]
    assert agree("unlink")["account"]["identities"] == []
    agree("password")
    with engine.connect() as connection:
        assert sign_in.is_right(sign_in.password_of(connection, "operator"), PASSWORD)
    assert agree("end")["account"]["withdrawn"] is not None
    deeds["reopen"] = asked(app.post(f"{url}/reopening", headers=one))  # it has its role still
    assert agree("reopen")["account"]["withdrawn"] is None
    assert agree("roles")["account"]["roles"][0]["role"] == "planner"
    assert app.delete(url, headers=one).status_code == 204  # and is no administrator's any more
    assert app.post(f"{url}/reopening", headers=one).status_code == 200
    assert app.post(f"{url}/reopening", headers=one).status_code == 404


def test_who_becomes_an_administrator_waits_too_and_others_do_not(
    app: TestClient, engine: Engine, one: dict[str, str]
) -> None:
    with engine.begin() as connection:
        number = add(connection, "rising", "dispatcher")
    url = f"{API}/accounts/{number}"
    assert app.patch(url, json={"roles": [{"role": "planner"}]}, headers=one).status_code == 200
    link = app.put(f"{url}/identity", json={"subject": "rising"}, headers=one)
    assert link.json()["identities"] == [{"issuer": ISSUER, "subject": "rising"}]
    again = app.put(f"{url}/identity", json={"subject": "risen"}, headers=one)
    assert again.json()["identities"] == [{"issuer": ISSUER, "subject": "risen"}]
    asked(app.patch(url, json={"roles": [{"role": "security_admin"}]}, headers=one))
    assert row(engine, number)["roles"][0]["role"] == "planner"


def test_a_subject_is_one_accounts(app: TestClient, engine: Engine, one: dict[str, str]) -> None:
    with engine.begin() as connection:
        numbers = [add(connection, login, "dispatcher") for login in ("first", "second")]
    url = f"{API}/accounts/{{}}/identity"
    statuses = [
        app.put(url.format(number), json={"subject": "shared"}, headers=one).status_code
        for number in numbers
    ]
    assert statuses == [200, 422]
    assert app.put(url.format(2**40), json={"subject": "x"}, headers=one).status_code == 404


def test_what_cannot_be_is_refused_before_anybody_is_asked(
    app: TestClient, engine: Engine, givers: list[tuple[int, dict[str, str]]]
) -> None:
    number, headers = givers[0]
    with engine.begin() as connection:
        add(connection, "taken", "audit_admin")
    admin = [{"role": "audit_admin"}]
    for body in (
        {"login": "taken", "password": PASSWORD, "roles": admin},
        {"login": "short", "password": "short", "roles": admin},
        {"login": "both", "password": PASSWORD, "roles": [*admin, {"role": "planner"}]},
    ):
        answer = app.post(f"{API}/accounts", json=body, headers=headers)
        assert answer.json()["type"] == "/problems/account-refused", answer.text
    own = app.patch(f"{API}/accounts/{number}", json={"roles": admin}, headers=headers)
    assert own.json()["type"] == "/problems/account-refused"
    token = app.post(
        f"{API}/accounts", json={"login": "robot", "roles": admin}, headers=HEADERS
    )  # a token is no person
    assert token.json()["type"] == "/problems/account-refused"
    assert app.get(PENDING, headers=headers).text.count('"taken"') == 0


def test_a_token_agrees_to_nothing_and_nobody_to_what_concerns_themselves(
    app: TestClient, engine: Engine, givers: list[tuple[int, dict[str, str]]]
) -> None:
    (_, one), (number, other) = givers
    deed = asked(app.post(f"{API}/accounts/{number}/second-factor", headers=one))
    for headers in (HEADERS, other):
        answer = app.post(f"{PENDING}/{deed}/approval", headers=headers)
        assert answer.json()["type"] == "/problems/account-refused", answer.text
    assert app.delete(f"{PENDING}/{deed}", headers=one).status_code == 204


def test_it_is_refused_taken_back_or_too_old(
    app: TestClient, engine: Engine, one: dict[str, str], other: dict[str, str]
) -> None:
    with engine.begin() as connection:
        number = add(connection, "stays", "audit_admin")
    url = f"{API}/accounts/{number}"
    refused = asked(app.delete(url, headers=one))
    assert app.delete(f"{PENDING}/{refused}", headers=other).status_code == 204
    back = asked(app.delete(url, headers=one))
    assert app.delete(f"{PENDING}/{back}", headers=one).status_code == 204
    old = asked(app.delete(url, headers=one))
    with engine.begin() as connection:
        query = text("UPDATE account_deed SET expires = now() - interval '1 s' WHERE id = :id")
        connection.execute(query, {"id": old})
    for deed in (refused, back, old):
        answer = app.post(f"{PENDING}/{deed}/approval", headers=other)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/deed-unknown")
    with engine.begin() as connection:
        assert account_deeds.clean(connection) == 1
    assert row(engine, number)["withdrawn"] is None
    assert [action for _, action in told(engine, "stays")] == [
        "account.asked", "account.refused", "account.asked", "account.taken-back", "account.asked",
    ]  # fmt: skip


def test_what_somebody_asked_who_may_not_any_more_is_asked_no_more(
    app: TestClient, engine: Engine, other: dict[str, str]
) -> None:
    with engine.begin() as connection:
        giver = add(connection, "leaving", "security_admin")
        secret = sign_in.vouched(connection, giver, ISSUER, strong=True)
    body = {"login": "planted", "roles": [{"role": "audit_admin"}]}
    headers = {"Authorization": f"Bearer {secret}"}
    deed = asked(app.post(f"{API}/accounts", json=body, headers=headers))
    with engine.begin() as connection:
        accounts.withdraw(connection, giver)
    assert "planted" not in app.get(PENDING, headers=other).text
    assert app.post(f"{PENDING}/{deed}/approval", headers=other).status_code == 404
