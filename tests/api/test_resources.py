"""Resources over HTTP: given once or again, listed, their status and leave, withdrawn."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from gis import datum
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST

URL = "/api/v1/resources"
LEAD = {"source": "roster", "kind": "grid_lead", "name": "第1网格 网格长", "area": GRIDS[0]}


def give(client: TestClient, number: str, status: int = 201, **facts: Any) -> dict[str, Any]:
    answer = client.post(URL, json={**LEAD, "external_id": number, **facts})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def listed(client: TestClient, **query: Any) -> list[int]:
    answer = client.get(URL, params=query)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["resources"]]


def refused(answer: Any, status: int, name: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    told = dict(answer.json())
    assert told["type"] == f"/problems/{name}"
    return told


def test_a_resource_is_given_and_read(client: TestClient) -> None:
    lon, lat = WEST + 0.2 * STEP, SOUTH + 0.2 * STEP
    x, y = (float(v) for v in datum.from_wgs84(lon, lat, "gcj02"))
    made = give(
        client, "whole", kind="调解员", skills=["劳动争议"], lon=x, lat=y, datum="gcj02", area=None,
        areas=[VILLAGES[0], "beats:B1"], shift="day", mode="moped", capacity=2,
        attributes={"phone": "extension 7"},
    )  # fmt: skip
    assert made["outcome"] == "created"
    assert made["kind"] == {
        "name": "mediator", "title": "调解员", "title_en": "Mediator", "form": "person",
    }  # fmt: skip
    assert made["skills"] == ["labour"]
    assert made["home"]["lon"] == pytest.approx(lon, abs=1e-6)
    assert made["home"]["area"] == {"layer": "grid", "code": GRIDS[0]}
    assert made["answers_for"] == [
        {"layer": "beats", "code": "B1"}, {"layer": "village", "code": VILLAGES[0]},
    ]  # fmt: skip
    assert (made["state"], made["load"], made["position"], made["leave"]) == ("free", 0, None, [])
    read = client.get(made["href"])
    assert read.headers["cache-control"] == "no-store"
    assert {**read.json(), "outcome": "created"} == made


def test_the_same_again_changes_nothing_and_another_word_changes_it(client: TestClient) -> None:
    first = give(client, "twice")
    assert give(client, "twice", 200)["outcome"] == "unchanged"
    again = give(client, "twice", 200, name="other")
    assert (again["id"], again["outcome"], again["name"]) == (first["id"], "changed", "other")
    assert give(client, "twice", source="other roster")["id"] != first["id"]


@pytest.mark.parametrize(
    ("facts", "name", "field"),
    [
        ({"kind": "cook"}, "resource-invalid", "kind"),
        ({"skills": ["juggling"]}, "resource-invalid", "skills"),
        ({"organisation": "moon"}, "resource-invalid", "organisation"),
        ({"shift": "never"}, "resource-invalid", "shift"),
        ({"mode": "rocket"}, "resource-invalid", "mode"),
        ({"area": "999"}, "resource-invalid", "area"),
        ({"area": None}, "home-missing", "home"),
        ({"area": None, "address": "nowhere"}, "home-missing", "home"),
        ({"lon": 113.1, "lat": 23.0}, "datum-unknown", "datum"),
        ({"lon": 23.0, "lat": 113.1, "datum": "wgs84"}, "swapped", "lon, lat"),
        ({"lon": 113.1}, "validation", None),
        ({"capacity": 0}, "validation", "capacity"),
        ({"colour": "red"}, "validation", "colour"),
    ],
)
def test_what_cannot_be_is_a_problem_with_its_field(
    client: TestClient, facts: dict[str, Any], name: str, field: str | None
) -> None:
    answer = client.post(URL, json={**LEAD, "external_id": "bad", **facts})
    told = refused(answer, 422, name)
    assert told.get("field") == field
    assert len(told["detail"]) > 20


def test_lists_by_area_kind_state_skill_organisation_and_box(client: TestClient) -> None:
    east = {"area": GRIDS[5], "skills": ["family"], "kind": "volunteer", "source": "list"}
    far = give(client, "far", **east)["id"]
    for query in (
        {"area": GRIDS[5]},
        {"area": VILLAGES[1], "layer": "village"},
        {"kind": "志愿者"},
        {"skill": "Marriage and family"},
        {"bbox": f"{WEST + 3 * STEP},{SOUTH},{WEST + 4 * STEP},{SOUTH + STEP}"},
        {"kind": "volunteer", "area": "440600000000", "state": "free", "skill": "family"},
    ):
        assert listed(client, **query) == [far], query
    assert listed(client, kind="volunteer", state="on_scene") == []
    for query, name in (
        ({"area": "1"}, "resource-invalid"), ({"kind": "cook"}, "resource-invalid"),
        ({"state": "asleep"}, "validation"), ({"bbox": "1,2,3"}, "validation"),
        ({"colour": "red"}, "validation"),
    ):  # fmt: skip
        refused(client.get(URL, params=query), 422, name)


def test_pages_lead_on_and_keep_the_question(client: TestClient) -> None:
    made = [give(client, f"page {n}", kind="lawyer")["id"] for n in range(5)]
    seen, url = [], f"{URL}?kind=律师&limit=2&withdrawn=true"
    while url:
        page = client.get(url).json()
        seen += [each["id"] for each in page["resources"]]
        url = page["next"]
    assert seen == made


def test_status_leave_and_withdrawal(client: TestClient) -> None:
    url = give(client, "life")["href"]
    busy = client.patch(url, json={"status": "busy", "actor": "dispatcher"})
    assert busy.status_code == 200 and busy.json()["state"] == "busy"
    refused(client.patch(url, json={"status": "asleep"}), 422, "validation")
    leave = {"from": "2026-01-01T00:00:00+08:00", "reason": "ill"}
    for _ in range(2):
        away = client.post(f"{url}/leave", json=leave)
        assert away.status_code == 201
        (told,) = away.json()["leave"]
        assert (told["reason"], told["until"]) == ("ill", None)
    early = {**leave, "until": "2025-01-01T00:00:00+08:00"}
    assert refused(client.post(f"{url}/leave", json=early), 422, "resource-invalid")
    assert client.delete(f"{url}/leave/{told['id']}").json()["leave"] == []
    refused(client.delete(f"{url}/leave/{told['id'] + 999}"), 404, "leave-unknown")
    gone = client.delete(url)
    assert gone.status_code == 200 and gone.json()["withdrawn"]
    refused(client.patch(url, json={"status": "off"}), 409, "resource-withdrawn")
    assert give(client, "life", 200)["withdrawn"] is None
    for method in ("get", "delete"):
        refused(getattr(client, method)(f"{URL}/999999"), 404, "resource-unknown")


def test_whoever_has_tasks_is_not_withdrawn_and_the_last_position_is_shown_with_its_age(
    client: TestClient, town: str
) -> None:
    made = give(client, "sent")
    engine = create_engine(town)
    with engine.begin() as connection:
        asked = {"id": made["id"]}
        connection.execute(text("UPDATE resource SET load = 1 WHERE id = :id"), asked)
        connection.execute(
            text(
                "INSERT INTO position (resource_id, at, geom, accuracy_m) VALUES"
                " (:id, now() - interval '5 minutes', 'SRID=4326;POINT(113.1 23)', 8)"
            ),
            asked,
        )
    engine.dispose()
    told = refused(client.delete(made["href"]), 409, "resource-busy")
    assert "1 task under way" in told["detail"]
    seen = client.get(made["href"]).json()["position"]
    assert (seen["lon"], seen["lat"], seen["accuracy_m"]) == (113.1, 23, 8)
    assert 299 < seen["age_s"] < 400


def test_the_catalogue_lists_what_can_be_named(client: TestClient) -> None:
    told = client.get("/api/v1/catalogue").json()
    assert {"name": "labour", "title": "劳动争议", "title_en": "Labour disputes"} in told["skills"]
    office = next(shift for shift in told["shifts"] if shift["name"] == "office")
    assert office["minutes"][:2] == [[510, 720], [840, 1050]]
    assert {kind["form"] for kind in told["kinds"]} == {"person", "team", "vehicle", "facility"}
