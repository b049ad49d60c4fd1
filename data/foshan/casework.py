"""Cases of the demonstration at every stage, taken there step by step as people would.

Nobody who reports them exists: they have no names, and a telephone number that is given to nobody.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, text

from data import case_merging, cases, parties, questions, reports, return_visits
from data.cases import Move
from data.foshan import joint_work
from data.parties import Person
from data.reports import NewReport
from data.return_visits import REPORTER, Answer

ACTOR = "演示受理台"
SOURCE = "casework"
TIMES = 4  # of each way, in different places
PHONE = "139-0000-{:04}"
LINK = "随手拍小程序"  # whoever is asked by the link that they follow


class Way(NamedTuple):
    """What is reported, and what is done with it: actions with their facts."""

    kind: str | None
    said: str
    steps: tuple[tuple[str, dict[str, Any]], ...] = ()
    together: Callable[[Connection, int], None] | None = None  # with others, after that
    reporter: str | None = PHONE  # how they are asked; null: nobody can be


def _do(action: str, reason: str = "", **facts: Any) -> tuple[str, dict[str, Any]]:
    return action, {"reason": reason, **facts}


def _asked(connection: Connection, case: int) -> None:
    questions.ask(
        connection, case, "漏水大约从什么时候开始？请补充照片", actor=ACTOR, at=datetime.now(UTC)
    )


def _answered(said: Answer) -> Callable[[Connection, int], None]:
    def answer(connection: Connection, case: int) -> None:
        return_visits.answer(connection, case, said, actor=REPORTER, at=datetime.now(UTC))

    return answer


_BEGUN = (_do("accept"), _do("start"))
NOISE = Way("噪音扰民", "工地半夜施工", (*_BEGUN, _do("resolve", "已责令整改，夜间停工")))
WAYS = (
    Way(None, "巷口有积水，请来看看"),
    Way("邻里纠纷", "楼上漏水，赔偿谈不拢"),
    Way("邻里纠纷", "楼上漏水，物业称无法入户", _BEGUN, _asked),
    Way("占道经营", "夜市占道，消防车无法通行", (_do("decline", "属住建管理，非本单位职责"),)),
    Way("消费纠纷", "商家拒绝退还预付卡余额", (_do("accept"),)),
    Way("路面破损", "路面塌陷，已围挡", _BEGUN),
    Way("劳资纠纷", "二十余名工人工资未发", _BEGUN, joint_work.called),
    Way("土地纠纷", "两村因机耕路通行权起争执", (
        *_BEGUN, _do("escalate", "涉及两个村，网格内无法解决"))),
    Way("土地纠纷", "机耕路塌陷，两村各执一词", _BEGUN, joint_work.settled),
    Way("邻里纠纷", "阳台搭建遮挡采光", _BEGUN, joint_work.referred),
    Way("物业纠纷", "电梯停运一周，业主聚集", (
        _do("accept"), _do("transfer", "维修资金由住建审批", organisation="housing-440600"))),
    NOISE,
    Way("垃圾堆放", "楼道杂物无人清运", (
        *_BEGUN, _do("resolve", "已清运"), _do("reopen", "第二天又堆满"))),
    Way("井盖缺失", "井盖缺失", (*_BEGUN, _do("resolve", "已补装井盖")), reporter=None),
    Way("路灯故障", "路灯不亮", (*_BEGUN, _do("resolve", "已更换灯具")), reporter=LINK),
    Way("违规停车", "车辆占用消防通道", (*_BEGUN, _do("resolve", "已通知车主驶离"))),
    Way("排水堵塞", "排水口堵塞", (*_BEGUN, _do("resolve", "已疏通")),
        _answered(Answer(True, 5, "处理得很快")), LINK),
    Way("树木倒伏", "树木倒伏压住围墙", (*_BEGUN, _do("resolve", "已清理")),
        _answered(Answer(False, 2, "树移走了，围墙没有修")), LINK),
)  # fmt: skip


def is_missing(engine: Engine) -> bool:
    """Whether none of these cases is there."""
    with engine.connect() as connection:
        asked = text("SELECT NOT EXISTS (SELECT FROM report WHERE source = :source)")
        return bool(connection.execute(asked, {"source": SOURCE}).scalar_one())


def load(engine: Engine) -> None:
    """Open the cases and take each along its way; two of one trouble are merged."""
    with engine.begin() as connection:
        places = _places(connection, TIMES * len(WAYS))
        for number, place in enumerate(places):
            _take(connection, number, WAYS[number % len(WAYS)], place)
        one, two = (_open(connection, f"twin-{n}", NOISE, places[0]) for n in (1, 2))
        case_merging.merge(connection, two, one, Move("merge", ACTOR, reason="同一工地"))


def _places(connection: Connection, count: int) -> Sequence[Any]:
    asked = text(
        'SELECT "text" AS address, ST_X(geom) AS lon, ST_Y(geom) AS lat FROM address'
        " WHERE source = 'demonstration' ORDER BY md5(id::text) LIMIT :count"
    )
    return connection.execute(asked, {"count": count}).all()


def _open(connection: Connection, name: str, way: Way, place: Any) -> int:
    new = NewReport(
        SOURCE, name, kind=way.kind, description=way.said, address=place.address,
        x=place.lon, y=place.lat, datum="wgs84", channel="walk-in",
    )  # fmt: skip
    number, _ = reports.submit(connection, new)
    if way.reporter is not None:
        reporter = Person(contact=LINK) if way.reporter == LINK else Person(phone=_phone(number))
        parties.came_with(connection, number, reporter, actor=ACTOR)
    return number


def _phone(number: int) -> str:
    return PHONE.format(number % 10_000)


def _take(connection: Connection, number: int, way: Way, place: Any) -> None:
    case = _open(connection, f"case-{number}", way, place)
    for action, facts in way.steps:
        cases.move(connection, case, Move(action, ACTOR, **facts))
    if way.together:
        way.together(connection, case)
