"""The other side of OpenID Connect: what a provider says of itself, and of who comes from it.

OpenID Connect Core 1.0 and Discovery 1.0, the authorization code flow with PKCE (RFC 7636). An ID
token counts only with a signature by a key of the provider's (never a shared or no secret), for
this client, in its time, and for the browser that was sent.
"""

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeGuard
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from data.identities import Flow
from data.settings import Settings

# Only what is signed with a private key: with HS256 the client's secret, or a public key taken for
# one, would do.
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
STRONG = {"mfa", "otp"}  # RFC 8176: with these the provider asked for a second factor
LEEWAY_S = 60  # between the clocks
FRESH_S = 3600.0  # so long what a provider says of itself counts
TIMEOUT_S = 10.0
MOST_SUBJECT = 255  # characters (Core 1.0, section 2)
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderError(Exception):
    """The provider cannot be asked (`away`), or what came from it does not count (`refused`)."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Vouched:
    """Of whom a provider says who it is.

    Attributes
    ----------
    subject : the provider's name for them, given to nobody else
    strong : whether the provider asked for a second factor
    login : what may be the name of their account, if the operator lets it count; None: nothing
    """

    subject: str
    strong: bool
    login: str | None


class Provider:
    """A provider, as a client of it sees it.

    Parameters
    ----------
    match : `link`, or the claim that is taken for a login: `email`, `preferred_username`
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        *,
        secret: str | None = None,
        label: str = "OpenID Connect",
        match: str = "link",
    ) -> None:
        _check(issuer)
        self.issuer, self.client_id = issuer, client_id
        self.label, self._secret, self._match = label, secret, match
        self._said: tuple[float, dict[str, Any]] | None = None
        self._keys: KeySet | None = None

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=ssl.create_default_context(),
            timeout=TIMEOUT_S,
            follow_redirects=False,
            headers={"User-Agent": "Wangge", "Accept": "application/json"},
        )

    async def leave(self, flow: Flow, redirect_uri: str) -> str:
        """The address of the provider to which a browser is sent.

        Raises
        ------
        ProviderError
        """
        said = await self._describes()
        scopes = {"email": "openid email", "preferred_username": "openid profile"}
        asked = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": redirect_uri,
            "scope": scopes.get(self._match, "openid"), "state": flow.state, "nonce": flow.nonce,
            "code_challenge": flow.challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return _with(said["authorization_endpoint"], asked)

    async def vouches(
        self, flow: Flow, code: str, redirect_uri: str, issuer: str | None, now: datetime
    ) -> Vouched:
        """For whom the provider vouches with the code that a browser brought back.

        Parameters
        ----------
        issuer : the provider that the browser says that it comes from (RFC 9207); None: it does
            not say

        Raises
        ------
        ProviderError
        """
        said = await self._describes()
        promised = said.get("authorization_response_iss_parameter_supported") is True
        if issuer != self.issuer and (issuer is not None or promised):
            raise ProviderError("refused", "The answer comes from another provider.")
        token = await self._token(said, flow, code, redirect_uri)
        return self._vouched(await self._claims(said, token, flow.nonce, now))

    async def farewell(self, back: str) -> str | None:
        """Where a browser ends its session with the provider, too; None: nowhere."""
        try:
            endpoint = (await self._describes()).get("end_session_endpoint")
        except ProviderError:
            return None
        asked = {"client_id": self.client_id, "post_logout_redirect_uri": back}
        return _with(endpoint, asked) if isinstance(endpoint, str) else None

    async def close(self) -> None:
        """Close every connection."""
        if "_client" in self.__dict__:
            await self._client.aclose()

    async def _describes(self) -> dict[str, Any]:
        """The discovery document, which says whose it is."""
        if self._said is not None and time.monotonic() < self._said[0] + FRESH_S:
            return self._said[1]
        said = await self._ask("GET", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if said.get("issuer") != self.issuer:
            raise ProviderError("away", "The provider describes itself as another issuer.")
        for name in _ENDPOINTS:
            if not _is_like(said.get(name), self.issuer):
                raise ProviderError("away", f"The provider does not say where its {name} is.")
        self._said = (time.monotonic(), said)
        return said

    async def _ask(
        self,
        method: str,
        url: str,
        data: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
    ) -> dict[str, Any]:
        given: dict[str, Any] = {} if auth is None else {"auth": auth}
        try:
            answer = await self._client.request(method, url, data=data, **given)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            said = str(error) or type(error).__name__
            raise ProviderError("away", f"The provider does not answer: {said}.") from error
        try:
            content = answer.json()
        except ValueError:
            content = None
        if answer.is_client_error and data is not None:
            why = content.get("error") if isinstance(content, dict) else answer.status_code
            raise ProviderError("refused", f"The provider does not take the code: {why}.")
        if not answer.is_success or not isinstance(content, dict):
            raise ProviderError("away", f"The provider answers {answer.status_code} without sense.")
        return content

    async def _token(
        self, said: Mapping[str, Any], flow: Flow, code: str, redirect_uri: str
    ) -> str:
        """The ID token for a code, which the provider gives once."""
        asked = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
            "code_verifier": flow.verifier,
        }  # fmt: skip
        auth = None
        ways = said.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self._secret is not None and "client_secret_basic" in ways:
            auth = httpx.BasicAuth(_quoted(self.client_id), _quoted(self._secret))
        else:
            asked["client_id"] = self.client_id
            asked |= {"client_secret": self._secret} if self._secret else {}
        token = (await self._ask("POST", said["token_endpoint"], asked, auth)).get("id_token")
        if not isinstance(token, str):
            raise ProviderError("refused", "The provider gave no ID token.")
        return token

    async def _claims(
        self, said: Mapping[str, Any], token: str, nonce: str, now: datetime
    ) -> dict[str, Any]:
        """What an ID token says, once everything about it is right."""
        try:
            claims = (await self._decoded(said, token)).claims
            JWTClaimsRegistry(
                now=int(now.timestamp()), leeway=LEEWAY_S,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self.client_id},
                sub={"essential": True}, exp={"essential": True}, iat={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)  # fmt: skip
        except (JoseError, ValueError) as error:
            raise ProviderError("refused", f"The ID token does not count: {error}.") from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.client_id) != self.client_id:
            raise ProviderError("refused", "The ID token was made for another client.")
        return claims

    async def _decoded(self, said: Mapping[str, Any], token: str) -> jwt.Token:
        """A token whose signature is right, by the keys as they were or else as they are now."""
        if self._keys is not None:
            try:
                return jwt.decode(token, self._keys, algorithms=ALGORITHMS)
            except (InvalidKeyIdError, BadSignatureError):
                pass  # the keys may have been exchanged since
        self._keys = KeySet.import_key_set(await self._ask("GET", said["jwks_uri"]))  # type: ignore[arg-type]
        return jwt.decode(token, self._keys, algorithms=ALGORITHMS)

    def _vouched(self, claims: Mapping[str, Any]) -> Vouched:
        subject, methods = claims["sub"], claims.get("amr")
        if not 0 < len(subject) <= MOST_SUBJECT or not _is_text(subject):
            raise ProviderError("refused", "The ID token names nobody.")
        strong = isinstance(methods, list) and any(each in STRONG for each in methods)
        login = claims.get(self._match)
        if self._match == "email" and claims.get("email_verified") is not True:
            login = None
        return Vouched(subject, strong, login if _is_text(login) else None)


