"""Visits: which are due near somebody, the proof that one was made, and which were missed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import events, territory
from data.record_lists import SHORTEST_DEGREE_M
from data.reports import Point
from data.settings import settings
from data.territory import CHILDREN
from data.visit_plans import VisitError

AHEAD = timedelta(minutes=2)  # a phone's clock may be off by
NEAR_M = 2_000.0  # without a resource or an area

# Where a visit is to be made: at the record, or anywhere in the grid.
_PLACE = """
LEFT JOIN record r ON r.id = v.record_id
LEFT JOIN LATERAL (
    SELECT g.name, g.geom FROM area_version g
    WHERE g.area_id = v.area_id AND upper_inf(g.recorded)
    ORDER BY g.valid @> v.since DESC, lower(g.valid) DESC NULLS LAST LIMIT 1
) g ON true
CROSS JOIN LATERAL (SELECT coalesce(r.geom, g.geom) AS geom, coalesce(r.geom,
                    CASE WHEN v.record_id IS NULL THEN ST_PointOnSurface(g.geom) END) AS point) t
"""
_COLUMNS = """
v.id, v.plan_id, p.name AS plan_name, p.record_kind, p.resource_kind, p.reach_m, v.record_id,
r.title, r.address, v.area_id, a.layer, a.code, g.name AS area_name, ST_X(t.point) AS lon,
ST_Y(t.point) AS lat, v.since, v.until, v.state
"""
_FROM = f"""
FROM visit v JOIN visit_plan p ON p.id = v.plan_id LEFT JOIN area a ON a.id = v.area_id {_PLACE}
"""


@dataclass(frozen=True)
class Filter:
    """Which visits; None leaves a question open. Areas by id, each with all below it."""

    area_id: int | None = None
    plan: int | None = None
    state: str | None = None


_HERE = "ST_SetSRID(ST_MakePoint(:lon, :lat), 4326)"
_DUE = f"""
WITH found AS MATERIALIZED (
    SELECT {_COLUMNS}, {{distance}} AS distance_m {_FROM}
    WHERE v.state IN ('due', 'unproven') AND v.since <= :now AND v.until > :now
      AND v.area_id = ANY (CAST(:areas AS bigint[]))
      AND (CAST(:plan AS bigint) IS NULL OR v.plan_id = :plan)
      AND (CAST(:kind AS text) IS NULL OR p.resource_kind = :kind)
)
SELECT * FROM found ORDER BY {{order}} LIMIT :limit
"""
_DISTANCE = f"ST_Distance(t.geom::geography, {_HERE}::geography)"
_WHOSE = text("""
SELECT r.kind, array_remove(array_agg(ra.area_id) || r.home_area_id, NULL) AS areas
FROM resource r LEFT JOIN resource_area ra ON ra.resource_id = r.id
WHERE r.id = :id GROUP BY r.id
""")


def due(
    connection: Connection, now: datetime, *, resource: int | None = None,
    area_id: int | None = None, plan: int | None = None,
    near: tuple[float, float] | None = None, limit: int = 100,
) -> list[RowMapping]:  # fmt: skip
    """Visits that are due, the nearest first, or else those that are soonest over.

    Parameters
    ----------
    resource : those of this resource: its kind visits, and it answers for the grid or lives there
    near : lon, lat in degrees WGS 84; alone it asks for those within `NEAR_M`

    Raises
    ------
    VisitError
        There is no such resource, or nothing says whose visits are meant.
    """
    kind, areas = None, None
    if resource is not None:
        whose = connection.execute(_WHOSE, {"id": resource}).first()
        if whose is None:
            raise VisitError(f"there is no resource {resource}", "resource", "unknown_resource")
        kind = whose.kind
        areas = {each for own in whose.areas for each in territory.below(connection, own)}
    if area_id is not None:
        below = {*territory.below(connection, area_id)}
        areas = below if areas is None else areas & below
    if areas is None and near is not None:
        by = NEAR_M / SHORTEST_DEGREE_M
        areas = {*territory.around(connection, (*near, *near), margin_deg=by)}
    if areas is None:
        raise VisitError(
            "nothing says whose visits are meant: give a resource, an area, or near",
            "resource", "visits_unbounded",
        )  # fmt: skip
    distance, order = (_DISTANCE, "distance_m, id") if near else ("NULL::float8", "until, id")
    asked = {"now": now, "areas": sorted(areas), "plan": plan, "kind": kind, "limit": limit}
    if near:
        asked |= {"lon": near[0], "lat": near[1]}
    statement = text(_DUE.format(distance=distance, order=order))
    return list(connection.execute(statement, asked).mappings())


_PAGE = text(f"""
SELECT {_COLUMNS} {_FROM}
WHERE v.id > :after AND (CAST(:plan AS bigint) IS NULL OR v.plan_id = :plan)
  AND (CAST(:state AS text) IS NULL OR v.state = :state)
  AND (CAST(:below AS bigint[]) IS NULL OR v.area_id = ANY (CAST(:below AS bigint[])))
ORDER BY v.id LIMIT :limit
""")
_GET = text(f"SELECT {_COLUMNS} {_FROM} WHERE v.id = :id")
_PROOFS = text("""
SELECT id, received, taken, ST_X(geom) AS lon, ST_Y(geom) AS lat, accuracy_m, distance_m, verdict,
       resource_id, actor, note
