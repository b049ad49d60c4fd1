"""Jobs for the workers, put down in the transaction of what they belong to (Procrastinate)."""

from collections.abc import Iterable
from typing import Any

from procrastinate import SyncPsycopgConnector
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from sqlalchemy import Connection, text

QUEUE = "wangge"
DELIVER = "deliver"
ANALYSE = "analyse"

# Jobs are put down on the caller's connection, so that the manager's own is never opened.
_manager = JobManager(SyncPsycopgConnector())


def lane(subscription: int) -> str:
    """The lock of a subscriber's jobs: one of them runs at a time, in any worker."""
    return f"lane {subscription}"


_IDLE = text("""
SELECT s.id FROM subscription s
WHERE s.withdrawn IS NULL AND (s.resting IS NULL OR s.resting <= now())
  AND EXISTS (SELECT FROM message m WHERE m.subscription_id = s.id AND m.due <= now()
              AND m.delivered IS NULL AND m.dead IS NULL)
  AND NOT EXISTS (SELECT FROM procrastinate_jobs j
                  WHERE j.lock = 'lane ' || s.id AND j.status = 'todo')
""")


def analyse(connection: Connection, number: int) -> None:
    """Put a job down that works an analysis out, unless one waits."""
    waiting = connection.execute(_WAITING, {"lock": f"analysis {number}"}).scalar_one()
    if not waiting:
        _defer(connection, [(f"analysis {number}", ANALYSE, {"analysis": number})])


_WAITING = text(
    "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE lock = :lock"
    " AND status IN ('todo', 'doing'))"
)


def start_lanes(connection: Connection) -> int:
    """Put a job down for every subscriber who has messages due and no job that waits.

    One that runs does not count: it may just have looked for the last time. Returns how many.
    """
    idle = connection.execute(_IDLE).scalars().all()
    if idle:
        _defer(connection, [(lane(each), DELIVER, {"subscription": each}) for each in idle])
    return len(idle)


def _defer(connection: Connection, asked: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
    """Put jobs down: the lock that each holds while it runs, the task, and what it is given."""
    wanted = [
        Job(queue=QUEUE, lock=lock, queueing_lock=None, task_name=task, task_kwargs=given)
        for lock, task, given in asked
    ]
    _manager.batch_defer_jobs(wanted, connection=connection.connection.driver_connection)
