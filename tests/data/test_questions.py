"""Questions to reporters: the case's time rests while they are waited for, and no longer."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from data import (
    calendars,
    case_lists,
    case_merging,
    cases,
    clocks,
    following,
    parties,
    people,
    questions,
    service_times,
)
from data.cases import Move
from data.parties import Person
from data.service_times import Case, ServiceTime
from data.settings import settings
from gis.calendars import elapsed
from tests.api.conftest import build
from tests.data.test_return_visits import LINKED, opened, refused

MONDAY = datetime(2026, 3, 2, 1, tzinfo=UTC)  # 9:00 in Foshan, where offices open at 9
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WAIT = timedelta(days=settings().reply_days)


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    build(made)
    with made.begin() as connection:
        for clock, amount in ((clocks.HANDLE, 20.0), ("whistle.sign", 30.0)):
            rule = ServiceTime(Case(clock), amount, "hours", "office")
            long_ago = datetime(2020, 1, 1, tzinfo=UTC)
            connection.execute(text("DELETE FROM service_time WHERE clock = :c"), {"c": clock})
            service_times.put(connection, rule, since=long_ago, now=long_ago, actor="test")
    yield made
    made.dispose()


def case_of_monday(connection: Connection, *reporters: Person) -> int:
    """A case whose 20 working hours began on Monday at nine: up on Wednesday afternoon."""
    number = opened(connection, *reporters)
    connection.execute(text("DELETE FROM clock WHERE incident_id = :id"), {"id": number})
    clocks.start_handling(connection, number, at=MONDAY)
    return number


def handling(connection: Connection, number: int, at: datetime = MONDAY) -> clocks.Clock:
    found = clocks.of_incident(connection, number, at=at)
    return next(clock for clock in found if clock.name == clocks.HANDLE)


def ask(connection: Connection, number: int, at: datetime = MONDAY + HOUR, **more: Any) -> int:
    return questions.ask(connection, number, "漏水从几点开始？", actor="desk", at=at, **more)


def last(connection: Connection, number: int) -> Any:
    return case_lists.timeline(connection, number)[-1]


def test_what_is_due_moves_by_exactly_the_working_time_of_the_rest(connection: Connection) -> None:
    number = case_of_monday(connection, LINKED)
    before = handling(connection, number)
    ask(connection, number, MONDAY + 2 * HOUR)  # at 11:00
    rests = handling(connection, number, MONDAY + 5 * HOUR)
    assert (rests.state, rests.left_s) == ("paused", before.left_s - 2 * 3600)
    answered = MONDAY + DAY + HOUR  # on Tuesday at 10:00
    questions.reply(connection, number, "半夜开始", at=answered)
    after = handling(connection, number, answered)
    assert (after.state, after.left_s) == ("running", rests.left_s)
    office = working_s(connection, MONDAY + 2 * HOUR, answered)
    assert working_s(connection, before.due, after.due) == office > 0


def working_s(connection: Connection, start: datetime, until: datetime) -> float:
    """The working time of the office between two moments, seconds."""
    return float(elapsed(calendars.get(connection, "office"), start, until)[0])


def test_only_the_time_of_the_case_rests(connection: Connection) -> None:
    number = case_of_monday(connection, LINKED)
    clocks.start(connection, number, "whistle.sign", organisation_id=None, at=MONDAY)
    ask(connection, number)
    states = {c.name: c.state for c in clocks.of_incident(connection, number, at=MONDAY + HOUR)}
    assert states == {clocks.HANDLE: "paused", "whistle.sign": "running"}


def test_the_timeline_says_what_was_asked_and_that_it_was_answered(connection: Connection) -> None:
    number = case_of_monday(connection, LINKED)
    question = ask(connection, number)
    [clock] = last(connection, number)["data"]["clocks"]
    asked = last(connection, number)
    assert (asked["action"], asked["actor"], asked["reason"]) == ("ask", "desk", "漏水从几点开始？")
    assert asked["data"]["question"] == question
    questions.note(connection, number, question, "半夜", actor="desk", at=MONDAY + 3 * HOUR)
    replied = last(connection, number)
    assert (replied["action"], replied["data"]["clocks"]) == ("reply", [clock])
    assert "半夜" not in str(dict(replied))  # the words are their reporter's, and can be forgotten
    [row] = questions.of_case(connection, number)
    assert (row["outcome"], row["answer"], row["answered_by"]) == ("answered", "半夜", "desk")
    kinds = connection.execute(
        text("SELECT kind FROM event WHERE incident_id = :id ORDER BY id DESC LIMIT 2"),
        {"id": number},
    )
    assert kinds.scalars().all() == ["case.replied", "case.asked"]


def test_who_does_not_answer_is_waited_for_so_long_and_no_longer(connection: Connection) -> None:
    number = case_of_monday(connection, LINKED)
    ask(connection, number, MONDAY + HOUR)
    before = handling(connection, number)
    end = MONDAY + HOUR + WAIT
    assert questions.give_up(connection, end - HOUR) == 0
    late = end + 5 * HOUR  # the worker was away
    assert questions.give_up(connection, late) == 1
    assert questions.give_up(connection, late) == 0
    after = handling(connection, number)
    assert after.state == "running"
    assert working_s(connection, before.due, after.due) == working_s(connection, MONDAY + HOUR, end)
    assert (last(connection, number)["action"], last(connection, number)["actor"]) == (
        "unanswered", "clock",
    )  # fmt: skip
    refused("no_question", lambda: questions.reply(connection, number, "半夜", at=late))


def test_an_answer_after_the_end_of_the_wait_rests_no_longer_than_it(
    connection: Connection,
) -> None:
    one, two = (case_of_monday(connection, LINKED) for _ in range(2))
    for number in (one, two):
        ask(connection, number)
    questions.reply(connection, one, "半夜", at=MONDAY + HOUR + WAIT)
    questions.reply(connection, two, "半夜", at=MONDAY + HOUR + WAIT + DAY)
    assert handling(connection, one).due == handling(connection, two).due


def test_what_is_late_does_not_rest_though_it_is_asked(connection: Connection) -> None:
    number = case_of_monday(connection, LINKED)
    due = handling(connection, number).due
    ask(connection, number, due + HOUR)
    assert last(connection, number)["data"]["clocks"] == []
    assert handling(connection, number).state == "running"


def test_what_cannot_be_asked_says_why(connection: Connection) -> None:
    nobody = case_of_monday(connection)
    refused("nobody_to_ask", lambda: ask(connection, nobody))
    number = case_of_monday(connection, LINKED)
    refused("reason_missing", lambda: questions.ask(
        connection, number, " ", actor="desk", at=MONDAY))  # fmt: skip
    question = ask(connection, number)
    open_ = refused("question_open", lambda: ask(connection, number))
    assert open_.facts["question"] == question
    refused("reason_missing", lambda: questions.reply(connection, number, " ", at=MONDAY + HOUR))
    refused("unknown_question", lambda: questions.note(
        connection, nobody, question, "x", actor="desk", at=MONDAY))  # fmt: skip
    questions.reply(connection, number, "半夜", at=MONDAY + 2 * HOUR)
    refused("question_ended", lambda: questions.note(
        connection, number, question, "x", actor="desk", at=MONDAY + 3 * HOUR))  # fmt: skip


def test_another_organisation_may_neither_ask_nor_note(connection: Connection) -> None:
    number = case_of_monday(connection, LINKED)
    other = connection.execute(
        text("INSERT INTO organisation (code, name, role) VALUES ('o', 'o', 'six') RETURNING id")
    ).scalar_one()
    refused("not_accountable", lambda: ask(connection, number, acting=other))
    question = ask(connection, number)
    refused("not_accountable", lambda: questions.note(
        connection, number, question, "x", actor="o", at=MONDAY, acting=other))  # fmt: skip


@pytest.mark.parametrize("how", ["resolve", "merge"])
def test_about_what_is_done_nobody_is_waited_for(connection: Connection, how: str) -> None:
    number = case_of_monday(connection, LINKED)
    ask(connection, number)
    if how == "merge":
        into = case_of_monday(connection)
        case_merging.merge(connection, number, into, Move("merge", "desk", reason="同一处"))
    else:
        cases.move(connection, number, Move("resolve", "desk", reason="已修好"))
    [row] = questions.of_case(connection, number)
    assert (row["outcome"], handling(connection, number).state) == ("withdrawn", "stopped")
    refused("no_question", lambda: questions.reply(connection, number, "半夜", at=MONDAY + HOUR))
    assert questions.give_up(connection, MONDAY + HOUR + WAIT) == 0


def test_an_answer_is_shown_to_whoever_gave_it_and_to_nobody_else(connection: Connection) -> None:
    number, other = (case_of_monday(connection, LINKED) for _ in range(2))
    case_merging.merge(connection, other, number, Move("merge", "desk", reason="同一处"))
    ask(connection, number)
    questions.reply(connection, other, "我家在三楼", at=MONDAY + 2 * HOUR)
    seen = [following.state(connection, report, MONDAY + 3 * HOUR) for report in (other, number)]
    answers = [[q["answer"] for q in state["questions"]] for state in seen if state]
    assert answers == [["我家在三楼"], [None]]


def test_the_words_of_whoever_is_forgotten_go(connection: Connection) -> None:
    phone = "139 0000 7001"
    number = case_of_monday(connection, Person(phone=phone))
    person = people.fingerprint(phone, None)
    for how in ("link", "office"):
        question = ask(connection, number)
        if how == "link":
            questions.reply(connection, number, "我家在三楼", at=MONDAY + 2 * HOUR)
        else:
            questions.note(connection, number, question, "三楼", actor="desk", at=MONDAY + 2 * HOUR)
    told = people.export(connection, person, actor="us", reason="申请", at=MONDAY)
    assert [q["answer"] for q in told["questions"]] == ["我家在三楼"]
    cases.move(connection, number, Move("resolve", "desk", reason="已修好"))
    [party] = parties.of_case(connection, number)
    assert party["erased"] is None
    connection.execute(
        text("UPDATE return_visit SET ended = now(), outcome = 'refused' WHERE incident_id = :id"),
        {"id": number},
    )
    cases.move(connection, number, Move("close", "desk"))
    people.erase(connection, person, actor="us", reason="申请", at=MONDAY)
    assert [row["answer"] for row in questions.of_case(connection, number)] == ["", ""]
