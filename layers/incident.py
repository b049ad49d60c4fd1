"""The page of an incident: where it is, who could go and why, who is under way."""

from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import orjson
import shapely
from folium import LayerControl

from data.surroundings import Surroundings
from layers.dispatch_words import WORDS
from layers.i18n import Lang, Texts
from layers.page import BaseMap, Call, Shapes

PRECISION = 1e-6  # degrees, about 0.1 m


def incident(
    state: Mapping[str, Any],
    around: Surroundings | None,
    *,
    me: str | None = None,
    timezone: str = "Asia/Shanghai",
    lang: Lang = "zh",
) -> str:
    """The page as HTML; it reads `/maps/incident/{number}/now` when something happens.

    Parameters
    ----------
    state : mapping, as JSON
        What that address answers: `incident`, `report`, `candidates`, `shortfalls` and
        `dispatches` as the API shows them; `sent` (who is under way: id, name, point); `seq`, the
        last event before it was read, and `now`, both from the service.
    around : Surroundings or None
        None while the incident has no place.
    me : str or None
        Who is signed in; None: a program, which says for whom it asks.
    timezone : str
        Of the times on the screen.
    """
    say = Texts(lang, WORDS)
    number, point = state["incident"]["id"], state["incident"]["point"]
    kind = state["incident"]["kind"] or say("no_kind")
    lonlat = (point["lon"], point["lat"]) if point else (0.0, 0.0)
    page = BaseMap(f"{say('incident', n=number)} · {kind}", lang, lonlat)
    page.add_data(
        {
            "texts": say.raw(),
            "lang": lang,
            "timezone": timezone,
            "number": number,
            "address": f"/maps/incident/{number}/now?lang={lang}",
            "state": state,
            "now": state["now"],
            **_under(around, lonlat, lang),
        }
    )
    page.add_style("dispatch.css")
    page.add_script("live.js")
    page.add_script("incident.js")
    page.add_script("incident_map.js")
    page.add_panel(
        "incident.html",
        t=say,
        number=number,
        me=me,
        placed=around is not None,
        switch={"zh": "en", "en": "zh"}[lang],
    )
    page.add_child(Call("start"))
    if around is not None:
        page.add_child(Call("place"))
        page.add_child(Shapes("nature", say("layer_nature")))
        page.add_child(Shapes("grids", say("layer_grids")))
        page.add_child(Shapes("people", say("layer_people")))
        if len(around.facilities):
            page.add_child(Shapes("facilities", say("layer_facilities"), show=False))
        page.add_child(LayerControl(collapsed=True))
    page.add_child(Call("finish"))
    return page.html()


def _under(around: Surroundings | None, lonlat: tuple[float, float], lang: Lang) -> dict[str, Any]:
    """What the map draws under the people, and where it begins."""
    lon, lat = lonlat
    bounds = [[lat - 0.004, lon - 0.004], [lat + 0.004, lon + 0.004]]
    if around is None:
        return {"names": {}, "bounds": bounds}
    grids, title = around.grids, "title" if lang == "zh" else "title_en"
    places = _names_at(grids.geometry.to_numpy())
    at = [[round(p.y, 6), round(p.x, 6)] for p in places]
    rows = around.facilities[["lat", "lon", title, "name"]]
    return {
        "names": dict(zip(grids.code, grids.name, strict=True)),
        "bounds": bounds,
        "grids": _features(grids[["name", "own", "beside", "geom"]].assign(at=at)),
        "nature": _features(around.nature[["kind", "class", "geom"]]),
        "facilities": rows.to_numpy(dtype=object).tolist(),
    }


def _names_at(shapes: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """A point of each shape for its name, outside the smaller ones that lie in it."""
    tree = shapely.STRtree(shapes)
    around, within = tree.query(shapes, predicate="contains_properly")
    free = shapes.copy()
    for i in np.unique(around):
        free[i] = shapely.difference(shapes[i], shapely.union_all(shapes[within[around == i]]))
    points: npt.NDArray[np.object_] = shapely.point_on_surface(free)
    return points


def _features(frame: gpd.GeoDataFrame) -> dict[str, Any]:
    """GeoJSON whose properties are the other columns."""
    shapes = shapely.set_precision(frame.geometry.to_numpy(), PRECISION, mode="pointwise")
    columns = [c for c in frame.columns if c != frame.geometry.name]
    rows = frame[columns].to_dict("records")
    return {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": row, "geometry": orjson.Fragment(shape)}
            for row, shape in zip(rows, shapely.to_geojson(shapes), strict=True)
        ],
    }
