"""Return visits: who is asked, by link and by telephone, what their answers do, and late ones."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, text

from data import case_lists, case_merging, cases, dispatch, parties, people, reports, return_visits
from data import settings as configured
from data.cases import Move
from data.parties import Person, PersonError
from data.refusals import DispatchError
from data.reports import NewReport
from data.return_visits import Answer
from tests.api.conftest import SOUTH, STEP, WEST, build

_serial = count(1)
PHONE = "138-0000-12{:02}"


def now(**later: float) -> datetime:
    return datetime.now(UTC) + timedelta(**later)


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    build(made)
    yield made
    made.dispose()


def opened(connection: Connection, *reporters: Person) -> int:
    """A case with one report, and who sent it."""
    new = NewReport(
        "visits", f"visit {next(_serial)}", x=WEST + 0.2 * STEP, y=SOUTH + 0.2 * STEP, datum="wgs84"
    )
    number, _ = reports.submit(connection, new)
    for person in reporters:
        parties.came_with(connection, number, person, actor="hotline")
    return number


def caller() -> Person:
    return Person(name="某某", phone=PHONE.format(next(_serial) % 100))


LINKED = Person(contact="wechat 1")


def do(connection: Connection, number: int, action: str, **more: Any) -> Any:
    cases.move(connection, number, Move(action, "tester", **{"reason": "已处理", **more}))
    return case_lists.get(connection, number)


def stage(connection: Connection, number: int) -> str:
    return str(case_lists.get(connection, number)["stage"])  # type: ignore[index]


def says(connection: Connection, report: int, solved: bool, at: datetime | None = None) -> str:
    said = Answer(solved, 5 if solved else 1, "" if solved else "还在漏水")
    return return_visits.answer(connection, report, said, actor="reporter", at=at or now())


def due(connection: Connection, number: int, **later: float) -> list[dict[str, Any]]:
    rows = return_visits.due(connection, actor="desk", at=now(**later), limit=1000)
    return [row for row in rows if row["number"] == number]


def tried(connection: Connection, visit: int, outcome: str, **more: Any) -> str:
    asked = {"actor": "desk", "at": now(), **more}
    return return_visits.tried(connection, visit, outcome, **asked)[1]


def refused(why: str, act: Callable[[], object]) -> DispatchError:
    with pytest.raises(DispatchError) as caught:
        act()
    assert caught.value.reason == why
    return caught.value


# --- who is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["resolve", "reject"])
def test_who_can_be_asked_is_asked_before_the_case_is_closed(
    connection: Connection, action: str
) -> None:
    number = opened(connection, caller())
    case = do(connection, number, action)
    assert (case["stage"], case["closed"], case["outcome"]) == ("return_visit", None, "已处理")
    assert says(connection, number, True) == "closed"
    last = case_lists.timeline(connection, number)[-1]
    assert (last["action"], last["reason"]) == ("close", return_visits.BECAUSE["solved"])
    [visit] = return_visits.of_case(connection, number)
    assert (visit["solved"], visit["satisfaction"], visit["outcome"]) == (True, 5, "answered")


def test_where_nobody_can_be_asked_it_is_closed_and_says_so(connection: Connection) -> None:
    number = opened(connection)
    parties.add(connection, number, caller(), role="witness", actor="us")
    assert do(connection, number, "resolve")["stage"] == "closed"
    last = case_lists.timeline(connection, number)[-1]
    assert (last["reason"], last["data"]) == (cases.NOBODY, {"because": "nobody"})


def test_an_incident_that_is_closed_is_asked_about_too(connection: Connection) -> None:
    number = opened(connection, caller())
    dispatch.close_incident(connection, number, actor="us", outcome="已修好")
    assert stage(connection, number) == "return_visit"


def test_one_not_solved_opens_it_above_and_ends_the_other_visits(connection: Connection) -> None:
    number, other = opened(connection, caller()), opened(connection, caller())
    case_merging.merge(connection, other, number, Move("merge", "us", reason="同一处"))
    do(connection, number, "resolve")
    assert says(connection, number, True) == "return_visit"
    assert says(connection, other, False) == "triaged"
    case = case_lists.get(connection, number)
    assert (case["level"], case["reopened"], case["closed"]) == (3, 1, None)  # type: ignore[index]
    assert case_lists.timeline(connection, number)[-1]["reason"] == "还在漏水"
    assert due(connection, number) == []
    do(connection, number, "resolve")
    assert len(due(connection, number)) == 2  # everybody again
    refused("not_asked", lambda: says(connection, opened(connection, caller()), True))


def test_reopened_by_somebody_else_nobody_is_asked_any_more(connection: Connection) -> None:
    number = opened(connection, caller())
    do(connection, number, "resolve")
    do(connection, number, "reopen")
    assert due(connection, number) == []
    refused("not_asked", lambda: says(connection, number, True))


# --- by telephone ---------------------------------------------------------------------------------


def test_called_in_vain_so_often_it_is_closed_as_not_reached(connection: Connection) -> None:
    number = opened(connection, caller())
    do(connection, number, "resolve")
    tries = configured.settings().visit_tries
    for n in range(tries):
        [visit] = due(connection, number, hours=n * 4.1)
        assert visit["tries"] == n and visit["phone"].startswith("138****")
        after = tried(connection, visit["id"], "no_answer", at=now(hours=n * 4.1))
        assert after == ("closed" if n == tries - 1 else "return_visit")
        assert due(connection, number, hours=n * 4.1 + 3) == []
    last = case_lists.timeline(connection, number)[-1]
    assert last["data"] == {"because": "unreachable"}
    refused("visit_ended", lambda: tried(connection, visit["id"], "no_answer"))


@pytest.mark.parametrize(
    ("outcome", "because"), [("refused", "refused"), ("wrong_number", "unreachable")]
)
def test_one_call_can_be_enough(connection: Connection, outcome: str, because: str) -> None:
    number = opened(connection, caller())
    do(connection, number, "resolve")
    [visit] = due(connection, number)
    assert tried(connection, visit["id"], outcome) == "closed"
    assert case_lists.timeline(connection, number)[-1]["data"] == {"because": because}


def test_who_is_reached_says_it_and_a_try_is_kept(connection: Connection) -> None:
    number = opened(connection, caller())
    do(connection, number, "resolve")
    [visit] = due(connection, number)
    refused("answer_missing", lambda: tried(connection, visit["id"], "reached"))
    refused("answer_missing", lambda: tried(connection, visit["id"], "refused", said=Answer(True)))
    assert tried(connection, visit["id"], "reached", said=Answer(False, 2, "没来人")) == "triaged"
    [kept] = return_visits.of_case(connection, number)
    assert [call["outcome"] for call in kept["calls"]] == ["reached"]
    assert (kept["solved"], kept["satisfaction"], kept["comment"]) == (False, 2, "没来人")


def test_a_claimed_call_is_one_callers_alone_for_a_while(connection: Connection) -> None:
    number = opened(connection, Person(name="某某", phone="+86 138 0000 1299"))
    do(connection, number, "resolve")
    [visit] = due(connection, number)
    told = return_visits.claim(connection, visit["id"], actor="desk 1", at=now())
    assert told["phone"] == "+86 138 0000 1299"
    assert due(connection, number) == []
    for act in (
        lambda: return_visits.claim(connection, visit["id"], actor="desk 2", at=now()),
        lambda: tried(connection, visit["id"], "no_answer", actor="desk 2"),
    ):
        assert refused("visit_claimed", act).facts["actor"] == "desk 1"
    assert len(due(connection, number, minutes=31)) == 1
    assert says(connection, number, True) == "closed"  # by the link, while they are being called
    refused("visit_ended", lambda: tried(connection, visit["id"], "no_answer", actor="desk 1"))


def test_who_has_no_telephone_is_waited_for(connection: Connection) -> None:
    number = opened(connection, LINKED)
    do(connection, number, "resolve")
    assert due(connection, number, days=30) == []
    return_visits.give_up(connection, now(days=6.9))
    assert stage(connection, number) == "return_visit"
    assert return_visits.give_up(connection, now(days=7.1)) >= 1
    assert stage(connection, number) == "closed"


# --- late, merged, withdrawn, at once -------------------------------------------------------------


def test_a_late_answer_opens_it_again_but_not_for_ever(connection: Connection) -> None:
    number = opened(connection, caller())
    do(connection, number, "resolve")
    assert says(connection, number, True) == "closed"
    refused("not_asked", lambda: says(connection, number, False, now(days=15.1)))
    assert says(connection, number, False, now(days=14.9)) == "triaged"
    kept = [row["solved"] for row in return_visits.of_case(connection, number)]
    assert kept == [True, False]  # what was said before stays


def test_merged_while_it_is_asked_about_they_are_asked_about_the_other(
    connection: Connection,
) -> None:
    number, part = opened(connection, caller()), opened(connection, caller())
    do(connection, number, "resolve")
    do(connection, part, "resolve")
    case_merging.merge(connection, part, number, Move("merge", "us", reason="同一处"))
    assert due(connection, part) == [] and len(due(connection, number)) == 2
    assert {p["report"] for p in parties.of_case(connection, number)} == {number, part}
    assert says(connection, number, True) == "return_visit"
    case_merging.unmerge(connection, part, Move("unmerge", "us", reason="两处"))
    assert (stage(connection, number), stage(connection, part)) == ("closed", "return_visit")
    assert len(due(connection, part)) == 1
    assert says(connection, part, True) == "closed"


def test_taken_out_of_a_case_that_is_part_of_a_third_they_are_asked_about_their_own(
    connection: Connection,
) -> None:
    third, second, first = (opened(connection, caller()) for _ in range(3))
    do(connection, first, "resolve")
    for part, whole in ((first, second), (second, third)):
        case_merging.merge(connection, part, whole, Move("merge", "us", reason="同一处"))
    do(connection, third, "resolve")
    assert len(due(connection, third)) == 3
    assert says(connection, second, True) == says(connection, third, True) == "return_visit"
    case_merging.unmerge(connection, first, Move("unmerge", "us", reason="两处"))
    assert (stage(connection, third), stage(connection, first)) == ("closed", "return_visit")
    assert [row["report"] for row in due(connection, first)] == [first]
    assert {p["report"] for p in parties.of_case(connection, third)} == {second, third}


def test_a_withdrawn_reporter_is_not_asked(connection: Connection) -> None:
    number = opened(connection, caller(), caller())
    do(connection, number, "resolve")
    first, second = (party["id"] for party in parties.of_case(connection, number))
    parties.withdraw(connection, number, first, actor="us", reason="打错了")
    assert [row["report"] for row in due(connection, number)] == [number]
    parties.withdraw(connection, number, second, actor="us", reason="打错了")
    assert stage(connection, number) == "closed"
    refused("unknown_party", lambda: parties.withdraw(
        connection, number, second, actor="us", reason="又"))  # fmt: skip


def test_a_reporter_who_is_added_meanwhile_is_asked(connection: Connection) -> None:
    number = opened(connection, LINKED)
    do(connection, number, "resolve")
    other = opened(connection)
    case_merging.merge(connection, other, number, Move("merge", "us", reason="同一处"))
    parties.add(connection, number, caller(), role="reporter", actor="us", report=other)
    assert [row["report"] for row in due(connection, number)] == [other]
    refused("unknown_party", lambda: parties.add(
        connection, number, caller(), role="reporter", actor="us", report=1))  # fmt: skip


def test_of_two_who_close_and_reopen_at_once_one_wins_and_the_other_is_told(
    engine: Engine,
) -> None:
    with engine.begin() as connection:
        number = opened(connection, caller())
        seen = do(connection, number, "resolve")["step"]
    start = Barrier(2)

    def act(action: Callable[[Connection], object]) -> str:
        with engine.connect() as connection, connection.begin():
            start.wait()
            try:
                action(connection)
            except DispatchError as error:
                return error.reason
        return "done"

    asked = [
        lambda c: cases.move(c, number, Move("reopen", "us", reason="抽查不合格", seen=seen)),
        lambda c: says(c, number, True),
    ]
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(act, asked))
    with engine.connect() as connection:
        last = case_lists.timeline(connection, number)[-1]["action"]
    assert (told, last) in ((["done", "not_asked"], "reopen"), (["moved_on", "done"], "close"))


_ANSWERS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([
        "solved", "unsolved", "no_answer", "refused", "wrong_number", "give_up", "resolve",
    ])), max_size=14,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_ANSWERS)
def test_no_path_closes_a_case_while_somebody_is_still_to_be_asked(
    engine: Engine, path: list[tuple[int, str]]
) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        mine = [opened(connection, caller()), opened(connection, LINKED), opened(connection)]
        for part in mine[1:]:
            case_merging.merge(connection, part, mine[0], Move("merge", "us", reason="同一处"))
        for who, what in path:
            try:
                with connection.begin_nested():
                    _happens(connection, mine, who, what)
            except DispatchError:
                pass
            case, visits = (
                case_lists.get(connection, mine[0]),
                return_visits.of_case(connection, mine[0]),
            )
            assert case is not None and case["stage"] != "resolved"
            waiting = [visit for visit in visits if visit["ended"] is None]
            assert bool(waiting) == (case["stage"] == "return_visit")
            if case["stage"] == "closed":
                assert {visit["report"] for visit in visits} >= set(mine[:2])
            assert case["reopened"] == sum(visit["solved"] is False for visit in visits)
        transaction.rollback()


def _happens(connection: Connection, mine: list[int], who: int, what: str) -> None:
    at = now()
    if what == "resolve":
        do(connection, mine[0], "resolve")
    elif what == "give_up":
        return_visits.give_up(connection, now(days=8))
    elif what in ("solved", "unsolved"):
        says(connection, mine[who], what == "solved", at)
    else:
        for visit in due(connection, mine[0], days=1):
            tried(connection, visit["id"], what, at=now(days=1))


# --- people ---------------------------------------------------------------------------------------


def test_nothing_of_a_person_is_plain_in_the_database(engine: Engine) -> None:
    person = Person("张某某", "13812345678", "44060019900101123X", "wx-9217")
    with engine.connect() as connection:
        number = opened(connection, person)
        found: list[str] = []
        for table in ("party", "report", "incident", "event", "case_step", "return_visit"):
            rows = connection.execute(text(f"SELECT t::text FROM {table} t")).scalars()
            found += [row for row in rows for value in vars(person).values()
                      if value in row or value.encode().hex() in row]  # fmt: skip
        assert found == []
        [shown] = parties.of_case(connection, number)
        assert (shown["name"], shown["phone"]) == ("张**", "138****5678")
        assert "1990" not in shown["identity"] and shown["contact"] == "*" * 7


@pytest.mark.parametrize(
    "person", [Person(), Person(name=" "), Person(phone="12a4"), Person(identity="1")]
)
def test_a_person_that_cannot_be_is_refused(connection: Connection, person: Person) -> None:
    with pytest.raises(PersonError):
        opened(connection, person)


def test_a_look_is_written_down_where_the_case_is_told(connection: Connection) -> None:
    number = opened(connection, Person("张某某", "13812345678"))
    [party] = parties.of_case(connection, number)
    asked = {"actor": "chief", "at": now()}
    refused("reason_missing", lambda: parties.reveal(
        connection, number, party["id"], reason=" ", **asked))  # fmt: skip
    seen = parties.reveal(connection, number, party["id"], reason="核实身份", **asked)
    assert (seen["name"], seen["phone"]) == ("张某某", "13812345678")
    last = case_lists.timeline(connection, number)[-1]
    assert (last["action"], last["actor"], last["reason"]) == ("note", "chief", "核实身份")
    refused("unknown_party", lambda: parties.reveal(
        connection, opened(connection), party["id"], reason="x", **asked))  # fmt: skip


def test_found_exported_and_erased_by_number_but_not_while_a_case_is_open(
    connection: Connection,
) -> None:
    written = ("138 1111 2222", "+8613811112222", "0086-138-1111-2222")
    numbers = [opened(connection, Person("某某", phone)) for phone in written]
    do(connection, numbers[0], "resolve")
    says(connection, numbers[0], True)
    who = people.fingerprint("13811112222", None)
    asked = {"actor": "chief", "reason": "本人申请", "at": now()}
    assert [row["case"] for row in people.find(connection, who, **asked)] == numbers
    data = people.export(connection, who, **asked)
    assert [row["phone"] for row in data["parties"]] == list(written)
    assert [row["id"] for row in data["reports"]] == numbers
    assert [row["satisfaction"] for row in data["visits"]] == [5]
    told = people.erase(connection, who, **asked)
    assert (told["cases"], told["held"], told["parties"]) == (numbers[:1], numbers[1:], 1)
    [gone] = parties.of_case(connection, numbers[0])
    assert gone["erased"] is not None and gone["phone"] is gone["name"] is None
    assert case_lists.get(connection, numbers[0])["outcome"] == "已处理"  # type: ignore[index]
    assert [row["case"] for row in people.find(connection, who, **asked)] == numbers[1:]
    deeds = connection.execute(
        text("SELECT deed FROM person_deed WHERE person = :who ORDER BY id"), {"who": who}
    )
    assert list(deeds.scalars()) == ["find", "export", "erase", "find"]


def test_people_are_forgotten_when_the_period_of_their_kind_is_over(
    connection: Connection,
) -> None:
    number = opened(connection, caller())
    do(connection, number, "resolve")
    says(connection, number, True)
    still = opened(connection, caller())
    assert people.expire(connection, now(days=9000)) == 0  # nobody has said how long
    people.retain(connection, None, 30, actor="us", reason="制度")
    assert people.expire(connection, now(days=29)) == 0
    assert people.expire(connection, now(days=31)) >= 1
    assert parties.of_case(connection, number)[0]["erased"] is not None
    assert parties.of_case(connection, still)[0]["erased"] is None
    with pytest.raises(people.RetentionError, match="case-kinds"):
        people.retain(connection, "none", 3, actor="us", reason="制度")


def test_the_nearest_period_in_the_tree_of_kinds_holds(connection: Connection) -> None:
    for code, parent in (("dispute", None), ("land", "dispute")):
        connection.execute(
            text("INSERT INTO case_kind (code, parent, title, title_en, class)"
                 " VALUES (:code, :parent, 'x', 'x', 'dispute')"),
            {"code": code, "parent": parent},
        )  # fmt: skip
    number = opened(connection, caller())
    connection.execute(text("UPDATE incident SET kind = 'land' WHERE id = :n"), {"n": number})
    do(connection, number, "resolve")
    says(connection, number, True)
    people.retain(connection, None, 1, actor="us", reason="制度")
    people.retain(connection, "dispute", 100, actor="us", reason="制度")
    assert people.expire(connection, now(days=90)) == 0
    people.keep_for_ever(connection, "dispute", actor="us")
    assert people.expire(connection, now(days=90)) == 1
