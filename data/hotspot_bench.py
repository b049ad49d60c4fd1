"""Forecasts of hotspots tried on a file of reports: what was known, and what happened next."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from data import report_rows, table_files
from data.report_mapping import Mapping
from gis import datum
from gis.backtesting import BANDWIDTH_M, METHODS, Row, backtest, rolling
from gis.forecasting import Events
from gis.plane import Floats, Plane
from gis.squares import NIJ_CELL_M2, SIDE_M, Squares

_DAY_S = 86400
_FEW = 100  # with fewer scored, n is a matter of chance
_ONE_PLACE = 0.05  # a share of the known reports at a single point that is worth a word


@dataclass(frozen=True)
class Options:
    """How the reports are read, and what is forecast.

    Attributes
    ----------
    known_until : datetime
        Aware; what happened before is known, what happened from then on is forecast.
    scored_until : datetime or None
        Where what is forecast ends; None: with the day of the last report.
    mapping : tuple of str
        Flags ``field=column`` over what the columns' names suggest.
    datum : str or None
        Of coordinates that name none.
    timezone : str
        Of times without one, and of the days.
    side_m, bandwidth_m : float
        Of a cell, and of the baseline by kernel density.
    """

    known_until: datetime
    scored_until: datetime | None = None
    mapping: tuple[str, ...] = ()
    datum: str | None = None
    timezone: str = "Asia/Shanghai"
    side_m: float = SIDE_M
    bandwidth_m: float = BANDWIDTH_M


@dataclass
class Reports:
    """Reports with a place and a time: WGS 84 degrees, days since 1970, codes of kinds.

    Days are those of the calendar where the reports are from, so that each begins at midnight
    whether clocks were changed before or not.
    """

    lonlat: Floats
    day: Floats
    kind: npt.NDArray[np.int64]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """What came out: the period asked for first, then others within what was known."""

    cells: Squares
    known: int
    origin: datetime
    rows: list[Row]
    notes: list[str]

    def tables(self) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
        """For each period a title, a heading and a line for each method."""
        for start, group in groupby(self.rows, key=lambda row: row.start):
            rows = list(group)
            shares = list(dict.fromkeys(row.score.share for row in rows))
            head = [f"{name} {share:.0%}" for share in shares for name in ("PAI", "95 %", "PEI*")]
            lines = [
                (name, *(cell for row in rows if row.method == name for cell in _told(row)))
                for name in METHODS
            ]
            title = (
                f"{self._at(start):%Y-%m-%d} to {self._at(rows[0].end):%Y-%m-%d}, "
                f"{rows[0].score.N:,.0f} reports"
            )
            yield title, ("", *head), lines

    def json(self) -> dict[str, Any]:
        """All of it as plain values."""
        scores = [
            {
                "start": self._at(row.start).isoformat(), "end": self._at(row.end).isoformat(),
                "method": row.method, "share": row.score.share, "a_m2": round(row.score.a_m2),
                "n": round(row.score.n, 2), "N": round(row.score.N),
                "pai": round(row.score.pai, 4), "pai_best": round(row.score.pai_best, 4),
                "pei": round(row.score.pei, 4), "pai_95": [round(each, 4) for each in row.pai],
                "lead_95": [round(each, 4) for each in row.lead],
            }
            for row in self.rows
        ]  # fmt: skip
        area_m2 = round(float(self.cells.area_m2.sum()))
        return {
            "cells": len(self.cells), "side_m": self.cells.side_m, "area_m2": area_m2,
            "known": self.known, "notes": self.notes, "scores": scores,
        }  # fmt: skip

    def _at(self, day: float) -> datetime:
        return self.origin + timedelta(days=day)


class BenchError(ValueError):
    """What was given cannot be forecast or scored; the sentence says why and what to do."""


def _told(row: Row) -> tuple[str, str, str]:
    return f"{row.score.pai:.2f}", "{:.1f} – {:.1f}".format(*row.pai), f"{row.score.pei:.3f}"


def run(path: Path, areas: gpd.GeoDataFrame, options: Options) -> Bench:
    """Forecast what happened from `known_until` on by all methods, and score it.

    Parameters
    ----------
    path : Path
        The reports; see `data.table_files.read`.
    areas : GeoDataFrame
        Polygons in EPSG:4326.

    Raises
    ------
    BenchError
        No report can be used; the date is outside of the reports; nothing is known or nothing
        happened in the area; cells of another size than NIJ's.
    TableError, ValueError
        The file cannot be read; a datum or a time zone is not known.
    """
    low, high = np.sqrt(NIJ_CELL_M2)
    if not low <= options.side_m <= high:
        raise BenchError(
            f"cells of {options.side_m:g} m are not of the size by which forecasts are compared; "
            f"give a side from {np.ceil(low):g} to {np.floor(high):g} m"
        )
    reports = read_reports(path, options)
    origin, end = _period(path, reports, options)
    shapes = np.asarray(areas.geometry)
    plane = Plane.around(shapes)
    flat = plane.to_xy_m(shapes)
    cells = Squares.over(flat, options.side_m)
    xy_m = shapely.get_coordinates(plane.to_xy_m(shapely.points(reports.lonlat)))
    since = reports.day - _day_of(origin)
    events = Events.of(cells, xy_m, since, reports.kind)
    length = _day_of(end) - _day_of(origin)
    _refuse_empty(events, length, options)
    first = float(events.day.min())
    earlier = rolling(first, 0.0, min(length, -first / 4), 3)
    rows = backtest(events, cells, [(0.0, length), *earlier], bandwidth_m=options.bandwidth_m)
    known = events.between(-np.inf, 0.0)
    notes = [*reports.notes, *_notes(flat, cells, events, length, xy_m[since < 0])]
    return Bench(cells, len(known), origin, rows, notes)


def read_reports(path: Path, options: Options) -> Reports:
    """The reports of a file that say where and when, with what was left out in the notes."""
    mapping: Mapping | None = None
    parts: list[report_rows.Parsed] = []
    seen, rows = report_rows.Seen(), 0
    for batch in table_files.read(path):
        if mapping is None:
            mapping = Mapping.from_flags(options.mapping, Mapping.guess(batch.columns))
            if mapping.occurred_at is None:
                raise BenchError(
                    f"no column of {path.name} says when; name it by --map occurred_at=COLUMN"
                )
        order = parts[-1].date_order if parts else None
        parts.append(
            report_rows.parse(
                batch, mapping, datum=options.datum, timezone=options.timezone, seen=seen,
                date_order=order,
            )
        )  # fmt: skip
        rows += len(batch.table) + len(batch.ragged)
    notes: list[str] = []
    lonlat = np.concatenate([_lonlat(path, part, notes) for part in parts])
    day = np.concatenate([_days(part, options.timezone) for part in parts])
    names = np.concatenate(
        [part.kind.fill_null("").to_numpy(zero_copy_only=False) for part in parts]
    )
    kind = np.unique(names.astype(str), return_inverse=True)[1]
    usable = np.concatenate([part.accepted for part in parts])
    usable &= np.isfinite(lonlat).all(axis=1) & np.isfinite(day)
    if not usable.any():
        raise BenchError(f"no report of {path.name} has a place and a time; nothing can be learnt")
    if (left := rows - int(usable.sum())) > 0:
        notes.append(f"{left:,} of {rows:,} reports have no place or no time, or are faulty.")
    return Reports(lonlat[usable], day[usable], kind[usable], notes)


def _lonlat(path: Path, part: report_rows.Parsed, notes: list[str]) -> Floats:
    """Places in WGS 84; where nobody named a datum, only outside of China, where all are alike."""
    given, lonlat = np.column_stack([part.x, part.y]), np.column_stack([part.lon, part.lat])
    open_ = np.isfinite(given).all(axis=1) & ~np.isfinite(lonlat).all(axis=1) & part.accepted
    if not open_.any():
        return lonlat
    x, y = given[open_].T
    degrees = (np.abs(x) <= 180) & (np.abs(y) <= 90)
    if not degrees.all() or datum.within(x, y, datum.CHINA).any():
        raise BenchError(
            f"{path.name} does not say what its coordinates are in; name it by --datum wgs84, "
            "gcj02, bd09 or EPSG:…"
        )
    lonlat[open_] = given[open_]
    note = "No datum was named; the coordinates were taken as WGS 84."
    if note not in notes:
        notes.append(note)
    return lonlat


def _days(part: report_rows.Parsed, timezone: str) -> Floats:
    local = pc.local_timestamp(pc.cast(part.occurred_at, pa.timestamp("us", timezone)))
    micro = pc.cast(local, "int64").to_numpy(zero_copy_only=False)
    return np.asarray(micro, float) / 1e6 / _DAY_S


def _day_of(moment: datetime) -> float:
    """Days since 1970 by the calendar of the moment's own zone."""
    return (moment.replace(tzinfo=None) - datetime(1970, 1, 1)) / timedelta(days=1)


