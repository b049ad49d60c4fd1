"""Warnings as they stand: what they are about, whose they are, what was done."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import early_warnings

LOOKS_A_WEEK = 7

_COLUMNS = """
w.id AS number, w.model, w.version, jsonb_build_object('layer', a.layer, 'code', a.code,
'name', v.name) AS area, w.kind, (SELECT k.title FROM case_kind k
WHERE k.code = w.kind AND k.valid @> clock_timestamp()) AS kind_title,
w.words, w.first, w.last, w.observed, w.expected, w.threshold, w.p, w.q, w.score, o.code AS owner,
o.name AS owner_name, w.raised, w.due, w.state, w.accepted, w.closed, w.outcome,
w.state = 'open' AND w.due < CAST(:now AS timestamptz) AS late
"""
_FROM = """
FROM warning w JOIN area a ON a.id = w.area_id
JOIN organisation o ON o.id = heir_of(w.organisation_id)
LEFT JOIN LATERAL (
    SELECT x.name, x.geom FROM area_version x WHERE x.area_id = w.area_id AND upper_inf(x.recorded)
    ORDER BY lower(x.valid) DESC NULLS LAST LIMIT 1
) v ON true
"""
_CHOSEN = """
(CAST(:states AS text[]) IS NULL OR w.state = ANY (:states))
AND (CAST(:area_ids AS bigint[]) IS NULL OR w.area_id = ANY (:area_ids))
AND (CAST(:owner AS text) IS NULL OR o.code = :owner)
AND (CAST(:kind AS text) IS NULL OR w.kind = :kind)
AND (CAST(:before AS bigint) IS NULL OR w.id < :before)
AND (NOT CAST(:late AS boolean) OR w.state = 'open' AND w.due < CAST(:now AS timestamptz))
"""
_SHAPE = "ST_AsGeoJSON(v.geom, 6) AS geometry"
_LISTED = text(f"SELECT {_COLUMNS}, {_SHAPE} {_FROM} WHERE {_CHOSEN} ORDER BY w.id DESC LIMIT :n")
# Who is late first, then who has the least time, then what is under way; the highest score first.
_URGENT = text(f"""
SELECT {_COLUMNS}, {_SHAPE}, w.inputs {_FROM}
WHERE w.state <> 'closed' ORDER BY w.state = 'accepted', w.due, w.score DESC, w.id LIMIT :n
""")
_GET = text(f"SELECT {_COLUMNS}, {_SHAPE}, w.inputs {_FROM} WHERE w.id = :number")
_STEPS = text("""
SELECT id, at, action, actor, reason, deployment_id AS deployment, data
FROM warning_step WHERE warning_id = :number ORDER BY id
""")
_PLACES = text("""
SELECT a.layer, a.code, x.name, p.number
FROM unnest(CAST(:areas AS bigint[]), CAST(:numbers AS integer[])) WITH ORDINALITY
     AS p (area_id, number, n)
JOIN area a ON a.id = p.area_id
LEFT JOIN LATERAL (
    SELECT v.name FROM area_version v WHERE v.area_id = a.id AND upper_inf(v.recorded)
    ORDER BY lower(v.valid) DESC NULLS LAST LIMIT 1
) x ON true
ORDER BY p.n
""")
_LOOKS = text("""
SELECT day, first, last, asked, taken, cannot, version, weeks, series, reports, rate, quiet,
       quiet * :a_week AS quiet_week_at_most, found, raised
FROM warning_look ORDER BY day DESC LIMIT :limit
""")


def listed(
    connection: Connection, *, now: datetime, states: Sequence[str] | None = None,
    area_ids: Sequence[int] | None = None, owner: str | None = None, kind: str | None = None,
    late: bool = False, before: int | None = None, limit: int = 100,
) -> list[dict[str, Any]]:  # fmt: skip
    """Warnings by number, the newest first; `geometry` is GeoJSON in WGS 84.

    Parameters
    ----------
    area_ids : those of an area and of all below it
    late : only those that should have been accepted by now
    before : the last number seen
    """
    asked = {
        "states": list(states) if states else None, "owner": owner, "kind": kind, "late": late,
        "area_ids": None if area_ids is None else list(area_ids), "before": before, "now": now,
    }  # fmt: skip
    return [_shown(row) for row in connection.execute(_LISTED, {**asked, "n": limit}).mappings()]


def urgent(connection: Connection, *, now: datetime, limit: int = 500) -> list[dict[str, Any]]:
    """What is open or under way, the most urgent first, with `inputs`."""
    return [_shown(row) for row in connection.execute(_URGENT, {"now": now, "n": limit}).mappings()]


def get(connection: Connection, number: int, *, now: datetime) -> dict[str, Any]:
    """A warning with what it was made from, where its reports lie, and its steps.

    Raises
    ------
    WarningError
        There is none of that number.
    """
    row = connection.execute(_GET, {"number": number, "now": now}).mappings().first()
    if row is None:
        raise early_warnings.unknown(number)
    inputs = dict(row["inputs"])
    places = inputs.pop("places")
    asked = {"areas": [each[0] for each in places], "numbers": [each[1] for each in places]}
    steps = connection.execute(_STEPS, {"number": number}).mappings()
    return {
        **_shown(row), "inputs": inputs,
        "places": [dict(each) for each in connection.execute(_PLACES, asked).mappings()],
        "steps": [dict(step) for step in steps],
    }  # fmt: skip


def looks(connection: Connection, limit: int = 7) -> list[dict[str, Any]]:
    """The last looks, the newest first, with how many false warnings are to be expected.

    `quiet` is the mean of one look at a city in which nothing is going on; a week of looks has up
    to seven times as many, and mostly far fewer, for they overlap.
    """
    asked = {"limit": limit, "a_week": LOOKS_A_WEEK}
    return [dict(row) for row in connection.execute(_LOOKS, asked).mappings()]


def _shown(row: RowMapping) -> dict[str, Any]:
    return {**row, "allowed": list(early_warnings.allowed(row["state"]))}
