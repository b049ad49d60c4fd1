"""What is asked of accounts, sessions, tokens and the audit, and how they go out."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr

from api.schemas import BIGGEST, Incoming, Line, Moment, Outgoing, Word
from data.access import PERMISSIONS, ROLES

Role = Literal[
    "grid_worker", "police_officer", "dispatcher", "centre_chief", "planner", "supervisor",
    "system_admin", "security_admin", "audit_admin",
]  # fmt: skip


def _text(value: SecretStr) -> SecretStr:
    try:
        value.get_secret_value().encode()
    except UnicodeEncodeError:
        raise ValueError("the password holds half a character; type it again") from None
    return value


Secret = Annotated[SecretStr, Field(min_length=1, max_length=500), AfterValidator(_text)]
assert set(Role.__args__) == set(ROLES)  # type: ignore[attr-defined]


class SigningIn(Incoming):
    """Who signs in."""

    login: Word
    password: Secret
    code: Word | None = Field(None, description="the six digits of the second factor")


class Digits(Incoming):
    """The second factor of whom the provider vouched for."""

    code: Word = Field(description="the six digits of the second factor")


class Leaving(Outgoing):
    """Where a browser goes to sign out of the provider, too."""

    leave: str


class SignedIn(Outgoing):
    """Who is signed in, and what they may."""

    name: str
    organisation: int | None
    permissions: list[str]
    token: str | None = Field(
        None, description="for programs, as Authorization: Bearer; browsers have a cookie"
    )


class Given(Incoming):
    """A role, and where."""

    role: Role
    area: Word | None = Field(None, description="a code, or layer:code; null: the whole city")


class NewAccount(Incoming):
    """An account to be made."""

    login: Word
    password: Secret | None = Field(
        None,
        description="the first one, to be changed by whose it is; null: they come in by the "
        "provider of OpenID Connect",
    )
    roles: list[Given] = Field(max_length=50)
    organisation: Word | None = Field(None, description="code of the one for which they act")
    resource: int | None = Field(
        None, ge=1, le=BIGGEST, description="number of the person that they are"
    )


class Changed(Incoming):
    """What is to be different about an account; what is left out stays."""

    password: Secret | None = None
    roles: list[Given] | None = Field(None, max_length=50)


class Password(Incoming):
    """One's own password."""

    old: Secret
    new: Secret


class RoleShown(Outgoing):
    """A role, and where."""

    role: Role
    layer: str | None
    area: str | None


class IdentityShown(Outgoing):
    """Whom a provider of OpenID Connect knows."""

    issuer: str
    subject: str


class AccountShown(Outgoing):
    """An account."""

    id: int
    login: str
    organisation: str | None
    resource: int | None
    created: datetime
    withdrawn: datetime | None
    second_factor: bool
    locked: bool | None
    identities: list[IdentityShown] = Field(
        description="by which providers of OpenID Connect know them"
    )
    roles: list[RoleShown]


class AccountsShown(Outgoing):
    """Accounts by login."""

    accounts: list[AccountShown]


class Identity(Incoming):
    """Whom the provider of OpenID Connect knows."""

    subject: Annotated[Line, Field(max_length=255)] = Field(
        description="the provider's `sub` for them, to the letter"
    )


class DeedShown(Outgoing):
    """What one person asked for about an administrator's account."""

    id: int
    what: Literal["make", "change", "second_factor", "link", "unlink", "end", "reopen"]
    account: int | None = Field(description="null: it is to be made")
    login: str
    roles: list[RoleShown] | None = Field(description="it would have these; null: as before")
    password: bool = Field(description="whether it would have another password")
    subject: str | None = Field(description="the provider's, with whom it would be linked")
    asked: datetime
    actor: str = Field(description="who asked")
    expires: datetime


class DeedsShown(Outgoing):
    """What waits for a second person, the oldest first."""

    pending: list[DeedShown]


class Agreed(Outgoing):
    """What two people wanted, done."""

    account: AccountShown
    address: str | None = Field(description="of a second factor that was made; shown this once")


class Enrolment(Outgoing):
    """A second factor that was just made; it is shown once."""

    address: str = Field(description="otpauth address, as an authenticator app reads it")


class NewToken(Incoming):
    """A token for another system."""

    name: Line = Field(description="of the system; the actor of what it does")
    permissions: list[Word] = Field(min_length=1, max_length=len(PERMISSIONS))
    area: Word | None = Field(None, description="a code, or layer:code; null: the whole city")
    organisation: Word | None = None
    expires: Moment | None = None


class TokenMade(Outgoing):
    """A token that was just made; it is shown once."""

    id: int
    token: str


class TokenShown(Outgoing):
    """A token, without what it is."""

    id: int
    name: str
    permissions: list[str]
    layer: str | None
    area: str | None
    organisation: str | None
    created: datetime
    actor: str
    expires: datetime | None


class TokensShown(Outgoing):
    """The tokens that hold."""

    tokens: list[TokenShown]


class Deed(Outgoing):
    """A row of the audit."""

    id: int
    at: datetime
    actor: str
    account: int | None
    token: int | None
    action: str
    subject: str
    detail: dict[str, Any]
    place: int | None = Field(description="in the chain; null: not sealed yet")
    seal: str | None


class Deeds(Outgoing):
    """What was done, the newest first."""

    audit: list[Deed]
    next: str | None
