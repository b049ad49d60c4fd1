"""Who comes in through a provider of OpenID Connect: links to accounts, and browsers on their way.

An account is found by issuer and subject, which a provider never gives to anybody else. What else
it says of people (a name, an address) may change hands, so it only counts where the operator says
so, and never for whoever has power over the system (docs/decisions/0031-sign-in-by-a-provider.md).
"""

import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, text

from data import audit, sign_in
from data.accounts import AccountError, digest
from data.sign_in import SignInError

FLOW_MIN = 10  # for the way to the provider and back, and for the second factor after it


# --- links ----------------------------------------------------------------------------------------

_OF = text("SELECT account_id FROM identity WHERE issuer = :issuer AND subject = :subject")
_LINK = text("""
INSERT INTO identity (issuer, subject, account_id, actor)
VALUES (:issuer, :subject, :account, :actor)
ON CONFLICT DO NOTHING RETURNING account_id
""")
_UNLINK = text("DELETE FROM identity WHERE issuer = :issuer AND account_id = :account")
_ENDED = text("DELETE FROM session WHERE account_id = :account AND issuer = :issuer")
_BY_LOGIN = text("""
SELECT a.id FROM account a
WHERE a.login = :login AND a.withdrawn IS NULL
  AND NOT EXISTS (SELECT FROM identity i WHERE i.account_id = a.id AND i.issuer = :issuer)
  AND NOT EXISTS (SELECT FROM account_role r WHERE r.account_id = a.id AND r.role LIKE '%\\_admin')
""")


def account_of(connection: Connection, issuer: str, subject: str) -> int | None:
    """The account that is linked with whom a provider knows by this subject; ended ones, too."""
    found: int | None = connection.execute(_OF, {"issuer": issuer, "subject": subject}).scalar()
    return found


def link(connection: Connection, account: int, issuer: str, subject: str, *, actor: str) -> None:
    """Let whom a provider knows by this subject in with an account; instead of who was before.

    Raises
    ------
    AccountError
        The subject is linked with another account.
    """
    unlink(connection, account, issuer)
    values = {"issuer": issuer, "subject": subject, "account": account, "actor": actor}
    if connection.execute(_LINK, values).scalar() is None:
        raise AccountError(f"{subject!r} is linked with another account already", "subject")


def unlink(connection: Connection, account: int, issuer: str) -> bool:
    """Let nobody in with an account by that provider any more; False if nobody was."""
    asked = {"issuer": issuer, "account": account}
    connection.execute(_ENDED, asked)
    return bool(connection.execute(_UNLINK, asked).rowcount)


def link_by_login(connection: Connection, issuer: str, subject: str, login: str) -> int | None:
    """Link the account with this login if it is linked with nobody and no administrator's."""
    asked = {"login": login.strip().lower(), "issuer": issuer}
    account: int | None = connection.execute(_BY_LOGIN, asked).scalar()
    if account is not None:
        link(connection, account, issuer, subject, actor="provider")
    return account


# --- the way to the provider and back -------------------------------------------------------------


@dataclass(frozen=True)
class Flow:
    """A browser on its way.

    Attributes
    ----------
    secret : in the browser's cookie; `state`, which the provider sees, is made from it
    nonce : has to come back in the ID token
    verifier : of PKCE (RFC 7636)
    target : where the browser goes then, on this service
    """

    secret: str
    nonce: str
    verifier: str
    target: str

    @property
    def state(self) -> str:
        """What has to come back with the browser that has the secret, and with no other."""
        return state_of(self.secret)

    @property
    def challenge(self) -> str:
        """PKCE's, by S256."""
        return urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


def state_of(secret: str) -> str:
    """The state that belongs to a browser's secret."""
    return urlsafe_b64encode(digest(f"state {secret}")).rstrip(b"=").decode()


