"""The city, its history, the reports and what is remembered of their places."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

TABLES = (
    "address",
    "confirmation",
    "report",
    "intake",
    "source",
    "ground",
    "area_lineage",
    "area_border",
    "area_piece",
    "area_version",
    "area",
    "change",
    "layer",
)

DROP_FUNCTIONS = """
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT oid FROM pg_proc
             WHERE pronamespace = current_schema()::regnamespace
               AND proname IN ('candidates', 'remembered', 'conformal', 'chain_above')
    LOOP EXECUTE 'DROP FUNCTION ' || f; END LOOP;
    DROP TYPE IF EXISTS hit;
END $$;
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute(DROP_FUNCTIONS)
    op.execute("DROP FUNCTION cut_area_version, keep_area_version, change_is_in_time")
