"""Positions of resources: fixes taken in, the track that they make, and where somebody is now.

Where a resource is does not depend on the order in which its fixes arrived: each batch judges the
track anew from its earliest fix on (`gis.tracks.believed`), and the newest fix that is believed is
the position.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import areas_named, events
from data.fixes import Fix, Point, Verdict, owners_of, sift
from data.settings import settings
from gis import tracks

LOCK = 0x706F73  # advisory: see `_lock`
_SAME_DEG = 1e-6  # the digits that apps round to

# A map hears of a move of so many metres, but not more often than this; and of somebody who stays
# so often that the map can tell who is still there from who has fallen silent.
MOVED_M = 30.0
OFTEN = timedelta(seconds=10)
STILL = timedelta(minutes=10)

# --- taking in ------------------------------------------------------------------------------------


def take(connection: Connection, fixes: Sequence[Fix], now: datetime) -> list[Verdict]:
    """Take fixes in, in any order, in the caller's transaction; each gets a verdict.

    What can be placed in time and space is kept in `track` as received and as normalised, and the
    newest that is believed becomes the `position`. Resources are locked in the order of their
    numbers, so that batches that come at once do not undo each other.
    """
    owners = owners_of(connection, list(dict.fromkeys(fix.of for fix in fixes)))
    verdicts, points = sift(connection, fixes, owners, now)
    if points:
        before = _lock(connection, sorted({point.resource_id for point in points}))
        line = _window(connection, points)
        fresh = _fresh(points, line, verdicts)
        _judge(connection, line.values())
        _store(connection, fixes, fresh, now)
        _move(connection, line.values(), before, now)
        for point in fresh:
            verdicts[point.n] = _verdict(point, before.get(point.resource_id))
    return [verdicts[n] for n in range(len(fixes))]


# --- the track ------------------------------------------------------------------------------------

_UNPLACED = text("""
SELECT EXISTS (SELECT FROM unnest(CAST(:ids AS bigint[])) i (id)
               WHERE NOT EXISTS (SELECT FROM position p WHERE p.resource_id = i.id))
""")
_FIRST_COMERS = text("SELECT pg_advisory_xact_lock(:lock)")
_LOCK = text("""
SELECT resource_id, at, told, ST_X(told_geom) AS told_lon, ST_Y(told_geom) AS told_lat
FROM position WHERE resource_id = ANY(CAST(:ids AS bigint[])) ORDER BY resource_id FOR UPDATE
""")


def _lock(connection: Connection, ids: list[int]) -> dict[int, RowMapping]:
    """The last positions of these resources, which nobody else moves until the commit.

    Who has none yet has no row to lock: those come in one after the other. That lock is taken
    before those of rows, so that nobody waits for it who is waited for.
    """
    if connection.execute(_UNPLACED, {"ids": ids}).scalar_one():
        connection.execute(_FIRST_COMERS, {"lock": LOCK})
    rows = connection.execute(_LOCK, {"ids": ids}).mappings()
    return {row["resource_id"]: row for row in rows}


# All that follows on the earliest new fix, and what a fix is judged by: the last before it, and the
# last before it that is believed. The position stands in where the track has been forgotten.
_WINDOW = text("""
SELECT w.resource_id, f.at, ST_X(f.geom) AS lon, ST_Y(f.geom) AS lat, f.accuracy_m, f.datum,
       f.refused, f.at < w.since OR f.datum IS NULL AS settled
