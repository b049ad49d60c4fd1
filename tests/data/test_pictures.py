"""Files that people attach: known by their content, pictures without what they betray."""

import io
import struct
import zlib
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from data import pictures
from data.pictures import AttachmentError, check

ZONE = ZoneInfo("Asia/Shanghai")
PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


def photo(kind: str = "JPEG", size: tuple[int, int] = (40, 20), **exif: Any) -> bytes:
    """A picture that is dark at its left, with what a camera would say."""
    shades = np.tile(np.linspace(0, 255, size[0], dtype=np.uint8), (size[1], 1))
    picture, out = Image.fromarray(np.dstack([shades] * 3)), io.BytesIO()
    said = Image.Exif()
    said[ExifTags.Base.Make] = "SECRETCAM"
    said[ExifTags.Base.Orientation] = exif.get("orientation", 1)
    said.get_ifd(ExifTags.IFD.Exif).update(exif.get("inner", {}))
    said.get_ifd(ExifTags.IFD.GPSInfo).update(exif.get("gps", {}))
    more = {"comment": b"SECRETCOMMENT"} if kind == "JPEG" else {}
    picture.save(out, kind, exif=said, **more)
    return out.getvalue()


def gps(lat: Any, lon: Any, north: str = "N", east: str = "E") -> dict[int, Any]:
    where = ExifTags.GPS
    return {where.GPSLatitudeRef: north, where.GPSLatitude: lat,
            where.GPSLongitudeRef: east, where.GPSLongitude: lon}  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_kept_without_what_the_camera_said(kind: str) -> None:
    inner = {ExifTags.Base.DateTimeOriginal: "2026:03:02 08:21:05"}
    sent = photo(kind, gps=gps((23.0, 0.0, 10.08), (113.0, 6.0, 18.36)), inner=inner)
    assert b"SECRETCAM" in sent
    kept = check(sent + b"<script>alert(1)</script>", ZONE)
    assert kept.media_type == f"image/{kind.lower()}"
    assert kept.taken == {
        "lon": 113.1051, "lat": 23.0028, "datum": "wgs84", "at": "2026-03-02T08:21:05+08:00",
    }  # fmt: skip
    assert b"SECRET" not in kept.content and b"<script>" not in kept.content
    with Image.open(io.BytesIO(kept.content)) as picture:
        assert picture.format == kind and picture.size == (40, 20)
        assert dict(picture.getexif()) == {}
    assert check(kept.content, ZONE).taken == {}


def test_a_picture_that_lay_on_its_side_is_turned() -> None:
    kept = check(photo(size=(40, 20), orientation=6), ZONE)
    with Image.open(io.BytesIO(kept.content)) as picture:
        assert picture.size == (20, 40)
        shades = np.asarray(picture.convert("L"))
    assert shades[2].mean() < 60 and shades[-3].mean() > 190  # what was left is above


def test_the_same_picture_is_the_same_bytes_and_a_palette_keeps_its_colours() -> None:
    sent = photo("PNG")
    assert check(sent, ZONE).content == check(sent, ZONE).content
    out = io.BytesIO()
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 200, 30, 40])
    palette.save(out, "PNG", transparency=0)
    with Image.open(io.BytesIO(check(out.getvalue(), ZONE).content)) as picture:
        assert picture.convert("RGBA").getpixel((0, 0)) == (200, 30, 40, 255)
        assert picture.info["transparency"] == 0


def test_south_west_and_an_offset_of_its_own() -> None:
    inner = {ExifTags.Base.DateTimeOriginal: "2026:03:02 08:21:05",
             ExifTags.Base.OffsetTimeOriginal: "-03:30"}  # fmt: skip
    taken = check(photo(gps=gps((1, 30, 0), (2, 0, 0), "S", "W"), inner=inner), ZONE).taken
    assert (taken["lon"], taken["lat"]) == (-2.0, -1.5)
    assert taken["at"].endswith("-03:30")


@pytest.mark.parametrize(
    "exif",
    [
        {"gps": gps((0, 0, 0), (0, 0, 0))},
        {"gps": gps((91, 0, 0), (0, 0, 0))},
        {"gps": {ExifTags.GPS.GPSLatitude: (1.0, 2.0, 3.0)}},
        {"inner": {ExifTags.Base.DateTimeOriginal: "0000:00:00 00:00:00"}},
    ],
)
def test_what_makes_no_sense_is_not_told(exif: dict[str, Any]) -> None:
    assert check(photo(**exif), ZONE).taken == {}


def test_a_pdf_is_kept_as_it_is() -> None:
    assert check(PDF, ZONE) == pictures.Checked("application/pdf", PDF)


def _bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that would be gigabytes of pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check_sum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check_sum

    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"<html><script>alert(1)</script></html>", "by its content"),
        (b"#!/bin/sh\nrm -rf /\n", "by its content"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "by its content"),
        (b"GIF89a" + bytes(100), "by its content"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
        (b"\xff\xd8\xff\xe0 not a picture at all", "cannot be read"),
        (photo()[:-200], "cannot be read"),
        (photo("PNG")[:60], "cannot be read"),
        (photo("WEBP")[:60], "cannot be read"),
        (PDF[:-8], "no end"),
        (_bomb(100_000), "pixels"),
        (_bomb(8_000), "pixels"),
        (bytes(pictures.MOST_BYTES + 1), "20 MB"),
    ],
)
def test_what_is_not_taken_is_told_why(content: bytes, why: str) -> None:
    with pytest.raises(AttachmentError, match=why):
        check(content, ZONE)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_damage_is_refused_and_never_breaks_us(kind: str, data: st.DataObject) -> None:
    content = bytearray(photo(kind, gps=gps((23.0, 0.0, 10.0), (113.0, 6.0, 18.0))))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        kept = check(bytes(content), ZONE)
    except AttachmentError:
        return
    assert b"SECRET" not in kept.content
