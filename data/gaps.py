"""Gap cover: which grids of an area nobody could be in soon, and who should move up where.

Of each grid the nearest people by the straight line are asked for their travel time, as for an
incident, so that a town's table of legs stays small where they go by road.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, RowMapping, text

from data import freshness, incidents
from data.candidates import DUTY, NEAREST
from data.deployment_people import deployed
from data.errors import InputError
from data.freshness import FRESH
from data.settings import settings
from gis.gaps import Cover, Relocation, cover, relocate
from gis.links import Bools, Floats, Ints, Links
from gis.placement import metres_per_degree
from gis.travel import MODES, Travel, great_circle_m

MOST_GRIDS = 800
MOST_PEOPLE = 20_000
MOST_STANDBY = 60  # grids where somebody might wait, the weightiest
WAITING_ROOMS = ("centre", "sub_centre", "police_station", "mediation_workstation")
SEARCH_S = 3.0

_GRIDS = text("""
SELECT a.id, a.code, v.name, ST_X(p.pt) AS lon, ST_Y(p.pt) AS lat,
       CASE WHEN v.attributes->>'residents' ~ '^[0-9]{1,9}([.][0-9]*)?$'
            THEN (v.attributes->>'residents')::numeric::integer END AS residents,
       (SELECT count(*) FROM incident i
        WHERE i.area_id = a.id AND i.opened > now() - make_interval(days => :days)) AS incidents
FROM area a JOIN area_version v ON v.area_id = a.id
CROSS JOIN LATERAL (SELECT ST_PointOnSurface(v.geom) AS pt) p
WHERE a.layer = 'grid' AND a.id = ANY (:ids) AND upper_inf(v.recorded) AND v.valid @> now()
ORDER BY a.code
""")

# On duty and able; those who can take no more tasks, or are deployed, are the ones that were sent.
_PEOPLE = text(f"""
WITH asked AS MATERIALIZED (
    SELECT now() AS at, ST_MakeEnvelope(:west, :south, :east, :north, 4326) AS box
), {DUTY}, near AS (
    SELECT r.id FROM asked, resource r
    WHERE r.kind = ANY (:kinds) AND r.withdrawn IS NULL
      AND r.home_xy && ST_Transform(asked.box, 3395)
    UNION
    SELECT f.resource_id FROM asked, position f WHERE f.xy && ST_Transform(asked.box, 3395)
)
SELECT r.id, r.name, r.kind, r.mode, k.title AS kind_title, k.title_en AS kind_title_en,
       ST_X(p.geom) AS lon, ST_Y(p.geom) AS lat, coalesce(f.fresh, false) AS by_position,
       r.load >= r.capacity OR {deployed("asked.at")} AS sent
FROM asked CROSS JOIN duty CROSS JOIN near JOIN resource r ON r.id = near.id
JOIN resource_kind k ON k.name = r.kind
LEFT JOIN LATERAL (
    SELECT f.geom, {FRESH} AS fresh FROM position f WHERE f.resource_id = r.id
) f ON true
CROSS JOIN LATERAL (SELECT CASE WHEN f.fresh THEN f.geom ELSE r.home END AS geom) p
WHERE r.kind = ANY (:kinds) AND r.withdrawn IS NULL AND k.form <> 'facility'
  AND r.status = 'available' AND (r.shift IS NULL OR r.shift = ANY (duty.shifts))
  AND NOT EXISTS (SELECT FROM leave l WHERE l.resource_id = r.id AND l.during @> asked.at)
  AND p.geom && asked.box
ORDER BY r.id LIMIT :most
""")

_ROOMS = text("""
SELECT r.id, r.name, r.kind, ST_X(r.home) AS lon, ST_Y(r.home) AS lat FROM resource r
WHERE r.kind = ANY (:kinds) AND r.withdrawn IS NULL AND r.status = 'available'
  AND r.home_area_id = ANY (:ids)
