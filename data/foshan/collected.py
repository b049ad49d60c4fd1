"""Records, visits, watched places and assessments of the demonstration city: places, no people."""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely import STRtree
from sqlalchemy import Connection, Engine, text

from data import areas, assessments, intake, territory, visit_plans, visits, watched, watching
from data.assessments import Decision
from data.foshan import governance
from data.record_intake import RecordOptions, RecordTarget
from data.record_mapping import KINDS as KINDS_OF_RECORDS
from data.reports import Point
from data.visit_plans import NewPlan
from data.visits import Proof
from data.watched import NewPlace, Reading
from data.watching import WatchRule
from gis.datum import from_wgs84
from gis.drawn import polygon
from gis.placement import metres_per_degree
from gis.thresholds import Condition

Progress = Callable[[str, float], None]

SOURCE = "粤平安采集"
SPREAD_M = 15.0
NOWHERE, OFF, UNNAMED = 0.02, 0.03, 0.02
"""Shares of records that name no place, lie outside the city, or have an address only."""
KINDS: dict[str, tuple[int, dict[str, tuple[str, ...]]]] = {
    "rental": (4000, {"层数": ("2", "3", "4", "6"), "安全出口": ("1", "2"),
                      "出租间数": ("1", "2", "4", "8", "12")}),
    "firm": (2500, {"行业": ("制造业", "批发零售", "餐饮", "物流仓储", "居民服务"),
                    "从业人数": ("3", "8", "25", "60", "240")}),
    "danger": (600, {"隐患类别": ("电动车违规充电", "消防通道堵塞", "私拉电线", "危房", "井盖缺失"),
                     "等级": ("一般", "较大", "重大")}),
}  # fmt: skip
DISTRICT, TOWN = "440604000000", "440604010000"
"""Where rental homes are visited and grids patrolled: Chancheng, and Shiwan in it."""
PROVEN = 150
"""Visits that were made already."""
SITES, DAYS = 24, 14
WAGES = WatchRule(
    "building_site",
    "欠薪预警",
    [Condition("欠薪天数", ">", 7, clear=0), Condition("在场人数", ">", 20)],
    "劳资纠纷",
    urgency=2,
)
DECISIONS = (
    ("魁奇路拓宽工程", 600.0, "medium", "分段施工，提前公告，入户走访沿线商户"),
    ("旧村居连片改造", 900.0, "high", "暂缓实施，先行签约协商"),
    ("新建社区养老中心", 250.0, None, ""),
)


def is_missing(engine: Engine) -> bool:
    """Whether the demonstration city is there, but nothing was collected in it."""
    with engine.connect() as connection:
        asked = text(
            "SELECT EXISTS (SELECT FROM address WHERE source = :source)"
            " AND NOT EXISTS (SELECT FROM record) AND NOT EXISTS (SELECT FROM visit_plan)"
        )
        return bool(connection.execute(asked, {"source": governance.SOURCE}).scalar_one())


def load(engine: Engine, seed: int = 4406, progress: Progress = lambda _w, _s: None) -> None:
    """Records by their importer, and the rest by the functions that the API calls."""
    rng = np.random.default_rng([seed, 79])
    with engine.connect() as connection:
        houses = _houses(connection)
    progress("collected records", 0.1)
    _import(engine, pd.concat([records(houses, kind, rng) for kind in KINDS]))
    now = datetime.now(UTC)
    with engine.begin() as connection:
        progress("visits", 0.6)
        _plan(connection, rng, now)
    with engine.begin() as connection:
        progress("watched places", 0.8)
        _watch(connection, houses, rng, now)
    with engine.begin() as connection:
        progress("risk assessments", 0.9)
        _assess(connection, houses, rng, now)


def _houses(connection: Connection) -> pd.DataFrame:
    """The city's addresses with lon, lat and the code of the village that each lies in."""
    asked = text(
        'SELECT "text" AS address, ST_X(geom) AS lon, ST_Y(geom) AS lat FROM address'
        " WHERE source = :source ORDER BY id"
    )
    houses = pd.read_sql(asked, connection, params={"source": governance.SOURCE})
    villages: gpd.GeoDataFrame = areas.read(connection, "village")
    tree = STRtree(villages.geometry.to_numpy())
    house, village = tree.query(shapely.points(houses.lon, houses.lat), predicate="within")
    return houses.iloc[house].assign(village=villages.code.to_numpy()[village])


