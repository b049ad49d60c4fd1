"""Addresses as text: one spelling for comparison, the street, the house number, side and block.

Chinese addresses run from the large to the small (广东省佛山市禅城区石湾镇街道魁奇东路88号),
western ones begin with the house number (5631 W Higgins Ave). Open data often masks the last two
digits of it (056XX): then the block is known, the number and its side of the street are not.

Pure text: where an address is, is the business of a gazetteer.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Objects = npt.NDArray[np.object_]
Ints = npt.NDArray[np.int64]

UNKNOWN = -1
_BIGGEST = 99_999  # what is above is a telephone number or a post code, not a house

_PROVINCES = re.findall(
    r"\w+",
    "河北省 山西省 辽宁省 吉林省 黑龙江省 江苏省 浙江省 安徽省 福建省 江西省 山东省 河南省 湖北省 "
    "湖南省 广东省 海南省 四川省 贵州省 云南省 陕西省 甘肃省 青海省 台湾省 北京市 天津市 上海市 "
    "重庆市 内蒙古自治区 广西壮族自治区 西藏自治区 宁夏回族自治区 新疆维吾尔自治区",
)
_COUNTRY = "中华人民共和国"

# The traditional characters that addresses are made of; names are left as they are written.
_SIMPLER = dict(
    zip(
        "號東廣區鎮鄉縣橋樓棟門層灣園龍華順禪樂從幾兩",
        "号东广区镇乡县桥楼栋门层湾园龙华顺禅乐从几两",
        strict=True,
    )
)
_TRADITIONAL = re.compile(f"[{''.join(_SIMPLER)}]")
_DIGIT = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_NUMERAL = "〇零一二三四五六七八九十"
_HAN = "\u4e00-\u9fff〇"

# Text that folding leaves as it is.
_FOLDED = re.compile(r"(?:[0-9a-z]++(?:[ -][0-9a-z]++)*+|[\u4e00-\u9fff]++)*+")
_MASK = re.compile(r"(?<=[0-9])\*+")
_GAP = re.compile(r"(?<=[0-9a-z])(?:[^\w]|_)+(?=[0-9a-z])")
_DASHES = "-‐‑‒–—―−~～"
_NOISE = re.compile(r"[^\w -]|_|(?<![0-9a-z])[ -]+|[ -]+(?![0-9a-z])")
_WRITTEN = re.compile(
    rf"(?<![0-9千百{_NUMERAL}])[千百两{_NUMERAL}]{{1,8}}(?=号|之[0-9{_NUMERAL}]+号)"
)
_ORDINAL = re.compile(rf"(?<=[{_HAN}])(?<!号)[1-9][0-9]?(?=[路街巷横])")

# The end of a road's name, as told by one character so that the search is fast, and what may
# follow in it: 大道北, 大街二巷, 西路东段, 路88弄.
_ROAD = re.compile(
    r"(?:路(?<![道铁小]路)|街(?![道坊区])|巷(?!道)|道(?<=[大国省县]道)|速(?<=高速))"
    rf"(?:[东南西北中](?:段|(?=[0-9]|$))|[{_NUMERAL}]{{1,3}}(?:横路|横街|横巷|[街巷里弄横])|[0-9]{{1,4}}[弄巷])*"
)
_LONGEST = 14  # characters of a road's name before its end
_TAIL = re.compile(rf"[{_HAN}a-z0-9]*$")
_WAY = f"[东南西北中前后上下左右内外新老大小横直正第公马国省县高{_NUMERAL}0-9]"
_COUNTRY_ROAD = re.compile(
    r"[gsxy]?[0-9]{2,4}(?:国道|省道|县道|乡道|线)|[国省县乡]道[gsxy]?[0-9]{2,4}线?"
)
# What stands before a road's name and is no part of it.
_BEFORE = re.compile(
    r".*(?:社区居委会|村委会|居委会|社区|小区|街道|自治区|位于|附近|[市县区镇乡村在近与和到至往从])"
)
_BARE_STEM = re.compile(rf"{_WAY}*")
_STARTS_BARE = re.compile(r"大道|大街|马路|公路|[路街巷道镇市区县乡]")
_NOT_A_HOUSE = "楼栋幢座线桥塔路街巷机"
_NUMBER = re.compile(
    r"第?[a-z]?(?P<low>[0-9]{1,4}xx?|[0-9]{1,6}|xx)"
    r"(?:-[0-9]+|[a-wyz]|之[0-9一二三四五六七八九十]+)*"
    rf"(?:号(?![{_NOT_A_HOUSE}])|(?![0-9a-z号层室米年月日点个弄{_NOT_A_HOUSE}]))"
)
_HOUSE = re.compile(
    rf"(?P<stem>[{_HAN}]{{2,12}})第?(?P<low>[0-9]{{1,6}})(?:-[0-9]+|[a-z]|之[0-9一二三四五六七八九十]+)*"
    rf"号(?![{_NOT_A_HOUSE}])"
)
_WESTERN = re.compile(
    r"(?:no )?(?P<low>[0-9]{1,4}xx?|[0-9]{1,6})(?:-[0-9]+|[a-wyz])? (?P<street>[0-9a-z][0-9a-z -]*)"
)
_UNIT = re.compile(r" (?:apt|unit|ste|suite|fl|floor|rm|room|bldg)\b.*")
_WESTERN_STREET = re.compile(
    r"[0-9a-z][0-9a-z -]* (?:st|street|ave|av|avenue|rd|road|blvd|dr|drive|ln|lane|pl|ct|pkwy|hwy|"
    r"ter|way|expy|sq)(?: [nsew]{1,2})?"
)

_SUFFIX = re.compile(r"(?:镇街道|街道|镇|乡|区|县|市|省|(?:壮族|回族|维吾尔)?自治区)$")
# Names of areas that nobody listed are known by where they stand: a district after a city.
_LISTLESS = {
    "省": re.compile(r"[\u4e00-\u9fff]{2,4}?市(?=.)"),
    "市": re.compile(r"[\u4e00-\u9fff]{2,3}?(?:(?<![小园社校厂片景街业发宅])区|县)(?=.)"),
    "区": re.compile(r"[\u4e00-\u9fff]{2,4}?(?:镇街道|街道|(?:镇|乡)(?![安江海村路街道]))(?=.)"),
}
_CHARACTERS = re.compile(f"[{_HAN}]")


@dataclass(frozen=True)
class Addresses:
    """What addresses say, as columns of one length; made by `parse`.

    Attributes
    ----------
    key : ndarray of object (str)
        The spelling for comparison: half-width, lower case, without blanks, punctuation and the
        leading names of areas; house numbers in digits.
    head : ndarray of object (str)
        The leading names that the key has not, in full and parted by blanks: ``佛山市 禅城区``.
        They tell the 建设路 of one town from that of another.
    street : ndarray of object (str)
        In upper case; ``''`` if there is none.
    number : ndarray of int
        The house number, the first of several; -1 if there is none or it is masked.
    side : ndarray of int
        0 even, 1 odd, -1 unknown.
    block : ndarray of object (str)
        Street and hundred, ``魁奇东路#0`` for its numbers 0 to 99; ``''`` if unknown.
    """

    key: Objects
    head: Objects
    street: Objects
    number: Ints
    side: Ints
    block: Objects

    def __len__(self) -> int:
        return len(self.key)


def parse(texts: Sequence[str | None] | npt.ArrayLike, prefixes: Sequence[str] = ()) -> Addresses:
    """Read addresses, vectorised; each distinct text is looked at once.

    Parameters
    ----------
    texts : sequence of str or None
        Addresses as people write them, Chinese or western. None and NaN count as empty.
    prefixes : sequence of str
        Names of cities, districts and towns that may lead an address, in full (佛山市, 禅城区,
        石湾镇街道). Their short forms (佛山, 禅城, 石湾) are left out too where a street or a house
        number of its own follows: 佛山大道 and 祖庙路 stay whole. Provinces are known, and so are
        the levels below a name that is known, such as a district after 佛山市.

    Returns
    -------
    Addresses
        Columns of the length of `texts`. No text raises; what is not understood is unknown.

    Examples
    --------
    >>> found = parse(["广东省佛山市禅城区魁奇东路８８号之一", "056XX W Higgins Ave"])
    >>> found.key.tolist(), found.street.tolist()
    (['魁奇东路88号之一', '056xx w higgins ave'], ['魁奇东路', 'W HIGGINS AVE'])
    >>> found.number.tolist(), found.side.tolist(), found.block.tolist()
    ([88, -1], [0, -1], ['魁奇东路#0', 'W HIGGINS AVE#56'])
    """
    values: list[Any] = list(texts)  # type: ignore[arg-type]
    given: Objects = np.empty(len(values), dtype=np.object_)
    given[:] = values
    index, distinct = pd.factorize(given, use_na_sentinel=True)
    strip = _stripper(tuple(prefixes))
    # Missing texts have the index -1: the last of the rows.
    rows = [_parse(str(text), strip) for text in distinct]
    rows.append(("", "", "", UNKNOWN, ""))
    columns: list[Any] = [np.empty(len(rows), dtype=np.object_) for _ in range(5)]
    for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
        column[:] = cells
    key, head, street, number, block = [column[index] for column in columns]
    number = number.astype(np.int64)
    side = np.where(number < 0, UNKNOWN, number % 2)
    return Addresses(key, head, street, number, side, block)


_Strip = Callable[[str], tuple[str, list[str]]]


def _parse(text: str, strip: _Strip) -> tuple[str, str, str, int, str]:
    key, head = _key(text, strip)
    street, low = _street_and_number(key)
    if not street:
        return key, head, "", _house(low), ""
    return key, head, street.upper(), _house(low), _block(street.upper(), low)


def _house(low: str) -> int:
    number = int(low) if low.isdigit() else UNKNOWN
    return number if number <= _BIGGEST else UNKNOWN


def _block(street: str, low: str) -> str:
    digits = low.rstrip("x")
    masked = len(low) - len(digits)
    if not low or (digits and int(digits) * 10**masked > _BIGGEST):
        return ""
    return f"{street}#{int(digits or 0) * 10**masked // 100}"


# --- the key -----------------------------------------------------------------------------------


def _key(text: str, strip: _Strip) -> tuple[str, str]:
    """The key of a text and the names before it. The key of a key is itself."""
    heads: list[str] = []
    for _ in range(8):  # nearly always one turn; odd scripts fold in more than one step
        folded = _folded(text)
        key, found = strip(folded)
        heads += [name for name in found if name not in heads]
        if key == text or _FOLDED.fullmatch(key):
            break
        text = key
    return key, " ".join(heads)


def _folded(text: str) -> str:
    text = text.lower() if text.isascii() else _simplified(text)
    if not _FOLDED.fullmatch(text):
        text = _MASK.sub(lambda stars: "x" * len(stars[0]), text)
        text = _NOISE.sub("", _GAP.sub(_gap, text))
    if text.isascii():
        return text
    return _ORDINAL.sub(_in_characters, _WRITTEN.sub(_in_digits, text))


def _simplified(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).lower()
    return _TRADITIONAL.sub(lambda match: _SIMPLER[match[0]], text)


def _gap(match: re.Match[str]) -> str:
    between = match[0].strip()
    return "-" if between and between in _DASHES else " "


def _in_digits(match: re.Match[str]) -> str:
    """八十八 and 八八 as 88, 一百零八 as 108."""
    total, digit, written = 0, 0, match[0]
    if not any(c in _TENS for c in written):
        return "".join(str(_DIGIT[c]) for c in written)
    for c in written:
        if c in _TENS:
            total, digit = total + (digit or 1) * _TENS[c], 0
        else:
            digit = digit * 10 + _DIGIT[c]
    return str(total + digit)


def _in_characters(match: re.Match[str]) -> str:
    """The 3 of 澜石3街 as 三."""
    tens, units = divmod(int(match[0]), 10)
    head = "" if tens == 0 else "十" if tens == 1 else _NUMERAL[tens + 1] + "十"
    return head + (_NUMERAL[units + 1] if units else "")


@lru_cache(maxsize=16)
def _stripper(prefixes: tuple[str, ...]) -> _Strip:
    """What takes the leading names of areas off a folded text."""
    full = dict.fromkeys((_COUNTRY, *_PROVINCES, *filter(None, map(_folded, prefixes))))
    short: dict[str, str] = {}
    for name in reversed(full):
        for form in (name.removesuffix("街道") if name.endswith("镇街道") else "", _stem(name)):
            if len(form) >= 2 and form not in full:
                short[form] = name
    lengths = sorted({len(name) for name in (*full, *short)}, reverse=True)
    leads = {name[0] for name in (*full, *short)}

    def next_name(text: str, before: str) -> tuple[str, int]:
        """The name in full that leads a text, and how many characters of it that takes."""
        if text[0] in leads:
            for size in lengths:
                part = text[:size]
                if part in full:
                    return part, len(part)
                if part in short and _goes_on(text[size:], full, short):
                    return short[part], size
        match = _listless(before, text) if before else None
        return (match[0], match.end()) if match else ("", 0)

    def strip(text: str) -> tuple[str, list[str]]:
        found: list[str] = []
        while text:
            name, size = next_name(text, found[-1] if found else "")
            if not size or size >= len(text) or _STARTS_BARE.match(text, size):
                break
            text = text[size:]
            found.append(name)
        return text, [name for name in found if name != _COUNTRY]

    return strip


def _stem(name: str) -> str:
    return _SUFFIX.sub("", name)


def _goes_on(rest: str, full: dict[str, None], short: dict[str, str]) -> bool:
    """Whether a place by itself follows a short form, as 佛山 in 佛山魁奇路, not in 佛山大道."""
    if any(rest[:size] in full or rest[:size] in short for size in range(2, 6)):
        return True
    if road := _ROAD.search(rest):
        stem = rest[: road.start()]
    elif house := _HOUSE.match(rest):
        stem = house["stem"]
    else:
        return False
    return len(stem) >= 2 and not _BARE_STEM.fullmatch(stem)


def _listless(before: str, text: str) -> re.Match[str] | None:
    level = "区" if before.endswith(("区", "县")) and "自治区" not in before else before[-1]
    pattern = _LISTLESS.get("省" if before.endswith("自治区") else level)
    return pattern.match(text) if pattern else None


# --- street and number -------------------------------------------------------------------------


def _street_and_number(key: str) -> tuple[str, str]:
    """The street and the house number as written, perhaps masked (``056xx``); '' if unknown."""
    if not _CHARACTERS.search(key):
        return _western(key)
    if road := _road(key):
        number = _NUMBER.match(key, road[1])
        return road[0], number["low"] if number else ""
    house = _HOUSE.search(key)
    if house:
        return _own_name(house["stem"]), house["low"]
    return "", ""


def _road(key: str) -> tuple[str, int] | None:
    """The name of the first road in a key, and where it ends."""
    if match := _COUNTRY_ROAD.search(key):
        return match[0], match.end()
    for match in _ROAD.finditer(key):
        start = match.start()
        tail = _TAIL.search(key[max(0, start - _LONGEST) : start])
        if tail and tail[0]:
            return _own_name(tail[0]) + match[0], match.end()
    return None


def _western(key: str) -> tuple[str, str]:
    key = _UNIT.sub("", key)
    if match := _WESTERN.fullmatch(key):
        return match["street"], match["low"]
    return (key, "") if _WESTERN_STREET.fullmatch(key) else ("", "")


def _own_name(stem: str) -> str:
    """A road's name without what stands before it, unless too little would be left of it."""
    before = _BEFORE.match(stem)
    own = stem[before.end() :] if before else stem
    return stem if _BARE_STEM.fullmatch(own) else own
