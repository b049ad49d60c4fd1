"""Reports: taken in, placed, looked at again, confirmed by a person. Nothing accepted is lost."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from data import addresses, clocks, events, placement
from data.calendars import CalendarRefusedError
from data.errors import InputError
from data.placement import Place
from data.settings import settings
from gis import addresses as address_text
from gis import datum as datums

# Why a report waits for a person, and what that person can do.
TRIAGE = {
    "no_place": "There are neither coordinates nor an address: ask the reporter where it is.",
    "unknown_datum": "The coordinates name no datum and their source has none: they may be off by "
    "500 m. Name the datum, or give the source one, and place the report again.",
    "outside": "The position lies outside every area of the layer, further than the snapping "
    "distance: move the pin or hand the report to the neighbour.",
    "address_unknown": "The address is not in the gazetteer: set the pin on the map.",
    "address_uncertain": "The address could be several places: choose one.",
}


MOST_ACCURACY_M = 5000  # a disc of more says nothing about a grid


class ReportError(InputError):
    """A report that cannot be taken in as it is.

    `reason` is a key of `gis.datum.REASONS`, or unknown_datum, unsupported_datum, unknown_layer,
    unknown_report, unknown_code.
    """


@dataclass(frozen=True)
class NewReport:
    """A report as it comes in; x and y are in `datum` (degrees, or metres of a projected EPSG)."""

    source: str
    external_id: str
    x: float | None = None
    y: float | None = None
    datum: str | None = None
    accuracy_m: float | None = None
    address: str | None = None
    occurred: datetime | None = None
    channel: str | None = None
    kind: str | None = None
    premises: str | None = None
    description: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    layer: str = "grid"
    urgency: int = 3  # of the incident: 1 at once … 5 some day


@dataclass(frozen=True)
class Point:
    """A position made WGS 84, with what had to be supposed on the way."""

    lon: float
    lat: float
    datum: str
    accuracy_m: float
    notes: list[str] = field(default_factory=list)


def normalise(
    x: float, y: float, datum: str | None, accuracy_m: float | None, *, default: str | None = None
) -> Point:
    """A received position as WGS 84.

    Raises
    ------
    ReportError
        The coordinates or the datum cannot be right; the sentence says why.
    """
    name = datum or default
    if name is None:
        raise ReportError(TRIAGE["unknown_datum"], "datum", "unknown_datum")
    try:
        known = datums.parse(name)
    except datums.DatumError as error:
        raise ReportError(str(error), "datum", "unsupported_datum") from error
    lon, lat, reasons = datums.normalise(x, y, known)
    if reason := str(reasons):
        where = "datum" if reason == "wrong_datum" else "lon, lat"
        raise ReportError(datums.REASONS[reason], where, reason)
    notes = [] if datum else [f"The datum was not named; {known.title} is the source's default."]
    if accuracy_m is None:
        accuracy_m = settings().accuracy_m
        notes.append(f"The accuracy was not named; {accuracy_m:g} m is supposed.")
    return Point(float(lon), float(lat), known.name, accuracy_m, notes)


_SOURCE = text(
    "INSERT INTO source (name) VALUES (:name) ON CONFLICT (name) DO UPDATE SET name = source.name"
    " RETURNING datum, accuracy_m"
)


def source_defaults(connection: Connection, name: str) -> RowMapping:
    """The datum and accuracy that a source's reports have by default; a new source has none."""
    found = connection.execute(
        text("SELECT datum, accuracy_m FROM source WHERE name = :name"), {"name": name}
    )
    row = found.mappings().first()
    return row or connection.execute(_SOURCE, {"name": name}).mappings().one()


