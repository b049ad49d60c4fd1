"""How answers leave: JSON that can say everything, instants in UTC, and what may be cached."""

import json
from collections.abc import Mapping
from datetime import UTC
from email.utils import format_datetime
from hashlib import blake2b
from typing import Any

import orjson
from fastapi import Request, Response

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
FOR_EVER_S = 31_536_000
NO_STORE = {"Cache-Control": "no-store"}
_MOMENTARY = ("at", "known", "expires")


def dumps(content: Any) -> bytes:
    """JSON in UTF-8: not-a-number becomes null, instants end in Z, whole numbers have any size."""
    try:
        return orjson.dumps(content, option=_OPTIONS)
    except TypeError:  # a whole number of more than 64 bits
        text = json.dumps(content, default=_plain, ensure_ascii=False, separators=(",", ":"))
        return text.encode()


def _plain(value: Any) -> Any:
    return json.loads(orjson.dumps(value, option=_OPTIONS))


class Json(Response):
    """A JSON answer, written without a detour over a model: the domain's answer is plain data."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return dumps(content)


class GeoJson(Json):
    """A GeoJSON answer (RFC 7946)."""

    media_type = "application/geo+json"


def _geojson(kind: str, *members: str) -> dict[str, Any]:
    named = {"type": {"const": kind}}
    schema = {"type": "object", "properties": named, "required": ["type", *members]}
    return {"application/geo+json": {"schema": schema}}


# How a description says that an answer may be GeoJSON, too, or none but that nothing changed.
FEATURE = _geojson("Feature", "geometry", "properties")
FEATURES = _geojson("FeatureCollection", "features")
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "As it was (If-None-Match)"}}


def cached(
    request: Request,
    content: Mapping[str, Any],
    *,
    max_age_s: float,
    kind: type[Json] = Json,
) -> Response:
    """The answer with how long it may be kept; 304 if the client has one that says the same.

    The tag is weak: two answers that differ only in the moment that they were given have one tag.
    """
    body = dumps(content)
    lasting = {name: value for name, value in content.items() if name not in _MOMENTARY}
    same = body if len(lasting) == len(content) else dumps(lasting)
    tag = f'W/"{blake2b(same, digest_size=12).hexdigest()}"'
    headers = {"Cache-Control": f"private, max-age={max(0, int(max_age_s))}", "ETag": tag}
    if expires := content.get("expires"):
        headers["Expires"] = format_datetime(expires.astimezone(UTC), usegmt=True)
    if _has(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind.media_type, headers=headers)


def _has(request: Request, tag: str) -> bool:
    given = request.headers.get("if-none-match", "")
    return tag in (part.strip() for part in given.split(",")) or given.strip() == "*"
