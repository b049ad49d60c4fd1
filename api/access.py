"""Who asks, and what they may."""

from dataclasses import dataclass
from typing import Any

from fastapi import Depends


@dataclass(frozen=True)
class Who:
    """The caller of a route.

    Attributes
    ----------
    name : that is written down as the actor of what they do
    organisation_id : for which they act; None: for none in particular
    """

    name: str
    organisation_id: int | None = None


async def _who() -> Who:
    """Everybody who reaches the service acts as `api`: there are no accounts."""
    return Who("api")


def may(permission: str) -> Any:
    """What a route demands of its caller, as a parameter `who: Who = may("case.write")`."""
    del permission
    return Depends(_who)
