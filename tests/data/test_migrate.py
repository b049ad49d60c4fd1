"""The schema in Python and the migrations are two tellings of one story."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from geoalchemy2 import alembic_helpers
from sqlalchemy import create_engine, pool, text

from data.migrate import downgrade, upgrade
from data.schema import Base

OURS = """
SELECT 'table', relname FROM pg_class
WHERE relkind IN ('r', 'v', 'S') AND relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
UNION ALL
SELECT 'function', p.oid::regprocedure::text FROM pg_proc p
WHERE pronamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
UNION ALL
SELECT 'trigger', tgrelid::regclass || ' ' || tgname FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'type', typname FROM pg_type t
WHERE typnamespace = 'public'::regnamespace AND typtype IN ('c', 'e', 'd') AND typrelid IN
      (SELECT oid FROM pg_class WHERE relkind = 'c')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = t.oid AND deptype = 'e')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = t.typrelid AND deptype = 'e')
ORDER BY 1, 2
"""


@pytest.fixture
def look(fresh_database_url):
    """Run a query in the database that the test migrates."""
    engine = create_engine(fresh_database_url, poolclass=pool.NullPool)

    def ask(query):
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    return ask


def test_back_to_nothing_and_forward_again(fresh_database_url, look):
    before = look(OURS)
    names = {name for _, name in before}
    assert {"area_version", "area_version keep", "hit"} <= names
    assert any(name.startswith("candidates(") for name in names)
    layers = look("SELECT name, tree_level FROM layer ORDER BY tree_level")
    downgrade(fresh_database_url, "base")
    assert look(OURS) == [("table", "alembic_version")]
    assert look("SELECT * FROM alembic_version") == []
    upgrade(fresh_database_url)
    assert look(OURS) == before
    assert look("SELECT name, tree_level FROM layer ORDER BY tree_level") == layers


def test_an_upgrade_of_what_is_new_changes_nothing(fresh_database_url, look):
    before = look(OURS)
    upgrade(fresh_database_url)
    assert look(OURS) == before


def test_functions_are_left_alone_while_they_are_the_newest(fresh_database_url, look):
    """Whoever is placing at that moment would miss them."""
    candidates = (
        "SELECT oid, obj_description(oid, 'pg_proc') FROM pg_proc WHERE proname = 'candidates'"
    )
    before = look(candidates)
    upgrade(fresh_database_url)
    assert look(candidates) == before
    engine = create_engine(fresh_database_url)
    with engine.begin() as connection:
        connection.execute(text("COMMENT ON FUNCTION candidates IS 'of an older version'"))
    engine.dispose()
    upgrade(fresh_database_url)
    [(after, fingerprint)] = look(candidates)
    assert (after != before[0][0], fingerprint) == (True, before[0][1])


def test_the_migrated_database_is_the_schema(engine):
    def ours(thing, name, kind, reflected, other):
        table = name if kind == "table" else getattr(getattr(thing, "table", None), "name", "")
        if table == "spatial_ref_sys" or (table or "").startswith("procrastinate"):
            return False  # tables of PostGIS and of the jobs' library
        return alembic_helpers.include_object(thing, name, kind, reflected, other)

    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": ours}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_every_constraint_of_the_schema_is_in_the_database(engine):
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE conrelid > 0")
        )
        there = {tuple(row) for row in rows}
    named = {
        (table.name, constraint.name)
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if constraint.name
    }
    assert named and named <= there
