"""What lies under every map: areas, water and roads, simplified once and packed for the browser."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import shapely

from layers.style import tints
from layers.topology import topology

LEVELS = ("districts", "towns", "villages", "grids")
BUDGET = 2_300_000
"""Bytes of packed shapes and names that a page may carry; the rest is for what happens on them."""
TOLERANCES_M = (5.0, 10.0, 20.0, 40.0, 80.0)
"""Tried in this order until the ground fits. Square roots of the areas that may vanish."""
MAIN_ROADS = ("motorway", "trunk", "primary", "secondary")
"""Classes drawn of the roads, where they are classed; the words are OpenStreetMap's."""
COLUMNS = ("code", "name")
WORLD = (-180.0, -60.0, 180.0, 75.0)

Geometries = npt.NDArray[np.object_]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ground:
    """The city as a page draws it. Make it once per version of the areas with :func:`ground`.

    Attributes
    ----------
    city, source : str
        Named in the title and at the foot.
    finest : str
        The finest level drawn, one of ``LEVELS``; empty if there is no area at all.
    areas : mapping of level to DataFrame
        ``code``, ``name``, ``up`` (position of the parent in the level above, -1: none), in the
        order in which the features stand in ``packed``; ``dedicated`` beside the levels.
    members : Series
        From a grid's code to the position of the drawn area of the finest level that holds it; the
        dedicated grids are counted on behind the basic ones. -1 if it is in none.
    packed : dict
        TopoJSON and the areas' names, ready to be written as JSON.
    bounds : (west, south, east, north) in degrees
    shapeless : int
        Grids that have no border.
    """

    city: str
    source: str
    finest: str
    areas: dict[str, pd.DataFrame]
    members: "pd.Series[int]"
    packed: dict[str, Any]
    bounds: tuple[float, float, float, float]
    shapeless: int


def ground(
    *,
    city: str,
    districts: gpd.GeoDataFrame,
    towns: gpd.GeoDataFrame,
    villages: gpd.GeoDataFrame,
    grids: gpd.GeoDataFrame,
    beats: gpd.GeoDataFrame | None = None,
    water: gpd.GeoDataFrame | None = None,
    roads: gpd.GeoDataFrame | None = None,
    source: str = "",
    budget: int = BUDGET,
) -> Ground:
    """Simplify and pack the city's shapes.

    Neighbours stay flush: each level is simplified as a coverage, and a parent's outline is made of
    its children's. If the grids of a very large city do not fit into the page, it is drawn by
    village, town or district; what is counted in grids is then summed up.

    Parameters
    ----------
    districts, towns, villages, grids, beats : GeoDataFrame
        Columns ``code`` and ``name``; ``parent``, the code of the area above (towns, villages,
        grids); ``kind``, ``basic`` or ``dedicated`` (grids; basic where absent). EPSG:4326, or any
        other CRS, which is then transformed. Any of them may be empty.
    water : GeoDataFrame
        Polygons or lines; column ``name`` if known.
    roads : GeoDataFrame
        Lines; column ``class`` if known. Of classed roads those in ``MAIN_ROADS`` are drawn.
    source : str
        Where the areas come from, for the foot of the page.
    budget : int
        Bytes for the shapes; the simplification grows until they fit.

    Raises
    ------
    ValueError
        If a column is missing; the sentence names the table and the column.
    """
    levels = dict(zip(LEVELS, (districts, towns, villages, grids), strict=True))
    tables = {name: _table(frame, name) for name, frame in levels.items()}
    dedicated = tables["grids"][tables["grids"].kind == "dedicated"].reset_index(drop=True)
    tables["grids"] = tables["grids"][tables["grids"].kind != "dedicated"].reset_index(drop=True)
    extras = {"dedicated": dedicated, "beats": _table(beats, "beats")}
    nature = {"water": _table(water, "water", ()), "roads": _main(_table(roads, "roads", ()))}
    best: tuple[str, dict[str, Any], dict[str, pd.DataFrame]] | None = None
    for finest in [name for name in reversed(LEVELS) if len(tables[name])]:
        chain = _linked(tables, finest)
        extras["dedicated"] = dedicated = dedicated.assign(up=_parents(dedicated, chain))
        for tolerance in TOLERANCES_M:
            packed, size = _packed(chain, extras, nature, tolerance)
            best = finest, packed, chain
            if size <= budget:
                return _ground(city, source, *best, tables["grids"], dedicated)
    if best is None:
        best = "", _packed({}, extras, nature, TOLERANCES_M[0])[0], {}
    return _ground(city, source, *best, tables["grids"], dedicated)


def path(ground: Ground, level: str, position: int) -> tuple[str, str]:
    """An area's name and the names of the areas around it, largest first."""
    names = []
    while position >= 0:
        row = ground.areas[level].iloc[position]
        names.append(row["name"] or row["code"])
        coarser = [
            n
            for n in LEVELS[: LEVELS.index("grids" if level == "dedicated" else level)]
            if n in ground.areas
        ]
        if not coarser:
            break
        level, position = coarser[-1], int(row["up"])
    return names[0], " ".join(reversed(names[1:]))


