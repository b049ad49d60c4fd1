"""Referrals both ways and their outcomes; agreements and what a court makes of them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from data import (
    agreements,
    case_catalogue,
    case_lists,
    cases,
    referral_lists,
    referrals,
    timers,
    upkeep,  # noqa: F401 - what follows by itself is named there
)
from data.agreements import Decision, Wording
from data.cases import CaseError, Move
from data.referral_rules import KINDS
from data.referrals import Offer, ReferralError
from tests import people
from tests.api.conftest import build
from tests.data.test_cases import opened
from tests.data.test_whistles import by, in_work, race, refused, stage, told


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    """A small town with its centre, a court under its higher court, the police and another body."""
    made = create_engine(database_url)
    build(made)
    with made.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO organisation (code, name, role, area_id)
                SELECT 'town', '镇综治中心', 'centre', id FROM area WHERE layer = 'town';
                INSERT INTO organisation (code, name, role) VALUES
                    ('high', '中级人民法院', 'six'), ('police', '派出所', 'six');
                INSERT INTO organisation (code, name, role, parent_id)
                SELECT 'court', '人民法院', 'six', id FROM organisation WHERE code = 'high'
            """)
        )
    yield made
    made.dispose()


def offered(connection: Connection, case: int | None = None, **more: Any) -> int:
    """A referral; by default the centre's, to the court."""
    usual: dict[str, Any] = {"kind": "court", "direction": "out", "receiver": "court"}
    giver = more.pop("giver", "town")
    case = case or in_work(connection)
    new = Offer(case, **{"what": "土地界址争议", **usual, **more})
    return referrals.offer(connection, new, by(connection, giver))


def do(connection: Connection, number: int, action: str, who: str = "court", **more: Any) -> Any:
    more = {"words": "如此", **more}
    referrals.move(connection, number, action, by(connection, who), **more)
    return referral_lists.get(connection, number)


def case_of(connection: Connection, number: int) -> int:
    return int(referral_lists.get(connection, number)["case"])


# --- out ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "police_call"])
def test_a_case_goes_out_and_its_outcome_resolves_it(connection: Connection, kind: str) -> None:
    number = offered(connection, kind=kind)
    case = case_of(connection, number)
    assert stage(connection, case) == "referred"
    accepted = do(connection, number, "accept", docket="（2026）粤0604诉前调1号", words="")
    assert (accepted["state"], accepted["docket"]) == ("accepted", "（2026）粤0604诉前调1号")
    done = do(connection, number, "conclude", words="达成调解", resolves=True)
    assert (done["outcome"], done["allowed"]) == ("达成调解", [])
    found = case_lists.get(connection, case)
    # Nobody reported it who could be asked.
    assert found is not None and (found["stage"], found["outcome"]) == ("closed", "达成调解")
    assert [step["action"] for step in done["steps"]] == ["offer", "accept", "conclude"]
    [event] = told(connection, "referral.concluded", case)
    assert (event["giver"], event["receiver"]) == ("town", "court")


@pytest.mark.parametrize(
    ("way", "state"),
    [
        ([("decline", "court")], "declined"),
        ([("withdraw", "town")], "withdrawn"),
        ([("accept", "court"), ("return", "court")], "returned"),
        ([("accept", "court"), ("conclude", "court")], "concluded"),
    ],
)
def test_what_comes_back_is_worked_on(
    connection: Connection, way: list[tuple[str, str]], state: str
) -> None:
    number = offered(connection)
    for action, who in way:
        found = do(connection, number, action, who)
    assert found["state"] == state and found["ended"] is not None
    case = case_of(connection, number)
    assert stage(connection, case) == "in_work"
    assert offered(connection, case) != number  # it can be offered anew


def test_a_case_that_another_has_is_not_resolved_nor_offered_twice(connection: Connection) -> None:
    number = offered(connection)
    case = case_of(connection, number)
    resolve = Move("resolve", "tester", reason="已解决")
    error = refused("referral_open", lambda: cases.move(connection, case, resolve))
    assert isinstance(error, CaseError) and error.facts["number"] == number
    inwards = {"direction": "in", "receiver": "town", "giver": "police"}
    refused("referral_refused", lambda: offered(connection, case, **inwards))
    do(connection, number, "accept")
    assert refused("referral_open", lambda: offered(connection, case)).facts["number"] == number
    do(connection, number, "return")
    cases.move(connection, case, resolve)


