"""Looking an address up in the gazetteer: the same key, the same street, or a similar spelling."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from sqlalchemy import URL, Connection, Row, text

from gis import addresses as address_text
from gis.placement import metres_per_degree

CONFIRMED = "confirmed"
SAME_PLACE_M = 50.0  # nearer than this, two rows of one address are one place
HOUSE_M = 20.0  # what the place of a house is accurate to
PLOT_M = 6.0  # of street for one house number, where it cannot be told from neighbours
FAR_M = 40.0  # more than this for one number, and two neighbours are not on one street
SAME_HOUSE, BETWEEN, NEAREST, SOMEWHERE = 0.97, 0.94, 0.85, 0.7
NUMBERS_FADE = 100  # house numbers after which another house says little
ONE_SLIP = 0.6  # what a match with one slip scores, at least
LOOSE = 0.2  # trigram similarity below which nothing is looked at
AREA_DIFFERS, NUMBER_DIFFERS, NUMBER_OPEN, STREET_DIFFERS = 0.5, 0.6, 0.85, 0.5

# Former and planned names lead addresses too, so `valid` does not count.
_PREFIXES = """
SELECT DISTINCT v.name, l.tree_level
FROM layer l JOIN area a ON a.layer = l.name JOIN area_version v ON v.area_id = a.id
WHERE l.tree_level <= 2
  AND CASE WHEN CAST(:change AS bigint) IS NULL THEN upper_inf(v.recorded)
           ELSE v.recorded @> CAST(:change AS bigint) END
ORDER BY l.tree_level, v.name
"""

_KNOWN_CHANGE = """
SELECT id FROM change WHERE recorded <= :known ORDER BY id DESC LIMIT 1
"""

_COLUMNS = """
SELECT text, key, street, number, ST_X(geom) AS lon, ST_Y(geom) AS lat, source, recorded
FROM address
"""

_EXACT = f"""{_COLUMNS}
WHERE key = :key AND recorded <= :known ORDER BY recorded DESC, id DESC LIMIT 100
"""

# The trigram index finds the street inside the keys; which are exactly on it is seen in the rows.
_ON_STREET = f"""{_COLUMNS}
WHERE key LIKE '%' || :within || '%' AND street = :street AND number IS NOT NULL
  AND recorded <= :known
ORDER BY abs(number - :number), id LIMIT :most
"""

_THRESHOLD = """
SELECT set_config('pg_trgm.similarity_threshold', :similarity, true),
       set_config('pg_trgm.word_similarity_threshold', :word, true)
