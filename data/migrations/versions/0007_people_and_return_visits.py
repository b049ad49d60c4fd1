"""The people of a case: reporters who are asked in the end, and what was done with their data."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"

TABLES = ("person_deed", "retention", "return_try", "return_visit", "party")


def upgrade() -> None:
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("ALTER TABLE attachment DROP CONSTRAINT withdrawn_or_kept")
    op.execute("DELETE FROM attachment WHERE sha256 IS NULL")
    op.execute("ALTER TABLE attachment ALTER COLUMN sha256 SET NOT NULL")
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
