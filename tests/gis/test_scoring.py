"""PAI, PAI* and PEI* as computed by hand, and what holds for all of them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gis.scoring import intervals, score, taken


@st.composite
def trials(draw):
    size = draw(st.integers(1, 12))

    def column(elements):
        return np.array(draw(st.lists(elements, min_size=size, max_size=size)), float)

    happened = column(st.integers(0, 30))
    assume(happened.sum() > 0)
    expected, area_m2 = column(st.integers(0, 5)), column(st.floats(1, 40_000))
    return expected, happened, area_m2, draw(st.floats(0.001, 1))


def test_by_hand():
    """Ten cells of 2 m², 20 events: the two cells that were named had 5 and 3, the best 6 and 5."""
    happened = [5, 3, 6, 2, 2, 1, 1, 0, 0, 0]
    found = score([9, 8, 7, 1, 1, 1, 0, 0, 0, 0], happened, [2] * 10, share=0.2)
    assert (found.a_m2, found.A_m2, found.n, found.n_best, found.N) == (4, 20, 8, 11, 20)
    assert found.pai == pytest.approx((8 / 20) / (4 / 20)) == pytest.approx(2.0)
    assert found.pai_best == pytest.approx((11 / 20) / (4 / 20)) == pytest.approx(2.75)
    assert found.pei == pytest.approx(8 / 11)


def test_small_cells_count_by_their_density():
    """The half cell with 3 is denser than the whole one with 4; then half of the whole one fits."""
    found = score([3, 4, 0], [3, 4, 1], [1, 2, 2], share=0.4)
    assert found.n == found.n_best == 3 + 4 / 2
    assert found.pai == pytest.approx((5 / 8) / 0.4)


def test_ties_are_neither_for_nor_against():
    """One cell of three that are expected alike: on average it has a third of their events."""
    for order in ([9, 0, 0], [0, 9, 0], [0, 0, 9]):
        found = score([1, 1, 1], order, [1, 1, 1], share=1 / 3)
        assert found.pai == pytest.approx(1)
        assert found.pei == pytest.approx(1 / 3)


@settings(deadline=None)
@given(trials())
def test_pei_is_between_none_and_all(trial):
    assert 0 <= score(*trial).pei <= 1


@settings(deadline=None)
@given(trials())
def test_the_oracle_is_perfect_and_nothing_beats_it(trial):
    expected, happened, area_m2, share = trial
    oracle = score(happened, happened, area_m2, share)
    assert oracle.pei == 1
    assert score(expected, happened, area_m2, share).pai <= oracle.pai * (1 + 1e-9)


@settings(deadline=None)
@given(trials(), st.sampled_from([0.25, 2.0, 1024.0]))
def test_units_do_not_matter(trial, factor):
    expected, happened, area_m2, share = trial
    found = score(expected, happened, area_m2, share)
    for other in (
        score(expected * factor, happened, area_m2, share),
        score(expected, happened * factor, area_m2, share),
        score(expected, happened, area_m2 * factor, share),
    ):
        assert other.pai == pytest.approx(found.pai)
        assert other.pei == pytest.approx(found.pei)


@settings(deadline=None)
@given(trials(), st.randoms())
def test_the_order_of_the_cells_does_not_matter(trial, random):
    expected, happened, area_m2, share = trial
    order = list(range(len(expected)))
    random.shuffle(order)
    found = score(expected[order], happened[order], area_m2[order], share)
    assert found.pai == pytest.approx(score(*trial).pai)


@settings(deadline=None)
@given(trials())
def test_exactly_the_share_is_taken(trial):
    expected, _, area_m2, share = trial
    part = taken(expected, area_m2, share)
    assert ((part >= 0) & (part <= 1)).all()
    assert part @ area_m2 == pytest.approx(share * area_m2.sum())


def test_the_whole_area_says_nothing():
    assert score([1, 0], [0, 5], [1, 3], share=1).pai == pytest.approx(1)


def test_intervals_hold_the_value_and_a_method_does_not_lead_itself():
    rng = np.random.default_rng(1)
    cell, day = rng.integers(0, 50, 900), rng.uniform(0, 30, 900)
    parts = np.array([taken(np.arange(50), np.ones(50), 0.2), taken(np.ones(50), np.ones(50), 0.2)])
    caught, lead = intervals(parts, cell, day)
    value = parts[:, cell].mean(axis=1)
    assert caught[0, 0] < value[0] < caught[0, 1]
    assert lead[0].tolist() == [0, 0]
    assert lead[1, 0] < value[0] - value[1] < lead[1, 1]
    assert caught[1].tolist() == pytest.approx([0.2, 0.2])  # all alike: no luck of the draw
    assert np.array_equal(intervals(parts, cell, day)[0], caught)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"happened": [0, 0]}, "nothing happened"),
        ({"happened": [1]}, "one length"),
        ({"expected": [np.nan, 1]}, "expected must be finite"),
        ({"expected": [-1, 1]}, "expected must be finite"),
        ({"area_m2": [0, 1]}, "above 0"),
        ({"share": 0}, "share of the area"),
        ({"share": 1.5}, "share of the area"),
    ],
)
def test_what_cannot_be_scored(change, what):
    given = {"expected": [1, 0], "happened": [1, 2], "area_m2": [1, 1], "share": 0.5}
    with pytest.raises(ValueError, match=what):
        score(**given | change)
