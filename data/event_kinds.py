"""Every kind of event that there is, and what it tells: who adds one names it here.

Streams may listen for any word; subscriptions are refused a kind that nobody will ever tell.
"""

from data.schema.dispatch import ACTIVE, ATTENDANCES, ENDED

TEST = "subscription.test"  # the one kind that goes to a single subscriber, asked for or not

KINDS: dict[str, str] = {
    "report.received": "a report came in",
    "report.confirmed": "the grid of a report was confirmed",
    "incident.closed": "an incident was closed",
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
    TEST: "a test that a subscriber asked for",
}
