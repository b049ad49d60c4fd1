"""Signing in with OpenID Connect, against a provider that sometimes lies."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pyotp
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from api.main import create_app
from api.provider import Provider, of_settings
from api.throttle import Throttle
from data import accounts, identities, sign_in
from data.accounts import Grant
from data.settings import Settings
from tests.api.provider import CLIENT, SECRET, LittleProvider, little_provider, plain

API = "/api/v1"
PASSWORD = "correct horse battery"
HTML = {"Accept": "text/html"}
web = httpx.Client(verify=False)


@pytest.fixture(scope="module")
def running() -> Iterator[LittleProvider]:
    with little_provider() as found:
        yield found


@pytest.fixture
def provider(running: LittleProvider) -> LittleProvider:
    """The provider in its right mind."""
    running.claims, running.alg = {"sub": "somebody"}, "RS256"
    running.said, running.down = {}, False
    running.asked.clear()
    return running


@pytest.fixture(scope="module")
def client(running: LittleProvider, database_url: str) -> Iterator[TestClient]:
    with opened(running, database_url) as client:
        yield client


@pytest.fixture
def app(client: TestClient, provider: LittleProvider) -> TestClient:
    """A browser that knows nothing yet."""
    client.cookies.clear()
    return client


def seen(provider: LittleProvider, match: str = "link") -> Provider:
    return Provider(provider.url, CLIENT, secret=SECRET, label="一网通", match=match)


def restart(app: TestClient, provider: LittleProvider) -> None:
    """The service knows nothing of the provider yet."""
    app.app.state.provider = seen(provider)  # type: ignore[attr-defined]


def opened(provider: LittleProvider, url: str, match: str = "link") -> TestClient:
    made = create_app(url, provider=seen(provider, match))
    made.state.throttle = Throttle(10_000)
    return TestClient(made, raise_server_exceptions=False, follow_redirects=False)


def linked(
    engine: Engine, issuer: str, subject: str, *roles: str, password: str | None = None
) -> int:
    """An account that is linked with a subject of the provider."""
    with engine.begin() as connection:
        grants = [Grant(role) for role in roles or ("dispatcher",)]
        number = accounts.add(connection, f"of {subject}", password, grants, actor="test")
        identities.link(connection, number, issuer, subject, actor="test")
    return number


def go(app: TestClient, target: str = "/maps/overview") -> httpx.Response:
    """A browser's way to the provider, up to where that sends it back."""
    left = app.get("/sign-in/provider", params={"next": target})
    assert left.status_code == 303, left.text
    return web.get(left.headers["location"])


def come(app: TestClient, target: str = "/maps/overview", **changed: str) -> httpx.Response:
    """The whole way; what came back of its query may be changed."""
    back = urlsplit(go(app, target).headers["location"])
    query = {name: each[0] for name, each in parse_qs(back.query).items()} | changed
    return app.get(f"{back.path}?{urlencode(query)}", headers=HTML)


def signed_in(app: TestClient) -> str | None:
    answer = app.get(f"{API}/sessions/current")
    return answer.json()["name"] if answer.status_code == 200 else None


def audited(engine: Engine) -> list[tuple[str, Any]]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT action, detail FROM audit ORDER BY id"))
        return [(row.action, row.detail) for row in rows]


# --- in -------------------------------------------------------------------------------------------


def test_who_is_linked_is_signed_in_and_led_on(
    app: TestClient, provider: LittleProvider, engine: Engine
) -> None:
    provider.claims["sub"] = "happy"
    linked(engine, provider.url, "happy")
    came = come(app, "/maps/overview?lang=en")
    assert (came.status_code, came.headers["location"]) == (303, "/maps/overview?lang=en")
    cookies = came.headers["set-cookie"].lower()
    assert "wangge_session=" in cookies and "httponly" in cookies and "samesite=lax" in cookies
    assert signed_in(app) == "of happy"
    assert audited(engine)[-1] == ("sign-in", {"provider": provider.url})
    out = app.delete(f"{API}/sessions/current")
    leave = urlsplit(out.json()["leave"])
    assert leave.path == "/logout" and parse_qs(leave.query) == {
        "client_id": [CLIENT], "post_logout_redirect_uri": ["http://testserver/sign-in"],
    }  # fmt: skip
    assert signed_in(app) is None


