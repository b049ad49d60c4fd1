"""The database shows the service no rows of areas that were not granted, whatever it asks for."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, make_url, pool, text
from sqlalchemy.exc import ProgrammingError

from data import reports
from data.migrate import downgrade, upgrade
from data.reports import NewReport
from data.schema import Base
from data.server_programs import ServerError
from tests import people
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST, build

# Not by area, and why.
OPEN = {
    "the map and what placement needs on both sides of a border": {
        "layer", "change", "area", "area_version", "area_piece", "area_border", "area_lineage",
        "ground", "address", "confirmation", "area_path",
    },
    "what holds everywhere": {
        "source", "organisation", "resource_kind", "skill", "shift", "dispatch_rule", "case_kind",
        "responsibility", "red_grid", "calendar", "calendar_day", "service_time", "watch_rule",
        "retention",
    },
    "a power of its own": {
        "account", "account_role", "session", "token", "audit", "person_deed", "identity",
        "sign_in_flow", "sign_in_try", "account_deed",
    },
    "of the program": {
        "intake", "request", "subscription", "message", "indicator_state", "indicator_stale",
        "report_day", "warning_look",
    },
    "reached by what belongs to an area": {"stored_file"},
    "drawn across areas": {"assessment", "assessment_decision"},
}  # fmt: skip
CLOSED = set(Base.metadata.tables) - set().union(*OPEN.values())


@pytest.fixture(scope="module")
def town(engine: Engine) -> dict[str, int]:
    """Two villages with the same in each: {code of a village: its id}."""
    build(engine)
    with engine.begin() as connection:
        ids = {
            row.code: row.id
            for row in connection.execute(text("SELECT code, id FROM area WHERE layer <> 'beats'"))
        }
        for village, column in zip(VILLAGES, (0.5, 2.5), strict=True):
            _fill(connection, ids[f"{village}001"], column)
    return {village: ids[village] for village in VILLAGES}


def _fill(connection: Connection, grid: int, column: float) -> None:
    lon, lat = WEST + column * STEP, SOUTH + 0.5 * STEP
    new = NewReport("test", f"at {column}", kind="噪音", x=lon, y=lat, datum="wgs84")
    number, _ = reports.submit(connection, new)
    who = people.add(connection, lon=lon, lat=lat, home_area_id=grid)
    people.fix(connection, who, lon, lat)
    people.send(connection, number, who)
    start = datetime.now(UTC)
    people.deploy(connection, who, start, start + timedelta(hours=1))
    connection.execute(
        text("UPDATE deployment_site SET area_id = :grid WHERE area_id IS NULL"), {"grid": grid}
    )


@pytest.fixture(scope="module")
def service(town: dict[str, int], database_url: str) -> Iterator[Engine]:
    """The database as the service reaches it."""
    options = {"options": "-c role=wangge_app"}
    made = create_engine(database_url, connect_args=options)
    yield made
    made.dispose()


def see(connection: Connection, *areas: int) -> None:
    query = text("SELECT set_config('wangge.areas', areas_below(:areas)::text, true)")
    connection.execute(query, {"areas": list(areas)})


def count(connection: Connection) -> dict[str, int]:
    """How many rows of every table by area can be seen."""
    return {
        name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
        for name in CLOSED
    }


def test_every_table_is_by_area_or_open_for_a_reason(engine: Engine) -> None:
    query = "SELECT relname FROM pg_class WHERE relrowsecurity AND relkind = 'r'"
    with engine.connect() as connection:
        assert set(connection.execute(text(query)).scalars()) == CLOSED


def test_who_acts_for_nobody_sees_nothing(service: Engine) -> None:
    with service.connect() as connection:
        assert count(connection) == dict.fromkeys(CLOSED, 0)


FILLED = {
    "report", "incident", "resource", "position", "dispatch", "assignment", "assignment_step",
    "deployment", "deployment_site", "deployment_shift", "attendance",
}  # fmt: skip


def test_a_village_sees_its_half(service: Engine, engine: Engine, town: dict[str, int]) -> None:
    with engine.connect() as connection:
        everything = count(connection)
    for village in town.values():
        with service.begin() as connection:
            see(connection, village)
            seen = count(connection)
        assert {name: seen[name] * 2 for name in FILLED} == {n: everything[n] for n in FILLED}
    with service.begin() as connection:
        see(connection, *town.values())
        both = count(connection)
        assert {name: both[name] for name in FILLED} == {n: everything[n] for n in FILLED}
        connection.execute(text("SET LOCAL ROLE wangge_city"))
        assert count(connection) == everything


def test_the_areas_below_are_those_of_the_tree(engine: Engine, town: dict[str, int]) -> None:
    query = text("""
        SELECT array_agg(a.code ORDER BY a.code) FROM unnest(areas_below(ARRAY[:area])) AS b (id)
        JOIN area a USING (id)
    """)
    with engine.connect() as connection:
        found = connection.execute(query, {"area": town[VILLAGES[1]]}).scalar_one()
        nothing = connection.execute(text("SELECT areas_below('{}')")).scalar_one()
    assert found == [VILLAGES[1], *GRIDS[4:]]
    assert nothing == []


def test_nothing_is_written_into_another_area(service: Engine, town: dict[str, int]) -> None:
    here, there = town[VILLAGES[0]], town[VILLAGES[1]]
    with service.begin() as connection:
        see(connection, here)
        changed = connection.execute(text("UPDATE incident SET urgency = 1")).rowcount
        assert changed == 1
        connection.rollback()
    with service.connect() as connection:
        see(connection, here)
        with pytest.raises(ProgrammingError, match="row-level security"):
            connection.execute(text("UPDATE deployment_site SET area_id = :area"), {"area": there})


@pytest.mark.parametrize(
    "forbidden",
    ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit", "DROP TABLE audit",
     "ALTER TABLE incident DISABLE ROW LEVEL SECURITY", "DROP POLICY by_area ON incident",
     "UPDATE alembic_version SET version_num = 'x'", "CREATE TABLE other (id int)",
     "TRUNCATE report CASCADE"],
)  # fmt: skip
def test_the_service_owns_nothing(service: Engine, forbidden: str) -> None:
    for role in ("wangge_app", "wangge_city"):
        with service.connect() as connection:
            connection.execute(text(f"SET ROLE {role}"))
            with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
                connection.execute(text(forbidden))


def test_helpers_are_seen_by_whom_they_help_and_help_where_they_were_sent(
    service: Engine, engine: Engine, town: dict[str, int]
) -> None:
    def seen(village: str) -> dict[str, Any]:
        with service.begin() as connection:
            see(connection, town[village])
            return count(connection)

    before = {village: seen(village) for village in VILLAGES}
    with engine.begin() as connection:
        home = text("SELECT id FROM resource WHERE home_area_id = ANY (areas_below(ARRAY[:area]))")
        helper = connection.execute(home, {"area": town[VILLAGES[1]]}).scalar_one()
        place = text("SELECT id FROM incident WHERE area_id = ANY (areas_below(ARRAY[:area]))")
        helped = connection.execute(place, {"area": town[VILLAGES[0]]}).scalar_one()
        people.send(connection, helped, helper, override="nobody else is near")
    after = {village: seen(village) for village in VILLAGES}
    here, there = VILLAGES
    assert after[here]["resource"] == before[here]["resource"] + 1
    assert after[there]["incident"] == before[there]["incident"] + 1
    assert after[there]["report"] == before[there]["report"] + 1
    with service.begin() as connection:  # whose end lightens a helper who is gone from sight
        see(connection, town[here])
        end = "UPDATE assignment SET state = 'done' WHERE incident_id = :i AND resource_id = :r"
        connection.execute(text(end), {"i": helped, "r": helper})
    with engine.begin() as connection:
        assert people.row(connection, helper)[0] == 1
        close = "UPDATE incident SET stage = 'closed', closed = now() WHERE id = :i"
        connection.execute(text(close), {"i": helped})
    assert {v: seen(v)["resource"] for v in VILLAGES} == {
        v: before[v]["resource"] for v in VILLAGES
    }


def test_a_login_without_rights_is_told_what_its_administrator_has_to_run(
    server_url: str, make_database: Any
) -> None:
    login = f"wangge_plain_{os.getpid()}"
    made = make_url(make_database())
    admin = create_engine(server_url, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    inside = create_engine(made, poolclass=pool.NullPool, isolation_level="AUTOCOMMIT")
    plain = made.set(username=login, password="plain").render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"CREATE ROLE {login} LOGIN PASSWORD 'plain'"))
    try:
        downgrade(made.render_as_string(hide_password=False), "base")
        with inside.connect() as connection:  # the extensions stay the administrator's
            connection.execute(text("DROP TABLE alembic_version"))
            connection.execute(text(f"GRANT ALL ON SCHEMA public TO {login}"))
            for name in ("postgis", "btree_gist", "pg_trgm"):
                connection.execute(text(f"CREATE EXTENSION IF NOT EXISTS {name}"))
        with pytest.raises(ServerError, match=f"GRANT wangge_city TO {login}") as told:
            upgrade(plain)
        asked = (
            str(told.value).partition("once: ")[2].replace("CREATE ROLE wangge_app NOLOGIN;", "")
        )
        with admin.connect() as connection:
            connection.execute(text(asked.replace("CREATE ROLE wangge_city NOLOGIN;", "")))
        upgrade(plain)
        with create_engine(plain, connect_args={"options": "-c role=wangge_app"}).connect() as c:
            assert count(c) == dict.fromkeys(CLOSED, 0)
    finally:
        with admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {made.database} WITH (FORCE)"))
            connection.execute(text(f"DROP ROLE {login}"))
