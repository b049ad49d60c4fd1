"""The overview page: the city's grids, what was reported, and what waits for a person."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import h3  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
import pandas as pd
from folium import LayerControl
from folium.plugins import FastMarkerCluster
from folium.utilities import JsCode

from layers.ground import LEVELS, Ground, path
from layers.i18n import Lang, Texts
from layers.page import CLUSTER_CSS, CLUSTER_JS, BaseMap, Call, Shapes
from layers.style import NONE, breaks, colours

Counts = npt.NDArray[np.int64]

MARKS = 3_000
"""So many marks at most; more reports than that are drawn as cells with a number."""
TEXT = 60
"""Characters of a kind or a reason that a tooltip shows."""
COLUMNS = ("lon", "lat", "kind", "received", "grid", "triage", "ambiguous")

COMMANDS = (
    "make demo",
    "python main.py import areas FILE --layer grid",
)


def overview(
    ground: Ground,
    reports: pd.DataFrame,
    *,
    period: tuple[datetime, datetime],
    now: datetime,
    timezone: str = "Asia/Shanghai",
    lang: Lang = "zh",
    commands: tuple[str, ...] = COMMANDS,
    since: int | None = None,
    self_contained: bool = False,
) -> str:
    """The page as HTML, at most 3 MB.

    Parameters
    ----------
    ground : Ground
        From :func:`layers.ground.ground`; keep it between calls, it takes seconds to make.
    reports : DataFrame
        One row per report of the period: ``lon``, ``lat`` (degrees WGS 84, NaN: none), ``kind``
        (text or null), ``received`` (aware), ``grid`` (code or null: not placed), ``triage`` (the
        reason why it waits for a person, null: it does not), ``ambiguous`` (bool).
    period : (from, until), aware
        Named in the title.
    now : datetime, aware
        When the reports were read; the page tells its age from it.
    timezone : str
        Of the times on the screen.
    lang : ``zh`` or ``en``
    commands : tuple of str
        What the empty page tells the reader to run.
    since : int or None
        The last event before the reports were read: the page says how many have come after it.
        None: it does not listen.
    self_contained : bool
        Put every asset inside, so that the file opens without a server.

    Raises
    ------
    ValueError
        If a column is missing, or the language is unknown.
    """
    missing = [c for c in COLUMNS if c not in reports.columns]
    if missing:
        raise ValueError(
            f"reports has no column {', '.join(missing)}; it has {list(reports.columns)}"
        )
    say = Texts(lang)
    west, south, east, north = ground.bounds
    title = f"{ground.city} · {say('title')}"
    page = BaseMap(title, lang, ((west + east) / 2, (south + north) / 2))
    zone = ZoneInfo(timezone)
    counts = _counts(ground, reports)
    cuts = {level: breaks(c) for level, c in counts.items()}
    if ground.finest == "grids":
        cuts["grids"] = cuts["dedicated"] = breaks(
            np.concatenate([counts["grids"], counts["dedicated"]])
        )
    when = say("when_today" if _is_today(period, now, zone) else "when_period")
    figures = _figures(ground, reports, counts, zone, say)
    page.add_data(
        {
            **ground.packed,
            "texts": say.raw(),
            "bounds": [[south, west], [north, east]],
            "finest": ground.finest,
            "when": when,
            "counts": {level: c.tolist() for level, c in counts.items()},
            "breaks": cuts,
            "colours": {level: colours(len(c)) for level, c in cuts.items()},
            "none": NONE,
            "now": now.timestamp() * 1000,
            "latest": figures["latest_ms"],
            "since": since,
        }
    )
    for script in ("live.js", "ground.js", "overview.js"):
        page.add_script(script)
    page.add_panel(
        "overview.html",
        t=say,
        ground=ground,
        figures=figures,
        when=when,
        period=_period(period, zone),
        now_ms=now.timestamp() * 1000,
        as_of=_moment(now.astimezone(zone), period[0].astimezone(zone)),
        levels=[level for level in ("villages", "grids") if level in counts] or [ground.finest],
        scales={level: _scale(c, say) for level, c in cuts.items()},
        commands=commands,
        switch=None if self_contained else {"zh": "en", "en": "zh"}[lang],
    )
    if ground.finest:
        _add_layers(page, ground, reports, zone, say)
    return page.html(self_contained)


def _add_layers(
    page: BaseMap, ground: Ground, reports: pd.DataFrame, zone: ZoneInfo, say: Texts
) -> None:
    page.add_child(Call("start"))
    page.add_child(Shapes("load", say("layer_load"), overlay=False))
    page.add_child(Shapes("district", say("layer_district"), overlay=False, show=False))
    for name in ("water", "roads", "borders"):
        if name == "borders" or ground.packed[name].get("name" if name == "water" else "class"):
            page.add_child(Shapes(name, say(f"layer_{name}")))
    for name in ("dedicated", "beats"):
        if ground.packed[name]["code"]:
            page.add_child(Shapes(name, say(f"layer_{name}"), show=name == "dedicated"))
    rows = marks(reports, zone, MARKS)
    if rows:
        page.add_child(_cluster(rows, say("layer_reports")))
    page.add_child(LayerControl(collapsed=False))
    page.add_child(Call("finish"))


def _cluster(rows: list[list[Any]], name: str) -> FastMarkerCluster:
    cluster = FastMarkerCluster(
        rows,
        callback="wangge.mark",
        icon_create_function="wangge.clusterIcon",
        name=name,
        max_cluster_radius=JsCode("(zoom) => (zoom < 13 ? 80 : 30)"),
        show_coverage_on_hover=False,
        disable_clustering_at_zoom=17,
        chunked_loading=True,
    )
    cluster.default_js = [("markerclusterjs", CLUSTER_JS)]
    cluster.default_css = [("markerclustercss", CLUSTER_CSS)]
    return cluster


def marks(reports: pd.DataFrame, zone: ZoneInfo, most: int = MARKS) -> list[list[Any]]:
    """What the map marks: each report, or H3 cells with their numbers if there are too many.

    Returns
    -------
    list of rows
        ``[lat, lon, reports, in triage, kind, time, grid, reason, radius]`` of a report (radius 0)
        or of a cell (its mean position; kind: the most frequent ones; radius in metres).
    """
    drawn = reports[reports.lon.notna() & reports.lat.notna()]
    if len(drawn) <= most:
        return _single(drawn, zone)
    lat, lon = drawn.lat.to_numpy(dtype=float), drawn.lon.to_numpy(dtype=float)
    for resolution in range(10, 0, -1):
        cell = pd.factorize(
            np.array([h3.latlng_to_cell(y, x, resolution) for y, x in zip(lat, lon, strict=True)])
        )[0]
        if cell.max() < most:
            break
    radius = round(h3.average_hexagon_edge_length(resolution, unit="m"))
    return _cells(drawn, cell, radius)


def _single(drawn: pd.DataFrame, zone: ZoneInfo) -> list[list[Any]]:
    time = pd.to_datetime(drawn.received, utc=True).dt.tz_convert(zone).dt.strftime("%H:%M")
    waits = drawn.triage.notna().astype(int)
    columns = [drawn.lat.astype(float).round(5), drawn.lon.astype(float).round(5)]
    columns += [pd.Series(1, index=drawn.index), waits, _text(drawn.kind), time]
    columns += [_text(drawn.grid), _text(drawn.triage), pd.Series(0, index=drawn.index)]
    return [list(row) for row in zip(*(c.tolist() for c in columns), strict=True)]


def _cells(drawn: pd.DataFrame, cell: npt.NDArray[np.intp], radius: int) -> list[list[Any]]:
    table = pd.DataFrame(
        {
            "lat": drawn.lat.to_numpy(dtype=float),
            "lon": drawn.lon.to_numpy(dtype=float),
            "waits": drawn.triage.notna().to_numpy(dtype=int),
            "kind": _text(drawn.kind).to_numpy(),
        }
    )
    by = table.groupby(cell, sort=True)
    mean = by[["lat", "lon"]].mean().round(5)
    kinds = table.groupby([cell, "kind"]).size().sort_values(ascending=False).reset_index(level=1)
    top = kinds.groupby(level=0).kind.agg(lambda k: " · ".join([x for x in k if x][:2]))
    columns = [mean.lat, mean.lon, by.size(), by.waits.sum(), top.reindex(mean.index)]
    return [[*row, "", "", "", radius] for row in zip(*(c.tolist() for c in columns), strict=True)]


def _text(column: pd.Series) -> pd.Series:
    return column.where(column.notna(), "").astype(str).str.slice(0, TEXT)


def _counts(ground: Ground, reports: pd.DataFrame) -> dict[str, Counts]:
    """Reports in each area of each level, in the order of the ground's tables."""
    if not ground.finest:
        return {}
    place = ground.members.reindex(reports.grid.dropna().astype(str)).dropna().to_numpy(dtype=int)
    areas, level = ground.areas, ground.finest
    every = np.bincount(place[place >= 0], minlength=len(areas[level]) + len(areas["dedicated"]))
    counts = {level: every[: len(areas[level])]}
    if level == "grids":
        counts["dedicated"] = every[len(areas[level]) :]
    for above in [n for n in reversed(LEVELS[: LEVELS.index(level)]) if n in areas]:
        counts[above] = _summed(areas[level], counts[level], len(areas[above]))
        if level == "grids":
            counts[above] += _summed(areas["dedicated"], counts["dedicated"], len(areas[above]))
        level = above
    return counts


