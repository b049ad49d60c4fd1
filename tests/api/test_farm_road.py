"""The story of the farm road, over HTTP: in the demonstration's Gaoming, each from their own desk.

Two natural villages of Baidong quarrel over a farm road. Cadres and grid workers step in and report
it to the town's centre, which blows its whistle; the departments come, look at the road together
and plan; the villages agree. In the end whoever reported it is asked whether it is solved.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, text

from api.main import create_app
from data import accounts
from data.access import ROLES
from data.foshan import load

API = "/api/v1"
GAOMING, GENGHE, BAIDONG = "440608", "440608108", "440608108212"
CENTRE, DISTRICT = f"centre-{GENGHE}", f"justice-{GAOMING}"
POLICE, JUSTICE, COURT, HOUSING = DEPARTMENTS = (
    f"police-{GENGHE}", f"justice-{GAOMING}", f"court-{GAOMING}", f"housing-{GAOMING}",
)  # fmt: skip
HANDLING = ("case.handle", CENTRE)


@dataclass(frozen=True)
class Desk:
    """Somebody with a token of their own: what they send, and what they see."""

    client: TestClient
    token: str | None = None

    def ask(self, method: str, path: str, body: Any = None, refused: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self.client.request(method, f"{API}{path}", json=body, headers=headers)
        assert answer.is_success == (refused is None), answer.text
        told = answer.json()
        assert refused is None or told["type"] == f"/problems/{refused}", answer.text
        return told

    def does(self, path: str, refused: str | None = None, **body: Any) -> Any:
        return self.ask("POST", path, body, refused)

    def sees(self, path: str) -> Any:
        return self.ask("GET", path)


@dataclass(frozen=True)
class Gaoming:
    """Everybody who has a part in the story, and the place where it happens."""

    villager: Desk
    grid_worker: Desk
    centre: Desk
    departments: dict[str, Desk]
    road: dict[str, Any]


_ROAD = text("""
SELECT ST_X(p) AS lon, ST_Y(p) AS lat FROM area a JOIN area_version v ON v.area_id = a.id,
       LATERAL ST_PointOnSurface(v.geom) p
