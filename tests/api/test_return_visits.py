"""Over HTTP: who reported it, the link they follow, return visits, attachments, and their data."""

import io
from itertools import count
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from pydantic import TypeAdapter
from sqlalchemy import Engine, text

from api import examples
from api.schemas_people import (
    Erased,
    Exported,
    Found,
    Parties,
    Party,
    PartyGiven,
    RetentionGiven,
    Retentions,
    Wanted,
    Why,
)
from api.schemas_return_visits import (
    AllDue,
    Attachment,
    Attachments,
    Due,
    Followed,
    Said,
    Stands,
    Tried,
    Visits,
)
from tests.api.conftest import SOUTH, STEP, WEST
from tests.data.test_pictures import gps, photo

API = "/api/v1"
PLACE = {"lon": WEST + 0.2 * STEP, "lat": SOUTH + 0.2 * STEP, "datum": "wgs84"}
_serial = count(1)


def reporter() -> dict[str, str]:
    return {"name": "张某某", "phone": f"139 0000 {next(_serial):04}"}


def report(client: TestClient, **more: Any) -> tuple[int, str]:
    """A report's number and the end of its link."""
    sent = client.post(f"{API}/reports", json={"source": "hotline", **PLACE, **more})
    assert sent.status_code == 201, sent.text
    return int(sent.json()["id"]), sent.json()["follow"].rsplit("/", 1)[1]


