"""Messages reach whoever behaves, whatever the others do; nothing is lost and nothing is forged."""

import asyncio
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02
from py_vapid.utils import b64urlencode

from api.channels import NotDeliveredError
from api.channels.email import Server, is_mailbox
from api.channels.post import Poster
from api.channels.webhook import signature
from api.worker import Beside
from data.event_kinds import KINDS
from data.settings import ROOT, settings
from tests.api.live import PATIENCE_S, happen, serving, sql, web
from tests.api.receiver import Receiver, is_signed, receiving

HOOK = "/api/v1/subscriptions"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def _configure(patch: pytest.MonkeyPatch, **values: Any) -> None:
    for name, value in values.items():
        patch.setenv(f"WANGGE_{name.upper()}", str(value))
    settings.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def _impatient() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        _configure(patch, webhook_loopback=True, delivery_wait_s=0.02, delivery_timeout_s=1)
        yield
    settings.cache_clear()


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set settings as the environment would, for one test."""
    yield lambda **values: _configure(monkeypatch, **values)
    monkeypatch.undo()
    settings.cache_clear()


@contextmanager
def working(url: str) -> Iterator[str]:
    """The service with a worker beside it."""
    worker = Beside(url)
    worker.start()
    with serving(url) as found:
        yield found
    worker.stop()


@pytest.fixture(scope="module")
def service(database_url: str) -> Iterator[str]:
    with working(database_url) as found:
        yield found


@pytest.fixture(autouse=True)
def _kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "test.happened", "for tests")


@pytest.fixture
def base(service: str, database_url: str) -> Iterator[str]:
    """The service, in which nobody listens yet."""
    yield service
    sql(database_url, "UPDATE subscription SET withdrawn = now() RETURNING 1")


def subscribe(base: str, target: str, **wish: Any) -> dict[str, Any]:
    body = {"channel": "webhook", "target": target, "kinds": ["test.happened"], **wish}
    answer = web.post(f"{base}{HOOK}", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def messages_of(base: str, number: int, state: str | None = None) -> list[dict[str, Any]]:
    asked = {"subscription": number} | ({"state": state} if state else {})
    return list(web.get(f"{base}/api/v1/messages", params=asked).json()["messages"])


def until(found: Callable[[], Any], wanted: Callable[[Any], bool] = bool) -> Any:
    """What is found, once it is what is wanted."""
    for _ in range(int(PATIENCE_S / 0.05)):
        if wanted(value := found()):
            return value
        threading.Event().wait(0.05)
    raise AssertionError(value)


# --- a receiver that behaves ----------------------------------------------------------------------


def test_a_webhook_is_signed_and_says_what_happened(
    base: str, receiver: Receiver, database_url: str
) -> None:
    made = subscribe(base, f"{receiver.url}/fine")
    happen(database_url, 1, incident_id=5)
    [body] = receiver.wait_for("fine", 1)
    [headers], [raw] = receiver.headers["fine"], receiver.raw["fine"]
    assert is_signed(made["secret"], headers, raw)
    assert not is_signed(made["secret"], headers, raw + b" ")
    assert not is_signed("whsec_" + "A" * 43 + "=", headers, raw)
    sent = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert abs((datetime.now(UTC) - sent).total_seconds()) < 60
    assert (body["type"], body["data"]["data"]["n"]) == ("test.happened", 1)
    assert (body["data"]["incident"], body["timestamp"]) == (5, body["data"]["at"])
    [message] = until(lambda: messages_of(base, made["id"], "delivered"))
    assert message["id"] == headers["webhook-id"]
    assert (message["attempts"], message["error"], message["due"]) == (1, None, None)


def test_the_signature_is_the_specifications() -> None:
    """The example of the Standard Webhooks reference implementations."""
    given = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
        b'{"test": 2432232314}',
    )  # fmt: skip
    assert given == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_messages_come_in_order_and_only_those_wished_for(
    base: str, receiver: Receiver, database_url: str
) -> None:
    subscribe(base, f"{receiver.url}/fine")
    happen(database_url, 0, kind="other.happened")
    happen(database_url, *range(1, 41))
    got = receiver.wait_for("fine", 40)
    assert sorted(each["data"]["data"]["n"] for each in got) == list(range(1, 41))
    assert len(set(receiver.ids["fine"])) == 40


def test_a_test_can_be_sent(base: str, receiver: Receiver) -> None:
    made = subscribe(base, f"{receiver.url}/fine")
    answer = web.post(f"{base}{HOOK}/{made['id']}/test")
    assert answer.status_code == 202
    [body] = receiver.wait_for("fine", 1)
    assert body["type"] == "subscription.test"
    followed = web.get(f"{base}{answer.json()['messages']}").json()["messages"]
    assert [each["kind"] for each in followed] == ["subscription.test"]


# --- receivers that do not ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("500", "500: no thank you"),
        ("hang", "no answer within 1 s"),
        ("cut", "The connection failed"),
        ("429", "429"),
        ("nul", "500: brokenoff"),
        ("odd", "503"),
    ],
)
def test_a_receiver_that_fails_is_tried_again_with_the_same_id(
    base: str, receiver: Receiver, database_url: str, path: str, said: str
) -> None:
    made = subscribe(base, f"{receiver.url}/{path}")
    happen(database_url, 1)
    [message] = until(
        lambda: messages_of(base, made["id"], "waiting"), lambda found: found and found[0]["error"]
    )
    assert said in message["error"]
    receiver.mended.add(path)
    receiver.released.set()
    [message] = until(lambda: messages_of(base, made["id"], "delivered"))
    assert set(receiver.ids[path]) == {message["id"]}
    assert message["attempts"] == len(receiver.ids[path]) > 1
    assert len(set(receiver.raw[path])) == 1


@pytest.mark.parametrize("path", ["endless", "trickle"])
def test_an_answer_without_end_is_cut_off(
    base: str, receiver: Receiver, database_url: str, path: str
) -> None:
    """The status says that it was taken; the rest is nobody's business."""
    made = subscribe(base, f"{receiver.url}/{path}")
    happen(database_url, 1)
    [message] = until(lambda: messages_of(base, made["id"], "delivered"))
    assert message["attempts"] == len(receiver.ids[path]) == 1
    assert receiver.written < 10**8


