"""Whistles: who may call, who comes, who is late, what they do together, and the end."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from data import (
    case_catalogue,
    case_lists,
    cases,
    clocks,
    red_grids,
    timers,
    upkeep,  # noqa: F401 - what follows by itself is named there
    whistle_end,
    whistle_lists,
    whistle_work,
    whistles,
)
from data.cases import By, CaseError, Move
from data.refusals import DispatchError
from data.whistle_rules import CALL_ACTIONS, CLOCKS
from data.whistle_work import Visit
from data.whistles import NewWhistle, WhistleError
from tests import people
from tests.api.conftest import GRIDS, build
from tests.data.test_cases import opened

CALLED = ("police", "court", "water")
_serial = count(1)


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    """A small town with its centre, a centre elsewhere, and four organisations with a parent."""
    made = create_engine(database_url)
    build(made)
    with made.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO organisation (code, name, role, area_id)
                SELECT 'town', '镇综治中心', 'centre', id FROM area WHERE layer = 'town';
                INSERT INTO organisation (code, name, role) VALUES
                    ('elsewhere', '别处综治中心', 'centre'), ('bureau', '局', 'six');
                INSERT INTO organisation (code, name, role, parent_id)
                SELECT c, c, 'six', (SELECT id FROM organisation WHERE code = 'bureau')
                FROM unnest(ARRAY['police', 'court', 'water', 'village']) c
            """)
        )
        red_grids.put(connection, GRIDS[0], "village", actor="test")
    yield made
    made.dispose()


def number(connection: Connection, code: str) -> int:
    return int(cases.organisation(connection, code)["id"])


def by(connection: Connection, code: str) -> By:
    return By(f"{code} 值班", number(connection, code))


def in_work(connection: Connection, **more: Any) -> int:
    case = opened(connection, **more)
    for action, to in (("assign", "town"), ("accept", None), ("start", None)):
        cases.move(connection, case, Move(action, "tester", organisation=to))
    return case


def blown(
    connection: Connection, case: int | None = None, *, hard: bool = False,
    called: tuple[str, ...] = CALLED, grid: str | None = None, caller: str = "town",
) -> int:  # fmt: skip
    new = NewWhistle(case or in_work(connection), called, "现场会商", hard, grid)
    return whistles.blow(connection, new, by(connection, caller))


def call(connection: Connection, whistle: int, code: str) -> dict[str, Any]:
    calls = whistle_lists.get(connection, whistle)["calls"]
    return [each for each in calls if each["organisation"] == code][-1]


def answer(
    connection: Connection, whistle: int, code: str, action: str, *, who: str | None = None
) -> dict[str, Any]:
    own = call(connection, whistle, code)["id"]
    doer = who or ("town" if CALL_ACTIONS[action].by_caller else code)
    whistles.answer(connection, whistle, own, action, by(connection, doer), "因故")
    return call(connection, whistle, code)


def refused(why: str, act: Callable[[], object]) -> DispatchError:
    with pytest.raises(DispatchError) as error:
        act()
    assert error.value.reason == why, error.value
    return error.value


def stage(connection: Connection, case: int) -> str:
    found = case_lists.get(connection, case)
    assert found is not None
    return str(found["stage"])


def told(connection: Connection, kind: str, case: int) -> list[dict[str, Any]]:
    found = connection.execute(
        text("SELECT data FROM event WHERE kind = :kind AND incident_id = :case ORDER BY id"),
        {"kind": kind, "case": case},
    )
    return list(found.scalars())


# --- who may call ---------------------------------------------------------------------------------


def test_a_case_is_in_consultation_while_a_whistle_is_open(connection: Connection) -> None:
    case = in_work(connection)
    whistle = blown(connection, case)
    assert stage(connection, case) == "consultation"
    assert [data["organisation"] for data in told(connection, "whistle.called", case)] == [*CALLED]
    whistle_end.end(connection, whistle, by(connection, "town"), "已会商")
    assert stage(connection, case) == "in_work"


def test_a_case_that_nobody_works_on_yet_keeps_its_stage(connection: Connection) -> None:
    case = opened(connection)
    whistle = blown(connection, case)
    assert stage(connection, case) == "received"
    whistle_end.end(connection, whistle, by(connection, "town"), "已会商")
    assert stage(connection, case) == "received"


