"""Drawings are made sound with a note, or refused with a sentence."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from gis.datum import from_wgs84
from gis.drawn import MOST_VERTICES, DrawingError, polygon

SQUARE = [[113.1, 23.0], [113.2, 23.0], [113.2, 23.1], [113.1, 23.1], [113.1, 23.0]]


def drawing(*rings, kind="Polygon"):
    return {"type": kind, "coordinates": list(rings)}


def circle(n):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.column_stack([113.1 + 0.01 * np.cos(angle), 23 + 0.01 * np.sin(angle)]).tolist()


def test_a_sound_drawing_is_as_it_is():
    drawn = polygon(drawing(SQUARE))
    assert shapely.equals(drawn.shape, shapely.box(113.1, 23, 113.2, 23.1))
    assert drawn.notes == []
    feature = {"type": "Feature", "properties": {}, "geometry": drawing(SQUARE[:4])}
    assert polygon(feature).shape == drawn.shape  # closed, too
    both = drawing([SQUARE], [[[x + 1, y] for x, y in SQUARE]], kind="MultiPolygon")
    assert len(polygon(both).shape.geoms) == 2


def test_it_may_be_in_another_datum():
    x, y = from_wgs84(*np.array(SQUARE).T, "gcj02")
    ring = np.column_stack([x, y]).tolist()
    there = polygon(drawing(ring), "gcj02").shape
    assert shapely.hausdorff_distance(there, polygon(drawing(SQUARE)).shape) < 1e-6


def test_many_vertices_are_simplified_and_too_many_refused():
    drawn = polygon(drawing(circle(MOST_VERTICES - 1)))
    assert shapely.get_num_coordinates(drawn.shape) < 1000
    assert "simplified" in drawn.notes[0]
    assert drawn.shape.area == pytest.approx(np.pi * 1e-4, rel=0.01)
    with pytest.raises(DrawingError, match="100,000"):
        polygon(drawing(circle(MOST_VERTICES + 1)))


@given(st.lists(st.tuples(st.floats(113, 114), st.floats(22, 24)), min_size=3, max_size=12))
def test_whatever_is_drawn_is_sound_or_refused(ring):
    try:
        drawn = polygon(drawing([list(position) for position in ring]))
    except DrawingError as error:
        assert str(error)
    else:
        assert shapely.is_valid(drawn.shape) and drawn.shape.area > 0
        assert drawn.shape.area <= shapely.MultiPoint(ring).convex_hull.area * (1 + 1e-9)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"type": "Point", "coordinates": [113, 23]}, "Polygon or MultiPolygon"),
        ({}, "Polygon or MultiPolygon"),
        (drawing(), "list of rings"),
        (drawing(kind="MultiPolygon"), "no rings"),
        (drawing([[113, 23], [113.1, 23]]), "at least three"),
        (drawing([["a", "b"], [1, 2], [3, 4]]), "at least three"),
        (drawing([[113], [113.1, 23], [113, 24]]), "at least three"),
        (drawing(5), "at least three"),
        (drawing([[113, 23]] * 4), "encloses nothing"),
        (drawing([[113, 23], [113.1, 23.1], [113.2, 23.2]]), "encloses nothing"),
        (drawing([[y, x] for x, y in SQUARE]), "position 23"),
        (drawing([[float("nan"), 23], *SQUARE]), "position nan"),
        (drawing([[1e308, 23], *SQUARE]), "position"),
    ],
)
def test_what_encloses_nothing_is_refused_with_a_sentence(given, why):
    with pytest.raises(DrawingError, match=why):
        polygon(given)
