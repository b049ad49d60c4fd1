"""GeoPackage and GeoParquet: formats whose columns have types of their own."""

from pathlib import Path
from typing import Any

import geopandas as gpd
import orjson
import pandas as pd
import pyarrow as pa
import pyogrio
import shapely
from pyproj import CRS

from data.attributes import pack
from data.errors import FileError
from data.vector_source import Raw, pick
from gis.plane import Geometries

_NOTE = "WANGGE_COLUMNS"  # the kinds of the columns, in a GeoPackage's metadata
_OWN_FIDS = ("", "fid", "ogc_fid", "wangge_fid")  # keys that a writer adds by itself


def _nullable(kind: pa.DataType) -> Any:
    """Integers and booleans that may be missing, instead of floats and objects."""
    if pa.types.is_integer(kind):
        return pd.Int64Dtype()
    return pd.BooleanDtype() if pa.types.is_boolean(kind) else None


def read_geopackage(path: Path, layer: str | None) -> Raw:
    """The layer asked for or the only one; raises FileError if pages of the file are missing."""
    with path.open("rb") as stream:
        head = stream.read(100)
    if head[:15] != b"SQLite format 3":
        raise FileError(f"{path} is not a GeoPackage; give one, or fetch it again")
    page = int.from_bytes(head[16:18], "big")
    size = int.from_bytes(head[28:32], "big") * (65536 if page == 1 else page)
    if head[24:28] == head[92:96] and path.stat().st_size < size:
        raise FileError(f"{path} is cut off: {path.stat().st_size:,} of {size:,} bytes")
    names = [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    if not names:
        raise FileError(f"{path} holds no layer with geometry")
    name = pick(path, names, layer)
    info = pyogrio.read_info(path, layer=name)
    frame = pyogrio.read_dataframe(
        path, layer=name, use_arrow=True, fid_as_index=True,
        arrow_to_pandas_kwargs={"types_mapper": _nullable},
    )  # fmt: skip
    if info["fid_column"].lower() not in _OWN_FIDS:
        frame.insert(0, info["fid_column"], frame.index)
    subtypes = zip(info["fields"], info["ogr_subtypes"], strict=True)
    kinds = {str(field): "json" for field, subtype in subtypes if subtype == "OFSTJSON"}
    kinds |= orjson.loads((info["layer_metadata"] or {}).get(_NOTE, "{}"))
    columns = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    return Raw(columns, frame.geometry.to_numpy(), CRS(frame.crs) if frame.crs else None, kinds)


def read_parquet(path: Path) -> Raw:
    """The main geometry with its columns; further geometries become text (WKT)."""
    frame = gpd.read_parquet(path, to_pandas_kwargs={"types_mapper": _nullable})
    others = [n for n in frame.columns[frame.dtypes == "geometry"] if n != frame.geometry.name]
    columns = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    for name in others:  # a second geometry is kept, as text
        columns[name] = shapely.to_wkt(frame[name].to_numpy(), rounding_precision=-1)
    note = frame.attrs.get("columns")
    kinds = note if isinstance(note, dict) else {}
    return Raw(columns, frame.geometry.to_numpy(), CRS(frame.crs) if frame.crs else None, kinds)


def write_geopackage(
    path: Path, name: str, columns: pd.DataFrame, kinds: dict[str, str], shapes: Geometries
) -> None:
    """Native types where they are exact, text with a note of the kind where not."""
    native = {"text", "integer", "real", "boolean", "date"}
    taken = {column.lower() for column in columns}
    frame = gpd.GeoDataFrame(pack(columns, kinds, native | _exact_times(columns, kinds)),
                             geometry=shapes, crs=4326)  # fmt: skip
    pyogrio.write_dataframe(
        frame, path, layer=name, driver="GPKG", use_arrow=True,
        layer_metadata={_NOTE: orjson.dumps(kinds).decode()},
        FID=next(fid for fid in _OWN_FIDS[1:] if fid not in taken),
        GEOMETRY_NAME=next(geom for geom in ("geom", "geometry", "shape") if geom not in taken),
    )  # fmt: skip


def _exact_times(columns: pd.DataFrame, kinds: dict[str, str]) -> set[str]:
    """Kinds of time that a GeoPackage holds exactly here: it ends at the millisecond."""
    exact = set()
    for kind in ("datetime", "instant"):
        stamps = [pd.to_datetime(columns[n], utc=True) for n, k in kinds.items() if k == kind]
        if all((s.dropna() == s.dropna().dt.floor("ms")).all() for s in stamps):
            exact.add(kind)
    return exact


def write_parquet(
    path: Path, columns: pd.DataFrame, kinds: dict[str, str], shapes: Geometries
) -> None:
    """All kinds are native but lists and mappings, which are JSON texts."""
    packed = pack(columns, kinds, set(kinds.values()) - {"json"})
    frame = gpd.GeoDataFrame(packed, geometry=shapes, crs=4326)
    frame.attrs["columns"] = kinds
    frame.to_parquet(path, index=False, compression="zstd")
