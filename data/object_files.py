"""Files of objects as batches of text columns: JSON Lines, GeoJSON, Parquet and GeoParquet."""

import json
import re
from collections.abc import Iterator
from json.decoder import WHITESPACE  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from data.table_batch import Batch, Ragged
from data.text_stream import TableError, utf8_pieces

_Row = tuple[int, dict[str, Any] | Ragged]


def read_lines(path: Path, encoding: str | None, batch_rows: int) -> Iterator[Batch]:
    """Batches of JSON Lines: an object, or a GeoJSON feature, on each line."""
    yield from _batches(_line_rows(path, encoding), batch_rows)


def _line_rows(path: Path, encoding: str | None) -> Iterator[_Row]:
    number, rest = 0, b""
    for piece in utf8_pieces(path, encoding):
        *lines, rest = (rest + piece).split(b"\n")
        for number, line in enumerate(lines, start=number + 1):  # noqa: B020
            if line and not line.isspace():
                yield number, _object(number, line)
    if rest and not rest.isspace():
        row = _object(number + 1, rest)
        if isinstance(row, Ragged):
            raise TableError(
                f"{path} is cut off in line {number + 1:,}, which ends without a line break and "
                f"is not whole ({row.reason}); fetch the file again, or mend that line"
            )
        yield number + 1, row


def _object(number: int, line: bytes) -> dict[str, Any] | Ragged:
    try:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            value = json.loads(line)  # takes NaN and large integers too
    except (ValueError, RecursionError) as error:
        return Ragged(number, line.decode().strip(), f"the line is not valid JSON: {error}")
    return _flat(number, value)


def _flat(number: int, value: object) -> dict[str, Any] | Ragged:
    """A row of `_members`, unless there are halves of characters in it."""
    try:
        orjson.dumps(value)  # fast; where it refuses, look why
    except TypeError:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = f"\\u{ord(error.object[error.start]):04x}"
            return Ragged(number, json.dumps(value), f"there is half a character, {half}, in it")
    return _members(number, value)


def _members(number: int, value: object) -> dict[str, Any] | Ragged:
    """A feature's properties with ``lon`` and ``lat`` of its point; another object as it is."""
    if not isinstance(value, dict):
        kind = type(value).__name__
        return Ragged(number, json.dumps(value, ensure_ascii=False), f"a {kind}, not an object")
    if not value:
        return Ragged(number, "{}", "the object has no members")
    if value.get("type") != "Feature" or "geometry" not in value:
        return value
    geometry, properties = value["geometry"] or {}, value.get("properties") or {}
    kind, place = geometry.get("type", "Point"), geometry.get("coordinates") or [None, None]
    if kind != "Point" or not isinstance(place, list) or len(place) < 2:
        text = json.dumps(value, ensure_ascii=False)
        return Ragged(
            number, text, f"the feature's geometry is a {kind}, not a point of two numbers"
        )
    flat = {f"properties.{k}" if k in ("lon", "lat") else k: v for k, v in properties.items()}
    if "id" in value:
        flat.setdefault("id", value["id"])
    return flat | {"lon": place[0], "lat": place[1]}


def _batches(
    rows: Iterator[_Row], size: int, crs: list[str | None] | None = None
) -> Iterator[Batch]:
    names: dict[str, None] = {}
    kept: list[dict[str, Any]] = []
    numbers: list[int] = []
    ragged: list[Ragged] = []
    any_yet = False

    def batch() -> Batch:
        for row in kept:
            names.update(dict.fromkeys(row))
        columns = [pa.array([_text(row.get(n)) for row in kept], pa.string()) for n in names]
        table = pa.table(columns, names=list(names))
        return Batch(table, np.array(numbers, np.int64), ragged, crs[0] if crs else None)

    for number, row in rows:
        if isinstance(row, Ragged):
            ragged.append(row)
            continue
        kept.append(row)
        numbers.append(number)
        if len(kept) == size:
            yield batch()
            kept, numbers, ragged, any_yet = [], [], [], True
    if kept or ragged or not any_yet:
        yield batch()


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False)


# --- GeoJSON -----------------------------------------------------------------------------------


def read_geojson(path: Path, encoding: str | None, batch_rows: int) -> Iterator[Batch]:
    """Batches of a GeoJSON feature collection, or of a JSON array of objects, as a stream."""
    reader = _Stream(path, utf8_pieces(path, encoding))
    yield from _batches(reader.rows(), batch_rows, reader.crs)