@pytest.mark.parametrize(("path", "tries"), [("400", 3), ("loop", 3), ("500", 5)])
def test_what_is_refused_again_and_again_is_dead_until_a_person_tries_it(
    configure: Callable[..., None], base: str, receiver: Receiver, database_url: str,
    path: str, tries: int,
) -> None:  # fmt: skip
    configure(delivery_tries=5)
    made = subscribe(base, f"{receiver.url}/{path}")
    happen(database_url, 1)
    [message] = until(lambda: messages_of(base, made["id"], "dead"))
    assert message["attempts"] == tries == len(receiver.ids[path])
    assert message["error"] and message["due"] is None
    receiver.mended.add(path)
    again = web.post(f"{base}/api/v1/messages/{message['id']}/retry")
    assert (again.status_code, again.json()["state"]) == (200, "waiting")
    [message] = until(lambda: messages_of(base, made["id"], "delivered"))
    assert message["attempts"] == tries + 1
    assert len(set(receiver.ids[path])) == 1
    refused = web.post(f"{base}/api/v1/messages/{message['id']}/retry")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/message-not-dead")


def test_a_redirect_is_not_followed(
    configure: Callable[..., None], base: str, receiver: Receiver, database_url: str
) -> None:
    configure(delivery_tries=1)
    made = subscribe(base, f"{receiver.url}/loop")
    happen(database_url, 1)
    [message] = until(lambda: messages_of(base, made["id"], "dead"))
    assert "redirects are not followed" in message["error"]
    assert len(receiver.ids["loop"]) == 1


def test_a_receiver_that_is_gone_ends_the_subscription(
    base: str, receiver: Receiver, database_url: str
) -> None:
    made = subscribe(base, f"{receiver.url}/410")
    happen(database_url, 1)
    ended = until(
        lambda: web.get(f"{base}{HOOK}/{made['id']}").json(), lambda found: found["withdrawn"]
    )
    assert ended["id"] not in [s["id"] for s in web.get(f"{base}{HOOK}").json()["subscriptions"]]
    [message] = messages_of(base, made["id"], "dead")
    assert len(receiver.ids["410"]) == 1
    refused = web.post(f"{base}/api/v1/messages/{message['id']}/retry")
    assert refused.status_code == 409