ORDER BY r.id
""")


class GapError(InputError):
    """A question for gap cover that cannot be answered."""


@dataclass(frozen=True)
class Move:
    """Somebody who should move up: who, to which grid or facility, and what that covers again."""

    person: RowMapping
    place: RowMapping
    seconds: float
    regains: list[RowMapping]


@dataclass(frozen=True)
class Covered:
    """How an area is covered.

    Attributes
    ----------
    grids, people : list
        The area's grids by code; those on duty within reach of it.
    cover : Cover
        How many of the `NEAREST` free, and of as many sent, are in each grid in time.
    moves : list of Move
    relocation : Relocation
    """

    grids: Sequence[RowMapping]
    people: Sequence[RowMapping]
    cover: Cover
    moves: list[Move]
    relocation: Relocation

    @property
    def share_after_moves(self) -> float:
        """The covered share of the weight once all have moved."""
        weight = self.cover.weight
        return float(weight[self.relocation.after > 0].sum() / weight.sum())


def look(
    connection: Connection,
    travel: Travel,
    layer: str,
    code: str,
    *,
    kinds: Sequence[str],
    within_s: float,
    move_within_s: float,
    most: int = 5,
    days: int = 30,
) -> Covered:
    """Who covers the grids of an area, and at most so many moves that regain the most.

    A grid weighs what it has of the area's residents and of its incidents in the last `days`, half
    each. People stand by in grids that nobody covers, or in facilities of the area.

    Raises
    ------
    GapError
        There is no such area, it has no grids, or it has too many.
    """
    grids, ids = _grids(connection, layer, code, days)
    people = _people(connection, grids, kinds, within_s)
    sent = np.array([row["sent"] for row in people], bool)
    where, targets = _Standing.of(people), _lonlat(grids)
    reach = where.links(targets, travel, within_s, groups=(~sent, sent))
    weight = _weight(grids)
    now = cover(reach, weight, sent, within_s)
    places = _standby(connection, grids, ids, now)
    # Where somebody waits tells whom they reach only together with how they move.
    modes = sorted({row["mode"] for row in people if not row["sent"]})
    stands = _Standing(
        np.repeat(_lonlat(places), len(modes), axis=0), np.array(modes * len(places), object)
    )
    moves = where.links(_lonlat(places), travel, move_within_s, groups=(~sent,))
    mode = np.searchsorted(modes, [row["mode"] for row in people])
    stand = moves.column * len(modes) + mode[moves.row]
    from_standby = stands.links(targets, travel, within_s)
    found = relocate(
        reach,
        weight,
        sent,
        within_s,
        to_standby=Links.of(moves.row, stand, moves.seconds, (len(people), len(stands.modes))),
        from_standby=from_standby,
        most=most,
        move_within_s=move_within_s,
        time_limit_s=SEARCH_S,
    )
    moved = [
        Move(people[who], places[at // len(modes)], seconds, _regained(grids, found, reached))
        for who, at, seconds in zip(
            found.person.tolist(), found.standby.tolist(), found.seconds.tolist(), strict=True
        )
        for reached in [from_standby.column[from_standby.row == at]]
    ]
    return Covered(grids, people, now, moved, found)


def _regained(grids: Sequence[RowMapping], found: Relocation, reached: Ints) -> list[RowMapping]:
    return [grids[n] for n in np.intersect1d(reached, found.regained).tolist()]


def _grids(
    connection: Connection, layer: str, code: str, days: int
) -> tuple[Sequence[RowMapping], list[int]]:
    ids = incidents.under(connection, layer, code)
    if not ids:
        raise GapError(f"the layer {layer} has no area {code}", "code", "area_unknown")
    grids = connection.execute(_GRIDS, {"ids": ids, "days": days}).mappings().all()
    if not grids:
        raise GapError(
            f"the area {code} of the layer {layer} has no grids; ask for a town or a village",
            "code",
            "area_unknown",
        )
    if len(grids) > MOST_GRIDS:
        raise GapError(
            f"the area {code} has {len(grids):,} grids, more than the {MOST_GRIDS} that are looked "
            "at together; ask for its towns one by one",
            "code",
            "area_too_large",
        )
    return grids, ids


def _people(
    connection: Connection, grids: Sequence[RowMapping], kinds: Sequence[str], within_s: float
) -> Sequence[RowMapping]:
    """Everybody on duty who might be in one of the grids in time."""
    lonlat = _lonlat(grids)
    (west, south), (east, north) = lonlat.min(axis=0), lonlat.max(axis=0)
    fastest = max(mode.speed_m_s for mode in MODES.values())
    lon_m, lat_m = (float(metres) for metres in metres_per_degree((south + north) / 2))
    lon, lat = fastest * within_s / lon_m, fastest * within_s / lat_m
    asked = {
        "west": west - lon, "south": south - lat, "east": east + lon, "north": north + lat,
        "kinds": list(kinds), "timezone": settings().timezone, "most": MOST_PEOPLE + 1,
        **freshness.limits(),
    }  # fmt: skip
    people = connection.execute(_PEOPLE, asked).mappings().all()
    if len(people) > MOST_PEOPLE:
        raise GapError(
            f"more than {MOST_PEOPLE:,} people are on duty within reach; ask for fewer kinds, a "
            "smaller area or fewer minutes",
            "kind",
            "area_too_large",
        )
    return people


def _weight(grids: Sequence[RowMapping]) -> Floats:
    """(m,) shares of residents and of incidents, half each; alike where nothing is known.

    A grid whose residents nobody counted has as many as the others on average.
    """
    residents = np.array([row["residents"] for row in grids], float)
    if np.isnan(residents).all():
        residents[:] = 0
    residents = np.where(np.isnan(residents), np.nanmean(residents), residents)
    counts = residents, np.array([row["incidents"] for row in grids], float)
    shares = [each / each.sum() for each in counts if each.sum()] or [np.ones(len(grids))]
    weight = np.sum(shares, axis=0)
    return np.asarray(weight / weight.sum())


def _standby(
    connection: Connection, grids: Sequence[RowMapping], ids: Sequence[int], now: Cover
) -> list[RowMapping]:
    """Where somebody could wait: facilities of the area, and grids that nobody covers."""
    if not len(now.uncovered):
        return []
    asked = {"kinds": list(WAITING_ROOMS), "ids": list(ids)}
    rooms = connection.execute(_ROOMS, asked).mappings().all()
    heaviest = now.uncovered[np.argsort(-now.weight[now.uncovered], kind="stable")]
    return [*rooms, *(grids[n] for n in heaviest[:MOST_STANDBY])]


@dataclass(frozen=True, eq=False)
class _Standing:
    """Where people stand or might stand, WGS 84 (p, 2), and how each moves (p,)."""

    lonlat: Floats
    modes: Any

    @classmethod
    def of(cls, rows: Sequence[RowMapping]) -> "_Standing":
        return cls(_lonlat(rows), np.array([row["mode"] for row in rows], object))

    def links(
        self, targets: Floats, travel: Travel, within_s: float, groups: Sequence[Bools] = ()
    ) -> Links:
        """Travel seconds to the targets of those who might be there in time.

        Of each of the `groups` (p,) the `NEAREST` at most; without groups all.
        """
        speed = np.array([MODES[name].speed_m_s for name in self.modes], float)
        rows: list[Ints] = [np.zeros(0, np.int64)]
        columns, seconds = [np.zeros(0, np.int64)], [np.zeros(0)]
        for column, target in enumerate(targets):
            # Nobody is faster than straight ahead.
            least_s = great_circle_m(self.lonlat, target) / speed
            near = _nearest(least_s, within_s, groups)
            if not len(near):
                continue
            legs = travel.legs(self.lonlat[near], target[None], self.modes[near])
            rows.append(near)
            columns.append(np.full(len(near), column))
            seconds.append(legs.seconds[:, 0])
        row, at, times = (np.concatenate(each) for each in (rows, columns, seconds))
        in_time = times <= within_s
        shape = (len(self.lonlat), len(targets))
        return Links.of(row[in_time], at[in_time], times[in_time], shape)


def _nearest(least_s: Floats, within_s: float, groups: Sequence[Bools]) -> Ints:
    near = least_s <= within_s
    if not groups:
        return np.flatnonzero(near)
    chosen = []
    for group in groups:
        some = np.flatnonzero(near & group)
        if len(some) > NEAREST:
            some = some[np.argsort(least_s[some], kind="stable")[:NEAREST]]
        chosen.append(some)
    return np.concatenate(chosen)


def _lonlat(rows: Sequence[RowMapping]) -> Floats:
    return np.array([(row["lon"], row["lat"]) for row in rows], float).reshape(-1, 2)
