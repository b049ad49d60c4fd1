"""What is done to accounts: at once, or if it concerns an administrator, once a second one agrees.

Whoever gives accounts could otherwise make themselves any other power by way of an account of it.
The command line goes beside this: who has it has the database.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from data import accounts, audit, identities
from data.access import ROLES, Who
from data.accounts import AccountError, Grant
from data.errors import InputError
from data.settings import settings

GIVERS = tuple(role for role, may in ROLES.items() if "account.manage" in may)
ADMIN = "_admin"


@dataclass(frozen=True)
class Deed:
    """Something to be done to an account.

    Attributes
    ----------
    what : make, change, second_factor, link, unlink, end, reopen
    account : its number; None: it is to be made
    given : to do it with, as JSON: `login`, `roles` (each with `role` and `area_id`), `password`
        (what proves it, never itself), `organisation`, `resource`, `issuer`, `subject`
    """

    what: str
    account: int | None = None
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """What came of a deed: the account's number, and the address of a second factor if made."""

    account: int
    address: str | None = None


@dataclass(frozen=True)
class Asked:
    """A deed that waits for somebody who agrees, by its number."""

    deed: int


# --- wanted ---------------------------------------------------------------------------------------

_ROLES = text("SELECT role FROM account_role WHERE account_id = :id")
_ASK = text("""
INSERT INTO account_deed (what, account_id, login, given, asked_by, actor, expires)
VALUES (:what, :account, coalesce(:login, (SELECT login FROM account WHERE id = :account)), :given,
        :asked_by, :actor, now() + make_interval(secs => 3600 * :hours))
RETURNING id, login
""").bindparams(bindparam("given", type_=JSONB))


def want(connection: Connection, deed: Deed, who: Who) -> Done | Asked:
    """Do it, or if it concerns an administrator's account, ask for somebody who agrees.

    What could not be done is refused at once, too.

    Raises
    ------
    AccountError
        It cannot be done like that, they ask it for themselves, or a token asks for what two people
        have to want.
    InputError
        There is no such account (unknown_account).
    """
    if deed.account is not None and deed.account == who.account_id:
        raise AccountError("that is your own account; somebody else changes it", "number")
    if not _concerns_admin(connection, deed):
        return do(connection, deed, who.name)
    if who.account_id is None:
        raise AccountError(
            "an administrator's account is changed by two people who are signed in, or on the "
            "command line, not by a token",
            "number",
        )
    with connection.begin_nested() as trial:
        do(connection, deed, who.name)
        trial.rollback()
    values = {
        "what": deed.what, "account": deed.account, "login": deed.given.get("login"),
        "given": dict(deed.given), "asked_by": who.account_id, "actor": who.name,
        "hours": settings().approval_hours,
    }  # fmt: skip
    number, login = connection.execute(_ASK, values).one()
    _tell(connection, who, "account.asked", deed.what, number, login)
    return Asked(number)


def _concerns_admin(connection: Connection, deed: Deed) -> bool:
    """Whether the account has or gets a power over the system; also one that has ended."""
    roles = {each["role"] for each in deed.given.get("roles") or ()}
    if deed.account is not None:
        if not accounts.hold(connection, deed.account):
            raise InputError(f"there is no account {deed.account}", "number", "account_unknown")
        roles |= set(connection.execute(_ROLES, {"id": deed.account}).scalars())
    return any(role.endswith(ADMIN) for role in roles)


def _tell(
    connection: Connection, who: Who, action: str, what: str, number: int, login: str, **more: str
) -> None:
    detail = {"deed": number, "what": what, "login": login, **more}
    audit.record(connection, who.name, action, login, account_id=who.account_id, detail=detail)


# --- done -----------------------------------------------------------------------------------------


