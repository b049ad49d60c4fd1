"""The demonstration city's facilities: centres, police stations, committees, studios, teams."""

from collections.abc import Sequence
from typing import Any

import geopandas as gpd
import pandas as pd

from data.foshan import facts, governance
from data.foshan.governance import CAPACITY
from data.foshan.ground import COLUMNS, Ground, short
from data.foshan.names import ordinal


def stations(ground: Ground) -> pd.DataFrame:
    """The towns' police stations."""
    return table_of([
        station_home(ground, str(code)) | {
            "external_id": f"station-{code}", "name": f"{short(town['name'])}派出所",
            "kind": "police_station", "skills": "mediation;traffic",
            "capacity": CAPACITY["police_station"],
        }
        for code, town in ground.towns.iterrows()
    ])  # fmt: skip


def station_home(ground: Ground, town: str) -> dict[str, Any]:
    """Where a town's police station is, and for what it answers."""
    return ground.near_seat(town, 1) | {"organisation": f"police-{town}"}


def table_of(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table; what does not move is on foot, and there at any hour unless it says so."""
    table = pd.DataFrame(list(rows), columns=list(COLUMNS))
    return table.assign(mode=table["mode"].astype(object).fillna("foot"))


# --- centres --------------------------------------------------------------------------------------


def centre_home(ground: Ground, town: str) -> dict[str, Any]:
    """Where a town's governance centre is, and for what it answers."""
    return ground.near_seat(town, 0) | {"organisation": f"centre-{town}"}


def centres(ground: Ground) -> pd.DataFrame:
    """A governance centre in every town: one hall, five rooms, and what else it offers."""
    rows = []
    for code, town in ground.towns.iterrows():
        rooms = (*governance.ROOMS, *(governance.COURT_ROOMS if code in governance.COURT_TOWNS
                                      else ()))  # fmt: skip
        rows.append(centre_home(ground, str(code)) | {
            "external_id": f"centre-{code}", "name": f"{town['name']}综治中心", "kind": "centre",
            "skills": ";".join(rooms), "shift": "day", "capacity": CAPACITY["centre"],
        })  # fmt: skip
    return table_of(rows)


def sub_centres(ground: Ground, areas: gpd.GeoDataFrame) -> pd.DataFrame:
    """The centres' branches with their specialties, each answering for its service area."""
    rows = []
    for area in areas.sort_values("code").itertuples():
        skills = ("reception", "mediation", governance.SPECIALTIES[area.specialty])
        rows.append({
            "external_id": f"sub_centre-{area.code}", "name": area.name, "kind": "sub_centre",
            "organisation": f"centre-{area.town[:9]}", "skills": ";".join(skills),
            "areas": f"sub_centres:{area.code}", "lon": area.lon, "lat": area.lat, "shift": "day",
            "capacity": CAPACITY["sub_centre"],
        })  # fmt: skip
    return table_of(rows)


def teams(ground: Ground) -> pd.DataFrame:
    """Court and police station of every town as one team (庭所共建)."""
    return table_of([
        station_home(ground, str(code)) | {
            "external_id": f"team-{code}", "name": f"{town['name']}庭所共建联调工作队",
            "kind": "joint_team", "skills": "mediation;court_circuit", "mode": "car",
            "shift": "office", "capacity": CAPACITY["joint_team"],
        }
        for code, town in ground.towns.iterrows()
    ])  # fmt: skip


# --- mediation ------------------------------------------------------------------------------------


def committees(ground: Ground) -> pd.DataFrame:
    """People's mediation committees: of towns, of villages, and of parks, schools and firms."""
    first = ground.basic.village.reset_index(drop=True).drop_duplicates()
    grids = dict(zip(first, first.index, strict=True))
    rows = [
        _village_committee(ground, code, name, grids[code])
        for code, name in zip(ground.villages.code, ground.villages.name, strict=True)
    ]
    tables = (governance.SITE_SKILLS, governance.VILLAGE_SKILLS)
    every = sorted({skill for table in tables for skills in table.values() for skill in skills})
    for code, town in ground.towns.iterrows():
        rows.append(ground.near_seat(str(code), 2) | {
            "external_id": f"committee-{code}", "name": f"{town['name']}人民调解委员会",
            "organisation": f"justice-{str(code)[:6]}", "skills": ";".join(every), "level": "town",
        })  # fmt: skip
    wanted = ground.total(governance.COMMITTEES) - len(rows)
    return _mediating("mediation_committee", rows + _firms(ground, wanted))


def _village_committee(ground: Ground, code: str, name: str, grid: int) -> dict[str, Any]:
    """In a house of the village's first grid."""
    rural = "村民" in name or name.endswith("村委会")
    return ground.in_grid(grid, 0) | {
        "external_id": f"committee-{code}", "name": f"{name}人民调解委员会",
        "organisation": f"justice-{code[:6]}", "areas": f"village:{code}", "level": "village",
        "skills": ";".join(governance.VILLAGE_SKILLS["rural" if rural else "urban"]),
    }  # fmt: skip


def _firms(ground: Ground, wanted: int) -> list[dict[str, Any]]:
    """Committees of dedicated grids first, then of the firms of the villages with most people."""
    rows = []
    sites = ground.grids[ground.grids.kind == "dedicated"].iloc[: max(0, wanted)]
    for site in sites.itertuples():
        rows.append({
            "external_id": f"committee-{site.code}", "name": f"{site.name}人民调解委员会",
            "organisation": f"justice-{site.town[:6]}", "area": f"grid:{site.code}",
            "areas": f"grid:{site.code}", "lon": site.lon, "lat": site.lat, "level": "firm",
            "skills": ";".join(governance.SITE_SKILLS[site.place]),
        })  # fmt: skip
    busiest = ground.basic.residents.to_numpy().argsort(kind="stable")[::-1]
    for i, grid in enumerate(busiest[: max(0, wanted - len(rows))].tolist()):
        row = ground.basic.iloc[grid]
        rows.append(ground.in_grid(grid, i) | {
            "organisation": f"justice-{row.town[:6]}",
            "external_id": f"committee-firm-{row.code}", "name": f"{row.title} 企业人民调解委员会",
            "skills": ";".join(governance.SITE_SKILLS[""]), "level": "firm",
        })  # fmt: skip
    return rows


def _mediating(kind: str, rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Facilities of a kind, with the column `level` beside those of a roster."""
    table = pd.DataFrame(list(rows), columns=[*COLUMNS, "level"])
    return table.assign(kind=kind, mode="foot", shift="day", capacity=CAPACITY[kind])


def _by_town(ground: Ground, whole_city: int) -> list[tuple[str, str, int]]:
    """So many places shared out by residents: town, its name, the number in the town."""
    residents = ground.towns.residents.to_numpy(float)
    count = facts.shares(residents, ground.total(whole_city))
    return [
        (str(code), str(name), i)
        for code, name, n in zip(ground.towns.index, ground.towns["name"], count, strict=True)
        for i in range(n)
    ]


def workstations(ground: Ground) -> pd.DataFrame:
    """Stations of the courts for disputes of one field (诉源治理工作站)."""
    titles = {skill.name: skill.title for skill in governance.SKILLS} | {
        "labour": "劳动争议", "property": "物业纠纷",
    }  # fmt: skip
    rows = []
    for n, (town, name, i) in enumerate(_by_town(ground, governance.WORKSTATIONS)):
        topic = governance.STATION_TOPICS[n % len(governance.STATION_TOPICS)]
        rows.append(ground.near_seat(town, 3 + i) | {
            "external_id": f"workstation-{town}-{i + 1}", "skills": f"mediation;{topic}",
            "name": f"{name}第{ordinal(i + 1)}诉源治理工作站（{titles[topic]}）",
            "organisation": f"court-{town[:6]}",
        })  # fmt: skip
    return _mediating("mediation_workstation", rows)


def labour_centres(ground: Ground) -> pd.DataFrame:
    """Labour-dispute centres in the towns with most residents."""
    most = ground.towns.sort_values("residents", ascending=False, kind="stable")
    rows = [
        ground.near_seat(str(code), 12) | {
            "external_id": f"labour_centre-{code}", "skills": "labour;mediation;arbitration",
            "name": f"{town['name']}劳动争议联合调解中心",
            "organisation": f"labour-{str(code)[:6]}",
        }
        for code, town in most.head(ground.total(governance.LABOUR_CENTRES)).iterrows()
    ]  # fmt: skip
    return _mediating("labour_dispute_centre", rows)


def studios(ground: Ground) -> pd.DataFrame:
    """Personal mediation studios with a specialty, under the towns' committees."""
    rows = []
    for n, (town, name, i) in enumerate(_by_town(ground, governance.STUDIOS)):
        topic = governance.STUDIO_TOPICS[n % len(governance.STUDIO_TOPICS)]
        rows.append(ground.near_seat(town, 14 + i) | {
            "external_id": f"studio-{town}-{i + 1}", "skills": f"mediation;{topic}",
            "name": f"{name}人民调解委员会第{ordinal(i + 1)}个人调解工作室", "level": "studio",
            "organisation": f"justice-{town[:6]}",
        })  # fmt: skip
    return _mediating("mediation_studio", rows)
