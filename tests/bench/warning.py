"""Warnings: surges of a city's series against statsmodels, the scan against taking every logarithm.

Made-up counts of Foshan's size: 740 villages and communities times 20 kinds over six years, and a
year of one district's cases, 200,000 in 1,300 grids.
"""

import numpy as np
import statsmodels.api as sm

from gis import scan, surges
from layers import console
from tests.bench.setting import SEED, timed

VILLAGES, KINDS = 740, 20
CASES, GRIDS, DAYS, SIDE_M = 200_000, 1_300, 365, 12_400.0
SAMPLE = 50  # series that statsmodels fits
REPLICATES = 20  # that take every logarithm


def run(rows: int) -> None:
    """Print series per second, seconds of a scan with 999 replications, and their ratios."""
    del rows
    rng = np.random.default_rng(SEED)
    console.pairs("Surges of a week (target 10 times statsmodels)", _surges(rng))
    console.pairs("Scan of a district (at most 60 s, target 5 times)", _scan(rng))


def _surges(rng: np.random.Generator) -> list[tuple[str, object]]:
    weeks = np.arange("2020-01-06", "2026-03-02", 7, dtype="datetime64[D]")
    season = 1 + 0.3 * np.sin(np.arange(len(weeks)) / 52.18 * 2 * np.pi)
    mean = rng.gamma(0.7, 5, (VILLAGES * KINDS, 1)) * season
    counts = rng.poisson(mean).astype(float)
    with timed() as ours:
        found = surges.surges(counts, weeks)
    # The least that statsmodels has to do: two fits, the second with weights.
    many = counts[counts.sum(axis=1) > 300][:SAMPLE]
    task = surges._task(many, weeks, None, surges.Method(), None, None)
    with timed() as theirs:
        for y in task.counts[:, task.used]:
            for weights in (None, np.ones(len(y))):
                model = sm.GLM(y, task.design, sm.families.Poisson(), var_weights=weights)
                model.fit(scale="X2").get_influence(observed=False)
    rate, reference = len(counts) / ours(), SAMPLE / theirs()
    return [
        ("series", f"{len(counts):,}, {(found.basis == 'regression').mean():.0%} by regression"),
        ("surges", f"{ours():.1f} s, {rate:,.0f} series/s"),
        ("statsmodels", f"{reference:,.0f} series/s"),
        ("ratio", f"{rate / reference:.0f}"),
    ]


def _scan(rng: np.random.Generator) -> list[tuple[str, object]]:
    xy_m = rng.uniform(0, SIDE_M, (GRIDS, 2))
    share = rng.gamma(1, 1, GRIDS)
    area = rng.choice(GRIDS, CASES, p=share / share.sum())
    day = rng.integers(DAYS, size=CASES)
    with console.share("Scan") as bar, timed() as ours:
        found = scan.scan(
            area, day, xy_m, DAYS, progress=lambda done, of: bar(f"{done} of {of}", done / of)
        )
    cases = scan._cases(area, day, xy_m, DAYS, 14, None)
    circles = scan._circles(xy_m, cases, 3000.0, 0.5)
    with timed() as theirs:
        for seed in np.random.SeedSequence(SEED).spawn(REPLICATES):
            scan._full_maximum(cases.permuted(seed), circles, cases)
    each, reference = ours() / len(found.maxima), theirs() / REPLICATES
    return [
        ("cases, grids", f"{CASES:,}, {GRIDS:,}"),
        ("cylinders", f"{found.cylinders:,}"),
        ("999 replications", f"{ours():.1f} s"),
        ("a replicate", f"{each * 1e3:.1f} ms"),
        ("with every logarithm", f"{reference * 1e3:.1f} ms"),
        ("ratio", f"{reference / each:.1f}"),
    ]
