"""Sending: nobody above capacity, and every step with who and when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from data import assignments, dispatch
from data.assignments import Response, Step
from data.dispatch import NEED_REASON, STEPS, TRANSITIONS, Choice
from data.refusals import DispatchError
from data.schema.dispatch import ACTIVE
from tests import people
from tests.people import add as person
from tests.people import incident, row, send, told


def refused(act: Callable[[], Any]) -> DispatchError:
    with pytest.raises(DispatchError) as caught:
        act()
    assert str(caught.value).endswith(".")
    return caught.value


# --- sending ------------------------------------------------------------------------------------


def test_several_are_sent_in_one_dispatch(connection: Connection) -> None:
    to, first, second = incident(connection), person(connection), person(connection)
    choices = [Choice(second, evidence={"travel_s": 180.5}), Choice(first)]
    sent = dispatch.send(connection, to, choices, actor="dispatcher", note="from the north")
    assert (sent.incident_id, sent.actor, sent.note) == (to, "dispatcher", "from the north")
    assert [task.resource_id for task in sent.assignments] == [first, second]
    assert [task.evidence for task in sent.assignments] == [{}, {"travel_s": 180.5}]
    for task in sent.assignments:
        assert task.state == "sent"
        assert task.steps == [Step("sent", sent.at, "dispatcher", "")]
        assert row(connection, task.resource_id).load == 1
    assert assignments.of_incident(connection, to) == [sent]
    assert told(connection, to) == ["assignment.sent"] * 2


def test_the_event_says_what_a_listener_needs(connection: Connection) -> None:
    to, who = incident(connection), person(connection, name="第001网格 网格长")
    task = send(connection, to, who, override="knows the house", note="quick").assignments[0]
    event = connection.execute(
        text("SELECT * FROM event WHERE kind = 'assignment.sent' ORDER BY id DESC LIMIT 1")
    ).one()
    assert (event.incident_id, event.resource_id) == (to, who)
    assert event.data == {
        "assignment": task.id, "dispatch": task.dispatch_id, "resource_name": "第001网格 网格长",
        "actor": "dispatcher", "reason": "knows the house", "note": "quick",
    }  # fmt: skip


def test_the_loser_is_told_who_was_faster(connection: Connection) -> None:
    won, lost = incident(connection), incident(connection)
    who, free = person(connection), person(connection)
    first = send(connection, won, who, actor="the faster one")
    error = refused(lambda: send(connection, lost, free, who))
    assert error.reason == "taken"
    assert f"the faster one sent it to incident {won} at" in str(error)
    task = {
        "id": first.assignments[0].id, "incident": won, "state": "sent", "actor": "the faster one",
        "at": first.at,
    }  # fmt: skip
    (holder,) = error.facts["resources"]
    assert (holder["id"], holder["capacity"], holder["tasks"]) == (who, 1, [task])
    # All or nothing, and the transaction goes on.
    assert row(connection, free).load == 0
    assert assignments.of_incident(connection, lost) == []
    assert send(connection, lost, free).assignments


def test_capacity_is_counted_by_tasks_under_way(connection: Connection) -> None:
    who = person(connection, capacity=2)
    tasks = [send(connection, incident(connection), who).assignments[0] for _ in range(2)]
    error = refused(lambda: send(connection, incident(connection), who))
    assert [t["id"] for t in error.facts["resources"][0]["tasks"]] == [t.id for t in tasks[::-1]]
    dispatch.step(connection, tasks[0].id, "declined", actor="them", reason="ill")
    assert send(connection, incident(connection), who)


def test_an_override_lets_one_task_in_and_no_other(connection: Connection) -> None:
    who = person(connection)
    first = send(connection, incident(connection), who).assignments[0]
    second = send(connection, incident(connection), who, override="nobody else").assignments[0]
    assert second.override == second.steps[0].reason == "nobody else"
    assert row(connection, who) == (2, 1, 1)
    assert refused(lambda: send(connection, incident(connection), who)).reason == "taken"
    # The task that was there first ends: the room that the override made ends with it.
    dispatch.step(connection, first.id, "recalled", actor="us", reason="not needed")
    assert row(connection, who) == (1, 1, 0)
    assert refused(lambda: send(connection, incident(connection), who)).reason == "taken"


def test_an_override_of_somebody_free_makes_no_room(connection: Connection) -> None:
    who = person(connection)
    send(connection, incident(connection), who, override="asked for by name")
    assert row(connection, who) == (1, 1, 0)
    assert refused(lambda: send(connection, incident(connection), who)).reason == "taken"


@pytest.mark.parametrize("override", ["", "  \n"])
def test_an_override_needs_a_reason(connection: Connection, override: str) -> None:
    to, who = incident(connection), person(connection)
    error = refused(lambda: send(connection, to, who, override=override))
    assert (error.reason, error.facts) == ("reason_missing", {"field": "override"})


def test_nobody_is_sent_twice_to_the_same_incident(connection: Connection) -> None:
    to, who = incident(connection), person(connection, capacity=5)
    send(connection, to, who, actor="the faster one")
    for override in (None, "all the same"):
        error = refused(lambda o=override: send(connection, to, who, override=o))
        assert error.reason == "already_sent"
        assert error.facts["resources"][0]["tasks"][0]["actor"] == "the faster one"
    with pytest.raises(ValueError, match="once"):
        send(connection, incident(connection), who, who)
    with pytest.raises(ValueError, match="at least one"):
        send(connection, incident(connection))


def test_who_has_ended_can_be_sent_to_the_same_incident_again(connection: Connection) -> None:
    to, who = incident(connection), person(connection)
    first = send(connection, to, who).assignments[0]
    dispatch.step(connection, first.id, "declined", actor="them", reason="too far")
    send(connection, to, who)
    states = [d.assignments[0].state for d in assignments.of_incident(connection, to)]
    assert states == ["declined", "sent"]


def test_the_unknown_is_refused(connection: Connection) -> None:
    to, who, unknown = incident(connection), person(connection), 10**12
    assert refused(lambda: send(connection, unknown, who)).reason == "unknown_incident"
    error = refused(lambda: send(connection, to, who, unknown))
    assert (error.reason, error.facts) == ("unknown_resource", {"ids": [unknown]})
    step = refused(lambda: dispatch.step(connection, unknown, "accepted", actor="them"))
    assert step.reason == "unknown_assignment"
    with pytest.raises(ValueError, match="'lost'"):
        dispatch.step(connection, 1, "lost", actor="them")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"withdrawn": datetime(2026, 1, 1, tzinfo=UTC)}, "withdrawn"),
     ({"kind": "sub_centre"}, "facility")],
)  # fmt: skip
def test_who_is_gone_and_what_is_a_place_is_never_sent(
    connection: Connection, facts: dict[str, Any], reason: str
) -> None:
    to, who = incident(connection), person(connection, **facts)
    for override in (None, "all the same"):
        error = refused(lambda o=override: send(connection, to, who, override=o))
        assert error.reason == reason
        assert error.facts["resources"][0]["id"] == who


def shift(connection: Connection, anchor: int, day: int) -> str:
    """One day of a cycle of two that began, in the city, `anchor` days from today."""
    name = f"day {day} of a cycle from {anchor}"
    connection.execute(
        text(
            "INSERT INTO shift (name, title, title_en, cycle_days, anchor, hours) VALUES (:name,"
            " '', '', 2, (now() AT TIME ZONE 'Asia/Shanghai')::date + :anchor,"
            " int4multirange(int4range(1440 * :day - 1440, 1440 * :day)))"
        ),
        {"name": name, "anchor": anchor, "day": day},
    )
    return name


@pytest.mark.parametrize("anchor", [-1, 1])
def test_who_is_off_duty_needs_a_reason_to_be_sent(connection: Connection, anchor: int) -> None:
    to = incident(connection)
    yesterday, today = (person(connection, shift=shift(connection, anchor, n)) for n in (1, 2))
    error = refused(lambda: send(connection, to, yesterday))
    assert (error.reason, error.facts["resources"][0]["why"]) == ("not_available", "off_duty")
    assert "not on duty" in str(error)
    assert send(connection, to, yesterday, override="lives next door")
    assert send(connection, to, today)


@pytest.mark.parametrize("why", ["off", "busy", "on_leave", "deployed"])
def test_who_is_away_needs_a_reason_to_be_sent(connection: Connection, why: str) -> None:
    to, free = incident(connection), person(connection)
    who = person(connection, status=why if why in ("off", "busy") else "available")
    if why == "deployed":
        now = connection.execute(text("SELECT now()")).scalar_one()
        people.deploy(connection, who, now - timedelta(hours=1), now + timedelta(hours=1))
    if why == "on_leave":
        connection.execute(
            text(
                "INSERT INTO leave (resource_id, during)"
                " VALUES (:id, tstzrange(now() - interval '1 day', now() + interval '1 day'))"
            ),
            {"id": who},
        )
    error = refused(lambda: send(connection, to, free, who))
    assert error.reason == "not_available"
    assert [(r["id"], r["why"]) for r in error.facts["resources"]] == [(who, why)]
    assert send(connection, to, free, who, override="all hands")


# --- from step to step ---------------------------------------------------------------------------


def moved(connection: Connection, *states: str) -> Any:
    """A task that has been through the states."""
    task = send(connection, incident(connection), person(connection)).assignments[0]
    for state in states:
        task = dispatch.step(connection, task.id, state, actor="them", reason="because")
    return task


def test_a_task_goes_its_way_and_every_step_is_kept(connection: Connection) -> None:
    way = ["accepted", "on_the_way", "on_scene", "done"]
    task = moved(connection, *way)
    assert [step.state for step in task.steps] == ["sent", *way]
    assert [step.at for step in task.steps] == sorted(step.at for step in task.steps)
    assert (task.state, task.since) == ("done", task.steps[-1].at)
    assert assignments.get(connection, task.id) == task
    assert told(connection, task.incident_id) == [f"assignment.{s}" for s in ["sent", *way]]
    assert row(connection, task.resource_id).load == 0


ROADS = {
    "sent": [], "accepted": ["accepted"], "on_the_way": ["on_the_way"], "on_scene": ["on_scene"],
    "done": ["accepted", "done"], "declined": ["declined"], "recalled": ["recalled"],
}  # fmt: skip


@pytest.mark.parametrize("to", STEPS)
@pytest.mark.parametrize("state", TRANSITIONS)
def test_only_what_the_table_allows(connection: Connection, state: str, to: str) -> None:
    task = moved(connection, *ROADS[state])
    if to in TRANSITIONS[state] or to == state:
        after = dispatch.step(connection, task.id, to, actor="them", reason="because")
        assert after.state == to
        assert row(connection, task.resource_id).load == (to in ACTIVE)
        assert len(after.steps) == len(task.steps) + (to != state)
        return
    error = refused(lambda: dispatch.step(connection, task.id, to, actor="them", reason="because"))
    assert error.reason == "step_not_allowed"
    assert error.facts["allowed"] == list(TRANSITIONS[state])
    assert (error.facts["state"], error.facts["at"]) == (state, task.since)
    assert assignments.get(connection, task.id) == task


def test_the_way_has_no_way_back() -> None:
    order = {state: rank for rank, state in enumerate([*ACTIVE, "ended"])}
    for state, after in TRANSITIONS.items():
        assert all(order.get(s, 4) > order.get(state, 4) for s in after)
        assert state not in ACTIVE or {"recalled"} <= set(after)
    assert "done" not in TRANSITIONS["sent"] and "declined" not in TRANSITIONS["on_scene"]


@pytest.mark.parametrize("state", NEED_REASON)
def test_to_decline_and_to_recall_need_a_reason(connection: Connection, state: str) -> None:
    task = moved(connection)
    error = refused(lambda: dispatch.step(connection, task.id, state, actor="them", reason=" "))
    assert (error.reason, error.facts) == ("reason_missing", {"field": "reason"})
    assert assignments.get(connection, task.id) == task


def test_what_was_done_stays_written(connection: Connection) -> None:
    task = moved(connection, "accepted")
    for change in ("UPDATE assignment_step SET actor = 'x'", "DELETE FROM assignment_step"):
        with pytest.raises(DBAPIError, match="never changed"), connection.begin_nested():
            connection.execute(text(f"{change} WHERE assignment_id = {task.id}"))


def test_response_times_come_from_the_steps() -> None:
    begun = datetime(2026, 3, 2, 8, tzinfo=UTC)

    def steps(**at_s: int) -> list[Step]:
        return [Step(s, begun + timedelta(seconds=t), "them", "") for s, t in at_s.items()]

    whole = steps(sent=0, accepted=20, on_the_way=60, on_scene=300, done=900)
    assert assignments.response(whole) == Response(20, 300, 900)
    assert assignments.response(steps(sent=0)) == Response()
    assert assignments.response(steps(sent=0, on_scene=300)) == Response(300, 300, None)
    assert assignments.response(steps(sent=0, declined=30)) == Response(None, None, 30)


# --- recalled and closed -------------------------------------------------------------------------


def test_all_are_recalled_who_are_under_way(connection: Connection) -> None:
    to, who = incident(connection), [person(connection) for _ in range(3)]
    tasks = send(connection, to, *who).assignments
    dispatch.step(connection, tasks[0].id, "declined", actor="them", reason="ill")
    dispatch.step(connection, tasks[1].id, "on_scene", actor="them")
    recalled = dispatch.recall(connection, to, actor="us", reason="false alarm")
    assert recalled == [tasks[1].id, tasks[2].id]
    (after,) = assignments.of_incident(connection, to)
    assert [task.state for task in after.assignments] == ["declined", "recalled", "recalled"]
    assert after.assignments[2].steps[-1].reason == "false alarm"
    assert dispatch.recall(connection, to, actor="us", reason="false alarm") == []
    assert refused(lambda: dispatch.recall(connection, to, actor="us", reason="")).reason == (
        "reason_missing"
    )


def test_an_incident_is_not_closed_over_people_s_heads(connection: Connection) -> None:
    to, who = incident(connection), person(connection)
    task = send(connection, to, who).assignments[0]
    error = refused(lambda: dispatch.close_incident(connection, to, actor="us", outcome="quiet"))
    assert (error.reason, [t["id"] for t in error.facts["tasks"]]) == ("still_under_way", [task.id])
    recalled = dispatch.close_incident(
        connection, to, actor="us", outcome="quiet", recall_reason="it is quiet"
    )
    assert recalled == [task.id]
    assert told(connection, to) == [
        "assignment.sent",
        "assignment.recalled",
        "case.resolved",
        "case.closed",
    ]
    for act in (
        lambda: send(connection, to, who),
        lambda: dispatch.recall(connection, to, actor="us", reason="again"),
        lambda: dispatch.close_incident(connection, to, actor="us", outcome="again"),
    ):
        error = refused(act)
        assert (error.reason, error.facts["outcome"]) == ("incident_closed", "quiet")


def test_an_incident_without_anybody_under_way_is_closed(connection: Connection) -> None:
    to = incident(connection)
    task = send(connection, to, person(connection)).assignments[0]
    for state in ("on_scene", "done"):
        dispatch.step(connection, task.id, state, actor="them")
    assert dispatch.close_incident(connection, to, actor="us", outcome="settled") == []
    closed = connection.execute(
        text("SELECT closed > opened AS later, outcome FROM incident WHERE id = :id"), {"id": to}
    ).one()
    assert closed == (True, "settled")


# --- any order of things --------------------------------------------------------------------------


class Model(RuleBasedStateMachine):
    """The database beside a model of it: who has which tasks, and what each has been through."""

    engine: Engine
    tasks = Bundle("tasks")

    @initialize()
    def begin(self) -> None:
        self.connection = self.engine.connect()
        self.transaction = self.connection.begin()
        self.people = {person(self.connection, capacity=c): c for c in (1, 1, 2)}
        self.places = [incident(self.connection) for _ in range(3)]
        self.states: dict[int, list[str]] = {}
        self.of: dict[int, tuple[int, int]] = {}

    def teardown(self) -> None:
        if hasattr(self, "transaction"):
            self.transaction.rollback()
            self.connection.close()

    def active(self, who: int) -> list[int]:
        return [t for t, s in self.states.items() if self.of[t][1] == who and s[-1] in ACTIVE]

    @rule(target=tasks, who=st.sets(st.integers(0, 2), min_size=1), place=st.integers(0, 2),
          override=st.none() | st.just("urgent"))  # fmt: skip
    def sends(self, who: set[int], place: int, override: str | None) -> int | None:
        to, ids = self.places[place], [list(self.people)[n] for n in who]
        there = {self.of[t][1] for who in ids for t in self.active(who) if self.of[t][0] == to}
        full = {i for i in ids if len(self.active(i)) >= self.people[i]}
        try:
            sent = send(self.connection, to, *ids, override=override)
        except DispatchError as error:
            refused = there if error.reason == "already_sent" else full
            assert refused == {r["id"] for r in error.facts["resources"]} != set()
            assert error.reason == "already_sent" or (error.reason == "taken" and not override)
            return None
        assert not there and (override or not full)
        for task in sent.assignments:
            self.states[task.id], self.of[task.id] = ["sent"], (to, task.resource_id)
        return sent.assignments[0].id

    @rule(task=tasks, state=st.sampled_from(STEPS))
    def steps(self, task: int | None, state: str) -> None:
        if task is None:
            return
        before = self.states[task]
        try:
            dispatch.step(self.connection, task, state, actor="them", reason="because")
        except DispatchError as error:
            assert error.reason == "step_not_allowed"
            assert state not in TRANSITIONS[before[-1]]
            return
        if before[-1] != state:
            assert state in TRANSITIONS[before[-1]]
            before.append(state)

    @rule(place=st.integers(0, 2))
    def recalls(self, place: int) -> None:
        to = self.places[place]
        recalled = dispatch.recall(self.connection, to, actor="us", reason="enough")
        under_way = [t for t, s in self.states.items() if self.of[t][0] == to and s[-1] in ACTIVE]
        assert recalled == sorted(under_way)
        for task in recalled:
            self.states[task].append("recalled")

    @invariant()
    def load_is_what_is_under_way(self) -> None:
        if hasattr(self, "transaction"):
            for who, capacity in self.people.items():
                tasks = len(self.active(who))
                assert row(self.connection, who) == (tasks, capacity, max(0, tasks - capacity))

    @invariant()
    def history_is_only_added_to(self) -> None:
        if hasattr(self, "transaction"):
            found = [t for to in self.places for d in assignments.of_incident(self.connection, to)
                     for t in d.assignments]  # fmt: skip
            assert {t.id: [s.state for s in t.steps] for t in found} == self.states
            assert all(t.state == t.steps[-1].state for t in found)


def test_whatever_is_done_in_whatever_order(engine: Engine) -> None:
    machine = type("Dispatching", (Model,), {"engine": engine})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
