"""Timers: what happens when a clock warns, is up, or has been up for too long; each once.

Every few moments a worker looks for clocks that have come due, by the database's time and an index
of only those that can still fire. It marks them and writes their events in one statement, so that
a worker that dies half-way has done nothing, one that was away catches up, several share the work
(`SKIP LOCKED`), and a clock that is set back finds the mark.
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, text

from data import events

log = logging.getLogger("wangge.timers")
BATCH, FOLLOWED = 2000, 200  # in a transaction; the latter where something follows each
EVERY = "*"  # as the name of a clock: any

Hook = Callable[[Connection, RowMapping], None]
"""What follows by itself, in the transaction of the firing; the row is the clock's, with `area_id`
of its incident."""


@dataclass(frozen=True)
class Stage:
    """Something that happens to a clock: which column says when, and which that it has."""

    due: str
    fired: str
    event: str
    condition: str


STAGES = {
    "late": Stage("due", "late", "clock.late", "late IS NULL"),
    "order": Stage(
        "order_at", "ordered", "clock.overdue", "ordered IS NULL AND order_at IS NOT NULL"
    ),
    # What is up already does not warn any more.
    "warned": Stage(
        "warn_at", "warned", "clock.warned",
        "warned IS NULL AND late IS NULL AND due > (SELECT at FROM clock_now)",
    ),
}  # fmt: skip
_HOOKS: dict[tuple[str, str], list[Hook]] = defaultdict(list)


def on(stage: str, name: str, hook: Hook) -> None:
    """Let a hook follow whenever a clock of the name (`EVERY`: any) comes to one of `STAGES`.

    A hook that fails undoes what it did itself and nothing else; the failure is told as the event
    `clock.hook_failed`.
    """
    if stage not in STAGES:
        raise ValueError(f"there is no stage {stage!r}; there are {', '.join(STAGES)}")
    if hook not in _HOOKS[stage, name]:
        _HOOKS[stage, name].append(hook)


_FIRE = """
WITH clock_now AS MATERIALIZED (
    SELECT coalesce(CAST(:at AS timestamptz), clock_timestamp()) AS at
), due AS MATERIALIZED (
    SELECT id FROM clock
    WHERE stopped IS NULL AND paused IS NULL AND {condition}
      AND {due} <= (SELECT at FROM clock_now)
    ORDER BY {due} LIMIT :most FOR NO KEY UPDATE SKIP LOCKED
), fired AS (
    UPDATE clock c SET {fired} = n.at FROM due, clock_now n WHERE c.id = due.id RETURNING c.*
), told AS (
    INSERT INTO event (kind, incident_id, area_id, data)
    SELECT :event, f.incident_id, i.area_id, jsonb_build_object(
        'clock', f.id, 'name', f.name, 'subject', f.subject, 'due', f.due,
        'organisation', f.organisation_id)
    FROM fired f JOIN incident i ON i.id = f.incident_id ORDER BY f.{due}, f.id
)
SELECT n.fired AS in_all, f.*
FROM (SELECT count(*) AS fired FROM fired) n
LEFT JOIN (SELECT c.*, i.area_id FROM fired c JOIN incident i ON i.id = c.incident_id) f
       ON CAST(:every AS boolean) OR f.name = ANY (:names)
ORDER BY f.{due}, f.id
"""
_STATEMENTS = {name: text(_FIRE.format(**vars(stage))) for name, stage in STAGES.items()}


def fire(connection: Connection, at: datetime | None = None, most: int = BATCH) -> int:
    """Fire what has come due, at most so many of each stage; how many fired in all.

    Call it again, in another transaction, until it returns 0: there may be more.

    Parameters
    ----------
    at : the moment; None: now, by the database's time
    """
    late = _fire(connection, "late", at, most)
    fired = late + _fire(connection, "order", at, most)
    # Warnings are sought once nothing is late: the search would pass over all of that each time.
    return fired + (_fire(connection, "warned", at, most) if late < most else 0)


def _fire(connection: Connection, stage: str, at: datetime | None, most: int) -> int:
    names = [name for at_stage, name in _HOOKS if at_stage == stage]
    most = min(most, FOLLOWED) if EVERY in names else most
    asked = {"at": at, "most": most, "event": STAGES[stage].event, "names": names,
             "every": EVERY in names}  # fmt: skip
    done = connection.execute(_STATEMENTS[stage], asked).mappings().all()
    for clock in done:
        if clock["id"] is not None:  # without any to follow there is one row with the count alone
            _follow(connection, stage, clock)
    return int(done[0]["in_all"])


def _follow(connection: Connection, stage: str, clock: RowMapping) -> None:
    for hook in (*_HOOKS[stage, clock["name"]], *_HOOKS[stage, EVERY]):
        try:
            with connection.begin_nested():
                hook(connection, clock)
        except Exception as error:
            log.exception("What follows when clock %s is %s has failed", clock["id"], stage)
            said = {"clock": clock["id"], "name": clock["name"], "stage": stage,
                    "error": f"{type(error).__name__}: {error}"}  # fmt: skip
            events.record(
                connection, "clock.hook_failed", said, incident_id=clock["incident_id"],
                area_id=clock["area_id"],
            )  # fmt: skip
