"""Many people to many places over HTTP: planned, followed, filled up, called off."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, create_engine, text

from api import examples
from api.schemas_deployments import AttendancePage, AttendanceShown, Deployments, DeploymentShown
from tests import people
from tests.api.conftest import GRIDS, SOUTH, STEP, VILLAGES, WEST

PATH = "/api/v1/deployments"
serial = count()

_ORGANISATION = text(
    "INSERT INTO organisation (code, name, role) VALUES (:code, :code, 'other')"
    " ON CONFLICT DO NOTHING"
)
_JOIN = text(
    "UPDATE resource SET organisation_id = (SELECT id FROM organisation WHERE code = :code)"
    " WHERE id = ANY (:ids)"
)


def saturday(hour: int) -> datetime:
    """Next Saturday or the one after, by the city's clock, when volunteers have time."""
    now = datetime.now(UTC)
    day = (now + timedelta(days=(5 - now.weekday()) % 7 + 7)).date()
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour - 8)


def shift(quota: int, hours: tuple[int, int] = (19, 22), **more: Any) -> dict[str, Any]:
    start, until = (saturday(hour).isoformat() for hour in hours)
    return {"from": start, "until": until, "quota": quota, **more}


def site(column: float, row: float, *shifts: dict[str, Any], name: str = "小区") -> dict[str, Any]:
    at = {"lon": WEST + column * STEP, "lat": SOUTH + row * STEP, "datum": "wgs84"}
    return {"name": name, **at, "shifts": list(shifts)}


@pytest.fixture(scope="module")
def engine(town: str) -> Engine:
    return create_engine(town)


@pytest.fixture
def volunteers(engine: Engine) -> Any:
    """Makes volunteers of an organisation of their own, so that tests do not share them."""

    def make(
        *places: tuple[float, float], club: str | None = None, **facts: Any
    ) -> tuple[str, list[int]]:
        code = club or f"club{next(serial)}"
        usual = {"kind": "volunteer", "shift": "spare_time", **facts}
        with engine.begin() as connection:
            connection.execute(_ORGANISATION, {"code": code})
            ids = [
                people.add(
                    connection, f"{code} {next(serial)}", WEST + c * STEP, SOUTH + r * STEP, **usual
                )
                for c, r in places
            ]
            connection.execute(_JOIN, {"code": code, "ids": ids})
        return code, ids

    return make


def plan(
    client: TestClient, club: str, *sites: dict[str, Any], status: int = 201, **more: Any
) -> dict[str, Any]:
    body = {
        "name": "烟花爆竹劝导", "sites": list(sites),
        "people": {"kinds": ["volunteer"], "organisation": club}, "within_s": 3600, **more,
    }  # fmt: skip
    answer = client.post(PATH, json=body)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def goers(client: TestClient, number: int, **query: Any) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    onward = f"{PATH}/{number}/people?" + "&".join(f"{k}={v}" for k, v in query.items())
    while onward:
        page = client.get(onward)
        TypeAdapter(AttendancePage).validate_json(page.content)
        seen += page.json()["people"]
        onward = page.json()["next"]
    return seen


def test_600_volunteers_go_to_13_estates(client: TestClient, volunteers: Any) -> None:
    rng = np.random.default_rng(13)
    club, ids = volunteers(*rng.uniform(0, (4, 2), (600, 2)).tolist())
    quota = rng.multinomial(600, np.full(13, 1 / 13)).tolist()
    places = rng.uniform(0, (4, 2), (13, 2)).tolist()
    told = plan(
        client, club, *(site(c, r, shift(n)) for (c, r), n in zip(places, quota, strict=True))
    )
    TypeAdapter(DeploymentShown).validate_python(told)
    assert told["totals"] == {"quota": 600, "present": 600, "absent": 0, "missing": 0}
    assert told["considered"] == 600
    assert [s["shifts"][0]["planned"] for s in told["sites"]] == quota
    assert all(s["shifts"][0]["gap"] is None for s in told["sites"])
    assert told["text"] == "600 个岗位全部安排到人"
    seen = goers(client, told["id"], limit=250)
    assert sorted(p["resource"]["id"] for p in seen) == ids
    assert told["travel_s"] == pytest.approx(sum(p["travel_s"] for p in seen), abs=600)
    first = told["sites"][0]
    assert len(client.get(f"{first['people']}&limit=1000").json()["people"]) == quota[0]


