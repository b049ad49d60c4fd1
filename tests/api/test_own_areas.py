"""What an account of one village may, asked of the same things in its own and in the next one."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, text

from data import accounts
from data.access import ROLES, SECOND_FACTOR
from data.accounts import Grant
from tests import people, warned
from tests.api.conftest import GRIDS, SCHOOL, SOUTH, STEP, VILLAGES, WEST
from tests.api.test_accounts import API, PASSWORD, app, bearer, enrolled, routes, sign_in
from tests.api.test_deployments import shift, site
from tests.api.test_return_visits import photo
from tests.data.test_events import number_all

__all__ = ["app"]
OWN, OTHER = 0, 1  # village
WORKING = [role for role in ROLES if not role.endswith("_admin")]

# Whose number stands in a path, by how the path begins; the longest counts.
NUMBERED = {
    "incidents": "incident", "cases": "incident", "reports": "incident", "resources": "resource",
    "assignments": "assignment", "deployments": "deployment", "supervision": "supervision",
    "visits/plans": "plan", "visits/return": "return visit", "visits": "visit",
    "watched": "watched", "attachments": "attachment", "records": "record",
    "whistles": "whistle", "referrals": "referral",
    "warnings": "warning",
}  # fmt: skip
# What a question needs beside the number.
QUERY = {f"{API}/watched/{{number}}/readings": {"metric": "wages_overdue_days"}}


@dataclass
class Village:
    """The numbers of what is in it."""

    grid: str
    column: float
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def at(self) -> dict[str, Any]:
        lon, lat = WEST + self.column * STEP, SOUTH + 0.5 * STEP
        return {"lon": lon, "lat": lat, "datum": "wgs84"}


def organisations(engine: Engine) -> None:
    """A centre of the town, and police whom it can call."""
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO organisation (code, name, role, area_id)
                SELECT 'town', '镇综治中心', 'centre', id FROM area WHERE layer = 'town'
                UNION ALL SELECT 'police', '派出所', 'six', NULL
            """)
        )


def made(client: TestClient, path: str, body: Any) -> dict[str, Any]:
    answer = client.post(f"{API}/{path}", json=body)
    assert answer.status_code in (200, 201), (path, answer.text)
    return dict(answer.json())


@pytest.fixture(scope="module")
def villages(client: TestClient, engine: Engine) -> list[Village]:
    organisations(engine)
    return [
        _filled(client, engine, Village(GRIDS[4 * n], 0.2 + 2 * n), VILLAGES[n])
        for n in (OWN, OTHER)
    ]


def _filled(client: TestClient, engine: Engine, village: Village, code: str) -> Village:
    at, found = village.at, village.numbers
    with engine.begin() as connection:
        query = text("SELECT id FROM area WHERE layer = 'grid' AND code = :code")
        grid = connection.execute(query, {"code": village.grid}).scalar_one()
        found["resource"] = people.add(
            connection, lon=at["lon"], lat=at["lat"], home_area_id=grid, external_id=code
        )
        found["warning"] = warned.warn(connection, grid, level=4)
    report = {"source": "test", "external_id": code, "kind": "噪音", **at}
    found["incident"] = made(client, "reports", report)["id"]
    sent = {"send": [{"resource": found["resource"]}], "actor": "test"}
    told = made(client, f"incidents/{found['incident']}/dispatches", sent)
    found["assignment"] = told["assignments"][0]["id"]
    for step in ({"action": "assign", "organisation": "town"}, {"action": "accept"}):
        made(client, f"cases/{found['incident']}/steps", step)
    case = {"case": found["incident"], "what": "会商", "acting": "town"}
    found["whistle"] = made(client, "whistles", case | {"organisations": ["police"]})["number"]
    planned = site(village.column, 0.5, shift(1))
    plan = {"name": code, "sites": [planned], "people": {"kinds": ["grid_lead"]}}
    found["deployment"] = made(client, "deployments", plan)["id"]
    visits = {"name": code, "area": code, "resource_kind": "网格员", "every": 7}
    found["plan"] = made(client, "visits/plans", visits)["id"]
    due = client.get(f"{API}/visits/due", params={"plan": found["plan"], "area": code}).json()
    found["visit"] = int(due["visits"][0]["href"].rpartition("/")[2])
    place = {"source": "test", "external_id": code, "kind": "site", "name": code, **at}
    found["watched"] = made(client, "watched", place)["id"]
    file = client.post(
        f"{API}/cases/{found['incident']}/attachments", files={"file": ("a.jpg", photo())}
    )
    assert file.status_code == 201, file.text
    found["attachment"] = file.json()["id"]
    return village


