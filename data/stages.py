"""The stages of a case, and what leads from one to another. Plain rules, without a database."""

from dataclasses import dataclass

STAGES = (
    "received", "triaged", "assigned", "accepted", "in_work", "consultation", "referred",
    "resolved", "return_visit", "closed",
)  # fmt: skip
ANSWERED = ("resolved", "return_visit", "closed")  # somebody said that it is done
OPEN = tuple(stage for stage in STAGES if stage != "closed")
AT_WORK = ("accepted", "in_work", "consultation")
UNDECIDED = ("received", "triaged")
UNANSWERED = (*UNDECIDED, "assigned", *AT_WORK, "referred")  # nobody has said that it is done
CITY, GRID = 0, 4  # levels, as those of the layers of the area tree


@dataclass(frozen=True)
class Action:
    """Something that is done with a case.

    Attributes
    ----------
    before : the stages in which it can be done
    stage : the one after it; None: the same
    told : the kind of its event
    needs_reason : whether it is done without a word of why
    accountable : whether only the organisation that answers for the case, or one above it, may
    by_itself : done by what it belongs to (a whistle, a question, a return visit), not by a route
    """

    before: tuple[str, ...]
    stage: str | None
    told: str
    needs_reason: bool = False
    accountable: bool = True
    by_itself: bool = False


ACTIONS: dict[str, Action] = {
    "open": Action((), "received", "case.opened", accountable=False, by_itself=True),
    "note": Action(STAGES, None, "case.noted", needs_reason=True, accountable=False),
    # Whoever reported it is asked something, and waited for (`data.questions`).
    "ask": Action(UNANSWERED, None, "case.asked", needs_reason=True, by_itself=True),
    "reply": Action(UNANSWERED, None, "case.replied", by_itself=True),
    "unanswered": Action(
        UNANSWERED, None, "case.unanswered", accountable=False, by_itself=True
    ),
    "triage": Action((*UNDECIDED, "assigned"), "triaged", "case.triaged"),
    "assign": Action((*UNDECIDED, "assigned"), "assigned", "case.assigned"),
    "accept": Action(("assigned",), "accepted", "case.accepted"),
    "decline": Action(("assigned",), "triaged", "case.declined", needs_reason=True),
    "start": Action(("accepted", "consultation"), "in_work", "case.started"),
    "return": Action(AT_WORK, "triaged", "case.returned", needs_reason=True),
    "transfer": Action(
        ("assigned", *AT_WORK), "assigned", "case.transferred", needs_reason=True
    ),
    "escalate": Action(
        (*UNDECIDED, "assigned", *AT_WORK), "triaged", "case.escalated", needs_reason=True
    ),
    "delegate": Action((*UNDECIDED, "assigned", *AT_WORK), "assigned", "case.delegated"),
    "consult": Action(("accepted", "in_work"), "consultation", "case.consulted"),
    "refer": Action(AT_WORK, "referred", "case.referred", by_itself=True),
    "refer_back": Action(("referred",), "in_work", "case.referred_back", by_itself=True),
    "reject": Action(UNDECIDED, "resolved", "case.rejected", needs_reason=True),
    "resolve": Action(
        UNANSWERED, "resolved", "case.resolved", needs_reason=True,
    ),
    "visit": Action(("resolved",), "return_visit", "case.visited", by_itself=True),
    "close": Action(("resolved", "return_visit"), "closed", "case.closed", by_itself=True),
    "reopen": Action(ANSWERED, "triaged", "case.reopened", needs_reason=True, accountable=False),
    "merge": Action(OPEN, "closed", "case.merged", needs_reason=True),
    "unmerge": Action(("closed",), None, "case.unmerged", needs_reason=True, accountable=False),
    "succeed": Action(STAGES, None, "case.succeeded", accountable=False, by_itself=True),
}  # fmt: skip


def allowed(stage: str) -> list[str]:
    """What people can do with a case in a stage.

    >>> allowed("resolved")
    ['note', 'reopen', 'merge']
    """
    return [
        name
        for name, action in ACTIONS.items()
        if stage in action.before and not action.by_itself and name != "unmerge"
    ]
