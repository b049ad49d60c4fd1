"""Placement alone on arrays, against Shapely's tree on the same points in the same run."""

import numpy as np
import shapely

from data import areas
from gis.placement import Coverage
from layers import console
from tests.bench.setting import city, points, timed

ROUNDS = 3


def run(rows: int) -> None:
    """Print points per second of `Coverage.locate` and `STRtree.query`, and their ratio."""
    _, engine = city()
    with engine.connect() as connection:
        frame = areas.read(connection, "grid")
    at = points(engine, min(rows, 2_000_000))
    lon, lat = at["lon"].to_numpy(), at["lat"].to_numpy()
    with timed() as built:
        coverage = Coverage(frame.geometry.values, (frame["kind"] == "dedicated").to_numpy())
    tree, drawn = shapely.STRtree(frame.geometry.values), shapely.points(lon, lat)
    tree.query(drawn[:1000], predicate="intersects")
    ratios, ours, theirs = [], [], []
    for _ in range(ROUNDS):
        with timed() as a:
            coverage.locate(lon, lat)
        with timed() as b:
            tree.query(drawn, predicate="intersects")
        ours.append(a())
        theirs.append(b())
        ratios.append(b() / a())
    with timed() as placed:
        coverage.place(lon, lat, 20.0, far_borders=False)
    console.pairs(
        "Placement on arrays (at least 1, target 3)",
        [
            ("grids", len(frame)),
            ("making the raster", f"{built():.2f} s"),
            ("Coverage.locate", f"{len(lon) / np.median(ours):,.0f} points/s"),
            ("STRtree.query", f"{len(lon) / np.median(theirs):,.0f} points/s"),
            ("ratio, median", f"{np.median(ratios):.2f}"),
            ("with every alternative", f"{len(lon) / placed():,.0f} points/s"),
        ],
    )
