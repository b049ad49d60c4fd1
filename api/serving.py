"""The web server, which knows of the streams that would otherwise keep it from stopping."""

import socket

import uvicorn
from fastapi import FastAPI

from data.settings import settings

PATIENCE_S = 5  # with whoever does not read what is sent


class Server(uvicorn.Server):
    """Serves the application until a signal comes; then ends its streams first."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_level="warning",
                # Without proxies named, nobody's word counts for who asks, not this machine's own.
                proxy_headers=bool(proxies := settings().trusted_proxies.strip()),
                forwarded_allow_ips=proxies,
                timeout_graceful_shutdown=PATIENCE_S,
            )
        )
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        if hub := getattr(self._app.state, "hub", None):
            hub.end_streams()
        await super().shutdown(sockets)
