"""The demonstration city's people: the article's numbers, roles without names, homes in place."""

from datetime import UTC, datetime
from types import SimpleNamespace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import Connection, text

from data import areas, case_catalogue, clocks, resource_files, return_visits, service_times
from data.catalogue import Catalogue
from data.foshan import casework, facts, feed, governance, load, people
from data.foshan.city import City, generate
from data.foshan.overlays import SPECIALTIES
from data.schema.resources import MODES
from data.stages import STAGES

CHANCHENG = "440604"


@pytest.fixture(scope="module")
def chancheng() -> City:
    return generate(districts=[CHANCHENG])


@pytest.fixture(scope="module")
def local(chancheng: City) -> pd.DataFrame:
    return people.roster(chancheng)


def schematic() -> SimpleNamespace:
    """The whole city with its real numbers of towns, villages and grids, all of them squares."""
    towns, villages = facts.towns(), facts.villages()
    grid = []
    for town in towns.itertuples():
        mine = villages[villages.host == town.code].village_code.tolist()
        grid += [mine[i % len(mine)] for i in range(town.grids)]
    parent = pd.Series(sorted(grid))
    serial = parent.groupby(parent).cumcount() + 1
    code = parent + serial.astype(str).str.zfill(3)
    n = np.arange(len(code))
    west, south = 113 + n % 82 * 0.005, 23 + n // 82 * 0.005
    shapes = shapely.box(west, south, west + 0.005, south + 0.005)
    rng = np.random.default_rng(1)
    grids = gpd.GeoDataFrame(
        {"code": code, "name": "第" + code.str[-3:] + "网格", "parent": parent, "kind": "basic",
         "residents": rng.integers(200, 4000, len(code))},
        geometry=shapes, crs=4326,
    )  # fmt: skip
    middle = shapely.get_coordinates(shapely.centroid(shapes))
    town_code = towns.code + "000"
    places = gpd.GeoDataFrame(geometry=shapes[: len(towns)], crs=4326)
    return SimpleNamespace(
        grids=grids,
        villages=pd.DataFrame({"code": villages.village_code, "name": villages.village_name,
                               "parent": villages.host + "000"}),
        towns=pd.DataFrame({"code": town_code, "name": towns.name}),
        beats=places.assign(code=town_code + "01", name="第一警务责任区", station="派出所",
                            town=towns.code),
        sub_centres=places.assign(
            code=towns.code + "ZZ1", name="分中心", town=town_code, lon=113.0, lat=23.0,
            specialty=[SPECIALTIES[i % len(SPECIALTIES)] for i in range(len(towns))],
        ),
        addresses=pd.DataFrame({"lon": middle[:, 0], "lat": middle[:, 1]}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole() -> pd.DataFrame:
    return people.roster(schematic())


def test_the_whole_city_has_the_articles_numbers(whole: pd.DataFrame) -> None:
    count = whole.kind.value_counts()
    assert count.grid_lead == 6602
    in_grids = ["grid_lead", "grid_helper", "household_head", "informant", "volunteer"]
    assert count[in_grids].sum() == 220_000
    assert count.centre == 32
    assert count.mediation_committee == 1373
    assert count.mediation_workstation == 97
    assert count.labour_dispute_centre == 22
    assert count.mediation_studio == 55
    assert count.volunteer == 600
    assert count.police_station == 32
    hecheng = whole[whole.organisation == "grid-440608004"].kind.value_counts()
    assert hecheng.grid_lead + hecheng.grid_helper == 264
    assert whole.external_id.is_unique
    assert not whole[["external_id", "name", "kind", "lon", "lat", "mode"]].isna().any(axis=None)


def test_every_grid_has_one_lead_and_others_by_its_residents(
    chancheng: City, local: pd.DataFrame
) -> None:
    basic = chancheng.grids[chancheng.grids.kind == "basic"]
    share = len(basic) / facts.GRIDS
    mine = local[local.kind.isin(["grid_lead", "grid_helper", "household_head", "informant",
                                  "volunteer"])]  # fmt: skip
    assert len(mine) == round(governance.PEOPLE * share)
    leads = local[local.kind == "grid_lead"]
    assert sorted(leads.area) == sorted("grid:" + basic.code)
    assert (leads.areas == leads.area).all()
    per_grid = mine.groupby("area").size()["grid:" + basic.code]
    assert np.corrcoef(per_grid, basic.residents)[0, 1] > 0.99
    assert (local[local.kind == "volunteer"].name.str.contains("飞鸿联盟志愿者")).all()


def test_people_are_at_home_inside_their_grid(chancheng: City, local: pd.DataFrame) -> None:
    shapes = chancheng.grids.set_index("grid:" + chancheng.grids.code).geometry
    named = local[local.area.notna() & ~local.kind.isin(["police_officer"])]
    inside = shapely.intersects_xy(shapes.loc[named.area].to_numpy(), named.lon, named.lat)
    assert inside.all()
    addresses = set(zip(chancheng.addresses.lon, chancheng.addresses.lat, strict=True))
    others = local[local.kind.isin(["informant", "household_head"])]
    at_an_address = [home in addresses for home in zip(others.lon, others.lat, strict=True)]
    assert np.mean(at_an_address) > 0.9


def test_names_are_roles_in_places(local: pd.DataFrame) -> None:
    lead = local[local.kind == "grid_lead"].iloc[0]
    assert lead["name"] == "石湾镇街道 澜石 第001网格 网格长"
    words = "网格长|网格员|楼长|信息员|志愿者|民警|车组|调解|律师|工作|中心|派出所"
    assert local.name.str.contains(words).all()


def test_officers_answer_for_their_beat_and_the_grids_in_it(
    chancheng: City, local: pd.DataFrame
) -> None:
    officers = local[local.kind == "police_officer"].set_index("external_id")
    assert len(officers) == len(chancheng.beats)
    listed = officers.areas.str.split(";").explode()
    grids = listed[listed.str.startswith("grid:")]
    basic = chancheng.grids[chancheng.grids.kind == "basic"]
    assert sorted(grids) == sorted("grid:" + basic.code)  # each grid by one officer
    own = listed[listed.str.startswith("beats:")]
    assert ("officer-" + own.str[6:] == own.index).all()


def test_what_people_name_is_there_and_rules_ask_for_what_there_is(
    connection, local: pd.DataFrame, chancheng: City
) -> None:
    def names(table: str, column: str = "name") -> set[str]:
        return set(connection.execute(text(f"SELECT {column} FROM {table}")).scalars())

    skills = names("skill") | {skill.name for skill in governance.SKILLS}
    bodies = people.catalogue(chancheng).organisations
    assert {s for each in local.skills.fillna("") for s in each.split(";") if s} <= skills
    assert set(local.kind) <= names("resource_kind")
    assert set(local["shift"].dropna()) <= names("shift")
    assert set(local["mode"]) <= set(MODES)
    assert set(local.organisation) <= {body.code for body in bodies}
    assert {body.role for body in bodies} == {"centre", "six", "other"}
    assert set(governance.RULES) == {kind for kind, *_ in feed.MATTERS}
    assert set(governance.HANDLING) - {None} <= set(governance.RULES)
    offered = local.assign(skill=local.skills.fillna("").str.split(";")).explode("skill")
    for kind, (kinds, wanted) in governance.RULES.items():
        found = offered[offered.kind.isin(kinds)]
        assert set(kinds) <= set(local.kind) and set(wanted) <= set(found.skill), kind


def test_the_same_seed_gives_the_same_people(chancheng: City, local: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(people.roster(chancheng), local)
    assert not people.roster(chancheng, seed=7)["lon"].equals(local["lon"])


def test_a_city_without_people_is_peopled_once(engine, chancheng: City, tmp_path) -> None:
    with areas.change(engine, "import", "a part of the city") as change:
        for name, layer in load.TREE.items():
            frame = getattr(chancheng, name)
            if layer == "city":
                frame = frame.drop(columns="parent")
            areas.record(change, layer, frame)
        for name in ("beats", "sub_centres"):
            areas.ensure_layer(change.connection, name)
            areas.record(change, name, getattr(chancheng, name))
        load._addresses(change.connection, chancheng)
    assert load.is_deserted(engine)
    load.load_people(engine)
    assert not load.is_deserted(engine)
    roster = people.roster(chancheng)
    with engine.connect() as connection:
        count = pd.Series(connection.execute(text("SELECT kind FROM resource")).scalars().all())
        placed = connection.execute(
            text("""
            SELECT count(*) FILTER (WHERE r.home_area_id IS NULL),
                   count(*) FILTER (WHERE NOT ST_Intersects(v.geom, r.home))
            FROM resource r LEFT JOIN area_version v ON v.area_id = r.home_area_id
            WHERE r.kind <> 'police_officer'
            """)
        ).one()
        rules = connection.execute(text("SELECT count(*) FROM dispatch_rule")).scalar_one()
        kinds = case_catalogue.kinds(connection)
        unanswered = case_catalogue.unanswered(connection)
    assert count.value_counts().to_dict() == roster.kind.value_counts().to_dict()
    assert tuple(placed) == (0, 0)
    assert rules == 1 + len(governance.RULES)
    with engine.connect() as connection:
        times = service_times.as_of(connection, datetime.now(UTC), clocks.HANDLE)
    assert {row["kind"] for row in times} == set(governance.HANDLING)
    assert set(governance.RULES) <= {kind["code"] for kind in kinds}
    assert unanswered == []
    assert casework.is_missing(engine)
    casework.load(engine)
    assert not casework.is_missing(engine)
    with engine.connect() as connection:
        at_every_stage(connection)
        merged = connection.execute(text("SELECT count(merged_into) FROM incident")).scalar_one()
    assert merged == 1
    roster.to_parquet(tmp_path / "again.parquet")
    again = resource_files.run(
        engine, tmp_path / "again.parquet", resource_files.Options(governance.SOURCE, datum="wgs84")
    )
    assert (again.unchanged, again.rejected) == (len(roster), 0)


def at_every_stage(connection: Connection) -> None:
    """Cases stand at every stage, and reporters are at every point at which they are asked."""
    stood = connection.execute(text("SELECT DISTINCT stage FROM case_step")).scalars().all()
    stands = connection.execute(text("SELECT DISTINCT stage FROM incident")).scalars().all()
    assert set(stood) == set(STAGES)
    # What is solved is asked about, or closed, in the same moment: there no case stays.
    assert set(STAGES) - set(stands) == {"resolved"}
    due = return_visits.due(connection, actor="desk", at=datetime.now(UTC), limit=1000)
    assert due and all(row["phone"].startswith("139") and row["name"] is None for row in due)
    asked = connection.execute(text("SELECT channel, outcome, solved FROM return_visit")).all()
    assert {("link", None, None), ("link", "answered", True), ("link", "answered", False),
            ("phone", None, None)} <= {tuple(row) for row in asked}  # fmt: skip
    waiting = text("SELECT count(*) FROM question WHERE ended IS NULL")
    resting = text("SELECT count(*) FROM clock WHERE paused IS NOT NULL AND stopped IS NULL")
    assert connection.execute(waiting).scalar_one() == casework.TIMES
    assert connection.execute(resting).scalar_one() == casework.TIMES


def test_organisations_stand_below_each_other(chancheng: City) -> None:
    bodies = {body.code: body for body in people.catalogue(chancheng).organisations}
    assert isinstance(people.catalogue(chancheng), Catalogue)
    station = bodies["police-440604010"]
    assert (station.name, station.parent) == ("石湾派出所", "police-440604")
    assert bodies["police-440604"].parent == "police-440600"
    assert bodies["centre-440604010"].area == "town:440604010000"
