"""Warnings for tests, as if a look had found them; who tests the looks does not use this."""

from datetime import UTC, date, datetime, timedelta
from itertools import count

from sqlalchemy import Connection, text

from data import early_warnings

_LOOK = text("""
INSERT INTO warning_look (day, last, asked) VALUES (:day, :last, now()) RETURNING id
""")
_NEWEST = text("SELECT max(id) FROM warning")
_serial = count()


def warn(connection: Connection, area_id: int, kind: str = "噪音", level: int = 3) -> int:
    """A surge in an area; its number. Another kind is another warning."""
    last = date(2025, 1, 1) + timedelta(days=next(_serial))
    asked = {"day": last + timedelta(days=1), "last": last}
    look = connection.execute(_LOOK, asked).scalar_one()
    finding = {
        "model": "surge", "area_id": area_id, "level": level, "kind": kind, "words": [],
        "observed": 20, "expected": 2.0, "threshold": 8.0, "p": 1e-9, "q": 1e-7, "score": 3.0,
        "basis": "few", "dispersion": 1.0, "counts": [2, 2, 20], "places": [(area_id, 20)],
    }  # fmt: skip
    answer = {
        "version": 1, "first": last - timedelta(days=6), "last": last, "weeks": 20,
        "since": "2025-10-13", "series": 9, "reports": 60, "rate": 0.05, "quiet": 0.1,
        "cannot": None, "findings": [finding],
    }  # fmt: skip
    early_warnings.settle(connection, look, answer, datetime.now(UTC))
    return int(connection.execute(_NEWEST).scalar_one())
