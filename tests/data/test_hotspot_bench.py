"""Forecasts on published reports are ahead of what everybody can do; bad input is a sentence."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import pytest
import shapely

from data import vector_files
from data.hotspot_bench import BenchError, Options, read_reports, run
from data.settings import ROOT
from gis.backtesting import METHODS

CHICAGO = ROOT.parent / "shared/data/chicago"
MARCH = datetime(2019, 3, 1, tzinfo=ZoneInfo("America/Chicago"))
TOWN = gpd.GeoDataFrame(geometry=[shapely.box(-87.70, 41.80, -87.65, 41.84)], crs=4326)
SPLIT = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.mark.skipif(not CHICAGO.is_dir(), reason="the published data is not here")
def test_on_published_crimes_ours_is_ahead_of_every_baseline():
    """January and February known, March scored, on the union of the police beats."""
    areas = vector_files.read(CHICAGO / "police-beats.geojson.gz")
    done = run(CHICAGO / "crimes-2019-q1.csv.gz", areas, Options(MARCH, timezone="America/Chicago"))
    march = [row for row in done.rows if row.start == 0]
    assert {row.score.N for row in march} == {3916}
    assert done.known == 7262
    by = {(row.method, row.score.share): row.score for row in march}
    for share in (0.01, 0.05):
        ours = by["mixture", share]
        for other in METHODS[1:]:
            assert ours.pai > by[other, share].pai
            assert ours.pei > by[other, share].pei
    # In the other periods on average, so that March is no luck.
    for share in (0.01, 0.05):
        mean = {
            method: np.mean(
                [r.score.pai for r in done.rows if (r.method, r.score.share) == (method, share)]
            )
            for method in METHODS
        }
        assert max(mean, key=mean.get) == "mixture"


def written(tmp_path, rows, head="id,date,type,lat,lon"):
    path = tmp_path / "reports.csv"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def reports(count=400, first="2024-02-01", lat=41.82, lon=-87.67):
    rng = np.random.default_rng(4)
    days = np.datetime64(first) + rng.integers(0, 60, count)
    moved = rng.normal(0, 0.005, (count, 2))
    return [
        f"{i},{day},theft,{lat + dy:.6f},{lon + dx:.6f}"
        for i, (day, (dx, dy)) in enumerate(zip(days, moved, strict=True))
    ]


def test_the_answer_as_tables_and_plain_values(tmp_path):
    done = run(written(tmp_path, reports()), TOWN, Options(SPLIT, timezone="UTC"))
    (title, head, lines), *earlier = done.tables()
    assert title.startswith("2024-03-01 to 2024-04-01")
    assert [line[0] for line in lines] == list(METHODS)
    assert all(len(line) == len(head) for line in lines)
    assert earlier
    plain = done.json()
    assert plain["area_m2"] == pytest.approx(done.cells.area_m2.sum(), abs=1)
    assert plain["scores"][0]["n"] <= plain["scores"][0]["N"]
    assert 0 <= plain["scores"][0]["pei"] <= 1
    assert "No datum was named; the coordinates were taken as WGS 84." in done.notes


def test_what_is_left_out_or_odd_is_said(tmp_path):
    rows = reports(100) + [f"x{i},2024-02-0{i % 9 + 1},theft,41.81,-87.66" for i in range(4000)]
    rows += ["y1,2024-02-02,theft,,", "y2,2024-02-02,theft,41.9,-87.9"]
    twice = gpd.GeoDataFrame(
        geometry=[*TOWN.geometry, shapely.box(-87.70, 41.80, -87.69, 41.84)], crs=4326
    )
    done = run(written(tmp_path, rows), twice, Options(SPLIT, timezone="UTC"))
    said = " ".join(done.notes)
    assert "1 of 4,102 reports have no place or no time" in said
    assert "1 reports are outside of the area" in said
    assert "overlap by" in said
    assert "reports are there to score by; the figures say little" in said
    assert "4,000 of" in said


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            {"known_until": datetime(2023, 1, 1, tzinfo=UTC)},
            r"2024-02-01 to .* leaves nothing known",
        ),
        ({"known_until": datetime(2025, 1, 1, tzinfo=UTC)}, "leaves nothing to score"),
        ({"scored_until": datetime(2024, 2, 1, tzinfo=UTC)}, "must end after"),
        ({"side_m": 500}, "a side from 77 to 182 m"),
        ({"mapping": ("occurred_at=",)}, "says when"),
    ],
)
def test_bad_input_is_a_sentence(tmp_path, change, what):
    options = {"known_until": SPLIT, "timezone": "UTC"} | change
    with pytest.raises(BenchError, match=what):
        run(written(tmp_path, reports()), TOWN, Options(**options))


def test_nothing_in_the_area_is_a_sentence(tmp_path):
    far = gpd.GeoDataFrame(geometry=[shapely.box(10, 50, 10.01, 50.01)], crs=4326)
    with pytest.raises(BenchError, match="400 reports are outside of the area"):
        run(written(tmp_path, reports()), far, Options(SPLIT, timezone="UTC"))


def test_in_china_a_datum_has_to_be_named(tmp_path):
    path = written(tmp_path, reports(lat=23.02, lon=113.12))
    with pytest.raises(BenchError, match="--datum"):
        read_reports(path, Options(SPLIT))
    named = read_reports(path, Options(SPLIT, datum="gcj02"))
    assert len(named.lonlat) == 400
    assert named.lonlat[:, 0].mean() < 113.118  # moved by the offset of about 500 m
