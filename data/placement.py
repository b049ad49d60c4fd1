"""Where a point lies: one question, one statement, one answer that can always be given again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data.settings import settings
from gis.placement import WEIGHTS

SRC = "wangge"


@dataclass(frozen=True)
class Place:
    """A normalised position and what else is known of it: a question to the map.

    lon, lat are WGS 84 degrees. `at` is the moment whose borders count, `known` the moment whose
    knowledge counts; both aware, None is now.
    """

    lon: float
    lat: float
    accuracy_m: float
    at: datetime | None = None
    known: datetime | None = None
    layer: str = "grid"
    street: str | None = None
    block: str | None = None
    side: int | None = None
    premises: str | None = None


# The candidates with their names, and the chain of areas above the first of them. Without a moment
# the database's clock is asked, which is the one that changes of the map go by; what will be known
# later nobody can say again, so `known` is now at the latest (and if it is null). There is always a
# row, so that the answer names its moments even where nothing was found.
LOCATE = text("""
WITH clock AS MATERIALIZED (
    SELECT coalesce(CAST(:at AS timestamptz), now()) AS at,
           least(CAST(:known AS timestamptz), now()) AS known
),
placed AS MATERIALIZED (
    SELECT c.layer, c.version_id, c.area_id, c.inside, c.share, c.border_m, c.score, c.n AS rank,
           a.code, v.name, v.kind, v.party_branch, v.parent_id, upper(v.valid) AS valid_until,
           lower(v.valid) AS valid_from, h.recorded AS updated
    FROM clock
    CROSS JOIN LATERAL candidates(
        :lon, :lat, :accuracy_m, :layer,
        ARRAY(SELECT name FROM layer WHERE tree_level IS NULL AND name <> :layer),
        clock.at, clock.known, :border_m, :snap_m, CAST(:weights AS double precision[]),
        :street, :block, CAST(:side AS integer), :premises
    ) WITH ORDINALITY c (layer, version_id, area_id, inside, share, border_m, score, n)
    JOIN area_version v ON v.id = c.version_id
    JOIN area a ON a.id = c.area_id
    JOIN change h ON h.id = lower(v.recorded)
)
SELECT clock.at, clock.known, p.*,
       CASE WHEN p.rank = 1 THEN chain_above(p.parent_id, clock.at, clock.known) END AS chain
FROM clock LEFT JOIN placed p ON true
ORDER BY p.rank
""")


def parameters(place: Place) -> dict[str, Any]:
    """A place as the parameters of `LOCATE`."""
    return {
        **vars(place),
        "border_m": settings().border_m,
        "snap_m": settings().snap_m,
        "weights": list(WEIGHTS),
    }


@dataclass(frozen=True)
class Located:
    """What the map says about a place: the candidates of the layer asked for, and the overlays."""

    at: datetime
    known: datetime
    candidates: Sequence[RowMapping]
    overlays: Sequence[RowMapping]
    method: str

    @property
    def first(self) -> RowMapping | None:
        """The first choice, or None where there is no area within reach."""
        return self.candidates[0] if self.candidates else None

    @property
    def ambiguous(self) -> bool:
        """Whether the position could as well lie in another area."""
        return len(self.candidates) > 1


def locate(connection: Connection, place: Place) -> Located:
    """Ask the map where a place is."""
    rows = connection.execute(LOCATE, parameters(place)).mappings().all()
    return read_rows(rows, place.layer)


def read_rows(rows: Sequence[RowMapping], layer: str) -> Located:
    """Rows of `LOCATE` as an answer."""
    candidates = [row for row in rows if row["layer"] == layer]
    overlays = [row for row in rows if row["layer"] not in (layer, None)]
    return Located(rows[0]["at"], rows[0]["known"], candidates, overlays, _method(candidates))


def _method(candidates: Sequence[RowMapping]) -> str:
    if not candidates:
        return "none"
    if len(candidates) > 1 and min(c["border_m"] for c in candidates) <= settings().border_m:
        return "on_border"
    return "inside" if any(c["inside"] for c in candidates) else "snapped"


def expires(located: Located) -> datetime:
    """Until when the answer may be kept: the next known change of border, or the usual time.

    Counted from `known`, when the question was asked: of last year's borders, or next year's,
    something else may be known tomorrow.
    """
    ends = [row["valid_until"] for row in (*located.candidates, *located.overlays)]
    usual = located.known + timedelta(seconds=settings().answer_ttl_s)
    to_come: list[datetime] = [end for end in ends if end is not None and end > located.known]
    return min([usual, *to_come])


def answer(place: Place, located: Located) -> dict[str, Any]:
    """The answer as the API gives it (shaped after LoST's findServiceResponse, RFC 5222)."""
    first = located.first
    return {
        "layer": place.layer,
        "found": located.method,
        "area": _area(first) if first else None,
        "chain": (first["chain"] or []) if first else [],
        "border_m": _round(first["border_m"], 2) if first else None,
        "ambiguous": located.ambiguous,
        "alternatives": [
            {
                "code": c["code"],
                "name": c["name"],
                "share": _round(c["share"], 4),
                "score": _round(c["score"], 4),
                "border_m": _round(c["border_m"], 2),
            }
            for c in located.candidates
        ],
        "overlays": [
            {
                "layer": o["layer"],
                "code": o["code"],
                "name": o["name"],
                "share": _round(o["share"], 4),
            }
            for o in located.overlays
        ],
        "service_boundary": _boundary(first) if first else None,
        "at": located.at,
        "known": located.known,
        "expires": expires(located),
    }


def _area(row: RowMapping) -> dict[str, Any]:
    return {
        "code": row["code"],
        "name": row["name"],
        "kind": row["kind"],
        "party_branch": row["party_branch"],
    }


def _boundary(row: RowMapping) -> dict[str, Any]:
    return {
        "source": SRC,
        "key": f"{row['layer']}/{row['code']}",
        "version": row["version_id"],
        "last_updated": row["updated"],
        "valid_from": row["valid_from"],
        "valid_until": row["valid_until"],
        "href": f"/api/v1/areas/{row['layer']}/{row['code']}/versions/{row['version_id']}",
    }


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
