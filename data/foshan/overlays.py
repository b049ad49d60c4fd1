"""Layers beside the tree: dedicated grids, police beats, red grids, sub-centres, hotline areas."""

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from shapely import STRtree
from shapely.geometry.base import BaseGeometry

from data.foshan import facts
from data.foshan.facts import Ints
from data.foshan.names import ordinal, stem
from data.foshan.network import DEGREE_GRID, Geometries, degrees, metres
from gis.codes import mint

DEDICATED = {
    "industrial_park": ("工业园", 0.80, 26),
    "school": ("中心学校", 0.28, 32),
    "hospital": ("人民医院", 0.24, 20),
    "market": ("批发市场", 0.42, 6),
}
"""Kind of place: what its name ends in, its size as a share of the grid around it, how many."""
PARK_TOWN = "440607101"
FACES_PER_BEAT = 75
STRAY = 0.10
"""Share of grids that give up blocks to a neighbouring beat, if they lie at its border."""
HOTLINES = (
    ("440604010", "440604011", "440604012", "440604100"),
    ("440605011", "440605125"),
    ("440605124", "440605126"),
    ("440605121", "440605122", "440605123"),
    ("440606005", "440606006", "440606003"),
    ("440606101", "440606102", "440606103"),
    ("440606004", "440606104", "440606105", "440606106"),
    ("440607001", "440607004", "440607104"),
    ("440607101", "440607103", "440607105", "440607106"),
    ("440608004", "440608106", "440608107", "440608108"),
)
SPECIALTIES = ("劳动争议", "婚姻家庭", "物业纠纷", "土地征收", "交通事故", "商事纠纷")
DESK = ("魁奇东路", "石湾镇街道综治中心分中心", "440604010")


def union_by(shapes: Geometries, key: np.ndarray) -> pd.Series:
    """The unions of a coverage's polygons with the same key, vertex for vertex, sorted by key."""
    order = np.argsort(key, kind="stable")
    keys, start = np.unique(key[order], return_index=True)
    groups = np.split(shapes[order], start[1:])
    return pd.Series([shapely.coverage_union_all(g) for g in groups], index=keys)


def dedicated(
    grids: gpd.GeoDataFrame, water: gpd.GeoDataFrame, rng: np.random.Generator
) -> gpd.GeoDataFrame:
    """Grids of their own over parts of basic ones: parks, schools, hospitals, wholesale markets."""
    wet = shapely.union_all(metres(water.geometry.to_numpy())).buffer(15.0)
    villages = facts.villages().set_index("village_code")
    host = villages.host.loc[grids.parent].to_numpy()
    area = shapely.area(metres(grids.geometry.to_numpy()))
    rows: list[tuple[str, str, str, BaseGeometry]] = []
    used: set[str] = set()
    plan = [(kind, t) for kind, (_, _, n) in DEDICATED.items() for t in _towns(kind, host, n)]
    for kind, town in plan:
        free = np.flatnonzero((host == town) & ~np.isin(grids.parent.to_numpy(), list(used)))
        if not free.size:
            continue
        big = kind in ("industrial_park", "market")
        pick = free[np.argsort(area[free])[int(len(free) * (0.9 if big else 0.3))]]
        village = str(grids.parent.iloc[pick])
        used.add(village)
        home = shapely.coverage_union_all(grids.geometry[grids.parent == village].to_numpy())
        shape = _site(
            metres(np.array([grids.geometry.iloc[pick], home])), DEDICATED[kind][1], rng, wet
        )
        title = facts.towns().set_index("code").name[town].removesuffix("街道").removesuffix("镇")
        rows.append(
            (village, kind, _title(kind, title, stem(villages.village_name[village])), shape)
        )
    shapes = degrees(np.array([r[3] for r in rows]))
    table = pd.DataFrame([r[:3] for r in rows], columns=["parent", "place", "name"])
    centre = shapely.get_coordinates(shapely.point_on_surface(shapes))
    taken = grids.groupby("parent").code.apply(list)
    table["code"] = [
        mint(v, [c], used=taken[v])[0] for v, c in zip(table.parent, centre, strict=True)
    ]
    table["kind"] = "dedicated"
    table["party_branch"] = table.name + "专属网格党支部"
    table["residents"] = rng.integers(300, 5000, len(table))
    park = (table.place == "industrial_park") & table.parent.map(villages.host).eq(PARK_TOWN)
    table.loc[park, "residents"] = 61_000
    table["households"] = (table.residents / 3.1).astype(int)
    return gpd.GeoDataFrame(table, geometry=shapes, crs=4326)