def test_the_way_to_the_provider_tells_it_nothing_that_lets_anybody_in(
    app: TestClient, provider: LittleProvider
) -> None:
    left = app.get("/sign-in/provider", params={"next": "/maps/overview"})
    address = urlsplit(left.headers["location"])
    asked = parse_qs(address.query)
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{provider.url}/authorize"
    assert asked["redirect_uri"] == ["http://testserver/sign-in/provider/back"]
    assert asked["scope"] == ["openid"] and asked["code_challenge_method"] == ["S256"]
    cookie = app.cookies["wangge_sign_in"]
    assert cookie not in left.headers["location"]
    assert "httponly" in left.headers["set-cookie"].lower()


def test_keys_that_were_exchanged_are_looked_up_anew(
    app: TestClient, provider: LittleProvider, engine: Engine
) -> None:
    provider.claims["sub"] = "rotated"
    linked(engine, provider.url, "rotated")
    restart(app, provider)
    assert come(app).status_code == 303
    assert come(app).status_code == 303
    assert provider.asked.count("/keys") == 1  # kept meanwhile
    provider.rotate()
    assert come(app).status_code == 303
    before = provider.kid
    provider.rotate()
    provider.kid = before  # another key under a name of before
    assert come(app).status_code == 303
    assert provider.asked.count("/keys") == 3


def test_a_second_factor_is_the_providers_or_ours(
    app: TestClient, provider: LittleProvider, engine: Engine
) -> None:
    provider.claims = {"sub": "strong", "amr": ["pwd", "otp"]}
    number = linked(engine, provider.url, "strong", "centre_chief")
    assert come(app).status_code == 303 and signed_in(app) == "of strong"
    app.cookies.clear()
    provider.claims["amr"] = ["pwd"]
    refused = come(app)  # it was never set up here
    assert refused.status_code == 403 and "动态验证码" in refused.text and signed_in(app) is None
    with engine.begin() as connection:
        totp = pyotp.parse_uri(accounts.enrol(connection, number))
    assert isinstance(totp, pyotp.TOTP)
    came = come(app, "/maps/overview?lang=en")
    assert came.status_code == 303 and signed_in(app) is None
    page = app.get(came.headers["location"])
    assert "Six digits" in page.text and "Password" not in page.text
    wrong = app.post(f"{API}/sessions/second-factor", json={"code": "000000"})
    assert (wrong.status_code, wrong.json()["reason"]) == (401, "wrong")
    right = {"code": totp.at(datetime.now(UTC))}
    assert app.post(f"{API}/sessions/second-factor", json=right).status_code == 201
    assert signed_in(app) == "of strong"
    again = app.post(f"{API}/sessions/second-factor", json=right)
    assert again.json()["reason"] == "no_flow"


def test_digits_without_a_provider_that_vouched_open_nothing(
    app: TestClient, provider: LittleProvider, engine: Engine
) -> None:
    go(app)  # on the way, and not back
    for _ in range(2):
        answer = app.post(f"{API}/sessions/second-factor", json={"code": "123456"})
        assert (answer.status_code, answer.json()["reason"]) == (401, "no_flow")
        app.cookies.clear()


# --- not in ---------------------------------------------------------------------------------------

