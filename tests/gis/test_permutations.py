"""Pseudo p-values held to the share among all subsets, written out."""

from itertools import combinations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gis.permutations import tails

DRAWS = 4000
values_of_a_map = st.lists(st.sampled_from([0, 0.1, 0.2, 0.3, 1, 2, 50]), min_size=4, max_size=8)


def shares(values, total, size):
    """Of all subsets of a size, how many have a sum as high, and as low."""
    sums = np.array([sum(some) for some in combinations(values, size)])
    return (sums >= total - 1e-6).mean(), (sums <= total + 1e-6).mean()


@settings(deadline=None, max_examples=60)
@example([0.1] * 6, False, 0)
@given(values_of_a_map, st.booleans(), st.integers(0, 2**32 - 1))
def test_tails_are_the_shares_of_all_subsets(values, held, seed):
    n, rng = len(values), np.random.default_rng(seed)
    x = np.array(values)
    sizes = rng.integers(1, n if held else n + 1, n)
    around = [rng.permutation(np.delete(np.arange(n), i)) for i in range(n)]
    members = [
        a[:k] if held else np.r_[i, a[: k - 1]]
        for i, (a, k) in enumerate(zip(around, sizes, strict=True))
    ]
    sums = np.array([x[m].sum() for m in members])
    upper, lower = tails(x, sums, sizes, held=held, permutations=DRAWS, seed=seed)
    for i in range(n):
        pool = np.delete(x, i) if held else x
        high, low = shares(pool, sums[i], sizes[i])
        # Held: of the draws only those without the cell count, at the least one in n.
        error = 5.5 * np.sqrt(0.25 / (DRAWS * ((n - sizes[i]) / n if held else 1)))
        assert abs(upper[i] - high) < error
        assert abs(lower[i] - low) < error


def test_the_same_seed_gives_the_same_answer_and_another_another():
    x = np.random.default_rng(1).normal(size=50)
    sums, sizes = x * 3, np.full(50, 3)

    def run(seed):
        return tails(x, sums, sizes, held=False, permutations=500, seed=seed)[0]

    np.testing.assert_array_equal(run(1), run(1))
    assert (run(1) != run(2)).any()


def test_sums_that_rounding_keeps_apart_are_ties():
    x = np.array([0.1, 0.2, 0.3] * 4)
    # 0.1 + 0.2 + 0.3 in one order is not what it is in another.
    upper, lower = tails(
        x, np.full(12, 0.3 + 0.2 + 0.1), np.full(12, 3), held=False, permutations=20_000, seed=0
    )
    high, low = shares(x, 0.6, 3)
    np.testing.assert_allclose(upper, high, atol=0.02)
    np.testing.assert_allclose(lower, low, atol=0.02)


def test_many_blocks_are_as_one(monkeypatch):
    x = np.random.default_rng(2).poisson(2, 30).astype(float)
    sums, sizes = x * 2, np.full(30, 2)
    whole = tails(x, sums, sizes, held=True, permutations=30_000, seed=3)
    monkeypatch.setattr("gis.permutations._BLOCK", 500)
    parts = tails(x, sums, sizes, held=True, permutations=30_000, seed=3)
    np.testing.assert_allclose(whole, parts, atol=0.02)
