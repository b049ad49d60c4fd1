"""The token by which tests are let in; every database of theirs knows it."""

from sqlalchemy import create_engine, pool

from data import accounts
from data.access import PERMISSIONS

TOKEN = "a token for tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Prefer": "wait=0"}
"""Of who may everything, and waits for no worker that is not there."""


def open_door(url: str) -> None:
    """Let whoever shows the token do everything in this database."""
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.begin() as connection:
        accounts.add_token(connection, "api", PERMISSIONS, actor="test", secret=TOKEN)
