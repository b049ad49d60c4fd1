"""Cases: who answers, from stage to stage, up and down the levels, merged and taken apart."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, text

from data import access, case_catalogue, case_lists, case_merging, cases, dispatch, reports
from data.access import Who
from data.case_catalogue import Answering, CatalogueRefusedError, Kind
from data.cases import CaseError, Move
from data.dispatch import Choice
from data.refusals import DispatchError
from data.reports import NewReport
from data.stages import ACTIONS, STAGES, allowed
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST, build
from tests.people import add as person

_serial = count(1)
CENTRES = {
    "city": "440600000000", "district": "440604000000", "town": "440604010000",
}  # fmt: skip


@pytest.fixture(scope="module")
def engine(database_url: str) -> Engine:
    """A small town in its city, with a centre at three levels and the police."""
    made = create_engine(database_url)
    build(made)
    with made.begin() as connection:
        for layer, code in CENTRES.items():
            _organisation(connection, f"centre-{layer}", "centre", f"{layer}:{code}")
        for code in ("police", "court", "water"):
            _organisation(connection, code, "six", None)
        for kind in (
            Kind("dispute", "纠纷", "Dispute", "dispute"),
            Kind("land", "土地纠纷", "Land dispute", "dispute", parent="dispute", level=3),
            Kind("noise", "噪音扰民", "Noise", "event"),
        ):
            case_catalogue.put_kind(connection, kind, actor="test")
    return made


def _organisation(connection: Connection, code: str, role: str, area: str | None) -> None:
    layer, _, of = (area or "").partition(":")
    connection.execute(
        text(
            "INSERT INTO organisation (code, name, role, area_id) VALUES (:code, :code, :role,"
            " (SELECT id FROM area WHERE layer = :layer AND code = :of))"
        ),
        {"code": code, "role": role, "layer": layer, "of": of},
    )


def opened(
    connection: Connection, kind: str | None = None, grid: int | None = 0, **more: Any
) -> int:
    """A case in one of the grids, by their order; None: nowhere."""
    column, row = ((grid or 0) // 4 * 2 + (grid or 0) % 2, (grid or 0) % 4 // 2)
    place = {} if grid is None else {
        "x": WEST + (column + 0.2) * STEP, "y": SOUTH + (row + 0.2) * STEP, "datum": "wgs84",
    }  # fmt: skip
    number, _ = reports.submit(
        connection, NewReport("test", f"case {next(_serial)}", kind=kind, **place, **more)
    )
    return number


def do(connection: Connection, number: int, action: str, **more: Any) -> Any:
    """Do something and return how the case stands then."""
    cases.move(connection, number, Move(action, "tester", **{"reason": "so", **more}))
    return case_lists.get(connection, number)


def rule(connection: Connection, organisation: str, **more: Any) -> None:
    case_catalogue.put_rule(connection, Answering(organisation, **more), actor="test")


def area(connection: Connection, code: str) -> int:
    return int(
        connection.execute(
            text("SELECT id FROM area WHERE code = :code"), {"code": code}
        ).scalar_one()
    )


def refused(why: str, act: Callable[[], object]) -> CaseError:
    with pytest.raises(DispatchError) as caught:
        act()
    assert caught.value.reason == why
    return caught.value  # type: ignore[return-value]


# --- who answers ----------------------------------------------------------------------------------


def test_without_rules_the_centre_around_answers_and_at_last_the_desk(
    connection: Connection,
) -> None:
    near = case_lists.get(connection, opened(connection))
    nowhere = case_lists.get(connection, opened(connection, grid=None))
    assert (near["organisation"], near["level"], near["stage"]) == ("centre-town", 4, "received")
    assert (nowhere["organisation"], nowhere["stage"]) == ("desk", "received")


def test_a_kind_of_the_catalogue_begins_triaged_at_its_level_and_a_rule_assigns_it(
    connection: Connection,
) -> None:
    before = case_lists.get(connection, opened(connection, "land"))
    assert (before["stage"], before["level"]) == ("triaged", 3)
    rule(connection, "court", kind="dispute")
    after = case_lists.get(connection, opened(connection, "land"))
    assert (after["stage"], after["organisation"]) == ("assigned", "court")


@pytest.mark.parametrize("order", [1, -1])
def test_the_more_specific_rule_wins_and_never_the_order(
    connection: Connection, order: int
) -> None:
    grid, village = area(connection, GRIDS[0]), area(connection, VILLAGES[0])
    rules = [
        ("police", {"area_id": grid}),
        ("court", {"kind": "dispute"}),
        ("water", {"kind": "dispute", "area_id": village}),
        ("centre-city", {"kind": "land", "level": 3}),
        ("centre-district", {"kind": "land"}),
    ]
    for organisation, facts in rules[::order]:
        rule(connection, organisation, **facts)

    def who(kind: str | None, level: int, at: int | None = grid) -> str:
        return str(case_catalogue.who_answers(connection, kind, at, level)["code"])

    assert who(None, 4) == "police"  # a grid of its own
    assert who(None, 3) == "centre-town"  # the grid's rule is below that level
    assert who("dispute", 4) == "water"  # its kind in the village before its kind anywhere
    assert who("dispute", 2) == "court"
    assert who("land", 3) == "centre-city"
    assert who("land", 4) == "centre-district"  # by its kind before the kind above it
    assert who("noise", 4, None) == "desk"


def test_a_rule_holds_from_its_day_and_the_one_before_until_then(connection: Connection) -> None:
    now = connection.execute(text("SELECT now()")).scalar_one()
    later = connection.execute(text("SELECT now() + interval '1 day'")).scalar_one()
    rule(connection, "police", kind="noise")
    case_catalogue.put_rule(connection, Answering("water", "noise"), actor="test", since=later)
    today = case_catalogue.who_answers(connection, "noise", None, 4)
    tomorrow = case_catalogue.who_answers(connection, "noise", None, 4, later)
    assert (today["code"], tomorrow["code"]) == ("police", "water")
    with pytest.raises(CatalogueRefusedError, match="now or later"):
        case_catalogue.put_rule(connection, Answering("water"), actor="test", since=now)


def test_what_nobody_answers_for_is_found(connection: Connection) -> None:
    assert {row["code"] for row in case_catalogue.unanswered(connection)} == {"land", "noise"}
    rule(connection, "court", kind="dispute")
    rule(connection, "police", kind="noise")
    assert case_catalogue.unanswered(connection) == []
    connection.execute(text("UPDATE organisation SET area_id = NULL WHERE role = 'centre'"))
    left = case_catalogue.unanswered(connection)
    assert {row["code"] for row in left if row["what"] == "area"} >= set(GRIDS)


def test_a_kind_is_never_below_itself(connection: Connection) -> None:
    wrong = Kind("dispute", "纠纷", "Dispute", "dispute", parent="land")
    with pytest.raises(CatalogueRefusedError, match="below themselves"):
        case_catalogue.put_kind(connection, wrong, actor="test")
    with pytest.raises(CatalogueRefusedError, match="no kind 'dispute'"):
        case_catalogue.end_kind(connection, "dispute")


# --- from stage to stage --------------------------------------------------------------------------


def codes(connection: Connection, at: datetime | None = None) -> set[str]:
    return {kind["code"] for kind in case_catalogue.kinds(connection, at)}


def test_kinds_to_come_neither_cross_nor_lose_their_parent(connection: Connection) -> None:
    soon, later = (datetime.now(UTC) + timedelta(days=days) for days in (1, 2))

    def put(code: str, parent: str | None, since: datetime | None = None) -> None:
        kind = Kind(code, code, code, "event", parent=parent)
        case_catalogue.put_kind(connection, kind, actor="test", since=since)

    for code in ("x", "y"):
        put(code, None)
    put("y", "x", later)
    with pytest.raises(CatalogueRefusedError, match="below themselves"):
        put("x", "y", soon)  # where y is not below x yet, but will be
    put("z", "y", later)
    with pytest.raises(CatalogueRefusedError, match="no kind 'y', below which z stand"):
        case_catalogue.end_kind(connection, "y", soon)
    with pytest.raises(CatalogueRefusedError, match="no kind 'x'"):
        case_catalogue.end_kind(connection, "x", later + timedelta(days=1))
    assert codes(connection) >= {"x", "y"}, "what is refused changes nothing"


def test_a_kind_to_come_can_be_taken_back(connection: Connection) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    kind = Kind("drone", "无人机", "Drones", "event")
    case_catalogue.put_kind(connection, kind, actor="test", since=later)
    assert "drone" in codes(connection, later) and "drone" not in codes(connection)
    assert case_catalogue.end_kind(connection, "drone")
    assert "drone" not in codes(connection, later)
    assert not case_catalogue.end_kind(connection, "drone")


def test_from_the_report_to_the_answer(connection: Connection) -> None:
    number = opened(connection, "noise")
    case = do(connection, number, "assign", organisation="police")
    assert (case["stage"], case["organisation"]) == ("assigned", "police")
    for action, stage in (("accept", "accepted"), ("start", "in_work"),
                          ("consult", "consultation"), ("start", "in_work")):  # fmt: skip
        assert do(connection, number, action)["stage"] == stage
    case = do(connection, number, "resolve", reason="夜间停工")
    assert (case["stage"], case["outcome"], case["solved_level"]) == ("closed", "夜间停工", 4)
    assert case["closed"] is not None
    steps = [row["action"] for row in case_lists.timeline(connection, number)]
    assert steps == ["open", "assign", "accept", "start", "consult", "start", "resolve", "close"]


def test_declined_and_returned_it_goes_back_to_whom_it_came_from_and_is_counted(
    connection: Connection,
) -> None:
    number = opened(connection, "noise")
    do(connection, number, "assign", organisation="police")
    case = do(connection, number, "decline")
    assert (case["stage"], case["organisation"], case["bounces"]) == ("triaged", "centre-town", 1)
    do(connection, number, "assign", organisation="water")
    do(connection, number, "accept")
    case = do(connection, number, "return")
    assert (case["organisation"], case["bounces"]) == ("centre-town", 2)


def test_up_the_levels_to_the_city_and_not_down_to_where_it_came_from(
    connection: Connection,
) -> None:
    number = opened(connection, "noise")
    levels = [(case["level"], case["organisation"]) for case in (
        do(connection, number, "escalate") for _ in range(4))]  # fmt: skip
    assert levels == [
        (3, "centre-town"), (2, "centre-town"), (1, "centre-district"), (0, "centre-city"),
    ]  # fmt: skip
    refused("highest_level", lambda: do(connection, number, "escalate"))
    refused("circular", lambda: do(connection, number, "delegate", level=2))
    case = do(connection, number, "delegate", level=2, organisation="water")
    assert (case["level"], case["organisation"], case["stage"]) == (2, "water", "assigned")
    refused("not_lower", lambda: do(connection, number, "delegate", level=1))
    do(connection, number, "escalate")
    refused("circular", lambda: do(connection, number, "assign", organisation="water"))


def test_reopened_it_is_above_where_it_was_solved(connection: Connection) -> None:
    number = opened(connection, "noise")
    do(connection, number, "resolve")
    case = do(connection, number, "reopen")
    assert (case["level"], case["stage"], case["reopened"], case["outcome"]) == (
        3, "triaged", 1, None,
    )  # fmt: skip
    assert case["solved"] is None and case["solved_level"] is None


def test_what_cannot_be_done_says_what_can(connection: Connection) -> None:
    number = opened(connection, "noise")
    error = refused("not_allowed", lambda: do(connection, number, "accept"))
    assert error.facts["allowed"] == allowed("triaged") and "triaged" in str(error)
    for nothing in (" ", "\u200b\u2060", "\u202e"):
        refused(
            "reason_missing", lambda said=nothing: do(connection, number, "escalate", reason=said)
        )
    refused("unknown_organisation", lambda: do(connection, number, "assign", organisation="none"))
    refused("unknown_kind", lambda: do(connection, number, "triage", kind="none"))
    refused("unknown_case", lambda: do(connection, 2**62, "note"))


def test_who_decides_on_what_they_saw_is_told_of_a_step_since(connection: Connection) -> None:
    number = opened(connection, "noise")
    seen = case_lists.get(connection, number)["step"]
    do(connection, number, "assign", organisation="police", seen=seen)
    error = refused("moved_on", lambda: do(connection, number, "resolve", seen=seen))
    assert error.facts["stage"] == "assigned"


def test_only_who_answers_or_is_above_moves_it(connection: Connection) -> None:
    number = opened(connection, "noise")
    do(connection, number, "assign", organisation="police")
    by = {name: cases.organisation(connection, name)["id"]
          for name in ("water", "police", "centre-town", "centre-district")}  # fmt: skip
    error = refused("not_accountable", lambda: do(connection, number, "accept", acting=by["water"]))
    assert error.facts["organisation"] == "police"
    do(connection, number, "accept", acting=by["police"])
    do(connection, number, "start", acting=by["centre-town"])
    do(connection, number, "escalate", acting=by["centre-district"])
    do(connection, number, "note", acting=by["water"])  # anybody may say something


def test_who_acts_for_no_organisation_acts_around_their_areas(connection: Connection) -> None:
    """As the centre of a place: for what lies in it, or is answered for from there."""
    inside, outside = (opened(connection, grid=grid) for grid in (0, 4))
    areas = text("SELECT id FROM area WHERE layer = 'village' AND code = :code")
    village = connection.execute(areas, {"code": VILLAGES[0]}).scalar_one()
    token = access.acting.set(Who("dispatcher", areas=(village,)))
    try:
        do(connection, inside, "assign")
        error = refused("not_accountable", lambda: do(connection, outside, "assign"))
        assert error.facts["organisation"] == "centre-town"
        access.acting.set(Who("chief", areas=None))
        do(connection, outside, "assign")
    finally:
        access.acting.reset(token)


def test_nobody_is_left_on_the_way_to_what_is_solved(connection: Connection) -> None:
    number, who = opened(connection, "noise"), person(connection)
    dispatch.send(connection, number, [Choice(who)], actor="tester")
    error = refused("still_under_way", lambda: do(connection, number, "resolve"))
    assert error.facts["tasks"][0]["resource"] == who


def test_the_timeline_is_never_changed(connection: Connection) -> None:
    opened(connection)
    for change in ("DELETE FROM case_step", "UPDATE case_step SET actor = 'nobody'"):
        with pytest.raises(Exception, match="never changed"), connection.begin_nested():
            connection.execute(text(change))


def test_an_organisation_that_ends_leaves_its_cases_and_rules_to_its_successor(
    connection: Connection,
) -> None:
    rule(connection, "police", kind="noise")
    number = opened(connection, "noise")
    took = case_catalogue.dissolve(connection, "police", "court", actor="tester", reason="改革")
    case = case_lists.get(connection, number)
    assert list(took) == [number] and (case["organisation"], case["stage"]) == ("court", "assigned")
    assert case_lists.get(connection, opened(connection, "noise"))["organisation"] == "court"
    error = refused("unknown_organisation", lambda: do(
        connection, number, "transfer", organisation="police"))  # fmt: skip
    assert error.facts["successor"] == "court"
    with pytest.raises(CatalogueRefusedError, match="desk"):
        case_catalogue.dissolve(connection, "desk", "court", actor="tester", reason="so")


# --- several of one trouble -----------------------------------------------------------------------


def test_likely_duplicates_by_place_kind_and_words(connection: Connection) -> None:
    one = opened(connection, "noise", description="楼下工地半夜施工很吵")
    same = opened(connection, "noise", description="工地半夜施工")
    kind = opened(connection, "noise")
    opened(connection, "land")  # another matter at the same place
    opened(connection, "noise", grid=7)  # another place
    found = case_merging.likely(connection, one)
    assert [row["id"] for row in found] == [same, kind]
    assert found[0]["score"] > found[1]["score"] and found[0]["distance_m"] == 0


def test_merged_and_taken_apart_nothing_is_lost(connection: Connection) -> None:
    one, two = opened(connection, "noise"), opened(connection, "noise")
    do(connection, two, "assign", organisation="police")
    before = case_lists.get(connection, two)
    move = Move("merge", "tester", reason="同一工地")
    case_merging.merge(connection, two, one, move)
    joined, kept = case_lists.get(connection, two), case_lists.get(connection, one)
    assert (joined["stage"], joined["merged_into"], kept["reports"]) == ("closed", one, 2)
    refused("not_allowed", lambda: do(connection, two, "reopen"))
    refused("not_allowed", lambda: case_merging.merge(connection, one, two, move))
    refused("same_case", lambda: case_merging.merge(connection, one, one, move))
    case_merging.unmerge(connection, two, move)
    after = case_lists.get(connection, two)
    same = ("stage", "level", "organisation", "reports", "merged_into", "closed", "outcome")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert case_lists.get(connection, one)["reports"] == 1
    refused("not_merged", lambda: case_merging.unmerge(connection, two, move))


def test_who_merges_answers_for_both(connection: Connection) -> None:
    police, court = (
        connection.execute(text("SELECT id FROM organisation WHERE code = :c"), {"c": c}).scalar()
        for c in ("police", "court")
    )
    mine, theirs = opened(connection, "noise"), opened(connection, "noise")
    do(connection, mine, "assign", organisation="police")
    do(connection, theirs, "assign", organisation="court")
    for acting, number, into in ((police, mine, theirs), (court, mine, theirs)):
        move = Move("merge", "tester", acting, reason="同一处")
        refused("not_accountable", lambda n=number, i=into, m=move: case_merging.merge(
            connection, n, i, m))  # fmt: skip
    assert case_lists.get(connection, theirs)["reports"] == 1
    centre = connection.execute(
        text("SELECT id FROM organisation WHERE code = 'centre-town'")
    ).scalar()
    case_merging.merge(connection, mine, theirs, Move("merge", "tester", centre, reason="同一处"))
    assert case_lists.get(connection, theirs)["reports"] == 2


def test_of_a_chain_of_merged_cases_each_gets_its_reports_back(connection: Connection) -> None:
    one, two, three = (opened(connection, "noise") for _ in range(3))
    move = Move("merge", "tester", reason="同一工地")
    case_merging.merge(connection, one, two, move)
    case_merging.merge(connection, two, three, move)
    assert case_lists.get(connection, three)["reports"] == 3
    case_merging.unmerge(connection, one, move)
    case_merging.unmerge(connection, two, move)
    assert [case_lists.get(connection, n)["reports"] for n in (one, two, three)] == [1, 1, 1]


def test_who_waits_for_a_step_acts_after_it(engine: Engine, connection: Connection) -> None:
    with engine.begin() as first:
        number = opened(first, "noise")
    with ThreadPoolExecutor(6) as threads:

        def transfer(n: int) -> str:
            to = ("police", "water")[n % 2]
            try:
                with engine.begin() as own:
                    do(own, number, "assign", organisation=to)
            except CaseError as error:
                return error.reason
            return "done"

        outcomes = set(threads.map(transfer, range(24)))
    assert outcomes == {"done"}


# --- any path -------------------------------------------------------------------------------------

_MOVES = st.tuples(
    st.sampled_from([name for name in ACTIONS if name not in ("open", "merge", "unmerge")]),
    st.sampled_from([None, "police", "court", "water", "centre-town", "desk"]),
    st.sampled_from([None, 0, 1, 2, 3, 4]),
    st.sampled_from([None, "noise", "land", "dispute"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_MOVES, max_size=25))
def test_no_path_leaves_a_case_without_exactly_one_organisation_that_answers(
    engine: Engine, path: list[tuple[str, str | None, int | None, str | None]]
) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        number = opened(connection, "noise")
        for action, organisation, level, kind in path:
            before = case_lists.get(connection, number)
            try:
                with connection.begin_nested():
                    case = do(connection, number, action, organisation=organisation, level=level,
                              kind=kind)  # fmt: skip
            except CaseError:
                assert case_lists.get(connection, number) == before
                continue
            assert before["stage"] in ACTIONS[action].before
            # Nobody can be asked about it: what is resolved is closed.
            after = ACTIONS[action].stage or before["stage"]
            assert case["stage"] == {"resolved": "closed"}.get(after, after)
            assert case["stage"] in STAGES and 0 <= case["level"] <= 4
            assert case["organisation"] is not None
            assert (case["closed"] is not None) == (case["stage"] == "closed")
            assert (case["solved_level"] is not None) == (
                case["stage"] in ("resolved", "return_visit", "closed"))  # fmt: skip
            last = case_lists.timeline(connection, number)[-1]
            assert (last["organisation"], last["stage"], last["level"]) == (
                case["organisation"], case["stage"], case["level"])  # fmt: skip
        transaction.rollback()
