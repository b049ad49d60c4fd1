"""A plane in metres round a city, so that widths and tolerances can be given in metres.

The plane is longitude and latitude, each multiplied by its own constant. A straight line between
two vertices therefore stays straight and equal vertices stay equal: what touches, crosses or
shares a border in degrees does so in the plane. Lengths are true on the middle parallel and off
by less than 1 % within 0.5 degree of latitude of it up to 60 degrees north, which is enough for
a tolerance; areas are measured apart, in an equal-area projection of the ellipsoid.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import CRS, Transformer

Geometries = npt.NDArray[np.object_]
Floats = npt.NDArray[np.float64]

_AXIS_M = 6378137.0  # WGS 84
_ECCENTRICITY2 = 0.0066943799901413165


@dataclass(frozen=True, slots=True)
class Plane:
    """Longitude and latitude (degrees, WGS 84) to and from metres east and north of a centre."""

    lon0: float
    lat0: float
    scale: Floats  # metres per degree, east and north

    @classmethod
    def around(cls, lonlat: Geometries) -> "Plane":
        """The plane whose centre is the middle of the geometries' bounds (0, 0 if all empty)."""
        bounds = shapely.total_bounds(lonlat) if len(lonlat) else np.zeros(4)
        west, south, east, north = np.nan_to_num(bounds)
        lat0 = (south + north) / 2
        waist = 1 - _ECCENTRICITY2 * np.sin(np.radians(lat0)) ** 2
        east_m = _AXIS_M / np.sqrt(waist) * np.cos(np.radians(lat0))
        north_m = _AXIS_M * (1 - _ECCENTRICITY2) / waist**1.5
        return cls((west + east) / 2, lat0, np.radians(np.array([east_m, north_m])))

    def to_xy_m(self, lonlat: Geometries) -> Geometries:
        """Geometries in degrees to metres; None stays None."""
        return _transform(lonlat, lambda c: (c - (self.lon0, self.lat0)) * self.scale)

    def to_lonlat(self, xy_m: Geometries) -> Geometries:
        """Geometries in metres to degrees, exact to some 1e-14 degrees."""
        return _transform(xy_m, lambda c: c / self.scale + (self.lon0, self.lat0))


def areas_m2(lonlat: Geometries) -> Floats:
    """Areas on the ellipsoid (m²) of geometries in degrees; 0 for points, lines, empty and None.

    >>> areas_m2(np.array([shapely.box(113, 23, 113.01, 23.01)])).round(-2).tolist()
    [1135500.0]
    """
    flat = _transform(lonlat, lambda c: np.column_stack(_equal_area().transform(c[:, 0], c[:, 1])))
    return np.asarray(np.nan_to_num(shapely.area(flat)), dtype=float)


def widths_m(xy_m: Geometries) -> Floats:
    """Diameters of the largest circles inside polygons of the plane; of the widest part of many.

    Within 2 %. NaN where empty. Found by bisection, for a circle fits as long as the polygon,
    shrunk by its radius, is not empty: for slivers that is far faster than GEOS's search for the
    circle itself.
    """
    parts, owner = shapely.get_parts(xy_m, return_index=True)
    keep = shapely.area(parts) > 0
    parts, owner = parts[keep], owner[keep]
    area = shapely.area(parts)
    low, high = 2 * area / shapely.length(parts), np.sqrt(4 / np.pi * area)  # of any shape
    while (high > 1.02 * low).any():
        middle = np.sqrt(low * high)
        fits = ~shapely.is_empty(shapely.buffer(parts, -middle / 2, quad_segs=4))
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    widths = np.full(len(xy_m), np.nan)
    np.fmax.at(widths, owner, np.sqrt(low * high))
    return widths


def narrower(xy_m: Geometries, width_m: float) -> npt.NDArray[np.bool_]:
    """Which polygons hold no circle of that diameter; cheap where most are far wider."""
    # The circle's diameter is at least twice the area divided by the perimeter.
    with np.errstate(invalid="ignore", divide="ignore"):
        narrow = np.asarray(2 * shapely.area(xy_m) / shapely.length(xy_m) < width_m)
    narrow[narrow] = shapely.is_empty(shapely.buffer(xy_m[narrow], -width_m / 2, quad_segs=4))
    return narrow


def _transform(geometries: Geometries, function: object) -> Geometries:
    moved: Geometries = shapely.transform(np.asarray(geometries, dtype=object), function)
    return moved


@cache
def _equal_area() -> Transformer:
    return Transformer.from_crs(CRS(4326), CRS("+proj=cea +ellps=WGS84"), always_xy=True)
