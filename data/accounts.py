"""Accounts, their sessions and the tokens of other systems: made, shown, recognised, ended."""

import secrets
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, RowMapping, text

from data import audit
from data.access import PERMISSIONS, ROLES, SECOND_FACTOR, Who
from data.errors import InputError
from data.settings import settings

LEAST_PASSWORD = 10  # characters
TRIES = 5  # wrong passwords in a row before an account is locked
LOCK_S, LONGEST_LOCK_S = 60, 3600  # for so long, doubled with each further one
ISSUER = "Wangge"
_hasher = PasswordHasher()
# What is compared with when there is no such account, so that it takes as long.
_NOBODY = _hasher.hash(secrets.token_hex(16))


class AccountError(InputError):
    """An account, role or token that cannot be made or changed like that."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message, where, "account_refused")


class SignInError(Exception):
    """Nobody is signed in; `reason` is wrong, locked, second_factor or enrol."""

    def __init__(self, reason: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.reason, self.facts = reason, facts


def digest(secret: str) -> bytes:
    """What is kept of a secret that is long and random."""
    return sha256(secret.encode()).digest()


# --- accounts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grant:
    """A role, and the area in which with all below it; None: the whole city."""

    role: str
    area_id: int | None = None


_ADD = text("""
INSERT INTO account (login, password, organisation_id, resource_id)
VALUES (:login, :password, :organisation_id, (SELECT id FROM resource WHERE id = :resource_id))
ON CONFLICT (login) DO NOTHING RETURNING id
""")


def add(
    connection: Connection,
    login: str,
    password: str,
    grants: Sequence[Grant],
    *,
    actor: str,
    organisation: str | None = None,
    resource_id: int | None = None,
) -> int:
    """Make an account; its number.

    Raises
    ------
    AccountError
        The login is taken, the password too short or too plain, or a role unknown.
    """
    name = login.strip().lower()
    if not name or len(name) > 100:
        raise AccountError("a login is 1 to 100 characters", "login")
    values = {
        "login": name, "password": _hashed(name, password), "resource_id": resource_id,
        "organisation_id": _organisation(connection, organisation),
    }  # fmt: skip
    asked = text("SELECT EXISTS (SELECT FROM resource WHERE id = :id)")
    if resource_id is not None and not connection.execute(asked, {"id": resource_id}).scalar():
        raise AccountError(f"there is no resource {resource_id}", "resource")
    number = connection.execute(_ADD, values).scalar()
    if number is None:
        raise AccountError(f"there is an account {name} already; take another login", "login")
    grant(connection, number, grants, actor=actor)
    return int(number)


def _organisation(connection: Connection, code: str | None) -> int | None:
    if code is None:
        return None
    query = text("SELECT id FROM organisation WHERE code = :code AND dissolved IS NULL")
    found = connection.execute(query, {"code": code}).scalar()
    if found is None:
        raise AccountError(
            f"there is no organisation {code!r}; GET /api/v1/catalogue lists them", "organisation"
        )
    return int(found)


def _hashed(login: str, password: str) -> str:
    if len(password) < LEAST_PASSWORD or len(set(password)) < 5 or login in password.lower():
        raise AccountError(
            f"a password has at least {LEAST_PASSWORD} characters, 5 of them different, and not "
            "the login in it",
            "password",
        )
    return _hasher.hash(password)


def _held(connection: Connection, account: int) -> RowMapping:
    """An account under a lock, so that nobody signs in with what it was."""
    query = text(
        "SELECT login, password FROM account WHERE id = :id AND withdrawn IS NULL FOR NO KEY UPDATE"
    )
    row = connection.execute(query, {"id": account}).mappings().first()
    if row is None:
        raise AccountError(f"there is no account {account}", "account")
    return row


_GRANT = text("""
INSERT INTO account_role (account_id, role, area_id, actor)
VALUES (:account_id, :role, :area_id, :actor) ON CONFLICT DO NOTHING
""")


def grant(connection: Connection, account: int, grants: Iterable[Grant], *, actor: str) -> None:
    """Give an account these roles instead of those that it had; it has to sign in again.

    Raises
    ------
    AccountError
        A role is unknown, or one over the system goes together with another.
    """
    _held(connection, account)
    wanted = list(grants)
    roles = {each.role for each in wanted}
    if unknown := sorted(roles - set(ROLES)):
        raise AccountError(f"there is no role {unknown[0]}; there are {', '.join(ROLES)}", "role")
    powers = {role for role in roles if role.endswith("_admin")}
    if powers and len(roles) > 1:
        raise AccountError(
            f"{min(powers)} goes with no other role: the powers over the system are kept apart",
            "role",
        )
    connection.execute(text("DELETE FROM account_role WHERE account_id = :id"), {"id": account})
    for each in wanted:
        values = {"account_id": account, "role": each.role, "area_id": each.area_id}
        connection.execute(_GRANT, {**values, "actor": actor})
    end_sessions(connection, account)


def set_password(connection: Connection, account: int, password: str) -> None:
    """Give an account another password, and an unlocked door; it has to sign in again."""
    login = _held(connection, account)["login"]
    connection.execute(
        text("UPDATE account SET password = :password, failures = 0, locked = NULL WHERE id = :id"),
        {"id": account, "password": _hashed(login, password)},
    )
    end_sessions(connection, account)


def change_password(
    connection: Connection, login: str, proof: str | None, right: bool, new: str
) -> SignInError | None:
    """Change a password by whose it is; why not, if the old one is wrong, which is counted.

    Raises
    ------
    AccountError
        The new one is too short or too plain.
    """
    account = connection.execute(_HOLD, {"login": login}).mappings().one()
    if account["is_locked"] or not right or account["password"] != proof:
        _failed(connection, login, account)
        return SignInError("wrong", "The old password is wrong; too many tries lock the account.")
    set_password(connection, account["id"], new)
    return None


def withdraw(connection: Connection, account: int) -> bool:
    """End an account and every session of it at once; False if there is none."""
    ended = connection.execute(
        text(
            "UPDATE account SET withdrawn = now(), password = NULL, totp = NULL"
            " WHERE id = :id AND withdrawn IS NULL"
        ),
        {"id": account},
    ).rowcount
    end_sessions(connection, account)
    return bool(ended)


_LISTED = text("""
SELECT c.id, c.login, o.code AS organisation, c.resource_id AS resource, c.created, c.withdrawn,
       c.totp IS NOT NULL AS second_factor, c.locked > now() AS locked,
       coalesce((SELECT jsonb_agg(jsonb_build_object('role', r.role, 'layer', a.layer,
                                                     'area', a.code) ORDER BY r.id)
                 FROM account_role r LEFT JOIN area a ON a.id = r.area_id
                 WHERE r.account_id = c.id), '[]') AS roles
