"""Deployments held to independent flows and, on tiny cases, to every answer that there is."""

import doctest
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow

from gis import deployment, staffing
from gis.deployment import Cause, deploy
from gis.links import Links

quick = settings(deadline=None)


@st.composite
def tasks(draw, people=10, sites=4, shifts=3, skills=2, least=0):
    """Matrix of travel times and the keywords of `deploy`."""
    n, m = draw(st.integers(least, people)), draw(st.integers(least, sites))
    h, g = draw(st.integers(1, shifts)), draw(st.integers(0, skills))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = rng.integers(0, draw(st.sampled_from([3, 40, 9000])), (n, m)) / 10
    matrix[rng.random((n, m)) < draw(st.sampled_from([0, 0.2, 0.6]))] = np.nan
    quota = rng.integers(draw(st.integers(0, 1)), draw(st.integers(2, 5)), (m, h))
    skilled = np.zeros((m, h, g), int)
    for k in range(g):
        skilled[:, :, k] = rng.integers(0, quota - skilled.sum(axis=2) + 1)
    return matrix, {
        "quota": quota,
        "minimum": rng.integers(0, quota + 1) * draw(st.integers(0, 1)),
        "weight": rng.choice([1, 2, 3], m),
        "skilled": skilled,
        "skills": rng.random((n, g)) < 0.5,
        "available": rng.random((n, h)) < 0.8,
        "most": rng.integers(draw(st.integers(0, 1)), draw(st.integers(2, 4)), n),
        "within_s": draw(st.sampled_from([np.inf, 300.0])),
    }


def assert_valid(matrix, task, plan):
    """Every rule, from scratch."""
    quota, skilled = task["quota"], task["skilled"]
    seconds = matrix[plan.person, plan.site]
    np.testing.assert_array_equal(seconds, plan.seconds)
    assert (seconds <= task["within_s"]).all()
    assert task["available"][plan.person, plan.shift].all()
    assert (np.bincount(plan.person, minlength=len(matrix)) <= task["most"]).all()
    once = set(zip(plan.person.tolist(), plan.shift.tolist(), strict=True))
    assert len(once) == len(plan.person)
    filled = np.zeros_like(quota)
    np.add.at(filled, (plan.site, plan.shift), 1)
    np.testing.assert_array_equal(filled, plan.filled)
    seats = np.zeros((*quota.shape, skilled.shape[2] + 1), int)
    np.add.at(seats, (plan.site, plan.shift, plan.skill), 1)
    assert (seats[:, :, :-1] <= skilled).all()
    assert (seats[:, :, -1] <= quota - skilled.sum(axis=2)).all()
    has = plan.skill >= 0
    assert task["skills"][plan.person[has], plan.skill[has]].all()
    return seats


def most_places(matrix, task, quota, skilled):
    """How many places can be filled, by the maximum flow of SciPy on a network of its own."""
    people, (sites, shifts) = len(matrix), quota.shape
    places = np.concatenate([skilled, (quota - skilled.sum(axis=2))[:, :, None]], axis=2)
    types = places.shape[2]
    has = np.column_stack([task["skills"], np.ones(people, bool)])
    size = 2 + people + people * shifts + sites * shifts * types
    capacity = np.zeros((size, size), np.int32)
    for p in range(people):
        capacity[0, 2 + p] = task["most"][p]
        for h in np.flatnonzero(task["available"][p]):
            on = 2 + people + p * shifts + h
            capacity[2 + p, on] = 1
            for s in np.flatnonzero(matrix[p] <= task["within_s"]):
                base = 2 + people * (1 + shifts) + (s * shifts + h) * types
                capacity[on, base : base + types] = has[p]
    capacity[-sites * shifts * types or size :, 1] = places.ravel()
    return maximum_flow(csr_array(capacity), 0, 1).flow_value


def loss(task, filled, total_s):
    """The order of answers: places filled at each rank, then travel time."""
    counts = {}
    for (site, shift), wanted in np.ndenumerate(task["quota"]):
        least, weight = task["minimum"][site, shift], task["weight"][site]
        for k in range(wanted):
            must = k < least
            rank = (not must, k / ((least if must else wanted) * weight), -weight)
            counts[rank] = counts.get(rank, 0) + (k < filled[site, shift])
    return (*(-counts[rank] for rank in sorted(counts)), round(total_s * 10))


