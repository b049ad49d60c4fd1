"""What SQL takes for fresh and what the reasons say of it must be the same."""

import doctest

import pytest
from sqlalchemy import Connection, text

from data import freshness

_FRESH = text(f"""
WITH asked AS (SELECT now() AS at)
SELECT {freshness.FRESH} AS fresh FROM asked CROSS JOIN (
    SELECT now() - make_interval(secs => :age_s) AS at, CAST(:accuracy_m AS float) AS accuracy_m
) f
""")


@pytest.mark.parametrize("age_s", [-61, -60, -1, 0, 1799, 1800, 1801])
@pytest.mark.parametrize("accuracy_m", [None, 0, 200, 200.1])
def test_sql_and_words_agree(connection: Connection, age_s: float, accuracy_m: float) -> None:
    asked = {"age_s": age_s, "accuracy_m": accuracy_m, **freshness.limits()}
    fresh = connection.execute(_FRESH, asked).scalar_one()
    assert fresh == (freshness.why_not(age_s, accuracy_m) is None)
    assert fresh == (-60 <= age_s < 1800 and (accuracy_m or 0) <= 200)


def test_the_examples_run() -> None:
    assert doctest.testmod(freshness).failed == 0
