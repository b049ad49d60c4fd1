"""The tables. Geometry is WGS 84 longitude and latitude (EPSG:4326), time is aware UTC.

Two time axes run through everything that can be redrawn: `valid` is when a border is in force in
the city, `recorded` is when this database believed so. Nothing is overwritten: a correction closes
the old row's `recorded` range and adds a new row, so that any past answer can be given again.

`recorded` counts in changes, whose rows carry the time. A change becomes known to everybody at
that one instant, which lies a moment after its commit, so that no reader can have looked at the
same instant without seeing it (`docs/decisions/0002-two-time-axes.md`).
"""

from data.schema import (
    accounts,
    analyses,
    assessments,
    cases,
    city,
    clocks,
    dispatch,
    early_warnings,
    indicators,
    messages,
    people,
    records,
    referrals,
    reports,
    resources,
    visits,
    watched,
    whistles,
)
from data.schema.base import Base

__all__ = [
    "Base",
    "accounts",
    "analyses",
    "assessments",
    "cases",
    "city",
    "clocks",
    "dispatch",
    "early_warnings",
    "indicators",
    "messages",
    "people",
    "records",
    "referrals",
    "reports",
    "resources",
    "visits",
    "watched",
    "whistles",
]