@quick
@given(tasks())
def test_every_quota_that_can_be_met_is_met(task):
    matrix, asked = task
    plan = deploy(Links.dense(matrix), **asked)
    assert_valid(matrix, asked, plan)
    assert len(plan.person) == most_places(matrix, asked, asked["quota"], asked["skilled"])


@quick
@given(tasks(skills=0))
def test_minima_come_before_quotas(task):
    matrix, asked = task
    plan = deploy(Links.dense(matrix), **asked)
    must = np.minimum(plan.filled, asked["minimum"]).sum()
    assert must == most_places(matrix, asked, asked["minimum"], asked["skilled"])


@quick
@given(tasks())
def test_what_is_not_met_is_named_with_its_causes(task):
    matrix, asked = task
    plan = deploy(Links.dense(matrix), **asked)
    seats = assert_valid(matrix, asked, plan)
    short = [(int(s), int(h)) for s, h in np.argwhere(plan.filled < asked["quota"])]
    assert [(gap.site, gap.shift) for gap in plan.gaps] == short
    near = matrix <= asked["within_s"]
    free = asked["available"] & (asked["most"] > 0)[:, None]
    for gap in plan.gaps:
        assert sum(gap.parts.values()) == gap.missing == gap.wanted - gap.filled > 0
        assert min(gap.parts.values()) >= 0 and gap.parts[gap.cause] == max(gap.parts.values())
        assert gap.within_reach == min(near[:, gap.site].sum(), gap.wanted)
        assert gap.free == min((near[:, gap.site] & free[:, gap.shift]).sum(), gap.wanted)
        only = np.zeros_like(asked["quota"])
        only[gap.site, gap.shift] = gap.wanted
        skilled = asked["skilled"] * (only > 0)[:, :, None]
        assert gap.alone == most_places(matrix, asked, only, skilled)
        missing = (asked["skilled"] - seats[:, :, :-1])[gap.site, gap.shift]
        assert gap.skills == {g: n for g, n in enumerate(missing.tolist()) if n}


@settings(deadline=None, max_examples=150)
@given(tasks(people=3, sites=3, shifts=2, skills=1, least=2))
def test_it_is_the_best_of_all_answers(task):
    matrix, asked = task
    plan = deploy(Links.dense(matrix), **asked)
    people, (sites, shifts) = len(matrix), asked["quota"].shape
    best = min(
        loss(asked, filled, total_s)
        for filled, total_s in every_answer(matrix, asked, people, sites, shifts)
    )
    assert loss(asked, plan.filled, plan.total_s) == best


def every_answer(matrix, asked, people, sites, shifts):
    """Filled quotas and travel seconds of all answers: a site or none by person and shift."""
    reach = matrix <= asked["within_s"]
    weeks = [
        [
            week
            for week in product(range(-1, sites), repeat=shifts)
            if sum(s >= 0 for s in week) <= asked["most"][p]
            and all(s < 0 or (reach[p, s] and asked["available"][p, h]) for h, s in enumerate(week))
        ]
        for p in range(people)
    ]
    for choice in product(*weeks):
        sent = [(p, s, h) for p, week in enumerate(choice) for h, s in enumerate(week) if s >= 0]
        filled = np.zeros((sites, shifts), int)
        able = np.zeros((sites, shifts), int)
        for p, s, h in sent:
            filled[s, h] += 1
            able[s, h] += asked["skills"][p].any()
        skilled = asked["skilled"].sum(axis=2)
        # With one skill: those without it, and those with it for whom no skilled place is left.
        general = filled - np.minimum(able, skilled)
        if (general <= asked["quota"] - skilled).all():
            yield filled, sum(matrix[p, s] for p, s, _ in sent)


@settings(deadline=None, max_examples=30)
@given(tasks(people=30, sites=8), st.integers(0, 3))
def test_taking_links_in_as_they_prove_worth_it_changes_nothing(task, nearest):
    matrix, asked = task
    whole = deploy(Links.dense(matrix), **asked)
    few, some = staffing._FEW, staffing._NEAREST
    staffing._FEW, staffing._NEAREST = 0, nearest
    try:
        priced = deploy(Links.dense(matrix), **asked)
    finally:
        staffing._FEW, staffing._NEAREST = few, some
    assert loss(asked, priced.filled, priced.total_s) == loss(asked, whole.filled, whole.total_s)


