"""Shapefiles: complete or refused, in the encoding that their text is really in.

A dbf names its fields in 10 bytes, ends text after 254 and numbers after 15 decimals, and knows
no empty text. What is written here has a sidecar ``NAME.columns.json`` with the full names, the
kinds of the columns and the exact values where the dbf could not hold them; the Shapefile alone
is still what every other program expects.
"""

import codecs
import struct
import warnings
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import orjson
import pandas as pd
import pyogrio
import shapely
from pyproj import CRS

from data.attributes import pack, to_text, unpack
from data.errors import FileError
from data.vector_source import Raw
from gis.plane import Geometries

NATIVE = ("text", "integer", "real", "boolean")
PARTS = (".shx", ".dbf", ".prj", ".cpg", ".columns.json", ".shp")  # .shp last: it is the door
_NAME_BYTES = 10
_PROVEN_BYTES = 9  # so many bytes of valid UTF-8 beyond ASCII do not come about by chance


def read(path: Path, encoding: str | None) -> Raw:
    """The layer; raises FileError if a part is missing or shorter than its header says."""
    parts = {p.name[len(path.stem) :].lower(): p for p in path.parent.glob(f"{_glob(path)}*")}
    for suffix in (".dbf", ".shx"):
        if suffix not in parts:
            raise FileError(f"{path.name} needs its {suffix} file beside it; add it")
    for suffix in (".shp", ".shx"):
        _refuse_cut_off(parts.get(suffix, path))
    found = detect_encoding(parts[".dbf"], parts.get(".cpg"), encoding)
    frame = pyogrio.read_dataframe(path, encoding=found)
    columns = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    shapes = np.asarray(frame.geometry.to_numpy(), dtype=object)
    crs = CRS(frame.crs) if frame.crs else None
    if ".columns.json" not in parts:
        return Raw(columns, shapes, crs)
    columns, kinds = _restore(columns, parts[".columns.json"])
    return Raw(columns, shapes, crs, kinds)


def _glob(path: Path) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in path.stem) + "."


def _refuse_cut_off(path: Path) -> None:
    head = path.read_bytes()[:100] if path.stat().st_size < 100 else path.open("rb").read(100)
    if len(head) < 100 or struct.unpack(">i", head[:4])[0] != 9994:
        raise FileError(f"{path.name} is not a Shapefile, or is cut off; fetch it again")
    size = 2 * struct.unpack(">i", head[24:28])[0]
    if path.stat().st_size < size:
        raise FileError(
            f"{path.name} is cut off: {path.stat().st_size:,} of {size:,} bytes; fetch it again"
        )


def detect_encoding(dbf: Path, cpg: Path | None, encoding: str | None) -> str:
    """The encoding of a dbf: as asked, else as the text itself shows.

    UTF-8 proves itself; otherwise the ``.cpg`` is believed if the text can be decoded by it, and
    GB18030 (of which GBK is a part) is tried before the Western ones, which decode anything.
    """
    texts = _texts(dbf)
    if encoding:
        if not _decodes(texts, encoding):
            raise FileError(f"{dbf.name} is not text in {encoding!r}; leave it out, or correct it")
        return encoding
    stated = _stated(cpg)
    beyond = sum(byte > 127 for text in texts for byte in text)
    utf8 = _decodes(texts, "utf-8")
    if utf8 and (beyond >= _PROVEN_BYTES or not stated):
        return "utf-8"
    guesses = [stated, "utf-8", "gb18030", "big5"]
    if stated and stated.replace("-", "") in ("iso88591", "cp1252", "latin1"):
        guesses = ["utf-8", "gb18030", stated]  # decodes everything, so it proves nothing
    for guess in guesses:
        if guess and _decodes(texts, guess):
            return guess
    raise FileError(
        f"the text of {dbf.name} is in none of {', '.join(filter(None, guesses))}; "
        "name its encoding"
    )


def _stated(cpg: Path | None) -> str | None:
    """The encoding that a .cpg names, if Python knows it; some write just the code page."""
    name = cpg.read_text("ascii", "replace").strip() if cpg else ""
    for spelling in (name, f"cp{name}", name.lower().replace("ansi ", "cp")):
        try:
            return codecs.lookup(spelling).name
        except LookupError:
            continue
    return None


def _decodes(texts: list[bytes], encoding: str) -> bool:
    """Whether all texts decode; a character cut in half where a field ends is forgiven."""
    try:
        for text in texts:
            codecs.getincrementaldecoder(encoding)().decode(text)
    except UnicodeDecodeError:
        return False
    except LookupError:
        raise FileError(f"the encoding {encoding!r} is not known; give utf-8 or gb18030") from None
    return True


