"""What the measures against a warning did: its areas beside matched ones, before and after.

Before are the days of the surge, from the seven in which it was found to the first shift of the
deployment (or the first measure noted); after are the days since. What surges tends to fall by
itself: of the areas compared with, those count that surged alike, where there are any.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from sqlalchemy import Connection, text

from data import early_warnings
from data.analyses import observations
from data.early_warnings import WarningError
from data.settings import settings
from gis import effects

MOST_DAYS, FEWEST_DAYS = 28, 7

_WARNING = text("""
SELECT w.kind, w.area_id, w.raised, l.tree_level AS level,
    (SELECT min(s.at) FROM warning_step s WHERE s.warning_id = w.id AND s.action = 'plan') AS noted,
    (SELECT min(lower(h.during)) FROM warning_step s
     JOIN deployment_site d ON d.deployment_id = s.deployment_id
     JOIN deployment_shift h ON h.site_id = d.id WHERE s.warning_id = w.id) AS begun
FROM warning w JOIN area a ON a.id = w.area_id JOIN layer l ON l.name = a.layer WHERE w.id = :id
""")
_PATH = """
WITH path AS (
    SELECT DISTINCT ON (area_id) area_id, path FROM area_path
    ORDER BY area_id, upper(valid) DESC NULLS FIRST
)"""
_SITES = text(f"""{_PATH}
SELECT DISTINCT p.path[:level + 1] FROM warning_step s
JOIN deployment_site d ON d.deployment_id = s.deployment_id JOIN path p ON p.area_id = d.area_id
WHERE s.warning_id = :id AND p.path[:level + 1] IS NOT NULL
""")
# Who sees some areas only compares within them: of the others no report would seem to come.
_AREAS = text("""
SELECT p.area_id, a.code FROM area_path p JOIN area a ON a.id = p.area_id
WHERE p.level = :level AND p.valid @> clock_timestamp()
  AND (current_user <> 'wangge_app'
       OR p.area_id = ANY (in_reach()))
ORDER BY p.area_id
""")
_COUNTS = text(f"""{_PATH}
SELECT p.path[:level + 1] AS area_id,
       CAST({observations.WHEN} AT TIME ZONE :zone AS date) - CAST(:first AS date) AS day,
       count(*) AS n
FROM report r JOIN path p ON p.area_id = r.area_id
WHERE {observations.ONCE} AND r.kind IS NOT DISTINCT FROM CAST(:kind AS text)
  AND {observations.WHEN} >= CAST(:first AS date)::timestamp AT TIME ZONE :zone
  AND {observations.WHEN} < CAST(:until AS date)::timestamp AT TIME ZONE :zone
  AND p.path[:level + 1] IS NOT NULL
GROUP BY 1, 2
""")


def effect(connection: Connection, number: int, *, now: datetime) -> dict[str, Any]:
    """The change of the areas where something was done, beyond that of areas where nothing was.

    Changes are fractions: -0.789 is 78.9 % less.

    Raises
    ------
    WarningError
        There is no such warning, nothing was done yet, or not enough is known; in a sentence.
    """
    zone = settings().timezone
    warning = connection.execute(_WARNING, {"id": number}).mappings().first()
    if warning is None:
        raise early_warnings.unknown(number)
    begun = warning["begun"] or warning["noted"]
    if begun is None:
        raise _untold(f"Nothing was done about warning {number} yet; note the measure first.")
    start = begun.astimezone(ZoneInfo(zone)).date()
    found = warning["raised"].astimezone(ZoneInfo(zone)).date() - timedelta(days=FEWEST_DAYS)
    first = max(min(found, start - timedelta(days=FEWEST_DAYS)), start - timedelta(days=MOST_DAYS))
    until = min(now.astimezone(ZoneInfo(zone)).date(), start + timedelta(days=MOST_DAYS))
    if (until - start).days < FEWEST_DAYS:
        raise _untold(
            f"Measures began on {start}; what they did can be told after {FEWEST_DAYS} days."
        )
    level = warning["level"]
    asked = {"id": number, "level": level, "zone": zone, "kind": warning["kind"]}
    treated = connection.execute(_SITES, asked).scalars().all() or [warning["area_id"]]
    areas = connection.execute(_AREAS, asked).all()
    ids, codes = [row.area_id for row in areas], [row.code for row in areas]
    counts = _counts(connection, ids, {**asked, "first": first, "until": until})
    days = (start - first).days
    return _told(ids, codes, counts, treated, days, first, start, until)


def _counts(connection: Connection, ids: Sequence[int], asked: dict[str, Any]) -> Any:
    """(areas, days) reports of the kind."""
    at = {area: n for n, area in enumerate(ids)}
    counts = np.zeros((len(ids), (asked["until"] - asked["first"]).days))
    for row in connection.execute(_COUNTS, asked):
        if row.area_id in at:
            counts[at[row.area_id], row.day] = row.n
    return counts


def _told(
    ids: Sequence[int], codes: Sequence[str], counts: Any, treated: Sequence[int], days: int,
    first: date, start: date, until: date,
) -> dict[str, Any]:  # fmt: skip
    mine = np.isin(ids, treated)
    try:
        told = effects.effect(counts, mine, days)
    except effects.EffectError as error:
        raise _untold(f"What was done cannot be told apart: {error}.") from error
    controls = [int(n) for n in told.controls]
    names = (
        "treated_before", "treated_after", "treated_change", "control_change", "effect", "low",
        "high", "p", "placebo_p", "pre_fit", "drift_p", "parallel",
    )  # fmt: skip
    return {
        "first": first, "start": start, "last": until - timedelta(days=1),
        **{name: getattr(told, name) for name in names},
        "treated": [code for code, one in zip(codes, mine, strict=True) if one],
        "controls": [codes[n] for n in controls],
        "days": {
            "treated": counts[mine].sum(axis=0).astype(int).tolist(),
            "controls": counts[controls].sum(axis=0).astype(int).tolist(),
        },
    }  # fmt: skip


def _untold(why: str) -> WarningError:
    return WarningError("warning_effect_unknown", why)
