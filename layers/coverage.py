"""The page of 警网合一: how beats and grids coincide, who is near, what to bring into line."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
from folium import LayerControl

from data.integration import WHOM, Integration
from gis.integration import CLASSES, NONE, PARTS, SEVERAL
from gis.integration import PART as PARTLY
from layers.analysis import TEXTS as ANALYSIS_TEXTS
from layers.analysis import Frame, links
from layers.coverage_words import TEXTS
from layers.ground import Ground
from layers.i18n import TEXTS as MAP_TEXTS
from layers.i18n import Lang, Texts
from layers.page import BaseMap, Call, Shapes

KIND_COLOURS = ("#d5e5da", "#f0a24c", "#c9a0c8", "#8c1515")
"""Of `CLASSES`: told apart in print and by colour-blind readers by how dark they are."""
MINUTE_COLOURS = ("#e3eef0", "#a9cfd6", "#f3b562", "#b3341f", "#5b1a12")
RATE_COLOURS = ("#eef0e0", "#cfdba0", "#e9b54f", "#c0562b")
NO_OFFICER = "#5b1a12"
DONE_COLOURS = ("#b3341f", "#ef9f5b", "#f2dfa0", "#8fbf9a")
GREY = "#e4e1da"
UNKNOWN = "#f4f2ee"
LIMITS = (5, 10, 15)
"""Minutes at which the colour changes."""
DONE = (0.5, 0.8, 1.0)
LISTED = 60
"""So many gaps and moves are named at most."""

Digits = npt.NDArray[np.int64]


def coverage(
    ground: Ground,
    figures: Integration,
    *,
    now: datetime,
    timezone: str = "Asia/Shanghai",
    lang: Lang = "zh",
    self_contained: bool = False,
    frame: Frame | None = None,
) -> str:
    """The page as HTML, at most 3 MB.

    Parameters
    ----------
    ground : Ground
        Of the same moment as the figures. Where it is drawn by village or coarser, the figures of
        the grids are summed up: minutes by their middle, coincidence by what most of them are.
    figures : Integration
    now : datetime, aware
        When they were read.
    timezone, lang, self_contained
        As `layers.overview.overview`.
    frame : Frame
        What the page is narrowed to and links to; None: it stands alone.

    Raises
    ------
    ValueError
        If the language is unknown.
    """
    say, words = Texts(lang, TEXTS), Texts(lang, {**MAP_TEXTS, **ANALYSIS_TEXTS})
    west, south, east, north = ground.bounds
    page = BaseMap(
        f"{ground.city} · {say('title')}", lang, ((west + east) / 2, (south + north) / 2)
    )
    zone = ZoneInfo(timezone)
    table = _drawn(ground, figures.grids)
    choices = _choices(table, say)
    page.add_data(
        {
            **ground.packed,
            "texts": say.raw(),
            "bounds": [[south, west], [north, east]],
            "finest": ground.finest,
            "now": now.timestamp() * 1000,
            "choices": {name: (digits, colours) for name, digits, colours, _ in choices},
            "of": _columns(table, figures),
            "police": _police(ground, figures.beats),
            "moves": _moves(table, figures.moves),
        }
    )
    page.add_style("coverage.css")
    for script in ("ground.js", "coverage.js"):
        page.add_script(script)
    page.add_panel(
        "coverage.html",
        t=say,
        ground=ground,
        figures=figures,
        **_panel(ground, figures, table, say),
        period=_period(figures, zone),
        as_of=f"{now.astimezone(zone):%Y-%m-%d %H:%M:%S}",
        now_ms=now.timestamp() * 1000,
        legends={name: list(zip(colours, labels, strict=True))
                 for name, _, colours, labels in choices},
        switch=None if self_contained else {"zh": "en", "en": "zh"}[lang],
        frame=frame,
        words=words,
        pages=links(frame.name, words) if frame else (),
        filters=frame.filters if frame else None,
    )  # fmt: skip
    if ground.finest:
        _add_layers(page, ground, [name for name, *_ in choices], bool(len(figures.moves)), say)
    return page.html(self_contained)


def _add_layers(
    page: BaseMap, ground: Ground, choices: Sequence[str], moves: bool, say: Texts
) -> None:
    page.add_child(Call("start"))
    for n, name in enumerate(choices):
        page.add_child(Shapes(f"by_{name}", say(f"layer_{name}"), overlay=False, show=n == 0))
    for name in ("water", "roads", "borders"):
        if name == "borders" or ground.packed[name].get("name" if name == "water" else "class"):
            page.add_child(Shapes(name, say(f"layer_{name}")))
    if ground.packed["beats"]["code"]:
        page.add_child(Shapes("police", say("layer_police")))
    if moves:
        page.add_child(Shapes("moves", say("layer_moves"), show=False))
    page.add_child(LayerControl(collapsed=False))
    page.add_child(Call("finish"))


# --- what is drawn --------------------------------------------------------------------------------


def _drawn(ground: Ground, grids: pd.DataFrame) -> pd.DataFrame:
    """The figures in the order of the shapes of the finest level; ``there``: has any."""
    if not ground.finest:
        return pd.DataFrame()
    codes = ground.areas[ground.finest]["code"]
    if ground.finest == "grids":
        table = grids.reindex(codes)
    else:
        place = ground.members.reindex(grids.index).fillna(-1).astype(int)
        known = grids[place.to_numpy() >= 0]
        by = known.groupby(codes.to_numpy()[place[place >= 0]])
        sums = ["residents", "incidents", "officers", "due", "done", "missed"]
        table = by[sums].sum(min_count=1)
        table[[*WHOM, "in_main"]] = by[[*WHOM, "in_main"]].median()
        table["officer_part"] = by["officer_part"].mean()
        table[["beats", "main"]] = by[["beats", "main"]].first()
        table["kind"] = by["kind"].agg(lambda each: each.value_counts().index[0])
        table = table.reindex(codes)
    return table.assign(there=table["kind"].notna())


def _choices(table: pd.DataFrame, say: Texts) -> list[tuple[str, str, list[str], list[str]]]:
    """What the map may be coloured by: name, class of each shape as a digit, colours, labels."""
    if not len(table):
        return []
    kinds = [*KIND_COLOURS], [say(f"kind_{name}") for name in CLASSES]
    found = [("kind", pd.Categorical(table["kind"], CLASSES).codes.astype(int), *kinds)]
    minutes = [say("upto", n=n) for n in LIMITS] + [say("over", n=LIMITS[-1]), say("nobody")]
    for whom in WHOM:
        late = np.searchsorted(np.array(LIMITS) * 60.0, table[whom].to_numpy(float))
        late[table[whom].isna()] = len(LIMITS) + 1
        found.append((whom, late, [*MINUTE_COLOURS], minutes))
    found.append(("part", *_per_officer(table, say)))
    found.append(("visits", *_visited(table, say)))
    # What the figures do not tell of, such as another town's grid, has a colour of its own.
    none = (~table["there"]).to_numpy()
    out = []
    for name, digit, colours, labels in found:
        digits = "".join(map(str, np.where(none, len(labels), digit).tolist()))
        both = [*colours, UNKNOWN], [*labels, say("unknown")]
        said = [each if none.any() else each[:-1] for each in both]
        out.append((name, digits, said[0], said[1]))
    return out


def _per_officer(table: pd.DataFrame, say: Texts) -> tuple[Digits, list[str], list[str]]:
    """For how many grids each grid's officers answer, by quarters of the grids that have one."""
    part = table["officer_part"].to_numpy(float)
    known = part > 0
    each = np.full(len(part), np.nan)
    each[known] = np.round(1 / part[known], 1)
    quarters = np.quantile(each[known], (0.25, 0.5, 0.75)) if known.any() else np.empty(0)
    cuts = np.unique(quarters.round())
    digit = np.searchsorted(cuts, each, side="right")
    digit[~known] = len(cuts) + 1
    labels = [say("below", n=f"{cuts[0]:g}")] if len(cuts) else [say("above", n=0)]
    labels += [f"{a:g}–{b:g}" for a, b in pairwise(cuts)]
    labels += [say("above", n=f"{cuts[-1]:g}")] if len(cuts) else []
    return digit, [*RATE_COLOURS[: len(labels)], NO_OFFICER], [*labels, say("no_officer")]


