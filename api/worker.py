"""The workers: deliver messages, fire timers and keep the house, in `serve` or alone."""

import asyncio
import logging
import signal
import threading
import time
from asyncio import TaskGroup
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from datetime import UTC, datetime
from multiprocessing import get_context

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import DeleteJobCondition, Status
from sqlalchemy.exc import SQLAlchemyError

from api.channels import Channel, NotDeliveredError, ways
from api.deps import Database
from data import jobs, messages, upkeep
from data.analyses import work
from data.messages import Message, Verdict
from data.sequencer import Sequencer
from data.server_programs import ServerError

LANES = 50  # subscribers served at the same time
TURN_S = 20.0  # after which a subscriber with a long queue lets others go first
POLL_S = 1.0  # for retries and timers that have come due, and for jobs of dead workers
HEARTBEAT_S, DEAD_S = 2.0, 8.0  # a worker silent for the latter is dead, and its jobs are freed
WARM_S = 10.0  # after which a worker that goes on gets ready for analyses
END_S = 3.0  # for what is under way at the end; what is cut off is tried again
RESTART_S = 1.0

log = logging.getLogger("wangge.worker")


def _now() -> datetime:
    return datetime.now(UTC)


class Courier:
    """Takes one subscriber's messages out, a few at once, as long as there are any."""

    def __init__(self, db: Database, channels: Mapping[str, Channel]) -> None:
        self._db, self._channels = db, channels

    async def serve(self, subscription: int) -> None:
        """Serve a subscriber until its lane is empty, it fails, or its turn is over."""
        until = time.monotonic() + TURN_S
        while time.monotonic() < until:
            due = await self._db.read(messages.due, subscription)
            if not due:
                return
            verdicts = await asyncio.gather(*map(self._try, due))
            await self._db.write(messages.note, subscription, verdicts)

    async def _try(self, message: Message) -> Verdict:
        channel = self._channels.get(message.channel)
        if channel is None:
            error = f"This worker has no settings for {message.channel}."
            return Verdict(message.id, error, down=True)
        try:
            await channel.deliver(message)
        except NotDeliveredError as error:
            return Verdict(
                message.id, str(error), error.tries, error.down, error.wait_s, error.ended
            )
        except Exception as error:  # a fault of ours must not end the lane
            log.exception("Message %s cannot be delivered", message.id)
            return Verdict(message.id, f"A fault of the service: {error!r}")
        return Verdict(message.id)


class Analyst:
    """Works analyses out in a process of its own, one at a time.

    What computes for seconds would keep whoever answers requests in the same process waiting.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: ProcessPoolExecutor | None = None

    async def work(self, analysis: int) -> None:
        """Work an analysis out; if its process dies twice, that is said in its place."""
        loop = asyncio.get_running_loop()
        # One that breaks took others with it, or had died before: its work is tried once more.
        for _ in range(2):
            pool = self._process()
            try:
                await loop.run_in_executor(pool, work.run, self._url, analysis)
                return
            except BrokenProcessPool:
                if self._pool is pool:
                    self._pool = None
        await loop.run_in_executor(None, work.give_up, self._url, analysis)

    async def warm(self) -> None:
        """Have the process ready, whose imports take seconds, before somebody asks."""
        await asyncio.sleep(WARM_S)
        with suppress(BrokenProcessPool):
            await asyncio.get_running_loop().run_in_executor(self._process(), work.analyses)

    def _process(self) -> ProcessPoolExecutor:
        # A fork of a process with threads may hold their locks for ever.
        self._pool = self._pool or ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        return self._pool

    def close(self) -> None:
        """End, with what is under way."""
        if self._pool is not None:
            for process in list((self._pool._processes or {}).values()):
                process.kill()
            self._pool.shutdown(wait=True, cancel_futures=True)


class Worker:
    """One worker on the database at `url`; several may run, in any number of processes.

    Parameters
    ----------
    ours : whether the database is the private server, to be started again if it died
    """

    def __init__(self, url: str, *, ours: bool = False) -> None:
        self._url, self._ours = url, ours
        self._ending = asyncio.Event()

    def stop(self) -> None:
        """End after what is under way, which is given a moment; to be called in its loop."""
        self._ending.set()

    async def run(self) -> None:
        """Work until stopped; a database that went away is waited for."""
        db = Database(self._url, ours=self._ours)
        analyst = Analyst(self._url)
        async with ways.opened() as channels:
            courier = Courier(db, channels)
            while not self._ending.is_set():
                try:
                    await self._work(db, courier, analyst)
                except Exception as error:
                    _explain(error)
                    await _within(self._ending, RESTART_S)
        analyst.close()
        await db.close()

    async def _work(self, db: Database, courier: Courier, analyst: Analyst) -> None:
        """Until the end, or until the jobs' library gives up on the database."""
        await db.write(jobs.start_lanes)  # starts a private server that died
        app = _jobs(self._url, db, courier, analyst)
        async with app.open_async(), TaskGroup() as group:
            working = group.create_task(
                app.run_worker_async(
                    queues=[jobs.QUEUE],
                    concurrency=LANES,
                    fetch_job_polling_interval=POLL_S,
                    update_heartbeat_interval=HEARTBEAT_S,
                    stalled_worker_timeout=DEAD_S,
                    shutdown_graceful_timeout=END_S,
                    delete_jobs=DeleteJobCondition.ALWAYS,
                    install_signal_handlers=False,
                )
            )
            watching = group.create_task(_watch(app, db))
            keeping = group.create_task(_keep_time(db))
            warming = group.create_task(analyst.warm())
            ending = group.create_task(self._ending.wait())
            tasks = (working, watching, keeping, ending)
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in (*tasks, warming):
                task.cancel()


