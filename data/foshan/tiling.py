"""From five districts down to basic grids: which lines are cut, and whose each region is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from data.foshan import facts
from data.foshan.facts import Array
from data.foshan.outline import drawn, mended
from data.foshan.partition import (
    Candidate,
    Cut,
    Cutter,
    Region,
    Style,
    pieces,
    roundness,
    splice,
    straight,
)

TOWN = Style("town", 0.030, 70.0, river_roundness=0.10, road_roundness=0.22)
VILLAGE = Style("village", 0.016, 55.0, river_roundness=0.14, road_roundness=0.26)
GRID = Style("grid", 0.007, 48.0, river_roundness=0.16, road_roundness=0.30)
PEOPLE_PER_GRID = 40
"""Sample points of the population that stand for one grid's residents."""


@dataclass
class Tiling:
    """The leaves with their owners, the cuts between them, and the courses drawn in detail."""

    regions: list[Region]
    village: list[str]
    town: list[str]
    district: list[str]
    districts: dict[str, BaseGeometry]
    cuts: list[Cut]
    lines: list[Array]


def tile(seed: int, districts: Sequence[str] | None, tell: Callable[[str, float], None]) -> Tiling:
    """Cut the districts (all, or those of the given 6-digit codes) into towns, villages, grids."""
    codes, polygons = mended()
    borders = shapely.line_merge(shapely.unary_union(shapely.boundary(polygons)))
    rng = np.random.default_rng(seed)
    lines = [drawn(course, borders, rng) for course in facts.courses()]
    kinds = [course.kind for course in facts.courses()]
    phase = rng.uniform(0, 2 * np.pi, 4)
    chosen = {c: p for c, p in zip(codes, polygons, strict=True) if not districts or c in districts}
    out = Tiling([], [], [], [], chosen, [], lines)
    free = [(i, shapely.LineString(line)) for i, line in enumerate(lines)]
    free = [(i, g) for i, g in free if not facts.courses()[i].along_border]
    for done, (code, polygon) in enumerate(chosen.items()):
        tell(f"cutting {code}", done / len(chosen))
        cutter = Cutter(np.random.default_rng([seed, int(code)]), kinds, phase)
        _tile_district(code, polygon, free, cutter, out)
        out.cuts += cutter.cuts
    return out


def _tile_district(
    code: str, polygon: BaseGeometry, free: list, cutter: Cutter, out: Tiling
) -> None:
    ring = shapely.get_coordinates(polygon.exterior)[:-1]
    whole = Region(ring, np.empty((0, 2)), list(pieces(free, ring, None)))
    towns = facts.towns()
    mine = towns[towns.code.str.startswith(code)]
    seats = facts.to_xy(mine[["lon", "lat"]].to_numpy())
    share = mine.area_km2.to_numpy() / mine.area_km2.sum() * polygon.area
    cutter.owner = code
    for k, region in _towns(whole, np.arange(len(mine)), seats, share, cutter):
        row = mine.iloc[k]
        region.people = crowd(region, seats[k], int(row.grids) * PEOPLE_PER_GRID, cutter.rng)
        cutter.owner = row.code
        parts = cutter.leaves(region, int(row.villages), VILLAGE)
        names = _owners(row.code, parts, seats[k])
        counts = facts.shares(np.array([len(p.people) + 1.0 for p in parts]), int(row.grids), 1)
        for village, part, n in zip(names, parts, counts, strict=True):
            cutter.owner = village
            leaves = cutter.leaves(part, int(n), GRID)
            for leaf in leaves:
                cutter.lanes(leaf)
            out.regions += leaves
            out.village += [village] * len(leaves)
            out.town += [row.code] * len(leaves)
            out.district += [code] * len(leaves)


def _towns(
    region: Region, who: np.ndarray, seats: Array, share: Array, cutter: Cutter
) -> list[tuple[int, Region]]:
    """Part a district so that every town gets about its area around its seat."""
    if len(who) == 1:
        return [(int(who[0]), region)]
    best = _town_cut(region, who, seats, share, cutter)
    first, second = cutter.cut(region, best, TOWN, seats[who])
    inside = shapely.contains_xy(first.polygon, seats[who, 0], seats[who, 1])
    if inside.all() or not inside.any():
        raise ValueError(f"no line parts the seats of towns {who.tolist()}: move a seat")
    return _towns(first, who[inside], seats, share, cutter) + _towns(
        second, who[~inside], seats, share, cutter
    )


