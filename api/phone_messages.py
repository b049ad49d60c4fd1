"""What phones send, read: the JSON of OwnTracks, and the two forms of Traccar's OsmAnd protocol.

https://owntracks.org/booklet/tech/json/ and https://www.traccar.org/osmand/. Both apps pass on what
Android's and iOS's location services give, which is WGS 84, in mainland China too: only the maps
drawn there are GCJ-02.
"""

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from data.fixes import Fix

_MOST_SECONDS = 1e11  # since 1970; a larger number is of milliseconds, from 1973 on


@dataclass(frozen=True, slots=True)
class Message:
    """A position as a phone sends it; `names` is under what its device may be registered.

    None is what is not there or cannot be read. `at` None is now, as the protocol wants it.
    """

    names: list[str]
    lon: float | None
    lat: float | None
    accuracy_m: float | None
    at: datetime | None
    readable: bool = True

    def fix(self, device: str, source: str, now: datetime) -> Fix | None:
        """As the domain takes it; None if it is not whole."""
        if self.lon is None or self.lat is None or not self.readable:
            return None
        return Fix(device, self.lon, self.lat, self.at or now, "wgs84", self.accuracy_m, source)


def owntracks(message: Mapping[str, Any], user: str | None, device: str | None) -> Message | None:
    """A message of OwnTracks; None if it is not about where the phone is.

    user and device are those of the request; else the topic, `owntracks/user/device`, has them.
    """
    if message.get("_type") != "location":
        return None
    _, by_topic, device_by_topic, *_ = [*str(message.get("topic")).split("/"), "", "", ""]
    user, device = user or by_topic, device or device_by_topic
    pair = f"{user}/{device}" if user and device else ""
    at = _instant(message.get("tst"))
    return Message(
        _names(pair, user or device),
        _number(message.get("lon")),
        _number(message.get("lat")),
        _number(message.get("acc")),
        at,
        readable=at is not None,
    )


def basic_user(authorization: str | None) -> str | None:
    """The user name of Basic authentication."""
    scheme, _, coded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(coded).decode().partition(":")[0] or None
    except (binascii.Error, UnicodeDecodeError):
        return None


def osmand_query(query: Mapping[str, str]) -> Message:
    """A message as an address or a form says it."""
    place = query.get("location", "").split(",")
    lat, lon = place if len(place) == 2 else (query.get("lat"), query.get("lon"))
    valid = query.get("valid", "true").lower() in ("true", "1")
    return _osmand(
        query.get("id") or query.get("deviceid") or "",
        lon if valid else None,
        lat if valid else None,
        query.get("accuracy"),
        query.get("timestamp"),
    )


def osmand_json(message: Mapping[str, Any]) -> list[Message]:
    """The locations of a message as JSON."""
    found = message.get("location")
    locations = found if isinstance(found, list) else [found]
    return [_location(message.get("device_id", ""), location) for location in locations]


def _location(device: Any, location: Any) -> Message:
    location = location if isinstance(location, dict) else {}
    coords = location.get("coords")
    coords = coords if isinstance(coords, dict) else {}
    return _osmand(
        device,
        coords.get("longitude"),
        coords.get("latitude"),
        coords.get("accuracy"),
        location.get("timestamp"),
    )


def _osmand(device: Any, lon: Any, lat: Any, accuracy: Any, timestamp: Any) -> Message:
    at = _instant(timestamp)
    readable = at is not None or timestamp in (None, "")
    return Message(_names(device), _number(lon), _number(lat), _number(accuracy), at, readable)


def _names(*given: Any) -> list[str]:
    """Those that a device can have; what else phones send is no name that anybody registered."""
    return [name for name in map(str, given) if name.isprintable() and 0 < len(name) <= 200]


def _number(value: Any) -> float | None:
    """A number, also one that an old app sends as text."""
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        return None  # which Python would take for numbers
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _instant(value: Any) -> datetime | None:
    """Seconds or milliseconds since 1970, or ISO 8601; without a zone it is UTC."""
    number = _number(value)
    try:
        if number is not None and math.isfinite(number):
            seconds = number if abs(number) < _MOST_SECONDS else number / 1000
            return datetime.fromtimestamp(seconds, UTC)
        read = datetime.fromisoformat(str(value))
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