def records(houses: pd.DataFrame, kind: str, rng: np.random.Generator) -> pd.DataFrame:
    """Records of a kind as a collecting app exports them: a table that `import records` reads.

    Positions are GCJ-02. As in life, some name no place, some an address only, and some a
    position that is far off.
    """
    count, facts = KINDS[kind]
    some = houses.iloc[rng.integers(len(houses), size=count)]
    mx, my = metres_per_degree(float(some.lat.mean()))
    lon = some.lon.to_numpy() + rng.normal(0, SPREAD_M / mx, count)
    lat = some.lat.to_numpy() + rng.normal(0, SPREAD_M / my, count)
    fate = rng.random(count)
    lon[(fate > NOWHERE) & (fate < NOWHERE + OFF)] += 2.0
    x, y = from_wgs84(lon, lat, "gcj02")
    unplaced = fate < NOWHERE + OFF + UNNAMED
    without = (fate < NOWHERE) | (unplaced & (fate >= NOWHERE + OFF))
    table: dict[str, Any] = {
        "采集编号": [f"{kind}-{n:05}" for n in range(1, count + 1)],
        "类别": KINDS_OF_RECORDS.titles[kind],
        "经度": np.where(without, np.nan, np.round(x, 6)),
        "纬度": np.where(without, np.nan, np.round(y, 6)),
        "坐标系": "gcj02",
        "地址": np.where(fate < NOWHERE, None, some.address.to_numpy(object)),
        "所属社区": some.village.to_numpy(object),
        "采集时间": pd.Timestamp("2023-01-01") + pd.to_timedelta(
            rng.integers(0, 365 * 86_400, count), unit="s"
        ),
    }  # fmt: skip
    for name, values in facts.items():
        table[name] = rng.choice(values, count)
    return pd.DataFrame(table)


def _import(engine: Engine, table: pd.DataFrame) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "records.csv"
        table.to_csv(path, index=False)
        intake.run(engine, path, RecordOptions(SOURCE), target=RecordTarget)


def _plan(connection: Connection, rng: np.random.Generator, now: datetime) -> None:
    """Rental homes of a district once in 30 days, the grids of a town each five working days."""
    day = visit_plans.today(now)
    wanted = (
        ("出租屋走访", DISTRICT, "rental", 30, "days", 12),
        ("网格巡查", TOWN, None, 5, "working_days", 2),
    )
    for name, code, kind, every, unit, ago in wanted:
        area = territory.named(connection, code).id
        begins = day - timedelta(days=ago)
        plan = NewPlan(name, area, "grid_helper", every, begins, kind, unit, 60.0)
        visit_plans.add(connection, plan, actor=governance.SOURCE, now=now)
    places = connection.execute(
        text(
            "SELECT v.id, ST_X(r.geom) AS lon, ST_Y(r.geom) AS lat"
            " FROM visit v JOIN record r ON r.id = v.record_id ORDER BY v.id"
        )
    ).all()
    for n in rng.choice(len(places), min(PROVEN, len(places)), replace=False):
        visit, lon, lat = places[int(n)]
        taken = now - timedelta(hours=float(rng.uniform(1, 48)))
        here = Point(lon + float(rng.normal(0, 4e-4)), lat, "wgs84", 12.0)
        proof = Proof(here.lon, here.lat, "wgs84", here, taken)
        visits.prove(connection, visit, proof, actor=governance.SOURCE, now=now)


def _watch(
    connection: Connection, houses: pd.DataFrame, rng: np.random.Generator, now: datetime
) -> None:
    """Building sites that send every day since when wages are overdue, and for how many."""
    watching.add(connection, WAGES, actor=governance.SOURCE, now=now)
    for n, house in enumerate(houses.iloc[rng.integers(len(houses), size=SITES)].itertuples(), 1):
        place = NewPlace(
            "实名制平台", f"site-{n:03}", "building_site", f"第{n:03}工地",
            shapely.Point(house.lon, house.lat), "labour-440600", {"地址": house.address},
        )  # fmt: skip
        number, _ = watched.save(connection, place, actor=governance.SOURCE)
        crew, overdue = int(rng.integers(8, 160)), rng.random() < 0.15
        readings = []
        for back in range(DAYS, 0, -1):
            at = now - timedelta(days=back - 1, minutes=5)
            late = DAYS - back if overdue else 0
            readings += [Reading("欠薪天数", at, late), Reading("在场人数", at, crew)]
        watched.store(connection, number, readings, now)
    watching.look(connection, now, kind="building_site")


def _assess(
    connection: Connection, houses: pd.DataFrame, rng: np.random.Generator, now: datetime
) -> None:
    """Decisions about areas of the city, some taken, one still a draft."""
    for title, radius_m, level, decision in DECISIONS:
        house = houses.iloc[int(rng.integers(len(houses)))]
        mx, my = metres_per_degree(float(house.lat))
        angle = np.linspace(0, 2 * np.pi, 33)
        ring = np.column_stack(
            [house.lon + radius_m / mx * np.cos(angle), house.lat + radius_m / my * np.sin(angle)]
        )
        drawn = polygon({"type": "Polygon", "coordinates": [ring.tolist()]})
        number = assessments.draft(connection, title, drawn, actor=governance.SOURCE, now=now)
        if level:
            said = Decision(level, decision, "佛山市委政法委", visit_plans.today(now))
            assessments.decide(connection, number, said, actor=governance.SOURCE, now=now)
