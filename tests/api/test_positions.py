"""Positions over HTTP: batches, phones as they really send, devices and tracks."""

import base64
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine, create_engine, text

from api.schemas_positions import Device, Devices, Track, Verdicts
from gis import datum as datums
from tests.people import add as add_resource

LON, LAT = 113.1100, 23.0100
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def engine(town: str) -> Iterator[Engine]:
    made = create_engine(town)
    yield made
    made.dispose()


@pytest.fixture
def who(engine: Engine) -> int:
    with engine.begin() as connection:
        return add_resource(connection)


@pytest.fixture
def phone(client: TestClient, who: int) -> str:
    """The name of the resource's phone."""
    made = client.post(f"/api/v1/resources/{who}/devices")
    assert made.status_code == 201
    return str(made.json()["name"])


def ago(seconds: float = 0) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=seconds)


def fix(who: int | None, seconds: float = 0, **more: Any) -> dict[str, Any]:
    at = ago(seconds).isoformat()
    given = {"resource_id": who, "lon": LON, "lat": LAT, "datum": "wgs84", "at": at}
    return {**given, "accuracy_m": 10, **more}


def send(client: TestClient, *fixes: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/api/v1/positions", content=json.dumps(fixes), headers=JSON)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def told(answer: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(one["verdict"], one["reason"]) for one in answer["verdicts"]]


def track(client: TestClient, who: int, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(f"/api/v1/resources/{who}/track", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["fixes"])


# --- batches --------------------------------------------------------------------------------------


def test_each_fix_of_a_batch_gets_a_verdict(client: TestClient, engine: Engine, who: int) -> None:
    with engine.begin() as connection:
        other = add_resource(connection, source="hr", external_id="A-0042")
    x, y = (float(v) for v in datums.from_wgs84(LON, LAT, "bd09"))
    client.put("/api/v1/devices/patrol/car-7", json={"resource_id": who})
    there = fix(None, 60, external={"source": "hr", "external_id": "A-0042"})
    answer = send(
        client,
        there,
        there,
        fix(None, 30, device="patrol/car-7", lon=x, lat=y, datum="bd09", source="fleet"),
        fix(who, 60),
        fix(who, -3600),
        fix(who, 10, lon=LON + 3),
        fix(who, 9, lon=LAT, lat=LON),
        fix(who, 8, lon=float("nan")),
        fix(who, 7, datum=None),
        fix(who, 6, accuracy_m=-1),
        fix(None, 5, device="lost"),
    )
    assert told(answer) == [
        ("taken", None), ("known", None), ("taken", None), ("taken", None), ("refused", "future"),
        ("refused", "jump"), ("refused", "swapped"), ("refused", "not_a_number"),
        ("refused", "unknown_datum"), ("refused", "accuracy"), ("refused", "unknown_device"),
    ]  # fmt: skip
    assert answer["counts"] == {"taken": 3, "late": 0, "known": 1, "refused": 7}
    assert set(answer["what_to_do"]) == {reason for _, reason in told(answer) if reason}
    assert [one["resource_id"] for one in answer["verdicts"][:3]] == [other, other, who]
    assert told(send(client, fix(who, 90))) == [("late", None)]
    first, _, last, jumped = track(client, who)
    assert first["at"] < last["at"] < jumped["at"]
    assert (last["source"], jumped["refused"]) == ("fleet", "jump")
    assert last["position"] == {"lon": x, "lat": y, "datum": "bd09"}
    assert (last["lon"], last["lat"]) == pytest.approx((LON, LAT), abs=1e-6)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"lon": "east"}, "1.lon"),
        ({"at": "2026-03-02T08:15:00"}, "1.at"),
        ({"device": "and a resource"}, "1"),
        ({"resource_id": None}, "1"),
        ({"speed": 3}, "1.speed"),
    ],
)
def test_a_malformed_batch_names_the_fix_at_fault(
    client: TestClient, who: int, wrong: dict[str, Any], field: str
) -> None:
    answer = client.post("/api/v1/positions", json=[fix(who), fix(who, 5) | wrong])
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert track(client, who) == []


def test_a_batch_has_a_size(client: TestClient, who: int) -> None:
    for batch in ([], [fix(who)] * 10_001):
        answer = client.post("/api/v1/positions", json=batch)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/validation")


# --- OwnTracks ------------------------------------------------------------------------------------


def android(at: datetime, **more: Any) -> dict[str, Any]:
    """As the app for Android sends it."""
    return {
        "_type": "location", "tid": "hw", "acc": 22, "batt": 75, "conn": "w", "lat": LAT,
        "lon": LON, "tst": int(at.timestamp()), **more,
    }  # fmt: skip


