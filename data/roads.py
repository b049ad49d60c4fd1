"""The roads that travel times follow: tiles for Valhalla, built from an OpenStreetMap extract.

The tiles are one file, ``roads/tiles.tar`` under ``WANGGE_HOME``, which says itself from what it
was built. It takes the place of the one before in a single move, so that a build that fails or is
interrupted changes nothing, and every process maps the same file.
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import osmium
from osmium.osm import NOTHING, WAY

from data.errors import FileError
from gis.travel import Roads, StraightLine, Travel, configuration

Progress = Callable[[str, float], None]

_ABOUT = "about.json"
# What the builder reports as done, what comes next, and the share of the work done by then.
_STAGES = {
    "::ParseWays took": ("reading nodes", 0.3),
    "::ParseNodes took": ("joining roads", 0.45),
    "graphbuilder.cc::Build took": ("looking at crossings", 0.55),
    "::Enhance took": ("sorting main roads from streets", 0.7),
    "hierarchybuilder.cc::Build took": ("shortening long ways", 0.75),
    "shortcutbuilder.cc::Build took": ("noting turns that are forbidden", 0.85),
    "restrictionbuilder.cc::Build took": ("checking", 0.9),
    "graphvalidator.cc::Validate took": ("packing", 0.97),
}


class RoadsError(RuntimeError):
    """The roads cannot be built; the message says why and what to do."""


@dataclass(frozen=True)
class Tiles:
    """What the archive says of itself: the extract's name and SHA-256, the builder's version."""

    source: str
    sha256: str
    valhalla: str


def build(file: Path, home: Path, progress: Progress = lambda _what, _share: None) -> bool:
    """Build the tiles of an OpenStreetMap extract (PBF) in place of those that are there.

    Returns
    -------
    bool
        False if the tiles of this very file are there already.

    Raises
    ------
    FileError
        There is no such file, it is no extract in PBF, is damaged, or has no road in it.
    RoadsError
        Another build is running, or the builder failed.
    """
    _check_header(file)
    progress("looking at the file", 0.0)
    with file.open("rb") as opened:
        tiles = Tiles(file.name, hashlib.file_digest(opened, "sha256").hexdigest(), _version())
    with _alone(home) as folder:
        there = current(home)
        if there and (there.sha256, there.valhalla) == (tiles.sha256, tiles.valhalla):
            return False
        work = folder / "building"
        shutil.rmtree(work, ignore_errors=True)  # what a killed build left
        try:
            (work / "tiles").mkdir(parents=True)
            _run_builder(file, work, progress)
            _pack(tiles, work).replace(_archive(home))
        finally:
            shutil.rmtree(work, ignore_errors=True)
    progress("done", 1.0)
    return True


def remove(home: Path) -> bool:
    """Go back to straight lines; False if there were no tiles."""
    there = _archive(home).exists()
    _archive(home).unlink(missing_ok=True)
    return there


def current(home: Path) -> Tiles | None:
    """Whose roads are in use; None if there are none that this Valhalla can be trusted with."""
    tiles = _about(_archive(home))
    return tiles if tiles and tiles.valhalla == _version() else None


def travel(home: Path) -> Travel:
    """Travel times by the roads if there are any, else by straight lines.

    It may be called for every question: the archive is opened once in a process, and once more
    when another has taken its place.
    """
    try:
        stat = _archive(home).stat()
    except FileNotFoundError:
        return StraightLine()
    return _opened(home, stat.st_ino, stat.st_mtime_ns)


def described(home: Path) -> list[tuple[str, str]]:
    """Which travel times are in use and from where, as names and values."""
    lines = [("by", travel(home).name)]
    if tiles := current(home):
        lines.append(("extract", tiles.source))
    elif _archive(home).exists():
        why = "damaged, or built by another Valhalla: run `roads FILE.osm.pbf` again"
        lines.append((f"{_archive(home).name} is not in use", why))
    return lines


@lru_cache(maxsize=1)
def _opened(home: Path, _inode: int, _changed_ns: int) -> Travel:
    return Roads(_archive(home)) if current(home) else StraightLine()


def _archive(home: Path) -> Path:
    return home / "roads" / "tiles.tar"


def _about(archive: Path) -> Tiles | None:
    """What the archive says of itself; None if there is none, or none that can be read."""
    try:
        with tarfile.open(archive) as tar, tar.extractfile(_ABOUT) or io.BytesIO() as member:
            return Tiles(**json.load(member))
    except (OSError, tarfile.TarError, KeyError, TypeError, ValueError):
        return None


def _version() -> str:
    import valhalla  # half a second, for those only who have roads

    return str(valhalla.__version__)


def _check_header(file: Path) -> None:
    if not file.is_file():
        raise FileError(f"There is no file {file}.")
    try:
        with osmium.io.Reader(osmium.io.File(str(file), "pbf"), NOTHING) as reader:
            reader.header()
    except RuntimeError as error:
        raise FileError(
            f"{file.name} is no OpenStreetMap extract in PBF ({error}); they are called *.osm.pbf."
        ) from None


@contextmanager
def _alone(home: Path) -> Iterator[Path]:
    """The folder of the tiles, for one builder at a time."""
    folder = home / "roads"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RoadsError(
                f"Roads are being built in {home} at this moment; try again once that is done."
            ) from None
        yield folder


def _run_builder(file: Path, work: Path, progress: Progress) -> None:
    """Run the builder that came with Valhalla's package until its tiles are in ``work``."""
    import valhalla

    (work / "valhalla.json").write_text(json.dumps(configuration(tile_dir=work / "tiles")))
    # It tells the format by the name.
    extract = work / "extract.osm.pbf"
    extract.symlink_to(file.resolve())
    program = Path(valhalla.__file__).parent / "bin" / "valhalla_build_tiles"
    command = [str(program), "-c", str(work / "valhalla.json"), str(extract)]
    progress("reading ways", 0.05)
    last: deque[str] = deque(maxlen=20)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=work, text=True,
        errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                last.append(line.strip())
                for sign, (what, share) in _STAGES.items():
                    if sign in line:
                        progress(what, share)
            process.wait()
        finally:
            process.kill()  # an interrupted one; does nothing to one that has ended
    if process.returncode or not any((work / "tiles").rglob("*.gph")):
        raise _fault(file, process.returncode, last)