@pytest.fixture(scope="module")
def sessions(app: TestClient, engine: Engine, villages: list[Village]) -> dict[str, dict[str, str]]:
    """The headers of an account of each role whose area is the first village."""
    query = text("SELECT id FROM area WHERE code = :code")
    found = {}
    for role in WORKING:
        with engine.begin() as connection:
            area = connection.execute(query, {"code": VILLAGES[OWN]}).scalar_one()
            number = accounts.add(
                connection, f"village-{role}", PASSWORD, [Grant(role, area)], actor="test"
            )
        code = None
        if role in SECOND_FACTOR:
            code = enrolled(engine, number).at(datetime.now(UTC))
        found[role] = bearer(sign_in(app, f"village-{role}", code=code)["token"])
    return found


@pytest.fixture(scope="module")
def engine(town: str, engine: Engine) -> Iterator[Engine]:
    yield engine


def numbered(app: TestClient) -> Iterator[tuple[str, str, str]]:
    """Every operation on a thing that belongs to an area: its name, path and kind of thing."""
    for name in routes(app):
        method, _, path = name.partition(" ")
        inside = path.removeprefix(f"{API}/").removeprefix("/maps/")
        inside = inside.replace("incident/", "incidents/")
        start = re.split(r"/\{(?:number|resource|attachment|visit)\}", inside)[0]
        if start != inside and start in NUMBERED:
            yield method, path, NUMBERED[start]


def ask(
    app: TestClient, method: str, path: str, numbers: dict[str, int], kind: str, headers: Any
) -> Any:
    """The operation on the thing with that number, with the example of its description as body."""
    described = app.app.openapi()["paths"].get(path, {}).get(method.lower(), {})  # type: ignore[attr-defined]
    content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = next(iter(content.get("examples", {}).values()), {}).get("value")
    address = re.sub(r"\{[a-z]+\}", str(numbers.get(kind, 999)), path, count=1)
    address = re.sub(r"\{[a-z]+\}", "1", address)
    return app.request(method, address, json=body, params=QUERY.get(path), headers=headers)


def state(engine: Engine, village: str) -> str:
    """What the rows of a village are now, as one mark."""
    with engine.begin() as connection:
        area = connection.execute(
            text("SELECT id FROM area WHERE code = :code"), {"code": village}
        ).scalar_one()
        connection.execute(text("SET LOCAL ROLE wangge_app"))
        see = text("SELECT set_config('wangge.areas', areas_below(ARRAY[:area])::text, true)")
        connection.execute(see, {"area": area})
        tables = connection.execute(
            text("SELECT relname FROM pg_class WHERE relrowsecurity ORDER BY 1")
        ).scalars()
        marks = [
            connection.execute(text(f"SELECT md5(string_agg(t::text, '' ORDER BY t)) FROM {n} t"))
            for n in tables
            if n != "event"
        ]
        return str([mark.scalar() for mark in marks])


