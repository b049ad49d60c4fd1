"""Indicators over small cities: rows against cells, the areas of then and of today, years."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import geopandas as gpd
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from data import areas
from data.indicators import figures, prepared, question, registry, rows
from data.indicators.question import Question
from data.indicators.registry import DEFINITIONS, IndicatorError, find

ZONE = "Asia/Shanghai"
YEAR = Question(date(2023, 1, 1), date(2024, 1, 1))
OLD, NEW = "440604010001001", "440604011001001"
REDRAWN = datetime(2024, 3, 1, tzinfo=UTC)


def frame(codes: dict[str, tuple[str | None, Any]]) -> gpd.GeoDataFrame:
    parents = [parent for parent, _ in codes.values()]
    shapes = [shape for _, shape in codes.values()]
    columns = {"code": list(codes), "name": list(codes), "parent": parents}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=4326)


@pytest.fixture(scope="module")
def redrawn(engine: Engine) -> Engine:
    """Two towns of a village and two grids each; in 2024 a grid goes to the other town."""
    west, east = shapely.box(113.0, 23.0, 113.02, 23.01), shapely.box(113.02, 23.0, 113.04, 23.01)
    boxes = [shapely.box(113 + n / 100, 23, 113.01 + n / 100, 23.01) for n in range(4)]
    city, district = "440600000000", "440604000000"
    towns, villages = ("440604010000", "440604011000"), ("440604010001", "440604011001")
    grids = {f"{villages[n // 2]}{n % 2 + 1:03}": (villages[n // 2], boxes[n]) for n in range(4)}
    with areas.change(engine, "import", "test") as change:
        whole = west.union(east)
        areas.record(change, "city", frame({city: (None, whole)}))
        areas.record(change, "district", frame({district: (city, whole)}))
        halves = zip(towns, (west, east), strict=True)
        areas.record(change, "town", frame({t: (district, half) for t, half in halves}))
        halves = zip(villages, (west, east), strict=True)
        areas.record(change, "village", frame({v: (f"{v[:9]}000", half) for v, half in halves}))
        areas.record(change, "grid", frame(grids))
    grids[f"{villages[1]}003"] = (villages[1], boxes[1])
    del grids[f"{villages[0]}002"]
    with areas.change(engine, "redraw", "test") as change:
        areas.record(change, "grid", frame(grids), valid_from=REDRAWN, replace=True)
    return engine


@pytest.fixture
def connection(redrawn: Engine) -> Any:
    with redrawn.connect() as opened, opened.begin() as transaction:
        yield opened
        transaction.rollback()


def add_case(
    connection: Connection, at: datetime, grid: int = 0, kind: str | None = None, **facts: Any
) -> int:
    """A case in one of the four grids of before the redraw, as its facts say that it stands."""
    codes = ["440604010001001", "440604010001002", "440604011001001", "440604011001002"]
    number: int = connection.execute(
        text("""
            WITH told AS (
                INSERT INTO report (source, external_id, received, channel, layer, area_id, method,
                                    at, geom)
                SELECT 'test', gen_random_uuid(), :at, :channel, 'grid', a.id, 'inside', :at,
                       ST_SetSRID(ST_MakePoint(:lon, 23.005), 4326)
                FROM area a WHERE a.code = :code RETURNING *)
            INSERT INTO incident (id, opened, kind, geom, area_id, stage, closed, solved,
                                  solved_level, bounces, reopened)
            SELECT id, received, :kind, geom, area_id, :stage, CAST(:closed AS timestamptz),
                   CAST(:solved AS timestamptz), CAST(:level AS integer), :bounces, :reopened
            FROM told RETURNING id"""),
        {
            "at": at, "code": codes[grid], "lon": 113.005 + grid / 100, "kind": kind,
            "channel": facts.get("channel", "12345"),
            "stage": "closed" if facts.get("closed") else "in_work",
            "closed": at if facts.get("closed") else None,
            "solved": at if facts.get("solved") else None,
            "level": facts.get("level") if facts.get("solved") else None,
            "bounces": facts.get("bounces", 0), "reopened": facts.get("reopened", 0),
        },
    ).scalar_one()  # fmt: skip
    for action in facts.get("steps", ()):
        connection.execute(
            text("""INSERT INTO case_step (incident_id, at, action, stage, level, organisation_id,
                                           actor)
                    VALUES (:id, :at, :action, 'in_work', 4, the_desk(), 'test')"""),
            {"id": number, "at": at, "action": action},
        )
    return number


def refresh(connection: Connection) -> int:
    total = 0
    while done := prepared.refresh(connection, datetime.now(UTC), ZONE):
        total += done
    return total


def one(connection: Connection, name: str, asked: Question = YEAR) -> figures.Figure:
    return figures.of(connection, find(name), asked, ZONE)[0]


CASES = st.lists(
    st.fixed_dictionaries({
        "at": st.datetimes(datetime(2022, 12, 30), datetime(2024, 1, 2), timezones=st.just(UTC)),
        "grid": st.integers(0, 3), "kind": st.sampled_from([None, "E1", "D"]),
        "closed": st.booleans(), "solved": st.booleans(), "level": st.integers(0, 4),
        "bounces": st.integers(0, 3), "reopened": st.integers(0, 2),
        "channel": st.sampled_from(["12345", "grid-worker"]),
        "steps": st.lists(st.sampled_from(["escalate", "transfer", "note", "refer"]), max_size=2),
    }),
    max_size=8,
)  # fmt: skip


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=CASES, after=CASES)
def test_figures_are_the_sums_of_their_rows_however_they_came(
    connection: Connection, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    with connection.begin_nested() as attempt:
        for case in before:
            add_case(connection, **case)
        refresh(connection)
        for case in after:
            add_case(connection, **case)
        refresh(connection)
        asked = [replace(YEAR, by=by) for by in (None, "town", "kind", "month", "day")]
        asked.append(replace(YEAR, since=date(2023, 2, 3), until=date(2023, 11, 5)))
        for each in asked:
            fit = [d for d in DEFINITIONS if each.by != "kind" or d.family is registry.CASES]
            prepared_ones = figures.board(connection, fit, each, ZONE)
            connection.execute(text("UPDATE indicator_state SET version = 0"))
            assert figures.board(connection, fit, each, ZONE) == prepared_ones
            connection.execute(text("UPDATE indicator_state SET version = 1"))
        for definition in DEFINITIONS:
            figure = one(connection, definition.name)
            for part in ("numerator", "denominator"):
                listed = rows.page(connection, definition, YEAR, part, ZONE, limit=1000)
                assert sum(row[part] for row in listed) == getattr(figure, part)
        attempt.rollback()


def test_days_begin_at_midnight_of_the_city(connection: Connection) -> None:
    add_case(connection, datetime(2022, 12, 31, 16, 0, tzinfo=UTC))
    add_case(connection, datetime(2023, 12, 31, 15, 59, tzinfo=UTC))
    add_case(connection, datetime(2023, 12, 31, 16, 0, tzinfo=UTC))
    refresh(connection)
    assert one(connection, "closing").denominator == 2


def test_only_what_changed_is_added_up_again(connection: Connection) -> None:
    for day in range(1, 21):
        add_case(connection, datetime(2023, 5, day, tzinfo=UTC))
    assert refresh(connection) >= 20
    number = add_case(connection, datetime(2023, 5, 7, tzinfo=UTC))
    assert refresh(connection) == 1
    connection.execute(
        text("UPDATE incident SET closed = now(), stage = 'closed' WHERE id = :id"), {"id": number}
    )
    assert one(connection, "closing").numerator == 0
    assert refresh(connection) == 1
    assert one(connection, "closing").numerator == 1


def test_a_grid_that_was_handed_over_counts_in_the_town_of_then_or_of_today(
    connection: Connection,
) -> None:
    add_case(connection, datetime(2023, 6, 1, 4, tzinfo=UTC), grid=1, channel="grid-worker")
    refresh(connection)
    west, east = (question.place(connection, f"4406040{n}000") for n in ("10", "11"))
    for today, counts in ((False, (1, 0)), (True, (0, 1))):
        for name in ("closing", "active_grids"):
            asked = [replace(YEAR, place=place, today=today) for place in (west, east)]
            found = [one(connection, name, each) for each in asked]
            parts = [f.denominator if name == "closing" else f.numerator for f in found]
            assert tuple(parts) == counts, (name, today)
    grids = [
        f.denominator
        for f in figures.of(connection, find("active_grids"), replace(YEAR, by="town"), ZONE)
    ]
    assert grids == [2, 2]
    later = Question(date(2024, 1, 1), date(2025, 1, 1), by="town")
    assert [f.denominator for f in figures.of(connection, find("active_grids"), later, ZONE)] == [
        1,
        3,
    ]


def test_a_year_before_stands_beside(connection: Connection) -> None:
    for year_, count in ((2022, 3), (2023, 1)):
        for _ in range(count):
            add_case(connection, datetime(year_, 6, 1, tzinfo=UTC), closed=True)
    refresh(connection)
    found = one(connection, "closing")
    assert found.before is not None
    assert (found.numerator, found.before.numerator) == (1, 3)
    by_month = figures.of(connection, find("closing"), replace(YEAR, by="month"), ZONE)
    assert [(f.key, f.before and f.before.numerator) for f in by_month] == [(date(2023, 6, 1), 3)]


def test_merged_cases_and_withdrawn_records_do_not_count(connection: Connection) -> None:
    at = datetime(2023, 6, 1, tzinfo=UTC)
    whole = add_case(connection, at)
    part = add_case(connection, at, closed=True)
    connection.execute(
        text("UPDATE incident SET merged_into = :whole WHERE id = :part"),
        {"whole": whole, "part": part},
    )
    refresh(connection)
    assert one(connection, "closing").denominator == 1


def test_a_dispute_is_what_the_kind_was_when_the_case_was_opened(connection: Connection) -> None:
    connection.execute(text("""
        INSERT INTO case_kind (code, title, title_en, class, valid) VALUES
            ('K', 'K', 'K', 'dispute', '[2023-03-01,2023-07-01)'),
            ('K', 'K', 'K', 'event', '[2023-07-01,)')"""))  # fmt: skip
    for month in (1, 5, 9):
        add_case(
            connection, datetime(2023, month, 9, tzinfo=UTC), kind="K", solved=month == 5, level=4
        )
    refresh(connection)
    found = one(connection, "resolution")
    assert (found.numerator, found.denominator) == (1, 2)


def test_on_time_is_by_the_clocks_that_have_been_decided(connection: Connection) -> None:
    at = datetime(2023, 6, 1, tzinfo=UTC)
    due = at + timedelta(days=1)
    ends: list[tuple[datetime | None, datetime | None]] = [
        (at, None), (due + timedelta(hours=1), due), (None, due), (None, None),
    ]  # fmt: skip
    for stopped, late in ends:
        number = add_case(connection, at)
        connection.execute(
            text("""INSERT INTO clock (incident_id, name, calendar, started, amount, unit,
                                       warn_share, due, warn_at, stopped, late)
                    VALUES (:id, 'case.handle', 'always', :at, 24, 'hours', 0.8, :due, :due,
                            :stopped, :late)"""),
            {"id": number, "at": at, "due": due, "stopped": stopped, "late": late},
        )
    refresh(connection)
    found = one(connection, "on_time")
    assert (found.numerator, found.denominator) == (1, 3)


def test_satisfaction_is_the_mean_of_the_marks(connection: Connection) -> None:
    marks = (5, 2, None)
    for mark in marks:
        number = add_case(connection, datetime(2023, 6, 1, tzinfo=UTC))
        connection.execute(
            text("""INSERT INTO return_visit (incident_id, report_id, channel, due, ended, outcome,
                                              solved, satisfaction)
                    VALUES (:id, :id, 'phone', now(), now(), 'answered', true, :mark)"""),
            {"id": number, "mark": mark},
        )
    refresh(connection)
    assert one(connection, "satisfaction").value == 3.5


def test_definitions_by_version_and_day() -> None:
    assert find("closing").version == find("closing", on=date(2023, 1, 1)).version == 1
    with pytest.raises(IndicatorError, match="no version that holds on 1999"):
        find("closing", on=date(1999, 1, 1))
    with pytest.raises(IndicatorError, match="there is no indicator"):
        find("nothing")
