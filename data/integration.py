"""Police beats and grids (警网合一): how well they coincide, who is near, what is visited, what to
bring into line. Reads the rows, asks `gis` what they mean, and hands out tables.

The grids are the basic ones, which tile the city; dedicated ones lie inside them. Whoever acts in
some areas only is told about the grids of these, for the people of others are not theirs to see.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import geopandas as gpd
import numpy as np
import pandas as pd
from sqlalchemy import Connection, text

from data import areas, integration_rows
from data.integration_rows import Asked
from gis import alignment
from gis import integration as gi
from gis.plane import Floats, Plane
from gis.reach import covered
from gis.travel import Travel

__all__ = ["MINUTES", "WHOM", "Asked", "Integration", "read"]

MINUTES = (5, 10, 15)
"""Within which it is told who is covered."""
WHOM = ("officer", "worker", "post")


@dataclass(frozen=True)
class Integration:
    """The figures of 警网合一 of a moment; every table names beats, grids and towns by code.

    Attributes
    ----------
    asked : Asked
    travel : str
        What the minutes go by: ``roads``, or ``straight line``.
    grids : DataFrame
        By code: name, town, residents (NaN: not counted), incidents, ``kind`` of coincidence (see
        `gis.integration.CLASSES`), beats (how many), main (beat), in_main (share of the residents
        who live there), officers and workers (who answer for it by name), officer_part (officers
        shared out among their grids), seconds to the nearest ``officer``, ``worker`` and ``post``
        (NaN: nobody), officer_rate (a thousand residents) and its reason, visits due, done, missed.
    beats : DataFrame
        By code: name, grids, residents, incidents, load and load_after (shares of all).
    matrix : DataFrame
        One row for each pair that shares ground: beat, grid, area_m2, share_of_grid,
        share_of_beat, hair, residents (by area) and incidents (by place).
    overlaps : DataFrame
        beat, other, area_m2.
    towns : DataFrame
        By code: name, grids, residents, split, none, officer_part, index, index_after, and the
        index's parts.
    gaps : DataFrame
        grid, town, kind and residents concerned, gravest first.
    moves : DataFrame
        The proposal in its order: grid, town, beat, main, score, residents, incidents, area_m2.
    left : DataFrame
        grid and reason of those that cannot be moved.
    covered : DataFrame
        whom, minutes, residents and incidents as shares, grids as a share.
    index, index_after : float
        Of the whole; NaN without grids.
    notes : list of str
        What the reader has to know: ``no_grids``, ``no_beats``, ``overlaps``, ``not_counted``,
        ``no_residents``, ``nobody_on_duty``, ``no_posts``, ``no_plans``, ``straight``.
    """

    asked: Asked
    travel: str
    grids: pd.DataFrame
    beats: pd.DataFrame
    matrix: pd.DataFrame
    overlaps: pd.DataFrame
    towns: pd.DataFrame
    gaps: pd.DataFrame
    moves: pd.DataFrame
    left: pd.DataFrame
    covered: pd.DataFrame
    index: float
    index_after: float
    notes: list[str] = field(default_factory=list)

    def said(self) -> dict[str, Any]:
        """As plain values that are JSON: to be kept, or given out; null where nothing is known."""
        plain: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, pd.DataFrame):
                table = value.reset_index() if value.index.name else value
                nothing = table.astype(object).where(table.notna(), None)
                plain[name] = {column: nothing[column].tolist() for column in table.columns}
            elif name == "asked":
                plain[name] = {
                    key: each.isoformat() if isinstance(each, datetime) else each
                    for key, each in vars(value).items()
                }
            else:
                plain[name] = None if value != value else value
        return plain

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """The figures that `said` told."""
        values: dict[str, Any] = dict(said)
        for name, index in _TABLES.items():
            table = pd.DataFrame(said[name])
            numbers = [column for column in table.columns if column not in _WORDS]
            table[numbers] = table[numbers].apply(pd.to_numeric)
            values[name] = table.set_index(index) if index else table
        times = {
            key: datetime.fromisoformat(said["asked"][key])
            for key in _TIMES
            if said["asked"][key] is not None
        }
        for name in ("index", "index_after"):
            values[name] = float("nan") if said[name] is None else said[name]
        return cls(**{**values, "asked": Asked(**{**said["asked"], **times})})


_TIMES = ("now", "start", "until", "at")
_TABLES = {
    "grids": "code", "beats": "code", "towns": "town", "matrix": None, "overlaps": None,
    "gaps": None, "moves": None, "left": None, "covered": None,
}  # fmt: skip
_WORDS = frozenset(
    ("code", "name", "town", "kind", "main", "reason", "beat", "grid", "other", "whom", "hair")
)


def read(connection: Connection, travel: Travel, asked: Asked) -> Integration:
    """All figures of a moment; seconds of work for a whole city."""
    grids = integration_rows.grids(connection, asked)
    beats = areas.read(connection, asked.beats, at=asked.at)
    plane = Plane.around(grids.geometry.to_numpy())
    beat_xy, grid_xy = (plane.to_xy_m(each.geometry.to_numpy()) for each in (beats, grids))
    over = gi.overlay(beat_xy, grid_xy)
    happened = integration_rows.incidents(connection, asked, grids, plane)
    residents = gi.by_area(over, grids["residents"])
    incidents = gi.by_points(over, *happened)
    table = integration_rows.facts(connection, travel, asked, grids, over, residents)
    table["incidents"] = np.bincount(happened[1][happened[1] >= 0], minlength=len(grids))
    main = over.main
    beat_of = np.array([*beats["code"].to_numpy()[over.beat], None], object)  # -1: none
    table["main"] = beat_of[main]
    borders = alignment.neighbours(grid_xy)
    plan = alignment.propose(over, residents, incidents, borders, tolerance=asked.tolerance)
    towns, whole = _towns(grids, table, over, plan, asked)
    return Integration(
        asked=asked,
        travel=travel.name,
        grids=table,
        beats=_beats(beats, over, residents, incidents, plan),
        matrix=_matrix(beats, grids, over, residents, incidents),
        overlaps=_overlaps(beats, over),
        towns=towns,
        gaps=_gaps(table, asked),
        moves=_moves(beats, table, plan),
        left=pd.DataFrame({"grid": table.index[plan.left], "reason": plan.reason}),
        covered=_covered(table),
        index=whole[0],
        index_after=whole[1],
        notes=_notes(connection, travel, asked, beats, over, table),
    )


# --- what is made of it ---------------------------------------------------------------------------


def _matrix(
    beats: gpd.GeoDataFrame,
    grids: gpd.GeoDataFrame,
    over: gi.Overlay,
    residents: Floats,
    incidents: Floats,
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "beat": beats["code"].to_numpy()[over.beat],
            "grid": grids["code"].to_numpy()[over.grid],
            # By the areas on the ellipsoid, which are in the books, so that they add up to them.
            "area_m2": over.share_of_grid * grids["area_m2"].to_numpy()[over.grid],
            "share_of_grid": over.share_of_grid,
            "share_of_beat": over.share_of_beat,
            "hair": over.hair,
            "residents": residents,
            "incidents": incidents,
        }
    )


def _overlaps(beats: gpd.GeoDataFrame, over: gi.Overlay) -> pd.DataFrame:
    one, other, area = over.overlaps
    code = beats["code"].to_numpy()
    return pd.DataFrame({"beat": code[one], "other": code[other], "area_m2": area})


def _beats(
    beats: gpd.GeoDataFrame,
    over: gi.Overlay,
    residents: Floats,
    incidents: Floats,
    plan: alignment.Proposal,
) -> pd.DataFrame:
    size, real = len(beats), ~over.hair
    table = beats[["code", "name"]].set_index("code")
    table["grids"] = np.bincount(over.beat[real], minlength=size)
    table["residents"] = np.bincount(over.beat, np.nan_to_num(residents), minlength=size)
    table["incidents"] = np.bincount(over.beat, incidents, minlength=size)
    table["load"], table["load_after"] = plan.load_before, plan.load_after
    return table


def _parts(table: pd.DataFrame, asked: Asked) -> dict[str, Floats]:
    """What is true of each grid, as `gis.integration.PARTS`."""
    soonest = np.fmin(table["officer"].to_numpy(), table["post"].to_numpy())
    return {
        "whole": (table["kind"] == gi.ONE).to_numpy(float),
        "together": table["in_main"].to_numpy(float),
        "officers": (table["officers"] > 0).to_numpy(float),
        "reach": (soonest <= asked.within * 60).astype(float),
    }


def _towns(
    grids: gpd.GeoDataFrame,
    table: pd.DataFrame,
    over: gi.Overlay,
    plan: alignment.Proposal,
    asked: Asked,
) -> tuple[pd.DataFrame, tuple[float, float]]:
    """The index by town, and of all, before the proposal and after it."""
    code, towns = pd.factorize(table["town"], sort=True)
    parts = _parts(table, asked)
    after = {**parts, "whole": parts["whole"].copy(), "together": parts["together"].copy()}
    for name in ("whole", "together"):
        after[name][plan.grid] = 1.0
    residents, size = table["residents"].to_numpy(), len(towns)
    now = gi.index(parts, residents, code, size)
    then = gi.index(after, residents, code, size)
    every = np.zeros(len(table), dtype=np.intp)
    whole = [float(gi.index(each, residents, every, 1).value[0]) for each in (parts, after)]
    named = grids.drop_duplicates("town").set_index("town")["town_name"]

    def count(values: Any) -> Floats:
        return np.asarray(
            np.bincount(code[code >= 0], np.asarray(values, float)[code >= 0], minlength=size)
        )

    out = pd.DataFrame(
        {"name": named.reindex(towns).to_numpy()}, index=pd.Index(towns, name="town")
    )
    out["grids"] = count(np.ones(len(table))).astype(int)
    out["residents"] = count(np.nan_to_num(residents))
    out["split"] = count((table["kind"] == gi.SEVERAL) | (table["kind"] == gi.PART)).astype(int)
    out["none"] = count(table["kind"] == gi.NONE).astype(int)
    out["officer_part"] = count(table["officer_part"])
    out["index"], out["index_after"] = now.value, then.value
    for name, values in now.parts.items():
        out[name] = values
    return out, (whole[0], whole[1])


def _gaps(table: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    soonest = np.fmin(table["officer"].to_numpy(), table["post"].to_numpy())
    grid, kind, residents = gi.rank_gaps(
        table["kind"].to_numpy(str), table["residents"], table["in_main"], table["officers"],
        soonest, asked.within * 60,
    )  # fmt: skip
    return pd.DataFrame(
        {
            "grid": table.index[grid],
            "town": table["town"].to_numpy()[grid],
            "kind": kind,
            "residents": residents,
        }
    )


def _moves(beats: gpd.GeoDataFrame, table: pd.DataFrame, plan: alignment.Proposal) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "grid": table.index[plan.grid],
            "town": table["town"].to_numpy()[plan.grid],
            "beat": beats["code"].to_numpy()[plan.beat],
            "main": table["main"].to_numpy()[plan.grid],
            "score": plan.score,
            "residents": plan.residents,
            "incidents": plan.incidents,
            "area_m2": plan.area_m2,
        }
    )


def _covered(table: pd.DataFrame, minutes: Sequence[float] = MINUTES) -> pd.DataFrame:
    weights = {
        "residents": table["residents"],
        "incidents": table["incidents"],
        "grids": np.ones(len(table)),
    }
    rows = []
    for whom in WHOM:
        shares = {by: covered(table[whom], weight, minutes) for by, weight in weights.items()}
        for n, each in enumerate(minutes):
            rows.append((whom, each, *(shares[by][n] for by in weights)))
    return pd.DataFrame(rows, columns=["whom", "minutes", *weights])


_PLANNED = text("SELECT EXISTS (SELECT FROM visit_plan WHERE record_kind = :kind)")


def _notes(
    connection: Connection,
    travel: Travel,
    asked: Asked,
    beats: gpd.GeoDataFrame,
    over: gi.Overlay,
    table: pd.DataFrame,
) -> list[str]:
    """What the reader has to know before the figures."""
    if not len(table):
        return ["no_grids"]
    planned = connection.execute(_PLANNED, {"kind": asked.record_kind}).scalar_one()
    unknown = table["residents"].isna()
    said = {
        "no_beats": not len(beats),
        "overlaps": bool(len(over.overlaps[0])),
        "not_counted": bool(unknown.all()),
        "no_residents": bool((table["reason"] != "").any() and not unknown.all()),
        "nobody_on_duty": bool(table["officer"].isna().all()),
        "no_posts": bool(table["post"].isna().all()),
        "no_plans": not planned,
        "straight": travel.name != "roads",
    }  # fmt: skip
    return [name for name, holds in said.items() if holds]