def _texts(dbf: Path) -> list[bytes]:
    """The distinct texts of a dbf beyond ASCII, and its field names, as bytes."""
    content = dbf.read_bytes()
    if len(content) < 33:
        raise FileError(f"{dbf.name} is not a dbf file, or is cut off; fetch it again")
    count, start, width = struct.unpack("<IHH", content[4:12])
    if len(content) < start + count * width:
        raise FileError(
            f"{dbf.name} is cut off: {len(content):,} of {start + count * width:,} bytes; "
            "fetch it again"
        )
    fields = [content[at : at + 32] for at in range(32, start - 1, 32)]
    fields = [one for one in fields if len(one) == 32 and one[0] != 0x0D]
    table = np.frombuffer(content, np.uint8, count * width, start).reshape(count, width)
    texts, at = {one[:11].split(b"\0")[0] for one in fields}, 1
    for one in fields:
        column = table[:, at : at + one[16]]
        at += one[16]
        if one[11:12] == b"C":
            texts.update(bytes(row).rstrip(b" \0") for row in column[(column > 127).any(axis=1)])
    return [text for text in texts if not text.isascii()]


def write(path: Path, columns: pd.DataFrame, kinds: dict[str, str], shapes: Geometries) -> None:
    """Write the layer and its sidecar (UTF-8, ``.cpg``) to `path` and its siblings."""
    short = short_names(list(kinds))
    packed = pack(columns, kinds, NATIVE)
    frame = gpd.GeoDataFrame(packed.rename(columns=short), geometry=shapes, crs=4326)
    with warnings.catch_warnings():
        # Texts and numbers that the dbf cuts are kept whole in the sidecar.
        warnings.filterwarnings("ignore", ".*(truncated|not successfully written)", RuntimeWarning)
        pyogrio.write_dataframe(
            frame, path, driver="ESRI Shapefile", encoding="UTF-8", geometry_type=_type(shapes)
        )
    path.with_suffix(".cpg").write_text("UTF-8", "ascii")
    note: dict[str, Any] = {"names": {v: k for k, v in short.items()}, "kinds": kinds}
    note["exact"] = _inexact(read(path, "utf-8").columns, columns, note)
    path.with_suffix(".columns.json").write_bytes(orjson.dumps(note, option=orjson.OPT_INDENT_2))


def _type(shapes: Geometries) -> str | None:
    """Said outright for polygons: a first row without geometry would make it a layer of lines."""
    return "Polygon" if np.isin(shapely.get_type_id(shapes), (-1, 3, 6)).all() else None


def short_names(names: list[str]) -> dict[str, str]:
    """Field names of at most 10 bytes of UTF-8, all different; those that fit stay."""
    short: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(
        names, key=lambda n: len(n.encode()) > _NAME_BYTES
    ):  # the fitting ones first
        candidate, number = _cut(name, _NAME_BYTES), 1
        while candidate.lower() in taken:
            number += 1
            candidate = f"{_cut(name, _NAME_BYTES - 1 - len(str(number)))}_{number}"
        taken.add(candidate.lower())
        short[name] = candidate
    return {name: short[name] for name in names}


def _cut(name: str, size: int) -> str:
    return name.encode()[:size].decode(errors="ignore")


def _inexact(
    stored: pd.DataFrame, columns: pd.DataFrame, note: dict[str, Any]
) -> dict[str, list[list[Any]]]:
    """Values that come back otherwise, as ``[row, text in the dbf, true text]`` by column."""
    names, kinds = note["names"], note["kinds"]
    found = unpack(stored.rename(columns=names)[list(kinds)], kinds)
    exact = {}
    for name, kind in kinds.items():
        have = to_text(found[name], kind).tolist()
        want = to_text(pack(columns[[name]], {name: kind}, [kind])[name], kind).tolist()
        rows = [
            [i, a, b] for i, (a, b) in enumerate(zip(have, want, strict=True)) if not _same(a, b)
        ]
        if rows:
            exact[name] = [[i, None if _same(a, None) else a, b] for i, a, b in rows]
            exact[name] = [[i, a, None if _same(b, None) else b] for i, a, b in exact[name]]
    return exact


def _same(a: Any, b: Any) -> bool:
    return a == b or (bool(pd.isna(a)) and bool(pd.isna(b)))


def _restore(columns: pd.DataFrame, sidecar: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Full names, kinds and exact values, as far as the dbf was not edited since."""
    try:
        note = orjson.loads(sidecar.read_bytes())
        names, kinds, exact = note["names"], note["kinds"], note["exact"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise FileError(
            f"{sidecar.name} is damaged; fetch it again, or delete it to read the Shapefile alone"
        ) from None
    if not names:
        columns = columns.drop(columns="FID", errors="ignore")
    frame = unpack(columns.rename(columns=names), kinds)
    for name, rows in exact.items():
        if name not in frame:
            continue
        texts = to_text(frame[name], kinds[name]).astype(object)
        for row, stored, true in rows:
            if row < len(texts) and _same(texts.iloc[row], stored):
                texts.iloc[row] = true
        frame[name] = texts
    return frame, kinds