"""

_SIMILAR = f"""{_COLUMNS}
WHERE key % :key AND recorded <= :known ORDER BY similarity(key, :key) DESC, id LIMIT 40
"""

# Of a short name without a number: longer ones that hold it count as well (祖庙: 祖庙博物馆).
_HOLDING = f"""{_COLUMNS}
WHERE (key % :key OR :key <% key) AND recorded <= :known
ORDER BY greatest(similarity(key, :key), 0.9 * word_similarity(:key, key)) DESC, id LIMIT 40
"""


@dataclass(frozen=True)
class Match:
    """A place that an address may mean.

    Attributes
    ----------
    text : str
        The address that the gazetteer has there (of several the nearest).
    lon, lat : float
        WGS 84.
    score : float
        How sure it is, 0 to 1. A key that the gazetteer has at one place scores 1, one that it
        has at k places scores 1 / k at each.
    how : {'exact', 'number', 'similar'}
        The same key; another number of the same street, or a place between two; or a similar
        spelling.
    accuracy_m : float
        Radius around the place within which the address is to be expected, metres.
    """

    text: str
    lon: float
    lat: float
    score: float
    how: Literal["exact", "number", "similar"]
    accuracy_m: float


@dataclass(frozen=True)
class _Asked:
    """What is looked for."""

    key: str
    head: str
    street: str
    low: int  # the house numbers meant: one, or a hundred of them if it is masked; -1: unknown
    high: int
    names: tuple[str, ...]


def prefixes(connection: Connection, known: datetime | None = None) -> tuple[str, ...]:
    """The names of the cities, districts and towns, which may lead an address.

    As they were known at a moment (aware), so that a lookup can be repeated; without one as this
    transaction sees them, an open change of the map included.
    """
    if known is None:
        return _names(connection, None)
    change = connection.execute(text(_KNOWN_CHANGE), {"known": known}).scalar()
    if change is None:
        return ()
    # What a known change says is never changed, so it needs to be read but once.
    key = connection.engine.url, change
    names = _known_names.get(key)
    if names is None:
        if len(_known_names) >= _MOST_KEPT:
            _known_names.clear()
        names = _known_names[key] = _names(connection, change)
    return names


def _names(connection: Connection, change: int | None) -> tuple[str, ...]:
    return tuple(connection.execute(text(_PREFIXES), {"change": change}).scalars())


_known_names: dict[tuple[URL, int], tuple[str, ...]] = {}
_MOST_KEPT = 64


def lookup(
    connection: Connection,
    text_: str,
    *,
    known: datetime,
    limit: int = 5,
    min_score: float = 0.3,
) -> list[Match]:
    """The places that an address may mean, the likeliest first; empty if there are none.

    Parameters
    ----------
    text_ : str
        As people write it: with or without city and district, with typing errors.
    known : datetime
        Aware; only what the gazetteer held at this moment counts.
    limit : int
        The most matches.
    min_score : float
        Matches below it are left out.

    Notes
    -----
    The connection has to be in a transaction (it is, unless its isolation level is AUTOCOMMIT).
    """
    asked = _asked(text_, prefixes(connection, known))
    if not asked.key:
        return []
    found, decided = _exact(connection, asked, known)
    if not decided:
        found += _numbered(connection, asked, known)
        if max((match.score for match in found), default=0) < BETWEEN - 0.1:
            found += _similar_or_less(connection, asked, known)
    return [m for m in _distinct(found) if m.score >= min_score][:limit]


def _asked(words: str, names: tuple[str, ...]) -> _Asked:
    parsed = address_text.parse([words.replace("\0", "")], names)
    low = high = int(parsed.number[0])
    if low < 0 and parsed.block[0]:
        low = 100 * int(parsed.block[0].rpartition("#")[2])
        high = low + 99
    return _Asked(parsed.key[0], parsed.head[0], parsed.street[0], low, high, names)


# --- the same key ------------------------------------------------------------------------------


def _exact(connection: Connection, asked: _Asked, known: datetime) -> tuple[list[Match], bool]:
    """The places of the very key, and whether one of them lies in the areas that were named."""
    rows = connection.execute(text(_EXACT), {"key": asked.key, "known": known}).all()
    if not rows:
        return [], False
    heads = _heads(rows, asked.names)
    differs = np.array([_differ(asked.head, head) for head in heads])
    places: list[Match] = []
    for rival in (False, True):  # those in the areas that were named, then the others
        of = [(r, h) for r, h, d in zip(rows, heads, differs, strict=True) if d == rival]
        if of:
            places += _places(of, AREA_DIFFERS if rival else 1.0)
    return places, not differs.all()


def _places(rows: Sequence[tuple[Row[Any], str]], most: float) -> list[Match]:
    """One match for each place, the score shared out among them; the confirmed one first."""
    confirmed = [(r, h) for r, h in rows if r.source.partition(":")[0] == CONFIRMED]
    newest = {head: row for row, head in reversed(confirmed)}
    # What a person confirmed last goes before all else that is said of the very same address.
    kept = list(newest.values()) + [row for row, head in rows if head not in newest]
    places: list[Match] = []
    for row in kept:
        match = Match(row.text, row.lon, row.lat, most, "exact", HOUSE_M)
        if all(_metres(match, other) > SAME_PLACE_M for other in places):
            places.append(match)
    return [replace(place, score=most / len(places)) for place in places]


def _heads(rows: Sequence[Row[Any]], names: tuple[str, ...]) -> list[str]:
    return list(address_text.parse([row.text for row in rows], names).head)


def _differ(asked: str, given: str) -> bool:
    """Whether two leading parts name different areas of one level."""
    if not asked or not given:
        return False
    levels = {_level(name): name for name in given.split()}
    return any(levels.get(_level(name), name) != name for name in asked.split())


@lru_cache(maxsize=4096)
def _level(name: str) -> str:
    return {"县": "区", "镇": "道", "乡": "道"}.get(name[-1], name[-1])


# --- the same street ---------------------------------------------------------------------------


def _numbered(connection: Connection, asked: _Asked, known: datetime) -> list[Match]:
    """Where the house should be, by the numbers that are known of its street, town by town.

    Without a number it is somewhere on the street: the middle, and the way to its ends.
    """
    if not asked.street:
        return []
    where = {"street": asked.street, "within": asked.street.lower(), "known": known}
    where |= {"number": (asked.low + asked.high) // 2, "most": 100 if asked.low >= 0 else 2000}
    rows = connection.execute(text(_ON_STREET), where).all()
    towns: dict[str, list[Row[Any]]] = defaultdict(list)
    for row, head in zip(rows, _heads(rows, asked.names), strict=True):
        towns[head].append(row)
    found = []
    for head, members in towns.items():
        match = _estimate(members, asked.low, asked.high)
        factor = AREA_DIFFERS if _differ(asked.head, head) else 1.0
        found.append(replace(match, score=match.score * factor))
    return found


def _estimate(rows: Sequence[Row[Any]], low: int, high: int) -> Match:
    """The place of a house by the nearest numbers of its street, its own side first."""
    within = [row for row in rows if low < 0 or low <= row.number <= high]
    if within:
        lon, lat = (float(np.median([getattr(r, c) for r in within])) for c in ("lon", "lat"))
        score = SOMEWHERE if low < 0 else SAME_HOUSE if low == high else BETWEEN
        centre = Match("", lon, lat, score, "number", HOUSE_M)
        away, nearest = zip(*sorted((_metres(centre, r), r.text) for r in within), strict=True)
        return replace(centre, text=nearest[0], accuracy_m=max(HOUSE_M, away[-1]))
    side = [row for row in rows if (row.number - low) % 2 == 0] if low == high else list(rows)
    below = max((r for r in side if r.number < low), key=lambda r: r.number, default=None)
    above = min((r for r in side if r.number > high), key=lambda r: r.number, default=None)
    if below and above:
        apart, gap = _metres(below, above), above.number - below.number
        if apart <= FAR_M * gap:
            return _between(below, above, (low + high) / 2, apart)
    near = min(side or rows, key=lambda r: abs(r.number - low))
    gap = abs(near.number - low)
    score = NEAREST - 0.35 * min(1.0, gap / NUMBERS_FADE)
    return Match(near.text, near.lon, near.lat, score, "number", max(1.5 * HOUSE_M, PLOT_M * gap))


def _between(below: Row[Any], above: Row[Any], number: float, apart: float) -> Match:
    gap = above.number - below.number
    part = (number - below.number) / gap
    near = below if part < 0.5 else above
    return Match(
        near.text,
        below.lon + part * (above.lon - below.lon),
        below.lat + part * (above.lat - below.lat),
        BETWEEN - 0.3 * min(1.0, gap / NUMBERS_FADE),
        "number",
        max(HOUSE_M, apart / 2),
    )


# --- a similar spelling ------------------------------------------------------------------------


def _similar_or_less(connection: Connection, asked: _Asked, known: datetime) -> list[Match]:
    """Matches with one slip if there are any; else with what is left after more of them."""
    size = len(asked.key)
    # A wrong character spoils three of the size + 1 trigrams.
    one_slip = (size - 2) / (size + 4)
    found = _similar(connection, asked, known, max(0.12, 0.95 * one_slip))
    if max((match.score for match in found), default=0) >= ONE_SLIP or one_slip <= LOOSE:
        return found
    return found + _similar(connection, asked, known, LOOSE)


def _similar(connection: Connection, asked: _Asked, known: datetime, least: float) -> list[Match]:
    """Keys that share trigrams with the one asked for, and the house on a street spelt like it."""
    connection.execute(text(_THRESHOLD), {"similarity": f"{least:.3f}", "word": "0.6"})
    short = len(asked.key) <= 8 and asked.low < 0
    rows = connection.execute(
        text(_HOLDING if short else _SIMILAR), {"key": asked.key, "known": known}
    ).all()
    rows = [row for row in rows if row.key != asked.key]
    found, streets = [], dict[str, float]()
    parsed = address_text.parse([row.text for row in rows], asked.names)
    for row, head, street in zip(rows, parsed.head, parsed.street, strict=True):
        if asked.street and street == asked.street and row.number is not None:
            continue  # `_numbered` has said what there is to say
        likeness = _likeness(asked, row, street) * (
            AREA_DIFFERS if _differ(asked.head, head) else 1
        )
        accuracy = HOUSE_M if row.number == asked.low or row.number is None else 5 * HOUSE_M
        found.append(Match(row.text, row.lon, row.lat, likeness, "similar", accuracy))
        if street and asked.street and not _other_street(street, asked.street):
            streets[street] = _ratio(street, asked.street)
    if asked.low >= 0 and streets:
        street = max(streets, key=lambda name: streets[name])
        there = _numbered(connection, replace(asked, street=street), known)
        found += [replace(m, score=m.score * streets[street], how="similar") for m in there]
    return found


def _likeness(asked: _Asked, row: Row[Any], street: str) -> float:
    score = 0.95 * _ratio(asked.key, row.key)
    if row.number is not None and asked.low >= 0:
        score *= 1 if asked.low <= row.number <= asked.high else NUMBER_DIFFERS
    elif row.number is not None or asked.low >= 0:
        score *= NUMBER_OPEN
    return score * (STREET_DIFFERS if _other_street(street, asked.street) else 1)


def _other_street(one: str, other: str) -> bool:
    """Whether what tells streets apart differs (东 and 西, 一 and 二): that is no slip."""
    return bool(one and other and one != other) and _plain(one) == _plain(other)


@lru_cache(maxsize=4096)
def _plain(street: str) -> str:
    kept = [word for word in street.split() if word not in _POINTS] if " " in street else street
    return "".join(c for c in "".join(kept) if c not in _WAYS)


_WAYS = frozenset("东南西北中前后上下左右内外新老大小一二三四五六七八九十0123456789路街巷道横段")
_POINTS = frozenset(("N", "S", "E", "W", "ST", "AVE", "RD", "BLVD", "DR", "LN", "PL", "CT"))


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


# --- all together ------------------------------------------------------------------------------


def _distinct(matches: Iterable[Match]) -> list[Match]:
    """The best first, without those that name a place again."""
    kept: list[Match] = []
    for match in sorted(matches, key=lambda m: -m.score):
        again = match.how != "exact" and any(match.text == other.text for other in kept)
        if not again and all(_metres(match, other) > HOUSE_M for other in kept):
            kept.append(match)
    return kept


def _metres(one: Any, other: Any) -> float:
    per_lon, per_lat = metres_per_degree(one.lat)
    return float(np.hypot((one.lon - other.lon) * per_lon, (one.lat - other.lat) * per_lat))