def ios(at: datetime, user: str) -> str:
    """As the app for iOS sends it, which escapes slashes and names itself in the topic."""
    return (
        f'{{"batt":42,"lon":{LON},"acc":65,"vac":10,"topic":"owntracks\\/{user}\\/6A1C",'
        f'"lat":{LAT},"t":"u","conn":"w","tst":{int(at.timestamp())},"alt":8,"_type":"location",'
        '"tid":"6p"}'
    )


def owntracks(client: TestClient, body: Any, query: str = "", **headers: str) -> str:
    """Post it; the answer is always the one that the app expects. Returns the verdict."""
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    answer = client.post(f"/api/v1/owntracks{query}", content=content, headers=JSON | headers)
    assert (answer.status_code, answer.content) == (200, b"[]")
    return str(answer.headers.get("x-verdict", ""))


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:secret".encode()).decode()


def test_owntracks_names_its_device_in_many_ways(client: TestClient, who: int, phone: str) -> None:
    at = iter(range(600, 0, -60))
    headers = {"X-Limit-U": phone, "X-Limit-D": "phone"}
    assert owntracks(client, android(ago(next(at))), **headers) == "taken"
    assert owntracks(client, android(ago(next(at))), Authorization=basic(phone)) == "taken"
    assert owntracks(client, android(ago(next(at))), f"?u={phone}&d=phone") == "taken"
    assert owntracks(client, android(ago(next(at))), f"?d={phone}") == "taken"
    assert owntracks(client, ios(ago(next(at)), phone)) == "taken"
    client.put("/api/v1/devices/jane/phone", json={"resource_id": who})
    topic = {"topic": "owntracks/jane/phone"}
    assert owntracks(client, android(ago(next(at)), **topic)) == "taken"
    fixes = track(client, who)
    assert [one["accuracy_m"] for one in fixes] == [22, 22, 22, 22, 65, 22]
    assert {(one["source"], one["position"]["datum"]) for one in fixes} == {("owntracks", "wgs84")}


def test_owntracks_again_and_late(client: TestClient, who: int, phone: str) -> None:
    message = android(ago(60))
    headers = {"X-Limit-U": phone}
    assert [owntracks(client, message, **headers) for _ in range(2)] == ["taken", "known"]
    assert owntracks(client, android(ago(300)), **headers) == "late"
    assert len(track(client, who)) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff",
        b"3",
        {},
        {"_type": "lwt", "tst": 1380738247},
        {"_type": "waypoint", "desc": "Office", "lat": LAT, "lon": LON, "rad": 50, "tst": 1},
        {"_type": "transition", "wtst": 1, "lat": LAT, "lon": LON, "tst": 2, "acc": 130,
         "tid": "JP", "event": "enter", "desc": "Office", "t": "b"},
        {"_type": "status", "iOS": {"version": "18.3.2"}, "topic": "owntracks/a/b/status"},
        {"_type": "encrypted", "data": "ssdfkjhsdkflgjh ewriutydkfjgvbdksfjghdkfjghdf==="},
        {"_type": "dump"},
    ],
)  # fmt: skip
def test_what_else_owntracks_sends_is_accepted(client: TestClient, phone: str, body: Any) -> None:
    assert owntracks(client, body, **{"X-Limit-U": phone}) == ""


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"tst": int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())}, "future"),
        ({"tst": 1e300}, "incomplete"),
        ({"tst": None}, "incomplete"),
        ({"tst": 0}, "too_old"),
        ({"lat": None}, "incomplete"),
        ({"lat": 10**400}, "incomplete"),
        ({"lon": float("nan")}, "not_a_number"),
        ({"lat": "23.01", "lon": "113.11"}, "taken"),  # of old versions
        ({"lat": 0, "lon": 0}, "null_island"),
        ({"acc": -1}, "accuracy"),
        ({"topic": "owntracks/\u0000/\ud800"}, "taken"),
    ],
)
def test_owntracks_with_odd_values(
    client: TestClient, phone: str, change: dict[str, Any], verdict: str
) -> None:
    message = android(ago(60), **change)
    assert owntracks(client, message, **{"X-Limit-U": phone}) == verdict


def test_an_unknown_phone_is_answered_and_can_be_seen(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "wangge.phones"):
        assert owntracks(client, ios(ago(), "stranger")) == "unknown_device"
    assert "stranger/6A1C" in caplog.text
    assert owntracks(client, android(ago()), Authorization="Basic ???") == "unknown_device"


# --- Traccar's OsmAnd protocol --------------------------------------------------------------------


