"""Cuts an area into smaller ones by streets: recursive splitting of polygons by lines across them.

Everything here is in metres. A region is a simple polygon without holes and is always cut by one
line from border to border, so that its parts are simple polygons without holes again. The cuts are
kept: they become the streets, which is why borders run along streets.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from data.foshan.facts import Array
from data.foshan.outline import wavy

CELL_M = 160.0


@dataclass(frozen=True)
class Cut:
    """A line that parts two regions of ``owner``: ``rank`` says at which level.

    ``course`` is the number of the river or main road that it follows, or -1.
    """

    line: Array
    rank: str
    owner: str
    course: int = -1


@dataclass(frozen=True)
class Style:
    """How lines of a level are drawn: waviness, metres between vertices, forced cuts' roundness."""

    rank: str
    wave: float
    step: float
    river_roundness: float = 0.16
    road_roundness: float = 0.30


@dataclass
class Region:
    """A polygon with the people sampled in it and the pieces of rivers and roads that cross it."""

    ring: Array
    people: Array
    courses: list[tuple[int, BaseGeometry]] = field(default_factory=list)

    @property
    def polygon(self) -> BaseGeometry:
        """The region as a Shapely polygon, in metres."""
        return shapely.Polygon(self.ring)


@dataclass(frozen=True)
class Chord:
    """A line across a ring: it starts on edge ``i`` and ends on edge ``j``."""

    line: Array
    i: int
    j: int


class Junctions:
    """Ends of earlier cuts; a new cut that would end close to one is led into it: a crossroads."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[Array]] = {}

    def add(self, point: Array) -> None:
        """Remember an end."""
        key = (int(point[0] // CELL_M), int(point[1] // CELL_M))
        self._cells.setdefault(key, []).append(point)

    def near(self, point: Array, radius: float) -> list[Array]:
        """Ends within ``radius`` (at most one cell), nearest first."""
        x, y = int(point[0] // CELL_M), int(point[1] // CELL_M)
        cells = ((x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1))
        found = [p for cell in cells for p in self._cells.get(cell, ())]
        distance = [float(np.hypot(*(p - point))) for p in found]
        order = sorted(range(len(found)), key=distance.__getitem__)
        return [found[k] for k in order if distance[k] <= radius]


def _next(values: Array) -> Array:
    """Every value's follower, the first after the last (np.roll takes ten times as long)."""
    return np.concatenate([values[1:], values[:1]])


def roundness(ring: Array) -> tuple[float, float]:
    """Area in m² and Polsby-Popper compactness (1 for a circle) of an open ring."""
    x, y = ring[:, 0], ring[:, 1]
    x1, y1 = _next(x), _next(y)
    area = abs(float(np.dot(x, y1) - np.dot(x1, y))) / 2
    length = float(np.hypot(x1 - x, y1 - y).sum())
    return area, 4 * np.pi * area / length**2 if length else 0.0


def splice(ring: Array, chord: Chord) -> tuple[Array, Array]:
    """The two open rings into which a chord cuts an open ring."""
    line, i, j = chord.line, chord.i, chord.j
    if i > j or (i == j and _later(ring[i], line)):
        line, i, j = line[::-1], j, i
    first = np.concatenate([line, ring[j + 1 :], ring[: i + 1]])
    second = np.concatenate([line[::-1], ring[i + 1 : j + 1]])
    return _clean(first), _clean(second)


def _later(vertex: Array, line: Array) -> bool:
    start, end = np.hypot(*(line[0] - vertex)), np.hypot(*(line[-1] - vertex))
    return bool(start > end)


def _clean(ring: Array) -> Array:
    gap = np.abs(_next(ring) - ring)
    keep = (gap[:, 0] > 1e-3) | (gap[:, 1] > 1e-3)
    return ring if keep.all() else np.asarray(ring[keep])


def straight(ring: Array, angle: float, offset: float) -> tuple[Chord, bool] | None:
    """The longest chord along ``angle``, ``offset`` metres across; whether it is the only one."""
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    s = ring @ across - offset
    s1 = _next(s)
    edges = np.flatnonzero((s > 0) != (s1 > 0))
    if edges.size < 2:
        return None
    share = (s[edges] / (s[edges] - s1[edges]))[:, None]
    points = ring[edges] + share * (ring[(edges + 1) % len(ring)] - ring[edges])
    order = np.argsort(points @ along)
    if order.size % 2:
        return None
    points, edges = points[order], edges[order]
    pick = 2 * int(np.argmax((points[1::2] - points[::2]) @ along))
    chord = Chord(points[pick : pick + 2], int(edges[pick]), int(edges[pick + 1]))
    return chord, order.size == 2


def on_ring(ring: Array, point: Array) -> tuple[int, float]:
    """The edge nearest to a point, and its distance in metres."""
    edge = _next(ring) - ring
    square = np.maximum((edge**2).sum(axis=1), 1e-12)
    u = np.clip(((point - ring) * edge).sum(axis=1) / square, 0, 1)
    off = ring + u[:, None] * edge - point
    distance = np.hypot(off[:, 0], off[:, 1])
    k = int(distance.argmin())
    return k, float(distance[k])


