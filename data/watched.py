"""Watched places and what is measured there: building sites, wage accounts, wells …"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import shapely
from sqlalchemy import Connection, RowMapping, text

from data import areas_named, events, territory
from data.errors import InputError

AHEAD = timedelta(minutes=2)  # a sender's clock may be off by


class WatchError(InputError):
    """A place, reading or rule that cannot be taken, or that there is not."""


@dataclass(frozen=True)
class NewPlace:
    """A place as its keeper gives it; `shape` is a point or an area in degrees WGS 84."""

    source: str
    external_id: str
    kind: str
    name: str
    shape: shapely.Geometry
    organisation: str | None = None  # code of the one that answers for it
    attributes: dict[str, Any] = field(default_factory=dict)


_SAVE = text("""
INSERT INTO watched_place (source, external_id, kind, name, geom, area_id, organisation_id,
                           attributes)
VALUES (:source, :external_id, :kind, :name, ST_SetSRID(ST_GeomFromWKB(:shape), 4326), :area_id,
        :organisation_id, CAST(:attributes AS jsonb))
ON CONFLICT (source, external_id) DO UPDATE SET kind = excluded.kind, name = excluded.name,
    geom = excluded.geom, area_id = excluded.area_id, attributes = excluded.attributes,
    organisation_id = excluded.organisation_id, withdrawn = NULL
RETURNING id, xmax = 0 AS fresh
""")
_BODY = text("SELECT id FROM organisation WHERE code = :code")


def save(connection: Connection, new: NewPlace, *, actor: str) -> tuple[int, bool]:
    """Give a place, or bring the one of the same source and number up to date.

    Returns its number and whether it is new.

    Raises
    ------
    WatchError
        There is no such organisation.
    """
    point = shapely.point_on_surface(new.shape)
    area = areas_named.at(connection, [point.x], [point.y]).get(0)
    body = None
    if new.organisation is not None:
        body = connection.execute(_BODY, {"code": new.organisation}).scalar()
        if body is None:
            raise WatchError(
                f"there is no organisation {new.organisation!r}; GET /api/v1/catalogue lists them",
                "organisation", "watched_invalid",
            )  # fmt: skip
    values = {
        **{name: getattr(new, name) for name in ("source", "external_id", "kind", "name")},
        "shape": shapely.to_wkb(new.shape), "area_id": area, "organisation_id": body,
        "attributes": json.dumps(new.attributes, ensure_ascii=False),
    }  # fmt: skip
    row = connection.execute(_SAVE, values).one()
    told = {"place": row.id, "kind": new.kind, "name": new.name, "actor": actor}
    events.record(connection, "watched.given" if row.fresh else "watched.changed", told,
                  area_id=area)  # fmt: skip
    return row.id, row.fresh


_COLUMNS = """
w.id, w.source, w.external_id, w.kind, w.name, ST_AsGeoJSON(w.geom, 7) AS geometry, a.layer, a.code,
o.code AS organisation, o.name AS organisation_name, w.attributes, w.created, w.withdrawn,
ARRAY(SELECT jsonb_build_object('metric', m.metric, 'at', l.at, 'value', l.value)
      FROM (SELECT DISTINCT metric FROM watched_reading WHERE place_id = w.id) m
      CROSS JOIN LATERAL (SELECT at, value FROM watched_reading
                          WHERE place_id = w.id AND metric = m.metric
                          ORDER BY at DESC LIMIT 1) l ORDER BY m.metric) AS latest,
ARRAY(SELECT jsonb_build_object('rule', r.id, 'name', r.name, 'began', e.began,
                                'report', e.report_id)
      FROM watch_episode e JOIN watch_rule r ON r.id = e.rule_id
      WHERE e.place_id = w.id AND e.ended IS NULL ORDER BY e.began) AS episodes
"""
_FROM = """
FROM watched_place w LEFT JOIN area a ON a.id = w.area_id
LEFT JOIN organisation o ON o.id = w.organisation_id
"""
_GET = text(f"SELECT {_COLUMNS} {_FROM} WHERE w.id = :id")
_PAGE = text(f"""
SELECT {_COLUMNS} {_FROM}
WHERE w.withdrawn IS NULL AND w.id > :after AND (CAST(:kind AS text) IS NULL OR w.kind = :kind)
  AND (CAST(:below AS bigint[]) IS NULL OR w.area_id = ANY (CAST(:below AS bigint[])))
  AND (NOT CAST(:in_trouble AS boolean) OR EXISTS (
       SELECT FROM watch_episode e WHERE e.place_id = w.id AND e.ended IS NULL))