def _towns(kind: str, host: np.ndarray, n: int) -> list[str]:
    """Which towns get a place of this kind; every park list has Datang, every market list Dali."""
    first = {"industrial_park": PARK_TOWN, "market": facts.RED_TOWN}.get(kind)
    codes = [c for c in facts.towns().code if c in set(host) and c != first]
    step = max(1, round(len(codes) / n))
    chosen = (codes[::step] + (codes[:4] if kind == "school" else []))[: n - bool(first)]
    return [first, *chosen] if first and first in set(host) else chosen


def _title(kind: str, town: str, village: str) -> str:
    end = DEDICATED[kind][0]
    return f"{town}{end}" if kind in ("industrial_park", "hospital") else f"{town}{village}{end}"


def _site(
    shapes: Geometries, share: float, rng: np.random.Generator, wet: BaseGeometry
) -> BaseGeometry:
    """A walled site around a grid's middle, inside its village, on land (metres): one polygon."""
    grid, village = shapes
    size = np.sqrt(grid.area * share)
    land = shapely.difference(grid, wet)
    x, y = shapely.get_coordinates(shapely.point_on_surface(grid if land.is_empty else land))[0]
    wide, high = size * rng.uniform(1.0, 1.35), size * rng.uniform(0.7, 0.95)
    box = shapely.box(x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
    turned = shapely.affinity.rotate(box, float(rng.uniform(-25, 25)))
    inside = (
        shapely.intersection(turned, shapely.difference(village, wet).buffer(-4.0))
        .buffer(-6.0)
        .buffer(6.0, quad_segs=2)
    )
    best = max(shapely.get_parts(inside), key=lambda g: g.area)
    return shapely.Polygon(best.exterior).simplify(1.0)


def beats(
    faces: Geometries, leaf: Ints, town: np.ndarray, village: np.ndarray, seed: int
) -> gpd.GeoDataFrame:
    """Police beats (警务责任区): mostly whole villages or grids, some cut through grids.

    ``faces`` (degrees) are the blocks between all streets; beside each its leaf, the codes of its
    town and its village. Neighbouring leaves have numbers near each other, as they come from the
    same cut: a run of them is a beat.
    """
    rng = np.random.default_rng([seed, 110])
    order = np.lexsort((leaf, town))
    run = np.empty(len(faces), dtype=np.int64)
    run[order] = _runs(leaf[order], town[order], village[order], rng)
    a, b, shared = _borders(faces, town)
    label = _mend(run, a, b, shared)
    stray = rng.choice(np.unique(leaf), size=round(STRAY * len(np.unique(leaf))), replace=False)
    for x, y in ((a, b), (b, a)):
        over = (label[x] != label[y]) & np.isin(leaf[x], stray) & (shared > np.median(shared) / 2)
        first = pd.Series(label[y[over]], index=x[over]).groupby(level=0).min()
        label[first.index] = first.to_numpy()
    return _beat_table(faces, _mend(label, a, b, shared), town)


def _runs(leaf: Ints, town: np.ndarray, village: np.ndarray, rng: np.random.Generator) -> Ints:
    """Numbers of the runs into which blocks in order are parted; half end with a village."""
    n = len(leaf)
    ends: list[int] = []
    new_leaf = np.flatnonzero(np.r_[True, leaf[1:] != leaf[:-1]])
    new_village = np.flatnonzero(np.r_[True, village[1:] != village[:-1]])
    new_town = np.flatnonzero(np.r_[True, town[1:] != town[:-1]])
    for start, end in zip(new_town, np.r_[new_town[1:], n], strict=True):
        parts = max(2, round((end - start) / FACES_PER_BEAT))
        for at in np.linspace(start, end, parts + 1)[1:-1]:
            to = (new_village, new_leaf)[int(rng.random() < 0.5)]
            ends.append(int(to[np.abs(to - at).argmin()]))
    marks = np.zeros(n, dtype=np.int64)
    marks[np.unique(np.r_[ends, new_town])] = 1
    return np.cumsum(marks)


def _cluster(xy: facts.Array, k: int) -> Ints:
    """Group places into ``k`` parts of about equal count by cuts across the longer side."""
    label = np.zeros(len(xy), dtype=np.int64)
    stack, fresh = [(np.arange(len(xy)), k)], 0
    while stack:
        who, n = stack.pop()
        if n == 1 or len(who) == 1:
            label[who] = fresh
            fresh += 1
            continue
        axis = int(np.ptp(xy[who, 1]) > np.ptp(xy[who, 0]))
        order = who[np.argsort(xy[who, axis], kind="stable")]
        cut = int(np.clip(round(len(order) * (n // 2) / n), 1, len(order) - 1))
        stack += [(order[cut:], n - n // 2), (order[:cut], n // 2)]
    return label


def _borders(shapes: Geometries, within: np.ndarray) -> tuple[Ints, Ints, facts.Array]:
    """Pairs of neighbours in a coverage with the same ``within``, and the metres that they share.

    Neighbours share whole segments, so no geometry needs to be intersected.
    """
    xy, owner = shapely.get_coordinates(shapes, return_index=True)
    node = np.unique(
        np.round(xy / DEGREE_GRID).astype(np.int64) @ [1 << 32, 1], return_inverse=True
    )[1]
    inside = owner[:-1] == owner[1:]
    ends = np.sort(np.stack([node[:-1], node[1:]], axis=1)[inside], axis=1)
    key = ends @ np.array([int(node.max()) + 1, 1])
    length = np.hypot(*(np.diff(xy, axis=0)[inside] * facts.METRES).T)
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(key[order][:-1] == key[order][1:])
    side = owner[:-1][inside][order]
    table = pd.DataFrame({"a": side[twin], "b": side[twin + 1], "m": length[order][twin]})
    table = table[within[table.a] == within[table.b]].groupby(["a", "b"]).m.sum().reset_index()
    return table.a.to_numpy(), table.b.to_numpy(), table.m.to_numpy()


def _mend(label: Ints, a: Ints, b: Ints, shared: facts.Array) -> Ints:
    """Give what is cut off from the rest of its label to the neighbour with the longest border."""
    label = label.copy()
    pairs = pd.DataFrame({"x": np.r_[a, b], "y": np.r_[b, a], "shared": np.r_[shared, shared]})
    for _ in range(12):
        part = _parts(len(label), a, b, label)
        size = np.bincount(part)[part]
        main = pd.DataFrame({"label": label, "part": part, "size": size})
        main = main.sort_values(["size", "part"]).drop_duplicates("label", keep="last")
        loose = ~np.isin(part, main.part)
        near = pairs[loose[pairs.x] & ~loose[pairs.y]]
        if near.empty:
            break
        near = near.assign(part=part[near.x], to=label[near.y])
        best = near.groupby(["part", "to"]).shared.sum().reset_index().sort_values("shared")
        to = best.drop_duplicates("part", keep="last").set_index("part").to
        moved = loose & np.isin(part, to.index)
        label[moved] = to.loc[part[moved]].to_numpy()
    return label


def _parts(n: int, a: Ints, b: Ints, label: Ints) -> Ints:
    same = label[a] == label[b]
    graph = coo_matrix((np.ones(int(same.sum())), (a[same], b[same])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _beat_table(faces: Geometries, label: Ints, station: np.ndarray) -> gpd.GeoDataFrame:
    names = facts.towns().set_index("code").name
    shape = union_by(faces, label)
    first = np.searchsorted(np.sort(label), shape.index)
    who = station[np.argsort(label, kind="stable")[first]]
    table = gpd.GeoDataFrame({"town": who}, geometry=shape.to_numpy(), crs=4326)
    middle = shapely.get_coordinates(shapely.point_on_surface(shape.to_numpy()))
    table = table.assign(x=middle[:, 0]).sort_values(["town", "x"], ignore_index=True)
    serial = table.groupby("town").cumcount() + 1
    short = table.town.map(names).str.removesuffix("街道").str.removesuffix("镇")
    table["station"] = short + "派出所"
    table["station_code"] = table.town.str[:6] + table.town.str[6:] + "000"
    table["code"] = table.station_code + serial.astype(str).str.zfill(2)
    table["name"] = [f"{s}第{ordinal(i)}警务责任区" for s, i in zip(short, serial, strict=True)]
    return table[["code", "name", "station", "station_code", "town", "geometry"]]


def red_grids(grids: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The 309 red grids of Dali: its basic grids under a name and number of their own."""
    host = facts.villages().set_index("village_code").host
    mine = grids[host.loc[grids.parent].to_numpy() == facts.RED_TOWN].reset_index(drop=True)
    number = [f"DLHG{i:03d}" for i in range(1, len(mine) + 1)]
    name = [f"大沥第{i}红格" for i in range(1, len(mine) + 1)]
    return gpd.GeoDataFrame(
        {"code": number, "name": name, "grid": mine.code}, geometry=mine.geometry, crs=4326
    )


def sub_centres(villages: gpd.GeoDataFrame, addresses: pd.DataFrame) -> gpd.GeoDataFrame:
    """Service areas of the towns' sub-centres: villages, with address and specialty."""
    rows = []
    for i, (town, group) in enumerate(villages.groupby("parent", sort=True)):
        middle = facts.to_xy(
            shapely.get_coordinates(shapely.point_on_surface(group.geometry.to_numpy()))
        )
        k = int(np.clip(round(len(group) / 14), 1, 4))
        label = _cluster(middle, k)
        label = _mend(label, *_borders(group.geometry.to_numpy(), np.zeros(len(group))))
        name = str(facts.towns().set_index("code").name[str(town)[:9]])
        for part in range(int(label.max()) + 1):
            area = shapely.coverage_union_all(group.geometry.to_numpy()[label == part])
            rows.append((str(town), name, part, SPECIALTIES[(i + part) % len(SPECIALTIES)], area))
    table = gpd.GeoDataFrame(
        pd.DataFrame(rows, columns=["town", "town_name", "part", "specialty", "geometry"]),
        geometry="geometry",
        crs=4326,
    )
    return _seated(table, addresses)


def _seated(table: gpd.GeoDataFrame, addresses: pd.DataFrame) -> gpd.GeoDataFrame:
    """Give every sub-centre an address inside its area; the one of Shiwan stands in its street."""
    road, title, town = DESK
    point = shapely.points(addresses.lon, addresses.lat)
    area, hit = STRtree(point).query(table.geometry.to_numpy(), predicate="contains")
    found = pd.DataFrame({"area": area, "hit": hit, "road": addresses.road.to_numpy()[hit]})
    found["first"] = (found.road == road) & (table.town.to_numpy()[area] == town + "000")
    found = found.sort_values(["area", "first", "hit"], ascending=[True, False, True])
    best = found.drop_duplicates("area").set_index("area")
    place = addresses.iloc[best.hit.reindex(table.index)]
    table["address"], table["lon"], table["lat"] = (
        place[c].to_numpy() for c in ("address", "lon", "lat")
    )
    on_road = best["first"].reindex(table.index).to_numpy(dtype=bool)
    desk = np.flatnonzero(on_road)[:1]
    name = np.array(
        [
            f"{n}综治中心第{ordinal(p + 1)}分中心" if m > 1 else f"{n}综治中心分中心"
            for n, p, m in zip(
                table.town_name,
                table.part,
                table.groupby("town").part.transform("size"),
                strict=True,
            )
        ],
        dtype=object,
    )
    name[desk] = title
    table["name"] = name
    table["code"] = table.town.str[:9] + "ZZ" + (table.part + 1).astype(str)
    return table[["code", "name", "town", "specialty", "address", "lon", "lat", "geometry"]]


def hotline_areas(towns: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Service areas of the 12345 hotline's desks: a few towns each."""
    rows = []
    for i, group in enumerate(HOTLINES, start=1):
        mine = towns[towns.code.str[:9].isin(group)]
        if len(mine):
            names = "、".join(n.removesuffix("街道").removesuffix("镇") for n in mine.name)
            area = shapely.coverage_union_all(mine.geometry.to_numpy())
            rows.append((f"12345-{i:02d}", f"12345热线{names}片区", ",".join(mine.code), area))
    table = pd.DataFrame(rows, columns=["code", "name", "towns", "geometry"])
    return gpd.GeoDataFrame(table, geometry="geometry", crs=4326)