_BEGIN = text("""
INSERT INTO sign_in_flow (hash, nonce, verifier, target) VALUES (:hash, :nonce, :verifier, :target)
""")
_BACK = text("""
UPDATE sign_in_flow SET answered = now()
WHERE hash = :hash AND answered IS NULL AND begun > now() - make_interval(mins => :minutes)
RETURNING nonce, verifier, target
""")
_VOUCHED = text("UPDATE sign_in_flow SET account_id = :account WHERE hash = :hash")
_WAITING = text("""
SELECT account_id FROM sign_in_flow
WHERE hash = :hash AND account_id IS NOT NULL
  AND begun > now() - make_interval(mins => :minutes) FOR UPDATE
""")
_END = text("DELETE FROM sign_in_flow WHERE hash = :hash")
_CLEAN = text("DELETE FROM sign_in_flow WHERE begun < now() - make_interval(mins => :minutes)")


def begin(connection: Connection, target: str) -> Flow:
    """Send a browser on its way."""
    secret, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    flow = Flow(secret, nonce, verifier, target)
    values = {"nonce": flow.nonce, "verifier": flow.verifier, "target": target}
    connection.execute(_BEGIN, {"hash": digest(flow.secret), **values})
    return flow


def back(connection: Connection, secret: str) -> Flow | None:
    """The flow of a browser that comes back, which it does once; None: it is no more, or used."""
    asked = {"hash": digest(secret), "minutes": FLOW_MIN}
    row = connection.execute(_BACK, asked).mappings().first()
    return None if row is None else Flow(secret, row["nonce"], row["verifier"], row["target"])


def arrive(
    connection: Connection, secret: str, issuer: str, subject: str, *, strong: bool,
    login: str | None = None,
) -> str:  # fmt: skip
    """Open a session for whom the provider vouched; the session's secret.

    To be committed also where it fails, like `sign_in.sign_in`.

    Parameters
    ----------
    secret : of the flow
    strong : whether the provider asked for a second factor
    login : by which they may find their account if it is linked with nobody; None: they may not

    Raises
    ------
    SignInError
        They have no account (no_account), or as `sign_in.vouched`; with second_factor, the flow
        waits for it.
    """
    account = account_of(connection, issuer, subject)
    if account is None and login is not None:
        account = link_by_login(connection, issuer, subject, login)
    if account is None:
        refuse(connection, subject, "no_account", issuer)
        raise SignInError(
            "no_account", f"{issuer} knows you as {subject!r}, and no account here is linked with "
            "that: ask who gives accounts here.",
        )  # fmt: skip
    try:
        session = sign_in.vouched(connection, account, issuer, strong=strong)
    except SignInError as error:
        if error.reason == "second_factor":
            connection.execute(_VOUCHED, {"hash": digest(secret), "account": account})
        raise
    connection.execute(_END, {"hash": digest(secret)})
    return session


def finish(connection: Connection, secret: str, issuer: str, code: str) -> str:
    """Open the session of a flow that waited for the second factor; the session's secret.

    Raises
    ------
    SignInError
        No flow waits (no_flow), or as `sign_in.vouched`.
    """
    asked = {"hash": digest(secret), "minutes": FLOW_MIN}
    account = connection.execute(_WAITING, asked).scalar()
    if account is None:
        raise SignInError("no_flow", "Nobody waits here for a second factor; begin again.")
    session = sign_in.vouched(connection, account, issuer, strong=False, code=code)
    connection.execute(_END, {"hash": digest(secret)})
    return session


def refuse(connection: Connection, name: str, why: str, issuer: str) -> None:
    """Write down that somebody who came from a provider was not let in.

    `why` may hold what others sent: what no text in the database may is taken out of it.
    """
    said = why.replace("\0", "").encode(errors="replace").decode()
    detail = {"why": said[:500], "provider": issuer}
    audit.record(connection, name[:100], "sign-in.refused", detail=detail)


def clean(connection: Connection) -> int:
    """Forget the flows that came to no end; how many there were."""
    return connection.execute(_CLEAN, {"minutes": FLOW_MIN}).rowcount
