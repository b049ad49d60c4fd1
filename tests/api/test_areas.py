"""The map over HTTP: layers, pages of areas, versions, grids."""

import pytest
import shapely
from fastapi.testclient import TestClient

from tests.api.conftest import GRIDS, SCHOOL, SOUTH, STEP, VILLAGES, WEST, grids

URL = "/api/v1/areas"


def codes(client: TestClient, **query: object) -> list[str]:
    response = client.get(f"{URL}/grid", params=query)
    assert response.status_code == 200, response.text
    return [area["code"] for area in response.json()["areas"]]


def test_layers_are_listed_from_the_city_down(client: TestClient) -> None:
    layers = client.get(URL).json()["layers"]
    names = ["city", "district", "town", "village", "grid", "beats"]
    assert [layer["name"] for layer in layers] == names
    assert [layer["areas"] for layer in layers] == [1, 1, 1, 2, 9, 1]


def test_areas_are_chosen_by_parent_kind_name_and_box(client: TestClient) -> None:
    box = f"{WEST + 0.1 * STEP},{SOUTH + 1.1 * STEP},{WEST + 0.2 * STEP},{SOUTH + 1.2 * STEP}"
    assert codes(client) == sorted([*GRIDS, SCHOOL])
    assert codes(client, parent=VILLAGES[1]) == GRIDS[4:]
    assert codes(client, kind="dedicated") == [SCHOOL]
    assert codes(client, name="学") == [SCHOOL]
    assert codes(client, name="%") == []
    assert codes(client, bbox=box) == [GRIDS[2]]
    assert codes(client, at="1950-01-01T00:00:00Z") == sorted([*GRIDS, SCHOOL])
    assert codes(client, known="2020-01-01T00:00:00Z") == []


def test_pages_lead_on_and_hold_everything_once(client: TestClient) -> None:
    seen: list[str] = []
    page = client.get(f"{URL}/grid", params={"limit": 4, "geometry": True}).json()
    moments = page["at"], page["known"]
    while True:
        assert (page["at"], page["known"]) == moments
        assert all(area["geometry"]["type"] == "Polygon" for area in page["areas"])
        seen += [area["code"] for area in page["areas"]]
        if page["next"] is None:
            break
        page = client.get(page["next"]).json()
    assert seen == sorted([*GRIDS, SCHOOL])


def test_geojson_has_the_shapes(client: TestClient) -> None:
    response = client.get(f"{URL}/grid", params={"f": "geojson", "kind": "dedicated"})
    assert response.headers["content-type"] == "application/geo+json"
    (feature,) = response.json()["features"]
    assert feature["id"] == feature["properties"]["code"] == SCHOOL
    assert shapely.equals_exact(
        shapely.geometry.shape(feature["geometry"]).normalize(),
        grids().geometry.iloc[8].normalize(),
        tolerance=1e-7,
    )


@pytest.mark.parametrize(
    "bbox", ["1,2,3", "a,b,c,d", "2,1,1,2", "0,0,0,0", "nan,0,1,1", "113,23,200,24"]
)
def test_a_box_that_is_none_is_refused(client: TestClient, bbox: str) -> None:
    response = client.get(f"{URL}/grid", params={"bbox": bbox})
    assert (response.status_code, response.json()["field"]) == (422, "bbox")


def test_an_area_is_shown_with_its_chain(client: TestClient) -> None:
    area = client.get(f"{URL}/grid/{GRIDS[0]}").json()
    assert (area["parent_layer"], area["parent"]) == ("village", VILLAGES[0])
    assert [link["layer"] for link in area["chain"]] == ["village", "town", "district", "city"]
    assert area["area_m2"] == pytest.approx(283_839, rel=1e-3)
    assert "geometry" not in area


def test_the_boundary_that_an_answer_names_can_be_read_to_the_last_digit(
    client: TestClient,
) -> None:
    where = {"lon": WEST + 0.5 * STEP, "lat": SOUTH + 0.5 * STEP, "datum": "wgs84"}
    boundary = client.get("/api/v1/locate", params=where).json()["service_boundary"]
    response = client.get(boundary["href"])
    version = response.json()
    assert version["version_id"] == boundary["version"]
    assert version["recorded_from"] == boundary["last_updated"]
    assert (version["change"], version["recorded_until"]) == ("import", None)
    shape = shapely.geometry.shape(version["geometry"])
    assert shapely.equals_exact(
        shape.normalize(), grids().geometry.iloc[8].normalize(), tolerance=1e-12
    )
    tag = {"If-None-Match": response.headers["etag"]}
    assert client.get(boundary["href"], headers=tag).status_code == 304


def test_a_grid_is_shown_with_its_history(client: TestClient) -> None:
    grid = client.get(f"/api/v1/grids/{GRIDS[0]}", params={"geometry": True}).json()
    assert grid["current"]["code"] == grid["code"] == GRIDS[0]
    (version,) = grid["versions"]
    assert version["geometry"]["type"] == "Polygon"
    assert grid["lineage"] == {"from": [], "to": []}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/areas/no", "layer-unknown"),
        ("/areas/no/1", "layer-unknown"),
        ("/areas/grid/1", "area-unknown"),
        (f"/areas/grid/{GRIDS[0]}?known=2020-01-01T00:00:00Z", "area-unknown"),
        (f"/areas/grid/{GRIDS[0]}/versions/999999", "area-unknown"),
        ("/grids/'%20OR%201=1", "area-unknown"),
    ],
)
def test_what_is_not_there_is_named(client: TestClient, path: str, name: str) -> None:
    response = client.get(f"/api/v1{path}")
    assert (response.status_code, response.json()["type"]) == (404, f"/problems/{name}")
    assert client.get("/api/v1/areas/grid/a%00b").status_code == 422
