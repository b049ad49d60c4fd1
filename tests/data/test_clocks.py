"""Clocks: by the rules of their day, at rest while somebody is waited for, each firing once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from data import calendars, cases, clocks, service_times, timers
from data.calendars import CalendarRefusedError
from data.cases import Move
from data.clocks import Allowed
from data.service_times import Case, ServiceTime, ServiceTimeError
from tests.people import incident

MONDAY = datetime(2026, 3, 2, 1, tzinfo=UTC)  # 9:00 in Foshan
HOUR = timedelta(hours=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def organisation(connection, code="org", parent=None, calendar=None, role="other") -> int:
    made = text(
        "INSERT INTO organisation (code, name, role, parent_id, calendar)"
        " VALUES (:code, :code, :role, :parent, :calendar) RETURNING id"
    )
    values = {"code": code, "role": role, "parent": parent, "calendar": calendar}
    return int(connection.execute(made, values).scalar_one())


def put(connection, amount, unit="hours", since=LONG_AGO, now=LONG_AGO, clock="case.x", **more):
    case = Case(clock, *(more.pop(name, None) for name in ("kind", "level", "organisation_id")))
    rule = ServiceTime(case, amount, unit, **more)
    return service_times.put(connection, rule, since=since, now=now, actor="test")


def started(connection, allowed=Allowed(2, "hours"), at=MONDAY, **more) -> int:
    """A clock of its own incident; its number is the clock's."""
    return clocks.start(
        connection, incident(connection), "case.x",
        **{"organisation_id": None, "at": at, "allowed": allowed, **more},
    )  # fmt: skip


def row(connection, number):
    return (
        connection.execute(text("SELECT * FROM clock WHERE id = :id"), {"id": number})
        .mappings()
        .one()
    )


def told(connection, kind):
    found = connection.execute(
        text("SELECT data FROM event WHERE kind = :kind ORDER BY id"), {"kind": kind}
    )
    return [data["clock"] for data in found.scalars()]


# --- which rule -----------------------------------------------------------------------------------


def test_the_rule_that_names_more_wins_in_whatever_order_they_came(connection):
    who = organisation(connection)
    wide = [
        put(connection, 70),
        put(connection, 60, level=2),
        put(connection, 50, organisation_id=who),
        put(connection, 40, organisation_id=who, level=2),
        put(connection, 30, kind="噪音"),
        put(connection, 20, kind="噪音", level=2),
        put(connection, 10, kind="噪音", organisation_id=who),
    ]
    whole = Case("case.x", "噪音", 2, who)
    for winner in reversed(wide):
        found = service_times.of(connection, whole, MONDAY)
        assert found["amount"] == winner["amount"]
        connection.execute(text("DELETE FROM service_time WHERE id = :id"), {"id": winner["id"]})
    assert service_times.of(connection, whole, MONDAY) is None


def test_a_rule_that_names_something_else_does_not_fit(connection):
    who, other = organisation(connection, "a"), organisation(connection, "b")
    put(connection, 1, kind="噪音")
    put(connection, 2, level=3)
    put(connection, 3, organisation_id=other)
    assert service_times.of(connection, Case("case.x", "纠纷", 2, who), MONDAY) is None
    assert service_times.of(connection, Case("case.x"), MONDAY) is None
    assert service_times.of(connection, Case("case.y", "噪音"), MONDAY) is None


def test_a_case_is_judged_by_the_rules_of_its_day(connection):
    put(connection, 5)
    number = incident(connection)
    opened = connection.execute(
        text("SELECT opened FROM incident WHERE id = :id"), {"id": number}
    ).scalar_one()
    put(connection, 9, since=opened + HOUR, now=opened)
    later = clocks.start(
        connection, number, "case.x", organisation_id=None, at=opened + 5 * HOUR
    )  # after the change, of a case from before it
    assert row(connection, later)["amount"] == 5
    assert service_times.of(connection, Case("case.x"), opened + HOUR)["amount"] == 9


