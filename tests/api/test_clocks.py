"""Calendars, service times, clocks and supervision orders over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, text

from api import calendars as calendars_api
from api import examples, service_times, supervision
from api.worker import Beside
from data import clocks, timers, upkeep
from gis.calendars import Allowed
from tests.api.test_messages import until
from tests.api.test_service import problem

ALL_DAY = [[{"from": "00:00", "until": "24:00"}]] * 7
WORK = [{"from": "08:30", "until": "12:00"}, {"from": "14:00", "until": "17:30"}]


def report(client: TestClient, kind: str = "噪音扰民") -> int:
    return int(client.post("/api/v1/reports", json={"source": "s", "kind": kind}).json()["id"])


@pytest.fixture(scope="module", autouse=True)
def organisations(town: str, client: TestClient, engine: Engine) -> None:
    """A district's centre, two departments under it, and one that stands alone."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO organisation (code, name, role) VALUES"
                " ('centre-440604', '禅城区综治中心', 'centre'), ('alone', '独立单位', 'other')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO organisation (code, name, role, parent_id)"
                " SELECT c, c, 'other', id FROM organisation,"
                " unnest(ARRAY['urban-440604', 'fire-440604']) c WHERE code = 'centre-440604'"
            )
        )


def put(client: TestClient, **rule: Any) -> Any:
    return client.put("/api/v1/service-times", json={"unit": "hours", **rule})


# --- calendars ------------------------------------------------------------------------------------


def test_calendars_are_listed_changed_and_explained(client: TestClient) -> None:
    found = client.get("/api/v1/calendars").json()
    office = next(c for c in found["calendars"] if c["name"] == "office")
    assert office["hours"] == [WORK] * 5 + [[], []]
    year = client.get("/api/v1/calendars/office/days?year=2025").json()["days"]
    by_day = {day["day"]: day for day in year}
    assert by_day["2025-10-08"]["why"] == "holiday" and by_day["2025-10-08"]["hours"] == []
    assert by_day["2025-09-28"]["why"] == "make_up" and by_day["2025-09-28"]["hours"] == WORK
    one = "/api/v1/calendars/office/days/2025-10-08"
    for request in examples.of("calendar_day_request").values():
        assert client.put(one, json=request["value"]).status_code == 200
    shown = client.get("/api/v1/calendars/office/days?year=2025").json()["days"]
    assert {"day": "2025-10-08", "hours": WORK, "why": "own", "about": "补班"} in shown
    assert client.delete(one).status_code == 204
    problem(client.delete(one), 404, "calendar-day-unknown")


def test_calendars_that_cannot_be_are_refused(client: TestClient) -> None:
    hall = examples.of("calendar_request")["hall"]["value"]
    assert client.put("/api/v1/calendars/hall", json=hall).json() == {
        "calendar": "hall",
        "clocks": 0,
    }
    for wrong in (
        {"hours": [[]] * 7},
        {"timezone": "Asia/Nowhere"},
        {"hours": [[{"from": "12:00", "until": "08:30"}], *[[]] * 6]},
    ):
        told = problem(
            client.put("/api/v1/calendars/hall", json={**hall, **wrong}), 422, "calendar-refused"
        )
        assert told["field"] == next(iter(wrong))
    for wrong in ({"hours": [[]]}, {"hours": [[{"from": "8", "until": "9"}], *[[]] * 6]}):
        problem(client.put("/api/v1/calendars/hall", json={**hall, **wrong}), 422, "validation")
    problem(client.get("/api/v1/calendars/none/days?year=2025"), 404, "calendar-unknown")
    problem(client.get("/api/v1/calendars/office/days?year=0"), 422, "validation")


def test_health_says_when_the_known_holidays_end(client: TestClient) -> None:
    told = client.get("/api/v1/health").json()["warnings"]
    assert told == client.get("/api/v1/calendars").json()["warnings"]


# --- service times --------------------------------------------------------------------------------