FROM account c LEFT JOIN organisation o ON o.id = c.organisation_id
WHERE (CAST(:id AS bigint) IS NULL OR c.id = :id) ORDER BY c.login
""")


def listed(connection: Connection, account: int | None = None) -> list[RowMapping]:
    """Accounts with their roles, by login; only one if it is named."""
    return list(connection.execute(_LISTED, {"id": account}).mappings())


def enrol(connection: Connection, account: int) -> str:
    """A new second factor for an account, as the address that an authenticator app reads."""
    secret = pyotp.random_base32()
    login = connection.execute(
        text(
            "UPDATE account SET totp = :secret, totp_used = NULL WHERE id = :id"
            " AND withdrawn IS NULL RETURNING login"
        ),
        {"secret": secret, "id": account},
    ).scalar()
    if login is None:
        raise AccountError(f"there is no account {account}", "account")
    end_sessions(connection, account)
    return pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=ISSUER)


# --- signing in -----------------------------------------------------------------------------------

_HOLD = text("""
SELECT id, password, totp, totp_used, failures, locked,
       locked > clock_timestamp() AS is_locked, clock_timestamp() AS now,
       ARRAY(SELECT role FROM account_role r WHERE r.account_id = a.id) AS roles
FROM account a WHERE login = :login AND withdrawn IS NULL FOR NO KEY UPDATE
""")
_OPEN = text("INSERT INTO session (hash, account_id) VALUES (:hash, :account_id)")
_RIGHT = text("""
UPDATE account SET failures = 0, locked = NULL, totp_used = coalesce(:step, totp_used)
WHERE id = :id
""")
_WRONG = text("""
UPDATE account SET failures = failures + 1, locked = CASE WHEN failures + 1 >= :tries THEN
    clock_timestamp() + make_interval(secs => least(:longest_s, :lock_s * 2.0 ^ least(failures + 1
                                                    - :tries, 20))) END