def test_a_new_rule_ends_the_one_before_and_what_begins_later_stays(connection):
    first = put(connection, 1)
    third = put(connection, 3, since=MONDAY + 9 * HOUR)
    second = put(connection, 2, since=MONDAY, now=MONDAY)
    assert [second["since"], second["until"]] == [MONDAY, third["since"]]
    for at, amount in ((MONDAY - HOUR, 1), (MONDAY, 2), (MONDAY + 9 * HOUR, 3)):
        assert [r["amount"] for r in service_times.as_of(connection, at, "case.x")] == [amount]
    assert service_times.end(connection, third["id"], MONDAY + 10 * HOUR)["until"] is not None
    assert service_times.as_of(connection, MONDAY + 11 * HOUR, "case.x") == []
    with pytest.raises(ServiceTimeError, match="no service time"):
        service_times.end(connection, first["id"], MONDAY)


def test_what_cases_were_judged_by_is_not_rewritten(connection):
    put(connection, 1)
    with pytest.raises(ServiceTimeError, match="begin now or later"):
        put(connection, 2, since=MONDAY - HOUR, now=MONDAY)
    put(connection, 2, since=MONDAY, now=MONDAY)
    with pytest.raises(ServiceTimeError, match="begins at this moment"):
        put(connection, 3, since=MONDAY, now=MONDAY)


def test_two_rules_for_the_same_cannot_hold_at_once(connection):
    put(connection, 1)
    with pytest.raises(IntegrityError, match="one_service_time_at_a_time"):
        connection.execute(
            text(
                "INSERT INTO service_time (clock, amount, unit, valid, actor)"
                " VALUES ('case.x', 1, 'hours', tstzrange(now(), NULL), 'test')"
            )
        )


@pytest.mark.parametrize(
    ("amount", "unit"), [(0, "hours"), (-3, "working_days"), (1e9, "hours"), (1.5, "working_days")]
)
def test_absurd_amounts_are_refused(connection, amount, unit):
    with pytest.raises(ServiceTimeError) as refused:
        put(connection, amount, unit)
    assert refused.value.field == "amount"


def test_a_trial_says_which_rule_and_why(connection):
    put(connection, 70)
    put(connection, 2, kind="噪音", warn_share=0.5, order_after_h=1)
    friday_noon = datetime(2024, 9, 27, 9, 0, tzinfo=UTC)  # 17:00; Sunday is a make-up day
    tried = service_times.try_out(connection, Case("case.x", "噪音"), friday_noon)
    assert tried.rule["amount"] == 2
    assert [r["amount"] for r in tried.beaten] == [70]
    assert "names the kind" in tried.why
    assert tried.times.due == datetime(2024, 9, 29, 2, 0, tzinfo=UTC)
    assert tried.times.warn_at == datetime(2024, 9, 29, 1, 0, tzinfo=UTC)
    assert tried.times.order_at == datetime(2024, 9, 29, 3, 0, tzinfo=UTC)
    assert service_times.try_out(connection, Case("none"), friday_noon) is None


# --- by which calendar ----------------------------------------------------------------------------


def test_an_organisation_works_as_the_one_above_it(connection):
    top = organisation(connection, "top", calendar="always")
    under = organisation(connection, "under", parent=organisation(connection, "mid", parent=top))
    late = MONDAY + 10 * HOUR  # 19:00
    due = [
        row(connection, started(connection, Allowed(1, "hours"), late, organisation_id=who))["due"]
        for who in (top, under, organisation(connection, "alone"), None)
    ]
    assert due[:2] == [late + HOUR] * 2
    assert due[2:] == [datetime(2026, 3, 3, 1, 30, tzinfo=UTC)] * 2


