"""What the figures of 警网合一 are made of: grids with their residents, what happened in them, who
answers for them and who is near, and what was visited."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from sqlalchemy import Connection, text

from data import access, areas, freshness, territory
from data.candidates import DUTY
from data.freshness import FRESH
from data.settings import settings
from gis import alignment
from gis import integration as gi
from gis.plane import Floats, Plane
from gis.reach import Ints, Nearest, nearest
from gis.travel import Travel

BEATS = "beats"
OFFICERS = ("police_officer", "patrol")
NAMED_OFFICERS = ("police_officer",)
WORKERS = ("grid_lead", "grid_helper")
POSTS = ("police_station",)
CANDIDATES = {"officer": 2, "worker": 1, "post": 2}
"""So many are asked how long they need along the roads; grid workers are round every corner."""
POST_MODE = "car"
"""How the police of a post come."""
WITHIN = 10
"""Minutes within which the police are to be in a grid, for the index and the gaps."""
RENTAL = "rental"


@dataclass(frozen=True)
class Asked:
    """What the figures are about.

    Attributes
    ----------
    now : who is on duty at this moment
    start, until : what was reported to have happened, and visits that ran, in this period
    at : whose borders; None: those of now
    within : minutes, see `WITHIN`
    tolerance : of the proposal, see `gis.alignment.propose`
    record_kind : what is visited
    beats : the layer of the police's areas
    area_id : only the grids in this area; who is near may be from elsewhere
    """

    now: datetime
    start: datetime
    until: datetime
    at: datetime | None = None
    within: float = WITHIN
    tolerance: float = alignment.TOLERANCE
    record_kind: str = RENTAL
    beats: str = BEATS
    area_id: int | None = None


_TOWNS = text("""
WITH moment AS MATERIALIZED (
    SELECT coalesce(CAST(:at AS timestamptz), now()) AS at,
           (SELECT max(id) FROM change WHERE recorded <= now()) AS change
)
SELECT a.code AS village, t.code AS town, n.name AS town_name
FROM moment m JOIN area a ON a.layer = 'village'
JOIN area_version v ON v.area_id = a.id AND v.valid @> m.at AND v.recorded @> m.change
JOIN area t ON t.id = v.parent_id
JOIN area_version n ON n.area_id = t.id AND n.valid @> m.at AND n.recorded @> m.change
""")


def grids(connection: Connection, asked: Asked) -> gpd.GeoDataFrame:
    """Basic grids in reach that are asked about, with `residents` (NaN), `town` and `town_name`."""
    frame = areas.read(connection, "grid", at=asked.at)
    frame = frame[frame["kind"] == "basic"]
    for tops in (access.reach(), None if asked.area_id is None else (asked.area_id,)):
        if tops is not None:
            within = {each for top in tops for each in territory.below(connection, top)}
            frame = frame[frame["area_id"].isin(within)]
    rows = connection.execute(_TOWNS, {"at": asked.at}).all()
    towns = pd.DataFrame(rows, columns=["parent", "town", "town_name"], dtype=object)
    frame = frame.merge(towns, on="parent", how="left")
    said = pd.Series([each.get("residents") for each in frame["attributes"]], dtype=object)
    counted = pd.to_numeric(said, errors="coerce").astype(float)
    return frame.assign(residents=counted.where(counted >= 0).to_numpy())


# What was reported counts once, however many told of it. Nothing is received before it occurs.
_INCIDENTS = text("""
SELECT area_id, ST_X(geom) AS lon, ST_Y(geom) AS lat FROM report
WHERE received >= :start AND coalesce(occurred, received) >= :start
  AND coalesce(occurred, received) < :until
  AND (incident_id IS NULL OR incident_id = id)
  AND area_id = ANY (CAST(:ids AS bigint[]))
""")


def incidents(
    connection: Connection, asked: Asked, ground: gpd.GeoDataFrame, plane: Plane
) -> tuple[Floats, Ints]:
    """Where the period's incidents were (p, 2, metres of the plane), and in which grids (p,)."""
    ids = ground["area_id"].tolist()
    rows = connection.execute(
        _INCIDENTS, {"start": asked.start, "until": asked.until, "ids": ids}
    ).all()
    table = np.array([row[1:] for row in rows], dtype=float).reshape(-1, 2)
    position = pd.Index(ground["area_id"]).get_indexer([row[0] for row in rows])
    xy = np.full(table.shape, np.nan)
    known = ~np.isnan(table).any(axis=1)
    xy[known] = shapely.get_coordinates(plane.to_xy_m(shapely.points(table[known])))
    return xy, position.astype(np.intp)


