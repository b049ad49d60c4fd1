"""Gi* and local Moran's I held to a case worked by hand, to esda, and to what a hotspot is."""

import doctest

import esda
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libpysal.graph import Graph
from libpysal.weights import lat2W

from gis import local_statistics
from gis.local_statistics import Guard, Reason, getis_ord, local_moran
from tests.gis.lattices import queen, rook

pytestmark = pytest.mark.filterwarnings("ignore:The alternative hypothesis:DeprecationWarning")
OPEN = Guard(events=0, in_all=0)
# 1 2 3
# 4 5 6   has mean 5 and Σ (x - 5)² = 60.
# 7 8 9
SQUARE = np.arange(1.0, 10.0)


def field(seed, side=30, mean=3.0):
    return np.random.default_rng(seed).poisson(mean, (side, side)).astype(float)


def two_sided(observed, drawn):
    """Of conditional permutations as esda keeps them."""
    high = (drawn >= observed[:, None] - 1e-12).sum(axis=1) + 1
    low = (drawn <= observed[:, None] + 1e-12).sum(axis=1) + 1
    return np.minimum(2 * np.minimum(high, low) / (drawn.shape[1] + 1), 1)


def test_the_examples_run():
    assert doctest.testmod(local_statistics).failed == 0


def test_getis_ord_by_hand():
    found = getis_ord(SQUARE, rook(3, 3), guard=OPEN, permutations=100_000)
    # Corner: 1 + 2 + 4 = 7, expected 15, variance 60/9 · 3 · 6/8 = 15. Of the 84 triples two are
    # as low: 1 2 3 and 1 2 4. Side: 1 + 2 + 3 + 5 = 11, expected 20, variance 60/9 · 4 · 5/8; of
    # the 126 quadruples two are as low. Centre: 25, as expected.
    np.testing.assert_allclose(found.G[[0, 1, 4]], [7 / 45, 11 / 45, 25 / 45])
    np.testing.assert_allclose(found.z[[0, 1, 4]], [-8 / 15**0.5, -9 / (50 / 3) ** 0.5, 0])
    np.testing.assert_allclose(found.p[[0, 1]], [4 / 84, 4 / 126], atol=0.003)
    np.testing.assert_allclose(found.p[[8, 7]], found.p[[0, 1]], atol=0.003)
    assert found.p[4] > 0.9
    assert found.size.tolist() == [3, 4, 3, 4, 5, 4, 3, 4, 3]


def test_local_moran_by_hand():
    found = local_moran(SQUARE, rook(3, 3), guard=OPEN, permutations=100_000)
    # Corner: z = -4, its neighbours' mean -2, so I = 8 · 8/60. Of the 28 pairs of the others, 2 to
    # 9, two are as low as 2 + 4; their mean is 5.5, their variance 5.25, a pair's 5.25/2 · 6/7.
    assert found.I[0] == pytest.approx(64 / 60)
    assert found.z[0] == pytest.approx(-(3 - 5.5) / 1.5)
    assert found.p[0] == pytest.approx(4 / 28, abs=0.005)
    assert (found.I[4], found.p[4]) == (0, 1)  # its value is the mean
    assert found.quadrant[[0, 8]].tolist() == [3, 1]


@pytest.mark.parametrize("seed", [1, 2])
def test_getis_ord_agrees_with_esda(seed):
    x = field(seed, 10)
    x[4:6, 4:6] += 9
    ours = getis_ord(x.ravel(), queen(10, 10), conditional=True, permutations=60_000)
    theirs = esda.G_Local(
        x.ravel(), lat2W(10, 10, rook=False), "B", 9999, star=True, n_jobs=1, seed=seed
    )
    np.testing.assert_allclose(ours.G, theirs.Gs)
    np.testing.assert_allclose(ours.z, theirs.Zs)
    np.testing.assert_allclose(ours.p, two_sided(theirs.Gs, theirs.rGs), atol=0.035)


