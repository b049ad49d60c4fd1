"""Analyses over HTTP: asked for, worked out by a worker, shown on a page and as tables."""

import asyncio
import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from multiprocessing import active_children
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text

from api.main import create_app
from api.worker import Analyst, Beside
from data import accounts, reports
from data.analyses import kept, work, workload
from data.analyses.selection import Selection
from data.reports import NewReport
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST, build
from tests.doors import HEADERS

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
WEEK = {"from": "2026-03-02", "to": "2026-03-08"}
AT_ONCE = {"Prefer": "wait=0"}


@pytest.fixture(scope="module")
def engine(database_url: str) -> Iterator[Engine]:
    made = create_engine(database_url)
    build(made)
    with made.begin() as connection:
        for n in range(6):
            where = {"x": WEST + (0.2 + 0.6 * n) * STEP, "y": SOUTH + 0.5 * STEP, "datum": "wgs84"}
            new = NewReport(
                "test", str(n), occurred=NOON + timedelta(hours=n), kind="噪音", **where
            )
            reports.submit(connection, new)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def client(engine: Engine, database_url: str) -> Iterator[TestClient]:
    with TestClient(create_app(database_url), headers=HEADERS | AT_ONCE) as opened:
        yield opened


def get(client: TestClient, engine: Engine, name: str = "workload", **query: Any) -> Any:
    """The answer, once it is worked out."""
    path = f"/api/v1/analytics/{name}"
    client.get(path, params=WEEK | query)
    work.perform_all(engine)
    answer = client.get(path, params=WEEK | query)
    assert answer.status_code == 200, answer.text
    return answer


def test_what_is_not_worked_out_yet_says_how_far_it_is(client: TestClient) -> None:
    asked = WEEK | {"hour": 3}
    first = client.get("/api/v1/analytics/workload", params=asked)
    assert first.status_code == 202 and first.headers["retry-after"] == "1"
    assert first.json() == {**first.json(), "state": "todo", "share": 0}
    again = client.get("/api/v1/analytics/workload", params=asked)
    assert again.json()["analysis"] == first.json()["analysis"]
    page = client.get("/maps/workload", params=asked)
    assert page.status_code == 202 and page.headers["refresh"] == "1"
    assert "正在计算" in page.text


def test_a_worker_works_it_out_while_the_caller_waits(
    client: TestClient, database_url: str
) -> None:
    worker = Beside(database_url)
    worker.start()
    try:
        patient = {"Prefer": "wait=30"}
        answer = client.get(
            "/api/v1/analytics/workload", params=WEEK | {"weekday": [1, 2]}, headers=patient
        )
    finally:
        worker.stop()
    assert answer.status_code == 200 and answer.json()["reports"] == 6


def test_an_analysis_outlives_the_death_of_its_process(engine: Engine, database_url: str) -> None:
    def asked(hour: int) -> int:
        selection = Selection(date(2026, 3, 2), date(2026, 3, 8), hours=(hour,))
        with engine.begin() as connection:
            return kept.ask(connection, workload.question(selection, None))

    async def twice() -> None:
        analyst = Analyst(database_url)
        await analyst.work(asked(1))
        for process in active_children():
            process.kill()
            process.join()
        await analyst.work(asked(2))
        analyst.close()

    asyncio.run(twice())
    with engine.begin() as connection:
        row = kept.state(connection, asked(2))
    assert row is not None and row["state"] == "done"


def test_the_figures_as_data_and_as_tables(client: TestClient, engine: Engine) -> None:
    answer = get(client, engine).json()
    loads = dict(zip(answer["grids"]["code"], answer["grids"]["incidents"], strict=True))
    assert [loads[code] for code in GRIDS] == [2, 1, 0, 0, 2, 1, 0, 0]
    assert answer["spread"]["incidents"]["gini"] == pytest.approx(0.5833, abs=1e-4)
    table = get(client, engine, format="csv")
    lines = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert {line["code"]: int(line["incidents"]) for line in lines} == loads
    shapes = get(client, engine, format="geojson").json()["features"]
    assert [s["properties"]["incidents"] for s in shapes] == list(loads.values())
    assert all(s["geometry"]["type"] == "Polygon" for s in shapes)
    assert get(client, engine, format="xlsx").content[:2] == b"PK"


def test_the_page_shows_them_in_both_languages(client: TestClient, engine: Engine) -> None:
    get(client, engine)
    page = client.get("/maps/workload", params=WEEK)
    assert page.status_code == 200 and "网格负荷" in page.text and "共 6 件上报" in page.text
    assert (
        "Workload of the grids" in client.get("/maps/workload", params=WEEK | {"lang": "en"}).text
    )


def test_a_period_without_reports_is_a_page_that_leads_to_the_newest(
    client: TestClient, engine: Engine
) -> None:
    empty = {"from": "2030-01-01", "to": "2030-01-07"}
    get(client, engine, **empty)
    page = client.get("/maps/workload", params=empty)
    assert page.status_code == 200
    assert "这个时段没有上报" in page.text and "to=2026-03-02" in page.text


@pytest.mark.parametrize(
    ("query", "status", "type_"),
    [
        ({"from": "2026-03-09", "to": "2026-03-08"}, 422, "period-wrong"),
        ({"from": "1990-01-01"}, 422, "period-wrong"),
        ({"area": "999"}, 404, "area-unknown"),
        ({"hour": 24}, 422, "validation"),
        ({"weekday": 0}, 422, "validation"),
        ({"colour": "red"}, 422, "validation"),
        ({"format": "pdf"}, 422, "validation"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    client: TestClient, query: dict[str, Any], status: int, type_: str
) -> None:
    answer = client.get("/api/v1/analytics/workload", params=WEEK | query)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{type_}")


def test_whoever_may_see_a_village_sees_that_village(client: TestClient, engine: Engine) -> None:
    secret = "a token of a village"
    with engine.begin() as connection:
        village = connection.execute(
            text("SELECT id FROM area WHERE code = :code"), {"code": VILLAGES[0]}
        ).scalar_one()
        accounts.add_token(
            connection, "village", ("analysis.read",), actor="test", secret=secret, area_id=village
        )
    own = {"Authorization": f"Bearer {secret}", **AT_ONCE}
    path = "/api/v1/analytics/workload"
    client.get(path, params=WEEK, headers=own)
    work.perform_all(engine)
    answer = client.get(path, params=WEEK, headers=own)
    assert answer.json()["selection"]["area"] == VILLAGES[0]
    assert sum(answer.json()["grids"]["incidents"]) == 3
    for area, status in ((GRIDS[0], 202), (VILLAGES[1], 403), ("440604010000", 403)):
        assert client.get(path, params=WEEK | {"area": area}, headers=own).status_code == status