def osmand(client: TestClient, **query: Any) -> list[tuple[str, str | None]]:
    answer = client.get("/api/v1/osmand", params=query)
    assert answer.status_code == 200, answer.text
    return told(answer.json())


def test_traccar_client_before_version_9(client: TestClient, who: int, phone: str) -> None:
    seconds = int(ago(60).timestamp())
    query = (
        f"id={phone}&timestamp={seconds}&lat={LAT}&lon={LON}&speed=0.0&bearing=0.0&altitude=12.5"
        "&accuracy=14.2&batt=87.0"
    )
    answer = client.post(f"/api/v1/osmand?{query}")
    assert (answer.status_code, told(answer.json())) == (200, [("taken", None)])
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    again = client.post("/api/v1/osmand", content=query, headers=form)
    assert told(again.json()) == [("known", None)]
    (one,) = track(client, who)
    assert (one["accuracy_m"], one["source"]) == (14.2, "osmand")
    assert datetime.fromisoformat(one["at"]).timestamp() == seconds


def test_times_of_the_osmand_protocol(client: TestClient, who: int, phone: str) -> None:
    moments = [ago(s) for s in (500, 400, 300, 200)]
    forms = [
        str(int(moments[0].timestamp())),
        str(int(moments[1].timestamp() * 1000)),
        moments[2].strftime("%Y-%m-%dT%H:%M:%SZ"),
        moments[3].strftime("%Y-%m-%d %H:%M:%S"),
    ]
    for form in forms:
        assert osmand(client, id=phone, lat=LAT, lon=LON, timestamp=form) == [("taken", None)]
    seen = [datetime.fromisoformat(one["at"]) for one in track(client, who)]
    assert seen == moments
    assert osmand(client, deviceid=phone, location=f"{LAT},{LON}") == [("taken", None)]
    now = datetime.fromisoformat(track(client, who)[-1]["at"])
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


CLIENT_9 = """{"location":{"event":"motionchange","is_moving":false,
"uuid":"0e9a2473-a9a7-4c00-997b-fb97d2154e75","timestamp":"%s","odometer":0,
"coords":{"latitude":23.0100,"longitude":113.1100,"accuracy":3.8,"speed":18.67,
"speed_accuracy":0.26,"heading":63,"heading_accuracy":0.28,"altitude":35.7,"altitude_accuracy":3.8},
"activity":{"type":"still","confidence":100},"battery":{"is_charging":false,"level":0.79},
"extras":{}},"device_id":"%s"}"""


def test_traccar_client_from_version_9_on(client: TestClient, who: int, phone: str) -> None:
    at = ago(60).strftime("%Y-%m-%dT%H:%M:%S.444Z")
    answer = client.post("/api/v1/osmand", content=CLIENT_9 % (at, phone), headers=JSON)
    assert (answer.status_code, told(answer.json())) == (200, [("taken", None)])
    (one,) = track(client, who)
    assert (one["lon"], one["lat"], one["accuracy_m"]) == (LON, LAT, 3.8)
    assert one["at"].startswith(at.removesuffix("Z"))


@pytest.mark.parametrize(
    "query",
    [{}, {"lat": LAT}, {"lat": "", "lon": ""}, {"lat": LAT, "lon": LON, "timestamp": "soon"},
     {"lat": LAT, "lon": LON, "valid": "false"}, {"cell": "257,02,16,2224"}],
)  # fmt: skip
def test_messages_without_a_position_are_accepted(
    client: TestClient, who: int, phone: str, query: dict[str, Any]
) -> None:
    assert osmand(client, id=phone, **query) == [("refused", "incomplete")]
    assert track(client, who) == []


@pytest.mark.parametrize(
    "body", [{}, {"location": None}, {"location": [3]}, {"location": {"coords": 1}}]
)
def test_json_without_a_position_is_accepted(client: TestClient, phone: str, body: Any) -> None:
    answer = client.post("/api/v1/osmand", json={**body, "device_id": phone})
    assert (answer.status_code, told(answer.json())) == (200, [("refused", "incomplete")])


def test_osmand_needs_a_device(client: TestClient) -> None:
    assert osmand(client, id="stranger", lat=LAT, lon=LON) == [("refused", "unknown_device")]
    for answer in (
        client.get("/api/v1/osmand", params={"lat": LAT, "lon": LON}),
        client.post("/api/v1/osmand", json={"location": {}}),
        client.post("/api/v1/osmand", content=b"\xff{", headers=JSON),
        client.get("/api/v1/osmand", params={"id": "a\0b", "lat": LAT, "lon": LON}),
    ):
        assert (answer.status_code, answer.json()["field"]) == (422, "id")


