"""Sign-in with a provider, tries counted by the name given, deeds that two have to want."""

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"

TABLES = ("account_deed", "sign_in_try", "sign_in_flow", "identity")


def upgrade() -> None:
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("ALTER TABLE account ADD failures INTEGER DEFAULT 0 NOT NULL")
    op.execute("ALTER TABLE account ADD locked TIMESTAMP WITH TIME ZONE")
    op.execute(
        "UPDATE account SET failures = t.failures, locked = t.locked FROM sign_in_try t"
        " WHERE t.name = sha256(convert_to(account.login, 'UTF8'))"
    )
    op.execute("ALTER TABLE session DROP issuer")
    for table in TABLES:
        op.execute(f"DROP TABLE {table}")
