"""Accounts, their sessions and the tokens of other systems: made, shown, recognised, ended."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import pyotp
from argon2 import PasswordHasher
from sqlalchemy import Connection, RowMapping, text

from data.access import PERMISSIONS, ROLES, Who
from data.errors import InputError
from data.settings import settings

LEAST_PASSWORD = 10  # characters
ISSUER = "Wangge"
_hasher = PasswordHasher()


class AccountError(InputError):
    """An account, role or token that cannot be made or changed like that."""

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message, where, "account_refused")


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
    password: str | None,
    grants: Sequence[Grant],
    *,
    actor: str,
    organisation: str | None = None,
    resource_id: int | None = None,
) -> int:
    """Make an account; its number. Without a password they come in by a provider.

    Raises
    ------
    AccountError
        The login is taken, the password too short or too plain, or a role unknown.
    """
    proof = None if password is None else proved(login, password)
    return enter(
        connection, login, proof, grants, actor=actor, organisation=organisation,
        resource_id=resource_id,
    )  # fmt: skip


def enter(
    connection: Connection,
    login: str,
    proof: str | None,
    grants: Sequence[Grant],
    *,
    actor: str,
    organisation: str | None = None,
    resource_id: int | None = None,
) -> int:
    """Make an account with what proves its password, as `proved` says it; its number."""
    name = _named(login)
    values = {
        "login": name, "password": proof, "resource_id": resource_id,
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


def _named(login: str) -> str:
    name = login.strip().lower()
    if not name or len(name) > 100:
        raise AccountError("a login is 1 to 100 characters", "login")
    return name


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


def proved(login: str, password: str) -> str:
    """What proves a password (Argon2), and is kept instead of it.

    Raises
    ------
    AccountError
        It is too short or too plain.
    """
    name = _named(login)
    if len(password) < LEAST_PASSWORD or len(set(password)) < 5 or name in password.lower():
        raise AccountError(
            f"a password has at least {LEAST_PASSWORD} characters, 5 of them different, and not "
            "the login in it",
            "password",
        )
    return _hasher.hash(password)


_TRIES_OF = "name = (SELECT sha256(convert_to(login, 'UTF8')) FROM account WHERE id = :id)"
_HOLD_TRIES = text(f"SELECT FROM sign_in_try WHERE {_TRIES_OF} FOR UPDATE")
_HOLD = text("SELECT login, withdrawn FROM account WHERE id = :id FOR NO KEY UPDATE")
_UNLOCK = text(f"DELETE FROM sign_in_try WHERE {_TRIES_OF}")


def hold(connection: Connection, account: int) -> RowMapping | None:
    """An account under a lock, so that nobody signs in with what it was; None: there is none."""
    connection.execute(_HOLD_TRIES, {"id": account})  # first, as signing in does
    return connection.execute(_HOLD, {"id": account}).mappings().first()


def _held(connection: Connection, account: int) -> str:
    """The login of an account that has not ended, under a lock."""
    row = hold(connection, account)
    if row is None or row["withdrawn"] is not None:
        raise AccountError(f"there is no account {account}", "account")
    return str(row["login"])


def unlock(connection: Connection, account: int) -> None:
    """Forget the wrong tries with an account."""
    connection.execute(_UNLOCK, {"id": account})


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
    set_proof(connection, account, proved(_held(connection, account), password))


def set_proof(connection: Connection, account: int, proof: str) -> None:
    """Give an account another password by what proves it, like `set_password`."""
    _held(connection, account)
    values = {"id": account, "proof": proof}
    connection.execute(text("UPDATE account SET password = :proof WHERE id = :id"), values)
    unlock(connection, account)
    end_sessions(connection, account)


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


def reopen(connection: Connection, account: int) -> bool:
    """Let an account that has ended hold again with its roles; False if there is none.

    Its password and second factor are gone: they are given anew.
    """
    again = text("UPDATE account SET withdrawn = NULL WHERE id = :id AND withdrawn IS NOT NULL")
    return bool(connection.execute(again, {"id": account}).rowcount)


def number_of(connection: Connection, login: str) -> int:
    """The number of an account, also of one that has ended.

    Raises
    ------
    AccountError
        There is none with this login.
    """
    asked = {"login": login.strip().lower()}
    number = connection.execute(text("SELECT id FROM account WHERE login = :login"), asked).scalar()
    if number is None:
        raise AccountError(f"there is no account {login}", "login")
    return int(number)


_LISTED = text("""
SELECT c.id, c.login, o.code AS organisation, c.resource_id AS resource, c.created, c.withdrawn,
       c.totp IS NOT NULL AS second_factor,
       (SELECT t.locked > now() FROM sign_in_try t
        WHERE t.name = sha256(convert_to(c.login, 'UTF8'))) AS locked,
       coalesce((SELECT jsonb_agg(jsonb_build_object('issuer', i.issuer, 'subject', i.subject)
                                  ORDER BY i.issuer)
                 FROM identity i WHERE i.account_id = c.id), '[]') AS identities,
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
