"""Who may use the service, and the chain of what was done."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

TABLES = ("audit", "token", "session", "account_role", "account")


def upgrade() -> None:
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION keep_audit, begin_audit")