def of_settings(chosen: Settings) -> Provider | None:
    """The provider that the settings name; None: they name none.

    Raises
    ------
    ValueError
        With what to mend about them.
    """
    if not chosen.oidc_issuer:
        return None
    if not chosen.oidc_client_id:
        raise ValueError("WANGGE_OIDC_ISSUER goes with WANGGE_OIDC_CLIENT_ID; give both.")
    secret = None
    if chosen.oidc_client_secret_file:
        try:
            secret = chosen.oidc_client_secret_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"WANGGE_OIDC_CLIENT_SECRET_FILE cannot be read: {error}.") from error
    return Provider(
        chosen.oidc_issuer, chosen.oidc_client_id, secret=secret, label=chosen.oidc_label,
        match=chosen.oidc_match,
    )  # fmt: skip


def _check(issuer: str) -> None:
    parts = urlsplit(issuer)
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if not (parts.scheme == "https" or (parts.scheme == "http" and here)) or not parts.netloc:
        raise ValueError("WANGGE_OIDC_ISSUER is to be an address that begins with https://.")


def _is_like(url: object, issuer: str) -> bool:
    """Whether an address is no less protected than the issuer's."""
    return isinstance(url, str) and url.startswith(("https://", f"{urlsplit(issuer).scheme}://"))


def _is_text(value: object) -> TypeGuard[str]:
    """Whether it can be stored and shown: JSON can hold NUL and half characters, too."""
    return isinstance(value, str) and value.isprintable()


def _with(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"


def _quoted(value: str) -> str:
    """As RFC 6749, section 2.3.1, wants it before Basic encodes it."""
    return urlencode({"": value})[1:]