_ON_DUTY = text(f"""
WITH asked AS MATERIALIZED (SELECT CAST(:now AS timestamptz) AS at), {DUTY}
SELECT r.kind, r.mode, ST_X(p.geom) AS lon, ST_Y(p.geom) AS lat
FROM asked CROSS JOIN duty JOIN resource r ON r.kind = ANY (CAST(:kinds AS text[]))
LEFT JOIN LATERAL (
    SELECT f.geom, {FRESH} AS fresh FROM position f WHERE f.resource_id = r.id
) f ON true
CROSS JOIN LATERAL (SELECT CASE WHEN f.fresh THEN f.geom ELSE r.home END AS geom) p
WHERE r.withdrawn IS NULL AND r.status <> 'off'
  AND (r.shift IS NULL OR r.shift = ANY (duty.shifts))
  AND NOT EXISTS (SELECT FROM leave l WHERE l.resource_id = r.id AND l.during @> asked.at)
ORDER BY r.id
""")
# Somebody who answers for forty grids is a fortieth of an officer in each.
_NAMED = text("""
WITH named AS (
    SELECT ra.area_id, 1.0 / count(*) OVER (PARTITION BY ra.resource_id) AS part
    FROM resource_area ra JOIN resource r ON r.id = ra.resource_id
    JOIN area a ON a.id = ra.area_id AND a.layer = 'grid'
    WHERE r.kind = ANY (CAST(:kinds AS text[])) AND r.withdrawn IS NULL
)
SELECT area_id, count(*) AS people, CAST(sum(part) AS double precision) AS part
FROM named GROUP BY 1
""")
_VISITS = text("""
SELECT v.area_id, count(*) FILTER (WHERE v.state IN ('due', 'unproven')) AS due,
       count(*) FILTER (WHERE v.state = 'done') AS done,
       count(*) FILTER (WHERE v.state = 'missed') AS missed
FROM visit v JOIN visit_plan p ON p.id = v.plan_id
WHERE p.record_kind = :record_kind AND v.until > :start AND v.since < :until
GROUP BY 1
""")


def facts(
    connection: Connection,
    travel: Travel,
    asked: Asked,
    ground: gpd.GeoDataFrame,
    over: gi.Overlay,
    residents: Floats,
) -> pd.DataFrame:
    """The table of the grids, but for what happened in them."""
    table = ground[["code", "name", "town", "residents"]].set_index("code")
    table["kind"] = over.classes
    table["beats"] = over.beats_of_grid
    table["in_main"] = gi.together(over, residents)
    ids = ground["area_id"]
    officers = _by_area(connection, _NAMED, {"kinds": list(NAMED_OFFICERS)}, ids)
    workers = _by_area(connection, _NAMED, {"kinds": list(WORKERS)}, ids)
    table["officers"], table["officer_part"] = officers["people"], officers["part"]
    table["workers"] = workers["people"]
    rate, reason = gi.per_head(officers["part"], ground["residents"])
    table["officer_rate"], table["reason"] = rate, reason
    for whom, found in _seconds(connection, travel, asked, ground).items():
        table[whom] = found.seconds
    period = {"start": asked.start, "until": asked.until, "record_kind": asked.record_kind}
    visits = _by_area(connection, _VISITS, period, ids)
    for state in ("due", "done", "missed"):
        table[state] = visits[state].astype(int)
    return table


def _by_area(
    connection: Connection, statement: Any, values: dict[str, Any], ids: "pd.Series[int]"
) -> dict[str, Floats]:
    """A statement's columns by area, in the order of the grids; 0 where there is no row."""
    rows = connection.execute(statement, values)
    table = pd.DataFrame(rows.all(), columns=list(rows.keys())).set_index("area_id")
    table = table.astype(float).reindex(ids.to_numpy()).fillna(0.0)
    return {str(name): table[name].to_numpy() for name in table.columns}


def _seconds(
    connection: Connection, travel: Travel, asked: Asked, ground: gpd.GeoDataFrame
) -> dict[str, Nearest]:
    """Of each grid's inner point, who of each sort is there first."""
    targets = shapely.get_coordinates(shapely.point_on_surface(ground.geometry.to_numpy()))
    kinds = {"officer": OFFICERS, "worker": WORKERS, "post": POSTS}
    every = [kind for some in kinds.values() for kind in some]
    values = {
        "now": asked.now, "kinds": every, "timezone": settings().timezone, **freshness.limits()
    }  # fmt: skip
    rows = connection.execute(_ON_DUTY, values).all()
    found = {}
    for whom, some in kinds.items():
        mine = [row for row in rows if row.kind in some]
        places = np.array([(row.lon, row.lat) for row in mine], dtype=float).reshape(-1, 2)
        modes = np.array([POST_MODE if whom == "post" else row.mode for row in mine], dtype=object)
        found[whom] = nearest(places, modes, targets, travel, candidates=CANDIDATES[whom])
    return found
