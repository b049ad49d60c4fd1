"""Small invented cities for the tests of the maps: quadrilaterals that tile, in any number."""

from datetime import UTC, datetime, timedelta

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from layers.ground import Ground, ground

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
MIDNIGHT = NOON - timedelta(hours=12)


def tiling(side: int, seed: int = 0) -> np.ndarray:
    """``side`` times ``side`` crooked quadrilaterals, row by row, without gaps or overlaps."""
    rng = np.random.default_rng(seed)
    nodes = np.stack(np.meshgrid(np.arange(side + 1.0), np.arange(side + 1.0)), axis=-1)
    nodes[1:-1, 1:-1] += rng.uniform(-0.3, 0.3, (side - 1, side - 1, 2))
    nodes = nodes * (0.8 / side) + np.array([112.6, 22.8])
    rings = np.stack([nodes[:-1, :-1], nodes[:-1, 1:], nodes[1:, 1:], nodes[1:, :-1]], axis=2)
    return shapely.polygons(rings.reshape(-1, 4, 2))


def frame(**columns: object) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry="geometry", crs="EPSG:4326")


def areas(side: int) -> dict[str, gpd.GeoDataFrame]:
    """Four districts with two towns of two villages each; all grids of ``side`` times ``side``."""
    shapes = tiling(side)
    row, column = np.divmod(np.arange(side * side), side)
    district = 2 * (row * 2 // side) + column * 2 // side
    town, village = row * 4 // side % 2, column * 4 // side % 2
    village_code = [
        f"44060{d + 4}{t + 1:03}{v + 1:03}" for d, t, v in zip(district, town, village, strict=True)
    ]
    serial = pd.Series(village_code).groupby(village_code).cumcount() + 1
    code = [f"{v}{s:04}" for v, s in zip(village_code, serial, strict=True)]
    grids = frame(
        code=code, name=[f"第{s}网格" for s in serial], parent=village_code, kind="basic",
        geometry=shapes,
    )  # fmt: skip
    school = shapely.affinity.scale(shapes[side + 1], 0.5, 0.5)
    extra = frame(
        code=[f"{village_code[0]}9001"], name=["<b>学校</b>"], parent=[village_code[0]],
        kind=["dedicated"], geometry=[school],
    )  # fmt: skip
    out = {"grids": pd.concat([grids, extra], ignore_index=True)}
    for level, width, suffix in (
        ("villages", 12, "社区"),
        ("towns", 9, "镇"),
        ("districts", 6, "区"),
    ):
        codes = grids.code.str[:width]
        union = grids.geometry.groupby(codes).agg(lambda g: shapely.coverage_union_all(g.array))
        out[level] = frame(
            code=list(union.index), name=[f"{c[-3:]}{suffix}" for c in union.index],
            parent=[c[: width - 3] for c in union.index], geometry=union.to_numpy(),
        )  # fmt: skip
    return out


def drawn(side: int = 16, **options: object) -> Ground:
    tables = areas(side)
    river = shapely.LineString([(112.6, 23.1), (113.0, 23.2), (113.4, 23.1)])
    return ground(
        city="测试市",
        **tables,
        beats=frame(code=["B1"], name=["一区"], geometry=[shapely.box(112.7, 22.9, 113.0, 23.2)]),
        water=frame(name=["河"], geometry=[river.buffer(0.005)]),
        roads=frame(**{"name": ["路"], "class": ["trunk"], "geometry": [river]}),
        source="测试资料",
        **options,
    )  # type: ignore[arg-type]


def reports(city: Ground, count: int, seed: int = 0) -> pd.DataFrame:
    """Reports anywhere in the city: nine of ten placed, the others in triage, some nowhere."""
    rng = np.random.default_rng(seed)
    codes = city.members.index.to_numpy(dtype=object)
    grid = codes[rng.integers(0, len(codes), count)]
    waits = np.arange(count) % 10 == 3
    return pd.DataFrame(
        {
            "lon": np.where(np.arange(count) % 20 == 3, np.nan, rng.uniform(112.6, 113.4, count)),
            "lat": rng.uniform(22.8, 23.6, count),
            "kind": pd.Series(rng.choice(["噪音", "占道"], count), dtype=object),
            "received": [MIDNIGHT + timedelta(seconds=int(s)) for s in rng.uniform(0, 43e3, count)],
            "grid": pd.Series(np.where(waits, None, grid), dtype=object),
            "triage": pd.Series(np.where(waits, "不在任何网格内", None), dtype=object),
            "ambiguous": np.arange(count) % 25 == 0,
        }
    )
