"""The demonstration city into the database, through the doors that a real city uses."""

import io
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import shapely
from sqlalchemy import Connection, Engine, text

from data import (
    addresses,
    areas,
    catalogue,
    clocks,
    intake,
    reports,
    resource_files,
    roads,
    rules,
    service_times,
)
from data.foshan import answering, extract, feed, governance, people
from data.foshan.city import City, generate
from data.rules import Rule
from data.service_times import Case, ServiceTime

Progress = Callable[[str, float], None]

OVERLAYS = {
    "beats": ("警务责任区", "Police beats"),
    "red_grids": ("党建小红格", "Red grids"),
    "sub_centres": ("综治分中心服务区", "Sub-centre service areas"),
    "hotline_areas": ("12345热线服务区", "Hotline service areas"),
}
TREE = {"city": "city", "districts": "district", "towns": "town", "villages": "village",
        "grids": "grid"}  # fmt: skip
# Phones and mini-programs speak GCJ-02, the police's GPS units WGS 84.
SOURCES = {
    "12345": ("12345政务服务便民热线", "gcj02", 50.0),
    "110": ("110报警服务台", "wgs84", 30.0),
    "mini-program": ("佛山智慧调解小程序", "gcj02", 30.0),
    "grid-worker": ("网格员上报", "gcj02", 15.0),
    "walk-in": ("综治中心来访", None, None),
}
SINCE = datetime(2020, 1, 1, tzinfo=UTC)  # the service times hold: before anything was reported
MADE_UP = "borders made up for demonstration; names and codes: china-division 2.7.0 (MIT)"


def is_empty(engine: Engine) -> bool:
    """Whether the database has no areas at all."""
    with engine.connect() as connection:
        found = connection.execute(text("SELECT NOT EXISTS (SELECT 1 FROM area)"))
        return bool(found.scalar_one())


def is_demonstration(engine: Engine) -> bool:
    """Whether the city in the database is the demonstration's."""
    with engine.connect() as connection:
        asked = text("SELECT EXISTS (SELECT FROM address WHERE source = :source)")
        return bool(connection.execute(asked, {"source": governance.SOURCE}).scalar_one())


def is_silent(engine: Engine) -> bool:
    """Whether nothing was ever reported."""
    with engine.connect() as connection:
        return bool(
            connection.execute(text("SELECT NOT EXISTS (SELECT 1 FROM report)")).scalar_one()
        )


def is_deserted(engine: Engine) -> bool:
    """Whether the demonstration city is there, but nobody in it."""
    with engine.connect() as connection:
        asked = text(
            "SELECT EXISTS (SELECT FROM address WHERE source = :source)"
            " AND NOT EXISTS (SELECT FROM resource)"
        )
        return bool(connection.execute(asked, {"source": governance.SOURCE}).scalar_one())


def load(engine: Engine, seed: int = 4406, progress: Progress = lambda _w, _s: None) -> City:
    """Draw Foshan and load it whole, or not at all."""
    city = generate(seed, lambda what, share: progress(what, 0.6 * share))
    with areas.change(engine, "import", "demonstration city") as change:
        for done, (name, layer) in enumerate(TREE.items()):
            progress(f"loading {name}", 0.6 + 0.04 * done)
            frame = getattr(city, name)
            if layer == "city":
                frame = frame.drop(columns="parent")
            areas.record(change, layer, frame)
            if layer == "town":  # by whose names addresses are read; early, for they count later
                _addresses(change.connection, city)
        for done, (name, (title, title_en)) in enumerate(OVERLAYS.items()):
            progress(f"loading {name}", 0.8 + 0.02 * done)
            areas.ensure_layer(
                change.connection, name, title=title, title_en=title_en, source=MADE_UP
            )
            areas.record(change, name, getattr(city, name))
        progress("loading roads and water", 0.88)
        _ground(change.connection, city)
        for source, (title, datum, accuracy) in SOURCES.items():
            reports.set_source(
                change.connection, source, title=title, datum=datum, accuracy_m=accuracy
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # An index over areas of every size that grew row by row is twice as slow as one made anew.
        connection.execute(text("REINDEX TABLE area_piece"))
        connection.execute(text("REINDEX TABLE area_border"))
        connection.execute(text("ANALYZE"))
        connection.execute(text("SELECT pg_sleep_until(max(recorded)) FROM address"))
    load_people(engine, seed, progress)
    progress("done", 1.0)
    return city


def _addresses(connection: Connection, city: City) -> None:
    rows = city.addresses[["address", "lon", "lat"]].itertuples(index=False, name=None)
    addresses.add(connection, rows, governance.SOURCE)


def _ground(connection: Connection, city: City) -> None:
    """Roads and water under the areas."""
    streets = city.roads.assign(kind="road")
    water = city.water.assign(kind="water", **{"class": "river"})
    for frame in (streets, water):
        _copy(connection, frame)


def _copy(connection: Connection, frame: gpd.GeoDataFrame) -> None:
    extra = frame.drop(columns=["kind", "class", "name", "geometry"])
    table = pd.DataFrame(
        {
            "kind": frame["kind"],
            "class": frame["class"],
            "name": frame["name"].fillna(""),
            "attributes": [
                json.dumps(_plain(r), ensure_ascii=False) for r in extra.to_dict("records")
            ],
            "geom": shapely.to_wkb(
                shapely.set_srid(frame.geometry.values, 4326), hex=True, include_srid=True
            ),
        }
    )
    buffer = io.StringIO()
    table.to_csv(buffer, index=False, header=False)
    cursor = connection.connection.driver_connection.cursor()  # type: ignore[union-attr]
    with cursor.copy(
        "COPY ground (kind, class, name, attributes, geom) FROM STDIN"
        " (FORMAT csv, FORCE_NOT_NULL (name))"
    ) as copy:
        copy.write(buffer.getvalue())


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(k): v.item() if hasattr(v, "item") else v for k, v in row.items() if v is not None}


