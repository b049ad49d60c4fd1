"""Sending at once: nobody above capacity however many send, and nobody who has just gone."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from data import assignments, attendance, dispatch, resources
from data.refusals import DispatchError
from data.schema.dispatch import ACTIVE
from tests import people as others
from tests.people import add as person
from tests.people import incident, row, send, told

DISPATCHERS, ATTEMPTS = 64, 10_000


@pytest.fixture
def crowd(fresh_database_url: str) -> Iterator[Engine]:
    """A database of their own, with a connection for each dispatcher."""
    made = create_engine(fresh_database_url, pool_size=DISPATCHERS, max_overflow=0)
    yield made
    made.dispose()


def at_once(engine: Engine, work: Callable[[Connection, int], Any]) -> list[Any]:
    """What each dispatcher's work returns, begun together, each on a connection of their own."""
    barrier = Barrier(DISPATCHERS, timeout=60)

    def run(number: int) -> Any:
        with engine.connect() as connection:
            barrier.wait()
            return work(connection, number)

    with ThreadPoolExecutor(DISPATCHERS) as pool:
        return list(pool.map(run, range(DISPATCHERS)))


def test_exactly_one_of_64_gets_the_last_free_person(crowd: Engine) -> None:
    with crowd.begin() as connection:
        who = person(connection)
        places = [incident(connection) for _ in range(DISPATCHERS)]

    def work(connection: Connection, number: int) -> Any:
        try:
            with connection.begin():
                return send(connection, places[number], who, actor=f"dispatcher {number}")
        except DispatchError as error:
            return error

    answers = at_once(crowd, work)
    (won,) = (a for a in answers if not isinstance(a, DispatchError))
    assert won.incident_id == places[int(won.actor.split()[1])]
    for lost in (a for a in answers if a is not won):
        assert lost.reason == "taken"
        (task,) = lost.facts["resources"][0]["tasks"]
        assert (task["actor"], task["incident"], task["at"]) == (won.actor, won.incident_id, won.at)
    with crowd.connect() as connection:
        assert row(connection, who) == (1, 1, 0)
        assert told(connection, won.incident_id) == ["assignment.sent"]


def test_of_64_who_move_the_same_task_one_does(crowd: Engine) -> None:
    with crowd.begin() as connection:
        task = send(connection, incident(connection), person(connection)).assignments[0]
    ends = ("declined", "recalled")

    def work(connection: Connection, number: int) -> Any:
        try:
            with connection.begin():
                state, actor = ends[number % 2], f"actor {number}"
                return dispatch.step(connection, task.id, state, actor=actor, reason="so")
        except DispatchError as error:
            return error

    answers = at_once(crowd, work)
    with crowd.connect() as connection:
        now = assignments.get(connection, task.id)
    assert now is not None and len(now.steps) == 2
    winner = ends.index(now.state)
    for number, answer in enumerate(answers):
        if number % 2 == winner:
            assert answer == now
        else:
            assert answer.reason == "step_not_allowed"
            assert (answer.facts["state"], answer.facts["actor"]) == (now.state, now.steps[1].actor)


# How many tasks each resource had after every step, in the order in which they were made.
_HISTORY = text("""
SELECT r.id, r.capacity, s.state, a.override IS NOT NULL AS overridden,
       sum(CASE WHEN s.state = 'sent' THEN 1 WHEN s.state = ANY (:active) THEN 0 ELSE -1 END)
           OVER (PARTITION BY r.id ORDER BY s.id) AS tasks
FROM assignment_step s JOIN assignment a ON a.id = s.assignment_id
JOIN resource r ON r.id = a.resource_id
""")
_LOADS = text("""
SELECT r.id, r.load, r.capacity, r.overridden, count(a.id) AS active
FROM resource r LEFT JOIN assignment a ON a.resource_id = r.id AND a.state = ANY (:active)
GROUP BY r.id
""")


def check_loads(connection: Connection) -> None:
    for each in connection.execute(_LOADS, {"active": list(ACTIVE)}):
        assert each.load == each.active
        assert each.overridden == max(0, each.load - each.capacity)