def test_local_moran_agrees_with_esda():
    x = field(3, 10)
    x[4:6, 4:6] += 9
    ours = local_moran(x.ravel(), queen(10, 10), permutations=60_000)
    theirs = esda.Moran_Local(
        x.ravel(), lat2W(10, 10, rook=False), "r", 9999, n_jobs=1, seed=3, keep_simulations=True
    )
    np.testing.assert_allclose(ours.I, theirs.Is, atol=1e-12)
    np.testing.assert_allclose(ours.z, theirs.z_sim, atol=0.2)
    np.testing.assert_allclose(ours.p, two_sided(theirs.Is, theirs.rlisas), atol=0.035)
    clear = np.abs(ours.I) > 1e-9  # where the neighbours' mean is the mean, either will do
    np.testing.assert_array_equal(ours.quadrant[clear], theirs.q[clear])


def test_neighbours_come_in_any_form():
    x = field(4, 6).ravel()
    sparse = getis_ord(x, queen(6, 6))
    weights = lat2W(6, 6, rook=False)
    weights.transform = "r"
    for form in (queen(6, 6).toarray(), weights, Graph.from_W(weights)):
        np.testing.assert_array_equal(getis_ord(x, form).p, sparse.p)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.integers(0, 9), min_size=16, max_size=16),
    st.floats(1e-3, 1e3),
    st.floats(-1e3, 1e3),
)
def test_scale_and_zero_do_not_matter(values, scale, shift):
    x = np.array(values, dtype=float)
    events, beside = np.full(16, 9), queen(4, 4)
    for statistic in (getis_ord, local_moran):
        plain = statistic(x, beside, events=events, permutations=400)
        moved = statistic(scale * x + shift, beside, events=events, permutations=400)
        np.testing.assert_array_equal(plain.p, moved.p)
        np.testing.assert_array_equal(plain.band, moved.band)
        np.testing.assert_allclose(plain.z, moved.z, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 9), min_size=16, max_size=16))
def test_the_cold_of_a_map_is_the_hot_of_its_negative(values):
    x, beside = np.array(values, dtype=float), queen(4, 4)
    hot = getis_ord(x, beside, events=x, guard=OPEN, permutations=400)
    cold = getis_ord(-x, beside, events=x, guard=OPEN, permutations=400)
    np.testing.assert_array_equal(hot.p, cold.p)
    np.testing.assert_array_equal(hot.band, -cold.band)


@pytest.mark.parametrize("conditional", [False, True])
def test_among_null_maps_there_are_few_false_discoveries(conditional):
    maps, side, rng = 150, 15, np.random.default_rng(7)
    found = [
        getis_ord(
            rng.gamma(2, size=side**2), queen(side, side), events=np.full(side**2, 9),
            conditional=conditional, seed=seed,
        )
        for seed in range(maps)
    ]  # fmt: skip
    # No cell is truly hot, so each map with a discovery has a share of false ones of 1.
    rate = np.mean([(np.abs(one.band) >= 2).any() for one in found])
    assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / maps)
    p = np.concatenate([one.p for one in found])
    for share in (0.05, 0.25, 0.5, 0.75):
        assert (p <= share).mean() == pytest.approx(share, abs=0.02)


def test_an_obvious_hotspot_is_hot_and_the_rest_is_not():
    x = field(5)
    x[10:14, 10:14] += 12
    for statistic in (getis_ord, local_moran):
        band = statistic(x.ravel(), queen(30, 30)).band.reshape(30, 30)
        assert (band[10:14, 10:14] >= 2).all()
        band[9:15, 9:15] = 0
        assert (band != 0).mean() < 0.02


def test_an_obvious_cold_spot_is_cold():
    x = field(6, mean=12)
    x[10:15, 10:15] = 1
    assert (getis_ord(x.ravel(), queen(30, 30)).band.reshape(30, 30)[11:14, 11:14] == -3).all()


@pytest.mark.parametrize("seed", range(9, 14))
def test_one_address_with_thousands_makes_no_hotspot(seed):
    x = field(seed)
    x[15, 15] = 4000
    found = getis_ord(x.ravel(), queen(30, 30))
    assert (found.z.reshape(30, 30)[14:17, 14:17] > 9).all()  # what the normal law would call
    assert (np.abs(found.band) < 2).all()


