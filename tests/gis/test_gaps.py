"""Gap cover held to plain counting and, on tiny cases, to every choice of moves."""

import doctest
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gis import gaps
from gis.gaps import Method, cover, relocate
from gis.links import Links

quick = settings(deadline=None, max_examples=60)
WITHIN_S, MOVE_S = 600.0, 900.0


@st.composite
def towns(draw, people=12, places=8, standbys=5):
    """Points in a town, as matrices people × places, people × standbys, standbys × places."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    side = draw(st.sampled_from([900, 2000, 3500]))
    sizes = (draw(st.integers(0, n)) for n in (people, places, standbys))
    who, what, where = (rng.integers(0, side, (n, 2)).astype(float) for n in sizes)
    reach, move, stand = (
        np.abs(a[:, None] - b).sum(axis=2) for a, b in ((who, what), (who, where), (where, what))
    )
    reach[rng.random(reach.shape) < 0.1] = np.nan
    sent = rng.random(len(who)) < draw(st.sampled_from([0.3, 0.7]))
    return reach, move, stand, rng.integers(0, 5, len(what)), sent


def solve(town, most, **options):
    reach, move, stand, weight, sent = town
    return relocate(
        Links.dense(reach),
        weight,
        sent,
        WITHIN_S,
        to_standby=Links.dense(move),
        from_standby=Links.dense(stand),
        most=most,
        move_within_s=MOVE_S,
        **options,
    )


def after_moving(town, person, standby):
    """People within reach of each place, counted from scratch."""
    reach, _, stand, _, sent = town
    stays = ~sent
    stays[person] = False
    return (reach[stays] <= WITHIN_S).sum(axis=0) + (stand[standby] <= WITHIN_S).sum(axis=0)


@given(towns())
def test_cover_counts_who_is_near(town):
    reach, _, _, weight, sent = town
    found = cover(Links.dense(reach), weight, sent, WITHIN_S)
    near = reach <= WITHIN_S
    np.testing.assert_array_equal(found.before, near.sum(axis=0))
    np.testing.assert_array_equal(found.after, near[~sent].sum(axis=0))
    assert set(found.lost) | set(found.islands) == set(found.uncovered)
    assert not set(found.lost) & set(found.islands)
    if weight.sum():
        assert found.share_after == pytest.approx(
            weight[near[~sent].any(axis=0)].sum() / weight.sum()
        )
        assert found.share_after <= found.share_before
    else:
        assert np.isnan(found.share_after)


@quick
@given(towns(), st.integers(0, 4), st.sampled_from([0.0, 60.0]))
def test_moves_are_possible_and_never_uncover_a_place(town, most, limit_s):
    reach, move, _, weight, sent = town
    found = solve(town, most, time_limit_s=limit_s)
    assert len(found.person) == len(set(found.person.tolist())) <= most
    assert not sent[found.person].any()
    np.testing.assert_array_equal(found.seconds, move[found.person, found.standby])
    assert (found.seconds <= MOVE_S).all()
    now = (reach[~sent] <= WITHIN_S).sum(axis=0)
    after = after_moving(town, found.person, found.standby)
    np.testing.assert_array_equal(found.after, after)
    assert (after[now > 0] > 0).all()
    assert found.regained.tolist() == np.flatnonzero((now == 0) & (after > 0)).tolist()
    assert found.gain == weight[found.regained].sum() <= found.bound


@quick
@given(towns(people=5, standbys=3), st.integers(1, 3))
def test_the_exact_answer_is_the_best_of_all_and_greedy_says_how_far_it_may_be(town, most):
    reach, move, _, weight, sent = town
    now = (reach[~sent] <= WITHIN_S).sum(axis=0)
    able = np.flatnonzero(~sent)
    best = (0.0, 0.0)
    for k in range(1, most + 1):
        for team, posts in product(combinations(able, k), product(range(move.shape[1]), repeat=k)):
            person, standby = np.array(team), np.array(posts, int)
            seconds = move[person, standby]
            after = after_moving(town, person, standby)
            if (seconds <= MOVE_S).all() and (after[now > 0] > 0).all():
                gain = weight[(now == 0) & (after > 0)].sum()
                best = min(best, (-gain, (seconds + 1).sum()))
    exact = solve(town, most)
    assert exact.method == Method.EXACT
    assert (-exact.gain, (exact.seconds + 1).sum()) == best
    assert exact.bound == exact.gain
    greedy = solve(town, most, time_limit_s=0)
    assert greedy.gain <= exact.gain <= greedy.bound


def gap(weight, stands, moves, most, **options):
    """Relocation of people who cover nothing to standby places, each given as what it covers."""
    moves = np.array(moves, dtype=float)
    covers = np.array([[0.0 if c in stand else np.nan for c in weight] for stand in stands])
    return relocate(
        Links.dense(np.full((len(moves), len(weight)), np.nan)),
        list(weight.values()),
        False,
        600,
        to_standby=Links.dense(moves),
        from_standby=Links.dense(covers),
        most=most,
        **options,
    )


def test_greedy_may_fall_short_and_its_bound_says_by_how_much():
    weight = {"a": 20, "b": 20, "c": 20, "d": 20, "e": 19, "f": 19}
    asked = weight, ["abcd", "abe", "cdf"], np.ones((3, 3)), 2
    greedy, exact = gap(*asked, time_limit_s=0), gap(*asked)
    assert (greedy.gain, greedy.bound, greedy.method) == (99, 118, Method.GREEDY)
    assert (exact.gain, exact.bound, exact.method) == (118, 118, Method.EXACT)


def test_one_person_nearest_to_two_standby_places_leaves_one_to_the_next():
    found = gap({"a": 5, "b": 4}, ["a", "b"], [[10, 10], [50, 90], [70, 60]], 2)
    moves = list(zip(found.person.tolist(), found.standby.tolist(), strict=True))
    assert (moves, found.gain) == ([(0, 1), (1, 0)], 9)


@pytest.mark.parametrize(("limit_s", "expected"), [(5, [(0, 1), (1, 0)]), (0, [])])
def test_whoever_leaves_is_replaced_or_stays(limit_s, expected):
    # 0 can get to the gap, but is the only one near place 0; 1 can take over there.
    reach = Links.dense([[60, 9e3, 9e3], [9e3, 60, 9e3], [9e3, 60, 9e3], [9e3, 9e3, 60]])
    found = relocate(
        reach,
        1,
        [0, 0, 0, 1],
        600,
        to_standby=Links.dense([[9e3, 300], [400, 9e3], [500, 9e3], [0, 0]]),
        from_standby=Links.dense([[60, 9e3, 9e3], [9e3, 9e3, 60]]),
        most=2,
        move_within_s=900,
        time_limit_s=limit_s,
    )
    moves = list(zip(found.person.tolist(), found.standby.tolist(), strict=True))
    assert moves == expected
    assert found.regained.tolist() == ([2] if expected else [])
    assert found.bound == 1


def test_a_whole_town_is_solved_exactly():
    rng = np.random.default_rng(7)
    who, what = rng.uniform(0, 10_000, (2000, 2)), rng.uniform(0, 10_000, (300, 2))
    reach, stand = (np.hypot(*(a[:, None] - what).transpose(2, 0, 1)) / 1.4 for a in (who, what))
    sent = np.hypot(*(who - 5000).T) < 2500
    found = relocate(
        Links.dense(reach), rng.integers(50, 3000, 300), sent, 600,
        to_standby=Links.dense(reach), from_standby=Links.dense(stand), most=5,
        move_within_s=1800, time_limit_s=60,
    )  # fmt: skip
    assert found.method == Method.EXACT and len(found.person) == 5 and found.gain > 0


@pytest.mark.parametrize(("people", "places"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_asked_is_nothing_answered(people, places):
    town = np.zeros((people, places)), np.zeros((people, 2)), np.zeros((2, places)), 1, False
    found = solve(town, 2)
    assert (len(found.person), found.gain, found.bound) == (0, 0, 0)
    none = cover(Links.dense(town[0]), 1, False, WITHIN_S)
    assert none.islands.tolist() == (list(range(places)) if not people else [])


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"weight": [1, -1]}, "weight must be at least 0"),
        ({"weight": [1, 2, 3]}, r"weight must be numbers of shape \(2,\)"),
        ({"weight": np.nan}, "weight must have no NaN"),
        ({"sent": [1, 2]}, "sent must be yes or no"),
        ({"within_s": -1}, "within_s must be at least 0, not -1"),
        ({"most": -1}, "most must be whole numbers of at least 0, not -1"),
        ({"move_within_s": np.nan}, "move_within_s must have no NaN"),
        ({"time_limit_s": -1}, "time_limit_s must be at least 0, not -1"),
        ({"to_standby": Links.dense(np.ones((2, 3)))}, r"not \(2, 3\) and \(1, 2\)"),
    ],
)
def test_what_is_wrong_is_said(values, sentence):
    asked = {
        "reach": Links.dense(np.ones((2, 2))),
        "weight": 1,
        "sent": [0, 1],
        "within_s": 5,
        "to_standby": Links.dense(np.ones((2, 1))),
        "from_standby": Links.dense(np.ones((1, 2))),
        "most": 1,
    }
    with pytest.raises(ValueError, match=sentence):
        relocate(**{**asked, **values})


def test_the_examples_run():
    ran = doctest.testmod(gaps)
    assert ran.attempted and not ran.failed
