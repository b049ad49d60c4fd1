"""The map's history: what is recorded, what is read back, and that no earlier answer changes."""

from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Barrier, Thread

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from data.areas import AreaError, change, ensure_layer, export, layers, read, record
from gis.placement import WEIGHTS
from tests.coverages import lattice

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
AT = np.array([113.1, 23.0])

ANSWER = text("""
SELECT c.* FROM candidates(:lon, :lat, 60, :layer, '{}', :at, :known, 1, 200, :weights,
                           NULL, NULL, NULL, NULL) c
""")


@pytest.fixture
def layer(engine, serial=count()):
    """An overlay of its own for each test."""
    name = f"layer-{next(serial)}"
    with engine.begin() as connection:
        ensure_layer(connection, name)
    return name


def boxes(columns, rows=1, size=0.01, **more):
    """Areas a1, a2 … side by side, as a frame."""
    shapes = [
        shapely.transform(shapely.box(c, r, c + 1, r + 1), lambda xy: xy * size + AT)
        for r in range(rows)
        for c in range(columns)
    ]
    codes = [f"a{k + 1}" for k in range(len(shapes))]
    return gpd.GeoDataFrame({"code": codes, "name": codes, **more}, geometry=shapes, crs=4326)


def put(engine, layer, frame, kind="import", **more):
    """Record a frame in a change of its own."""
    with change(engine, kind) as opened:
        record(opened, layer, frame, **more)
    return opened


def look(engine, layer, **moments):
    """Everything that `read` says, down to the bytes."""
    with engine.connect() as connection:
        frame = read(connection, layer, **moments)
    shapes = frame.geometry.to_wkb()
    rest = pd.DataFrame(frame.drop(columns="geometry")).astype(object)
    rest = rest.where(rest.notna(), None)
    return [(*row, shape) for row, shape in zip(rest.values.tolist(), shapes, strict=True)]


def versions(engine, layer):
    with engine.connect() as connection:
        return connection.execute(
            text(
                "SELECT a.code, v.valid, v.recorded FROM area_version v"
                " JOIN area a ON a.id = v.area_id WHERE a.layer = :layer ORDER BY v.id"
            ),
            {"layer": layer},
        ).all()


# --- recording ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("valid_from", "replace"), [(None, True), (NOW - DAY, False), (NOW + DAY, True)]
)
def test_the_same_file_twice_adds_nothing(engine, layer, valid_from, replace):
    frame = boxes(3, kind=["basic", "dedicated", "basic"], men=[1, 2, 3])
    first = put(engine, layer, frame, valid_from=valid_from, replace=replace)
    before = versions(engine, layer)
    again = put(engine, layer, frame, valid_from=valid_from, replace=replace)
    assert (first.added, first.unchanged, first.ended) == (3, 0, 0)
    assert (again.added, again.unchanged, again.ended) == (0, 3, 0)
    assert versions(engine, layer) == before


@pytest.mark.parametrize(
    "moved",
    [
        lambda f: f.set_geometry([*f.geometry[:-1], shapely.box(113.2, 23, 113.21, 23.01)]),
        lambda f: f.assign(name=["a1", "a2", "New"]),
        lambda f: f.assign(kind=["basic", "basic", "dedicated"]),
        lambda f: f.assign(party_branch=[None, None, "Third branch"]),
        lambda f: f.assign(men=[1, 2, 4]),
    ],
)
@pytest.mark.parametrize("valid_from", [None, NOW - DAY])
def test_what_changed_is_a_new_version_and_the_old_belief_is_kept(engine, layer, moved, valid_from):
    frame = boxes(3, men=[1, 2, 3])
    first = put(engine, layer, frame)
    was = look(engine, layer, known=first.recorded)
    again = put(engine, layer, moved(frame), valid_from=valid_from)
    assert (again.added, again.unchanged) == (1, 2)
    assert look(engine, layer, known=first.recorded) == was
    now = look(engine, layer)
    assert now[:2] == was[:2]
    assert now[2] != was[2]
    longer_ago = look(engine, layer, at=NOW - 2 * DAY)
    assert longer_ago == now if valid_from is None else longer_ago[2][:6] == was[2][:6]


def test_a_border_of_tomorrow_is_not_in_force_today(engine, layer):
    put(engine, layer, boxes(2))
    today = look(engine, layer)
    wider = boxes(2, size=0.02)
    put(engine, layer, wider, kind="redraw", valid_from=NOW + DAY)
    assert [row[:6] for row in look(engine, layer)] == [row[:6] for row in today]
    assert [row[-1] for row in look(engine, layer)] == [row[-1] for row in today]
    tomorrow = look(engine, layer, at=NOW + 2 * DAY)
    assert [row[-1] for row in tomorrow] == wider.geometry.to_wkb().tolist()


