"""Collected records over HTTP: the list, the work-list, the in-grid rate, a person's word."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, text

from data import intake, record_lists
from data.record_intake import RecordOptions, RecordTarget
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST
from tests.api.test_service import problem

URL = "/api/v1/records"


def at(column: float, row: float) -> dict[str, str]:
    return {"lon": str(WEST + column * STEP), "lat": str(SOUTH + row * STEP)}


ROWS = [
    {"id": "in 1", **at(0.5, 1.5), "姓名": "某某", "手机": "13800001234", "层数": "3"},
    {"id": "in 5", **at(2.5, 0.5), "area": VILLAGES[1]},
    {"id": "edge", **at(1, 1.5), "area": VILLAGES[0]},
    {"id": "outside", "lon": "120", "lat": "30", "area": "440604010000"},
    {"id": "nowhere"},
]


@pytest.fixture(scope="module")
def database(town: str) -> Iterator[Engine]:
    engine = create_engine(town)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def numbers(database: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The numbers of `ROWS`, which are rental homes but for the last two, by what they are."""
    for name, kind, rows in (("homes", "rental", ROWS[:3]), ("firms", "firm", ROWS[3:])):
        path = tmp_path_factory.mktemp("records") / f"{name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            columns = ("id", "lon", "lat", "姓名", "手机", "层数", "area")
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        options = RecordOptions("collector", datum="wgs84", kind=kind)
        intake.run(database, path, options, target=RecordTarget)
    with database.connect() as connection:
        found = connection.execute(text("SELECT external_id, id FROM record"))
        return {row.external_id: row.id for row in found}


def listed(client: TestClient, **query: Any) -> set[str]:
    answer = client.get(URL, params=query)
    assert answer.status_code == 200, answer.text
    return {record["external_id"] for record in answer.json()["records"]}


def test_records_are_listed_by_area_kind_box_and_reason(
    client: TestClient, numbers: dict[str, int]
) -> None:
    assert listed(client) == set(numbers)
    assert listed(client, kind="出租屋") == {"in 1", "in 5", "edge"}
    assert listed(client, area=VILLAGES[0]) == {"in 1", "edge"}
    assert listed(client, area="440604010000") == {"in 1", "in 5", "edge", "outside"}
    west, south = WEST - STEP, SOUTH - STEP
    box = f"{west},{south},{WEST + 1.5 * STEP},{SOUTH + 2 * STEP}"
    assert listed(client, bbox=box) == {"in 1", "edge"}
    assert listed(client, bbox=box, area=VILLAGES[1]) == set()
    assert listed(client, bbox="119,29,121,31") == {"outside"}
    assert listed(client, unplaced="any") == {"edge", "outside", "nowhere"}
    assert listed(client, unplaced="on_border", area=VILLAGES[0]) == {"edge"}
    assert listed(client, unplaced="on_border", area=VILLAGES[1]) == set()
    problem(client.get(URL, params={"area": "123"}), 404, "area-unknown")
    problem(client.get(URL, params={"bbox": "1,2,3"}), 422, "validation")


