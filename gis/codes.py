"""Codes of areas: parse, check, format and mint.

An area of the first four levels has the 12-digit statistical division code: county 6 (GB/T 2260),
town 3 and village 3 (GB/T 10114), padded with zeros. A grid adds a serial of three digits::

    44 06 04 010 001 003
    |  |  |  |   |   └ grid, 001 to 999 within its village
    |  |  |  |   └ village or community
    |  |  |  └ town or street
    |  |  └ district or county
    |  └ city
    └ province

A code, once given, means one grid for ever. When grids are split, merged or moved to another
village the old codes are retired and the new parts get new ones from `mint`; which grid came from
which is the business of the lineage table, never of the code.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

MAX_SERIAL = 999

# By region: north, north-east, east, centre and south, south-west, north-west, Taiwan, HK, Macao.
PROVINCES = frozenset(
    str(region + number)
    for region, provinces in ((10, 5), (20, 3), (30, 7), (40, 6), (60, 5))
    for number in range(1, provinces + 1)
) | {"50", "51", "52", "53", "54", "71", "81", "82"}
# Dongguan, Zhongshan, Danzhou and Jiayuguan have towns but no districts: county part `…00`.
WITHOUT_DISTRICTS = frozenset({"4419", "4420", "4604", "6202"})

_FULL_WIDTH = str.maketrans("０１２３４５６７８９", "0123456789", "\ufeff")


class CodeError(ValueError):
    """A code is wrong, or cannot be minted; the message says what, where and what to do."""


class Level(StrEnum):
    """Levels of the area tree, from the top down."""

    CITY = "city"
    DISTRICT = "district"
    TOWN = "town"
    VILLAGE = "village"
    GRID = "grid"


_SHORT = {Level.CITY: 6, Level.DISTRICT: 6, Level.TOWN: 9, Level.VILLAGE: 12, Level.GRID: 15}


@dataclass(frozen=True, slots=True, order=True)
class AreaCode:
    """The code of one area; made by `parse`, which is the only check.

    Attributes
    ----------
    text : str
        The canonical form: 12 digits, or 15 for a grid. Codes sort by it.
    level : Level
        A string enumeration: ``code.level == "grid"`` holds.

    Examples
    --------
    >>> code = parse("440604010001003")
    >>> code.level, code.serial, str(code.parent), code.pretty
    (<Level.GRID: 'grid'>, 3, '440604010001', '440604 010 001 003')
    >>> [area.short for area in code.ancestors]
    ['440604010001', '440604010', '440604', '440600']
    """

    text: str
    level: Level

    @property
    def parent(self) -> "AreaCode | None":
        """The area one level up; None for a city, the city for a town that has no district."""
        above = {
            Level.GRID: (12, Level.VILLAGE),
            Level.VILLAGE: (9, Level.TOWN),
            Level.TOWN: (6, Level.DISTRICT),
            Level.DISTRICT: (4, Level.CITY),
        }.get(self.level)
        if above is None:
            return None
        length, level = above
        if level is Level.DISTRICT and self.text[4:6] == "00":
            level = Level.CITY
        return AreaCode(self.text[:length].ljust(12, "0"), level)

    @property
    def ancestors(self) -> tuple["AreaCode", ...]:
        """The areas above, the nearest first; empty for a city."""
        return () if self.parent is None else (self.parent, *self.parent.ancestors)

    @property
    def short(self) -> str:
        """The code without its padding: 6 digits for a city or district, 9 for a town."""
        return self.text[: _SHORT[self.level]]

    @property
    def serial(self) -> int | None:
        """The number of a grid within its village; None on the other levels."""
        return int(self.text[12:]) if self.level is Level.GRID else None

    @property
    def pretty(self) -> str:
        """The code in groups, for people to read out: ``440604 010 001 003``."""
        groups = (self.text[:6], self.text[6:9], self.text[9:12], self.text[12:])
        return " ".join(group for group in groups if group.strip("0"))

    def contains(self, other: "AreaCode") -> bool:
        """Whether `other` is this area or lies below it."""
        return self == other or self in other.ancestors

    def __str__(self) -> str:
        return self.text


def parse(text: str | int) -> AreaCode:
    """Read one code.

    Parameters
    ----------
    text : str or int
        6 digits (city, district), 9 (town), 12 (any level but grid, padded with zeros) or 15
        (grid). Full-width digits and blanks around the code are taken as meant.

    Raises
    ------
    CodeError
        The code has the wrong length, something else than digits, an unknown province, a zero
        part above a part that is not zero, or the serial 000.

    Examples
    --------
    >>> parse("４４０６０４").text
    '440604000000'
    """
    digits = _digits(str(text))
    if len(digits) not in (6, 9, 12, 15):
        raise CodeError(
            f"code {digits!r} has {len(digits)} digits; give 6 (city, district), 9 (town), "
            "12 (village, or any area padded with zeros) or 15 (grid)"
        )
    if digits[:2] not in PROVINCES:
        raise CodeError(
            f"code {digits!r}: digits 1-2, {digits[:2]!r}, are no province of GB/T 2260 "
            "(Guangdong is 44)"
        )
    padded = digits.ljust(12, "0")
    return AreaCode(padded, _level(padded, digits))


def _digits(text: str) -> str:
    digits = text.translate(_FULL_WIDTH).strip()
    if not digits:
        raise CodeError("the code is empty; give 12 digits, or 15 for a grid")
    wrong = next((i for i, c in enumerate(digits) if c not in "0123456789"), None)
    if wrong is not None:
        hint = (
            "; a spreadsheet has turned it into a number, format the column as text"
            if "." in digits and wrong > 0
            else "; a code has digits only"
        )
        raise CodeError(
            f"code {digits!r}: {digits[wrong]!r} at position {wrong + 1} is not a digit{hint}"
        )
    return digits


def _level(padded: str, shown: str) -> Level:
    """The level of a code of 12 or 15 digits, by its last part that is not zero."""
    parts = {
        Level.CITY: (padded[2:4], 3),
        Level.DISTRICT: (padded[4:6], 5),
        Level.TOWN: (padded[6:9], 7),
        Level.VILLAGE: (padded[9:12], 10),
        Level.GRID: (padded[12:], 13),
    }
    if parts[Level.GRID][0] == "000":
        raise CodeError(
            f"code {shown!r}: digits 13-15 are 000; the serials of grids run from 001 to 999, "
            "and a village's own code has 12 digits"
        )
    present = [level for level, (part, _) in parts.items() if part.strip("0")]
    if not present:
        raise CodeError(f"code {shown!r} is a province; areas begin at the city (digits 3-4)")
    for level, (part, start) in parts.items():
        if level is present[-1]:
            break
        districtless = level is Level.DISTRICT and padded[:4] in WITHOUT_DISTRICTS
        if not part.strip("0") and not districtless:
            raise CodeError(
                f"code {shown!r}: digits {start}-{start + len(part) - 1} ({level}) are zero "
                f"although a {present[-1]} follows; every level above it needs its number"
            )
    return present[-1]


def check(codes: npt.ArrayLike, level: Level | str | None = None) -> npt.NDArray[np.object_]:
    """What is wrong with each code, vectorised.

    Parameters
    ----------
    codes : array_like of str or int
        Codes, of any shape. None and NaN count as empty. Codes of floats are refused: they have
        lost digits, or will.
    level : Level or str, optional
        The level that every code has to be of.

    Returns
    -------
    ndarray of object (str)
        In the shape of `codes`: ``''`` if the code is right, else the sentence of `CodeError`.
        Each distinct code is looked at once, so a long column of few codes costs little.

    Examples
    --------
    >>> check(["440604010001", "440604010001000"]).astype(bool).tolist()
    [False, True]
    """
    array = np.asarray(codes, dtype=object)
    wanted = None if level is None else Level(level)
    index, distinct = pd.factorize(array.ravel(), use_na_sentinel=True)
    messages = [_fault(code, wanted) for code in distinct]
    # Missing codes have the index -1: the last of the messages.
    table = np.array([*messages, _fault("", wanted)], dtype=object)
    faults: npt.NDArray[np.object_] = table[index].reshape(array.shape)
    return faults


def _fault(code: str | int, wanted: Level | None) -> str:
    try:
        found = parse(code)
    except CodeError as error:
        return str(error)
    if wanted is not None and found.level is not wanted:
        return f"code {found.short!r} is a {found.level}, but a {wanted} is asked for here"
    return ""


def mint(
    village: AreaCode | str, points: npt.ArrayLike, used: Iterable[AreaCode | str] = ()
) -> list[str]:
    """New codes for the new grids of one village.

    The serials follow the reading order of `reading_order`, and continue after the highest ever
    used: a code that was retired by a split or a merge never comes back, and a gap stays a gap.
    The same points get the same codes in whatever order they are given.

    Parameters
    ----------
    village : AreaCode or str
        The village or community that the grids belong to.
    points : array_like of float, shape (n, 2)
        A point inside each grid, longitude and latitude in degrees; no two the same.
    used : iterable of AreaCode or str
        Every grid code ever used in this village, retired ones included.

    Returns
    -------
    list of str
        15-digit codes, aligned with `points`.

    Raises
    ------
    CodeError
        `village` is no village, a used code is not one of its grids, a point is missing or stands
        twice, or the village would need more than 999 serials.

    Examples
    --------
    >>> mint("440604010001", [[113.12, 23.01], [113.10, 23.01]], used=["440604010001007"])
    ['440604010001009', '440604010001008']
    """
    home = parse(str(village))
    if home.level is not Level.VILLAGE:
        raise CodeError(
            f"code {home.short!r} is a {home.level}; grids are numbered within a village or "
            "community, give its 12 digits"
        )
    lonlat = _points(points)
    highest = max((_serial_in(home, code) for code in used), default=0)
    if highest + len(lonlat) > MAX_SERIAL:
        raise CodeError(
            f"village {home} has used the serials up to {highest:03d} and {len(lonlat)} more are "
            f"asked for; a village has {MAX_SERIAL} and none is used twice: draw fewer grids, or "
            "divide the village under new 12-digit codes"
        )
    codes = np.empty(len(lonlat), dtype=object)
    codes[reading_order(lonlat)] = [f"{home}{highest + 1 + i:03d}" for i in range(len(lonlat))]
    return list(codes)


def reading_order(lonlat: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Order of points as on a page: rows from the north, each read from west to east.

    This is how we read "from west to east and north to south" of the unit-grid rules (DB11). A
    row begins at the northernmost point that is left and takes every point at most half a mean
    cell further south, where a mean cell is the square whose side is ``sqrt(width * height / n)``
    of the points' bounding box. So one row stays one row although its grids are not quite level,
    in a village of small grids as in one of large ones; points in a line from north to south are
    each a row of their own. Within a row, points of one longitude go from north to south.

    Parameters
    ----------
    lonlat : ndarray of float, shape (n, 2)
        Longitude and latitude in degrees, finite and distinct.

    Returns
    -------
    ndarray of int, shape (n,)
        Indices of the points, the first in reading order first.
    """
    if len(lonlat) < 2:
        return np.arange(len(lonlat))
    lon, lat = lonlat.T
    shrink = np.cos(np.radians((lat.min() + lat.max()) / 2))
    tolerance = np.sqrt(np.ptp(lon) * shrink * np.ptp(lat) / len(lonlat)) / 2
    row = np.empty(len(lonlat), dtype=np.intp)
    rows, top = -1, np.inf
    for i in np.argsort(-lat, kind="stable"):
        if top - lat[i] > tolerance:
            rows, top = rows + 1, lat[i]
        row[i] = rows
    return np.lexsort((-lat, lon, row))


def _points(points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    lonlat = np.asarray(points, dtype=float)
    if lonlat.size == 0:
        return np.empty((0, 2))
    if lonlat.ndim != 2 or lonlat.shape[1] != 2:
        raise CodeError(f"points have the shape {lonlat.shape}; give one (lon, lat) for each grid")
    missing = np.flatnonzero(~np.isfinite(lonlat).all(axis=1))
    if len(missing):
        raise CodeError(f"point {missing[0]} is not a number; give a point inside each grid")
    _, first, count = np.unique(lonlat, axis=0, return_index=True, return_counts=True)
    if (count > 1).any():
        raise CodeError(
            f"point {first[count > 1][0]} stands there twice, so the order would be chance; "
            "give a point inside each grid, and look for a grid that was drawn twice"
        )
    return lonlat


def _serial_in(home: AreaCode, code: AreaCode | str) -> int:
    grid = parse(str(code))
    if grid.serial is None or grid.parent != home:
        raise CodeError(f"used code {grid.short!r} is not a grid of village {home}")
    return grid.serial
