"""What can be permitted, which role is permitted what, and who is acting now.

The powers over the system are kept apart from each other and from the work: who runs it sees no
case, who gives accounts reads neither cases nor the audit, who reads the audit changes nothing.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

PERMISSIONS = (
    "report.write", "report.read", "triage.write", "incident.read", "dispatch.write",
    "task.write", "resource.read", "resource.write", "position.read", "position.write",
    "deployment.write", "area.read", "area.write", "rule.write", "subscription.manage",
    "case.read", "case.write", "case.close", "whistle.write", "referral.write", "visit.write",
    "supervision.write", "record.read", "record.write", "person.reveal", "indicator.read",
    "analysis.read", "audit.read", "account.manage", "catalogue.write", "page.read",
)  # fmt: skip
_LOOK = ("area.read", "page.read")
_STREET = (
    *_LOOK, "report.write", "report.read", "incident.read", "task.write", "case.read",
    "record.read", "record.write", "visit.write", "resource.read",
)  # fmt: skip
_DESK = (
    *_STREET, "triage.write", "dispatch.write", "resource.write", "position.read",
    "position.write", "deployment.write", "case.write", "whistle.write", "referral.write",
    "indicator.read", "analysis.read",
)  # fmt: skip
ROLES: dict[str, tuple[str, ...]] = {
    "grid_worker": _STREET,
    "police_officer": (*_STREET, "position.read", "analysis.read"),
    "dispatcher": _DESK,
    "centre_chief": (
        *_DESK, "case.close", "supervision.write", "rule.write", "person.reveal",
    ),
    "planner": (
        *_LOOK, "area.write", "incident.read", "indicator.read", "analysis.read", "record.read",
    ),
    "supervisor": (
        *_LOOK, "incident.read", "report.read", "case.read", "record.read", "resource.read",
        "indicator.read", "analysis.read", "supervision.write",
    ),
    "system_admin": ("subscription.manage", "catalogue.write", "rule.write", "area.read"),
    "security_admin": ("account.manage", "area.read"),
    "audit_admin": ("audit.read",),
}  # fmt: skip
SECOND_FACTOR = ("centre_chief", "supervisor", "system_admin", "security_admin", "audit_admin")
"""Roles with power: who has one signs in with a second factor."""
POWERS = (
    "account.manage", "audit.read", "catalogue.write", "person.reveal", "rule.write",
    "subscription.manage",
)  # fmt: skip
"""Permissions over the system and over what is sealed: no one person makes a token with them."""


@dataclass(frozen=True)
class Who:
    """Somebody who acts: a person who is signed in, or another system with its token.

    Attributes
    ----------
    name : that is written down as the actor of what they do
    grants : permission: in which areas (ids) with all below them; None: in the whole city
    organisation_id : for which they act; None: for none in particular
    account_id, token_id : the one that they showed
    deed : what they are doing, as the audit says it
    subject : to what
    areas : where (ids) what they are doing is permitted, with all below them; None: in the whole
        city. The database shows them no rows of elsewhere.
    """

    name: str
    grants: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict)
    organisation_id: int | None = None
    account_id: int | None = None
    token_id: int | None = None
    deed: str = ""
    subject: str = ""
    areas: tuple[int, ...] | None = ()

    def may(self, permission: str) -> bool:
        """Whether they are permitted this anywhere."""
        return permission in self.grants

    def named(self, actor: str | None) -> str:
        """The name to write down: a person's own; another system says for whom it asks."""
        return actor if actor and self.token_id is not None else self.name


acting: ContextVar[Who | None] = ContextVar("acting", default=None)
"""Who acts in the request that is being answered; None: the program itself."""


def reach() -> tuple[int, ...] | None:
    """The areas (ids) that are acted in with all below them; None: the whole city.

    The program itself sees everything: what nobody is signed in for asks for no more than it needs.
    """
    who = acting.get()
    return who.areas if who else None


def actor(given: str | None = None) -> str:
    """The name to write down for what is being done now; see `Who.named`."""
    who = acting.get()
    return who.named(given) if who else given or "wangge"