FROM unnest(CAST(:ids AS bigint[]), CAST(:since AS timestamptz[])) w (resource_id, since)
CROSS JOIN LATERAL (
    SELECT p.at, p.geom, p.accuracy_m, NULL AS datum, NULL AS refused
    FROM position p WHERE p.resource_id = w.resource_id
    UNION ALL
    (SELECT t.at, t.geom, t.accuracy_m, t.datum, t.refused FROM track t
     WHERE t.resource_id = w.resource_id AND t.at < w.since AND t.refused IS NULL
     ORDER BY t.at DESC LIMIT 1)
    UNION ALL
    (SELECT t.at, t.geom, t.accuracy_m, t.datum, t.refused FROM track t
     WHERE t.resource_id = w.resource_id AND t.at < w.since ORDER BY t.at DESC LIMIT 1)
    UNION ALL
    SELECT t.at, t.geom, t.accuracy_m, t.datum, t.refused FROM track t
    WHERE t.resource_id = w.resource_id AND t.at >= w.since
) f
ORDER BY f.datum NULLS FIRST
""")


def _window(connection: Connection, points: list[Point]) -> dict[tuple[int, datetime], Point]:
    """The stretches of stored tracks that the new fixes have to be judged with."""
    since: dict[int, datetime] = {}
    for point in points:
        since[point.resource_id] = min(point.at, since.get(point.resource_id, point.at))
    asked = {"ids": list(since), "since": list(since.values())}
    line = {}
    for row in connection.execute(_WINDOW, asked):
        point = Point(
            row.resource_id, row.at, row.lon, row.lat,
            settings().accuracy_m if row.accuracy_m is None else row.accuracy_m,
            row.datum, refused=row.refused,
        )  # fmt: skip
        if row.settled:
            point.settled = tracks.DOUBTED if row.refused else tracks.BELIEVED
        line[point.key] = point
    return line


def _fresh(
    points: list[Point], line: dict[tuple[int, datetime], Point], verdicts: dict[int, Verdict]
) -> list[Point]:
    """The fixes that came for the first time, put into the line; verdicts on the others."""
    fresh = []
    for point in points:
        other = line.setdefault(point.key, point)
        if other is point:
            fresh.append(point)
        else:
            verdicts[point.n] = _again(other, point)
    return fresh


def _again(first: Point, point: Point) -> Verdict:
    same = abs(first.lon - point.lon) <= _SAME_DEG and abs(first.lat - point.lat) <= _SAME_DEG
    if same:
        return Verdict("known", None, point.resource_id)
    return Verdict("refused", "same_moment", point.resource_id)


_REJUDGE = text("""
UPDATE track t SET refused = j.refused
FROM unnest(CAST(:ids AS bigint[]), CAST(:at AS timestamptz[]), CAST(:refused AS text[]))
     j (resource_id, at, refused)
WHERE t.resource_id = j.resource_id AND t.at = j.at
""")


def _judge(connection: Connection, line: Iterable[Point]) -> None:
    """Say of each point whether it is believed, and write it down where that has changed."""
    points = sorted(line, key=lambda point: point.key)
    good = tracks.believed(
        [point.resource_id for point in points],
        [point.at.timestamp() for point in points],
        [point.lon for point in points],
        [point.lat for point in points],
        [point.accuracy_m for point in points],
        [point.settled for point in points],
    )
    changed = []
    for point, is_good in zip(points, good.tolist(), strict=True):
        refused = None if is_good else "jump"
        if point.n < 0 and point.refused != refused:
            changed.append(point)
        point.refused = refused
    if changed:
        keys = {"ids": [p.resource_id for p in changed], "at": [p.at for p in changed]}
        connection.execute(_REJUDGE, {**keys, "refused": [p.refused for p in changed]})


_STORE = text("""
INSERT INTO track (resource_id, at, received, source, x, y, datum, accuracy_m, geom, refused)
SELECT resource_id, at, :now, source, x, y, datum, accuracy_m,
       ST_SetSRID(ST_MakePoint(lon, lat), 4326), refused
FROM unnest(CAST(:resource_id AS bigint[]), CAST(:at AS timestamptz[]), CAST(:source AS text[]),
            CAST(:x AS double precision[]), CAST(:y AS double precision[]), CAST(:datum AS text[]),
            CAST(:accuracy_m AS double precision[]), CAST(:lon AS double precision[]),
            CAST(:lat AS double precision[]), CAST(:refused AS text[]))
     f (resource_id, at, source, x, y, datum, accuracy_m, lon, lat, refused)
""")
_AS_IT_CAME = ("source", "x", "y")
_AS_IT_IS = ("resource_id", "at", "datum", "accuracy_m", "lon", "lat", "refused")


def _store(connection: Connection, fixes: Sequence[Fix], fresh: list[Point], now: datetime) -> None:
    came = [fixes[point.n] for point in fresh]
    columns: dict[str, Any] = {name: [getattr(f, name) for f in came] for name in _AS_IT_CAME}
    columns |= {name: [getattr(p, name) for p in fresh] for name in _AS_IT_IS}
    if fresh:
        connection.execute(_STORE, {"now": now, **columns})


def _verdict(point: Point, before: RowMapping | None) -> Verdict:
    if point.refused:
        return Verdict("refused", point.refused, point.resource_id)
    late = before is not None and point.at < before["at"]
    return Verdict("late" if late else "taken", None, point.resource_id)


# --- where it is now ------------------------------------------------------------------------------

_MOVE = text("""
INSERT INTO position AS p (resource_id, at, geom, accuracy_m, told, told_geom)
SELECT n.resource_id, n.at, g.geom, n.accuracy_m,
       CASE WHEN n.told THEN n.at END, CASE WHEN n.told THEN g.geom END
