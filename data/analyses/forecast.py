"""Where reports come next, how far the past has borne that out, and where patrols should go."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from sqlalchemy import Connection

from data import areas_named
from data.analyses import observations
from data.analyses.hotspots import NAMES, outline, ring
from data.analyses.kept import Question, Say
from data.analyses.selection import Selection
from data.analyses.work import Analysis
from data.errors import InputError
from data.settings import settings
from gis import backtesting, forecasting, patrols
from gis.backtesting import Row
from gis.forecasting import Events
from gis.plane import Plane
from gis.squares import SIDE_M, Squares

MOST_SQUARES = 60_000
SHARES = (0.01, 0.05)  # of the area that a forecast is scored at
LEAST = 100  # reports, with fewer of which nothing is foretold
MOST_PERIODS = 4
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Wanted:
    """What is foretold: so many days ahead, for so many patrols."""

    ahead: int = 7
    patrols: int = 10

    def __post_init__(self) -> None:
        if not 1 <= self.ahead <= 92:
            raise InputError("a forecast is of 1 to 92 days", "ahead", "period_wrong")


def question(selection: Selection, area_id: int | None, wanted: Wanted) -> Question:
    """Which forecast is asked for: from a selection on."""
    asked = {"selection": selection.said(), "area_id": area_id, "wanted": asdict(wanted)}
    return Question(
        ANALYSIS.name, ANALYSIS.version, asked, selection.first, selection.last, area_id
    )


def work(connection: Connection, asked: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """The best squares for the days after the selection, the scores of before, a patrol plan."""
    selection, wanted = Selection.of(asked["selection"]), Wanted(**asked["wanted"])
    say("reports", 0.0)
    found = observations.read(connection, selection, settings().timezone)
    over = outline(connection, asked["area_id"])
    answer: dict[str, Any] = {
        "selection": selection.said(), "wanted": asked["wanted"], "reports": len(found),
        "unplaced": found.unplaced, "channels": sorted(found.channels), "note": None,
        "squares": None, "scores": [], "patrols": [], "side_m": None,
        "newest": None if len(found) else observations.newest(connection),
    }  # fmt: skip
    if over is None or len(found) < LEAST:
        return {**answer, "note": _too_few(len(found)) if len(found) else None}
    plane = Plane.around(np.array([over]))
    area = plane.to_xy_m(np.array([over]))
    side = max(SIDE_M, float(np.ceil(np.sqrt(shapely.area(area)[0] / MOST_SQUARES))))
    cells = Squares.over(area, side)
    within_hour = found.at.astype(np.int64) % 3_600_000_000 / 3_600e6
    day = found.day + (found.hour + within_hour) / 24  # of the city
    points = plane.to_xy_m(shapely.points(found.lonlat))
    events = Events.of(cells, shapely.get_coordinates(points), day, np.maximum(found.kind, 0))
    end = float((selection.last - _EPOCH).days + 1)
    start = float((selection.first - _EPOCH).days)
    periods = backtesting.rolling(start, end, wanted.ahead, MOST_PERIODS)
    rows: list[Row] = []
    for done, period in enumerate(periods):
        say("backtest", 0.1 + 0.7 * done / len(periods))
        if len(events.between(-np.inf, period[0])) >= LEAST // 2:
            rows += backtesting.backtest(events, cells, [period], shares=SHARES)
    say("forecast", 0.85)
    parameters = forecasting.fit(events, cells, end, wanted.ahead)
    expected = forecasting.forecast(events, cells, end, wanted.ahead, parameters)
    answer["side_m"] = side
    answer["squares"] = _squares(expected, cells, plane)
    answer["scores"] = [_score(row) for row in rows]
    answer["patrols"] = _patrols(connection, expected, cells, plane, wanted.patrols)
    return answer


def _squares(
    expected: npt.NDArray[np.float64], cells: Squares, plane: Plane
) -> dict[str, list[Any]]:
    """The best squares of the greatest share of the area, best first, with their ranks by share."""
    total = float(cells.area_m2.sum())
    best = patrols.best_cells(expected, cells.area_m2, SHARES[-1] * total)
    inner = set(patrols.best_cells(expected, cells.area_m2, SHARES[0] * total).tolist())
    return {
        "ring": [ring(each) for each in _boxes(cells, best, plane)],
        "expected": expected[best].round(3).tolist(),
        "area_m2": cells.area_m2[best].round().tolist(),
        "share": [SHARES[0] if cell in inner else SHARES[-1] for cell in best.tolist()],
    }


def _boxes(cells: Squares, chosen: Any, plane: Plane) -> npt.NDArray[np.object_]:
    return plane.to_lonlat(cells.boxes(chosen))


def _score(row: Row) -> dict[str, Any]:
    score = row.score
    return {
        "first": _day(row.start), "last": _day(row.end - 1), "method": row.method,
        "share": score.share, "n": round(score.n, 1), "N": round(score.N, 1),
        "pai": round(score.pai, 2), "pei": round(score.pei, 3),
        "pai_low": round(row.pai[0], 2), "pai_high": round(row.pai[1], 2),
    }  # fmt: skip


def _day(number: float) -> str:
    return str(np.datetime64(int(number), "D"))


def _patrols(
    connection: Connection, expected: npt.NDArray[np.float64], cells: Squares, plane: Plane,
    count: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Each patrol's ground, where it is, and what is to be expected in it."""
    made = patrols.patrols(
        expected, cells, count, each_m2=max(225_000.0, 4 * cells.side_m**2),
        reach_m=max(450.0, 2 * cells.side_m),
    )  # fmt: skip
    parts = [_boxes(cells, each.cells, plane) for each in made]
    middle = [shapely.get_coordinates(shapely.centroid(part[0]))[0] for part in parts]
    where = areas_named.at(
        connection, [float(x) for x, _ in middle], [float(y) for _, y in middle], "village"
    )
    asked = {"ids": sorted(where.values())}
    names: dict[int, str] = {row[0]: row[1] for row in connection.execute(NAMES, asked)}
    return [
        {"village": names.get(where.get(i, -1), ""), "expected": round(each.expected, 2),
         "area_m2": round(each.area_m2), "lon": round(float(at[0]), 5),
         "lat": round(float(at[1]), 5), "rings": [ring(box) for box in part]}
        for i, (each, part, at) in enumerate(zip(made, parts, middle, strict=True))
    ]  # fmt: skip


def _too_few(n: int) -> dict[str, str]:
    return {
        "zh": f"只有 {n} 件上报，少于 {LEAST} 件不作预测；请选更长的时段或更大的区域",
        "en": f"Only {n} reports: with fewer than {LEAST} nothing is foretold: take more days",
    }


ANALYSIS = Analysis("forecast", 1, work)