def test_a_receiver_can_ask_to_be_left_alone(
    base: str, receiver: Receiver, database_url: str
) -> None:
    made = subscribe(base, f"{receiver.url}/busy")
    happen(database_url, 1)
    shown = until(
        lambda: web.get(f"{base}{HOOK}/{made['id']}").json(), lambda found: found["resting"]
    )
    rest = datetime.fromisoformat(shown["resting"]) - datetime.now(UTC)
    assert 2000 < rest.total_seconds() <= 3000
    assert len(receiver.ids["busy"]) == 1


def test_one_message_that_is_refused_holds_no_other_up(
    base: str, receiver: Receiver, database_url: str
) -> None:
    made = subscribe(base, f"{receiver.url}/poison")
    happen(database_url, *range(20))
    until(lambda: messages_of(base, made["id"], "delivered"), lambda found: len(found) == 19)
    [dead] = until(lambda: messages_of(base, made["id"], "dead"))
    assert dead["attempts"] == 3


def test_a_black_hole_slows_nobody(base: str, receiver: Receiver, database_url: str) -> None:
    """Sixty receivers that hang, more than a worker has lanes, and all the while others are served.

    By order alone: what must not wait for them ends before any of them has let go.
    """
    for n in range(60):
        subscribe(base, f"{receiver.url}/hang/{n}", kinds=["report.received", "test.happened"])
    happen(database_url, 0)
    until(lambda: sum(map(len, receiver.ids.values())), lambda hanging: hanging >= 40)
    subscribe(base, f"{receiver.url}/fine", kinds=["report.received"])
    for n in range(20):
        sent = {"source": "holes", "external_id": str(n)}
        assert web.post(f"{base}/api/v1/reports", json=sent).status_code == 201
    got = receiver.wait_for("fine", 20)
    assert {each["data"]["data"]["external_id"] for each in got} == {str(n) for n in range(20)}
    assert not receiver.released.is_set()
    tried = sql(
        database_url,
        "SELECT max(n) FROM (SELECT sum(attempts) AS n FROM message m JOIN subscription s"
        " ON s.id = m.subscription_id WHERE target LIKE '%hang%' GROUP BY s.id) tries",
    )
    assert tried < 20  # a receiver that fails is asked with one message, not with all


# --- workers come and go --------------------------------------------------------------------------


def test_what_a_killed_worker_had_begun_is_taken_up(
    configure: Callable[..., None], receiver: Receiver, fresh_database_url: str
) -> None:
    """It dies while its request hangs; the lane is freed, and another worker sends it again."""
    configure(delivery_timeout_s=60)
    environment = {**os.environ, "WANGGE_DATABASE_URL": fresh_database_url}
    command = [sys.executable, str(ROOT / "main.py"), "worker"]
    with serving(fresh_database_url) as base:
        made = subscribe(base, f"{receiver.url}/hang")
        happen(fresh_database_url, 1)
        first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        receiver.wait_for("hang", 1)
        first.send_signal(signal.SIGKILL)
        first.wait()
        receiver.mended.add("hang")
        second = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            receiver.wait_for("hang", 2)
            [message] = until(lambda: messages_of(base, made["id"], "delivered"))
        finally:
            second.send_signal(signal.SIGTERM)
            assert second.wait(PATIENCE_S) == 0
    assert set(receiver.ids["hang"]) == {message["id"]}
    assert message["attempts"] == 1  # only what was answered counts


def test_a_worker_alone_numbers_and_delivers(
    configure: Callable[..., None], receiver: Receiver, fresh_database_url: str
) -> None:
    with serving(fresh_database_url) as base:
        subscribe(base, f"{receiver.url}/fine")
    environment = {**os.environ, "WANGGE_DATABASE_URL": fresh_database_url}
    command = [sys.executable, str(ROOT / "main.py"), "worker"]
    workers = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert "The worker runs" in worker.stdout.readline()
        happen(fresh_database_url, *range(30))
        receiver.wait_for("fine", 30)
    finally:
        for worker in workers:
            worker.terminate()
        assert [worker.wait(PATIENCE_S) for worker in workers] == [0, 0]
    assert len(receiver.ids["fine"]) == len(set(receiver.ids["fine"])) == 30


