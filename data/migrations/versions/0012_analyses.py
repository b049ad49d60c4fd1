"""Analyses: what is worked out from reports, and on which days reports changed."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"

BEFORE = (
    "report.write", "report.read", "triage.write", "incident.read", "dispatch.write",
    "task.write", "resource.read", "resource.write", "position.read", "position.write",
    "deployment.write", "area.read", "area.write", "rule.write", "subscription.manage",
    "case.read", "case.write", "case.close", "whistle.write", "referral.write", "visit.write",
    "supervision.write", "record.read", "record.write", "person.reveal", "indicator.read",
    "audit.read", "account.manage", "catalogue.write", "page.read",
)  # fmt: skip


def upgrade() -> None:
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP TABLE analysis, report_day")
    # A token is worth no more than it was before: what it could not be permitted then is left out.
    op.execute("DELETE FROM token WHERE permissions = ARRAY['analysis.read']")
    op.execute("UPDATE token SET permissions = array_remove(permissions, 'analysis.read')")
    op.execute("ALTER TABLE token DROP CONSTRAINT permissions_known")
    names = ", ".join(f"'{each}'" for each in BEFORE)
    op.execute(
        f"ALTER TABLE token ADD CONSTRAINT permissions_known CHECK (permissions <@ ARRAY[{names}])"
    )
