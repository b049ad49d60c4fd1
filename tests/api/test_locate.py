"""`/locate`: what it finds, what it refuses, and that an answer can always be given again."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import shapely
from fastapi.testclient import TestClient
from sqlalchemy import create_engine

from data import areas
from gis import datum
from tests.api.conftest import GRIDS, SCHOOL, SOUTH, STEP, WEST, frame, grids

Ask = Callable[..., dict[str, Any]]
LON, LAT = WEST + 0.5 * STEP, SOUTH + 1.5 * STEP  # in the middle of the third grid
URL = "/api/v1/locate"


def refused(client: TestClient, status: int = 422, **query: Any) -> dict[str, Any]:
    response = client.get(URL, params=query)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return dict(response.json())


def test_a_position_finds_its_grid_and_the_areas_above(locate: Ask) -> None:
    answer = locate(2.5, 0.5)
    assert answer["found"] == "inside"
    assert answer["area"]["code"] == GRIDS[4]
    assert [link["layer"] for link in answer["chain"]] == ["village", "town", "district", "city"]
    assert [overlay["code"] for overlay in answer["overlays"]] == ["B1"]
    assert not answer["ambiguous"]
    assert answer["notes"] == ["The accuracy was not named; 20 m is supposed."]


def test_a_position_on_a_border_lists_both_sides_with_their_shares(locate: Ask) -> None:
    answer = locate(1.0, 0.1)
    assert answer["found"] == "on_border"
    assert answer["ambiguous"]
    assert {a["code"] for a in answer["alternatives"]} == {GRIDS[0], GRIDS[1]}
    assert sum(a["share"] for a in answer["alternatives"]) == pytest.approx(1, abs=1e-3)


def test_a_dedicated_grid_wins_inside_its_polygon(locate: Ask) -> None:
    assert locate(0.5, 0.5, accuracy=5)["area"]["code"] == SCHOOL


def test_outside_it_snaps_and_far_outside_it_finds_none(locate: Ask) -> None:
    near, far = locate(-0.1, 0.5), locate(-40, 0.5)
    assert (near["found"], near["area"]["code"]) == ("snapped", GRIDS[0])
    assert (far["found"], far["area"], far["service_boundary"]) == ("none", None, None)


@pytest.mark.parametrize("name", ["gcj02", "bd09", "cgcs2000", "EPSG:4547"])
def test_every_datum_leads_to_the_same_grid(client: TestClient, name: str) -> None:
    x, y = datum.from_wgs84(LON, LAT, name)
    answer = client.get(URL, params={"lon": float(x), "lat": float(y), "datum": name}).json()
    assert answer["area"]["code"] == GRIDS[2]
    assert answer["point"]["lon"] == pytest.approx(LON, abs=1e-6)
    assert answer["point"]["received"] == {"lon": float(x), "lat": float(y), "datum": name}


def test_a_source_gives_its_datum_and_accuracy(client: TestClient) -> None:
    x, y = (float(v) for v in datum.from_wgs84(LON, LAT, "gcj02"))
    answer = client.get(URL, params={"lon": x, "lat": y, "source": "gaode"}).json()
    assert answer["area"]["code"] == GRIDS[2]
    assert answer["point"]["accuracy_m"] == 5
    assert "default" in answer["notes"][0]


@pytest.mark.parametrize("source", [{}, {"source": "nobody"}])
def test_an_unknown_datum_is_not_guessed(client: TestClient, source: dict[str, str]) -> None:
    problem = refused(client, lon=LON + STEP, lat=LAT, **source)
    assert problem["type"] == "/problems/datum-unknown"
    assert problem["field"] == "datum"
    assert problem["would_be"]["wgs84"] == GRIDS[3]
    assert set(problem["would_be"]) == {"wgs84", "gcj02", "bd09"}
    assert problem["would_be"]["gcj02"] != GRIDS[3]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"lon": LAT, "lat": LON, "datum": "wgs84"}, "swapped"),
        ({"lon": LAT, "lat": LON}, "swapped"),
        ({"lon": 0, "lat": 0, "datum": "gcj02"}, "null-island"),
        ({"lon": 12590234, "lat": 2632019, "datum": "wgs84"}, "metres"),
        ({"lon": LON, "lat": LAT, "datum": "EPSG:4547"}, "degrees"),
        ({"lon": 1e308, "lat": -1e308, "datum": "wgs84"}, "out-of-range"),
        ({"lon": -0.1278, "lat": 51.5, "datum": "gcj02"}, "wrong-datum"),
        ({"lon": LON, "lat": LAT, "datum": "mars2"}, "datum-unsupported"),
        ({"lon": LON, "lat": LAT, "datum": "EPSG:4610"}, "datum-unsupported"),
        ({}, "position-missing"),
    ],
)  # fmt: skip
def test_a_position_that_cannot_be_right_is_named(
    client: TestClient, query: dict[str, Any], name: str
) -> None:
    problem = refused(client, **query)
    assert problem["type"] == f"/problems/{name}"
    assert problem["detail"].endswith(".")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"lon": "nan", "lat": 23}, "lon"),
        ({"lon": "113,1", "lat": 23}, "lon"),
        ({"lon": 113, "lat": "inf"}, "lat"),
        ({"lon": 113}, None),
        ({"lon": LON, "lat": LAT, "datun": "wgs84"}, "datun"),
        ({"lon": LON, "lat": LAT, "accuracy": 0}, "accuracy"),
        ({"lon": LON, "lat": LAT, "accuracy": 1e9}, "accuracy"),
        ({"lon": LON, "lat": LAT, "at": "2026-03-02T08:30:00"}, "at"),
        ({"lon": LON, "lat": LAT, "at": "2026-02-30T08:30:00Z"}, "at"),
        ({"lon": LON, "lat": LAT, "at": "02/03/2026"}, "at"),
        ({"lon": LON, "lat": LAT, "at": "1700000000"}, "at"),
        ({"lon": LON, "lat": LAT, "at": "9999-12-31T23:59:59Z"}, "at"),
        ({"lon": LON, "lat": LAT, "known": "2150-01-01T00:00:00Z"}, "known"),
        ({"address": "x" * 501}, "address"),
        ({"address": "a\0b"}, "address"),
        ({"lon": LON, "lat": LAT, "datum": "wgs84", "layer": "a\0"}, "layer"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(
    client: TestClient, query: dict[str, Any], field: str | None
) -> None:
    problem = refused(client, **query)
    assert problem["type"] == "/problems/validation"
    assert problem.get("field") == field


def test_a_layer_that_is_not_there_lists_those_that_are(client: TestClient) -> None:
    problem = refused(client, 404, lon=LON, lat=LAT, datum="wgs84", layer="'; drop table area--")
    assert problem["type"] == "/problems/layer-unknown"
    assert "beats" in problem["detail"]


def test_an_overlay_can_be_asked_for(locate: Ask) -> None:
    answer = locate(0.5, 1.5, layer="beats")
    assert (answer["area"]["code"], answer["chain"]) == ("B1", [])


def test_a_zone_whose_plus_was_lost_in_the_address_is_understood(client: TestClient) -> None:
    answer = client.get(f"{URL}?lon={LON}&lat={LAT}&datum=wgs84&at=2026-03-02T08:30:00+08:00")
    assert answer.json()["at"] == "2026-03-02T00:30:00Z"


# --- addresses --------------------------------------------------------------------------------


def test_an_address_alone_gives_candidates_with_scores(client: TestClient) -> None:
    answer = client.get(URL, params={"address": "魁奇东路８８号"}).json()
    assert (answer["found"], answer["area"]["code"]) == ("address", GRIDS[2])
    best = answer["candidates"][0]
    assert best["score"] > 0.9
    assert best["answer"]["area"]["code"] == GRIDS[2]


def test_an_address_that_nobody_knows_finds_none(client: TestClient) -> None:
    answer = client.get(URL, params={"address": "Nowhere 12345"}).json()
    assert (answer["found"], answer["point"], answer["candidates"]) == ("none", None, [])
    assert "gazetteer" in answer["notes"][0]


def test_text_that_looks_like_a_statement_is_only_text(client: TestClient) -> None:
    for text in ("'; DROP TABLE report; --", "<script>alert(1)</script>", "%' OR 1=1", ":name"):
        assert client.get(URL, params={"address": text}).status_code == 200
    assert client.get("/api/v1/health").status_code == 200


# --- keeping answers --------------------------------------------------------------------------


def test_an_answer_says_how_long_it_may_be_kept(client: TestClient) -> None:
    asked = {"lon": LON, "lat": LAT, "datum": "wgs84"}
    first = client.get(URL, params=asked)
    expires = datetime.fromisoformat(first.json()["expires"])
    assert abs(parsedate_to_datetime(first.headers["expires"]) - expires) < timedelta(seconds=1)
    assert first.headers["cache-control"].startswith("private, max-age=863")
    again = client.get(URL, params=asked, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(URL, params=asked | {"lon": LON + STEP})
    assert other.headers["etag"] != first.headers["etag"]


def test_an_answer_for_two_moments_may_be_kept_for_ever(client: TestClient, locate: Ask) -> None:
    now = locate(0.5, 1.5)
    asked = {"lon": LON, "lat": LAT, "datum": "wgs84", "at": now["at"], "known": now["known"]}
    assert client.get(URL, params=asked).headers["cache-control"] == "private, max-age=31536000"


def test_after_a_redraw_every_earlier_answer_comes_back_byte_for_byte(
    client: TestClient, town: str
) -> None:
    questions: list[tuple[str, dict[str, Any]]] = [
        (URL, {"lon": WEST + column * STEP, "lat": SOUTH + row * STEP, "datum": "wgs84"})
        for column in (0.5, 1.0, 1.1, 2.0, -0.1, 30)
        for row in (0.1, 1.0, 1.5)
    ]
    questions += [
        (URL, {"address": "魁奇东路88号"}),
        ("/api/v1/areas/grid", {"f": "geojson"}),
        (f"/api/v1/areas/grid/{GRIDS[0]}", {"geometry": True}),
    ]
    before = [client.get(path, params=query) for path, query in questions]
    engine = create_engine(town)
    moved = grids().iloc[:2].copy()
    west, south = WEST, SOUTH
    split = west + 1.1 * STEP
    moved["geometry"] = [
        shapely.box(west, south, split, south + STEP),
        shapely.box(split, south, west + 2 * STEP, south + STEP),
    ]
    with areas.change(engine, "redraw", "the border moves east") as change:
        areas.record(change, "grid", frame(**{c: moved[c].tolist() for c in moved}),
                     valid_from=datetime.now(UTC) - timedelta(days=1))  # fmt: skip
    engine.dispose()
    between = {"lon": WEST + 1.05 * STEP, "lat": SOUTH + 0.5 * STEP, "datum": "wgs84"}
    assert client.get(URL, params=between).json()["area"]["code"] == GRIDS[0]
    for (path, query), earlier in zip(questions, before, strict=True):
        told = earlier.json()
        moments = {"at": told["at"], "known": told["known"]}
        assert client.get(path, params=query | moments).content == earlier.content
    # Yesterday's question by today's knowledge is another one, and so is the day before.
    long_ago = {"at": (datetime.now(UTC) - timedelta(days=2)).isoformat()}
    assert client.get(URL, params=between | long_ago).json()["area"]["code"] == GRIDS[1]
    history = client.get(f"/api/v1/grids/{GRIDS[1]}").json()
    assert len(history["versions"]) == 3
    assert history["versions"][-1]["recorded_until"] == history["versions"][0]["recorded_from"]
    assert [(r["code"], r["share"]) for r in history["lineage"]["to"]] == [
        (GRIDS[0], pytest.approx(0.1, abs=0.01))
    ]


def test_what_will_be_known_nobody_can_say_for_ever(client: TestClient) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=40)).isoformat()
    asked = {"lon": LON, "lat": LAT, "datum": "wgs84"}
    for query in (asked, {"address": "季华五路10号"}):
        answer = client.get(URL, params={**query, "at": soon, "known": soon})
        told = answer.json()
        assert datetime.fromisoformat(told["known"]) <= datetime.now(UTC)
        assert "max-age=86" in answer.headers["cache-control"]
        moments = {"at": told["at"], "known": told["known"]}
        again = client.get(URL, params=query | moments)
        assert again.content == answer.content
        assert "max-age=31536000" in again.headers["cache-control"]
    page = client.get("/api/v1/areas/grid", params={"known": soon}).json()
    assert datetime.fromisoformat(page["known"]) <= datetime.now(UTC)


@pytest.mark.parametrize("years", [-20, 20])
def test_an_answer_for_another_time_is_kept_no_longer(client: TestClient, years: int) -> None:
    at = (datetime.now(UTC) + timedelta(days=365 * years)).isoformat()
    told = client.get(URL, params={"lon": LON, "lat": LAT, "datum": "wgs84", "at": at}).json()
    kept = datetime.fromisoformat(told["expires"]) - datetime.fromisoformat(told["known"])
    assert kept == timedelta(days=1)


@pytest.mark.parametrize("lat", [90, -90, 89.9999999])
def test_the_poles_lie_in_no_grid(client: TestClient, lat: float) -> None:
    answer = client.get(URL, params={"lon": 0, "lat": lat, "datum": "wgs84"})
    assert answer.json()["found"] == "none"


# --- many -------------------------------------------------------------------------------------


def test_many_questions_get_the_answers_that_one_would(client: TestClient) -> None:
    questions = [
        {"lon": WEST + c / 10 * STEP, "lat": SOUTH + 0.7 * STEP, "datum": "wgs84"}
        for c in range(-5, 45)
    ]
    questions += [{"address": "季华五路10号"}, {"lon": LON, "lat": LAT, "source": "gaode"}]
    results = client.post(f"{URL}/batch", json=questions).json()["results"]
    assert len({(answer["at"], answer["known"]) for answer in results}) == 1
    for question, answer in zip(questions, results, strict=True):
        moments = {"at": answer["at"], "known": answer["known"]}
        assert client.get(URL, params=question | moments).json() == answer


def test_a_question_of_many_that_cannot_be_answered_spoils_no_other(client: TestClient) -> None:
    good = {"lon": LON, "lat": LAT, "datum": "wgs84"}
    bad: list[Any] = [
        {"lon": LON, "lat": LAT}, {"lon": LAT, "lat": LON, "datum": "wgs84"}, {"lon": "x"}, 3, None,
        [], {}, good | {"layer": "no"}, good | {"at": "2026-01-01"}, {"address": "a\0"},
    ]  # fmt: skip
    results = client.post(f"{URL}/batch", json=[good, *bad, good]).json()["results"]
    assert [result.get("found") for result in results] == ["inside"] + [None] * 10 + ["inside"]
    names = [result["problem"]["type"].removeprefix("/problems/") for result in results[1:-1]]
    assert names == [
        "datum-unknown", "swapped", "validation", "validation", "validation", "validation",
        "position-missing", "layer-unknown", "validation", "validation",
    ]  # fmt: skip


def test_more_than_ten_thousand_questions_are_too_many(client: TestClient) -> None:
    response = client.post(f"{URL}/batch", json=[{}] * 10_001)
    assert (response.status_code, response.json()["type"]) == (422, "/problems/validation")
    assert client.post(f"{URL}/batch", json=[]).json() == {"results": []}
