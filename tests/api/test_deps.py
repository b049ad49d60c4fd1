"""What routes write with: once more after a deadlock, and with a row for who is refused."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from api import problems
from api.deps import Database
from data import accounts
from data.access import ROLES
from tests.api.test_return_visits import API, report, told

_ROWS = ("deadlock a", "deadlock b")
_LOCK = text("UPDATE source SET title = :title WHERE name = :name")
_DEADLOCK = text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'deadlock_detected'; END $$")
_WAITS = text("""
SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
               WHERE NOT l.granted AND a.datname = current_database())
""")


@pytest.fixture
def db(town: str) -> Iterator[Database]:
    made = Database(town)
    yield made
    asyncio.run(made.close())


def lock(connection: Connection, row: str, title: str) -> None:
    connection.execute(_LOCK, {"name": row, "title": title})


def test_who_loses_in_a_deadlock_is_done_once_more(db: Database, engine: Engine) -> None:
    one, two = _ROWS
    with engine.begin() as connection:
        for row in _ROWS:
            connection.execute(text("INSERT INTO source (name) VALUES (:row)"), {"row": row})
    runs: list[str] = []

    def both(connection: Connection) -> str:
        runs.append("run")
        for row in (two, one):
            lock(connection, row, "loser")
        return "done"

    answers: list[str] = []
    write = threading.Thread(target=lambda: answers.append(asyncio.run(db.write(both))))
    with engine.connect() as other:
        # Who waits for the longer finds the deadlock, and loses.
        other.execute(text("SET LOCAL deadlock_timeout = '1min'"))
        lock(other, one, "winner")
        write.start()
        until(engine, _WAITS)
        lock(other, two, "winner")
        other.commit()
    write.join(timeout=30)
    assert (answers, len(runs)) == (["done"], 2)
    with engine.connect() as connection:
        titles = text("SELECT DISTINCT title FROM source WHERE name = ANY (:rows)")
        assert connection.execute(titles, {"rows": list(_ROWS)}).scalars().all() == ["loser"]


def until(engine: Engine, query: Any) -> None:
    """Look until it is so, each time in a transaction of its own."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with engine.connect() as connection:
            if connection.execute(query).scalar():
                return
    raise AssertionError("it never was so")


def test_who_loses_twice_is_told_to_send_it_again(db: Database) -> None:
    runs: list[str] = []

    def loses(connection: Connection) -> None:
        runs.append("run")
        connection.execute(_DEADLOCK)

    with pytest.raises(OperationalError) as caught:
        asyncio.run(db.write(loses))
    problem = problems.of(caught.value)
    assert problem is not None and len(runs) == 2
    assert (problem.name, problem.status_code) == ("collided", 503)
    assert "send it again" in problem.members["detail"]


def test_who_is_refused_is_written_down(client: TestClient, engine: Engine) -> None:
    number, _ = report(client)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO organisation (code, name, role) VALUES ('else', '别处', 'six')")
        )
        _, secret = accounts.add_token(
            connection, "somebody", ROLES["dispatcher"], actor="test", organisation="else"
        )
    headers = {"Authorization": f"Bearer {secret}"}
    path = f"{API}/cases/{number}/steps"
    told(client.post(path, json={"action": "assign"}, headers=headers), 403, "case-not-accountable")
    told(client.post(path, json={"action": "accept"}, headers=headers), 409, "case-not-allowed")
    with engine.connect() as connection:
        query = text("SELECT action, subject, detail FROM audit WHERE actor = 'somebody'")
        rows = [tuple(row) for row in connection.execute(query)]
    action = f"POST {API}/cases/{{number}}/steps refused"
    assert rows == [(action, path, {"refused": "case-not-accountable"})]
