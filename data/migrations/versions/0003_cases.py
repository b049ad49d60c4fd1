"""An incident becomes a case: who answers for it, and every step of it."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = ("attachment", "stored_file", "case_step", "responsibility", "case_kind")
INCIDENT = (
    "stage", "since", "level", "organisation_id", "solved", "solved_level", "bounces", "reopened",
    "merged_into",
)  # fmt: skip


def upgrade() -> None:
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP FUNCTION open_case, answers_for")
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    for column in INCIDENT:
        op.execute(f"ALTER TABLE incident DROP COLUMN {column}")
    op.execute("DROP INDEX incident_by_time")
    op.execute("DROP FUNCTION the_desk")
    op.execute("DELETE FROM organisation WHERE code = 'desk'")
    op.execute("DROP INDEX organisation_by_area")
    op.execute("ALTER TABLE organisation DROP COLUMN dissolved, DROP COLUMN successor_id")
