import time

import geopandas as gpd
import numpy as np
import pytest
import shapely
import shapely.ops
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Point, Polygon, box

from data.settings import ROOT
from gis import codes as area_codes
from gis.coverage import ERROR, KINDS, WARNING, check, repair
from gis.plane import Plane, areas_m2, widths_m

PUBLISHED = ROOT.parent / "shared/data"
published = pytest.mark.skipif(
    not PUBLISHED.exists(), reason="no published data beside the project"
)
STEP = 0.01  # a cell is about a kilometre wide


def lattice(columns, rows, seed=0, stops=1):
    """Quadrilaterals with jittered corners and `stops` bends on each shared border."""
    rng = np.random.default_rng(seed)
    corner = np.stack(np.meshgrid(np.arange(columns + 1), np.arange(rows + 1)), -1).astype(float)
    corner += rng.uniform(-0.2, 0.2, corner.shape)
    corner = corner * STEP + (113.0, 22.9)
    t = np.linspace(0, 1, stops + 2)[:-1, None]

    def bends(a, b):
        along = a[..., None, :] * (1 - t) + b[..., None, :] * t
        along[..., 1:, :] += rng.uniform(-2e-4, 2e-4, along[..., 1:, :].shape)
        return along

    across = bends(corner[:, :-1], corner[:, 1:])  # rows+1, columns, stops+1, 2
    upward = bends(corner[:-1], corner[1:])  # rows, columns+1, stops+1, 2

    def cell(r, c):
        low = np.vstack([across[r, c], corner[r, c + 1]])
        right = np.vstack([upward[r, c + 1], corner[r + 1, c + 1]])
        top = np.vstack([across[r + 1, c], corner[r + 1, c + 1]])[::-1]
        left = np.vstack([upward[r, c], corner[r + 1, c]])[::-1]
        return Polygon(np.vstack([low[:-1], right[:-1], top[:-1], left]))

    return np.array([cell(r, c) for r in range(rows) for c in range(columns)])


def snake(columns, rows, cuts, seed=0, stops=1):
    """A valid coverage: cells of a lattice merged along a snake that is cut into pieces."""
    cells = lattice(columns, rows, seed, stops)
    order = np.arange(columns * rows).reshape(rows, columns)
    order[1::2] = order[1::2, ::-1]
    runs = np.split(order.ravel(), sorted(cuts))
    return np.array([shapely.coverage_union_all(cells[run]) for run in runs])


@st.composite
def coverages(draw):
    """Snakes in pieces of any length."""
    columns, rows = draw(st.integers(2, 5)), draw(st.integers(2, 5))
    cuts = draw(st.sets(st.integers(1, columns * rows - 1), min_size=1))
    return snake(columns, rows, cuts, draw(st.integers(0, 2**16)), draw(st.integers(0, 3)))


def shaken(polygons, seed):
    """Every vertex of every polygon moved by up to a metre or so."""
    rng = np.random.default_rng(seed)
    rings = [shapely.get_coordinates(p)[:-1] for p in polygons]
    return np.array([Polygon(ring + rng.uniform(-1e-5, 1e-5, ring.shape)) for ring in rings])


def names(polygons):
    return [f"a{i}" for i in range(len(polygons))]


def neighbours(polygons):
    """A pair with a common border, and the middle of that border as a strip some metres wide."""
    for i, j in zip(*np.triu_indices(len(polygons), 1), strict=True):
        line = shapely.line_merge(shapely.intersection(polygons[i], polygons[j]))
        line = max(shapely.get_parts(line), key=shapely.length)
        if line.length > STEP / 2 and line.geom_type == "LineString":
            middle = shapely.ops.substring(line, 0.3, 0.7, normalized=True)
            return i, j, middle
    raise AssertionError("a lattice has neighbours")


def strip(line, width_m, cap="flat"):
    return line.buffer(width_m / 2 / 111_000, cap_style=cap)


def kinds(faults):
    return sorted(faults.kind)


@settings(max_examples=40, deadline=None)
@given(coverages())
def test_a_valid_coverage_has_no_faults_and_is_not_touched(polygons):
    assert check(names(polygons), polygons).empty
    mended, moved = repair(names(polygons), polygons)
    assert moved.empty
    assert all(a is b for a, b in zip(mended, polygons, strict=True))


