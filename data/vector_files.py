"""Vector files in and out: GeoJSON, GeoPackage, Shapefile and GeoParquet.

`read` gives polygons as the rest of the program wants them (WGS 84 longitude and latitude, 2D,
shells counter-clockwise) with their columns untouched: text stays text, so a code keeps its
leading zeros. `write` gives the same formats, and what is written reads back identical.
"""

import gzip
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio.errors
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from data import vector_geojson, vector_shapefile, vector_tables
from data.attributes import kinds_of, unpack
from data.errors import FileError
from data.vector_source import Raw, pick, unpack_gzip, unpacked_zip
from gis import datum
from gis.flaws import polygonal
from gis.plane import Geometries

__all__ = ["FORMATS", "FileError", "apply_mapping", "read", "write"]

FORMATS = {
    ".geojson": "GeoJSON", ".json": "GeoJSON", ".geojson.gz": "GeoJSON", ".json.gz": "GeoJSON",
    ".gpkg": "GeoPackage", ".shp": "Shapefile", ".zip": "Shapefile, zipped",
    ".parquet": "GeoParquet", ".geoparquet": "GeoParquet",
}  # fmt: skip
_BROKEN = (
    pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FieldError,
    pyogrio.errors.GeometryError, pa.ArrowInvalid, pa.ArrowTypeError, shapely.errors.GEOSException,
    sqlite3.Error, OSError,
)  # fmt: skip


