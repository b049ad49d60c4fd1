"""Whistles with their calls, teams and plans; referrals, agreements, and red grids."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = (
    "agreement", "referral_step", "referral", "whistle_plan_step", "whistle_visit",
    "whistle_member", "whistle_step", "whistle_call", "whistle", "red_grid",
)  # fmt: skip
CLOCKS = (
    "whistle.sign", "whistle.contact", "whistle.arrive", "whistle.arrive_hard", "referral.accept",
    "police_call.accept",
)  # fmt: skip


def upgrade() -> None:
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP FUNCTION heir_of")
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
    named = ", ".join(f"'{clock}'" for clock in CLOCKS)
    op.execute(f"DELETE FROM clock WHERE name IN ({named})")
    op.execute(f"DELETE FROM service_time WHERE clock IN ({named})")