@settings(max_examples=40, deadline=None)
@given(coverages(), st.floats(1.0, 20.0))
def test_a_gap_is_found_with_its_area_and_closed(polygons, width):
    i, j, line = neighbours(polygons)
    lost = shapely.intersection(polygons[i], strip(line, 2 * width))
    broken = polygons.copy()
    broken[i] = shapely.difference(polygons[i], lost)
    faults = check(names(polygons), broken, gap_width_m=2 * width)
    gaps = faults[faults.kind == "gap"]
    assert {f"a{i}", f"a{j}"} <= set(gaps.codes.sum())
    assert gaps.area_m2.sum() == pytest.approx(areas_m2(np.array([lost]))[0], rel=1e-2)
    mended, moved = repair(names(polygons), broken, gap_width_m=2 * width)
    assert shapely.coverage_is_valid(mended)
    assert check(names(polygons), mended, gap_width_m=2 * width).empty
    assert moved[moved.kind == "gap_closed"].area_m2.sum() == pytest.approx(
        gaps.area_m2.sum(), rel=1e-2
    )
    untouched = set(range(len(polygons))) - set(moved.row)
    assert all(mended[k] is broken[k] for k in untouched)


@settings(max_examples=40, deadline=None)
@given(coverages(), st.floats(1.0, 20.0))
def test_an_overlap_is_found_with_its_area_and_closed_only_if_narrow(polygons, width):
    i, j, line = neighbours(polygons)
    both = shapely.intersection(polygons[j], strip(line, 2 * width))
    broken = polygons.copy()
    broken[i] = shapely.union(polygons[i], both)
    faults = check(names(polygons), broken)
    overlap = faults[(faults.kind == "overlap") & (faults.severity == ERROR)]
    assert overlap.codes.tolist() == [[f"a{i}", f"a{j}"]]
    assert overlap.area_m2.item() == pytest.approx(areas_m2(np.array([both]))[0], rel=1e-2)
    mended, moved = repair(names(polygons), broken, overlap_width_m=3 * width)
    assert shapely.coverage_is_valid(mended)
    assert check(names(polygons), mended).empty
    assert moved.area_m2.max() == pytest.approx(overlap.area_m2.item(), rel=1e-2)
    left, _ = repair(names(polygons), broken, gap_width_m=0.1, overlap_width_m=width / 4)
    assert shapely.intersection(left[i], left[j]).area == pytest.approx(both.area, rel=1e-3)


@settings(max_examples=20, deadline=None)
@given(coverages())
def test_an_inlet_open_to_the_outside_is_a_warning_and_is_closed(polygons):
    everything = shapely.coverage_union_all(polygons)
    border = shapely.intersection(polygons[0], everything.boundary)
    cells = [p for p in polygons[1:] if shapely.intersection(p, polygons[0]).length > 0]
    shared = shapely.line_merge(shapely.intersection(polygons[0], cells[0]))
    shared = max(shapely.get_parts(shared), key=shapely.length)
    ends = [e for e in shapely.boundary(shared).geoms if e.distance(border) == 0]
    if not ends or shared.length < STEP / 2:
        return
    broken = polygons.copy()
    broken[0] = shapely.difference(polygons[0], strip(shared, 10, "square"))
    faults = check(names(polygons), broken, gap_width_m=8)
    assert WARNING in faults[faults.kind == "gap"].severity.tolist()
    mended, _ = repair(names(polygons), broken, gap_width_m=8)
    assert shapely.coverage_is_valid(mended)
    assert "gap" not in check(names(polygons), mended, gap_width_m=8).kind.tolist()


