"""When a running time warns, is up, and has been up for too long."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from gis.calendars import (
    Allowed,
    Calendar,
    Instants,
    Pauses,
    Unit,
    WorkingTime,
    answered,
    instants,
    moments,
)


@dataclass(frozen=True)
class Terms:
    """What a running time goes by.

    Attributes
    ----------
    warn_share : of the working time allowed, after which to warn (0 to 1)
    order_after_h : working hours after it was up, when it has been late for too long; None: never
    pauses : stretches in which it rested
    """

    started: datetime
    allowed: Allowed
    warn_share: float = 1.0
    order_after_h: float | None = None
    pauses: Pauses = ()


@dataclass(frozen=True)
class Times:
    """When it is up, when to warn before, and when it has been late for too long."""

    due: datetime
    warn_at: datetime
    order_at: datetime | None


def schedule(calendar: Calendar, terms: Sequence[Terms]) -> list[Times]:
    """The times of each of the terms, many at once.

    Raises
    ------
    CalendarError
        The calendar opens too seldom for one of them, or never.
    """
    found: dict[int, Times] = {}
    for unit in {each.allowed.unit for each in terms}:
        chosen = [n for n, each in enumerate(terms) if each.allowed.unit == unit]
        times = _of_unit(calendar, [terms[n] for n in chosen], unit)
        found.update(zip(chosen, times, strict=True))
    return [found[n] for n in range(len(terms))]


def _of_unit(calendar: Calendar, terms: Sequence[Terms], unit: Unit) -> list[Times]:
    start = instants([each.started for each in terms])
    amount = np.array([each.allowed.amount for each in terms])
    share = np.array([each.warn_share for each in terms])
    after = np.array([each.order_after_h or 0.0 for each in terms])
    pauses = [each.pauses for each in terms]

    def ask(time: WorkingTime) -> Instants:
        due = time.due(start, amount, unit, pauses)
        if np.isnat(due).any():
            return due
        warning = time.warning(start, due, amount, unit, share)
        return np.stack([due, warning, time.due(due, after, "hours")])

    years = [each.started.year for each in terms]
    due, warning, order = map(moments, answered(calendar, min(years), max(years), ask))
    return [
        Times(due[n], warning[n], None if each.order_after_h is None else order[n])
        for n, each in enumerate(terms)
    ]
