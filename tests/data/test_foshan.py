"""The demonstration city holds what it promises: counts, codes, nesting, believable shapes."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from data.foshan import facts
from data.foshan.city import City, generate
from data.foshan.outline import mended
from data.foshan.overlays import red_grids
from data.foshan.tiling import tile
from gis.codes import check

PART = ("440604",)


@pytest.fixture(scope="module")
def chancheng() -> City:
    return generate(districts=PART)


@pytest.fixture(scope="module")
def sanshui() -> City:
    return generate(seed=7, districts=["440607"])


def basic(city: City) -> gpd.GeoDataFrame:
    return city.grids[city.grids.kind == "basic"]


def levels(city: City) -> list[gpd.GeoDataFrame]:
    return [city.city, city.districts, city.towns, city.villages, basic(city)]


def metres(shapes: gpd.GeoSeries) -> np.ndarray:
    return np.asarray(shapely.transform(shapes.to_numpy(), facts.to_xy))


def roundness(shapes: gpd.GeoSeries) -> np.ndarray:
    m = metres(shapes)
    return 4 * np.pi * shapely.area(m) / shapely.length(m) ** 2


def test_facts_add_up_to_the_citys_counts() -> None:
    assert len(facts.villages()) == 818
    assert len(facts.towns()) == 32
    assert facts.towns().grids.sum() == 6602
    assert facts.towns().set_index("code").grids["440605125"] == 309
    assert (facts.towns().grids >= facts.towns().villages).all()


def test_shares_are_whole_and_add_up() -> None:
    assert facts.shares(np.array([1.0, 0.0, 9.0]), 10, 1).tolist() == [1, 1, 8]
    with pytest.raises(ValueError, match="minima"):
        facts.shares(np.array([1.0, 1.0]), 1, 1)


def test_mended_districts_tile_the_city_and_stay_near_the_published_outlines() -> None:
    codes, shapes = mended()
    published = shapely.make_valid(facts.districts().geometry.to_numpy(), method="structure")
    assert codes == facts.districts().code.tolist()
    assert shapely.coverage_is_valid(shapes)
    assert shapely.coverage_union_all(shapes).geom_type == "Polygon"
    for mine, theirs in zip(shapes, shapely.transform(published, facts.to_xy), strict=True):
        assert shapely.symmetric_difference(mine, theirs).area < 0.02 * theirs.area


def test_every_level_is_a_valid_coverage_that_unites_to_its_parents(chancheng: City) -> None:
    for above, below in zip(levels(chancheng)[:-1], levels(chancheng)[1:], strict=True):
        shapes = below.geometry.to_numpy()
        assert shapely.coverage_is_valid(shapes)
        assert set(below.geom_type) == {"Polygon"}
        assert shapely.get_num_interior_rings(shapes).sum() == 0
        assert below.geometry.is_valid.all()
        parents = above.set_index("code").geometry
        assert set(below.parent) == set(parents.index)
        for code, children in below.groupby("parent"):
            union = shapely.coverage_union_all(children.geometry.to_numpy())
            assert shapely.equals_exact(shapely.normalize(union), shapely.normalize(parents[code]))


def test_counts_and_codes(chancheng: City) -> None:
    towns = facts.towns()[facts.towns().code.str.startswith(PART[0])]
    grids = basic(chancheng)
    assert len(chancheng.towns) == len(towns) == 4
    assert len(chancheng.villages) == towns.villages.sum() == 147
    assert len(grids) == towns.grids.sum()
    assert chancheng.grids.code.is_unique
    check(chancheng.grids.code.to_numpy(), "grid")
    check(chancheng.villages.code.to_numpy(), "village")
    assert (chancheng.grids.code.str[:12] == chancheng.grids.parent).all()
    names = facts.villages().set_index("village_code").village_name
    assert (chancheng.villages.name == names[chancheng.villages.code].to_numpy()).all()


def test_serials_run_from_one_and_dedicated_ones_follow(chancheng: City) -> None:
    serial = chancheng.grids.code.str[-3:].astype(int)
    for _, village in chancheng.grids.assign(serial=serial).groupby("parent"):
        tile = village[village.kind == "basic"].serial
        assert sorted(tile) == list(range(1, len(tile) + 1))
        assert (village[village.kind == "dedicated"].serial > len(tile)).all()


def test_grids_are_compact_with_natural_borders(chancheng: City) -> None:
    shape = roundness(basic(chancheng).geometry)
    assert shape.min() > 0.1
    assert (shape > 0.3).mean() > 0.98
    vertices = shapely.get_num_coordinates(basic(chancheng).geometry.to_numpy())
    assert 25 < vertices.mean() < 90


def test_dedicated_grids_touch_only_basic_grids_of_their_village(chancheng: City) -> None:
    own = chancheng.grids[chancheng.grids.kind == "dedicated"]
    assert len(own) > 0
    villages = chancheng.villages.set_index("code").geometry
    inside = shapely.covers(villages[own.parent].to_numpy(), own.geometry.to_numpy())
    assert inside.all()
    assert set(own.geom_type) == {"Polygon"}


def test_beats_tile_the_city_but_do_not_nest_everywhere(chancheng: City) -> None:
    assert shapely.coverage_is_valid(chancheng.beats.geometry.to_numpy())
    union = shapely.coverage_union_all(chancheng.beats.geometry.to_numpy())
    assert shapely.equals(union, chancheng.city.geometry.iloc[0])
    assert chancheng.beats.code.is_unique
    grids = basic(chancheng).geometry.to_numpy()
    tree = shapely.STRtree(chancheng.beats.geometry.to_numpy())
    inner = shapely.buffer(metres(basic(chancheng).geometry), -3.0)
    beats = shapely.STRtree(metres(chancheng.beats.geometry))
    cut = np.bincount(beats.query(inner, predicate="intersects")[0], minlength=len(grids)) > 1
    assert len(tree) > 10
    assert 0.005 < cut.mean() < 0.4


def test_roads_are_one_graph_split_at_junctions(chancheng: City) -> None:
    lines = chancheng.roads.geometry.to_numpy()
    ends = np.concatenate([shapely.get_point(lines, 0), shapely.get_point(lines, -1)])
    ids = np.unique(shapely.get_coordinates(ends), axis=0, return_inverse=True)[1].ravel()
    a, b = np.split(ids, 2)
    graph = coo_matrix((np.ones(len(a)), (a, b)), shape=(ids.max() + 1, ids.max() + 1))
    assert connected_components(graph, directed=False)[0] == 1
    left, right = shapely.STRtree(lines).query(lines, predicate="crosses")
    assert left.size == right.size == 0
    assert {"trunk", "primary", "tertiary", "residential"} <= set(chancheng.roads["class"])
    assert (chancheng.roads.name != "").all()


def test_bridges_are_the_roads_over_water(chancheng: City) -> None:
    water = shapely.union_all(chancheng.water.geometry.to_numpy())
    middle = shapely.line_interpolate_point(
        chancheng.roads.geometry.to_numpy(), 0.5, normalized=True
    )
    wet = shapely.contains(water.buffer(-1e-5), middle)
    assert chancheng.roads.bridge.sum() > 10
    assert chancheng.roads.bridge[wet].all()
    assert {"汾江河", "东平水道"} <= set(chancheng.water.name)


def test_addresses_stand_in_their_grid_on_the_side_of_their_number(chancheng: City) -> None:
    table = chancheng.addresses
    assert table.address.is_unique
    assert len(table) > 5000
    shape = chancheng.grids.set_index("code").geometry[table.grid].to_numpy()
    assert shapely.contains_xy(shape, table.lon, table.lat).all()
    assert table.address.str.fullmatch(r"佛山市禅城区.+(街道|镇).+\d+号").all()
    assert table.address.str.contains("石湾镇街道魁奇东路").any()


def test_odd_and_even_numbers_face_each_other(chancheng: City) -> None:
    table = chancheng.addresses
    mine = table[table.road == "季华路"]
    line = chancheng.roads[chancheng.roads.name == "季华路"].geometry.to_numpy()
    odd = mine.address.str.extract(r"(\d+)号")[0].astype(int).to_numpy() % 2 == 1
    point = facts.to_xy(mine[["lon", "lat"]].to_numpy())
    roads = shapely.transform(line, facts.to_xy)
    near = roads[shapely.STRtree(roads).query_nearest(shapely.points(point), all_matches=False)[1]]
    on = shapely.line_interpolate_point(
        near, shapely.line_locate_point(near, shapely.points(point))
    )
    north = point[:, 1] > shapely.get_y(on)
    assert len(mine) > 50
    assert max((north == odd).mean(), (north != odd).mean()) > 0.97


def test_sub_centre_of_shiwan_stands_in_kuiqi_east_road(chancheng: City) -> None:
    desk = chancheng.sub_centres[chancheng.sub_centres.name == "石湾镇街道综治中心分中心"]
    assert len(desk) == 1
    assert "魁奇东路" in desk.address.iloc[0]
    inside = shapely.contains_xy(
        chancheng.sub_centres.geometry, chancheng.sub_centres.lon, chancheng.sub_centres.lat
    )
    assert inside.all()
    assert shapely.coverage_is_valid(chancheng.sub_centres.geometry.to_numpy())


def test_same_seed_same_bytes_other_seed_other_city(chancheng: City) -> None:
    again = generate(districts=PART)
    for name, table in vars(chancheng).items():
        same = getattr(again, name)
        if isinstance(table, gpd.GeoDataFrame):
            assert table.to_wkb().equals(same.to_wkb()), name
        else:
            pd.testing.assert_frame_equal(table, same)
    here, there = (tile(seed, PART, lambda _what, _share: None) for seed in (4406, 7))
    assert len(here.regions) == len(there.regions) == len(basic(chancheng))
    assert any(len(a.line) != len(b.line) for a, b in zip(here.cuts, there.cuts, strict=False))


def test_unknown_district_is_named() -> None:
    with pytest.raises(ValueError, match="440699"):
        generate(districts=["440699"])


def test_grids_are_small_in_the_centre_and_large_in_the_hills(sanshui: City) -> None:
    grids = basic(sanshui)
    area = shapely.area(metres(grids.geometry))
    host = facts.villages().set_index("village_code").host[grids.parent].to_numpy()
    towns = facts.towns().set_index("code")
    seat = facts.to_xy(towns.loc[["440607001"], ["lon", "lat"]].to_numpy())
    xy = shapely.get_coordinates(shapely.centroid(metres(grids.geometry)))
    centre = np.hypot(*(xy - seat).T) < 2500
    assert np.median(area[centre]) < 0.25 * np.median(area[host == "440607106"])


def test_towns_lie_around_their_seats_and_host_the_special_units(sanshui: City) -> None:
    towns = sanshui.towns.set_index("code")
    seats = facts.towns()[facts.towns().code.str.startswith("440607")]
    mine = towns.geometry[seats.code + "000"].to_numpy()
    assert shapely.contains_xy(mine, seats.lon, seats.lat).all()
    special = sanshui.villages[sanshui.villages.code.str[6] == "4"]
    assert len(special) == 5
    assert set(special.parent) <= set(towns.index)


def test_datang_park_is_a_dedicated_grid_on_land(sanshui: City) -> None:
    park = sanshui.grids[sanshui.grids.name == "大塘工业园"]
    assert park.kind.tolist() == ["dedicated"]
    assert park.residents.tolist() == [61_000]
    towns = sanshui.towns.set_index("code").geometry
    assert towns["440607101000"].contains(park.geometry.iloc[0])
    special = sanshui.grids[sanshui.grids.kind == "dedicated"]
    assert not special.geometry.intersects(shapely.union_all(sanshui.water.geometry)).any()


def test_red_grids_are_dalis_basic_grids() -> None:
    dali = facts.villages()[facts.villages().town_code == "440605125"].village_code.tolist()
    parent = [dali[0], "440604010001", dali[1]]
    shapes = [shapely.box(i, 0, i + 1, 1) for i in range(3)]
    grids = gpd.GeoDataFrame(
        {"code": [f"{p}001" for p in parent], "parent": parent}, geometry=shapes, crs=4326
    )
    red = red_grids(grids)
    assert red.grid.tolist() == [f"{dali[0]}001", f"{dali[1]}001"]
    assert red.code.is_unique
    assert (red.geometry.to_numpy() == np.array(shapes)[[0, 2]]).all()
