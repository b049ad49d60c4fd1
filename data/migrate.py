"""Bring a database to the newest schema, forward and back (Alembic)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, pool

DATA = Path(__file__).resolve().parent
HERE = DATA / "migrations"


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate the database at `url` forward to `revision`, and renew the functions."""
    command.upgrade(_config(url), revision)
    if revision == "head":
        engine = create_engine(url, poolclass=pool.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql((DATA / "placement.sql").read_text(encoding="utf-8"))
        engine.dispose()


def downgrade(url: str, revision: str) -> None:
    """Migrate the database at `url` back to `revision` (`base`: nothing of ours is left)."""
    command.downgrade(_config(url), revision)
