"""The uncertainty disc of a position: a circle in metres, drawn round a point in degrees.

A degree of longitude and one of latitude have each a length of their own, so a disc is an ellipse
in degrees. In the conformal plane (ellipsoidal Mercator) it is a circle again.
"""

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SEMI_MAJOR_M = 6_378_137.0
ECCENTRICITY2 = 0.0066943799901413165
QUADRANT = 8  # segments of a quarter of the disc

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
