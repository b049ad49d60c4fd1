"""The load of each grid: incidents, residents, visits and ways, and how unevenly it is spread."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from sqlalchemy import Connection, text

from data import territory
from data.analyses import observations
from data.analyses.kept import Question, Say
from data.analyses.selection import Selection
from data.analyses.work import Analysis
from data.settings import settings
from gis.inequality import gini, lorenz

LOADS = ("incidents", "residents", "visits", "travel_h")
CURVE = 101  # points of a Lorenz curve: one for each hundredth of the grids

_GRIDS = text("""
SELECT v.area_id, a.code, v.name, v.kind, v.area_m2,
       CASE WHEN jsonb_typeof(v.attributes -> 'residents') = 'number'
            THEN CAST(v.attributes ->> 'residents' AS double precision) END AS residents
FROM area_version v JOIN area a ON a.id = v.area_id
WHERE a.layer = 'grid' AND upper_inf(v.recorded) AND v.valid @> now()
  AND (CAST(:areas AS bigint[]) IS NULL OR v.area_id = ANY (:areas))
ORDER BY a.code
""")
_VISITS = text("""
SELECT area_id, count(*) AS visits, count(*) FILTER (WHERE state = 'done') AS done
FROM visit WHERE until > :since AND since < :until GROUP BY 1
""")
# The way to an incident, from setting out to arriving, counts for the grid that it leads to.
_WAYS = text("""
SELECT i.area_id, sum(extract(epoch FROM a.at - o.at))::double precision / 3600 AS travel_h
FROM assignment_step o
JOIN assignment s ON s.id = o.assignment_id
JOIN incident i ON i.id = s.incident_id
CROSS JOIN LATERAL (SELECT min(x.at) AS at FROM assignment_step x
                    WHERE x.assignment_id = o.assignment_id AND x.state = 'on_scene'
                      AND x.at >= o.at) a
WHERE o.state = 'on_the_way' AND o.at >= :since AND o.at < :until AND a.at IS NOT NULL
GROUP BY 1
""")


def question(selection: Selection, area_id: int | None) -> Question:
    """Which load is asked for."""
    asked = {"selection": selection.said(), "area_id": area_id}
    return Question(
        ANALYSIS.name, ANALYSIS.version, asked, selection.first, selection.last, area_id
    )


def work(connection: Connection, asked: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """Loads by grid, as columns of one table, and the spread of each over the basic grids."""
    selection = Selection.of(asked["selection"])
    zone = ZoneInfo(settings().timezone)
    say("reports", 0.0)
    found = observations.read(connection, selection, settings().timezone)
    say("grids", 0.5)
    areas = None if asked["area_id"] is None else territory.below(connection, asked["area_id"])
    grids = pd.DataFrame(connection.execute(_GRIDS, {"areas": areas}).mappings())
    if grids.empty:
        grids = pd.DataFrame(columns=["area_id", "code", "name", "kind", "area_m2", "residents"])
    grids = grids.set_index("area_id")
    since = datetime.combine(selection.first, datetime.min.time(), zone)
    until = datetime.combine(selection.last + timedelta(days=1), datetime.min.time(), zone)
    during = {"since": since, "until": until}
    counts = pd.Series(found.area_id[found.area_id >= 0]).value_counts()
    grids["incidents"] = counts.reindex(grids.index).fillna(0).astype(int)
    for query, columns in ((_VISITS, ("visits", "done")), (_WAYS, ("travel_h",))):
        rows = pd.DataFrame(
            connection.execute(query, during).all(), columns=["area_id", *columns]
        ).set_index("area_id")
        for column in columns:
            grids[column] = rows[column].reindex(grids.index).fillna(0)
    basic = grids[grids.kind == "basic"]
    return {
        "selection": selection.said(),
        "grids": {name: grids[name].tolist() for name in grids.columns if name != "kind"},
        "spread": {load: _spread(basic[load].to_numpy(float)) for load in LOADS},
        "reports": len(found),
        "elsewhere": int(len(found) - grids["incidents"].sum()),
        "unplaced": found.unplaced,
        "newest": observations.newest(connection) if not len(found) else None,
    }


def _spread(loads: "np.ndarray[Any, np.dtype[np.float64]]") -> dict[str, Any]:
    """Gini coefficient (null: there is no load) and the Lorenz curve by hundredths of the grids."""
    known = loads[~np.isnan(loads)]
    curve = lorenz(known)
    at = np.linspace(0, 1, CURVE)
    coefficient = gini(known)
    return {
        "gini": None if np.isnan(coefficient) else round(coefficient, 4),
        "total": float(known.sum()),
        "mean": float(known.mean()) if known.size else None,
        "most": float(known.max()) if known.size else None,
        "lorenz": np.interp(at, *curve.T).round(4).tolist() if known.size else [],
    }


ANALYSIS = Analysis("workload", 1, work)
