"""What the command line shows: progress, tables, and one sentence where something went wrong."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def share(title: str) -> Iterator[Callable[[str, float], None]]:
    """A bar for work that knows which share of it is done; call it with (what, 0 to 1)."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda what, done: bar.update(task, description=f"{title}: {what}", completed=done)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner for work that tells nothing until it is done."""
    with err.status(what):
        yield


@contextmanager
def rows(title: str) -> Iterator[Callable[[str, int], None]]:
    """A count for work whose length is not known; call it with (what, rows so far)."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda what, done: bar.update(task, description=f"{title}: {done:,} rows {what}")


def pairs(title: str, lines: Iterable[tuple[str, Any]]) -> None:
    """A table of names and values."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in lines:
        table.add_row(name, f"{value:,}" if type(value) is int else str(value))
    out.print(table)


def grid(title: str, head: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """A table with a heading for each column."""
    table = Table(*head, title=title, title_justify="left")
    for line in lines:
        table.add_row(*("" if value is None else str(value) for value in line))
    out.print(table)


def faults(found: pd.DataFrame, most: int = 20) -> None:
    """Faults of a coverage as a table, the worst first."""
    if not len(found):
        return
    worst = found.sort_values(["severity", "area_m2"], ascending=[True, False]).head(most)
    lines = zip(worst["severity"], worst["kind"], worst["message"], strict=True)
    more = f" (the worst {most})" if len(found) > most else ""
    grid(f"{len(found)} faults{more}", ("", "kind", "what, where, what to do"), lines)


def fail(sentence: str) -> None:
    """Say on standard error what went wrong."""
    err.print(f"[bold red]error:[/] {sentence}", markup=True, soft_wrap=True)
