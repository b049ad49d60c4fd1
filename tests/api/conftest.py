"""The application on a real PostGIS that holds a small town: two villages of four grids each."""

from collections.abc import Callable, Iterator
from typing import Any

import geopandas as gpd
import pytest
import shapely
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text

from api.main import create_app
from data import addresses, areas
from tests.doors import HEADERS

WEST, SOUTH, STEP = 113.10, 23.00, 0.005
VILLAGES = ("440604010001", "440604010002")
GRIDS = [f"{village}{serial:03}" for village in VILLAGES for serial in range(1, 5)]
SCHOOL = "440604010001005"


def cell(column: float, row: float, wide: float = 1.0) -> shapely.Polygon:
    west, south = WEST + column * STEP, SOUTH + row * STEP
    return shapely.box(west, south, west + wide * STEP, south + wide * STEP)


def frame(**columns: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry="geometry", crs=4326)


def grids() -> gpd.GeoDataFrame:
    """Columns 0 and 1 are the first village's, with the school; 2 and 3 the second's."""
    shapes = [cell(column + 2 * v, row) for v in (0, 1) for row in (0, 1) for column in (0, 1)]
    return frame(
        code=[*GRIDS, SCHOOL],
        name=[f"第{n}网格" for n in range(1, 9)] + ["学校"],
        parent=[code[:12] for code in GRIDS] + [VILLAGES[0]],
        kind=["basic"] * 8 + ["dedicated"],
        geometry=[*shapes, cell(0.4, 0.4, 0.2)],
    )


def build(engine: Engine) -> None:
    """Load the town."""
    shapes = grids().geometry.to_numpy()[:8]
    halves = [shapely.union_all(shapes[:4]), shapely.union_all(shapes[4:])]
    whole = [shapely.union_all(shapes)]
    with areas.change(engine, "import", "test") as change:
        for layer, code, name, parent in (
            ("city", "440600000000", "佛山市", None),
            ("district", "440604000000", "禅城区", "440600000000"),
            ("town", "440604010000", "石湾镇街道", "440604000000"),
        ):
            areas.record(
                change, layer, frame(code=[code], name=[name], parent=[parent], geometry=whole)
            )
        areas.record(
            change,
            "village",
            frame(
                code=VILLAGES,
                name=["澜石社区", "番村社区"],
                parent=["440604010000"] * 2,
                geometry=halves,
            ),
        )
        areas.record(change, "grid", grids())
        areas.ensure_layer(change.connection, "beats", title="警务责任区", title_en="Police beats")
        areas.record(change, "beats", frame(code=["B1"], name=["一区"], geometry=whole))
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO source (name, datum, accuracy_m) VALUES ('gaode', 'gcj02', 5)")
        )
        addresses.add(
            connection,
            [
                ("佛山市禅城区魁奇东路88号", WEST + 0.5 * STEP, SOUTH + 1.5 * STEP),
                ("佛山市禅城区季华五路10号", WEST + 2.5 * STEP, SOUTH + 0.5 * STEP),
            ],
            "test",
        )
        connection.execute(text("UPDATE address SET recorded = now() - interval '1 day'"))


@pytest.fixture(scope="module")
def town(database_url: str) -> str:
    """URL of a database with the town; the tests of one file share it."""
    engine = create_engine(database_url)
    build(engine)
    engine.dispose()
    return database_url


@pytest.fixture(scope="module")
def client(town: str) -> Iterator[TestClient]:
    """A client of the application on that database."""
    app = create_app(town)
    with TestClient(app, raise_server_exceptions=False, headers=HEADERS) as opened:
        yield opened


@pytest.fixture
def locate(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Ask `/locate`; by default in WGS 84."""

    def ask(column: float, row: float, **query: Any) -> dict[str, Any]:
        lon, lat = WEST + column * STEP, SOUTH + row * STEP
        answer = client.get(
            "/api/v1/locate", params={"lon": lon, "lat": lat, "datum": "wgs84", **query}
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    return ask