def test_a_change_is_known_at_its_instant_and_not_before(engine, layer):
    opened = put(engine, layer, boxes(2))
    assert look(engine, layer, known=opened.recorded - timedelta(microseconds=1)) == []
    assert len(look(engine, layer, known=opened.recorded)) == 2
    assert len(look(engine, layer)) == 2


def test_what_is_not_in_the_file_ends_when_it_is_replaced(engine, layer):
    put(engine, layer, boxes(3))
    kept = put(engine, layer, boxes(2))
    assert kept.ended == 0
    assert len(look(engine, layer)) == 3
    ended = put(engine, layer, boxes(2), replace=True, valid_from=NOW - DAY)
    assert (ended.added, ended.unchanged, ended.ended) == (0, 2, 1)
    assert [row[0] for row in look(engine, layer)] == ["a1", "a2"]
    assert [row[0] for row in look(engine, layer, at=NOW - 2 * DAY)] == ["a1", "a2", "a3"]


def test_a_code_that_comes_back_is_the_same_area(engine, layer):
    put(engine, layer, boxes(3))
    ids = {row[0]: row[8] for row in look(engine, layer)}
    put(engine, layer, boxes(2), replace=True, valid_from=NOW - DAY)
    put(engine, layer, boxes(3), valid_from=NOW - DAY / 2)
    assert {row[0]: row[8] for row in look(engine, layer)} == ids


# --- lineage ------------------------------------------------------------------------------------


def shares(engine, opened):
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT f.code, t.code, l.share FROM area_lineage l JOIN area f ON f.id = l.from_id"
                " JOIN area t ON t.id = l.to_id WHERE l.change_id = :id ORDER BY 1, 2"
            ),
            {"id": opened.id},
        )
        return {(parent, child): share for parent, child, share in rows}


@pytest.mark.parametrize("valid_from", [None, NOW - DAY, NOW + DAY])
def test_the_shares_of_a_split_add_up(engine, layer, valid_from):
    rng = np.random.default_rng(7)  # wiggly cells, so that shares are uneven
    cells = shapely.transform(lattice(rng, 4, 3), lambda xy: xy * 0.01 + AT)
    whole = gpd.GeoDataFrame(
        {"code": ["west", "east"]},
        geometry=[
            shapely.coverage_union_all([c for k, c in enumerate(cells) if (k % 4 < 2) == west])
            for west in (True, False)
        ],
        crs=4326,
    )
    put(engine, layer, whole)
    parts = gpd.GeoDataFrame(
        {"code": [f"n{k:02}" for k in range(12)]}, geometry=list(cells), crs=4326
    )
    split = put(engine, layer, parts, kind="redraw", valid_from=valid_from, replace=True)
    found = shares(engine, split)
    assert len(found) == 12
    for code, predecessor in zip(whole.code, whole.geometry, strict=True):
        mine = {child: share for (parent, child), share in found.items() if parent == code}
        assert sum(mine.values()) == pytest.approx(1, abs=1e-9)
        for child, share in mine.items():
            part = parts.geometry[int(child[1:])]
            assert share == pytest.approx(part.area / predecessor.area, rel=1e-9)


def test_a_merge_has_all_of_its_predecessors(engine, layer):
    put(engine, layer, boxes(2))
    both = gpd.GeoDataFrame(
        {"code": ["both"]}, geometry=[shapely.union_all(boxes(2).geometry)], crs=4326
    )
    merged = put(engine, layer, both, kind="redraw", replace=True, valid_from=NOW)
    assert shares(engine, merged) == {("a1", "both"): 1, ("a2", "both"): 1}


# --- bad input ----------------------------------------------------------------------------------


def test_codes_that_stand_twice_are_named(engine, layer):
    frame = boxes(3).assign(code=["a1", "a2", "a1"])
    with pytest.raises(AreaError, match=rf"{layer}: a1 stand in the file more than once.*merge"):
        put(engine, layer, frame)


@pytest.mark.parametrize("crs", [None, 3857, 4490])
def test_another_crs_is_named(engine, layer, crs):
    frame = boxes(2).set_crs(crs, allow_override=True) if crs else boxes(2)
    if crs is None:
        frame = gpd.GeoDataFrame(frame.drop(columns="geometry"), geometry=list(frame.geometry))
    with pytest.raises(AreaError, match=f"{layer}: areas come in as EPSG:4326, these are"):
        put(engine, layer, frame)


