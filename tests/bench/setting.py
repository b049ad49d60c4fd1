"""What the benchmarks share: a durable private server with the full city, and how ratios print."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from sqlalchemy import Engine, create_engine, text

from data import migrate, server
from data.foshan import load
from data.settings import settings
from layers import console
from tests.doors import open_door

SEED = 4406


def home() -> Path:
    """The benchmarks' own home, beside the real one, so that neither disturbs the other."""
    return settings().home / "bench"


def city() -> tuple[str, Engine]:
    """URL and engine of a server with the demonstration city and its people, loaded once."""
    url = server.ensure(home())
    migrate.upgrade(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        known = connection.execute(text("SELECT EXISTS (SELECT FROM token)")).scalar_one()
    if not known:
        open_door(url)
    if load.is_empty(engine):
        with console.share("Foshan") as progress:
            load.load(engine, progress=progress)
    if load.is_deserted(engine):
        with console.share("Foshan") as progress:
            load.load_people(engine, progress=progress)
    return url, engine


def points(engine: Engine, count: int) -> pd.DataFrame:
    """Positions where people are: round the city's addresses, 40 m or so off; lon, lat."""
    with engine.connect() as connection:
        at = pd.read_sql(
            text("SELECT ST_X(geom) AS lon, ST_Y(geom) AS lat FROM address"), connection
        )
    rng = np.random.default_rng(SEED)
    pick = at.iloc[rng.integers(len(at), size=count)]
    lon = pick["lon"].to_numpy() + rng.normal(0, 4e-4, count)
    lat = pick["lat"].to_numpy() + rng.normal(0, 4e-4, count)
    return pd.DataFrame({"lon": lon.round(7), "lat": lat.round(7)})


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Seconds from entering to leaving (or until now)."""
    start = time.perf_counter()
    end: list[float] = []
    yield lambda: (end[0] if end else time.perf_counter()) - start
    end.append(time.perf_counter())


def spread(seconds: list[float]) -> str:
    """Median and 95th and 99th percentile in milliseconds."""
    p50, p95, p99 = np.percentile(seconds, [50, 95, 99]) * 1e3
    return f"p50 {p50:.2f} ms, p95 {p95:.2f} ms, p99 {p99:.2f} ms"