def do(client: TestClient, number: int, action: str) -> Any:
    body = {"action": action, "reason": "已修好"}
    answer = client.post(f"{API}/cases/{number}/steps", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def ask(client: TestClient, method: str, path: str, shape: Any, body: Any = None,
        status: int = 200) -> Any:  # fmt: skip
    answer = client.request(method, f"{API}{path}", json=body)
    assert answer.status_code == status, answer.text
    TypeAdapter(shape).validate_json(answer.content)
    return answer.json()


def told(answer: Any, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"/problems/{kind}"
    return dict(answer.json())


def stage(client: TestClient, number: int) -> str:
    return str(client.get(f"{API}/cases/{number}").json()["stage"])


# --- who reported it ------------------------------------------------------------------------------


def test_who_reports_is_kept_sealed_and_shown_masked(client: TestClient, engine: Engine) -> None:
    given = {"name": "张某某", "phone": "138 1234 5678", "identity": "44060019900101123X"}
    sent = {"source": "hotline", "external_id": "sealed", **PLACE, "reporter": given}
    answer = client.post(f"{API}/reports", json=sent)
    assert answer.status_code == 201 and "张某某" not in answer.text
    again = client.post(f"{API}/reports", json=sent)
    assert again.json()["follow"] == answer.json()["follow"]
    number = answer.json()["id"]
    [party] = ask(client, "GET", f"/cases/{number}/parties", Parties)["parties"]
    assert (party["role"], party["name"], party["report"]) == ("reporter", "张**", number)
    with engine.connect() as connection:
        plain = connection.execute(text("SELECT data::text FROM event")).scalars()
        assert not [each for each in plain if "张某某" in each or "5678" in each]
    seen = ask(client, "POST", f"/cases/{number}/parties/{party['id']}/reveal", Party,
               {"reason": "核实位置"})  # fmt: skip
    assert seen["phone"] == "138 1234 5678"
    last = client.get(f"{API}/cases/{number}/timeline").json()["entries"][-1]
    assert (last["action"], last["reason"]) == ("note", "核实位置")


def test_parties_are_added_and_withdrawn(client: TestClient) -> None:
    number, _ = report(client)
    body = {"role": "witness", "name": "李某"}
    path = f"/cases/{number}/parties"
    [party] = ask(client, "POST", path, Parties, body, 201)["parties"]
    gone = ask(client, "POST", f"{path}/{party['id']}/withdraw", Parties, {"reason": "登记错误"})
    assert gone["parties"][0]["withdrawn"] is not None
    told(client.post(f"{API}{path}/999/reveal", json={"reason": "x"}), 404, "party-unknown")
    told(client.post(f"{API}{path}/{party['id']}/reveal", json={"reason": " "}), 422,
         "reason-missing")  # fmt: skip
    told(client.post(f"{API}{path}", json={"phone": "x"}), 422, "person-invalid")
    told(client.get(f"{API}/cases/999999/parties"), 404, "case-unknown")
    wrong = {"source": "hotline", **PLACE, "reporter": {}}
    told(client.post(f"{API}/reports", json=wrong), 422, "person-invalid")


# --- by link --------------------------------------------------------------------------------------


def test_a_reporter_follows_and_answers_by_the_link(client: TestClient) -> None:
    number, link = report(client, reporter=reporter())
    seen = ask(client, "GET", f"/follow/{link}", Followed)
    assert (seen["number"], seen["stage"], seen["asked"]) == (number, "received", False)
    said = client.post(f"{API}/follow/{link}/answer", json={"solved": True})
    assert told(said, 409, "not-asked")["stage"] == "received"
    do(client, number, "assign")
    do(client, number, "accept")
    do(client, number, "return")
    assert ask(client, "GET", f"/follow/{link}", Followed)["stage"] == "in_work"  # no step back
    assert do(client, number, "resolve")["stage"] == "return_visit"
    seen = ask(client, "GET", f"/follow/{link}", Followed)
    assert (seen["asked"], seen["result"], seen["words"]["zh"][:3]) == (True, "已修好", "已办理")
    body = {"solved": False, "satisfaction": 1, "comment": "还在漏水"}
    seen = ask(client, "POST", f"/follow/{link}/answer", Followed, body)
    assert (seen["stage"], seen["result"], seen["answer"]["solved"]) == ("reopened", None, False)
    assert stage(client, number) == "triaged"
    do(client, number, "resolve")
    assert ask(client, "GET", f"/follow/{link}", Followed)["asked"]
    seen = ask(client, "POST", f"/follow/{link}/answer", Followed, {"solved": True})
    assert (seen["stage"], seen["may_answer"], seen["asked"]) == ("closed", True, False)
    [first, second] = ask(client, "GET", f"/cases/{number}/visits", Visits)["visits"]
    assert (first["solved"], second["solved"]) == (False, True)


def test_a_link_that_was_changed_leads_nowhere(client: TestClient) -> None:
    number, link = report(client, reporter=reporter())
    other, _ = report(client)
    secret = link.partition("-")[2]
    for wrong in (f"{other}-{secret}", f"{number}-{'a' * 24}", f"0{link}", secret, f"{link}a",
                  f"{10**19}-{secret}", "%E7%BD%91"):  # fmt: skip
        told(client.get(f"{API}/follow/{wrong}"), 404, "follow-unknown")
        sent = client.post(f"{API}/follow/{wrong}/answer", json={"solved": True})
        told(sent, 404, "follow-unknown")
        page = client.get(f"/follow/{wrong}")
        assert page.status_code == 404 and "链接无效" in page.text


def test_the_page_of_the_link_speaks_plainly_and_names_nobody(client: TestClient) -> None:
    number, link = report(client, reporter=reporter(), kind="<b>井盖</b>")
    page = client.get(f"/follow/{link}")
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "已收到" in page.text and 'id="answer"' not in page.text
    do(client, number, "resolve")
    page = client.get(f"/follow/{link}?lang=en")
    assert 'id="answer"' in page.text and "Is it solved?" in page.text
    assert f'"/api/v1/follow/{link}"' in page.text
    for never in ("张某某", "<b>井盖", "http://", "https://", "综治", "hotline"):
        assert never not in page.text
    client.post(f"{API}/follow/{link}/answer", json={"solved": True, "satisfaction": 4})
    assert "您已确认：已经解决" in client.get(f"/follow/{link}").text


# --- by telephone ---------------------------------------------------------------------------------


def test_the_call_desk_claims_calls_and_says_what_came_of_it(client: TestClient) -> None:
    who = reporter()
    number, link = report(client, reporter=who)
    do(client, number, "resolve")
    due = ask(client, "GET", "/visits/return/due", AllDue)["visits"]
    [visit] = [each for each in due if each["number"] == number]
    assert "****" in visit["phone"] and who["phone"] not in str(due)
    path = f"/visits/return/{visit['id']}"
    assert ask(client, "POST", f"{path}/claim", Due)["phone"] == who["phone"]
    told(client.post(f"{API}{path}/tries", json={"outcome": "reached"}), 422, "answer-missing")
    body = {"outcome": "reached", "solved": True, "satisfaction": 5}
    stands = ask(client, "POST", f"{path}/tries", Stands, body, 201)
    assert stands == {"case": number, "stage": "closed"}
    told(client.post(f"{API}{path}/tries", json=body), 409, "visit-ended")
    told(client.post(f"{API}/visits/return/99999/claim"), 404, "return-visit-unknown")
    assert client.get(f"{API}/follow/{link}").json()["stage"] == "closed"


def test_a_call_that_somebody_else_makes_is_theirs(client: TestClient, engine: Engine) -> None:
    number, _ = report(client, reporter=reporter())
    do(client, number, "resolve")
    [visit] = ask(client, "GET", f"/cases/{number}/visits", Visits)["visits"]
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE return_visit SET claimed_by = 'desk 2', claimed_until = now() +"
                 " interval '9 minutes' WHERE id = :id"), {"id": visit["id"]},
        )  # fmt: skip
    answer = client.post(f"{API}/visits/return/{visit['id']}/claim")
    assert told(answer, 409, "visit-claimed")["actor"] == "desk 2"


