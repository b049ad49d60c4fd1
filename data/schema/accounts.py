"""Who may use the service, in which roles and where; and the chain of what was done."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from data.access import PERMISSIONS, ROLES
from data.schema.base import EMPTY, NOW, Base, identity, one_of

DEEDS = ("make", "change", "second_factor", "link", "unlink", "end", "reopen")
_HASH = "octet_length(hash) = 32"  # SHA-256 of what is long and random; the thing is kept nowhere


class Account(Base):
    """Somebody who signs in. Names and telephones are not kept here, only the name they act by."""

    __tablename__ = "account"
    id: Mapped[int] = identity()
    login: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str | None]  # Argon2; null: cannot sign in by password
    totp: Mapped[str | None]  # secret of the second factor
    totp_used: Mapped[int | None] = mapped_column(
        BigInteger
    )  # last step, so that none counts twice
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    resource_id: Mapped[int | None] = mapped_column(ForeignKey("resource.id"))
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    withdrawn: Mapped[datetime | None]
    __table_args__ = (CheckConstraint("login = lower(login)", name="login_is_lower"),)


class AccountRole(Base):
    """A role of an account, in an area and all below it; null: in the whole city."""

    __tablename__ = "account_role"
    id: Mapped[int] = identity()
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    role: Mapped[str]
    area_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))
    granted: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    __table_args__ = (
        one_of("role", tuple(ROLES)),
        Index("role_once", "account_id", "role", text("coalesce(area_id, 0)"), unique=True),
    )


class Session(Base):
    """A browser or an app in which somebody is signed in."""

    __tablename__ = "session"
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), index=True
    )
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    seen: Mapped[datetime] = mapped_column(server_default=NOW)
    issuer: Mapped[str | None]  # the provider that vouched; null: a password did
    __table_args__ = (CheckConstraint(_HASH, name="hash_is_one"),)


class Identity(Base):
    """Whom a provider of OpenID Connect knows, and which account that is here."""

    __tablename__ = "identity"
    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)  # the provider's, and never reused
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    linked: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    __table_args__ = (UniqueConstraint("account_id", "issuer", name="one_identity_each"),)


class SignInFlow(Base):
    """A browser on its way to the provider and back; its secret is in a cookie, its hash here."""

    __tablename__ = "sign_in_flow"
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    nonce: Mapped[str]
    verifier: Mapped[str]  # of PKCE
    target: Mapped[str]  # where it goes then, on this service
    begun: Mapped[datetime] = mapped_column(server_default=NOW)
    answered: Mapped[datetime | None]  # it came back, which it does once
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    """For whom the provider vouched; what is missing is our second factor."""
    __table_args__ = (CheckConstraint(_HASH, name="hash_is_one"),)


class SignInTry(Base):
    """Wrong tries in a row by the name that was given, whether or not there is such an account.

    The name is hashed: some type their password into the wrong field.
    """

    __tablename__ = "sign_in_try"
    name: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    locked: Mapped[datetime | None]  # until then
    last: Mapped[datetime] = mapped_column(server_default=NOW)
    __table_args__ = (CheckConstraint("octet_length(name) = 32", name="name_is_hashed"),)


class AccountDeed(Base):
    """What one security administrator asks for and another has not yet agreed to.

    It goes when it is agreed to, refused or too old; the audit keeps that it was.
    """

    __tablename__ = "account_deed"
    id: Mapped[int] = identity()
    what: Mapped[str]
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    login: Mapped[str]
    given: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)  # a password as its proof
    asked: Mapped[datetime] = mapped_column(server_default=NOW)
    asked_by: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"))
    actor: Mapped[str]
    expires: Mapped[datetime]
    __table_args__ = (
        one_of("what", DEEDS),
        CheckConstraint("(account_id IS NULL) = (what = 'make')", name="made_or_there"),
    )


class Token(Base):
    """What another system shows instead of signing in: what it may, and where."""

    __tablename__ = "token"
    id: Mapped[int] = identity()
    hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    name: Mapped[str]
    permissions: Mapped[list[str]]
    area_id: Mapped[int | None] = mapped_column(ForeignKey("area.id"))
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisation.id"))
    created: Mapped[datetime] = mapped_column(server_default=NOW)
    actor: Mapped[str]
    expires: Mapped[datetime | None]
    withdrawn: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint(_HASH, name="hash_is_one"),
        CheckConstraint("cardinality(permissions) > 0", name="something_is_permitted"),
        CheckConstraint(
            "permissions <@ ARRAY[" + ", ".join(f"'{each}'" for each in PERMISSIONS) + "]",
            name="permissions_known",
        ),
    )


class Audit(Base):
    """What was done, by whom: written in its transaction, sealed in order once it is committed.

    `place` counts the sealed rows from 1 without a gap, and `seal` is the SHA-256 of the seal
    before and of the row, so that no row can be changed, taken out or put in between unseen.
    """

    __tablename__ = "audit"
    id: Mapped[int] = identity()
    at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    actor: Mapped[str]
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    token_id: Mapped[int | None] = mapped_column(BigInteger)
    action: Mapped[str]  # POST /api/v1/cases/{number}/steps, sign-in.refused …
    subject: Mapped[str] = mapped_column(server_default="")
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=EMPTY)
    place: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    seal: Mapped[bytes | None] = mapped_column(LargeBinary)
    __table_args__ = (
        CheckConstraint("(place IS NULL) = (seal IS NULL)", name="sealed_in_its_place"),
        Index("audit_to_seal", "id", postgresql_where=text("seal IS NULL")),
        Index("audit_by_time", "at", postgresql_using="brin"),
        Index("audit_by_actor", "actor", "at"),
    )
