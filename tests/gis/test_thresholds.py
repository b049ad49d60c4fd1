"""A condition begins once it has held for long enough, and ends once, on the good side."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.thresholds import Condition, holds

VALUES = st.lists(st.floats(-100, 100), min_size=1, max_size=40)


def at(*values, step=60.0):
    return np.arange(len(values)) * step, np.array(values, float)


def ask(condition, values, now=None, **more):
    times, readings = at(*values)
    now = times[-1] if now is None else now
    return holds(condition, times, readings, now_s=now, since_s=0, **more)


@pytest.mark.parametrize(
    ("comparison", "values", "held"),
    [(">", [7], False), (">=", [7], True), ("<", [7], False), ("<=", [7], True), (">", [8], True)],
)
def test_comparisons(comparison, values, held):
    assert ask(Condition("m", comparison, 7), values) is held


def test_it_has_to_hold_without_a_break_for_long_enough():
    late = Condition("m", ">", 7, for_s=120)
    assert not ask(late, [8, 8])
    assert ask(late, [8, 8, 8])
    assert not ask(late, [8, 7, 8])
    assert ask(late, [8], now=120)  # no reading says that it is over


def test_missing_counts_from_the_last_reading_or_from_the_beginning():
    silent = Condition("m", "missing", for_s=300)
    assert not ask(silent, [1], now=299)
    assert ask(silent, [1], now=300)
    nothing = np.empty(0)
    assert holds(silent, nothing, nothing, now_s=300, since_s=0)
    assert not holds(silent, nothing, nothing, now_s=300, since_s=1)
    assert not ask(silent, [1, 1, 1, 1, 1, 1], now=300, under_way=True)


def test_readings_to_come_do_not_count_and_their_order_does_not_matter():
    over = Condition("m", ">", 7)
    assert not ask(over, [1, 9], now=30)
    times, values = at(1, 9)
    assert holds(over, times[::-1], values[::-1], now_s=60, since_s=0)


@given(VALUES, st.floats(-50, 50), st.floats(0, 50))
def test_a_value_between_limit_and_clear_keeps_what_there_is(values, limit, width):
    condition = Condition("m", ">", limit, clear=limit - width)
    under_way = False
    for n in range(1, len(values) + 1):
        before, under_way = under_way, ask(condition, values[:n], under_way=under_way)
        last = values[n - 1]
        if last > limit:
            assert under_way
        elif last <= limit - width:
            assert not under_way
        else:
            assert under_way == before


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"comparison": "about", "value": 1}, "no comparison"),
        ({"comparison": ">"}, "value"),
        ({"comparison": "missing"}, "how long"),
        ({"comparison": ">", "value": 1, "clear": 2}, "never be over"),
        ({"comparison": "<=", "value": 1, "clear": 0}, "never be over"),
    ],
)
def test_what_can_mean_nothing_is_refused(facts, why):
    with pytest.raises(ValueError, match=why):
        Condition("m", **facts)
