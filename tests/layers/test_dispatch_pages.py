"""The pages of dispatch as text: what they carry, in both languages, and how large they get."""

import json
import re
from datetime import UTC, datetime
from typing import Any, get_args

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from api import examples
from api.dispatch_maps import MOST, TEXT
from data.surroundings import MOST_GRIDS, MOST_ROADS, Surroundings
from layers.i18n import Lang
from layers.incident import _names_at, incident
from layers.page import PAGE_LIMIT
from layers.queue import queue
from tests.layers.cities import drawn, tiling

NOW = round(datetime(2026, 3, 2, 4, tzinfo=UTC).timestamp() * 1000)
LON, LAT = 113.105, 23.0027


def state(**facts: Any) -> dict[str, Any]:
    """An incident as the service shows it."""
    known = {
        "incident": examples.INCIDENT,
        "report": examples.REPORT,
        "candidates": examples.CANDIDATES["candidates"],
        "shortfalls": examples.CANDIDATES["shortfalls"],
        "dispatches": examples.DISPATCHES["dispatches"],
        "sent": [],
        "seq": 7,
        "now": NOW,
    }
    return json.loads(json.dumps({**known, **facts}))  # type: ignore[no-any-return]


def around(grids: int = 9, roads: int = 5) -> Surroundings:
    side = int(np.ceil(np.sqrt(grids)))
    shapes = tiling(side)[:grids]
    own = np.arange(grids) == 4
    line = shapely.LineString(np.random.default_rng(0).uniform(22, 24, (60, 2))[:, ::-1])
    return Surroundings(
        gpd.GeoDataFrame(
            {"code": [f"{n:015}" for n in range(grids)], "name": "第<1>网格", "own": own,
             "beside": own, "geom": shapes}, geometry="geom", crs=4326),
        gpd.GeoDataFrame(
            {"kind": "road", "class": "primary", "name": "", "geom": [line] * roads},
            geometry="geom", crs=4326),
        pd.DataFrame([["中心", "Centre", "石湾综治中心", LON, LAT]],
                     columns=["title", "title_en", "name", "lon", "lat"]),
    )  # fmt: skip


def carried(html: str) -> dict[str, Any]:
    found = re.search(r"wangge\.data = (\{.*?\});</script>", html, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def line(number: int, about: str = "魁奇东路88号") -> dict[str, Any]:
    return {
        "id": number, "urgency": 1 + number % 5, "kind": "噪音", "about": about, "area": "第1网格",
        "opened": NOW, "point": [LAT, LON], "going": 0,
    }  # fmt: skip


def waiting(count: int, **facts: Any) -> dict[str, Any]:
    rows = [line(n, **facts) for n in range(count)]
    return {"incidents": rows, "open": count, "unsent": count, "kinds": [], "seq": 7, "now": NOW}


@pytest.mark.parametrize("lang", get_args(Lang))
def test_no_other_host_and_no_markup_from_outside(lang: Lang) -> None:
    evil = '</script><img src=//evil.example/x onerror="alert(1)">'
    told = state()
    told["incident"]["kind"] = told["incident"]["address"] = evil
    pages = (
        incident(told, around(), lang=lang),
        queue(drawn(4), {**waiting(1, about=evil), "kinds": [evil]}, address="/x", lang=lang),
    )
    for html in pages:
        assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", html)
        assert evil not in html
        assert "<img" not in html


def test_the_incident_carries_what_its_script_reads() -> None:
    data = carried(incident(state(), around(), lang="en"))
    assert data["address"] == "/maps/incident/1/now?lang=en"
    assert data["state"]["seq"] == 7
    assert data["names"]["000000000000004"] == "第<1>网格"
    assert [f["properties"]["own"] for f in data["grids"]["features"]].count(True) == 1
    assert data["grids"]["features"][0]["geometry"]["type"] == "Polygon"
    assert data["facilities"] == [[LAT, LON, "Centre", "石湾综治中心"]]


def test_without_a_place_there_is_no_map_to_draw() -> None:
    told = state()
    told["incident"]["point"] = None
    html = incident(told, None)
    assert "此事件还没有位置" in html
    assert "wangge.layers.people(" not in html


def test_pages_stay_small_however_much_there_is() -> None:
    assert len(incident(state(), around(MOST_GRIDS, MOST_ROADS)).encode()) <= PAGE_LIMIT
    html = queue(drawn(32), waiting(MOST, about="长" * TEXT), address="/x")
    assert len(html.encode()) <= PAGE_LIMIT


def test_the_queue_offers_its_filters_and_keeps_the_chosen() -> None:
    html = queue(
        drawn(4), {**waiting(0), "kinds": ["噪音"]}, address="/x", kind="漏水", area="grid/1"
    )
    options = re.findall(r'<option( value="[^"]*")?( selected)?>([^<]*)', html)
    chosen = [name for _, selected, name in options if selected]
    assert chosen == ["漏水", "1"]
    assert "噪音" in [name for *_, name in options]
    districts = [value for value, *_ in options if "district/" in value]
    assert len(districts) == 4


def test_an_empty_queue_says_what_to_do() -> None:
    assert "/api/v1/reports" in queue(drawn(4), waiting(0), address="/x")
    narrowed = queue(drawn(4), waiting(0), address="/x", kind="漏水", lang="en")
    assert "No open incident matches" in narrowed and "Show all" in narrowed


def test_names_stand_outside_the_grids_that_lie_within() -> None:
    whole, school = shapely.box(0, 0, 10, 10), shapely.box(4, 4, 6, 6)
    at = _names_at(np.array([whole, school]))
    assert shapely.contains(school, at).tolist() == [False, True]
    assert shapely.contains(whole, at).all()