def test_who_goes_is_told_by_an_event(client: TestClient, volunteers: Any, engine: Engine) -> None:
    club, [one] = volunteers((0.5, 0.5))
    told = plan(client, club, site(0.6, 0.5, shift(1), name="澜石新城"))
    with engine.connect() as connection:
        asked = text("SELECT kind, data, area_id FROM event WHERE resource_id = :id")
        kind, data, area_id = connection.execute(asked, {"id": one}).one()
        asked = text("SELECT data FROM event WHERE kind = 'deployment.planned' ORDER BY id DESC")
        planned = connection.execute(asked).scalars().first()
    assert (kind, data["site"], data["deployment"]) == (
        "attendance.planned",
        "澜石新城",
        told["id"],
    )
    assert area_id is not None
    assert (planned["deployment"], planned["added"]) == (told["id"], 1)


def test_nobody_is_planned_when_off_duty_away_or_planned_elsewhere(
    client: TestClient, volunteers: Any, engine: Engine
) -> None:
    club, ids = volunteers(*[(0.5, 0.5)] * 4)
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO leave (resource_id, during) VALUES (:id, tstzrange(:a, :b))"),
            {"id": ids[0], "a": saturday(21), "b": saturday(23)},
        )
        connection.execute(text("UPDATE resource SET shift = 'office' WHERE id = :id"),
                           {"id": ids[1]})  # fmt: skip
    first = plan(client, club, site(0.5, 0.5, shift(1)))
    [taken] = goers(client, first["id"])
    second = plan(client, club, site(0.5, 0.5, shift(4, (20, 22))))
    [left] = goers(client, second["id"])
    assert {taken["resource"]["id"], left["resource"]["id"]} == set(ids[2:])
    gap = second["sites"][0]["shifts"][0]["gap"]
    assert (gap["missing"], gap["parts"]) == (3, {"shift": 3})
    # Spare time ends at 22:00, and the first one's evening begins when the second's is over.
    late = plan(client, club, site(0.5, 0.5, shift(1, (20, 23))))
    assert late["totals"]["present"] == 0
    early = plan(client, club, site(0.5, 0.5, shift(4, (9, 12))))
    assert early["totals"]["present"] == 3


def test_gaps_are_said_with_their_cause(client: TestClient, volunteers: Any) -> None:
    club, ids = volunteers((0.5, 0.5), (0.5, 0.6), (0.5, 0.7))
    told = plan(client, club, site(0.5, 0.5, shift(4, minimum=4, skills={"first_aid": 2})))
    gap = told["sites"][0]["shifts"][0]["gap"]
    assert gap["below_minimum"]
    assert (gap["missing"], gap["parts"]) == (2, {"reach": 1, "skill": 1})
    assert gap["skills"] == {"first_aid": 2}
    assert gap["text"] == (
        "差 2 人，低于最低要求 4 人：1 小时 0 分钟内可到的人不够（1）；"
        "有空的人里具备技能的不够（1）；缺急救 2 人"
    )
    english = client.get(f"{PATH}/{told['id']}?lang=en").json()
    assert "2 × first aid" in english["sites"][0]["shifts"][0]["gap"]["text"]
    assert len(ids) == 3


def test_skills_and_minima_come_before_distance(client: TestClient, volunteers: Any) -> None:
    club, near = volunteers((0.5, 0.5), (0.5, 0.52))
    _, [with_skill] = volunteers((1, 1), club=club, skills=["first_aid"])
    told = plan(client, club, site(0.5, 0.5, shift(2, skills={"first_aid": 1})))
    seen = goers(client, told["id"])
    assert {p["resource"]["id"]: p["skill"] for p in seen} == {
        near[0]: None,
        with_skill: "first_aid",
    }