@settings(max_examples=20, deadline=None)
@given(coverages(), st.data())
def test_the_same_polygon_twice(polygons, data):
    k = data.draw(st.integers(0, len(polygons) - 1))
    faults = check([*names(polygons), "again"], [*polygons, polygons[k]])
    assert kinds(faults) == ["duplicate_shape"]
    assert faults.codes.item() == [f"a{k}", "again"]
    assert faults.area_m2.item() == pytest.approx(areas_m2(polygons[k : k + 1])[0], rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(coverages(), st.integers(0, 2**16))
def test_rounded_coordinates_are_mended(polygons, seed):
    mended, moved = repair(names(polygons), shaken(polygons, seed), gap_width_m=5)
    assert shapely.coverage_is_valid(mended)
    # The mended ones have a plane of their own, in which an inlet may be just narrow enough.
    left = check(names(polygons), mended, gap_width_m=5)
    assert (left.severity == WARNING).all() and left.area_m2.sum() < 5
    assert moved.displacement_m.median() < 12  # a scrap at a junction may reach farther


@pytest.mark.parametrize(
    ("polygons", "seed"),
    [
        (snake(5, 2, [3, 4, 5, 6, 7, 8], 16582, 0), 54369),
        (snake(5, 2, [1, 4, 7, 8], 46878, 0), 16886),
        (snake(5, 5, [2, 4, 5, 7, 9, 15, 23], 17628, 1), 14100),
    ],
)
def test_a_flat_bend_and_a_hair_of_rounding_are_no_inlets(polygons, seed):
    mended, _ = repair(names(polygons), shaken(polygons, seed), gap_width_m=5)
    assert check(names(polygons), mended, gap_width_m=5).empty


FOUR = lattice(2, 2)


def test_codes_missing_repeated_and_against_a_rule():
    faults = check(["1", None, "1", " "], FOUR)
    assert kinds(faults) == ["bad_code", "bad_code", "duplicate_code"]
    assert faults[faults.kind == "duplicate_code"].rows.item() == [0, 2]
    ruled = check(["440604001001", "44060400100x", "440604001003", "440604001002"], FOUR,
                  code_rule=area_codes.check)  # fmt: skip
    assert ruled.kind.tolist() == ["bad_code"]
    assert ruled.rows.item() == [1]
    assert check(["1", "1", "2", "2"], FOUR, unique=False).empty


def test_one_code_in_two_villages():
    faults = check(["1", "1", "2", "3"], FOUR, parents=["v", "w", "v", "w"])
    assert faults.kind.tolist() == ["two_parents"]
    assert "v, w" in faults.message.item()


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        (None, "empty"),
        (Polygon(), "empty"),
        (Polygon([(112, 23), (112.1, 23), (112.2, 23)]), "empty"),
        (Point(113, 23), "not_polygon"),
        (LineString([(113, 23), (114, 23)]), "not_polygon"),
        (Polygon([(112, 23), (112.1, 23.1), (112.1, 23), (112, 23.1)]), "self_crossing"),
        (MultiPolygon([box(112, 23, 112.1, 23.1), box(112.2, 23, 112.3, 23.1)]), "multipart"),
        (box(112, 23, 112.1, 23.00001), "sliver"),
    ],
)
def test_one_bad_shape_is_named_with_its_row(shape, kind):
    faults = check(["a", "b", "c", "d", "bad"], [*FOUR, shape])
    assert faults.kind.tolist() == [kind]
    assert faults.codes.item() == ["bad"]
    assert faults.rows.item() == [4]
    assert "bad" in faults.message.item()


def test_crossing_says_where():
    bow = Polygon([(112, 23), (112.1, 23.1), (112.1, 23), (112, 23.1)])
    faults = check(["bow"], [bow])
    assert faults.geometry.item().distance(Point(112.05, 23.05)) < 1e-9


def test_unmatched_border_without_any_area():
    left = box(113, 23, 113.01, 23.01)
    right = box(113.01, 23, 113.02, 23.005), box(113.01, 23.005, 113.02, 23.01)
    faults = check(["l", "r", "s"], [left, *right])
    assert set(faults.kind) == {"unmatched_border"}
    mended, moved = repair(["l", "r", "s"], [left, *right])
    assert check(["l", "r", "s"], mended).empty
    assert set(moved.kind) == {"border_matched"}
    assert moved.displacement_m.max() < 0.01


def test_children_are_held_against_their_parents():
    cells = lattice(4, 2)
    parents = ["v", "v", "w", "w"] * 2
    outlines = {
        key: shapely.coverage_union_all(
            [c for c, p in zip(cells, parents, strict=True) if p == key]
        )
        for key in "vw"
    }
    keys = names(cells)
    assert check(keys, cells, parents=parents, outlines=outlines).empty
    lost = check(keys[1:], cells[1:], parents=parents[1:], outlines=outlines)
    assert lost.kind.tolist() == ["gap"]
    assert lost.area_m2.item() == pytest.approx(areas_m2(cells[:1])[0], rel=1e-6)
    astray = check(keys, cells, parents=["v", "v", "v", "w", *parents[4:]], outlines=outlines)
    assert kinds(astray) == ["gap", "wrong_parent"]
    assert astray[astray.kind == "wrong_parent"].codes.item() == ["a2"]
    small = {"v": outlines["v"], "w": box(*outlines["w"].bounds[:2], 113.035, 22.93)}
    spilt = check(keys, cells, parents=parents, outlines=small)
    assert {"a3", "a7"} <= set(spilt[spilt.kind == "spill"].codes.sum())
    unknown = check(keys, cells, parents=["x", *parents[1:]], outlines=outlines)
    assert kinds(unknown) == ["gap", "unknown_parent"]