@pytest.mark.parametrize("role", WORKING)
def test_what_is_elsewhere_is_not_there_and_stays_as_it_is(
    app: TestClient, engine: Engine, villages: list[Village],
    sessions: dict[str, dict[str, str]], role: str,
) -> None:  # fmt: skip
    before = state(engine, VILLAGES[OTHER])
    asked = 0
    for method, path, kind in numbered(app):
        permission = routes(app)[f"{method} {path}"]
        answer = ask(app, method, path, villages[OTHER].numbers, kind, sessions[role])
        if permission not in ROLES[role]:
            assert answer.status_code == 403, (method, path, answer.text)
            continue
        asked += 1
        # An example that is wrong for the thing itself is told so first.
        assert answer.status_code in (404, 422), (method, path, answer.text)
        if method == "GET":
            assert answer.status_code == 404, (path, answer.text)
    assert asked > 5 or role == "planner"
    assert state(engine, VILLAGES[OTHER]) == before


@pytest.mark.parametrize("role", WORKING)
def test_what_is_here_is_shown(
    app: TestClient, villages: list[Village], sessions: dict[str, dict[str, str]], role: str
) -> None:
    for method, path, kind in numbered(app):
        demanded, numbers = routes(app)[f"{method} {path}"], villages[OWN].numbers
        if method == "GET" and demanded in ROLES[role] and kind in numbers:
            answer = ask(app, method, path, numbers, kind, sessions[role])
            # Nothing was done about the warning yet, so there is no effect to tell of.
            shown = 409 if path.endswith("/effect") else 200
            assert answer.status_code == shown, (path, answer.text)


@pytest.mark.parametrize(
    ("path", "rows", "kind"),
    [("incidents", "incidents", "incident"), ("cases", "cases", "incident"),
     ("resources", "resources", "resource"), ("visits/plans", "plans", "plan"),
     ("deployments", "deployments", "deployment"), ("watched", "places", "watched"),
     ("warnings", "warnings", "warning")],
)  # fmt: skip
def test_lists_hold_what_is_here(
    app: TestClient, client: TestClient, villages: list[Village],
    sessions: dict[str, dict[str, str]], path: str, rows: str, kind: str,
) -> None:  # fmt: skip
    def numbers(asker: TestClient, headers: dict[str, str]) -> set[int]:
        answer = asker.get(f"{API}/{path}", headers=headers)
        assert answer.status_code == 200, answer.text
        return {row.get("id") or row["number"] for row in answer.json()[rows]}

    here, there = (village.numbers[kind] for village in villages)
    assert {here, there} <= numbers(client, {})
    own = numbers(app, sessions["dispatcher"])
    assert here in own and there not in own


def test_a_report_is_taken_in_wherever_it_happened(
    app: TestClient, client: TestClient, villages: list[Village], sessions: dict[str, Any]
) -> None:
    body = {"source": "test", "external_id": "across", **villages[OTHER].at}
    headers = sessions["grid_worker"]
    sent = app.post(f"{API}/reports", json=body, headers=headers)
    assert sent.status_code == 201, sent.text
    number = sent.json()["id"]
    assert client.get(f"{API}/reports/{number}").status_code == 200
    assert app.get(f"{API}/reports/{number}", headers=headers).status_code == 404


def list_of_events(app: TestClient, headers: dict[str, str]) -> list[dict[str, Any]]:
    query = {"after": 0, "limit": 1000}
    told = app.get(
        f"{API}/events", params=query, headers=headers | {"Accept": "application/json"}
    ).json()
    return list(told["events"])


def test_events_are_told_where_they_happened(
    app: TestClient, villages: list[Village], sessions: dict[str, Any]
) -> None:
    told = list_of_events(app, sessions["dispatcher"])
    here, there = (village.numbers["incident"] for village in villages)
    incidents = {event["incident"] for event in told}
    assert here in incidents and there not in incidents
    assert {e["area"]["code"] for e in told} <= {VILLAGES[OWN], SCHOOL, *GRIDS[:4]}