def test_a_red_grid_gives_orders_in_its_own_grid_only(connection: Connection) -> None:
    whistle = blown(connection, grid=GRIDS[0], caller="village")
    assert whistle_lists.get(connection, whistle)["grid"] == GRIDS[0]
    for grid, caller, where in (
        (GRIDS[0], "village", 1), (GRIDS[1], "village", 1), (GRIDS[0], "police", 0),
    ):  # fmt: skip
        case = in_work(connection, grid=where)
        refused("may_not_call", lambda: blown(connection, case, grid=grid, caller=caller))  # noqa: B023
    red_grids.withdraw(connection, GRIDS[0])
    refused("may_not_call", lambda: blown(connection, grid=GRIDS[0], caller="village"))


def test_only_a_centre_of_the_place_calls_and_once_at_a_time(connection: Connection) -> None:
    case = in_work(connection)
    refused("may_not_call", lambda: blown(connection, case, caller="police"))
    refused("not_accountable", lambda: blown(connection, case, caller="elsewhere"))
    refused("unknown_organisation", lambda: blown(connection, case, called=("none",)))
    open_one = blown(connection)
    of = whistle_lists.get(connection, open_one)["case"]
    assert refused("whistle_open", lambda: blown(connection, of)).facts["number"] == open_one


def test_a_case_with_an_open_whistle_is_not_resolved(connection: Connection) -> None:
    case = in_work(connection)
    whistle = blown(connection, case)
    resolve = Move("resolve", "tester", reason="已解决")
    error = refused("whistle_open", lambda: cases.move(connection, case, resolve))
    assert isinstance(error, CaseError) and error.facts["number"] == whistle
    whistle_end.end(connection, whistle, by(connection, "town"), "已会商")
    cases.move(connection, case, resolve)
    refused("may_not_call", lambda: blown(connection, case))


# --- coming ---------------------------------------------------------------------------------------


def test_the_clocks_are_those_of_the_published_rule(connection: Connection) -> None:
    whistle, hard = blown(connection), blown(connection, hard=True)
    for number_, arriving, days in (
        (whistle, "whistle.arrive", 3), (hard, "whistle.arrive_hard", 5),
    ):  # fmt: skip
        of = whistle_lists.get(connection, number_)
        found = {
            c.name: (c.amount, c.unit, c.calendar)
            for c in clocks.of_incident(connection, of["case"], at=datetime.now(UTC))
            if c.organisation == "police"
        }
        assert {name: found[name] for name in (*CLOCKS[:2], arriving)} == {
            "whistle.sign": (1, "hours", "always"),
            "whistle.contact": (24, "hours", "always"),
            arriving: (days, "working_days", "office"),
        }
        [signing] = [c for c in of["calls"][0]["clocks"] if c["clock"] == "whistle.sign"]
        due = datetime.fromisoformat(signing["due"])
        assert due - of["calls"][0]["at"] == timedelta(hours=1)


def test_who_comes_has_signed_and_is_never_late(connection: Connection) -> None:
    whistle = blown(connection)
    there = answer(connection, whistle, "police", "arrive")
    assert there["state"] == "arrived" and there["signed"] == there["arrived"]
    signed = answer(connection, whistle, "court", "sign")
    assert (signed["state"], signed["contacted"]) == ("signed", None)
    while timers.fire(connection, at=datetime.now(UTC) + timedelta(hours=2)):
        pass
    late = {c["organisation"]: c["late"] for c in whistle_lists.get(connection, whistle)["calls"]}
    assert late == {"police": 0, "court": 0, "water": 1}
    while timers.fire(connection, at=datetime.now(UTC) + timedelta(days=60)):
        pass
    late = {c["organisation"]: c["late"] for c in whistle_lists.get(connection, whistle)["calls"]}
    assert late == {"police": 0, "court": 2, "water": 3}