NOW = int(time.time())
LIES: dict[str, dict[str, Any]] = {
    "wrong nonce": {"nonce": "of another browser"},
    "no nonce": {"nonce": None},
    "wrong audience": {"aud": "another client"},
    "made for another client": {"aud": [CLIENT, "other"], "azp": "other"},
    "for several, and nobody said whose": {"aud": [CLIENT, "other"]},
    "another issuer": {"iss": "https://elsewhere.example"},
    "expired": {"exp": NOW - 3600},
    "without an end": {"exp": None},
    "not yet": {"iat": NOW + 3600},
    "nobody": {"sub": ""},
    "no word": {"sub": 7},
    "half a character": {"sub": "\ud800"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_for_us_now_counts_for_nothing(
    app: TestClient, provider: LittleProvider, engine: Engine, lie: str
) -> None:
    subject = f"lied about: {lie}"
    linked(engine, provider.url, subject)
    provider.claims = {"sub": subject}
    assert come(app).status_code == 303  # it is the lie alone that is refused
    app.cookies.clear()
    provider.claims |= LIES[lie]
    refused = come(app)
    assert refused.status_code == 401 and "统一认证的答复无效" in refused.text
    assert signed_in(app) is None
    action, detail = audited(engine)[-1]
    assert action == "sign-in.refused" and detail["provider"] == provider.url


@pytest.mark.parametrize("alg", ["none", "HS256"])
def test_what_is_not_signed_by_a_private_key_counts_for_nothing(
    app: TestClient, provider: LittleProvider, engine: Engine, alg: str
) -> None:
    provider.claims["sub"] = alg
    linked(engine, provider.url, alg)
    assert come(app).status_code == 303
    app.cookies.clear()
    provider.alg = alg
    assert come(app).status_code == 401 and signed_in(app) is None


def test_another_key_under_the_same_name_counts_for_nothing(
    app: TestClient, provider: LittleProvider, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.claims["sub"] = "forged"
    linked(engine, provider.url, "forged")
    monkeypatch.setattr(provider, "signature", lambda text: b"x" * 256)
    assert come(app).status_code == 401 and signed_in(app) is None


def test_another_state_or_another_browser_is_not_let_in(
    app: TestClient, provider: LittleProvider, engine: Engine
) -> None:
    provider.claims["sub"] = "state"
    linked(engine, provider.url, "state")
    for state in ("", "of another", plain(b"0" * 32)):
        refused = come(app, state=state)
        assert refused.status_code == 400 and "另一个浏览器" not in refused.text
        assert "过期" in refused.text and signed_in(app) is None
    lured = go(app).headers["location"]
    app.cookies.clear()  # another browser follows the link that this one got
    assert app.get(lured).status_code == 400 and signed_in(app) is None
    for error in ("access_denied", "\0"):
        assert come(app, error=error).status_code == 401
    assert come(app, iss="https://elsewhere.example").status_code == 401  # RFC 9207
    assert signed_in(app) is None


def test_a_code_counts_once(app: TestClient, provider: LittleProvider, engine: Engine) -> None:
    provider.claims["sub"] = "once"
    linked(engine, provider.url, "once")
    back = go(app).headers["location"]
    cookie = app.cookies["wangge_sign_in"]
    assert app.get(back).status_code == 303
    app.cookies.clear()
    app.cookies.set("wangge_sign_in", cookie)
    assert app.get(back).status_code == 400 and signed_in(app) is None
    provider.claims["sub"] = "nobody's"
    back = go(app).headers["location"]
    assert [app.get(back).status_code for _ in range(2)] == [403, 400]  # used up, if in vain
    provider.claims["sub"] = "once"
    used = parse_qs(urlsplit(back).query)["code"][0]
    assert come(app, code=used).status_code == 401 and signed_in(app) is None


def test_who_stays_away_too_long_begins_again(
    app: TestClient, provider: LittleProvider, engine: Engine
) -> None:
    provider.claims["sub"] = "slow"
    linked(engine, provider.url, "slow")
    back = go(app).headers["location"]
    with engine.begin() as connection:
        connection.execute(text("UPDATE sign_in_flow SET begun = now() - interval '11 min'"))
    assert app.get(back).status_code == 400
    with engine.begin() as connection:
        assert identities.clean(connection) > 0


def test_who_has_no_account_is_told_whom_to_ask(app: TestClient, provider: LittleProvider) -> None:
    provider.claims = {"sub": "<b>new</b>", "preferred_username": "of happy", "email": "of happy"}
    refused = come(app, "/maps/overview?lang=en")
    assert refused.status_code == 403 and "Ask who gives accounts" in refused.text
    assert "&lt;b&gt;new&lt;/b&gt;" in refused.text and "<b>new" not in refused.text
    assert signed_in(app) is None


def test_ended_and_locked_accounts_stay_out(
    app: TestClient, provider: LittleProvider, engine: Engine
) -> None:
    provider.claims["sub"] = "ended"
    number = linked(engine, provider.url, "ended")
    for _ in range(sign_in.TRIES):
        app.post(f"{API}/sessions", json={"login": "of ended", "password": "wrong"})
    assert come(app).status_code == 429 and signed_in(app) is None
    with engine.begin() as connection:
        accounts.unlock(connection, number)
    assert come(app).status_code == 303
    with engine.begin() as connection:
        accounts.withdraw(connection, number)
    assert signed_in(app) is None
    refused = come(app)
    assert refused.status_code == 403 and "停用" in refused.text and signed_in(app) is None


def test_roles_are_ours_whatever_the_token_claims(
    app: TestClient, provider: LittleProvider, engine: Engine
) -> None:
    provider.claims = {"sub": "claims", "roles": ["security_admin"], "groups": ["audit_admin"]}
    linked(engine, provider.url, "claims", "grid_worker")
    come(app)
    assert "account.manage" not in app.get(f"{API}/sessions/current").json()["permissions"]


def test_while_the_provider_is_away_people_sign_in_here(
    app: TestClient, provider: LittleProvider, engine: Engine
) -> None:
    linked(engine, provider.url, "away", password=PASSWORD)
    restart(app, provider)
    provider.down = True
    away = app.get("/sign-in/provider", params={"next": "/maps/overview?lang=en"}, headers=HTML)
    assert away.status_code == 503 and "The provider does not answer" in away.text
    here = {"login": "of away", "password": PASSWORD}
    assert app.post(f"{API}/sessions", json=here).status_code == 201
    assert signed_in(app) == "of away"
    provider.down = False
    back = go(app).headers["location"]
    provider.down = True
    restart(app, provider)
    app.cookies.delete("wangge_session")
    assert app.get(back).status_code == 503 and signed_in(app) is None


@pytest.mark.parametrize(
    "said",
    [{"issuer": "https://elsewhere.example"}, {"token_endpoint": "ftp://elsewhere.example"},
     {"jwks_uri": None}],
)  # fmt: skip
def test_a_provider_that_describes_itself_wrongly_is_not_gone_to(
    app: TestClient, provider: LittleProvider, said: dict[str, Any]
) -> None:
    provider.said = said
    restart(app, provider)
    assert app.get("/sign-in/provider").status_code == 503


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "x"]
)
def test_nobody_is_led_to_another_host(
    app: TestClient, provider: LittleProvider, engine: Engine, target: str
) -> None:
    provider.claims["sub"] = f"led {target}"
    linked(engine, provider.url, f"led {target}")
    assert come(app, target).headers["location"] == "/maps/dispatch"


# --- who is whose ---------------------------------------------------------------------------------


def test_a_claim_finds_an_account_only_where_the_operator_says_so(
    provider: LittleProvider, database_url: str, engine: Engine
) -> None:
    with engine.begin() as connection:
        for login, role in (("a@city.example", "dispatcher"), ("b@city.example", "system_admin")):
            accounts.add(connection, login, None, [Grant(role)], actor="test")
    said = {"email": "A@city.example", "email_verified": True, "amr": ["mfa"]}
    with opened(provider, database_url, "email") as app:
        for changed, status in (
            ({"sub": "m1", "email_verified": False}, 403), ({"sub": "m1", "email": 7}, 403),
            ({"sub": "m2", "email": "b@city.example"}, 403),  # power is never found by a claim
            ({"sub": "m1"}, 303),
            ({"sub": "m3"}, 403),  # it is somebody's already
            ({"sub": "m1", "email": "moved@city.example"}, 303),
        ):  # fmt: skip
            app.cookies.clear()
            provider.claims = {**said, **changed}
            assert come(app).status_code == status, changed
    with engine.connect() as connection:
        query = text("SELECT actor FROM identity WHERE subject = 'm1'")
        assert connection.execute(query).scalar() == "provider"


def test_without_a_provider_there_is_no_button(database_url: str) -> None:
    with TestClient(create_app(database_url)) as app:
        assert "/sign-in/provider" not in app.get("/sign-in").text
        assert app.get("/sign-in/provider").json()["type"] == "/problems/no-provider"
        assert app.get("/sign-in/provider/back").status_code == 404


def test_the_button_and_the_policy_let_a_browser_go(app: TestClient) -> None:
    page = app.get("/sign-in", params={"next": "/maps/overview?lang=en&x=1"})
    assert 'href="/sign-in/provider?next=/maps/overview%3Flang%3Den%26x%3D1"' in page.text
    assert "一网通" in page.text and 'lang="en"' in page.text  # the language of where it leads
    assert page.headers["content-security-policy"].startswith("default-src 'self'")


def test_settings_that_cannot_be_are_refused_with_a_sentence(tmp_path: Any) -> None:
    issuer = "https://id.example"
    for wrong, told in (
        ({"oidc_issuer": "http://id.example", "oidc_client_id": "x"}, "https"),
        ({"oidc_issuer": issuer}, "WANGGE_OIDC_CLIENT_ID"),
        ({"oidc_issuer": issuer, "oidc_client_id": "x",
          "oidc_client_secret_file": tmp_path / "none"}, "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=told):
            of_settings(Settings(_env_file=None, **wrong))  # type: ignore[call-arg]
    assert of_settings(Settings(_env_file=None)) is None  # type: ignore[call-arg]
