"""Files in: rows staged in batches, then moved in one transaction. Nothing half done.

A file is known by its bytes and by everything that decides the outcome. A run that was cut off is
carried on where its staged batches end; the same file twice changes nothing, for a row is known by
its source and number. What differs between reports and records is in their `Target`.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, RowMapping, text
from sqlalchemy.exc import SQLAlchemyError

from data import reports, table_files
from data.bulk_placement import Map
from data.intake_options import IntakeError, Options, Summary
from data.intake_rows import Run
from data.intake_stage import Mover, Opened, forget, open_run
from data.intake_target import Target
from data.report_intake import ReportTarget
from data.settings import settings
from data.table_rejects import RejectsFile, place_of_rejects
from data.text_stream import check_file

__all__ = ["IntakeError", "Options", "Summary", "run"]

Progress = Callable[[str, int], None]

WORKERS = 2  # placing is geometry, which runs beside Python


def fingerprint(path: Path, options: Options, *circumstances: object) -> str:
    """What a run is known by: the file's bytes, the options and the circumstances, as sha256."""
    digest = hashlib.sha256(repr((options, *circumstances)).encode())
    if options.mapping_file:
        digest.update(Path(options.mapping_file).read_bytes())
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def run(
    engine: Engine,
    path: Path,
    options: Options,
    *,
    target: type[Target] = ReportTarget,
    rejects: Path | None = None,
    progress: Progress = lambda _what, _rows: None,
) -> Summary:
    """Take a file of reports in, or of what another `target` makes of its rows.

    Parameters
    ----------
    rejects : where rows that cannot be taken in go, with the reason in a column
    progress : called with what is being done and the rows that it was done to

    Raises
    ------
    IntakeError, TableError, ValueError
        The file or the options cannot be used; nothing was changed.
    """
    check_file(path)
    rejects = place_of_rejects(path, rejects)
    with engine.begin() as connection:
        defaults = reports.source_defaults(connection, options.source)
        mark = fingerprint(path, options, dict(defaults), *_circumstances(connection))
    with _claimed(engine, mark, path):
        with engine.begin() as connection:
            opened = open_run(connection, options.source, path.name, mark)
            becomes = target(connection, options)
        try:
            with Mover(engine, opened, becomes) as mover:
                summary = _take_in(
                    engine, opened, mover, path, becomes, defaults, rejects, progress
                )
                mover.commit(summary)
        except ValueError:  # another start of the same would not get further
            with engine.begin() as connection:
                forget(connection, opened.id)
            raise
    return summary


def _take_in(
    engine: Engine, opened: Opened, mover: Mover, path: Path, target: Target,
    defaults: RowMapping, rejects: Path, progress: Progress,
) -> Summary:  # fmt: skip
    """Place every row of the file, stage it and move it; what was staged before is not placed."""
    options = target.options
    with (
        engine.connect() as connection,
        engine.connect() as maps,  # read by the workers, while addresses are looked up here
        RejectsFile(rejects) as faults,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        city = Map(maps, options.layer, opened.known, memory=options.memory)
        run = Run(connection, target, defaults["datum"], defaults["accuracy_m"], city)
        under_way: deque[tuple[int, Future[None]]] = deque()
        for number, batch in enumerate(
            table_files.read(path, encoding=options.encoding, sheet=options.sheet)
        ):
            rows = run.look(batch)
            run.summary.rejected += faults.add(batch, rows.parsed.verdict)
            if number not in opened.staged or options.check:
                work = pool.submit(run.place_and_stage, engine, opened, number, rows)
                under_way.append((number, work))
            else:
                mover.put(number)
            while len(under_way) > WORKERS:
                _pass_on(under_way, mover)
            progress("placed", run.summary.rows)
        while under_way:
            _pass_on(under_way, mover)
    if run.summary.rejected:
        run.summary.rejects = rejects
    if options.all_or_nothing and run.summary.rejected:
        raise IntakeError(
            f"{run.summary.rejected} rows of {path.name} cannot be taken in, and all or nothing "
            f"was asked for: nothing was changed. The reasons are in {rejects}"
        )
    progress("placed, the last ones move into place", run.summary.rows)
    mover.wait()
    run.summary.settle(mover)
    return run.summary


def _pass_on(under_way: deque[tuple[int, Future[None]]], mover: Mover) -> None:
    number, work = under_way.popleft()
    work.result()
    mover.put(number)


# --- who may run --------------------------------------------------------------------------------


def _circumstances(connection: Connection) -> tuple[object, ...]:
    """What decides where a report goes beside the file: the map and the settings."""
    said = settings().model_dump(include={"accuracy_m", "border_m", "snap_m", "timezone"})
    return connection.execute(text("SELECT max(id) FROM change")).scalar(), *said.values()


@contextmanager
def _claimed(engine: Engine, mark: str, path: Path) -> Iterator[None]:
    """Keep others from running the same at the same time; a claim ends with its connection."""
    key = {"key": int.from_bytes(bytes.fromhex(mark[:16]), signed=True)}
    with engine.connect() as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), key).scalar_one():
            raise IntakeError(f"{path.name} is being taken in by another run; wait for its end")
        connection.commit()
        try:
            yield
        finally:
            with suppress(SQLAlchemyError):  # a server that went away holds no claims
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)
