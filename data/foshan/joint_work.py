"""Whistles, referrals and agreements of the demonstration, taken along their way step by step."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from data import agreements, cases, referrals, whistle_end, whistle_lists, whistle_work, whistles
from data.agreements import Wording
from data.cases import By
from data.referrals import Offer
from data.whistle_work import Visit
from data.whistles import NewWhistle

ACTOR = "演示受理台"
_CENTRE = text("""
SELECT o.code FROM incident i, answers_for(NULL, i.area_id, 1, clock_timestamp()) a
JOIN organisation o ON o.id = a.organisation_id WHERE i.id = :id
""")


def called(connection: Connection, case: int) -> None:
    """Three departments are called: one is there, one has signed, one wishes not to come."""
    centre, near = _around(connection, case)
    codes = near("police", "justice", "urban")
    whistle, calls = _blow(connection, case, centre, codes, "请到场会商")
    for (code, call), action in zip(calls.items(), ("arrive", "sign", "decline"), strict=True):
        reason = "不属本单位职责" if action == "decline" else ""
        whistles.answer(connection, whistle, call, action, _by(connection, code), reason)


def settled(connection: Connection, case: int) -> None:
    """Two villages and a farm road: four departments come, visit, plan, finish and are rated."""
    centre, near = _around(connection, case)
    codes = near("police", "court", "justice", "urban")
    whistle, calls = _blow(connection, case, centre, codes, "两村因机耕路通行权起争执", hard=True)
    caller = _by(connection, centre)
    now = datetime.now(UTC)
    for code, call in calls.items():
        whistles.answer(connection, whistle, call, "arrive", _by(connection, code))
        whistle_work.join(connection, whistle, caller, organisation=code, role="专班成员")
    visit = Visit(now, "机耕路口", [centre, *codes], "路面塌陷，界址不清")
    whistle_work.visit(connection, whistle, visit, caller)
    step = whistle_work.plan(
        connection, whistle, caller, what="测定界址，恢复通行", owner=codes[2],
        due=now + timedelta(days=7),
    )  # fmt: skip
    whistle_work.finish(connection, whistle, step, _by(connection, codes[2]), "已恢复通行")
    whistle_end.end(connection, whistle, caller, "两村同意共同修复")
    for call in calls.values():
        whistle_end.rate(connection, whistle, call, caller, 5, "到场及时")
    wording = Wording("共同修复机耕路，费用各半。", ["甲村村民小组", "乙村村民小组"], now)
    number = agreements.agree(connection, case, wording, actor=ACTOR)
    agreements.apply(connection, case, number, court=codes[1], actor=ACTOR)


def referred(connection: Connection, case: int) -> None:
    """The court has accepted the case and mediates before any suit (诉调)."""
    centre, near = _around(connection, case)
    [court] = near("court")
    offer = Offer(case, "court", "out", "双方同意诉前调解", court)
    number = referrals.offer(connection, offer, _by(connection, centre))
    docket = f"诉前调{number}号"
    referrals.move(connection, number, "accept", _by(connection, court), docket=docket)


def _around(connection: Connection, case: int) -> tuple[str, Callable[..., list[str]]]:
    """The centre of the case's district, and what gives the codes of bodies of that district."""
    centre = str(connection.execute(_CENTRE, {"id": case}).scalar_one())
    district = centre.partition("-")[2]
    return centre, lambda *bodies: [f"{body}-{district}" for body in bodies]


def _by(connection: Connection, code: str) -> By:
    return By(ACTOR, int(cases.organisation(connection, code)["id"]))


def _blow(
    connection: Connection, case: int, centre: str, codes: list[str], what: str, hard: bool = False
) -> tuple[int, dict[str, int]]:
    """The number of a new whistle, and those of its calls by organisation."""
    new = NewWhistle(case, codes, what, hard)
    number = whistles.blow(connection, new, _by(connection, centre))
    calls = whistle_lists.get(connection, number)["calls"]
    return number, {call["organisation"]: call["id"] for call in calls}