def test_a_wide_hole_is_an_enclave_unless_the_outline_says_no():
    cells = lattice(3, 3)
    ring = np.delete(cells, 4)
    assert check(names(ring), ring).empty
    outline = {"v": shapely.coverage_union_all(cells)}
    faults = check(names(ring), ring, parents=["v"] * 8, outlines=outline)
    assert faults.kind.tolist() == ["gap"]
    assert faults.width_m.item() > 500


def test_nothing_and_odd_input():
    nothing = check([], [])
    assert nothing.empty
    assert nothing.crs == 4326
    assert list(nothing) == [
        "kind", "severity", "codes", "rows", "message", "area_m2", "width_m", "geometry",
    ]  # fmt: skip
    assert repair([], [])[1].empty
    kept, moved = repair(["a", "b"], [None, Polygon()])
    assert kept[0] is None
    assert kept[1].is_empty
    assert moved.empty
    with pytest.raises(ValueError, match="1 codes for 2 polygons"):
        check(["a"], FOUR[:2])
    with pytest.raises(ValueError, match="need parents"):
        check(["a"], FOUR[:1], outlines={})
    with pytest.raises(ValueError, match=r"b \(row 2\) is a Point"):
        repair(["a", "b"], [FOUR[0], Point(0, 0)])
    with pytest.raises(ValueError, match="0 m or more"):
        repair(["a"], FOUR[:1], gap_width_m=-1)


def test_the_report_can_be_written_and_names_known_kinds():
    faults = check(["1", "1", "", "x"], [*FOUR[:2], FOUR[1], None])
    assert set(faults.kind) <= set(KINDS)
    assert faults.message.str.endswith((".", "…")).all()


def test_measures_of_the_plane():
    square = np.array([box(113, 23, 113.01, 23.01)])
    plane = Plane.around(square)
    metres = plane.to_xy_m(square)
    assert shapely.area(metres)[0] == pytest.approx(areas_m2(square)[0], rel=1e-6)
    assert widths_m(metres)[0] == pytest.approx(1025, rel=0.02)
    assert shapely.equals_exact(plane.to_lonlat(metres), square, tolerance=1e-12).all()


def test_a_city_is_checked_in_seconds():
    cells = lattice(82, 81, stops=11)  # 6,642 cells of 48 vertices
    start = time.perf_counter()
    faults = check(names(cells), cells)
    assert faults.empty
    assert time.perf_counter() - start < 15  # some 3 s when the machine is idle


@published
def test_the_beats_of_chicago_are_a_coverage():
    beats = gpd.read_file(f"/vsigzip/{PUBLISHED}/chicago/police-beats.geojson.gz")
    shapes = beats.geometry.to_numpy()
    assert check(beats.beat_num, shapes, unique=False).empty
    # The beat of the airport and the lake is published in three pieces.
    repeated = check(beats.beat_num, shapes)
    assert repeated.kind.tolist() == ["duplicate_code"]
    mended, moved = repair(beats.beat_num, shapes)
    assert moved.empty
    assert all(a is b for a, b in zip(mended, shapes, strict=True))


@published
@pytest.mark.parametrize("width", [2, 50, 200, 500])
def test_the_districts_of_foshan_are_mended(width):
    districts = gpd.read_file(PUBLISHED / "foshan/districts.geojson")
    shapes = districts.geometry.to_numpy()
    found = check(districts.code, shapes, gap_width_m=width)
    assert "self_crossing" in set(found.kind)
    mended, moved = repair(districts.code, shapes, gap_width_m=width)
    assert shapely.coverage_is_valid(mended)
    assert shapely.is_valid(mended).all()
    left = check(districts.code, mended, gap_width_m=width)
    assert set(left.kind) <= {"multipart"}  # islands and the farms along the border
    assert areas_m2(mended).sum() == pytest.approx(areas_m2(shapely.make_valid(shapes)).sum(), 1e-3)
    assert set(moved.kind) <= {"made_valid", "gap_closed", "border_matched"}
