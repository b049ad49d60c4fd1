"""Areas in from files and out to them: read, checked as a coverage, mended only when asked."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from sqlalchemy import Connection, Engine

from data import addresses, areas, vector_files
from gis import codes
from gis.coverage import check
from gis.mending import repair
from gis.plane import Geometries

UNFIT = ("empty", "not_polygon", "self_crossing")  # faults that nobody can accept
OF_ITSELF = (*UNFIT, "bad_code")  # what is checked of areas that lie over others


class CoverageError(ValueError):
    """Areas that were not taken in, for they are no coverage; `faults` says what and where."""

    def __init__(self, message: str, faults: gpd.GeoDataFrame) -> None:
        super().__init__(message)
        self.faults = faults


@dataclass(frozen=True)
class Options:
    """How a file of areas is to be read and when it comes into force."""

    layer: str
    mapping: tuple[str, ...] = ()  # flags field=column
    crs: str | None = None
    encoding: str | None = None
    file_layer: str | None = None
    valid_from: datetime | None = None
    replace: bool = False
    repair: bool = False
    accept_faults: bool = False
    title: str | None = None
    title_en: str | None = None
    source: str = ""
    licence: str = ""
    reason: str = ""


@dataclass
class Summary:
    """What became of the areas of a file, and what was found on the way."""

    areas: int
    added: int
    unchanged: int
    ended: int
    recorded: datetime | None
    faults: gpd.GeoDataFrame
    moved: gpd.GeoDataFrame | None = None
    notes: list[str] = field(default_factory=list)


def load(engine: Engine, path: Path, options: Options) -> Summary:
    """Take a file of areas into a layer, all or nothing.

    Raises
    ------
    FileError, AreaError
        The file cannot be used.
    CoverageError
        The areas have faults, and neither a repair nor their acceptance was asked for.
    """
    frame = vector_files.read(
        path, layer=options.file_layer, crs=options.crs, encoding=options.encoding
    )
    frame = _named(vector_files.apply_mapping(frame, _pairs(options.mapping)), path)
    notes: list[str] = []
    tree = options.layer in areas.TREE
    if not tree:  # several rows of one code are the pieces of one area
        frame = _joined(frame, notes)
    with engine.connect() as connection:
        faults, moved, frame = _checked(connection, frame, options)
    _refuse(faults, options, path)
    reason = options.reason or path.name
    with areas.change(engine, "repair" if moved is not None else "import", reason) as change:
        if not tree:
            areas.ensure_layer(
                change.connection, options.layer, title=options.title or options.layer,
                title_en=options.title_en or options.title or options.layer,
                source=options.source, licence=options.licence,
            )  # fmt: skip
        areas.record(
            change, options.layer, frame, valid_from=options.valid_from, replace=options.replace
        )
        if options.layer in areas.TREE[:3]:  # their names stand before the streets in addresses
            addresses.refresh(change.connection)
    return Summary(
        len(frame), change.added, change.unchanged, change.ended, change.recorded, faults, moved,
        notes,
    )  # fmt: skip


def _refuse(faults: gpd.GeoDataFrame, options: Options, path: Path) -> None:
    errors = faults[faults["severity"] == "error"]
    never = errors[errors["kind"].isin(UNFIT)]
    if options.accept_faults and len(never):
        raise CoverageError(
            f"{path.name}: no map can hold a polygon that crosses itself or encloses no area "
            f"({len(never)} of the faults); nothing was taken in. Mend the file, or add --repair.",
            faults,
        )
    if len(errors) and not options.accept_faults:
        what = "1 fault" if len(errors) == 1 else f"{len(errors)} faults"
        raise CoverageError(
            f"{path.name}: {what}; nothing was taken in. Mend the file, or add --repair to have "
            "narrow gaps and overlaps closed, or --accept-faults to take it as it is.",
            faults,
        )


def save(engine: Engine, path: Path, layer: str, **moments: datetime | None) -> int:
    """Write a layer as it is at a moment to a file of any of the formats; how many areas."""
    with engine.connect() as connection:
        frame = areas.export(connection, layer, **moments)
    if frame.empty:
        raise areas.AreaError(f"the layer {layer} has no areas then; nothing was written")
    vector_files.write(frame, path)
    return len(frame)


def _pairs(flags: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for flag in flags:
        key, equals, column = flag.partition("=")
        if not equals or not column or key not in areas.COLUMNS:
            known = ", ".join(areas.COLUMNS)
            raise areas.AreaError(
                f"{flag!r} maps nothing; write field=column, as code=beat_num (fields: {known})"
            )
        pairs[key] = column
    return pairs


def _named(frame: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame:
    if "code" not in frame:
        columns = ", ".join(c for c in frame.columns if c != "geometry")
        raise areas.AreaError(
            f"{path.name} has no column `code`; name the one that holds it with --map code=COLUMN "
            f"(columns: {columns})"
        )
    empty = frame["code"].isna() | (frame["code"].astype(str).str.strip() == "")
    if empty.any():
        first = int(empty.to_numpy().argmax()) + 1
        raise areas.AreaError(
            f"{path.name}: {int(empty.sum())} areas have no code, row {first} first"
        )
    given = frame["code"]
    if given.dtype.kind == "f" and (given % 1 == 0).all():  # numbers: 7 and not 7.0
        given = given.astype("int64")
    return frame.assign(code=given.astype(str).str.strip())


def _joined(frame: gpd.GeoDataFrame, notes: list[str]) -> gpd.GeoDataFrame:
    """Rows of one code as one area; their other columns must agree, or the first row's count."""
    twice = frame["code"].duplicated(keep=False)
    if not twice.any():
        return frame
    codes_of = frame.loc[twice, "code"].unique()
    notes.append(
        f"{len(codes_of)} codes stand on several rows, taken as pieces of one area: "
        + ", ".join(codes_of[:5])
    )
    groups = frame.groupby("code", sort=False)
    shapes = groups["geometry"].agg(lambda parts: _together(parts.to_numpy()))
    first = frame.drop(columns="geometry").drop_duplicates("code").set_index("code")
    joined = first.assign(geometry=shapes).reset_index()
    whole = frame.loc[~twice].set_index("code")["geometry"]
    joined["geometry"] = [
        whole.get(c, g) for c, g in zip(joined.code, joined.geometry, strict=True)
    ]
    return gpd.GeoDataFrame(joined, geometry="geometry", crs=frame.crs)


