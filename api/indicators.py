"""Indicators: their definitions, what they say, and the rows that each figure is made of."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy import Connection, RowMapping

from api import examples
from api.access import Who, may
from api.answers import NO_STORE, Json
from api.deps import Db
from api.problems import Problem, documented
from api.schemas import Word
from api.schemas_indicators import (
    Asked,
    AskedBoard,
    AskedFigures,
    AskedRows,
    Board,
    Definitions,
    Figures,
    Rows,
)
from api.sheets import FILES, table
from data.indicators import figures, names, prepared, question, registry, rows
from data.indicators.figures import Figure
from data.indicators.question import By, Question
from data.indicators.registry import DEFINITIONS, Indicator
from data.settings import settings

router = APIRouter(prefix="/api/v1/indicators", tags=["indicators"])
Name = Annotated[Word, Path(description="an indicator's name", examples=["closing"])]
_WRONG = (
    "validation", "area-unknown", "organisation-unknown", "period-wrong", "breakdown-wrong",
)  # fmt: skip
HEAD = (
    "indicator", "code", "name", "numerator", "denominator", "value", "numerator_before",
    "denominator_before", "value_before",
)  # fmt: skip


def _ok(example: str) -> dict[str, Any]:
    """An answer that is JSON, as in the example, or a table."""
    return {"content": {**examples.ok(examples.of(example))["content"], **FILES}}


@router.get(
    "",
    summary="What the indicators are",
    responses={
        200: {"model": Definitions, **examples.ok(examples.of("indicator_definitions"))},
        **documented(),
    },
)
async def definitions(who: Who = may("indicator.read")) -> Response:
    """Each with its version, from when it holds, and the statement that finds its rows."""
    return Json({"indicators": [_definition(each) for each in DEFINITIONS]})


def _definition(each: Indicator) -> dict[str, Any]:
    return {
        "name": each.name, "version": each.version, "since": each.since,
        "title": _words(each.title), "unit": each.unit, "numerator": _words(each.top),
        "denominator": _words(each.bottom), "sql": each.family.sql,
    }  # fmt: skip


def _words(both: tuple[str, str]) -> dict[str, str]:
    return {"zh": both[0], "en": both[1]}


@router.get(
    "/board",
    summary="All indicators of the city, by area",
    responses={200: {"model": Board, **_ok("indicator_board")},
               **documented(*_WRONG)},
)  # fmt: skip
async def board(
    asked: Annotated[AskedBoard, Query()], db: Db, who: Who = may("indicator.read")
) -> Response:
    """Of a period and of the year before, with numerators and denominators; also as a table."""
    shown = await db.apart(board_of, asked, who)
    if asked.format == "json":
        return Json(shown, headers=NO_STORE)
    lines = [{"key": None, "figures": shown["total"]}, *shown["lines"]]
    flat = [
        _flat(name, line["key"], figure)
        for line in lines
        for name, figure in line["figures"].items()
    ]
    return table(asked.format, "board", HEAD, flat)


def board_of(connection: Connection, asked: AskedBoard, who: Who) -> dict[str, Any]:
    """The board as it goes out, for the page as well."""
    whole = _question(connection, asked, who, None)
    parts = _question(connection, asked, who, asked.by)
    fit = [each for each in DEFINITIONS if _fits(each, parts)]
    zone = settings().timezone
    total = figures.board(connection, fit, whole, zone)
    by_area = figures.board(connection, fit, parts, zone)
    keys = sorted({f.key for found in by_area.values() for f in found}, key=str)
    called = names.of(connection, asked.by, keys)
    lines: dict[Any, dict[str, Any]] = {key: {} for key in keys}
    for name, found in by_area.items():
        for figure in found:
            lines[figure.key][name] = _shown(figure)
    return {
        **_about(asked, asked.by, prepared.refreshed(connection)),
        "total": {name: _shown(found[0]) for name, found in total.items()},
        "lines": sorted(
            ({"key": called.get(key), "figures": line} for key, line in lines.items()),
            key=lambda line: (line["key"] is None, line["key"] and line["key"]["code"]),
        ),
    }


def _fits(each: Indicator, asked: Question) -> bool:
    """Whether an indicator has what the question narrows it to: the board leaves the others out."""
    try:
        figures.check(each, asked)
    except registry.IndicatorError:
        if asked.kind is None and asked.organisation_id is None:
            raise
        return False
    return True


@router.get(
    "/{name}",
    summary="An indicator's figures",
    responses={200: {"model": Figures, **_ok("indicator_figures")},
               **documented(*_WRONG, "indicator-unknown")},
)  # fmt: skip
async def one(
    name: Name, asked: Annotated[AskedFigures, Query()], db: Db, who: Who = may("indicator.read")
) -> Response:
    """In all, or by area, organisation, kind or period, each with the one of a year before."""

    def look(connection: Connection) -> dict[str, Any]:
        found = registry.find(name, asked.version, asked.days()[0])
        about = _question(connection, asked, who, asked.by)
        said = figures.of(connection, found, about, settings().timezone)
        called = names.of(connection, asked.by, [figure.key for figure in said])
        return {
            "indicator": found.name, "version": found.version, "unit": found.unit,
            "title": _words(found.title),
            **_about(asked, asked.by, prepared.refreshed(connection)),
            "figures": [{"key": called.get(f.key), **_shown(f)} for f in said],
        }  # fmt: skip

    shown = await db.apart(look)
    if asked.format == "json":
        return Json(shown, headers=NO_STORE)
    lines = (_flat(name, line["key"], line) for line in shown["figures"])
    return table(asked.format, name, HEAD, lines)


@router.get(
    "/{name}/rows",
    summary="The rows of a figure",
    responses={200: {"model": Rows, **_ok("indicator_rows")},
               **documented(*_WRONG, "indicator-unknown")},
)  # fmt: skip
async def rows_of(
    name: Name, asked: Annotated[AskedRows, Query()], db: Db, who: Who = may("indicator.read")
) -> Response:
    """Those that its numerator or its denominator was added up from, page by page."""
    found = registry.find(name, asked.version, asked.days()[0])

    def look(connection: Connection) -> list[RowMapping]:
        about = _question(connection, asked, who, None)
        return rows.page(
            connection, found, about, asked.part, settings().timezone,
            after=asked.after, limit=asked.limit,
        )  # fmt: skip

    lines = [_row(found, line) for line in await db.apart(look)]
    if asked.format != "json":
        return table(asked.format, f"{name}-{asked.part}", _ROW, (list(x.values()) for x in lines))
    next_ = None
    if len(lines) == asked.limit:
        said = asked.model_dump(exclude_defaults=True, mode="json", by_alias=True)
        next_ = f"{router.prefix}/{name}/rows?{urlencode({**said, 'after': lines[-1]['id']})}"
    answer = {"indicator": name, "version": found.version, "part": asked.part, "rows": lines}
    return Json({**answer, "next": next_}, headers=NO_STORE)


_ROW = ("id", "at", "area", "kind", "organisation", "numerator", "denominator", "href")


def _row(indicator: Indicator, line: RowMapping) -> dict[str, Any]:
    href = indicator.family.path.format(id=line["id"], code=line["code"])
    shown = {**line, "area": line["code"], "href": href}
    return {name: shown[name] for name in _ROW}


# --- what is asked, and how it is said ------------------------------------------------------------


def _question(connection: Connection, asked: Asked, who: Who, by: By | None) -> Question:
    first, last = asked.days()
    granted = who.areas
    place = place_of(connection, asked, who)
    if granted is not None and (place is None or not question.lies_in(connection, place, granted)):
        raise Problem(
            "not-permitted",
            "You may see the indicators of your own area; name it, or one that lies in it.",
            field="area",
        )
    body = question.organisation(connection, asked.organisation) if asked.organisation else None
    return Question(
        first, last + timedelta(days=1), place, body, asked.kind, asked.areas == "now", by
    )


def place_of(connection: Connection, asked: Asked, who: Who) -> question.Place | None:
    """The area that is asked about; None: the whole city."""
    if asked.area:
        return question.place(connection, asked.area)
    return question.own(connection, who.areas)


def _about(asked: Asked, by: str | None, refreshed: Any) -> dict[str, Any]:
    first, last = asked.days()
    return {
        "period": {"first": first, "last": last}, "by": by, "areas": asked.areas,
        "refreshed": refreshed,
    }  # fmt: skip


def _shown(figure: Figure) -> dict[str, Any]:
    before = figure.before
    return {**_parts(figure), "before": before and _parts(before)}


def _parts(figure: Figure) -> dict[str, Any]:
    return {
        "numerator": figure.numerator,
        "denominator": figure.denominator,
        "value": figure.value,
    }


def _flat(name: str, key: dict[str, str] | None, figure: dict[str, Any]) -> list[Any]:
    before = figure["before"] or {"numerator": None, "denominator": None, "value": None}
    about: Iterable[Any] = (key["code"], key["name"]) if key else ("", "")
    parts = ("numerator", "denominator", "value")
    return [name, *about, *(figure[p] for p in parts), *(before[p] for p in parts)]