class _Stream:
    """The members of one large JSON array, decoded one by one from a window of the text."""

    def __init__(self, path: Path, pieces: Iterator[bytes]) -> None:
        self.path, self.pieces = path, pieces
        self.text, self.at, self.count = "", 0, 0
        self.rest = b""
        self.crs: list[str | None] = [None]
        self.decoder = json.JSONDecoder()

    def rows(self) -> Iterator[_Row]:
        if self._peek() == "{":
            self._enter_features()
        elif self._peek() != "[":
            raise self._fault("the file is neither a GeoJSON feature collection nor a JSON array")
        self.at += 1
        while self._peek() != "]":
            self.count += 1
            yield self.count, _flat(self.count, self._value())
            if self._peek() == ",":
                self.at += 1
            elif self._peek() != "]":
                raise self._fault(f"after feature {self.count:,} stands {self._peek()!r}")
        self.at += 1

    def _enter_features(self) -> None:
        """Go to the array of the member ``features``, taking note of ``crs`` on the way."""
        self.at += 1
        while self._peek() == '"':
            key = self._value()
            if self._peek() != ":":
                break
            self.at += 1
            if key == "features" and self._peek() == "[":
                return
            value = self._value()
            if key == "crs" and isinstance(value, dict):
                self.crs[0] = _named_crs((value.get("properties") or {}).get("name"))
            if self._peek() == ",":
                self.at += 1
        raise self._fault("the file is JSON without a list of features; give a FeatureCollection")

    def _more(self) -> bool:
        piece = next(self.pieces, None)
        if piece is None:
            return False
        data = self.rest + piece
        # A piece may end inside a character; the bytes of its beginning wait for the next piece.
        cut = len(data) - next(
            (i for i in range(min(4, len(data))) if data[-1 - i] & 0xC0 != 0x80), 0
        )
        cut = cut - 1 if data[cut - 1 : cut] >= b"\xc0" else len(data)
        self.text, self.at = self.text[self.at :] + data[:cut].decode(), 0
        self.rest = data[cut:]
        return True

    def _peek(self) -> str:
        while True:
            self.at = WHITESPACE.match(self.text, self.at).end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                raise self._fault(f"it is cut off after feature {self.count:,}; fetch it again")

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
                if end < len(self.text):  # a number at the very end may go on in the next piece
                    self.at = end
                    return value
                problem = ""
            except (ValueError, RecursionError) as error:
                problem = str(error)
                if len(self.text) - self.at > 1 << 26:
                    raise self._fault(
                        f"feature {self.count:,} is not valid JSON: {problem}"
                    ) from None
            if not self._more():
                raise self._fault(
                    f"it is cut off in feature {self.count:,} or not valid JSON there; fetch it "
                    f"again ({problem or 'the list has no end'})"
                )

    def _fault(self, what: str) -> TableError:
        return TableError(f"{self.path}: {what}")


def _named_crs(name: object) -> str | None:
    code = re.search(r"EPSG:[\d.]*:?(\d{4,6})$", str(name))
    if code:
        return f"EPSG:{code[1]}"
    return "EPSG:4326" if str(name).endswith("CRS84") else None


# --- Parquet -----------------------------------------------------------------------------------


def read_parquet(path: Path, batch_rows: int) -> Iterator[Batch]:
    """Batches of a Parquet file; the points of GeoParquet become ``lon`` and ``lat``."""
    try:
        with pq.ParquetFile(path) as file:
            geo = json.loads((file.schema_arrow.metadata or {}).get(b"geo", b"null"))
            number, any_yet = 1, False
            for block in file.iter_batches(batch_rows):
                yield _parquet_batch(pa.Table.from_batches([block]), number, geo)
                number, any_yet = number + block.num_rows, True
            if not any_yet:
                yield _parquet_batch(file.schema_arrow.empty_table(), number, geo)
    except (pa.ArrowException, OSError) as error:
        raise TableError(
            f"{path} cannot be read as Parquet: it is cut off or damaged ({error}); fetch it again"
        ) from error


def _parquet_batch(table: pa.Table, first: int, geo: dict[str, Any] | None) -> Batch:
    numbers = np.arange(first, first + len(table), dtype=np.int64)
    main = geo["primary_column"] if geo else None
    keep, places, crs = np.ones(len(table), bool), {}, None
    ragged: list[Ragged] = []
    if geo and main in table.column_names:
        meta = geo["columns"][main]
        points = _points(table[main], str(meta.get("encoding", "WKB")))
        keep = shapely.is_missing(points) | (shapely.get_type_id(points) == 0)
        for at in np.flatnonzero(~keep):
            reason = f"the geometry is a {points[at].geom_type}, not a point"
            text = json.dumps(table.drop_columns([main]).slice(at, 1).to_pylist()[0], default=str)
            ragged.append(Ragged(int(numbers[at]), text, reason))
        places = {"lon": shapely.get_x(points), "lat": shapely.get_y(points)}
        crs = _projjson_crs(meta.get("crs"))
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name != main:
            columns[f"properties.{name}" if name in places else name] = _as_text(column)
    for name, values in places.items():
        columns[name] = pc.cast(pa.array(values, from_pandas=True), pa.string())
    return Batch(
        pa.table(columns).filter(pa.array(keep)).combine_chunks(), numbers[keep], ragged, crs
    )


def _points(column: pa.ChunkedArray, encoding: str) -> Any:
    if encoding.lower() == "wkb":
        return shapely.from_wkb(column.to_numpy(), on_invalid="ignore")
    if encoding.lower() != "point":
        raise pa.ArrowInvalid(f"the geometry is stored as {encoding}, not as points")
    x, y = (pc.struct_field(column, i).to_numpy().astype(float) for i in (0, 1))
    points = np.full(len(x), None, dtype=object)
    there = ~(np.isnan(x) | np.isnan(y))
    points[there] = shapely.points(x[there], y[there])
    return points


def _projjson_crs(crs: dict[str, Any] | None) -> str | None:
    try:
        code = CRS.from_json_dict(crs).to_epsg() if crs else None
    except CRSError:
        return None
    if code is None and crs and crs.get("id", {}).get("code") == "CRS84":
        return "EPSG:4326"
    return f"EPSG:{code}" if code else None


def _as_text(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column = pc.cast(column, column.type.value_type)
    try:
        text = pc.cast(column, pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        values = column.to_pylist()
        text = pa.chunked_array(
            [
                pa.array(
                    [None if v is None else json.dumps(v, default=_odd) for v in values],
                    pa.string(),
                )
            ]
        )
    return pc.if_else(pc.equal(text, ""), None, text).combine_chunks()


def _odd(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