FROM unnest(CAST(:resource_id AS bigint[]), CAST(:at AS timestamptz[]),
            CAST(:lon AS double precision[]), CAST(:lat AS double precision[]),
            CAST(:accuracy_m AS double precision[]), CAST(:told AS boolean[]))
     n (resource_id, at, lon, lat, accuracy_m, told)
CROSS JOIN LATERAL (SELECT ST_SetSRID(ST_MakePoint(n.lon, n.lat), 4326) AS geom) g
ON CONFLICT (resource_id) DO UPDATE
SET at = excluded.at, geom = excluded.geom, accuracy_m = excluded.accuracy_m,
    told = coalesce(excluded.told, p.told), told_geom = coalesce(excluded.told_geom, p.told_geom)
""")


def _move(
    connection: Connection,
    line: Iterable[Point],
    before: dict[int, RowMapping],
    now: datetime,
) -> None:
    """Make the newest believed fix of each resource its position, and tell of moves that matter."""
    newest: dict[int, Point] = {}
    for point in line:
        if point.refused is None:
            last = newest.setdefault(point.resource_id, point)
            newest[point.resource_id] = max(last, point, key=lambda p: p.at)
    moved = [p for p in newest.values() if p.at != _at(before.get(p.resource_id))]
    if not moved:
        return
    told = _worth_telling(moved, before, now)
    columns = {n: [getattr(p, n) for p in moved] for n in ("resource_id", "at", "lon", "lat")}
    columns |= {"accuracy_m": [p.accuracy_m for p in moved], "told": told}
    connection.execute(_MOVE, columns)
    heard = [point for point, is_told in zip(moved, told, strict=True) if is_told]
    areas = areas_named.at(connection, [p.lon for p in heard], [p.lat for p in heard])
    events.record_of_resources(
        connection,
        "resource.moved",
        [_event(point, areas.get(n)) for n, point in enumerate(heard)],
    )


def _at(row: RowMapping | None) -> datetime | None:
    return None if row is None else row["at"]


def _worth_telling(moved: list[Point], before: dict[int, RowMapping], now: datetime) -> list[bool]:
    """Whether a map should hear of each move; what is stale already need not be told."""
    last = [before.get(point.resource_id) for point in moved]
    told = [None if row is None else row["told"] for row in last]
    nan = float("nan")
    far_m = tracks.distance_m(
        [point.lon for point in moved],
        [point.lat for point in moved],
        [nan if row is None or row["told"] is None else row["told_lon"] for row in last],
        [nan if row is None or row["told"] is None else row["told_lat"] for row in last],
    )
    oldest = now - timedelta(seconds=settings().position_fresh_s)
    return [
        point.at >= oldest and (when is None or _is_due(point.at - when, m))
        for point, when, m in zip(moved, told, far_m.tolist(), strict=True)
    ]


def _is_due(since: timedelta, moved_m: float) -> bool:
    """Whether to tell of a move so long after, and so far from, the last that was told."""
    back_in_time = since < timedelta(0)  # what was told is no longer believed
    return back_in_time or since >= STILL or (since >= OFTEN and moved_m >= MOVED_M)


def _event(point: Point, area_id: int | None) -> tuple[int, int | None, dict[str, Any]]:
    data = {
        "lon": round(point.lon, 7),
        "lat": round(point.lat, 7),
        "at": point.at.isoformat(),
        "accuracy_m": point.accuracy_m,
    }
    return point.resource_id, area_id, data


_TRACK = text("""
SELECT at, received, source, x, y, datum, accuracy_m, ST_X(geom) AS lon, ST_Y(geom) AS lat, refused
FROM track
WHERE resource_id = :id AND at >= coalesce(CAST(:since AS timestamptz), '-infinity')
  AND at < coalesce(CAST(:until AS timestamptz), 'infinity')
  AND at > coalesce(CAST(:after AS timestamptz), '-infinity')
ORDER BY at LIMIT :limit
""")


def track(
    connection: Connection,
    resource_id: int,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    after: datetime | None = None,
    limit: int = 1000,
) -> list[RowMapping]:
    """The fixes of a resource from `since` to before `until`, by time; go on `after` the last."""
    asked = {"id": resource_id, "since": since, "until": until, "after": after, "limit": limit}
    return list(connection.execute(_TRACK, asked).mappings())


def forget(connection: Connection, before: datetime) -> int:
    """Delete what was received of tracks before a moment; returns how many fixes.

    Positions as old go too, for they are the ends of those tracks.
    """
    old = {"before": before}
    connection.execute(text("DELETE FROM position WHERE at < :before"), old)
    return connection.execute(text("DELETE FROM track WHERE received < :before"), old).rowcount