def set_source(connection: Connection, name: str, **facts: Any) -> None:
    """Set a source's title, datum and accuracy in metres; raises ValueError if one cannot be."""
    accuracy = facts.get("accuracy_m")
    if accuracy is not None and not 0 < accuracy <= MOST_ACCURACY_M:
        raise ValueError(
            f"the accuracy of source {name} is {accuracy:g} m; it has to be more than 0 and at "
            f"most {MOST_ACCURACY_M:,} m"
        )
    if facts.get("datum"):
        facts["datum"] = datums.parse(facts["datum"]).name
    given = {key: value for key, value in facts.items() if value is not None}
    columns = ", ".join(["name", *given])
    values = ", ".join(f":{key}" for key in ["name", *given])
    updates = ", ".join(f"{key} = :{key}" for key in ["name", *given])
    connection.execute(
        text(
            f"INSERT INTO source ({columns}) VALUES ({values})"
            f" ON CONFLICT (name) DO UPDATE SET {updates}"
        ),
        {"name": name, **given},
    )


# --- taking in ----------------------------------------------------------------------------------

# What follows a report's row, in its statement: the case that it opens, and word of it.
_OPEN = """
RETURNING id, received, source, external_id, kind, geom, area_id, method, triage
), answering AS (
    SELECT c.* FROM stored s CROSS JOIN LATERAL open_case(
        s.kind, s.area_id, clock_timestamp()) c
), opened AS (
    INSERT INTO incident (id, opened, kind, urgency, geom, area_id, stage, since, level,
                          organisation_id)
    SELECT s.id, s.received, s.kind, :urgency, s.geom, s.area_id, a.stage, s.received, a.level,
           a.organisation_id
    FROM stored s CROSS JOIN answering a
), stepped AS (
    INSERT INTO case_step (incident_id, at, action, stage, level, organisation_id, actor, data)
    SELECT s.id, s.received, 'open', a.stage, a.level, a.organisation_id, s.source,
           jsonb_build_object('rule', a.rule_id)
    FROM stored s CROSS JOIN answering a
), told AS (
    INSERT INTO event (kind, incident_id, area_id, data)
    SELECT 'report.received', s.id, s.area_id, jsonb_build_object(
        'report', s.id, 'source', s.source, 'external_id', s.external_id, 'kind', s.kind,
        'urgency', CAST(:urgency AS integer),
        'lon', ST_X(s.geom), 'lat', ST_Y(s.geom), 'code', a.code, 'method', s.method,
        'triage', s.triage)
    FROM stored s LEFT JOIN area a ON a.id = s.area_id
)
SELECT id FROM stored
"""

# One statement: the candidates, and the row with the first of them.
STORE = text(f"""
WITH clock AS MATERIALIZED (
    SELECT coalesce(CAST(:at AS timestamptz), now()) AS at,
           coalesce(CAST(:known AS timestamptz), now()) AS known
), located AS MATERIALIZED (
    SELECT clock.at, clock.known, c.*, a.code
    FROM clock
    LEFT JOIN LATERAL candidates(
        :lon, :lat, :accuracy_m, :layer, '{{}}', clock.at, clock.known, :border_m, :snap_m,
        CAST(:weights AS double precision[]), :street, :block, CAST(:side AS integer), :premises
    ) WITH ORDINALITY c (layer, version_id, area_id, inside, share, border_m, score, rank) ON true
    LEFT JOIN area a ON a.id = c.area_id
), listed AS (
    SELECT count(*) AS n, min(border_m) AS border_m, bool_or(inside) AS inside,
           jsonb_agg(jsonb_build_object('area_id', area_id, 'code', code, 'share', share,
                                        'score', score) ORDER BY rank) AS alternatives
    FROM located WHERE area_id IS NOT NULL
), stored AS (
INSERT INTO report (
    id, incident_id, source, external_id, occurred, channel, kind, premises, description, address,
    x, y, datum, accuracy_m, geom, attributes, layer, area_id, version_id, method, ambiguous,
    border_m, alternatives, at, known, triage
)
SELECT n.id, n.id, :source, :external_id, CAST(:occurred AS timestamptz), :channel, :kind,
       :premises, :description, :address, CAST(:x AS double precision),
       CAST(:y AS double precision), :datum, CAST(:accuracy_m AS double precision),
       ST_SetSRID(ST_MakePoint(:lon, :lat), 4326),
       CAST(:attributes AS jsonb), :layer, f.area_id, f.version_id,
       CASE WHEN f.area_id IS NULL THEN 'none' WHEN :by_address THEN 'address'
            WHEN l.n > 1 AND l.border_m <= :border_m THEN 'on_border'
            WHEN l.inside THEN 'inside' ELSE 'snapped' END,
       l.n > 1, f.border_m, CASE WHEN l.n > 1 THEN l.alternatives END, c.at, c.known,
       CASE WHEN f.area_id IS NULL THEN 'outside' END
FROM (SELECT nextval('report_id_seq') AS id) n
CROSS JOIN (SELECT at, known FROM located LIMIT 1) c
CROSS JOIN listed l
LEFT JOIN (SELECT * FROM located WHERE rank = 1) f ON true
ON CONFLICT (source, external_id) DO NOTHING
{_OPEN}
""")