FROM visit_proof WHERE visit_id = :id ORDER BY id
""")


def page(
    connection: Connection, asked: Filter, *, after: int = 0, limit: int = 100
) -> list[RowMapping]:
    """Visits by number, of any period; go on with `after` the last one."""
    below = None if asked.area_id is None else territory.below(connection, asked.area_id)
    values = {"plan": asked.plan, "state": asked.state, "below": below}
    return list(connection.execute(_PAGE, {**values, "after": after, "limit": limit}).mappings())


def get(connection: Connection, number: int) -> dict[str, Any]:
    """A visit with its proofs; raises `VisitError` if there is none of that number."""
    row = connection.execute(_GET, {"id": number}).mappings().first()
    if row is None:
        raise VisitError(f"there is no visit {number}", "number", "visit_unknown")
    return {**row, "proofs": connection.execute(_PROOFS, {"id": number}).mappings().all()}


# --- proof ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proof:
    """Where and when somebody says that they were: as received, and made WGS 84."""

    x: float
    y: float
    datum: str
    point: Point
    taken: datetime
    note: str = ""
    resource_id: int | None = None


def verdict(
    proof: Proof, distance_m: float, *, reach_m: float, since: datetime, until: datetime,
    received: datetime,
) -> str:  # fmt: skip
    """What a proof is worth: `proven`, or why it is not.

    When it was taken counts, not when it came: a phone may have been without a network.
    """
    if proof.taken > received + AHEAD:
        return "in_the_future"
    if proof.taken < since:
        return "before_due"
    if proof.taken >= until:
        return "after_due"
    if proof.point.accuracy_m > settings().position_accuracy_m:
        return "too_vague"
    return "proven" if distance_m <= reach_m + proof.point.accuracy_m else "too_far"


_TARGET = text(f"""
SELECT v.id, v.state, v.since, v.until, v.plan_id, v.record_id, v.area_id, p.reach_m,
       {_DISTANCE} AS distance_m
{_FROM} WHERE v.id = :id FOR UPDATE OF v
""")
_PROVE = text("""
INSERT INTO visit_proof (visit_id, received, taken, x, y, datum, geom, accuracy_m, distance_m,
                         verdict, resource_id, actor, note)
VALUES (:visit, :received, :taken, :x, :y, :datum, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326),
        :accuracy_m, :distance_m, :verdict, :resource_id, :actor, :note)
""")
_SETTLE = text("UPDATE visit SET state = :state WHERE id = :visit")


def prove(connection: Connection, number: int, proof: Proof, *, actor: str, now: datetime) -> str:
    """Keep a proof, whatever it proves, and settle the visit by it; its verdict.

    One that proves nothing leaves the visit `unproven`; a later one may still prove it, and one
    that was taken in time but came late turns a missed visit into one that was done.

    Raises
    ------
    VisitError
        There is no such visit, or no such resource.
    """
    at = {"lon": proof.point.lon, "lat": proof.point.lat}
    visit = connection.execute(_TARGET, {"id": number, **at}).mappings().first()
    if visit is None:
        raise VisitError(f"there is no visit {number}", "number", "visit_unknown")
    _check_resource(connection, proof.resource_id)
    period = {name: visit[name] for name in ("reach_m", "since", "until")}
    said = verdict(proof, visit["distance_m"], received=now, **period)
    facts = {
        "visit": number, "received": now, "taken": proof.taken, "x": proof.x, "y": proof.y,
        "datum": proof.datum, "accuracy_m": proof.point.accuracy_m, "verdict": said,
        "distance_m": visit["distance_m"], "resource_id": proof.resource_id, "actor": actor,
        "note": proof.note,
    }  # fmt: skip
    connection.execute(_PROVE, facts | at)
    state = "done" if said == "proven" else "unproven"
    if visit["state"] != "done" and state != visit["state"]:
        connection.execute(_SETTLE, {"visit": number, "state": state})
        told = {
            "visit": number, "plan": visit["plan_id"], "record": visit["record_id"],
            "verdict": said, "distance_m": round(visit["distance_m"], 1), "actor": actor,
        }  # fmt: skip
        resource, area = proof.resource_id, visit["area_id"]
        events.record(connection, f"visit.{state}", told, resource_id=resource, area_id=area)
    return said


def _check_resource(connection: Connection, number: int | None) -> None:
    there = text("SELECT FROM resource WHERE id = :id")
    if number is not None and connection.execute(there, {"id": number}).first() is None:
        raise VisitError(f"there is no resource {number}", "resource", "unknown_resource")


# --- counts ---------------------------------------------------------------------------------------

_COUNT = text(f"""
WITH RECURSIVE {CHILDREN}
SELECT p.root AS area_id, a.layer, a.code, v.plan_id, l.name AS plan_name, v.state,
       count(*) AS visits
FROM visit v JOIN place p ON p.area_id = v.area_id JOIN visit_plan l ON l.id = v.plan_id
JOIN area a ON a.id = p.root
WHERE v.until > :since AND v.since < :until AND (CAST(:plan AS bigint) IS NULL OR v.plan_id = :plan)
GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY a.code, v.plan_id, v.state
""")


def counts(
    connection: Connection, since: datetime, until: datetime, *, area_id: int | None = None,
    plan: int | None = None,
) -> Sequence[RowMapping]:  # fmt: skip
    """Visits of the periods that touch a span of time, by area directly below one, plan, state."""
    asked = {"since": since, "until": until, "area_id": area_id, "plan": plan}
    return connection.execute(_COUNT, asked).mappings().all()
