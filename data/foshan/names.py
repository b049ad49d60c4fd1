"""Names for what the facts do not name: streets, estates, schools. No people."""

import numpy as np
import pandas as pd
import shapely

from data.foshan import facts
from data.foshan.facts import Ints
from data.foshan.network import Geometries, Network

FIRST = "同兴永安文华福德仁和新建富锦绿景惠康金碧朝阳东平南祥龙凤荣盛广宁岭桂清源高宝联工业季雅丽湖"
SECOND = "济业宁安明庆泰昌隆盛兴和平康顺丰达德贤景园城湖源新华贵祥瑞悦荫澜溪海田"
ORDINALS = "一二三四五六七八九十"
PARTS_EW = ("西", "", "东")
PARTS_NS = ("南", "中", "北")
ESTATE_FIRST = [
    "翠湖",
    "金色",
    "星辉",
    "御江",
    "天悦",
    "丽景",
    "龙庭",
    "江南",
    "雅居",
    "锦绣",
    "华苑",
    "怡翠",
    "恒福",
    "岭南",
    "绿岛",
    "望江",
    "都市",
    "荔园",
    "桃源",
    "滨江",
    "文景",
    "尚品",
    "书香",
    "玉兰",
    "康怡",
    "东方",
    "汇景",
    "明珠",
]
ESTATE_LAST = [
    "花园",
    "苑",
    "新城",
    "豪庭",
    "雅苑",
    "名都",
    "公寓",
    "小区",
    "华府",
    "湾",
    "新村",
    "半岛",
]
KINDS = ["村民委员会", "村委会", "居民委员会", "居委会", "虚拟社区", "虚拟生活区", "社区", "村"]


def stem(village: str) -> str:
    """A village's or community's name without its kind.

    >>> stem("澜石社区居委会"), stem("河宕村民委员会")
    ('澜石', '河宕')
    """
    for tail in KINDS:
        if village.endswith(tail) and len(village) > len(tail) + 1:
            village = village.removesuffix(tail)
    return village


def ordinal(n: int) -> str:
    """1 to 99 in Chinese numerals.

    >>> ordinal(3), ordinal(10), ordinal(11), ordinal(25)
    ('三', '十', '十一', '二十五')
    """
    tens, units = divmod(n, 10)
    head = "" if tens == 0 else "十" if tens == 1 else ORDINALS[tens - 1] + "十"
    return head + (ORDINALS[units - 1] if units else "")


def street_names(
    net: Network, source: Ints, bank: np.ndarray, middle: Geometries, water: pd.DataFrame
) -> np.ndarray:
    """The name of every road segment; no two lines of a town share one."""
    names = _line_names(net)
    out = np.array([names[s] if s >= 0 else "" for s in source], dtype=object)
    course = np.array([s.course for s in net.sources])[source]
    roads = facts.courses()
    xy = shapely.get_coordinates(middle)
    for c in np.unique(course[(course >= 0) & ~bank]):
        rows = (course == c) & ~bank
        out[rows] = _sections(roads[c], xy[rows])
    if bank.any():
        bodies = water["shape"].to_numpy()
        tree = shapely.STRtree(bodies)
        _, body = tree.query_nearest(middle[bank], all_matches=False)
        river = water.name.to_numpy()[body]
        out[bank] = [f"{n.removesuffix('河')}堤路" if n[-1] == "河" else f"{n}堤路" for n in river]
    return out


def _sections(road: facts.Course, xy: facts.Array) -> list[str]:
    """A long road's parts: 魁奇西路, 魁奇路, 魁奇东路 from west to east, 南, 中, 北 upwards."""
    if road.kind not in ("trunk", "primary") or road.name[-2:] == "公路":
        return [road.name] * len(xy)
    span = np.ptp(road.points, axis=0)
    axis = int(span[1] > span[0])
    low, size = road.points[:, axis].min(), span[axis]
    third = np.clip((xy[:, axis] - low) / size * 3, 0, 2).astype(int)
    if road.name.endswith("大道"):
        words = PARTS_NS if axis else ("西", "中", "东")
        return [road.name + words[k] for k in third]
    words = PARTS_NS if axis else PARTS_EW
    return [road.name.removesuffix("路") + words[k] + "路" for k in third]


def _line_names(net: Network) -> list[str]:
    """A name for every source that is no course, unique in its town, from its owner and length."""
    villages = facts.villages().set_index("village_code")
    host = dict(villages.host)
    title = {code: stem(name) for code, name in villages.village_name.items()}
    town = {
        code: name[:2] for code, name in zip(facts.towns().code, facts.towns().name, strict=True)
    }
    pool = _Words()
    length = shapely.length(np.array([s.line for s in net.sources]))
    out = []
    for source, size in zip(net.sources, length, strict=True):
        local = source.kind in ("grid", "lane")
        home = host[source.owner] if local else source.owner
        if source.course >= 0 or source.kind in ("outer", "river"):
            out.append("")
        elif local and size < (900 if source.kind == "lane" else 450):
            name = title[source.owner]
            tail = "巷" if source.kind == "lane" else "街"
            out.append(f"{name}{ordinal(pool.number(home + name))}{tail}")
        elif source.kind in ("town", "district"):
            out.append(f"{pool.word(home)}大道")
        else:
            lead = town[home] if source.kind == "village" and size > 4000 else ""
            out.append(f"{lead}{pool.word(home)}路")
    return out


class _Words:
    """Two-character words and running numbers, none given twice under the same key."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(7)
        self._pairs = [a + b for a in FIRST for b in SECOND if a != b]
        self._left: dict[str, list[int]] = {}
        self._count: dict[str, int] = {}

    def word(self, key: str) -> str:
        if key not in self._left:
            self._left[key] = self._rng.permutation(len(self._pairs)).tolist()
        return self._pairs[self._left[key].pop()]

    def number(self, key: str) -> int:
        self._count[key] = self._count.get(key, 0) + 1
        return self._count[key]


def estate_names(villages: list[str], rng: np.random.Generator) -> list[str]:
    """A plausible name for a housing estate in each of the villages (names of villages)."""
    first, last = rng.choice(ESTATE_FIRST, len(villages)), rng.choice(ESTATE_LAST, len(villages))
    own = rng.random(len(villages)) < 0.25
    return [
        (stem(v)[:3] if mine else str(a)) + str(b)
        for v, a, b, mine in zip(villages, first, last, own, strict=True)
    ]