def pave(engine: Engine, home: Path, progress: Progress = lambda _w, _s: None) -> bool:
    """Build road tiles from the roads on the ground; False if there are none, or tiles already."""
    if roads.current(home):
        return False
    with engine.connect() as connection:
        paved = gpd.read_postgis(
            text(
                "SELECT name, class, (attributes ->> 'bridge')::boolean AS bridge, geom AS geometry"
                " FROM ground WHERE kind = 'road' ORDER BY id"
            ),
            connection,
            geom_col="geometry",
        )
    if paved.empty:
        return False
    progress("writing the roads", 0.0)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "foshan.osm.pbf"
        extract.write(paved, file)
        return roads.build(file, home, progress)


@dataclass(frozen=True)
class Settled:
    """The city as it is in the database: what people need to live in it."""

    towns: gpd.GeoDataFrame
    villages: gpd.GeoDataFrame
    grids: gpd.GeoDataFrame
    beats: gpd.GeoDataFrame
    sub_centres: gpd.GeoDataFrame
    addresses: pd.DataFrame


def load_people(engine: Engine, seed: int = 4406, progress: Progress = lambda _w, _s: None) -> None:
    """Organisations, people, facilities and dispatch rules into a city that is loaded."""
    progress("people and facilities", 0.9)
    with engine.begin() as connection:
        settled = _settled(connection)
        catalogue.save(connection, people.catalogue(settled))
        _rules(connection)
        _service_times(connection)
        answering.load(connection, list(settled.towns["code"]))
    options = resource_files.Options(governance.SOURCE, datum="wgs84", all_or_nothing=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "people.parquet"
        people.roster(settled, seed).to_parquet(path)
        progress("people and facilities", 0.93)
        resource_files.run(engine, path, options)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE resource, resource_area"))


def _settled(connection: Connection) -> Settled:
    layers = {"towns": "town", "villages": "village", "grids": "grid", "beats": "beats",
              "sub_centres": "sub_centres"}  # fmt: skip
    frames = {name: areas.export(connection, layer) for name, layer in layers.items()}
    return Settled(**frames, addresses=_places(connection))


def _places(connection: Connection) -> pd.DataFrame:
    asked = text(
        'SELECT "text" AS address, ST_X(geom) AS lon, ST_Y(geom) AS lat FROM address'
        " WHERE source = :source ORDER BY id"
    )
    return pd.read_sql(asked, connection, params={"source": governance.SOURCE})


def _rules(connection: Connection) -> None:
    """Who is asked for the matters that are reported; rules that there are stay as they are."""
    there = {row["kind"] for row in rules.all_of_them(connection)}
    for kind, (resource_kinds, skills) in governance.RULES.items():
        if kind not in there:
            rule = Rule(kind, resource_kinds, skills)
            rules.put(connection, rule, actor=governance.SOURCE, reason="demonstration city")


def _service_times(connection: Connection) -> None:
    """How long the handling of a matter may take; those that there are stay as they are."""
    now = datetime.now(UTC)
    if service_times.as_of(connection, now, clocks.HANDLE):
        return
    for kind, allowance in governance.HANDLING.items():
        rule = ServiceTime(
            Case(clocks.HANDLE, kind), allowance.amount, allowance.unit, allowance.calendar,
            order_after_h=allowance.order_after_h,
        )  # fmt: skip
        service_times.put(
            connection, rule, since=SINCE, now=now, actor=governance.SOURCE,
            reason="demonstration city",
        )  # fmt: skip


def load_day(engine: Engine, count: int = 3230, progress: Progress = lambda _w, _s: None) -> None:
    """The reports of the last 24 hours: a 365th part of the article's 1.18 million."""
    progress("the last day's reports", 0.97)
    with engine.connect() as connection:
        places = _places(connection)
    table = feed.day(places, datetime.now(UTC), count)
    with tempfile.TemporaryDirectory() as folder:
        for source, rows in table.groupby("source"):
            path = Path(folder) / f"{source}.csv"
            rows.to_csv(path, index=False)
            intake.run(engine, path, intake.Options(str(source)))
