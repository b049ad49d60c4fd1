"""The uncertainty disc of a position: a circle in metres, drawn round a point in degrees.

A degree of longitude and one of latitude have each a length of their own, so a disc is an ellipse
in degrees. In the conformal plane (ellipsoidal Mercator) it is a circle again. Drawn, and measured,
is the regular polygon of 32 sides in it.
"""

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SEMI_MAJOR_M = 6_378_137.0
ECCENTRICITY2 = 0.0066943799901413165
QUADRANT = 8  # segments of a quarter of the disc

_HALF = np.pi / (4 * QUADRANT)  # angle at the centre, of half a side
_SIDES = 4 * QUADRANT
_AREA = _SIDES / 2 * np.sin(2 * _HALF)  # of the disc of radius 1
_ACROSS = (np.arange(_SIDES // 2) + 0.5) * 2 * _HALF
_NORMALS = np.vstack([np.cos(_ACROSS), np.sin(_ACROSS)])  # of each pair of opposite sides
_CIRCLE = shapely.get_coordinates(shapely.buffer(shapely.Point(0, 0), 1, quad_segs=QUADRANT))


def metres_per_degree(lat: ArrayLike) -> tuple[Floats, Floats]:
    """Local metres per degree of longitude and of latitude on WGS 84, at latitudes in degrees."""
    lat = np.asarray(lat, dtype=float)
    w = 1 - ECCENTRICITY2 * np.sin(np.radians(lat)) ** 2
    normal = SEMI_MAJOR_M / np.sqrt(w)
    meridian = normal * (1 - ECCENTRICITY2) / w
    return np.radians(normal) * np.cos(np.radians(lat)), np.radians(meridian)


def conformal(lonlat: Floats) -> Floats:
    """Degrees to ellipsoidal Mercator (in degrees too), where a small circle stays a circle."""
    out = np.array(lonlat, dtype=float)
    sin = np.sin(np.radians(lonlat[:, 1]))
    e = np.sqrt(ECCENTRICITY2)
    out[:, 1] = np.degrees(np.arctanh(sin) - e * np.arctanh(e * sin))
    return out


def discs(lon: Floats, lat: Floats, accuracy_m: Floats) -> NDArray[np.object_]:
    """The uncertainty discs of n positions as n polygons in degrees."""
    mx, my = metres_per_degree(lat)
    coords = np.empty((len(lon), len(_CIRCLE), 2))
    coords[:, :, 0] = lon[:, None] + (accuracy_m / mx)[:, None] * _CIRCLE[:, 0]
    coords[:, :, 1] = lat[:, None] + (accuracy_m / my)[:, None] * _CIRCLE[:, 1]
    return np.asarray(shapely.polygons(coords), dtype=object)


def shares_beside(a: Floats, b: Floats) -> Floats:
    """What each segment from a to b, (n, 2), adds to the share of the unit disc on its left.

    It is the area between the segment's part in the disc and the centre, and of the sectors up to
    where it comes in less those up to where it leaves. Summed over the outline of a polygon
    (counter-clockwise, holes clockwise) that is the share of the disc in it, but for whole discs.
    """
    d = b - a
    enters, leaves = _inside(a, d)
    part = np.zeros(len(a))
    at = np.flatnonzero(enters < leaves)
    a, d = a[at], d[at]
    first, last = a + enters[at, None] * d, a + leaves[at, None] * d
    wedge = (first[:, 0] * last[:, 1] - first[:, 1] * last[:, 0]) / (2 * _AREA)
    part[at] = wedge + _sector(first) - _sector(last)
    return part


def _inside(a: Floats, d: Floats) -> tuple[Floats, Floats]:
    """Between which parts of its length a segment from a by d is in the unit disc, as 0 to 1."""
    speed = d @ _NORMALS
    speed[speed == 0] = 1e-300  # along two sides: between them all the way, or nowhere
    middle = -(a @ _NORMALS) / speed
    half = np.cos(_HALF) / np.abs(speed)
    enters, leaves = (middle - half).max(axis=1), (middle + half).min(axis=1)
    return np.maximum(enters, 0), np.minimum(leaves, 1)


def _sector(xy: Floats) -> Floats:
    """Share of the disc between the direction east and that of each point, counter-clockwise."""
    turned = (np.arctan2(xy[:, 1], xy[:, 0]) + 2 * np.pi) / (2 * _HALF)
    side = np.floor(turned)
    across = np.tan((turned - side - 0.5) * 2 * _HALF) / np.tan(_HALF)
    return np.asarray((side + 0.5 + across / 2) / _SIDES)
