"""GeoJSON with every digit: values keep their JSON types, geometries their doubles."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from data.attributes import pack
from data.errors import FileError
from data.vector_source import Raw
from gis.plane import Geometries

NATIVE = ("text", "integer", "real", "boolean", "json")
_GEOMETRIES = {
    "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon",
    "GeometryCollection",
}  # fmt: skip


def read(path: Path, content: bytes, encoding: str | None) -> Raw:
    """Features, a single feature or a bare geometry; an ``id`` of features becomes a column."""
    document = _parse(path, _decode(path, content, encoding))
    features = _features(path, document)
    columns = _columns([feature.get("properties") or {} for feature in features])
    ids = pd.Series([feature.get("id") for feature in features], dtype=object)
    if ids.notna().any() and "id" not in columns:
        columns.insert(0, "id", ids)
    elif ids.notna().any() and not (columns["id"] == ids).all():
        columns.insert(0, _free("feature_id", columns), ids)
    note = document.get("columns")
    kinds = {str(k): str(v) for k, v in note.items()} if isinstance(note, dict) else {}
    return Raw(columns, _geometries(path, features), _crs(path, document), kinds)


def _decode(path: Path, content: bytes, encoding: str | None) -> str:
    for name in [encoding] if encoding else ["utf-8-sig", "gb18030"]:
        try:
            return content.decode(name)
        except UnicodeDecodeError as error:
            where = error.start
        except LookupError:
            raise FileError(f"the encoding {name!r} is not known; give utf-8 or gb18030") from None
    raise FileError(
        f"{path} is not text in {encoding or 'UTF-8 or GB18030'} (byte {where:,}); "
        "name its encoding, or fetch it again"
    )


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:  # NaN and numbers beyond 64 bits are not JSON, but common
            document = json.loads(text)
        except json.JSONDecodeError as error:
            cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated")
            raise FileError(
                f"{path} {'is cut off' if cut else 'is not JSON'} at line {error.lineno:,}, "
                f"column {error.colno:,} ({error.msg}); fetch it again"
            ) from None
    if not isinstance(document, dict):
        raise FileError(f"{path} is JSON but not GeoJSON; wanted is a FeatureCollection")
    return document


def _features(path: Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    kind = document.get("type")
    if kind == "FeatureCollection" and isinstance(document.get("features"), list):
        features: list[Any] = document["features"]
    elif kind == "Feature":
        features = [document]
    elif kind in _GEOMETRIES:
        features = [{"type": "Feature", "geometry": document}]
    else:
        raise FileError(f"{path} is JSON but not GeoJSON (type {kind!r}): no FeatureCollection")
    for number, feature in enumerate(features, start=1):
        if not isinstance(feature, dict) or not isinstance(feature.get("properties") or {}, dict):
            raise FileError(f"{path}: feature {number:,} is not a GeoJSON feature; correct it")
    return features


def _columns(rows: list[dict[str, Any]]) -> pd.DataFrame:
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(len(rows)))
    return frame.rename(columns={"geometry": _free("geometry_", frame)})


def _free(name: str, frame: pd.DataFrame) -> str:
    while name in frame.columns:
        name += "_"
    return name


def _geometries(path: Path, features: list[dict[str, Any]]) -> Geometries:
    texts = [
        None if feature.get("geometry") is None else orjson.dumps(feature["geometry"]).decode()
        for feature in features
    ]
    shapes = shapely.from_geojson(np.array(texts, dtype=object), on_invalid="ignore")
    for number, (text, shape) in enumerate(zip(texts, shapes, strict=True), start=1):
        if text is not None and shape is None:
            raise FileError(
                f"{path}: the geometry of feature {number:,} is not GeoJSON ({text[:60]}…)"
            )
    return np.asarray(shapes, dtype=object)


def _crs(path: Path, document: dict[str, Any]) -> CRS:
    """WGS 84 unless the member of the old standard says otherwise."""
    note = document.get("crs")
    if note is None:
        return CRS(4326)
    try:
        return CRS.from_user_input(note["properties"]["name"])
    except (CRSError, KeyError, TypeError):
        raise FileError(f"{path} states a crs that is not known ({note}); name its CRS") from None


def dump(name: str, columns: pd.DataFrame, kinds: dict[str, str], shapes: Geometries) -> bytes:
    """A FeatureCollection; the member ``columns`` notes the kinds that JSON cannot tell."""
    packed = pack(columns, kinds, NATIVE)
    for column, kind in kinds.items():
        if kind == "real" and np.isinf(packed[column]).any():
            raise FileError(f"column {column!r} has infinite numbers, which GeoJSON cannot hold")
    objects = packed.astype(object).where(packed.notna(), None)
    keys = list(objects.columns)
    geometry = shapely.to_geojson(shapes)
    ids = _ids(objects)
    features = [
        orjson.dumps(
            {
                "type": "Feature",
                **({} if ids is None else {"id": ids[i]}),
                "properties": dict(zip(keys, row, strict=True)),
                "geometry": None if geometry[i] is None else orjson.Fragment(geometry[i]),
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
            default=str,
        )
        for i, row in enumerate(objects.itertuples(index=False, name=None))
    ]
    head = orjson.dumps({"type": "FeatureCollection", "name": name, "columns": kinds})[:-1]
    return head + b',"features":[\n' + b",\n".join(features) + b"\n]}\n"


def _ids(objects: pd.DataFrame) -> list[Any] | None:
    """The column ``id`` also as the features' id, if it can be one."""
    if "id" not in objects:
        return None
    ids = objects["id"].tolist()
    good = all(isinstance(value, str | int) for value in ids) and len(set(ids)) == len(ids)
    return ids if good else None