WHERE id = :id
""")


_PASSWORD = text("SELECT password FROM account WHERE login = :login AND withdrawn IS NULL")


def password_of(connection: Connection, login: str) -> str | None:
    """What proves the password of an account, for `is_right`; None: there is none."""
    asked = {"login": login.strip().lower()}
    found: str | None = connection.execute(_PASSWORD, asked).scalar()
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
        Login or password are wrong, the account is locked for a while, or the second factor is
        missing, wrong, used already, or was never set up although a role asks for it.
    """
    name = login.strip().lower()
    account = connection.execute(_HOLD, {"login": name}).mappings().first()
    if account is not None and account["is_locked"]:
        _told(connection, name, "locked")
        wait = (account["locked"] - account["now"]).total_seconds()
        raise SignInError(
            "locked", f"Too many wrong tries; wait {wait / 60:.0f} minutes or ask who gives "
            "accounts.", retry_after_s=round(wait) + 1,
        )  # fmt: skip
    if account is None or not right or account["password"] != proof:
        _failed(connection, name, account)
        raise SignInError("wrong", "Login or password are wrong; mind capitals and try again.")
    step = _second_factor(connection, name, account, code)
    connection.execute(_RIGHT, {"id": account["id"], "step": step})
    secret = secrets.token_urlsafe(32)
    connection.execute(_OPEN, {"hash": digest(secret), "account_id": account["id"]})
    audit.record(connection, name, "sign-in", account_id=account["id"])
    return secret


def _failed(connection: Connection, name: str, account: RowMapping | None) -> None:
    if account is not None:
        asked = {"id": account["id"], "tries": TRIES, "lock_s": LOCK_S}
        connection.execute(_WRONG, {**asked, "longest_s": LONGEST_LOCK_S})
    _told(connection, name, "wrong")


def _told(connection: Connection, name: str, why: str) -> None:
    audit.record(connection, name[:100], "sign-in.refused", detail={"why": why})


def _second_factor(
    connection: Connection, name: str, account: RowMapping, code: str | None
) -> int | None:
    """The step of a right code; None where none is asked for."""
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
    _failed(connection, name, account)
    raise SignInError(
        "wrong", "The six digits are wrong or were used already; wait for the next ones."
    )


def sign_out(connection: Connection, secret: str) -> None:
    """End a session."""
    query = text(
        "DELETE FROM session s USING account a WHERE a.id = s.account_id AND s.hash = :hash"
        " RETURNING a.id, a.login"
    )
    if row := connection.execute(query, {"hash": digest(secret)}).first():
        audit.record(connection, row.login, "sign-out", account_id=row.id)


def end_sessions(connection: Connection, account: int) -> None:
    """End every session of an account."""
    connection.execute(text("DELETE FROM session WHERE account_id = :id"), {"id": account})


# --- recognised -----------------------------------------------------------------------------------

_SESSION = text("""
WITH found AS (
    SELECT s.hash, s.seen, a.id, a.login, a.organisation_id
    FROM session s JOIN account a ON a.id = s.account_id
    WHERE s.hash = :hash AND a.withdrawn IS NULL
      AND s.seen > now() - make_interval(secs => :idle_s)
      AND s.created > now() - make_interval(secs => :longest_s)
), seen AS (
    UPDATE session SET seen = now() FROM found
    WHERE session.hash = found.hash AND found.seen < now() - interval '1 minute'
)
SELECT id, login, organisation_id,
       (SELECT jsonb_agg(jsonb_build_array(r.role, r.area_id)) FROM account_role r
        WHERE r.account_id = found.id) AS roles
FROM found
""")
_TOKEN = text("""
SELECT id, name, permissions, area_id, organisation_id FROM token
WHERE hash = :hash AND withdrawn IS NULL AND (expires IS NULL OR expires > now())
""")