_AWAY = (ConnectorException, SQLAlchemyError, psycopg.Error, ServerError, OSError)


def _explain(error: BaseException) -> None:
    """Say why the worker begins anew; only a fault of ours is worth its traceback."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    fault = None if isinstance(error, _AWAY) else error
    log.warning("The worker begins anew: %s", error, exc_info=fault)


async def _watch(app: App, db: Database) -> None:
    """Free the jobs of dead workers, and start the lanes in which something has come due.

    The state of a message is in its own row, so that a job that was cut off is thrown away: its
    lane is started again like any other.
    """
    while True:
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_S):
            if job.id is not None:
                await _throw_away(app, job.id)
        await db.write(jobs.start_lanes)
        await asyncio.sleep(POLL_S)


async def _keep_time(db: Database) -> None:
    """Do what cannot wait for its hour; several workers share it."""
    while True:
        for run in upkeep.ALWAYS.values():
            while await db.write(run):
                pass
        await asyncio.sleep(POLL_S)


async def _throw_away(app: App, job: int) -> None:
    try:
        await app.job_manager.finish_job_by_id_async(job, Status.ABORTED, delete_job=True)
    except ConnectorException as error:  # another worker was faster
        log.debug("Job %s: %s", job, error)


def _jobs(url: str, db: Database, courier: Courier, analyst: Analyst) -> App:
    """The jobs' library, with what can be done: a lane, an analysis, each task of the upkeep."""
    connector = PsycopgConnector(
        conninfo=url.replace("+psycopg", "", 1), min_size=1, max_size=4, timeout=10,
        kwargs={"application_name": "wangge-worker", "connect_timeout": 10},
    )  # fmt: skip
    app = App(connector=connector)

    @app.task(name=jobs.DELIVER, queue=jobs.QUEUE)
    async def deliver(subscription: int) -> None:
        await courier.serve(subscription)

    @app.task(name=jobs.ANALYSE, queue=jobs.QUEUE)
    async def analyse(analysis: int) -> None:
        await analyst.work(analysis)

    for name, task in upkeep.TASKS.items():
        _schedule(app, db, name, task)
    return app


def _schedule(app: App, db: Database, name: str, task: upkeep.Task) -> None:
    @app.periodic(cron=task.cron)
    @app.task(name=name, queue=jobs.QUEUE, queueing_lock=name, lock=name)
    async def run(timestamp: int) -> None:
        changed = await db.write(task.run, _now())
        log.info("%s: %s rows", name, changed)


async def _within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


# --- run ------------------------------------------------------------------------------------------


class Beside:
    """A worker in a thread beside the web server, with a loop of its own."""

    def __init__(self, url: str, *, ours: bool = False) -> None:
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._worker = Worker(url, ours=ours)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._worker.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._worker.run())
        self._loop.close()


def run_alone(url: str, *, ours: bool = False, begun: Callable[[], None] = lambda: None) -> None:
    """Number events, deliver messages and keep the house until a signal comes.

    `begun` is called once a signal ends it in an orderly way.
    """

    async def work() -> None:
        worker, loop = Worker(url, ours=ours), asyncio.get_running_loop()
        for end in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(end, worker.stop)
        begun()
        await worker.run()

    sequencer = Sequencer(url, ours=ours)
    sequencer.start()
    try:
        asyncio.run(work())
    finally:
        sequencer.stop()
