"""A queue of incidents matched to free people together, beside what one after another would give.

Sending the nearest person to each incident in turn is short-sighted: the first takes somebody who
was the only one near the second. All incidents together are a transportation problem, solved
exactly as a min-cost flow.

How two answers compare
-----------------------
An answer is better if it serves more of the most urgent class; if equal, more of the next; if
equal in all, if it takes less travel time in total. What serves a class more is first the number of
incidents that somebody goes to, then the number of people sent. `Pairs.loss` is just that, as a
tuple of which the smaller is better. The joint answer has the least loss of all answers, so it is
never worse than the greedy one; it may take longer only where it serves more.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from gis.flows import GROUND, Arcs, circulate, rewards
from gis.links import TENTH, Floats, Ints, Links, numbers, whole


@dataclass(frozen=True, eq=False)
class Pairs:
    """Who goes where: p pairs, ordered by incident, then by travel time, then by resource.

    Attributes
    ----------
    incident, resource : (p,) ndarray of int
    seconds : (p,) ndarray of float
        Travel times, to a tenth of a second.
    shortfall : (n,) ndarray of int
        How many each incident wants and does not get.
    served : (c, 2) ndarray of int
        By class, the most urgent first: incidents that somebody goes to, people sent.
    """

    incident: Ints
    resource: Ints
    seconds: Floats
    shortfall: Ints
    served: Ints

    @property
    def total_s(self) -> float:
        """The travel time of all, seconds."""
        return self._tenths / TENTH

    @property
    def loss(self) -> tuple[int, ...]:
        """The order of answers: the smaller tuple is the better answer."""
        return (*(-self.served).ravel().tolist(), self._tenths)

    @property
    def _tenths(self) -> int:
        return int(np.rint(self.seconds * TENTH).sum())


@dataclass(frozen=True, eq=False)
class Matching:
    """The joint answer, the greedy one, and what is between them.

    Attributes
    ----------
    joint, greedy : Pairs
    classes : (c,) ndarray of float
        The priorities that occur, the most urgent (the smallest) first.
    islands : ndarray of int
        Incidents that nobody can get to, whoever is free.
    """

    joint: Pairs
    greedy: Pairs
    classes: Floats
    islands: Ints

    @property
    def saved_s(self) -> float:
        """Seconds that the joint answer takes less; not negative where both serve the same."""
        return (self.greedy._tenths - self.joint._tenths) / TENTH

    @property
    def more(self) -> Ints:
        """(c, 2) what the joint answer serves more: incidents reached, people sent."""
        return self.joint.served - self.greedy.served


@dataclass(frozen=True, eq=False)
class _Queue:
    """What is asked, checked: links of incidents × resources with room, and who wants how many."""

    links: Links
    need: Ints
    capacity: Ints
    rank: Ints  # the class of each incident, 0 the most urgent

    def pairs(self, chosen: Ints) -> Pairs:
        """The answer that sends along the chosen links."""
        links = self.links
        incident, resource, tenths = (a[chosen] for a in (links.row, links.column, links.tenths))
        order = np.lexsort((resource, tenths, incident))
        sent = np.bincount(incident, minlength=len(self.need))
        classes = int(self.rank.max(initial=-1)) + 1
        served = [
            np.bincount(self.rank, weight, classes).astype(np.int64) for weight in (sent > 0, sent)
        ]
        return Pairs(
            incident[order],
            resource[order],
            tenths[order] / TENTH,
            self.need - sent,
            np.column_stack(served),
        )


def match(
    links: Links, need: ArrayLike = 1, capacity: ArrayLike = 1, priority: ArrayLike = 0
) -> Matching:
    """Match n incidents to m resources together, and one after another for comparison.

    Parameters
    ----------
    links : Links
        Incidents × resources: travel seconds of the pairs that are possible, for example the 25
        candidates of each incident (`Links.of`) or a whole matrix (`Links.dense`).
    need : (n,) int or one for all
        How many resources an incident wants, at least 1; each of them another one.
    capacity : (m,) int or one for all
        How many tasks a resource can take on top of those it has, at least 0.
    priority : (n,) float or one for all
        Urgency; the smaller, the more urgent.

    Returns
    -------
    Matching
        The same for the same pairs in whatever order they are given. Of no incidents or no
        resources: no pairs.

    Raises
    ------
    ValueError
        Wrong shapes, a need below 1, a negative capacity, a NaN.

    Notes
    -----
    Greedy takes the incidents by urgency, then as given, each with the nearest who have room; of
    two equally near the one with the smaller index.

    Examples
    --------
    The first incident would take the only one who is near the second:

    >>> found = match(Links.dense([[60, 90], [70, 600]]))
    >>> found.joint.resource.tolist(), found.joint.total_s
    ([1, 0], 160.0)
    >>> found.greedy.resource.tolist(), found.saved_s
    ([0, 1], 500.0)
    """
    incidents, resources = links.shape
    urgency, rank = np.unique(numbers(priority, "priority", (incidents,)), return_inverse=True)
    room = whole(capacity, "capacity", (resources,))
    queue = _Queue(
        links.where(room[links.column] > 0),
        whole(need, "need", (incidents,), least=1),
        room,
        rank.astype(np.int64),
    )
    reached = np.bincount(links.row, minlength=incidents) > 0
    return Matching(
        queue.pairs(_jointly(queue)),
        queue.pairs(_greedily(queue)),
        urgency,
        np.flatnonzero(~reached),
    )


def _jointly(queue: _Queue) -> Ints:
    """Links of the answer with the least loss: ground → resource → incident → ground."""
    links = queue.links
    used, resource = np.unique(links.column, return_inverse=True)
    incidents = 1 + np.arange(len(queue.need))
    resources = 1 + len(incidents) + np.arange(len(used))
    longest = int(links.tenths.max(initial=0)) * min(len(incidents), len(used))
    # A class is reached first, then served: the first of an incident ranks above the others.
    first, others = (
        Arcs.of(incidents, GROUND, number, -reward)
        for number, reward in zip(
            (np.ones_like(queue.need), queue.need - 1),
            np.split(rewards(np.r_[2 * queue.rank, 2 * queue.rank + 1], longest), 2),
            strict=True,
        )
    )
    travel = Arcs.of(resources[resource], incidents[links.row], 1, links.tenths)
    supply = Arcs.of(GROUND, resources, queue.capacity[used])
    return np.flatnonzero(circulate(travel + supply + first + others)[: len(links)])


def _greedily(queue: _Queue) -> Ints:
    """Links of the answer that serves one incident after another."""
    links = queue.links
    by_time = np.lexsort((links.column, links.tenths, links.row))
    starts = np.searchsorted(links.row, np.arange(len(queue.need) + 1))
    room = queue.capacity.copy()
    chosen = [np.zeros(0, np.int64)]
    for incident in np.argsort(queue.rank, kind="stable"):
        near = by_time[starts[incident] : starts[incident + 1]]
        taken = near[room[links.column[near]] > 0][: queue.need[incident]]
        room[links.column[taken]] -= 1
        chosen.append(taken)
    return np.concatenate(chosen)
