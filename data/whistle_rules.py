"""What can be done with a call of a whistle, and what the clocks of it are. Without a database."""

from dataclasses import dataclass

COMING = ("called", "signed", "contacted")  # called, and not there yet
STATES = (*COMING, "arrived", "released", "absent")
SIGN, CONTACT, ARRIVE, ARRIVE_HARD = (
    "whistle.sign", "whistle.contact", "whistle.arrive", "whistle.arrive_hard",
)  # fmt: skip
CLOCKS = (SIGN, CONTACT, ARRIVE, ARRIVE_HARD)


@dataclass(frozen=True)
class CallAction:
    """Something that is done with the call of one organisation.

    Attributes
    ----------
    state : of the call after it; None: the same
    before : the states in which it can be done
    stops : the clocks that it stops; stages may be passed over, for who is there has signed
    by_caller : whether it is the caller who does it, and not the one who was called
    pending : whether there must be a wish not to come that is undecided
    needs_reason : whether it is done without a word of why
    """

    state: str | None
    before: tuple[str, ...] = COMING
    stops: tuple[str, ...] = ()
    by_caller: bool = False
    pending: bool = False
    needs_reason: bool = False


CALL_ACTIONS = {
    "sign": CallAction("signed", ("called",), (SIGN,)),
    "contact": CallAction("contacted", ("called", "signed"), (SIGN, CONTACT)),
    "arrive": CallAction("arrived", stops=CLOCKS),
    # Who does not want to come stays called until the caller agrees.
    "decline": CallAction(None, needs_reason=True),
    "release": CallAction("released", stops=CLOCKS, by_caller=True, pending=True),
    "insist": CallAction(None, by_caller=True, pending=True, needs_reason=True),
}
TOLD = {
    "blow": "whistle.blown", "call": "whistle.called", "sign": "whistle.signed",
    "contact": "whistle.contacted", "arrive": "whistle.arrived", "decline": "whistle.declined",
    "release": "whistle.released", "insist": "whistle.insisted", "late": "whistle.late",
    "join": "whistle.joined", "leave": "whistle.left", "visit": "whistle.visited",
    "plan": "whistle.planned", "finish": "whistle.plan_done", "rate": "whistle.rated",
    "end": "whistle.ended",
}  # fmt: skip
"""What happens to a whistle, and the kind of its event."""


def clocks_of(hard: bool) -> tuple[str, str, str]:
    """The clocks that run for whoever is called.

    >>> clocks_of(hard=True)
    ('whistle.sign', 'whistle.contact', 'whistle.arrive_hard')
    """
    return SIGN, CONTACT, ARRIVE_HARD if hard else ARRIVE


def allowed(state: str, pending: bool) -> list[str]:
    """What can be done with a call.

    >>> allowed("arrived", False), allowed("called", True)
    ([], ['sign', 'contact', 'arrive', 'decline', 'release', 'insist'])
    """
    return [
        name
        for name, action in CALL_ACTIONS.items()
        if state in action.before and (pending or not action.pending)
    ]
