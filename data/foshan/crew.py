"""The demonstration's dispatcher and the people whom they send: all through the API.

A demonstration's minute stands for several of the street's: who is sent accepts within seconds, is
on the way, on scene and done in a few minutes. Now and then somebody declines; the next is sent.
"""

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import numpy as np
from sqlalchemy import text

from data.engine import engine
from gis.placement import metres_per_degree

ACTOR = "演示调度台"
PAUSE_S = 2.0
LOOK_S = 5.0
DECLINE = 0.08  # of those who are sent
REASON = "正在处理另一项任务"
# Seconds from one step to the next; the last is the incident's end.
STEPS = (("accepted", 4, 20), ("on_the_way", 5, 20), ("on_scene", 30, 120), ("done", 40, 180))
PHONES = 400  # so many people carry one that tells where they are
MOVED_S, STEP_M = 60.0, 60.0

_CARRIERS = text("""
SELECT id, ST_X(home) AS lon, ST_Y(home) AS lat FROM resource
WHERE withdrawn IS NULL AND kind = ANY (ARRAY['patrol', 'police_officer', 'grid_lead'])
ORDER BY kind = 'grid_lead', md5(id::text) LIMIT :most
""")


class Crew:
    """Works on the open incidents of a running service until it is stopped."""

    def __init__(self, url: str, token: str, seed: int = 4406) -> None:
        self._url, self._rng = url, np.random.default_rng(seed)
        self._headers = {"Authorization": f"Bearer {token}"}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crew", daemon=True)
        self._due: list[tuple[float, int, Callable[[httpx.Client], None]]] = []
        self._serial = itertools.count()
        self._seen: set[int] = set()
        self._now = 0.0

    def start(self) -> None:
        """Begin; a service that is not up yet is waited for."""
        self._thread.start()

    def stop(self) -> None:
        """End before the next deed."""
        self._done.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        with engine().connect() as connection:
            carriers = connection.execute(_CARRIERS, {"most": PHONES}).all()
        self._at = np.array([(row.lon, row.lat) for row in carriers]).reshape(-1, 2)
        self._carriers = [row.id for row in carriers]
        self._in(PAUSE_S, self._look)
        self._in(PAUSE_S, self._move)
        with httpx.Client(
            base_url=f"{self._url}/api/v1", headers=self._headers, timeout=10
        ) as client:
            while not self._done.wait(PAUSE_S / 4):
                self._now += PAUSE_S / 4
                while self._due and self._due[0][0] <= self._now:
                    _, _, deed = heapq.heappop(self._due)
                    try:
                        deed(client)
                    except httpx.HTTPError:
                        self._in(PAUSE_S, deed)  # not up yet, or going down

    def _in(self, seconds: float, deed: Callable[[httpx.Client], None]) -> None:
        heapq.heappush(self._due, (self._now + seconds, next(self._serial), deed))

    def _look(self, client: httpx.Client) -> None:
        """Send somebody to each open incident that nobody is under way to."""
        for incident in _read(client, "/incidents?limit=200")["incidents"]:
            number = incident["id"]
            if incident["point"] and number not in self._seen:
                self._seen.add(number)
                if incident["under_way"]:
                    self._carry_on(client, number)
                else:
                    self._in(self._between(20, 60), partial(self._send, number=number))
        self._in(LOOK_S, self._look)

    def _send(self, client: httpx.Client, number: int, rank: int = 0) -> None:
        incident = _read(client, f"/incidents/{number}")
        if incident["closed"] or incident["under_way"]:
            return  # somebody else was faster
        found = _read(client, f"/incidents/{number}/candidates")["candidates"]
        people = [each for each in found if each["resource"]["form"] != "facility"]
        if rank >= len(people):
            self._in(60, lambda c: self._send(c, number))  # somebody will be free by then
            return
        chosen = people[rank]
        wanted = {
            "actor": ACTOR,
            "send": [{"resource": chosen["resource"]["id"],
                      "evidence": {"summary": chosen["summary"], "minutes": chosen["minutes"]}}],
        }  # fmt: skip
        answer = client.post(f"/incidents/{number}/dispatches", json=wanted)
        if answer.status_code == 201:
            self._follow(answer.json()["assignments"][0], number)
        elif answer.json()["type"] != "/problems/incident-closed":
            self._in(PAUSE_S, lambda c: self._send(c, number, rank + 1))

    def _carry_on(self, client: httpx.Client, number: int) -> None:
        """Take up what a run before this one began."""
        for dispatch in _read(client, f"/incidents/{number}/dispatches")["dispatches"]:
            for task in dispatch["assignments"]:
                self._follow(task, number)

    def _follow(self, task: dict[str, Any], number: int) -> None:
        names = [name for name, _, _ in STEPS]
        begun = names.index(task["state"]) + 1 if task["state"] in names else 0
        if task["allowed"]:
            self._in_turn(task["id"], number, begun)

    def _in_turn(self, task: int, number: int, turn: int) -> None:
        if turn < len(STEPS):
            _, least, most = STEPS[turn]
            wait = self._between(least, most)
            self._in(wait, lambda client: self._step(client, task, number, turn))
        else:
            self._in(self._between(2, 20), lambda client: self._close(client, number))

    def _step(self, client: httpx.Client, task: int, number: int, turn: int) -> None:
        said = {"state": STEPS[turn][0], "actor": ACTOR, "reason": ""}
        if turn == 0 and self._rng.random() < DECLINE:
            said |= {"state": "declined", "reason": REASON}
        answer = client.post(f"/assignments/{task}/steps", json=said)
        if said["state"] == "declined":
            self._in(PAUSE_S, lambda c: self._send(c, number, 1))
        elif answer.status_code == 200:
            self._in_turn(task, number, turn + 1)

    def _close(self, client: httpx.Client, number: int) -> None:
        client.post(f"/incidents/{number}/close", json={"actor": ACTOR, "outcome": "现场已处置"})

    def _move(self, client: httpx.Client) -> None:
        """The phones tell where they are: each wanders about its home."""
        if not self._carriers:
            return
        mx, my = metres_per_degree(float(self._at[:, 1].mean()))
        self._at += self._rng.normal(0, STEP_M, self._at.shape) / (mx, my)
        now = datetime.now(UTC).isoformat()
        fixes = [
            {
                "resource_id": who, "lon": lon, "lat": lat, "datum": "wgs84", "at": now,
                "accuracy_m": 15, "source": "phone",
            }
            for who, (lon, lat) in zip(self._carriers, self._at.round(6).tolist(), strict=True)
        ]  # fmt: skip
        client.post("/positions", json=fixes)
        self._in(MOVED_S, self._move)

    def _between(self, least: float, most: float) -> float:
        return float(self._rng.uniform(least, most))


def _read(client: httpx.Client, path: str) -> Any:
    return client.get(path).raise_for_status().json()
