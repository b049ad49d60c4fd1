"""The page of the queue: open incidents by urgency and age, as they come."""

from collections.abc import Mapping
from typing import Any

from folium import LayerControl

from layers.dispatch_words import WORDS
from layers.ground import Ground
from layers.i18n import Lang, Texts
from layers.page import BaseMap, Call, Clusters, Shapes

REPORT = (
    "curl http://127.0.0.1:8000/api/v1/reports -H 'Content-Type: application/json' -d "
    '\'{"source": "12345", "external_id": "1", "kind": "噪音", "datum": "wgs84", '
    '"lon": 113.12, "lat": 23.02}\''
)


def queue(
    ground: Ground,
    state: Mapping[str, Any],
    *,
    address: str,
    kind: str | None = None,
    area: str | None = None,
    timezone: str = "Asia/Shanghai",
    lang: Lang = "zh",
) -> str:
    """The page as HTML; it reads `address` when something happens.

    Parameters
    ----------
    ground : Ground
        Districts and towns are enough.
    state : mapping, as JSON
        What the address answers: `incidents`, the most urgent and longest open first (`id`,
        `urgency`, `kind`, `about`, `area`, `opened` in milliseconds, `point` as [lat, lon],
        `going`: how many are under way); `open` and `unsent`, their numbers; `kinds`; `seq`, the
        last event before it was read, and `now`.
    kind, area : str or None
        What the queue is narrowed to; the area as layer/code.
    """
    say = Texts(lang, WORDS)
    west, south, east, north = ground.bounds
    page = BaseMap(
        f"{ground.city} · {say('queue')}", lang, ((west + east) / 2, (south + north) / 2)
    )
    page.add_data(
        {
            **ground.packed,
            "texts": say.raw(),
            "lang": lang,
            "timezone": timezone,
            "address": address,
            "area": area,
            "finest": ground.finest,
            "bounds": [[south, west], [north, east]],
            "state": state,
            "now": state["now"],
        }
    )
    page.add_style("dispatch.css")
    for script in ("live.js", "ground.js", "queue.js"):
        page.add_script(script)
    page.add_panel(
        "queue.html",
        t=say,
        city=ground.city,
        kinds=sorted({*state["kinds"], *([kind] if kind else [])}),
        kind=kind,
        areas=_areas(ground, area),
        area=area,
        command=REPORT,
        switch={"zh": "en", "en": "zh"}[lang],
    )
    page.add_child(Call("start"))
    for name in ("water", "roads", "borders"):
        if name == "borders" or ground.packed[name].get("name" if name == "water" else "class"):
            page.add_child(Shapes(name, say(f"layer_{name}")))
    page.add_child(Clusters("incidents", say("layer_incidents")))
    page.add_child(LayerControl(collapsed=True))
    page.add_child(Call("finish"))
    return page.html()


def _areas(ground: Ground, chosen: str | None) -> list[tuple[str, str]]:
    """Districts, each with its towns, as (layer/code, name); the chosen one in any case."""
    out: list[tuple[str, str]] = []
    districts, towns = ground.areas.get("districts"), ground.areas.get("towns")
    if districts is not None:
        for i, row in enumerate(districts.itertuples()):
            out.append((f"district/{row.code}", row.name))
            if towns is not None:
                below = towns[towns.up == i]
                out += [
                    (f"town/{code}", f"\u3000{name}")
                    for code, name in zip(below.code, below.name, strict=True)
                ]
    if chosen and chosen not in {value for value, _ in out}:
        out.append((chosen, chosen.partition("/")[2]))
    return out