def test_people_check_in_once_and_late_and_out(
    client: TestClient, volunteers: Any, engine: Engine
) -> None:
    club, [one, two] = volunteers((0.5, 0.5), (0.5, 0.6))
    number = plan(client, club, site(0.5, 0.5, shift(2)))["id"]

    def mark(who: int, state: str, status: int = 200) -> dict[str, Any]:
        body = {"resource": who, "state": state, "actor": "点位负责人"}
        answer = client.post(f"{PATH}/{number}/attendance", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    first = mark(one, "checked_in")
    TypeAdapter(AttendanceShown).validate_python(first)
    assert mark(one, "checked_in") == first
    mark(two, "absent")
    now = client.get(f"{PATH}/{number}").json()
    [only] = now["sites"][0]["shifts"]
    assert (only["checked_in"], only["absent"], only["missing"]) == (1, 1, 1)
    assert only["gap"]["text"] == "差 1 人：缺席（1）"
    mark(two, "checked_in")
    mark(two, "checked_out")
    assert mark(one, "absent", 409)["type"] == "/problems/attendance-refused"
    assert mark(999_999, "checked_in", 404)["type"] == "/problems/attendance-unknown"
    assert [p["state"] for p in goers(client, number)] == ["checked_in", "checked_out"]
    assert [p["resource"]["id"] for p in goers(client, number, state="checked_out")] == [two]
    with engine.connect() as connection:
        asked = text("SELECT kind FROM event WHERE resource_id = ANY (:ids) ORDER BY id")
        kinds = connection.execute(asked, {"ids": [one, two]}).scalars().all()
    assert kinds[2:] == [
        f"attendance.{state}" for state in ("checked_in", "absent", "checked_in", "checked_out")
    ]


def test_what_is_missing_is_filled_with_others(client: TestClient, volunteers: Any) -> None:
    club, ids = volunteers(*[(0.5, 0.5 + n / 10) for n in range(3)])
    told = plan(client, club, site(0.5, 0.5, shift(2)))
    number = told["id"]
    before = {p["resource"]["id"] for p in goers(client, number)}
    assert before == set(ids[:2])
    assert client.post(f"{PATH}/{number}/fill", json={}).json()["added"] == 0
    client.post(f"{PATH}/{number}/attendance", json={"resource": ids[0], "state": "absent"})
    filled = client.post(f"{PATH}/{number}/fill", json={"actor": "值班员"}).json()
    TypeAdapter(DeploymentShown).validate_python(filled)
    assert (filled["added"], filled["totals"]["missing"]) == (1, 0)
    after = {p["resource"]["id"]: p["state"] for p in goers(client, number)}
    assert after == {ids[0]: "absent", ids[1]: "planned", ids[2]: "planned"}


def test_called_off_its_people_are_free(client: TestClient, volunteers: Any) -> None:
    club, ids = volunteers((0.5, 0.5), (0.6, 0.5))
    number = plan(client, club, site(0.5, 0.5, shift(2)))["id"]
    assert plan(client, club, site(0.5, 0.5, shift(2)))["totals"]["present"] == 0
    answer = client.delete(f"{PATH}/{number}?reason=rain")
    assert answer.json() == {"id": number, "freed": 2}
    again = client.delete(f"{PATH}/{number}")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/deployment-cancelled")
    assert client.post(f"{PATH}/{number}/fill", json={}).status_code == 409
    assert plan(client, club, site(0.5, 0.5, shift(2)))["totals"]["present"] == len(ids)
    shown = client.get(f"{PATH}/{number}").json()
    assert shown["cancelled"] and shown["sites"][0]["shifts"][0]["gap"] is None
    listed = client.get(f"{PATH}?limit=2")
    TypeAdapter(Deployments).validate_json(listed.content)
    assert len(listed.json()["deployments"]) == 2
    assert client.get(listed.json()["next"]).json()["deployments"][0]["id"] == number


def test_several_shifts_are_shared_out(client: TestClient, volunteers: Any) -> None:
    club, ids = volunteers(*[(0.5, 0.5)] * 2)
    day = [shift(1, (hour, hour + 2)) for hour in (9, 11, 13)]
    once = plan(client, club, site(0.5, 0.5, *day))
    assert once["totals"]["present"] == 2
    client.delete(f"{PATH}/{once['id']}")
    twice = plan(client, club, site(0.5, 0.5, *day), shifts_each=2)
    assert twice["totals"]["present"] == 3
    assert len({p["resource"]["id"] for p in goers(client, twice["id"])}) == len(ids)


def test_a_site_may_be_an_area_and_people_those_of_one(
    client: TestClient, volunteers: Any, engine: Engine
) -> None:
    club, [inside, _] = volunteers((0.5, 0.5), (0.5, 0.5))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE resource SET home_area_id = (SELECT id FROM area WHERE code = :c)"
                 " WHERE id = :id"), {"c": GRIDS[0], "id": inside},
        )  # fmt: skip
    told = plan(
        client,
        club,
        {"layer": "grid", "code": GRIDS[5], "shifts": [shift(2)]},
        people={"kinds": ["volunteer"], "layer": "village", "code": VILLAGES[0]},
    )
    assert told["sites"][0]["area"] == {"layer": "grid", "code": GRIDS[5]}
    assert told["sites"][0]["name"] == "第6网格"
    assert [p["resource"]["id"] for p in goers(client, told["id"])] == [inside]


