"""The page that stands where a page of a map cannot be shown, and says why."""

from html import escape

from layers.i18n import Lang, Texts

WORDS: dict[str, tuple[str, str]] = {
    "incident-unknown": ("没有这个事件", "There is no such incident"),
    "area-unknown": ("没有这个区域", "There is no such area"),
    "not-found": ("没有这个页面", "There is no such page"),
    "validation": ("网址有误", "The address is wrong"),
    "database-unavailable": (
        "数据库暂时没有应答，请稍后刷新",
        "The database does not answer: load the page again in a moment",
    ),
    "other": ("页面无法显示", "The page cannot be shown"),
    "queue": ("打开事件队列", "Open the queue of incidents"),
    "overview": ("打开总览图", "Open the overview"),
}
_PAGE = """<!DOCTYPE html>
<html lang="{lang}"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1rem/1.6 sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>
<h1>{title}</h1>
<p lang="en">{detail}</p>
<p><a href="/maps/dispatch?lang={asked}">{queue}</a> · \
<a href="/maps/overview?lang={asked}">{overview}</a></p>
<p><code>HTTP {status}</code></p></html>
"""


def fault(name: str, status: int, detail: str, lang: Lang = "zh") -> str:
    """A plain page (HTML) for a problem by its name, with its sentence and two ways on."""
    say = Texts(lang, WORDS)
    return _PAGE.format(
        lang="zh-CN" if lang == "zh" else lang,
        asked=lang,
        title=escape(say(name if name in WORDS else "other")),
        detail=escape(detail),
        status=status,
        queue=say("queue"),
        overview=say("overview"),
    )