def test_parents_must_exist(engine):
    put(engine, "city", boxes(1).assign(code="C"))
    frame = boxes(7).assign(parent=["C", *"NNNNN", None])
    with pytest.raises(AreaError, match=r"6 areas name no parent .* the layer city: a2, a3.*and 1"):
        put(engine, "district", frame)
    assert look(engine, "district") == []
    put(engine, "district", frame.assign(parent="C"))
    assert {row[3] for row in look(engine, "district")} == {"C"}


def test_a_change_that_fails_leaves_nothing(engine, layer):
    put(engine, layer, boxes(2))
    before, rows = look(engine, layer), versions(engine, layer)
    with pytest.raises(AreaError), change(engine, "import") as opened:
        record(opened, layer, boxes(4, size=0.02))
        record(opened, layer, boxes(2).assign(code="twice"))
    with engine.connect() as connection:
        there = connection.execute(
            text("SELECT count(*) FROM change WHERE id = :id"), {"id": opened.id}
        ).scalar()
        codes = connection.execute(
            text("SELECT count(*) FROM area WHERE layer = :layer"), {"layer": layer}
        ).scalar()
    assert (there, codes) == (0, 2)
    assert look(engine, layer) == before
    assert versions(engine, layer) == rows


# --- history is kept ----------------------------------------------------------------------------


def test_a_version_is_never_changed_or_deleted(engine, layer):
    put(engine, layer, boxes(1))
    before = versions(engine, layer), look(engine, layer)
    for statement in (
        "UPDATE area_version SET name = 'x'",
        "UPDATE area_version SET geom = ST_Translate(geom, 1e-9, 0)",
        "UPDATE area_version SET geom = ST_Reverse(geom)",
        "UPDATE area_version SET valid = tstzrange(NULL, now())",
        "UPDATE area_version SET recorded = int8range(0, NULL)",
        "UPDATE area_version SET attributes = '{\"a\": 1}'",
        "DELETE FROM area_version",
    ):
        own = " WHERE area_id = (SELECT id FROM area WHERE layer = :layer)"
        with (
            pytest.raises(DBAPIError, match="never changed or deleted"),
            engine.begin() as connection,
        ):
            connection.execute(text(statement + own), {"layer": layer})
    assert (versions(engine, layer), look(engine, layer)) == before


def test_what_was_believed_until_then_stays_closed(engine, layer):
    put(engine, layer, boxes(1))
    put(engine, layer, boxes(1, size=0.02))
    closed = (
        "UPDATE area_version SET recorded = int8range(lower(recorded), NULL) WHERE NOT"
        " upper_inf(recorded) AND area_id = (SELECT id FROM area WHERE layer = :layer)"
    )
    with (
        pytest.raises(DBAPIError, match="never changed or deleted"),
        engine.begin() as connection,
    ):
        connection.execute(text(closed), {"layer": layer})


def test_a_change_that_is_committed_too_late_is_refused(engine):
    with (
        pytest.raises(DBAPIError, match="took too long to commit"),
        engine.begin() as connection,
    ):
        connection.execute(
            text("INSERT INTO change (kind, recorded) VALUES ('import', clock_timestamp())")
        )


def test_a_change_whose_instant_passes_before_its_commit_is_refused(engine, layer):
    with engine.connect() as connection:
        changes = connection.execute(text("SELECT count(*) FROM change")).scalar()
    with (
        pytest.raises(DBAPIError, match="took too long to commit"),
        engine.begin() as connection,
    ):
        number = connection.execute(
            text("INSERT INTO change (kind) VALUES ('import') RETURNING id")
        ).scalar()
        connection.execute(
            text("UPDATE change SET recorded = clock_timestamp() WHERE id = :id"), {"id": number}
        )
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM change")).scalar() == changes


