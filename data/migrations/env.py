"""Alembic's entry: one connection, one transaction for all steps, one migrator at a time."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from data.schema import Base

LOCK = 0x57616E67  # advisory lock, so that two processes starting at once do not both migrate

engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool)
with engine.begin() as connection:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    context.run_migrations()
engine.dispose()
