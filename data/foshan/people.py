"""The demonstration city's people and facilities: roles, not names, in the article's numbers."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely import STRtree

from data.catalogue import Catalogue, OrganisationGiven
from data.foshan import facilities, facts, governance
from data.foshan.facilities import centre_home, station_home, table_of
from data.foshan.facts import Ints
from data.foshan.governance import BODIES, ROLES, Role
from data.foshan.ground import COLUMNS, Drawn, Ground, short
from data.foshan.names import ordinal


def catalogue(drawn: Drawn) -> Catalogue:
    """The city's own skills, and its organisations: the "1", the "6" and some of the "N"."""
    districts = facts.districts().set_index("code").name
    towns = drawn.towns.set_index("code").name
    bodies: list[OrganisationGiven] = []
    for key, body in BODIES.items():
        top = f"{key}-440600"
        calendar = "always" if key in governance.AROUND_THE_CLOCK else "office"
        bodies.append(_body(top, body.city, body.role, None, f"city:{facts.CITY}", calendar))
        for code in sorted({town[:6] for town in towns.index}):
            name = body.district.format(districts[code])
            area = f"district:{code}000000"
            bodies.append(_body(f"{key}-{code}", name, body.role, top, area))
    for key, title in governance.TOWN_BODIES.items():
        for code, town in towns.items():
            name = title.format(short(town) if key == "police" else town)
            above = f"{key}-{str(code)[:6]}"
            bodies.append(
                _body(f"{key}-{str(code)[:9]}", name, BODIES[key].role, above, f"town:{code}")
            )
    return Catalogue(skills=list(governance.SKILLS), organisations=bodies)


def _body(
    code: str, name: str, role: str, parent: str | None, area: str, calendar: str | None = None
) -> OrganisationGiven:
    return OrganisationGiven(
        code=code, name=name, role=role, parent=parent, area=area, calendar=calendar
    )


def roster(drawn: Drawn, seed: int = 4406) -> pd.DataFrame:
    """Everybody and every facility, as a table that `import resources` reads.

    The same city and seed give the same table. Homes are WGS 84. Of a part of the city there are
    as many as its share of the grids.
    """
    ground = Ground(drawn, seed)
    committees, studios = facilities.committees(ground), facilities.studios(ground)
    parts = [
        _grid_people(ground), _officers(ground, drawn.beats), _patrols(ground),
        facilities.centres(ground), facilities.sub_centres(ground, drawn.sub_centres),
        facilities.stations(ground), facilities.teams(ground), committees,
        facilities.workstations(ground), facilities.labour_centres(ground), studios,
        _mediators(pd.concat([committees, studios])), _lawyers(ground), _staff(ground),
    ]  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    return table[list(COLUMNS)]


# --- people in the grids --------------------------------------------------------------------------


def _grid_people(ground: Ground) -> pd.DataFrame:
    """Leads, helpers, heads of household groups, volunteers and informants, by residents."""
    n = len(ground.basic)
    residents = ground.basic.residents.to_numpy()
    helpers = facts.shares(residents, n * governance.HELPERS_PER_GRID, 1)
    for town, workers in governance.WORKERS_OF_TOWN.items():
        mine = np.flatnonzero(ground.basic.town == town)
        if mine.size:
            helpers[mine] = facts.shares(residents[mine], workers - mine.size)
    heads = facts.shares(residents, n * governance.HEADS_PER_GRID, 1)
    volunteers = np.zeros(n, dtype=np.int64)
    for district, count in governance.VOLUNTEERS.items():
        mine = np.flatnonzero(ground.basic.town.str.startswith(district))
        if mine.size:
            volunteers[mine] = facts.shares(residents[mine], count)
    others = n + int(helpers.sum() + heads.sum() + volunteers.sum())
    informants = facts.shares(residents, ground.total(governance.PEOPLE) - others)
    counts = {"grid_helper": helpers, "household_head": heads, "volunteer": volunteers,
              "informant": informants}  # fmt: skip
    lead = _in_grids(ground, "grid_lead", np.ones(n, dtype=np.int64))
    lead[["lon", "lat"]] = ground.basic[["lon", "lat"]].to_numpy()
    return pd.concat([lead, *(_in_grids(ground, kind, each) for kind, each in counts.items())])


def _in_grids(ground: Ground, kind: str, count: Ints) -> pd.DataFrame:
    """So many people of a kind in each basic grid, at houses in it."""
    role, basic = ROLES[kind], ground.basic
    grid = np.repeat(np.arange(len(count)), count)
    serial = np.arange(len(grid)) - np.repeat(np.cumsum(count) - count, count)
    code = basic.code.to_numpy()[grid]
    number = (serial + 1).astype(str).astype(object)
    alone = kind == "grid_lead"
    lon, lat = ground.homes(grid, serial + len(kind)).T  # kinds begin at different houses
    home = "grid:" + code.astype(object)
    table = {
        "external_id": f"{kind}-" + code + ("" if alone else "-" + number),
        "name": basic.title.to_numpy()[grid] + f" {role.title}" + ("" if alone else number),
        "kind": kind,
        "organisation": "grid-" + basic.town.to_numpy(object)[grid],
        "area": home,
        "areas": home if kind in governance.GRID else "",
        "lon": lon,
        "lat": lat,
        "mode": np.where(basic.large.to_numpy()[grid], "moped", "foot"),
    }
    return _with_role(pd.DataFrame(table), role)