def test_lateness_tells_the_caller_and_who_is_above(connection: Connection) -> None:
    case = in_work(connection)
    whistle = blown(connection, case, called=("police", "elsewhere"))
    while timers.fire(connection, at=datetime.now(UTC) + timedelta(hours=2)):
        pass
    found = {d["organisation"]: d for d in told(connection, "whistle.late", case)}
    assert found["police"]["told"] == ["town", "bureau"] and found["elsewhere"]["told"] == ["town"]
    assert {d["clock"] for d in found.values()} == {"whistle.sign"}
    [listed] = whistle_lists.listed(connection, late=True, case=case)
    assert (listed["number"], listed["called"], listed["late"]) == (whistle, 2, 2)
    assert not told(connection, "clock.hook_failed", case)


def test_who_wishes_not_to_come_stays_called_until_the_caller_agrees(
    connection: Connection,
) -> None:
    whistle = blown(connection)
    wished = answer(connection, whistle, "police", "decline")
    assert wished["state"] == "called" and "release" in wished["allowed"]
    refused("not_caller", lambda: answer(connection, whistle, "police", "release", who="police"))
    kept = answer(connection, whistle, "police", "insist")
    assert kept["declined"] is None
    refused("call_not_allowed", lambda: answer(connection, whistle, "police", "release"))
    answer(connection, whistle, "police", "decline")
    assert answer(connection, whistle, "police", "release")["state"] == "released"
    while timers.fire(connection, at=datetime.now(UTC) + timedelta(days=60)):
        pass
    assert call(connection, whistle, "police")["late"] == 0
    whistles.bring(connection, whistle, "police", by(connection, "town"))  # asked again
    assert call(connection, whistle, "police")["state"] == "called"


def test_who_was_called_brings_others_who_have_clocks_too(connection: Connection) -> None:
    whistle = blown(connection, called=("police",))
    refused(
        "not_called", lambda: whistles.bring(connection, whistle, "water", by(connection, "court"))
    )
    whistles.bring(connection, whistle, "water", by(connection, "police"))
    brought = call(connection, whistle, "water")
    assert brought["invited_by"] == "police" and len(brought["clocks"]) == 3
    for code in ("water", "town"):
        error = refused(
            "already_called",
            lambda: whistles.bring(connection, whistle, code, by(connection, "police")),  # noqa: B023
        )
        assert error.facts["field"] == "organisation"


def test_one_answers_for_oneself_and_in_order(connection: Connection) -> None:
    whistle = blown(connection)
    refused("not_called", lambda: answer(connection, whistle, "police", "sign", who="court"))
    answer(connection, whistle, "police", "contact")
    error = refused("call_not_allowed", lambda: answer(connection, whistle, "police", "sign"))
    assert error.facts["actor"] == "police 值班" and error.facts["state"] == "contacted"
    other = blown(connection)
    theirs = call(connection, other, "police")["id"]
    refused(
        "unknown_call",
        lambda: whistles.answer(connection, whistle, theirs, "sign", by(connection, "police")),
    )
    refused(
        "unknown_whistle", lambda: whistle_end.end(connection, 10**9, by(connection, "town"), "x")
    )


def test_who_comes_after_a_dissolved_organisation_speaks_for_it(connection: Connection) -> None:
    connection.execute(
        text("INSERT INTO organisation (code, name, role) VALUES ('merged', '并', 'centre')")
    )
    whistle = blown(connection)
    for code in ("police", "town"):
        case_catalogue.dissolve(connection, code, "merged", actor="test", reason="机构改革")
    own, merged = call(connection, whistle, "police")["id"], by(connection, "merged")
    whistles.answer(connection, whistle, own, "arrive", merged)
    step = whistle_work.plan(
        connection, whistle, merged, what="巡查", owner="merged", due=datetime.now(UTC)
    )
    whistle_work.finish(connection, whistle, step, merged, "完工")
    whistle_end.end(connection, whistle, merged, "已会商")
    assert call(connection, whistle, "police")["state"] == "arrived"


# --- working together -----------------------------------------------------------------------------