_STORE_UNPLACED = text(f"""
WITH stored AS (
INSERT INTO report (id, incident_id, source, external_id, occurred, channel, kind, premises,
                    description, address, x, y, datum, accuracy_m, attributes, layer, method, at,
                    triage)
SELECT n.id, n.id, :source, :external_id, CAST(:occurred AS timestamptz), :channel, :kind,
       :premises, :description, :address, CAST(:x AS double precision),
       CAST(:y AS double precision), :datum, CAST(:accuracy_m AS double precision),
       CAST(:attributes AS jsonb), :layer, 'none',
       coalesce(CAST(:occurred AS timestamptz), now()), :triage
FROM (SELECT nextval('report_id_seq') AS id) n
ON CONFLICT (source, external_id) DO NOTHING
{_OPEN}
""")

CLEAR_SCORE = 0.9  # an address match at least this good, and clearly ahead of the next, is taken
CLEAR_LEAD = 0.1


def submit(connection: Connection, new: NewReport) -> tuple[int, bool]:
    """Take a report in, placed or waiting in triage, exactly once by (source, external_id).

    Returns its number and whether it is new; one that came before is left as it was.

    Raises
    ------
    ReportError
        The coordinates, the datum or the layer cannot be right.
    """
    _check_layer(connection, new.layer)
    point, by_address, triage = _point(connection, new)
    values = {
        **{name: value for name, value in vars(new).items() if name != "attributes"},
        "attributes": json.dumps(new.attributes, ensure_ascii=False),
    }
    if point is None:
        number = connection.execute(_STORE_UNPLACED, {**values, "triage": triage}).scalar()
    else:
        place = Place(
            point.lon,
            point.lat,
            point.accuracy_m,
            at=new.occurred,
            layer=new.layer,
            premises=new.premises,
            **clues(new.address),
        )
        values |= {
            **placement.parameters(place),
            "by_address": by_address,
            "datum": new.datum and point.datum if by_address else point.datum,
            "accuracy_m": point.accuracy_m,
        }
        number = connection.execute(STORE, values).scalar()
    if number is not None:
        _start_clock(connection, int(number))
        return int(number), True
    return _number(connection, new.source, new.external_id), False


def _start_clock(connection: Connection, number: int) -> None:
    """Start the time to handle it; a report is taken in whatever the calendars are like."""
    try:
        clocks.start_handling(connection, number)
    except CalendarRefusedError as error:
        said = {"name": clocks.HANDLE, "error": str(error)}
        events.record(connection, "clock.refused", said, incident_id=number)


_AREA = text("SELECT area_id FROM report WHERE id = :id")


def _point(connection: Connection, new: NewReport) -> tuple[Point | None, bool, str | None]:
    """Where a report is: its position, whether that is its address's, and if not, why not."""
    triage = None
    defaults = source_defaults(connection, new.source)
    if new.x is not None and new.y is not None:
        if new.datum or defaults["datum"]:
            accuracy = new.accuracy_m or defaults["accuracy_m"]
            return (
                normalise(new.x, new.y, new.datum, accuracy, default=defaults["datum"]),
                False,
                None,
            )
        triage = "unknown_datum"
    if not new.address:
        return None, False, triage or "no_place"
    match = by_address(connection, new.address, _now(connection))
    if isinstance(match, str):
        return None, False, triage or match
    return Point(match.lon, match.lat, "wgs84", match.accuracy_m), True, None


