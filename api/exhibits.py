"""What can be looked at on a map and fetched as data: each analysis, its page, its tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson
import shapely
from sqlalchemy import Connection, RowMapping

from api.schemas_analytics import AskedSelection
from data import areas, case_catalogue
from data.analyses import kept
from data.analyses import workload as loads
from data.analyses.kept import Question
from data.analyses.selection import Selection
from data.settings import settings
from layers import workload
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
    levels : of the ground under it
    areas : the layer that its table is about and the key of the answer that holds the table's
        columns, of which `code` names the areas
    table : heads of the columns that are given out
    more : filters of its own; see `layers.analysis.Filters`
    """

    name: str
    title: tuple[str, str]
    summary: str
    asked: type[AskedSelection]
    question: Callable[[Any, Selection, int | None], Question]
    draw: Draw
    table: Callable[[Mapping[str, Any]], Table]
    features: Callable[[Connection, Mapping[str, Any]], list[dict[str, Any]]]
    levels: tuple[str, ...] = (*LEVELS, "beats")
    more: Callable[[Any, Texts], dict[str, Any]] = lambda _asked, _say: {}

    def titled(self, lang: Lang) -> str:
        """Its title in a language."""
        return self.title[0 if lang == "zh" else 1]


def frame(
    exhibit: Exhibit, asked: AskedSelection, answer: Mapping[str, Any], ground: Ground,
    kinds: Mapping[str, tuple[str, str]], *, lang: Lang, now: datetime, made: datetime,
) -> Frame:  # fmt: skip
    """What every page is given."""
    selection = Selection.of(answer["selection"])
    newest = answer.get("newest")
    return Frame(
        name=exhibit.name,
        title=exhibit.titled(lang),
        filters=Filters(
            selection.first, selection.last,
            areas=_areas(ground),
            kinds=[(code, both[0 if lang == "zh" else 1]) for code, both in kinds.items()],
            channels=answer.get("channels", ()),
            area=selection.area, kind=selection.kinds, channel=selection.channels,
            hours=selection.hours, weekdays=selection.weekdays,
            more=exhibit.more(asked, Texts(lang)),
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


def _columns(key: str, names: Sequence[str]) -> Callable[[Mapping[str, Any]], Table]:
    """A table that stands as columns in the answer."""

    def table(answer: Mapping[str, Any]) -> Table:
        return names, zip(*(answer[key][name] for name in names), strict=True)

    return table


def _of_areas(
    layer: str, key: str, names: Sequence[str]
) -> Callable[[Connection, Mapping[str, Any]], list[dict[str, Any]]]:
    """GeoJSON features of a layer's areas with the columns of a table whose `code` names them."""

    def features(connection: Connection, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = areas.read(connection, layer)
        shapes = dict(zip(found["code"], shapely.to_geojson(found.geometry.values), strict=True))
        lines = zip(*(answer[key][name] for name in names), strict=True)
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
    _columns("grids", _LOADS),
    _of_areas("grid", "grids", _LOADS),
)
EXHIBITS = {each.name: each for each in (WORKLOAD,)}


def page(
    connection: Connection, exhibit: Exhibit, asked: AskedSelection, row: RowMapping,
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