def test_a_service_time_is_put_tried_and_ended(client: TestClient) -> None:
    made = client.put(
        "/api/v1/service-times", json=examples.of("service_time_request")["simple"]["value"]
    )
    assert made.status_code == 200, made.text
    wide = put(client, clock="case.handle", amount=7, unit="working_days").json()
    asked = examples.of("service_time_trial_request")["friday"]["value"]
    # In 2024 neither held yet.
    assert client.post("/api/v1/service-times/trial", json=asked).json()["rule"] is None
    tried = client.post("/api/v1/service-times/trial", json={**asked, "start": None}).json()
    assert (tried["rule"]["id"], [r["id"] for r in tried["beaten"]]) == (
        made.json()["id"],
        [wide["id"]],
    )
    assert tried["start"] < tried["warn_at"] < tried["due"] < tried["order_at"]
    listed = client.get("/api/v1/service-times?clock=case.handle").json()["service_times"]
    assert [rule["id"] for rule in listed] == [made.json()["id"], wide["id"]]
    gone = f"/api/v1/service-times/{wide['id']}"
    assert client.delete(gone).status_code == 204
    problem(client.delete(gone), 404, "service-time-unknown")


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"amount": 0}, "validation"),
        ({"amount": -5}, "validation"),
        ({"amount": 1e12}, "validation"),
        ({"amount": 1.5, "unit": "working_days"}, "service-time-refused"),
        ({"amount": 19_000, "unit": "working_days"}, "service-time-refused"),
        ({"organisation": "nobody"}, "organisation-unknown"),
        ({"calendar": "nowhere"}, "calendar-unknown"),
        ({"warn_share": 0}, "validation"),
        ({"level": 5}, "validation"),
        ({"clock": "'; DROP TABLE clock; --"}, "validation"),
    ],
)
def test_service_times_that_cannot_be_are_refused(
    client: TestClient, wrong: dict[str, Any], name: str
) -> None:
    answer = put(client, **{"clock": "case.y", "amount": 1, **wrong})
    problem(answer, 404 if name == "calendar-unknown" else 422, name)


def test_what_cases_were_judged_by_is_not_changed(client: TestClient) -> None:
    put(client, clock="case.z", amount=1)
    past = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert put(client, clock="case.z", amount=2, kind="a", since=past).status_code == 200
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert put(client, clock="case.z", amount=2, since=soon).status_code == 200
    problem(put(client, clock="case.z", amount=3, since=soon), 422, "service-time-refused")


# --- clocks ---------------------------------------------------------------------------------------


def test_a_report_has_so_much_time_until_it_is_closed(client: TestClient) -> None:
    assert client.put(
        "/api/v1/calendars/day_and_night",
        json={"title": "全天", "title_en": "All day", "hours": ALL_DAY, "holidays": None},
    ).is_success
    put(client, clock="case.handle", kind="井盖缺失", amount=2, calendar="day_and_night")
    number = report(client, "井盖缺失")
    [clock] = client.get(f"/api/v1/incidents/{number}/clocks").json()["clocks"]
    assert (clock["name"], clock["state"], clock["amount"]) == ("case.handle", "running", 2)
    assert 7100 < clock["left_s"] <= 7200
    client.post(f"/api/v1/incidents/{number}/close", json={"actor": "desk", "outcome": "done"})
    [clock] = client.get(f"/api/v1/incidents/{number}/clocks").json()["clocks"]
    assert clock["state"] == "stopped"
    problem(client.get("/api/v1/incidents/987654/clocks"), 404, "incident-unknown")


# --- supervision ----------------------------------------------------------------------------------


def order(client: TestClient, **more: Any) -> Any:
    asked = examples.of("order_request")["late"]["value"]
    return client.post("/api/v1/supervision", json={**asked, "incident": report(client), **more})


def test_an_order_is_answered_by_the_supervised_and_closed_by_its_issuer(
    client: TestClient,
) -> None:
    made = order(client)
    assert made.status_code == 201, made.text
    where = made.headers["location"]
    assert made.json()["due"] and made.json()["closed"] is None
    answer = examples.of("order_answer_request")["done"]["value"]
    close = examples.of("order_close_request")["checked"]["value"]
    issuer, supervised = close["acting"], answer["acting"]
    problem(client.post(f"{where}/close", json={**close, "acting": supervised}), 403, "not-issuer")
    for other in (issuer, "fire-440604"):
        wrong = client.post(f"{where}/answers", json={**answer, "acting": other})
        problem(wrong, 403, "not-supervised")
    problem(client.post(f"{where}/close", json={"outcome": "x"}), 422, "acting-unknown")
    problem(client.post(f"{where}/answers", json={**answer, "answer": " "}), 422, "reason-missing")
    answered = client.post(f"{where}/answers", json=answer).json()
    assert [a["answer"] for a in answered["answers"]] == [answer["answer"]]
    assert answered["closed"] is None
    closed = client.post(f"{where}/close", json=close).json()
    assert (closed["outcome"], bool(closed["closed"])) == (close["outcome"], True)
    problem(client.post(f"{where}/close", json=close), 409, "supervision-closed")
    problem(client.post(f"{where}/answers", json=answer), 409, "supervision-closed")
    assert client.get(where).json() == closed