@dataclass(frozen=True)
class Candidate:
    """A possible cut with the share of people in its first part and how good it looks."""

    chord: Chord
    share: float
    score: float
    course: int = -1


class Cutter:
    """Cuts regions and keeps the lines.

    ``streets`` gives the direction of streets (radians) at a point in metres; ``kinds`` the kind of
    every course, by number.
    """

    def __init__(self, rng: np.random.Generator, kinds: Sequence[str], phase: Array) -> None:
        self.rng = rng
        self.kinds = kinds
        self.phase = phase
        self.junctions = Junctions()
        self.owner = ""
        self.cuts: list[Cut] = []

    def streets(self, xy: Array) -> float:
        """Direction of the streets at a point, radians: it turns slowly from place to place."""
        x, y = xy / 1000.0
        p = self.phase
        turn = 0.30 * np.sin(x / 4.1 + y / 9.0 + p[0]) + 0.26 * np.sin(y / 3.7 - x / 11.0 + p[1])
        return float(turn + 0.10 * np.sin(x / 1.3 + p[2]) * np.sin(y / 1.7 + p[3]))

    def leaves(self, region: Region, k: int, style: Style) -> list[Region]:
        """Cut ``region`` into ``k`` regions with about the same number of people each."""
        stack, out = [(region, k)], []
        while stack:
            part, n = stack.pop()
            if n == 1:
                out.append(part)
                continue
            best = self._by_course(part, n, style) or self._by_street(part, n)
            first, second = self.cut(part, best, style)
            people = max(len(part.people), 1)
            share = len(first.people) / people if len(part.people) > n else best.share
            m = int(np.clip(round(n * share), 1, n - 1))
            stack += [(second, n - m), (first, m)]
        return out

    def cut(
        self, region: Region, best: Candidate, style: Style, seats: Array | None = None
    ) -> tuple[Region, Region]:
        """Draw the line, keep it, and hand people and courses to the two parts.

        However the line bends, ``seats`` stay on their side of the straight one.
        """
        chord = best.chord if best.course >= 0 else self._draw(region, best.chord, style, seats)
        rings = splice(region.ring, chord)
        polygon = shapely.Polygon(rings[0])
        shapely.prepare(polygon)
        inside = shapely.contains_xy(polygon, region.people[:, 0], region.people[:, 1])
        self.cuts.append(Cut(chord.line, style.rank, self.owner, best.course))
        self.junctions.add(chord.line[0])
        self.junctions.add(chord.line[-1])
        parts = []
        for ring, mine in zip(rings, (inside, ~inside), strict=True):
            courses = list(pieces(region.courses, ring, chord.line if best.course >= 0 else None))
            parts.append(Region(ring, region.people[mine], courses))
        return parts[0], parts[1]

    def forced(self, region: Region, style: Style) -> Iterable[Candidate]:
        """Cuts along the rivers and roads that cross the region, rivers first; score: roundness."""
        for number, piece in region.courses:
            line = shapely.get_coordinates(piece)
            (i, di), (j, dj) = on_ring(region.ring, line[0]), on_ring(region.ring, line[-1])
            if max(di, dj) > 0.01 or not piece.is_simple:
                continue
            chord = Chord(line, i, j)
            rings = splice(region.ring, chord)
            if min(map(len, rings)) < 4:
                continue
            score = min(roundness(r)[1] for r in rings)
            river = self.kinds[number] == "river"
            if score < (style.river_roundness if river else style.road_roundness):
                continue
            polygon = shapely.Polygon(rings[0])
            shapely.prepare(polygon)
            share = float(
                shapely.contains_xy(polygon, region.people[:, 0], region.people[:, 1]).mean()
                if len(region.people)
                else roundness(rings[0])[0] / polygon.area / 2
            )
            yield Candidate(chord, share, score + river, number)

    def _by_course(self, region: Region, n: int, style: Style) -> Candidate | None:
        fits = []
        for found in self.forced(region, style):
            m = round(n * found.share)
            if 1 <= m <= n - 1 and abs(n * found.share - m) < 0.42 * min(m, n - m):
                fits.append(found)
        return max(fits, key=lambda c: c.score, default=None)

    def _by_street(self, region: Region, n: int) -> Candidate:
        ring = region.ring
        base = self.streets(ring.mean(axis=0))
        best: Candidate | None = None
        for turns in ((0.0, 0.5), (0.25, 0.75, 0.12, 0.37, 0.62, 0.87)):
            for turn in turns:
                for found in self._along(region, n, base + np.pi * turn):
                    if best is None or found.score > best.score:
                        best = found
            if best is not None and best.score > 0.42:
                break
        if best is None:
            raise ValueError("a region cannot be cut: its outline crosses itself or has no area")
        return best

    def _along(self, region: Region, n: int, angle: float) -> Iterable[Candidate]:
        across = np.array([-np.sin(angle), np.cos(angle)])
        s = np.sort((region.people if len(region.people) >= 4 else region.ring) @ across)
        for m in {n // 2, max(1, round(n * 0.4)), n - max(1, round(n * 0.4))}:
            for shift in (0.0, -0.08, 0.08) if n < 4 else (0.0,):
                k = int((1 - m / n + shift / n * 2) * (len(s) - 1))
                offset = float(s[k : k + 2].mean())
                hit = straight(region.ring, angle, offset)
                if hit is None:
                    continue
                chord, alone = hit
                rings = splice(region.ring, chord)
                if min(map(len, rings)) < 3:
                    continue
                (a, round_a), (b, round_b) = roundness(rings[0]), roundness(rings[1])
                fair = 1.0 if alone else min(a, b) / (a + b)
                thin = min(a, b) / (a + b) * n
                score = min(round_a, round_b) * (1 if fair > 0.15 else 0.4)
                score -= abs(shift) * 0.4 + (0.2 if thin < 0.3 else 0.0)
                yield Candidate(chord, m / n, score)

    def lanes(self, region: Region) -> None:
        """Draw two lanes across a region, which cross each other; they part nothing."""
        size = np.sqrt(roundness(region.ring)[0])
        middle = shapely.get_coordinates(shapely.point_on_surface(region.polygon))[0]
        base = self.streets(middle)
        style = Style("lane", 0.006, 60.0)
        for angle in (base, base + np.pi / 2):
            across = np.array([-np.sin(angle), np.cos(angle)])
            offset = float(middle @ across) + float(self.rng.normal(0, 0.07)) * size
            hit = straight(region.ring, angle, offset)
            if hit is not None:
                chord = self._draw(region, hit[0], style)
                self.cuts.append(Cut(chord.line, style.rank, self.owner))

    def _draw(
        self, region: Region, chord: Chord, style: Style, seats: Array | None = None
    ) -> Chord:
        """The straight chord led into crossroads near its ends, and drawn with bends."""
        ends, edges = [], []
        length = float(np.hypot(*(chord.line[1] - chord.line[0])))
        for point, edge in zip(chord.line, (chord.i, chord.j), strict=True):
            point, edge = self._joined(region.ring, point, edge, min(0.2 * length, CELL_M))
            ends.append(point)
            edges.append(edge)
        inner = shapely.Polygon(region.ring)
        shapely.prepare(inner)
        tries = [(ends, edges, w) for w in (style.wave, style.wave / 3, 0.0)]
        tries += [(list(chord.line), [chord.i, chord.j], w) for w in (style.wave / 3, 0.0)]
        for (a, b), (i, j), wave in tries:
            line = wavy(a, b, self.rng, wave, style.step)
            drawn = Chord(line, i, j)
            if i != j and _passes(inner, line) and _agree(region.ring, drawn, chord, seats):
                return drawn
        return chord

    def _joined(self, ring: Array, point: Array, edge: int, radius: float) -> tuple[Array, int]:
        for junction in self.junctions.near(point, radius):
            k, distance = on_ring(ring, junction)
            if distance < 1e-4 and _is_straight(ring, k, junction):
                return junction, k
        return point, edge


def _is_straight(ring: Array, k: int, point: Array) -> bool:
    """Whether the ring runs on through ``point`` on edge ``k``: no corner within a few metres."""
    before, after = ring[k], ring[(k + 1) % len(ring)]
    if min(np.hypot(*(before - point)), np.hypot(*(after - point))) > 0.5:
        return True
    if np.hypot(*(after - point)) < np.hypot(*(before - point)):
        before, after = ring[k], ring[(k + 2) % len(ring)]
    else:
        before, after = ring[k - 1], ring[(k + 1) % len(ring)]
    u, v = point - before, after - point
    size = np.hypot(*u) * np.hypot(*v)
    return bool(size > 0 and np.dot(u, v) / size > 0.85)


def _agree(ring: Array, drawn: Chord, meant: Chord, seats: Array | None) -> bool:
    """Whether both lines part the seats alike."""
    if seats is None:
        return True
    parts = [shapely.Polygon(splice(ring, chord)[0]) for chord in (drawn, meant)]
    a, b = (shapely.contains_xy(part, seats[:, 0], seats[:, 1]) for part in parts)
    return bool((a == b).all() or (a != b).all())


def _passes(inner: BaseGeometry, line: Array) -> bool:
    """Whether a line from border to border has its whole course inside."""
    short = line.copy()
    short[0] += 0.02 * (line[1] - line[0])
    short[-1] += 0.02 * (line[-2] - line[-1])
    return bool(inner.contains_properly(shapely.LineString(short)))


def pieces(
    courses: Iterable[tuple[int, BaseGeometry]], ring: Array, used: Array | None
) -> Iterable[tuple[int, BaseGeometry]]:
    """What of the courses lies inside an open ring, but for the line that was just used."""
    courses = list(courses)
    if not courses:
        return
    polygon = shapely.Polygon(ring)
    shapely.prepare(polygon)
    done = None if used is None else shapely.LineString(used)
    for number, line in courses:
        if done is not None and line.equals(done):
            continue
        if polygon.contains_properly(line):
            yield number, line
        elif polygon.intersects(line):
            inside = shapely.line_merge(shapely.intersection(line, polygon))
            for part in shapely.get_parts(inside):
                if part.geom_type == "LineString" and part.length > 30:
                    yield number, part
