"""Columns of vector files: what kind of values each holds, and text in their place and back.

File formats differ in what they can hold: GeoJSON knows no dates, a dbf no lists. Each column is
therefore of one of seven kinds (`KINDS`), in one pandas type per kind, and a kind that a format
lacks goes out as text together with a note of the kind, from which it comes back the same.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import orjson
import pandas as pd

KINDS = ("text", "integer", "real", "boolean", "date", "datetime", "instant", "json")
INT64 = 2**63


def kind_of(column: pd.Series) -> str:
    """The kind of a column: text, integer, real, boolean, date, datetime, instant or json.

    A ``datetime`` has no time zone, an ``instant`` has one. ``json`` is everything that is
    neither a number nor a text throughout: lists, mappings, mixtures.
    """
    types = pd.api.types
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return "instant"
    for test, kind in (
        (types.is_bool_dtype, "boolean"),
        (types.is_integer_dtype, "integer"),
        (types.is_float_dtype, "real"),
        (types.is_datetime64_dtype, "datetime"),
    ):
        if column.dtype != object and test(column.dtype):
            return kind
    if column.dtype != object:
        return "text"
    return _kind_of_objects(column.dropna())


def _kind_of_objects(values: pd.Series) -> str:
    found = set(map(type, values))
    if found <= {str}:
        return "text"
    if found == {bool}:
        return "boolean"
    if found == {int}:
        return "integer" if all(-INT64 <= v < INT64 for v in values) else "json"
    if found <= {int, float}:
        return "real"
    if found == {dt.date}:
        return "date"
    if found <= {dt.datetime, pd.Timestamp}:
        return "instant" if all(v.tzinfo for v in values) else "datetime"
    return "json"


def tidy(column: pd.Series, kind: str) -> pd.Series:
    """The column in the one pandas type of its kind.

    ``str``, ``int64`` (``Int64`` if values are missing), ``float64``, ``bool`` (``boolean``),
    objects of `datetime.date`, ``datetime64[us]``, ``datetime64[us, UTC]``, objects of lists,
    dicts, numbers and text. Missing is NaN, NaT, NA or None as is usual for the type.
    """
    missing = bool(column.isna().any())
    if kind == "integer":
        return column.astype("Int64" if missing else "int64")
    if kind == "boolean":
        return column.astype("boolean").astype("boolean" if missing else "bool")
    if kind == "real":
        return column.astype(float)
    if kind == "datetime":
        return pd.to_datetime(column, format="ISO8601").astype("datetime64[us]")
    if kind == "instant":
        return pd.to_datetime(column, format="ISO8601", utc=True).astype("datetime64[us, UTC]")
    if kind == "text":
        return column.astype(object).where(column.notna(), None).astype("str")
    values = [None if _absent(value) else value for value in map(_plain, column)]
    return pd.Series(values, index=column.index, dtype=object, name=column.name)


def _plain(value: Any) -> Any:
    """Arrays, at any depth, to lists: Parquet hands nested values out as arrays."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _absent(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


def to_text(column: pd.Series, kind: str) -> pd.Series:
    """Values as text: ISO 8601, JSON, or digits; missing stays missing."""
    if kind == "json":
        texts = [None if v is None else orjson.dumps(v, default=str).decode() for v in column]
    else:
        stamped = kind in ("date", "datetime", "instant")
        texts = [
            None if pd.isna(v) else v.isoformat() if stamped else str(v)
            for v in column.astype(object)
        ]
    return pd.Series(texts, index=column.index, dtype="str", name=column.name)


def from_text(column: pd.Series, kind: str) -> pd.Series:
    """The inverse of `to_text`; ValueError if a text is not of the kind."""
    if kind == "json":
        values = [None if pd.isna(v) else orjson.loads(v) for v in column]
    elif kind == "date":
        values = [None if pd.isna(v) else dt.date.fromisoformat(v) for v in column]
    else:
        return tidy(column, kind)
    return pd.Series(values, index=column.index, dtype=object, name=column.name)


def kinds_of(frame: pd.DataFrame) -> dict[str, str]:
    """The kind of every column by name."""
    return {str(name): kind_of(frame[name]) for name in frame.columns}


def pack(frame: pd.DataFrame, kinds: Mapping[str, str], native: Collection[str]) -> pd.DataFrame:
    """The columns tidied, and as text where the format has no such kind."""
    columns = {name: tidy(frame[name], kind) for name, kind in kinds.items()}
    for name, kind in kinds.items():
        if kind not in native:
            columns[name] = to_text(columns[name], kind)
    return pd.DataFrame(columns, index=frame.index)


def unpack(frame: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Columns in the kind that the note says; those without a note as they look.

    A file that was edited since may have values that do not fit the note: then they are kept as
    they stand in the file.
    """
    columns = {}
    for name in frame.columns:
        column, kind = frame[name], kinds.get(str(name), "")
        looks = kind_of(column)
        if kind in KINDS and kind != looks:
            try:
                columns[name] = from_text(column, kind) if looks == "text" else tidy(column, kind)
                continue
            except (ValueError, TypeError):
                pass
        columns[name] = tidy(column, looks)
    return pd.DataFrame(columns, index=frame.index)