def test_a_rule_may_run_by_another_calendar(connection):
    put(connection, 2, calendar="always")
    number = started(connection, None, MONDAY + 10 * HOUR)
    assert row(connection, number)["due"] == MONDAY + 12 * HOUR
    with pytest.raises(CalendarRefusedError, match="no calendar nowhere"):
        put(connection, 2, calendar="nowhere", clock="case.y")


def test_holidays_and_make_up_days_are_those_announced(connection):
    year = {day.day: day for day in calendars.days(connection, "office", 2025)}
    assert len(year) == 365
    holiday, made_up = year[date(2025, 10, 8)], year[date(2025, 9, 28)]
    assert (holiday.why, holiday.hours, holiday.about) == ("holiday", (), "国庆节")
    assert (made_up.why, made_up.hours) == ("make_up", ((510, 720), (840, 1050)))
    assert year[date(2025, 10, 9)].why == "weekday"
    assert all(day.hours for day in calendars.days(connection, "always", 2025))


def test_a_day_of_the_citys_own_moves_the_clocks_that_run(connection):
    number = started(connection, Allowed(2, "working_days"))
    gone = started(connection, Allowed(2, "working_days"))
    clocks.stop(connection, row(connection, gone)["incident_id"], at=MONDAY + HOUR)
    wednesday, thursday = (datetime(2026, 3, day, 9, 30, tzinfo=UTC) for day in (4, 5))
    assert row(connection, number)["due"] == wednesday
    typhoon = date(2026, 3, 3)
    moved = calendars.put_day(connection, "office", typhoon, (), reason="台风停工", actor="test")
    assert moved == 1
    assert row(connection, number)["due"] == thursday
    assert row(connection, gone)["due"] == wednesday
    [shown] = [d for d in calendars.days(connection, "office", 2026) if d.day == typhoon]
    assert (shown.why, shown.about, shown.hours) == ("own", "台风停工", ())
    assert calendars.remove_day(connection, "office", typhoon, actor="test")
    assert not calendars.remove_day(connection, "office", typhoon, actor="test")
    assert row(connection, number)["due"] == wednesday


def test_a_sunday_that_a_city_makes_up_is_worked(connection):
    sunday = date(2026, 3, 8)
    calendars.put_day(connection, "office", sunday, ((540, 600),), reason="补班", actor="test")
    friday = datetime(2026, 3, 6, 9, tzinfo=UTC)
    number = started(connection, Allowed(1, "working_days"), friday)
    assert row(connection, number)["due"] == datetime(2026, 3, 8, 2, tzinfo=UTC)


def _put_calendar(connection, week, timezone="Asia/Shanghai"):
    return calendars.put(
        connection, "ours", week, title="自有", title_en="Ours", timezone=timezone, public=None,
        actor="test",
    )  # fmt: skip


def test_a_calendar_that_never_opens_or_cannot_be_is_refused(connection):
    for week, timezone, said in (
        (((),) * 7, "Asia/Shanghai", "never opens"),
        ((((600, 500),), *((),) * 6), "Asia/Shanghai", "stretches"),
        ((((500, 600),), *((),) * 6), "Mars/Olympus", "no time zone"),
    ):
        with pytest.raises(CalendarRefusedError, match=said):
            _put_calendar(connection, week, timezone)
    with pytest.raises(IntegrityError):
        connection.execute(text("UPDATE calendar SET hours = '{}' WHERE name = 'office'"))


def test_a_calendar_of_one_that_changes_takes_its_clocks_along(connection):
    _put_calendar(connection, (((540, 600),), *((),) * 6))
    who = organisation(connection, calendar="ours")
    number = started(connection, Allowed(2, "hours"), organisation_id=who)
    assert row(connection, number)["due"] == datetime(2026, 3, 9, 2, tzinfo=UTC)
    assert _put_calendar(connection, (((540, 720),), *((),) * 6)) == 1
    assert row(connection, number)["due"] == MONDAY + 2 * HOUR
    with pytest.raises(CalendarRefusedError, match="ours: the calendar opens too seldom"):
        started(connection, Allowed(20_000, "hours"), organisation_id=who)


