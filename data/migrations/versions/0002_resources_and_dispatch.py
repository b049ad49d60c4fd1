"""Who can help, who was sent, and what is told to whom."""

from pathlib import Path

from alembic import op
from procrastinate.schema import SchemaManager

revision = "0002"
down_revision = "0001"

TABLES = (
    "message",
    "assignment_step",
    "track",
    "subscription",
    "resource_area",
    "position",
    "leave",
    "device",
    "attendance",
    "assignment",
    "resource",
    "dispatch",
    "deployment_shift",
    "organisation",
    "incident",
    "deployment_site",
    "skill",
    "shift",
    "resource_kind",
    "request",
    "event",
    "dispatch_rule",
    "deployment",
)

DROP_JOBS = """
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT oid::regclass FROM pg_class WHERE relkind = 'r'
                AND starts_with(relname, 'procrastinate')
                AND relnamespace = current_schema()::regnamespace
    LOOP EXECUTE 'DROP TABLE ' || name || ' CASCADE'; END LOOP;
    FOR name IN SELECT oid::regprocedure FROM pg_proc WHERE starts_with(proname, 'procrastinate')
                AND pronamespace = current_schema()::regnamespace
    LOOP EXECUTE 'DROP FUNCTION ' || name || ' CASCADE'; END LOOP;
    FOR name IN SELECT oid::regtype FROM pg_type WHERE starts_with(typname, 'procrastinate')
                AND typnamespace = current_schema()::regnamespace
    LOOP EXECUTE 'DROP TYPE ' || name || ' CASCADE'; END LOOP;
END $$;
"""


def upgrade() -> None:
    # Their text is not for formatting: a percent sign in it is one.
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))
    # The tables of the jobs' library, as its pinned version has them.
    bind.exec_driver_sql(SchemaManager.get_schema())


def downgrade() -> None:
    op.execute("ALTER TABLE report DROP COLUMN incident_id")
    op.execute("DROP FUNCTION on_duty")
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION keep_load, keep_step")
    op.get_bind().exec_driver_sql(DROP_JOBS)
