"""Hot spots of a small town: what is planted is found, and too little is said to be too little."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Connection, Engine

from data import reports
from data.analyses import hotspots
from data.analyses.hotspots import Wanted
from data.analyses.selection import Selection
from data.errors import InputError
from data.reports import NewReport
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST, build

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
MONTH = Selection(date(2026, 3, 2), date(2026, 3, 29))
TOWN = "440604010000"


@pytest.fixture(scope="module")
def town(engine: Engine) -> Engine:
    """Reports all over the town, and every day six more in one corner of it."""
    build(engine)
    random = np.random.default_rng(4406)
    with engine.begin() as connection:
        for n, (column, row) in enumerate(random.uniform(0, 1, (120, 2)) * (4, 2)):
            tell(connection, f"s{n}", column, row, NOON + timedelta(days=n % 28))
        for n, (column, row) in enumerate(random.uniform((3.3, 1.3), (3.9, 1.9), (168, 2))):
            tell(connection, f"h{n}", column, row, NOON + timedelta(days=n // 6))
    return engine


def tell(connection: Connection, name: str, column: float, row: float, at: datetime) -> None:
    where = {"x": WEST + column * STEP, "y": SOUTH + row * STEP, "datum": "wgs84"}
    reports.submit(connection, NewReport("test", name, occurred=at, kind="噪音", **where))


def look(engine: Engine, selection: Selection = MONTH, **wanted: object) -> dict:
    with engine.connect() as connection:
        asked = hotspots.question(selection, None, Wanted(**wanted)).asked  # type: ignore[arg-type]
        return hotspots.work(connection, asked, lambda _what, _share: None)


def test_the_corner_with_many_reports_is_hot_and_nothing_far_from_it(town: Engine) -> None:
    answer = look(town, resolution=10)
    units = answer["units"]
    assert answer["reports"] == sum(units["count"]) == 288
    hot = np.flatnonzero(np.array(units["band"]) >= 2)
    assert len(hot)
    first = np.array([ring[:2] for ring in units["ring"]]) / 1e5  # a corner of each cell
    far = np.hypot(*((first - (WEST + 3.6 * STEP, SOUTH + 1.6 * STEP)) * (102, 111)).T)
    assert far[hot].max() < 0.5  # kilometres
    assert units["top"][0]["village"] == "石湾镇街道 番村社区"
    assert {3, 4, 5} & {units["pattern"][unit] for unit in hot}  # some in every part


def test_parts_of_the_time_add_up_to_the_whole(town: Engine) -> None:
    units = look(town, resolution=9)["units"]
    for name, parts in (("bins", 8), ("hours", 24), ("weekdays", 7)):
        assert np.shape(units[name]) == (parts, len(units["count"]))
        assert np.sum(units[name], axis=0).tolist() == units["count"]
    assert units["starts"][0] == "2026-03-02"


def test_by_grid_each_report_counts_where_it_was_placed(town: Engine) -> None:
    units = look(town, by="grid")["units"]
    assert units["code"] == GRIDS
    assert units["count"][7] >= 168 and "ring" not in units


def test_with_few_reports_nothing_is_tested_and_the_page_says_so(town: Engine) -> None:
    answer = look(town, Selection(date(2026, 3, 2), date(2026, 3, 2)), resolution=9)
    assert 0 < answer["reports"] < 20
    assert set(answer["units"]["band"]) == {0}
    assert "少于 20 件不做显著性检验" in answer["note"]["zh"]


def test_without_reports_the_newest_day_is_named(town: Engine) -> None:
    answer = look(town, Selection(date(2030, 1, 1), date(2030, 1, 28)), resolution=9)
    assert answer["reports"] == 0 and answer["heat"] is None
    assert answer["newest"] == date(2026, 3, 29)


def test_too_many_cells_are_not_made(town: Engine) -> None:
    answer = look(town, resolution=15)
    assert answer["units"] is None
    assert "H3 15 级" in answer["note"]["zh"] and "coarser" in answer["note"]["en"]


def test_residents_are_of_grids(town: Engine) -> None:
    with pytest.raises(InputError, match="by=grid"):
        Wanted(by="cell", measure="resident")
    units = look(town, by="grid", measure="resident")["units"]
    assert set(units["rate"]) == {None}  # nobody counted them in this town


def test_one_address_with_thousands_of_reports(town: Engine) -> None:
    with town.connect() as connection, connection.begin() as begun:
        for n in range(400):
            tell(connection, f"a{n}", 0.3, 0.3, NOON)
        asked = hotspots.question(MONTH, None, Wanted(resolution=10)).asked
        units = hotspots.work(connection, asked, lambda _what, _share: None)["units"]
        begun.rollback()
    counts = np.array(units["count"])
    assert counts.max() >= 400
    assert (np.array(units["band"]) >= 2).sum() < 0.2 * len(counts)