def _visited(table: pd.DataFrame, say: Texts) -> tuple[Digits, list[str], list[str]]:
    """The share of the visits of the period that were made."""
    every = table[["due", "done", "missed"]].sum(axis=1).to_numpy(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = table["done"].to_numpy(float) / every
    digit = np.searchsorted(DONE, share, side="right")
    digit[every == 0] = len(DONE) + 1
    labels = [say("below", n=f"{DONE[0]:.0%}")]
    labels += [f"{a:.0%}–{b:.0%}" for a, b in pairwise(DONE)]
    return digit, [*DONE_COLOURS, GREY], [*labels, f"{DONE[-1]:.0%}", say("none_due")]


def _columns(table: pd.DataFrame, figures: Integration) -> dict[str, list[Any]]:
    """What the tooltips tell, shape by shape; -1: not known."""
    if not len(table):
        return {}
    beat = pd.Index(figures.beats.index)
    times = {whom: _whole(table[whom] / 6) for whom in WHOM}  # tenths of a minute
    counts = {name: _whole(table[name]) for name in
              ("residents", "incidents", "officers", "beats", "due", "done", "missed")}  # fmt: skip
    return {
        **times,
        **counts,
        "main": beat.get_indexer(table["main"]).tolist(),
        "in_main": _whole(100 * table["in_main"]),
        "part": _whole(1000 * table["officer_part"]),
    }


def _whole(values: "pd.Series[float]") -> list[int]:
    numbers: list[int] = values.astype(float).round().fillna(-1).astype(int).tolist()
    return numbers


def _police(ground: Ground, beats: pd.DataFrame) -> dict[str, list[Any]]:
    """Of each beat by the figures' order: name, grids, residents, load; and where it is drawn."""
    drawn = pd.Index(ground.packed["beats"]["code"])
    return {
        "name": beats["name"].tolist(),
        "drawn": drawn.get_indexer(beats.index).tolist(),
        "grids": beats["grids"].astype(int).tolist(),
        "residents": _whole(beats["residents"]),
        "now": _whole(1e6 * beats["load"]),
        "after": _whole(1e6 * beats["load_after"]),
    }


def _moves(table: pd.DataFrame, moves: pd.DataFrame) -> list[list[int | str]]:
    """Where on the map, to which beat, how many residents: only grids that are drawn."""
    position = pd.Index(table.index).get_indexer(moves["grid"])
    rows = zip(position.tolist(), moves["beat"], _whole(moves["residents"]), strict=True)
    return [list(row) for row in rows if row[0] >= 0]


# --- what the panel says --------------------------------------------------------------------------


def _panel(ground: Ground, figures: Integration, table: pd.DataFrame, say: Texts) -> dict[str, Any]:
    position = {code: n for n, code in enumerate(table.index)}
    return {
        "index": _number(figures.index),
        "parts": _parts(figures, say),
        "covers": _covers(figures.covered),
        "towns": _towns(ground, figures.towns, say),
        "gaps": _gaps(ground, figures, position, say),
        "proposal": _proposal(figures, say),
        "moves": _moved(ground, figures, position, say),
        "notes": _notes(figures, say),
    }


def _number(value: float, places: int = 1) -> str:
    return f"{value:.{places}f}" if np.isfinite(value) else "–"


def _parts(figures: Integration, say: Texts) -> list[dict[str, Any]]:
    """The index's parts for all towns together: title, help, share, width of its bar."""
    weight = figures.towns["residents"].to_numpy(float)
    weight = weight if weight.sum() > 0 else figures.towns["grids"].to_numpy(float)
    out = []
    for name in PARTS:
        value = figures.towns[name].to_numpy(float) if len(weight) else np.empty(0)
        known = np.isfinite(value) & (weight > 0)
        share = float(np.average(value[known], weights=weight[known])) if known.any() else np.nan
        n = f"{figures.asked.within:g}"
        out.append({
            "title": say(name, n=n), "help": say(f"{name}_help", n=n),
            "share": f"{share:.1%}" if known.any() else say("unknown"),
            "width": 100 * np.nan_to_num(share),
        })  # fmt: skip
    return out


def _covers(covered: pd.DataFrame) -> list[dict[str, Any]]:
    def shares(row: Any) -> str:
        return " / ".join(
            f"{value:.0%}" if np.isfinite(value) else "–"
            for value in (row.residents if np.isfinite(row.residents) else row.grids, row.incidents)
        )

    return [
        {"whom": whom, "shares": [shares(row) for row in rows.itertuples()]}
        for whom, rows in covered.groupby("whom", sort=False)
    ]


def _towns(ground: Ground, towns: pd.DataFrame, say: Texts) -> list[dict[str, Any]]:
    drawn = ground.areas.get("towns")
    at = {code: n for n, code in enumerate(drawn["code"])} if drawn is not None else {}
    out = []
    for code, row in towns.sort_values("index", kind="stable").iterrows():
        small = say(
            "town_small", n=int(row["grids"]), split=int(row["split"] + row["none"]),
            after=_number(row["index_after"]),
        )  # fmt: skip
        out.append({"layer": "towns", "position": at.get(str(code)), "name": row["name"],
                    "small": small, "n": _number(row["index"])})  # fmt: skip
    return out


def _gaps(
    ground: Ground, figures: Integration, position: Mapping[str, int], say: Texts
) -> tuple[list[dict[str, Any]], int]:
    """The gravest gaps, and how many more there are."""
    names = figures.towns["name"].to_dict()
    out = []
    for row in figures.gaps.head(LISTED).itertuples():
        grid = figures.grids.loc[row.grid]
        soonest = np.fmin(grid["officer"], grid["post"])
        key = "gap_never" if row.kind == "far" and np.isnan(soonest) else f"gap_{row.kind}"
        n = int(grid["beats"]) if row.kind in (SEVERAL, PARTLY, NONE) else None
        late = math.ceil(soonest / 60) if np.isfinite(soonest) else 0
        out.append(
            {
                **_place(ground, figures, position, row.grid),
                "small": f"{names.get(row.town, '')} · {say(key, n=late if n is None else n)}",
                "n": f"{row.residents:,.0f}",
            }
        )
    return out, max(0, len(figures.gaps) - LISTED)


def _proposal(figures: Integration, say: Texts) -> list[str]:
    moves = figures.moves
    if not len(moves) and not len(figures.left):
        return [say("no_moves")]
    lines = [
        say(
            "proposal_sum", n=len(moves), residents=f"{moves['residents'].sum():,.0f}",
            incidents=f"{moves['incidents'].sum():,.0f}",
            area=f"{moves['area_m2'].sum() / 1e6:.1f}",
            before=_number(figures.index), after=_number(figures.index_after),
            tolerance=f"{figures.asked.tolerance:.0%}",
        )
    ]  # fmt: skip
    for reason, n in figures.left["reason"].value_counts().items():
        lines.append(say(f"left_{reason}", n=n))
    return lines


def _moved(
    ground: Ground, figures: Integration, position: Mapping[str, int], say: Texts
) -> list[dict[str, Any]]:
    """The proposal's grids, those that concern most residents first."""
    beats = figures.beats["name"].to_dict()
    out = []
    top = figures.moves.sort_values("residents", ascending=False, kind="stable").head(LISTED)
    for row in top.itertuples():
        people, hectares = f"{row.residents:,.0f}", f"{row.area_m2 / 1e4:,.1f}"
        small = say("move_small", beat=beats[row.beat], area=hectares)
        out.append({**_place(ground, figures, position, row.grid), "small": small, "n": people})
    return out


def _place(
    ground: Ground, figures: Integration, position: Mapping[str, int], grid: str
) -> dict[str, Any]:
    """A grid's name with its village's, for each has a first grid, and where it is drawn."""
    name, at = figures.grids.at[grid, "name"], position.get(grid)
    villages = ground.areas.get("villages")
    if at is not None and villages is not None and ground.finest == "grids":
        up = int(ground.areas["grids"]["up"].iloc[at])
        name = f"{villages['name'].iloc[up] if up >= 0 else ''} {name}"
    return {"position": at, "name": name}


def _notes(figures: Integration, say: Texts) -> list[str]:
    """What has to be known before the figures, in sentences."""
    few = int((figures.grids["reason"] != "").sum()) if len(figures.grids) else 0
    overlaps = figures.overlaps
    example = " / ".join(overlaps.iloc[0][["beat", "other"]]) if len(overlaps) else ""
    n = {"overlaps": len(overlaps), "no_residents": few}
    return [
        say(f"note_{name}", n=n.get(name, 0), example=example)
        for name in figures.notes
        if f"note_{name}" in TEXTS
    ]


def _period(figures: Integration, zone: ZoneInfo) -> str:
    start, end = (each.astimezone(zone) for each in (figures.asked.start, figures.asked.until))
    return f"{start:%Y-%m-%d %H:%M} – {end:%Y-%m-%d %H:%M}"