WHERE a.layer = 'grid' AND starts_with(a.code, :village) ORDER BY a.code LIMIT 1
""")
_AREA = text("SELECT id FROM area WHERE layer = :layer AND code = :code")


@pytest.fixture(scope="module")
def gaoming(database_url: str, engine: Engine) -> Iterator[Gaoming]:
    """The district as the demonstration loads it, and a desk for each of them."""
    load.load(engine, districts=[GAOMING])
    client = TestClient(create_app(database_url))
    with engine.begin() as connection:

        def desk(role: str, layer: str, code: str, organisation: str | None = None) -> Desk:
            return Desk(client, _token(connection, role, layer, code, organisation))

        everybody = Gaoming(
            Desk(client),
            desk("grid_worker", "village", BAIDONG),
            desk("centre_chief", "town", f"{GENGHE}000", CENTRE),
            {
                code: desk("dispatcher", *_home(code), code)
                for code in (*DEPARTMENTS, DISTRICT)
            },
            {**connection.execute(_ROAD, {"village": BAIDONG}).mappings().one(), "datum": "wgs84"},
        )  # fmt: skip
    with client:
        yield everybody


def _home(organisation: str) -> tuple[str, str]:
    code = organisation.partition("-")[2]
    return "town" if len(code) == 9 else "district", f"{code:0<12}"


def _token(
    connection: Connection, role: str, layer: str, code: str, organisation: str | None
) -> str:
    area = connection.execute(_AREA, {"layer": layer, "code": code}).scalar_one()
    _, secret = accounts.add_token(
        connection, organisation or role, ROLES[role], actor="test", area_id=area,
        organisation=organisation,
    )  # fmt: skip
    return secret


# --- what is looked at on the way -----------------------------------------------------------------


@dataclass
class Story:
    """The case of the road as it goes on."""

    at: Gaoming
    case: int = 0
    link: str = ""
    whistle: str = ""

    def stands(self) -> tuple[str, int, str]:
        """The stage, the level, and who answers."""
        case = self.at.centre.sees(f"/cases/{self.case}")
        return case["stage"], case["level"], case["organisation"]["code"]

    def running(self) -> set[tuple[str, str]]:
        """Which clocks run, and for whom."""
        shown = self.at.centre.sees(f"/incidents/{self.case}/clocks")["clocks"]
        return {(c["name"], c["organisation"]) for c in shown if c["state"] == "running"}

    def told(self) -> list[str]:
        """What the timeline says was done, the people who were sent apart."""
        entries = self.at.centre.sees(f"/cases/{self.case}/timeline")["entries"]
        return [entry["action"] for entry in entries if entry["step"] is not None]

    def last(self) -> dict[str, Any]:
        return dict(self.at.centre.sees(f"/cases/{self.case}/timeline")["entries"][-1])

    def shown(self) -> dict[str, Any]:
        """What the villager sees who follows the link."""
        return dict(self.at.villager.sees(f"/follow/{self.link}"))


# --- the story ------------------------------------------------------------------------------------


def test_the_farm_road_is_settled(gaoming: Gaoming) -> None:
    story = told_until_the_villager_is_asked(gaoming)

    seen = gaoming.villager.does(
        f"/follow/{story.link}/answer", solved=True, satisfaction=5, comment="路通了"
    )

    assert (seen["stage"], seen["answer"]["solved"]) == ("closed", True)
    assert story.stands() == ("closed", 2, CENTRE)
    assert story.running() == set()
    assert (story.last()["action"], story.last()["actor"]) == ("close", "reporter")
    assert story.last()["reason"] == "报告人确认已经解决"
    assert story.told() == [
        "open", "triage", "assign", "accept", "start", "escalate", "assign", "accept", "start",
        "consult", "start", "resolve", "visit", "close",
    ]  # fmt: skip
    case = gaoming.centre.sees(f"/cases/{story.case}")
    assert (case["solved_level"], case["reopened"], case["allowed"]) == (2, 0, ["note", "reopen"])


def test_it_is_not_settled_for_the_villager_and_goes_to_the_level_above(gaoming: Gaoming) -> None:
    story = told_until_the_villager_is_asked(gaoming)

    seen = gaoming.villager.does(
        f"/follow/{story.link}/answer", solved=False, satisfaction=2, comment="路又被挡上了"
    )

    assert (seen["stage"], seen["result"], seen["asked"]) == ("reopened", None, False)
    assert story.stands() == ("triaged", 1, DISTRICT)  # from the town to the district
    assert story.running() == {("case.handle", DISTRICT)}
    assert (story.last()["action"], story.last()["reason"]) == ("reopen", "路又被挡上了")

    district = gaoming.departments[DISTRICT]
    steps = f"/cases/{story.case}/steps"
    gaoming.departments[HOUSING].does(steps, "case-not-accountable", action="assign")
    for action in ("assign", "accept", "start"):
        district.does(steps, action=action)
    district.does(steps, action="resolve", reason="区司法局主持复调，障碍已清除")
    assert story.stands() == ("return_visit", 1, DISTRICT)
    seen = gaoming.villager.does(f"/follow/{story.link}/answer", solved=True, satisfaction=4)
    assert seen["stage"] == "closed"
    case = gaoming.centre.sees(f"/cases/{story.case}")
    assert (case["reopened"], case["solved_level"]) == (1, 1)
    assert story.told()[-8:] == [
        "visit", "reopen", "assign", "accept", "start", "resolve", "visit", "close",
    ]  # fmt: skip


def told_until_the_villager_is_asked(gaoming: Gaoming) -> Story:
    story = Story(gaoming)
    the_villages_quarrel(story)
    the_village_cannot_settle_it(story)
    the_centre_blows_its_whistle(story)
    the_departments_come_and_plan(story)
    the_villages_agree(story)
    the_centre_resolves_it_and_the_villager_is_asked(story)
    return story


def the_villages_quarrel(story: Story) -> None:
    """A villager tells the grid worker, who reports it with the number under which to ask back."""
    told = story.at.grid_worker.does(
        "/reports", source="grid-worker", description="两个自然村因机耕路通行权起争执",
        reporter={"phone": "139 0000 0001", "contact": "白洞村村民"}, **story.at.road,
    )  # fmt: skip
    story.case, story.link = int(told["id"]), told["follow"].rpartition("/")[2]
    assert told["placement"]["area"]["code"].startswith(BAIDONG)
    assert story.stands() == ("received", 4, CENTRE)
    assert story.running() == {HANDLING}
    assert story.shown()["words"]["zh"] == "已收到"


def the_village_cannot_settle_it(story: Story) -> None:
    """The centre names the matter; it begins with the village, which gives it up to the town."""
    steps, centre = f"/cases/{story.case}/steps", story.at.centre
    centre.does(steps, action="triage", kind="土地纠纷")
    assert story.stands() == ("triaged", 3, CENTRE)
    for action in ("assign", "accept", "start"):
        centre.does(steps, action=action)
    assert story.stands() == ("in_work", 3, CENTRE)
    informants = f"/incidents/{story.case}/candidates?limit=1&resource_kind=informant"
    [nearest] = centre.sees(informants)["candidates"]
    to_the_road = {"send": [{"resource": nearest["resource"]["id"]}]}
    sent = centre.does(f"/incidents/{story.case}/dispatches", **to_the_road)
    task = sent["assignments"][0]["id"]
    for state in ("accepted", "on_the_way", "on_scene", "done"):
        centre.does(f"/assignments/{task}/steps", state=state)
    centre.does(steps, action="escalate", reason="涉及两个自然村，村内调解不成")
    assert story.stands() == ("triaged", 2, CENTRE)
    for action in ("assign", "accept", "start"):
        centre.does(steps, action=action)
    assert story.running() == {HANDLING}  # the time of the villager, whoever works on it


def the_centre_blows_its_whistle(story: Story) -> None:
    """中心吹哨：four departments are called, and the times of each begin to run."""
    blown = story.at.centre.does(
        "/whistles", case=story.case, organisations=list(DEPARTMENTS), hard=True,
        what="两村因机耕路通行权起争执，请到场会商",
    )  # fmt: skip
    story.whistle = f"/whistles/{blown['number']}"
    assert story.stands() == ("consultation", 2, CENTRE)
    times = ("whistle.sign", "whistle.contact", "whistle.arrive_hard")
    assert story.running() == {HANDLING} | {(t, d) for t in times for d in DEPARTMENTS}


def the_departments_come_and_plan(story: Story) -> None:
    """部门报到：each signs, calls and comes; together they see the road, plan and do as planned."""
    at, whistle = story.at, story.at.centre.sees(story.whistle)
    calls = {call["organisation"]: call["id"] for call in whistle["calls"]}
    for code, desk in at.departments.items():
        if code in calls:
            for action in ("sign", "contact", "arrive"):
                desk.does(f"{story.whistle}/calls/{calls[code]}/steps", action=action)
    assert story.running() == {HANDLING}  # all came in time

    for code in DEPARTMENTS:
        at.centre.does(f"{story.whistle}/team", organisation=code, role="专班成员")
    now = datetime.now(UTC)
    at.centre.does(
        f"{story.whistle}/visits", at=now.isoformat(), place="机耕路口",
        finding="路面塌陷，界址不清", present=[CENTRE, *DEPARTMENTS], **at.road,
    )  # fmt: skip
    due = (now + timedelta(days=7)).isoformat()
    plan = {"测定界址，明确通行权": JUSTICE, "修复塌陷路段": HOUSING}
    for what, owner in plan.items():
        whistle = at.centre.does(f"{story.whistle}/plan", what=what, owner=owner, due=due)
    end = {"outcome": "两村同意共同修复、共同使用"}
    early = at.centre.does(f"{story.whistle}/end", "plan-open", **end)
    assert len(early["steps"]) == 2
    assert [(s["what"], s["owner"]) for s in whistle["plan"]] == list(plan.items())
    for step in whistle["plan"]:
        of = f"{story.whistle}/plan/{step['id']}/finish"
        at.departments[POLICE].does(of, "not-caller-of-whistle", result="不是我们的")
        at.departments[step["owner"]].does(of, result="已完成")

    ended = at.centre.does(f"{story.whistle}/end", **end)
    assert [call["state"] for call in ended["calls"]] == ["arrived"] * 4
    for call in calls.values():
        at.centre.does(f"{story.whistle}/calls/{call}/rating", rating=5, words="到场及时")
    assert story.stands() == ("in_work", 2, CENTRE)
    assert story.last()["reason"] == end["outcome"]


def the_villages_agree(story: Story) -> None:
    """What the two agreed is written down without names, and confirmed by the court (司法确认)."""
    agreements = f"/cases/{story.case}/agreements"
    story.at.centre.does(
        agreements, text="机耕路由两村共同使用、共同维护，修复费用各半。",
        parties=["甲村村民小组", "乙村村民小组"], signed=datetime.now(UTC).isoformat(),
    )  # fmt: skip
    story.at.centre.does(f"{agreements}/1/confirmation", court=COURT)
    decided = story.at.departments[COURT].ask("PUT", f"{agreements}/1/confirmation", {
        "decision": "confirmed", "at": datetime.now(UTC).isoformat(), "docket": "诉前调确1号",
    })  # fmt: skip
    holds = decided["agreements"][-1]
    assert (holds["confirmation"], holds["court"]) == ("confirmed", COURT)


def the_centre_resolves_it_and_the_villager_is_asked(story: Story) -> None:
    """It is not closed: whoever reported it is asked first, on the page that they follow."""
    steps = f"/cases/{story.case}/steps"
    result = "路已修复，两村达成协议并经司法确认"
    resolve = {"action": "resolve", "reason": result}
    refused = story.at.departments[POLICE].does(steps, "case-not-accountable", **resolve)
    assert refused["organisation"] == CENTRE
    story.at.centre.does(steps, **resolve)
    assert story.stands() == ("return_visit", 2, CENTRE)
    assert story.running() == set()
    [visit] = story.at.centre.sees(f"/cases/{story.case}/visits")["visits"]
    assert (visit["channel"], visit["ended"]) == ("phone", None)
    seen = story.shown()
    assert (seen["stage"], seen["asked"], seen["result"]) == ("asking", True, result)