def test_a_report_is_taken_in_although_its_clock_cannot_start(connection):
    _put_calendar(connection, (((0, 1),), *((),) * 6))
    put(connection, 2000, "working_days", clock=clocks.HANDLE, calendar="ours")
    number = incident(connection)
    assert clocks.of_incident(connection, number, at=MONDAY) == []
    refused = text("SELECT data ->> 'error' FROM event WHERE kind = 'clock.refused'")
    assert "opens too seldom" in connection.execute(refused).scalar_one()


def test_holidays_that_run_out_are_said_aloud(connection):
    assert calendars.warnings(connection, date(2026, 6, 1)) == []
    [said] = calendars.warnings(connection, date(2026, 12, 1))
    assert "until the end of 2026" in said and "office" in said and "always" not in said
    calendars.put_day(connection, "office", date(2027, 1, 1), (), reason="元旦", actor="test")
    assert calendars.warnings(connection, date(2026, 12, 1)) == []


# --- running --------------------------------------------------------------------------------------


def test_a_clock_that_runs_is_not_started_again_but_another_subject_is(connection):
    number = incident(connection)
    first, again, other = (
        clocks.start(
            connection, number, "case.x", organisation_id=None, at=at,
            allowed=Allowed(1, "hours"), subject=subject,
        )
        for at, subject in ((MONDAY, None), (MONDAY + HOUR, None), (MONDAY, "call 7"))
    )  # fmt: skip
    assert first == again != other
    assert row(connection, first)["started"] == MONDAY
    assert clocks.stop(connection, number, "case.x", subject="call 7", at=MONDAY) == [other]
    assert clocks.stop(connection, number, at=MONDAY) == [first]
    assert clocks.stop(connection, number, at=MONDAY) == []


def test_without_a_rule_nothing_runs(connection):
    assert clocks.start(connection, incident(connection), "none", organisation_id=None) is None


def test_a_report_starts_the_time_to_handle_it_and_its_end_stops_it(connection):
    put(connection, 7, "working_days", clock=clocks.HANDLE, kind="噪音")
    number = incident(connection)
    [clock] = clocks.of_incident(connection, number, at=MONDAY)
    assert (clock.name, clock.amount, clock.state) == (clocks.HANDLE, 7, "running")
    connection.execute(
        text("UPDATE incident SET closed = now(), stage = 'closed' WHERE id = :id"), {"id": number}
    )
    assert clocks.of_incident(connection, number, at=MONDAY)[0].state == "stopped"


def handling(connection, number):
    return [c for c in clocks.of_incident(connection, number, at=MONDAY) if c.name == clocks.HANDLE]


def test_a_case_has_its_time_while_nobody_says_that_it_is_done(connection):
    put(connection, 7, "working_days", clock=clocks.HANDLE)
    number = incident(connection)
    who = organisation(connection)

    def move(action, **more):
        return cases.move(connection, number, Move(action, "test", **more))

    [begun] = handling(connection, number)
    assert begun.organisation == "desk"
    move("assign", organisation="org")
    [handed] = handling(connection, number)
    assert (handed.organisation_id, handed.due) == (who, begun.due)
    move("accept")
    move("start")
    move("resolve", reason="done")
    assert [clock.state for clock in handling(connection, number)] == ["stopped"]
    move("reopen", reason="not at all")
    running, stopped = handling(connection, number)
    assert (running.state, stopped.id) == ("running", begun.id)
    assert running.started > begun.started