def _ground(
    city: str,
    source: str,
    finest: str,
    packed: dict[str, Any],
    chain: dict[str, pd.DataFrame],
    grids: pd.DataFrame,
    dedicated: pd.DataFrame,
) -> Ground:
    shapes = [t.geometry.to_numpy() for t in chain.values()]
    bounds = shapely.total_bounds(np.concatenate(shapes)) if shapes else np.full(4, np.nan)
    if np.isnan(bounds).any():
        bounds = np.array(WORLD)
    west, south, east, north = bounds.tolist()
    areas = {name: table.drop(columns="geometry") for name, table in chain.items()}
    areas["dedicated"] = dedicated.drop(columns="geometry")
    return Ground(
        city=city,
        source=source,
        finest=finest,
        areas=areas,
        members=_members(chain, finest, grids, dedicated),
        packed=packed,
        bounds=(west, south, east, north),
        shapeless=sum(int(shapely.is_missing(t.geometry).sum()) for t in (grids, dedicated)),
    )


def _members(
    chain: dict[str, pd.DataFrame], finest: str, grids: pd.DataFrame, dedicated: pd.DataFrame
) -> "pd.Series[int]":
    """Grid code to its place among what is drawn: the finest level, then the dedicated grids."""
    every = pd.concat([grids[["code", "parent"]], dedicated[["code", "parent"]]])
    if finest == "grids":
        place = np.arange(len(every))
    elif not finest:
        place = np.full(len(every), -1)
    else:
        drawn = pd.Series(np.arange(len(chain[finest])), index=chain[finest].code)
        # Without the tables between, a code still starts with the codes of the areas around it.
        width = int(chain[finest].code.str.rstrip("0").str.len().max())
        stems = pd.Series(drawn.to_numpy(), index=drawn.index.str[:width])
        stems = stems[~stems.index.duplicated()]
        up = drawn.reindex(every.parent).to_numpy(dtype=float)
        stem = stems.reindex(every.code.str[:width]).to_numpy(dtype=float)
        place = np.nan_to_num(np.where(np.isnan(up), stem, up), nan=-1).astype(int)
    return pd.Series(place, index=every.code.to_numpy())


def _table(
    frame: gpd.GeoDataFrame | None, name: str, columns: Iterable[str] = COLUMNS
) -> pd.DataFrame:
    """A plain table with valid shapes in degrees; a missing optional column is there, empty."""
    if frame is None:
        frame = gpd.GeoDataFrame({c: [] for c in columns}, geometry=[], crs="EPSG:4326")
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise ValueError(f"{name} has no column {', '.join(missing)}; it has {list(frame.columns)}")
    shapes = frame.geometry
    if frame.crs is not None and not frame.crs.equals("EPSG:4326"):
        shapes = shapes.to_crs("EPSG:4326")
    out = pd.DataFrame({c: frame[c].astype(str).to_numpy(dtype=object) for c in columns})
    for column, default in (("name", ""), ("parent", ""), ("kind", "basic"), ("class", "")):
        if column not in out:
            given = frame[column] if column in frame else pd.Series(default, index=frame.index)
            out[column] = given.where(given.notna(), default).astype(str).to_numpy(dtype=object)
    out["geometry"] = _mended(shapes.to_numpy(), polygons=bool(tuple(columns)))
    return out.astype(dict.fromkeys(out.columns, object))


def _mended(shapes: Geometries, *, polygons: bool) -> Geometries:
    """Valid shapes, polygons only where asked; ``None`` for what has none."""
    out = np.asarray(shapes, dtype=object).copy()
    out[shapely.is_empty(out)] = None
    bad = ~shapely.is_missing(out) & ~shapely.is_valid(out)
    out[bad] = shapely.make_valid(out[bad], method="structure", keep_collapsed=False)
    if polygons:
        out[(shapely.get_dimensions(out) < 2) | shapely.is_empty(out)] = None
    return out


def _main(roads: pd.DataFrame) -> pd.DataFrame:
    """The main roads, those of a class as one row with their pieces joined."""
    classed = roads[roads["class"].isin([*MAIN_ROADS, ""]) & roads.geometry.notna()]
    joined = {
        name: shapely.line_merge(shapely.multilinestrings(shapely.get_parts(list(pieces))))
        for name, pieces in classed.groupby("class").geometry
    }
    rows = [(name, joined[name]) for name in (*reversed(MAIN_ROADS), "") if name in joined]
    return pd.DataFrame(rows, columns=["class", "geometry"], dtype=object)


def _linked(tables: dict[str, pd.DataFrame], finest: str) -> dict[str, pd.DataFrame]:
    """The levels down to the finest, each row with the position of its parent (``up``)."""
    chain: dict[str, pd.DataFrame] = {}
    for name in LEVELS[: LEVELS.index(finest) + 1]:
        table = tables[name]
        if not len(table):
            continue
        chain[name] = table.assign(up=_parents(table, chain))
    return chain


