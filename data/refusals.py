"""Why somebody cannot be sent, or a task not moved on: in a sentence, and in facts for programs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

# Why somebody is not sent without a reason, as a sentence goes on.
UNAVAILABLE = {
    "off": "is off",
    "busy": "is busy with something else",
    "on_leave": "is on leave",
    "deployed": "is at work in a deployment",
    "off_duty": "is not on duty at this hour",
}
_Row = Mapping[Any, Any]  # of the database, by its columns' names


class DispatchError(ValueError):
    """What was asked cannot be done; nothing was written.

    `reason` is a word that programs know: unknown_incident, incident_closed, unknown_resource,
    withdrawn, facility, not_available, taken, already_sent, unknown_assignment, step_not_allowed,
    still_under_way or reason_missing. `facts` (JSON and moments) say the rest of it.
    """

    def __init__(self, reason: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.reason, self.facts = reason, facts


def says_something(words: str | None) -> bool:
    """Whether there is anything to read: blanks and characters without a shape are nothing.

    >>> says_something("病假"), says_something(" \\u200b")
    (True, False)
    """
    return any(each.isprintable() and not each.isspace() for each in words or "")


def need(reason: str | None, field: str, what: str) -> None:
    """Raise if a reason that is needed says nothing."""
    if not says_something(reason):
        raise DispatchError("reason_missing", f"{what} needs a reason; say why.", field=field)


def closed(incident: _Row) -> DispatchError:
    """Nobody is sent to, or called back from, an incident that is closed."""
    return DispatchError(
        "incident_closed",
        f"Incident {incident['id']} was closed at {clock(incident['closed'])}: "
        f"{incident['outcome']}.",
        incident=incident["id"],
        closed=incident["closed"],
        outcome=incident["outcome"],
    )


def check_resources(resources: Sequence[_Row], ids: Iterable[int], insisted: set[int]) -> None:
    """Raise for whoever is unknown, gone or a place, or not available and not `insisted` on.

    Parameters
    ----------
    resources : rows with id, name, form, withdrawn and unavailable (a key of `UNAVAILABLE`)
    """
    if unknown := sorted(set(ids) - {row["id"] for row in resources}):
        listed = ", ".join(map(str, unknown))
        raise DispatchError("unknown_resource", f"There is no resource {listed}.", ids=unknown)
    if gone := [row for row in resources if row["withdrawn"]]:
        raise _unfit("withdrawn", gone, "was withdrawn; choose another")
    if places := [row for row in resources if row["form"] == "facility"]:
        raise _unfit("facility", places, "is a place: people are sent to it, it is not sent")
    away = [row for row in resources if row["unavailable"] and row["id"] not in insisted]
    if away:
        why = UNAVAILABLE[away[0]["unavailable"]]
        raise _unfit("not_available", away, f"{why}; choose another, or give a reason as override")


def _unfit(reason: str, rows: Sequence[_Row], why: str) -> DispatchError:
    told = [{"id": row["id"], "name": row["name"], "why": row["unavailable"]} for row in rows]
    return DispatchError(reason, f"{_name(rows[0])} {why}.", resources=told)


def already_sent(tasks: Sequence[_Row]) -> DispatchError:
    """They are under way to the same incident; `tasks` as for `taken`."""
    told = f"{_name(tasks[0])} is under way there already: {_who(tasks[0])}."
    return DispatchError("already_sent", told, resources=_holders(tasks))


def taken(tasks: Sequence[_Row]) -> DispatchError:
    """Others were faster.

    Parameters
    ----------
    tasks : what those who are full have to do, by resource, the latest first: rows with id and name
        of the resource, its capacity, assignment_id, incident_id, state, actor, at
    """
    told = f"{_name(tasks[0])} is taken: {_who(tasks[0])}"
    return DispatchError(
        "taken",
        f"{told}; choose another, or give a reason as override.",
        resources=_holders(tasks),
    )


def still_under_way(incident_id: int, tasks: Sequence[_Row]) -> DispatchError:
    """An incident is not closed over the heads of those who are on their way to it."""
    told = [
        {"id": task["id"], "resource": task["resource_id"], "name": task["resource_name"]}
        for task in tasks
    ]
    return DispatchError(
        "still_under_way",
        f"{len(tasks)} of those who were sent to incident {incident_id} have not finished; wait "
        "for them, or give a reason to call them back.",
        tasks=told,
    )


def step_not_allowed(
    assignment_id: int, state: str, now: str, actor: str, at: datetime, allowed: Sequence[str]
) -> DispatchError:
    """A task that is `now` what `actor` made it cannot become `state`."""
    may = f"it may become {', '.join(allowed)}" if allowed else "that is its end"
    return DispatchError(
        "step_not_allowed",
        f"Assignment {assignment_id} cannot become {state}: {actor} made it {now} at {clock(at)}, "
        f"and {may}.",
        state=now,
        actor=actor,
        at=at,
        allowed=list(allowed),
    )


def _holders(tasks: Iterable[_Row]) -> list[dict[str, Any]]:
    """The resources, each with what it has to do."""
    held: dict[int, dict[str, Any]] = {}
    for row in tasks:
        resource = {name: row[name] for name in ("id", "name", "capacity")}
        task = {
            "id": row["assignment_id"], "incident": row["incident_id"], "state": row["state"],
            "actor": row["actor"], "at": row["at"],
        }  # fmt: skip
        held.setdefault(row["id"], {**resource, "tasks": []})["tasks"].append(task)
    return list(held.values())


def _who(task: _Row) -> str:
    return f"{task['actor']} sent it to incident {task['incident_id']} at {clock(task['at'])}"


def _name(row: _Row) -> str:
    return f"{row['name']} (resource {row['id']})"


def clock(moment: datetime) -> str:
    """A moment in a sentence.

    >>> clock(datetime(2026, 3, 2, 8, 15, tzinfo=UTC))
    '2026-03-02T08:15:00Z'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
