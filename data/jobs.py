"""Jobs for the workers, put down in the transaction of what they belong to (Procrastinate)."""

from collections.abc import Iterable

from procrastinate import SyncPsycopgConnector
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from sqlalchemy import Connection, text

QUEUE = "wangge"
DELIVER = "deliver"

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


def start_lanes(connection: Connection) -> int:
    """Put a job down for every subscriber who has messages due and no job that waits.

    One that runs does not count: it may just have looked for the last time. Returns how many.
    """
    idle = connection.execute(_IDLE).scalars().all()
    if idle:
        _defer(connection, idle)
    return len(idle)


def _defer(connection: Connection, subscriptions: Iterable[int]) -> None:
    jobs = [
        Job(
            queue=QUEUE,
            lock=lane(each),
            queueing_lock=None,
            task_name=DELIVER,
            task_kwargs={"subscription": each},
        )
        for each in subscriptions
    ]
    _manager.batch_defer_jobs(jobs, connection=connection.connection.driver_connection)