def _summed(children: pd.DataFrame, counts: Counts, parents: int) -> Counts:
    up = children.up.to_numpy(dtype=int)
    total = np.zeros(parents, dtype=np.int64)
    np.add.at(total, up[up >= 0], counts[up >= 0])
    return total


def _figures(
    ground: Ground,
    reports: pd.DataFrame,
    counts: Mapping[str, Counts],
    zone: ZoneInfo,
    say: Texts,
) -> dict[str, Any]:
    """The panel's numbers. Placed and in triage may overlap; the panel's help says so."""
    total, placed = len(reports), int(reports.grid.notna().sum())
    received = pd.to_datetime(reports.received, utc=True).max() if total else None
    kinds = reports.kind.where(reports.kind.notna(), say("no_kind")).astype(str).value_counts()
    named = reports.grid.dropna().astype(str)
    return {
        "total": total,
        "placed": placed,
        "share": f"{100 * placed / total:.1f} %" if total else "",
        "triage": int(reports.triage.notna().sum()),
        "ambiguous": int(reports.ambiguous.fillna(False).astype(bool).sum()),
        "off_map": int((reports.lon.isna() | reports.lat.isna()).sum()),
        "unknown": int((~named.isin(ground.members.index)).sum()),
        "latest": None if received is None else f"{received.tz_convert(zone):%H:%M}",
        "latest_ms": None if received is None else received.timestamp() * 1000,
        "kinds": [(kind[:TEXT], int(n)) for kind, n in kinds.head(4).items()],
        "most_kind": int(kinds.iloc[0]) if len(kinds) else 0,
        "other_kinds": int(kinds.iloc[4:].sum()),
        "busiest": _busiest(ground, counts),
    }


