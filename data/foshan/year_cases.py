"""The events of a simulated year: what was reported when and where, and what became of it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from data.foshan import year_plan, year_ways
from data.foshan.answering import MATTERS
from data.foshan.feed import CHANNELS
from data.foshan.feed import MATTERS as REPORTED
from data.foshan.year_places import ACCURACY_M, Grids, Places
from data.foshan.year_plan import Plan
from data.foshan.year_ways import FLOWING, PLAIN, Bodies, Cases

Ints = npt.NDArray[np.int64]

KINDS = [matter.code for matter in MATTERS]
DISPUTES = [n for n, matter in enumerate(MATTERS) if matter.class_ == "dispute"]
FIREWORKS = KINDS.index("烟花爆竹")
SAID = {kind: said for kind, _, said, _ in REPORTED} | {"土地纠纷": "村民对征地补偿分配有异议"}
OFTEN = {kind: often for kind, _, _, often in REPORTED} | {"土地纠纷": 1}
WORKERS = "grid-worker"


@dataclass(frozen=True)
class Events:
    """What is reported, n events in the order of their times.

    Attributes
    ----------
    at : µs since 1970
    kind, grid : numbers of `KINDS` and of the grids
    nowhere : whether nobody knows where, so that it waits in triage
    by_workers : whether people of the grid reported it
    """

    at: Ints
    kind: Ints
    grid: Ints
    nowhere: npt.NDArray[np.bool_]
    by_workers: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.at)


def events(plan: Plan, grids: Grids, rng: np.random.Generator) -> Events:
    """The year's events.

    Raises
    ------
    ValueError
        There are fewer events than grids that are to be active.
    """
    loud = _fireworks(plan, grids, rng)
    n = plan.events - len(loud[0])
    at, kind = plan.times(n, rng), _kinds(plan.of(year_plan.DISPUTES), n, rng)
    grid = rng.choice(len(grids), n, p=grids.weight)
    at, grid = np.concatenate([at, loud[0]]), np.concatenate([grid, loud[1]])
    kind = np.concatenate([kind, np.full(len(loud[0]), FIREWORKS)])
    order = np.argsort(at, kind="stable")
    quiet = np.flatnonzero(order < n)  # fireworks were seen and heard where they were
    by_workers = np.zeros(len(at), bool)
    grid = grid[order]
    _work(plan, grids, grid, by_workers, quiet, rng)
    nowhere = np.zeros(len(at), bool)
    others = quiet[~by_workers[quiet]]
    lost = round(len(at) * year_plan.WITHOUT_PLACE)
    nowhere[rng.choice(others, min(lost, len(others)), replace=False)] = True
    return Events(at[order], kind[order], grid, nowhere, by_workers)


def _kinds(disputes: int, n: int, rng: np.random.Generator) -> Ints:
    """So many disputes exactly, and the others as often as the field reports them."""
    often = np.array([float(OFTEN[kind]) for kind in KINDS])
    often[FIREWORKS] = 0
    of_disputes = np.zeros(len(KINDS))
    of_disputes[DISPUTES] = often[DISPUTES]
    often[DISPUTES] = 0
    kind = rng.choice(len(KINDS), n, p=often / often.sum())
    chosen = rng.choice(n, disputes, replace=False)
    kind[chosen] = rng.choice(len(KINDS), disputes, p=of_disputes / of_disputes.sum())
    return kind


def _fireworks(plan: Plan, grids: Grids, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """The story of the New Year in Chancheng, and a little of it elsewhere: times and grids."""
    times, where = [], []
    for district in sorted(set(grids.district)):
        mine = np.flatnonzero(grids.district == district)
        weight = grids.weight[mine] / grids.weight[mine].sum()
        for month in range(1, 13):
            story = year_plan.FIREWORKS if _is_chancheng(district) else {}
            count = plan.of(story.get(month, year_plan.FIREWORKS_LATER))
            times.append(plan.times(count, rng, month))
            where.append(rng.choice(mine, count, p=weight))
    return np.concatenate(times), np.concatenate(where)


def _is_chancheng(district: str | None) -> bool:
    return str(district).startswith(year_plan.FIREWORK_DISTRICT)


def _work(
    plan: Plan, grids: Grids, grid: Ints, by_workers: npt.NDArray[np.bool_], quiet: Ints,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Have people of the active grids report their share, in each of these one event at least."""
    active = rng.choice(len(grids), round(len(grids) * year_plan.ACTIVE), replace=False)
    total = max(round(len(grid) * year_plan.BY_WORKERS), len(active))
    if total > len(quiet):
        raise ValueError(
            f"{len(grid):,} events are too few for {len(active):,} active grids; take a larger "
            "scale"
        )
    chosen = rng.choice(quiet, total, replace=False)
    by_workers[chosen] = True
    weight = grids.weight[active] / grids.weight[active].sum()
    more = rng.choice(active, total - len(active), p=weight)
    grid[chosen] = rng.permutation(np.concatenate([active, more]))


# --- what becomes of them -------------------------------------------------------------------------


