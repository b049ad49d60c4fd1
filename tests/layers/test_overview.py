import re
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from layers.ground import ground
from layers.overview import _counts, marks, overview
from layers.page import PAGE_LIMIT, VENDOR
from tests.layers.cities import MIDNIGHT, NOON, areas, drawn, frame, reports

CITY = drawn(16)
WHEN = {"period": (MIDNIGHT, NOON), "now": NOON}


def test_no_other_host_is_named():
    html = overview(CITY, reports(CITY, 50), **WHEN)
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", html)
    assert not re.findall(r"jquery|bootstrap|awesome|glyphicon|cdn", html, re.IGNORECASE)
    urls = re.findall(r"""(?:src|href)=["'](/[^"']+)""", html)
    assert urls
    for url in urls:
        folder = next(path for prefix, path in VENDOR.items() if url.startswith(prefix + "/"))
        assert (folder / url.rsplit("/", 1)[1]).is_file()


def test_figures():
    table = reports(CITY, 1000)
    html = overview(CITY, table, **WHEN)
    found = dict(re.findall(r'<b id="(\w+)">([\d,]+)</b>', html))
    assert found == {"total": "1,000", "placed": "900", "triage": "100", "ambiguous": "40"}
    assert "其中 50 条没有坐标" in html
    assert "今日上报" in html
    assert "2026-03-02 00:00 – 12:00" in html


def test_every_placed_report_is_counted_at_every_level():
    table = reports(CITY, 2000)
    for city in (CITY, drawn(16, budget=30_000)):
        counts = _counts(city, table)
        assert counts["districts"].sum() == counts["villages"].sum() == 1800
    assert _counts(CITY, table)["grids"].sum() + _counts(CITY, table)["dedicated"].sum() == 1800


def test_a_grid_that_is_not_on_the_map_is_owned_up_to():
    table = reports(CITY, 10)
    table.loc[0, "grid"] = "999"
    assert "1 条上报的网格编码不在本图的网格中" in overview(CITY, table, **WHEN)


@pytest.mark.parametrize("count", [1, 3000, 3001, 20_000])
def test_marks_add_up(count):
    rows = marks(reports(CITY, count), ZoneInfo("Asia/Shanghai"))
    drawn_reports = reports(CITY, count).lon.notna().sum()
    assert len(rows) <= 3000
    assert sum(row[2] for row in rows) == drawn_reports
    assert sum(row[3] for row in rows) == np.count_nonzero(np.arange(count) % 20 == 13)


def test_what_people_wrote_cannot_become_markup():
    table = reports(CITY, 3)
    table["kind"] = "</script><script>alert(1)</script>"
    html = overview(CITY, table, **WHEN)
    assert "<script>alert" not in html
    assert "<b>学校" not in html


def test_fifty_thousand_reports_in_a_full_city_fit():
    city = drawn(81)
    html = overview(city, reports(city, 50_000), self_contained=True, **WHEN)
    assert len(html.encode()) <= PAGE_LIMIT


def test_self_contained_needs_no_server():
    html = overview(CITY, reports(CITY, 10), self_contained=True, **WHEN)
    assert not re.findall(r"""(?:src|href)=["']/""", html)
    assert "/static/" not in html and "sourceMappingURL" not in html


def test_empty_database_says_what_to_do():
    empty = frame(code=[], name=[], geometry=[])
    city = ground(city="佛山市", districts=empty, towns=empty, villages=empty, grids=empty)
    html = overview(city, reports(CITY, 0), commands=("make demo",), **WHEN)
    assert "还没有网格" in html
    assert "<pre>make demo</pre>" in html


def test_english_and_other_periods():
    week = {"period": (MIDNIGHT - timedelta(days=7), NOON), "now": NOON}
    html = overview(CITY, reports(CITY, 5), lang="en", **week)
    assert '<html lang="en">' in html
    assert "reports in this period" in html
    assert "2026-02-23 00:00 – 2026-03-02 12:00" in html


def test_bad_calls_say_why():
    with pytest.raises(ValueError, match="language 'fr'"):
        overview(CITY, reports(CITY, 1), lang="fr", **WHEN)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reports has no column triage"):
        overview(CITY, reports(CITY, 1).drop(columns="triage"), **WHEN)
    assert areas(4)["grids"].kind.value_counts().to_dict() == {"basic": 16, "dedicated": 1}