def _busiest(ground: Ground, counts: Mapping[str, Counts], most: int = 5) -> list[dict[str, Any]]:
    """The areas with the most reports, dedicated grids among them: layer, position, names, n."""
    ranked = [
        (int(n), level, int(i))
        for level in (ground.finest, "dedicated")
        for i in np.argsort(-counts.get(level, np.empty(0)), kind="stable")[:most]
        if (n := counts[level][i]) > 0
    ]
    out = []
    for n, level, i in sorted(ranked, key=lambda r: -r[0])[:most]:
        name, around = path(ground, level, i)
        out.append({"layer": level, "position": i, "name": name, "around": around, "n": n})
    return out


def _scale(cuts: list[int], say: Texts) -> list[tuple[str, str]]:
    """Colour and label of each class, fewest first."""
    out = [(NONE, say("none"))]
    for i, (low, colour) in enumerate(zip(cuts, colours(len(cuts)), strict=True)):
        if i + 1 == len(cuts):
            label = say("and_more", n=low) if len(cuts) > 1 else f"{low}+"
        else:
            label = str(low) if cuts[i + 1] == low + 1 else f"{low}–{cuts[i + 1] - 1}"
        out.append((colour, label))
    return out


def _is_today(period: tuple[datetime, datetime], now: datetime, zone: ZoneInfo) -> bool:
    start, end, today = (moment.astimezone(zone) for moment in (*period, now))
    midnight = today.replace(hour=0, minute=0, second=0, microsecond=0)
    return start == midnight and end >= today.replace(microsecond=0)


def _moment(moment: datetime, day: datetime) -> str:
    return moment.strftime("%H:%M:%S" if moment.date() == day.date() else "%Y-%m-%d %H:%M:%S")


def _period(period: tuple[datetime, datetime], zone: ZoneInfo) -> str:
    start, end = (moment.astimezone(zone) for moment in period)
    same = start.date() == end.date()
    return f"{start:%Y-%m-%d %H:%M} – {end.strftime('%H:%M' if same else '%Y-%m-%d %H:%M')}"
