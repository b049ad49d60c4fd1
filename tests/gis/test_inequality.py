"""Lorenz and Gini, against the definition by differences and by what must hold of any load."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.inequality import gini, lorenz

LOADS = st.lists(st.floats(0, 1e6), min_size=1, max_size=50).filter(lambda each: sum(each) > 1e-3)


@given(LOADS)
def test_gini_is_half_the_mean_difference_over_the_mean(loads: list[float]) -> None:
    x = np.array(loads)
    differences = np.abs(x[:, None] - x).mean() / (2 * x.mean())
    assert gini(x) == pytest.approx(differences, abs=1e-9)


@given(LOADS, st.floats(0.01, 100))
def test_gini_does_not_depend_on_the_unit(loads: list[float], factor: float) -> None:
    assert gini(np.array(loads) * factor) == pytest.approx(gini(loads), abs=1e-9)


@given(LOADS)
def test_the_curve_lies_under_equality_and_bends_one_way(loads: list[float]) -> None:
    bearers, carried = lorenz(loads).T
    assert carried[0] == 0 and carried[-1] == pytest.approx(1)
    assert (carried <= bearers + 1e-9).all()
    assert (np.diff(carried, 2) >= -1e-9).all()


def test_nothing_to_carry_has_no_coefficient() -> None:
    assert np.isnan(gini([])) and np.isnan(gini([0.0, 0.0])) and np.isnan(gini([np.nan]))
    assert lorenz([0.0, 0.0]).tolist() == [[0, 0], [0.5, 0.5], [1, 1]]
    with pytest.raises(ValueError, match="negative"):
        gini([1.0, -2.0])