@dataclass
class Dispatcher:
    """Somebody who sends whom they can get, and ends some of their tasks to make room."""

    connection: Connection
    name: str
    places: list[int]
    people: list[int]
    dice: random.Random

    def work(self, attempts: int) -> Counter[str]:
        answers: Counter[str] = Counter()
        mine: list[int] = []
        for _ in range(attempts):
            try:
                with self.connection.begin():
                    sent = self.attempt()
            except DispatchError as error:
                answers[error.reason] += 1
                self.check(error)
            else:
                answers["sent"] += 1
                mine += [task.id for task in sent.assignments]
            if mine and self.dice.random() < 0.6:
                self.end(mine.pop(self.dice.randrange(len(mine))))
        return answers

    def attempt(self) -> Any:
        who = self.dice.sample(self.people, self.dice.choice((1, 1, 1, 2, 3)))
        override = "there is nobody else" if self.dice.random() < 0.02 else None
        return send(
            self.connection, self.dice.choice(self.places), *who, actor=self.name, override=override
        )

    def end(self, task: int) -> None:
        state = self.dice.choice(("declined", "recalled"))
        with self.connection.begin():
            dispatch.step(self.connection, task, state, actor=self.name, reason="to make room")

    def check(self, error: DispatchError) -> None:
        for resource in error.facts["resources"]:
            assert resource["id"] in self.people and resource["tasks"]
            for task in resource["tasks"]:
                assert task["actor"].startswith("dispatcher ") and task["incident"] in self.places


def test_64_dispatchers_and_10_000_attempts_leave_nobody_above_capacity(crowd: Engine) -> None:
    with crowd.begin() as connection:
        people = [person(connection, capacity=capacity) for capacity in (1, 1, 1, 1, 2, 3)]
        places = [incident(connection) for _ in range(100)]
    share = [ATTEMPTS // DISPATCHERS + (n < ATTEMPTS % DISPATCHERS) for n in range(DISPATCHERS)]

    def work(connection: Connection, number: int) -> Counter[str]:
        dice = random.Random(number)
        one = Dispatcher(connection, f"dispatcher {number}", places, people, dice)
        return one.work(share[number])

    answers = sum(at_once(crowd, work), Counter())
    assert answers.total() == ATTEMPTS
    assert set(answers) <= {"sent", "taken", "already_sent"}
    assert answers["sent"] > 100 and answers["taken"] > 1000
    with crowd.connect() as connection:
        check_loads(connection)
        for each in connection.execute(_HISTORY, {"active": list(ACTIVE)}):
            may = each.state != "sent" or each.overridden or each.tasks <= each.capacity
            assert may and each.tasks >= 0


def test_an_incident_is_closed_or_sent_to_but_not_both(crowd: Engine) -> None:
    with crowd.begin() as connection:
        to, people = incident(connection), [person(connection) for _ in range(DISPATCHERS)]

    def work(connection: Connection, number: int) -> str:
        try:
            with connection.begin():
                if number % 8 == 0:
                    dispatch.close_incident(
                        connection, to, actor="us", outcome="quiet", recall_reason="it is quiet"
                    )
                    return "closed"
                send(connection, to, people[number], people[number - 1])
        except DispatchError as error:
            return error.reason
        return "sent"

    answers = Counter(at_once(crowd, work))
    assert answers["closed"] == 1
    assert set(answers) <= {"closed", "sent", "incident_closed", "already_sent"}
    with crowd.connect() as connection:
        check_loads(connection)
        states = {t.state for d in assignments.of_incident(connection, to) for t in d.assignments}
        assert states <= {"recalled"}


# --- gone meanwhile -------------------------------------------------------------------------------

_WAITS = text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
""")


def until_somebody_waits(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for _ in range(3000):
            if connection.execute(_WAITS).scalar_one():
                return
            Event().wait(0.02)
    raise AssertionError("nobody waited for a lock")


def leaves(connection: Connection, who: int) -> None:
    resources.add_leave(connection, who, datetime.now(UTC), None, actor="them")


def checks_in(connection: Connection, who: int) -> None:
    asked = text("SELECT e.deployment_id FROM deployment_site e")
    number = connection.execute(asked).scalar_one()
    attendance.mark(connection, number, who, "checked_in", actor="them")


@pytest.mark.parametrize(("goes", "why"), [(leaves, "on_leave"), (checks_in, "deployed")])
def test_who_goes_while_being_sent_is_not_sent(
    crowd: Engine, goes: Callable[[Connection, int], None], why: str
) -> None:
    """The sender waits for the lock, and then looks anew."""
    with crowd.begin() as connection:
        who, to = person(connection), incident(connection)
        now = datetime.now(UTC)
        others.deploy(connection, who, now, now + timedelta(hours=1), "planned")

    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(DispatchError) as refused,
        crowd.begin() as sender,
    ):
        sender.execute(text("SELECT now()"))  # begun before they go
        with crowd.begin() as connection:
            goes(connection, who)
            sending = pool.submit(send, sender, to, who)
            until_somebody_waits(crowd)
        sending.result()
    assert [each["why"] for each in refused.value.facts["resources"]] == [why]