def by_address(connection: Connection, address: str, known: datetime) -> addresses.Match | str:
    """The one place that an address is without doubt, or the reason why there is none."""
    matches = addresses.lookup(connection, address, known=known)
    if not matches:
        return "address_unknown"
    return matches[0] if is_clear(matches) else "address_uncertain"


def is_clear(matches: Sequence[addresses.Match]) -> bool:
    """Whether the first of an address's matches can be taken without a person."""
    best = matches[0]
    ahead = len(matches) == 1 or best.score - matches[1].score >= CLEAR_LEAD
    return best.score >= CLEAR_SCORE and (ahead or best.how == "exact")


def clues(address: str | None) -> dict[str, Any]:
    """What an address tells about which side of a border it is on; see `Place`."""
    if not address:
        return {}
    parsed = address_text.parse([address])
    side = int(parsed.side[0])
    return {
        "street": parsed.street[0] or None,
        "block": parsed.block[0] or None,
        "side": side if side >= 0 else None,
    }


def _now(connection: Connection) -> datetime:
    now: datetime = connection.execute(text("SELECT now()")).scalar_one()
    return now


def _number(connection: Connection, source: str, external_id: str) -> int:
    number: int = connection.execute(
        text("SELECT id FROM report WHERE source = :source AND external_id = :external_id"),
        {"source": source, "external_id": external_id},
    ).scalar_one()
    return number


def _check_layer(connection: Connection, layer: str) -> None:
    names = connection.execute(text("SELECT name FROM layer ORDER BY name")).scalars().all()
    if layer not in names:
        listed = ", ".join(names)
        raise ReportError(
            f"there is no layer {layer!r}; there are {listed}", "layer", "unknown_layer"
        )


# --- looking at -----------------------------------------------------------------------------------

_GET = text("""
SELECT r.*, ST_X(r.geom) AS lon, ST_Y(r.geom) AS lat, a.code, v.name,
       chain_above(v.parent_id, r.at, r.known) AS chain
FROM report r LEFT JOIN area a ON a.id = r.area_id LEFT JOIN area_version v ON v.id = r.version_id
WHERE r.id = :id
""")


def get(connection: Connection, number: int) -> RowMapping | None:
    """A report as it is stored, or None."""
    return connection.execute(_GET, {"id": number}).mappings().first()


def place_of(row: RowMapping) -> Place | None:
    """The question that a stored report's placement answered; None if it never had a position."""
    if row["lon"] is None:
        return None
    return Place(
        row["lon"],
        row["lat"],
        row["accuracy_m"] or settings().accuracy_m,
        at=row["at"],
        known=row["known"],
        layer=row["layer"],
        premises=row["premises"],
        **clues(row["address"]),
    )


_TRIAGE = text("""
SELECT id, source, external_id, received, occurred, kind, description, address, x, y, datum,
       accuracy_m, layer, triage
FROM report
WHERE triage IS NOT NULL AND (CAST(:reason AS text) IS NULL OR triage = :reason) AND id > :after
ORDER BY id LIMIT :limit
""")


def in_triage(
    connection: Connection, *, reason: str | None = None, after: int = 0, limit: int = 100
) -> list[RowMapping]:
    """Reports that wait for a person, by number; go on with `after` the last one."""
    asked = {"reason": reason, "after": after, "limit": limit}
    return list(connection.execute(_TRIAGE, asked).mappings())


def triage_counts(connection: Connection) -> dict[str, int]:
    """How many reports wait, by reason."""
    rows = connection.execute(
        text(
            "SELECT triage, count(*) AS number FROM report WHERE triage IS NOT NULL"
            " GROUP BY 1 ORDER BY 1"
        )
    )
    return {str(row.triage): int(row.number) for row in rows}