def test_a_team_of_those_who_came_visits_the_site_and_plans(connection: Connection) -> None:
    whistle = blown(connection)
    town, police = by(connection, "town"), by(connection, "police")
    join = {"organisation": "police", "role": "组长"}
    refused("not_taking_part", lambda: whistle_work.join(connection, whistle, town, **join))
    answer(connection, whistle, "police", "arrive")
    refused("not_caller", lambda: whistle_work.join(connection, whistle, police, **join))
    somebody = people.add(connection)
    refused(
        "not_taking_part",
        lambda: whistle_work.join(connection, whistle, town, resource=somebody, **join),
    )
    connection.execute(
        text("UPDATE resource SET organisation_id = :o WHERE id = :id"),
        {"o": police.acting, "id": somebody},
    )
    member = whistle_work.join(connection, whistle, town, resource=somebody, **join)
    made = Visit(datetime.now(UTC), "机耕路口", ["police", "town"], "路面塌陷", (113.1, 23.0))
    whistle_work.visit(connection, whistle, made, police)
    due = datetime.now(UTC) + timedelta(days=7)
    step = {"what": "修复路面", "owner": "police", "due": due}
    refused(
        "not_taking_part",
        lambda: whistle_work.plan(connection, whistle, town, **{**step, "owner": "water"}),
    )
    planned = whistle_work.plan(connection, whistle, police, **step)
    error = refused("plan_open", lambda: whistle_end.end(connection, whistle, town, "已修复"))
    assert error.facts["steps"] == [planned]
    answer(connection, whistle, "court", "arrive")
    court = by(connection, "court")
    refused("not_caller", lambda: whistle_work.finish(connection, whistle, planned, court, "完工"))
    whistle_work.finish(connection, whistle, planned, police, "完工")
    refused(
        "plan_step_done",
        lambda: whistle_work.finish(connection, whistle, planned, police, "完工"),
    )
    whistle_work.leave(connection, whistle, member, town, "完工")
    refused("unknown_member", lambda: whistle_work.leave(connection, whistle, member, town, "完工"))
    whistle_end.end(connection, whistle, town, "已修复")
    found = whistle_lists.get(connection, whistle)
    assert found["team"][0]["departed"] and found["visits"][0]["present"] == ["police", "town"]
    assert found["plan"][0]["result"] == "完工"


def test_it_ends_over_an_open_plan_only_for_a_reason(connection: Connection) -> None:
    whistle, town = blown(connection), by(connection, "town")
    step = whistle_work.plan(
        connection, whistle, town, what="巡查", owner="town", due=datetime.now(UTC)
    )
    refused("reason_missing", lambda: whistle_end.end(connection, whistle, town, " ", "转日常"))
    whistle_end.end(connection, whistle, town, "已会商", "转日常巡查")
    last = whistle_lists.get(connection, whistle)["steps"][-1]
    assert (last["action"], last["data"]["left_open"]) == ("end", [step])
    refused("whistle_ended", lambda: whistle_work.finish(connection, whistle, step, town, "完工"))


def test_the_caller_rates_each_in_the_end(connection: Connection) -> None:
    whistle, town = blown(connection), by(connection, "town")
    answer(connection, whistle, "police", "arrive")
    answer(connection, whistle, "court", "decline")
    answer(connection, whistle, "court", "release")
    ids = {code: call(connection, whistle, code)["id"] for code in CALLED}
    rate = lambda code, who: whistle_end.rate(connection, whistle, ids[code], who, 5, "及时")  # noqa: E731
    refused("not_ended", lambda: rate("police", town))
    whistle_end.end(connection, whistle, town, "已会商")
    refused("not_caller", lambda: rate("police", by(connection, "police")))
    rate("police", town)
    whistle_end.rate(connection, whistle, ids["water"], town, 1, "未到")
    refused("already_rated", lambda: rate("police", town))
    refused("already_rated", lambda: rate("court", town))
    states = {code: call(connection, whistle, code) for code in CALLED}
    assert {code: c["state"] for code, c in states.items()} == {
        "police": "arrived", "court": "released", "water": "absent",
    }  # fmt: skip
    assert (states["police"]["rating"], states["water"]["words"]) == (5, "未到")
    running = clocks.of_incident(
        connection, whistle_lists.get(connection, whistle)["case"], at=datetime.now(UTC)
    )
    assert {c.state for c in running if c.name in CLOCKS} == {"stopped"}


