"""Risk assessments over HTTP: drawn, decided on, listed, and as GeoJSON."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from api import examples
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST
from tests.api.test_service import problem

URL = "/api/v1/assessments"


def ring(*corners: tuple[float, float]) -> list[list[float]]:
    return [[WEST + column * STEP, SOUTH + row * STEP] for column, row in [*corners, corners[0]]]


def body(*corners: tuple[float, float], **more: Any) -> dict[str, Any]:
    drawn = {"type": "Polygon", "coordinates": [ring(*corners)]}
    return {"title": "拓宽工程", "geometry": drawn, **more}


SQUARE = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))


@pytest.fixture(scope="module")
def drafted(client: TestClient) -> dict[str, Any]:
    answer = client.post(URL, json=body(*SQUARE))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_draft_has_its_profile(client: TestClient, drafted: dict[str, Any]) -> None:
    assert drafted["level"] is None and drafted["notes"] == []
    assert drafted["profile"]["grids"][0]["code"] == GRIDS[0]
    assert drafted["profile"]["grids"][0]["share"] == pytest.approx(0.64, abs=1e-3)
    assert client.get(drafted["href"]).json() == drafted


def test_a_decision_is_kept_and_found_again(client: TestClient, drafted: dict[str, Any]) -> None:
    url = f"{drafted['href']}/decision"
    for example in examples.of("decision_request").values():
        decided = client.put(url, json=example["value"])
        assert decided.status_code == 200, decided.text
    assert (decided.json()["level"], decided.json()["review"]) == ("medium", "2026-09-01")
    assert len(decided.json()["decisions"]) == 1

    def found(**query: Any) -> list[int]:
        answer = client.get(URL, params=query)
        return [each["id"] for each in answer.json()["assessments"]]

    assert drafted["id"] in found(level="medium", decided=True, area=GRIDS[0])
    assert drafted["id"] in found(review_by="2026-09-01")
    assert found(review_by="2026-08-31") == []
    assert drafted["id"] not in found(area=GRIDS[7])
    problem(client.put(f"{URL}/999999/decision", json=example["value"]), 404, "assessment-unknown")
    problem(client.put(url, json=example["value"] | {"level": "none"}), 422, "validation")


def test_it_is_geojson_on_demand(client: TestClient, drafted: dict[str, Any]) -> None:
    one = client.get(drafted["href"], params={"f": "geojson"})
    assert one.headers["content-type"] == "application/geo+json"
    assert one.json()["geometry"] == drafted["geometry"]
    assert one.json()["properties"]["profile"] == drafted["profile"]
    all_of_them = client.get(URL, params={"f": "geojson"}).json()
    assert all_of_them["features"][0]["geometry"]["type"] == "MultiPolygon"


def test_drawings_are_mended_or_refused_with_words(client: TestClient) -> None:
    bow = client.post(URL, json=body((0.1, 0.1), (0.9, 0.9), (0.9, 0.1), (0.1, 0.9)))
    assert bow.status_code == 201
    assert "crossed itself" in bow.json()["notes"][0]
    problem(client.post(URL, json=body(*((c + 400, r) for c, r in SQUARE))), 422, "drawing-refused")
    line = body((0.1, 0.1), (0.5, 0.5), (0.9, 0.9))
    problem(client.post(URL, json=line), 422, "drawing-refused")
    problem(client.post(URL, json=body(*SQUARE, datum="moon")), 422, "datum-unsupported")
    for geometry in ({}, {"type": "Polygon", "coordinates": "x"}, {"type": "Point"}):
        sent = client.post(URL, json={"title": "x", "geometry": geometry})
        problem(sent, 422, "drawing-refused")
    many = [(0.1 + n * 5e-6, 0.1) for n in range(100_001)] + [(0.9, 0.9)]
    told = problem(client.post(URL, json=body(*many)), 422, "drawing-refused")
    assert "100,000 vertices" in told["detail"]


def test_examples_of_requests_are_understood(client: TestClient) -> None:
    for example in examples.of("assessment_request").values():
        assert client.post(URL, json=example["value"]).status_code == 201