def read(
    path: str | os.PathLike[str],
    *,
    layer: str | None = None,
    crs: str | int | None = None,
    encoding: str | None = None,
    polygons: bool = True,
) -> gpd.GeoDataFrame:
    """Read a layer of polygons.

    Parameters
    ----------
    path : path
        ``.geojson``, ``.json`` (both also ``.gz``), ``.gpkg``, ``.shp``, ``.parquet``,
        ``.geoparquet``, or a ``.zip`` that holds one of them.
    layer : str, optional
        Which one, where there are several: a GeoPackage's layer or the name (without suffix) of
        a file in a zip.
    crs : str or int, optional
        What the coordinates are in, overruling the file: ``gcj02``, ``bd09``, ``cgcs2000``, an
        EPSG code or anything else that PROJ knows. Needed if the file does not say.
    encoding : str, optional
        Of the text in a Shapefile or GeoJSON; detected if not given.
    polygons : bool
        If False, other geometries are allowed too.

    Returns
    -------
    GeoDataFrame
        EPSG:4326, index from 0, the geometry last in ``geometry``. Polygons are 2D with shells
        counter-clockwise (RFC 7946); a MultiPolygon has several parts. Rows without geometry are
        kept with None. Columns: see `data.attributes.tidy` for the types.

    Raises
    ------
    FileError
        The file is missing, of another format, cut off or empty; the layer is unknown or must
        be named; the CRS is missing or wrong; there are no polygons, or not only polygons.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(f"{path} does not exist; check the path")
    if path.is_dir() or path.stat().st_size == 0:
        raise FileError(f"{path} is {'a folder' if path.is_dir() else 'empty'}; give a vector file")
    raw = _guarded(path, lambda: _read(path, layer, encoding))
    if not len(raw.geometry):
        raise FileError(f"{path} has no rows; nothing was read")
    shapes = _lonlat(path, shapely.force_2d(raw.geometry), raw.crs, crs)
    shapes = _shaped(shapes)
    if polygons:
        _refuse_others(path, shapes)
    columns = unpack(raw.columns.reset_index(drop=True), raw.kinds)
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=4326)


def _guarded(path: Path, work: Callable[[], Any]) -> Any:
    """Whatever the libraries say of a broken file, as a FileError."""
    try:
        return work()
    except FileError:
        raise
    except (*_BROKEN, ValueError, UnicodeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise FileError(
            f"{path} cannot be read or written as {_format(path)}: {reason[0]}; check that it is "
            "whole and of this format, and that there is space"
        ) from error


def _format(path: Path) -> str:
    name = path.name.lower()
    for suffix in sorted(FORMATS, key=len, reverse=True):
        if name.endswith(suffix):
            return FORMATS[suffix]
    raise FileError(f"{path} is not a known vector file; give one of {', '.join(FORMATS)}")


def _read(path: Path, layer: str | None, encoding: str | None) -> Raw:
    kind = _format(path)
    if path.suffix.lower() == ".zip":
        with unpacked_zip(path) as found:
            if len(found) > 1:
                return _read(found[pick(path, list(found), layer)], None, encoding)
            (name, only), *_ = found.items()
            inside = layer if only.suffix.lower() == ".gpkg" else None
            if inside is None:
                pick(path, [name], layer)
            return _read(only, inside, encoding)
    if kind == "GeoPackage":
        return vector_tables.read_geopackage(path, layer)
    pick(path, [path.name.split(".")[0], path.stem], layer or path.stem)
    if kind == "GeoJSON":
        packed = path.suffix.lower() == ".gz"
        content = unpack_gzip(path) if packed else path.read_bytes()
        return vector_geojson.read(path, content, encoding)
    if kind == "Shapefile":
        return vector_shapefile.read(path, encoding)
    return vector_tables.read_parquet(path)


def _lonlat(
    path: Path, shapes: Geometries, stated: CRS | None, asked: str | int | None
) -> Geometries:
    """Geometries in WGS 84; `asked` overrules what the file states."""
    if asked is None and stated is None:
        raise FileError(f"{path} does not say its CRS; name it, such as EPSG:4490 or gcj02")
    shapes = _transformed(path, shapes, stated if asked is None else asked)
    bounds = shapely.bounds(shapes)
    with np.errstate(invalid="ignore"):
        off = (np.abs(bounds) > (180, 90, 180, 90)).any(axis=1)
    off |= ~np.isfinite(bounds).all(axis=1) & ~(
        shapely.is_missing(shapes) | shapely.is_empty(shapes)
    )
    if off.any():
        row = int(np.argmax(off))
        raise FileError(
            f"{path}: row {row + 1:,} lies at {bounds[row, 0]:.6g}, {bounds[row, 1]:.6g}, which is "
            "no longitude and latitude; name the CRS that the coordinates really are in"
        )
    return shapes


def _transformed(path: Path, shapes: Geometries, source: CRS | str | int) -> Geometries:
    try:
        system = _system(source)
        if isinstance(system, datum.Datum):
            if system.kind == "plain":
                return shapes
            return _moved(shapes, lambda x, y: datum.to_wgs84(x, y, system))
        return _moved(shapes, Transformer.from_crs(system, 4326, always_xy=True).transform)
    except (datum.DatumError, CRSError, ProjError) as error:
        raise FileError(f"{path}: {error}") from None


def _system(source: CRS | str | int) -> "datum.Datum | CRS":
    """A datum that `gis.datum` knows, so that reports and areas move alike; else the CRS."""
    code = source.to_epsg() if isinstance(source, CRS) else source
    if isinstance(source, CRS) and source.to_authority() == ("OGC", "CRS84"):
        code = "crs84"
    try:
        return datum.parse(code) if code is not None else CRS(source)
    except datum.DatumError:
        if isinstance(source, CRS):
            raise
        try:
            found = CRS.from_user_input(source)
        except CRSError:
            found = None
        if found is None or found.to_epsg() is not None:
            raise
        return found


def _moved(shapes: Geometries, function: Callable[..., Any]) -> Geometries:
    moved: Geometries = shapely.transform(
        shapes, lambda c: np.column_stack(function(c[:, 0], c[:, 1]))
    )
    return moved


def _shaped(shapes: Geometries) -> Geometries:
    """Polygons with shells to the left, of one part if there is one; the rest untouched."""
    result = np.array(shapes, dtype=object)
    flat = np.isin(shapely.get_type_id(result), (3, 6)) & ~shapely.is_empty(result)
    result[flat] = shapely.orient_polygons(polygonal(result[flat]))
    return result


def _refuse_others(path: Path, shapes: Geometries) -> None:
    kinds = shapely.get_type_id(shapes)
    flat = np.isin(kinds, (3, 6))
    other = ~flat & (kinds >= 0)
    if not flat.any():
        held = sorted({shape.geom_type for shape in shapes[other]}) or ["no geometry"]
        raise FileError(f"{path} holds {', '.join(held)}, but no polygons; give a layer of areas")
    if other.any():
        row = int(np.argmax(other))
        raise FileError(
            f"{path}: row {row + 1:,} is a {shapes[row].geom_type} among polygons; take it out"
        )


def apply_mapping(gdf: gpd.GeoDataFrame, mapping: Mapping[str, str]) -> gpd.GeoDataFrame:
    """Name columns as the program does: ``{"code": "beat_num", "name": "beat"}``.

    Each key becomes a column with the values of the file's column; the file's other columns stay
    as they are. A column of the file that has the name of a key but is not meant by it gives way.

    Raises
    ------
    FileError
        The file has no such column; the message names those that it has.
    """
    there = [name for name in gdf.columns if name != gdf.geometry.name]
    for key, name in mapping.items():
        if name not in there:
            raise FileError(
                f"there is no column {name!r} for {key!r}; there are: {', '.join(there) or 'none'}"
            )
    mapped = {key: gdf[name] for key, name in mapping.items()}
    rest = gdf.drop(columns=[n for n in there if n in mapped or n in mapping.values()])
    return gpd.GeoDataFrame({**mapped, **{name: rest[name] for name in rest}},
                            geometry=gdf.geometry.name, crs=gdf.crs)  # fmt: skip


def write(gdf: gpd.GeoDataFrame, path: str | os.PathLike[str]) -> None:
    """Write a layer to the format of the path's suffix, all or nothing.

    Parameters
    ----------
    gdf : GeoDataFrame
        Any CRS; written in WGS 84. The index is not written.
    path : path
        See `FORMATS`. The file appears, or replaces the old one, only when it is complete.

    Raises
    ------
    FileError
        The format is not known or cannot hold this, a column is named twice, or it has no CRS.

    Notes
    -----
    GeoJSON has a member ``columns``, a GeoPackage metadata of the layer and a Shapefile a file
    ``NAME.columns.json`` (see `data.vector_shapefile`) by which dates, lists and mappings,
    which the formats cannot all hold, come back as they were.
    """
    path = Path(path)
    _format(path)
    if gdf.crs is None:
        raise FileError(f"{path}: the polygons to write have no CRS; set it first")
    columns = pd.DataFrame(gdf.drop(columns=gdf.geometry.name)).reset_index(drop=True)
    columns.columns = columns.columns.map(str)
    _refuse_twins(path, list(columns))
    stated = CRS(gdf.crs)
    shapes = _shaped(_lonlat(path, shapely.force_2d(gdf.geometry.to_numpy()), stated, None))
    if not path.parent.is_dir():
        raise FileError(f"{path.parent} is not a folder; make it first")
    _guarded(path, lambda: _write(path, columns, kinds_of(columns), shapes))


def _refuse_twins(path: Path, names: list[str]) -> None:
    alike = [name.lower() for name in names] if path.suffix.lower() == ".gpkg" else names
    twins = sorted({name for name, key in zip(names, alike, strict=True) if alike.count(key) > 1})
    if twins or "geometry" in names:
        what = ", ".join(twins) or "geometry"
        raise FileError(f"{path}: the columns {what} have one name; rename all but one")


def _write(path: Path, columns: pd.DataFrame, kinds: dict[str, str], shapes: Geometries) -> None:
    """Write beside the target, then move into place; several files move with the door last."""
    name = path.name.split(".")[0]
    with TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        target = Path(folder) / path.name
        kind = FORMATS[_suffix(path)]
        if kind == "GeoJSON":
            content = vector_geojson.dump(name, columns, kinds, shapes)
            target.write_bytes(_gzip(content) if path.suffix.lower() == ".gz" else content)
        elif kind == "GeoPackage":
            vector_tables.write_geopackage(target, name, columns, kinds, shapes)
        elif kind == "GeoParquet":
            vector_tables.write_parquet(target, columns, kinds, shapes)
        else:
            shp = Path(folder) / f"{path.stem if kind == 'Shapefile' else name}.shp"
            vector_shapefile.write(shp, columns, kinds, shapes)
            if kind == "Shapefile":
                for suffix in vector_shapefile.PARTS:
                    shp.with_suffix(suffix).replace(path.with_suffix(suffix))
                return
            with ZipFile(target, "w", ZIP_DEFLATED) as archive:
                for suffix in vector_shapefile.PARTS:
                    archive.write(shp.with_suffix(suffix), shp.stem + suffix)
        target.replace(path)


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return max((suffix for suffix in FORMATS if name.endswith(suffix)), key=len)


def _gzip(content: bytes) -> bytes:
    return gzip.compress(content, compresslevel=6, mtime=0)
