"""Who is there first: against asking everybody, with a travel time of our own making."""

import numpy as np
import pytest

from gis.reach import covered, nearest
from gis.travel import Legs, StraightLine


class River:
    """Straight lines, but whoever crosses 23° north goes round by an hour, or cannot at all."""

    name = "roads"

    def __init__(self, bridge: bool = True) -> None:
        self.bridge, self.asked = bridge, 0

    def legs(self, origins: np.ndarray, targets: np.ndarray, modes: np.ndarray) -> Legs:
        plain = StraightLine().legs(origins, targets, modes)
        self.asked += plain.seconds.size
        across = (np.asarray(origins)[:, None, 1] > 23) != (np.asarray(targets)[None, :, 1] > 23)
        seconds = plain.seconds + np.where(across, 3600 if self.bridge else np.nan, 0)
        return Legs(seconds, plain.metres, np.ones(seconds.shape, dtype=bool))


def test_as_if_everybody_had_been_asked() -> None:
    rng = np.random.default_rng(1)
    people = rng.uniform((113, 22.9), (113.2, 23.1), (150, 2))
    modes = rng.choice(np.array(["foot", "moped", "car"], dtype=object), 150)
    targets = rng.uniform((113, 22.9), (113.2, 23.1), (200, 2))
    found = nearest(people, modes, targets, StraightLine())
    every = StraightLine().legs(people, targets, modes).seconds
    np.testing.assert_allclose(found.seconds, every.min(axis=0), rtol=2e-3)
    assert (found.who == every.argmin(axis=0)).mean() > 0.97


def test_the_second_by_the_straight_line_may_be_the_first_by_road() -> None:
    people = [[113.1, 23.005], [113.1, 22.988]]
    target = [[113.1, 22.9995]]
    assert nearest(people, ["foot"] * 2, target, StraightLine()).who.tolist() == [0]
    river = River()
    found = nearest(people, ["foot"] * 2, target, river, candidates=2)
    assert found.who.tolist() == [0] and river.asked == 1  # twice as far: it is not asked
    closer = [[113.1, 23.005], [113.1, 22.9925]]
    found = nearest(closer, ["foot"] * 2, target, River())
    assert found.who.tolist() == [1] and found.by_road.all()


def test_nobody_and_nobody_who_can() -> None:
    assert np.isnan(nearest([], [], [[113.1, 23.0]], StraightLine()).seconds).all()
    cut_off = nearest([[113.1, 23.01]], ["foot"], [[113.1, 22.99]], River(bridge=False))
    assert np.isnan(cut_off.seconds).all() and cut_off.who.tolist() == [-1]
    assert cut_off.by_road.all()
    assert len(nearest([[113.1, 23.01]], ["foot"], [], StraightLine()).seconds) == 0


def test_who_is_next_door_is_not_asked_along_the_roads() -> None:
    river = River(bridge=False)
    found = nearest([[113.1, 23.0005]], ["foot"], [[113.1, 22.9995]], river)
    assert river.asked == 0 and found.seconds[0] == pytest.approx(104, abs=2)
    assert not found.by_road[0]


def test_covered_counts_weight() -> None:
    assert covered([100, 400, np.nan], [1, np.nan, 3], [5]).tolist() == [0.25]
    assert np.isnan(covered([100], [0], [5, 10])).all()
