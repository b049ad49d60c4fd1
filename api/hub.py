"""One process's listeners: they share a connection to the database, and none waits for another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import anyio
from fastapi.sse import format_sse_event

from api.answers import dumps
from api.deps import Asked, Database, P, T
from api.problems import Problem
from data import events
from data.events import Bounds, Event, Filter
from data.sequencer import Sequencer

QUEUE = 1000  # events that a listener may be behind what happens now
MOST_ASKING = 3  # streams that ask for what they missed at once: the pool is for everybody
MOST_BEHIND = 10_000  # events that one who comes back may be behind
HEARTBEAT_S = 15.0
READY_S = 5.0


Told = tuple[Event, bytes]  # an event and what it is on the wire, written once for all


class Listener:
    """A queue of what happens, until it overflows: then it only says that it ended."""

    def __init__(self, size: int) -> None:
        self._queue: asyncio.Queue[Told | None] = asyncio.Queue(size)

    def put(self, told: Told) -> bool:
        """Add an event; False if there is no room, and the end was put instead."""
        if self._queue.full():
            self.end()
            return False
        self._queue.put_nowait(told)
        return True

    def end(self) -> None:
        """Drop what waits: there will be no more."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def next(self, until: float) -> Told | None:
        """The next event; None: there will be no more.

        Raises TimeoutError when nothing happens until then, by the loop's clock.
        """
        if not self._queue.empty():
            return self._queue.get_nowait()
        async with asyncio.timeout_at(until):
            return await self._queue.get()


class Hub:
    """Gives the events of the sequencer's thread to every listener of this process."""

    def __init__(self, url: str, database: Database, *, ours: bool = False) -> None:
        self._database = database
        self._loop = asyncio.get_running_loop()
        self._listeners: set[Listener] = set()
        self._closed = False
        self._asking = asyncio.Semaphore(MOST_ASKING)
        self._sequencer = Sequencer(url, self._hear, ours=ours)
        self._sequencer.start()

    def wake(self) -> None:
        """Say that something was committed in this process; from any thread."""
        self._sequencer.wake()

    def _hear(self, new: Sequence[Event]) -> None:
        """In the sequencer's thread."""
        self._loop.call_soon_threadsafe(self._spread, [(each, of_event(each)) for each in new])

    def _spread(self, new: Sequence[Told]) -> None:
        for listener in list(self._listeners):
            if not all(map(listener.put, new)):
                self._listeners.discard(listener)

    def end_streams(self) -> None:
        """End every stream, and those to come at once: the service is about to stop."""
        self._closed = True
        for listener in self._listeners:
            listener.end()

    async def close(self) -> None:
        """End the streams and the thread."""
        self.end_streams()
        await asyncio.to_thread(self._sequencer.stop)

    async def ready(self) -> None:
        """Wait until the thread knows where it is: what happens from then on, it tells.

        Raises
        ------
        Problem
            The database does not answer.
        """
        until = self._loop.time() + READY_S
        while self._sequencer.position is None:
            if self._loop.time() > until:
                raise Problem("database-unavailable", headers={"Retry-After": "5"})
            await asyncio.sleep(0.02)

    async def stream(
        self, bounds: Bounds, after: int | None, chosen: Filter
    ) -> AsyncIterator[bytes]:
        """Server-sent events after number `after`, or after `bounds`, once the hub is ready.

        Begins with the position if there is nothing to resume. One who reads too slowly for the
        queue reads from the database again; one who cannot have everything gets `reload`.
        """
        if after is None:
            after = bounds.newest
            yield wire("position", {"seq": after}, after)
        while not self._closed:
            # First the queue, so that nothing falls between reading and listening.
            listener = Listener(QUEUE)
            self._listeners.add(listener)
            try:
                async for event in self._missed(after):
                    if event is None:
                        newest = (await self._read(events.bounds)).newest
                        yield wire("reload", {"seq": newest}, newest)
                        return
                    after = event.seq
                    if chosen.takes(event):
                        yield of_event(event)
                async for seq, said in self._heard(listener, after, chosen):
                    after = seq
                    yield said
            finally:
                self._listeners.discard(listener)

    async def _missed(self, after: int) -> AsyncIterator[Event | None]:
        """What is in the database; None: it is not all there, or too much."""
        while True:
            bounds = await self._read(events.bounds)
            if not bounds.can_resume(after) or bounds.newest - after > MOST_BEHIND:
                yield None
                return
            page = await self._read(events.after, after)
            if not page:
                return
            for event in page:
                yield event
            after = page[-1].seq

    async def _read(self, asked: Asked[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask the database to the end: a client who goes must not take a connection along."""
        with anyio.CancelScope(shield=True):
            async with self._asking:
                answer = await self._database.read(asked, *args, **kwargs)
        return answer

    async def _heard(
        self, listener: Listener, after: int, chosen: Filter
    ) -> AsyncIterator[tuple[int, bytes]]:
        """What happens now and is chosen, until the queue overflows or the service stops.

        With the number up to which nothing was missed, which heartbeats tell too: one whose events
        are rare shall not come back with a number that is long gone.
        """
        due = self._loop.time() + HEARTBEAT_S
        while not self._closed:
            said = b""
            with suppress(TimeoutError):
                told = await listener.next(due)
                if told is None:
                    return
                event, line = told
                if event.seq > after:
                    after, said = event.seq, line if chosen.takes(event) else b""
            if not said and self._loop.time() >= due:
                said = heartbeat(after)
            if said:
                due = self._loop.time() + HEARTBEAT_S
                yield after, said


def of_event(event: Event) -> bytes:
    """An event as it goes over the wire."""
    return wire(event.kind, event.shown(), event.seq)


def heartbeat(seq: int) -> bytes:
    """A sign of life with the newest number that was looked at.

    Without data it is no event for a browser, which remembers the id all the same (HTML, 9.2.6).
    """
    return format_sse_event(comment="ping", id=str(seq))


def wire(kind: str, data: object, seq: int) -> bytes:
    """A server-sent event."""
    return format_sse_event(event=kind, data_str=dumps(data).decode(), id=str(seq))
