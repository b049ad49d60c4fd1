"""Bring a database to the newest schema, forward and back (Alembic)."""

from hashlib import sha256
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, pool, text

DATA = Path(__file__).resolve().parent
HERE = DATA / "migrations"
LOCK = 0x57616E68  # advisory: one process at a time renews the functions

# The functions that are there carry the fingerprint of the file that they came from.
_APPLIED = text("SELECT obj_description(to_regproc('candidates'), 'pg_proc')")


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database at `url` forward to `revision`, and renew the functions."""
    try:
        command.upgrade(_config(url), revision)
    except CommandError as error:
        raise ValueError(f"the database cannot be brought to {revision}: {error}") from error
    if revision == "head":
        engine = create_engine(url, poolclass=pool.NullPool)
        with engine.begin() as connection:
            _renew_functions(connection)
        engine.dispose()


def _renew_functions(connection: Connection) -> None:
    """Apply `placement.sql` unless it is what is there: whoever is placing would lose them."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    code = (DATA / "placement.sql").read_text(encoding="utf-8")
    fingerprint = sha256(code.encode()).hexdigest()
    if connection.execute(_APPLIED).scalar() != fingerprint:
        connection.exec_driver_sql(code)
        connection.exec_driver_sql(f"COMMENT ON FUNCTION candidates IS '{fingerprint}'")


def downgrade(url: str, revision: str) -> None:
    """Migrate the database at `url` back to `revision` (`base`: nothing of ours is left)."""
    command.downgrade(_config(url), revision)