def test_a_worker_outlives_its_connections(
    base: str, receiver: Receiver, database_url: str
) -> None:
    subscribe(base, f"{receiver.url}/fine")
    happen(database_url, 1)
    receiver.wait_for("fine", 1)
    ended = sql(
        database_url,
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE application_name LIKE 'wangge-%' AND datname = current_database()",
    )
    assert ended >= 3
    happen(database_url, 2)
    receiver.wait_for("fine", 2)


# --- what is refused at once ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "ftp://host/x", "not an address", "https://", "http://user:secret@host/",
        "http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://0.0.0.0/",
        "http://[::ffff:169.254.169.254]/", "http://224.0.0.1/", "http://host:99999/",
        "http://host:0/", "http://a..b/", "http://-host/", "http://a b/", f"http://{'a' * 64}.cn/",
    ],
)  # fmt: skip
def test_an_address_where_no_webhook_may_lead_is_refused(base: str, target: str) -> None:
    answer = web.post(f"{base}{HOOK}", json={"channel": "webhook", "target": target})
    assert (answer.status_code, answer.json()["field"]) == (422, "target"), answer.text


async def _post(url: str, loopback: bool) -> None:
    poster = Poster(1.0, loopback=loopback)
    try:
        await poster.post(url, b"{}", {})
    finally:
        await poster.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "127.1"])
def test_this_machine_is_only_reached_by_the_setting(receiver: Receiver, host: str) -> None:
    url = receiver.url.replace("127.0.0.1", host) + "/fine"
    with pytest.raises(NotDeliveredError) as refused:
        asyncio.run(_post(url, loopback=False))
    assert refused.value.tries == 1 and "WANGGE_WEBHOOK_LOOPBACK" in str(refused.value)
    assert receiver.ids["fine"] == []
    if host != "[::1]":
        asyncio.run(_post(url, loopback=True))
        assert receiver.headers["fine"][0]["host"] == url.split("/")[2]


def test_an_unknown_area_resource_or_number_is_a_problem(base: str, receiver: Receiver) -> None:
    target = f"{receiver.url}/fine"
    for wish, field in (
        ({"area": "grid/1"}, "area"),
        ({"resource": 12345}, "resource"),
        ({"kinds": ["report.received", "report.recieved"]}, "kinds"),
    ):
        answer = web.post(f"{base}{HOOK}", json={"channel": "webhook", "target": target, **wish})
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    for method, path in (
        ("GET", "subscriptions/99"), ("DELETE", "subscriptions/99"),
        ("POST", "subscriptions/99/test"), ("POST", f"messages/{UUID(int=1)}/retry"),
    ):  # fmt: skip
        assert web.request(method, f"{base}/api/v1/{path}").status_code == 404
    mail = {"channel": "email", "target": "desk@example.org"}
    answer = web.post(f"{base}{HOOK}", json=mail)
    assert answer.json()["type"] == "/problems/channel-unavailable"
    assert web.get(f"{base}{HOOK}/webpush").status_code == 422


def test_subscriptions_are_listed_without_their_secret_and_ended(
    base: str, receiver: Receiver, database_url: str
) -> None:
    made = subscribe(base, f"{receiver.url}/500")
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    [listed] = web.get(f"{base}{HOOK}").json()["subscriptions"]
    assert listed == made
    happen(database_url, 1)
    until(lambda: messages_of(base, made["id"]))
    for _ in range(2):
        ended = web.delete(f"{base}{HOOK}/{made['id']}")
        assert ended.status_code == 200 and ended.json()["withdrawn"]
    assert web.get(f"{base}{HOOK}").json()["subscriptions"] == []
    [message] = messages_of(base, made["id"])
    assert message["state"] == "dead" and "was ended" in message["error"]
    assert web.post(f"{base}{HOOK}/{made['id']}/test").status_code == 404


