"""Valhalla for real: Helsinki as OpenStreetMap has it, drawn streets, and the demonstration city.

Distances are held to a graph search of our own over the same streets, and to the straight line.
"""

import fcntl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import osmium
import pytest
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from sqlalchemy import create_engine, text

from data import roads
from data.errors import FileError
from data.foshan import extract, load
from data.foshan.city import City, generate
from gis.travel import MODES, SNAP_M, StraightLine, Travel, great_circle_m
from tests.extracts import HELSINKI

BOX = (24.937, 60.166, 24.952, 60.178)  # inside the extract's own


class Loaded(NamedTuple):
    """A city's roads, and the folder that they are built in."""

    home: Path
    travel: Travel


def loaded(home: Path, file: Path) -> Loaded:
    assert roads.build(file, home)
    return Loaded(home, roads.travel(home))


@pytest.fixture(scope="module")
def helsinki(tmp_path_factory) -> Loaded:
    return loaded(tmp_path_factory.mktemp("helsinki"), HELSINKI)


@pytest.fixture(scope="module")
def sanshui() -> City:
    return generate(districts=["440607"])


@pytest.fixture(scope="module")
def demonstration(sanshui, tmp_path_factory) -> Loaded:
    home = tmp_path_factory.mktemp("sanshui")
    extract.write(sanshui.roads, home / "sanshui.osm.pbf")
    return loaded(home, home / "sanshui.osm.pbf")


def scattered(count, seed=0):
    return np.random.default_rng(seed).uniform(BOX[:2], BOX[2:], (count, 2))


