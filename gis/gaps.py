"""When people are sent: which places are now without anyone in time, and who should move up where.

A place is covered if somebody who is not sent can be there within so many seconds. Moving a few
people to standby places so that the most weight is covered again is the maximal covering location
problem (Church & ReVelle, *Papers of the Regional Science Association* 32, 1974) as a relocation
(Gendreau, Laporte, Semet, *Parallel Computing* 27, 2001; *Journal of the Operational Research
Society* 57, 2006). It is solved as an integer programme by HiGHS with a limit of time, beside a
greedy answer that is always there. Either way the answer carries a proven bound.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import block_array, csr_array, eye_array

from gis.links import Bools, Floats, Ints, Links, flags, numbers, whole

_SLACK = 1e-7  # of the largest weight: what the solver may lose in rounding


class Method(StrEnum):
    """How moves were found."""

    EXACT = "exact"  # no better moves exist
    SEARCH = "search"  # the best that the integer programme found before its time was over
    GREEDY = "greedy"  # one move after another, each the best


@dataclass(frozen=True, eq=False)
class Cover:
    """How many people cover each of m places, before and after some were sent.

    Attributes
    ----------
    before, after : (m,) ndarray of int
        People within reach of each place, of all and of those who are not sent.
    weight : (m,) ndarray of float
    """

    before: Ints
    after: Ints
    weight: Floats

    @property
    def uncovered(self) -> Ints:
        """Places that nobody covers now."""
        return np.flatnonzero(self.after == 0)

    @property
    def lost(self) -> Ints:
        """Places that nobody covers now and somebody covered before."""
        return np.flatnonzero((self.after == 0) & (self.before > 0))

    @property
    def islands(self) -> Ints:
        """Places that nobody covered before either."""
        return np.flatnonzero(self.before == 0)

    @property
    def share_before(self) -> float:
        """The covered share of the weight before; NaN if there is no weight."""
        return self._share(self.before)

    @property
    def share_after(self) -> float:
        """The covered share of the weight now; NaN if there is no weight."""
        return self._share(self.after)

    def _share(self, count: Ints) -> float:
        total = float(self.weight.sum())
        return float(self.weight[count > 0].sum()) / total if total else float("nan")


@dataclass(frozen=True, eq=False)
class Relocation:
    """Who should move up where: r moves, ordered by person.

    Attributes
    ----------
    person, standby : (r,) ndarray of int
    seconds : (r,) ndarray of float
        How long each move takes.
    regained : ndarray of int
        Places that are covered again.
    gain, bound : float
        The weight of these places, and the weight that no moves whatever can exceed.
    after : (m,) ndarray of int
        People within reach of each place once all have moved.
    method : Method
    """

    person: Ints
    standby: Ints
    seconds: Floats
    regained: Ints
    gain: float
    bound: float
    after: Ints
    method: Method


def cover(reach: Links, weight: ArrayLike, sent: ArrayLike, within_s: float) -> Cover:
    """Count who covers each place before and after some people are sent.

    Parameters
    ----------
    reach : Links
        People × places: travel seconds from where people are.
    weight : (m,) float or one for all
        What a place counts, at least 0: residents, or incidents an hour.
    sent : (p,) bool
        Who has been sent and covers nothing now.
    within_s : float
        A place is covered by who can be there within so many seconds.

    Raises
    ------
    ValueError
        Wrong shapes, negative weights, NaN.

    Examples
    --------
    >>> found = cover(Links.dense([[60, 400], [90, 900]]), [3, 1], sent=[True, False], within_s=600)
    >>> found.lost.tolist(), found.share_before, found.share_after
    ([1], 1.0, 0.75)
    """
    people, places = reach.shape
    away = flags(sent, "sent", (people,))
    heavy = numbers(weight, "weight", (places,))
    if not ((heavy >= 0) & np.isfinite(heavy)).all():
        raise ValueError("weight must be at least 0 and finite.")
    near = reach.column[reach.seconds <= _limit(within_s, "within_s")]
    by = reach.row[reach.seconds <= within_s]
    before = np.bincount(near, minlength=places)
    return Cover(before, np.bincount(near[~away[by]], minlength=places), heavy)


def relocate(
    reach: Links,
    weight: ArrayLike,
    sent: ArrayLike,
    within_s: float,
    *,
    to_standby: Links,
    from_standby: Links,
    most: int,
    move_within_s: float = np.inf,
    time_limit_s: float = 5.0,
) -> Relocation:
    """Choose at most so many moves to standby places that regain the most weight.

    No place that is covered becomes uncovered: a mover leaves the old place, so it must be covered
    by others who stay or move. Of moves that regain alike, the fewest seconds of travel, as far as
    the time goes: half of it is for either question.

    Parameters
    ----------
    reach, weight, sent, within_s
        As for `cover`.
    to_standby : Links
        People × standby places: how long a move takes.
    from_standby : Links
        Standby places × places: travel seconds of whoever stands there.
    most : int
        How many may move.
    move_within_s : float
        How long a move takes at most, seconds.
    time_limit_s : float
        Seconds of search for the exact answer; 0 for the greedy one alone. A search that is cut
        off may end elsewhere on another machine; all other answers are always the same.

    Notes
    -----
    Only promising moves are looked at, which loses nothing: who covers no place that `most`
    departures could uncover is as good as anybody, so of those the nearest `most` to each standby
    place are enough, and nobody farther away than these is needed. Where each standby place has as
    many, the greedy answer regains at least 1 - 1/e of the best (Nemhauser, Wolsey, Fisher,
    *Mathematical Programming* 14, 1978).

    Examples
    --------
    The second of two people is sent; the first moves to where both places can be reached from:

    >>> reach = Links.dense([[60, 900], [900, 60]])
    >>> found = relocate(reach, [5, 3], [False, True], 600, most=1,
    ...     to_standby=Links.dense([[300], [300]]), from_standby=Links.dense([[350, 350]]))
    >>> found.person.tolist(), found.standby.tolist(), found.gain, found.method.value
    ([0], [0], 3.0, 'exact')
    """
    now = cover(reach, weight, sent, within_s)
    people, places = reach.shape
    stands = to_standby.shape[1]
    if to_standby.shape[0] != people or from_standby.shape != (stands, places):
        raise ValueError(
            f"With {people} people and {places} places, to_standby must be people × standby places "
            f"and from_standby standby places × places, not {to_standby.shape} and "
            f"{from_standby.shape}."
        )
    k = int(whole(most, "most", ()))
    limit_s = _limit(time_limit_s, "time_limit_s")
    possible = to_standby.where(
        (to_standby.seconds <= _limit(move_within_s, "move_within_s"))
        & ~flags(sent, "sent", (people,))[to_standby.row]
    )
    moves = _Moves(now, _within(reach, within_s), possible, _within(from_standby, within_s), k)
    chosen, bound = moves.greedy()
    method = Method.GREEDY
    if limit_s > 0:
        found, proven, done = moves.exact(limit_s)
        if found is not None and (done or moves.gain(found) > moves.gain(chosen)):
            chosen, method = found, Method.EXACT if done else Method.SEARCH
        bound = min(bound, proven)
    return moves.answer(chosen, bound, method)


class _Moves:
    """The moves that are worth looking at, and what each uncovers and covers."""

    def __init__(
        self, now: Cover, reach: csr_array, possible: Links, stands: csr_array, most: int
    ) -> None:
        self.now, self.most = now, most
        # So many departures could uncover these; of the others enough stay whoever goes.
        at_risk = (now.after > 0) & (now.after <= most)
        useful = stands @ ((now.after == 0) | at_risk).astype(np.int32) > 0
        possible = possible.where(useful[possible.column])
        harmless = reach @ at_risk.astype(np.int32) == 0
        self.links = possible.where(_promising(possible, harmless, most))
        self.stands = stands
        self.leaves = reach[self.links.row]  # moves × places
        self.joins = stands[self.links.column]
        self.stays = self.leaves.multiply(self.joins).tocsr()  # covered from both

    def gain(self, chosen: Ints) -> float:
        """The weight that moves regain."""
        return float(self.now.weight[(self.now.after == 0) & (self._after(chosen) > 0)].sum())

    def answer(self, chosen: Ints, bound: float, method: Method) -> Relocation:
        """The answer with these moves."""
        after, chosen = self._after(chosen), np.sort(chosen)
        regained = np.flatnonzero((self.now.after == 0) & (after > 0))
        gain = self.gain(chosen)
        bound = gain if method == Method.EXACT else max(gain, bound)
        person, standby = self.links.row[chosen], self.links.column[chosen]
        seconds = self.links.seconds[chosen]
        return Relocation(person, standby, seconds, regained, gain, bound, after, method)

    def _after(self, chosen: Ints) -> Ints:
        joined, left = (np.asarray(a[chosen].sum(axis=0)) for a in (self.joins, self.leaves))
        return np.asarray(self.now.after + joined - left, np.int64)

    def greedy(self) -> tuple[Ints, float]:
        """One move after another, each the one that regains the most and uncovers nothing.

        Also a bound: from wherever the greedy answer stands, no `most` standby places add more than
        the `most` that add the most each, for what places add only shrinks.
        """
        chosen: list[int] = []
        gained, bound = 0.0, float(self.now.weight[self.now.after == 0].sum())
        free = np.ones(len(self.links), bool)
        while True:
            after = self._after(np.array(chosen, np.int64))
            adds = self.stands @ np.where(after == 0, self.now.weight, 0.0)
            bound = min(bound, gained + float(np.sort(adds)[::-1][: self.most].sum()))
            alone = (after == 1).astype(np.int32)
            safe = self.leaves @ alone == self.stays @ alone
            worth = np.where(free & safe, adds[self.links.column], 0.0)
            if len(chosen) == self.most or not worth.any():
                return np.array(chosen, np.int64), bound
            best = np.flatnonzero(worth == worth.max())
            move = int(best[np.argmin(self.links.seconds[best])])
            gained += float(worth[move])
            free &= self.links.row != self.links.row[move]
            chosen.append(move)

    def exact(self, limit_s: float) -> tuple[Ints | None, float, bool]:
        """The best moves (None if none were found in time), a bound, and whether it is proven."""
        gaps = np.flatnonzero((self.now.after == 0) & (self.now.weight > 0))
        if not len(gaps) or not len(self.links) or not self.most:
            return np.zeros(0, np.int64), 0.0, True
        rules = self._rules(gaps)
        moves, scale = len(self.links), float(self.now.weight[gaps].max())
        regained = np.r_[np.zeros(moves), self.now.weight[gaps] / scale]
        first = _solve(-regained, rules, moves, limit_s / 2)
        bound = -scale * first.mip_dual_bound if first.mip_dual_bound is not None else np.inf
        if first.x is None:
            return None, bound, False
        # As much again, with less travel; a move in no time is a move all the same.
        enough = LinearConstraint(regained[None], -first.fun - _SLACK)
        travel = np.r_[self.links.seconds + 1, np.zeros(len(gaps))]
        second = _solve(travel, [*rules, enough], moves, limit_s / 2)
        best = first.x if second.x is None else second.x
        return np.flatnonzero(best[:moves] > 0.5), bound, first.status == 0

    def _rules(self, gaps: Ints) -> list[LinearConstraint]:
        """Variables are moves, then gaps that are covered again."""
        moves = len(self.links)
        held = np.flatnonzero((self.now.after > 0) & (self.leaves.sum(axis=0) > 0))
        held = held[self.now.after[held] <= self.most]
        person, row = np.unique(self.links.row, return_inverse=True)
        one_each = csr_array((np.ones(moves), (row, np.arange(moves))), (len(person), moves))
        wide = np.r_[np.ones(moves), np.zeros(len(gaps))]
        net = (self.leaves[:, held] - self.joins[:, held]).T
        gap = block_array([[-self.joins[:, gaps].T, eye_array(len(gaps))]])
        return [
            LinearConstraint(wide[None], ub=self.most),
            LinearConstraint(_widen(one_each, len(gaps)), ub=1),
            LinearConstraint(_widen(net, len(gaps)), ub=self.now.after[held] - 1),
            LinearConstraint(gap, ub=0),
        ]


def _promising(possible: Links, harmless: Bools, most: int) -> Bools:
    """Of each standby place's moves by time, those up to the `most`-th by somebody harmless."""
    order = np.lexsort((possible.row, possible.seconds, possible.column))
    column, counts = possible.column[order], harmless[possible.row[order]].astype(np.int64)
    before = np.cumsum(counts) - counts
    starts = np.searchsorted(column, column)
    keep = np.zeros(len(possible), bool)
    keep[order] = before - before[starts] < most
    return keep


def _solve(cost: Floats, rules: list[LinearConstraint], whole_until: int, limit_s: float) -> Any:
    integral = (np.arange(len(cost)) < whole_until).astype(int)
    options = {"time_limit": min(limit_s, 1e9), "mip_rel_gap": 0.0}
    return milp(cost, integrality=integral, bounds=Bounds(0, 1), constraints=rules, options=options)


def _widen(rows: Any, columns: int) -> csr_array:
    """With columns of zeros on the right."""
    wide = csr_array(rows)
    wide.resize((wide.shape[0], wide.shape[1] + columns))
    return wide


def _within(links: Links, within_s: float) -> csr_array:
    near = links.where(links.seconds <= within_s)
    return csr_array((np.ones(len(near), np.int32), (near.row, near.column)), links.shape)


def _limit(value: float, name: str) -> float:
    number = float(numbers(value, name, ()))
    if number < 0:
        raise ValueError(f"{name} must be at least 0, not {number:g}.")
    return number