ORDER BY w.id LIMIT :limit
""")


def get(connection: Connection, number: int) -> RowMapping:
    """A place with its latest readings and open episodes; raises `WatchError` if there is none."""
    row = connection.execute(_GET, {"id": number}).mappings().first()
    if row is None:
        raise WatchError(f"there is no watched place {number}", "number", "watched_unknown")
    return row


def page(
    connection: Connection, *, kind: str | None = None, area_id: int | None = None,
    in_trouble: bool = False, after: int = 0, limit: int = 100,
) -> list[RowMapping]:  # fmt: skip
    """Places in use by number; `in_trouble`: only those with an open episode."""
    below = None if area_id is None else territory.below(connection, area_id)
    asked = {"kind": kind, "below": below, "in_trouble": in_trouble, "after": after,
             "limit": limit}  # fmt: skip
    return list(connection.execute(_PAGE, asked).mappings())


_WITHDRAW = text("UPDATE watched_place SET withdrawn = now() WHERE id = :id AND withdrawn IS NULL")


def withdraw(connection: Connection, number: int, *, actor: str) -> None:
    """Watch a place no longer; its readings stay."""
    get(connection, number)
    if connection.execute(_WITHDRAW, {"id": number}).rowcount:
        events.record(connection, "watched.withdrawn", {"place": number, "actor": actor})


# --- readings -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """One value of one metric at one instant."""

    metric: str
    at: datetime
    value: float


@dataclass(frozen=True)
class Stored:
    """What became of a batch: new ones, those known, and those known with another value."""

    added: int
    known: int
    contradicted: int


_LOCK = text("SELECT id, withdrawn FROM watched_place WHERE id = :id FOR UPDATE")
_STORE = text("""
WITH given AS (
    SELECT DISTINCT ON (metric, at) metric, at, value
    FROM unnest(CAST(:metrics AS text[]), CAST(:ats AS timestamptz[]),
                CAST(:values AS double precision[])) WITH ORDINALITY g (metric, at, value, n)
    ORDER BY metric, at, n
), stored AS (
    INSERT INTO watched_reading (place_id, metric, at, value)
    SELECT :place, metric, at, value FROM given
    ON CONFLICT DO NOTHING RETURNING metric, at
)
SELECT (SELECT count(*) FROM stored) AS added,
       (SELECT count(*) FROM given g JOIN watched_reading r
        ON r.place_id = :place AND r.metric = g.metric AND r.at = g.at AND r.value <> g.value)
       AS contradicted
""")


def store(
    connection: Connection, number: int, readings: Sequence[Reading], now: datetime
) -> Stored:
    """Store readings of a place, each (metric, at) once: the first that came for it counts.

    Raises
    ------
    WatchError
        There is no such place in use, or a reading lies in the future; nothing is stored.
    """
    place = connection.execute(_LOCK, {"id": number}).first()
    if place is None or place.withdrawn:
        raise WatchError(f"there is no watched place {number} in use", "number", "watched_unknown")
    for n, reading in enumerate(readings):
        if reading.at > now + AHEAD:
            raise WatchError(
                f"reading {n} lies in the future ({reading.at.isoformat()}): set the sender's "
                "clock, and send the batch again",
                f"readings.{n}.at", "reading_to_come",
            )  # fmt: skip
    asked = {
        "place": number, "metrics": [r.metric for r in readings],
        "ats": [r.at for r in readings], "values": [float(r.value) for r in readings],
    }  # fmt: skip
    row = connection.execute(_STORE, asked).one()
    return Stored(row.added, len(readings) - row.added, row.contradicted)


_SERIES = text("""
SELECT metric, at, value FROM watched_reading
WHERE place_id = :id AND metric = :metric AND at >= :since AND at < :until
ORDER BY at DESC LIMIT :limit
""")


def series(
    connection: Connection, number: int, metric: str, since: datetime, until: datetime,
    limit: int = 1000,
) -> Sequence[RowMapping]:  # fmt: skip
    """A metric's readings in a span of time, the newest first."""
    get(connection, number)
    asked = {"id": number, "metric": metric, "since": since, "until": until, "limit": limit}
    return connection.execute(_SERIES, asked).mappings().all()
