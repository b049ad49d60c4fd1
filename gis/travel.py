"""Travel times: how long people need to places, by one interface with two answers.

`StraightLine` needs nothing but a table of speeds; `Roads` asks Valhalla, inside this process, over
tiles that were built from OpenStreetMap (`data.roads`). Both give every leg an answer: where the
roads have none to give, `Roads` says what the straight line says, and marks the leg.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

EARTH_M = 6_371_008.8
"""Mean radius of the WGS 84 ellipsoid (IUGG)."""
SNAP_M = 1000.0
"""A place farther than this from every road that its mode may use is not on the road network."""
LONGEST_M = 1_000_000.0
"""Straight distance up to which Valhalla is asked."""
EXACT_M = 60_000.0
"""Straight distance up to which cars are routed over all roads, beyond it over main roads between
the ends. By main roads alone, journeys across a city came out up to 1.4 times too long."""
OUTWARDS = "timedistancematrix"
BLOCKS = {OUTWARDS: (1000, 10), "costmatrix": (25, 25)}
"""Valhalla's two searches, with the places that one question holds on its longer and shorter side.

The first goes outwards from each place of the shorter side: 600 x 13 legs on foot take 0.5 s, where
the other takes 15 s. From many places to few it is right for walkers, but for riders and drivers up
to 2.4 times the route's own time (measured with 3.5.1). They have the second, which goes from both
ends. From one place alone the first is right for all (within 1.2 % of the second in 600 legs by
moped and by car), and up to three times as fast. Pieces keep its memory within what it reserves,
and let other threads have their turn."""

_NO_WAY = "No path could be found"
"""How Valhalla's error begins where no leg of a matrix has a way."""


@dataclass(frozen=True, slots=True)
class Mode:
    """A way of moving: what the straight line and what Valhalla need to know of it.

    Attributes
    ----------
    speed_kmh : float
        Mean speed of a journey through a city, stops included.
    detour : float
        Metres travelled for a metre of straight line.
    costing : str
        Valhalla's name for who may go where: ``pedestrian``, ``bicycle``, ``auto`` …
    options : mapping
        Valhalla's options of that costing; its cycling speed is the one between stops.
    """

    speed_kmh: float
    detour: float
    costing: str
    options: Mapping[str, float] = field(default_factory=dict)

    @property
    def speed_m_s(self) -> float:
        """The speed in metres a second."""
        return self.speed_kmh / 3.6

    @property
    def search(self) -> str:
        """Which of Valhalla's searches suits it: see `BLOCKS`."""
        return OUTWARDS if self.costing == "pedestrian" else "costmatrix"


# Speeds. Foot: 1.4 m/s, which adults prefer (Browning et al. 2006). Bicycle and e-bike: 14.8 and
# 21.9 km/h measured in Kunming's streets (Lin et al. 2008), less some stops. Car: an estimate of
# our own for a big city by day.
# Detours. 1.2 between random places of a city (Newell 1980), 1.21 to 1.23 on foot (O'Sullivan and
# Morrall 1996), 1.42 by car to hospitals (Boscoe et al. 2012).
# An e-bike (电动自行车) goes where bicycles go, by law at 25 km/h at most (GB 17761).
MODES: Mapping[str, Mode] = {
    "foot": Mode(5.0, 1.3, "pedestrian", {"walking_speed": 5.0}),
    "bicycle": Mode(14.0, 1.3, "bicycle", {"cycling_speed": 15.0, "use_roads": 1.0}),
    "moped": Mode(20.0, 1.3, "bicycle", {"cycling_speed": 22.0, "use_roads": 1.0}),
    "car": Mode(30.0, 1.4, "auto", {"disable_hierarchy_pruning": True}),
}


@dataclass(frozen=True, slots=True)
class Legs:
    """From every origin to every target; arrays of (n, m).

    Attributes
    ----------
    seconds, metres : array of float
        NaN where the target cannot be reached, or where either place is not known.
    by_road : array of bool
        Whether the roads say so (also that there is no way); else the straight line does.
    """

    seconds: Floats
    metres: Floats
    by_road: Bools