def of_session(connection: Connection, secret: str) -> Who | None:
    """Who is signed in with this secret; None: nobody, or it has ended."""
    chosen = settings()
    asked = {
        "hash": digest(secret), "idle_s": 60 * chosen.session_idle_min,
        "longest_s": 3600 * chosen.session_hours,
    }  # fmt: skip
    row = connection.execute(_SESSION, asked).mappings().first()
    if row is None:
        return None
    grants = granted((role, area) for role, area in row["roles"] or ())
    return Who(row["login"], grants, row["organisation_id"], account_id=row["id"])


def of_token(connection: Connection, secret: str) -> Who | None:
    """Which system shows this token; None: none, or it has ended."""
    row = connection.execute(_TOKEN, {"hash": digest(secret)}).mappings().first()
    if row is None:
        return None
    areas = None if row["area_id"] is None else (row["area_id"],)
    grants = dict.fromkeys(row["permissions"], areas)
    return Who(row["name"], grants, row["organisation_id"], token_id=row["id"])


def granted(
    roles: Iterable[tuple[str, int | None]],
) -> Mapping[str, tuple[int, ...] | None]:
    """What roles in areas permit, and where.

    >>> granted([("audit_admin", None)])
    {'audit.read': None}
    """
    found: dict[str, tuple[int, ...] | None] = {}
    for role, area in roles:
        for permission in ROLES[role]:
            before = found.get(permission, ())
            found[permission] = None if area is None or before is None else (*before, area)
    return found


# --- tokens ---------------------------------------------------------------------------------------

_TOKEN_ADD = text("""
INSERT INTO token (hash, name, permissions, area_id, organisation_id, actor, expires)
VALUES (:hash, :name, :permissions, :area_id, :organisation_id, :actor, :expires)
RETURNING id
""")


def add_token(
    connection: Connection,
    name: str,
    permissions: Sequence[str],
    *,
    actor: str,
    area_id: int | None = None,
    organisation: str | None = None,
    expires: datetime | None = None,
    secret: str | None = None,
) -> tuple[int, str]:
    """Make a token for another system: its number, and the secret, which is kept nowhere.

    Raises
    ------
    AccountError
        A permission is not known, or there is none.
    """
    if unknown := sorted(set(permissions) - set(PERMISSIONS)):
        raise AccountError(
            f"there is no permission {unknown[0]}; there are {', '.join(PERMISSIONS)}",
            "permissions",
        )
    if not permissions:
        raise AccountError("name at least one permission", "permissions")
    secret = secret or secrets.token_urlsafe(32)
    values = {
        "hash": digest(secret), "name": name, "permissions": sorted(set(permissions)),
        "area_id": area_id, "organisation_id": _organisation(connection, organisation),
        "actor": actor, "expires": expires,
    }  # fmt: skip
    return int(connection.execute(_TOKEN_ADD, values).scalar_one()), secret


_TOKENS = text("""
SELECT t.id, t.name, t.permissions, a.layer, a.code AS area, o.code AS organisation, t.created,
       t.actor, t.expires
FROM token t LEFT JOIN area a ON a.id = t.area_id
LEFT JOIN organisation o ON o.id = t.organisation_id
WHERE t.withdrawn IS NULL ORDER BY t.id
""")


def tokens(connection: Connection) -> list[RowMapping]:
    """The tokens that hold, without their secrets."""
    return list(connection.execute(_TOKENS).mappings())


def withdraw_token(connection: Connection, number: int) -> bool:
    """End a token; False if there is none that holds."""
    query = text("UPDATE token SET withdrawn = now() WHERE id = :id AND withdrawn IS NULL")
    return bool(connection.execute(query, {"id": number}).rowcount)