def test_orders_that_cannot_be_are_refused(client: TestClient) -> None:
    problem(order(client, acting="urban-440604"), 422, "supervision-of-itself")
    problem(order(client, incident=987654), 404, "incident-unknown")
    problem(order(client, organisation="nobody"), 422, "organisation-unknown")
    problem(order(client, acting="nobody"), 422, "organisation-unknown")
    problem(order(client, reason=""), 422, "validation")
    problem(client.get("/api/v1/supervision/987654"), 404, "supervision-unknown")


def test_who_is_late_for_too_long_gets_an_order_by_itself_and_once(
    client: TestClient, engine: Engine
) -> None:
    assert upkeep.ALWAYS
    put(client, clock="case.accept", amount=1, order_after_h=2, calendar="always")
    put(client, clock="supervision", amount=1, organisation="urban-440604", calendar="always")
    number = report(client)
    now = datetime.now(UTC)
    with engine.begin() as connection:
        ids = dict(connection.execute(text("SELECT code, id FROM organisation")).all())
        for who in ("urban-440604", "centre-440604"):
            clocks.start(
                connection, number, "case.accept", organisation_id=ids[who], at=now, subject=who
            )
        assert timers.fire(connection, now + timedelta(hours=2.9)) == 2  # late, but not too late
        assert timers.fire(connection, now + timedelta(hours=3)) == 2
        assert timers.fire(connection, now + timedelta(hours=3)) == 0
    asked = {"incident": number}
    [made] = client.get("/api/v1/supervision", params=asked).json()["orders"]
    # The centre is the highest there is: nobody can order it.
    assert (made["organisation"], made["issuer"]) == ("urban-440604", "centre-440604")
    assert "more than 2 working hours" in made["reason"]
    assert client.get("/api/v1/supervision", params={**asked, "late": True}).json()["orders"] == []
    with engine.begin() as connection:
        assert timers.fire(connection, now + timedelta(hours=4)) == 1
    late = client.get(
        "/api/v1/supervision",
        params={**asked, "late": True, "organisation": "urban-440604", "limit": 1},
    ).json()
    assert [o["id"] for o in late["orders"]] == [made["id"]]
    assert late["next"] == str(made["id"])


def test_by_no_way_can_the_supervised_close_an_order(client: TestClient, engine: Engine) -> None:
    number = order(client).json()["id"]
    for closer in ("organisation_id", "NULL"):
        with pytest.raises(Exception, match="closed_by_its_issuer"), engine.begin() as connection:
            connection.execute(
                text(
                    f"UPDATE supervision SET closed = now(), closer_id = {closer}, closed_by = 'x',"
                    " outcome = 'x' WHERE id = :id"
                ),
                {"id": number},
            )
    client.post(
        f"/api/v1/supervision/{number}/answers", json={"answer": "a", "acting": "urban-440604"}
    )
    with pytest.raises(Exception, match="never changed"), engine.begin() as connection:
        connection.execute(text("DELETE FROM supervision_answer"))


def test_a_worker_fires_what_has_come_due(town: str, client: TestClient, engine: Engine) -> None:
    with engine.begin() as connection:
        number = clocks.start(
            connection, report(client), "case.v", organisation_id=None,
            allowed=Allowed(1, "hours"), at=datetime(2026, 3, 2, tzinfo=UTC),
        )  # fmt: skip

    def fired() -> int:
        asked = text(
            "SELECT count(*) FROM event WHERE kind = 'clock.late' AND data ->> 'clock' = :n"
        )
        with engine.connect() as connection:
            return int(connection.execute(asked, {"n": str(number)}).scalar_one())

    worker = Beside(town)
    worker.start()
    assert until(fired) == 1
    worker.stop()
    assert fired() == 1


def test_answers_are_what_is_described(client: TestClient, engine: Engine) -> None:
    number = order(client).json()["id"]
    incident = report(client)
    with engine.begin() as connection:
        clocks.start(
            connection, incident, "case.w", organisation_id=None, allowed=Allowed(1, "hours")
        )
    paths = {
        "/api/v1/calendars": "", "/api/v1/calendars/{name}/days": "?year=2026",
        "/api/v1/service-times": "", "/api/v1/incidents/{number}/clocks": "",
        "/api/v1/supervision": "?open=false", "/api/v1/supervision/{number}": "",
    }  # fmt: skip
    for room in (calendars_api, service_times, supervision):
        for route in room.router.routes:
            if "GET" in route.methods:
                one = number if "supervision" in route.path else incident
                path = route.path.format(name="office", number=one) + paths.pop(route.path)
                answer = client.get(path)
                TypeAdapter(route.responses[200]["model"]).validate_json(answer.content)
    assert not paths
