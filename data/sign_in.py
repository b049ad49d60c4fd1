"""Signing in: by password or by a provider that vouches, with a second factor; wrong tries lock.

Tries are counted by the name that was given, so that a name without an account is locked like one
with it, and no answer tells which names there are.
"""

import secrets
import unicodedata
from typing import Any

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, RowMapping, text

from data import audit
from data.access import SECOND_FACTOR
from data.accounts import digest, set_password

TRIES = 5  # wrong ones in a row before a name is locked
LOCK_S, LONGEST_LOCK_S = 60, 3600  # for so long, doubled with each further one
KEPT_H = 24  # after which tries are forgotten
_hasher = PasswordHasher()
# What is compared with when there is no such account, so that it takes as long.
_NOBODY = _hasher.hash(secrets.token_hex(16))


class SignInError(Exception):
    """Nobody is signed in; `reason` is wrong, locked, ended, second_factor or enrol."""

    def __init__(self, reason: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.reason, self.facts = reason, facts


_HOLD = text("""
SELECT id, login, password, totp, totp_used, clock_timestamp() AS now,
       ARRAY(SELECT role FROM account_role r WHERE r.account_id = a.id) AS roles
FROM account a WHERE login = :login AND withdrawn IS NULL FOR NO KEY UPDATE
""")
_OPEN = text("INSERT INTO session (hash, account_id, issuer) VALUES (:hash, :account_id, :issuer)")
_USED = text("UPDATE account SET totp_used = coalesce(:step, totp_used) WHERE id = :id")
_PASSWORD = text("SELECT password FROM account WHERE login = :login AND withdrawn IS NULL")


# --- tries ----------------------------------------------------------------------------------------

# The row is there from the first try on and under a lock until the commit: who tries many at once
# is counted for each.
_COUNTED = text("""
INSERT INTO sign_in_try AS t (name) VALUES (:name)
ON CONFLICT (name) DO UPDATE SET last = clock_timestamp()
RETURNING failures, CAST(extract(epoch FROM locked - clock_timestamp()) AS double precision) AS wait
""")
_WRONG = text("""
UPDATE sign_in_try SET failures = failures + 1, locked = CASE WHEN failures + 1 >= :tries THEN
    clock_timestamp() + make_interval(secs => least(:longest_s, :lock_s * 2.0 ^ least(failures + 1
                                                    - :tries, 20))) END
WHERE name = :name
""")
_RIGHT = text("DELETE FROM sign_in_try WHERE name = :name")
_CLEAN = text("""
DELETE FROM sign_in_try WHERE last < now() - make_interval(hours => :kept_h)
    AND (locked IS NULL OR locked < now())
""")


def _name(login: str) -> str:
    return login.strip().lower()


def _open_door(connection: Connection, name: str, deed: str = "sign-in") -> None:
    """Raise `SignInError` while the name is locked."""
    wait = connection.execute(_COUNTED, {"name": digest(name)}).mappings().one()["wait"]
    if wait is not None and wait > 0:
        _told(connection, name, "locked", deed)
        raise SignInError(
            "locked", f"Too many wrong tries; wait {max(1, round(wait / 60))} minutes or ask who "
            "gives accounts.", retry_after_s=round(wait) + 1,
        )  # fmt: skip


def _failed(connection: Connection, name: str, deed: str = "sign-in") -> None:
    asked = {"name": digest(name), "tries": TRIES, "lock_s": LOCK_S, "longest_s": LONGEST_LOCK_S}
    connection.execute(_WRONG, asked)
    _told(connection, name, "wrong", deed)


def _told(connection: Connection, name: str, why: str, deed: str = "sign-in") -> None:
    audit.record(connection, name[:100], f"{deed}.refused", detail={"why": why})


def clean(connection: Connection) -> int:
    """Forget the tries of names that nobody tried for a day; how many there were."""
    return connection.execute(_CLEAN, {"kept_h": KEPT_H}).rowcount


# --- by password ----------------------------------------------------------------------------------


def password_of(connection: Connection, login: str) -> str | None:
    """What proves the password of an account, for `is_right`; None: there is none."""
    found: str | None = connection.execute(_PASSWORD, {"login": _name(login)}).scalar()
    return found


def is_right(proof: str | None, password: str) -> bool:
    """Whether the password is that of which this is the proof; takes as long as it must.

    To be called without a connection: whoever tries many would hold them all.
    """
    try:
        _hasher.verify(proof or _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return proof is not None


def sign_in(
    connection: Connection, login: str, proof: str | None, right: bool, code: str | None = None
) -> str:
    """Open a session; the secret that the browser shows from then on.

    To be committed also where it fails: wrong tries are counted and written down.

    Parameters
    ----------
    proof, right : what `password_of` and `is_right` said a moment ago

    Raises
    ------
    SignInError
        Login or password are wrong, the name is locked for a while, or the second factor is
        missing, wrong, used already, or was never set up although a role asks for it.
    """
    name = _name(login)
    _open_door(connection, name)
    account = connection.execute(_HOLD, {"login": name}).mappings().first()
    if account is None or not right or account["password"] != proof:
        _failed(connection, name)
        raise SignInError("wrong", "Login or password are wrong; mind capitals and try again.")
    return _opened(connection, account, _second_factor(connection, account, code))


def change_password(
    connection: Connection, login: str, proof: str | None, right: bool, new: str
) -> SignInError | None:
    """Change a password by whose it is; why not, if the old one is wrong, which is counted.

    Raises
    ------
    AccountError
        The new one is too short or too plain.
    """
    try:
        _open_door(connection, login, "password")
    except SignInError as locked:
        return locked
    account = connection.execute(_HOLD, {"login": login}).mappings().one()
    if not right or account["password"] != proof:
        _failed(connection, login, "password")
        return SignInError("wrong", "The old password is wrong; too many tries lock the account.")
    set_password(connection, account["id"], new)
    return None


# --- by a provider --------------------------------------------------------------------------------

_LOGIN = text("SELECT login FROM account WHERE id = :id")


def vouched(
    connection: Connection, account: int, issuer: str, *, strong: bool, code: str | None = None
) -> str:
    """Open a session for an account for which a provider vouched; its secret.

    To be committed also where it fails, like `sign_in`.

    Parameters
    ----------
    issuer : the provider
    strong : whether it asked for a second factor itself; else ours is due where there is one

    Raises
    ------
    SignInError
        The account has ended or is locked, or the second factor is missing or wrong.
    """
    login = connection.execute(_LOGIN, {"id": account}).scalar_one()
    _open_door(connection, login)
    held = connection.execute(_HOLD, {"login": login}).mappings().first()
    if held is None:
        _told(connection, login, "ended")
        raise SignInError("ended", "The account has ended; ask who gives accounts.")
    step = None if strong else _second_factor(connection, held, code)
    return _opened(connection, held, step, issuer)


# --- the second factor, and in --------------------------------------------------------------------


def _second_factor(connection: Connection, account: RowMapping, code: str | None) -> int | None:
    """The step of a right code; None where none is asked for."""
    name = account["login"]
    if account["totp"] is None:
        if set(account["roles"]) & set(SECOND_FACTOR):
            _told(connection, name, "enrol")
            raise SignInError(
                "enrol", "This role asks for a second factor; have it set up by who gives accounts."
            )
        return None
    if not code:
        _told(connection, name, "second_factor")
        raise SignInError("second_factor", "Give the six digits of the authenticator app, too.")
    now = account["now"]
    totp = pyotp.TOTP(account["totp"])
    digits = unicodedata.normalize("NFKC", code).strip().encode()  # full-width ones are meant, too
    for step in (totp.timecode(now) + offset for offset in (0, -1, 1)):
        fresh = account["totp_used"] is None or step > account["totp_used"]
        if fresh and secrets.compare_digest(totp.generate_otp(step).encode(), digits):
            return int(step)
    _failed(connection, name)
    raise SignInError(
        "wrong", "The six digits are wrong or were used already; wait for the next ones."
    )


def _opened(
    connection: Connection, account: RowMapping, step: int | None, issuer: str | None = None
) -> str:
    name, number = account["login"], account["id"]
    connection.execute(_RIGHT, {"name": digest(name)})
    connection.execute(_USED, {"id": number, "step": step})
    secret = secrets.token_urlsafe(32)
    values = {"hash": digest(secret), "account_id": number, "issuer": issuer}
    connection.execute(_OPEN, values)
    detail = {"provider": issuer} if issuer else None
    audit.record(connection, name, "sign-in", account_id=number, detail=detail)
    return secret


_SIGN_OUT = text("""
DELETE FROM session s USING account a WHERE a.id = s.account_id AND s.hash = :hash
RETURNING a.id, a.login, s.issuer
""")


def sign_out(connection: Connection, secret: str) -> str | None:
    """End a session; the provider that had vouched for it, if one had."""
    row = connection.execute(_SIGN_OUT, {"hash": digest(secret)}).first()
    if row is None:
        return None
    audit.record(connection, row.login, "sign-out", account_id=row.id)
    issuer: str | None = row.issuer
    return issuer