def _fault(file: Path, code: int, last: deque[str]) -> Exception:
    """Why the builder failed, by a second reader: on bad files it ends without a useful word."""
    try:
        highway = osmium.filter.KeyFilter("highway")
        ways = osmium.FileProcessor(osmium.io.File(str(file), "pbf"), WAY).with_filter(highway)
        has_roads = any(True for _ in ways)
    except RuntimeError as error:
        return FileError(f"{file.name} is cut off or damaged ({error}); fetch it again.")
    if not has_roads:
        return FileError(f"{file.name} has no roads in it: no way has the tag highway.")
    said = next((line for line in reversed(last) if line), "nothing")
    return RoadsError(
        f"Valhalla could not build the roads of {file.name} (it ended with {code} and said last: "
        f"{said}); is there enough memory and room on the disk?"
    )


def _pack(tiles: Tiles, work: Path) -> Path:
    """One tar file of all tiles, which Valhalla maps into memory, with what they are."""
    path = work / "tiles.tar"
    about = json.dumps(asdict(tiles), ensure_ascii=False).encode()
    with path.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            member = tarfile.TarInfo(_ABOUT)
            member.size = len(about)
            tar.addfile(member, io.BytesIO(about))
            for tile in sorted((work / "tiles").rglob("*.gph")):
                tar.add(tile, arcname=str(tile.relative_to(work / "tiles")))
        file.flush()
        os.fsync(file.fileno())  # on the disk before it takes the place of one that is
    return path