def _period(path: Path, reports: Reports, options: Options) -> tuple[datetime, datetime]:
    """From when until when is forecast."""
    zone = ZoneInfo(options.timezone)
    first, last = (
        datetime(1970, 1, 1, tzinfo=zone) + timedelta(days=float(each))
        for each in (reports.day.min(), reports.day.max())
    )
    origin = options.known_until.astimezone(zone)
    if not first < origin <= last:
        raise BenchError(
            f"the reports of {path.name} are of {first:%Y-%m-%d} to {last:%Y-%m-%d}; known until "
            f"{origin:%Y-%m-%d} leaves nothing "
            f"{'known' if origin <= first else 'to score'}: name a date between"
        )
    midnight = last.replace(hour=0, minute=0, second=0, microsecond=0)
    end = (options.scored_until or midnight + timedelta(days=1)).astimezone(zone)
    if end <= origin:
        raise BenchError("what is scored must end after what is known; name a later date")
    return origin, end


def _refuse_empty(events: Events, length: float, options: Options) -> None:
    until = f"{options.known_until:%Y-%m-%d}"
    where = (
        f"{events.outside:,} reports are outside of the area; is it the right one, and the datum?"
    )
    if not len(events.between(-np.inf, 0.0)):
        raise BenchError(
            f"no report before {until} is in the area, so nothing can be learnt. {where}"
        )
    if not len(events.between(0.0, length)):
        raise BenchError(f"no report from {until} on is in the area to score by. {where}")


def _notes(
    flat: npt.NDArray[np.object_], cells: Squares, events: Events, length: float, known_xy_m: Floats
) -> list[str]:
    notes = []
    scored = len(events.between(0.0, length))
    if scored < _FEW:
        notes.append(f"Only {scored:,} reports are there to score by; the figures say little.")
    if events.outside:
        notes.append(f"{events.outside:,} reports are outside of the area and were left out.")
    twice = float(shapely.area(flat).sum() - cells.area_m2.sum())
    if twice > 1e-6 * cells.area_m2.sum():
        notes.append(f"The areas overlap by {twice:,.0f} m²; what they share counts once.")
    _, at = np.unique(known_xy_m.round(1), axis=0, return_counts=True)
    most = int(at.max())
    if most > max(_ONE_PLACE * len(known_xy_m), 20):
        notes.append(
            f"{most:,} of {len(known_xy_m):,} known reports are at one single point; if it stands "
            "for places that nobody knew, take them out."
        )
    return notes
