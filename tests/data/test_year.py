"""A simulated year: the article's figures come out of rows, as indicators count them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Connection, Engine, text

from data.foshan import year
from data.indicators import figures, prepared
from data.indicators.question import Question
from data.indicators.registry import DEFINITIONS, find
from data.stages import ACTIONS
from tests.data import thousand

ZONE = "Asia/Shanghai"
YEAR = Question(date(2023, 1, 1), date(2024, 1, 1))
SCALE = 0.01


@pytest.fixture(scope="module")
def city(engine: Engine) -> Engine:
    thousand.build(engine)
    year.write(engine, 2023, scale=SCALE)
    prepared.refresh_all(engine, ZONE)
    return engine


@pytest.fixture
def connection(city: Engine) -> Iterator[Connection]:
    with city.connect() as opened, opened.begin() as transaction:
        yield opened
        transaction.rollback()


def value(connection: Connection, name: str, asked: Question = YEAR) -> float:
    found = figures.of(connection, find(name), asked, ZONE)[0].value
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "article"),
    [("in_grid", 94.9), ("closing", 99.2), ("active_grids", 80.2), ("resolution", 99.8)],
)
def test_the_rates_are_the_articles(connection: Connection, name: str, article: float) -> None:
    assert value(connection, name) * 100 == pytest.approx(article, abs=0.1)


def test_the_counts_are_the_articles(connection: Connection) -> None:
    assert value(connection, "flows") == 320_000 * SCALE
    closing = figures.of(connection, find("closing"), YEAR, ZONE)[0]
    assert closing.denominator == 1_180_000 * SCALE
    assert figures.of(connection, find("in_grid"), YEAR, ZONE)[0].denominator == 79_000


def test_cells_say_what_the_rows_say(connection: Connection) -> None:
    asked = replace(YEAR, by="town")
    from_cells = figures.board(connection, DEFINITIONS, asked, ZONE)
    connection.execute(text("UPDATE indicator_state SET version = 0"))
    assert figures.board(connection, DEFINITIONS, asked, ZONE) == from_cells


@pytest.mark.parametrize(
    ("name", "delete"),
    [
        ("in_grid", "DELETE FROM record WHERE id = (SELECT min(id) FROM record WHERE area_id > 0)"),
        ("closing", """UPDATE incident SET closed = NULL, stage = 'resolved'
            WHERE id = (SELECT min(id) FROM incident WHERE closed IS NOT NULL)"""),
        ("active_grids", """DELETE FROM report WHERE channel = 'grid-worker' AND area_id = (
            SELECT min(area_id) FROM report WHERE channel = 'grid-worker')"""),
    ],
)  # fmt: skip
def test_a_row_less_is_another_figure(connection: Connection, name: str, delete: str) -> None:
    before = value(connection, name)
    if name == "active_grids":  # what hangs on a report is out of the way
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text("DELETE FROM incident"))
        connection.execute(text("SET LOCAL session_replication_role = origin"))
    connection.execute(text(delete))
    assert value(connection, name) == before
    now = connection.execute(text("SELECT now()")).scalar_one()
    while prepared.refresh(connection, now, ZONE):
        pass
    assert value(connection, name) < before


def test_every_case_went_a_way_that_is_allowed(connection: Connection) -> None:
    steps = connection.execute(
        text("SELECT incident_id, action, stage FROM case_step ORDER BY incident_id, id")
    )
    case, stage = None, ""
    for step in steps:
        if step.incident_id != case:
            assert step.action == "open"
        else:
            assert stage in ACTIONS[step.action].before, step
            assert step.stage == ACTIONS[step.action].stage
        case, stage = step.incident_id, step.stage


def test_cases_stand_where_their_last_step_left_them(connection: Connection) -> None:
    astray = text("""
        SELECT count(*) FROM incident i JOIN LATERAL (
            SELECT s.* FROM case_step s WHERE s.incident_id = i.id ORDER BY s.id DESC LIMIT 1) s
          ON true
        WHERE (i.stage, i.level, i.organisation_id) <> (s.stage, s.level, s.organisation_id)
           OR i.since <> s.at OR i.area_id IS NULL <> (
              SELECT r.triage IS NOT NULL FROM report r WHERE r.id = i.id)""")
    assert connection.execute(astray).scalar_one() == 0


def test_records_without_a_grid_say_why(connection: Connection) -> None:
    found = connection.execute(
        text("SELECT unplaced, count(*), count(geom) FROM record GROUP BY 1 ORDER BY 1 NULLS LAST")
    ).all()
    assert [row.unplaced for row in found] == [
        "address_unknown", "no_place", "on_border", "outside", None,
    ]  # fmt: skip
    assert [row[2] == row[1] for row in found] == [False, False, True, True, True]


def test_the_fireworks_of_chancheng_go_from_january_to_february(connection: Connection) -> None:
    counted = text("""
        SELECT count(*) FILTER (WHERE opened < '2023-02-01+08') AS january,
               count(*) FILTER (WHERE opened >= '2023-02-01+08' AND opened < '2023-03-01+08')
        FROM incident i JOIN area a ON a.id = i.area_id
        WHERE i.kind = '烟花爆竹' AND a.code LIKE '440604%'""")
    assert tuple(connection.execute(counted).one()) == (18, 4)


def test_a_year_is_written_once_and_only_when_it_is_over(city: Engine) -> None:
    with pytest.raises(ValueError, match="2023 is there already"):
        year.write(city, 2023, scale=SCALE)
    with pytest.raises(ValueError, match="is not over"):
        year.write(city, 2199)
    with pytest.raises(ValueError, match="too few"):
        year.write(city, 2021, scale=0.0001)
