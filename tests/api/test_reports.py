"""Reports over HTTP: taken in once, kept as they came, waiting with a reason, confirmed."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from gis import datum
from tests.api.conftest import GRIDS, SOUTH, STEP, WEST

URL = "/api/v1/reports"
LON, LAT = WEST + 0.5 * STEP, SOUTH + 1.5 * STEP
PLACED = {"source": "12345", "lon": LON, "lat": LAT, "datum": "wgs84"}


def send(
    client: TestClient, body: Any, status: int = 201, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    sent = {"Content-Type": "application/json", **(headers or {})}
    response = client.post(URL, content=json.dumps(body), headers=sent)
    assert response.status_code == status, response.text
    return dict(response.json())


def test_a_report_is_kept_as_it_came_and_placed(client: TestClient) -> None:
    x, y = (float(v) for v in datum.from_wgs84(LON, LAT, "bd09"))
    body = {
        "source": "12345", "external_id": "whole", "lon": x, "lat": y, "datum": "bd09",
        "accuracy_m": 12.5, "address": "魁奇东路88号", "occurred": "2026-03-02T08:15:00+08:00",
        "kind": "噪音", "premises": "street", "description": "<b>'; DROP TABLE report; --</b>",
        "channel": "app", "attributes": {"photos": [1, 2.5, None, {"深": "网格"}], "n": 2**70},
    }  # fmt: skip
    response = client.post(URL, json=body)
    assert response.status_code == 201
    report = response.json()
    assert response.headers["location"] == f"{URL}/{report['id']}"
    assert report["position"] == {"lon": x, "lat": y, "datum": "bd09"}
    assert report["point"]["lon"] == pytest.approx(LON, abs=1e-7)
    assert report["placement"]["area"]["code"] == GRIDS[2]
    assert report["placement"]["at"] == report["occurred"] == "2026-03-02T00:15:00Z"
    assert report["triage"] is None
    same = ("external_id", "address", "kind", "premises", "description", "channel", "attributes")
    assert {name: report[name] for name in same} == {name: body[name] for name in same}
    read = client.get(response.headers["location"]).json()
    told = ("repeated", "dispatch", "follow")
    assert read | {name: report[name] for name in told} == report
    assert report["repeated"] is False


def test_the_same_report_again_changes_nothing(client: TestClient) -> None:
    first = send(client, PLACED | {"external_id": "twice", "kind": "a"})
    again = send(client, PLACED | {"external_id": "twice", "kind": "b"}, 200)
    assert again == first | {"repeated": True}
    other = send(client, PLACED | {"external_id": "twice", "source": "110"})
    assert other["id"] != first["id"]


def test_sixteen_at_once_leave_one_row(client: TestClient, town: str) -> None:
    body = PLACED | {"source": "new source", "external_id": "at once"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.post(URL, json=body), range(16)))
    assert sorted(a.status_code for a in answers) == [200] * 15 + [201]
    assert len({a.json()["id"] for a in answers}) == 1
    engine = create_engine(town)
    with engine.connect() as connection:
        asked = text("SELECT count(*) FROM report WHERE external_id = 'at once'")
        assert connection.execute(asked).scalar() == 1
    engine.dispose()


def test_the_idempotency_key_stands_in_for_a_missing_number(client: TestClient) -> None:
    key = {"Idempotency-Key": '"8e03978e-40d5"'}
    first = send(client, PLACED, headers=key)
    assert first["external_id"] == "8e03978e-40d5"
    assert send(client, PLACED, 200, headers=key)["id"] == first["id"]
    assert send(client, PLACED | {"external_id": "own"}, headers=key)["external_id"] == "own"
    assert UUID(send(client, PLACED)["external_id"])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"lon": LON, "lat": LAT}, "unknown_datum"),
        ({"lon": 100.0, "lat": 30.0, "datum": "wgs84"}, "outside"),
        ({}, "no_place"),
        ({"address": "Nowhere 12345"}, "address_unknown"),
    ],
)
def test_what_has_no_area_waits_with_the_reason(
    client: TestClient, body: dict[str, Any], reason: str
) -> None:
    report = send(client, {"source": "waits", **body})
    assert report["triage"]["reason"] == reason
    assert report["triage"]["what_to_do"].endswith(".")
    assert report["placement"]["method"] == "none"
    queue = client.get("/api/v1/triage", params={"reason": reason}).json()
    assert report["id"] in [waiting["id"] for waiting in queue["reports"]]
    assert queue["counts"][reason] >= 1


def test_an_address_alone_places_a_report(client: TestClient) -> None:
    report = send(client, {"source": "12345", "address": "佛山市禅城区季华五路10号"})
    assert (report["placement"]["method"], report["placement"]["area"]["code"]) == (
        "address", GRIDS[4],
    )  # fmt: skip
    assert report["position"] is None


def test_the_queue_goes_on_page_by_page(client: TestClient) -> None:
    sent = [send(client, {"source": "pages"})["id"] for _ in range(3)]
    seen: list[int] = []
    page = client.get("/api/v1/triage", params={"limit": 2}).json()
    while True:
        seen += [waiting["id"] for waiting in page["reports"]]
        if page["next"] is None:
            break
        page = client.get(page["next"]).json()
    assert set(sent) <= set(seen)
    assert seen == sorted(set(seen))
    assert len(seen) == sum(page["counts"].values())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"lon": LAT, "lat": LON}, "swapped"),
        ({"lon": 0, "lat": 0}, "null-island"),
        ({"lon": 500000, "lat": 2546000}, "metres"),
        ({"lon": 1e300, "lat": 23}, "out-of-range"),
        ({"lon": -0.1, "lat": 51.5, "datum": "gcj02"}, "wrong-datum"),
        ({"datum": "mars2"}, "datum-unsupported"),
        ({"layer": "no"}, "layer-unknown"),
    ],
)
def test_what_cannot_be_right_is_refused_and_not_stored(
    client: TestClient, change: dict[str, Any], name: str
) -> None:
    body = PLACED | {"external_id": f"refused {name}"}
    status = 404 if name == "layer-unknown" else 422
    problem = send(client, body | change, status)
    assert problem["type"] == f"/problems/{name}"
    assert problem["field"]
    assert send(client, body)["repeated"] is False


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lon": "113.1x"}, "lon"),
        ({"lat": None}, None),
        ({"source": ""}, "source"),
        ({"source": " \u3000"}, "source"),
        ({"lon": True}, "lon"),
        ({"lon": "1_13.1"}, "lon"),
        ({"external_id": "x" * 201}, "external_id"),
        ({"description": "a\0b"}, "description"),
        ({"description": "x" * 20_001}, "description"),
        ({"kind": "half \ud800"}, "kind"),
        ({"occurred": "2026-03-02 08:15"}, "occurred"),
        ({"occurred": "2026-13-01T00:00:00Z"}, "occurred"),
        ({"occurred": 1772410500}, "occurred"),
        ({"occurred": (datetime.now(UTC) + timedelta(days=30)).isoformat()}, "occurred"),
        ({"accuracy_m": -1}, "accuracy_m"),
        ({"attributes": {"a": {"b": "\0"}}}, "attributes"),
        ({"attributes": {"a": ["\ud800"]}}, "attributes"),
        ({"attributes": [1]}, "attributes"),
        ({"latitude": 23}, "latitude"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(
    client: TestClient, change: dict[str, Any], field: str | None
) -> None:
    problem = send(client, PLACED | change, 422)
    assert problem["type"] == "/problems/validation"
    assert problem.get("field") == field


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_json_that_is_none_says_nothing(client: TestClient, number: str) -> None:
    for body in (
        f'{{"source": "s", "lon": {number}, "lat": 23}}',
        f'{{"source": "s", "attributes": {{"a": [{number}]}}}}',
    ):
        response = client.post(URL, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 422
        assert response.json()["field"] in ("lon", "attributes")


def test_attributes_nested_without_end_are_refused(client: TestClient) -> None:
    deep: dict[str, Any] = {}
    for _ in range(30):
        deep = {"a": deep}
    assert "deep" in send(client, PLACED | {"attributes": deep}, 422)["detail"]


def test_a_person_decides_and_the_place_is_remembered(client: TestClient) -> None:
    waiting = send(client, {"source": "12345", "address": "新开路7号", "lon": LON, "lat": LAT})
    code = GRIDS[6]
    pin = {"lon": WEST + 2.5 * STEP, "lat": SOUTH + 1.5 * STEP, "datum": "wgs84"}
    where = f"{URL}/{waiting['id']}/confirm"
    assert client.post(where, json={"code": code, **pin, "datum": None}).status_code == 422
    done = client.post(where, json={"code": code, "reason": "seen", "actor": "d", **pin}).json()
    assert (done["placement"]["method"], done["placement"]["area"]["code"]) == ("confirmed", code)
    assert done["triage"] is None
    assert done["point"]["lon"] == pin["lon"]


def test_a_confirmation_speaks_once_and_for_the_next_report(
    client: TestClient, town: str, locate: Callable[..., dict[str, Any]]
) -> None:
    engine = create_engine(town)
    column, row = 3, 1.25  # on the border of two grids
    _, other = (each["code"] for each in locate(column, row)["alternatives"])
    place = {"lon": WEST + column * STEP, "lat": SOUTH + row * STEP, "datum": "wgs84"}
    where = f"{URL}/{send(client, {'source': '12345', **place})['id']}/confirm"

    def score(after: str) -> float:
        assert client.post(where, json={"code": after}).status_code == 200
        with engine.connect() as connection:  # it counts from a moment after it was stored
            connection.execute(text("SELECT pg_sleep_until(max(recorded)) FROM confirmation"))
        alternatives = locate(column, row)["alternatives"]
        assert alternatives[0]["code"] == after
        return float(alternatives[0]["score"])

    assert score(other) == score(other)  # a browser that sends it again is no second voice
    assert send(client, {"source": "12345", **place})["placement"]["area"]["code"] == other
    engine.dispose()


def test_a_confirmation_of_nothing_is_refused(client: TestClient) -> None:
    report = send(client, PLACED)
    where = f"{URL}/{report['id']}/confirm"
    assert client.post(where, json={"code": "999"}).json()["type"].endswith("/code-not-in-force")
    assert client.post(where, json={}).json()["field"] == "code"
    missing = client.post(f"{URL}/999999/confirm", json={"code": GRIDS[0]})
    assert (missing.status_code, missing.json()["type"]) == (404, "/problems/report-unknown")
    assert client.get(f"{URL}/999999").status_code == 404
    assert client.get(f"{URL}/{10**30}").status_code == 422
    assert client.get(f"{URL}/x").status_code == 422
    assert client.get(f"{URL}/{report['id']}").json()["placement"]["method"] == "inside"
