"""What a raw vector file holds, and opening packed ones without trusting them."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pandas as pd
from pyproj import CRS

from data.errors import FileError
from gis.plane import Geometries

MAX_BYTES = 2 * 1024**3  # unpacked; a city's grids in GeoJSON take some 20 MB
_MAX_MEMBERS = 10_000
_CHUNK = 1 << 20
SUFFIXES = (".geojson", ".json", ".gpkg", ".shp", ".parquet", ".geoparquet")


@dataclass(slots=True)
class Raw:
    """A layer as it stands in the file: columns, geometries, CRS if stated, noted kinds."""

    columns: pd.DataFrame
    geometry: Geometries
    crs: CRS | None
    kinds: dict[str, str] = field(default_factory=dict)


def unpack_gzip(path: Path) -> bytes:
    """The content of a gzip file, up to `MAX_BYTES`."""
    try:
        with gzip.open(path) as stream:
            content = stream.read(MAX_BYTES + 1)
    except EOFError:
        raise FileError(f"{path} is cut off; fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileError(f"{path} is not a sound gzip file ({error}); fetch it again") from None
    if len(content) > MAX_BYTES:
        raise FileError(f"{path} unpacks to more than {MAX_BYTES >> 20:,} MB; split it")
    return content


@contextmanager
def unpacked_zip(path: Path) -> Iterator[dict[str, Path]]:
    """Unpack a zip file for as long as the context lasts: its vector files by layer name."""
    with TemporaryDirectory(prefix="wangge-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                _extract(archive, Path(folder), path)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise FileError(f"{path} is not a sound zip file ({error}); fetch it again") from None
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed otherwise
            raise FileError(f"{path} cannot be unpacked: {error}") from None
        found = [p for p in sorted(Path(folder).rglob("*")) if p.suffix.lower() in SUFFIXES]
        found = [p for p in found if not p.name.lower().endswith(".columns.json")]
        if not found:
            raise FileError(f"{path} holds no vector file; wanted are {', '.join(SUFFIXES)}")
        names = [p.stem for p in found]
        yield {p.stem if names.count(p.stem) == 1 else str(p.relative_to(folder)): p for p in found}


def _extract(archive: zipfile.ZipFile, folder: Path, path: Path) -> None:
    members = [member for member in archive.infolist() if not member.is_dir()]
    size = sum(member.file_size for member in members)
    if size > MAX_BYTES or len(members) > _MAX_MEMBERS:
        raise FileError(
            f"{path} unpacks to {size >> 20:,} MB in {len(members):,} files; at most "
            f"{MAX_BYTES >> 20:,} MB and {_MAX_MEMBERS:,} files are unpacked. Split it"
        )
    for member in members:
        parts = PurePosixPath(_name(member).replace("\\", "/")).parts
        if any(part.startswith((".", "__MACOSX")) or ":" in part for part in parts):
            continue  # leftovers of a desktop, or a way out of the folder
        target = folder.joinpath(*(part for part in parts if part != "/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("wb") as sink:
            while piece := source.read(_CHUNK):
                sink.write(piece)


def _name(member: zipfile.ZipInfo) -> str:
    """The member's name; Chinese Windows writes GBK where the standard says cp437."""
    if member.flag_bits & 0x800:
        return member.filename
    try:
        return member.filename.encode("cp437").decode("gb18030")
    except UnicodeError:
        return member.filename


def pick(path: Path, names: list[str], layer: str | None) -> str:
    """The layer asked for, or the only one; FileError names what is there."""
    there = ", ".join(names)
    if layer is None:
        if len(names) == 1:
            return names[0]
        raise FileError(f"{path} holds {len(names)} layers ({there}); name one of them")
    if layer not in names:
        raise FileError(f"{path} has no layer {layer!r}; it holds {there or 'none'}")
    return layer
