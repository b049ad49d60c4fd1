"""Files that people attach: what they are by their content, and pictures without what they betray.

A picture is decoded and written anew, so that nothing of the file survives but its pixels: no
place, no camera, no script behind the last line. Where and when it was taken is read first.
"""

import io
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from math import isfinite
from typing import Any

from PIL import ExifTags, Image, ImageOps

from data.errors import InputError

MOST_BYTES = 20_000_000
MOST_PIXELS = 50_000_000
EXTENSIONS = {
    "image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "application/pdf": "pdf",
}  # fmt: skip
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_GOOD = 92  # JPEG and WebP quality where it cannot be the picture's own
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, struct.error)


class AttachmentError(InputError):
    """A file that is not taken; `reason` is attachment_refused or too_large."""


@dataclass(frozen=True)
class Checked:
    """A file as it is stored. `taken` has lon, lat, datum and at of a photo, as far as it told."""

    media_type: str
    content: bytes
    taken: dict[str, Any] = field(default_factory=dict)


def check(content: bytes, zone: tzinfo) -> Checked:
    """The file as it may be stored; `zone` is that of photos that name none.

    Raises
    ------
    AttachmentError
        It is too large, no JPEG, PNG, WebP or PDF by its content, broken, or a bomb.
    """
    if len(content) > MOST_BYTES:
        raise AttachmentError("a file may have 20 MB; send a smaller one", "file", "too_large")
    kind = _kind(content)
    if kind == "application/pdf":
        if b"%%EOF" not in content[-2048:]:
            raise _refused("the PDF has no end; it was cut off on its way, send it again")
        return Checked(kind, content)
    try:
        return _picture(content, kind, zone)
    except AttachmentError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_many() from error
    except _BROKEN as error:
        raise _refused(
            "the picture cannot be read to its end; open it, save it anew, and send that"
        ) from error


def _refused(why: str) -> AttachmentError:
    return AttachmentError(why, "file", "attachment_refused")


def _too_many() -> AttachmentError:
    return _refused(
        f"the picture has more than {MOST_PIXELS:,} pixels, whatever the size of its file; send a "
        "smaller one"
    )


def _kind(content: bytes) -> str:
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith(b"%PDF-"):
        return "application/pdf"
    if content[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1"):
        raise _refused("HEIC pictures are not taken; send it as JPEG, as phones do on request")
    if not content:
        raise _refused("the file is empty; choose another")
    raise _refused("by its content the file is no JPEG, PNG, WebP or PDF, whatever its name says; "
                   "send one of these")  # fmt: skip


def _picture(content: bytes, kind: str, zone: tzinfo) -> Checked:
    with Image.open(io.BytesIO(content), formats=[_FORMATS[kind]]) as opened:
        if opened.width * opened.height > MOST_PIXELS:
            raise _too_many()
        opened.load()
        taken = _taken(opened.getexif(), zone)
        return Checked(kind, _anew(opened, kind), taken)


def _anew(opened: Image.Image, kind: str) -> bytes:
    """The pixels the right way up, with their colours, and nothing else."""
    kept = {name: opened.info[name] for name in ("icc_profile", "transparency")
            if opened.info.get(name) is not None}  # fmt: skip
    turned = opened.getexif().get(ExifTags.Base.Orientation, 1) not in (None, 1)
    picture = ImageOps.exif_transpose(opened) if turned else opened
    as_it_was = kind == "image/jpeg" and not turned and opened.format == "JPEG"
    quality: dict[str, Any] = {"quality": "keep" if as_it_was else _GOOD}
    picture.info = {}
    out = io.BytesIO()
    options = {"optimize": True} if kind == "image/png" else quality
    picture.save(out, _FORMATS[kind], **kept, **options)
    return out.getvalue()


# --- where and when -------------------------------------------------------------------------------


def _taken(exif: Image.Exif, zone: tzinfo) -> dict[str, Any]:
    """What a photo says of its place and time; what makes no sense is left out."""
    found: dict[str, Any] = {}
    for read in (_place, _time):
        try:
            found |= read(exif, zone)
        except (*_BROKEN, ZeroDivisionError, OverflowError, KeyError, AttributeError):
            continue
    return found


def _place(exif: Image.Exif, _: tzinfo) -> dict[str, Any]:
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps.get(ExifTags.GPS.GPSLatitudeRef) == "S")
    lon = _degrees(gps[ExifTags.GPS.GPSLongitude], gps.get(ExifTags.GPS.GPSLongitudeRef) == "W")
    sensible = isfinite(lon) and isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90
    if not sensible or lon == lat == 0:
        return {}
    return {"lon": round(lon, 7), "lat": round(lat, 7), "datum": "wgs84"}


def _degrees(parts: Any, negative: bool) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    return -value if negative else value


def _time(exif: Image.Exif, zone: tzinfo) -> dict[str, Any]:
    inner = exif.get_ifd(ExifTags.IFD.Exif)
    said = str(inner[ExifTags.Base.DateTimeOriginal]).strip("\0 ")
    offset = str(inner.get(ExifTags.Base.OffsetTimeOriginal, "")).strip("\0 ")
    at = datetime.strptime(said, "%Y:%m:%d %H:%M:%S").replace(tzinfo=_zone(offset) or zone)
    return {"at": at.isoformat()}


def _zone(offset: str) -> tzinfo | None:
    if len(offset) != 6 or offset[0] not in "+-":
        return None
    minutes = int(offset[1:3]) * 60 + int(offset[4:6])
    return timezone(timedelta(minutes=-minutes if offset[0] == "-" else minutes))
