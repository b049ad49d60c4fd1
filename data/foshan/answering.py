"""What the demonstration's cases are about, and who answers for them: through the same doors.

Events and components stand in the classes of GB/T 30428.2; below them are the matters that the
demonstration's callers report, by the names that they use.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from data import areas_named, case_catalogue
from data.case_catalogue import Answering, Kind
from data.foshan.governance import SOURCE


class Matter(NamedTuple):
    """A kind of matter; `body` answers for it, in each town (`town`) or each district."""

    code: str
    title: str
    title_en: str
    class_: str
    body: str
    parent: str | None = None
    town: bool = False
    level: int = 4


CLASSES = (
    Matter("C1", "公用设施", "Public utilities", "component", "housing"),
    Matter("C2", "交通设施", "Traffic facilities", "component", "housing"),
    Matter("C3", "市容环境设施", "Street and sanitation facilities", "component", "urban"),
    Matter("C4", "园林绿化设施", "Parks and greenery", "component", "urban"),
    Matter("C5", "其他设施", "Other components", "component", "centre"),
    Matter("E1", "市容环境", "City appearance", "event", "urban"),
    Matter("E2", "宣传广告", "Advertising", "event", "urban"),
    Matter("E3", "施工管理", "Building works", "event", "housing"),
    Matter("E4", "街面秩序", "Street order", "event", "urban"),
    Matter("E5", "突发事件", "Sudden events", "event", "fire"),
    Matter("E6", "其他事件", "Other events", "event", "centre"),
    Matter("D", "矛盾纠纷", "Disputes", "dispute", "justice"),
    Matter("P", "警务", "Police matters", "police", "police"),
    Matter("I", "巡查隐患", "Inspections", "inspection", "fire"),
)


def _matter(title: str, title_en: str, class_: str, parent: str, body: str, **more: Any) -> Matter:
    """One that goes by its title, as the callers name it."""
    return Matter(title, title, title_en, class_, body, parent, **more)


MATTERS = (
    _matter("噪音扰民", "Noise", "event", "E3", "centre", town=True),
    _matter("占道经营", "Street trading", "event", "E4", "urban"),
    _matter("违规停车", "Illegal parking", "event", "E4", "police", town=True),
    _matter("垃圾堆放", "Dumped waste", "event", "E1", "urban"),
    _matter("树木倒伏", "Fallen trees", "event", "E5", "urban"),
    _matter("电动车违规充电", "Unsafe e-bike charging", "inspection", "I", "centre", town=True),
    _matter("消防隐患", "Fire hazards", "inspection", "I", "fire", level=3),
    _matter("出租屋隐患", "Hazards in rented homes", "inspection", "I", "police", town=True),
    _matter("路面破损", "Broken pavement", "component", "C2", "housing"),
    _matter("井盖缺失", "Missing manhole covers", "component", "C1", "housing"),
    _matter("路灯故障", "Street lights out", "component", "C1", "housing"),
    _matter("排水堵塞", "Blocked drains", "component", "C1", "housing"),
    _matter("物业纠纷", "Property management disputes", "dispute", "D", "housing", level=3),
    _matter("邻里纠纷", "Disputes between neighbours", "dispute", "D", "justice"),
    _matter("劳资纠纷", "Labour disputes", "dispute", "D", "labour", level=2),
    _matter("消费纠纷", "Consumer disputes", "dispute", "D", "market", level=3),
    _matter("土地纠纷", "Land disputes", "dispute", "D", "centre", town=True, level=3),
    _matter("烟花爆竹", "Fireworks", "police", "P", "police", town=True),
)


def load(connection: Connection, towns: Sequence[str]) -> None:
    """The catalogue and its rules, unless there is one; `towns` are their codes."""
    if case_catalogue.kinds(connection):
        return
    places = {"town": sorted({code[:9] for code in towns}),
              "district": sorted({code[:6] for code in towns})}  # fmt: skip
    spelt = [_area(layer, code) for layer, codes in places.items() for code in codes]
    found = areas_named.find(connection, spelt)
    for matter in (*CLASSES, *MATTERS):
        kind = Kind(
            matter.code, matter.title, matter.title_en, matter.class_, matter.parent, matter.level
        )
        case_catalogue.put_kind(connection, kind, actor=SOURCE)
        layer = "town" if matter.town else "district"
        for code in places[layer]:
            area = found[_area(layer, code)]
            assert not isinstance(area, str), area
            rule = Answering(f"{matter.body}-{code}", matter.code, area.id)
            case_catalogue.put_rule(connection, rule, actor=SOURCE, reason="demonstration city")


def _area(layer: str, code: str) -> str:
    return f"{layer}:{code:0<12}"
