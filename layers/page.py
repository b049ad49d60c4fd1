"""The base of every map page: Folium with our own assets only, no request to another host."""

import base64
import mimetypes
import re
from functools import cache
from pathlib import Path
from typing import Any

import folium
import orjson
from branca.element import Element, Figure
from folium.elements import JSCSSMixin
from jinja2 import Environment, FileSystemLoader, Template

from layers.i18n import Lang

ASSETS = Path(__file__).resolve().parent / "assets"
MODULES = Path(__file__).resolve().parent.parent / "web" / "node_modules"

VENDOR: dict[str, Path] = {
    f"/static/vendor/{package}": MODULES / package / "dist"
    for package in ("leaflet", "leaflet.markercluster", "topojson-client")
}
"""Where the server has to mount which folder; nothing else of ``node_modules`` is served."""

LEAFLET_JS = "/static/vendor/leaflet/leaflet.js"
LEAFLET_CSS = "/static/vendor/leaflet/leaflet.css"
CLUSTER_JS = "/static/vendor/leaflet.markercluster/leaflet.markercluster.js"
CLUSTER_CSS = "/static/vendor/leaflet.markercluster/MarkerCluster.css"
TOPOJSON_JS = "/static/vendor/topojson-client/topojson-client.min.js"

PAGE_LIMIT = 3_000_000
"""Bytes: no page is larger, whatever the city's size."""

templates = Environment(loader=FileSystemLoader(ASSETS), autoescape=True, trim_blocks=True)


class _Document(Figure):  # type: ignore[misc]
    """Folium's figure as a document that names its language and stays off other hosts."""

    _template = Template(
        '<!DOCTYPE html>\n<html lang="{{ this.lang }}">\n<head>\n'
        "<title>{{ this.title|e }}</title>\n"
        '<link rel="icon" href="data:,">\n'
        "{{ this.header.render(**kwargs) }}\n</head>\n<body>\n"
        "{{ this.html.render(**kwargs) }}\n"
        "<script>\n{{ this.script.render(**kwargs) }}\n</script>\n</body>\n</html>\n"
    )

    def __init__(self, title: str, lang: Lang) -> None:
        super().__init__(title=title)
        self.lang = {"zh": "zh-CN", "en": "en"}[lang]


class _Raw(Element):  # type: ignore[misc]
    """Text that goes into the document as it is; Folium would compile it as a template."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def render(self, **kwargs: Any) -> str:
        """The text."""
        return self.text


class BaseMap(folium.Map):  # type: ignore[misc]
    """A Folium map without tiles, without Bootstrap, jQuery and icon fonts."""

    default_js = [("leaflet", LEAFLET_JS), ("topojson", TOPOJSON_JS)]  # noqa: RUF012 (Folium's name)
    default_css = [("leaflet_css", LEAFLET_CSS)]  # noqa: RUF012

    def __init__(self, title: str, lang: Lang, centre: tuple[float, float]) -> None:
        super().__init__(
            location=[centre[1], centre[0]],
            tiles=None,
            zoom_start=10,
            prefer_canvas=True,
            zoom_control=False,
            attribution_control=False,
            zoom_snap=0.25,
            font_size="0.875rem",
        )
        self._id = "city"
        document = _Document(title, lang)
        document.add_child(self)

    def add_data(self, data: dict[str, Any]) -> None:
        """What the page's script finds as ``wangge.data``."""
        code = f"{_asset('page.js')}\nwangge.data = {json_in_script(data)};"
        self._head(f"<style>{_asset('page.css')}</style><script>{code}</script>")

    def add_script(self, asset: str) -> None:
        """A script of ours that runs before the layers are made."""
        self._head(f"<script>{_asset(asset)}</script>")

    def add_style(self, asset: str) -> None:
        """A style sheet of ours, after that of every page."""
        self._head(f"<style>{_asset(asset)}</style>")

    def add_panel(self, asset: str, **values: Any) -> None:
        """A template of ours, rendered over the map."""
        html = templates.get_template(asset).render(**values)
        self.get_root().html.add_child(_Raw(html))

    def _head(self, html: str) -> None:
        self.get_root().header.add_child(_Raw(html))

    def html(self, self_contained: bool = False) -> str:
        """The page; with ``self_contained`` it needs no server, every asset is inside."""
        document = self.get_root()
        text: str = document.render()
        return _inlined(text) if self_contained else text


class Shapes(folium.map.Layer):  # type: ignore[misc]
    """A layer that the page's script draws: ``wangge.layers[draw](map)`` returns it."""

    _template = folium.template.Template(
        "{% macro script(this, kwargs) %}"
        "var {{ this.get_name() }} = wangge.layers.{{ this.draw }}({{ this._parent.get_name() }});"
        "{% endmacro %}"
    )

    def __init__(self, draw: str, name: str, *, overlay: bool = True, show: bool = True) -> None:
        super().__init__(name=name, overlay=overlay, control=True, show=show)
        self._name = "Shapes"
        self._id = draw
        self.draw = draw


class Clusters(JSCSSMixin, Shapes):  # type: ignore[misc]
    """A layer of the page's script that needs the library of clusters."""

    default_js = [("markerclusterjs", CLUSTER_JS)]  # noqa: RUF012 (Folium's name)
    default_css = [("markerclustercss", CLUSTER_CSS)]  # noqa: RUF012


class Call(folium.elements.MacroElement):  # type: ignore[misc]
    """One call of the page's script, at this place among the layers."""

    _template = folium.template.Template(
        "{% macro script(this, kwargs) %}"
        "wangge.{{ this.function }}({{ this._parent.get_name() }});"
        "{% endmacro %}"
    )

    def __init__(self, function: str) -> None:
        super().__init__()
        self._name = "Call"
        self.function = function


def json_in_script(data: Any) -> str:
    """JSON that may stand in a script element: no text in it can end the element."""
    text = orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS).decode()
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _inlined(html: str) -> str:
    """The same page with its scripts, styles and the images of these inside."""
    html = re.sub(
        r'<script src="(/static/vendor/[^"]+)"></script>',
        lambda m: f"<script>{_script(m[1])}</script>",
        html,
    )
    return re.sub(
        r'<link rel="stylesheet" href="(/static/vendor/[^"]+)"/>',
        lambda m: f"<style>{_stylesheet(m[1])}</style>",
        html,
    )


def _file(url: str) -> Path:
    prefix = next(p for p in VENDOR if url.startswith(p + "/"))
    path = VENDOR[prefix] / url.removeprefix(prefix + "/")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; run `npm ci` in the folder web/")
    return path


@cache
def _script(url: str) -> str:
    text = _file(url).read_text(encoding="utf-8")
    return re.sub(r"\n//# sourceMappingURL=\S+", "", text).replace("</script", "<\\/script")


@cache
def _stylesheet(url: str) -> str:
    path = _file(url)

    def embedded(match: re.Match[str]) -> str:
        image = path.parent / match[1]
        if not image.is_file():
            return match[0]
        kind = mimetypes.guess_type(image.name)[0]
        return f"url(data:{kind};base64,{base64.b64encode(image.read_bytes()).decode()})"

    return re.sub(r"url\(['\"]?([^)'\":#]+)['\"]?\)", embedded, path.read_text(encoding="utf-8"))