def _parents(table: pd.DataFrame, chain: dict[str, pd.DataFrame]) -> Ints:
    """The position of each row's parent in the level above the grids; -1: none."""
    above = [chain[name] for name in LEVELS[:-1] if name in chain]
    if not above:
        return np.full(len(table), -1)
    position = pd.Series(np.arange(len(above[-1])), index=above[-1].code)
    found: Ints = position.reindex(table.parent).fillna(-1).to_numpy(dtype=int)
    return found


def _packed(
    chain: dict[str, pd.DataFrame],
    extras: dict[str, pd.DataFrame],
    nature: dict[str, pd.DataFrame],
    tolerance: float,
) -> tuple[dict[str, Any], int]:
    shapes = _outlines(chain, tolerance)
    for name, table in extras.items():
        shapes[name] = _simplified(table.geometry.to_numpy(), tolerance)
    surfaces, courses = _nature(nature["water"], tolerance)
    lines = {"courses": courses, "roads": _thinned(nature["roads"].geometry.to_numpy(), tolerance)}
    packed: dict[str, Any] = {"topology": topology({**shapes, "water": surfaces}, lines)}
    for name, table in {**chain, **extras}.items():
        keys = ["code", "name"] + (["up"] if "up" in table else [])
        packed[name] = {key: table[key].tolist() for key in keys}
    for name in [n for n in ("grids", "dedicated") if len(chain) > 1 and n in packed]:
        _shorten(packed[name], packed[[c for c in chain if c != "grids"][-1]]["code"])
    packed["roads"] = {"class": nature["roads"]["class"].tolist()}
    packed["water"] = {"name": nature["water"]["name"].tolist()}
    if "districts" in chain:
        packed["districts"]["tint"] = tints(chain["districts"].geometry.to_numpy())
    packed["labels"] = {n: _anchors(shapes[n]) for n in LEVELS[:3] if n in shapes}
    return packed, len(orjson.dumps(packed, option=orjson.OPT_SERIALIZE_NUMPY))


def _shorten(table: dict[str, Any], above: list[str]) -> None:
    """Write a code that continues its parent's as ``+`` and the rest: a tenth of the page less."""
    table["code"] = [
        f"+{code.removeprefix(above[up])}" if up >= 0 and code.startswith(above[up]) else code
        for code, up in zip(table["code"], table["up"], strict=True)
    ]


def _outlines(chain: dict[str, pd.DataFrame], tolerance: float) -> dict[str, Geometries]:
    """Simplified shapes of all levels; those with children are the union of these."""
    out: dict[str, Geometries] = {}
    below: tuple[pd.DataFrame, Geometries] | None = None
    for name, table in reversed(chain.items()):
        own = table.geometry.to_numpy()
        if below is not None:
            children, shapes = below
            parts = pd.Series(shapes).groupby(children.up.to_numpy())
            united = {up: _united(p.dropna().to_numpy()) for up, p in parts}
            lonely = [i for i in range(len(table)) if i not in united or united[i].is_empty]
            rest = _simplified(own, tolerance)
            merged = [rest[i] if i in lonely else united[i] for i in range(len(table))]
            own = np.array([*merged, None], dtype=object)[:-1]
        else:
            own = _simplified(own, tolerance)
        out[name], below = own, (table, own)
    return dict(reversed(out.items()))


def _united(parts: Geometries) -> Any:
    """The union of flush neighbours; of overlapping ones too, more slowly."""
    try:
        return shapely.coverage_union_all(parts)
    except shapely.errors.GEOSException:
        return shapely.union_all(parts)


def _simplified(shapes: Geometries, tolerance: float) -> Geometries:
    out = shapes.copy()
    there = ~shapely.is_missing(out)
    if there.any():
        scale = _metres_per_degree(out[there])
        flat = shapely.transform(out[there], lambda p: p * scale)
        out[there] = shapely.transform(
            shapely.coverage_simplify(flat, tolerance), lambda p: p / scale
        )
    return out


def _nature(water: pd.DataFrame, tolerance: float) -> tuple[Geometries, Geometries]:
    """Water as surfaces and as courses (one of the two is ``None`` for each row)."""
    thin = _thinned(water.geometry.to_numpy(), tolerance)
    flat = shapely.get_dimensions(thin) == 2
    surfaces, courses = thin.copy(), thin.copy()
    surfaces[~flat], courses[flat] = None, None
    return surfaces, courses


def _thinned(shapes: Geometries, tolerance: float) -> Geometries:
    out = shapes.copy()
    there = ~shapely.is_missing(out)
    if there.any():
        scale = _metres_per_degree(out[there])
        flat = shapely.transform(out[there], lambda p: p * scale)
        out[there] = shapely.transform(shapely.simplify(flat, tolerance), lambda p: p / scale)
    return out


def _metres_per_degree(shapes: Geometries) -> npt.NDArray[np.float64]:
    _, south, _, north = shapely.total_bounds(shapes)
    return np.array([111_320.0 * np.cos(np.radians((south + north) / 2)), 110_740.0])


def _anchors(shapes: Geometries) -> list[list[float] | None]:
    """Where a name stands: the pole of the largest part, (lon, lat), ``None`` without a shape."""
    points = shapely.point_on_surface(shapes)
    return [None if p is None or p.is_empty else [round(p.x, 4), round(p.y, 4)] for p in points]