def test_two_changes_at_once_wait_for_each_other(engine, layer):
    start, done, wrong = Barrier(4), [], []

    def run(size):
        try:
            start.wait(10)
            done.append(put(engine, layer, boxes(5, size=size)))
        except Exception as error:
            wrong.append(error)

    threads = [Thread(target=run, args=(0.01 * k,)) for k in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    done.sort(key=lambda opened: opened.id)
    instants = [opened.recorded for opened in done]
    assert instants == sorted(set(instants))
    for opened in done:  # each instant knows exactly one of the four maps
        shapes = {row[-1] for row in look(engine, layer, known=opened.recorded)}
        assert len(shapes) == 5
        assert sum(shapes == set(boxes(5, size=0.01 * k).geometry.to_wkb()) for k in range(1, 5))
    assert look(engine, layer) == look(engine, layer, known=instants[-1])


# --- as of: every earlier answer comes back -----------------------------------------------------


def answers(engine, layer, moments, points):
    """What is said of the whole layer and of some points at pairs of moments, byte for byte."""
    said = []
    with engine.connect() as connection:
        for at, known in moments:
            where = {"layer": layer, "at": at, "known": known, "weights": list(WEIGHTS)}
            near = [
                connection.execute(ANSWER, {**where, "lon": lon, "lat": lat}).all()
                for lon, lat in points
            ]
            said.append((look(engine, layer, at=at, known=known), near))
    return said


@pytest.mark.parametrize("seed", range(2))
def test_every_earlier_answer_comes_back_byte_for_byte(engine, layer, seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(AT, AT + 0.012, (6, 2)).tolist()
    dates = [NOW + k * DAY for k in range(-6, 7, 3)]
    noted = {}
    for _ in range(7):
        cells = shapely.transform(lattice(rng, 3, 3), lambda xy: xy * 0.004 + AT)
        chosen = np.sort(rng.permutation(9)[: rng.integers(1, 10)])
        frame = gpd.GeoDataFrame(
            {
                "code": [f"g{k}" for k in chosen],
                "kind": rng.choice(["basic", "dedicated"], len(chosen), p=(0.8, 0.2)),
                "men": rng.integers(0, 3, len(chosen)),
            },
            geometry=list(cells[chosen]),
            crs=4326,
        )
        since = [None, *(d + timedelta(hours=1) for d in dates)][rng.integers(0, 6)]
        opened = put(engine, layer, frame, valid_from=since, replace=bool(rng.integers(0, 2)))
        moments = [(at, opened.recorded) for at in dates]
        noted.update(zip(moments, answers(engine, layer, moments, points), strict=True))
        for at in (d for d in dates if since is None or d >= since):
            told = {row[0]: row[-1] for row in look(engine, layer, at=at)}
            assert (
                told.items() >= dict(zip(frame.code, frame.geometry.to_wkb(), strict=True)).items()
            )
    assert answers(engine, layer, list(noted), points) == list(noted.values())
    for at, known in noted:
        codes = [row[0] for row in look(engine, layer, at=at, known=known)]
        assert len(codes) == len(set(codes))


# --- reading ------------------------------------------------------------------------------------


def test_what_went_in_comes_out(engine, layer):
    frame = boxes(
        2,
        2,
        kind=["basic", "dedicated", "basic", "basic"],
        party_branch=["一", None, "三", None],
        men=[1, 2, 3, 4],
        share=[0.1, np.nan, 1e-17, 3.0],
        phone=["0757", None, "", '"\\\t\n'],
        open_=[True, False, True, False],
    )
    frame.loc[3, "geometry"] = shapely.MultiPolygon([frame.geometry[3], shapely.box(0, 0, 1, 1)])
    put(engine, layer, frame)
    with engine.connect() as connection:
        out = export(connection, layer)
    assert out.crs.to_epsg() == 4326
    assert out.geometry.to_wkb().tolist() == frame.geometry.to_wkb().tolist()
    for column in frame.columns.drop("geometry"):
        for given, got in zip(frame[column], out[column], strict=True):
            assert (pd.isna(given) and pd.isna(got)) or given == got, column
    assert put(engine, layer, out).unchanged == 4


def test_an_empty_layer_is_an_empty_table(engine, layer):
    with engine.connect() as connection:
        assert len(read(connection, layer)) == 0
        assert len(export(connection, layer)) == 0


def test_layers_count_what_is_in_force_now(engine, layer):
    def areas():
        with engine.connect() as connection:
            return {row["name"]: row["areas"] for row in layers(connection)}[layer]

    assert areas() == 0
    put(engine, layer, boxes(3))
    put(engine, layer, boxes(1), replace=True, valid_from=NOW - DAY)
    assert areas() == 1
    put(engine, layer, boxes(5), valid_from=NOW + DAY)
    assert areas() == 1


def test_layers_come_in_the_order_of_the_tree(engine, layer):
    with engine.connect() as connection:
        names = [row["name"] for row in layers(connection)]
    assert names[:5] == ["city", "district", "town", "village", "grid"]
    assert layer in names[5:]