# --- devices --------------------------------------------------------------------------------------


def test_a_phone_is_told_what_to_type(client: TestClient, who: int) -> None:
    made = client.post(f"/api/v1/resources/{who}/devices", headers={"Host": "wangge.example:8443"})
    device = made.json()
    assert len(device["name"]) == 24 and device["resource_id"] == who
    base = "http://wangge.example:8443/api/v1"
    assert device["traccar"] == {
        "url": f"{base}/osmand",
        "id": device["name"],
        "link": f"{base}/osmand?id={device['name']}",
    }
    (inline,) = parse_qs(urlsplit(device["owntracks"]["link"]).query)["inline"]
    setup = json.loads(base64.b64decode(unquote(inline)))
    assert (setup["_type"], setup["mode"]) == ("configuration", 3)
    assert (setup["url"], setup["username"]) == (f"{base}/owntracks", device["name"])
    another = client.post(f"/api/v1/resources/{who}/devices").json()
    assert another["name"] != device["name"]
    listed = client.get(f"/api/v1/resources/{who}/devices").json()["devices"]
    assert [one["name"] for one in listed] == [device["name"], another["name"]]


def test_a_device_changes_hands_and_goes(client: TestClient, engine: Engine, who: int) -> None:
    with engine.begin() as connection:
        other = add_resource(connection)
    url = "/api/v1/devices/unit-9"
    for owner in (who, other):
        assert client.put(url, json={"resource_id": owner}).json()["resource_id"] == owner
        assert osmand(client, id="unit-9", lat=LAT, lon=LON) == [("taken", None)]
    assert len(track(client, who)) == len(track(client, other)) == 1
    assert client.delete(url).status_code == 204
    assert osmand(client, id="unit-9", lat=LAT, lon=LON) == [("refused", "unknown_device")]
    gone = client.delete(url)
    assert (gone.status_code, gone.json()["type"]) == (404, "/problems/device-unknown")


def test_devices_of_nobody(client: TestClient) -> None:
    for answer in (
        client.put("/api/v1/devices/x", json={"resource_id": 10**9}),
        client.post("/api/v1/resources/1000000000/devices"),
        client.get("/api/v1/resources/1000000000/devices"),
        client.get("/api/v1/resources/1000000000/track"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (404, "/problems/resource-unknown")


@pytest.mark.parametrize("name", ["%00", "a%00", "%20x", "a/", "x" * 201])
def test_names_that_no_device_has(client: TestClient, who: int, name: str) -> None:
    answer = client.put(f"/api/v1/devices/{name}", json={"resource_id": who})
    assert (answer.status_code, answer.json()["field"]) == (422, "name")


# --- tracks ---------------------------------------------------------------------------------------


def test_a_track_is_read_page_by_page(client: TestClient, who: int) -> None:
    send(client, *[fix(who, s) for s in range(70, 0, -10)])
    query = {"since": ago(65).isoformat(), "limit": 2}
    page = client.get(f"/api/v1/resources/{who}/track", params=query).json()
    seen = page["fixes"]
    while page["next"]:
        page = client.get(page["next"]).json()
        seen += page["fixes"]
    moments = [one["at"] for one in seen]
    assert len(moments) == 6 and moments == sorted(set(moments))
    assert track(client, who, until=moments[0]) == track(client, who)[:1]


def test_answers_are_what_is_described(client: TestClient, who: int, phone: str) -> None:
    url = f"/api/v1/resources/{who}"
    taken = client.post("/api/v1/positions", json=[fix(who), fix(who, -300)])
    for model, answer in (
        (Verdicts, taken),
        (Verdicts, client.get("/api/v1/osmand", params={"id": phone})),
        (Device, client.post(f"{url}/devices")),
        (Device, client.put(f"/api/v1/devices/{phone}", json={"resource_id": who})),
        (Devices, client.get(f"{url}/devices")),
        (Track, client.get(f"{url}/track")),
    ):
        TypeAdapter(model).validate_json(answer.content)


def test_where_people_were_stays_in_no_cache(client: TestClient, who: int) -> None:
    for path in ("track", "devices"):
        answer = client.get(f"/api/v1/resources/{who}/{path}")
        assert answer.headers["cache-control"] == "no-store"


def test_a_move_is_an_event(client: TestClient, engine: Engine, who: int) -> None:
    send(client, fix(who))
    asked = text("SELECT data FROM event WHERE kind = 'resource.moved' AND resource_id = :who")
    with engine.connect() as connection:
        data = connection.execute(asked, {"who": who}).scalar_one()
    assert (data["lon"], data["lat"], data["accuracy_m"]) == (LON, LAT, 10)
