"""A deployment: many people to many places in shifts, by need, quota, skill and distance.

Each site wants so many people in each shift (its quota), some of them with a skill. A person fills
one place, a skilled or a general one, so the quota of a site in a shift is split into places by
skill, and the whole is a min-cost flow (`gis.staffing`).

In which order places are filled
--------------------------------
Every quota that can be met is met: as many places are filled as by any answer. Where people are
too few, minima come first; then each next person goes where the filled share of the quota, divided
by weight, is the smallest (Adams's divisor method, which leaves no site far behind another:
Balinski & Young, *Fair Representation*, 1982). Where shares are equal, the weightier site comes
first. To fill in a fixed order is optimal whoever can reach what (Federgruen & Groenevelt,
*Operations Research* 34, 1986), and turns into convex costs of a flow (Ahuja, Magnanti, Orlin,
*Network Flows*, 1993, ch. 14). Of all answers that fill alike, one with the least travel time is
taken.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from gis.flows import GROUND, Arcs, circulate
from gis.links import TENTH, Floats, Ints, Links, flags, numbers, whole
from gis.staffing import Network, Task

GENERAL = -1


class Cause(StrEnum):
    """What a quota is not met for."""

    REACH = "reach"  # too few people within reach
    SHIFT = "shift"  # enough within reach, too few of them free in the shift
    SKILL = "skill"  # enough free, too few of them with the skills
    SHARED = "shared"  # enough with the skills, but they are wanted elsewhere as well


@dataclass(frozen=True)
class Gap:
    """A quota that is not met, and why.

    Attributes
    ----------
    site, shift : int
    wanted, minimum, filled : int
        The quota, what it must have at least, and how many come.
    within_reach, free, alone : int
        Of the quota, how much the people within reach could fill; those of them who are free in the
        shift; those with their skills, if no other site wanted them.
    skills : dict of int to int
        How many of each skill are missing.
    """

    site: int
    shift: int
    wanted: int
    minimum: int
    filled: int
    within_reach: int
    free: int
    alone: int
    skills: dict[int, int]

    @property
    def missing(self) -> int:
        """How many are missing."""
        return self.wanted - self.filled

    @property
    def parts(self) -> dict[Cause, int]:
        """How many of the missing are missing for which cause; adds up to `missing`."""
        steps = (self.wanted, self.within_reach, self.free, self.alone, self.filled)
        return {cause: steps[i] - steps[i + 1] for i, cause in enumerate(Cause)}

    @property
    def cause(self) -> Cause:
        """The cause that most are missing for; of two alike the earlier one of `Cause`."""
        return max(self.parts, key=lambda cause: self.parts[cause])


@dataclass(frozen=True, eq=False)
class Deployment:
    """Who goes where and when: a assignments, ordered by site, shift, person.

    Attributes
    ----------
    person, site, shift : (a,) ndarray of int
    skill : (a,) ndarray of int
        The skill that the place asks for; -1 for a general place.
    seconds : (a,) ndarray of float
        Travel times, to a tenth of a second.
    filled : (s, h) ndarray of int
        How many come to each site in each shift.
    gaps : tuple of Gap
        The quotas that are not met, by site and shift.
    islands : ndarray of int
        Sites that want people and that nobody can reach in time.
    """

    person: Ints
    site: Ints
    shift: Ints
    skill: Ints
    seconds: Floats
    filled: Ints
    gaps: tuple[Gap, ...]
    islands: Ints

    @property
    def total_s(self) -> float:
        """The travel time of all, seconds; a person who takes two shifts travels twice."""
        return float(np.rint(self.seconds * TENTH).sum()) / TENTH


def deploy(
    links: Links,
    quota: ArrayLike,
    *,
    minimum: ArrayLike = 0,
    weight: ArrayLike = 1,
    skilled: ArrayLike | None = None,
    skills: ArrayLike | None = None,
    available: ArrayLike | None = None,
    most: ArrayLike = 1,
    within_s: ArrayLike = np.inf,
) -> Deployment:
    """Send p people to s sites in h shifts.

    Parameters
    ----------
    links : Links
        People × sites: travel seconds of the pairs that are possible.
    quota : (s,) or (s, h) int
        How many people a site wants, in each shift.
    minimum : int, (s,) or (s, h)
        How many of them it must have; minima are filled before any quota.
    weight : (s,) float or one for all
        Above 0; a site of weight 2 is filled to twice the share of one of weight 1.
    skilled : (s, g) or (s, h, g) int, optional
        How many of the quota must have each of g skills; one person counts for one of them.
    skills : (p, g) bool, optional
        Who has which skill.
    available : (p, h) bool, optional
        Who is free in which shift; all in all by default.
    most : (p,) int or one for all
        How many shifts a person takes at most; in one shift a person is at one site.
    within_s : (p,) float or one for all
        How long a person travels at most, seconds.

    Returns
    -------
    Deployment
        The same for the same pairs in whatever order they are given. A person without a link, a
        site without a quota and no people at all are fine.

    Raises
    ------
    ValueError
        Wrong shapes, negative numbers, NaN, a minimum above its quota, or skilled places that are
        more than the quota.

    Examples
    --------
    >>> links = Links.dense([[60, 300], [90, 120], [30, 900]])
    >>> plan = deploy(links, quota=[2, 2], within_s=600)
    >>> list(zip(plan.person.tolist(), plan.site.tolist())), plan.total_s
    ([(0, 0), (2, 0), (1, 1)], 210.0)
    >>> [(gap.site, gap.missing, gap.cause.value) for gap in plan.gaps]
    [(1, 1, 'shared')]
    """
    people, sites = links.shape
    limit_s = numbers(within_s, "within_s", (people,))
    links = links.where(links.seconds <= limit_s[links.row])
    task = _checked(links, quota, minimum, weight, skilled, skills, available, most)
    network = Network(task)
    link, shift = network.cheapest()
    order = np.lexsort((links.row[link], shift, links.column[link]))
    link, shift = link[order], shift[order]
    person, site = links.row[link], links.column[link]
    shifts = task.quota.shape[1]
    slot = site * shifts + shift
    skill = _seats(task, person, slot)
    filled = np.bincount(slot, minlength=sites * shifts).reshape(task.quota.shape)
    wanted = task.quota.sum(axis=1) > 0
    return Deployment(
        person,
        site,
        shift,
        skill,
        links.tenths[link] / TENTH,
        filled,
        _gaps(network, filled, slot, skill),
        np.flatnonzero(wanted & (np.bincount(links.column, minlength=sites) == 0)),
    )


def _checked(
    links: Links,
    quota: ArrayLike,
    minimum: ArrayLike,
    weight: ArrayLike,
    skilled: ArrayLike | None,
    skills: ArrayLike | None,
    available: ArrayLike | None,
    most: ArrayLike,
) -> Task:
    people, sites = links.shape
    wanted = np.asarray(quota)
    shape = (sites, wanted.shape[1] if wanted.ndim == 2 else 1)
    wanted = whole(_column(quota), "quota", shape)
    least = whole(_column(minimum), "minimum", shape)
    share = numbers(weight, "weight", (sites,))
    if not ((share > 0) & np.isfinite(share)).all():
        raise ValueError("weight must be above 0 and finite.")
    if (skilled is None) != (skills is None):
        raise ValueError("skilled and skills belong together: give both or neither.")
    has = np.zeros((people, 0)) if skills is None else np.asarray(skills)
    if has.ndim != 2:
        raise ValueError(f"skills must be people × skills, not of {has.ndim} dimensions.")
    places = np.zeros((sites, 1, 0)) if skilled is None else np.asarray(skilled)
    if places.ndim == 2:
        places = places[:, None]
    places = whole(places, "skilled", (*shape, has.shape[1]))
    for name, part in (("minimum", least), ("skilled", places.sum(axis=2))):
        for site, shift in np.argwhere(part > wanted)[:1]:
            raise ValueError(
                f"{name} of site {site} in shift {shift} is {part[site, shift]}, more than its "
                f"quota of {wanted[site, shift]}."
            )
    free = np.ones((people, shape[1])) if available is None else available
    at_most = whole(most, "most", (people,))
    return Task(
        links,
        wanted,
        least,
        share,
        places.reshape(sites * shape[1], has.shape[1]),
        flags(has, "skills", (people, has.shape[1])),
        flags(free, "available", (people, shape[1])) & (at_most > 0)[:, None],
        at_most,
    )


def _column(values: ArrayLike) -> ArrayLike:
    """Values by site alone as a column, the same in every shift."""
    array = np.asarray(values)
    return array[:, None] if array.ndim == 1 else array


def _seats(task: Task, person: Ints, slot: Ints) -> Ints:
    """The skill of the place that each takes, with as many skilled places filled as can be."""
    of_slot, of_skill = np.indices(task.skilled.shape).reshape(2, -1)
    seat_slot, seat_skill = (np.repeat(a, task.skilled.ravel()) for a in (of_slot, of_skill))
    starts = np.searchsorted(seat_slot, slot)
    count = np.searchsorted(seat_slot, slot, side="right") - starts
    row = np.repeat(np.arange(len(slot)), count)
    seat = (
        np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(starts, count)
    )
    fits = task.skills[person[row], seat_skill[seat]]
    row, seat = row[fits], seat[fits]
    graph = csr_array((np.ones(len(row), np.int8), (row, seat)), (len(slot), len(seat_slot)))
    taken = maximum_bipartite_matching(graph, perm_type="column")
    skill = np.full(len(slot), GENERAL)
    skill[taken >= 0] = seat_skill[taken[taken >= 0]]
    return skill


def _gaps(network: Network, filled: Ints, slot: Ints, skill: Ints) -> tuple[Gap, ...]:
    """The quotas that are not met, with what of them could be met under fewer conditions."""
    task = network.task
    if (filled == task.quota).all():
        return ()
    came = network.comers()
    free = np.minimum(came.reshape(*task.quota.shape, -1).sum(axis=2), task.quota)
    reach = np.bincount(task.links.column, minlength=len(task.quota))[:, None]
    # Each slot for itself, as if its people were wanted nowhere else.
    alone = circulate(
        Arcs.of(network.slots + np.arange(task.quota.size), GROUND, task.quota.ravel(), -1)
        + Arcs.of(GROUND, network.entries + np.arange(len(came)), came)
        + network.seats()
    )[: task.quota.size].reshape(task.quota.shape)
    missing = task.skilled.copy()
    np.subtract.at(missing, (slot[skill >= 0], skill[skill >= 0]), 1)
    return tuple(
        Gap(
            int(site), int(shift), int(task.quota[at]), int(task.minimum[at]), int(filled[at]),
            int(min(reach[site, 0], task.quota[at])), int(free[at]), int(alone[at]),
            {int(g): int(missing[site * network.shifts + shift, g])
             for g in np.flatnonzero(missing[site * network.shifts + shift])},
        )
        for site, shift in np.argwhere(filled < task.quota)
        for at in [(site, shift)]
    )  # fmt: skip