class Travel(Protocol):
    """What answers how far it is; ``name`` is what people are told."""

    name: str

    def legs(
        self, origins: npt.ArrayLike, targets: npt.ArrayLike, modes: str | npt.ArrayLike
    ) -> Legs:
        """Time and distance from each origin to each target.

        Parameters
        ----------
        origins, targets : array_like of float, (n, 2) and (m, 2)
            Longitude and latitude, WGS 84. A place with NaN, or beyond the globe, is not known.
        modes : str or array_like of str, (n,)
            Each origin's way of moving, a key of `MODES`; one name is that of all.

        Raises
        ------
        ValueError
            A mode is not known, or an array has the wrong shape.
        """
        ...


class StraightLine:
    """Great-circle distance times the mode's detour, over its speed: blind to rivers, never idle.

    >>> legs = StraightLine().legs([[113.12, 23.02]], [[113.13, 23.02]], "foot")
    >>> legs.metres.round(), legs.seconds.round()
    (array([[1330.]]), array([[958.]]))
    """

    name = "straight line"

    def __init__(self, modes: Mapping[str, Mode] = MODES) -> None:
        self.modes = modes

    def legs(
        self, origins: npt.ArrayLike, targets: npt.ArrayLike, modes: str | npt.ArrayLike
    ) -> Legs:
        """See `Travel.legs`."""
        start, end = _places(origins, "origins"), _places(targets, "targets")
        used = [self.modes[name] for name in _modes(modes, len(start), self.modes)]
        detour = np.array([mode.detour for mode in used], dtype=float)
        speed = np.array([mode.speed_m_s for mode in used], dtype=float)
        metres = great_circle_m(start[:, None], end[None]) * detour[:, None]
        return Legs(metres / speed[:, None], metres, np.zeros(metres.shape, dtype=bool))


