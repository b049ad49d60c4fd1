"""Many at once: deployment, matching and gap cover on arrays, beside the greedy answers."""

import numpy as np

from gis.deployment import deploy
from gis.gaps import relocate
from gis.links import Floats, Ints, Links
from gis.matching import match
from layers import console
from tests.bench.setting import SEED, timed

SIDE_M, SPEED_M_S = 30_000, 5.0
PEOPLE, SITES = 10_000, 500
INCIDENTS, RESOURCES, CANDIDATES = 1_000, 220_000, 25
TOWN, GRIDS, MOVES = 2_000, 300, 5


def run(_rows: int) -> None:
    """Print seconds, and what the joint answers save against greedy ones in the same run."""
    rng = np.random.default_rng(SEED)
    _deployment(rng)
    _matching(rng)
    _gaps(rng)


def _deployment(rng: np.random.Generator) -> None:
    people, sites = (rng.uniform(0, SIDE_M, (n, 2)) for n in (PEOPLE, SITES))
    quota = rng.multinomial(PEOPLE, rng.dirichlet(np.full(SITES, 3.0)))
    with timed() as tabled:
        links = Links.by_blocks(lambda some: _seconds(people[some], sites), (PEOPLE, SITES))
    with timed() as planned:
        plan = deploy(links, quota)
    with timed() as went:
        greedy_s = _nearest_first(links, quota)
    console.pairs(
        f"{PEOPLE:,} volunteers to {SITES} sites (under 5 s)",
        [
            ("travel times in blocks", f"{tabled():.2f} s"),
            ("deployment, the best there is", f"{planned():.2f} s"),
            ("nearest pair first", f"{went():.2f} s"),
            ("ratio of the two", f"{went() / planned():.2f}"),
            ("quotas met", f"{plan.filled.sum() / quota.sum():.1%}"),
            ("travel time against nearest pair first", f"{plan.total_s / greedy_s:.2f}"),
        ],
    )


def _matching(rng: np.random.Generator) -> None:
    # Incidents pile up in one quarter, so that they want the same people.
    where = rng.normal(SIDE_M / 2, SIDE_M / 60, (INCIDENTS, 2))
    free = rng.uniform(0, SIDE_M, (RESOURCES, 2))
    near = [np.argpartition(_seconds(at[None], free)[0], CANDIDATES)[:CANDIDATES] for at in where]
    row, column = np.repeat(np.arange(INCIDENTS), CANDIDATES), np.concatenate(near)
    seconds = np.hypot(*(where[row] - free[column]).T) / SPEED_M_S
    with timed() as matched:
        links = Links.of(row, column, seconds, (INCIDENTS, RESOURCES))
        found = match(links, need=rng.integers(1, 3, INCIDENTS))
    console.pairs(
        f"{INCIDENTS:,} incidents, {CANDIDATES} candidates each of {RESOURCES:,}",
        [
            ("matched, both ways", f"{matched():.2f} s"),
            ("sent, together and one by one", f"{found.joint.served[0, 1]:,}, "
                                            f"{found.greedy.served[0, 1]:,}"),
            ("travel time, together and one by one", f"{found.joint.total_s / 3600:.1f} h, "
                                                   f"{found.greedy.total_s / 3600:.1f} h"),
        ],
    )  # fmt: skip


def _gaps(rng: np.random.Generator) -> None:
    people, grids = (rng.uniform(0, SIDE_M / 3, (n, 2)) for n in (TOWN, GRIDS))
    reach, between = (Links.dense(_seconds(a, grids)) for a in (people, grids))
    sent = np.hypot(*(people - SIDE_M / 6).T) < SIDE_M / 12
    weight = rng.integers(50, 3000, GRIDS)
    asked = {"to_standby": reach, "from_standby": between, "most": MOVES, "move_within_s": 600}
    with timed() as solved:
        best = relocate(reach, weight, sent, 180, **asked)
    with timed() as went:
        greedy = relocate(reach, weight, sent, 180, time_limit_s=0, **asked)
    console.pairs(
        f"{MOVES} moves for {GRIDS} grids and {TOWN:,} people (about 1 s)",
        [
            (f"gap cover, {best.method}", f"{solved():.2f} s"),
            ("gap cover, greedy", f"{went():.2f} s"),
            ("regained, greedy against it", f"{greedy.gain / best.gain:.3f}"),
        ],
    )


def _seconds(a: Floats, b: Floats) -> Floats:
    return np.hypot(a[:, None, 0] - b[:, 0], a[:, None, 1] - b[:, 1]) / SPEED_M_S


def _nearest_first(links: Links, quota: Ints) -> float:
    """Travel seconds of the greedy deployment: of all pairs that are left, the nearest."""
    free, room, total_s = [True] * links.shape[0], quota.tolist(), 0.0
    order = np.argsort(links.seconds, kind="stable")
    columns = (links.row, links.column, links.seconds)
    for person, site, seconds in zip(*(a[order].tolist() for a in columns), strict=True):
        if free[person] and room[site]:
            free[person], room[site], total_s = False, room[site] - 1, total_s + seconds
    return total_s
