"""Over HTTP: a reporter is asked something and answers by the link or the telephone."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from api import examples
from api.schemas_questions import Noted, QuestionPut, Questions
from api.schemas_return_visits import Followed
from tests.api.test_return_visits import API, ask, do, report, reporter, told

QUESTION = {"question": "漏水从几点开始？"}


def asked(client: TestClient) -> tuple[int, str, int]:
    """A case whose reporter is asked something: its number, their link, the question's number."""
    number, link = report(client, reporter=reporter())
    [question] = ask(client, "POST", f"/cases/{number}/questions", Questions, QUESTION, 201)[
        "questions"
    ]
    return number, link, question["id"]


def clock(client: TestClient, number: int) -> Any:
    [found] = client.get(f"{API}/incidents/{number}/clocks").json()["clocks"]
    return found


@pytest.fixture(scope="module", autouse=True)
def service_time(client: TestClient) -> None:
    rule = {"clock": "case.handle", "amount": 7, "unit": "working_days", "reason": "一般事项"}
    put = client.put(f"{API}/service-times", json=rule)
    assert put.is_success, put.text


def test_a_reporter_answers_by_the_link_and_the_time_goes_on(client: TestClient) -> None:
    number, link, _ = asked(client)
    assert clock(client, number)["state"] == "paused"
    [wanted] = ask(client, "GET", f"/follow/{link}", Followed)["questions"]
    assert (wanted["words"], wanted["open"]) == (QUESTION["question"], True)
    body = {"answer": "半夜 <b>"}
    seen = ask(client, "POST", f"/follow/{link}/reply", Followed, body)
    assert [(q["open"], q["answer"]) for q in seen["questions"]] == [(False, "半夜 <b>")]
    assert clock(client, number)["state"] == "running"
    [kept] = ask(client, "GET", f"/cases/{number}/questions", Questions)["questions"]
    assert (kept["outcome"], kept["answered_by"], kept["report"]) == (
        "answered", "reporter", number,
    )  # fmt: skip
    entries = client.get(f"{API}/cases/{number}/timeline").json()["entries"]
    assert [e["action"] for e in entries] == ["open", "ask", "reply"]
    told(client.post(f"{API}/follow/{link}/reply", json=body), 409, "no-question")


def test_the_office_notes_what_was_said_on_the_telephone(client: TestClient) -> None:
    number, _, question = asked(client)
    path = f"/cases/{number}/questions/{question}/answer"
    done = ask(client, "POST", path, Questions, {"answer": "半夜"}, 201)
    assert done["questions"][0]["answered_by"] == "api"
    assert clock(client, number)["state"] == "running"
    told(client.post(f"{API}{path}", json={"answer": "半夜"}), 409, "question-ended")


def test_the_page_asks_and_shows_what_was_answered(client: TestClient) -> None:
    _, link, _ = asked(client)
    page = client.get(f"/follow/{link}").text
    assert QUESTION["question"] in page and 'id="reply"' in page and 'id="answer"' not in page
    client.post(f"{API}/follow/{link}/reply", json={"answer": "半夜 <b>"})
    page = client.get(f"/follow/{link}?lang=en").text
    assert "You answered: 半夜 &lt;b&gt;" in page and 'id="reply"' not in page


def test_what_cannot_be_asked_says_why(client: TestClient) -> None:
    nobody, link = report(client)
    told(client.post(f"{API}/cases/{nobody}/questions", json=QUESTION), 409, "nobody-to-ask")
    told(client.post(f"{API}/follow/{link}/reply", json={"answer": "x"}), 409, "no-question")
    number, link, question = asked(client)
    again = client.post(f"{API}/cases/{number}/questions", json=QUESTION)
    assert told(again, 409, "question-open")["question"] == question
    told(client.post(f"{API}/follow/{link}/reply", json={"answer": " "}), 422, "reason-missing")
    path = f"{API}/cases/{nobody}/questions/{question}/answer"
    told(client.post(path, json={"answer": "x"}), 404, "question-unknown")
    told(client.get(f"{API}/cases/999999/questions"), 404, "case-unknown")
    do(client, number, "resolve")
    closed = client.post(f"{API}/cases/{number}/questions", json=QUESTION)
    told(closed, 409, "case-not-allowed")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("questions", Questions), ("question_request", QuestionPut), ("reply_request", Noted)],
)
def test_examples_are_what_the_description_says(name: str, shape: Any) -> None:
    example = examples.of(name)
    values = [e["value"] for e in example.values()] if name.endswith("_request") else [example]
    for value in values:
        TypeAdapter(shape).validate_python(value)
