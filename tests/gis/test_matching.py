"""The joint matching held to greedy and, on tiny cases, to every answer that there is."""

import doctest
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import matching
from gis.links import Links
from gis.matching import match

quick = settings(deadline=None)


@st.composite
def queues(draw, incidents=8, resources=10):
    """Matrix, need, capacity and priority; travel times repeat, so that there are ties."""
    n, m = draw(st.integers(0, incidents)), draw(st.integers(0, resources))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = rng.integers(0, draw(st.sampled_from([3, 40, 9000])), (n, m)) / 10
    matrix[rng.random((n, m)) < draw(st.sampled_from([0, 0.4, 0.8]))] = np.nan
    return (
        matrix,
        rng.integers(1, 4, n),
        rng.integers(0, 3, m),
        rng.integers(1, draw(st.integers(2, 4)), n),
    )


def loss(matrix, rank, incident, resource):
    """The order of answers from scratch, not from the code under test."""
    sent = np.bincount(incident, minlength=len(matrix))
    served = [
        number
        for level in np.unique(rank)
        for number in (-(sent[rank == level] > 0).sum(), -sent[rank == level].sum())
    ]
    return (*served, round(matrix[incident, resource].sum() * 10))


@quick
@given(queues())
def test_joint_is_never_worse_than_greedy(queue):
    matrix, need, capacity, priority = queue
    found = match(Links.dense(matrix), need, capacity, priority)
    assert found.joint.loss <= found.greedy.loss
    if not found.more.any():
        assert found.saved_s >= 0
    for pairs in (found.joint, found.greedy):
        assert pairs.loss == loss(matrix, priority, pairs.incident, pairs.resource)


@quick
@given(queues())
def test_nobody_is_above_capacity_or_sent_twice_or_where_they_cannot_get(queue):
    matrix, need, capacity, priority = queue
    found = match(Links.dense(matrix), need, capacity, priority)
    for pairs in (found.joint, found.greedy):
        assert (np.bincount(pairs.resource, minlength=len(capacity)) <= capacity).all()
        assert len(set(zip(pairs.incident, pairs.resource, strict=True))) == len(pairs.incident)
        np.testing.assert_array_equal(matrix[pairs.incident, pairs.resource], pairs.seconds)
        sent = np.bincount(pairs.incident, minlength=len(need))
        np.testing.assert_array_equal(pairs.shortfall, need - sent)
        assert (pairs.shortfall >= 0).all()


@quick
@given(queues(incidents=3, resources=4))
def test_joint_is_the_best_of_all_answers(queue):
    matrix, need, capacity, priority = queue
    found = match(Links.dense(matrix), need, capacity, priority)
    teams = [
        [team for k in range(need[i] + 1) for team in combinations(reach, k)]
        for i, reach in enumerate(np.flatnonzero(row) for row in np.isfinite(matrix))
    ]
    losses = []
    for choice in product(*teams):
        resource = np.array([r for team in choice for r in team], int)
        if (np.bincount(resource, minlength=len(capacity)) <= capacity).all():
            incident = np.repeat(np.arange(len(choice)), [len(team) for team in choice])
            losses.append(loss(matrix, priority, incident, resource))
    assert found.joint.loss == min(losses)


@quick
@given(queues(), st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(queue, random):
    matrix, need, capacity, priority = queue
    row, column = np.nonzero(np.isfinite(matrix))
    mixed = list(range(len(row)))
    random.shuffle(mixed)
    sparse = Links.of(row[mixed], column[mixed], matrix[row, column][mixed], matrix.shape)
    a = match(Links.dense(matrix), need, capacity, priority)
    b = match(sparse, need, capacity, priority)
    np.testing.assert_array_equal(a.joint.resource, b.joint.resource)
    np.testing.assert_array_equal(a.greedy.resource, b.greedy.resource)


def test_the_urgent_are_served_first_whatever_it_costs():
    found = match(Links.dense([[1], [5000], [2]]), priority=[2, 1, 3])
    assert found.joint.incident.tolist() == found.greedy.incident.tolist() == [1]
    assert found.classes.tolist() == [1, 2, 3]
    assert found.joint.served.tolist() == [[1, 1], [0, 0], [0, 0]]


def test_everybody_gets_one_before_anybody_gets_two():
    found = match(Links.dense([[10, 10], [900, 900]]), need=2)
    assert found.greedy.shortfall.tolist() == [0, 2]
    assert found.joint.shortfall.tolist() == [1, 1]
    assert found.more.tolist() == [[1, 0]]


def test_more_are_served_even_if_that_takes_longer():
    found = match(Links.dense([[10, 600], [20, np.nan]]))
    assert found.greedy.shortfall.tolist() == [0, 1]
    assert found.joint.resource.tolist() == [1, 0]
    assert (found.more.tolist(), found.saved_s) == ([[1, 1]], -610)


def test_greedy_takes_the_smaller_index_of_two_equally_near():
    assert match(Links.dense([[30, 20, 20]]), need=2).greedy.resource.tolist() == [1, 2]


def test_islands_are_named():
    found = match(Links.dense([[np.nan, np.inf], [3, np.nan]]), capacity=[0, 1])
    assert found.islands.tolist() == [0]
    assert found.joint.shortfall.tolist() == [1, 1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_asked_is_nothing_answered(shape):
    found = match(Links.dense(np.zeros(shape)))
    assert len(found.joint.incident) == len(found.greedy.incident) == 0
    assert found.joint.shortfall.tolist() == [1] * shape[0]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"need": 0}, "need must be whole numbers of at least 1, not 0"),
        ({"need": [1, 2, 3]}, r"need must be numbers of shape \(2,\)"),
        ({"need": np.nan}, "need must have no NaN"),
        ({"need": 1.5}, "need must be whole numbers of at least 1, not 1.5"),
        ({"capacity": -1}, "capacity must be whole numbers of at least 0, not -1"),
        ({"priority": [1, np.nan]}, "priority must have no NaN"),
        ({"priority": "high"}, "priority must be numbers"),
    ],
)
def test_what_is_wrong_is_said(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        match(Links.dense([[1.0], [2.0]]), **values)


def test_the_examples_run():
    ran = doctest.testmod(matching)
    assert ran.attempted and not ran.failed
