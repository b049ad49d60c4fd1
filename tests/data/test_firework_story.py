"""The story of the fireworks: a surge is found in its first week, people go, and it falls there."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from sqlalchemy import Connection, Engine, text

from api.answers import dumps
from api.schemas_early_warnings import WarningEffect
from data import early_warning_effect, early_warnings, reports
from data.early_warnings import WarningError
from data.reports import NewReport
from tests.data import thousand
from tests.data.test_early_warnings import look, rows

KIND = "烟花爆竹"
FOUND = datetime(2026, 1, 25, 17, tzinfo=UTC)  # past midnight of Monday 26 January in the city
DAY = timedelta(days=1)
START = datetime(2026, 1, 27, 10, tzinfo=UTC)
SURGING, TREATED = range(10), range(3)  # of 20 villages; people go to three of those that surge


def plant(connection: Connection, village: int, days: range, daily: float, seed: int) -> None:
    """Reports of fireworks in a village, on days counted from the one of START."""
    rng = np.random.default_rng((seed, village))
    centres = _centres(connection)
    for day in days:
        for n in range(rng.poisson(daily)):
            lon, lat = centres[village]
            new = NewReport(
                "test", f"{seed} {village} {day} {n}", x=lon, y=lat, datum="wgs84", kind=KIND,
                occurred=START + day * DAY, description=f"有人燃放烟花爆竹，{day}日{n}栋",
            )  # fmt: skip
            reports.submit(connection, new)


def _centres(connection: Connection) -> list[tuple[float, float]]:
    query = text("""
        SELECT DISTINCT ON (left(a.code, 12)) ST_X(ST_PointOnSurface(v.geom)),
               ST_Y(ST_PointOnSurface(v.geom))
        FROM area a JOIN area_version v ON v.area_id = a.id WHERE a.layer = 'grid'
        ORDER BY left(a.code, 12), a.code
    """)
    return [(row[0], row[1]) for row in connection.execute(query)]


_SEND = text("""
WITH plan AS (
    INSERT INTO deployment (name, actor) VALUES ('志愿者进小区', 'test') RETURNING id
), site AS (
    INSERT INTO deployment_site (deployment_id, name, geom, area_id)
    SELECT plan.id, a.code, ST_PointOnSurface(v.geom), a.id FROM plan, area a
    JOIN area_version v ON v.area_id = a.id WHERE a.code = ANY (:grids) RETURNING id, deployment_id
), shift AS (
    INSERT INTO deployment_shift (site_id, during, quota)
    SELECT id, tstzrange(:start, :until), 1 FROM site
)
SELECT min(deployment_id) FROM site
""")


@pytest.fixture(scope="module")
def city(engine: Engine) -> Engine:
    """Twelve quiet weeks, then half of the villages surge; in three of them it falls again."""
    thousand.build(engine)
    with engine.begin() as connection:
        for table in ("responsibility", "case_kind"):  # who answers did so in that winter, too
            since = "valid = tstzrange('2020-01-01+00', upper(valid))"
            connection.execute(text(f"UPDATE {table} SET {since}"))
        for village in range(20):
            plant(connection, village, range(-84, -8), 0.15, 1)
            plant(connection, village, range(-8, 0), 4 if village in SURGING else 0.15, 2)
    look(engine, FOUND)
    return engine


def warned(engine: Engine) -> dict[str, Any]:
    query = f"""
        SELECT w.*, a.code FROM warning w JOIN area a ON a.id = w.area_id
        WHERE a.code = '{thousand.VILLAGES[0]}'
    """
    [found] = rows(engine, query)
    return dict(found)


def test_the_surge_is_found_in_its_first_week(city: Engine) -> None:
    codes = {row["code"] for row in rows(city, "SELECT code FROM area a JOIN warning w"
             " ON w.area_id = a.id AND w.model = 'surge'")}  # fmt: skip
    assert codes == {thousand.VILLAGES[n] for n in SURGING}
    warning = warned(city)
    assert warning["kind"] == KIND and warning["observed"] > 10 > warning["expected"]
    owner = f"SELECT code FROM organisation WHERE id = {warning['organisation_id']}"
    assert "police" in rows(city, owner)[0]["code"]  # who answer for fireworks


def test_before_anything_is_done_there_is_no_effect(city: Engine) -> None:
    with city.connect() as connection, pytest.raises(WarningError, match="Nothing was done"):
        early_warning_effect.effect(connection, warned(city)["id"], now=FOUND)


def test_people_go_there_and_it_falls_beside_villages_like_them(city: Engine) -> None:
    number = warned(city)["id"]
    with city.begin() as connection:
        early_warnings.accept(connection, number, actor="police", now=FOUND)
        grids = [f"{thousand.VILLAGES[n]}001" for n in TREATED]
        sent = {"grids": grids, "start": START, "until": START + 4 * DAY / 24}
        deployment = connection.execute(_SEND, sent).scalar_one()
        early_warnings.plan(
            connection, number, actor="police", note="志愿者进小区劝导", deployment=deployment
        )
        with pytest.raises(WarningError, match="after 7 days"):
            early_warning_effect.effect(connection, number, now=START + 3 * DAY)
        for village in range(20):
            quieter = 0.8 if village in TREATED else 4
            plant(connection, village, range(14), quieter if village in SURGING else 0.15, 3)
        told = early_warning_effect.effect(connection, number, now=START + 14 * DAY)
    TypeAdapter(WarningEffect).validate_json(dumps(told))
    assert told["treated"] == [thousand.VILLAGES[n] for n in TREATED]
    assert set(told["controls"]).isdisjoint(told["treated"])
    assert told["low"] < -0.789 < told["high"] < -0.5 and told["p"] < 0.01
    assert abs(told["control_change"]) < 0.3 and told["treated_change"] < -0.6
    assert len(told["days"]["treated"]) == (told["last"] - told["first"]).days + 1
    assert sum(told["days"]["treated"][-14:]) == pytest.approx(14 * told["treated_after"])