def test_a_case_whose_kind_is_corrected_is_judged_by_it_from_its_beginning(connection):
    put(connection, 7, "working_days", clock=clocks.HANDLE)
    put(connection, 2, "hours", clock=clocks.HANDLE, kind="井盖缺失", calendar="always")
    number = incident(connection)
    [before] = handling(connection, number)
    connection.execute(
        text("UPDATE clock SET late = now(), warned = now() WHERE id = :id"), {"id": before.id}
    )
    connection.execute(text("UPDATE incident SET kind = '井盖缺失' WHERE id = :id"), {"id": number})
    clocks.judge_anew(connection, number)
    [after] = handling(connection, number)
    assert (after.id, after.started) == (before.id, before.started)
    assert (after.amount, after.due) == (2, before.started + 2 * HOUR)
    assert (after.late, after.warned) == (None, None)


def test_a_rest_moves_what_is_due_and_what_is_left(connection):
    number = started(connection, Allowed(3, "hours"))  # from 9:00: due at 12:00
    case = row(connection, number)["incident_id"]

    def left(at):
        [clock] = clocks.of_incident(connection, case, at=at)
        return clock.state, clock.left_s, clock.due

    noon = MONDAY + 3 * HOUR
    assert left(MONDAY + HOUR) == ("running", 2 * 3600, noon)
    assert clocks.pause(connection, case, at=MONDAY + HOUR) == [number]
    assert clocks.pause(connection, case, at=MONDAY + 2 * HOUR) == []
    assert left(MONDAY + 30 * HOUR) == ("paused", 2 * 3600, noon)
    assert timers.fire(connection, MONDAY + 30 * HOUR) == 0
    assert clocks.resume(connection, case, at=MONDAY + 25 * HOUR) == [number]  # Tuesday, 10:00
    assert left(MONDAY + 25 * HOUR) == ("running", 2 * 3600, noon + 24 * HOUR)
    clocks.pause(connection, case, at=MONDAY + 25.5 * HOUR)
    clocks.resume(connection, case, at=MONDAY + 26 * HOUR)
    assert left(MONDAY + 26 * HOUR)[1] == 1.5 * 3600
    assert clocks.resume(connection, case, at=MONDAY + 27 * HOUR) == []
    clocks.stop(connection, case, at=MONDAY + 26 * HOUR)
    assert left(MONDAY + 99 * HOUR)[:2] == ("stopped", 1.5 * 3600)


def test_what_is_late_does_not_rest(connection):
    number = started(connection, Allowed(1, "hours"))
    case = row(connection, number)["incident_id"]
    assert clocks.pause(connection, case, at=MONDAY + HOUR) == []


def test_a_clock_set_back_breaks_nothing(connection):
    number = started(connection, Allowed(2, "hours"))
    case, due = row(connection, number)["incident_id"], row(connection, number)["due"]
    clocks.pause(connection, case, at=MONDAY + HOUR)
    clocks.resume(connection, case, at=MONDAY)  # an hour before it was paused
    assert row(connection, number)["due"] == due
    assert timers.fire(connection, due) == 1
    assert timers.fire(connection, due - HOUR) == 0
    assert timers.fire(connection, due) == 0
    assert clocks.stop(connection, case, at=MONDAY - HOUR) == [number]
    [clock] = clocks.of_incident(connection, case, at=MONDAY)
    assert clock.state == "stopped"


# --- firing ---------------------------------------------------------------------------------------


def test_a_warning_comes_before_lateness_and_each_once(connection):
    number = started(connection, Allowed(10, "hours"))
    clock = row(connection, number)
    fired = [
        timers.fire(connection, at)
        for at in (
            clock["warn_at"] - timedelta(seconds=1), clock["warn_at"], clock["warn_at"],
            clock["due"] - timedelta(seconds=1), clock["due"], clock["due"] + 99 * HOUR,
        )
    ]  # fmt: skip
    assert fired == [0, 1, 0, 0, 1, 0]
    assert told(connection, "clock.warned") == told(connection, "clock.late") == [number]
    after = row(connection, number)
    assert (after["warned"], after["late"]) == (clock["warn_at"], clock["due"])


