"""The referrals of mediation (六调对接): their kinds, states and steps. Without a database."""

from dataclasses import dataclass

KINDS = (
    "court", "procuratorate", "police", "petitions", "notary", "arbitration", "police_call",
)  # fmt: skip
"""诉调, 检调, 警调, 访调, 证调, 仲调; and what 110 hands over as not the police's (非警务警情)."""
INWARDS_ONLY = ("police_call",)
DIRECTIONS = ("out", "in")
OPEN = ("offered", "accepted")
STATES = (*OPEN, "declined", "withdrawn", "returned", "concluded")
ACCEPT, ACCEPT_CALL = "referral.accept", "police_call.accept"
CLOCKS = (ACCEPT, ACCEPT_CALL)


@dataclass(frozen=True)
class ReferralAction:
    """Something that is done with a referral.

    Attributes
    ----------
    state : after it
    before : the state in which it can be done
    by_giver : whether it is done by who offered it, and not by who receives it
    needs_reason : whether it is done without a word of why
    """

    state: str
    before: str
    by_giver: bool = False
    needs_reason: bool = False


ACTIONS = {
    "accept": ReferralAction("accepted", "offered"),
    "decline": ReferralAction("declined", "offered", needs_reason=True),
    "withdraw": ReferralAction("withdrawn", "offered", by_giver=True, needs_reason=True),
    "docket": ReferralAction("accepted", "accepted"),
    "return": ReferralAction("returned", "accepted", needs_reason=True),
    "conclude": ReferralAction("concluded", "accepted", needs_reason=True),
}
TOLD = {
    "offer": "referral.offered", "accept": "referral.accepted", "decline": "referral.declined",
    "withdraw": "referral.withdrawn", "docket": "referral.docketed", "return": "referral.returned",
    "conclude": "referral.concluded", "late": "referral.late",
}  # fmt: skip
"""What happens to a referral, and the kind of its event."""


def allowed(state: str) -> list[str]:
    """What can be done with a referral.

    >>> allowed("offered"), allowed("concluded")
    (['accept', 'decline', 'withdraw'], [])
    """
    return [name for name, action in ACTIONS.items() if state == action.before]
