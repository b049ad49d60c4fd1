"""What can be looked at on a map and fetched as data: each analysis, its page, its tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np
import orjson
import shapely
from sqlalchemy import Connection, RowMapping

from api.schemas_analytics import AskedForecast, AskedHotspots, AskedPeriod, AskedSelection
from data import areas, case_catalogue
from data.analyses import coverage as coinciding
from data.analyses import forecast as ahead
from data.analyses import hotspots as spots
from data.analyses import kept
from data.analyses import workload as loads
from data.analyses.kept import Question
from data.analyses.selection import Selection
from data.integration import Integration
from data.settings import settings
from layers import coverage as beats
from layers import forecast, hotspots, workload
from layers.analysis import Filters, Frame
from layers.ground import LEVELS, Ground
from layers.i18n import Lang, Texts

Table = tuple[Sequence[str], Iterable[Sequence[Any]]]


class Draw(Protocol):
    """Draws the page of an analysis."""

    def __call__(
        self, answer: Mapping[str, Any], ground: Ground, frame: Frame, *, lang: Lang,
        timezone: str, self_contained: bool,
    ) -> str:  # fmt: skip
        """The page as HTML."""


@dataclass(frozen=True)
class Exhibit:
    """An analysis as people meet it.

    Attributes
    ----------
    name : in its addresses, `/maps/{name}` and `/api/v1/analytics/{name}`
    title : Chinese and English, of its page
    summary : of its data
    asked : what can be asked of it, as the query of both
    question : from what is asked, the selection and its area's number
    draw : its page
    levels : of the ground under it, by what is asked
    table : from the answer, the heads and the lines of what CSV and XLSX hold
    features : from the answer, what GeoJSON holds
    more : filters of its own; see `layers.analysis.Filters`
    """

    name: str
    title: tuple[str, str]
    summary: str
    asked: type[AskedPeriod]
    question: Callable[[Any, Selection, int | None], Question]
    draw: Draw
    table: Callable[[Mapping[str, Any]], Table]
    features: Callable[[Connection, Mapping[str, Any]], list[dict[str, Any]]]
    levels: Callable[[Any], tuple[str, ...]] = lambda _asked: (*LEVELS, "beats")
    more: Callable[[Any, Lang], dict[str, Any]] = lambda _asked, _lang: {}

    def titled(self, lang: Lang) -> str:
        """Its title in a language."""
        return self.title[0 if lang == "zh" else 1]


def frame(
    exhibit: Exhibit, asked: AskedPeriod, answer: Mapping[str, Any], ground: Ground,
    kinds: Mapping[str, tuple[str, str]], *, lang: Lang, now: datetime, made: datetime,
) -> Frame:  # fmt: skip
    """What every page is given."""
    selection = Selection.of(answer["selection"])
    newest = answer.get("newest")
    narrowed = kinds.items() if issubclass(exhibit.asked, AskedSelection) else ()
    return Frame(
        name=exhibit.name,
        title=exhibit.titled(lang),
        filters=Filters(
            selection.first, selection.last,
            areas=_areas(ground),
            kinds=[(code, both[0 if lang == "zh" else 1]) for code, both in narrowed],
            channels=answer.get("channels", ()),
            area=selection.area, kind=selection.kinds, channel=selection.channels,
            hours=selection.hours, weekdays=selection.weekdays,
            more=exhibit.more(asked, lang),
        ),
        reports=answer["reports"],
        unplaced=answer["unplaced"],
        newest=datetime.fromisoformat(newest).date() if newest else None,
        now=now,
        made=made,
        note=answer.get("note", {}).get(lang, "") if answer.get("note") else "",
    )  # fmt: skip


def _areas(ground: Ground) -> list[tuple[str, str]]:
    """Districts, each with its towns."""
    if "districts" not in ground.areas:
        return []
    districts, towns = ground.areas["districts"], ground.areas.get("towns")
    out: list[tuple[str, str]] = []
    for i, (code, name) in enumerate(zip(districts["code"], districts["name"], strict=True)):
        out.append((code, name))
        if towns is not None:
            mine = towns[towns["up"] == i]
            out += [(c, f"\u3000{n}") for c, n in zip(mine["code"], mine["name"], strict=True)]
    return out


def kinds(connection: Connection) -> dict[str, tuple[str, str]]:
    """The kinds of the catalogue: code to its Chinese and its English title."""
    rows = case_catalogue.kinds(connection)
    return {row["code"]: (row["title"], row["title_en"]) for row in rows}


# --- the exhibits ---------------------------------------------------------------------------------


Part = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def _columns(part: Part, names: Sequence[str]) -> Callable[[Mapping[str, Any]], Table]:
    """A table that stands as columns in the answer."""

    def table(answer: Mapping[str, Any]) -> Table:
        return names, zip(*(part(answer)[name] for name in names), strict=True)

    return table


def _of_areas(
    layer: str, part: Part, names: Sequence[str]
) -> Callable[[Connection, Mapping[str, Any]], list[dict[str, Any]]]:
    """GeoJSON features of a layer's areas with the columns of a table whose `code` names them."""

    def features(connection: Connection, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = areas.read(connection, layer)
        shapes = dict(zip(found["code"], shapely.to_geojson(found.geometry.values), strict=True))
        lines = zip(*(part(answer)[name] for name in names), strict=True)
        return [
            {
                "type": "Feature",
                "geometry": orjson.Fragment(shapes[line[0]]) if line[0] in shapes else None,
                "properties": dict(zip(names, line, strict=True)),
            }
            for line in lines
        ]

    return features


_LOADS = ("code", "name", "area_m2", "residents", "incidents", "visits", "done", "travel_h")
WORKLOAD = Exhibit(
    "workload",
    ("网格负荷", "Workload of the grids"),
    "How much each grid carries, and how unevenly",
    AskedSelection,
    lambda _asked, selection, area: loads.question(selection, area),
    workload.workload,
    _columns(lambda answer: answer["grids"], _LOADS),
    _of_areas("grid", lambda answer: answer["grids"], _LOADS),
)
_MATRIX = ("beat", "grid", "area_m2", "share_of_grid", "share_of_beat", "hair", "residents",
           "incidents")  # fmt: skip
_COINCIDE = (
    "code", "name", "town", "kind", "beats", "main", "in_main", "residents", "incidents",
    "officers", "workers", "officer", "worker", "post", "due", "done", "missed",
)  # fmt: skip


def _figures(name: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    return lambda answer: answer["figures"][name]


def _coverage(
    answer: Mapping[str, Any], ground: Ground, frame: Frame, *, lang: Lang, timezone: str,
    self_contained: bool,
) -> str:  # fmt: skip
    return beats.coverage(
        ground, Integration.of(answer["figures"]), now=frame.made, timezone=timezone, lang=lang,
        self_contained=self_contained, frame=frame,
    )  # fmt: skip


COVERAGE = Exhibit(
    "coverage",
    ("警网融合", "Beats and grids"),
    "How beats and grids coincide, who is near, and what to bring into line",
    AskedPeriod,
    lambda _asked, selection, area: coinciding.question(selection, area, datetime.now(UTC)),
    _coverage,
    _columns(_figures("matrix"), _MATRIX),
    _of_areas("grid", _figures("grids"), _COINCIDE),
)
_UNITS = (
    "code",
    "count",
    "per_km2",
    "residents",
    "z",
    "p",
    "q",
    "band",
    "quadrant",
    "share_inside",
)


def _units(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return answer["units"] or {name: [] for name in _UNITS}


def _unit_shapes(connection: Connection, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    units = _units(answer)
    if "ring" not in units:
        return _of_areas("grid", _units, _UNITS)(connection, answer)
    lines = zip(*(units[name] for name in _UNITS), strict=True)
    return [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [_ring(ring)]},
            "properties": dict(zip(_UNITS, line, strict=True)),
        }
        for ring, line in zip(units["ring"], lines, strict=True)
    ]


def _ring(steps: Sequence[int]) -> list[tuple[float, float]]:
    """The vertices of a cell, closed, from how the page reads it."""
    at = np.cumsum(np.array(steps).reshape(-1, 2), axis=0) / 1e5
    return [(round(x, 5), round(y, 5)) for x, y in (*at.tolist(), at[0].tolist())]


def _hot_choices(asked: Any, lang: Lang) -> dict[str, Any]:
    say = Texts(lang, hotspots.TEXTS)
    sizes = [("", say("automatic")), *((str(r), f"H3 {r}") for r in range(6, 12))]
    return {
        "by": (say("by"), asked.by, [("cell", say("by_cell")), ("grid", say("by_grid"))]),
        "resolution": (say("resolution"), str(asked.resolution or ""), sizes),
        "measure": (
            say("measure"), asked.measure,
            [("km2", say("by_km2")), ("resident", say("by_resident"))],
        ),
    }  # fmt: skip


def _hot_question(asked: Any, selection: Selection, area: int | None) -> Question:
    wanted = spots.Wanted(asked.by, asked.resolution, asked.measure)
    return spots.question(selection, area, wanted)


HOTSPOTS = Exhibit(
    "hotspots",
    ("热点分析", "Hot spots"),
    "Where more is reported than chance explains",
    AskedHotspots,
    _hot_question,
    hotspots.hotspots,
    _columns(_units, _UNITS),
    _unit_shapes,
    more=_hot_choices,
    # Cells lie over the villages; the grids under them would make the page too large.
    levels=lambda asked: LEVELS if asked.by == "grid" else LEVELS[:-1],
)
_SQUARES = ("expected", "area_m2", "share")


def _squares(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    return answer["squares"] or {name: [] for name in (*_SQUARES, "ring")}


def _square_shapes(_: Connection, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    squares = _squares(answer)
    lines = zip(*(squares[name] for name in _SQUARES), strict=True)
    return [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [_ring(ring)]},
            "properties": dict(zip(_SQUARES, line, strict=True)),
        }
        for ring, line in zip(squares["ring"], lines, strict=True)
    ]


def _scores(answer: Mapping[str, Any]) -> Table:
    names = ("first", "last", "method", "share", "n", "N", "pai", "pai_low", "pai_high", "pei")
    return names, ([row[name] for name in names] for row in answer["scores"])


def _ahead_choices(asked: Any, lang: Lang) -> dict[str, Any]:
    say = Texts(lang, forecast.TEXTS)
    days, groups = (1, 3, 7, 14, 28), (5, 10, 20, 50)
    return {
        "ahead": (say("ahead"), str(asked.ahead), [(str(n), str(n)) for n in days]),
        "patrols": (say("patrols"), str(asked.patrols), [(str(n), str(n)) for n in groups]),
    }


FORECAST = Exhibit(
    "forecast",
    ("预测与巡防", "Forecast and patrols"),
    "Where reports come next, how well that was foretold before, and where to patrol",
    AskedForecast,
    lambda asked, selection, area: ahead.question(
        selection, area, ahead.Wanted(asked.ahead, asked.patrols)
    ),
    forecast.forecast,
    _scores,
    _square_shapes,
    more=_ahead_choices,
    levels=lambda _asked: LEVELS[:-1],
)
EXHIBITS = {each.name: each for each in (HOTSPOTS, FORECAST, COVERAGE, WORKLOAD)}


def page(
    connection: Connection, exhibit: Exhibit, asked: AskedPeriod, row: RowMapping,
    ground: Ground, *, lang: Lang, now: datetime, self_contained: bool = False,
) -> str:  # fmt: skip
    """The page of an exhibit, from the row that holds its answer; see `data.analyses.kept.find`."""
    answer = kept.opened(row)
    given = frame(
        exhibit, asked, answer, ground, kinds(connection), lang=lang, now=now, made=row["made"]
    )
    return drawn(exhibit, answer, ground, given, lang=lang, self_contained=self_contained)


def drawn(
    exhibit: Exhibit, answer: Mapping[str, Any], ground: Ground, given: Frame, *, lang: Lang,
    self_contained: bool = False,
) -> str:  # fmt: skip
    """The page of an exhibit as HTML."""
    return exhibit.draw(
        answer, ground, given, lang=lang, timezone=settings().timezone,
        self_contained=self_contained,
    )  # fmt: skip
