"""A receiver of webhooks that checks what it gets by itself, and behaves as badly as asked."""

import base64
import hashlib
import hmac
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.api.live import PATIENCE_S


class Receiver:
    """A web server whose paths behave each in its own way: `/fine`, `/500`, `/hang` …"""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.got: dict[str, list[Any]] = defaultdict(list)  # bodies by path
        self.ids: dict[str, list[str]] = defaultdict(list)
        self.headers: dict[str, list[dict[str, str]]] = defaultdict(list)
        self.raw: dict[str, list[bytes]] = defaultdict(list)
        self.written = 0  # bytes of an endless answer that went out
        self.mended: set[str] = set()  # paths that have come to their senses
        self.released = threading.Event()  # lets those that hang go

        class Handler(_Handler):
            receiver = self

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def note(self, path: str, headers: dict[str, str], body: bytes) -> None:
        with self.changed:
            self.headers[path].append(headers)
            self.raw[path].append(body)
            self.ids[path].append(headers.get("webhook-id", ""))
            self.got[path].append(json.loads(body) if headers.get("webhook-id") else body)
            self.changed.notify_all()

    def wait_for(self, path: str, count: int) -> list[Any]:
        """What came to a path, once that was so many."""
        with self.changed:
            there = self.changed.wait_for(lambda: len(self.got[path]) >= count, PATIENCE_S)
            assert there, f"{len(self.got[path])} of {count} came to {path}"
            return list(self.got[path])


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether a webhook is genuine, by the text of the Standard Webhooks specification."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return any(
        version == "v1" and hmac.compare_digest(given, expected)
        for version, _, given in (
            each.partition(",") for each in headers["webhook-signature"].split(" ")
        )
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients who were killed are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if len(body := self.rfile.read(length)) < length:
            return  # the sender was killed
        path = self.path.strip("/")
        self.receiver.note(path, {k.lower(): v for k, v in self.headers.items()}, body)
        behaviour = "fine" if path in self.receiver.mended else path.split("/")[0]
        try:
            getattr(self, f"_{behaviour}", self._status)()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def _fine(self) -> None:
        self._answer(204)

    def _status(self) -> None:
        self._answer(int(self.path.strip("/").split("/")[0]), b"no thank you")

    def _hang(self) -> None:
        self.receiver.released.wait(2 * PATIENCE_S)
        self.close_connection = True

    def _busy(self) -> None:
        self._answer(429, Retry_After="3000")

    def _nul(self) -> None:
        self._answer(500, b"broken\0off")

    def _odd(self) -> None:
        self._answer(503, Retry_After="\u00b2")  # a digit, and no number

    def _loop(self) -> None:
        self._answer(302, Location=self.path)

    def _cut(self) -> None:
        self.close_connection = True

    def _poison(self) -> None:
        bad = json.loads(self.receiver.raw[self.path.strip("/")][-1])["data"]["data"].get("n") == 13
        self._answer(400 if bad else 200)

    def _endless(self) -> None:
        """A gigabyte, if somebody takes it."""
        self.send_response(200)
        self.send_header("Content-Length", str(10**9))
        self.end_headers()
        for _ in range(10**9 // 2**16):
            self.wfile.write(b"x" * 2**16)
            self.receiver.written += 2**16

    def _trickle(self) -> None:
        """A byte now and then: no single wait is long."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        for _ in range(1000):
            if self.receiver.released.wait(0.05):
                break
            self.wfile.write(b"x")
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.stop()
