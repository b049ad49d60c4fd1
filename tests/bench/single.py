"""One report by SQL, placed, against the durable insert of the same row with its answer given."""

import time
from typing import Any

import numpy as np
from sqlalchemy import create_engine, text

from data import placement, reports
from data.placement import Place
from layers import console
from tests.bench.setting import city, points, spread

COUNT, WARM = 3000, 300

_BARE = text("""
WITH stored AS (
    INSERT INTO report (id, incident_id, source, external_id, x, y, datum, accuracy_m, geom,
                        attributes, layer, area_id, version_id, method, ambiguous, border_m,
                        alternatives, at, known)
    SELECT n.id, n.id, 'single', :external_id, :x, :y, 'wgs84', 20,
           ST_SetSRID(ST_MakePoint(:x, :y), 4326), '{}', 'grid', :area_id, :version_id, :method,
           :ambiguous, :border_m, CAST(:alternatives AS jsonb), now(), now()
    FROM (SELECT nextval('report_id_seq') AS id) n
    RETURNING id, geom, area_id
), opened AS (
    INSERT INTO incident (id, urgency, geom, area_id) SELECT id, 3, geom, area_id FROM stored
)
INSERT INTO event (kind, incident_id, area_id, data)
SELECT 'report.received', id, area_id, '{"source": "single", "urgency": 3, "method": "inside"}'
FROM stored
""")


def run(_rows: int) -> None:
    """Print both rates, turn and turn about in blocks on one connection, and their ratio."""
    url, engine = city()
    at = points(engine, 2 * COUNT + WARM).to_numpy()
    with engine.begin() as connection:
        reports.set_source(connection, "single", datum="wgs84")
        _clear(connection)
    fast = create_engine(
        url, isolation_level="AUTOCOMMIT",
        connect_args={"options": "-c plan_cache_mode=force_generic_plan -c jit=off"},
    )  # fmt: skip
    ours: list[float] = []
    bare: list[float] = []
    with fast.connect() as connection:
        answers: list[dict[str, Any]] = []
        for number, (lon, lat) in enumerate(at):
            place = Place(float(lon), float(lat), 20.0)
            values = {
                **placement.parameters(place), **_EMPTY, "external_id": f"p{number}",
                "x": float(lon), "y": float(lat),
            }  # fmt: skip
            start = time.perf_counter()
            number_of = connection.execute(reports.STORE, values).first()
            if number >= WARM:
                ours.append(time.perf_counter() - start)
            assert number_of is not None
            answers.append({"x": float(lon), "y": float(lat), "external_id": f"b{number}"})
            if len(answers) == 100:
                bare += _insert(connection, answers)
                answers = []
    with engine.begin() as connection:
        _clear(connection)
    console.pairs(
        "One report, one connection (at least 0.5, target 0.8)",
        [
            ("placed and stored", f"{1 / np.mean(ours):,.0f}/s, {spread(ours)}"),
            ("stored with the answer given", f"{1 / np.mean(bare):,.0f}/s, {spread(bare)}"),
            ("ratio", f"{np.mean(bare) / np.mean(ours):.2f}"),
        ],
    )


def _clear(connection: Any) -> None:
    ours = "(SELECT id FROM report WHERE source = 'single')"
    connection.execute(text(f"DELETE FROM event WHERE incident_id IN {ours}"))
    connection.execute(text(f"DELETE FROM incident WHERE id IN {ours}"))
    connection.execute(text("DELETE FROM report WHERE source = 'single'"))


_EMPTY = {
    "source": "single", "occurred": None, "channel": None, "kind": None, "premises": None,
    "description": None, "address": None, "datum": "wgs84", "attributes": "{}", "by_address": False,
    "urgency": 3,
}  # fmt: skip

_ANSWER = text(
    "SELECT area_id, version_id, method, ambiguous, border_m, CAST(alternatives AS text)"
    " FROM report WHERE source = 'single' AND external_id = :of"
)


def _insert(connection: Any, rows: list[dict[str, Any]]) -> list[float]:
    seconds = []
    for row in rows:
        found = connection.execute(_ANSWER, {"of": "p" + row["external_id"][1:]}).one()
        names = ("area_id", "version_id", "method", "ambiguous", "border_m", "alternatives")
        values = {**row, **dict(zip(names, found, strict=True))}
        if values["area_id"] is None:
            continue
        start = time.perf_counter()
        connection.execute(_BARE, values)
        seconds.append(time.perf_counter() - start)
    return seconds
