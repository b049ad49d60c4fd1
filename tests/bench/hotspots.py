"""Gi* over 10,000 cells by permutation, against esda on the same map in the same process."""

import warnings

import esda
import numpy as np
from libpysal.weights import lat2W

from gis.local_statistics import getis_ord
from layers import console
from tests.bench.setting import SEED, timed

SIDE = 100
ROUNDS = 3


def run(_rows: int) -> None:
    """Print seconds of esda's second and later calls, of ours with as many draws, and the ratio."""
    weights = lat2W(SIDE, SIDE, rook=False)
    beside = weights.sparse
    values = np.random.default_rng(SEED).poisson(4, SIDE**2).astype(float)

    def theirs() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            esda.G_Local(
                values, weights, "B", 999, star=True, keep_simulations=False, n_jobs=1, seed=SEED
            )

    theirs()  # what is compiled or imported on the first call is not counted
    seconds = np.empty((ROUNDS, 4))
    for row in seconds:
        with timed() as reference:
            theirs()
        row[0] = reference()
        for at, (draws, held) in enumerate(((999, True), (None, True), (None, False)), start=1):
            with timed() as ours:
                found = getis_ord(values, beside, conditional=held, permutations=draws)
            row[at] = ours()
    reference_s, as_many, held_s, usual = np.median(seconds, axis=0)
    console.pairs(
        f"Gi* over {SIDE**2:,} cells (target 10)",
        [
            ("esda, warm, 999 permutations", f"{reference_s:.3f} s"),
            ("getis_ord, as many", f"{as_many:.3f} s"),
            ("ratio", f"{reference_s / as_many:.0f}"),
            (f"getis_ord, {found.permutations:,}", f"{usual:.3f} s"),
            ("and with the cell held", f"{held_s:.3f} s"),
        ],
    )
