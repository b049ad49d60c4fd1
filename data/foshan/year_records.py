"""The collected records of a simulated year, as columns of `record`."""

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.foshan import year_plan
from data.foshan.year_places import ACCURACY_M, Grids, Places
from data.foshan.year_plan import Plan

BATCH = 200_000
WITH_POSITION = ("inside", "outside", "on_border")


def tables(
    plan: Plan, grids: Grids, places: Places, source: str, known: datetime,
    rng: np.random.Generator,
) -> Iterator[pa.Table]:  # fmt: skip
    """Batches of records in the order of their days; see `data.schema.records`."""
    total = plan.records
    unplaced = total - round(total * year_plan.PLACED)
    reasons = ["placed", *year_plan.UNPLACED]
    fate = np.zeros(total, np.int64)
    fate[rng.choice(total, unplaced, replace=False)] = 1 + year_plan.quota(
        unplaced, year_plan.UNPLACED, rng
    )
    times = plan.times(total, rng)
    kind = year_plan.quota(total, year_plan.KINDS, rng)
    for start in range(0, total, BATCH):
        part = slice(start, min(start + BATCH, total))
        yield _batch(
            np.arange(part.start, part.stop), times[part], kind[part], fate[part], reasons, grids,
            places, source, known, rng,
        )  # fmt: skip


def _batch(
    number: np.ndarray, times: np.ndarray, kind: np.ndarray, fate: np.ndarray,
    reasons: list[str], grids: Grids, places: Places, source: str, known: datetime,
    rng: np.random.Generator,
) -> pa.Table:  # fmt: skip
    n = len(number)
    grid = rng.choice(len(grids), n, p=grids.weight)
    place = places.within(grid, rng)
    for reason, pool in (("on_border", places.edge), ("outside", places.outside)):
        chosen = fate == reasons.index(reason)
        place[chosen] = rng.choice(pool, int(chosen.sum()))
    placed = fate == 0
    nowhere = np.isin(fate, [reasons.index(r) for r in ("no_place", "address_unknown")])
    rows = places.table.take(pa.array(place, mask=nowhere))
    only_placed = pa.array(placed)
    moments = pa.array(times, pa.timestamp("us", "UTC"))
    columns = {
        "source": pa.repeat(source, n),
        "external_id": pc.cast(pa.array(number + 1), pa.string()),
        "kind": pa.array(np.array(list(year_plan.KINDS), object)[kind], pa.string()),
        "address": _unknown(number, fate == reasons.index("address_unknown")),
        "stated_area_id": pa.array(grids.village_id[grid]),
        "x": rows["x"], "y": rows["y"],
        "datum": pa.array(np.full(n, "gcj02", object), pa.string(), mask=nowhere),
        "accuracy_m": pa.array(np.full(n, ACCURACY_M), mask=nowhere),
        "geom": rows["geom"],
        "layer": pa.repeat("grid", n),
        "area_id": _only(only_placed, rows["area_id"]),
        "version_id": _only(only_placed, rows["version_id"]),
        "method": pc.if_else(only_placed, rows["method"].combine_chunks(), "none"),
        "ambiguous": pc.fill_null(rows["ambiguous"], False),
        "border_m": rows["border_m"], "alternatives": rows["alternatives"],
        "known": pa.repeat(pa.scalar(known, pa.timestamp("us", "UTC")), n),
        "unplaced": pa.array(np.array(reasons, object)[fate], pa.string(), mask=placed),
        "collected": moments, "created": moments,
    }  # fmt: skip
    return pa.table(columns)


def _only(keep: pa.Array, values: pa.ChunkedArray) -> pa.Array:
    flat = values.combine_chunks()
    return pc.if_else(keep, flat, pa.scalar(None, flat.type))


def _unknown(number: np.ndarray, chosen: np.ndarray) -> pa.Array:
    """Addresses as people write them who do not know the street's name."""
    texts = pc.binary_join_element_wise(
        "村口往东", pc.cast(pa.array(number % 97 + 2), pa.string()), "米", ""
    )
    return pc.if_else(pa.array(chosen), texts, pa.scalar(None, pa.string()))