class Roads:
    """Along the roads, by Valhalla's matrix over a tile archive.

    A journey is the walk to the nearest road that the mode may use, the way along the roads, and
    the walk from there. Times are those of free roads: no traffic is known.

    - A place with no such road within `SNAP_M` is not on the network (a mountain, another city):
      its legs are straight lines. So are those of two places that are closer to each other than to
      their roads, and those of a question that Valhalla refuses.
    - Where both places are on the network and no way joins them (an island without a bridge), the
      target cannot be reached: NaN, by road.

    One instance serves a process and any number of threads. Valhalla's `Actor` is not safe to share
    among threads, so each question borrows one; as many work at once as there are processors, and
    all read the same archive, mapped into memory.

    Parameters
    ----------
    tiles : Path
        Valhalla's tiles in one tar file. Once another file has taken its name, open it anew.
    """

    name = "roads"

    def __init__(self, tiles: Path, modes: Mapping[str, Mode] = MODES) -> None:
        if not tiles.is_file():
            raise FileNotFoundError(f"there are no road tiles at {tiles}; build them first.")
        self.tiles = tiles
        self.modes = modes
        self._straight = StraightLine(modes)
        self._turns = BoundedSemaphore(os.cpu_count() or 1)
        self._idle: dict[str, list[Any]] = {search: [] for search in BLOCKS}

    def legs(
        self, origins: npt.ArrayLike, targets: npt.ArrayLike, modes: str | npt.ArrayLike
    ) -> Legs:
        """See `Travel.legs`."""
        start, end = _places(origins, "origins"), _places(targets, "targets")
        names = _modes(modes, len(start), self.modes)
        legs = self._straight.legs(start, end, names)
        apart_m = great_circle_m(start[:, None], end[None])
        for name in np.unique(names):
            rows = np.flatnonzero(names == name)
            self._fill(legs, apart_m, rows, start[rows], end, self.modes[name])
        return legs

    def _fill(
        self, legs: Legs, apart_m: Floats, rows: Ints, start: Floats, end: Floats, mode: Mode
    ) -> None:
        """Write what the roads know over the straight lines of the origins in ``rows``."""
        gap_m = self._gaps_m(np.concatenate([start, end]), mode)
        before, after = gap_m[: len(start)], gap_m[len(start) :]
        asked = np.flatnonzero(np.isfinite(before)), np.flatnonzero(np.isfinite(after))
        walk_m_s = self.modes["foot"].speed_m_s if "foot" in self.modes else mode.speed_m_s
        search = OUTWARDS if len(asked[0]) == 1 else mode.search
        for i, j in _blocks(*asked, *BLOCKS[search]):
            way = self._matrix(start[i], end[j], mode, search)
            if way is None:
                continue
            walked = before[i][:, None] + after[j][None]
            here = np.ix_(rows[i], j)
            by_road = apart_m[here] > walked
            legs.by_road[here] = by_road
            legs.seconds[here] = np.where(by_road, way[0] + walked / walk_m_s, legs.seconds[here])
            legs.metres[here] = np.where(by_road, way[1] + walked, legs.metres[here])

    def _gaps_m(self, places: Floats, mode: Mode) -> Floats:
        """Metres from each place to the nearest road of the mode; NaN where `SNAP_M` has none."""
        gap = np.full(len(places), np.nan)
        known = np.flatnonzero(np.isfinite(places[:, 0]))
        if not len(known):
            return gap
        # The nearest road of all, however small its network: only its distance counts here.
        near = {"search_cutoff": SNAP_M, "minimum_reachability": 0}
        found = self._ask(
            "locate",
            mode,
            mode.search,
            locations=[place | near for place in _locations(places[known])],
        )
        for row, place in zip(known, found or (), strict=False):
            if edges := place["edges"]:
                on_road = np.array([edges[0]["correlated_lon"], edges[0]["correlated_lat"]])
                gap[row] = great_circle_m(places[row], on_road)
        return np.where(gap <= SNAP_M, gap, np.nan)

    def _matrix(
        self, start: Floats, end: Floats, mode: Mode, search: str
    ) -> tuple[Floats, Floats] | None:
        """Seconds and metres along the roads, NaN without a way; None if Valhalla refuses."""
        places = {"sources": _locations(start), "targets": _locations(end)}
        answer = self._ask("matrix", mode, search, **places)
        if answer is None:
            return None
        if answer == _NO_WAY:
            nowhere = np.full((len(start), len(end)), np.nan)
            return nowhere, nowhere
        table = answer["sources_to_targets"]
        seconds = np.array(table["durations"], dtype=float)
        metres = np.array(table["distances"], dtype=float) * 1000.0
        return seconds, np.where(np.isnan(seconds), np.nan, metres)

    def _ask(self, action: str, mode: Mode, search: str, **request: Any) -> Any:
        """Valhalla's answer, `_NO_WAY`, or None where it refuses the question as a whole."""
        options = {mode.costing: dict(mode.options)}
        question = request | {
            "costing": mode.costing,
            "costing_options": options,
            "verbose": False,
            "units": "kilometers",
        }
        try:
            with self._actor(search) as actor:
                return orjson.loads(getattr(actor, action)(orjson.dumps(question).decode()))
        except (RuntimeError, OSError) as error:
            return _NO_WAY if _NO_WAY in str(error) else None

    @contextmanager
    def _actor(self, search: str) -> Iterator[Any]:
        """An actor for one question; one that failed is not used again."""
        with self._turns:
            try:
                actor = self._idle[search].pop()
            except IndexError:
                actor = self._open(search)
            yield actor
            self._idle[search].append(actor)

    def _open(self, search: str) -> Any:
        from valhalla import Actor  # half a second, for those only who have roads

        config = configuration(tile_extract=self.tiles)
        config["thor"]["source_to_target_algorithm"] = search
        with tempfile.NamedTemporaryFile("wb", suffix=".json") as file:
            file.write(orjson.dumps(config))
            file.flush()
            return Actor(file.name)