def worked(
    plan: Plan, found: Events, first: int, grids: Grids, by: Bodies, towns: Ints, desk: int,
    rng: np.random.Generator,
) -> Cases:  # fmt: skip
    """The cases of the events, each with its steps; numbers begin with `first`."""
    n = len(found)
    town = np.where(found.nowhere, -1, np.searchsorted(towns, grids.town_id[found.grid]))
    cases = Cases.opening(np.arange(first, first + n), found.at, found.kind, town, by, desk)
    ways = list(PLAIN) + list(FLOWING)
    flowing = np.zeros(n, bool)
    flowing[rng.choice(n, plan.of(year_plan.FLOWS), replace=False)] = True
    way = np.empty(n, np.int64)
    way[~flowing] = year_plan.quota(int((~flowing).sum()), _shares(PLAIN), rng)
    way[flowing] = len(PLAIN) + year_plan.quota(int(flowing.sum()), _shares(FLOWING), rng)
    unsolved, unclosed = _left_open(plan, found, rng)
    for number, steps in enumerate(ways):
        who = np.flatnonzero(way == number)
        least, without_result, at_most = year_ways.last_kept(steps)
        kept = np.full(len(who), len(steps))
        for left, most in ((unclosed[who], at_most), (unsolved[who], without_result)):
            kept[left] = rng.integers(least, most + 1, int(left.sum()))
        cases.take(steps, who, kept, by, desk, rng)
    return cases


def _shares(ways: dict[tuple[str, ...], float]) -> dict[str, float]:
    return {" ".join(way): share for way, share in ways.items()}


def _left_open(
    plan: Plan, found: Events, rng: np.random.Generator
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Disputes that are not resolved, and other cases that are not closed."""
    n = len(found)
    is_dispute = np.isin(found.kind, DISPUTES)
    unsolved, unclosed = np.zeros(n, bool), np.zeros(n, bool)
    hard = plan.of(year_plan.DISPUTES) - plan.of(year_plan.RESOLVED)
    unsolved[rng.choice(np.flatnonzero(is_dispute), hard, replace=False)] = True
    rest = n - round(n * year_plan.CLOSED) - hard
    unclosed[rng.choice(np.flatnonzero(~is_dispute), rest, replace=False)] = True
    return unsolved, unclosed


# --- as columns of the tables ---------------------------------------------------------------------


def reports(
    found: Events, cases: Cases, places: Places, source: str, rng: np.random.Generator
) -> pa.Table:
    """The reports, each of which opened its case; see `data.schema.reports`."""
    n = len(found)
    place = places.within(found.grid, rng)
    rows = places.table.take(pa.array(place, mask=found.nowhere))
    shares = {name: share for name, share in CHANNELS.items() if name != WORKERS}
    channel = np.array(list(shares), object)[year_plan.quota(n, shares, rng)]
    channel[found.by_workers] = WORKERS
    at = pa.array(found.at, pa.timestamp("us", "UTC"))
    area = rows["area_id"].combine_chunks()
    return pa.table({
        "id": cases.number, "source": pa.repeat(source, n),
        "external_id": pc.cast(pa.array(cases.number), pa.string()),
        "received": at, "occurred": at, "channel": pa.array(channel, pa.string()),
        "kind": _names(found.kind), "description": _said(found.kind),
        "x": rows["x"], "y": rows["y"],
        "datum": pa.array(np.full(n, "gcj02", object), pa.string(), mask=found.nowhere),
        "accuracy_m": pa.array(np.full(n, ACCURACY_M), mask=found.nowhere),
        "geom": rows["geom"], "layer": pa.repeat("grid", n),
        "area_id": area, "version_id": rows["version_id"],
        "method": pc.fill_null(rows["method"], "none"),
        "ambiguous": pc.fill_null(rows["ambiguous"], False), "border_m": rows["border_m"],
        "alternatives": rows["alternatives"], "at": at, "known": at,
        "triage": pc.if_else(pc.is_null(area), "no_place", pa.scalar(None, pa.string())),
        "incident_id": cases.number,
    })  # fmt: skip


def incidents(found: Events, cases: Cases, reported: pa.Table) -> pa.Table:
    """The cases as they stand in the end; see `data.schema.cases`."""
    n = len(found)
    closed = cases.closed >= 0
    answered = cases.solved >= 0
    return pa.table({
        "id": cases.number, "opened": reported["received"], "closed": _moments(cases.closed),
        "outcome": pc.if_else(pa.array(answered), year_ways.REASONS["resolve"],
                              pa.scalar(None, pa.string())),
        "kind": _names(found.kind), "urgency": pa.array(np.full(n, 3), pa.int32()),
        "geom": reported["geom"], "area_id": reported["area_id"],
        "stage": pa.array(np.where(closed, "closed", cases.stage), pa.string()),
        "since": _moments(cases.since), "level": pa.array(cases.level, pa.int32()),
        "organisation_id": cases.organisation, "solved": _moments(cases.solved),
        "solved_level": pa.array(cases.solved_level, pa.int32(), mask=~answered),
        "bounces": pa.array(cases.bounces, pa.int32()),
        "reopened": pa.array(cases.reopened, pa.int32()),
    })  # fmt: skip


def steps(cases: Cases, batch: int) -> Iterator[pa.Table]:
    """All steps, each case's in their order."""
    made = pa.concat_tables(cases.steps)
    order = np.lexsort((made["at"].cast(pa.int64()).to_numpy(),))
    for start in range(0, len(order), batch):
        yield made.take(pa.array(order[start : start + batch]))


def _moments(values: Ints) -> pa.Array:
    return pa.array(values, pa.timestamp("us", "UTC"), mask=values < 0)


def _names(kind: Ints) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(kind), pa.array(KINDS)).cast(pa.string())


def _said(kind: Ints) -> pa.Array:
    said = pa.array([SAID[name] for name in KINDS])
    return pa.DictionaryArray.from_arrays(pa.array(kind), said).cast(pa.string())
