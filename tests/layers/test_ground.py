from itertools import pairwise

import numpy as np
import orjson
import pytest
import shapely

from layers.ground import LEVELS, ground
from tests.layers.cities import areas, drawn, frame
from tests.layers.test_topology import decoded


def test_parents_are_made_of_their_children_vertex_for_vertex():
    city = drawn(12)
    topology = city.packed["topology"]
    shapes = {level: np.array(list(decoded(topology, level))) for level in LEVELS}
    assert shapely.coverage_is_valid(shapes["grids"])
    for level, below in pairwise(LEVELS):
        for i, parent in enumerate(shapes[level]):
            mine = shapes[below][city.areas[below].up.to_numpy(dtype=int) == i]
            assert shapely.equals(shapely.coverage_union_all(mine), parent)


def test_a_city_too_large_is_drawn_by_its_parents():
    whole = drawn(24)
    size = len(orjson.dumps(whole.packed, option=orjson.OPT_SERIALIZE_NUMPY))
    assert whole.finest == "grids"
    coarse = drawn(24, budget=size // 4)
    assert coarse.finest == "villages"
    assert set(coarse.members.index) == set(whole.members.index)
    codes = coarse.areas["villages"].code.to_numpy()
    assert all(grid.startswith(codes[place]) for grid, place in coarse.members.items())


def test_nothing_at_all():
    empty = frame(code=[], name=[], geometry=[])
    city = ground(city="无", districts=empty, towns=empty, villages=empty, grids=empty)
    assert city.finest == ""
    assert len(city.members) == 0


def test_only_some_levels():
    tables = areas(8)
    empty = frame(code=[], name=[], geometry=[])
    city = ground(city="半", **{**tables, "towns": empty, "villages": empty})
    assert list(city.areas) == ["districts", "grids", "dedicated"]
    city = ground(city="半", **{**tables, "grids": empty})
    assert city.finest == "villages"


def test_bad_shapes_do_not_stop_the_map():
    tables = areas(8)
    shapes = tables["grids"].geometry.to_numpy().copy()
    shapes[3], shapes[4] = None, shapely.Polygon()
    shapes[5] = shapely.Polygon([(112.9, 23), (113, 23.1), (113, 23), (112.9, 23.1)])
    shapes[6] = shapes[7]
    tables["grids"] = tables["grids"].set_geometry(shapes, crs="EPSG:4326")
    city = ground(city="坏", **tables)
    assert city.shapeless == 2
    assert len(city.areas["grids"]) == 64


def test_another_crs_is_transformed():
    tables = {name: table.to_crs("EPSG:32649") for name, table in areas(8).items()}
    west, south, east, north = ground(city="米", **tables).bounds
    assert (112.5 < west < east < 113.5) and (22.7 < south < north < 23.7)


def test_a_missing_column_is_named():
    tables = areas(4)
    tables["towns"] = tables["towns"].drop(columns="code")
    with pytest.raises(ValueError, match="towns has no column code; it has"):
        ground(city="缺", **tables)