def configuration(*, tile_extract: Path | None = None, tile_dir: Path | None = None) -> Any:
    """Valhalla's settings to read an archive of tiles, or to build tiles in a folder."""
    from valhalla import get_config

    # The package hands out its own defaults, not a copy of them. Only a builder tells what it does.
    defaults = get_config(tile_extract or "", tile_dir or "", verbose=tile_dir is not None)
    config = orjson.loads(orjson.dumps(defaults))
    for unused in ("admin", "landmarks", "timezone", "traffic_extract", "transit_dir"):
        config["mjolnir"].pop(unused, None)
    # Without this, one place apart from the others makes it refuse them all.
    config["loki"]["use_connectivity"] = False
    config["thor"]["costmatrix"]["allow_second_pass"] = True
    config["service_limits"]["max_distance_disable_hierarchy_culling"] = EXACT_M
    for limits in config["service_limits"].values():
        if isinstance(limits, dict) and "max_matrix_distance" in limits:
            limits["max_matrix_distance"] = LONGEST_M
            limits["max_matrix_location_pairs"] = max(
                long * short for long, short in BLOCKS.values()
            )
    return config


def great_circle_m(a: npt.ArrayLike, b: npt.ArrayLike) -> Floats:
    """Metres between places (…, 2) on the sphere, broadcast; 0.5 % off the ellipsoid at most."""
    # By the chord through the sphere, which needs no trigonometry for each pair.
    (xa, ya, za), (xb, yb, zb) = _on_unit_sphere(a), _on_unit_sphere(b)
    chord = np.sqrt((xa - xb) ** 2 + (ya - yb) ** 2 + (za - zb) ** 2)
    return np.asarray(2 * EARTH_M * np.arcsin(np.minimum(1.0, chord / 2)))


def _on_unit_sphere(lonlat: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    lon, lat = np.moveaxis(np.radians(np.asarray(lonlat, dtype=float)), -1, 0)
    return np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)


def _places(given: npt.ArrayLike, what: str) -> Floats:
    """(n, 2) longitude and latitude, with NaN for what is not on the globe."""
    lonlat = np.array(given, dtype=float)
    if lonlat.size == 0:
        return np.empty((0, 2))
    if lonlat.ndim != 2 or lonlat.shape[1] != 2:
        raise ValueError(f"{what} are (n, 2) of longitude and latitude, not {lonlat.shape}.")
    with np.errstate(invalid="ignore"):
        lonlat[~(np.abs(lonlat) <= (180, 90)).all(axis=1)] = np.nan
    return lonlat


def _modes(given: str | npt.ArrayLike, count: int, known: Mapping[str, Mode]) -> np.ndarray:
    """(n,) names of modes."""
    names = np.asarray(given, dtype=object)
    if names.ndim and names.shape != (count,):
        raise ValueError(f"modes are one name, or one of each of the {count} origins.")
    names = np.broadcast_to(names, count)
    if unknown := sorted({str(name) for name in names} - set(known)):
        raise ValueError(f"{unknown[0]!r} is no way of moving; there are {', '.join(known)}.")
    return names.astype(str)


def _locations(places: Floats) -> list[dict[str, Any]]:
    return [{"lon": lon, "lat": lat} for lon, lat in places.tolist()]


def _blocks(origins: Ints, targets: Ints, long: int, short: int) -> Iterator[tuple[Ints, Ints]]:
    """The whole matrix in pieces of at most ``long`` by ``short``; nothing if a side is empty."""
    height, width = (long, short) if len(origins) >= len(targets) else (short, long)
    for i in range(0, len(origins), height):
        for j in range(0, len(targets), width):
            yield origins[i : i + height], targets[j : j + width]
