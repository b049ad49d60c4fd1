"""A report opens an incident, and the answer says who could go."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
from sqlalchemy import create_engine, text

from tests import people
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST

serial = count()


@pytest.fixture(scope="module")
def engine(town):
    made = create_engine(town)
    yield made
    made.dispose()


@pytest.fixture(scope="module", autouse=True)
def _people(engine):
    """A lead at home in every grid, and a centre that offers counselling."""
    with engine.begin() as connection:
        ids = dict(connection.execute(text("SELECT code, id FROM area WHERE layer = 'grid'")).all())
        for n, code in enumerate(GRIDS):
            column, row = 2 * (n // 4) + n % 2, n % 4 // 2
            lon, lat = WEST + (column + 0.5) * STEP, SOUTH + (row + 0.5) * STEP
            people.add(connection, f"lead {code}", lon, lat, home_area_id=ids[code], capacity=2)
        people.add(connection, "centre", WEST, SOUTH, kind="centre", skills=["counselling"])
        people.add(connection, "patrol", WEST - STEP, SOUTH, kind="patrol", mode="car")


def report(client, column=0.2, row=0.7, query="", **more):
    body = {
        "source": "test", "external_id": f"r{next(serial)}", "lon": WEST + column * STEP,
        "lat": SOUTH + row * STEP, "datum": "wgs84", "kind": "噪音", **more,
    }  # fmt: skip
    answer = client.post(f"/api/v1/reports{query}", json=body)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def test_a_report_comes_back_with_its_grid_and_ranked_people(client):
    told = report(client)
    assert told["placement"]["area"]["code"] == GRIDS[0]
    above = [area["layer"] for area in told["placement"]["chain"]]
    assert above == ["village", "town", "district", "city"]
    assert told["incident"] == told["id"]
    found = told["dispatch"]["candidates"]
    assert len(found) == 5
    assert [c["rank"] for c in found] == [1, 2, 3, 4, 5]
    first = found[0]
    assert first["resource"]["name"] == f"lead {GRIDS[0]}"
    assert first["responsible"]
    assert [r["code"] for r in first["reasons"]] == ["at_home", "way", "free"]
    assert first["summary"].startswith("本网格；")
    assert first["minutes"] == pytest.approx(sum(first["parts"].values()), abs=0.3)
    minutes = [c["minutes"] for c in found]
    assert minutes == sorted(minutes)


def test_repeated_it_proposes_again_and_opens_nothing(client, engine):
    first = report(client, external_id="again")
    second = report(client, external_id="again")
    assert (second["repeated"], second["incident"]) == (True, first["incident"])
    assert second["dispatch"]["candidates"]
    with engine.connect() as connection:
        events = connection.execute(
            text("SELECT count(*) FROM event WHERE incident_id = :id"), {"id": first["id"]}
        )
        assert events.scalar_one() == 1


def test_candidates_are_left_out_when_nobody_wants_them(client):
    assert "dispatch" not in report(client, query="?candidates=0")
    assert len(report(client, query="?candidates=2")["dispatch"]["candidates"]) == 2


def test_the_event_is_written_with_the_report(client, engine):
    told = report(client, urgency=1)
    with engine.connect() as connection:
        asked = text("SELECT kind, area_id, data FROM event WHERE incident_id = :id")
        kind, area_id, data = connection.execute(asked, {"id": told["id"]}).one()
    assert (kind, data["code"], data["urgency"]) == ("report.received", GRIDS[0], 1)
    assert data["lon"] == pytest.approx(WEST + 0.2 * STEP)
    assert area_id


def test_without_a_place_nobody_is_proposed_until_it_has_one(client):
    told = report(client, lon=None, lat=None, datum=None)
    [short] = told["dispatch"]["shortfalls"]
    assert (short["reason"], told["dispatch"]["candidates"]) == ("no_place", [])
    pin = {"code": GRIDS[3], "lon": WEST + 1.5 * STEP, "lat": SOUTH + 1.5 * STEP, "datum": "wgs84"}
    client.post(f"/api/v1/reports/{told['id']}/confirm", json=pin)
    incident = client.get(f"/api/v1/incidents/{told['id']}").json()
    assert incident["area"]["code"] == GRIDS[3]
    who = client.get(incident["candidates"]).json()
    assert who["candidates"][0]["resource"]["name"] == f"lead {GRIDS[3]}"


def test_open_incidents_come_by_urgency_and_page_by_page(client):
    slow, quick = report(client, urgency=5), report(client, urgency=1)
    seen, onward = [], "/api/v1/incidents?limit=3"
    while onward:
        page = client.get(onward).json()
        seen += page["incidents"]
        onward = page["next"]
    numbers = [i["id"] for i in seen]
    assert len(set(numbers)) == len(numbers)
    assert numbers.index(quick["id"]) < numbers.index(slow["id"])
    assert [i["urgency"] for i in seen] == sorted(i["urgency"] for i in seen)


def test_incidents_of_an_area_are_those_below_it_too(client):
    there = report(client, column=2.5, row=0.5)
    query = f"?layer=village&code={VILLAGES[1]}"
    found = client.get(f"/api/v1/incidents{query}").json()["incidents"]
    assert there["id"] in [i["id"] for i in found]
    assert {i["area"]["code"][:12] for i in found} == {VILLAGES[1]}
    answer = client.get("/api/v1/incidents?code=999")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/area-unknown")


def test_other_kinds_and_skills_can_be_asked_for(client):
    number = report(client)["id"]
    path = f"/api/v1/incidents/{number}/candidates"
    found = client.get(f"{path}?resource_kind=centre&skill=counselling&lang=en").json()
    assert [c["resource"]["name"] for c in found["candidates"]] == ["centre"]
    assert found["rule"]["needed"] == ["counselling"]
    nobody = client.get(f"{path}?resource_kind=centre&skill=arbitration").json()
    assert (nobody["candidates"], nobody["shortfalls"][0]["reason"]) == ([], "nobody")


@pytest.mark.parametrize(
    ("query", "said"),
    [("?resource_kind=wizard", "wizard"), ("?skill=flying", "flying"), ("?limit=0", "limit")],
)
def test_what_is_not_known_is_named(client, query, said):
    number = report(client)["id"]
    answer = client.get(f"/api/v1/incidents/{number}/candidates{query}")
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_an_unknown_incident_is_said(client):
    for path in ("/api/v1/incidents/999999", "/api/v1/incidents/999999/candidates"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/incident-unknown")


def test_the_nearest_centre_that_offers_something(client):
    at = f"lon={WEST + STEP}&lat={SOUTH}&datum=wgs84"
    found = client.get(f"/api/v1/nearest?{at}&resource_kind=centre&skill=counselling").json()
    assert found["candidates"][0]["resource"]["name"] == "centre"
    assert found["candidates"][0]["distance_m"] > 500
    swapped = client.get("/api/v1/nearest?lon=23&lat=113&datum=wgs84&resource_kind=centre")
    assert swapped.json()["type"] == "/problems/swapped"
    nothing = client.get(f"/api/v1/nearest?{at}&resource_kind=palace")
    assert nothing.json()["type"] == "/problems/rule-refused"


def test_a_rule_is_put_tried_and_ended(client):
    kind = "火警"
    number = report(client, kind=kind)["id"]
    rule = {"kind": kind, "resource_kinds": ["patrol"], "reach_s": 1, "weights": {"task": 3}}
    tried = client.post("/api/v1/dispatch-rules/trial", json=rule).json()
    assert (tried["incidents"], tried["changed"]) == (1, 1)
    assert tried["now"]["proposed"] == tried["tried"]["proposed"] == 1
    before = client.get(f"/api/v1/incidents/{number}/candidates").json()
    assert before["rule"]["kind"] is None
    put = client.put("/api/v1/dispatch-rules", json={**rule, "actor": "chief", "reason": "test"})
    assert put.json()["actor"] == "chief"
    after = client.get(f"/api/v1/incidents/{number}/candidates").json()
    assert (after["rule"]["kind"], after["rule"]["weights"]["task"]) == (kind, 3)
    assert [c["resource"]["kind"] for c in after["candidates"]] == ["patrol"]
    assert after["shortfalls"][0]["reason"] == "beyond_reach"
    client.put("/api/v1/dispatch-rules", json={**rule, "resource_kinds": ["grid_lead"]})
    assert [r["kind"] for r in client.get("/api/v1/dispatch-rules").json()["rules"]].count(
        kind
    ) == 1
    assert client.delete(f"/api/v1/dispatch-rules/{kind}").status_code == 204
    assert client.delete(f"/api/v1/dispatch-rules/{kind}").status_code == 404
    again = client.get(f"/api/v1/incidents/{number}/candidates").json()
    assert again["rule"]["kind"] is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"resource_kinds": []}, "resource_kinds"),
        ({"resource_kinds": ["wizard"]}, "'wizard'; there are centre"),
        ({"resource_kinds": ["grid_lead", "centre"]}, "Centre is a kind of facility"),
        ({"skills": ["flying"]}, "'flying'; there are arbitration"),
        ({"weights": {"speed": 1}}, "'speed'; there are travel"),
        ({"weights": {"task": -1}}, "from 0 to"),
        ({"reach_s": 0}, "reach_s"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(client, wrong, said):
    rule = {"kind": "x", "resource_kinds": ["grid_lead"], **wrong}
    for way in (client.put, client.post):
        path = "/api/v1/dispatch-rules" + ("/trial" if way == client.post else "")
        answer = way(path, json=rule)
        assert answer.status_code == 422, answer.text
        assert said in answer.json()["detail"]


def test_who_declined_is_not_proposed_again_and_the_next_is(client):
    told = report(client)
    number, first = told["incident"], told["dispatch"]["candidates"][0]["resource"]
    sent = client.post(
        f"/api/v1/incidents/{number}/dispatches",
        json={"actor": "desk", "send": [{"resource": first["id"]}]},
    ).json()
    [task] = sent["assignments"]
    path = f"/api/v1/incidents/{number}/candidates"
    under_way = client.get(path).json()["candidates"]
    assert first["id"] not in [c["resource"]["id"] for c in under_way]
    said = {"state": "declined", "actor": "lead", "reason": "ill"}
    answer = client.post(f"/api/v1/assignments/{task['id']}/steps", json=said).json()
    [instead] = answer["next"]["candidates"]
    assert instead["resource"]["id"] == under_way[0]["resource"]["id"]
    again = client.get(path).json()["candidates"]
    assert first["id"] not in [c["resource"]["id"] for c in again]


def test_rules_of_a_kind_put_at_once_are_put_one_after_another(client):
    rule = {"kind": "噪音/扰民", "resource_kinds": ["grid_lead"]}
    with ThreadPoolExecutor(8) as pool:
        put = lambda _: client.put("/api/v1/dispatch-rules", json=rule).status_code  # noqa: E731
        assert set(pool.map(put, range(16))) == {200}
    assert client.delete("/api/v1/dispatch-rules/噪音/扰民").status_code == 204


def test_kinds_named_again_are_asked_once_and_too_many_are_refused(client):
    rule = {"kind": "twice", "resource_kinds": ["grid_lead"] * 3, "skills": ["labour"] * 2}
    put = client.put("/api/v1/dispatch-rules", json=rule).json()
    assert (put["resource_kinds"], put["skills"]) == (["grid_lead"], ["labour"])
    client.delete("/api/v1/dispatch-rules/twice")
    many = client.put("/api/v1/dispatch-rules", json={**rule, "resource_kinds": [1] * 100_000})
    assert many.status_code == 422
    assert len(many.content) < 100_000


def test_the_pages_of_dispatch_refuse_what_no_text_can_hold(client):
    for path in ("/maps/dispatch?kind=%00", "/maps/dispatch?area=%00"):
        assert client.get(path).status_code == 422
