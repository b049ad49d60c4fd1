from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from layers.topology import topology
from tests.layers.cities import tiling


def decoded(packed, name):
    """Polygons and lines again, by the TopoJSON specification."""
    scale = packed["transform"]["scale"]
    arcs = [np.cumsum(np.array(arc), axis=0) * scale for arc in packed["arcs"]]

    def line(numbers):
        parts = [arcs[n] if n >= 0 else arcs[~n][::-1] for n in numbers]
        for a, b in pairwise(parts):
            assert np.array_equal(a[-1], b[0]), "arcs of a ring do not meet"
        return np.vstack([parts[0], *(p[1:] for p in parts[1:])])

    for geometry in packed["objects"][name]["geometries"]:
        if geometry["type"] is None:
            yield None
        elif geometry["type"] == "MultiLineString":
            yield shapely.MultiLineString([line(numbers) for numbers in geometry["arcs"]])
        else:
            rings = [[line(n) for n in polygon] for polygon in geometry["arcs"]]
            yield shapely.MultiPolygon([shapely.Polygon(r[0], r[1:]) for r in rings])


def rounded(geometry):
    return shapely.transform(geometry, lambda p: np.rint(p / 1e-5) * 1e-5)


@given(st.integers(2, 7), st.integers(0, 50))
def test_polygons_come_back(side, seed):
    shapes = tiling(side, seed)
    outline = shapely.coverage_union_all(shapes)
    packed = topology({"grids": shapes, "city": [outline]})
    for before, after in zip(shapes, decoded(packed, "grids"), strict=True):
        assert shapely.equals(rounded(before), after)
    assert (
        shapely.symmetric_difference(rounded(outline), next(decoded(packed, "city"))).area < 1e-12
    )


@given(st.integers(2, 7), st.integers(0, 50))
def test_a_shared_border_is_written_once(side, seed):
    packed = topology({"grids": tiling(side, seed)})
    edges = [
        tuple(sorted((tuple(a), tuple(b))))
        for arc in (np.cumsum(np.array(arc), axis=0).tolist() for arc in packed["arcs"])
        for a, b in pairwise(arc)
    ]
    assert len(edges) == len(set(edges)) == 2 * side * (side + 1)


def test_holes_and_what_fills_them_share_their_ring():
    inner = shapely.box(1, 1, 2, 2)
    outer = shapely.box(0, 0, 3, 3).difference(inner)
    packed = topology({"grids": [inner, outer]})
    assert len(packed["arcs"]) == 2
    for before, after in zip((inner, outer), decoded(packed, "grids"), strict=True):
        assert shapely.equals(rounded(before), after)


def test_nothing_keeps_its_place():
    speck = shapely.box(0, 0, 1e-7, 1e-7)
    packed = topology({"grids": [None, shapely.Polygon(), speck, shapely.box(0, 0, 1, 1)]})
    kinds = [g["type"] for g in packed["objects"]["grids"]["geometries"]]
    assert kinds == [None, None, None, "MultiPolygon"]


def test_lines_stay_lines():
    line = shapely.LineString([(0, 0), (1, 1), (2, 0)])
    packed = topology({"grids": []}, {"roads": [line, None]})
    there, missing = decoded(packed, "roads")
    assert missing is None
    assert shapely.equals_exact(there, shapely.MultiLineString([line]), 1e-9)


@pytest.mark.parametrize("side", [80])
def test_a_city_is_small(side):
    arcs = topology({"grids": tiling(side)})["arcs"]
    assert len(arcs) < 2.1 * side * (side + 1)
