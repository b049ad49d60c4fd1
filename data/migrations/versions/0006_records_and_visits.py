"""Collected records, visits to them, watched places, and risk assessments of decisions."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"

TABLES = (
    "assessment_decision",
    "assessment",
    "watch_episode",
    "watch_rule",
    "watched_reading",
    "watched_place",
    "visit_proof",
    "visit",
    "visit_plan",
    "record_change",
    "record",
)


def upgrade() -> None:
    # Its text is not for formatting: a percent sign in it is one.
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION keep_record, keep_decision")
