"""`make bench`: speed as ratios against a reference run in the same minute, never as a test."""

from typing import Annotated

import typer

from tests.bench import (
    arrays,
    bulk,
    coincidence,
    dispatch,
    events,
    forecasts,
    hotspots,
    many,
    over_http,
    single,
    warning,
)

BENCHES = {
    "arrays": arrays.run,
    "single": single.run,
    "http": over_http.run,
    "dispatch": dispatch.run,
    "events": events.run,
    "hotspots": hotspots.run,
    "bulk": bulk.run,
    "many": many.run,
    "forecasts": forecasts.run,
    "warning": warning.run,
    "coincidence": coincidence.run,
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help=", ".join(BENCHES))] = None,
    rows: Annotated[int, typer.Option(help="records of the bulk intake")] = 7_900_000,
) -> None:
    """Run all benchmarks, or those named."""
    for name in names or list(BENCHES):
        BENCHES[name](rows)


if __name__ == "__main__":
    typer.run(main)
