"""What the maps say, Chinese first and English second."""

from collections.abc import Mapping
from typing import Literal, get_args

Lang = Literal["zh", "en"]

TEXTS: dict[str, tuple[str, str]] = {
    "title": ("网格总览", "Grid overview"),
    "switch": ("English", "中文"),
    "board": ("指标看板", "Indicators"),
    "analyses": ("分析", "Analyses"),
    "reload": ("刷新", "Reload"),
    "when_today": ("今日", "today"),
    "when_period": ("本时段", "in this period"),
    "reports": ("{when}上报", "reports {when}"),
    "placed": ("已入格", "In a grid"),
    "triage": ("待分拨", "In triage"),
    "ambiguous": ("边界存疑", "Ambiguous"),
    "placed_help": (
        "已找到所属网格的上报（含待人工确认的）",
        "Reports whose grid was found, including those that wait for confirmation",
    ),
    "triage_help": (
        "需要人工判断的上报：没有坐标、不在任何网格内，或坐标可疑",
        "Reports that wait for a person: no coordinates, outside every grid, or doubtful",
    ),
    "ambiguous_help": (
        "位置误差范围内有两个以上网格，首选可能不对",
        "More than one grid lies within the position's accuracy: the first choice may be wrong",
    ),
    "off_map": (
        "其中 {n} 条没有坐标，不在图上",
        "{n} of them have no coordinates and are not drawn",
    ),
    "latest": ("最近一条", "Latest report"),
    "no_reports": ("{when}还没有上报", "No reports {when}"),
    "as_of": ("数据截至", "Data as of"),
    "just_now": ("刚刚", "just now"),
    "minutes_ago": ("{n} 分钟前", "{n} min ago"),
    "hours_ago": ("{h} 小时 {n} 分钟前", "{h} h {n} min ago"),
    "days_ago": ("{n} 天前", "{n} d ago"),
    "stale": ("不是最新：页面不会自动更新", "Not current: this page does not update itself"),
    "n_new": ("又有 {n} 条新上报", "{n} new since then"),
    "busiest": ("上报最多的{level}", "Most reports, by {level}"),
    "kinds": ("类别", "Kinds"),
    "no_kind": ("未分类", "No kind"),
    "other_kinds": ("其他", "Other"),
    "layer_load": ("按上报数量着色", "Coloured by number of reports"),
    "layer_district": ("按行政区着色", "Coloured by district"),
    "layer_reports": ("上报", "Reports"),
    "layer_dedicated": ("专属网格", "Dedicated grids"),
    "layer_beats": ("警务责任区", "Police beats"),
    "layer_borders": ("行政界线与地名", "Borders and names"),
    "layer_water": ("水系", "Water"),
    "layer_roads": ("主要道路", "Main roads"),
    "legend": ("图例", "Legend"),
    "legend_load": ("每个{level}{when}上报数", "Reports per {level} {when}"),
    "none": ("无", "none"),
    "and_more": ("{n} 及以上", "{n} and more"),
    "cluster": ("上报聚合（数字为条数）", "Reports close together (how many)"),
    "point": ("一条上报", "One report"),
    "waiting": ("橙色数字：其中待分拨", "Orange number: of these in triage"),
    "cell": ("此处约 {m} 米范围内 {n} 条上报", "{n} reports within about {m} m"),
    "cell_waiting": ("其中待分拨 {n} 条", "{n} of them in triage"),
    "code": ("编码", "Code"),
    "count_here": ("{when}上报 {n} 条", "Reports {when}: {n}"),
    "count_usual": ("全市每个{level}平均 {mean} 条", "city mean {mean} per {level}"),
    "in_grid": ("网格", "Grid"),
    "beat": ("警务责任区", "Police beat"),
    "dedicated": ("专属网格", "Dedicated grid"),
    "districts": ("区", "district"),
    "towns": ("镇街", "town"),
    "villages": ("村居", "village"),
    "grids": ("网格", "grid"),
    "source": ("资料来源", "Source"),
    "coarse": (
        "网格太多，本页画到{level}一级；数字不受影响",
        "Too many grids for one page: drawn by {level}; the figures are complete",
    ),
    "shapeless": (
        "{n} 个网格没有边界，不在图上",
        "{n} grids have no border and are not drawn",
    ),
    "unknown_grid": (
        "{n} 条上报的网格编码不在本图的网格中",
        "{n} reports name a grid that is not on this map",
    ),
    "empty_title": ("还没有网格", "No grids yet"),
    "empty_text": (
        "数据库里没有区、镇街、村居和网格。先导入边界，或载入演示城市：",
        "There are no districts, towns, villages or grids in the database. "
        "Import borders first, or load the demonstration city:",
    ),
    "zoom_in": ("放大", "Zoom in"),
    "zoom_out": ("缩小", "Zoom out"),
}


class Texts:
    """The texts in one language.

    Examples
    --------
    >>> Texts("en")("minutes_ago", n=3)
    '3 min ago'
    """

    def __init__(self, lang: Lang, texts: Mapping[str, tuple[str, str]] = TEXTS) -> None:
        if lang not in get_args(Lang):
            raise ValueError(
                f"language {lang!r} is not known; use one of {', '.join(get_args(Lang))}"
            )
        self.lang = lang
        self._texts, self._column = texts, get_args(Lang).index(lang)

    def __call__(self, key: str, **values: object) -> str:
        """The text of this key, its places filled."""
        return self._texts[key][self._column].format(**values)

    def raw(self) -> dict[str, str]:
        """All texts with their places open, for the page's own script."""
        return {key: both[self._column] for key, both in self._texts.items()}
