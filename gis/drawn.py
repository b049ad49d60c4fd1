"""Areas that people draw: GeoJSON made sound, or refused with a sentence that says why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from gis import datum as datums

MOST_VERTICES = 100_000
PLAIN = 5_000  # a drawing of more vertices is simplified
TOLERANCE_DEG = 1e-5  # by about a metre
LEAST_DEG2 = 1e-10  # about a square metre: what has less encloses nothing


class DrawingError(ValueError):
    """A drawing that encloses no area that can be used."""


@dataclass(frozen=True)
class Drawn:
    """A sound area in degrees WGS 84, and what was done to the drawing to make it one."""

    shape: shapely.MultiPolygon
    notes: list[str] = field(default_factory=list)


def polygon(geojson: Mapping[str, Any], datum: str = "wgs84") -> Drawn:
    """The area of a GeoJSON Polygon or MultiPolygon, or of a Feature that has one.

    A ring that is open is closed; one that crosses itself is mended, and the notes say so; more
    than `PLAIN` vertices are simplified within a metre. Coordinates are in `datum`.

    Raises
    ------
    DrawingError
        It is something else, has more than `MOST_VERTICES`, coordinates that cannot be right, or
        encloses nothing.

    Examples
    --------
    >>> bow = [[113.1, 23.0], [113.2, 23.1], [113.2, 23.0], [113.1, 23.1], [113.1, 23.0]]
    >>> polygon({"type": "Polygon", "coordinates": [bow]}).notes
    ['The outline crossed itself and was mended: look whether the area is the one that was meant.']
    """
    polygons = [
        shapely.Polygon(rings[0], rings[1:]) for rings in _rings(geojson, datums.parse(datum))
    ]
    shape, notes = shapely.MultiPolygon(polygons), list[str]()
    if not shapely.is_valid(shape):
        shape = _polygonal(shapely.make_valid(shape, method="structure", keep_collapsed=False))
        notes.append(
            "The outline crossed itself and was mended: look whether the area is the one that was "
            "meant."
        )
    vertices = shapely.get_num_coordinates(shape)
    if vertices > PLAIN:
        shape = _polygonal(shapely.simplify(shape, TOLERANCE_DEG, preserve_topology=True))
        left = shapely.get_num_coordinates(shape)
        notes.append(
            f"The outline was simplified within a metre: {vertices:,} vertices to {left:,}."
        )
    if shape.is_empty or shapely.area(shape) < LEAST_DEG2:
        raise DrawingError("the outline encloses nothing; draw it round an area")
    return Drawn(shape, notes)


def _rings(
    geojson: Mapping[str, Any], datum: datums.Datum
) -> Iterator[list[npt.NDArray[np.float64]]]:
    """The rings of each polygon in WGS 84, the outer one first."""
    if geojson.get("type") == "Feature" and isinstance(geojson.get("geometry"), Mapping):
        geojson = geojson["geometry"]
    kind, coordinates = geojson.get("type"), geojson.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon") or not isinstance(coordinates, list):
        raise DrawingError(
            f"an area is a GeoJSON Polygon or MultiPolygon with its coordinates, not {kind!r}"
        )
    count = 0
    for rings in coordinates if kind == "MultiPolygon" else [coordinates]:
        if not isinstance(rings, list) or not rings:
            raise DrawingError("each polygon is a list of rings, the outer one first")
        arrays = [_ring(ring) for ring in rings]
        count += sum(map(len, arrays))
        if count > MOST_VERTICES:
            raise DrawingError(
                f"the outline has more than {MOST_VERTICES:,} vertices; simplify it, a metre is "
                "plenty"
            )
        yield [_placed(array, datum) for array in arrays]
    if not count:
        raise DrawingError("the outline has no rings; draw it round an area")


def _ring(ring: Any) -> npt.NDArray[np.float64]:
    try:
        positions = np.array([position[:2] for position in ring], float)
    except (TypeError, ValueError, KeyError, OverflowError):
        positions = np.empty((0, 0))
    if positions.ndim != 2 or positions.shape[1] != 2 or len(positions) < 3:
        raise DrawingError(
            "a ring is a list of at least three positions [longitude, latitude], the first again "
            "at the end"
        )
    return positions


def _placed(ring: npt.NDArray[np.float64], datum: datums.Datum) -> npt.NDArray[np.float64]:
    lon, lat, reasons = datums.normalise(ring[:, 0], ring[:, 1], datum)
    faults = np.flatnonzero(reasons != "")
    if len(faults):
        x, y = ring[faults[0]]
        raise DrawingError(
            f"position {x:.10g}, {y:.10g}: {datums.REASONS[str(reasons[faults[0]])]}"
        )
    return np.column_stack([lon, lat])


def _polygonal(shape: shapely.Geometry) -> shapely.MultiPolygon:
    """The polygons of a shape; lines and points that were left over enclose nothing."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    kinds = shapely.get_type_id(parts)
    return shapely.MultiPolygon(list(parts[kinds == shapely.GeometryType.POLYGON]))