def test_an_area_of_very_many_is_listed_alike(
    client: TestClient, numbers: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queries: list[dict[str, Any]] = [{"area": code} for code in ("440600000000", *VILLAGES)]
    before = [listed(client, **query) for query in queries]
    monkeypatch.setattr(record_lists, "MOST_AREAS", 0)
    assert [listed(client, **query) for query in queries] == before


def test_pages_lead_on_to_every_record_once(client: TestClient, numbers: dict[str, int]) -> None:
    for query in ("", "&area=440604010000"):
        seen, next_ = [], f"{URL}?limit=2{query}"
        while next_:
            page = client.get(next_).json()
            seen += [record["id"] for record in page["records"]]
            next_ = page["next"]
        assert seen == sorted(set(seen)) and len(seen) == (4 if query else 5)


def test_the_rate_has_its_numerator_and_denominator_down_the_tree(
    client: TestClient, numbers: dict[str, int]
) -> None:
    whole = client.get(f"{URL}/counts").json()
    assert (whole["records"], whole["in_grid"], whole["rate"]) == (5, 2, 0.4)
    assert whole["unplaced"] == {"no_place": 1, "on_border": 1, "outside": 1}
    assert all(whole["what_to_do"].values())
    town = client.get(f"{URL}/counts", params={"area": "440604010000"}).json()
    found = {each["code"]: (each["records"], each["in_grid"]) for each in town["areas"]}
    assert found == {VILLAGES[0]: (2, 1), VILLAGES[1]: (1, 1), None: (1, 0)}
    homes = client.get(f"{URL}/counts", params={"area": VILLAGES[0], "kind": "rental"}).json()
    assert (homes["records"], homes["in_grid"]) == (2, 1)
    assert homes["kinds"][0]["kind"] == {"name": "rental", "title": "出租屋"}
    grid = client.get(f"{URL}/counts", params={"area": GRIDS[2]}).json()
    assert (grid["records"], grid["rate"]) == (1, 1.0)
    empty = client.get(f"{URL}/counts", params={"area": GRIDS[0]}).json()
    assert (empty["records"], empty["rate"]) == (0, None)


def test_what_is_about_a_person_is_masked_and_shown_for_a_reason_only(
    client: TestClient, numbers: dict[str, int], database: Engine
) -> None:
    url = f"{URL}/{numbers['in 1']}"
    shown = client.get(url)
    assert shown.json()["personal"] == {"name": "某*", "phone": "138****1234"}
    assert shown.json()["attributes"] == {"层数": "3"}
    assert "13800001234" not in shown.text
    problem(client.post(f"{url}/reveal", json={"reason": ""}), 422, "validation")
    answer = client.post(f"{url}/reveal", json={"reason": "核实租客"})
    assert answer.json()["personal"] == {"name": "某某", "phone": "13800001234"}
    with database.connect() as connection:
        event = connection.execute(
            text("SELECT data FROM event WHERE kind = 'person.revealed' ORDER BY id DESC LIMIT 1")
        ).scalar_one()
    assert (event["reason"], event["fields"]) == ("核实租客", ["name", "phone"])
    assert "13800001234" not in str(event)


def test_a_person_places_what_waits(client: TestClient, numbers: dict[str, int]) -> None:
    url = f"{URL}/{numbers['edge']}/place"
    problem(client.post(url, json={}), 422, "validation")
    problem(client.post(url, json={"code": "999"}), 422, "code-not-in-force")
    key = {"Idempotency-Key": "place edge"}
    answer = client.post(url, json={"code": GRIDS[2], "reason": "到过现场"}, headers=key)
    placed = answer.json()
    assert (placed["placement"]["code"], placed["placement"]["method"]) == (GRIDS[2], "confirmed")
    assert placed["unplaced"] is None
    assert placed["history"][0]["before"]["unplaced"] == "on_border"
    assert (placed["history"][0]["actor"], placed["history"][0]["reason"]) == ("api", "到过现场")
    again = client.post(url, json={"code": GRIDS[2], "reason": "到过现场"}, headers=key)
    assert again.json() == placed and again.headers["idempotent-replayed"] == "true"


def test_a_pin_alone_is_enough_inside_the_city(
    client: TestClient, numbers: dict[str, int], database: Engine
) -> None:
    url = f"{URL}/{numbers['nowhere']}"
    away = {"lon": 121.0, "lat": 31.0, "datum": "wgs84"}
    problem(client.post(f"{url}/place", json=away), 422, "pin-outside")
    pin = {"lon": WEST + 3.5 * STEP, "lat": SOUTH + 0.5 * STEP}
    problem(client.post(f"{url}/place", json=pin), 422, "datum-unknown")
    placed = client.post(f"{url}/place", json={**pin, "datum": "wgs84"}).json()
    assert placed["placement"]["code"] == GRIDS[5]
    assert (placed["point"]["lon"], placed["position"]) == (pytest.approx(pin["lon"]), None)
    with database.connect() as connection:
        kept = text("SELECT count(*) FROM confirmation c JOIN area a ON a.id = area_id"
                    " WHERE a.code = :code AND report_id IS NULL")  # fmt: skip
        assert connection.execute(kept, {"code": GRIDS[5]}).scalar() == 1


def test_what_a_person_decided_outlives_the_same_file_and_not_another_place(
    client: TestClient, numbers: dict[str, int], database: Engine, tmp_path: Path
) -> None:
    placed = client.post(f"{URL}/{numbers['edge']}/place", json={"code": GRIDS[2]})
    assert placed.status_code == 200

    def again(**row: str) -> Any:
        path = tmp_path / "again.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerow(row)
        options = RecordOptions("collector", datum="wgs84", kind="rental")
        intake.run(database, path, options, target=RecordTarget)
        return client.get(f"{URL}/{numbers['edge']}").json()["placement"]

    assert again(id="edge", **at(1, 1.5), 层数="9")["code"] == GRIDS[2]
    assert again(id="edge", **at(2.5, 1.5))["code"] == GRIDS[6]


def test_what_was_withdrawn_counts_no_more(client: TestClient, numbers: dict[str, int]) -> None:
    url = f"{URL}/{numbers['outside']}"
    gone = client.post(f"{url}/withdraw", json={"reason": "已拆除"}).json()
    assert gone["withdrawn"]
    assert "outside" not in listed(client)
    problem(client.post(f"{url}/place", json={"code": GRIDS[0]}), 409, "record-withdrawn")
    problem(client.get(f"{URL}/999999"), 404, "record-unknown")