# --- Web Push and e-mail --------------------------------------------------------------------------


def test_a_browser_can_read_what_was_pushed_and_knows_by_whom(
    configure: Callable[..., None], receiver: Receiver, fresh_database_url: str,
    tmp_path: Any,
) -> None:  # fmt: skip
    vapid = Vapid02()
    vapid.generate_keys()
    vapid.save_key(str(tmp_path / "key.pem"))
    configure(vapid_key=tmp_path / "key.pem", vapid_contact="mailto:desk@example.org")
    browser, auth = ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
    with working(fresh_database_url) as base:
        point = browser.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": b64urlencode(point), "auth": b64urlencode(auth)}
        subscribe(base, f"{receiver.url}/201", channel="webpush", keys=keys)
        gone = subscribe(base, f"{receiver.url}/404", channel="webpush", keys=keys)
        happen(fresh_database_url, 1)
        [body] = receiver.wait_for("201", 1)
        told = json.loads(http_ece.decrypt(body, private_key=browser, auth_secret=auth))
        assert (told["type"], told["data"]["data"]["n"]) == ("test.happened", 1)
        headers = receiver.headers["201"][0]
        assert headers["content-encoding"] == "aes128gcm" and int(headers["ttl"]) > 0
        assert Vapid02.verify(headers["authorization"])
        public = web.get(f"{base}{HOOK}/webpush").json()["key"]
        assert headers["authorization"].endswith(f"k={public}")
        until(lambda: web.get(f"{base}{HOOK}/{gone['id']}").json()["withdrawn"])
        bad = {"channel": "webpush", "target": receiver.url, "keys": {"p256dh": "x", "auth": "y"}}
        assert web.post(f"{base}{HOOK}", json=bad).json()["field"] == "target"


class _Mailbox(socketserver.StreamRequestHandler):
    """As much of a mail server as a client speaks to."""

    def handle(self) -> None:
        mails, line = self.server.mails, b""  # type: ignore[attr-defined]
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            command = line[:4].upper()
            if command == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                mail = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    mail += part
                mails.append(mail.decode())
            refused = command == b"RCPT" and b"nobody" in line
            self.wfile.write(b"550 nobody here\r\n" if refused else b"250 fine\r\n")
            if command == b"QUIT":
                return


def test_mail_reaches_the_mailbox(configure: Callable[..., None], fresh_database_url: str) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mailbox) as mailer:
        mails = mailer.mails = []  # type: ignore[attr-defined]
        threading.Thread(target=mailer.serve_forever, daemon=True).start()
        port = mailer.server_address[1]
        configure(smtp_url=f"smtp://127.0.0.1:{port}?from=wangge@example.org")
        with working(fresh_database_url) as base:
            fine = subscribe(base, "desk@example.org", channel="email")
            refused = subscribe(base, "nobody@example.org", channel="email")
            happen(fresh_database_url, 1)
            [message] = until(lambda: messages_of(base, fine["id"], "delivered"))
            [dead] = until(lambda: messages_of(base, refused["id"], "dead"))
        mailer.shutdown()
    [mail] = mails
    assert "To: desk@example.org" in mail and "test.happened" in mail
    assert f"Message-ID: <{message['id']}@wangge>" in mail
    assert dead["attempts"] == 3 and "550 nobody here" in dead["error"]


def test_mailboxes_and_mail_servers_are_understood_or_refused() -> None:
    for wrong in ("", "x", "@x", "x@", "A <a@b.c>", "a@b.c\r\nBcc: d@e.f", "a@b.c, d@e.f"):
        assert not is_mailbox(wrong), wrong
    assert is_mailbox("desk@example.org")
    found = Server.of("smtps://me%40x.org:p%2Fw@mail.example:466?from=desk@example.org")
    assert (found.host, found.port, found.encrypted) == ("mail.example", 466, True)
    assert (found.user, found.password, found.sender) == ("me@x.org", "p/w", "desk@example.org")
    for wrong in ("mail.example", "http://x?from=a@b.c", "smtp://mail.example"):
        with pytest.raises(ValueError, match="WANGGE_SMTP_URL"):
            Server.of(wrong)
