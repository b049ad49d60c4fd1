"""The indicators over HTTP: a small simulated year, its board, its figures and their rows."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import openpyxl
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from api.main import create_app
from data import accounts
from data.foshan import year
from data.indicators import prepared
from tests.data import thousand
from tests.doors import HEADERS

YEAR = {"from": "2023-01-01", "to": "2023-12-31"}
TOWN = "440604010000"


@pytest.fixture(scope="module")
def client(database_url: str) -> Iterator[TestClient]:
    engine = create_engine(database_url)
    thousand.build(engine)
    year.write(engine, 2023, scale=0.002)
    prepared.refresh_all(engine, "Asia/Shanghai")
    engine.dispose()
    with TestClient(create_app(database_url), headers=HEADERS) as opened:
        yield opened


def ask(client: TestClient, path: str, status: int = 200, **query: Any) -> dict[str, Any]:
    answer = client.get(f"/api/v1/indicators{path}", params=YEAR | query)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def test_definitions_say_what_they_count(client: TestClient) -> None:
    found = {d["name"]: d for d in client.get("/api/v1/indicators").json()["indicators"]}
    assert found["in_grid"]["title"] == {"zh": "入格率", "en": "In-grid rate"}
    assert found["closing"]["numerator"]["zh"] == "其中已办结的"
    assert "merged_into IS NULL" in found["closing"]["sql"]
    assert all(d["version"] == 1 and d["since"] for d in found.values())


def test_the_board_adds_up_over_the_towns(client: TestClient) -> None:
    board = ask(client, "/board")
    for name, total in board["total"].items():
        for part in ("numerator", "denominator"):
            in_towns = sum(line["figures"].get(name, {part: 0})[part] for line in board["lines"])
            assert in_towns == total[part], (name, part)
    assert board["total"]["closing"]["denominator"] == 2360
    assert [line["key"] and line["key"]["code"] for line in board["lines"]][-1] is None
    assert (
        board["total"]["closing"]["before"] is None
        or not board["total"]["closing"]["before"]["denominator"]
    )


def test_every_figure_opens_to_its_rows(client: TestClient) -> None:
    for name in ("closing", "in_grid", "active_grids", "flows", "resolution"):
        figure = ask(client, f"/{name}", area=TOWN)["figures"][0]
        for part in ("numerator", "denominator"):
            rows, next_ = [], f"/api/v1/indicators/{name}/rows"
            query: dict[str, Any] | None = YEAR | {"part": part, "area": TOWN, "limit": 1000}
            while next_:
                page = client.get(next_, params=query).json()
                rows += page["rows"]
                next_, query = page["next"], None
            assert sum(row[part] for row in rows) == figure[part], (name, part)
            assert len({row["id"] for row in rows}) == len(rows)
            assert all(row["area"].startswith(TOWN[:9]) for row in rows)
    case = ask(client, "/closing/rows", limit=1)["rows"][0]
    assert client.get(case["href"]).json()["number"] == case["id"]


def test_by_month_the_figures_are_those_of_each_month(client: TestClient) -> None:
    months = ask(client, "/closing", by="month")["figures"]
    assert [line["key"]["code"] for line in months][::11] == ["2023-01-01", "2023-12-01"]
    june = ask(client, "/closing", **{"from": "2023-06-01", "to": "2023-06-30"})["figures"][0]
    assert months[5]["numerator"] == june["numerator"]


def test_tables_hold_the_same_figures(client: TestClient) -> None:
    shown = ask(client, "/closing", by="kind")["figures"]
    query = YEAR | {"by": "kind", "format": "csv"}
    file = client.get("/api/v1/indicators/closing", params=query)
    assert file.headers["content-disposition"] == 'attachment; filename="closing.csv"'
    lines = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    assert [int(line["numerator"]) for line in lines] == [f["numerator"] for f in shown]
    book = client.get("/api/v1/indicators/closing", params=query | {"format": "xlsx"})
    sheet = openpyxl.load_workbook(io.BytesIO(book.content)).active
    assert [row[3] for row in sheet.iter_rows(min_row=2, values_only=True)] == [
        f["numerator"] for f in shown
    ]


@pytest.mark.parametrize(
    ("path", "query", "status", "type_"),
    [
        ("/nothing", {}, 404, "indicator-unknown"),
        ("/closing", {"version": 7}, 404, "indicator-unknown"),
        ("/closing", {"area": "999"}, 404, "area-unknown"),
        ("/closing", {"organisation": "nobody"}, 422, "organisation-unknown"),
        ("/closing", {"to": "2022-01-01"}, 422, "period-wrong"),
        ("/closing", {"by": "grid"}, 422, "breakdown-wrong"),
        ("/active_grids", {"by": "kind"}, 422, "breakdown-wrong"),
        ("/closing", {"by": "district", "area": TOWN}, 422, "breakdown-wrong"),
        ("/closing", {"by": "colour"}, 422, "validation"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    client: TestClient, path: str, query: dict[str, Any], status: int, type_: str
) -> None:
    assert ask(client, path, status, **query)["type"] == f"/problems/{type_}"


def test_whoever_is_granted_a_town_sees_that_town(client: TestClient, database_url: str) -> None:
    secret = "a token of a town"
    engine = create_engine(database_url)
    with engine.begin() as connection:
        town = connection.execute(
            text("SELECT id FROM area WHERE code = :code"), {"code": TOWN}
        ).scalar_one()
        accounts.add_token(
            connection, "town", ("indicator.read",), actor="test", secret=secret, area_id=town
        )
    engine.dispose()
    own = {"Authorization": f"Bearer {secret}"}
    for area, status in ((TOWN, 200), ("440604010001", 200), ("440605121000", 403), (None, 200)):
        query = YEAR | ({"area": area} if area else {})
        answer = client.get("/api/v1/indicators/closing", params=query, headers=own)
        assert answer.status_code == status, answer.text
    figures = answer.json()["figures"]
    assert figures == ask(client, "/closing", area=TOWN)["figures"]
    page = client.get("/board", params=YEAR, headers=own)
    assert TOWN in page.text


def test_the_page_shows_the_figures_and_escapes_what_it_is_given(client: TestClient) -> None:
    page = client.get("/board", params=YEAR)
    assert page.status_code == 200
    assert "入格率" in page.text and "94.9%" in page.text and "2,360" in page.text
    english = client.get("/board", params=YEAR | {"lang": "en", "kind": "<script>"}).text
    assert "Closing rate" in english and "<script>" not in english
