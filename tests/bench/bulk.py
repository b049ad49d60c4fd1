"""A year of rows from a file into the database, as reports and as records, against a bare COPY."""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv
from sqlalchemy import Engine, text

from data import intake
from data.intake_target import Target
from data.record_intake import RecordOptions, RecordTarget
from data.report_intake import ReportTarget
from layers import console
from tests.bench.setting import SEED, city, home, points, timed


def run(rows: int) -> None:
    """Print the rate of parse, normalise, place and store, and of `COPY`, and their ratio."""
    _, engine = city()
    file = home() / f"records-{rows}.csv"
    if not file.exists():
        _write(file, engine, rows)
    reports = intake.Options("bench", datum="gcj02")
    _measure(engine, file, rows, reports, ReportTarget, "report")
    records = RecordOptions("bench", datum="gcj02")
    _measure(engine, file, rows, records, RecordTarget, "record")


def _measure(
    engine: Engine, file: Path, rows: int, options: intake.Options, target: type[Target], table: str
) -> None:
    _empty(engine)
    with console.rows(file.name) as progress, timed() as ours:
        done = intake.run(engine, file, options, target=target, progress=progress)
    bare = _copy(engine, table)
    _empty(engine)
    console.pairs(
        f"Bulk intake of {table}s (at least 0.25, target 0.5)",
        [
            *done.lines(),
            ("ours", f"{rows / ours():,.0f} rows/s"),
            ("bare COPY of the same rows", f"{rows / bare:,.0f} rows/s"),
            ("ratio", f"{bare / ours():.3f}"),
        ],
    )


def _empty(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("TRUNCATE confirmation, incident, report, record CASCADE"))


def _write(file: Path, engine: Engine, rows: int) -> None:
    """Records as a collecting app exports them: number, time, kind, GCJ-02 position."""
    from gis.datum import from_wgs84

    at = points(engine, rows)
    lon, lat = from_wgs84(at["lon"].to_numpy(), at["lat"].to_numpy(), "gcj02")
    rng = np.random.default_rng(SEED)
    kinds = np.array(["实有人口", "出租屋", "企业", "重点场所", "安全隐患"])
    seconds = rng.integers(1_672_502_400, 1_704_038_400, rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    csv.write_csv(
        pa.table(
            {
                "id": pa.array(np.arange(rows)),
                "time": pa.array(seconds * 1_000_000, pa.timestamp("us", "UTC")).cast(pa.string()),
                "kind": pa.array(kinds[rng.integers(len(kinds), size=rows)]),
                "lon": pa.array(lon.round(7)),
                "lat": pa.array(lat.round(7)),
            }
        ),
        file,
    )


def _copy(engine: Engine, table: str) -> float:
    """Seconds for COPY of the stored rows, all columns, into a table without any index."""
    dump = home() / "rows.bin"
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS bare"))
        connection.execute(text(f"CREATE TABLE bare (LIKE {table})"))
        cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        with dump.open("wb") as out, cursor.copy(f"COPY {table} TO STDOUT") as copy:
            for block in copy:
                out.write(block)
    with timed() as seconds, engine.begin() as connection:
        cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
        with dump.open("rb") as source, cursor.copy("COPY bare FROM STDIN") as copy:
            while block := source.read(1 << 20):
                copy.write(block)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE bare"))
    dump.unlink()
    return seconds()
