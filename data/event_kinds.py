"""Every kind of event that there is, and what it tells: who adds one names it here.

Streams may listen for any word; subscriptions are refused a kind that nobody will ever tell.
"""

from data import agreements, referral_rules, whistle_rules
from data.schema.dispatch import ACTIVE, ATTENDANCES, ENDED
from data.schema.visits import VISIT_STATES
from data.stages import ACTIONS

TEST = "subscription.test"  # the one kind that goes to a single subscriber, asked for or not

KINDS: dict[str, str] = {
    "report.received": "a report came in",
    "report.confirmed": "the grid of a report was confirmed",
    **{each.told: f"a case: {action.replace('_', ' ')}" for action, each in ACTIONS.items()},
    "clock.warned": "a time is nearly over",
    "clock.late": "a time is over",
    "clock.overdue": "a time is over for so long that an order is due",
    "clock.refused": "a time could not begin",
    "clock.hook_failed": "what should follow from a time failed",
    "calendar.changed": "a calendar was changed",
    "supervision.issued": "a supervision order was issued",
    "supervision.answered": "a supervision order was answered",
    "supervision.closed": "a supervision order was closed",
    **{f"assignment.{state}": f"a task is {state}" for state in (*ACTIVE, *ENDED)},
    "deployment.planned": "people were planned for a deployment",
    "deployment.cancelled": "a deployment was called off",
    **{f"attendance.{state}": f"somebody's place in a shift is {state}" for state in ATTENDANCES},
    "resource.created": "a resource was added",
    "resource.changed": "a resource was changed",
    "resource.imported": "a roster was taken in",
    "resource.status": "a resource is available, busy or off",
    "resource.leave": "a resource goes on leave",
    "resource.back": "a leave was ended",
    "resource.withdrawn": "a resource was withdrawn",
    "resource.moved": "a resource is somewhere else",
    "record.imported": "a file of records was taken in",
    "record.placed": "a record was placed by a person",
    "record.withdrawn": "a record was withdrawn",
    "person.revealed": "somebody looked at what a record says about a person",
    **{f"visit.{state}": f"visits are {state}" for state in VISIT_STATES},
    "visit.planned": "visits were planned",
    "visit.unplanned": "a plan of visits was ended",
    "watched.given": "a watched place was added",
    "watched.changed": "a watched place was changed",
    "watched.withdrawn": "a watched place was withdrawn",
    "watch.ruled": "a rule for readings was made",
    "watch.unruled": "a rule for readings was ended",
    "watch.began": "readings of a place are bad",
    "watch.ended": "readings of a place are good again",
    "warning.raised": "something is more than usual",
    "warning.accepted": "a warning was accepted",
    "warning.closed": "a warning was closed with an outcome",
    "assessment.drafted": "an assessment was drafted",
    "assessment.decided": "an assessment was decided",
    **{told: f"a whistle: {what}" for what, told in whistle_rules.TOLD.items()},
    **{told: f"a referral: {what}" for what, told in referral_rules.TOLD.items()},
    **{told: f"an agreement: {what}" for what, told in agreements.TOLD.items()},
    **{
        f"party.{state}": f"somebody of a case: {state.replace('_', ' ')}"
        for state in (
            "added",
            "withdrawn",
            "erased",
        )
    },
    **{
        f"visit.{state}": f"a return visit: {state.replace('_', ' ')}"
        for state in (
            "answered",
            "tried",
        )
    },
    "retention.changed": "how long people are kept was changed",
    TEST: "a test that a subscriber asked for",
}
