"""Regressions of many series at once, each held to statsmodels."""

import doctest

import numpy as np
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import loglinear


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), p=st.integers(1, 4))
def test_each_series_is_as_statsmodels_fits_it_alone(seed, p):
    rng = np.random.default_rng(seed)
    n, s = 40, 3
    design = np.column_stack([np.ones(n), rng.normal(0, 1, (n, p - 1))])
    counts = rng.poisson(np.exp(1.5 + 0.3 * rng.normal(0, 1, (s, n)))).astype(float)
    counts[1, :5] = np.nan
    weights, offset = rng.uniform(0.2, 2, (s, n)), np.log(rng.uniform(0.5, 2, (s, n)))
    found = loglinear.fit(counts, design, weights=weights, offset=offset)
    assert found.converged.all()
    for i in range(s):
        known = ~np.isnan(counts[i])
        alone = sm.GLM(
            counts[i, known], design[known], family=sm.families.Poisson(),
            var_weights=weights[i, known], offset=offset[i, known],
        ).fit(scale="X2", tol=1e-10)  # fmt: skip
        np.testing.assert_allclose(found.coefficients[i], alone.params, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found.dispersion[i], alone.scale, rtol=1e-5)
        errors = np.sqrt(np.diag(found.covariance[i]) * found.dispersion[i])
        np.testing.assert_allclose(errors, alone.bse, rtol=1e-5)
        hat = alone.get_influence(observed=False).hat_matrix_diag
        np.testing.assert_allclose(found.leverage[i, known], hat, rtol=1e-4, atol=1e-8)


def test_a_stratum_without_events_does_no_harm_to_the_others():
    design = np.kron(np.eye(2), np.ones((10, 1)))
    counts = np.array([[0] * 10 + [3] * 10], dtype=float)
    found = loglinear.fit(counts, design)
    np.testing.assert_allclose(np.exp(found.coefficients), [[0, 3]], atol=1e-6)


def test_a_week_of_weight_zero_is_a_week_less():
    rng = np.random.default_rng(2)
    counts, design = rng.poisson(5, (1, 12)).astype(float), np.ones((12, 1))
    weights = np.ones((1, 12))
    weights[0, 3] = 0
    found = loglinear.fit(counts, design, weights=weights)
    gone = loglinear.fit(np.delete(counts, 3, axis=1), design[1:])
    np.testing.assert_allclose(found.dispersion, gone.dispersion)


def test_examples():
    assert doctest.testmod(loglinear).failed == 0