def test_after_a_long_absence_what_is_late_does_not_warn(connection):
    number = started(connection)
    assert timers.fire(connection, MONDAY + 99 * HOUR) == 1
    assert (told(connection, "clock.late"), told(connection, "clock.warned")) == ([number], [])


def test_what_is_stopped_fires_no_more(connection):
    number = started(connection)
    clocks.stop(connection, row(connection, number)["incident_id"], at=MONDAY)
    assert timers.fire(connection, MONDAY + 99 * HOUR) == 0


@pytest.fixture
def hooks(monkeypatch):
    """Hooks of this test alone."""
    monkeypatch.setattr(timers, "_HOOKS", timers.defaultdict(list))
    return timers.on


def test_what_follows_is_done_with_the_firing_and_a_failure_stops_nothing_else(connection, hooks):
    done = []

    def fail(there, clock):
        there.execute(text("UPDATE clock SET subject = 'undone' WHERE id = :id"), dict(clock))
        there.execute(text("SELECT 1 / 0"))

    hooks("late", "case.x", fail)
    hooks("late", "case.x", lambda there, clock: done.append(clock["id"]))
    hooks("late", "case.other", lambda there, clock: done.append("other"))
    numbers = [started(connection), started(connection)]
    assert timers.fire(connection, MONDAY + 99 * HOUR) == 2
    assert done == numbers
    assert told(connection, "clock.hook_failed") == numbers
    assert [row(connection, number)["subject"] for number in numbers] == ["", ""]
    with pytest.raises(ValueError, match="no stage"):
        hooks("soon", "case.x", fail)


def test_what_is_late_but_not_fired_yet_does_not_warn(connection, hooks, monkeypatch):
    monkeypatch.setattr(timers, "FOLLOWED", 1)
    hooks("late", timers.EVERY, lambda there, clock: None)
    numbers = sorted(started(connection) for _ in range(3))
    fired = [timers.fire(connection, MONDAY + 99 * HOUR) for _ in range(4)]
    assert fired == [1, 1, 1, 0]
    assert (told(connection, "clock.late"), told(connection, "clock.warned")) == (numbers, [])


def test_many_due_at_once_are_fired_by_several_workers_once_each(fresh_database_url):
    engine = create_engine(fresh_database_url)
    count = 20_000
    with engine.begin() as connection:
        one = row(connection, started(connection))
        connection.execute(
            text(
                "INSERT INTO clock (incident_id, name, subject, calendar, started, amount, unit,"
                " warn_share, due, warn_at) SELECT incident_id, name, n, calendar, started, amount,"
                " unit, warn_share, due, warn_at FROM clock, generate_series(1, :count - 1) n"
                " WHERE id = :id"
            ),
            {"count": count, "id": one["id"]},
        )

    def work(_worker):
        fired = 0
        while True:
            with engine.begin() as connection:
                some = timers.fire(connection)
            if not some:
                return fired
            fired += some

    with ThreadPoolExecutor(4) as workers:
        fired = sum(workers.map(work, range(4)))
    with engine.begin() as connection:
        events = connection.execute(
            text(
                "SELECT count(*), count(DISTINCT data ->> 'clock') FROM event"
                " WHERE kind = 'clock.late'"
            )
        ).one()
        # One transaction that dies leaves nothing done.
        left = connection.execute(text("SELECT count(*) FROM clock WHERE late IS NULL")).scalar()
    engine.dispose()
    assert (fired, *events, left) == (count, count, count, 0)


def test_a_worker_that_dies_half_way_has_done_nothing(fresh_database_url):
    engine = create_engine(fresh_database_url)
    with engine.begin() as connection:
        number = started(connection)
    with engine.connect() as connection:
        assert timers.fire(connection) == 1
        connection.invalidate()
    with engine.begin() as connection:
        assert timers.fire(connection) == 1
        assert told(connection, "clock.late") == [number]
    engine.dispose()
