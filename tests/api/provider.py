"""The other side: a little provider of OpenID Connect on a local port, which lies when asked to.

It is written against the specification with its own hands (RSA by `cryptography`), so that a
mistake of the library that we trust would show.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CLIENT, SECRET = "wangge", "a secret: between us"


def plain(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def number(value: int) -> str:
    return plain(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class LittleProvider:
    """Lets in whoever `claims["sub"]` names, without asking; what it says can be made wrong."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "somebody"}
        self.alg = "RS256"
        self.said: dict[str, Any] = {}  # that the discovery document says otherwise
        self.codes: dict[str, dict[str, str]] = {}
        self.down = False
        self.asked: list[str] = []  # paths
        self.rotate()

        class Handler(_Handler):
            provider = self

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def rotate(self) -> None:
        """Sign with another key from now on, and show only that."""
        self.key = rsa.generate_private_key(65537, 2048)
        self.kid = secrets.token_hex(4)

    # --- what it says -----------------------------------------------------------------------------

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys",
            "end_session_endpoint": f"{self.url}/logout", "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "authorization_response_iss_parameter_supported": True, **self.said,
        }  # fmt: skip

    def keys(self) -> dict[str, Any]:
        public = self.key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "kid": self.kid, "n": number(public.n),
               "e": number(public.e)}  # fmt: skip
        return {"keys": [{"kty": "from the future", "kid": "other"}, key]}

    def authorize(self, asked: dict[str, str]) -> str:
        """Where a browser goes back to."""
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT
        assert "openid" in asked["scope"].split() and asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(12)
        self.codes[code] = asked
        back = {"code": code, "state": asked["state"], "iss": self.url}
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def token(self, given: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The tokens for a code, which it gives once and only to the client that began."""
        asked = self.codes.pop(given["code"], None)
        login = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        if asked is None or [unquote_plus(each) for each in login] != [CLIENT, SECRET]:
            return None
        challenge = plain(hashlib.sha256(given["code_verifier"].encode()).digest())
        assert given["grant_type"] == "authorization_code"
        if (challenge, given["redirect_uri"]) != (asked["code_challenge"], asked["redirect_uri"]):
            return None
        return {"access_token": "x", "token_type": "Bearer", "id_token": self.id_token(asked)}

    def id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300,
                  "nonce": asked["nonce"], **self.claims}  # fmt: skip
        header = {"alg": self.alg, "kid": self.kid, "typ": "JWT"}
        text = ".".join(plain(json.dumps(part).encode()) for part in (header, claims))
        return f"{text}.{plain(self.signature(text.encode()))}"

    def signature(self, text: bytes) -> bytes:
        if self.alg == "none":
            return b""
        if self.alg == "HS256":  # with the public key, which everybody has, as the secret
            public = self.key.public_key()
            pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return hmac.digest(pem, text, "sha256")
        return self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())


class _Handler(BaseHTTPRequestHandler):
    provider: LittleProvider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.provider.asked.append(parts.path)
        if self.provider.down:
            self._send(502, {"error": "down"})
        elif parts.path == "/authorize":
            asked = {name: each[0] for name, each in parse_qs(parts.query).items()}
            self.send_response(302)
            self.send_header("Location", self.provider.authorize(asked))
            self.end_headers()
        elif parts.path == "/keys":
            self._send(200, self.provider.keys())
        else:
            self._send(200, self.provider.discovery())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        given = {name: each[0] for name, each in parse_qs(body).items()}
        told = self.provider.token(given, self.headers.get("Authorization", ""))
        self._send(400 if told is None else 200, told or {"error": "invalid_grant"})

    def _send(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def little_provider() -> Iterator[LittleProvider]:
    provider = LittleProvider()
    yield provider
    provider.stop()
