"""What the demonstration city has collected: through the doors of a real one, and of no person."""

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from data import addresses
from data.foshan import collected, governance
from data.record_mapping import is_personal
from tests.api.conftest import SOUTH, STEP, VILLAGES, WEST, build


@pytest.fixture
def town(engine):
    build(engine)
    places = [
        (f"佛山市禅城区石湾镇街道示范路{n}号", WEST + (n % 20 + 0.5) * STEP / 5,
         SOUTH + (n // 20 + 0.5) * STEP / 5)
        for n in range(200)
    ]  # fmt: skip
    with engine.begin() as connection:
        addresses.add(connection, places, governance.SOURCE)
        connection.execute(text("UPDATE address SET recorded = now() - interval '1 day'"))
        body = text("INSERT INTO organisation (code, name, role) VALUES (:code, '人社', 'other')")
        connection.execute(body, {"code": "labour-440600"})
    return engine


def test_records_are_of_places_and_the_same_seed_gives_the_same():
    houses = pd.DataFrame(
        {"address": ["示范路1号", "示范路2号"], "lon": [113.1, 113.2], "lat": [23.0, 23.1],
         "village": VILLAGES}
    )  # fmt: skip
    for kind in collected.KINDS:
        table, again = (collected.records(houses, kind, np.random.default_rng(1)) for _ in range(2))
        pd.testing.assert_frame_equal(table, again)
        assert not any(map(is_personal, table.columns))


def test_a_city_collects_once_and_shows_every_state(town):
    assert collected.is_missing(town)
    collected.load(town)
    assert not collected.is_missing(town)
    with town.connect() as connection:

        def ask(query):
            return {tuple(row) for row in connection.execute(text(query))}

        assert {kind for (kind,) in ask("SELECT kind FROM record")} == set(collected.KINDS)
        reasons = {reason for (reason,) in ask("SELECT unplaced FROM record")}
        assert reasons >= {None, "no_place", "outside"}
        assert ask("SELECT count(*) FROM record WHERE personal IS NOT NULL") == {(0,)}
        states = {state for (state,) in ask("SELECT state FROM visit")}
        assert states >= {"due", "done", "unproven"}
        [(episodes,)] = ask("SELECT count(*) FROM watch_episode WHERE report_id IS NOT NULL")
        assert 0 < episodes < collected.SITES
        assert ask("SELECT count(*) FROM assessment") == {(len(collected.DECISIONS),)}