def test_what_happened_is_never_changed(connection: Connection) -> None:
    blown(connection)
    for table in ("whistle_step", "whistle_visit"):
        if table == "whistle_visit":
            whistle = blown(connection)
            made = Visit(datetime.now(UTC), "路口", ["town"], "无")
            whistle_work.visit(connection, whistle, made, by(connection, "town"))
        with pytest.raises(DBAPIError), connection.begin_nested():
            connection.execute(text(f"UPDATE {table} SET actor = 'somebody else'"))


# --- races ----------------------------------------------------------------------------------------


def race(engine: Engine, *acts: Callable[[Connection], object]) -> list[object]:
    """Do each in a transaction of its own, all at the same time; what each returned or raised."""
    outcome: list[object] = [None] * len(acts)
    ready = threading.Barrier(len(acts))

    def run(index: int) -> None:
        try:
            with engine.begin() as own:
                ready.wait()
                outcome[index] = acts[index](own)
        except DispatchError as error:
            outcome[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcome


def test_two_organisations_sign_at_once(engine: Engine) -> None:
    with engine.begin() as own:
        whistle = blown(own)
    signing = [lambda own, code=code: answer(own, whistle, code, "sign") for code in CALLED]
    assert [found["state"] for found in race(engine, *signing)] == ["signed"] * 3


def test_who_signs_does_not_wait_for_another_who_does(engine: Engine) -> None:
    with engine.begin() as own:
        whistle = blown(own)
    with engine.begin() as one, engine.begin() as two:
        two.execute(text("SET LOCAL lock_timeout = '5s'"))
        answer(one, whistle, "police", "sign")
        assert answer(two, whistle, "court", "sign")["state"] == "signed"


def test_ended_while_one_signs_one_of_both_is_first(engine: Engine) -> None:
    for _ in range(5):
        with engine.begin() as own:
            whistle = blown(own)
        ended, signed = race(
            engine,
            lambda own, w=whistle: whistle_end.end(own, w, by(own, "town"), "已会商"),
            lambda own, w=whistle: answer(own, w, "police", "sign"),
        )
        assert ended is None
        with engine.begin() as own:
            assert call(own, whistle, "police")["state"] == "absent"
        if isinstance(signed, WhistleError):
            assert (signed.reason, signed.facts["actor"]) == ("whistle_ended", "town 值班")


def test_two_of_an_organisation_sign_and_one_is_told_of_the_other(engine: Engine) -> None:
    with engine.begin() as own:
        whistle = blown(own)
    both = race(engine, *[lambda own: answer(own, whistle, "water", "sign")] * 2)
    [error] = [each for each in both if isinstance(each, WhistleError)]
    assert (error.reason, error.facts["state"]) == ("call_not_allowed", "signed")


# --- a property -----------------------------------------------------------------------------------

_MOMENTS = {"signed": "signed", "contacted": "contacted", "arrived": "arrived"}


@given(
    st.lists(
        st.tuples(st.sampled_from(CALLED), st.sampled_from([*CALL_ACTIONS, "late"])), max_size=12
    ),
    st.booleans(),
)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_every_call_is_in_one_state_and_who_came_is_never_late(
    engine: Engine, done: list[tuple[str, str]], ends: bool
) -> None:
    with engine.connect() as own, own.begin() as transaction:
        whistle = blown(own)
        at, here = datetime.now(UTC), set()
        for code, action in done:
            if action == "late":
                at += timedelta(days=3)
                late = {c: call(own, whistle, c)["late"] for c in here}
                while timers.fire(own, at=at):
                    pass
                assert {c: call(own, whistle, c)["late"] for c in here} == late
                continue
            before = call(own, whistle, code)
            try:
                after = answer(own, whistle, code, action)
            except WhistleError:
                assert call(own, whistle, code) == before
                assert action not in before["allowed"]
            else:
                assert action in before["allowed"]
                assert after["state"] == (CALL_ACTIONS[action].state or before["state"])
                if after["state"] in ("arrived", "released"):
                    here.add(code)
        if ends:
            whistle_end.end(own, whistle, by(own, "town"), "已会商")
        for each in whistle_lists.get(own, whistle)["calls"]:
            came = each["state"] == "arrived"
            assert came == (each["arrived"] is not None)
            running = [c for c in each["clocks"] if c["stopped"] is None]
            assert bool(running) == (each["state"] in ("called", "signed", "contacted"))
        transaction.rollback()
