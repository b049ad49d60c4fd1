"""Reports as arrays, and answers that are kept until reports change."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from data import reports, territory
from data.analyses import kept, observations, work, workload
from data.analyses.selection import Selection
from data.errors import InputError
from data.indicators import prepared
from data.reports import NewReport
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST, build

ZONE = "Asia/Shanghai"
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)  # a Monday noon of the city
WEEK = Selection(date(2026, 3, 2), date(2026, 3, 8))


@pytest.fixture(scope="module")
def town(engine: Engine) -> Iterator[Engine]:
    """Reports in two villages: noise on Monday at noon, twice by night, a dispute on Saturday."""
    build(engine)
    with engine.begin() as connection:
        tell(connection, "a", NOON, 0.2, kind="噪音", channel="12345")
        tell(connection, "b", NOON + timedelta(hours=11), 0.25, kind="噪音", channel="110")
        tell(connection, "c", NOON + timedelta(hours=35), 2.5, kind="噪音", channel=None)
        tell(connection, "d", NOON + timedelta(days=5), 2.5, kind="纠纷", channel="12345")
        tell(connection, "e", NOON + timedelta(days=20), 0.5, kind=None, channel=None)
        tell(connection, "f", NOON, None, kind="噪音", channel="12345")
    with engine.begin() as connection:
        prepared.refresh(connection, datetime.now(UTC), ZONE)
    return engine


def tell(
    connection: Connection, name: str, at: datetime, column: float | None, **facts: Any
) -> int:
    place: dict[str, Any] = {}
    if column is not None:
        place = {"x": WEST + column * STEP, "y": SOUTH + 0.5 * STEP, "datum": "wgs84"}
    return reports.submit(connection, NewReport("test", name, occurred=at, **facts, **place))[0]


def read(engine: Engine, **narrowed: Any) -> observations.Observations:
    with engine.connect() as connection:
        return observations.read(connection, replace(WEEK, **narrowed), ZONE)


def test_reports_of_a_period_are_arrays_in_the_order_of_time(town: Engine) -> None:
    found = read(town)
    assert len(found) == 4 and found.unplaced == 1
    assert found.at[0] == np.datetime64("2026-03-02T04:00:00")
    assert found.hour.tolist() == [12, 23, 23, 12] and found.weekday.tolist() == [1, 1, 2, 6]
    assert [found.kinds[k] for k in found.kind] == ["噪音", "噪音", "噪音", "纠纷"]
    assert [found.channels[c] if c >= 0 else None for c in found.channel] == [
        "12345", "110", None, "12345",
    ]  # fmt: skip
    assert found.lonlat[0] == pytest.approx((WEST + 0.2 * STEP, SOUTH + 0.5 * STEP), abs=1e-9)
    with town.connect() as connection:
        first = territory.named(connection, GRIDS[0]).id
    assert found.area_id[0] == first


@pytest.mark.parametrize(
    ("narrowed", "count"),
    [
        ({"kinds": ("噪音",)}, 3),
        ({"kinds": ("没有",)}, 0),
        ({"channels": ("12345", "110")}, 3),
        ({"hours": (22, 23, 0)}, 2),
        ({"weekdays": (6, 7)}, 1),
        ({"area": VILLAGES[0]}, 2),
        ({"area": "beats:B1"}, 4),
        ({"last": date(2026, 3, 2)}, 2),
        ({"first": date(2027, 1, 1), "last": date(2027, 1, 2)}, 0),
    ],
)
def test_a_selection_narrows(town: Engine, narrowed: dict[str, Any], count: int) -> None:
    assert len(read(town, **narrowed)) == count


def test_what_is_told_again_counts_once(town: Engine) -> None:
    with town.connect() as connection, connection.begin() as begun:
        first = tell(connection, "twice", NOON, 0.5, kind="噪音")
        again = tell(connection, "once more", NOON, 0.5, kind="噪音")
        text_ = text("UPDATE report SET incident_id = :into WHERE id = :id")
        connection.execute(text_, {"into": first, "id": again})
        assert len(observations.read(connection, WEEK, ZONE)) == 5
        begun.rollback()


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"last": date(2026, 3, 1)}, "before it begins"),
        ({"first": date(2000, 1, 1)}, "days"),
    ],
)
def test_a_period_that_cannot_be_is_refused(wrong: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        replace(WEEK, **wrong)


def test_an_area_that_is_not_there_is_refused(town: Engine) -> None:
    with pytest.raises(InputError, match="no area"):
        read(town, area="999")


def test_a_selection_is_what_its_json_says() -> None:
    asked = replace(WEEK, kinds=("b", "a", "a"), hours=(3, 1))
    assert Selection.of(asked.said()) == replace(WEEK, kinds=("a", "b"), hours=(1, 3))


# --- kept -----------------------------------------------------------------------------------------


def find(engine: Engine, selection: Selection = WEEK) -> Any:
    with engine.begin() as connection:
        return kept.find(connection, workload.question(selection, None))


def ask(engine: Engine, selection: Selection = WEEK) -> int:
    with engine.begin() as connection:
        return kept.ask(connection, workload.question(selection, None))


def test_an_answer_is_made_once_and_kept_until_reports_of_its_days_change(town: Engine) -> None:
    assert find(town) is None
    number = ask(town)
    assert ask(town) == number  # whoever asks meanwhile waits for the same
    assert find(town)["state"] == "todo"
    assert work.perform_all(town) == 1
    row = find(town)
    assert row["state"] == "done" and row["id"] == number
    answer = kept.opened(row)
    by_code = dict(zip(answer["grids"]["code"], answer["grids"]["incidents"], strict=True))
    assert by_code[GRIDS[0]] == 2 and sum(by_code.values()) == 4
    assert answer["reports"] == 4 and answer["unplaced"] == 1 and answer["elsewhere"] == 0
    assert work.perform_all(town) == 0

    with town.begin() as connection:  # another week: nothing that was read
        tell(connection, "later", NOON + timedelta(days=30), 0.5)
        prepared.refresh(connection, datetime.now(UTC), ZONE)
    assert find(town)["id"] == number
    with town.begin() as connection:
        tell(connection, "same week", NOON + timedelta(days=1), 0.5)
    with town.begin() as connection:
        prepared.refresh(connection, datetime.now(UTC), ZONE)
    assert find(town) is None
    assert ask(town) > number
    work.perform_all(town)
    assert kept.opened(find(town))["reports"] == 5


def test_another_question_has_another_answer(town: Engine) -> None:
    ask(town)
    assert find(town, replace(WEEK, hours=(1,))) is None
    assert find(town, replace(WEEK, kinds=())) is not None


def test_a_fault_is_said_and_asked_anew(town: Engine) -> None:
    with town.begin() as connection:
        wrong = replace(workload.question(WEEK, None), asked={"selection": {}})
        number = kept.ask(connection, wrong)
    work.perform_all(town)
    with town.begin() as connection:
        row = kept.state(connection, number)
        assert row is not None and row["state"] == "failed" and row["doing"]
        assert kept.ask(connection, wrong) > number


def test_old_answers_are_forgotten(town: Engine) -> None:
    with town.begin() as connection:
        assert kept.clean(connection, datetime.now(UTC)) == 0
        assert kept.clean(connection, datetime.now(UTC) + timedelta(days=91)) > 0