def test_whose_it_is_and_in_order(connection: Connection) -> None:
    number = offered(connection)
    refused("not_receiver", lambda: do(connection, number, "accept", "town"))
    refused("not_giver", lambda: do(connection, number, "withdraw", "court"))
    refused("reason_missing", lambda: do(connection, number, "decline", words=" "))
    refused("referral_not_allowed", lambda: do(connection, number, "conclude"))
    do(connection, number, "accept")
    refused("reason_missing", lambda: do(connection, number, "docket"))
    assert do(connection, number, "docket", docket="调2号")["docket"] == "调2号"
    assert do(connection, number, "conclude")["docket"] == "调2号"
    error = refused("referral_not_allowed", lambda: do(connection, number, "return"))
    assert error.facts["actor"] == "court 值班"
    refused("unknown_referral", lambda: do(connection, 10**9, "accept"))
    refused("not_accountable", lambda: offered(connection, giver="police"))
    refused("not_allowed", lambda: offered(connection, opened(connection)))
    refused("referral_refused", lambda: offered(connection, receiver="town"))
    refused("referral_refused", lambda: offered(connection, kind="police_call"))


# --- in -------------------------------------------------------------------------------------------


def test_a_call_that_is_not_the_polices_comes_in_and_its_outcome_goes_back(
    connection: Connection,
) -> None:
    case = opened(connection, grid=None)
    inwards = {"kind": "police_call", "direction": "in", "receiver": "town", "giver": "police"}
    number = offered(connection, case, **inwards)
    before = case_lists.get(connection, case)
    assert before is not None and (before["stage"], before["organisation"]) == ("received", "desk")
    do(connection, number, "accept", "town")
    after = case_lists.get(connection, case)
    assert after is not None and (after["stage"], after["organisation"]) == ("assigned", "town")
    do(connection, number, "conclude", "town", words="已调解", resolves=True)
    assert stage(connection, case) == "closed"
    [listed] = referral_lists.listed(connection, giver="police", case=case)
    assert (listed["outcome"], listed["state"]) == ("已调解", "concluded")


def test_it_comes_in_to_a_centre_that_takes_it_over_from_who_has_it(connection: Connection) -> None:
    case = opened(connection)
    for action, to in (("assign", "police"), ("accept", None), ("start", None)):
        cases.move(connection, case, Move(action, "tester", organisation=to))
    inwards = {"kind": "petitions", "direction": "in", "giver": "court"}
    refused("referral_refused", lambda: offered(connection, case, receiver="police", **inwards))
    number = offered(connection, case, receiver="town", **inwards)
    do(connection, number, "accept", "town")
    found = case_lists.get(connection, case)
    assert found is not None and (found["stage"], found["organisation"]) == ("assigned", "town")


def test_who_comes_after_a_dissolved_court_has_its_cases(connection: Connection) -> None:
    number = offered(connection)
    case_catalogue.dissolve(connection, "court", "high", actor="test", reason="机构改革")
    do(connection, number, "accept", "high")
    assert do(connection, number, "conclude", "high")["state"] == "concluded"


# --- teams, clocks --------------------------------------------------------------------------------


def test_a_standing_joint_team_may_have_it(connection: Connection) -> None:
    team = people.add(connection, "庭所共建联合工作队", kind="joint_team")
    somebody = people.add(connection)
    refused("unknown_team", lambda: offered(connection, team=somebody))
    refused("referral_refused", lambda: offered(connection, team=team, receiver=None))
    connection.execute(
        text("UPDATE resource SET organisation_id = :o WHERE id = :id"),
        {"o": by(connection, "court").acting, "id": team},
    )
    found = referral_lists.get(connection, offered(connection, team=team, receiver=None))
    assert (found["receiver"], found["team_name"]) == ("court", "庭所共建联合工作队")


def test_who_does_not_decide_in_time_is_late_and_who_did_is_not(connection: Connection) -> None:
    waiting, decided = offered(connection), offered(connection)
    do(connection, decided, "accept")
    while timers.fire(connection, at=datetime.now(UTC) + timedelta(days=60)):
        pass
    late = {n: referral_lists.get(connection, n)["late"] is not None for n in (waiting, decided)}
    assert late == {waiting: True, decided: False}
    [event] = told(connection, "referral.late", case_of(connection, waiting))
    assert event["told"] == ["town", "high"]