def do(connection: Connection, deed: Deed, actor: str) -> Done:
    """Do it without asking anybody; what may be wrong with it is as for `want`."""
    given, account, address = deed.given, deed.account, None
    roles = given.get("roles")
    grants = None if roles is None else [Grant(**each) for each in roles]
    if account is None:
        account = accounts.enter(
            connection, given["login"], given.get("password"), grants or [], actor=actor,
            organisation=given.get("organisation"), resource_id=given.get("resource"),
        )  # fmt: skip
    elif deed.what == "change":
        if proof := given.get("password"):
            accounts.set_proof(connection, account, proof)
        if grants is not None:
            accounts.grant(connection, account, grants, actor=actor)
    elif deed.what == "second_factor":
        address = accounts.enrol(connection, account)
    elif deed.what == "link":
        issuer, subject = given["issuer"], given["subject"]
        identities.link(connection, account, issuer, subject, actor=actor)
    elif deed.what == "unlink":
        identities.unlink(connection, account, given["issuer"])
    elif deed.what == "end":
        _changed(accounts.withdraw(connection, account), account, "has ended already")
    else:
        _changed(accounts.reopen(connection, account), account, "has not ended")
    return Done(account, address)


def _changed(done: bool, account: int, why: str) -> None:
    if not done:
        raise InputError(f"account {account} {why}", "number", "account_unknown")


# --- agreed ---------------------------------------------------------------------------------------

_WAITING = """
SELECT d.id, d.what, d.account_id AS account, d.login, d.asked, d.actor, d.expires,
       d.given ->> 'password' IS NOT NULL AS password, d.given ->> 'subject' AS subject,
       (SELECT jsonb_agg(jsonb_build_object('role', r ->> 'role', 'layer', a.layer, 'area', a.code))
        FROM jsonb_array_elements(d.given -> 'roles') r
        LEFT JOIN area a ON a.id = CAST(r ->> 'area_id' AS bigint)) AS roles
FROM account_deed d
WHERE d.expires > now()
  -- Whoever asked and may not any more, asks no more.
  AND EXISTS (SELECT FROM account c JOIN account_role r ON r.account_id = c.id
              WHERE c.id = d.asked_by AND c.withdrawn IS NULL AND r.role = ANY (:givers))
"""
_LISTED = text(f"{_WAITING} AND (CAST(:id AS bigint) IS NULL OR d.id = :id) ORDER BY d.id")
_TAKE = text("""
DELETE FROM account_deed WHERE id = :id RETURNING what, account_id, login, given, asked_by, actor
""")
_CLEAN = text("DELETE FROM account_deed WHERE expires < now()")


def waiting(connection: Connection, number: int | None = None) -> list[RowMapping]:
    """What waits for somebody who agrees, the oldest first; only one if it is named."""
    asked = {"id": number, "givers": list(GIVERS)}
    return list(connection.execute(_LISTED, asked).mappings())


def agree(connection: Connection, number: int, who: Who) -> Done:
    """Do what another asked for.

    Raises
    ------
    AccountError
        They asked for it themselves, it concerns their own account, or they are no person; or it
        cannot be done any more.
    InputError
        Nothing waits under this number (deed_unknown).
    """
    row = _taken(connection, number)
    if who.account_id is None or who.account_id in (row["asked_by"], row["account_id"]):
        raise AccountError(
            "who agrees is another person than who asked, and than whose account it is", "number"
        )
    deed = Deed(row["what"], row["account_id"], row["given"])
    if deed.account is not None:
        accounts.hold(connection, deed.account)
    done = do(connection, deed, row["actor"])
    _tell(connection, who, "account.agreed", deed.what, number, row["login"], asked_by=row["actor"])
    return done


def drop(connection: Connection, number: int, who: Who) -> None:
    """Take back what one asked for, or refuse what another did.

    Raises
    ------
    InputError
        Nothing waits under this number (deed_unknown).
    """
    row = _taken(connection, number)
    action = "account.taken-back" if row["asked_by"] == who.account_id else "account.refused"
    _tell(connection, who, action, row["what"], number, row["login"], asked_by=row["actor"])


def _taken(connection: Connection, number: int) -> RowMapping:
    """A deed that waits, which waits no more."""
    there = waiting(connection, number)
    row = connection.execute(_TAKE, {"id": number}).mappings().first() if there else None
    if row is None:
        raise InputError(f"nothing waits under the number {number}", "number", "deed_unknown")
    return row


def clean(connection: Connection) -> int:
    """Forget what nobody agreed to in time; how many there were."""
    return connection.execute(_CLEAN).rowcount