@pytest.mark.parametrize(
    ("wrong", "status", "said"),
    [
        ({"sites": []}, 422, "sites"),
        ({"sites": [site(0, 0, shift(1, minimum=2))]}, 422, "minimum 2"),
        ({"sites": [site(0, 0, shift(1, skills={"first_aid": 2}))]}, 422, "2 places"),
        ({"sites": [site(0, 0, shift(1, (9, 9)))]}, 422, "Until lies after"),
        ({"sites": [site(0, 0, shift(1), shift(1, (20, 23)))]}, 422, "overlap"),
        ({"sites": [site(0, 0, shift(1, skills={"flying": 1}))]}, 422, "flying"),
        ({"sites": [{"code": "999", "shifts": [shift(1)]}]}, 404, "999"),
        ({"sites": [{"shifts": [shift(1)]}]}, 422, "lon, lat and datum"),
        ({"sites": [{**site(0, 0, shift(1)), "lon": 23.0, "lat": 113.0}]}, 422, "lat"),
        ({"people": {"kinds": ["wizard"]}}, 422, "wizard"),
        ({"people": {"kinds": ["volunteer"], "organisation": "nobody"}}, 422, "nobody"),
        ({"people": {"kinds": ["volunteer"], "code": "999"}}, 404, "999"),
        (
            {"sites": [site(0, 0, shift(1)), site(1, 0, shift(1, (20, 23)))], "shifts_each": 2},
            422,
            "shifts_each",
        ),
    ],
)
def test_what_cannot_be_planned_is_said(
    client: TestClient, wrong: dict[str, Any], status: int, said: str
) -> None:
    body = {
        "name": "x", "sites": [site(0, 0, shift(1))], "people": {"kinds": ["volunteer"]}, **wrong,
    }  # fmt: skip
    answer = client.post(PATH, json=body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    listed = client.get(PATH).json()["deployments"]
    assert "x" not in [d["name"] for d in listed]


def test_a_shift_that_is_over_is_refused(client: TestClient) -> None:
    over = {"from": "2020-01-01T00:00:00Z", "until": "2020-01-01T01:00:00Z", "quota": 1}
    body = {"name": "x", "sites": [site(0, 0, over)], "people": {"kinds": ["volunteer"]}}
    answer = client.post(PATH, json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/deployment-refused")


def test_an_unknown_deployment_is_said(client: TestClient) -> None:
    for method, path in (
        ("GET", ""), ("GET", "/people"), ("POST", "/fill"), ("DELETE", ""),
    ):  # fmt: skip
        body = {"json": {}} if method == "POST" else {}
        answer = client.request(method, f"{PATH}/999999{path}", **body)
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/deployment-unknown")


def test_the_same_request_twice_plans_once(client: TestClient, volunteers: Any) -> None:
    club, _ = volunteers((0.5, 0.5))
    body = {
        "name": "once", "sites": [site(0.5, 0.5, shift(1))],
        "people": {"kinds": ["volunteer"], "organisation": club},
    }  # fmt: skip
    key = {"Idempotency-Key": f"plan-{club}"}
    first, second = (client.post(PATH, json=body, headers=key) for _ in range(2))
    assert first.json() == second.json()
    assert first.json()["totals"]["present"] == 1


def test_examples_of_requests_are_understood(client: TestClient, volunteers: Any) -> None:
    [body] = (example["value"] for example in examples.DEPLOYMENT_REQUEST.values())
    assert client.post(PATH, json=body).status_code == 201
    club, [one] = volunteers((0.5, 0.5))
    number = plan(client, club, site(0.5, 0.5, shift(1)))["id"]
    [said] = (example["value"] for example in examples.ATTENDANCE_REQUEST.values())
    answer = client.post(f"{PATH}/{number}/attendance", json={**said, "resource": one})
    assert answer.status_code == 200, answer.text
    [more] = (example["value"] for example in examples.FILL_REQUEST.values())
    assert client.post(f"{PATH}/{number}/fill", json=more).status_code == 200
