"""Min-cost flow with whole numbers: ranks that are filled in strict order, and the proof of it.

A flow here is a circulation: all of it leaves the node `GROUND` and comes back to it. Cost-scaling
push-relabel (Goldberg 1997), as built into OR-tools, finds the cheapest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from ortools.graph.python import min_cost_flow

from gis.links import Ints

GROUND = 0
_LIMIT = 2**62  # of a cost times the number of nodes, which OR-tools reckons with inside


@dataclass(frozen=True, eq=False)
class Arcs:
    """Arcs of a network: from node `tail` to node `head`, whole numbers all."""

    tail: Ints
    head: Ints
    capacity: Ints
    cost: Ints

    @classmethod
    def of(
        cls, tail: ArrayLike, head: ArrayLike, capacity: ArrayLike = 1, cost: ArrayLike = 0
    ) -> "Arcs":
        """Arcs from arrays or single numbers, broadcast to one length."""
        columns = np.broadcast_arrays(tail, head, capacity, cost)
        return cls(*(np.ravel(column).astype(np.int64) for column in columns))

    def __add__(self, other: "Arcs") -> "Arcs":
        names = ("tail", "head", "capacity", "cost")
        return Arcs(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))

    def __len__(self) -> int:
        return len(self.tail)


def rewards(rank: Ints, path_cost: int) -> Ints:
    """Rewards of arcs into the ground, so high that ranks are filled in strict order, 0 first.

    Parameters
    ----------
    rank : ndarray of int
        0, 1, 2 …, of each arc.
    path_cost : int
        What any path without a cycle through the other arcs costs at most.

    Notes
    -----
    Neighbouring ranks need only differ by more than one path costs, and not each by more than all
    that follow together: if a flow filled the ranks better, one of the simple cycles by which it
    differs would, and that cycle trades at most one unit for another.
    """
    if not len(rank):
        return np.zeros(0, np.int64)
    levels = int(rank.max()) + 1
    if levels * (path_cost + 1) > _LIMIT:
        raise ValueError("Too many ranks and too long travel times: divide the area.")
    return (levels - rank) * (path_cost + 1)


def circulate(arcs: Arcs) -> Ints:
    """The flow on each arc of a cheapest circulation; always the same for the same arcs.

    Raises
    ------
    ValueError
        Costs and network are too large for 64 bits.
    """
    if not len(arcs):
        return np.zeros(0, np.int64)
    nodes = int(max(arcs.tail.max(), arcs.head.max())) + 1
    if int(np.abs(arcs.cost).max()) * (nodes + 1) > _LIMIT:
        raise ValueError("Too many people and places for one plan: divide the area.")
    solver = min_cost_flow.SimpleMinCostFlow()
    number = solver.add_arcs_with_capacity_and_unit_cost(
        arcs.tail, arcs.head, arcs.capacity, arcs.cost
    )
    status = solver.solve()
    if status != solver.OPTIMAL:
        raise ValueError(f"The flow cannot be found: {status.name}.")
    return np.asarray(solver.flows(number), np.int64)


def potentials(arcs: Arcs, flow: Ints, nodes: int) -> Ints:
    """Prices of the nodes that prove a flow cheapest (Bellman-Ford on the residual network).

    An arc that is not in the network would make the flow cheaper only if
    ``cost + price[tail] - price[head]`` is negative (Ahuja, Magnanti, Orlin 1993, ch. 9).
    """
    on, back = flow < arcs.capacity, flow > 0
    tail = np.concatenate([arcs.tail[on], arcs.head[back]])
    head = np.concatenate([arcs.head[on], arcs.tail[back]])
    cost = np.concatenate([arcs.cost[on], -arcs.cost[back]])
    order = np.argsort(head, kind="stable")
    tail, cost = tail[order], cost[order]
    ends, starts = np.unique(head[order], return_index=True)
    price = np.zeros(nodes, np.int64)
    while len(ends):
        better = np.minimum(price[ends], np.minimum.reduceat(price[tail] + cost, starts))
        if (better == price[ends]).all():
            break
        price[ends] = better
    return price
