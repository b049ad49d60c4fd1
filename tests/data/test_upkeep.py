"""What is done by the clock."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from data.settings import settings
from data.upkeep import TASKS
from tests import people

NOW = datetime(2026, 3, 2, 4, tzinfo=UTC)


@pytest.mark.parametrize("name", TASKS)
def test_every_task_runs_where_there_is_nothing_to_do(connection, name):
    assert TASKS[name].run(connection, NOW) == 0
    assert len(TASKS[name].cron.split()) == 5


def test_tracks_are_forgotten_after_their_time_and_not_before(connection):
    who = people.add(connection, "they", 113.1, 23.0)
    kept = timedelta(days=settings().track_days)
    for age in (kept - timedelta(hours=1), kept + timedelta(hours=1)):
        connection.execute(
            text(
                "INSERT INTO track (resource_id, at, received, source, x, y, datum, geom) VALUES"
                " (:who, :at, :at, 'test', 113.1, 23, 'wgs84',"
                "  ST_SetSRID(ST_MakePoint(113.1, 23), 4326))"
            ),
            {"who": who, "at": NOW - age},
        )
    assert TASKS["forget tracks"].run(connection, NOW) == 1
    left = connection.execute(text("SELECT at FROM track")).scalars().all()
    assert left == [NOW - kept + timedelta(hours=1)]


def test_answers_to_keys_are_forgotten_after_a_day(connection):
    connection.execute(
        text(
            "INSERT INTO request (route, key, fingerprint, status, body, created) VALUES"
            " ('r', 'old', '', 200, '', now() - interval '25 hours'),"
            " ('r', 'new', '', 200, '', now() - interval '23 hours')"
        )
    )
    assert TASKS["clean requests"].run(connection, NOW) == 1
    assert connection.execute(text("SELECT key FROM request")).scalars().all() == ["new"]
