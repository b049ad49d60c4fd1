"""The forecast of a small town: the corner with many reports is where more are to be expected."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from data import reports
from data.analyses import forecast
from data.analyses.forecast import Wanted
from data.analyses.selection import Selection
from data.errors import InputError
from data.reports import NewReport
from tests.api.conftest import SOUTH, STEP, WEST, build

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
MONTH = Selection(date(2026, 3, 2), date(2026, 3, 29))


@pytest.fixture(scope="module")
def town(engine: Engine) -> Engine:
    """Every day four reports in one corner of the town, and two anywhere."""
    build(engine)
    random = np.random.default_rng(4406)
    corner = random.uniform((3.3, 1.3), (3.9, 1.9), (112, 2))
    anywhere = random.uniform(0, 1, (56, 2)) * (4, 2)
    with engine.begin() as connection:
        for n, (column, row) in enumerate([*corner, *anywhere]):
            where = {"x": WEST + column * STEP, "y": SOUTH + row * STEP, "datum": "wgs84"}
            at = NOON + timedelta(days=n % 28)
            reports.submit(connection, NewReport("test", str(n), occurred=at, **where))
    return engine


def look(engine: Engine, selection: Selection = MONTH, **wanted: int) -> dict[str, Any]:
    with engine.connect() as connection:
        asked = forecast.question(selection, None, Wanted(**wanted)).asked
        return forecast.work(connection, asked, lambda _what, _share: None)


def test_the_best_squares_and_the_patrol_lie_where_most_is_reported(town: Engine) -> None:
    answer = look(town, patrols=1)
    first = np.array(answer["squares"]["ring"][0][:2]) / 1e5
    column, row = (first - (WEST, SOUTH)) / STEP
    assert 3.0 < column < 4.0 and 1.0 < row < 2.0
    dense = np.divide(answer["squares"]["expected"], answer["squares"]["area_m2"])
    assert (np.diff(dense) <= 1e-6).all()
    (patrol,) = answer["patrols"]
    assert patrol["village"] == "石湾镇街道 番村社区" and patrol["area_m2"] <= 225_000
    assert len(patrol["rings"]) > 1


def test_past_periods_are_scored_beside_the_baselines(town: Engine) -> None:
    scores = look(town)["scores"]
    assert {row["method"] for row in scores} == {"mixture", "counts", "last period", "kernel"}
    assert {row["share"] for row in scores} == {0.01, 0.05}
    assert {(row["first"], row["last"]) for row in scores} == {
        ("2026-03-16", "2026-03-22"), ("2026-03-23", "2026-03-29"),
    }  # fmt: skip
    assert all(row["pai"] > 1 for row in scores if row["share"] == 0.05)
    assert all(0 <= row["pei"] <= 1 and row["N"] == 42 for row in scores)


def test_little_foretells_nothing_and_the_page_says_so(town: Engine) -> None:
    answer = look(town, Selection(date(2026, 3, 2), date(2026, 3, 5)))
    assert answer["squares"] is None and answer["patrols"] == []
    assert "不作预测" in answer["note"]["zh"]
    none = look(town, Selection(date(2030, 1, 1), date(2030, 1, 28)))
    assert none["note"] is None and none["newest"] == date(2026, 3, 29)


def test_a_forecast_has_an_end() -> None:
    with pytest.raises(InputError, match="1 to 92 days"):
        Wanted(ahead=0)