def _together(parts: Geometries) -> shapely.Geometry:
    """The union of polygons; where some are not valid, all side by side, so that it is told."""
    parts = parts[~shapely.is_missing(parts)]
    if shapely.is_valid(parts).all():
        # A union's rings run either way; files come and go with shells counter-clockwise.
        return shapely.orient_polygons(shapely.union_all(parts))
    return shapely.multipolygons(shapely.get_parts(parts))


def _checked(
    connection: Connection, frame: gpd.GeoDataFrame, options: Options
) -> tuple[gpd.GeoDataFrame, gpd.GeoDataFrame | None, gpd.GeoDataFrame]:
    """Faults of the basic areas (dedicated ones lie over them), mended first if that was asked."""
    kind = frame["kind"].fillna("basic") if "kind" in frame else pd.Series("basic", frame.index)
    basic = kind.eq("basic")
    if strange := sorted(set(kind) - {"basic", "dedicated"}, key=str):
        raise areas.AreaError(
            f"an area is basic or dedicated, and not {strange[0]!r}; mend the column `kind`, or "
            "leave it out if all are basic"
        )
    part = frame[basic]
    rules = _rules(connection, part, options)
    moved = None
    if options.repair:
        shapes, moved = repair(part["code"].to_numpy(), part.geometry.to_numpy())
        frame = frame.copy()
        frame.loc[basic, "geometry"] = gpd.GeoSeries(list(shapes), index=part.index, crs=frame.crs)
        part = frame[basic]
    faults = check(part["code"].to_numpy(), part.geometry.to_numpy(), **rules)
    over = frame[~basic]
    if len(over):
        rule = rules.get("code_rule")
        own = check(over["code"].to_numpy(), over.geometry.to_numpy(), code_rule=rule)
        own = own[own["kind"].isin(OF_ITSELF)]
        faults = own if faults.empty else faults if own.empty else pd.concat([faults, own])
    return faults.reset_index(drop=True), moved, frame


def _rules(connection: Connection, frame: gpd.GeoDataFrame, options: Options) -> dict[str, Any]:
    """What the level of the tree asks: codes that parse, parents that are tiled."""
    if options.layer not in areas.TREE:
        return {}
    level = areas.TREE.index(options.layer)
    rules: dict[str, Any] = {"code_rule": lambda given: codes.check(given, level=options.layer)}
    if level and "parent" in frame:
        above = areas.read(connection, areas.TREE[level - 1], at=options.valid_from)
        meant = above[above["code"].isin(set(frame["parent"]))]
        rules |= {
            "parents": frame["parent"].to_numpy(),
            "outlines": dict(zip(meant["code"], meant.geometry, strict=True)),
        }
    return rules
