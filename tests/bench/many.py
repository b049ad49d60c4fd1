"""Many at once: deployment, matching and gap cover on arrays, beside the greedy answers."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from api.main import create_app
from gis.deployment import deploy
from gis.gaps import relocate
from gis.links import Floats, Ints, Links
from gis.matching import match
from layers import console
from tests.bench.setting import SEED, city, timed
from tests.doors import HEADERS

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
    over_api(*city())


_VOLUNTEERS = text("""
INSERT INTO resource (source, external_id, kind, name, home, mode, shift)
SELECT 'bench', 'volunteer ' || n, 'volunteer', '志愿者' || n,
       ST_SetSRID(ST_MakePoint(113.0 + 0.29 * (n * 0.754877666 % 1),
                               22.9 + 0.27 * (n * 0.569840291 % 1)), 4326),
       (ARRAY['foot', 'bicycle', 'moped'])[1 + n % 3], 'spare_time'
FROM generate_series(1, :count) n ON CONFLICT DO NOTHING
""")
_CLEAR = text("DELETE FROM deployment WHERE actor = 'bench'")
_BENCH = text(
    "INSERT INTO organisation (code, name, role) VALUES ('bench', 'bench', 'other')"
    " ON CONFLICT DO NOTHING"
)
_JOIN = text(
    "UPDATE resource SET organisation_id = (SELECT id FROM organisation WHERE code = 'bench')"
    " WHERE source = 'bench'"
)


def over_api(url: str, engine: Engine) -> None:
    """Print how long the same deployment takes from the request to the answer, all stored."""
    with engine.begin() as connection:
        connection.execute(_BENCH)
        connection.execute(_VOLUNTEERS, {"count": PEOPLE})
        connection.execute(_JOIN)
        connection.execute(_CLEAR)
    lines = []
    with TestClient(create_app(url), headers=HEADERS) as client:
        for minutes in (30, 120):
            start = time.perf_counter()
            answer = client.post("/api/v1/deployments", json=_request(minutes))
            seconds = time.perf_counter() - start
            told = answer.json()["totals"]
            lines.append((f"within {minutes} min", f"{seconds:.2f} s, {told['present']:,} placed"))
            client.delete(f"/api/v1/deployments/{answer.json()['id']}")
    console.pairs(f"{PEOPLE:,} volunteers to {SITES} sites over the API (under 5 s)", lines)


def _request(minutes: int) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    now = datetime.now(UTC)
    saturday = (now + timedelta(days=(5 - now.weekday()) % 7 + 7)).date().isoformat()
    quota = np.maximum(1, rng.multinomial(PEOPLE, rng.dirichlet(np.full(SITES, 3.0))))
    evening = {"from": f"{saturday}T19:00:00+08:00", "until": f"{saturday}T22:00:00+08:00"}
    places = rng.uniform((113.0, 22.9), (113.29, 23.17), (SITES, 2)).tolist()
    return {
        "name": "bench", "actor": "bench", "within_s": minutes * 60,
        "people": {"kinds": ["volunteer"], "organisation": "bench"},
        "sites": [
            {"name": f"site {n}", "lon": lon, "lat": lat, "datum": "wgs84",
             "shifts": [{**evening, "quota": int(quota[n])}]}
            for n, (lon, lat) in enumerate(places)
        ],
    }  # fmt: skip


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
