"""What holds for every request: its size, the headers that protect a page, no bare error."""

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import Problem, answer, unexpected

MAX_BODY = 10_000_000
MAX_FILE = 20_000_000 + 100_000  # a file that is attached, with what a form puts around it
# Folium writes its scripts and styles into the page; nothing may come from another host.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Around the whole application."""

    def __init__(self, app: ASGIApp, max_body: int = MAX_BODY) -> None:
        self.app = app
        self.max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong becomes a problem."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, size = False, 0
        most = max(self.max_body, MAX_FILE) if _attaches(scope) else self.max_body

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                raise Problem("too-large")
            return message

        async def guarded(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if _announced(scope) > most:
                raise Problem("too-large")
            await self.app(scope, counted, guarded)
        except Exception as error:
            problem = error if isinstance(error, Problem) else unexpected(error)
            if began:  # the client sees a cut answer; the log has the reason
                raise
            await answer(Request(scope), problem)(scope, receive, guarded)


def _attaches(scope: Scope) -> bool:
    return bool(scope["method"] == "POST" and scope["path"].endswith("/attachments"))


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
