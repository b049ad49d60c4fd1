"""The demonstration's callers: they report through the API, as a hotline or a phone would."""

import threading
from datetime import UTC, datetime

import httpx
import pandas as pd
from sqlalchemy import text

from data.engine import engine
from data.foshan.feed import reports


class Caller:
    """Posts made-up reports to a running service, so many a minute, until it is stopped."""

    def __init__(self, url: str, per_minute: float, token: str) -> None:
        self._url, self._pause = url, 60 / per_minute
        self._headers = {"Authorization": f"Bearer {token}"}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="caller", daemon=True)

    def start(self) -> None:
        """Begin; a service that is not up yet is waited for."""
        self._thread.start()

    def stop(self) -> None:
        """End before the next report."""
        self._done.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        with engine().connect() as connection:
            places = pd.read_sql(
                text(
                    'SELECT "text" AS address, ST_X(geom) AS lon, ST_Y(geom) AS lat FROM address'
                    " WHERE source = 'demonstration' ORDER BY id"
                ),
                connection,
            )
        if places.empty:
            return
        seed = int(datetime.now(UTC).timestamp())
        with httpx.Client(base_url=self._url, headers=self._headers, timeout=10) as client:
            for report in reports(places, seed):
                if self._done.wait(self._pause):
                    return
                try:
                    client.post("/api/v1/reports", json=report)
                except httpx.HTTPError:
                    continue  # not up yet, or going down: the next caller tries again
