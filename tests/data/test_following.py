"""What a reporter sees of their case by its link."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data import following
from data.stages import STAGES

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)


@given(st.integers(1, 2**63 - 1))
def test_a_token_is_its_reports_and_no_others(report: int) -> None:
    token = following.token(report)
    assert following.report_of(token) == report
    assert following.report_of(f"{report + 1}-{token.partition('-')[2]}") is None


@given(st.text(max_size=40))
def test_what_is_no_token_leads_nowhere(given_: str) -> None:
    assert following.report_of(given_) is None


@given(st.lists(st.sampled_from([*STAGES, "reopen"]), max_size=12), st.integers(0, 12))
def test_the_way_goes_forward_until_it_is_opened_again(path: list[str], came: int) -> None:
    steps = [
        {"at": BEGAN + timedelta(hours=n), "stage": "triaged" if word == "reopen" else word,
         "action": word if word == "reopen" else "x"} for n, word in enumerate(path)
    ]  # fmt: skip
    received = BEGAN + timedelta(hours=came)
    way = following.progress(steps, received)
    assert way[0]["stage"] == "received" and way[0]["at"] == received
    assert [stop["at"] for stop in way] == sorted(stop["at"] for stop in way)
    order = list(following.WORDS)
    for before, after in pairwise(way):
        forward = order.index(after["stage"]) > order.index(before["stage"])
        assert forward or before["stage"] == "reopened"


@pytest.mark.parametrize(
    ("stages", "seen"),
    [
        (["assigned", "accepted", "triaged", "assigned"], "in_work"),  # between offices
        (["resolved", "closed"], "closed"),
        (["closed", "reopen", "assigned"], "assigned"),
    ],
)
def test_how_it_stands_in_the_end(stages: list[str], seen: str) -> None:
    steps = [
        {"at": BEGAN + timedelta(hours=n), "stage": "triaged" if s == "reopen" else s,
         "action": s} for n, s in enumerate(stages, 1)
    ]  # fmt: skip
    assert following.progress(steps, BEGAN)[-1]["stage"] == seen
