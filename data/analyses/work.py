"""A worker's part: an analysis worked out from the reports of one moment, and kept."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, create_engine, pool, text

from data.analyses import kept
from data.analyses.kept import Question, Say

Work = Callable[[Connection, Mapping[str, Any], Say], dict[str, Any]]
SAY_EVERY_S = 0.3

log = logging.getLogger("wangge.analyses")


@dataclass(frozen=True)
class Analysis:
    """What can be worked out.

    Attributes
    ----------
    version : of what it computes; another one makes kept answers obsolete
    work : from a connection, what is asked (JSON) and where to say how far it is, to the answer
        (JSON, NumPy arrays allowed)
    """

    name: str
    version: int
    work: Work


def run(url: str, number: int) -> None:
    """Work an analysis out in a process of its own, on the database at `url`."""
    engine = create_engine(url, poolclass=pool.NullPool, connect_args=_CONNECT)
    try:
        perform(engine, number)
    finally:
        engine.dispose()


def analyses() -> dict[str, Analysis]:
    """What can be worked out, by name; its modules take seconds to import."""
    from data.analyses.registry import ANALYSES

    return ANALYSES


def give_up(url: str, number: int) -> None:
    """Say of an analysis that the process that worked it out has died."""
    engine = create_engine(url, poolclass=pool.NullPool, connect_args=_CONNECT)
    with engine.begin() as connection:
        kept.failed(connection, number, "its process died, as one that runs out of memory does")
    engine.dispose()


_CONNECT = {"application_name": "wangge-analyses", "options": "-c timezone=UTC"}


def perform(engine: Engine, number: int) -> None:
    """Work an analysis out and keep its answer; a fault is kept in its place, and logged."""
    try:
        _perform(engine, number, _sayer(engine, number))
    except Exception as error:
        log.exception("Analysis %s failed", number)
        _give_reason(engine, number, error)


def answered(engine: Engine, question: Question, say: Say) -> RowMapping:
    """The row that holds a good answer (see `kept.find`), worked out here if there is none.

    Raises
    ------
    Exception
        What the analysis raised; it is kept in the answer's place.
    """
    with engine.begin() as connection:
        row = kept.put_down(connection, question)
    if row["state"] == "done":
        return row
    number = int(row["id"])
    try:
        _perform(engine, number, say)
    except Exception as error:
        _give_reason(engine, number, error)
        raise
    with engine.connect() as connection:
        done = kept.state(connection, number)
    if done is None:
        raise RuntimeError("the areas changed while the map was made; run the same command again")
    return done


def _perform(engine: Engine, number: int, say: Say) -> None:
    with engine.begin() as connection:
        begun = kept.begin(connection, number)
    if begun is None:
        return
    frozen = engine.connect().execution_options(isolation_level="REPEATABLE READ")
    with frozen as connection:
        made = connection.execute(text("SELECT now()")).scalar_one()
        answer = analyses()[begun["name"]].work(connection, begun["asked"], say)
    with engine.begin() as connection:
        kept.done(connection, number, answer, made)


def _give_reason(engine: Engine, number: int, error: Exception) -> None:
    with engine.begin() as connection:
        kept.failed(connection, number, str(error) or type(error).__name__)


def _sayer(engine: Engine, number: int) -> Say:
    """Writes down how far it is, now and then, beside the snapshot that the reports are read in."""
    last = 0.0

    def say(doing: str, share: float) -> None:
        nonlocal last
        if time.monotonic() - last >= SAY_EVERY_S:
            last = time.monotonic()
            with engine.begin() as connection:
                kept.say(connection, number, doing, share)

    return say


_PENDING = text("SELECT id FROM analysis WHERE state IN ('todo', 'running') ORDER BY id")


def perform_all(engine: Engine) -> int:
    """Work out whatever is asked for, one after the other; how many."""
    with engine.connect() as connection:
        numbers = connection.execute(_PENDING).scalars().all()
    for number in numbers:
        perform(engine, number)
    return len(numbers)
