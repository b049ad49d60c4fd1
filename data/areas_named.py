"""Areas in force by the codes that people write: `440604010001003`, or `beats:44060401200001`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Named:
    """An area in force, with a point on its surface (WGS 84)."""

    id: int
    layer: str
    code: str
    lon: float
    lat: float


_FIND = text("""
SELECT a.id, a.layer, a.code, ST_X(p) AS lon, ST_Y(p) AS lat
FROM area a
JOIN area_version v ON v.area_id = a.id AND v.valid @> now() AND upper_inf(v.recorded)
CROSS JOIN LATERAL ST_PointOnSurface(v.geom) p
WHERE a.layer = ANY (ARRAY(SELECT name FROM layer)) AND a.code = ANY (CAST(:codes AS text[]))
ORDER BY a.layer
""")

# The area that a point lies in; a dedicated one goes before the one that it lies over.
_AT = text("""
SELECT q.n - 1 AS row, hit.area_id
FROM unnest(CAST(:lon AS double precision[]), CAST(:lat AS double precision[]))
     WITH ORDINALITY q (lon, lat, n)
CROSS JOIN LATERAL (SELECT ST_SetSRID(ST_MakePoint(q.lon, q.lat), 4326) AS pt) x
CROSS JOIN LATERAL (
    SELECT v.area_id
    FROM area_piece p
    CROSS JOIN LATERAL (SELECT v.* FROM area_version v WHERE v.id = p.version_id OFFSET 0) v
    WHERE p.layer = :layer AND p.geom && x.pt AND ST_Intersects(p.geom, x.pt)
      AND v.valid @> now() AND upper_inf(v.recorded)
    ORDER BY v.kind = 'dedicated' DESC, v.area_id LIMIT 1
) hit
""")


def find(connection: Connection, spelt: Iterable[str]) -> dict[str, Named | str]:
    """Each of these codes with its area, or with the sentence why it names none.

    A code alone is looked for in every layer; where several have it, the layer has to be named
    before it, with a colon.
    """
    wanted = {each: _parts(each) for each in spelt}
    codes = sorted({code for _, code in wanted.values()} | set(wanted))
    by_code: dict[str, list[Named]] = {}
    for row in connection.execute(_FIND, {"codes": codes}) if codes else ():
        by_code.setdefault(row.code, []).append(Named(*row))
    found: dict[str, Named | str] = {}
    for each, (layer, code) in wanted.items():
        whole = by_code.get(each, [])  # a code may have a colon of its own
        here = whole or [a for a in by_code.get(code, []) if layer in (None, a.layer)]
        found[each] = here[0] if len(here) == 1 else _fault(each, here)
    return found


def _parts(spelt: str) -> tuple[str | None, str]:
    layer, colon, code = spelt.partition(":")
    return (layer.strip(), code.strip()) if colon else (None, spelt)


def _fault(spelt: str, several: Sequence[Named]) -> str:
    if several:
        ways = ", ".join(f"{area.layer}:{area.code}" for area in several)
        return f"the area {spelt!r} is in several layers; write one of {ways}"
    return (
        f"there is no area {spelt!r} in force; write its code as GET /api/v1/areas/grid lists it, "
        "in another layer with the layer before it, as beats:CODE"
    )


def at(
    connection: Connection, lon: Sequence[float], lat: Sequence[float], layer: str = "grid"
) -> dict[int, int]:
    """The id of the layer's area in force around each point (WGS 84), by the point's number.

    Points outside every area have none.
    """
    asked = {"lon": list(lon), "lat": list(lat), "layer": layer}
    return {row.row: row.area_id for row in connection.execute(_AT, asked)} if len(lon) else {}
