"""A whole year of Foshan at full size, written row by row: `python main.py simulate`."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Engine, text

from data import reports
from data.binary_copy import encode
from data.foshan import year_cases, year_places, year_records, year_ways
from data.foshan.year_plan import Plan
from data.settings import settings

Progress = Callable[[str, float], None]
BATCH = 200_000
_THERE = text(
    "SELECT EXISTS (SELECT FROM report WHERE source = :source)"
    " OR EXISTS (SELECT FROM record WHERE source = :source)"
)


def name_of(year: int) -> str:
    """The source that all of a simulated year's rows name."""
    return f"simulation-{year}"


def write(
    engine: Engine, year: int = 2023, seed: int = 4406, scale: float = 1.0,
    progress: Progress = lambda _what, _share: None,
) -> dict[str, int]:  # fmt: skip
    """Write a year of events and records into the city, whole or not at all.

    Parameters
    ----------
    year : that is over
    scale : of the article's counts; the shares stay the same
    progress : called with what is being written and the share that is done

    Returns how many rows of what there are now.

    Raises
    ------
    ValueError
        That year is there already, or not over; the city has no grids, or too many for the scale.
    """
    if not 1990 <= year < datetime.now(UTC).year:
        raise ValueError(f"the year {year} is not over; take one from 1990 on that is")
    if not 0 < scale <= 10:
        raise ValueError(f"the scale is {scale:g}; it has to be more than 0 and at most 10")
    plan = Plan(year, scale, settings().timezone)
    rng = np.random.default_rng([seed, year])
    with engine.begin() as connection:
        _refuse_twice(connection, year)
        progress("finding places", 0.0)
        known = connection.execute(text("SELECT now()")).scalar_one()
        grids, places = year_places.make(connection, plan.middle, known, rng)
        made = _events(connection, plan, grids, places, rng, progress)
        rows = year_records.tables(plan, grids, places, name_of(year), known, rng)
        done = 0
        for batch in rows:
            _copy(connection, "record", batch, json=("alternatives",))
            done += len(batch)
            progress(f"{done:,} records", 0.45 + 0.55 * done / plan.records)
        made["records"] = done
        progress("the last rows settle", 1.0)
    return made


def _refuse_twice(connection: Connection, year: int) -> None:
    source = name_of(year)
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:key))"), {"key": source})
    if connection.execute(_THERE, {"source": source}).scalar_one():
        raise ValueError(
            f"the year {year} is there already, from the source {source}; take another year, or a "
            "database of its own by WANGGE_HOME"
        )
    title = f"{year}年模拟"
    reports.set_source(connection, source, title=title, datum="gcj02", accuracy_m=10.0)


def _events(
    connection: Connection, plan: Plan, grids: year_places.Grids, places: year_places.Places,
    rng: np.random.Generator, progress: Progress,
) -> dict[str, int]:  # fmt: skip
    progress("thinking events up", 0.02)
    towns = np.unique(grids.town_id)
    by = year_ways.bodies(connection, year_cases.KINDS, towns.tolist())
    desk = connection.execute(text("SELECT the_desk()")).scalar_one()
    found = year_cases.events(plan, grids, rng)
    cases = year_cases.worked(
        plan, found, _numbers(connection, len(found)), grids, by, towns, desk, rng
    )
    reported = year_cases.reports(found, cases, places, name_of(plan.year), rng)
    standing = year_cases.incidents(found, cases, reported)
    shares = (("report", reported, 0.05), ("incident", standing, 0.15))
    for table, rows, share in shares:
        for start in range(0, len(rows), BATCH):
            part = rows.slice(start, BATCH)
            progress(f"{start + len(part):,} {table}s", share + 0.1 * start / len(rows))
            _copy(connection, table, part, json=("alternatives",))
    total = sum(len(each) for each in cases.steps)
    done = 0
    for part in year_cases.steps(cases, BATCH):
        _copy(connection, "case_step", part)
        done += len(part)
        progress(f"{done:,} steps", 0.25 + 0.2 * done / total)
    return {"events": len(found), "steps": total}


_TAKE = text("SELECT setval('report_id_seq', nextval('report_id_seq') + :count) - :count + 1")


def _numbers(connection: Connection, count: int) -> int:
    """The first of so many numbers that nobody else is given."""
    connection.execute(text("LOCK TABLE report IN SHARE ROW EXCLUSIVE MODE"))
    return int(connection.execute(_TAKE, {"count": count + SPARE}).scalar_one()) + SPARE


SPARE = 1000  # whoever took a number in the same instant has one of these


def _copy(connection: Connection, table: str, rows: pa.Table, json: Collection[str] = ()) -> None:
    cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
    names = ", ".join(rows.column_names)
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT binary)") as copy:
        for piece in encode(rows, json=json):
            copy.write(piece)
