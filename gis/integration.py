"""How well police beats and grids coincide (警网合一): the overlay, its classes, and one index.

All geometries are polygons in metres of one plane (`gis.plane`), beats as an array of b and grids
as an array of g. An `Overlay` is the m:n matrix of the two, as rows. What came out of digitising
twice the same street is told apart from ground that really lies in another beat: a **hair** is a
piece that no circle of `HAIR_WIDTH_M` fits into and that holds less than `HAIR_SHARE` of its grid.
Both are asked for, so that a dyke, narrow as a whole, is no hair, and neither is half a block.

The index of a town is 100 times the plain mean of its parts, each a share of the residents; no
study says which of them matters more, so none does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import shapely

from gis import flaws
from gis.plane import Floats, Geometries, narrower

Ints = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
Words = npt.NDArray[np.str_]

HAIR_WIDTH_M = 10.0
"""Half a street with its pavements: the kerb and the middle of it are the same border."""
HAIR_SHARE = 0.05
"""More than this of a grid is no error of drawing, however narrow."""
ONE, SEVERAL, PART, NONE = "one", "several", "part", "none"
CLASSES = (ONE, SEVERAL, PART, NONE)
"""A grid lies in one beat; in several; in one, but some of it in none; in none at all."""
PARTS = ("whole", "together", "officers", "reach")
"""Of the index: the residents whose grid lies in one beat; who live in their grid's main beat;
whose grid an officer answers for by name; whose grid the police reach in the minutes asked for."""
GAPS = (NONE, PART, SEVERAL, "no_officer", "far")
"""What a grid may lack, the gravest first among those that concern as many residents."""
NOBODY, NOT_COUNTED = "nobody", "not_counted"

_AREA = 1e-9  # of a grid; what is less than this is left over by arithmetic


@dataclass(frozen=True, eq=False)
class Overlay:
    """Beats over grids: a row for each pair that shares ground, by grid and then by beat.

    Attributes
    ----------
    beat, grid : (e,) ndarray of int
        Positions in the arrays that were laid over each other.
    area_m2, share_of_grid, share_of_beat : (e,) ndarray of float
    hair : (e,) ndarray of bool
    pieces : (e,) ndarray of Polygon or MultiPolygon
    beat_m2, grid_m2 : (b,), (g,) ndarray of float
    rest_m2 : (g,) ndarray of float
        Of each grid, the ground in no beat.
    rest_hair : (g,) ndarray of bool
        Whether that is a hair, or nothing.
    overlaps : tuple of three arrays (o,)
        Pairs of beats that share ground, and the m² that they share; hairs among them too.
    """

    beat: Ints
    grid: Ints
    area_m2: Floats
    share_of_grid: Floats
    share_of_beat: Floats
    hair: Bools
    pieces: Geometries
    beat_m2: Floats
    grid_m2: Floats
    rest_m2: Floats
    rest_hair: Bools
    overlaps: tuple[Ints, Ints, Floats]

    @cached_property
    def beats_of_grid(self) -> Ints:
        """(g,) how many beats each grid really lies in, hairs aside."""
        return np.bincount(self.grid[~self.hair], minlength=len(self.grid_m2))

    @cached_property
    def classes(self) -> Words:
        """(g,) of each grid, one of `CLASSES`."""
        count, whole = self.beats_of_grid, self.rest_hair
        chosen = [count == 0, count > 1, ~whole]
        return np.select(chosen, [NONE, SEVERAL, PART], default=ONE)

    @cached_property
    def main(self) -> Ints:
        """(g,) the row of the piece with most ground of each grid; -1: it lies in no beat."""
        order = np.lexsort((-self.beat, self.area_m2))
        rows = np.full(len(self.grid_m2), -1)
        rows[self.grid[order]] = order
        return rows

    @cached_property
    def portion(self) -> Floats:
        """(e,) share of the grid by which it is shared out: where beats overlap, once only."""
        total = np.bincount(self.grid, self.share_of_grid, minlength=len(self.grid_m2))
        return np.asarray(self.share_of_grid / np.maximum(1.0, total[self.grid]))


def overlay(
    beats: Geometries,
    grids: Geometries,
    *,
    hair_width_m: float = HAIR_WIDTH_M,
    hair_share: float = HAIR_SHARE,
) -> Overlay:
    """Lay beats over grids.

    Parameters
    ----------
    beats, grids : (b,) and (g,) arrays of Polygon or MultiPolygon in metres
        Those that are None or empty lie nowhere; invalid ones count with the area that they
        enclose. Beats may overlap and leave gaps.
    hair_width_m, hair_share : float
        What a hair is narrower than, and less than of its grid.

    Examples
    --------
    >>> beats = shapely.box([0, 100], 0, [100, 300], 100)
    >>> grids = shapely.box([0, 50, 202], 0, [50, 150, 350], 100)
    >>> o = overlay(beats, grids)
    >>> o.classes.tolist(), o.grid.tolist(), o.area_m2.tolist()
    (['one', 'several', 'part'], [0, 1, 1, 2], [5000.0, 5000.0, 5000.0, 9800.0])
    """
    beats, grids = flaws.make_valid(beats), flaws.make_valid(grids)
    beat_m2, grid_m2 = (np.nan_to_num(shapely.area(each)) for each in (beats, grids))
    grid, beat, pieces = _pieces(beats, grids)
    area = shapely.area(pieces)
    real = area > _AREA * grid_m2[grid]
    grid, beat, pieces, area = grid[real], beat[real], pieces[real], area[real]
    share = area / grid_m2[grid]
    shared = flaws.overlaps(beats, 1.0)
    rest, rest_m2 = _rest(grids, grid_m2, grid, pieces, area)
    return Overlay(
        beat=beat,
        grid=grid,
        area_m2=area,
        share_of_grid=share,
        share_of_beat=area / beat_m2[beat],
        hair=_hairs(pieces, share, hair_width_m, hair_share),
        pieces=pieces,
        beat_m2=beat_m2,
        grid_m2=grid_m2,
        rest_m2=rest_m2,
        rest_hair=_hairs(rest, rest_m2 / np.maximum(grid_m2, _AREA), hair_width_m, hair_share),
        overlaps=(shared[0], shared[1], shapely.area(shared[2])),
    )


def _pieces(beats: Geometries, grids: Geometries) -> tuple[Ints, Ints, Geometries]:
    """Which grid meets which beat, and where; ordered by grid, then beat."""
    grid, beat = shapely.STRtree(beats).query(grids, predicate="intersects")
    order = np.lexsort((beat, grid))
    grid, beat = grid[order], beat[order]
    shapely.prepare(beats)
    whole = shapely.covers(beats[beat], grids[grid])
    # Most of the others only touch, which is known far sooner than what they share.
    meets = whole.copy()
    meets[~whole] = ~shapely.touches(beats[beat[~whole]], grids[grid[~whole]])
    grid, beat, cut = grid[meets], beat[meets], ~whole[meets]
    pieces = grids[grid]
    pieces[cut] = flaws.polygonal(shapely.intersection(beats[beat[cut]], pieces[cut]))
    return grid, beat, pieces


def _rest(
    grids: Geometries, grid_m2: Floats, grid: Ints, pieces: Geometries, area: Floats
) -> tuple[Geometries, Floats]:
    """(g,) the ground of each grid in no beat, and its m²."""
    rest = np.full(len(grids), shapely.Polygon(), dtype=object)
    count = np.bincount(grid, minlength=len(grids))
    covered = np.bincount(grid, area, minlength=len(grids))
    rest[(count == 0) & (grid_m2 > 0)] = grids[(count == 0) & (grid_m2 > 0)]
    # Where beats overlap, the sum of the pieces does not tell.
    doubtful = (count > 0) & (np.abs(covered - grid_m2) > _AREA * grid_m2)
    starts = np.searchsorted(grid, np.arange(len(grids) + 1))
    for g in np.flatnonzero(doubtful):
        within = shapely.union_all(pieces[starts[g] : starts[g + 1]])
        rest[g] = shapely.difference(grids[g], within)
    rest = flaws.polygonal(rest)
    return rest, np.where(shapely.area(rest) > _AREA * grid_m2, shapely.area(rest), 0.0)


def _hairs(pieces: Geometries, share: Floats, width_m: float, most: float) -> Bools:
    """Which pieces are narrow in every part, and little; what is empty is a hair too."""
    small = np.flatnonzero(share < most)
    parts, owner = shapely.get_parts(pieces[small], return_index=True)
    wide = np.zeros(len(small), dtype=bool)
    wide[owner[(shapely.area(parts) > 0) & ~narrower(parts, width_m)]] = True
    hairs = np.zeros(len(pieces), dtype=bool)
    hairs[small] = ~wide
    return hairs


# --- what lies in the pieces ----------------------------------------------------------------------


def by_area(over: Overlay, totals: npt.ArrayLike) -> Floats:
    """(e,) what each piece has of its grid's total (g,), by its share of the ground.

    NaN where the grid's total is NaN. Ground in no beat keeps its part.
    """
    return np.asarray(np.asarray(totals, dtype=float)[over.grid] * over.portion)


def by_points(
    over: Overlay,
    xy_m: npt.ArrayLike,
    grid: npt.ArrayLike | None = None,
    totals: npt.ArrayLike | None = None,
) -> Floats:
    """(e,) how many of the points (p, 2) lie in each piece.

    Parameters
    ----------
    xy_m : array_like of float, (p, 2)
        NaN where a point's place is not known.
    grid : array_like of int, (p,), optional
        The grid that each point was given to; -1: to none. A point outside its grid, or without a
        place, counts in that grid's main piece. Without it, its place alone decides.
    totals : array_like of float, (g,), optional
        Then the points only tell how a grid's total is spread; by area where a grid has none.
    """
    points = shapely.points(np.asarray(xy_m, dtype=float).reshape(-1, 2))
    known = ~np.isnan(shapely.get_x(points))
    points[~known] = None
    who, piece = shapely.STRtree(over.pieces).query(points, predicate="intersects")
    if grid is not None:
        given = np.asarray(grid, dtype=np.intp)
        right = over.grid[piece] == given[who]
        who, piece = who[right], piece[right]
        lost = np.flatnonzero(~np.isin(np.arange(len(points)), who) & (given >= 0))
        home = over.main[given[lost]] if len(over.main) else lost[:0]
        who, piece = np.r_[who, lost[home >= 0]], np.r_[piece, home[home >= 0]]
    times = np.bincount(who, minlength=len(points))
    counts = np.bincount(piece, 1.0 / times[who], minlength=len(over.grid))
    if totals is None:
        return np.asarray(counts, dtype=float)
    in_grid = np.bincount(over.grid, counts, minlength=len(over.grid_m2))[over.grid]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.asarray(totals, dtype=float)[over.grid] * counts / in_grid
    return np.where(in_grid > 0, spread, by_area(over, totals))


def per_head(
    count: npt.ArrayLike, residents: npt.ArrayLike, per: float = 1000.0
) -> tuple[Floats, Words]:
    """Of each area, a count for so many residents, and why there is none.

    Returns
    -------
    rate : (n,) ndarray of float
        NaN where there is no such rate.
    reason : (n,) ndarray of str
        ``nobody`` lives there, the residents were ``not_counted``, or empty.

    Examples
    --------
    >>> per_head([2, 2, 2], [4000, 0, np.nan])[0].tolist()
    [0.5, nan, nan]
    """
    n, people = np.asarray(count, dtype=float), np.asarray(residents, dtype=float)
    reason = np.select([np.isnan(people), people <= 0], [NOT_COUNTED, NOBODY], default="")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(reason == "", per * n / people, np.nan), reason


# --- the index ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Index:
    """The index of integration of t towns.

    Attributes
    ----------
    value : (t,) ndarray of float
        0 to 100; NaN of a town without grids.
    parts : mapping of each of `PARTS` to (t,) ndarray of float
        0 to 1; NaN where nothing is known of it, and then the mean is that of the others.
    by_residents : (t,) ndarray of bool
        Whether grids count by their residents; False: each alike, for nobody was counted.
    """

    value: Floats
    parts: dict[str, Floats]
    by_residents: Bools


def together(over: Overlay, residents: npt.ArrayLike) -> Floats:
    """(g,) the share of each grid's residents (e, of the pieces) who live in its main beat.

    1 of a grid in one beat, whatever its hairs say; 0 of a grid in none. By area where the grid
    has no residents, or nobody knows of any.
    """
    people = np.nan_to_num(np.asarray(residents, dtype=float))
    size = len(over.grid_m2)
    there = np.bincount(over.grid, people, minlength=size)
    value = np.where(there[over.grid] > 0, people, over.portion)
    best = np.zeros(size)
    np.maximum.at(best, over.grid, value)
    # What lies in no beat lives in nobody's.
    lost = 1.0 - np.bincount(over.grid, over.portion, minlength=size)
    total = np.where(there > 0, there / np.maximum(1.0 - lost, _AREA), 1.0)
    share = np.clip(best / total, 0.0, 1.0)
    return np.where(over.classes == ONE, 1.0, np.where(over.classes == NONE, 0.0, share))


def index(
    parts: Mapping[str, npt.ArrayLike], residents: npt.ArrayLike, town: npt.ArrayLike, towns: int
) -> Index:
    """The index by town, from what is true of each grid.

    Parameters
    ----------
    parts : mapping of name to array_like of float, (g,)
        From 0 to 1, as `PARTS`; NaN where it is not known.
    residents : array_like of float, (g,)
        By which grids count. A grid where nobody was counted has as many as the others on average.
    town : array_like of int, (g,)
        From 0 to `towns`; -1: in none.

    Examples
    --------
    >>> found = index({"whole": [1, 0, 1], "reach": [1, 1, np.nan]}, [300, 100, 0], [0, 0, 1], 2)
    >>> found.value.tolist(), found.by_residents.tolist()
    ([87.5, 100.0], [True, False])
    """
    place = np.asarray(town, dtype=np.intp)
    inside = place >= 0
    place = place[inside]
    people = np.asarray(residents, dtype=float)[inside]
    usual = np.nanmean(people) if np.isfinite(people).any() else 0.0
    people = np.where(np.isnan(people), usual, people)
    lived_in = np.bincount(place, people, minlength=towns) > 0
    weight = np.where(lived_in[place], people, 1.0)
    found: dict[str, Floats] = {}
    for name, values in parts.items():
        value = np.asarray(values, dtype=float)[inside]
        known = np.isfinite(value)
        of = np.bincount(place[known], weight[known], minlength=towns)
        with np.errstate(invalid="ignore", divide="ignore"):
            found[name] = np.bincount(place[known], (weight * value)[known], minlength=towns) / of
    table = np.array(list(found.values())).reshape(len(found), towns)
    known = np.isfinite(table)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, table, 0).sum(axis=0) / known.sum(axis=0)
    return Index(100 * mean, found, lived_in)


def rank_gaps(
    classes: Words,
    residents: npt.ArrayLike,
    in_main: npt.ArrayLike,
    officers: npt.ArrayLike,
    seconds: npt.ArrayLike,
    within_s: float,
) -> tuple[Ints, Words, Floats]:
    """What each grid lacks, what concerns most residents first; all arrays are (g,).

    Parameters
    ----------
    in_main : share of the residents who live in the grid's main beat, see `together`
    officers : how many answer for the grid
    seconds : until the police are there; NaN: never

    Returns
    -------
    grid, kind, residents : arrays of one length
        ``kind`` is one of `GAPS`; of a split grid those who live outside its main beat count.
        A grid where nobody was counted counts as one of nobody, behind the others.
    """
    people = np.nan_to_num(np.asarray(residents, dtype=float))
    late = ~(np.asarray(seconds, dtype=float) <= within_s)
    outside = people * (1.0 - np.asarray(in_main, dtype=float))
    lacking = {
        NONE: (classes == NONE, people),
        PART: (classes == PART, outside),
        SEVERAL: (classes == SEVERAL, outside),
        "no_officer": (np.asarray(officers, dtype=float) == 0, people),
        "far": (late, people),
    }
    grid = np.concatenate([np.flatnonzero(mask) for mask, _ in lacking.values()])
    kind = np.repeat(np.arange(len(GAPS)), [int(mask.sum()) for mask, _ in lacking.values()])
    concerned = np.concatenate([each[mask] for mask, each in lacking.values()])
    order = np.lexsort((grid, kind, -concerned))
    return grid[order], np.array(GAPS)[kind[order]], concerned[order]