def test_a_call_from_110_has_an_hour(connection: Connection) -> None:
    inwards = {"kind": "police_call", "direction": "in", "receiver": "town", "giver": "police"}
    found = referral_lists.get(connection, offered(connection, opened(connection), **inwards))
    assert found["due"] - found["offered"] == timedelta(hours=1)


def test_accepted_and_declined_at_once_one_wins_and_the_other_is_told(engine: Engine) -> None:
    for _ in range(3):
        with engine.begin() as own:
            number = offered(own)
        both = race(
            engine,
            lambda own, n=number: do(own, n, "accept"),
            lambda own, n=number: do(own, n, "decline"),
        )
        [error] = [each for each in both if isinstance(each, ReferralError)]
        assert error.reason == "referral_not_allowed" and error.facts["actor"] == "court 值班"
        with engine.begin() as own:
            found = referral_lists.get(own, number)
            back = "referred" if found["state"] == "accepted" else "in_work"
            assert stage(own, found["case"]) == back and len(found["steps"]) == 2


# --- agreements -----------------------------------------------------------------------------------

NOW = datetime.now(UTC)
WORDING = Wording("共同修复机耕路，费用各半。", ["甲村村民小组", "乙村村民小组"], NOW)


def test_an_agreement_is_worded_anew_and_confirmed_by_a_court(connection: Connection) -> None:
    case = in_work(connection)
    number = agreements.agree(connection, case, WORDING, actor="tester")
    anew = Wording("共同修复机耕路，费用三七。", WORDING.parties, NOW)
    agreements.reword(connection, case, number, anew, reason="笔误", actor="tester")
    refused(
        "agreement_not_applied",
        lambda: agreements.decide(
            connection, case, number, Decision("confirmed", NOW), docket="1", actor="tester"
        ),
    )
    agreements.apply(connection, case, number, court="court", actor="tester")
    refused(
        "agreement_decided",
        lambda: agreements.apply(connection, case, number, court="court", actor="tester"),
    )
    agreements.decide(
        connection, case, number, Decision("confirmed", NOW), docket="司确1号", actor="tester"
    )
    rows = agreements.versions(connection, case)
    assert [(r["version"], r["confirmation"]) for r in rows] == [
        (1, "none"), (2, "none"), (3, "applied"), (4, "confirmed"),
    ]  # fmt: skip
    assert (rows[0]["text"], rows[-1]["text"]) == (WORDING.text, anew.text)
    assert (rows[-1]["court"], rows[-1]["docket"]) == ("court", "司确1号")
    agreements.reword(connection, case, number, WORDING, reason="重新协商", actor="tester")
    last = agreements.versions(connection, case)[-1]
    assert (last["confirmation"], last["court"], last["docket"]) == ("none", None, None)
    assert agreements.agree(connection, case, WORDING, actor="tester") == number + 1
    assert len(told(connection, "agreement.confirmed", case)) == 1


def test_a_court_refuses_with_a_reason(connection: Connection) -> None:
    case = in_work(connection)
    number = agreements.agree(connection, case, WORDING, actor="tester")
    agreements.apply(connection, case, number, court="court", actor="tester")

    def refuse(reason: str) -> None:
        said = Decision("refused", NOW, reason)
        agreements.decide(connection, case, number, said, docket="司确2号", actor="tester")

    refused("reason_missing", lambda: refuse(""))
    refuse("内容不明确")
    assert agreements.versions(connection, case)[-1]["reason"] == "内容不明确"


def test_an_agreement_has_parties_and_stays_written(connection: Connection) -> None:
    case = in_work(connection)
    alone = Wording("约定", ["甲方", "甲方"], NOW)
    refused("parties_missing", lambda: agreements.agree(connection, case, alone, actor="tester"))
    refused(
        "unknown_agreement",
        lambda: agreements.reword(connection, case, 9, WORDING, reason="x", actor="tester"),
    )
    agreements.agree(connection, case, WORDING, actor="tester")
    with pytest.raises(DBAPIError), connection.begin_nested():
        connection.execute(text("UPDATE agreement SET text = 'something else'"))