@quick
@given(tasks(), st.randoms(use_true_random=False))
def test_the_order_of_the_pairs_does_not_matter(task, random):
    matrix, asked = task
    row, column = np.nonzero(np.isfinite(matrix))
    mixed = list(range(len(row)))
    random.shuffle(mixed)
    sparse = Links.of(row[mixed], column[mixed], matrix[row, column][mixed], matrix.shape)
    a, b = deploy(Links.dense(matrix), **asked), deploy(sparse, **asked)
    for name in ("person", "site", "shift", "skill"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_too_few_people_are_shared_by_quota_and_weight():
    nearby = Links.dense(np.tile([10.0, 600.0, 600.0], (12, 1)))
    assert deploy(nearby, [20, 10, 10]).filled.ravel().tolist() == [6, 3, 3]
    assert deploy(nearby, [20, 20, 20], weight=[1, 1, 2]).filled.ravel().tolist() == [3, 3, 6]
    few = deploy(nearby, [20, 10, 10], minimum=[0, 8, 0])
    assert few.filled.ravel().tolist() == [3, 8, 1]


def test_the_binding_cause_is_named():
    matrix = np.full((4, 4), np.nan)
    matrix[:2, 0] = matrix[2:, 1] = matrix[2:, 2] = matrix[2:, 3] = 60
    plan = deploy(
        Links.dense(matrix),
        quota=[[3, 0], [0, 2], [2, 0], [1, 0]],
        available=[[1, 1], [1, 1], [1, 0], [1, 0]],
        skilled=[[[0], [0]], [[0], [0]], [[0], [0]], [[1], [0]]],
        skills=np.zeros((4, 1)),
    )
    causes = {(gap.site, gap.shift): (gap.cause, gap.missing) for gap in plan.gaps}
    assert causes == {(0, 0): (Cause.REACH, 1), (1, 1): (Cause.SHIFT, 2), (3, 0): (Cause.SKILL, 1)}
    assert plan.gaps[2].skills == {0: 1}
    shared = deploy(Links.dense([[5, 5]]), [1, 1])
    assert [gap.cause for gap in shared.gaps] == [Cause.SHARED]


def test_a_person_fills_a_skilled_place_before_a_general_one():
    plan = deploy(Links.dense([[5], [6]]), [3], skilled=[[1]], skills=[[0], [1]])
    assert plan.skill.tolist() == [-1, 0]


def test_islands_are_named_and_people_without_a_link_stay():
    plan = deploy(Links.dense([[60, 9000, 60], [np.nan] * 3]), [1, 2, 0], within_s=3600)
    assert (plan.islands.tolist(), plan.person.tolist()) == ([1], [0])
    assert (plan.gaps[0].site, plan.gaps[0].cause, plan.gaps[0].within_reach) == (1, "reach", 0)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_asked_is_nothing_answered(shape):
    plan = deploy(Links.dense(np.zeros(shape)), np.ones(shape[1]))
    assert len(plan.person) == 0 and plan.total_s == 0
    assert [gap.missing for gap in plan.gaps] == [1] * shape[1]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"quota": [-1, 2]}, "quota must be whole numbers of at least 0, not -1"),
        ({"quota": [1, 2, 3]}, r"quota must be numbers of shape \(2, 1\)"),
        ({"quota": [1, np.nan]}, "quota must have no NaN"),
        ({"minimum": [0, 3]}, "minimum of site 1 in shift 0 is 3, more than its quota of 2"),
        ({"weight": [1, 0]}, "weight must be above 0"),
        ({"weight": [1, np.inf]}, "weight must be above 0 and finite"),
        ({"skilled": [[1], [1]]}, "skilled and skills belong together"),
        ({"skilled": [[1], [3]], "skills": [[1]] * 3}, "skilled of site 1 in shift 0 is 3"),
        ({"skilled": [[1], [1]], "skills": [1, 1, 1]}, "skills must be people × skills"),
        ({"available": [[1], [2], [1]]}, "available must be yes or no"),
        ({"available": [[1, 1]] * 3}, r"available must be numbers of shape \(3, 1\)"),
        ({"most": -1}, "most must be whole numbers of at least 0, not -1"),
        ({"within_s": np.nan}, "within_s must have no NaN"),
    ],
)
def test_what_is_wrong_is_said(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        deploy(Links.dense(np.ones((3, 2))), **{"quota": [2, 2], **values})


def test_the_examples_run():
    ran = doctest.testmod(deployment)
    assert ran.attempted and not ran.failed
