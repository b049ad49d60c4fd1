"""Datums of coordinates: WGS 84, CGCS2000, GCJ-02, BD-09 and any EPSG code, on arrays.

The axis order is the same everywhere: x is longitude or easting, y is latitude or northing.
CGCS2000 and WGS 84 differ by centimetres and are taken as one, as surveyors do.

GCJ-02 ("Mars coordinates": Amap, Tencent) and BD-09 (Baidu) shift WGS 84 by some 500 m and more.
The formulas are the ones that everybody uses: the shift is computed on the Krasovsky ellipsoid
and only inside a rectangle round China; outside it GCJ-02 and BD-09 equal WGS 84 by convention.
The packages on PyPI take one point at a time (1 to 20 s for a million), so this is our own.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

Array = npt.NDArray[np.float64]
Pair = tuple[Array, Array]
Bounds = tuple[float, float, float, float]

# The rectangle in which GCJ-02 and BD-09 shift, in WGS 84: minlon, minlat, maxlon, maxlat.
CHINA: Bounds = (72.004, 0.8293, 137.8347, 55.8271)

_SEMI_MAJOR_M = 6378245.0  # Krasovsky 1940
_ECCENTRICITY2 = 0.00669342162296594323
_BAIDU_TURN = np.pi * 3000 / 180
_CONVERGED_DEG = 1e-9  # a step this small leaves an error 100 times smaller: see `_invert`
_CHUNK = 16_384  # points whose working arrays fit in a core's cache


_NULL_DEG = 1e-6
# A surveyor uses one zone for the whole city although its edge lies in the next: half a zone.
AREA_MARGIN_DEG = 1.5

REASONS = {
    "not_a_number": "A coordinate is missing, infinite or not a number; give both as decimals.",
    "null_island": "The coordinates are 0, 0, which is what a device sends that has no position; "
    "locate the report by its address.",
    "swapped": "Longitude and latitude (easting and northing) are exchanged; "
    "give x = longitude or easting first, then y = latitude or northing.",
    "metres": "These are projected metres, but the datum named has degrees; "
    "name the projected system as an EPSG code, such as EPSG:4547.",
    "degrees": "These are degrees, but the datum named is projected in metres; "
    "name the datum of the degrees, such as wgs84, cgcs2000, gcj02 or bd09.",
    "out_of_range": "No place on earth has these coordinates in the datum named; "
    "longitude runs from -180 to 180 and latitude from -90 to 90, with the decimal point kept.",
    "wrong_datum": "The place lies far outside the area for which the datum is made; "
    "check the datum (GCJ-02 and BD-09 are for China), or the zone of the projected system.",
}


class DatumError(ValueError):
    """A datum is not known or cannot be used; the message says which and what is known."""


@dataclass(frozen=True, slots=True)
class Datum:
    """How coordinates are to be read; made by `parse`.

    Attributes
    ----------
    name : str
        The canonical name, by which a datum is stored: ``wgs84``, ``cgcs2000``, ``gcj02``,
        ``bd09`` or ``EPSG:4547``. ``parse(datum.name) == datum``.
    kind : {'plain', 'gcj02', 'bd09', 'epsg'}
        Which arithmetic applies; ``plain`` is longitude and latitude of WGS 84 or CGCS2000.
    title : str
        The name for people.
    degrees : bool
        True if x and y are angles; False for projected eastings and northings.
    area : tuple of float
        Where the datum may be used, ``(minlon, minlat, maxlon, maxlat)`` in WGS 84.
    """

    name: str
    kind: Literal["plain", "gcj02", "bd09", "epsg"]
    title: str
    degrees: bool
    area: Bounds

    def __str__(self) -> str:
        return self.name


WGS84 = Datum("wgs84", "plain", "WGS 84", True, (-180.0, -90.0, 180.0, 90.0))
CGCS2000 = Datum("cgcs2000", "plain", "CGCS2000", True, CHINA)
GCJ02 = Datum("gcj02", "gcj02", "GCJ-02 (Amap, Tencent)", True, CHINA)
BD09 = Datum("bd09", "bd09", "BD-09 (Baidu)", True, CHINA)

_ALIASES = {
    WGS84: "wgs84 wgs1984 gps crs84 ogc:crs84 4326",
    CGCS2000: "cgcs2000 cgcs 国家2000 国家大地2000 2000国家大地坐标系 大地2000 4490",
    GCJ02: "gcj02 gcj mars amap gaode autonavi tencent qq 火星 火星坐标 火星坐标系 高德 腾讯",
    BD09: "bd09 bd09ll baidu 百度 百度坐标系",
}
_BY_ALIAS = {alias: datum for datum, names in _ALIASES.items() for alias in names.split()}
KNOWN = "wgs84, cgcs2000, gcj02, bd09, or an EPSG code such as EPSG:4547"


def parse(name: str | int | Datum) -> Datum:
    """The datum of that name.

    Parameters
    ----------
    name : str, int or Datum
        A name in any of its usual spellings (``WGS-84``, ``gcj02``, ``百度``) or an EPSG code
        (``EPSG:4547``, ``4547``, ``urn:ogc:def:crs:EPSG::4547``) of a two-dimensional
        geographic or projected system. A Datum is returned as it is.

    Raises
    ------
    DatumError
        The name is not known, or no transformation to WGS 84 is published for the EPSG code (so
        it is for Xian 1980), and one made up would be a hundred metres off.

    Examples
    --------
    >>> parse("GCJ-02").name, parse("4547").name, parse("EPSG:4490").name
    ('gcj02', 'EPSG:4547', 'cgcs2000')
    """
    return name if isinstance(name, Datum) else _parse(str(name))


@lru_cache(maxsize=1024)  # names come from outside, in any number of spellings
def _parse(name: str) -> Datum:
    key = re.sub(r"[\s_-]", "", unicodedata.normalize("NFKC", name).lower())
    if key.startswith(("urn:", "http:", "https:")):  # …:EPSG::4547, …/EPSG/0/4547, …:CRS84
        key = re.split("[:/]", key)[-1]
    if key in _BY_ALIAS:
        return _BY_ALIAS[key]
    code = re.fullmatch(r"(?:epsg:?)?(\d{4,6})", key)
    if code is None:
        raise DatumError(f"the datum {name!r} is not known; give {KNOWN}")
    return _BY_ALIAS.get(code[1]) or _epsg(int(code[1]))


def _epsg(code: int) -> Datum:
    try:
        crs = CRS.from_epsg(code)
    except CRSError:
        raise DatumError(f"EPSG:{code} is not in the EPSG register; give {KNOWN}") from None
    plane = crs.is_projected or crs.is_geographic
    if not plane or crs.is_compound or len(crs.axis_info) != 2:
        raise DatumError(
            f"EPSG:{code} ({crs.name}, {crs.type_name}) has not the two axes of a map; give "
            "a geographic 2D or a projected system"
        )
    _transformer(code)
    return Datum(f"EPSG:{code}", "epsg", crs.name, crs.is_geographic, _area(crs))


def _area(crs: CRS) -> Bounds:
    if crs.area_of_use is None:
        return WGS84.area
    west, south, east, north = crs.area_of_use.bounds
    return (west, south, east, north) if west < east else (-180.0, south, 180.0, north)


@cache
def _transformer(code: int, inverse: bool = False) -> Transformer:
    """From the EPSG code to WGS 84 or back; on CGCS2000, to CGCS2000, which is taken as one."""
    crs = CRS.from_epsg(code)
    geodetic = crs.geodetic_crs
    china = geodetic is not None and geodetic.to_epsg() == 4490
    ends = (crs, CRS.from_epsg(4490 if china else 4326))
    source, target = ends[::-1] if inverse else ends
    try:
        # Ballpark would mean: ignore the shift between the datums and say nothing.
        return Transformer.from_crs(source, target, always_xy=True, allow_ballpark=False)
    except ProjError:
        raise DatumError(
            f"no transformation from EPSG:{code} ({crs.name}) to WGS 84 is published; have the "
            "survey office convert the coordinates to CGCS2000 and give cgcs2000 or its EPSG code"
        ) from None


def to_wgs84(x: npt.ArrayLike, y: npt.ArrayLike, datum: str | int | Datum) -> Pair:
    """Longitude and latitude in WGS 84 of coordinates in another datum.

    Parameters
    ----------
    x, y : array_like of float
        Longitude and latitude in degrees, or easting and northing in the unit of the projected
        system; of any shapes that broadcast together, scalars included.
    datum : str, int or Datum
        The datum that they are in; see `parse`.

    Returns
    -------
    lon, lat : ndarray of float
        In the broadcast shape. NaN where either coordinate is NaN or infinite, and where the
        transformation is not defined. GCJ-02 and BD-09 are exact to 1e-9 degrees.

    Notes
    -----
    Both ways agree on where the rectangle `CHINA` ends: a GCJ-02 position belongs to the WGS 84
    position inside that is shifted there, and only if there is none is it taken as it is. So
    every position inside makes the round trip; of those outside, a strip of about a kilometre
    along the rectangle's edge (high sea and steppe) does not.

    Examples
    --------
    >>> lon, lat = to_wgs84(113.1288, 23.0192, "gcj02")
    >>> round(float(lon), 6), round(float(lat), 6)
    (113.123319, 23.021755)
    """
    lon, lat, kind = *_finite(x, y), parse(datum)
    if kind.kind == "epsg":
        return _finite(*_transformer(int(kind.name[5:])).transform(lon, lat))
    if kind.kind == "plain":
        return lon, lat
    return _by_chunks(_unshift_bd09 if kind is BD09 else _unshift_gcj02, lon, lat)


def from_wgs84(lon: npt.ArrayLike, lat: npt.ArrayLike, datum: str | int | Datum) -> Pair:
    """Coordinates in another datum of longitude and latitude in WGS 84.

    Parameters
    ----------
    lon, lat : array_like of float
        Degrees, of any shapes that broadcast together, scalars included.
    datum : str, int or Datum
        The datum to give them in; see `parse`.

    Returns
    -------
    x, y : ndarray of float
        Longitude and latitude, or easting and northing, in the broadcast shape; NaN as in
        `to_wgs84`.

    Examples
    --------
    >>> x, y = from_wgs84([113.123319], [23.021755], "bd09")
    >>> x.round(5).tolist(), y.round(5).tolist()
    ([113.13529], [23.02518])
    """
    lon, lat, kind = *_finite(lon, lat), parse(datum)
    if kind.kind == "epsg":
        return _finite(*_transformer(int(kind.name[5:]), inverse=True).transform(lon, lat))
    if kind.kind == "plain":
        return lon, lat
    return _by_chunks(_shift_bd09 if kind is BD09 else _shift_gcj02, lon, lat)


def diagnose(
    x: npt.ArrayLike, y: npt.ArrayLike, datum: str | int | Datum, extent: Bounds | None = None
) -> npt.NDArray[np.str_]:
    """Why coordinates cannot be right, as far as they themselves show it.

    Parameters
    ----------
    x, y : array_like of float
        As in `to_wgs84`.
    datum : str, int or Datum
        The datum that they are said to be in.
    extent : tuple of float, optional
        Where the city lies, ``(minlon, minlat, maxlon, maxlat)`` in WGS 84. With it, swapped
        coordinates are found wherever they land; without it, only where they land outside the
        datum's own area. A position outside the extent is not at fault for that alone.

    Returns
    -------
    ndarray of str
        In the broadcast shape, a key of `REASONS` or ``''`` if nothing speaks against them.

    Examples
    --------
    >>> diagnose([113.1, 23.0, 0, 12590234], [23.0, 113.1, 0, 2632019], "gcj02").tolist()
    ['', 'swapped', 'null_island', 'metres']
    """
    return normalise(x, y, datum, extent)[2]


def normalise(
    x: npt.ArrayLike, y: npt.ArrayLike, datum: str | int | Datum, extent: Bounds | None = None
) -> tuple[Array, Array, npt.NDArray[np.str_]]:
    """`to_wgs84` and `diagnose` at the price of one.

    Parameters
    ----------
    x, y, datum, extent
        As in `diagnose`.

    Returns
    -------
    lon, lat : ndarray of float
        As of `to_wgs84`, but NaN where angles are out of range.
    reason : ndarray of str
        As of `diagnose`.

    Examples
    --------
    >>> lon, lat, reason = normalise([113.1288, 0], [23.0192, 0], "gcj02")
    >>> lon[0].round(6).item(), lat[0].round(6).item(), reason.tolist()
    (113.123319, 23.021755, ['', 'null_island'])
    """
    kind, (a, b) = parse(datum), _finite(x, y)
    home, margin = (kind.area, AREA_MARGIN_DEG) if extent is None else (extent, 0.0)
    lon, lat = _placed(a, b, kind)
    odd = ~within(lon, lat, home, margin)
    strange = ~within(lon, lat, kind.area, AREA_MARGIN_DEG)
    large = np.maximum(np.abs(a), np.abs(b))
    null = large < _NULL_DEG
    if not (odd | strange | null).any():  # mostly: every fault shows in one of them
        return lon, lat, np.full(lon.shape, "")
    swapped = np.array(odd)
    swapped[odd] = within(*_placed(b[odd], a[odd], kind), home, margin)
    angles, small = _angles(a, b), np.minimum(np.abs(a), np.abs(b))
    faults = {
        "not_a_number": np.isnan(a),
        "null_island": null,
        "swapped": swapped,
        "metres": kind.degrees & ~angles & (small >= 1e3) & (large < 5e7),
        "degrees": (not kind.degrees) & angles & strange,
        "out_of_range": np.isnan(lon),
        "wrong_datum": strange,
    }
    return lon, lat, np.select(list(faults.values()), list(faults), default="")


def _placed(x: Array, y: Array, datum: Datum) -> Pair:
    """As `to_wgs84`, but NaN where angles are out of range instead of wrapped round the globe."""
    if datum.degrees:
        good = _angles(x, y)
        x, y = np.where(good, x, np.nan), np.where(good, y, np.nan)
    return to_wgs84(x, y, datum)


def _angles(x: Array, y: Array) -> npt.NDArray[np.bool_]:
    return within(x, y, WGS84.area)


def within(lon: Array, lat: Array, bounds: Bounds, margin: float = 0.0) -> npt.NDArray[np.bool_]:
    """Whether positions lie in the bounds, widened by a margin in degrees; NaN does not."""
    west, south, east, north = bounds
    inside: npt.NDArray[np.bool_] = (
        (lon >= west - margin)
        & (lon <= east + margin)
        & (lat >= south - margin)
        & (lat <= north + margin)
    )
    return inside


def _finite(x: npt.ArrayLike, y: npt.ArrayLike) -> Pair:
    """Copies in one shape; where one is not finite, both are NaN."""
    a, b = np.broadcast_arrays(np.asarray(x, dtype=float), np.asarray(y, dtype=float))
    good = np.isfinite(a) & np.isfinite(b)
    return np.where(good, a, np.nan), np.where(good, b, np.nan)


def _by_chunks(function: Callable[[Array, Array], Pair], x: Array, y: Array) -> Pair:
    """Run over pieces that fit in the cache, and that converge each on its own."""
    flat_x, flat_y = x.ravel(), y.ravel()
    for start in range(0, flat_x.size, _CHUNK):
        piece = slice(start, start + _CHUNK)
        flat_x[piece], flat_y[piece] = function(flat_x[piece], flat_y[piece])
    return flat_x.reshape(x.shape), flat_y.reshape(y.shape)


def _shift_gcj02(lon: Array, lat: Array) -> Pair:
    return _where_in_china(lon, lat, *_wgs84_to_gcj02(lon, lat))


def _shift_bd09(lon: Array, lat: Array) -> Pair:
    return _where_in_china(lon, lat, *_gcj02_to_bd09(*_wgs84_to_gcj02(lon, lat)))


def _where_in_china(lon: Array, lat: Array, x: Array, y: Array) -> Pair:
    inside = within(lon, lat, CHINA)
    return np.where(inside, x, lon), np.where(inside, y, lat)


def _unshift_gcj02(x: Array, y: Array) -> Pair:
    return _unshift(x, y, lambda a, b: _invert(_wgs84_to_gcj02, a, b))


def _unshift_bd09(x: Array, y: Array) -> Pair:
    return _unshift(x, y, lambda a, b: _invert(_wgs84_to_gcj02, *_invert(_gcj02_to_bd09, a, b)))


def _unshift(x: Array, y: Array, inverse: Callable[[Array, Array], Pair]) -> Pair:
    near = within(x, y, CHINA, margin=0.1)  # far from China the formula need not converge
    lon, lat = inverse(x[near], y[near])
    inside = within(lon, lat, CHINA)
    x, y = x.copy(), y.copy()
    x[near], y[near] = np.where(inside, lon, x[near]), np.where(inside, lat, y[near])
    return x, y


def _invert(forward: Callable[[Array, Array], Pair], x: Array, y: Array) -> Pair:
    """Solve ``forward(lon, lat) == (x, y)`` by fixed-point iteration.

    The shift varies by less than 2 % over its own length, so each step gains two digits.
    """
    lon, lat = x, y
    for _ in range(12):
        there_x, there_y = forward(lon, lat)
        step_x, step_y = x - there_x, y - there_y
        lon, lat = lon + step_x, lat + step_y
        if not (np.abs(step_x) > _CONVERGED_DEG).any() | (np.abs(step_y) > _CONVERGED_DEG).any():
            break
    return lon, lat


def _wgs84_to_gcj02(lon: Array, lat: Array) -> Pair:
    east_m, north_m = _mars_shift(lon - 105.0, lat - 35.0)
    phi = np.radians(lat)
    w2 = 1 - _ECCENTRICITY2 * np.sin(phi) ** 2
    normal_m = _SEMI_MAJOR_M / np.sqrt(w2)
    meridian_m = normal_m * (1 - _ECCENTRICITY2) / w2
    return (
        lon + np.degrees(east_m / (normal_m * np.cos(phi))),
        lat + np.degrees(north_m / meridian_m),
    )


def _mars_shift(x: Array, y: Array) -> Pair:
    """The shift to the east and north, in metres, x and y degrees from 105° E 35° N.

    A sum of sines of pi x / 30, / 12, / 3, and pi x times 1, 2, 6; all but the first follow from
    the sine and cosine of pi x / 12, which saves half of the time.
    """
    slow_x, slow_y = np.sin(x * (np.pi / 30)), np.sin(y * (np.pi / 30))
    x12, y12 = _sine_cosine(x * (np.pi / 12)), _sine_cosine(y * (np.pi / 12))
    x3, y3 = _double(_double(x12)), _double(_double(y12))
    x1, y1 = _treble(x3), _treble(y3)
    x2 = _double(x1)
    ripple = _treble(x2)[0] + x2[0]
    east = ripple + x1[0] + 2 * x3[0] + 7.5 * x12[0] + 15 * slow_x
    north = ripple + y1[0] + 2 * y3[0] + 8 * y12[0] + 16 * slow_y
    xy, root = 0.1 * x * y, np.sqrt(np.abs(x))
    return (
        300 + x + 2 * y + 0.1 * x * x + xy + 0.1 * root + east * (40 / 3),
        -100 + 2 * x + 3 * y + 0.2 * y * y + xy + 0.2 * root + north * (40 / 3),
    )


def _sine_cosine(angle: Array) -> Pair:
    return np.sin(angle), np.cos(angle)


def _double(angle: Pair) -> Pair:
    sine, cosine = angle
    return 2 * sine * cosine, 1 - 2 * sine * sine


def _treble(angle: Pair) -> Pair:
    sine, cosine = angle
    return sine * (3 - 4 * sine * sine), cosine * (4 * cosine * cosine - 3)


def _gcj02_to_bd09(lon: Array, lat: Array) -> Pair:
    radius = np.hypot(lon, lat) + 0.00002 * np.sin(lat * _BAIDU_TURN)
    angle = np.arctan2(lat, lon) + 0.000003 * np.cos(lon * _BAIDU_TURN)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006