def chessboard(file: Path, bridge: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Write two towns of 9 x 9 crossings, 0.001 degrees apart, on the equator and 0.05 degrees
    east of each other, with or without a road of the class ``bridge`` between them.
    """
    lines, kinds = [], []
    for west in (0.0, 0.05):
        for k in range(9):
            row = [(west + i / 1000, k / 1000) for i in range(9)]
            column = [(west + k / 1000, i / 1000) for i in range(9)]
            lines += [row, column]
    kinds = ["residential"] * len(lines)
    if bridge:
        lines.append([(0.008, 0.004), (0.05, 0.004)])
        kinds.append(bridge)
    table = {"class": kinds, "name": None, "bridge": [kind == bridge for kind in kinds]}
    extract.write(gpd.GeoDataFrame(table, geometry=[shapely.LineString(x) for x in lines]), file)
    return np.array([[0.001, 0.001]]), np.array([[0.007, 0.005], [0.053, 0.005]])


# --- on the roads ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_roads_are_no_shorter_than_the_straight_line_and_as_fast_as_the_mode(helsinki, mode):
    start, end = scattered(40, 1), scattered(7, 2)
    legs = helsinki.travel.legs(start, end, mode)
    apart = great_circle_m(start[:, None], end[None])
    there = legs.by_road & np.isfinite(legs.seconds)
    assert legs.by_road.mean() > 0.95  # for the rest, the target is nearer than the road
    assert there.mean() > 0.75  # some one-way streets lead out of the extract only
    assert (legs.metres[there] > apart[there] - 3).all()
    longest = 2.7 if mode == "car" else 1.9  # one-way streets
    assert 1.1 < np.median((legs.metres / apart)[there & (apart > 300)]) < longest
    fastest = {"foot": 5.2, "bicycle": 16, "moped": 23, "car": 90}[mode]
    assert 4.3 < np.median((legs.metres / legs.seconds * 3.6)[there]) < fastest


def test_faster_modes_are_sooner_there(helsinki):
    start, end = scattered(30, 3), scattered(1, 4)
    seconds = [np.nanmedian(helsinki.travel.legs(start, end, mode).seconds) for mode in MODES]
    assert seconds[0] > seconds[1] > seconds[2]
    assert seconds[0] > seconds[3]


def test_modes_are_asked_apart_and_come_back_in_their_rows(helsinki):
    start, end = scattered(12, 5), scattered(3, 6)
    names = np.array(list(MODES) * 3)
    together = helsinki.travel.legs(start, end, names)
    for name in MODES:
        alone = helsinki.travel.legs(start[names == name], end, name)
        np.testing.assert_array_equal(together.seconds[names == name], alone.seconds)
        np.testing.assert_array_equal(together.by_road[names == name], alone.by_road)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [(28, 1), (1, 28), (30, 12)])
def test_a_matrix_says_what_each_leg_says(sanshui, demonstration, mode, count):
    homes = sanshui.addresses[["lon", "lat"]].to_numpy()
    near = np.argsort(great_circle_m(homes, homes[0]), kind="stable")[:800]
    start, end = (homes[near[np.linspace(k, 750 + k, n, dtype=int)]] for k, n in enumerate(count))
    whole = demonstration.travel.legs(start, end, mode)
    rng = np.random.default_rng(0)
    rows, columns = (rng.integers(0, n, 28) if n > 28 else np.arange(28) % n for n in count)
    each = [
        demonstration.travel.legs(start[[i]], end[[j]], mode).seconds.item()
        for i, j in zip(rows, columns, strict=True)
    ]
    np.testing.assert_allclose(whole.seconds[rows, columns], each, rtol=0.03, atol=3)


@pytest.mark.parametrize("mode", ["bicycle", "moped", "car"])
def test_from_one_place_outwards_it_is_as_far_as_from_both_ends(sanshui, demonstration, mode):
    homes = sanshui.addresses[["lon", "lat"]].to_numpy()
    near = np.argsort(great_circle_m(homes, homes[0]), kind="stable")[:1200]
    start, end = homes[near[[3, 700]]], homes[near[20::30]]
    both = demonstration.travel.legs(start, end, mode).seconds
    for row in (0, 1):
        alone = demonstration.travel.legs(start[[row]], end, mode).seconds[0]
        np.testing.assert_allclose(alone, both[row], rtol=0.03, atol=3)


def test_many_threads_get_the_answers_of_one(helsinki):
    questions = [(scattered(10, seed), scattered(1, seed + 50)) for seed in range(24)]
    alone = [helsinki.travel.legs(*question, "foot").seconds for question in questions]
    with ThreadPoolExecutor(8) as pool:
        together = pool.map(lambda q: helsinki.travel.legs(*q, "foot").seconds, questions)
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one, other)


# --- beside the roads -----------------------------------------------------------------------------


def test_a_place_off_the_network_falls_back_alone(helsinki):
    start = np.array([[24.94, 60.17], [24.94, 59.9], [113.1, 23.0], [np.nan, 60.17]])
    end = scattered(2, 9)
    legs, straight = (
        helsinki.travel.legs(start, end, "foot"),
        StraightLine().legs(start, end, "foot"),
    )
    assert legs.by_road.tolist() == [[True, True]] + [[False, False]] * 3
    np.testing.assert_array_equal(legs.seconds[1:], straight.seconds[1:])
    assert np.isnan(legs.seconds[3]).all()
    back = helsinki.travel.legs(end, start, "foot")
    np.testing.assert_array_equal(back.by_road, legs.by_road.T)


def test_a_matrix_of_places_off_the_network_is_straight_lines(helsinki):
    start = np.array([[0.0, 0.0], [1.0, 1.0]])
    legs = helsinki.travel.legs(start, start, "car")
    np.testing.assert_array_equal(legs.metres, StraightLine().legs(start, start, "car").metres)
    assert not legs.by_road.any()
    assert helsinki.travel.legs(np.empty((0, 2)), start, "car").seconds.shape == (0, 2)


def test_who_stands_beside_the_target_need_not_go_by_the_road(tmp_path):
    inside, _ = chessboard(tmp_path / "towns.osm.pbf", None)
    travel = loaded(tmp_path, tmp_path / "towns.osm.pbf").travel
    middle = inside + 0.0005  # of a block, 55 m from the streets round it
    legs = travel.legs(middle, np.concatenate([middle, middle + 0.0001, middle + 0.001]), "foot")
    assert legs.by_road.tolist() == [[False, False, True]]
    assert legs.metres[0, 0] == 0


def test_the_way_to_the_road_is_walked(tmp_path):
    chessboard(tmp_path / "towns.osm.pbf", None)
    travel = loaded(tmp_path, tmp_path / "towns.osm.pbf").travel
    south = np.array([[0.004, 0.0], [0.004, -0.004]])
    on_road, off_road = travel.legs(south, [[0.004, 0.007]], "moped").seconds[:, 0]
    metres = great_circle_m(*south)
    assert 400 < metres < SNAP_M
    assert off_road - on_road == pytest.approx(metres / MODES["foot"].speed_m_s, abs=2)


# --- who gets across ------------------------------------------------------------------------------


def test_without_a_bridge_nobody_gets_across_and_with_one_everybody_does(tmp_path):
    start, end = chessboard(tmp_path / "apart.osm.pbf", None)
    apart = loaded(tmp_path / "apart", tmp_path / "apart.osm.pbf").travel
    chessboard(tmp_path / "joined.osm.pbf", "tertiary")
    joined = loaded(tmp_path / "joined", tmp_path / "joined.osm.pbf").travel
    for mode in MODES:
        legs = apart.legs(start, end, mode)
        assert np.isfinite(legs.seconds).tolist() == [[True, False]]
        assert np.isnan(legs.metres[0, 1]) and legs.by_road.all()
        alone = apart.legs(start, end[1:], mode)
        assert np.isnan(alone.seconds).all() and alone.by_road.all()
        across = joined.legs(start, end, mode)
        # along the rows and columns of the board, 111.2 m each
        np.testing.assert_allclose(across.metres, [[10 * 111.2, 56 * 111.2]], rtol=0.01)


def test_over_a_motorway_bridge_cars_go_alone(tmp_path):
    start, end = chessboard(tmp_path / "towns.osm.pbf", "motorway")
    travel = loaded(tmp_path, tmp_path / "towns.osm.pbf").travel
    reached = {mode: np.isfinite(travel.legs(start, end, mode).seconds[0, 1]) for mode in MODES}
    assert reached == {"foot": False, "bicycle": False, "moped": False, "car": True}


def test_across_the_river_is_farther_than_this_side(sanshui, demonstration):
    river = shapely.union_all(sanshui.water.geometry[sanshui.water.name == "北江"].to_numpy())
    homes = sanshui.addresses[["lon", "lat"]].to_numpy()
    homes = homes[shapely.dwithin(shapely.points(homes), river, 0.006)]
    start, end = homes[::9], homes[4::3]
    apart = great_circle_m(start[:, None], end[None])
    both = np.stack(np.broadcast_arrays(start[:, None], end[None]), axis=2)
    crosses = shapely.intersects(shapely.linestrings(both.reshape(-1, 2, 2)), river)
    here = (apart > 700) & (apart < 1500)
    across, this_side = here & crosses.reshape(apart.shape), here & ~crosses.reshape(apart.shape)
    assert min(across.sum(), this_side.sum()) > 100
    for mode, times in (("foot", 4.0), ("car", 2.0)):
        seconds = demonstration.travel.legs(start, end, mode).seconds
        pace = np.nan_to_num(seconds / apart, nan=np.inf)  # not to be reached is slowest
        assert np.median(pace[across]) > times * np.median(pace[this_side])
        assert np.isfinite(pace[this_side]).all()


def test_walks_are_as_long_as_the_shortest_way_in_the_drawn_streets(sanshui, demonstration):
    walked = sanshui.roads[sanshui.roads["class"] != "motorway"]
    lines = walked.geometry.to_numpy()
    ends = np.concatenate([shapely.get_point(lines, 0), shapely.get_point(lines, -1)])
    crossings, number = np.unique(shapely.get_coordinates(ends), axis=0, return_inverse=True)
    a, b = number.reshape(2, -1)
    shortest_first = np.argsort(walked.length_m.to_numpy(), kind="stable")
    pairs = np.sort(np.stack([a, b], axis=1), axis=1)[shortest_first]
    _, first = np.unique(pairs, axis=0, return_index=True)
    edge = shortest_first[first]
    graph = coo_matrix(
        (walked.length_m.to_numpy()[edge], (a[edge], b[edge])), (len(crossings),) * 2
    )
    rng = np.random.default_rng(0)
    start, end = rng.choice(len(crossings), (2, 60))
    shortest = dijkstra(graph, directed=False, indices=start[:6])[:, end]
    legs = demonstration.travel.legs(crossings[start[:6]], crossings[end], "foot")
    both = np.isfinite(shortest) & np.isfinite(legs.metres) & (shortest > 0)
    assert both.sum() > 100
    np.testing.assert_allclose(legs.metres[both], shortest[both], rtol=0.02)


# --- the extract ----------------------------------------------------------------------------------


def test_the_extract_holds_the_citys_roads_joined_where_they_meet(sanshui, tmp_path):
    file = tmp_path / "sanshui.osm.pbf"
    extract.write(sanshui.roads, file)
    ways = [
        (dict(each.tags), shapely.LineString([(n.lon, n.lat) for n in each.nodes]))
        for each in osmium.FileProcessor(str(file)).with_locations()
        if each.is_way()
    ]
    tags, lines = zip(*ways, strict=True)
    np.testing.assert_array_equal([tag["highway"] for tag in tags], sanshui.roads["class"])
    np.testing.assert_array_equal(["bridge" in tag for tag in tags], sanshui.roads.bridge)
    assert [tag.get("name") or None for tag in tags] == [n or None for n in sanshui.roads.name]
    assert shapely.equals_exact(lines, sanshui.roads.geometry.to_numpy(), 1e-9).all()


def test_the_same_city_is_the_same_extract(sanshui, tmp_path):
    for name in ("a", "b"):
        extract.write(sanshui.roads, tmp_path / f"{name}.osm.pbf")
    assert (tmp_path / "a.osm.pbf").read_bytes() == (tmp_path / "b.osm.pbf").read_bytes()


def test_the_demonstration_is_paved_from_its_ground_once(fresh_database_url, tmp_path):
    engine = create_engine(fresh_database_url)
    assert not load.pave(engine, tmp_path)
    assert roads.travel(tmp_path).name == "straight line"
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO ground (kind, class, attributes, geom) VALUES "
                "('road', 'tertiary', '{}', 'SRID=4326;LINESTRING(0 0, 0.01 0)'), "
                "('road', 'primary', jsonb_build_object('bridge', true), "
                "'SRID=4326;LINESTRING(0.01 0, 0.02 0)'), "
                "('water', 'river', '{}', 'SRID=4326;LINESTRING(0.02 0, 0.03 0)')"
            )
        )
    assert load.pave(engine, tmp_path)
    legs = roads.travel(tmp_path).legs([[0.001, 0.0]], [[0.019, 0.0], [0.03, 0.0]], "foot")
    assert legs.metres[0, 0] == pytest.approx(0.018 * 111_195, rel=0.01)
    assert legs.by_road.tolist() == [[True, False]]  # a river is no road
    assert not load.pave(engine, tmp_path)
    engine.dispose()


# --- building -------------------------------------------------------------------------------------


def test_without_tiles_times_are_straight_lines_and_again_once_removed(tmp_path):
    assert roads.travel(tmp_path).name == "straight line"
    assert roads.described(tmp_path) == [("by", "straight line")]
    roads.build(HELSINKI, tmp_path)
    assert roads.travel(tmp_path).name == "roads"
    assert roads.described(tmp_path) == [("by", "roads"), ("extract", "Helsinki.osm.pbf")]
    assert roads.remove(tmp_path)
    assert not roads.remove(tmp_path)
    assert roads.travel(tmp_path).name == "straight line"


def test_the_same_file_is_built_once_and_opened_once(helsinki, tmp_path):
    built = (helsinki.home / "roads" / "tiles.tar").stat()
    other_name = tmp_path / "copy.pbf"
    other_name.write_bytes(HELSINKI.read_bytes())
    assert not roads.build(other_name, helsinki.home)
    assert (helsinki.home / "roads" / "tiles.tar").stat() == built
    assert roads.travel(helsinki.home) is roads.travel(helsinki.home)


def test_new_tiles_are_taken_up_by_a_running_process(tmp_path):
    start, end = chessboard(tmp_path / "a.osm.pbf", None)
    before = loaded(tmp_path, tmp_path / "a.osm.pbf").travel
    assert np.isnan(before.legs(start, end, "foot").seconds[0, 1])
    chessboard(tmp_path / "b.osm.pbf", "primary")
    roads.build(tmp_path / "b.osm.pbf", tmp_path)
    assert np.isfinite(roads.travel(tmp_path).legs(start, end, "foot").seconds).all()


def no_roads(folder: Path) -> Path:
    file = folder / "bad.osm.pbf"
    with osmium.SimpleWriter(str(file)) as writer:
        writer.add_node(osmium.osm.mutable.Node(id=1, version=1, location=(113.0, 23.0)))
    return file


def cut_off(folder: Path) -> Path:
    (folder / "bad.osm.pbf").write_bytes(HELSINKI.read_bytes()[:-1000])
    return folder / "bad.osm.pbf"


def a_text(folder: Path) -> Path:
    (folder / "bad.osm.pbf").write_text("<osm/>")
    return folder / "bad.osm.pbf"


def nothing(folder: Path) -> Path:
    (folder / "bad.osm.pbf").touch()
    return folder / "bad.osm.pbf"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "bad.osm.pbf", "There is no file .*bad.osm.pbf"),
        (lambda folder: folder, "There is no file"),
        (a_text, r"bad.osm.pbf is no OpenStreetMap extract in PBF \("),
        (nothing, r"bad.osm.pbf is no OpenStreetMap extract in PBF \("),
        (cut_off, r"bad.osm.pbf is cut off or damaged \(.*fetch it again"),
        (no_roads, r"bad.osm.pbf has no roads in it"),
    ],
)
def test_a_bad_file_is_refused_in_a_sentence_and_the_old_roads_stay(helsinki, tmp_path, make, said):
    before = (helsinki.home / "roads" / "tiles.tar").read_bytes()
    with pytest.raises(FileError, match=said):
        roads.build(make(tmp_path), helsinki.home)
    assert (helsinki.home / "roads" / "tiles.tar").read_bytes() == before
    assert sorted(p.name for p in (helsinki.home / "roads").iterdir()) == ["lock", "tiles.tar"]


def test_an_interrupted_build_leaves_no_process_and_the_old_roads(helsinki, demonstration):
    before = (helsinki.home / "roads" / "tiles.tar").read_bytes()

    def interrupt(what: str, _share: float) -> None:
        if what == "joining roads":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        roads.build(demonstration.home / "sanshui.osm.pbf", helsinki.home, interrupt)
    assert (helsinki.home / "roads" / "tiles.tar").read_bytes() == before
    assert sorted(p.name for p in (helsinki.home / "roads").iterdir()) == ["lock", "tiles.tar"]
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(helsinki.home) not in running.stdout


def test_progress_only_rises_and_ends_at_one(tmp_path):
    told: list[tuple[str, float]] = []
    roads.build(HELSINKI, tmp_path, lambda what, share: told.append((what, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(set(shares)) > 5


def test_one_builds_at_a_time(tmp_path):
    (tmp_path / "roads").mkdir()
    with (tmp_path / "roads" / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(roads.RoadsError, match="being built"):
            roads.build(HELSINKI, tmp_path)
    assert roads.build(HELSINKI, tmp_path)


@pytest.mark.parametrize("damage", [b"", b"no tar", b"\0" * 10240])
def test_a_damaged_archive_is_not_used_said_and_built_again(tmp_path, damage):
    archive = tmp_path / "roads" / "tiles.tar"
    archive.parent.mkdir()
    archive.write_bytes(damage)
    assert roads.travel(tmp_path).name == "straight line"
    assert "damaged" in roads.described(tmp_path)[1][1]
    assert roads.build(HELSINKI, tmp_path)
    assert roads.travel(tmp_path).name == "roads"