# --- attachments ----------------------------------------------------------------------------------


def attach(client: TestClient, number: int, content: bytes, **form: Any) -> Any:
    path = f"{API}/cases/{number}/attachments"
    return client.post(path, files={"file": (form.pop("name", "现场.HTML"), content)}, data=form)


def test_a_photo_is_kept_once_offers_its_place_and_betrays_nothing(
    client: TestClient, engine: Engine
) -> None:
    number, _ = report(client)
    sent = photo(gps=gps((23.0, 0.0, 10.08), (113.0, 6.0, 18.36)))
    made = attach(client, number, sent, note="路口")
    assert made.status_code == 201, made.text
    TypeAdapter(Attachment).validate_json(made.content)
    shown = made.json()
    assert (shown["name"], shown["media_type"], shown["note"]) == ("现场.jpg", "image/jpeg", "路口")
    assert shown["taken"] == {"lon": 113.1051, "lat": 23.0028, "datum": "wgs84"}
    raw = client.post(f"{API}/cases/{number}/attachments", content=sent, params={"name": "b.jpg"})
    assert raw.json()["sha256"] == shown["sha256"]
    file = client.get(shown["href"])
    assert file.headers["content-type"] == "image/jpeg" and b"SECRET" not in file.content
    assert file.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%E7%8E%B0")
    assert "sandbox" in file.headers["content-security-policy"]
    assert file.headers["x-content-type-options"] == "nosniff"
    with Image.open(io.BytesIO(file.content)) as picture:
        assert picture.size == (40, 20)
    stored = "SELECT count(*) FROM stored_file WHERE encode(sha256, 'hex') = :sha256"
    for left, each in ((1, shown), (0, raw.json())):
        with engine.connect() as connection:
            assert connection.execute(text(stored), {"sha256": shown["sha256"]}).scalar() == 1
        rest = ask(client, "POST", f"/attachments/{each['id']}/withdraw", Attachments,
                   {"reason": "拍到人脸"})  # fmt: skip
        assert len(rest["attachments"]) == left
        told(client.get(each["href"]), 404, "attachment-unknown")
    with engine.connect() as connection:
        assert connection.execute(text(stored), {"sha256": shown["sha256"]}).scalar() == 0
    assert ask(client, "GET", f"/cases/{number}/attachments", Attachments)["attachments"] == []


