"""Drawn areas as they come in, with the domain's error where one cannot be used."""

from collections.abc import Mapping
from typing import Any

from data.errors import InputError
from gis import drawn
from gis.datum import DatumError
from gis.drawn import Drawn


def polygon(geojson: Mapping[str, Any], datum: str) -> Drawn:
    """The area of a GeoJSON Polygon or MultiPolygon in WGS 84; see `gis.drawn.polygon`.

    Raises
    ------
    InputError
        It encloses no area that can be used, or the datum is not known.
    """
    try:
        return drawn.polygon(geojson, datum)
    except drawn.DrawingError as error:
        raise InputError(str(error), "geometry", "drawing_refused") from error
    except DatumError as error:
        raise InputError(str(error), "datum", "unsupported_datum") from error
