"""Whether somebody's last position counts, or their home does: said here for all of SQL and words.

A position counts that is younger than `position_fresh_s` and as accurate as `position_accuracy_m`
asks for.
"""

from data.fixes import CLOCK_SKEW
from data.settings import settings

# Of a row `f` of `position` at the moment `asked.at`, with the parameters of `limits`. Positions
# are a little ahead where clocks differ.
FRESH = f"""f.at > asked.at - make_interval(secs => :fresh_s)
              AND f.at <= asked.at + interval '{CLOCK_SKEW.total_seconds():g} seconds'
              AND coalesce(f.accuracy_m, 0) <= :accurate_m"""


def limits() -> dict[str, float]:
    """The parameters of `FRESH`."""
    return {
        "fresh_s": settings().position_fresh_s,
        "accurate_m": settings().position_accuracy_m,
    }


def why_not(age_s: float | None, accuracy_m: float | None) -> str | None:
    """Why a position so old does not count: no_position, stale or inaccurate; None: it does.

    >>> why_not(60, None), why_not(3 * 3600, 10), why_not(60, 900), why_not(None, None)
    (None, 'stale', 'inaccurate', 'no_position')
    """
    if age_s is None or age_s < -CLOCK_SKEW.total_seconds():  # asked for a moment before it
        return "no_position"
    if age_s >= settings().position_fresh_s:
        return "stale"
    if (accuracy_m or 0) > settings().position_accuracy_m:
        return "inaccurate"
    return None
