"""Calendars, service times, clocks, and orders to those who are late."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"

TABLES = ("supervision_answer", "supervision", "clock", "service_time", "calendar_day", "calendar")


def upgrade() -> None:
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP TRIGGER stop_clocks ON incident")
    op.execute("DROP FUNCTION stop_clocks, calendar_of")
    op.execute("ALTER TABLE organisation DROP COLUMN calendar")
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION keep_answer")