def _with_role(table: pd.DataFrame, role: Role) -> pd.DataFrame:
    """Add what a role brings: shift, skills and capacity, person by person."""
    turn = np.arange(len(table))
    skills = np.array([";".join(each) for each in role.skills], object)
    return table.assign(
        shift=np.array(role.shifts, object)[turn % len(role.shifts)],
        skills=skills[turn % len(skills)],
        capacity=role.capacity,
    )


# --- police ---------------------------------------------------------------------------------------


def _officers(ground: Ground, beats: gpd.GeoDataFrame) -> pd.DataFrame:
    """A community police officer for every beat, answering for it and for the grids in it."""
    beats = beats.sort_values("code", ignore_index=True)
    shapes = beats.geometry.to_numpy()
    middle = shapely.points(ground.basic.lon, ground.basic.lat)
    grid, beat = STRtree(shapes).query(middle, predicate="within")
    grids = pd.Series("grid:" + ground.basic.code.to_numpy()[grid]).groupby(beat).agg(";".join)
    inner = shapely.get_coordinates(shapely.point_on_surface(shapes))
    home = STRtree(middle).query_nearest(shapely.points(inner), all_matches=False)[1]
    own = "beats:" + beats.code
    table = pd.DataFrame(
        {
            "external_id": "officer-" + beats.code,
            "name": beats.station + " " + beats.name + " " + ROLES["police_officer"].title,
            "kind": "police_officer",
            "organisation": "police-" + beats.town,
            "area": "grid:" + ground.basic.code.to_numpy()[home],
            "areas": own + (";" + grids.reindex(beats.index)).fillna(""),
            "lon": inner[:, 0],
            "lat": inner[:, 1],
            "mode": "moped",
        }
    )
    return _with_role(table, ROLES["police_officer"])


def _patrols(ground: Ground) -> pd.DataFrame:
    """Cars at every police station, as many on each watch as the town has people for."""
    role, rows = ROLES["patrol"], []
    for code, town in ground.towns.iterrows():
        cars = max(1, round(town.residents / governance.PATROL_RESIDENTS))
        home = station_home(ground, str(code))
        for car in range(1, cars + 1):
            for watch in range(1, len(role.shifts) + 1):
                rows.append(home | {
                    "external_id": f"patrol-{code}-{car}-{watch}",
                    "name": f"{short(town['name'])}派出所 第{ordinal(car)}{role.title} {watch}班",
                })  # fmt: skip
    table = pd.DataFrame(rows).assign(kind="patrol", mode="car")
    return _with_role(table, role)


def _lawyers(ground: Ground) -> pd.DataFrame:
    """A lawyer at every police station (律师进所)."""
    role = ROLES["lawyer"]
    rows = [
        station_home(ground, str(code)) | {
            "external_id": f"lawyer-{code}", "name": f"{short(town['name'])}派出所 {role.title}",
            "kind": "lawyer", "organisation": f"justice-{str(code)[:6]}", "mode": "foot",
        }
        for code, town in ground.towns.iterrows()
    ]  # fmt: skip
    return _with_role(pd.DataFrame(rows), role)


# --- mediators and staff --------------------------------------------------------------------------


def _mediators(homes: pd.DataFrame) -> pd.DataFrame:
    """The mediators of committees and studios, each with a specialty of theirs."""
    count = homes.level.map(governance.MEDIATORS).to_numpy()
    table = homes.loc[:, list(COLUMNS)].iloc[np.repeat(np.arange(len(homes)), count)]
    serial = np.arange(len(table)) - np.repeat(np.cumsum(count) - count, count)
    offered = [skills.split(";") for skills in table.skills]
    number = (serial + 1).astype(str).astype(object)
    table = _with_role(table, ROLES["mediator"]).assign(
        external_id="mediator-" + table.external_id.to_numpy() + "-" + number,
        name=table.name.to_numpy() + f" {ROLES['mediator'].title}" + number,
        kind="mediator",
        mode="moped",
    )
    # One after the other they cover what their committee offers.
    own = [
        {"mediation", each[i % len(each)]} for each, i in zip(offered, serial.tolist(), strict=True)
    ]
    return table.assign(skills=[";".join(sorted(each)) for each in own])


def _staff(ground: Ground) -> pd.DataFrame:
    """What the bodies of the "6" and the "N" keep at every centre."""
    rows = []
    for code, town in ground.towns.iterrows():
        home = centre_home(ground, str(code))
        for key, body in BODIES.items():
            for i, skills in enumerate(body.staff):
                rows.append(home | {
                    "external_id": f"staff-{code}-{key}-{i + 1}", "kind": "staff",
                    "name": f"{town['name']}综治中心 {body.title}工作人员{i + 1}",
                    "organisation": f"{key}-{str(code)[:6]}", "skills": ";".join(skills),
                    "mode": "car", "shift": body.shifts[i % len(body.shifts)], "capacity": 1,
                })  # fmt: skip
    return table_of(rows)
