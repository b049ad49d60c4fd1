"""The flow network of a deployment: people → people in a shift → sites in the shift → quotas.

What is asked and in which order places are filled, `gis.deployment` says.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from gis.flows import GROUND, Arcs, circulate, potentials, rewards
from gis.links import Bools, Floats, Ints, Links

_NEAREST = 32  # links of a person to begin with; more are taken in as they prove worth it
_FEW = 200_000  # links of which none is left out to begin with
_MARGIN = 600  # tenths of a second: what is nearly worth it is taken in too, for fewer rounds
_BLOCK = 2**16


@dataclass(frozen=True, eq=False)
class Task:
    """What is asked, checked. A slot is a site in a shift: number site × shifts + shift."""

    links: Links
    quota: Ints  # (s, h)
    minimum: Ints  # (s, h)
    weight: Floats  # (s,)
    skilled: Ints  # (slots, g) places that ask for a skill
    skills: Bools  # (p, g)
    available: Bools  # (p, h)
    most: Ints  # (p,)


class Network:
    """The flow network of a task, and where its nodes are.

    ground → person → person in a shift → entry → place by skill → slot → ground. People of one
    entry have the same ones of the skills that the slot asks for.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        people, self.shifts = task.available.shape
        slots, skills = task.skilled.shape
        kinds, kind = np.unique(task.skills, axis=0, return_inverse=True)
        self.kinds, self.kind = kinds, kind.ravel()
        asked, pattern = np.unique(task.skilled > 0, axis=0, return_inverse=True)
        self.pattern = pattern.ravel()
        # Of kinds that differ only in skills that the slot does not ask for, the first stands.
        self.same = np.zeros((len(asked), len(kinds)), np.int64)
        for row, mask in zip(self.same, asked, strict=True):
            _, first, alike = np.unique(
                kinds & mask, axis=0, return_index=True, return_inverse=True
            )
            row[:] = first[alike.ravel()]
        ends = np.cumsum(
            [1, people, people * self.shifts, slots * len(kinds), slots * (skills + 1)]
        )
        self.persons, self.on_shift, self.entries, self.places, self.slots = ends.tolist()
        self.nodes = self.slots + slots

    def entry(self, link: Ints, shift: Ints | int) -> Ints:
        """The entries that links lead to."""
        slot = self.task.links.column[link] * self.shifts + shift
        if len(self.kinds) == 1:
            return np.asarray(slot)
        kind = self.same[self.pattern[slot], self.kind[self.task.links.row[link]]]
        return np.asarray(slot * len(self.kinds) + kind)

    def travels(self, links: Bools) -> tuple[Arcs, Ints, Ints]:
        """Arcs along some of the links, in every shift that fits; link and shift of each."""
        task, some = self.task, np.flatnonzero(links)
        fits = task.available[task.links.row[some]] & (task.quota > 0)[task.links.column[some]]
        place, shift = np.nonzero(fits)
        link = some[place]
        tail = self.on_shift + task.links.row[link] * self.shifts + shift
        head = self.entries + self.entry(link, shift)
        return Arcs.of(tail, head, 1, task.links.tenths[link]), link, shift

    def supply(self) -> Arcs:
        """Each person as often as they will, once a shift."""
        person, shift = np.nonzero(self.task.available)
        each = np.arange(len(self.task.most))
        return Arcs.of(GROUND, self.persons + each, self.task.most) + Arcs.of(
            self.persons + person, self.on_shift + person * self.shifts + shift
        )

    def seats(self) -> Arcs:
        """From entries through places by skill to slots."""
        task = self.task
        skills = task.skilled.shape[1]
        general = task.quota.ravel() - task.skilled.sum(axis=1)
        count = np.column_stack([task.skilled, general])
        kinds = len(self.kinds)
        first = self.same[self.pattern] == np.arange(kinds)
        fits = np.column_stack([self.kinds, np.ones(kinds, bool)])
        slot, kind, place = np.nonzero(first[:, :, None] & fits & (count > 0)[:, None])
        at, by = np.nonzero(count)
        return Arcs.of(
            self.entries + slot * kinds + kind,
            self.places + slot * (skills + 1) + place,
            task.quota.ravel()[slot],
        ) + Arcs.of(self.places + at * (skills + 1) + by, self.slots + at, count[at, by])

    def quotas(self) -> Arcs:
        """Each person whom a slot wants, rewarded by how urgently."""
        task = self.task
        quota, minimum = task.quota.ravel(), task.minimum.ravel()
        slot = np.repeat(np.arange(len(quota)), quota)
        before = np.arange(len(slot)) - np.repeat(np.cumsum(quota) - quota, quota)
        must = before < minimum[slot]
        weight = task.weight[slot // self.shifts]
        share = before / (np.where(must, minimum[slot], quota[slot]) * weight)
        # Where shares are equal, as at the start, the weightier goes first.
        order = np.lexsort((-weight, share, ~must))
        keys = np.column_stack([~must, share, -weight])[order]
        rank = np.zeros(len(slot), np.int64)
        rank[order[1:]] = np.cumsum((np.diff(keys, axis=0) != 0).any(axis=1))
        # A simple path comes through each entry, and through each person's shift, once at most.
        steps = min(self.entries - self.on_shift, self.places - self.entries)
        longest = int(task.links.tenths.max(initial=0)) * steps
        return Arcs.of(self.slots + slot, GROUND, 1, -rewards(rank, longest))

    def cheapest(self) -> tuple[Ints, Ints]:
        """Link and shift of each assignment of the best answer.

        Of 5 million links some ten thousand matter: begin with the nearest, of which the first
        answer leaves few, and take in those whose reduced cost says that the answer could be better
        with them, until there are none. Then it is proven that no link which was left out would
        make it better.
        """
        rest = self.supply() + self.seats() + self.quotas()
        active = _nearest(self.task.links, self.task.quota.max(axis=1, initial=0))
        kept = np.zeros_like(active)
        while True:
            travels, link, shift = self.travels(active)
            flow = circulate(travels + rest)
            if not active.all():
                extra = self._extra_cost(potentials(travels + rest, flow, self.nodes))
                if (extra[~active] < 0).any():
                    active = kept = kept | (extra < _MARGIN)
                    continue
            used = np.flatnonzero(flow[: len(travels)])
            return link[used], shift[used]

    def comers(self) -> Ints:
        """How many people within reach and free could come by each entry."""
        count = np.zeros(self.places - self.entries, np.int64)
        for link, shift in self._in_blocks():
            count += np.bincount(self.entry(link, shift), minlength=len(count))
        return count

    def _extra_cost(self, price: Ints) -> Ints:
        """Of each link the least reduced cost in a shift: below 0 the answer is better with it."""
        links = self.task.links
        extra = np.full(len(links), np.iinfo(np.int64).max)
        for link, shift in self._in_blocks():
            before = price[self.on_shift + links.row[link] * self.shifts + shift]
            after = price[self.entries + self.entry(link, shift)]
            extra[link] = np.minimum(extra[link], links.tenths[link] + before - after)
        return extra

    def _in_blocks(self) -> Iterator[tuple[Ints, int]]:
        """All links with a shift that they are good for, in blocks that fit the cache."""
        task = self.task
        for start in range(0, len(task.links), _BLOCK):
            link = np.arange(start, min(start + _BLOCK, len(task.links)))
            free = task.available[task.links.row[link]] & (task.quota > 0)[task.links.column[link]]
            for shift in range(self.shifts):
                yield link[free[:, shift]], shift


def _nearest(links: Links, wanted: Ints) -> Bools:
    """The links to begin with: each person's nearest sites, and as many people as a site wants."""
    if len(links) <= _FEW:
        return np.ones(len(links), bool)
    active = np.zeros(len(links), bool)
    ends = np.searchsorted(links.row, np.arange(links.shape[0] + 1))
    by_person = csr_array((np.arange(len(links)), links.column, ends), links.shape)
    some_sites = np.full(links.shape[0], _NEAREST)
    for table, counts in ((by_person, some_sites), (by_person.tocsc(), wanted)):
        for start, stop, count in zip(table.indptr, table.indptr[1:], counts, strict=False):
            group = table.data[start:stop]
            if count < len(group):
                group = group[np.argpartition(links.tenths[group], count)[:count]]
            active[group] = True
    return active
