"""Personal data in columns: sealed with AES-GCM, shown masked, found by a keyed fingerprint."""

import hmac
import os
from functools import cache
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from data.settings import settings

NONCE, KEY = 12, 32  # bytes


@cache
def _keys() -> tuple[AESGCM, bytes]:
    """The key that seals and the one that fingerprints, of the key file, made on first use."""
    path = settings().home / "personal.key"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(2 * KEY))
    except FileExistsError:
        pass
    secret = path.read_bytes()
    return AESGCM(secret[:KEY]), secret[KEY : 2 * KEY]


def seal(value: str) -> bytes:
    """The value, so that only who has the key can read it; never the same bytes twice."""
    nonce = os.urandom(NONCE)
    return nonce + _keys()[0].encrypt(nonce, value.encode(), None)


def open_(sealed: bytes) -> str:
    """What was sealed."""
    return _keys()[0].decrypt(sealed[:NONCE], sealed[NONCE:], None).decode()


def fingerprint(value: str) -> bytes:
    """The same bytes for the same value, which say nothing of it to who has not the key."""
    return hmac.digest(_keys()[1], value.encode(), sha256)


def mask(value: str, kind: str) -> str:
    """A name, phone or identity number so that its owner knows it and nobody else learns it."""
    if kind == "name":
        return value[:1] + "*" * (len(value) - 1)
    shown = {"phone": (3, 4), "identity": (3, 4)}.get(kind, (0, 0))
    hidden = len(value) - sum(shown)
    if hidden <= 0:
        return "*" * len(value)
    return value[: shown[0]] + "*" * hidden + value[len(value) - shown[1] :]