def test_files_that_are_not_what_they_seem_are_refused(client: TestClient) -> None:
    number, _ = report(client)
    script = b"<script>alert(1)</script>"
    refused = attach(client, number, script, name="photo.jpg")
    assert "By its content" in told(refused, 422, "attachment-refused")["detail"]
    path = f"{API}/cases/{number}/attachments"
    told(client.post(path, content=b"", headers={"Content-Type": "image/jpeg"}), 422,
         "attachment-refused")  # fmt: skip
    told(client.post(path, data={"note": "x"}, files={"other": b"x"}), 422, "attachment-refused")
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    told(client.post(path, content=b"--y", headers=broken), 422, "attachment-refused")
    told(attach(client, 999_999, photo()), 404, "case-unknown")
    told(client.get(f"{API}/attachments/99999"), 404, "attachment-unknown")


def test_two_gigabytes_are_refused_before_they_are_read(client: TestClient) -> None:
    number, _ = report(client)
    path = f"{API}/cases/{number}/attachments"
    announced = {"Content-Length": "2000000000", "Content-Type": "image/jpeg"}
    told(client.post(path, content=b"", headers=announced), 413, "too-large")
    within = b"\xff\xd8\xff" + bytes(15_000_000)
    told(client.post(path, content=within), 422, "attachment-refused")  # more than other bodies
    over = b"\xff\xd8\xff" + bytes(20_000_000)
    told(client.post(path, content=over), 413, "too-large")


# --- their data -----------------------------------------------------------------------------------


def test_one_person_is_found_exported_and_erased(client: TestClient) -> None:
    who = reporter()
    closed, link = report(client, reporter=who)
    still, _ = report(client, reporter=who)
    do(client, closed, "resolve")
    client.post(f"{API}/follow/{link}/answer", json={"solved": True, "satisfaction": 5})
    wanted = {"phone": "+86" + who["phone"].replace(" ", ""), "reason": "本人申请"}
    found = ask(client, "POST", "/people/find", Found, wanted)["parties"]
    assert [each["case"] for each in found] == [closed, still] and found[0]["name"] == "张**"
    data = ask(client, "POST", "/people/export", Exported, wanted)
    assert data["parties"][0]["name"] == "张某某" and data["visits"][0]["satisfaction"] == 5
    gone = ask(client, "POST", "/people/erase", Erased, wanted)
    assert (gone["cases"], gone["held"], gone["parties"]) == ([closed], [still], 1)
    [party] = ask(client, "GET", f"/cases/{closed}/parties", Parties)["parties"]
    assert party["name"] is None and party["erased"] is not None
    told(client.post(f"{API}/people/find", json={"reason": "x"}), 422, "person-invalid")
    both = {"phone": "13800000000", "identity": "12345678", "reason": "x"}
    told(client.post(f"{API}/people/find", json=both), 422, "person-invalid")
    told(client.post(f"{API}/people/erase", json={**wanted, "reason": ""}), 422, "reason-missing")


def test_periods_of_retention_are_set_and_taken_away(client: TestClient) -> None:
    body = {"days": 30, "reason": "制度"}
    [period] = ask(client, "PUT", "/people/retention", Retentions, body)["periods"]
    assert (period["kind"], period["days"]) == (None, 30)
    told(client.put(f"{API}/people/retention", json={**body, "kind": "none"}), 422, "kind-unknown")
    assert ask(client, "DELETE", "/people/retention", Retentions)["periods"] == []
    told(client.delete(f"{API}/people/retention"), 404, "retention-unknown")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("party_request", PartyGiven), ("withdraw_request", Why), ("reveal_request", Why),
        ("person_request", Wanted), ("retention_request", RetentionGiven),
        ("return_try_request", Tried), ("answer_request", Said),
    ],
)  # fmt: skip
def test_examples_of_requests_are_what_the_description_says(name: str, shape: Any) -> None:
    for example in examples.of(name).values():
        TypeAdapter(shape).validate_python(example["value"])