# --- a person decides -----------------------------------------------------------------------------

# Before the rest, which sees then what others confirmed meanwhile.
_LOCK = text("SELECT id FROM report WHERE id = :id FOR UPDATE")

_CONFIRM = text("""
WITH chosen AS (
    SELECT a.id AS area_id, v.id AS version_id
    FROM area a JOIN area_version v ON v.area_id = a.id
    WHERE a.layer = :layer AND a.code = :code AND v.valid @> now() AND upper_inf(v.recorded)
), before AS (
    SELECT * FROM report WHERE id = :id
), last AS (
    SELECT area_id FROM confirmation WHERE report_id = :id ORDER BY recorded DESC, id DESC LIMIT 1
), remembered AS (
    INSERT INTO confirmation (report_id, layer, area_id, geom, informative, street, block, side,
                              premises, actor, reason)
    SELECT b.id, :layer, c.area_id, coalesce(b.geom, p.geom),
           b.ambiguous OR b.area_id IS DISTINCT FROM c.area_id, :street, :block, :side,
           b.premises, :actor, :reason
    FROM chosen c CROSS JOIN before b
    CROSS JOIN (SELECT ST_SetSRID(ST_MakePoint(CAST(:lon AS double precision),
                                               CAST(:lat AS double precision)), 4326) AS geom) p
    WHERE coalesce(b.geom, p.geom) IS NOT NULL  -- said again, it is no second voice:
      AND NOT EXISTS (SELECT FROM last WHERE last.area_id = c.area_id)
)
UPDATE report r
SET area_id = c.area_id, version_id = c.version_id, method = 'confirmed', triage = NULL,
    geom = coalesce(r.geom, ST_SetSRID(ST_MakePoint(CAST(:lon AS double precision),
                                                    CAST(:lat AS double precision)), 4326))
FROM chosen c WHERE r.id = :id
RETURNING r.id
""")


# An incident is where the report says that opened it.
_MOVE_INCIDENT = text("""
WITH moved AS (
    UPDATE incident i SET geom = r.geom, area_id = r.area_id FROM report r
    WHERE r.id = :id AND i.id = r.id
    RETURNING i.id, i.geom, i.area_id
)
INSERT INTO event (kind, incident_id, area_id, data)
SELECT 'report.confirmed', m.id, m.area_id, jsonb_build_object(
    'lon', ST_X(m.geom), 'lat', ST_Y(m.geom), 'code', a.code)
FROM moved m LEFT JOIN area a ON a.id = m.area_id
""")


def confirm(
    connection: Connection,
    number: int,
    code: str,
    *,
    actor: str,
    reason: str = "",
    lon: float | None = None,
    lat: float | None = None,
) -> None:
    """A person says which area a report belongs to; the place is remembered for later ones.

    lon, lat (WGS 84) set the pin of a report that had none.

    Raises
    ------
    ReportError
        There is no such report or area.
    """
    connection.execute(_LOCK, {"id": number})
    row = get(connection, number)
    if row is None:
        raise ReportError(f"there is no report {number}", "id", "unknown_report")
    known = {"street": None, "block": None, "side": None} | clues(row["address"])
    done = connection.execute(
        _CONFIRM,
        {
            "id": number,
            "layer": row["layer"],
            "code": code,
            "actor": actor,
            "reason": reason,
            "lon": lon,
            "lat": lat,
            **known,
        },
    ).scalar()
    connection.execute(_MOVE_INCIDENT, {"id": number})
    if done is None:
        raise ReportError(
            f"the layer {row['layer']} has no area {code} in force; look it up with "
            f"GET /api/v1/areas/{row['layer']}",
            "code",
            "unknown_code",
        )
    at = (row["lon"], row["lat"]) if row["lon"] is not None else (lon, lat)
    if row["address"] and at[0] is not None and at[1] is not None:
        addresses.remember(connection, row["address"], at[0], at[1])