def _town_cut(
    region: Region, who: np.ndarray, seats: Array, share: Array, cutter: Cutter
) -> Candidate:
    found = [*cutter.forced(region, TOWN), *_straight_town_cuts(region, who, seats, share)]
    total = share[who].sum()
    scored: list[tuple[float, int]] = []
    for k, candidate in enumerate(found):
        rings = splice(region.ring, candidate.chord)
        polygon = shapely.Polygon(rings[0])
        inside = shapely.contains_xy(polygon, seats[who, 0], seats[who, 1])
        if inside.all() or not inside.any():
            continue
        wanted = share[who][inside].sum() / total
        got = polygon.area / shapely.Polygon(region.ring).area
        miss = abs(np.log(got / wanted)) + abs(np.log((1 - got) / (1 - wanted)))
        near = shapely.distance(
            shapely.points(seats[who]), shapely.LineString(candidate.chord.line)
        )
        clear = float(np.clip(near.min() / 2500.0, 0, 1))
        clear -= 3.0 if near.min() < 500 else 0.0
        round_ = min(roundness(r)[1] for r in rings)
        bonus = _bonus(candidate, cutter)
        miss += max(0.0, miss - 0.5)
        scored.append((round_ + 1.2 * clear + bonus - 0.8 * miss, k))
    return found[max(scored)[1]]


def _bonus(candidate: Candidate, cutter: Cutter) -> float:
    """Towns end at rivers first, at main roads second."""
    if candidate.course < 0:
        return 0.0
    return 0.95 if cutter.kinds[candidate.course] == "river" else 0.40


def _straight_town_cuts(
    region: Region, who: np.ndarray, seats: Array, share: Array
) -> list[Candidate]:
    polygon = shapely.Polygon(region.ring)
    box = np.array(polygon.bounds).reshape(2, 2)
    sample = np.random.default_rng(0).uniform(box[0], box[1], (4000, 2))
    sample = sample[shapely.contains_xy(polygon, sample[:, 0], sample[:, 1])]
    out = []
    for angle in np.arange(16) * np.pi / 16:
        across = np.array([-np.sin(angle), np.cos(angle)])
        order = np.argsort(seats[who] @ across)
        part = np.cumsum(share[who][order])[:-1] / share[who].sum()
        seat = np.sort(seats[who] @ across)
        middle = (seat[:-1] + seat[1:]) / 2
        for q, m in zip(np.quantile(sample @ across, part), middle, strict=True):
            for offset in (q, (q + m) / 2, m):
                hit = straight(region.ring, float(angle), float(offset))
                if hit is not None:
                    out.append(Candidate(hit[0], 0.5, 0.0))
    return out


def crowd(region: Region, seat: Array, n: int, rng: np.random.Generator) -> Array:
    """``n`` points where people live: around the seat, in hamlets, and few elsewhere."""
    polygon = region.polygon
    shapely.prepare(polygon)
    radius = np.sqrt(polygon.area / np.pi)
    box = np.array(polygon.bounds).reshape(2, 2)
    hamlets = rng.uniform(box[0], box[1], (60, 2))
    out: list[Array] = []
    have = 0
    while have < n:
        kind = rng.choice(4, size=n, p=(0.26, 0.26, 0.28, 0.20))
        centre = np.where((kind < 2)[:, None], seat, hamlets[rng.integers(0, len(hamlets), n)])
        spread = np.array([min(0.28 * radius, 1500), 0.62 * radius, 0.09 * radius, 1.0])[kind]
        points = centre + rng.normal(size=(n, 2)) * spread[:, None]
        points[kind == 3] = rng.uniform(box[0], box[1], (int((kind == 3).sum()), 2))
        points = points[shapely.contains_xy(polygon, points[:, 0], points[:, 1])]
        out.append(points)
        have += len(points)
    return np.concatenate(out)[:n]


def _owners(town: str, parts: list[Region], seat: Array) -> list[str]:
    """Which village each part is: communities near the seat, villages outside, farms farthest."""
    table = facts.villages()
    mine = table[table.host == town]
    special = mine.town_code != town
    rural = mine.village_name.str.contains("村民委员会|村委会")
    kind = np.where(special, 2, np.where(rural, 1, 0))
    order = mine.village_code.to_numpy()[np.lexsort((mine.village_code, kind))]
    away = [float(np.hypot(*(part.ring.mean(axis=0) - seat))) for part in parts]
    names = [""] * len(parts)
    for code, k in zip(order, np.argsort(away, kind="stable"), strict=True):
        names[k] = str(code)
    return names
