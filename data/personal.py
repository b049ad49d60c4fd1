"""Personal data in columns: sealed with AES-GCM, shown masked, found by a keyed fingerprint.

The keys stand in one row of 32 bytes each: the first that seals, the one that fingerprints, and
those that seal since. The newest seals, and every one opens what names it. The one that marks never
changes, for the rows that it finds could not be found any more.
"""

import binascii
import hmac
import os
from base64 import b64decode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from data.settings import settings

NAME, NONCE, KEY = 4, 12, 32  # bytes


class SealError(ValueError):
    """Keys cannot be used, or do not open what was sealed; the sentence says what to do."""


@dataclass(frozen=True)
class _Keys:
    """Those that seal by the name that stands before what they sealed, the newest last."""

    seals: dict[bytes, AESGCM]
    marks: bytes


@cache
def _keys() -> _Keys:
    """The keys of the setting, or of the key file, which is made on first use."""
    given = settings().personal_key
    secret = _decoded(given.get_secret_value()) if given else _stored(_path())
    if len(secret) < 2 * KEY or len(secret) % KEY:
        where = "WANGGE_PERSONAL_KEY" if given else _path()
        raise SealError(f"{where} has {len(secret)} bytes; keys are two or more times {KEY}.")
    first, marks, *later = (secret[i : i + KEY] for i in range(0, len(secret), KEY))
    return _Keys({sha256(key).digest()[:NAME]: AESGCM(key) for key in (first, *later)}, marks)


def _path() -> Path:
    return settings().home / "personal.key"


def _decoded(given: str) -> bytes:
    try:
        return b64decode(given, validate=True)
    except binascii.Error as error:
        raise SealError(
            "WANGGE_PERSONAL_KEY is not base64; make it with `base64 -w0 personal.key`."
        ) from error


def _stored(path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(2 * KEY))
    except FileExistsError:
        pass
    return path.read_bytes()


def rotate() -> int:
    """Add a key to the file, which seals from now on; how many there are that seal.

    Raises
    ------
    SealError
        The keys stand in the setting, not in the file.
    """
    if settings().personal_key:
        raise SealError("the keys stand in WANGGE_PERSONAL_KEY: append 32 bytes to them there.")
    _keys()
    with _path().open("ab") as file:
        file.write(os.urandom(KEY))
    _keys.cache_clear()
    return len(_keys().seals)


def seal(value: str) -> bytes:
    """The value, so that only who has the key can read it; never the same bytes twice."""
    nonce = os.urandom(NONCE)
    name, key = list(_keys().seals.items())[-1]
    return name + nonce + key.encrypt(nonce, value.encode(), name)


def open_(sealed: bytes) -> str:
    """What was sealed.

    Raises
    ------
    SealError
        Its key is not among ours, or it is not what was sealed.
    """
    name, nonce = sealed[:NAME], sealed[NAME : NAME + NONCE]
    if name not in _keys().seals:
        _keys.cache_clear()  # another process may have added it
    if name not in _keys().seals:
        raise SealError(f"the key {name.hex()} that sealed this is not among the personal keys.")
    try:
        return _keys().seals[name].decrypt(nonce, sealed[NAME + NONCE :], name).decode()
    except InvalidTag as error:
        raise SealError("this is not what was sealed: it was changed since.") from error


def fingerprint(value: str) -> bytes:
    """The same bytes for the same value, which say nothing of it to who has not the key."""
    return hmac.digest(_keys().marks, value.encode(), sha256)


def mask(value: str, kind: str) -> str:
    """A name, phone or identity number so that its owner knows it and nobody else learns it."""
    if kind == "name":
        return value[:1] + "*" * (len(value) - 1)
    shown = {"phone": (3, 4), "identity": (3, 4)}.get(kind, (0, 0))
    hidden = len(value) - sum(shown)
    if hidden <= 0:
        return "*" * len(value)
    return value[: shown[0]] + "*" * hidden + value[len(value) - shown[1] :]