def test_nothing_is_given_to_elsewhere(
    app: TestClient, villages: list[Village], sessions: dict[str, Any]
) -> None:
    headers = sessions["dispatcher"]
    here, there = villages
    given = {"source": "test", "kind": "grid_lead", "name": "第009网格 网格长"}
    place = {"source": "test", "kind": "site", "name": "工地"}
    for path, body in (
        ("resources", given | {"external_id": "new", "area": there.grid, **there.at}),
        ("resources", given | {"external_id": VILLAGES[OTHER], "area": here.grid, **here.at}),
        ("watched", place | {"external_id": "new", **there.at}),
        ("watched", place | {"external_id": VILLAGES[OTHER], **here.at}),
    ):
        sent = app.post(f"{API}/{path}", json=body, headers=headers)
        assert sent.status_code == 403, (path, sent.status_code, sent.text)
        assert sent.json()["type"] == "/problems/outside-areas"


def test_a_token_of_an_area_is_held_to_it(client: TestClient, app: TestClient) -> None:
    body = {"name": "a village's", "permissions": ["case.read"], "area": f"village:{VILLAGES[OWN]}"}
    headers = bearer(made(client, "tokens", body)["token"])
    seen = app.get(f"{API}/cases", headers=headers).json()["cases"]
    assert seen and {case["area"]["code"] for case in seen} <= set(GRIDS[:4])


def test_who_is_called_sees_the_case_and_no_other_of_its_area(
    app: TestClient, client: TestClient, engine: Engine, villages: list[Village],
    sessions: dict[str, Any],
) -> None:  # fmt: skip
    """The police by their organisation, the fire station by its area; each only what it must."""
    there = villages[OTHER]
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO organisation (code, name, role, area_id)"
                " SELECT 'fire', '消防站', 'other', id FROM area WHERE code = :code"
            ),
            {"code": VILLAGES[OWN]},
        )
    body = {"name": "police", "permissions": list(ROLES["dispatcher"]), "organisation": "police",
            "area": f"village:{VILLAGES[OWN]}"}  # fmt: skip
    police = bearer(made(client, "tokens", body)["token"])
    case, whistle = there.numbers["incident"], there.numbers["whistle"]
    other = made(client, "reports", {"source": "test", "external_id": "next door", **there.at})

    def see(headers: Any) -> set[int]:
        paths = (f"cases/{case}", f"cases/{case}/timeline", f"whistles/{whistle}",
                 f"reports/{case}", f"incidents/{case}/clocks")  # fmt: skip
        assert app.get(f"{API}/cases/{other['id']}", headers=headers).status_code == 404
        return {app.get(f"{API}/{path}", headers=headers).status_code for path in paths}

    def decides(headers: Any) -> None:
        step = {"action": "resolve", "reason": "已处理"}
        refused = app.post(f"{API}/cases/{case}/steps", json=step, headers=headers)
        assert refused.status_code == 403, refused.text
        assert refused.json()["type"] == "/problems/case-not-accountable"

    def let_off(code: str) -> None:
        called = client.get(f"{API}/whistles/{whistle}").json()["calls"]
        [call] = [call["id"] for call in called if call["organisation"] == code]
        steps = f"whistles/{whistle}/calls/{call}/steps"
        made(client, steps, {"action": "decline", "reason": "不属本单位职责", "acting": code})
        made(client, steps, {"action": "release", "acting": "town"})

    dispatcher = sessions["dispatcher"]
    assert see(police) == {200} and see(dispatcher) == {404}
    decides(police)  # to see it is not to decide on it
    [call] = client.get(f"{API}/whistles/{whistle}").json()["calls"]
    steps = f"{API}/whistles/{whistle}/calls/{call['id']}/steps"
    assert app.post(steps, json={"action": "sign"}, headers=police).status_code == 201
    let_off("police")
    assert see(police) == {404}
    made(client, f"whistles/{whistle}/calls", {"organisation": "fire", "acting": "town"})
    assert see(dispatcher) == {200}
    number_all(engine)
    told = list_of_events(app, dispatcher)
    assert {e["kind"] for e in told if e["incident"] == case} == {"whistle.called"}
    decides(dispatcher)
    let_off("fire")
    assert see(dispatcher) == {404}
