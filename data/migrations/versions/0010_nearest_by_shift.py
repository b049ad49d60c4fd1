"""The nearest are searched among those of each shift: at night most who are near are off duty."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute("DROP INDEX resource_nearest")
    op.execute(
        "CREATE INDEX resource_nearest ON resource USING gist (kind, coalesce(shift, ''), home_xy)"
        " WHERE withdrawn IS NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX resource_nearest")
    op.execute(
        "CREATE INDEX resource_nearest ON resource USING gist (kind, home_xy)"
        " WHERE withdrawn IS NULL"
    )
