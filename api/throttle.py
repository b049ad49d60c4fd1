"""Wrong tries to sign in, counted by the address that they come from.

In the process, not in the database: a flood is to be turned away before it costs a connection or a
hash. Several processes allow several times as many; what locks a name is counted by all of them
together (`data.sign_in`).
"""

import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Annotated

from fastapi import Depends, Request

from api.problems import Problem

WINDOW_S = 60.0
MOST_ADDRESSES = 10_000  # that are remembered: those that tried last


class Throttle:
    """So many tries per address in the last minute; those that were not wrong are given back."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, address: str, now: float) -> float | None:
        """Count a try at `now` (seconds); how long to wait if it is one too many, else None."""
        tries = self._tries.setdefault(address, deque())
        self._tries.move_to_end(address)
        while tries and tries[0] <= now - WINDOW_S:
            tries.popleft()
        if len(tries) >= self.most:
            return tries[0] + WINDOW_S - now
        tries.append(now)
        if len(self._tries) > MOST_ADDRESSES:
            self._tries.popitem(last=False)
        return None

    def give_back(self, address: str) -> None:
        """Uncount the last try of an address."""
        if tries := self._tries.get(address):
            tries.pop()


@dataclass(frozen=True)
class Try:
    """A try that counts unless it is given back."""

    throttle: Throttle
    address: str

    def give_back(self) -> None:
        """It was no wrong one."""
        self.throttle.give_back(self.address)


def _of(request: Request) -> Try:
    """A try that was counted before, on the same way in."""
    address = network(request.client.host if request.client else "")
    return Try(request.app.state.throttle, address)


def _one_more(request: Request) -> Try:
    """A try, counted now."""
    one = _of(request)
    wait = one.throttle.take(one.address, time.monotonic())
    if wait is not None:
        raise Problem("too-many-tries", headers={"Retry-After": str(int(wait) + 1)})
    return one


Tried = Annotated[Try, Depends(_one_more)]
TriedBefore = Annotated[Try, Depends(_of)]


def network(address: str) -> str:
    """What is counted as one: an IPv4 address, or the /64 that one subscriber of IPv6 has.

    >>> network("2001:db8:1:2:3:4:5:6")
    '2001:db8:1:2::'
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
