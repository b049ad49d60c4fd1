"""Resources: given once or again, with a home that is no guess, on leave, withdrawn, listed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from data import areas_named, catalogue, resource_lists, resources
from data.catalogue import Catalogue, CatalogueError
from data.reports import ReportError
from data.resource_lists import Filter
from data.resources import NewResource, Outcome, ResourceError
from data.words import Words
from gis import datum
from tests import people
from tests.api.conftest import GRIDS, SCHOOL, SOUTH, STEP, VILLAGES, WEST, build

NOW = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)  # a Wednesday, 10 in the morning in Foshan


@pytest.fixture(scope="module", autouse=True)
def _town(engine):
    build(engine)


def somebody(number="1", **facts):
    usual = {"kind": "grid_lead", "name": "第001网格 网格长", "area": GRIDS[0]}
    return NewResource("roster", number, **{**usual, **facts})


def save(connection, *args, **facts):
    return resources.save(connection, somebody(*args, **facts))[0]


def events(connection):
    rows = connection.execute(text("SELECT kind, resource_id FROM event ORDER BY id"))
    return [tuple(row) for row in rows]


def assign(connection, resource, state="sent"):
    """A task in a state, as dispatching makes it."""
    report = connection.execute(
        text(
            "INSERT INTO report (source, external_id, layer, method, at, triage) VALUES"
            " ('t', gen_random_uuid()::text, 'grid', 'none', now(), 'no_place') RETURNING id"
        )
    ).scalar_one()
    connection.execute(text("INSERT INTO incident (id) VALUES (:id)"), {"id": report})
    sent = text("INSERT INTO dispatch (incident_id, actor) VALUES (:id, 't') RETURNING id")
    dispatch = connection.execute(sent, {"id": report}).scalar_one()
    connection.execute(
        text(
            "INSERT INTO assignment (dispatch_id, incident_id, resource_id, state)"
            " VALUES (:dispatch, :incident, :resource, :state)"
        ),
        {"dispatch": dispatch, "incident": report, "resource": resource, "state": state},
    )


def seen_at(connection, resource, lon, lat, at):
    connection.execute(
        text(
            "INSERT INTO position (resource_id, at, geom, accuracy_m)"
            " VALUES (:id, :at, ST_SetSRID(ST_MakePoint(:lon, :lat), 4326), 12)"
        ),
        {"id": resource, "lon": lon, "lat": lat, "at": at},
    )


# --- coming in ------------------------------------------------------------------------------------


def test_names_and_titles_are_understood_and_stored_as_names(connection):
    catalogue.save(
        connection,
        Catalogue(organisations=[{"code": "j", "name": "禅城区司法局", "role": "six"}]),
    )
    number = save(
        connection, kind="调解员", organisation="禅城区司法局", mode="电动车", shift="白班",
        skills=["劳动争议", "Marriage and family", "labour"], capacity=3,
        areas=[VILLAGES[0], "beats:B1", GRIDS[0]], attributes={"徽章": 7},
    )  # fmt: skip
    row = resources.get(connection, number, NOW)
    assert (row["kind"], row["organisation"], row["mode"]) == ("mediator", "j", "moped")
    assert row["skills"] == ["family", "labour"]
    assert row["attributes"] == {"徽章": 7}
    assert [(a["layer"], a["code"]) for a in row["answers_for"]] == [
        ("beats", "B1"), ("grid", GRIDS[0]), ("village", VILLAGES[0]),
    ]  # fmt: skip
    assert (row["area"], row["area_name"], row["state"]) == (GRIDS[0], "第1网格", "free")


def test_given_again_it_is_brought_up_to_date_and_the_same_is_left_alone(connection):
    number, outcome = resources.save(connection, somebody(areas=[GRIDS[0], GRIDS[1]]))
    assert outcome is Outcome.CREATED
    again = somebody(areas=[GRIDS[1], GRIDS[0]])
    assert resources.save(connection, again) == (number, Outcome.UNCHANGED)
    changed = somebody(areas=[GRIDS[2]], name="other")
    assert resources.save(connection, changed) == (number, Outcome.CHANGED)
    row = resources.get(connection, number)
    assert (row["name"], [a["code"] for a in row["answers_for"]]) == ("other", [GRIDS[2]])
    areas_alone = somebody(areas=[], name="other")
    assert resources.save(connection, areas_alone) == (number, Outcome.CHANGED)
    kinds = [kind for kind, _ in events(connection)]
    assert kinds == ["resource.created", "resource.changed", "resource.changed"]


def test_what_people_set_survives_an_update(connection):
    number = save(connection)
    resources.set_status(connection, number, "busy", actor="t")
    resources.save(connection, somebody(name="other"))
    assert resources.get(connection, number)["status"] == "busy"


def test_capacity_never_falls_below_the_tasks_under_way(connection):
    number = save(connection, capacity=2)
    assign(connection, number)
    assign(connection, number)
    assert resources.save(connection, somebody(capacity=1)) == (number, Outcome.UNCHANGED)
    fewer = somebody(capacity=1, name="other")
    assert resources.save(connection, fewer) == (number, Outcome.CHANGED)
    assert resources.get(connection, number)["capacity"] == 2


def test_sixteen_who_give_the_same_make_one(engine):
    def give(n):
        with engine.begin() as connection:
            return resources.save(connection, somebody("at once", name=f"name {n}"))

    with ThreadPoolExecutor(16) as pool:
        done = list(pool.map(give, range(16)))
    assert len({number for number, _ in done}) == 1
    outcomes = [outcome for _, outcome in done]
    assert outcomes.count(Outcome.CREATED) == 1 and outcomes.count(Outcome.CHANGED) == 15
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM event"))
        connection.execute(text("DELETE FROM resource"))


@pytest.mark.parametrize(
    ("facts", "field", "words"),
    [
        ({"kind": "cook"}, "kind", "no kind of resource 'cook'; there are.*grid_lead 网格长"),
        ({"skills": ["labour", "juggling"]}, "skills", "no skill 'juggling'; there are.*labour"),
        ({"shift": "never"}, "shift", "no shift 'never'; there are.*day 白班"),
        ({"organisation": "moon"}, "organisation", "no organisation 'moon'"),
        ({"mode": "rocket"}, "mode", "no way of moving 'rocket'; there are foot 步行"),
        ({"capacity": 0}, "capacity", "from 1 to"),
        ({"area": "999"}, "area", "no area '999' in force"),
        ({"areas": ["beats:B2"]}, "area", "no area 'beats:B2' in force"),
        ({"area": None}, "home", "it has no home: give the code of an area"),
        ({"area": None, "address": "nowhere 1"}, "home", "gazetteer has no such address"),
    ],
)
def test_what_is_not_known_is_named_with_what_there_is(connection, facts, field, words):
    with pytest.raises(ResourceError, match=words) as caught:
        save(connection, **facts)
    assert caught.value.field == field
    assert connection.execute(text("SELECT count(*) FROM resource")).scalar_one() == 0


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ({"x": 23.0, "y": 113.1, "datum": "wgs84"}, "swapped"),
        ({"x": 0.0, "y": 0.0, "datum": "wgs84"}, "null_island"),
        ({"x": -74.0, "y": 40.7, "datum": "gcj02"}, "wrong_datum"),
        ({"x": 113.1, "y": 23.0, "datum": "moon"}, "unsupported_datum"),
        ({"x": 113.1, "y": 23.0}, "unknown_datum"),
    ],
)
def test_positions_that_cannot_be_right_are_refused(connection, place, reason):
    with pytest.raises(ReportError) as caught:
        save(connection, area=None, **place)
    assert caught.value.reason == reason


def test_homes_by_position_address_and_area(connection):
    lon, lat = WEST + 0.2 * STEP, SOUTH + 0.2 * STEP
    x, y = (float(v) for v in datum.from_wgs84(lon, lat, "gcj02"))
    by_position = save(connection, "p", area=None, x=x, y=y, datum="gcj02")
    by_source = NewResource("gaode", "s", "mediator", "m", x=x, y=y)  # whose datum is known
    for number in (by_position, resources.save(connection, by_source)[0]):
        row = resources.get(connection, number)
        assert (row["home_lon"], row["home_lat"]) == pytest.approx((lon, lat), abs=1e-6)
        assert (row["area_layer"], row["area"]) == ("grid", GRIDS[0])
    inside = save(connection, "d", area=None, x=WEST + STEP / 2, y=SOUTH + STEP / 2, datum="wgs84")
    assert resources.get(connection, inside)["area"] == SCHOOL
    row = resources.get(connection, save(connection, "a", area=None, address="季华五路10号"))
    assert (row["home_lon"], row["area"]) == (WEST + 2.5 * STEP, GRIDS[4])
    row = resources.get(connection, save(connection, "v", area=VILLAGES[1]))
    assert (row["area"], row["home_lon"] > WEST + 2 * STEP) == (VILLAGES[1], True)
    far = save(connection, "f", area=None, x=112.0, y=22.0, datum="wgs84")
    assert resources.get(connection, far)["area"] is None


def test_a_code_of_several_layers_wants_its_layer(connection):
    connection.execute(text("INSERT INTO layer (name, title, title_en) VALUES ('twin', '', '')"))
    connection.execute(text(f"INSERT INTO area (layer, code) VALUES ('twin', '{GRIDS[0]}')"))
    connection.execute(
        text("""
        INSERT INTO area_version (area_id, name, geom, valid, recorded)
        SELECT t.id, 'twin', v.geom, v.valid, v.recorded
        FROM area t, area a JOIN area_version v ON v.area_id = a.id
        WHERE t.layer = 'twin' AND a.layer = 'grid' AND a.code = t.code
        """)
    )
    found = areas_named.find(connection, [GRIDS[0], f"twin:{GRIDS[0]}"])
    assert f"write one of grid:{GRIDS[0]}, twin:{GRIDS[0]}" in found[GRIDS[0]]
    assert found[f"twin:{GRIDS[0]}"].layer == "twin"


# --- what happens to them -------------------------------------------------------------------------


def test_status_is_what_was_said_last(connection):
    number = save(connection)
    assert resources.set_status(connection, number, "off", actor="t")
    assert not resources.set_status(connection, number, "off", actor="t")
    assert resources.get(connection, number)["state"] == "off"
    with pytest.raises(ResourceError, match="available, busy, off"):
        resources.set_status(connection, number, "asleep", actor="t")
    with pytest.raises(ResourceError, match="no resource 999"):
        resources.set_status(connection, 999, "off", actor="t")
    assert events(connection)[1:] == [("resource.status", number)]


def test_who_is_at_work_in_a_deployment_is_deployed_until_it_is_over(connection):
    number = save(connection)
    now = connection.execute(text("SELECT now()")).scalar_one()
    people.deploy(connection, number, now - timedelta(hours=3), now - timedelta(hours=2))
    assert resources.get(connection, number)["state"] == "free"
    people.deploy(connection, number, now - timedelta(hours=1), now + timedelta(hours=1))
    assert resources.get(connection, number)["state"] == "deployed"
    assert (ids(connection, state="deployed"), ids(connection, state="free")) == ([number], [])
    assign(connection, number)
    assert resources.get(connection, number)["state"] == "sent"
    assert ids(connection, state="deployed") == []


def test_the_state_is_the_furthest_task(connection):
    number = save(connection, capacity=4)
    for state in ("done", "sent", "on_the_way", "accepted"):
        assign(connection, number, state)
    row = resources.get(connection, number)
    assert (row["state"], row["load"]) == ("on_the_way", 3)
    assert [task["state"] for task in row["tasks"]] == ["sent", "on_the_way", "accepted"]
    listed = {state: ids(connection, state=state) for state in resource_lists.STATES}
    assert listed.pop("on_the_way") == [number]
    assert not any(listed.values())
    resources.set_status(connection, number, "busy", actor="t")
    assert resources.get(connection, number)["state"] == "busy"
    assert ids(connection, state="busy") == [number]


def test_leave_begins_ends_and_is_taken_back(connection):
    number = save(connection)
    day = timedelta(days=1)
    now = resources.add_leave(connection, number, NOW - day, None, actor="t", reason="ill")
    assert resources.add_leave(connection, number, NOW - day, None, actor="t") == now
    later = resources.add_leave(connection, number, NOW + day, NOW + 2 * day, actor="t")
    assert [x["id"] for x in resources.get(connection, number, NOW)["leaves"]] == [now, later]
    resources.end_leave(connection, number, now, NOW, actor="t")
    resources.end_leave(connection, number, later, NOW, actor="t")
    assert resources.get(connection, number, NOW)["leaves"] == []
    (kept,) = resources.get(connection, number, NOW - day)["leaves"]
    assert (kept["reason"], datetime.fromisoformat(kept["until"])) == ("ill", NOW)
    with pytest.raises(ResourceError, match="no leave"):
        resources.end_leave(connection, number, later, NOW, actor="t")
    with pytest.raises(ResourceError, match="ends before it begins"):
        resources.add_leave(connection, number, NOW, NOW, actor="t")


def test_whoever_has_tasks_is_not_withdrawn(connection):
    number = save(connection)
    assign(connection, number)
    with pytest.raises(ResourceError, match="1 task under way") as caught:
        resources.withdraw(connection, number, actor="t")
    assert caught.value.reason == "busy_resource"
    connection.execute(text("UPDATE assignment SET state = 'done'"))
    assert resources.withdraw(connection, number, actor="t")
    assert not resources.withdraw(connection, number, actor="t")
    with pytest.raises(ResourceError, match="was withdrawn"):
        resources.set_status(connection, number, "off", actor="t")
    assert ids(connection) == []
    assert ids(connection, withdrawn=True) == [number]
    assert resources.save(connection, somebody()) == (number, Outcome.CHANGED)
    assert ids(connection) == [number]


@pytest.mark.parametrize(
    ("shift", "at", "on_duty"),
    [
        (None, "2026-03-04T03:00+08:00", True),
        ("day", "2026-03-04T08:00+08:00", True),
        ("day", "2026-03-04T20:00+08:00", False),
        ("night", "2026-03-04T00:00+08:00", True),
        ("office", "2026-03-04T12:30+08:00", False),
        ("office", "2026-03-04T17:29+08:00", True),
        ("office", "2026-03-07T10:00+08:00", False),  # a Saturday
        ("watch_1", "2024-01-05T08:00+08:00", True),
        ("watch_1", "2024-01-06T07:59+08:00", True),
        ("watch_1", "2024-01-06T08:00+08:00", False),
        ("watch_2", "2023-12-29T08:00+08:00", True),  # before its anchor
    ],
)
def test_shifts_are_in_the_citys_time(connection, shift, at, on_duty):
    number = save(connection, shift=shift)
    assert resources.get(connection, number, datetime.fromisoformat(at))["on_duty"] is on_duty


# --- lists ----------------------------------------------------------------------------------------


def ids(connection, **asked):
    return [row["id"] for row in resource_lists.page(connection, Filter(**asked))]


def area_id(connection, code):
    return areas_named.find(connection, [code])[code].id


def test_an_area_has_those_at_home_in_it_or_below_and_those_who_answer_for_it(connection):
    in_grid = save(connection, "1", area=GRIDS[0])
    in_village = save(connection, "2", area=VILLAGES[0])
    elsewhere = save(connection, "3", area=GRIDS[4], areas=[GRIDS[0], "beats:B1"])
    answers = save(connection, "4", area=GRIDS[5], areas=[VILLAGES[0]])
    assert ids(connection, area_id=area_id(connection, GRIDS[0])) == [in_grid, elsewhere]
    found = ids(connection, area_id=area_id(connection, VILLAGES[0]))
    assert found == [in_grid, in_village, answers]
    assert ids(connection, area_id=area_id(connection, "440600000000")) == [
        in_grid, in_village, elsewhere, answers,
    ]  # fmt: skip
    assert ids(connection, area_id=area_id(connection, "beats:B1")) == [elsewhere]


def test_a_box_has_those_at_home_or_last_seen_there(connection):
    west = save(connection, "1", area=GRIDS[0])
    east = save(connection, "2", area=GRIDS[5])
    box = (WEST, SOUTH, WEST + STEP, SOUTH + STEP)
    assert ids(connection, box=box) == [west]
    seen_at(connection, east, WEST + STEP / 2, SOUTH + STEP / 2, NOW - timedelta(minutes=2))
    assert ids(connection, box=box) == [west, east]
    (row,) = resource_lists.page(connection, Filter(box=box), after=west, now=NOW)
    assert (row["age_s"], row["accuracy_m"], row["lon"]) == (120, 12, WEST + STEP / 2)


def test_questions_are_taken_together_and_pages_follow_on(connection):
    catalogue.save(
        connection, Catalogue(organisations=[{"code": "o", "name": "o", "role": "other"}])
    )
    made = [
        save(connection, str(i), kind="mediator" if i % 2 else "staff", area=GRIDS[i % 2],
             skills=["labour"] if i % 3 else [], organisation="o" if i < 9 else None)
        for i in range(12)
    ]  # fmt: skip
    grid = area_id(connection, GRIDS[1])
    box = (WEST, SOUTH, WEST + 3 * STEP, SOUTH + STEP)
    asked = {"kind": "mediator", "skill": "labour", "organisation": "o", "area_id": grid,
             "box": box, "state": "free"}  # fmt: skip
    assert ids(connection, **asked) == [made[1], made[5], made[7]]
    for name in asked:
        assert set(ids(connection, **asked)) <= set(ids(connection, **{name: asked[name]}))
    seen, after = [], 0
    while rows := resource_lists.page(connection, Filter(), after=after, limit=5):
        seen += [row["id"] for row in rows]
        after = seen[-1]
    assert seen == made


def test_words_of_a_list_are_names_or_titles(connection):
    found = resource_lists.named(
        connection, area=GRIDS[0], layer="grid", kind="网格长", skill="Labour disputes"
    )
    assert (found.kind, found.skill, found.area_id) == (
        "grid_lead", "labour", area_id(connection, GRIDS[0]),
    )  # fmt: skip
    with pytest.raises(ResourceError, match="no area 'beats:4406"):
        resource_lists.named(connection, area=GRIDS[0], layer="beats")
    with pytest.raises(ValueError, match="no state 'asleep'"):
        resource_lists.page(connection, Filter(state="asleep"))


# --- the catalogue --------------------------------------------------------------------------------


def test_a_catalogue_is_added_changed_and_the_same_is_left_alone(connection):
    hours = [{"days": [1, 7], "from": "22:00", "to": "06:00"}]
    given = {
        "kinds": [{"name": "dogs", "title": "警犬队", "title_en": "Dogs", "form": "team"}],
        "skills": [{"name": "divers", "title": "潜水", "title_en": "Diving"}],
        "shifts": [{"name": "late", "title": "夜", "title_en": "Late", "hours": hours}],
        "organisations": [
            {"code": "b", "name": "B", "role": "six", "parent": "a"},
            {"code": "a", "name": "A", "role": "six", "area": VILLAGES[0]},
        ],
    }
    counts = {"kinds": 1, "skills": 1, "shifts": 1, "organisations": 2}
    assert catalogue.save(connection, Catalogue(**given)) == counts
    assert not any(catalogue.save(connection, Catalogue(**given)).values())
    given["kinds"][0]["title_en"] = "Police dogs"
    assert catalogue.save(connection, Catalogue(**given))["kinds"] == 1
    listed = catalogue.listing(connection)
    late = next(shift for shift in listed["shifts"] if shift["name"] == "late")
    assert late["minutes"] == [[0, 360], [1320, 1800], [9960, 10080]]  # over the week's end
    assert (late["cycle_days"], late["anchor"]) == (7, date(2024, 1, 1))
    assert [(o["code"], o["parent"], o["area"]) for o in listed["organisations"]] == [
        ("a", None, VILLAGES[0]), ("b", "a", None), ("desk", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("section", "entry", "words"),
    [
        ("organisations", {"code": "x", "name": "X", "role": "six", "parent": "y"}, "parent 'y'"),
        ("organisations", {"code": "x", "name": "X", "role": "six", "area": "9"}, "no area '9'"),
        (
            "shifts",
            {"name": "s", "title": "s", "title_en": "s", "cycle_days": 2,
             "hours": [{"days": [3], "from": "8:00", "to": "9:00"}]},
            "day 3 of a cycle of 2",
        ),
    ],
)  # fmt: skip
def test_a_catalogue_that_cannot_be_is_refused(connection, section, entry, words):
    with pytest.raises(CatalogueError, match=words):
        catalogue.save(connection, Catalogue(**{section: [entry]}))


def test_many_words_are_answered_with_the_nearest():
    words = Words("organisation", [(f"court-{n:03}", (f"第{n}法庭",)) for n in range(100)])
    said = words.fault("court-0425")
    assert "court-042" in said and "more, which GET /api/v1/catalogue lists" in said
    assert len(said) < 300
    twins = Words("skill", [("a", ("同名",)), ("b", ("同名",))])
    assert twins.find("同名") is None and "give one of a, b" in twins.fault("同名")