def test_cells_without_a_value_and_islands_are_named_and_left_out():
    x = np.r_[field(9, 6).ravel(), 7, np.nan]
    beside = np.zeros((38, 38))
    beside[:36, :36] = queen(6, 6).toarray()
    beside[[36, 37], [37, 36]] = 1  # the only neighbour has no value
    beside[[0, 37], [37, 0]] = 1
    found = getis_ord(x, beside)
    assert (found.reason[36], found.reason[37]) == (Reason.ISLAND, Reason.NO_VALUE)
    assert np.isnan([found.z[36:], found.p[36:], found.q[36:], found.G[36:]]).all()
    assert found.band[36:].tolist() == [0, 0]
    assert (found.size[0], found.size[36], found.size[37]) == (4, 1, 0)
    assert found.events[0] == x[[0, 1, 6, 7]].sum()
    assert (found.reason[:36] == Reason.TESTED).all()


@pytest.mark.parametrize(
    ("values", "reason"),
    [([0] * 25, Reason.FEW_IN_ALL), ([3] + [0] * 24, Reason.FEW_IN_ALL), ([4] * 25, Reason.FLAT)],
)
def test_what_cannot_be_tested_says_so(values, reason):
    for statistic in (getis_ord, local_moran):
        found = statistic(values, queen(5, 5))
        assert (found.reason == reason).all()
        assert np.isnan([found.p, found.q, found.z]).all()
        assert not found.band.any()


def test_few_events_or_residents_behind_a_call_withdraw_it():
    rates, events = np.zeros((20, 20)), np.zeros((20, 20))
    rates[5:8, 5:8], events[5:8, 5:8], events[15] = 9, 1, 20
    rates[15] = 0.01
    call = {"values": rates.ravel(), "neighbours": queen(20, 20), "events": events.ravel()}
    plain = getis_ord(**call)
    assert plain.band.reshape(20, 20)[6, 6] == 3
    few = getis_ord(**call, guard=Guard(events=10))
    assert few.band.reshape(20, 20)[6, 6] == 0
    assert few.reason.reshape(20, 20)[6, 6] == Reason.FEW_EVENTS
    np.testing.assert_array_equal(few.q, plain.q)
    people = getis_ord(**call, residents=np.full(400, 10), guard=Guard(residents=100))
    assert (people.band[people.reason == Reason.FEW_RESIDENTS] == 0).all()
    assert people.reason.reshape(20, 20)[6, 6] == Reason.FEW_RESIDENTS


def test_nothing_is_nothing():
    for statistic in (getis_ord, local_moran):
        assert len(statistic([], np.zeros((0, 0))).p) == 0
        assert (statistic([np.nan] * 3, np.ones((3, 3))).reason == Reason.NO_VALUE).all()
        whole = statistic(np.arange(30.0) + 1, np.ones((30, 30)))
        assert not whole.band.any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"values": [1.5] * 4}, "give the events behind"),
        ({"values": [-1] * 4}, "give the events behind"),
        ({"values": [[1, 2], [3, 4]]}, "flat array"),
        ({"values": [np.inf] * 4}, "finite"),
        ({"neighbours": np.ones((3, 3))}, r"\(4, 4\)"),
        ({"neighbours": np.arange(16.0).reshape(4, 4)}, "weigh the same"),
        ({"events": [1, 2]}, "one for each cell"),
        ({"events": [1, 2, 3, -4]}, "not negative"),
        ({"guard": Guard(residents=5)}, "needs the residents"),
        ({"permutations": 9}, "too few"),
        ({"correction": "none"}, "no correction"),
    ],
)
def test_bad_input_is_named(change, sentence):
    call = {"values": [20, 30, 40, 50], "neighbours": np.ones((4, 4))} | change
    for statistic in (getis_ord, local_moran):
        with pytest.raises(ValueError, match=sentence):
            statistic(**call)
